//! The wire formats seen from one side: a request in, a body to send out; bytes in, a reply out.
//!
//! Four dialects share what they have in common: framing, collecting text and tool calls, and usage that trickles in
//! piece by piece ("the last value that is not null wins, field by field"). All of it is pure: a dialect sees JSON
//! values and never a socket. Start with [`build`] for requests and [`Decoder`] for replies.

use serde_json::{Map, Value};

use crate::domain::call::{CallRequest, ToolCall};
use crate::domain::event::{ErrorClass, StopReason};
use crate::domain::lenient_json;
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::tokens::TokenMeter;
use crate::settings::{ProviderKind, ProviderSettings};

use super::fault::{ErrorBody, Fault, in_stream};
use super::sse::{NdjsonDecoder, SseDecoder, TooLong};
use super::{anthropic, ollama, openai_chat, openai_responses};

/// Bytes of one line of a stream, at most.
pub const LINE_MAX: usize = 1 << 20;
/// Bytes of a reply that comes as one JSON body, and of a line of the Responses format, whose last event repeats the
/// whole reply.
pub const BODY_MAX: usize = 8 << 20;
/// Bytes of text, reasoning and tool arguments together, at most.
pub const OUTPUT_MAX: usize = 16 << 20;

/// A request as it goes over the wire, without its key.
#[derive(Clone, Debug, PartialEq)]
pub struct WireRequest {
    /// What is added to the path of the provider's `base_url`.
    pub path: &'static str,
    /// Headers of the dialect.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
}

/// Writes `request` in the dialect of the provider; `None` for the simulated provider, which has no wire.
pub fn build(provider: &ProviderSettings, request: &CallRequest) -> Option<WireRequest> {
    match provider.kind {
        ProviderKind::Anthropic => Some(anthropic::build(provider, request)),
        ProviderKind::OpenaiChat => Some(openai_chat::build(provider, request)),
        ProviderKind::OpenaiResponses => Some(openai_responses::build(request)),
        ProviderKind::Ollama => Some(ollama::build(request)),
        ProviderKind::Simulated => None,
    }
}

/// Token counts as they come in: every field is what the provider last said about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Input tokens, in the provider's own sense.
    pub input: Option<u64>,
    /// Of the input, or beside it, read from the cache.
    pub cache_read: Option<u64>,
    /// Written to the cache, all lifetimes together.
    pub cache_write: Option<u64>,
    /// Of these, short-lived.
    pub cache_write_5m: Option<u64>,
    /// Of these, long-lived.
    pub cache_write_1h: Option<u64>,
    /// Output tokens, reasoning included.
    pub output: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning: Option<u64>,
}

/// What a reply has become so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartialReply {
    /// The text.
    pub text: String,
    /// Reasoning shown.
    pub reasoning: String,
    /// What a refusal said in place of a text.
    pub refusal: String,
    /// Tool calls, in the order of their beginning.
    pub calls: Vec<DraftCall>,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// What a refusal or a filter said.
    pub stop_details: Option<String>,
    /// What came since the last tool call began and is wanted back with the next one, in the provider's own form.
    pub carried: Vec<Value>,
    /// Token counts.
    pub counts: Counts,
    /// The provider counts cached tokens beside the input instead of inside it.
    pub cache_beside_input: bool,
    /// What the provider says that it cost.
    pub reported_cost: Option<NanoUsd>,
    /// The model that it says it used.
    pub model: Option<String>,
    /// Its id of the reply.
    pub id: Option<String>,
    /// The dialect's mark of the end came.
    pub ended: bool,
    /// The dialect's reason for stopping is as good as its mark of the end.
    pub stop_ends: bool,
    meter: TokenMeter,
    bytes: usize,
}

