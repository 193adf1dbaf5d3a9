//! Where the agents of a template should start, from how attempts at each tier went.
//!
//! A first attempt says how a tier does on any task; a later one how it does on tasks that the tier below failed. The chance of a tier
//! is the posterior of both, drawn towards that of the role over all templates, and that towards the tier over all roles.

use super::choose::{Rung, Start, best, starts};
use super::posterior::{Beta, Tally};
use crate::domain::tier::Tier;

/// How attempts at one tier went, the old ones counting less.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TierPast {
    /// First attempts of agents.
    pub first: Tally,
    /// Attempts after the tier below had failed.
    pub later: Tally,
}

/// What is known of one tier: of this role in this template, of the role anywhere, of the tier anywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierKnown {
    /// The tier.
    pub tier: Tier,
    /// This role in this template.
    pub here: TierPast,
    /// This role in all templates.
    pub role: TierPast,
    /// All roles in all templates.
    pub all: TierPast,
    /// Mean cost of an attempt of this role in this template, in nUSD; `None` when it is not known.
    pub cost: Option<f64>,
    /// Attempts of this role in this template, each counted whole.
    pub n: u64,
}

/// What is to be expected of one tier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierAdvice {
    /// The tier.
    pub tier: Tier,
    /// The chance that it passes.
    pub p_pass: f64,
    /// The interval that holds that chance with probability 0.95.
    pub low: f64,
    /// Its other end.
    pub high: f64,
    /// Attempts that it is known from.
    pub n: u64,
    /// The chance that it passes and the tier below fails; for the lowest, that it passes.
    pub benefit: f64,
    /// The expected cost of starting here and climbing while it fails, in nUSD; `None` when a cost is not known.
    pub expected_cost: Option<f64>,
}

/// Where an agent should start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartAdvice {
    /// The tier; `None` under the minimum sample, or when a cost is not known.
    pub start: Option<Tier>,
    /// The tiers that were tried, lowest first.
    pub tiers: Vec<TierAdvice>,
}

/// Says where to start. `known` are the tiers of a strategy, lowest first, that were tried at all; nothing is advised while the lowest
/// of them was tried less than `min_sample` times.
pub fn advise(known: &[TierKnown], min_sample: u64) -> StartAdvice {
    let mut tiers: Vec<TierAdvice> = Vec::new();
    let mut below: Option<(Beta, TierPast)> = None;
    for tier in known {
        let posterior = |of: fn(&TierPast, Option<&TierPast>) -> Tally| {
            let lower = below.as_ref().map(|(_, past)| past);
            of(&tier.here, lower).below(of(&tier.role, None).below(of(&tier.all, None).alone()))
        };
        let (chance, benefit) = match &below {
            None => {
                let chance = posterior(|past, _| past.first);
                (chance, chance.mean())
            }
            Some((lower, lower_past)) => {
                let rescue = posterior(|past, _| past.later).mean();
                let benefit = (1.0 - lower.mean()) * rescue;
                // What passes at the tier below would pass here too: the climbs then stand for all tasks.
                let reached = lower_past.first.passed.min(tier.here.later.total());
                let own = Tally {
                    passed: tier.here.first.passed + reached + tier.here.later.passed,
                    failed: tier.here.first.failed + tier.here.later.failed,
                };
                let expected = Beta::around(lower.mean() + benefit, own.total());
                let chance = if tier.here.first.total() > 0.0 { tier.here.first.below(expected) } else { expected };
                (chance, benefit)
            }
        };
        let (low, high) = chance.interval();
        tiers.push(TierAdvice { tier: tier.tier, p_pass: chance.mean(), low, high, n: tier.n, benefit, expected_cost: None });
        below = Some((chance, tier.here));
    }
    let costs: Option<Vec<f64>> = known.iter().map(|tier| tier.cost).collect();
    let mut start = None;
    if let Some(costs) = costs {
        let rungs: Vec<Rung> =
            tiers.iter().zip(costs).map(|(tier, cost)| Rung { pass: tier.p_pass, benefit: tier.benefit, cost }).collect();
        let expected: Vec<Start> = starts(&rungs);
        for (tier, start) in tiers.iter_mut().zip(&expected) {
            tier.expected_cost = Some(start.cost);
        }
        let is_enough = known.first().is_some_and(|lowest| lowest.n >= min_sample);
        start = best(&expected).filter(|_| is_enough).and_then(|at| tiers.get(at)).map(|tier| tier.tier);
    }
    StartAdvice { start, tiers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: f64, failed: f64) -> Tally {
        Tally { passed, failed }
    }

    fn known(tier: Tier, first: Tally, later: Tally, cost: f64) -> TierKnown {
        let here = TierPast { first, later };
        let n = (first.total() + later.total()) as u64;
        TierKnown { tier, here, role: here, all: here, cost: Some(cost), n }
    }

    #[test]
    fn a_cheap_tier_that_mostly_passes_is_where_to_start() {
        let cheap = known(Tier::Cheap, tally(45.0, 5.0), tally(0.0, 0.0), 1.0);
        let capable = known(Tier::Capable, tally(0.0, 0.0), tally(4.0, 1.0), 10.0);
        let advice = advise(&[cheap, capable], 10);
        assert_eq!(advice.start, Some(Tier::Cheap));
        let [cheap, capable] = advice.tiers.try_into().unwrap();
        assert!((cheap.p_pass - 0.9).abs() < 0.03 && cheap.low < 0.9 && cheap.high > 0.9);
        assert!(capable.p_pass > cheap.p_pass && capable.p_pass <= 1.0, "{capable:?}");
        assert!((capable.benefit - 0.1 * 0.8).abs() < 0.04, "{capable:?}");
        assert!((cheap.expected_cost.unwrap() - (1.0 + 0.1 * 10.0)).abs() < 0.3);
    }

    #[test]
    fn a_cheap_tier_that_hardly_ever_passes_is_left_out() {
        let cheap = known(Tier::Cheap, tally(1.0, 59.0), tally(0.0, 0.0), 4.0);
        let capable = known(Tier::Capable, tally(0.0, 0.0), tally(55.0, 4.0), 10.0);
        assert_eq!(advise(&[cheap, capable], 10).start, Some(Tier::Capable));
    }

    #[test]
    fn nothing_is_advised_on_little_or_at_unknown_cost() {
        let few = known(Tier::Cheap, tally(4.0, 2.0), tally(0.0, 0.0), 1.0);
        assert_eq!(advise(&[few], 10).start, None);
        let free = TierKnown { cost: None, ..known(Tier::Cheap, tally(40.0, 2.0), tally(0.0, 0.0), 1.0) };
        let advice = advise(&[free], 10);
        assert_eq!((advice.start, advice.tiers[0].expected_cost), (None, None));
        assert_eq!(advise(&[], 10), StartAdvice { start: None, tiers: Vec::new() });
    }

    #[test]
    fn a_role_that_was_never_tried_here_leans_on_what_it_does_elsewhere() {
        let elsewhere = TierPast { first: tally(90.0, 10.0), later: Tally::default() };
        let tier = TierKnown {
            tier: Tier::Cheap,
            here: TierPast { first: tally(0.0, 1.0), later: Tally::default() },
            role: elsewhere,
            all: elsewhere,
            cost: Some(1.0),
            n: 1,
        };
        let chance = advise(&[tier], 10).tiers[0].p_pass;
        assert!((0.7..0.9).contains(&chance), "{chance}");
    }
}
