//! The documents of the commands, as programs read them: what `--json` prints, at an address.

use serde::Serialize;

use crate::cli::error::{CliError, Result};
use crate::ui::{Answer, Request, Ui};
use crate::views::run_list::SortBy;
use crate::workspace::SearchRequest;

/// Runs in one document, at most.
const RUNS_MAX: usize = 1000;

/// Answers with a document, as the command with `--json` prints it.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn document(value: &impl Serialize) -> Result<Answer> {
    let json = serde_json::to_string(value).map_err(|error| CliError::fault("this cannot be written as JSON").source(&error))?;
    Ok(Answer::Json(crate::cli::output::sanitize::json(&json).into_owned()))
}

/// `list-runs --json`, with the filters of the page of runs and `limit`.
///
/// # Errors
/// When a filter cannot be read, or the store.
pub fn runs(ui: &Ui, request: &Request) -> Result<Answer> {
    let filter = super::runs::filter(ui, request)?;
    let limit = request
        .read("limit", |text| text.parse::<usize>().ok().filter(|limit| *limit > 0), "a number from 1 on")?
        .unwrap_or(RUNS_MAX);
    document(&ui.workspace.runs().list(&filter, SortBy::Newest, Some(limit.clamp(1, RUNS_MAX)))?)
}

/// `show-run --json`, or with `at` what `replay --at` prints.
///
/// # Errors
/// When there is no such run, or it had not begun then.
pub fn run(ui: &Ui, request: &Request) -> Result<Answer> {
    let id = ui.workspace.runs().find_run(request.part("run"))?;
    let at = request.read("at", |text| text.parse::<u64>().ok(), "a position in the log")?;
    let detail = match at {
        None => ui.workspace.runs().detail(id)?,
        Some(at) => ui
            .workspace
            .proof()
            .detail_at(id, at)?
            .ok_or_else(|| CliError::not_found(format!("run {id} had not begun when the log was at position {at}")))?,
    };
    document(&detail.masked())
}

/// `search --json`.
///
/// # Errors
/// When nothing is asked, or the store cannot be read.
pub fn search(ui: &Ui, request: &Request) -> Result<Answer> {
    let question =
        request.query.get("q").ok_or_else(|| CliError::invalid("nothing is asked").hint("use `/api/search?q=WORDS`"))?;
    let limit = request.read("limit", |text| text.parse::<usize>().ok().filter(|limit| *limit > 0), "a number from 1 on")?;
    let now = jiff::Zoned::now().with_time_zone(ui.zone.clone());
    let search = SearchRequest { limit, ..SearchRequest::new(question) }.now(&now);
    document(&ui.workspace.memory().search(&search).map_err(crate::cli::commands::search::report)?)
}

/// Returns what the last word of `q` may become, for the fields in which runs are searched.
///
/// # Errors
/// When the store cannot be read.
pub fn complete(ui: &Ui, request: &Request) -> Result<Answer> {
    /// Completions that are offered.
    const OFFERED: usize = 12;
    /// Characters of a query that is still completed.
    const CHARS_MAX: usize = 1000;
    let query = request.query.all("q").next().unwrap_or_default();
    if query.chars().count() > CHARS_MAX {
        return document(&Vec::<Offer>::new());
    }
    let found = ui.workspace.memory().completions(query, OFFERED).map_err(crate::cli::commands::search::report)?;
    document(&found.into_iter().map(|found| Offer { query: found.query, kind: found.kind }).collect::<Vec<_>>())
}

/// What a query may become.
#[derive(Serialize)]
struct Offer {
    /// The whole query.
    query: String,
    /// What was completed.
    kind: &'static str,
}
