//! What was spent: bars over time or beside names, then the rows, each with a link to its runs. The address says all of what is shown.

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, PreEscaped, html};

use crate::analytics::spending::{CostLine, CostQuestion, CostReport, CostTotal, Dimension, Only, value_words};
use crate::charts::calendar::Period;
use crate::charts::costs::{cost_chart, series_name};
use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::domain::event::Mode;
use crate::domain::ids::TimeNs;
use crate::ui::{Answer, Page, Params, Request, Ui, element};

/// Days, weeks or months that are drawn, the newest.
const PERIODS_MAX: usize = 62;
/// The time before anything that can have been spent.
const ALL: &str = "1970-01-01";
/// Rows of the table on one page.
const ROWS: usize = 60;

/// What the form offers to group by, besides time.
const PARTS: [&str; 8] = ["model", "tier", "template", "role", "label", "provider", "purpose", "workspace"];
const PERIODS: [&str; 3] = ["day", "week", "month"];
const MODES: [Mode; 3] = [Mode::Real, Mode::Imported, Mode::Simulated];

/// Shows what was spent.
///
/// # Errors
/// When the address cannot be read, or the store.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    // What nobody asked for stands in no field and no link: each kind of time has its own default.
    let narrowed = newest(ui, request)?;
    let since = narrowed.as_ref().and_then(|narrowed| narrowed.query.get("since"));
    let counted = narrowed.as_ref().unwrap_or(request);
    let asked = question(ui, counted)?;
    let report = ui.workspace.memory().costs(&asked, &ui.zone)?;
    let day_budget = ui.workspace.resolved.settings.per_day_budget.map(|budget| budget.0);
    let links = |row: &CostLine| runs_of(&counted.query, row);
    let charts = MODES.into_iter().filter_map(|mode| {
        let chart = cost_chart(&report, mode, PERIODS_MAX, day_budget, &links)?;
        let total = report.totals.iter().find(|total| total.mode == mode)?;
        let known = words::cost(total.cost_nusd, total.unknown == 0, Mode::Real);
        let saved = words::cache_saved(total.cache_saved_nusd, total.cache_saved_complete, total.mode);
        Some((mode, known, total.calls, total.unknown, saved, chart))
    });
    let body = html! {
        h1 { "Costs" }
        (form(&asked, request))
        (chips(request))
        @if let Some(since) = since {
            p class="hint" {
                "Since no time is set: the newest " (PERIODS_MAX) " " (asked.by[0].name()) "s until something was last spent, from " (since) " on. "
                a href=(request.query.with("since", Some(ALL)).link("/costs")) { "The whole time" }
            }
        }
        @for words in cut_off(&asked, &report, &ui.zone) { p class="notice" { (words) } }
        @for notice in &report.notices { p class="notice" { (element::line(notice)) } }
        @if !report.tools.is_empty() { (tools(&report)) }
        @if report.rows.is_empty() && report.tools.is_empty() {
            p class="card" { "Nothing was spent then." }
        }
        @for (mode, known, calls, unknown, saved, chart) in charts {
            section class="card" {
                h2 { (mode_words(mode)) ": " (known) }
                p class="hint" {
                    (words::plural(calls, "call"))
                    @if unknown > 0 { "; the cost of " (words::count(unknown)) " of them is unknown" }
                    @if mode == Mode::Simulated { "; no model was called, these are estimates" }
                    @if let Some(saved) = saved { "; " (saved) }
                }
                (PreEscaped(chart.figure()))
            }
        }
        @if !report.rows.is_empty() { (table(&report, request, &counted.query)?) }
        p class="hint" {
            "A call counts on its own day; a number leads to the runs that were under way then. Days are those of " (report.time_zone) ". The same as a document: " a href=(request.query.with("from", None).link("/api/costs")) { "/api/costs" } "."
        }
    };
    Ok(Page { title: "Costs".to_owned(), here: "/costs", body, live: None }.into())
}

