//! What a run and a search are asked for, put together one thing at a time.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, StartError, Workspace};
use crate::domain::event::AnswerSource;
use crate::domain::form;
use crate::domain::money::NanoUsd;
use crate::domain::run::{Agent, NewLimits, RecordedAnswer, Run};
use crate::domain::template::{Question, QuestionKind, Template};
use crate::domain::tier::Strategy;
use crate::memory::query::Sort;
use crate::settings::Preset;
use crate::views::run_list::LogFilter;

/// How a store is opened, put together one thing at a time.
///
/// ```
/// use meno::{Access, OpenRequest, Preset};
///
/// let request = OpenRequest::new().preset(Preset::Simulated).access(Access::Read);
/// ```
#[derive(Clone, Debug)]
pub struct OpenRequest {
    pub(super) preset: Option<Preset>,
    pub(super) access: Access,
    pub(super) config: Option<PathBuf>,
    pub(super) prices: Option<PathBuf>,
    pub(super) wait: Duration,
}

/// How long an owner that does not answer is waited for, unless another time is said.
const WAIT: Duration = Duration::from_secs(10);

impl Default for OpenRequest {
    /// To write, with the user's settings and prices, waiting ten seconds for an owner that does not answer.
    fn default() -> Self {
        Self { preset: None, access: Access::Write, config: None, prices: None, wait: WAIT }
    }
}

impl OpenRequest {
    /// A request to write to the store with the user's settings and prices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the models, over what the settings say.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Sets what is about to be done with the store.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Reads settings from this file in place of the user's own.
    #[must_use]
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// Reads prices from this file, over those that ship and the user's own.
    #[must_use]
    pub fn prices(mut self, file: impl Into<PathBuf>) -> Self {
        self.prices = Some(file.into());
        self
    }

    /// Sets how long an owner that does not answer is waited for.
    #[must_use]
    pub fn wait(mut self, patience: Duration) -> Self {
        self.wait = patience;
        self
    }
}

/// An answer to a question of the form.
#[derive(Clone, PartialEq)]
pub struct GivenAnswer {
    /// The question's id.
    pub question: String,
    /// The value; null when `secret`.
    pub value: Value,
    /// Where it came from.
    pub source: AnswerSource,
    /// It answers a secret question, and only that it was given is known here.
    pub secret: bool,
}

/// What a run is asked for.
///
/// ```
/// use meno::RunRequest;
///
/// let request = RunRequest::new().answer("has_tests", true).input("source", "src").label("team", "blue").seed(7);
/// ```
#[derive(Clone, Default)]
pub struct RunRequest {
    pub(super) answers: Vec<GivenAnswer>,
    pub(super) is_open: bool,
    pub(super) inputs: Vec<(String, String)>,
    pub(super) strategy: Option<Strategy>,
    pub(super) budget: Option<NanoUsd>,
    pub(super) seed: Option<u64>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) without_material: bool,
}

/// The answers with which a run starts.
pub struct Settled {
    /// The answers, in the order of the form.
    pub answers: Vec<GivenAnswer>,
    /// Answers of a file that were dropped because their questions are hidden, as lines for people.
    pub notices: Vec<String>,
    /// Answers to secret questions: never stored, logged or shown.
    pub(super) secrets: Vec<SecretString>,
}

impl GivenAnswer {
    /// An answer to `question` that came from `source`.
    pub fn new(question: impl Into<String>, value: impl Into<Value>, source: AnswerSource) -> Self {
        Self { question: question.into(), value: value.into(), source, secret: false }
    }

    /// An answer as a form that is filled keeps it.
    pub fn kept(question: String, answer: form::FormAnswer) -> Self {
        Self { question, value: answer.value, source: answer.source, secret: answer.secret }
    }

    /// An answer as a run has it.
    pub fn recorded(question: &str, answer: &RecordedAnswer) -> Self {
        Self { question: question.to_owned(), value: answer.value.clone(), source: answer.source, secret: answer.secret }
    }
}

/// Says nothing of the value: it may be a secret.
impl fmt::Debug for GivenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenAnswer").field("question", &self.question).field("source", &self.source).finish_non_exhaustive()
    }
}

