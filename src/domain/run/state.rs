//! What is known of a run after its events so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::observation::FileLook;
use crate::domain::call::ToolCall;
use crate::domain::criterion::Criterion;
use crate::domain::event::{
    AgentPlanned, AnswerSource, AttemptOutcome, ErrorClass, Escalate, EscalationReason, FailureReason, FileChange, JudgedBy,
    Mode, Purpose, Signal, StopReason, SuspendReason, Verdict,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, ExecutorId, Hash, RunId, TimeNs};
use crate::domain::judge::{CommandFact, Edition, FileFact};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::tier::{Strategy, Tier};

/// A run, folded from its events. The default value is a run before its first event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The run's id, once it started.
    pub id: Option<RunId>,
    /// The version of the last event folded.
    pub version: u64,
    /// The chain's hash at that event.
    pub head: Hash,
    /// How far it is.
    pub phase: Phase,
    /// What was fixed when it started.
    pub terms: Option<Terms>,
    /// The process that executes, or did last.
    pub executor: Option<ExecutorId>,
    /// When that process was last at work.
    pub active_at: TimeNs,
    /// The answers, in the order given.
    pub answers: IndexMap<String, RecordedAnswer>,
    /// The material.
    pub inputs: Vec<Input>,
    /// The form is complete.
    pub form_complete: bool,
    /// The team, by number.
    pub agents: Vec<Agent>,
    /// Every call, by number.
    pub calls: BTreeMap<CallNo, Call>,
    /// Tools that have started so far.
    pub tools_started: u32,
    /// The sum of the known costs.
    pub spent: NanoUsd,
    /// Somebody asked for the run's end.
    pub cancel_asked: bool,
    /// The report.
    pub report: Option<Arc<str>>,
    /// The run that it was forked from, and where.
    pub parent: Option<Parent>,
}

/// Where a run was forked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The run that it was forked from.
    pub run: RunId,
    /// The last event of that run which it knows of.
    pub version: u64,
    /// The chain's hash there.
    pub head: Hash,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing happened yet.
    #[default]
    New,
    /// Going on.
    Running,
    /// Stopped; it can go on.
    Suspended(SuspendReason),
    /// Ended well.
    Succeeded {
        /// Every agent that succeeded is verified.
        verified: bool,
    },
    /// Ended, and not well.
    Failed,
    /// Ended for good by a person.
    Cancelled,
}

/// What was fixed when the run started.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Real, simulated or imported.
    pub mode: Mode,
    /// A strategy for the whole run, over what the rules say.
    pub strategy: Option<Strategy>,
    /// The run's budget.
    pub budget: Option<NanoUsd>,
    /// Under a budget, models without a price may be called.
    pub allow_unpriced: bool,
    /// What to do when an agent is to escalate.
    pub escalate: Escalate,
    /// Agents at work at once, at most.
    pub jobs: u16,
    /// The seed.
    pub seed: u64,
    /// When it started.
    pub started_at: TimeNs,
    /// The rules that judge.
    pub judging: Edition,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedAnswer {
    /// The value; null for a secret or when forgotten.
    pub value: Value,
    /// Where it came from.
    pub source: AnswerSource,
    /// It is a secret.
    pub secret: bool,
}

/// Material given to the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its id.
    pub id: String,
    /// Files: name, and text unless forgotten.
    pub files: Vec<(String, Option<Arc<str>>)>,
    /// How many files were left out that the folder's owner would count to it: what is ignored or hidden is not.
    pub left_out: u32,
}

/// An agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// As planned.
    pub plan: AgentPlanned,
    /// `role`, or `role[item]`.
    pub label: String,
    /// The criteria, with placeholders filled.
    pub criteria: Vec<Criterion>,
    /// The configuration.
    pub config: Value,
    /// Where it is, or was last.
    pub tier: Tier,
    /// How far it is.
    pub status: AgentStatus,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// How many of the attempts belong to an earlier life: before failed agents were given another turn.
    pub retried_from: usize,
    /// Files that its criteria ask about, as they were before its first attempt, by the criterion's spelling.
    pub files_before: BTreeMap<String, FileLook>,
}

