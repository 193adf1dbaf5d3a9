//! Codex: `sessions/YYYY/MM/DD/rollout-*.jsonl` and `archived_sessions/`, also compressed.
//!
//! A line is `{timestamp, type, payload}`. What a model says and asks for stands in `response_item`s; what it used follows in an
//! `event_msg` of type `token_count`, which names no model: the nearest `turn_context` before it does. A forked rollout, and that of a
//! subagent, repeats its parent's lines with new times; a call is known by its family, the tokens so far and its own tokens, so it is counted
//! once.

use std::collections::{BTreeMap, HashMap};
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
use crate::views::transcripts::Key;

/// Its name.
const NAME: &str = "codex";
/// The folders of its home that hold rollouts.
const FOLDERS: [&str; 2] = ["sessions", "archived_sessions"];
/// Generations that are followed.
const GENERATIONS_MAX: usize = 100;
/// Kinds of items that say nothing that is taken in.
const ITEMS_PASSED: [&str; 3] = ["reasoning", "ghost_snapshot", "compaction"];
/// Kinds of events that say nothing that is taken in, or what items say too.
const EVENTS_PASSED: [&str; 13] = [
    "thread_rolled_back",
    "agent_message",
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "agent_reasoning_section_break",
    "task_started",
    "task_complete",
    "turn_started",
    "turn_complete",
    "context_compacted",
    "entered_review_mode",
    "exited_review_mode",
    "thread_name_updated",
];
/// How texts begin that the program puts before a person's.
const BY_THE_PROGRAM: [&str; 8] = [
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "<collaboration_mode>",
    "<turn_aborted>",
    "<subagent_notification>",
    "<skill>",
    "# AGENTS.md instructions",
];
/// With which some programs begin a text in UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();
/// Tools that change nothing.
const READERS: [&str; 3] = ["update_plan", "view_image", "web_search"];

/// Codex.
#[derive(Debug)]
pub struct Codex;

impl Source for Codex {
    fn name(&self) -> &'static str {
        NAME
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn places(&self, variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let home = variable("CODEX_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let users = variable("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".codex"));
        home.or(users).into_iter().collect()
    }

    fn detect(&self, path: &Path, tally: &mut Tally) -> io::Result<Vec<Session>> {
        let mut known: HashMap<String, Head> = HashMap::new();
        let mut heads: Vec<(PathBuf, Head)> = Vec::new();
        for file in rollouts(path, tally)? {
            match head(&file) {
                Some((head, parents)) => {
                    for parent in parents {
                        known.entry(parent.id.clone()).or_insert(parent);
                    }
                    heads.push((file, head));
                }
                None => tally.skip("the file does not begin as a rollout does", &file, 0),
            }
        }
        for file in relatives(path) {
            if let Some((head, parents)) = head(&file) {
                for parent in parents.into_iter().chain([head]) {
                    known.entry(parent.id.clone()).or_insert(parent);
                }
            }
        }
        known.extend(heads.iter().map(|(_, head)| (head.id.clone(), head.clone())));
        let mut sessions: BTreeMap<String, Vec<SessionFile>> = BTreeMap::new();
        for (path, head) in &heads {
            let owner = ancestors(head, &known, |head| head.spawned_by.as_deref()).swap_remove(0);
            let family = ancestors(head, &known, |head| head.spawned_by.as_deref().or(head.forked_from.as_deref()));
            let thread = head.spawned_by.is_some().then(|| head.id.clone());
            let Some(file) = SessionFile::at(path, thread, family, tally) else { continue };
            sessions.entry(owner).or_default().push(file);
        }
        Ok(sessions
            .into_iter()
            .map(|(id, mut files)| {
                files.sort_by(|a, b| (&a.thread, &a.path).cmp(&(&b.thread, &b.path)));
                Session { id, project: String::new(), files }
            })
            .collect())
    }

    fn began(&self, session: &Session) -> Option<TimeNs> {
        session.files.iter().filter_map(|file| head(&file.path)?.0.at).min()
    }

    fn read(&self, session: &Session, tally: &mut Tally, take: &mut Take<'_>) -> io::Result<()> {
        let mut before = 0;
        for file in &session.files {
            let mut reader = Reader::new(file);
            let source = open(&file.path, file.bytes)?;
            if files::read(file, source, before, &mut reader, tally, take)?.is_break() {
                break;
            }
            before += file.bytes;
        }
        Ok(())
    }
}

