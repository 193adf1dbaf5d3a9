//! One run, whole: what `show-run --json` is and `run --json` ends with, and the document that reports are written from.
//!
//! The types here are the shape; fields are only ever added. `fold` fills them from a run's events. Amounts are nUSD,
//! times RFC 3339 in UTC, durations milliseconds. `null` means unknown or gone, never zero.

mod attempt;
mod calls;
mod fold;
mod inherit;
mod mask;
mod prompts;
mod whole;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::event::{
    AnswerSource, ChosenBy, Escalate, EscalationReason, FailureReason, InputKind, Mode, OmissionRule, OnFailure, Purpose,
    RunFailure, SkipReason, SuspendReason,
};
use crate::domain::ids::{AgentNo, AttemptNo};
use crate::domain::money::TokenUsage;
use crate::domain::tier::{Strategy, Tier};

use super::status::{AgentStatus, RunStatus};
pub use attempt::{
    AttemptDetail, CallDetail, CallError, CallPrompt, CallTokens, CriterionDetail, RetryDetail, Switch, ToolDetail,
};
pub use fold::Fold;
pub use mask::MASK;
pub use whole::WholeResult;
pub(crate) use whole::whole_results;

/// A run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "A run, as `meno show-run --json` prints it")]
pub struct RunDetail {
    /// The run's id, a ULID.
    pub run_id: String,
    /// The template's id.
    pub template_id: String,
    /// The template's version.
    pub template_version: String,
    /// BLAKE3 of the template's text.
    pub template_hash: String,
    /// The template's name for people, when its text is at hand.
    pub template_name: Option<String>,
    /// Where the run stands.
    pub status: RunStatus,
    /// Every agent that counts is known to have met its criteria.
    pub verified: bool,
    /// Whether its models were real, simulated, or another system's.
    pub mode: Mode,
    /// The system that the run was imported from.
    pub source: Option<String>,
    /// Its id in that system.
    pub foreign_run_id: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended; null while it has not.
    pub ended_at: Option<String>,
    /// How long it worked, without the time that its form took and the time that it waited for a person; null while it has not ended.
    pub duration_ms: Option<u64>,
    /// How long filling in its form took; null for a run of another system.
    #[serde(default)]
    pub form_ms: Option<u64>,
    /// How long it waited for a person: paused, failed or interrupted until it was resumed, or for an approval while nothing else was
    /// under way; null for a run of another system.
    #[serde(default)]
    pub waited_ms: Option<u64>,
    /// The durations of its attempts together, however many ran at once; null when one of them is not known.
    #[serde(default)]
    pub attempts_duration_ms: Option<u64>,
    /// What is known of its cost, work and judging together.
    pub cost_nusd: u64,
    /// The same in dollars, exactly.
    pub cost_usd: String,
    /// Of it, what judging cost.
    pub verification_cost_nusd: u64,
    /// False when there is a call whose cost is not known: without a price, lost, or still open.
    pub cost_complete: bool,
    /// Calls of models without a price.
    pub unpriced_calls: u64,
    /// Calls whose end was never recorded or whose use was not told.
    pub lost_calls: u64,
    /// Calls whose tokens Meno counted itself, because their provider did not tell them: what they cost is an estimate.
    pub estimated_calls: u64,
    /// Tokens over all calls.
    pub tokens: Tokens,
    /// What the prompt caches of providers saved: tokens read from a cache times what they cost less than plain input, minus what tokens
    /// written to one cost more. An estimate by the prices of then; below zero where writing cost more than reading saved. Null where
    /// nothing was read from a cache at known prices.
    #[serde(default)]
    pub cache_saved_nusd: Option<i64>,
    /// False where something was read from a cache at unknown prices: then it saved at least that.
    #[serde(default)]
    pub cache_saved_complete: bool,
    /// Calls that told no tokens, attempts of other systems among them: `tokens` is without theirs.
    pub untold_calls: u64,
    /// The run's budget.
    pub budget_nusd: Option<u64>,
    /// The strategy given for the whole run, over what the rules say.
    pub strategy: Option<Strategy>,
    /// What to do when an agent is to escalate.
    pub escalate: Escalate,
    /// The answers in the order given; null when secret, withheld or forgotten.
    pub answers: IndexMap<String, Value>,
    /// Where each answer came from.
    pub answer_sources: IndexMap<String, AnswerSource>,
    /// Questions whose answers are to be masked, secrets among them.
    pub sensitive: Vec<String>,
    /// Questions that were hidden.
    pub hidden_questions: Vec<String>,
    /// Material that was given.
    pub inputs: Vec<InputDetail>,
    /// The team, in the order of planning.
    pub agents: Vec<AgentDetail>,
    /// Rules that made no agent.
    pub skipped_rules: Vec<SkippedRule>,
    /// Climbs, in the order in which they happened.
    pub escalations: Vec<Escalation>,
    /// Climbs that a person was asked about.
    pub approvals: Vec<Approval>,
    /// What was paid, by tier and purpose.
    pub costs_by_tier: Vec<TierCost>,
    /// The report, Markdown.
    pub report: Option<String>,
    /// Why the run failed.
    pub failure: Option<RunFailureDetail>,
    /// It ended because it could not work: key, model, price or server. No statistic counts it.
    #[serde(default)]
    pub failed_by_configuration: bool,
    /// Why the run stopped, while it has not gone on.
    pub suspended_because: Option<SuspendReason>,
    /// Labels.
    pub labels: IndexMap<String, String>,
    /// What people said about it.
    pub notes: Vec<Note>,
    /// The run it was forked from.
    pub lineage: Option<Lineage>,
    /// Runs that were forked from it, the oldest first; they are not in its own events.
    pub forks: Vec<String>,
    /// The node of the imported log that has it; null for a run of the store's own log.
    #[serde(default)]
    pub node: Option<String>,
    /// The folder that it was started in.
    pub workspace: Option<String>,
    /// The seed of everything random in it.
    pub seed: u64,
    /// The date of the price table in force.
    pub prices_as_of: String,
    /// The version of Meno that started it.
    pub meno_version: String,
    /// How many events it has.
    pub events: u64,
    /// How many of them have lost their private part.
    pub forgotten_events: u64,
    /// The hash of its last event.
    pub head: String,
}

