//! Handing a log to somebody else and taking one in, bit for bit.
//!
//! A store without anything in it becomes the store that the events come from; beside a log of its own, another log is kept apart, as
//! its own verified chain.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Keeping;
use crate::domain::event::{Event, ForgottenParts, SegmentImported, SegmentImportedPrivate};
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::store::backup::unpack::{make_store, refuse_full};
use crate::store::cipher::Keyring;
use crate::store::codec::{self, Decoded};
use crate::store::files::{Files, OsFiles};
use crate::store::identity::{self, IMPORTED};
use crate::store::log::{Head, Stored};
use crate::store::session::{Create, RunLock, StoreDir, StoreLock};
use crate::store::transfer::Error as LinesError;
use crate::store::transfer::read::{Contents, read};
use crate::store::transfer::source::Source;
use crate::store::transfer::stage::{Stage, publish, publish_payloads, staged};
use crate::store::transfer::write::{Wanted, Written, write};
use crate::store::{self, backup, chain, forget, imported, lock};

/// Who takes a log in holds the lock of this run, which cannot be: nothing is removed meanwhile.
pub(in crate::workspace) const STAGING_LOCK: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Why events cannot be handed over or taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// A file is not what was written.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: LinesError,
    },
    /// There is nothing to take in.
    #[error("{}: there are no files of events", .0.display())]
    NoFiles(PathBuf),
    /// Events between what is here and what the file has are missing.
    #[error("{}: it begins with event {from}, and events {missing} to {} are not here", file.display(), from - 1)]
    Gap {
        /// The file.
        file: PathBuf,
        /// The first event that is missing.
        missing: u64,
        /// The first event that it has.
        from: u64,
    },
    /// Another process takes something in, or removes something.
    #[error("process {} is changing this store", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    Busy {
        /// Its id, when known.
        pid: Option<u32>,
    },
    /// A store cannot be made of the events.
    #[error(transparent)]
    Archive(#[from] backup::Error),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file that was written; `None` when there was nothing new.
    pub file: Option<PathBuf>,
    /// The first position in it.
    pub from: u64,
    /// Where the log ends.
    pub head: Head,
    /// Events written.
    pub events: u64,
    /// Payloads written.
    pub payloads: u64,
    /// Payloads that the events name and that were left out, as they are missing or damaged.
    pub missing_payloads: u64,
}

/// How events were taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenAs {
    /// The store was empty: the log is its own now.
    Own,
    /// Kept beside the store's own log.
    Beside,
    /// A copy of the store's own log had gone on: so does this one.
    Continued,
    /// Nothing of it was new.
    Nothing,
}

/// What was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenIn {
    /// How it was taken in.
    pub taken_as: TakenAs,
    /// Where the log ends.
    pub head: Head,
    /// Events that are new here.
    pub imported: u64,
    /// Events that were here already.
    pub already_there: u64,
    /// Events that came without their private part.
    pub without_private: u64,
    /// Payloads that events name and that did not come.
    pub missing_payloads: u64,
}

