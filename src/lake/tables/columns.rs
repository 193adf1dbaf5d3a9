//! The columns of every table: their names, kinds and meaning. `schemas/lake/` is written from here.

#[cfg(test)]
use serde_json::{Value, json};

use super::Table;
#[cfg(test)]
use super::VERSION;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// A double.
    Float,
    /// A text in UTF-8.
    Text,
    /// A timestamp in microseconds, UTC.
    Time,
    /// A decimal(18,9).
    Usd,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// It may be null.
    pub nullable: bool,
    /// What it means.
    pub doc: &'static str,
}

const fn is(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: false, doc }
}

const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, nullable: true, doc }
}

const NODE: Column = is("node", Kind::Text, "The store that recorded it.");
const SEQ: Column = is("seq", Kind::Int, "Position of the event in the store's log: with `node` the key of the row.");
const RUN: Column = is("run_id", Kind::Text, "The run, a ULID.");
const AS_OF: Column =
    is("as_of", Kind::Int, "Position in the log up to which the row is true; of rows with one key the highest counts.");
const AT: Column = is(
    "at",
    Kind::Time,
    "When it happened; for what is recorded by Meno itself, when it was recorded. Some engines want the name quoted; the views have it as \
     `happened_at` too.",
);
const TEMPLATE: Column = may("template_id", Kind::Text, "The run's template.");
const MODE: Column = is("mode", Kind::Text, "real, simulated or imported: money of different modes must not be added up.");
const ROLE: Column = may("role", Kind::Text, "The agent's role, as the template's rule names it.");
const AGENT: Column = is("agent", Kind::Int, "The agent's number within the run, from 0.");
const ATTEMPT: Column = is("attempt", Kind::Int, "The attempt's number within the agent, from 1.");
const TIER: Column = may("tier", Kind::Text, "cheap, capable or premium.");
const PROVIDER: Column = may("provider", Kind::Text, "The provider's name in the settings; null when not known.");
const MODEL: Column = may("model", Kind::Text, "The model; null when not known.");
const PURPOSE: Column = is("purpose", Kind::Text, "work or judge.");
const COST_KNOWN: Column = is("known_cost_nusd", Kind::Int, "What is known of the cost, in 10^-9 US dollars.");
const COST: Column = may("cost_nusd", Kind::Int, "The cost in 10^-9 US dollars; null when a part of it is not known.");
const COST_USD: Column = may("cost_usd", Kind::Usd, "The same in US dollars; null also from one billion dollars on.");
const INPUT: Column = is("input_tokens", Kind::Int, "Input tokens that touched no cache, as far as known.");
const CACHE_READ: Column = is("cache_read_tokens", Kind::Int, "Input tokens read from a cache.");
const CACHE_WRITE: Column = is("cache_write_tokens", Kind::Int, "Input tokens written to a cache.");
const CACHE_5M: Column = may("cache_write_5m_tokens", Kind::Int, "Input tokens written to the short-lived cache.");
const CACHE_1H: Column = may("cache_write_1h_tokens", Kind::Int, "Input tokens written to the long-lived cache.");
const CALL_INPUT: Column = may("input_tokens", Kind::Int, "Input tokens that touched no cache; null when tokens are not known.");
const CALL_CACHE_READ: Column = may("cache_read_tokens", Kind::Int, "Input tokens read from a cache.");
const CALL_OUTPUT: Column = may("output_tokens", Kind::Int, "Output tokens, reasoning included; null when tokens are not known.");
const CALL_REASONING: Column =
    may("reasoning_tokens", Kind::Int, "Of the output, tokens spent on reasoning: never to be added to it.");
const OUTPUT: Column = is("output_tokens", Kind::Int, "Output tokens, reasoning included.");
const REASONING: Column = is("reasoning_tokens", Kind::Int, "Of the output, tokens spent on reasoning: never to be added to it.");

