//! What decisions see of the world outside the log: gathered by the shell, recorded as [`FactObserved`] before anything is decided by it.

use std::fmt;

use crate::domain::event::{Fact, FactObserved, FactObservedPrivate, FileState, NotRun};
use crate::domain::ids::Hash;
use crate::domain::judge::{self, CommandAsked, CommandFact, FileFact};
use crate::domain::money::NanoUsd;
use crate::domain::text::Text;

/// Something that was seen, with its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was seen.
    pub fact: Fact,
    /// What it is about.
    pub private: FactObservedPrivate,
}

/// How a file was found at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLook {
    /// Whether it was there.
    pub state: FileState,
    /// BLAKE3 of its content.
    pub hash: Option<Hash>,
}

/// The day's budget at the moment when a call did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayBudget {
    /// What the day may hold.
    pub limit: NanoUsd,
    /// What was spent and set aside.
    pub used: NanoUsd,
    /// What was wanted besides.
    pub wanted: NanoUsd,
}

impl FileLook {
    /// Nobody looked.
    pub const UNSEEN: Self = Self { state: FileState::Unseen, hash: None };
    /// It was not there.
    pub const ABSENT: Self = Self { state: FileState::Absent, hash: None };
}

impl Observation {
    /// A file of the workspace, before the agent's first attempt and after this one; `path` is the criterion's spelling.
    pub fn of_file(path: &str, before: FileLook, after: FileLook) -> Self {
        let private = FactObservedPrivate { subject: path.to_owned(), output: None, before: before.hash, after: after.hash };
        Self { fact: Fact::File { before: before.state, after: after.state }, private }
    }

    /// The day's budget.
    pub fn of_day_budget(seen: DayBudget) -> Self {
        let DayBudget { limit, used, wanted } = seen;
        let private = FactObservedPrivate { subject: String::new(), output: None, before: None, after: None };
        Self { fact: Fact::DayBudget { limit, used, wanted }, private }
    }

    /// A command that a criterion asks for and that was run: its end, and what it wrote, as much as was kept of `bytes`.
    pub fn of_command(
        asked: CommandAsked<'_>,
        exit: Option<i32>,
        timed_out: bool,
        latency_ms: u64,
        (output, bytes): (String, u64),
    ) -> Self {
        let fact = Fact::Command { exit, timed_out, latency_ms, output_bytes: bytes };
        Self { fact, private: about(asked, Some(output)) }
    }

    /// A command that a criterion asks for and that was not run, with what there is to say besides.
    pub fn of_command_not_run(asked: CommandAsked<'_>, why: NotRun, said: Option<String>) -> Self {
        Self { fact: Fact::CommandNotRun { why }, private: about(asked, said) }
    }

    /// Returns the command that it is about, by its name, and what criteria are judged by; `None` when it is about something else.
    pub fn command(&self) -> Option<(&str, CommandFact)> {
        let fact = match self.fact {
            Fact::Command { exit, timed_out, output_bytes, .. } => {
                let text = self.said();
                let is_whole = text.len() as u64 >= output_bytes && text.len() <= SILENT_BYTES_MAX;
                let no_test = is_whole && judge::tests_ran(text) == Some(0);
                CommandFact::Ran { exit, timed_out, tail: tail(text), no_test }
            }
            Fact::CommandNotRun { why: why @ (NotRun::PatchFails | NotRun::NoCopy) } => {
                CommandFact::NotTried { why, said: tail(self.said()) }
            }
            Fact::CommandNotRun { why } => CommandFact::NotRun(why),
            Fact::File { .. } | Fact::DayBudget { .. } => return None,
        };
        Some((&self.private.subject, fact))
    }

    /// Returns what was written, or is to say.
    fn said(&self) -> &str {
        match &self.private.output {
            Some(Text::Inline(text)) => text,
            _ => "",
        }
    }

    /// Returns what a recorded event says was seen; what is forgotten of it is empty.
    pub fn recorded(body: &FactObserved) -> Self {
        let nothing = FactObservedPrivate { subject: String::new(), output: None, before: None, after: None };
        Self { fact: body.fact, private: body.private.clone().unwrap_or(nothing) }
    }