/// A tool call in the making.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DraftCall {
    /// What its pieces are told apart by.
    pub key: String,
    /// The provider's id.
    pub id: Option<String>,
    /// The tool's name.
    pub name: String,
    /// The arguments' JSON as text, piece by piece.
    pub arguments: String,
    /// What came before it and is wanted back with it.
    pub carried: Vec<Value>,
}

impl PartialReply {
    /// Adds text.
    pub fn add_text(&mut self, piece: &str) {
        self.count(piece);
        self.text.push_str(piece);
    }

    /// Adds reasoning.
    pub fn add_reasoning(&mut self, piece: &str) {
        self.count(piece);
        self.reasoning.push_str(piece);
    }

    /// Adds to what a refusal says.
    pub fn add_refusal(&mut self, piece: &str) {
        self.count(piece);
        self.refusal.push_str(piece);
    }

    /// Returns the tool call with `key`, made if it is new.
    pub fn call(&mut self, key: String) -> &mut DraftCall {
        let index = self.calls.iter().position(|call| call.key == key).unwrap_or_else(|| {
            let carried = std::mem::take(&mut self.carried);
            self.calls.push(DraftCall { key, carried, ..DraftCall::default() });
            self.calls.len() - 1
        });
        &mut self.calls[index]
    }

    /// Adds to the arguments of the tool call with `key`; a value that is no string is the whole of them.
    pub fn add_arguments(&mut self, key: String, piece: &Value) {
        match piece {
            Value::Null => {}
            Value::String(piece) => {
                self.count(piece);
                self.call(key).arguments.push_str(piece);
            }
            whole => {
                let whole = whole.to_string();
                self.count(&whole);
                self.call(key).arguments = whole;
            }
        }
    }

    /// Takes in why the model stopped. Servers say it twice; what stopped it for a reason is not taken back by an ordinary end.
    pub fn stop_for(&mut self, stop: StopReason) {
        if self.stop.is_none() || stop != StopReason::End {
            self.stop = Some(stop);
        }
    }

    /// Puts the output of `other` in the place of what has come so far; counts and identity stay.
    pub fn replace_output(&mut self, other: Self) {
        self.text = other.text;
        self.reasoning = other.reasoning;
        self.refusal = other.refusal;
        self.calls = other.calls;
        self.bytes = self.text.len() + self.reasoning.len() + self.refusal.len();
        self.bytes += self.calls.iter().map(|call| call.arguments.len()).sum::<usize>();
        self.meter = TokenMeter::default();
        [&self.text, &self.reasoning, &self.refusal].into_iter().for_each(|text| self.meter.add(text));
        self.calls.iter().for_each(|call| self.meter.add(&call.arguments));
    }

    fn count(&mut self, piece: &str) {
        self.meter.add(piece);
        self.bytes = self.bytes.saturating_add(piece.len());
    }

    /// Returns whether nothing of the answer is missing. Servers compatible with Chat Completions may leave out `[DONE]`;
    /// the reason for stopping comes with or after the last piece of the answer, so an answer that has one is whole, and
    /// asking again would pay for it twice.
    pub fn is_whole(&self) -> bool {
        self.ended || (self.stop_ends && self.stop.is_some())
    }

    /// Returns whether any output has come.
    pub fn has_output(&self) -> bool {
        self.bytes > 0 || !self.calls.is_empty()
    }

    /// Returns the output tokens so far: reported or, while nothing is, estimated from what has come.
    pub fn output_tokens(&self) -> u64 {
        self.counts.output.unwrap_or(0).max(self.meter.tokens())
    }

