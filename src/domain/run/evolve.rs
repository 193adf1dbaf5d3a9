//! Applying one event to what is known. Total: an event that was written can always be read, whatever came before it.

use std::sync::Arc;

use serde_json::Value;

use super::observation::Observation;
use super::offer;
use super::state::{
    Agent, AgentStatus, Attempt, Call, CallState, Inherited, Input, JudgedCriterion, Parent, Phase, RecordedAnswer, Run, Terms,
    ToolEnd, ToolRun, Turn,
};
use crate::domain::event::{
    AttemptInherited, AttemptOutcome, Envelope, Event, InheritedVerdict, Purpose, Recorded, Resolution, ResolvedBy,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, Hash};
use crate::domain::judge::Edition;
use crate::domain::money::UsageSource;
use crate::domain::omission;
use crate::domain::text::Text;
use crate::domain::tier::Tier;

impl Run {
    /// Applies one event.
    ///
    /// Texts must have been read in: a payload's text that is not there counts as forgotten.
    #[must_use]
    pub fn evolve(mut self, recorded: &Recorded) -> Self {
        self.apply(recorded);
        self
    }

    /// Applies one event in place; see [`Run::evolve`].
    pub fn apply(&mut self, recorded: &Recorded) {
        let envelope = &recorded.envelope;
        self.id = self.id.or(envelope.run);
        self.version = envelope.version;
        self.head = recorded.hash;
        match &recorded.event {
            Event::RunStarted(body) => {
                self.phase = Phase::Running;
                self.executor = Some(body.executor);
                self.terms = Some(Terms {
                    mode: body.mode,
                    strategy: body.strategy,
                    budget: body.budget,
                    allow_unpriced: body.allow_unpriced,
                    escalate: body.escalate,
                    jobs: body.jobs,
                    seed: body.seed,
                    started_at: envelope.at,
                    judging: body.private.as_ref().map_or_else(Edition::before_any, |private| judging(&private.settings)),
                });
            }
            Event::AnswerGiven(body) => {
                let value = body.private.as_ref().map_or(Value::Null, |private| json(&private.value));
                self.answers.insert(body.question.clone(), RecordedAnswer { value, source: body.source, secret: body.secret });
            }
            Event::AnswerChanged(body) if body.removed => {
                self.answers.shift_remove(&body.question);
            }
            Event::AnswerChanged(body) => {
                let value = body.private.as_ref().map_or(Value::Null, |private| json(&private.value));
                self.answers.insert(body.question.clone(), RecordedAnswer { value, source: body.source, secret: body.secret });
            }
            Event::FormCompleted(_) => self.form_complete = true,
            Event::InputAttached(body) => {
                let private = body.private.as_ref();
                self.inputs.retain(|input| input.id != body.input);
                self.inputs.push(Input {
                    id: body.input.clone(),
                    files: private
                        .map_or_else(Vec::new, |p| p.texts.iter().map(|(name, text)| (name.clone(), inline(text))).collect()),
                    left_out: private.map_or(0, |_| omission::missed(&body.omitted)),
                });
            }
            Event::AgentPlanned(body) => self.plan_agent(body),
            Event::StartTierChosen(body) => self.with_agent(body.agent, |agent| agent.tier = body.tier),
            Event::AttemptStarted(body) => self.with_agent(body.agent, |agent| {
                agent.tier = body.tier;
                agent.status = AgentStatus::Working;
                agent.attempts.push(Attempt::new(body.attempt, body.tier, envelope.at));
            }),
            Event::CallStarted(body) => {
                let private = body.private.as_ref();
                let text = |text: Option<&Text>| text.and_then(inline).unwrap_or_else(|| Arc::from(""));
                self.calls.insert(
                    body.call,
                    Call {
                        number: body.call,
                        agent: body.agent,
                        attempt: body.attempt,
                        purpose: body.purpose,
                        provider: body.provider.clone(),
                        model: body.model.clone(),
                        estimated_input: body.estimated_input,
                        max_output: body.max_output,
                        reserved: body.reserved,
                        system: text(private.map(|p| &p.system)),
                        prompt: text(private.map(|p| &p.prompt)),
                        goes_on: private.is_some_and(|p| p.transcript.is_some()),
                        turns_left: private.and_then(|p| offer::turns_left(&p.parameters)),
                        state: CallState::Open,
                        cost: None,
                        untold_tries: 0,
                        turn: None,
                    },
                );
                self.with_attempt(body.agent, body.attempt, |attempt| {
                    attempt.calls.push(body.call);
                    if body.purpose == Purpose::Work {
                        attempt.max_output = attempt.max_output.max(body.max_output);
                    }
                });
            }
            Event::CallReplied(body) => {
                let reported = body.usage_source == UsageSource::Reported;
                let Some((agent, attempt, purpose)) =
                    self.end_call(body.call, CallState::Replied { usage: body.usage, reported })
                else {
                    return;
                };
                let turn = self.calls.get(&body.call).and_then(|call| offer::turn(call, body));
                if let (Some(_), Some(call)) = (&turn, self.calls.get_mut(&body.call)) {
                    call.turn = turn;
                } else if purpose == Purpose::Work {
                    let output = body.private.as_ref().and_then(|private| inline(&private.output));
                    self.with_attempt(agent, attempt, |attempt| {
                        attempt.output = output;
                        attempt.stop = Some(body.stop);
                    });
                }
            }
            Event::CallFailed(body) => {
                self.end_call(body.call, CallState::Failed(body.class));
            }
            Event::CallCancelled(body) => {
                self.end_call(body.call, CallState::Cancelled);
            }
            Event::CallLost(body) => {
                self.end_call(body.call, CallState::Lost);
            }
            Event::ToolStarted(body) => {
                self.tools_started += 1;
                let run =
                    ToolRun { number: self.tools_started, writes: body.writes, is_interrupted: false, files: None, end: None };
                self.with_turn(body.call, |turn| turn.runs.push(run));
            }
            Event::WritePrepared(body) => self.with_tool(body.call, body.tool_call, |run| {
                run.files = body.private.as_ref().map(|private| private.files.clone().into());
            }),
            Event::ToolResolved(body) if body.resolution == Resolution::NotDone => {
                let by_person = body.by == ResolvedBy::Person;
                self.with_tool(body.call, body.tool_call, |run| {
                    run.is_interrupted = false;
                    // What a person looked at may be neither what was there before nor what was to come of it.
                    run.files = run.files.take().filter(|_| !by_person);
                });
            }
            Event::ToolEnded(body) => {
                let result = body.private.as_ref().and_then(|private| inline(&private.result));
                let end = ToolEnd { ok: body.ok, result: result.unwrap_or_else(|| Arc::from("")) };
                self.with_tool(body.call, body.tool_call, |run| {
                    (run.end, run.is_interrupted, run.files) = (Some(end), false, None);
                });
            }
            Event::ProviderSwitched(body) => self.with_attempt(body.agent, body.attempt, |attempt| match body.purpose {
                Purpose::Work => attempt.work_model += 1,
                Purpose::Judge => attempt.judge_model += 1,
            }),
            Event::FactObserved(body) => {
                let observed = Observation::recorded(body);
                let Some(attempt) = body.attempt.filter(|_| body.private.is_some()) else { return };
                if let Some((path, before)) = observed.file_before() {
                    self.with_agent(body.agent, |agent| {
                        agent.files_before.entry(path.to_owned()).or_insert(before);
                    });
                }
                self.with_attempt(body.agent, attempt, |attempt| {
                    if let Some((path, fact)) = observed.file().filter(|_| !observed.is_before_alone()) {
                        attempt.files.insert(path.to_owned(), fact);
                    }
                    if let Some((name, fact)) = observed.command() {
                        attempt.commands.insert(name.to_owned(), fact);
                    }
                });
            }
            Event::CriterionJudged(body) => {
                let private = body.private.as_ref();
                let judged = JudgedCriterion {
                    verdict: body.verdict,
                    score: body.score,
                    by: body.by,
                    name: private.map_or_else(String::new, |p| p.name.clone()),
                    evidence: private.map_or_else(String::new, |p| p.evidence.clone()),
                };
                self.with_attempt(body.agent, body.attempt, |attempt| {
                    attempt.judged.insert(body.criterion, judged);
                });
            }
            Event::AttemptEnded(body) => {
                self.with_attempt(body.agent, body.attempt, |attempt| {
                    attempt.outcome = Some(body.outcome);
                    attempt.verified = body.verified;
                    attempt.signals.clone_from(&body.signals);
                    attempt.ended = envelope.version;
                });
                self.with_agent(body.agent, |agent| agent.status = AgentStatus::Waiting);
            }
            Event::AttemptImported(body) => self.with_agent(body.agent, |agent| {
                let mut attempt = Attempt::new(body.attempt, body.tier, envelope.occurred_at.unwrap_or(envelope.at));
                attempt.outcome = Some(if body.passed { AttemptOutcome::Passed } else { AttemptOutcome::FailedCriteria });
                attempt.output = body.private.as_ref().and_then(|private| inline(private.output.as_ref()?));
                agent.tier = body.tier;
                agent.attempts.push(attempt);
            }),
            Event::AttemptInherited(body) => self.inherit(body, envelope),
            Event::RunForked(body) => {
                self.parent = Some(Parent { run: body.parent, version: body.version, head: body.head });
            }
            Event::CostIncurred(body) => {
                self.spent = self.spent.plus(body.amount.unwrap_or_default());
                if let Some(call) = body.call.and_then(|call| self.calls.get_mut(&call)) {
                    if body.is_untold() {
                        call.untold_tries += 1;
                        return;
                    }
                    // Tries that failed on the way have costs of their own.
                    call.cost = match (call.cost, body.amount) {
                        (Some(before), Some(amount)) => Some(before.plus(amount)),
                        (_, amount) => amount,
                    };
                }
            }
            Event::TierEscalated(body) => self.with_agent(body.agent, |agent| {
                agent.tier = body.to;
                agent.status = AgentStatus::Waiting;
            }),
            Event::ApprovalAsked(body) => {
                let (to, reason) = (body.to, body.reason);
                self.with_agent(body.agent, |agent| agent.status = AgentStatus::AwaitingApproval { to, reason });
            }
            Event::AgentSucceeded(body) => {
                let (attempt, verified) = (body.attempt, body.verified);
                self.with_agent(body.agent, |agent| agent.status = AgentStatus::Succeeded { attempt, verified });
            }
            Event::AgentFailed(body) => {
                let message = body.private.as_ref().map_or_else(String::new, |private| private.message.clone());
                self.with_agent(body.agent, |agent| agent.status = AgentStatus::Failed(body.reason, message));
            }
            Event::AgentSkipped(body) => self.with_agent(body.agent, |agent| agent.status = AgentStatus::Skipped),
            Event::ReportComposed(body) => self.report = body.private.as_ref().and_then(|private| inline(&private.report)),
            Event::RunSucceeded(body) => self.phase = Phase::Succeeded { verified: body.verified },
            Event::RunFailed(_) => self.phase = Phase::Failed,
            Event::RunSuspended(body) => self.phase = Phase::Suspended(body.why),
            Event::RunResumed(body) => {
                self.phase = Phase::Running;
                self.executor = Some(body.executor);
                let waited = envelope.at.saturating_sub(self.active_at).max(0);
                let attempts = self.agents.iter_mut().filter_map(|agent| agent.attempts.last_mut());
                for attempt in attempts.filter(|attempt| attempt.outcome.is_none()) {
                    attempt.started_at = attempt.started_at.saturating_add(waited);
                }
                if let Some(terms) = &mut self.terms {
                    terms.budget = body.budget.or(terms.budget);
                    terms.allow_unpriced |= body.allow_unpriced;
                }
                for (agent, budget) in &body.agent_budgets {
                    self.with_agent(*agent, |agent| agent.plan.budget = Some(*budget));
                }
                let turns = self.calls.values_mut().filter_map(|call| call.turn.as_mut());
                for run in turns.flat_map(|turn| &mut turn.runs).filter(|run| run.writes && run.end.is_none()) {
                    run.is_interrupted = true;
                }
                if body.retry_failed {
                    self.forget_failures();
                }
            }
            Event::CancelAsked(_) => self.cancel_asked = true,
            Event::RunCancelled(_) => self.phase = Phase::Cancelled,
            Event::QuestionsShown(_)
            | Event::RuleSkipped(_)
            | Event::RequestRetried(_)
            | Event::ApprovalGiven(_)
            | Event::ToolResolved(_)
            | Event::WriteUndone(_)
            | Event::NoteAdded(_)
            | Event::RecommendationShown(_)
            | Event::RecommendationTaken(_)
            | Event::StoreCreated(_)
            | Event::CheckpointSealed(_)
            | Event::PrivatePartsForgotten(_)
            | Event::SegmentImported(_)
            | Event::ClockMovedBack(_)
            | Event::ImportKeysRetained(_) => {}
        }
        // Who asks for an end may be anybody.
        if recorded.event.is_timed() && !matches!(recorded.event, Event::CancelAsked(_)) {
            self.active_at = envelope.at;
        }
    }

