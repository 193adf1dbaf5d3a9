//! What is still owed to a run: the whole recovery plan, derived from what is known.

use super::state::{Agent, AgentStatus, CallState, Phase, Run};
use crate::domain::event::{EscalationReason, Purpose};
use crate::domain::ids::AgentNo;
use crate::domain::tier::Tier;

/// Something that must happen outside for the run to go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The form must be completed.
    CompleteForm,
    /// A model call must be started.
    StartCall {
        /// For this agent.
        agent: AgentNo,
        /// Work or judging.
        purpose: Purpose,
    },
    /// A person must allow or deny a climb.
    AskApproval {
        /// The agent.
        agent: AgentNo,
        /// From where.
        from: Tier,
        /// To where.
        to: Tier,
        /// Why.
        reason: EscalationReason,
    },
}

/// Returns what is still owed, in the order of the agents. Calls that are open are not listed: their end is awaited.
///
/// How many calls run at once is not known here; whoever performs the effects starts as many as may.
pub fn pending(run: &Run) -> Vec<Effect> {
    if run.phase != Phase::Running || run.cancel_asked {
        return Vec::new();
    }
    if !run.form_complete {
        return vec![Effect::CompleteForm];
    }
    let doomed = run.is_doomed();
    let mut effects = Vec::new();
    for agent in &run.agents {
        match &agent.status {
            AgentStatus::Waiting if !doomed && is_ready(run, agent) => {
                effects.push(Effect::StartCall { agent: agent.plan.agent, purpose: Purpose::Work });
            }
            AgentStatus::AwaitingApproval { to, reason } if !doomed => {
                effects.push(Effect::AskApproval { agent: agent.plan.agent, from: agent.tier, to: *to, reason: *reason });
            }
            AgentStatus::Working => {
                if let Some(purpose) = next_call(run, agent) {
                    effects.push(Effect::StartCall { agent: agent.plan.agent, purpose });
                }
            }
            _ => {}
        }
    }
    effects
}

/// Returns whether everything that the agent waits for has ended.
pub(super) fn is_ready(run: &Run, agent: &Agent) -> bool {
    agent.plan.depends_on.iter().all(|needed| run.agent(*needed).is_none_or(|needed| needed.status.is_ended()))
}

/// Returns which call an open attempt waits for: none while one is open, work until there is a reply, then judging.
pub(super) fn next_call(run: &Run, agent: &Agent) -> Option<Purpose> {
    let attempt = agent.open_attempt()?;
    let calls = || attempt.calls.iter().filter_map(|call| run.calls.get(call));
    if calls().any(|call| call.state == CallState::Open) {
        return None;
    }
    let replied = calls().any(|call| call.purpose == Purpose::Work && matches!(call.state, CallState::Replied { .. }));
    Some(if replied { Purpose::Judge } else { Purpose::Work })
}
