//! From rows to the report: sums and shares; what is concluded from them is in [`super::findings`].

use std::collections::BTreeMap;

use super::findings;
use super::material::{Material, Outcome, Pattern};
use super::report::*;
use super::stats;
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::domain::tier::Tier;
use crate::views::sketch::Sketch;
use crate::views::stats::Evidence;
use crate::views::stats::outcomes::{Ends, OutcomeRow};
use crate::views::stats::patterns::PatternRow;
use crate::views::stats::tools::ToolRow;
use crate::views::utc;

/// What counts, and from how much on something is claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Simulated runs count too.
    pub simulated: bool,
    /// Successes that nobody could verify count as successes.
    pub unverified: bool,
    /// Observations under which nothing is claimed.
    pub min_sample: u64,
    /// Days after which an observation counts half.
    pub half_life_days: f64,
    /// The present UTC day, in days since the epoch.
    pub today: i32,
    /// Questions whose answers are not shown.
    pub sensitive: Vec<String>,
}

impl Terms {
    /// Tells whether runs in `mode` count.
    pub fn counts(&self, mode: Mode) -> bool {
        mode != Mode::Simulated || self.simulated
    }

    /// Returns the modes that count.
    pub fn modes(&self) -> Vec<Mode> {
        [Mode::Real, Mode::Imported, Mode::Simulated].into_iter().filter(|mode| self.counts(*mode)).collect()
    }

    /// Returns a share with Wilson's interval; `None` under the minimum sample.
    pub(super) fn share(&self, hits: u64, n: u64) -> Option<Share> {
        let estimate = stats::wilson(hits as f64, n as f64).filter(|_| n >= self.min_sample)?;
        Some(Share::of(estimate, n))
    }

    /// Returns the share of weights with Wilson's interval over their sum; `None` when `n` is under the minimum sample.
    pub(super) fn weighted(&self, hits: f64, misses: f64, n: u64) -> Option<Share> {
        let estimate = stats::wilson(hits, hits + misses).filter(|_| n >= self.min_sample)?;
        Some(Share::of(estimate, n))
    }
}

/// Returns one line per template that has runs that count, the one with the most runs first.
pub fn lines(outcomes: &[Outcome], terms: &Terms) -> Vec<TemplateLine> {
    let mut templates: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| terms.counts(outcome.mode)) {
        templates.entry(&outcome.template).or_default().push(outcome);
    }
    let mut lines: Vec<TemplateLine> =
        templates.into_iter().map(|(template, outcomes)| line(template, &outcomes, terms)).collect();
    lines.sort_by(|a, b| b.runs.cmp(&a.runs).then_with(|| a.template_id.cmp(&b.template_id)));
    lines
}

fn line(template: &str, outcomes: &[&Outcome], terms: &Terms) -> TemplateLine {
    let (mut ends, mut judged) = (Ends::default(), (0, 0));
    let (mut duration, mut attempts_duration) = (Sketch::default(), Sketch::default());
    for outcome in outcomes {
        ends.merge(&outcome.row.ends);
        let (succeeded, of) = outcome.row.ends.judged(terms.unverified);
        judged = (judged.0 + succeeded, judged.1 + of);
        duration.merge(&outcome.row.duration);
        attempts_duration.merge(&outcome.row.attempts_duration);
    }
    TemplateLine {
        template_id: template.to_owned(),
        runs: ends.total(),
        succeeded: ends.succeeded,
        unverified: ends.unverified,
        failed: ends.failed,
        cancelled: ends.cancelled,
        forks: outcomes.iter().map(|outcome| outcome.row.forks).sum(),
        failed_by_configuration: outcomes.iter().map(|outcome| outcome.row.left_out).sum(),
        success: terms.share(judged.0, judged.1),
        money: outcomes.iter().map(|outcome| money_of_runs(outcome.mode, &outcome.row)).collect(),
        duration: lengths(&duration),
        attempts_duration: lengths(&attempts_duration),
    }
}

/// Returns everything about one template; `None` when no run of it counts.
pub fn template(template: &str, material: &Material, terms: &Terms) -> Option<TemplateReport> {
    let outcomes: Vec<&Outcome> = material.outcomes.iter().filter(|outcome| terms.counts(outcome.mode)).collect();
    if outcomes.is_empty() {
        return None;
    }
    let patterns: Vec<&Pattern> = material.patterns.iter().filter(|pattern| terms.counts(pattern.key.mode)).collect();
    let mut evidence = Evidence::default();
    outcomes.iter().for_each(|outcome| evidence.merge(&outcome.row.evidence));
    let days = days(&outcomes, terms);
    Some(TemplateReport {
        summary: line(template, &outcomes, terms),
        success_recent: recent(&days, terms),
        escalation: escalation(&outcomes, terms),
        tiers: tiers(&patterns, terms),
        criteria: criteria(material, terms),
        failures: failures(&outcomes, &patterns),
        dominated: findings::dominated(&patterns, terms),
        advice: findings::advice(&patterns, terms),
        answers: findings::answers(&material.answers, terms),
        anomalies: findings::anomalies(&material.past, terms),
        drift: findings::drift(&days, terms),
        forecast: findings::forecast(&material.past, terms),
        next: findings::next(template, &material.followers, terms),
        tools: tools(material, terms),
        days: days.iter().map(|(day, (succeeded, failed))| day_line(*day, *succeeded, *failed)).collect(),
        evidence: ids(&evidence.runs()),
    })
}