    /// Gives failed and skipped agents another turn, at the tier where their strategy begins.
    fn forget_failures(&mut self) {
        self.report = None;
        for agent in &mut self.agents {
            if matches!(agent.status, AgentStatus::Failed(..) | AgentStatus::Skipped) {
                agent.status = AgentStatus::Waiting;
                agent.retried_from = agent.attempts.len();
                agent.tier = agent.plan.strategy.tiers().first().copied().unwrap_or(Tier::Cheap);
            }
        }
    }

    fn plan_agent(&mut self, body: &crate::domain::event::AgentPlanned) {
        let private = body.private.as_ref();
        let label = match private.and_then(|p| p.item.as_deref()) {
            Some(item) => format!("{}[{item}]", body.role),
            None => body.role.clone(),
        };
        let agent = Agent {
            label,
            criteria: private.and_then(|p| serde_json::from_str(&p.criteria).ok()).unwrap_or_default(),
            config: private.map_or(Value::Null, |p| json(&p.config)),
            tier: body.strategy.tiers().first().copied().unwrap_or(Tier::Cheap),
            status: AgentStatus::Waiting,
            attempts: Vec::new(),
            retried_from: 0,
            files_before: std::collections::BTreeMap::new(),
            plan: body.clone(),
        };
        // Numbers are gapless in every log that Meno writes; a log that is not is still folded, in order of planning.
        self.agents.push(agent);
    }

