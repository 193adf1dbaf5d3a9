//! What the record says about other strategies: of many runs with intervals, of one run agent by agent.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::Recall;
use crate::domain::event::Mode;
use crate::domain::ids::{AgentNo, RunId};
use crate::domain::tier::{Strategy, Tier};
use crate::memory::advice::backtest::{Fate, Foresight, Measured, Verdict, follow, judge, recorded};
use crate::memory::advice::identified::Bounds;
use crate::memory::advice::past::{Counts, MONEY, PastTask};
use crate::store;
use crate::views::misconfigured::left_out_words;
use crate::views::stats::tasks::{TaskEnd, TaskRow};

/// Tasks looked at, the newest.
const TASKS_MAX: usize = 200_000;

/// What the record says about strategies.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "What the record says about strategies, as `meno backtest --json` prints it")]
pub struct Backtest {
    /// How the filter was understood; null without one.
    pub understood: Option<String>,
    /// Runs looked at.
    pub runs: u64,
    /// Tasks of theirs: one per agent.
    pub tasks: u64,
    /// The kind of money that costs are in: `real`, else `imported`, else `simulated`; null when no cost is known.
    pub money: Option<Mode>,
    /// What really happened, then each strategy.
    pub policies: Vec<PolicyReport>,
    /// What to know before believing it.
    pub notices: Vec<String>,
}

/// What the record says about one policy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyReport {
    /// The strategy; null for what really happened.
    pub strategy: Option<Strategy>,
    /// Tasks whose outcome under it the record holds.
    pub known: u64,
    /// Tasks that never met a tier that it would have used.
    pub unknown: u64,
    /// The share of those.
    pub unknown_share: f64,
    /// The same by that tier.
    pub unknown_at: BTreeMap<String, u64>,
    /// Known tasks that would have ended with criteria that nobody could judge.
    pub unverified: u64,
    /// Known tasks for which an attempt counts that knew of failures which the strategy would not have made.
    pub told_more: u64,
    /// The share of successes among known tasks that could be judged.
    pub success: Option<Estimate>,
    /// The share among all tasks if every other one had failed, and if every other one had passed.
    pub success_bounds: Bounds,
    /// nUSD per task among known tasks of known cost.
    pub cost_nusd: Option<Estimate>,
    /// `success`, less what really came of the same tasks.
    pub success_gain: Option<Estimate>,
    /// `cost_nusd`, less what the same tasks really cost.
    pub cost_gain_nusd: Option<Estimate>,
}

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// The lower end of its interval (95 %, bootstrap over runs, fixed seed); null with fewer than two runs, and for costs that are all
    /// alike.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Tasks that it is the mean of.
    pub n: u64,
}

/// What the record of one run says about strategies.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "What one run's record says about strategies, as `meno whatif --json` prints it")]
pub struct Whatif {
    /// The run.
    pub run_id: String,
    /// Its template.
    pub template_id: String,
    /// Whether its money was real.
    pub mode: Mode,
    /// What its agents really cost together, in nUSD; null when that is not wholly known.
    pub recorded_cost_nusd: Option<u64>,
    /// Per strategy.
    pub strategies: Vec<WhatifStrategy>,
}

/// One run under another strategy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WhatifStrategy {
    /// The strategy.
    pub strategy: Strategy,
    /// Agents whose outcome is not known under it.
    pub unknown: u64,
    /// The share of those.
    pub unknown_share: f64,
    /// What the agents would have cost together, in nUSD; null when one's outcome or cost is not known.
    pub cost_nusd: Option<u64>,
    /// Each agent.
    pub agents: Vec<WhatifAgent>,
}

/// An agent under another strategy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WhatifAgent {
    /// Its number in the run.
    pub agent: AgentNo,
    /// Its role.
    pub role: String,
    /// What was recorded, lowest tier first.
    pub recorded: Vec<RecordedTier>,
    /// The tiers that the strategy would use, in order.
    pub tiers: Vec<Tier>,
    /// What would have come of it.
    pub outcome: WhatifOutcome,
    /// The tier that it never met; null when the outcome is known.
    pub unknown_at: Option<Tier>,
    /// What it would have cost, in nUSD; null when that is not known.
    pub cost_nusd: Option<u64>,
    /// An attempt that counts knew of failures which the strategy would not have made: without them it might have gone otherwise.
    pub told_more: bool,
}

