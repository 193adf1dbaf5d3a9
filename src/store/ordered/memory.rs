//! The index in memory: keeps what was flushed apart from what was not, and fails, breaks and crashes on command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Change, OpenError, Ordered, Row, Shelf, aside};
use crate::store::{Error, lock};

type Tree = BTreeMap<Vec<u8>, Vec<u8>>;

/// Indexes in memory by path. Clones share them, so a store can be opened again on what it left.
#[derive(Clone, Default)]
pub struct MemoryShelf(Arc<Mutex<BTreeMap<PathBuf, Arc<MemoryIndex>>>>);

impl MemoryShelf {
    /// Returns indexes with the same rows that share nothing with these.
    #[cfg(test)]
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

impl Shelf for MemoryShelf {
    fn open(&self, path: &Path, _: u64) -> Result<Arc<dyn Ordered>, OpenError> {
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
}

#[derive(Default)]
struct MemoryIndex(Mutex<State>);

#[derive(Default)]
struct State {
    trees: BTreeMap<String, Tree>,
    /// Every write since the beginning; a crash keeps the first so many.
    writes: Vec<Write>,
    flushed: usize,
    calls_left: Option<u64>,
    spoilt: bool,
}

#[derive(Clone)]
struct Write {
    tree: String,
    /// `None` removes the tree.
    changes: Option<Vec<Change>>,
}

impl State {
    fn write(&mut self, tree: &str, changes: Option<Vec<Change>>) {
        match &changes {
            Some(changes) => {
                let rows = self.trees.entry(tree.to_owned()).or_default();
                for (key, row) in changes {
                    match row {
                        Some(row) => rows.insert(key.clone(), row.clone()),
                        None => rows.remove(key),
                    };
                }
            }
            None => drop(self.trees.remove(tree)),
        }
        self.writes.push(Write { tree: tree.to_owned(), changes });
    }

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
    fn call<T>(&self, run: impl FnOnce(&mut State) -> T) -> Result<T, Error> {
        let mut state = lock(&self.0);
        if let Some(left) = state.calls_left {
            let Some(left) = left.checked_sub(1) else { return Err(Error::Index("told to fail".to_owned())) };
            state.calls_left = Some(left);
        }
        Ok(run(&mut state))
    }
}

impl Ordered for MemoryIndex {
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
        let within = |key: &[u8]| key >= from && to.is_none_or(|to| key < to);
        let mut rows: Vec<Row> = self.call(|state| {
            let rows = state.trees.get(tree).into_iter().flatten();
            rows.filter(|(key, _)| within(key)).map(|(key, row)| (key.clone(), row.clone())).collect()
        })?;
        if reverse {
            rows.reverse();
        }
        let _ = rows.iter().all(|(key, row)| each(key, row));
        Ok(())
    }

    fn apply(&self, tree: &str, changes: Vec<Change>) -> Result<(), Error> {
        self.call(|state| state.write(tree, Some(changes)))
    }

    fn fill(&self, tree: &str, rows: Vec<Row>) -> Result<(), Error> {
        self.call(|state| {
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
        self.call(|state| state.flushed = state.writes.len())
    }
}
