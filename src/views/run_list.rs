//! One line per run: the row that the projection keeps, the line that `list-runs --json` prints, and the choice of lines.
//!
//! A row holds what its own fold needs, so that it can be stored, read back and carried on event by event. That a run is
//! `interrupted` is not in the log: whoever can see the run's lock says so when a row becomes a line.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::event::{AttemptOutcome, Event, Mode, Purpose, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, NodeId, RunId, TimeNs};
use crate::domain::money::NanoUsd;

use super::misconfigured::Misconfigured;
use super::open_costs::OpenCosts;
use super::status::RunStatus;
use super::utc;
use super::work_time::WorkTime;

/// What is kept of a run for lists. Stored in views, which are disposable, so its layout may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// The run.
    pub run_id: RunId,
    /// The template's id.
    pub template_id: String,
    /// Where its events say that it stands; never `interrupted`.
    pub status: RunStatus,
    /// Whether its models were real, simulated, or another system's.
    pub mode: Mode,
    /// Another system ran it, simulated or not.
    pub imported: bool,
    /// When it began; 0 before its first event.
    pub started_at: TimeNs,
    /// When it ended.
    pub ended_at: Option<TimeNs>,
    /// What is known of its cost, work and judging together.
    pub cost: NanoUsd,
    /// Of it, what judging cost.
    pub verification_cost: NanoUsd,
    /// Every agent that counts is known to have met its criteria.
    pub verified: bool,
    /// Calls of models without a price.
    pub unpriced_calls: u32,
    /// How many agents its team has.
    pub agents: u32,
    /// How many escalations there were.
    pub escalations: u32,
    /// Labels; empty once forgotten.
    pub labels: IndexMap<String, String>,
    /// The folder that it was started in; `None` when not known or forgotten.
    pub workspace: Option<String>,
    /// The run it was forked from.
    pub parent: Option<RunId>,
    /// Position in the run's stream of the last event taken in.
    pub version: u64,
    /// Calls whose cost is not known, or not yet.
    pub open_costs: OpenCosts,
    /// Imported attempts that came without a cost.
    pub costless_attempts: BTreeSet<(AgentNo, AttemptNo)>,
    /// The durations of its attempts.
    pub attempts_duration: AttemptsDuration,
    /// How long it worked.
    pub time: WorkTime,
    /// What of it a failure of configuration ended.
    pub misconfigured: Misconfigured,
}

/// The durations of a run's attempts together, however many ran at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptsDuration {
    sum_ms: u64,
    timed: u32,
    untimed: u32,
}

impl AttemptsDuration {
    /// Adds an attempt; `None` when how long it took is not known.
    pub fn add(&mut self, duration_ms: Option<u64>) {
        match duration_ms {
            Some(duration_ms) => {
                self.sum_ms = self.sum_ms.saturating_add(duration_ms);
                self.timed = self.timed.saturating_add(1);
            }
            None => self.untimed = self.untimed.saturating_add(1),
        }
    }

    /// Returns the sum in milliseconds; `None` when there is no attempt, or one whose duration is not known.
    pub fn known(&self) -> Option<u64> {
        (self.timed > 0 && self.untimed == 0).then_some(self.sum_ms)
    }
}

impl RunRow {
    /// Returns the row of a run that has no events yet.
    pub fn new(run_id: RunId) -> Self {
        Self {
            run_id,
            template_id: String::new(),
            status: RunStatus::Running,
            mode: Mode::Real,
            imported: false,
            started_at: 0,
            ended_at: None,
            cost: NanoUsd(0),
            verification_cost: NanoUsd(0),
            verified: false,
            unpriced_calls: 0,
            agents: 0,
            escalations: 0,
            labels: IndexMap::new(),
            workspace: None,
            parent: None,
            version: 0,
            open_costs: OpenCosts::default(),
            costless_attempts: BTreeSet::new(),
            attempts_duration: AttemptsDuration::default(),
            time: WorkTime::default(),
            misconfigured: Misconfigured::default(),
        }
    }

