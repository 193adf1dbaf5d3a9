//! Whether what a stranger's store brings may spend the user's money.

use serde_json::Value;

use super::ask::{AskKind, AskQuestion, Asked, Prompter, Terminal};
use super::context::Context;
use super::error::{Report, Result};
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::domain::run::Basis;
use crate::settings::{How, is_trusted};
use crate::workspace::library::{Entry, Origin};
use crate::workspace::{Workspace, mode};

/// Asks whether a template of a store that was found and is not trusted may be run with real models.
///
/// # Errors
/// When it may not, or nobody can be asked.
pub fn to_template(context: &mut Context, workspace: &Workspace, entry: &Entry) -> Result<()> {
    let is_strangers = matches!(entry.origin, Origin::User(_));
    if !is_strangers || !needs_consent(workspace, mode(&workspace.resolved.settings))? {
        return Ok(());
    }
    let what = format!("template `{}` of {}", entry.id, workspace.store.path.display());
    ask(context, &what, &format!("meno show-template {}", entry.id))
}

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
    ask(context, &what, &format!("meno show-run {run}"))
}

fn needs_consent(workspace: &Workspace, mode: Mode) -> Result<bool> {
    let is_found = workspace.store.how == How::Found;
    Ok(is_found && mode == Mode::Real && !is_trusted(&workspace.places, &workspace.store)?)
}

fn ask(context: &mut Context, what: &str, look: &str) -> Result<()> {
    let refused = || {
        Report::refused(format!("{what} would run against real models, and the store is not trusted"))
            .hint(format!("look at it with `{look}`, then `meno trust`"))
    };
    if !context.can_ask() {
        return Err(refused());
    }
    let question = AskQuestion {
        id: "trust".to_owned(),
        text: format!("{what} comes from a store that you do not trust. Run it with your models?"),
        help: None,
        kind: AskKind::Confirm,
        required: true,
        default: Some((Value::Bool(false), "to be safe".to_owned())),
        progress: None,
        validate: &|value| Ok(value.clone()),
    };
    match Terminal::new(true).ask(&question)? {
        Asked::Answer(Value::Bool(true)) => Ok(()),
        _ => Err(refused()),
    }
}
