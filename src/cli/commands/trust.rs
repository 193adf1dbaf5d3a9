//! `meno trust [DIR]`: the settings and templates of a project's store count.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::TrustArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::sanitize;
use crate::settings::Places;
use crate::workspace::setup;

/// `trust --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrustDocument {
    /// The store's folder.
    pub store: String,
    /// It was trusted before.
    pub already: bool,
}

/// Trusts the store that `DIR` is or has.
///
/// # Errors
/// When there is none, or the list of trusted stores cannot be written.
pub fn run(context: &mut Context, args: &TrustArgs) -> Result<Exit> {
    let places = Places::of_process(&context.variables)?;
    let dir = places.current.join(&args.dir);
    let Some(store) = setup::store_of(&dir) else {
        let message = format!("{} is no store and has none", args.dir.display());
        return Err(CliError::not_found(message).hint("`meno init` makes one in the current folder"));
    };
    let (path, already) = setup::trust(&places, &store)?;
    let store = path.display().to_string();
    if context.out.json() {
        context.out.document(&TrustDocument { store, already })?;
    } else {
        let said = if already { "was trusted already:" } else { "trusted:" };
        context.out.say(format!("{said} {}; its settings and templates count", sanitize::line(&store)));
    }
    Ok(Exit::Done)
}
