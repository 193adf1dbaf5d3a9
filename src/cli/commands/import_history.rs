//! `meno import peer` and `meno import otel`: files of other systems become runs of this store.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::progress::Reading;
use crate::cli::running::remember;
use crate::cli::{open, render};
use crate::lake::skipped::Skipped;
use crate::lake::{otel, peer};
use crate::views::run_detail::Tokens;
use crate::workspace::{Access, HistoryImported};

/// What `import peer --json` and `import otel --json` print.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What came of an import of files of another system, as `meno import peer --json` prints it")]
pub struct ImportHistoryDocument {
    /// What was read.
    pub path: String,
    /// Runs that are new here.
    pub imported: u64,
    /// Of them, runs whose results were made up: they count as simulated.
    pub simulated: u64,
    /// Runs that were here already.
    pub already_there: u64,
    /// Runs that were here already and say something else now: nothing was taken of them.
    pub changed: u64,
    /// Agents of the new runs.
    pub agents: u64,
    /// Model calls of the new runs that are known one by one.
    pub calls: u64,
    /// Uses of tools of the new runs.
    pub tools: u64,
    /// Tokens of these calls, as far as known.
    pub tokens: Tokens,
    /// What is known of the new runs' cost, in nUSD, without those whose results were made up.
    pub cost_nusd: u64,
    /// The same in dollars, exactly.
    pub cost_usd: String,
    /// What is known of what the runs whose results were made up would have cost, in nUSD.
    pub simulated_cost_nusd: u64,
    /// The cost of everything in the new runs is known.
    pub cost_complete: bool,
    /// Calls whose cost is not known, by model.
    pub unpriced: Vec<UnpricedCalls>,
    /// What was taken but not as it stands.
    pub notices: Vec<HistoryNotice>,
    /// What was not taken, the first 200.
    pub skipped: Vec<SkippedFile>,
    /// How many files and lines were not taken.
    pub skipped_total: u64,
    /// Templates that lie there: `meno template add FILE` takes one in.
    pub templates: Vec<String>,
}

/// A file or line that was not taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkippedFile {
    /// The file or folder.
    pub file: String,
    /// The line or document, from 1; 0 for the file as a whole.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// Calls of one model whose cost is not known.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnpricedCalls {
    /// The model.
    pub model: String,
    /// Why.
    pub why: String,
    /// How many.
    pub calls: u64,
}

/// Something that was taken, but not as it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryNotice {
    /// What.
    pub what: String,
    /// How often.
    pub count: u64,
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let path = path.display().to_string();
    move |error| {
        CliError::new("io", Exit::Mendable, format!("cannot read {path}: {error}")).hint("name a file or folder that can be read")
    }
}

/// Imports the history of the Python system.
///
/// # Errors
/// When there is none at `path`, or the store cannot take it.
pub fn peer(context: &mut Context, path: &Path) -> Result<Exit> {
    let mut skipped = Skipped::default();
    // What is there is looked at before the store: a name that is wrong makes no store.
    let found = peer::find(path, &mut skipped).map_err(unreadable(path))?;
    if found.is_empty() {
        return Err(CliError::not_found(format!("{} has no runs and no telemetry", path.display()))
            .hint("name the folder that has `executions/` or `usage.jsonl`: `meno import peer ~/.empathy`"));
    }
    let workspace = open::store(context, Access::Write)?;
    let mut counting = Reading::new(&context.out, "importing", None);
    let zone = context.out.zone().clone();
    let done = workspace.keeping().import_peer(&found, skipped, &zone, &mut |at| counting.reached(at.bytes, Some(at.runs)));
    counting.end();
    let done = done?;
    show(context, path, &done)?;
    remember(context, &workspace);
    Ok(exit(&done))
}

/// Imports traces.
///
/// # Errors
/// When there are none at `path`, or the store cannot take them.
pub fn otel(context: &mut Context, path: &Path) -> Result<Exit> {
    let mut skipped = Skipped::default();
    let files = otel::documents::files(path, &mut skipped).map_err(unreadable(path))?;
    if files.is_empty() {
        return Err(CliError::not_found(format!("{} has no traces", path.display()))
            .hint("name a file of OTLP JSON, or a folder of .json, .jsonl or .gz files"));
    }
    let workspace = open::store(context, Access::Write)?;
    let mut counting = Reading::new(&context.out, "importing", None);
    let done = workspace.keeping().import_otel(&files, skipped, &mut |at| counting.reached(at.bytes, Some(at.runs)));
    counting.end();
    let done = done?;
    show(context, path, &done)?;
    remember(context, &workspace);
    Ok(exit(&done))
}

/// Something that could not be read is worth another look; what is of no interest is not.
fn exit(done: &HistoryImported) -> Exit {
    let nothing = done.runs + done.already_there + done.changed == 0;
    if nothing && done.skipped.total > 0 { Exit::Mendable } else { Exit::Done }
}

fn show(context: &mut Context, path: &Path, done: &HistoryImported) -> Result<()> {
    if context.out.json() {
        return context.out.document(&document(path, done));
    }
    for line in render::import::history_notices(done) {
        context.out.warn(line);
    }
    context.out.data(render::import::history(done))
}

fn document(path: &Path, done: &HistoryImported) -> ImportHistoryDocument {
    let HistoryImported { sums, .. } = done;
    ImportHistoryDocument {
        path: path.display().to_string(),
        imported: done.runs,
        simulated: done.simulated,
        already_there: done.already_there,
        changed: done.changed,
        agents: done.agents,
        calls: sums.calls,
        tools: sums.tools,
        tokens: sums.usage.into(),
        cost_nusd: sums.cost.0,
        cost_usd: sums.cost.to_decimal(),
        simulated_cost_nusd: done.simulated_cost.0,
        cost_complete: sums.unpriced.is_empty() && done.costless == 0,
        unpriced: sums
            .unpriced
            .iter()
            .map(|((model, why), calls)| UnpricedCalls { model: model.clone(), why: (*why).to_owned(), calls: *calls })
            .collect(),
        notices: done.notices.iter().map(|(what, count)| HistoryNotice { what: what.clone(), count: *count }).collect(),
        skipped: done
            .skipped
            .named
            .iter()
            .map(|skip| SkippedFile { file: skip.path.display().to_string(), line: skip.line, why: skip.why.clone() })
            .collect(),
        skipped_total: done.skipped.total,
        templates: done.templates.iter().map(|file| file.display().to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_an_import_of_history_is_that_of_its_type() {
        crate::views::schema_test::check::<super::ImportHistoryDocument>("import-history.json");
    }
}
