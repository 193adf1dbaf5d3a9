//! What may stand in a `config.toml`: the types, their schema, and the reading of one file with all its faults at once.
//!
//! The schema is generated from the types and is the only judge of unknown keys, ranges and choices, so that editors and Meno agree.
//! A fault never shows the value it is about: people paste keys into the wrong place.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::commands::CommandsConfig;
use super::error::Problem;
use super::fit;
use super::keys;
use super::meaning::{self, Fault};
use super::types::{AuthScheme, ModelRef, ProviderKind, Sandbox};
use crate::domain::event::Escalate;
use crate::domain::template::Capture;
use crate::domain::tier::Strategy;

/// A set of models that fills the three tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Anthropic's current models.
    Anthropic,
    /// OpenAI's current models.
    Openai,
    /// A local Ollama; which models, the user says.
    Ollama,
    /// OpenAI for the cheap tier, Anthropic above, each the other's fallback.
    Mixed,
    /// The embedded simulation: no network, no key, no cost.
    Simulated,
}

impl Preset {
    /// All presets, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Anthropic, Self::Openai, Self::Ollama, Self::Mixed, Self::Simulated];

    /// Returns the name used in files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
            Self::Ollama => "ollama",
            Self::Mixed => "mixed",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text is not a preset.
#[derive(Debug, thiserror::Error)]
#[error("a preset is anthropic, openai, ollama, mixed or simulated")]
pub struct BadPreset;

impl FromStr for Preset {
    type Err = BadPreset;

    fn from_str(text: &str) -> Result<Self, BadPreset> {
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or(BadPreset)
    }
}

/// Settings of Meno: a store's `config.toml` or the user's. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Fills the three tiers; what stands under `[tiers]` in the same file wins over it. No default.
    pub preset: Option<Preset>,
    /// Which model serves which tier.
    pub tiers: TiersConfig,
    /// The providers by name; anthropic, openai, ollama and simulated are predefined.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// How runs go.
    pub run: RunConfig,
    /// Money over all runs.
    pub budget: BudgetConfig,
    /// What tools may do.
    pub tools: ToolsConfig,
    /// Servers of the Model Context Protocol by name: agents have their tools by listing `mcp:NAME/TOOL` or `mcp:NAME/*`.
    pub mcp: BTreeMap<String, McpConfig>,
    /// What is kept.
    pub capture: CaptureConfig,
    /// What the capture level `redacted` removes.
    pub redaction: RedactionConfig,
    /// Large texts at rest.
    pub encryption: EncryptionConfig,
    /// Search and recommendations.
    pub memory: MemoryConfig,
    /// How long runs are kept.
    pub retention: RetentionConfig,
    /// The simulated provider.
    pub simulated: SimulatedConfig,
}

/// Which model serves which tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TiersConfig {
    /// The cheapest model that may do.
    pub cheap: Option<TierConfig>,
    /// A solid model for most work.
    pub capable: Option<TierConfig>,
    /// The strongest model.
    pub premium: Option<TierConfig>,
    /// The model that judges, instead of the next higher tier's.
    pub judge: Option<TierConfig>,
}

/// The model of one tier. Naming a provider drops what a weaker source said about the tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TierConfig {
    /// A name under `[providers]`.
    #[schemars(length(min = 1))]
    pub provider: Option<String>,
    /// The model, as the provider names it.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// Output tokens of one call, at most. Default 8192.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_output_tokens: Option<u64>,
    /// The context window in tokens. Default: from the price table; Ollama's num_ctx.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub context_tokens: Option<u64>,
    /// Reasoning effort, sent only if set, and only where the model takes it.
    #[schemars(length(min = 1))]
    pub effort: Option<String>,
    /// Models that take over when this one cannot be reached or is out of quota, in order.
    pub fallbacks: Option<Vec<ModelRef>>,
}

