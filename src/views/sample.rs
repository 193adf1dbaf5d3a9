//! Events for tests: one story that has everything, and events in any order.

use proptest::prelude::*;

use crate::domain::event::*;
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, ExecutorId, Hash, RunId};
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::text::Text;
use crate::domain::tier::{Strategy as Tiers, Tier};

/// The run of all samples.
pub(crate) const RUN: &str = "01KAPXZ8T0M3N5Q7R9S1V3W5X7";
/// When the sample run begins: 2026-11-22T16:21:31Z, in ns.
const BEGIN: i64 = 1_795_364_491_000_000_000;

/// Places `event` at `version` of the sample run, one second after the one before.
pub(crate) fn recorded(version: u64, event: impl Into<Event>) -> Recorded {
    Recorded {
        envelope: Envelope {
            seq: version + 1,
            run: Some(RUN.parse().unwrap()),
            version,
            at: BEGIN + (version as i64 - 1) * 1_000_000_000,
            occurred_at: None,
            cause: None,
        },
        hash: Hash::of(&version.to_be_bytes()),
        event: event.into(),
    }
}

/// Places events one after the other.
pub(crate) fn stream(events: impl IntoIterator<Item = Event>) -> Vec<Recorded> {
    (1..).zip(events).map(|(version, event)| recorded(version, event)).collect()
}

/// Finds texts that are kept in the events themselves.
pub(crate) fn inline(text: &Text) -> Option<String> {
    match text {
        Text::Inline(text) => Some(text.clone()),
        _ => None,
    }
}

const TEMPLATE: &str = r#"{"template_id": "release_prep", "name": "Release preparation", "form_schema": {"questions": [
    {"id": "package_name", "text": "Package?", "type": "text_input"},
    {"id": "customer", "text": "Customer?", "type": "text_input", "sensitive": true},
    {"id": "token", "text": "Token?", "type": "secret"}]}}"#;

pub(crate) fn started() -> Event {
    RunStarted {
        template_id: "release_prep".into(),
        template_version: "1.2.0".into(),
        template_hash: Hash::of(TEMPLATE.as_bytes()),
        source: None,
        mode: Mode::Simulated,
        strategy: None,
        budget: Some(NanoUsd(500_000_000)),
        allow_unpriced: false,
        escalate: Escalate::Auto,
        jobs: 4,
        seed: 7,
        prices_as_of: "2026-11-22".into(),
        prices_hash: Hash::of(b"prices"),
        meno_version: "0.1.0".into(),
        executor: ExecutorId::from_bytes([1; 16]),
        private: Some(RunStartedPrivate {
            foreign_run_id: None,
            template: Text::Inline(TEMPLATE.into()),
            base_agents: Text::Inline("{}".into()),
            settings: Text::Inline("{}".into()),
            prices: Text::Inline("[]".into()),
            workspace: "/home/ada/demo".into(),
            user: "u".into(),
            labels: vec![("team".into(), "core".into())],
        }),
    }
    .into()
}

pub(crate) fn answer(question: &str, json: &str) -> Event {
    let private = Some(AnswerGivenPrivate { value: json.into() });
    AnswerGiven { question: question.into(), source: AnswerSource::Asked, secret: question == "token", private }.into()
}

pub(crate) fn planned(agent: AgentNo, role: &str, item: Option<&str>) -> Event {
    AgentPlanned {
        agent,
        rule: agent,
        role: role.into(),
        base: "code_reviewer".into(),
        strategy: Tiers::Progressive,
        tools: vec!["ruff".into()],
        depends_on: Vec::new(),
        max_attempts_per_tier: 1,
        budget: None,
        on_failure: OnFailure::FailRun,
        strict: false,
        threshold: None,
        private: Some(AgentPlannedPrivate {
            item: item.map(str::to_owned),
            config: r#"{"name": "demo", "for": "report for ACME Corp"}"#.into(),
            criteria: r#"["no lint errors"]"#.into(),
            task: "Look at demo for ACME Corp.".into(),
            because: "the rule has no conditions".into(),
        }),
    }
    .into()
}

