//! What the record says about another policy: each task is walked along the policy's tiers, with the outcomes and costs that were
//! recorded for it there.
//!
//! Where a policy asks for a tier that a task never met, its outcome is *unknown*: it is counted, bounded, and never made up. Tasks
//! whose outcome is known under a policy are not a fair sample of all (a cheap-first record knows the premium tier only where the
//! others failed), so a policy is compared with what really happened on the very tasks that it is known on. Intervals are
//! percentiles of a bootstrap over runs, not tasks: those of one run go well or badly together (Field and Welsh, *Bootstrapping
//! clustered data*, 2007). `adaptive` is walked forward in time: each run is advised by what began before it.

use std::collections::{BTreeMap, HashMap};

use super::metrics::{Interval, bootstrap};
use super::past::{Counts, PastTask, Spent};
use super::posterior::{Tally, decay};
use super::team::{TierKnown, TierPast, advise};
use crate::analytics::stats;
use crate::domain::ids::{RunId, TimeNs};
use crate::domain::tier::{Strategy, Tier};
use crate::views::stats::tasks::TaskEnd;

/// Nanoseconds of a day.
const DAY_NS: f64 = 86_400e9;
/// Resamples behind an interval.
const RESAMPLES: usize = 1000;
/// The seed of the resampling: the same record gives the same report.
const SEED: u64 = 0x6d65_6e6f;

/// What would have come of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The record holds all of it.
    Known {
        /// Whether it would have passed; `None` when it would have ended with criteria that nobody could judge.
        passed: Option<bool>,
        /// What it would have cost, in nUSD; `None` when a cost is not known.
        cost: Option<u64>,
        /// Some attempt that is used knew of failures that the policy would not have made.
        was_told_more: bool,
    },
    /// It was never tried at this tier, or nothing was judged there.
    Unknown(Tier),
}

/// Walks a task along the tiers of a policy.
pub fn follow(task: &PastTask, ladder: &[Tier], counts: Counts) -> Fate {
    let (mut spent, mut was_told_more) = (Some(0u64), false);
    let skipped = |before: Tier| {
        Tier::ALL.into_iter().any(|tier| tier < before && !ladder.contains(&tier) && task.row.tiers[tier as usize].is_some())
    };
    for tier in ladder {
        let Some(tried) = task.row.tiers[*tier as usize] else { return Fate::Unknown(*tier) };
        let Some(end) = tried.end else { return Fate::Unknown(*tier) };
        spent = spent.zip(tried.cost).map(|(spent, cost)| spent.saturating_add(cost));
        was_told_more |= skipped(*tier);
        if end != TaskEnd::Failed {
            return Fate::Known { passed: counts.passed(Some(end)), cost: spent, was_told_more };
        }
    }
    Fate::Known { passed: Some(false), cost: spent, was_told_more }
}

/// Returns what really came of a task.
pub fn recorded(task: &PastTask, counts: Counts) -> Fate {
    let tried = || task.row.tiers.iter().flatten();
    let end = tried().filter_map(|tried| tried.end).max();
    let cost = tried().try_fold(0u64, |sum, tried| Some(sum.saturating_add(tried.cost?)));
    Fate::Known { passed: counts.passed(end), cost, was_told_more: false }
}

/// Knows where `adaptive` would have started each task, from what began before its run.
#[derive(Debug)]
pub struct Foresight {
    starts: HashMap<(RunId, u32), Tier>,
}

/// What is known of a role at some moment.
#[derive(Clone, Copy, Debug, Default)]
struct RoleHistory {
    at: TimeNs,
    tiers: [TierPast; Tier::ALL.len()],
    /// Judged by tier: first attempts, and later ones.
    n: [(u64, u64); Tier::ALL.len()],
}