impl Keeping<'_> {
    /// Writes the store's events into the folder `dir`, those that earlier exports of the same kind there do not have yet; with
    /// private parts and payloads when `private`. A file that was begun and not ended is not to be seen.
    ///
    /// # Errors
    /// A [`HandOverError`].
    pub fn export_events(&self, dir: &Path, private: bool) -> Result<Exported, HandOverError> {
        let head = self.0.log.head()?;
        let store = self.0.place()?.dir();
        fs::create_dir_all(dir).map_err(store::Error::io(dir))?;
        let mut from = 1;
        for file in event_files(dir)?.iter().filter(|file| file.node == head.node && file.private == private) {
            if file.from == from {
                from = file.to + 1;
            }
        }
        let exported =
            |file, events, payloads, missing_payloads| Exported { file, from, head, events, payloads, missing_payloads };
        if from > head.seq {
            return Ok(exported(None, 0, 0, 0));
        }
        let file = dir.join(EventFile { node: head.node, private, from, to: head.seq, path: PathBuf::new() }.name());
        let partial = dir.join(format!("{}.partial", file.file_name().unwrap_or_default().to_string_lossy()));
        let written = || -> Result<Written, LinesError> {
            let mut out = BufWriter::with_capacity(1 << 20, restricted(&partial)?);
            let written = write(&OsFiles, store, &self.0.payloads, Wanted { from, head, private }, &mut out)?;
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&partial, &file)?;
            OsFiles.sync_dir(dir)?;
            Ok(written)
        };
        let Written { end, left_out } = written().map_err(|source| {
            let _ = fs::remove_file(&partial);
            of_file(&file)(source)
        })?;
        Ok(exported(Some(file), end.events, end.payloads, left_out))
    }

    /// Writes all of the store's events to `out`.
    ///
    /// # Errors
    /// A [`HandOverError`].
    pub(crate) fn write_events(&self, out: &mut dyn Write, private: bool) -> Result<Exported, HandOverError> {
        let head = self.0.log.head()?;
        let store = self.0.place()?.dir();
        let wanted = Wanted { from: 1, head, private };
        let Written { end, left_out } = write(&OsFiles, store, &self.0.payloads, wanted, out).map_err(of_file(Path::new("-")))?;
        let (events, payloads) = (end.events, end.payloads);
        Ok(Exported { file: None, from: 1, head, events, payloads, missing_payloads: left_out })
    }

    /// Returns whether nothing has happened in the store yet, so that it may become another's.
    pub(crate) fn is_empty(&self) -> bool {
        refuse_full(&self.0.store.path).is_ok()
    }

    /// Makes the store, which must be empty and not opened by this workspace, out of files of events of one log from its first event
    /// on. Everything is verified; when anything is not as it was written, there is no store.
    ///
    /// # Errors
    /// A [`HandOverError`].
    pub(crate) fn adopt_events(&self, path: &Path) -> Result<TakenIn, HandOverError> {
        let folder = &self.0.store.path;
        let (files, all) = checked(path)?;
        let node = files[0].1.begin.node;
        let lock = if folder.is_dir() {
            let place = StoreDir::open(folder, Create::Never)?;
            let lock = StoreLock::take(&place, env!("CARGO_PKG_VERSION"))?;
            Some(lock.ok_or_else(|| store::Error::Unreachable { pid: StoreLock::holder(&place) })?)
        } else {
            None
        };
        let start = Head { node, seq: 0, hash: chain::genesis(node) };
        let fill = |beside: &Path| -> Result<Head, HandOverError> {
            let head = stage(&files, beside, start, self.0.payloads.keyring(), &|stored| is_forgotten(&all, stored))?;
            identity::remember(&OsFiles, beside, node)?;
            if !all.is_empty() {
                // What other events quote of it goes when the store is opened.
                forget::mark(&OsFiles, beside)?;
            }
            Ok(head)
        };
        let (head, _) = make_store(folder, fill)?;
        drop(lock);
        Ok(taken(&files, TakenAs::Own, head, start))
    }

    /// Takes in files of events of one log: beside the store's own, or at its end when it is the same log that went on elsewhere. What is here already is compared and left as it is; private parts
    /// that were forgotten here do not come back.
    ///
    /// # Errors
    /// A [`HandOverError`].
    pub(crate) fn import_events(&self, path: &Path) -> Result<TakenIn, HandOverError> {
        let (files, all) = checked(path)?;
        let taken = self.take_in(&files, all)?;
        self.forget_what_came();
        Ok(taken)
    }

    /// The same for files that were read through.
    pub(in crate::workspace) fn take_in(&self, files: &[(Source, Contents)], mut all: Forgets) -> Result<TakenIn, HandOverError> {
        let node = files[0].1.begin.node;
        let lock = self.import_lock().map_err(|error| match error {
            store::Error::RunHeld { pid, .. } => HandOverError::Busy { pid },
            error => error.into(),
        })?;
        let own = self.0.log.head()?;
        let done = if node == own.node {
            self.extend_own(files, &all, own)
        } else {
            self.own_forgets(&mut all)?;
            self.take_in_beside(files, &all)
        };
        lock.end()?;
        done
    }

    /// Compares files of this store's own log with it, and goes on with what a copy of it has recorded since: a store that was put back
    /// from an older backup becomes what it was. One that has gone on by itself meanwhile has gone another way, and is left as it is.
    fn extend_own(&self, files: &[(Source, Contents)], all: &Forgets, own: Head) -> Result<TakenIn, HandOverError> {
        for (file, contents) in files.iter().filter(|(_, contents)| contents.end.to <= own.seq) {
            let to = contents.end.to;
            let here = self.0.log.read(to, 1)?;
            if to > 0 && here.first().map(|event| event.hash) != Some(contents.end.head) {
                return Err(of_file(&file.path)(LinesError::OtherChain(to)));
            }
        }
        if files.iter().all(|(_, contents)| contents.end.to <= own.seq) {
            return Ok(taken(files, TakenAs::Nothing, own, own));
        }
        // Whoever else appends does so through this process now.
        self.0.own()?;
        let log = lock(&self.0.opened.log).upgrade().ok_or(store::Error::Unreachable { pid: None })?;
        let store = self.0.place()?.dir();
        let staging = store.join("journal").join(forget::STAGING);
        let held = RunLock::acquire(self.0.place()?, RunId::from_bytes(STAGING_LOCK))?;
        self.0.payloads.may_write()?;
        let extended = || -> Result<Head, HandOverError> {
            let head = stage(files, &staging, own, self.0.payloads.keyring(), &|stored| is_forgotten(all, stored))?;
            if !all.is_empty() {
                forget::mark(&OsFiles, store)?;
            }
            publish_payloads(&staging, store).map_err(of_file(&staging))?;
            staged(&staging, own.node, &mut |batches| Ok(log.extend(batches)?)).map_err(of_file(&staging))?;
            Ok(head)
        };
        let head = extended();
        // What cannot be removed is begun anew by the next import.
        let _ = fs::remove_dir_all(&staging);
        drop(log);
        held.end()?;
        let head = head?;
        Ok(taken(files, TakenAs::Continued, head, own))
    }

    fn take_in_beside(&self, files: &[(Source, Contents)], all: &Forgets) -> Result<TakenIn, HandOverError> {
        let (store, node) = (self.0.place()?.dir(), files[0].1.begin.node);
        let others = imported::ends(&OsFiles, store, self.0.log.head()?.node)?;
        let start = others.into_iter().find(|head| head.node == node);
        let start = start.unwrap_or(Head { node, seq: 0, hash: chain::genesis(node) });
        for (file, contents) in files.iter().filter(|(_, contents)| contents.end.to < start.seq) {
            if hash_at(store, node, contents.end.to)? != Some(contents.end.head) {
                return Err(of_file(&file.path)(LinesError::OtherChain(contents.end.to)));
            }
        }
        let held = RunLock::acquire(self.0.place()?, RunId::from_bytes(STAGING_LOCK))?;
        // The staged texts are written by the same keys, but away from the store's mark.
        self.0.payloads.may_write()?;
        let staging = store.join("journal").join(forget::STAGING);
        let head =
            stage(files, &staging, start, self.0.payloads.keyring(), &|stored| is_forgotten(all, stored)).inspect_err(|_| {
                // What cannot be removed is begun anew by the next import.
                let _ = fs::remove_dir_all(&staging);
            })?;
        publish(&staging, store, head).map_err(of_file(&staging))?;
        held.end()?;
        if head.seq > start.seq && !all.is_empty() {
            forget::mark(&OsFiles, store)?;
        }
        // An import that was killed may have left segments of which nothing is said yet.
        let recorded = self.imported_logs()?.into_iter().find(|end| end.node == node).map_or(0, |end| end.seq);
        if head.seq > recorded {
            let private = Some(SegmentImportedPrivate {});
            let imported = SegmentImported { node, from: recorded + 1, to: head.seq, head: head.hash, private };
            self.0.runs().append_one(imported.into(), None)?;
        }
        let taken_as = if head.seq > start.seq { TakenAs::Beside } else { TakenAs::Nothing };
        Ok(taken(files, taken_as, head, start))
    }

    /// Returns where the logs of other stores end that were taken in beside this one's, as its own log says.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn imported_logs(&self) -> Result<Vec<Head>, store::Error> {
        let mut ends = BTreeMap::new();
        self.each_of_kind(IMPORTED, &mut |event| {
            if let Event::SegmentImported(body) = event {
                ends.insert(body.node, Head { node: body.node, seq: body.to, hash: body.head });
            }
        })?;
        Ok(ends.into_values().collect())
    }

    /// Adds what the store's own log says is forgotten, wherever it stands.
    fn own_forgets(&self, all: &mut Forgets) -> Result<(), HandOverError> {
        self.each_of_kind(forget::FORGOTTEN, &mut |event| {
            if let Event::PrivatePartsForgotten(body) = event {
                all.entry(body.run).or_default().push((body.which, u64::MAX));
            }
        })?;
        Ok(())
    }

    /// Calls `each` with every event of one kind in the store's own log.
    fn each_of_kind(&self, kind: u16, each: &mut dyn FnMut(Event)) -> Result<(), store::Error> {
        let mut next = 1;
        loop {
            let page = self.0.runs().log_page(next)?;
            let Some(last) = page.last() else { return Ok(()) };
            next = last.envelope.seq + 1;
            for stored in page.iter().filter(|stored| stored.kind == kind) {
                if let Decoded::Known(recorded) = codec::decode(stored)? {
                    each(recorded.event);
                }
            }
        }
    }
}

