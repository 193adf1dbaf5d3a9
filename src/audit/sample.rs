//! Runs made by the pure core for tests: with everything recorded that an audit needs, in a world that a seed draws.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::call::{CallFailure, CallReply, Retry};
use crate::domain::event::{
    AnswerSource, Envelope, ErrorClass, Escalate, Event, FileState, InputAttached, InputAttachedPrivate, InputKind, Mode,
    Purpose, Recorded, RunStarted, RunStartedPrivate, StopReason, SuspendReason,
};
use crate::domain::ids::{CallNo, ExecutorId, Hash, RunId};
use crate::domain::judge::{Edition, files_asked};
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::run::tests::{Dice, MODELS, prices, settings};
use crate::domain::run::{
    Basis, Causes, Command, DayBudget, DayRefusal, Effect, FileLook, NewLimits, Observation, Parent, Phase, Refusal, Run,
    TakeOver, decide, pending, take_over,
};
use crate::domain::settings::Settings;
use crate::domain::template::{BaseAgent, Template};
use crate::domain::text::Text;
use crate::domain::tier::Strategy;

pub(crate) const VERSION: &str = "1.2.3";

/// One agent that escalates, for stores that must be small.
pub(crate) fn lone() -> Value {
    json!([{"role": "a", "base_template": "generic", "tier_strategy": "progressive", "prompt": "say ok to {{answers.name}}",
        "success_criteria": [{"type": "contains", "value": "ok"}]}])
}

/// Four agents: judged by code, by a model, by files and not at all.
pub(crate) fn team() -> Value {
    json!([
        {"role": "a", "base_template": "generic", "tier_strategy": "progressive", "prompt": "say ok to {{answers.name}}",
         "success_criteria": [{"type": "contains", "value": "ok"}, {"type": "file_exists", "path": "out.md"}]},
        {"role": "b", "base_template": "generic", "tier_strategy": "capable_first", "depends_on": ["a"],
         "prompt": "continue {{agents.a.output}} with {{inputs.notes}}",
         "success_criteria": [{"type": "contains", "value": "ok"}, "is it good?"], "max_attempts_per_tier": 2},
        {"role": "c", "base_template": "generic", "tier_strategy": "cheap_only", "on_failure": "continue",
         "success_criteria": ["is it good?", {"type": "any", "criteria": [{"type": "file_changed", "path": "x"}, "is it short?"]}]},
        {"role": "d", "base_template": "generic", "tier_strategy": "premium_only", "depends_on": ["b", "c"]},
        {"role": "e", "base_template": "generic", "required_responses": {"name": "somebody else"}}
    ])
}

pub(crate) fn basis(rules: &Value) -> Basis {
    let template: Template = serde_json::from_value(json!({
        "template_id": "t", "name": "T", "description": "d", "version": "1.0.0",
        "form_schema": {"title": "f", "description": "", "questions": [
            {"id": "name", "text": "Name?", "type": "text_input", "sensitive": true},
            {"id": "why", "text": "Why?", "type": "text_input", "required": false}]},
        "inputs": [{"id": "notes", "description": "n", "kind": "text", "required": false}],
        "agent_composition_rules": rules
    }))
    .expect("the template has its form");
    let generic: BaseAgent = serde_json::from_value(json!({"id": "generic", "description": "d", "instructions": "Do the task."}))
        .expect("a base agent");
    let settings = Settings { judging: Edition::default(), ..settings() };
    let prices = prices().narrowed(MODELS.iter().flat_map(|model| [("p", *model), ("q", *model)]));
    Basis { template, bases: BTreeMap::from([("generic".to_owned(), generic)]), settings, prices }
}

/// A world with one run's log in memory.
pub(crate) struct World {
    pub basis: Basis,
    pub run: Run,
    pub log: Vec<Recorded>,
    causes: Causes<u64>,
    now: i64,
}

impl World {
    pub(crate) fn start(rules: &Value, budget: Option<NanoUsd>, escalate: Escalate) -> Self {
        Self::start_by(basis(rules), budget, escalate)
    }

    /// Starts a run that records what runs of `edition` do.
    pub(crate) fn start_in(edition: Edition, rules: &Value, budget: Option<NanoUsd>, escalate: Escalate) -> Self {
        let basis = basis(rules);
        let settings = Settings { judging: edition, ..basis.settings.clone() };
        Self::start_by(Basis { settings, ..basis }, budget, escalate)
    }

