//! Templates: a form, rules that turn answers into agents, and what surrounds them.
//!
//! These types are the file format: `schemas/template.schema.json` is generated from them and [`super::parse`] walks it, so
//! that a new field is known everywhere at once. Reading them with serde alone is lenient, for templates that were checked
//! before and recorded with a run; a file is read with [`super::parse`].

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::condition::Condition;
use crate::domain::criterion::Criterion;
use crate::domain::tier::Strategy;

/// A template file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    /// `[a-z0-9][a-z0-9_-]{0,63}`, equal to the file's stem.
    pub template_id: String,
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Semantic version.
    #[serde(default = "default_version")]
    pub version: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who wrote it.
    #[serde(default = "default_author")]
    pub author: String,
    /// The usual cost of a run in US dollars: from, to.
    #[serde(default = "default_cost_range")]
    pub estimated_cost_range: [f64; 2],
    /// How long a run takes.
    #[serde(default = "default_duration")]
    pub estimated_duration_minutes: f64,
    /// The questions.
    pub form_schema: FormSchema,
    /// The rules, in order.
    #[serde(default)]
    pub agent_composition_rules: Vec<Rule>,
    /// Material that a run should be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputSpec>,
    /// Values for rules that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// What may be kept; only stricter than the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureSpec>,
    /// The report: Markdown with placeholders. Without it the final agents' outputs are joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Answers and the roles that they must lead to; run by `validate-template`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TemplateTest>,
}

/// The form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FormSchema {
    /// Its title.
    pub title: String,
    /// What it asks for.
    pub description: String,
    /// The questions, in order.
    pub questions: Vec<Question>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// Its id, by which rules name it.
    pub id: String,
    /// The question itself.
    pub text: String,
    /// What kind of answer it takes.
    #[serde(rename = "type")]
    pub kind: QuestionKind,
    /// The options of a select.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The default, of the question's own type; a text may be `{{other_answer}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// More words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help_text: Option<String>,
    /// An answer must be given when the question is shown.
    #[serde(default = "yes")]
    pub required: bool,
    /// Shown only when this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Masked in lists and reports; left out of the index, judges' prompts and exports.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sensitive: bool,
    /// text_input: a regular expression that the whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// text_input: characters, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// text_input: characters, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// text_input: several lines.
    #[serde(default, skip_serializing_if = "is_false")]
    pub multiline: bool,
    /// single_select: other texts than the options are welcome.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_other: bool,
    /// multi_select: options chosen, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// multi_select: options chosen, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// multi_select: an option and those that it rules out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub excludes: IndexMap<String, Vec<String>>,
    /// multi_select: an option and those that it needs.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub requires: IndexMap<String, Vec<String>>,
    /// number: at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// number: at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// number: no decimals.
    #[serde(default, skip_serializing_if = "is_false")]
    pub integer: bool,
    /// path: the file or folder must be there. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_exist: Option<bool>,
    /// secret: the environment variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// Kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// A text.
    TextInput,
    /// One of the options.
    SingleSelect,
    /// A set of options.
    MultiSelect,
    /// Yes or no.
    Boolean,
    /// An integer or a decimal.
    Number,
    /// A file or folder.
    Path,
    /// Never stored, logged or shown.
    Secret,
}

/// A rule: when it holds, it makes an agent (or one per item).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// The agent's role; unique in the template.
    pub role: String,
    /// The base agent's id.
    pub base_template: String,
    /// Which tiers it may use. Without it: the template's default, then the settings'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_strategy: Option<Strategy>,
    /// Tools it may use.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Short form of `when`: question → value or list of values; all must hold.
    #[serde(default)]
    pub required_responses: IndexMap<String, Value>,
    /// Question → key of the configuration that its answer becomes.
    #[serde(default)]
    pub config_mapping: IndexMap<String, String>,
    /// What its attempts are judged by.
    #[serde(default)]
    pub success_criteria: Vec<Criterion>,
    /// A condition, besides `required_responses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// The task, with placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Roles that must have ended before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Constants of the configuration; placeholders allowed in texts.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub config: IndexMap<String, Value>,
    /// Attempts at one tier, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts_per_tier: Option<u32>,
    /// The agent's budget in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// What its failure means for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailureSpec>,
    /// An unknown verdict fails the attempt.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// With weights: the share of known weight that must pass, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// A multi_select question: one agent per item chosen. `{{item}}` is the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreach: Option<String>,
}

/// What an agent's failure means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailureSpec {
    /// The run fails.
    FailRun,
    /// The run goes on.
    Continue,
}

/// Material that a run should be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputSpec {
    /// Its id, as in `--input id=path` and `{{inputs.id}}`.
    pub id: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// File, folder or text.
    pub kind: InputKindSpec,
    /// A real run without it warns before it spends.
    #[serde(default)]
    pub required: bool,
}

/// Kinds of material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputKindSpec {
    /// One file.
    File,
    /// A folder; `.gitignore` is respected.
    Dir,
    /// A text given directly or as a file.
    Text,
}

/// Values for rules that do not say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Defaults {
    /// Which tiers agents may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Attempts at one tier, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts_per_tier: Option<u32>,
    /// The run's budget in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// Output tokens of one call, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
}

/// What may be kept of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaptureSpec {
    /// Prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Capture>,
    /// Outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Capture>,
    /// Answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Capture>,
}

/// How much of a text is kept, from all to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// The text.
    #[default]
    Full,
    /// The text, with more patterns redacted.
    Redacted,
    /// A salted hash.
    Hash,
    /// Nothing.
    None,
}

/// A test of the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateTest {
    /// What it shows.
    #[serde(default)]
    pub name: String,
    /// Answers; questions not named take their defaults.
    #[serde(default)]
    pub answers: IndexMap<String, Value>,
    /// The roles expected, in order; `foreach` roles as `role[item]`.
    pub roles: Vec<String>,
}

/// A base agent: `templates/agents/<id>.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaseAgent {
    /// Its id, by which rules name it; equal to the file's stem.
    pub id: String,
    /// Other ids that mean the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// One line about it.
    pub description: String,
    /// The system message.
    pub instructions: String,
    /// Tools that it uses unless the rule names some.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Criteria besides the rule's own.
    #[serde(default)]
    pub criteria: Vec<Criterion>,
    /// The exact form of the answer, put at the end of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_contract: Option<OutputContract>,
}

/// The form that an answer must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputContract {
    /// Markdown or JSON.
    pub format: OutputFormat,
    /// The form in words, with its headings or keys.
    pub description: String,
    /// For JSON: the schema, sent as structured output where the provider can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// Formats of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Markdown.
    Markdown,
    /// JSON.
    Json,
}

fn default_version() -> String {
    "1.0.0".to_owned()
}

fn default_author() -> String {
    "system".to_owned()
}

fn default_cost_range() -> [f64; 2] {
    [0.05, 0.5]
}

fn default_duration() -> f64 {
    5.0
}

fn yes() -> bool {
    true
}

fn is_false(value: &bool) -> bool {
    !value
}
