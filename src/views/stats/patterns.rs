//! How attempts went, by template × role × tier × model, each mode for itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::draft::{AttemptDraft, BY_CRITERIA, RunStats};
use super::{Evidence, Sign, day_of, mode_of, shift, shift_day, tier_of};
use crate::domain::event::{AttemptOutcome, Mode, Signal};
use crate::domain::ids::{AgentNo, RunId};
use crate::domain::tier::Tier;
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};
use crate::views::sketch::Sketch;

/// First byte of these rows' keys.
pub const KIND: u8 = b'p';

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatternKey {
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// The agent's role.
    pub role: String,
    /// The tier.
    pub tier: Tier,
    /// The provider's name in the settings; empty when not known.
    pub provider: String,
    /// The model; empty when not known.
    pub model: String,
}

impl PatternKey {
    /// Returns the beginning of the keys of a template's rows, or of all.
    pub fn of(template: Option<&str>) -> Key {
        let key = Key::new(KIND);
        match template {
            Some(template) => key.text(template),
            None => key,
        }
    }

    /// Reads a key.
    pub fn read(key: &[u8]) -> Option<Self> {
        let mut reader = KeyReader::new(key);
        Some(Self {
            template: reader.text()?.to_owned(),
            mode: mode_of(reader.byte()?)?,
            role: reader.text()?.to_owned(),
            tier: tier_of(reader.byte()?)?,
            provider: reader.text()?.to_owned(),
            model: reader.text()?.to_owned(),
        })
    }
}

/// Attempts of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayAttempts {
    /// Passed, with every criterion known.
    pub passed: u32,
    /// Passed, with criteria that nobody could judge.
    pub unverified: u32,
    /// Failed by criteria or by signals.
    pub failed: u32,
}

impl DayAttempts {
    /// Counts up or down what is not zero in `one`.
    fn count(&mut self, one: Self, sign: Sign) {
        let pairs = [(&mut self.passed, one.passed), (&mut self.unverified, one.unverified), (&mut self.failed, one.failed)];
        pairs.into_iter().filter(|(_, one)| *one > 0).for_each(|(held, _)| shift(held, sign));
    }

    fn merge(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.unverified = self.unverified.saturating_add(other.unverified);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// How attempts went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PatternRow {
    /// All attempts that ended.
    pub attempts: u64,
    /// Passed, with every criterion known.
    pub passed: u64,
    /// Passed, with criteria that nobody could judge.
    pub unverified: u64,
    /// Failed by criteria or by signals.
    pub failed: u64,
    /// No usable reply: says something of the provider, not of the model's skill.
    pub errors: u64,
    /// Attempts after which the agent escalated.
    pub escalated: u64,
    /// Why attempts failed: `criteria`, a signal's name, `error`, `lost`, `cancelled`.
    pub reasons: BTreeMap<String, u64>,
    /// Passes and failures by UTC day since the epoch: ages are counted from these when the row is read, whatever the half-life.
    pub days: BTreeMap<i32, DayAttempts>,
    /// Passes and failures of agents' first attempts: later ones had the tasks on which others had failed.
    pub first: DayAttempts,
    /// What attempts cost, judging included, in nUSD; those whose cost is wholly known.
    pub cost: Sketch,
    /// Attempts some of whose cost is not known.
    pub cost_unknown: u64,
    /// How long attempts took, in milliseconds, where that is known.
    pub latency: Sketch,
    /// The newest runs that it is known from.
    pub evidence: Evidence,
}

/// Takes the draft's attempts in or out.
pub(super) fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    let unsettled = draft.unsettled();
    for (agent, number, attempt) in draft.counted() {
        let Some(outcome) = attempt.outcome else { continue };
        rows::change(rows, &key(draft, agent, attempt).finish(), |row: &mut PatternRow| {
            row.count(attempt, outcome, !unsettled.contains(&(agent, number)), draft.is_first(agent, number), sign);
            row.evidence.count(draft.started_at, run, sign);
        })?;
    }
    Ok(())
}

