//! `meno show-run`: the whole story of a run.

use crate::cli::args::ShowRunArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::progress::Names;
use crate::cli::render::output::Texts;
use crate::cli::render::{agents_of, events, show_run};
use crate::cli::{open, output};
use crate::views::run_detail::RunDetail;
use crate::workspace::Access;

/// Shows a run, with sensitive values masked.
///
/// # Errors
/// When there is no such run or agent, or the store cannot be read.
pub fn run(context: &mut Context, args: &ShowRunArgs) -> Result<Exit> {
    if args.events && context.out.json() {
        return Err(CliError::usage(
            "`--events` and `--json` do not go together: a run is one document, its events are JSON Lines",
        )
        .hint(format!("`meno events {} --json` prints the events", args.run)));
    }
    let workspace = open::store(context, Access::Read)?;
    let id = workspace.runs().find_run(&args.run.to_string())?;
    let detail = if args.prompts { workspace.runs().detail_with_prompts(id) } else { workspace.runs().detail(id) };
    let mut detail = detail?.masked();
    if let Some(role) = &args.agent {
        refuse_strangers(&detail, role)?;
    }
    if let Some(number) = args.attempt {
        refuse_missing(&detail, args.agent.as_deref(), number)?;
    }
    if context.out.json() {
        if args.agent.is_some() {
            let agents = agents_of(&detail, args.agent.as_deref()).cloned().collect();
            detail.agents = agents;
        }
        if let Some(number) = args.attempt {
            detail.agents.iter_mut().for_each(|agent| agent.attempts.retain(|attempt| attempt.attempt == number));
        }
        context.out.document(&detail)?;
        return Ok(Exit::Done);
    }
    let family = workspace.runs().family(id)?;
    let (agent, zone) = (args.agent.as_deref(), context.out.zone());
    // Who names an attempt wants to see something of it.
    let outputs = args.outputs || (args.attempt.is_some() && !args.prompts);
    let texts = Texts { outputs, prompts: args.prompts, attempt: args.attempt };
    let shown = show_run::ShowRunOptions {
        texts,
        agent,
        zone,
        family: &family,
        diff: args.diff,
        allow_write: workspace.runs().needs_leave_to_write(id),
        width: context.out.width(),
    };
    let page = show_run::show_run(&detail, shown);
    context.out.verbatim(page)?;
    if args.events {
        context.out.data(format!("\n{}", output::styled(output::HEADING, "Events")))?;
        let mut names = Names::default();
        for recorded in workspace.runs().events_of(id, 1, u32::MAX)? {
            let line = events::event(&recorded, &mut names, context.out.zone());
            context.out.data(line)?;
        }
    }
    Ok(Exit::Done)
}

/// An attempt that no agent made is a mistake, not an empty page.
pub fn refuse_missing(run: &RunDetail, role: Option<&str>, number: u32) -> Result<()> {
    let mut agents = agents_of(run, role);
    if agents.any(|agent| agent.attempts.iter().any(|attempt| attempt.attempt == number)) {
        return Ok(());
    }
    let of = role.map_or_else(String::new, |role| format!(" of `{role}`"));
    let last = agents_of(run, role).flat_map(|agent| &agent.attempts).map(|attempt| attempt.attempt).max();
    let report = CliError::not_found(format!("run {} has no attempt {number}{of}", run.run_id));
    Err(match last {
        Some(1) => report.hint("there was one attempt, number 1"),
        Some(last) => report.hint(format!("attempts have the numbers 1 to {last}")),
        None => report.cause("no attempt was made"),
    })
}

/// An agent that the run does not have is a mistake, not an empty page.
fn refuse_strangers(run: &RunDetail, role: &str) -> Result<()> {
    if agents_of(run, Some(role)).next().is_some() {
        return Ok(());
    }
    let roles: Vec<&str> = run.agents.iter().map(|agent| agent.role.as_str()).collect();
    let report = CliError::not_found(format!("run {} has no agent `{role}`", run.run_id));
    let report = if roles.is_empty() { report } else { report.cause(format!("it has: {}", roles.join(", "))) };
    Err(report.suggest(role, roles.iter().copied(), &format!("`meno show-run {}` shows its team", run.run_id)))
}
