//! What the commands about templates share: finding one, and problems in words.

use std::path::Path;

use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::sanitize;
use crate::domain::template::{Problem, template_id};
use crate::workspace::library::{AgentEntry, Entry, FileKind, Library, TakeError};

/// Returns the template called `id`.
///
/// # Errors
/// When `id` is none, there is no such template, or its file cannot be read.
pub fn find(library: &Library, id: &str) -> Result<Entry> {
    template_id(id).map_err(bad_id)?;
    let found = library
        .find(id)
        .map_err(|error| CliError::new("io", Exit::Mendable, format!("template `{id}` cannot be read: {error}")))?;
    found.ok_or_else(|| {
        let known: Vec<String> = library.list().into_iter().map(|entry| entry.id).collect();
        CliError::new("template_not_found", Exit::Mendable, format!("template `{id}` is not known"))
            .cause("looked in: the store's templates, the built-in ones")
            .suggest(id, known.iter().map(String::as_str), "`meno list-templates` shows all")
    })
}

/// Returns the base agent called `id`, or that has it as an alias.
///
/// # Errors
/// When `id` is none, or there is no such base agent.
pub fn find_agent(library: &Library, id: &str) -> Result<AgentEntry> {
    template_id(id).map_err(bad_id)?;
    let mut all = library.list_agents();
    let is_called = |entry: &AgentEntry| entry.agent.as_ref().is_some_and(|agent| agent.aliases.iter().any(|alias| alias == id));
    match all.iter().position(|entry| entry.id == id).or_else(|| all.iter().position(is_called)) {
        Some(place) => Ok(all.swap_remove(place)),
        None => Err(CliError::new("agent_not_found", Exit::Mendable, format!("base agent `{id}` is not known"))
            .cause("looked in: the store's templates/agents, the built-in ones")
            .suggest(id, all.iter().map(|entry| entry.id.as_str()), "`meno list-templates --agents` shows all")),
    }
}

/// Returns the template of a file when `name` is a path: no id has a `/` or a `.`. A file that is no template is an [`Entry`] with its
/// problems.
///
/// # Errors
/// When there is no such file.
pub fn of_path(library: &Library, name: &str) -> Result<Option<Entry>> {
    if !name.contains('/') && !name.ends_with(".json") {
        return Ok(None);
    }
    let path = Path::new(name);
    if path.exists() {
        return Ok(Some(library.file(path)));
    }
    Err(CliError::new("template_not_found", Exit::Mendable, format!("there is no template file {}", sanitize::line(name)))
        .hint("name a file that is there, or a template by its id: `meno list-templates` shows all"))
}

/// Says that a text is no id.
pub fn bad_id(error: crate::domain::template::BadId) -> CliError {
    CliError::invalid(error.to_string()).hint("`meno list-templates` shows the templates there are")
}

/// Says a problem as compilers do: file, place, what is wrong, how to mend it.
pub fn problem(path: &Path, problem: &Problem) -> String {
    format!("{}:{problem}\n    remedy: {}", path.display(), problem.remedy)
}

impl From<TakeError> for CliError {
    fn from(error: TakeError) -> Self {
        let message = error.to_string();
        match error {
            TakeError::Id(_) => Self::invalid(message).hint("choose an id of a-z, 0-9, `_` and `-`"),
            TakeError::Exists { kind, id, .. } => {
                let agent = if kind == FileKind::Agent { " --agent" } else { "" };
                Self::refused(message)
                    .hint(format!("choose another id, or begin with `meno export-template {id}{agent} -o FILE`"))
            }
            TakeError::Write(error) => error.into(),
        }
    }
}
