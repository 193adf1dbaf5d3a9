//! OpenAI Chat Completions, and the many servers that speak something like it.
//!
//! `POST {base}/chat/completions`, answered by nameless `data:` chunks until `[DONE]`. Compatible servers differ in where
//! the usage stands, in whether tool arguments are text or objects, in error codes that are numbers or strings, and
//! in the name of the output limit: `max_completion_tokens` goes to OpenAI and Azure, the older `max_tokens`, which
//! every compatible server knows, anywhere else.

use serde_json::{Value, json};
use url::Url;

use crate::domain::call::{CallRequest, ToolCall, ToolTurn};
use crate::domain::event::StopReason;
use crate::domain::tool::ToolSpec;
use crate::settings::ProviderSettings;

use super::fault::{ErrorBody, Fault, in_stream};
use super::turns::{call_arguments, call_ids, call_name};
use super::wire::{PartialReply, WireRequest, is_strict, number, string, update, usd};

/// Writes a request.
pub fn build(provider: &ProviderSettings, request: &CallRequest) -> WireRequest {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({ "role": "system", "content": request.system }));
    }
    messages.push(json!({ "role": "user", "content": request.prompt }));
    for (turn, ids) in request.turns.iter().zip(call_ids(&request.turns)) {
        say_turn(&mut messages, turn, &ids);
    }
    let mut body = json!({
        "model": request.model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    let limit = if is_openai(&provider.base_url) { "max_completion_tokens" } else { "max_tokens" };
    body[limit] = json!(request.max_output_tokens);
    if let Some(effort) = &request.effort {
        body["reasoning_effort"] = json!(effort);
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(function).collect();
    }
    // Servers that build a grammar of the schema cannot have tools beside it; the prompt says the form too.
    if let Some(schema) = request.schema.as_ref().filter(|_| request.tools.is_empty() || is_openai(&provider.base_url)) {
        let format = json!({ "name": schema.name, "strict": is_strict(&schema.schema), "schema": schema.schema });
        body["response_format"] = json!({ "type": "json_schema", "json_schema": format });
    }
    WireRequest { path: "/chat/completions", headers: Vec::new(), body }
}

/// Writes a tool as OpenAI's shape has it.
pub(super) fn function(tool: &ToolSpec) -> Value {
    let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
    json!({ "type": "function", "function": function })
}

fn say_turn(messages: &mut Vec<Value>, turn: &ToolTurn, ids: &[String]) {
    let call = |(call, id): (&ToolCall, &String)| {
        let arguments = call_arguments(&call.arguments).to_string();
        json!({ "id": id, "type": "function", "function": { "name": call_name(&call.name), "arguments": arguments } })
    };
    let calls: Vec<Value> = turn.calls.iter().zip(ids).map(call).collect();
    let text = if turn.text.is_empty() { Value::Null } else { json!(&*turn.text) };
    messages.push(json!({ "role": "assistant", "content": text, "tool_calls": calls }));
    let results = turn.results.iter().zip(ids);
    messages.extend(results.map(|(result, id)| json!({ "role": "tool", "tool_call_id": id, "content": &*result.text })));
    messages.extend(turn.note.iter().map(|note| json!({ "role": "user", "content": note })));
}

/// Returns whether the address is one of OpenAI's own, or Azure's.
fn is_openai(base_url: &str) -> bool {
    let url = Url::parse(base_url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    [".openai.com", ".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"]
        .iter()
        .any(|suffix| host.ends_with(suffix))
}

/// Takes in one chunk of a stream.
///
/// # Errors
/// The failure that an error chunk tells of.
pub fn chunk(draft: &mut PartialReply, chunk: &Value) -> Result<(), Fault> {
    if chunk.get("error").is_some_and(|error| !error.is_null()) {
        return Err(in_stream(ErrorBody::of(chunk).unwrap_or_default()));
    }
    update(&mut draft.id, string(chunk, &["id"]));
    update(&mut draft.model, string(chunk, &["model"]));
    usage(draft, &chunk["usage"]);
    let choices = chunk.get("choices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // One answer is asked for; should there be more, only the first one counts.
    for choice in choices.iter().filter(|choice| number(choice, &["index"]).unwrap_or(0) == 0) {
        if choice.get("error").is_some_and(|error| !error.is_null()) {
            return Err(in_stream(ErrorBody::of(choice).unwrap_or_default()));
        }
        let delta = choice.get("delta").filter(|delta| delta.is_object()).unwrap_or(&choice["message"]);
        content(draft, delta);
        finish(draft, choice);
    }
    Ok(())
}

/// Takes in a completion that came as one body; returns whether it is one.
///
/// # Errors
/// The failure that it tells of.
pub fn whole(draft: &mut PartialReply, completion: &Value) -> Result<bool, Fault> {
    let known = completion.get("choices").and_then(Value::as_array).is_some_and(|choices| !choices.is_empty());
    if known {
        chunk(draft, completion)?;
    }
    Ok(known)
}

fn content(draft: &mut PartialReply, delta: &Value) {
    match &delta["content"] {
        Value::String(piece) => draft.add_text(piece),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).for_each(|piece| draft.add_text(piece));
        }
        _ => {}
    }
    // Three names for the same thing; no server uses two of them with different contents.
    let reasoning = ["reasoning_content", "reasoning", "thinking"].into_iter().find_map(|key| delta.get(key)?.as_str());
    draft.add_reasoning(reasoning.unwrap_or_default());
    draft.add_refusal(delta.get("refusal").and_then(Value::as_str).unwrap_or_default());
    for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        tool_call(draft, call);
    }
    if let Some(call) = delta.get("function_call").filter(|call| call.is_object()) {
        let key = "function_call".to_owned();
        if let Some(name) = string(call, &["name"]) {
            draft.call(key.clone()).name = name;
        }
        draft.add_arguments(key, &call["arguments"]);
    }
}

