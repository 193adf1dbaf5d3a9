//! `telemetry show`: sums over model calls, each kind of money by itself.

use super::analytics::{lengths, share};
use crate::analytics::telemetry::{CallSum, ModeCalls, TelemetryReport};
use crate::cli::output::table::{Column, Entry, Fit, Table};
use crate::cli::output::{HEADING, Printer, styled, words};
use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;

/// Shows the sums.
pub fn telemetry(out: &Printer, report: &TelemetryReport) -> String {
    report.modes.iter().map(|mode| of_mode(out, mode)).collect::<Vec<_>>().join("\n\n")
}

fn of_mode(out: &Printer, calls: &ModeCalls) -> String {
    let mut table = Table::new(
        out,
        &[
            Column::new("tier", Fit::Whole),
            Column::new("provider", Fit::Words).once(),
            Column::new("model", Fit::Words),
            Column::new("calls", Fit::Number),
            Column::new("failed", Fit::Number).optional(2),
            Column::new("tokens in", Fit::Number).optional(3),
            Column::new("tokens out", Fit::Number).optional(3),
            Column::new("duration p50 / p90", Fit::Whole).optional(1),
            Column::new("cost", Fit::Number),
        ],
    );
    for line in &calls.models {
        let text = |text: &Option<String>| Entry::from(text.as_deref().unwrap_or("unknown"));
        let head = [Entry::from(line.tier.name()), text(&line.provider), text(&line.model)];
        table.row(head.into_iter().chain(sums(&line.sum)));
    }
    let head = [Entry::styled(HEADING, "total"), Entry::from(""), Entry::from("")];
    table.row(head.into_iter().chain(sums(&calls.total)));
    let mut lines = vec![styled(HEADING, format!("{} calls", calls.mode)), table.finish()];
    lines.push(format!("input out of the provider's cache: {} of calls", share(calls.cache_hits)));
    if let Some(savings) = &calls.savings {
        lines.push(format!(
            "estimate: the same tokens at the prices of {} would have cost {} instead of {} ({})",
            savings.premium_model,
            NanoUsd(savings.premium_nusd),
            words::cost(savings.cost_nusd, true, calls.mode),
            words::plural(savings.calls, "call")
        ));
    }
    lines.join("\n")
}

fn sums(sum: &CallSum) -> [Entry; 6] {
    let tokens = |tokens: u64| match (tokens, sum.untold) {
        (tokens, 0) => words::count(tokens),
        (0, _) => "unknown".to_owned(),
        (tokens, untold) => format!("at least {} ({} unknown)", words::count(tokens), words::count(untold)),
    };
    let mut cost = words::cost(sum.cost_nusd, sum.unknown == 0, Mode::Real);
    if sum.unknown > 0 {
        cost.push_str(&format!(" ({} unknown)", words::count(sum.unknown)));
    }
    let took = lengths(&sum.latency);
    let (input, output) = (tokens(sum.tokens.total_input()), tokens(sum.tokens.output));
    [words::count(sum.calls), words::count(sum.failed), input, output, took, cost].map(Entry::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::report::Lengths;
    use crate::domain::money::TokenUsage;

    #[test]
    fn tokens_are_at_least_those_that_were_told() {
        let usage = TokenUsage { input: 1200, output: 7, ..TokenUsage::default() };
        let latency = Lengths { n: 0, p50_ms: None, p90_ms: None };
        let sum = |usage: TokenUsage, untold| CallSum {
            calls: 3,
            unknown: untold,
            failed: 0,
            untold,
            cost_nusd: 0,
            cost_usd: "0".to_owned(),
            tokens: usage.into(),
            latency,
        };
        let words = |sum: &CallSum| format!("{:?}", sums(sum));
        let some = words(&sum(usage, 2));
        assert!(some.contains("at least 1,200 (2 unknown)") && some.contains("at least 7 (2 unknown)"), "{some}");
        let all = words(&sum(usage, 0));
        assert!(all.contains("1,200") && !all.contains("at least 1"), "{all}");
        let none = words(&sum(TokenUsage::default(), 3));
        assert!(none.contains("unknown") && !none.contains("at least 0"), "{none}");
    }
}
