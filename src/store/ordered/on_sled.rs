//! The index on sled 0.34.7: the only file that names it.
//!
//! sled is quick and well ordered, and not to be trusted: it never calls fsync on Linux, it panics on damaged files, in its own threads
//! too, and it can lose a tail silently. So every call is guarded, and an index that has panicked is never used again.
//!
//! sled finds what is half written, but not what is missing between two writes that a power cut left. An index that can be made again in a
//! moment is not synced for that: before it is first changed, an empty file beside it names, durably, the time since which nothing can have
//! been lost ([`boot`]). Whoever finds the name of another time there knows that the machine or its disk may have gone before everything was
//! written, and makes the index again. A large one is synced when it is flushed, and the name goes. Where such times cannot be told apart,
//! every index is synced.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{Change, OpenError, Ordered, Row, Shelf, aside};
use crate::store::files::restrict;
use crate::store::guard::{guarded, quiet};
use crate::store::{Error, Unwritable, boot};

/// How often and how long apart opening is tried while an index that was just dropped still holds its lock.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An index whose file is longer, in bytes, is synced when it is flushed: to make it again takes a while.
const UNSYNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What the name of the file begins with that says since when an index may hold what was never synced.
const MARK: &str = "boot.";

/// Opens indexes on sled.
#[derive(Clone, Copy, Debug)]
pub struct SledShelf {
    /// Names the time since which nothing in a folder can have been lost.
    since: fn(&Path) -> Option<String>,
}

impl SledShelf {
    /// Indexes of this machine.
    pub fn system() -> Self {
        Self { since: boot::since }
    }
}

impl Shelf for SledShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn Ordered>, OpenError> {
        Ok(Arc::new(SledIndex::open(path, cache_bytes, self.since)?))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        let to = aside(path, Path::exists);
        fs::rename(path, &to).map_err(Error::io(path))?;
        Ok(to)
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        // Renamed first: whatever ends this process, nobody takes what is left of it for an index.
        let aside = self.set_aside(path)?;
        if let Err(why) = fs::remove_dir_all(&aside) {
            tracing::warn!("{} could not be removed: {why}", aside.display());
        }
        Ok(())
    }
}

/// Opens the index in the folder `path` to read it; the folder may be removed from then on, and nothing is written when it is closed.
///
/// # Errors
/// See [`OpenError`].
pub fn open_copy(path: &Path, cache_bytes: u64) -> Result<Arc<dyn Ordered>, OpenError> {
    let mut index = SledIndex::open(path, cache_bytes, boot::since)?;
    index.is_copy = true;
    Ok(Arc::new(index))
}

impl SledIndex {
    fn open(path: &Path, cache_bytes: u64, since: fn(&Path) -> Option<String>) -> Result<Self, OpenError> {
        quiet("sled-0.34");
        let was_there = path.exists();
        let folder = fs::create_dir_all(path).and_then(|()| File::open(path));
        let folder = folder.map_err(|why| OpenError::Failed(Error::io(path)(why)))?;
        let (since, marks) = (since(path), marks(path));
        let config = sled::Config::new().cache_capacity(cache_bytes).flush_every_ms(None);
        let config = match unwaiting(&folder).filter(|_| since.is_some()) {
            Some(link) => config.path(link).temporary(true),
            None => config.path(path),
        };
        for _ in 0..LOCK_TRIES {
            match guarded(|| config.open()) {
                Ok(Ok(db)) => {
                    tighten(path);
                    return Ok(Self {
                        path: path.to_owned(),
                        db: Some(db),
                        trees: RwLock::default(),
                        broken: AtomicBool::new(false),
                        is_changed: AtomicBool::new(!was_there),
                        is_new: AtomicBool::new(!was_there),
                        is_marked: RwLock::new(marks.iter().any(|mark| Some(mark.as_str()) == since.as_deref())),
                        is_doubtful: marks.iter().any(|mark| Some(mark.as_str()) != since.as_deref()),
                        since,
                        folder,
                        is_copy: false,
                    });
                }
                Ok(Err(sled::Error::Io(why))) if why.to_string().contains("could not acquire lock") => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Ok(Err(sled::Error::Io(why))) if is_of_the_system(&why) => {
                    if !was_there {
                        // Nobody is to take for an index what could only be begun.
                        let _ = fs::remove_dir_all(path);
                    }
                    return Err(OpenError::Failed(Error::io(path)(why)));
                }
                Ok(Err(why)) => return Err(OpenError::Broken(why.to_string())),
                Err(panic) => return Err(OpenError::Broken(panic)),
            }
        }
        Err(OpenError::Failed(Error::Index(format!("{} is held by another process", path.display()))))
    }
}

/// Returns whether the index in the folder `path` may lack rows without a trace.
pub fn is_doubtful(path: &Path) -> bool {
    let since = boot::since(path);
    marks(path).iter().any(|mark| Some(mark.as_str()) != since.as_deref())
}

