//! Attributes by other names than OpenTelemetry's, as kits write them that are older than its conventions: each becomes the name that stands
//! for it, where that is not there.

use serde_json::{Map, Value};

use super::names;
use crate::domain::money::NanoUsd;

/// OpenInference: the conventions of Arize's instrumentation (`semantic_conventions.md` of its repository).
const OPENINFERENCE: [(&str, &str); 13] = [
    ("llm.model_name", names::MODEL),
    ("embedding.model_name", names::MODEL),
    ("llm.provider", names::PROVIDER),
    ("llm.system", names::PROVIDER),
    ("llm.token_count.prompt", names::INPUT),
    ("llm.token_count.completion", names::OUTPUT),
    ("llm.token_count.prompt_details.cache_read", names::CACHE_READ),
    ("llm.token_count.prompt_details.cache_write", names::CACHE_WRITE),
    ("llm.token_count.completion_details.reasoning", names::REASONING),
    ("llm.finish_reason", names::FINISH),
    ("tool.name", names::TOOL),
    ("agent.name", names::AGENT),
    ("graph.node.name", names::AGENT),
];
/// What their kinds of spans are here.
const OPENINFERENCE_KINDS: [(&str, &str); 4] =
    [("LLM", "chat"), ("EMBEDDING", "embeddings"), ("AGENT", "invoke_agent"), ("TOOL", "execute_tool")];

/// Details of the usage as pydantic-ai writes them, behind `gen_ai.usage.details.`.
const DETAILS: [(&str, &str); 7] = [
    ("cache_read_tokens", names::CACHE_READ),
    ("cache_read_input_tokens", names::CACHE_READ),
    ("cached_tokens", names::CACHE_READ),
    ("cached_content_tokens", names::CACHE_READ),
    ("cache_write_tokens", names::CACHE_WRITE),
    ("cache_creation_input_tokens", names::CACHE_WRITE),
    ("reasoning_tokens", names::REASONING),
];
/// Spans of Claude Code itself, whose names begin with `claude_code.`: tokens under plain names.
const CLAUDE_CODE: [(&str, &str); 4] = [
    ("input_tokens", names::INPUT),
    ("output_tokens", names::OUTPUT),
    ("cache_read_tokens", names::CACHE_READ),
    ("cache_creation_tokens", names::CACHE_WRITE),
];

/// What Langfuse calls observations here.
const LANGFUSE_KINDS: [(&str, &str); 4] =
    [("generation", "chat"), ("embedding", "embeddings"), ("agent", "invoke_agent"), ("tool", "execute_tool")];

/// Names of the caches' tokens that others gave them before the conventions did.
const OLDER: [(&str, &str); 3] = [
    ("gen_ai.usage.cache_read_input_tokens", names::CACHE_READ),
    (names::CACHE_CREATION, names::CACHE_WRITE),
    ("gen_ai.usage.cache_creation_input_tokens", names::CACHE_WRITE),
];

/// Gives attributes the names that the conventions have for them today.
pub fn renew(all: &mut Map<String, Value>) {
    OLDER.into_iter().for_each(|(from, to)| name(all, from, to));
}

/// Adds to the attributes of a span, which is called `span`, what those mean that other conventions have.
pub fn translate(all: &mut Map<String, Value>, span: &str) {
    if span.starts_with("claude_code.") {
        CLAUDE_CODE.into_iter().for_each(|(from, to)| name(all, from, to));
    }
    langfuse(all);
    DETAILS.into_iter().for_each(|(from, to)| name(all, &format!("gen_ai.usage.details.{from}"), to));
    let Some(kind) = all.get("openinference.span.kind").and_then(Value::as_str).map(str::to_ascii_uppercase) else { return };
    OPENINFERENCE.into_iter().for_each(|(from, to)| name(all, from, to));
    let operation = OPENINFERENCE_KINDS.into_iter().find(|(theirs, _)| *theirs == kind).map_or("other", |(_, ours)| ours);
    all.entry(names::OPERATION).or_insert_with(|| operation.into());
}

fn name(all: &mut Map<String, Value>, from: &str, to: &str) {
    if !all.contains_key(to)
        && let Some(value) = all.get(from).cloned()
    {
        all.insert(to.to_owned(), value);
    }
}

/// Reads what Langfuse's kits write of a call: the tokens of each kind apart, in JSON, and what it cost.
fn langfuse(all: &mut Map<String, Value>) {
    let Some(kind) = all.get("langfuse.observation.type").and_then(Value::as_str) else { return };
    let operation = LANGFUSE_KINDS.into_iter().find(|(theirs, _)| *theirs == kind).map(|(_, ours)| ours);
    let json = |name: &str| -> Value {
        let text = all.get(name).and_then(Value::as_str).unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    };
    let (usage, cost) = (json("langfuse.observation.usage_details"), json("langfuse.observation.cost_details"));
    let sum = |names: &[&str]| names.iter().filter_map(|name| usage[*name].as_u64()).reduce(u64::saturating_add);
    let (read, written) = (
        sum(&["cache_read_input_tokens", "input_cached_tokens", "input_cache_read"]),
        sum(&["cache_creation_input_tokens", "input_cache_creation"]),
    );
    let (reasoning, output) = (sum(&["output_reasoning_tokens", "output_reasoning"]), sum(&["output"]));
    let plain = sum(&["input"]);
    let cached = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
    let tokens = [
        (names::INPUT, plain.map(|plain| plain.saturating_add(cached))),
        (names::OUTPUT, output.map(|output| output.saturating_add(reasoning.unwrap_or(0)))),
        (names::CACHE_READ, read),
        (names::CACHE_WRITE, written),
        (names::REASONING, reasoning),
        (names::COST, cost["total"].as_f64().and_then(NanoUsd::from_usd).map(|cost| cost.0)),
    ];
    for (to, count) in tokens {
        if let Some(count) = count {
            all.entry(to).or_insert_with(|| count.into());
        }
    }
    name(all, "langfuse.observation.model.name", names::MODEL);
    if let Some(operation) = operation {
        all.entry(names::OPERATION).or_insert_with(|| operation.into());
    }
}
