//! Fills a [`RunDetail`] from a run's events, one by one.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use serde_json::Value;

use crate::domain::event::{AnswerSource, AttemptOutcome, Escalate, Event, Mode, OnFailure, Recorded, SkipReason, Verdict};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, TimeNs};
use crate::domain::judge;
use crate::domain::money::CacheSavings;
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::views::misconfigured::Misconfigured;
use crate::views::open_costs::OpenCosts;
use crate::views::run_list::AttemptsDuration;
use crate::views::work_time::WorkTime;

use super::super::event_line::is_forgotten;
use super::super::status::{AgentStatus, AttemptStatus, RunStatus};
use super::super::utc;
use super::inherit::{ended, judge_name};
use super::{
    AgentDetail, AgentFailure, Approval, AttemptDetail, CriterionDetail, Escalation, InputDetail, Lineage, Note, RunDetail,
    RunFailureDetail, SkippedRule, StartTier, Switch, Tokens,
};

/// A run as far as its events are folded. [`Fold::finish`] gives the document; more events may follow in a clone.
#[derive(Clone, Debug)]
pub struct Fold {
    pub(super) detail: RunDetail,
    started: Option<TimeNs>,
    ended: Option<TimeNs>,
    /// Where each call stands: agent, attempt, call, each by its place in the list.
    pub(super) calls: HashMap<CallNo, (usize, usize, usize)>,
    /// Calls whose cost is not known, or not yet.
    pub(super) open: OpenCosts,
    time: WorkTime,
    misconfigured: Misconfigured,
    /// Imported attempts that came without a cost, so far.
    pub(super) costless: BTreeSet<(AgentNo, AttemptNo)>,
    /// Attempts with a call that has no price.
    pub(super) unpriced: BTreeSet<(AgentNo, AttemptNo)>,
    /// The names of each agent's criteria, as it was planned.
    pub(super) criteria: HashMap<AgentNo, Vec<String>>,
    /// Tools that have started so far.
    pub(super) tools_started: u32,
    /// What caches saved so far.
    pub(super) cache: CacheSavings,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            detail: RunDetail {
                run_id: String::new(),
                template_id: String::new(),
                template_version: String::new(),
                template_hash: String::new(),
                template_name: None,
                status: RunStatus::Running,
                verified: false,
                mode: Mode::Real,
                source: None,
                foreign_run_id: None,
                started_at: None,
                ended_at: None,
                duration_ms: None,
                form_ms: None,
                waited_ms: None,
                attempts_duration_ms: None,
                cost_nusd: 0,
                cost_usd: String::new(),
                verification_cost_nusd: 0,
                cost_complete: true,
                unpriced_calls: 0,
                lost_calls: 0,
                estimated_calls: 0,
                tokens: Tokens::default(),
                cache_saved_nusd: None,
                cache_saved_complete: true,
                untold_calls: 0,
                budget_nusd: None,
                strategy: None,
                escalate: Escalate::Auto,
                answers: IndexMap::new(),
                answer_sources: IndexMap::new(),
                sensitive: Vec::new(),
                hidden_questions: Vec::new(),
                inputs: Vec::new(),
                agents: Vec::new(),
                skipped_rules: Vec::new(),
                escalations: Vec::new(),
                approvals: Vec::new(),
                costs_by_tier: Vec::new(),
                report: None,
                failure: None,
                failed_by_configuration: false,
                suspended_because: None,
                labels: IndexMap::new(),
                notes: Vec::new(),
                lineage: None,
                forks: Vec::new(),
                node: None,
                workspace: None,
                seed: 0,
                prices_as_of: String::new(),
                meno_version: String::new(),
                events: 0,
                forgotten_events: 0,
                head: String::new(),
            },
            started: None,
            ended: None,
            calls: HashMap::new(),
            open: OpenCosts::default(),
            time: WorkTime::default(),
            misconfigured: Misconfigured::default(),
            costless: BTreeSet::new(),
            unpriced: BTreeSet::new(),
            criteria: HashMap::new(),
            tools_started: 0,
            cache: CacheSavings::default(),
        }
    }
}

