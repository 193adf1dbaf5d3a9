//! A server that speaks like the model providers do, scripted: what tests ask instead of the network.
//!
//! It answers on a loopback port in the dialect of the path that is asked (`/v1/messages`, `/chat/completions`,
//! `/responses`, `/api/chat`), one connection per request, from a script of [`Turn`]s: each request takes the next turn,
//! and once the script is used up every request gets the answer `ok`. What came in is kept for the test to look at.
//!
//! ```ignore
//! let server = LlmServer::start([Turn::status(529, ""), Turn::text("hello")]).await;
//! let base_url = server.base_url("/v1");
//! // … call it …
//! assert_eq!(server.requests().len(), 2);
//! ```

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What one request is answered with.
#[derive(Clone, Debug)]
pub struct Turn {
    kind: Kind,
    headers: Vec<(String, String)>,
    delay: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Answer(Answer),
    Status(u16, String),
    /// A status line and these bytes, in these pieces, then the end of the connection.
    Raw(Vec<Vec<u8>>),
    Silence,
    Close,
}

#[derive(Clone, Debug)]
struct Answer {
    text: String,
    stop: Stop,
    tools: Vec<(String, Value)>,
    input_tokens: u64,
    output_tokens: u64,
    /// Read from the cache and written to it, besides the input tokens.
    cached: (u64, u64),
    /// Of the output tokens, those spent on reasoning.
    reasoning: u64,
    /// Of the body's bytes, how many are sent before the connection breaks.
    cut: Option<usize>,
    /// Bytes per piece of the body; a pause follows each.
    piece: Option<usize>,
    /// The whole reply as one JSON body, although a stream was asked for.
    plain: bool,
    /// The stream stops in the middle and the connection stays open.
    stall: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    End,
    Length,
    Refusal,
    ToolUse,
}

impl Turn {
    /// Answers with `text`, 10 input tokens and 5 output tokens.
    pub fn text(text: &str) -> Self {
        Self::of(Kind::Answer(Answer {
            text: text.to_owned(),
            stop: Stop::End,
            tools: Vec::new(),
            input_tokens: 10,
            output_tokens: 5,
            cached: (0, 0),
            reasoning: 0,
            cut: None,
            piece: None,
            plain: false,
            stall: false,
        }))
    }

    /// Answers with an error status and a body; an empty body becomes an error in the dialect that was asked.
    pub fn status(status: u16, body: &str) -> Self {
        Self::of(Kind::Status(status, body.to_owned()))
    }

    /// Answers with status 200 and exactly these pieces of a body.
    pub fn raw(pieces: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self::of(Kind::Raw(pieces.into_iter().map(Into::into).collect()))
    }

    /// Takes the request and never answers.
    pub fn silence() -> Self {
        Self::of(Kind::Silence)
    }

    /// Takes the request and closes the connection without a word.
    pub fn close() -> Self {
        Self::of(Kind::Close)
    }

    fn of(kind: Kind) -> Self {
        Self { kind, headers: Vec::new(), delay: Duration::ZERO }
    }

    fn answer(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        match &mut self.kind {
            Kind::Answer(answer) => change(answer),
            other => panic!("{other:?} is no answer"),
        }
        self
    }

    /// The model stops because of its output limit.
    pub fn truncated(self) -> Self {
        self.answer(|answer| answer.stop = Stop::Length)
    }

    /// The model refuses; the text is what it says.
    pub fn refused(self) -> Self {
        self.answer(|answer| answer.stop = Stop::Refusal)
    }

    /// The model also asks for a tool, or for one more. Arguments that are a text are sent as they are, so that they can be broken.
    pub fn tool(self, name: &str, arguments: Value) -> Self {
        self.answer(|answer| {
            answer.stop = Stop::ToolUse;
            answer.tools.push((name.to_owned(), arguments));
        })
    }

    /// Counts these tokens.
    pub fn usage(self, input_tokens: u64, output_tokens: u64) -> Self {
        self.answer(|answer| (answer.input_tokens, answer.output_tokens) = (input_tokens, output_tokens))
    }

    /// Counts tokens read from the cache and written to it, besides the input tokens, and reasoning among the output tokens.
    pub fn cached(self, read: u64, written: u64, reasoning: u64) -> Self {
        self.answer(|answer| (answer.cached, answer.reasoning) = ((read, written), reasoning))
    }

    /// Breaks the connection after `bytes` bytes of the body.
    pub fn cut_after(self, bytes: usize) -> Self {
        self.answer(|answer| answer.cut = Some(bytes))
    }

    /// Sends the first half of the body and then nothing more, for as long as the client stays.
    pub fn stalled(self) -> Self {
        self.answer(|answer| answer.stall = true)
    }

