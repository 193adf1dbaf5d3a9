//! One run as a pure machine: [`decide()`] says which events a wish causes, [`Run::evolve`] what is known after an event,
//! [`pending()`] what is still owed.
//!
//! `pending` is derived from what is known, never queued: after a crash it is the whole recovery plan. No clock, no
//! randomness and no I/O is known here; the same history and wish give the same events on every machine.

mod basis;
mod budget;
#[cfg(test)]
mod budget_tests;
mod cause;
mod command;
mod decide;
mod evolve;
mod fork;
mod observation;
mod offer;
mod pending;
mod prompt;
mod quotable;
mod report;
mod reuse;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use basis::{Basis, BasisError};
pub use budget::{Shortage, affords_another_try, expected, most_with_tools, shortage};
pub use cause::Causes;
pub use command::{Command, DayRefusal, NewLimits, Refusal, StartAdvice};
pub use decide::{NO_PRICE, decide};
pub use fork::{TakeOver, take_over};
pub use observation::{DayBudget, FileLook, Observation};
pub use pending::{Effect, pending};
pub use prompt::{material_of, preview_prompt, request};
pub use quotable::quotable_files;
pub use reuse::{Reused, reusable};
pub use state::{
    Agent, AgentStatus, Attempt, Call, CallState, JudgedCriterion, Parent, Phase, RecordedAnswer, Run, ToolRun, Turn,
};
