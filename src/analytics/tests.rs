//! Reports against counting by hand: runs are made up, written as events, folded into the views, and every number of the report is
//! counted again from what was made up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::build::{Terms, lines, template};
use super::material::Material;
use super::report::{Move, TemplateReport};
use super::stats;
use crate::domain::event::*;
use crate::domain::ids::RunId;
use crate::domain::tier::Tier;
use crate::views::Projection;
use crate::views::rows::MapRows;
use crate::views::sample;
use crate::views::stats::{Memory, day_of};

const DAY_NS: i64 = 86_400_000_000_000;

/// A made-up run: its agents' attempts, each passed or not, with its cost.
#[derive(Clone, Debug)]
struct Made {
    mode: Mode,
    day: i64,
    answer: &'static str,
    agents: Vec<Vec<(Tier, bool, Option<u64>)>>,
    succeeded: bool,
    verified: bool,
    minutes: i64,
}

fn events(number: usize, made: &Made) -> Vec<Recorded> {
    let Event::RunStarted(mut start) = sample::started() else { unreachable!("it is a start") };
    start.mode = made.mode;
    let mut events: Vec<Event> = vec![start.into(), sample::answer("kind", &format!("\"{}\"", made.answer))];
    let mut call = 0;
    for (agent, attempts) in (0u32..).zip(&made.agents) {
        events.push(sample::planned(agent, if agent == 0 { "linter" } else { "auditor" }, None));
        for (attempt, (tier, passed, cost)) in (1u32..).zip(attempts) {
            call += 1;
            events.push(sample::attempt_started(agent, attempt, *tier));
            events.push(sample::call_started(call, agent, attempt, Purpose::Work));
            events.push(sample::replied(call, "text"));
            events.push(sample::cost(Some(call), agent, attempt, Purpose::Work, *cost));
            let outcome = if *passed { AttemptOutcome::Passed } else { AttemptOutcome::FailedCriteria };
            events.push(sample::judged(agent, attempt, 0, if *passed { Verdict::Pass } else { Verdict::Fail }));
            events.push(sample::attempt_ended(agent, attempt, outcome));
            if attempt < attempts.len() as u32 {
                events.push(sample::escalated(agent, attempt));
            }
        }
    }
    events.push(match made.succeeded {
        true => RunSucceeded { verified: made.verified, private: Some(RunSucceededPrivate {}) }.into(),
        false => RunFailed { reason: RunFailure::AgentFailed, private: Some(RunFailedPrivate { message: String::new() }) }.into(),
    });
    let last = events.len() - 1;
    let place = |(version, event): (usize, Event)| {
        let mut recorded = sample::recorded(version as u64 + 1, event);
        recorded.envelope.run = Some(id(number));
        recorded.envelope.at = made.day * DAY_NS + if version == last { made.minutes * 60_000_000_000 } else { 0 };
        recorded
    };
    events.into_iter().enumerate().map(place).collect()
}

fn id(number: usize) -> RunId {
    RunId::from_bytes((number as u128).to_be_bytes())
}

fn material(runs: &[Made]) -> Material {
    let mut rows = MapRows::default();
    for (number, made) in runs.iter().enumerate() {
        for event in events(number, made) {
            Memory.apply(&mut rows, &event).unwrap();
        }
    }
    Material::of_rows(&rows, "release_prep").unwrap()
}

fn terms(min_sample: u64) -> Terms {
    Terms { simulated: false, unverified: false, min_sample, half_life_days: 90.0, today: 1000, sensitive: Vec::new() }
}

fn report(runs: &[Made], min_sample: u64) -> TemplateReport {
    template("release_prep", &material(runs), &terms(min_sample)).unwrap()
}

fn real(day: i64, answer: &'static str, agents: Vec<Vec<(Tier, bool, Option<u64>)>>, succeeded: bool) -> Made {
    Made { mode: Mode::Real, day, answer, agents, succeeded, verified: succeeded, minutes: 3 }
}

