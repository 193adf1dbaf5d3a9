//! `meno fork` and `meno rerun`: a run that begins with what another one recorded.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::run::{GivenAnswers, say_twice, wrong};
use crate::cli::args::values::{KeyValue, RunRef};
use crate::cli::args::{ForkArgs, NewTerms, RerunArgs};
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open::Opening;
use crate::cli::output::{sanitize, words};
use crate::cli::{consent, form_fill, open, running};
use crate::domain::event::AnswerSource;
use crate::domain::form;
use crate::domain::run::{Agent, AgentStatus, TakeOver};
use crate::domain::template::{Question, QuestionKind};
use crate::settings::Flags;
use crate::workspace::{Access, ActiveRun, ForkPoint, ForkRequest, GivenAnswer, Workspace};

/// Forks a run.
///
/// # Errors
/// When there is no such run, position, role or answer, or what the run decided by is gone.
pub fn fork(context: &mut Context, args: &ForkArgs) -> Result<Exit> {
    say_twice(context, "--label", &args.terms.labels);
    let request = ForkRequest { take_over: args.agent.clone().map(|role| but(role, args.retry_failed)), ..own(&args.terms) };
    begin(context, &args.run, args.at, request, &args.set)
}

/// Runs once more what a run did.
///
/// # Errors
/// As [`fork`].
pub fn rerun(context: &mut Context, args: &RerunArgs) -> Result<Exit> {
    say_twice(context, "--label", &args.terms.labels);
    let take_over = Some(args.agent.clone().map_or(TakeOver::Nothing, |role| but(role, false)));
    begin(context, &args.run, None, ForkRequest { take_over, ..own(&args.terms) }, &[])
}

fn but(role: String, retry_failed: bool) -> TakeOver {
    TakeOver::AllBut { role, retry_failed }
}

fn own(terms: &NewTerms) -> ForkRequest {
    ForkRequest {
        strategy: terms.strategy,
        budget: terms.budget,
        escalate: terms.escalate,
        seed: terms.seed,
        fresh_tools: terms.fresh_tools,
        allow_write: terms.allow_write,
        labels: terms.labels.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
        ..ForkRequest::default()
    }
}

fn begin(context: &mut Context, run: &RunRef, at: Option<u64>, mut request: ForkRequest, set: &[KeyValue]) -> Result<Exit> {
    let flags = Flags { allow_write: request.allow_write, ..Flags::default() };
    let workspace = Arc::new(open::store_with(context, Access::Change, Opening { flags, ..Opening::default() })?);
    let id = workspace.runs().find_own_run(&run.to_string())?;
    let needs_work = request.take_over != Some(TakeOver::Nothing);
    let point = workspace.runs().fork_point(id, at, needs_work)?;
    consent::to_run(context, &workspace, id, &point.basis)?;
    consent::to_programs(context, &workspace, &point.basis.template, true, &workspace.places.current)?;
    request.secrets = form_fill::secrets_of(&workspace, &point.basis.template, &GivenAnswers::new());
    // A form that nobody can be asked about is complete before anything is written.
    let must_complete = !point.run.form_complete && !context.can_ask();
    if !set.is_empty() || must_complete {
        let given = set.iter().map(|pair| (pair.key.clone(), (Value::String(pair.value.clone()), AnswerSource::Flag)));
        answer(context, &workspace, &point, &given.collect(), &mut request)?;
    }
    let mut active = workspace.runs().fork(&point, request)?;
    if !active.stream.run().form_complete {
        form_fill::fill(context, &workspace, &mut active, &IndexMap::new())?;
    }
    say(context, &active);
    running::carry_on(context, &workspace, active)
}

/// Completes the form with what is answered otherwise; what is not takes the other run's answer where that is still asked for.
fn answer(
    context: &mut Context,
    workspace: &Workspace,
    point: &ForkPoint,
    given: &GivenAnswers,
    request: &mut ForkRequest,
) -> Result<()> {
    let (template, answers) = (&point.basis.template, &point.answers);
    let former = |question: &Question| {
        if question.kind == QuestionKind::Secret {
            let secret = workspace.secret_of(question).map(|secret| (Value::String(secret), AnswerSource::Environment));
            // That it was given is all that was ever recorded of it.
            return secret.or_else(|| {
                let answer = answers.get(&question.id)?;
                Some((Value::String("given".to_owned()), answer.source))
            });
        }
        answers.get(&question.id).map(|answer| (answer.value.clone(), answer.source))
    };
    let exists = |path: &str| std::path::Path::new(path).exists();
    let completed = form::complete(template, given, &former, &exists)
        .map_err(|problems| wrong(&problems).about("TEMPLATE", &template.template_id))?;
    for notice in &completed.notices {
        context.out.say(sanitize::line(notice));
    }
    request.secrets = form_fill::secrets_of(workspace, template, given);
    let answers = completed.answers.into_iter();
    request.answers = Some(answers.map(|(question, answer)| GivenAnswer::kept(question, answer)).collect());
    Ok(())
}

/// Says what was inherited and what is to be done.
fn say(context: &mut Context, active: &ActiveRun) {
    let run = active.stream.run();
    let left = |agent: &&Agent| matches!(agent.status, AgentStatus::Failed(..)) && agent.attempts.is_empty();
    let left = run.agents.iter().filter(left).count() as u64;
    let taken = run.agents.iter().filter(|agent| agent.status.is_ended()).count() as u64 - left;
    let begun_there = run.agents.iter().filter(|agent| !agent.status.is_ended() && !agent.attempts.is_empty()).count() as u64;
    let anew = run.agents.len() as u64 - taken - left - begun_there;
    let mut parts = vec![format!("{} inherited", words::plural(taken, "agent"))];
    if begun_there > 0 {
        parts.push(format!("{begun_there} go on"));
    }
    if left > 0 {
        parts.push(format!("{left} left as failed"));
    }
    parts.push(format!("{anew} to run again"));
    if let Some(parent) = run.parent {
        context.out.say(format!("run {} is forked from {}: {}", active.id, parent.run, parts.join(", ")));
    }
}