    fn inherit(&mut self, body: &AttemptInherited, envelope: &Envelope) {
        let private = body.private.as_ref();
        let texts = |index: usize| private.and_then(|private| private.criteria.get(index).cloned()).unwrap_or_default();
        let judged = body.verdicts.iter().enumerate().map(|(index, verdict)| {
            let (name, evidence) = texts(index);
            let InheritedVerdict { criterion, verdict, score, by } = *verdict;
            (criterion, JudgedCriterion { verdict, score, by, name, evidence })
        });
        let attempt = Attempt {
            output: private.and_then(|private| inline(private.output.as_ref()?)),
            stop: body.stop,
            judged: judged.collect(),
            outcome: Some(body.outcome),
            verified: body.verified,
            signals: body.signals.clone(),
            max_output: body.max_output,
            ended: envelope.version,
            inherited: Some(Inherited {
                run: body.run,
                version: body.version,
                provider: body.provider.clone(),
                model: body.model.clone(),
                prompt: private.map(|private| private.prompt).filter(|prompt| *prompt != Hash::default()),
            }),
            ..Attempt::new(body.attempt, body.tier, envelope.at)
        };
        self.with_agent(body.agent, |agent| {
            agent.tier = body.tier;
            agent.attempts.push(attempt);
        });
    }

