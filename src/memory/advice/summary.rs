//! One report of all splits of a trial: means over splits, their spread, and intervals.

use schemars::JsonSchema;
use serde::Serialize;

use super::choose::dominated_by;
use super::coverage::{Coverage, Held, TierRank};
use super::metrics::{Interval, bootstrap};
use super::trial::{Bins, ChainResult, Plan, ROUTERS, Reached, SplitResult, Table};

/// Resamples behind the interval of a difference.
const RESAMPLES: usize = 1000;

/// What a trial found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TrialReport {
    /// Tasks in the table.
    pub tasks: usize,
    /// Tasks learned from, per split.
    pub history: usize,
    /// Tasks measured on, per split.
    pub test: usize,
    /// How often history and test were drawn.
    pub splits: usize,
    /// The first split's seed.
    pub seed: u64,
    /// The models, cheapest first.
    pub models: Vec<ModelLine>,
    /// Pairs of models.
    pub chains: Vec<ChainLine>,
    /// Ways to run the tasks: each model alone, then the ladder of models that are not dominated.
    pub strategies: Vec<StrategyLine>,
    /// What adaptive costs less or more than progressive.
    pub adaptive_over_progressive: Option<Difference>,
    /// How often the intervals of pass rates hold the truth, where teams of these models work cheap first: by role and tier.
    pub intervals: Vec<IntervalLine>,
    /// The same of what is said of single tasks, on average over those of a role, at the tiers that nothing dominates.
    pub task_intervals: Vec<IntervalLine>,
}

/// One model over the whole table.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ModelLine {
    /// Its name.
    pub model: String,
    /// The share of tasks that it gets right.
    pub quality: f64,
    /// Its mean cost per task, in US dollars.
    pub cost_usd: f64,
    /// A model that costs no more and is no worse, and better in one of the two.
    pub dominated_by: Option<String>,
}

/// One pair of models.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ChainLine {
    /// The weaker model.
    pub weak: String,
    /// The stronger model.
    pub strong: String,
    /// Mean quality of the weaker model on the tests.
    pub weak_quality: f64,
    /// Mean quality of the stronger model on the tests.
    pub strong_quality: f64,
    /// The routers.
    pub routers: Vec<RouterLine>,
    /// Expected against observed benefit.
    pub benefit_calibration: Vec<Bin>,
    /// Expected against observed chance that the weaker model passes.
    pub pass_calibration: Vec<Bin>,
}

/// What a router reached.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RouterLine {
    /// Its name.
    pub router: &'static str,
    /// What it ranks tasks by.
    pub ranks_by: &'static str,
    /// Mean APGR over the splits; null where the stronger model has no lead.
    pub apgr: Option<f64>,
    /// The standard deviation over the splits.
    pub apgr_sd: Option<f64>,
    /// The bootstrap interval over one test's tasks, its ends averaged over the splits.
    pub apgr_interval: Option<Interval>,
    /// Share of calls of the stronger model for half of the gap.
    pub cpt50: Option<f64>,
    /// Share of calls of the stronger model for 80 % of the gap.
    pub cpt80: Option<f64>,
    /// Cost per task, in US dollars, at the quality of the better model.
    pub cost_at_best_usd: Option<f64>,
    /// The same as a share of the stronger model's cost.
    pub cost_at_best_share: Option<f64>,
    /// Thresholds: quality and cost where a share of the tasks goes to the stronger model.
    pub shares: Vec<ShareLine>,
}

/// Quality and cost at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ShareLine {
    /// The share of tasks that go to the stronger model.
    pub share: f64,
    /// The mean quality.
    pub quality: f64,
    /// The mean cost per task, in US dollars.
    pub cost_usd: f64,
}

/// Chances of about the same size, and what came of them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bin {
    /// The mean of the chances.
    pub expected: f64,
    /// The share that came true.
    pub observed: f64,
    /// How many.
    pub count: u64,
}

/// How often intervals of pass rates of first attempts hold the truth.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct IntervalLine {
    /// Tiers of the teams.
    pub tiers: usize,
    /// The tier, from 1; those above 1 are known from attempts after a failure.
    pub tier: usize,
    /// Each tier passes more than the one before it; else each only costs no less.
    pub each_better: bool,
    /// How many intervals: teams, roles and splits.
    pub count: u64,
    /// The share of 90 % intervals that hold the truth.
    pub held_90: f64,
    /// The share of 95 % intervals that do.
    pub held_95: f64,
    /// The mean width of the 90 % intervals.
    pub width_90: f64,
    /// The mean width of the 95 % intervals.
    pub width_95: f64,
    /// The mean width of the bounds that hold without any assumption, at 90 %.
    pub bounds_90: f64,
    /// The mean of the estimates less the truth.
    pub bias: f64,
}

