//! What is known of a run while it goes on: gathered event by event, taken into the statistics when the run ends.
//!
//! A draft holds what the statistics ask for and no text of a model. Secret answers are never taken in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::misconfigured::Misconfigured;
use super::super::open_costs::OpenCosts;
use super::super::run_list::AttemptsDuration;
use super::super::status::RunStatus;
use super::super::work_time::WorkTime;
use crate::domain::event::{AttemptOutcome, Event, FailureReason, JudgedBy, Mode, Purpose, Recorded, Signal, Verdict};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, TimeNs};
use crate::domain::judge;
use crate::domain::tier::Tier;

/// Bytes of an answer (as JSON) beyond which it is remembered by nobody but the log.
const ANSWER_BYTES_MAX: usize = 4096;
/// The reason of what failed by its criteria.
pub(super) const BY_CRITERIA: &str = "criteria";
/// Bytes of a criterion's name that are kept.
const NAME_BYTES_MAX: usize = 200;

/// A run as far as it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStats {
    /// The template's id.
    pub template: String,
    /// Whether its models were real.
    pub mode: Mode,
    /// Another system ran it.
    pub imported: bool,
    /// Another system says how it ended; see [`crate::domain::event::RunStarted::has_stated_outcome`].
    outcome_stated: bool,
    /// When it began.
    pub started_at: TimeNs,
    /// How and when it ended; `None` while it goes on.
    pub ended: Option<Ended>,
    /// Its agents.
    pub agents: BTreeMap<AgentNo, AgentDraft>,
    /// Their attempts, those that ended by a failure of configuration among them; see [`RunStats::counted`].
    pub(super) attempts: BTreeMap<(AgentNo, AttemptNo), AttemptDraft>,
    /// Its answers as JSON, without secret ones.
    pub answers: BTreeMap<String, String>,
    /// Agents that began with attempts of the run it was forked from.
    pub heirs: BTreeSet<AgentNo>,
    /// Its tool calls.
    pub tools: BTreeMap<(CallNo, u32), ToolDraft>,
    /// Whose calls they were.
    pub(super) calls: BTreeMap<CallNo, (AgentNo, AttemptNo)>,
    open: OpenCosts,
    time: WorkTime,
    misconfigured: Misconfigured,
}

/// A run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub status: RunStatus,
    /// Every agent that counts is known to have met its criteria, or another system says that it succeeded.
    pub verified: bool,
}

/// An agent of a draft.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentDraft {
    /// Its role.
    pub role: String,
    /// Why it gave up.
    pub failed: Option<FailureReason>,
    /// The names of its criteria, as it was planned.
    pub criteria: Vec<String>,
}

/// An attempt of a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptDraft {
    /// The tier.
    pub tier: Tier,
    /// When it began.
    pub at: TimeNs,
    /// Who served its work last; empty when not known.
    pub provider: String,
    /// The model that served its work last; empty when not known.
    pub model: String,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// It passed and every criterion is known, or another system says that it passed.
    pub verified: bool,
    /// Its signals: malformed, refusal and so on.
    pub signals: Vec<Signal>,
    /// How long it took, in milliseconds; `None` when that is not known, as of one whose process died.
    pub duration_ms: Option<u64>,
    /// What is known of its cost, judging included, in nUSD.
    pub cost: u64,
    /// Charges of unknown amount.
    pub unpriced: u32,
    /// Another system made it, and said nothing of its cost so far.
    pub costless: bool,
    /// The agent escalated from here.
    pub escalated: bool,
    /// What its criteria said: by name.
    pub verdicts: Vec<(String, Verdict, Judge)>,
}

impl AttemptDraft {
    /// Takes in a verdict. What another system says of a criterion that failed may be told twice, and counts once.
    fn judge(&mut self, name: String, verdict: Verdict, judge: Judge) {
        let told = |known: &&mut (String, Verdict, Judge)| known.0 == name && known.1 == verdict;
        match self.verdicts.iter_mut().find(told) {
            Some(known) if known.2 == Judge::Foreign || judge == Judge::Foreign => {
                known.2 = if known.2 == Judge::Foreign { judge } else { known.2 };
            }
            _ => self.verdicts.push((name, verdict, judge)),
        }
    }
}

