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
use super::money::TokenUsage;

impl RunStarted {
    /// Tells whether the run is a session of another agent: its calls were taken in one by one and priced by Meno's table.
    pub fn is_session(&self) -> bool {
        let names_itself = self.source.as_deref() == Some(&self.template_id);
        self.mode == Mode::Imported && names_itself && !self.prices_as_of.is_empty()
    }

    /// Tells whether another system ran it, with real models or simulated ones.
    pub fn is_imported(&self) -> bool {
        self.mode == Mode::Imported || self.source.is_some()
    }

    /// Returns what its money and its outcome count as: a run that another system simulated is a simulated one. Those that were taken in
    /// before that had a mode of its own have the label `simulated=true`.
    pub fn counts_as(&self) -> Mode {
        let mut labels = self.private.iter().flat_map(|private| &private.labels);
        let is_labelled = labels.any(|(key, value)| (key.as_str(), value.as_str()) == SIMULATED_LABEL);
        if self.mode == Mode::Imported && is_labelled { Mode::Simulated } else { self.mode }
    }

    /// Tells whether another system's word is all there is of how its attempts ended. Of runs whose calls were taken in one by one
    /// nobody has said whether they did what they were to do, unless an attempt is known to have passed.
    pub fn has_stated_outcome(&self) -> bool {
        self.is_imported() && self.prices_as_of.is_empty()
    }
}

impl Event {
    /// Tells whether it says something of how long its run works: what only the process appends that executes the run, and a wish to
    /// cancel. A note or advice says nothing of it.
    pub fn is_timed(&self) -> bool {
        matches!(
            self,
            Self::RunStarted(_)
                | Self::QuestionsShown(_)
                | Self::AnswerGiven(_)
                | Self::AnswerChanged(_)
                | Self::FormCompleted(_)
                | Self::AttemptStarted(_)
                | Self::AttemptEnded(_)
                | Self::CallStarted(_)
                | Self::CallReplied(_)
                | Self::CallFailed(_)
                | Self::CallCancelled(_)
                | Self::ToolStarted(_)
                | Self::ToolEnded(_)
                | Self::TierEscalated(_)
                | Self::ApprovalAsked(_)
                | Self::ApprovalGiven(_)
                | Self::AgentSucceeded(_)
                | Self::AgentFailed(_)
                | Self::RunSucceeded(_)
                | Self::RunFailed(_)
                | Self::RunSuspended(_)
                | Self::RunResumed(_)
                | Self::CancelAsked(_)
                | Self::RunCancelled(_)
        )
    }
}

/// The label of runs of other systems whose results were made up.
pub(crate) const SIMULATED_LABEL: (&str, &str) = ("simulated", "true");

impl CostIncurred {
    /// Returns the tokens that it is about. An import of a call that told neither tokens nor a price once wrote zeros for both.
    pub fn known_usage(&self) -> Option<TokenUsage> {
        let says_nothing = self.call.is_some() && self.amount.is_none() && self.unit_prices.is_none();
        self.usage.filter(|usage| !(says_nothing && *usage == TokenUsage::default()))
    }

    /// Tells whether it is of a try of one of Meno's own calls of which nobody said what it used.
    pub fn is_untold(&self) -> bool {
        self.call.is_some() && self.source == CostSource::Estimated && self.amount.is_none() && self.usage.is_none()
    }
}

/// Writes one part of a body in some encoding.
pub(crate) trait BodyWriter {
    /// Why it could not be written.
    type Error;
    /// Writes `part`.
    fn write<T: Serialize>(&mut self, part: &T) -> Result<(), Self::Error>;
}

/// Reads one part of a body in some encoding.
pub(crate) trait BodyReader {
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
