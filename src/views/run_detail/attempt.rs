//! The shape of attempts and model calls within a run's document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::event::{CostSource, ErrorClass, Purpose, Resolution, ResolvedBy, Signal, StopReason, ToolFault, Verdict};
use crate::domain::ids::{AttemptNo, CallNo};
use crate::domain::money::{TokenUsage, UsageSource};
use crate::domain::tier::Tier;

use super::super::status::{AttemptStatus, CallStatus};
use super::Tokens;

/// One try at one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptDetail {
    /// Its number within the agent, from 1, over all tiers.
    pub attempt: AttemptNo,
    /// The tier.
    pub tier: Tier,
    /// The provider of its last call for work.
    pub provider: Option<String>,
    /// The model of its last call for work.
    pub model: Option<String>,
    /// Where it stands.
    pub status: AttemptStatus,
    /// It passed and every criterion is known.
    pub verified: bool,
    /// Another system made it.
    pub imported: bool,
    /// The run that made it and paid for it, when it was taken over from there.
    pub inherited_from: Option<String>,
    /// Why the model stopped.
    pub stop_reason: Option<StopReason>,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// What speaks against it besides its criteria.
    pub signals: Vec<Signal>,
    /// What is known of its cost, work and judging together.
    pub cost_nusd: u64,
    /// The cost of every call of it is known.
    pub cost_complete: bool,
    /// Of it, what judging cost.
    pub verification_cost_nusd: u64,
    /// Tokens over all its calls.
    pub tokens: Tokens,
    /// Calls that told no tokens, the attempt itself when it came without its calls from another system: `tokens` is without theirs.
    pub untold_calls: u64,
    /// From its start to its end; null while it has not ended, and when its process died.
    pub duration_ms: Option<u64>,
    /// When it began.
    pub started_at: String,
    /// The verdicts on its criteria.
    pub criteria: Vec<CriterionDetail>,
    /// The tier that the agent moved to after it.
    pub escalated_to: Option<Tier>,
    /// What it was asked, where each attempt of the agent was asked something else: a person's prompt in an imported session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Its answer.
    pub output: Option<String>,
    /// Fallbacks that took over within it.
    pub switches: Vec<Switch>,
    /// Its model calls, judging included.
    pub calls: Vec<CallDetail>,
}

impl AttemptDetail {
    pub(super) fn count_untold(&self) -> u64 {
        let has_ended = |call: &CallDetail| matches!(call.status, CallStatus::Replied | CallStatus::Lost);
        let calls = self.calls.iter().filter(|call| has_ended(call) && call.tokens.is_none()).count() as u64;
        calls + u64::from(self.imported && self.calls.is_empty() && self.tokens == Tokens::default())
    }
}

/// A verdict on one criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriterionDetail {
    /// Its number within the agent, from 0.
    pub criterion: u32,
    /// Its name or its words.
    pub name: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// A judge's score, 0 to 1.
    pub score: Option<f64>,
    /// What speaks for the verdict.
    pub evidence: Option<String>,
    /// `code`, `model` or `nobody`.
    pub by: String,
}

/// A fallback that took over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// Work or judging.
    pub purpose: Purpose,
    /// What failed.
    pub class: ErrorClass,
    /// Provider and model that failed: `provider/model`.
    pub from: String,
    /// Provider and model that took over: `provider/model`.
    pub to: String,
}

/// One model call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallDetail {
    /// Its number within the run.
    pub call: CallNo,
    /// Work or judging.
    pub purpose: Purpose,
    /// The provider.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// Where it stands.
    pub status: CallStatus,
    /// Why the model stopped.
    pub stop_reason: Option<StopReason>,
    /// How many tools the reply asks for, of which some may not have started; null when that is not kept.
    #[serde(default)]
    pub asked_tools: Option<u32>,
    /// What is known of its tokens, by kind.
    pub tokens: Option<CallTokens>,
    /// Its cost; null when not known.
    pub cost_nusd: Option<u64>,
    /// How the cost came about; null before it is recorded.
    pub cost_source: Option<CostSource>,
    /// What the provider itself said that it cost.
    pub reported_cost_nusd: Option<u64>,
    /// The worst case that was set aside before it; null for a model without a price.
    pub reserved_nusd: Option<u64>,
    /// From the request's start to the end, retries included.
    pub latency_ms: Option<u64>,
    /// From the last try's start to its first piece of output.
    pub first_token_ms: Option<u64>,
    /// Tries that failed before the last one.
    pub retries: Vec<RetryDetail>,
    /// What failed.
    pub error: Option<CallError>,
    /// The model that the provider says it used.
    pub replied_model: Option<String>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// What the model said, in an imported session, where an attempt has several answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Tools that ran because of it.
    pub tools: Vec<ToolDetail>,
    /// What the model was told; only with `--prompts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<CallPrompt>,
}

