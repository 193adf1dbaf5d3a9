//! `meno diff`: how two runs differ.

use crate::cli::args::DiffArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open;
use crate::cli::render::diff;
use crate::workspace::Access;

/// Shows how two runs differ, with sensitive values masked.
///
/// # Errors
/// When there is no such run, or the store cannot be read.
pub fn run(context: &mut Context, args: &DiffArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let (a, b) = (workspace.runs().find_run(&args.a.to_string())?, workspace.runs().find_run(&args.b.to_string())?);
    let found = workspace.runs().diff(a, b)?;
    if context.out.json() {
        context.out.document(&found)?;
    } else {
        context.out.data(diff::diff(&found))?;
    }
    Ok(Exit::Done)
}