/// What a way to run the tasks gave.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StrategyLine {
    /// Its name.
    pub strategy: String,
    /// The share of tasks that end right.
    pub quality: f64,
    /// The mean cost per task, in US dollars.
    pub cost_usd: f64,
    /// The standard deviation of the quality over the splits.
    pub quality_sd: Option<f64>,
    /// The standard deviation of the cost over the splits, in US dollars.
    pub cost_sd_usd: Option<f64>,
}

/// A difference between two strategies on the same tasks.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// Quality, the first less the second.
    pub quality: f64,
    /// Its 95 % bootstrap interval over tasks.
    pub quality_interval: Option<Interval>,
    /// Cost per task as a share of the second's, less one.
    pub cost: f64,
    /// Its 95 % bootstrap interval over tasks.
    pub cost_interval: Option<Interval>,
}

/// Makes one report of `splits`.
pub fn summary(table: &Table, plan: &Plan, splits: &[SplitResult]) -> TrialReport {
    let chains = plan.chains.iter().enumerate().map(|(index, &chain)| {
        let results: Vec<&ChainResult> = splits.iter().filter_map(|split| split.chains.get(index)).collect();
        chain_line(table, chain, &results)
    });
    let (progressive, adaptive) = (table.models.len(), table.models.len() + 1);
    TrialReport {
        tasks: table.texts.len(),
        history: plan.history.min(table.texts.len()),
        test: splits.first().and_then(|split| split.strategies.first()).map_or(0, |strategy| strategy.outcomes.len()),
        splits: splits.len(),
        seed: plan.seed,
        models: models(table),
        chains: chains.collect(),
        strategies: strategies(table, splits),
        adaptive_over_progressive: difference(splits, adaptive, progressive, plan.seed),
        intervals: interval_lines(splits.iter().map(|split| &split.coverage)),
        task_intervals: interval_lines(splits.iter().map(|split| &split.tasks)),
    }
}

fn interval_lines<'a>(splits: impl Iterator<Item = &'a Coverage>) -> Vec<IntervalLine> {
    let mut sums = Coverage::new();
    splits.flatten().for_each(|(place, held)| sums.entry(*place).or_default().add(held));
    let line = |(place, held): (&TierRank, &Held)| {
        let count = held.count.max(1) as f64;
        let share = |sum: u64| sum as f64 / count;
        IntervalLine {
            tiers: place.tiers,
            tier: place.tier + 1,
            each_better: place.rises,
            count: held.count,
            held_90: share(held.held[0]),
            held_95: share(held.held[1]),
            width_90: held.width[0] / count,
            width_95: held.width[1] / count,
            bounds_90: held.bounds / count,
            bias: held.bias / count,
        }
    };
    sums.iter().map(line).collect()
}

fn models(table: &Table) -> Vec<ModelLine> {
    let offers = table.offers(&(0..table.texts.len()).collect::<Vec<_>>());
    let dominated = dominated_by(&offers);
    let mut order: Vec<usize> = (0..offers.len()).collect();
    order.sort_by(|&a, &b| offers[a].cost.total_cmp(&offers[b].cost).then(offers[b].quality.total_cmp(&offers[a].quality)));
    let line = |model: usize| ModelLine {
        model: table.models[model].clone(),
        quality: offers[model].quality,
        cost_usd: offers[model].cost,
        dominated_by: dominated[model].map(|other| table.models[other].clone()),
    };
    order.into_iter().map(line).collect()
}

fn chain_line(table: &Table, (weak, strong): (usize, usize), results: &[&ChainResult]) -> ChainLine {
    let routers: Vec<RouterLine> = ROUTERS
        .iter()
        .enumerate()
        .map(|(index, (router, ranks_by))| {
            let reached: Vec<&Reached> = results.iter().filter_map(|result| result.routers.get(index)).collect();
            router_line(router, ranks_by, &reached)
        })
        .collect();
    let end = |share: fn(&[ShareLine]) -> Option<&ShareLine>| {
        routers.first().and_then(|router| share(&router.shares)).map_or(0.0, |line| line.quality)
    };
    ChainLine {
        weak: table.models[weak].clone(),
        strong: table.models[strong].clone(),
        weak_quality: end(<[ShareLine]>::first),
        strong_quality: end(<[ShareLine]>::last),
        benefit_calibration: bins(results.iter().map(|result| &result.benefit)),
        pass_calibration: bins(results.iter().map(|result| &result.pass)),
        routers,
    }
}

