//! Routers and strategies tried on a table of known outcomes: learned on one part of the tasks, measured on the other, several times.
//!
//! Two steps, so that a caller can time them and run splits side by side: [`Split::fit`] learns from the history alone,
//! [`Split::measure`] meets the other tasks. [`super::summary`] makes one report of all splits. Where a router is said to know a
//! *cheap-first history*, it is shown the stronger model's outcome only where the weaker one failed, as a store of runs would.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::advisor::{Advisor, Past};
use super::chance::split;
use super::choose::{Offer, Rung, best, dominated_by, starts};
use super::coverage::{Coverage, Held, LEVELS, TierRank, coverage};
use super::metrics::{Curve, Interval, Pair, apgr_interval};
use super::space::{Learned, Located, Question, Space, Task};
use super::team::TierBelief;

/// Resamples behind an interval.
const RESAMPLES: usize = 200;

/// What one model made of one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Whether its answer was right.
    pub correct: bool,
    /// What it cost, in US dollars.
    pub cost_usd: f64,
}

impl Outcome {
    fn quality(self) -> f64 {
        f64::from(u8::from(self.correct))
    }
}

/// Tasks, and what every model made of each of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The models' names.
    pub models: Vec<String>,
    /// The tasks' texts.
    pub texts: Vec<String>,
    /// Per task, per model.
    pub outcomes: Vec<Vec<Outcome>>,
}

impl Table {
    /// Returns the mean cost and quality of each model over `tasks`.
    pub fn offers(&self, tasks: &[usize]) -> Vec<Offer> {
        let count = tasks.len().max(1) as f64;
        (0..self.models.len())
            .map(|model| Offer {
                cost: tasks.iter().map(|&task| self.outcomes[task][model].cost_usd).sum::<f64>() / count,
                quality: tasks.iter().map(|&task| self.outcomes[task][model].quality()).sum::<f64>() / count,
            })
            .collect()
    }

    /// Returns every pair of models of which the second is better and not cheaper, the weakest first.
    pub fn chains(&self) -> Vec<(usize, usize)> {
        let offers = self.offers(&(0..self.texts.len()).collect::<Vec<_>>());
        let mut order: Vec<usize> = (0..offers.len()).collect();
        order.sort_by(|&a, &b| offers[a].quality.total_cmp(&offers[b].quality));
        let climbs = |weak: usize, strong: usize| {
            // Costs are means of many small numbers: equal prices may differ in the last digits.
            offers[strong].quality > offers[weak].quality && offers[strong].cost >= offers[weak].cost * (1.0 - 1e-9)
        };
        let pairs = order.iter().flat_map(|&weak| order.iter().map(move |&strong| (weak, strong)));
        pairs.filter(|&(weak, strong)| climbs(weak, strong)).collect()
    }

    fn pair(&self, task: usize, (weak, strong): (usize, usize)) -> Pair {
        let (weak, strong) = (self.outcomes[task][weak], self.outcomes[task][strong]);
        Pair { weak: weak.quality(), strong: strong.quality(), weak_cost: weak.cost_usd, strong_cost: strong.cost_usd }
    }
}

/// What is to be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Tasks to learn from.
    pub history: usize,
    /// Tasks to measure on.
    pub test: usize,
    /// How often.
    pub splits: usize,
    /// The first split's seed; the others follow.
    pub seed: u64,
    /// Pairs of models, by index: the weaker, the stronger.
    pub chains: Vec<(usize, usize)>,
    /// Per task of the table: its role.
    pub roles: Vec<usize>,
}

/// Ways to choose the tasks that go to the stronger model.
pub const ROUTERS: [(&str, &str); 6] = [
    ("random", "any order, on average"),
    ("length", "the longer prompt to the stronger model"),
    ("fail", "chance that the weaker fails"),
    ("benefit", "chance that the weaker fails and the stronger passes, from a cheap-first history"),
    ("gain", "expected gain, where the history knows both outcomes of every task"),
    ("oracle", "knows the outcomes"),
];

