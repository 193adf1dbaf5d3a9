//! The runs: newest first, filtered or searched, page by page. The address says all of what is shown.

use jiff::{Timestamp, Zoned};
use maud::{Markup, html};

use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::ui::{Answer, Page, Params, Request, Ui, element};
use crate::views::run_list::{RunFilter, RunLine};
use crate::views::status::RunStatus;
use crate::workspace::{HitDocument, SearchRequest, SearchResponse};

/// Runs on a page.
const RUNS: usize = 50;
/// Runs of a search.
const HITS: usize = 100;

/// Keys of the filters that stand in the address, and how a search says them.
const KEYS: [&str; 6] = ["status", "template", "mode", "since", "until", "label"];
/// Keys of filters that a search has no word for: they are applied to what it found.
const AFTER: [&str; 2] = ["during", "node"];

/// Shows the runs that the address asks for.
///
/// # Errors
/// When a filter cannot be read, or the store.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let filter = filter(ui, request)?;
    let list = match request.query.get("q") {
        Some(question) => searched(ui, request, question, &filter)?,
        None => listed(ui, request, &filter)?,
    };
    let templates = ui.workspace.library.names();
    let body = html! {
        h1 { "Runs" }
        (bar(request, &templates))
        (chips(request))
        div id="runs" data-part { (list) }
    };
    Ok(Page { title: "Runs".to_owned(), here: "/", body, live: Some(String::new()) }.into())
}

/// Reads which runs the address asks for.
///
/// # Errors
/// When a filter cannot be read.
pub fn filter(ui: &Ui, request: &Request) -> Result<RunFilter> {
    let statuses: Vec<&str> = RunStatus::ALL.iter().map(|status| status.name()).collect();
    let status = request.query.all("status").filter(|text| !text.trim().is_empty()).map(|text| {
        RunStatus::ALL.iter().copied().find(|status| status.name() == text).ok_or_else(|| {
            CliError::invalid(format!("`status` cannot be `{text}`")).hint(format!("use one of {}", statuses.join(", ")))
        })
    });
    let now = Timestamp::now().to_zoned(ui.zone.clone());
    let moment = |name| {
        let span = |text: &str| crate::cli::args::values::span(text, &now);
        request.read(name, span, "a time such as 2026-10-01, 7d or yesterday")
    };
    let mode = |text: &str| Mode::ALL.iter().copied().find(|mode| mode.name() == text);
    let during = |text: &str| {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let span = |text: &str| crate::cli::args::values::span(text, &now);
        Some((span(first)?.0, span(last)?.1))
    };
    let label = |text: &str| text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned()));
    let labels =
        request.query.all("label").filter(|text| !text.trim().is_empty()).map(|text| {
            label(text).ok_or_else(|| CliError::invalid(format!("`label` cannot be `{text}`")).hint("use `KEY=VALUE`"))
        });
    let log = request.read("node", |text| text.parse().ok(), "`own`, or at least 4 letters of a node")?.unwrap_or_default();
    Ok(RunFilter {
        template: request.query.get("template").map(str::to_owned),
        status: status.collect::<Result<_>>()?,
        mode: request.read("mode", mode, "real, simulated or imported")?,
        since: moment("since")?.map(|(from, _)| from),
        until: moment("until")?.map(|(_, to)| to),
        under_way: request.read("during", during, "days such as 2026-10-01..2026-10-04")?,
        labels: labels.collect::<Result<_>>()?,
        log: ui.workspace.keeping().known_logs(log)?,
    })
}