fn key(draft: &RunStats, agent: AgentNo, attempt: &AttemptDraft) -> Key {
    PatternKey::of(Some(&draft.template))
        .byte(draft.mode as u8)
        .text(draft.role(agent))
        .byte(attempt.tier as u8)
        .text(&attempt.provider)
        .text(&attempt.model)
}

impl PatternRow {
    fn count(&mut self, attempt: &AttemptDraft, outcome: AttemptOutcome, cost_known: bool, is_first: bool, sign: Sign) {
        shift(&mut self.attempts, sign);
        let mut day = DayAttempts::default();
        match outcome {
            AttemptOutcome::Passed if attempt.verified => {
                shift(&mut self.passed, sign);
                day.passed = 1;
            }
            AttemptOutcome::Passed => {
                shift(&mut self.unverified, sign);
                day.unverified = 1;
            }
            AttemptOutcome::FailedCriteria => {
                shift(&mut self.failed, sign);
                day.failed = 1;
            }
            AttemptOutcome::Error => shift(&mut self.errors, sign),
            AttemptOutcome::Cancelled | AttemptOutcome::Lost => {}
        }
        if day != DayAttempts::default() {
            shift_day(&mut self.days, day_of(attempt.at), |held| held.count(day, sign));
        }
        if is_first {
            self.first.count(day, sign);
        }
        if attempt.escalated {
            shift(&mut self.escalated, sign);
        }
        for reason in reasons(outcome, &attempt.signals) {
            let held = self.reasons.entry(reason.to_owned()).or_default();
            shift(held, sign);
            if *held == 0 {
                self.reasons.remove(reason);
            }
        }
        if cost_known {
            sign.sketch(&mut self.cost, attempt.cost);
        } else {
            shift(&mut self.cost_unknown, sign);
        }
        if let Some(duration_ms) = attempt.duration_ms {
            sign.sketch(&mut self.latency, duration_ms);
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.passed += other.passed;
        self.unverified += other.unverified;
        self.failed += other.failed;
        self.errors += other.errors;
        self.escalated += other.escalated;
        for (reason, held) in &other.reasons {
            *self.reasons.entry(reason.clone()).or_default() += held;
        }
        for (day, held) in &other.days {
            self.days.entry(*day).or_default().merge(*held);
        }
        self.first.merge(other.first);
        self.cost.merge(&other.cost);
        self.cost_unknown += other.cost_unknown;
        self.latency.merge(&other.latency);
        self.evidence.merge(&other.evidence);
    }

    /// Returns passes and failures with their age counted: an observation of `half_life_days` ago counts half.
    ///
    /// Exponential decay: weight 2^(−age / half-life), ages in whole UTC days before `today` (days since the epoch); what lies
    /// in the future counts as today's. A half-life of 0 or less lets nothing fade. `unverified` passes count only when wanted.
    pub fn decayed(&self, today: i32, half_life_days: f64, unverified: bool) -> (f64, f64) {
        self.days.iter().fold((0.0, 0.0), |(passed, failed), (day, held)| {
            let age = f64::from(today.saturating_sub(*day).max(0));
            let weight = if half_life_days > 0.0 { (-age / half_life_days).exp2() } else { 1.0 };
            let passes = held.passed + if unverified { held.unverified } else { 0 };
            (passed + weight * f64::from(passes), failed + weight * f64::from(held.failed))
        })
    }
}

/// Why an attempt failed.
fn reasons(outcome: AttemptOutcome, signals: &[Signal]) -> Vec<&'static str> {
    match outcome {
        AttemptOutcome::Passed => Vec::new(),
        AttemptOutcome::FailedCriteria if signals.is_empty() => vec![BY_CRITERIA],
        AttemptOutcome::Error if signals.is_empty() => vec!["error"],
        AttemptOutcome::FailedCriteria | AttemptOutcome::Error => signals.iter().map(|signal| signal.name()).collect(),
        AttemptOutcome::Cancelled => vec!["cancelled"],
        AttemptOutcome::Lost => vec!["lost"],
    }
}
