//! `meno seal`: a checkpoint of the log, to be kept elsewhere.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use crate::cli::args::SealArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Report, Result};
use crate::cli::open;
use crate::workspace::Access;

/// Seals the log and writes the seal down.
///
/// # Errors
/// When there is no store, it cannot take the event, or the file is there already or cannot be written.
pub fn run(context: &mut Context, args: &SealArgs) -> Result<Exit> {
    // A store that is not there has nothing to be sealed, and is not made for it.
    let workspace = open::store(context, Access::Read)?;
    let Some(path) = &args.output else {
        context.out.document(&workspace.seal()?)?;
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| {
        Report::new("io", Exit::Mendable, format!("cannot write {}: {error}", path.display()))
            .hint("choose another file with `-o FILE`; a seal is never written over")
    };
    // Before anything is appended: a seal that cannot be kept is none.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let seal = workspace.seal().inspect_err(|_| drop(fs::remove_file(path)))?;
    let text = serde_json::to_string_pretty(&seal)
        .map_err(|error| Report::fault("the seal cannot be written as JSON").source(&error))?;
    file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    if context.out.json() {
        context.out.document(&seal)?;
    } else {
        context.out.say(format!("sealed up to event {}; keep {} where the store is not", seal.position, path.display()));
    }
    Ok(Exit::Done)
}
