//! Where the agents of a template should start, from how attempts at each tier went.
//!
//! The lowest tier is known from first attempts. A higher one is mostly known from attempts after a failure: how it does on what is left
//! of the tasks; what that says of first attempts is in [`super::identified`]. Both rates lean on those of the role in other templates,
//! and these on other roles. A start at the lowest tier asks for the rates after a failure, which are known; a start further up asks for
//! the rate of first attempts there.

use schemars::JsonSchema;
use serde::Serialize;

use super::choose::{Rung, Start, best, starts};
use super::identified::{Bounds, FirstAttempts, Moments};
use super::posterior::{Beta, Tally};
use crate::analytics::stats::CONFIDENCE;
use crate::domain::tier::Tier;

/// How attempts at one tier went, the old ones counting less.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TierPast {
    /// First attempts of agents.
    pub first: Tally,
    /// Attempts after one that had failed, at the tier below or at this one.
    pub later: Tally,
}

impl TierPast {
    fn less(self, part: Self) -> Self {
        Self { first: self.first.less(part.first), later: self.later.less(part.later) }
    }
}

/// What is known of one tier: of this role in this template, of the role anywhere, of the tier anywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierKnown {
    /// The tier.
    pub tier: Tier,
    /// This role in this template.
    pub here: TierPast,
    /// This role in all templates, this one included.
    pub role: TierPast,
    /// All roles in all templates, this one included.
    pub all: TierPast,
    /// Mean cost of an attempt of this role in this template, in nUSD; `None` when it is not known.
    pub cost: Option<f64>,
    /// First attempts of this role in this template that were judged, each counted whole.
    pub n_first: u64,
    /// The others.
    pub n_later: u64,
}

impl TierKnown {
    /// Returns all attempts.
    pub fn n(&self) -> u64 {
        self.n_first + self.n_later
    }

    /// Leans one kind of attempts on the same kind elsewhere. What is counted here is not counted in its parents again.
    fn belief(&self, of: fn(TierPast) -> Tally) -> Beta {
        let elsewhere = of(self.all.less(self.role)).alone();
        of(self.here).below(of(self.role.less(self.here)).below(elsewhere))
    }
}

/// From which attempts the pass rate of a tier's first attempts is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// First attempts at the tier: the rate was observed.
    FirstAttempts,
    /// Attempts after a failure alone: the rate is an estimate, and its interval holds what such attempts cannot say.
    AfterFailure,
    /// First attempts and attempts after a failure.
    Both,
    /// Attempts of other roles alone.
    OtherRoles,
}

impl Basis {
    /// Names what so many attempts of each kind are.
    pub fn of(n_first: u64, n_later: u64) -> Self {
        match (n_first, n_later) {
            (0, 0) => Self::OtherRoles,
            (0, _) => Self::AfterFailure,
            (_, 0) => Self::FirstAttempts,
            _ => Self::Both,
        }
    }
}

/// What is to be expected of one tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TierAdvice {
    /// The tier.
    pub tier: Tier,
    /// The chance that a first attempt passes: of any task, not only of those that lower tiers fail. See `basis`. Null, as every number
    /// made of attempts here, while there are fewer of them than `memory.min_sample`.
    pub p_pass: Option<f64>,
    /// The lower end of the interval that holds that chance with 95 %.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Attempts that it is known from: `n_first_attempts` and `n_after_failure`.
    pub n: u64,
    /// The chance that it passes and the next lower listed tier fails; of the lowest, the chance that it passes.
    pub benefit: Option<f64>,
    /// The expected cost of starting here and escalating while it fails, in nUSD; null when a cost is not known.
    pub expected_cost_nusd: Option<u64>,
    /// From which attempts `p_pass` is known.
    pub basis: Basis,
    /// The least and the most that `p_pass` can be, whatever the attempts that were not made would have come to (95 %).
    pub bounds: Option<Bounds>,
    /// The chance that an attempt after a failure passes; null for the lowest tier, and for fewer such attempts than the minimum sample.
    pub p_pass_after_failure: Option<f64>,
    /// The lower end of its interval (95 %).
    pub low_after_failure: Option<f64>,
    /// Its upper end.
    pub high_after_failure: Option<f64>,
    /// First attempts at this tier.
    pub n_first_attempts: u64,
    /// Attempts at this tier after a failure.
    pub n_after_failure: u64,
}