    pub(crate) fn start_by(basis: Basis, budget: Option<NanoUsd>, escalate: Escalate) -> Self {
        let json = |value: Result<String, serde_json::Error>| Text::Inline(value.expect("sayable"));
        let template = serde_json::to_string(&basis.template).expect("sayable");
        let started = RunStarted {
            template_id: "t".into(),
            template_version: basis.template.version.clone(),
            template_hash: Hash::of(template.as_bytes()),
            source: None,
            mode: Mode::Real,
            strategy: None,
            budget,
            allow_unpriced: false,
            escalate,
            jobs: 3,
            seed: 1,
            prices_as_of: basis.prices.as_of(),
            prices_hash: basis.prices.hash(),
            meno_version: VERSION.into(),
            executor: ExecutorId::from_bytes([1; 16]),
            private: Some(RunStartedPrivate {
                foreign_run_id: None,
                template: Text::Inline(template),
                base_agents: json(serde_json::to_string(&basis.bases)),
                settings: json(serde_json::to_string(&basis.settings)),
                prices: json(serde_json::to_string(&basis.prices.to_file())),
                workspace: "/w".into(),
                user: "u".into(),
                labels: Vec::new(),
            }),
        };
        let mut world =
            Self { basis, run: Run::default(), log: Vec::new(), causes: Causes::default(), now: 1_700_000_000_000_000_000 };
        world.must(Command::Begin(Box::new(started)));
        world.must(Command::Attach(Box::new(InputAttached {
            input: "notes".into(),
            kind: InputKind::Text,
            files: 1,
            bytes: 5,
            left_out: 0,
            omitted: Vec::new(),
            private: Some(InputAttachedPrivate {
                path: "-".into(),
                texts: vec![("notes".into(), Text::Inline("one\ntwo".into()))],
                omissions: Vec::new(),
                rules: Vec::new(),
            }),
        })));
        world.must(Command::ShowQuestions(vec!["name".into(), "why".into()]));
        let answer = |question: &str, value: &str| Command::Answer {
            question: question.into(),
            value: json!(value),
            source: AnswerSource::Flag,
            secret: false,
        };
        world.must(answer("name", "Somebody"));
        world.must(answer("why", "so"));
        world.must(answer("name", "Nobody"));
        world.must(Command::TakeBack { question: "why".into() });
        world.must(Command::CompleteForm(Vec::new()));
        world
    }

    /// Forks a run off this one as it is now, as a caller that takes over `what` does; `strategy` holds for the whole of it.
    pub(crate) fn fork(&self, what: &TakeOver, strategy: Option<Strategy>) -> Self {
        let mut fork =
            Self { basis: self.basis.clone(), run: Run::default(), log: Vec::new(), causes: Causes::default(), now: self.now };
        let parent = RunId::from_bytes([7; 16]);
        fork.must(Command::Fork(Parent { run: parent, version: self.run.version, head: self.run.head }));
        let inputs = self.log.iter().filter_map(|recorded| match &recorded.event {
            Event::RunStarted(body) => {
                Some(Command::Begin(Box::new(RunStarted { strategy: strategy.or(body.strategy), ..body.clone() })))
            }
            Event::InputAttached(body) => Some(Command::Attach(Box::new(body.clone()))),
            _ => None,
        });
        inputs.for_each(|command| fork.must(command));
        for (question, answer) in &self.run.answers {
            let (question, value, source) = (question.clone(), answer.value.clone(), answer.source);
            fork.must(Command::Answer { question, value, source, secret: answer.secret });
        }
        fork.must(Command::CompleteForm(Vec::new()));
        let taken = take_over(&self.run, parent, &fork.run, &fork.basis, what, fork.now).expect("nothing forbids it");
        taken.into_iter().for_each(|command| fork.must(command));
        fork
    }

    #[track_caller]
    pub(crate) fn must(&mut self, command: Command) {
        self.perform(command).expect("nothing forbids it");
    }

    pub(crate) fn perform(&mut self, command: Command) -> Result<(), Refusal> {
        self.now += 1_000_000;
        for event in decide(self.run.clone(), &self.basis, command, self.now)?.0 {
            let seq = self.log.len() as u64 + 1;
            let cause = self.causes.of(&event);
            self.causes.take(seq, &event);
            let envelope = Envelope {
                seq,
                run: Some(RunId::from_bytes([7; 16])),
                version: self.run.version + 1,
                // The log's clock is read later than the one by which was decided.
                at: self.now + 2_000,
                occurred_at: None,
                cause,
            };
            let recorded = Recorded { envelope, hash: Hash::default(), event };
            self.run.apply(&recorded);
            self.log.push(recorded);
        }
        Ok(())
    }

