//! Gemini CLI: `tmp/<project>/chats/session-*.jsonl`, with its subagents in `chats/<session>/`; earlier versions wrote one JSON document a
//! session, `session-*.json`.
//!
//! The form is that of the program's public source (`chatRecordingTypes.ts`, 2026). The first line describes the session; then a line is a
//! message with an `id`, written again whenever it gets tokens or tools: the last one counts. Lines with `$set` change the description, or
//! the history that the program goes on with; `$rewindTo` takes messages out of it. What was paid for stays paid, so neither removes
//! anything here. Tokens of the input contain those from the cache; those of thoughts are not in the output.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::files::{self, LineReader, time};
use super::tally::Tally;
use super::{Entry, Facts, Item, Reply, Session, SessionFile, Source, Take, ToolUse, What};
use crate::domain::event::ErrorClass;
use crate::domain::ids::TimeNs;
use crate::domain::lenient_json;
use crate::domain::money::TokenUsage;
use crate::lake::lines::LINE_BYTES_MAX;
use crate::views::transcripts::Key;

/// Its name.
const NAME: &str = "gemini";
/// The folder of a project's sessions.
const CHATS: &str = "chats";
/// Says in which folder a project is.
const ROOT: &str = ".project_root";
/// Messages that may still be written again, besides the newest.
const OPEN_MAX: usize = 2;
/// Tools that change nothing.
const READERS: [&str; 9] = [
    "read_file",
    "read_many_files",
    "list_directory",
    "glob",
    "search_file_content",
    "grep_search",
    "google_web_search",
    "web_fetch",
    "get_internal_docs",
];

/// Gemini CLI.
#[derive(Debug)]
pub struct Gemini;

impl Source for Gemini {
    fn name(&self) -> &'static str {
        NAME
    }

    fn provider(&self) -> &'static str {
        "google"
    }

    fn places(&self, variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let named = variable("GEMINI_CLI_HOME").or_else(|| variable("HOME")).filter(|home| !home.is_empty());
        named.map(|home| PathBuf::from(home).join(".gemini/tmp")).into_iter().collect()
    }

    fn detect(&self, path: &Path, tally: &mut Tally) -> io::Result<Vec<Session>> {
        let found = if fs::metadata(path)?.is_file() {
            Some(path.to_owned()).filter(|path| is_chat(path)).into_iter().collect()
        } else {
            let inner = path.join("tmp");
            let folder = if inner.is_dir() { inner } else { path.to_owned() };
            fs::read_dir(&folder)?;
            files::find(&folder, &is_chat, tally)
        };
        let mut sessions: BTreeMap<String, (String, Vec<SessionFile>)> = BTreeMap::new();
        for path in found {
            let Some(Head { id, is_subagent, .. }) = head(&path) else {
                tally.skip("the file does not begin as a session does", &path, 0);
                continue;
            };
            let around =
                path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let parent = Some(around).filter(|around| is_subagent && around != CHATS);
            let thread = parent.is_some().then(|| id.clone());
            let project = chats(&path).and_then(Path::parent).and_then(Path::file_name);
            let project = project.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Some(file) = SessionFile::at(&path, thread, Vec::new(), tally) else { continue };
            sessions.entry(parent.unwrap_or(id)).or_insert_with(|| (project, Vec::new())).1.push(file);
        }
        Ok(sessions
            .into_iter()
            .map(|(id, (project, mut files))| {
                // A document that went on as lines stands before them: `.json` is less than `.jsonl`.
                files.sort_by(|a, b| (&a.thread, &a.path).cmp(&(&b.thread, &b.path)));
                Session { id, project, files }
            })
            .collect())
    }

    fn began(&self, session: &Session) -> Option<TimeNs> {
        session.files.iter().filter_map(|file| head(&file.path)?.at).min()
    }

    fn read(&self, session: &Session, tally: &mut Tally, take: &mut Take<'_>) -> io::Result<()> {
        let mut before = 0;
        for file in &session.files {
            let mut reader = Reader::new(file);
            reader.folder();
            let source = File::open(&file.path)?.take(file.bytes);
            let flow = if is_lines(&file.path) {
                let source = BufReader::with_capacity(1 << 20, source);
                files::read(file, source, before, &mut reader, tally, take)?
            } else {
                let mut text = Vec::new();
                source.take(LINE_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
                reader.document(&text, tally);
                reader.end();
                reader.out.drain(..).try_for_each(&mut *take)
            };
            if flow.is_break() {
                break;
            }
            before += file.bytes;
        }
        Ok(())
    }
}

fn is_lines(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "jsonl")
}

fn is_chat(path: &Path) -> bool {
    let is_json = is_lines(path) || path.extension().is_some_and(|end| end == "json");
    is_json && chats(path).is_some()
}