fn is_rollout(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with("rollout-") && (name.ends_with(".jsonl") || is_packed(path))
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "zst")
}

/// Opens a file up to the bytes that it had when it was found.
fn open(path: &Path, bytes: u64) -> io::Result<Box<dyn BufRead>> {
    const BUFFER: usize = 1 << 20;
    let file = File::open(path)?.take(bytes);
    if is_packed(path) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::new(file)?)));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
}

/// Returns the rollouts at `path`: a file, a home of Codex, or a folder with rollouts.
fn rollouts(path: &Path, tally: &mut Tally) -> io::Result<Vec<PathBuf>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    fs::read_dir(path)?;
    let inner: Vec<PathBuf> = FOLDERS.iter().map(|folder| path.join(folder)).filter(|folder| folder.is_dir()).collect();
    let folders = if inner.is_empty() { vec![path.to_owned()] } else { inner };
    Ok(folders.iter().flat_map(|folder| files::find(folder, &is_rollout, tally)).collect())
}

/// Returns the rollouts of the same home in the other folder, which may be parents of those at `path`.
fn relatives(path: &Path) -> Vec<PathBuf> {
    let named = |folder: &&Path| folder.file_name().is_some_and(|name| FOLDERS.iter().any(|known| name == *known));
    let Some((own, home)) = path.ancestors().find(named).and_then(|own| Some((own, own.parent()?))) else { return Vec::new() };
    let others = FOLDERS.iter().map(|folder| home.join(folder)).filter(|folder| folder.is_dir());
    let others = others.filter(|folder| folder != own || folder != path);
    others.flat_map(|folder| files::find(&folder, &is_rollout, &mut Tally::default())).collect()
}

/// What a rollout says of itself first.
#[derive(Clone)]
struct Head {
    id: String,
    at: Option<TimeNs>,
    forked_from: Option<String>,
    spawned_by: Option<String>,
}

/// Returns what a rollout says of itself, and of those that it was forked from, whose descriptions stand behind its own.
fn head(path: &Path) -> Option<(Head, Vec<Head>)> {
    const BYTES_MAX: u64 = 4 << 20;
    let mut lines = open(path, u64::MAX).ok()?.take(BYTES_MAX);
    let mut next = || {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).ok()?;
        described(&serde_json::from_slice(line.strip_prefix(BOM).unwrap_or(&line)).ok()?)
    };
    let mut own = next()?;
    let parents: Vec<Head> = std::iter::from_fn(next).take(GENERATIONS_MAX).filter(|parent| parent.id != own.id).collect();
    // Before forks named their parent, they had nothing of it but its description and its lines.
    if own.forked_from.is_none() && own.spawned_by.is_none() {
        own.forked_from = parents.first().map(|parent| parent.id.clone());
    }
    Some((own, parents))
}

fn described(line: &Value) -> Option<Head> {
    if line["type"] != "session_meta" {
        return None;
    }
    let meta = &line["payload"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let spawned = &meta["source"]["subagent"]["thread_spawn"]["parent_thread_id"];
    Some(Head {
        id: text(&meta["id"])?,
        at: meta["timestamp"].as_str().or_else(|| line["timestamp"].as_str()).and_then(time),
        forked_from: text(&meta["forked_from_id"]),
        spawned_by: text(spawned).or_else(|| text(&meta["parent_thread_id"])),
    })
}

/// Returns whom a rollout comes from, the first of them first, and itself last.
fn ancestors(head: &Head, known: &HashMap<String, Head>, from: impl Fn(&Head) -> Option<&str>) -> Vec<String> {
    let mut ids = vec![head.id.clone()];
    let mut at = Some(head);
    while let Some(parent) = at.and_then(&from).filter(|_| ids.len() < GENERATIONS_MAX) {
        // A circle has no first one.
        if ids.iter().any(|id| id == parent) {
            break;
        }
        ids.push(parent.to_owned());
        at = known.get(parent);
    }
    ids.reverse();
    ids
}

/// What a model said and asked for, until its tokens are told.
#[derive(Default)]
struct Open {
    at: TimeNs,
    texts: Vec<String>,
    tools: Vec<ToolUse>,
    after: Vec<Entry>,
}

/// A file as it is read.
struct Reader<'a> {
    file: &'a SessionFile,
    thread: Option<Arc<str>>,
    now: TimeNs,
    model: String,
    provider: Option<String>,
    /// The tokens so far, as they were told last.
    total: Option<Value>,
    /// Names everything that was said so far.
    said: Key,
    /// The last prompt, until something answers it: items and events tell it both.
    asked: Option<String>,
    /// The last prompt.
    prompt: String,
    /// The session's id, once its description was read.
    own: Option<String>,
    /// It repeats another rollout, with new times: what nobody answered there is not asked again.
    is_copy: bool,
    open: Option<Open>,
    out: Vec<Item>,
}

