//! Byte for byte what is sent in each dialect.

use serde_json::json;

use super::*;
use crate::domain::call::{CallContext, OutputSchema};
use crate::domain::event::Purpose;
use crate::domain::tier::Tier;
use crate::providers::settings_for_tests::provider_settings as settings;

const KINDS: [ProviderKind; 4] =
    [ProviderKind::Anthropic, ProviderKind::OpenaiChat, ProviderKind::OpenaiResponses, ProviderKind::Ollama];

fn request() -> CallRequest {
    CallRequest {
        provider: "p".to_owned(),
        model: "m".to_owned(),
        system: "be brief".to_owned(),
        prompt: "hello".to_owned(),
        tools: [].into(),
        turns: Vec::new(),
        max_output_tokens: 99,
        context_tokens: Some(4096),
        schema: None,
        effort: None,
        context: CallContext {
            seed: 1,
            role: "writer".to_owned(),
            agent: 0,
            attempt: 1,
            tier: Tier::Cheap,
            purpose: Purpose::Work,
            criteria: Vec::new(),
            contract: None,
            input_files: Vec::new(),
        },
    }
}

fn full_request() -> CallRequest {
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]});
    CallRequest { schema: Some(OutputSchema { name: "verdict".to_owned(), schema }), effort: Some("low".to_owned()), ..request() }
}

#[track_caller]
fn sent(kind: ProviderKind, base_url: &str, request: &CallRequest, path: &str, body: Value) {
    let wire = build(&settings(kind, base_url), request).unwrap();
    assert_eq!((wire.path, wire.body), (path, body));
}

#[test]
fn anthropic_requests() {
    let base = "https://api.anthropic.com";
    let messages = json!([{"role": "user", "content": "hello"}]);
    let plain = json!({"model": "m", "max_tokens": 99, "stream": true, "messages": messages, "system": "be brief"});
    sent(ProviderKind::Anthropic, base, &request(), "/v1/messages", plain.clone());
    sent(ProviderKind::Anthropic, "https://h/anthropic/v1/", &request(), "/messages", plain.clone());
    let mut full = plain;
    full["output_config"] = json!({"effort": "low", "format": {"type": "json_schema", "schema": {
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false}}});
    sent(ProviderKind::Anthropic, base, &full_request(), "/v1/messages", full);
    let version = |api_version: Option<&str>| {
        let settings =
            ProviderSettings { api_version: api_version.map(str::to_owned), ..settings(ProviderKind::Anthropic, base) };
        build(&settings, &request()).unwrap().headers
    };
    assert_eq!(version(None), [("anthropic-version", "2026-10-21".to_owned())]);
    assert_eq!(version(Some("2023-06-01")), [("anthropic-version", "2023-06-01".to_owned())]);
}

#[test]
fn chat_requests_name_the_limit_as_the_server_knows_it() {
    let body = |limit: &str| {
        let mut body = json!({"model": "m", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
            "stream": true, "stream_options": {"include_usage": true}});
        body[limit] = json!(99);
        body
    };
    for (base, limit) in [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://me.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://127.0.0.1:8080/v1", "max_tokens"),
        ("https://api.openai.com.evil.example/v1", "max_tokens"),
    ] {
        sent(ProviderKind::OpenaiChat, base, &request(), "/chat/completions", body(limit));
    }
    let mut full = body("max_tokens");
    full["reasoning_effort"] = json!("low");
    full["response_format"] = json!({"type": "json_schema", "json_schema": {
        "name": "verdict", "strict": false, "schema": full_request().schema.unwrap().schema}});
    sent(ProviderKind::OpenaiChat, "http://127.0.0.1:8080/v1", &full_request(), "/chat/completions", full);
}

#[test]
fn responses_requests() {
    let body = json!({"model": "m", "input": "hello", "max_output_tokens": 99, "stream": true, "store": false,
        "instructions": "be brief", "reasoning": {"effort": "low"}, "text": {"format": {"type": "json_schema",
        "name": "verdict", "strict": false, "schema": full_request().schema.unwrap().schema}}});
    sent(ProviderKind::OpenaiResponses, "https://api.openai.com/v1", &full_request(), "/responses", body);
}

#[test]
fn ollama_requests_ask_for_their_window() {
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
        "stream": true, "options": {"num_predict": 99, "num_ctx": 4096}, "think": "low",
        "format": full_request().schema.unwrap().schema});
    sent(ProviderKind::Ollama, "http://127.0.0.1:11434", &full_request(), "/api/chat", body);
}

#[test]
fn nothing_is_sent_that_was_not_asked_for() {
    let bare = CallRequest { system: String::new(), context_tokens: None, ..request() };
    for kind in KINDS {
        let body = build(&settings(kind, "https://example.com"), &bare).unwrap().body.to_string();
        for word in
            ["temperature", "top_p", "effort", "reasoning", "think", "format", "system", "instructions", "num_ctx", "writer"]
        {
            assert!(!body.contains(word), "{kind:?} sends {word}: {body}");
        }
    }
}

#[test]
fn strict_is_for_closed_schemas_that_require_everything() {
    let closed = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "required": ["a"], "additionalProperties": false});
    assert!(is_strict(&closed));
    for (key, value) in [("required", json!([])), ("additionalProperties", json!(true))] {
        let mut open = closed.clone();
        open[key] = value;
        assert!(!is_strict(&open), "{key}");
        assert!(!is_strict(&json!({"anyOf": [closed, open]})), "{key} inside");
    }
    assert!(!is_strict(&json!({"type": "object"})));
}
