//! Byte for byte what each dialect answers, quirks included, and what becomes of it.

use proptest::prelude::*;
use serde_json::json;

use super::*;

pub(super) const KINDS: [ProviderKind; 4] =
    [ProviderKind::Anthropic, ProviderKind::OpenaiChat, ProviderKind::OpenaiResponses, ProviderKind::Ollama];

/// Decodes a whole reply; every split of it must give the same.
pub(super) fn decode(kind: ProviderKind, bytes: &[u8], sizes: &[usize]) -> Result<PartialReply, Box<(Fault, PartialReply)>> {
    let mut decoder = Decoder::new(kind);
    let mut rest = bytes;
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        rest = after;
        if let Err(fault) = decoder.push(piece) {
            return Err(Box::new((fault, decoder.draft().clone())));
        }
    }
    decoder.finish()
}

#[track_caller]
pub(super) fn reply(kind: ProviderKind, bytes: &str) -> PartialReply {
    let whole = decode(kind, bytes.as_bytes(), &[]);
    assert_eq!(decode(kind, bytes.as_bytes(), &[1]), whole, "byte by byte");
    whole.unwrap_or_else(|broken| panic!("{}: {:?}", broken.0.message, broken.1))
}

#[track_caller]
fn fault(kind: ProviderKind, bytes: &str) -> (ErrorClass, bool, Option<TokenUsage>) {
    let whole = decode(kind, bytes.as_bytes(), &[]);
    assert_eq!(decode(kind, bytes.as_bytes(), &[1]), whole, "byte by byte");
    let (fault, draft) = *whole.expect_err("a failure");
    (fault.class, fault.retryable, draft.partial_usage(50))
}

pub(super) fn usage(input: u64, cache_read: u64, write_5m: u64, write_1h: u64, output: u64, reasoning: u64) -> TokenUsage {
    TokenUsage { input, cache_read, cache_write_5m: write_5m, cache_write_1h: write_1h, output, reasoning }
}

const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße, "}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"世界"}}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"some_future_block","payload":{"x":1}}}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"read_file","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"path\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"\"a.rs\"}"}}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_2","name":"list_files","input":{}}}

event: some_future_event
data: {"type":"some_future_event"}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":40,"cache_read_input_tokens":null,"output_tokens_details":{"thinking_tokens":12}}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn an_anthropic_stream_is_read_with_all_its_parts() {
    let draft = reply(ProviderKind::Anthropic, ANTHROPIC);
    assert_eq!((draft.text.as_str(), draft.reasoning.as_str()), ("Grüße, 世界", "Hm."));
    assert_eq!(draft.stop_reason(), StopReason::ToolUse);
    assert_eq!((draft.id.as_deref(), draft.model.as_deref()), (Some("msg_1"), Some("claude-haiku-5-5")));
    assert_eq!(draft.usage(0), (usage(25, 7, 10, 20, 40, 12), UsageSource::Reported));
    let call =
        |id: &str, name: &str, arguments| ToolCall { id: id.to_owned(), name: name.to_owned(), arguments, carried: Vec::new() };
    let mut expected = [call("toolu_1", "read_file", json!({"path": "a.rs"})), call("toolu_2", "list_files", json!({}))];
    // Signed thinking goes back with the call that it led to.
    expected[0].carried = vec![json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"})];
    assert_eq!(draft.tool_calls(), expected);
}

