//! Sentences that read like an answer and claim nothing.

use std::collections::BTreeSet;

use crate::domain::call::CallRequest;

use super::draw::Draw;

/// Where the words of a task are looked for: it stands at the start of a prompt, inputs come after it.
const TASK_CHARS: usize = 4_000;
const WORDS_MAX: usize = 12;

const SENTENCES: &[&str] = &[
    "The part about {word} was looked at first, because {other} depends on it.",
    "As {role}, the next step would be to compare {word} with what the task says about {other}.",
    "{Word} is mentioned in the task, and a real model would say here what follows from it.",
    "Two points stand out: how {word} is handled, and what happens to {other} when it is missing.",
    "The order of work would be {word} first, then {other}, then a second look at both.",
    "Nothing in the material speaks against {word}, but {other} is not shown in full.",
    "A short check of {word} would settle the question before anything else is changed.",
    "The effort for {other} is small as long as {word} stays as it is.",
    "Where {word} and {other} meet, one sentence of explanation would help the next reader.",
    "This is enough to judge {word}; for {other} more material would be needed.",
    "The {role} would keep {word} and ask the author about {other}.",
    "Compared with {other}, the risk in {word} is easy to see and easy to mend.",
    "It is worth writing down why {word} was chosen, since {other} suggests the opposite.",
    "With {word} settled, the remaining work on {other} follows the usual steps.",
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

/// What sentences are made of: the role, words of the task, lines of the inputs.
#[derive(Clone, Debug)]
pub(super) struct Phrases<'a> {
    role: &'a str,
    words: Vec<&'a str>,
    inputs: &'a [(String, u64)],
    draw: &'a Draw,
}

impl<'a> Phrases<'a> {
    pub(super) fn new(request: &'a CallRequest, draw: &'a Draw) -> Self {
        let end = request.prompt.char_indices().nth(TASK_CHARS).map_or(request.prompt.len(), |(at, _)| at);
        let mut seen = BTreeSet::new();
        let words = request.prompt[..end]
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| (5..=20).contains(&word.chars().count()) && !DULL.contains(&word.to_lowercase().as_str()))
            .filter(|word| seen.insert(word.to_lowercase()))
            .take(WORDS_MAX)
            .collect();
        Self { role: &request.context.role, words, inputs: &request.context.input_files, draw }
    }

    /// Returns sentence number `index`, the same each time.
    pub(super) fn sentence(&self, index: u64) -> String {
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

    /// Returns an existing `file:line` of the inputs; `None` when there is none.
    pub(super) fn citation(&self, index: u64) -> Option<String> {
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
