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
    let has_none = sum.calls > sum.failed && sum.tokens.total_input() == 0 && sum.tokens.output == 0;
    let tokens = |tokens: u64| words::tokens(tokens, u64::from(has_none));
    let mut cost = words::cost(sum.cost_nusd, sum.unknown == 0, Mode::Real);
    if sum.unknown > 0 {
        cost.push_str(&format!(" ({} unknown)", words::count(sum.unknown)));
    }
    let took = lengths(&sum.latency);
    let (input, output) = (tokens(sum.tokens.total_input()), tokens(sum.tokens.output));
    [words::count(sum.calls), words::count(sum.failed), input, output, took, cost].map(Entry::from)
}
