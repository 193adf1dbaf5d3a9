//! Indexes on disk that move into memory when their disk cannot take them any more.
//!
//! A full disk is no reason to read nothing: everything in an index can be made again from the journal. Nothing on the disk is changed for
//! that, so the next process finds the index as it was left, and goes on with it once there is room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::memory::PlainShelf;
use super::{IndexFactory, OpenError, OrderedIndex};
use crate::store::{Error, Unwritable, lock};

/// Opens indexes on `disk` as long as that can be written to, and in memory after that.
pub struct SpareShelf {
    disk: Arc<dyn IndexFactory>,
    memory: PlainShelf,
    given_up: Mutex<BTreeMap<PathBuf, Unwritable>>,
    told: Box<dyn Fn(Unwritable) + Send + Sync>,
}

impl SpareShelf {
    /// Indexes on `disk`; `told` hears once that they cannot be kept there.
    pub fn new(disk: Arc<dyn IndexFactory>, told: impl Fn(Unwritable) + Send + Sync + 'static) -> Self {
        Self { disk, memory: PlainShelf::default(), given_up: Mutex::default(), told: Box::new(told) }
    }
}

impl IndexFactory for SpareShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        if self.given_up(path).is_none() {
            match self.disk.open(path, cache_bytes) {
                Err(OpenError::Failed(error)) => match error.unwritable() {
                    Some(why) => self.give_up(path, why),
                    None => return Err(OpenError::Failed(error)),
                },
                opened => return opened,
            };
        }
        self.memory.open(path, cache_bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        self.given_up(path).map_or_else(|| self.disk.exists(path), |_| self.memory.exists(path))
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        self.given_up(path).map_or_else(|| self.disk.set_aside(path), |_| self.memory.set_aside(path))
    }

    fn drop_older(&self, path: &Path, newest: &Path) {
        if self.given_up(path).is_none() {
            self.disk.drop_older(path, newest);
        }
    }

    fn is_doubtful(&self, path: &Path) -> bool {
        self.given_up(path).is_none() && self.disk.is_doubtful(path)
    }

    fn discard(&self, path: &Path) -> Result<(), Error> {
        self.given_up(path).map_or_else(|| self.disk.discard(path), |_| self.memory.discard(path))
    }

    fn give_up(&self, path: &Path, why: Unwritable) -> bool {
        let mut given_up = lock(&self.given_up);
        if given_up.is_empty() {
            tracing::warn!("{} is kept in memory: {why}", path.display());
            (self.told)(why);
        }
        given_up.insert(path.to_owned(), why).is_none()
    }

    fn given_up(&self, path: &Path) -> Option<Unwritable> {
        lock(&self.given_up).get(path).copied()
    }
}
