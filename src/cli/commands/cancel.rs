//! `meno cancel RUN`: ends a run for good.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::CancelArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open;
use crate::workspace::Access;

/// What `cancel --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "A run that was to end, as `meno cancel --json` prints it")]
pub struct Cancelled {
    /// The run's id.
    pub run_id: String,
    /// True: it has ended. False: the process that executes it was told and ends it.
    pub ended: bool,
}

/// Ends a run, or tells the process that executes it to do so.
///
/// # Errors
/// When there is no such run or it has ended.
pub fn run(context: &mut Context, args: &CancelArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Change)?;
    let id = workspace.runs().find_own_run(&args.run.to_string())?;
    let ended = workspace.runs().cancel(id)?;
    if context.out.json() {
        context.out.document(&Cancelled { run_id: id.to_string(), ended })?;
    } else if ended {
        context.out.say(format!("run {id} is cancelled"));
    } else {
        context.out.say(format!("run {id} is being cancelled; its process stops within a moment"));
    }
    Ok(Exit::Done)
}
