//! Ollama's own chat API: `POST /api/chat`, answered by lines of JSON.
//!
//! The window is asked for explicitly (`num_ctx`), because the default is small and a longer prompt is cut in silence.
//! An error may stand on any line, and only a line with `done: true` ends a reply. Tool calls have no ids, and the
//! count of the prompt is left out when it was cached.

use serde_json::{Value, json};

use crate::domain::call::{CallRequest, ToolCall, ToolResult};
use crate::domain::event::StopReason;

use super::fault::{ErrorBody, Fault, in_stream};
use super::openai_chat::function;
use super::turns::{call_arguments, call_name};
use super::wire::{PartialReply, WireRequest, number, string, update};

/// Writes a request.
pub fn build(request: &CallRequest) -> WireRequest {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({ "role": "system", "content": request.system }));
    }
    messages.push(json!({ "role": "user", "content": request.prompt }));
    for turn in &request.turns {
        let call = |call: &ToolCall| json!({ "function": { "name": call_name(&call.name), "arguments": call_arguments(&call.arguments) } });
        let calls: Vec<Value> = turn.calls.iter().map(call).collect();
        messages.push(json!({ "role": "assistant", "content": &*turn.text, "tool_calls": calls }));
        let result = |(result, call): (&ToolResult, &ToolCall)| json!({ "role": "tool", "tool_name": call_name(&call.name), "content": &*result.text });
        messages.extend(turn.results.iter().zip(turn.calls.iter()).map(result));
        messages.extend(turn.note.iter().map(|note| json!({ "role": "user", "content": note })));
    }
    let mut options = json!({ "num_predict": request.max_output_tokens });
    if let Some(tokens) = request.context_tokens {
        options["num_ctx"] = json!(tokens);
    }
    let mut body = json!({ "model": request.model, "messages": messages, "stream": true, "options": options });
    if let Some(effort) = &request.effort {
        body["think"] = json!(effort);
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(function).collect();
    }
    // A format leaves the model no way to ask for a tool; the prompt says the form too.
    if let Some(schema) = request.schema.as_ref().filter(|_| request.tools.is_empty()) {
        body["format"] = schema.schema.clone();
    }
    WireRequest { path: "/api/chat", headers: Vec::new(), body }
}

/// Takes in one line of a stream.
///
/// # Errors
/// The failure that the line tells of.
pub fn line(draft: &mut PartialReply, line: &Value) -> Result<(), Fault> {
    if line.get("error").is_some_and(|error| !error.is_null()) {
        return Err(in_stream(ErrorBody::of(line).unwrap_or_default()));
    }
    update(&mut draft.model, string(line, &["model"]));
    let message = &line["message"];
    draft.add_text(message.get("content").and_then(Value::as_str).unwrap_or_default());
    draft.add_reasoning(message.get("thinking").and_then(Value::as_str).unwrap_or_default());
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let key = draft.calls.len().to_string();
        let slot = draft.call(key.clone());
        slot.id = string(call, &["id"]);
        slot.name = string(call, &["function", "name"]).unwrap_or_default();
        draft.add_arguments(key, call.get("function").and_then(|function| function.get("arguments")).unwrap_or(&Value::Null));
    }
    update(&mut draft.counts.input, number(line, &["prompt_eval_count"]));
    update(&mut draft.counts.output, number(line, &["eval_count"]));
    if line.get("done").and_then(Value::as_bool) == Some(true) {
        draft.stop_for(match line.get("done_reason").and_then(Value::as_str) {
            Some("stop") | None => StopReason::End,
            Some("length") => StopReason::MaxTokens,
            Some(_) => StopReason::Other,
        });
        draft.ended = true;
    }
    Ok(())
}
