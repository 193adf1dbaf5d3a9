//! The report that `analytics` gives: its shape, as other programs rely on it. Amounts in nUSD, durations in milliseconds, shares
//! from 0 to 1, times RFC 3339 in UTC. What is null is not claimed: there is too little to say it from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::stats::Estimate;
use crate::domain::event::Mode;
use crate::domain::tier::Tier;

/// What `analytics --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "What experience says, as `meno analytics --json` prints it")]
pub struct Analytics {
    /// The modes that count.
    pub modes: Vec<Mode>,
    /// Successes that nobody could verify count as successes.
    pub unverified_counts: bool,
    /// Observations under which nothing is claimed.
    pub min_sample: u64,
    /// Days after which an observation counts half, where shares fade.
    pub half_life_days: f64,
    /// Only runs begun then or later; null: all.
    pub since: Option<String>,
    /// Only runs begun before then; null: all.
    pub until: Option<String>,
    /// One line per template, the one with the most runs first.
    pub templates: Vec<TemplateLine>,
    /// Everything about the one template that was asked for.
    pub template: Option<TemplateReport>,
    /// Runs by week of their beginning and by mode: of the template that was asked for, else of all. Weeks without runs that count for
    /// success are left out.
    pub weeks: Vec<WeekLine>,
}

/// A share with the interval that holds it with 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// From how many observations.
    pub n: u64,
}

impl Share {
    pub(super) fn of(estimate: Estimate, n: u64) -> Self {
        Self { value: estimate.value, low: estimate.low, high: estimate.high, n }
    }
}

/// What something cost, in one kind of money.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Money {
    /// What kind of money it is.
    pub mode: Mode,
    /// Observations whose whole cost is known.
    pub n: u64,
    /// Observations some of whose cost is not known; the amounts leave them out.
    pub unknown: u64,
    /// The sum of what is known, those of unknown cost included.
    pub total_nusd: u64,
    /// The mean; null when no cost is known.
    pub mean_nusd: Option<u64>,
    /// The median.
    pub p50_nusd: Option<u64>,
    /// What nine of ten stay under.
    pub p90_nusd: Option<u64>,
}

/// Lengths of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Lengths {
    /// From how many observations.
    pub n: u64,
    /// The median.
    pub p50_ms: Option<u64>,
    /// What nine of ten stay under.
    pub p90_ms: Option<u64>,
}

/// A template in one line.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TemplateLine {
    /// The template's id.
    pub template_id: String,
    /// Ended runs.
    pub runs: u64,
    /// Ended well and verified, or said to be so by another system.
    pub succeeded: u64,
    /// Ended well, with criteria that nobody could judge.
    pub unverified: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled; says nothing of success.
    pub cancelled: u64,
    /// Runs that took over work of another one; they count in no other number of this line but the total cost.
    pub forks: u64,
    /// Runs that ended because they could not work: key, model, price or server. They count in no other number but the total cost.
    pub failed_by_configuration: u64,
    /// The share of successes (Wilson); null under the minimum sample.
    pub success: Option<Share>,
    /// What its runs cost.
    pub money: Vec<Money>,
    /// How long its runs worked: without the time that a form took or a person was waited for.
    pub duration: Lengths,
    /// The durations of a run's attempts together, however many ran at once, for runs whose own duration is not known.
    pub attempts_duration: Lengths,
}

/// Everything about a template.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TemplateReport {
    /// In one line.
    pub summary: TemplateLine,
    /// The share of successes where older runs count less; null under the minimum sample.
    pub success_recent: Option<Share>,
    /// Climbs and what they cost.
    pub escalation: Escalation,
    /// How each tier and model does in each role.
    pub tiers: Vec<TierLine>,
    /// What each criterion says.
    pub criteria: Vec<CriterionLine>,
    /// Why attempts and agents failed.
    pub failures: Failures,
    /// Models and tiers that are dearer and not better.
    pub dominated: Vec<Dominated>,
    /// Where another tier to start at is cheaper.
    pub advice: Vec<Advice>,
    /// Answers that go with failure or success.
    pub answers: Answers,
    /// Runs unlike the others.
    pub anomalies: Vec<Anomaly>,
    /// A change in the share of successes.
    pub drift: Option<Drift>,
    /// What the next run will be like.
    pub forecast: Vec<Forecast>,
    /// What is run within a day after it more often than by chance; over all time.
    pub next: Vec<Next>,
    /// How tools did.
    pub tools: Vec<ToolLine>,
    /// Runs by day of their beginning, UTC.
    pub days: Vec<DayLine>,
    /// The newest runs that this rests on.
    pub evidence: Vec<String>,
}

