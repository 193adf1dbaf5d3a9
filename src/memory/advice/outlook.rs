//! How a run will probably go, from past runs like it: success, cost and duration, each with its uncertainty.

use schemars::JsonSchema;
use serde::Serialize;

use super::past::MONEY;
use crate::analytics::material::PastRun;
use crate::analytics::stats;
use crate::domain::event::Mode;

/// A probability with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chance {
    /// The share observed.
    pub p: f64,
    /// The interval's lower end (Wilson, 95 %).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spread {
    /// One of ten is at most this.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// Nine of ten are at most this.
    pub p90: u64,
}

/// What is to be expected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// The chance of success; `None` under the minimum sample.
    pub success: Option<Chance>,
    /// Runs of which it is known whether they succeeded.
    pub n_judged: u64,
    /// What a run costs, in nUSD; `None` under the minimum sample.
    pub cost: Option<Spread>,
    /// The budget that would have covered 95 of 100 runs, in nUSD; `None` under the minimum sample.
    pub budget_p95: Option<u64>,
    /// Runs whose cost is known, in the kind of money that counts.
    pub n_cost: u64,
    /// How long a run works, in milliseconds; `None` under the minimum sample.
    pub duration_ms: Option<Spread>,
    /// Runs whose duration is known.
    pub n_duration: u64,
    /// What to know of these numbers.
    pub warnings: Vec<String>,
}

/// Looks at past runs; successes that nobody verified count if `unverified`.
pub fn outlook(runs: &[PastRun], min_sample: u32, unverified: bool) -> Outlook {
    let mut warnings = Vec::new();
    let judged: Vec<bool> = runs.iter().filter_map(|run| run.fact.judged(unverified)).collect();
    let is_enough = judged.len() >= min_sample as usize;
    if !is_enough {
        let judged = judged.len();
        warnings.push(format!(
            "runs of this template that ended and could be judged: {judged}; under {min_sample} the chance of success is not known"
        ));
    }
    let passed = judged.iter().filter(|passed| **passed).count();
    let success = stats::wilson(passed as f64, judged.len() as f64).filter(|_| is_enough);
    // Money of different kinds is never put together: real runs say what a run costs, else imported ones, else simulated ones, where
    // there are enough of them.
    let costs = |mode: Mode| {
        let paid = runs.iter().filter(|run| run.fact.cost_complete && run.fact.mode == mode);
        Sorted::new(paid.map(|run| run.fact.cost).collect())
    };
    let paid: Vec<(Mode, Sorted)> =
        MONEY.into_iter().map(|mode| (mode, costs(mode))).filter(|(_, costs)| costs.count() > 0).collect();
    let place = paid.iter().position(|(_, costs)| costs.count() >= min_sample.into()).unwrap_or(0);
    let n_cost = paid.get(place).map_or(0, |(_, costs)| costs.count());
    let cost = paid.get(place).filter(|(_, costs)| costs.count() >= min_sample.into());
    if let Some((kind, _)) = cost.filter(|_| paid.len() > 1) {
        warnings.push(format!("what runs cost is that of {kind} runs alone; other kinds of money are left out"));
    }
    if cost.is_none() && !runs.is_empty() {
        warnings.push(format!("runs whose cost is known: {n_cost}; under {min_sample} no cost and no budget is named"));
    }
    let duration = Sorted::new(runs.iter().filter_map(|run| run.fact.duration_ms).collect());
    Outlook {
        success: success.map(|share| Chance { p: share.value, low: share.low, high: share.high }),
        n_judged: judged.len() as u64,
        cost: cost.and_then(|(_, costs)| costs.spread()),
        budget_p95: cost.and_then(|(_, costs)| costs.at(0.95)),
        n_cost,
        n_duration: duration.count(),
        duration_ms: duration.spread().filter(|_| duration.count() >= min_sample.into()),
        warnings,
    }
}

