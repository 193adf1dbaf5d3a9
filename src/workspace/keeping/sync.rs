//! Sharing logs over one place: a store pushes its own log there, part by part, and pulls those of others beside its own.
//!
//! ```text
//! logs/<node>/<full or public>/<first position>.json   what a part is: positions, hashes, and the object that holds it
//! objects/<2 hex>/<BLAKE3 of its bytes>                the part: lines of events, compressed, encrypted if the store has a key
//! ```
//! A part's object comes first and its description second, made only if there is none: so a part is there as a whole or not at all, a push
//! that was cut off is gone on with, and of two stores that claim to be one node the second to come is refused. What is pulled is verified
//! byte by byte and event by event before any of it is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Keeping;
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::lake::remote::{Created, Remote, RemoteError};
use crate::store::files::OsFiles;
use crate::store::log::Head;
use crate::store::session::RunLock;
use crate::store::transfer::Error as LinesError;
use crate::store::transfer::read::{TransferItem, read};
use crate::store::transfer::source::{Source, cuts, pack};
use crate::store::transfer::write::Wanted;
use crate::store::{self, chain, imported};
use crate::workspace::keeping::transfer::{HandOverError, TakenIn, hash_at, of_file, read_through};

/// The form of descriptions that this release writes.
const FORMAT: u32 = 1;
/// Events and bytes of one part at most, payloads apart.
const PART_EVENTS: u64 = 4096;
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Times that a push looks again because another one of the same store came first.
const LOOKS_MAX: u32 = 20;
/// Where objects lie until they are taken in, in the store's folder.
const PULLING: &str = "pulling";
/// Who pulls holds the lock of this run, which cannot be.
const PULL_LOCK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// Why logs cannot be pushed or pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The shared place cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Two logs have the same node and went different ways: a store was copied, and both copies went on.
    #[error(
        "the log of node {node} has two histories: here event {} has hash {}, there event {} has hash {}",
        here.seq, here.hash, there.seq, there.hash
    )]
    TwoHistories {
        /// The node.
        node: NodeId,
        /// Where the log ends that is here.
        here: Box<Head>,
        /// Where the log ends that is there.
        there: Box<Head>,
    },
    /// The place has more of this store's log than the store: it was put back from an older copy.
    #[error("the place has this store's log up to event {there}, and the store itself only up to event {here}")]
    Behind {
        /// The last event here.
        here: u64,
        /// The last event there.
        there: u64,
    },
    /// What is there is not what was pushed.
    #[error("{place}/{name}: {why}")]
    Tampered {
        /// The place.
        place: String,
        /// The object.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A later release wrote it.
    #[error("{place}/{name} is of form {format}, newer than this version knows ({FORMAT})")]
    Newer {
        /// The place.
        place: String,
        /// The object.
        name: String,
        /// Its form.
        format: u32,
    },
    /// Another process of this store pulls.
    #[error("process {} is pulling into this store", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    Busy {
        /// Its id, when known.
        pid: Option<u32>,
    },
    /// Others push and this one never comes first.
    #[error("{0}: another push of this store comes first again and again")]
    Outrun(String),
    /// The events cannot be taken in.
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A part of a log, as its description says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    format: u32,
    node: NodeId,
    /// Positions, first and last.
    from: u64,
    to: u64,
    /// The chain's hash before the first, and at the last.
    previous: Hash,
    head: Hash,
    private: bool,
    events: u64,
    payloads: u64,
    /// BLAKE3 of the object's bytes, and their number.
    object: Hash,
    bytes: u64,
    /// The key that the object is encrypted under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Part {
    fn end(&self) -> Head {
        Head { node: self.node, seq: self.to, hash: self.head }
    }

    /// What the object is bound to, so that none passes for another.
    fn place(node: NodeId, from: u64, end: Head) -> Hash {
        Hash::of(format!("meno part of {node} from {from} to {} at {}", end.seq, end.hash).as_bytes())
    }
}

