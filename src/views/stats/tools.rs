//! How tools did, by template × tool.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::draft::RunStats;
use super::{Evidence, Sign, mode_of, shift};
use crate::domain::event::{AttemptOutcome, Mode};
use crate::domain::ids::{AgentNo, AttemptNo, RunId};
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};
use crate::views::sketch::Sketch;

/// First byte of these rows' keys.
pub const KIND: u8 = b'u';

/// The calls of a tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolRow {
    /// All calls.
    pub calls: u64,
    /// Calls that did what they were asked.
    pub ok: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Calls that may have changed something.
    pub writes: u64,
    /// Attempts that called it and ended with an outcome that counts.
    pub attempts: u64,
    /// Of them, those that passed.
    pub passed: u64,
    /// How long calls took, in milliseconds.
    pub latency: Sketch,
    /// The newest runs.
    pub evidence: Evidence,
}

impl ToolRow {
    /// Returns the beginning of the keys of a template's tools.
    pub fn of(template: &str) -> Key {
        Key::new(KIND).text(template)
    }

    /// Reads a key: template, mode and tool.
    pub fn read_key(key: &[u8]) -> Option<(String, Mode, String)> {
        let mut reader = KeyReader::new(key);
        Some((reader.text()?.to_owned(), mode_of(reader.byte()?)?, reader.text()?.to_owned()))
    }
}

/// Takes the draft's tool calls in or out.
pub(super) fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    let mut used: BTreeMap<&str, BTreeSet<(AgentNo, AttemptNo)>> = BTreeMap::new();
    for ((call, _), tool) in &draft.tools {
        used.entry(&tool.tool).or_default().extend(draft.calls.get(call));
    }
    for (tool, attempts) in used {
        let outcomes = attempts.iter().filter_map(|attempt| draft.attempts.get(attempt)?.outcome);
        let (mut counted, mut passed) = (0, 0);
        for outcome in outcomes.filter(|outcome| matches!(outcome, AttemptOutcome::Passed | AttemptOutcome::FailedCriteria)) {
            counted += 1;
            passed += u64::from(outcome == AttemptOutcome::Passed);
        }
        let key = ToolRow::of(&draft.template).byte(draft.mode as u8).text(tool).finish();
        rows::change(rows, &key, |row: &mut ToolRow| {
            (0..counted).for_each(|_| shift(&mut row.attempts, sign));
            (0..passed).for_each(|_| shift(&mut row.passed, sign));
        })?;
    }
    for tool in draft.tools.values() {
        let key = ToolRow::of(&draft.template).byte(draft.mode as u8).text(&tool.tool).finish();
        rows::change(rows, &key, |row: &mut ToolRow| {
            shift(&mut row.calls, sign);
            if tool.writes {
                shift(&mut row.writes, sign);
            }
            match tool.ok {
                Some(true) => shift(&mut row.ok, sign),
                Some(false) => shift(&mut row.failed, sign),
                None => {}
            }
            if tool.ok.is_some() {
                sign.sketch(&mut row.latency, tool.latency_ms);
            }
            row.evidence.count(draft.started_at, run, sign);
        })?;
    }
    Ok(())
}
