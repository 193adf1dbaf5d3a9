//! OpenAI Responses: `POST {base}/responses`, answered by events that each name their type inside the data.
//!
//! The name on the `event:` line is never looked at, since gateways leave it out. Exactly one of
//! `response.completed`, `response.incomplete` and `response.failed` ends a reply; it repeats the whole output, which
//! then counts more than the pieces. Nothing is stored at the provider (`store: false`).

use serde_json::{Value, json};

use crate::domain::call::{CallRequest, ToolResult};
use crate::domain::event::{ErrorClass, StopReason};
use crate::domain::tool::ToolSpec;

use super::fault::{ErrorBody, Fault, in_stream};
use super::turns::{call_arguments, call_ids, call_name};
use super::wire::{PartialReply, WireRequest, is_strict, number, string, update, usd};

/// Writes a request.
pub fn build(request: &CallRequest) -> WireRequest {
    let mut body = json!({
        "model": request.model,
        "input": input(request),
        "max_output_tokens": request.max_output_tokens,
        "stream": true,
        "store": false,
    });
    if !request.tools.is_empty() {
        let tool = |tool: &ToolSpec| {
            json!({ "type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters,
                    "strict": false })
        };
        body["tools"] = request.tools.iter().map(tool).collect();
        // Nothing is stored there, so reasoning that goes on has to be sent along.
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if !request.system.is_empty() {
        body["instructions"] = json!(request.system);
    }
    if let Some(effort) = &request.effort {
        body["reasoning"] = json!({ "effort": effort });
    }
    if let Some(schema) = &request.schema {
        let strict = is_strict(&schema.schema);
        body["text"] = json!({
            "format": { "type": "json_schema", "name": schema.name, "strict": strict, "schema": schema.schema },
        });
    }
    WireRequest { path: "/responses", headers: Vec::new(), body }
}

/// Writes the conversation: the prompt alone as a text, else items.
fn input(request: &CallRequest) -> Value {
    if request.turns.is_empty() {
        return json!(request.prompt);
    }
    let mut items = vec![json!({ "role": "user", "content": request.prompt })];
    for (turn, ids) in request.turns.iter().zip(call_ids(&request.turns)) {
        for (place, (call, id)) in turn.calls.iter().zip(&ids).enumerate() {
            if turn.is_own {
                items.extend(call.carried.iter().cloned());
            }
            if place == 0 && !turn.text.is_empty() {
                items.push(json!({ "role": "assistant", "content": &*turn.text }));
            }
            let arguments = call_arguments(&call.arguments).to_string();
            items.push(json!({ "type": "function_call", "call_id": id, "name": call_name(&call.name), "arguments": arguments }));
        }
        let results = turn.results.iter().zip(&ids);
        let output = |(result, id): (&ToolResult, &String)| json!({ "type": "function_call_output", "call_id": id, "output": &*result.text });
        items.extend(results.map(output));
        items.extend(turn.note.iter().map(|note| json!({ "role": "user", "content": note })));
    }
    Value::Array(items)
}

/// Takes in one event of a stream.
///
/// # Errors
/// The failure that an `error` or `response.failed` event tells of.
pub fn event(draft: &mut PartialReply, event: &Value) -> Result<(), Fault> {
    let piece = || event.get("delta").and_then(Value::as_str).unwrap_or_default();
    // `item_id` may be rewritten by gateways between events; the place in the output may not.
    let key = || match number(event, &["output_index"]) {
        Some(index) => index.to_string(),
        None => string(event, &["item_id"]).or_else(|| string(event, &["item", "id"])).unwrap_or_default(),
    };
    match event.get("type").and_then(Value::as_str).unwrap_or_default() {
        "response.created" | "response.in_progress" | "response.queued" => head(draft, &event["response"]),
        "response.output_text.delta" => draft.add_text(piece()),
        "response.refusal.delta" => draft.add_refusal(piece()),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => draft.add_reasoning(piece()),
        "response.output_item.added" if event["item"]["type"] == "function_call" => {
            let slot = draft.call(key());
            name_call(slot, &event["item"]);
        }
        "response.function_call_arguments.delta" => draft.add_arguments(key(), &event["delta"]),
        "response.output_item.done" if event["item"]["type"] == "function_call" => {
            let slot = draft.call(key());
            name_call(slot, &event["item"]);
            if let Some(arguments) = string(&event["item"], &["arguments"]) {
                slot.arguments = arguments;
            }
        }
        "response.output_item.done" if is_carried(&event["item"]) => draft.carried.push(event["item"].clone()),
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            end(draft, &event["response"])?;
            draft.ended = true;
        }
        "error" => return Err(in_stream(ErrorBody::of(event).unwrap_or_default())),
        _ if event.get("error").is_some_and(|error| !error.is_null()) => {
            return Err(in_stream(ErrorBody::of(event).unwrap_or_default()));
        }
        // Parts and items that begin or end, and events that this version does not know.
        _ => {}
    }
    Ok(())
}

