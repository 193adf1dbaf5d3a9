//! What an audit and a replay find in runs that the pure core made, and in runs that somebody changed afterwards.

use proptest::prelude::*;

use super::diff::RunDiff;
use super::finding::{Check, Findings, Location, Tally, Violation};
use super::lineage;
use super::replay::{Cause, Difference, verify};
use super::sample::{VERSION, World, lone, renumber, scores, team};
use super::seal::{BadSeal, Seal};
use super::story::RunAudit;
use crate::domain::event::{AttemptOutcome, Escalate, Event, OnFailure, Purpose, Recorded, Verdict};
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::domain::judge::Edition;
use crate::domain::money::NanoUsd;
use crate::domain::run::{AgentStatus, Phase, Run, TakeOver};
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::store::codec::{self, Body, Decoded};
use crate::store::log::Stored;
use crate::views::run_detail::{MASK, RunDetail};

/// A run that escalates: the first answer of `a` is poor, the judge is content with everything.
pub(super) fn climbing() -> Vec<Recorded> {
    let answer = |step: usize, purpose: Purpose| match (step, purpose) {
        (0, _) => "bad".to_owned(),
        (_, Purpose::Work) => "ok, this is good".to_owned(),
        (_, Purpose::Judge) => scores(0.9),
    };
    World::start(&team(), Some(NanoUsd(900_000_000)), Escalate::Auto).carried_to_end(answer).log
}

pub(super) fn audit(events: &[Recorded]) -> (Vec<Violation>, Vec<Tally>) {
    let mut found = Vec::new();
    let mut tell = |violation: &Violation| found.push(violation.clone());
    let mut book = Findings::new(&mut tell);
    let mut audit = RunAudit::new(RunId::from_bytes([7; 16]));
    events.iter().for_each(|recorded| audit.take(recorded, &mut book));
    audit.finish(&mut book);
    let tallies = book.tallies();
    (found, tallies)
}

/// Takes an event's private part away, as forgetting does.
fn forget(recorded: &mut Recorded) {
    let Body { kind, kind_version, public, commitment, .. } = codec::encode(&recorded.event, [0; 16]).expect("encodable");
    let stored =
        Stored { envelope: recorded.envelope, kind, kind_version, public, commitment, private: None, hash: recorded.hash };
    match codec::decode(&stored).expect("readable") {
        Decoded::Known(forgotten) => *recorded = forgotten,
        unknown => panic!("{unknown:?}"),
    }
}

/// Returns the place of the n-th event of a kind.
#[track_caller]
pub(super) fn nth(events: &[Recorded], kind: &str, n: usize) -> usize {
    let mut places = (0..events.len()).filter(|place| events[*place].event.name() == kind);
    places.nth(n).unwrap_or_else(|| panic!("no {kind} {n}"))
}

/// Takes an event out, so that positions and versions stay gapless.
pub(super) fn take_out(events: &mut Vec<Recorded>, kind: &str, n: usize) {
    let place = nth(events, kind, n);
    events.remove(place);
    renumber(events);
}

macro_rules! change {
    ($events:expr, $kind:ident, $n:expr, $body:ident => $change:expr) => {{
        let place = nth($events, stringify!($kind), $n);
        let Event::$kind($body) = &mut $events[place].event else { unreachable!("asked by kind") };
        $change;
        place
    }};
}
pub(super) use change;

#[track_caller]
pub(super) fn differs(events: &[Recorded]) -> Difference {
    verify(events, VERSION).difference.expect("a difference")
}

#[test]
fn a_run_as_it_was_made_holds_together_and_follows_from_its_inputs() {
    let events = climbing();
    let (found, tallies) = audit(&events);
    assert_eq!(found, []);
    let looked_at: Vec<Check> = tallies.iter().filter(|tally| tally.checked > 0).map(|tally| tally.check).collect();
    for check in [
        Check::Positions,
        Check::Hashes,
        Check::Agents,
        Check::Attempts,
        Check::Causes,
        Check::Escalations,
        Check::Criteria,
        Check::Money,
    ] {
        assert!(looked_at.contains(&check), "{check} was not looked at");
    }
    let verification = verify(&events, VERSION);
    assert_eq!(verification.difference, None);
    assert_eq!(verification.inputs + verification.verified, verification.events);
}