fn router_line(router: &'static str, ranks_by: &'static str, reached: &[&Reached]) -> RouterLine {
    let over = |number: &dyn Fn(&Reached) -> Option<f64>| reached.iter().filter_map(|one| number(one)).collect::<Vec<f64>>();
    let apgr = over(&|one| one.apgr);
    let low = mean(&over(&|one| one.interval.map(|interval| interval.low)));
    let high = mean(&over(&|one| one.interval.map(|interval| interval.high)));
    let cost_at_best = mean(&over(&|one| one.cost_at_best));
    let steps = reached.iter().map(|one| one.shares.len()).max().unwrap_or(0);
    let share = |step: usize| ShareLine {
        share: step as f64 / steps.saturating_sub(1).max(1) as f64,
        quality: mean(&over(&|one| one.shares.get(step).map(|share| share.0))).unwrap_or_default(),
        cost_usd: mean(&over(&|one| one.shares.get(step).map(|share| share.1))).unwrap_or_default(),
    };
    let shares: Vec<ShareLine> = (0..steps).map(share).collect();
    let strong_cost = shares.last().map(|line| line.cost_usd).filter(|cost| *cost > 0.0);
    RouterLine {
        router,
        ranks_by,
        apgr: mean(&apgr),
        apgr_sd: spread(&apgr),
        apgr_interval: low.zip(high).map(|(low, high)| Interval { low, high }),
        cpt50: mean(&over(&|one| one.cpt[0])),
        cpt80: mean(&over(&|one| one.cpt[1])),
        cost_at_best_usd: cost_at_best,
        cost_at_best_share: cost_at_best.zip(strong_cost).map(|(cost, strong)| cost / strong),
        shares,
    }
}

fn bins<'a>(all: impl Iterator<Item = &'a Bins>) -> Vec<Bin> {
    let mut sums = Bins::default();
    for bins in all {
        for (sum, bin) in sums.iter_mut().zip(bins) {
            sum.iter_mut().zip(bin).for_each(|(sum, part)| *sum += part);
        }
    }
    let filled = sums.iter().filter(|bin| bin[2] > 0.0);
    filled.map(|bin| Bin { expected: bin[0] / bin[2], observed: bin[1] / bin[2], count: bin[2] as u64 }).collect()
}

fn strategies(table: &Table, splits: &[SplitResult]) -> Vec<StrategyLine> {
    let mut order: Vec<(usize, String)> = models(table)
        .iter()
        .filter_map(|line| Some((table.models.iter().position(|model| *model == line.model)?, format!("always {}", line.model))))
        .collect();
    let after = table.models.len();
    order.extend(
        ["progressive", "adaptive", "oracle"].iter().enumerate().map(|(index, name)| (after + index, (*name).to_owned())),
    );
    order
        .into_iter()
        .map(|(index, strategy)| {
            let per_split = |part: fn(&(f64, f64)) -> f64| -> Vec<f64> {
                let outcomes = splits.iter().filter_map(|split| split.strategies.get(index)).map(|one| &one.outcomes);
                outcomes.filter_map(|outcomes| mean(&outcomes.iter().map(part).collect::<Vec<_>>())).collect()
            };
            let (quality, cost) = (per_split(|outcome| outcome.0), per_split(|outcome| outcome.1));
            StrategyLine {
                strategy,
                quality: mean(&quality).unwrap_or_default(),
                cost_usd: mean(&cost).unwrap_or_default(),
                quality_sd: spread(&quality),
                cost_sd_usd: spread(&cost),
            }
        })
        .collect()
}

/// Compares two strategies over the tasks of all splits. A task that several tests share is drawn as several.
fn difference(splits: &[SplitResult], first: usize, second: usize, seed: u64) -> Option<Difference> {
    let pairs: Vec<((f64, f64), (f64, f64))> = splits
        .iter()
        .filter_map(|split| Some(split.strategies.get(first)?.outcomes.iter().zip(&split.strategies.get(second)?.outcomes)))
        .flatten()
        .map(|(a, b)| (*a, *b))
        .collect();
    // An interval as wide as one test's, not as narrow as if all splits had tasks of their own.
    let per_split = pairs.len() / splits.len().max(1);
    let quality =
        |sample: &mut dyn Iterator<Item = usize>| mean(&sample.map(|task| pairs[task].0.0 - pairs[task].1.0).collect::<Vec<_>>());
    let cost = |sample: &mut dyn Iterator<Item = usize>| {
        let (one, other) = sample.fold((0.0, 0.0), |sum, task| (sum.0 + pairs[task].0.1, sum.1 + pairs[task].1.1));
        (other > 0.0).then(|| one / other - 1.0)
    };
    let draw = |sample: &[usize]| sample.iter().take(per_split).copied().collect::<Vec<usize>>();
    Some(Difference {
        quality: quality(&mut (0..pairs.len()))?,
        quality_interval: bootstrap(pairs.len(), RESAMPLES, seed, |sample| quality(&mut draw(sample).into_iter())),
        cost: cost(&mut (0..pairs.len()))?,
        cost_interval: bootstrap(pairs.len(), RESAMPLES, seed, |sample| cost(&mut draw(sample).into_iter())),
    })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn spread(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    Some((values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt())
}
