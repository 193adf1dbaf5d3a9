//! `meno template new|add`: a template comes into the store.

use schemars::JsonSchema;
use serde::Serialize;

use super::templates;
use crate::cli::args::TemplateCommand;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::sanitize;
use crate::domain::template::{Problem, starter};
use crate::workspace::Access;

/// `template new|add --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateTaken {
    /// Its id.
    pub template_id: String,
    /// Its file in the store.
    pub path: String,
    /// A file of the user's was replaced.
    pub replaced: bool,
    /// It hides a built-in template of the same id.
    pub hides_builtin: bool,
    /// Warnings about it.
    pub problems: Vec<Problem>,
}

/// Writes a commented start, or takes a checked file, into the store.
///
/// # Errors
/// When the id is none, the new one is there already, the file is broken, or the store cannot be written.
pub fn run(context: &mut Context, command: &TemplateCommand) -> Result<Exit> {
    let (id, text, problems, replace) = match command {
        TemplateCommand::New { id } => {
            let text = starter(id)
                .map_err(|error| CliError::invalid(error.to_string()).hint("choose an id of a-z, 0-9, `_` and `-`"))?;
            (id.clone(), text, Vec::new(), false)
        }
        TemplateCommand::Add { file } => {
            let library = open::store(context, Access::Surroundings)?.library;
            let (text, checked) = library.check_file(file, false);
            let (Some(text), Some(template)) = (text, checked.value) else {
                let report =
                    CliError::new("template_broken", Exit::Mendable, format!("{} is not a valid template", file.display()));
                let report =
                    checked.problems.iter().fold(report, |report, problem| report.cause(templates::problem(file, problem)));
                return Err(report.hint("correct the file and try again; the store is unchanged"));
            };
            for problem in &checked.problems {
                context.out.warn(sanitize::text(&templates::problem(file, problem)));
            }
            (template.template_id, text, checked.problems, true)
        }
    };
    let workspace = open::store(context, Access::Write)?;
    let taken = workspace.library.take(&id, &text, replace)?;
    let path = taken.path.display().to_string();
    if context.out.json() {
        let document =
            TemplateTaken { template_id: id, path, replaced: taken.replaced, hides_builtin: taken.hides_builtin, problems };
        context.out.document(&document)?;
        return Ok(Exit::Done);
    }
    let did = if taken.replaced { "replaced" } else { "wrote" };
    let hides = if taken.hides_builtin { "; it hides the built-in one" } else { "" };
    context.out.say(format!("{did} {}{hides}", sanitize::line(&path)));
    context.out.say(format!("`meno run {id}` runs it"));
    Ok(Exit::Done)
}
