//! The general form of a run's history: one line of JSON Lines, as `schemas/import/run.schema.json` describes it.
//!
//! Amounts are nUSD inside and dollars in the file; times are ns since the epoch inside and RFC 3339 in the file. What a line
//! leaves out is unknown and stays unknown.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde_json::Value;

use crate::domain::ids::{Hash, TimeNs};
use crate::domain::money::NanoUsd;
use crate::domain::tier::Tier;
use crate::views::status::{AgentStatus, RunStatus};

/// The longest id or role, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// Agents of one run, at most.
pub const AGENTS_MAX: usize = 1000;
/// Attempts of one agent, at most.
pub const ATTEMPTS_MAX: usize = 1000;
/// The dearest attempt, in nUSD: a million dollars. Whatever is above is a fault of the file.
pub const COST_MAX: NanoUsd = NanoUsd(1_000_000 * NanoUsd::PER_USD);
/// The largest count of tokens or milliseconds: what JSON numbers hold exactly.
pub const COUNT_MAX: u64 = 1 << 53;

/// One run that another system made. A file holds one per line.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "One line of a file for `meno import runs`", extend("additionalProperties" = false))]
pub struct ImportedRun {
    /// The run's id in its own system, up to 200 characters. Lines with an id that was imported before are not imported again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub run_id: Option<String>,
    /// What kind of run it was: any text up to 200 characters; no template file is needed.
    #[schemars(length(min = 1, max = 200))]
    pub template_id: String,
    /// When it began: RFC 3339, `2026-10-01T09:30:00Z`. Without a zone it is read as UTC.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: TimeNs,
    /// When it ended; left out when not known.
    #[serde(serialize_with = "some_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended_at: Option<TimeNs>,
    /// How it ended. Left out, it is `succeeded` when every agent that had its turn succeeded, else `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Labels.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(default)]
    pub labels: IndexMap<String, String>,
    /// What was answered, by question; values are any JSON.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(default)]
    pub answers: IndexMap<String, Value>,
    /// The team.
    #[schemars(length(max = 1000))]
    pub agents: Vec<ImportedAgent>,
    /// The run's report, Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What people said about it: texts, or texts with rating and tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<NotesForm>")]
    pub notes: Vec<ImportedNote>,
}

/// One agent of an imported run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct ImportedAgent {
    /// Its role: any text up to 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub role: String,
    /// What it was to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// How it ended. Left out, it is `succeeded` when its last attempt passed, `skipped` when it has none, else `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AgentStatus>,
    /// Its attempts, in order, over all tiers.
    #[schemars(length(max = 1000))]
    pub attempts: Vec<ImportedAttempt>,
}

/// One attempt of an imported agent.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct ImportedAttempt {
    /// The tier.
    pub tier: Tier,
    /// The provider.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// It met its criteria.
    pub passed: bool,
    /// What it cost, in dollars: at most a million, finer than 10⁻⁹ is rounded. Left out or null when not known.
    #[schemars(rename = "cost_usd", with = "Option<f64>", range(min = 0.0, max = 1_000_000.0))]
    pub cost: Option<NanoUsd>,
    /// Input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What it answered.
    pub output: Option<String>,
    /// Names of the criteria that it failed.
    #[schemars(default)]
    pub failed_criteria: Vec<String>,
}

/// What a person said about an imported run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct ImportedNote {
    /// The note.
    pub text: String,
    /// From 1 (bad) to 5 (good).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub rating: Option<u8>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub tags: Vec<String>,
    /// When; left out when not known.
    #[serde(serialize_with = "some_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub at: Option<TimeNs>,
}

/// The ways in which notes may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum NotesForm {
    /// One note.
    One(String),
    /// Several.
    Many(Vec<NoteForm>),
}

/// The ways in which one note may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum NoteForm {
    /// Just its text.
    Text(String),
    /// With rating, tags and time.
    Whole(ImportedNote),
}

impl ImportedRun {
    /// Returns the BLAKE3 of what the line says: the same however it is spaced and in whichever order its fields stand, and for
    /// every release, because fields that a line does not have leave no trace.
    pub fn digest(&self) -> Hash {
        // A form of texts, numbers and lists: there is no map whose keys are not texts, so it is always JSON.
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Serialize for ImportedAttempt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ImportedAttempt", 10)?;
        fields.serialize_field("tier", &self.tier)?;
        fields.serialize_field("passed", &self.passed)?;
        // Up to a million dollars a double holds every nUSD, so this is exact.
        let cost = self.cost.map(|cost| cost.0 as f64 / NanoUsd::PER_USD as f64);
        macro_rules! optional {
            ($($name:literal: $value:expr),*) => {$(
                if let Some(value) = &$value { fields.serialize_field($name, value)?; }
            )*};
        }
        optional!("provider": self.provider, "model": self.model, "cost_usd": cost, "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens, "duration_ms": self.duration_ms, "output": self.output);
        if !self.failed_criteria.is_empty() {
            fields.serialize_field("failed_criteria", &self.failed_criteria)?;
        }
        fields.end()
    }
}

fn time<S: Serializer>(at: &TimeNs, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::views::utc(*at))
}

fn some_time<S: Serializer>(at: &Option<TimeNs>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}