const RUNS: &[Column] = &[
    NODE,
    RUN,
    AS_OF,
    TEMPLATE,
    may("template_version", Kind::Text, "The template's version."),
    is("template_hash", Kind::Text, "BLAKE3 of the template's text; zeros for runs of other systems."),
    MODE,
    may("source", Kind::Text, "The system that the run was imported from."),
    is("status", Kind::Text, "running, awaiting_input, suspended, succeeded, failed or cancelled, as the log says it."),
    is("verified", Kind::Bool, "Every agent that counts is known to have met its criteria."),
    is(
        "failed_by_configuration",
        Kind::Bool,
        "It ended because it could not work (key, model, price, server): no statistic counts it.",
    ),
    may("failure_reason", Kind::Text, "Why it failed."),
    may("started_at", Kind::Time, "When it began: its UTC day is the partition `date`."),
    may("ended_at", Kind::Time, "When it ended; null while it has not, and when not known."),
    may("duration_ms", Kind::Int, "How long it worked, without form and waiting."),
    may("waited_ms", Kind::Int, "How long it waited for a person."),
    may("attempts_duration_ms", Kind::Int, "The durations of its attempts together."),
    COST_KNOWN,
    COST,
    COST_USD,
    is("verification_cost_nusd", Kind::Int, "Of the known cost, what judging cost."),
    is("unpriced_calls", Kind::Int, "Calls of models without a price."),
    is("lost_calls", Kind::Int, "Calls whose end was never recorded, or of a try of which nobody said what it used."),
    INPUT,
    CACHE_READ,
    CACHE_WRITE,
    OUTPUT,
    REASONING,
    may("budget_nusd", Kind::Int, "The run's budget."),
    is("agents", Kind::Int, "How many agents its team has."),
    is("attempts", Kind::Int, "How many attempts were made in it; inherited ones are not."),
    is("escalations", Kind::Int, "How many escalations there were."),
    may("forked_from", Kind::Text, "The run that it was forked from."),
    may("rating", Kind::Int, "The last rating that a person gave, 1 to 5."),
    may("prices_as_of", Kind::Text, "The date of the price table in force."),
    may("meno_version", Kind::Text, "The version of Meno that started it."),
    is("events", Kind::Int, "How many events it has."),
];

const ATTEMPTS: &[Column] = &[
    NODE,
    RUN,
    AGENT,
    ATTEMPT,
    AS_OF,
    TEMPLATE,
    MODE,
    ROLE,
    may("base_agent", Kind::Text, "The base agent's id."),
    TIER,
    PROVIDER,
    MODEL,
    is("status", Kind::Text, "running, passed, failed_criteria, error, cancelled or lost."),
    is("verified", Kind::Bool, "It passed and every criterion is known."),
    is("agent_status", Kind::Text, "Where its agent stands: succeeded, failed, skipped, cancelled, pending or running."),
    is("imported", Kind::Bool, "Another system made it."),
    may("inherited_from", Kind::Text, "The run that made it and paid for it; its costs are there."),
    may("stop_reason", Kind::Text, "Why the model stopped."),
    may("signals", Kind::Text, "What speaks against it besides its criteria, separated by commas."),
    may("started_at", Kind::Time, "When it began: its UTC day is the partition `date`."),
    may("duration_ms", Kind::Int, "From its start to its end."),
    COST_KNOWN,
    COST,
    COST_USD,
    is("verification_cost_nusd", Kind::Int, "Of the known cost, what judging cost."),
    INPUT,
    CACHE_READ,
    CACHE_WRITE,
    OUTPUT,
    REASONING,
    may("escalated_to", Kind::Text, "The tier that the agent moved to after it."),
    is("criteria_passed", Kind::Int, "Criteria that hold."),
    is("criteria_failed", Kind::Int, "Criteria that do not hold."),
    is("criteria_unknown", Kind::Int, "Criteria that nobody could judge."),
];

const CALLS: &[Column] = &[
    NODE,
    RUN,
    AGENT,
    ATTEMPT,
    is("call", Kind::Int, "The call's number within the run, from 1; 0 for an attempt that another system made."),
    AS_OF,
    is(
        "at",
        Kind::Time,
        "When it began: its UTC day is the partition `date`. Some engines want the name quoted; the views have it as `happened_at` too.",
    ),
    TEMPLATE,
    MODE,
    ROLE,
    PURPOSE,
    TIER,
    PROVIDER,
    MODEL,
    is("status", Kind::Text, "running, replied, failed, cancelled or lost."),
    COST_KNOWN,
    COST,
    COST_USD,
    is(
        "charges",
        Kind::Int,
        "Charges of it: one for each try that used tokens, and one for each time that a transcript told more of it.",
    ),
    is("unknown_charges", Kind::Int, "Of them, those whose amount is not known; a call that was lost has one."),
    CALL_INPUT,
    CALL_CACHE_READ,
    CACHE_5M,
    CACHE_1H,
    CALL_OUTPUT,
    CALL_REASONING,
    may("latency_ms", Kind::Int, "From the request's start to its end, retries included."),
    may("first_token_ms", Kind::Int, "From the last try's start to the first piece of output."),
    is("retries", Kind::Int, "Tries that failed and were repeated."),
];

