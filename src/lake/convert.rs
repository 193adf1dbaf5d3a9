//! From an imported run to its events: which ones, in which order, and when they happened.
//!
//! Nothing is invented. Moments within a run are not in the form, so everything but the end is dated by the run's start; an end
//! whose moment is not known has no date, and the cost of an attempt that is not told has no amount: views show both as unknown.

use ulid::Ulid;

use super::form::{ImportedAgent, ImportedAttempt, ImportedRun};
use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentPlanned, AgentPlannedPrivate, AgentSkipped, AgentSkippedPrivate, AgentSucceeded,
    AgentSucceededPrivate, AnswerGiven, AnswerGivenPrivate, AnswerSource, AttemptImported, AttemptImportedPrivate, CostIncurred,
    CostIncurredPrivate, CostSource, CriterionJudged, CriterionJudgedPrivate, Escalate, EscalationReason, Event, FailureReason,
    JudgedBy, Mode, NoteAdded, NoteAddedPrivate, OnFailure, Purpose, ReportBy, ReportComposed, ReportComposedPrivate,
    RunCancelled, RunCancelledPrivate, RunFailed, RunFailedPrivate, RunFailure, RunStarted, RunStartedPrivate, RunSucceeded,
    RunSucceededPrivate, RunSuspended, RunSuspendedPrivate, SIMULATED_LABEL, SkipReason, SuspendReason, TierEscalated,
    TierEscalatedPrivate, Verdict,
};
use crate::domain::ids::{AgentNo, AttemptNo, ExecutorId, Hash, RunId, TimeNs};
use crate::domain::money::TokenUsage;
use crate::domain::redact::Redactor;
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::views::imports::{self, Origin};
use crate::views::status::{AgentStatus, RunStatus};

/// The base agent of agents whose own is not known.
const BASE: &str = "imported";
/// Bits of a run's id that keep what milliseconds cannot: the ns within one, so that ids sort by the start exactly.
const WITHIN_MS_BITS: u32 = 20;

/// An imported run on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The run.
    pub id: RunId,
    /// Under which it is found again when it is imported once more.
    pub origin: Origin,
    /// Its events with the moments at which they happened, where those are known.
    pub events: Vec<(Event, Option<TimeNs>)>,
}

impl Converted {
    /// Returns the run's id in its own system, where that may be kept.
    pub fn foreign_id(&self) -> Option<String> {
        match self.events.first() {
            Some((Event::RunStarted(started), _)) => started.private.as_ref()?.foreign_run_id.clone(),
            _ => None,
        }
    }
}

/// Returns a run's events. The same line from the same `source` gives the same run, always.
pub fn convert(mut run: ImportedRun, source: &str, redactor: &Redactor) -> Converted {
    let digest = run.digest();
    // An id that looks like a secret is not kept, so the run is known by its line.
    run.run_id = run.run_id.filter(|id| !redactor.finds(id));
    let origin = Origin::new(source, run.run_id.as_deref(), digest);
    let id = run_id(run.started_at, &origin);
    redact(&mut run, redactor);
    let mut story = RunEvents { started: Some(run.started_at), events: Vec::with_capacity(4 + run.agents.len() * 4) };
    story.add(started(&run, id, source, digest));
    for (question, value) in &run.answers {
        story.add(AnswerGiven {
            question: question.clone(),
            source: AnswerSource::Imported,
            secret: false,
            private: Some(AnswerGivenPrivate { value: value.to_string() }),
        });
    }
    for (agent, number) in run.agents.iter().zip(0..) {
        story.add(planned(agent, number));
    }
    let mut verified = true;
    let mut failures = Vec::new();
    for (agent, number) in run.agents.iter().zip(0..) {
        verified &= story.agent(agent, number, &mut failures);
    }
    if let Some(report) = run.report.take() {
        let private = Some(ReportComposedPrivate { report: Text::Inline(report) });
        story.add(ReportComposed { by: ReportBy::Imported, private });
    }
    let end = end(&run, verified, failures);
    story.events.extend(end.map(|end| (end, run.ended_at)));
    for note in std::mem::take(&mut run.notes) {
        let private = Some(NoteAddedPrivate { text: Text::Inline(note.text), tags: note.tags });
        let at = note.at.or(run.ended_at).or(story.started);
        story.events.push((NoteAdded { rating: note.rating, private }.into(), at));
    }
    Converted { id, origin, events: story.events }
}

/// Returns the id of a run: its time is the run's start, the rest follows from where it comes from.
pub(super) fn run_id(started: TimeNs, origin: &Origin) -> RunId {
    let started = u64::try_from(started).unwrap_or(0);
    let (ms, within) = (started / 1_000_000, u128::from(started % 1_000_000));
    let rest = u128::from_be_bytes(origin.key) >> (128 - (Ulid::RAND_BITS as u32 - WITHIN_MS_BITS));
    RunId(Ulid::from_parts(ms, (within << (Ulid::RAND_BITS as u32 - WITHIN_MS_BITS)) | rest))
}