fn listed(ui: &Ui, request: &Request, filter: &RunFilter) -> Result<Markup> {
    let before = request.read("before", |text| text.parse::<RunId>().ok(), "the id of a run")?;
    let page = ui.workspace.runs().runs_page(filter, before, RUNS)?;
    let total = if filter.is_empty() { Some(ui.workspace.runs().run_count()?) } else { None };
    let older = page.next.map(|next| request.query.with("before", Some(&next.to_string())).link("/"));
    Ok(html! {
        @if page.runs.is_empty() {
            (nothing(page.looked_at, older.is_some(), filter.is_empty() && before.is_none()))
        } @else {
            (table(ui, page.runs.iter().map(|run| (run.clone(), None))))
        }
        p class="pages" {
            @if before.is_some() { a href=(request.query.with("before", None).link("/")) { "Newest" } }
            @if let Some(older) = &older { a href=(older) rel="next" { "Older runs" } }
            @if let Some(total) = total { span class="hint" { (words::plural(total, "run")) " in the store's own log" } }
        }
    })
}

fn nothing(looked_at: usize, is_more: bool, is_all: bool) -> Markup {
    html! {
        @if is_all {
            p class="card" { "No runs yet. " code { "meno run TEMPLATE" } " starts one." }
        } @else if is_more {
            p class="card" { "None of the " (words::count(looked_at as u64)) " runs looked at passes the filters. Older runs follow." }
        } @else {
            p class="card" { "No run passes the filters. Remove one above to see more." }
        }
    }
}

/// Searches with the words and, said as a search says them, the filters of the address.
fn searched(ui: &Ui, request: &Request, question: &str, filter: &RunFilter) -> Result<Markup> {
    let chosen = request.query.pairs().filter(|(key, value)| KEYS.contains(key) && !value.trim().is_empty());
    let chosen = chosen.map(|(key, value)| format!(" {key}:{}", quoted(value)));
    // A time in which runs were under way is no filter of a search; that they began before its end is, and narrows what is looked through.
    let during = filter.under_way.and_then(|_| request.query.get("during"));
    let before = during.map(|during| format!(" until:{}", quoted(during.split_once("..").map_or(during, |(_, last)| last))));
    let asked = format!("{question}{}{}", chosen.collect::<String>(), before.unwrap_or_default());
    let now = Zoned::now().with_time_zone(ui.zone.clone());
    let search = SearchRequest { limit: Some(HITS), ..SearchRequest::new(asked) }.of_logs(filter.log.clone()).now(&now);
    let found = ui.workspace.memory().search(&search).map_err(crate::cli::commands::search::report)?;
    let lines = found.hits.iter().map(|hit| {
        let known = hit.run_id.parse().ok().map(|id| ui.workspace.runs().run_line(id)).transpose()?.flatten();
        Ok((known.unwrap_or_else(|| line_of(hit)), Some(hit)))
    });
    let mut lines: Vec<_> = lines.collect::<Result<_>>()?;
    if let Some(time) = filter.under_way {
        lines.retain(|(line, _)| was_under_way(line, time));
    }
    Ok(html! {
        (understood(request, &found))
        @for notice in found.understood.notes.iter().chain(&found.notices) { p class="notice" { (element::line(notice)) } }
        @if found.nothing_close {
            p class="notice" { "Nothing close: no run shares a word of weight with the question or means something like it." }
        }
        @if lines.is_empty() {
            p class="card" { "Nothing was found. Fewer filters find more." }
        } @else {
            (table(ui, lines.into_iter()))
            p class="hint" {
                (words::plural(found.total, "run")) " found, " (found.mode) " search, index at event "
                (words::count(found.indexed_to)) " of " (words::count(found.log_head))
            }
        }
    })
}

fn quoted(value: &str) -> String {
    if value.contains([' ', '"', ':']) { format!("\"{}\"", value.replace('"', "")) } else { value.to_owned() }
}

