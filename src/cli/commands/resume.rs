//! `meno resume RUN`: goes on with a run that was suspended, interrupted, waits for a person, or failed.

use std::sync::Arc;

use serde_json::Value;

use super::run::GivenAnswers;
use crate::cli::args::ResumeArgs;
use crate::cli::args::values::Budget;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open::Opening;
use crate::cli::render::GoOn;
use crate::cli::{consent, form_fill, open, running};
use crate::domain::event::AnswerSource;
use crate::domain::run::{AgentStatus, Command};
use crate::settings::Flags;
use crate::workspace::{Access, ResumeRequest};

/// Goes on with a run.
///
/// # Errors
/// When there is no such run, it has ended, or another process executes it.
pub fn run(context: &mut Context, args: &ResumeArgs) -> Result<Exit> {
    let flags = Flags { allow_write: args.allow_write, ..Flags::default() };
    let workspace = Arc::new(open::store_with(context, Access::Change, Opening { flags, ..Opening::default() })?);
    let id = workspace.runs().find_own_run(&args.run.to_string())?;
    // What cannot be read is no run that could go on: resuming says why.
    if let Ok(basis) = workspace.runs().recorded_basis(id) {
        consent::to_run(context, &workspace, id, &basis)?;
        let folder = workspace.runs().folder_of(id)?;
        consent::to_programs(context, &workspace, &basis.template, true, &folder)?;
    }
    let run_budget = args.budgets.iter().rfind(|budget| budget.role.is_none());
    let of_agent = |budget: &Budget| Some((budget.role.clone()?, budget.amount));
    let request = ResumeRequest {
        retry_failed: args.retry_failed,
        budget: run_budget.map(|budget| budget.amount),
        agent_budgets: args.budgets.iter().filter_map(of_agent).collect(),
        allow_unpriced: args.allow_unpriced,
        denies: args.deny,
    };
    let mut active = workspace.runs().resume(id, &request).map_err(|error| CliError::from(error).about("RUN", id))?;
    // What was typed as a secret is recorded nowhere; what stands in a variable is known again.
    let known = form_fill::secrets_of(&workspace, &active.basis.template, &GivenAnswers::new());
    active.redactor = workspace.redactor_of(&active.basis, &known);
    if !active.stream.run().form_complete && !active.stream.run().is_ended() {
        let set = args.set.iter().map(|pair| (pair.key.clone(), (Value::String(pair.value.clone()), AnswerSource::Flag)));
        let given: GivenAnswers = set.collect();
        if context.can_ask() {
            form_fill::check_given(&active.basis.template, &given)?;
            form_fill::fill(context, &workspace, &mut active, &given)?;
        } else {
            form_fill::complete(&workspace, &mut active, &given)?;
        }
    } else if !args.set.is_empty() {
        return Err(CliError::refused(format!("the form of run {id} is complete, so `--set` changes nothing"))
            .hint(format!("`meno fork {id} --set ID=VALUE` begins a new run with other answers")));
    }
    let on = GoOn { run: &id.to_string(), allow_write: workspace.runs().needs_leave_to_write(id) };
    approve(args, &mut active, on)?;
    running::carry_on(context, &workspace, active)
}

/// Answers every question about an escalation as `--approve` or `--deny` says.
fn approve(args: &ResumeArgs, active: &mut crate::workspace::ActiveRun, on: GoOn<'_>) -> Result<()> {
    let granted = match (args.approve, args.deny) {
        (false, false) => return Ok(()),
        (granted, _) => granted,
    };
    let waits = |agent: &&crate::domain::run::Agent| matches!(agent.status, AgentStatus::AwaitingApproval { .. });
    let agents: Vec<_> = active.stream.run().agents.iter().filter(waits).map(|agent| agent.plan.agent).collect();
    if agents.is_empty() {
        return Err(CliError::refused(format!("run {} waits for no approval", active.id))
            .hint(format!("`{}` goes on with it", on.resume(""))));
    }
    for agent in agents {
        let still =
            active.stream.run().agent(agent).is_some_and(|agent| matches!(agent.status, AgentStatus::AwaitingApproval { .. }));
        // A denial can end the run, and with it the other questions.
        if still {
            let basis = Arc::clone(&active.basis);
            active.stream.perform(&basis, &[Command::Approve { agent, granted }])?;
        }
    }
    Ok(())
}
