//! What decisions saw outside the log, and which event each follows from: what was changed there is found.

use proptest::prelude::*;

use super::finding::Check;
use super::replay::verify;
use super::sample::{VERSION, World, lone, renumber, team};
use super::tests::{audit, change, climbing, differs, good, nth, take_out};
use crate::domain::event::{Escalate, Event, Fact, Purpose, Recorded, Verdict};
use crate::domain::judge::Edition;
use crate::domain::money::NanoUsd;
use crate::domain::run::{Command, DayBudget, DayRefusal, Refusal};

/// A run of one agent that fails for its words, though its file is there.
fn failing(edition: Edition) -> Vec<Recorded> {
    let rules = serde_json::json!([{"role": "a", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "say ok",
        "success_criteria": [{"type": "contains", "value": "ok"}, {"type": "file_exists", "path": "out.md"}]}]);
    World::start_in(edition, &rules, None, Escalate::Auto).carried_to_end(|_, _| "bad".to_owned()).log
}

/// Turns the verdict on the file, and its sentence; nothing else has to be turned, for the attempt failed anyway.
fn turn_the_verdict_on_the_file(events: &mut [Recorded]) -> usize {
    change!(events, CriterionJudged, 1, body => {
        assert_eq!((body.criterion, body.verdict), (1, Verdict::Pass));
        body.verdict = Verdict::Fail;
        body.private.as_mut().unwrap().evidence = "`out.md` is not in the workspace".into();
    })
}

#[test]
fn a_turned_verdict_on_a_file_is_found_because_what_was_seen_is_recorded() {
    let mut events = failing(Edition::Second);
    let place = turn_the_verdict_on_the_file(&mut events);
    let found = differs(&events);
    assert_eq!((found.seq, found.kind.as_str(), found.field.as_str()), (place as u64 + 1, "CriterionJudged", "verdict"));
    assert!(audit(&events).0.iter().any(|violation| violation.check == Check::Criteria));

    // Without what was seen the verdict follows from nothing.
    let mut events = failing(Edition::Second);
    take_out(&mut events, "FactObserved", 0);
    assert_eq!(differs(&events).kind, "CriterionJudged");
    assert!(audit(&events).0.iter().any(|violation| violation.check == Check::Criteria));

    // What is seen after the verdict did not decide it.
    let mut events = failing(Edition::Second);
    let fact = nth(&events, "FactObserved", 0);
    events.swap(fact, fact + 1);
    renumber(&mut events);
    assert!(verify(&events, VERSION).difference.is_some());
    assert!(audit(&events).0.iter().any(|violation| violation.what.contains("observed after")));
}

#[test]
fn verdicts_on_files_that_a_run_did_not_record_are_counted_as_not_verifiable() {
    let mut events = failing(Edition::First);
    assert!(events.iter().all(|recorded| !matches!(recorded.event, Event::FactObserved(_))));
    for turned in [false, true] {
        if turned {
            turn_the_verdict_on_the_file(&mut events);
        }
        let verification = verify(&events, VERSION);
        assert_eq!((verification.difference, verification.not_verifiable), (None, 1));
        let (found, tallies) = audit(&events);
        assert_eq!(found, []);
        assert!(tallies.iter().any(|tally| tally.check == Check::Criteria && tally.not_verifiable == 1), "{tallies:?}");
    }
}

#[test]
fn an_event_that_points_at_another_cause_is_found() {
    let events = climbing();
    let pointing = |recorded: &&Recorded| recorded.envelope.cause.is_some();
    assert!(events.iter().filter(pointing).count() * 2 > events.len(), "most of what is decided follows from something");
    for place in 0..events.len() {
        for other in [None, Some(1), Some(events.len() as u64)] {
            let mut changed = events.clone();
            if changed[place].envelope.cause != other {
                changed[place].envelope.cause = other;
                let found = audit(&changed).0;
                assert!(
                    found.iter().any(|violation| violation.check == Check::Causes),
                    "{}: {other:?}",
                    changed[place].event.name()
                );
            }
        }
    }
    // Runs of the first edition point at nothing, which is no proof of anything.
    let mut older = World::start_in(Edition::First, &team(), None, Escalate::Auto).carried_to_end(good).log;
    older.iter_mut().for_each(|recorded| recorded.envelope.cause = None);
    let (found, tallies) = audit(&older);
    assert_eq!(found, []);
    let causes = tallies.iter().find(|tally| tally.check == Check::Causes).expect("looked at");
    assert!(causes.not_verifiable > 20, "{causes:?}");
}

