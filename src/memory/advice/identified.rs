//! What attempts after a failure say about first attempts, and what they cannot say.
//!
//! A cheap-first history tries a higher tier only on tasks that the lower tiers failed. With `q` the share of all tasks that reach the
//! tier and `c` the rate at which it passes those, the pass rate of first attempts is `q c + (1 - q) k`, where `k`, the rate on the
//! tasks that never reach it, was seen nowhere. Without an assumption only bounds are known, `q c` and `q c + 1 - q` (C. F. Manski,
//! "Nonparametric bounds on treatment effects", American Economic Review 80 (1990)): [`FirstAttempts::bounds`].
//!
//! The estimate between them assumes one thing: that what lower tiers pass is easier for the higher one too, about as much as in
//! outcome tables where every model was asked everything. There `logit k` rises with `logit c`, with a slope below one; the log odds
//! ratio `logit k - logit c` has mean 1.8 and standard deviation 1.2 where one cheaper tier comes before (526 pairs of models, by
//! source, of LLMRouter) and 2.1 and 1.2 where two do (1,968 triples); on GSM8K it is 0.7. What is assumed is a little less, and less
//! sure. One chance in ten is left to a tier that passes all that cheaper ones pass. The interval holds the uncertainty of `k` and of the
//! counts; how often it holds the truth is measured by `meno bench route`.

use schemars::JsonSchema;
use serde::Serialize;

use super::posterior::{Beta, Tally};

/// The mean log odds of passing what lower tiers pass, where what they fail is passed with even odds: with one lower tier, with more.
const KEPT: [f64; 2] = [1.5, 2.0];

/// By how much these log odds rise with those of passing what lower tiers fail.
const KEPT_SLOPE: f64 = 0.75;

/// The standard deviation of these log odds.
const KEPT_SPREAD: f64 = 1.4;

/// The chance that a tier passes all that lower tiers pass.
const PASSES_ALL: f64 = 0.1;

/// Nodes and weights that integrate over a standard normal (Gauss–Hermite, seven points).
const NORMAL: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 0.000_548_268_855_972),
    (-2.366_759_410_734_541, 0.030_757_123_967_586),
    (-1.154_405_394_739_968, 0.240_123_178_605_013),
    (0.0, 0.457_142_857_142_857),
    (1.154_405_394_739_968, 0.240_123_178_605_013),
    (2.366_759_410_734_541, 0.030_757_123_967_586),
    (3.750_439_717_725_742, 0.000_548_268_855_972),
];

/// The least and the most that something can be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Bounds {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// Mean and mean square of an uncertain share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    mean: f64,
    square: f64,
}

impl Moments {
    /// The share is 1.
    pub const WHOLE: Self = Self { mean: 1.0, square: 1.0 };

    /// Returns the moments of a chance.
    pub fn of(chance: Beta) -> Self {
        let mean = chance.mean();
        Self { mean, square: mean * mean + chance.variance() }
    }

    /// Returns the moments of what is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self { mean: 1.0 - self.mean, square: 1.0 - 2.0 * self.mean + self.square }
    }

    /// Returns the moments of this share of another one, which is independent of it.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self { mean: self.mean * other.mean, square: self.square * other.square }
    }

    /// Returns the moments of a share that is this one with weight `own`, and `other` with weight `its`.
    #[must_use]
    pub fn or(self, own: f64, other: Self, its: f64) -> Self {
        let part = if own + its > 0.0 { own / (own + its) } else { 0.5 };
        let mix = |a: f64, b: f64| part * a + (1.0 - part) * b;
        Self { mean: mix(self.mean, other.mean), square: mix(self.square, other.square) }
    }

    /// Returns the Beta distribution with these moments.
    fn beta(self) -> Beta {
        Beta::with_moments(self.mean, self.square - self.mean * self.mean)
    }
}

/// What is known of the pass rate of a tier's first attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstAttempts {
    /// The rate, as an estimate.
    pub rate: Beta,
    /// The share of all tasks that pass here after a failure, and the share that fail here after one; the rest was never seen.
    seen: (Moments, Moments),
    /// The rate as first attempts alone show it; `None` without any.
    direct: Option<Beta>,
}

