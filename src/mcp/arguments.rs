//! What the tools take. The documentation of a field is what a client's model reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::event::Mode;
use crate::domain::tier::Strategy;
use crate::memory::query::Sort;
use crate::views::status::RunStatus;

/// Arguments of `search`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchArguments {
    /// What to look for, in plain words. Filters may stand in it, such as `template:security_audit`, `status:failed`, `since:30d` or
    /// `label.team:core`.
    pub query: String,
    /// Runs to return, at most. Default 10.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u64>,
    /// Runs to leave out at the beginning: what `next_offset` of an earlier answer said.
    #[serde(default)]
    pub offset: u64,
    /// What comes first; by default what matches best.
    #[serde(default)]
    pub sort: Option<Sort>,
    /// Return runs too that are not close to the question.
    #[serde(default)]
    pub all: bool,
}

/// How the list of runs is sorted.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first.
    Oldest,
    /// The highest cost first.
    Cost,
    /// The longest duration first.
    Duration,
}

/// Arguments of `list_runs`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRunsArguments {
    /// Only runs of this template.
    #[serde(default)]
    pub template: Option<String>,
    /// Only runs in one of these states.
    #[serde(default)]
    pub status: Vec<RunStatus>,
    /// Only real, simulated or imported runs.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Only runs begun since: `2026-10-01`, `7d`, `last week`.
    #[serde(default)]
    pub since: Option<String>,
    /// Only runs begun until then, that day included.
    #[serde(default)]
    pub until: Option<String>,
    /// Only runs with all these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What comes first.
    #[serde(default)]
    pub sort: ListOrder,
    /// Runs to return, at most. Default 20.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u64>,
    /// Runs to leave out at the beginning: what `next_offset` of an earlier answer said.
    #[serde(default)]
    pub offset: u64,
}

/// Arguments of `show_run`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRunArguments {
    /// The run: its id, at least 4 characters of its beginning or end, `last` or `last~N`.
    pub run: String,
    /// Only this agent: its role as `agents` names it.
    #[serde(default)]
    pub agent: Option<String>,
    /// Include what the models were told.
    #[serde(default)]
    pub prompts: bool,
    /// Agents to leave out at the beginning: what `next_offset` of an earlier answer said.
    #[serde(default)]
    pub offset: u64,
}

/// Arguments of `read_text`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTextArguments {
    /// The run, as for `show_run`.
    pub run: String,
    /// Where the text stands in the run: the `pointer` that `left_out` of `show_run` named, such as `/agents/0/output`.
    pub pointer: String,
    /// Bytes to leave out at the beginning: what `next_offset` of an earlier answer said.
    #[serde(default)]
    pub offset: u64,
}

/// Arguments of `costs`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostsArguments {
    /// Dimensions to group by: day, week, month, mode, provider, model, tier, template, role, purpose, workspace, label, label.NAME.
    /// Default day.
    #[serde(default)]
    pub by: Vec<String>,
    /// Only costs since: `2026-10-01`, `7d`, `yesterday`.
    #[serde(default)]
    pub since: Option<String>,
    /// Only costs until then, that day included.
    #[serde(default)]
    pub until: Option<String>,
    /// Rows to leave out at the beginning: what `next_offset` of an earlier answer said.
    #[serde(default)]
    pub offset: u64,
}

/// Arguments of `recommend`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendArguments {
    /// The template's id.
    pub template: String,
    /// Answers to the template's questions, by the question's id.
    #[serde(default)]
    pub answers: BTreeMap<String, Value>,
    /// Learn from simulated runs too.
    #[serde(default)]
    pub include_simulated: bool,
    /// Count successes that nobody could verify as successes.
    #[serde(default)]
    pub include_unverified: bool,
}

/// Arguments of `suggest`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuggestArguments {
    /// What the person wants to do, in plain words.
    #[serde(alias = "wish")]
    pub request: String,
}

/// Arguments of `list_templates`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTemplatesArguments {}

/// Arguments of `show_template`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowTemplateArguments {
    /// The template's id.
    pub template: String,
}

/// Arguments of `events`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsArguments {
    /// Only events of this run, as for `show_run`.
    #[serde(default)]
    pub run: Option<String>,
    /// Only events of these kinds, such as `TierEscalated`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The first position of the log to look at. Without it a run is read from its beginning, and of the whole log the end is shown.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub from: Option<u64>,
    /// Events to return, at most. Default 50.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u64>,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunArguments {
    /// The template's id; `show_template` names its questions and inputs.
    pub template: String,
    /// Answers by the question's id. What is not answered takes the template's default.
    #[serde(default)]
    pub answers: BTreeMap<String, Value>,
    /// Material by the input's id: the path of a file or a folder, or the text itself for an input of kind `text`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Labels of the run.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Which tiers agents may use, over what the template says.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// What the run may cost in US dollars, at most; never more than the server was started with.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub budget_usd: Option<f64>,
    /// The seed of everything random.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Seconds to wait for the end. Default 45. A run that takes longer goes on, and `show_run` tells how it stands.
    #[serde(default)]
    #[schemars(range(max = 3600))]
    pub wait_s: Option<u64>,
}

/// Arguments of `resume`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeArguments {
    /// The run, as for `show_run`.
    pub run: String,
    /// Let failed agents start again.
    #[serde(default)]
    pub retry_failed: bool,
    /// Allow or deny the escalations that wait for a person's word. Say it only when the person did.
    #[serde(default)]
    pub approve: Option<bool>,
    /// Answers to questions that are still open.
    #[serde(default)]
    pub answers: BTreeMap<String, Value>,
    /// The run's budget in US dollars from now on; never more than the server was started with.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub budget_usd: Option<f64>,
    /// Seconds to wait for the end. Default 45.
    #[serde(default)]
    #[schemars(range(max = 3600))]
    pub wait_s: Option<u64>,
}
