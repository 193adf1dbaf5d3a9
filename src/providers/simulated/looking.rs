//! Which tools a simulated model asks for: it lists the workspace, reads what the task and the role point at, searches for words of the
//! task, and runs the commands of its criteria. Each step follows from what the steps before returned, and then the answer comes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::domain::call::{CallRequest, ToolCall, ToolTurn};
use crate::domain::event::Purpose;
use crate::domain::judge::commands_asked;
use crate::domain::tool::{LAST_TURN, RUN_COMMAND};

use super::code::{Language, is_test_file};
use super::draw::Draw;
use super::material::Material;

/// Turns in which it asks for tools, at most.
const TURNS_MAX: usize = 6;
/// Files that it reads, at most.
const FILES_MAX: usize = 5;
/// Lines of a file that it asks for.
const LINES_MAX: u64 = 400;
/// Lines that a search may show.
const HITS_MAX: u64 = 20;
/// Words that it searches for, at most.
const WORDS_MAX: usize = 4;
/// Seconds that a command gets, at most.
const TIMEOUT_S_MAX: u64 = 600;

/// Files that say what a project is.
const MANIFESTS: [&str; 8] =
    ["Cargo.toml", "pyproject.toml", "setup.cfg", "setup.py", "package.json", "go.mod", "pom.xml", "Gemfile"];

/// Roles that care for the history have one of these in their name.
const HISTORY: [&str; 5] = ["version", "changelog", "release", "review", "history"];

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`([A-Za-z_][A-Za-z0-9_./-]{2,60})`").expect("the pattern is a constant that a test compiles"));
static MARK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^</?result mark="[0-9a-f]{12}">$"#).expect("the pattern is a constant that a test compiles"));

/// Returns the tool calls of the next turn; none when it is time to answer.
pub(super) fn next(request: &CallRequest, draw: &Draw) -> Vec<ToolCall> {
    let turns = &request.turns;
    let is_over = turns.last().and_then(|turn| turn.note.as_deref()).is_some_and(|note| note.contains(LAST_TURN));
    if request.tools.is_empty() || request.context.purpose != Purpose::Work || is_over || turns.len() >= TURNS_MAX {
        return Vec::new();
    }
    let asked = wanted(request).into_iter().filter(|(name, arguments)| !was_asked(turns, name, arguments));
    let call = |((name, arguments), number): ((String, Value), u64)| ToolCall {
        id: format!("simulated-{:012x}", draw.number("own tool call", turns.len() as u64 * 64 + number) >> 16),
        name,
        arguments,
        carried: Vec::new(),
    };
    asked.zip(0u64..).map(call).collect()
}

/// Returns what it would ask for now.
fn wanted(request: &CallRequest) -> Vec<(String, Value)> {
    let has = |name: &str| request.tools.iter().any(|tool| tool.name == name);
    // What it was given it need not look for.
    let is_given = !Material::read(&request.prompt).files.is_empty();
    let listed = returned(&request.turns, "list_files");
    let can_list = has("list_files") && !is_given;
    if can_list && listed.is_none() {
        let mut calls = vec![("list_files".to_owned(), json!({"depth": 3}))];
        if has("git") && HISTORY.iter().any(|word| request.context.role.contains(word)) {
            calls.push(("git".to_owned(), json!({"command": "log", "max_commits": 5})));
        }
        return calls;
    }
    let names: Vec<&str> = listed.map(|text| text.lines().filter(|line| is_file(line)).collect()).unwrap_or_default();
    let mut calls = Vec::new();
    if has("read_file") {
        let files = files_to_read(request, &names);
        calls.extend(files.into_iter().map(|path| ("read_file".to_owned(), json!({"path": path, "lines": LINES_MAX}))));
    }
    if has("search_files") && !names.is_empty() {
        let pattern = words(request).join("|");
        if !pattern.is_empty() {
            calls.push(("search_files".to_owned(), json!({"pattern": pattern, "max_lines": HITS_MAX})));
        }
    }
    calls.retain(|(name, arguments)| !was_asked(&request.turns, name, arguments));
    // First what only looks, all at once; then one command after the other.
    if calls.is_empty() { command(request).into_iter().collect() } else { calls }
}