fn tool_call(draft: &mut PartialReply, call: &Value) {
    let id = string(call, &["id"]);
    let name = string(call, &["function", "name"]);
    let key = match (number(call, &["index"]), &id) {
        // Some servers number every call 0: a name with another id begins another call, and its pieces are those that follow.
        (Some(index), id) => {
            let (own, others) = (index.to_string(), format!("{index} id "));
            let last = draft.calls.iter().rfind(|call| call.key == own || call.key.starts_with(&others));
            match (last, id) {
                (Some(last), Some(id)) if name.is_some() && last.id.as_ref().is_some_and(|known| known != id) => {
                    format!("{others}{id}")
                }
                (last, _) => last.map_or(own, |last| last.key.clone()),
            }
        }
        (None, Some(id)) => format!("id {id}"),
        // A piece with neither belongs to the call that was last begun.
        (None, None) => draft.calls.last().map_or_else(|| "0".to_owned(), |last| last.key.clone()),
    };
    let slot = draft.call(key.clone());
    update(&mut slot.id, id);
    if let Some(name) = name {
        slot.name = name;
    }
    draft.add_arguments(key, call.get("function").and_then(|function| function.get("arguments")).unwrap_or(&Value::Null));
}

fn finish(draft: &mut PartialReply, choice: &Value) {
    let Some(reason) = choice.get("finish_reason").and_then(Value::as_str).filter(|reason| !reason.is_empty()) else { return };
    draft.stop_for(match reason.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "end_turn" => StopReason::End,
        "length" | "max_tokens" => StopReason::MaxTokens,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolUse,
        "content_filter" => StopReason::Filtered,
        "refusal" => StopReason::Refusal,
        "model_context_window_exceeded" => StopReason::ContextFull,
        _ => StopReason::Other,
    });
}

fn usage(draft: &mut PartialReply, usage: &Value) {
    let counts = &mut draft.counts;
    update(&mut counts.input, number(usage, &["prompt_tokens"]));
    update(&mut counts.cache_read, number(usage, &["prompt_tokens_details", "cached_tokens"]));
    update(&mut counts.cache_write, number(usage, &["prompt_tokens_details", "cache_write_tokens"]));
    update(&mut counts.output, number(usage, &["completion_tokens"]));
    update(&mut counts.reasoning, number(usage, &["completion_tokens_details", "reasoning_tokens"]));
    update(&mut draft.reported_cost, usage.get("cost").and_then(usd));
}