    /// Takes in the run's next event.
    #[must_use]
    pub fn apply(mut self, recorded: &Recorded) -> Self {
        let envelope = &recorded.envelope;
        let at = envelope.occurred_at.unwrap_or(envelope.at);
        // When an imported run ended is what its record says, or not known: never when it was imported.
        let ended = if self.imported { envelope.occurred_at } else { Some(at) };
        self.version = envelope.version;
        self.status = self.status.after(&recorded.event);
        self.open_costs.apply(&recorded.event);
        self.time.apply(recorded);
        self.misconfigured.apply(&recorded.event);
        match &recorded.event {
            Event::RunStarted(body) => {
                self.template_id.clone_from(&body.template_id);
                self.mode = body.counts_as();
                self.imported = body.is_imported();
                self.started_at = at;
                if let Some(private) = &body.private {
                    self.labels = private.labels.iter().cloned().collect();
                    self.workspace = Some(private.workspace.clone()).filter(|folder| !folder.is_empty());
                }
            }
            Event::RunForked(body) => self.parent = Some(body.parent),
            Event::AgentPlanned(_) => self.agents = self.agents.saturating_add(1),
            Event::TierEscalated(_) => self.escalations = self.escalations.saturating_add(1),
            Event::AttemptImported(body) => {
                self.costless_attempts.insert((body.agent, body.attempt));
                self.attempts_duration.add(body.duration_ms);
            }
            Event::AttemptEnded(body) => {
                // When an attempt whose process died was found, not when it ended, is in its record.
                self.attempts_duration.add((body.outcome != AttemptOutcome::Lost).then_some(body.duration_ms));
            }
            Event::CostIncurred(body) => {
                let known = body.amount.unwrap_or_default();
                self.cost = self.cost.plus(known);
                if body.purpose == Purpose::Judge {
                    self.verification_cost = self.verification_cost.plus(known);
                }
                self.unpriced_calls = self.unpriced_calls.saturating_add(u32::from(self.open_costs.lacks_price(body)));
                if body.call.is_none() {
                    self.costless_attempts.remove(&(body.agent, body.attempt));
                }
            }
            Event::RunSucceeded(body) => {
                self.verified = body.verified;
                self.ended_at = ended;
            }
            Event::RunFailed(_) | Event::RunCancelled(_) => self.ended_at = ended,
            Event::RunResumed(_) => self.ended_at = None,
            _ => {}
        }
        self
    }

    /// Tells whether it may wait for a person: it is of this system and has ended neither well nor for good.
    pub fn may_wait(&self) -> bool {
        !self.imported && !matches!(self.status, RunStatus::Succeeded | RunStatus::Cancelled)
    }

    /// Tells whether the cost of every call is known.
    pub fn cost_complete(&self) -> bool {
        self.unpriced_calls == 0 && self.open_costs.is_settled() && self.costless_attempts.is_empty()
    }

    /// Tells whether the run ended by a failure of configuration.
    pub fn failed_by_configuration(&self) -> bool {
        matches!(self.status, RunStatus::Failed | RunStatus::Cancelled) && self.misconfigured.run()
    }

    /// Tells whether the run was under way at some moment of a time (from, before). One that has ended nobody knows when counts by its
    /// start; one that has not ended goes on.
    fn was_under_way(&self, (from, to): (TimeNs, TimeNs)) -> bool {
        let ended = self.ended_at.or(self.status.ended().then_some(self.started_at));
        self.started_at < to && ended.is_none_or(|ended| ended >= from)
    }

    /// Returns the row as programs read it. `executed`: a process holds the run's lock.
    pub fn line(&self, executed: bool) -> RunLine {
        RunLine {
            run_id: self.run_id.to_string(),
            template_id: self.template_id.clone(),
            status: self.status.seen(executed),
            mode: self.mode,
            started_at: utc(self.started_at),
            ended_at: self.ended_at.map(utc),
            duration_ms: self.time.work_ms(),
            form_ms: self.time.form_ms(),
            waited_ms: self.time.waited_ms(),
            attempts_duration_ms: self.attempts_duration.known(),
            cost_nusd: self.cost.0,
            verified: self.verified,
            cost_complete: self.cost_complete(),
            agents: self.agents,
            escalations: self.escalations,
            failed_by_configuration: self.failed_by_configuration(),
            forked_from: self.parent.map(|parent| parent.to_string()),
            labels: self.labels.clone(),
            node: None,
        }
    }
}

/// A run as `list-runs --json` prints it. Amounts in nUSD, times RFC 3339 in UTC, durations in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunLine {
    /// The run's id, a ULID.
    pub run_id: String,
    /// The template's id.
    pub template_id: String,
    /// Where the run stands.
    pub status: RunStatus,
    /// Whether its models were real, simulated, or another system's.
    pub mode: Mode,
    /// When it began.
    pub started_at: String,
    /// When it ended; null while it has not.
    pub ended_at: Option<String>,
    /// How long it worked, without the time that its form took and the time that it waited for a person; null while it has not ended.
    pub duration_ms: Option<u64>,
    /// How long filling in its form took; null for a run of another system.
    #[serde(default)]
    pub form_ms: Option<u64>,
    /// How long it waited for a person: paused, failed or interrupted until it was resumed, or for an approval while nothing else was
    /// under way; null for a run of another system.
    #[serde(default)]
    pub waited_ms: Option<u64>,
    /// The durations of its attempts together, however many ran at once; null when one of them is not known.
    pub attempts_duration_ms: Option<u64>,
    /// What is known of its cost, work and judging together.
    pub cost_nusd: u64,
    /// Every agent that counts is known to have met its criteria.
    pub verified: bool,
    /// False when there is a call whose cost is not known: without a price, lost, or still open.
    pub cost_complete: bool,
    /// How many agents its team has.
    pub agents: u32,
    /// How many escalations there were.
    pub escalations: u32,
    /// It ended because it could not work: key, model, price or server. No statistic counts it.
    #[serde(default)]
    pub failed_by_configuration: bool,
    /// The run it was forked from; null when it was not.
    pub forked_from: Option<String>,
    /// Labels.
    pub labels: IndexMap<String, String>,
    /// The node of the imported log that has it; null for a run of the store's own log.
    #[serde(default)]
    pub node: Option<String>,
}

