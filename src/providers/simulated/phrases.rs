//! Sentences for the room that an answer has to fill: what was counted in the material, and where nothing was, nothing claimed.

use std::collections::BTreeSet;

use crate::domain::call::CallRequest;

use super::draw::Draw;
use super::reading::Reading;

/// Where the words of a task are looked for: it stands at the start of a prompt, inputs come after it.
const TASK_CHARS: usize = 4_000;
const WORDS_MAX: usize = 12;

/// What is said where there is nothing to say: about words of the task, without a claim.
const SENTENCES: &[&str] = &[
    "A model would say here what it makes of {word} and of {other}.",
    "Nothing is claimed here about {word}, because no model was called.",
    "As {role}, a model would look at {word} first and at {other} next.",
    "The task mentions {word}; what follows from it is left open here.",
    "For {word} and {other} there is nothing that simple rules could count.",
    "This sentence stands where an answer about {word} would stand.",
    "Whether {word} holds, a real run has to say.",
    "What the task asks about {other} is not answered by a simulation.",
];

const DULL: &[&str] = &[
    "about",
    "above",
    "after",
    "again",
    "answer",
    "answers",
    "below",
    "between",
    "could",
    "criteria",
    "every",
    "exactly",
    "following",
    "given",
    "other",
    "shall",
    "should",
    "their",
    "there",
    "these",
    "thing",
    "those",
    "under",
    "where",
    "which",
    "while",
    "without",
    "would",
    "write",
    "criterion",
    "contains",
    "least",
    "matches",
    "regular",
    "expression",
];

/// What sentences are made of: facts, and without any the role and words of the task.
#[derive(Clone)]
pub(super) struct Phrases<'a> {
    pub(super) reading: &'a Reading<'a>,
    places: Vec<String>,
    role: &'a str,
    words: Vec<&'a str>,
    inputs: &'a [(String, u64)],
    draw: &'a Draw,
}

impl<'a> Phrases<'a> {
    pub(super) fn new(request: &'a CallRequest, reading: &'a Reading<'a>, draw: &'a Draw) -> Self {
        let end = request.prompt.char_indices().nth(TASK_CHARS).map_or(request.prompt.len(), |(at, _)| at);
        let mut seen = BTreeSet::new();
        let words = request.prompt[..end]
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| (5..=20).contains(&word.chars().count()) && !DULL.contains(&word.to_lowercase().as_str()))
            .filter(|word| seen.insert(word.to_lowercase()))
            .take(WORDS_MAX)
            .collect();
        Self { reading, places: reading.places(), role: &request.context.role, words, inputs: &request.context.input_files, draw }
    }

    /// Returns sentence number `index`, the same each time.
    pub(super) fn sentence(&self, index: u64) -> String {
        let facts = &self.reading.facts;
        if !facts.is_empty() {
            return facts[(index % facts.len() as u64) as usize].clone();
        }
        let pattern = self.draw.pick("sentence", index, SENTENCES).copied().unwrap_or_default();
        let (word, other) = self.words_at(index);
        let capital: String = word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect();
        pattern
            .replace("{role}", &self.role.replace('_', " "))
            .replace("{word}", word)
            .replace("{Word}", &capital)
            .replace("{other}", other)
    }

    /// Returns a paragraph of so many sentences, from sentence number `index` on.
    pub(super) fn paragraph(&self, index: u64, sentences: u64) -> String {
        (index..index + sentences).map(|index| self.sentence(index)).collect::<Vec<_>>().join(" ")
    }

    /// Returns two words of the task, different ones where it has two.
    fn words_at(&self, index: u64) -> (&'a str, &'a str) {
        let count = self.words.len();
        if count < 2 {
            return (self.words.first().copied().unwrap_or("the task"), "the rest of it");
        }
        let first = (self.draw.number("word", index) % count as u64) as usize;
        let step = 1 + (self.draw.number("other", index) % (count as u64 - 1)) as usize;
        (self.words[first], self.words[(first + step) % count])
    }

    /// Returns an existing `file:line`: one that something is known about, else any of the inputs; `None` when there is none.
    pub(super) fn citation(&self, index: u64) -> Option<String> {
        if !self.places.is_empty() {
            return self.places.get((index % self.places.len() as u64) as usize).cloned();
        }
        let files: Vec<&(String, u64)> = self.inputs.iter().filter(|(_, lines)| *lines > 0).collect();
        let (name, lines) = self.draw.pick("file", index, &files)?;
        Some(format!("{name}:{}", 1 + self.draw.number("line", index) % lines))
    }

    /// Returns a `file:line` that the inputs do not have.
    pub(super) fn wrong_citation(&self) -> String {
        match self.inputs.first() {
            Some((name, lines)) => format!("{name}:{}", lines.saturating_add(1_000)),
            None => "missing.txt:1".to_owned(),
        }
    }
}