/// Where an agent should start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartAdvice {
    /// The tier; `None` under the minimum sample, or when a cost is not known.
    pub start: Option<Tier>,
    /// The tiers that were tried, lowest first.
    pub tiers: Vec<TierAdvice>,
}

/// What is believed of one tier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierBelief {
    /// The chance that a first attempt passes.
    pub pass: f64,
    /// What is known of that chance.
    pub first: FirstAttempts,
    /// Of its attempts after a failure; `None` for the lowest tier.
    pub after: Option<Beta>,
    /// The chance that it passes and the tier below fails; for the lowest, that it passes.
    pub benefit: f64,
}

/// Returns what is believed of tiers, lowest first.
pub fn beliefs(known: &[TierKnown]) -> Vec<TierBelief> {
    let mut beliefs: Vec<TierBelief> = Vec::new();
    // The share of all tasks that reach the tier.
    let mut reach = Moments::WHOLE;
    for tier in known {
        let here = tier.here;
        let Some(below) = beliefs.last() else {
            let rate = tier.belief(|past| past.first);
            let (pass, first) = (rate.mean(), FirstAttempts::observed(rate));
            beliefs.push(TierBelief { pass, first, after: None, benefit: pass });
            // What a second attempt at the lowest tier saves does not go further.
            let saved = here.later.passed.min(here.first.failed);
            let settled = Tally { passed: here.first.passed + saved, failed: here.first.failed - saved };
            reach = Moments::of(if saved > 0.0 { settled.alone() } else { rate }).rest();
            continue;
        };
        let after = tier.belief(|past| past.later);
        let first = FirstAttempts::after_failures(reach, beliefs.len(), after, Tally::default()).and_first(here.first);
        let benefit = (1.0 - below.pass) * after.mean();
        beliefs.push(TierBelief { pass: first.rate.mean(), first, after: Some(after), benefit });
        // Those that fail here came on either way.
        let climbed = reach.times(Moments::of(after).rest());
        reach = if here.first.failed > 0.0 {
            Moments::of(here.first.alone()).rest().or(here.first.failed, climbed, here.later.failed)
        } else {
            climbed
        };
    }
    beliefs
}

/// Says where to start. `known` are the tiers that were tried at all, lowest first; an agent may start at those of `allowed`. What was
/// tried less than `min_sample` times is given no number, and nothing is advised that rests on such a tier: the lowest that is allowed, or
/// the one that would be advised.
pub fn advise(known: &[TierKnown], allowed: &[Tier], min_sample: u64) -> StartAdvice {
    let beliefs = beliefs(known);
    let advice = |(tier, belief): (&TierKnown, &TierBelief)| {
        let enough = Enough { tier: tier.n() >= min_sample, after_failure: tier.n_later >= min_sample };
        belief.advice(tier.tier, tier.n_first, tier.n_later, enough)
    };
    let mut tiers: Vec<TierAdvice> = known.iter().zip(&beliefs).map(advice).collect();
    let places: Vec<usize> = (0..known.len()).filter(|place| allowed.contains(&known[*place].tier)).collect();
    let rungs: Option<Vec<Rung>> = places.iter().map(|place| Some(beliefs[*place].rung(known[*place].cost?))).collect();
    let expected: Vec<Start> = rungs.map(|rungs| starts(&rungs)).unwrap_or_default();
    let is_enough = |place: &usize| known[*place].n() >= min_sample;
    for (place, start) in places.iter().zip(&expected).filter(|(place, _)| is_enough(place)) {
        tiers[*place].expected_cost_nusd = Some(start.cost.round() as u64);
    }
    let start = best(&expected).and_then(|at| places.get(at)).filter(|place| is_enough(place));
    let start = start.filter(|_| places.first().is_some_and(is_enough)).map(|place| known[*place].tier);
    StartAdvice { start, tiers }
}

/// Of what there are as many attempts as a number needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enough {
    /// Attempts at the tier.
    pub tier: bool,
    /// Attempts there after a failure.
    pub after_failure: bool,
}

impl TierBelief {
    /// Returns the tier as the choice of a start sees it.
    pub fn rung(&self, cost: f64) -> Rung {
        Rung { pass: self.pass, rescue: self.after.map_or(self.pass, Beta::mean), cost }
    }