/// Narrows what is asked to the days, weeks or months that are drawn, when no time was asked for: a long past is many rows. `None` where all of it is
/// meant, or nothing was spent.
fn newest(ui: &Ui, request: &Request) -> Result<Option<Request>> {
    let asked = question(ui, request)?;
    let Some(period) = period_of(&asked) else { return Ok(None) };
    if asked.since.is_some() || asked.until.is_some() {
        return Ok(None);
    }
    let Some(at) = ui.workspace.memory().last_charge()? else { return Ok(None) };
    let at = Timestamp::from_nanosecond(at.into()).map_err(|error| CliError::fault("a time is out of range").source(&error))?;
    let Some(since) = oldest(at.to_zoned(ui.zone.clone()).date(), period) else { return Ok(None) };
    Ok(Some(Request { query: request.query.with("since", Some(&since.to_string())), ..request.clone() }))
}

/// Returns the kind of time that comes first in what is asked.
fn period_of(asked: &CostQuestion) -> Option<Period> {
    asked.by.first().and_then(|by| Period::of(&by.name()))
}

/// Returns the first day of the oldest day, week or month that is drawn where `newest` is in the newest one: each is drawn as a whole.
fn oldest(newest: Date, period: Period) -> Option<Date> {
    let back = i64::try_from(PERIODS_MAX).ok()? - 1;
    let back = match period {
        Period::Day => jiff::Span::new().days(back),
        Period::Week => jiff::Span::new().days(7 * back),
        Period::Month => jiff::Span::new().months(back),
    };
    period.first_day(&period.name(newest))?.checked_sub(back).ok()
}

/// Says which day, week or month at the edges of the time that is asked for is counted in part.
fn cut_off(asked: &CostQuestion, report: &CostReport, zone: &TimeZone) -> Vec<String> {
    let Some(period) = period_of(asked) else { return Vec::new() };
    let name = asked.by[0].name();
    let is_shown =
        |period: &str| report.rows.iter().any(|row| row.key.first().is_some_and(|(_, value)| value.as_deref() == Some(period)));
    // The period that a moment cuts in two, and the moment in words.
    let edge = |at: TimeNs| {
        let at = Timestamp::from_nanosecond(at.into()).ok()?.to_zoned(zone.clone());
        let first = period.first_day(&period.name(at.date()))?.to_zoned(zone.clone()).ok()?;
        let cut = period.name(at.date());
        (at != first && is_shown(&cut)).then(|| (cut, time::moment_of(&at.timestamp().to_string(), zone)))
    };
    let now = Timestamp::now();
    let is_past = |at: &TimeNs| i128::from(*at) < now.as_nanosecond();
    let since = asked.since.and_then(edge).map(|(first, at)| format!("The {name} {first} is counted from {at} on."));
    let until = asked.until.filter(is_past).and_then(edge).map(|(last, at)| format!("The {name} {last} is counted until {at}."));
    since.into_iter().chain(until).collect()
}

/// Answers with the document that `meno costs --json` prints.
///
/// # Errors
/// As [`page`].
pub fn document(ui: &Ui, request: &Request) -> Result<Answer> {
    super::api::document(&ui.workspace.memory().costs(&question(ui, request)?, &ui.zone)?)
}

fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "Real money",
        Mode::Imported => "Imported",
        Mode::Simulated => "Simulated",
    }
}

/// Reads what is asked: `by` (repeated, or with commas), `where`, `since`, `until`.
fn question(ui: &Ui, request: &Request) -> Result<CostQuestion> {
    let words = request.query.all("by").flat_map(|by| by.split(',')).map(str::trim).filter(|word| !word.is_empty());
    let by = words.map(|word| {
        word.parse::<Dimension>()
            .map_err(|why| CliError::invalid(format!("`by` cannot be `{word}`")).hint(format!("{why}; change it in the address")))
    });
    let mut by: Vec<Dimension> = by.collect::<Result<_>>()?;
    if by.is_empty() {
        by = vec![Dimension::Day];
    }
    let only = request.query.all("where").filter(|words| !words.trim().is_empty()).map(|words| {
        words.parse::<Only>().map_err(|why| {
            CliError::invalid(format!("`where` cannot be `{words}`")).hint(format!("{why}; change it in the address"))
        })
    });
    let only = only.collect::<Result<_>>()?;
    let now = Timestamp::now().to_zoned(ui.zone.clone());
    let moment = |name| {
        let span = |text: &str| crate::cli::args::values::span(text, &now);
        request.read(name, span, "a time such as 2026-10-01, 7d or yesterday")
    };
    Ok(CostQuestion { by, only, since: moment("since")?.map(|(from, _)| from), until: moment("until")?.map(|(_, to)| to) })
}