/// What `list-runs --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Runs, as `meno list-runs --json` prints them")]
pub struct RunList {
    /// The runs chosen, in the order asked for.
    pub runs: Vec<RunLine>,
    /// How many runs the filters let through, before the limit.
    pub total: u64,
}

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
    /// Dearest first.
    Cost,
    /// Longest first; runs that have not ended come last.
    Duration,
}

/// Which runs a list shows. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this template.
    pub template: Option<String>,
    /// In one of these states; any when empty.
    pub status: Vec<RunStatus>,
    /// In this mode.
    pub mode: Option<Mode>,
    /// Begun at this moment or later.
    pub since: Option<TimeNs>,
    /// Begun before this moment.
    pub until: Option<TimeNs>,
    /// Under way at some moment from the first on and before the second; a run that has not ended goes on.
    pub under_way: Option<(TimeNs, TimeNs)>,
    /// With all these labels.
    pub labels: Vec<(String, String)>,
    /// Of these logs.
    pub log: LogFilter,
}

/// Of which logs runs are meant: the store's own, and those that were imported beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFilter {
    /// Of all.
    #[default]
    All,
    /// Of the store's own.
    Own,
    /// Of the imported logs whose node begins or ends like this.
    Node(String),
}

impl std::str::FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// Letters of a node that are enough to name it.
        const NODE_CHARS_MIN: usize = 4;
        match text {
            "all" => Ok(Self::All),
            "own" => Ok(Self::Own),
            part if part.len() >= NODE_CHARS_MIN && part.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Ok(Self::Node(part.to_owned()))
            }
            _ => Err(format!("use `own`, `all`, or at least {NODE_CHARS_MIN} letters of a node")),
        }
    }
}

impl LogFilter {
    /// Tells whether runs of a log are meant: of the imported one of `node`, or of the own one.
    pub(crate) fn takes(&self, node: Option<NodeId>) -> bool {
        match (self, node.map(|node| node.to_string())) {
            (Self::All, _) | (Self::Own, None) => true,
            (Self::Own, Some(_)) | (Self::Node(_), None) => false,
            (Self::Node(part), Some(node)) => {
                let part = part.to_ascii_uppercase();
                node.starts_with(&part) || node.ends_with(&part)
            }
        }
    }
}

impl RunFilter {
    /// Tells whether every run of the store's own log fits.
    pub fn is_empty(&self) -> bool {
        *self == Self { log: self.log.clone(), ..Self::default() } && self.log.takes(None)
    }

    /// Tells whether the list shows `row`, of a run that a process executes or not.
    pub(crate) fn matches(&self, row: &RunRow, executed: bool) -> bool {
        self.template.as_ref().is_none_or(|template| *template == row.template_id)
            && (self.status.is_empty() || self.status.contains(&row.status.seen(executed)))
            && self.mode.is_none_or(|mode| mode == row.mode)
            && self.since.is_none_or(|since| row.started_at >= since)
            && self.until.is_none_or(|until| row.started_at < until)
            && self.under_way.is_none_or(|time| row.was_under_way(time))
            && self.labels.iter().all(|(key, value)| row.labels.get(key) == Some(value))
    }

