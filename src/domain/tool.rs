//! Tools as decisions see them: what is offered to a model, whether what it asks for may run, and how much of a result it is told.
//!
//! What a tool does in the world is the affair of the room `tools`; here are its description, the check of its arguments against
//! its schema, and the limits of what is told.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::ToolFault;
use super::ids::Hash;
use super::judge::{Edition, schema_problems};
use super::named::named_enums;
use super::redact::Redactor;

/// The name of the tool that runs programs: an agent has it by listing it, or by listing a program that the settings allow.
pub const RUN_COMMAND: &str = "run_command";
/// The tool that reads lines of a file.
pub const READ_FILE: &str = "read_file";
/// What a model is told when it has used up its turns.
pub const LAST_TURN: &str = "These were the last tool calls that you may make. Give your whole answer now, with what you know.";
/// The tool that writes a whole file.
pub const WRITE_FILE: &str = "write_file";
/// The tool that changes files by a diff.
pub const APPLY_PATCH: &str = "apply_patch";
/// The tool that fetches from origins which the settings allow.
pub const HTTP_GET: &str = "http_get";
/// The tool that searches the memory of the store.
pub const RECALL: &str = "recall";
/// Bytes of a result that a model is told, at most; the rest is kept beside.
pub const RESULT_BYTES_MAX: usize = 32 * 1024;
/// What stands in a result behind this is kept and never told: data that is no text. See [`without_mark`].
pub const KEPT_BESIDE: &str = "\u{1c}\u{1d}kept beside\u{1d}\u{1c}\n";
/// Of these, bytes of its end.
const TAIL_BYTES: usize = 8 * 1024;
/// Tool calls of one turn that are answered, at most.
pub const CALLS_PER_TURN_MAX: usize = 64;
/// After so many failures of the same call it is not run again.
pub const SAME_FAILURES_MAX: usize = 2;
/// An attempt ends when in so many turns on end every call failed.
pub const FAILED_TURNS_MAX: usize = 3;

named_enums! {
    /// What a tool does to the world, and so what it means to run it again.
    ToolEffect {
        /// It only looks.
        Reads = "reads",
        /// It changes something, and doing it again changes nothing more.
        Idempotent = "idempotent",
        /// It changes something; again is twice.
        Writes = "writes",
        /// It speaks to somebody outside.
        ReachesOut = "reaches_out",
    }
}

/// The names of the built-in tools. None of them stands for a program that is called so, whatever the settings allow.
const BUILT_IN: [&str; 10] =
    ["list_files", "find_files", READ_FILE, "search_files", "git", RUN_COMMAND, WRITE_FILE, APPLY_PATCH, HTTP_GET, RECALL];

/// Returns whether a name is that of a built-in tool.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// Bytes of a tool's name that are recorded and said, at most: a model may ask for anything.
const NAME_BYTES_MAX: usize = 100;

/// Bytes of a name that every provider takes, at most.
const MCP_NAME_BYTES_MAX: usize = 64;

/// Returns a tool's name as it is recorded and said.
pub fn short_name(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    format!("{}…", &name[..name.floor_char_boundary(NAME_BYTES_MAX)])
}

/// Returns whether a built-in tool changes files of the workspace, which settings must allow.
pub fn changes_files(name: &str) -> bool {
    matches!(name, WRITE_FILE | APPLY_PATCH)
}

impl ToolEffect {
    /// Returns whether running it again does no harm.
    pub fn may_repeat(self) -> bool {
        matches!(self, Self::Reads | Self::Idempotent)
    }
}

/// A tool as a model is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
    /// What it does to the world.
    pub effect: ToolEffect,
}

impl ToolSpec {
    /// Returns what is wrong with `arguments`, in words for the model; `None` when they are as the schema asks.
    pub fn problem(&self, arguments: &Value) -> Option<String> {
        if let Value::String(text) = arguments {
            let start: String = text.chars().take(200).collect();
            return Some(format!("The arguments of `{}` are not JSON: {start}", self.name));
        }
        match schema_problems(&self.parameters, arguments, Edition::default()) {
            Ok(problems) if problems.is_empty() => None,
            Ok(problems) => Some(format!(
                "The arguments of `{}` are not of its schema: {}.\nThe schema is {}",
                self.name,
                problems.join("; "),
                self.parameters
            )),
            Err(why) => Some(format!("The schema of `{}` cannot be used: {why}", self.name)),
        }
    }
}