/// Says nothing of answers, material and labels but how they are called.
impl fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let answers: Vec<&str> = self.answers.iter().map(|answer| answer.question.as_str()).collect();
        f.debug_struct("RunRequest")
            .field("answers", &answers)
            .field("inputs", &names(&self.inputs))
            .field("labels", &names(&self.labels))
            .field("strategy", &self.strategy)
            .field("budget", &self.budget)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl RunRequest {
    /// A request that gives nothing: every question takes its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a question. What is not answered takes the template's default; a question without one is an error at the start.
    #[must_use]
    pub fn answer(self, question: impl Into<String>, value: impl Into<Value>) -> Self {
        self.answers([GivenAnswer::new(question, value, AnswerSource::Flag)])
    }

    /// Takes answers whose origin is known. Of several to one question the last counts.
    #[must_use]
    pub(crate) fn answers(mut self, answers: impl IntoIterator<Item = GivenAnswer>) -> Self {
        for answer in answers {
            self.answers.retain(|known| known.question != answer.question);
            self.answers.push(answer);
        }
        self
    }

    /// Leaves the form open: whoever starts the run asks for what is missing.
    #[must_use]
    pub(crate) fn leave_open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Gives material: the path of a file or a folder, or for an input of kind `text` the text itself.
    #[must_use]
    pub fn input(mut self, id: impl Into<String>, path_or_text: impl Into<String>) -> Self {
        self.inputs.push((id.into(), path_or_text.into()));
        self
    }

    /// Lets a run of real models start although material is missing that its template needs.
    #[must_use]
    pub fn without_material(mut self, without_material: bool) -> Self {
        self.without_material = without_material;
        self
    }

    /// Tells whether an input is given.
    pub(crate) fn has_input(&self, id: &str) -> bool {
        self.inputs.iter().any(|(given, _)| given == id)
    }

    /// Sets the strategy of all agents, over what the template says.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Into<Option<Strategy>>) -> Self {
        self.strategy = strategy.into();
        self
    }

    /// Sets what the run may cost, over the template's and the settings' budget.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<NanoUsd>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Sets the seed of everything random in the run. It is drawn when none is given.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }
}

/// How a run that stopped is to go on.
#[derive(Clone, Debug, Default)]
pub struct ResumeRequest {
    /// Failed agents start again.
    pub retry_failed: bool,
    /// The run's budget from now on.
    pub budget: Option<NanoUsd>,
    /// Budgets of agents from now on, by role.
    pub agent_budgets: Vec<(String, NanoUsd)>,
    /// From now on models without a price may be called under a budget.
    pub allow_unpriced: bool,
    /// The escalations that wait for a person will be denied, so their models need not be ready.
    pub denies: bool,
}

impl ResumeRequest {
    /// Returns the limits that change in `run`; the role that it has no agent for otherwise.
    pub(super) fn limits(&self, run: &Run) -> Result<NewLimits, String> {
        let mut agent_budgets = Vec::new();
        for (role, budget) in &self.agent_budgets {
            let before = agent_budgets.len();
            let is_meant = |agent: &&Agent| agent.plan.role == *role || agent.label == *role;
            agent_budgets.extend(run.agents.iter().filter(is_meant).map(|agent| (agent.plan.agent, *budget)));
            if agent_budgets.len() == before {
                return Err(role.clone());
            }
        }
        Ok(NewLimits { budget: self.budget, agent_budgets, allow_unpriced: self.allow_unpriced })
    }
}