/// `n` runs of one agent with one attempt at `tier`, of which the first `passed` pass.
fn plain(n: usize, passed: usize, answer: &'static str, tier: Tier, cost: u64, from_day: i64) -> Vec<Made> {
    (0..n).map(|i| real(from_day + i as i64, answer, vec![vec![(tier, i < passed, Some(cost))]], i < passed)).collect()
}

#[test]
fn what_escalations_cost_counts_the_attempts_of_unknown_cost_and_gives_no_share_of_a_part() {
    let climbed = |cost| real(1, "safe", vec![vec![(Tier::Cheap, false, cost), (Tier::Capable, true, Some(30))]], true);
    let cost = |runs: &[Made]| {
        let cost = report(runs, 10).escalation.cost.remove(0);
        (cost.cost_nusd, cost.unknown, cost.share)
    };
    assert_eq!(cost(&[climbed(Some(10)), climbed(Some(10))]), (20, 0, Some(0.25)));
    assert_eq!(cost(&[climbed(Some(10)), climbed(None)]), (10, 1, None));
    // What is not known may be of attempts that nobody climbed from: the share of the whole is not known either.
    let other = real(1, "safe", vec![vec![(Tier::Cheap, true, None)]], true);
    assert_eq!(cost(&[climbed(Some(10)), other]), (10, 0, None));
}

#[test]
fn an_answer_that_goes_with_failure_is_found_and_one_that_does_not_is_not() {
    let mut runs = plain(40, 36, "safe", Tier::Cheap, 10, 0);
    runs.extend(plain(40, 8, "risky", Tier::Cheap, 10, 0));
    runs.extend(plain(40, 36, "plain", Tier::Cheap, 10, 0));
    let answers = report(&runs, 10).answers;
    assert_eq!(answers.tested, 3);
    let risky = &answers.found[0];
    assert_eq!((risky.value.as_str(), risky.with.value, risky.without.value), (Some("risky"), 0.8, 0.1));
    assert!(risky.difference.low > 0.5 && risky.q < 1e-6 && !risky.evidence.is_empty());
    let mixed: Vec<Made> =
        plain(40, 30, "a", Tier::Cheap, 10, 0).into_iter().chain(plain(40, 29, "b", Tier::Cheap, 10, 0)).collect();
    let answers = report(&mixed, 10).answers;
    assert_eq!((answers.tested, answers.found.len()), (2, 0));
    let hidden = Terms { sensitive: vec!["kind".into()], ..terms(10) };
    assert!(template("release_prep", &material(&runs), &hidden).unwrap().answers.found.is_empty());
}

#[test]
fn a_start_is_moved_when_the_numbers_leave_no_doubt() {
    let climbs = |n: usize, passed: usize| -> Vec<Made> {
        let agent = |i: usize| match i < passed {
            true => vec![(Tier::Cheap, true, Some(100))],
            false => vec![(Tier::Cheap, false, Some(100)), (Tier::Capable, true, Some(200))],
        };
        (0..n).map(|i| real(i as i64, "x", vec![agent(i)], true)).collect()
    };
    let up = report(&climbs(60, 6), 10).advice;
    assert_eq!((up.len(), up[0].advice, up[0].from, up[0].to), (1, Move::Upgrade, Tier::Cheap, Tier::Capable));
    // 100 + 0.9 × 200 against 200.
    assert_eq!((up[0].expected_from_nusd, up[0].expected_to_nusd), (280, 200));
    assert!(report(&climbs(60, 30), 10).advice.is_empty(), "half is the very balance");
    let mut down = plain(60, 58, "x", Tier::Capable, 200, 0);
    down.extend(plain(30, 28, "x", Tier::Cheap, 20, 0));
    let report = report(&down, 10);
    assert_eq!((report.advice[0].advice, report.advice[0].to), (Move::Downgrade, Tier::Cheap));
    assert!(report.dominated.is_empty(), "97 % is more than 93 %");
    let mut same = plain(60, 50, "x", Tier::Capable, 200, 0);
    same.extend(plain(60, 55, "x", Tier::Cheap, 20, 0));
    let found = super::tests::report(&same, 10).dominated;
    assert_eq!((found.len(), found[0].dearer.tier, found[0].cheaper.tier), (1, Tier::Capable, Tier::Cheap));
}

