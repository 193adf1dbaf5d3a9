//! A run's events as spans: one trace per run, one span for the run, one per agent, one per model call and per tool. Nothing that was said
//! gets here: only public parts are read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::names;
use crate::domain::event::{AttemptOutcome, CostIncurred, Event, Mode, Purpose, Recorded, StopReason};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, Hash, RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::tier::Tier;
use crate::views::status::CallStatus;

/// Span kinds by their numbers in the protocol.
const INTERNAL: u8 = 1;
/// The kind of a span that calls another process.
const CLIENT: u8 = 3;
/// The status code of a span that failed.
const FAILED: u8 = 2;

/// A call as it comes together.
#[derive(Clone, Debug)]
struct Call {
    agent: AgentNo,
    attempt: AttemptNo,
    number: CallNo,
    tier: Tier,
    purpose: Purpose,
    provider: String,
    model: String,
    started: TimeNs,
    ended: Option<TimeNs>,
    status: CallStatus,
    stop: Option<StopReason>,
    error: Option<&'static str>,
    usage: TokenUsage,
    usage_known: bool,
    cost: NanoUsd,
    charges: u32,
    unpriced: bool,
    retries: u32,
    first_token_ms: Option<u64>,
    tools: BTreeMap<u32, Tool>,
}

#[derive(Clone, Debug)]
struct Tool {
    name: String,
    started: TimeNs,
    ended: Option<TimeNs>,
    latency_ms: Option<u64>,
    ok: bool,
}

/// One run's spans as they come together.
#[derive(Clone, Debug)]
pub struct RunSpans {
    run: RunId,
    template: String,
    mode: Mode,
    started: TimeNs,
    last: TimeNs,
    imported: bool,
    stated: bool,
    /// How it ended, and whether every criterion is known.
    ended: Option<(AttemptOutcome, bool)>,
    ends: BTreeMap<(AgentNo, AttemptNo), (AttemptOutcome, bool)>,
    roles: BTreeMap<AgentNo, String>,
    tiers: BTreeMap<(AgentNo, AttemptNo), Tier>,
    calls: BTreeMap<CallNo, Call>,
    /// Attempts of other systems, each as one call.
    foreign: BTreeMap<(AgentNo, AttemptNo), Call>,
}

impl RunSpans {
    /// Begins with a run of which nothing is known.
    pub fn new(run: RunId) -> Self {
        Self {
            run,
            template: String::new(),
            mode: Mode::Real,
            started: 0,
            last: 0,
            imported: false,
            stated: false,
            ended: None,
            ends: BTreeMap::new(),
            roles: BTreeMap::new(),
            tiers: BTreeMap::new(),
            calls: BTreeMap::new(),
            foreign: BTreeMap::new(),
        }
    }