/// Finds the text that an event names; `None` when it was withheld, only hashed, or is gone.
pub type TextOf<'a> = &'a dyn Fn(&Text) -> Option<String>;

impl RunDetail {
    /// Folds the events of one run, in order. `text` finds texts that are kept beside the log.
    pub(crate) fn fold<'a>(events: impl Iterator<Item = &'a Recorded>, text: TextOf<'_>) -> Self {
        let mut fold = Fold::default();
        events.for_each(|recorded| fold.apply(recorded, text));
        fold.finish()
    }
}

impl Fold {
    /// Returns the document as the events so far make it.
    pub fn finish(mut self) -> RunDetail {
        let detail = &mut self.detail;
        detail.started_at = self.started.map(utc);
        detail.ended_at = self.ended.map(utc);
        detail.duration_ms = self.time.work_ms();
        (detail.form_ms, detail.waited_ms) = (self.time.form_ms(), self.time.waited_ms());
        detail.failed_by_configuration =
            matches!(detail.status, RunStatus::Failed | RunStatus::Cancelled) && self.misconfigured.run();
        let mut attempts = AttemptsDuration::default();
        let own = detail.agents.iter().flat_map(|agent| &agent.attempts).filter(|attempt| attempt.inherited_from.is_none());
        own.filter(|attempt| attempt.status != AttemptStatus::Running).for_each(|attempt| attempts.add(attempt.duration_ms));
        detail.attempts_duration_ms = attempts.known();
        self.settle();
        self.detail
    }

    /// Takes in one event. Total: whatever the order, something sensible comes out.
    pub fn apply(&mut self, recorded: &Recorded, text: TextOf<'_>) {
        let envelope = &recorded.envelope;
        let at = envelope.occurred_at.unwrap_or(envelope.at);
        let detail = &mut self.detail;
        if let Some(run) = envelope.run {
            detail.run_id = run.to_string();
        }
        detail.events += 1;
        detail.forgotten_events += u64::from(is_forgotten(&recorded.event));
        detail.head = recorded.hash.to_string();
        detail.status = detail.status.after(&recorded.event);
        self.time.apply(recorded);
        self.misconfigured.apply(&recorded.event);
        self.apply_form(&recorded.event, at, text);
        self.apply_team(&recorded.event);
        self.apply_calls(&recorded.event, text);
        self.apply_attempts(&recorded.event, at, text);
        self.apply_judgement(&recorded.event, at);
        // When an imported run ended is what its record says, or not known: never when it was imported.
        let ended = if self.detail.source.is_some() { envelope.occurred_at } else { Some(at) };
        self.apply_end(&recorded.event, at, ended, text);
    }

    fn apply_form(&mut self, event: &Event, at: TimeNs, text: TextOf<'_>) {
        let detail = &mut self.detail;
        match event {
            Event::RunStarted(body) => {
                self.started.get_or_insert(at);
                detail.template_id.clone_from(&body.template_id);
                detail.template_version.clone_from(&body.template_version);
                detail.template_hash = body.template_hash.to_string();
                detail.mode = body.counts_as();
                detail.source.clone_from(&body.source);
                detail.budget_nusd = body.budget.map(|budget| budget.0);
                detail.strategy = body.strategy;
                detail.escalate = body.escalate;
                detail.seed = body.seed;
                detail.prices_as_of.clone_from(&body.prices_as_of);
                detail.meno_version.clone_from(&body.meno_version);
                if let Some(private) = &body.private {
                    detail.workspace = Some(private.workspace.clone()).filter(|folder| !folder.is_empty());
                    detail.foreign_run_id.clone_from(&private.foreign_run_id);
                    detail.labels = private.labels.iter().cloned().collect();
                    if let Some(template) = text(&private.template).and_then(|json| serde_json::from_str(&json).ok()) {
                        read_template(detail, &template);
                    }
                }
            }
            Event::AnswerGiven(body) => {
                let value = body.private.as_ref().and_then(|private| serde_json::from_str(&private.value).ok());
                self.answer(&body.question, body.source, body.secret, value);
            }
            Event::AnswerChanged(body) if body.removed => {
                detail.answers.shift_remove(&body.question);
                detail.answer_sources.shift_remove(&body.question);
            }
            Event::AnswerChanged(body) => {
                let value = body.private.as_ref().and_then(|private| serde_json::from_str(&private.value).ok());
                self.answer(&body.question, body.source, body.secret, value);
            }
            Event::FormCompleted(body) => detail.hidden_questions.clone_from(&body.hidden),
            Event::InputAttached(body) => detail.inputs.push(InputDetail {
                id: body.input.clone(),
                kind: body.kind,
                path: body.private.as_ref().map(|private| private.path.clone()),
                files: body.files,
                bytes: body.bytes,
                left_out: body.left_out,
                left_out_by: body.omitted.iter().copied().collect(),
                omissions: body.private.as_ref().map(|private| private.omissions.clone()).unwrap_or_default(),
                omission_rules: body.private.as_ref().map(|private| private.rules.clone()).unwrap_or_default(),
            }),
            _ => {}
        }
    }

