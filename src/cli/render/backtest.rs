//! Estimates for other strategies from recorded runs, for people.

use super::super::output::table::{Column, Entry, Fit, Table};
use super::super::output::{HEADING, Printer, WARN, sanitize, styled, words};
use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;
use crate::domain::percent;
use crate::domain::tier::{Strategy, Tier};
use crate::workspace::memory::backtest::{Backtest, Estimate, PolicyReport, Whatif, WhatifAgent, WhatifOutcome, WhatifStrategy};

/// Shows a back-test.
pub fn backtest(out: &Printer, report: &Backtest) -> String {
    let money = report.money.filter(|mode| *mode != Mode::Real).map_or_else(String::new, |mode| format!(" ({})", mode.name()));
    let mut parts = vec![format!("{} of {}", words::plural(report.tasks, "task"), words::plural(report.runs, "run"))];
    let cost = format!("cost per task{money}");
    let columns = [
        Column::new("strategy", Fit::Whole),
        Column::new("known", Fit::Whole).optional(2),
        Column::new("success where known", Fit::Words),
        Column::new("of all tasks", Fit::Whole).optional(1),
        Column::new(cost.as_str(), Fit::Words),
        Column::new("", Fit::Below),
    ];
    let mut table = Table::new(out, &columns);
    for policy in &report.policies {
        let compared = policy.strategy.map_or_else(String::new, |_| {
            let (success, cost) = (points(policy.success_gain.as_ref()), difference(policy.cost_gain_nusd.as_ref()));
            format!("compared with the record: success {success}, cost {cost}")
        });
        table.row([
            Entry::from(policy.strategy.map_or("as recorded", Strategy::name)),
            Entry::from(known(policy)),
            Entry::from(share(policy.success.as_ref())),
            Entry::from(bounds(policy)),
            Entry::from(amount(policy.cost_nusd.as_ref())),
            Entry::from(compared),
        ]);
    }
    parts.push(table.finish());
    let mut notes: Vec<String> = report.policies.iter().filter_map(missing).collect();
    notes.extend(report.notices.iter().map(|notice| sanitize::line(notice).into_owned()));
    parts.push(notes.iter().map(|note| format!("{} {note}", styled(WARN, "note:"))).collect::<Vec<_>>().join("\n"));
    parts.push("In brackets: 95 % intervals. `of all tasks`: the bounds whatever the unknown outcomes are.".to_owned());
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn known(policy: &PolicyReport) -> String {
    format!("{:.0} %", (1.0 - policy.unknown_share) * 100.0)
}

fn missing(policy: &PolicyReport) -> Option<String> {
    let name = policy.strategy?.name();
    let at = Tier::ALL.into_iter().filter_map(|tier| {
        let tasks = policy.unknown_at.get(tier.name())?;
        Some(format!("{} never tried {tier}", words::count(*tasks)))
    });
    let told = (policy.told_more > 0).then(|| format!("{} had more context", words::count(policy.told_more)));
    let unverified = (policy.unverified > 0).then(|| format!("{} could not be judged", words::count(policy.unverified)));
    let all: Vec<String> = at.chain(told).chain(unverified).collect();
    let tasks = words::plural(policy.known + policy.unknown, "task");
    (!all.is_empty()).then(|| format!("{name}: of {tasks} {}", all.join(", ")))
}

fn share(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(
        || "unknown".to_owned(),
        |estimate| match (estimate.low, estimate.high) {
            (Some(low), Some(high)) => {
                let [value, low, high] = percent::numbers(estimate.value, low, high);
                format!("{value} % ({low} to {high})")
            }
            _ => format!("{:.0} %", estimate.value * 100.0),
        },
    )
}

fn bounds(policy: &PolicyReport) -> String {
    let (low, high) = (policy.success_bounds.low * 100.0, policy.success_bounds.high * 100.0);
    if (high - low).abs() < 0.5 { format!("{low:.0} %") } else { format!("{low:.0} to {high:.0} %") }
}

fn amount(estimate: Option<&Estimate>) -> String {
    let show = |nano: f64| NanoUsd(nano.max(0.0).round() as u64).to_string();
    estimate.map_or_else(|| "unknown".to_owned(), |estimate| format!("{}{}", show(estimate.value), interval(estimate, show)))
}

fn points(estimate: Option<&Estimate>) -> String {
    let show = |share: f64| {
        // Gains of less than a point are gains too.
        let is_small =
            estimate.is_some_and(|estimate| estimate.low.zip(estimate.high).is_some_and(|(low, high)| high - low < 0.02));
        if is_small { format!("{:+.1}", share * 100.0) } else { format!("{:+.0}", share * 100.0) }
    };
    estimate
        .map_or_else(|| "unknown".to_owned(), |estimate| format!("{} points{}", show(estimate.value), interval(estimate, show)))
}

fn difference(estimate: Option<&Estimate>) -> String {
    let show = |nano: f64| {
        let sign = if nano < 0.0 { "-" } else { "+" };
        format!("{sign}{}", NanoUsd(nano.abs().round() as u64))
    };
    estimate.map_or_else(|| "unknown".to_owned(), |estimate| format!("{}{}", show(estimate.value), interval(estimate, show)))
}

fn interval(estimate: &Estimate, show: impl Fn(f64) -> String) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!(" ({} to {})", show(low), show(high)),
        _ => String::new(),
    }
}

