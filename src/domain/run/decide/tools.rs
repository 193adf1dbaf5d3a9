//! Tools: which of those that a model asks for may run, what the others are answered, and when asking has come to nothing.

use super::{Decision, attempt, end};
use crate::domain::call::ToolCall;
use crate::domain::event::{
    FileChange, Resolution, ResolvedBy, Signal, ToolEnded, ToolEndedPrivate, ToolFault, ToolResolved, ToolResolvedPrivate,
    ToolStarted, ToolStartedPrivate, WritePrepared, WritePreparedPrivate,
};
use crate::domain::ids::{AgentNo, CallNo};
use crate::domain::run::command::Refusal;
use crate::domain::run::offer;
use crate::domain::run::pending::{Step, next_step};
use crate::domain::run::reuse::Reused;
use crate::domain::run::state::{Agent, AgentStatus, ToolEnd, ToolRun};
use crate::domain::text::Text;
use crate::domain::tool::{self, FAILED_TURNS_MAX, SAME_FAILURES_MAX, ToolEffect, ToolOutcome, ToolSpec};

/// What becomes of a tool call.
enum Fate {
    /// It runs.
    Runs {
        /// It may change something.
        writes: bool,
    },
    /// Nothing runs: this is the answer.
    Answered(ToolOutcome),
    /// Nothing runs: it was asked before in this attempt, and this was the answer.
    Repeats(CallNo, u32, ToolEnd),
}

/// Starts the tool calls of an agent's last reply in their order: those that only look together, one that does more by itself. What
/// cannot run is answered at once.
pub(super) fn start(draft: &mut Decision<'_>, number: AgentNo) -> Result<(), Refusal> {
    draft.must_run()?;
    let agent = draft.agent(number)?;
    let step = if agent.status == AgentStatus::Working { next_step(&draft.run, agent) } else { None };
    let Some(Step::Tools(call)) = step else { return Err(Refusal::NotWaiting(number)) };
    let offered = offer::tools(draft.basis, agent);
    let Some(turn) = draft.run.calls.get(&call).and_then(|call| call.turn.as_ref()) else {
        return Err(Refusal::NotWaiting(number));
    };
    let (calls, first) = (std::sync::Arc::clone(&turn.calls), turn.runs.len());
    let mut is_running = false;
    for (asked, index) in calls.iter().zip(0u32..).skip(first) {
        let fate = fate(draft, number, &offered, asked);
        let writes = matches!(fate, Fate::Runs { writes: true });
        if writes && is_running {
            break;
        }
        let arguments = Text::Inline(asked.arguments.to_string());
        draft.emit(ToolStarted {
            call,
            tool_call: index,
            tool: tool::short_name(&asked.name),
            writes,
            private: Some(ToolStartedPrivate { arguments }),
        });
        match fate {
            Fate::Runs { .. } => is_running = true,
            Fate::Answered(outcome) => record(draft, call, index, outcome),
            Fate::Repeats(of_call, of_index, end) => repeat(draft, (call, index), (of_call, of_index), &end),
        }
        if writes {
            break;
        }
    }
    settle_turn(draft, call);
    Ok(())
}

/// Records how a tool ended.
pub(super) fn ended(draft: &mut Decision<'_>, call: CallNo, index: u32, outcome: ToolOutcome) -> Result<(), Refusal> {
    open(draft, call, index)?;
    record(draft, call, index, outcome);
    settle_turn(draft, call);
    Ok(())
}

/// Returns a tool that has started and not ended.
fn open<'a>(draft: &'a Decision<'_>, call: CallNo, index: u32) -> Result<&'a ToolRun, Refusal> {
    let turn = draft.run.calls.get(&call).and_then(|call| call.turn.as_ref());
    let run = turn.and_then(|turn| turn.runs.get(index as usize)).filter(|run| run.end.is_none());
    run.ok_or(Refusal::ToolNotOpen(call, index))
}

/// Records what a tool is about to make of which files; what is recorded already is not recorded again.
pub(super) fn prepared(draft: &mut Decision<'_>, call: CallNo, index: u32, files: Vec<FileChange>) -> Result<(), Refusal> {
    draft.must_run()?;
    let run = open(draft, call, index)?;
    if !run.writes || run.is_interrupted {
        return Err(Refusal::ToolNotOpen(call, index));
    }
    if run.files.as_deref() != Some(files.as_slice()) {
        draft.emit(WritePrepared { call, tool_call: index, private: Some(WritePreparedPrivate { files }) });
    }
    Ok(())
}

