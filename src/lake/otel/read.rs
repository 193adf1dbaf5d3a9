//! Spans of OTLP JSON, as collectors and vendors write it.

use serde_json::{Map, Value};

use super::{names, vendors};
use crate::domain::event::{AttemptOutcome, Mode, Purpose, StopReason};
use crate::domain::ids::{RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::tier::Tier;
use crate::lake::calls::End;

/// The longest name that is kept, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The largest count: what JSON numbers hold exactly.
const COUNT_MAX: u64 = 1 << 53;

/// Kits, by how the names of their scopes begin, that count cached tokens of every provider apart from the input.
const COUNT_APART: [&str; 2] = ["com.anthropic.claude_code", "openlit"];

/// What a span of generative AI does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A model is called.
    Model,
    /// An agent works.
    Agent,
    /// A workflow runs.
    Workflow,
    /// A tool runs.
    Tool,
    /// Something else.
    Other,
}

/// A span, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace, lower-case hexadecimal.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// The span that it is a part of; empty for the first one.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub operation: Operation,
    /// When it began.
    pub started: TimeNs,
    /// When it ended; `None` when not known.
    pub ended: Option<TimeNs>,
    /// What failed.
    pub error: Option<String>,
    /// The agent, workflow or tool, or the service where nothing else is named.
    pub subject: Option<String>,
    /// The service that it is of.
    pub service: Option<String>,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// What it used.
    pub usage: Option<TokenUsage>,
    /// What it is said to have cost.
    pub cost: Option<NanoUsd>,
    /// Its system says that the cost is not known.
    pub is_unpriced: bool,
    /// Its tier, where it is named.
    pub tier: Option<Tier>,
    /// Work or judging.
    pub purpose: Purpose,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// From the request to the first piece of output, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// The attempt's number, where it is named.
    pub attempt: Option<u32>,
    /// The agent's number, where it is named.
    pub agent_no: Option<u32>,
    /// The call's number, where it is named.
    pub call: Option<u32>,
    /// How its attempt ended, or its run, where that is named.
    pub end: End,
    /// How long it took in milliseconds, where that is said apart.
    pub latency_ms: Option<u64>,
    /// Its models were simulated.
    pub is_simulated: bool,
    /// The run of a store of Meno that it is of, where it is named.
    pub run: Option<RunId>,
    /// The model that replied, where it is named: that one was paid for, whichever was asked for.
    pub replied_model: Option<String>,
    /// Only input or only output is told of what it used, and the other is not always nothing.
    pub is_partial: bool,
    /// What earlier versions read of it, where that is something else: by that its trace is known.
    pub before: Option<Box<Span>>,
}

/// How cached tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cached {
    /// Within the input, as the conventions say.
    Within,
    /// Apart from it.
    Apart,
    /// Within it, but where it is too small for that: kits that hand on what Anthropic says count them apart.
    Either,
}

/// Calls `each` with every span of a document, or with why one cannot be read.
///
/// # Errors
/// When the document is none of the protocol.
pub fn document(document: &Value, each: &mut dyn FnMut(Result<Span, String>)) -> Result<(), String> {
    let resources = match document {
        Value::Object(fields) => fields.get("resourceSpans").or_else(|| fields.get("resource_spans")),
        _ => None,
    };
    let Some(resources) = resources.and_then(Value::as_array) else {
        let other = ["resourceMetrics", "resourceLogs"].into_iter().find(|name| document.get(name).is_some());
        return Err(match other {
            Some(name) => format!("has {name}, not traces"),
            None => "has no `resourceSpans`".to_owned(),
        });
    };
    for resource in resources {
        let about = attributes(resource.get("resource").unwrap_or(&Value::Null));
        let service = text(&about, "service.name");
        let scopes = ["scopeSpans", "scope_spans", "instrumentationLibrarySpans"];
        for scope in scopes.iter().filter_map(|name| resource.get(name)?.as_array()).flatten() {
            let about = scope.get("scope").or_else(|| scope.get("instrumentationLibrary"));
            let by = about.and_then(|scope| scope.get("name")).and_then(Value::as_str).unwrap_or_default();
            let is_apart = COUNT_APART.iter().any(|kit| by.starts_with(kit));
            for span in scope.get("spans").and_then(Value::as_array).into_iter().flatten() {
                each(self::span(span, service.as_deref(), is_apart));
            }
        }
    }
    Ok(())
}

fn span(span: &Value, service: Option<&str>, is_apart: bool) -> Result<Span, String> {
    let Value::Object(fields) = span else { return Err("a span is no object".to_owned()) };
    let of = |camel: &str, snake: &str| fields.get(camel).or_else(|| fields.get(snake));
    let id = |camel, snake| of(camel, snake).and_then(Value::as_str).map(str::to_ascii_lowercase).unwrap_or_default();
    let (trace, own, parent) = (id("traceId", "trace_id"), id("spanId", "span_id"), id("parentSpanId", "parent_span_id"));
    if trace.is_empty() || own.is_empty() || trace.len() > NAME_CHARS_MAX || own.len() > NAME_CHARS_MAX {
        return Err("a span has no traceId or spanId".to_owned());
    }
    let place = (trace, own, parent);
    let mut all = attributes(span);
    vendors::renew(&mut all);
    let before = read(fields, &all, place.clone(), service, Cached::Within);
    vendors::translate(&mut all, of("name", "name").and_then(Value::as_str).unwrap_or_default());
    let mut read = read(fields, &all, place, service, if is_apart { Cached::Apart } else { Cached::Either })?;
    read.before = before.ok().filter(|before| *before != read).map(Box::new);
    Ok(read)
}