/// A log as it lies in the shared place.
#[derive(Clone, Debug, Default)]
struct SharedLog {
    full: Vec<Part>,
    public: Vec<Part>,
}

impl SharedLog {
    fn of(&self, private: bool) -> &[Part] {
        if private { &self.full } else { &self.public }
    }

    fn all(&self) -> impl Iterator<Item = &Part> {
        self.full.iter().chain(&self.public)
    }
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Where the log ends.
    pub head: Head,
    /// Parts that are new there.
    pub parts: u64,
    /// Events in them.
    pub events: u64,
    /// Payloads in them.
    pub payloads: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Events that were there already.
    pub already_there: u64,
    /// The key that the parts are encrypted under.
    pub key: Option<String>,
}

/// What came of pulling one log.
#[derive(Debug)]
pub struct Pulled {
    /// Whose log it is.
    pub node: NodeId,
    /// What was taken in, part by part.
    pub taken: Vec<TakenIn>,
    /// Why no more of it was.
    pub refused: Option<SyncError>,
}

/// How far a push or a pull has come, in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncProgress {
    /// Done.
    pub done: u64,
    /// To be done altogether.
    pub total: u64,
}

impl Keeping<'_> {
    /// Opens a shared place, with credentials from the environment; a folder is made when it is not there and `make`.
    ///
    /// # Errors
    /// A [`RemoteError`].
    pub(crate) fn remote(&self, address: &str, make: bool) -> Result<Remote, RemoteError> {
        Remote::open(address, make, &|name| self.0.variables.get(name))
    }

    /// Pushes what is new of the store's own log; with private parts and payloads when `private`, encrypted when the store has a key and
    /// `encrypt`. What was pushed stays when it stops half-way, and the next push goes on behind it.
    ///
    /// # Errors
    /// A [`SyncError`].
    pub(crate) fn push(
        &self,
        remote: &Remote,
        private: bool,
        encrypt: bool,
        tell: &mut dyn FnMut(SyncProgress),
    ) -> Result<Pushed, SyncError> {
        let head = self.0.log.head()?;
        let store = self.0.place()?.dir();
        let mut pushed = Pushed { head, parts: 0, events: 0, payloads: 0, bytes: 0, already_there: 0, key: None };
        'look: for look in 0..LOOKS_MAX {
            let names = remote.list(&format!("logs/{}", head.node))?;
            let shared = described(remote, head.node, &names, head.seq)?;
            self.agree(remote, &shared, head)?;
            let last = shared.of(private).last();
            let (mut from, mut previous) = last.map_or((1, chain::genesis(head.node)), |last| (last.to + 1, last.head));
            if look == 0 {
                pushed.already_there = from - 1;
            }
            if from > head.seq {
                return Ok(pushed);
            }
            let total = head.seq - pushed.already_there;
            for end in cuts(&OsFiles, store, from, head, PART_EVENTS, PART_BYTES).map_err(of_file(store))? {
                let wanted = Wanted { from, head: end, private };
                let place = Part::place(head.node, from, end);
                let packed = pack(&OsFiles, store, &self.0.payloads, wanted, place, encrypt).map_err(of_file(store))?;
                let part = Part {
                    format: FORMAT,
                    node: head.node,
                    from,
                    to: end.seq,
                    previous,
                    head: end.hash,
                    private,
                    events: packed.end.events,
                    payloads: packed.end.payloads,
                    object: Hash::of(&packed.bytes),
                    bytes: packed.bytes.len() as u64,
                    key: packed.key.map(|key| key.to_string()),
                };
                let bytes = part.bytes;
                // The name says what is in it: one that is there is the same.
                remote.create(&object_name(part.object), packed.bytes)?;
                let name = part_name(head.node, private, from);
                // A description is texts and numbers, which JSON can always say.
                let described = serde_json::to_vec_pretty(&part).unwrap_or_default();
                if remote.create(&name, described)? == Created::There {
                    let there = read_part(remote, &name)?.filter(|there| there.end() == part.end());
                    if there.is_none() {
                        // Somebody else came first: what it is about shows when it is looked at anew.
                        continue 'look;
                    }
                } else {
                    pushed.parts += 1;
                    pushed.events += part.events;
                    pushed.payloads += part.payloads;
                    pushed.bytes += bytes;
                }
                pushed.key.clone_from(&part.key);
                (from, previous) = (end.seq + 1, end.hash);
                tell(SyncProgress { done: end.seq - pushed.already_there.min(end.seq), total });
            }
            return Ok(pushed);
        }
        Err(SyncError::Outrun(remote.address().to_owned()))
    }

    /// Checks that what is there of the own log is a beginning of it.
    fn agree(&self, remote: &Remote, shared: &SharedLog, head: Head) -> Result<(), SyncError> {
        for private in [true, false] {
            let parts = shared.of(private);
            let Some(last) = parts.last() else { continue };
            let differs = || SyncError::TwoHistories { node: head.node, here: Box::new(head), there: Box::new(last.end()) };
            if let Some(within) = parts.iter().rev().find(|part| part.to <= head.seq) {
                let here = self.0.log.read(within.to, 1)?;
                if here.first().map(|event| event.hash) != Some(within.head) {
                    return Err(differs());
                }
            }
            if last.to > head.seq {
                // The place has more of it: either this store was put back, or it went another way since.
                let next = parts.iter().find(|part| part.to > head.seq);
                if let Some(part) = next.filter(|part| part.from <= head.seq) {
                    let there = self.hash_within(remote, part, head.seq)?;
                    if there.is_some_and(|there| there != head.hash) {
                        return Err(differs());
                    }
                }
                return Err(SyncError::Behind { here: head.seq, there: last.to });
            }
        }
        Ok(())
    }

    /// Returns the hash of an event within a part.
    fn hash_within(&self, remote: &Remote, part: &Part, seq: u64) -> Result<Option<Hash>, SyncError> {
        let folder = self.pulling()?;
        let source = self.fetch(remote, part, &folder)?;
        let mut hash = None;
        let mut file = source.open().map_err(of_file(&source.path))?;
        read(&mut file, &mut |found| {
            if let TransferItem::Event(_, _, stored) = found
                && stored.envelope.seq == seq
            {
                hash = Some(stored.hash);
            }
            Ok(())
        })
        .map_err(of_file(&source.path))?;
        let _ = fs::remove_dir_all(&folder);
        Ok(hash)
    }

    /// Pulls what is new of the logs of other nodes beside the store's own, each verified; one that is refused does not keep the others
    /// away. A log of this very node is held against the own one, which goes on with it if it was put back from an older copy.
    ///
    /// # Errors
    /// A [`SyncError`] that is not about one log.
    pub(crate) fn pull(&self, remote: &Remote, tell: &mut dyn FnMut(SyncProgress)) -> Result<Vec<Pulled>, SyncError> {
        let lock = RunLock::acquire(self.0.place()?, RunId::from_bytes(PULL_LOCK)).map_err(|error| match error {
            store::Error::RunHeld { pid, .. } => SyncError::Busy { pid },
            error => error.into(),
        })?;
        let own = self.0.log.head()?;
        let ends = imported::ends(&OsFiles, self.0.place()?.dir(), own.node)?;
        let here = ends.iter().chain([&own]).map(|end| (end.node, end.seq)).collect();
        let shared = shared_logs(remote, &here)?;
        let mut pulled = Vec::new();
        for (node, log) in shared {
            let mut taken = Vec::new();
            let outcome = log.and_then(|log| self.pull_log(remote, node, &log, &mut taken, tell));
            match outcome {
                Ok(()) => pulled.push(Pulled { node, taken, refused: None }),
                Err(why @ (SyncError::Remote(_) | SyncError::Busy { .. })) => return Err(why),
                Err(why) => pulled.push(Pulled { node, taken, refused: Some(why) }),
            }
        }
        lock.end()?;
        self.forget_what_came();
        Ok(pulled)
    }

    fn pull_log(
        &self,
        remote: &Remote,
        node: NodeId,
        log: &SharedLog,
        taken: &mut Vec<TakenIn>,
        tell: &mut dyn FnMut(SyncProgress),
    ) -> Result<(), SyncError> {
        let own = self.0.log.head()?;
        let store = self.0.place()?.dir();
        let here = if node == own.node {
            match self.agree(remote, log, own) {
                Err(SyncError::Behind { .. }) => own,
                outcome => return outcome,
            }
        } else {
            let ends = imported::ends(&OsFiles, store, own.node)?;
            let here = ends.into_iter().find(|end| end.node == node);
            here.unwrap_or(Head { node, seq: 0, hash: chain::genesis(node) })
        };
        let Some(last) = log.all().max_by_key(|part| part.to) else { return Ok(()) };
        let within = log.all().filter(|part| node != own.node && part.to <= here.seq).max_by_key(|part| part.to);
        if let Some(part) = within {
            let mut hash = None;
            // Batches may be cut in other places than parts: the event itself is looked at.
            imported::read(&OsFiles, store, Head { seq: part.to, ..here }, part.to, &mut |stored| {
                hash = hash.or((stored.envelope.seq == part.to).then_some(stored.hash));
                Ok(())
            })?;
            if hash.or(hash_at(store, node, part.to)?) != Some(part.head) {
                return Err(SyncError::TwoHistories { node, here: Box::new(here), there: Box::new(last.end()) });
            }
        }
        let reaches = |private: bool| log.of(private).last().map_or(0, |part| part.to);
        let private = reaches(true) > here.seq;
        let parts: Vec<&Part> = log.of(private).iter().filter(|part| part.to > here.seq).collect();
        let total = reaches(private).saturating_sub(here.seq);
        let folder = self.pulling()?;
        let outcome = parts.into_iter().try_for_each(|part| {
            let source = self.fetch(remote, part, &folder)?;
            let name = object_name(part.object);
            let tampered = |why: String| SyncError::Tampered { place: remote.address().to_owned(), name: name.clone(), why };
            let (files, all) = read_through(vec![source.clone()]).map_err(|why| match why {
                HandOverError::File { source: LinesError::Unsound { .. } | LinesError::Io(_), .. } => tampered(why.to_string()),
                HandOverError::Store(store::Error::Damaged(why)) => tampered(why),
                why => why.into(),
            })?;
            let found = files.first().map(|(_, contents)| (contents.begin.from, contents.begin.previous, contents.head()));
            if found != Some((part.from, part.previous, part.end())) {
                return Err(tampered("it is not the part that its description names".to_owned()));
            }
            let done = self.take_in(&files, all).map_err(|why| match why {
                HandOverError::File { source: LinesError::OtherChain(_), .. } => {
                    SyncError::TwoHistories { node, here: Box::new(here), there: Box::new(last.end()) }
                }
                why => why.into(),
            })?;
            tell(SyncProgress { done: part.to.saturating_sub(here.seq), total });
            taken.push(done);
            // What cannot be removed is written over or removed by the next pull.
            let _ = fs::remove_file(&source.path);
            Ok(())
        });
        let _ = fs::remove_dir_all(&folder);
        outcome
    }

    /// Makes the folder for objects on their way, empty.
    fn pulling(&self) -> Result<PathBuf, store::Error> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = self.0.place()?.dir().join(PULLING);
        let _ = fs::remove_dir_all(&folder);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(store::Error::io(&folder))?;
        Ok(folder)
    }

    /// Fetches a part's object into `folder` and holds it against its name.
    fn fetch(&self, remote: &Remote, part: &Part, folder: &std::path::Path) -> Result<Source, SyncError> {
        let name = object_name(part.object);
        let tampered =
            |why: &str| SyncError::Tampered { place: remote.address().to_owned(), name: name.clone(), why: why.to_owned() };
        let bytes = remote.get(&name)?.ok_or_else(|| tampered("it is not there"))?;
        if Hash::of(&bytes) != part.object {
            return Err(tampered("its bytes are not those that were pushed"));
        }
        let path = folder.join(part.object.to_string());
        fs::write(&path, &bytes).map_err(store::Error::io(&path))?;
        let place = Part::place(part.node, part.from, part.end());
        Ok(Source::packed(path, place, Arc::clone(self.0.payloads.keyring())))
    }
}