/// One provider. `kind` and `base_url` are needed for one that is not predefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// The wire format.
    pub kind: Option<ProviderKind>,
    /// Scheme, host, port and path prefix. ANTHROPIC_BASE_URL, OPENAI_BASE_URL and OLLAMA_HOST win for the predefined ones.
    pub base_url: Option<String>,
    /// The name of the environment variable that holds the key, never the key. It goes only to the origin of the `base_url` beside it.
    pub api_key_env: Option<String>,
    /// How the key is sent.
    pub auth: Option<AuthScheme>,
    /// The value of `anthropic-version`.
    #[schemars(length(min = 1))]
    pub api_version: Option<String>,
    /// Extra headers, never secret.
    pub headers: BTreeMap<String, String>,
    /// Requests at once, at most. Default 4.
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: Option<u32>,
    /// Seconds to connect. Default 5.
    #[schemars(range(min = 0.001, max = 86400))]
    pub connect_s: Option<f64>,
    /// Seconds until the first byte. Default 60.
    #[schemars(range(min = 0.001, max = 86400))]
    pub first_byte_s: Option<f64>,
    /// Seconds between pieces of a stream; ten times as long it may consist of signs of life alone. Default 90.
    #[schemars(range(min = 0.001, max = 86400))]
    pub idle_s: Option<f64>,
    /// Tries after the first one. Default 2.
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
    /// Plain http beyond this machine is allowed. Default false.
    pub allow_http: Option<bool>,
}

/// How runs go where neither flags nor rules say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Which tiers an agent may use, in which order. Default progressive.
    pub strategy: Option<Strategy>,
    /// Agents at work at once, at most. Default 4.
    #[schemars(range(min = 1, max = 1000))]
    pub jobs: Option<u16>,
    /// Attempts of an agent at one tier, at most. Default 1.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts_per_tier: Option<u32>,
    /// What to do when an agent is to escalate. Default auto.
    #[schemars(schema_with = "escalate_schema")]
    pub escalate: Option<Escalate>,
    /// The budget of one run in US dollars. No default.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub budget_usd: Option<f64>,
    /// Under a budget, models without a price may be called. Default false.
    pub allow_unpriced: Option<bool>,
}

/// Money over all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// The budget of a UTC day in US dollars. No default.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub per_day_usd: Option<f64>,
}

/// What tools may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolsConfig {
    /// Programs that agents may run: a list of names, or a table for each, `[tools.commands.NAME]`, that says what it does. Default none.
    pub commands: Option<CommandsConfig>,
    /// Agents may write in the workspace. Default false.
    pub allow_write: Option<bool>,
    /// Paths of the workspace that no tool may read, in the syntax of `.gitignore`. Default none: `.env`, keys and stores are never
    /// read anyway.
    pub deny: Option<Vec<String>>,
    /// Variables of the environment that programs have besides PATH, HOME, LANG and the like. Default none; keys are never passed.
    pub env: Option<Vec<String>>,
    /// What keeps programs to the workspace: `auto` as far as this system can, `require` or not at all, `off`. Default auto.
    pub sandbox: Option<Sandbox>,
    /// Folders that programs may read besides the workspace, system libraries and toolchains. Default none.
    pub readable: Option<Vec<String>>,
    /// Programs may open TCP connections. Default false.
    pub network: Option<bool>,
    /// Origins that the tool `http_get` may fetch from, such as `https://docs.rs`. Default none.
    pub origins: Option<Vec<String>>,
    /// Turns with tools in one attempt, at most; 0 offers no tools. Default 16.
    #[schemars(range(max = 1000))]
    pub max_turns: Option<u32>,
}

/// A server of the Model Context Protocol, which is started for a run whose agents use it, and speaks over stdin and stdout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpConfig {
    /// The program with its arguments. It runs as you, in the folder of the run, and nothing confines it.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub command: Option<Vec<String>>,
    /// The address of a server that is reached over HTTP, in place of a command: https, or http on this machine.
    pub url: Option<String>,
    /// The environment variable with the token that a server with an address is brought as `Authorization: Bearer`.
    pub token_env: Option<String>,
    /// Variables of the environment that it has besides PATH, HOME, LANG and the like. Default none; keys of providers are never passed.
    pub env: Option<Vec<String>>,
    /// Believe what it says its tools do to the world: only looking, or the same again. Default false: every tool counts as writing.
    pub trust_annotations: Option<bool>,
    /// Seconds until it must have started. Default 30.
    #[schemars(range(min = 0.001, max = 3600))]
    pub start_s: Option<f64>,
    /// Seconds that a call of a tool may take without a word of its progress; with such words ten times as long. Default 60.
    #[schemars(range(min = 0.001, max = 86400))]
    pub timeout_s: Option<f64>,
}

