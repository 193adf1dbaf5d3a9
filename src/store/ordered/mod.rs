//! An ordered index on disk, as the store needs it: trees of rows sorted by key. Everything in it can be made again from the journal.
//!
//! [`on_sled`] is the one that people use, `renew` writes it anew, [`memory`] its twin that fails and crashes on command, [`spare`] goes
//! from one to the other where the disk is full, [`copied`] reads what must not be changed. None is ever trusted: whoever gets
//! [`Error::Index`] sets the folder aside and fills a new one. The port knows bytes, not events.

pub mod copied;
pub mod memory;
pub mod on_sled;
mod renew;
pub mod spare;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, Unwritable};

/// A key and its new row; `None` removes it.
pub type Change = (Vec<u8>, Option<Vec<u8>>);
/// A key and its row.
pub type Row = (Vec<u8>, Vec<u8>);

/// An open index. Every error but those of the caller's own is [`Error::Index`], or [`Error::Io`] where its disk cannot be written to.
pub trait OrderedIndex: Send + Sync {
    /// Returns the row at `key`.
    fn get(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Calls `each` with the rows whose keys lie in `[from, to)`, from the largest down when `reverse`, until it returns false.
    fn scan(
        &self,
        tree: &str,
        from: &[u8],
        to: Option<&[u8]>,
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error>;

    /// Makes all changes at once: after a crash all of them are there or none.
    fn apply(&self, tree: &str, changes: Vec<Change>) -> Result<(), Error>;

    /// Inserts rows one after the other: after a crash the first so many are there. Quicker than [`Self::apply`].
    fn fill(&self, tree: &str, rows: Vec<Row>) -> Result<(), Error>;

    /// Returns the names of all trees.
    fn trees(&self) -> Result<Vec<String>, Error>;

    /// Removes a tree.
    fn clear(&self, tree: &str) -> Result<(), Error>;

    /// Writes out what is in memory. It need not be durable: what a power cut takes is filled in again.
    fn flush(&self) -> Result<(), Error>;
}

/// Opens indexes.
pub trait IndexFactory: Send + Sync {
    /// Opens the index in the folder `path`, making it if it is not there; `cache_bytes` is what it may keep in memory.
    ///
    /// # Errors
    /// See [`OpenError`].
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError>;

    /// Returns whether there is anything at `path`.
    fn exists(&self, path: &Path) -> bool;

    /// Renames the folder to `<path>.broken-<n>`, and returns the new name.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error>;

    /// Removes what was set aside of the index at `path` before `newest` was: whatever was made again since has it as well.
    fn drop_older(&self, _path: &Path, _newest: &Path) {}

    /// Returns whether rows may be missing at `path` without a trace, because the machine or its disk went down before they were written:
    /// what is there bears witness to what it has, and has to be made again.
    fn is_doubtful(&self, _path: &Path) -> bool {
        false
    }

    /// Removes the index at `path`, whose place is then free; one that must not be changed is only not looked at any more.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn discard(&self, path: &Path) -> Result<(), Error> {
        self.set_aside(path).map(drop)
    }

    /// Leaves the index at `path` where it is, since its disk cannot be written to, and has it opened in memory from now on. Returns false
    /// where that is not possible, or was done before.
    fn give_up(&self, _path: &Path, _why: Unwritable) -> bool {
        false
    }

    /// Returns why the index at `path` is in memory instead of where it belongs.
    fn given_up(&self, _path: &Path) -> Option<Unwritable> {
        None
    }
}

/// Why an index does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is there cannot be used: set it aside and begin anew.
    #[error("{0}")]
    Broken(String),
    /// Another try may succeed, and a new index would fare no better: no space, no permission, held by somebody.
    #[error(transparent)]
    Failed(Error),
}

impl OpenError {
    fn into_error(self) -> Error {
        match self {
            Self::Broken(why) => Error::Index(why),
            Self::Failed(why) => why,
        }
    }
}

/// Opens the index at `path`; what is broken there is set aside first, and `told` hears why, and as what.
///
/// # Errors
/// Why not even an empty one opens.
pub fn open_or_set_aside(
    shelf: &dyn IndexFactory,
    path: &Path,
    cache_bytes: u64,
    told: &dyn Fn(&str, &Path),
) -> Result<Arc<dyn OrderedIndex>, Error> {
    let why = match shelf.open(path, cache_bytes) {
        Ok(index) => return Ok(index),
        Err(OpenError::Failed(why)) => return Err(why),
        Err(OpenError::Broken(why)) => why,
    };
    if shelf.is_doubtful(path) {
        tracing::info!("{} did not outlive the machine ({why}); it is made again", path.display());
        shelf.discard(path)?;
        return shelf.open(path, cache_bytes).map_err(OpenError::into_error);
    }
    let aside = shelf.set_aside(path)?;
    told(&why, &aside);
    shelf.open(path, cache_bytes).map_err(OpenError::into_error)
}

/// Returns the last row of a tree.
///
/// # Errors
/// What the index says.
pub fn last(index: &dyn OrderedIndex, tree: &str) -> Result<Option<Row>, Error> {
    let mut found = None;
    index.scan(tree, &[], None, true, &mut |key, row| {
        found = Some((key.to_vec(), row.to_vec()));
        false
    })?;
    Ok(found)
}

/// What stands between the name of an index and a number when it was set aside.
pub const ASIDE: &str = ".broken-";

/// Returns whether `other` was set aside of the index at `path`.
fn is_aside(path: &Path, other: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_named = name(other).strip_prefix(&name(path)).is_some_and(|rest| rest.starts_with(ASIDE));
    is_named && path.parent() == other.parent()
}

