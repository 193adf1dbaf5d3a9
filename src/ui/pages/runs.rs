//! The runs: newest first, filtered or searched, page by page. The address says all of what is shown.

use jiff::{Timestamp, Zoned};
use maud::{Markup, html};

use super::filter_form::{self, Said};
use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::ui::{Answer, Page, Params, Request, Ui, element};
use crate::views::run_list::{RunFilter, RunLine};
use crate::views::status::RunStatus;
use crate::workspace::{FilterDocument, HitDocument, SearchRequest, SearchResponse, UnderstoodDocument};

/// Runs on a page.
const RUNS: usize = 50;
/// Runs of a search on a page.
const HITS: usize = 100;
/// Runs of a search that are looked at for one page, where not all that are found are shown.
const LOOKED_AT_MAX: usize = 300;
/// Characters of a name that are shown in a list, and labels.
const NAME_CHARS_MAX: usize = 100;
const LABELS_MAX: usize = 10;
/// Filters of a search that can be taken away one by one: the link of each holds all others.
const CHIPS_MAX: usize = 30;

/// Keys of the filters that stand in the address, and how a search says them.
const KEYS: [&str; 6] = ["status", "template", "mode", "since", "until", "label"];
/// Keys of filters that a search has no word for: they are applied to what it found.
pub(super) const AFTER: [&str; 2] = ["during", "node"];
/// Keys that say which page of a list is shown: every other filter has its own first page.
const PAGE: [&str; 2] = ["before", "from"];