#[test]
fn a_run_far_from_the_others_and_a_change_are_found_with_their_date() {
    let mut runs = plain(30, 30, "x", Tier::Cheap, 100, 0);
    for (place, made) in runs.iter_mut().enumerate() {
        made.agents[0][0].2 = Some(100 + place as u64);
    }
    runs.push(real(40, "x", vec![vec![(Tier::Cheap, true, Some(100_000))]], true));
    let found = report(&runs, 10);
    assert_eq!(
        found.anomalies.iter().map(|found| (found.run_id.clone(), found.what.as_str())).collect::<Vec<_>>(),
        [(id(30).to_string(), "cost_nusd")]
    );
    assert!(found.drift.is_none());
    let mut runs = plain(30, 30, "x", Tier::Cheap, 100, 0);
    runs.extend(plain(30, 3, "x", Tier::Cheap, 100, 30));
    let drift = report(&runs, 10).drift.unwrap();
    assert_eq!(drift.date, "1970-02-03");
    assert!(drift.before.value > 0.9 && drift.after.value < 0.1);
}

#[test]
fn past_forecasts_are_held_against_what_came() {
    let steady = report(&plain(100, 100, "x", Tier::Cheap, 500, 0), 10);
    let forecast = &steady.forecast[0];
    assert_eq!((forecast.cost_p10_nusd, forecast.cost_p90_nusd, forecast.n), (500, 500, 100));
    assert_eq!((forecast.held.unwrap().value, forecast.held.unwrap().n), (1.0, 90));
    let mut rising = plain(100, 100, "x", Tier::Cheap, 0, 0);
    for (place, made) in rising.iter_mut().enumerate() {
        made.agents[0][0].2 = Some(100 * place as u64);
    }
    assert_eq!(report(&rising, 10).forecast[0].held.unwrap().value, 0.0, "each is dearer than all before");
}

#[test]
fn nothing_is_claimed_under_the_minimum_sample() {
    let few = report(&plain(9, 3, "x", Tier::Cheap, 500, 0), 10);
    assert_eq!((few.summary.success, few.tiers[0].pass, few.forecast.len()), (None, None, 0));
    assert!(few.advice.is_empty() && few.dominated.is_empty() && few.answers.tested == 0 && few.drift.is_none());
}

fn any_run() -> impl Strategy<Value = Made> {
    let attempt = (0usize..3, any::<bool>(), proptest::option::weighted(0.9, 1u64..1_000_000));
    let agent = proptest::collection::vec(attempt, 1..4);
    let agents = proptest::collection::vec(agent, 1..3);
    (0usize..3, 0i64..30, 0usize..3, agents, any::<bool>(), any::<bool>(), 1i64..50).prop_map(
        |(mode, day, answer, agents, succeeded, verified, minutes)| Made {
            mode: [Mode::Real, Mode::Imported, Mode::Simulated][mode],
            day,
            answer: ["a", "b", "c"][answer],
            agents: agents
                .into_iter()
                .map(|attempts| attempts.into_iter().map(|(tier, passed, cost)| (Tier::ALL[tier], passed, cost)).collect())
                .collect(),
            succeeded,
            verified,
            minutes,
        },
    )
}

