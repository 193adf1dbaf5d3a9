//! Going through what happened again: as it was at one moment, and with every decision made anew.

use std::fmt;

use super::Proof;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::replay::{Verification, verify};
use crate::domain::event::Recorded;
use crate::domain::ids::RunId;
use crate::domain::text::Text;
use crate::store;
use crate::views::run_detail::RunDetail;
use crate::workspace::runs::every_run::each_run;

/// So many runs that differ stand in the document; each is told when it is found.
const DIFFERING_KEPT_MAX: usize = 10_000;

/// What the making anew of decisions gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "What making decisions anew gave, as `meno replay --verify --json` prints it")]
pub struct ReplayDocument {
    /// No decision differs.
    pub sound: bool,
    /// Runs gone through.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// Events that are inputs: nothing decides them.
    pub inputs: u64,
    /// Events that follow from the inputs, and were derived again and found equal.
    pub verified: u64,
    /// Events that could not be derived again, because a text is forgotten or was never kept.
    pub not_verifiable: u64,
    /// Runs whose events end too early: as far as they go, nothing differs.
    pub incomplete: u64,
    /// Runs with texts that are encrypted and whose key is not at hand.
    pub locked: u64,
    /// Runs with a difference.
    pub differing: u64,
    /// Those runs, at most the first 10,000.
    pub differences: Vec<Verification>,
}

impl Proof<'_> {
    /// Makes every decision of one run or of all anew, from what they recorded; `tell` hears of each run.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read.
    pub fn verify(&self, run: Option<RunId>, tell: &mut dyn FnMut(&Verification)) -> Result<ReplayDocument, store::Error> {
        // What is not there is not sound.
        self.0.place()?;
        let mut document = ReplayDocument { sound: true, ..ReplayDocument::default() };
        let mut one = |run: RunId| -> Result<(), store::Error> {
            let mut events = self.0.runs().events_of(run, 1, u32::MAX)?;
            let verification = verify(&events, env!("CARGO_PKG_VERSION"));
            if verification.not_verifiable > 0 && self.is_locked(&mut events) {
                document.locked += 1;
            }
            document.add(&verification);
            tell(&verification);
            Ok(())
        };
        match run {
            Some(run) => one(run)?,
            None => each_run(self.0.log.as_ref(), one)?,
        }
        Ok(document)
    }

    /// Whether a text of these events is encrypted and its key is not at hand.
    fn is_locked(&self, events: &mut [Recorded]) -> bool {
        let mut names = Vec::new();
        for recorded in events {
            recorded.event.each_text_mut(&mut |text| names.extend(text.payload()));
        }
        names.into_iter().any(|name| matches!(self.0.payloads.read(name), Err(store::Error::Locked(_))))
    }

    /// Returns what was known of a run when the log, or below the run's first position the run itself, had reached position `seq`; `None`
    /// for a run without events.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn detail_at(&self, id: RunId, seq: u64) -> Result<Option<RunDetail>, store::Error> {
        let events = self.0.runs().events_of(id, 1, u32::MAX)?;
        let until = until(&events, seq);
        let text = |text: &Text| match text {
            Text::Inline(text) => Some(text.clone()),
            _ => None,
        };
        Ok((until > 0).then(|| RunDetail::fold(events[..until].iter(), &text)))
    }

    /// Returns what positions a run has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn reach(&self, id: RunId) -> Result<Reach, store::Error> {
        Ok(Reach::of(&self.0.runs().events_of(id, 1, u32::MAX)?))
    }

    /// Returns where the log ends, the store's own or that of the run, when that is before position `seq`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn end_before(&self, id: RunId, seq: u64) -> Result<Option<u64>, store::Error> {
        let head = self.0.log.head()?.seq;
        if seq <= head {
            return Ok(None);
        }
        let events = self.0.runs().events_of(id, 1, u32::MAX)?;
        let end = events.last().map_or(head, |recorded| recorded.envelope.seq.max(head));
        Ok((seq > end).then_some(end))
    }
}

/// What positions a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many events it has.
    pub events: u64,
    /// Where in the log the first of them is.
    pub first: u64,
    /// Where in the log the last of them is.
    pub last: u64,
}

impl Reach {
    pub(in crate::workspace) fn of(events: &[Recorded]) -> Self {
        let seq = |recorded: Option<&Recorded>| recorded.map_or(0, |recorded| recorded.envelope.seq);
        Self { events: events.len() as u64, first: seq(events.first()), last: seq(events.last()) }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, first, last } = self;
        write!(f, "its events are numbered 1 to {events} and stand at positions {first} to {last} of the log")
    }
}

/// How many of a run's events had happened at `position`: of the log, or, below the run's first position in the log, of the run itself,
/// whose events count from 1.
pub(in crate::workspace) fn until(events: &[Recorded], position: u64) -> usize {
    let first = events.first().map_or(0, |recorded| recorded.envelope.seq);
    if position < first {
        // The log had not reached the run, and the run never had so many events: nothing had happened.
        return usize::try_from(position).ok().filter(|position| *position <= events.len()).unwrap_or(0);
    }
    events.partition_point(|recorded| recorded.envelope.seq <= position)
}

impl ReplayDocument {
    /// Whether there were decisions, and none of them could be made again.
    pub fn is_void(&self) -> bool {
        self.sound && self.verified == 0 && self.not_verifiable > 0
    }

    pub(in crate::workspace) fn add(&mut self, run: &Verification) {
        self.runs += 1;
        self.events += run.events;
        self.inputs += run.inputs;
        self.verified += run.verified;
        self.not_verifiable += run.not_verifiable;
        self.incomplete += u64::from(run.incomplete);
        if run.difference.is_some() {
            self.sound = false;
            self.differing += 1;
            if self.differences.len() < DIFFERING_KEPT_MAX {
                self.differences.push(run.clone());
            }
        }
    }
}
