//! `meno export-template ID [-o FILE]`: the text of a template or base agent as it is, broken or not.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::templates;
use crate::cli::args::ExportTemplateArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::sanitize;
use crate::workspace::Access;

/// `export-template -o FILE --json`; without `-o` the document is the template.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateExported {
    /// Its id, of a base agent with `--agent`.
    pub template_id: String,
    /// The file written.
    pub path: String,
}

/// Prints its text, or writes it to a file that is not there yet: an export never overwrites.
///
/// # Errors
/// When there is no such template, or the file is there or cannot be written.
pub fn run(context: &mut Context, args: &ExportTemplateArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let (id, text) = if args.agent {
        let entry = templates::find_agent(&workspace.library, &args.template)?;
        (entry.id, entry.text)
    } else {
        let entry = templates::find(&workspace.library, &args.template)?;
        (entry.id, entry.text)
    };
    let Some(file) = &args.output else {
        // On a terminal nothing in the text may act; in a pipe it is the file, byte for byte.
        let text = if context.out.width().is_some() { sanitize::json(&text) } else { text.as_str().into() };
        context.out.text(&text)?;
        return Ok(Exit::Done);
    };
    let written = OpenOptions::new().write(true).create_new(true).open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::refused(format!("{} is there already", file.display())).hint("choose another name, or remove it first")
        }
        _ => CliError::cannot_write(file, &error),
    })?;
    let path = file.display().to_string();
    if context.out.json() {
        context.out.document(&TemplateExported { template_id: id, path })?;
    } else {
        context.out.say(format!("wrote {}", sanitize::line(&path)));
    }
    Ok(Exit::Done)
}