    fn reply(
        &mut self,
        call: CallNo,
        text: &str,
        stop: StopReason,
        (before, after): (FileLook, FileLook),
    ) -> Result<(), Refusal> {
        let agent = self.run.calls.get(&call).and_then(|call| self.run.agent(call.agent)).expect("a call has an agent");
        let seen = files_asked(&agent.criteria).into_iter().map(|path| Observation::of_file(path, before, after)).collect();
        let reply = CallReply {
            text: text.to_owned(),
            reasoning: Some("hm".into()),
            tool_calls: Vec::new(),
            stop,
            stop_details: None,
            usage: TokenUsage { input: 100, output: 200, ..TokenUsage::default() },
            usage_source: UsageSource::Reported,
            reported_cost: Some(NanoUsd(5)),
            model: None,
            request_id: Some("r".into()),
            latency_ms: 5,
            first_token_ms: None,
        };
        self.perform(Command::RecordReply { call, reply: Box::new(reply), seen })
    }

    fn fail(&mut self, call: CallNo, class: ErrorClass) -> Result<(), Refusal> {
        let usage = TokenUsage { input: 7, ..TokenUsage::default() };
        let failure = CallFailure {
            class,
            status: None,
            code: None,
            message: "the world is like that".into(),
            retryable: false,
            usage: (class == ErrorClass::Server).then_some(usage),
            request_id: None,
            latency_ms: 1,
        };
        self.perform(Command::RecordFailure { call, failure })
    }

    /// Carries the run to its end; `answer` says what models reply to the n-th call.
    pub(crate) fn carried_to_end(self, answer: impl FnMut(usize, Purpose) -> String) -> Self {
        let world = self.carried_on(answer);
        assert!(world.run.is_ended());
        world
    }

    /// Carries the run on until it ends or waits for a person or for money.
    pub(crate) fn carried_on(mut self, mut answer: impl FnMut(usize, Purpose) -> String) -> Self {
        for step in 0.. {
            let Some(Effect::StartCall { agent, purpose }) = pending(&self.run).into_iter().next() else { break };
            if self.perform(Command::StartCall { agent, purpose }).is_err() {
                break;
            }
            // Where the call does not fit a budget, its agent has ended instead.
            let call = self.run.open_calls().next().map(|call| call.number);
            if let Some(call) = call {
                self.reply_well(call, &answer(step, purpose));
            }
        }
        self
    }

    /// Starts the first call that is owed and has it answered.
    pub(crate) fn answer_next(&mut self, text: &str) {
        let Some(Effect::StartCall { agent, purpose }) = pending(&self.run).into_iter().next() else { panic!("no call is owed") };
        self.must(Command::StartCall { agent, purpose });
        let call = self.run.open_calls().next().expect("a call is open").number;
        self.reply_well(call, text);
    }

    fn reply_well(&mut self, call: CallNo, text: &str) {
        self.reply(call, text, StopReason::End, (FileLook::ABSENT, content(b"done"))).expect("the call is open");
    }

    /// Lives a life that `seed` draws: failures, crashes, pauses, approvals, cancels and retries.
    pub(crate) fn live(seed: u64) -> Self {
        Self::live_in(Edition::default(), seed)
    }

    /// Lives such a life in a run of `edition`.
    pub(crate) fn live_in(edition: Edition, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let budget = (dice.roll(3) == 0).then(|| NanoUsd(dice.roll(200_000_000)));
        let escalate = [Escalate::Auto, Escalate::Ask, Escalate::Never][dice.roll(3) as usize];
        let mut world = Self::start_in(edition, &team(), budget, escalate);
        for _ in 0..2_000 {
            if world.run.is_ended() {
                let again = world.run.phase == Phase::Failed && dice.roll(3) == 0;
                if !again {
                    break;
                }
                world.must(resume(true, dice.roll(2).checked_sub(1).map(|_| NanoUsd(1_000_000_000_000))));
            }
            if matches!(world.run.phase, Phase::Suspended(_)) || dice.roll(40) == 0 {
                world.must(resume(false, None));
                continue;
            }
            match dice.roll(60) {
                0 => {
                    world.must(Command::AskCancel);
                    continue;
                }
                1 => {
                    world.must(Command::Cancel);
                    continue;
                }
                2 => {
                    world.must(Command::Suspend(SuspendReason::Interrupted));
                    continue;
                }
                _ => {}
            }
            world.turn(&mut dice);
        }
        world
    }

