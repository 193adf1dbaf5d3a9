//! What speaks against a reply besides its criteria.

use serde_json::Value;

use super::super::call::CallReply;
use super::super::event::{Signal, StopReason};
use super::edition::Edition;
use super::json::{json_answer, schema_problems};

/// Returns what speaks against a reply; `schema` is the form that was asked for, if one was.
///
/// A reply that was refused or cut off is not called empty or malformed as well: those would only be consequences.
pub fn signals(reply: &CallReply, schema: Option<&Value>, edition: Edition) -> Vec<Signal> {
    let by_stop = match reply.stop {
        StopReason::Refusal | StopReason::Filtered => Some(Signal::Refusal),
        StopReason::MaxTokens => Some(Signal::Truncated),
        StopReason::ContextFull => Some(Signal::ContextOverflow),
        StopReason::End | StopReason::ToolUse | StopReason::StopSequence | StopReason::Other => None,
    };
    if let Some(signal) = by_stop {
        return vec![signal];
    }
    if !reply.tool_calls.is_empty() {
        return Vec::new();
    }
    if reply.text.trim().is_empty() {
        return vec![Signal::EmptyAnswer];
    }
    // A schema that cannot be used is not the model's fault.
    let malformed = schema.is_some_and(|schema| match json_answer(&reply.text, edition) {
        Ok(value) => schema_problems(schema, &value, edition).is_ok_and(|problems| !problems.is_empty()),
        Err(_) => true,
    });
    if malformed { vec![Signal::Malformed] } else { Vec::new() }
}