#[test]
fn anthropic_counts_are_cumulative_and_gateways_count_late() {
    let stream = |start: &str, delta: &str| {
        format!(
            "data: {{\"type\":\"message_start\",\"message\":{{\"usage\":{start}}}}}\n\n\
             data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"hello\"}}}}\n\n\
             data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{delta}}}\n\n\
             data: {{\"type\":\"message_stop\"}}\n\n"
        )
    };
    let read = |start: &str, delta: &str| reply(ProviderKind::Anthropic, &stream(start, delta)).usage(50);
    let reported = |usage| (usage, UsageSource::Reported);
    let late = r#"{"input_tokens":11,"output_tokens":5,"cache_creation_input_tokens":6}"#;
    assert_eq!(read(r#"{"input_tokens":0,"output_tokens":0}"#, late), reported(usage(11, 0, 6, 0, 5, 0)));
    assert_eq!(read(r#"{"input_tokens":9,"output_tokens":0}"#, r#"{"output_tokens":4}"#), reported(usage(9, 0, 0, 0, 4, 0)));
    assert_eq!(
        read(r#"{"input_tokens":9,"cache_read_input_tokens":3}"#, r#"{"output_tokens":4}"#),
        reported(usage(9, 3, 0, 0, 4, 0))
    );
    assert_eq!(read("null", "null"), (usage(50, 0, 0, 0, 2, 0), UsageSource::Estimated));
    assert_eq!(read(r#"{"input_tokens":0,"output_tokens":0}"#, "{}"), (usage(50, 0, 0, 0, 2, 0), UsageSource::Estimated));
}

#[test]
fn anthropic_stop_reasons() {
    for (reason, stop) in [
        ("end_turn", StopReason::End),
        ("max_tokens", StopReason::MaxTokens),
        ("stop_sequence", StopReason::StopSequence),
        ("tool_use", StopReason::ToolUse),
        ("pause_turn", StopReason::Other),
        ("refusal", StopReason::Refusal),
        ("model_context_window_exceeded", StopReason::ContextFull),
        ("something_new", StopReason::Other),
    ] {
        let stream = format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_details\":{{\"type\":\"refusal\",\
             \"category\":\"cyber\",\"explanation\":\"no\"}}}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        let draft = reply(ProviderKind::Anthropic, &stream);
        assert_eq!((draft.stop_reason(), draft.stop_details.as_deref()), (stop, Some("cyber: no")), "{reason}");
    }
}

#[test]
fn an_anthropic_message_in_one_piece_is_as_good_as_a_stream() {
    let body = r#"
 {"id":"msg_2","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"},
  {"type":"tool_use","id":"t","name":"f","input":{"a":[1]}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":2}}"#;
    let draft = reply(ProviderKind::Anthropic, body);
    assert_eq!((draft.text.as_str(), draft.tool_calls()[0].arguments.clone()), ("Hi", json!({"a": [1]})));
    assert_eq!(draft.usage(0), (usage(3, 0, 0, 0, 2, 0), UsageSource::Reported));
}

#[test]
fn an_anthropic_stream_is_whole_only_with_its_last_event() {
    let cut = |at: &str| fault(ProviderKind::Anthropic, &ANTHROPIC[..ANTHROPIC.find(at).unwrap()]);
    let broken = |usage| (ErrorClass::Connection, true, usage);
    assert_eq!(cut("event: message_stop"), broken(Some(usage(25, 7, 10, 20, 40, 12))));
    assert_eq!(cut("event: content_block_start"), broken(Some(usage(25, 7, 10, 20, 1, 0))));
    assert_eq!(cut("event: some_future_event").2.map(|usage| usage.output > 1), Some(true), "what was seen counts");
    assert_eq!(fault(ProviderKind::Anthropic, ""), broken(None));
    assert_eq!(fault(ProviderKind::Anthropic, &ANTHROPIC[..60]), broken(None), "in the middle of a line");
}

#[test]
fn an_error_may_come_in_the_middle_of_an_anthropic_stream() {
    let start = &ANTHROPIC[..ANTHROPIC.find("event: content_block_start").unwrap()];
    let error = r#"event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}

"#;
    let known = Some(usage(25, 7, 10, 20, 1, 0));
    assert_eq!(fault(ProviderKind::Anthropic, &format!("{start}{error}")), (ErrorClass::Server, true, known));
}

const CHAT: &str = r#": OPENROUTER PROCESSING

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-6-luna-2026","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"lo 🎉"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]}}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}},{"index":1,"id":"call_b","function":{"name":"g","arguments":{"y":2}}}]}}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":5},"cost":0.00042}}

data: [DONE]

"#;

#[test]
fn a_chat_stream_is_read_with_all_its_parts() {
    let draft = reply(ProviderKind::OpenaiChat, CHAT);
    assert_eq!((draft.text.as_str(), draft.stop_reason()), ("Hello 🎉", StopReason::ToolUse));
    assert_eq!(draft.usage(0), (usage(30, 60, 10, 0, 20, 5), UsageSource::Reported));
    assert_eq!(draft.reported_cost, Some(NanoUsd(420_000)));
    let calls = draft.tool_calls();
    assert_eq!((calls[0].id.as_str(), &calls[0].arguments), ("call_a", &json!({"x": 1})));
    assert_eq!((calls[1].id.as_str(), &calls[1].arguments), ("call_b", &json!({"y": 2})));
}