    /// Returns the tokens used, and who counted them. A side that the provider did not report, or reported as nothing
    /// at all although there was output, is estimated: the input as `estimated_input`, the output from its text.
    pub fn usage(&self, estimated_input: u64) -> (TokenUsage, UsageSource) {
        let Counts { input, cache_read, output, reasoning, .. } = self.counts;
        let long = self.counts.cache_write_1h.unwrap_or(0);
        let written = self.counts.cache_write.unwrap_or_else(|| self.counts.cache_write_5m.unwrap_or(0).saturating_add(long));
        let cache_write_1h = long.min(written);
        let cache_read = cache_read.unwrap_or(0);
        let cached = cache_read.saturating_add(written);
        let total = |input: u64| if self.cache_beside_input { input.saturating_add(cached) } else { input };
        let empty = total(input.unwrap_or(0)) == 0 && output.unwrap_or(0) == 0 && self.has_output();
        let reported_input = input.filter(|_| !empty);
        let reported_output = output.filter(|_| !empty);
        let uncached = match reported_input {
            Some(input) if self.cache_beside_input => input,
            Some(input) => {
                if input < cached {
                    tracing::warn!(input, cached, "the provider reports more cached than input tokens");
                }
                input.saturating_sub(cached)
            }
            None => estimated_input.saturating_sub(cached),
        };
        let output = reported_output.unwrap_or_else(|| self.meter.tokens());
        let usage = TokenUsage {
            input: uncached,
            cache_read,
            cache_write_5m: written - cache_write_1h,
            cache_write_1h,
            output,
            reasoning: reasoning.unwrap_or(0).min(output),
        };
        let complete = reported_input.is_some() && reported_output.is_some();
        (usage, if complete { UsageSource::Reported } else { UsageSource::Estimated })
    }

    /// Returns the tokens that a reply is known to have used although it broke off: `None` while the provider has
    /// neither counted nor written anything.
    pub fn partial_usage(&self, estimated_input: u64) -> Option<TokenUsage> {
        if !self.has_output() && self.counts == Counts::default() {
            return None;
        }
        let (mut usage, _) = self.usage(estimated_input);
        // A stream announces its output early and counts it late: what has been seen counts at least.
        usage.output = usage.output.max(self.meter.tokens());
        Some(usage)
    }

    /// Returns the draft with the characters joined that its pieces were cut within. Whoever wants to read it needs this.
    #[must_use]
    fn mended(mut self) -> Self {
        for call in &mut self.calls {
            [&mut call.name, &mut call.arguments].into_iter().chain(&mut call.id).for_each(lenient_json::mend);
            for field in call.carried.iter_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
                if let Value::String(text) = field {
                    lenient_json::mend(text);
                }
            }
        }
        let texts = [&mut self.text, &mut self.reasoning, &mut self.refusal].into_iter();
        let others = [&mut self.stop_details, &mut self.model, &mut self.id];
        texts.chain(others.into_iter().flatten()).for_each(lenient_json::mend);
        self
    }

    /// Returns the tool calls. Arguments that are no JSON come as a JSON string, for the caller to refuse; missing ids
    /// are made.
    pub fn tool_calls(&self) -> Vec<ToolCall> {
        let calls = self.calls.iter().filter(|call| !call.name.is_empty()).enumerate();
        calls
            .map(|(index, call)| ToolCall {
                id: call.id.clone().unwrap_or_else(|| format!("call_{index}")),
                name: call.name.clone(),
                arguments: match call.arguments.trim() {
                    "" => Value::Object(Map::new()),
                    text => match lenient_json::read(text.as_bytes()) {
                        // Some models write their JSON into a JSON string.
                        Ok(Value::String(inner)) => {
                            lenient_json::read(inner.as_bytes()).ok().filter(Value::is_object).unwrap_or(Value::String(inner))
                        }
                        Ok(value) => value,
                        Err(_) => Value::String(call.arguments.clone()),
                    },
                },
                carried: call.carried.clone(),
            })
            .collect()
    }

    /// Returns why the model stopped; a refusal speaks louder than an ordinary end.
    pub fn stop_reason(&self) -> StopReason {
        match self.stop {
            None | Some(StopReason::End | StopReason::Other) if !self.refusal.is_empty() => StopReason::Refusal,
            None | Some(StopReason::End) if !self.calls.is_empty() => StopReason::ToolUse,
            Some(stop) => stop,
            None => StopReason::Other,
        }
    }
}