impl LineReader for Reader<'_> {
    fn line(&mut self, text: &[u8], number: u64, tally: &mut Tally) {
        let path = &self.file.path;
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let line: Value = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(why) if why.is_eof() => {
                if !self.file.is_live {
                    tally.skip("a line is cut off", path, number);
                }
                return;
            }
            Err(why) if why.to_string().contains("recursion") => return tally.skip("a line is nested too deeply", path, number),
            Err(_) => match lenient_json::read(text) {
                Ok(line) => {
                    tally.skip("a line is not UTF-8, what is broken in it was replaced", path, number);
                    line
                }
                Err(_) => return tally.skip("a line is not JSON", path, number),
            },
        };
        if let Some(at) = line["timestamp"].as_str().and_then(time) {
            self.now = at;
        }
        let payload = &line["payload"];
        match line["type"].as_str().unwrap_or_default() {
            "session_meta" => self.meta(payload),
            "turn_context" => {
                if let Some(model) = payload["model"].as_str() {
                    model.clone_into(&mut self.model);
                }
            }
            "response_item" => self.item(payload, number, tally),
            "event_msg" => self.event(payload, number, tally),
            "compacted" => {}
            other => tally.leave_out("a line of kind", other, path, number),
        }
    }

    fn end(&mut self) {
        if self.file.is_live && self.open.take().is_some() {
            return self.say(What::Unfinished);
        }
        self.flush(None);
    }

    fn out(&mut self) -> &mut Vec<Item> {
        &mut self.out
    }
}

impl<'a> Reader<'a> {
    fn new(file: &'a SessionFile) -> Self {
        Self {
            file,
            thread: file.thread.as_deref().map(Arc::from),
            now: 0,
            model: String::new(),
            provider: None,
            total: None,
            said: Key::of(&[]),
            asked: None,
            prompt: String::new(),
            own: None,
            is_copy: file.thread.is_some(),
            open: None,
            out: Vec::new(),
        }
    }

    /// Takes the session's own description; a fork repeats those of its parents behind it.
    fn meta(&mut self, meta: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(own) = &self.own {
            self.is_copy |= text(&meta["id"]).is_some_and(|id| id != *own);
            return;
        }
        self.own = Some(text(&meta["id"]).unwrap_or_default());
        self.provider = text(&meta["model_provider"]);
        self.is_copy |= meta["forked_from_id"].is_string();
        self.out.push(Item::Facts(Facts {
            folder: text(&meta["cwd"]),
            branch: text(&meta["git"]["branch"]),
            version: text(&meta["cli_version"]),
        }));
    }

    fn item(&mut self, item: &Value, number: u64, tally: &mut Tally) {
        match item["type"].as_str().unwrap_or_default() {
            "message" if item["role"] == "assistant" => {
                let text = words(&item["content"]);
                self.speak().texts.push(text);
            }
            "message" if item["role"] == "user" => self.prompt(&words(&item["content"])),
            "message" => {}
            "function_call" => self.tool(item, &item["arguments"], false),
            "custom_tool_call" => self.tool(item, &item["input"], false),
            "local_shell_call" => self.tool(item, &item["action"], false),
            "web_search_call" => self.tool(item, &item["action"], true),
            "function_call_output" | "custom_tool_call_output" => self.tool_result(item),
            kind if ITEMS_PASSED.contains(&kind) => {}
            other => tally.leave_out("an item of kind", other, &self.file.path, number),
        }
    }