/// What came of running a tool. Its text is redacted.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOutcome {
    /// Why it did not do what it was asked; `None` when it did.
    pub fault: Option<ToolFault>,
    /// The result, as much as was kept of it.
    pub text: String,
    /// Bytes of the result before anything was left out.
    pub bytes: u64,
    /// What it changed in files, as a unified diff; `None` for tools that change none, or do not say.
    pub diff: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
}

impl ToolOutcome {
    /// Something that was done, and takes no time to say.
    pub fn done(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { fault: None, bytes: text.len() as u64, text, diff: None, latency_ms: 0 }
    }

    /// A failure that Meno itself states.
    pub fn refused(fault: ToolFault, text: impl Into<String>) -> Self {
        Self { fault: Some(fault), ..Self::done(text) }
    }

    /// Returns it as it may be recorded. What is removed from it is not left out of what the model is told, so it counts for nothing.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        if let Cow::Owned(text) = redactor.redact_output(&self.text) {
            self.bytes = self.bytes.saturating_sub(self.text.len() as u64).saturating_add(text.len() as u64);
            self.text = text;
        }
        if let Some(diff) = &mut self.diff
            && let Cow::Owned(redacted) = redactor.redact_output(diff)
        {
            *diff = redacted;
        }
        self
    }
}

/// Returns what a model is told of a result: all of it, or its head and its tail with a line between that says what is missing.
/// `bytes` is the length that the result had before anybody cut it. `None` when all is told.
pub fn cut(text: &str, bytes: u64) -> Option<String> {
    if let Some((told, _)) = text.split_once(KEPT_BESIDE) {
        return Some(shortened(told, told.len() as u64).unwrap_or_else(|| told.to_owned()));
    }
    shortened(text, bytes)
}

/// How the line ends above data that is no text, where it is kept beside a result.
pub const IN_BASE64: &str = ", in Base64]";

/// Takes the whole of a result apart: what there was to tell, and what is no text, each with the words above it and its data in Base64.
pub fn kept_beside(whole: &str) -> (&str, Vec<(&str, String)>) {
    let Some((told, beside)) = whole.split_once(KEPT_BESIDE) else { return (whole, Vec::new()) };
    let mut kept: Vec<(&str, String)> = Vec::new();
    for line in beside.lines() {
        match (line.strip_prefix('[').and_then(|line| line.strip_suffix(IN_BASE64)), kept.last_mut()) {
            (Some(words), _) => kept.push((words, String::new())),
            (None, Some((_, data))) => data.push_str(line),
            (None, None) => {}
        }
    }
    (told, kept)
}

/// How the words begin by which a failed write says what it had changed.
const CHANGED_BEFORE: &str = " Changed before that: ";

/// Says which files a write had changed before it failed: the end of its result; nothing when there are none.
pub fn changed_before<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = paths.map(|path| format!("`{path}`")).collect();
    if names.is_empty() { String::new() } else { format!("{CHANGED_BEFORE}{}.", names.join(", ")) }
}

/// Returns how many of the files that a write had prepared, from the first, it may have changed by the time of its recorded end: all of
/// them, unless it failed. `told` is its whole result, `None` when that is not kept.
pub fn may_have_changed(ok: bool, fault: Option<ToolFault>, told: Option<&str>, paths: &[&str]) -> usize {
    // Of what was interrupted nobody knows how far it came.
    if ok || fault == Some(ToolFault::Interrupted) {
        return paths.len();
    }
    // The file at which it failed is not changed.
    let most = paths.len().saturating_sub(1);
    match told {
        Some(told) if !told.contains(CHANGED_BEFORE) => 0,
        Some(told) => {
            let is_said = |count: &usize| told.ends_with(&changed_before(paths[..*count].iter().copied()));
            (1..=most).find(is_said).unwrap_or(most)
        }
        None => most,
    }
}

