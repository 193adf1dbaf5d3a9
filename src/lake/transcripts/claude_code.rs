//! Claude Code: `projects/<project>/<session>.jsonl`, with its subagents beside it.
//!
//! A line is a JSON object with a `type`. A reply is written several times while it streams: its lines share `message.id`, their
//! usage grows. Of them one reply is made, with the blocks of all and the usage of the last that says why the model stopped, else of the
//! last. Subagents are lines marked `isSidechain`, in the session's file, in files of their own, or in both.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::files::{self, LineReader, time};
use super::tally::Tally;
use super::{Entry, Facts, Item, Reply, Session, SessionFile, Source, Take, ToolUse, What};
use crate::domain::event::{ErrorClass, StopReason};
use crate::domain::ids::TimeNs;
use crate::domain::lenient_json;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::views::transcripts::Key;

/// Its name.
const NAME: &str = "claude-code";
/// Kinds of lines that say nothing that is taken in.
const PASSED: [&str; 8] =
    ["summary", "system", "progress", "file-history-snapshot", "queue-operation", "attachment", "custom-title", "last-prompt"];
/// Replies of a thread that may still get lines, besides the newest: subagents that were at work at once wrote into one thread.
const OPEN_MAX: usize = 16;
/// What may have happened before the last line of a reply comes: behind more it is taken as it stands.
const AFTER_MAX: usize = 64;
/// The thread of subagents' lines that do not say whose they are.
const UNNAMED: &str = "sidechain";
/// Tools that change nothing.
const READERS: [&str; 8] = ["Read", "Grep", "Glob", "LS", "NotebookRead", "WebFetch", "WebSearch", "TodoWrite"];

/// Claude Code.
#[derive(Debug)]
pub struct ClaudeCode;

impl Source for ClaudeCode {
    fn name(&self) -> &'static str {
        NAME
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn places(&self, variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = Vec::new();
        let named = variable("CLAUDE_CONFIG_DIR").unwrap_or_default();
        places.extend(named.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from));
        if let Some(home) = variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from) {
            places.extend([home.join(".claude"), home.join(".config/claude")]);
        }
        places.into_iter().map(|place| place.join("projects")).collect()
    }

    fn detect(&self, path: &Path, tally: &mut Tally) -> io::Result<Vec<Session>> {
        let mut sessions = BTreeMap::new();
        if fs::metadata(path)?.is_file() {
            if is_session(path) {
                file(path, &mut sessions, tally);
            }
        } else {
            let inner = path.join("projects");
            let root = if inner.is_dir() { inner } else { path.to_owned() };
            fs::read_dir(&root)?;
            files::find(&root, &is_session, tally).iter().for_each(|path| file(path, &mut sessions, tally));
        }
        Ok(sessions
            .into_iter()
            .map(|((project, id), mut files)| {
                files.sort_by(|a, b| (&a.thread, &a.path).cmp(&(&b.thread, &b.path)));
                Session { id: format!("{project}/{id}"), project, files }
            })
            .collect())
    }

    fn began(&self, session: &Session) -> Option<TimeNs> {
        session.files.iter().filter_map(|file| first(&file.path, |line| line.timestamp.as_deref().and_then(time))).min()
    }

    fn read(&self, session: &Session, tally: &mut Tally, take: &mut Take<'_>) -> io::Result<()> {
        let mut before = 0;
        for file in &session.files {
            // Lines before the first that says when it was written are as old as that one.
            let now = first(&file.path, |line| line.timestamp.as_deref().and_then(time)).unwrap_or(file.modified);
            let mut reader = Reader { file, now, threads: Vec::new(), facts: Facts::default(), out: Vec::new() };
            let source = BufReader::with_capacity(1 << 20, File::open(&file.path)?.take(file.bytes));
            if files::read(file, source, before, &mut reader, tally, take)?.is_break() {
                break;
            }
            before += file.bytes;
        }
        Ok(())
    }
}

type Found = BTreeMap<(String, String), Vec<SessionFile>>;

