//! Judging: does an answer meet its agent's criteria?
//!
//! Pure: the answer comes as text, what the workspace looks like as [`Facts`], what a judging model said as [`Score`]s.
//! Nothing here reads a file, runs a command or calls a model, and nothing decides what happens after a verdict.
//! Three steps: [`check()`] decides what code can decide; while [`needs_judge`] says so, [`judge_call`] writes the one call
//! for all sentences and [`read_scores`] reads its reply; [`judge`] puts both together and [`verdict`] combines them.
//! Whoever calls a model looks at [`signals()`] too: they speak against a reply besides its criteria.

mod check;
mod cites;
mod combine;
mod diffs;
mod edition;
mod json;
mod model;
mod quote;
mod runners;
mod signals;
mod words;

use std::collections::BTreeMap;

use super::criterion::{Check, Criterion};
use super::event::{NotRun, Verdict};

pub use combine::{all_of, any_of, needs_judge, not_of, verdict};
pub use diffs::diffs_of;
pub use edition::Edition;
pub use json::schema_problems;
pub use model::{Score, Sentence, judge_call, read_scores, sentences};
pub use quote::{EVIDENCE_BYTES_MAX, clip};
pub use runners::{is_unstarted, tests_ran};
pub use signals::signals;
pub use words::{in_words, name, names};

/// What is known about the world around an answer, gathered beforehand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The rules that judge: those that the run started under.
    pub edition: Edition,
    /// Files in the inputs: name and number of lines.
    pub input_files: Vec<(String, u64)>,
    /// Files of the workspace that criteria ask about ([`files_asked`]), by the criterion's own spelling of the path.
    pub workspace: BTreeMap<String, FileFact>,
    /// Commands that criteria ask for ([`commands_asked`]), by [`CommandAsked::name`].
    pub commands: BTreeMap<String, CommandFact>,
    /// Programs may not open connections.
    pub no_network: bool,
    /// The run is ending for another reason: what was not looked at is not looked at any more.
    pub is_ending: bool,
}

/// What is known about a command that a criterion asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandFact {
    /// It was run.
    Ran {
        /// Its exit code; `None` when a signal or its time limit ended it.
        exit: Option<i32>,
        /// Its time limit ended it.
        timed_out: bool,
        /// The last lines that it wrote.
        tail: String,
        /// All of what it wrote says that no test ran ([`tests_ran`]).
        no_test: bool,
    },
    /// It was not run.
    NotRun(NotRun),
    /// It was not run, because what the answer proposes cannot be applied to a copy of the workspace, or there is no copy: why.
    NotTried {
        /// What keeps it from it.
        why: NotRun,
        /// In words.
        said: String,
    },
}

/// A command that a criterion asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandAsked<'a> {
    /// Program and arguments.
    pub run: &'a [String],
    /// Seconds until it counts as failed.
    pub timeout_s: u64,
    /// It runs in a copy of the workspace with the diffs of the answer.
    pub patched: bool,
}

impl CommandAsked<'_> {
    /// Returns what facts about it are recorded by: a JSON array; within an object where it runs in a copy.
    pub fn name(&self) -> String {
        name_of(self.run, self.patched)
    }
}

/// What is known about one file of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// It is there after the attempt.
    pub exists: bool,
    /// The attempt changed it; `None` when nobody looked before.
    pub changed: Option<bool>,
}

/// What came out for one criterion.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// A judge's score, 0 to 1; only for criteria that are a sentence themselves.
    pub score: Option<f64>,
    /// What speaks for the verdict, at most [`EVIDENCE_BYTES_MAX`] bytes.
    pub evidence: String,
    /// Who decided.
    pub by: DecidedBy,
}

/// Who decided a criterion. The shell adds the call's number when it was a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// Meno's own code.
    Code,
    /// The judging model.
    Model,
    /// Nobody: the judging model was not asked, or its reply says nothing about it.
    Nobody,
}

/// What is known about one criterion before a judging model is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Decided, whatever a judge would say.
    Judged(Judged),
    /// A judging model has to be asked, or a command to be run.
    Pending,
}