/// Shows the runs that the address asks for.
///
/// # Errors
/// When a filter cannot be read, or the store.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    if let Some(settled) = filter_form::settled(ui, request)? {
        return Ok(Answer::See(settled));
    }
    let filter = filter(ui, request)?;
    let (list, said) = match request.query.get("q") {
        Some(question) => searched(ui, request, question, &filter)?,
        None => (listed(ui, request, &filter)?, Vec::new()),
    };
    let templates = ui.workspace.library.names();
    let body = html! {
        h1 { "Runs" }
        (filter_form::form(&request.query, &templates, &said))
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
    let said = request.query.all("status").flat_map(|text| text.split(',')).map(str::trim);
    let status = said.filter(|text| !text.is_empty()).map(|text| {
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

/// What a page of a search has.
struct Found {
    response: SearchResponse,
    lines: Vec<(RunLine, HitDocument)>,
    /// Where in the search's order the next page begins.
    next: Option<usize>,
}

/// Looks for the runs of one page, from a place in the search's order on.
fn find(ui: &Ui, asked: &str, filter: &RunFilter, from: usize) -> Result<Found> {
    let now = Zoned::now().with_time_zone(ui.zone.clone());
    let search = |from: usize| {
        let search = SearchRequest::new(asked).limit(HITS).skip(from).of_logs(filter.log.clone()).now(&now);
        ui.workspace.memory().search(&search).map_err(crate::cli::commands::search::report)
    };
    let mut response = search(from)?;
    let (mut lines, mut at) = (Vec::new(), from);
    loop {
        let hits = std::mem::take(&mut response.hits);
        if hits.is_empty() {
            return Ok(Found { response, lines, next: None });
        }
        for hit in hits {
            if lines.len() == HITS {
                return Ok(Found { response, lines, next: Some(at) });
            }
            at += 1;
            let known = hit.run_id.parse().ok().map(|id| ui.workspace.runs().run_line(id)).transpose()?.flatten();
            let line = known.unwrap_or_else(|| line_of(&hit));
            if filter.under_way.is_none_or(|time| was_under_way(&line, time)) {
                lines.push((line, hit));
            }
        }
        let is_more = (at as u64) < response.total;
        if !is_more || lines.len() == HITS || at - from >= LOOKED_AT_MAX {
            return Ok(Found { response, lines, next: is_more.then_some(at) });
        }
        response = search(at)?;
    }
}

/// Searches with the words and, said as a search says them, the filters of the address.
fn searched(ui: &Ui, request: &Request, question: &str, filter: &RunFilter) -> Result<(Markup, Vec<Said>)> {
    let before = before(filter);
    let asked = asked(&request.query, question, before.as_deref());
    let from = request.read("from", |text| text.parse::<usize>().ok(), "a number of runs")?.unwrap_or(0);
    let Found { response: found, lines, next } = find(ui, &asked, filter, from)?;
    let said = filter_form::said(&request.query, &found.understood, before.as_deref());
    let count = lines.len();
    let place = |from: Option<usize>| request.query.with("from", from.map(|from| from.to_string()).as_deref()).link("/");
    let list = html! {
        (understood(&request.query, &found.understood, before.as_deref()))
        @for notice in found.understood.notes.iter().chain(&found.notices) { p class="notice" { (element::line(notice)) } }
        @if found.nothing_close {
            p class="notice" { "Nothing close: no run shares a word of weight with the question or means something like it." }
        }
        @if let Some(next) = next.filter(|_| lines.is_empty()) {
            (nothing(next - from, true, false))
        } @else if lines.is_empty() && from > 0 {
            p class="card" { "No more runs were found." }
        } @else if lines.is_empty() {
            p class="card" { "Nothing was found. Fewer filters find more." }
        } @else {
            (table(ui, lines.iter().map(|(line, hit)| (line.clone(), Some(hit)))))
        }
        p class="pages" {
            @if from > 0 { a href=(place(None)) { "First runs" } }
            // Where not all that are found are shown, it is not known where the page before this one began.
            @if from > HITS && filter.under_way.is_none() { a href=(place(Some(from - HITS))) rel="prev" { "Previous runs" } }
            @if let Some(next) = next { a href=(place(Some(next))) rel="next" { "More runs" } }
            @if count > 0 {
                span class="hint" {
                    (found_words(filter, from, count, found.total)) ", " (found.mode) " search, index at event "
                    (words::count(found.indexed_to)) " of " (words::count(found.log_head))
                }
            }
        }
    };
    Ok((list, said))
}

/// Says which of the runs that were found are on a page.
fn found_words(filter: &RunFilter, from: usize, count: usize, total: u64) -> String {
    let found = words::plural(total, "run");
    match filter.under_way {
        // How many of all were under way then is known when the last page is.
        Some(_) => format!("{} that were under way then, of {found} found that began before its end", words::count(count as u64)),
        None if count as u64 == total => format!("{found} found"),
        None => format!("{} to {} of {found} found", words::count(from as u64 + 1), words::count((from + count) as u64)),
    }
}

/// Returns the question with the filters of the address as a search says them: any of several values of a key is enough, all labels must be
/// there.
fn asked(query: &Params, question: &str, before: Option<&str>) -> String {
    let mut said: Vec<String> = vec![question.to_owned()];
    for key in KEYS {
        // Of states, one value may be several.
        let parts = query.all(key).flat_map(|value| value.split(move |letter| key == "status" && letter == ','));
        let values: Vec<String> = parts.filter(|value| !value.trim().is_empty()).map(quoted).collect();
        match key {
            "label" => said.extend(values.iter().map(|value| format!("{key}:{value}"))),
            _ if values.is_empty() => {}
            _ => said.push(format!("{key}:{}", values.join(","))),
        }
    }
    said.extend(before.map(str::to_owned));
    said.join(" ")
}

/// A time in which runs were under way is no filter of a search; that they began before its end is, and narrows what is looked through.
fn before(filter: &RunFilter) -> Option<String> {
    let (_, to) = filter.under_way?;
    Some(format!("until:{}", Timestamp::from_nanosecond(to.into()).ok()?))
}

fn quoted(value: &str) -> String {
    if value.contains([' ', '"', ':', ',']) { format!("\"{}\"", value.replace('"', "")) } else { value.to_owned() }
}

/// Returns the link to the search without one of the filters that it was understood to have, or with `None` without its order. Everything
/// else is in it once, as a key, with the words of which nothing was made.
fn without(query: &Params, meant: &UnderstoodDocument, left_out: Option<usize>, before: Option<&str>) -> String {
    let kept = meant.filters.iter().enumerate().filter(|(place, filter)| Some(*place) != left_out && is_shown(filter, before));
    let order = meant.order.as_ref().filter(|_| left_out.is_some()).map(|order| order.typed.as_str());
    let said = std::iter::once(meant.typed.as_str()).chain(kept.map(|(_, filter)| filter.typed.as_str())).chain(order);
    let said: Vec<&str> = said.filter(|part| !part.trim().is_empty()).collect();
    // The filters of the address are among those that were understood.
    let rest = KEYS.iter().chain(&PAGE).fold(query.clone(), |query, key| query.with(key, None));
    rest.with("q", Some(&said.join(" "))).link("/")
}

/// Tells whether a filter is one of the question: one that emptied the answer was dropped, and `before` is the page's own.
pub(super) fn is_shown(filter: &FilterDocument, before: Option<&str>) -> bool {
    !filter.dropped && before.is_none_or(|before| filter.typed != before)
}

/// What the question was understood to mean: each part can be taken out of it.
fn understood(query: &Params, meant: &UnderstoodDocument, before: Option<&str>) -> Markup {
    let chip = |words: &str, left_out: Option<usize>| {
        html! {
            li class="chip" {
                (element::line(words))
                a href=(without(query, meant, left_out, before)) aria-label={ "Remove " (element::line(words)) } { "×" }
            }
        }
    };
    let shown: Vec<_> = meant.filters.iter().enumerate().filter(|(_, filter)| is_shown(filter, before)).collect();
    html! {
        ul class="chips" aria-label="Understood as" {
            @for (place, filter) in shown.iter().take(CHIPS_MAX) { (chip(&filter.words, Some(*place))) }
            @if shown.len() > CHIPS_MAX { li class="hint" { "and " (words::count((shown.len() - CHIPS_MAX) as u64)) " more filters" } }
            @if let Some(order) = &meant.order { (chip(&order.words, None)) }
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
        div class="wide" tabindex="0" role="region" aria-label="Runs" {
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
                    (element::name(element::short(&run.template_id, NAME_CHARS_MAX))) " " (element::mode(run.mode))
                    @if let Some(node) = &run.node { " " span class="mode" title=(node) { "log " (words::id_end(node)) } }
                    @if let Some(hit) = hit { (snippet(hit)) }
                }
            }
            td data-name="Started" { (element::moment(&run.started_at, &ui.zone)) }
            td data-name="Duration" class="num" { (run.duration_ms.map_or_else(|| "–".to_owned(), time::duration)) }
            td data-name="Cost" class="num" { (words::cost_listed(run.cost_nusd, run.cost_complete, run.status == RunStatus::Running)) }
            td data-name="Agents" class="num" { (words::count(u64::from(run.agents))) }
            td data-name="Escalations" class="num" { (words::count(u64::from(run.escalations))) }
            td data-name="Labels" {
                @for (key, value) in run.labels.iter().take(LABELS_MAX) {
                    span class="label" { (element::short(key, NAME_CHARS_MAX)) "=" (element::short(value, NAME_CHARS_MAX)) }
                }
                @if run.labels.len() > LABELS_MAX { span class="hint" { "and " (words::count((run.labels.len() - LABELS_MAX) as u64)) " more" } }
            }
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

/// The filters of the address, each with a link that takes it away.
fn chips(request: &Request) -> Markup {
    let query = PAGE.iter().fold(request.query.clone(), |query, key| query.with(key, None));
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::workspace::memory::response::OrderDocument;

    pub(in crate::ui::pages) fn filter(words: &str, typed: &str) -> FilterDocument {
        let (words, typed) = (words.to_owned(), typed.to_owned());
        FilterDocument {
            key: String::new(),
            words,
            typed,
            origin: "words".to_owned(),
            negated: false,
            dropped: false,
            more: serde_json::Map::new(),
        }
    }

    /// A question that means `filters` and the words `typed`.
    pub(in crate::ui::pages) fn meant(typed: &str, filters: Vec<FilterDocument>) -> UnderstoodDocument {
        UnderstoodDocument {
            text: String::new(),
            line: String::new(),
            filters,
            order: None,
            filters_alone: false,
            typed: typed.to_owned(),
            phrases: Vec::new(),
            loosened: Vec::new(),
            without: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_chip_leads_to_the_search_without_it_in_which_everything_else_stands_once() {
        let query = Params::parse(b"q=type+errors+of+failed+runs+over+%241%2C+newest+first&status=failed&node=own&before=x");
        let mut dropped = filter("tier premium", "tier:premium");
        dropped.dropped = true;
        let own = "until:2026-10-05T00:00:00Z";
        let filters =
            vec![filter("failed", "status:failed"), dropped, filter("cost > $1", "cost:>1"), filter("before 5 Oct", own)];
        let order = OrderDocument {
            sort: "newest".to_owned(),
            words: "newest first".to_owned(),
            place: 1,
            count: None,
            typed: "sort:newest".to_owned(),
        };
        let meant = UnderstoodDocument { order: Some(order), ..meant("type errors", filters) };
        let q = |left_out| {
            let link = without(&query, &meant, left_out, Some(own));
            let read = Params::parse(link.strip_prefix("/?").unwrap().as_bytes());
            let pairs: Vec<(String, String)> = read.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            assert_eq!((pairs.len(), read.get("node")), (2, Some("own")), "{link}");
            read.get("q").unwrap().to_owned()
        };
        assert_eq!(q(Some(0)), "type errors cost:>1 sort:newest");
        assert_eq!(q(Some(2)), "type errors status:failed sort:newest");
        assert_eq!(q(None), "type errors status:failed cost:>1");
        let drawn = understood(&query, &meant, Some(own)).into_string();
        assert_eq!((drawn.matches("class=\"chip\"").count(), drawn.matches("aria-label=\"Remove ").count()), (3, 3), "{drawn}");
    }

    #[test]
    fn of_several_states_any_is_enough_and_all_labels_must_be_there() {
        let query = Params::parse(b"status=failed&status=cancelled&label=a%3D1&label=b%3Dx+y&template=");
        assert_eq!(
            asked(&query, "types", Some("until:2026")),
            "types status:failed,cancelled label:a=1 label:\"b=x y\" until:2026"
        );
        assert_eq!(asked(&Params::parse(b"status=failed%2Ccancelled"), "types", None), "types status:failed,cancelled");
    }
}
