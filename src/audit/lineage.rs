//! What a fork took over, held against the run that made it.

use super::finding::{Check, Findings, Location, shown};
use crate::domain::event::{AgentFailed, AttemptInherited, FailureReason, OnFailure, RunForked, ToolEnded};
use crate::domain::ids::{CallNo, Hash};
use crate::domain::run::{Agent, AgentStatus, Run};
use crate::domain::text::Text;

/// Holds where a run says that it was forked off against the hash that its parent has there: `None` when the parent is not at hand.
pub fn forked(body: &RunForked, there: Option<Hash>, at: Location, book: &mut Findings<'_>) {
    match there {
        Some(there) => book.same(Check::Lineage, at, "the hash of the parent where the run was forked off", &there, &body.head),
        None => book.not_verifiable(Check::Lineage),
    }
}

/// Holds an attempt that was taken over against the run that made it, folded to its end: `None` when that is not at hand.
pub fn inherited(body: &AttemptInherited, origin: Option<&Run>, at: Location, book: &mut Findings<'_>) {
    let Some(origin) = origin else { return book.not_verifiable(Check::Lineage) };
    let mut attempts = origin.agents.iter().flat_map(|agent| &agent.attempts);
    let made = attempts.find(|attempt| attempt.ended == body.version && attempt.inherited.is_none());
    let Some(made) = made else {
        let what = format!("the attempt that ends at version {} of run {}", body.version, body.run);
        return book.broken(Check::Lineage, at, what, "an attempt made there", "none");
    };
    let expected = (made.number, made.tier, made.outcome, made.verified, made.stop, made.max_output);
    let found = (body.attempt, body.tier, Some(body.outcome), body.verified, body.stop, body.max_output);
    book.same(Check::Lineage, at, "number, tier and end of an inherited attempt", &expected, &found);
    book.same(Check::Lineage, at, "the signals of an inherited attempt", &made.signals, &body.signals);
    let verdicts = made.judged.iter().map(|(criterion, judged)| (*criterion, judged.verdict, judged.score, judged.by));
    let taken = body.verdicts.iter().map(|verdict| (verdict.criterion, verdict.verdict, verdict.score, verdict.by));
    let (expected, found): (Vec<_>, Vec<_>) = (verdicts.collect(), taken.collect());
    book.same(Check::Lineage, at, "the verdicts on an inherited attempt", &expected, &found);
    let Some(private) = &body.private else { return book.not_verifiable(Check::Lineage) };
    match (&made.output, &private.output) {
        (Some(expected), Some(Text::Inline(found))) => {
            book.holds(Check::Lineage, at, **expected == **found, || {
                ["the answer of an inherited attempt".into(), shown(&expected.as_ref()), shown(found)]
            });
        }
        (None, None) => {}
        _ => book.not_verifiable(Check::Lineage),
    }
}

/// Holds a tool result that was given without running anything, in `run` after the event, against the run that recorded it.
pub fn reused(body: &ToolEnded, run: &Run, origin: Option<&Run>, at: Location, book: &mut Findings<'_>) {
    let (Some((of, of_call, of_tool_call)), Some(origin)) = (body.reused, origin) else {
        return book.not_verifiable(Check::Lineage);
    };
    let tool = |run: &Run, call: CallNo, tool_call: u32| {
        let turn = run.calls.get(&call)?.turn.clone()?;
        let (asked, end) = (turn.calls.get(tool_call as usize)?, turn.runs.get(tool_call as usize)?.end.clone()?);
        Some((asked.name.clone(), asked.arguments.clone(), end))
    };
    let Some(found) = tool(run, body.call, body.tool_call).filter(|(.., end)| !end.result.is_empty()) else {
        return book.not_verifiable(Check::Lineage);
    };
    match tool(origin, of_call, of_tool_call) {
        Some((_, _, end)) if end.ok && end.result.is_empty() => book.not_verifiable(Check::Lineage),
        Some(expected) => book.holds(Check::Lineage, at, expected == found, || {
            let [expected, found] =
                [&expected, &found].map(|(name, arguments, end)| format!("{name} {arguments}: {}", end.result));
            ["a tool result that another run recorded".into(), shown(&expected), shown(&found)]
        }),
        // What the model of that run said may be forgotten.
        None if origin.calls.get(&of_call).is_some_and(|call| call.turn.is_none()) => book.not_verifiable(Check::Lineage),
        None => {
            let what = format!("tool call {of_tool_call} of call {of_call} of run {of}");
            book.broken(Check::Lineage, at, what, "a tool that ended there", "none");
        }
    }
}

/// Returns the agent that counts as failed in `run`, after the event, because it failed in the parent; `None` when it failed here.
pub fn left_as_failed<'r>(body: &AgentFailed, run: &'r Run) -> Option<&'r Agent> {
    // For want of money an agent fails before its first call.
    let may_be = run.parent.is_some() && run.calls.is_empty() && body.reason != FailureReason::Budget;
    let agent = run.agent(body.agent).filter(|_| may_be)?;
    (agent.attempts.is_empty() && agent.plan.on_failure != OnFailure::FailRun).then_some(agent)
}

/// Holds that an agent counts as failed against the parent, as it was where the run was forked off.
pub fn left_failed(body: &AgentFailed, agent: &Agent, there: Option<&Run>, at: Location, book: &mut Findings<'_>) {
    let there = there.filter(|_| agent.plan.private.is_some());
    let Some(there) = there else { return book.not_verifiable(Check::Lineage) };
    let reason = there.agents.iter().find(|other| other.label == agent.label).and_then(|other| match &other.status {
        AgentStatus::Failed(reason, _) => Some(*reason),
        _ => None,
    });
    book.same(Check::Lineage, at, "why an agent failed that counts as failed", &reason, &Some(body.reason));
}