/// How far an agent is.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentStatus {
    /// Waits for other agents, or for its next attempt.
    Waiting,
    /// An attempt is open.
    Working,
    /// A person must allow the escalation.
    AwaitingApproval {
        /// Where to.
        to: Tier,
        /// Why.
        reason: EscalationReason,
    },
    /// Done.
    Succeeded {
        /// The attempt that passed.
        attempt: AttemptNo,
        /// All its criteria are known to pass.
        verified: bool,
    },
    /// Gave up.
    Failed(FailureReason, String),
    /// Never got its turn.
    Skipped,
}

impl AgentStatus {
    /// Returns whether nothing more will happen to the agent.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed(..) | Self::Skipped)
    }
}

/// An attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its number.
    pub number: AttemptNo,
    /// Its tier.
    pub tier: Tier,
    /// When it started; later by what the run waited meanwhile for somebody to resume it.
    pub started_at: TimeNs,
    /// Which of the tier's models works: 0 the first, 1 its first fallback, and so on.
    pub work_model: usize,
    /// Which of the judge's models judges.
    pub judge_model: usize,
    /// Its calls.
    pub calls: Vec<CallNo>,
    /// The answer.
    pub output: Option<Arc<str>>,
    /// Why the model stopped.
    pub stop: Option<StopReason>,
    /// Files of the workspace as they were seen, by the criterion's spelling.
    pub files: BTreeMap<String, FileFact>,
    /// What became of the commands that criteria ask for, by their names.
    pub commands: BTreeMap<String, CommandFact>,
    /// Verdicts, by criterion.
    pub judged: BTreeMap<u32, JudgedCriterion>,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// It passed and every criterion is known.
    pub verified: bool,
    /// Its signals: malformed, refusal and so on.
    pub signals: Vec<Signal>,
    /// Output tokens that its calls for work were allowed, at most; 0 before the first.
    pub max_output: u64,
    /// Position in the run's stream of its end; 0 while it is open.
    pub ended: u64,
    /// It was made by another run.
    pub inherited: Option<Inherited>,
}

/// Where an attempt was made that counts in this run too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The run that made it.
    pub run: RunId,
    /// Where that run's stream has its end.
    pub version: u64,
    /// The provider that worked last.
    pub provider: String,
    /// The model that worked last.
    pub model: String,
    /// BLAKE3 of what the agent was first told; `None` when that is gone.
    pub prompt: Option<Hash>,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedCriterion {
    /// The verdict.
    pub verdict: Verdict,
    /// A judge's score, 0 to 1.
    pub score: Option<f64>,
    /// Who judged.
    pub by: JudgedBy,
    /// The criterion's name or words.
    pub name: String,
    /// What speaks for the verdict.
    pub evidence: String,
}

/// A model call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its number.
    pub number: CallNo,
    /// The agent.
    pub agent: AgentNo,
    /// The attempt.
    pub attempt: AttemptNo,
    /// Work or judging.
    pub purpose: Purpose,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Input tokens estimated.
    pub estimated_input: u64,
    /// Output tokens allowed.
    pub max_output: u64,
    /// The worst case.
    pub reserved: Option<NanoUsd>,
    /// The system message; empty when it goes on with a conversation.
    pub system: Arc<str>,
    /// The user message; empty when it goes on with a conversation.
    pub prompt: Arc<str>,
    /// It goes on with the conversation of the attempt's earlier calls.
    pub goes_on: bool,
    /// Its model may ask for tools in so many turns, this one included; `None` when it was offered none.
    pub turns_left: Option<u32>,
    /// How it stands.
    pub state: CallState,
    /// What it cost, once known.
    pub cost: Option<NanoUsd>,
    /// Tries of it of which nobody said what they used.
    pub untold_tries: u32,
    /// What its reply asked for, when that is tools that it may have: the conversation goes on then.
    pub turn: Option<Turn>,
}

/// A reply that asks for tools, and what came of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What the model said beside.
    pub text: Arc<str>,
    /// The tool calls.
    pub calls: Arc<[ToolCall]>,
    /// How many more it asked for than are answered.
    pub dropped: usize,
    /// Those that have started, in the order of the calls.
    pub runs: Vec<ToolRun>,
}

/// A tool call that has started.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolRun {
    /// Its number among the tools of the run that have started, from 1.
    pub number: u32,
    /// It may change something.
    pub writes: bool,
    /// Meno stopped while it ran, and whether it had finished is not known yet.
    pub is_interrupted: bool,
    /// What it was about to make of which files, while it runs; `None` before it is known and for tools that do not say.
    pub files: Option<Arc<[FileChange]>>,
    /// Its end, once there is one.
    pub end: Option<ToolEnd>,
}