#[test]
fn a_days_budget_that_a_judge_does_not_fit_belongs_to_the_judge_and_not_to_the_reply_before_it() {
    let world = World::live(14_031_389_658_760_815_435);
    assert_eq!(verify(&world.log, VERSION).difference, None);
    assert_eq!(audit(&world.log).0, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_life_of_a_run_holds_together_and_follows_from_its_inputs(seed in any::<u64>()) {
        let world = World::live(seed);
        prop_assert_eq!(audit(&world.log).0, Vec::new());
        let verification = verify(&world.log, VERSION);
        prop_assert_eq!(verification.difference, None);
        prop_assert_eq!(verification.not_verifiable, 0);
    }

    #[test]
    fn what_is_forgotten_is_counted_and_is_no_difference(seed in any::<u64>(), kinds in any::<u64>()) {
        let mut world = World::live(seed);
        for recorded in &mut world.log {
            // Whole kinds are forgotten, as `forget --answers` does it.
            if kinds >> (recorded.event.kind().0 % 64) & 1 == 1 {
                forget(recorded);
            }
        }
        prop_assert_eq!(audit(&world.log).0, Vec::new());
        prop_assert_eq!(verify(&world.log, VERSION).difference, None);
    }

    #[test]
    fn no_log_makes_audit_or_replay_panic(seed in any::<u64>(), order in any::<u64>()) {
        let mut log = World::live(seed).log;
        let n = log.len() as u64;
        for step in 0..3 {
            let (from, to) = ((order >> (step * 16)) % n, (order >> (step * 16 + 8)) % n);
            log.swap(from as usize, to as usize);
        }
        let _ = audit(&log);
        let _ = verify(&log, VERSION);
    }
}

#[test]
fn each_rule_that_is_broken_is_found_by_its_check() {
    type Break = fn(&mut Vec<Recorded>);
    let broken: [(&str, Check, Break); 22] = [
        ("a cost is smaller", Check::Money, |e| {
            change!(e, CostIncurred, 1, body => body.amount = Some(NanoUsd(1)));
        }),
        ("a unit price is another", Check::Money, |e| {
            change!(e, CostIncurred, 1, body => if let Some(prices) = &mut body.unit_prices { prices.output += 1_000_000 });
        }),
        ("tokens are fewer than the reply's", Check::Money, |e| {
            change!(e, CostIncurred, 1, body => if let Some(usage) = &mut body.usage { usage.output = 1 });
        }),
        ("a cost is missing", Check::Money, |e| take_out(e, "CostIncurred", 0)),
        ("less is set aside", Check::Money, |e| {
            change!(e, CallStarted, 0, body => body.reserved = Some(NanoUsd(1)));
        }),
        ("the budget was smaller", Check::Money, |e| {
            change!(e, RunStarted, 0, body => body.budget = Some(NanoUsd(1_000)));
        }),
        ("a poor attempt passed", Check::Criteria, |e| {
            change!(e, AttemptEnded, 0, body => body.outcome = AttemptOutcome::Passed);
        }),
        ("a verdict is turned", Check::Criteria, |e| {
            change!(e, CriterionJudged, 0, body => body.verdict = Verdict::Pass);
        }),
        ("a judge's score is another", Check::Criteria, |e| {
            let judged = |recorded: &Recorded| matches!(&recorded.event, Event::CriterionJudged(body) if body.score.is_some());
            let place = e.iter().position(judged).expect("a judge was asked");
            let Event::CriterionJudged(body) = &mut e[place].event else { unreachable!() };
            body.score = Some(0.95);
        }),
        ("a verdict is missing", Check::Criteria, |e| take_out(e, "CriterionJudged", 0)),
        ("an agent is verified", Check::Criteria, |e| {
            change!(e, AgentSucceeded, 3, body => body.verified = true);
        }),
        ("the run is verified", Check::Criteria, |e| {
            change!(e, RunSucceeded, 0, body => body.verified = true);
        }),
        ("a climb after a pass", Check::Escalations, |e| {
            change!(e, TierEscalated, 0, body => body.failed = vec![1]);
        }),
        ("a climb down", Check::Escalations, |e| {
            change!(e, TierEscalated, 0, body => (body.from, body.to) = (Tier::Capable, Tier::Cheap));
        }),
        ("a climb without an attempt", Check::Escalations, |e| {
            change!(e, TierEscalated, 0, body => body.attempt = 9);
        }),
        ("climbing was switched off", Check::Escalations, |e| {
            change!(e, RunStarted, 0, body => body.escalate = Escalate::Never);
        }),
        ("nobody allowed the climb", Check::Escalations, |e| {
            change!(e, RunStarted, 0, body => body.escalate = Escalate::Ask);
        }),
        ("an attempt has no end", Check::Attempts, |e| take_out(e, "AttemptEnded", 0)),
        ("a call has no end", Check::Attempts, |e| take_out(e, "CallReplied", 0)),
        ("an agent that no answer calls for", Check::Agents, |e| {
            change!(e, AgentPlanned, 1, body => body.rule = 4);
        }),
        ("the template's hash is another", Check::Hashes, |e| {
            change!(e, RunStarted, 0, body => body.template_hash = Hash::of(b"another"));
        }),
        ("a version is missing", Check::Positions, |e| drop(e.remove(3))),
    ];
    let events = climbing();
    for (what, check, break_it) in broken {
        let mut events = events.clone();
        break_it(&mut events);
        let found = audit(&events).0;
        assert!(found.iter().any(|violation| violation.check == check), "{what}: {found:#?}");
    }
}

#[test]
fn taking_out_or_doubling_any_event_is_found_by_audit_or_replay() {
    let events = climbing();
    // Notes of what was shown decide nothing: that one is missing is only seen in the chain.
    let counts = |recorded: &&Recorded| !matches!(recorded.event, Event::QuestionsShown(_));
    for (place, recorded) in events.iter().enumerate().filter(|(_, recorded)| counts(recorded)) {
        let mut without = events.clone();
        without.remove(place);
        let mut doubled = events.clone();
        doubled.insert(place, recorded.clone());
        for (how, mut changed) in [("without", without), ("doubled", doubled)] {
            renumber(&mut changed);
            let is_found = !audit(&changed).0.is_empty() || verify(&changed, VERSION).difference.is_some();
            let last = place + 1 == events.len() && how == "without";
            // An end that is missing is a run that still goes on; an input given twice is the input.
            let is_input = matches!(recorded.event, Event::InputAttached(_));
            assert!(is_found || last || is_input, "{how} event {place}, {}", recorded.event.name());
        }
    }
}

#[test]
fn a_changed_price_is_shown_as_the_first_event_that_differs() {
    let mut events = climbing();
    let place = change!(&mut events, CostIncurred, 0, body => body.amount = body.amount.map(|amount| amount.plus(NanoUsd(1))));
    let found = differs(&events);
    assert_eq!((found.seq, found.kind.as_str(), found.field.as_str()), (place as u64 + 1, "CostIncurred", "amount"));
    assert_eq!(found.recorded.parse::<u64>().ok(), found.derived.parse::<u64>().ok().map(|derived| derived + 1));
    assert_eq!(found.cause, Cause::Prices);
}

#[test]
fn changed_price_rows_make_the_first_call_differ() {
    let mut events = climbing();
    let mut prices = super::sample::basis(&team()).prices.to_file();
    prices.rows.iter_mut().for_each(|row| row.nusd_per_mtok.output = 7);
    change!(&mut events, RunStarted, 0, body => {
        body.private.as_mut().unwrap().prices = Text::Inline(serde_json::to_string(&prices).unwrap());
    });
    let found = differs(&events);
    assert_eq!((found.kind.as_str(), found.field.as_str(), found.cause), ("CallStarted", "reserved", Cause::Prices));
    assert_eq!(found.seq, nth(&events, "CallStarted", 0) as u64 + 1);
}

#[test]
fn a_changed_verdict_is_shown_as_the_first_event_that_differs() {
    let mut events = climbing();
    let place = change!(&mut events, CriterionJudged, 0, body => body.verdict = Verdict::Pass);
    let found = differs(&events);
    assert_eq!((found.seq, found.kind.as_str(), found.field.as_str()), (place as u64 + 1, "CriterionJudged", "verdict"));
    assert_eq!((found.recorded.as_str(), found.derived.as_str(), found.cause), ("pass", "fail", Cause::Criteria));
    let other = verify(&events, "9.9.9").difference.expect("a difference");
    assert!(other.because.contains("decided by meno 1.2.3, derived by meno 9.9.9"), "{}", other.because);
}

#[test]
fn a_changed_team_is_shown_without_sensitive_answers() {
    let mut events = climbing();
    change!(&mut events, AgentPlanned, 0, body => body.private.as_mut().unwrap().task = "say no to Nobody".into());
    let found = differs(&events);
    assert_eq!((found.field.as_str(), found.cause), ("task", Cause::Template));
    assert_eq!((found.recorded.as_str(), found.derived.as_str()), (&*format!("say no to {MASK}"), &*format!("say ok to {MASK}")));
}

#[test]
fn an_event_that_nothing_leads_to_is_a_difference() {
    let mut events = climbing();
    take_out(&mut events, "CallReplied", 0);
    let found = differs(&events);
    assert_eq!((found.field.as_str(), found.kind.as_str()), ("kind", "CostIncurred"));
    assert_eq!(found.derived, "nothing: no recorded input leads to it");
}

/// Holds what a fork took over against the run it comes from.
fn lineage(fork: &World, origin: &World) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut tell = |violation: &Violation| found.push(violation.clone());
    let mut book = Findings::new(&mut tell);
    let mut run = Run::default();
    for recorded in &fork.log {
        run.apply(recorded);
        match &recorded.event {
            Event::AgentFailed(body) => {
                if let Some(agent) = lineage::left_as_failed(body, &run) {
                    lineage::left_failed(body, agent, Some(&origin.run), Location::default(), &mut book);
                }
            }
            Event::RunForked(body) => lineage::forked(body, Some(origin.run.head), Location::default(), &mut book),
            Event::AttemptInherited(body) => lineage::inherited(body, Some(&origin.run), Location::default(), &mut book),
            _ => {}
        }
    }
    found
}

