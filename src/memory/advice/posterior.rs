//! What passes and failures say about a chance, and what to believe where they are few: a Beta posterior that leans on its parent's.
//!
//! Counts may be fractions: old outcomes count less.

use statrs::distribution::{Beta as BetaDistribution, ContinuousCDF};

/// How many outcomes of its own a place needs to speak as loudly as its parent.
pub const PARENT_STRENGTH: f64 = 8.0;

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

    /// Returns the weight of all.
    pub fn total(self) -> f64 {
        self.passed + self.failed
    }

    /// Returns the posterior of a place without parents (Jeffreys' prior).
    pub fn alone(self) -> Beta {
        Beta { passed: self.passed + 0.5, failed: self.failed + 0.5 }
    }

    /// Returns the posterior of a place below `parent`.
    pub fn below(self, parent: Beta) -> Beta {
        let mean = parent.mean();
        Beta { passed: self.passed + PARENT_STRENGTH * mean, failed: self.failed + PARENT_STRENGTH * (1.0 - mean) }
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
        Self { passed: (mean * evidence).max(0.05), failed: ((1.0 - mean) * evidence).max(0.05) }
    }

    /// Returns the expected chance.
    pub fn mean(self) -> f64 {
        self.passed / (self.passed + self.failed)
    }

    /// Returns the interval that holds the chance with probability 0.95, half of the rest on either side.
    pub fn interval(self) -> (f64, f64) {
        BetaDistribution::new(self.passed, self.failed).map_or((0.0, 1.0), |beta| {
            let (low, high) = (beta.inverse_cdf(0.025), beta.inverse_cdf(0.975));
            if low.is_finite() && high.is_finite() { (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)) } else { (0.0, 1.0) }
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
        assert!((0.65..0.8).contains(&few), "{few}");
        assert!(many < 0.05, "{many}");
        assert!((Tally::default().below(parent).mean() - parent.mean()).abs() < 1e-12);
    }

    #[test]
    fn an_outcome_counts_half_after_its_half_life() {
        assert!((decay(90.0, 90.0) - 0.5).abs() < 1e-12);
        assert!((decay(-5.0, 90.0) - 1.0).abs() < 1e-12);
        assert!((decay(1e9, 0.0) - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_mean_and_narrows_with_evidence(mean in 0.0f64..=1.0, evidence in 0.0f64..1e4) {
            let wide = Beta::around(mean, evidence);
            let narrow = Beta::around(mean, evidence * 4.0 + 20.0);
            let (low, high) = wide.interval();
            prop_assert!(0.0 <= low && low <= high && high <= 1.0);
            let (nlow, nhigh) = narrow.interval();
            prop_assert!(nhigh - nlow <= high - low + 1e-6);
            if (0.05..=0.95).contains(&mean) && evidence > 30.0 {
                prop_assert!(low <= mean && mean <= high);
            }
        }
    }
}