    fn answer(&mut self, question: &str, source: AnswerSource, secret: bool, value: Option<Value>) {
        let value = if secret { Value::Null } else { value.unwrap_or(Value::Null) };
        self.detail.answers.insert(question.to_owned(), value);
        self.detail.answer_sources.insert(question.to_owned(), source);
        if secret && !self.detail.sensitive.iter().any(|id| id == question) {
            self.detail.sensitive.push(question.to_owned());
        }
    }

    fn apply_team(&mut self, event: &Event) {
        match event {
            Event::AgentPlanned(body) => {
                let place = self.agent(body.agent);
                let agent = &mut self.detail.agents[place];
                let private = body.private.as_ref();
                agent.item = private.and_then(|private| private.item.clone());
                agent.role = agent.item.as_ref().map_or_else(|| body.role.clone(), |item| format!("{}[{item}]", body.role));
                agent.base_template.clone_from(&body.base);
                agent.strategy = body.strategy;
                agent.tools.clone_from(&body.tools);
                agent.depends_on.clone_from(&body.depends_on);
                agent.budget_nusd = body.budget.map(|budget| budget.0);
                agent.on_failure = body.on_failure;
                agent.config = private.and_then(|private| serde_json::from_str(&private.config).ok());
                let names = private.map(|private| judge::names(&private.criteria)).unwrap_or_default();
                self.criteria.insert(body.agent, names);
                agent.success_criteria = private.and_then(|private| serde_json::from_str(&private.criteria).ok());
                agent.task = private.map(|private| private.task.clone());
            }
            Event::RuleSkipped(body) => self.detail.skipped_rules.push(SkippedRule {
                role: body.role.clone(),
                because: body.private.as_ref().map(|private| private.because.clone()),
                question: body.question.clone(),
            }),
            Event::StartTierChosen(body) => {
                let place = self.agent(body.agent);
                self.detail.agents[place].start_tier = Some(StartTier {
                    tier: body.tier,
                    by: body.by,
                    because: body.private.as_ref().map(|private| private.because.clone()),
                    evidence: body.evidence.iter().map(ToString::to_string).collect(),
                });
            }
            _ => {}
        }
    }

