//! Which templates follow one another: for every run, which templates were run within the day before it.
//!
//! Only runs that come in the order of their beginnings are counted: of a run that is imported from before the newest one, nobody
//! knows by then what else was run in its day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::draft::RunStats;
use super::{Evidence, Sign, mode_of, shift};
use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::views::Rows;
use crate::views::rows::{self, Key, KeyReader};

/// First byte of the keys of pairs.
pub const KIND: u8 = b'x';
/// First byte of the keys of what is being followed.
const KIND_LATELY: u8 = b'y';
/// First byte of the keys of single templates.
pub const KIND_TEMPLATE: u8 = b'z';

const DAY_NS: i64 = 86_400_000_000_000;
/// Templates that a run can follow, at most: the newest.
const LATELY_MAX: usize = 32;

/// The templates run lately in one mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Lately {
    last: BTreeMap<String, TimeNs>,
    newest: Option<TimeNs>,
}

/// The runs that count, of one mode: of one template, or of all under an empty id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowRow {
    /// Runs of the template.
    pub runs: u64,
    /// Runs of any template in the day after a run of this one.
    pub followed: u64,
}

/// Runs of one template in the day after one of another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairRow {
    /// How many.
    pub runs: u64,
    /// The newest of them.
    pub evidence: Evidence,
}

impl PairRow {
    /// Returns the beginning of the keys of what follows `template` in `mode`.
    pub fn of(mode: Mode, template: &str) -> Key {
        Key::new(KIND).byte(mode as u8).text(template)
    }

    /// Reads a key: the mode, the template before, the template that follows.
    pub fn read_key(key: &[u8]) -> Option<(Mode, String, String)> {
        let mut reader = KeyReader::new(key);
        Some((mode_of(reader.byte()?)?, reader.text()?.to_owned(), reader.text()?.to_owned()))
    }
}

impl FollowRow {
    /// Returns the key of a template's row; that of all runs has an empty id.
    pub fn key(mode: Mode, template: &str) -> Vec<u8> {
        Key::new(KIND_TEMPLATE).byte(mode as u8).text(template).finish()
    }
}

/// Takes in a run that begins.
pub(super) fn begin(rows: &mut dyn Rows, run: RunId, draft: &RunStats) -> Result<(), String> {
    let (mode, at) = (draft.mode, draft.started_at);
    let key = Key::new(KIND_LATELY).byte(mode as u8).finish();
    let mut lately: Lately = rows.get(&key).as_deref().map(rows::read).transpose()?.unwrap_or_default();
    if lately.newest.is_none_or(|newest| at >= newest) {
        rows::change(rows, &FollowRow::key(mode, ""), |row: &mut FollowRow| row.runs += 1)?;
        rows::change(rows, &FollowRow::key(mode, &draft.template), |row: &mut FollowRow| row.runs += 1)?;
        lately.last.retain(|_, last| at.saturating_sub(*last) <= DAY_NS);
        for before in lately.last.keys() {
            rows::change(rows, &FollowRow::key(mode, before), |row: &mut FollowRow| row.followed += 1)?;
            rows::change(rows, &PairRow::of(mode, before).text(&draft.template).finish(), |row: &mut PairRow| {
                shift(&mut row.runs, Sign::In);
                row.evidence.count(at, run, Sign::In);
            })?;
        }
        lately.newest = Some(at);
        lately.last.insert(draft.template.clone(), at);
        if lately.last.len() > LATELY_MAX
            && let Some(oldest) = lately.last.iter().min_by_key(|(_, last)| **last).map(|(template, _)| template.clone())
        {
            lately.last.remove(&oldest);
        }
        rows.put(&key, rows::write(&lately)?);
    }
    Ok(())
}
