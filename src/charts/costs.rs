//! Costs as bars: over time, or beside names. Each kind of money is a drawing of its own, and what is unknown is marked, not zero.

use std::collections::{BTreeMap, HashMap};

use super::axis::Unit;
use super::calendar::Period;
use super::drawing::Meaning;
use super::stacked::{Bar, Limit, NamedBar, SERIES_MAX, Segment, StackedBars, named_bars};
use super::{figure, fluid};
use crate::analytics::spending::{CostLine, CostReport, CostTotal, TokenSum, value_words};
use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;

/// Rows drawn beside names; a table has the others.
const NAMED_MAX: usize = 12;

/// Says where a row of costs leads.
pub type Links<'a> = &'a dyn Fn(&CostLine) -> Option<String>;

/// What is drawn of one kind of money.
#[derive(Clone, Debug, PartialEq)]
pub enum CostChart {
    /// Over time.
    OverTime {
        /// The bars.
        bars: StackedBars,
        /// Earlier periods are not drawn.
        is_cut: bool,
    },
    /// Beside names.
    Named {
        /// The bars.
        bars: Vec<NamedBar>,
        /// How many more there are.
        more: usize,
    },
}

impl CostChart {
    /// Writes it as a figure.
    pub fn figure(&self) -> String {
        match self {
            Self::OverTime { bars, .. } => fluid(bars, &self.left_out()),
            Self::Named { bars, .. } => {
                figure(|width| named_bars("cost, the most expensive first", bars, width), &self.left_out())
            }
        }
    }

    /// Says what is not drawn; empty when everything is.
    fn left_out(&self) -> String {
        match self {
            Self::OverTime { bars, is_cut: true } => format!("the newest {} are drawn", bars.bars.len()),
            Self::Named { bars, more: 1.. } => format!("the {} most expensive are drawn", bars.len()),
            _ => String::new(),
        }
    }
}

/// Returns what of one kind of money is drawn; `None` when there is none. Over time when costs are asked for by day, week or month
/// first, with `periods_max` periods at most. `day_budget` is what a UTC day may cost, in nUSD.
pub fn cost_chart(
    report: &CostReport,
    mode: Mode,
    periods_max: usize,
    day_budget: Option<u64>,
    links: Links<'_>,
) -> Option<CostChart> {
    let rows: Vec<&CostLine> = report.rows.iter().filter(|row| row.total.mode == mode).collect();
    if rows.is_empty() {
        return None;
    }
    let Some(period) = report.by.first().and_then(|by| Period::of(by)) else {
        let bar = |row: &&CostLine| NamedBar {
            name: series_name(row, 0),
            value: row.total.cost_nusd as f64,
            words: words(&row.total),
            class: "s0".to_owned(),
            meaning: meaning(row, links),
        };
        let more = rows.len().saturating_sub(NAMED_MAX);
        return Some(CostChart::Named { bars: rows.iter().take(NAMED_MAX).map(bar).collect(), more });
    };
    // The series that cost the most have a colour of their own; the last colour is for all others.
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry(series_name(row, 1)).or_default();
        *sum = sum.saturating_add(row.total.cost_nusd);
    }
    let mut series: Vec<(String, u64)> = sums.into_iter().collect();
    series.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    let own = if series.len() > SERIES_MAX { SERIES_MAX - 1 } else { series.len() };
    let others = series.len() - own;
    let mut names: Vec<String> = series.into_iter().take(own).map(|(name, _)| name).collect();
    let places: HashMap<String, usize> = names.iter().cloned().enumerate().map(|(place, name)| (name, place)).collect();
    if others > 0 {
        names.push(format!("{others} others"));
    }
    let when = |row: &CostLine| row.key.values().next().cloned().flatten().unwrap_or_default();
    let first: Vec<String> = rows.iter().map(|row| when(row)).collect();
    let (periods, is_cut) = period.filled(first.iter().map(String::as_str), periods_max);
    let mut held: HashMap<&str, Vec<&CostLine>> = HashMap::new();
    for (row, when) in rows.iter().zip(&first) {
        held.entry(when).or_default().push(row);
    }
    let bar = |label: &String| {
        let rows = held.get(label.as_str()).map(Vec::as_slice).unwrap_or_default();
        let (named, rest): (Vec<_>, Vec<_>) =
            rows.iter().map(|row| (places.get(&series_name(row, 1)), *row)).partition(|(series, _)| series.is_some());
        let segment =
            |series: usize, row: &CostLine, meaning: Meaning| Segment { series, value: row.total.cost_nusd as f64, meaning };
        let mut segments: Vec<Segment> =
            named.into_iter().map(|(series, row)| segment(series.copied().unwrap_or(own), row, meaning(row, links))).collect();
        match rest.as_slice() {
            [] => {}
            [(_, row)] => segments.push(segment(own, row, meaning(row, links))),
            // They have one colour, and are too many to be told apart.
            many => {
                let together = together(many.iter().map(|(_, row)| *row), label);
                let title = format!("{label} · {} others: {}, {}", many.len(), words(&together.total), calls(&together.total));
                segments.push(segment(own, &together, Meaning { title, href: links(&together) }));
            }
        }
        segments.sort_by_key(|segment| segment.series);
        let unknown: u64 = rows.iter().map(|row| row.total.unknown).sum();
        let unknown = (unknown > 0).then(|| format!("the cost of {unknown} calls is unknown"));
        Bar { label: label.clone(), segments, unknown }
    };
    let days = match period {
        Period::Day => Some((1, "budget of a UTC day")),
        Period::Week => Some((7, "7 × the budget of a UTC day")),
        Period::Month => None,
    };
    let limit = day_budget.zip(days).filter(|_| mode == Mode::Real && report.only.is_empty());
    let bars = StackedBars {
        label: format!("{} cost by {}", mode.name(), report.by.join(", ")),
        unit: Unit::Money,
        series: names,
        bars: periods.iter().map(bar).collect(),
        limit: limit.map(|(budget, (days, words))| {
            let value = budget.saturating_mul(days);
            Limit { value: value as f64, label: format!("{words}, {}", NanoUsd(value)) }
        }),
    };
    Some(CostChart::OverTime { bars, is_cut })
}