/// What the question was understood to mean: each part can be taken out of it.
fn understood(request: &Request, found: &SearchResponse) -> Markup {
    let meant = &found.understood;
    let parts: Vec<String> = std::iter::once(meant.text.clone())
        .chain(meant.phrases.iter().map(|phrase| format!("\"{phrase}\"")))
        .chain(meant.without.iter().map(|word| format!("-{word}")))
        .collect();
    let without = |left_out: usize| {
        let kept = meant.filters.iter().enumerate().filter(|(place, filter)| *place != left_out && !filter.dropped);
        let said = parts.iter().cloned().chain(kept.map(|(_, filter)| filter.typed.clone()));
        let said: Vec<String> = said.filter(|part| !part.trim().is_empty()).collect();
        // The filters of the address are among those that were understood.
        KEYS.iter().fold(request.query.with("q", Some(&said.join(" "))), |query, key| query.with(key, None)).link("/")
    };
    html! {
        ul class="chips" aria-label="Understood as" {
            @for (place, filter) in meant.filters.iter().enumerate().filter(|(_, filter)| !filter.dropped) {
                li class="chip" {
                    (element::line(&filter.words))
                    a href=(without(place)) aria-label={ "Remove " (element::line(&filter.words)) } { "×" }
                }
            }
            @if let Some(order) = &meant.order { li class="chip" { (element::line(&order.words)) } }
        }
    }
}

/// Tells whether a run was under way at some moment of a time (from, before; ns since the epoch), as [`RunFilter::under_way`] means it.
fn was_under_way(line: &RunLine, (from, to): (TimeNs, TimeNs)) -> bool {
    let moment = |text: &str| text.parse::<Timestamp>().ok().and_then(|at| TimeNs::try_from(at.as_nanosecond()).ok());
    let began = moment(&line.started_at);
    let ended = line.ended_at.as_deref().and_then(moment).or(began.filter(|_| line.status.ended()));
    began.is_some_and(|began| began < to) && ended.is_none_or(|ended| ended >= from)
}

/// A run that only a search knows, as a line.
fn line_of(hit: &HitDocument) -> RunLine {
    RunLine {
        run_id: hit.run_id.clone(),
        template_id: hit.template_id.clone(),
        status: RunStatus::ALL.iter().copied().find(|status| status.name() == hit.status).unwrap_or(RunStatus::Running),
        mode: Mode::ALL.iter().copied().find(|mode| mode.name() == hit.mode).unwrap_or(Mode::Imported),
        started_at: hit.started_at.clone(),
        ended_at: None,
        duration_ms: None,
        form_ms: None,
        waited_ms: None,
        attempts_duration_ms: None,
        cost_nusd: u64::try_from(hit.cost_nusd).unwrap_or_default(),
        verified: hit.verified,
        cost_complete: hit.cost_complete,
        agents: 0,
        escalations: 0,
        failed_by_configuration: false,
        forked_from: None,
        labels: indexmap::IndexMap::new(),
        node: hit.node.clone(),
    }
}

/// Draws runs as a table; what was found in one stands under its template.
pub fn table<'a>(ui: &Ui, runs: impl Iterator<Item = (RunLine, Option<&'a HitDocument>)>) -> Markup {
    html! {
        div class="wide" {
            table class="stack runs" {
                thead {
                    tr {
                        th { "Run" } th { "Status" } th { "Template" } th { "Started" } th class="num" { "Duration" }
                        th class="num" { "Cost" } th class="num" { "Agents" } th class="num" { "Escalations" } th { "Labels" }
                    }
                }
                tbody { @for (run, hit) in runs { (row(ui, &run, hit)) } }
            }
        }
    }
}