/// Returns the folder of sessions that a file lies in, itself or in a session's own folder.
fn chats(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).take(2).find(|folder| folder.file_name().is_some_and(|name| name == CHATS))
}

/// What a session says of itself.
struct Head {
    id: String,
    at: Option<TimeNs>,
    is_subagent: bool,
}

fn head(path: &Path) -> Option<Head> {
    let mut text = Vec::new();
    let mut source = BufReader::new(File::open(path).ok()?.take(LINE_BYTES_MAX as u64));
    if is_lines(path) {
        source.read_until(b'\n', &mut text).ok()?
    } else {
        source.read_to_end(&mut text).ok()?
    };
    let about: Value = serde_json::from_slice(&text).ok()?;
    Some(Head {
        id: about["sessionId"].as_str().filter(|id| !id.is_empty())?.to_owned(),
        at: about["startTime"].as_str().and_then(time),
        is_subagent: about["kind"] == "subagent",
    })
}

/// A file as it is read.
struct Reader<'a> {
    file: &'a SessionFile,
    thread: Option<Arc<str>>,
    now: TimeNs,
    /// Messages of the model that may be written again: id, when, and as they were written last.
    open: VecDeque<(String, TimeNs, Value)>,
    out: Vec<Item>,
}

impl LineReader for Reader<'_> {
    fn line(&mut self, text: &[u8], number: u64, tally: &mut Tally) {
        let path = &self.file.path;
        match serde_json::from_slice::<Value>(text) {
            Ok(line) => self.record(line, number, tally),
            Err(why) if why.is_eof() => {
                if !self.file.is_live {
                    tally.skip("a line is cut off", path, number);
                }
            }
            Err(why) if why.to_string().contains("recursion") => tally.skip("a line is nested too deeply", path, number),
            Err(_) => match lenient_json::read(text) {
                Ok(line) => {
                    tally.skip("a line is not UTF-8, what is broken in it was replaced", path, number);
                    self.record(line, number, tally);
                }
                Err(_) => tally.skip("a line is not JSON", path, number),
            },
        }
    }

    fn end(&mut self) {
        let is_open = |(.., message): &mut (String, TimeNs, Value)| self.file.is_live && !message["tokens"].is_object();
        if let Some((_, at, _)) = self.open.pop_back_if(is_open) {
            self.flush(0);
            let thread = self.thread.clone();
            return self.out.push(Item::Entry(Entry { thread, at, what: What::Unfinished }));
        }
        self.flush(0);
    }

    fn out(&mut self) -> &mut Vec<Item> {
        &mut self.out
    }
}

impl<'a> Reader<'a> {
    fn new(file: &'a SessionFile) -> Self {
        Self { file, thread: file.thread.as_deref().map(Arc::from), now: 0, open: VecDeque::new(), out: Vec::new() }
    }

    /// Takes in where the project is, where the program has noted it.
    fn folder(&mut self) {
        const BYTES_MAX: u64 = 64 * 1024;
        let Some(marker) = chats(&self.file.path).and_then(Path::parent).map(|project| project.join(ROOT)) else { return };
        let mut text = String::new();
        let read = File::open(marker).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        if read.is_ok() && !text.trim().is_empty() {
            self.out.push(Item::Facts(Facts { folder: Some(text.trim().to_owned()), ..Facts::default() }));
        }
    }

    /// Takes in a session that is one document.
    fn document(&mut self, text: &[u8], tally: &mut Tally) {
        let path = &self.file.path;
        if text.len() > LINE_BYTES_MAX {
            return tally.skip(format!("the document is longer than {LINE_BYTES_MAX} bytes"), path, 0);
        }
        let Ok(mut document) = serde_json::from_slice::<Value>(text).or_else(|_| lenient_json::read(text)) else {
            return tally.skip("the document is not JSON", path, 0);
        };
        tally.lines += 1;
        let Some(messages) = document.get_mut("messages").and_then(Value::as_array_mut).map(std::mem::take) else {
            return tally.skip("the document has no messages", path, 0);
        };
        messages.into_iter().for_each(|message| self.record(message, 0, tally));
    }

    fn record(&mut self, record: Value, number: u64, tally: &mut Tally) {
        if record["id"].is_string() {
            return self.message(record, number, tally);
        }
        let is_known = ["sessionId", "$set", "$rewindTo"].iter().any(|key| record.get(key).is_some());
        if !is_known {
            tally.leave_out(
                "a line that begins with",
                record.as_object().and_then(|line| line.keys().next()).map_or("", |key| key),
                &self.file.path,
                number,
            );
        }
    }

