//! Runs of which another system recorded the model calls one by one: spans of a trace, lines of telemetry. Each becomes the events that
//! such a run would have had here. Nothing is invented: what came of an attempt is not known, so it passed unverified, and a cost that was
//! recorded is kept as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentPlanned, AgentPlannedPrivate, AgentSucceeded, AgentSucceededPrivate, AttemptEnded,
    AttemptEndedPrivate, AttemptOutcome, AttemptStarted, AttemptStartedPrivate, CallFailed, CallFailedPrivate, CallReplied,
    CallRepliedPrivate, CallStarted, CallStartedPrivate, CostIncurred, CostIncurredPrivate, CostSource, ErrorClass, Escalate,
    Event, FailureReason, Mode, OnFailure, Purpose, RunFailed, RunFailedPrivate, RunFailure, RunStarted, RunStartedPrivate,
    RunSucceeded, RunSucceededPrivate, StopReason, ToolEnded, ToolEndedPrivate, ToolStarted, ToolStartedPrivate,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, ExecutorId, Hash, RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::prices::{PriceTable, Priced};
use crate::domain::redact::Redactor;
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::views::imports::{self, Origin};
use crate::views::millis_between;
use crate::views::stats::day_of;

use super::convert::{Converted, run_id};
use super::transcripts::tier_of;

/// The base agent of agents whose own is not known.
const BASE: &str = "imported";

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
    /// Its agents.
    pub agents: Vec<CallAgent>,
}

/// An agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallAgent {
    /// Its role.
    pub role: String,
    /// Its attempts, by number.
    pub attempts: BTreeMap<AttemptNo, Vec<Call>>,
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
    /// Calls whose cost is not known, by model.
    pub unpriced: BTreeMap<String, u64>,
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
            None => RunSucceeded { verified: false, private: Some(RunSucceededPrivate {}) }.into(),
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

    fn started(&self, run: &CallRun, id: RunId, foreign: Option<String>, digest: Hash) -> Event {
        let nothing = || Text::Inline("{}".to_owned());
        RunStarted {
            template_id: self.clean(&run.template),
            template_version: String::new(),
            template_hash: Hash::default(),
            source: Some(self.source.to_owned()),
            mode: Mode::Imported,
            strategy: None,
            budget: None,
            allow_unpriced: true,
            escalate: Escalate::Auto,
            jobs: 1,
            seed: 0,
            prices_as_of: self.prices.as_of(),
            prices_hash: self.prices_hash,
            meno_version: env!("CARGO_PKG_VERSION").to_owned(),
            executor: ExecutorId(id.0),
            private: Some(RunStartedPrivate {
                foreign_run_id: foreign,
                template: nothing(),
                base_agents: nothing(),
                settings: Text::Inline(imports::settings(&digest)),
                prices: nothing(),
                workspace: String::new(),
                user: String::new(),
                labels: run.labels.iter().map(|(key, value)| (key.clone(), self.clean(value))).collect(),
            }),
        }
        .into()
    }
}

/// A run's events as they come together.
struct Story<'a> {
    rules: &'a Rules<'a>,
    events: Vec<(Event, Option<TimeNs>)>,
    calls: CallNo,
    sums: Sums,
}

/// Where a call belongs.
#[derive(Clone, Copy)]
struct CallPlace {
    call: CallNo,
    agent: AgentNo,
    attempt: AttemptNo,
}

