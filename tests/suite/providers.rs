//! Calls over real sockets: what the server does, what becomes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::llm_server::{LlmServer, Turn};
use meno::event::{ErrorClass, NanoUsd, Purpose, StopReason, Tier, TokenUsage, UsageSource};
use meno::internals::domain::{AuthScheme, CallContext, CallFailure, CallReply, CallRequest, ProviderKind, ProviderSettings};
use meno::internals::providers::{CallOutcome, CallUpdate, Providers};
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[path = "../support/provider_settings.rs"]
mod settings_for_tests;
use settings_for_tests::provider_settings;

const KINDS: [(ProviderKind, &str); 4] = [
    (ProviderKind::Anthropic, ""),
    (ProviderKind::OpenaiChat, "/v1"),
    (ProviderKind::OpenaiResponses, "/v1"),
    (ProviderKind::Ollama, ""),
];

fn settings(kind: ProviderKind, base_url: String) -> ProviderSettings {
    ProviderSettings {
        api_key_env: Some("TEST_KEY".to_owned()),
        auth: if kind == ProviderKind::Anthropic { AuthScheme::XApiKey } else { AuthScheme::Bearer },
        headers: BTreeMap::from([("x-team".to_owned(), "blue".to_owned())]),
        max_concurrent: 8,
        connect_s: 5.0,
        first_byte_s: 5.0,
        idle_s: 5.0,
        retries: 2,
        key_bound: true,
        ..provider_settings(kind, &base_url)
    }
}

fn providers(settings: ProviderSettings) -> Providers {
    let key = |name: &str| (name == "TEST_KEY").then(|| "hush-hush-key".to_owned());
    // No spread and no waits but those that the server asks for.
    Providers::new(&BTreeMap::from([("p".to_owned(), settings)]), key).with_chance(|| 0.0)
}

