//! How runs went, by template: sums for the whole of it, and one small row per run for what must be seen one by one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::draft::{Ended, RunStats};
use super::{Evidence, Sign, day_of, mode_of, shift, shift_day};
use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};
use crate::views::sketch::Sketch;
use crate::views::status::RunStatus;

/// First byte of the keys of sums.
pub const KIND: u8 = b't';
/// First byte of the keys of single runs.
pub const KIND_RUN: u8 = b'r';
/// First byte of the keys of single runs that a failure of configuration ended.
pub const KIND_LEFT_OUT: u8 = b'o';

/// Ended runs by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// Ended well, and known to have met every criterion that counts, or another system says so.
    pub succeeded: u64,
    /// Ended well, as far as nobody says otherwise: its criteria could not be judged, or it is not known what came of it.
    pub unverified: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Ends {
    pub(super) fn count(&mut self, ended: Ended, sign: Sign) {
        let held = match ended.status {
            RunStatus::Succeeded if ended.verified => &mut self.succeeded,
            RunStatus::Succeeded => &mut self.unverified,
            RunStatus::Cancelled => &mut self.cancelled,
            _ => &mut self.failed,
        };
        shift(held, sign);
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.unverified += other.unverified;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }

    /// Returns (successes, runs that count). Cancelled runs say nothing; successes that nobody verified, and of which no other system
    /// says so either, count when wanted.
    pub fn judged(&self, unverified: bool) -> (u64, u64) {
        let counted = if unverified { self.unverified } else { 0 };
        let succeeded = self.succeeded + counted;
        (succeeded, succeeded + self.failed)
    }

    /// Returns all of them.
    pub fn total(&self) -> u64 {
        self.succeeded + self.unverified + self.failed + self.cancelled
    }
}

/// The runs of one template and mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// How they ended.
    pub ends: Ends,
    /// By UTC day of their beginning, in days since the epoch.
    pub days: BTreeMap<i32, Ends>,
    /// Runs that took over work of another one; they are in none of the other sums.
    pub forks: u64,
    /// What is known of the cost of those, in nUSD.
    pub fork_cost: u128,
    /// Of those, runs some of whose cost is not known.
    pub fork_cost_unknown: u64,
    /// Runs that a failure of configuration ended; they are in none of the other sums.
    pub left_out: u64,
    /// What is known of the cost of those, in nUSD.
    pub left_out_cost: u128,
    /// Of those, runs some of whose cost is not known.
    pub left_out_cost_unknown: u64,
    /// What is known of their cost, in nUSD, over all of them.
    pub cost_known: u128,
    /// What runs cost, in nUSD; those whose cost is wholly known.
    pub cost: Sketch,
    /// Runs some of whose cost is not known.
    pub cost_unknown: u64,
    /// How long runs worked, in milliseconds.
    pub duration: Sketch,
    /// The durations of a run's attempts together, in milliseconds, where its own is not known.
    pub attempts_duration: Sketch,
    /// Attempts per run.
    pub attempts: Sketch,
    /// Agents per run.
    pub agents: Sketch,
    /// Runs in which an agent escalated.
    pub climbed_runs: u64,
    /// Agents that escalated at least once.
    pub climbed_agents: u64,
    /// Climbs.
    pub climbs: u64,
    /// What is known of the cost of attempts that were escalated from, in nUSD.
    pub climb_cost: u128,
    /// Of those attempts, how many have a cost that is not wholly known.
    pub climb_unknown: u64,
    /// Why agents gave up: (role, reason), the reason in words as [`RunStats::failures`] says it.
    pub failures: BTreeMap<(String, String), u64>,
    /// The newest runs.
    pub evidence: Evidence,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFact {
    /// Whether models were real.
    pub mode: Mode,
    /// How it ended.
    pub status: RunStatus,
    /// Every agent that counts is known to have met its criteria, or another system says that it succeeded.
    pub verified: bool,
    /// What is known of its cost, in nUSD.
    pub cost: u64,
    /// The whole cost is known.
    pub cost_complete: bool,
    /// How long it worked, in milliseconds; `None` when it is not known.
    pub duration_ms: Option<u64>,
    /// Attempts of all agents that count.
    pub attempts: u32,
    /// Climbs.
    pub climbs: u32,
}

impl OutcomeRow {
    /// Returns the beginning of the keys of a template's rows, or of all.
    pub fn of(template: Option<&str>) -> Key {
        let key = Key::new(KIND);
        match template {
            Some(template) => key.text(template),
            None => key,
        }
    }

    /// Reads a key: template and mode.
    pub fn read_key(key: &[u8]) -> Option<(String, Mode)> {
        let mut reader = KeyReader::new(key);
        Some((reader.text()?.to_owned(), mode_of(reader.byte()?)?))
    }
}

impl RunFact {
    /// Returns the beginning of the keys of a template's runs; behind it they stand by their beginning, then by id.
    pub fn of(template: &str) -> Key {
        Key::new(KIND_RUN).text(template)
    }

    /// Reads a key: template, beginning and id.
    pub fn read_key(key: &[u8]) -> Option<(String, TimeNs, RunId)> {
        let mut reader = KeyReader::new(key);
        let (template, at) = (reader.text()?.to_owned(), reader.signed()?);
        Some((template, at, RunId::from_bytes(reader.bytes(16)?.try_into().ok()?)))
    }

