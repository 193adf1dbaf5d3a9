//! Replies that are careless and plain: characters cut between pieces, framing and counts that stray from the standard.

use serde_json::json;

use super::tests::{KINDS, chat, decode, reply, usage};
use super::*;

/// A whole reply of `kind` whose text and tool arguments come in these pieces, each as it stands within a JSON text.
fn pieces(kind: ProviderKind, text: &[&str], arguments: &[&str]) -> String {
    let sse = |data: String| format!("data: {data}\n\n");
    let mut stream = String::new();
    for piece in text {
        stream += &match kind {
            ProviderKind::Anthropic => {
                sse(format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{piece}"}}}}"#))
            }
            ProviderKind::OpenaiChat => sse(format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}"#)),
            ProviderKind::OpenaiResponses => {
                sse(format!(r#"{{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"{piece}"}}"#))
            }
            _ => format!(r#"{{"message":{{"role":"assistant","content":"{piece}","thinking":"{piece}"}},"done":false}}"#) + "\n",
        };
        stream += &match kind {
            ProviderKind::Anthropic => sse(format!(
                r#"{{"type":"content_block_delta","index":1,"delta":{{"type":"thinking_delta","thinking":"{piece}"}}}}"#
            )),
            ProviderKind::OpenaiChat => sse(format!(r#"{{"choices":[{{"delta":{{"reasoning_content":"{piece}"}}}}]}}"#)),
            ProviderKind::OpenaiResponses => {
                sse(format!(r#"{{"type":"response.reasoning_text.delta","output_index":1,"delta":"{piece}"}}"#))
            }
            _ => String::new(),
        };
    }
    match kind {
        ProviderKind::Anthropic => {
            stream += &sse(
                r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#
                    .to_owned(),
            );
            for piece in arguments {
                stream += &sse(format!(
                    r#"{{"type":"content_block_delta","index":2,"delta":{{"type":"input_json_delta","partial_json":"{piece}"}}}}"#
                ));
            }
            stream + &sse(r#"{"type":"message_stop"}"#.to_owned())
        }
        ProviderKind::OpenaiChat => {
            for piece in arguments {
                stream += &sse(format!(
                    r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,"id":"t","function":{{"name":"f","arguments":"{piece}"}}}}]}}}}]}}"#
                ));
            }
            stream + &sse("[DONE]".to_owned())
        }
        ProviderKind::OpenaiResponses => {
            let item = r#""output_index":2,"item":{"type":"function_call","call_id":"t","name":"f"}"#;
            stream += &sse(format!(r#"{{"type":"response.output_item.added",{item}}}"#));
            for piece in arguments {
                stream +=
                    &sse(format!(r#"{{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{piece}"}}"#));
            }
            stream + &sse(r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#.to_owned())
        }
        _ => {
            let call = format!(r#"{{"function":{{"name":"f","arguments":{}}}}}"#, arguments.concat().replace(r#"\""#, "\""));
            stream + &format!(r#"{{"message":{{"tool_calls":[{call}]}},"done":true,"done_reason":"stop"}}"#) + "\n"
        }
    }
}

#[test]
fn characters_cut_between_deltas_are_joined_in_every_format() {
    for kind in KINDS {
        let text = [r"Gr\u00fc\u00dfe, ", r"\u4e16\u754c, \ud83e", r"\udd80\ud83d", r"\udc69\u200d\ud83d", r"\udd2c, done."];
        let draft = reply(kind, &pieces(kind, &text, &[r#"{\"crab\":\""#, r"\ud83e", r"\udd80", r#"\"}"#]));
        let expected = "Grüße, 世界, 🦀👩\u{200d}🔬, done.";
        assert_eq!((draft.text.as_str(), draft.reasoning.as_str()), (expected, expected), "{kind:?}");
        assert_eq!(draft.tool_calls()[0].arguments, json!({"crab": "🦀"}), "{kind:?}");

        let left = reply(kind, &pieces(kind, &[r"a\ud83e", "b", r"\udd80", r"c\ud83e"], &["{}"]));
        assert_eq!(left.text, "a\u{fffd}b\u{fffd}c\u{fffd}", "{kind:?}");
    }
}

#[test]
fn bytes_cut_between_deltas_are_joined_in_every_format() {
    for kind in KINDS {
        // As bytes that are no UTF-8 by themselves: `~` and `^` stand for the two halves of a character.
        let stream = pieces(kind, &["a~", "^b", "~"], &["{}"]);
        let bytes: Vec<u8> = stream
            .bytes()
            .flat_map(|byte| match byte {
                b'~' => vec![0xf0, 0x9f],
                b'^' => vec![0xa6, 0x80],
                other => vec![other],
            })
            .collect();
        for sizes in [&[][..], &[1], &[3, 7]] {
            assert_eq!(decode(kind, &bytes, sizes).unwrap().text, "a🦀b\u{fffd}", "{kind:?}");
        }
    }
}

#[test]
fn tool_arguments_may_have_half_characters_of_their_own() {
    for kind in [ProviderKind::Anthropic, ProviderKind::OpenaiChat, ProviderKind::OpenaiResponses] {
        let draft = reply(kind, &pieces(kind, &["x"], &[r#"{\"crab\":\"\\ud83e\"}"#]));
        assert_eq!(draft.tool_calls()[0].arguments, json!({"crab": "\u{fffd}"}), "{kind:?}");
    }
}

#[test]
fn half_characters_in_one_body_are_replaced() {
    for (kind, body) in [
        (ProviderKind::Anthropic, r#"{"content":[{"type":"text","text":"a\ud83e"}],"stop_reason":"end_turn","model":"m\udd80"}"#),
        (ProviderKind::OpenaiChat, r#"{"choices":[{"message":{"content":"a\ud83e"},"finish_reason":"stop"}],"model":"m\udd80"}"#),
        (
            ProviderKind::OpenaiResponses,
            r#"{"status":"completed","model":"m\udd80","output":[{"type":"message","content":[{"type":"output_text","text":"a\ud83e"}]}]}"#,
        ),
        (ProviderKind::Ollama, r#"{"model":"m\udd80","message":{"content":"a\ud83e"},"done":true}"#),
    ] {
        let draft = reply(kind, body);
        assert_eq!((draft.text.as_str(), draft.model.as_deref()), ("a\u{fffd}", Some("m\u{fffd}")), "{kind:?}");
    }
    let error = decode(ProviderKind::Ollama, br#"{"error":"gone \ud83e"}"#, &[]).unwrap_err();
    assert_eq!(error.0.message, "gone \u{fffd}");
}

#[test]
fn careless_framing_is_read_as_it_is_meant() {
    let joined = |kind: ProviderKind, change: &dyn Fn(&str) -> String| {
        let draft = reply(kind, &change(&pieces(kind, &["Hel", "lo"], &["{}"])));
        assert_eq!((draft.text.as_str(), draft.tool_calls().len()), ("Hello", 1), "{kind:?}");
    };
    for kind in KINDS {
        joined(kind, &|stream| stream.replace('\n', "\r\n"));
        joined(kind, &|stream| stream.replace('\n', "\r"));
        joined(kind, &|stream| stream.trim_end().to_owned());
        joined(kind, &|stream| format!("\u{feff}{stream}"));
        joined(kind, &|stream| stream.replace("data: ", "data:"));
        joined(kind, &|stream| stream.replace("\"Hel\"", "\"Hel\",\"logprob\":-Infinity"));
        joined(kind, &|stream| stream.replace("data: [DONE]", "data: [DONE]\n\ndata: [DONE]"));
        // Without blank lines between the events, and as lines of JSON without any frame.
        joined(kind, &|stream| stream.replace("\n\n", "\n"));
        joined(kind, &|stream| stream.replace("data: ", "").replace("\n\n", "\n"));
    }
    joined(ProviderKind::Ollama, &|stream| {
        let events = stream.lines().map(|line| format!(": keep-alive\n\nevent: message\ndata: {line}\n\n"));
        events.collect()
    });
    for kind in [ProviderKind::Anthropic, ProviderKind::OpenaiChat, ProviderKind::OpenaiResponses] {
        joined(kind, &|stream| stream.replace("data: ", ": keep-alive\n\nevent: no_such_event\nid: 7\ndata: "));
        joined(kind, &|stream| format!("data: {{\"type\":\"some_future_event\",\"x\":[1]}}\n\n{stream}"));
    }
    let raw = reply(ProviderKind::OpenaiChat, &chat(&["{\"choices\":[{\"delta\":{\"content\":\"a\tb\"}}]}"], "data: [DONE]\n\n"));
    assert_eq!(raw.text, "a\tb");
}

#[test]
fn counts_may_be_fractions_or_texts() {
    let text = r#"{"choices":[{"index":"0","delta":{"content":"hello"},"finish_reason":"STOP"}]}"#;
    let counts =
        r#"{"choices":[],"usage":{"prompt_tokens":"8","completion_tokens":3.0,"prompt_tokens_details":{"cached_tokens":"2.0"}}}"#;
    let draft = reply(ProviderKind::OpenaiChat, &chat(&[text, counts], "data: [DONE]\n\n"));
    assert_eq!(draft.usage(50), (usage(6, 2, 0, 0, 3, 0), UsageSource::Reported));
    assert_eq!(draft.stop_reason(), StopReason::End);
    let line = r#"{"message":{"content":"x"},"done":true,"prompt_eval_count":12.0,"eval_count":"4"}"#;
    assert_eq!(reply(ProviderKind::Ollama, line).usage(50), (usage(12, 0, 0, 0, 4, 0), UsageSource::Reported));
    let nonsense = r#"{"message":{"content":"hello"},"done":true,"prompt_eval_count":"many","eval_count":-3}"#;
    assert_eq!(reply(ProviderKind::Ollama, nonsense).usage(50), (usage(50, 0, 0, 0, 2, 0), UsageSource::Estimated));
}

#[test]
fn an_ordinary_end_takes_back_no_reason() {
    let chunk = |reason: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#);
    let stop = |reasons: &[&str]| {
        let chunks: Vec<String> = reasons.iter().map(|reason| chunk(reason)).collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        reply(ProviderKind::OpenaiChat, &chat(&chunks, "data: [DONE]\n\n")).stop_reason()
    };
    assert_eq!(stop(&["length", "stop"]), StopReason::MaxTokens);
    assert_eq!(stop(&["stop", "content_filter"]), StopReason::Filtered);
    assert_eq!(stop(&["stop", "stop"]), StopReason::End);
}
