//! The index of one store: both sides of it, kept up to the log, made anew when they cannot be trusted.
//!
//! Everything lies in one folder that can be deleted at any time. One process changes it, by a lock of its own, so that appends
//! never wait for it; the others read what the last change left. How far the words' side has seen the log stands in its last
//! commit; the meanings' side holds whatever passages were embedded, newest first.

mod missing;

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use self::missing::Missing;
use super::document::{self, Document};
use super::embed::{self, Embedder};
use super::fuse::Unrelated;
use super::lexical::{self, Lexical, Seen};
use super::vectors::{self, Appender, Vectors};
use crate::domain::ids::{Hash, RunId};
use crate::store::{self, Unwritable, guard::guarded, lock};
use crate::views::run_detail::RunDetail;

/// The form of documents and passages. Another number makes the index anew.
const FORM: u32 = 9;
/// Runs between two commits: what a crash makes to be done again.
const COMMIT_RUNS: usize = 2_000;
/// Events looked through at once for the runs that they belong to.
const WINDOW_EVENTS: u32 = 20_000;
/// Passages embedded between two writes.
const EMBED_PASSAGES: usize = 64;
/// Passages embedded between two writes beside other work.
const EMBED_PASSAGES_BESIDE: usize = 16;
/// Passages without a vector of which a search embeds none: so many are work of minutes, and whoever asks waits for nothing.
const FAR_BEHIND: u64 = 1024;
/// Beside the vectors of a model: how near unrelated texts are for it.
const UNRELATED: &str = "unrelated";

/// Says that texts in the index are forgotten: words and kept answers are cleared before anything else is done.
const STALE: &str = "stale";
/// Says that texts were left out since their key was not at hand.
const LOCKED: &str = "locked";
/// Says that there are vectors of forgotten texts: once the words' side is whole, it tells which vectors are needed.
const UNPRUNED: &str = "unpruned";

/// Why the index cannot be brought up to the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] store::Error),
    /// The words' side.
    #[error(transparent)]
    Lexical(#[from] lexical::Error),
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] embed::Error),
    /// A file is in the way.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Returns why nothing can be written to the index, when that is what went wrong.
    pub fn unwritable(&self) -> Option<Unwritable> {
        match self {
            Self::Lexical(lexical::Error::Unwritable(why)) => Some(*why),
            Self::Io { source, .. } => Unwritable::of(source),
            _ => None,
        }
    }
}

/// The log, as the index needs it.
pub trait Source {
    /// Returns the store's identity, the last position and the hash there.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn head(&self) -> Result<(String, u64, Hash), store::Error>;

    /// Returns the hash at position `seq`; `None` when there is none.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn hash_at(&self, seq: u64) -> Result<Option<Hash>, store::Error>;

    /// Returns the runs with events after position `after`, of at most `limit` events; `None` when there are no such events.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn touched(&self, after: u64, limit: u32) -> Result<Option<Window>, store::Error>;

    /// Returns everything that is known of a run, and the position of its last event; 0 for a run whose events are not in this log.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn detail(&self, run: RunId) -> Result<(RunDetail, u64), store::Error>;
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The runs with events in it, in the order of the first event of each.
    pub runs: Vec<Touched>,
    /// Its last position.
    pub seq: u64,
    /// The chain's hash there.
    pub hash: Hash,
}

/// A run with events in a part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The run.
    pub run: RunId,
    /// The position of the first of these events.
    pub first: u64,
    /// The position of the last of them.
    pub last: u64,
}

/// Says whether to go on: told how many of how many things are done.
pub type GoOn<'a> = &'a (dyn Fn(u64, u64) -> bool + Sync);

/// The index in one folder.
#[derive(Clone)]
pub struct IndexDir {
    dir: PathBuf,
    /// The words' side in memory, once it was asked for; `None` for one that is used where it lies.
    copy: Option<Arc<Mutex<Option<Lexical>>>>,
}

/// How an index is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is none.
    Absent,
    /// It is made in memory here, because nothing can be written.
    InMemory,
    /// Texts in it were forgotten: whoever takes it next makes it anew.
    Stale,
    /// It cannot be read, with the reason.
    Broken(String),
    /// It can be read.
    Read {
        /// What it has seen of the log.
        seen: Seen,
        /// The runs in it.
        runs: u64,
    },
}

/// Held by the process that changes the index.
pub struct Hold {
    place: IndexDir,
    _lock: Option<File>,
}