/// Who gave a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judge {
    /// Meno's own code.
    Code,
    /// A model.
    Model,
    /// Nobody was left to judge.
    Nobody,
    /// Another system.
    Foreign,
}

/// A tool call of a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolDraft {
    /// The tool.
    pub tool: String,
    /// It may have changed something.
    pub writes: bool,
    /// It did what it was asked; `None` while it has not ended.
    pub ok: Option<bool>,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
}

impl RunStats {
    /// Returns the attempts that experience counts: all but those that ended by a failure of configuration.
    pub fn counted(&self) -> impl Iterator<Item = (AgentNo, AttemptNo, &AttemptDraft)> {
        let counts = |(agent, attempt): &(AgentNo, AttemptNo)| !self.misconfigured.attempt(*agent, *attempt);
        self.attempts.iter().filter(move |(place, _)| counts(place)).map(|((agent, number), attempt)| (*agent, *number, attempt))
    }

    /// Returns the agents that gave up and why, but for those that a failure of configuration ended. Another system may not say why, and
    /// yet have told which criteria the last attempt did not meet: then it was those.
    pub fn failures(&self) -> impl Iterator<Item = (&AgentDraft, &'static str)> {
        let counted = self.agents.iter().filter(|(number, _)| !self.misconfigured.agent(**number));
        counted.filter_map(|(number, agent)| {
            let reason = agent.failed?;
            let by_criteria = reason == FailureReason::Imported && self.failed_by_criteria(*number);
            Some((agent, if by_criteria { BY_CRITERIA } else { reason.name() }))
        })
    }

    /// Tells whether the last attempt of an agent is known not to have met a criterion.
    fn failed_by_criteria(&self, agent: AgentNo) -> bool {
        let last = self.attempts.range((agent, 0)..=(agent, AttemptNo::MAX)).next_back();
        last.is_some_and(|(_, last)| {
            let fails = |(_, verdict, _): &(String, Verdict, Judge)| *verdict == Verdict::Fail;
            last.outcome == Some(AttemptOutcome::FailedCriteria) && last.verdicts.iter().any(fails)
        })
    }

    /// Tells whether the run, which ended so, was ended by a failure of configuration: then it says nothing of its template.
    pub fn is_misconfigured(&self, ended: Ended) -> bool {
        ended.status != RunStatus::Succeeded && self.misconfigured.run()
    }

    /// Tells whether an attempt is the agent's first that a model could answer: no other one has met its task.
    pub fn is_first(&self, agent: AgentNo, number: AttemptNo) -> bool {
        let mut earlier = self.attempts.range((agent, 0)..(agent, number));
        let is_of_another_run = number > 1 && self.heirs.contains(&agent);
        !is_of_another_run && earlier.all(|((_, number), _)| self.misconfigured.attempt(agent, *number))
    }

    /// Returns what is known of its cost, in nUSD.
    pub fn cost(&self) -> u64 {
        self.attempts.values().fold(0, |sum: u64, attempt| sum.saturating_add(attempt.cost))
    }

    /// Returns how long it worked, in milliseconds; `None` when that is not known.
    pub fn work_ms(&self) -> Option<u64> {
        self.time.work_ms()
    }

    /// Returns the durations of its attempts.
    pub fn attempts_duration(&self) -> AttemptsDuration {
        let mut sum = AttemptsDuration::default();
        self.counted().for_each(|(.., attempt)| sum.add(attempt.duration_ms));
        sum
    }

    /// Begins a draft with the run's first event; `None` when it is another one.
    pub fn begin(recorded: &Recorded) -> Option<Self> {
        let Event::RunStarted(body) = &recorded.event else { return None };
        Some(Self {
            template: body.template_id.clone(),
            mode: body.counts_as(),
            imported: body.is_imported(),
            outcome_stated: body.has_stated_outcome(),
            started_at: at(recorded),
            ended: None,
            agents: BTreeMap::new(),
            attempts: BTreeMap::new(),
            answers: BTreeMap::new(),
            heirs: BTreeSet::new(),
            tools: BTreeMap::new(),
            calls: BTreeMap::new(),
            open: OpenCosts::default(),
            time: WorkTime::begun_with(recorded),
            misconfigured: Misconfigured::default(),
        })
    }

