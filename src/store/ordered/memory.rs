//! The index in memory: for a store that cannot be written to, and for tests, where it keeps what was flushed apart from what was not, and
//! fails, breaks and crashes on command.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Change, IndexFactory, OpenError, OrderedIndex, Row, aside, is_aside};
use crate::store::{Error, lock};

type Tree = BTreeMap<Vec<u8>, Vec<u8>>;

/// Rows taken out of a tree at once by a scan, at first and at most: many scans want one row.
const SCAN_ROWS_MIN: usize = 4;
const SCAN_ROWS_MAX: usize = 1024;

/// Indexes in memory by path. Clones share them, so a store can be opened again on what it left.
#[derive(Clone, Default)]
pub struct MemoryShelf(Arc<Mutex<BTreeMap<PathBuf, Arc<MemoryIndex>>>>);

/// Indexes in memory that keep their rows and nothing else: they cannot crash, and end with the process.
#[derive(Clone, Default)]
pub struct PlainShelf(MemoryShelf);

impl IndexFactory for PlainShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        lock(&(self.0).0).entry(path.to_owned()).or_insert_with(|| Arc::new(MemoryIndex::plain()));
        self.0.open(path, cache_bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        // Nobody comes back for it.
        let aside = self.0.set_aside(path)?;
        lock(&(self.0).0).remove(&aside);
        Ok(aside)
    }
}

#[cfg(test)]
impl MemoryShelf {
    /// Returns indexes with the same rows that share nothing with these.
    pub(crate) fn copy(&self) -> Self {
        let copied = |index: &Arc<MemoryIndex>| {
            let state = lock(&index.0);
            let trees = state.trees.clone();
            Arc::new(MemoryIndex(Mutex::new(State { trees, ..State::default() })))
        };
        let indexes = lock(&self.0).iter().map(|(path, index)| (path.clone(), copied(index))).collect();
        Self(Arc::new(Mutex::new(indexes)))
    }

    /// Loses what was not flushed, in every index.
    pub fn crash(&self) {
        for index in lock(&self.0).values() {
            let mut state = lock(&index.0);
            let flushed = state.flushed;
            state.truncate(flushed);
        }
    }

    /// Makes the index at `path` fail after `calls` more calls, for good.
    pub fn fail_after(&self, path: &Path, calls: u64) {
        if let Some(index) = lock(&self.0).get(path) {
            lock(&index.0).calls_left = Some(calls);
        }
    }

    /// Makes the index at `path` doubtful, as one is whose machine went down.
    pub fn doubt(&self, path: &Path) {
        if let Some(index) = lock(&self.0).get(path) {
            lock(&index.0).doubtful = true;
        }
    }

    /// Loses some of the writes to every index, flushed or not, as a machine does that goes down before they are on its disk.
    pub fn power_cut(&self, seed: u64) {
        let mut dice = seed;
        for index in lock(&self.0).values() {
            let mut state = lock(&index.0);
            state.doubtful = true;
            state.writes.retain(|_| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                dice >> 62 != 0
            });
            let left = state.writes.len();
            state.truncate(left);
            state.flushed = left;
        }
    }

    /// Makes the index at `path` unusable: it does not open any more.
    pub fn spoil(&self, path: &Path) {
        if let Some(index) = lock(&self.0).get(path) {
            lock(&index.0).spoilt = true;
        }
    }

    /// Keeps only the first `writes` writes to the index at `path`, as a silent loss of its end does.
    pub fn truncate(&self, path: &Path, writes: usize) {
        if let Some(index) = lock(&self.0).get(path) {
            lock(&index.0).truncate(writes);
        }
    }
}

impl IndexFactory for MemoryShelf {
    fn open(&self, path: &Path, _: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        let index = Arc::clone(lock(&self.0).entry(path.to_owned()).or_default());
        if lock(&index.0).spoilt {
            return Err(OpenError::Broken("spoilt".to_owned()));
        }
        Ok(index)
    }

    fn exists(&self, path: &Path) -> bool {
        lock(&self.0).contains_key(path)
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        let mut indexes = lock(&self.0);
        let to = aside(path, |path| indexes.contains_key(path));
        if let Some(index) = indexes.remove(path) {
            indexes.insert(to.clone(), index);
        }
        Ok(to)
    }

    fn drop_older(&self, path: &Path, newest: &Path) {
        lock(&self.0).retain(|other, _| other == newest || !is_aside(path, other));
    }

    fn is_doubtful(&self, path: &Path) -> bool {
        lock(&self.0).get(path).is_some_and(|index| lock(&index.0).doubtful)
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        lock(&self.0).remove(path);
        Ok(())
    }
}

#[derive(Default)]
struct MemoryIndex(Mutex<State>);

