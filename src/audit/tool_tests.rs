//! Runs whose agents use tools, in a world that a seed draws: they end, nothing is done twice, and a replay and an audit find them sound.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::replay::verify;
use super::sample::{VERSION, World, basis};
use super::tests::{audit, nth};
use crate::domain::call::{CallReply, ToolCall};
use crate::domain::event::{
    AttemptOutcome, ErrorClass, Escalate, Event, FileChange, NotRun, Purpose, Recorded, Resolution, ResolvedBy, Signal,
    StopReason, ToolFault,
};
use crate::domain::ids::{CallNo, ExecutorId, Hash};
use crate::domain::judge::CommandAsked;
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::run::tests::{Dice, failure};
use crate::domain::run::{
    Basis, CallState, Command, Effect, NewLimits, Observation, Phase, Refusal, Run, ToolRun, Turn, pending, request,
};
use crate::domain::text::Text;
use crate::domain::tool::{RESULT_BYTES_MAX, ToolEffect, ToolOutcome, ToolSpec};

const MAX_TURNS: u32 = 4;

fn with_tools() -> Basis {
    let rules = json!([
        {"role": "a", "base_template": "generic", "tier_strategy": "progressive", "prompt": "look", "tools": ["look", "change"],
         "success_criteria": [{"type": "contains", "value": "ok"}]},
        {"role": "b", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "look", "tools": ["look"], "on_failure": "continue",
         "success_criteria": [{"type": "command", "run": ["check", "it"]}, {"type": "not_contains", "value": "bad"}, "is it good?"]},
        {"role": "c", "base_template": "generic", "tier_strategy": "premium_only", "depends_on": ["a", "b"], "tools": ["gone"]}
    ]);
    let spec = |name: &str, effect| ToolSpec {
        name: name.to_owned(),
        description: "d".to_owned(),
        parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
        effect,
    };
    let mut basis = basis(&rules);
    basis.settings.tools.max_turns = MAX_TURNS;
    basis.settings.tools.catalogue = vec![spec("look", ToolEffect::Reads), spec("change", ToolEffect::Writes)];
    basis
}

fn start(budget: Option<NanoUsd>) -> World {
    World::start_by(with_tools(), budget, Escalate::Auto)
}

