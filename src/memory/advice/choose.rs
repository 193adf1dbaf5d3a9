//! Where to start: the expected cost of each start tier with the escalation that may follow, and which tiers are not worth their price.
//!
//! Knows chances and costs only, in any unit of money.

/// How much of the lowest start's chance of success another start may lack.
const EQUAL_SUCCESS: f64 = 0.005;

/// How much less another start must cost. Of several noisy estimates the least is too low more often than not: without a margin the
/// choice costs more than it saves.
const SAVES_MIN: f64 = 0.1;

/// A tier as the choice sees it, lowest first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// The chance that it passes at the first attempt.
    pub pass: f64,
    /// The chance that it passes once those below have failed.
    pub rescue: f64,
    /// What an attempt costs.
    pub cost: f64,
}

/// What is to be expected of starting at a tier and escalating while it fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// The expected cost: each tier's cost times the chance that it is reached.
    pub cost: f64,
    /// The chance that some tier passes.
    pub success: f64,
}

/// Returns what is to be expected of starting at each of `rungs`. The start needs the chance of first attempts there, whatever follows
/// the chance after a failure; from a start higher up that is known only as it was from starts below, which leaves out what these pass.
pub fn starts(rungs: &[Rung]) -> Vec<Start> {
    (0..rungs.len())
        .map(|start| {
            let (mut reached, mut cost) = (1.0, 0.0);
            for (index, rung) in rungs.iter().enumerate().skip(start) {
                cost += reached * rung.cost;
                let pass = if index == start { rung.pass } else { rung.rescue };
                reached *= 1.0 - pass.clamp(0.0, 1.0);
            }
            Start { cost, success: 1.0 - reached }
        })
        .collect()
}

/// Returns which of `starts` to take: the lowest, unless another one costs less by a tenth and succeeds as often, but for half
/// a hundredth. `None` when there is none.
pub fn best(starts: &[Start]) -> Option<usize> {
    let lowest = starts.first()?;
    let worth = |start: &Start| start.cost < lowest.cost * (1.0 - SAVES_MIN) && start.success >= lowest.success - EQUAL_SUCCESS;
    let others = starts.iter().enumerate().skip(1).filter(|(_, start)| worth(start));
    Some(others.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)).map_or(0, |(index, _)| index))
}

/// A model or tier as its price and its worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// Mean cost of an attempt.
    pub cost: f64,
    /// Mean quality of an attempt, 0 to 1.
    pub quality: f64,
}

/// Returns for each of `offers` the index of one that costs no more, is no worse, and is better in one of the two; of several the
/// best.
pub fn dominated_by(offers: &[Offer]) -> Vec<Option<usize>> {
    offers
        .iter()
        .map(|one| {
            let better = |other: &Offer| {
                other.cost <= one.cost && other.quality >= one.quality && (other.cost < one.cost || other.quality > one.quality)
            };
            let order = |a: &Offer, b: &Offer| b.quality.total_cmp(&a.quality).then(a.cost.total_cmp(&b.cost));
            let better = offers.iter().enumerate().filter(|(_, other)| better(other));
            better.min_by(|a, b| order(a.1, b.1)).map(|(index, _)| index)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_cost_adds_what_is_reached() {
        let rungs = [
            Rung { pass: 0.5, rescue: 0.5, cost: 1.0 },
            Rung { pass: 0.8, rescue: 0.6, cost: 10.0 },
            Rung { pass: 0.9, rescue: 0.5, cost: 100.0 },
        ];
        let starts = starts(&rungs);
        // 1 + 0.5 * 10 + 0.5 * (1 - 0.6) * 100; the last is reached by those that fail twice.
        assert!((starts[0].cost - 26.0).abs() < 1e-9, "{}", starts[0].cost);
        assert!((starts[0].success - (1.0 - 0.2 * 0.5)).abs() < 1e-9);
        assert!((starts[2].cost - 100.0).abs() < 1e-9 && (starts[2].success - 0.9).abs() < 1e-9);
        assert_eq!(best(&starts), Some(0));
    }

    #[test]
    fn a_tier_that_nearly_always_fails_is_left_out() {
        let rungs = [Rung { pass: 0.02, rescue: 0.02, cost: 4.0 }, Rung { pass: 0.9, rescue: 0.9, cost: 10.0 }];
        assert_eq!(best(&starts(&rungs)), Some(1));
    }

    #[test]
    fn success_is_not_given_up_for_money() {
        let rungs = [Rung { pass: 0.6, rescue: 0.6, cost: 9.9 }, Rung { pass: 0.6, rescue: 0.75, cost: 10.0 }];
        assert_eq!(best(&starts(&rungs)), Some(0));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn dearer_and_not_better_is_dominated() {
        let offer = |cost: f64, quality: f64| Offer { cost, quality };
        let offers = [offer(1.0, 0.5), offer(2.0, 0.5), offer(3.0, 0.7), offer(3.0, 0.6), offer(1.0, 0.5)];
        assert_eq!(dominated_by(&offers), [None, Some(0), None, Some(2), None]);
    }
}