/// What one router reached on one split.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// Mean performance gap recovered; `None` where the stronger model has no lead.
    pub apgr: Option<f64>,
    /// Its bootstrap interval over the test's tasks.
    pub interval: Option<Interval>,
    /// Smallest share of stronger calls for 50 % and 80 % of the gap.
    pub cpt: [Option<f64>; 2],
    /// The least cost with the quality of the better of the two models.
    pub cost_at_best: Option<f64>,
    /// Quality and cost at 0 %, 10 % … 100 % of calls to the stronger model.
    pub shares: Vec<(f64, f64)>,
}

/// Expected chances and what came of them, in ten bins of width 0.1: sum of chances, sum of outcomes, count.
pub type Bins = [[f64; 3]; 10];

/// What a chain of two models gave on one split: a [`Reached`] per router.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainResult {
    /// In the order of [`ROUTERS`].
    pub routers: Vec<Reached>,
    /// How honest the benefits are.
    pub benefit: Bins,
    /// How honest the chances that the weaker model passes are.
    pub pass: Bins,
}

/// What a way to run tasks through the ladder gave on one split.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyResult {
    /// Per task: was the end right, and what it cost.
    pub outcomes: Vec<(f64, f64)>,
}

/// What one split gave.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitResult {
    /// Per chain of the plan.
    pub chains: Vec<ChainResult>,
    /// The models of the ladder, cheapest first: those that nothing in the history dominates.
    pub ladder: Vec<usize>,
    /// Per model, then progressive, adaptive and oracle.
    pub strategies: Vec<StrategyResult>,
    /// How often the intervals of pass rates hold the truth.
    pub coverage: Coverage,
    /// The same of the means over single tasks of a role, at the ladder's tiers.
    pub tasks: Coverage,
}

/// One split: learned, ready to be measured.
#[derive(Debug)]
pub struct Split<'a> {
    table: &'a Table,
    tasks: &'a [Task],
    plan: &'a Plan,
    seed: u64,
    history: Vec<usize>,
    test: Vec<usize>,
    space: Rc<Space>,
    chains: Vec<Asked>,
    ladder: Vec<usize>,
    costs: Vec<f64>,
    advisor: Advisor,
    /// The same history with its roles, which tables do not name.
    by_role: Advisor,
}

/// The questions about one chain.
#[derive(Debug)]
struct Asked {
    fail: Learned,
    benefit: Learned,
    gain: Learned,
}

impl<'a> Split<'a> {
    /// Learns split `index` of `plan` from its history. `tasks` are the table's, with their vectors.
    pub fn fit(table: &'a Table, tasks: &'a [Task], plan: &'a Plan, index: usize) -> Self {
        let seed = plan.seed.wrapping_add(index as u64);
        let (history, test) = split(table.texts.len(), plan.history, plan.test, seed);
        let space = Rc::new(Space::new(history.iter().map(|&task| tasks[task].clone()).collect()));
        let chains = plan.chains.iter().map(|&chain| Asked::of(&space, table, &history, chain)).collect();
        let offers = table.offers(&history);
        let ladder = ladder(&offers);
        let past: Vec<Past> = history.iter().map(|&task| cheap_first(table, tasks, task, &ladder)).collect();
        let advisor = Advisor::over(Rc::clone(&space), &past, ladder.len());
        let roles = space.with_roles(history.iter().map(|&task| role_name(plan.roles[task])));
        let by_role = Advisor::over(Rc::new(roles), &past, ladder.len());
        let costs = ladder.iter().map(|&model| offers[model].cost).collect();
        Self { table, tasks, plan, seed, history, test, space, chains, ladder, costs, advisor, by_role }
    }

