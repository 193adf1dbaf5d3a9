//! Claude Code: `projects/<project>/<session>.jsonl`, with its subagents beside it.
//!
//! A line is a JSON object with a `type`. A reply is written several times while it streams: its lines share `message.id`, their
//! usage grows. Of them one reply is made, with the blocks of all and the usage of the last that says why the model stopped, else of the
//! last. Subagents are lines marked `isSidechain`, in the session's file, in files of their own, or in both.

mod session_file;
mod sidechains;
mod told;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::files::{self, LineReader, time};
use super::tally::Tally;
use super::{Entry, Facts, Item, Reply, Session, SessionFile, Source, Take, ToolUse, What};
use crate::domain::event::StopReason;
use crate::domain::ids::TimeNs;
use crate::domain::lenient_json;
use crate::domain::money::NanoUsd;
use crate::views::transcripts::Key;
use session_file::{file, first, is_session};
use sidechains::Sidechains;
use told::{Beside, Message, Told, beside, beyond_the_table, class, prompt, queued, stop_reason, usage, words};

/// Its name.
const NAME: &str = "claude-code";
/// Kinds of lines that say nothing that is taken in.
const PASSED: [&str; 18] = [
    "agent-color",
    "agent-name",
    "ai-title",
    "attachment",
    "content-replacement",
    "custom-title",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "pr-link",
    "progress",
    "queue-operation",
    "summary",
    "system",
    "tag",
    "worktree-state",
    "hook-progress",
];
/// Replies of a thread that may still get lines, besides the newest: subagents that were at work at once wrote into one thread.
const OPEN_MAX: usize = 16;
/// What may have happened before the last line of a reply comes: behind more it is taken as it stands.
const AFTER_MAX: usize = 64;
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

    fn is_fork(&self, session: &Session) -> bool {
        let is_said = |line: Told<'_>| line.message.is_some().then_some(line.forked_from.is_some());
        session.files.first().and_then(|file| first(&file.path, is_said)).unwrap_or(false)
    }

    fn read(&self, session: &Session, tally: &mut Tally, take: &mut Take<'_>) -> io::Result<()> {
        let mut before = 0;
        for file in &session.files {
            // Lines before the first that says when it was written are as old as that one.
            let began = first(&file.path, |line| line.timestamp.as_deref().and_then(time));
            if began.is_none() && file.bytes > 0 {
                tally.skip("no line says when it was written: the day is that of the file", &file.path, 0);
            }
            let now = began.unwrap_or(file.modified);
            let mut reader = Reader {
                file,
                now,
                threads: Vec::new(),
                sidechains: Sidechains::default(),
                facts: Facts::default(),
                out: Vec::new(),
            };
            let source = BufReader::with_capacity(1 << 20, File::open(&file.path)?.take(file.bytes));
            if files::read(file, source, before, &mut reader, tally, take)?.is_break() {
                break;
            }
            before += file.bytes;
        }
        Ok(())
    }
}

/// A reply that may still get lines.
struct Open {
    /// What its lines share.
    id: String,
    reply: Reply,
    /// Calls that were made for it, whose tokens its own leave out.
    beside: Vec<Beside>,
    at: TimeNs,
    has_stopped: bool,
    texts: Vec<String>,
    /// What its tools answered meanwhile.
    after: Vec<Entry>,
}

struct Thread {
    name: Option<Arc<str>>,
    open: VecDeque<Open>,
    /// What was typed meanwhile and has no answer yet: a line of its own may say it again.
    queued: Option<String>,
}

/// A file as it is read.
struct Reader<'a> {
    file: &'a SessionFile,
    now: TimeNs,
    threads: Vec<Thread>,
    sidechains: Sidechains,
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
                if let Some(told) = behind_a_cut(text) {
                    tally.skip("a line is cut off", path, number);
                    return self.told(told, number, tally);
                }
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

/// Returns the whole line that stands behind one that was cut off in its middle: a program that died writes no end of the line.
fn behind_a_cut(text: &[u8]) -> Option<Told<'_>> {
    const BEGINS: [&[u8]; 2] = [br#"{"parentUuid""#, br#"{"type""#];
    /// Places that are tried: texts may be full of them.
    const TRIED_MAX: usize = 16;
    let begun = (1..text.len()).filter(|at| BEGINS.iter().any(|begin| text[*at..].starts_with(begin))).take(TRIED_MAX);
    let told = |at: usize| serde_json::from_slice::<Told<'_>>(&text[at..]).ok().filter(|told| told.kind.is_some());
    begun.filter_map(told).next()
}

