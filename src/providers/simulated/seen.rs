//! What the tools of an attempt returned, read back: files, lines that a search found, and how commands ended.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::call::ToolTurn;
use crate::domain::judge::{is_unstarted, tests_ran};
use crate::domain::tool::RUN_COMMAND;

use super::looking::unfenced;
use super::reading::plural;

/// Lines of a command's output that are quoted, and their characters.
const TAIL_LINES_MAX: usize = 4;
const TAIL_CHARS_MAX: usize = 300;
/// Failing tests of one command that are told, at most.
const FAILURES_MAX: usize = 8;

/// A command that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// Program and arguments.
    pub(super) command: String,
    /// `None`: a signal or its limit ended it, or it was not run.
    pub(super) exit: Option<i32>,
    /// It did not get to work, or ran no test: how it ended says nothing.
    pub(super) proves_nothing: bool,
    /// The last lines of what it wrote.
    pub(super) tail: String,
    pub(super) failures: Vec<Failure>,
}

/// A test that a command's output names as failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) test: String,
    /// `file:line`; empty when the output names none.
    pub(super) place: String,
    pub(super) message: String,
}

/// All that tools returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Name and text of the files that were read.
    pub(super) files: Vec<(String, String)>,
    pub(super) ran: Vec<Ran>,
    /// How many calls there were of each tool.
    pub(super) calls: BTreeMap<String, usize>,
    /// How many calls did not do what they were asked.
    pub(super) failed: usize,
    /// What a search found: pattern and number of lines shown.
    pub(super) searches: Vec<(String, usize)>,
    /// What was refused or failed: tool and first line of the message.
    pub(super) refused: Vec<(String, String)>,
}

impl Seen {
    /// Reads the turns of a conversation.
    pub(super) fn of(turns: &[ToolTurn]) -> Self {
        let mut seen = Self::default();
        for (call, result) in turns.iter().flat_map(|turn| turn.calls.iter().zip(&turn.results)) {
            let text = unfenced(&result.text);
            *seen.calls.entry(call.name.clone()).or_default() += 1;
            let is_command = call.name == RUN_COMMAND;
            if result.is_error && !is_command {
                seen.failed += 1;
                let first = text.lines().next().unwrap_or_default().chars().take(160).collect();
                seen.refused.push((call.name.clone(), first));
                continue;
            }
            match call.name.as_str() {
                "read_file" => seen.read(text),
                "search_files" => {
                    let pattern = call.arguments["pattern"].as_str().unwrap_or_default().to_owned();
                    let lines = text.lines().filter(|line| !line.starts_with('(')).count();
                    seen.searches.push((pattern, lines));
                }
                RUN_COMMAND => {
                    seen.failed += usize::from(result.is_error);
                    seen.ran.push(ran(&call.arguments, text));
                }
                _ => {}
            }
        }
        seen
    }

    /// Takes in a file that was read from its first line on, without the numbers of its lines.
    fn read(&mut self, text: &str) {
        let Some((head, body)) = text.split_once(":\n") else { return };
        let Some((name, _)) = head.rsplit_once(", ") else { return };
        let mut lines: Vec<&str> = Vec::new();
        for (number, line) in body.lines().filter_map(|line| line.split_once('\t')) {
            let Ok(number) = number.trim().parse::<usize>() else { break };
            // A part of a file keeps its place: what comes before was not read.
            lines.resize(number.saturating_sub(1).max(lines.len()).min(100_000), "");
            lines.push(line);
        }
        if !lines.is_empty() && !self.files.iter().any(|(known, _)| known == name) {
            self.files.push((name.to_owned(), lines.join("\n")));
        }
    }

    /// Returns whether all commands whose end says something ended with exit code 0; `None` when there is none.
    pub(super) fn all_passed(&self) -> Option<bool> {
        let mut codes = self.ran.iter().filter(|ran| !ran.proves_nothing).filter_map(|ran| ran.exit).peekable();
        codes.peek().is_some().then(|| codes.all(|code| code == 0))
    }

    /// Says in sentences what was done with tools.
    pub(super) fn in_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for ran in &self.ran {
            let end = ran.exit.map_or("did not end by itself".to_owned(), |code| format!("ended with exit code {code}"));
            let said = if ran.tail.is_empty() { String::new() } else { format!(": {}", ran.tail) };
            words.push(format!("`{}` {end}{said}.", ran.command));
        }
        for (pattern, lines) in &self.searches {
            words.push(format!("A search for `{pattern}` showed {}.", plural(*lines, "line")));
        }
        for (tool, why) in &self.refused {
            words.push(format!("`{tool}` did not do what it was asked: {why}"));
        }
        words
    }

    /// Names the tools that were called, with how often.
    pub(super) fn tools(&self) -> Option<String> {
        let names: Vec<String> = self.calls.iter().map(|(name, count)| format!("{name} {count}×")).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

fn ran(arguments: &Value, text: &str) -> Ran {
    let program = arguments["program"].as_str().unwrap_or_default();
    let words = arguments["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let command = std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ");
    let exit = text.lines().next_back().and_then(|line| line.strip_prefix("(exit code ")?.split_once(',')?.0.parse().ok());
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("(exit code ")).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].join(" / ");
    let from = tail.chars().count().saturating_sub(TAIL_CHARS_MAX);
    let proves_nothing = exit.is_some_and(|code| is_unstarted(code, text) || (code == 0 && tests_ran(text) == Some(0)));
    Ran { command, exit, proves_nothing, tail: tail.chars().skip(from).collect(), failures: failures(text) }
}

