//! What may be concluded: each finding names its numbers, and none is made from less than the minimum sample.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Terms, date, ids, known};
use super::material::{AnswerHistory, Follower, PastRun, Pattern};
use super::report::*;
use super::stats::{self, Robust};
use crate::domain::event::Mode;
use crate::domain::tier::Tier;
use crate::views::stats::Evidence;
use crate::views::stats::patterns::PatternRow;
use crate::views::utc;

/// The false-discovery rate of findings over answers, and the error rate of a drift.
const RATE: f64 = 0.05;
/// Robust standard deviations from which on a run is unlike the others (Iglewicz and Hoaglin 1993).
const OUTLIER_Z: f64 = 3.5;
/// Anomalies shown, the newest.
const ANOMALIES_MAX: usize = 20;
/// Runs before a forecast that it is made from, the newest.
const FORECAST_RUNS: usize = 200;
/// Past forecasts that are looked back on.
const FORECASTS_MAX: usize = 300;

/// How many of how many.
type Of = (u64, u64);

/// First attempts that passed, and those that passed or failed.
pub(super) fn first(row: &PatternRow, terms: &Terms) -> (u64, u64) {
    let passed = u64::from(row.first.passed) + if terms.unverified { u64::from(row.first.unverified) } else { 0 };
    (passed, passed + u64::from(row.first.failed))
}

fn side(tier: Tier, model: &str, row: &PatternRow, terms: &Terms) -> Option<Side> {
    let (passed, of) = first(row, terms);
    let mean = row.cost.mean().filter(|_| row.cost.count() >= terms.min_sample)?;
    Some(Side { tier, model: known(model), pass: terms.share(passed, of)?, mean_nusd: mean.round() as u64 })
}

/// Finds what is dearer and passes no more often, within one role and kind of money. Only first attempts are compared: later ones had
/// the tasks on which others had failed.
pub(super) fn dominated(patterns: &[&Pattern], terms: &Terms) -> Vec<Dominated> {
    let mut found = Vec::new();
    for (place, dearer) in patterns.iter().enumerate() {
        let others = patterns.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, pattern)| pattern);
        let alike = others.filter(|other| other.key.role == dearer.key.role && other.key.mode == dearer.key.mode);
        let Some(dear) = side(dearer.key.tier, &dearer.key.model, &dearer.row, terms) else { continue };
        let best = alike
            .filter_map(|other| Some((other, side(other.key.tier, &other.key.model, &other.row, terms)?)))
            .filter(|(_, cheap)| cheap.mean_nusd < dear.mean_nusd && cheap.pass.value >= dear.pass.value)
            .max_by(|(_, a), (_, b)| a.pass.value.total_cmp(&b.pass.value).then(b.mean_nusd.cmp(&a.mean_nusd)));
        let Some((other, cheaper)) = best else { continue };
        let Some(difference) = stats::difference(first(&dearer.row, terms), first(&other.row, terms)) else { continue };
        let n = dear.pass.n + cheaper.pass.n;
        found.push(Dominated {
            role: dearer.key.role.clone(),
            mode: dearer.key.mode,
            dearer: dear,
            cheaper,
            difference: Share::of(difference, n),
        });
    }
    found
}

/// Finds roles for which another tier to start at is cheaper.
///
/// Starting low costs the lower attempt and, when it fails, the higher one; starting high costs the higher one: low is cheaper when the
/// lower tier passes more often than the ratio of the two costs. It is said only when the whole interval lies on one side.
pub(super) fn advice(patterns: &[&Pattern], terms: &Terms) -> Vec<Advice> {
    let mut tiers: BTreeMap<(Mode, &str), BTreeMap<Tier, PatternRow>> = BTreeMap::new();
    for Pattern { key, row } in patterns {
        tiers.entry((key.mode, &key.role)).or_default().entry(key.tier).or_default().merge(row);
    }
    let mut found = Vec::new();
    for ((mode, role), tiers) in &tiers {
        let starts = tiers.iter().max_by_key(|(tier, row)| (first(row, terms).1, std::cmp::Reverse(**tier)));
        let Some((start, _)) = starts else { continue };
        for ((low, low_row), (high, high_row)) in tiers.iter().zip(tiers.iter().skip(1)) {
            let Some(lower) = side(*low, "", low_row, terms) else { continue };
            let mean = high_row.cost.mean().filter(|_| high_row.cost.count() >= terms.min_sample);
            let Some(high_mean) = mean.filter(|mean| *mean > 0.0) else { continue };
            let balance = lower.mean_nusd as f64 / high_mean;
            let advice = match () {
                () if start == low && lower.pass.high < balance => Move::Upgrade,
                () if start == high && lower.pass.low > balance => Move::Downgrade,
                () => continue,
            };
            let of_low = lower.mean_nusd as f64 + (1.0 - lower.pass.value) * high_mean;
            let (from, to) = if advice == Move::Upgrade { (*low, *high) } else { (*high, *low) };
            let (of_from, of_to) = if advice == Move::Upgrade { (of_low, high_mean) } else { (high_mean, of_low) };
            found.push(Advice {
                role: (*role).to_owned(),
                advice,
                from,
                to,
                mode: *mode,
                lower,
                higher_mean_nusd: high_mean.round() as u64,
                expected_from_nusd: of_from.round() as u64,
                expected_to_nusd: of_to.round() as u64,
            });
        }
    }
    found
}