fn row(ui: &Ui, run: &RunLine, hit: Option<&HitDocument>) -> Markup {
    html! {
        tr {
            td data-name="Run" {
                a class="row id" href={ "/runs/" (run.run_id) } title=(run.run_id) { (element::id_end(&run.run_id)) }
            }
            td data-name="Status" { span { (element::status(run.status, run.verified))
                @if run.failed_by_configuration { " " span class="hint" { "configuration" } } } }
            td data-name="Template" {
                div {
                    (element::line(&run.template_id)) " " (element::mode(run.mode))
                    @if let Some(node) = &run.node { " " span class="mode" title=(node) { "log " (words::id_end(node)) } }
                    @if let Some(hit) = hit { (snippet(hit)) }
                }
            }
            td data-name="Started" { (element::moment(&run.started_at, &ui.zone)) }
            td data-name="Duration" class="num" { (run.duration_ms.map_or_else(|| "–".to_owned(), time::duration)) }
            td data-name="Cost" class="num" { (element::cost(run.cost_nusd, run.cost_complete, Mode::Real)) }
            td data-name="Agents" class="num" { (words::count(u64::from(run.agents))) }
            td data-name="Escalations" class="num" { (words::count(u64::from(run.escalations))) }
            td data-name="Labels" { @for (key, value) in &run.labels {
                span class="label" { (element::line(key)) "=" (element::line(value)) }
            } }
        }
    }
}

/// What was found in a run, with the words marked.
pub fn snippet(hit: &HitDocument) -> Markup {
    let mut parts: Vec<(bool, &str)> = Vec::new();
    let mut at = 0;
    for &(from, to) in &hit.highlights {
        if let (Some(before), Some(word)) = (hit.snippet.get(at..from), hit.snippet.get(from..to)) {
            parts.extend([(false, before), (true, word)]);
            at = to;
        }
    }
    parts.push((false, hit.snippet.get(at..).unwrap_or_default()));
    html! {
        p class="snippet" {
            @for (is_marked, part) in parts {
                @if is_marked { mark { (element::line(part)) } } @else { (element::line(part)) }
            }
        }
    }
}

fn bar(request: &Request, templates: &[(String, String)]) -> Markup {
    let query = &request.query;
    let chosen = |key: &str, value: &str| query.all(key).any(|one| one == value);
    html! {
        form class="bar" action="/" {
            label class="grow" {
                "Search"
                input type="search" name="q" id="q" value=[query.get("q")] autocomplete="off" list="completions" data-complete
                    placeholder="failed runs of last week  ·  cost:>0.10 template:release_prep";
            }
            label { "Status" select name="status" {
                option value="" { "any" }
                @for status in RunStatus::ALL {
                    option value=(status.name()) selected[chosen("status", status.name())] { (status.name().replace('_', " ")) }
                }
            } }
            label { "Template" select name="template" {
                option value="" { "any" }
                @for (id, name) in templates { option value=(id) selected[chosen("template", id)] { (element::line(name)) } }
            } }
            label { "Models" select name="mode" {
                option value="" { "any" }
                @for mode in Mode::ALL { option value=(mode.name()) selected[chosen("mode", mode.name())] { (mode.name()) } }
            } }
            label { "Since" input name="since" value=[query.get("since")] size="10" placeholder="7d"; }
            @for (key, value) in query.pairs().filter(|(key, _)| ["label", "until"].contains(key) || AFTER.contains(key)) {
                input type="hidden" name=(key) value=(value);
            }
            button type="submit" { "Show" }
            datalist id="completions" {}
        }
    }
}

/// The filters of the address, each with a link that takes it away.
fn chips(request: &Request) -> Markup {
    let query = request.query.with("before", None);
    let chosen = |keys: &[&str]| -> Vec<(&str, &str)> {
        query.pairs().filter(|(key, value)| keys.contains(key) && !value.trim().is_empty()).collect()
    };
    let shown = match query.get("q") {
        // A search shows what it understood.
        Some(_) => chosen(&AFTER),
        None => chosen(&KEYS).into_iter().chain(chosen(&AFTER)).collect(),
    };
    let link = |query: &Params, key: &str, value: &str| query.without(key, value).link("/");
    html! {
        @if !shown.is_empty() {
            ul class="chips" aria-label="Filters" {
                @for (key, value) in shown {
                    li class="chip" {
                        (key) ": " (element::line(value))
                        a href=(link(&query, key, value)) aria-label={ "Remove " (key) " " (element::line(value)) } { "×" }
                    }
                }
                li { a href="/" { "Clear all" } }
            }
        }
    }
}