    fn message(&mut self, message: Value, number: u64, tally: &mut Tally) {
        let (id, kind) = (message["id"].as_str().unwrap_or_default(), message["type"].as_str().unwrap_or_default());
        if let Some(at) = message["timestamp"].as_str().and_then(time) {
            self.now = at;
        }
        match kind {
            "gemini" => {
                let (id, now) = (id.to_owned(), self.now);
                match self.open.iter_mut().find(|(known, ..)| *known == id) {
                    Some((.., known)) => *known = message,
                    None => self.open.push_back((id, now, message)),
                }
                self.usage_of_newest(number, tally);
                self.flush(OPEN_MAX);
            }
            "user" => {
                let text = words(&message["content"]);
                if !text.trim().is_empty() {
                    self.flush(0);
                    self.say(self.now, What::Prompt { text: text.trim().to_owned(), stands_alone: true });
                }
            }
            "error" => {
                self.flush(0);
                let message = words(&message["content"]);
                self.say(self.now, What::Failed { class: class(&message), message });
            }
            "info" | "warning" => {}
            other => tally.leave_out("a message of kind", other, &self.file.path, number),
        }
    }

    fn usage_of_newest(&self, number: u64, tally: &mut Tally) {
        let tokens = self.open.back().map(|(.., message)| &message["tokens"]);
        if tokens.is_some_and(|tokens| tokens.is_object() && usage(tokens).is_none()) {
            tally.skip("tokens are negative or no numbers: their cost is not known", &self.file.path, number);
        }
    }

    /// Hands over the oldest messages of the model but for the last `rest`.
    fn flush(&mut self, rest: usize) {
        while self.open.len() > rest {
            let Some((id, at, message)) = self.open.pop_front() else { return };
            let calls = message["toolCalls"].as_array().map(Vec::as_slice).unwrap_or_default();
            let reply = Reply {
                key: Key::reply(NAME, &id, None),
                aliases: Vec::new(),
                provider: None,
                model: message["model"].as_str().unwrap_or_default().to_owned(),
                usage: usage(&message["tokens"]),
                unpriced_because: None,
                reported: None,
                stop: None,
                text: words(&message["content"]),
                tools: calls.iter().map(tool).collect(),
                request: None,
            };
            self.say(at, What::Reply(reply));
            for call in calls {
                let (id, done) =
                    (call["id"].as_str().unwrap_or_default().to_owned(), call["status"].as_str().unwrap_or_default());
                if !matches!(done, "success" | "error" | "cancelled") {
                    continue;
                }
                let at = call["timestamp"].as_str().and_then(time).unwrap_or(at).max(at);
                self.say(at, What::ToolResult { id, ok: done == "success", text: result(&call["result"]) });
            }
        }
    }

    fn say(&mut self, at: TimeNs, what: What) {
        self.out.push(Item::Entry(Entry { thread: self.thread.clone(), at, what }));
    }
}

fn tool(call: &Value) -> ToolUse {
    let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
    let name = text("name");
    ToolUse {
        id: text("id"),
        writes: !READERS.contains(&name.as_str()),
        arguments: call["args"].to_string(),
        name,
        is_done: false,
    }
}

/// Returns the texts of a content: a text, a part, or a list of parts.
fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(words).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n"),
        part if part["thought"] == true => String::new(),
        part if part["text"].is_string() => part["text"].as_str().unwrap_or_default().to_owned(),
        part if part["inlineData"].is_object() || part["fileData"].is_object() => "[file]".to_owned(),
        _ => String::new(),
    }
}

/// Returns what a tool answered: a list of parts with the function's response.
fn result(result: &Value) -> String {
    match result {
        Value::Array(parts) => parts.iter().map(self::result).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n"),
        part if part["functionResponse"].is_object() => {
            let response = &part["functionResponse"]["response"];
            let said = ["output", "error"].iter().find_map(|key| response[key].as_str());
            said.map_or_else(|| response.to_string(), str::to_owned)
        }
        other => words(other),
    }
}

/// Reads what a message used; `None` when it does not say, or when a number is none.
fn usage(told: &Value) -> Option<TokenUsage> {
    let count = |name: &str| match &told[name] {
        Value::Null => Some(0),
        number => number.as_u64(),
    };
    told.is_object().then_some(())?;
    let (input, cached, thoughts) = (count("input")?, count("cached")?, count("thoughts")?);
    Some(TokenUsage {
        input: input.saturating_sub(cached).saturating_add(count("tool")?),
        cache_read: cached,
        cache_write_5m: 0,
        cache_write_1h: 0,
        output: count("output")?.saturating_add(thoughts),
        reasoning: thoughts,
    })
}

fn class(message: &str) -> ErrorClass {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["429", "quota", "RESOURCE_EXHAUSTED"]) {
        ErrorClass::RateLimit
    } else if has(&["401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"]) {
        ErrorClass::Auth
    } else if has(&["400", "INVALID_ARGUMENT"]) {
        ErrorClass::BadRequest
    } else if has(&["ECONN", "ENOTFOUND", "fetch failed", "imed out"]) {
        ErrorClass::Connection
    } else {
        ErrorClass::Server
    }
}
