//! What tools found, whole, where models were told less of it.

use std::collections::HashMap;

use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo};
use crate::domain::text::Text;

/// The whole result of a tool of which the model was told less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeResult {
    /// The agent's number.
    pub agent: AgentNo,
    /// The attempt.
    pub attempt: AttemptNo,
    /// The call that asked for it.
    pub call: CallNo,
    /// Its number within the call, from 0.
    pub tool_call: u32,
    /// All of it.
    pub text: String,
}

/// Returns the whole results that a run keeps, in the order in which they came. The texts of `events` are read.
pub(crate) fn whole_results<'a>(events: impl Iterator<Item = &'a Recorded>) -> Vec<WholeResult> {
    let mut callers: HashMap<CallNo, (AgentNo, AttemptNo)> = HashMap::new();
    let mut results = Vec::new();
    for recorded in events {
        match &recorded.event {
            Event::CallStarted(body) => drop(callers.insert(body.call, (body.agent, body.attempt))),
            Event::ToolEnded(body) => {
                let whole = body.private.as_ref().and_then(|private| private.whole.as_ref());
                if let (Some(Text::Inline(text)), Some(&(agent, attempt))) = (whole, callers.get(&body.call)) {
                    let (call, tool_call, text) = (body.call, body.tool_call, text.clone());
                    results.push(WholeResult { agent, attempt, call, tool_call, text });
                }
            }
            _ => {}
        }
    }
    results
}