/// Returns how many days, weeks or months lie between the first and the last row, both counted; 0 when costs were not asked for by time.
pub fn periods(report: &CostReport) -> usize {
    /// More is too much to draw, whatever it is.
    const MANY: usize = 10_000;
    let Some(period) = report.by.first().and_then(|by| Period::of(by)) else { return 0 };
    let names = report.rows.iter().filter_map(|row| row.key.values().next()?.as_deref());
    period.filled(names, MANY).0.len()
}

/// Returns the known cost of each period without its parts, without gaps, for a drawing in text; with the first and the last name. `None`
/// when costs were not asked for by time.
pub fn cost_columns(report: &CostReport, mode: Mode, periods_max: usize) -> Option<(Vec<Option<f64>>, String, String)> {
    let period = Period::of(report.by.first()?)?;
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in report.rows.iter().filter(|row| row.total.mode == mode) {
        let when = row.key.values().next().and_then(Option::as_deref).unwrap_or_default();
        let held = sums.entry(when).or_default();
        *held = (held.0.saturating_add(row.total.cost_nusd), held.1 + row.total.unknown);
    }
    let (periods, _) = period.filled(sums.keys().copied(), periods_max);
    // A period in which nothing is known is not one without cost.
    let value = |name: &String| match sums.get(name.as_str()) {
        Some((0, 1..)) => None,
        Some((cost, _)) => Some(*cost as f64),
        None => Some(0.0),
    };
    Some((periods.iter().map(value).collect(), periods.first()?.clone(), periods.last()?.clone()))
}

/// Returns the values of a row from `skip` on; what is not known is said to be unknown.
pub fn series_name(row: &CostLine, skip: usize) -> String {
    let values: Vec<&str> = row.key.iter().skip(skip).map(|(by, value)| value_words(by, value.as_deref())).collect();
    if values.is_empty() { "cost".to_owned() } else { values.join(" · ") }
}

fn meaning(row: &CostLine, links: Links<'_>) -> Meaning {
    Meaning { title: format!("{}: {}, {}", series_name(row, 0), words(&row.total), calls(&row.total)), href: links(row) }
}

fn calls(total: &CostTotal) -> String {
    if total.calls == 1 { "1 call".to_owned() } else { format!("{} calls", total.calls) }
}

/// Returns the sum of rows of one period, which leads to everything of the period.
fn together<'a>(rows: impl Iterator<Item = &'a CostLine> + Clone, period: &str) -> CostLine {
    let key = rows.clone().next().and_then(|row| row.key.keys().next().cloned());
    let totals = || rows.clone().map(|row| &row.total);
    let cost = totals().map(|total| total.cost_nusd).fold(0, u64::saturating_add);
    let total = CostTotal {
        mode: totals().next().map_or(Mode::Real, |total| total.mode),
        calls: totals().map(|total| total.calls).sum(),
        unknown: totals().map(|total| total.unknown).sum(),
        cost_nusd: cost,
        cost_usd: NanoUsd(cost).to_decimal(),
        tokens: TokenSum::default(),
        cache_saved_nusd: None,
        cache_saved_complete: true,
    };
    CostLine { key: key.map(|name| (name, Some(period.to_owned()))).into_iter().collect(), total }
}