/// Returns the link to the runs that a row is about; `None` when one of its values is not known, or no filter of the
/// runs asks for it.
fn runs_of(query: &Params, row: &CostLine) -> Option<String> {
    let mut link = Params::default().with("mode", Some(row.total.mode.name()));
    let (mut searched, mut labels): (Vec<String>, Vec<String>) = Default::default();
    let mut days = None;
    let held = query.all("where").filter_map(|words| words.split_once('=')).map(|(key, value)| (key, Some(value)));
    let known = row.key.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
    for (dimension, value) in held.chain(known) {
        let value = value?;
        match (Period::of(dimension), dimension) {
            (Some(period), _) => days = Some((period.first_day(value)?, period.last_day(value)?)),
            (_, "template" | "mode") => link = link.with(dimension, Some(value)),
            (_, "role" | "model" | "tier" | "provider") => searched.push(format!("{dimension}:\"{}\"", value.replace('"', ""))),
            (_, "label") => labels.extend(several(value)?),
            (_, "node") => link = link.with("node", Some(value)),
            // What no filter of the runs asks for leads nowhere: all runs are not those of the row.
            (_, dimension) => labels.push(format!("{}={value}", dimension.strip_prefix("label.")?)),
        }
    }
    link = match days {
        Some((first, last)) if first == last => link.with("during", Some(&first.to_string())),
        Some((first, last)) => link.with("during", Some(&format!("{first}..{last}"))),
        None => link.with("since", query.get("since")).with("until", query.get("until")),
    };
    let labels = labels.into_iter().map(|label| ("label".to_owned(), label));
    link = link.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).chain(labels).collect();
    if !searched.is_empty() {
        link = link.with("q", Some(&searched.join(" ")));
    }
    Some(link.link("/"))
}

/// Returns the link to the runs that a total is about: what was asked for, whatever the rows are divided by.
fn runs_of_total(query: &Params, total: &CostTotal) -> Option<String> {
    runs_of(query, &CostLine { key: IndexMap::new(), total: total.clone() })
}

/// Returns the labels that a row's value names: with commas between them, as a run has several. A value may have a comma too: what follows
/// one is a label if it has a key.
fn several(value: &str) -> Option<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for part in value.split(", ") {
        let has_key = part.split_once('=').is_some_and(|(key, _)| !key.is_empty() && !key.contains(char::is_whitespace));
        match labels.last_mut() {
            Some(last) if !has_key => {
                last.push_str(", ");
                last.push_str(part);
            }
            None if !has_key => return None,
            _ => labels.push(part.to_owned()),
        }
    }
    Some(labels)
}

