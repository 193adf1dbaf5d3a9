//! One row per agent's task: what it was to do, at which tiers it was tried, how that went and what it cost.
//!
//! A row is made when the agent is planned and says what came of it once the run has ended; until then its tiers are empty. Rows stand by
//! the beginning of their run, so the newest are read first. The text goes when the log forgets it: a fold anew finds none.

use serde::{Deserialize, Serialize};

use super::Sign;
use super::draft::{AttemptDraft, RunStats};
use crate::domain::event::{AgentPlanned, AttemptOutcome, Mode};
use crate::domain::ids::{AgentNo, RunId, TimeNs};
use crate::domain::tier::Tier;
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};

/// First byte of these rows' keys.
pub const KIND: u8 = b'k';

/// Bytes of a task's text that are kept: more than any model of meaning reads.
const TEXT_BYTES_MAX: usize = 8192;

/// An agent's task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// The agent's role.
    pub role: String,
    /// What it was to do; empty when that was forgotten.
    pub text: String,
    /// By tier: what came of it; `None` where it was not tried, or only in attempts that a failure of configuration ended, and everywhere
    /// while the run goes on.
    pub tiers: [Option<Tried>; Tier::ALL.len()],
}

/// What came of a task at one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// How it ended; `None` when nothing was judged: no model answered, it was cancelled or lost.
    pub end: Option<TaskEnd>,
    /// What was spent there, in nUSD; `None` when that is not wholly known.
    pub cost: Option<u64>,
    /// Attempts there.
    pub attempts: u32,
}

/// How a task ended at a tier: the best of its attempts there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskEnd {
    /// No attempt met the criteria.
    Failed,
    /// An attempt was let through with criteria that nobody could judge.
    Unverified,
    /// An attempt met every criterion.
    Passed,
}

impl TaskRow {
    /// Returns the beginning of the keys of all tasks; behind it they stand by the beginning of their run, then by run and agent.
    pub fn of_all() -> Key {
        Key::new(KIND)
    }

    /// Reads a key: the beginning of the run, the run, the agent.
    pub fn read_key(key: &[u8]) -> Option<(TimeNs, RunId, AgentNo)> {
        let mut reader = KeyReader::new(key);
        let at = reader.signed()?;
        let run = RunId::from_bytes(reader.bytes(16)?.try_into().ok()?);
        Some((at, run, u32::from_be_bytes(reader.bytes(4)?.try_into().ok()?)))
    }
}

fn key(draft: &RunStats, run: RunId, agent: AgentNo) -> Vec<u8> {
    TaskRow::of_all().signed(draft.started_at).bytes(&run.to_bytes()).bytes(&agent.to_be_bytes()).finish()
}

/// Makes the row of an agent that was planned.
pub(super) fn begin(rows: &mut dyn Rows, run: RunId, draft: &RunStats, planned: &AgentPlanned) -> Result<(), String> {
    let text = planned.private.as_ref().map_or("", |private| private.task.as_str());
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let row = TaskRow {
        template: draft.template.clone(),
        mode: draft.mode,
        role: planned.role.clone(),
        text: text.to_owned(),
        tiers: [None; Tier::ALL.len()],
    };
    rows.put(&key(draft, run, planned.agent), rows::write(&row)?);
    Ok(())
}

/// Says what came of the draft's tasks, or takes that back.
pub(super) fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    let unsettled = draft.unsettled();
    for agent in draft.agents.keys() {
        let key = key(draft, run, *agent);
        let Some(bytes) = rows.get(&key) else { continue };
        let mut row: TaskRow = rows::read(&bytes)?;
        row.tiers = [None; Tier::ALL.len()];
        // What came of the task began in another run, and is told there.
        if sign == Sign::In && !draft.heirs.contains(agent) {
            for (_, number, attempt) in draft.counted().filter(|(of, ..)| of == agent) {
                let is_known = !unsettled.contains(&(*agent, number));
                let tried = row.tiers[attempt.tier as usize].get_or_insert(Tried { end: None, cost: Some(0), attempts: 0 });
                tried.end = tried.end.max(end_of(attempt));
                tried.cost = tried.cost.filter(|_| is_known).map(|cost| cost.saturating_add(attempt.cost));
                tried.attempts += 1;
            }
        }
        rows.put(&key, rows::write(&row)?);
    }
    Ok(())
}

fn end_of(attempt: &AttemptDraft) -> Option<TaskEnd> {
    match attempt.outcome? {
        AttemptOutcome::Passed if attempt.verified => Some(TaskEnd::Passed),
        AttemptOutcome::Passed => Some(TaskEnd::Unverified),
        AttemptOutcome::FailedCriteria => Some(TaskEnd::Failed),
        _ => None,
    }
}
