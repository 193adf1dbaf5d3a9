//! What can be wished of a run, and why a wish is refused.

use serde_json::Value;

use super::observation::{DayBudget, Observation};
use super::reuse::Reused;
use super::state::Parent;
use crate::domain::call::{CallFailure, CallReply, Retry};
use crate::domain::event::{
    AnswerSource, AttemptInherited, FailureReason, FileChange, InputAttached, Purpose, Resolution, ResolvedBy, RunStarted,
    SuspendReason,
};
use crate::domain::ids::{AgentNo, CallNo, ExecutorId, RunId};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::tier::Tier;
use crate::domain::tool::ToolOutcome;

/// Where an agent should start, as its history says: under the strategy `adaptive`, or because a person agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartAdvice {
    /// The rule's role.
    pub role: String,
    /// The tier.
    pub tier: Tier,
    /// Why, in words and numbers.
    pub because: String,
    /// Past runs that speak for it.
    pub evidence: Vec<RunId>,
}

/// By what a call did not fit the day's budget.
#[derive(Clone, Debug, PartialEq)]
pub enum DayRefusal {
    /// By these numbers.
    Seen(DayBudget),
    /// In these words: all that runs have whose record has no such numbers.
    Told(String),
}

/// Limits that hold from now on; what is not given stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewLimits {
    /// The run's budget.
    pub budget: Option<NanoUsd>,
    /// Budgets of single agents.
    pub agent_budgets: Vec<(AgentNo, NanoUsd)>,
    /// Models without a price may be called under a budget.
    pub allow_unpriced: bool,
}

/// A wish. Time, ids and what the world said are inside; texts are redacted already.
#[derive(Clone, Debug)]
pub enum Command {
    /// Fork the run off another one; it is to be started next.
    Fork(Parent),
    /// Let attempts of the parent count here: those of one agent, in their order.
    Inherit(Vec<AttemptInherited>),
    /// Let an agent count as failed that failed in the parent and is not to work anew here.
    LeaveFailed {
        /// The agent.
        agent: AgentNo,
        /// Why it gave up there.
        reason: FailureReason,
        /// The same in words.
        message: String,
    },
    /// Start the run.
    Begin(Box<RunStarted>),
    /// Attach material.
    Attach(Box<InputAttached>),
    /// Note that questions were put to a person.
    ShowQuestions(Vec<String>),
    /// Give or change an answer, checked before.
    Answer {
        /// The question.
        question: String,
        /// The value; null for a secret.
        value: Value,
        /// Where it came from.
        source: AnswerSource,
        /// It is a secret.
        secret: bool,
    },
    /// Take an answer back, so that its question is open again.
    TakeBack {
        /// The question.
        question: String,
    },
    /// Close the form and plan the team, with the starts that history says and that the strategy or a person agrees to.
    CompleteForm(Vec<StartAdvice>),
    /// Start a model call for an agent, with an attempt around it where one must begin.
    StartCall {
        /// The agent.
        agent: AgentNo,
        /// Work or judging.
        purpose: Purpose,
    },
    /// Start the tools that an agent's model asked for: all that only look, or one that does more.
    StartTools {
        /// The agent.
        agent: AgentNo,
    },
    /// Record how a tool ended.
    RecordTool {
        /// The call that asked for it.
        call: CallNo,
        /// Its number within the call.
        tool_call: u32,
        /// What came of it.
        outcome: ToolOutcome,
    },
    /// Give a tool that has started the result that another run recorded.
    ReuseTool {
        /// The call that asked for it.
        call: CallNo,
        /// Its number within the call.
        tool_call: u32,
        /// What is recorded, and where.
        of: Reused,
    },
    /// Record what a tool is about to make of which files.
    PrepareWrite {
        /// The call that asked for it.
        call: CallNo,
        /// Its number within the call.
        tool_call: u32,
        /// The files; their texts are free of secrets.
        files: Vec<FileChange>,
    },
    /// Record whether a tool had finished when Meno stopped.
    ResolveTool {
        /// The call that asked for it.
        call: CallNo,
        /// Its number within the call.
        tool_call: u32,
        /// Whether it had.
        resolution: Resolution,
        /// How that is known.
        by: ResolvedBy,
        /// What its files say that came of it, where they do.
        outcome: Option<ToolOutcome>,
    },
    /// Record what became of the commands that an agent's criteria ask for.
    RecordCommands {
        /// The agent.
        agent: AgentNo,
        /// What was seen of each.
        seen: Vec<Observation>,
    },
    /// Record that a try failed and another one follows.
    RecordRetry {
        /// The call.
        call: CallNo,
        /// What failed.
        retry: Retry,
    },
    /// Record a reply.
    RecordReply {
        /// The call.
        call: CallNo,
        /// The reply.
        reply: Box<CallReply>,
        /// What was seen of what the agent's criteria ask about.
        seen: Vec<Observation>,
    },
    /// Record that a call failed.
    RecordFailure {
        /// The call.
        call: CallNo,
        /// Why.
        failure: CallFailure,
    },
    /// Record that a call was dropped.
    RecordCancelled {
        /// The call.
        call: CallNo,
        /// Tokens that it is known to have used.
        usage: Option<TokenUsage>,
    },
    /// The call that was to start does not fit the day's budget.
    RefuseForDayBudget {
        /// The agent.
        agent: AgentNo,
        /// Work or judging.
        purpose: Purpose,
        /// What the day's budget was.
        because: DayRefusal,
    },
    /// Allow or deny an escalation.
    Approve {
        /// The agent.
        agent: AgentNo,
        /// It may happen.
        granted: bool,
    },
    /// Stop for now.
    Suspend(SuspendReason),
    /// Go on, in this process.
    Resume {
        /// This process.
        executor: ExecutorId,
        /// Failed agents start again.
        retry_failed: bool,
        /// Meno's version.
        meno_version: String,
        /// Limits that change.
        limits: NewLimits,
    },
    /// Ask for the run's end, from any process.
    AskCancel,
    /// End the run for good; only the process that executes it, or one that holds its lock, may wish this.
    Cancel,
}