const VERDICTS: &[Column] = &[
    NODE,
    SEQ,
    RUN,
    AT,
    TEMPLATE,
    MODE,
    ROLE,
    AGENT,
    ATTEMPT,
    TIER,
    is("criterion", Kind::Int, "The criterion's number within the agent, from 0; its words are in `texts`."),
    is("verdict", Kind::Text, "pass, fail or unknown."),
    may("score", Kind::Float, "A judge's score, 0 to 1."),
    is("judged_by", Kind::Text, "code, model or nobody."),
    may("judge_call", Kind::Int, "The judging model's call."),
];

const COSTS: &[Column] = &[
    NODE,
    SEQ,
    RUN,
    AT,
    TEMPLATE,
    MODE,
    ROLE,
    AGENT,
    ATTEMPT,
    may("call", Kind::Int, "The call; null for what another system recorded by attempt."),
    PURPOSE,
    TIER,
    PROVIDER,
    MODEL,
    may("cost_nusd", Kind::Int, "The amount in 10^-9 US dollars; null when the model has no price."),
    COST_USD,
    is("source", Kind::Text, "computed (from reported tokens), estimated (from counted tokens) or imported."),
    may("reported_nusd", Kind::Int, "What the provider itself said that it cost."),
    CALL_INPUT,
    CALL_CACHE_READ,
    CACHE_5M,
    CACHE_1H,
    CALL_OUTPUT,
    CALL_REASONING,
    may("input_price_nusd_per_mtok", Kind::Int, "Price of a million input tokens."),
    may("output_price_nusd_per_mtok", Kind::Int, "Price of a million output tokens."),
    may("cache_read_price_nusd_per_mtok", Kind::Int, "Price of a million tokens read from a cache."),
    may("cache_write_5m_price_nusd_per_mtok", Kind::Int, "Price of a million tokens written to the short-lived cache."),
    may("cache_write_1h_price_nusd_per_mtok", Kind::Int, "Price of a million tokens written to the long-lived cache."),
    is("band_above_tokens", Kind::Int, "Input tokens above which these prices apply; 0 for the base prices."),
];

const ANSWERS: &[Column] = &[
    NODE,
    SEQ,
    RUN,
    AT,
    TEMPLATE,
    MODE,
    is("question", Kind::Text, "The question's id; the value is in `texts`."),
    is("source", Kind::Text, "asked, flag, file, default, last_run, recommended, environment or imported."),
    is("secret", Kind::Bool, "It is a secret, whose value is nowhere."),
    is("changed", Kind::Bool, "It took the place of an earlier answer."),
    is("removed", Kind::Bool, "It was taken back, because its question is hidden now."),
];

const TOOLS: &[Column] = &[
    NODE,
    SEQ,
    RUN,
    is("at", Kind::Time, "When it began. Some engines want the name quoted; the views have it as `happened_at` too."),
    TEMPLATE,
    MODE,
    ROLE,
    may("agent", Kind::Int, "The agent's number within the run, from 0."),
    may("attempt", Kind::Int, "The attempt's number within the agent, from 1."),
    is("call", Kind::Int, "The model call that asked for it."),
    is("tool_call", Kind::Int, "Its number within the call, from 0."),
    may("tool", Kind::Text, "The tool's name."),
    may("writes", Kind::Bool, "It may have changed something."),
    is("ok", Kind::Bool, "It did what it was asked."),
    may("fault", Kind::Text, "Why it did not."),
    is("latency_ms", Kind::Int, "How long it took."),
    may("bytes", Kind::Int, "Bytes of its whole result."),
    may("told_bytes", Kind::Int, "Of these, how many the model was told."),
    is("repeated", Kind::Bool, "Nothing ran: an earlier result was told again."),
];