/// How the bytes of a reply are cut into messages.
#[derive(Debug)]
enum Framing {
    /// Nothing but white space has come yet.
    Undecided(Vec<u8>),
    Sse(SseDecoder),
    Ndjson(NdjsonDecoder),
    /// One JSON body: some gateways answer a streamed request so.
    Body(Vec<u8>),
}

/// Decodes the body of a reply with status 200, in pieces of any size.
#[derive(Debug)]
pub struct Decoder {
    kind: ProviderKind,
    framing: Framing,
    draft: PartialReply,
    messages: u64,
    bytes: u64,
}

impl From<TooLong> for Fault {
    fn from(error: TooLong) -> Self {
        Self::lasting(ErrorClass::BadReply, format!("a line of the reply is longer than {} bytes", error.limit))
    }
}

impl Decoder {
    /// Returns a decoder for replies of the dialect `kind`.
    pub fn new(kind: ProviderKind) -> Self {
        let draft = PartialReply {
            cache_beside_input: kind == ProviderKind::Anthropic,
            stop_ends: kind == ProviderKind::OpenaiChat,
            ..PartialReply::default()
        };
        Self { kind, framing: Framing::Undecided(Vec::new()), draft, messages: 0, bytes: 0 }
    }

    /// Takes in the next bytes. What stands behind the mark of the end is ignored.
    ///
    /// # Errors
    /// What the reply says went wrong, or that it cannot be understood; the decoder is of no further use then, except
    /// for [`Self::draft`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.draft.ended {
            return Ok(());
        }
        self.bytes += bytes.len() as u64;
        let Self { kind, framing, draft, messages, .. } = self;
        let mut take = |data: &[u8]| {
            *messages += 1;
            message(*kind, draft, data)
        };
        if let Framing::Undecided(start) = framing {
            start.extend_from_slice(bytes);
            let text = strip_mark(start).trim_ascii_start();
            if start.len() - text.len() > LINE_MAX {
                return Err(TooLong { limit: LINE_MAX }.into());
            }
            let first = match text.first() {
                // A byte order mark may itself be cut in two.
                Some(_) if start.len() < MARK.len() && MARK.starts_with(start) => return Ok(()),
                Some(&first) => first,
                None => return Ok(()),
            };
            let start = std::mem::take(start);
            if first == b'{' && *kind == ProviderKind::Ollama {
                let mut lines = NdjsonDecoder::new(LINE_MAX);
                let pushed = lines.push(strip_mark(&start), &mut take);
                *framing = Framing::Ndjson(lines);
                return pushed;
            } else if first == b'{' {
                *framing = Framing::Body(start);
            } else {
                let limit = if *kind == ProviderKind::OpenaiResponses { BODY_MAX } else { LINE_MAX };
                let mut sse = SseDecoder::new(limit);
                let pushed = sse.push(&start, &mut take);
                *framing = Framing::Sse(sse);
                return pushed;
            }
        } else if let Framing::Body(body) = framing {
            body.extend_from_slice(bytes);
        }
        match framing {
            Framing::Sse(sse) => sse.push(bytes, take),
            Framing::Ndjson(lines) => lines.push(bytes, take),
            Framing::Body(body) if body.len() > BODY_MAX => Err(TooLong { limit: BODY_MAX }.into()),
            Framing::Body(_) | Framing::Undecided(_) => Ok(()),
        }
    }

    /// Returns what has come so far; characters may be cut.
    pub fn draft(&self) -> &PartialReply {
        &self.draft
    }

    /// Returns the reply when nothing of it is missing, whatever became of the connection.
    pub fn whole(&self) -> Option<PartialReply> {
        self.draft.is_whole().then(|| self.draft.clone().mended())
    }

    /// Ends the stream after its last byte.
    ///
    /// # Errors
    /// That the reply broke off, or cannot be understood, with what had come until then.
    pub fn finish(self) -> Result<PartialReply, Box<(Fault, PartialReply)>> {
        let Self { kind, framing, mut draft, mut messages, bytes } = self;
        let left = match framing {
            Framing::Body(body) => match lenient_json::read_marked(strip_mark(&body)) {
                Ok(value) => whole(kind, &mut draft, &value),
                Err(_) if is_lines(strip_mark(&body)) => lines(kind, &mut draft, &mut messages, &body),
                Err(error) if error.is_eof() => Err(broken_off(bytes)),
                Err(error) => Err(Fault::passing(ErrorClass::BadReply, format!("the reply is not JSON: {error}"))),
            },
            Framing::Sse(sse) => last_message(kind, &mut draft, &mut messages, sse.finish()),
            Framing::Ndjson(lines) => last_message(kind, &mut draft, &mut messages, lines.finish()),
            Framing::Undecided(_) => Ok(()),
        };
        match left {
            Err(fault) => Err(Box::new((fault, draft))),
            Ok(()) if draft.is_whole() => Ok(draft.mended()),
            Ok(()) => Err(Box::new((cut(bytes, messages), draft))),
        }
    }
}