    /// Tells whether it succeeded; `None` when it says nothing of that: cancelled, or not verified and not wanted so.
    pub fn judged(&self, unverified: bool) -> Option<bool> {
        match self.status {
            RunStatus::Succeeded if self.verified || unverified => Some(true),
            RunStatus::Succeeded | RunStatus::Cancelled => None,
            _ => Some(false),
        }
    }
}

/// A run that a failure of configuration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Whether its models were real.
    pub mode: Mode,
}

impl LeftOut {
    /// Returns the beginning of the keys of a template's runs that are left out, or of all; behind it they stand as those of [`RunFact`].
    pub fn of(template: Option<&str>) -> Key {
        let key = Key::new(KIND_LEFT_OUT);
        match template {
            Some(template) => key.text(template),
            None => key,
        }
    }
}

/// Takes a run that a failure of configuration ended in or out.
pub(super) fn count_left_out(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    let key = OutcomeRow::of(Some(&draft.template)).byte(draft.mode as u8).finish();
    rows::change(rows, &key, |row: &mut OutcomeRow| {
        shift(&mut row.left_out, sign);
        sign.sum(&mut row.left_out_cost, draft.cost());
        if !draft.unsettled().is_empty() {
            shift(&mut row.left_out_cost_unknown, sign);
        }
    })?;
    let key = LeftOut::of(Some(&draft.template)).signed(draft.started_at).bytes(&run.to_bytes()).finish();
    match sign {
        Sign::In => rows.put(&key, rows::write(&LeftOut { mode: draft.mode })?),
        Sign::Out => rows.remove(&key),
    }
    Ok(())
}

/// Takes a run that took over work of another one in or out.
pub(super) fn count_fork(rows: &mut dyn Rows, draft: &RunStats, sign: Sign) -> Result<(), String> {
    let cost = draft.cost();
    let key = OutcomeRow::of(Some(&draft.template)).byte(draft.mode as u8).finish();
    rows::change(rows, &key, |row: &mut OutcomeRow| {
        shift(&mut row.forks, sign);
        sign.sum(&mut row.fork_cost, cost);
        if !draft.unsettled().is_empty() {
            shift(&mut row.fork_cost_unknown, sign);
        }
    })
}

/// Takes the draft's run in or out.
pub(super) fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, ended: Ended, sign: Sign) -> Result<(), String> {
    let unsettled = draft.unsettled();
    let (cost, cost_complete, duration_ms) = (draft.cost(), unsettled.is_empty(), draft.work_ms());
    let attempts = draft.counted().count();
    let climbed = || draft.counted().filter(|(.., attempt)| attempt.escalated);
    let climbs = climbed().count();
    let climb_unknown = climbed().filter(|(agent, number, _)| unsettled.contains(&(*agent, *number))).count();
    let mut climbers: Vec<_> = climbed().map(|(agent, ..)| agent).collect();
    climbers.dedup();
    let key = OutcomeRow::of(Some(&draft.template)).byte(draft.mode as u8).finish();
    rows::change(rows, &key, |row: &mut OutcomeRow| {
        row.ends.count(ended, sign);
        shift_day(&mut row.days, day_of(draft.started_at), |held| held.count(ended, sign));
        sign.sum(&mut row.cost_known, cost);
        match cost_complete {
            true => sign.sketch(&mut row.cost, cost),
            false => shift(&mut row.cost_unknown, sign),
        }
        match (duration_ms, draft.attempts_duration().known()) {
            (Some(duration_ms), _) => sign.sketch(&mut row.duration, duration_ms),
            (None, Some(attempts_ms)) => sign.sketch(&mut row.attempts_duration, attempts_ms),
            (None, None) => {}
        }
        sign.sketch(&mut row.attempts, attempts as u64);
        sign.sketch(&mut row.agents, draft.agents.len() as u64);
        if climbs > 0 {
            shift(&mut row.climbed_runs, sign);
        }
        climbers.iter().for_each(|_| shift(&mut row.climbed_agents, sign));
        (0..climbs).for_each(|_| shift(&mut row.climbs, sign));
        climbed().for_each(|(.., attempt)| sign.sum(&mut row.climb_cost, attempt.cost));
        (0..climb_unknown).for_each(|_| shift(&mut row.climb_unknown, sign));
        for (agent, reason) in draft.failures() {
            let place = (agent.role.clone(), reason.to_owned());
            let held = row.failures.entry(place.clone()).or_default();
            shift(held, sign);
            if *held == 0 {
                row.failures.remove(&place);
            }
        }
        row.evidence.count(draft.started_at, run, sign);
    })?;
    let key = RunFact::of(&draft.template).signed(draft.started_at).bytes(&run.to_bytes()).finish();
    match sign {
        Sign::In => {
            let fact = RunFact {
                mode: draft.mode,
                status: ended.status,
                verified: ended.verified,
                cost,
                cost_complete,
                duration_ms,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                climbs: u32::try_from(climbs).unwrap_or(u32::MAX),
            };
            rows.put(&key, rows::write(&fact)?);
        }
        Sign::Out => rows.remove(&key),
    }
    Ok(())
}