fn is_session(path: &Path) -> bool {
    let is_rollout = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rollout-"));
    path.extension().is_some_and(|end| end == "jsonl") && !is_rollout
}

/// Says of which session a file is, by where it lies and what it is called.
fn file(path: &Path, found: &mut Found, tally: &mut Tally) {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "subagents"));
    let agent = stem.strip_prefix("agent-");
    let (project, id, thread) = if beside.is_some() || agent.is_some() {
        let around = beside.map_or_else(|| path.parent(), Path::parent);
        let thread = Some(agent.unwrap_or(&stem).to_owned());
        // The folder of a session has the session's file beside it, or its name is an id as sessions have them.
        let of_session = around.filter(|around| beside.is_some() && (around.with_extension("jsonl").is_file() || is_id(around)));
        match of_session {
            Some(folder) => (name(folder.parent()), name(Some(folder)), thread),
            None => (name(around), first(path, |line| line.session_id.map(Cow::into_owned)), thread),
        }
    } else {
        (name(path.parent()), Some(stem), None)
    };
    let Some(id) = id else { return tally.skip("the file does not say of which session it is", path, 0) };
    let Some(file) = SessionFile::at(path, thread, Vec::new(), tally) else { return };
    found.entry((project.unwrap_or_default(), id)).or_default().push(file);
}

fn is_id(folder: &Path) -> bool {
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.len() == 36 && name.bytes().enumerate().all(|(at, byte)| matches!(at, 8 | 13 | 18 | 23) == (byte == b'-'))
}

/// Returns what the first lines of a file say, without reading more of it than that takes.
fn first<T>(path: &Path, says: impl Fn(Told<'_>) -> Option<T>) -> Option<T> {
    const BYTES_MAX: u64 = 1 << 20;
    let file = File::open(path).ok()?;
    let mut lines = BufReader::new(file.take(BYTES_MAX));
    let mut text = Vec::new();
    loop {
        text.clear();
        if lines.read_until(b'\n', &mut text).ok()? == 0 {
            return None;
        }
        if let Some(said) = serde_json::from_slice::<Told<'_>>(&text).ok().and_then(&says) {
            return Some(said);
        }
    }
}

/// A line, as far as it is understood.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uuid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cwd: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    git_branch: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    agent_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(default)]
    is_sidechain: Option<bool>,
    #[serde(default)]
    is_meta: Option<bool>,
    #[serde(default)]
    is_compact_summary: Option<bool>,
    #[serde(default)]
    is_api_error_message: Option<bool>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(rename = "costUSD", default)]
    cost_usd: Option<Value>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    content: Value,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<Value>,
}

/// A reply that may still get lines.
struct Open {
    /// What its lines share.
    id: String,
    reply: Reply,
    at: TimeNs,
    has_stopped: bool,
    texts: Vec<String>,
    /// What its tools answered meanwhile.
    after: Vec<Entry>,
}

struct Thread {
    name: Option<Arc<str>>,
    open: VecDeque<Open>,
}

/// A file as it is read.
struct Reader<'a> {
    file: &'a SessionFile,
    now: TimeNs,
    threads: Vec<Thread>,
    facts: Facts,
    out: Vec<Item>,
}

