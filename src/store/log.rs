//! The port through which everybody appends and reads, whether this process owns the store or another one does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::event::Envelope;
use crate::domain::ids::{BatchId, Hash, NodeId, RunId, TimeNs};
use crate::domain::money::NanoUsd;

/// What an event's `cause` points at, as its appender says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// An event in the log already, by position.
    At(u64),
    /// An earlier event of the same batch, by index.
    InBatch(u32),
}

/// An event as its appender offers it: encoded, without position and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// The kind's number.
    pub kind: u16,
    /// The kind's version.
    pub kind_version: u16,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// When it happened, for imports.
    pub occurred_at: Option<TimeNs>,
    /// What caused it.
    pub cause: Option<Cause>,
    /// The public part, encoded.
    pub public: Vec<u8>,
    /// BLAKE3 of salt and private part.
    pub commitment: [u8; 32],
    /// Salt (16 bytes) and private part, encoded.
    pub private: Vec<u8>,
}

/// One append: all or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The idempotency key.
    pub id: BatchId,
    /// The run's version that the appender has seen; the append is refused when it is another one. `None`: whatever it is.
    pub expected_version: Option<(RunId, u64)>,
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// Payloads that the events name; the append is refused when one is missing.
    pub payloads: Vec<Hash>,
    /// Refuse when the day's spending plus this would pass the limit.
    pub day_limit: Option<DayLimit>,
}

/// A per-day budget to be checked inside the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayLimit {
    /// The UTC day, in days since the epoch.
    pub day: u32,
    /// What this batch reserves.
    pub reserve: NanoUsd,
    /// What the day may hold, spent and reserved together.
    pub limit: NanoUsd,
}

/// Where a batch came to stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Position, version, time and hash of each event, in order.
    pub events: Vec<(Envelope, Hash)>,
    /// The batch had been appended before; this is its first outcome.
    pub repeated: bool,
}

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The store's identity.
    pub node: NodeId,
    /// The last event's position; 0 in an empty log.
    pub seq: u64,
    /// The last event's hash; the genesis hash in an empty log.
    pub hash: Hash,
}

/// An event as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Where and when.
    pub envelope: Envelope,
    /// The kind's number.
    pub kind: u16,
    /// The kind's version.
    pub kind_version: u16,
    /// The public part, encoded.
    pub public: Vec<u8>,
    /// BLAKE3 of salt and private part.
    pub commitment: [u8; 32],
    /// Salt and private part, encoded; `None` once forgotten.
    pub private: Option<Vec<u8>>,
    /// The chain's hash at this event.
    pub hash: Hash,
}

/// What a client can ask a projection of, answered by the owner from its views: rows as the view encodes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRows {
    /// Key and row, in the order of the keys.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// The log position that the view had seen.
    pub seen: u64,
}

/// The log: one implementation owns the files, the other speaks to the process that does.
///
/// All methods block; async callers go through `spawn_blocking`.
pub trait Log: Send + Sync {
    /// Appends a batch and returns once it is durable.
    ///
    /// # Errors
    /// [`Error::Conflict`](super::Error) when the expected version is not the run's, `BatchReused` when the id is known with other
    /// bytes, `MissingPayloads`, `DayLimit`, or why the store cannot take it.
    fn append(&self, batch: &Batch) -> Result<Appended, super::Error>;

    /// Returns the end of the log.
    fn head(&self) -> Result<Head, super::Error>;

    /// Returns events from position `from` on, at most `limit` and about 4 MiB, in order. Reads what was acknowledged before the call.
    fn read(&self, from: u64, limit: u32) -> Result<Vec<Stored>, super::Error>;

    /// Returns events of a run from version `from` on, at most `limit` and about 4 MiB, in order.
    fn read_run(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Stored>, super::Error>;

    /// Waits until the log has passed position `seen` or `patience` is over; returns the position then.
    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, super::Error>;

    /// Returns rows of the projection `view` whose keys lie in `[from, to)`, newest (largest key) first when `reverse`, at most
    /// `limit`, once the view has reached the log's head of this moment.
    fn view(&self, view: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, super::Error>;

    /// Asks the process that holds the log something that it may know better than the log, in words that the store does not
    /// understand. `None` when it does not answer such questions, which is the usual case.
    fn ask(&self, _question: &[u8]) -> Result<Option<Vec<u8>>, super::Error> {
        Ok(None)
    }
}
