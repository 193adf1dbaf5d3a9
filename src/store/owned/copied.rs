//! The index of a store that cannot be written to, asked through a copy: sled writes whenever it opens a folder.
//!
//! It is only asked when bytes at the journal's end are bad: whether they were acknowledged decides whether that is damage. Nothing is
//! restored from it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::rows;
use crate::domain::ids::NodeId;
use crate::store::Error;
use crate::store::journal::recover::{Kept, Witness};
use crate::store::ordered::Shelf;
use crate::store::ordered::on_sled::SledShelf;

/// Memory for one look, in bytes.
const LOOK_BYTES: u64 = 1024 * 1024;

/// The index in a folder that must not change.
pub(super) struct CopiedIndex {
    /// The folder.
    pub path: PathBuf,
    /// The log that it must be of.
    pub node: NodeId,
}

impl CopiedIndex {
    fn reached(&self) -> Option<u64> {
        if !self.path.is_dir() {
            return None;
        }
        let copy = Scratch::new().and_then(|scratch| copy(&self.path, &scratch.0.join("events")).map(|()| scratch));
        let copy = copy.inspect_err(|why| tracing::warn!("{} cannot be copied for a look: {why}", self.path.display())).ok()?;
        let index = SledShelf.open(&copy.0.join("events"), LOOK_BYTES).ok()?;
        let is_of_this_log = rows::owner(&*index).ok()?.is_none_or(|owner| owner == self.node);
        rows::reached(&*index).ok()?.filter(|_| is_of_this_log).map(|(seq, _)| seq)
    }
}

impl Witness for CopiedIndex {
    fn last(&self) -> Result<u64, Error> {
        Ok(self.reached().unwrap_or(0))
    }

    fn batches(&self, _: u64, _: u64) -> Result<Vec<Kept>, Error> {
        Ok(Vec::new())
    }
}

/// A temporary folder that others cannot look into; removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let folder = std::env::temp_dir().join(format!("meno-{random:016x}"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => copy(&entry.path(), &to)?,
            kind if kind.is_file() => drop(fs::copy(entry.path(), &to)?),
            _ => {}
        }
    }
    Ok(())
}