impl RoleHistory {
    /// Returns the chances as they count at `now`, old outcomes less.
    fn faded(&self, now: TimeNs, half_life_days: f64) -> [TierPast; Tier::ALL.len()] {
        let weight = decay(now.saturating_sub(self.at) as f64 / DAY_NS, half_life_days);
        let fade = |tally: Tally| Tally { passed: tally.passed * weight, failed: tally.failed * weight };
        self.tiers.map(|past| TierPast { first: fade(past.first), later: fade(past.later) })
    }

    fn learn(&mut self, task: &PastTask, counts: Counts, half_life_days: f64) {
        self.tiers = self.faded(task.at, half_life_days);
        self.at = task.at;
        let mut is_first = true;
        for tier in Tier::ALL {
            if task.row.tiers[tier as usize].is_none() {
                continue;
            }
            if let Some(passed) = counts.passed_at(task, tier) {
                let past = &mut self.tiers[tier as usize];
                let tally = if is_first { &mut past.first } else { &mut past.later };
                tally.add(f64::from(u8::from(passed)), 1.0);
                let n = &mut self.n[tier as usize];
                *(if is_first { &mut n.0 } else { &mut n.1 }) += 1;
            }
            is_first = false;
        }
    }
}

impl Foresight {
    /// Walks through `tasks`, in any order. Nothing is foreseen from fewer than `min_sample` attempts.
    pub fn of(tasks: &[PastTask], counts: Counts, half_life_days: f64, min_sample: u32) -> Self {
        let mut order: Vec<&PastTask> = tasks.iter().collect();
        order.sort_by_key(|task| (task.at, task.run, task.agent));
        let mut here: HashMap<(&str, &str), (RoleHistory, Spent)> = HashMap::new();
        let mut roles: HashMap<&str, RoleHistory> = HashMap::new();
        let mut all = RoleHistory::default();
        let mut starts = HashMap::new();
        for run in order.chunk_by(|a, b| a.run == b.run) {
            for task in run {
                let place = (task.row.template.as_str(), task.row.role.as_str());
                let Some((known, spent)) = here.get(&place) else { continue };
                let role = roles.get(place.1).copied().unwrap_or_default();
                let faded = [known, &role, &all].map(|known| known.faded(task.at, half_life_days));
                let tried = Tier::ALL.into_iter().filter(|tier| known.n[*tier as usize] != (0, 0));
                let ladder: Vec<TierKnown> = tried
                    .map(|tier| TierKnown {
                        tier,
                        here: faded[0][tier as usize],
                        role: faded[1][tier as usize],
                        all: faded[2][tier as usize],
                        cost: spent.means(&[tier]).and_then(|means| means.first().copied()),
                        n_first: known.n[tier as usize].0,
                        n_later: known.n[tier as usize].1,
                    })
                    .collect();
                if let Some(start) = advise(&ladder, Strategy::Adaptive.tiers(), u64::from(min_sample)).start {
                    starts.insert((task.run, task.agent), start);
                }
            }
            for task in run {
                let (known, spent) = here.entry((&task.row.template, &task.row.role)).or_default();
                known.learn(task, counts, half_life_days);
                spent.add(&task.row);
                roles.entry(&task.row.role).or_default().learn(task, counts, half_life_days);
                all.learn(task, counts, half_life_days);
            }
        }
        Self { starts }
    }

    /// Returns the tiers that `strategy` would have used for a task, in order.
    pub fn ladder(&self, task: &PastTask, strategy: Strategy) -> &'static [Tier] {
        let tiers = strategy.tiers();
        let start = self.starts.get(&(task.run, task.agent)).filter(|_| strategy == Strategy::Adaptive);
        start.and_then(|start| tiers.iter().position(|tier| tier == start)).map_or(tiers, |from| &tiers[from..])
    }
}

/// A number with its interval; none when there are too few runs to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The mean.
    pub value: f64,
    /// Its 95 % interval over runs.
    pub interval: Option<Interval>,
    /// Tasks that it is the mean of.
    pub n: usize,
}

