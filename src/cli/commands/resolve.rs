//! `meno resolve RUN done`: says whether a tool had finished when Meno stopped, and goes on with the run.

use std::sync::Arc;

use crate::cli::args::ResolveArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open::Opening;
use crate::cli::render::GoOn;
use crate::cli::{consent, form_fill, open, running};
use crate::settings::Flags;
use crate::workspace::{Access, ResumeRequest};

use super::run::GivenAnswers;

/// Records what a person says of a tool, and goes on.
///
/// # Errors
/// When there is no such run, it waits for no such answer, or another process executes it.
pub fn run(context: &mut Context, args: &ResolveArgs) -> Result<Exit> {
    let flags = Flags { allow_write: args.allow_write, ..Flags::default() };
    let workspace = Arc::new(open::store_with(context, Access::Change, Opening { flags, ..Opening::default() })?);
    let id = workspace.runs().find_own_run(&args.run.to_string())?;
    if let Ok(basis) = workspace.runs().recorded_basis(id) {
        consent::to_run(context, &workspace, id, &basis)?;
        let folder = workspace.runs().folder_of(id)?;
        consent::to_programs(context, &workspace, &basis.template, true, &folder)?;
    }
    // A run that waits for nothing is not begun again.
    let detail = workspace.runs().detail(id)?;
    let attempts = detail.agents.iter().flat_map(|agent| &agent.attempts);
    let tools = attempts.flat_map(|attempt| &attempt.calls).flat_map(|call| &call.tools);
    let waiting: Vec<u32> = tools.filter(|tool| tool.writes && tool.ok.is_none()).map(|tool| tool.number).collect();
    let run = id.to_string();
    let on = GoOn { run: &run, allow_write: workspace.runs().needs_leave_to_write(id) };
    if detail.status.ended() && waiting.is_empty() {
        return Err(CliError::refused(format!("run {id} has ended: {}", detail.status))
            .hint(format!("it waits for no tool; `meno show-run {id}` shows what came of it")));
    }
    let chosen = choose(&waiting, args.tool, on)?;
    let mut active =
        workspace.runs().resume(id, &ResumeRequest::default()).map_err(|error| CliError::from(error).about("RUN", id))?;
    let known = form_fill::secrets_of(&workspace, &active.basis.template, &GivenAnswers::new());
    active.redactor = workspace.redactor_of(&active.basis, &known);
    if !active.resolve_tool(chosen, args.answer)? {
        return Err(CliError::refused(format!("run {id} does not wait for tool {chosen}"))
            .hint(format!("`{}` continues it", on.resume(""))));
    }
    running::carry_on(context, &workspace, active)
}

/// Returns the number of the tool that is meant.
fn choose(waiting: &[u32], tool: Option<u32>, on: GoOn<'_>) -> Result<u32> {
    let id = on.run;
    let numbers = waiting.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (tool, waiting) {
        (_, []) => Err(CliError::refused(format!("run {id} waits for no tool"))
            .hint(format!("`meno show-run {id}` shows where it stands; `{}` continues it", on.resume("")))),
        (Some(tool), waiting) if waiting.contains(&tool) => Ok(tool),
        (Some(tool), [first, ..]) => {
            Err(CliError::refused(format!("run {id} does not wait for tool {tool}; it waits for {numbers}"))
                .hint(format!("`{}` says that this one had finished", on.resolve(*first, "done"))))
        }
        (None, [one]) => Ok(*one),
        (None, [first, ..]) => Err(CliError::usage(format!("run {id} waits for several tools: {numbers}"))
            .hint(format!("name one: `{}`", on.resolve(*first, "done")))),
    }
}
