//! Approvals, pauses and ends.

use super::Decision;
use super::attempt;
use super::call::end_attempt;
use super::tools;
use crate::domain::event::{
    AgentSkipped, AgentSkippedPrivate, ApprovalGiven, ApprovalGivenPrivate, AttemptOutcome, CallLost, CallLostPrivate,
    CancelAsked, CancelAskedPrivate, FailureReason, OnFailure, Purpose, ReportComposed, ReportComposedPrivate, RunCancelled,
    RunCancelledPrivate, RunFailed, RunFailedPrivate, RunFailure, RunResumed, RunResumedPrivate, RunSucceeded,
    RunSucceededPrivate, RunSuspended, RunSuspendedPrivate, SkipReason, SuspendReason, TierEscalated, TierEscalatedPrivate,
};
use crate::domain::ids::{AgentNo, ExecutorId};
use crate::domain::run::command::{NewLimits, Refusal};
use crate::domain::run::pending::{Step, next_step};
use crate::domain::run::report;
use crate::domain::run::state::{AgentStatus, Phase};
use crate::domain::text::Text;

/// Ends the run when nothing is left to do, and skips what a failure has made pointless.
pub(super) fn settle(draft: &mut Decision<'_>) {
    if !draft.run.form_complete || draft.run.is_ended() {
        return;
    }
    if draft.run.is_doomed() {
        let cause =
            draft.run.agents.iter().find(|agent| matches!(agent.status, AgentStatus::Failed(..))).map(|agent| agent.plan.agent);
        let idle = |status: &AgentStatus| matches!(status, AgentStatus::Waiting | AgentStatus::AwaitingApproval { .. });
        let agents: Vec<AgentNo> =
            draft.run.agents.iter().filter(|agent| idle(&agent.status)).map(|agent| agent.plan.agent).collect();
        for agent in agents {
            let private = Some(AgentSkippedPrivate {});
            draft.emit(AgentSkipped { agent, because: SkipReason::RunFailed, cause, private });
        }
        let waiting_for = |wanted: fn(&Step) -> bool| -> Vec<AgentNo> {
            let agents = draft.run.agents.iter().filter(|agent| next_step(&draft.run, agent).as_ref().is_some_and(wanted));
            agents.map(|agent| agent.plan.agent).collect()
        };
        let unjudged = waiting_for(|step| matches!(step, Step::Call(Purpose::Judge) | Step::Commands));
        // A conversation with tools that has come to no answer ends where it is.
        for agent in waiting_for(|step| !matches!(step, Step::Call(Purpose::Judge) | Step::Commands)) {
            end_attempt(draft, agent, AttemptOutcome::Cancelled, Vec::new());
            let private = Some(AgentSkippedPrivate {});
            draft.emit(AgentSkipped { agent, because: SkipReason::RunFailed, cause, private });
        }
        if let Some(agent) = unjudged.first() {
            return attempt::close(draft, *agent, "not judged: the run is ending");
        }
    }
    // Tools that run are awaited: their attempts are open, so their agents have not ended.
    let is_over = draft.run.agents.iter().all(|agent| agent.status.is_ended()) && draft.run.open_calls().next().is_none();
    if !is_over || draft.run.is_ended() {
        return;
    }
    if let Some((by, text)) = report::compose(&draft.run, draft.basis) {
        draft.emit(ReportComposed { by, private: Some(ReportComposedPrivate { report: Text::Inline(text) }) });
    }
    let failed = |agent: &&crate::domain::run::Agent| {
        agent.plan.on_failure == OnFailure::FailRun && !matches!(agent.status, AgentStatus::Succeeded { .. })
    };
    let mut verdicts = draft.run.agents.iter().filter_map(|agent| match agent.status {
        AgentStatus::Succeeded { verified, .. } => Some(verified),
        _ => None,
    });
    if let Some(agent) = draft.run.agents.iter().find(failed) {
        let cause = draft.run.agents.iter().find_map(|agent| match &agent.status {
            AgentStatus::Failed(_, message) if agent.plan.on_failure == OnFailure::FailRun => Some((&agent.label, message)),
            _ => None,
        });
        let message = match cause {
            Some((label, message)) => format!("agent `{label}` failed: {message}"),
            None => format!("agent `{}` had no turn", agent.label),
        };
        draft.emit(RunFailed { reason: RunFailure::AgentFailed, private: Some(RunFailedPrivate { message }) });
    } else if let Some(first) = verdicts.next() {
        let verified = first && verdicts.all(|verified| verified);
        draft.emit(RunSucceeded { verified, private: Some(RunSucceededPrivate {}) });
    } else {
        let message = "no agent succeeded".to_owned();
        draft.emit(RunFailed { reason: RunFailure::NothingSucceeded, private: Some(RunFailedPrivate { message }) });
    }
}