impl Story<'_> {
    fn add(&mut self, event: impl Into<Event>, at: TimeNs) {
        self.events.push((event.into(), Some(at)));
    }

    /// Returns what a call cost: as its system says, else by the table of that day.
    fn priced(&self, call: &Call) -> (Option<NanoUsd>, CostSource, Option<Priced>) {
        let table = || {
            let usage = call.usage.as_ref().filter(|_| !call.is_unpriced)?;
            self.rules.prices.price_on(&call.provider, &call.model, usage, day_of(call.started))
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
        call.tier.unwrap_or_else(|| {
            let usage = call.usage.unwrap_or_default();
            let priced = self.rules.prices.price_on(&call.provider, &call.model, &usage, day_of(call.started));
            tier_of(priced.map(|priced| priced.unit))
        })
    }

    fn agent(&mut self, agent: &CallAgent, number: AgentNo, started: TimeNs) {
        let first = agent.attempts.values().flatten().next().map_or(Tier::Capable, |call| self.tier(call));
        let strategy = match first {
            Tier::Cheap => Strategy::Progressive,
            Tier::Capable => Strategy::CapableFirst,
            Tier::Premium => Strategy::PremiumOnly,
        };
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
        let mut last = 0;
        let mut at = started;
        for (attempt, calls) in &agent.attempts {
            last = *attempt;
            at = self.attempt(number, *attempt, calls).max(at);
        }
        match &agent.failure {
            Some(why) => {
                let private = Some(AgentFailedPrivate { message: self.rules.clean(why) });
                self.add(AgentFailed { agent: number, reason: FailureReason::Imported, private }, at);
            }
            None => {
                let private = Some(AgentSucceededPrivate {});
                self.add(AgentSucceeded { agent: number, attempt: last, verified: false, private }, at);
            }
        }
    }

    /// Adds an attempt; returns when it ended.
    fn attempt(&mut self, agent: AgentNo, attempt: AttemptNo, calls: &[Call]) -> TimeNs {
        let Some(first) = calls.first() else { return TimeNs::MIN };
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
        let outcome = if failed { AttemptOutcome::Error } else { AttemptOutcome::Passed };
        let (duration_ms, private) = (millis_between(began, end), Some(AttemptEndedPrivate {}));
        let ended = AttemptEnded { agent, attempt, outcome, verified: false, signals: Vec::new(), duration_ms, private };
        self.add(ended, end);
        end
    }

    /// Adds a call with its cost and tools; returns when the last of it ended.
    fn call(&mut self, at: CallPlace, call: &Call) -> TimeNs {
        let ended = call.ended.unwrap_or(call.started).max(call.started);
        let nothing = || Text::Inline(String::new());
        let started = CallStarted {
            call: at.call,
            agent: at.agent,
            attempt: at.attempt,
            purpose: call.purpose,
            provider: call.provider.clone(),
            model: call.model.clone(),
            estimated_input: 0,
            max_output: 0,
            reserved: None,
            day: u32::try_from(day_of(call.started)).unwrap_or(0),
            private: Some(CallStartedPrivate {
                system: nothing(),
                prompt: nothing(),
                transcript: None,
                parameters: "{}".to_owned(),
            }),
        };
        self.add(started, call.started);
        // A call that failed before it used anything cost nothing.
        let has_cost = call.error.is_none() || call.usage.is_some() || call.cost.is_some() || call.is_unpriced;
        let latency_ms = call.latency_ms.unwrap_or_else(|| millis_between(call.started, ended));
        match &call.error {
            Some((class, message)) => {
                let private = Some(CallFailedPrivate { code: None, message: self.rules.clean(message), request_id: None });
                let usage = call.usage.or(has_cost.then(TokenUsage::default));
                let failed =
                    CallFailed { call: at.call, class: *class, status: None, retryable: false, usage, latency_ms, private };
                self.add(failed, ended);
            }
            None => {
                let replied = CallReplied {
                    call: at.call,
                    stop: call.stop.unwrap_or(StopReason::Other),
                    usage: call.usage.unwrap_or_default(),
                    usage_source: UsageSource::Reported,
                    latency_ms,
                    first_token_ms: call.first_token_ms,
                    private: Some(CallRepliedPrivate {
                        output: nothing(),
                        reasoning: None,
                        tool_calls: String::new(),
                        model: None,
                        request_id: None,
                        stop_details: None,
                    }),
                };
                self.add(replied, ended);
            }
        }
        if has_cost {
            self.cost(at, call, ended);
        }
        self.sums.calls += 1;
        self.sums.usage = self.sums.usage.plus(call.usage.unwrap_or_default());
        self.tools(at.call, &call.tools, ended)
    }

    fn cost(&mut self, at: CallPlace, call: &Call, ended: TimeNs) {
        let (amount, source, priced) = self.priced(call);
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let cost = CostIncurred {
            call: Some(at.call),
            agent: at.agent,
            attempt: at.attempt,
            tier: self.tier(call),
            purpose: call.purpose,
            provider: known(&call.provider),
            model: known(&call.model),
            amount,
            usage: call.usage,
            unit_prices: priced.map(|priced| priced.unit),
            band_above: priced.map_or(0, |priced| priced.band_above),
            source,
            reported: call.cost,
            private: Some(CostIncurredPrivate {}),
        };
        self.add(cost, ended);
        match amount {
            Some(amount) => self.sums.cost = self.sums.cost.plus(amount),
            None => {
                let model = if call.model.is_empty() { "a model that is not named" } else { &call.model };
                *self.sums.unpriced.entry(model.to_owned()).or_default() += 1;
            }
        }
    }

    fn tools(&mut self, call: CallNo, tools: &[Tool], ended: TimeNs) -> TimeNs {
        let mut last = ended;
        for (tool, tool_call) in tools.iter().zip(0..) {
            let private = Some(ToolStartedPrivate { arguments: Text::Withheld });
            let started = ToolStarted { call, tool_call, tool: self.rules.clean(&tool.name), writes: false, private };
            self.add(started, tool.started);
            let done = tool.ended.unwrap_or(tool.started).max(tool.started);
            let ended = ToolEnded {
                call,
                tool_call,
                ok: tool.ok,
                latency_ms: millis_between(tool.started, done),
                fault: None,
                bytes: None,
                told_bytes: None,
                repeats: None,
                private: Some(ToolEndedPrivate { result: Text::Withheld, whole: None, diff: None, originals: Vec::new() }),
            };
            self.add(ended, done);
            self.sums.tools += 1;
            last = last.max(done);
        }
        last
    }
}
