//! The core driven by a flaky world: replies, failures, crashes and schedules drawn from a seed. A failing seed is printed.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::domain::call::{CallFailure, CallReply, Retry};
use crate::domain::event::{
    AttemptOutcome, Envelope, ErrorClass, Escalate, Event, Mode, Purpose, Recorded, RunStarted, RunStartedPrivate, StopReason,
};
use crate::domain::ids::{CallNo, ExecutorId, Hash, RunId};
use crate::domain::judge::Edition;
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::prices::{PriceFile, PriceTable};
use crate::domain::settings::Settings;
use crate::domain::template::{BaseAgent, Template};
use crate::domain::text::Text;

pub(crate) fn prices() -> PriceTable {
    PriceTable::merge([PriceFile::parse(include_str!("../../providers/prices.json")).expect("the embedded prices are sound")])
        .with_tariffs(["p", "q"].map(|name| (name.to_owned(), crate::domain::prices::Tariff::SameAs("anthropic".to_owned()))))
}

pub(crate) const MODELS: [&str; 3] = ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"];

pub(crate) fn settings() -> Settings {
    let tier = |model: &str| {
        json!({"provider": "p", "model": model, "max_output_tokens": 1000, "context_tokens": null, "effort": null,
        "fallbacks": [{"provider": "q", "model": model}]})
    };
    let provider = json!({"kind": "anthropic", "base_url": "http://127.0.0.1:1", "api_key_env": null, "auth": "none", "api_version": null,
        "headers": {}, "max_concurrent": 4, "connect_s": 1.0, "first_byte_s": 1.0, "idle_s": 1.0, "retries": 0, "allow_http": false,
        "key_bound": false});
    serde_json::from_value(json!({
        "preset": null,
        "tiers": {"cheap": tier(MODELS[0]), "capable": tier(MODELS[1]), "premium": tier(MODELS[2]), "judge": null},
        "providers": {"p": provider, "q": provider},
        "run": {"strategy": "progressive", "jobs": 3, "max_attempts_per_tier": 1, "escalate": "auto", "budget": null, "allow_unpriced": false},
        "per_day_budget": null,
        "tools": {"commands": [], "allow_write": false},
        "capture": {"prompts": "full", "outputs": "full", "answers": "full"},
        "memory": {"model": "m", "half_life_days": 90.0, "min_sample": 10},
        "retention_days": 0,
        "simulated": {"delay_ms": 0, "script": ""}
    }))
    .expect("the settings are complete")
}

pub(crate) fn basis(rules: serde_json::Value) -> Basis {
    let template: Template = serde_json::from_value(json!({
        "template_id": "t", "name": "T", "description": "d",
        "form_schema": {"title": "f", "description": "", "questions": [{"id": "name", "text": "Name?", "type": "text_input"}]},
        "agent_composition_rules": rules
    }))
    .expect("the template has its form");
    let generic: BaseAgent = serde_json::from_value(json!({"id": "generic", "description": "d", "instructions": "Do the task."}))
        .expect("a base agent");
    Basis { template, bases: BTreeMap::from([("generic".to_owned(), generic)]), settings: settings(), prices: prices() }
}

pub(crate) fn team() -> serde_json::Value {
    json!([
        {"role": "a", "base_template": "generic", "tier_strategy": "progressive", "prompt": "say ok to {{answers.name}}",
         "success_criteria": [{"type": "contains", "value": "ok"}]},
        {"role": "b", "base_template": "generic", "tier_strategy": "capable_first", "depends_on": ["a"],
         "prompt": "continue {{agents.a.output}}", "success_criteria": [{"type": "contains", "value": "ok"}, "is it good?"],
         "max_attempts_per_tier": 2},
        {"role": "c", "base_template": "generic", "tier_strategy": "cheap_only", "on_failure": "continue",
         "success_criteria": ["is it good?"]},
        {"role": "d", "base_template": "generic", "tier_strategy": "premium_only", "depends_on": ["b", "c"]}
    ])
}