pub(super) fn approve(draft: &mut Decision<'_>, number: AgentNo, granted: bool) -> Result<(), Refusal> {
    draft.must_run()?;
    let agent = draft.run.agent(number).ok_or(Refusal::NoApprovalAsked(number))?;
    let AgentStatus::AwaitingApproval { to, reason } = agent.status else {
        return Err(Refusal::NoApprovalAsked(number));
    };
    let (from, attempt) = (agent.tier, agent.attempts.last().map_or(0, |attempt| attempt.number));
    let failed = agent.attempts.last().map_or_else(Vec::new, |attempt| {
        let failed = attempt.judged.iter().filter(|(_, judged)| judged.verdict == crate::domain::event::Verdict::Fail);
        failed.map(|(index, _)| *index).collect()
    });
    draft.emit(ApprovalGiven { agent: number, granted, private: Some(ApprovalGivenPrivate {}) });
    if granted {
        draft.emit(TierEscalated { agent: number, attempt, from, to, reason, failed, private: Some(TierEscalatedPrivate {}) });
    } else {
        let (failed, escalating) = (attempt::failed_words(draft), attempt::escalating(draft));
        let message = format!("it {failed} at {from} ({reason}) and {escalating} to {to} was denied");
        attempt::fail(draft, number, FailureReason::Denied, message);
    }
    Ok(())
}

pub(super) fn suspend(draft: &mut Decision<'_>, why: SuspendReason) -> Result<(), Refusal> {
    draft.must_run()?;
    draft.emit(RunSuspended { why, private: Some(RunSuspendedPrivate {}) });
    Ok(())
}

pub(super) fn resume(
    draft: &mut Decision<'_>,
    executor: ExecutorId,
    retry_failed: bool,
    meno_version: String,
    limits: NewLimits,
) -> Result<(), Refusal> {
    match draft.run.phase {
        Phase::New => return Err(Refusal::NotStarted),
        Phase::Succeeded { .. } => return Err(Refusal::Ended("succeeded")),
        Phase::Cancelled => return Err(Refusal::Ended("cancelled")),
        Phase::Failed if !retry_failed => return Err(Refusal::Ended("failed")),
        Phase::Failed | Phase::Running | Phase::Suspended(_) => {}
    }
    check_limits(draft, &limits)?;
    let NewLimits { budget, agent_budgets, allow_unpriced } = limits;
    let private = Some(RunResumedPrivate {});
    draft.emit(RunResumed { executor, retry_failed, meno_version, budget, agent_budgets, allow_unpriced, private });
    let open = draft.run.open_calls();
    let lost: Vec<_> = open.map(|call| (call.number, call.agent, call.purpose, call.goes_on, call.reserved)).collect();
    for (call, agent, purpose, goes_on, reserved) in lost {
        draft.emit(CallLost { call, reserved, private: Some(CallLostPrivate {}) });
        // A lost judge costs its own call only: the answer is recorded and is judged again.
        // What a conversation with tools has come to is recorded too, and goes on from there.
        if purpose == Purpose::Work && !goes_on {
            end_attempt(draft, agent, AttemptOutcome::Lost, Vec::new());
        }
    }
    tools::repeat_harmless(draft);
    settle(draft);
    Ok(())
}

/// Refuses budgets under which not even a call without a cost would fit.
fn check_limits(draft: &Decision<'_>, limits: &NewLimits) -> Result<(), Refusal> {
    let run = &draft.run;
    let agents = limits.agent_budgets.iter().map(|(agent, budget)| (Some(*agent), *budget));
    for (scope, budget) in limits.budget.map(|budget| (None, budget)).into_iter().chain(agents) {
        let whose = match scope {
            None => "run's".to_owned(),
            Some(number) => format!("agent `{}`'s", draft.agent(number)?.label),
        };
        let (settled, open) = run.committed(scope);
        // Calls that are open now are lost, and count as what was set aside for them.
        let spent = settled.plus(open);
        if spent > budget {
            return Err(Refusal::BudgetSpent { whose, budget, spent });
        }
    }
    Ok(())
}

pub(super) fn ask_cancel(draft: &mut Decision<'_>) -> Result<(), Refusal> {
    match draft.run.phase {
        Phase::New => Err(Refusal::NotStarted),
        Phase::Succeeded { .. } => Err(Refusal::Ended("succeeded")),
        Phase::Failed => Err(Refusal::Ended("failed")),
        Phase::Cancelled => Err(Refusal::Ended("cancelled")),
        Phase::Running | Phase::Suspended(_) => {
            if !draft.run.cancel_asked {
                draft.emit(CancelAsked { private: Some(CancelAskedPrivate {}) });
            }
            Ok(())
        }
    }
}

pub(super) fn cancel(draft: &mut Decision<'_>) -> Result<(), Refusal> {
    ask_cancel(draft)?;
    let lost: Vec<_> = draft.run.open_calls().map(|call| (call.number, call.reserved)).collect();
    for (call, reserved) in lost {
        draft.emit(CallLost { call, reserved, private: Some(CallLostPrivate {}) });
    }
    let open: Vec<AgentNo> =
        draft.run.agents.iter().filter(|agent| !agent.status.is_ended()).map(|agent| agent.plan.agent).collect();
    for agent in open {
        end_attempt(draft, agent, AttemptOutcome::Cancelled, Vec::new());
        draft.emit(AgentSkipped { agent, because: SkipReason::Cancelled, cause: None, private: Some(AgentSkippedPrivate {}) });
    }
    draft.emit(RunCancelled { private: Some(RunCancelledPrivate {}) });
    Ok(())
}
