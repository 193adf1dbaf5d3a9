//! `meno init`: a store for this folder.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::output::sanitize;
use crate::settings::Places;
use crate::settings::place::FOLDER;
use crate::workspace::setup;

/// `init --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InitDocument {
    /// The store's folder.
    pub store: String,
    /// It was made now, rather than there already.
    pub created: bool,
    /// A commented config.toml was written.
    pub config_written: bool,
    /// Its settings and templates count.
    pub trusted: bool,
}

/// Makes `.meno/` here, or the folder that `--store` or MENO_STORE names.
///
/// # Errors
/// When it cannot be made or trusted.
pub fn run(context: &mut Context) -> Result<Exit> {
    let places = Places::of_process(&context.variables)?;
    let named = context.global.store.as_deref().or(places.store_variable.as_deref());
    let folder = named.map_or_else(|| places.current.join(FOLDER), |named| places.current.join(named));
    let made = setup::init(&places, &folder)?;
    let store = made.store.display().to_string();
    let shown = sanitize::line(&store).into_owned();
    if context.out.json() {
        let document = InitDocument { store, created: made.created, config_written: made.config_written, trusted: made.trusted };
        context.out.document(&document)?;
        return Ok(Exit::Done);
    }
    context.out.say(format!("{} {shown}", if made.created { "made and trusted" } else { "was there already:" }));
    if made.config_written {
        context.out.say("wrote its config.toml: every setting, commented out");
    }
    if !made.trusted {
        context.out.warn(format!("it is not trusted; look through its config.toml and templates, then `meno trust {shown}`"));
    }
    Ok(Exit::Done)
}