/// By run: which parts of the events before which position.
pub(in crate::workspace) type Forgets = BTreeMap<RunId, Vec<(ForgottenParts, u64)>>;

fn is_forgotten(all: &Forgets, stored: &Stored) -> bool {
    let said = stored.envelope.run.and_then(|run| all.get(&run));
    said.is_some_and(|said| said.iter().any(|(which, to)| stored.envelope.seq < *to && forget::concerns(*which, stored.kind)))
}

/// Makes a journal of `files` in `into`, after `start`; returns its end.
fn stage(
    files: &[(Source, Contents)],
    into: &Path,
    start: Head,
    keyring: &Arc<Keyring>,
    forgotten: &dyn Fn(&Stored) -> bool,
) -> Result<Head, HandOverError> {
    let mut stage = Stage::begin(into, start, Arc::clone(keyring)).map_err(of_file(into))?;
    for (file, contents) in files {
        let here = stage.head().seq;
        if contents.begin.from > here + 1 {
            return Err(HandOverError::Gap { file: file.path.clone(), missing: here + 1, from: contents.begin.from });
        }
        stage.file(file, forgotten).map_err(of_file(&file.path))?;
    }
    let head = stage.head();
    stage.finish().map_err(of_file(into))?;
    Ok(head)
}

/// Reads the files through that `path` means; returns them with what they hold, and what they say is forgotten.
fn checked(path: &Path) -> Result<(Vec<(Source, Contents)>, Forgets), HandOverError> {
    let paths = if path.is_dir() { of_one_log(path)? } else { vec![path.to_owned()] };
    if paths.is_empty() {
        return Err(HandOverError::NoFiles(path.to_owned()));
    }
    read_through(paths.into_iter().map(Source::lines).collect())
}

