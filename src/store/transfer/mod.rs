//! A log as lines of JSON, bit for bit: what is handed to somebody else, who can verify it and take it in.
//!
//! ```text
//! {"type":"meno_events","format":1,"meno":…,"node":…,"from":…,"previous":…,"private":true}       first: whose log, from where
//! {"type":"payload","hash":…,"text":…}                                                           before the event that names it
//! {"type":"event","seq":…,"run_id":…,"version":…,"at":…,"kind":…,"batch":…,"head":…,"private":…,"hash":…}
//! {"type":"end","to":…,"head":…,"events":…,"payloads":…,"digest":…}                              last
//! ```
//! An event's `head` and `private` are its bytes in base64 as the journal has them, `private` null where it is gone or left out; the
//! other fields only say in words what these bytes say. `digest` is the BLAKE3 of all lines before. Without private parts the chain
//! and its head are the same: what is there is proved, what is not is seen to be gone. [`mod@write`] makes such a file, [`mod@read`] reads it, and [`stage`] makes a
//! journal of it.

pub mod read;
pub mod source;
pub mod stage;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BatchId, Hash, NodeId, RunId};

/// The form of files that this release writes.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    MenoEvents(Begin),
    Payload { hash: Hash, text: String },
    Event(EventRow),
    End(End),
}

/// The first line: whose log it is, and from where on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The form.
    pub format: u32,
    /// The version of Meno that wrote it.
    pub meno: String,
    /// The log's node.
    pub node: NodeId,
    /// The first position.
    pub from: u64,
    /// The chain's hash before it.
    pub previous: Hash,
    /// Whether private parts and payloads are in it.
    pub private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EventRow {
    seq: u64,
    run_id: Option<RunId>,
    version: u64,
    at: String,
    kind: String,
    batch: BatchId,
    head: String,
    private: Option<String>,
    hash: Hash,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The last position; the one before the first when there are no events.
    pub to: u64,
    /// The chain's hash there.
    pub head: Hash,
    /// How many events there are.
    pub events: u64,
    /// How many payloads.
    pub payloads: u64,
    /// BLAKE3 of all lines before, line breaks included.
    pub digest: Hash,
}

/// Why events cannot be handed over or taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line is not what was written, or the end is missing.
    #[error("line {line}: {why}")]
    Unsound {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A later release wrote it.
    #[error("the events are of form {0}, newer than this version knows ({FORMAT})")]
    Newer(u32),
    /// The events do not go on where the log that is here has ended, or are not its.
    #[error("event {0} is not the one that is here: the two logs have gone different ways")]
    OtherChain(u64),
    /// The events cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

/// Returns a kind's name, as far as it is known.
fn kind_name(kind: u16) -> &'static str {
    crate::domain::event::KINDS.iter().find(|(number, ..)| *number == kind).map_or("unknown", |(.., name)| name)
}
