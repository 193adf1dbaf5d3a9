//! Which tool results that another run recorded are given again in one that was forked off it.
//!
//! A result is given again where the conversation is the same: the same prompt, the same models, the same replies, the same results
//! before it, and the same tool call. That holds only for agents that cannot change anything: whoever changes the world looks at it
//! first, as it is now. Nothing that writes is ever left out, because nothing that writes is reused.

use std::sync::Arc;

use super::basis::Basis;
use super::offer;
use super::state::{Agent, Attempt, Call, Run, Turn};
use crate::domain::event::Purpose;
use crate::domain::ids::{CallNo, RunId};
use crate::domain::tool::{RUN_COMMAND, ToolEffect};

/// A result that a run recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reused {
    /// The run.
    pub run: RunId,
    /// The call that asked for it there.
    pub call: CallNo,
    /// Its number within the call.
    pub tool_call: u32,
    /// What the model was told.
    pub result: Arc<str>,
}

/// Returns the recorded result that a tool call which has started is given instead of running: from the first of `ancestors` in which
/// the agent's conversation went the same way. `None`: it runs.
pub fn reusable(run: &Run, basis: &Basis, (call, tool_call): (CallNo, u32), ancestors: &[Run]) -> Option<Reused> {
    let call = run.calls.get(&call)?;
    let agent = run.agent(call.agent)?;
    // What somebody of this run has changed looks otherwise than it did there.
    let has_changed = |other: &Agent| may_change(basis, other) && has_written(run, other);
    if may_change(basis, agent) || run.agents.iter().any(has_changed) {
        return None;
    }
    let attempt = agent.attempts.iter().find(|attempt| attempt.number == call.attempt)?;
    let here = Conversation::of(run, attempt, call.number)?;
    ancestors.iter().find_map(|ancestor| {
        let agents = ancestor.agents.iter().filter(|there| there.label == agent.label);
        let mut told = agents.flat_map(|there| &there.attempts).filter_map(|attempt| {
            let there = Conversation::of(ancestor, attempt, CallNo::MAX)?;
            let same = there.begins_as(&here)?;
            let end = same.turn.as_ref()?.runs.get(tool_call as usize)?.end.as_ref()?;
            // A text that is gone is empty, and what failed may succeed now.
            (end.ok && !end.result.is_empty()).then(|| (same.number, Arc::clone(&end.result)))
        });
        let (call, result) = told.next()?;
        Some(Reused { run: ancestor.id?, call, tool_call, result })
    })
}

/// Whether an agent has a tool that changes something.
fn may_change(basis: &Basis, agent: &Agent) -> bool {
    let changes = |effect: ToolEffect| matches!(effect, ToolEffect::Writes | ToolEffect::Idempotent);
    offer::tools(basis, agent).iter().any(|spec| match spec.parameters["properties"]["program"]["enum"].as_array() {
        Some(programs) if spec.name == RUN_COMMAND => {
            let effects = &basis.settings.tools.effects;
            let of = |program: &serde_json::Value| program.as_str().and_then(|program| effects.get(program)).copied();
            programs.iter().any(|program| changes(of(program).unwrap_or(spec.effect)))
        }
        _ => changes(spec.effect),
    })
}

fn has_written(run: &Run, agent: &Agent) -> bool {
    let calls = agent.attempts.iter().flat_map(|attempt| run.calls_of(attempt));
    calls.filter_map(|call| call.turn.as_ref()).any(|turn| turn.runs.iter().any(|run| run.writes))
}

/// What was said in an attempt, up to a call.
struct Conversation<'r> {
    first: &'r Call,
    turns: Vec<&'r Call>,
}

impl<'r> Conversation<'r> {
    /// `None` when its beginning is gone.
    fn of(run: &'r Run, attempt: &'r Attempt, until: CallNo) -> Option<Self> {
        let work: Vec<&Call> = run.calls_of(attempt).filter(|call| call.purpose == Purpose::Work).collect();
        let first = work.iter().find(|call| !call.goes_on && !call.prompt.is_empty()).copied()?;
        let turns = work.into_iter().filter(|call| call.turn.is_some() && call.number <= until).collect();
        Some(Self { first, turns })
    }

    /// Returns the call that stands here where the last of `other` stands there, when all went the same way up to it.
    fn begins_as(&self, other: &Conversation<'_>) -> Option<&'r Call> {
        let last = other.turns.len().checked_sub(1)?;
        let same_start = self.first.system == other.first.system && self.first.prompt == other.first.prompt;
        if !same_start || self.turns.len() <= last {
            return None;
        }
        let mut pairs = self.turns.iter().zip(&other.turns);
        let is_same = pairs.all(|(here, there)| {
            let is_last = there.number == other.turns[last].number;
            let (Some(one), Some(two)) = (&here.turn, &there.turn) else { return false };
            here.provider == there.provider
                && here.model == there.model
                && asks_alike(one, two)
                && (is_last || told_alike(one, two))
        });
        is_same.then(|| self.turns[last])
    }
}

/// Whether two replies say the same and ask for the same. The marks by which a provider knows its calls again do not count.
fn asks_alike(one: &Turn, two: &Turn) -> bool {
    let mut calls = one.calls.iter().zip(two.calls.iter());
    one.text == two.text
        && one.dropped == two.dropped
        && one.calls.len() == two.calls.len()
        && calls.all(|(one, two)| one.name == two.name && one.arguments == two.arguments)
}

/// Whether the same came of what they asked for.
fn told_alike(one: &Turn, two: &Turn) -> bool {
    one.is_complete() && two.is_complete() && one.runs.iter().zip(&two.runs).all(|(one, two)| one.end == two.end)
}