impl IndexDir {
    /// Returns the index in the folder `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, copy: None }
    }

    /// Returns the index in the folder `dir`, where nothing can be written: its words' side is copied into memory, and brought up to the
    /// log there.
    pub fn in_memory(dir: PathBuf) -> Self {
        Self { dir, copy: Some(Arc::default()) }
    }

    /// Returns whether it is a copy in memory.
    pub fn is_in_memory(&self) -> bool {
        self.copy.is_some()
    }

    /// Returns whether there is one.
    pub fn exists(&self) -> bool {
        self.copy.is_some() || self.lexical_dir().is_dir()
    }

    /// Opens the words' side, or its copy.
    fn open(&self) -> Result<Lexical, lexical::Error> {
        let Some(copy) = &self.copy else { return Lexical::open(&self.lexical_dir()) };
        let mut copy = lock(copy);
        if let Some(lexical) = &*copy {
            return Ok(lexical.clone());
        }
        // One with forgotten texts is not looked at.
        let lexical = Lexical::in_memory(&if self.is_stale() { self.dir.join(STALE) } else { self.lexical_dir() })?;
        Ok(copy.insert(lexical).clone())
    }

    /// Sees to it that whoever takes the index next clears it first, because texts in it are forgotten. Without an index there is
    /// nothing to see to.
    ///
    /// # Errors
    /// What the file system says.
    pub fn mark_stale(&self) -> std::io::Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(STALE))?;
        file.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    /// Returns whether the index is to be cleared because texts in it are forgotten.
    pub fn is_stale(&self) -> bool {
        self.dir.join(STALE).exists()
    }

    /// Remembers that a run was indexed without the texts that are encrypted under this key.
    ///
    /// # Errors
    /// What the file system says.
    pub fn mark_locked(&self, key: &str) -> std::io::Result<()> {
        if self.copy.is_some() {
            return Ok(());
        }
        std::fs::write(self.dir.join(LOCKED), key)
    }

    /// Returns the key without which texts were left out of the index.
    pub fn locked(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.join(LOCKED)).ok()
    }

    /// Takes the index for changing, and clears it first when it is stale; `None` while another process has it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn hold(&self) -> Result<Option<Hold>, Error> {
        if self.copy.is_some() {
            return Ok(Some(Hold { place: self.clone(), _lock: None }));
        }
        let path = self.dir.join("lock");
        let io = |source| Error::Io { path: path.clone(), source };
        std::fs::create_dir_all(&self.dir).map_err(io)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {
                let hold = Hold { place: self.clone(), _lock: Some(file) };
                hold.clear_stale()?;
                Ok(Some(hold))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Opens the words' side for reading; `None` when there is none, or none that can be read.
    pub(super) fn lexical(&self) -> Option<Lexical> {
        self.exists().then(|| guarded(|| self.open()).ok()?.ok()).flatten()
    }

    /// Looks at what is there, and changes nothing.
    pub fn condition(&self) -> Condition {
        let read = || -> Result<Condition, lexical::Error> {
            let lexical = self.open()?;
            let runs = lexical.searcher()?.runs()?;
            Ok(lexical.seen()?.map_or(Condition::Absent, |seen| Condition::Read { seen, runs }))
        };
        match self.lexical_dir().join(lexical::COMMIT_FILE).is_file() {
            _ if self.is_in_memory() => Condition::InMemory,
            _ if self.is_stale() => Condition::Stale,
            // Opening it would make one.
            false if self.exists() => Condition::Broken(format!("{} is missing", lexical::COMMIT_FILE)),
            false => Condition::Absent,
            true => guarded(read)
                .unwrap_or_else(|panic| Err(lexical::Error::Broken(panic)))
                .unwrap_or_else(|why| Condition::Broken(why.to_string())),
        }
    }

    /// Opens the vectors of an embedder for reading; `None` when there are none.
    pub fn vectors(&self, embedder: &Embedder) -> Option<Vectors> {
        Vectors::open(&self.vectors_dir(embedder.id()), embedder.dims()).ok().flatten()
    }

    /// Returns how near unrelated texts are for an embedder, as far as that is known.
    pub fn unrelated(&self, embedder: &Embedder) -> Option<Unrelated> {
        embedder.unrelated().or_else(|| {
            let text = std::fs::read_to_string(self.vectors_dir(embedder.id()).join(UNRELATED)).ok()?;
            let (mean, deviation) = text.trim().split_once(' ')?;
            Some(Unrelated { mean: mean.parse().ok()?, deviation: deviation.parse().ok()? })
        })
    }

    /// Embeds passages that have no vector, those of the newest runs first, as long as `go_on` says so, and takes the index only to write
    /// down what was embedded: others can change it meanwhile. Returns how many were embedded and how many are missing still.
    ///
    /// # Errors
    /// An [`Error`]; what was written until then stays.
    pub fn embed_beside(&self, embedder: &Embedder, go_on: GoOn<'_>) -> Result<(u64, u64), Error> {
        let mut done = 0;
        let Some(mut missing) = Missing::of(self, embedder)? else { return Ok((0, 0)) };
        loop {
            let left = missing.len();
            if left == 0 || self.copy.is_some() || !go_on(done, done + left) {
                return Ok((done, left));
            }
            let texts = missing.take(EMBED_PASSAGES_BESIDE)?;
            let words: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
            let vectors = embedder.embed(&words)?;
            let Some(_hold) = self.hold()? else { return Ok((done, left)) };
            let mut rows: Vec<(u64, Vec<f32>)> = texts.into_iter().zip(vectors).map(|((key, _), vector)| (key, vector)).collect();
            let is_changed = missing.seen != self.state(embedder);
            if is_changed {
                // What was forgotten or indexed otherwise meanwhile is not wanted any more.
                let Some(now) = Missing::of(self, embedder)? else { return Ok((done, 0)) };
                missing = now;
                rows.retain(|(key, _)| missing.keys.remove(key));
            }
            if rows.is_empty() {
                if is_changed && missing.len() > 0 {
                    continue;
                }
                return Ok((done, missing.len()));
            }
            self.append(embedder, &rows)?;
            missing.seen = self.state(embedder);
            done += rows.len() as u64;
        }
    }

    /// Tells one state of the index from another: the last commit of the words' side, and how long the file of vectors is.
    fn state(&self, embedder: &Embedder) -> (Option<Hash>, u64) {
        let commit = std::fs::read(self.lexical_dir().join(lexical::COMMIT_FILE)).ok();
        let vectors = std::fs::metadata(self.vectors_dir(embedder.id()).join("vectors"));
        (commit.map(|commit| Hash::of(&commit)), vectors.map_or(0, |file| file.len()))
    }

    fn append(&self, embedder: &Embedder, rows: &[(u64, Vec<f32>)]) -> Result<(), Error> {
        let dir = self.vectors_dir(embedder.id());
        let io = |source| Error::Io { path: dir.clone(), source };
        Appender::open(&dir, embedder.dims()).and_then(|mut appender| appender.append(rows)).map_err(io)
    }

    /// Returns the folder that holds the vectors of an embedder.
    pub fn vectors_dir(&self, embedder: &str) -> PathBuf {
        self.dir.join("vectors").join(embedder)
    }

    fn lexical_dir(&self) -> PathBuf {
        self.dir.join("lexical")
    }
}