/// Shows what is known of a sum, and what kind of money it is when it is not real.
fn words(total: &CostTotal) -> String {
    let known = NanoUsd(total.cost_nusd);
    let amount = match (total.unknown, total.cost_nusd) {
        (0, _) => known.to_string(),
        (_, 0) => "unknown".to_owned(),
        _ => format!("at least {known}"),
    };
    if total.mode == Mode::Real { amount } else { format!("{amount} {}", total.mode.name()) }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    fn row(mode: Mode, key: &[(&str, &str)], cost: u64, unknown: u64) -> CostLine {
        let total = CostTotal {
            mode,
            calls: 1,
            unknown,
            cost_nusd: cost,
            cost_usd: NanoUsd(cost).to_decimal(),
            tokens: TokenSum::default(),
            cache_saved_nusd: None,
            cache_saved_complete: true,
        };
        CostLine { key: key.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect(), total }
    }

    fn report(rows: Vec<CostLine>) -> CostReport {
        CostReport {
            by: rows[0].key.keys().cloned().collect(),
            only: IndexMap::new(),
            since: None,
            until: None,
            time_zone: "UTC".into(),
            totals: Vec::new(),
            tools: Vec::new(),
            rows,
            notices: Vec::new(),
        }
    }

    #[test]
    fn kinds_of_money_are_never_in_one_drawing_and_unknown_is_marked() {
        let report = report(vec![
            row(Mode::Real, &[("day", "2026-10-01"), ("model", "a")], 5, 0),
            row(Mode::Imported, &[("day", "2026-10-01"), ("model", "b")], 9, 0),
            row(Mode::Real, &[("day", "2026-10-03"), ("model", "a")], 0, 2),
        ]);
        let Some(CostChart::OverTime { bars, is_cut: false }) = cost_chart(&report, Mode::Real, 60, Some(7), &|_| None) else {
            panic!("bars over time");
        };
        let sums: Vec<f64> = bars.bars.iter().map(|bar| bar.segments.iter().map(|segment| segment.value).sum()).collect();
        assert_eq!((sums, &bars.series), (vec![5.0, 0.0, 0.0], &vec!["a".to_owned()]), "a day without a row is there too");
        assert_eq!(bars.bars[2].unknown.as_deref(), Some("the cost of 2 calls is unknown"));
        assert_eq!(bars.bars[2].segments[0].meaning.title, "2026-10-03 · a: unknown, 1 call");
        assert_eq!(bars.limit.map(|limit| limit.value), Some(7.0));
        assert_eq!(cost_chart(&report, Mode::Simulated, 60, None, &|_| None), None);
        let (values, first, last) = cost_columns(&report, Mode::Real, 60).unwrap();
        assert_eq!((values, first.as_str(), last.as_str()), (vec![Some(5.0), Some(0.0), None], "2026-10-01", "2026-10-03"));
    }

    #[test]
    fn what_has_no_colour_of_its_own_is_with_the_others() {
        let names: Vec<String> = (0..12).map(|number| format!("m{number:02}")).collect();
        let rows = names
            .iter()
            .enumerate()
            .map(|(place, name)| row(Mode::Real, &[("month", "2026-10"), ("model", name)], 100 - place as u64, 0));
        let report = report(rows.collect());
        let Some(CostChart::OverTime { bars, .. }) =
            cost_chart(&report, Mode::Real, 60, Some(7), &|row| Some(row.key.keys().cloned().collect::<Vec<_>>().join(",")))
        else {
            panic!("bars over time");
        };
        assert_eq!((bars.series.len(), bars.series[7].as_str(), bars.limit), (8, "5 others", None));
        let segments = &bars.bars[0].segments;
        assert_eq!(segments.len(), 8, "the others are one part");
        assert_eq!(
            segments.iter().map(|segment| segment.value).sum::<f64>(),
            f64::from((89..=100).sum::<u32>()),
            "with all of them"
        );
        let others = &segments[7].meaning;
        assert_eq!(others.title, "2026-10 · 5 others: $0.000000455, 5 calls");
        assert_eq!(others.href.as_deref(), Some("month"), "they lead to everything of the month");
    }
}
