//! The past as advice sees it: which task was tried at which tiers, by whom, how it went and what it cost. A fold over events.
//!
//! An attempt counts when it was judged: one that met no model, was cancelled or lost says nothing about a tier's skill. What was
//! forgotten is gone: such a task keeps its outcomes and has no text.

use std::collections::HashMap;

use super::advisor::Past;
use super::posterior::decay;
use super::space::Task;
use crate::domain::event::{AttemptOutcome, Event, Mode, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, RunId, TimeNs};
use crate::domain::tier::Tier;

/// Nanoseconds of a day.
const DAY_NS: f64 = 86_400e9;

/// One agent's task and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTask {
    /// The run.
    pub run: RunId,
    /// When the run began, in ns since the epoch.
    pub at: TimeNs,
    /// The template's id.
    pub template: String,
    /// The agent's role.
    pub role: String,
    /// What it was to do; empty when that was forgotten.
    pub text: String,
    /// By tier: whether it passed there; `None` where it was not tried.
    pub passed: [Option<bool>; Tier::ALL.len()],
    /// By tier: what was spent there, in nUSD; `None` where nothing is known.
    pub cost_nusd: [Option<u64>; Tier::ALL.len()],
}

/// What counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Simulated runs count too, beside real and imported ones.
    pub simulated: bool,
    /// Successes that nobody could verify count as successes.
    pub unverified: bool,
}

/// Collects tasks from events, in any number of pieces.
#[derive(Debug, Default)]
pub struct Collector {
    counts: Counts,
    runs: HashMap<RunId, Run>,
}

#[derive(Debug)]
struct Run {
    at: TimeNs,
    template: String,
    agents: Vec<(AgentNo, Agent)>,
}

impl Run {
    fn agent(&mut self, number: AgentNo) -> Option<&mut Agent> {
        self.agents.iter_mut().find(|(other, _)| *other == number).map(|(_, agent)| agent)
    }
}

#[derive(Debug, Default)]
struct Agent {
    role: String,
    text: String,
    tiers: HashMap<AttemptNo, Tier>,
    passed: [Option<bool>; Tier::ALL.len()],
    cost_nusd: [Option<u64>; Tier::ALL.len()],
    /// Some cost at this tier is not known.
    unpriced: [bool; Tier::ALL.len()],
}

impl Agent {
    fn ended(&mut self, tier: Tier, passed: bool) {
        let known = &mut self.passed[tier as usize];
        *known = Some(passed || *known == Some(true));
    }
}

impl Collector {
    /// Starts with nothing.
    pub fn new(counts: Counts) -> Self {
        Self { counts, runs: HashMap::new() }
    }