    fn apply_attempts(&mut self, event: &Event, at: TimeNs, text: TextOf<'_>) {
        match event {
            Event::AttemptStarted(body) => {
                let (agent, attempt) = self.attempt(body.agent, body.attempt, body.tier);
                let agent = &mut self.detail.agents[agent];
                agent.status = AgentStatus::Running;
                agent.tier = Some(body.tier);
                agent.attempts[attempt].tier = body.tier;
                agent.attempts[attempt].started_at = utc(at);
                agent.attempts[attempt].task = body.private.as_ref().and_then(|private| private.task.as_ref()).and_then(text);
            }
            Event::ProviderSwitched(body) => {
                let (agent, attempt) = self.attempt(body.agent, body.attempt, Tier::Cheap);
                self.detail.agents[agent].attempts[attempt].switches.push(Switch {
                    purpose: body.purpose,
                    class: body.class,
                    from: format!("{}/{}", body.from_provider, body.from_model),
                    to: format!("{}/{}", body.to_provider, body.to_model),
                });
            }
            Event::AttemptEnded(body) => {
                let (agent, attempt) = self.attempt(body.agent, body.attempt, Tier::Cheap);
                let agent = &mut self.detail.agents[agent];
                let attempt = &mut agent.attempts[attempt];
                attempt.status = ended(body.outcome);
                attempt.verified = body.verified;
                attempt.signals.clone_from(&body.signals);
                // When an attempt whose process died was found, not when it ended, is in its record.
                attempt.duration_ms = (body.outcome != AttemptOutcome::Lost).then_some(body.duration_ms);
                if let Some(duration_ms) = attempt.duration_ms {
                    agent.duration_ms = Some(agent.duration_ms.unwrap_or(0).saturating_add(duration_ms));
                }
            }
            Event::AttemptImported(body) => {
                let (agent, attempt) = self.attempt(body.agent, body.attempt, body.tier);
                self.costless.insert((body.agent, body.attempt));
                let usage = Tokens::from(body.usage.unwrap_or_default());
                self.detail.tokens.add(usage);
                let agent = &mut self.detail.agents[agent];
                agent.tier = Some(body.tier);
                agent.tokens.add(usage);
                if let Some(duration_ms) = body.duration_ms {
                    agent.duration_ms = Some(agent.duration_ms.unwrap_or(0).saturating_add(duration_ms));
                }
                let attempt = &mut agent.attempts[attempt];
                attempt.imported = true;
                attempt.tier = body.tier;
                attempt.started_at = utc(at);
                attempt.provider.clone_from(&body.provider);
                attempt.model.clone_from(&body.model);
                attempt.status = if body.passed { AttemptStatus::Passed } else { AttemptStatus::FailedCriteria };
                attempt.verified = body.passed;
                attempt.tokens.add(usage);
                attempt.duration_ms = body.duration_ms;
                attempt.output = body.private.as_ref().and_then(|private| private.output.as_ref()).and_then(text);
                let failed = body.private.as_ref().map(|private| private.failed_criteria.clone()).unwrap_or_default();
                attempt.criteria.extend(failed.into_iter().zip(0..).map(|(name, criterion)| CriterionDetail {
                    criterion,
                    name: Some(name),
                    verdict: Verdict::Fail,
                    score: None,
                    evidence: None,
                    by: "nobody".to_owned(),
                }));
            }
            Event::AttemptInherited(body) => self.inherit(body, at, text),
            _ => {}
        }
    }

