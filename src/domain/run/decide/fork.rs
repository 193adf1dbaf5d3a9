//! The beginning of a run that is forked off another one, and the attempts that it takes over.

use super::attempt::after_failure;
use super::{Decision, end};
use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentSucceeded, AgentSucceededPrivate, AttemptInherited, AttemptOutcome, FailureReason,
    OnFailure, RunForked, RunForkedPrivate, Verdict,
};
use crate::domain::ids::AgentNo;
use crate::domain::run::command::Refusal;
use crate::domain::run::state::{AgentStatus, Parent, Phase};

pub(super) fn fork(draft: &mut Decision<'_>, parent: Parent) -> Result<(), Refusal> {
    if draft.run.phase != Phase::New || draft.run.parent.is_some() {
        return Err(Refusal::AlreadyStarted);
    }
    let Parent { run, version, head } = parent;
    draft.emit(RunForked { parent: run, version, head, private: Some(RunForkedPrivate {}) });
    Ok(())
}

/// Lets attempts of another run count here, all of one agent and in their order. What follows from the last of them is decided anew, by
/// this run's terms; how one led to the next is the other run's story. Where nothing more can follow, because the run or the agent has
/// ended by then, they are left out.
pub(super) fn inherit(draft: &mut Decision<'_>, attempts: Vec<AttemptInherited>) -> Result<(), Refusal> {
    let Some(last) = attempts.last() else { return Ok(()) };
    if draft.run.is_ended() {
        return Ok(());
    }
    draft.must_run()?;
    let (number, attempt, outcome, verified) = (last.agent, last.attempt, last.outcome, last.verified);
    let agent = draft.agent(number)?;
    if agent.status.is_ended() || draft.run.is_doomed() {
        return Ok(());
    }
    let known = agent.attempts.last().map_or(0, |last| last.number);
    let numbers = std::iter::once(known).chain(attempts.iter().map(|attempt| attempt.attempt));
    let is_rising = numbers.is_sorted_by(|before, after| before < after);
    if agent.status != AgentStatus::Waiting || !is_rising || attempts.iter().any(|attempt| attempt.agent != number) {
        return Err(Refusal::NotWaiting(number));
    }
    let failed =
        last.verdicts.iter().filter(|verdict| verdict.verdict == Verdict::Fail).map(|verdict| verdict.criterion).collect();
    for attempt in attempts {
        draft.emit(attempt);
    }
    if outcome == AttemptOutcome::Passed {
        draft.emit(AgentSucceeded { agent: number, attempt, verified, private: Some(AgentSucceededPrivate {}) });
        end::settle(draft);
    } else {
        after_failure(draft, number, failed);
    }
    Ok(())
}

/// Lets an agent count as failed that failed in the parent: before anything is paid here, and only where that does not end the run.
pub(super) fn leave_failed(
    draft: &mut Decision<'_>,
    number: AgentNo,
    reason: FailureReason,
    message: String,
) -> Result<(), Refusal> {
    draft.must_run()?;
    let is_new = draft.run.parent.is_some() && draft.run.calls.is_empty();
    let agent = draft.agent(number)?;
    let may_fail = agent.plan.on_failure != OnFailure::FailRun && agent.attempts.is_empty();
    if !is_new || !may_fail || agent.status != AgentStatus::Waiting {
        return Err(Refusal::NotWaiting(number));
    }
    draft.emit(AgentFailed { agent: number, reason, private: Some(AgentFailedPrivate { message }) });
    end::settle(draft);
    Ok(())
}
