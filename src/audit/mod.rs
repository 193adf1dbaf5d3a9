//! Proving what happened: does a run's record hold together, and does every decision follow from what was recorded?
//!
//! Pure: events and documents come in, [`finding::Violation`]s, differences and seals come out. Nothing here reads a file, opens a log
//! or knows how bytes are chained; whoever reads the store feeds what it reads. Three questions, kept apart:
//! - [`story::RunAudit`] takes a run's events one by one and looks at each by itself: money, verdicts, escalations, ends. It needs little,
//!   so it says much even where texts are gone.
//! - [`lineage`] holds what a fork took over against the run that it came from.
//! - [`replay::verify`] makes every decision anew with the code that made it and compares. It needs all inputs.
//!
//! [`seal`] is what is kept elsewhere to find a log that was cut or rewritten; [`diff`] says how two runs differ.

pub mod diff;
pub mod finding;
mod judging;
pub mod lineage;
mod money;
pub mod replay;
pub mod seal;
pub mod story;
mod tools;

#[cfg(test)]
mod fact_tests;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tool_tests;
