//! Rows of what a run is by now. Only public parts are folded, so no text by a person, a model or a tool gets here.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Context;
use super::{Cell, Row, Table, day_of};
use crate::domain::event::{Event, Recorded, Verdict};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, RunId, TimeNs};
use crate::domain::money::TokenUsage;
use crate::views::costs::RunCalls;
use crate::views::costs::calls::{CallKey, CallRow};
use crate::views::run_detail::{AgentDetail, AttemptDetail, Fold, RunDetail, Tokens};
use crate::views::status::CallStatus;

/// One run, as far as its events were taken in.
#[derive(Clone, Debug)]
pub struct RunState {
    /// The run as a whole, where its row or those of its attempts are wanted.
    fold: Option<Fold>,
    /// Its calls, where their rows are wanted.
    calls: Option<RunCalls>,
    rating: Option<u8>,
    started: Option<TimeNs>,
    attempts: BTreeMap<(AgentNo, AttemptNo), TimeNs>,
    /// Charges of unknown amount by call: those of lost calls are not in the calls' rows.
    lost: BTreeSet<CallNo>,
    /// What single events need of those before.
    pub context: Context,
    /// The last event's position.
    pub last: u64,
    /// Its last event ended it.
    pub ended: bool,
}

impl RunState {
    /// Returns a run without events, of which the rows of those tables are wanted that `wanted` lets through.
    pub fn new(run: RunId, wanted: &dyn Fn(Table) -> bool) -> Self {
        Self {
            fold: (wanted(Table::Runs) || wanted(Table::Attempts)).then(Fold::default),
            calls: wanted(Table::Calls).then(RunCalls::default),
            rating: None,
            started: None,
            attempts: BTreeMap::new(),
            lost: BTreeSet::new(),
            context: Context::new(run),
            last: 0,
            ended: false,
        }
    }