/// Returns whether a file of an index says when it was made rather than what is in it.
pub fn is_mark(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Returns the names of the times since which the index in the folder `path` may hold what was never synced.
fn marks(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(MARK)?.to_owned())).collect()
}

/// Returns a path to an open folder by which sled waits for no disk. It does so for what is temporary, and removes that when it is dropped:
/// of this path that is a link, which the system does not let go.
fn unwaiting(folder: &File) -> Option<PathBuf> {
    let link = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let is_link = fs::symlink_metadata(&link).is_ok_and(|found| found.is_symlink());
    (cfg!(target_os = "linux") && is_link && link.is_dir()).then_some(link)
}

/// Whether a new index would meet the same error: then nothing is wrong with this one.
fn is_of_the_system(why: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        why.kind(),
        Kind::PermissionDenied
            | Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::ReadOnlyFilesystem
            | Kind::NotFound
            | Kind::NotADirectory
    ) || why.raw_os_error().is_some_and(|code| code == rustix::io::Errno::MFILE.raw_os_error())
}

/// Takes others' permissions from what sled made; its folder is closed to them anyway, so a failure changes nothing.
fn tighten(path: &Path) {
    let _ = restrict(path, 0o700);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let mode = if entry.path().is_dir() { 0o700 } else { 0o600 };
        let _ = restrict(&entry.path(), mode);
    }
}

struct SledIndex {
    path: PathBuf,
    /// `None` only while dropping.
    db: Option<sled::Db>,
    trees: RwLock<HashMap<String, sled::Tree>>,
    /// It has panicked or found corruption once; nothing it says after that counts.
    broken: AtomicBool,
    /// Something was written that was not flushed.
    is_changed: AtomicBool,
    /// It was made by this process, and its folder was not synced.
    is_new: AtomicBool,
    /// Names the time since which nothing in its folder can have been lost.
    since: Option<String>,
    /// The folder says so durably, because it may hold what was not synced; taken for writing by whoever syncs everything.
    is_marked: RwLock<bool>,
    /// It may hold what was not synced since another time.
    is_doubtful: bool,
    /// Its folder, held open as long as sled uses it.
    folder: File,
    /// Its folder is gone, and nobody comes back for what is in memory.
    is_copy: bool,
}

impl SledIndex {
    fn call<T>(&self, run: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let db = self.db.as_ref().filter(|_| !self.broken.load(Ordering::Acquire));
        let Some(db) = db else { return Err(Error::Index(format!("{} is broken", self.path.display()))) };
        let why = match guarded(|| run(db)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(why)) => why,
            Err(panic) => {
                self.broken.store(true, Ordering::Release);
                return Err(Error::Index(format!("{}: {panic}", self.path.display())));
            }
        };
        self.broken.store(true, Ordering::Release);
        match why {
            sled::Error::Io(why) if Unwritable::of(&why).is_some() => Err(Error::io(&self.path)(why)),
            why => Err(Error::Index(format!("{}: {why}", self.path.display()))),
        }
    }

    /// Calls `run`, which changes something.
    fn change<T>(&self, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.is_changed.store(true, Ordering::Release);
        if self.since.is_none() || self.is_copy {
            return run();
        }
        let is_marked = loop {
            let is_marked = self.is_marked.read().unwrap_or_else(PoisonError::into_inner);
            if *is_marked {
                break is_marked;
            }
            drop(is_marked);
            self.mark(&mut self.is_marked.write().unwrap_or_else(PoisonError::into_inner))?;
        };
        let outcome = run();
        drop(is_marked);
        outcome
    }

    /// Says durably that the folder may hold what is not synced.
    fn mark(&self, is_marked: &mut bool) -> Result<(), Error> {
        let Some(since) = self.since.as_ref().filter(|_| !*is_marked) else { return Ok(()) };
        let path = self.path.join(format!("{MARK}{since}"));
        File::create(&path).and_then(|_| self.folder.sync_all()).map_err(Error::io(&path))?;
        let _ = restrict(&path, 0o600);
        *is_marked = true;
        Ok(())
    }

    fn sync(&self, db: &sled::Db) -> sled::Result<()> {
        db.flush()?;
        File::open(self.path.join("db"))?.sync_data()?;
        if self.is_new.swap(false, Ordering::AcqRel) {
            for file in ["conf", "blobs", "."] {
                File::open(self.path.join(file))?.sync_all()?;
            }
        }
        Ok(())
    }

    fn tree<T>(&self, name: &str, run: impl FnOnce(&sled::Tree) -> sled::Result<T>) -> Result<T, Error> {
        self.call(|db| {
            let known = self.trees.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
            let tree = match known {
                Some(tree) => tree,
                None => {
                    let tree = db.open_tree(name)?;
                    self.trees.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), tree.clone());
                    tree
                }
            };
            run(&tree)
        })
    }
}

impl Ordered for SledIndex {
    fn get(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.tree(tree, |tree| Ok(tree.get(key)?.map(|row| row.to_vec())))
    }

