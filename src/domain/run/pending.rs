//! What is still owed to a run: the whole recovery plan, derived from what is known.

use super::state::{Agent, AgentStatus, Attempt, CallState, Phase, Run};
use crate::domain::event::{EscalationReason, Purpose};
use crate::domain::ids::{AgentNo, CallNo};
use crate::domain::judge;
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
    /// The tools that an agent's model asked for must be started, as many as may run together.
    StartTools {
        /// For this agent.
        agent: AgentNo,
    },
    /// It must be found out, by looking or by asking a person, whether a tool had finished when Meno stopped.
    ResolveTool {
        /// The model call that asked for it.
        call: CallNo,
        /// Its number within the call, from 0.
        tool_call: u32,
    },
    /// The commands that an agent's criteria ask for must be run.
    RunCriteria {
        /// For this agent.
        agent: AgentNo,
    },
    /// A person must allow or deny an escalation.
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

/// Returns what is still owed, in the order of the agents. Calls and tools that are open are not listed: their end is awaited.
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
            AgentStatus::Working => match next_step(run, agent) {
                Some(Step::Call(purpose)) => effects.push(Effect::StartCall { agent: agent.plan.agent, purpose }),
                Some(Step::Tools(_)) => effects.push(Effect::StartTools { agent: agent.plan.agent }),
                Some(Step::Commands) => effects.push(Effect::RunCriteria { agent: agent.plan.agent }),
                None => effects.extend(interrupted(run, agent)),
            },
            _ => {}
        }
    }
    effects
}

/// Returns the tools of the agent of which it is not known whether they had finished when Meno stopped. Also an agent whose run is lost
/// for another reason has its say about what it changed.
fn interrupted<'a>(run: &'a Run, agent: &'a Agent) -> impl Iterator<Item = Effect> + 'a {
    let calls = agent.open_attempt().into_iter().flat_map(|attempt| run.calls_of(attempt));
    calls
        .filter_map(|call| Some((call.number, call.turn.as_ref()?)))
        .flat_map(|(call, turn)| turn.interrupted().map(move |index| Effect::ResolveTool { call, tool_call: index as u32 }))
}

/// Returns whether everything that the agent waits for has ended.
pub(super) fn is_ready(run: &Run, agent: &Agent) -> bool {
    agent.plan.depends_on.iter().all(|needed| run.agent(*needed).is_none_or(|needed| needed.status.is_ended()))
}

/// What an open attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A model call.
    Call(Purpose),
    /// Tools that this call asked for.
    Tools(CallNo),
    /// Commands that its criteria ask for.
    Commands,
}

/// Returns whether criteria ask for commands of which nothing is recorded in the attempt.
fn owes_commands(run: &Run, agent: &Agent, attempt: &Attempt) -> bool {
    let runs = run.terms.as_ref().is_some_and(|terms| terms.judging.runs_commands());
    let mut asked = judge::commands_asked(&agent.criteria).into_iter();
    runs && asked.any(|command| !attempt.commands.contains_key(&command.name()))
}

/// Returns what an open attempt waits for: nothing while a call or a tool is open; then the tools that the last reply asked for; then
/// work until there is an answer; then commands, then judging.
pub(super) fn next_step(run: &Run, agent: &Agent) -> Option<Step> {
    let attempt = agent.open_attempt()?;
    if run.calls_of(attempt).any(|call| call.state == CallState::Open) {
        return None;
    }
    let mut work = run.calls_of(attempt).filter(|call| call.purpose == Purpose::Work);
    let Some(last) = work.rfind(|call| matches!(call.state, CallState::Replied { .. })) else {
        return Some(Step::Call(Purpose::Work));
    };
    match &last.turn {
        None if owes_commands(run, agent, attempt) => Some(Step::Commands),
        None => Some(Step::Call(Purpose::Judge)),
        Some(turn) if turn.open().next().is_some() => None,
        Some(turn) if turn.is_complete() => Some(Step::Call(Purpose::Work)),
        Some(_) => Some(Step::Tools(last.number)),
    }
}