impl Workspace {
    /// Returns the answers with which a run would start: those of the request, checked; then the environment, for secret questions;
    /// then the template's defaults. A form that is left open has what was given and nothing else.
    ///
    /// # Errors
    /// [`StartError::Answers`] with everything that is missing or wrong.
    pub(crate) fn settle(&self, template: &Template, request: &RunRequest) -> Result<Settled, StartError> {
        let question = |id: &str| template.form_schema.questions.iter().find(|question| question.id == id);
        let is_secret = |answer: &GivenAnswer| question(&answer.question).is_some_and(|it| it.kind == QuestionKind::Secret);
        let typed = request.answers.iter().filter(|answer| is_secret(answer)).filter_map(|answer| answer.value.as_str());
        let secret_questions = template.form_schema.questions.iter().filter(|question| question.kind == QuestionKind::Secret);
        let in_variables = secret_questions.filter_map(|question| self.secret_of(question));
        let secrets = typed.map(str::to_owned).chain(in_variables).map(SecretString::from).collect();
        if request.is_open {
            let kept = |answer: &GivenAnswer| match is_secret(answer) {
                true => GivenAnswer { value: Value::Null, secret: true, ..answer.clone() },
                false => answer.clone(),
            };
            return Ok(Settled { answers: request.answers.iter().map(kept).collect(), notices: Vec::new(), secrets });
        }
        let given = request.answers.iter().filter(|answer| !answer.secret);
        let given: IndexMap<_, _> =
            given.map(|answer| (answer.question.clone(), (answer.value.clone(), answer.source))).collect();
        let otherwise = |question: &Question| {
            let kept = request.answers.iter().find(|answer| answer.secret && answer.question == question.id);
            // Of a secret that was given before only that is known.
            let kept = kept.map(|answer| (Value::String("given".to_owned()), answer.source));
            kept.or_else(|| self.secret_of(question).map(|secret| (Value::String(secret), AnswerSource::Environment)))
        };
        let exists = |path: &str| self.places.current.join(path).exists();
        let completed = form::complete(template, &given, &otherwise, &exists).map_err(StartError::Answers)?;
        let answers = completed.answers.into_iter().map(|(question, answer)| GivenAnswer::kept(question, answer));
        Ok(Settled { answers: answers.collect(), notices: completed.notices, secrets })
    }
}

/// What a search is asked for.
///
/// ```
/// use meno::SearchRequest;
///
/// let request = SearchRequest::new("failed releases in october").limit(5);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchRequest {
    /// The question.
    pub query: String,
    /// Runs to be named, at most; without it as many as the question names, else ten.
    pub limit: Option<usize>,
    /// Runs left out before the first that is named: a list goes on where another ended.
    #[serde(default)]
    pub skip: usize,
    /// What comes first, whatever the question says.
    pub sort: Option<Sort>,
    /// By words alone.
    pub lexical_only: bool,
    /// Runs that are not close to the question are named too.
    #[serde(default)]
    pub all: bool,
    /// Of which logs.
    #[serde(default)]
    pub log: LogFilter,
    /// The moment and the zone in which dates are read: RFC 9557.
    pub now: String,
    /// How long the index may take to catch up before the answer, in milliseconds.
    pub catch_up_ms: u64,
}

/// How long the index may take to catch up before an answer, unless another time is said.
const CATCH_UP: Duration = Duration::from_millis(1500);

impl SearchRequest {
    /// A search by words and by meaning, as of now in the system's time zone.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            limit: None,
            skip: 0,
            sort: None,
            lexical_only: false,
            all: false,
            log: LogFilter::default(),
            now: jiff::Zoned::now().to_string(),
            catch_up_ms: CATCH_UP.as_millis() as u64,
        }
    }

    /// Sets how many runs are named, at most; without it as many as the question names, else ten.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Leaves out so many runs before the first that is named.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// Sets what comes first, whatever the question says.
    #[must_use]
    pub fn sort(mut self, sort: Sort) -> Self {
        self.sort = Some(sort);
        self
    }

    /// Searches by words alone, without the embedding model.
    #[must_use]
    pub fn lexical_only(mut self, lexical_only: bool) -> Self {
        self.lexical_only = lexical_only;
        self
    }

    /// Names runs too that are not close to the question, marked as weak.
    #[must_use]
    pub fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Searches runs of these logs alone: the store's own, or imported ones.
    #[must_use]
    pub fn of_logs(mut self, log: LogFilter) -> Self {
        self.log = log;
        self
    }

    /// Sets how long the index may take to catch up with the log before the answer.
    #[must_use]
    pub fn catch_up(mut self, patience: Duration) -> Self {
        self.catch_up_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the moment from which `last week` is counted, and the zone in which dates are read.
    #[must_use]
    pub fn now(mut self, now: &jiff::Zoned) -> Self {
        self.now = now.to_string();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_names_and_no_values() {
        let request = RunRequest::new().answer("key", "hunter2").answer("key", "hunter3").input("notes", "private words").seed(7);
        assert_eq!(request.answers.len(), 1, "the last answer counts");
        let shown = format!("{request:?}");
        assert!(shown.contains("key") && shown.contains("notes") && shown.contains('7'), "{shown}");
        assert!(!shown.contains("hunter") && !shown.contains("private"), "{shown}");
    }
}
