//! `analytics`: how templates do, for people. What is not claimed is left out, or said to be too little.

use crate::analytics::report::*;
use crate::charts::axis::Unit;
pub use crate::charts::outcomes::share;
use crate::charts::outcomes::{modes, success_columns};
use crate::charts::terminal::{bar, columns, interval};
use crate::cli::output::table::{Column, Fit, Table};
use crate::cli::output::{FAINT, HEADING, Printer, sanitize, styled, time, words};
use crate::domain::event::{FailureReason, Mode};
use crate::domain::money::NanoUsd;
use crate::views::misconfigured::left_out_words;

/// Columns of a bar, and of an interval.
const BAR: usize = 12;
const INTERVAL: usize = 21;
/// Lines of a drawing over time, and the columns that it takes at most.
const HEIGHT: usize = 4;
const PERIODS_MAX: usize = 60;
/// Weeks from which on weeks are drawn, and not days.
const WEEKS_MIN: usize = 4;

/// Shows a report.
pub fn analytics(out: &Printer, analytics: &Analytics) -> String {
    let mut parts = vec![templates(out, analytics)];
    if let Some(report) = &analytics.template {
        parts.extend(template(out, report, analytics));
    }
    let modes: Vec<&str> = analytics.modes.iter().map(|mode| mode.name()).collect();
    let forks: u64 = analytics.templates.iter().map(|line| line.forks).sum();
    if forks > 0 {
        let forks = words::plural(forks, "fork");
        parts.push(styled(FAINT, format!("{forks} with inherited attempts; they count in attempts and costs alone")));
    }
    let left_out = analytics.templates.iter().map(|line| line.failed_by_configuration).sum();
    parts.extend(left_out_words(left_out).map(|words| styled(FAINT, words)));
    parts.push(styled(
        FAINT,
        format!(
            "counted: {} runs{}; shares with their 95 % interval; no share and no advice under {} observations; costs and durations describe the runs that there were",
            modes.join(" and "),
            if analytics.unverified_counts { ", unverified successes too" } else { "" },
            analytics.min_sample
        ),
    ));
    parts.join("\n\n")
}

fn templates(out: &Printer, analytics: &Analytics) -> String {
    let on_terminal = out.width().is_some();
    let mut columns = vec![
        Column::new("template", Fit::Words),
        Column::new("runs", Fit::Number),
        Column::new("succeeded", Fit::Number).optional(3),
        Column::new("unverified", Fit::Number).optional(3),
        Column::new("failed", Fit::Number).optional(3),
        Column::new("success", Fit::Words),
        Column::new("cost p50 / p90", Fit::Words),
        Column::new("duration p50 / p90", Fit::Words).optional(1),
    ];
    if on_terminal {
        columns.push(Column::new("", Fit::Whole).optional(4));
    }
    let mut table = Table::new(out, &columns);
    for line in &analytics.templates {
        let mut cells = vec![
            line.template_id.clone(),
            words::count(line.runs),
            words::count(line.succeeded),
            words::count(line.unverified),
            words::count(line.failed),
            share(line.success),
            money_each(&line.money),
            run_lengths(line),
        ];
        if on_terminal {
            cells.push(drawn(line.success));
        }
        table.row(cells);
    }
    table.finish()
}

