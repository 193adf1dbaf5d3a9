//! Problems of a file, collected first by JSON pointer and placed at the end.

use std::collections::HashSet;
use std::fmt;

use super::places::Places;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably means something else.
    Warning,
}

/// A problem of a template or base agent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// JSON pointer (RFC 6901) to what is wrong; empty for the whole file.
    pub pointer: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}: {severity}: ", self.line, self.column)?;
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// Problems on their way to a list; more than this many help nobody.
const FINDINGS_MAX: usize = 500;

/// Collects problems by JSON pointer.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<(Severity, String, String, String)>,
    left_out: usize,
    /// Places where a value of the wrong shape was replaced; what follows from the replacement is not worth saying.
    damaged: HashSet<String>,
    /// The file has only the peer's fields: what the peer let pass is a warning.
    pub(super) peer: bool,
}

impl Findings {
    /// Makes an empty collection; `peer`: the file has only the peer's fields.
    pub(super) fn new(peer: bool) -> Self {
        Self { peer, ..Self::default() }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, pointer, message.into(), remedy.into());
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, pointer, message.into(), remedy.into());
    }

    /// Adds an error, or a warning when the file has only the peer's fields.
    pub(super) fn lenient(&mut self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let severity = if self.peer { Severity::Warning } else { Severity::Error };
        self.add(severity, pointer, message.into(), remedy.into());
    }

    /// Notes that the value at `pointer` was replaced.
    pub(super) fn damage(&mut self, pointer: String) {
        self.damaged.insert(pointer);
    }

    /// Whether any value was replaced: then conclusions about the whole would be guesses.
    pub(super) fn any_damage(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// Whether a value inside `pointer` was replaced.
    pub(super) fn damaged_inside(&self, pointer: &str) -> bool {
        self.damaged
            .iter()
            .any(|damaged| damaged.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Whether names of the list at `pointer` were replaced: the list itself, one of its elements, or the field that names it.
    pub(super) fn names_lost(&self, pointer: &str, field: &str) -> bool {
        self.damaged.iter().any(|damaged| {
            pointer.starts_with(damaged.as_str())
                || damaged.strip_prefix(pointer).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| {
                    match rest.split_once('/') {
                        None => true,
                        Some((_, inner)) => inner == field,
                    }
                })
        })
    }

    /// Whether more problems would not be shown, so that looking for them is idle.
    pub(super) fn full(&self) -> bool {
        self.left_out > 0
    }

    /// Whether an error was found.
    pub(super) fn has_error(&self) -> bool {
        self.list.iter().any(|(severity, ..)| *severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, pointer: &str, message: String, remedy: String) {
        let ends = pointer.match_indices('/').map(|(at, _)| at).skip(1).chain([pointer.len()]);
        if !self.damaged.is_empty() && ends.into_iter().any(|end| self.damaged.contains(&pointer[..end])) {
            return;
        }
        let full = self.list.len() >= FINDINGS_MAX;
        // An error always finds room, or a file with many warnings would pass for a good one.
        if full && (severity == Severity::Warning || self.has_error()) {
            self.left_out += 1;
        } else {
            self.list.push((severity, pointer.to_owned(), message, remedy));
        }
    }

    /// Returns the problems in the order of the file.
    pub(super) fn placed(self, places: &Places) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self
            .list
            .into_iter()
            .map(|(severity, pointer, message, remedy)| {
                let (line, column) = places.place(&pointer);
                Problem { severity, pointer, line, column, message, remedy }
            })
            .collect();
        problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
        if self.left_out > 0 {
            let message = format!("{} more problems are not shown", self.left_out);
            let remedy = "mend the ones above first".to_owned();
            problems.push(Problem { severity: Severity::Warning, pointer: String::new(), line: 1, column: 1, message, remedy });
        }
        problems
    }
}

/// Escapes a key for a JSON pointer.
pub(super) fn key(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