/// Reads a span with attributes `all` that stands at a place.
fn read(
    fields: &Map<String, Value>,
    all: &Map<String, Value>,
    (trace, own, parent): (String, String, String),
    service: Option<&str>,
    cached: Cached,
) -> Result<Span, String> {
    let of = |camel: &str, snake: &str| fields.get(camel).or_else(|| fields.get(snake));
    let nanos = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.parse::<i64>().ok(),
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    let started = nanos(of("startTimeUnixNano", "start_time_unix_nano")).filter(|at| *at > 0);
    let started = started.ok_or_else(|| format!("span {own} has no startTimeUnixNano"))?;
    let ended = nanos(of("endTimeUnixNano", "end_time_unix_nano")).filter(|at| *at >= started);
    let name: String = of("name", "name").and_then(Value::as_str).unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
    let operation = operation(all, &name);
    let error = text(all, names::ERROR).or_else(|| failed(fields.get("status")));
    let subject = match operation {
        Operation::Agent => text(all, names::AGENT).or_else(|| rest(&name)),
        Operation::Workflow => text(all, names::WORKFLOW).or_else(|| text(all, names::AGENT)).or_else(|| rest(&name)),
        Operation::Tool => text(all, names::TOOL).or_else(|| rest(&name)),
        Operation::Model | Operation::Other => text(all, names::AGENT),
    };
    let stop = all.get(names::FINISH).and_then(|value| match value {
        Value::Array(words) => words.first().and_then(Value::as_str).map(stop),
        Value::String(word) => Some(self::stop(word)),
        _ => None,
    });
    let small = |name: &str| number(all, name).ok().flatten().and_then(|number| u32::try_from(number).ok());
    let cost = number(all, names::COST).map_err(|why| format!("span {own}: {why}"))?.map(NanoUsd);
    let (usage, is_partial) = usage(all, cached).map_err(|why| format!("span {own}: {why}"))?;
    Ok(Span {
        trace,
        id: own,
        parent,
        operation,
        started,
        ended,
        error,
        subject,
        service: service.map(str::to_owned),
        provider: text(all, names::PROVIDER).or_else(|| text(all, names::SYSTEM)).unwrap_or_default(),
        model: text(all, names::MODEL).or_else(|| text(all, names::REPLIED_MODEL)).unwrap_or_default(),
        usage,
        cost,
        is_unpriced: all.get(names::PRICED) == Some(&Value::Bool(false)),
        tier: text(all, names::TIER).and_then(|word| Tier::ALL.into_iter().find(|tier| tier.name() == word)),
        purpose: if text(all, names::PURPOSE).as_deref() == Some(Purpose::Judge.name()) { Purpose::Judge } else { Purpose::Work },
        stop,
        first_token_ms: all.get(names::FIRST_CHUNK).and_then(Value::as_f64).map(|seconds| (seconds * 1000.0).round() as u64),
        attempt: small(names::ATTEMPT).filter(|number| *number > 0),
        agent_no: small(names::AGENT_NO),
        call: small(names::CALL).filter(|number| *number > 0),
        end: end(all),
        latency_ms: number(all, names::LATENCY).ok().flatten(),
        is_simulated: text(all, names::MODE).as_deref() == Some(Mode::Simulated.name()),
        run: text(all, names::RUN).and_then(|run| run.parse().ok()),
        replied_model: text(all, names::REPLIED_MODEL),
        is_partial,
        name,
        before: None,
    })
}

fn end(all: &Map<String, Value>) -> End {
    let word = text(all, names::OUTCOME).or_else(|| text(all, names::RUN_OUTCOME));
    let outcome = word.and_then(|word| AttemptOutcome::ALL.iter().copied().find(|outcome| outcome.name() == word));
    let verified = all.get(names::VERIFIED) == Some(&Value::Bool(true));
    outcome.map_or(End::Untold, |outcome| End::Told { outcome, verified })
}

/// Returns what a span does: as its attribute says, else by what only a model's call has.
fn operation(all: &Map<String, Value>, name: &str) -> Operation {
    match all.get(names::OPERATION).and_then(Value::as_str) {
        Some("chat" | "text_completion" | "completion" | "generate_content" | "embeddings") => Operation::Model,
        Some("invoke_agent" | "create_agent") => Operation::Agent,
        Some("invoke_workflow") => Operation::Workflow,
        Some("execute_tool") => Operation::Tool,
        Some(_) => Operation::Other,
        None if all.contains_key(names::INPUT) || all.contains_key(names::OLD_INPUT) || all.contains_key(names::MODEL) => {
            Operation::Model
        }
        None if name.starts_with("invoke_agent ") => Operation::Agent,
        None if all.contains_key(names::TOOL) => Operation::Tool,
        None => Operation::Other,
    }
}