fn template(out: &Printer, report: &TemplateReport, analytics: &Analytics) -> Vec<String> {
    let mut parts = Vec::new();
    let mut lines = Vec::new();
    if let Some(recent) = report.success_recent {
        lines.push(format!("recently {} (half-life {} days)", share(Some(recent)), analytics.half_life_days));
    }
    if let Some(drift) = &report.drift {
        lines.push(format!(
            "changed on {} (UTC): {} before, {} since (p {})",
            drift.date,
            share(Some(drift.before)),
            share(Some(drift.after)),
            p_value(drift.p)
        ));
    }
    if let Some(width) = out.width() {
        lines.extend(over_time(report, analytics, usize::from(width)));
    }
    section(&mut parts, "Success", lines);
    section(&mut parts, "Escalation", escalation(&report.escalation));
    let forecast = report.forecast.iter().map(|forecast| {
        let held = forecast.held.map_or_else(String::new, |held| format!("; such intervals held {}", share(Some(held))));
        let (low, median, high) =
            (NanoUsd(forecast.cost_p10_nusd), NanoUsd(forecast.cost_p50_nusd), NanoUsd(forecast.cost_p90_nusd));
        let cost = if low == high {
            format!("{median} as eight of ten before")
        } else {
            format!("{low} to {high} (p10 to p90), median {median}")
        };
        format!(
            "{}: {cost}, success {}, from the last {}{held}",
            forecast.mode,
            share(forecast.success),
            words::plural(forecast.n, "run"),
        )
    });
    section(&mut parts, "Next run", forecast.collect());
    table_section(&mut parts, "Tiers and models", !report.tiers.is_empty(), || tiers(out, &report.tiers));
    section(&mut parts, "Advice", report.advice.iter().map(advice).chain(report.dominated.iter().map(dominated)).collect());
    table_section(&mut parts, "Criteria", !report.criteria.is_empty(), || criteria(out, &report.criteria, analytics.min_sample));
    section(&mut parts, "Failures", failures(&report.failures));
    let mut answers: Vec<String> = report.answers.found.iter().map(answer).collect();
    if report.answers.tested > 0 {
        answers.push(format!(
            "{} tested; of the findings at most {:.0} % are expected to be chance",
            words::plural(report.answers.tested, "answer"),
            report.answers.false_discovery_rate * 100.0
        ));
    }
    section(&mut parts, "Answers that go with failure or success", answers);
    section(&mut parts, "Unlike the others", report.anomalies.iter().map(anomaly).collect());
    let next = report.next.iter().map(|next| {
        let lift = next.lift;
        format!(
            "{} followed within a day {} times, {:.1} times as likely as otherwise ({:.1} to {:.1})",
            sanitize::line(&next.template_id),
            words::count(next.runs),
            lift.value,
            lift.low,
            lift.high
        )
    });
    section(&mut parts, "What follows", next.collect());
    table_section(&mut parts, "Tools", !report.tools.is_empty(), || tools(out, &report.tools));
    if !report.evidence.is_empty() {
        section(&mut parts, "Newest runs", vec![report.evidence.join(" ")]);
    }
    parts
}

fn section(parts: &mut Vec<String>, title: &str, lines: Vec<String>) {
    if !lines.is_empty() {
        parts.push(format!("{}\n  {}", styled(HEADING, title), lines.join("\n  ")));
    }
}

fn table_section(parts: &mut Vec<String>, title: &str, has_rows: bool, table: impl FnOnce() -> String) {
    if has_rows {
        parts.push(format!("{}\n{}", styled(HEADING, title), table()));
    }
}

/// Says how often agents escalated, and what the attempts before cost.
pub fn escalation(escalation: &Escalation) -> Vec<String> {
    if escalation.climbs == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{}; of agents {}, of runs {}",
        words::plural(escalation.climbs, "escalation"),
        share(escalation.agents),
        share(escalation.runs)
    )];
    for cost in escalation.cost.iter().filter(|cost| cost.cost_nusd > 0 || cost.unknown > 0) {
        let known = words::cost(cost.cost_nusd, cost.unknown == 0, cost.mode);
        let rest = match (cost.unknown, cost.share) {
            (0, Some(share)) => format!(", {:.0} % of what was spent", share * 100.0),
            (0, None) => String::new(),
            (unknown, _) => format!(" ({} unknown)", words::count(unknown)),
        };
        lines.push(format!("attempts before an escalation cost {known}{rest}"));
    }
    lines
}