/// The command that begins a run.
pub(crate) fn begin(budget: Option<NanoUsd>) -> Command {
    begin_with(budget, Escalate::Auto)
}

fn begin_with(budget: Option<NanoUsd>, escalate: Escalate) -> Command {
    Command::Begin(Box::new(RunStarted {
        template_id: "t".into(),
        template_version: "1.0.0".into(),
        template_hash: Hash::default(),
        source: None,
        mode: Mode::Real,
        strategy: None,
        budget,
        allow_unpriced: false,
        escalate,
        jobs: 3,
        seed: 1,
        prices_as_of: String::new(),
        prices_hash: Hash::default(),
        meno_version: String::new(),
        executor: ExecutorId::from_bytes([1; 16]),
        private: Some(RunStartedPrivate {
            foreign_run_id: None,
            template: Text::Withheld,
            base_agents: Text::Withheld,
            settings: Text::Withheld,
            prices: Text::Withheld,
            workspace: String::new(),
            user: String::new(),
            labels: Vec::new(),
        }),
    }))
}

/// The only answer that the form wants.
pub(crate) fn answer() -> Command {
    Command::Answer {
        question: "name".into(),
        value: json!("you"),
        source: crate::domain::event::AnswerSource::Flag,
        secret: false,
    }
}

/// The command that records what a model answered.
pub(crate) fn reply(call: CallNo, text: &str, stop: StopReason) -> Command {
    let reply = CallReply {
        text: text.to_owned(),
        reasoning: None,
        tool_calls: Vec::new(),
        stop,
        stop_details: None,
        usage: TokenUsage { input: 100, output: 200, ..TokenUsage::default() },
        usage_source: UsageSource::Reported,
        reported_cost: None,
        model: None,
        request_id: None,
        latency_ms: 5,
        first_token_ms: None,
    };
    Command::RecordReply { call, reply: Box::new(reply), seen: Vec::new() }
}

/// The command that records that a call failed.
pub(crate) fn failure(call: CallNo, class: ErrorClass) -> Command {
    let failure = CallFailure {
        class,
        status: None,
        code: None,
        message: "the world is like that".into(),
        retryable: false,
        usage: None,
        request_id: None,
        latency_ms: 1,
    };
    Command::RecordFailure { call, failure }
}

/// A world with a log in memory.
pub(super) struct World {
    pub(super) basis: Basis,
    pub(super) run: Run,
    pub(super) log: Vec<Recorded>,
    now: i64,
}

impl World {
    pub(super) fn start(basis: Basis, budget: Option<NanoUsd>, escalate: Escalate) -> Self {
        let mut world = Self { basis, run: Run::default(), log: Vec::new(), now: 1_000_000_000_000_000_000 };
        world.perform(begin_with(budget, escalate)).expect("a run starts");
        world.perform(answer()).expect("the form is open");
        world.perform(Command::CompleteForm(Vec::new())).expect("the form is complete");
        world
    }

    pub(super) fn perform(&mut self, command: Command) -> Result<(), Refusal> {
        self.now += 1_000_000;
        for event in decide(self.run.clone(), &self.basis, command, self.now)?.0 {
            let envelope = Envelope {
                seq: self.log.len() as u64 + 1,
                run: Some(RunId::from_bytes([7; 16])),
                version: self.run.version + 1,
                at: self.now,
                occurred_at: None,
                cause: None,
            };
            let recorded = Recorded { envelope, hash: Hash::default(), event };
            self.run.apply(&recorded);
            self.log.push(recorded);
        }
        Ok(())
    }

    pub(super) fn reply(&mut self, call: CallNo, text: &str) -> Result<(), Refusal> {
        self.reply_with(call, text, StopReason::End)
    }

    pub(super) fn reply_with(&mut self, call: CallNo, text: &str, stop: StopReason) -> Result<(), Refusal> {
        self.perform(reply(call, text, stop))
    }