/// Returns what it means that a reply ended before its end.
fn cut(bytes: u64, messages: u64) -> Fault {
    if bytes > 0 && messages == 0 {
        let message = "the reply is not a stream of events (does base_url point to the right place?)";
        return Fault::passing(ErrorClass::BadReply, message);
    }
    broken_off(bytes)
}

fn broken_off(bytes: u64) -> Fault {
    Fault::passing(ErrorClass::Connection, format!("the reply broke off after {bytes} bytes"))
}

/// The byte order mark in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

fn strip_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// Takes in one message of a stream.
fn message(kind: ProviderKind, draft: &mut PartialReply, data: &[u8]) -> Result<(), Fault> {
    if draft.ended || data.trim_ascii().is_empty() {
        return Ok(());
    }
    if is_done(data) {
        draft.ended |= kind == ProviderKind::OpenaiChat;
        return Ok(());
    }
    let value = match lenient_json::read_marked(data) {
        Ok(value) => value,
        // Events without the blank lines between them: each line is a message of its own.
        Err(_) if is_lines(data) => return data.split(|byte| *byte == b'\n').try_for_each(|line| message(kind, draft, line)),
        Err(error) => {
            return Err(Fault::passing(ErrorClass::BadReply, format!("a message of the reply is not JSON: {error}")));
        }
    };
    match kind {
        ProviderKind::Anthropic => anthropic::event(draft, &value)?,
        ProviderKind::OpenaiChat => openai_chat::chunk(draft, &value)?,
        ProviderKind::OpenaiResponses => openai_responses::event(draft, &value)?,
        ProviderKind::Ollama => ollama::line(draft, &value)?,
        ProviderKind::Simulated => {}
    }
    within_limit(draft)
}

/// Takes in what the end of the stream left over: half a message is none.
fn last_message(kind: ProviderKind, draft: &mut PartialReply, messages: &mut u64, data: Option<Vec<u8>>) -> Result<(), Fault> {
    let Some(data) = data else { return Ok(()) };
    *messages += 1;
    let readable = is_done(&data) || is_lines(&data) || lenient_json::read_marked(&data).is_ok();
    if readable { message(kind, draft, &data) } else { Ok(()) }
}

/// Takes in a reply that came as lines of JSON where events were asked for.
fn lines(kind: ProviderKind, draft: &mut PartialReply, messages: &mut u64, body: &[u8]) -> Result<(), Fault> {
    let mut decoder = NdjsonDecoder::new(BODY_MAX);
    decoder.push(strip_mark(body), |line| {
        *messages += 1;
        message(kind, draft, line)
    })?;
    last_message(kind, draft, messages, decoder.finish())
}

fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Returns whether `data` has several lines of which the first is a message by itself.
fn is_lines(data: &[u8]) -> bool {
    let mut lines = data.splitn(2, |byte| matches!(byte, b'\n' | b'\r'));
    let first = lines.next().unwrap_or_default();
    let more = lines.next().is_some_and(|rest| !rest.trim_ascii().is_empty());
    more && (is_done(first) || lenient_json::read_marked(first).is_ok_and(|value| value.is_object()))
}

/// Takes in a reply that is one JSON body.
fn whole(kind: ProviderKind, draft: &mut PartialReply, value: &Value) -> Result<(), Fault> {
    if value.get("error").is_some_and(|error| !error.is_null()) && value.get("status").is_none() {
        return Err(ErrorBody::of(value).map_or_else(|| unexpected(kind), in_stream));
    }
    let known = match kind {
        ProviderKind::Anthropic => anthropic::whole(draft, value),
        ProviderKind::OpenaiChat => openai_chat::whole(draft, value)?,
        ProviderKind::OpenaiResponses => openai_responses::whole(draft, value)?,
        ProviderKind::Ollama | ProviderKind::Simulated => false,
    };
    if !known {
        return Err(unexpected(kind));
    }
    draft.ended = true;
    within_limit(draft)
}

fn unexpected(kind: ProviderKind) -> Fault {
    let what = match kind {
        ProviderKind::Anthropic => "an Anthropic message",
        ProviderKind::OpenaiChat => "a chat completion",
        ProviderKind::OpenaiResponses => "a response object",
        ProviderKind::Ollama | ProviderKind::Simulated => "a chat reply",
    };
    Fault::passing(ErrorClass::BadReply, format!("the reply is JSON but not {what}"))
}

fn within_limit(draft: &PartialReply) -> Result<(), Fault> {
    if draft.bytes > OUTPUT_MAX {
        return Err(Fault::lasting(ErrorClass::BadReply, format!("the reply is longer than {OUTPUT_MAX} bytes")));
    }
    Ok(())
}

/// The largest count that is believed: no call uses a billion tokens, and its sum would hide all others.
const COUNT_MAX: f64 = 1e9;
/// Returns a count: a number that is neither negative nor beyond belief, whole or not, or a text that is one.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<u64> {
    let found = path.iter().try_fold(value, |value, key| value.get(key))?;
    let count = found.as_f64().or_else(|| found.as_str()?.trim().parse().ok())?;
    (0.0..=COUNT_MAX).contains(&count).then(|| count.round() as u64)
}

/// Returns a text that is not empty.
pub(super) fn string(value: &Value, path: &[&str]) -> Option<String> {
    let found = path.iter().try_fold(value, |value, key| value.get(key))?;
    found.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Replaces `slot` when there is something new.
pub(super) fn update<T>(slot: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *slot = new;
    }
}

/// Reads what OpenRouter and LiteLLM say that a call cost, in dollars.
pub(super) fn usd(value: &Value) -> Option<NanoUsd> {
    let usd = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    NanoUsd::from_usd(usd)
}

/// Returns whether a schema keeps to what OpenAI's `strict` asks for: every object is closed and requires all of its
/// properties. A schema that does not is sent without `strict`, as help rather than as a guarantee.
pub(super) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let properties = map.get("properties").and_then(Value::as_object);
            let is_object = properties.is_some() || map.get("type") == Some(&Value::from("object"));
            let required = |name: &String| {
                let names = map.get("required").and_then(Value::as_array);
                names.is_some_and(|names| names.iter().any(|required| required.as_str() == Some(name)))
            };
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            let here = !is_object || (closed && properties.is_none_or(|properties| properties.keys().all(required)));
            here && map.values().all(is_strict)
        }
        Value::Array(items) => items.iter().all(is_strict),
        _ => true,
    }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod build_tests;
#[cfg(test)]
#[path = "wire_careless_tests.rs"]
mod careless_tests;
#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
