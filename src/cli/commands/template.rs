//! `meno template new|add`: a template or base agent comes into the store.

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
use crate::workspace::library::{FileKind, LookedAt};

/// `template new|add --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateTaken {
    /// What it is.
    pub kind: FileKind,
    /// Its id.
    pub template_id: String,
    /// Its file in the store.
    pub path: String,
    /// A file of the user's was replaced.
    pub replaced: bool,
    /// It hides a built-in one of the same id.
    pub hides_builtin: bool,
    /// Warnings about it.
    pub problems: Vec<Problem>,
}

/// Writes a commented start, or takes a checked file, into the store.
///
/// # Errors
/// When the id is none, the new one is there already, the file is broken, or the store cannot be written.
pub fn run(context: &mut Context, command: &TemplateCommand) -> Result<Exit> {
    let (kind, id, text, problems, replace) = match command {
        TemplateCommand::New { id } => {
            let text = starter(id)
                .map_err(|error| CliError::invalid(error.to_string()).hint("choose an id of a-z, 0-9, `_` and `-`"))?;
            (FileKind::Template, id.clone(), text, Vec::new(), false)
        }
        TemplateCommand::Add { file } => {
            let library = open::store(context, Access::Surroundings)?.library;
            let LookedAt { kind, text, id, problems, .. } = library.look_at(file, false);
            let (Some(text), Some(id)) = (text, id) else {
                let what = format!("{} is not a valid {}", file.display(), kind.name());
                let report = CliError::new("template_broken", Exit::Mendable, what);
                let report = problems.iter().fold(report, |report, problem| report.cause(templates::problem(file, problem)));
                return Err(report.hint("correct the file and try again; the store is unchanged"));
            };
            for problem in &problems {
                context.out.warn(sanitize::text(&templates::problem(file, problem)));
            }
            (kind, id, text, problems, true)
        }
    };
    let workspace = open::store(context, Access::Write)?;
    let taken = workspace.library.take(kind, &id, &text, replace)?;
    let path = taken.path.display().to_string();
    if context.out.json() {
        let document =
            TemplateTaken { kind, template_id: id, path, replaced: taken.replaced, hides_builtin: taken.hides_builtin, problems };
        context.out.document(&document)?;
        return Ok(Exit::Done);
    }
    let did = if taken.replaced { "replaced" } else { "wrote" };
    let hides = if taken.hides_builtin { "; it hides the built-in one" } else { "" };
    context.out.say(format!("{did} {}{hides}", sanitize::line(&path)));
    context.out.say(match kind {
        FileKind::Template => format!("`meno run {id}` runs it"),
        FileKind::Agent => format!("rules name it as `\"base_template\": \"{id}\"`"),
    });
    Ok(Exit::Done)
}
