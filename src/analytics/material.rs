//! What reports are made of: rows of the views with their keys read.

use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::views::memory::answers::{AnswerKey, AnswerRow, LastRow, QuestionRow};
use crate::views::memory::associations::PairRow;
use crate::views::memory::criteria::{CriterionKey, CriterionRow};
use crate::views::memory::outcomes::{OutcomeRow, RunFact};
use crate::views::memory::patterns::{PatternKey, PatternRow};
use crate::views::memory::tools::ToolRow;

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
