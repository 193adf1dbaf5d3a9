//! The tools that a call offers its model: which, for how many turns, and whether a reply takes them up.

use std::sync::Arc;

use serde_json::Value;

use super::basis::Basis;
use super::evolve::inline;
use super::prompt::fence;
use super::state::{Agent, Call, Run, ToolEnd, Turn};
use crate::domain::call::{ToolCall, ToolResult, ToolTurn};
use crate::domain::event::{CallReplied, StopReason};
use crate::domain::tool::{CALLS_PER_TURN_MAX, LAST_TURN, RUN_COMMAND, ToolEffect, ToolSpec, is_built_in};

/// The parameter of a call that says in how many turns its model may ask for tools.
const TURNS_LEFT: &str = "turns_left";

/// Returns the tools that an agent is offered: those that it lists and that the run's recorded catalogue has.
pub(super) fn tools(basis: &Basis, agent: &Agent) -> Vec<ToolSpec> {
    if basis.settings.tools.max_turns == 0 {
        return Vec::new();
    }
    let settings = &basis.settings.tools;
    let known = |name: &str| settings.catalogue.iter().find(|spec| spec.name == name);
    let named = agent.plan.tools.iter().filter(|name| *name != RUN_COMMAND);
    let mut tools: Vec<ToolSpec> = Vec::new();
    for spec in named.flat_map(|name| settings.by_listing(name)) {
        // `mcp:SERVER/*` may stand beside a tool of the same server.
        if !tools.iter().any(|known| known.name == spec.name) {
            tools.push(spec.clone());
        }
    }
    let programs = programs(basis, agent);
    if let Some(spec) = known(RUN_COMMAND).filter(|_| !programs.is_empty()) {
        let mut spec = spec.clone();
        spec.parameters["properties"]["program"]["enum"] = programs.into();
        tools.push(spec);
    }
    tools
}

/// Returns the programs that an agent may run: of those that the recorded settings allow, the ones that it lists, or all when it lists
/// the tool itself.
fn programs<'a>(basis: &'a Basis, agent: &Agent) -> Vec<&'a str> {
    // A built-in tool's name is the tool's, and no leave to run the program that is called so.
    let listed = |name: &str| !is_built_in(name) && agent.plan.tools.iter().any(|tool| tool == name);
    let all = agent.plan.tools.iter().any(|tool| tool == RUN_COMMAND);
    basis.settings.tools.commands.iter().map(String::as_str).filter(|program| all || listed(program)).collect()
}

/// Returns whether something that an agent is offered may change files: programs and tools of servers may, unless it is known that they
/// only look.
pub(super) fn may_change_files(basis: &Basis, agent: &Agent) -> bool {
    let effects = &basis.settings.tools.effects;
    let only_looks = |effect: ToolEffect| matches!(effect, ToolEffect::Reads | ToolEffect::ReachesOut);
    let programs_only_look =
        || programs(basis, agent).iter().all(|program| effects.get(*program).copied().is_some_and(only_looks));
    let may_change = |spec: &ToolSpec| match spec.name == RUN_COMMAND {
        true => !programs_only_look(),
        false => !only_looks(spec.effect),
    };
    tools(basis, agent).iter().any(may_change)
}

/// Returns what a tool call does: of a program, what the recorded settings say of it.
pub(super) fn effect(basis: &Basis, spec: &ToolSpec, asked: &ToolCall) -> ToolEffect {
    let program = asked.arguments["program"].as_str().filter(|_| spec.name == RUN_COMMAND);
    program.and_then(|program| basis.settings.tools.effects.get(program)).copied().unwrap_or(spec.effect)
}

/// Returns in how many turns a model may still ask for tools in the agent's open attempt.
pub(super) fn turns_left_now(run: &Run, basis: &Basis, agent: &Agent) -> u32 {
    let used = agent.open_attempt().map_or(0, |attempt| run.calls_of(attempt).filter(|call| call.turn.is_some()).count());
    basis.settings.tools.max_turns.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
}

/// Writes into the parameters of a call what it offers.
pub(super) fn write(parameters: &mut Value, tools: &[ToolSpec], turns_left: u32) {
    if !tools.is_empty() {
        parameters["tools"] = tools.iter().map(|tool| tool.name.as_str()).collect();
        parameters[TURNS_LEFT] = turns_left.into();
    }
}

/// Reads from the parameters of a call in how many turns its model may ask for tools; `None` when it was offered none.
pub(super) fn turns_left(parameters: &str) -> Option<u32> {
    // Most calls offer nothing, and a fold sees many.
    if !parameters.contains(TURNS_LEFT) {
        return None;
    }
    let parameters: Value = serde_json::from_str(parameters).ok()?;
    parameters[TURNS_LEFT].as_u64().and_then(|turns| u32::try_from(turns).ok())
}

/// Returns the turn that a reply begins: it asks for tools, may have them, and came to its end.
pub(super) fn turn(call: &Call, reply: &CallReplied) -> Option<Turn> {
    let may = call.turns_left.is_some_and(|turns| turns > 0);
    let is_whole = matches!(reply.stop, StopReason::ToolUse | StopReason::End | StopReason::StopSequence | StopReason::Other);
    let private = reply.private.as_ref().filter(|_| may && is_whole)?;
    let asked = inline(&private.tool_calls).filter(|asked| !asked.is_empty())?;
    let mut calls: Vec<ToolCall> = serde_json::from_str(&asked).ok()?;
    let dropped = calls.len().saturating_sub(CALLS_PER_TURN_MAX);
    calls.truncate(CALLS_PER_TURN_MAX);
    let text = inline(&private.output).unwrap_or_else(|| Arc::from(""));
    (!calls.is_empty()).then(|| Turn { text, calls: calls.into(), dropped, runs: Vec::new() })
}

/// Returns what followed the first prompt of a call's attempt before the call itself.
pub(super) fn turns_before(run: &Run, call: &Call) -> Vec<ToolTurn> {
    let attempt = run.agent(call.agent).and_then(|agent| agent.attempts.iter().find(|attempt| attempt.number == call.attempt));
    let earlier =
        attempt.into_iter().flat_map(|attempt| run.calls_of(attempt)).take_while(|earlier| earlier.number < call.number);
    let mut turns: Vec<ToolTurn> = earlier
        .filter_map(|earlier| Some((earlier, earlier.turn.as_ref()?)))
        .map(|(earlier, turn)| ToolTurn {
            text: Arc::clone(&turn.text),
            calls: Arc::clone(&turn.calls),
            results: turn.runs.iter().filter_map(|run| run.end.as_ref()).map(told).collect(),
            note: (turn.dropped > 0).then(|| format!("Only the first {CALLS_PER_TURN_MAX} tool calls of a turn are answered.")),
            is_own: earlier.provider == call.provider && earlier.model == call.model,
        })
        .collect();
    if let (Some(last), Some(0)) = (turns.last_mut(), call.turns_left) {
        let note = last.note.take().map_or_else(String::new, |note| note + " ");
        last.note = Some(note + LAST_TURN);
    }
    turns
}

/// A result is data, fenced by a mark that it cannot know.
fn told(end: &ToolEnd) -> ToolResult {
    let mut text = String::new();
    fence(&mut text, "result", &end.result);
    ToolResult { text: text.trim_start().into(), is_error: !end.ok }
}
