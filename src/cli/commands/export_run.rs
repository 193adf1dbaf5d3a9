//! `meno export-run`: a run as files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::ExportRunArgs;
use crate::cli::commands::show_run::refuse_missing;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::render::output::Texts;
use crate::cli::render::{export_run, export_tools};
use crate::workspace::Access;

/// What `export-run --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was written, as `meno export-run --json` prints it")]
pub struct Exported {
    /// The run's id.
    pub run_id: String,
    /// The folder.
    pub dir: String,
    /// The names of the files in it.
    pub files: Vec<String>,
}

/// Writes the run's files, each whole or not at all.
///
/// # Errors
/// When there is no such run, or a file cannot be written.
pub fn run(context: &mut Context, args: &ExportRunArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let id = workspace.runs().find_run(&args.run.to_string())?;
    let detail = if args.prompts { workspace.runs().detail_with_prompts(id)? } else { workspace.runs().detail(id)? };
    if let Some(number) = args.attempt {
        refuse_missing(&detail, None, number)?;
    }
    let texts = Texts { outputs: true, prompts: args.prompts, attempt: args.attempt };
    let files = export_run::export_run(&detail, args.sensitive, texts)
        .map_err(|error| CliError::fault("the run cannot be written as JSON").source(&error))?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| CliError::cannot_write(&path, &error)
    };
    fs::create_dir_all(&args.dir).map_err(failed(&args.dir))?;
    for (name, text) in &files {
        let path = args.dir.join(name);
        write(&path, text.as_bytes()).map_err(failed(&path))?;
    }
    let mut names: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
    let results = workspace.runs().whole_results(id)?;
    for mut result in results.into_iter().filter(|result| args.attempt.is_none_or(|number| result.attempt == number)) {
        if !args.sensitive {
            detail.mask_in(&mut result.text);
        }
        for (name, bytes) in export_tools::export_tools(&result) {
            let path = args.dir.join(&name);
            write(&path, &bytes).map_err(failed(&path))?;
            names.push(name);
        }
    }
    if context.out.json() {
        let dir = args.dir.display().to_string();
        context.out.document(&Exported { run_id: id.to_string(), dir, files: names })?;
    } else {
        context.out.say(format!("run {id}: {} written to {}", names.join(", "), args.dir.display()));
    }
    Ok(Exit::Done)
}

/// Runs are private: only their owner may read what is exported, until they say otherwise.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    fs::rename(&beside, path)
}