#[test]
fn calls_that_all_have_the_first_number_are_told_apart_by_their_ids() {
    let begin = |id: &str, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": id, "function": function}]}}]}).to_string()
    };
    let goes_on = |id: &str, arguments: &str| {
        let call = json!({"index": 0, "id": id, "function": {"arguments": arguments}});
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).to_string()
    };
    let chunks =
        [begin("a", "f", "{\"x\":"), goes_on("", "1}"), begin("b", "g", "{\"y\""), goes_on("c", ":2"), goes_on("b", "}")];
    let draft = reply(ProviderKind::OpenaiChat, &chat(&chunks.each_ref().map(String::as_str), "data: [DONE]\n\n"));
    let calls = draft.tool_calls();
    let read: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.arguments.clone())).collect();
    assert_eq!(read, [("f", json!({"x": 1})), ("g", json!({"y": 2}))]);
}

pub(super) fn chat(chunks: &[&str], end: &str) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>() + end
}

#[test]
fn compatible_servers_put_usage_anywhere_or_nowhere() {
    let text = r#"{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":"stop"}]}"#;
    let read = |chunks: &[&str]| reply(ProviderKind::OpenaiChat, &chat(chunks, "data: [DONE]\n\n")).usage(50);
    let counted = (usage(8, 0, 0, 0, 3, 0), UsageSource::Reported);
    let on_empty_delta = r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":8,"completion_tokens":3}}"#;
    assert_eq!(read(&[text, on_empty_delta]), counted);
    let with_null = r#"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":3,"prompt_tokens_details":null}}"#;
    assert_eq!(read(&[text, with_null, r#"{"choices":[],"usage":null}"#]), counted);
    let estimated = (usage(50, 0, 0, 0, 2, 0), UsageSource::Estimated);
    assert_eq!(read(&[text]), estimated);
    assert_eq!(read(&[text, r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#]), estimated);
    let too_much_cached =
        r#"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":9}}}"#;
    assert_eq!(read(&[text, too_much_cached]), (usage(0, 9, 0, 0, 3, 0), UsageSource::Reported));
}

#[test]
fn chat_stop_reasons_and_refusals() {
    for (reason, stop) in [
        ("stop", StopReason::End),
        ("length", StopReason::MaxTokens),
        ("tool_calls", StopReason::ToolUse),
        ("function_call", StopReason::ToolUse),
        ("content_filter", StopReason::Filtered),
        ("something_new", StopReason::Other),
    ] {
        let chunk = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#);
        assert_eq!(reply(ProviderKind::OpenaiChat, &chat(&[&chunk], "data: [DONE]\n\n")).stop_reason(), stop, "{reason}");
    }
    let refusal = r#"{"choices":[{"index":0,"delta":{"refusal":"I cannot"},"finish_reason":"stop"}]}"#;
    let draft = reply(ProviderKind::OpenaiChat, &chat(&[refusal], "data: [DONE]"));
    assert_eq!((draft.stop_reason(), draft.refusal.as_str(), draft.text.as_str()), (StopReason::Refusal, "I cannot", ""));
}

#[test]
fn a_chat_stream_is_whole_with_its_mark_or_its_reason_for_stopping() {
    let text = r#"{"choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
    let stop = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    for end in ["data: [DONE]\n\n", "data: [DONE]\n", "data: [DONE]", "data:[DONE]\r\n\r\n"] {
        assert_eq!(reply(ProviderKind::OpenaiChat, &chat(&[text], end)).text, "hello", "{end:?}");
    }
    assert_eq!(reply(ProviderKind::OpenaiChat, &chat(&[text, stop], "")).text, "hello");
    let known = Some(usage(50, 0, 0, 0, 2, 0));
    assert_eq!(fault(ProviderKind::OpenaiChat, &chat(&[text], "")), (ErrorClass::Connection, true, known));
    assert_eq!(fault(ProviderKind::OpenaiChat, &chat(&[text], "data: {\"choi")), (ErrorClass::Connection, true, known));
}

#[test]
fn errors_inside_a_chat_stream_have_every_form() {
    let class = |error: &str| {
        let (class, retryable, _) = fault(ProviderKind::OpenaiChat, &chat(&[error], ""));
        (class, retryable)
    };
    assert_eq!(class(r#"{"error":{"code":502,"message":"upstream"},"choices":[]}"#), (ErrorClass::Server, true));
    assert_eq!(class(r#"{"error":{"code":"429","message":"slow"}}"#), (ErrorClass::RateLimit, true));
    assert_eq!(class(r#"{"error":{"code":"insufficient_quota","message":"pay"}}"#), (ErrorClass::Quota, false));
    assert_eq!(class(r#"{"error":"worker died"}"#), (ErrorClass::Server, true));
    assert_eq!(
        class(r#"{"choices":[{"index":0,"delta":{},"error":{"code":400,"message":"bad"}}]}"#),
        (ErrorClass::BadRequest, false)
    );
    assert_eq!(class("{\"choices\": oops}"), (ErrorClass::BadReply, true));
}

#[test]
fn a_completion_in_one_piece_is_as_good_as_a_stream() {
    let body = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi",
        "reasoning_content":"Hm","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{bad"}}]},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":4,"completion_tokens":2},"timings":{"prompt_ms":1.5}}"#;
    let draft = reply(ProviderKind::OpenaiChat, body);
    assert_eq!((draft.text.as_str(), draft.reasoning.as_str()), ("Hi", "Hm"));
    assert_eq!(draft.tool_calls()[0].arguments, json!("{bad"), "arguments that are no JSON are kept as text");
    // JSON within a JSON string is what it says.
    let twice = body.replace(r#""arguments":"{bad""#, r#""arguments":"\"{\\\"x\\\": 1}\"""#);
    assert_eq!(reply(ProviderKind::OpenaiChat, &twice).tool_calls()[0].arguments, json!({"x": 1}));
    assert_eq!(fault(ProviderKind::OpenaiChat, &body[..body.len() - 9]).0, ErrorClass::Connection, "cut");
    assert_eq!(fault(ProviderKind::OpenaiChat, r#"{"hello":"world"}"#).0, ErrorClass::BadReply);
    assert_eq!(fault(ProviderKind::OpenaiChat, r#"{"error":{"message":"no","code":401}}"#).0, ErrorClass::Auth);
    assert_eq!(fault(ProviderKind::OpenaiChat, "<!doctype html><p>Sign in").0, ErrorClass::BadReply);
}

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-6.1-sol","output":[],"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":2,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"Hm"}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"Good "}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"day"}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":5,"output_index":2,"item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"f","arguments":""}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":6,"item_id":"fc_1","output_index":2,"delta":"{\"x\":"}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":7,"item_id":"fc_1","output_index":2,"delta":"1}"}

event: response.function_call_arguments.done
data: {"type":"response.function_call_arguments.done","sequence_number":8,"item_id":"fc_1","output_index":2,"arguments":"{\"x\":1}"}

"#;

const RESPONSES_OUTPUT: &str = r#"[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Hm"}]},{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Good day","annotations":[]}]},{"id":"fc_1","type":"function_call","call_id":"call_1","name":"f","arguments":"{\"x\":1}"}]"#;

fn response(status: &str, output: &str, more: &str) -> String {
    format!(
        r#"{{"id":"resp_1","object":"response","status":"{status}","model":"gpt-6.1-sol","output":{output},{more}"usage":{{"input_tokens":90,"input_tokens_details":{{"cached_tokens":50}},"output_tokens":9,"output_tokens_details":{{"reasoning_tokens":4}},"total_tokens":99}}}}"#
    )
}

fn response_event(status: &str, output: &str, more: &str) -> String {
    format!("data: {{\"type\":\"response.{status}\",\"response\":{}}}\n\n", response(status, output, more))
}

#[test]
fn a_responses_stream_needs_no_event_names_and_its_end_repeats_it() {
    let unnamed: String = RESPONSES.lines().filter(|line| !line.starts_with("event")).map(|line| format!("{line}\n")).collect();
    for start in [RESPONSES, &unnamed, ""] {
        for output in [RESPONSES_OUTPUT, "[]"] {
            if start.is_empty() && output == "[]" {
                continue;
            }
            let stream = format!("{start}{}data: [DONE]\n\n", response_event("completed", output, ""));
            let draft = reply(ProviderKind::OpenaiResponses, &stream);
            assert_eq!((draft.text.as_str(), draft.reasoning.as_str()), ("Good day", "Hm"));
            assert_eq!(draft.stop_reason(), StopReason::ToolUse);
            let call =
                ToolCall { id: "call_1".to_owned(), name: "f".to_owned(), arguments: json!({"x": 1}), carried: Vec::new() };
            assert_eq!(draft.tool_calls(), [call]);
            assert_eq!(draft.usage(0), (usage(40, 50, 0, 0, 9, 4), UsageSource::Reported));
        }
    }
}

#[test]
fn responses_end_in_several_ways() {
    let end = |status: &str, output: &str, more: &str| {
        let draft = reply(ProviderKind::OpenaiResponses, &response_event(status, output, more));
        assert_eq!(reply(ProviderKind::OpenaiResponses, &response(status, output, more)).stop_reason(), draft.stop_reason());
        (draft.stop_reason(), draft.stop_details.or(Some(draft.refusal)))
    };
    let text = r#"[{"type":"message","content":[{"type":"output_text","text":"x"}]}]"#;
    let refusal = r#"[{"type":"message","content":[{"type":"refusal","refusal":"I cannot"}]}]"#;
    assert_eq!(end("completed", text, "").0, StopReason::End);
    assert_eq!(end("completed", refusal, ""), (StopReason::Refusal, Some("I cannot".to_owned())));
    let incomplete = |reason: &str| end("incomplete", text, &format!(r#""incomplete_details":{{"reason":"{reason}"}},"#)).0;
    assert_eq!(incomplete("max_output_tokens"), StopReason::MaxTokens);
    assert_eq!(incomplete("content_filter"), StopReason::Filtered);
    assert_eq!(incomplete("steered"), StopReason::Other);
    let failed = |code: &str| {
        let error = format!(r#""error":{{"code":"{code}","message":"m"}},"#);
        let streamed = fault(ProviderKind::OpenaiResponses, &response_event("failed", "[]", &error));
        assert_eq!(fault(ProviderKind::OpenaiResponses, &response("failed", "[]", &error)).0, streamed.0);
        (streamed.0, streamed.1, streamed.2.map(|usage| usage.output))
    };
    assert_eq!(failed("server_error"), (ErrorClass::Server, true, Some(9)));
    assert_eq!(failed("rate_limit_exceeded").0, ErrorClass::RateLimit);
    assert_eq!(failed("context_length_exceeded").0, ErrorClass::Context);
    let error = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null}\n\n";
    assert_eq!(fault(ProviderKind::OpenaiResponses, error), (ErrorClass::Server, true, None));
    let (class, retryable, known) = fault(ProviderKind::OpenaiResponses, &format!("{RESPONSES}data: [DONE]\n\n"));
    assert_eq!((class, retryable), (ErrorClass::Connection, true), "[DONE] is no end here");
    assert!(known.is_some_and(|usage| usage.input == 50 && usage.output > 0));
}

const OLLAMA: &str = r#"{"model":"llama4","created_at":"2026-11-22T10:00:00Z","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}
{"model":"llama4","created_at":"2026-11-22T10:00:01Z","message":{"role":"assistant","content":"Sal"},"done":false}
{"model":"llama4","created_at":"2026-11-22T10:00:02Z","message":{"role":"assistant","content":"ü"},"done":false}
{"model":"llama4","created_at":"2026-11-22T10:00:03Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}},{"function":{"name":"g","arguments":{}}}]},"done":false}
{"model":"llama4","created_at":"2026-11-22T10:00:04Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5000000000,"load_duration":1,"prompt_eval_count":26,"prompt_eval_duration":2,"eval_count":12,"eval_duration":3}
"#;

#[test]
fn an_ollama_stream_is_read_with_all_its_parts() {
    let draft = reply(ProviderKind::Ollama, OLLAMA);
    assert_eq!((draft.text.as_str(), draft.reasoning.as_str(), draft.stop_reason()), ("Salü", "Hm", StopReason::ToolUse));
    let calls: Vec<(String, Value)> = draft.tool_calls().into_iter().map(|call| (call.id, call.arguments)).collect();
    assert_eq!(calls, [("call_0".to_owned(), json!({"x": 1})), ("call_1".to_owned(), json!({}))]);
    assert_eq!(draft.usage(0), (usage(26, 0, 0, 0, 12, 0), UsageSource::Reported));
    assert_eq!(reply(ProviderKind::Ollama, OLLAMA.trim_end()).text, "Salü", "without the last line's end");
}

#[test]
fn ollama_leaves_things_out_and_says_errors_anywhere() {
    let line = |text: &str| format!("{{\"message\":{{\"content\":\"hello\"}},\"done\":false}}\n{text}\n");
    let cached = reply(ProviderKind::Ollama, &line(r#"{"done":true,"done_reason":"length","eval_count":4}"#));
    assert_eq!(cached.stop_reason(), StopReason::MaxTokens);
    assert_eq!(cached.usage(50), (usage(50, 0, 0, 0, 4, 0), UsageSource::Estimated));
    let known = Some(usage(50, 0, 0, 0, 2, 0));
    assert_eq!(
        fault(ProviderKind::Ollama, &line(r#"{"error":"llama runner process has terminated"}"#)),
        (ErrorClass::Server, true, known)
    );
    assert_eq!(fault(ProviderKind::Ollama, &line("")), (ErrorClass::Connection, true, known));
    assert_eq!(fault(ProviderKind::Ollama, "<html>\n").0, ErrorClass::BadReply);
}

#[test]
fn text_that_is_no_utf8_is_mended_and_marks_are_skipped() {
    let stream = b"\xef\xbb\xbfdata: {\"choices\":[{\"delta\":{\"content\":\"a\xf0\x9f\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for sizes in [&[][..], &[1], &[2, 5]] {
        assert_eq!(decode(ProviderKind::OpenaiChat, stream, sizes).unwrap().text, "a\u{fffd}");
    }
    let body = b"\xef\xbb\xbf {\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
    for sizes in [&[][..], &[1], &[2, 5]] {
        assert_eq!(decode(ProviderKind::OpenaiChat, body, sizes).unwrap().text, "a");
    }
}

#[test]
fn endless_lines_are_refused() {
    let line = format!("data: {}", "x".repeat(LINE_MAX));
    for kind in [ProviderKind::OpenaiChat, ProviderKind::Anthropic, ProviderKind::Ollama] {
        let fault = outcome(kind, line.as_bytes(), &[4096]).unwrap_err();
        assert_eq!((fault.class, fault.retryable), (ErrorClass::BadReply, false), "{kind:?}");
    }
    let line = format!("data: {}", "x".repeat(BODY_MAX));
    assert_eq!(outcome(ProviderKind::OpenaiResponses, line.as_bytes(), &[]).unwrap_err().class, ErrorClass::BadReply);
}

fn fixture() -> impl Strategy<Value = (ProviderKind, Vec<u8>)> {
    let responses = format!("{RESPONSES}{}", response_event("completed", RESPONSES_OUTPUT, ""));
    prop_oneof![
        Just((ProviderKind::Anthropic, ANTHROPIC.as_bytes().to_vec())),
        Just((ProviderKind::OpenaiChat, CHAT.as_bytes().to_vec())),
        Just((ProviderKind::OpenaiResponses, responses.into_bytes())),
        Just((ProviderKind::Ollama, OLLAMA.as_bytes().to_vec())),
    ]
}

/// Compares outcomes as far as they can be the same: after a failure the pieces before it may have been cut differently.
fn outcome(kind: ProviderKind, bytes: &[u8], sizes: &[usize]) -> Result<PartialReply, Fault> {
    decode(kind, bytes, sizes).map_err(|broken| broken.0)
}

proptest! {
    #[test]
    fn any_split_of_a_reply_gives_the_same((kind, bytes) in fixture(), sizes in prop::collection::vec(1usize..200, 1..8)) {
        prop_assert_eq!(decode(kind, &bytes, &sizes), decode(kind, &bytes, &[]));
    }

    #[test]
    fn a_reply_cut_short_is_never_taken_for_a_whole_one((kind, bytes) in fixture(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len());
        if let Ok(draft) = decode(kind, &bytes[..cut], &[]) {
            let whole = decode(kind, &bytes, &[]).unwrap();
            prop_assert_eq!((draft.text, draft.calls), (whole.text, whole.calls));
        }
    }

    #[test]
    fn damaged_replies_never_panic_and_split_alike(
        (kind, mut bytes) in fixture(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        sizes in prop::collection::vec(1usize..100, 1..5),
    ) {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(outcome(kind, &bytes, &sizes), outcome(kind, &bytes, &[]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(kind in prop::sample::select(KINDS.to_vec()), bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1usize..9) {
        prop_assert_eq!(outcome(kind, &bytes, &[size]), outcome(kind, &bytes, &[]));
    }
}
