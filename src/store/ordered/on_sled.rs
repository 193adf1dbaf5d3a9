//! The index on sled 0.34.7: the only file that names it.
//!
//! sled is quick and well ordered, and not to be trusted: it never calls fsync on Linux, it panics on damaged files, in its own threads
//! too, and it can lose a tail silently. So every call is guarded, and an index that has panicked is never used again.
//!
//! sled finds what is half written, but not what is missing between two writes that a power cut left. An index that can be made again in a
//! moment is not synced for that: before sled touches it, an empty file in its folder names, durably, the time since which nothing can
//! have been lost ([`boot`]). Whoever finds the name of another time there knows that the machine or its disk may have gone before
//! everything was written, and makes the index again. A large one is synced when it is flushed, and has no such name. Where such times
//! cannot be told apart, every index is synced.
//!
//! sled writes what is free in its file full of zeros whenever it opens it, and keeps it: after much writing that is most of the file, and
//! most of the time that a command takes. So an index is written anew when it is closed and much of it is free.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{Change, IndexFactory, OpenError, OrderedIndex, Row, aside, is_aside, renew};
use crate::store::files::{remove_all, restrict};
use crate::store::guard::{guarded, quiet};
use crate::store::{Error, Unwritable, boot};

/// How often and how long apart opening is tried while an index that was just dropped still holds its lock.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An index whose file is longer, in bytes, is synced when it is flushed: to make it again takes a while.
const UNSYNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What the name of the file begins with that says since when an index may hold what was never synced.
const MARK: &str = "boot.";
/// What it ends with while it may not be on the disk yet.
const BEGUN: &str = ".new";

/// Opens indexes on sled.
#[derive(Clone, Copy, Debug)]
pub struct SledShelf {
    /// Names the time since which nothing that was written to a folder can have been lost.
    since: fn(&Path) -> Option<String>,
    /// An index whose file is longer, in bytes, is synced when it is flushed.
    unsynced_bytes_max: u64,
}

impl SledShelf {
    /// Indexes of this machine.
    pub fn system() -> Self {
        Self { since: boot::since, unsynced_bytes_max: UNSYNCED_BYTES_MAX }
    }
}

impl IndexFactory for SledShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        if path.exists() && !path.is_dir() {
            return Err(OpenError::Broken("a file lies where its folder should be".to_owned()));
        }
        // A renewal that was killed leaves what it was writing, or what it had written anew.
        renew::tidy(path);
        let was_there = path.exists();
        let kept = Kept::begin(path, *self).unwrap_or_else(|why| {
            // sled says why better than this does.
            tracing::debug!("{} is synced: {why}", path.display());
            Kept::default()
        });
        let mut index = SledIndex::open(path, cache_bytes, was_there, kept)?;
        index.is_renewed = true;
        Ok(Arc::new(index))
    }

    fn is_doubtful(&self, path: &Path) -> bool {
        let marks = marks(path);
        if marks.is_empty() {
            return false;
        }
        let since = (self.since)(path);
        marks.iter().any(|mark| Some(mark) != since.as_ref())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        let to = aside(path, Path::exists);
        fs::rename(path, &to).map_err(Error::io(path))?;
        Ok(to)
    }

    fn drop_older(&self, path: &Path, newest: &Path) {
        let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        let older = entries.map(|entry| entry.path()).filter(|other| is_aside(path, other) && other != newest);
        older.for_each(|older| clear_away(&older));
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        // Renamed first: whatever ends this process, nobody takes what is left of it for an index.
        clear_away(&self.set_aside(path)?);
        Ok(())
    }
}

fn clear_away(path: &Path) {
    if let Err(why) = remove_all(path) {
        tracing::warn!("{} could not be removed: {why}", path.display());
    }
}

/// Opens the index in the folder `path` to read it; the folder may be removed from then on, and nothing is written when it is closed.
///
/// # Errors
/// See [`OpenError`].
pub fn open_copy(path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
    let mut index = SledIndex::open(path, cache_bytes, true, Kept::default())?;
    index.is_copy = true;
    Ok(Arc::new(index))
}