/// Why a wish is refused. A value, not an accident.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The run has started already.
    #[error("the run has started already")]
    AlreadyStarted,
    /// The run has not started.
    #[error("the run has not started")]
    NotStarted,
    /// The run has ended.
    #[error("the run has ended: {0}")]
    Ended(&'static str),
    /// The run is stopped and must be resumed first.
    #[error("the run is stopped: resume it first")]
    Suspended,
    /// The form is complete already.
    #[error("the form is complete already")]
    FormComplete,
    /// Answers are missing.
    #[error("answers are missing: {}", .0.join(", "))]
    FormIncomplete(Vec<String>),
    /// No rule made an agent.
    #[error("no rule makes an agent for these answers")]
    NoAgents {
        /// Role and reason of each rule.
        because: Vec<(String, String)>,
    },
    /// A strategy needs a tier that no model serves.
    #[error("agent `{role}` needs the tier {tier}, which no model serves")]
    TierWithoutModel {
        /// The agent's role.
        role: String,
        /// The tier.
        tier: Tier,
    },
    /// A new budget is smaller than what is spent already.
    #[error("{spent} of the {whose} budget is spent already, so {budget} would let no call start")]
    BudgetSpent {
        /// The run's or an agent's.
        whose: String,
        /// The budget asked for.
        budget: NanoUsd,
        /// What is spent.
        spent: NanoUsd,
    },
    /// There is no such agent, or it is not waiting for this.
    #[error("agent {0} is not waiting for this")]
    NotWaiting(AgentNo),
    /// The call does not fit while other calls hold reservations; wait for one of them to end.
    #[error("the call must wait until other calls have settled their reservations")]
    WaitsForBudget,
    /// There is no such call, or its end is recorded.
    #[error("call {0} is not open")]
    CallNotOpen(CallNo),
    /// There is no such tool call, or its end is recorded.
    #[error("tool call {1} of call {0} is not open")]
    ToolNotOpen(CallNo, u32),
    /// Nobody wonders whether that tool had finished.
    #[error("tool call {1} of call {0} waits for no answer")]
    ToolNotInterrupted(CallNo, u32),
    /// The day's budget holds the call.
    #[error("the day's budget holds the call")]
    FitsDayBudget,
    /// Nobody asked for approval.
    #[error("agent {0} asks for no approval")]
    NoApprovalAsked(AgentNo),
}