    fn apply_judgement(&mut self, event: &Event, at: TimeNs) {
        match event {
            Event::CriterionJudged(body) => {
                let (agent, attempt) = self.attempt(body.agent, body.attempt, Tier::Cheap);
                let attempt = &mut self.detail.agents[agent].attempts[attempt];
                let imported = attempt.imported;
                let criteria = &mut attempt.criteria;
                // Where what was judged is forgotten, the team's plan still has the template's words.
                let planned = || self.criteria.get(&body.agent)?.get(body.criterion as usize).cloned();
                let name = body.private.as_ref().map(|private| private.name.clone()).or_else(planned);
                let is_told = |told: &&mut CriterionDetail| told.evidence.is_none() && told.name.is_some() && told.name == name;
                if imported && let Some(told) = criteria.iter_mut().find(is_told) {
                    // The attempt has named what it failed; its verdict says which number that has within the agent.
                    told.criterion = body.criterion;
                    return;
                }
                criteria.push(CriterionDetail {
                    criterion: body.criterion,
                    name,
                    verdict: body.verdict,
                    score: body.score,
                    evidence: body.private.as_ref().map(|private| private.evidence.clone()),
                    by: judge_name(body.by).to_owned(),
                });
            }
            Event::TierEscalated(body) => {
                let (agent, attempt) = self.attempt(body.agent, body.attempt, body.from);
                let agent = &mut self.detail.agents[agent];
                let attempt = &mut agent.attempts[attempt];
                attempt.escalated_to = Some(body.to);
                let named = |number: &u32| attempt.criteria.iter().find(|criterion| criterion.criterion == *number)?.name.clone();
                self.detail.escalations.push(Escalation {
                    at: utc(at),
                    role: agent.role.clone(),
                    attempt: body.attempt,
                    from: body.from,
                    to: body.to,
                    reason: body.reason,
                    failed_criteria: body.failed.iter().filter_map(named).collect(),
                });
            }
            Event::ApprovalAsked(body) => {
                let place = self.agent(body.agent);
                self.detail.approvals.push(Approval {
                    number: body.agent,
                    role: self.detail.agents[place].role.clone(),
                    from: body.from,
                    to: body.to,
                    reason: body.reason,
                    worst_case_nusd: body.worst_case.map(|amount| amount.0),
                    granted: None,
                });
            }
            Event::ApprovalGiven(body) => {
                let open = |approval: &&mut Approval| approval.number == body.agent && approval.granted.is_none();
                if let Some(approval) = self.detail.approvals.iter_mut().find(open) {
                    approval.granted = Some(body.granted);
                }
            }
            Event::AgentSucceeded(body) => {
                let place = self.agent(body.agent);
                let agent = &mut self.detail.agents[place];
                agent.status = AgentStatus::Succeeded;
                agent.verified = body.verified;
                agent.failure = None;
                let passed = agent.attempts.iter().find(|attempt| attempt.attempt == body.attempt);
                agent.output = passed.and_then(|attempt| attempt.output.clone());
            }
            Event::AgentFailed(body) => {
                let place = self.agent(body.agent);
                let agent = &mut self.detail.agents[place];
                agent.status = AgentStatus::Failed;
                let message = body.private.as_ref().map(|private| private.message.clone());
                agent.failure = Some(AgentFailure { reason: body.reason, message });
            }
            Event::AgentSkipped(body) => {
                let place = self.agent(body.agent);
                let agent = &mut self.detail.agents[place];
                agent.status = if body.because == SkipReason::Cancelled { AgentStatus::Cancelled } else { AgentStatus::Skipped };
                agent.skipped_because = Some(body.because);
            }
            _ => {}
        }
    }

    fn apply_end(&mut self, event: &Event, at: TimeNs, ended: Option<TimeNs>, text: TextOf<'_>) {
        let detail = &mut self.detail;
        if matches!(event, Event::RunSucceeded(_) | Event::RunFailed(_) | Event::RunCancelled(_)) {
            // What it waited for is not what ended it.
            detail.suspended_because = None;
        }
        match event {
            Event::ReportComposed(body) => detail.report = body.private.as_ref().and_then(|private| text(&private.report)),
            Event::RunSucceeded(body) => {
                self.ended = ended;
                detail.verified = body.verified;
            }
            Event::RunFailed(body) => {
                self.ended = ended;
                let message = body.private.as_ref().map(|private| private.message.clone());
                detail.failure = Some(RunFailureDetail { reason: body.reason, message });
            }
            Event::RunCancelled(_) => {
                self.ended = ended;
                for agent in &mut detail.agents {
                    if matches!(agent.status, AgentStatus::Pending | AgentStatus::Running) {
                        agent.status = AgentStatus::Cancelled;
                    }
                }
            }
            Event::RunSuspended(body) => detail.suspended_because = Some(body.why),
            Event::RunResumed(body) => {
                self.ended = None;
                detail.suspended_because = None;
                detail.failure = None;
                detail.budget_nusd = body.budget.map_or(detail.budget_nusd, |budget| Some(budget.0));
                for (number, budget) in &body.agent_budgets {
                    for agent in detail.agents.iter_mut().filter(|agent| agent.number == *number) {
                        agent.budget_nusd = Some(budget.0);
                    }
                }
                if body.retry_failed {
                    retry(&mut detail.agents);
                }
            }
            Event::RunForked(body) => {
                detail.lineage = Some(Lineage { parent: body.parent.to_string(), at: body.version, position: None });
            }
            Event::NoteAdded(body) => detail.notes.push(Note {
                at: utc(at),
                rating: body.rating,
                text: body.private.as_ref().and_then(|private| text(&private.text)),
                tags: body.private.as_ref().map(|private| private.tags.clone()).unwrap_or_default(),
            }),
            _ => {}
        }
    }