    pub(super) fn fail(&mut self, call: CallNo, class: ErrorClass) -> Result<(), Refusal> {
        self.perform(failure(call, class))
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.log.iter().map(|recorded| recorded.event.name()).collect()
    }

    fn open_call(&self) -> CallNo {
        self.run.open_calls().next().expect("a call is open").number
    }

    pub(super) fn start_first(&mut self) -> CallNo {
        let effect = pending(&self.run).into_iter().find_map(|effect| match effect {
            Effect::StartCall { agent, purpose } => Some((agent, purpose)),
            _ => None,
        });
        let (agent, purpose) = effect.expect("a call is owed");
        self.perform(Command::StartCall { agent, purpose }).expect("a call that is owed starts");
        self.open_call()
    }

    /// Checks the laws that hold at every moment.
    fn check(&self, seed: u64, budget: Option<NanoUsd>) {
        let refolded = self.log.iter().fold(Run::default(), |run, recorded| run.evolve(recorded));
        assert_eq!(refolded, self.run, "seed {seed}: folding again gives another run");
        let sum: NanoUsd = self
            .log
            .iter()
            .filter_map(|recorded| match &recorded.event {
                Event::CostIncurred(cost) => cost.amount,
                _ => None,
            })
            .sum();
        assert_eq!(sum, self.run.spent, "seed {seed}: money does not add up");
        if let Some(budget) = budget {
            let (settled, open) = self.run.committed(None);
            assert!(settled.plus(open) <= budget, "seed {seed}: {settled} and {open} pass the budget of {budget}");
        }
        for agent in &self.run.agents {
            let passed = agent.attempts.iter().filter(|attempt| attempt.outcome == Some(AttemptOutcome::Passed)).count();
            assert!(passed <= 1, "seed {seed}: {} passed twice", agent.label);
        }
    }
}

/// A small generator, so that a seed means the same for ever (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

fn one_life(seed: u64) {
    let mut dice = Dice(seed);
    let budget = (dice.roll(3) == 0).then(|| NanoUsd(dice.roll(200_000_000)));
    let escalate = [Escalate::Auto, Escalate::Ask, Escalate::Never][dice.roll(3) as usize];
    let mut world = World::start(basis(team()), budget, escalate);
    for step in 0.. {
        assert!(step < 2_000, "seed {seed}: the run does not end");
        world.check(seed, budget);
        if world.run.is_ended() {
            break;
        }
        let open: Vec<(CallNo, Purpose)> = world.run.open_calls().map(|call| (call.number, call.purpose)).collect();
        let effects = pending(&world.run);
        assert!(!open.is_empty() || !effects.is_empty(), "seed {seed}: the run waits for nothing: {:?}", world.run);
        if dice.roll(40) == 0 {
            let executor = ExecutorId::from_bytes([2; 16]);
            world
                .perform(Command::Resume {
                    executor,
                    retry_failed: false,
                    meno_version: String::new(),
                    limits: NewLimits::default(),
                })
                .expect("a crash is mended");
            continue;
        }
        let start = open.is_empty() || (!effects.is_empty() && dice.roll(2) == 0);
        if start {
            match effects.get(dice.roll(effects.len().max(1) as u64) as usize) {
                Some(Effect::StartCall { agent, purpose }) => {
                    match world.perform(Command::StartCall { agent: *agent, purpose: *purpose }) {
                        Ok(()) => {}
                        Err(Refusal::WaitsForBudget) => assert!(!open.is_empty(), "seed {seed}: waits for a budget nobody holds"),
                        Err(refusal) => panic!("seed {seed}: {refusal}"),
                    }
                }
                Some(Effect::AskApproval { agent, .. }) => {
                    let granted = dice.roll(3) != 0;
                    world.perform(Command::Approve { agent: *agent, granted }).expect("somebody asked");
                }
                _ => {}
            }
            continue;
        }
        let (call, purpose) = open[dice.roll(open.len() as u64) as usize];
        let outcome = match (dice.roll(10), purpose) {
            (0, _) => world.fail(call, ErrorClass::Server),
            (1, _) => world.fail(call, [ErrorClass::Auth, ErrorClass::Context, ErrorClass::Quota][dice.roll(3) as usize]),
            (2, _) => world.perform(Command::RecordCancelled { call, usage: None }),
            (3, Purpose::Work) => world.reply_with(call, "ok but", StopReason::MaxTokens),
            (4, Purpose::Work) => world.reply_with(call, "no", StopReason::Refusal),
            (5 | 6, Purpose::Work) => world.reply(call, "bad"),
            (_, Purpose::Work) => world.reply(call, "ok, this is good"),
            (3, Purpose::Judge) => world.reply(call, "I cannot say"),
            (score, Purpose::Judge) => {
                let score = if score < 6 { 0.1 } else { 0.9 };
                world.reply(call, &json!({"scores": [{"criterion": 1, "score": score, "reason": "so"}]}).to_string())
            }
        };
        outcome.unwrap_or_else(|refusal| panic!("seed {seed}: {refusal}"));
    }
}

