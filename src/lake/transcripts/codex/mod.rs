//! Codex: `sessions/YYYY/MM/DD/rollout-*.jsonl` and `archived_sessions/`, also compressed.
//!
//! A line is `{timestamp, type, payload}`. What a model says and asks for stands in `response_item`s; what it used follows in an
//! `event_msg` of type `token_count`, which names no model: the nearest `turn_context` before it does. A forked rollout, and that of a
//! subagent, repeats its parent's lines with new times; a call is known by its family, the tokens so far and its own tokens, so it is counted
//! once.
//!
//! Until September 2025 a line was the item alone, without a time: the first one is `{id, timestamp, instructions, git}`. Of tokens and models
//! such a rollout says nothing, and in which folder it was is told to the model only.

mod rollout;

use std::collections::{BTreeMap, HashMap};
use std::io;
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
use rollout::{Head, ancestors, head, is_bare_meta, open, relatives, rollouts};

/// Its name.
const NAME: &str = "codex";
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
            "" if self.own.is_none() && is_bare_meta(&line) => self.meta(&line),
            "" if line["record_type"] == "state" => {}
            kind if payload.is_null() && is_bare_item(kind) => self.bare_item(&line, number, tally),
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

    /// Takes an item of a rollout whose lines are items alone.
    fn bare_item(&mut self, item: &Value, number: u64, tally: &mut Tally) {
        let text = words(&item["content"]);
        let folder = text.split_once("<cwd>").and_then(|(_, rest)| rest.split_once("</cwd>")).map(|(folder, _)| folder.trim());
        if let Some(folder) = folder.filter(|_| text.starts_with("<environment_context>")) {
            self.out.push(Item::Facts(Facts { folder: Some(folder.to_owned()), ..Facts::default() }));
        }
        self.item(item, number, tally);
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
        // Without numbers two replies may be alike: what was said before tells them apart.
        let mut untold = self.keys(&["untold", &said, &text, &ids]);
        let told = told.map(|(key, aliases, usage)| {
            let aliases = aliases.into_iter().map(|alias| alias.with_request(&words));
            // It may have been taken in before its numbers were written.
            (key.with_request(&words), aliases.chain(std::mem::take(&mut untold)).collect(), usage)
        });
        let (key, aliases, usage) = told.unwrap_or_else(|| (untold.remove(0), untold, None));
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

/// Tells whether lines of this kind are items alone, as all were once.
fn is_bare_item(kind: &str) -> bool {
    const BARE: [&str; 8] = [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "local_shell_call",
        "custom_tool_call",
        "custom_tool_call_output",
        "web_search_call",
    ];
    BARE.contains(&kind)
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
