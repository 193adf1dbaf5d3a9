//! Anthropic Messages: `POST /v1/messages`, answered by a stream of typed events.
//!
//! Cached tokens are counted beside the input, `message_delta` repeats the counts cumulatively, and only
//! `message_stop` ends a reply well. Both API versions take the request as it is built here: no sampling parameters,
//! which 2026-10-21 refuses, and the structured output's schema bare in `output_config`.

use serde_json::{Map, Value, json};

use crate::domain::call::{CallRequest, ToolResult};
use crate::domain::event::StopReason;
use crate::domain::tool::ToolSpec;
use crate::settings::ProviderSettings;

use super::fault::{ErrorBody, Fault, in_stream};
use super::turns::{call_arguments, call_ids, call_name};
use super::wire::{PartialReply, WireRequest, number, string, update};

/// The API version spoken unless the settings name another.
pub const VERSION: &str = "2026-10-21";

/// Writes a request.
pub fn build(provider: &ProviderSettings, request: &CallRequest) -> WireRequest {
    let mut body = json!({
        "model": request.model,
        "max_tokens": request.max_output_tokens,
        "stream": true,
        "messages": messages(request),
    });
    if !request.tools.is_empty() {
        let tool =
            |tool: &ToolSpec| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters });
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if !request.system.is_empty() {
        body["system"] = json!(request.system);
    }
    let mut output = Map::new();
    if let Some(effort) = &request.effort {
        output.insert("effort".to_owned(), json!(effort));
    }
    if let Some(schema) = &request.schema {
        output.insert("format".to_owned(), json!({ "type": "json_schema", "schema": closed(&schema.schema) }));
    }
    if !output.is_empty() {
        body["output_config"] = Value::Object(output);
    }
    let version = provider.api_version.clone().unwrap_or_else(|| VERSION.to_owned());
    // People write compatible hosts with or without the version's folder.
    let has_folder = provider.base_url.trim_end_matches('/').ends_with("/v1");
    let path = if has_folder { "/messages" } else { "/v1/messages" };
    WireRequest { path, headers: vec![("anthropic-version", version)], body }
}

/// Writes the conversation. Where tools are offered it will go on, so its beginning and its end so far are marked for the prompt cache.
fn messages(request: &CallRequest) -> Vec<Value> {
    if request.tools.is_empty() && request.turns.is_empty() {
        return vec![json!({ "role": "user", "content": request.prompt })];
    }
    let cache = json!({ "type": "ephemeral" });
    let first = json!({ "type": "text", "text": request.prompt, "cache_control": cache });
    let mut messages = vec![json!({ "role": "user", "content": [first] })];
    for (turn, ids) in request.turns.iter().zip(call_ids(&request.turns)) {
        let mut said = Vec::new();
        for (place, (call, id)) in turn.calls.iter().zip(&ids).enumerate() {
            if turn.is_own {
                said.extend(call.carried.iter().cloned());
            }
            if place == 0 && !turn.text.trim().is_empty() {
                said.push(json!({ "type": "text", "text": &*turn.text }));
            }
            let input = call_arguments(&call.arguments);
            said.push(json!({ "type": "tool_use", "id": id, "name": call_name(&call.name), "input": input }));
        }
        messages.push(json!({ "role": "assistant", "content": said }));
        let result = |(result, id): (&ToolResult, &String)| json!({ "type": "tool_result", "tool_use_id": id, "content": &*result.text, "is_error": result.is_error });
        let mut results: Vec<Value> = turn.results.iter().zip(&ids).map(result).collect();
        results.extend(turn.note.iter().map(|note| json!({ "type": "text", "text": note })));
        messages.push(json!({ "role": "user", "content": results }));
    }
    if request.turns.is_empty() {
        return messages;
    }
    let last = messages.last_mut().and_then(|message| message["content"].as_array_mut()).and_then(|content| content.last_mut());
    if let Some(last) = last {
        last["cache_control"] = cache;
    }
    messages
}

/// Returns the schema with its objects closed where it says nothing about further properties: the API refuses open
/// objects, and whatever fits the closed schema fits the open one.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut map: Map<String, Value> = map.iter().map(|(key, value)| (key.clone(), closed(value))).collect();
            if map.get("type") == Some(&json!("object")) && map.get("properties").is_some_and(Value::is_object) {
                map.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            Value::Object(map)
        }
        Value::Array(items) => Value::Array(items.iter().map(closed).collect()),
        other => other.clone(),
    }
}

