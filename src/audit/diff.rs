//! How two runs differ: answers, team, attempts, outputs, cost. Works on documents of runs; nothing is read here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;

use crate::domain::event::{Mode, Verdict};
use crate::domain::tier::{Strategy, Tier};
use crate::views::run_detail::{AgentDetail, RunDetail};
use crate::views::status::{AgentStatus, AttemptStatus, RunStatus};

/// Longer texts are said to differ, without how: comparing takes time that grows with the square of the lines that differ.
const LINES_MAX: usize = 5_000;
/// Lines around a change that are shown.
const CONTEXT_LINES: usize = 2;

/// How two runs differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "How two runs differ, as `meno diff --json` prints it")]
pub struct RunDiff {
    /// The first run.
    pub a: Side,
    /// The second run.
    pub b: Side,
    /// Nothing below differs.
    pub same: bool,
    /// Answers that differ.
    pub answers: Vec<AnswerDiff>,
    /// Agents that differ, in the order of the first run, then those that only the second has.
    pub agents: Vec<AgentDiff>,
    /// The reports, as a unified diff; null when they are the same.
    pub report: Option<String>,
    /// What the second cost more than the first, in nUSD, as far as is known; null when they were not paid in the same kind of money.
    pub cost_difference_nusd: Option<i64>,
}

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The run.
    pub run_id: String,
    /// Its template.
    pub template_id: String,
    /// Its template's version.
    pub template_version: String,
    /// Its template's hash.
    pub template_hash: String,
    /// How it stands.
    pub status: RunStatus,
    /// Whether that is verified.
    pub verified: bool,
    /// Real, simulated or imported.
    pub mode: Mode,
    /// The strategy given for the whole run.
    pub strategy: Option<Strategy>,
    /// When it began.
    pub started_at: Option<String>,
    /// How long it worked, in milliseconds.
    pub duration_ms: Option<u64>,
    /// How long filling in its form took, in milliseconds; null for a run of another system.
    #[serde(default)]
    pub form_ms: Option<u64>,
    /// How long it waited for a person, in milliseconds; null for a run of another system.
    #[serde(default)]
    pub waited_ms: Option<u64>,
    /// What is known of its cost.
    pub cost_nusd: u64,
    /// Whether that is all.
    pub cost_complete: bool,
}

/// An answer that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerDiff {
    /// The question.
    pub question: String,
    /// The first run's answer; null when there is none.
    pub a: Option<Value>,
    /// The second run's.
    pub b: Option<Value>,
}

/// An agent that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentDiff {
    /// Its role.
    pub role: String,
    /// What became of it in the first run; null when it was not part of it.
    pub a: Option<AgentSide>,
    /// In the second.
    pub b: Option<AgentSide>,
    /// Parts of its plan that differ: `config`, `success_criteria`, `strategy`, `base_template`, `tools`, `task`.
    pub plan: Vec<String>,
    /// Its outputs as a unified diff; null when they are the same or one is missing.
    pub output: Option<String>,
}

/// What became of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSide {
    /// How it ended.
    pub status: AgentStatus,
    /// Whether that is verified.
    pub verified: bool,
    /// Where it ended.
    pub tier: Option<Tier>,
    /// What is known of its cost.
    pub cost_nusd: u64,
    /// Whether that is all.
    #[serde(default)]
    pub cost_complete: bool,
    /// Its attempts.
    pub attempts: Vec<AttemptSide>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptSide {
    /// Its tier.
    pub tier: Tier,
    /// Its model.
    pub model: Option<String>,
    /// How it ended.
    pub status: AttemptStatus,
    /// Names of the criteria that failed; a number where the name is gone.
    pub failed: Vec<String>,
}

impl RunDiff {
    /// Compares two runs. Sensitive answers must have been masked: they then seem the same.
    pub(crate) fn of(a: &RunDetail, b: &RunDetail) -> Self {
        Self::by(a, b, text_diff)
    }

