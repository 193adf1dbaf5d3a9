//! A store in one file: what a backup is made of, and how it is told from one that is not whole.
//!
//! ```text
//! zstd frame: a tar of  meno-backup.json · journal/node · journal/<node>/<first>.seg … · config.toml · templates/*.json
//!                       payloads/<2>/<64> …
//! seal:       0x184d2a5e u32 · 40 u32 · "menobak1" · BLAKE3 of all bytes before 32
//! ```
//! Numbers are little-endian. The seal is a frame that zstd readers skip, so `tar --zstd -xf` unpacks a backup without Meno; it is
//! written last, and no byte of the file can change, or be missing, without it saying so. [`pack()`] makes a backup, [`unpack()`] reads one.
//! Index, views and search index are not in it: they are made again from the log.

pub mod pack;
pub mod unpack;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Hash, NodeId};
use crate::store::log::Head;

pub use pack::pack;
pub use unpack::{unpack, verify};

/// The form of backups that this release writes.
pub const FORMAT: u32 = 1;
/// The first entry of the tar.
const MANIFEST: &str = "meno-backup.json";
const SEAL_BYTES: usize = 48;
/// A skippable frame's number and length, then what makes it ours.
const SEAL_HEAD: [u8; 16] = *b"\x5e\x2a\x4d\x18\x28\0\0\0menobak1";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form.
    pub format: u32,
    /// The version of Meno that wrote it.
    pub meno: String,
    /// When it was begun: RFC 3339, UTC.
    pub made_at: String,
    /// The store's own log.
    pub log: LogEnd,
    /// Logs of other stores that were brought in.
    pub others: Vec<LogEnd>,
}

/// Where a log ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// The log's node.
    pub node: NodeId,
    /// The last position.
    pub seq: u64,
    /// The chain's hash there.
    pub hash: Hash,
}

impl From<Head> for LogEnd {
    fn from(Head { node, seq, hash }: Head) -> Self {
        Self { node, seq, hash }
    }
}

/// What a whole and sound backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Events of all its logs.
    pub events: u64,
    /// Of them, events whose private part is gone.
    pub without_private: u64,
    /// Payloads.
    pub payloads: u64,
    /// Of them, encrypted ones: that they are the texts which events name cannot be told without the key.
    pub encrypted_payloads: u64,
    /// Payloads that events name and that are not in it: they were missing or damaged.
    pub missing_payloads: Vec<Hash>,
    /// Templates and settings files.
    pub files: u64,
    /// Some private parts may still have to be forgotten.
    pub forgets: bool,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Why a backup cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is something where the backup is to go.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// Another process is writing it.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The file is no backup, or not whole, or not what was written.
    #[error("{} is not a whole backup: {why}", file.display())]
    Unsound {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What was just written did not come out whole, and was removed.
    #[error("the backup {} did not come out whole: {why}", file.display())]
    NotWhole {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A later release wrote it.
    #[error("{} is a backup of form {found}, newer than this version knows ({FORMAT})", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its form.
        found: u32,
    },
    /// The folder holds what a restore would replace.
    #[error("the store at {} is not empty: it has {what}", folder.display())]
    NotEmpty {
        /// The store's folder.
        folder: PathBuf,
        /// What is there.
        what: String,
    },
    /// The backup cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file that was to be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store itself.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

impl Error {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Returns `path` with `end` added to its name.
fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes the names in the folder of `path` durable.
fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(Error::io(parent))
}