    /// Takes in the run's next event, of which the public part is enough.
    ///
    /// # Errors
    /// When the fold of costs cannot take it.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), String> {
        let at = recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at);
        self.last = recorded.envelope.seq;
        self.context.apply(recorded);
        if let Some(fold) = &mut self.fold {
            fold.apply(recorded, &|_| None);
        }
        if let (Some(calls), Some(run)) = (&mut self.calls, recorded.envelope.run) {
            calls.apply(run, recorded)?;
        }
        self.ended = matches!(recorded.event, Event::RunSucceeded(_) | Event::RunFailed(_) | Event::RunCancelled(_));
        match &recorded.event {
            Event::RunStarted(_) => self.started = self.started.or(Some(at)),
            Event::NoteAdded(body) => self.rating = body.rating.or(self.rating),
            Event::AttemptStarted(body) => {
                self.attempts.insert((body.agent, body.attempt), at);
            }
            Event::AttemptImported(body) => {
                self.attempts.insert((body.agent, body.attempt), at);
            }
            Event::AttemptInherited(body) => {
                self.attempts.insert((body.agent, body.attempt), at);
            }
            Event::CallLost(body) => {
                self.lost.insert(body.call);
            }
            Event::CallCancelled(body) if body.usage.is_none() => {
                self.lost.insert(body.call);
            }
            Event::CallReplied(body) => {
                self.lost.remove(&body.call);
            }
            _ => {}
        }
        Ok(())
    }

    /// Gives the rows of the run as it is now to `each`, for the tables that `wanted` lets through as it did at the beginning.
    pub fn rows(mut self, node: &str, wanted: &dyn Fn(Table) -> bool, each: &mut dyn FnMut(Row<'_>)) {
        if let Some(fold) = self.fold.take() {
            let detail = fold.finish();
            if wanted(Table::Runs) {
                each(self.run_row(node, &detail));
            }
            if wanted(Table::Attempts) {
                let all = detail.agents.iter().flat_map(|agent| agent.attempts.iter().map(move |attempt| (agent, attempt)));
                all.for_each(|(agent, attempt)| each(self.attempt_row(node, &detail, agent, attempt)));
            }
        }
        for (key, row) in self.calls.iter().flat_map(RunCalls::rows) {
            each(self.call_row(node, *key, row));
        }
    }

    fn as_of(&self) -> Cell<'static> {
        Cell::number(self.last)
    }

    fn run_row<'a>(&'a self, node: &'a str, detail: &'a RunDetail) -> Row<'a> {
        let time = |text: &Option<String>| text.as_deref().map_or(Cell::Null, moment);
        let [cost, usd] = Cell::money(detail.cost_complete.then_some(detail.cost_nusd));
        let own = detail.agents.iter().flat_map(|agent| &agent.attempts).filter(|attempt| attempt.inherited_from.is_none());
        let mut cells = row_of(Table::Runs);
        cells.extend([
            Cell::text(node),
            Cell::text(&self.context.run),
            self.as_of(),
            Cell::text(&detail.template_id),
            Cell::text(&detail.template_version),
            Cell::Text(detail.template_hash.as_str().into()),
            Cell::text(detail.mode.name()),
            Cell::known_text(detail.source.as_deref()),
            Cell::text(detail.status.name()),
            Cell::Bool(detail.verified),
            Cell::Bool(detail.failed_by_configuration),
            Cell::known_text(detail.failure.as_ref().map(|failure| failure.reason.name())),
            Cell::known_time(self.started),
            time(&detail.ended_at),
            Cell::known(detail.duration_ms),
            Cell::known(detail.waited_ms),
            Cell::known(detail.attempts_duration_ms),
            Cell::number(detail.cost_nusd),
            cost,
            usd,
            Cell::number(detail.verification_cost_nusd),
            Cell::number(detail.unpriced_calls),
            Cell::number(detail.lost_calls),
        ]);
        cells.extend(tokens(detail.tokens));
        cells.extend([
            Cell::known(detail.budget_nusd),
            Cell::number(detail.agents.len()),
            Cell::number(own.count()),
            Cell::number(detail.escalations.len()),
            Cell::known_text(detail.lineage.as_ref().map(|lineage| lineage.parent.as_str())),
            Cell::known(self.rating),
            Cell::text(&detail.prices_as_of),
            Cell::text(&detail.meno_version),
            Cell::number(detail.events),
        ]);
        Row { table: Table::Runs, day: day_of(self.started.unwrap_or(0)), cells }
    }

    fn attempt_row<'a>(
        &'a self,
        node: &'a str,
        detail: &'a RunDetail,
        agent: &'a AgentDetail,
        attempt: &'a AttemptDetail,
    ) -> Row<'a> {
        let started = self.attempts.get(&(agent.number, attempt.attempt)).copied().or(self.started);
        let [cost, usd] = Cell::money(attempt.cost_complete.then_some(attempt.cost_nusd));
        let signals: Vec<&str> = attempt.signals.iter().map(|signal| signal.name()).collect();
        let count = |verdict: Verdict| attempt.criteria.iter().filter(|criterion| criterion.verdict == verdict).count();
        let mut cells = row_of(Table::Attempts);
        cells.extend([
            Cell::text(node),
            Cell::text(&self.context.run),
            Cell::number(agent.number),
            Cell::number(attempt.attempt),
            self.as_of(),
            Cell::text(&detail.template_id),
            Cell::text(detail.mode.name()),
            Cell::known_text(self.context.role(agent.number)),
            Cell::text(&agent.base_template),
            Cell::text(attempt.tier.name()),
            Cell::known_text(attempt.provider.as_deref()),
            Cell::known_text(attempt.model.as_deref()),
            Cell::text(attempt.status.name()),
            Cell::Bool(attempt.verified),
            Cell::text(agent.status.name()),
            Cell::Bool(attempt.imported),
            Cell::known_text(attempt.inherited_from.as_deref()),
            Cell::known_text(attempt.stop_reason.map(|reason| reason.name())),
            Cell::text(signals.join(",")),
            Cell::known_time(started),
            Cell::known(attempt.duration_ms),
            Cell::number(attempt.cost_nusd),
            cost,
            usd,
            Cell::number(attempt.verification_cost_nusd),
        ]);
        cells.extend(tokens(attempt.tokens));
        cells.extend([
            Cell::known_text(attempt.escalated_to.map(|tier| tier.name())),
            Cell::number(count(Verdict::Pass)),
            Cell::number(count(Verdict::Fail)),
            Cell::number(count(Verdict::Unknown)),
        ]);
        Row { table: Table::Attempts, day: day_of(started.unwrap_or(0)), cells }
    }

    fn call_row<'a>(&'a self, node: &'a str, key: CallKey, row: &'a CallRow) -> Row<'a> {
        let [cost, usd] = Cell::money(row.cost());
        let lost = row.status == CallStatus::Lost || self.lost.contains(&key.call) && row.charges == 0;
        let mut cells = row_of(Table::Calls);
        cells.extend([
            Cell::text(node),
            Cell::text(&self.context.run),
            Cell::number(key.agent),
            Cell::number(key.attempt),
            Cell::number(key.call),
            self.as_of(),
            Cell::time(key.at),
            Cell::text(&self.context.template),
            Cell::text(self.context.mode.name()),
            Cell::known_text(self.context.role(key.agent)),
            Cell::text(row.purpose.name()),
            Cell::text(row.tier.name()),
            Cell::text(&row.provider),
            Cell::text(&row.model),
            Cell::text(row.status.name()),
            Cell::number(row.amount),
            cost,
            usd,
            Cell::number(row.charges),
            Cell::number(row.unknown.saturating_add(u32::from(lost))),
        ]);
        cells.extend(usage(row.known_usage()));
        cells.extend([Cell::known(row.latency_ms), Cell::known(row.first_token_ms), Cell::number(row.retries)]);
        Row { table: Table::Calls, day: day_of(key.at), cells }
    }
}

/// Returns a row without cells, with room for all of them.
pub(super) fn row_of<'a>(table: Table) -> Vec<Cell<'a>> {
    Vec::with_capacity(table.columns().len())
}

fn tokens(tokens: Tokens) -> [Cell<'static>; 5] {
    [tokens.input, tokens.cache_read, tokens.cache_write, tokens.output, tokens.reasoning].map(Cell::number)
}

/// Returns a call's tokens by every kind; nothing when they are not known.
pub(super) fn usage(usage: Option<TokenUsage>) -> [Cell<'static>; 6] {
    let Some(usage) = usage else { return [const { Cell::Null }; 6] };
    let TokenUsage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = usage;
    [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning].map(Cell::number)
}

/// Reads a moment that the fold wrote.
fn moment(text: &str) -> Cell<'static> {
    let at = text.parse::<jiff::Timestamp>().ok().and_then(|at| i64::try_from(at.as_nanosecond()).ok());
    Cell::known_time(at)
}
