//! What the index is asked and what it answers with, in Meno's own terms: tests, documents, and which of them pass.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::{Facts, Kind};
use crate::store::Unwritable;

/// Is called with a document and its number for a fact.
pub(super) type EachNumber<'f> = &'f mut dyn FnMut(DocRef, Option<i64>);

/// Why the index cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes.
    #[error("another process writes to the index")]
    Busy,
    /// Its disk is full, or may not be written to: what is there can be read.
    #[error("the search index cannot be written: {0}")]
    Unwritable(Unwritable),
    /// It is damaged, or the disk is in the way.
    #[error("the search index: {0}")]
    Broken(String),
}

/// What the last commit has seen of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The form of the documents: others are made anew.
    pub form: u32,
    /// The store's identity.
    pub node: String,
    /// The last position.
    pub seq: u64,
    /// The chain's hash there.
    pub hash: String,
    /// Runs of which more is indexed than that, each with the position up to which: what they have before it is not looked at again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ahead: BTreeMap<String, u64>,
}

/// A fact that can be asked for in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordFact {
    /// Run, agent or note.
    Kind,
    /// The run's id.
    Run,
    /// The template's id.
    Template,
    /// Where the run stands.
    Status,
    /// Real, simulated or imported.
    Mode,
    /// A role.
    Role,
    /// A tier used.
    Tier,
    /// A model used.
    Model,
    /// A provider used.
    Provider,
    /// A tag of a note.
    Tag,
    /// A label, `key=value`.
    Label,
    /// `yes` or `no`.
    Verified,
    /// Whether all of its cost is known: `yes` or `no`.
    CostKnown,
}

/// A fact that can be asked for by range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFact {
    /// Milliseconds since 1970.
    StartedAt,
    /// nUSD.
    Cost,
    /// Milliseconds.
    Duration,
    /// 1 to 5.
    Rating,
    /// Attempts of all agents.
    Attempts,
    /// Escalations of all agents.
    Escalations,
    /// How many agents there were.
    Agents,
}

/// What hits are sorted by, when not by how well they match. Among equals the newest run comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The number that is compared. What has none, and a lowest cost that is not wholly known, comes last.
    pub by: NumberFact,
    /// The highest comes first.
    pub descending: bool,
}

impl Order {
    /// The latest run first.
    pub const NEWEST: Self = Self { by: NumberFact::StartedAt, descending: true };
}

/// What a document must be to be found.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentTest {
    /// It has one of these words for that fact, whatever their case.
    Is(WordFact, Vec<String>),
    /// Its number for that fact lies between these, both included.
    Within(NumberFact, Option<i64>, Option<i64>),
    /// It holds these words one after the other.
    Phrase(String),
    /// No document of its run holds this word, or these words one after the other. Only by itself, not within another test.
    Without(String),
    /// It is not that.
    Not(Box<DocumentTest>),
    /// It is one of those.
    Any(Vec<DocumentTest>),
    /// It is all of those.
    All(Vec<DocumentTest>),
}

/// A document of one state of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocRef {
    /// The part of the index that it is in.
    pub(super) segment: u32,
    /// Its number there.
    pub(super) doc: u32,
}

/// A part of a text, and where words that were sought are in it.
pub type Snippet = (String, Vec<std::ops::Range<usize>>);

/// A document as it was stored.
#[derive(Clone, Debug)]
pub struct StoredDocument {
    /// What it is about.
    pub kind: Kind,
    /// What it is called.
    pub title: String,
    /// Its words.
    pub body: String,
    /// Its facts.
    pub facts: Facts,
}

/// Which documents pass, as bits by segment.
#[derive(Clone, Debug, Default)]
pub struct Passing(pub(super) Vec<Vec<u64>>);

impl Passing {
    /// Returns whether a document does.
    pub fn has(&self, at: DocRef) -> bool {
        let word = self.0.get(at.segment as usize).and_then(|words| words.get(at.doc as usize / 64));
        word.is_some_and(|word| word >> (at.doc % 64) & 1 == 1)
    }

    /// Returns those that do.
    pub(super) fn documents(&self) -> Vec<DocRef> {
        let words = (0u32..)
            .zip(&self.0)
            .flat_map(|(segment, words)| (0u32..).step_by(64).zip(words).map(move |(from, word)| (segment, from, *word)));
        let held = words.flat_map(|(segment, from, word)| {
            (0u32..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| DocRef { segment, doc: from + bit })
        });
        held.collect()
    }

    /// Returns how many do.
    pub fn count(&self) -> usize {
        self.0.iter().flatten().map(|word| word.count_ones() as usize).sum()
    }
}