    /// Filters, sorts, counts, then cuts to `limit`. Each row comes with whether a process executes it.
    pub(crate) fn choose(&self, rows: impl Iterator<Item = (RunRow, bool)>, sort: SortBy, limit: Option<usize>) -> RunList {
        let mut rows: Vec<(RunRow, bool)> = rows.filter(|(row, executed)| self.matches(row, *executed)).collect();
        // Ids are in the order of creation, which tells apart what started within one tick of the clock.
        let age = |row: &RunRow| (row.started_at, row.run_id);
        match sort {
            SortBy::Newest => rows.sort_by_key(|(row, _)| std::cmp::Reverse(age(row))),
            SortBy::Oldest => rows.sort_by_key(|(row, _)| age(row)),
            SortBy::Cost => rows.sort_by_key(|(row, _)| std::cmp::Reverse((row.cost, age(row)))),
            SortBy::Duration => rows.sort_by_key(|(row, _)| std::cmp::Reverse((row.time.work_ms(), age(row)))),
        }
        let total = rows.len() as u64;
        rows.truncate(limit.unwrap_or(usize::MAX));
        RunList { runs: rows.iter().map(|(row, executed)| row.line(*executed)).collect(), total }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::views::run_detail::RunDetail;
    use crate::views::sample::{self, inline};

    fn fold(row: RunRow, events: &[Recorded]) -> RunRow {
        events.iter().fold(row, RunRow::apply)
    }

    /// A row as it is after it was stored and read back.
    fn stored(row: &RunRow) -> RunRow {
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(row, config).unwrap();
        bincode::serde::decode_from_slice(&bytes, config).unwrap().0
    }

    #[test]
    fn a_line_sums_up_the_run() {
        let line = fold(RunRow::new(sample::run_id()), &sample::story()).line(false);
        assert_eq!((line.agents, line.escalations, line.cost_nusd), (2, 1, 15_500_000));
        assert_eq!((line.status, line.verified, line.cost_complete), (RunStatus::Succeeded, true, true));
        assert_eq!((line.duration_ms, line.form_ms, line.labels["team"].as_str()), (Some(29_000), Some(4_000), "core"));
    }

    #[test]
    fn a_run_that_nobody_executes_is_interrupted_unless_it_stopped_by_itself() {
        let row = fold(RunRow::new(sample::run_id()), &sample::story()[..10]);
        assert_eq!(row.line(true).status, RunStatus::Running);
        assert_eq!(row.line(false).status, RunStatus::Interrupted);
        let row = row.apply(&sample::recorded(11, sample::suspended(crate::domain::event::SuspendReason::Form)));
        assert_eq!(row.line(false).status, RunStatus::AwaitingInput);
    }

    #[test]
    fn filters_come_before_the_limit_and_the_total_counts_what_they_let_through() {
        let rows = (1..=5u8).map(|number| {
            let mut row = RunRow::new(RunId::from_bytes([number; 16]));
            row.started_at = i64::from(number);
            row.template_id = if number % 2 == 0 { "even".into() } else { "odd".into() };
            row.cost = NanoUsd(u64::from(10 - number));
            (row, true)
        });
        let filter = RunFilter { template: Some("odd".into()), ..RunFilter::default() };
        let ids = |list: &RunList| list.runs.iter().map(|run| run.cost_nusd).collect::<Vec<_>>();
        let newest = filter.choose(rows.clone(), SortBy::Newest, Some(2));
        assert_eq!((ids(&newest), newest.total), (vec![5, 7], 3));
        assert_eq!(ids(&filter.choose(rows.clone(), SortBy::Cost, None)), [9, 7, 5]);
        let filter = RunFilter { since: Some(2), until: Some(4), ..RunFilter::default() };
        assert_eq!(ids(&filter.choose(rows.clone(), SortBy::Oldest, None)), [8, 7]);
        let filter = RunFilter { under_way: Some((2, 4)), ..RunFilter::default() };
        assert_eq!(ids(&filter.choose(rows.clone(), SortBy::Oldest, None)), [9, 8, 7], "what has not ended goes on");
        let ended = rows.map(|(row, executed)| (RunRow { status: RunStatus::Succeeded, ..row }, executed));
        assert_eq!(ids(&filter.choose(ended, SortBy::Oldest, None)), [8, 7], "when it ended is not known, but not later");
    }

    proptest! {
        #[test]
        fn folding_in_pieces_through_storage_is_folding_at_once(
            events in proptest::collection::vec(sample::any_event(), 0..60),
            at in 0usize..60,
        ) {
            let events = sample::stream(events);
            let at = at.min(events.len());
            let whole = fold(RunRow::new(sample::run_id()), &events);
            let first = stored(&fold(RunRow::new(sample::run_id()), &events[..at]));
            prop_assert_eq!(&stored(&fold(first, &events[at..])), &whole);
        }

        #[test]
        fn the_line_agrees_with_the_whole_story(events in proptest::collection::vec(sample::any_event(), 1..60)) {
            let events = sample::stream(events);
            let line = fold(RunRow::new(sample::run_id()), &events).line(true);
            let detail = RunDetail::fold(events.iter(), &inline);
            prop_assert_eq!(line.cost_nusd, detail.cost_nusd);
            prop_assert_eq!(line.status, detail.status);
            prop_assert_eq!(line.verified, detail.verified);
            prop_assert_eq!(line.escalations as usize, detail.escalations.len());
            prop_assert_eq!(line.cost_complete, detail.cost_complete);
            prop_assert_eq!(line.duration_ms, detail.duration_ms);
            prop_assert_eq!((line.form_ms, line.waited_ms), (detail.form_ms, detail.waited_ms));
            prop_assert_eq!(line.failed_by_configuration, detail.failed_by_configuration);
        }
    }
}
