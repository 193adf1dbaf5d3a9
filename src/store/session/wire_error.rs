//! The store's errors as they cross the socket: nothing is lost that a client decides on.
//!
//! Owner and client run on one machine, so operating system error numbers mean the same to both.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BatchId, Hash, RunId};
use crate::domain::money::NanoUsd;
use crate::store::Error;

/// A twin of [`Error`] that can be encoded. Grows only at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum WireError {
    Conflict { run: RunId, expected: u64, actual: u64 },
    BatchReused(BatchId),
    MissingPayloads(Vec<Hash>),
    DayLimit { used: NanoUsd, wanted: NanoUsd, limit: NanoUsd },
    BadBatch(String),
    NotFound(Vec<u8>),
    Refused(String),
    Unsuited(String),
    Unreachable { pid: Option<u32> },
    Busy { pid: u32, words: String, percent: u8 },
    RunHeld { run: RunId, pid: Option<u32> },
    Version { pid: u32, owner: String, own: String },
    Damaged(String),
    Newer { found: u32, known: u32 },
    Closed(String),
    Io { path: Vec<u8>, code: Option<i32>, words: String },
    Index(String),
    Disconnected(String),
    Locked(String),
    Unidentified(String),
    Views(String),
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict { run, expected, actual } => Self::Conflict { run, expected, actual },
            Error::BatchReused(id) => Self::BatchReused(id),
            Error::MissingPayloads(names) => Self::MissingPayloads(names),
            Error::DayLimit { used, wanted, limit } => Self::DayLimit { used, wanted, limit },
            Error::BadBatch(words) => Self::BadBatch(words),
            Error::NotFound(path) => Self::NotFound(to_bytes(&path)),
            Error::Refused(words) => Self::Refused(words),
            Error::Unsuited(words) => Self::Unsuited(words),
            Error::Unreachable { pid } => Self::Unreachable { pid },
            Error::Busy { pid, words, percent } => Self::Busy { pid, words, percent },
            Error::RunHeld { run, pid } => Self::RunHeld { run, pid },
            Error::Version { pid, owner, own } => Self::Version { pid, owner, own },
            Error::Damaged(words) => Self::Damaged(words),
            Error::Newer { found, known } => Self::Newer { found, known },
            Error::Closed(words) => Self::Closed(words),
            Error::Io { path, source } => {
                Self::Io { path: to_bytes(&path), code: source.raw_os_error(), words: source.to_string() }
            }
            Error::Index(words) => Self::Index(words),
            Error::Disconnected(words) => Self::Disconnected(words),
            Error::Locked(words) => Self::Locked(words),
            Error::Unidentified(words) => Self::Unidentified(words),
            Error::Views(words) => Self::Views(words),
        }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Conflict { run, expected, actual } => Self::Conflict { run, expected, actual },
            WireError::BatchReused(id) => Self::BatchReused(id),
            WireError::MissingPayloads(names) => Self::MissingPayloads(names),
            WireError::DayLimit { used, wanted, limit } => Self::DayLimit { used, wanted, limit },
            WireError::BadBatch(words) => Self::BadBatch(words),
            WireError::NotFound(path) => Self::NotFound(to_path(path)),
            WireError::Refused(words) => Self::Refused(words),
            WireError::Unsuited(words) => Self::Unsuited(words),
            WireError::Unreachable { pid } => Self::Unreachable { pid },
            WireError::Busy { pid, words, percent } => Self::Busy { pid, words, percent },
            WireError::RunHeld { run, pid } => Self::RunHeld { run, pid },
            WireError::Version { pid, owner, own } => Self::Version { pid, owner, own },
            WireError::Damaged(words) => Self::Damaged(words),
            WireError::Newer { found, known } => Self::Newer { found, known },
            WireError::Closed(words) => Self::Closed(words),
            WireError::Io { path, code, words } => {
                let source = code.map_or_else(|| io::Error::other(words), io::Error::from_raw_os_error);
                Self::Io { path: to_path(path), source }
            }
            WireError::Index(words) => Self::Index(words),
            WireError::Disconnected(words) => Self::Disconnected(words),
            WireError::Locked(words) => Self::Locked(words),
            WireError::Unidentified(words) => Self::Unidentified(words),
            WireError::Views(words) => Self::Views(words),
        }
    }
}

fn to_bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{decode, encode, read_message};
    use super::*;

    #[test]
    fn every_error_comes_back_as_it_was() {
        let run = RunId::from_bytes([7; 16]);
        let errors = [
            Error::Conflict { run, expected: 3, actual: 9 },
            Error::BatchReused(BatchId::from_bytes([1; 16])),
            Error::MissingPayloads(vec![Hash([2; 32]), Hash([3; 32])]),
            Error::DayLimit { used: NanoUsd(1), wanted: NanoUsd(2), limit: NanoUsd(3) },
            Error::BadBatch("empty".into()),
            Error::NotFound(to_path(vec![b'/', 0xff])),
            Error::Refused("not yours".into()),
            Error::Unsuited("nfs".into()),
            Error::Unreachable { pid: Some(4) },
            Error::Busy { pid: 5, words: "rebuilding".into(), percent: 40 },
            Error::RunHeld { run, pid: None },
            Error::Version { pid: 6, owner: "1".into(), own: "2".into() },
            Error::Damaged("at 7".into()),
            Error::Newer { found: 2, known: 1 },
            Error::Closed("disk full".into()),
            Error::io("/x")(io::Error::from_raw_os_error(28)),
            Error::Index("panicked".into()),
            Error::Disconnected("gone".into()),
            Error::Unidentified("two logs".into()),
            Error::Views("a row".into()),
        ];
        for error in errors {
            let before = format!("{error:?}");
            let bytes = encode(&WireError::from(error)).unwrap();
            let wire: WireError = decode(&read_message(&mut bytes.as_slice()).unwrap().unwrap()).unwrap();
            assert_eq!(format!("{:?}", Error::from(wire)), before);
        }
    }

    #[test]
    fn an_error_without_a_number_keeps_its_words() {
        let error = Error::from(WireError::from(Error::io("/x")(io::Error::other("torn"))));
        assert_eq!(error.to_string(), "/x: torn");
    }
}