/// What was recorded of an agent at a tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RecordedTier {
    /// The tier.
    pub tier: Tier,
    /// What came of it there; `unknown` when nothing was judged.
    pub outcome: WhatifOutcome,
    /// What was spent there, in nUSD; null when that is not known.
    pub cost_nusd: Option<u64>,
}

/// What comes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhatifOutcome {
    /// It met its criteria.
    Passed,
    /// It was let through with criteria that nobody could judge.
    Unverified,
    /// It did not meet its criteria.
    Failed,
    /// The record does not say.
    Unknown,
}

impl Recall<'_> {
    /// Asks the record about `strategies`: of the runs in `only`, or of all that count.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn backtest(
        &self,
        strategies: &[Strategy],
        only: Option<&HashSet<RunId>>,
        counts: Counts,
    ) -> Result<Backtest, store::Error> {
        let settings = &self.0.resolved.settings.memory;
        let is_tried = |task: &TaskRow| task.tiers.iter().any(Option::is_some);
        let all = self.past_tasks(&|task| is_tried(&task.row), TASKS_MAX + 1)?;
        let mut notices = Vec::new();
        if all.len() > TASKS_MAX {
            notices.push(format!("only the newest {TASKS_MAX} tasks were used"));
        }
        let asked = |task: &PastTask| only.is_none_or(|only| only.contains(&task.run));
        let (wanted, left_out): (Vec<PastTask>, Vec<PastTask>) =
            all.into_iter().take(TASKS_MAX).partition(|task| counts.simulated || task.row.mode != Mode::Simulated);
        let left_out = left_out.iter().filter(|task| asked(task)).count();
        if left_out > 0 {
            let noun = if left_out == 1 { "task" } else { "tasks" };
            notices.push(format!("left out: {left_out} {noun} of simulated runs; `--include-simulated` counts them"));
        }
        let is_wanted = |(run, mode): &(RunId, Mode)| {
            only.is_none_or(|only| only.contains(run)) && (counts.simulated || *mode != Mode::Simulated)
        };
        notices.extend(left_out_words(self.left_out(None)?.iter().filter(|run| is_wanted(run)).count() as u64));
        let foresight = Foresight::of(&wanted, counts, settings.half_life_days, settings.min_sample);
        let tasks: Vec<PastTask> = wanted.into_iter().filter(asked).collect();
        let has_cost = |mode: Mode| {
            let known = |task: &&PastTask| task.row.tiers.iter().flatten().any(|tried| tried.cost.is_some());
            tasks.iter().filter(|task| task.row.mode == mode).any(|task| known(&task))
        };
        let money = MONEY.into_iter().find(|mode| has_cost(*mode));
        if MONEY.into_iter().any(|mode| Some(mode) != money && has_cost(mode)) {
            let kind = money.map_or("real", Mode::name);
            notices.push(format!("what tasks cost is that of {kind} runs alone; other kinds of money are left out"));
        }
        let is_money = |task: &PastTask| Some(task.row.mode) == money;
        let really: Vec<Fate> = tasks.iter().map(|task| recorded(task, counts)).collect();
        let mut policies = vec![policy(None, &judge(&tasks, &really, counts, &is_money))];
        for strategy in strategies {
            let fates: Vec<Fate> = tasks.iter().map(|task| follow(task, foresight.ladder(task, *strategy), counts)).collect();
            policies.push(policy(Some(*strategy), &judge(&tasks, &fates, counts, &is_money)));
        }
        if policies.iter().any(|policy| policy.told_more > 0) {
            notices.push(
                "told more: an attempt that counts came after a failure that the strategy would not have made, and knew of it; \
                 without it the attempt might have gone otherwise"
                    .to_owned(),
            );
        }
        let runs: HashSet<RunId> = tasks.iter().map(|task| task.run).collect();
        Ok(Backtest { understood: None, runs: runs.len() as u64, tasks: tasks.len() as u64, money, policies, notices })
    }

    /// Asks the record of one run about `strategies`; `None` when the run has not ended or tried nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn whatif(&self, run: RunId, strategies: &[Strategy]) -> Result<Option<Whatif>, store::Error> {
        // One run is looked at as it is: simulated or not, with ends that nobody could judge shown as such.
        let counts = Counts { simulated: true, unverified: false };
        let settings = &self.0.resolved.settings.memory;
        let is_tried = |task: &TaskRow| task.tiers.iter().any(Option::is_some);
        let all = self.past_tasks(&|task| is_tried(&task.row), TASKS_MAX)?;
        let mut tasks: Vec<&PastTask> = all.iter().filter(|task| task.run == run).collect();
        tasks.sort_by_key(|task| task.agent);
        let Some(first) = tasks.first() else { return Ok(None) };
        let like: Vec<PastTask> =
            all.iter().filter(|task| task.row.mode == first.row.mode && task.at <= first.at).cloned().collect();
        let foresight = Foresight::of(&like, counts, settings.half_life_days, settings.min_sample);
        let recorded_cost = tasks.iter().try_fold(0u64, |sum, task| match recorded(task, counts) {
            Fate::Known { cost, .. } => Some(sum.saturating_add(cost?)),
            Fate::Unknown(_) => None,
        });
        let strategies = strategies.iter().map(|strategy| {
            let agents: Vec<WhatifAgent> =
                tasks.iter().map(|task| agent(task, foresight.ladder(task, *strategy), counts)).collect();
            let unknown = agents.iter().filter(|agent| agent.outcome == WhatifOutcome::Unknown).count();
            WhatifStrategy {
                strategy: *strategy,
                unknown: unknown as u64,
                unknown_share: unknown as f64 / agents.len().max(1) as f64,
                cost_nusd: agents.iter().try_fold(0u64, |sum, agent| Some(sum.saturating_add(agent.cost_nusd?))),
                agents,
            }
        });
        Ok(Some(Whatif {
            run_id: run.to_string(),
            template_id: first.row.template.clone(),
            mode: first.row.mode,
            recorded_cost_nusd: recorded_cost,
            strategies: strategies.collect(),
        }))
    }
}