/// Shows the estimates from one run.
pub fn whatif(out: &Printer, report: &Whatif) -> String {
    let cost = |nano: Option<u64>| nano.map_or_else(|| "unknown".to_owned(), |nano| words::cost(nano, true, report.mode));
    let template = styled(HEADING, sanitize::line(&report.template_id));
    let mut parts = vec![format!("{template} · run {} · cost {}", report.run_id, cost(report.recorded_cost_nusd))];
    for strategy in &report.strategies {
        let columns =
            [("agent", Fit::Words), ("as recorded", Fit::Words), (strategy.strategy.name(), Fit::Words), ("cost", Fit::Whole)];
        let mut table = Table::new(out, &columns);
        for agent in &strategy.agents {
            table.row([
                Entry::from(agent.role.as_str()),
                Entry::from(as_it_was(agent)),
                Entry::from(as_it_would_be(agent)),
                Entry::from(cost(agent.cost_nusd)),
            ]);
        }
        parts.push(table.finish());
        parts.push(sum(strategy, &cost));
    }
    if report.strategies.iter().flat_map(|strategy| &strategy.agents).any(|agent| agent.told_more) {
        parts.push(
            "after failures: that attempt knew of failures which the strategy would not have made, and might have gone otherwise"
                .to_owned(),
        );
    }
    parts.join("\n\n")
}

fn as_it_was(agent: &WhatifAgent) -> String {
    let tiers: Vec<String> = agent.recorded.iter().map(|tier| format!("{} {}", tier.tier, name(tier.outcome))).collect();
    tiers.join(", ")
}

fn as_it_would_be(agent: &WhatifAgent) -> String {
    match agent.unknown_at {
        Some(tier) => format!("unknown: never tried at {tier}"),
        None if agent.told_more => format!("{}, after failures", name(agent.outcome)),
        None => name(agent.outcome).to_owned(),
    }
}

fn sum(strategy: &WhatifStrategy, cost: &dyn Fn(Option<u64>) -> String) -> String {
    let all = strategy.agents.len() as u64;
    let unknown = match strategy.unknown {
        0 => String::new(),
        some => format!("; {some} of {} unknown", words::plural(all, "agent")),
    };
    format!("{} would have cost {}{unknown}", strategy.strategy, cost(strategy.cost_nusd))
}

fn name(outcome: WhatifOutcome) -> &'static str {
    match outcome {
        WhatifOutcome::Passed => "passed",
        WhatifOutcome::Unverified => "passed, unverified",
        WhatifOutcome::Failed => "failed",
        WhatifOutcome::Unknown => "not judged",
    }
}