    /// Takes in the run's next event.
    pub fn apply(&mut self, recorded: &Recorded) {
        let at = recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at);
        // When an imported run ended is what its record says, never when it was imported.
        if !self.imported || recorded.envelope.occurred_at.is_some() {
            self.last = self.last.max(at);
        }
        match &recorded.event {
            Event::RunStarted(body) => {
                self.template.clone_from(&body.template_id);
                self.mode = body.counts_as();
                self.imported = body.is_imported();
                self.stated = body.has_stated_outcome();
                (self.started, self.last) = (at, at);
            }
            Event::AgentPlanned(body) => {
                self.roles.insert(body.agent, body.role.clone());
            }
            Event::AttemptStarted(body) => {
                self.tiers.insert((body.agent, body.attempt), body.tier);
            }
            Event::CallStarted(body) => {
                let tier = self.tiers.get(&(body.agent, body.attempt)).copied().unwrap_or(Tier::Cheap);
                let mut call = call(body.agent, body.attempt, tier, at);
                (call.number, call.purpose) = (body.call, body.purpose);
                (call.provider, call.model) = (body.provider.clone(), body.model.clone());
                self.calls.insert(body.call, call);
            }
            Event::RequestRetried(body) => self.with(body.call, |call| call.retries += 1),
            Event::CallReplied(body) => self.with(body.call, |call| {
                (call.status, call.ended, call.stop) = (CallStatus::Replied, Some(at), Some(body.stop));
                call.first_token_ms = body.first_token_ms;
            }),
            Event::CallFailed(body) => self.with(body.call, |call| {
                (call.status, call.ended, call.error) = (CallStatus::Failed, Some(at), Some(body.class.name()));
            }),
            Event::CallCancelled(body) => self.with(body.call, |call| {
                (call.status, call.ended, call.error) = (CallStatus::Cancelled, Some(at), Some("cancelled"));
            }),
            Event::CallLost(body) => self.with(body.call, |call| {
                (call.status, call.error) = (CallStatus::Lost, Some("lost"));
            }),
            Event::ToolStarted(body) => self.with(body.call, |call| {
                let tool = Tool { name: body.tool.clone(), started: at, ended: None, latency_ms: None, ok: true };
                call.tools.insert(body.tool_call, tool);
            }),
            Event::ToolEnded(body) => self.with(body.call, |call| {
                if let Some(tool) = call.tools.get_mut(&body.tool_call) {
                    // Tools of one reply are written down together: how long one ran is what its end says.
                    (tool.latency_ms, tool.ok) = (Some(body.latency_ms), body.ok);
                    let length = i64::try_from(body.latency_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
                    tool.ended = Some(tool.started.saturating_add(length));
                }
            }),
            Event::AttemptImported(body) => {
                let mut call = call(body.agent, body.attempt, body.tier, at);
                call.status = CallStatus::Replied;
                call.provider = body.provider.clone().unwrap_or_default();
                call.model = body.model.clone().unwrap_or_default();
                (call.usage, call.usage_known) = (body.usage.unwrap_or_default(), body.usage.is_some());
                let length = body.duration_ms.and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000_000));
                call.ended = length.map(|length| at.saturating_add(length));
                let outcome = if body.passed { AttemptOutcome::Passed } else { AttemptOutcome::FailedCriteria };
                self.ends.insert((body.agent, body.attempt), (outcome, body.passed));
                self.foreign.insert((body.agent, body.attempt), call);
            }
            Event::CostIncurred(body) => self.cost(body),
            // That nobody said anything else does not mean that it passed.
            Event::AttemptEnded(body) if self.imported && body.outcome == AttemptOutcome::Passed && !body.verified => {}
            Event::RunSucceeded(body) if self.imported && !self.stated && !body.verified => self.ended = None,
            Event::AttemptEnded(body) => {
                self.ends.insert((body.agent, body.attempt), (body.outcome, body.verified));
            }
            Event::RunSucceeded(body) => self.ended = Some((AttemptOutcome::Passed, body.verified)),
            Event::RunFailed(_) => self.ended = Some((AttemptOutcome::Error, false)),
            Event::RunCancelled(_) => self.ended = Some((AttemptOutcome::Cancelled, false)),
            Event::RunResumed(_) => self.ended = None,
            _ => {}
        }
    }

    fn with(&mut self, call: CallNo, change: impl FnOnce(&mut Call)) {
        if let Some(call) = self.calls.get_mut(&call) {
            change(call);
        }
    }

    fn cost(&mut self, body: &CostIncurred) {
        let call = match body.call {
            Some(call) => self.calls.get_mut(&call),
            None => self.foreign.get_mut(&(body.agent, body.attempt)),
        };
        let Some(call) = call else { return };
        call.tier = body.tier;
        call.charges += 1;
        call.cost = call.cost.plus(body.amount.unwrap_or_default());
        call.unpriced |= body.amount.is_none();
        if let (Some(usage), true) = (body.known_usage(), body.call.is_some() || !call.usage_known) {
            (call.usage, call.usage_known) = (call.usage.plus(usage), true);
        }
    }

    /// Returns the spans of the run whose calls began in `[since, until)`; none when no call did.
    pub fn spans(&self, since: Option<TimeNs>, until: Option<TimeNs>) -> Vec<Value> {
        let is_meant =
            |call: &&Call| since.is_none_or(|since| call.started >= since) && until.is_none_or(|until| call.started < until);
        let calls: Vec<&Call> = self.calls.values().chain(self.foreign.values()).filter(is_meant).collect();
        if calls.is_empty() {
            return Vec::new();
        }
        let root = self.id(&["run"]);
        let mut attributes = Attributes::default();
        attributes.text(names::OPERATION, "invoke_workflow");
        attributes.text(names::WORKFLOW, &self.template);
        attributes.text(names::RUN, &self.run.to_string());
        attributes.text(names::MODE, self.mode.name());
        if let Some((outcome, verified)) = self.ended {
            attributes.text(names::RUN_OUTCOME, outcome.name());
            attributes.bool(names::VERIFIED, verified);
        }
        let name = format!("invoke_workflow {}", self.template);
        let mut spans = vec![self.span(
            &root,
            None,
            &name,
            INTERNAL,
            (self.started, Some(self.last)),
            attributes,
            matches!(self.ended, Some((AttemptOutcome::Error, _))).then_some("failed"),
        )];
        let mut agents: BTreeMap<AgentNo, Vec<&Call>> = BTreeMap::new();
        for call in calls {
            agents.entry(call.agent).or_default().push(call);
        }
        for (agent, calls) in &agents {
            spans.extend(self.agent_spans(&root, *agent, calls));
        }
        spans
    }

    fn agent_spans(&self, root: &str, agent: AgentNo, calls: &[&Call]) -> Vec<Value> {
        let id = self.id(&["agent", &agent.to_string()]);
        let role = self.roles.get(&agent).map_or("", String::as_str);
        let began = calls.iter().map(|call| call.started).min().unwrap_or(self.started);
        let ended = calls.iter().map(|call| call.last()).max();
        let mut attributes = Attributes::default();
        attributes.text(names::OPERATION, "invoke_agent");
        attributes.text(names::AGENT, role);
        attributes.text(names::AGENT_ID, &format!("agent-{agent}"));
        attributes.int(names::AGENT_NO, agent.into());
        let mut spans =
            vec![self.span(&id, Some(root), &format!("invoke_agent {role}"), INTERNAL, (began, ended), attributes, None)];
        for call in calls {
            let chat = self.id(&["call", &call.agent.to_string(), &call.attempt.to_string(), &call.number.to_string()]);
            let name = format!("chat {}", call.model).trim_end().to_owned();
            spans.push(self.span(
                &chat,
                Some(&id),
                &name,
                CLIENT,
                (call.started, call.ended),
                self.of_call(call, role),
                call.error,
            ));
            for (number, tool) in &call.tools {
                let own = self.id(&["tool", &call.number.to_string(), &number.to_string()]);
                let mut attributes = Attributes::default();
                attributes.text(names::OPERATION, "execute_tool");
                attributes.text(names::TOOL, &tool.name);
                attributes.int(names::CALL, call.number.into());
                if let Some(latency_ms) = tool.latency_ms {
                    attributes.count(names::LATENCY, latency_ms);
                }
                let name = format!("execute_tool {}", tool.name);
                let failed = (!tool.ok).then_some("tool_error");
                spans.push(self.span(&own, Some(&id), &name, INTERNAL, (tool.started, tool.ended), attributes, failed));
            }
        }
        spans
    }

    fn of_call(&self, call: &Call, role: &str) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.text(names::OPERATION, "chat");
        attributes.text(names::PROVIDER, &call.provider);
        attributes.text(names::MODEL, &call.model);
        attributes.text(names::AGENT, role);
        if let Some(stop) = call.stop {
            attributes.texts(names::FINISH, &[finish(stop)]);
        }
        if call.usage_known {
            let usage = &call.usage;
            attributes.count(names::INPUT, usage.total_input());
            attributes.count(names::OUTPUT, usage.output);
            attributes.count(names::CACHE_READ, usage.cache_read);
            attributes.count(names::CACHE_WRITE, usage.cache_write_5m.saturating_add(usage.cache_write_1h));
            attributes.count(names::CACHE_WRITE_1H, usage.cache_write_1h);
            attributes.count(names::REASONING, usage.reasoning);
        }
        if let Some(first) = call.first_token_ms {
            attributes.float(names::FIRST_CHUNK, first as f64 / 1000.0);
        }
        let is_priced = call.charges > 0 && !call.unpriced;
        // A call that failed before it used anything cost nothing.
        let is_free = call.charges == 0 && call.status == CallStatus::Failed;
        attributes.bool(names::PRICED, is_priced || is_free);
        if is_priced {
            attributes.count(names::COST, call.cost.0);
            attributes.float(names::COST_USD, call.cost.0 as f64 / NanoUsd::PER_USD as f64);
        }
        attributes.text(names::TIER, call.tier.name());
        attributes.text(names::PURPOSE, call.purpose.name());
        attributes.text(names::MODE, self.mode.name());
        attributes.text(names::STATUS, call.status.name());
        if let Some((outcome, verified)) = self.ends.get(&(call.agent, call.attempt)) {
            attributes.text(names::OUTCOME, outcome.name());
            attributes.bool(names::VERIFIED, *verified);
        }
        attributes.int(names::AGENT_NO, call.agent.into());
        attributes.int(names::ATTEMPT, call.attempt.into());
        attributes.int(names::CALL, call.number.into());
        attributes.int(names::RETRIES, call.retries.into());
        attributes
    }

    /// Returns the id of a span: always the same for the same part of the run.
    fn id(&self, parts: &[&str]) -> String {
        const ID_CHARS: usize = 16;
        let mut hash = Hash::of(format!("{} {}", self.run, parts.join(" ")).as_bytes()).to_string();
        hash.truncate(ID_CHARS);
        hash
    }

    #[expect(clippy::too_many_arguments, reason = "a span is these seven things")]
    fn span(
        &self,
        id: &str,
        parent: Option<&str>,
        name: &str,
        kind: u8,
        (started, ended): (TimeNs, Option<TimeNs>),
        mut attributes: Attributes,
        error: Option<&str>,
    ) -> Value {
        if let Some(error) = error {
            attributes.text(names::ERROR, error);
        }
        let mut span = Map::new();
        let trace = self.run.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        span.insert("traceId".to_owned(), trace.into());
        span.insert("spanId".to_owned(), id.into());
        if let Some(parent) = parent {
            span.insert("parentSpanId".to_owned(), parent.into());
        }
        span.insert("name".to_owned(), name.into());
        span.insert("kind".to_owned(), kind.into());
        span.insert("startTimeUnixNano".to_owned(), started.to_string().into());
        // A span without an end is not one yet: it ends where it began.
        span.insert("endTimeUnixNano".to_owned(), ended.unwrap_or(started).max(started).to_string().into());
        span.insert("attributes".to_owned(), attributes.0.into());
        if error.is_some() {
            span.insert("status".to_owned(), json!({"code": FAILED}));
        }
        Value::Object(span)
    }
}