const EVENTS: &[Column] = &[
    NODE,
    SEQ,
    may("run_id", Kind::Text, "The run; null for events of the store itself."),
    is("version", Kind::Int, "Position in the run's stream, from 1; 0 without a run."),
    is("at", Kind::Time, "When it was recorded. Some engines want the name quoted."),
    may(
        "occurred_at",
        Kind::Time,
        "When it happened, for imports: its UTC day, else that of `at`, is the partition `date`, and the view's `happened_at`.",
    ),
    may("cause", Kind::Int, "Position of the event that caused it."),
    may("kind", Kind::Text, "The kind's name; null for one that the exporting version does not know."),
    is("kind_number", Kind::Int, "The kind's number."),
    is("kind_version", Kind::Int, "The kind's version."),
    may("data", Kind::Text, "The public part, JSON; null for a kind that is not known."),
    is("hash", Kind::Text, "The chain's hash at this event, hexadecimal."),
];

const TEXTS: &[Column] = &[
    NODE,
    SEQ,
    is("item", Kind::Int, "Number of the text within its event: with `node` and `seq` the key of the row."),
    may("run_id", Kind::Text, "The run; null for texts of the store itself."),
    AT,
    may("agent", Kind::Int, "The agent's number within the run."),
    may("attempt", Kind::Int, "The attempt's number within the agent."),
    may("call", Kind::Int, "The call's number within the run."),
    is(
        "kind",
        Kind::Text,
        "What it is: answer, label, workspace, task, prompt, output, criterion, evidence, note, report and so on.",
    ),
    may("name", Kind::Text, "What it belongs to: a question, a label, a file, the number of a criterion or tool call."),
    is("text", Kind::Text, "The text, secrets redacted."),
];

impl Table {
    /// Returns its columns, in order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Runs => RUNS,
            Self::Attempts => ATTEMPTS,
            Self::Calls => CALLS,
            Self::Verdicts => VERDICTS,
            Self::Costs => COSTS,
            Self::Answers => ANSWERS,
            Self::Tools => TOOLS,
            Self::Events => EVENTS,
            Self::Texts => TEXTS,
        }
    }

    /// Returns the names of the columns that name a row.
    #[cfg(test)]
    pub fn key(self) -> &'static [&'static str] {
        match self {
            Self::Runs => &["node", "run_id"],
            Self::Attempts => &["node", "run_id", "agent", "attempt"],
            Self::Calls => &["node", "run_id", "agent", "attempt", "call"],
            Self::Texts => &["node", "seq", "item"],
            Self::Verdicts | Self::Costs | Self::Answers | Self::Tools | Self::Events => &["node", "seq"],
        }
    }

    /// Returns the table's published description, as `schemas/lake/` has it.
    #[cfg(test)]
    pub fn schema(self) -> Value {
        let columns: Vec<Value> = self
            .columns()
            .iter()
            .map(|column| {
                json!({
                    "name": column.name,
                    "type": column.kind.sql(),
                    "parquet": column.kind.parquet(),
                    "nullable": column.nullable,
                    "description": column.doc,
                })
            })
            .collect();
        json!({
            "table": self.name(),
            "version": VERSION,
            "rows": if self.is_state() {
                "A row says what is known up to `as_of`; of rows with the same key the one with the highest `as_of` counts."
            } else {
                "A row is a fact and never changes."
            },
            "private": self.is_private(),
            "key": self.key(),
            "partitions": [{"name": "v", "type": "integer"}, {"name": "date", "type": "date"}],
            "columns": columns,
        })
    }
}

impl Kind {
    /// Returns the type in SQL.
    #[cfg(test)]
    pub fn sql(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int => "bigint",
            Self::Float => "double",
            Self::Text => "varchar",
            Self::Time => "timestamp with time zone",
            Self::Usd => "decimal(18,9)",
        }
    }

    /// Returns the type in Parquet.
    #[cfg(test)]
    pub fn parquet(self) -> &'static str {
        match self {
            Self::Bool => "BOOLEAN",
            Self::Int => "INT64",
            Self::Float => "DOUBLE",
            Self::Text => "BYTE_ARRAY (STRING)",
            Self::Time => "INT64 (TIMESTAMP_MICROS, UTC)",
            Self::Usd => "INT64 (DECIMAL(18,9))",
        }
    }
}