impl FirstAttempts {
    /// Estimates the rate from `reach`, the share of all tasks that reach the tier over `lower` other ones, from `after`, the chance that
    /// it passes those, and from `kept`, what it made of tasks that a lower tier had passed, where that was tried all the same.
    pub fn after_failures(reach: Moments, lower: usize, after: Beta, kept: Tally) -> Self {
        let c = Moments::of(after);
        let k = Unseen::of(lower, after).seen(kept);
        let unreached = reach.rest();
        let mean = unreached.mean * k.moments.mean + reach.mean * c.mean;
        // E[q (1 - q)] = E[q] - E[q²].
        let cross = (reach.mean - reach.square).max(0.0) * k.with_after;
        let square = unreached.square * k.moments.square + 2.0 * cross + reach.square * c.square;
        Self { rate: Moments { mean, square }.beta(), seen: (reach.times(c), reach.times(c.rest())), direct: None }
    }

    /// Takes the rate from first attempts alone.
    pub fn observed(rate: Beta) -> Self {
        let all = Moments::of(rate);
        Self { rate, seen: (all, all.rest()), direct: Some(rate) }
    }

    /// Adds first attempts at this tier.
    #[must_use]
    pub fn and_first(self, first: Tally) -> Self {
        if first.total() <= 0.0 {
            return self;
        }
        Self {
            rate: self.rate.and(first),
            direct: Some(self.direct.map_or_else(|| first.alone(), |rate| rate.and(first))),
            ..self
        }
    }

    /// Returns the interval that holds the rate with probability `level`, within the bounds.
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let (low, high) = self.rate.interval(level);
        if self.direct.is_some() {
            return (low, high);
        }
        let (least, most) = self.bounds(level);
        let within = (low.max(least), high.min(most));
        if within.0 < within.1 { within } else { (least, most) }
    }

    /// Returns the least and the most that the rate can be, whatever came of the attempts that were not made; each end is passed with
    /// probability `(1 - level) / 2` because the counts are small.
    pub fn bounds(&self, level: f64) -> (f64, f64) {
        let end = |share: Moments| share.beta().interval(level).0;
        let unseen = (end(self.seen.0), 1.0 - end(self.seen.1));
        let Some(direct) = self.direct else { return unseen };
        let direct = direct.interval(level);
        let both = (unseen.0.max(direct.0), unseen.1.min(direct.1));
        if both.0 < both.1 { both } else { direct }
    }
}

/// The rate on the tasks that never reach a tier.
#[derive(Clone, Copy, Debug)]
struct Unseen {
    moments: Moments,
    /// The mean of its product with the rate after a failure.
    with_after: f64,
    after_mean: f64,
}

impl Unseen {
    /// Returns what is believed of it before it was seen.
    fn of(lower: usize, after: Beta) -> Self {
        let (centre, spread) = after.log_odds();
        let kept = KEPT[usize::from(lower > 1)];
        let (mut k, mut square, mut with_after) = (0.0, 0.0, 0.0);
        for (a, a_weight) in NORMAL {
            let log_odds = centre + spread * a;
            let c = logistic(log_odds);
            for (b, b_weight) in NORMAL {
                let rate = logistic(kept + KEPT_SLOPE * log_odds + KEPT_SPREAD * b);
                let weight = a_weight * b_weight;
                k += weight * rate;
                square += weight * rate * rate;
                with_after += weight * rate * c;
            }
        }
        let or_all = |moment: f64, all: f64| PASSES_ALL * all + (1.0 - PASSES_ALL) * moment;
        let after_mean = after.mean();
        let moments = Moments { mean: or_all(k, 1.0), square: or_all(square, 1.0) };
        Self { moments, with_after: or_all(with_after, after_mean), after_mean }
    }

