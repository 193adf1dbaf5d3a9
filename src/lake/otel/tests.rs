//! Spans out and in again.

use serde_json::{Value, json};

use super::read::{Span, document};
use super::trace;
use super::write::{self, RunSpans};
use crate::domain::event::{Envelope, Event, Mode, Recorded, StopReason};
use crate::domain::ids::Hash;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::prices::PriceTable;
use crate::domain::redact::Redactor;
use crate::lake::calls::{Rules, Sums};
use crate::providers::embedded_prices;
use crate::views::sample;

fn spans(of: &Value) -> Vec<Span> {
    let mut spans = Vec::new();
    document(of, &mut |span| spans.push(span.unwrap())).unwrap();
    spans
}

fn convert(spans: Vec<Span>) -> (Vec<Event>, Sums) {
    let prices = PriceTable::merge([embedded_prices().unwrap()]);
    let redactor = Redactor::default();
    let rules = Rules { source: super::SOURCE, redactor: &redactor, prices: &prices, prices_hash: Hash::default() };
    let (run, digest) = trace::run(spans).unwrap();
    let (converted, sums) = rules.convert(&run, digest);
    (converted.events.into_iter().map(|(event, _)| event).collect(), sums)
}

#[test]
fn tokens_and_costs_of_a_run_come_back_as_they_went_out() {
    let story = sample::story();
    let mut run = RunSpans::new(sample::run_id());
    story.iter().for_each(|recorded| run.apply(recorded));
    let out = write::document(run.spans(None, None), "0");
    let text = out.to_string();
    assert!(!text.contains("ACME") && !text.contains("All clean"), "nothing that was said goes out");
    let (events, sums) = convert(spans(&out));
    let known = |events: &mut dyn Iterator<Item = &Event>| {
        let mut all: Vec<(Option<NanoUsd>, Option<TokenUsage>)> = Vec::new();
        for event in events {
            if let Event::CostIncurred(body) = event {
                all.push((body.amount, body.usage));
            }
        }
        all.sort_by_key(|(amount, _)| *amount);
        all
    };
    assert_eq!(known(&mut events.iter()), known(&mut story.iter().map(|recorded| &recorded.event)));
    assert_eq!((sums.calls, sums.cost), (4, NanoUsd(15_500_000)));
    let roles: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::AgentPlanned(body) => Some(body.role.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(roles, ["linter", "auditor"]);
    assert!(run.spans(Some(i64::MAX), None).is_empty());
}

#[test]
fn attempts_tools_and_the_mode_come_back_as_they_went_out() {
    let mut story = sample::story();
    for recorded in &mut story {
        match &mut recorded.event {
            Event::RunStarted(body) => body.mode = Mode::Simulated,
            Event::ToolEnded(body) => body.latency_ms = 777,
            _ => {}
        }
    }
    let mut run = RunSpans::new(sample::run_id());
    story.iter().for_each(|recorded| run.apply(recorded));
    let out = write::document(run.spans(None, None), "0");
    let (back, _) = trace::run(spans(&out)).unwrap();
    assert_eq!((back.is_simulated, back.own), (true, Some(sample::run_id())));
    let (events, _) = convert(spans(&out));
    assert!(matches!(&events[0], Event::RunStarted(body) if body.mode == Mode::Simulated && body.is_imported()));
    let told = |events: &mut dyn Iterator<Item = &Event>| {
        let mut told = Vec::new();
        for event in events {
            match event {
                Event::AttemptEnded(body) => {
                    told.push(format!("{} {} {:?}", body.agent, body.attempt, (body.outcome, body.verified)))
                }
                Event::TierEscalated(body) => told.push(format!("{} {} to {}", body.agent, body.attempt, body.to)),
                Event::ToolEnded(body) => told.push(format!("tool {} {}", body.tool_call, body.latency_ms)),
                Event::RunSucceeded(body) => told.push(format!("run {}", body.verified)),
                _ => {}
            }
        }
        told.sort();
        told
    };
    let wanted = told(&mut story.iter().map(|recorded| &recorded.event));
    assert!(!wanted.is_empty());
    assert_eq!(told(&mut events.iter()), wanted);

    // What a vendor's trace says nothing of stays unsaid on the way out and in.
    let plain = in_document(&[vendor("05", "", "chat", &[("gen_ai.request.model", json!({"stringValue": "gpt-6-luna"}))])]);
    let (events, _) = convert(spans(&plain));
    let mut run = RunSpans::new(sample::run_id());
    for (event, version) in events.into_iter().zip(1..) {
        let envelope = Envelope { seq: version, run: Some(sample::run_id()), version, at: 5, occurred_at: Some(5), cause: None };
        run.apply(&Recorded { envelope, hash: Hash::default(), event });
    }
    let text = write::document(run.spans(None, None), "0").to_string();
    assert!(!text.contains("outcome") && !text.contains("verified"), "{text}");
}

/// A span as a vendor writes it.
fn vendor(id: &str, parent: &str, name: &str, attributes: &[(&str, Value)]) -> Value {
    let attributes: Vec<Value> = attributes.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": id, "parentSpanId": parent, "name": name, "kind": 3,
        "startTimeUnixNano": "1795364491000000000", "endTimeUnixNano": "1795364492500000000", "attributes": attributes})
}