fn reply_with(call: CallNo, text: &str, stop: StopReason, calls: &[(&str, Value)]) -> Command {
    let calls = calls.iter().zip(0..).map(|((name, arguments), n)| ToolCall {
        id: format!("id{n}"),
        name: (*name).to_owned(),
        arguments: arguments.clone(),
        carried: Vec::new(),
    });
    let reply = CallReply {
        text: text.to_owned(),
        reasoning: None,
        tool_calls: calls.collect(),
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

fn resume() -> Command {
    Command::Resume {
        executor: ExecutorId::from_bytes([2; 16]),
        retry_failed: false,
        meno_version: VERSION.into(),
        limits: NewLimits::default(),
    }
}

fn done(text: &str, ok: bool) -> ToolOutcome {
    let fault = (!ok).then_some(ToolFault::Failed);
    ToolOutcome { fault, latency_ms: 1, ..ToolOutcome::done(text) }
}

/// Tools that run: of those that were interrupted it must be found out first whether they had finished.
fn open_tools(run: &Run) -> Vec<(CallNo, u32)> {
    let turns = run.calls.values().filter_map(|call| Some((call.number, call.turn.as_ref()?)));
    let runs = |(call, turn): (CallNo, &Turn)| {
        let open = turn.open().filter(|index| !turn.runs[*index].is_interrupted);
        open.map(|index| (call, index as u32)).collect::<Vec<_>>()
    };
    turns.flat_map(runs).collect()
}

fn file(dice: &mut Dice) -> FileChange {
    let text = dice.roll(100).to_string();
    FileChange {
        path: "a".to_owned(),
        before: Some(Hash::of(text.as_bytes())),
        original: Some(Text::Inline(text)),
        after: None,
        mode: Some(0o644),
        folders: 0,
    }
}

fn draw_calls(dice: &mut Dice) -> Vec<(&'static str, Value)> {
    let one = |dice: &mut Dice| match dice.roll(6) {
        0 => ("change", json!({"path": "x"})),
        1 => ("fly", json!({})),
        2 => ("look", json!("{\"path\": ")),
        3 => ("look", json!({"path": 7})),
        n => ("look", json!({"path": if n == 4 { "x" } else { "y" }})),
    };
    let count = 1 + dice.roll(3);
    (0..count).map(|_| one(dice)).collect()
}

/// Lives a life with tools: replies that ask for them or not, results, failures, crashes, cancels.
fn live(seed: u64) -> World {
    let mut dice = Dice(seed);
    let budget = (dice.roll(4) == 0).then(|| NanoUsd(dice.roll(300_000_000)));
    let mut world = start(budget);
    for step in 0.. {
        assert!(step < 2_000, "seed {seed}: the run does not end");
        if world.run.is_ended() {
            break;
        }
        match dice.roll(60) {
            0..=2 => {
                world.must(resume());
                continue;
            }
            3 if dice.roll(4) == 0 => world.must(Command::AskCancel),
            _ => {}
        }
        let calls: Vec<(CallNo, Purpose)> = world.run.open_calls().map(|call| (call.number, call.purpose)).collect();
        let (tools, effects) = (open_tools(&world.run), pending(&world.run));
        if calls.is_empty() && tools.is_empty() && effects.is_empty() {
            assert!(world.run.cancel_asked, "seed {seed}: the run waits for nothing: {:?}", world.run);
            world.must(Command::Cancel);
            continue;
        }
        let what = dice.roll(3);
        if let (true, Some(effect)) = (what == 0 || (calls.is_empty() && tools.is_empty()), effects.first()) {
            let command = match effect {
                Effect::StartCall { agent, purpose } => Command::StartCall { agent: *agent, purpose: *purpose },
                Effect::StartTools { agent } => Command::StartTools { agent: *agent },
                Effect::ResolveTool { call, tool_call } => {
                    let (call, tool_call) = (*call, *tool_call);
                    let by = [ResolvedBy::Files, ResolvedBy::Person][dice.roll(2) as usize];
                    let resolution = Resolution::ALL[dice.roll(3) as usize];
                    let outcome = (by == ResolvedBy::Files && resolution == Resolution::Done).then(|| done("it is there", true));
                    Command::ResolveTool { call, tool_call, resolution, by, outcome }
                }
                Effect::RunCriteria { agent } => {
                    let run = ["check".to_owned(), "it".to_owned()];
                    let asked = CommandAsked { run: &run, timeout_s: 600, patched: false };
                    let seen = match dice.roll(4) {
                        0 => Observation::of_command_not_run(asked, NotRun::NotFound, None),
                        1 => Observation::of_command(asked, None, true, 5, (String::new(), 0)),
                        exit => Observation::of_command(asked, Some(exit as i32 - 2), false, 5, ("so\nit went\n".to_owned(), 11)),
                    };
                    Command::RecordCommands { agent: *agent, seen: vec![seen] }
                }
                other => panic!("seed {seed}: {other:?}"),
            };
            match world.perform(command) {
                Ok(()) => continue,
                Err(Refusal::WaitsForBudget) => assert!(!calls.is_empty(), "seed {seed}: waits for a budget nobody holds"),
                Err(refusal) => panic!("seed {seed}: {refusal}"),
            }
        }
        if let (true, Some((call, index))) = (what == 1 || calls.is_empty(), tools.first()) {
            let text = ["short".to_owned(), "long ".repeat(RESULT_BYTES_MAX)][(dice.roll(10) / 9) as usize].clone();
            let outcome = done(&text, dice.roll(3) != 0);
            let writes = world.run.calls[call].turn.as_ref().is_some_and(|turn| turn.runs[*index as usize].writes);
            if writes && dice.roll(2) == 0 {
                world.must(Command::PrepareWrite { call: *call, tool_call: *index, files: vec![file(&mut dice)] });
                continue;
            }
            world.must(Command::RecordTool { call: *call, tool_call: *index, outcome });
            continue;
        }
        let Some((call, purpose)) = calls.first().copied() else { continue };
        let command = match (dice.roll(12), purpose) {
            (0, _) => failure(call, ErrorClass::Server),
            (1, _) => failure(call, ErrorClass::Context),
            (2, _) => Command::RecordCancelled { call, usage: None },
            (_, Purpose::Judge) => reply_with(call, &super::sample::scores(0.9), StopReason::End, &[]),
            (3, Purpose::Work) => reply_with(call, "", StopReason::MaxTokens, &draw_calls(&mut dice)),
            (4, Purpose::Work) => reply_with(call, "bad", StopReason::End, &[]),
            (5 | 6, Purpose::Work) => reply_with(call, "ok, this is good", StopReason::End, &[]),
            (_, Purpose::Work) => reply_with(call, "let me look", StopReason::ToolUse, &draw_calls(&mut dice)),
        };
        world.must(command);
    }
    world
}

/// What holds of every run with tools.
fn check(world: &World, seed: u64) {
    let refolded = world.log.iter().fold(Run::default(), |run, recorded| run.evolve(recorded));
    assert_eq!(refolded, world.run, "seed {seed}: folding again gives another run");
    let (mut started, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for recorded in &world.log {
        match &recorded.event {
            Event::ToolStarted(body) => {
                assert!(started.insert((body.call, body.tool_call)), "seed {seed}: a tool was started twice");
            }
            Event::ToolEnded(body) => {
                assert!(started.contains(&(body.call, body.tool_call)), "seed {seed}: a tool ended that never started");
                assert!(ended.insert((body.call, body.tool_call)), "seed {seed}: a tool ended twice");
            }
            _ => {}
        }
    }
    for agent in &world.run.agents {
        for attempt in &agent.attempts {
            let turns = world.run.calls_of(attempt).filter(|call| call.turn.is_some()).count();
            assert!(turns <= MAX_TURNS as usize, "seed {seed}: {turns} turns");
        }
    }
}

#[test]
fn every_life_with_tools_ends_keeps_the_laws_and_is_found_sound() {
    let mut with_tools = 0;
    for seed in 0..1_500 {
        let world = live(seed);
        check(&world, seed);
        with_tools += u32::from(world.log.iter().any(|recorded| matches!(recorded.event, Event::ToolEnded(_))));
        let (violations, _) = audit(&world.log);
        assert_eq!(violations, [], "seed {seed}");
        let verified = verify(&world.log, VERSION);
        assert_eq!((verified.difference, verified.not_verifiable), (None, 0), "seed {seed}");
    }
    assert!(with_tools > 1_000, "only {with_tools} lives had tools");
}

#[test]
fn a_run_cut_at_every_event_goes_on_and_repeats_nothing() {
    let whole = live(11).log;
    assert!(whole.iter().filter(|recorded| matches!(recorded.event, Event::ToolEnded(_))).count() > 3, "a tame seed");
    for at in nth(&whole, "FormCompleted", 0)..whole.len() {
        let mut world = start(None);
        world.log = whole[..at].to_vec();
        world.run = world.log.iter().fold(Run::default(), |run, recorded| run.evolve(recorded));
        if world.run.phase != Phase::Running || world.run.terms.is_none() {
            continue;
        }
        let going_on =
            |run: &Run| -> Vec<CallNo> { run.open_calls().filter(|call| call.goes_on).map(|call| call.number).collect() };
        let lost = going_on(&world.run);
        world.must(resume());
        let run = &world.run;
        let turns = || run.calls.values().filter_map(|call| call.turn.as_ref());
        let unknown = |run: &ToolRun| run.end.is_none() && run.writes;
        assert!(
            turns().flat_map(|turn| &turn.runs).all(|run| unknown(run) == run.is_interrupted),
            "cut at {at}: a write runs again"
        );
        let asks = pending(run).iter().filter(|effect| matches!(effect, Effect::ResolveTool { .. })).count();
        let is_going_on = run.phase == Phase::Running && !run.cancel_asked;
        assert!(
            asks == turns().map(|turn| turn.interrupted().count()).sum::<usize>() || !is_going_on,
            "cut at {at}: nobody looks"
        );
        for call in lost.iter().map(|call| &run.calls[call]) {
            assert_eq!(call.state, CallState::Lost);
            let agent = &run.agents[call.agent as usize];
            assert!(agent.status.is_ended() || agent.open_attempt().is_some(), "cut at {at}: a conversation was given up");
        }
    }
}

/// Starts the first call, and lets its reply ask for tools.
fn asked(world: &mut World, calls: &[(&str, Value)]) -> CallNo {
    world.must(Command::StartCall { agent: 0, purpose: Purpose::Work });
    let call = world.run.open_calls().next().expect("a call is open").number;
    world.must(reply_with(call, "let me look", StopReason::ToolUse, calls));
    call
}

fn ended(log: &[Recorded]) -> Vec<(Option<ToolFault>, String)> {
    let ended = log.iter().filter_map(|recorded| match &recorded.event {
        Event::ToolEnded(body) => Some(body),
        _ => None,
    });
    let text = |text: &Text| match text {
        Text::Inline(text) => text.clone(),
        _ => String::new(),
    };
    ended.map(|body| (body.fault, text(&body.private.as_ref().expect("it is there").result))).collect()
}

#[test]
fn what_only_looks_runs_together_and_what_changes_runs_alone() {
    let mut world = start(None);
    let look = |path: &str| ("look", json!({"path": path}));
    let call = asked(&mut world, &[look("a"), look("b"), ("change", json!({"path": "a"})), look("a")]);
    assert_eq!(pending(&world.run)[0], Effect::StartTools { agent: 0 });
    world.must(Command::StartTools { agent: 0 });
    assert_eq!(open_tools(&world.run), [(call, 0), (call, 1)]);
    assert!(!pending(&world.run).contains(&Effect::StartTools { agent: 0 }), "their end is awaited");
    for index in [1, 0] {
        world.must(Command::RecordTool { call, tool_call: index, outcome: done("one", true) });
    }
    world.must(Command::StartTools { agent: 0 });
    assert_eq!(open_tools(&world.run), [(call, 2)]);
    world.must(Command::RecordTool { call, tool_call: 2, outcome: done("changed", true) });
    // Something was changed since: the same question is asked anew.
    world.must(Command::StartTools { agent: 0 });
    assert_eq!(open_tools(&world.run), [(call, 3)]);
    world.must(Command::RecordTool { call, tool_call: 3, outcome: done("two", true) });
    let second = asked(&mut world, &[look("a")]);
    world.must(Command::StartTools { agent: 0 });
    let Event::ToolEnded(repeated) = &world.log.last().expect("an event").event else { panic!("it is answered from the record") };
    assert_eq!((repeated.call, repeated.repeats), (second, Some((call, 3))));
    let again = world.run.calls[&second].turn.as_ref().expect("a turn").runs[0].end.as_ref().expect("an end");
    assert_eq!(&*again.result, "two");
}

#[test]
fn a_write_during_which_meno_stopped_waits_until_somebody_knows_whether_it_happened() {
    for (resolution, runs_again, fault) in [
        (Resolution::Done, false, None),
        (Resolution::NotDone, true, None),
        (Resolution::Unknown, false, Some(ToolFault::Interrupted)),
    ] {
        let mut world = start(None);
        let call = asked(&mut world, &[("look", json!({"path": "a"})), ("change", json!({"path": "a"}))]);
        world.must(Command::StartTools { agent: 0 });
        world.must(Command::RecordTool { call, tool_call: 0, outcome: done("one", true) });
        world.must(Command::StartTools { agent: 0 });
        assert_eq!(open_tools(&world.run), [(call, 1)]);
        let resolve = |by| Command::ResolveTool { call, tool_call: 1, resolution, by, outcome: None };
        let too_early = world.perform(resolve(ResolvedBy::Person));
        assert_eq!(too_early, Err(Refusal::ToolNotInterrupted(call, 1)));
        world.must(resume());
        assert!(open_tools(&world.run).is_empty(), "it does not run again by itself");
        assert!(pending(&world.run).contains(&Effect::ResolveTool { call, tool_call: 1 }));
        world.must(resolve(ResolvedBy::Person));
        assert_eq!(open_tools(&world.run), if runs_again { vec![(call, 1)] } else { vec![] }, "{resolution}");
        if !runs_again {
            assert_eq!(ended(&world.log).pop().expect("an end").0, fault);
            assert!(pending(&world.run).contains(&Effect::StartCall { agent: 0, purpose: Purpose::Work }));
        }
        assert_eq!(audit(&world.log).0, []);
        assert_eq!(verify(&world.log, VERSION).difference, None);
    }
}

#[test]
fn what_cannot_run_is_answered_with_what_is_wrong() {
    let mut world = start(None);
    asked(&mut world, &[("fly", json!({})), ("look", json!("{\"path\"")), ("look", json!({"path": 1})), ("gone", json!({}))]);
    world.must(Command::StartTools { agent: 0 });
    let ended = ended(&world.log);
    let faults: Vec<_> = ended.iter().filter_map(|(fault, _)| *fault).collect();
    assert_eq!(faults, [ToolFault::UnknownTool, ToolFault::BadArguments, ToolFault::BadArguments, ToolFault::UnknownTool]);
    assert_eq!(ended[0].1, "There is no tool `fly`. You have: look, change.");
    assert!(ended[1].1.contains("not JSON") && ended[2].1.contains("is not of type \"string\""), "{ended:?}");
    assert!(
        open_tools(&world.run).is_empty() && pending(&world.run)[0] == Effect::StartCall { agent: 0, purpose: Purpose::Work }
    );
}

#[test]
fn three_turns_that_fail_end_the_attempt_and_the_same_failure_is_not_run_again() {
    let mut world = start(None);
    for turn in 0..3 {
        let call = asked(&mut world, &[("look", json!({"path": "gone"}))]);
        world.must(Command::StartTools { agent: 0 });
        assert_eq!(open_tools(&world.run).len(), usize::from(turn < 2), "turn {turn}");
        if turn < 2 {
            world.must(Command::RecordTool { call, tool_call: 0, outcome: done("no such file", false) });
        }
    }
    let last = ended(&world.log).pop().expect("an end");
    assert!(
        last.0 == Some(ToolFault::Repeated) && last.1.contains("failed 2 times") && last.1.contains("no such file"),
        "{last:?}"
    );
    let attempt = &world.run.agents[0].attempts[0];
    assert_eq!(
        (attempt.outcome, attempt.signals.as_slice()),
        (Some(AttemptOutcome::FailedCriteria), [Signal::ToolTurns].as_slice())
    );
    assert_eq!(world.run.agents[0].tier, crate::domain::tier::Tier::Capable);
}

#[test]
fn the_last_turn_is_announced_and_asking_on_fails_the_attempt() {
    let mut world = start(None);
    for turn in 0..MAX_TURNS {
        let call = asked(&mut world, &[("look", json!({"path": turn.to_string()}))]);
        world.must(Command::StartTools { agent: 0 });
        world.must(Command::RecordTool { call, tool_call: 0, outcome: done("it", true) });
    }
    world.must(Command::StartCall { agent: 0, purpose: Purpose::Work });
    let call = world.run.open_calls().next().expect("a call is open");
    let asked = request(&world.run, &world.basis, call).expect("a request");
    assert_eq!(asked.turns.len(), MAX_TURNS as usize);
    assert!(asked.turns.last().and_then(|turn| turn.note.as_ref()).is_some_and(|note| note.contains("last tool calls")));
    assert!(asked.turns[..3].iter().all(|turn| turn.note.is_none()));
    let number = call.number;
    world.must(reply_with(number, "", StopReason::ToolUse, &[("look", json!({"path": "more"}))]));
    assert_eq!(world.run.agents[0].attempts[0].signals, [Signal::ToolTurns]);
}

#[test]
fn a_lost_call_goes_on_with_the_conversation_that_it_belongs_to() {
    let mut world = start(None);
    let first = asked(&mut world, &[("look", json!({"path": "a"}))]);
    world.must(Command::StartTools { agent: 0 });
    world.must(resume());
    assert_eq!(open_tools(&world.run), [(first, 0)], "what only looks runs again");
    world.must(Command::RecordTool { call: first, tool_call: 0, outcome: done("seen", true) });
    world.must(Command::StartCall { agent: 0, purpose: Purpose::Work });
    world.must(resume());
    assert_eq!(world.run.agents[0].attempts.len(), 1);
    world.must(Command::StartCall { agent: 0, purpose: Purpose::Work });
    let call = world.run.open_calls().find(|call| call.agent == 0).expect("a call is open");
    let asked = request(&world.run, &world.basis, call).expect("a request");
    assert_eq!((asked.turns.len(), asked.prompt.contains("look")), (1, true));
    assert!(asked.turns[0].results[0].text.contains("seen"));
    // A write whose end is not known is never done again by itself: somebody has to know first.
    let second = {
        let number = call.number;
        world.must(reply_with(number, "", StopReason::ToolUse, &[("change", json!({"path": "a"}))]));
        number
    };
    world.must(Command::StartTools { agent: 0 });
    assert_eq!(open_tools(&world.run), [(second, 0)]);
    world.must(resume());
    assert!(open_tools(&world.run).is_empty());
    assert!(pending(&world.run).contains(&Effect::ResolveTool { call: second, tool_call: 0 }));
}

#[test]
fn a_tool_that_nobody_offered_is_found_in_a_rewritten_record() {
    let mut world = start(None);
    let call = asked(&mut world, &[("look", json!({"path": "a"}))]);
    world.must(Command::StartTools { agent: 0 });
    world.must(Command::RecordTool { call, tool_call: 0, outcome: done("seen", true) });
    let mut log = world.log.clone();
    let at = nth(&log, "CallReplied", 0);
    let Event::CallReplied(body) = &mut log[at].event else { panic!("a reply") };
    let private = body.private.as_mut().expect("it is there");
    let Text::Inline(asked) = &private.tool_calls else { panic!("a text") };
    private.tool_calls = Text::Inline(asked.replace("look", "fly"));
    let started = nth(&log, "ToolStarted", 0);
    let Event::ToolStarted(body) = &mut log[started].event else { panic!("a tool") };
    body.tool = "fly".to_owned();
    let (violations, _) = audit(&log);
    assert!(violations.iter().any(|violation| violation.what == "`fly` ran for an agent"), "{violations:?}");
    assert!(verify(&log, VERSION).difference.is_some());
    // A result that was changed is what the model was told, by what follows; a fault that was taken away is not derived.
    let mut log = world.log.clone();
    let ended = nth(&log, "ToolEnded", 0);
    let Event::ToolEnded(body) = &mut log[ended].event else { panic!("an end") };
    body.told_bytes = Some(3);
    assert!(verify(&log, VERSION).difference.is_some());
}

#[test]
fn a_command_is_run_before_a_judge_is_paid_and_its_verdict_follows_from_what_was_recorded() {
    let run = ["check".to_owned(), "it".to_owned()];
    let judged = |exit: Option<i32>, answer: &str| {
        let mut world = start(None);
        world.must(Command::StartCall { agent: 1, purpose: Purpose::Work });
        let call = world.run.open_calls().next().expect("a call is open").number;
        world.must(reply_with(call, answer, StopReason::End, &[]));
        if pending(&world.run).contains(&Effect::RunCriteria { agent: 1 }) {
            let asked = CommandAsked { run: &run, timeout_s: 600, patched: false };
            let seen = match exit {
                Some(_) => Observation::of_command(asked, exit, false, 5, ("one\n\n2 failed\n".to_owned(), 14)),
                None => Observation::of_command_not_run(asked, NotRun::NotAllowed, None),
            };
            world.must(Command::RecordCommands { agent: 1, seen: vec![seen] });
        }
        world
    };
    let evidence = |world: &World| world.run.agents[1].attempts[0].judged.get(&0).map(|judged| judged.evidence.clone());
    let owes_judge = |world: &World| pending(&world.run).contains(&Effect::StartCall { agent: 1, purpose: Purpose::Judge });
    let failed = judged(Some(1), "fine");
    assert_eq!(evidence(&failed).as_deref(), Some("exit code 1: one / 2 failed"));
    assert!(!owes_judge(&failed), "its verdict could change nothing");
    let passed = judged(Some(0), "fine");
    assert!(owes_judge(&passed) && evidence(&passed).is_some_and(|words| words.starts_with("exit code 0")));
    let unknown = judged(None, "fine");
    assert!(owes_judge(&unknown) && evidence(&unknown).is_some_and(|words| words.contains("do not allow `check`")));
    // An answer that has failed already is not worth a run of the tests.
    let hopeless = judged(Some(0), "bad");
    assert!(!hopeless.log.iter().any(|recorded| matches!(recorded.event, Event::FactObserved(_))));
    assert!(evidence(&hopeless).is_some_and(|words| words.contains("could not change the outcome")));

    // A verdict that was turned, and an exit code that was changed, are found.
    let mut log = failed.log.clone();
    let at = nth(&log, "CriterionJudged", 0);
    let Event::CriterionJudged(body) = &mut log[at].event else { panic!("a verdict") };
    body.verdict = crate::domain::event::Verdict::Pass;
    assert!(verify(&log, VERSION).difference.is_some());
    let mut log = failed.log.clone();
    let at = nth(&log, "FactObserved", 0);
    let Event::FactObserved(body) = &mut log[at].event else { panic!("a fact") };
    body.fact = crate::domain::event::Fact::Command { exit: Some(0), timed_out: false, latency_ms: 5, output_bytes: 14 };
    assert!(verify(&log, VERSION).difference.is_some());
}