#[test]
fn every_life_of_a_run_ends_and_keeps_the_laws() {
    (0..3_000).for_each(one_life);
}

#[test]
fn a_poor_answer_climbs_one_tier_and_is_told_why() {
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    let call = world.start_first();
    world.reply(call, "bad").expect("the call is open");
    assert!(world.names().ends_with(&["CallReplied", "CostIncurred", "CriterionJudged", "AttemptEnded", "TierEscalated"]));
    let call = world.start_first();
    let call = &world.run.calls[&call];
    assert_eq!(call.model, MODELS[1]);
    assert!(call.prompt.contains("former answer was not accepted"), "{}", call.prompt);
}

#[test]
fn a_wrong_key_fails_the_agent_and_never_climbs() {
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    let call = world.start_first();
    world.fail(call, ErrorClass::Auth).expect("the call is open");
    assert!(!world.names().contains(&"TierEscalated"));
    assert!(world.names().contains(&"RunFailed"), "{:?}", world.names());
}

#[test]
fn an_outage_switches_the_provider_within_the_attempt() {
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    let call = world.start_first();
    world.fail(call, ErrorClass::Server).expect("the call is open");
    assert!(world.names().ends_with(&["CallFailed", "ProviderSwitched"]));
    let call = world.start_first();
    assert_eq!(world.run.calls[&call].provider, "q");
    assert_eq!(world.run.agents[0].attempts.len(), 1);
}

#[test]
fn a_lost_attempt_does_not_count_and_is_tried_again_at_the_same_tier() {
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    world.start_first();
    let executor = ExecutorId::from_bytes([2; 16]);
    world
        .perform(Command::Resume { executor, retry_failed: false, meno_version: String::new(), limits: NewLimits::default() })
        .expect("it was running");
    assert!(world.names().ends_with(&["RunResumed", "CallLost", "AttemptEnded"]));
    let call = world.start_first();
    assert_eq!((world.run.calls[&call].attempt, world.run.calls[&call].model.as_str()), (2, MODELS[0]));
}

#[test]
fn an_attempt_does_not_last_while_its_run_waits_to_be_resumed() {
    const HOUR: i64 = 3_600_000_000_000;
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    let start = |world: &mut World, agent, purpose| {
        world.perform(Command::StartCall { agent, purpose }).expect("the call is owed");
        world.run.calls.values().next_back().expect("it is open").number
    };
    let call = start(&mut world, 2, Purpose::Work);
    world.reply(call, "something to judge").expect("the call is open");
    world.now += HOUR;
    let executor = ExecutorId::from_bytes([2; 16]);
    world
        .perform(Command::Resume { executor, retry_failed: false, meno_version: String::new(), limits: NewLimits::default() })
        .expect("it was running");
    let judge = start(&mut world, 2, Purpose::Judge);
    world.now += HOUR / 2;
    world.fail(judge, ErrorClass::Auth).expect("the call is open");
    let ended = world.log.iter().find_map(|recorded| match &recorded.event {
        Event::AttemptEnded(body) => Some(body.duration_ms),
        _ => None,
    });
    // Six commands, a millisecond apart, of which the resumption took the place of one.
    assert_eq!(ended, Some(1_800_003));
}

