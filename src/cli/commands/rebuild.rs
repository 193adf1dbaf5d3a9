//! `meno rebuild`: makes the store's indexes anew from its journal.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open::{Opening, store_with};
use crate::cli::output::words;
use crate::workspace::{Access, Upkeep};

/// What `rebuild --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was made anew, as `meno rebuild --json` prints it")]
pub struct RebuildDocument {
    /// The store's folder.
    pub store: String,
    /// Events in the index, as many as in the journal.
    pub events: u64,
    /// Runs in the list of runs.
    pub runs: u64,
}

/// Sets the indexes aside and fills new ones; the old ones go only once the new ones are whole.
///
/// # Errors
/// When another process holds the store and does not hand over, or the journal is damaged.
pub fn run(context: &mut Context) -> Result<Exit> {
    let workspace = store_with(context, Access::Change, Opening { upkeep: Upkeep::Rebuild, ..Opening::default() })?;
    let rebuilt = workspace.rebuild()?;
    let store = workspace.store.path.display().to_string();
    if context.out.json() {
        context.out.document(&RebuildDocument { store, events: rebuilt.events, runs: rebuilt.runs })?;
    } else {
        let (events, runs) = (words::plural(rebuilt.events, "event"), words::plural(rebuilt.runs, "run"));
        context.out.say(format!("{store}: indexes of {events} and {runs} rebuilt from the journal"));
    }
    Ok(Exit::Done)
}
