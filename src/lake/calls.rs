//! Runs of which another system recorded the model calls one by one: spans of a trace, lines of telemetry. Each becomes the events that
//! such a run would have had here. Nothing is invented: where what came of an attempt is not said it passed unverified, which counts as
//! unknown, and a cost that was recorded is kept as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentPlanned, AgentPlannedPrivate, AgentSkipped, AgentSkippedPrivate, AgentSucceeded,
    AgentSucceededPrivate, AttemptEnded, AttemptEndedPrivate, AttemptOutcome, AttemptStarted, AttemptStartedPrivate, CostSource,
    ErrorClass, EscalationReason, Event, FailureReason, OnFailure, Purpose, RunCancelled, RunCancelledPrivate, RunFailed,
    RunFailedPrivate, RunFailure, RunSucceeded, RunSucceededPrivate, SIMULATED_LABEL, SkipReason, StopReason, TierEscalated,
    TierEscalatedPrivate,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, Hash, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::prices::{PriceTable, Priced};
use crate::domain::redact::Redactor;
use crate::domain::text::Text;
use crate::domain::tier::Tier;
use crate::views::imports::{self, Origin};
use crate::views::millis_between;

use super::call_events::{self, BASE, CallCost, CallModel, CallPlace, Start, strategy_of, tier_of_model};
use super::convert::{Converted, run_id};
use super::resold::price_of;

/// Why a cost is not known: the tokens are not.
const NO_TOKENS: &str = "its tokens are not told";
/// Why a cost is not known: its own system does not know it.
const NO_COST: &str = "its system says that its cost is not known";
/// Why a cost is not known: the price is not.
const NO_PRICE: &str = "no price is known";

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallRun {
    /// Its id in its own system.
    pub id: String,
    /// What kind of run it was.
    pub template: String,
    /// When it began.
    pub started: TimeNs,
    /// When it ended, when known.
    pub ended: Option<TimeNs>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Why it failed; `None` when it is not known to have failed.
    pub failure: Option<String>,
    /// How its system says that it ended.
    pub end: End,
    /// Its models were simulated.
    pub is_simulated: bool,
    /// The run of a store of Meno that it is, where it says so.
    pub own: Option<crate::domain::ids::RunId>,
    /// Its agents.
    pub agents: Vec<CallAgent>,
}

/// How a system says that something ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It does not say.
    #[default]
    Untold,
    /// As an attempt ends; verified when every criterion is known.
    Told {
        /// How.
        outcome: AttemptOutcome,
        /// Every criterion is known.
        verified: bool,
    },
}

impl End {
    fn verified(self) -> bool {
        matches!(self, Self::Told { verified: true, .. })
    }

    fn is(self, which: AttemptOutcome) -> bool {
        matches!(self, Self::Told { outcome, .. } if outcome == which)
    }
}

/// An agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallAgent {
    /// Its role.
    pub role: String,
    /// Its attempts, by number.
    pub attempts: BTreeMap<AttemptNo, Vec<Call>>,
    /// How its system says that its attempts ended.
    pub ends: BTreeMap<AttemptNo, End>,
    /// Why it failed; `None` when it is not known to have failed.
    pub failure: Option<String>,
}

/// A model call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it began.
    pub started: TimeNs,
    /// When it ended, when known.
    pub ended: Option<TimeNs>,
    /// How long it took in milliseconds, where that is said apart.
    pub latency_ms: Option<u64>,
    /// From its start to the first piece of output, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// The provider; empty when not known.
    pub provider: String,
    /// The model; empty when not known.
    pub model: String,
    /// Its tier, where its system says so.
    pub tier: Option<Tier>,
    /// Work or judging.
    pub purpose: Purpose,
    /// What it used; `None` when not known.
    pub usage: Option<TokenUsage>,
    /// What its system says that it cost.
    pub cost: Option<NanoUsd>,
    /// Its system says that the cost is not known.
    pub is_unpriced: bool,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// What failed.
    pub error: Option<(ErrorClass, String)>,
    /// The tools that it asked for.
    pub tools: Vec<Tool>,
}