    fn scan(
        &self,
        tree: &str,
        from: &[u8],
        to: Option<&[u8]>,
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        self.tree(tree, |tree| {
            let mut rows = tree.range::<&[u8], _>((Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded)));
            while let Some(row) = if reverse { rows.next_back() } else { rows.next() } {
                let (key, row) = row?;
                if !each(&key, &row) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn apply(&self, tree: &str, changes: Vec<Change>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, row) in changes {
            match row {
                Some(row) => batch.insert(key, row),
                None => batch.remove(key),
            }
        }
        self.change(|| self.tree(tree, |tree| tree.apply_batch(batch)))
    }

    fn fill(&self, tree: &str, rows: Vec<Row>) -> Result<(), Error> {
        self.change(|| {
            self.tree(tree, |tree| {
                for (key, row) in rows {
                    tree.insert(key, row)?;
                }
                Ok(())
            })
        })
    }

    fn trees(&self) -> Result<Vec<String>, Error> {
        self.call(|db| Ok(db.tree_names().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()))
    }

    fn clear(&self, tree: &str) -> Result<(), Error> {
        self.change(|| {
            self.call(|db| {
                self.trees.write().unwrap_or_else(PoisonError::into_inner).remove(tree);
                db.drop_tree(tree).map(|_| ())
            })
        })
    }

    fn flush(&self) -> Result<(), Error> {
        if self.is_copy || !self.is_changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let is_small = || fs::metadata(self.path.join("db")).is_ok_and(|file| file.len() <= UNSYNCED_BYTES_MAX);
        if self.since.is_some() && is_small() {
            self.call(|db| db.flush().map(drop))?;
        } else {
            // Nobody writes between the sync and the end of the mark.
            let mut is_marked = self.is_marked.write().unwrap_or_else(PoisonError::into_inner);
            self.call(|db| self.sync(db))?;
            if let Some(since) = &self.since {
                let mark = self.path.join(format!("{MARK}{since}"));
                *is_marked = fs::remove_file(&mark).is_err() && mark.exists();
            }
        }
        tighten(&self.path);
        Ok(())
    }

    fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }
}

impl Drop for SledIndex {
    fn drop(&mut self) {
        let (db, trees) = (self.db.take(), std::mem::take(&mut self.trees));
        if self.is_copy || self.broken.load(Ordering::Acquire) {
            // Dropping flushes, and a flush after a panic may wait for ever: the memory is the smaller loss.
            std::mem::forget((db, trees));
        } else if let Err(panic) = guarded(|| drop((trees, db))) {
            tracing::warn!("{}: {panic}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SledShelf = SledShelf { since: |_| Some("a".to_owned()) };
    const B: SledShelf = SledShelf { since: |_| Some("b".to_owned()) };
    const UNTOLD: SledShelf = SledShelf { since: |_| None };

    fn row() -> Vec<Row> {
        vec![(b"k".to_vec(), b"v".to_vec())]
    }

    #[test]
    fn what_was_not_synced_before_the_machine_went_down_is_doubtful() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = A.open(&path, 1 << 20).unwrap();
        index.fill("tree", row()).unwrap();
        assert_eq!((marks(&path), index.is_doubtful()), (vec!["a".to_owned()], false), "named before anything is flushed");
        index.flush().unwrap();
        drop(index);
        let again = A.open(&path, 1 << 20).unwrap();
        assert_eq!((again.is_doubtful(), again.get("tree", b"k").unwrap()), (false, Some(b"v".to_vec())));
        drop(again);
        for later in [B, UNTOLD] {
            let index = later.open(&path, 1 << 20).unwrap();
            assert!(index.is_doubtful());
            // It still bears witness.
            assert_eq!(index.get("tree", b"k").unwrap(), Some(b"v".to_vec()));
        }
    }

    #[test]
    fn an_index_that_is_synced_is_not_doubtful_and_reading_marks_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = UNTOLD.open(&path, 1 << 20).unwrap();
        index.fill("tree", row()).unwrap();
        index.flush().unwrap();
        drop(index);
        let index = A.open(&path, 1 << 20).unwrap();
        assert_eq!(index.get("tree", b"k").unwrap(), Some(b"v".to_vec()));
        drop(index);
        assert_eq!(marks(&path), Vec::<String>::new());
        assert!(!B.open(&path, 1 << 20).unwrap().is_doubtful());
    }

    #[test]
    fn a_large_index_is_synced_and_may_be_written_to_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = A.open(&path, 1 << 20).unwrap();
        index.fill("tree", row()).unwrap();
        let file = File::options().write(true).open(path.join("db")).unwrap();
        file.set_len(UNSYNCED_BYTES_MAX + 1).unwrap();
        index.flush().unwrap();
        assert_eq!(marks(&path), Vec::<String>::new());
        index.fill("tree", row()).unwrap();
        assert_eq!(marks(&path), ["a"]);
    }
}
