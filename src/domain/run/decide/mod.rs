//! Which events a wish causes, or why it is refused.

mod attempt;
mod call;
mod end;
mod fork;
mod form;
mod tools;

pub use call::NO_PRICE;
pub(super) use call::{JUDGE_OUTPUT_MAX, tool_tokens};

use super::basis::Basis;
use super::command::{Command, Refusal};
use super::state::{Agent, Phase, Run};
use crate::domain::event::{Envelope, Event, Recorded};
use crate::domain::ids::{AgentNo, TimeNs};

/// Returns the events that `command` causes in `run` at the moment `now`, or why it is refused; with the run as it is after them, with
/// `now` as their time and without their hashes, for whoever goes on to decide.
///
/// `basis` is what the run recorded when it started, so it is part of the history.
///
/// # Errors
/// A [`Refusal`] says which rule forbids the wish; nothing has happened then.
pub fn decide(run: Run, basis: &Basis, command: Command, now: TimeNs) -> Result<(Vec<Event>, Run), Refusal> {
    let mut draft = Decision { run, basis, now, events: Vec::new() };
    match command {
        Command::Fork(parent) => fork::fork(&mut draft, parent)?,
        Command::Inherit(attempts) => fork::inherit(&mut draft, attempts)?,
        Command::LeaveFailed { agent, reason, message } => fork::leave_failed(&mut draft, agent, reason, message)?,
        Command::Begin(started) => form::begin(&mut draft, *started)?,
        Command::Attach(input) => form::attach(&mut draft, *input)?,
        Command::ShowQuestions(questions) => form::show(&mut draft, questions)?,
        Command::Answer { question, value, source, secret } => form::answer(&mut draft, question, &value, source, secret)?,
        Command::TakeBack { question } => form::take_back(&mut draft, question)?,
        Command::CompleteForm(advice) => form::complete(&mut draft, &advice)?,
        Command::StartCall { agent, purpose } => call::start(&mut draft, agent, purpose)?,
        Command::StartTools { agent } => tools::start(&mut draft, agent)?,
        Command::ReuseTool { call, tool_call, of } => tools::reused(&mut draft, call, tool_call, of)?,
        Command::RecordTool { call, tool_call, outcome } => tools::ended(&mut draft, call, tool_call, outcome)?,
        Command::PrepareWrite { call, tool_call, files } => tools::prepared(&mut draft, call, tool_call, files)?,
        Command::ResolveTool { call, tool_call, resolution, by, outcome } => {
            tools::resolved(&mut draft, (call, tool_call), resolution, by, outcome)?;
        }
        Command::RecordCommands { agent, seen } => call::commands_ended(&mut draft, agent, seen)?,
        Command::RecordRetry { call, retry } => call::retried(&mut draft, call, retry)?,
        Command::RecordReply { call, reply, seen } => call::replied(&mut draft, call, *reply, seen)?,
        Command::RecordFailure { call, failure } => call::failed(&mut draft, call, failure)?,
        Command::RecordCancelled { call, usage } => call::cancelled(&mut draft, call, usage)?,
        Command::RefuseForDayBudget { agent, purpose, because } => call::refuse_for_day(&mut draft, agent, purpose, because)?,
        Command::Approve { agent, granted } => end::approve(&mut draft, agent, granted)?,
        Command::Suspend(why) => end::suspend(&mut draft, why)?,
        Command::Resume { executor, retry_failed, meno_version, limits } => {
            end::resume(&mut draft, executor, retry_failed, meno_version, limits)?
        }
        Command::AskCancel => end::ask_cancel(&mut draft)?,
        Command::Cancel => end::cancel(&mut draft)?,
    }
    Ok((draft.events, draft.run))
}

/// The run as it will be once the events decided so far are recorded.
struct Decision<'a> {
    run: Run,
    basis: &'a Basis,
    now: TimeNs,
    events: Vec<Event>,
}

impl Decision<'_> {
    /// Decides for one more event.
    fn emit(&mut self, event: impl Into<Event>) {
        let envelope =
            Envelope { seq: 0, run: self.run.id, version: self.run.version + 1, at: self.now, occurred_at: None, cause: None };
        let recorded = Recorded { envelope, hash: self.run.head, event: event.into() };
        self.run.apply(&recorded);
        self.events.push(recorded.event);
    }

    /// Refuses unless the run is going on.
    fn must_run(&self) -> Result<(), Refusal> {
        match self.run.phase {
            Phase::Running => Ok(()),
            Phase::New => Err(Refusal::NotStarted),
            Phase::Suspended(_) => Err(Refusal::Suspended),
            Phase::Succeeded { .. } => Err(Refusal::Ended("succeeded")),
            Phase::Failed => Err(Refusal::Ended("failed")),
            Phase::Cancelled => Err(Refusal::Ended("cancelled")),
        }
    }

    fn agent(&self, number: AgentNo) -> Result<&Agent, Refusal> {
        self.run.agent(number).ok_or(Refusal::NotWaiting(number))
    }
}
