//! What was answered, by template × question × value, how the runs with it went, and what was answered last.
//!
//! A list counts once for each of its items. A question keeps a limited number of values; further ones count together as others.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draft::{Ended, RunStats};
use super::outcomes::Ends;
use super::{Evidence, Sign, mode_of, shift};
use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};

/// First byte of the keys of values.
pub const KIND: u8 = b'a';
/// First byte of the keys of questions.
pub const KIND_QUESTION: u8 = b'q';
/// First byte of the keys of what was answered last.
pub const KIND_LAST: u8 = b'l';

/// Values of one question that are counted one by one.
const VALUES_MAX: u64 = 100;
/// Bytes of a value (as JSON) beyond which it is not counted one by one.
const VALUE_BYTES_MAX: usize = 200;
/// Answers of a question that are remembered as its last ones.
const LAST_MAX: usize = 4;

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerKey {
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// The question's id.
    pub question: String,
    /// The value, or one item of it, as JSON.
    pub value: String,
}

impl AnswerKey {
    /// Returns the beginning of the keys of a template's values.
    pub fn of(template: &str) -> Key {
        Key::new(KIND).text(template)
    }

    /// Reads a key.
    pub fn read(key: &[u8]) -> Option<Self> {
        let mut reader = KeyReader::new(key);
        Some(Self {
            template: reader.text()?.to_owned(),
            mode: mode_of(reader.byte()?)?,
            question: reader.text()?.to_owned(),
            value: reader.text()?.to_owned(),
        })
    }
}

/// The runs with an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerRow {
    /// How they ended.
    pub ends: Ends,
    /// What is known of their cost, in nUSD.
    pub cost_known: u128,
    /// Runs some of whose cost is not known.
    pub cost_unknown: u64,
    /// The newest of them.
    pub evidence: Evidence,
    /// The newest of them that ended well.
    pub successes: Evidence,
}

/// The runs that answered a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QuestionRow {
    /// How they ended.
    pub ends: Ends,
    /// Values that have rows.
    pub values: u64,
    /// Values that were too many or too long for a row of their own.
    pub others: u64,
}

impl QuestionRow {
    /// Returns the beginning of the keys of a template's questions.
    pub fn of(template: &str) -> Key {
        Key::new(KIND_QUESTION).text(template)
    }

    /// Reads a key: mode and question.
    pub fn read_key(key: &[u8]) -> Option<(Mode, String)> {
        let mut reader = KeyReader::new(key);
        reader.text()?;
        Some((mode_of(reader.byte()?)?, reader.text()?.to_owned()))
    }
}

/// An answer that was given lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When its run began.
    pub at: TimeNs,
    /// The run.
    pub run: RunId,
    /// Whether its models were real.
    pub mode: Mode,
    /// The value as JSON.
    pub value: String,
}

/// The last answers of a question, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastRow(pub Vec<LastAnswer>);

impl LastRow {
    /// Returns the beginning of the keys of a template's questions.
    pub fn of(template: &str) -> Key {
        Key::new(KIND_LAST).text(template)
    }

    /// Reads a key: the question.
    pub fn read_key(key: &[u8]) -> Option<String> {
        let mut reader = KeyReader::new(key);
        reader.text()?;
        reader.text().map(str::to_owned)
    }
}

/// Takes the draft's answers in or out.
pub(super) fn count(rows: &mut dyn Rows, run: RunId, draft: &RunStats, ended: Ended, sign: Sign) -> Result<(), String> {
    let (cost, cost_complete) = (draft.cost(), draft.unsettled().is_empty());
    for (question, json) in &draft.answers {
        let question_key = QuestionRow::of(&draft.template).byte(draft.mode as u8).text(question).finish();
        let mut asked: QuestionRow = rows.get(&question_key).as_deref().map(rows::read).transpose()?.unwrap_or_default();
        asked.ends.count(ended, sign);
        for value in values(json) {
            let key = AnswerKey::of(&draft.template).byte(draft.mode as u8).text(question).text(&value).finish();
            let is_new = rows.get(&key).is_none();
            if value.len() > VALUE_BYTES_MAX || (is_new && (asked.values >= VALUES_MAX || sign == Sign::Out)) {
                shift(&mut asked.others, sign);
                continue;
            }
            if is_new {
                asked.values += 1;
            }
            // A value keeps its row for good: whether it has one must not depend on what was taken out in between.
            let mut row: AnswerRow = rows.get(&key).as_deref().map(rows::read).transpose()?.unwrap_or_default();
            row.ends.count(ended, sign);
            sign.sum(&mut row.cost_known, cost);
            if !cost_complete {
                shift(&mut row.cost_unknown, sign);
            }
            row.evidence.count(draft.started_at, run, sign);
            if ended.status == crate::views::status::RunStatus::Succeeded {
                row.successes.count(draft.started_at, run, sign);
            }
            rows.put(&key, rows::write(&row)?);
        }
        rows.put(&question_key, rows::write(&asked)?);
    }
    count_last(rows, run, draft, sign)
}

/// Takes a run's answers in or out as those that were given last.
pub(super) fn count_last(rows: &mut dyn Rows, run: RunId, draft: &RunStats, sign: Sign) -> Result<(), String> {
    for (question, json) in &draft.answers {
        rows::change(rows, &LastRow::of(&draft.template).text(question).finish(), |row: &mut LastRow| match sign {
            Sign::In => {
                row.0.push(LastAnswer { at: draft.started_at, run, mode: draft.mode, value: json.clone() });
                row.0.sort_by_key(|answer| std::cmp::Reverse((answer.at, answer.run)));
                row.0.truncate(LAST_MAX);
            }
            Sign::Out => row.0.retain(|answer| answer.run != run),
        })?;
    }
    Ok(())
}

/// Returns what an answer counts as: itself, or each of its items once.
fn values(json: &str) -> Vec<String> {
    match serde_json::from_str(json) {
        Ok(Value::Array(items)) => {
            let mut items: Vec<String> = items.iter().map(Value::to_string).collect();
            items.sort_unstable();
            items.dedup();
            items
        }
        _ => vec![json.to_owned()],
    }
}