/// How commands begin that run tests and change nothing by it.
const TEST_RUNNERS: [&[&str]; 9] = [
    &["cargo", "test"],
    &["cargo", "nextest", "run"],
    &["pytest"],
    &["python3", "-m", "pytest"],
    &["python3", "-m", "unittest"],
    &["python", "-m", "pytest"],
    &["python", "-m", "unittest"],
    &["go", "test"],
    &["npm", "test"],
];

/// Returns the commands that a task names between backticks and that run tests.
fn tests_named(prompt: &str) -> impl Iterator<Item = Vec<String>> {
    let task = prompt.split("\n# Material").next().unwrap_or_default();
    let spans = task.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let commands = spans.map(|span| span.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    commands.filter(|words| {
        TEST_RUNNERS.iter().any(|begin| words.iter().map(String::as_str).take(begin.len()).eq(begin.iter().copied()))
    })
}

/// Returns the next command of the agent's criteria or task that it may run and has not run: of tasks, only what runs tests.
fn command(request: &CallRequest) -> Option<(String, Value)> {
    let spec = request.tools.iter().find(|tool| tool.name == RUN_COMMAND)?;
    let allowed = spec.parameters["properties"]["program"]["enum"].as_array();
    let may = |program: &str| allowed.is_none_or(|allowed| allowed.iter().any(|name| name == program));
    let by_criteria = commands_asked(&request.context.criteria).into_iter().map(|asked| (asked.run.to_vec(), asked.timeout_s));
    let asked = by_criteria.chain(tests_named(&request.prompt).map(|run| (run, TIMEOUT_S_MAX))).filter_map(|(run, timeout_s)| {
        let (program, arguments) = run.split_first()?;
        let timeout_s = timeout_s.clamp(1, TIMEOUT_S_MAX);
        may(program).then(|| json!({"program": program, "arguments": arguments, "timeout_s": timeout_s}))
    });
    let mut calls = asked.map(|arguments| (RUN_COMMAND.to_owned(), arguments));
    calls.find(|(name, arguments)| !was_asked(&request.turns, name, arguments))
}

/// The text of a result, without its fence.
pub(super) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.split_once('\n').filter(|(first, _)| MARK.is_match(first)).map_or(text, |(_, rest)| rest);
    inner.rsplit_once('\n').filter(|(_, last)| MARK.is_match(last)).map_or(inner, |(front, _)| front)
}

fn was_asked(turns: &[ToolTurn], name: &str, arguments: &Value) -> bool {
    turns.iter().flat_map(|turn| turn.calls.iter()).any(|call| call.name == name && call.arguments == *arguments)
}

/// Returns what a tool returned last, whether or not it did what it was asked.
fn returned<'a>(turns: &'a [ToolTurn], name: &str) -> Option<&'a str> {
    let mut pairs = turns.iter().flat_map(|turn| turn.calls.iter().zip(&turn.results));
    pairs.rfind(|(call, _)| call.name == name).map(|(_, result)| unfenced(&result.text))
}

fn is_file(line: &str) -> bool {
    !line.is_empty() && !line.ends_with('/') && !line.starts_with('(') && !line.contains(" -> ") && !line.ends_with(')')
}

