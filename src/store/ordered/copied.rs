//! Copies of indexes that must not be changed where they lie: sled writes whenever it opens a folder.
//!
//! A copy lies in a temporary folder that is gone as soon as the copy is open, so nothing is left behind, however the process ends. What
//! cannot be copied, or breaks, is made in memory from the journal.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::memory::PlainShelf;
use super::on_sled::{SledShelf, is_mark, open_copy};
use super::{IndexFactory, OpenError, OrderedIndex};
use crate::store::files::restrict;
use crate::store::{Error, Unwritable};

/// Opens copies of indexes.
#[derive(Clone, Default)]
pub struct CopyShelf {
    /// What is not, or no longer, read from a copy.
    memory: PlainShelf,
}

impl IndexFactory for CopyShelf {
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, OpenError> {
        if !self.memory.exists(path) && path.is_dir() {
            match copied(path, cache_bytes) {
                Ok(index) => return Ok(index),
                Err(why) => tracing::info!("{} cannot be copied and is made in memory: {why}", path.display()),
            }
        }
        self.memory.open(path, cache_bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        self.memory.exists(path) || path.is_dir()
    }

    /// The folder stays where it is.
    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        self.give_up(path, Unwritable::ReadOnly);
        Ok(path.to_owned())
    }

    /// Asked of the folder as it lies: its copy bears witness, but is no index.
    fn is_doubtful(&self, path: &Path) -> bool {
        !self.memory.exists(path) && SledShelf::system().is_doubtful(path)
    }

    fn give_up(&self, path: &Path, _: Unwritable) -> bool {
        !self.memory.exists(path) && self.memory.open(path, 0).is_ok()
    }
}

fn copied(path: &Path, cache_bytes: u64) -> Result<Arc<dyn OrderedIndex>, String> {
    // sled opens values that lie in files of their own whenever they are read.
    if fs::read_dir(path.join("blobs")).is_ok_and(|mut blobs| blobs.next().is_some()) {
        return Err("it has values in files of their own".to_owned());
    }
    let scratch = Scratch::new().map_err(|why| why.to_string())?;
    let copy_path = scratch.0.join("index");
    copy(path, &copy_path).map_err(|why| why.to_string())?;
    open_copy(&copy_path, cache_bytes).map_err(|why| why.to_string())
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
        if entry.file_name().to_str().is_some_and(is_mark) {
            // It says something of the place that it lies in.
            continue;
        }
        let to = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => copy(&entry.path(), &to)?,
            kind if kind.is_file() => {
                fs::copy(entry.path(), &to)?;
                restrict(&to, 0o600)?;
            }
            _ => {}
        }
    }
    Ok(())
}
