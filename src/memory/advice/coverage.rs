//! How often the intervals of pass rates hold the truth, tried on tables where it is known.
//!
//! Each team of two or three models works through the tasks of a history cheap first, as a store would record it; what
//! [`super::team`] then believes of each role and tier is compared with what the model really passes of all tasks of that role.

use std::collections::BTreeMap;

use super::posterior::Tally;
use super::team::{TierKnown, TierPast, beliefs};
use super::trial::Table;
use crate::domain::tier::Tier;

/// The levels that intervals are tried at.
pub const LEVELS: [f64; 2] = [0.9, 0.95];

/// Tasks of a role in a history under which nothing is claimed, as by default.
const SAMPLE_MIN: usize = 10;

/// Which tiers: of teams of so many, the one at this place, and whether each tier of the team passes more than the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TierRank {
    /// Each tier is better than the one before; else it only costs no less.
    pub rises: bool,
    /// Tiers of the team.
    pub tiers: usize,
    /// The tier, from 0.
    pub tier: usize,
}

/// Intervals of one kind, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// How many.
    pub count: u64,
    /// Of them, at each of [`LEVELS`], those that held the truth.
    pub held: [u64; LEVELS.len()],
    /// The sum of their widths at each of [`LEVELS`].
    pub width: [f64; LEVELS.len()],
    /// The sum of the widths of what no assumption can narrow, at the first level.
    pub bounds: f64,
    /// The sum of the estimates less the truth.
    pub bias: f64,
}

impl Held {
    /// Adds what another sum holds.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.held.iter_mut().zip(other.held).for_each(|(sum, part)| *sum += part);
        self.width.iter_mut().zip(other.width).for_each(|(sum, part)| *sum += part);
        self.bounds += other.bounds;
        self.bias += other.bias;
    }
}

/// Sums by place.
pub type Coverage = BTreeMap<TierRank, Held>;

/// Returns every team of two or three of `models`, each tier no cheaper than the one before it, and whether each is better too.
fn teams(table: &Table, models: &[usize]) -> Vec<(Vec<usize>, bool)> {
    let offers = table.offers(&(0..table.texts.len()).collect::<Vec<_>>());
    let follows = |low: usize, high: usize| low != high && offers[high].cost >= offers[low].cost * (1.0 - 1e-9);
    let rises = |team: &[usize]| team.array_windows().all(|[low, high]| offers[*high].quality > offers[*low].quality);
    let mut teams = Vec::new();
    for &low in models {
        for &middle in models.iter().filter(|&&model| follows(low, model)) {
            teams.push(vec![low, middle]);
            let highest = models.iter().filter(|&&model| follows(middle, model) && model != low);
            teams.extend(highest.map(|&high| vec![low, middle, high]));
        }
    }
    let judged = |team: Vec<usize>| {
        let rises = rises(&team);
        (team, rises)
    };
    teams.into_iter().map(judged).collect()
}

/// Tries all teams of `models` on one history. `roles` says for each task of the table whose it is.
pub fn coverage(table: &Table, roles: &[usize], history: &[usize], models: &[usize]) -> Coverage {
    let count = roles.iter().max().map_or(0, |last| last + 1);
    let mut all: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut past: Vec<Vec<usize>> = vec![Vec::new(); count];
    roles.iter().enumerate().for_each(|(task, role)| all[*role].push(task));
    history.iter().for_each(|task| past[roles[*task]].push(*task));
    let truths: Vec<Vec<f64>> = all.iter().map(|tasks| table.offers(tasks).iter().map(|offer| offer.quality).collect()).collect();
    let mut sums = Coverage::new();
    for (team, rises) in teams(table, models) {
        let of_all = worked(table, &team, history);
        for (tasks, truths) in past.iter().zip(&truths).filter(|(tasks, _)| tasks.len() >= SAMPLE_MIN) {
            let here = worked(table, &team, tasks);
            let known: Vec<TierKnown> =
                Tier::ALL.into_iter().zip(here.iter().zip(&of_all)).map(|(tier, (here, all))| known(tier, *here, *all)).collect();
            // A tier that no task ever reached has nothing to show.
            for ((tier, belief), past) in beliefs(&known).iter().enumerate().zip(&here) {
                if past.first.total() + past.later.total() < 1.0 {
                    break;
                }
                let truth = truths[team[tier]];
                let mut one = Held { count: 1, bias: belief.pass - truth, ..Held::default() };
                for (place, level) in LEVELS.into_iter().enumerate() {
                    let (low, high) = belief.first.interval(level);
                    one.held[place] = u64::from(low <= truth && truth <= high);
                    one.width[place] = high - low;
                }
                let (low, high) = belief.first.bounds(LEVELS[0]);
                one.bounds = high - low;
                sums.entry(TierRank { rises, tiers: team.len(), tier }).or_default().add(&one);
            }
        }
    }
    sums
}

/// Works through `tasks`, cheap first.
fn worked(table: &Table, team: &[usize], tasks: &[usize]) -> Vec<TierPast> {
    let mut past = vec![TierPast::default(); team.len()];
    for &task in tasks {
        for (tier, &model) in team.iter().enumerate() {
            let passed = table.outcomes[task][model].correct;
            let tally: &mut Tally = if tier == 0 { &mut past[tier].first } else { &mut past[tier].later };
            tally.add(f64::from(u8::from(passed)), 1.0);
            if passed {
                break;
            }
        }
    }
    past
}