    /// Compares two runs as [`RunDiff::of`] does, and two of their texts by `differs`: comparing many long ones line by line takes a while.
    pub(crate) fn by(a: &RunDetail, b: &RunDetail, differs: fn(&str, &str) -> Option<String>) -> Self {
        let mut questions: Vec<&String> = a.answers.keys().collect();
        questions.extend(b.answers.keys().filter(|id| !a.answers.contains_key(*id)));
        let answers = questions.into_iter().filter(|id| a.answers.get(*id) != b.answers.get(*id)).map(|id| AnswerDiff {
            question: id.clone(),
            a: a.answers.get(id).cloned(),
            b: b.answers.get(id).cloned(),
        });
        let answers: Vec<AnswerDiff> = answers.collect();
        let mut agents: Vec<AgentDiff> = Vec::new();
        for agent in &a.agents {
            agents.extend(agent_diff(Some(agent), b.agents.iter().find(|other| other.role == agent.role), differs));
        }
        for agent in b.agents.iter().filter(|agent| !a.agents.iter().any(|other| other.role == agent.role)) {
            agents.extend(agent_diff(None, Some(agent), differs));
        }
        let report = differs(a.report.as_deref().unwrap_or_default(), b.report.as_deref().unwrap_or_default());
        let (a, b) = (Side::of(a), Side::of(b));
        let is_same_end =
            (a.status, a.verified, &a.template_hash, a.strategy) == (b.status, b.verified, &b.template_hash, b.strategy);
        let difference = i128::from(b.cost_nusd) - i128::from(a.cost_nusd);
        Self {
            same: is_same_end && difference == 0 && answers.is_empty() && agents.is_empty() && report.is_none(),
            cost_difference_nusd: (a.mode == b.mode).then(|| i64::try_from(difference).ok()).flatten(),
            a,
            b,
            answers,
            agents,
            report,
        }
    }
}

impl Side {
    fn of(run: &RunDetail) -> Self {
        Self {
            run_id: run.run_id.clone(),
            template_id: run.template_id.clone(),
            template_version: run.template_version.clone(),
            template_hash: run.template_hash.clone(),
            status: run.status,
            verified: run.verified,
            mode: run.mode,
            strategy: run.strategy,
            started_at: run.started_at.clone(),
            duration_ms: run.duration_ms,
            form_ms: run.form_ms,
            waited_ms: run.waited_ms,
            cost_nusd: run.cost_nusd,
            cost_complete: run.cost_complete,
        }
    }
}

impl AgentSide {
    fn of(agent: &AgentDetail) -> Self {
        let attempts = agent.attempts.iter().map(|attempt| {
            let failed = attempt.criteria.iter().filter(|criterion| criterion.verdict == Verdict::Fail);
            let name = |criterion: &crate::views::run_detail::CriterionDetail| {
                criterion.name.clone().unwrap_or_else(|| criterion.criterion.to_string())
            };
            AttemptSide {
                tier: attempt.tier,
                model: attempt.model.clone(),
                status: attempt.status,
                failed: failed.map(name).collect(),
            }
        });
        Self {
            status: agent.status,
            verified: agent.verified,
            tier: agent.tier,
            cost_nusd: agent.cost_nusd,
            cost_complete: agent.cost_complete,
            attempts: attempts.collect(),
        }
    }
}

/// Returns how an agent differs; `None` when it does not.
fn agent_diff(a: Option<&AgentDetail>, b: Option<&AgentDetail>, differs: fn(&str, &str) -> Option<String>) -> Option<AgentDiff> {
    let role = a.or(b)?.role.clone();
    let (mut plan, mut output) = (Vec::new(), None);
    if let (Some(a), Some(b)) = (a, b) {
        let parts = [
            ("base_template", a.base_template == b.base_template),
            ("config", a.config == b.config),
            ("strategy", a.strategy == b.strategy),
            ("success_criteria", a.success_criteria == b.success_criteria),
            ("task", a.task == b.task),
            ("tools", a.tools == b.tools),
        ];
        plan.extend(parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part.to_owned()));
        output = match (&a.output, &b.output) {
            (Some(a), Some(b)) => differs(a, b),
            _ => None,
        };
    }
    let (a, b) = (a.map(AgentSide::of), b.map(AgentSide::of));
    (a != b || !plan.is_empty() || output.is_some()).then_some(AgentDiff { role, a, b, plan, output })
}

/// Returns a unified diff of two texts; `None` when they are the same.
pub fn text_diff(a: &str, b: &str) -> Option<String> {
    if a == b {
        return None;
    }
    if a.lines().count().max(b.lines().count()) > LINES_MAX {
        return Some(format!("(they differ: {} and {} bytes, too long to compare line by line)", a.len(), b.len()));
    }
    Some(TextDiff::from_lines(a, b).unified_diff().context_radius(CONTEXT_LINES).header("a", "b").to_string())
}