fn object_name(hash: Hash) -> String {
    let hash = hash.to_string();
    format!("objects/{}/{hash}", &hash[..2])
}

fn part_name(node: NodeId, private: bool, from: u64) -> String {
    format!("logs/{node}/{}/{from:020}.json", if private { "full" } else { "public" })
}

/// Reads the description of a part.
fn read_part(remote: &Remote, name: &str) -> Result<Option<Part>, SyncError> {
    let Some(bytes) = remote.get(name)? else { return Ok(None) };
    let place = remote.address().to_owned();
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    if let Ok(Form { format }) = serde_json::from_slice(&bytes)
        && format > FORMAT
    {
        return Err(SyncError::Newer { place, name: name.to_owned(), format });
    }
    let tampered = |why: String| SyncError::Tampered { place: place.clone(), name: name.to_owned(), why };
    let part: Part =
        serde_json::from_slice(&bytes).map_err(|why| tampered(format!("it is not a description of a part: {why}")))?;
    if part_name(part.node, part.private, part.from) != name || part.to < part.from {
        return Err(tampered("it describes another part".to_owned()));
    }
    Ok(Some(part))
}

/// Returns the parts of all logs that may be new to who has those logs up to `here`, or why those of one are not sound.
fn shared_logs(
    remote: &Remote,
    here: &BTreeMap<NodeId, u64>,
) -> Result<BTreeMap<NodeId, Result<SharedLog, SyncError>>, SyncError> {
    let mut names: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    for name in remote.list("logs")? {
        let node = name.split('/').nth(1).and_then(|node| node.parse::<NodeId>().ok());
        if let Some(node) = node {
            names.entry(node).or_default().push(name);
        }
    }
    let log = |node, names: &[String]| described(remote, node, names, here.get(&node).copied().unwrap_or(0));
    Ok(names.into_iter().map(|(node, names)| (node, log(node, &names))).collect())
}