impl SledIndex {
    pub(super) fn open(path: &Path, cache_bytes: u64, was_there: bool, kept: Kept) -> Result<Self, OpenError> {
        quiet("sled-0.34");
        let config = sled::Config::new().cache_capacity(cache_bytes).flush_every_ms(None);
        let config = match &kept.unsynced {
            // For what is temporary sled waits for no disk, and removes it when it is dropped: here a link of the system's, which stays.
            Some(folder) => config.path(link(folder)).temporary(true),
            None => config.path(path),
        };
        let is_whole = was_there && kept.mark.is_none();
        for _ in 0..LOCK_TRIES {
            match guarded(|| config.open()) {
                Ok(Ok(db)) => {
                    tighten(path);
                    return Ok(Self {
                        path: path.to_owned(),
                        db: Some(db),
                        trees: RwLock::default(),
                        broken: AtomicBool::new(false),
                        is_changed: AtomicBool::new(!is_whole),
                        is_new: AtomicBool::new(!is_whole),
                        kept,
                        is_copy: false,
                        is_renewed: false,
                        written: AtomicU64::new(0),
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
                Ok(Err(why)) => return Err(OpenError::Broken(words(&why))),
                Err(panic) => return Err(OpenError::Broken(words_of_panic(&panic))),
            }
        }
        Err(OpenError::Failed(Error::Index(format!("{} is held by another process", path.display()))))
    }
}

/// How an index is kept on its disk.
#[derive(Default)]
pub(super) struct Kept {
    /// Its folder, held open, if nothing in it is synced.
    unsynced: Option<File>,
    /// The file that says since when it may hold what is not synced, if it does.
    mark: Option<PathBuf>,
}

impl Kept {
    /// Looks how the index in the folder `path` is to be kept, and says durably since when it may hold what is not synced.
    fn begin(path: &Path, shelf: SledShelf) -> io::Result<Self> {
        let is_small = fs::metadata(path.join("db")).map_or(true, |file| file.len() <= shelf.unsynced_bytes_max);
        if is_small && !path.exists() {
            fs::create_dir_all(path)?;
        }
        let Some(since) = (shelf.since)(path) else { return Ok(Self::default()) };
        let mark = path.join(format!("{MARK}{since}"));
        if !is_small {
            return Ok(Self { mark: mark.exists().then_some(mark), unsynced: None });
        }
        let folder = File::open(path)?;
        if !fs::symlink_metadata(link(&folder)).is_ok_and(|found| found.is_symlink()) || !link(&folder).is_dir() {
            return Ok(Self { mark: mark.exists().then_some(mark), unsynced: None });
        }
        if !mark.exists() {
            // It has its name once it is on the disk: whoever finds it need not sync it.
            let begun = path.join(format!("{MARK}{since}{BEGUN}"));
            File::create(&begun).and_then(|_| restrict(&begun, 0o600)).and_then(|()| folder.sync_all())?;
            fs::rename(&begun, &mark)?;
        }
        Ok(Self { unsynced: Some(folder), mark: Some(mark) })
    }
}

/// Returns a path to an open folder, whatever its name is by now.
fn link(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Returns whether a file of an index says when it was made rather than what is in it.
pub fn is_mark(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Returns the names of the times since which the index in the folder `path` may hold what was never synced.
fn marks(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let name = |mark: &str| mark.strip_prefix(MARK).map(|name| name.strip_suffix(BEGUN).unwrap_or(name).to_owned());
    entries.filter_map(|entry| name(entry.file_name().to_str()?)).collect()
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

/// Says for people what sled found; its own words are for those who look into sled, and go to the trace.
fn words(why: &sled::Error) -> String {
    tracing::debug!("sled says: {why}");
    match why {
        sled::Error::Corruption { .. } => "what is in it is not as it was written".to_owned(),
        sled::Error::Io(why) => format!("its files cannot be read: {why}"),
        sled::Error::Unsupported(_) => "it has a form that this version does not read".to_owned(),
        sled::Error::CollectionNotFound(_) | sled::Error::ReportableBug(_) => "it contradicts itself".to_owned(),
    }
}

/// Like [`words`], where sled did not return.
fn words_of_panic(panic: &str) -> String {
    tracing::debug!("sled stopped: {panic}");
    "it contradicts itself".to_owned()
}

/// Takes others' permissions from what sled made; its folder is closed to them anyway, so a failure changes nothing.
fn tighten(path: &Path) {
    let _ = restrict(path, 0o700);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let mode = if entry.path().is_dir() { 0o700 } else { 0o600 };
        let _ = restrict(&entry.path(), mode);
    }
}

pub(super) struct SledIndex {
    path: PathBuf,
    /// `None` only while dropping.
    db: Option<sled::Db>,
    trees: RwLock<HashMap<String, sled::Tree>>,
    /// It has panicked or found corruption once; nothing it says after that counts.
    broken: AtomicBool,
    /// Something was written that was not flushed.
    is_changed: AtomicBool,
    /// Its folder was not synced.
    is_new: AtomicBool,
    kept: Kept,
    /// Its folder is gone, and nobody comes back for what is in memory.
    is_copy: bool,
    /// It is written anew when it is closed and much of it is free.
    is_renewed: bool,
    /// Bytes of rows that were written.
    written: AtomicU64,
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
                return Err(Error::Index(format!("{}: {}", self.path.display(), words_of_panic(&panic))));
            }
        };
        self.broken.store(true, Ordering::Release);
        match why {
            sled::Error::Io(why) if Unwritable::of(&why).is_some() => Err(Error::io(&self.path)(why)),
            why => Err(Error::Index(format!("{}: {}", self.path.display(), words(&why)))),
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
        let bytes = changes.iter().map(|(key, row)| key.len() + row.as_ref().map_or(0, Vec::len));
        self.written.fetch_add(bytes.sum::<usize>() as u64, Ordering::Relaxed);
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
        self.written.fetch_add(rows.iter().map(bytes_of).sum::<usize>() as u64, Ordering::Relaxed);
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
            tighten(&self.path);
            if self.kept.unsynced.is_some() {
                return Ok(());
            }
            File::open(self.path.join("db"))?.sync_data()?;
            if self.is_new.swap(false, Ordering::AcqRel) {
                for file in ["conf", "blobs", "."] {
                    File::open(self.path.join(file))?.sync_all()?;
                }
                if let Some(mark) = &self.kept.mark {
                    // Everything is on the disk; a mark that stays costs another making, no more.
                    let _ = fs::remove_file(mark);
                }
            }
            Ok(())
        })
    }
}

impl Drop for SledIndex {
    fn drop(&mut self) {
        let (db, trees) = (self.db.take(), std::mem::take(&mut self.trees));
        if self.is_copy || self.broken.load(Ordering::Acquire) {
            // Dropping flushes, and a flush after a panic may wait for ever: the memory is the smaller loss.
            std::mem::forget((db, trees, self.kept.unsynced.take()));
        } else if let Err(panic) = guarded(|| drop((trees, db))) {
            tracing::warn!("{}: {panic}", self.path.display());
        } else if self.is_renewed {
            match renew::renew(&self.path, self.written.load(Ordering::Relaxed)) {
                Ok(false) => {}
                Ok(true) => tracing::info!("{} was written anew: much of it was free", self.path.display()),
                Err(why) => {
                    renew::tidy(&self.path);
                    tracing::debug!("{} stays as it is: {why}", self.path.display());
                }
            }
        }
    }
}

/// Bytes of a row.
fn bytes_of((key, row): &Row) -> usize {
    key.len() + row.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SledShelf = SledShelf { since: |_| Some("a".to_owned()), unsynced_bytes_max: 1 << 20 };
    const B: SledShelf = SledShelf { since: |_| Some("b".to_owned()), ..A };
    const UNTOLD: SledShelf = SledShelf { since: |_| None, ..A };

    fn fill(shelf: SledShelf, path: &Path) {
        let index = shelf.open(path, 1 << 20).unwrap();
        index.fill("tree", vec![(b"k".to_vec(), b"v".to_vec())]).unwrap();
        index.flush().unwrap();
    }

    fn row(shelf: SledShelf, path: &Path) -> Option<Vec<u8>> {
        shelf.open(path, 1 << 20).unwrap().get("tree", b"k").unwrap()
    }

    #[test]
    fn what_was_not_synced_before_the_machine_went_down_is_doubtful_until_it_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = A.open(&path, 1 << 20).unwrap();
        assert_eq!(marks(&path), ["a"], "named before anything is written");
        drop(index);
        fill(A, &path);
        assert_eq!((A.is_doubtful(&path), row(A, &path)), (false, Some(b"v".to_vec())));
        for later in [B, UNTOLD] {
            assert!(later.is_doubtful(&path));
            // It still bears witness, which makes it no better.
            assert_eq!(row(later, &path), Some(b"v".to_vec()));
            assert!(later.is_doubtful(&path));
        }
        B.discard(&path).unwrap();
        assert!(!B.is_doubtful(&path) && !path.exists());
        assert_eq!((row(B, &path), marks(&path)), (None, vec!["b".to_owned()]));
    }