/// What the record says about one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Tasks asked about.
    pub tasks: usize,
    /// Tasks whose outcome is not known, by the tier that they never met.
    pub unknown: BTreeMap<Tier, usize>,
    /// Tasks that would have ended with criteria that nobody could judge.
    pub unverified: usize,
    /// Tasks for which an attempt is used that knew of failures which the policy would not have made.
    pub was_told_more: usize,
    /// The share of successes among the tasks whose outcome is known.
    pub success: Option<Measured>,
    /// The share of successes among all tasks, if every other one failed, and if every other one passed.
    pub success_bounds: (f64, f64),
    /// nUSD per task, among the tasks whose cost is known.
    pub cost: Option<Measured>,
    /// Success, less that of the record on the same tasks.
    pub success_gain: Option<Measured>,
    /// nUSD per task, less that of the record on the same tasks.
    pub cost_gain: Option<Measured>,
}

impl Verdict {
    /// Returns how many tasks have an unknown outcome because they never met a tier.
    pub fn unknown_tasks(&self) -> usize {
        self.unknown.values().sum()
    }
}

/// Judges a policy by the fates of `tasks`. Costs count for those tasks that `is_money` takes: kinds of money are not added.
pub fn judge(tasks: &[PastTask], fates: &[Fate], counts: Counts, is_money: &dyn Fn(&PastTask) -> bool) -> Verdict {
    let mut unknown: BTreeMap<Tier, usize> = BTreeMap::new();
    let (mut unverified, mut was_told_more, mut passed_of_all, mut open) = (0, 0, 0, 0);
    let (mut success, mut cost, mut success_gain, mut cost_gain) =
        (Sample::default(), Sample::default(), Sample::default(), Sample::default());
    for (task, fate) in tasks.iter().zip(fates) {
        let (passed, spent) = match *fate {
            Fate::Unknown(tier) => {
                *unknown.entry(tier).or_default() += 1;
                open += 1;
                continue;
            }
            Fate::Known { passed, cost, was_told_more: more } => {
                was_told_more += usize::from(more);
                (passed, cost.filter(|_| is_money(task)))
            }
        };
        let Fate::Known { passed: really, cost: paid, .. } = recorded(task, counts) else { continue };
        match passed {
            Some(passed) => {
                passed_of_all += usize::from(passed);
                success.add(task.run, f64::from(u8::from(passed)));
                if let Some(really) = really {
                    success_gain.add(task.run, f64::from(u8::from(passed)) - f64::from(u8::from(really)));
                }
            }
            None => (unverified, open) = (unverified + 1, open + 1),
        }
        if let Some(spent) = spent {
            cost.add(task.run, spent as f64);
            if let Some(paid) = paid {
                cost_gain.add(task.run, spent as f64 - paid as f64);
            }
        }
    }
    let count = tasks.len().max(1) as f64;
    Verdict {
        tasks: tasks.len(),
        unknown,
        unverified,
        was_told_more,
        success: success.of_shares(0.0),
        success_bounds: (passed_of_all as f64 / count, (passed_of_all + open) as f64 / count),
        cost: cost.measured(),
        success_gain: success_gain.of_shares(-1.0),
        cost_gain: cost_gain.measured(),
    }
}

/// Numbers by run: sum and count.
#[derive(Debug, Default)]
struct Sample(BTreeMap<RunId, (f64, usize)>);

impl Sample {
    fn add(&mut self, run: RunId, number: f64) {
        let held = self.0.entry(run).or_default();
        *held = (held.0 + number, held.1 + 1);
    }

    /// Measures numbers between `least` and 1. Where all are alike, resampling shows no spread: then as many runs as could be overlooked
    /// (Wilson's interval of none among so many) may have any number.
    fn of_shares(&self, least: f64) -> Option<Measured> {
        let measured = self.measured()?;
        let runs = self.0.len();
        let other = stats::wilson(0.0, runs as f64).filter(|_| measured.interval.is_none() && runs > 1);
        let apart = other.map(|other| Interval {
            low: measured.value - other.high * (measured.value - least),
            high: measured.value + other.high * (1.0 - measured.value),
        });
        Some(Measured { interval: measured.interval.or(apart), ..measured })
    }

