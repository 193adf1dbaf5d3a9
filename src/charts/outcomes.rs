//! How templates do, as drawings: success per week, tiers and criteria with their intervals.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::calendar::Period;
use super::drawing::Meaning;
use super::intervals::{Interval, Row};
use super::timeline::{Change, Mark, Point, Timeline};
use crate::analytics::report::{Analytics, CriterionLine, Drift, Share, TemplateLine, TierLine, WeekLine};
use crate::domain::event::Mode;
use crate::domain::money::{NanoUsd, grouped};
use crate::domain::percent;

/// Says where something leads: the id of a run, or what is searched for.
pub type LinkOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Shows a share with its interval: `83 % (61–94, n 20)`; `too few` where none is claimed.
pub fn share(share: Option<Share>) -> String {
    share.map_or_else(
        || "too few".to_owned(),
        |share| {
            let [value, low, high] = percent::numbers(share.value, share.low, share.high);
            format!("{value} % ({low}–{high}, n {})", grouped(share.n))
        },
    )
}

fn interval(share: Share) -> Interval {
    Interval { value: share.value, low: share.low, high: share.high }
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn observed(week: &WeekLine) -> f64 {
    week.succeeded as f64 / (week.succeeded + week.failed).max(1) as f64
}

/// Returns the modes that have weeks.
pub fn modes(analytics: &Analytics) -> Vec<Mode> {
    [Mode::Real, Mode::Imported, Mode::Simulated]
        .into_iter()
        .filter(|mode| analytics.weeks.iter().any(|week| week.mode == *mode))
        .collect()
}

/// Returns the observed success per week of one mode, the newest `max` weeks without gaps, for a drawing in text; with the first and the
/// last Monday. `None` when there are no weeks.
pub fn success_columns(analytics: &Analytics, mode: Mode, max: usize) -> Option<(Vec<Option<f64>>, String, String)> {
    columns_of(&analytics.weeks, mode, max)
}

fn columns_of(weeks: &[WeekLine], mode: Mode, max: usize) -> Option<(Vec<Option<f64>>, String, String)> {
    let held: BTreeMap<String, &WeekLine> = weeks
        .iter()
        .filter(|week| week.mode == mode)
        .filter_map(|week| Some((Period::Week.name(week.monday.parse().ok()?), week)))
        .collect();
    let (names, _) = Period::Week.filled(held.keys().map(String::as_str), max);
    let monday = |name: &String| Period::Week.first_day(name).map(|day| day.to_string());
    let values = names.iter().map(|name| held.get(name).map(|week| observed(week))).collect();
    Some((values, monday(names.first()?)?, monday(names.last()?)?))
}

/// Returns the success per week of one mode. The change and the runs unlike the others are those of all modes that count.
pub fn success(analytics: &Analytics, mode: Mode, runs: LinkOf<'_>, weeks: LinkOf<'_>) -> Timeline {
    let point = |week: &WeekLine| {
        let words = format!("week of {}: {} of {} runs succeeded", week.monday, week.succeeded, week.succeeded + week.failed);
        let words = week.success.map_or_else(|| words.clone(), |success| format!("{words}, {}", share(Some(success))));
        Some(Point {
            date: week.monday.parse().ok()?,
            value: observed(week),
            interval: week.success.map(|success| (success.low, success.high)),
            meaning: Meaning { title: words, href: weeks(&week.monday) },
        })
    };
    let report = analytics.template.as_ref();
    let marks = report.iter().flat_map(|report| &report.anomalies).filter_map(|anomaly| {
        let date: Date = anomaly.started_at.get(..10)?.parse().ok()?;
        let (value, median) = match anomaly.what.as_str() {
            "cost_nusd" => (NanoUsd(anomaly.value).to_string(), NanoUsd(anomaly.median).to_string()),
            "duration_ms" => (seconds(anomaly.value), seconds(anomaly.median)),
            _ => (anomaly.value.to_string(), anomaly.median.to_string()),
        };
        let what = anomaly.what.split('_').next().unwrap_or_default();
        let title = format!("{date}, {}: {what} {value}, median {median} (z {:.1})", anomaly.run_id, anomaly.z);
        Some(Mark { date, meaning: Meaning { title, href: runs(&anomaly.run_id) } })
    });
    Timeline {
        label: format!("share of {} runs that succeeded, by week", mode.name()),
        points: analytics.weeks.iter().filter(|week| week.mode == mode).filter_map(point).collect(),
        change: report.and_then(|report| report.drift.as_ref()).and_then(change),
        marks: marks.collect(),
    }
}

fn change(drift: &Drift) -> Option<Change> {
    Some(Change {
        date: drift.date.parse().ok()?,
        before: interval(drift.before),
        after: interval(drift.after),
        title: format!("changed on {}: {} before, {} since", drift.date, share(Some(drift.before)), share(Some(drift.after))),
    })
}

/// Returns the newest weeks of the kind of runs that says the most (real, else imported, else simulated) as shares without gaps, and what
/// they show in words; `None` when there are none.
pub fn trend(weeks: &[WeekLine], max: usize) -> Option<(Vec<Option<f64>>, String)> {
    let mode =
        [Mode::Real, Mode::Imported, Mode::Simulated].into_iter().find(|mode| weeks.iter().any(|week| week.mode == *mode))?;
    let (shares, first, last) = columns_of(weeks, mode, max)?;
    Some((shares, format!("share of {} runs that succeeded, weeks of {first} to {last}", mode.name())))
}

/// Returns the success of each template.
pub fn templates(lines: &[TemplateLine], links: LinkOf<'_>) -> Vec<Row> {
    let row = |line: &TemplateLine| Row {
        name: line.template_id.clone(),
        interval: line.success.map(interval),
        words: share(line.success),
        class: "s0".to_owned(),
        meaning: Meaning {
            title: format!("{}: {} succeeded, {} failed of {} runs", line.template_id, line.succeeded, line.failed, line.runs),
            href: links(&line.template_id),
        },
    };
    lines.iter().map(row).collect()
}

/// Returns how often attempts passed, by role, tier and model: first attempts where enough are known, else all of them.
pub fn tiers(lines: &[TierLine], links: LinkOf<'_>) -> Vec<Row> {
    let row = |line: &TierLine| {
        let (shown, kind) = if line.pass_first.is_some() { (line.pass_first, "") } else { (line.pass, " of all attempts") };
        let kind = if shown.is_some() { kind } else { "" };
        Row {
            name: format!("{} · {} · {}", line.role, line.tier, line.model.as_deref().unwrap_or("model unknown")),
            interval: shown.map(interval),
            words: format!("{}{kind}", share(shown)),
            class: line.tier.name().to_owned(),
            meaning: Meaning {
                title: format!(
                    "{} at {}: first attempts {}, after a failure {}, all {}",
                    line.role,
                    line.tier,
                    share(line.pass_first),
                    share(line.pass_after_failure),
                    share(line.pass)
                ),
                href: line.evidence.first().and_then(|run| links(run)),
            },
        }
    };
    lines.iter().map(row).collect()
}

/// Says what [`tiers`] counts.
pub fn tiers_caption(lines: &[TierLine]) -> &'static str {
    match lines.iter().any(|line| line.pass_first.is_none() && line.pass.is_some()) {
        false => {
            "First attempts of agents that passed, of those that passed or failed their criteria. Attempts without a usable reply do not \
             count."
        }
        true => {
            "First attempts of agents that passed, of those that passed or failed their criteria; where too few of them are known, all \
             attempts, and the row says so. Attempts without a usable reply do not count."
        }
    }
}