    /// Takes in what was seen of it.
    fn seen(self, kept: Tally) -> Self {
        if kept.total() <= 0.0 {
            return self;
        }
        let before = self.moments.beta();
        let moments = Moments::of(before.and(kept));
        // What is seen of it itself says the more the less its belief hangs on the rate after a failure.
        let together = self.with_after - self.moments.mean * self.after_mean;
        let left = before.evidence() / (before.evidence() + kept.total());
        Self { moments, with_after: moments.mean * self.after_mean + together * left, after_mean: self.after_mean }
    }
}

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(passed: f64, failed: f64) -> Tally {
        Tally { passed, failed }
    }

    fn after(reached: Tally, passed: Tally) -> FirstAttempts {
        FirstAttempts::after_failures(Moments::of(reached.alone()), 1, passed.alone(), Tally::default())
    }

    #[test]
    fn what_was_tried_after_failures_alone_is_between_the_bounds_and_no_surer_than_that() {
        // 600 of 1000 pass at once, 160 of the 400 others after that.
        let found = after(tally(400.0, 600.0), tally(160.0, 240.0));
        let (low, high) = found.bounds(0.95);
        assert!((0.12..0.16).contains(&low) && (0.76..0.80).contains(&high), "{low} {high}");
        let (low, high) = found.interval(0.9);
        assert!(low > 0.25 && high < 0.8 && high - low > 0.2, "{low} {high}");
        // 71 % would be too sure, and .65 is well possible.
        assert!(low < 0.648 && 0.648 < high && (0.5..0.7).contains(&found.rate.mean()), "{found:?}");
    }

    #[test]
    fn nothing_is_assumed_where_everything_was_tried() {
        let all = after(tally(500.0, 0.0), tally(320.0, 180.0));
        let (low, high) = all.interval(0.95);
        assert!((all.rate.mean() - 0.64).abs() < 0.01 && high - low < 0.1, "{all:?}");
        let observed = FirstAttempts::observed(tally(320.0, 180.0).alone());
        let stated = observed.interval(0.95);
        assert!((stated.0 - low).abs() < 0.02 && (stated.1 - high).abs() < 0.02);
        // Tasks that the lower tier passes were tried as well, and half of them failed.
        let kept = FirstAttempts::after_failures(
            Moments::of(tally(400.0, 600.0).alone()),
            1,
            tally(160.0, 240.0).alone(),
            tally(300.0, 300.0),
        );
        assert!((kept.rate.mean() - (0.4 * 0.4 + 0.6 * 0.5)).abs() < 0.02, "{kept:?}");
        let (low, high) = kept.interval(0.95);
        assert!(high - low < 0.12, "{low} {high}");
    }

    #[test]
    fn first_attempts_weigh_more_than_any_assumption() {
        let found = after(tally(40.0, 60.0), tally(16.0, 24.0)).and_first(tally(90.0, 210.0));
        assert!((found.rate.mean() - 0.32).abs() < 0.04, "{found:?}");
        let (low, high) = found.bounds(0.95);
        assert!(0.24 < low && low < 0.30 && 0.30 < high && high < 0.36, "{low} {high}");
    }

    proptest! {
        #[test]
        fn an_interval_is_never_a_point_and_holds_its_estimate(
            reached in (0.0f64..1e4, 0.0f64..1e4), passed in (0.0f64..1e4, 0.0f64..1e4), first in (0.0f64..500.0, 0.0f64..500.0),
            kept in (0.0f64..500.0, 0.0f64..500.0),
        ) {
            let reach = Moments::of(tally(reached.0, reached.1).alone());
            let found = FirstAttempts::after_failures(reach, 1, tally(passed.0, passed.1).alone(), tally(kept.0, kept.1));
            for found in [found, found.and_first(tally(first.0, first.1))] {
                for level in [0.9, 0.95] {
                    for (low, high) in [found.interval(level), found.bounds(level)] {
                        prop_assert!(0.0 <= low && low < high && high <= 1.0, "{low} {high}");
                    }
                }
                let (low, high) = found.interval(0.95);
                prop_assert!(low <= found.rate.mean() + 0.02 && found.rate.mean() <= high + 0.02, "{found:?}");
            }
        }
    }
}
