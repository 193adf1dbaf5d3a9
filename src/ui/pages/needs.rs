//! Runs that wait for a person, the newest first, each with the one action that unblocks it.

use maud::html;

use super::run;
use crate::cli::error::Result;
use crate::ui::{Answer, Page, Request, Ui, element};
use crate::views::run_list::{LogFilter, RunFilter};
use crate::views::status::RunStatus;

/// Runs on a page.
const RUNS: usize = 25;
/// States in which a run waits for a person.
const WAITING: [RunStatus; 3] = [RunStatus::AwaitingInput, RunStatus::Suspended, RunStatus::Interrupted];

/// Shows what waits for a person: approvals, budgets, open forms, pauses and interruptions.
///
/// # Errors
/// When the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let before = request.read("before", |text| text.parse().ok(), "the id of a run")?;
    // A failed run is not waited for, unless money was all that it wanted for.
    let filter = RunFilter {
        status: WAITING.into_iter().chain([RunStatus::Failed]).collect(),
        log: LogFilter::Own,
        ..RunFilter::default()
    };
    let page = ui.workspace.runs().runs_page(&filter, before, RUNS)?;
    let mut waiting = Vec::new();
    for line in &page.runs {
        let Ok(id) = line.run_id.parse() else { continue };
        let detail = ui.workspace.runs().detail(id)?.masked();
        let mut unblocks = run::unblock(ui, &detail);
        if detail.status == RunStatus::Failed {
            unblocks.retain(|unblock| matches!(unblock, run::Unblock::Budget { .. }));
        }
        if !unblocks.is_empty() && detail.mode != crate::domain::event::Mode::Imported {
            waiting.push((line, unblocks));
        }
    }
    let older = page.next.map(|next| request.query.with("before", Some(&next.to_string())).link("/needs"));
    let body = html! {
        h1 { "Needs you" }
        div id="needs" data-part {
            p class="hint" { (run::waiting_words(waiting.len())) @if older.is_some() { " Older ones may follow." } }
            @for (line, unblocks) in &waiting {
                div class="card" {
                    p { (element::run_link(&line.run_id)) " " b { (element::line(&line.template_id)) } " "
                        (element::status(line.status, line.verified)) " " (element::mode(line.mode))
                        span class="soft" { " since " (element::moment(&line.started_at, &ui.zone)) } }
                    @for unblock in unblocks { (run::form(ui, &line.run_id, unblock)) }
                }
            }
        }
        @if let Some(older) = older { p class="pages" { a href=(older) rel="next" { "Older runs" } } }
    };
    Ok(Page { title: "Needs you".to_owned(), here: "/needs", body, live: Some(String::new()) }.into())
}
