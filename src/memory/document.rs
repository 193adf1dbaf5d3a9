//! What is searched for: one document for a run, one for each of its agents, one for each note.
//!
//! A document has words and facts. The words are what a person may remember; the facts are what filters ask for, and every
//! document of a run carries those of its run. Secret answers are not among the words: a run's document does not hold them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::event::Verdict;
use crate::views::run_detail::{AgentDetail, AttemptDetail, RunDetail};

/// Bytes of one document's words, at most: what a search can still be expected to go by.
const BODY_BYTES_MAX: usize = 200_000;
/// Bytes of a task that stand before an agent's output.
const TASK_BYTES_MAX: usize = 1_200;

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run as a whole.
    Run,
    /// One agent's work.
    Agent,
    /// What a person said.
    Note,
}

impl Kind {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Agent => "agent",
            Self::Note => "note",
        }
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it is about.
    pub kind: Kind,
    /// What it is called: template and role.
    pub title: String,
    /// Its words.
    pub body: String,
    /// What filters ask for.
    pub facts: Facts,
}

/// What filters ask for, and what a hit shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The run's id.
    pub run_id: String,
    /// The template's id.
    pub template: String,
    /// Where the run stands.
    pub status: String,
    /// `real`, `simulated` or `imported`.
    pub mode: String,
    /// Roles: of the run's agents, or this agent's.
    pub roles: Vec<String>,
    /// Tiers used.
    pub tiers: Vec<String>,
    /// Models used.
    pub models: Vec<String>,
    /// Providers used.
    pub providers: Vec<String>,
    /// Tags of the run's notes.
    pub tags: Vec<String>,
    /// Labels: `key=value`.
    pub labels: Vec<String>,
    /// Every agent that counts is known to have met its criteria.
    pub verified: bool,
    /// When the run began, in milliseconds since 1970.
    pub started_at: i64,
    /// What is known of the run's cost, in nUSD.
    pub cost_nusd: i64,
    /// Whether that is all of it.
    pub cost_complete: bool,
    /// How long the run took, in milliseconds; `None` while it goes on.
    pub duration_ms: Option<i64>,
    /// Ratings given, 1 to 5.
    pub ratings: Vec<i64>,
    /// Attempts of all agents.
    pub attempts: i64,
    /// Escalations of all agents.
    pub escalations: i64,
    /// How many agents there were.
    pub agents: i64,
}

/// Returns the documents of a run.
pub fn of_run(run: &RunDetail) -> Vec<Document> {
    let facts = facts(run);
    let mut documents = vec![Document {
        kind: Kind::Run,
        title: title(run),
        body: cut(run_body(run)),
        facts: Facts { roles: roles(run.agents.iter()), ..facts.clone() },
    }];
    for agent in &run.agents {
        let used = |of: fn(&AttemptDetail) -> Option<&str>| distinct(agent.attempts.iter().filter_map(of));
        documents.push(Document {
            kind: Kind::Agent,
            title: format!("{}, {}", agent.role, title(run)),
            body: cut(agent_body(agent)),
            facts: Facts {
                roles: roles(std::iter::once(agent)),
                tiers: used(|attempt| Some(attempt.tier.name())),
                models: used(|attempt| attempt.model.as_deref()),
                providers: used(|attempt| attempt.provider.as_deref()),
                ..facts.clone()
            },
        });
    }
    for note in &run.notes {
        let words = [note.text.clone().unwrap_or_default(), note.tags.join(" ")].join("\n");
        let title = format!("note on {}", title(run));
        documents.push(Document { kind: Kind::Note, title, body: cut(words), facts: facts.clone() });
    }
    documents
}

