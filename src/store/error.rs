//! What can go wrong in a store, named for what the caller can do about it.

use std::io;
use std::path::PathBuf;

use crate::domain::ids::{BatchId, Hash, RunId};
use crate::domain::money::NanoUsd;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The run has moved on: read what is new, decide again.
    #[error("run {run} is at version {actual}, not at {expected}")]
    Conflict {
        /// The run.
        run: RunId,
        /// What the appender had seen.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// A batch id was used again for other events: a fault of the appender.
    #[error("batch {0} was appended before with other events")]
    BatchReused(BatchId),
    /// Payloads must be written before the events that name them: write them again and repeat.
    #[error("{} of the payloads named are not in the store", .0.len())]
    MissingPayloads(Vec<Hash>),
    /// The day's budget does not hold this.
    #[error("the day's budget of {limit} is used up: {used} spent and reserved, {wanted} more wanted")]
    DayLimit {
        /// Spent and reserved.
        used: NanoUsd,
        /// What was asked for.
        wanted: NanoUsd,
        /// The limit.
        limit: NanoUsd,
    },
    /// The batch breaks a rule of the log: a fault of the appender.
    #[error("the batch cannot be appended: {0}")]
    BadBatch(String),
    /// There is no store here.
    #[error("there is no store at {}", .0.display())]
    NotFound(PathBuf),
    /// The store belongs to another user, or others could read it.
    #[error("{0}")]
    Refused(String),
    /// The file system cannot keep the store's promises.
    #[error("{0}")]
    Unsuited(String),
    /// Another process owns the store and does not answer.
    #[error("the store is held by process {} which does not answer", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    Unreachable {
        /// The owner's process id, when known.
        pid: Option<u32>,
    },
    /// The owner is still at work opening the store.
    #[error("the store is held by process {pid}, which is {words}, {percent} %")]
    Busy {
        /// The owner's process id.
        pid: u32,
        /// What it does: `rebuilding`.
        words: String,
        /// How far it is, 0 to 100.
        percent: u8,
    },
    /// Another process executes the run.
    #[error("run {run} is executed by process {}", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    RunHeld {
        /// The run.
        run: RunId,
        /// The executor's process id, when known.
        pid: Option<u32>,
    },
    /// The owner is of a version that this one cannot speak with.
    #[error("the store is held by process {pid}, meno {owner}; this is meno {own} and they cannot speak with each other")]
    Version {
        /// The owner's process id.
        pid: u32,
        /// Its version.
        owner: String,
        /// Ours.
        own: String,
    },
    /// Stored bytes are not what was written.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// It cannot be told which log is the store's own.
    #[error("it cannot be told who this store is: {0}")]
    Unidentified(String),
    /// A text is encrypted, or is to be, and the key is not available.
    #[error("texts of this store are encrypted and their key is not available: {0}")]
    Locked(String),
    /// The store was written by a newer version.
    #[error("the store is of format {found}, newer than this version knows ({known})")]
    Newer {
        /// The format found.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// A write or sync failed: nothing of it was acknowledged, and no more is taken until the store is opened again.
    #[error("cannot append to the log: {0}")]
    Closed(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// sled failed or panicked; the journal still has everything.
    #[error("the index of the log failed: {0}")]
    Index(String),
    /// A view failed; the journal still has everything.
    #[error("the views failed: {0}")]
    Views(String),
    /// The connection to the owner broke: acquire again and repeat.
    #[error("the connection to the store's owner broke: {0}")]
    Disconnected(String),
}

/// Why a place cannot be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// Its file system is mounted for reading alone.
    ReadOnly,
    /// This user may not write there.
    NotPermitted,
    /// The disk, or this user's share of it, is full.
    Full,
}

impl Unwritable {
    /// Returns why nothing can be written, when that is what the system's error says.
    pub fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            io::ErrorKind::PermissionDenied => Some(Self::NotPermitted),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            _ => None,
        }
    }
}

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "the file system is read-only",
            Self::NotPermitted => "the permissions do not allow it",
            Self::Full => "the disk is full",
        })
    }
}

impl From<Unwritable> for io::Error {
    fn from(why: Unwritable) -> Self {
        let kind = match why {
            Unwritable::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            Unwritable::NotPermitted => io::ErrorKind::PermissionDenied,
            Unwritable::Full => io::ErrorKind::StorageFull,
        };
        Self::new(kind, why.to_string())
    }
}

impl Error {
    /// Returns why nothing could be written, when that is what went wrong; the store may be readable all the same.
    pub fn unwritable(&self) -> Option<Unwritable> {
        match self {
            Self::Io { source, .. } => Unwritable::of(source),
            _ => None,
        }
    }

    /// Wraps an I/O error with the file that it is about.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
