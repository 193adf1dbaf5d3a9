//! What only a person can say while a run goes on.

use crate::domain::event::{EscalationReason, Resolution};
use crate::domain::ids::CallNo;
use crate::domain::run::Run;
use crate::domain::tier::Tier;

/// An escalation that a person must allow.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// The agent's role.
    pub role: String,
    /// From where.
    pub from: Tier,
    /// To where.
    pub to: Tier,
    /// Why.
    pub reason: EscalationReason,
}

/// A tool of which it is not known whether it had finished when Meno stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTool {
    /// The role of the agent that it ran for.
    pub role: String,
    /// Its number among the tools of the run.
    pub number: u32,
    /// Its name.
    pub tool: String,
    /// Its arguments, as JSON.
    pub arguments: String,
}

/// What a person must say.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Whether an agent may go to a higher tier.
    Approval(Approval),
    /// Whether a tool had finished when Meno stopped.
    Tool(OpenTool),
}

/// What a person says to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Whether the agent may go to the higher tier.
    Approval(bool),
    /// Whether the tool had finished.
    Tool(Resolution),
}

/// Asks a person; `None` when nobody can be asked now.
pub type Ask = Box<dyn FnMut(&Question) -> Option<Reply> + Send>;

/// Says of a tool what a person must know to say whether it had finished.
pub(super) fn open_tool(run: &Run, call: CallNo, tool_call: u32) -> Option<OpenTool> {
    let call = run.calls.get(&call)?;
    let turn = call.turn.as_ref()?;
    let asked = turn.calls.get(tool_call as usize)?;
    Some(OpenTool {
        role: run.agent(call.agent).map_or_else(String::new, |agent| agent.label.clone()),
        number: turn.runs.get(tool_call as usize)?.number,
        tool: asked.name.clone(),
        arguments: asked.arguments.to_string(),
    })
}