#[test]
fn an_answer_that_was_cut_off_gets_more_room_before_it_climbs() {
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    let call = world.start_first();
    world.reply_with(call, "ok and", StopReason::MaxTokens).expect("the call is open");
    let call = world.start_first();
    assert_eq!((world.run.calls[&call].model.as_str(), world.run.calls[&call].max_output), (MODELS[0], 2000));
    world.reply_with(call, "ok and", StopReason::MaxTokens).expect("the call is open");
    assert!(world.names().ends_with(&["TierEscalated"]));
}

#[test]
fn a_call_that_does_not_fit_the_budget_is_not_made() {
    let mut world = World::start(basis(team()), Some(NanoUsd(1)), Escalate::Auto);
    let effects = pending(&world.run);
    let Some(Effect::StartCall { agent, purpose }) = effects.first() else { panic!("a call is owed: {effects:?}") };
    world.perform(Command::StartCall { agent: *agent, purpose: *purpose }).expect("the refusal is an event");
    assert!(!world.names().contains(&"CallStarted"));
    assert!(matches!(
        world.run.agents[*agent as usize].status,
        AgentStatus::Failed(crate::domain::event::FailureReason::Budget, _)
    ));
}

/// A world with one open call, in a run of `edition` with a budget of a dollar.
fn calling(edition: Edition) -> (World, CallNo) {
    let mut world = World::start(basis(team()), Some(NanoUsd(1_000_000_000)), Escalate::Auto);
    world.basis.settings.judging = edition;
    let Some(Effect::StartCall { agent, purpose }) = pending(&world.run).first().cloned() else { panic!("a call is owed") };
    world.perform(Command::StartCall { agent, purpose }).expect("it fits");
    let call = world.run.open_calls().next().expect("it is open").number;
    (world, call)
}

fn broken(class: ErrorClass, status: Option<u16>, usage: Option<TokenUsage>) -> Retry {
    Retry { failed_try: 1, class, status, wait_ms: 1, usage, message: "it broke off".to_owned() }
}

#[test]
fn a_try_that_may_be_charged_is_of_unknown_cost_and_counts_at_its_reservation() {
    for (class, status, is_untold) in [
        (ErrorClass::Timeout, None, true),
        (ErrorClass::Timeout, Some(200), true),
        (ErrorClass::Timeout, Some(504), false),
        (ErrorClass::Connection, Some(200), true),
        (ErrorClass::Connection, None, false),
        (ErrorClass::BadReply, Some(200), true),
        (ErrorClass::Server, Some(503), false),
    ] {
        for edition in [Edition::Sixth, Edition::Seventh] {
            let (mut world, call) = calling(edition);
            let reserved = world.run.calls[&call].reserved.expect("it has a price");
            world.perform(Command::RecordRetry { call, retry: broken(class, status, None) }).expect("it is open");
            let told =
                world.log.iter().filter(|event| matches!(&event.event, Event::CostIncurred(cost) if cost.is_untold())).count();
            let expected = usize::from(is_untold && edition == Edition::Seventh);
            assert_eq!(told, expected, "{class} {status:?} {edition:?}");
            let (settled, open) = world.run.committed(None);
            assert_eq!((settled, open), (NanoUsd(reserved.0 * expected as u64), reserved), "{class} {status:?} {edition:?}");
        }
    }
}