fn agent(task: &PastTask, ladder: &[Tier], counts: Counts) -> WhatifAgent {
    let (outcome, unknown_at, cost_nusd, told_more) = match follow(task, ladder, counts) {
        Fate::Known { passed, cost, was_told_more } => {
            (passed.map_or(WhatifOutcome::Unverified, outcome_of), None, cost, was_told_more)
        }
        Fate::Unknown(tier) => (WhatifOutcome::Unknown, Some(tier), None, false),
    };
    let recorded = Tier::ALL.into_iter().filter_map(|tier| {
        let tried = task.row.tiers[tier as usize]?;
        let outcome = match tried.end {
            Some(TaskEnd::Unverified) => WhatifOutcome::Unverified,
            Some(end) => outcome_of(end == TaskEnd::Passed),
            None => WhatifOutcome::Unknown,
        };
        Some(RecordedTier { tier, outcome, cost_nusd: tried.cost })
    });
    WhatifAgent {
        agent: task.agent,
        role: task.row.role.clone(),
        recorded: recorded.collect(),
        tiers: ladder.to_vec(),
        outcome,
        unknown_at,
        cost_nusd,
        told_more,
    }
}

fn outcome_of(passed: bool) -> WhatifOutcome {
    if passed { WhatifOutcome::Passed } else { WhatifOutcome::Failed }
}

fn policy(strategy: Option<Strategy>, verdict: &Verdict) -> PolicyReport {
    let unknown = verdict.unknown_tasks();
    PolicyReport {
        strategy,
        known: (verdict.tasks - unknown) as u64,
        unknown: unknown as u64,
        unknown_share: unknown as f64 / verdict.tasks.max(1) as f64,
        unknown_at: verdict.unknown.iter().map(|(tier, tasks)| (tier.name().to_owned(), *tasks as u64)).collect(),
        unverified: verdict.unverified as u64,
        told_more: verdict.was_told_more as u64,
        success: verdict.success.map(estimate),
        success_bounds: Bounds { low: verdict.success_bounds.0, high: verdict.success_bounds.1 },
        cost_nusd: verdict.cost.map(estimate),
        success_gain: verdict.success_gain.map(estimate),
        cost_gain_nusd: verdict.cost_gain.map(estimate),
    }
}

fn estimate(measured: Measured) -> Estimate {
    let interval = measured.interval;
    let (low, high) = (interval.map(|interval| interval.low), interval.map(|interval| interval.high));
    Estimate { value: measured.value, low, high, n: measured.n as u64 }
}
