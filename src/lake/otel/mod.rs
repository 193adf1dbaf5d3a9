//! OpenTelemetry: traces of generative AI as OTLP JSON, in both directions.
//!
//! [`mod@write`] makes spans of a run's events, [`read`] makes spans of JSON, [`trace`] makes a run of a trace's spans. All three are pure. The
//! names are those of OpenTelemetry's conventions for generative AI; what they have no name for stands under `meno.`.
//! `gen_ai.usage.input_tokens` has cached tokens in it, which is added on the way out and taken off on the way in.

pub mod documents;
pub mod read;
pub mod trace;
mod vendors;
pub mod write;

#[cfg(test)]
mod tests;

/// The source of runs made of traces.
pub const SOURCE: &str = "otel";

/// Attribute names, as they are written and read.
pub mod names {
    /// What a span does: chat, invoke_agent, invoke_workflow or execute_tool.
    pub const OPERATION: &str = "gen_ai.operation.name";
    /// The provider.
    pub const PROVIDER: &str = "gen_ai.provider.name";
    /// The provider, by its name before 2025.
    pub const SYSTEM: &str = "gen_ai.system";
    /// The model asked for.
    pub const MODEL: &str = "gen_ai.request.model";
    /// The model that replied.
    pub const REPLIED_MODEL: &str = "gen_ai.response.model";
    /// Why the model stopped.
    pub const FINISH: &str = "gen_ai.response.finish_reasons";
    /// From the request to the first piece of output, in seconds.
    pub const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    /// All input tokens, cached ones included.
    pub const INPUT: &str = "gen_ai.usage.input_tokens";
    /// Output tokens, reasoning included.
    pub const OUTPUT: &str = "gen_ai.usage.output_tokens";
    /// Input tokens, by their name before 2025.
    pub const OLD_INPUT: &str = "gen_ai.usage.prompt_tokens";
    /// Output tokens, by their name before 2025.
    pub const OLD_OUTPUT: &str = "gen_ai.usage.completion_tokens";
    /// Input tokens read from a cache.
    pub const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
    /// Input tokens written to a cache.
    pub const CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
    /// Input tokens written to a cache, by the name before.
    pub const CACHE_CREATION: &str = "gen_ai.usage.cache_creation.input_tokens";
    /// Of the output, tokens spent on reasoning.
    pub const REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
    /// The agent's name.
    pub const AGENT: &str = "gen_ai.agent.name";
    /// The agent's id.
    pub const AGENT_ID: &str = "gen_ai.agent.id";
    /// The workflow's name.
    pub const WORKFLOW: &str = "gen_ai.workflow.name";
    /// The tool's name.
    pub const TOOL: &str = "gen_ai.tool.name";
    /// What failed.
    pub const ERROR: &str = "error.type";
    /// The run.
    pub const RUN: &str = "meno.run.id";
    /// Whether models were real, simulated or another system's.
    pub const MODE: &str = "meno.mode";
    /// The call's number within the run.
    pub const CALL: &str = "meno.call";
    /// The attempt's number within the agent.
    pub const ATTEMPT: &str = "meno.attempt";
    /// The agent's number within the run.
    pub const AGENT_NO: &str = "meno.agent";
    /// The tier.
    pub const TIER: &str = "meno.tier";
    /// Work or judging.
    pub const PURPOSE: &str = "meno.purpose";
    /// What is known of the cost, in 10⁻⁹ US dollars.
    pub const COST: &str = "meno.cost.nusd";
    /// The same in US dollars, to be looked at.
    pub const COST_USD: &str = "meno.cost.usd";
    /// The whole cost is known.
    pub const PRICED: &str = "meno.cost.priced";
    /// Of the tokens written to a cache, those of the long-lived one.
    pub const CACHE_WRITE_1H: &str = "meno.usage.cache_write_1h.input_tokens";
    /// Tries that failed and were repeated.
    pub const RETRIES: &str = "meno.retries";
    /// How the call ended.
    pub const STATUS: &str = "meno.status";
    /// How the attempt of the call ended.
    pub const OUTCOME: &str = "meno.attempt.outcome";
    /// How the run ended.
    pub const RUN_OUTCOME: &str = "meno.run.outcome";
    /// Every criterion of the attempt, or of the run's agents, is known.
    pub const VERIFIED: &str = "meno.verified";
    /// How long a tool took, in milliseconds.
    pub const LATENCY: &str = "meno.latency_ms";
}
