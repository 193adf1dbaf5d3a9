//! `meno import …`: what other systems wrote down becomes runs of this store.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::{ImportCommand, ImportRunsArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::progress::Reading;
use crate::cli::running::remember;
use crate::cli::{open, render};
use crate::domain::money::NanoUsd;
use crate::workspace::{Access, Imported};

/// What `import runs --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What came of an import, as `meno import runs --json` prints it")]
pub struct ImportDocument {
    /// The file; `-` for stdin.
    pub file: String,
    /// The system that the runs come from.
    pub source: String,
    /// Lines that are not blank.
    pub lines: u64,
    /// Runs that are new here.
    pub imported: u64,
    /// Runs that were here already, with the same words.
    pub already_there: u64,
    /// Lines that tell other things of a run that was here already: nothing was taken of them.
    pub changed: u64,
    /// Lines that cannot be taken.
    pub failed: u64,
    /// Attempts of the new runs.
    pub attempts: u64,
    /// What is known of the new runs' cost, in nUSD.
    pub cost_nusd: u64,
    /// The same in dollars, exactly.
    pub cost_usd: String,
    /// The cost of every attempt of the new runs is known.
    pub cost_complete: bool,
    /// What is wrong, of the first lines that cannot be taken.
    pub problems: Vec<ImportProblem>,
    /// The first lines that tell other things.
    pub changes: Vec<ImportChange>,
    /// What was taken, but not as it stands.
    pub notices: Vec<ImportNotice>,
}

/// Why a line cannot be taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportProblem {
    /// The line's number, from 1.
    pub line: u64,
    /// Where in it: `agents[0].attempts[1].tier`; empty for the line as a whole.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// A line that tells other things of a run that was here already.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportChange {
    /// The line's number, from 1.
    pub line: u64,
    /// The run's id here.
    pub run_id: String,
    /// The run's id in its own system.
    pub foreign_run_id: Option<String>,
}

/// Something that was taken, but not as it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportNotice {
    /// Where, without numbers: `agents[].attempts[].cost_usd`.
    pub field: String,
    /// What was done.
    pub what: String,
    /// On how many lines.
    pub lines: u64,
    /// The first of them.
    pub first_line: u64,
}

/// Imports what `command` names.
///
/// # Errors
/// When the file cannot be read or the store cannot take it.
pub fn run(context: &mut Context, command: &ImportCommand) -> Result<Exit> {
    match command {
        ImportCommand::Runs(args) => runs(context, args),
        ImportCommand::Transcripts(args) => super::import_transcripts::run(context, args),
        ImportCommand::Events(args) => super::import_events::run(context, args),
        ImportCommand::Peer(args) => super::import_history::peer(context, &args.path),
        ImportCommand::Otel(args) => super::import_history::otel(context, &args.path),
    }
}

fn runs(context: &mut Context, args: &ImportRunsArgs) -> Result<Exit> {
    let is_stdin = args.file == Path::new("-");
    if args.strict && is_stdin {
        return Err(CliError::invalid("`--strict` reads the file twice, which stdin cannot give")
            .hint("save it first: `cat > histories.jsonl`, then `meno import runs histories.jsonl --strict`"));
    }
    // The file is opened before the store: a name that is wrong makes no store.
    let mut first = Some(open_file(&args.file)?);
    let mut file = || match first.take() {
        Some(file) => Ok(file),
        None => open_file(&args.file),
    };
    let workspace = open::store(context, Access::Write)?;
    if args.strict {
        let (file, bytes) = file()?;
        let mut counting = Reading::new(&context.out, "checking", bytes);
        let checked = workspace.keeping().check_runs(file, &args.source, &mut |at| counting.reached(at.bytes, None))?;
        counting.end();
        if checked.failed + checked.changed > 0 {
            // Nothing of it is in the store.
            let checked = Imported { runs: 0, attempts: 0, cost: NanoUsd(0), ..checked };
            show(context, args, &checked)?;
            context.out.say("nothing was imported, because not every line is good (`--strict`)");
            return Ok(Exit::Mendable);
        }
    }
    let (file, bytes) = file()?;
    let mut counting = Reading::new(&context.out, "importing", bytes);
    let imported = workspace.keeping().import_runs(file, &args.source, &mut |at| counting.reached(at.bytes, Some(at.runs)))?;
    counting.end();
    show(context, args, &imported)?;
    remember(context, &workspace);
    Ok(if imported.failed > 0 { Exit::Mendable } else { Exit::Done })
}

/// Opens a file, or stdin, with its size where that is known.
fn open_file(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    const BUFFER: usize = 1 << 20;
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(BUFFER, io::stdin())), None));
    }
    let failed = |error: io::Error| {
        CliError::new("io", Exit::Mendable, format!("cannot read {}: {error}", path.display()))
            .hint("give a file with one JSON object per line, or `-` for stdin")
    };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    Ok((Box::new(BufReader::with_capacity(BUFFER, file)), about.is_file().then_some(about.len())))
}

fn show(context: &mut Context, args: &ImportRunsArgs, imported: &Imported) -> Result<()> {
    if context.out.json() {
        return context.out.document(&document(args, imported));
    }
    for line in render::import::problems(imported) {
        context.out.warn(line);
    }
    context.out.data(render::import::summary(imported))
}

fn document(args: &ImportRunsArgs, imported: &Imported) -> ImportDocument {
    ImportDocument {
        file: args.file.display().to_string(),
        source: args.source.clone(),
        lines: imported.lines,
        imported: imported.runs,
        already_there: imported.already_there,
        changed: imported.changed,
        failed: imported.failed,
        attempts: imported.attempts,
        cost_nusd: imported.cost.0,
        cost_usd: imported.cost.to_decimal(),
        cost_complete: imported.cost_complete,
        problems: imported
            .problems
            .iter()
            .map(|told| ImportProblem {
                line: told.line,
                field: told.problem.field.clone(),
                reason: told.problem.reason.clone(),
                remedy: told.problem.remedy.clone(),
            })
            .collect(),
        changes: imported
            .changes
            .iter()
            .map(|change| ImportChange {
                line: change.line,
                run_id: change.run.to_string(),
                foreign_run_id: change.foreign.clone(),
            })
            .collect(),
        notices: imported
            .notices
            .iter()
            .map(|(notice, lines, first_line)| ImportNotice {
                field: notice.field.clone(),
                what: notice.what.clone(),
                lines: *lines,
                first_line: *first_line,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_an_import_is_that_of_its_type() {
        crate::views::schema_test::check::<super::ImportDocument>("import.json");
    }
}