/// Returns how often each criterion catches something, the one that catches most often first.
pub fn criteria(lines: &[CriterionLine]) -> Vec<Row> {
    let rate = |line: &CriterionLine| match line.failures_only {
        true => -1.0,
        false => line.failed as f64 / (line.passed + line.failed).max(1) as f64,
    };
    let mut lines: Vec<&CriterionLine> = lines.iter().collect();
    lines.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then_with(|| b.failed.cmp(&a.failed)));
    let row = |line: &&CriterionLine| {
        let judged = line.passed + line.failed;
        // The share that it catches is what is left of the share in which it held.
        let caught = line.pass.map(|pass| Interval { value: 1.0 - pass.value, low: 1.0 - pass.high, high: 1.0 - pass.low });
        let unknown = if line.unknown > 0 { format!(", {} unknown", line.unknown) } else { String::new() };
        Row {
            name: format!("{} · {}", line.role, line.criterion),
            interval: caught,
            words: if line.failures_only {
                format!("failed {}, passes not told", line.failed)
            } else {
                format!("{} of {judged}{unknown}", line.failed)
            },
            class: "catch".to_owned(),
            meaning: Meaning::title(format!(
                "{} · {}: caught {} of {judged} attempts, {} of them alone; {} unknown",
                line.role, line.criterion, line.failed, line.caught_alone, line.unknown
            )),
        }
    };
    lines.iter().map(row).collect()
}