/// A run's events as they come together.
struct RunEvents {
    started: Option<TimeNs>,
    events: Vec<(Event, Option<TimeNs>)>,
}

impl RunEvents {
    fn add(&mut self, event: impl Into<Event>) {
        self.events.push((event.into(), self.started));
    }

    /// Adds what an agent did; returns whether all is known to be well with it, and tells `failures` when it failed.
    fn agent(&mut self, agent: &ImportedAgent, number: AgentNo, failures: &mut Vec<String>) -> bool {
        let criteria = criteria(agent);
        for ((attempt, no), next) in agent.attempts.iter().zip(1..).zip((1..).map(|next| agent.attempts.get(next))) {
            self.attempt(attempt, (number, no), &criteria, next.map(|next| next.tier));
        }
        let passed = agent.attempts.iter().rposition(|attempt| attempt.passed);
        match status(agent) {
            AgentStatus::Succeeded => {
                let attempt = passed.map_or(agent.attempts.len(), |place| place + 1);
                // At most 1,000 attempts are read.
                let attempt = AttemptNo::try_from(attempt).unwrap_or(AttemptNo::MAX);
                let private = Some(AgentSucceededPrivate {});
                self.add(AgentSucceeded { agent: number, attempt, verified: passed.is_some(), private });
                passed.is_some()
            }
            AgentStatus::Failed => {
                let failed = agent.attempts.last().map(|last| last.failed_criteria.join(", ")).unwrap_or_default();
                let message = if failed.is_empty() { String::new() } else { format!("did not meet: {failed}") };
                failures.push(if failed.is_empty() { agent.role.clone() } else { format!("{} ({failed})", agent.role) });
                let private = Some(AgentFailedPrivate { message });
                self.add(AgentFailed { agent: number, reason: FailureReason::Imported, private });
                false
            }
            status @ (AgentStatus::Skipped | AgentStatus::Cancelled) => {
                let because = if status == AgentStatus::Skipped { SkipReason::Imported } else { SkipReason::Cancelled };
                let private = Some(AgentSkippedPrivate {});
                self.add(AgentSkipped { agent: number, because, cause: None, private });
                true
            }
            AgentStatus::Pending | AgentStatus::Running => false,
        }
    }

    fn attempt(&mut self, attempt: &ImportedAttempt, at: (AgentNo, AttemptNo), criteria: &[String], next: Option<Tier>) {
        let (agent, number) = at;
        let usage = (attempt.input_tokens.is_some() || attempt.output_tokens.is_some()).then(|| TokenUsage {
            input: attempt.input_tokens.unwrap_or(0),
            output: attempt.output_tokens.unwrap_or(0),
            ..TokenUsage::default()
        });
        self.add(AttemptImported {
            agent,
            attempt: number,
            tier: attempt.tier,
            provider: attempt.provider.clone(),
            model: attempt.model.clone(),
            passed: attempt.passed,
            usage,
            duration_ms: attempt.duration_ms,
            private: Some(AttemptImportedPrivate {
                output: attempt.output.clone().map(Text::Inline),
                failed_criteria: attempt.failed_criteria.clone(),
            }),
        });
        self.add(CostIncurred {
            call: None,
            agent,
            attempt: number,
            tier: attempt.tier,
            purpose: Purpose::Work,
            provider: attempt.provider.clone(),
            model: attempt.model.clone(),
            amount: attempt.cost,
            usage,
            unit_prices: None,
            band_above: 0,
            source: CostSource::Imported,
            reported: None,
            private: Some(CostIncurredPrivate {}),
        });
        let mut failed: Vec<u32> = Vec::new();
        for name in &attempt.failed_criteria {
            // Criteria are numbered per agent, so that the same one has the same number in every attempt.
            let criterion = criteria.iter().position(|known| known == name).and_then(|place| u32::try_from(place).ok());
            let Some(criterion) = criterion.filter(|criterion| !failed.contains(criterion)) else { continue };
            failed.push(criterion);
            let private = Some(CriterionJudgedPrivate { name: name.clone(), evidence: String::new() });
            let (verdict, by) = (Verdict::Fail, JudgedBy::Nobody);
            self.add(CriterionJudged { agent, attempt: number, criterion, verdict, score: None, by, private });
        }
        if let Some(to) = next.filter(|to| !attempt.passed && *to > attempt.tier) {
            let (from, reason) = (attempt.tier, EscalationReason::Criteria);
            let private = Some(TierEscalatedPrivate {});
            self.add(TierEscalated { agent, attempt: number, from, to, reason, failed, private });
        }
    }
}

/// Returns the names of the criteria that an agent is known to have had, each once.
fn criteria(agent: &ImportedAgent) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in agent.attempts.iter().flat_map(|attempt| &attempt.failed_criteria) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Returns how an agent ended: as the line says, else as its last attempt did.
pub(super) fn status(agent: &ImportedAgent) -> AgentStatus {
    agent.status.unwrap_or(match agent.attempts.last() {
        Some(last) if last.passed => AgentStatus::Succeeded,
        Some(_) => AgentStatus::Failed,
        None => AgentStatus::Skipped,
    })
}

