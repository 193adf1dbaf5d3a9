//! `search_files`: the lines of the workspace that a regular expression matches.

use std::cell::RefCell;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::find_files::{EVERYWHERE, pattern_of};
use super::list_files::bad_pattern;
use super::root::{Kind, one_line};
use super::walk::walk;
use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::tool::{ToolEffect, ToolSpec};

/// A compiled pattern takes at most so much memory.
const COMPILED_BYTES_MAX: usize = 8 << 20;
/// Lines that are shown unless more or fewer are asked for, and at most.
const LINES_DEFAULT: usize = 100;
const LINES_MAX: usize = 1000;
/// A search that finds more lines than this ends: the pattern says too little.
const FOUND_MAX: usize = 20_000;
/// A file in which so many lines are found is not searched further: others may have something to say too.
const FILE_FOUND_MAX: usize = 2_000;
/// Bytes of a file that are searched.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Characters of a line that are shown.
const LINE_CHARS_MAX: usize = 300;

pub(super) struct SearchFiles;

#[derive(Deserialize)]
struct Arguments {
    pattern: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    files: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    max_lines: Option<usize>,
}

/// Files that are named of those that were searched only in part, at most.
const IN_PART_MAX: usize = 20;

/// A line that was found: file, number, text.
type Found = (String, u64, String);

/// A file that was searched only in part, and why.
type InPart = (String, String);

impl Tool for SearchFiles {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "search_files".to_owned(),
            description:
                "Searches the text files of the workspace for a regular expression, line by line. Gives `file:line: text`. \
                          What .gitignore leaves out is left out."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "pattern": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "The regular expression, in Rust's syntax."},
                    "path": {"type": "string", "description": "The file or folder to search, relative to the workspace. Default: all of it."},
                    "files": {"type": "string", "minLength": 1, "maxLength": 500, "description": "Only files whose names fit this pattern: `*.rs`."},
                    "ignore_case": {"type": "boolean", "description": "Upper and lower case are the same. Default false."},
                    "max_lines": {"type": "integer", "minimum": 1, "maximum": LINES_MAX, "description": "Lines to show, at most. Default 100."},
                },
                "required": ["pattern"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let root = &place.root;
        let Arguments { pattern, path, files, ignore_case, max_lines } = arguments(value)?;
        let matcher = compiled(&pattern, ignore_case)?;
        let wanted = files.as_deref().map(pattern_of).transpose()?;
        let start = root.path(path.as_deref().unwrap_or("."))?;
        let (found, count, searched) = (Mutex::new(Vec::new()), AtomicUsize::new(0), AtomicUsize::new(0));
        let parts = Mutex::new(Vec::new());
        let search = |file: &std::fs::File, path: String| {
            searched.fetch_add(1, Ordering::Relaxed);
            let mut lines = Lines { path, found: Vec::new(), is_binary: false, count: &count };
            // A file that breaks off half way is found in as far as it goes.
            let part = Part { file: file.take(FILE_BYTES_MAX), stop };
            let ended = SEARCHER.with_borrow_mut(|searcher| searcher.search_reader(&matcher, part, &mut lines));
            let bytes = file.metadata().map_or(0, |about| about.len());
            if !lines.is_binary
                && let Some(why) = in_part(bytes, lines.found.len(), ended.err())
            {
                parts.lock().unwrap_or_else(PoisonError::into_inner).push((lines.path.clone(), why));
            }
            if !lines.found.is_empty() {
                found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut lines.found);
            }
        };
        let mut is_cut = false;
        if root.kind(&start)? == Some(Kind::File) {
            search(&root.file(&start)?.0, start.text());
        } else {
            let walked = walk(root, &start, EVERYWHERE, stop, |folder, name, kind| {
                let path = || folder.path().join(name).text();
                let is_wanted =
                    *kind == Kind::File && wanted.as_ref().is_none_or(|wanted| wanted.matched(path(), false).is_whitelist());
                if is_wanted
                    && count.load(Ordering::Relaxed) <= FOUND_MAX
                    && let Ok((file, _)) = folder.file(name)
                {
                    search(&file, path());
                }
            })?;
            is_cut = walked.is_cut;
        }
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut text = shown(found, max_lines.unwrap_or(LINES_DEFAULT).min(LINES_MAX), searched.into_inner(), is_cut);
        text += &said_of_parts(parts.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(text.into())
    }
}

fn compiled(pattern: &str, ignore_case: bool) -> Result<RegexMatcher, ToolError> {
    let mut builder = RegexMatcherBuilder::new();
    builder.case_insensitive(ignore_case).line_terminator(Some(b'\n')).size_limit(COMPILED_BYTES_MAX).nest_limit(100);
    builder.build(pattern).map_err(|error| bad_pattern(pattern, &error))
}

thread_local! {
    /// Its buffers serve all files that a thread searches.
    static SEARCHER: RefCell<Searcher> = RefCell::new(searcher());
}