/// Reads files of one log through; returns them with what they hold, and what they say is forgotten.
pub(in crate::workspace) fn read_through(sources: Vec<Source>) -> Result<(Vec<(Source, Contents)>, Forgets), HandOverError> {
    let (mut files, mut all): (Vec<(Source, Contents)>, Forgets) = Default::default();
    for source in sources {
        let contents = source.open().and_then(|mut file| read(&mut file, &mut |_| Ok(()))).map_err(of_file(&source.path))?;
        for (run, which, seq) in &contents.forgets {
            all.entry(*run).or_default().push((*which, *seq));
        }
        files.push((source, contents));
    }
    Ok((files, all))
}

/// Returns the files of events in a folder, which must be of one log: those with private parts where there are any.
fn of_one_log(dir: &Path) -> Result<Vec<PathBuf>, HandOverError> {
    let files = event_files(dir)?;
    let private = files.iter().any(|file| file.private);
    let node = files.first().map(|file| file.node);
    if let Some(other) = files.iter().find(|file| Some(file.node) != node) {
        let why = format!("{} is of another log than the others: import one after the other", other.path.display());
        return Err(store::Error::Refused(why).into());
    }
    Ok(files.into_iter().filter(|file| file.private == private).map(|file| file.path).collect())
}

fn taken(files: &[(Source, Contents)], taken_as: TakenAs, head: Head, start: Head) -> TakenIn {
    let imported = head.seq - start.seq;
    let events: u64 = files.iter().map(|(_, contents)| contents.end.events).sum();
    TakenIn {
        taken_as,
        head,
        imported,
        already_there: events.saturating_sub(imported),
        without_private: files.iter().map(|(_, contents)| contents.without_private).sum(),
        missing_payloads: files.iter().map(|(_, contents)| contents.missing_payloads).sum(),
    }
}