    /// Puts it in numbers, from so many attempts of either kind, where they are enough for one.
    pub fn advice(&self, tier: Tier, n_first: u64, n_later: u64, enough: Enough) -> TierAdvice {
        let ((low, high), bounds) = (self.first.interval(CONFIDENCE), self.first.bounds(CONFIDENCE));
        let belief = self.after.filter(|_| enough.after_failure);
        let after = belief.map(|after| after.interval(CONFIDENCE));
        let number = |number: f64| enough.tier.then_some(number);
        TierAdvice {
            tier,
            p_pass: number(self.pass),
            low: number(low.min(self.pass)),
            high: number(high.max(self.pass)),
            n: n_first + n_later,
            benefit: number(self.benefit),
            expected_cost_nusd: None,
            basis: Basis::of(n_first, n_later),
            bounds: enough.tier.then_some(Bounds { low: bounds.0, high: bounds.1 }),
            p_pass_after_failure: belief.map(Beta::mean),
            low_after_failure: after.map(|after| after.0),
            high_after_failure: after.map(|after| after.1),
            n_first_attempts: n_first,
            n_after_failure: n_later,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: f64, failed: f64) -> Tally {
        Tally { passed, failed }
    }

    fn known(tier: Tier, first: Tally, later: Tally, cost: f64) -> TierKnown {
        let here = TierPast { first, later };
        let (n_first, n_later) = (first.total() as u64, later.total() as u64);
        TierKnown { tier, here, role: here, all: here, cost: Some(cost), n_first, n_later }
    }

    /// The chance that a first attempt passes, with its interval.
    fn chance(tier: &TierAdvice) -> (f64, f64, f64) {
        (tier.p_pass.unwrap(), tier.low.unwrap(), tier.high.unwrap())
    }

    #[test]
    fn a_cheap_tier_that_mostly_passes_is_where_to_start() {
        let cheap = known(Tier::Cheap, tally(45.0, 5.0), tally(0.0, 0.0), 1.0);
        let capable = known(Tier::Capable, tally(0.0, 0.0), tally(4.0, 1.0), 10.0);
        let advice = advise(&[cheap, capable], &Tier::ALL, 5);
        assert_eq!(advice.start, Some(Tier::Cheap));
        let [cheap, capable] = advice.tiers.try_into().unwrap();
        let (p, low, high) = chance(&cheap);
        assert!((p - 0.9).abs() < 0.03 && low < 0.9 && high > 0.9);
        assert_eq!((cheap.basis, capable.basis), (Basis::FirstAttempts, Basis::AfterFailure));
        // What the cheap tier passes was never tried at the capable one: it may fail some of it.
        let ((p, low, high), bounds) = (chance(&capable), capable.bounds.unwrap());
        assert!(bounds.low < 0.12 && bounds.high > 0.95, "{capable:?}");
        assert!(low < 0.75 && high > 0.92 && (0.7..0.95).contains(&p), "{capable:?}");
        assert!((capable.p_pass_after_failure.unwrap() - 0.75).abs() < 1e-9, "{capable:?}");
        assert!((capable.benefit.unwrap() - 0.1 * 0.8).abs() < 0.04, "{capable:?}");
        assert_eq!(cheap.expected_cost_nusd, Some(2), "1 + 0.1 × 10");
    }

    #[test]
    fn a_cheap_tier_that_hardly_ever_passes_is_left_out() {
        let cheap = known(Tier::Cheap, tally(1.0, 59.0), tally(0.0, 0.0), 4.0);
        let capable = known(Tier::Capable, tally(0.0, 0.0), tally(55.0, 4.0), 10.0);
        assert_eq!(advise(&[cheap, capable], &Tier::ALL, 10).start, Some(Tier::Capable));
    }

    #[test]
    fn a_history_that_escalates_does_not_claim_what_first_attempts_would_do() {
        // 500 tasks of three tiers that pass 55, 65 and 64.8 % of all: cheap first, as a store records it.
        let cheap = known(Tier::Cheap, tally(275.0, 225.0), tally(0.0, 0.0), 1.0);
        let capable = known(Tier::Capable, tally(0.0, 0.0), tally(94.0, 131.0), 4.0);
        let premium = known(Tier::Premium, tally(0.0, 0.0), tally(35.0, 96.0), 16.0);
        let [cheap, capable, premium] = advise(&[cheap, capable, premium], &Tier::ALL, 10).tiers.try_into().unwrap();
        for (tier, truth, width) in [(&cheap, 0.55, 0.1), (&capable, 0.65, 0.55), (&premium, 0.648, 0.75)] {
            let (_, low, high) = chance(tier);
            assert!(low < truth && truth < high && high - low < width, "{tier:?}");
        }
        assert!((capable.p_pass_after_failure.unwrap() - 94.0 / 225.0).abs() < 0.01, "{capable:?}");
        assert_eq!((capable.n_first_attempts, capable.n_after_failure), (0, 225));
        // A start further up is not taken for granted to succeed as often.
        assert!(premium.expected_cost_nusd.unwrap() >= 16);
    }

    #[test]
    fn first_attempts_at_a_higher_tier_are_what_it_is_known_from() {
        let cheap = known(Tier::Cheap, tally(30.0, 20.0), tally(0.0, 0.0), 1.0);
        let capable = known(Tier::Capable, tally(120.0, 80.0), tally(10.0, 10.0), 4.0);
        let capable = advise(&[cheap, capable], &Tier::ALL, 10).tiers[1];
        assert_eq!(capable.basis, Basis::Both);
        let (p, low, high) = chance(&capable);
        assert!((p - 0.6).abs() < 0.03 && high - low < 0.15, "{capable:?}");
    }

    #[test]
    fn what_has_only_ever_passed_has_an_interval() {
        let cheap = TierKnown { tier: Tier::Cheap, ..known(Tier::Cheap, tally(366.0, 0.0), tally(0.0, 0.0), 1.0) };
        let tier = advise(&[cheap], &Tier::ALL, 10).tiers[0];
        let (p, low, _) = chance(&tier);
        assert!((0.985..0.9965).contains(&low) && p < 1.0, "{tier:?}");
    }

    #[test]
    fn nothing_is_advised_on_little_or_at_unknown_cost() {
        let few = known(Tier::Cheap, tally(4.0, 2.0), tally(0.0, 0.0), 1.0);
        let advice = advise(&[few], &Tier::ALL, 10);
        let tier = advice.tiers[0];
        assert_eq!((advice.start, tier.p_pass, tier.low, tier.benefit, tier.bounds), (None, None, None, None, None));
        assert_eq!((tier.n, tier.expected_cost_nusd), (6, None));
        let free = TierKnown { cost: None, ..known(Tier::Cheap, tally(40.0, 2.0), tally(0.0, 0.0), 1.0) };
        let advice = advise(&[free], &Tier::ALL, 10);
        assert_eq!((advice.start, advice.tiers[0].expected_cost_nusd), (None, None));
        assert_eq!(advise(&[], &Tier::ALL, 10), StartAdvice { start: None, tiers: Vec::new() });
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
            n_first: 1,
            n_later: 0,
        };
        let (chance, ..) = chance(&advise(&[tier], &Tier::ALL, 1).tiers[0]);
        assert!((0.7..0.9).contains(&chance), "{chance}");
    }