/// Returns how a run ended: as the line says, else as its agents did.
pub(super) fn run_status(run: &ImportedRun) -> RunStatus {
    let skipped = |status: &AgentStatus| matches!(status, AgentStatus::Skipped | AgentStatus::Cancelled);
    let mut had_their_turn = run.agents.iter().map(status).filter(|status| !skipped(status)).peekable();
    run.status.unwrap_or_else(|| {
        let any = had_their_turn.peek().is_some();
        if any && had_their_turn.all(|status| status == AgentStatus::Succeeded) {
            RunStatus::Succeeded
        } else {
            RunStatus::Failed
        }
    })
}

fn started(run: &ImportedRun, id: RunId, source: &str, digest: Hash) -> RunStarted {
    let nothing = || Text::Inline("{}".to_owned());
    RunStarted {
        template_id: run.template_id.clone(),
        template_version: String::new(),
        template_hash: Hash::default(),
        source: Some(source.to_owned()),
        mode: if run.labels.get(SIMULATED_LABEL.0).is_some_and(|value| value == SIMULATED_LABEL.1) {
            Mode::Simulated
        } else {
            Mode::Imported
        },
        strategy: None,
        budget: None,
        allow_unpriced: false,
        escalate: Escalate::Auto,
        jobs: 1,
        seed: 0,
        prices_as_of: String::new(),
        prices_hash: Hash::default(),
        meno_version: env!("CARGO_PKG_VERSION").to_owned(),
        executor: ExecutorId(id.0),
        private: Some(RunStartedPrivate {
            foreign_run_id: run.run_id.clone(),
            template: nothing(),
            base_agents: nothing(),
            settings: Text::Inline(imports::settings(&digest)),
            prices: nothing(),
            workspace: String::new(),
            user: String::new(),
            labels: run.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }),
    }
}

fn planned(agent: &ImportedAgent, number: AgentNo) -> AgentPlanned {
    let strategy = match agent.attempts.first().map(|first| first.tier) {
        None | Some(Tier::Cheap) => Strategy::Progressive,
        Some(Tier::Capable) => Strategy::CapableFirst,
        Some(Tier::Premium) => Strategy::PremiumOnly,
    };
    AgentPlanned {
        agent: number,
        rule: number,
        role: agent.role.clone(),
        base: BASE.to_owned(),
        strategy,
        tools: Vec::new(),
        depends_on: Vec::new(),
        max_attempts_per_tier: 1,
        budget: None,
        on_failure: OnFailure::FailRun,
        strict: false,
        threshold: None,
        private: Some(AgentPlannedPrivate {
            item: None,
            config: "{}".to_owned(),
            criteria: serde_json::Value::from(criteria(agent)).to_string(),
            task: agent.task.clone().unwrap_or_default(),
            because: String::new(),
        }),
    }
}

/// Returns the run's last event; `None` when it has not come to one.
fn end(run: &ImportedRun, verified: bool, failures: Vec<String>) -> Option<Event> {
    let suspended = |why| RunSuspended { why, private: Some(RunSuspendedPrivate {}) }.into();
    match run_status(run) {
        RunStatus::Succeeded => Some(RunSucceeded { verified, private: Some(RunSucceededPrivate {}) }.into()),
        RunStatus::Failed => {
            let message = if failures.is_empty() { String::new() } else { format!("did not succeed: {}", failures.join(", ")) };
            Some(RunFailed { reason: RunFailure::Imported, private: Some(RunFailedPrivate { message }) }.into())
        }
        RunStatus::Cancelled => Some(RunCancelled { private: Some(RunCancelledPrivate {}) }.into()),
        RunStatus::Suspended => Some(suspended(SuspendReason::Interrupted)),
        RunStatus::AwaitingInput => Some(suspended(SuspendReason::Form)),
        RunStatus::Running | RunStatus::Interrupted => None,
    }
}

/// Takes secrets out of every text of the run.
fn redact(run: &mut ImportedRun, redactor: &Redactor) {
    let clean = |text: &mut String| {
        if let std::borrow::Cow::Owned(redacted) = redactor.redact(text) {
            *text = redacted;
        }
    };
    std::iter::once(&mut run.template_id).chain(&mut run.report).for_each(clean);
    run.labels.values_mut().for_each(clean);
    run.answers.values_mut().for_each(|value| redact_value(value, &clean));
    for agent in &mut run.agents {
        std::iter::once(&mut agent.role).chain(&mut agent.task).for_each(clean);
        for attempt in &mut agent.attempts {
            let names = attempt.provider.iter_mut().chain(&mut attempt.model);
            names.chain(&mut attempt.output).chain(&mut attempt.failed_criteria).for_each(clean);
        }
    }
    for note in &mut run.notes {
        std::iter::once(&mut note.text).chain(&mut note.tags).for_each(clean);
    }
}

fn redact_value(value: &mut serde_json::Value, clean: &dyn Fn(&mut String)) {
    match value {
        serde_json::Value::String(text) => clean(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| redact_value(item, clean)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| redact_value(field, clean)),
        _ => {}
    }
}
