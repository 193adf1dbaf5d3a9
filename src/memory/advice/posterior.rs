//! What passes and failures say about a chance, and what to believe where they are few: a Beta posterior that leans on its parent's.
//!
//! Counts may be fractions: old outcomes count less.

use statrs::distribution::{Beta as BetaDistribution, ContinuousCDF};
use statrs::function::gamma::digamma;

/// How many outcomes of its own a place needs to speak as loudly as its parent. Roles of public outcome tables differ by about as much
/// as four outcomes do; with more the interval of a role unlike the others is too narrow.
pub const PARENT_STRENGTH: f64 = 4.0;

/// What is believed of either outcome at least, as in Jeffreys' prior: without it a place that has only ever passed, below parents that
/// have, would be believed to pass always, with an interval of no width.
const LEAST: f64 = 0.5;

/// Weighted passes and failures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// The weight of what passed.
    pub passed: f64,
    /// The weight of what failed.
    pub failed: f64,
}

impl Tally {
    /// Adds an outcome between 0 (failed) and 1 (passed).
    pub fn add(&mut self, outcome: f64, weight: f64) {
        self.passed += weight * outcome;
        self.failed += weight * (1.0 - outcome);
    }

    /// Returns the tally without one outcome that it holds.
    pub fn without(self, outcome: f64, weight: f64) -> Self {
        Self { passed: (self.passed - weight * outcome).max(0.0), failed: (self.failed - weight * (1.0 - outcome)).max(0.0) }
    }

    /// Returns the tally without what another one holds that it is the sum of.
    #[must_use]
    pub fn less(self, part: Self) -> Self {
        Self { passed: (self.passed - part.passed).max(0.0), failed: (self.failed - part.failed).max(0.0) }
    }

    /// Returns the weight of all.
    pub fn total(self) -> f64 {
        self.passed + self.failed
    }

    /// Returns the posterior of a place without parents (Jeffreys' prior).
    pub fn alone(self) -> Beta {
        Beta { passed: self.passed + LEAST, failed: self.failed + LEAST }
    }

    /// Returns the posterior of a place below `parent`, in which it is not counted.
    pub fn below(self, parent: Beta) -> Beta {
        let (mean, strength) = (parent.mean(), parent.evidence().min(PARENT_STRENGTH));
        Beta { passed: self.passed + (strength * mean).max(LEAST), failed: self.failed + (strength * (1.0 - mean)).max(LEAST) }
    }
}

/// A Beta distribution of a chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    passed: f64,
    failed: f64,
}

impl Beta {
    /// Returns the distribution with `mean` that `evidence` outcomes would give.
    pub fn around(mean: f64, evidence: f64) -> Self {
        let (mean, evidence) = (mean.clamp(0.0, 1.0), evidence.max(0.0) + 1.0);
        Self { passed: (mean * evidence).max(LEAST), failed: ((1.0 - mean) * evidence).max(LEAST) }
    }

    /// Returns the distribution with this mean and variance; what no distribution has is moved to the nearest that one has.
    pub fn with_moments(mean: f64, variance: f64) -> Self {
        let mean = mean.clamp(1e-6, 1.0 - 1e-6);
        let most = mean * (1.0 - mean);
        let evidence = (most / variance.clamp(most * 1e-9, most * 0.5) - 1.0).max(1.0);
        Self { passed: mean * evidence, failed: (1.0 - mean) * evidence }
    }

    /// Returns the distribution after more outcomes.
    #[must_use]
    pub fn and(self, more: Tally) -> Self {
        Self { passed: self.passed + more.passed, failed: self.failed + more.failed }
    }

    /// Returns how many outcomes it is worth.
    pub fn evidence(self) -> f64 {
        self.passed + self.failed
    }

    /// Returns the variance of the chance.
    pub fn variance(self) -> f64 {
        let mean = self.mean();
        mean * (1.0 - mean) / (self.evidence() + 1.0)
    }