proptest! {
    #[test]
    fn every_number_of_a_report_is_what_counting_gives(runs in proptest::collection::vec(any_run(), 1..40), simulated: bool) {
        let terms = Terms { simulated, min_sample: 1, ..terms(1) };
        let material = material(&runs);
        let counted: Vec<&Made> = runs.iter().filter(|made| simulated || made.mode != Mode::Simulated).collect();
        let Some(report) = template("release_prep", &material, &terms) else {
            prop_assert!(counted.is_empty());
            return Ok(());
        };
        // Runs.
        let success = |made: &&&Made| made.succeeded && made.verified;
        let failed = counted.iter().filter(|made| !made.succeeded).count() as u64;
        let succeeded = counted.iter().filter(success).count() as u64;
        let summary = &report.summary;
        prop_assert_eq!((summary.runs, summary.succeeded, summary.failed), (counted.len() as u64, succeeded, failed));
        let share = stats::wilson(succeeded as f64, (succeeded + failed) as f64);
        prop_assert_eq!(summary.success.map(|share| (share.value, share.low, share.high)), share.map(|s| (s.value, s.low, s.high)));
        prop_assert_eq!(&lines(&material.outcomes, &terms)[0], summary);
        // Money, each kind by itself.
        for money in &summary.money {
            let of = || counted.iter().filter(|made| made.mode == money.mode);
            let costs = |made: &&&Made| made.agents.iter().flatten().map(|(_, _, cost)| *cost).collect::<Vec<_>>();
            let mut whole: Vec<u64> =
                of().filter_map(|made| costs(&made).into_iter().sum::<Option<u64>>()).collect();
            whole.sort_unstable();
            let known: u64 = of().flat_map(|made| costs(&made)).flatten().sum();
            prop_assert_eq!((money.n, money.total_nusd, money.unknown), (whole.len() as u64, known, (of().count() - whole.len()) as u64));
            let p90 = whole.get(((whole.len() as f64 * 0.9).ceil() as usize).max(1) - 1).copied();
            prop_assert_eq!(money.p90_nusd.is_some(), p90.is_some());
            if let (Some(found), Some(exact)) = (money.p90_nusd, p90) {
                prop_assert!(found.abs_diff(exact) as f64 <= exact as f64 / 128.0);
            }
        }
        // Attempts by role and tier.
        let mut tiers: BTreeMap<(String, Tier), (u64, u64)> = BTreeMap::new();
        let mut climbs = 0;
        for made in &counted {
            for (agent, attempts) in made.agents.iter().enumerate() {
                climbs += attempts.len() as u64 - 1;
                for (tier, passed, _) in attempts {
                    let role = if agent == 0 { "linter" } else { "auditor" };
                    let held = tiers.entry((role.to_owned(), *tier)).or_default();
                    *held = if *passed { (held.0 + 1, held.1) } else { (held.0, held.1 + 1) };
                }
            }
        }
        let found: BTreeMap<(String, Tier), (u64, u64)> =
            report.tiers.iter().map(|line| ((line.role.clone(), line.tier), (line.passed, line.failed))).collect();
        prop_assert_eq!(&found, &tiers);
        prop_assert_eq!(report.escalation.climbs, climbs);
        let all_failed: u64 = tiers.values().map(|(_, failed)| failed).sum();
        prop_assert_eq!(report.failures.attempts.get("criteria").copied().unwrap_or(0), all_failed);
        prop_assert_eq!(report.criteria.iter().map(|line| line.failed).sum::<u64>(), all_failed);
        // Decay, by hand.
        let weight = |made: &&&Made| (-(1000.0 - made.day as f64) / 90.0).exp2();
        let hits: f64 = counted.iter().filter(success).map(|made| weight(&made)).sum();
        let misses: f64 = counted.iter().filter(|made| !made.succeeded).map(|made| weight(&made)).sum();
        if let Some(recent) = report.success_recent {
            prop_assert!((recent.value - hits / (hits + misses)).abs() < 1e-9);
        }
        let days: BTreeMap<i32, u64> = counted.iter().filter(success).fold(BTreeMap::new(), |mut days, made| {
            *days.entry(day_of(made.day * DAY_NS)).or_default() += 1;
            days
        });
        prop_assert_eq!(report.days.iter().map(|day| day.succeeded).sum::<u64>(), days.values().sum::<u64>());
    }
}
