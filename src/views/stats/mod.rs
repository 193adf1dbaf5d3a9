//! What experience says: how attempts, runs, criteria, answers and tools went, kept up to date as sums that merge.
//!
//! A run counts when it ends. Until then its [`draft::RunStats`] gathers what the sums ask for; a failed run keeps it, because it may be
//! resumed: then it is taken out of every sum, and in again when it ends anew. Sums are integers, so taking out leaves no trace and
//! any split of the log into batches gives the same rows. Ages are not in the sums but beside them, by day: whoever reads says what
//! the half-life is. Real, imported and simulated runs have rows of their own. Which numbers may be claimed is not known here.
//!
//! What a failure of configuration ended is no experience ([`super::misconfigured`]): such attempts are in no sum, and such runs are
//! counted as left out. Durations are those of work ([`super::work_time`]).

pub mod answers;
pub mod associations;
pub mod criteria;
pub mod draft;
pub mod outcomes;
pub mod patterns;
pub mod tasks;
pub mod tools;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rows::{self, Key};
use super::sketch::Sketch;
use super::status::RunStatus;
use super::{Projection, Rows};
use crate::domain::event::{Event, Mode, Recorded};
use crate::domain::ids::{RunId, TimeNs};
use crate::domain::tier::Tier;
use draft::RunStats;

/// The projection's name, by which its rows are asked for.
pub const NAME: &str = "memory";

/// First byte of the keys of drafts.
const KIND_DRAFT: u8 = b'w';

/// First byte of the keys of runs that were forked and have not started yet.
const KIND_FORK: u8 = b'v';

/// Runs that a row names as its evidence, at most.
pub const EVIDENCE_MAX: usize = 8;

/// Keeps the sums of ended runs.
#[derive(Debug, Default)]
pub struct Memory;

impl Projection for Memory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        11
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        let Some(run) = event.envelope.run.filter(|_| RunStats::looks_at(&event.event)) else { return Ok(()) };
        let key = Key::new(KIND_DRAFT).bytes(&run.to_bytes()).finish();
        let mut draft: RunStats = match rows.get(&key) {
            Some(bytes) => rows::read(&bytes)?,
            None => {
                let mark = Key::new(KIND_FORK).bytes(&run.to_bytes()).finish();
                if matches!(event.event, Event::RunForked(_)) {
                    rows.put(&mark, Vec::new());
                    return Ok(());
                }
                // A session of another agent has no verdicts: it says nothing of how well anything went, and its calls are many.
                if let Event::RunStarted(started) = &event.event
                    && started.is_session()
                {
                    return Ok(());
                }
                let Some(draft) = RunStats::begin(event) else { return Ok(()) };
                // That a run is tried in another way says nothing of what people do next.
                match rows.get(&mark) {
                    Some(_) => rows.remove(&mark),
                    None => associations::begin(rows, run, &draft)?,
                }
                rows.put(&key, rows::write(&draft)?);
                return Ok(());
            }
        };
        count(rows, run, &draft, Sign::Out)?;
        draft.apply(event);
        if let Event::AgentPlanned(planned) = &event.event {
            tasks::begin(rows, run, &draft, planned)?;
        }
        count(rows, run, &draft, Sign::In)?;
        let may_go_on = draft.ended.is_none_or(|ended| ended.status == RunStatus::Failed && !draft.imported);
        if may_go_on {
            rows.put(&key, rows::write(&draft)?);
        } else {
            rows.remove(&key);
        }
        Ok(())
    }
}

/// Takes an ended run in or out of every sum; one that goes on is in none.
fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    let Some(ended) = draft.ended else { return Ok(()) };
    // A run that took over work of another one says nothing of whole runs; what it did itself counts like any other work.
    if draft.is_misconfigured(ended) {
        outcomes::count_left_out(rows, run, draft, sign)?;
        answers::count_last(rows, run, draft, sign)?;
    } else if draft.heirs.is_empty() {
        outcomes::count(rows, run, draft, ended, sign)?;
        answers::count(rows, run, draft, ended, sign)?;
    } else {
        outcomes::count_fork(rows, draft, sign)?;
    }
    patterns::count(rows, run, draft, sign)?;
    criteria::count(rows, run, draft, sign)?;
    tasks::count(rows, run, draft, sign)?;
    tools::count(rows, run, draft, sign)
}

/// Into a sum or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    In,
    Out,
}

impl Sign {
    fn sketch(self, sketch: &mut Sketch, amount: u64) {
        match self {
            Self::In => sketch.add(amount),
            Self::Out => sketch.take_out(amount),
        }
    }

    fn sum(self, sum: &mut u128, amount: u64) {
        match self {
            Self::In => *sum = sum.saturating_add(u128::from(amount)),
            Self::Out => *sum = sum.saturating_sub(u128::from(amount)),
        }
    }
}

/// Counts one up or down.
fn shift<T: Count>(held: &mut T, sign: Sign) {
    *held = match sign {
        Sign::In => held.more(),
        Sign::Out => held.less(),
    };
}

trait Count {
    fn more(&self) -> Self;
    fn less(&self) -> Self;
}

macro_rules! counts {
    ($($int:ty)*) => {$(
        impl Count for $int {
            fn more(&self) -> Self {
                self.saturating_add(1)
            }

            fn less(&self) -> Self {
                self.saturating_sub(1)
            }
        }
    )*};
}
counts! { u32 u64 }

/// Changes what a day holds; a day with nothing in it any more is removed.
fn shift_day<T: Default + PartialEq>(days: &mut BTreeMap<i32, T>, day: i32, change: impl FnOnce(&mut T)) {
    let held = days.entry(day).or_default();
    change(held);
    if *held == T::default() {
        days.remove(&day);
    }
}

/// Returns the UTC day of a moment, in days since the epoch.
pub fn day_of(at: TimeNs) -> i32 {
    const DAY_NS: i64 = 86_400_000_000_000;
    // An i64 of nanoseconds spans 213,504 days.
    at.div_euclid(DAY_NS) as i32
}

fn mode_of(byte: u8) -> Option<Mode> {
    [Mode::Real, Mode::Simulated, Mode::Imported].into_iter().find(|mode| *mode as u8 == byte)
}

fn tier_of(byte: u8) -> Option<Tier> {
    Tier::ALL.into_iter().find(|tier| *tier as u8 == byte)
}

/// The newest runs behind a row, at most [`EVIDENCE_MAX`], newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence(Vec<(TimeNs, RunId)>);

impl Evidence {
    fn count(&mut self, at: TimeNs, run: RunId, sign: Sign) {
        match sign {
            Sign::In => self.merge(&Self(vec![(at, run)])),
            Sign::Out => self.0.retain(|known| *known != (at, run)),
        }
    }

    /// Adds the runs of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend(&other.0);
        self.0.sort_unstable_by(|a, b| b.cmp(a));
        self.0.dedup();
        self.0.truncate(EVIDENCE_MAX);
    }

    /// Returns the runs, newest first.
    pub fn runs(&self) -> Vec<RunId> {
        self.0.iter().map(|(_, run)| *run).collect()
    }

    /// Returns when the newest run began; `None` without runs.
    pub fn newest(&self) -> Option<TimeNs> {
        self.0.first().map(|(at, _)| *at)
    }
}
