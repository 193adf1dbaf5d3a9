//! `bench route`: models, chains of two models with their routers, calibration, and strategies.

use crate::cli::output::Printer;
use crate::cli::output::table::{Column, Fit, Table};
use crate::memory::advice::metrics::Interval;
use crate::memory::advice::summary::{Bin, ChainLine, Difference, IntervalLine, RouterLine};
use crate::workspace::memory::bench_route::RouteReport;

/// Chains up to which calibration and thresholds are shown for each.
const DETAILED_MAX: usize = 4;

/// Shows what was measured.
pub fn bench_route(out: &Printer, measured: &RouteReport) -> String {
    let report = &measured.report;
    let mut parts = vec![models(out, measured)];
    for chain in &report.chains {
        parts.push(format!(
            "{} ({}) -> {} ({})\n{}",
            chain.weak,
            percent(chain.weak_quality),
            chain.strong,
            percent(chain.strong_quality),
            routers(out, chain)
        ));
        if report.chains.len() <= DETAILED_MAX {
            parts.push(format!("benefit, expected and observed\n{}", bins(out, &chain.benefit_calibration)));
            parts.push(format!(
                "chance that {} passes, expected and observed\n{}",
                chain.weak,
                bins(out, &chain.pass_calibration)
            ));
            parts.push(format!("ranked by benefit: quality and cost by share\n{}", thresholds(out, chain)));
        }
    }
    parts.push(strategies(out, measured));
    if let Some(difference) = &report.adaptive_over_progressive {
        parts.push(against(difference));
    }
    if !report.intervals.is_empty() {
        parts.push(format!(
            "pass rates of first attempts by role and tier, from a cheap-first history\n{}",
            intervals(out, &report.intervals)
        ));
    }
    if !report.task_intervals.is_empty() {
        parts.push(format!("the same, said of single tasks\n{}", intervals(out, &report.task_intervals)));
    }
    parts.join("\n\n")
}

/// Says how it was measured.
pub fn about(measured: &RouteReport) -> String {
    let report = &measured.report;
    format!(
        "{} of {} tasks to learn from, {} to measure on, {} splits from seed {}; embedded by {}; learned in {:.0} ms, {:.2} ms a task",
        report.history,
        report.tasks,
        report.test,
        report.splits,
        report.seed,
        measured.embedder,
        measured.fit_ms,
        measured.answer_ms
    )
}

fn models(out: &Printer, measured: &RouteReport) -> String {
    let columns = [("model", Fit::Words), ("quality", Fit::Number), ("cost", Fit::Number), ("dominated by", Fit::Words)];
    let mut table = Table::new(out, &columns);
    for line in &measured.report.models {
        table.row([
            line.model.clone(),
            percent(line.quality),
            cost(line.cost_usd),
            line.dominated_by.clone().unwrap_or_default(),
        ]);
    }
    table.finish()
}

fn routers(out: &Printer, chain: &ChainLine) -> String {
    let columns = [
        Column::new("ranked by", Fit::Whole),
        Column::new("APGR", Fit::Number),
        Column::new("sd", Fit::Number).optional(2),
        Column::new("95 % of one split", Fit::Number).optional(1),
        Column::new("CPT(50)", Fit::Number),
        Column::new("CPT(80)", Fit::Number),
        Column::new("cost at best quality", Fit::Number).optional(3),
    ];
    let mut table = Table::new(out, &columns);
    for line in &chain.routers {
        table.row(router(line));
    }
    table.finish()
}

fn router(line: &RouterLine) -> [String; 7] {
    [
        line.router.to_owned(),
        number(line.apgr),
        number(line.apgr_sd),
        line.apgr_interval.map_or_else(none, |interval| between(&interval, |value| format!("{value:.3}"))),
        line.cpt50.map_or_else(none, percent),
        line.cpt80.map_or_else(none, percent),
        line.cost_at_best_share.map_or_else(none, percent),
    ]
}

fn bins(out: &Printer, bins: &[Bin]) -> String {
    let mut table = Table::new(out, &[("expected", Fit::Number), ("observed", Fit::Number), ("tasks", Fit::Number)]);
    for bin in bins {
        table.row([percent(bin.expected), percent(bin.observed), bin.count.to_string()]);
    }
    table.finish()
}

fn thresholds(out: &Printer, chain: &ChainLine) -> String {
    let mut table = Table::new(out, &[("share", Fit::Number), ("quality", Fit::Number), ("cost", Fit::Number)]);
    let line = chain.routers.iter().find(|line| line.router == "benefit");
    for share in line.map_or(&[][..], |line| &line.shares) {
        table.row([percent(share.share), percent(share.quality), cost(share.cost_usd)]);
    }
    table.finish()
}

fn strategies(out: &Printer, measured: &RouteReport) -> String {
    let mut table = Table::new(out, &[("strategy", Fit::Words), ("quality", Fit::Number), ("cost", Fit::Number)]);
    for line in &measured.report.strategies {
        table.row([line.strategy.clone(), percent(line.quality), cost(line.cost_usd)]);
    }
    table.finish()
}

fn intervals(out: &Printer, lines: &[IntervalLine]) -> String {
    let columns = [
        Column::new("teams", Fit::Words),
        Column::new("tier", Fit::Whole),
        Column::new("intervals", Fit::Number).optional(3),
        Column::new("90 % hold", Fit::Number),
        Column::new("95 % hold", Fit::Number),
        Column::new("width at 90 %", Fit::Number).optional(1),
        Column::new("bounds at 90 %", Fit::Number).optional(2),
        Column::new("bias", Fit::Number).optional(4),
    ];
    let mut table = Table::new(out, &columns);
    for line in lines {
        let kind = if line.each_better { "each better" } else { "none cheaper" };
        table.row([
            format!("{} tiers, {kind}", line.tiers),
            format!("{}", line.tier),
            line.count.to_string(),
            percent(line.held_90),
            percent(line.held_95),
            percent(line.width_90),
            percent(line.bounds_90),
            format!("{:+.1} %", line.bias * 100.0),
        ]);
    }
    table.finish()
}

fn against(difference: &Difference) -> String {
    let signed = |value: f64| format!("{:+.1} %", value * 100.0);
    let interval = |interval: &Option<Interval>| interval.as_ref().map_or_else(none, |interval| between(interval, signed));
    format!(
        "adaptive against progressive: cost {} ({}), quality {} ({})",
        signed(difference.cost),
        interval(&difference.cost_interval),
        signed(difference.quality),
        interval(&difference.quality_interval)
    )
}

fn none() -> String {
    "-".to_owned()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(none, |value| format!("{value:.3}"))
}

fn between(interval: &Interval, show: impl Fn(f64) -> String) -> String {
    format!("{} to {}", show(interval.low), show(interval.high))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Shows US dollars with four significant digits: costs of single tasks are small.
fn cost(usd: f64) -> String {
    if usd == 0.0 {
        return "$0".to_owned();
    }
    let digits = usize::try_from((3.0 - usd.abs().log10().floor()).clamp(2.0, 12.0) as i64).unwrap_or(2);
    format!("${usd:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_costs_keep_their_digits() {
        assert_eq!((cost(0.0), cost(0.000_075_72), cost(12.5)), ("$0".to_owned(), "$0.00007572".to_owned(), "$12.50".to_owned()));
    }
}