/// Returns spans as one OTLP JSON document.
pub fn document(spans: Vec<Value>, version: &str) -> Value {
    let mut resource = Attributes::default();
    resource.text("service.name", "meno");
    resource.text("service.version", version);
    json!({"resourceSpans": [{
        "resource": {"attributes": resource.0},
        "scopeSpans": [{"scope": {"name": "meno", "version": version}, "spans": spans}],
    }]})
}

fn call(agent: AgentNo, attempt: AttemptNo, tier: Tier, started: TimeNs) -> Call {
    Call {
        agent,
        attempt,
        number: 0,
        tier,
        purpose: Purpose::Work,
        provider: String::new(),
        model: String::new(),
        started,
        ended: None,
        status: CallStatus::Running,
        stop: None,
        error: None,
        usage: TokenUsage::default(),
        usage_known: false,
        cost: NanoUsd(0),
        charges: 0,
        unpriced: false,
        retries: 0,
        first_token_ms: None,
        tools: BTreeMap::new(),
    }
}

impl Call {
    fn last(&self) -> TimeNs {
        let tools = self.tools.values().map(|tool| tool.ended.unwrap_or(tool.started));
        tools.chain([self.ended.unwrap_or(self.started)]).max().unwrap_or(self.started)
    }
}

/// Returns the convention's word for why a model stopped.
fn finish(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopSequence => "stop",
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens | StopReason::ContextFull => "length",
        StopReason::Refusal | StopReason::Filtered => "content_filter",
        StopReason::Other => "other",
    }
}

/// Attributes of a span, in the protocol's form.
#[derive(Clone, Debug, Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn put(&mut self, key: &str, kind: &str, value: Value) {
        self.0.push(json!({"key": key, "value": {kind: value}}));
    }

    /// Adds a text; one that is empty is not known.
    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key, "stringValue", text.into());
        }
    }

    fn texts(&mut self, key: &str, texts: &[&str]) {
        let values: Vec<Value> = texts.iter().map(|text| json!({"stringValue": text})).collect();
        self.put(key, "arrayValue", json!({ "values": values }));
    }

    fn int(&mut self, key: &str, number: i64) {
        // The protocol's JSON has 64-bit integers as text.
        self.put(key, "intValue", number.to_string().into());
    }

    fn count(&mut self, key: &str, number: u64) {
        self.int(key, i64::try_from(number).unwrap_or(i64::MAX));
    }

    fn float(&mut self, key: &str, number: f64) {
        self.put(key, "doubleValue", number.into());
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.put(key, "boolValue", value.into());
    }
}