/// How a tool call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolEnd {
    /// It did what it was asked.
    pub ok: bool,
    /// What the model is told.
    pub result: Arc<str>,
}

impl Turn {
    /// Returns the numbers of the tool calls that have started and not ended.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().enumerate().filter(|(_, run)| run.end.is_none()).map(|(number, _)| number)
    }

    /// Returns the numbers of the tool calls of which it is not known whether they had finished when Meno stopped.
    pub fn interrupted(&self) -> impl Iterator<Item = usize> {
        self.open().filter(|index| self.runs[*index].is_interrupted)
    }

    /// Returns whether every tool call has ended.
    pub fn is_complete(&self) -> bool {
        self.runs.len() == self.calls.len() && self.open().next().is_none()
    }

    /// Returns whether every tool call has ended, and none did what it was asked.
    pub fn is_failed(&self) -> bool {
        self.is_complete() && self.runs.iter().all(|run| run.end.as_ref().is_some_and(|end| !end.ok))
    }
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// No end is recorded.
    Open,
    /// Replied.
    Replied {
        /// Tokens used.
        usage: TokenUsage,
        /// The provider counted them.
        reported: bool,
    },
    /// Failed.
    Failed(ErrorClass),
    /// Dropped by Meno.
    Cancelled,
    /// Its process died.
    Lost,
}

impl Run {
    /// Returns the agent with that number.
    pub fn agent(&self, number: AgentNo) -> Option<&Agent> {
        self.agents.get(number as usize)
    }

    /// Returns whether the run has ended for good, unless failed agents are retried.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Succeeded { .. } | Phase::Failed | Phase::Cancelled)
    }

    /// Returns the calls whose end is not recorded.
    pub fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values().filter(|call| call.state == CallState::Open)
    }

    /// Returns whether an agent has failed whose failure ends the run.
    pub fn is_doomed(&self) -> bool {
        self.agents.iter().any(|agent| {
            agent.plan.on_failure == crate::domain::event::OnFailure::FailRun && matches!(agent.status, AgentStatus::Failed(..))
        })
    }

    /// Returns what budgets must count: known costs, and the worst case of each call that is open, lost or cancelled, for one agent or all.
    ///
    /// The first amount is settled, the second may still shrink when open calls end.
    pub fn committed(&self, only: Option<AgentNo>) -> (NanoUsd, NanoUsd) {
        let calls = || self.calls.values().filter(move |call| only.is_none_or(|agent| call.agent == agent));
        let settled = calls()
            .map(|call| {
                let told = match call.state {
                    CallState::Lost | CallState::Cancelled => call.cost.or(call.reserved).unwrap_or_default(),
                    CallState::Open | CallState::Replied { .. } | CallState::Failed(_) => call.cost.unwrap_or_default(),
                };
                (0..call.untold_tries).fold(told, |sum, _| sum.plus(call.reserved.unwrap_or_default()))
            })
            .sum();
        let open = calls().filter(|call| call.state == CallState::Open).filter_map(|call| call.reserved).sum();
        (settled, open)
    }
}

impl Run {
    /// Returns the calls of an attempt, in their order.
    pub fn calls_of<'a>(&'a self, attempt: &'a Attempt) -> impl DoubleEndedIterator<Item = &'a Call> {
        attempt.calls.iter().filter_map(|call| self.calls.get(call))
    }
}

impl Agent {
    /// Returns the attempt that is open.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.outcome.is_none())
    }

    /// Returns the text that the agent hands on: the answer of the attempt that passed.
    pub fn output(&self) -> Option<&Arc<str>> {
        match self.status {
            AgentStatus::Succeeded { attempt, .. } => self.attempts.iter().find(|a| a.number == attempt)?.output.as_ref(),
            _ => None,
        }
    }

    /// Returns how many attempts at `tier` count: those that ended neither lost nor cancelled.
    pub fn counted_attempts(&self, tier: Tier) -> u32 {
        let counts = |attempt: &&Attempt| {
            attempt.tier == tier && !matches!(attempt.outcome, None | Some(AttemptOutcome::Lost | AttemptOutcome::Cancelled))
        };
        self.attempts.iter().skip(self.retried_from).filter(counts).count() as u32
    }
}