/// What is kept of texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// Of prompts. Default full.
    pub prompts: Option<Capture>,
    /// Of outputs. Default full.
    pub outputs: Option<Capture>,
    /// Of answers. Default full.
    pub answers: Option<Capture>,
}

/// What the capture level `redacted` removes besides keys and tokens, which are removed at every level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionConfig {
    /// E-mail addresses. Default false.
    pub emails: Option<bool>,
    /// Telephone numbers. Default false.
    pub phones: Option<bool>,
    /// Names of people, customers, projects. Default none.
    // A list that is not written as one would be a name that nobody has.
    #[schemars(inner(length(min = 2), regex(pattern = r"^[^\[]")))]
    pub names: Option<Vec<String>>,
    /// Long words that look random, as unknown tokens do, and hashes too. Default false.
    pub entropy: Option<bool>,
}

/// Large texts at rest: with a key they are encrypted. `meno rekey` sets these and brings what is there already under the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncryptionConfig {
    /// A file with the key: 32 random bytes in hexadecimal or Base64; a relative path starts at this file's folder. No default.
    pub key_file: Option<String>,
    /// A program with its arguments that prints the key, instead of a file. No default.
    pub key_command: Option<Vec<String>>,
    /// Where the key before was, while `meno rekey` is under way.
    pub old_key_file: Option<String>,
    /// The command for the key before, while `meno rekey` is under way.
    pub old_key_command: Option<Vec<String>>,
}

/// Search and recommendations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// The embedding model. Default all-MiniLM-L6-v2, the built-in one.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// Days after which an observation counts half. Default 90.
    #[schemars(range(min = 0.001, max = 1_000_000))]
    pub half_life_days: Option<f64>,
    /// Observations below which nothing is claimed. Default 10.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_sample: Option<u32>,
    /// How long a run lasts before past runs that have no vectors yet are embedded beside it, in milliseconds, at low priority
    /// and only while it goes on; the rest is done by the next search, by `meno serve` and by `meno reindex`. 0 leaves all of it to them.
    /// Default 1000.
    #[schemars(range(min = 0, max = 600_000))]
    pub embed_ms: Option<u64>,
}

/// How long runs are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Days after which runs are purged; 0, the default, keeps everything.
    #[schemars(range(max = 1_000_000))]
    pub days: Option<u32>,
}

/// The simulated provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatedConfig {
    /// Milliseconds per call. Default 0.
    #[schemars(range(max = 86_400_000))]
    pub delay_ms: Option<u64>,
    /// A file of scripted replies; a relative path starts at this file's folder. Default none.
    pub script: Option<String>,
}

fn escalate_schema(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": [Escalate::Auto.name(), Escalate::Ask.name(), Escalate::Never.name()] })
}

/// Returns the JSON schema of `config.toml`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    without_null(&mut schema);
    schema
}

/// TOML has no null, and choices read better as one list: rewrites what schemars says about `Option` and documented enums.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            object.shift_remove("default");
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(mut choices)) = object.shift_remove("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                match <[Value; 1]>::try_from(choices) {
                    Ok([Value::Object(only)]) => object.extend(only),
                    Ok([other]) => drop(object.insert("anyOf".to_owned(), Value::Array(vec![other]))),
                    Err(choices) => drop(object.insert("anyOf".to_owned(), Value::Array(choices))),
                }
            }
            let constants: Option<Vec<Value>> = object
                .get("oneOf")
                .and_then(Value::as_array)
                .and_then(|all| all.iter().map(|one| one.get("const").cloned()).collect());
            if let Some(constants) = constants {
                object.shift_remove("oneOf");
                object.insert("type".to_owned(), Value::from("string"));
                object.insert("enum".to_owned(), Value::Array(constants));
            }
        }
        _ => {}
    }
}