pub(super) fn good(_: usize, purpose: Purpose) -> String {
    if purpose == Purpose::Work { "ok, this is good".to_owned() } else { scores(0.9) }
}

fn but(role: &str) -> TakeOver {
    TakeOver::AllBut { role: role.into(), retry_failed: true }
}

fn count(world: &World, kind: &str) -> usize {
    world.log.iter().filter(|recorded| recorded.event.name() == kind).count()
}

#[test]
fn a_fork_takes_over_what_would_be_asked_for_again_and_pays_for_nothing_of_it() {
    let origin = World::start(&team(), None, Escalate::Auto).carried_to_end(good);
    let whole = origin.fork(&TakeOver::Succeeded, None);
    assert!(whole.run.is_ended() && whole.run.spent == NanoUsd(0));
    assert_eq!((count(&whole, "AttemptInherited"), count(&whole, "CallStarted")), (4, 0));
    assert_eq!(whole.run.report, origin.run.report);
    // `b` and whoever waits for it works anew, the others' work stands.
    let anew = origin.fork(&but("b"), None);
    assert_eq!(count(&anew, "AttemptInherited"), 2);
    let anew = anew.carried_to_end(good);
    let works = |world: &World| world.run.calls.values().filter(|call| call.purpose == Purpose::Work).count();
    assert_eq!(works(&anew), 2);
    assert!(anew.run.spent > NanoUsd(0) && anew.run.spent < origin.run.spent);
    // A fork of a fork knows where the work was really done.
    let again = anew.fork(&TakeOver::Succeeded, None);
    assert!(again.run.is_ended() && count(&again, "AttemptInherited") == 4);
    for world in [&whole, &anew] {
        assert_eq!(audit(&world.log).0, []);
        assert_eq!(lineage(world, &origin), []);
        let verified = verify(&world.log, VERSION);
        assert_eq!((&verified.difference, verified.not_verifiable), (&None, 0));
    }
    assert_eq!(audit(&again.log).0, []);
}