pub(crate) fn attempt_started(agent: AgentNo, attempt: AttemptNo, tier: Tier) -> Event {
    AttemptStarted { agent, attempt, tier, private: Some(AttemptStartedPrivate { task: None, import_key: None }) }.into()
}

pub(crate) fn call_started(call: CallNo, agent: AgentNo, attempt: AttemptNo, purpose: Purpose) -> Event {
    CallStarted {
        call,
        agent,
        attempt,
        purpose,
        provider: "simulated".into(),
        model: if purpose == Purpose::Work { "sim-small".into() } else { "sim-judge".into() },
        estimated_input: 900,
        max_output: 8192,
        reserved: Some(NanoUsd(90_000_000)),
        day: 20_779,
        private: Some(CallStartedPrivate {
            system: Text::Inline("You review.".into()),
            prompt: Text::Inline("Review.".into()),
            transcript: None,
            parameters: "{}".into(),
        }),
    }
    .into()
}

pub(crate) fn replied(call: CallNo, output: &str) -> Event {
    CallReplied {
        call,
        stop: StopReason::End,
        usage: usage(),
        usage_source: UsageSource::Reported,
        latency_ms: 1_500,
        first_token_ms: Some(300),
        private: Some(CallRepliedPrivate {
            output: Text::Inline(output.into()),
            reasoning: None,
            tool_calls: Text::EMPTY,
            model: Some("sim-small-1".into()),
            request_id: Some("req-1".into()),
            stop_details: None,
        }),
    }
    .into()
}

/// A tool that makes files; `end` is how it ended: its fault and what it said.
pub(crate) fn write(call: CallNo, tool_call: u32, paths: &[&str], end: Option<(Option<ToolFault>, &str)>) -> Vec<Event> {
    let file = |path: &&str| FileChange {
        path: (*path).to_owned(),
        original: None,
        before: None,
        after: Some(Hash::of(b"new")),
        mode: None,
        folders: 0,
    };
    let arguments = Text::Inline("{}".to_owned());
    let tool = crate::domain::tool::APPLY_PATCH.to_owned();
    let files = paths.iter().map(file).collect();
    let mut events: Vec<Event> = vec![
        ToolStarted { call, tool_call, tool, writes: true, private: Some(ToolStartedPrivate { arguments }) }.into(),
        WritePrepared { call, tool_call, private: Some(WritePreparedPrivate { files }) }.into(),
    ];
    events.extend(end.map(|(fault, told)| tool_ended(call, tool_call, fault, told)));
    events
}

pub(crate) fn tool_ended(call: CallNo, tool_call: u32, fault: Option<ToolFault>, told: &str) -> Event {
    let result = Text::Inline(told.to_owned());
    ToolEnded {
        call,
        tool_call,
        ok: fault.is_none(),
        latency_ms: 0,
        fault,
        bytes: None,
        told_bytes: None,
        repeats: None,
        reused: None,
        private: Some(ToolEndedPrivate { result, whole: None, diff: None, originals: Vec::new() }),
    }
    .into()
}

pub(crate) fn usage() -> TokenUsage {
    TokenUsage { input: 1_000, cache_read: 200, cache_write_5m: 30, cache_write_1h: 4, output: 500, reasoning: 100 }
}

pub(crate) fn cost(call: Option<CallNo>, agent: AgentNo, attempt: AttemptNo, purpose: Purpose, nano: Option<u64>) -> Event {
    CostIncurred {
        call,
        agent,
        attempt,
        tier: if attempt == 1 { Tier::Cheap } else { Tier::Capable },
        purpose,
        provider: Some("simulated".into()),
        model: Some("sim-small".into()),
        amount: nano.map(NanoUsd),
        usage: Some(usage()),
        unit_prices: None,
        band_above: 0,
        source: if call.is_some() { CostSource::Computed } else { CostSource::Imported },
        reported: None,
        private: Some(CostIncurredPrivate {}),
    }
    .into()
}

