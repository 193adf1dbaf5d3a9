//! The index on sled 0.34.7: the only file that names it.
//!
//! sled is quick and well ordered, and not to be trusted: it never calls fsync on Linux, it panics on damaged files, in its own threads
//! too, and it can lose a tail silently. So every call is guarded, an index that has panicked is never used again, and what was flushed
//! is synced here: sled finds what is half written, but not what is missing between two writes that a power cut left.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{Change, IndexFactory, OpenError, OrderedIndex, Row, aside};
use crate::store::files::restrict;
use crate::store::guard::{guarded, quiet};
use crate::store::{Error, Unwritable};

/// How often and how long apart opening is tried while an index that was just dropped still holds its lock.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Opens indexes on sled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SledShelf;

impl IndexFactory for SledShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        Ok(Arc::new(SledIndex::open(path, cache_bytes)?))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        let to = aside(path, Path::exists);
        fs::rename(path, &to).map_err(Error::io(path))?;
        Ok(to)
    }
}

/// Opens the index in the folder `path` to read it; the folder may be removed from then on, and nothing is written when it is closed.
///
/// # Errors
/// See [`OpenError`].
pub fn open_copy(path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
    let mut index = SledIndex::open(path, cache_bytes)?;
    index.is_copy = true;
    Ok(Arc::new(index))
}

impl SledIndex {
    fn open(path: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        quiet("sled-0.34");
        let was_there = path.exists();
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
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

impl OrderedIndex for SledIndex {
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
        self.is_changed.store(true, Ordering::Release);
        self.tree(tree, |tree| tree.apply_batch(batch))
    }

    fn fill(&self, tree: &str, rows: Vec<Row>) -> Result<(), Error> {
        self.is_changed.store(true, Ordering::Release);
        self.tree(tree, |tree| {
            for (key, row) in rows {
                tree.insert(key, row)?;
            }
            Ok(())
        })
    }

    fn trees(&self) -> Result<Vec<String>, Error> {
        self.call(|db| Ok(db.tree_names().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()))
    }

    fn clear(&self, tree: &str) -> Result<(), Error> {
        self.is_changed.store(true, Ordering::Release);
        self.call(|db| {
            self.trees.write().unwrap_or_else(PoisonError::into_inner).remove(tree);
            db.drop_tree(tree).map(|_| ())
        })
    }

    fn flush(&self) -> Result<(), Error> {
        if self.is_copy || !self.is_changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.call(|db| {
            db.flush()?;
            File::open(self.path.join("db"))?.sync_data()?;
            if self.is_new.swap(false, Ordering::AcqRel) {
                for file in ["conf", "blobs", "."] {
                    File::open(self.path.join(file))?.sync_all()?;
                }
            }
            tighten(&self.path);
            Ok(())
        })
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
