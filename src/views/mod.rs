//! What we believe: pure folds of events into rows and documents, and the JSON shapes that other programs rely on.
//!
//! A fold is total: any sequence of events gives a result, private parts may be missing, and folding in pieces gives what
//! folding at once gives. Nothing here knows a file, a clock, a terminal or the store's encoding; texts kept beside the
//! log come in through a function. Start with [`run_detail`] (one run, whole) and [`run_list`] (one line per run).

pub mod costs;
pub mod event_line;
pub mod imports;
pub mod misconfigured;
pub mod open_costs;
pub mod projection;
pub mod rows;
pub mod run_detail;
pub mod run_list;
pub mod runs;
pub mod sketch;
pub mod stats;
pub mod status;
pub mod timeline;
pub mod transcripts;
pub mod work_time;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
pub(crate) mod schema_test;

use std::sync::Arc;

pub use projection::{Projection, Rows};

use crate::domain::ids::TimeNs;

/// Returns every projection that a store keeps.
pub fn projections() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(runs::Runs),
        Arc::new(imports::Imports),
        Arc::new(transcripts::Transcripts),
        Arc::new(stats::Memory),
        Arc::new(costs::Costs),
    ]
}

/// Writes a moment (ns since the epoch) as RFC 3339 in UTC, with as many decimals as it has.
pub fn utc(at: TimeNs) -> String {
    // An i64 of nanoseconds ends in 2262, far inside what a timestamp holds.
    jiff::Timestamp::from_nanosecond(i128::from(at)).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Returns the milliseconds from `start` to `end` (both ns since the epoch); 0 when the clock went back.
pub fn millis_between(start: TimeNs, end: TimeNs) -> u64 {
    u64::try_from(end.saturating_sub(start) / 1_000_000).unwrap_or(0)
}