/// A tool that ran because of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// When it began.
    pub started: TimeNs,
    /// When it ended, when known.
    pub ended: Option<TimeNs>,
    /// How long it took in milliseconds, where that is said apart.
    pub latency_ms: Option<u64>,
    /// It did what it was asked.
    pub ok: bool,
}

/// By what runs become events.
pub struct Rules<'a> {
    /// The source's name.
    pub source: &'a str,
    /// Takes secrets out of every text.
    pub redactor: &'a Redactor,
    /// The prices of calls whose cost their system does not say.
    pub prices: &'a PriceTable,
    /// Their hash.
    pub prices_hash: Hash,
}

/// What is said of the runs that were converted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Model calls.
    pub calls: u64,
    /// Uses of tools.
    pub tools: u64,
    /// Tokens, as far as known.
    pub usage: TokenUsage,
    /// What is known of their cost.
    pub cost: NanoUsd,
    /// Calls whose cost is not known, by model and reason.
    pub unpriced: BTreeMap<(String, &'static str), u64>,
}

impl Sums {
    /// Adds what another run had.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.tools += other.tools;
        self.usage = self.usage.plus(other.usage);
        self.cost = self.cost.plus(other.cost);
        for (model, calls) in &other.unpriced {
            *self.unpriced.entry(model.clone()).or_default() += calls;
        }
    }
}

impl Rules<'_> {
    /// Returns a run's events. The same run from the same source gives the same run here, always.
    pub fn convert(&self, run: &CallRun, digest: Hash) -> (Converted, Sums) {
        let foreign = Some(run.id.clone()).filter(|id| !id.is_empty() && !self.redactor.finds(id));
        let origin = Origin::new(self.source, foreign.as_deref(), digest);
        let id = run_id(run.started, &origin);
        let mut story = Story { rules: self, events: Vec::new(), calls: 0, sums: Sums::default() };
        story.add(self.started(run, id, foreign, digest), run.started);
        for (agent, number) in run.agents.iter().zip(0..) {
            story.agent(agent, number, run.started);
        }
        let end: Event = match &run.failure {
            Some(why) => {
                let private = Some(RunFailedPrivate { message: self.clean(why) });
                RunFailed { reason: RunFailure::Imported, private }.into()
            }
            None if run.end.is(AttemptOutcome::Cancelled) => RunCancelled { private: Some(RunCancelledPrivate {}) }.into(),
            None => RunSucceeded { verified: run.end.verified(), private: Some(RunSucceededPrivate {}) }.into(),
        };
        story.events.push((end, run.ended));
        (Converted { id, origin, events: story.events }, story.sums)
    }

    fn clean(&self, text: &str) -> String {
        match self.redactor.redact(text) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        }
    }

    fn started(&self, run: &CallRun, id: crate::domain::ids::RunId, foreign: Option<String>, digest: Hash) -> Event {
        let mut labels: Vec<(String, String)> = run.labels.iter().map(|(key, value)| (key.clone(), self.clean(value))).collect();
        if run.is_simulated {
            labels.push((SIMULATED_LABEL.0.to_owned(), SIMULATED_LABEL.1.to_owned()));
        }
        let start = Start {
            source: self.source,
            template: self.clean(&run.template),
            is_simulated: run.is_simulated,
            foreign,
            settings: imports::settings(&digest),
            prices_as_of: &self.prices.as_of(),
            prices_hash: self.prices_hash,
            folder: String::new(),
            labels,
        };
        call_events::run_started(id, start)
    }
}

/// A run's events as they come together.
struct Story<'a> {
    rules: &'a Rules<'a>,
    events: Vec<(Event, Option<TimeNs>)>,
    calls: CallNo,
    sums: Sums,
}

