//! What every dialect needs to write down a conversation with tools: ids, names and arguments as any provider takes them back.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::domain::call::ToolTurn;

/// Returns the ids by which tool calls and their results are told apart, turn by turn: the provider's own where it will know them
/// again and they are told apart by them, else made ones.
pub(super) fn call_ids(turns: &[ToolTurn]) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let mut id = |turn: &ToolTurn, place: (usize, usize), id: &str| {
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_usable = turn.is_own && !id.is_empty() && id.len() <= 128 && id.chars().all(usable);
        let id = if is_usable && !seen.contains(id) { id.to_owned() } else { format!("call_{}_{}", place.0, place.1) };
        seen.insert(id.clone());
        id
    };
    let numbered = turns.iter().enumerate();
    numbered.map(|(at, turn)| turn.calls.iter().enumerate().map(|(n, call)| id(turn, (at, n), &call.id)).collect()).collect()
}

/// Returns the name of a tool as every provider takes it back: a model may have asked for one that no tool can have.
pub(super) fn call_name(name: &str) -> String {
    let usable = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    name.chars().take(64).map(usable).collect()
}

/// Returns the arguments of a tool call as every provider takes them back: an object, whatever the model wrote.
pub(super) fn call_arguments(arguments: &Value) -> Value {
    if arguments.is_object() { arguments.clone() } else { json!({ "not_an_object": arguments }) }
}