    /// Returns the place of agent `number`, made if no plan has named it.
    fn agent(&mut self, number: AgentNo) -> usize {
        if let Some(place) = self.detail.agents.iter().position(|agent| agent.number == number) {
            return place;
        }
        self.detail.agents.push(AgentDetail {
            agent_id: format!("agent-{number}"),
            number,
            role: format!("agent-{number}"),
            item: None,
            base_template: String::new(),
            status: AgentStatus::Pending,
            verified: false,
            strategy: Strategy::Progressive,
            tier: None,
            start_tier: None,
            cost_nusd: 0,
            cost_complete: true,
            verification_cost_nusd: 0,
            duration_ms: None,
            tokens: Tokens::default(),
            untold_calls: 0,
            output: None,
            failure: None,
            skipped_because: None,
            tools: Vec::new(),
            config: None,
            success_criteria: None,
            task: None,
            depends_on: Vec::new(),
            budget_nusd: None,
            on_failure: OnFailure::FailRun,
            attempts: Vec::new(),
        });
        self.detail.agents.len() - 1
    }

    /// Returns the places of an agent and its attempt, made at `tier` if nothing has named it.
    pub(super) fn attempt(&mut self, agent: AgentNo, number: AttemptNo, tier: Tier) -> (usize, usize) {
        let place = self.agent(agent);
        let attempts = &mut self.detail.agents[place].attempts;
        if let Some(attempt) = attempts.iter().position(|attempt| attempt.attempt == number) {
            return (place, attempt);
        }
        attempts.push(AttemptDetail {
            attempt: number,
            tier,
            provider: None,
            model: None,
            status: AttemptStatus::Running,
            verified: false,
            imported: false,
            inherited_from: None,
            stop_reason: None,
            error: None,
            signals: Vec::new(),
            cost_nusd: 0,
            cost_complete: true,
            verification_cost_nusd: 0,
            tokens: Tokens::default(),
            untold_calls: 0,
            duration_ms: None,
            started_at: String::new(),
            criteria: Vec::new(),
            escalated_to: None,
            task: None,
            output: None,
            switches: Vec::new(),
            calls: Vec::new(),
        });
        (place, attempts.len() - 1)
    }
}

/// Lets failed agents, and those that were skipped because of them, start again.
fn retry(agents: &mut [AgentDetail]) {
    for agent in agents {
        let skipped = agent.status == AgentStatus::Skipped && agent.skipped_because == Some(SkipReason::RunFailed);
        if agent.status == AgentStatus::Failed || skipped {
            agent.status = AgentStatus::Pending;
            agent.failure = None;
            agent.skipped_because = None;
        }
    }
}

/// Takes what people want to see of the template: its name and which answers are sensitive.
fn read_template(detail: &mut RunDetail, template: &Value) {
    detail.template_name = template.get("name").and_then(Value::as_str).map(str::to_owned);
    let questions = template.pointer("/form_schema/questions").and_then(Value::as_array).into_iter().flatten();
    for question in questions {
        let masked = question.get("sensitive").and_then(Value::as_bool) == Some(true)
            || question.get("type").and_then(Value::as_str) == Some("secret");
        if let (true, Some(id)) = (masked, question.get("id").and_then(Value::as_str)) {
            detail.sensitive.push(id.to_owned());
        }
    }
}
