//! What criteria said, by template × role × criterion: how often each passes, catches something, or cannot be told.

use serde::{Deserialize, Serialize};

use super::draft::{Judge, RunStats};
use super::{Evidence, Sign, mode_of, shift};
use crate::domain::event::{AttemptOutcome, Mode, Verdict};
use crate::domain::ids::RunId;
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};

/// First byte of these rows' keys.
pub const KIND: u8 = b'c';

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CriterionKey {
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// The agent's role.
    pub role: String,
    /// The criterion's name or words; its number once those are forgotten.
    pub criterion: String,
}

impl CriterionKey {
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
            criterion: reader.text()?.to_owned(),
        })
    }
}

/// What a criterion said of attempts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CriterionRow {
    /// It held.
    pub passed: u64,
    /// It did not hold.
    pub failed: u64,
    /// Nobody could tell.
    pub unknown: u64,
    /// It did not hold, and was the only one of its attempt that did not: without it the attempt would have passed.
    pub caught_alone: u64,
    /// Verdicts of Meno's own code.
    pub by_code: u64,
    /// Verdicts of a judging model.
    pub by_model: u64,
    /// The newest runs.
    pub evidence: Evidence,
}

/// Takes the draft's verdicts in or out.
pub(super) fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    for (agent, _, attempt) in draft.counted() {
        let failures = attempt.verdicts.iter().filter(|(_, verdict, _)| *verdict == Verdict::Fail).count();
        for (name, verdict, judge) in &attempt.verdicts {
            let key = CriterionKey::of(Some(&draft.template)).byte(draft.mode as u8).text(draft.role(agent)).text(name);
            rows::change(rows, &key.finish(), |row: &mut CriterionRow| {
                match verdict {
                    Verdict::Pass => shift(&mut row.passed, sign),
                    Verdict::Fail => shift(&mut row.failed, sign),
                    Verdict::Unknown => shift(&mut row.unknown, sign),
                }
                let decided = attempt.outcome == Some(AttemptOutcome::FailedCriteria) && attempt.signals.is_empty();
                if *verdict == Verdict::Fail && failures == 1 && decided {
                    shift(&mut row.caught_alone, sign);
                }
                match judge {
                    Judge::Code => shift(&mut row.by_code, sign),
                    Judge::Model => shift(&mut row.by_model, sign),
                    Judge::Nobody | Judge::Foreign => {}
                }
                row.evidence.count(draft.started_at, run, sign);
            })?;
        }
    }
    Ok(())
}