/// Reads a `config.toml`, or returns all that is wrong with it in the order of the text.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = |span: Option<Range<usize>>| line_and_column(text, span.map_or(0, |span| span.start));
    let whole = |span: Option<Range<usize>>, message: &str| {
        let hint = twice(text, span.as_ref(), message);
        let (line, column) = place(span);
        vec![Problem { line, column, key: String::new(), message: message.trim().replace('\n', ", "), hint }]
    };
    let document = toml_edit::Document::parse(text).map_err(|error| whole(error.span(), error.message()))?;
    let table: toml::Table = toml::from_str(text).map_err(|error| whole(error.span(), error.message()))?;
    let json = serde_json::to_value(&table).map_err(|error| whole(None, &error.to_string()))?;

    let mut faults = schema_faults(&json);
    if faults.is_empty() {
        // The schema has found nothing, so this reads; were it not so, the reader's own words are better than none.
        let config: Config =
            toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| whole(error.span(), error.message()))?;
        faults = meaning::faults(&config);
        if faults.is_empty() {
            return Ok(config);
        }
    }
    let mut problems: Vec<(usize, Problem)> = faults
        .into_iter()
        .map(|fault| {
            let span = span_of(document.as_item(), &fault.path);
            let (line, column) = place(span.clone());
            let key = keys::dotted(&fault.path);
            (span.map_or(0, |span| span.start), Problem { line, column, key, message: fault.message, hint: fault.hint })
        })
        .collect();
    problems.sort_by_key(|(start, _)| *start);
    Err(problems.into_iter().map(|(_, problem)| problem).collect())
}

/// Says how the one setting that has two forms is written in one of them, where a text without meaning as TOML has both.
fn twice(text: &str, span: Option<&Range<usize>>, message: &str) -> Option<String> {
    let is_twice = message.contains("duplicate key") || message.contains("cannot extend");
    let start = text.get(..span?.start)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next()?;
    (is_twice && line.contains("commands"))
        .then(|| "give each program a table, `[tools.commands.NAME]` with its effect, and leave the list out".to_owned())
}

fn schema_faults(json: &Value) -> Vec<Fault> {
    let schema = keys::schema();
    if fit::surely(schema, schema, json) {
        return Vec::new();
    }
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Fault { path: Vec::new(), message: error.masked().to_string(), hint: None }],
    };
    let mut faults = Vec::new();
    for error in validator.iter_errors(json) {
        let path: Vec<String> = error
            .instance_path()
            .segments()
            .map(|segment| match segment {
                LocationSegment::Property(name) => name.into_owned(),
                LocationSegment::Index(index) => index.to_string(),
            })
            .collect();
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            for name in unexpected {
                let mut path = path.clone();
                path.push(name.clone());
                let hint = keys::nearest(&path).map(|nearest| format!("did you mean `{nearest}`?"));
                faults.push(Fault { path, message: "is not a setting".to_owned(), hint });
            }
            continue;
        }
        let (message, hint) = in_words(error.kind(), error.instance());
        faults.push(Fault { path, message: message.unwrap_or_else(|| error.masked().to_string()), hint });
    }
    faults
}

/// Says what the schema found without repeating the value.
fn in_words(kind: &ValidationErrorKind, value: &Value) -> (Option<String>, Option<String>) {
    let message = match kind {
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let meant = value.as_str().and_then(|value| keys::alike(value, options.iter().copied()));
            let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
            return (Some(format!("is none of {}", options.join(", "))), hint);
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => format!("is not of type {wanted}"),
        ValidationErrorKind::Minimum { limit } => format!("is less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("is more than {limit}"),
        ValidationErrorKind::MinLength { .. } => "is empty".to_owned(),
        ValidationErrorKind::Required { property } => format!("lacks {property}"),
        _ => return (None, None),
    };
    (Some(message), None)
}

/// Returns where in the text the deepest part of `path` that is there stands.
fn span_of(root: &toml_edit::Item, path: &[String]) -> Option<Range<usize>> {
    let mut item = root;
    let mut span = None;
    for segment in path {
        let next = match segment.parse::<usize>().ok().filter(|_| item.as_table_like().is_none()) {
            Some(index) => {
                // Elements of arrays are values, not items: their own span is as deep as it gets.
                return item.as_array().and_then(|array| array.get(index)).and_then(toml_edit::Value::span).or(span);
            }
            None => item.as_table_like().and_then(|table| table.get_key_value(segment)),
        };
        let Some((key, value)) = next else { break };
        span = key.span().or_else(|| value.span()).or(span);
        item = value;
    }
    span
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