/// Returns the tokens, and whether only a part of them is told. Cached ones that are within the input come out of it here.
fn usage(all: &Map<String, Value>, counted: Cached) -> Result<(Option<TokenUsage>, bool), String> {
    let first = |names: &[&str]| -> Result<Option<u64>, String> {
        names.iter().map(|name| number(all, name)).find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None))
    };
    let input = first(&[names::INPUT, names::OLD_INPUT])?;
    let output = first(&[names::OUTPUT, names::OLD_OUTPUT])?;
    if input.is_none() && output.is_none() {
        return Ok((None, false));
    }
    // What embeds a text puts nothing out.
    let embeds = all.get(names::OPERATION).and_then(Value::as_str) == Some("embeddings");
    let is_partial = input.is_none() || (output.is_none() && !embeds);
    let cache_read = number(all, names::CACHE_READ)?.unwrap_or(0);
    let written = number(all, names::CACHE_WRITE)?.unwrap_or(0);
    let long = number(all, names::CACHE_WRITE_1H)?.unwrap_or(0).min(written);
    let (input, cached) = (input.unwrap_or(0), cache_read.saturating_add(written));
    let usage = TokenUsage {
        input: match counted {
            Cached::Within => input.saturating_sub(cached),
            Cached::Apart => input,
            Cached::Either => input.checked_sub(cached).unwrap_or(input),
        },
        cache_read,
        cache_write_5m: written - long,
        cache_write_1h: long,
        output: output.unwrap_or(0),
        reasoning: first(&[names::REASONING])?.unwrap_or(0),
    };
    Ok((Some(usage), is_partial))
}

fn stop(word: &str) -> StopReason {
    match word.to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "end" => StopReason::End,
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => StopReason::ToolUse,
        "length" | "max_tokens" => StopReason::MaxTokens,
        "content_filter" => StopReason::Filtered,
        "refusal" => StopReason::Refusal,
        "stop_sequence" => StopReason::StopSequence,
        _ => StopReason::Other,
    }
}

/// Returns why a span failed, when its status says that it did.
fn failed(status: Option<&Value>) -> Option<String> {
    let status = status?;
    let is_failed = match status.get("code")? {
        Value::Number(code) => code.as_u64() == Some(2),
        Value::String(code) => code == "STATUS_CODE_ERROR",
        _ => false,
    };
    let message = status.get("message").and_then(Value::as_str).filter(|message| !message.is_empty());
    is_failed.then(|| message.unwrap_or("error").to_owned())
}

/// Returns the attributes of a span or resource by name: the protocol's list of keys and values as an object.
fn attributes(of: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    match of.get("attributes") {
        Some(Value::Array(list)) => {
            for attribute in list {
                if let (Some(key), Some(value)) = (attribute.get("key").and_then(Value::as_str), attribute.get("value")) {
                    all.insert(key.to_owned(), plain(value));
                }
            }
        }
        // Some vendors write them as an object.
        Some(Value::Object(fields)) => all.extend(fields.clone()),
        _ => {}
    }
    all
}

fn plain(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let of = |camel: &str, snake: &str| fields.get(camel).or_else(|| fields.get(snake));
    if let Some(text) = of("stringValue", "string_value") {
        return text.clone();
    }
    if let Some(number) = of("intValue", "int_value") {
        let parsed = number.as_str().and_then(|text| text.parse::<i64>().ok()).map(Value::from);
        return parsed.unwrap_or_else(|| number.clone());
    }
    if let Some(value) = of("doubleValue", "double_value").or_else(|| of("boolValue", "bool_value")) {
        return value.clone();
    }
    let array = of("arrayValue", "array_value").and_then(|array| array.get("values")).and_then(Value::as_array);
    array.map_or(Value::Null, |values| values.iter().map(flat).collect())
}

/// Returns a value of a list; lists within lists are nothing here.
fn flat(value: &Value) -> Value {
    let text = value.get("stringValue").or_else(|| value.get("string_value"));
    text.cloned().unwrap_or(Value::Null)
}

fn text(all: &Map<String, Value>, name: &str) -> Option<String> {
    let text: String = all.get(name)?.as_str()?.trim().chars().take(NAME_CHARS_MAX).collect();
    Some(text).filter(|text| !text.is_empty())
}

fn number(all: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match all.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let count = number.as_u64().or_else(|| number.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64));
            count.filter(|count| *count <= COUNT_MAX).map(Some).ok_or_else(|| format!("`{name}` is {number}: no count"))
        }
        Some(Value::String(word)) => {
            let count: Option<u64> = word.parse().ok();
            count.filter(|count| *count <= COUNT_MAX).map(Some).ok_or_else(|| format!("`{name}` is no count"))
        }
        Some(_) => Err(format!("`{name}` is no number")),
    }
}

/// Returns what follows the first word of a span's name.
fn rest(name: &str) -> Option<String> {
    name.split_once(' ').map(|(_, rest)| rest.trim().to_owned()).filter(|rest| !rest.is_empty())
}