impl Reader<'_> {
    fn told(&mut self, told: Told<'_>, number: u64, tally: &mut Tally) {
        let path = self.file.path.clone();
        if let Some(at) = told.timestamp.as_deref().and_then(time) {
            self.now = at;
        }
        let kind = told.kind.as_deref().unwrap_or_default();
        let queued = told.attachment.as_ref().filter(|_| kind == "attachment").and_then(queued);
        if queued.is_none() && !matches!(kind, "user" | "assistant") {
            if !PASSED.contains(&kind) {
                tally.leave_out("a line of kind", kind, &path, number);
            }
            return;
        }
        self.note_facts(&told);
        self.sidechains.note(&told);
        let mut unnamed = None;
        let thread = match (&self.file.thread, told.is_sidechain) {
            (Some(thread), _) => Some(thread.as_str()),
            (None, Some(true)) => {
                Some(told.agent_id.as_deref().unwrap_or_else(|| unnamed.insert(self.sidechains.thread(&told)).as_str()))
            }
            (None, _) => None,
        };
        let place = match self.threads.iter().position(|known| known.name.as_deref() == thread) {
            Some(place) => place,
            None => {
                self.threads.push(Thread { name: thread.map(Arc::from), open: VecDeque::new(), queued: None });
                self.threads.len() - 1
            }
        };
        if let Some(text) = queued {
            let what = prompt(text.trim()).map(|(text, stands_alone)| What::Prompt { text, stands_alone });
            self.threads[place].queued = Some(text);
            return self.ask(place, what);
        }
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
        // Beside what tools answered a person may have said something; a picture there is a tool's.
        let has_said = !has_results || blocks.iter().any(|block| block["type"] == "text");
        let is_asked = has_said && told.is_meta != Some(true) && told.is_compact_summary != Some(true);
        let is_queued = self.threads[place].queued.take().is_some_and(|queued| queued.trim() == text);
        let prompt = prompt(text).filter(|_| is_asked && interrupted.is_none() && !is_queued);
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
        } else {
            self.ask(place, prompt.map(|(text, stands_alone)| What::Prompt { text, stands_alone }));
        }
    }

    /// Takes in what a person asked, if anything.
    fn ask(&mut self, place: usize, prompt: Option<What>) {
        let Some(what) = prompt else { return };
        let entry = Entry { thread: self.threads[place].name.clone(), at: self.now, what };
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
        // What was typed meanwhile has its answer: the same words after it are asked again.
        self.threads[place].queued = None;
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
                let (beside, texts, after) = (Vec::new(), Vec::new(), Vec::new());
                open.push_back(Open { id, reply, beside, at: now, has_stopped: false, texts, after });
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
            let Open { id, mut reply, beside, at, texts, after, .. } = open;
            reply.text = texts.join("\n\n");
            for (beside, number) in beside.into_iter().zip(1..) {
                let key = Key::reply(NAME, &format!("{id} {} {number}", beside.kind), reply.request.as_deref());
                let what = What::Reply(beside.reply(key, &reply));
                self.out.push(Item::Entry(Entry { thread: thread.name.clone(), at, what }));
            }
            self.out.push(Item::Entry(Entry { thread: thread.name.clone(), at, what: What::Reply(reply) }));
            self.out.extend(after.into_iter().map(Item::Entry));
        }
    }
}

impl Beside {
    /// Returns it as a call of its own, made for `reply`.
    fn reply(self, key: Key, reply: &Reply) -> Reply {
        Reply {
            key,
            aliases: Vec::new(),
            model: self.model.unwrap_or_else(|| reply.model.clone()),
            usage: self.usage,
            reported: None,
            stop: Some(StopReason::Other),
            text: String::new(),
            tools: Vec::new(),
            ..reply.clone()
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
                "server_tool_use" | "mcp_tool_use" => self.use_tool(block, true),
                "thinking" | "redacted_thinking" | "image" | "compaction" => {}
                // What a tool of the provider answered.
                kind if kind.ends_with("_tool_result") => {}
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
        self.beside = message.usage.as_ref().map(beside).unwrap_or_default();
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