fn tiers(out: &Printer, tiers: &[TierLine]) -> String {
    let on_terminal = out.width().is_some();
    let mut columns = vec![
        Column::new("role", Fit::Words),
        Column::new("tier", Fit::Whole),
        Column::new("model", Fit::Words).once().optional(2),
        Column::new("attempts", Fit::Number).optional(5),
        Column::new("first attempts passed", Fit::Words),
        Column::new("passed after a failure", Fit::Words).optional(1),
        Column::new("recently", Fit::Words).optional(4),
        Column::new("cost p50 / p90", Fit::Words),
        Column::new("duration p50 / p90", Fit::Words).optional(3),
    ];
    if on_terminal {
        columns.push(Column::new("", Fit::Whole).optional(6));
    }
    let mut table = Table::new(out, &columns);
    for line in tiers {
        let mut cells = vec![
            line.role.clone(),
            line.tier.name().to_owned(),
            line.model.clone().unwrap_or_else(|| "unknown".to_owned()),
            words::count(line.attempts),
            rate(line.pass_first, line),
            rate(line.pass_after_failure, line),
            line.pass_recent.map_or_else(|| "-".to_owned(), |share| rounded(share.value)),
            money_each(&line.money),
            lengths(&line.latency),
        ];
        if on_terminal {
            cells.push(drawn(line.pass_first.or(line.pass)));
        }
        table.row(cells);
    }
    table.finish()
}

fn criteria(out: &Printer, criteria: &[CriterionLine], min_sample: u64) -> String {
    let on_terminal = out.width().is_some();
    let mut columns = vec![
        Column::new("role", Fit::Words),
        Column::new("criterion", Fit::Words),
        Column::new("passed", Fit::Number),
        Column::new("failed", Fit::Number),
        Column::new("unknown", Fit::Number).optional(2),
        Column::new("caught alone", Fit::Number).optional(1),
    ];
    if on_terminal {
        columns.push(Column::new("", Fit::Whole).optional(3));
    }
    columns.push(Column::new("", Fit::Below));
    let mut table = Table::new(out, &columns);
    for line in criteria {
        let never = line.failed == 0 && line.passed >= min_sample;
        let mut cells = vec![
            line.role.clone(),
            line.criterion.clone(),
            words::count(line.passed),
            words::count(line.failed),
            words::count(line.unknown),
            words::count(line.caught_alone),
        ];
        if on_terminal {
            cells.push(bar(line.failed as f64, (line.passed + line.failed) as f64, BAR));
        }
        cells.push(if never { never_caught(line) } else { String::new() });
        table.row(cells);
    }
    table.finish()
}

/// Draws a share with its interval; nothing where none is claimed.
fn drawn(share: Option<Share>) -> String {
    share.map_or_else(String::new, |share| interval(share.low, share.value, share.high, INTERVAL))
}

/// Draws the share of successes over time: by week for each mode, or by day when there are few weeks.
fn over_time(report: &TemplateReport, analytics: &Analytics, width: usize) -> Vec<String> {
    /// Columns for the indent, the axis and its labels.
    const AXIS: usize = 12;
    let most = PERIODS_MAX.min(width.saturating_sub(AXIS));
    let weeks: Vec<_> = modes(analytics)
        .into_iter()
        .filter_map(|mode| Some((mode, success_columns(analytics, mode, most)?)))
        .filter(|(_, (values, ..))| values.len() >= WEEKS_MIN)
        .collect();
    if !weeks.is_empty() {
        let drawing = |(mode, (values, first, last)): (Mode, (Vec<Option<f64>>, String, String))| {
            let lines = columns(&values, Unit::Share, (most, HEIGHT), (&first, &last));
            std::iter::once(format!("{mode} runs that succeeded, by week (UTC)")).chain(lines).collect::<Vec<_>>()
        };
        return weeks.into_iter().flat_map(drawing).collect();
    }
    let shown = &report.days[report.days.len().saturating_sub(most)..];
    let (Some(first), Some(last), true) = (shown.first(), shown.last(), shown.len() > 1) else { return Vec::new() };
    let values: Vec<Option<f64>> = shown.iter().map(success_of).collect();
    let lines = columns(&values, Unit::Share, (most, HEIGHT), (&first.date, &last.date));
    std::iter::once("runs that succeeded, by day with runs (UTC)".to_owned()).chain(lines).collect()
}