/// Draws the rows; `counted` is the query with the times that they were counted in.
fn table(report: &CostReport, request: &Request, counted: &Params) -> Result<Markup> {
    let from = request.read("from", |text| text.parse::<usize>().ok(), "a number of rows")?.unwrap_or(0);
    let is_time = report.by.first().is_some_and(|by| Period::of(by).is_some());
    // Times are read from the newest on.
    let mut rows: Vec<&CostLine> = report.rows.iter().collect();
    if is_time {
        rows.reverse();
    }
    // Beyond the last page is the last.
    let from = from.min(rows.len().saturating_sub(1) / ROWS * ROWS);
    let shown = rows.iter().skip(from).take(ROWS);
    let place = |from: usize| {
        let from = (from > 0).then(|| from.to_string());
        request.query.with("from", from.as_deref()).link("/costs")
    };
    let has_unlinked = shown.clone().any(|row| runs_of(counted, row).is_none());
    Ok(html! {
        div class="wide" tabindex="0" role="region" aria-label="Costs" {
            table {
                thead { tr {
                    @for by in &report.by { th { (by) } }
                    th { "kind" } th class="num" { "calls" } th class="num" { "tokens in" } th class="num" { "tokens out" } th class="num" { "cost" }
                } }
                tbody {
                    @for row in shown {
                        tr {
                            @for (by, value) in &row.key { td class=[Period::of(by).map(|_| "when")] { (element::name(element::line(value_words(by, value.as_deref())))) } }
                            td { (row.total.mode.name()) }
                            (sums(&row.total, runs_of(counted, row).as_deref(), &series_name(row, 0)))
                        }
                    }
                    @for total in &report.totals {
                        tr class="total" {
                            th scope="row" colspan=(report.by.len()) { "total" }
                            td { (total.mode.name()) }
                            (sums(total, runs_of_total(counted, total).as_deref(), "all of it"))
                        }
                    }
                }
            }
        }
        @if has_unlinked {
            p class="hint" {
                "Numbers without a link: no filter of the runs asks for a value of the row, or it is unknown."
            }
        }
        @if rows.len() > ROWS {
            p class="pages" {
                @if from > 0 { a href=(place(from.saturating_sub(ROWS))) rel="prev" { "Previous rows" } }
                span class="hint" {
                    (words::count(from as u64 + 1)) " to " (words::count((from + ROWS).min(rows.len()) as u64)) " of "
                    (words::plural(rows.len() as u64, "row"))
                }
                @if from + ROWS < rows.len() { a href=(place(from + ROWS)) rel="next" { "More rows" } }
            }
        }
    })
}