impl LineReader for Reader<'_> {
    fn line(&mut self, text: &[u8], number: u64, tally: &mut Tally) {
        let path = &self.file.path;
        match serde_json::from_slice::<Told<'_>>(text) {
            Ok(told) => self.told(told, number, tally),
            Err(why) if why.is_eof() => {
                // A file that is written just now ends within a line.
                if !self.file.is_live {
                    tally.skip("a line is cut off", path, number);
                }
            }
            Err(why) if why.is_data() => tally.skip("a line has other kinds of values than it should", path, number),
            Err(why) => {
                let value = lenient_json::read(text).and_then(|value| serde_json::to_vec(&value));
                let broken = if std::str::from_utf8(text).is_err() { "a line is not UTF-8" } else { "a line is not JSON" };
                match value.as_deref().map(serde_json::from_slice::<Told<'_>>) {
                    Ok(Ok(told)) => {
                        tally.skip(format!("{broken}, what is broken in it was replaced"), path, number);
                        self.told(told, number, tally);
                    }
                    _ if why.to_string().contains("recursion") => tally.skip("a line is nested too deeply", path, number),
                    _ => tally.skip(broken, path, number),
                }
            }
        }
    }

    fn end(&mut self) {
        for place in 0..self.threads.len() {
            let thread = &mut self.threads[place];
            let may_grow = self.file.is_live && thread.open.back().is_some_and(|open| !open.has_stopped);
            let unfinished = thread.open.pop_back_if(|_| may_grow).map(|open| open.at);
            self.flush(place, 0);
            let thread = self.threads[place].name.clone();
            self.out.extend(unfinished.map(|at| Item::Entry(Entry { thread, at, what: What::Unfinished })));
        }
    }

    fn out(&mut self) -> &mut Vec<Item> {
        &mut self.out
    }
}