/// Returns the hash at the end of a batch of a log that is kept beside.
pub(in crate::workspace) fn hash_at(store: &Path, node: NodeId, seq: u64) -> Result<Option<Hash>, store::Error> {
    use crate::store::journal::segment::{Item, segments};
    let dir = store::journal::folder(store, node);
    for segment in segments(&OsFiles, &dir, node, seq)? {
        let segment = segment?;
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) if frame.last() == seq => return Ok(Some(frame.hash)),
                Item::Frame(_, frame) if frame.last() > seq => return Ok(None),
                _ => {}
            }
        }
    }
    Ok(None)
}

pub(in crate::workspace) fn of_file(file: &Path) -> impl FnOnce(LinesError) -> HandOverError {
    let file = file.to_owned();
    move |source| match source {
        LinesError::Store(source) => source.into(),
        source => HandOverError::File { file, source },
    }
}

/// Opens a file for writing that only its owner can read.
fn restricted(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A file of events, as its name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventFile {
    node: NodeId,
    private: bool,
    from: u64,
    to: u64,
    path: PathBuf,
}

impl EventFile {
    /// `events-<node>-<from>-<to>.jsonl`, and `events-public-…` without private parts.
    fn name(&self) -> String {
        let kind = if self.private { "events" } else { "events-public" };
        format!("{kind}-{}-{:020}-{:020}.jsonl", self.node, self.from, self.to)
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("events-")?.strip_suffix(".jsonl")?.to_owned();
        let (private, name) = name.strip_prefix("public-").map_or((true, name.as_str()), |name| (false, name));
        let mut parts = name.split('-');
        let (node, from, to) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { node, private, from, to, path })
    }
}

/// Returns the files of events in a folder, by log, kind and position.
fn event_files(dir: &Path) -> Result<Vec<EventFile>, store::Error> {
    let names = OsFiles.list(dir).map_err(store::Error::io(dir))?;
    let mut files: Vec<EventFile> = names.iter().filter_map(|name| EventFile::parse(dir.join(name))).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_what_is_in_it() {
        for private in [true, false] {
            let node = NodeId::from_bytes([7; 16]);
            let mut file = EventFile { node, private, from: 1, to: 42, path: PathBuf::new() };
            file.path = Path::new("x").join(file.name());
            assert_eq!(EventFile::parse(file.path.clone()), Some(file));
        }
        for name in ["events.jsonl", "events-1-2-3.jsonl", "events-01ARZ3NDEKTSV4RRFFQ69G5FAV-1-2.jsonl.partial"] {
            assert_eq!(EventFile::parse(PathBuf::from(name)), None, "{name}");
        }
    }
}