    /// Sends the body in pieces of `bytes` bytes, each on its own.
    pub fn in_pieces_of(self, bytes: usize) -> Self {
        self.answer(|answer| answer.piece = Some(bytes))
    }

    /// Answers with one JSON body although a stream was asked for.
    pub fn plain_json(self) -> Self {
        self.answer(|answer| answer.plain = true)
    }

    /// Adds a response header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before it answers.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path with its query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; `null` when it is no JSON.
    pub body: Value,
}

impl Received {
    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct LlmServer {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Turn>,
    received: Vec<Received>,
    open: usize,
    open_most: usize,
}

impl LlmServer {
    /// Starts a server on a free loopback port.
    pub async fn start(script: impl IntoIterator<Item = Turn>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    /// Returns `http://127.0.0.1:PORT` with `path` behind it.
    pub fn base_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.state.lock().expect("no panic").received.clone()
    }

    /// Returns how many requests were open at the same time, at most.
    pub fn open_most(&self) -> usize {
        self.state.lock().expect("no panic").open_most
    }

    /// Returns how many requests are being answered now.
    pub fn open(&self) -> usize {
        self.state.lock().expect("no panic").open
    }

    /// Adds a turn behind the script's last.
    pub fn then(&self, turn: Turn) {
        self.state.lock().expect("no panic").script.push_back(turn);
    }
}

impl Drop for LlmServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a request as open until it is dropped, however that comes about.
struct Open(Arc<Mutex<State>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().expect("no panic").open -= 1;
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some(received) = read_request(&mut stream).await else { return };
    // A list of models is asked for on the side: it is no turn of the script.
    if received.path.ends_with("/api/tags") {
        let _ = stream.write_all(b"HTTP/1.1 404 -\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
        return;
    }
    let turn = {
        let mut state = state.lock().expect("no panic");
        state.received.push(received.clone());
        state.open += 1;
        state.open_most = state.open_most.max(state.open);
        state.script.pop_front().unwrap_or_else(|| Turn::text("ok"))
    };
    let _open = Open(state);
    let mut gone = [0; 1];
    // A client that hangs up ends the answer, as it does with real servers.
    let (mut reader, mut writer) = stream.split();
    tokio::select! {
        _ = answer(&mut writer, &received, turn) => { let _ = writer.shutdown().await; }
        _ = reader.read(&mut gone) => {}
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        // What does not begin like a method is no HTTP: somebody tries TLS.
        if stream.read_buf(&mut bytes).await.ok()? == 0 || !bytes[0].is_ascii_uppercase() {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[head_end + 4..]).unwrap_or(Value::Null);
    Some(Received { path, headers, body })
}

async fn answer(stream: &mut (impl AsyncWriteExt + Unpin), received: &Received, turn: Turn) -> std::io::Result<()> {
    tokio::time::sleep(turn.delay).await;
    let dialect = Dialect::of(&received.path);
    let headers: String = turn.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = |status: u16, kind: &str, length: Option<usize>| {
        let length = length.map_or_else(String::new, |length| format!("content-length: {length}\r\n"));
        format!("HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\nconnection: close\r\n{headers}{length}\r\n")
    };
    match turn.kind {
        Kind::Close => Ok(()),
        Kind::Silence => std::future::pending().await,
        Kind::Status(status, body) => {
            let body = if body.is_empty() { dialect.error(status).to_string() } else { body };
            stream.write_all(head(status, "application/json", Some(body.len())).as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Kind::Raw(pieces) => {
            stream.write_all(head(200, "text/event-stream", None).as_bytes()).await?;
            for piece in pieces {
                stream.write_all(&piece).await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        }
        Kind::Answer(answer) => {
            let model = received.body["model"].as_str().unwrap_or("model");
            let (kind, body) = match answer.plain {
                true => ("application/json", dialect.plain(&answer, model).to_string()),
                false => (dialect.content_type(), dialect.stream(&answer, model)),
            };
            // A length promises more than a cut body delivers, so that the cut is seen on the wire.
            stream.write_all(head(200, kind, answer.cut.map(|_| body.len())).as_bytes()).await?;
            let bytes = &body.as_bytes()[..answer.cut.unwrap_or(body.len()).min(body.len())];
            let bytes = if answer.stall { &bytes[..bytes.len() / 2] } else { bytes };
            for piece in bytes.chunks(answer.piece.unwrap_or(bytes.len()).max(1)) {
                stream.write_all(piece).await?;
                stream.flush().await?;
                if answer.piece.is_some() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            if answer.stall { std::future::pending().await } else { Ok(()) }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Dialect {
    Anthropic,
    Chat,
    Responses,
    Ollama,
}

impl Dialect {
    fn of(path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        match path {
            _ if path.ends_with("/messages") => Self::Anthropic,
            _ if path.ends_with("/responses") => Self::Responses,
            _ if path.ends_with("/api/chat") => Self::Ollama,
            _ => Self::Chat,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Ollama => "application/x-ndjson",
            _ => "text/event-stream",
        }
    }

    fn error(self, status: u16) -> Value {
        let kind = match status {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let message = format!("scripted {status}");
        match self {
            Self::Anthropic => {
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"})
            }
            Self::Chat | Self::Responses => json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
            Self::Ollama => json!({"error": message}),
        }
    }

    /// Returns the token counts: the OpenAI formats count cached tokens inside the input, Anthropic's beside it, Ollama's not.
    fn usage(self, answer: &Answer) -> Value {
        let Answer { input_tokens, output_tokens, cached: (read, written), reasoning, .. } = answer;
        let input = input_tokens + read + written;
        match self {
            Self::Anthropic => json!({"input_tokens": input_tokens, "cache_read_input_tokens": read,
                "cache_creation_input_tokens": written, "output_tokens": output_tokens,
                "output_tokens_details": {"thinking_tokens": reasoning}}),
            Self::Chat => {
                json!({"prompt_tokens": input, "completion_tokens": output_tokens, "total_tokens": input + output_tokens,
                "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
                "completion_tokens_details": {"reasoning_tokens": reasoning}})
            }
            Self::Responses => {
                json!({"input_tokens": input, "output_tokens": output_tokens, "total_tokens": input + output_tokens,
                "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
                "output_tokens_details": {"reasoning_tokens": reasoning}})
            }
            Self::Ollama => json!({"prompt_eval_count": input_tokens, "eval_count": output_tokens}),
        }
    }

    /// Returns the reply as one body.
    fn plain(self, answer: &Answer, model: &str) -> Value {
        let Answer { text, tools, input_tokens, output_tokens, .. } = answer;
        match self {
            Self::Anthropic => {
                let mut content = vec![json!({"type": "text", "text": text})];
                content.extend(tools.iter().zip(1..).map(
                    |((name, input), n)| json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": input}),
                ));
                json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
                    "stop_reason": anthropic_stop(answer.stop), "stop_details": anthropic_details(answer.stop),
                    "usage": self.usage(answer)})
            }
            Self::Chat => {
                let calls: Vec<Value> = tools.iter().enumerate().map(chat_call).collect();
                let refused = answer.stop == Stop::Refusal;
                json!({"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [{"index": 0, "message": {
                    "role": "assistant", "content": if refused { Value::Null } else { json!(text) },
                    "refusal": if refused { json!(text) } else { Value::Null }, "tool_calls": calls},
                    "finish_reason": chat_stop(answer.stop)}],
                    "usage": self.usage(answer)})
            }
            Self::Responses => {
                let part = match answer.stop {
                    Stop::Refusal => json!({"type": "refusal", "refusal": text}),
                    _ => json!({"type": "output_text", "text": text, "annotations": []}),
                };
                // Reasoning that is wanted back stands before the calls that it led to.
                let reasoning = json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "sealed thoughts"});
                let mut output: Vec<Value> = tools.first().map(|_| reasoning).into_iter().collect();
                output.push(json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [part]}));
                output.extend(tools.iter().zip(1..).map(|((name, arguments), n)| {
                    json!({"id": format!("fc_{n}"), "type": "function_call", "call_id": format!("call_{n}"), "name": name,
                           "arguments": raw(arguments)})
                }));
                let length = answer.stop == Stop::Length;
                json!({"id": "resp_1", "object": "response", "model": model, "output": output, "error": null,
                    "status": if length { "incomplete" } else { "completed" },
                    "incomplete_details": if length { json!({"reason": "max_output_tokens"}) } else { Value::Null },
                    "usage": self.usage(answer)})
            }
            Self::Ollama => {
                let calls: Vec<Value> =
                    tools.iter().map(|(name, arguments)| json!({"function": {"name": name, "arguments": arguments}})).collect();
                json!({"model": model, "created_at": "2026-11-22T10:00:00Z", "done": true,
                    "done_reason": if answer.stop == Stop::Length { "length" } else { "stop" },
                    "message": {"role": "assistant", "content": text, "tool_calls": calls},
                    "prompt_eval_count": input_tokens, "eval_count": output_tokens})
            }
        }
    }

    /// Returns the reply as a stream.
    fn stream(self, answer: &Answer, model: &str) -> String {
        let Answer { text, tools, .. } = answer;
        let pieces = halves(text);
        let mut events = Vec::new();
        match self {
            Self::Anthropic => {
                events.push(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
                    "model": model, "content": [], "stop_reason": null, "usage": self.usage(&Answer { output_tokens: 1, reasoning: 0, ..answer.clone() })}}));
                events.push(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
                events.extend(pieces.map(
                    |piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}),
                ));
                events.push(json!({"type": "content_block_stop", "index": 0}));
                if !tools.is_empty() {
                    events.push(json!({"type": "content_block_start", "index": 1,
                        "content_block": {"type": "thinking", "thinking": "", "signature": ""}}));
                    for delta in [
                        json!({"type": "thinking_delta", "thinking": "I should "}),
                        json!({"type": "thinking_delta", "thinking": "look."}),
                        json!({"type": "signature_delta", "signature": "signed"}),
                    ] {
                        events.push(json!({"type": "content_block_delta", "index": 1, "delta": delta}));
                    }
                    events.push(json!({"type": "content_block_stop", "index": 1}));
                }
                for ((name, input), n) in tools.iter().zip(2..) {
                    events.push(json!({"type": "content_block_start", "index": n,
                        "content_block": {"type": "tool_use", "id": format!("toolu_{}", n - 1), "name": name, "input": {}}}));
                    for piece in halves(&raw(input)) {
                        events.push(json!({"type": "content_block_delta", "index": n,
                            "delta": {"type": "input_json_delta", "partial_json": piece}}));
                    }
                    events.push(json!({"type": "content_block_stop", "index": n}));
                }
                events.push(json!({"type": "message_delta", "usage": self.usage(answer),
                    "delta": {"stop_reason": anthropic_stop(answer.stop), "stop_sequence": null,
                              "stop_details": anthropic_details(answer.stop)}}));
                events.push(json!({"type": "message_stop"}));
                events
                    .iter()
                    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
                    .collect()
            }
            Self::Chat => {
                let chunk = |delta: Value, finish: Value| {
                    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model,
                        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
                };
                let key = if answer.stop == Stop::Refusal { "refusal" } else { "content" };
                events.push(chunk(json!({"role": "assistant", "content": ""}), Value::Null));
                events.extend(pieces.map(|piece| chunk(json!({key: piece}), Value::Null)));
                events.extend(tools.iter().enumerate().map(|tool| chunk(json!({"tool_calls": [chat_call(tool)]}), Value::Null)));
                events.push(chunk(json!({}), chat_stop(answer.stop)));
                events.push(json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": [],
                    "usage": self.usage(answer)}));
                let chunks: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
                format!("{chunks}data: [DONE]\n\n")
            }
            Self::Responses => {
                let whole = self.plain(answer, model);
                let kind = if answer.stop == Stop::Refusal { "response.refusal.delta" } else { "response.output_text.delta" };
                events.push(
                    json!({"type": "response.created", "response": {"id": "resp_1", "model": model, "status": "in_progress"}}),
                );
                events.extend(pieces.map(|piece| json!({"type": kind, "item_id": "msg_1", "output_index": 0, "delta": piece})));
                let status = whole["status"].as_str().unwrap_or_default().to_owned();
                events.push(json!({"type": format!("response.{status}"), "response": whole}));
                events
                    .iter()
                    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
                    .collect()
            }
            Self::Ollama => {
                events.extend(
                    pieces
                        .map(|piece| json!({"model": model, "message": {"role": "assistant", "content": piece}, "done": false})),
                );
                let mut last = self.plain(answer, model);
                last["message"]["content"] = json!("");
                events.push(last);
                events.iter().map(|event| format!("{event}\n")).collect()
            }
        }
    }
}

/// Cuts a text in two where a character ends.
fn halves(text: &str) -> impl Iterator<Item = &str> {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    [&text[..middle], &text[middle..]].into_iter().filter(|half| !half.is_empty())
}

fn anthropic_stop(stop: Stop) -> Value {
    json!(match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Refusal => "refusal",
        Stop::ToolUse => "tool_use",
    })
}

fn anthropic_details(stop: Stop) -> Value {
    if stop == Stop::Refusal { json!({"type": "refusal", "category": "cyber", "explanation": "scripted"}) } else { Value::Null }
}

fn chat_stop(stop: Stop) -> Value {
    json!(match stop {
        Stop::End | Stop::Refusal => "stop",
        Stop::Length => "length",
        Stop::ToolUse => "tool_calls",
    })
}

fn chat_call((n, (name, arguments)): (usize, &(String, Value))) -> Value {
    json!({"index": n, "id": format!("call_{}", n + 1), "type": "function",
           "function": {"name": name, "arguments": raw(arguments)}})
}

/// Arguments as a text: what is a text already may be broken JSON.
fn raw(arguments: &Value) -> String {
    arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned)
}