impl Reader<'_> {
    fn told(&mut self, told: Told<'_>, number: u64, tally: &mut Tally) {
        let path = self.file.path.clone();
        if let Some(at) = told.timestamp.as_deref().and_then(time) {
            self.now = at;
        }
        let kind = told.kind.as_deref().unwrap_or_default();
        if !matches!(kind, "user" | "assistant") {
            if !PASSED.contains(&kind) {
                tally.leave_out("a line of kind", kind, &path, number);
            }
            return;
        }
        self.note_facts(&told);
        let thread = match (&self.file.thread, told.is_sidechain) {
            (Some(thread), _) => Some(thread.as_str()),
            (None, Some(true)) => Some(told.agent_id.as_deref().unwrap_or(UNNAMED)),
            (None, _) => None,
        };
        let place = match self.threads.iter().position(|known| known.name.as_deref() == thread) {
            Some(place) => place,
            None => {
                self.threads.push(Thread { name: thread.map(Arc::from), open: VecDeque::new() });
                self.threads.len() - 1
            }
        };
        let Some(message) = &told.message else { return tally.skip("a line has no message", &path, number) };
        if kind == "user" {
            self.user(place, &told, &message.content);
        } else {
            self.assistant(place, &told, message, number, tally);
        }
    }

    fn note_facts(&mut self, told: &Told<'_>) {
        let new = |held: &Option<String>, said: &Option<Cow<'_, str>>| match (held, said.as_deref()) {
            (None, Some(said)) if !said.is_empty() => Some(said.to_owned()),
            _ => None,
        };
        let facts = Facts {
            folder: new(&self.facts.folder, &told.cwd),
            branch: new(&self.facts.branch, &told.git_branch),
            version: new(&self.facts.version, &told.version),
        };
        if facts != Facts::default() {
            let held = &mut self.facts;
            held.folder = held.folder.take().or_else(|| facts.folder.clone());
            held.branch = held.branch.take().or_else(|| facts.branch.clone());
            held.version = held.version.take().or_else(|| facts.version.clone());
            self.out.push(Item::Facts(facts));
        }
    }

    fn user(&mut self, place: usize, told: &Told<'_>, content: &Value) {
        let entry = |what| Entry { thread: self.threads[place].name.clone(), at: self.now, what };
        let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
        let (mut has_results, mut results) = (false, Vec::new());
        for block in blocks.iter().filter(|block| block["type"] == "tool_result") {
            has_results = true;
            let Some(id) = block["tool_use_id"].as_str() else { continue };
            let (ok, text) = (block["is_error"] != true, words(&block["content"]));
            results.push((id.to_owned(), entry(What::ToolResult { id: id.to_owned(), ok, text })));
        }
        let text = words(content);
        let text = text.trim();
        let interrupted = text.starts_with("[Request interrupted by user").then(|| entry(What::Interrupted));
        let is_asked = !has_results && told.is_meta != Some(true) && told.is_compact_summary != Some(true);
        let prompt = prompt(text).filter(|_| is_asked && interrupted.is_none());
        let prompt = prompt.map(|(text, stands_alone)| entry(What::Prompt { text, stands_alone }));
        for (id, result) in results {
            let open = &mut self.threads[place].open;
            match open.iter_mut().find(|open| open.reply.tools.iter().any(|tool| tool.id == id)) {
                Some(open) => open.after.push(result),
                None => self.out.push(Item::Entry(result)),
            }
        }
        if let Some(entry) = interrupted {
            self.flush(place, 0);
            self.out.push(Item::Entry(entry));
        } else if let Some(entry) = prompt {
            // Who asks on while a reply is written is heard after it: its last line, which says what it used, is yet to come.
            let may_grow = |open: &&mut Open| !open.has_stopped && open.after.len() < AFTER_MAX;
            match self.threads[place].open.back_mut().filter(may_grow) {
                Some(open) => open.after.push(entry),
                None => {
                    self.flush(place, 0);
                    self.out.push(Item::Entry(entry));
                }
            }
        }
    }

    fn assistant(&mut self, place: usize, told: &Told<'_>, message: &Message<'_>, number: u64, tally: &mut Tally) {
        let model = message.model.as_deref().unwrap_or_default();
        let is_error = told.is_api_error_message == Some(true);
        if is_error || model == "<synthetic>" {
            if is_error {
                self.flush(place, 0);
                let message = words(&message.content);
                let class = class(told.error.as_ref().and_then(Value::as_str).unwrap_or_default(), &message);
                let thread = self.threads[place].name.clone();
                self.out.push(Item::Entry(Entry { thread, at: self.now, what: What::Failed { class, message } }));
            }
            return;
        }
        let request = told.request_id.as_deref();
        let id = match (message.id.as_deref(), told.uuid.as_deref()) {
            (Some(id), _) => id.to_owned(),
            (None, Some(line)) => format!("line {line}"),
            (None, None) => format!("line of {} by {model}: {}", self.now, words(&message.content)),
        };
        let key = Key::reply(NAME, &id, request);
        let now = self.now;
        let open = &mut self.threads[place].open;
        let is_same = |open: &Open| {
            open.id == id && (open.reply.request.is_none() || request.is_none() || open.reply.request.as_deref() == request)
        };
        let at = match open.iter().position(is_same) {
            Some(at) => at,
            None => {
                let reply = Reply {
                    key,
                    aliases: Vec::new(),
                    provider: None,
                    model: model.to_owned(),
                    usage: None,
                    unpriced_because: None,
                    reported: None,
                    stop: None,
                    text: String::new(),
                    tools: Vec::new(),
                    request: request.map(str::to_owned),
                };
                open.push_back(Open { id, reply, at: now, has_stopped: false, texts: Vec::new(), after: Vec::new() });
                open.len() - 1
            }
        };
        open[at].add(told, message, now, &self.file.path, number, tally);
        self.flush(place, OPEN_MAX);
    }

    /// Hands over the oldest replies of a thread but for the last `rest`.
    fn flush(&mut self, place: usize, rest: usize) {
        let thread = &mut self.threads[place];
        while thread.open.len() > rest {
            let Some(open) = thread.open.pop_front() else { return };
            let Open { mut reply, at, texts, after, .. } = open;
            reply.text = texts.join("\n\n");
            self.out.push(Item::Entry(Entry { thread: thread.name.clone(), at, what: What::Reply(reply) }));
            self.out.extend(after.into_iter().map(Item::Entry));
        }
    }
}

