//! Runs that wait for a person, the newest first, each with the one action that unblocks it.

use maud::{Markup, html};

use super::run;
use crate::cli::error::Result;
use crate::domain::ids::RunId;
use crate::ui::{Answer, Page, Request, Ui, element};
use crate::views::run_list::RunLine;
use crate::views::status::RunStatus;

/// Runs on a page.
const RUNS: usize = 25;
/// Runs that are looked at for one page.
const LOOKED_AT_MAX: usize = 100;
/// Bytes of the list after which it goes on on the next page.
const BYTES: usize = 120_000;

/// Shows what waits for a person: approvals, budgets, open forms, pauses and interruptions.
///
/// # Errors
/// When the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let before = request.read("before", |text| text.parse().ok(), "the id of a run")?;
    let mut next = before;
    let (mut waiting, mut bytes, mut looked_at, mut older) = (Vec::new(), 0, 0, None);
    'pages: while looked_at < LOOKED_AT_MAX {
        let page = ui.workspace.runs().waiting_page(next, RUNS)?;
        for line in page.runs {
            let Ok(id) = line.run_id.parse() else { continue };
            looked_at += 1;
            let unblocks = unblocks(ui, &line, id)?;
            if !unblocks.is_empty() {
                let card = card(ui, &line, &unblocks);
                bytes += card.0.len();
                waiting.push(card);
            }
            if waiting.len() == RUNS || bytes >= BYTES || looked_at == LOOKED_AT_MAX {
                older = Some(id);
                break 'pages;
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let older = older.map(|last: RunId| request.query.with("before", Some(&last.to_string())).link("/needs"));
    let body = html! {
        h1 { "Needs you" }
        div id="needs" data-part {
            p class="hint" { (run::waiting_words(waiting.len())) @if older.is_some() { " Older ones may follow." } }
            @for card in &waiting { (card) }
        }
        @if let Some(older) = older { p class="pages" { a href=(older) rel="next" { "Older runs" } } }
    };
    Ok(Page { title: "Needs you".to_owned(), here: "/needs", body, live: Some(String::new()) }.into())
}

/// A run, and what answers what it waits for.
fn card(ui: &Ui, line: &RunLine, unblocks: &[run::Unblock]) -> Markup {
    html! {
        div class="card" {
            p { (element::run_link(&line.run_id)) " " b { (element::short(&line.template_id, 80)) } " "
                (element::status(line.status, line.verified)) " " (element::mode(line.mode))
                span class="soft" { ", started " (element::moment(&line.started_at, &ui.zone)) } }
            @for unblock in unblocks { (run::form(ui, &line.run_id, unblock, true)) }
        }
    }
}

/// Returns what unblocks a run that stands still. A failed run is not waited for, unless money was all that it wanted for.
fn unblocks(ui: &Ui, line: &RunLine, id: RunId) -> Result<Vec<run::Unblock>> {
    if line.status == RunStatus::Running {
        return Ok(Vec::new());
    }
    let mut unblocks = run::unblock(ui, &ui.workspace.runs().detail(id)?.masked());
    if line.status == RunStatus::Failed {
        unblocks.retain(|unblock| matches!(unblock, run::Unblock::Budget { .. }));
    }
    Ok(unblocks)
}
