//! The transcripts that coding agents leave behind: where they lie, what their lines say, and which events that makes.
//!
//! Each agent's files are read by a [`Source`] of its own, into the same few [`Entry`]s: a prompt, a reply, a tool's result.
//! [`conversation`] makes events of them, and knows what is here already: it is pure. A source never guesses: lines of a kind that
//! it does not know are counted and named.

pub mod claude_code;
pub mod codex;
pub mod conversation;
mod events;
mod files;
pub mod gemini;
pub mod grown;
pub mod llm;
pub mod resume;
pub mod rules;
pub mod taken;
pub mod tally;

#[cfg(test)]
mod tests;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::event::{ErrorClass, StopReason};
use crate::domain::ids::TimeNs;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::views::transcripts::Key;
use tally::Tally;

/// An agent whose transcripts can be read.
pub trait Source: Sync {
    /// Returns its name, by which people ask for it and which its sessions have as template.
    fn name(&self) -> &'static str;

    /// Returns whose prices its models have.
    fn provider(&self) -> &'static str;

    /// Returns the folders in which it keeps sessions, whether they are there or not.
    fn places(&self, variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf>;

    /// Returns the sessions at `path`, a folder or one file; what cannot be looked at is said in `tally`.
    ///
    /// # Errors
    /// When `path` itself cannot be read.
    fn detect(&self, path: &Path, tally: &mut Tally) -> io::Result<Vec<Session>>;

    /// Returns when the session began, as far as its first lines say: whoever began first keeps what several sessions tell.
    fn began(&self, session: &Session) -> Option<TimeNs>;

    /// Tells whether it says that it began with what another one had: where two began at the same moment, the other one keeps that.
    fn is_fork(&self, _: &Session) -> bool {
        false
    }

    /// Reads a session from its beginning and hands over what it says, in order. Memory does not grow with the files.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn read(&self, session: &Session, tally: &mut Tally, take: &mut Take<'_>) -> io::Result<()>;
}

/// Takes what a session says; it may have enough.
pub type Take<'a> = dyn FnMut(Item) -> ControlFlow<()> + 'a;

/// Every source, in the order in which they are looked for.
pub const SOURCES: [&dyn Source; 4] = [&claude_code::ClaudeCode, &codex::Codex, &gemini::Gemini, &llm::Llm];

/// A session, as its files stand on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// By which it is known for ever, wherever the files lie: folder of the project and id.
    pub id: String,
    /// The folder's name, where the session does not say in which project it was.
    pub project: String,
    /// Its files, the main thread's first.
    pub files: Vec<SessionFile>,
}

/// A file of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The subagent whose file it is.
    pub thread: Option<String>,
    /// Which sessions it comes from, over all forks, the first of them first and itself last, where the source says so: what a family
    /// repeats is one thing.
    pub family: Vec<String>,
    /// Its size when it was found.
    pub bytes: u64,
    /// When it was changed last, in ns since the epoch.
    pub modified: TimeNs,
    /// It may still be written: a reply at its end may not be whole.
    pub is_live: bool,
}

impl Session {
    /// Returns the bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Tells whether it may still be written.
    pub fn is_live(&self) -> bool {
        self.files.iter().any(|file| file.is_live)
    }

    /// Returns what changes when a file does.
    pub fn stamp(&self) -> Vec<(String, u64, TimeNs)> {
        self.files.iter().map(|file| (file.path.display().to_string(), file.bytes, file.modified)).collect()
    }
}

/// What a session says next.
#[expect(clippy::large_enum_variant, reason = "it is handed on by value, one at a time, and most are entries")]
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Something about the session as a whole.
    Facts(Facts),
    /// Something happened in it.
    Entry(Entry),
    /// The bytes read so far, over all files.
    Read(u64),
}

/// What is known of a session as a whole. What is `None` says nothing new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The folder it was in.
    pub folder: Option<String>,
    /// The branch of its repository.
    pub branch: Option<String>,
    /// The version of the agent.
    pub version: Option<String>,
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// In which thread: `None` for the main one, else the subagent's id.
    pub thread: Option<Arc<str>>,
    /// When.
    pub at: TimeNs,
    /// What.
    pub what: What,
}

/// What happened.
#[expect(clippy::large_enum_variant, reason = "it is handed on by value, one at a time, and most are replies")]
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Somebody asked something: an exchange begins.
    Prompt {
        /// What was asked.
        text: String,
        /// It counts even if nobody answered; what an agent's own commands write does not.
        stands_alone: bool,
    },
    /// A model replied.
    Reply(Reply),
    /// A tool was done.
    ToolResult {
        /// The id of its call.
        id: String,
        /// It did what it was asked.
        ok: bool,
        /// What the model was told.
        text: String,
    },
    /// A person stopped the exchange.
    Interrupted,
    /// A call failed.
    Failed {
        /// What failed.
        class: ErrorClass,
        /// In the source's words.
        message: String,
    },
    /// A reply is not whole yet: it comes with the next import.
    Unfinished,
}

/// A model's reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// By which it is known in every file that repeats it.
    pub key: Key,
    /// By which it may have been taken in before, when less or more of its family was there.
    pub aliases: Vec<Key>,
    /// Whose model it is, where the source says so.
    pub provider: Option<String>,
    /// The model.
    pub model: String,
    /// What it used; `None` when the source does not say.
    pub usage: Option<TokenUsage>,
    /// Why it cannot be priced by the table although the model may have a price.
    pub unpriced_because: Option<&'static str>,
    /// What the source says that it cost.
    pub reported: Option<NanoUsd>,
    /// Why the model stopped; `None` when the source does not say.
    pub stop: Option<StopReason>,
    /// What it said; thinking is left out.
    pub text: String,
    /// The tools that it asked for.
    pub tools: Vec<ToolUse>,
    /// The provider's id of the request.
    pub request: Option<String>,
}

impl Reply {
    /// Tells whether the exchange may be over with it.
    pub fn is_final(&self) -> bool {
        match self.stop {
            Some(stop) => stop != StopReason::ToolUse,
            None => self.tools.iter().all(|tool| tool.is_done),
        }
    }
}

/// A tool that a model asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolUse {
    /// The id of the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as JSON.
    pub arguments: String,
    /// It may change something.
    pub writes: bool,
    /// Its provider did it while it replied: nobody answers it.
    pub is_done: bool,
}

/// How much of what tools answered is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolResults {
    /// Nothing.
    None,
    /// The first 8 KiB.
    Short,
    /// Everything.
    All,
}