/// Returns a text that somebody else wrote without the mark that would hide what follows it.
pub fn without_mark(text: String) -> String {
    let is_of_mark = |c: char| matches!(c, '\u{1c}' | '\u{1d}');
    if text.contains(is_of_mark) { text.replace(is_of_mark, "\u{fffd}") } else { text }
}

/// Returns the name by which models know a tool of an MCP server: one that every provider takes, letters, digits, `_` and `-`, at most 64; two tools never share one.
pub fn mcp_name(server: &str, tool: &str) -> String {
    let plain: String = tool.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect();
    let name = format!("mcp__{server}__{plain}");
    if plain == tool && name.len() <= MCP_NAME_BYTES_MAX {
        return name;
    }
    let mark = &Hash::of(tool.as_bytes()).to_string()[..8];
    let room = MCP_NAME_BYTES_MAX - mark.len() - 1;
    format!("{}_{mark}", &name[..name.len().min(room)])
}

/// Returns the name by which models know what stands as `mcp:SERVER/TOOL` in settings and templates; any other name as it is.
pub fn name_for_models(listed: &str) -> String {
    let parts = listed.strip_prefix("mcp:").and_then(|listed| listed.split_once('/'));
    parts.map_or_else(|| listed.to_owned(), |(server, tool)| mcp_name(server, tool))
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramEnd {
    /// By itself, with this exit code.
    Code(i32),
    /// By a signal.
    Signal,
}

impl ProgramEnd {
    /// Says how it ended, where that is of note.
    pub fn words(self) -> Option<String> {
        match self {
            Self::Code(0) => None,
            Self::Code(code) => Some(format!("exit code {code}")),
            Self::Signal => Some("ended by a signal".to_owned()),
        }
    }
}

/// Returns how a program ended that [`RUN_COMMAND`] ran, as the end of the result says it.
pub fn program_end(result: &str) -> Option<ProgramEnd> {
    let last = result.lines().rev().find(|line| !line.is_empty() && !line.starts_with("[meno: "))?;
    let (words, _) = last.strip_prefix('(')?.split_once(',')?;
    match words.strip_prefix("exit code ") {
        Some(code) => code.parse().ok().map(ProgramEnd::Code),
        None => (words == "ended by a signal").then_some(ProgramEnd::Signal),
    }
}

fn shortened(text: &str, bytes: u64) -> Option<String> {
    if text.len() <= RESULT_BYTES_MAX {
        return None;
    }
    let mut head = RESULT_BYTES_MAX - TAIL_BYTES;
    let mut tail = text.len() - TAIL_BYTES;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let left_out = bytes.max(text.len() as u64) - (head + text.len() - tail) as u64;
    let (head, tail) = (&text[..head], &text[tail..]);
    Some(format!("{head}\n[… {left_out} bytes are left out here …]\n{tail}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_of_a_server_has_one_name_in_settings_and_one_for_models() {
        assert_eq!(name_for_models("mcp:fs/read_file"), "mcp__fs__read_file");
        assert_eq!(name_for_models("mcp__fs__read_file"), "mcp__fs__read_file");
        assert_eq!(name_for_models("mcp:fs"), "mcp:fs");
        assert_eq!(name_for_models("mcp:fs/a.b"), mcp_name("fs", "a.b"));
    }

    proptest::proptest! {
        #[test]
        fn every_name_suits_every_provider_and_no_two_share_one(one in "[a-z./_-]{1,100}", other in "[a-z./_-]{1,100}") {
            let (first, second) = (mcp_name("server-1", &one), mcp_name("server-1", &other));
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            proptest::prop_assert!(first.len() <= MCP_NAME_BYTES_MAX && first.chars().all(is_plain));
            proptest::prop_assert_eq!(first == second, one == other);
        }
    }

    #[test]
    fn the_end_of_a_result_says_how_the_program_ended() {
        assert_eq!(program_end("1 failed\n(exit code 1, 0.3 s)\n"), Some(ProgramEnd::Code(1)));
        let planted = "(ended by a signal, 2.0 s)\n\n[meno: .git/config changed while this ran: look]\n";
        assert_eq!(program_end(planted), Some(ProgramEnd::Signal));
        assert_eq!(program_end("(exit code 1, 0.3 s)\nand more"), None);
    }

    #[test]
    fn what_is_redacted_is_not_left_out() {
        let key = "AKIAIOSFODNN7EXAMPLE";
        let whole = ToolOutcome::done(format!("the key is {key} here\n"));
        let redacted = whole.redacted(&Redactor::default());
        assert!(!redacted.text.contains(key) && redacted.bytes == redacted.text.len() as u64, "{redacted:?}");
        // Of what was cut before, as much is missing as was.
        let cut = ToolOutcome { bytes: 1_000, ..ToolOutcome::done(key) };
        let redacted = cut.redacted(&Redactor::default());
        assert_eq!(redacted.bytes - redacted.text.len() as u64, 1_000 - key.len() as u64);
    }

    #[test]
    fn a_long_result_is_told_by_its_head_and_its_tail() {
        assert_eq!(cut(&"x".repeat(RESULT_BYTES_MAX), 0), None);
        let text = format!("begin{}é{}end", "ä".repeat(RESULT_BYTES_MAX), "ü".repeat(RESULT_BYTES_MAX));
        let told = cut(&text, text.len() as u64).expect("it is too long");
        assert!(told.starts_with("beginä") && told.ends_with("üend"));
        assert!(told.len() < RESULT_BYTES_MAX + 100);
        let kept = told.split("\n[… ").next().unwrap().len() + told.rsplit("…]\n").next().unwrap().len();
        assert!(told.contains(&format!("[… {} bytes", text.len() - kept)), "{}", text.len() - kept);
        assert!(cut(&text, 1 << 40).expect("it is too long").contains(&format!("[… {} bytes", (1u64 << 40) - kept as u64)));
    }

    #[test]
    fn a_mark_in_a_strangers_text_hides_nothing() {
        let text = format!("visible\n{KEPT_BESIDE}HIDDEN\n");
        assert_eq!(cut(&text, 0).as_deref(), Some("visible\n"));
        let text = without_mark(text);
        assert!(cut(&text, text.len() as u64).is_none() && text.contains("HIDDEN"));
    }

    #[test]
    fn a_failed_write_says_what_it_had_changed_before() {
        let paths = ["a", "b, `c", "d"];
        for count in 0..3 {
            let told = format!("`x` was changed by somebody else.{}", changed_before(paths[..count].iter().copied()));
            assert_eq!(may_have_changed(false, Some(ToolFault::Failed), Some(&told), &paths), count, "{told}");
            assert_eq!(may_have_changed(true, None, Some(&told), &paths), 3);
            assert_eq!(may_have_changed(false, Some(ToolFault::Interrupted), Some(&told), &paths), 3);
        }
        // Where what it said is gone, or names what it did not prepare, all but the one at which it failed may be changed.
        assert_eq!(may_have_changed(false, Some(ToolFault::Failed), None, &paths), 2);
        assert_eq!(may_have_changed(false, None, Some("It failed. Changed before that: `z`."), &paths), 2);
        assert_eq!(may_have_changed(false, None, None, &["a"]), 0);
    }

    #[test]
    fn a_name_without_end_is_recorded_by_its_beginning() {
        assert_eq!(short_name("read_file"), "read_file");
        let short = short_name(&"ä".repeat(5000));
        assert!(short.len() <= NAME_BYTES_MAX + 3 && short.ends_with('…'));
    }

    #[test]
    fn arguments_that_are_wrong_are_answered_with_what_is_wrong() {
        let spec = ToolSpec {
            name: "read_file".to_owned(),
            description: String::new(),
            parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"], "additionalProperties": false}),
            effect: ToolEffect::Reads,
        };
        assert_eq!(spec.problem(&json!({"path": "a"})), None);
        assert!(spec.problem(&json!({})).unwrap().contains("`path` is required"));
        assert!(spec.problem(&json!("{\"path\": \"a")).unwrap().contains("are not JSON: {\"path\": \"a"));
    }
}