/// Tool calls: how many, how many of them failed, and how long they ran. They cost no money of their own.
fn tools(report: &CostReport) -> Markup {
    html! {
        div class="wide" tabindex="0" role="region" aria-label="Costs" {
            table {
                thead { tr {
                    @for by in &report.by { th { (by) } }
                    th { "kind" } th class="num" { "calls" } th class="num" { "failed" } th class="num" { "duration" }
                } }
                tbody {
                    @for row in &report.tools {
                        tr {
                            @for (by, value) in &row.key { td { (element::name(element::line(value_words(by, value.as_deref())))) } }
                            td { (row.mode.name()) }
                            td class="num" { (words::count(row.calls)) }
                            td class="num" { (words::count(row.failed)) }
                            td class="num" { (time::duration(row.duration_ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn sums(total: &CostTotal, link: Option<&str>, name: &str) -> Markup {
    let untold = u64::from(!total.has_tokens());
    let (input, output) = (words::tokens(total.tokens.total_input(), untold), words::tokens(total.tokens.output, untold));
    let cost = words::cost(total.cost_nusd, total.unknown == 0, Mode::Real);
    let number = |number: &str| {
        html! {
            td class="num" {
                @match link {
                    Some(link) => a href=(link) title={ "Runs of " (element::short(name, 80)) } { (number) },
                    None => (number),
                }
            }
        }
    };
    html! {
        (number(&words::count(total.calls)))
        (number(&input))
        (number(&output))
        td class="num" {
            @match link {
                Some(link) => a href=(link) title={ "Runs of " (element::short(name, 80)) } { (cost) },
                None => (cost),
            }
            @if total.unknown > 0 { " " span class="hint" { "(" (words::count(total.unknown)) " unknown)" } }
        }
    }
}

fn form(asked: &CostQuestion, request: &Request) -> Markup {
    let names: Vec<String> = asked.by.iter().map(Dimension::name).collect();
    let is_chosen = |word: &str| names.iter().any(|name| name == word);
    let chosen_parts: Vec<&String> = names.iter().filter(|name| !PERIODS.contains(&name.as_str())).collect();
    html! {
        form class="bar" action="/costs" {
            label { "Over" select name="by" {
                @for period in PERIODS { option value=(period) selected[is_chosen(period)] { (period) } }
                option value="" selected[!PERIODS.iter().any(|period| is_chosen(period))] { "the whole time" }
            } }
            label { "By" select name="by" {
                option value="" { "nothing else" }
                @for part in PARTS { option value=(part) selected[is_chosen(part)] { (part) } }
                // What came with the address and is not in the list stays chosen.
                @for part in chosen_parts.iter().filter(|part| !PARTS.contains(&part.as_str())) {
                    option value=(part) selected { (element::line(part)) }
                }
            } }
            label { "Since" input name="since" value=[request.query.get("since")] size="10" placeholder="30d"; }
            label { "Until" input name="until" value=[request.query.get("until")] size="10" placeholder="today"; }
            @for only in request.query.all("where") { input type="hidden" name="where" value=(only); }
            button type="submit" { "Show" }
        }
    }
}

/// What the costs are narrowed to, each with a link that takes it away.
fn chips(request: &Request) -> Markup {
    let query = request.query.with("from", None);
    let only: Vec<&str> = request.query.all("where").filter(|words| !words.trim().is_empty()).collect();
    html! {
        @if !only.is_empty() {
            ul class="chips" aria-label="Filters" {
                @for words in only {
                    li class="chip" {
                        (element::line(words))
                        a href=(query.without("where", words).link("/costs")) aria-label={ "Remove " (element::line(words)) } { "×" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::spending::TokenSum;

    fn row(key: &[(&str, Option<&str>)]) -> CostLine {
        let total = CostTotal {
            mode: Mode::Real,
            calls: 1,
            unknown: 0,
            cost_nusd: 1,
            cost_usd: "0.000000001".into(),
            tokens: TokenSum::default(),
            cache_saved_nusd: None,
            cache_saved_complete: true,
        };
        let key = key.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        CostLine { key, total }
    }

    #[test]
    fn the_oldest_week_and_month_that_are_drawn_are_whole_ones() {
        let sunday = jiff::civil::date(2026, 10, 4);
        let monday = oldest(sunday, Period::Week).unwrap();
        assert_eq!((monday.weekday(), (sunday - monday).get_days()), (jiff::civil::Weekday::Monday, 61 * 7 + 6));
        assert_eq!((sunday - oldest(sunday, Period::Day).unwrap()).get_days(), 61);
        assert_eq!(oldest(sunday, Period::Month), Some(jiff::civil::date(2021, 9, 1)));
    }

    #[test]
    fn a_number_leads_to_the_runs_of_its_row() {
        let query = Params::parse(b"by=week&where=template%3Dt&since=9d");
        let link = runs_of(&query, &row(&[("week", Some("2026-W40")), ("model", Some("m 1"))]));
        let link = link.unwrap();
        let read = Params::parse(link.strip_prefix("/?").unwrap().as_bytes());
        let read: Vec<_> = read.pairs().collect();
        assert_eq!(read, [("mode", "real"), ("template", "t"), ("during", "2026-09-28..2026-10-04"), ("q", "model:\"m 1\"")]);
        assert_eq!(runs_of(&query, &row(&[("role", None)])), None, "what is not known cannot be asked for");
        let total = row(&[]).total;
        let link = runs_of_total(&Params::parse(b"by=day,model&where=tier%3Dpremium&since=9d&until=1d"), &total).unwrap();
        let read = Params::parse(link.strip_prefix("/?").unwrap().as_bytes());
        let read: Vec<_> = read.pairs().collect();
        assert_eq!(read, [("mode", "real"), ("since", "9d"), ("until", "1d"), ("q", "tier:\"premium\"")]);
        for dimension in ["purpose", "workspace", "tool"] {
            assert_eq!(runs_of(&Params::default(), &row(&[(dimension, Some("x"))])), None, "{dimension}");
            let narrowed = Params::default().with("where", Some(&format!("{dimension}=x")));
            assert_eq!(runs_of(&narrowed, &row(&[("model", Some("m"))])), None, "{dimension}");
        }
        assert_eq!(runs_of(&Params::default(), &row(&[("node", Some("own"))])).as_deref(), Some("/?mode=real&node=own"));
        let both = row(&[("label", Some("note=a, b, team=core, x=1"))]);
        let link = runs_of(&Params::default(), &both).unwrap();
        let read = Params::parse(link.strip_prefix("/?").unwrap().as_bytes());
        assert_eq!(read.all("label").collect::<Vec<_>>(), ["note=a, b", "team=core", "x=1"], "all of them must be there");
        assert_eq!(runs_of(&Params::default(), &row(&[("label", None)])), None);
        let labelled = runs_of(&Params::default(), &row(&[("label.team", Some("core"))]));
        assert_eq!(labelled.as_deref(), Some("/?mode=real&label=team%3Dcore"));
    }
}