/// Takes in one event of a stream.
///
/// # Errors
/// The failure that an `error` event tells of.
pub fn event(draft: &mut PartialReply, event: &Value) -> Result<(), Fault> {
    let index = || number(event, &["index"]).unwrap_or(0).to_string();
    match event.get("type").and_then(Value::as_str) {
        Some("message_start") => {
            let message = &event["message"];
            head(draft, message);
            usage(draft, &message["usage"]);
        }
        Some("content_block_start") => block(draft, index(), &event["content_block"]),
        Some("content_block_delta") => {
            let delta = &event["delta"];
            let piece = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
            match delta.get("type").and_then(Value::as_str) {
                Some("text_delta") => draft.add_text(piece("text")),
                Some("thinking_delta") => {
                    draft.add_reasoning(piece("thinking"));
                    add_to_block(draft, "thinking", piece("thinking"));
                }
                Some("signature_delta") => add_to_block(draft, "signature", piece("signature")),
                Some("input_json_delta") => {
                    let index = index();
                    let call = draft.call(index.clone());
                    // The block began with an empty object that only held the place.
                    if call.arguments == "{}" {
                        call.arguments.clear();
                    }
                    draft.add_arguments(index, &delta["partial_json"]);
                }
                // Citations and what else is added to blocks later: of no use here, and no mistake.
                _ => {}
            }
        }
        Some("message_delta") => {
            stop(draft, &event["delta"]);
            usage(draft, &event["usage"]);
        }
        Some("message_stop") => draft.ended = true,
        Some("error") => return Err(in_stream(ErrorBody::of(event).unwrap_or_default())),
        _ if event.get("error").is_some_and(|error| !error.is_null()) => {
            return Err(in_stream(ErrorBody::of(event).unwrap_or_default()));
        }
        _ => {}
    }
    Ok(())
}

/// Takes in a message that came as one body; returns whether it is one.
pub fn whole(draft: &mut PartialReply, message: &Value) -> bool {
    let Some(content) = message.get("content").and_then(Value::as_array) else { return false };
    head(draft, message);
    for (index, content) in content.iter().enumerate() {
        block(draft, index.to_string(), content);
    }
    stop(draft, message);
    usage(draft, &message["usage"]);
    true
}

fn head(draft: &mut PartialReply, message: &Value) {
    update(&mut draft.id, string(message, &["id"]));
    update(&mut draft.model, string(message, &["model"]));
}

fn block(draft: &mut PartialReply, key: String, block: &Value) {
    match block.get("type").and_then(Value::as_str) {
        Some("text") => draft.add_text(block["text"].as_str().unwrap_or_default()),
        // Both are wanted back unchanged before the tool calls that follow.
        Some("thinking") => {
            draft.add_reasoning(block["thinking"].as_str().unwrap_or_default());
            draft.carried.push(block.clone());
        }
        Some("redacted_thinking") => draft.carried.push(block.clone()),
        Some("tool_use") => {
            let call = draft.call(key.clone());
            call.id = string(block, &["id"]);
            call.name = string(block, &["name"]).unwrap_or_default();
            draft.add_arguments(key, &block["input"]);
        }
        // Server tools, and blocks that this version does not know.
        _ => {}
    }
}

/// Adds to a field of the thinking block that came last.
fn add_to_block(draft: &mut PartialReply, field: &str, piece: &str) {
    let block = draft.carried.last_mut().filter(|block| block["type"] == "thinking").and_then(Value::as_object_mut);
    if let Some(block) = block {
        let text = block.get(field).and_then(Value::as_str).unwrap_or_default().to_owned() + piece;
        block.insert(field.to_owned(), Value::String(text));
    }
}

fn stop(draft: &mut PartialReply, holder: &Value) {
    if let Some(reason) = holder.get("stop_reason").and_then(Value::as_str) {
        draft.stop_for(match reason.to_ascii_lowercase().as_str() {
            "end_turn" => StopReason::End,
            "max_tokens" => StopReason::MaxTokens,
            "stop_sequence" => StopReason::StopSequence,
            "tool_use" => StopReason::ToolUse,
            "refusal" => StopReason::Refusal,
            "model_context_window_exceeded" => StopReason::ContextFull,
            _ => StopReason::Other,
        });
    }
    let category = string(holder, &["stop_details", "category"]);
    let explanation = string(holder, &["stop_details", "explanation"]);
    let details = match (category, explanation) {
        (Some(category), Some(explanation)) => Some(format!("{category}: {explanation}")),
        (category, explanation) => category.or(explanation),
    };
    update(&mut draft.stop_details, details);
}

fn usage(draft: &mut PartialReply, usage: &Value) {
    let counts = &mut draft.counts;
    update(&mut counts.input, number(usage, &["input_tokens"]));
    update(&mut counts.cache_read, number(usage, &["cache_read_input_tokens"]));
    update(&mut counts.cache_write, number(usage, &["cache_creation_input_tokens"]));
    update(&mut counts.cache_write_5m, number(usage, &["cache_creation", "ephemeral_5m_input_tokens"]));
    update(&mut counts.cache_write_1h, number(usage, &["cache_creation", "ephemeral_1h_input_tokens"]));
    update(&mut counts.output, number(usage, &["output_tokens"]));
    update(&mut counts.reasoning, number(usage, &["output_tokens_details", "thinking_tokens"]));
    update(&mut draft.reported_cost, usage.get("cost").and_then(super::wire::usd));
}