/// What a model was told. `null` means that it is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallPrompt {
    /// The system message.
    pub system: Option<String>,
    /// The user message.
    pub user: Option<String>,
    /// Further messages of a conversation with tools, as JSON; null when there were none.
    pub transcript: Option<String>,
}

/// Tokens of one call, by every kind that is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallTokens {
    /// Input tokens that touched no cache.
    pub input: u64,
    /// Input tokens read from the cache.
    pub cache_read: u64,
    /// Input tokens written to the short-lived cache.
    pub cache_write_5m: u64,
    /// Input tokens written to the long-lived cache.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Of the output, tokens spent on reasoning.
    pub reasoning: u64,
    /// The provider did not count; Meno did, from the texts.
    pub estimated: bool,
}

impl CallTokens {
    pub(super) fn new(usage: TokenUsage, source: UsageSource) -> Self {
        let TokenUsage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = usage;
        let estimated = source == UsageSource::Estimated;
        Self { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, estimated }
    }

    /// Adds what was told later to what was told first, if anything was.
    pub(super) fn plus(first: Option<Self>, more: TokenUsage) -> Self {
        let first = first.unwrap_or_else(|| Self::new(TokenUsage::default(), UsageSource::Reported));
        let Self { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, estimated } = first;
        let first = TokenUsage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning };
        Self { estimated, ..Self::new(first.plus(more), UsageSource::Reported) }
    }
}

/// A try of a request that failed and was repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetryDetail {
    /// Which try failed, from 1.
    pub failed_try: u32,
    /// What failed.
    pub class: ErrorClass,
    /// The HTTP status.
    pub status: Option<u16>,
    /// How long Meno waited before the next try.
    pub waited_ms: u64,
    /// What the provider or the connection said.
    pub message: Option<String>,
}

/// Why a call has no usable reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallError {
    /// What failed.
    pub class: ErrorClass,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The provider's code.
    pub code: Option<String>,
    /// What the provider or the connection said.
    pub message: Option<String>,
}

/// A tool that ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolDetail {
    /// Its number within the call, from 0.
    pub tool_call: u32,
    /// Its number among the tools of the run that have started, from 1; the command resolve takes it.
    #[serde(default)]
    pub number: u32,
    /// The tool.
    pub tool: String,
    /// It may have changed something.
    pub writes: bool,
    /// It did what it was asked; null while it has not ended.
    pub ok: Option<bool>,
    /// How long it took.
    pub latency_ms: Option<u64>,
    /// Its arguments, as JSON; null when they are not kept.
    #[serde(default)]
    pub arguments: Option<String>,
    /// Why it did not do what it was asked.
    #[serde(default)]
    pub fault: Option<ToolFault>,
    /// The exit code of the program that it ran; null when it ran none, when a signal ended it, or when the result is not kept.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// A signal ended the program that it ran.
    #[serde(default)]
    pub ended_by_signal: bool,
    /// Bytes of its whole result.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Of these, how many the model was told.
    #[serde(default)]
    pub told_bytes: Option<u64>,
    /// Nothing ran: the model was told the result of an earlier call of the attempt again.
    #[serde(default)]
    pub repeated: bool,
    /// Nothing ran: the run whose recorded result the model was told.
    #[serde(default)]
    pub reused_from: Option<String>,
    /// The files that it was about to change, in order; of one that failed, those that it may have changed before.
    #[serde(default)]
    pub files: Vec<String>,
    /// What it changed in them, as a unified diff; null when it changed none, or that is not kept.
    #[serde(default)]
    pub diff: Option<String>,
    /// Those of its files that were put back since.
    #[serde(default)]
    pub undone: Vec<String>,
    /// Meno stopped while it ran, and whether it had finished is not known yet: the command resolve says so.
    #[serde(default)]
    pub awaits_resolution: bool,
    /// Meno stopped while it ran: whether it had finished.
    #[serde(default)]
    pub resolution: Option<Resolution>,
    /// How that is known.
    #[serde(default)]
    pub resolved_by: Option<ResolvedBy>,
    /// What the model was told; only with `--prompts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}
