//! The memory: search as `meno search` does it, and runs like one run.

use std::time::Duration;

use jiff::Zoned;
use maud::{Markup, html};

use super::runs;
use crate::cli::commands::search::report;
use crate::cli::error::Result;
use crate::cli::output::words;
use crate::ui::{Answer, Page, Request, Ui, element};
use crate::views::status::RunStatus;
use crate::workspace::{HitDocument, SearchRequest, SearchResponse};

/// Hits that are shown.
const HITS: usize = 30;
/// How long the index may take to catch up before runs like one are looked for.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Shows what is found.
///
/// # Errors
/// When there is no such run, or index or store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let shown = match (request.query.get("like"), request.query.get("q")) {
        (Some(run), _) => like(ui, run)?,
        (None, Some(question)) => found(ui, request, question)?,
        (None, None) => html! {
            p class="card" {
                "Words and meaning are searched in answers, tasks, outputs, reports and notes. Try "
                q { "failed releases since May" } ", " q { "cost:>0.10 tier:premium" } ", or part of a run's id."
            }
        },
    };
    let body = html! {
        h1 { "Memory" }
        form class="bar" action="/memory" {
            label class="grow" { "Search"
                input type="search" name="q" value=[request.query.get("q")] autocomplete="off" placeholder="releases that failed on type errors";
            }
            label { "Words alone" input type="checkbox" name="lexical" value="1" checked[request.query.get("lexical").is_some()]; }
            label { "The nearest, close or not" input type="checkbox" name="all" value="1" checked[request.query.get("all").is_some()]; }
            button type="submit" { "Search" }
        }
        (shown)
    };
    Ok(Page { title: "Memory".to_owned(), here: "/memory", body, live: None }.into())
}

fn search(ui: &Ui, request: &Request, question: &str, from: usize) -> SearchRequest {
    let now = Zoned::now().with_time_zone(ui.zone.clone());
    let is_set = |name: &str| request.query.get(name).is_some();
    SearchRequest::new(question).limit(HITS).skip(from).lexical_only(is_set("lexical")).all(is_set("all")).now(&now)
}

fn found(ui: &Ui, request: &Request, question: &str) -> Result<Markup> {
    let from = request.read("from", |text| text.parse::<usize>().ok(), "a number of runs")?.unwrap_or(0);
    let found = ui.workspace.memory().search(&search(ui, request, question, from)).map_err(report)?;
    let end = from.saturating_add(found.hits.len());
    let place = |from: Option<usize>| request.query.with("from", from.map(|from| from.to_string()).as_deref()).link("/memory");
    Ok(html! {
        p class="hint" { (element::line(&found.understood.line)) }
        @for notice in found.understood.notes.iter().chain(&found.notices) { p class="notice" { (element::line(notice)) } }
        @if found.nothing_close {
            p class="notice" {
                "Nothing close: no run shares a word of weight with the question or means something like it."
                @if request.query.get("all").is_none() {
                    " " a href=(request.query.with("all", Some("1")).link("/memory")) { "Show the nearest" }
                }
            }
        } @else if found.hits.is_empty() {
            p class="card" { @if from > 0 { "No more runs were found." } @else { "Nothing was found. Fewer filters find more." } }
        }
        ol class="hits" start=(from.saturating_add(1)) { @for hit in &found.hits { (item(ui, hit)) } }
        p class="pages" {
            @if from > 0 { a href=(place(None)) { "First runs" } }
            @if from > HITS { a href=(place(Some(from - HITS))) rel="prev" { "Previous runs" } }
            @if !found.hits.is_empty() && (end as u64) < found.total { a href=(place(Some(end))) rel="next" { "More runs" } }
        }
        (progress(&found))
    })
}

fn progress(found: &SearchResponse) -> Markup {
    html! {
        p class="hint" {
            (words::plural(found.total, "run")) " found in " (found.took_ms) " ms, " (found.mode) " search, index at event "
            (words::count(found.indexed_to)) " of " (words::count(found.log_head)) "."
        }
    }
}

fn item(ui: &Ui, hit: &HitDocument) -> Markup {
    let sides = [hit.lexical_rank.map(|rank| format!("words {rank}")), hit.semantic_rank.map(|rank| format!("meaning {rank}"))];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    html! {
        li class="card" {
            div class="hit" {
                (element::run_link(&hit.run_id)) " "
                strong { (element::line(&hit.title)) } " "
                (state(hit)) " "
                @if hit.mode != "real" { span class="mode" { (element::line(&hit.mode)) } }
                @if hit.weak { " " span class="mode" { "weak" } }
            }
            (runs::snippet(hit))
            p class="hint" {
                (hit.kind.name()) " of " (element::line(&hit.template_id)) ", " (element::moment(&hit.started_at, &ui.zone)) ", "
                (words::cost(u64::try_from(hit.cost_nusd).unwrap_or_default(), hit.cost_complete, crate::domain::event::Mode::Real))
                @if !sides.is_empty() { ", found by " (sides.join(" and ")) }
                " · " a href={ "/memory?like=" (hit.run_id) } { "like this run" }
            }
        }
    }
}

/// A hit's state, as that of a run everywhere.
fn state(hit: &HitDocument) -> Markup {
    match RunStatus::ALL.iter().find(|status| status.name() == hit.status) {
        Some(status) => element::status(*status, hit.verified),
        None => html! { span class="state" { (element::line(&hit.status)) } },
    }
}

fn like(ui: &Ui, reference: &str) -> Result<Markup> {
    let id = ui.workspace.runs().find_run(reference.trim())?;
    let run = ui.workspace.runs().detail(id)?.masked();
    let near = ui.workspace.memory().runs_like(&run, HITS, PATIENCE).map_err(report)?;
    let mut lines = Vec::new();
    for id in near {
        lines.extend(ui.workspace.runs().run_line(id)?.map(|line| (line, None)));
    }
    Ok(html! {
        h2 { "Runs like " (element::run_link(&run.run_id)) ", the nearest first" }
        p class="hint" { (element::line(&run.template_id)) ", " (run.status.name()) ". Compared are template, answers, report and what failed." }
        @if lines.is_empty() {
            p class="card" { "No other run is in the index. " code { "meno reindex" } " brings it up to the log." }
        } @else {
            (runs::table(ui, lines.into_iter()))
        }
    })
}
