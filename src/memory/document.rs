//! What is searched for: one document for a run, one for each of its agents, one for each note.
//!
//! A document has words and facts. The words are what a person may remember; the facts are what filters ask for, and every
//! document of a run carries those of its run. Secret answers are not among the words: a run's document does not hold them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::passages::{MEANING_END, SECTION_END};
use super::uses;
use crate::domain::event::Verdict;
use crate::domain::placeholder::{self, Reference};
use crate::views::run_detail::{AgentDetail, AttemptDetail, RunDetail};

/// Bytes of one document's words, at most: what a search can still be expected to go by.
const BODY_BYTES_MAX: usize = 200_000;
/// Bytes of a task that stand before an agent's output, and of an output that stands for a report.
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
    /// What it is called: template and role. Its words are searched; its meaning is that of its body alone.
    pub title: String,
    /// Its words: sections that have a meaning, with [`SECTION_END`] between them, and behind [`MEANING_END`] what is only searched by words.
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
        if agent.attempts.iter().any(|attempt| attempt.task.is_some()) {
            documents.extend(agent.attempts.iter().map(|attempt| of_exchange(attempt, agent, run, &facts)));
            continue;
        }
        documents.push(Document {
            kind: Kind::Agent,
            title: format!("{}, {}", agent.role, title(run)),
            body: cut(agent_body(agent, run)),
            facts: Facts {
                roles: roles(std::iter::once(agent)),
                tiers: distinct(agent.attempts.iter().map(|attempt| attempt.tier.name())),
                models: distinct(agent.attempts.iter().flat_map(models)),
                providers: distinct(agent.attempts.iter().flat_map(providers)),
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

/// Returns the document of one exchange of a session: what a person asked, what was answered, and which tools were used on what.
fn of_exchange(attempt: &AttemptDetail, agent: &AgentDetail, run: &RunDetail, facts: &Facts) -> Document {
    let said = attempt.calls.iter().filter_map(|call| call.said.as_deref());
    let said: Vec<&str> = said.filter(|said| !said.trim().is_empty()).collect();
    let mut words_only = uses::of(std::iter::once(attempt), is_foreign(run));
    for tool in attempt.calls.iter().flat_map(|call| &call.tools) {
        let _ = writeln!(words_only, "{} {}", tool.tool, tool.arguments.as_deref().unwrap_or_default());
    }
    let wrong = attempt.error.as_deref().unwrap_or_default();
    let task = attempt.task.as_deref().unwrap_or_default();
    Document {
        kind: Kind::Agent,
        title: format!("{}, {}", agent.role, title(run)),
        body: cut(sections([task, said.join("\n\n").as_str(), wrong], &words_only)),
        facts: Facts {
            roles: roles(std::iter::once(agent)),
            tiers: vec![attempt.tier.name().to_owned()],
            models: distinct(models(attempt)),
            providers: distinct(providers(attempt)),
            ..facts.clone()
        },
    }
}

/// Returns the models of all calls of an attempt, those that judged it and those that stood in among them: each of them costs.
fn models(attempt: &AttemptDetail) -> impl Iterator<Item = &str> {
    attempt.model.as_deref().into_iter().chain(attempt.calls.iter().map(|call| call.model.as_str()))
}

/// Returns the providers of the same calls.
fn providers(attempt: &AttemptDetail) -> impl Iterator<Item = &str> {
    attempt.provider.as_deref().into_iter().chain(attempt.calls.iter().map(|call| call.provider.as_str()))
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
        models: distinct(attempts().flat_map(models)),
        providers: distinct(attempts().flat_map(providers)),
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

/// Tells whether another program's agents did the work, with tools of theirs.
fn is_foreign(run: &RunDetail) -> bool {
    run.source.is_some()
}

fn title(run: &RunDetail) -> String {
    run.template_name.clone().unwrap_or_else(|| run.template_id.replace(['_', '-'], " "))
}

/// What a person remembers of a run: what it was about, what came out, what went wrong. Each is a section of its own, so that a report
/// is found as if it stood alone.
fn run_body(run: &RunDetail) -> String {
    /// Words of an answer that says more than a choice does.
    const TELLING_WORDS: usize = 5;
    let (mut told, mut words_only) = (String::new(), String::new());
    for (question, answer) in &run.answers {
        if let Some(words) = said(answer) {
            let is_telling = words.split_whitespace().count() >= TELLING_WORDS;
            let to = if is_telling { &mut told } else { &mut words_only };
            let _ = writeln!(to, "{}: {words}", question.replace('_', " "));
        }
    }
    for (key, value) in &run.labels {
        let _ = writeln!(words_only, "{key}: {value}");
    }
    let failure = run.failure.as_ref().and_then(|failure| failure.message.as_deref()).filter(|why| !why.trim().is_empty());
    if let Some(why) = failure {
        // Written by the program: as a text of its own it would be near to every short question.
        let _ = writeln!(words_only, "The run failed: {why}");
    }
    let attempts = run.agents.iter().flat_map(|agent| &agent.attempts);
    words_only.push_str(&uses::of(attempts.clone(), is_foreign(run)));
    for escalation in &run.escalations {
        let why = match escalation.failed_criteria.as_slice() {
            [] => escalation.reason.name().replace('_', " "),
            criteria => criteria.join(", "),
        };
        let _ = writeln!(words_only, "{} went from {} to {} because of {why}", escalation.role, escalation.from, escalation.to);
    }
    // Without a report the agents' own words are all that says what came out.
    let outputs: Vec<&str> = match &run.report {
        Some(report) => vec![report],
        None => {
            let outputs = run.agents.iter().filter_map(|agent| agent.output.as_deref());
            outputs.map(|output| first_bytes(output, TASK_BYTES_MAX)).collect()
        }
    };
    sections([told.as_str()].into_iter().chain(outputs), &words_only)
}

fn agent_body(agent: &AgentDetail, run: &RunDetail) -> String {
    let task = agent.task.as_deref().map(|task| told(task, run)).unwrap_or_default();
    let (mut wrong, mut words_only) = (String::new(), String::new());
    if let Some(failure) = &agent.failure {
        let _ = writeln!(wrong, "failed: {}", failure.message.as_deref().unwrap_or(failure.reason.name()));
    }
    for attempt in &agent.attempts {
        for criterion in attempt.criteria.iter().filter(|criterion| criterion.verdict == Verdict::Fail) {
            let name = criterion.name.as_deref().unwrap_or("a criterion");
            let _ = writeln!(words_only, "{name} failed: {}", criterion.evidence.as_deref().unwrap_or_default());
        }
        if let Some(error) = &attempt.error {
            let _ = writeln!(wrong, "{error}");
        }
    }
    words_only.push_str(&uses::of(agent.attempts.iter(), is_foreign(run)));
    let last = agent.attempts.last().and_then(|attempt| attempt.output.as_deref());
    let output = agent.output.as_deref().or(last).unwrap_or_default();
    sections([first_bytes(&task, TASK_BYTES_MAX), output, &wrong], &words_only)
}

/// Puts what is not empty together, in sections.
fn sections<'a>(texts: impl IntoIterator<Item = &'a str>, words_only: &str) -> String {
    let texts = texts.into_iter().map(|text| text.replace(MEANING_END, " ").trim().to_owned());
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    let mut body = texts.join(&format!("\n{SECTION_END}"));
    if !words_only.is_empty() {
        let _ = write!(body, "\n{MEANING_END}{words_only}");
    }
    body
}

/// Returns what an agent was told, without the inputs and the other agents' outputs that it was given: their names stand for them.
/// Answers stand in a recorded task already; in an imported one they are filled in here.
fn told(task: &str, run: &RunDetail) -> String {
    let named = |name: &str| name.replace(['_', '-'], " ");
    placeholder::render(task, |reference| match reference {
        Reference::Answer(name) => run.answers.get(name).and_then(said).unwrap_or_else(|| named(name)),
        Reference::Config(name) | Reference::Input(name) | Reference::Output(name) => named(name),
        Reference::Item => "item".to_owned(),
        Reference::Unknown(written) => format!("{{{{{written}}}}}"),
    })
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
        let plain = agent.role.split_once('[').map(|(plain, _)| plain.trim_end());
        roles.extend(plain.filter(|plain| !plain.is_empty()).map(str::to_owned));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::passages;
    use crate::views::sample;

    fn run() -> RunDetail {
        let events = sample::story();
        RunDetail::fold(events.iter(), &|text| match text {
            crate::domain::text::Text::Inline(text) => Some(text.clone()),
            _ => None,
        })
    }

    #[test]
    fn a_task_is_searched_as_the_agent_was_told_it_without_its_inputs() {
        let mut run = run();
        run.answers.insert("package".to_owned(), Value::from("httpforge"));
        run.agents[0].task = Some(
            "Check {{inputs.change_log}} of {{answers.package}} against {{agents.type checker.output}}, not \\{{this}}"
                .to_owned(),
        );
        let documents = of_run(&run);
        let agent = documents.iter().find(|document| document.kind == Kind::Agent).unwrap();
        let told = "Check change log of httpforge against type checker, not {{this}}";
        assert!(agent.body.starts_with(told), "{}", agent.body);
    }

    #[test]
    fn a_run_is_found_by_the_model_of_every_call_that_it_paid_for() {
        let run = run();
        let documents = of_run(&run);
        let agent = documents.iter().find(|document| document.kind == Kind::Agent).unwrap();
        let calls = || run.agents[0].attempts.iter().flat_map(|attempt| &attempt.calls);
        assert!(calls().any(|call| call.purpose.name() == "judge" && call.model == "sim-judge"), "{run:?}");
        for call in calls() {
            assert!(documents[0].facts.models.contains(&call.model) && agent.facts.models.contains(&call.model), "{call:?}");
            assert!(documents[0].facts.providers.contains(&call.provider), "{call:?}");
        }
    }

    #[test]
    fn an_agent_that_is_one_of_many_is_found_by_its_role_with_and_without_its_item() {
        let mut run = run();
        run.agents[0].role = "area_auditor[Authorization]".to_owned();
        let documents = of_run(&run);
        let agent = documents.iter().find(|document| document.kind == Kind::Agent).unwrap();
        assert_eq!(agent.facts.roles, ["area_auditor", "area_auditor[Authorization]"]);
        assert!(documents[0].facts.roles.contains(&"area_auditor".to_owned()), "{:?}", documents[0].facts.roles);
    }

    #[test]
    fn a_report_means_the_same_whatever_a_run_has_besides() {
        let mut run = run();
        let report = "The pool ran dry during the sale. Orders were lost for nine minutes.";
        run.report = Some(report.to_owned());
        run.labels.insert("team".to_owned(), "core".to_owned());
        run.answers.insert("goal".to_owned(), Value::from("find out why orders were lost in the sale"));
        let texts = passages::embedded(&of_run(&run)[0].body);
        assert!(texts.contains(&passages::embedded(report)[0]), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("find out why")) && !texts.iter().any(|text| text.contains("team: core")));
        assert!(of_run(&run)[0].body.contains("team: core"), "but its words are searched");
    }
}
