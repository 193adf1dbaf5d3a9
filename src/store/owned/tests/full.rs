//! A disk that gets full under the indexes, while the journal has room.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::store::ordered::spare::SpareShelf;
use crate::store::ordered::{Change, OpenError, OrderedIndex, Row};

/// Indexes whose disk gets full.
#[derive(Clone, Default)]
struct FillingShelf {
    inner: MemoryShelf,
    is_full: Arc<AtomicBool>,
}

struct FillingIndex(Arc<dyn OrderedIndex>, Arc<AtomicBool>);

impl FillingIndex {
    fn room(&self) -> Result<(), Error> {
        if self.1.load(Ordering::Relaxed) { Err(Error::io("/store/log")(Unwritable::Full.into())) } else { Ok(()) }
    }
}

impl IndexFactory for FillingShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        let index = FillingIndex(self.inner.open(path, cache_bytes)?, Arc::clone(&self.is_full));
        index.room().map_err(OpenError::Failed)?;
        Ok(Arc::new(index))
    }

    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        panic!("{} is sound", path.display())
    }
}

impl OrderedIndex for FillingIndex {
    fn get(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(tree, key)
    }

    fn scan(
        &self,
        tree: &str,
        from: &[u8],
        to: Option<&[u8]>,
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        self.0.scan(tree, from, to, reverse, each)
    }

    fn apply(&self, tree: &str, changes: Vec<Change>) -> Result<(), Error> {
        self.room()?;
        self.0.apply(tree, changes)
    }

    fn fill(&self, tree: &str, rows: Vec<Row>) -> Result<(), Error> {
        self.room()?;
        self.0.fill(tree, rows)
    }

    fn trees(&self) -> Result<Vec<String>, Error> {
        self.0.trees()
    }

    fn clear(&self, tree: &str) -> Result<(), Error> {
        self.room()?;
        self.0.clear(tree)
    }

    fn flush(&self) -> Result<(), Error> {
        self.room()?;
        self.0.flush()
    }
}

#[test]
fn a_disk_that_gets_full_ends_no_reading_and_takes_in_what_runs_under_way_append() {
    let world = views::world(1, false, World::default());
    let (disk, told) = (FillingShelf::default(), Arc::new(AtomicU64::new(0)));
    let open = || {
        let told = Arc::clone(&told);
        let shelf = SpareShelf::new(Arc::new(disk.clone()), move |_| {
            told.fetch_add(1, Ordering::Relaxed);
        });
        OwnedLog::open(Path::new("/store"), Options { shelf: Arc::new(shelf), ..world.options() }).unwrap().0
    };
    let log = open();
    (1..20).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let before = check_log(&log);
    disk.is_full.store(true, Ordering::Relaxed);
    let version = log.read_run(run(1), 1, u32::MAX).unwrap().len() as u64;
    let of_run = |id: u128, number: u128, version: u64| Batch {
        expected_version: Some((run(number), version)),
        ..batch(id, vec![event(Some(run(number)), id as u64)])
    };
    log.append(&of_run(100, 1, version)).unwrap();
    assert_eq!(check_log(&log).len(), before.len() + 1, "what is appended can be read");
    assert_eq!(log.in_memory(), Some(Unwritable::Full));
    log.append(&of_run(101, 1, version + 1)).unwrap();
    for refused in [of_run(102, 9, 0), some(103)] {
        let error = log.append(&refused).unwrap_err();
        assert_eq!(error.unwritable(), Some(Unwritable::Full), "{error}");
    }
    views::check_view(&log);
    drop(log);
    assert_eq!(told.load(Ordering::Relaxed), 1, "it is said once");

    let full = open();
    assert_eq!(check_log(&full).len(), before.len() + 2);
    assert!(full.append(&of_run(104, 1, version + 2)).is_err(), "nothing is begun on a full disk");
    drop(full);
    disk.is_full.store(false, Ordering::Relaxed);
    let log = open();
    log.append(&of_run(104, 1, version + 2)).unwrap();
    assert_eq!(log.in_memory(), None);
    assert_eq!(check_log(&log).len(), before.len() + 3);
}