#[test]
fn each_event_points_at_what_led_to_it() {
    let events = climbing();
    let cause = |kind: &str, n: usize| {
        let cause = events[nth(&events, kind, n)].envelope.cause.expect("a cause");
        events[cause as usize - 1].event.name()
    };
    let kinds =
        ["AgentPlanned", "StartTierChosen", "AttemptStarted", "CallStarted", "CallReplied", "CostIncurred", "FactObserved"];
    assert_eq!(
        kinds.map(|kind| cause(kind, 0)),
        ["FormCompleted", "AgentPlanned", "StartTierChosen", "AttemptStarted", "CallStarted", "CallReplied", "CallReplied"]
    );
    let kinds = ["CriterionJudged", "AttemptEnded", "TierEscalated", "AgentSucceeded", "ReportComposed", "RunSucceeded"];
    assert_eq!(
        kinds.map(|kind| cause(kind, 0)),
        ["FactObserved", "CriterionJudged", "AttemptEnded", "AttemptEnded", "AgentSucceeded", "ReportComposed"]
    );
    // The second attempt follows from the escalation; the agent that waited, from the end of whom it waited for.
    let started = |agent: u32, attempt: u32| {
        let is = |recorded: &Recorded| matches!(&recorded.event, Event::AttemptStarted(body) if (body.agent, body.attempt) == (agent, attempt));
        let event = events.iter().find(|recorded| is(recorded)).expect("it started");
        events[event.envelope.cause.expect("a cause") as usize - 1].event.name()
    };
    assert_eq!((started(0, 2), started(1, 1)), ("TierEscalated", "AgentSucceeded"));
}

#[test]
fn a_refusal_by_the_days_budget_follows_from_the_numbers_that_were_seen() {
    let mut world = World::start(&lone(), None, Escalate::Auto);
    let seen = |used| DayRefusal::Seen(DayBudget { limit: NanoUsd(100), used: NanoUsd(used), wanted: NanoUsd(11) });
    let refuse = |used| Command::RefuseForDayBudget { agent: 0, purpose: Purpose::Work, because: seen(used) };
    assert_eq!(world.perform(refuse(89)), Err(Refusal::FitsDayBudget));
    world.perform(refuse(90)).expect("it does not fit");
    assert_eq!((verify(&world.log, VERSION).difference, audit(&world.log).0), (None, vec![]));
    let mut events = world.log.clone();
    change!(&mut events, FactObserved, 0, body => {
        body.fact = Fact::DayBudget { limit: NanoUsd(100), used: NanoUsd(89), wanted: NanoUsd(11) };
    });
    assert_eq!(differs(&events).kind, "FactObserved");
    let mut events = world.log;
    take_out(&mut events, "FactObserved", 0);
    assert_eq!(differs(&events).kind, "AgentFailed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_life_in_the_second_edition_holds_together_too(seed in any::<u64>()) {
        let world = World::live_in(Edition::Second, seed);
        prop_assert_eq!(audit(&world.log).0, Vec::new());
        prop_assert_eq!(verify(&world.log, VERSION).difference, None);
    }

    #[test]
    fn every_life_in_the_first_edition_holds_together_too(seed in any::<u64>()) {
        let world = World::live_in(Edition::First, seed);
        prop_assert_eq!(audit(&world.log).0, Vec::new());
        let verification = verify(&world.log, VERSION);
        prop_assert_eq!(verification.difference, None);
        let on_files = |recorded: &&Recorded| {
            matches!(&recorded.event, Event::CriterionJudged(body) if [(0, 1), (2, 1)].contains(&(body.agent, body.criterion)))
        };
        prop_assert_eq!(verification.not_verifiable, world.log.iter().filter(on_files).count() as u64);
    }
}