/// Reads the failed tests out of what a runner wrote: those of cargo, pytest and unittest.
fn failures(text: &str) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for line in text.lines().map(str::trim) {
        let test = if let Some(rest) = line.strip_prefix("test ") {
            rest.strip_suffix("... FAILED").map(str::trim)
        } else if let Some(rest) = line.strip_prefix("FAIL: ").or_else(|| line.strip_prefix("ERROR: ")) {
            rest.split_whitespace().next()
        } else {
            line.strip_prefix("FAILED ").and_then(|rest| rest.split_whitespace().next()).filter(|name| name.contains("::"))
        };
        if let Some(test) = test
            && failures.len() < FAILURES_MAX
            && !failures.iter().any(|known| known.test == test)
        {
            failures.push(Failure { test: test.to_owned(), place: String::new(), message: String::new() });
        }
    }
    let places: Vec<(String, String)> = places(text);
    for (failure, (place, message)) in failures.iter_mut().zip(places) {
        (failure.place, failure.message) = (place, message);
    }
    failures
}

/// Returns the places at which tests failed, in the order of the output, each with what was said there.
fn places(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut places = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        let after = || lines.get(at + 1).map_or("", |next| next.trim()).to_owned();
        if let Some((_, place)) = line.split_once("panicked at ") {
            // cargo: `thread 'x' panicked at src/lib.rs:10:5:`, and the message on the next line.
            let mut parts = place.trim_end_matches(':').split(':');
            if let (Some(file), Some(number)) = (parts.next(), parts.next()) {
                places.push((format!("{file}:{number}"), after()));
            }
        } else if let Some(rest) = line.strip_prefix("File \"")
            && let Some((file, rest)) = rest.split_once("\", line ")
        {
            // Python: the frame, its code, and the message at the end of the traceback.
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let rest = lines[at..].iter().map(|line| line.trim());
            let message = rest.clone().find(|line| line.split(':').next().is_some_and(|word| word.ends_with("Error")));
            places.push((format!("{file}:{number}"), message.unwrap_or_default().to_owned()));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::call::{ToolCall, ToolResult};

    fn turn(name: &str, arguments: Value, text: &str, is_error: bool) -> ToolTurn {
        let call = ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments, carried: Vec::new() };
        let text = format!("<result mark=\"0123456789ab\">\n{text}\n</result mark=\"0123456789ab\">\n");
        ToolTurn {
            text: "".into(),
            calls: vec![call].into(),
            results: vec![ToolResult { text: text.into(), is_error }],
            note: None,
            is_own: true,
        }
    }

    #[test]
    fn a_file_comes_back_as_it_was_and_a_part_keeps_its_place() {
        let whole = turn("read_file", json!({}), "a.py, 2 lines:\n     1\tx = 1\n     2\t\ty", false);
        let part = turn("read_file", json!({}), "b.py, lines 3 to 3 of 9:\n     3\tz", false);
        let seen = Seen::of(&[whole, part]);
        assert_eq!(seen.files[0], ("a.py".to_owned(), "x = 1\n\ty".to_owned()));
        assert_eq!(seen.files[1], ("b.py".to_owned(), "\n\nz".to_owned()));
    }

    #[test]
    fn commands_say_how_they_ended_and_which_tests_failed() {
        let cargo = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nthread 'b' panicked at src/lib.rs:9:5:\nassertion failed: x\n\n\
                     (exit code 101, 0.4 s)";
        let seen = Seen::of(&[turn("run_command", json!({"program": "cargo", "arguments": ["test"]}), cargo, false)]);
        assert_eq!((seen.ran[0].command.as_str(), seen.ran[0].exit, seen.all_passed()), ("cargo test", Some(101), Some(false)));
        let failure = Failure { test: "b".into(), place: "src/lib.rs:9".into(), message: "assertion failed: x".into() };
        assert_eq!(seen.ran[0].failures, [failure]);
        let python = "F\n======\nFAIL: test_sum (tests.test_a.T.test_sum)\n------\nTraceback (most recent call last):\n  \
                      File \"/w/tests/test_a.py\", line 7, in test_sum\n    self.assertEqual(1, 2)\nAssertionError: 1 != 2\n\n\
                      (exit code 1, 0.1 s)";
        let seen = Seen::of(&[turn("run_command", json!({"program": "python3"}), python, false)]);
        assert_eq!(seen.ran[0].failures[0].test, "test_sum");
        assert_eq!(seen.ran[0].failures[0].message, "AssertionError: 1 != 2");
        let refused = Seen::of(&[turn("run_command", json!({"program": "x"}), "`x` is not on this machine.", true)]);
        assert_eq!((refused.ran[0].exit, refused.failed), (None, 1));
        for nothing in ["python3: not found\n\n(exit code 127, 0.1 s)", "Ran 0 tests in 0.000s\n\nOK\n\n(exit code 0, 0.1 s)"] {
            let seen = Seen::of(&[turn("run_command", json!({"program": "python3"}), nothing, false)]);
            assert_eq!((seen.ran[0].exit.is_some(), seen.all_passed()), (true, None), "{nothing}");
        }
    }
}
