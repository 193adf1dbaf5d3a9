//! The states in which runs, agents, attempts and calls are shown, and the one fold that decides a run's state.

use serde::{Deserialize, Serialize};

use crate::domain::event::{Event, SuspendReason};
use crate::domain::named::named_enums;

named_enums! {
    /// Where a run stands.
    RunStatus {
        /// Its events have not come to an end.
        Running = "running",
        /// It stopped because a person must answer something.
        AwaitingInput = "awaiting_input",
        /// It stopped and can go on.
        Suspended = "suspended",
        /// Its events say running, but no process executes it. No fold of events says so: whoever can see the run's lock does.
        Interrupted = "interrupted",
        /// It ended well.
        Succeeded = "succeeded",
        /// It ended, and not well.
        Failed = "failed",
        /// It was ended for good.
        Cancelled = "cancelled",
    }

    /// Where an agent stands.
    AgentStatus {
        /// An attempt of it passed.
        Succeeded = "succeeded",
        /// It gave up.
        Failed = "failed",
        /// It never got its turn.
        Skipped = "skipped",
        /// The run was cancelled before it was done.
        Cancelled = "cancelled",
        /// Its turn has not come.
        Pending = "pending",
        /// It has begun.
        Running = "running",
    }

    /// Where an attempt stands.
    AttemptStatus {
        /// It has not ended.
        Running = "running",
        /// No criterion failed and there was no signal.
        Passed = "passed",
        /// Criteria or signals failed it.
        FailedCriteria = "failed_criteria",
        /// There was no usable reply.
        Error = "error",
        /// Meno dropped it.
        Cancelled = "cancelled",
        /// Its process died.
        Lost = "lost",
    }

    /// Where a model call stands.
    CallStatus {
        /// It has not ended.
        Running = "running",
        /// The model replied.
        Replied = "replied",
        /// There was no usable reply.
        Failed = "failed",
        /// Meno dropped it.
        Cancelled = "cancelled",
        /// Its process died; what it cost is not known.
        Lost = "lost",
    }
}

impl RunStatus {
    /// Returns the state after `event`. Notes, advice and wishes to cancel change nothing.
    #[must_use]
    pub(crate) fn after(self, event: &Event) -> Self {
        match event {
            Event::RunStarted(_) | Event::RunResumed(_) => Self::Running,
            Event::RunSucceeded(_) => Self::Succeeded,
            Event::RunFailed(_) => Self::Failed,
            Event::RunCancelled(_) => Self::Cancelled,
            Event::RunSuspended(body) => match body.why {
                SuspendReason::Approval | SuspendReason::Form | SuspendReason::Tool => Self::AwaitingInput,
                SuspendReason::Interrupted | SuspendReason::DayBudget => Self::Suspended,
            },
            _ => self,
        }
    }

    /// Returns the state as somebody sees it who knows whether a process executes the run.
    #[must_use]
    pub(crate) fn seen(self, executed: bool) -> Self {
        if self == Self::Running && !executed { Self::Interrupted } else { self }
    }

    /// Tells whether the run has come to an end, well or not.
    pub fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}