/// What bringing the index up to the log did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// The position that the index has seen now.
    pub seq: u64,
    /// Runs indexed.
    pub runs: u64,
    /// Why it was made anew, in words.
    pub anew: Option<String>,
    /// It reached the head that the log had when it began.
    pub whole: bool,
}

impl Hold {
    /// Brings the words' side up to the log, as long as `go_on` says so, which is told positions.
    ///
    /// # Errors
    /// An [`Error`]; what was committed until then stays.
    pub fn catch_up(&self, source: &dyn Source, go_on: GoOn<'_>) -> Result<CaughtUp, Error> {
        let (node, head, _) = source.head()?;
        let (lexical, mut anew) = self.open()?;
        let seen = lexical.seen()?;
        let is_ours = seen.as_ref().map(|seen| is_of(seen, &node, source)).transpose()?;
        if is_ours == Some(false) {
            anew = Some("it was made from another log or in another form".to_owned());
        }
        let Seen { seq, ahead, .. } = seen.filter(|_| is_ours == Some(true)).unwrap_or_default();
        let mut done = CaughtUp { seq, runs: 0, anew, whole: seq >= head };
        if done.whole && is_ours == Some(true) {
            self.prune()?;
            return Ok(done);
        }
        let mut writer = lexical.writer()?;
        if is_ours != Some(true) {
            writer.clear()?;
        }
        // A run is read whole, up to now: what it has further on in the log is passed over then.
        let mut ahead: HashMap<RunId, u64> = ahead.iter().filter_map(|(run, to)| Some((run.parse().ok()?, *to))).collect();
        let (mut from, mut uncommitted, mut is_written) = (seq, 0, is_ours == Some(true));
        'log: while let Some(window) = source.touched(from, WINDOW_EVENTS)? {
            let is_ahead = |touched: &&Touched| ahead.get(&touched.run).is_some_and(|to| *to >= touched.last);
            let behind: Vec<Touched> = window.runs.iter().filter(|touched| !is_ahead(touched)).copied().collect();
            for (index, touched) in behind.iter().enumerate() {
                let (detail, last) = source.detail(touched.run)?;
                writer.replace(&detail.run_id, &document::of_run(&detail))?;
                ahead.insert(touched.run, last.max(touched.last));
                done.runs += 1;
                uncommitted += 1;
                // Everything before the first event of the next one is of runs that were replaced.
                let Some(next) = behind.get(index + 1) else { continue };
                from = from.max(next.first.saturating_sub(1));
                if uncommitted >= COMMIT_RUNS {
                    let hash = source.hash_at(from)?.unwrap_or_default();
                    writer.commit(&self.seen(&node, from, hash, &mut ahead))?;
                    (done.seq, uncommitted, is_written) = (from, 0, true);
                }
                if !go_on(from, head) {
                    break 'log;
                }
            }
            from = window.seq;
            if uncommitted > 0 {
                writer.commit(&self.seen(&node, from, window.hash, &mut ahead))?;
                (done.seq, uncommitted, is_written) = (from, 0, true);
            }
            if from >= head || !go_on(from, head) {
                break;
            }
        }
        if done.seq < from || uncommitted > 0 || !is_written {
            writer.commit(&self.seen(&node, from, source.hash_at(from)?.unwrap_or_default(), &mut ahead))?;
            done.seq = from;
        }
        done.whole = done.seq >= head;
        writer.finish()?;
        if done.whole {
            self.prune()?;
        }
        Ok(done)
    }

    /// Clears what is stale: words, and vectors that are kept beside the index for tasks. The vectors of passages are looked through once
    /// it is known which passages there are.
    fn clear_stale(&self) -> Result<(), Error> {
        let (dir, stale) = (&self.place.dir, self.place.dir.join(STALE));
        if !self.place.is_stale() {
            return Ok(());
        }
        let io = |source| Error::Io { path: stale.clone(), source };
        File::create(dir.join(UNPRUNED)).and_then(|file| file.sync_all()).map_err(io)?;
        self.clear()?;
        remove(&dir.join("tasks"))?;
        std::fs::remove_file(&stale).and_then(|()| File::open(dir)?.sync_all()).map_err(io)
    }

    /// Drops the vectors that no passage needs, when some are of forgotten texts.
    fn prune(&self) -> Result<(), Error> {
        let flag = self.place.dir.join(UNPRUNED);
        if self.place.copy.is_some() || !flag.exists() {
            return Ok(());
        }
        let mut needed = HashSet::new();
        if let Some(lexical) = self.place.lexical() {
            lexical.searcher()?.each_passage(&mut |_, key| needed.extend([key]))?;
        }
        let folder = self.place.dir.join("vectors");
        let io = |source| Error::Io { path: folder.clone(), source };
        let embedders: Vec<_> = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        embedders.iter().try_for_each(|dir| vectors::retain(dir, &needed)).map_err(io)?;
        std::fs::remove_file(&flag).map_err(io)
    }

    /// Puts `documents` in the place of everything on the words' side: for an index that is made from no log.
    ///
    /// # Errors
    /// An [`Error`].
    pub fn fill(&self, documents: &[Document], seen: &Seen) -> Result<(), Error> {
        let (lexical, _) = self.open()?;
        let mut writer = lexical.writer()?;
        writer.clear()?;
        for document in documents {
            writer.add(document)?;
        }
        writer.commit(seen)?;
        Ok(writer.finish()?)
    }

    /// Removes the words' side, to be made anew. Vectors stay: they are found again by the texts that they stand for.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn clear(&self) -> Result<(), Error> {
        if let Some(copy) = &self.place.copy {
            *lock(copy) = Some(Lexical::in_memory(&self.place.dir.join(STALE))?);
            return Ok(());
        }
        remove(&self.place.lexical_dir())?;
        // Who makes it anew finds out anew what cannot be read.
        let locked = self.place.dir.join(LOCKED);
        match std::fs::remove_file(&locked) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path: locked, source }),
            _ => Ok(()),
        }
    }

    /// Embeds passages that have no vector, those of the newest runs first, as long as `go_on` says so. Returns how many were
    /// embedded and how many are missing still.
    ///
    /// # Errors
    /// An [`Error`]; what was written until then stays.
    pub fn embed(&self, embedder: &Embedder, go_on: GoOn<'_>) -> Result<(u64, u64), Error> {
        self.embed_for("", embedder, go_on)
    }

    /// Embeds as [`Self::embed`] does, but before everything else what the words of `question` find, the best first: what a search is to
    /// compare. These few are embedded whatever `go_on` says: where only loading the model takes all the time that there is, each process
    /// would load it for nothing. Where far too many are missing for that, a question waits for none of them.
    ///
    /// # Errors
    /// An [`Error`]; what was written until then stays.
    pub fn embed_for(&self, question: &str, embedder: &Embedder, go_on: GoOn<'_>) -> Result<(u64, u64), Error> {
        let Some(mut missing) = Missing::of(&self.place, embedder)? else { return Ok((0, 0)) };
        let (total, is_asked) = (missing.len(), !question.is_empty());
        let is_far = is_asked && total > FAR_BEHIND;
        if total == 0 || is_far || self.place.copy.is_some() || !(is_asked || go_on(0, total)) {
            return Ok((0, total));
        }
        missing.put_first(question)?;
        if self.place.unrelated(embedder).is_none() {
            let unrelated = embed::unrelated::measure(embedder)?;
            let dir = self.place.vectors_dir(embedder.id());
            let words = format!("{} {}\n", unrelated.mean, unrelated.deviation);
            let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(dir.join(UNRELATED), words));
            written.map_err(|source| Error::Io { path: dir, source })?;
        }
        let mut done = 0;
        loop {
            // What is put first is written down before there is time for more.
            let is_first = done == 0 && is_asked;
            let texts = missing.take(if is_first { EMBED_PASSAGES_BESIDE } else { EMBED_PASSAGES })?;
            if texts.is_empty() {
                break;
            }
            let words: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
            let vectors = embedder.embed_with(&words, &|more| is_first || go_on(done + more as u64, total))?;
            let asked = vectors.len();
            let rows: Vec<(u64, Vec<f32>)> =
                texts.into_iter().zip(vectors).filter_map(|((key, _), vector)| Some((key, vector?))).collect();
            self.place.append(embedder, &rows)?;
            done += rows.len() as u64;
            if rows.len() < asked || !go_on(done, total) {
                break;
            }
        }
        Ok((done, total - done))
    }

    /// Opens the words' side, which is made anew when it cannot be read.
    fn open(&self) -> Result<(Lexical, Option<String>), Error> {
        let open = || self.place.open().and_then(|lexical| lexical.seen().and(lexical.searcher()).map(|_| lexical));
        let opened = guarded(open).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic)));
        match opened {
            Ok(lexical) => Ok((lexical, None)),
            Err(why @ (lexical::Error::Busy | lexical::Error::Unwritable(_))) => Err(why.into()),
            Err(why) => {
                self.clear()?;
                Ok((self.place.open()?, Some(why.to_string())))
            }
        }
    }

    /// Says what was seen, and forgets of `ahead` what is not ahead any more.
    fn seen(&self, node: &str, seq: u64, hash: Hash, ahead: &mut HashMap<RunId, u64>) -> Seen {
        ahead.retain(|_, to| *to > seq);
        let ahead = ahead.iter().map(|(run, to)| (run.to_string(), *to)).collect();
        Seen { form: FORM, node: node.to_owned(), seq, hash: hash.to_string(), ahead }
    }
}

/// Returns whether what an index has seen is the beginning of this log.
///
/// # Errors
/// When the log cannot be read.
pub fn is_of(seen: &Seen, node: &str, source: &dyn Source) -> Result<bool, store::Error> {
    if seen.form != FORM || seen.node != node {
        return Ok(false);
    }
    Ok(seen.seq == 0 || source.hash_at(seen.seq)?.is_some_and(|hash| hash.to_string() == seen.hash))
}

fn remove(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path: dir.to_owned(), source }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