/// Reads descriptions, which must follow one another. Those of parts that end well before event `here` are left out, so that their number
/// does not matter.
fn described(remote: &Remote, node: NodeId, names: &[String], here: u64) -> Result<SharedLog, SyncError> {
    let mut log = SharedLog::default();
    for private in [true, false] {
        let begin = part_name(node, private, 0);
        let begin = begin.trim_end_matches(|c: char| c != '/');
        let parts = if private { &mut log.full } else { &mut log.public };
        let first = |name: &str| name.strip_prefix(begin)?.strip_suffix(".json")?.parse::<u64>().ok();
        let names: Vec<(u64, &String)> = names.iter().filter_map(|name| Some((first(name)?, name))).collect();
        let skipped = names.partition_point(|(first, _)| *first <= here).saturating_sub(2);
        let mut at = (skipped == 0).then(|| Head { node, seq: 0, hash: chain::genesis(node) });
        for (_, name) in names.into_iter().skip(skipped) {
            let Some(part) = read_part(remote, name)? else { continue };
            if let Some(at) = at.filter(|at| (part.from, part.previous) != (at.seq + 1, at.hash)) {
                let why = format!("it does not follow event {}, where the part before it ends", at.seq);
                return Err(SyncError::Tampered { place: remote.address().to_owned(), name: name.clone(), why });
            }
            at = Some(part.end());
            parts.push(part);
        }
    }
    Ok(log)
}