    /// Tells whether drafts look at this kind of event.
    pub fn looks_at(event: &Event) -> bool {
        let of_runs = matches!(
            event,
            Event::AgentPlanned(_)
                | Event::AttemptImported(_)
                | Event::AttemptInherited(_)
                | Event::RunForked(_)
                | Event::CallLost(_)
                | Event::CostIncurred(_)
                | Event::CriterionJudged(_)
        );
        of_runs || event.is_timed()
    }

    /// Takes in the run's next event.
    pub fn apply(&mut self, recorded: &Recorded) {
        let at = at(recorded);
        self.open.apply(&recorded.event);
        self.time.apply(recorded);
        self.misconfigured.apply(&recorded.event);
        match &recorded.event {
            Event::AnswerGiven(body) => {
                let value = body.private.as_ref().filter(|_| !body.secret).map(|private| private.value.as_str());
                self.answer(&body.question, value);
            }
            Event::AnswerChanged(body) => {
                let value = body.private.as_ref().filter(|_| !body.secret && !body.removed).map(|private| private.value.as_str());
                self.answer(&body.question, value);
            }
            Event::AgentPlanned(body) => {
                let names = body.private.as_ref().map(|private| judge::names(&private.criteria)).unwrap_or_default();
                let criteria = names.iter().map(|name| cut(name)).collect();
                self.agents.insert(body.agent, AgentDraft { role: body.role.clone(), failed: None, criteria });
            }
            Event::AttemptInherited(body) => drop(self.heirs.insert(body.agent)),
            Event::AgentSucceeded(body) => self.agents.entry(body.agent).or_default().failed = None,
            Event::AgentFailed(body) => self.agents.entry(body.agent).or_default().failed = Some(body.reason),
            Event::RunSucceeded(body) => {
                let verified = body.verified || self.outcome_stated;
                self.ended = Some(Ended { status: RunStatus::Succeeded, verified });
            }
            Event::RunFailed(_) => self.ended = Some(Ended { status: RunStatus::Failed, verified: false }),
            Event::RunCancelled(_) => self.ended = Some(Ended { status: RunStatus::Cancelled, verified: false }),
            Event::RunResumed(_) => self.ended = None,
            event => self.apply_to_attempts(event, at),
        }
    }