    fn turn(&mut self, dice: &mut Dice) {
        let open: Vec<(CallNo, Purpose)> = self.run.open_calls().map(|call| (call.number, call.purpose)).collect();
        let effects = pending(&self.run);
        if open.is_empty() || (!effects.is_empty() && dice.roll(2) == 0) {
            match effects.get(dice.roll(effects.len().max(1) as u64) as usize) {
                Some(Effect::StartCall { agent, purpose }) if dice.roll(30) == 0 => {
                    let limit = NanoUsd(1_000_000_000);
                    let because = DayRefusal::Seen(DayBudget { limit, used: limit, wanted: NanoUsd(7) });
                    self.must(Command::RefuseForDayBudget { agent: *agent, purpose: *purpose, because });
                }
                Some(Effect::StartCall { agent, purpose }) => {
                    match self.perform(Command::StartCall { agent: *agent, purpose: *purpose }) {
                        Ok(()) | Err(Refusal::WaitsForBudget) => {}
                        Err(refusal) => panic!("{refusal}"),
                    }
                }
                Some(Effect::AskApproval { agent, .. }) => {
                    let (agent, granted) = (*agent, dice.roll(3) != 0);
                    self.must(Command::Approve { agent, granted });
                }
                Some(Effect::CompleteForm) => panic!("the form is complete"),
                Some(Effect::StartTools { .. } | Effect::RunCriteria { .. } | Effect::ResolveTool { .. }) => {
                    panic!("nothing is to be run")
                }
                None => self.must(Command::Cancel),
            }
            return;
        }
        let (call, purpose) = open[dice.roll(open.len() as u64) as usize];
        let looks = [FileLook::UNSEEN, FileLook::ABSENT, content(b"one"), content(b"two")];
        let facts = (looks[dice.roll(4) as usize], looks[1 + dice.roll(3) as usize]);
        let outcome = match (dice.roll(11), purpose) {
            (0, _) => self.fail(call, ErrorClass::Server),
            (1, _) => self.fail(call, [ErrorClass::Auth, ErrorClass::Context, ErrorClass::Quota][dice.roll(3) as usize]),
            (2, _) => self.perform(Command::RecordCancelled { call, usage: None }),
            (10, _) => {
                let usage = Some(TokenUsage { input: 3, ..TokenUsage::default() });
                let retry =
                    Retry { failed_try: 1, class: ErrorClass::Server, status: Some(500), wait_ms: 1, usage, message: "x".into() };
                self.perform(Command::RecordRetry { call, retry })
            }
            (3, Purpose::Work) => self.reply(call, "ok but", StopReason::MaxTokens, facts),
            (4, Purpose::Work) => self.reply(call, "no", StopReason::Refusal, facts),
            (5 | 6, Purpose::Work) => self.reply(call, "bad", StopReason::End, facts),
            (_, Purpose::Work) => self.reply(call, "ok, this is good", StopReason::End, facts),
            (3, Purpose::Judge) => self.reply(call, "I cannot say", StopReason::End, facts),
            (score, Purpose::Judge) => self.reply(call, &scores(if score < 6 { 0.1 } else { 0.9 }), StopReason::End, facts),
        };
        outcome.expect("the call is open");
    }
}

/// A file with this content.
fn content(bytes: &[u8]) -> FileLook {
    FileLook { state: FileState::Present { bytes: bytes.len() as u64 }, hash: Some(Hash::of(bytes)) }
}

/// Numbers the events of a run anew and lets each point at the one that led to it, as whoever rewrites a log would.
pub(crate) fn renumber(events: &mut [Recorded]) {
    let mut causes = Causes::default();
    for (recorded, number) in events.iter_mut().zip(1..) {
        (recorded.envelope.seq, recorded.envelope.version) = (number, number);
        recorded.envelope.cause = causes.of(&recorded.event);
        causes.take(number, &recorded.event);
    }
}

/// What a judge says.
pub(crate) fn scores(score: f64) -> String {
    json!({"scores": [{"criterion": 1, "score": score, "reason": "so"}, {"criterion": 2, "score": 0.8, "reason": "short"}]})
        .to_string()
}

fn resume(retry_failed: bool, budget: Option<NanoUsd>) -> Command {
    let limits =
        NewLimits { budget, agent_budgets: budget.map(|budget| (0, budget)).into_iter().collect(), allow_unpriced: false };
    Command::Resume { executor: ExecutorId::from_bytes([2; 16]), retry_failed, meno_version: VERSION.into(), limits }
}
