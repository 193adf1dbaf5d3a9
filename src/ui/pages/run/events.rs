//! The events of one run, page by page; each leads to the run as it was then.

use maud::html;

use crate::cli::error::Result;
use crate::cli::output::words;
use crate::cli::progress::Names;
use crate::cli::render::events;
use crate::ui::{Answer, Page, Request, Ui, element};

/// Events on a page, and characters of each that are shown.
const EVENTS: usize = 200;
const CHARS_MAX: usize = 400;

/// Shows a run's events.
///
/// # Errors
/// When there is no such run or the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let id = ui.workspace.runs().find_run(request.part("run"))?;
    let from = request.read("from", |text| text.parse::<usize>().ok(), "the number of an event")?.unwrap_or(1).max(1);
    let all = ui.workspace.runs().events_of(id, 1, u32::MAX)?;
    let mut names = Names::default();
    all.iter().for_each(|recorded| names.learn(recorded));
    let first = (from - 1).min(all.len());
    let end = (first + EVENTS).min(all.len());
    let path = format!("/runs/{id}/events");
    let body = html! {
        h1 { "Events of " (element::run_link(&id.to_string())) }
        div class="wide" tabindex="0" role="region" aria-label="Events" id="events" data-part {
            table class="events" {
                thead { tr { th class="num" { "Position" } th { "Event" } } }
                tbody {
                    @for recorded in &all[first..end] {
                        tr {
                            td class="num" {
                                a class="row" href={ "/runs/" (id) "?at=" (recorded.envelope.seq) } { (recorded.envelope.seq) }
                            }
                            td { code { (event(&element::plain(&events::event(recorded, &mut names, &ui.zone)))) } }
                        }
                    }
                }
            }
        }
        p class="pages" {
            (words::plural(all.len() as u64, "event"))
            @if first > 0 { a href={ (path) "?from=" (first.saturating_sub(EVENTS) + 1) } { "Earlier" } }
            @if end < all.len() { a href={ (path) "?from=" (end + 1) } { "Later" } }
        }
    };
    Ok(Page { title: "Events".to_owned(), here: "/", body, live: Some(id.to_string()) }.into())
}

/// An event in words, without the end of one that is very long.
fn event(words: &str) -> String {
    match words.char_indices().nth(CHARS_MAX) {
        None => words.to_owned(),
        Some((end, _)) => format!("{}…", &words[..end]),
    }
}