#[derive(Default)]
struct State {
    trees: BTreeMap<String, Tree>,
    /// Writes are not remembered.
    is_plain: bool,
    /// Every write since the beginning; a crash keeps the first so many.
    #[cfg(test)]
    writes: Vec<Write>,
    #[cfg(test)]
    flushed: usize,
    calls_left: Option<u64>,
    spoilt: bool,
    doubtful: bool,
}

#[cfg(test)]
#[derive(Clone)]
struct Write {
    tree: String,
    /// `None` removes the tree.
    changes: Option<Vec<Change>>,
}

impl State {
    fn write(&mut self, tree: &str, changes: Option<Vec<Change>>) {
        self.remember(tree, changes.as_ref());
        let Some(changes) = changes else { return drop(self.trees.remove(tree)) };
        if !self.trees.contains_key(tree) {
            self.trees.insert(tree.to_owned(), Tree::new());
        }
        let Some(rows) = self.trees.get_mut(tree) else { return };
        for (key, row) in changes {
            match row {
                Some(row) => rows.insert(key, row),
                None => rows.remove(&key),
            };
        }
    }

    /// Remembers a write, which a crash may lose. Outside of tests nothing crashes but the process, and the rows end with it.
    #[cfg(test)]
    fn remember(&mut self, tree: &str, changes: Option<&Vec<Change>>) {
        if !self.is_plain {
            self.writes.push(Write { tree: tree.to_owned(), changes: changes.cloned() });
        }
    }

    #[cfg(not(test))]
    fn remember(&mut self, _: &str, _: Option<&Vec<Change>>) {}

    #[cfg(test)]
    fn flush(&mut self) {
        self.flushed = self.writes.len();
    }

    #[cfg(not(test))]
    fn flush(&mut self) {}

    #[cfg(test)]
    fn truncate(&mut self, writes: usize) {
        let mut kept = std::mem::take(&mut self.writes);
        kept.truncate(writes);
        self.trees.clear();
        for Write { tree, changes } in kept {
            self.write(&tree, changes);
        }
        self.flushed = self.flushed.min(writes);
    }
}

impl MemoryIndex {
    fn plain() -> Self {
        Self(Mutex::new(State { is_plain: true, ..State::default() }))
    }

    fn call<T>(&self, run: impl FnOnce(&mut State) -> T) -> Result<T, Error> {
        let mut state = lock(&self.0);
        if let Some(left) = state.calls_left {
            let Some(left) = left.checked_sub(1) else { return Err(Error::Index("told to fail".to_owned())) };
            state.calls_left = Some(left);
        }
        Ok(run(&mut state))
    }
}

impl OrderedIndex for MemoryIndex {
    fn get(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.call(|state| state.trees.get(tree)?.get(key).cloned())
    }

    fn scan(
        &self,
        tree: &str,
        from: &[u8],
        to: Option<&[u8]>,
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let (mut from, mut to) = (Bound::Included(from.to_vec()), to.map_or(Bound::Unbounded, |to| Bound::Excluded(to.to_vec())));
        let mut at_once = SCAN_ROWS_MIN;
        loop {
            // Taken out a few at a time: whoever is called may ask the index as well.
            let rows: Vec<Row> = self.call(|state| {
                let is_empty = match (&from, &to) {
                    (Bound::Included(from), Bound::Excluded(to)) => from >= to,
                    (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
                    _ => false,
                };
                let Some(rows) = state.trees.get(tree).filter(|_| !is_empty) else { return Vec::new() };
                let rows = rows.range((from.clone(), to.clone()));
                let owned = |(key, row): (&Vec<u8>, &Vec<u8>)| (key.clone(), row.clone());
                if reverse { rows.rev().take(at_once).map(owned).collect() } else { rows.take(at_once).map(owned).collect() }
            })?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            match reverse {
                true => to = Bound::Excluded(last.clone()),
                false => from = Bound::Excluded(last.clone()),
            }
            if !rows.iter().all(|(key, row)| each(key, row)) || rows.len() < at_once {
                return Ok(());
            }
            at_once = (at_once * 4).min(SCAN_ROWS_MAX);
        }
    }

    fn apply(&self, tree: &str, changes: Vec<Change>) -> Result<(), Error> {
        self.call(|state| state.write(tree, Some(changes)))
    }

    fn fill(&self, tree: &str, rows: Vec<Row>) -> Result<(), Error> {
        self.call(|state| {
            if state.is_plain {
                return state.write(tree, Some(rows.into_iter().map(|(key, row)| (key, Some(row))).collect()));
            }
            for (key, row) in rows {
                state.write(tree, Some(vec![(key, Some(row))]));
            }
        })
    }

    fn trees(&self) -> Result<Vec<String>, Error> {
        self.call(|state| state.trees.keys().cloned().collect())
    }

    fn clear(&self, tree: &str) -> Result<(), Error> {
        self.call(|state| state.write(tree, None))
    }

    fn flush(&self) -> Result<(), Error> {
        self.call(State::flush)
    }
}