/// Says that a criterion has caught nothing, and how often it may all the same.
fn never_caught(line: &CriterionLine) -> String {
    let at_most =
        line.pass.map_or_else(String::new, |pass| format!(" (95 %: in at most {:.1} % of attempts)", (1.0 - pass.low) * 100.0));
    format!("has never caught anything{at_most}")
}

fn failures(failures: &Failures) -> Vec<String> {
    let mut lines = Vec::new();
    if !failures.attempts.is_empty() {
        let mut reasons: Vec<(&String, &u64)> = failures.attempts.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let each: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {}", words::count(**count))).collect();
        lines.push(format!("attempts: {}", each.join(", ")));
    }
    lines.extend(failures.agents.iter().map(agent_failures));
    lines
}

/// Says how often a role failed, and why where that is known.
pub fn agent_failures(line: &AgentFailures) -> String {
    let why = match line.reason.as_str() {
        imported if imported == FailureReason::Imported.name() => "another system's reason",
        reason => reason,
    };
    format!("{} failed: {why}, {}", sanitize::line(&line.role), words::plural(line.count, "time"))
}

fn tools(out: &Printer, tools: &[ToolLine]) -> String {
    let columns = [
        Column::new("tool", Fit::Words),
        Column::new("calls", Fit::Number),
        Column::new("ok", Fit::Number),
        Column::new("failed", Fit::Number),
        Column::new("duration p50 / p90", Fit::Whole).optional(1),
        Column::new("attempts passed", Fit::Whole).optional(2),
    ];
    let mut table = Table::new(out, &columns);
    for line in tools {
        let passed = share(line.passed);
        let cells = [words::count(line.calls), words::count(line.ok), words::count(line.failed), lengths(&line.latency), passed];
        table.row(std::iter::once(line.tool.clone()).chain(cells));
    }
    table.finish()
}

/// Says where another start is cheaper.
pub fn advice(advice: &Advice) -> String {
    let verb = match advice.advice {
        Move::Downgrade => "could start lower",
        Move::Upgrade => "should start higher",
    };
    format!(
        "{} {verb}, at {} instead of {}: expected {} instead of {} per task; {} passes {} of first attempts for {}, one at the higher tier costs {}",
        sanitize::line(&advice.role),
        advice.to,
        advice.from,
        words::cost(advice.expected_to_nusd, true, advice.mode),
        NanoUsd(advice.expected_from_nusd),
        advice.lower.tier,
        share(Some(advice.lower.pass)),
        NanoUsd(advice.lower.mean_nusd),
        NanoUsd(advice.higher_mean_nusd),
    )
}

/// Says what is more expensive and not better.
pub fn dominated(found: &Dominated) -> String {
    let side = |side: &Side| {
        let model = side.model.as_deref().map_or_else(String::new, |model| format!(" ({})", sanitize::line(model)));
        format!("{}{model}, {} at {}", side.tier, share(Some(side.pass)), NanoUsd(side.mean_nusd))
    };
    format!(
        "{}: {} is more expensive and not better than {}; difference {} points ({} to {}), {} money",
        sanitize::line(&found.role),
        side(&found.dearer),
        side(&found.cheaper),
        points(found.difference.value),
        points(found.difference.low),
        points(found.difference.high),
        found.mode,
    )
}

/// Says which answer goes with what.
pub fn answer(found: &AnswerFinding) -> String {
    let what = if found.difference.value > 0.0 { "failure" } else { "success" };
    format!(
        "{} = {} goes with {what}: {} of {} failed, {} of {} without it; difference {} points ({} to {}), q {}",
        sanitize::line(&found.question),
        words::value(&found.value),
        rounded(found.with.value),
        words::plural(found.with.n, "run"),
        rounded(found.without.value),
        words::count(found.without.n),
        points(found.difference.value),
        points(found.difference.low),
        points(found.difference.high),
        p_value(found.q),
    )
}