    /// Meets the tasks that were kept back.
    pub fn measure(&self) -> SplitResult {
        let located: Vec<Located> = self.test.iter().map(|&task| self.space.locate(self.tasks[task].clone())).collect();
        let chains =
            self.plan.chains.iter().zip(&self.chains).map(|(&chain, asked)| self.chain(chain, asked, &located)).collect();
        let mut strategies: Vec<StrategyResult> =
            (0..self.table.models.len()).map(|model| self.strategy(|task| self.climb(task, &[model]))).collect();
        strategies.push(self.strategy(|task| self.climb(task, &self.ladder)));
        let starts: Vec<usize> = located.iter().map(|place| self.start(place)).collect();
        let adaptive = self.test.iter().zip(&starts).map(|(&task, &start)| self.climb(task, &self.ladder[start..]));
        strategies.push(StrategyResult { outcomes: adaptive.collect() });
        strategies.push(self.strategy(|task| self.oracle(task)));
        let mut models: Vec<usize> = self.plan.chains.iter().flat_map(|chain| [chain.0, chain.1]).collect();
        models.sort_unstable();
        models.dedup();
        let coverage = coverage(self.table, &self.plan.roles, &self.history, &models);
        SplitResult { chains, ladder: self.ladder.clone(), strategies, coverage, tasks: self.single_tasks(&located) }
    }

    fn chain(&self, chain: (usize, usize), asked: &Asked, located: &[Located]) -> ChainResult {
        let pairs: Vec<Pair> = self.test.iter().map(|&task| self.table.pair(task, chain)).collect();
        let ask = |learned: &Learned| located.iter().map(|place| learned.chance(place).expected).collect::<Vec<f64>>();
        let (fail, benefit) = (ask(&asked.fail), ask(&asked.benefit));
        let length = |task: &usize| self.table.texts[*task].chars().count() as f64;
        let scores: [Vec<f64>; ROUTERS.len()] = [
            vec![0.0; pairs.len()],
            self.test.iter().map(length).collect(),
            fail.clone(),
            benefit.clone(),
            ask(&asked.gain),
            pairs.iter().map(|pair| pair.strong - pair.weak).collect(),
        ];
        let (mut benefit_bins, mut pass_bins) = (Bins::default(), Bins::default());
        for ((pair, fail), benefit) in pairs.iter().zip(&fail).zip(&benefit) {
            put(&mut benefit_bins, *benefit, (1.0 - pair.weak) * pair.strong);
            put(&mut pass_bins, 1.0 - fail, pair.weak);
        }
        let routers = scores.iter().map(|scores| reached(scores, &pairs, self.seed)).collect();
        ChainResult { routers, benefit: benefit_bins, pass: pass_bins }
    }

    /// Compares what is said of single tasks, on average over a role, with what came of those tasks.
    fn single_tasks(&self, located: &[Located]) -> Coverage {
        let mut roles: BTreeMap<(usize, usize), (f64, Mean)> = BTreeMap::new();
        for (place, &task) in located.iter().zip(&self.test) {
            let place = place.with_role(role_name(self.plan.roles[task]));
            for (tier, estimate) in self.by_role.estimate(&place).iter().enumerate() {
                let held = roles.entry((self.plan.roles[task], tier)).or_default();
                held.0 += self.table.outcomes[task][self.ladder[tier]].quality();
                held.1.add(&estimate.belief);
            }
        }
        let mut sums = Coverage::new();
        for ((_, tier), (passed, mean)) in roles {
            if let Some(held) = mean.held(passed) {
                sums.entry(TierRank { rises: true, tiers: self.ladder.len(), tier }).or_default().add(&held);
            }
        }
        sums
    }

    /// Returns where advice starts a task.
    fn start(&self, place: &Located) -> usize {
        let estimates = self.advisor.estimate(place);
        let rungs: Vec<Rung> = estimates.iter().zip(&self.costs).map(|(estimate, &cost)| estimate.belief.rung(cost)).collect();
        best(&starts(&rungs)).unwrap_or(0)
    }

    fn strategy(&self, run: impl Fn(usize) -> (f64, f64)) -> StrategyResult {
        StrategyResult { outcomes: self.test.iter().map(|&task| run(task)).collect() }
    }

    /// Tries `models` in order until one is right.
    fn climb(&self, task: usize, models: &[usize]) -> (f64, f64) {
        let mut cost = 0.0;
        for &model in models {
            let outcome = self.table.outcomes[task][model];
            cost += outcome.cost_usd;
            if outcome.correct {
                return (1.0, cost);
            }
        }
        (0.0, cost)
    }