/// Takes in a response that came as one body; returns whether it is one.
///
/// # Errors
/// The failure that it tells of.
pub fn whole(draft: &mut PartialReply, response: &Value) -> Result<bool, Fault> {
    if !response.get("output").is_some_and(Value::is_array) && response.get("status").is_none() {
        return Ok(false);
    }
    end(draft, response)?;
    Ok(true)
}

/// Reasoning that can be sent back: only what is encrypted can, since nothing is stored.
fn is_carried(item: &Value) -> bool {
    item["type"] == "reasoning" && item["encrypted_content"].is_string()
}

fn name_call(slot: &mut super::wire::DraftCall, item: &Value) {
    update(&mut slot.id, string(item, &["call_id"]));
    if let Some(name) = string(item, &["name"]) {
        slot.name = name;
    }
}

fn head(draft: &mut PartialReply, response: &Value) {
    update(&mut draft.id, string(response, &["id"]));
    update(&mut draft.model, string(response, &["model"]));
}

/// Takes in the response object that ends a reply.
fn end(draft: &mut PartialReply, response: &Value) -> Result<(), Fault> {
    head(draft, response);
    usage(draft, &response["usage"]);
    let output = response.get("output").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !output.is_empty() {
        items(draft, output);
    }
    match response.get("status").and_then(Value::as_str).unwrap_or("completed") {
        "completed" => draft.stop = Some(if draft.calls.is_empty() { StopReason::End } else { StopReason::ToolUse }),
        "incomplete" => {
            let reason = string(response, &["incomplete_details", "reason"]);
            draft.stop = Some(match reason.as_deref() {
                Some("max_output_tokens") => StopReason::MaxTokens,
                Some("content_filter") => StopReason::Filtered,
                _ => StopReason::Other,
            });
            update(&mut draft.stop_details, reason);
        }
        "failed" => return Err(in_stream(ErrorBody::of(response).unwrap_or_default())),
        status => {
            return Err(Fault::passing(ErrorClass::BadReply, format!("the response ended as `{status}`")));
        }
    }
    Ok(())
}

/// Puts the output items in the place of the pieces that came before.
fn items(draft: &mut PartialReply, output: &[Value]) {
    let mut fresh = PartialReply::default();
    fresh.add_reasoning(&std::mem::take(&mut draft.reasoning));
    for (index, item) in output.iter().enumerate() {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                    fresh.add_text(part.get("text").and_then(Value::as_str).unwrap_or_default());
                    fresh.add_refusal(part.get("refusal").and_then(Value::as_str).unwrap_or_default());
                }
            }
            Some("function_call") => {
                name_call(fresh.call(index.to_string()), item);
                fresh.add_arguments(index.to_string(), &item["arguments"]);
            }
            Some("reasoning") => {
                if is_carried(item) {
                    fresh.carried.push(item.clone());
                }
                let is_new = fresh.reasoning.is_empty();
                for part in item.get("summary").and_then(Value::as_array).into_iter().flatten().filter(|_| is_new) {
                    fresh.add_reasoning(part.get("text").and_then(Value::as_str).unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    draft.replace_output(fresh);
}

fn usage(draft: &mut PartialReply, usage: &Value) {
    let counts = &mut draft.counts;
    update(&mut counts.input, number(usage, &["input_tokens"]));
    update(&mut counts.cache_read, number(usage, &["input_tokens_details", "cached_tokens"]));
    update(&mut counts.cache_write, number(usage, &["input_tokens_details", "cache_write_tokens"]));
    update(&mut counts.output, number(usage, &["output_tokens"]));
    update(&mut counts.reasoning, number(usage, &["output_tokens_details", "reasoning_tokens"]));
    update(&mut draft.reported_cost, usage.get("cost").and_then(usd));
}