#[test]
fn a_fork_goes_on_where_the_run_was_under_its_own_strategy() {
    let mut origin = World::start(&team(), None, Escalate::Auto);
    origin.answer_next("bad");
    assert_eq!((origin.run.agents[0].attempts.len(), origin.run.agents[0].tier), (1, Tier::Capable));
    let same = origin.fork(&TakeOver::All, None);
    assert_eq!((count(&same, "AttemptInherited"), count(&same, "TierEscalated")), (1, 1));
    assert_eq!(same.run.agents[0].tier, Tier::Capable);
    let dear = origin.fork(&TakeOver::All, Some(Strategy::PremiumOnly));
    assert_eq!(dear.run.agents[0].tier, Tier::Premium);
    let cheap = origin.fork(&TakeOver::All, Some(Strategy::CheapOnly));
    assert_eq!(cheap.run.phase, Phase::Failed, "there is nowhere to climb to");
    let dear = dear.carried_to_end(good);
    for world in [&same, &dear, &cheap] {
        assert_eq!(audit(&world.log).0, []);
        assert_eq!(verify(&world.log, VERSION).difference, None);
    }
    // What the agent is told next quotes the answer that did not pass there.
    let told = dear.run.calls.values().find(|call| call.agent == 0).expect("a call");
    assert!(told.prompt.contains("Your former answer was not accepted") && told.prompt.contains("bad"), "{}", told.prompt);
}