/// Tokens by kind. `reasoning` is a part of `output`, never to be added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Input tokens that touched no cache.
    pub input: u64,
    /// Input tokens read from a cache.
    pub cache_read: u64,
    /// Input tokens written to a cache, short-lived and long-lived together.
    pub cache_write: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Of the output, tokens spent on reasoning.
    pub reasoning: u64,
}

impl From<TokenUsage> for Tokens {
    fn from(usage: TokenUsage) -> Self {
        Self {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write_5m.saturating_add(usage.cache_write_1h),
            output: usage.output,
            reasoning: usage.reasoning,
        }
    }
}

impl Tokens {
    /// Adds kind by kind, saturating.
    pub(crate) fn add(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }

    /// Returns input tokens of every kind.
    pub fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// Returns input tokens of every kind and output tokens.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.output)
    }
}

/// Material that a run was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputDetail {
    /// The input's id.
    pub id: String,
    /// File, folder or text.
    pub kind: InputKind,
    /// Where it was read from.
    pub path: Option<String>,
    /// Files taken.
    pub files: u32,
    /// Bytes taken.
    pub bytes: u64,
    /// Files and folders left out.
    pub left_out: u32,
    /// How many of them by which rule.
    pub left_out_by: IndexMap<OmissionRule, u32>,
    /// What was left out, the first few hundred, and why.
    pub omissions: Vec<(String, String)>,
    /// The rule of each of `omissions`.
    pub omission_rules: Vec<OmissionRule>,
}