    fn measured(&self) -> Option<Measured> {
        let runs: Vec<(f64, usize)> = self.0.values().copied().collect();
        let mean = |drawn: &mut dyn Iterator<Item = (f64, usize)>| {
            let (sum, n) = drawn.fold((0.0, 0), |held, run| (held.0 + run.0, held.1 + run.1));
            (n > 0).then(|| (sum / n as f64, n))
        };
        let (value, n) = mean(&mut runs.iter().copied())?;
        let of = |indices: &[usize]| mean(&mut indices.iter().map(|index| runs[*index])).map(|(value, _)| value);
        let interval = if runs.len() > 1 { bootstrap(runs.len(), RESAMPLES, SEED, of) } else { None };
        Some(Measured { value, interval, n })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;
    use crate::domain::event::Mode;
    use crate::views::stats::tasks::{TaskRow, Tried};

    const COUNTS: Counts = Counts { simulated: false, unverified: false };

    /// A task of run `run`; by tier (passed, cost).
    fn task(run: u32, tiers: [Option<(bool, u64)>; 3]) -> PastTask {
        let tried = |told: (bool, u64)| Tried {
            end: Some(if told.0 { TaskEnd::Passed } else { TaskEnd::Failed }),
            cost: Some(told.1),
            attempts: 1,
        };
        let row = TaskRow {
            template: "t".into(),
            mode: Mode::Real,
            role: "r".into(),
            text: String::new(),
            tiers: tiers.map(|told| told.map(tried)),
        };
        let mut id = [0; 16];
        id[..4].copy_from_slice(&run.to_be_bytes());
        PastTask { run: RunId::from_bytes(id), at: i64::from(run) * 1_000_000_000, agent: 0, row }
    }

    fn judged(tasks: &[PastTask], strategy: Strategy) -> Verdict {
        let foresight = Foresight::of(tasks, COUNTS, 90.0, 10);
        let fates: Vec<Fate> = tasks.iter().map(|task| follow(task, foresight.ladder(task, strategy), COUNTS)).collect();
        judge(tasks, &fates, COUNTS, &|_| true)
    }

    #[test]
    fn what_was_never_tried_is_unknown_and_bounded() {
        let tasks = [
            task(1, [Some((true, 1)), None, None]),
            task(2, [Some((false, 1)), Some((true, 10)), None]),
            task(3, [Some((false, 1)), Some((false, 10)), Some((true, 100))]),
            task(4, [Some((false, 1)), Some((false, 10)), None]),
        ];
        let progressive = judged(&tasks, Strategy::Progressive);
        assert_eq!(progressive.unknown, BTreeMap::from([(Tier::Premium, 1)]));
        assert_eq!(progressive.success.map(|success| (success.value, success.n)), Some((1.0, 3)));
        assert_eq!(progressive.success_bounds, (0.75, 1.0));
        assert_eq!(progressive.cost.unwrap().value, (1.0 + 11.0 + 111.0) / 3.0);
        assert_eq!(progressive.cost_gain.unwrap().value, 0.0, "it is what was done");
        let cheap = judged(&tasks, Strategy::CheapOnly);
        assert_eq!((cheap.unknown_tasks(), cheap.success.unwrap().value, cheap.cost.unwrap().value), (0, 0.25, 1.0));
        assert_eq!(cheap.success_gain.unwrap().value, -0.5, "one of four passes where three did");
        let capable = judged(&tasks, Strategy::CapableFirst);
        assert_eq!(capable.unknown, BTreeMap::from([(Tier::Capable, 1), (Tier::Premium, 1)]));
        assert_eq!(capable.was_told_more, 2, "those attempts knew what the cheap tier had made");
        let premium = judged(&tasks, Strategy::PremiumOnly);
        assert_eq!((premium.unknown_tasks(), premium.success_bounds), (3, (0.25, 1.0)));
    }

    #[test]
    fn adaptive_learns_from_what_began_before_and_from_nothing_else() {
        // The cheap tier always fails and costs half of what the capable one does.
        let tasks: Vec<PastTask> = (1..=60).map(|run| task(run, [Some((false, 50)), Some((true, 100)), None])).collect();
        let foresight = Foresight::of(&tasks, COUNTS, 90.0, 10);
        let start = |task: &PastTask| foresight.ladder(task, Strategy::Adaptive)[0];
        assert_eq!(start(&tasks[0]), Tier::Cheap, "nothing is known before the first");
        assert_eq!(start(&tasks[9]), Tier::Cheap, "nine are too few");
        assert_eq!(start(&tasks[59]), Tier::Capable);
        let adaptive = judged(&tasks, Strategy::Adaptive);
        assert!(adaptive.cost_gain.unwrap().interval.unwrap().high < 0.0, "{adaptive:?}");
        assert_eq!(adaptive.success_gain.unwrap().value, 0.0);
    }

    #[test]
    fn what_always_passed_has_an_interval_and_what_always_cost_the_same_has_none() {
        let tasks: Vec<PastTask> = (1..=40).map(|run| task(run, [Some((true, 7)), None, None])).collect();
        let verdict = judged(&tasks, Strategy::Progressive);
        let success = verdict.success.unwrap();
        let (low, high) = success.interval.map(|interval| (interval.low, interval.high)).unwrap();
        assert!(success.value == 1.0 && (0.88..0.93).contains(&low) && high == 1.0, "{success:?}");
        let gain = verdict.success_gain.unwrap().interval.unwrap();
        assert!(gain.low < -0.05 && gain.high > 0.05 && gain.low > -0.15, "{gain:?}");
        assert_eq!((verdict.cost.unwrap().value, verdict.cost.unwrap().interval), (7.0, None));
    }

    #[test]
    fn one_run_has_no_interval() {
        let tasks = [task(1, [Some((true, 1)), None, None])];
        assert_eq!(judged(&tasks, Strategy::Progressive).success.unwrap().interval, None);
    }

    #[test]
    fn unverified_ends_are_neither_passed_nor_failed() {
        let mut one = task(1, [Some((true, 1)), None, None]);
        one.row.tiers[0].as_mut().unwrap().end = Some(TaskEnd::Unverified);
        let verdict = judged(&[one], Strategy::Progressive);
        assert_eq!((verdict.unverified, verdict.success, verdict.success_bounds), (1, None, (0.0, 1.0)));
        assert_eq!(verdict.cost.unwrap().value, 1.0);
    }

    proptest! {
        #[test]
        fn the_truth_lies_within_the_bounds_whatever_is_forgotten(
            rows in proptest::collection::vec((any::<[bool; 3]>(), any::<[bool; 3]>()), 1..40),
        ) {
            let whole = |passed: [bool; 3]| [Some((passed[0], 1)), Some((passed[1], 10)), Some((passed[2], 100))];
            let all: Vec<PastTask> = (1..).zip(&rows).map(|(run, (passed, _))| task(run, whole(*passed))).collect();
            let cut = |task: &PastTask, kept: [bool; 3]| {
                let mut task = task.clone();
                task.row.tiers.iter_mut().zip(kept).for_each(|(tried, kept)| *tried = tried.filter(|_| kept));
                task
            };
            let some: Vec<PastTask> = all.iter().zip(&rows).map(|(task, (_, kept))| cut(task, *kept)).collect();
            for strategy in [Strategy::CheapOnly, Strategy::Progressive, Strategy::CapableFirst, Strategy::PremiumOnly] {
                let truth = judged(&all, strategy).success.unwrap().value;
                let (low, high) = judged(&some, strategy).success_bounds;
                prop_assert!(low <= truth + 1e-12 && truth <= high + 1e-12, "{strategy}: {low} {truth} {high}");
            }
        }
    }
}
