//! The events of a session, each with what a transcript can say of it and nothing else.

use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentPlanned, AgentPlannedPrivate, AgentSkipped, AgentSkippedPrivate, AgentSucceeded,
    AgentSucceededPrivate, AttemptOutcome, Event, FailureReason, OnFailure, RunCancelled, RunCancelledPrivate, RunFailed,
    RunFailedPrivate, RunFailure, RunResumed, RunResumedPrivate, RunSucceeded, RunSucceededPrivate, SkipReason,
};
use crate::domain::ids::{AgentNo, AttemptNo, ExecutorId, RunId};
use crate::domain::tier::Tier;
use crate::lake::call_events::{BASE, strategy_of};

use super::Facts;

pub(super) fn run_resumed(id: RunId) -> Event {
    RunResumed {
        executor: ExecutorId(id.0),
        retry_failed: false,
        meno_version: env!("CARGO_PKG_VERSION").to_owned(),
        budget: None,
        agent_budgets: Vec::new(),
        allow_unpriced: false,
        private: Some(RunResumedPrivate {}),
    }
    .into()
}

pub(super) fn agent_planned(agent: AgentNo, thread: Option<&str>, tier: Tier, task: String) -> Event {
    let strategy = strategy_of(tier);
    AgentPlanned {
        agent,
        rule: agent,
        role: if thread.is_some() { "subagent" } else { "main" }.to_owned(),
        base: BASE.to_owned(),
        strategy,
        tools: Vec::new(),
        depends_on: Vec::new(),
        max_attempts_per_tier: 1,
        budget: None,
        on_failure: OnFailure::Continue,
        strict: false,
        threshold: None,
        private: Some(AgentPlannedPrivate {
            item: thread.map(str::to_owned),
            config: "{}".to_owned(),
            criteria: "[]".to_owned(),
            task,
            because: String::new(),
        }),
    }
    .into()
}

/// Returns how an agent stands by its last attempt; nobody has judged it.
pub(super) fn agent_decided(agent: AgentNo, attempt: AttemptNo, outcome: AttemptOutcome, why: &str) -> Event {
    match outcome {
        AttemptOutcome::Error => {
            let private = Some(AgentFailedPrivate { message: why.to_owned() });
            AgentFailed { agent, reason: FailureReason::Imported, private }.into()
        }
        AttemptOutcome::Cancelled | AttemptOutcome::Lost => {
            AgentSkipped { agent, because: SkipReason::Cancelled, cause: None, private: Some(AgentSkippedPrivate {}) }.into()
        }
        AttemptOutcome::Passed | AttemptOutcome::FailedCriteria => {
            AgentSucceeded { agent, attempt, verified: false, private: Some(AgentSucceededPrivate {}) }.into()
        }
    }
}

/// Returns how a session stands by the last exchange of its main thread.
pub(super) fn run_ended(outcome: AttemptOutcome, why: &str) -> Event {
    match outcome {
        AttemptOutcome::Error => {
            let private = Some(RunFailedPrivate { message: why.to_owned() });
            RunFailed { reason: RunFailure::Imported, private }.into()
        }
        AttemptOutcome::Cancelled | AttemptOutcome::Lost => RunCancelled { private: Some(RunCancelledPrivate {}) }.into(),
        AttemptOutcome::Passed | AttemptOutcome::FailedCriteria => {
            RunSucceeded { verified: false, private: Some(RunSucceededPrivate {}) }.into()
        }
    }
}

/// Returns the labels of a session: its project is the last part of its folder. What is not known has none.
pub(super) fn labels(facts: &Facts, project: &str) -> Vec<(String, String)> {
    let last = facts.folder.as_deref().and_then(|folder| folder.rsplit(['/', '\\']).find(|part| !part.is_empty()));
    let said = [("project", last.or(Some(project))), ("branch", facts.branch.as_deref()), ("version", facts.version.as_deref())];
    let known = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
    known.filter(|(_, value)| !value.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_does_not_say_is_no_label() {
        assert_eq!(labels(&Facts::default(), ""), []);
        let project = |name: &str| vec![("project".to_owned(), name.to_owned())];
        assert_eq!(labels(&Facts::default(), "-home-me-shop"), project("-home-me-shop"));
        let facts = Facts { folder: Some("/home/me/shop/".to_owned()), branch: Some(String::new()), ..Facts::default() };
        assert_eq!(labels(&facts, "other"), project("shop"));
    }
}