#[test]
fn work_for_other_words_or_by_other_measures_is_not_taken_over() {
    let origin = World::start(&team(), None, Escalate::Auto).carried_to_end(good);
    let mut other = World::start(&team(), None, Escalate::Auto).carried_to_end(good);
    // The answer reaches `a` by its prompt and everybody who waits for `a` by its output; `c` was told nothing of it.
    other.run.answers.get_mut("name").expect("answered").value = "Anybody".into();
    let fork = other.fork(&TakeOver::Succeeded, None);
    assert_eq!(count(&fork, "AttemptInherited"), 1);
    assert_eq!(
        fork.run.agents.iter().filter(|agent| !agent.attempts.is_empty()).map(|agent| &*agent.label).collect::<Vec<_>>(),
        ["c"]
    );
    let mut stricter = origin;
    stricter.basis.template.agent_composition_rules[0].success_criteria.pop();
    assert_eq!(count(&stricter.fork(&but("c"), None), "AttemptInherited"), 0);
}

#[test]
fn a_fork_that_claims_what_its_origin_does_not_say_is_found() {
    let origin = World::start(&team(), None, Escalate::Auto).carried_to_end(good);
    let sound = origin.fork(&but("d"), None);
    type Change = fn(&mut crate::domain::event::AttemptInherited);
    let changes: [Change; 5] = [
        |body| body.version += 1,
        |body| body.tier = Tier::Premium,
        |body| body.verified = !body.verified,
        |body| body.verdicts.clear(),
        |body| body.private.as_mut().expect("there").output = Some(Text::Inline("better".into())),
    ];
    for change in changes {
        let mut claims = World::start(&team(), None, Escalate::Auto);
        claims.log.clone_from(&sound.log);
        let place = nth(&claims.log, "AttemptInherited", 0);
        if let Event::AttemptInherited(body) = &mut claims.log[place].event {
            change(body);
        }
        assert!(lineage(&claims, &origin).iter().any(|violation| violation.check == Check::Lineage));
    }
    let mut claims = sound;
    if let Event::RunForked(body) = &mut claims.log[0].event {
        body.head = Hash::of(b"another");
    }
    assert_eq!(lineage(&claims, &origin).len(), 1);
    claims.log.swap(0, 1);
    assert!(audit(&claims.log).0.iter().any(|violation| violation.check == Check::Positions));
}

