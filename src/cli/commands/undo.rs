//! `meno undo RUN`: takes back what the tools of a run wrote.

use crate::cli::args::UndoArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::{sanitize, words};
use crate::workspace::{Access, FileUndone, UndoError, Undone};

/// Takes back what a run wrote, where the files still are what it left; the others are named, and the exit code says so.
///
/// # Errors
/// When there is no such run, it is going on, or what it wrote is no longer retained.
pub fn run(context: &mut Context, args: &UndoArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Change)?;
    let id = workspace.runs().find_own_run(&args.run.to_string())?;
    let undone = workspace.runs().undo(id, args.agent.as_deref(), args.dry_run)?;
    let left = undone.files.iter().any(|file| matches!(file.outcome, FileUndone::ChangedSince | FileUndone::Failed));
    if context.out.json() {
        context.out.document(&undone)?;
    } else {
        show(context, &undone)?;
    }
    Ok(if left { Exit::Mendable } else { Exit::Done })
}

fn show(context: &mut Context, undone: &Undone) -> Result<()> {
    if undone.files.is_empty() {
        context.out.say(format!("run {} has nothing to undo", undone.run_id));
    }
    for file in &undone.files {
        let outcome = match (file.outcome, undone.dry_run) {
            (FileUndone::Restored, false) => "restored",
            (FileUndone::Restored, true) => "would be restored",
            (FileUndone::Deleted, false) => "deleted: it was not there before the run",
            (FileUndone::Deleted, true) => "would be deleted: it was not there before the run",
            (FileUndone::AsBefore, _) => "is as it was before the run already",
            (FileUndone::ChangedSince, _) => "changed since the run wrote it: left as it is",
            (FileUndone::Failed, _) => "left as it is",
        };
        let why = file.message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
        let line = format!("{}  {outcome}{why}  (tool {} of {})", file.path, file.tool, file.agent);
        context.out.data(sanitize::line(&line))?;
    }
    let put_back = |file: &&crate::workspace::UndoneFile| matches!(file.outcome, FileUndone::Restored | FileUndone::Deleted);
    let count = undone.files.iter().filter(put_back).count() as u64;
    if count > 0 {
        let would = if undone.dry_run { "would be " } else { "" };
        let folder = sanitize::line(&undone.folder);
        context.out.say(format!("{} {would}taken back in {folder}", words::plural(count, "write")));
    }
    if undone.programs_ran {
        context.out.say("programs ran in this run: what they changed is not known and not taken back");
    }
    Ok(())
}

impl From<UndoError> for CliError {
    fn from(error: UndoError) -> Self {
        let message = error.to_string();
        match error {
            UndoError::Store(error) => error.into(),
            UndoError::Live(run) => {
                Self::refused(message).hint(format!("wait until it has ended, or end it: `meno cancel {run}`"))
            }
            UndoError::Forgotten(_) => Self::new("forgotten", Exit::Mendable, message),
            UndoError::NoSuchAgent { run, .. } => Self::not_found(message).hint(format!("`meno show-run {run}` shows its team")),
            UndoError::Folder(_) => Self::new("io", Exit::Mendable, message).hint("put the folder back where the run worked"),
        }
    }
}