    /// Takes in an event. Events of one run come in their order.
    pub fn apply(&mut self, recorded: &Recorded) {
        let Some(id) = recorded.envelope.run else { return };
        if let Event::RunStarted(started) = &recorded.event {
            if self.counts.simulated || started.mode != Mode::Simulated {
                let at = recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at);
                self.runs.insert(id, Run { at, template: started.template_id.clone(), agents: Vec::new() });
            }
            return;
        }
        let Some(run) = self.runs.get_mut(&id) else { return };
        if let Event::AgentPlanned(planned) = &recorded.event {
            let text = planned.private.as_ref().map_or_else(String::new, |private| private.task.clone());
            run.agents.push((planned.agent, Agent { role: planned.role.clone(), text, ..Agent::default() }));
            return;
        }
        match &recorded.event {
            Event::AttemptStarted(body) => {
                if let Some(agent) = run.agent(body.agent) {
                    agent.tiers.insert(body.attempt, body.tier);
                }
            }
            Event::AttemptEnded(body) => {
                let passed = match body.outcome {
                    AttemptOutcome::Passed if body.verified || self.counts.unverified => true,
                    AttemptOutcome::FailedCriteria => false,
                    _ => return,
                };
                if let Some(agent) = run.agent(body.agent)
                    && let Some(tier) = agent.tiers.get(&body.attempt).copied()
                {
                    agent.ended(tier, passed);
                }
            }
            Event::AttemptImported(body) => {
                if let Some(agent) = run.agent(body.agent) {
                    agent.ended(body.tier, body.passed);
                }
            }
            Event::CostIncurred(body) => {
                if let Some(agent) = run.agent(body.agent) {
                    let place = body.tier as usize;
                    match body.amount {
                        Some(amount) => {
                            let spent = &mut agent.cost_nusd[place];
                            *spent = Some(spent.unwrap_or(0).saturating_add(amount.0));
                        }
                        None => agent.unpriced[place] = true,
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns the tasks with an outcome, of the newest runs first; at most `most`.
    pub fn finish(self, most: usize) -> Vec<PastTask> {
        let mut tasks: Vec<PastTask> = self
            .runs
            .into_iter()
            .flat_map(|(run, past)| {
                let Run { at, template, agents } = past;
                agents.into_iter().map(move |(number, agent)| (number, task(run, at, &template, agent)))
            })
            .filter(|(_, task)| task.passed.iter().any(Option::is_some))
            .map(|(_, task)| task)
            .collect();
        tasks.sort_by(|a, b| b.at.cmp(&a.at).then(b.run.cmp(&a.run)));
        tasks.truncate(most);
        tasks
    }
}

fn task(run: RunId, at: TimeNs, template: &str, agent: Agent) -> PastTask {
    let mut cost_nusd = agent.cost_nusd;
    for (cost, unpriced) in cost_nusd.iter_mut().zip(agent.unpriced) {
        *cost = cost.filter(|_| !unpriced);
    }
    PastTask { run, at, template: template.to_owned(), role: agent.role, text: agent.text, passed: agent.passed, cost_nusd }
}

/// Returns the tiers that have outcomes in `tasks`, lowest first.
pub fn tiers(tasks: &[PastTask]) -> Vec<Tier> {
    Tier::ALL.into_iter().filter(|tier| tasks.iter().any(|task| task.passed[*tier as usize].is_some())).collect()
}

/// Makes a history for an advisor of `tasks` and their vectors (empty ones where there are none), whose levels are `tiers`. Old
/// outcomes count less: half after `half_life_days` before `now`.
pub fn history(tasks: &[PastTask], vectors: &[Vec<f32>], tiers: &[Tier], now: TimeNs, half_life_days: f64) -> Vec<Past> {
    let past = |(index, task): (usize, &PastTask)| {
        let vector = vectors.get(index).cloned().unwrap_or_default();
        let age_days = now.saturating_sub(task.at) as f64 / DAY_NS;
        Past {
            task: Task::new(&task.text, vector, &task.role, Some(&task.template)),
            weight: decay(age_days, half_life_days),
            passed: tiers.iter().map(|tier| task.passed[*tier as usize]).collect(),
        }
    };
    tasks.iter().enumerate().map(past).collect()
}

/// What tasks cost by role and tier.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    roles: HashMap<String, [Sum; Tier::ALL.len()]>,
    all: [Sum; Tier::ALL.len()],
}

/// nUSD, and how many tasks they were spent on.
type Sum = (f64, f64);

impl Costs {
    /// Adds up what `tasks` cost, where that is known.
    pub fn of(tasks: &[PastTask]) -> Self {
        let mut costs = Self::default();
        for task in tasks {
            let role = costs.roles.entry(task.role.clone()).or_default();
            for (tier, cost) in task.cost_nusd.iter().enumerate() {
                let Some(cost) = cost else { continue };
                for sum in [&mut role[tier], &mut costs.all[tier]] {
                    sum.0 += *cost as f64;
                    sum.1 += 1.0;
                }
            }
        }
        costs
    }

    /// Returns the mean cost of a task at `tier`, in nUSD: of the same role, or of all where none of the role is known. `None` when
    /// nothing is known.
    pub fn mean(&self, role: &str, tier: Tier) -> Option<f64> {
        let mean = |sum: Sum| (sum.1 > 0.0).then(|| sum.0 / sum.1);
        self.roles.get(role).and_then(|sums| mean(sums[tier as usize])).or_else(|| mean(self.all[tier as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample;

    fn collect(counts: Counts) -> Vec<PastTask> {
        let mut collector = Collector::new(counts);
        sample::story().iter().for_each(|recorded| collector.apply(recorded));
        collector.finish(100)
    }

    #[test]
    fn a_simulated_run_counts_only_if_asked() {
        assert!(collect(Counts::default()).is_empty());
        let tasks = collect(Counts { simulated: true, unverified: true });
        assert!(!tasks.is_empty());
        assert!(tasks.iter().all(|task| task.template == "release_prep" && task.passed.iter().any(Option::is_some)));
    }

    #[test]
    fn a_climb_leaves_a_failure_below_and_an_outcome_above() {
        let tasks = collect(Counts { simulated: true, unverified: true });
        let climbed = tasks.iter().find(|task| task.passed.iter().flatten().count() > 1).expect("one agent climbed");
        assert_eq!(climbed.passed[0], Some(false), "{climbed:?}");
        assert_eq!(tiers(&tasks)[0], Tier::Cheap);
    }

    #[test]
    fn of_many_the_newest_are_kept() {
        let mut collector = Collector::new(Counts { simulated: true, unverified: true });
        sample::story().iter().for_each(|recorded| collector.apply(recorded));
        assert_eq!(collector.finish(1).len(), 1);
    }
}