/// One member of the team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentDetail {
    /// Its id within the run: `agent-` and its number.
    pub agent_id: String,
    /// Its number within the run.
    pub number: AgentNo,
    /// Its role, with `[item]` when the rule made one agent per item.
    pub role: String,
    /// The item.
    pub item: Option<String>,
    /// The base agent's id.
    pub base_template: String,
    /// Where it stands.
    pub status: AgentStatus,
    /// Every criterion of the attempt that passed is known to pass.
    pub verified: bool,
    /// Which tiers it may use.
    pub strategy: Strategy,
    /// The tier of its last attempt; null before the first.
    pub tier: Option<Tier>,
    /// Where it started and why.
    pub start_tier: Option<StartTier>,
    /// What is known of its cost, work and judging together.
    pub cost_nusd: u64,
    /// The cost of every call of it is known.
    pub cost_complete: bool,
    /// Of it, what judging cost.
    pub verification_cost_nusd: u64,
    /// Its attempts' durations together; null before the first has ended.
    pub duration_ms: Option<u64>,
    /// Tokens over all its calls.
    pub tokens: Tokens,
    /// Calls that told no tokens, attempts of other systems among them: `tokens` is without theirs.
    pub untold_calls: u64,
    /// The answer that passed.
    pub output: Option<String>,
    /// Why it gave up.
    pub failure: Option<AgentFailure>,
    /// Why it never got its turn.
    pub skipped_because: Option<SkipReason>,
    /// Names of the tools asked for.
    pub tools: Vec<String>,
    /// Its configuration.
    pub config: Option<Value>,
    /// Its criteria, as the template's authors wrote them.
    pub success_criteria: Option<Value>,
    /// Its task.
    pub task: Option<String>,
    /// Numbers of the agents that must have ended before.
    pub depends_on: Vec<AgentNo>,
    /// Its own budget.
    pub budget_nusd: Option<u64>,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
    /// Its attempts, in order, over all tiers.
    pub attempts: Vec<AttemptDetail>,
}

/// Where an agent started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartTier {
    /// The tier.
    pub tier: Tier,
    /// The strategy's first tier, or the agent's history.
    pub by: ChosenBy,
    /// Why, in words.
    pub because: Option<String>,
    /// Past runs that speak for it.
    pub evidence: Vec<String>,
}

/// Why an agent gave up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentFailure {
    /// The reason.
    pub reason: FailureReason,
    /// The reason in words and numbers.
    pub message: Option<String>,
}

/// A rule that made no agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRule {
    /// The rule's role.
    pub role: String,
    /// The condition that failed, in words.
    pub because: Option<String>,
    /// The question of that condition.
    pub question: Option<String>,
}

/// An escalation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Escalation {
    /// When.
    pub at: String,
    /// The agent's role.
    pub role: String,
    /// The failed attempt.
    pub attempt: AttemptNo,
    /// The tier left.
    pub from: Tier,
    /// The tier entered.
    pub to: Tier,
    /// Why.
    pub reason: EscalationReason,
    /// Names of the criteria that failed, as far as they are known.
    pub failed_criteria: Vec<String>,
}

/// An escalation that a person was asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The agent's number.
    pub number: AgentNo,
    /// The agent's role.
    pub role: String,
    /// The tier it is at.
    pub from: Tier,
    /// The tier it wants.
    pub to: Tier,
    /// Why.
    pub reason: EscalationReason,
    /// What the agent may cost at that tier; in runs of before that was reckoned whole, one call of its work. Null when a model has no price.
    pub worst_case_nusd: Option<u64>,
    /// What the person said; null while nobody has.
    pub granted: Option<bool>,
}

/// What one tier cost for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierCost {
    /// The tier.
    pub tier: Tier,
    /// Work or judging.
    pub purpose: Purpose,
    /// Calls paid for.
    pub calls: u64,
    /// Of them, calls without a price.
    pub unpriced_calls: u64,
    /// What is known of their cost.
    pub cost_nusd: u64,
    /// Tokens.
    pub tokens: Tokens,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailureDetail {
    /// The reason.
    pub reason: RunFailure,
    /// The reason in words.
    pub message: Option<String>,
}

impl TierCost {
    /// Returns the calls of which no tokens are known: all of them, or none. A call has read something, so that zero is nothing known.
    pub fn untold_calls(&self) -> u64 {
        if self.tokens == Tokens::default() { self.calls } else { 0 }
    }
}

/// What a person said about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// When.
    pub at: String,
    /// From 1 (bad) to 5 (good).
    pub rating: Option<u8>,
    /// The note.
    pub text: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
}

/// Where a run comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lineage {
    /// The run it was forked from.
    pub parent: String,
    /// That run's version up to which both are the same.
    pub at: u64,
    /// The position in the log of that version's event, as `--at` takes it; null when it is not in this store.
    pub position: Option<u64>,
}

impl RunDetail {
    /// Tells whether another system ran it, with real models or simulated ones: nothing of it can be carried on here.
    pub fn is_imported(&self) -> bool {
        let has_imported = |agent: &AgentDetail| agent.attempts.iter().any(|attempt| attempt.imported);
        self.mode == Mode::Imported || self.source.is_some() || self.agents.iter().any(has_imported)
    }
}

#[cfg(test)]
mod tests;