/// Finds answers that go with failure or success: every answer that enough runs have and enough have not is tested.
pub(super) fn answers(history: &AnswerHistory, terms: &Terms) -> Answers {
    let mut asked: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (_, question, row) in history.questions.iter().filter(|(mode, ..)| terms.counts(*mode)) {
        let (succeeded, of) = row.ends.judged(terms.unverified);
        let held = asked.entry(question).or_default();
        *held = (held.0 + of - succeeded, held.1 + of);
    }
    let mut values: BTreeMap<(&str, &str), (Of, Evidence)> = BTreeMap::new();
    for (key, row) in history.values.iter().filter(|(key, _)| terms.counts(key.mode) && !terms.sensitive.contains(&key.question))
    {
        let (succeeded, of) = row.ends.judged(terms.unverified);
        let held = values.entry((&key.question, &key.value)).or_default();
        held.0 = (held.0.0 + of - succeeded, held.0.1 + of);
        held.1.merge(&row.evidence);
    }
    let tested: Vec<_> = values
        .into_iter()
        .filter_map(|((question, value), (with, evidence))| {
            let all = asked.get(question)?;
            let without = (all.0.checked_sub(with.0)?, all.1.checked_sub(with.1)?);
            let enough = with.1 >= terms.min_sample && without.1 >= terms.min_sample;
            enough.then_some((question, value, with, without, evidence))
        })
        .collect();
    let p: Vec<f64> = tested.iter().map(|(_, _, with, without, _)| stats::fisher(*with, *without)).collect();
    let q = stats::benjamini_hochberg(&p);
    let mut found: Vec<AnswerFinding> = tested
        .iter()
        .zip(q)
        .filter(|(_, q)| *q <= RATE)
        .filter_map(|((question, value, with, without, evidence), q)| {
            Some(AnswerFinding {
                question: (*question).to_owned(),
                value: serde_json::from_str(value).ok()?,
                with: terms.share(with.0, with.1)?,
                without: terms.share(without.0, without.1)?,
                difference: Share::of(stats::difference(*with, *without)?, with.1 + without.1),
                q,
                evidence: ids(&evidence.runs()),
            })
        })
        .collect();
    found.sort_by(|a, b| b.difference.value.abs().total_cmp(&a.difference.value.abs()));
    Answers { tested: tested.len() as u64, false_discovery_rate: RATE, found }
}