fn in_document(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": spans}]}]})
}

#[test]
fn a_trace_of_a_vendor_becomes_a_run_with_prices_of_the_table() {
    let text = |text: &str| json!({"stringValue": text});
    let int = |number: u64| json!({"intValue": number.to_string()});
    let document = in_document(&[
        vendor("01", "", "POST /chat", &[]),
        vendor(
            "02",
            "01",
            "invoke_agent buyer",
            &[("gen_ai.operation.name", text("invoke_agent")), ("gen_ai.agent.name", text("buyer"))],
        ),
        vendor(
            "03",
            "02",
            "chat gpt-6-luna",
            &[
                ("gen_ai.operation.name", text("chat")),
                ("gen_ai.provider.name", text("openai")),
                ("gen_ai.request.model", text("gpt-6-luna")),
                ("gen_ai.usage.input_tokens", int(1_000_000 / 10)),
                ("gen_ai.usage.cache_read.input_tokens", int(90_000)),
                ("gen_ai.usage.output_tokens", int(1_000)),
                ("gen_ai.response.finish_reasons", json!({"arrayValue": {"values": [{"stringValue": "tool_calls"}]}})),
            ],
        ),
        vendor(
            "04",
            "02",
            "execute_tool stock",
            &[("gen_ai.operation.name", text("execute_tool")), ("gen_ai.tool.name", text("stock"))],
        ),
        vendor(
            "05",
            "01",
            "chat nobody-knows",
            &[
                ("gen_ai.system", text("acme")),
                ("gen_ai.request.model", text("nobody-knows")),
                ("gen_ai.usage.prompt_tokens", int(5)),
                ("gen_ai.usage.completion_tokens", int(6)),
            ],
        ),
        // An exporter that tries again sends a span twice.
        vendor("05", "01", "chat nobody-knows", &[]),
    ]);
    let (events, sums) = convert(spans(&document));
    assert_eq!((sums.calls, sums.tools, sums.unpriced[&("nobody-knows".to_owned(), "no price is known")]), (2, 1, 1));
    assert_eq!((sums.usage.input, sums.usage.cache_read), (10_005, 90_000), "cached tokens are in the input there, and not here");
    let started = events.iter().find_map(|event| match event {
        Event::RunStarted(body) => Some((body.template_id.as_str(), body.private.as_ref()?.labels.clone())),
        _ => None,
    });
    assert_eq!(started.unwrap(), ("shop", vec![("service".to_owned(), "shop".to_owned())]));
    let stop = events.iter().find_map(|event| match event {
        Event::CallReplied(body) => Some(body.stop),
        _ => None,
    });
    assert_eq!(stop, Some(StopReason::ToolUse));
    assert!(trace::run(spans(&in_document(&[vendor("01", "", "GET /", &[])]))).is_none(), "no model was called");
}