fn facts(run: &RunDetail) -> Facts {
    let attempts = || run.agents.iter().flat_map(|agent| &agent.attempts);
    let escalations = run.escalations.len();
    Facts {
        run_id: run.run_id.clone(),
        template: run.template_id.clone(),
        status: run.status.name().to_owned(),
        mode: run.mode.name().to_owned(),
        roles: Vec::new(),
        tiers: distinct(attempts().map(|attempt| attempt.tier.name())),
        models: distinct(attempts().filter_map(|attempt| attempt.model.as_deref())),
        providers: distinct(attempts().filter_map(|attempt| attempt.provider.as_deref())),
        tags: distinct(run.notes.iter().flat_map(|note| note.tags.iter().map(String::as_str))),
        labels: run.labels.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        verified: run.verified,
        started_at: run
            .started_at
            .as_deref()
            .and_then(|at| at.parse::<jiff::Timestamp>().ok())
            .map_or(0, |at| at.as_millisecond()),
        cost_nusd: i64::try_from(run.cost_nusd).unwrap_or(i64::MAX),
        cost_complete: run.cost_complete,
        duration_ms: run.duration_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        ratings: run.notes.iter().filter_map(|note| note.rating.map(i64::from)).collect(),
        attempts: i64::try_from(attempts().count()).unwrap_or(i64::MAX),
        escalations: i64::try_from(escalations).unwrap_or(i64::MAX),
        agents: i64::try_from(run.agents.len()).unwrap_or(i64::MAX),
    }
}

fn title(run: &RunDetail) -> String {
    run.template_name.clone().unwrap_or_else(|| run.template_id.replace(['_', '-'], " "))
}

/// What a person remembers of a run: what it was about, what came out, what went wrong.
fn run_body(run: &RunDetail) -> String {
    let mut body = String::new();
    let mut line = |words: &str| {
        body.push_str(words);
        body.push('\n');
    };
    for (question, answer) in &run.answers {
        if let Some(words) = said(answer) {
            line(&format!("{}: {words}", question.replace('_', " ")));
        }
    }
    for (key, value) in &run.labels {
        line(&format!("{key}: {value}"));
    }
    if let Some(report) = &run.report {
        line("");
        line(report);
        line("");
    }
    if let Some(failure) = run.failure.as_ref().and_then(|failure| failure.message.as_deref()) {
        line(&format!("The run failed: {failure}"));
    }
    for escalation in &run.escalations {
        let why = match escalation.failed_criteria.as_slice() {
            [] => escalation.reason.name().replace('_', " "),
            criteria => criteria.join(", "),
        };
        line(&format!("{} went from {} to {} because of {why}", escalation.role, escalation.from, escalation.to));
    }
    // Without a report the agents' own words are all that says what came out.
    if run.report.is_none() {
        for agent in &run.agents {
            if let Some(output) = &agent.output {
                line(&format!("\n{}: {}", agent.role, first_bytes(output, TASK_BYTES_MAX)));
            }
        }
    }
    body
}

fn agent_body(agent: &AgentDetail) -> String {
    let mut body = String::new();
    if let Some(task) = &agent.task {
        let _ = writeln!(body, "{}", first_bytes(task, TASK_BYTES_MAX));
    }
    if let Some(failure) = &agent.failure {
        let _ = writeln!(body, "failed: {}", failure.message.as_deref().unwrap_or(failure.reason.name()));
    }
    for attempt in &agent.attempts {
        for criterion in attempt.criteria.iter().filter(|criterion| criterion.verdict == Verdict::Fail) {
            let name = criterion.name.as_deref().unwrap_or("a criterion");
            let _ = writeln!(body, "{name} failed: {}", criterion.evidence.as_deref().unwrap_or_default());
        }
        if let Some(error) = &attempt.error {
            let _ = writeln!(body, "{error}");
        }
    }
    let last = agent.attempts.last().and_then(|attempt| attempt.output.as_deref());
    if let Some(output) = agent.output.as_deref().or(last) {
        let _ = write!(body, "\n{output}");
    }
    body
}

/// An answer in words; `None` for one that is withheld.
fn said(answer: &Value) -> Option<String> {
    match answer {
        Value::Null => None,
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(said).collect::<Vec<_>>().join(", ")),
        other => Some(other.to_string()),
    }
}

/// Roles with and without the item that made one of many.
fn roles<'a>(agents: impl Iterator<Item = &'a AgentDetail>) -> Vec<String> {
    let mut roles = BTreeSet::new();
    for agent in agents {
        if let Some((plain, _)) = agent.role.split_once(" [") {
            roles.insert(plain.to_owned());
        }
        roles.insert(agent.role.clone());
    }
    roles.into_iter().collect()
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(BODY_BYTES_MAX));
    text
}

fn first_bytes(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