#[test]
fn an_agent_that_failed_is_left_so_and_a_fork_that_claims_it_is_found() {
    // The fifth call is the judge's of `c`.
    let poor = |step: usize, purpose| if step == 4 { scores(0.1) } else { good(step, purpose) };
    let origin = World::start(&team(), None, Escalate::Auto).carried_to_end(poor);
    let fork = origin.fork(&TakeOver::AllBut { role: "d".into(), retry_failed: false }, None);
    assert_eq!((count(&fork, "AgentFailed"), count(&fork, "AttemptInherited")), (1, 2), "{:?}", fork.run.agents);
    assert_eq!((audit(&fork.log).0, lineage(&fork, &origin)), (vec![], vec![]));
    assert_eq!(verify(&fork.log, VERSION).difference, None);
    let sound = World::start(&team(), None, Escalate::Auto).carried_to_end(good);
    assert_eq!(lineage(&fork, &sound).iter().filter(|violation| violation.what.contains("counts as failed")).count(), 1);
    assert_eq!(count(&origin.fork(&but("d"), None), "AgentFailed"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_fork_of_any_run_at_any_moment_follows_from_what_it_took_over(seed in any::<u64>(), at in 0usize..400, what in 0u8..4, strategy in 0usize..6) {
        let mut origin = World::live(seed);
        // The moment: the run as it was after so many of its events, if its team was planned by then.
        let planned = nth(&origin.log, "StartTierChosen", 3) + 1;
        let until = (planned + at).min(origin.log.len());
        origin.log.truncate(until);
        origin.run = origin.log.iter().fold(Run::default(), |run, recorded| run.evolve(recorded));
        let alone = TakeOver::AllBut { role: "b".into(), retry_failed: false };
        // What ends the run cannot be left as it is.
        let may_be_left = alone.left_failed(&origin.run).iter().all(|agent| agent.plan.on_failure != OnFailure::FailRun);
        let alone = if may_be_left { alone } else { but("b") };
        let what = [TakeOver::All, TakeOver::Succeeded, but("b"), alone][usize::from(what)].clone();
        let fork = origin.fork(&what, Strategy::ALL.get(strategy).copied());
        prop_assert_eq!(audit(&fork.log).0, vec![]);
        prop_assert_eq!(lineage(&fork, &origin), vec![]);
        let verified = verify(&fork.log, VERSION);
        prop_assert_eq!((verified.difference, verified.not_verifiable), (None, 0));
        prop_assert_eq!(fork.run.spent, NanoUsd(0));
        if !fork.run.is_ended() && fork.run.agents.iter().all(|agent| !matches!(agent.status, AgentStatus::AwaitingApproval { .. })) {
            let fork = fork.carried_on(good);
            prop_assert_eq!(audit(&fork.log).0, vec![]);
            prop_assert_eq!(verify(&fork.log, VERSION).difference, None);
        }
    }
}

#[test]
fn two_runs_differ_where_they_do() {
    let detail = |events: &[Recorded]| {
        RunDetail::fold(events.iter(), &|text| match text {
            Text::Inline(text) => Some(text.clone()),
            _ => None,
        })
        .masked()
    };
    let a = World::start(&lone(), None, Escalate::Auto).carried_to_end(|_, _| "ok\nfirst".into()).log;
    let b = World::start(&lone(), None, Escalate::Auto)
        .carried_to_end(|step, _| if step == 0 { "bad".into() } else { "ok\nsecond".into() })
        .log;
    let same = RunDiff::of(&detail(&a), &detail(&a));
    assert!(same.same && same.agents.is_empty() && same.cost_difference_nusd == Some(0));
    let found = RunDiff::of(&detail(&a), &detail(&b));
    let [agent] = found.agents.as_slice() else { panic!("one agent") };
    assert_eq!(
        agent.output.as_deref(),
        Some("--- a\n+++ b\n@@ -1,2 +1,2 @@\n ok\n-first\n\\ No newline at end of file\n+second\n\\ No newline at end of file\n")
    );
    assert_eq!(agent.b.as_ref().map(|side| side.attempts.len()), Some(2));
    assert!(!found.same && found.cost_difference_nusd > Some(0));
    let answers = serde_json::to_string(&found).unwrap();
    assert!(!answers.contains("Nobody"), "a sensitive answer shows");
}

#[test]
fn a_seal_reads_back_and_a_later_format_is_named() {
    let seal = Seal {
        meno_seal: 1,
        node: NodeId::from_bytes([3; 16]),
        position: 9,
        head: Hash::of(b"x"),
        at: "2026-11-23T00:00:00Z".into(),
    };
    let text = serde_json::to_string(&seal).unwrap();
    assert_eq!(Seal::parse(&text).unwrap(), seal);
    assert!(matches!(Seal::parse("{\"meno_seal\": 2, \"new\": true}"), Err(BadSeal::Newer { found: 2 })));
    assert!(matches!(Seal::parse("[]"), Err(BadSeal::Malformed(_))));
}

#[test]
fn a_run_of_an_older_version_is_judged_by_the_rules_of_its_time() {
    let rules = serde_json::json!([{"role": "a", "base_template": "generic", "tier_strategy": "cheap_only", "success_criteria": [
        {"type": "max_words", "value": 3}, {"type": "not", "criterion": {"type": "contains", "value": "apple"}}]}]);
    let mut world = World::start(&rules, None, Escalate::Auto);
    world.basis.settings.judging = Edition::First;
    set_judging(&mut world.log[0], None);
    let mut log = world.carried_to_end(|_, _| "日本語の文章はここにあります。 とても長い文です。".into()).log;
    let passed =
        log.iter().filter(|recorded| matches!(&recorded.event, Event::CriterionJudged(body) if body.verdict == Verdict::Pass));
    assert_eq!(passed.count(), 2, "two words, as they were counted then");
    assert_eq!((audit(&log).0, verify(&log, VERSION).difference), (Vec::new(), None));

    // By the rules of today the same verdict is wrong, and both say so.
    set_judging(&mut log[0], Some(Edition::Second));
    assert!(audit(&log).0.iter().any(|violation| violation.check == Check::Criteria), "{:?}", audit(&log).0);
    assert_eq!(verify(&log, VERSION).difference.map(|difference| difference.kind), Some("CriterionJudged".to_owned()));
}

/// Records the rules for judging with a run's settings; versions before there were several recorded none.
fn set_judging(started: &mut Recorded, edition: Option<Edition>) {
    let Event::RunStarted(body) = &mut started.event else { panic!("{started:?}") };
    let settings = &mut body.private.as_mut().expect("a private part").settings;
    let Text::Inline(text) = settings else { panic!("{settings:?}") };
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).expect("an object");
    match edition {
        Some(edition) => drop(fields.insert("judging".to_owned(), serde_json::to_value(edition).expect("a number"))),
        None => drop(fields.remove("judging").expect("new runs record theirs")),
    }
    *text = serde_json::Value::Object(fields).to_string();
}
