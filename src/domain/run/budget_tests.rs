//! What was said that a run costs holds, whatever comes.

use serde_json::json;

use super::budget::*;
use super::tests::*;
use super::*;
use crate::domain::event::{ErrorClass, Escalate, Event, Purpose, StopReason};
use crate::domain::ids::ExecutorId;
use crate::domain::judge::Edition;
use crate::domain::money::NanoUsd;
use crate::domain::settings::ModelRef;

#[test]
fn a_run_costs_no_more_than_was_expected_at_most() {
    let mut world = World::start(basis(team()), None, Escalate::Auto);
    let expected: Vec<_> = world.run.agents.iter().map(|agent| expected(&world.run, &world.basis, agent)).collect();
    assert!(expected.iter().all(|cost| cost.is_some_and(|(low, high)| NanoUsd(0) < low && low < high)), "{expected:?}");
    let most: NanoUsd = expected.into_iter().flatten().map(|(_, high)| high).sum();
    // Every answer is as long as it may be, and only the last one will do.
    let answer = |good: bool| format!("{} {}", if good { "ok" } else { "bad" }, "word ".repeat(700));
    while !world.run.is_ended() {
        let call = world.start_first();
        let (purpose, model) = (world.run.calls[&call].purpose, world.run.calls[&call].model.clone());
        let text = match purpose {
            Purpose::Work => answer(model == MODELS[2]),
            Purpose::Judge => json!({"scores": [{"criterion": 1, "score": 0.9, "reason": "so"}]}).to_string(),
        };
        world.reply(call, &text).expect("the call is open");
    }
    let reserved = |purpose: Option<Purpose>| -> NanoUsd {
        let calls = world.run.calls.values().filter(|call| purpose.is_none_or(|purpose| call.purpose == purpose));
        calls.filter_map(|call| call.reserved).sum()
    };
    assert!(reserved(None) <= most, "{} of {most}", reserved(None));
    assert!(reserved(Some(Purpose::Judge)) > NanoUsd(0) && most < NanoUsd(reserved(None).0 * 2), "{} of {most}", reserved(None));
}

/// One agent that a judge has to be content with.
fn alone(strategy: &str) -> serde_json::Value {
    json!([{"role": "a", "base_template": "generic", "tier_strategy": strategy, "prompt": "say ok", "success_criteria": ["is it good?"]}])
}

/// A judge's reply.
fn score(score: f64) -> String {
    json!({"scores": [{"criterion": 1, "score": score, "reason": "so"}]}).to_string()
}

#[test]
fn who_approves_an_escalation_is_told_all_that_it_may_cost() {
    let mut basis = basis(alone("progressive"));
    basis.settings.judging = Edition::default();
    if let Some(tier) = &mut basis.settings.tiers.capable {
        tier.fallbacks = vec![ModelRef { provider: "q".into(), model: MODELS[2].into() }];
    }
    let mut world = World::start(basis, None, Escalate::Ask);
    let call = world.start_first();
    world.reply(call, "poor").expect("the call is open");
    let call = world.start_first();
    world.reply(call, &score(0.1)).expect("the call is open");
    let told = world.log.iter().find_map(|recorded| match &recorded.event {
        Event::ApprovalAsked(body) => body.worst_case,
        _ => None,
    });
    let told = told.expect("its models have prices");
    world.perform(Command::Approve { agent: 0, granted: true }).expect("somebody asked");
    let before = world.run.calls.len();
    // The first choice is out, the dearer fallback is cut off and gets more room.
    let call = world.start_first();
    world.fail(call, ErrorClass::Server).expect("the call is open");
    let out = world.run.calls[&call].reserved.unwrap_or_default();
    let call = world.start_first();
    world.reply_with(call, &"word ".repeat(700), StopReason::MaxTokens).expect("the call is open");
    let call = world.start_first();
    world.reply(call, &"word ".repeat(1400)).expect("the call is open");
    let call = world.start_first();
    world.reply(call, &score(0.1)).expect("the call is open");
    assert!(world.names().ends_with(&["ApprovalAsked"]) || world.run.is_ended(), "{:?}", world.names());
    let reserved: NanoUsd = world.run.calls.values().skip(before).filter_map(|call| call.reserved).sum();
    assert!(NanoUsd(reserved.0 - out.0) <= told, "{reserved} of {told}");
}

#[test]
fn the_budget_that_is_said_to_do_does() {
    let fallback = || ModelRef { provider: "q".into(), model: MODELS[2].into() };
    for dearer in [false, true] {
        let mut basis = basis(alone("cheap_only"));
        basis.settings.judging = Edition::default();
        if let Some(tier) = &mut basis.settings.tiers.cheap {
            tier.fallbacks = if dearer { vec![fallback()] } else { Vec::new() };
        }
        let mut world = World::start(basis, Some(NanoUsd(8_000_000)), Escalate::Auto);
        let mut limits = NewLimits::default();
        for life in 0.. {
            assert!(life < 2, "a budget that was said to do did not");
            while let Some(Effect::StartCall { agent, purpose }) = pending(&world.run).into_iter().next() {
                world.perform(Command::StartCall { agent, purpose }).expect("a refusal is an event");
                // Where the budget does not hold it, none is open.
                let Some(call) = world.run.open_calls().next().map(|call| call.number) else { continue };
                match (dearer, world.run.calls[&call].purpose) {
                    (_, Purpose::Judge) => world.reply(call, &score(0.9)),
                    (true, _) if world.run.calls[&call].provider == "p" => world.fail(call, ErrorClass::Server),
                    (false, _) if world.run.calls[&call].max_output == 1000 => {
                        world.reply_with(call, &"word ".repeat(700), StopReason::MaxTokens)
                    }
                    _ => world.reply(call, &"word ".repeat(700)),
                }
                .expect("the call is open");
            }
            if matches!(world.run.phase, Phase::Succeeded { .. }) {
                break;
            }
            let short = shortage(&world.run, &world.basis);
            limits.budget = short.budget;
            assert!(limits.budget.is_some(), "{short:?}");
            let (executor, retry_failed) = (ExecutorId::from_bytes([2; 16]), true);
            world
                .perform(Command::Resume { executor, retry_failed, meno_version: String::new(), limits: limits.clone() })
                .expect("it had failed");
        }
    }
}