/// Says in what a run is unlike the others.
pub fn anomaly(found: &Anomaly) -> String {
    let (what, value, median) = match found.what.as_str() {
        "cost_nusd" => ("cost", NanoUsd(found.value).to_string(), NanoUsd(found.median).to_string()),
        "duration_ms" => ("duration", time::duration(found.value), time::duration(found.median)),
        _ => ("attempts", words::count(found.value), words::count(found.median)),
    };
    let day: String = found.started_at.chars().take(10).collect();
    format!("{} of {day}: {what} {value}, median {median} (z {:.1})", found.run_id, found.z)
}

/// Shows what is known of one kind of attempts: that there were too few only where there are enough of both together.
pub fn rate(kind: Option<Share>, line: &TierLine) -> String {
    if kind.is_none() && line.pass.is_some() { "-".to_owned() } else { share(kind) }
}

fn rounded(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

fn points(value: f64) -> String {
    format!("{:+.0}", value * 100.0)
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// Shows what something cost, each kind of money by itself.
pub fn money_each(money: &[Money]) -> String {
    let each = money.iter().map(|money| {
        let kind = if money.mode == Mode::Real { String::new() } else { format!(" {}", money.mode) };
        let unknown = if money.unknown > 0 { format!(" ({} unknown)", words::count(money.unknown)) } else { String::new() };
        match (money.p50_nusd, money.p90_nusd) {
            (Some(p50), Some(p90)) => format!("{} / {}{kind}{unknown}", NanoUsd(p50), NanoUsd(p90)),
            _ => format!("unknown{kind}"),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Shows the durations of runs, or marked as such, those of their attempts together where that is all that is known.
pub fn run_lengths(line: &TemplateLine) -> String {
    match (line.duration.n, line.attempts_duration.n) {
        (0, 1..) => format!("Σ {} in attempts", lengths(&line.attempts_duration)),
        _ => lengths(&line.duration),
    }
}

/// Shows lengths of time.
pub fn lengths(lengths: &Lengths) -> String {
    match (lengths.p50_ms, lengths.p90_ms) {
        (Some(p50), Some(p90)) => format!("{} / {}", time::duration(p50), time::duration(p90)),
        _ => "unknown".to_owned(),
    }
}

/// Returns the share of successes on a day; `None` when nothing was judged.
pub fn success_of(day: &DayLine) -> Option<f64> {
    let all = day.succeeded + day.failed;
    (all > 0).then(|| day.succeeded as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::report::EscalationCost;

    #[test]
    fn what_escalations_cost_is_at_least_what_is_known_of_it() {
        let said = |cost_nusd, unknown, share| {
            let cost = vec![EscalationCost { mode: Mode::Imported, cost_nusd, unknown, share }];
            let lines = escalation(&Escalation { climbs: 20, agents: None, runs: None, cost });
            lines.get(1).cloned().unwrap_or_default()
        };
        let some = "attempts before an escalation cost at least $0.500 imported (15 unknown)";
        assert_eq!(said(500_000_000, 15, None), some);
        assert_eq!(said(0, 20, None), "attempts before an escalation cost unknown imported (20 unknown)");
        assert!(
            said(500_000_000, 0, Some(0.25)).ends_with("imported, 25 % of what was spent"),
            "{}",
            said(500_000_000, 0, Some(0.25))
        );
        assert_eq!(said(0, 0, None), "");
    }

    #[test]
    fn a_failure_without_a_reason_is_told_as_such() {
        let said = |reason: &str, count| {
            let line = AgentFailures { role: "linter".to_owned(), reason: reason.to_owned(), count };
            agent_failures(&line)
        };
        assert_eq!(said("imported", 1), "linter failed: another system's reason, 1 time");
        assert_eq!(said("criteria", 2), "linter failed: criteria, 2 times");
    }
}