/// What the model is told of a tool of which a person says that it had finished.
const SAID_DONE: &str = "Meno stopped while this ran. A person has looked: it had finished. What it said is not known.";
/// What it is told of a tool of which nobody knows.
const STAYS_UNKNOWN: &str = "Meno stopped while this ran. Whether it had finished is not known: look before you do it again.";

/// Lets tools run again that were interrupted and change nothing more by that.
pub(super) fn repeat_harmless(draft: &mut Decision<'_>) {
    let mut harmless = Vec::new();
    for agent in &draft.run.agents {
        let offered = offer::tools(draft.basis, agent);
        let calls = agent.open_attempt().into_iter().flat_map(|attempt| draft.run.calls_of(attempt));
        for (call, turn) in calls.filter_map(|call| Some((call.number, call.turn.as_ref()?))) {
            let is_harmless = |index: &usize| {
                let asked = turn.calls.get(*index);
                let spec = asked.and_then(|asked| offered.iter().find(|spec| spec.name == asked.name));
                asked.zip(spec).is_some_and(|(asked, spec)| offer::effect(draft.basis, spec, asked).may_repeat())
            };
            harmless.extend(turn.interrupted().filter(is_harmless).map(|index| (call, index as u32)));
        }
    }
    for (call, tool_call) in harmless {
        let private = Some(ToolResolvedPrivate {});
        draft.emit(ToolResolved { call, tool_call, resolution: Resolution::NotDone, by: ResolvedBy::Effect, private });
    }
}

/// Records whether a tool had finished when Meno stopped: what had not runs again, everything else has its end now.
pub(super) fn resolved(
    draft: &mut Decision<'_>,
    (call, index): (CallNo, u32),
    resolution: Resolution,
    by: ResolvedBy,
    outcome: Option<ToolOutcome>,
) -> Result<(), Refusal> {
    draft.must_run()?;
    if !open(draft, call, index)?.is_interrupted {
        return Err(Refusal::ToolNotInterrupted(call, index));
    }
    draft.emit(ToolResolved { call, tool_call: index, resolution, by, private: Some(ToolResolvedPrivate {}) });
    let outcome = match resolution {
        Resolution::NotDone => return Ok(()),
        Resolution::Done => outcome.unwrap_or_else(|| ToolOutcome::done(SAID_DONE)),
        Resolution::Unknown => ToolOutcome::refused(ToolFault::Interrupted, STAYS_UNKNOWN),
    };
    record(draft, call, index, outcome);
    settle_turn(draft, call);
    Ok(())
}

/// Says what becomes of a tool call: it runs when the agent has the tool, the arguments are right and it is new.
fn fate(draft: &Decision<'_>, number: AgentNo, offered: &[ToolSpec], asked: &ToolCall) -> Fate {
    let Some(spec) = offered.iter().find(|spec| spec.name == asked.name) else {
        let names: Vec<&str> = offered.iter().map(|spec| spec.name.as_str()).collect();
        let text = format!("There is no tool `{}`. You have: {}.", tool::short_name(&asked.name), names.join(", "));
        return Fate::Answered(ToolOutcome::refused(ToolFault::UnknownTool, text));
    };
    if let Some(problem) = spec.problem(&asked.arguments) {
        return Fate::Answered(ToolOutcome::refused(ToolFault::BadArguments, problem));
    }
    let before = before(draft, number, asked);
    let effect = offer::effect(draft.basis, spec, asked);
    match before.last {
        Some((call, index, end)) if end.ok && effect == ToolEffect::Reads => Fate::Repeats(call, index, end),
        Some((_, _, end)) if before.failures >= SAME_FAILURES_MAX => {
            let times = before.failures;
            let text = format!(
                "Not run: this very call has failed {times} times. Change the arguments, use another tool, or answer with what you \
                 have. The last time it said:\n{}",
                end.result
            );
            Fate::Answered(ToolOutcome::refused(ToolFault::Repeated, text))
        }
        _ => Fate::Runs { writes: effect != ToolEffect::Reads },
    }
}

/// What became of the same tool call earlier in the attempt, since anything was last changed.
struct Before {
    last: Option<(CallNo, u32, ToolEnd)>,
    failures: usize,
}