fn searcher() -> Searcher {
    SearcherBuilder::new().line_number(true).binary_detection(BinaryDetection::quit(0)).heap_limit(Some(8 << 20)).build()
}

/// The part of a file that is searched. It ends where the search is stopped.
struct Part<'a> {
    file: std::io::Take<&'a std::fs::File>,
    stop: &'a CancellationToken,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.stop.is_cancelled() { Ok(0) } else { self.file.read(buffer) }
    }
}

struct Lines<'a> {
    path: String,
    found: Vec<Found>,
    is_binary: bool,
    count: &'a AtomicUsize,
}

impl Sink for Lines<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> Result<bool, std::io::Error> {
        let text = String::from_utf8_lossy(line.bytes());
        let text = text.trim_end();
        let short: String = text.chars().take(LINE_CHARS_MAX).collect();
        let more = if short.len() < text.len() { "…" } else { "" };
        self.found.push((self.path.clone(), line.line_number().unwrap_or_default(), short + more));
        Ok(self.count.fetch_add(1, Ordering::Relaxed) < FOUND_MAX && self.found.len() < FILE_FOUND_MAX)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> Result<bool, std::io::Error> {
        // What stood before the first zero byte is no text either.
        self.found.clear();
        self.is_binary = true;
        Ok(false)
    }
}

/// Returns why a file of so many bytes, in which so many lines were found, was searched only in part; `None` when all of it was.
fn in_part(bytes: u64, found: usize, error: Option<std::io::Error>) -> Option<String> {
    match error {
        Some(error) => Some(format!("it could not be read to its end ({error})")),
        None if found >= FILE_FOUND_MAX => Some(format!("only up to the {FILE_FOUND_MAX}th line found")),
        None if bytes > FILE_BYTES_MAX => Some(format!("only the first {} MiB", FILE_BYTES_MAX >> 20)),
        None => None,
    }
}

fn said_of_parts(mut parts: Vec<InPart>) -> String {
    parts.sort_unstable();
    let more = parts.len().saturating_sub(IN_PART_MAX);
    let mut text = String::new();
    for (path, why) in parts.into_iter().take(IN_PART_MAX) {
        text += &format!("({path} was not searched whole: {why})\n");
    }
    if more > 0 {
        text += &format!("({more} more files were not searched whole)\n");
    }
    text
}

fn shown(mut found: Vec<Found>, most: usize, searched: usize, is_cut: bool) -> String {
    found.sort_unstable();
    let count = found.len();
    let lines = found.into_iter().take(most).map(|(path, line, text)| format!("{}:{line}: {text}\n", one_line(&path)));
    let mut text: String = lines.collect();
    let more = if count > FOUND_MAX { "or more " } else { "" };
    text += &match count {
        0 => format!("(nothing found in {searched} files)\n"),
        count if count > most => format!("({count} {more}lines found, the first {most} are shown)\n"),
        count => format!("({count} lines found in {searched} files)\n"),
    };
    if is_cut {
        text += "(the workspace is larger than one search: name a folder)\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settings::ToolSettings;
    use crate::tools::{Environment, Toolbox};

    #[test]
    fn a_line_that_is_too_long_ends_the_search_of_its_file_and_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("needle\n{}\nneedle\n", "x".repeat(9 << 20));
        std::fs::write(dir.path().join("long.txt"), long).unwrap();
        std::fs::write(dir.path().join("short.txt"), "a needle\n").unwrap();
        let toolbox = Toolbox::new(dir.path(), &[], &ToolSettings::default(), Environment::default());
        let found = toolbox.run("search_files", &json!({"pattern": "needle"}), &CancellationToken::new()).unwrap().text;
        assert!(found.contains("short.txt:1: a needle"), "{found}");
        assert!(found.contains("(long.txt was not searched whole: it could not be read to its end"), "{found}");
        assert!(!found.contains("short.txt was not"), "{found}");
    }

    #[test]
    fn a_file_that_was_not_searched_whole_is_named_with_why() {
        assert_eq!(in_part(FILE_BYTES_MAX, 3, None), None);
        let large = in_part(FILE_BYTES_MAX + 1, 3, None).unwrap();
        assert_eq!(large, "only the first 64 MiB");
        assert!(in_part(10, FILE_FOUND_MAX, None).unwrap().contains("2000th line"));
        let mut parts: Vec<InPart> = (0..22).map(|number| (format!("f{number:02}"), large.clone())).collect();
        parts.reverse();
        let said = said_of_parts(parts);
        assert!(said.starts_with("(f00 was not searched whole: only the first 64 MiB)\n(f01"), "{said}");
        assert!(
            said.ends_with("(f19 was not searched whole: only the first 64 MiB)\n(2 more files were not searched whole)\n"),
            "{said}"
        );
        assert_eq!(said_of_parts(Vec::new()), "");
    }
}
