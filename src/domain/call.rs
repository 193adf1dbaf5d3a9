//! One model call as Meno thinks of it, whatever the provider: what is asked, what comes back, what goes wrong.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::criterion::Criterion;
use super::event::{ErrorClass, Purpose, StopReason};
use super::ids::{AgentNo, AttemptNo};
use super::money::{NanoUsd, TokenUsage, UsageSource};
use super::template::OutputContract;
use super::tier::Tier;
use super::tool::ToolSpec;

/// A request to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRequest {
    /// The provider's name in the settings.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The system message; empty for none.
    pub system: String,
    /// The user message.
    pub prompt: String,
    /// The tools offered; empty for none.
    pub tools: Arc<[ToolSpec]>,
    /// What followed the user message: the model's earlier replies that asked for tools, each with the results.
    pub turns: Vec<ToolTurn>,
    /// Output tokens, at most.
    pub max_output_tokens: u64,
    /// The context window to ask for, where the provider needs to be told (Ollama's `num_ctx`).
    pub context_tokens: Option<u64>,
    /// The answer must be JSON valid against this schema.
    pub schema: Option<OutputSchema>,
    /// Reasoning effort, sent only when set.
    pub effort: Option<String>,
    /// Who asks and why: what the simulated provider needs to be deterministic, and nothing that is sent to a real one.
    pub context: CallContext,
}

/// One turn of a conversation with tools.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolTurn {
    /// What the model said beside its tool calls; may be empty.
    pub text: Arc<str>,
    /// The tool calls that it asked for.
    pub calls: Arc<[ToolCall]>,
    /// Their results, in the same order.
    pub results: Vec<ToolResult>,
    /// What Meno adds behind the results.
    pub note: Option<String>,
    /// The provider and model that said it are those that are asked now: what they want back unchanged goes with it.
    pub is_own: bool,
}

/// What came of a tool call, as the model is told.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The text.
    pub text: Arc<str>,
    /// The tool did not do what it was asked.
    pub is_error: bool,
}

/// A schema for structured output.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSchema {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// A JSON Schema object.
    pub schema: Value,
}

/// Who asks for a call and why.
#[derive(Clone, Debug, PartialEq)]
pub struct CallContext {
    /// The run's seed.
    pub seed: u64,
    /// The agent's role, with `[item]` for `foreach`.
    pub role: String,
    /// The agent's number.
    pub agent: AgentNo,
    /// The attempt's number.
    pub attempt: AttemptNo,
    /// The tier.
    pub tier: Tier,
    /// Work or judging.
    pub purpose: Purpose,
    /// The agent's criteria; for a judge the sentences to judge, in order.
    pub criteria: Vec<Criterion>,
    /// The form that the answer must have.
    pub contract: Option<OutputContract>,
    /// Names of the files in the inputs with their number of lines, for quotes.
    pub input_files: Vec<(String, u64)>,
}

/// A model's reply.
#[derive(Clone, Debug, PartialEq)]
pub struct CallReply {
    /// The text; may be empty.
    pub text: String,
    /// Reasoning that the provider showed.
    pub reasoning: Option<String>,
    /// Tool calls asked for.
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped.
    pub stop: StopReason,
    /// What a refusal or a filter said.
    pub stop_details: Option<String>,
    /// Tokens used.
    pub usage: TokenUsage,
    /// Who counted them.
    pub usage_source: UsageSource,
    /// What the provider itself says that it cost.
    pub reported_cost: Option<NanoUsd>,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// From the first try's start to the end, in milliseconds.
    pub latency_ms: u64,
    /// From the last try's start to the first piece of output, in milliseconds.
    pub first_token_ms: Option<u64>,
}

/// A tool call that a model asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id, or one made by Meno.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, as JSON; a text where they are not JSON.
    pub arguments: Value,
    /// What the provider said just before it and wants back unchanged: signed reasoning, in the provider's own form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<Value>,
}

/// Why a call has no usable reply. Texts are redacted already.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CallFailure {
    /// What kind of failure; decides what happens next.
    pub class: ErrorClass,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The provider's own code.
    pub code: Option<String>,
    /// What happened, for people.
    pub message: String,
    /// Another try might succeed.
    pub retryable: bool,
    /// Tokens that it is known to have used.
    pub usage: Option<TokenUsage>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// From the first try's start to the failure, in milliseconds.
    pub latency_ms: u64,
}

/// A try that failed and is about to be repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Which try failed, from 1.
    pub failed_try: u32,
    /// What kind of failure.
    pub class: ErrorClass,
    /// The HTTP status.
    pub status: Option<u16>,
    /// How long until the next try, in milliseconds.
    pub wait_ms: u64,
    /// Tokens that the try is known to have used.
    pub usage: Option<TokenUsage>,
    /// What happened, redacted.
    pub message: String,
}