    fn end_call(&mut self, number: CallNo, state: CallState) -> Option<(AgentNo, AttemptNo, Purpose)> {
        let call = self.calls.get_mut(&number)?;
        call.state = state;
        Some((call.agent, call.attempt, call.purpose))
    }

    fn with_turn(&mut self, number: CallNo, change: impl FnOnce(&mut Turn)) {
        if let Some(turn) = self.calls.get_mut(&number).and_then(|call| call.turn.as_mut()) {
            change(turn);
        }
    }

    fn with_tool(&mut self, call: CallNo, tool_call: u32, change: impl FnOnce(&mut ToolRun)) {
        self.with_turn(call, |turn| {
            if let Some(run) = turn.runs.get_mut(tool_call as usize) {
                change(run);
            }
        });
    }

    fn with_agent(&mut self, number: AgentNo, change: impl FnOnce(&mut Agent)) {
        if let Some(agent) = self.agents.get_mut(number as usize) {
            change(agent);
        }
    }

    fn with_attempt(&mut self, agent: AgentNo, number: AttemptNo, change: impl FnOnce(&mut Attempt)) {
        self.with_agent(agent, |agent| {
            if let Some(attempt) = agent.attempts.iter_mut().find(|attempt| attempt.number == number) {
                change(attempt);
            }
        });
    }
}

impl Attempt {
    fn new(number: AttemptNo, tier: Tier, started_at: i64) -> Self {
        Self {
            number,
            tier,
            started_at,
            work_model: 0,
            judge_model: 0,
            calls: Vec::new(),
            output: None,
            stop: None,
            files: std::collections::BTreeMap::new(),
            commands: std::collections::BTreeMap::new(),
            judged: std::collections::BTreeMap::new(),
            outcome: None,
            verified: false,
            signals: Vec::new(),
            max_output: 0,
            ended: 0,
            inherited: None,
        }
    }
}

pub(super) fn inline(text: &Text) -> Option<Arc<str>> {
    match text {
        Text::Inline(text) => Some(Arc::from(text.as_str())),
        _ => None,
    }
}

/// Reads the rules that judge from the recorded settings.
fn judging(settings: &Text) -> Edition {
    #[derive(serde::Deserialize)]
    struct Judging {
        #[serde(default = "Edition::before_any")]
        judging: Edition,
    }
    let read = inline(settings).and_then(|settings| serde_json::from_str::<Judging>(&settings).ok());
    read.map_or_else(Edition::before_any, |read| read.judging)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