    #[test]
    fn a_tier_that_was_hardly_tried_is_given_no_number_beside_one_that_was() {
        let cheap = known(Tier::Cheap, tally(40.0, 10.0), tally(0.0, 0.0), 1.0);
        let capable = known(Tier::Capable, tally(0.0, 1.0), tally(2.0, 0.0), 10.0);
        let advice = advise(&[cheap, capable], &Tier::ALL, 10);
        assert_eq!(advice.start, Some(Tier::Cheap));
        assert!(advice.tiers[0].p_pass.is_some());
        let capable = advice.tiers[1];
        assert_eq!((capable.p_pass, capable.p_pass_after_failure, capable.expected_cost_nusd, capable.n), (None, None, None, 3));
        // Nor is it advised, however well those attempts went.
        let bad = known(Tier::Cheap, tally(1.0, 49.0), tally(0.0, 0.0), 9.0);
        assert_eq!(advise(&[bad, known(Tier::Capable, tally(0.0, 0.0), tally(5.0, 0.0), 10.0)], &Tier::ALL, 10).start, None);
    }

    #[test]
    fn an_agent_starts_where_its_strategy_lets_it() {
        let cheap = known(Tier::Cheap, tally(1.0, 2.0), tally(0.0, 0.0), 1.0);
        let premium = known(Tier::Premium, tally(18.0, 2.0), tally(0.0, 0.0), 10.0);
        assert_eq!(advise(&[cheap, premium], &Tier::ALL, 10).start, None, "too little is known of the lowest");
        assert_eq!(advise(&[cheap, premium], &[Tier::Premium], 10).start, Some(Tier::Premium), "its only tier");
    }
}
