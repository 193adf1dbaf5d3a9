//! What a line says, and what its words mean.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::event::{ErrorClass, StopReason};
use crate::domain::money::TokenUsage;

/// Parts of a reply's usage that its totals leave out.
const BESIDE: [&str; 2] = ["advisor_message", "compaction"];

/// A line, as far as it is understood.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) uuid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) parent_uuid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) session_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) cwd: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) git_branch: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) agent_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) request_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) is_sidechain: Option<bool>,
    #[serde(default)]
    pub(super) is_meta: Option<bool>,
    #[serde(default)]
    pub(super) is_compact_summary: Option<bool>,
    #[serde(default)]
    pub(super) is_api_error_message: Option<bool>,
    #[serde(default)]
    pub(super) error: Option<Value>,
    #[serde(rename = "costUSD", default)]
    pub(super) cost_usd: Option<Value>,
    #[serde(borrow, default)]
    pub(super) message: Option<Message<'a>>,
    #[serde(default)]
    pub(super) attachment: Option<Value>,
    #[serde(default)]
    pub(super) forked_from: Option<Value>,
}

/// Tokens that a reply's totals leave out: another call that was made for it.
pub(super) struct Beside {
    /// What it was for, as its provider calls it.
    pub(super) kind: &'static str,
    /// Its model, where it is another one.
    pub(super) model: Option<String>,
    /// What it used; `None` when a number is none.
    pub(super) usage: Option<TokenUsage>,
}

/// What a person or a model said.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) content: Value,
    #[serde(borrow, default)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) usage: Option<Value>,
}

/// Returns what a person asked; whether it counts even if nobody answered. `None` for what the program wrote.
pub(super) fn prompt(text: &str) -> Option<(String, bool)> {
    const BY_THE_PROGRAM: [&str; 7] = [
        "<local-command-stdout>",
        "<local-command-stderr>",
        "<local-command-caveat>",
        "<task-notification>",
        "<bash-stdout>",
        "<bash-stderr>",
        "<system-reminder>",
    ];
    if text.is_empty() || BY_THE_PROGRAM.iter().any(|begin| text.starts_with(begin)) {
        return None;
    }
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner.trim())
    };
    if let Some(command) = between("bash-input").filter(|_| text.starts_with("<bash-input>")) {
        return Some((format!("! {command}"), false));
    }
    match between("command-name").filter(|_| text.starts_with("<command-")) {
        // A command of the program's own has no answer of a model.
        Some(name) => Some((format!("{name} {}", between("command-args").unwrap_or_default()).trim().to_owned(), false)),
        None => Some((text.to_owned(), true)),
    }
}

/// Returns what a person typed while the program was at work, which it keeps as an attachment.
pub(super) fn queued(attachment: &Value) -> Option<String> {
    let is_asked = attachment["commandMode"].as_str().is_none_or(|mode| mode == "prompt");
    (attachment["type"] == "queued_command" && is_asked).then(|| words(&attachment["prompt"]))
}

/// Returns the texts of a content, which is a text or a list of blocks.
pub(super) fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| match block["type"].as_str() {
                Some("text") => block["text"].as_str(),
                Some("image") => Some("[image]"),
                _ => None,
            });
            texts.collect::<Vec<_>>().join("\n\n")
        }
        _ => String::new(),
    }
}

/// Reads what a reply used; `None` when a number is none. Cache writes whose lifetime is not told are the short-lived ones.
pub(super) fn usage(told: &Value) -> Option<TokenUsage> {
    let count = |value: &Value| if value.is_null() { Some(0) } else { value.as_u64() };
    let written = count(&told["cache_creation_input_tokens"])?;
    let by_life = &told["cache_creation"];
    let long = count(&by_life["ephemeral_1h_input_tokens"])?;
    let short = count(&by_life["ephemeral_5m_input_tokens"])?;
    Some(TokenUsage {
        input: count(&told["input_tokens"])?,
        cache_read: count(&told["cache_read_input_tokens"])?,
        cache_write_5m: short.max(written.saturating_sub(long)),
        cache_write_1h: long,
        output: count(&told["output_tokens"])?,
        reasoning: count(&told["output_tokens_details"]["thinking_tokens"])?,
    })
}

/// Returns the calls whose tokens the totals leave out: those of an advisor, which has a model of its own, and of a compaction. Source: the
/// description of `usage.iterations` in the provider's SDK.
pub(super) fn beside(told: &Value) -> Vec<Beside> {
    let iterations = told["iterations"].as_array().into_iter().flatten();
    let beside = iterations.filter_map(|iteration| {
        let kind = BESIDE.into_iter().find(|kind| iteration["type"] == *kind)?;
        Some(Beside { kind, model: iteration["model"].as_str().map(str::to_owned), usage: usage(iteration) })
    });
    beside.collect()
}

/// Returns why a reply that used so much cost something else than the table's prices for its tokens; `None` when it did not.
pub(super) fn beyond_the_table(usage: &Value) -> Option<&'static str> {
    let is = |name: &str, values: &[&str]| usage[name].as_str().is_some_and(|value| values.contains(&value));
    if is("speed", &["fast"]) {
        return Some("fast mode has other prices");
    }
    if is("service_tier", &["batch", "priority", "flex"]) {
        return Some("its service tier has other prices");
    }
    if is("inference_geo", &["us"]) {
        return Some("its region has other prices");
    }
    let is_other = |iteration: &Value| iteration["type"] != "message" && BESIDE.iter().all(|kind| iteration["type"] != *kind);
    if usage["iterations"].as_array().is_some_and(|iterations| iterations.iter().any(is_other)) {
        return Some("several models answered it");
    }
    let searches = usage["server_tool_use"]["web_search_requests"].as_u64();
    searches.is_some_and(|searches| searches > 0).then_some("its web searches are charged besides tokens")
}

/// Returns why a model stopped.
pub(super) fn stop_reason(told: &str) -> StopReason {
    match told {
        "end_turn" => StopReason::End,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::ContextFull,
        "refusal" => StopReason::Refusal,
        "stop_sequence" => StopReason::StopSequence,
        _ => StopReason::Other,
    }
}

/// Returns of which class an error is.
pub(super) fn class(error: &str, message: &str) -> ErrorClass {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match error {
        "rate_limit" => ErrorClass::RateLimit,
        "authentication_failed" => ErrorClass::Auth,
        _ if has(&["limit reached", "hit your", "429"]) => ErrorClass::RateLimit,
        _ if has(&["401", "403"]) => ErrorClass::Auth,
        _ if has(&["onnect", "ECONN", "imed out"]) => ErrorClass::Connection,
        _ if has(&["400", "too long"]) => ErrorClass::BadRequest,
        _ => ErrorClass::Server,
    }
}
