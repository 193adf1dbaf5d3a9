//! The log of a store that is not there: empty, and nothing can be appended.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::ids::{Hash, NodeId, RunId};
use crate::store::Error;
use crate::store::log::{Appended, Batch, Head, Log, Stored, ViewRows};

/// Stands in for a store that does not exist, so that reading it shows an empty one and creates nothing.
pub(in crate::workspace) struct EmptyLog(pub PathBuf);

impl Log for EmptyLog {
    fn append(&self, _: &Batch) -> Result<Appended, Error> {
        Err(Error::NotFound(self.0.clone()))
    }

    fn head(&self) -> Result<Head, Error> {
        Ok(Head { node: NodeId::from_bytes([0; 16]), seq: 0, hash: Hash::default() })
    }

    fn read(&self, _: u64, _: u32) -> Result<Vec<Stored>, Error> {
        Ok(Vec::new())
    }

    fn read_run(&self, _: RunId, _: u64, _: u32) -> Result<Vec<Stored>, Error> {
        Ok(Vec::new())
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        std::thread::sleep(patience);
        Ok(seen)
    }

    fn view(&self, _: &str, _: &[u8], _: Option<&[u8]>, _: bool, _: u32) -> Result<ViewRows, Error> {
        Ok(ViewRows { rows: Vec::new(), seen: 0 })
    }
}