    #[test]
    fn what_does_not_open_after_the_machine_went_down_is_begun_anew_without_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let spoil = || {
            fs::remove_file(path.join("db")).unwrap();
            fs::create_dir(path.join("db")).unwrap();
        };
        fill(A, &path);
        spoil();
        let index = super::super::open_or_set_aside(&B, &path, 1 << 20, &|why, _| panic!("{why}")).unwrap();
        assert_eq!(index.get("tree", b"k").unwrap(), None);
        drop(index);
        fill(B, &path);
        spoil();
        let told = std::sync::Mutex::new(0);
        drop(super::super::open_or_set_aside(&B, &path, 1 << 20, &|_, _| *told.lock().unwrap() += 1).unwrap());
        assert_eq!(*told.lock().unwrap(), 1, "what breaks while the machine lives is told");
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_set_aside_like_any_index_that_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        fs::write(&path, "text").unwrap();
        let aside = std::sync::Mutex::new(PathBuf::new());
        let told = |_: &str, path: &Path| *aside.lock().unwrap() = path.to_owned();
        let index = super::super::open_or_set_aside(&A, &path, 1 << 20, &told).unwrap();
        assert_eq!(index.get("tree", b"k").unwrap(), None);
        let aside = aside.into_inner().unwrap();
        assert_eq!(fs::read_to_string(&aside).unwrap(), "text");
        A.drop_older(&path, &path);
        assert!(!aside.exists() && path.is_dir());
    }

    #[test]
    fn an_index_that_is_synced_is_never_doubtful() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        fill(UNTOLD, &path);
        assert_eq!(marks(&path), Vec::<String>::new());
        assert!(!B.is_doubtful(&path));
        // From here on it is not synced, and from before that on it says so.
        fs::write(path.join("boot.a.new"), "").unwrap();
        assert_eq!((A.is_doubtful(&path), B.is_doubtful(&path)), (false, true));
        assert_eq!((row(A, &path), marks(&path)), (Some(b"v".to_vec()), vec!["a".to_owned()]));
        assert!(B.is_doubtful(&path) && path.join("boot.a").exists());
    }

    #[test]
    fn a_large_index_is_synced_and_its_mark_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = A.open(&path, 1 << 20).unwrap();
        for number in 0..600u32 {
            // Nothing that compresses or repeats.
            let row: Vec<u8> = (0..4096u32).map(|at| (at.wrapping_mul(number * 2 + 1) >> 3) as u8).collect();
            index.fill("tree", vec![(number.to_be_bytes().to_vec(), row)]).unwrap();
        }
        index.flush().unwrap();
        drop(index);
        assert!(fs::metadata(path.join("db")).unwrap().len() > A.unsynced_bytes_max);
        assert_eq!(marks(&path), ["a"], "it was not synced while it grew");
        let index = A.open(&path, 64 << 20).unwrap();
        assert_eq!(index.get("tree", &7u32.to_be_bytes()).unwrap().map(|row| row.len()), Some(4096));
        index.flush().unwrap();
        assert_eq!(marks(&path), Vec::<String>::new());
        drop(index);
        assert!(!B.is_doubtful(&path));
        drop(B.open(&path, 64 << 20).unwrap());
        assert_eq!(marks(&path), Vec::<String>::new());
    }
}