impl Open {
    fn add(&mut self, told: &Told<'_>, message: &Message<'_>, now: TimeNs, path: &Path, number: u64, tally: &mut Tally) {
        if let Value::String(text) = &message.content {
            self.say(text);
        }
        for block in message.content.as_array().into_iter().flatten() {
            match block["type"].as_str().unwrap_or_default() {
                "text" => self.say(block["text"].as_str().unwrap_or_default()),
                "tool_use" => self.use_tool(block, false),
                "server_tool_use" => self.use_tool(block, true),
                "web_search_tool_result" | "web_fetch_tool_result" => {}
                "thinking" | "redacted_thinking" | "image" => {}
                other => tally.leave_out("a block of kind", other, path, number),
            }
        }
        let reply = &mut self.reply;
        reply.request = reply.request.take().or_else(|| told.request_id.as_deref().map(str::to_owned));
        reply.key = Key::reply(NAME, &self.id, reply.request.as_deref());
        let cost = told.cost_usd.as_ref().and_then(Value::as_f64).and_then(NanoUsd::from_usd);
        reply.reported = cost.or(reply.reported);
        let stop = message.stop_reason.as_deref();
        if self.has_stopped && stop.is_none() {
            return;
        }
        self.at = now;
        self.has_stopped |= stop.is_some();
        if let Some(model) = message.model.as_deref() {
            model.clone_into(&mut reply.model);
        }
        reply.stop = stop.map(stop_reason);
        match message.usage.as_ref().map(usage) {
            Some(Some(usage)) => reply.usage = Some(usage),
            // What an earlier line said of a part of the reply is not what the whole took.
            Some(None) => {
                reply.usage = None;
                tally.skip("tokens are negative or no numbers: their cost is not known", path, number);
            }
            None => {}
        }
        reply.unpriced_because = message.usage.as_ref().and_then(beyond_the_table);
    }

    /// Takes in a text: once, and whole where it was told while it grew.
    fn say(&mut self, text: &str) {
        if let Some(last) = self.texts.last_mut().filter(|last| text.starts_with(last.as_str())) {
            text.clone_into(last);
        } else if !text.trim().is_empty() && !self.texts.iter().any(|said| said == text) {
            self.texts.push(text.to_owned());
        }
    }

    fn use_tool(&mut self, block: &Value, is_done: bool) {
        let Some(name) = block["name"].as_str() else { return };
        let id = block["id"].as_str().unwrap_or_default().to_owned();
        let tool = ToolUse {
            id,
            name: name.to_owned(),
            arguments: block["input"].to_string(),
            writes: !is_done && !READERS.contains(&name),
            is_done,
        };
        match self.reply.tools.iter_mut().find(|known| known.id == tool.id) {
            Some(known) => *known = tool,
            None => self.reply.tools.push(tool),
        }
    }
}

/// Returns what a person asked; whether it counts even if nobody answered. `None` for what the program wrote.
fn prompt(text: &str) -> Option<(String, bool)> {
    const BY_THE_PROGRAM: [&str; 6] = [
        "<local-command-stdout>",
        "<local-command-stderr>",
        "<local-command-caveat>",
        "<task-notification>",
        "<bash-stdout>",
        "<system-reminder>",
    ];
    if text.is_empty() || BY_THE_PROGRAM.iter().any(|begin| text.starts_with(begin)) {
        return None;
    }
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner.trim())
    };
    match between("command-name").filter(|_| text.starts_with("<command-")) {
        // A command of the program's own has no answer of a model.
        Some(name) => Some((format!("{name} {}", between("command-args").unwrap_or_default()).trim().to_owned(), false)),
        None => Some((text.to_owned(), true)),
    }
}

/// Returns the texts of a content, which is a text or a list of blocks.
fn words(content: &Value) -> String {
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
fn usage(told: &Value) -> Option<TokenUsage> {
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

/// Returns why a reply that used so much cost something else than the table's prices for its tokens; `None` when it did not.
fn beyond_the_table(usage: &Value) -> Option<&'static str> {
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
    let searches = usage["server_tool_use"]["web_search_requests"].as_u64();
    searches.is_some_and(|searches| searches > 0).then_some("its web searches are charged besides tokens")
}

fn stop_reason(told: &str) -> StopReason {
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

fn class(error: &str, message: &str) -> ErrorClass {
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