/// Climbs and what they cost.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Escalation {
    /// Climbs.
    pub climbs: u64,
    /// The share of agents that escalated; null under the minimum sample.
    pub agents: Option<Share>,
    /// The share of runs in which one did; null under the minimum sample.
    pub runs: Option<Share>,
    /// What is known of the cost of attempts that were escalated from, and their share of all that was spent.
    pub cost: Vec<EscalationCost>,
}

/// What escalations cost in one kind of money.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EscalationCost {
    /// What kind of money it is.
    pub mode: Mode,
    /// What is known.
    pub cost_nusd: u64,
    /// Attempts that were escalated from whose cost is not wholly known.
    pub unknown: u64,
    /// Its share of all that was spent; null unless all of that is known.
    pub share: Option<f64>,
}

/// How one tier and model does in one role.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TierLine {
    /// The role.
    pub role: String,
    /// The tier.
    pub tier: Tier,
    /// The provider; null when not known.
    pub provider: Option<String>,
    /// The model; null when not known.
    pub model: Option<String>,
    /// Attempts that ended.
    pub attempts: u64,
    /// Passed, with every criterion known.
    pub passed: u64,
    /// Passed, with criteria that nobody could judge.
    pub unverified: u64,
    /// Failed.
    pub failed: u64,
    /// No usable reply.
    pub errors: u64,
    /// The share of all attempts that passed, of those that passed or failed (Wilson); null under the minimum sample. First attempts
    /// and attempts after a failure alike: it says how attempts went, not what first attempts would do.
    pub pass: Option<Share>,
    /// The same where older attempts count less.
    pub pass_recent: Option<Share>,
    /// The share of first attempts that passed: the only ones that met any task.
    pub pass_first: Option<Share>,
    /// The share of attempts after a failure that passed: they met what another attempt had failed.
    pub pass_after_failure: Option<Share>,
    /// What attempts cost.
    pub money: Vec<Money>,
    /// How long they took.
    pub latency: Lengths,
    /// The newest runs.
    pub evidence: Vec<String>,
}

/// What one criterion says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CriterionLine {
    /// The role.
    pub role: String,
    /// The criterion.
    pub criterion: String,
    /// It held.
    pub passed: u64,
    /// It did not: it caught something.
    pub failed: u64,
    /// Nobody could tell.
    pub unknown: u64,
    /// It was the only one of its attempt that did not hold.
    pub caught_alone: u64,
    /// Another system told of its failures alone: how often it held is not known.
    pub failures_only: bool,
    /// The share in which it held (Wilson), of those told; null under the minimum sample, and where only failures are told.
    pub pass: Option<Share>,
}

/// Why attempts and agents failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Failures {
    /// Failed attempts, by reason.
    pub attempts: BTreeMap<String, u64>,
    /// Agents that gave up, by role and reason.
    pub agents: Vec<AgentFailures>,
}

/// Agents of one role that gave up for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AgentFailures {
    /// The role.
    pub role: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// One side of a comparison: first attempts only, so that like is compared with like.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Side {
    /// The tier.
    pub tier: Tier,
    /// The model; null when not known.
    pub model: Option<String>,
    /// The share of its first attempts that passed.
    pub pass: Share,
    /// What its attempts cost on average.
    pub mean_nusd: u64,
}

/// Something dearer and not better.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Dominated {
    /// The role.
    pub role: String,
    /// What kind of money the costs are.
    pub mode: Mode,
    /// What is dearer.
    pub dearer: Side,
    /// What is cheaper and passes as often or more.
    pub cheaper: Side,
    /// The dearer one's share less the cheaper one's (Newcombe).
    pub difference: Share,
}