pub(crate) fn judged(agent: AgentNo, attempt: AttemptNo, criterion: u32, verdict: Verdict) -> Event {
    let private = Some(CriterionJudgedPrivate { name: "no lint errors".into(), evidence: "E501 in line 3".into() });
    CriterionJudged { agent, attempt, criterion, verdict, score: None, by: JudgedBy::Code, private }.into()
}

pub(crate) fn attempt_ended(agent: AgentNo, attempt: AttemptNo, outcome: AttemptOutcome) -> Event {
    let verified = outcome == AttemptOutcome::Passed;
    AttemptEnded { agent, attempt, outcome, verified, signals: vec![], duration_ms: 2_000, private: Some(AttemptEndedPrivate {}) }
        .into()
}

pub(crate) fn escalated(agent: AgentNo, attempt: AttemptNo) -> Event {
    let private = Some(TierEscalatedPrivate {});
    let reason = EscalationReason::Criteria;
    TierEscalated { agent, attempt, from: Tier::Cheap, to: Tier::Capable, reason, failed: vec![0], private }.into()
}

pub(crate) fn agent_succeeded(agent: AgentNo, attempt: AttemptNo) -> Event {
    AgentSucceeded { agent, attempt, verified: true, private: Some(AgentSucceededPrivate {}) }.into()
}

pub(crate) fn agent_failed(agent: AgentNo) -> Event {
    let private = Some(AgentFailedPrivate { message: "the next call may cost $0.09, $0.02 is left".into() });
    AgentFailed { agent, reason: FailureReason::Budget, private }.into()
}

pub(crate) fn retried(call: CallNo) -> Event {
    let private = Some(RequestRetriedPrivate { message: "slow down".into() });
    RequestRetried {
        call,
        failed_try: 1,
        class: ErrorClass::RateLimit,
        status: Some(429),
        waited_ms: 2_000,
        usage: None,
        private,
    }
    .into()
}

pub(crate) fn lost(call: CallNo) -> Event {
    CallLost { call, reserved: Some(NanoUsd(90_000_000)), private: Some(CallLostPrivate {}) }.into()
}

pub(crate) fn call_failed(call: CallNo) -> Event {
    let private = Some(CallFailedPrivate { code: None, message: "over capacity".into(), request_id: None });
    CallFailed { call, class: ErrorClass::Server, status: Some(529), retryable: true, usage: None, latency_ms: 10, private }
        .into()
}

pub(crate) fn succeeded() -> Event {
    RunSucceeded { verified: true, private: Some(RunSucceededPrivate {}) }.into()
}

pub(crate) fn resumed(retry_failed: bool) -> Event {
    let executor = ExecutorId::from_bytes([2; 16]);
    let (budget, agent_budgets, private) = (None, Vec::new(), Some(RunResumedPrivate {}));
    RunResumed { executor, retry_failed, meno_version: "0.1.0".into(), budget, agent_budgets, allow_unpriced: false, private }
        .into()
}

pub(crate) fn suspended(why: SuspendReason) -> Event {
    RunSuspended { why, private: Some(RunSuspendedPrivate {}) }.into()
}

