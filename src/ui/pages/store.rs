//! The store: where it is, how large, how far its index has come, and on request everything that `meno doctor` looks at.

use maud::{Markup, html};

use crate::cli::commands::doctor::{self, CheckStatus, DoctorDocument};
use crate::cli::commands::search::report;
use crate::cli::error::Result;
use crate::cli::output::words;
use crate::ui::layout::backticks;
use crate::ui::{Answer, Page, Request, Ui, element};
use crate::workspace::{LastAudit, StoreFigures};

/// Shows the store.
///
/// # Errors
/// When log or index cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let figures = ui.workspace.keeping().figures().map_err(report)?;
    let checked = request.query.get("check").map(|_| doctor::look(&ui.workspace)).transpose()?;
    let folder = ui.workspace.store.path.display().to_string();
    let all: u64 = figures.parts.iter().map(|part| part.bytes).sum();
    let body = html! {
        h1 { "Store" }
        section class="card" {
            dl class="facts" {
                div { dt { "Folder" } dd { (element::line(&folder)) } }
                div { dt { "Log" } dd { (words::plural(figures.log_head, "event")) } }
                div { dt { "Size" } dd { (bytes(all)) } }
                (index(&figures))
                (seal(ui, &figures))
                (audit(ui, &figures))
            }
        }
        @match &checked {
            Some(document) => (checks(document)),
            None => {
                form class="actions" action="/store" {
                    input type="hidden" name="check" value="1";
                    button type="submit" { "Check everything" }
                    span class="hint" { "Reads every file of the store, as " code { "meno doctor" } " does." }
                }
            }
        }
        h2 { "What lies there" }
        div class="wide" tabindex="0" role="region" aria-label="The store" {
            table {
                thead { tr { th { "Part" } th class="num" { "Files" } th class="num" { "Size" } th { "What it is" } } }
                tbody {
                    @for part in &figures.parts {
                        tr {
                            td class="part" { code { (element::line(&part.name)) } }
                            td class="num" { (words::count(part.files)) }
                            td class="num" { (bytes(part.bytes)) }
                            td { (purpose(&part.name)) }
                        }
                    }
                }
            }
        }
    };
    Ok(Page { title: "Store".to_owned(), here: "/store", body, live: None }.into())
}

/// Answers with the document that `meno doctor --json` prints.
///
/// # Errors
/// When the store cannot be read.
pub fn document(ui: &Ui, _: &Request) -> Result<Answer> {
    super::api::document(&doctor::look(&ui.workspace)?)
}

fn index(figures: &StoreFigures) -> Markup {
    let Some(index) = figures.index else {
        return html! { div { dt { "Search index" } dd { "none yet" small { code { "meno reindex" } " makes it" } } } };
    };
    let embedded = index.passages.saturating_sub(index.without_vector);
    html! {
        div { dt { "Search index" } dd {
            "event " (words::count(index.indexed_to)) " of " (words::count(figures.log_head))
            progress class="meter" max=(figures.log_head.max(1)) value=(index.indexed_to) aria-label="indexed" {}
        } }
        div { dt { "Embedded" } dd {
            (words::count(embedded)) " of " (words::plural(index.passages, "passage"))
            progress class="meter" max=(index.passages.max(1)) value=(embedded) aria-label="embedded" {}
        } }
    }
}

fn seal(ui: &Ui, figures: &StoreFigures) -> Markup {
    html! {
        div { dt { "Last seal" } dd {
            @match &figures.last_seal {
                Some(seal) => {
                    (element::moment(&seal.at, &ui.zone))
                    small { (words::plural(figures.log_head.saturating_sub(seal.seq), "event")) " since" }
                }
                None => {
                    "none" small { "in the newest " (words::plural(figures.looked_through, "event")) "; " code { "meno seal" } " makes one" }
                }
            }
        } }
    }
}

fn audit(ui: &Ui, figures: &StoreFigures) -> Markup {
    html! {
        div { dt { "Last audit" } dd {
            @match &figures.last_audit {
                LastAudit::Never => { "none" small { code { "meno audit" } " verifies the log" } }
                LastAudit::Noted(note) => {
                    (element::moment(&note.at, &ui.zone))
                    small {
                        @if note.violations == 0 { "nothing violated" } @else { b { (words::plural(note.violations, "violation")) } }
                        ", " (words::plural(figures.log_head.saturating_sub(note.position), "event")) " since"
                    }
                }
                LastAudit::OfAnotherLog(note) => {
                    "of another log" small { "the log is not the one that was audited at " (element::moment(&note.at, &ui.zone)) "; "
                        code { "meno audit" } " verifies this one" }
                }
            }
        } }
    }
}

fn checks(document: &DoctorDocument) -> Markup {
    let class = |state: CheckStatus| match state {
        CheckStatus::Ok => ("succeeded", "ok"),
        CheckStatus::Warning => ("suspended", "warning"),
        CheckStatus::Problem => ("failed", "problem"),
        CheckStatus::Damage => ("failed", "damage"),
    };
    html! {
        h2 { "Everything was checked: " (class(document.state).1) }
        div class="wide" tabindex="0" role="region" aria-label="The store" {
            table {
                thead { tr { th { "State" } th { "What" } th { "Found" } } }
                tbody {
                    @for check in &document.checks {
                        @let (class, word) = class(check.state);
                        tr {
                            td { span class={ "state s-" (class) } { (word) } }
                            td { (check.name) }
                            td {
                                (element::line(&check.found))
                                @if let Some(hint) = &check.hint { p class="hint" { (backticks(hint)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return words::plural(bytes, "byte");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    if value < 9.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// Says what a part of the store's folder is for.
fn purpose(name: &str) -> &'static str {
    match name {
        "journal" => "every event, synced before it is acknowledged: the truth",
        "log" => "events in order and the views; rebuilt from the journal",
        "payloads" => "large texts, named by their hash",
        "index" => "search index and vectors; can be deleted",
        "runs" => "locks of runs that are executed",
        "spool" => "paid replies that wait to be appended",
        "templates" => "templates of this store",
        "config.toml" => "settings of this store",
        "audit.json" => "when the store was audited last, and what was found",
        "store.lock" | "owner.sock" => "the owner's lock, and where it serves other processes",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits_at_least_and_a_unit() {
        assert_eq!([0, 1, 999].map(bytes), ["0 bytes", "1 byte", "999 bytes"]);
        assert_eq!([1000, 9_949, 12_345, 999_600, 81_000_000].map(bytes), ["1.0 kB", "9.9 kB", "12 kB", "1.0 MB", "81 MB"]);
    }
}