    fn apply_to_attempts(&mut self, event: &Event, at: TimeNs) {
        match event {
            Event::AttemptStarted(body) => {
                self.attempt(body.agent, body.attempt, body.tier, at).at = at;
            }
            Event::CallStarted(body) => {
                self.calls.insert(body.call, (body.agent, body.attempt));
                if body.purpose == Purpose::Work
                    && let Some(attempt) = self.attempts.get_mut(&(body.agent, body.attempt))
                {
                    attempt.provider.clone_from(&body.provider);
                    attempt.model.clone_from(&body.model);
                }
            }
            Event::AttemptEnded(body) => {
                if let Some(attempt) = self.attempts.get_mut(&(body.agent, body.attempt)) {
                    attempt.outcome = Some(body.outcome);
                    attempt.verified = body.verified;
                    attempt.signals.clone_from(&body.signals);
                    // When an attempt whose process died was found, not when it ended, is in its record.
                    attempt.duration_ms = (body.outcome != AttemptOutcome::Lost).then_some(body.duration_ms);
                }
            }
            Event::AttemptImported(body) => {
                let attempt = self.attempt(body.agent, body.attempt, body.tier, at);
                attempt.provider = body.provider.clone().unwrap_or_default();
                attempt.model = body.model.clone().unwrap_or_default();
                let outcome = if body.passed { AttemptOutcome::Passed } else { AttemptOutcome::FailedCriteria };
                attempt.outcome = Some(outcome);
                attempt.verified = body.passed;
                attempt.duration_ms = body.duration_ms;
                attempt.costless = true;
                for name in body.private.iter().flat_map(|private| &private.failed_criteria) {
                    attempt.judge(cut(name), Verdict::Fail, Judge::Foreign);
                }
            }
            Event::CostIncurred(body) => {
                let attempt = self.attempt(body.agent, body.attempt, body.tier, at);
                attempt.cost = attempt.cost.saturating_add(body.amount.unwrap_or_default().0);
                attempt.unpriced = attempt.unpriced.saturating_add(u32::from(body.amount.is_none()));
                attempt.costless &= body.call.is_some();
            }
            Event::CriterionJudged(body) => {
                let planned = || self.agents.get(&body.agent)?.criteria.get(body.criterion as usize).cloned();
                let name = match &body.private {
                    Some(private) => cut(&private.name),
                    None => planned().unwrap_or_else(|| format!("#{}", u64::from(body.criterion) + 1)),
                };
                let judge = match body.by {
                    JudgedBy::Code => Judge::Code,
                    JudgedBy::Model(_) => Judge::Model,
                    JudgedBy::Nobody => Judge::Nobody,
                };
                if let Some(attempt) = self.attempts.get_mut(&(body.agent, body.attempt)) {
                    attempt.judge(name, body.verdict, judge);
                }
            }
            Event::TierEscalated(body) => {
                if let Some(attempt) = self.attempts.get_mut(&(body.agent, body.attempt)) {
                    attempt.escalated = true;
                }
            }
            Event::ToolStarted(body) => {
                let tool = ToolDraft { tool: body.tool.clone(), writes: body.writes, ok: None, latency_ms: 0 };
                self.tools.insert((body.call, body.tool_call), tool);
            }
            Event::ToolEnded(body) => {
                if let Some(tool) = self.tools.get_mut(&(body.call, body.tool_call)) {
                    tool.ok = Some(body.ok);
                    tool.latency_ms = body.latency_ms;
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, question: &str, value: Option<&str>) {
        match value.filter(|value| *value != "null" && value.len() <= ANSWER_BYTES_MAX) {
            Some(value) => self.answers.insert(question.to_owned(), value.to_owned()),
            None => self.answers.remove(question),
        };
    }

    fn attempt(&mut self, agent: AgentNo, number: AttemptNo, tier: Tier, at: TimeNs) -> &mut AttemptDraft {
        self.attempts.entry((agent, number)).or_insert_with(|| AttemptDraft {
            tier,
            at,
            provider: String::new(),
            model: String::new(),
            outcome: None,
            verified: false,
            signals: Vec::new(),
            duration_ms: None,
            cost: 0,
            unpriced: 0,
            costless: false,
            escalated: false,
            verdicts: Vec::new(),
        })
    }

    /// Returns the role of an agent; empty when it is not known.
    pub fn role(&self, agent: AgentNo) -> &str {
        self.agents.get(&agent).map_or("", |agent| agent.role.as_str())
    }

    /// Returns the attempts some of whose cost is not known.
    pub fn unsettled(&self) -> BTreeSet<(AgentNo, AttemptNo)> {
        let of_calls = self.calls.iter().filter(|(call, _)| self.open.is_open(**call)).map(|(_, attempt)| *attempt);
        let unknown = |attempt: &AttemptDraft| attempt.unpriced > 0 || attempt.costless;
        let of_attempts = self.attempts.iter().filter(|(_, attempt)| unknown(attempt)).map(|(number, _)| *number);
        of_calls.chain(of_attempts).collect()
    }
}

fn at(recorded: &Recorded) -> TimeNs {
    recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at)
}

/// Cuts a name to its first bytes, at the border of a character.
fn cut(name: &str) -> String {
    let end = name.char_indices().map(|(start, c)| start + c.len_utf8()).take_while(|end| *end <= NAME_BYTES_MAX).last();
    name[..end.unwrap_or(0)].to_owned()
}
