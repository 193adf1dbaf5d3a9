//! What an audit found, and how much it looked at. Which rule was broken is decided elsewhere; here it is counted and worded.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::RunId;
use crate::domain::judge::clip;
use crate::domain::named::named_enums;

/// Longer values are cut in findings: a finding points at the event, which has the whole.
const VALUE_BYTES_MAX: usize = 300;

named_enums! {
    /// What an audit looks at.
    Check {
        /// Every event follows the one before it, from the first to the last.
        Chain = "chain",
        /// Positions and versions have no gaps.
        Positions = "positions",
        /// Texts are those that were committed to.
        Texts = "texts",
        /// Payloads are what their names say, and are there.
        Payloads = "payloads",
        /// Templates and settings are those that the run's hashes stand for.
        Hashes = "hashes",
        /// Every agent has a reason to exist.
        Agents = "agents",
        /// Every attempt and call has one end, or a loss.
        Attempts = "attempts",
        /// What was decided points at the event that led to it.
        Causes = "causes",
        /// What a fork took over is what the other run recorded.
        Lineage = "lineage",
        /// Every climb has a failed verdict before it.
        Escalations = "escalations",
        /// Criteria, judged again where that needs no model, by what was recorded of files.
        Criteria = "criteria",
        /// Every tool that ran was asked for by a model that had it, by what the run's recorded settings offer.
        Tools = "tools",
        /// Costs are usage times recorded prices, sums are sums, budgets are walls.
        Money = "money",
        /// The index of the log has what the journal has.
        Index = "index",
        /// The views say what the events say.
        Views = "views",
        /// The log is the one that was sealed.
        Seals = "seals",
    }
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// What was looked at.
    pub check: Check,
    /// Position in the log; null when it is about no single event.
    pub seq: Option<u64>,
    /// The run.
    pub run_id: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Violation {
    /// Returns the command that makes again what is wrong, where the journal has all that it takes.
    pub fn cure(&self) -> Option<&'static str> {
        matches!(self.check, Check::Index | Check::Views).then_some("`meno rebuild`")
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "event {seq}: "),
            None => Ok(()),
        }?;
        write!(f, "{} (expected {}, found {})", self.what, self.expected, self.found)
    }
}

/// How often something was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// What.
    pub check: Check,
    /// How often it could be told whether it holds.
    pub checked: u64,
    /// How often it does not.
    pub violations: u64,
    /// How often it could not be told, because a text is forgotten or was never kept.
    pub not_verifiable: u64,
}

/// Where something was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Position in the log.
    pub seq: Option<u64>,
    /// The run.
    pub run: Option<RunId>,
}

/// Counts what is looked at and passes violations on as they are found, so that nothing grows with the log.
pub struct Findings<'a> {
    tallies: BTreeMap<Check, Tally>,
    tell: &'a mut dyn FnMut(&Violation),
}

impl<'a> Findings<'a> {
    /// Opens a book that tells `tell` of every violation.
    pub fn new(tell: &'a mut dyn FnMut(&Violation)) -> Self {
        Self { tallies: BTreeMap::new(), tell }
    }

    /// Notes whether something holds; `words` says what is wrong, what was expected and what was found when it does not.
    pub fn holds(&mut self, check: Check, place: Location, holds: bool, words: impl FnOnce() -> [String; 3]) {
        let tally = self.tally(check);
        tally.checked += 1;
        if !holds {
            tally.violations += 1;
            let [what, expected, found] = words();
            (self.tell)(&Violation {
                check,
                seq: place.seq,
                run_id: place.run.map(|run| run.to_string()),
                what,
                expected: clip(&expected, VALUE_BYTES_MAX),
                found: clip(&found, VALUE_BYTES_MAX),
            });
        }
    }

    /// Notes whether `found` is `expected`.
    pub fn same<T: PartialEq + Serialize>(&mut self, check: Check, place: Location, what: &str, expected: &T, found: &T) {
        self.holds(check, place, expected == found, || [what.to_owned(), shown(expected), shown(found)]);
    }

    /// Notes something that does not hold, whatever else.
    pub fn broken(&mut self, check: Check, place: Location, what: impl Into<String>, expected: &str, found: impl Into<String>) {
        let (what, found) = (what.into(), found.into());
        self.holds(check, place, false, || [what, expected.to_owned(), found]);
    }

    /// Notes that something could not be told.
    pub fn not_verifiable(&mut self, check: Check) {
        self.tally(check).not_verifiable += 1;
    }

    /// Notes that something was looked at `times` times and holds.
    pub fn held(&mut self, check: Check, times: u64) {
        self.tally(check).checked += times;
    }

    /// Returns what was looked at, each thing once, in the order of [`Check`].
    pub fn tallies(&self) -> Vec<Tally> {
        self.tallies.values().copied().collect()
    }

    fn tally(&mut self, check: Check) -> &mut Tally {
        self.tallies.entry(check).or_insert(Tally { check, checked: 0, violations: 0, not_verifiable: 0 })
    }
}

/// Shows a value of an event: texts as they are, everything else as JSON.
pub(super) fn shown(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Null) => "nothing".to_owned(),
        Ok(value) => value.to_string(),
        // Values of events are all sayable in JSON; a value that is not is named as such.
        Err(why) => format!("a value that cannot be shown: {why}"),
    }
}
