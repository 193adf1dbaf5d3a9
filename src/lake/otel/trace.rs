//! A trace's spans as a run: agent spans become agents, model spans calls, tool spans tools.

use std::collections::{HashMap, HashSet};

use super::read::{Operation, Span};
use crate::domain::event::ErrorClass;
use crate::domain::ids::Hash;
use crate::lake::calls::{Call, CallAgent, CallRun, End, Tool};

/// The role of calls that no agent span holds.
const ROLE: &str = "main";
/// What a trace is called that names nothing.
const UNNAMED: &str = "trace";

/// Returns the run that the spans of one trace are, with the hash of what they say; `None` when no model was called in it.
pub fn run(mut spans: Vec<Span>) -> Option<(CallRun, Hash)> {
    spans.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    // An exporter that was not sure that a span had arrived sends it again.
    let mut seen = HashSet::new();
    spans.retain(|span| seen.insert(span.id.clone()));
    if !spans.iter().any(|span| span.operation == Operation::Model) {
        return None;
    }
    let digest = digest(&spans);
    // Calls that began at the same moment are in the order of their numbers, where a trace of a run has them.
    spans.sort_by_key(|span| (span.started, span.call.unwrap_or(u32::MAX)));
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let root = spans.iter().find(|span| !by_id.contains_key(span.parent.as_str())).or(spans.first())?;
    let workflow = spans.iter().find(|span| span.operation == Operation::Workflow);
    let mut agents: Vec<(Option<&str>, CallAgent)> = Vec::new();
    // Where each span's call stands, so that tools find theirs.
    let mut places: HashMap<&str, (usize, u32, usize)> = HashMap::new();
    let mut by_number: HashMap<u32, (usize, u32, usize)> = HashMap::new();
    let wrapped = wrapped(&spans, &by_id);
    // An agent that only the span around a call names.
    let mut around: HashMap<&str, &str> = HashMap::new();
    for span in &spans {
        if let (Some(inner), Some(subject)) = (wrapped.get(span.id.as_str()), span.subject.as_deref()) {
            around.insert(inner, subject);
        }
    }
    for span in spans.iter().filter(|span| span.operation == Operation::Model && !wrapped.contains_key(span.id.as_str())) {
        let holder = above(span, &by_id, &|span| span.operation == Operation::Agent);
        let named = span.subject.as_deref().or_else(|| around.get(span.id.as_str()).copied());
        let agent = agent_of(&mut agents, holder, named);
        let attempt = span.attempt.unwrap_or(1);
        if span.end != End::Untold {
            agents[agent].1.ends.insert(attempt, span.end);
        }
        let calls = agents[agent].1.attempts.entry(attempt).or_default();
        calls.push(call(span));
        let place = (agent, attempt, calls.len() - 1);
        places.insert(&span.id, place);
        if let Some(number) = span.call {
            by_number.insert(number, place);
        }
    }
    for (outer, inner) in &wrapped {
        if let Some(place) = places.get(inner).copied() {
            places.insert(outer, place);
        }
    }
    for span in spans.iter().filter(|span| span.operation == Operation::Tool) {
        let asked = above(span, &by_id, &|span| span.operation == Operation::Model).and_then(|span| places.get(span.id.as_str()));
        let numbered = span.call.and_then(|number| by_number.get(&number));
        let place = asked.or(numbered).copied().or_else(|| last_before(span, &spans, &places, &by_id));
        let Some((agent, attempt, number)) = place else { continue };
        let calls = agents.get_mut(agent).and_then(|(_, agent)| agent.attempts.get_mut(&attempt));
        if let Some(call) = calls.and_then(|calls| calls.get_mut(number)) {
            call.tools.push(Tool {
                name: span.subject.clone().unwrap_or_else(|| "tool".to_owned()),
                started: span.started,
                ended: span.ended,
                latency_ms: span.latency_ms,
                ok: span.error.is_none(),
            });
        }
    }
    let template = workflow
        .and_then(|span| span.subject.clone())
        .or_else(|| root.subject.clone())
        .or_else(|| root.service.clone())
        .unwrap_or_else(|| if root.name.is_empty() { UNNAMED.to_owned() } else { root.name.clone() });
    let started = spans.iter().map(|span| span.started).min()?;
    let ended =
        if spans.iter().all(|span| span.ended.is_some()) { spans.iter().filter_map(|span| span.ended).max() } else { None };
    let labels = root.service.clone().map(|service| ("service".to_owned(), service)).into_iter().collect();
    let run = CallRun {
        id: root.trace.clone(),
        template,
        started,
        ended,
        labels,
        failure: root.error.clone(),
        end: root.end,
        is_simulated: spans.iter().any(|span| span.is_simulated),
        own: spans.iter().find_map(|span| span.run),
        agents: agents.into_iter().map(|(_, agent)| agent).collect(),
    };
    Some((run, digest))
}

/// Returns the place of the agent of a model's span, made when it is the first of its.
fn agent_of<'s>(agents: &mut Vec<(Option<&'s str>, CallAgent)>, holder: Option<&'s Span>, named: Option<&str>) -> usize {
    let id = holder.map(|holder| holder.id.as_str());
    if let Some(place) = agents.iter().position(|(known, _)| *known == id) {
        return place;
    }
    let role = holder.and_then(|holder| holder.subject.clone()).or_else(|| named.map(str::to_owned));
    let failure = holder.and_then(|holder| holder.error.clone());
    agents.push((id, CallAgent { role: role.unwrap_or_else(|| ROLE.to_owned()), failure, ..CallAgent::default() }));
    agents.len() - 1
}

