//! The facts that a store remembers: one struct per kind of event, past tense, small and complete.
//!
//! A kind has a **public part** (structure, ids, numbers, enums) and a **private part** (every text that a user, a model
//! or a tool wrote). The public part is the struct's own fields; the private part is the field `private`, which is
//! `None` once it was forgotten. Folds must work without it.
//!
//! Bodies are encoded with bincode in the order written in `kinds`, so **a struct or enum there is never edited** after
//! a release: a change is a new version of the kind, with an upcaster in `store::upcast` and a golden file. Enums grow
//! only at their end.

mod enums;
mod kinds;
mod texts;

use serde::{Deserialize, Serialize};

pub use enums::*;
pub use kinds::*;

use super::ids::{Hash, RunId, TimeNs};

impl RunStarted {
    /// Tells whether the run is a session of another agent: its calls were taken in one by one and priced by Meno's table.
    pub fn is_session(&self) -> bool {
        let names_itself = self.source.as_deref() == Some(&self.template_id);
        self.mode == Mode::Imported && names_itself && !self.prices_as_of.is_empty()
    }
}

/// Writes one part of a body in some encoding.
pub trait BodyWriter {
    /// Why it could not be written.
    type Error;
    /// Writes `part`.
    fn write<T: Serialize>(&mut self, part: &T) -> Result<(), Self::Error>;
}

/// Reads one part of a body in some encoding.
pub trait BodyReader {
    /// Why it could not be read.
    type Error;
    /// Reads the part, consuming all of it.
    fn read<T: for<'de> Deserialize<'de>>(self) -> Result<T, Self::Error>;
}

/// Where and when an event stands in its store and in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Position in the store's log, gapless from 1.
    pub seq: u64,
    /// The run, if the event belongs to one.
    pub run: Option<RunId>,
    /// Position in the run's stream, gapless from 1; 0 without a run.
    pub version: u64,
    /// When it was recorded, as the clock said.
    pub at: TimeNs,
    /// When it happened, for imports.
    pub occurred_at: Option<TimeNs>,
    /// Position of the event that caused it.
    pub cause: Option<u64>,
}

/// An event as folds see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Where and when.
    pub envelope: Envelope,
    /// The chain's hash at this event.
    pub hash: Hash,
    /// What happened.
    pub event: Event,
}