#[test]
fn another_try_must_fit_beside_what_the_failed_one_cost() {
    let (mut world, call) = calling(Edition::Seventh);
    let reserved = world.run.calls[&call].reserved.expect("it has a price");
    let terms = world.run.terms.as_mut().expect("it has started");
    terms.budget = Some(NanoUsd(2 * reserved.0 - 1));
    let affords = |world: &World, retry: &Retry| affords_another_try(&world.run, &world.basis, call, retry);
    assert!(affords(&world, &broken(ErrorClass::Server, Some(503), None)), "nobody wants to be paid");
    assert!(!affords(&world, &broken(ErrorClass::Timeout, None, None)), "it may have cost what was reserved");
    let used = |output: u64| Some(TokenUsage { input: 1, output, ..TokenUsage::default() });
    assert!(affords(&world, &broken(ErrorClass::Connection, Some(200), used(1))));
    assert!(!affords(&world, &broken(ErrorClass::Connection, Some(200), used(1_000_000))));
    world.run.terms.as_mut().expect("it has started").budget = None;
    assert!(affords(&world, &broken(ErrorClass::Timeout, None, None)), "without a budget nothing is short");
}

#[test]
fn no_model_without_a_price_is_called_under_a_budget_of_the_day() {
    for (edition, allow_unpriced, is_called) in
        [(Edition::Seventh, false, false), (Edition::Seventh, true, true), (Edition::Sixth, false, true)]
    {
        let mut world = World::start(basis(team()), None, Escalate::Auto);
        world.basis.settings.judging = edition;
        world.basis.settings.per_day_budget = Some(NanoUsd(1_000_000_000));
        world.basis.prices = PriceTable::merge([]);
        world.run.terms.as_mut().expect("it has started").allow_unpriced = allow_unpriced;
        let Some(Effect::StartCall { agent, purpose }) = pending(&world.run).first().cloned() else { panic!("a call is owed") };
        world.perform(Command::StartCall { agent, purpose }).expect("the refusal is an event");
        assert_eq!(world.names().contains(&"CallStarted"), is_called, "{edition:?} {allow_unpriced}");
    }
}

#[test]
fn of_two_fallbacks_the_one_that_a_budget_lets_be_called_comes_first() {
    for (edition, allow_unpriced, taken) in
        [(Edition::Eighth, false, MODELS[0]), (Edition::Eighth, true, "nobody-knows"), (Edition::Seventh, false, "nobody-knows")]
    {
        let mut basis = basis(team());
        basis.settings.judging = edition;
        if let Some(tier) = &mut basis.settings.tiers.cheap {
            tier.fallbacks.insert(0, crate::domain::settings::ModelRef { provider: "q".into(), model: "nobody-knows".into() });
        }
        let mut world = World::start(basis, Some(NanoUsd(1_000_000_000)), Escalate::Auto);
        if let Some(terms) = &mut world.run.terms {
            terms.allow_unpriced = allow_unpriced;
        }
        let call = world.start_first();
        world.fail(call, ErrorClass::Server).expect("the call is open");
        let to = world.log.iter().rev().find_map(|recorded| match &recorded.event {
            Event::ProviderSwitched(body) => Some(body.to_model.as_str()),
            _ => None,
        });
        assert_eq!(to, Some(taken), "{edition:?}, {allow_unpriced}");
    }
}

#[test]
fn a_template_whose_rules_make_no_agent_is_refused_before_anything_is_spent() {
    let rules = json!([{"role": "a", "base_template": "generic", "required_responses": {"name": "somebody else"}}]);
    let mut world = World { basis: basis(json!([])), run: Run::default(), log: Vec::new(), now: 0 };
    world.basis = basis(rules);
    let started = World::start(basis(team()), None, Escalate::Auto).log.remove(0).event;
    let Event::RunStarted(started) = started else { panic!("a run starts with its start") };
    world.perform(Command::Begin(Box::new(started))).expect("a run starts");
    world.perform(answer()).expect("the form is open");
    assert!(matches!(world.perform(Command::CompleteForm(Vec::new())), Err(Refusal::NoAgents { .. })));
    assert_eq!(world.names(), ["RunStarted", "AnswerGiven"]);
}