/// Returns the spans that are a framework's around the call of an instrumented library, each with the innermost span of that call: both say
/// what it used, and it was used once.
fn wrapped<'s>(spans: &'s [Span], by_id: &HashMap<&str, &'s Span>) -> HashMap<&'s str, &'s str> {
    let mut inner_of: HashMap<&str, &str> = HashMap::new();
    for inner in spans.iter().filter(|span| span.operation == Operation::Model && span.usage.is_some()) {
        // What lies between is of the transport; an agent or a tool between them makes calls of its own.
        let outer = above(inner, by_id, &|span| span.operation != Operation::Other);
        let wraps = |outer: &&Span| {
            outer.operation == Operation::Model
                && outer.id != inner.id
                && outer.usage == inner.usage
                && outer.started <= inner.started
                && matches!((outer.ended, inner.ended), (Some(outer), Some(inner)) if inner <= outer)
        };
        if let Some(outer) = outer.filter(wraps) {
            inner_of.insert(&outer.id, &inner.id);
        }
    }
    // Of several layers the innermost counts. Two that name each other as parent wrap nothing.
    let innermost = |outer: &str| {
        let mut at = *inner_of.get(outer)?;
        for _ in 0..inner_of.len() {
            match inner_of.get(at) {
                Some(inner) => at = inner,
                None => return Some(at),
            }
        }
        None
    };
    inner_of.keys().filter_map(|outer| Some((*outer, innermost(outer)?))).collect()
}

/// Returns the nearest span above that `is_meant`.
fn above<'s>(span: &'s Span, by_id: &HashMap<&str, &'s Span>, is_meant: &dyn Fn(&Span) -> bool) -> Option<&'s Span> {
    /// Spans above that are looked at: enough for any, and an end for a circle.
    const DEPTH_MAX: usize = 200;
    let mut at = by_id.get(span.parent.as_str()).copied();
    for _ in 0..DEPTH_MAX {
        let span = at?;
        if is_meant(span) {
            return Some(span);
        }
        at = by_id.get(span.parent.as_str()).copied();
    }
    None
}

/// Returns the call that had ended last under the same agent when a tool began: it asked for it.
fn last_before(
    tool: &Span,
    spans: &[Span],
    places: &HashMap<&str, (usize, u32, usize)>,
    by_id: &HashMap<&str, &Span>,
) -> Option<(usize, u32, usize)> {
    let is_agent = |span: &Span| span.operation == Operation::Agent;
    let of = |span| above(span, by_id, &is_agent).map(|span| span.id.as_str());
    let mine = of(tool);
    let mut earlier = spans.iter().filter(|span| span.operation == Operation::Model && span.started <= tool.started);
    earlier.rfind(|span| of(span) == mine).and_then(|span| places.get(span.id.as_str())).copied()
}

fn call(span: &Span) -> Call {
    Call {
        started: span.started,
        ended: span.ended,
        latency_ms: span.latency_ms,
        first_token_ms: span.first_token_ms,
        provider: span.provider.clone(),
        model: span.replied_model.clone().unwrap_or_else(|| span.model.clone()),
        tier: span.tier,
        purpose: span.purpose,
        usage: span.usage.filter(|_| !span.is_partial),
        cost: span.cost,
        is_unpriced: span.is_unpriced,
        stop: span.stop,
        error: span.error.clone().map(|error| (class(&error), error)),
        tools: Vec::new(),
    }
}

fn class(error: &str) -> ErrorClass {
    let known = ErrorClass::ALL.iter().copied().find(|class| class.name() == error);
    let lower = error.to_ascii_lowercase();
    known.unwrap_or(match lower.as_str() {
        _ if lower.contains("timeout") => ErrorClass::Timeout,
        _ if lower == "429" || lower.contains("rate") => ErrorClass::RateLimit,
        _ if lower == "401" || lower == "403" || lower.contains("auth") => ErrorClass::Auth,
        _ if lower == "400" || lower.contains("invalid") => ErrorClass::BadRequest,
        _ if lower.contains("connect") => ErrorClass::Connection,
        _ => ErrorClass::Server,
    })
}

/// Returns a hash of what the spans say, the same in whichever order and file they stood. What is read of a span since later versions only
/// is in it where it says something: a trace that was taken in before is still the same.
fn digest(spans: &[Span]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for span in spans.iter().map(|span| span.before.as_deref().unwrap_or(span)) {
        let Span { end, latency_ms, is_simulated, run, .. } = span;
        let written = format!("{span:?}");
        let first = written.find(", end: ").map_or(written.as_str(), |at| &written[..at]);
        hasher.update(format!("{first} }}\n").as_bytes());
        if (*end, *latency_ms, *is_simulated) != (End::Untold, None, false) {
            hasher.update(format!("{end:?} {latency_ms:?} {is_simulated} {run:?}\n").as_bytes());
        }
    }
    Hash(*hasher.finalize().as_bytes())
}
