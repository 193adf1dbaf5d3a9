//! What of transcripts was not taken, counted and named: never a reason to stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Different things that are named; further ones are counted together.
const NAMED_MAX: usize = 100;
/// Characters of a name that a file gives.
const NAME_CHARS_MAX: usize = 60;

/// Where something was seen first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstSeen {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u64,
}

/// Counts of what was not taken.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines that were looked at.
    pub lines: u64,
    left_out: BTreeMap<String, (u64, FirstSeen)>,
    skipped: BTreeMap<String, (u64, FirstSeen)>,
}

impl Tally {
    /// Counts a line that is what it should be but of a kind that is not known.
    pub fn leave_out(&mut self, what: &str, name: &str, file: &Path, line: u64) {
        let short: String = name.chars().take(NAME_CHARS_MAX).collect();
        add(&mut self.left_out, format!("{what} `{short}` is not known"), file, line);
    }

    /// Counts a line or file that cannot be taken, for a reason.
    pub fn skip(&mut self, reason: impl Into<String>, file: &Path, line: u64) {
        add(&mut self.skipped, reason.into(), file, line);
    }

    /// Adds what another tally counted.
    pub fn merge(&mut self, other: &Self) {
        self.lines += other.lines;
        for (held, more) in [(&mut self.left_out, &other.left_out), (&mut self.skipped, &other.skipped)] {
            for (what, (count, first)) in more {
                held.entry(what.clone()).or_insert_with(|| (0, first.clone())).0 += count;
            }
        }
    }

    /// Returns kinds that are not known: reason, how often, where first.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, u64, &FirstSeen)> {
        self.left_out.iter().map(|(what, (count, first))| (what.as_str(), *count, first))
    }

    /// Returns what cannot be taken: reason, how often, where first.
    pub fn skipped(&self) -> impl Iterator<Item = (&str, u64, &FirstSeen)> {
        self.skipped.iter().map(|(what, (count, first))| (what.as_str(), *count, first))
    }
}

fn add(held: &mut BTreeMap<String, (u64, FirstSeen)>, what: String, file: &Path, line: u64) {
    let what = if held.len() < NAMED_MAX || held.contains_key(&what) { what } else { "and others".to_owned() };
    let first = || (0, FirstSeen { file: file.to_owned(), line });
    held.entry(what).or_insert_with(first).0 += 1;
}