fn known(tier: Tier, here: TierPast, all: TierPast) -> TierKnown {
    let (n_first, n_later) = (here.first.total() as u64, here.later.total() as u64);
    TierKnown { tier, here, role: here, all, cost: None, n_first, n_later }
}

/// Parts vectors of unit length into at most `count` groups of tasks that are alike, as roles are: spherical k-means from centres that
/// lie apart (I. S. Dhillon and D. S. Modha, "Concept decompositions for large sparse text data using clustering", Machine Learning 42
/// (2001)). One group where there are no vectors.
pub fn groups(vectors: &[&[f32]], count: usize) -> Vec<usize> {
    const ROUNDS: usize = 12;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let Some(first) = vectors.first().filter(|vector| !vector.is_empty()) else { return vec![0; vectors.len()] };
    let mut centres: Vec<Vec<f32>> = vec![first.to_vec()];
    let mut nearest: Vec<f32> = vec![f32::MIN; vectors.len()];
    while centres.len() < count {
        let last = &centres[centres.len() - 1];
        nearest.iter_mut().zip(vectors).for_each(|(near, vector)| *near = near.max(dot(vector, last)));
        let far = nearest.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
        centres.push(vectors[far].to_vec());
    }
    let mut groups = vec![0; vectors.len()];
    for _ in 0..ROUNDS {
        for (group, vector) in groups.iter_mut().zip(vectors) {
            let best = centres.iter().enumerate().max_by(|a, b| dot(vector, a.1).total_cmp(&dot(vector, b.1)));
            *group = best.map_or(0, |(index, _)| index);
        }
        for (index, centre) in centres.iter_mut().enumerate() {
            let mut sum = vec![0.0f32; centre.len()];
            for (_, vector) in groups.iter().zip(vectors).filter(|(group, _)| **group == index) {
                sum.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += value);
            }
            let length = dot(&sum, &sum).sqrt();
            if length > 0.0 {
                sum.iter_mut().for_each(|value| *value /= length);
                *centre = sum;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Chance, split};
    use super::super::trial::Outcome;
    use super::*;

    /// Tasks of six roles and three models, drawn so that a task has a difficulty, which all models feel, and luck, which they do not.
    fn table(tasks: usize, together: f64, seed: u64) -> (Table, Vec<usize>) {
        let mut chance = Chance::new(seed);
        // A sum of uniform numbers is as good as normal here.
        let mut normal = move || (0..12).map(|_| chance.unit()).sum::<f64>() - 6.0;
        let roles: Vec<usize> = (0..tasks).map(|task| task % 6).collect();
        let skills = [-0.2, 0.3, 0.3];
        let outcomes = roles.iter().map(|role| {
            let difficulty = normal();
            let of = |(model, skill): (usize, &f64)| {
                let luck = normal();
                let ease = (*role as f64 - 2.5) * 0.3 + if (role + model) % 3 == 0 { 0.3 } else { 0.0 };
                let correct = skill + ease + together.sqrt() * difficulty + (1.0 - together).sqrt() * luck > 0.0;
                Outcome { correct, cost_usd: [0.001, 0.004, 0.016][model] }
            };
            let row: Vec<(usize, &f64)> = skills.iter().enumerate().collect();
            let mut of = of;
            row.into_iter().map(&mut of).collect()
        });
        let outcomes = outcomes.collect();
        let models = ["a", "b", "c"].map(str::to_owned).to_vec();
        (Table { models, texts: vec![String::new(); tasks], outcomes }, roles)
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say_and_are_narrower_than_what_is_certain() {
        let mut sums: BTreeMap<(usize, usize), Held> = BTreeMap::new();
        // From models that share little of what is hard to models that share nearly all of it.
        for (seed, together) in (0..).zip([0.2, 0.35, 0.5, 0.65, 0.8]) {
            let (table, roles) = table(3000, together, seed);
            for split_seed in 0..4 {
                let (history, _) = split(3000, 500, 0, split_seed);
                for (place, held) in coverage(&table, &roles, &history, &[0, 1, 2]) {
                    sums.entry((place.tiers, place.tier)).or_default().add(&held);
                }
            }
        }
        assert!(sums.len() == 5, "{sums:?}");
        for (place, held) in &sums {
            let count = held.count as f64;
            let shares = held.held.map(|held| held as f64 / count);
            assert!(held.count >= 100 && shares[0] >= 0.86 && shares[1] >= 0.92, "{place:?} {shares:?}");
            let (width, bounds) = (held.width[0] / count, held.bounds / count);
            assert!(width < 0.65 && (place.1 == 0 || width < bounds - 0.05), "{place:?}: {width} of {bounds}");
        }
    }

    #[test]
    fn tasks_that_are_alike_are_one_group() {
        let vectors: Vec<Vec<f32>> = (0..30).map(|task| if task % 3 == 0 { vec![0.6, 0.8] } else { vec![-0.8, 0.6] }).collect();
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let found = groups(&vectors, 2);
        assert!((0..30).all(|task| found[task] == found[task % 3]) && found[0] != found[1]);
        assert_eq!(groups(&[&[], &[]], 3), [0, 0]);
    }
}