    /// Returns mean and standard deviation of the chance's log odds.
    pub fn log_odds(self) -> (f64, f64) {
        // The variance of a log gamma is the derivative of the digamma function.
        let trigamma = |x: f64| {
            let step = x * 1e-3;
            (digamma(x + step) - digamma(x - step)) / (2.0 * step)
        };
        (digamma(self.passed) - digamma(self.failed), (trigamma(self.passed) + trigamma(self.failed)).max(0.0).sqrt())
    }

    /// Returns the expected chance.
    pub fn mean(self) -> f64 {
        self.passed / (self.passed + self.failed)
    }

    /// Returns the interval that holds the chance with probability `level`, half of the rest on either side.
    pub fn interval(self, level: f64) -> (f64, f64) {
        let rest = (1.0 - level) / 2.0;
        BetaDistribution::new(self.passed, self.failed).map_or((0.0, 1.0), |beta| {
            let (low, high) = (beta.inverse_cdf(rest), beta.inverse_cdf(1.0 - rest));
            if low.is_finite() && high.is_finite() && low < high {
                (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0))
            } else {
                (0.0, 1.0)
            }
        })
    }
}

/// Returns what an outcome of `age_days` ago still counts.
pub fn decay(age_days: f64, half_life_days: f64) -> f64 {
    if half_life_days > 0.0 { (-age_days.max(0.0) / half_life_days * std::f64::consts::LN_2).exp() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_outcomes_lean_on_the_parent_and_many_do_not() {
        let parent = Tally { passed: 90.0, failed: 10.0 }.alone();
        let few = Tally { passed: 0.0, failed: 2.0 }.below(parent).mean();
        let many = Tally { passed: 0.0, failed: 200.0 }.below(parent).mean();
        assert!((0.5..0.7).contains(&few), "{few}");
        assert!(many < 0.05, "{many}");
        assert!((Tally::default().below(parent).mean() - parent.mean()).abs() < 0.03);
    }

    #[test]
    fn an_outcome_counts_half_after_its_half_life() {
        assert!((decay(90.0, 90.0) - 0.5).abs() < 1e-12);
        assert!((decay(-5.0, 90.0) - 1.0).abs() < 1e-12);
        assert!((decay(1e9, 0.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_has_only_ever_passed_is_not_sure_to_pass() {
        let all = Tally { passed: 366.0, failed: 0.0 };
        let alone = Tally::default().below(Tally::default().alone());
        for belief in [all.alone(), all.below(all.below(all.alone())), all.below(alone), Beta::around(1.0, 366.0)] {
            let (low, high) = belief.interval(0.95);
            assert!((0.985..0.9965).contains(&low) && high > 0.9999, "{low} {high}");
        }
    }

    #[test]
    fn the_log_odds_of_a_chance_are_those_of_its_distribution() {
        // Of Beta(1, 1) logistic: mean 0, variance π²/3; of many outcomes normal.
        let (mean, spread) = Beta { passed: 1.0, failed: 1.0 }.log_odds();
        assert!(mean.abs() < 1e-9 && (spread - std::f64::consts::PI / 3f64.sqrt()).abs() < 1e-4, "{spread}");
        let (mean, spread) = Beta { passed: 300.0, failed: 100.0 }.log_odds();
        assert!((mean - 3f64.ln()).abs() < 0.01 && (spread - (1.0 / 300.0 + 1.0 / 100.0f64).sqrt()).abs() < 1e-3);
        let same = Beta::with_moments(0.75, Beta { passed: 300.0, failed: 100.0 }.variance());
        assert!((same.passed - 300.0).abs() < 1e-6 && (same.failed - 100.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_mean_and_narrows_with_evidence(mean in 0.0f64..=1.0, evidence in 0.0f64..1e4) {
            let wide = Beta::around(mean, evidence);
            let narrow = Beta::around(mean, evidence * 4.0 + 20.0);
            let (low, high) = wide.interval(0.95);
            prop_assert!(0.0 <= low && low < high && high <= 1.0);
            let (nlow, nhigh) = narrow.interval(0.95);
            prop_assert!(nhigh - nlow <= high - low + 1e-6);
            if (0.05..=0.95).contains(&mean) && evidence > 30.0 {
                prop_assert!(low <= mean && mean <= high);
            }
        }
    }
}