/// Returns the first name `<path>.broken-<n>` that is free.
pub fn aside(path: &Path, taken: impl Fn(&Path) -> bool) -> PathBuf {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("{ASIDE}{number}"));
        PathBuf::from(name)
    };
    (1..u32::MAX).map(name).find(|path| !taken(path)).unwrap_or_else(|| name(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::memory::MemoryShelf;
    use super::on_sled::SledShelf;
    use super::spare::SpareShelf;
    use super::*;

    fn keys(index: &dyn OrderedIndex, from: &[u8], to: Option<&[u8]>, reverse: bool) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        index
            .scan("tree", from, to, reverse, &mut |key, _| {
                keys.push(key.to_vec());
                true
            })
            .unwrap();
        keys
    }

    fn both(check: impl Fn(&dyn IndexFactory, &Path)) {
        let dir = tempfile::tempdir().unwrap();
        check(&SledShelf::system(), &dir.path().join("index"));
        check(&MemoryShelf::default(), Path::new("index"));
        let spare = SpareShelf::new(Arc::new(SledShelf::system()), |_| {});
        assert!(spare.give_up(Path::new("index"), Unwritable::Full));
        check(&spare, Path::new("index"));
    }

    #[test]
    fn rows_come_in_the_order_of_their_keys() {
        both(|shelf, path| {
            let index = shelf.open(path, 1 << 20).unwrap();
            let rows = [b"c", b"a", b"b"].map(|key| (key.to_vec(), vec![1]));
            index.fill("tree", rows.to_vec()).unwrap();
            index.apply("tree", vec![(b"d".to_vec(), Some(vec![2])), (b"a".to_vec(), None)]).unwrap();
            assert_eq!(keys(&*index, b"", None, false), [b"b", b"c", b"d"]);
            assert_eq!(keys(&*index, b"b", Some(b"d"), true), [b"c", b"b"]);
            assert_eq!(last(&*index, "tree").unwrap(), Some((b"d".to_vec(), vec![2])));
            assert_eq!(index.get("tree", b"d").unwrap(), Some(vec![2]));
            assert_eq!(index.get("other", b"d").unwrap(), None);
            assert!(index.trees().unwrap().contains(&"tree".to_owned()));
            index.clear("tree").unwrap();
            assert!(!index.trees().unwrap().contains(&"tree".to_owned()));
            assert_eq!(last(&*index, "tree").unwrap(), None);
        });
    }

    #[test]
    fn a_scan_sees_every_row_once_and_may_be_asked_from_within() {
        both(|shelf, path| {
            let index = shelf.open(path, 1 << 20).unwrap();
            let key = |number: u32| number.to_be_bytes().to_vec();
            index.fill("tree", (0..3000).map(|number| (key(number), vec![1])).collect()).unwrap();
            let all: Vec<_> = (0..3000).map(key).collect();
            assert_eq!(keys(&*index, b"", None, false), all);
            assert_eq!(keys(&*index, &key(10), Some(&key(2990)), true), all[10..2990].iter().rev().cloned().collect::<Vec<_>>());
            assert_eq!(keys(&*index, &key(9), Some(&key(9)), false), Vec::<Vec<u8>>::new());
            let mut seen = 0;
            let mut each = |key: &[u8], _: &[u8]| {
                seen += 1;
                index.get("tree", key).unwrap().is_some() && seen < 1500
            };
            index.scan("tree", b"", None, false, &mut each).unwrap();
            assert_eq!(seen, 1500);
        });
    }

    #[test]
    fn rows_are_there_again_after_reopening() {
        both(|shelf, path| {
            let index = shelf.open(path, 1 << 20).unwrap();
            index.fill("tree", vec![(b"k".to_vec(), b"v".to_vec())]).unwrap();
            index.flush().unwrap();
            drop(index);
            assert!(shelf.exists(path));
            assert_eq!(shelf.open(path, 1 << 20).unwrap().get("tree", b"k").unwrap(), Some(b"v".to_vec()));
        });
    }

    #[test]
    fn what_is_discarded_leaves_its_place_free_and_nothing_beside_it() {
        both(|shelf, path| {
            let index = shelf.open(path, 1 << 20).unwrap();
            index.fill("tree", vec![(b"k".to_vec(), b"v".to_vec())]).unwrap();
            drop(index);
            shelf.discard(path).unwrap();
            assert!(!shelf.exists(path) && !shelf.exists(&aside(path, |_| false)));
            assert_eq!(shelf.open(path, 1 << 20).unwrap().get("tree", b"k").unwrap(), None);
        });
    }

    #[test]
    fn what_is_set_aside_keeps_its_place_under_a_number() {
        both(|shelf, path| {
            if shelf.given_up(path).is_some() {
                // Nobody comes back for what is in memory alone.
                return;
            }
            for number in 1..3 {
                drop(shelf.open(path, 1 << 20).unwrap());
                let aside = shelf.set_aside(path).unwrap();
                assert!(aside.to_string_lossy().ends_with(&format!("index.broken-{number}")));
                assert!(shelf.exists(&aside) && !shelf.exists(path));
            }
        });
    }

    #[test]
    fn of_what_was_set_aside_the_newest_is_enough() {
        both(|shelf, path| {
            if shelf.given_up(path).is_some() {
                return;
            }
            let beside = path.with_file_name("index2.broken-1");
            drop(shelf.open(&beside, 1 << 20).unwrap());
            let set_aside = || {
                drop(shelf.open(path, 1 << 20).unwrap());
                shelf.set_aside(path).unwrap()
            };
            let (first, second) = (set_aside(), set_aside());
            drop(shelf.open(path, 1 << 20).unwrap());
            shelf.drop_older(path, &second);
            assert_eq!([path, &first, &second, &beside].map(|path| shelf.exists(path)), [true, false, true, true]);
        });
    }
}