    fn event(&mut self, event: &Value, number: u64, tally: &mut Tally) {
        match event["type"].as_str().unwrap_or_default() {
            "user_message" => self.prompt(event["message"].as_str().unwrap_or_default()),
            "token_count" => self.tokens(&event["info"], number, tally),
            "turn_aborted" => {
                self.flush(None);
                self.say(What::Interrupted);
            }
            "error" => {
                self.flush(None);
                let message = event["message"].as_str().unwrap_or_default().to_owned();
                let class = if message.contains("limit") { ErrorClass::RateLimit } else { ErrorClass::Server };
                self.say(What::Failed { class, message });
            }
            kind if EVENTS_PASSED.contains(&kind) => {}
            other => tally.leave_out("an event of kind", other, &self.file.path, number),
        }
    }

    fn prompt(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || BY_THE_PROGRAM.iter().any(|begin| text.starts_with(begin)) || self.asked.as_deref() == Some(text) {
            return;
        }
        self.flush(None);
        self.asked = Some(text.to_owned());
        text.clone_into(&mut self.prompt);
        self.said = Key::of(&["said", &self.said.to_hex(), text]);
        self.say(What::Prompt { text: text.to_owned(), stands_alone: !self.is_copy });
    }

    /// Returns what the model is saying now. What it said before its tools answered was another call.
    fn speak(&mut self) -> &mut Open {
        if self.open.as_ref().is_some_and(|open| !open.after.is_empty()) {
            self.flush(None);
        }
        self.asked = None;
        let now = self.now;
        let open = self.open.get_or_insert_default();
        open.at = now;
        open
    }

    fn tool(&mut self, item: &Value, arguments: &Value, is_done: bool) {
        let kind = item["type"].as_str().unwrap_or_default();
        let name = item["name"].as_str().unwrap_or(kind.strip_suffix("_call").unwrap_or(kind)).to_owned();
        let id = item["call_id"].as_str().or_else(|| item["id"].as_str()).unwrap_or_default().to_owned();
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        let writes = !READERS.contains(&name.as_str());
        self.speak().tools.push(ToolUse { id, name, arguments, writes, is_done });
    }

    fn tool_result(&mut self, item: &Value) {
        let id = item["call_id"].as_str().unwrap_or_default().to_owned();
        let (text, ok) = result(&item["output"]);
        let entry = Entry { thread: self.thread.clone(), at: self.now, what: What::ToolResult { id: id.clone(), ok, text } };
        match &mut self.open {
            Some(open) if open.tools.iter().any(|tool| tool.id == id) => open.after.push(entry),
            _ => self.out.push(Item::Entry(entry)),
        }
    }

    /// Takes what a call used: told beside, else the difference of the sums. A sum that did not change tells of no call.
    fn tokens(&mut self, info: &Value, number: u64, tally: &mut Tally) {
        let total = &info["total_token_usage"];
        if info.is_null() || (total.is_object() && self.total.as_ref() == Some(total)) {
            return;
        }
        let before = self.total.replace(total.clone());
        let last = &info["last_token_usage"];
        let used = if last.is_object() {
            usage(last)
        } else {
            let before = before.as_ref().filter(|before| before.is_object()).map_or(Some([0; 5]), counts);
            let now = counts(total);
            now.zip(before).map(|(now, before)| {
                let mut used = now;
                used.iter_mut().zip(before).for_each(|(now, before)| *now = now.saturating_sub(before));
                of_counts(used)
            })
        };
        if used == Some(TokenUsage::default()) {
            // The program counts nothing: whatever it tells of, no model was called.
            return;
        }
        if used.is_none() {
            tally.skip("tokens are negative or no numbers: their cost is not known", &self.file.path, number);
        }
        if self.open.is_none() {
            self.open = Some(Open { at: self.now, ..Open::default() });
        }
        self.asked = None;
        let mut keys = self.keys(&["reply", &total.to_string(), &last.to_string()]);
        let key = keys.remove(0);
        self.flush(Some((key, keys, used)));
    }