/// A model's call as a vendor writes it.
fn chat(id: &str, parent: &str, provider: &str, model: &str, more: &[(&str, Value)]) -> Value {
    let text = |text: &str| json!({"stringValue": text});
    let base = [
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.provider.name", text(provider)),
        ("gen_ai.request.model", text(model)),
    ];
    vendor(id, parent, "chat", &[&base[..], more].concat())
}

/// So many tokens, in attributes.
fn tokens(input: u64, output: u64) -> [(&'static str, Value); 2] {
    let int = |number: u64| json!({"intValue": number.to_string()});
    [("gen_ai.usage.input_tokens", int(input)), ("gen_ai.usage.output_tokens", int(output))]
}

#[test]
fn the_model_that_replied_is_the_one_that_was_paid_for() {
    let replied = ("gen_ai.response.model", json!({"stringValue": "gpt-4o-2024-05-13"}));
    let document = in_document(&[chat("01", "", "openai", "gpt-4o", &[&tokens(1_000, 50)[..], &[replied]].concat())]);
    let (events, sums) = convert(spans(&document));
    let models: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::CallStarted(body) => Some(body.model.as_str()),
            Event::CostIncurred(body) => body.model.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(models, ["gpt-4o-2024-05-13"; 2]);
    // 1,000 at 5 dollars a million and 50 at 15; what was asked for costs half of it.
    assert_eq!(sums.cost, NanoUsd(5_750_000));
    // It is no other trace than it was for earlier versions, which read the model that was asked for.
    let digest = |document: &Value| trace::run(spans(document)).unwrap().1;
    let before = in_document(&[chat("01", "", "openai", "gpt-4o", &tokens(1_000, 50))]);
    assert_eq!(digest(&document), digest(&before));
}

#[test]
fn a_call_that_a_framework_wraps_is_counted_once() {
    let count = |spans: &[Value]| {
        let (_, sums) = convert(self::spans(&in_document(spans)));
        (sums.calls, sums.usage.input, sums.tools)
    };
    let openai = |id: &str, parent: &str, input: u64| chat(id, parent, "openai", "gpt-4o", &tokens(input, 50));
    let tool = |parent: &str| vendor("0f", parent, "execute_tool x", &[("gen_ai.tool.name", json!({"stringValue": "x"}))]);
    let between = |id: &str, parent: &str| vendor(id, parent, "POST", &[]);
    let until = |mut span: Value, end: &str| {
        span["endTimeUnixNano"] = json!(end);
        span
    };
    assert_eq!(count(&[openai("01", "", 9), openai("02", "01", 9), tool("01")]), (1, 9, 1));
    assert_eq!(count(&[openai("01", "", 9), between("02", "01"), openai("03", "02", 9)]), (1, 9, 0));
    assert_eq!(count(&[openai("01", "", 9), openai("02", "01", 9), openai("03", "02", 9), tool("02")]), (1, 9, 1));
    // Other tokens, another time, an agent between, or no tokens: calls of their own.
    assert_eq!(count(&[openai("01", "", 9), openai("02", "01", 8)]), (2, 17, 0));
    assert_eq!(count(&[openai("01", "", 9), until(openai("02", "01", 9), "1795364493000000000")]), (2, 18, 0));
    let agent = vendor("02", "01", "invoke_agent a", &[]);
    assert_eq!(count(&[openai("01", "", 9), agent, openai("03", "02", 9)]), (2, 18, 0));
    let bare = |id: &str, parent: &str| chat(id, parent, "openai", "gpt-4o", &[]);
    assert_eq!(count(&[bare("01", ""), bare("02", "01")]), (2, 0, 0));
    assert_eq!(count(&[openai("01", "02", 9), openai("02", "01", 9)]), (2, 18, 0), "a circle wraps nothing");
}

#[test]
fn cached_tokens_are_counted_once_whichever_way_a_kit_writes_them() {
    let usage = |scope: &str, attributes: &[(&str, u64)]| {
        let int = |number: &u64| json!({"intValue": number.to_string()});
        let attributes: Vec<(&str, Value)> = attributes.iter().map(|(name, number)| (*name, int(number))).collect();
        let mut document = in_document(&[chat("01", "", "anthropic", "claude-sonnet-4-5", &attributes)]);
        document["resourceSpans"][0]["scopeSpans"][0]["scope"] = json!({"name": scope});
        let spans = spans(&document);
        let (_, sums) = convert(spans.clone());
        (sums.usage, sums.cost, trace::run(spans).unwrap().1)
    };
    let of = |input: u64, read: u64, written: u64| TokenUsage {
        input,
        cache_read: read,
        cache_write_5m: written,
        output: 100,
        ..TokenUsage::default()
    };
    let (read, written) = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens");
    let (input, output) = ("gen_ai.usage.input_tokens", ("gen_ai.usage.output_tokens", 100));
    let within = usage("x", &[(input, 10_000), output, (read, 6_000), (written, 3_000)]);
    assert_eq!((within.0, within.1), (of(1_000, 6_000, 3_000), NanoUsd(17_550_000)));
    // An input that is too small to hold them does not.
    assert_eq!(usage("x", &[(input, 1_000), output, (read, 6_000), (written, 3_000)]).0, of(1_000, 6_000, 3_000));
    // A kit that always counts them apart.
    assert_eq!(
        usage("openlit.otel.tracing", &[(input, 9_500), output, (read, 6_000), (written, 3_000)]).0,
        of(9_500, 6_000, 3_000)
    );
    // Details of a kit's own.
    let (read, written) = ("gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.details.cache_write_tokens");
    let details = usage("pydantic-ai", &[(input, 10_000), output, (read, 6_000), (written, 3_000)]);
    assert_eq!(details.0, of(1_000, 6_000, 3_000));
    // By what earlier versions read of it the trace is the same: they knew no details.
    assert_eq!(details.2, usage("pydantic-ai", &[(input, 10_000), output]).2);
}

#[test]
fn spans_by_other_conventions_are_read_as_what_they_are() {
    let text = |text: &str| json!({"stringValue": text});
    let int = |number: u64| json!({"intValue": number.to_string()});
    let kind = |kind: &str| ("openinference.span.kind", text(kind));
    let document = in_document(&[
        vendor("01", "", "agent", &[kind("AGENT"), ("agent.name", text("finder"))]),
        vendor(
            "02",
            "01",
            "Messages",
            &[
                kind("LLM"),
                ("llm.model_name", text("claude-sonnet-4-5")),
                ("llm.system", text("anthropic")),
                ("llm.token_count.prompt", int(10_000)),
                ("llm.token_count.completion", int(100)),
                ("llm.token_count.prompt_details.cache_read", int(6_000)),
                ("llm.token_count.prompt_details.cache_write", int(3_000)),
            ],
        ),
        vendor("03", "01", "grep", &[kind("TOOL"), ("tool.name", text("grep"))]),
        vendor("04", "01", "retrieve", &[kind("RETRIEVER"), ("llm.model_name", text("none"))]),
    ]);
    let (events, sums) = convert(spans(&document));
    assert_eq!((sums.calls, sums.tools, sums.cost), (1, 1, NanoUsd(17_550_000)));
    // Langfuse: each kind of tokens apart, in JSON, with what it cost; no provider.
    let usage = r#"{"input": 400, "input_cached_tokens": 600, "output": 90, "output_reasoning_tokens": 10, "total": 1100}"#;
    let langfuse = in_document(&[vendor(
        "01",
        "",
        "answer",
        &[
            ("langfuse.observation.type", text("generation")),
            ("langfuse.observation.model.name", text("gpt-4o")),
            ("langfuse.observation.usage_details", text(usage)),
            ("langfuse.observation.cost_details", text(r#"{"total": 0.0123}"#)),
        ],
    )]);
    let (_, sums) = convert(spans(&langfuse));
    let wanted = TokenUsage { input: 400, cache_read: 600, output: 100, reasoning: 10, ..TokenUsage::default() };
    assert_eq!((sums.calls, sums.usage, sums.cost), (1, wanted, NanoUsd(12_300_000)));
    // Claude Code: plain names, cached tokens apart.
    let request = [
        ("gen_ai.system", text("anthropic")),
        ("gen_ai.request.model", text("claude-sonnet-4-5")),
        ("input_tokens", int(1_000)),
        ("output_tokens", int(100)),
        ("cache_read_tokens", int(6_000)),
        ("cache_creation_tokens", int(3_000)),
    ];
    let (_, sums) = convert(spans(&in_document(&[vendor("01", "", "claude_code.llm_request", &request)])));
    assert_eq!((sums.calls, sums.cost), (1, NanoUsd(17_550_000)));
    assert!(events.iter().any(|event| matches!(event, Event::AgentPlanned(body) if body.role == "finder")), "{events:?}");
}

#[test]
fn why_a_cost_is_not_known_is_said_as_it_is() {
    let input = tokens(9, 0)[..1].to_vec();
    let unknown = ("meno.cost.priced", json!({"boolValue": false}));
    let embeds = vendor(
        "05",
        "",
        "embeddings",
        &[
            &[
                ("gen_ai.operation.name", json!({"stringValue": "embeddings"})),
                ("gen_ai.request.model", json!({"stringValue": "e"})),
            ][..],
            &input,
        ]
        .concat(),
    );
    let document = in_document(&[
        chat("01", "", "openai", "gpt-4o", &[&tokens(9, 5)[..], &[unknown]].concat()),
        chat("02", "", "openai", "gpt-4o", &[]),
        chat("03", "", "openai", "gpt-4o", &input),
        chat("04", "", "aws.bedrock", "amazon.nova-pro-v1:0", &tokens(9, 5)),
        embeds,
        chat("06", "", "aws.bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", &tokens(9, 5)),
    ]);
    let (_, sums) = convert(spans(&document));
    let whys: Vec<(&str, &str, u64)> = sums.unpriced.iter().map(|((model, why), count)| (model.as_str(), *why, *count)).collect();
    assert_eq!(
        whys,
        [
            ("amazon.nova-pro-v1:0", "no price is known", 1),
            ("e", "no price is known", 1),
            ("gpt-4o", "its system says that its cost is not known", 1),
            ("gpt-4o", "its tokens are not told", 2),
        ]
    );
    // 9 at 1 dollar a million and 5 at 5.
    assert_eq!(sums.cost, NanoUsd(34_000));
}

#[test]
fn what_is_no_trace_has_a_reason() {
    let whys = |of: Value| {
        let mut whys = Vec::new();
        if let Err(why) = document(&of, &mut |span| whys.extend(span.err())) {
            whys.push(why);
        }
        whys.join("; ")
    };
    for (of, word) in [
        (json!(5), "no `resourceSpans`"),
        (json!({"resourceLogs": []}), "resourceLogs, not traces"),
        (in_document(&[json!({"name": "x"})]), "no traceId"),
        (in_document(&[json!({"traceId": "a", "spanId": "b"})]), "no startTimeUnixNano"),
        (in_document(&[vendor("01", "", "chat", &[("gen_ai.usage.input_tokens", json!({"intValue": "-5"}))])]), "no count"),
    ] {
        let why = whys(of);
        assert!(why.contains(word), "{why}");
    }
}