/// Where the scores of an attempt's sentences come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scores<'a> {
    /// A judge's reply: one score per sentence, in the order of [`sentences`].
    Given(&'a [Score]),
    /// No judge was asked, and why.
    Nobody(&'a str),
}

/// Decides every criterion that can be decided without a judging model.
pub fn check(criteria: &[Criterion], answer: &str, facts: &Facts) -> Vec<Finding> {
    let mut judging = Judging { answer, facts, scores: None, sentence: 0 };
    criteria.iter().map(|criterion| judging.criterion(criterion).map_or(Finding::Pending, Finding::Judged)).collect()
}

/// Decides every criterion. A sentence without a score is unknown.
pub fn judge(criteria: &[Criterion], answer: &str, facts: &Facts, scores: Scores<'_>) -> Vec<Judged> {
    let mut judging = Judging { answer, facts, scores: Some(scores), sentence: 0 };
    let pending = || Judged::new(Verdict::Unknown, "no judge was asked", DecidedBy::Nobody);
    criteria.iter().map(|criterion| judging.criterion(criterion).unwrap_or_else(pending)).collect()
}

/// Returns whether a criterion looks at the lines that an answer quotes.
pub fn quotes_lines(criteria: &[Criterion]) -> bool {
    criteria.iter().any(|criterion| {
        let Criterion::Typed(typed) = criterion else { return false };
        match &typed.check {
            Check::CitesInputs {} => true,
            Check::All { criteria } | Check::Any { criteria } => quotes_lines(criteria),
            Check::Not { criterion } => quotes_lines(std::slice::from_ref(criterion)),
            _ => false,
        }
    })
}

/// Returns the paths of the workspace that the criteria ask about, in order, without repeats.
pub fn files_asked(criteria: &[Criterion]) -> Vec<&str> {
    fn walk<'a>(criterion: &'a Criterion, paths: &mut Vec<&'a str>) {
        let Criterion::Typed(typed) = criterion else { return };
        match &typed.check {
            Check::FileExists { path } | Check::FileChanged { path } if !paths.contains(&path.as_str()) => paths.push(path),
            Check::All { criteria } | Check::Any { criteria } => criteria.iter().for_each(|part| walk(part, paths)),
            Check::Not { criterion } => walk(criterion, paths),
            _ => {}
        }
    }
    let mut paths = Vec::new();
    criteria.iter().for_each(|criterion| walk(criterion, &mut paths));
    paths
}

/// Returns the commands that the criteria ask for, in order, without repeats.
pub fn commands_asked(criteria: &[Criterion]) -> Vec<CommandAsked<'_>> {
    fn walk<'a>(criterion: &'a Criterion, commands: &mut Vec<CommandAsked<'a>>) {
        let Criterion::Typed(typed) = criterion else { return };
        match &typed.check {
            Check::Command { run, timeout_s, patched, .. }
                if commands.iter().all(|known| (known.run, known.patched) != (run, *patched)) =>
            {
                commands.push(CommandAsked { run, timeout_s: *timeout_s, patched: *patched });
            }
            Check::All { criteria } | Check::Any { criteria } => criteria.iter().for_each(|part| walk(part, commands)),
            Check::Not { criterion } => walk(criterion, commands),
            _ => {}
        }
    }
    let mut commands = Vec::new();
    criteria.iter().for_each(|criterion| walk(criterion, &mut commands));
    commands
}

/// Tells whether a criterion is one of what lies in the workspace and nothing else: no answer meets it, only a change of files does.
pub fn looks_at_files_alone(criterion: &Criterion) -> bool {
    let Criterion::Typed(typed) = criterion else { return false };
    match &typed.check {
        Check::Command { patched, .. } => !patched,
        Check::FileExists { .. } | Check::FileChanged { .. } => true,
        Check::All { criteria } | Check::Any { criteria } => criteria.iter().all(looks_at_files_alone),
        Check::Not { criterion } => looks_at_files_alone(criterion),
        _ => false,
    }
}

/// Returns a command as facts are recorded by: see [`CommandAsked::name`].
fn name_of(run: &[String], patched: bool) -> String {
    let run = serde_json::json!(run);
    if patched { serde_json::json!({ "patched": run }).to_string() } else { run.to_string() }
}

impl Judged {
    pub(crate) fn new(verdict: Verdict, evidence: impl AsRef<str>, by: DecidedBy) -> Self {
        Self { verdict, score: None, evidence: clip(evidence.as_ref(), EVIDENCE_BYTES_MAX), by }
    }

    fn code(pass: bool, evidence: impl AsRef<str>) -> Self {
        Self::new(if pass { Verdict::Pass } else { Verdict::Fail }, evidence, DecidedBy::Code)
    }