impl Story<'_> {
    fn add(&mut self, event: impl Into<Event>, at: TimeNs) {
        self.events.push((event.into(), Some(at)));
    }

    /// Returns what a call cost: as its system says, else by the table of that day.
    fn priced(&self, call: &Call) -> (Option<NanoUsd>, CostSource, Option<Priced>) {
        let table = || {
            let usage = call.usage.as_ref().filter(|_| !call.is_unpriced)?;
            price_of(self.rules.prices, &call.provider, &call.model, usage, call.started)
        };
        match call.cost {
            Some(cost) => (Some(cost), CostSource::Imported, None),
            None => {
                let priced = table();
                (priced.map(|priced| priced.amount), CostSource::Estimated, priced)
            }
        }
    }

    fn tier(&self, call: &Call) -> Tier {
        call.tier.unwrap_or_else(|| tier_of_model(self.rules.prices, &call.provider, &call.model, call.started))
    }

    fn agent(&mut self, agent: &CallAgent, number: AgentNo, started: TimeNs) {
        let first = agent.attempts.values().flatten().next().map_or(Tier::Capable, |call| self.tier(call));
        let strategy = strategy_of(first);
        let planned = AgentPlanned {
            agent: number,
            rule: number,
            role: self.rules.clean(&agent.role),
            base: BASE.to_owned(),
            strategy,
            tools: Vec::new(),
            depends_on: Vec::new(),
            max_attempts_per_tier: 1,
            budget: None,
            on_failure: OnFailure::Continue,
            strict: false,
            threshold: None,
            private: Some(AgentPlannedPrivate {
                item: None,
                config: "{}".to_owned(),
                criteria: "[]".to_owned(),
                task: String::new(),
                because: String::new(),
            }),
        };
        self.add(planned, started);
        let mut at = started;
        let mut before: Option<(AttemptNo, Tier, AttemptOutcome)> = None;
        // Numbers that are left out are those of attempts without calls, of which nothing is told.
        for ((attempt, calls), place) in agent.attempts.iter().filter(|(_, calls)| !calls.is_empty()).zip(1..) {
            let tier = calls.first().map_or(Tier::Capable, |call| self.tier(call));
            if let Some((number_before, from, outcome)) = before
                && outcome == AttemptOutcome::FailedCriteria
                && tier > from
            {
                let (reason, private) = (EscalationReason::Criteria, Some(TierEscalatedPrivate {}));
                let escalated =
                    TierEscalated { agent: number, attempt: number_before, from, to: tier, reason, failed: Vec::new(), private };
                self.add(escalated, at);
            }
            let end = agent.ends.get(attempt).copied().unwrap_or_default();
            let (ended, outcome) = self.attempt(number, place, calls, end);
            at = ended.max(at);
            before = Some((place, tier, outcome));
        }
        let last = agent.attempts.keys().next_back().and_then(|last| agent.ends.get(last)).copied().unwrap_or_default();
        let attempt = before.map_or(0, |(attempt, ..)| attempt);
        let failed = |why: String| {
            let private = Some(AgentFailedPrivate { message: why });
            AgentFailed { agent: number, reason: FailureReason::Imported, private }
        };
        match &agent.failure {
            Some(why) => {
                let failed = failed(self.rules.clean(why));
                self.add(failed, at);
            }
            None if last.is(AttemptOutcome::FailedCriteria) || last.is(AttemptOutcome::Error) => {
                let failed = failed(String::new());
                self.add(failed, at);
            }
            None if last.is(AttemptOutcome::Cancelled) || last.is(AttemptOutcome::Lost) => {
                let private = Some(AgentSkippedPrivate {});
                self.add(AgentSkipped { agent: number, because: SkipReason::Cancelled, cause: None, private }, at);
            }
            None => {
                let private = Some(AgentSucceededPrivate {});
                self.add(AgentSucceeded { agent: number, attempt, verified: last.verified(), private }, at);
            }
        }
    }

    /// Adds an attempt; returns when and how it ended.
    fn attempt(&mut self, agent: AgentNo, attempt: AttemptNo, calls: &[Call], told: End) -> (TimeNs, AttemptOutcome) {
        let Some(first) = calls.first() else { return (TimeNs::MIN, AttemptOutcome::Lost) };
        let began = calls.iter().map(|call| call.started).min().unwrap_or(first.started);
        let tier = self.tier(first);
        let private = Some(AttemptStartedPrivate { task: None, import_key: None });
        self.add(AttemptStarted { agent, attempt, tier, private }, began);
        let mut end = began;
        for call in calls {
            end = end.max(self.call(CallPlace { call: self.calls + 1, agent, attempt }, call));
            self.calls += 1;
        }
        let failed = calls.iter().all(|call| call.error.is_some());
        let outcome = match told {
            End::Told { outcome, .. } => outcome,
            End::Untold if failed => AttemptOutcome::Error,
            End::Untold => AttemptOutcome::Passed,
        };
        let (duration_ms, private) = (millis_between(began, end), Some(AttemptEndedPrivate {}));
        let verified = told.verified();
        self.add(AttemptEnded { agent, attempt, outcome, verified, signals: Vec::new(), duration_ms, private }, end);
        (end, outcome)
    }

    /// Adds a call with its cost and tools; returns when the last of it ended.
    fn call(&mut self, at: CallPlace, call: &Call) -> TimeNs {
        let ended = call.ended.unwrap_or(call.started).max(call.started);
        let of = CallModel { provider: &call.provider, model: &call.model, purpose: call.purpose, tier: self.tier(call) };
        self.add(at.started(of, call.started, "{}".to_owned()), call.started);
        // A call that failed before it used anything cost nothing.
        let has_cost = call.error.is_none() || call.usage.is_some() || call.cost.is_some() || call.is_unpriced;
        let latency_ms = call.latency_ms.unwrap_or_else(|| millis_between(call.started, ended));
        match &call.error {
            Some((class, message)) => {
                let usage = call.usage.or(has_cost.then(TokenUsage::default));
                self.add(at.failed(*class, self.rules.clean(message), usage, latency_ms), ended);
            }
            None => {
                let stop = call.stop.unwrap_or(StopReason::Other);
                self.add(at.replied(stop, call.usage, (latency_ms, call.first_token_ms), String::new(), None), ended);
            }
        }
        if has_cost {
            self.cost(at, of, call, ended);
        }
        self.sums.calls += 1;
        self.sums.usage = self.sums.usage.plus(call.usage.unwrap_or_default());
        self.tools(at.call, &call.tools, ended)
    }

    fn cost(&mut self, at: CallPlace, of: CallModel<'_>, call: &Call, ended: TimeNs) {
        let (amount, source, priced) = self.priced(call);
        self.add(at.cost(of, call.usage, CallCost { amount, source, priced, reported: call.cost }), ended);
        match amount {
            Some(amount) => self.sums.cost = self.sums.cost.plus(amount),
            None => {
                let model = if call.model.is_empty() { "a model that is not named" } else { &call.model };
                let why = match call.usage {
                    _ if call.is_unpriced => NO_COST,
                    None => NO_TOKENS,
                    Some(_) => NO_PRICE,
                };
                *self.sums.unpriced.entry((model.to_owned(), why)).or_default() += 1;
            }
        }
    }

    fn tools(&mut self, call: CallNo, tools: &[Tool], ended: TimeNs) -> TimeNs {
        let mut last = ended;
        for (tool, tool_call) in tools.iter().zip(0..) {
            let name = self.rules.clean(&tool.name);
            self.add(call_events::tool_started(call, tool_call, name, false, Text::Withheld), tool.started);
            let done = tool.ended.unwrap_or(tool.started).max(tool.started);
            let latency_ms = tool.latency_ms.unwrap_or_else(|| millis_between(tool.started, done));
            self.add(call_events::tool_ended(call, tool_call, tool.ok, latency_ms, Text::Withheld), done);
            self.sums.tools += 1;
            last = last.max(done);
        }
        last
    }
}