/// Finds runs unlike the template's other runs of the same mode in cost, duration or attempts; the newest first.
pub(super) fn anomalies(past: &[PastRun], terms: &Terms) -> Vec<Anomaly> {
    type NumberOf = fn(&PastRun) -> Option<u64>;
    let asked: [(&str, NumberOf); 3] = [
        ("cost_nusd", |past| past.fact.cost_complete.then_some(past.fact.cost)),
        ("duration_ms", |past| past.fact.duration_ms),
        ("attempts", |past| Some(u64::from(past.fact.attempts))),
    ];
    let mut found = Vec::new();
    for mode in terms.modes() {
        for (what, of) in asked {
            let runs: Vec<(&PastRun, u64)> =
                past.iter().filter(|past| past.fact.mode == mode).filter_map(|past| Some((past, of(past)?))).collect();
            let numbers: Vec<f64> = runs.iter().map(|(_, number)| *number as f64).collect();
            let Some(robust) = Robust::of(&numbers).filter(|_| numbers.len() as u64 >= terms.min_sample) else { continue };
            for (past, number) in runs {
                let z = robust.z(number as f64);
                if z.abs() >= OUTLIER_Z {
                    found.push((
                        past.started_at,
                        Anomaly {
                            run_id: past.run.to_string(),
                            started_at: utc(past.started_at),
                            what: what.to_owned(),
                            value: number,
                            median: robust.median.round() as u64,
                            z,
                        },
                    ));
                }
            }
        }
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    found.into_iter().take(ANOMALIES_MAX).map(|(_, anomaly)| anomaly).collect()
}

/// Finds the day that parts the history best into two windows with different shares of successes.
///
/// Every day that leaves the minimum sample on both sides is tried (pooled z test); the smallest p-value is multiplied by their number
/// (Bonferroni), which is more careful than the dependence between the days asks for.
pub(super) fn drift(days: &BTreeMap<i32, (u64, u64)>, terms: &Terms) -> Option<Drift> {
    let all = days.values().fold((0, 0), |sum, (hits, misses)| (sum.0 + hits, sum.1 + hits + misses));
    let (mut before, mut tried) = ((0, 0), 0u64);
    let mut best: Option<(f64, i32, Of, Of)> = None;
    for (day, (hits, misses)) in days {
        let after = (all.0 - before.0, all.1 - before.1);
        if before.1 >= terms.min_sample && after.1 >= terms.min_sample {
            tried += 1;
            let p = stats::two_shares(before, after);
            if best.is_none_or(|(least, ..)| p < least) {
                best = Some((p, *day, before, after));
            }
        }
        before = (before.0 + hits, before.1 + hits + misses);
    }
    let (p, day, before, after) = best?;
    let p = (p * tried as f64).min(1.0);
    let (before, after) = (terms.share(before.0, before.1)?, terms.share(after.0, after.1)?);
    (p <= RATE).then(|| Drift { date: date(day), before, after, p })
}

/// Says what the next run will be like, from the newest runs of each mode, and how often that would have held before.
pub(super) fn forecast(past: &[PastRun], terms: &Terms) -> Vec<Forecast> {
    let mut forecasts = Vec::new();
    for mode in terms.modes() {
        let of_mode = || past.iter().filter(|past| past.fact.mode == mode);
        // Oldest first, as they came.
        let mut costs: Vec<f64> = of_mode().filter(|past| past.fact.cost_complete).map(|past| past.fact.cost as f64).collect();
        costs.reverse();
        if (costs.len() as u64) < terms.min_sample {
            continue;
        }
        let Some([p10, p50, p90]) = interval(&costs) else { continue };
        let first = (terms.min_sample as usize).max(costs.len().saturating_sub(FORECASTS_MAX));
        let held = (first..costs.len())
            .filter(|place| interval(&costs[..*place]).is_some_and(|[low, _, high]| (low..=high).contains(&costs[*place])));
        let (hits, n) = (held.count() as u64, costs.len().saturating_sub(first) as u64);
        let judged: Vec<bool> = of_mode().take(FORECAST_RUNS).filter_map(|past| past.fact.judged(terms.unverified)).collect();
        let succeeded = judged.iter().filter(|succeeded| **succeeded).count() as u64;
        forecasts.push(Forecast {
            mode,
            success: terms.share(succeeded, judged.len() as u64),
            cost_p10_nusd: p10.round() as u64,
            cost_p50_nusd: p50.round() as u64,
            cost_p90_nusd: p90.round() as u64,
            n: costs.len().min(FORECAST_RUNS) as u64,
            held: terms.share(hits, n),
        });
    }
    forecasts
}

/// Returns p10, p50 and p90 of the last costs.
fn interval(costs: &[f64]) -> Option<[f64; 3]> {
    let mut last = costs[costs.len().saturating_sub(FORECAST_RUNS)..].to_vec();
    last.sort_by(f64::total_cmp);
    Some([stats::quantile(&last, 0.1)?, stats::quantile(&last, 0.5)?, stats::quantile(&last, 0.9)?])
}

/// Finds templates that are run within a day after this one more often than otherwise.
pub(super) fn next(template: &str, followers: &[Follower], terms: &Terms) -> Vec<Next> {
    let names: BTreeSet<&str> = followers.iter().map(|follower| follower.template.as_str()).collect();
    let mut found = Vec::new();
    for name in names.into_iter().filter(|name| *name != template) {
        let of_name = || followers.iter().filter(|follower| follower.template == name && terms.counts(follower.mode));
        let sum = |of: &dyn Fn(&Follower) -> u64| of_name().map(of).sum::<u64>();
        let (both, followed) = (sum(&|follower| follower.pair.runs), sum(&|follower| follower.followed));
        let (runs, all) = (sum(&|follower| follower.runs), sum(&|follower| follower.all));
        let others = (runs.saturating_sub(both), all.saturating_sub(followed));
        let Some(lift) = stats::ratio(both, followed, others.0, others.1) else { continue };
        if both >= terms.min_sample && lift.low > 1.0 {
            let mut evidence = Evidence::default();
            of_name().for_each(|follower| evidence.merge(&follower.pair.evidence));
            let lift = Share::of(lift, all);
            found.push(Next { template_id: name.to_owned(), runs: both, lift, evidence: ids(&evidence.runs()) });
        }
    }
    found.sort_by(|a, b| b.lift.value.total_cmp(&a.lift.value));
    found
}
