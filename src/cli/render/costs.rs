//! `costs`: one row per combination, then one total per kind of money.

use crate::analytics::spending::{CostReport, CostTotal, value_words};
use crate::charts::axis::Unit;
use crate::charts::costs::cost_columns;
use crate::charts::terminal::{bar, columns};
use crate::cli::output::table::{Column, Entry, Fit, Table};
use crate::cli::output::{HEADING, Printer, WARN, sanitize, styled, time, words};
use crate::domain::event::Mode;

/// Columns of a bar.
const BAR: usize = 16;
/// Lines of a drawing over time.
const HEIGHT: usize = 5;
/// Periods from which on it says more than the table, and those that it shows at most.
const PERIODS: (usize, usize) = (4, 120);

/// Shows what was spent.
pub fn costs(out: &Printer, report: &CostReport) -> String {
    let by_mode = report.by.iter().any(|word| word == "mode");
    let mut columns: Vec<Column<'_>> = report.by.iter().map(|word| Column::new(word.as_str(), Fit::Words)).collect();
    if !by_mode {
        columns.push(Column::new("mode", Fit::Whole).once());
    }
    columns.extend([
        Column::new("calls", Fit::Number).optional(1),
        Column::new("tokens in", Fit::Number).optional(2),
        Column::new("tokens out", Fit::Number).optional(2),
        Column::new("cost", Fit::Number),
    ]);
    let on_terminal = out.width().is_some();
    if on_terminal {
        columns.push(Column::new("", Fit::Whole).optional(3));
    }
    let mut table = Table::new(out, &columns);
    for row in &report.rows {
        let mut cells: Vec<Entry> = row.key.iter().map(|(by, value)| Entry::from(value_words(by, value.as_deref()))).collect();
        if !by_mode {
            cells.push(row.total.mode.name().into());
        }
        cells.extend(sums(&row.total));
        if on_terminal {
            // A bar compares money of one kind only.
            let largest =
                report.rows.iter().filter(|other| other.total.mode == row.total.mode).map(|other| other.total.cost_nusd);
            cells.push(bar(row.total.cost_nusd as f64, largest.max().unwrap_or(0) as f64, BAR).into());
        }
        table.row(cells);
    }
    for total in &report.totals {
        let text = if by_mode { format!("total {}", total.mode.name()) } else { "total".to_owned() };
        let mut cells: Vec<Entry> = vec![Entry::styled(HEADING, text)];
        cells.extend(report.by.iter().skip(1).map(|_| Entry::from("")));
        if !by_mode {
            cells.push(total.mode.name().into());
        }
        cells.extend(sums(total));
        table.row(cells);
    }
    let drawings =
        out.width().into_iter().flat_map(|width| over_time(report, width.into())).map(|drawing| format!("\n\n{drawing}"));
    let drawings: String = drawings.collect();
    let notices = report.notices.iter().map(|notice| format!("\n{} {}", styled(WARN, "note:"), sanitize::line(notice)));
    let saved = report.totals.iter().filter_map(|total| {
        let words = words::cache_saved(total.cache_saved_nusd, total.cache_saved_complete, total.mode)?;
        Some(format!("\n{words}"))
    });
    table.finish() + &saved.collect::<String>() + &drawings + &notices.collect::<String>()
}

/// Draws what was spent over time, each kind of money by itself, when it was asked for by time.
fn over_time(report: &CostReport, width: usize) -> Vec<String> {
    /// Columns for the axis and its labels.
    const AXIS: usize = 14;
    let drawing = |total: &CostTotal| {
        let room = PERIODS.1.min(width.saturating_sub(AXIS));
        let (values, first, last) = cost_columns(report, total.mode, room)?;
        let title = styled(HEADING, format!("{} cost by {}", total.mode.name(), report.by.first()?));
        let lines = columns(&values, Unit::Money, (room, HEIGHT), (&first, &last));
        (values.len() >= PERIODS.0).then(|| format!("{title}\n{}", lines.join("\n")))
    };
    report.totals.iter().filter_map(drawing).collect()
}

/// Shows how often tools ran and for how long.
pub fn tools(out: &Printer, report: &CostReport) -> String {
    let by_mode = report.by.iter().any(|word| word == "mode");
    let mut columns: Vec<Column<'_>> = report.by.iter().map(|word| Column::new(word.as_str(), Fit::Words)).collect();
    if !by_mode {
        columns.push(Column::new("mode", Fit::Whole).once());
    }
    columns.extend(["calls", "failed", "duration"].map(|name| Column::new(name, Fit::Number)));
    let mut table = Table::new(out, &columns);
    for row in &report.tools {
        let mut cells: Vec<Entry> = row.key.iter().map(|(by, value)| Entry::from(value_words(by, value.as_deref()))).collect();
        if !by_mode {
            cells.push(row.mode.name().into());
        }
        cells.extend([words::count(row.calls), words::count(row.failed), time::duration(row.duration_ms)].map(Entry::from));
        table.row(cells);
    }
    let notices = report.notices.iter().map(|notice| format!("\n{} {}", styled(WARN, "note:"), sanitize::line(notice)));
    table.finish() + &notices.collect::<String>()
}

fn sums(total: &CostTotal) -> [Entry; 4] {
    let tokens = |tokens: u64| words::tokens(tokens, u64::from(!total.has_tokens()));
    let mut cost = words::cost(total.cost_nusd, total.unknown == 0, Mode::Real);
    if total.unknown > 0 {
        cost.push_str(&format!(" ({} unknown)", words::count(total.unknown)));
    }
    [words::count(total.calls), tokens(total.tokens.total_input()), tokens(total.tokens.output), cost].map(Entry::from)
}