fn request() -> CallRequest {
    CallRequest {
        provider: "p".to_owned(),
        model: "m-1".to_owned(),
        system: "be brief".to_owned(),
        prompt: "hello".to_owned(),
        tools: [].into(),
        turns: Vec::new(),
        max_output_tokens: 99,
        context_tokens: None,
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

async fn call(providers: &Providers) -> (CallOutcome, Vec<CallUpdate>) {
    let mut updates = Vec::new();
    let outcome = providers
        .call(&request(), &CancellationToken::new(), |update| {
            updates.push(update);
            None
        })
        .await;
    (outcome, updates)
}

#[track_caller]
fn reply(outcome: CallOutcome) -> CallReply {
    match outcome {
        CallOutcome::Replied(reply) => reply,
        other => panic!("no reply: {other:?}"),
    }
}

#[track_caller]
fn failure(outcome: CallOutcome) -> CallFailure {
    match outcome {
        CallOutcome::Failed(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

fn retries(updates: &[CallUpdate]) -> Vec<(u32, ErrorClass, Option<u16>, u64)> {
    let retry = |update: &CallUpdate| match update {
        CallUpdate::Retry(retry) => Some((retry.failed_try, retry.class, retry.status, retry.wait_ms)),
        CallUpdate::Progress { .. } => None,
    };
    updates.iter().filter_map(retry).collect()
}

#[tokio::test]
async fn every_dialect_is_spoken_and_understood() {
    for (kind, base) in KINDS {
        let tool = Turn::text("Grüße, 世界").usage(21, 7).tool("read_file", json!({"path": "ä.rs"})).in_pieces_of(3);
        let script = [
            tool.header("x-request-id", "req-9"),
            Turn::text("plain").plain_json(),
            Turn::text("half").truncated(),
            Turn::text("no").refused(),
        ];
        let server = LlmServer::start(script).await;
        let providers = providers(settings(kind, server.base_url(base)));

        let (outcome, updates) = call(&providers).await;
        let first = reply(outcome);
        assert_eq!((first.text.as_str(), first.stop), ("Grüße, 世界", StopReason::ToolUse), "{kind:?}");
        assert_eq!(first.tool_calls[0].arguments, json!({"path": "ä.rs"}));
        assert_eq!(first.usage, TokenUsage { input: 21, output: 7, ..TokenUsage::default() });
        assert_eq!((first.usage_source, first.model.as_deref()), (UsageSource::Reported, Some("m-1")));
        assert_eq!(first.request_id.as_deref(), Some("req-9"));
        assert!(first.first_token_ms.is_some_and(|ms| ms <= first.latency_ms));
        assert!(matches!(updates.first(), Some(CallUpdate::Progress { output_tokens: 1.. })), "{kind:?}: {updates:?}");

        assert_eq!(reply(call(&providers).await.0).text, "plain", "{kind:?}");
        let half = reply(call(&providers).await.0);
        assert_eq!((half.text.as_str(), half.stop), ("half", StopReason::MaxTokens), "{kind:?}");
        let no = reply(call(&providers).await.0);
        match kind {
            ProviderKind::Ollama => assert_eq!(no.stop, StopReason::End, "it has no word for refusals"),
            ProviderKind::Anthropic => {
                assert_eq!((no.stop, no.stop_details.as_deref()), (StopReason::Refusal, Some("cyber: scripted")))
            }
            _ => assert_eq!((no.stop, no.stop_details.as_deref(), no.text.as_str()), (StopReason::Refusal, Some("no"), "")),
        }

        let sent = &server.requests()[0];
        let (expected_path, key) = match kind {
            ProviderKind::Anthropic => ("/v1/messages", "x-api-key"),
            ProviderKind::OpenaiChat => ("/v1/chat/completions", "authorization"),
            ProviderKind::OpenaiResponses => ("/v1/responses", "authorization"),
            _ => ("/api/chat", "authorization"),
        };
        assert_eq!(sent.path, expected_path);
        assert!(sent.header(key).is_some_and(|value| value.ends_with("hush-hush-key")), "{kind:?}");
        let other = if key == "authorization" { "x-api-key" } else { "authorization" };
        assert_eq!(sent.header(other), None, "exactly one header carries the key");
        assert_eq!((sent.header("x-team"), sent.header("content-type")), (Some("blue"), Some("application/json")));
    }
}

#[tokio::test]
async fn servers_in_trouble_are_asked_again_until_the_tries_are_used_up() {
    for (kind, base) in KINDS {
        let server = LlmServer::start([Turn::status(529, ""), Turn::status(500, "<html>oops</html>")]).await;
        let (outcome, updates) = call(&providers(settings(kind, server.base_url(base)))).await;
        assert_eq!(reply(outcome).text, "ok", "{kind:?}");
        assert_eq!(retries(&updates), [(1, ErrorClass::Server, Some(529), 0), (2, ErrorClass::Server, Some(500), 0)]);
    }
    let server = LlmServer::start([Turn::status(503, ""), Turn::status(503, ""), Turn::status(503, "")]).await;
    let (outcome, updates) = call(&providers(settings(ProviderKind::OpenaiChat, server.base_url("/v1")))).await;
    let failure = failure(outcome);
    assert_eq!((failure.class, failure.status, failure.retryable), (ErrorClass::Server, Some(503), true));
    assert_eq!(failure.message, "provider `p` answered 503: scripted 503");
    assert_eq!((retries(&updates).len(), server.requests().len()), (2, 3));
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_as_the_server_says() {
    let limited = |after: &str| Turn::status(429, "").header("retry-after-ms", after);
    let server = LlmServer::start([limited("30"), Turn::status(429, "").header("retry-after", "0.02")]).await;
    let (outcome, updates) = call(&providers(settings(ProviderKind::Anthropic, server.base_url("")))).await;
    assert_eq!(reply(outcome).text, "ok");
    assert_eq!(retries(&updates), [(1, ErrorClass::RateLimit, Some(429), 30), (2, ErrorClass::RateLimit, Some(429), 20)]);
}

#[tokio::test]
async fn what_waiting_does_not_cure_is_not_repeated() {
    let money =
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let overflow = r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    for (turn, class) in [
        (Turn::status(429, "").header("retry-after", "61"), ErrorClass::Quota),
        (Turn::status(429, money).header("retry-after", "1"), ErrorClass::Quota),
        (Turn::status(402, ""), ErrorClass::Quota),
        (Turn::status(400, overflow), ErrorClass::Context),
        (Turn::status(400, ""), ErrorClass::BadRequest),
        (Turn::status(400, "").header("x-should-retry", "true"), ErrorClass::BadRequest),
        (Turn::status(401, ""), ErrorClass::Auth),
        (Turn::status(403, ""), ErrorClass::Auth),
        (Turn::status(404, ""), ErrorClass::UnknownModel),
        (Turn::status(413, ""), ErrorClass::BadRequest),
        (Turn::status(422, ""), ErrorClass::BadRequest),
        (Turn::status(307, "").header("location", "http://127.0.0.1:9/elsewhere"), ErrorClass::BadRequest),
        (Turn::status(500, "").header("x-should-retry", "false"), ErrorClass::Server),
    ] {
        let shown = format!("{turn:?}");
        let server = LlmServer::start([turn]).await;
        let (outcome, updates) = call(&providers(settings(ProviderKind::OpenaiChat, server.base_url("/v1")))).await;
        let failure = failure(outcome);
        assert_eq!((failure.class, failure.retryable), (class, false), "{shown}: {failure:?}");
        assert_eq!((updates.len(), server.requests().len()), (0, 1), "{shown}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_asked_for_again_and_its_tokens_are_told() {
    for (kind, base) in KINDS {
        let n_bytes = if kind == ProviderKind::Ollama { 130 } else { 480 };
        let cut = Turn::text("a long answer that is cut in the middle of it").cut_after(n_bytes);
        let server = LlmServer::start([cut, Turn::close(), Turn::text("whole")]).await;
        let (outcome, updates) = call(&providers(settings(kind, server.base_url(base)))).await;
        assert_eq!(reply(outcome).text, "whole", "{kind:?}");
        let told: Vec<_> = updates
            .iter()
            .filter_map(|update| match update {
                CallUpdate::Retry(retry) => Some((retry.class, retry.usage.is_some_and(|usage| usage.input > 0))),
                CallUpdate::Progress { .. } => None,
            })
            .collect();
        assert_eq!(told, [(ErrorClass::Connection, true), (ErrorClass::Connection, false)], "{kind:?}");
    }
}

#[tokio::test]
async fn silence_before_and_within_a_reply_is_a_timeout() {
    for (turn, usage) in [(Turn::silence(), false), (Turn::text("an answer of some length").stalled(), true)] {
        let server = LlmServer::start([turn]).await;
        let settings = settings(ProviderKind::Anthropic, server.base_url(""));
        let hasty = ProviderSettings { connect_s: 0.1, first_byte_s: 0.2, idle_s: 0.2, retries: 0, ..settings };
        let failure = failure(call(&providers(hasty)).await.0);
        assert_eq!(
            (failure.class, failure.retryable, failure.usage.is_some()),
            (ErrorClass::Timeout, true, usage),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failed_connection() {
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let settings = ProviderSettings { retries: 1, ..settings(ProviderKind::Ollama, format!("http://{free}")) };
    let (outcome, updates) = call(&providers(settings)).await;
    let failure = failure(outcome);
    assert_eq!((failure.class, failure.status, failure.usage), (ErrorClass::Connection, None, None));
    assert!(failure.message.starts_with("provider `p`: "), "{}", failure.message);
    assert_eq!(retries(&updates).len(), 1);
}

#[tokio::test]
async fn cancelling_closes_the_connection_and_keeps_what_is_known() {
    let server = Arc::new(LlmServer::start([Turn::text("an answer of some length").stalled()]).await);
    let providers = providers(settings(ProviderKind::Anthropic, server.base_url("")));
    let cancel = CancellationToken::new();
    let on_progress = cancel.clone();
    // The first output is the signal, so that nothing depends on how fast anything is.
    let outcome = providers
        .call(&request(), &cancel, move |_| {
            on_progress.cancel();
            None
        })
        .await;
    match outcome {
        CallOutcome::Cancelled { usage: Some(usage) } => assert_eq!((usage.input, usage.output > 0), (10, true)),
        other => panic!("{other:?}"),
    }
    while server.open() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let outcome = providers.call(&request(), &cancel, |_| None).await;
    assert_eq!(outcome, CallOutcome::Cancelled { usage: None });
    assert_eq!(server.requests().len(), 1, "nothing is sent after the end");
}

#[tokio::test]
async fn no_more_requests_are_open_than_the_settings_allow() {
    let slow = || Turn::text("ok").after(Duration::from_millis(20));
    let server = LlmServer::start((0..6).map(|_| slow())).await;
    let providers =
        providers(ProviderSettings { max_concurrent: 2, ..settings(ProviderKind::OpenaiChat, server.base_url("/v1")) });
    let outcomes = futures_util::future::join_all((0..6).map(|_| call(&providers))).await;
    outcomes.into_iter().for_each(|(outcome, _)| assert_eq!(reply(outcome).text, "ok"));
    assert_eq!((server.open_most(), server.requests().len()), (2, 6));
}

#[tokio::test]
async fn usage_that_nobody_reported_is_marked_as_estimated() {
    let body =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server = LlmServer::start([Turn::raw([body])]).await;
    let reply = reply(call(&providers(settings(ProviderKind::OpenaiChat, server.base_url("/v1")))).await.0);
    assert_eq!(reply.usage_source, UsageSource::Estimated);
    assert!(reply.usage.input > 0 && reply.usage.output > 0);
}

#[tokio::test]
async fn keys_that_a_server_echoes_do_not_reach_the_message() {
    let echo =
        json!({"error": {"message": "Incorrect API key provided: hush-hush-key (sk-abcd****wxyz).", "code": "invalid_api_key"}});
    let server = LlmServer::start([Turn::status(401, &echo.to_string()).header("x-request-id", "req-1")]).await;
    let failure = failure(call(&providers(settings(ProviderKind::OpenaiChat, server.base_url("/v1")))).await.0);
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.header("authorization"), Some("Bearer hush-hush-key"));
    assert_eq!(
        failure.message,
        "provider `p` answered 401: Incorrect API key provided: [redacted:known-secret] ([redacted:api-key]). (check the key in TEST_KEY)"
    );
    assert_eq!((failure.code.as_deref(), failure.request_id.as_deref()), (Some("invalid_api_key"), Some("req-1")));
}

#[tokio::test]
async fn a_gateway_may_say_in_a_header_what_a_call_cost() {
    let server = LlmServer::start([Turn::text("hello").header("x-litellm-response-cost", "0.000125")]).await;
    let reply = reply(call(&providers(settings(ProviderKind::Anthropic, server.base_url("")))).await.0);
    assert_eq!(reply.reported_cost, Some(NanoUsd(125_000)));
}

#[tokio::test]
async fn a_key_that_is_not_bound_stays_here() {
    let server = LlmServer::start([]).await;
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let unbound = ProviderSettings { key_bound: false, ..settings(ProviderKind::OpenaiChat, server.base_url("/v1")) };
    let settings = BTreeMap::from([("p".to_owned(), unbound)]);
    let providers = Providers::new(&settings, move |_| {
        *counted.lock().unwrap() += 1;
        Some("hush-hush-key".to_owned())
    });
    let failure = failure(call(&providers).await.0);
    assert_eq!((failure.class, failure.retryable), (ErrorClass::Auth, false));
    assert_eq!((server.requests().len(), *asked.lock().unwrap()), (0, 0));
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_stands_for() {
    // `localhost` passes by name and then has to stand for this machine, which it does.
    let server = LlmServer::start([]).await;
    let by_name = server.base_url("").replace("127.0.0.1", "localhost");
    let localhost = settings(ProviderKind::Ollama, by_name);
    assert_eq!(reply(call(&providers(localhost)).await.0).text, "ok");
}

#[tokio::test]
async fn a_server_without_tls_is_no_server_for_https() {
    let server = LlmServer::start([]).await;
    let https = server.base_url("").replace("http:", "https:");
    let settings = ProviderSettings { retries: 0, ..settings(ProviderKind::Anthropic, https) };
    assert_eq!(failure(call(&providers(settings)).await.0).class, ErrorClass::Connection);
    assert!(server.requests().is_empty());
}