    fn unknown(evidence: impl AsRef<str>) -> Self {
        Self::new(Verdict::Unknown, evidence, DecidedBy::Code)
    }
}

/// One walk over an agent's criteria; counts sentences as [`sentences`] does.
struct Judging<'a> {
    answer: &'a str,
    facts: &'a Facts,
    /// `None`: a judge may still be asked, so sentences are pending.
    scores: Option<Scores<'a>>,
    /// The number of the next sentence, from 0.
    sentence: usize,
}

impl Judging<'_> {
    /// Returns what came out, or `None` when that depends on a sentence not yet judged.
    fn criterion(&mut self, criterion: &Criterion) -> Option<Judged> {
        let check = match criterion {
            Criterion::Sentence(_) => return self.next_sentence(model::SENTENCE_THRESHOLD),
            Criterion::Typed(typed) => &typed.check,
        };
        match check {
            Check::Judge { threshold, .. } => self.next_sentence(*threshold),
            Check::All { criteria } => self.group(criteria, Verdict::Fail, all_of),
            Check::Any { criteria } => self.group(criteria, Verdict::Pass, any_of),
            Check::Not { criterion } => self.criterion(criterion).map(|inner| Judged {
                verdict: not_of(inner.verdict),
                score: None,
                // What speaks for the part or against it does so for its negation, in the same words.
                evidence: match self.facts.edition {
                    Edition::First => clip(&format!("of the opposite: {}", inner.evidence), EVIDENCE_BYTES_MAX),
                    _ => inner.evidence,
                },
                by: inner.by,
            }),
            // While a command may still be run, its criterion is open like a sentence before its judge.
            Check::Command { run, patched, .. }
                if self.scores.is_none()
                    && self.facts.edition.runs_commands()
                    && !self.facts.commands.contains_key(&name_of(run, *patched)) =>
            {
                None
            }
            typed => Some(check::decide(typed, self.answer, self.facts)),
        }
    }

    fn next_sentence(&mut self, threshold: f64) -> Option<Judged> {
        let number = self.sentence;
        self.sentence += 1;
        Some(match self.scores? {
            Scores::Nobody(why) => Judged::new(Verdict::Unknown, why, DecidedBy::Nobody),
            Scores::Given(scores) => match scores.get(number) {
                Some(Score::Given { score, reason }) => Judged {
                    score: Some(*score),
                    ..Judged::new(if *score >= threshold { Verdict::Pass } else { Verdict::Fail }, reason, DecidedBy::Model)
                },
                Some(Score::Missing { why }) => Judged::new(Verdict::Unknown, why, DecidedBy::Nobody),
                None => Judged::new(Verdict::Unknown, "the judge's reply has no score for it", DecidedBy::Nobody),
            },
        })
    }

    /// `decisive`: the verdict of one part that settles the group whatever the others say.
    fn group(&mut self, parts: &[Criterion], decisive: Verdict, combine: fn(&[Verdict]) -> Verdict) -> Option<Judged> {
        // Every part is walked, even when an earlier one settles the group: sentences must be counted.
        let judged: Vec<(String, Option<Judged>)> = parts.iter().map(|part| (name(part), self.criterion(part))).collect();
        let settled = judged.iter().any(|(_, part)| part.as_ref().is_some_and(|part| part.verdict == decisive));
        if !settled && judged.iter().any(|(_, part)| part.is_none()) {
            return None;
        }
        let known: Vec<(&str, &Judged)> =
            judged.iter().filter_map(|(name, part)| part.as_ref().map(|part| (name.as_str(), part))).collect();
        let verdicts: Vec<Verdict> = known.iter().map(|(_, part)| part.verdict).collect();
        let verdict = combine(&verdicts);
        let deciding: Vec<_> = known.into_iter().filter(|(_, part)| part.verdict == verdict).collect();
        let by = |who| deciding.iter().any(|(_, part)| part.by == who);
        let decided_by = match verdict {
            Verdict::Unknown if by(DecidedBy::Nobody) => DecidedBy::Nobody,
            _ if by(DecidedBy::Model) => DecidedBy::Model,
            _ => DecidedBy::Code,
        };
        let evidence: Vec<String> = deciding.iter().map(|(name, part)| format!("{name}: {}", part.evidence)).collect();
        let evidence = if evidence.is_empty() { "there are no parts".to_owned() } else { evidence.join("; ") };
        Some(Judged::new(verdict, evidence, decided_by))
    }
}

#[cfg(test)]
mod tests;