/// Returns successes and failures by UTC day.
pub(super) fn days(outcomes: &[&Outcome], terms: &Terms) -> BTreeMap<i32, (u64, u64)> {
    let mut days: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
    for outcome in outcomes {
        for (day, ends) in &outcome.row.days {
            let (succeeded, of) = ends.judged(terms.unverified);
            let held = days.entry(*day).or_default();
            *held = (held.0 + succeeded, held.1 + of - succeeded);
        }
    }
    days
}

/// Returns successes and failures by mode and week, the oldest week first.
pub fn weeks(outcomes: &[Outcome], terms: &Terms) -> Vec<WeekLine> {
    let mut weeks: BTreeMap<(i32, Mode), (u64, u64)> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| terms.counts(outcome.mode)) {
        for (day, ends) in &outcome.row.days {
            let (succeeded, of) = ends.judged(terms.unverified);
            // Day 0 was a Thursday.
            let monday = day.saturating_sub((i64::from(*day) + 3).rem_euclid(7) as i32);
            let held = weeks.entry((monday, outcome.mode)).or_default();
            *held = (held.0 + succeeded, held.1 + of);
        }
    }
    let line = |((monday, mode), (succeeded, of))| WeekLine {
        monday: date(monday),
        mode,
        succeeded,
        failed: of - succeeded,
        success: terms.share(succeeded, of),
    };
    weeks.into_iter().filter(|(_, (_, of))| *of > 0).map(line).collect()
}

fn day_line(day: i32, succeeded: u64, failed: u64) -> DayLine {
    DayLine { date: date(day), succeeded, failed }
}

/// Writes a UTC day, in days since the epoch.
pub(super) fn date(day: i32) -> String {
    utc(i64::from(day).saturating_mul(86_400_000_000_000)).chars().take(10).collect()
}

fn recent(days: &BTreeMap<i32, (u64, u64)>, terms: &Terms) -> Option<Share> {
    let (mut hits, mut misses, mut n) = (0.0, 0.0, 0);
    for (day, (succeeded, failed)) in days {
        let age = f64::from(terms.today.saturating_sub(*day).max(0));
        let weight = if terms.half_life_days > 0.0 { (-age / terms.half_life_days).exp2() } else { 1.0 };
        hits += weight * *succeeded as f64;
        misses += weight * *failed as f64;
        n += succeeded + failed;
    }
    terms.weighted(hits, misses, n)
}

fn escalation(outcomes: &[&Outcome], terms: &Terms) -> Escalation {
    let sum = |of: &dyn Fn(&OutcomeRow) -> u64| outcomes.iter().map(|outcome| of(&outcome.row)).sum::<u64>();
    let agents = sum(&|row| u64::try_from(row.agents.sum()).unwrap_or(u64::MAX));
    let cost = outcomes.iter().map(|Outcome { mode, row, .. }| EscalationCost {
        mode: *mode,
        cost_nusd: narrow(row.climb_cost),
        unknown: row.climb_unknown,
        // A part of what is known of the whole says nothing of the whole.
        share: (row.cost_known > 0 && row.cost_unknown == 0).then(|| row.climb_cost as f64 / row.cost_known as f64),
    });
    Escalation {
        climbs: sum(&|row| row.climbs),
        agents: terms.share(sum(&|row| row.climbed_agents).min(agents), agents),
        runs: terms.share(sum(&|row| row.climbed_runs), sum(&|row| row.ends.total())),
        cost: cost.collect(),
    }
}