/// Which way a start would move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// Start lower.
    Downgrade,
    /// Start higher.
    Upgrade,
}

/// Where another tier to start at is cheaper.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Advice {
    /// The role.
    pub role: String,
    /// Which way.
    pub advice: Move,
    /// Where most of its agents start.
    pub from: Tier,
    /// Where they should.
    pub to: Tier,
    /// What kind of money the costs are.
    pub mode: Mode,
    /// The lower of the two tiers.
    pub lower: Side,
    /// What an attempt at the higher one costs on average.
    pub higher_mean_nusd: u64,
    /// Expected cost of a start at `from`: its attempt, and what follows when it fails.
    pub expected_from_nusd: u64,
    /// Expected cost of a start at `to`.
    pub expected_to_nusd: u64,
}

/// Answers that go with failure or success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Answers {
    /// How many answers had enough runs with and without them to be tested.
    pub tested: u64,
    /// The false-discovery rate that the findings keep.
    pub false_discovery_rate: f64,
    /// What was found, the largest difference first.
    pub found: Vec<AnswerFinding>,
}

/// An answer that goes with failure or success.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AnswerFinding {
    /// The question's id.
    pub question: String,
    /// The value, or one item of it.
    pub value: serde_json::Value,
    /// The share of runs with it that failed.
    pub with: Share,
    /// The share of runs with another answer that failed.
    pub without: Share,
    /// The difference (Newcombe): above 0 it goes with failure.
    pub difference: Share,
    /// Fisher's exact p-value, adjusted over all answers tested (Benjamini–Hochberg).
    pub q: f64,
    /// The newest runs with it.
    pub evidence: Vec<String>,
}

/// A run unlike the others.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Anomaly {
    /// The run.
    pub run_id: String,
    /// When it began.
    pub started_at: String,
    /// In what: `cost_nusd`, `duration_ms` (of work) or `attempts`.
    pub what: String,
    /// Its number.
    pub value: u64,
    /// The median of the template's runs.
    pub median: u64,
    /// How many robust standard deviations it lies above, below negative.
    pub z: f64,
}

/// A change in the share of successes.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Drift {
    /// The UTC day on which the second window begins.
    pub date: String,
    /// The share before.
    pub before: Share,
    /// The share since.
    pub after: Share,
    /// The p-value of the difference, adjusted for all the days that could have been it (Bonferroni).
    pub p: f64,
}

/// What the next run will be like.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Forecast {
    /// Of runs in this mode.
    pub mode: Mode,
    /// The probability of success; null under the minimum sample.
    pub success: Option<Share>,
    /// What eight of ten runs cost at least.
    pub cost_p10_nusd: u64,
    /// The median cost.
    pub cost_p50_nusd: u64,
    /// What nine of ten runs cost at most.
    pub cost_p90_nusd: u64,
    /// From how many runs, the newest ones.
    pub n: u64,
    /// How often the interval from p10 to p90, made before each past run from those before it, held its cost: 0.8 was promised.
    pub held: Option<Share>,
}

/// What is run after it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Next {
    /// The template.
    pub template_id: String,
    /// Its runs in the day after a run of this one.
    pub runs: u64,
    /// How much likelier it is in the day after a run of this one than otherwise (Katz).
    pub lift: Share,
    /// The newest of those runs.
    pub evidence: Vec<String>,
}

/// How a tool did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ToolLine {
    /// The tool.
    pub tool: String,
    /// Calls.
    pub calls: u64,
    /// Calls that did what they were asked.
    pub ok: u64,
    /// Calls that did not.
    pub failed: u64,
    /// How long calls took.
    pub latency: Lengths,
    /// Attempts that called it and that were judged.
    pub attempts: u64,
    /// The share of them that passed (Wilson); null under the minimum sample. What goes together need not follow from it.
    pub passed: Option<Share>,
}

/// The runs begun on one UTC day.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DayLine {
    /// The day.
    pub date: String,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
}

/// The runs of one mode begun in one week of UTC days.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WeekLine {
    /// The week's Monday.
    pub monday: String,
    /// The mode of the runs.
    pub mode: Mode,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
    /// The share of successes (Wilson); null under the minimum sample.
    pub success: Option<Share>,
}
