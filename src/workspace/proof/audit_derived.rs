//! The views against what the events say: the row of every run in the list, and the sums of all charges.

use std::collections::HashMap;

use serde::Serialize;

use super::{Auditor, PAGE};
use crate::audit::finding::{Check, Location};
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::store::Error;
use crate::views::costs::rollup::Sums;
use crate::views::costs::{self, CostKey, CostRow};
use crate::views::rows::{self, Key};
use crate::views::run_list::RunRow;
use crate::views::runs;

impl Auditor<'_> {
    /// The list's row of a run must be what its events make of it.
    pub(super) fn shown_row(&mut self, run: RunId, expected: &RunRow) -> Result<(), Error> {
        let key = runs::key(run);
        let rows = self.material.log.view(runs::NAME, &key, Some(&runs::after(&key)), false, 1)?;
        let at = Location { seq: None, run: Some(run) };
        let found = rows.rows.first().map(|(_, row)| runs::read_row(row));
        match found {
            // Somebody appended to the run meanwhile.
            Some(Ok(row)) if row.version > expected.version => {}
            Some(Ok(row)) => {
                let field = first_difference(expected, &row);
                self.book.holds(Check::Views, at, field.is_none(), || {
                    let (field, expected, found) = field.unwrap_or_default();
                    [format!("`{field}` of the run in the list of runs"), expected, found]
                });
            }
            Some(Err(why)) => self.book.broken(Check::Views, at, "the run's row in the list of runs", "a row", why),
            None => self.book.broken(Check::Views, at, "the run in the list of runs", "a row", "none"),
        }
        Ok(())
    }

    /// The sums of the costs view, of quarter hours and of what is longer, must be those of the log, each kind of money by itself: money,
    /// calls, tokens and what is not known.
    pub(super) fn costs(&mut self) -> Result<(), Error> {
        let mut sums: HashMap<(Sums, Mode), CostRow> = HashMap::new();
        for kind in Sums::ALL {
            let all = Key::new(kind.kind);
            let (mut from, to) = (all.clone().finish(), all.end());
            loop {
                let page = self.material.log.view(costs::NAME, &from, to.as_deref(), false, PAGE)?;
                if page.seen > self.head.seq {
                    // More was booked since the audit began: the sums are of another moment.
                    return Ok(());
                }
                let Some((last, _)) = page.rows.last() else { break };
                from = [&last[..], &[0]].concat();
                for (key, row) in &page.rows {
                    let (Some(key), Ok(row)) = (CostKey::read(key), rows::read::<CostRow>(row)) else {
                        self.book.broken(Check::Views, Location::default(), "a row of the costs", "a row", "bytes that are none");
                        continue;
                    };
                    sums.entry((kind, key.mode)).or_default().merge(&row);
                }
            }
        }
        for mode in Mode::ALL {
            let expected = self.costs.get(mode).copied().unwrap_or_default();
            let found = Sums::ALL.map(|kind| sums.get(&(kind, *mode)).copied().unwrap_or_default());
            let differs = found.iter().find_map(|found| first_difference(&expected, found));
            self.book.holds(Check::Views, Location::default(), differs.is_none(), || {
                let (field, expected, found) = differs.unwrap_or_default();
                [format!("`{field}` of all {mode} costs in the reports"), expected, found]
            });
        }
        Ok(())
    }
}

/// Returns the first field in which two rows differ, and its values in both.
fn first_difference<T: Serialize + PartialEq>(expected: &T, found: &T) -> Option<(String, String, String)> {
    if expected == found {
        return None;
    }
    let fields = |row: &T| serde_json::to_value(row).unwrap_or_default();
    let (expected, found) = (fields(expected), fields(found));
    let differs = expected.as_object()?.iter().find(|(field, value)| found.get(*field) != Some(*value));
    let (field, value) = differs?;
    Some((field.clone(), value.to_string(), found.get(field).map(ToString::to_string).unwrap_or_default()))
}
