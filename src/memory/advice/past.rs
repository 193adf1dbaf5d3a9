//! The past as advice sees it: which task was tried at which tiers, by whom, how it went and what it cost.
//!
//! Only what was judged counts: an attempt that met no model, was cancelled or lost says nothing about a tier's skill. What was
//! forgotten is gone: such a task keeps its outcomes and has no text.

use std::collections::HashMap;

use super::advisor::Past;
use super::posterior::decay;
use super::space::Task;
use crate::domain::event::Mode;
use crate::domain::ids::{AgentNo, RunId, TimeNs};
use crate::domain::tier::Tier;
use crate::views::stats::tasks::{TaskEnd, TaskRow};

/// Nanoseconds of a day.
const DAY_NS: f64 = 86_400e9;

/// Kinds of money, the one that says most first. They are never added to each other.
pub const MONEY: [Mode; 3] = [Mode::Real, Mode::Imported, Mode::Simulated];

/// One agent's task and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTask {
    /// The run.
    pub run: RunId,
    /// When the run began, in ns since the epoch.
    pub at: TimeNs,
    /// The agent's number in the run.
    pub agent: AgentNo,
    /// What is known of it.
    pub row: TaskRow,
}

/// What counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Simulated runs count too, beside real and imported ones.
    pub simulated: bool,
    /// Successes that nobody could verify count as successes.
    pub unverified: bool,
}

impl Counts {
    /// Tells whether a task counts: of a kind of run that is wanted, and with something to learn from.
    pub fn takes(self, task: &TaskRow) -> bool {
        let is_told = |tier: Tier| task.tiers[tier as usize].is_some_and(|tried| self.passed(tried.end).is_some());
        (self.simulated || task.mode != Mode::Simulated) && Tier::ALL.into_iter().any(is_told)
    }

    /// Tells whether what ended so has passed; `None` when that is not known.
    pub fn passed(self, end: Option<TaskEnd>) -> Option<bool> {
        match end? {
            TaskEnd::Passed => Some(true),
            TaskEnd::Unverified => self.unverified.then_some(true),
            TaskEnd::Failed => Some(false),
        }
    }

    /// Tells whether a task passed at `tier`; `None` when that is not known.
    pub fn passed_at(self, task: &PastTask, tier: Tier) -> Option<bool> {
        self.passed(task.row.tiers[tier as usize].and_then(|tried| tried.end))
    }
}

/// Returns the tiers that have outcomes in `tasks`, lowest first.
pub fn tiers(tasks: &[PastTask], counts: Counts) -> Vec<Tier> {
    let is_told = |tier: &Tier| tasks.iter().any(|task| counts.passed_at(task, *tier).is_some());
    Tier::ALL.into_iter().filter(is_told).collect()
}

/// Makes a history for an advisor of `tasks` and their vectors (empty ones where there are none), whose levels are `tiers`. Old
/// outcomes count less: half after `half_life_days` before `now`.
pub fn history(
    tasks: &[PastTask],
    counts: Counts,
    vectors: &[Vec<f32>],
    tiers: &[Tier],
    now: TimeNs,
    half_life_days: f64,
) -> Vec<Past> {
    let past = |(index, task): (usize, &PastTask)| {
        let vector = vectors.get(index).cloned().unwrap_or_default();
        let age_days = now.saturating_sub(task.at) as f64 / DAY_NS;
        Past {
            task: Task::new(&task.row.text, vector, &task.row.role, Some(&task.row.template)),
            weight: decay(age_days, half_life_days),
            passed: tiers.iter().map(|tier| counts.passed_at(task, *tier)).collect(),
        }
    };
    tasks.iter().enumerate().map(past).collect()
}

/// What tasks cost at each tier, each kind of money by itself: nUSD, and how many tasks they were spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent([[(f64, f64); Tier::ALL.len()]; MONEY.len()]);

impl Spent {
    /// Adds what a task cost, where that is known.
    pub fn add(&mut self, task: &TaskRow) {
        let Some(money) = MONEY.iter().position(|mode| *mode == task.mode) else { return };
        for (sum, tried) in self.0[money].iter_mut().zip(task.tiers) {
            if let Some(cost) = tried.and_then(|tried| tried.cost) {
                *sum = (sum.0 + cost as f64, sum.1 + 1.0);
            }
        }
    }

