//! Whether what a stranger's store brings may spend the user's money.

use std::path::Path;

use super::ask::{Terminal, agrees};
use super::context::Context;
use super::error::{CliError, Result};
use super::output::sanitize;
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::domain::run::Basis;
use crate::domain::settings::Sandbox;
use crate::domain::template::Template;
use crate::settings::{How, is_trusted};
use crate::workspace::library::{Entry, Origin};
use crate::workspace::{McpError, Workspace, mode};

/// What is taken when nothing is typed.
const SAFE: (bool, &str) = (false, "to be safe");

/// Asks whether a template of a store that was found and is not trusted, or of a file that is no store's, may be run with real models.
///
/// # Errors
/// When it may not, or nobody can be asked.
pub fn to_template(context: &mut Context, workspace: &Workspace, entry: &Entry) -> Result<()> {
    let mode = mode(&workspace.resolved.settings);
    match &entry.origin {
        Origin::User(_) if needs_consent(workspace, mode)? => {
            let what = format!("template `{}` of {}", entry.id, workspace.store.path.display());
            ask(context, &what, &STORE, &format!("meno show-template {}", entry.id))
        }
        Origin::File(path) if mode == Mode::Real => {
            let what = format!("template file {}", sanitize::line(&path.display().to_string()));
            ask(context, &what, &FILE, &format!("meno show-template {}", path.display()))
        }
        Origin::BuiltIn | Origin::User(_) | Origin::File(_) => Ok(()),
    }
}

/// Why somebody is asked, and how to be asked no more.
struct Source {
    refused: &'static str,
    asked: &'static str,
    remedy: &'static str,
}

const STORE: Source =
    Source { refused: "the store is not trusted", asked: "comes from a store that you do not trust", remedy: "meno trust" };
const FILE: Source =
    Source { refused: "it is no template of the store", asked: "is no template of the store", remedy: "meno template add FILE" };

/// Asks whether a run that such a store recorded may go on, or be run once more, with real models: what it
/// decides by is the store's too: template, base agents, models, answers.
///
/// # Errors
/// As [`to_template`].
pub fn to_run(context: &mut Context, workspace: &Workspace, run: RunId, basis: &Basis) -> Result<()> {
    if !needs_consent(workspace, mode(&basis.settings))? {
        return Ok(());
    }
    let what = format!("run {run} of {}", workspace.store.path.display());
    ask(context, &what, &STORE, &format!("meno show-run {run}"))
}

/// Asks whether programs may be run that a stranger's template names, in a simulation too, and whether they may be confined to a folder that
/// is the home folder or lies above it.
///
/// # Errors
/// As [`to_template`].
pub fn to_programs(
    context: &mut Context,
    workspace: &Workspace,
    template: &Template,
    is_strangers: bool,
    folder: &Path,
) -> Result<()> {
    let programs = workspace.runs().programs_of(template);
    if programs.is_empty() {
        return Ok(());
    }
    let programs = programs.into_iter().collect::<Vec<_>>().join(", ");
    // What runs against real models has been asked about already.
    if is_strangers && mode(&workspace.resolved.settings) != Mode::Real && is_strange(workspace)? {
        let refused = || {
            CliError::refused(format!("template `{}` would run {programs} here, and {}", template.template_id, STORE.refused))
                .hint(format!("look at it with `meno show-template {}`, then `{}`", template.template_id, STORE.remedy))
        };
        let question = format!("template `{}` {}. Let it run {programs} here?", template.template_id, STORE.asked);
        confirm(context, question, refused)?;
    }
    if let Some(refusal) = home_refusal(workspace, template, folder) {
        confirm(context, format!("{}. Run it here?", refusal.message), || refusal.clone())?;
    }
    Ok(())
}

/// Returns why the programs of a template are not run in `folder` unasked: they would be confined to the home folder or what lies above
/// it. `None` when nothing speaks against it.
pub fn home_refusal(workspace: &Workspace, template: &Template, folder: &Path) -> Option<CliError> {
    let programs = workspace.runs().programs_of(template);
    let is_confined = workspace.resolved.settings.tools.sandbox != Sandbox::Off;
    if programs.is_empty() || !is_confined || !workspace.runs().holds_home(folder) {
        return None;
    }
    let programs = programs.into_iter().collect::<Vec<_>>().join(", ");
    let folder = sanitize::line(&folder.display().to_string()).into_owned();
    let refusal = CliError::refused(format!("{programs} could read and change all of {folder}, which holds your home folder"));
    Some(refusal.hint("go to the folder of a project and run it there"))
}

/// Tells whether the store is one that was found and is not trusted.
///
/// # Errors
/// When the list of trusted stores cannot be read.
pub fn is_strange(workspace: &Workspace) -> Result<bool> {
    Ok(workspace.store.how == How::Found && !is_trusted(&workspace.places, &workspace.store)?)
}

/// Asks whether the tools of an MCP server that has changed are allowed as they are now, and allows them.
///
/// # Errors
/// When they are not, nobody can be asked, or it is another fault.
pub fn to_changed_server(context: &mut Context, workspace: &Workspace, error: McpError) -> Result<()> {
    let McpError::Changed { server, changes, now } = &error else { return Err(error.into()) };
    if !context.can_ask() {
        return Err(error.into());
    }
    // Nobody can allow what they have not seen.
    for tool in now {
        let description = tool.spec.description.split_once('\n').map_or("", |(_, own)| own);
        context.out.say(sanitize::line(&tool.listed()));
        context.out.say(sanitize::text(description));
        context.out.say(format!("arguments: {}", sanitize::line(&tool.spec.parameters.to_string())));
    }
    let text =
        format!("MCP server `{server}` has changed: {}. Allow its tools as they are now?", sanitize::line(&changes.join(", ")));
    match agrees(&mut Terminal::new(true), "mcp", text, None, SAFE)? {
        true => Ok(workspace.runs().allow_mcp(server).map(drop)?),
        false => Err(error.into()),
    }
}

fn needs_consent(workspace: &Workspace, mode: Mode) -> Result<bool> {
    Ok(mode == Mode::Real && is_strange(workspace)?)
}

fn ask(context: &mut Context, what: &str, source: &Source, look: &str) -> Result<()> {
    let refused = || {
        CliError::refused(format!("{what} would run against real models, and {}", source.refused))
            .hint(format!("look at it with `{look}`, then `{}`", source.remedy))
    };
    confirm(context, format!("{what} {}. Run it with your models?", source.asked), refused)
}

fn confirm(context: &Context, text: String, refused: impl Fn() -> CliError) -> Result<()> {
    if !context.can_ask() {
        return Err(refused());
    }
    match agrees(&mut Terminal::new(true), "trust", sanitize::line(&text).into_owned(), None, SAFE)? {
        true => Ok(()),
        false => Err(refused()),
    }
}