fn before(draft: &Decision<'_>, number: AgentNo, asked: &ToolCall) -> Before {
    let mut before = Before { last: None, failures: 0 };
    let attempt = draft.run.agent(number).and_then(Agent::open_attempt);
    for call in attempt.into_iter().flat_map(|attempt| draft.run.calls_of(attempt)) {
        let Some(turn) = &call.turn else { continue };
        for ((earlier, run), index) in turn.calls.iter().zip(&turn.runs).zip(0u32..) {
            let is_same = earlier.name == asked.name && earlier.arguments == asked.arguments;
            match &run.end {
                Some(end) if is_same => {
                    before.failures = if end.ok { 0 } else { before.failures + 1 };
                    before.last = Some((call.number, index, end.clone()));
                }
                _ if run.writes => before = Before { last: None, failures: 0 },
                _ => {}
            }
        }
    }
    before
}

fn record(draft: &mut Decision<'_>, call: CallNo, tool_call: u32, outcome: ToolOutcome) {
    let ToolOutcome { fault, text, bytes, diff, latency_ms } = outcome;
    let told = tool::cut(&text, bytes);
    let (result, whole) = match told {
        Some(told) => (told, Some(text)),
        None => (text, None),
    };
    draft.emit(ToolEnded {
        call,
        tool_call,
        ok: fault.is_none(),
        latency_ms,
        fault,
        bytes: Some(bytes),
        told_bytes: Some(result.len() as u64),
        repeats: None,
        reused: None,
        private: Some(ToolEndedPrivate {
            result: Text::Inline(result),
            whole: whole.map(Text::Inline),
            diff: diff.map(Text::Inline),
            originals: Vec::new(),
        }),
    });
}

/// Answers a tool call with what it was answered before.
fn repeat(draft: &mut Decision<'_>, (call, tool_call): (CallNo, u32), of: (CallNo, u32), end: &ToolEnd) {
    let result = end.result.to_string();
    let bytes = result.len() as u64;
    draft.emit(ToolEnded {
        call,
        tool_call,
        ok: true,
        latency_ms: 0,
        fault: None,
        bytes: Some(bytes),
        told_bytes: Some(bytes),
        repeats: Some(of),
        reused: None,
        private: Some(ToolEndedPrivate { result: Text::Inline(result), whole: None, diff: None, originals: Vec::new() }),
    });
}

/// Gives a tool call that has just started the result that another run recorded; see [`crate::domain::run::reusable`].
pub(super) fn reused(draft: &mut Decision<'_>, call: CallNo, tool_call: u32, of: Reused) -> Result<(), Refusal> {
    draft.must_run()?;
    let is_fork = draft.run.parent.is_some();
    if open(draft, call, tool_call)?.is_interrupted || !is_fork {
        return Err(Refusal::ToolNotOpen(call, tool_call));
    }
    let bytes = of.result.len() as u64;
    draft.emit(ToolEnded {
        call,
        tool_call,
        ok: true,
        latency_ms: 0,
        fault: None,
        bytes: Some(bytes),
        told_bytes: Some(bytes),
        repeats: None,
        reused: Some((of.run, of.call, of.tool_call)),
        private: Some(ToolEndedPrivate {
            result: Text::Inline(of.result.to_string()),
            whole: None,
            diff: None,
            originals: Vec::new(),
        }),
    });
    settle_turn(draft, call);
    Ok(())
}

/// Ends the attempt when tools have failed for too long, or when the run is ending.
fn settle_turn(draft: &mut Decision<'_>, call: CallNo) {
    let Some(call) = draft.run.calls.get(&call) else { return };
    let (number, is_complete) = (call.agent, call.turn.as_ref().is_some_and(super::super::Turn::is_complete));
    if draft.run.is_doomed() {
        return end::settle(draft);
    }
    let Some(attempt) = draft.run.agent(number).and_then(Agent::open_attempt).filter(|_| is_complete) else { return };
    let turns = draft.run.calls_of(attempt).rev().filter_map(|call| call.turn.as_ref());
    if turns.take(FAILED_TURNS_MAX).filter(|turn| turn.is_failed()).count() == FAILED_TURNS_MAX {
        attempt::give_up(draft, number, Signal::ToolTurns);
    }
}