    /// Returns the mean cost at each of `tiers`, in nUSD and in one kind of money; `None` when that of a tier is not known.
    pub fn means(&self, tiers: &[Tier]) -> Option<Vec<f64>> {
        let money = self.0.iter().find(|money| money.iter().any(|sum| sum.1 > 0.0))?;
        let mean = |tier: &Tier| Some(money[*tier as usize]).filter(|sum| sum.1 > 0.0).map(|sum| sum.0 / sum.1);
        tiers.iter().map(mean).collect()
    }
}

/// What tasks cost by role.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    roles: HashMap<String, Spent>,
    all: Spent,
}

impl Costs {
    /// Adds up what `tasks` cost, where that is known.
    pub fn of(tasks: &[PastTask]) -> Self {
        let mut costs = Self::default();
        for task in tasks {
            costs.roles.entry(task.row.role.clone()).or_default().add(&task.row);
            costs.all.add(&task.row);
        }
        costs
    }

    /// Returns the mean cost of a task of `role` at each of `tiers`, in nUSD; of all roles where none of this one is known. `None`
    /// when that of a tier is not known.
    pub fn means(&self, role: &str, tiers: &[Tier]) -> Option<Vec<f64>> {
        self.roles.get(role).and_then(|spent| spent.means(tiers)).or_else(|| self.all.means(tiers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Projection;
    use crate::views::rows::{self, MapRows};
    use crate::views::sample;
    use crate::views::stats::Memory;
    use crate::views::stats::tasks::Tried;

    fn story() -> Vec<PastTask> {
        let mut held = MapRows::default();
        sample::story().iter().for_each(|recorded| Memory.apply(&mut held, recorded).unwrap());
        let tasks = held.0.iter().filter(|(key, _)| key.starts_with(&TaskRow::of_all().finish()));
        let task = |(key, row): (&Vec<u8>, &Vec<u8>)| {
            let (at, run, agent) = TaskRow::read_key(key).unwrap();
            PastTask { run, at, agent, row: rows::read(row).unwrap() }
        };
        tasks.map(task).collect()
    }

    #[test]
    fn a_simulated_run_counts_only_if_asked() {
        let tasks = story();
        assert!(!tasks.is_empty());
        assert!(tasks.iter().all(|task| task.row.template == "release_prep" && !Counts::default().takes(&task.row)));
        assert!(tasks.iter().any(|task| Counts { simulated: true, unverified: true }.takes(&task.row)));
    }

    #[test]
    fn a_climb_leaves_a_failure_below_and_an_outcome_above() {
        let tasks = story();
        let climbed = tasks.iter().find(|task| task.row.tiers.iter().flatten().count() > 1).expect("one agent climbed");
        assert_eq!(climbed.row.tiers[0].and_then(|tried| tried.end), Some(TaskEnd::Failed), "{climbed:?}");
        assert!(climbed.row.tiers.iter().flatten().all(|tried| tried.cost.is_some()));
        assert!(!climbed.row.text.is_empty());
        assert_eq!(tiers(&tasks, Counts { simulated: true, unverified: true })[0], Tier::Cheap);
    }

    #[test]
    fn kinds_of_money_stay_apart() {
        let task = |mode, role: &str, costs: [Option<u64>; 2]| {
            let tried = |cost: Option<u64>| cost.map(|cost| Tried { end: Some(TaskEnd::Passed), cost: Some(cost), attempts: 1 });
            let tiers = [tried(costs[0]), tried(costs[1]), None];
            let row = TaskRow { template: "t".into(), mode, role: role.into(), text: String::new(), tiers };
            PastTask { run: RunId::from_bytes([1; 16]), at: 0, agent: 0, row }
        };
        let costs = Costs::of(&[
            task(Mode::Imported, "a", [Some(10), Some(1000)]),
            task(Mode::Real, "a", [Some(2), None]),
            task(Mode::Imported, "b", [Some(30), Some(3000)]),
        ]);
        assert_eq!(costs.means("a", &[Tier::Cheap]), Some(vec![2.0]));
        assert_eq!(costs.means("b", &[Tier::Cheap, Tier::Capable]), Some(vec![30.0, 3000.0]));
        assert_eq!(Spent::default().means(&[Tier::Cheap]), None);
        assert_eq!(costs.means("c", &[Tier::Cheap]), Some(vec![2.0]), "a role without a past leans on all");
    }
}