/// Returns the runs that are most like the one to come: those with as many points of likeness, of at most `most`, as `min` runs have.
/// `None` when too few have any.
pub fn most_alike(alike: &[(usize, PastRun)], most: usize, min: usize) -> Option<Vec<PastRun>> {
    (1..=most).rev().find_map(|wanted| {
        let chosen: Vec<PastRun> = alike.iter().filter(|(points, _)| *points >= wanted).map(|(_, run)| run.clone()).collect();
        (chosen.len() >= min).then_some(chosen)
    })
}

/// Numbers in order.
struct Sorted(Vec<u64>);

impl Sorted {
    fn new(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        Self(numbers)
    }

    fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Returns the smallest number that at least `share` of all are at most.
    fn at(&self, share: f64) -> Option<u64> {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied()
    }

    fn spread(&self) -> Option<Spread> {
        Some(Spread { p10: self.at(0.1)?, p50: self.at(0.5)?, p90: self.at(0.9)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use crate::views::stats::outcomes::RunFact;
    use crate::views::status::RunStatus;

    fn run(number: u8, mode: Mode, cost: u64) -> PastRun {
        let fact = RunFact {
            mode,
            status: RunStatus::Succeeded,
            verified: true,
            cost,
            cost_complete: true,
            duration_ms: Some(cost * 2),
            attempts: 1,
            climbs: 0,
        };
        PastRun { run: RunId::from_bytes([number; 16]), started_at: 0, fact }
    }

    #[test]
    fn ten_costs_have_the_percentiles_counted_by_hand() {
        let runs: Vec<PastRun> = (1..=10).map(|number| run(number, Mode::Real, u64::from(number) * 10)).collect();
        let seen = outlook(&runs, 10, false);
        assert_eq!(seen.cost, Some(Spread { p10: 10, p50: 50, p90: 90 }));
        assert_eq!((seen.budget_p95, seen.duration_ms.map(|spread| spread.p50)), (Some(100), Some(100)));
        assert_eq!(seen.success.map(|chance| (chance.p, chance.high)), Some((1.0, 1.0)));
        assert_eq!(outlook(&[], 1, false).cost, None);
    }

    #[test]
    fn nothing_is_a_number_under_the_minimum_sample() {
        let runs: Vec<PastRun> = (1..=10).map(|number| run(number, Mode::Real, u64::from(number) * 10)).collect();
        let seen = outlook(&runs, 11, false);
        assert_eq!((seen.success, seen.cost, seen.duration_ms, seen.budget_p95), (None, None, None, None));
        assert_eq!((seen.n_judged, seen.n_cost, seen.n_duration), (10, 10, 10));
        assert!(seen.warnings.iter().any(|warning| warning.contains("no cost and no budget")), "{seen:?}");
        let seen = outlook(&[run(1, Mode::Imported, 1000), run(2, Mode::Imported, 1000), run(3, Mode::Real, 10)], 2, false);
        assert_eq!(seen.cost.map(|spread| spread.p90), Some(1000), "one real run is no sample");
    }

    #[test]
    fn real_money_is_not_mixed_with_any_other() {
        let seen = outlook(&[run(1, Mode::Imported, 1000), run(2, Mode::Real, 10)], 1, false);
        assert_eq!(seen.cost.map(|spread| spread.p90), Some(10));
        assert!(seen.warnings.iter().any(|warning| warning.contains("real runs alone")), "{seen:?}");
    }

    #[test]
    fn of_runs_alike_those_that_agree_most_are_taken_while_they_are_enough() {
        let alike: Vec<(usize, PastRun)> =
            [2, 2, 1, 0].into_iter().zip(1..).map(|(agree, n)| (agree, run(n, Mode::Real, 1))).collect();
        assert_eq!(most_alike(&alike, 2, 2).map(|runs| runs.len()), Some(2));
        assert_eq!(most_alike(&alike, 2, 3).map(|runs| runs.len()), Some(3));
        assert_eq!(most_alike(&alike, 2, 4), None);
    }
}