    /// Returns by what something is known: under the first of the family, and under each that may have been taken for the first.
    fn keys(&self, parts: &[&str]) -> Vec<Key> {
        let (what, rest) = parts.split_at(1);
        let key = |of: &str| Key::of(&[what, &[NAME, of], rest].concat());
        let keys: Vec<Key> = self.file.family.iter().map(|of| key(of)).collect();
        if keys.is_empty() { vec![key("")] } else { keys }
    }

    /// Hands over what the model said, with what it used; without, that is not known.
    fn flush(&mut self, told: Option<(Key, Vec<Key>, Option<TokenUsage>)>) {
        let Some(open) = self.open.take() else { return };
        let Open { at, texts, tools, after } = open;
        let text = texts.join("\n\n");
        let ids: String = tools.iter().map(|tool| tool.id.as_str()).collect::<Vec<_>>().join(" ");
        let said = self.said.to_hex();
        // Two forks of a session may come to the same numbers with other words.
        let words = Key::of(&[&self.prompt, &text, &ids]).to_hex();
        let told = told.map(|(key, aliases, usage)| {
            let aliases = aliases.into_iter().map(|alias| alias.with_request(&words)).collect();
            (key.with_request(&words), aliases, usage)
        });
        let (key, aliases, usage) = told.unwrap_or_else(|| {
            // Without numbers two replies may be alike: what was said before tells them apart.
            let mut keys = self.keys(&["untold", &said, &text, &ids]);
            (keys.remove(0), keys, None)
        });
        self.said = Key::of(&["said", &said, &text, &ids]);
        let reply = Reply {
            key,
            aliases,
            provider: self.provider.clone(),
            model: self.model.clone(),
            usage,
            unpriced_because: None,
            reported: None,
            stop: None,
            text,
            tools,
            request: None,
        };
        self.out.push(Item::Entry(Entry { thread: self.thread.clone(), at, what: What::Reply(reply) }));
        self.out.extend(after.into_iter().map(Item::Entry));
    }

    fn say(&mut self, what: What) {
        self.out.push(Item::Entry(Entry { thread: self.thread.clone(), at: self.now, what }));
    }
}

/// Returns the texts of a message.
fn words(content: &Value) -> String {
    let texts = content.as_array().into_iter().flatten().filter_map(|part| match part["type"].as_str() {
        Some("input_text" | "output_text" | "text") => part["text"].as_str(),
        Some("input_image") => Some("[image]"),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Returns what a tool answered, and whether it did what it was asked.
fn result(output: &Value) -> (String, bool) {
    let text = match output {
        Value::String(text) => text.clone(),
        Value::Array(_) => words(output),
        other => other["content"].as_str().map_or_else(|| other.to_string(), str::to_owned),
    };
    if output["success"] == false {
        return (text, false);
    }
    // A shell's answer is JSON in a text, or begins with its exit code.
    if let Ok(inner) = serde_json::from_str::<Value>(&text)
        && let Some(said) = inner["output"].as_str()
    {
        let ok = inner["metadata"]["exit_code"].as_i64().is_none_or(|code| code == 0);
        return (said.to_owned(), ok);
    }
    let code = text.strip_prefix("Exit code: ").and_then(|rest| rest.lines().next()).map(str::trim);
    let ok = code.is_none_or(|code| code == "0");
    (text, ok)
}

/// Reads input, cached, written, output and reasoning; `None` when a number is none.
fn counts(told: &Value) -> Option<[u64; 5]> {
    let count = |name: &str| match &told[name] {
        Value::Null => Some(0),
        number => number.as_u64(),
    };
    Some([
        count("input_tokens")?,
        count("cached_input_tokens")?,
        count("cache_write_input_tokens")?,
        count("output_tokens")?,
        count("reasoning_output_tokens")?,
    ])
}

/// Input contains what was read from the cache and written to it; output contains reasoning.
fn of_counts([input, cached, written, output, reasoning]: [u64; 5]) -> TokenUsage {
    TokenUsage {
        input: input.saturating_sub(cached).saturating_sub(written),
        cache_read: cached,
        cache_write_5m: written,
        cache_write_1h: 0,
        output,
        reasoning,
    }
}

fn usage(told: &Value) -> Option<TokenUsage> {
    counts(told).map(of_counts)
}