    /// Takes the cheapest model that is right, and the cheapest of all where none is.
    fn oracle(&self, task: usize) -> (f64, f64) {
        let outcomes = &self.table.outcomes[task];
        let cheapest = |right: bool| {
            outcomes.iter().filter(|outcome| outcome.correct || !right).map(|outcome| outcome.cost_usd).min_by(f64::total_cmp)
        };
        cheapest(true).map_or((0.0, cheapest(false).unwrap_or_default()), |cost| (1.0, cost))
    }
}

fn role_name(role: usize) -> String {
    format!("role {role}")
}

/// What is believed of single tasks, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    count: f64,
    pass: f64,
    ends: [(f64, f64); LEVELS.len()],
    bounds: f64,
}

impl Mean {
    fn add(&mut self, belief: &TierBelief) {
        self.count += 1.0;
        self.pass += belief.pass;
        for (sum, level) in self.ends.iter_mut().zip(LEVELS) {
            let (low, high) = belief.first.interval(level);
            *sum = (sum.0 + low.min(belief.pass), sum.1 + high.max(belief.pass));
        }
        let (low, high) = belief.first.bounds(LEVELS[0]);
        self.bounds += high - low;
    }

    /// Returns whether the means hold what came of the tasks; `None` where they are too few to tell.
    fn held(self, passed: f64) -> Option<Held> {
        const TASKS_MIN: f64 = 30.0;
        let ends = self.ends.map(|(low, high)| (low / self.count, high / self.count));
        let truth = passed / self.count;
        (self.count >= TASKS_MIN).then(|| Held {
            count: 1,
            held: ends.map(|(low, high)| u64::from(low <= truth && truth <= high)),
            width: ends.map(|(low, high)| high - low),
            bounds: self.bounds / self.count,
            bias: self.pass / self.count - truth,
        })
    }
}

impl Asked {
    fn of(space: &Space, table: &Table, history: &[usize], chain: (usize, usize)) -> Self {
        let ask = |answer: &dyn Fn(Pair) -> f64| {
            let answers = history.iter().map(|&task| answer(table.pair(task, chain))).collect();
            space.learn(&Question { answers, weights: vec![1.0; history.len()] })
        };
        Self {
            fail: ask(&|pair| 1.0 - pair.weak),
            benefit: ask(&|pair| if pair.weak < 0.5 { pair.strong } else { 0.0 }),
            // From -1 to 1, as a chance.
            gain: ask(&|pair| f64::midpoint(pair.strong - pair.weak, 1.0)),
        }
    }
}

/// Returns the models that nothing dominates, cheapest first.
fn ladder(offers: &[Offer]) -> Vec<usize> {
    let mut ladder: Vec<usize> =
        dominated_by(offers).iter().enumerate().filter(|(_, by)| by.is_none()).map(|(model, _)| model).collect();
    ladder.sort_by(|&a, &b| offers[a].cost.total_cmp(&offers[b].cost));
    ladder
}

/// Returns what a cheap-first run of `task` over `ladder` would have recorded.
fn cheap_first(table: &Table, tasks: &[Task], task: usize, ladder: &[usize]) -> Past {
    let mut done = false;
    let passed = ladder
        .iter()
        .map(|&model| {
            let correct = table.outcomes[task][model].correct;
            let tried = (!done).then_some(correct);
            done |= correct;
            tried
        })
        .collect();
    Past { task: tasks[task].clone(), weight: 1.0, passed }
}

fn put(bins: &mut Bins, chance: f64, outcome: f64) {
    let bin = &mut bins[((chance * 10.0) as usize).min(9)];
    bin[0] += chance;
    bin[1] += outcome;
    bin[2] += 1.0;
}

fn reached(scores: &[f64], pairs: &[Pair], seed: u64) -> Reached {
    let curve = Curve::of(scores, pairs);
    let (weak, strong) = (curve.at(0.0), curve.at(1.0));
    let shares = (0..=10).map(|tenth| curve.at(f64::from(tenth) / 10.0)).map(|point| (point.quality, point.cost)).collect();
    Reached {
        apgr: curve.apgr(),
        interval: apgr_interval(scores, pairs, RESAMPLES, seed),
        cpt: [curve.cpt(0.5), curve.cpt(0.8)],
        cost_at_best: curve.cheapest_reaching(weak.quality.max(strong.quality)).map(|point| point.cost),
        shares,
    }
}
