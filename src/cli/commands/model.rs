//! `meno model`: embedding models, and the only download that Meno ever makes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::memory::{ModelCommand, ModelFetchArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::sanitize;
use crate::cli::output::table::{Column, Fit, Table};
use crate::cli::progress::{Counting, FETCHING};
use crate::workspace::{Access, FetchError};

/// What `model fetch --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "A model that was fetched, as `meno model fetch --json` prints it")]
pub struct ModelFetched {
    /// The model's name.
    pub name: String,
    /// The folder that holds it.
    pub folder: String,
}

/// Lists models or fetches one.
///
/// # Errors
/// When a model is not known or does not come.
pub fn run(context: &mut Context, command: &ModelCommand) -> Result<Exit> {
    match command {
        ModelCommand::List => list(context),
        ModelCommand::Fetch(args) => fetch(context, args),
    }
}

fn list(context: &mut Context) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let models = workspace.models();
    if context.out.json() {
        context.out.document(&models)?;
        return Ok(Exit::Done);
    }
    let columns = [
        Column::new("model", Fit::Whole),
        Column::new("numbers", Fit::Number).optional(2),
        Column::new("where", Fit::Whole),
        Column::new("used", Fit::Whole).optional(1),
        Column::new("what", Fit::Below),
    ];
    let mut table = Table::new(&context.out, &columns);
    for model in &models.models {
        let place = match (model.built_in, model.here) {
            (true, _) => "built in",
            (false, true) => "fetched",
            (false, false) => "-",
        };
        let used = if model.in_use { "yes" } else { "" };
        table.row([
            model.name.clone(),
            model.dimensions.to_string(),
            place.to_owned(),
            used.to_owned(),
            model.description.clone(),
        ]);
    }
    context.out.data(table.finish())?;
    context.out.say(
        "`meno model fetch NAME` fetches one; `meno config memory.model=NAME` uses it, `meno reindex` embeds the past with it",
    );
    Ok(Exit::Done)
}

fn fetch(context: &mut Context, args: &ModelFetchArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let hub = context.variables.get("HF_ENDPOINT");
    let counting = Counting::new(&context.out, FETCHING);
    let fetched = workspace.fetch_model(&args.name, hub.as_deref(), args.deadline, &mut |_, done, total| {
        counting.show(done, total);
    });
    counting.finish();
    let folder = fetched.map_err(|error| report(&error))?;
    if context.out.json() {
        context.out.document(&ModelFetched { name: args.name.clone(), folder: folder.display().to_string() })?;
    } else {
        let folder = sanitize::line(&folder.display().to_string()).into_owned();
        context.out.say(format!("fetched into {folder}; `meno config memory.model={}` uses it", args.name));
    }
    Ok(Exit::Done)
}

fn report(error: &FetchError) -> CliError {
    let report = CliError::new("model", Exit::Mendable, error.to_string());
    match error {
        FetchError::Unknown { nearest: Some(nearest), .. } => {
            report.hint(format!("did you mean `{nearest}`? `meno model list` shows all"))
        }
        FetchError::Unknown { .. } => report.hint("`meno model list` shows all"),
        FetchError::BuiltIn(_) => report.hint("`meno config memory.model=all-MiniLM-L6-v2` uses it"),
        FetchError::Download { source, .. } => {
            report.source(source).hint("search works without it, by the built-in model; try again when the network is there")
        }
        FetchError::Broken { source, .. } => report.source(source).hint("choose another model: `meno model list`"),
        FetchError::Io { source, .. } => report.source(source),
    }
}
