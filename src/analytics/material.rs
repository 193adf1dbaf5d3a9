//! What reports are made of: rows of the views with their keys read.

use serde::de::DeserializeOwned;

use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::views::rows::{self, Key, MapRows};
use crate::views::stats::answers::{AnswerKey, AnswerRow, LastRow, QuestionRow};
use crate::views::stats::associations::PairRow;
use crate::views::stats::criteria::{CriterionKey, CriterionRow};
use crate::views::stats::outcomes::{OutcomeRow, RunFact};
use crate::views::stats::patterns::{PatternKey, PatternRow};
use crate::views::stats::tools::ToolRow;

/// Attempts of one template, role, tier and model in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// What it is about.
    pub key: PatternKey,
    /// How the attempts went.
    pub row: PatternRow,
}

/// Runs of one template in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The template's id.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// How the runs went.
    pub row: OutcomeRow,
}

/// One ended run.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// The run.
    pub run: RunId,
    /// When it began, in ns since the epoch.
    pub started_at: TimeNs,
    /// How it went.
    pub fact: RunFact,
}

/// What one template's runs were told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerHistory {
    /// By mode, question and value.
    pub values: Vec<(AnswerKey, AnswerRow)>,
    /// By mode and question.
    pub questions: Vec<(Mode, String, QuestionRow)>,
    /// By question: the last answers, newest first.
    pub last: Vec<(String, LastRow)>,
}

/// How often another template was run within a day after this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Follower {
    /// The template that follows.
    pub template: String,
    /// Whether models were real.
    pub mode: Mode,
    /// Its runs in the day after a run of this one.
    pub pair: PairRow,
    /// Its runs.
    pub runs: u64,
    /// Runs of any template in the day after a run of this one.
    pub followed: u64,
    /// All runs.
    pub all: u64,
}

/// Everything that is known of one template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Material {
    /// Its runs by mode.
    pub outcomes: Vec<Outcome>,
    /// Its attempts.
    pub patterns: Vec<Pattern>,
    /// What criteria said.
    pub criteria: Vec<(CriterionKey, CriterionRow)>,
    /// What its runs were told.
    pub answers: AnswerHistory,
    /// How tools did.
    pub tools: Vec<(Mode, String, ToolRow)>,
    /// Its newest runs, newest first.
    pub past: Vec<PastRun>,
    /// What is run after it.
    pub followers: Vec<Follower>,
}

impl PastRun {
    /// Reads a row of the view.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(key: &[u8], row: &[u8]) -> Result<Self, String> {
        let (_, started_at, run) = RunFact::read_key(key).ok_or("a key of the view is malformed")?;
        Ok(Self { run, started_at, fact: rows::read(row)? })
    }
}

impl Material {
    /// Gathers what a fold over a part of the log says of one template; what follows it is not in it.
    ///
    /// # Errors
    /// Why a row cannot be read.
    pub fn of_rows(rows: &MapRows, template: &str) -> Result<Self, String> {
        let outcomes = all(rows, &OutcomeRow::of(Some(template)), OutcomeRow::read_key)?;
        let patterns = all(rows, &PatternKey::of(Some(template)), PatternKey::read)?;
        let questions = all(rows, &QuestionRow::of(template), QuestionRow::read_key)?;
        let tools = all(rows, &ToolRow::of(template), ToolRow::read_key)?;
        let mut past: Vec<PastRun> =
            within(rows, &RunFact::of(template)).map(|(key, row)| PastRun::read(key, row)).collect::<Result<_, _>>()?;
        past.reverse();
        Ok(Self {
            outcomes: outcomes.into_iter().map(|((template, mode), row)| Outcome { template, mode, row }).collect(),
            patterns: patterns.into_iter().map(|(key, row)| Pattern { key, row }).collect(),
            criteria: all(rows, &CriterionKey::of(Some(template)), CriterionKey::read)?,
            answers: AnswerHistory {
                values: all(rows, &AnswerKey::of(template), AnswerKey::read)?,
                questions: questions.into_iter().map(|((mode, question), row)| (mode, question, row)).collect(),
                last: all(rows, &LastRow::of(template), LastRow::read_key)?,
            },
            tools: tools.into_iter().map(|((_, mode, tool), row)| (mode, tool, row)).collect(),
            past,
            followers: Vec::new(),
        })
    }
}

fn within<'a>(rows: &'a MapRows, begin: &Key) -> impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> + use<'a> {
    let (from, end) = (begin.clone().finish(), begin.end());
    rows.0.range(from..).take_while(move |(key, _)| end.as_ref().is_none_or(|end| *key < end))
}

fn all<K, R: DeserializeOwned>(rows: &MapRows, begin: &Key, read: impl Fn(&[u8]) -> Option<K>) -> Result<Vec<(K, R)>, String> {
    within(rows, begin).map(|(key, row)| Ok((read(key).ok_or("a key of the view is malformed")?, rows::read(row)?))).collect()
}