    /// Returns the file that it is about, as criteria ask for it; `None` when it is about something else.
    pub fn file(&self) -> Option<(&str, FileFact)> {
        let Fact::File { before, after } = self.fact else { return None };
        let exists = matches!(after, FileState::Present { .. });
        let changed = match (before, after) {
            (FileState::Unseen, _) | (_, FileState::Unseen) => None,
            (FileState::Present { bytes }, FileState::Present { bytes: now }) if bytes == now => {
                self.private.before.zip(self.private.after).map(|(before, after)| before != after)
            }
            (before, after) => Some(before != after),
        };
        Some((&self.private.subject, FileFact { exists, changed }))
    }

    /// Returns the file that it is about and how it was before; `None` when it is about something else, or nobody had looked.
    pub fn file_before(&self) -> Option<(&str, FileLook)> {
        let Fact::File { before, .. } = self.fact else { return None };
        let look = FileLook { state: before, hash: self.private.before };
        (look != FileLook::UNSEEN).then_some((&self.private.subject, look))
    }

    /// Returns whether it says how a file was before, and nothing of how it is now.
    pub fn is_before_alone(&self) -> bool {
        matches!(self.fact, Fact::File { after: FileState::Unseen, .. })
    }

    /// Returns whether a hash is missing without which it cannot be told whether a file changed.
    pub fn lacks_hash(&self) -> bool {
        let Fact::File { before: FileState::Present { bytes }, after: FileState::Present { bytes: now } } = self.fact else {
            return false;
        };
        bytes == now && (self.private.before.is_none() || self.private.after.is_none())
    }
}

/// Returns the words about a command.
fn about(asked: CommandAsked<'_>, output: Option<String>) -> FactObservedPrivate {
    FactObservedPrivate { subject: asked.name(), output: output.map(Text::Inline), before: None, after: None }
}

/// The last lines of an output that say something, on one line.
fn tail(output: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut bytes = 0;
    for line in output.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(TAIL_LINES_MAX) {
        bytes += line.len();
        if bytes > TAIL_BYTES_MAX && !lines.is_empty() {
            break;
        }
        lines.push(line);
    }
    lines.reverse();
    lines.join(" / ")
}

/// Lines of the end of an output that are evidence, and their bytes.
const TAIL_LINES_MAX: usize = 6;
const TAIL_BYTES_MAX: usize = 500;

/// A runner that ran no test writes less than this; what is longer is not searched for counts of tests whenever a run is read.
const SILENT_BYTES_MAX: usize = 64 << 10;

/// For people, as the failure of whoever wanted the money says it.
impl fmt::Display for DayBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, used, wanted } = self;
        write!(f, "the day's budget of {limit} is used up: {used} spent and reserved, {wanted} more wanted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changed_when_its_state_its_size_or_its_content_did() {
        let at = |bytes, content: &[u8]| FileLook { state: FileState::Present { bytes }, hash: Some(Hash::of(content)) };
        let file = |before, after| Observation::of_file("a", before, after).file().expect("a file").1;
        let fact = |exists, changed| FileFact { exists, changed };
        assert_eq!(file(at(1, b"x"), at(1, b"x")), fact(true, Some(false)));
        assert_eq!(file(at(1, b"x"), at(1, b"y")), fact(true, Some(true)));
        assert_eq!(file(at(1, b"x"), at(2, b"xx")), fact(true, Some(true)));
        assert_eq!(file(FileLook::ABSENT, at(1, b"x")), fact(true, Some(true)));
        assert_eq!(file(at(1, b"x"), FileLook::ABSENT), fact(false, Some(true)));
        assert_eq!(file(FileLook::ABSENT, FileLook::ABSENT), fact(false, Some(false)));
        assert_eq!(file(FileLook::UNSEEN, at(1, b"x")), fact(true, None));
        let unhashed = FileLook { hash: None, ..at(1, b"x") };
        assert_eq!(file(unhashed, at(1, b"x")), fact(true, None));
        assert!(Observation::of_file("a", unhashed, at(1, b"x")).lacks_hash());
        assert!(!Observation::of_file("a", unhashed, at(2, b"xx")).lacks_hash());
    }
}