/// A run with everything: sensitive answers, a skipped rule, a retry, an escalation, a judge, a report and a note.
pub(crate) fn story() -> Vec<Recorded> {
    use Purpose::{Judge, Work};
    stream([
        started(),
        answer("package_name", "\"demo\""),
        answer("customer", "\"ACME Corp\""),
        answer("token", "null"),
        FormCompleted { answered: 3, hidden: vec!["publish_to".into()], private: Some(FormCompletedPrivate {}) }.into(),
        planned(0, "linter", None),
        planned(1, "auditor", Some("src")),
        RuleSkipped {
            rule: 2,
            role: "publisher".into(),
            question: Some("publish_to".into()),
            private: Some(RuleSkippedPrivate { because: "publish_to is PyPI; it has no answer".into() }),
        }
        .into(),
        attempt_started(0, 1, Tier::Cheap),
        call_started(1, 0, 1, Work),
        retried(1),
        replied(1, "Line 3 is too long."),
        cost(Some(1), 0, 1, Work, Some(2_000_000)),
        judged(0, 1, 0, Verdict::Fail),
        attempt_ended(0, 1, AttemptOutcome::FailedCriteria),
        escalated(0, 1),
        attempt_started(0, 2, Tier::Capable),
        call_started(2, 0, 2, Work),
        replied(2, "All clean."),
        cost(Some(2), 0, 2, Work, Some(10_000_000)),
        call_started(3, 0, 2, Judge),
        replied(3, "{}"),
        cost(Some(3), 0, 2, Judge, Some(500_000)),
        judged(0, 2, 0, Verdict::Pass),
        attempt_ended(0, 2, AttemptOutcome::Passed),
        agent_succeeded(0, 2),
        attempt_started(1, 1, Tier::Cheap),
        call_started(4, 1, 1, Work),
        replied(4, "No findings."),
        cost(Some(4), 1, 1, Work, Some(3_000_000)),
        attempt_ended(1, 1, AttemptOutcome::Passed),
        agent_succeeded(1, 1),
        ReportComposed {
            by: ReportBy::Outputs,
            private: Some(ReportComposedPrivate { report: Text::Inline("# Report\n\nAll clean.".into()) }),
        }
        .into(),
        succeeded(),
        NoteAdded {
            rating: Some(4),
            private: Some(NoteAddedPrivate { text: Text::Inline("good \u{1b}[31mwork".into()), tags: vec!["keep".into()] }),
        }
        .into(),
    ])
}

/// Removes the private part of the kinds that the samples use.
pub(crate) fn forget(event: &mut Event) {
    match event {
        Event::RunStarted(body) => body.private = None,
        Event::AnswerGiven(body) => body.private = None,
        Event::AgentPlanned(body) => body.private = None,
        Event::RuleSkipped(body) => body.private = None,
        Event::CallReplied(body) => body.private = None,
        Event::RequestRetried(body) => body.private = None,
        Event::CriterionJudged(body) => body.private = None,
        Event::AgentFailed(body) => body.private = None,
        Event::ReportComposed(body) => body.private = None,
        Event::NoteAdded(body) => body.private = None,
        _ => {}
    }
}

/// Any event of those that folds look at, with small numbers so that they meet each other.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let purpose = prop_oneof![Just(Purpose::Work), Just(Purpose::Judge)];
    let ids = (0u32..3, 1u32..4, 1u32..6, purpose, proptest::option::of(0u64..5_000_000));
    (0u8..22, ids).prop_map(|(kind, (agent, attempt, call, purpose, nano))| match kind {
        0 => started(),
        1 => answer("package_name", "\"demo\""),
        2 => planned(agent, "linter", None),
        3 => attempt_started(agent, attempt, Tier::Cheap),
        4 | 5 => call_started(call, agent, attempt, purpose),
        6 => replied(call, "text"),
        7..=9 => cost(Some(call), agent, attempt, purpose, nano),
        10 => cost(None, agent, attempt, purpose, nano),
        11 => judged(agent, attempt, 0, Verdict::Fail),
        12 => attempt_ended(agent, attempt, AttemptOutcome::Passed),
        13 => escalated(agent, attempt),
        14 => agent_succeeded(agent, attempt),
        15 => agent_failed(agent),
        16 => retried(call),
        17 => lost(call),
        18 => call_failed(call),
        19 => succeeded(),
        20 => resumed(attempt == 1),
        _ => suspended(if agent == 0 { SuspendReason::Approval } else { SuspendReason::Interrupted }),
    })
}

/// The sample run's id.
pub(crate) fn run_id() -> RunId {
    RUN.parse().unwrap()
}