/// Returns the files that are worth reading: those that the task names, what says what the project is, then code that fits the role.
fn files_to_read(request: &CallRequest, names: &[&str]) -> Vec<String> {
    let base = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let task = request.prompt.split("\n# Material").next().unwrap_or_default();
    let is_about_tests = request.context.role.contains("test");
    let rank = |name: &str| {
        let (base, language) = (base(name), Language::of(name));
        let is_top = !name.contains('/');
        if base.len() > 3 && task.contains(name) {
            0
        } else if MANIFESTS.contains(&base.as_str()) && is_top {
            1
        } else if is_top && base.to_ascii_lowercase().starts_with("readme") {
            2
        } else if matches!(language, Language::Python | Language::Rust | Language::Script) {
            // An agent for tests reads tests first, all others the code that is tested.
            if is_test_file(name) == is_about_tests { 3 } else { 4 }
        } else {
            9
        }
    };
    let mut ranked: Vec<(u32, usize, &str)> = names.iter().map(|name| (rank(name), name.matches('/').count(), *name)).collect();
    ranked.retain(|(rank, ..)| *rank < 9);
    ranked.sort_unstable();
    ranked.into_iter().take(FILES_MAX).map(|(.., name)| name.to_owned()).collect()
}

/// Returns the words that it searches for: those that the task sets in backticks, else what the role is about.
fn words(request: &CallRequest) -> Vec<String> {
    let task = request.prompt.split("\n# ").find(|part| part.contains("Task\n")).unwrap_or(&request.prompt);
    let mut seen = BTreeSet::new();
    let found = QUOTED.captures_iter(task).filter_map(|found| found.get(1)).map(|word| word.as_str());
    let named: Vec<String> = found.filter(|word| seen.insert(*word)).take(WORDS_MAX).map(regex::escape).collect();
    if !named.is_empty() {
        return named;
    }
    let role = &request.context.role;
    let usual: &[&str] = if role.contains("test") {
        &["assert", "#\\[ignore", "skip"]
    } else if role.contains("secur") || role.contains("audit") {
        &["unsafe", "eval\\(", "password", "shell=True"]
    } else if role.contains("version") || role.contains("changelog") || role.contains("publish") {
        &["^version", "__version__"]
    } else {
        &["TODO", "FIXME"]
    };
    usual.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::{CallContext, ToolResult};
    use crate::domain::tier::Tier;
    use crate::domain::tool::{ToolEffect, ToolSpec};

    const LIST: &str = "Cargo.toml\nREADME.md\nsrc/\nsrc/lib.rs\ntests/\ntests/totals.rs\nnotes.bin\n";

    fn request(role: &str, tools: &[&str], criteria: Value) -> CallRequest {
        let spec = |name: &&str| ToolSpec {
            name: (*name).to_owned(),
            description: String::new(),
            parameters: json!({"properties": {"program": {"enum": ["cargo"]}}}),
            effect: ToolEffect::Reads,
        };
        CallRequest {
            provider: "simulated".to_owned(),
            model: "m".to_owned(),
            system: String::new(),
            prompt: "# Task\n\nLook at `total` in `src/lib.rs`.\n".to_owned(),
            tools: tools.iter().map(spec).collect(),
            turns: Vec::new(),
            max_output_tokens: 1000,
            context_tokens: None,
            schema: None,
            effort: None,
            context: CallContext {
                seed: 1,
                role: role.to_owned(),
                agent: 0,
                attempt: 1,
                tier: Tier::Cheap,
                purpose: Purpose::Work,
                criteria: serde_json::from_value(criteria).unwrap(),
                contract: None,
                input_files: Vec::new(),
            },
        }
    }

    /// Goes on with a conversation: everything that is asked for is answered by `answer`.
    fn carried(mut request: CallRequest, answer: impl Fn(&ToolCall) -> (String, bool)) -> CallRequest {
        loop {
            let calls = next(&request, &Draw::new(&request.context));
            if calls.is_empty() {
                return request;
            }
            let results = calls.iter().map(&answer).map(|(text, is_error)| ToolResult { text: text.into(), is_error }).collect();
            request.turns.push(ToolTurn { text: "".into(), calls: calls.into(), results, note: None, is_own: true });
        }
    }

    fn asked(request: &CallRequest) -> Vec<Vec<String>> {
        let words = |call: &ToolCall| format!("{} {}", call.name, call.arguments);
        request.turns.iter().map(|turn| turn.calls.iter().map(words).collect()).collect()
    }

    #[test]
    fn it_lists_reads_what_the_task_names_searches_and_runs_the_command_of_its_criterion() {
        let criteria = json!([{"type": "command", "run": ["cargo", "test"], "timeout_s": 60},
                              {"type": "command", "run": ["rm", "-rf", "x"]}]);
        let start = request("fixer", &["list_files", "read_file", "search_files", "run_command"], criteria);
        let request = carried(start, |call| (if call.name == "list_files" { LIST.to_owned() } else { "…".to_owned() }, false));
        assert_eq!(
            asked(&request),
            [
                vec![r#"list_files {"depth":3}"#.to_owned()],
                vec![
                    r#"read_file {"path":"src/lib.rs","lines":400}"#.to_owned(),
                    r#"read_file {"path":"Cargo.toml","lines":400}"#.to_owned(),
                    r#"read_file {"path":"README.md","lines":400}"#.to_owned(),
                    r#"read_file {"path":"tests/totals.rs","lines":400}"#.to_owned(),
                    r#"search_files {"pattern":"total|src/lib\\.rs","max_lines":20}"#.to_owned(),
                ],
                // What is not among the programs that it may run is not asked for.
                vec![r#"run_command {"program":"cargo","arguments":["test"],"timeout_s":60}"#.to_owned()],
            ]
        );
    }

    #[test]
    fn it_ends_whatever_comes_back_and_asks_for_nothing_that_it_has_not() {
        let criteria = json!([{"type": "command", "run": ["cargo", "test"]}]);
        let tools = ["list_files", "read_file", "search_files", "git", "run_command"];
        for text in ["", "(no entries)", "\u{1b}[2J\n\0\n:::", LIST] {
            let request = carried(request("release_manager", &tools, criteria.clone()), |_| (text.to_owned(), true));
            assert!(request.turns.len() <= TURNS_MAX, "{text:?}");
        }
        let none = carried(request("fixer", &[], criteria.clone()), |_| panic!("it has no tool"));
        assert!(none.turns.is_empty());
        let only = carried(request("fixer", &["read_file"], json!([])), |_| (String::new(), false));
        assert!(only.turns.is_empty(), "nothing says what there is to read");
    }

    #[test]
    fn it_stops_when_it_is_told_that_these_were_the_last() {
        let mut request = request("fixer", &["list_files", "read_file"], json!([]));
        let calls = next(&request, &Draw::new(&request.context));
        let results = vec![ToolResult { text: LIST.into(), is_error: false }];
        let note = Some(LAST_TURN.to_owned());
        request.turns.push(ToolTurn { text: "".into(), calls: calls.into(), results, note, is_own: true });
        assert!(next(&request, &Draw::new(&request.context)).is_empty());
    }

    #[test]
    fn what_it_was_given_it_does_not_look_for() {
        let criteria = json!([{"type": "command", "run": ["cargo", "test"]}]);
        let mut request = request("fixer", &["list_files", "read_file", "run_command"], criteria);
        request.prompt +=
            "\n# Material: source\n\n<file name=\"a.rs\" mark=\"0123456789ab\">\nx\n</file mark=\"0123456789ab\">\n";
        let request = carried(request, |_| (String::new(), false));
        assert_eq!(asked(&request).concat().len(), 1, "only the command is left");
    }

    #[test]
    fn a_result_is_taken_out_of_its_fence() {
        assert_eq!(unfenced("<result mark=\"0123456789ab\">\na\nb\n</result mark=\"0123456789ab\">\n"), "a\nb");
        assert_eq!(unfenced("plain"), "plain");
    }

    #[test]
    fn only_files_of_a_list_are_files() {
        let list = "Cargo.toml\nsrc/\nlink -> ../x\npipe (neither a file nor a folder)\n(3 more entries are not shown: ask for less at once)";
        assert_eq!(list.lines().filter(|line| is_file(line)).collect::<Vec<_>>(), ["Cargo.toml"]);
    }
}
