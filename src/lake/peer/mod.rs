//! Histories of the Python system: folders of runs, and the lines of its telemetry.
//!
//! A run's folder has `result.json`, which says everything; its other files repeat parts of it. What a run's models were, which tiers were
//! tried before the last one and what the calls used, it does not say, and stays unknown. A line of telemetry is one model call, whose run
//! cannot be told: it becomes a run of its own.

mod find;
mod run;
mod usage;

pub use find::{PeerFiles, find};
pub use run::read_run;
pub use usage::read_line;

/// The source of runs.
pub const SOURCE: &str = "peer";
/// The source of calls of its telemetry.
pub const USAGE_SOURCE: &str = "peer-usage";
/// The label of runs whose results were made up: their money was never spent.
pub(crate) use crate::domain::event::SIMULATED_LABEL as SIMULATED;

#[cfg(test)]
mod tests;
