//! Tools: each that ran was asked for, was the agent's to use by what the run recorded, and ended once.

use super::finding::{Check, Findings, Location};
use super::story::RunAudit;
use crate::domain::event::{AttemptOutcome, Event, ToolFault, ToolStarted};
use crate::domain::run::{Agent, ToolRun, Turn};
use crate::domain::tool::RUN_COMMAND;

/// Looks at an event that is about tools, before it is taken in.
pub(super) fn look(audit: &RunAudit, event: &Event, at: Location, book: &mut Findings<'_>) {
    if audit.is_imported {
        // A transcript tells what ran, and neither what was allowed nor in which words it was asked for.
        if matches!(event, Event::ToolStarted(_) | Event::ToolEnded(_) | Event::ToolResolved(_) | Event::WritePrepared(_)) {
            book.not_verifiable(Check::Tools);
        }
        return;
    }
    match event {
        Event::ToolStarted(body) => started(audit, body, at, book),
        Event::ToolEnded(body) => {
            let turn = audit.run.calls.get(&body.call).and_then(|call| call.turn.as_ref());
            if turn.is_none() && audit.gone.outputs {
                return book.not_verifiable(Check::Tools);
            }
            let is_open = turn.is_some_and(|turn| turn.open().any(|open| open == body.tool_call as usize));
            book.holds(Check::Tools, at, is_open, || {
                let found = format!("tool call {} of call {}", body.tool_call, body.call);
                ["a tool ends".into(), "a tool that runs".into(), found]
            });
            let asked = turn.and_then(|turn| turn.calls.get(body.tool_call as usize));
            // What was not run, because nobody offered it, is in the record as a failure; what did its work must have been offered.
            let was_answered = matches!(body.fault, Some(ToolFault::UnknownTool | ToolFault::BadArguments));
            if let (Some(asked), false) = (asked, was_answered) {
                let program = asked.arguments["program"].as_str().filter(|_| asked.name == RUN_COMMAND);
                let what = program.unwrap_or(&asked.name);
                match offered(audit, body.call) {
                    None => book.not_verifiable(Check::Tools),
                    Some(offered) => book.holds(Check::Tools, at, offered.iter().any(|name| name == what), || {
                        [format!("`{what}` ran for an agent"), format!("one of {}", offered.join(", ")), what.to_owned()]
                    }),
                }
            }
        }
        Event::WritePrepared(body) => {
            running(audit, (body.call, body.tool_call), at, book, "files are prepared", |run| run.writes && !run.is_interrupted);
        }
        Event::ToolResolved(body) => {
            running(audit, (body.call, body.tool_call), at, book, "it is said whether a tool had finished", |run| {
                run.writes && run.is_interrupted
            });
        }
        // What was cancelled may have been cut off in the middle of a tool.
        Event::AttemptEnded(body) if !matches!(body.outcome, AttemptOutcome::Cancelled | AttemptOutcome::Lost) => {
            let attempt = audit.run.agent(body.agent).and_then(Agent::open_attempt);
            let turns = attempt.into_iter().flat_map(|attempt| audit.run.calls_of(attempt)).filter_map(|call| call.turn.as_ref());
            let open = turns.filter(|turn| !turn.is_complete()).count();
            book.same(Check::Tools, at, "turns of an ended attempt whose tools have no end", &0, &open);
        }
        _ => {}
    }
}

fn started(audit: &RunAudit, body: &ToolStarted, at: Location, book: &mut Findings<'_>) {
    let turn = audit.run.calls.get(&body.call).and_then(|call| call.turn.as_ref());
    if turn.is_none() && audit.gone.outputs {
        return book.not_verifiable(Check::Tools);
    }
    let next = turn.and_then(|turn: &Turn| Some((turn.runs.len() as u32, turn.calls.get(turn.runs.len())?.name.clone())));
    let found = Some((body.tool_call, body.tool.clone()));
    book.same(Check::Tools, at, "number and name of the next tool call that the model asked for", &next, &found);
}

/// A tool that something happens to has started, has not ended, and is as `fits` says.
fn running(
    audit: &RunAudit,
    (call, tool_call): (u32, u32),
    at: Location,
    book: &mut Findings<'_>,
    what: &str,
    fits: impl Fn(&ToolRun) -> bool,
) {
    let turn = audit.run.calls.get(&call).and_then(|call| call.turn.as_ref());
    if turn.is_none() && audit.gone.outputs {
        return book.not_verifiable(Check::Tools);
    }
    let run = turn.and_then(|turn| turn.runs.get(tool_call as usize)).filter(|run| run.end.is_none());
    book.holds(Check::Tools, at, run.is_some_and(fits), || {
        [what.to_owned(), "a tool that writes and has not ended".into(), format!("tool call {tool_call} of call {call}")]
    });
}

/// The names of the tools and programs that the agent of a call has, by the run's record; `None` when that is gone.
fn offered(audit: &RunAudit, call: u32) -> Option<Vec<String>> {
    let agent = audit.run.calls.get(&call).and_then(|call| audit.run.agent(call.agent))?;
    let settings = &audit.basis.as_ref()?.settings.tools;
    let all_programs = agent.plan.tools.iter().any(|tool| tool == RUN_COMMAND);
    let listed = agent.plan.tools.iter().filter(|name| *name != RUN_COMMAND);
    let tools = listed.flat_map(|name| settings.by_listing(name)).map(|spec| &spec.name);
    let programs = settings.commands.iter().filter(|program| all_programs || agent.plan.tools.contains(program));
    Some(tools.chain(programs).cloned().collect())
}