fn tiers(patterns: &[&Pattern], terms: &Terms) -> Vec<TierLine> {
    type Place<'a> = (&'a str, Tier, &'a str, &'a str);
    let mut places: BTreeMap<Place<'_>, (PatternRow, Vec<Money>)> = BTreeMap::new();
    for Pattern { key, row } in patterns {
        let held = places.entry((&key.role, key.tier, &key.provider, &key.model)).or_default();
        // What another system calls passed counts as such.
        held.0.merge(row);
        held.1.push(money(key.mode, &row.cost, row.cost_unknown, row.cost.sum()));
    }
    let line = |((role, tier, provider, model), (row, money)): (Place<'_>, (PatternRow, Vec<Money>))| {
        let passed = row.passed + if terms.unverified { row.unverified } else { 0 };
        let (first, of_first) = findings::first(&row, terms);
        let (hits, misses) = row.decayed(terms.today, terms.half_life_days, terms.unverified);
        TierLine {
            role: role.to_owned(),
            tier,
            provider: known(provider),
            model: known(model),
            attempts: row.attempts,
            passed: row.passed,
            unverified: row.unverified,
            failed: row.failed,
            errors: row.errors,
            pass: terms.share(passed, passed + row.failed),
            pass_recent: terms.weighted(hits, misses, passed + row.failed),
            pass_first: terms.share(first, of_first),
            pass_after_failure: terms.share(passed.saturating_sub(first), (passed + row.failed).saturating_sub(of_first)),
            money,
            latency: lengths(&row.latency),
            evidence: ids(&row.evidence.runs()),
        }
    };
    places.into_iter().map(line).collect()
}

fn criteria(material: &Material, terms: &Terms) -> Vec<CriterionLine> {
    let mut lines: BTreeMap<(&str, &str), CriterionLine> = BTreeMap::new();
    for (key, row) in material.criteria.iter().filter(|(key, _)| terms.counts(key.mode)) {
        let line = lines.entry((&key.role, &key.criterion)).or_insert_with(|| CriterionLine {
            role: key.role.clone(),
            criterion: key.criterion.clone(),
            passed: 0,
            failed: 0,
            unknown: 0,
            caught_alone: 0,
            failures_only: true,
            pass: None,
        });
        line.passed += row.passed;
        line.failed += row.failed;
        line.unknown += row.unknown;
        line.caught_alone += row.caught_alone;
        line.failures_only &= row.by_code + row.by_model == 0 && row.passed == 0;
    }
    let share = |mut line: CriterionLine| {
        line.failures_only &= line.failed > 0;
        line.pass = if line.failures_only { None } else { terms.share(line.passed, line.passed + line.failed) };
        line
    };
    lines.into_values().map(share).collect()
}

fn failures(outcomes: &[&Outcome], patterns: &[&Pattern]) -> Failures {
    let mut failures = Failures::default();
    for pattern in patterns {
        for (reason, count) in &pattern.row.reasons {
            *failures.attempts.entry(reason.clone()).or_default() += count;
        }
    }
    let mut agents: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for outcome in outcomes {
        for ((role, reason), count) in &outcome.row.failures {
            *agents.entry((role, reason)).or_default() += count;
        }
    }
    let line =
        |((role, reason), count): ((&str, &str), u64)| AgentFailures { role: role.to_owned(), reason: reason.to_owned(), count };
    failures.agents = agents.into_iter().map(line).collect();
    failures.agents.sort_by_key(|line| std::cmp::Reverse(line.count));
    failures
}

fn tools(material: &Material, terms: &Terms) -> Vec<ToolLine> {
    let mut lines: BTreeMap<&str, ToolRow> = BTreeMap::new();
    for (_, tool, row) in material.tools.iter().filter(|(mode, ..)| terms.counts(*mode)) {
        let held = lines.entry(tool).or_default();
        held.calls += row.calls;
        held.ok += row.ok;
        held.failed += row.failed;
        held.attempts += row.attempts;
        held.passed += row.passed;
        held.latency.merge(&row.latency);
    }
    let line = |(tool, row): (&str, ToolRow)| ToolLine {
        tool: tool.to_owned(),
        calls: row.calls,
        ok: row.ok,
        failed: row.failed,
        latency: lengths(&row.latency),
        attempts: row.attempts,
        passed: terms.share(row.passed, row.attempts),
    };
    lines.into_iter().map(line).collect()
}

fn money_of_runs(mode: Mode, row: &OutcomeRow) -> Money {
    let unknown = row.cost_unknown + row.fork_cost_unknown + row.left_out_cost_unknown;
    money(mode, &row.cost, unknown, row.cost_known + row.fork_cost + row.left_out_cost)
}

fn money(mode: Mode, cost: &Sketch, unknown: u64, total: u128) -> Money {
    Money {
        mode,
        n: cost.count(),
        unknown,
        total_nusd: narrow(total),
        mean_nusd: cost.mean().map(|mean| mean.round() as u64),
        p50_nusd: cost.quantile(0.5),
        p90_nusd: cost.quantile(0.9),
    }
}

fn lengths(sketch: &Sketch) -> Lengths {
    Lengths { n: sketch.count(), p50_ms: sketch.quantile(0.5), p90_ms: sketch.quantile(0.9) }
}

pub(super) fn narrow(sum: u128) -> u64 {
    u64::try_from(sum).unwrap_or(u64::MAX)
}

pub(super) fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn ids(runs: &[RunId]) -> Vec<String> {
    runs.iter().map(RunId::to_string).collect()
}
