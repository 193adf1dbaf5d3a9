//! The formulas, each with its source. Nothing here knows what is counted.

use statrs::distribution::{ContinuousCDF, Normal};

/// The share of an interval's claims that are to hold.
pub const CONFIDENCE: f64 = 0.95;

/// The two-sided standard normal quantile of [`CONFIDENCE`].
pub const Z95: f64 = 1.959_963_984_540_054;

/// An estimate with the interval that holds it with [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Returns a share with Wilson's score interval; `None` without observations.
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). `n` may be an effective
/// number, as of observations that count less with age.
pub fn wilson(successes: f64, n: f64) -> Option<Estimate> {
    if n <= 0.0 {
        return None;
    }
    let share = (successes / n).clamp(0.0, 1.0);
    let z2 = Z95 * Z95;
    let center = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Some(Estimate { value: share, low: (center - half).clamp(0.0, share), high: (center + half).clamp(share, 1.0) })
}

/// Returns the difference of two shares, first minus second, with Newcombe's interval; `None` when one has no observations.
///
/// R. G. Newcombe, "Interval estimation for the difference between independent proportions", method 10, Statistics in Medicine 17
/// (1998): the two Wilson intervals, squared and added.
pub fn difference(first: (u64, u64), second: (u64, u64)) -> Option<Estimate> {
    let a = wilson(first.0 as f64, first.1 as f64)?;
    let b = wilson(second.0 as f64, second.1 as f64)?;
    let value = a.value - b.value;
    let low = value - ((a.value - a.low).powi(2) + (b.high - b.value).powi(2)).sqrt();
    let high = value + ((a.high - a.value).powi(2) + (b.value - b.low).powi(2)).sqrt();
    Some(Estimate { value, low: low.max(-1.0), high: high.min(1.0) })
}

/// Returns the two-sided p-value of Fisher's exact test that two shares are one.
///
/// R. A. Fisher, "Statistical Methods for Research Workers" (1934): the sum of the probabilities of all tables with the same margins
/// that are at most as likely as the observed one.
pub fn fisher(first: (u64, u64), second: (u64, u64)) -> f64 {
    let (a, n1, b, n2) = (first.0, first.1, second.0, second.1);
    let (hits, n) = (a + b, n1 + n2);
    if n1 == 0 || n2 == 0 {
        return 1.0;
    }
    let log_choose = |n: u64, k: u64| statrs::function::factorial::ln_binomial(n, k);
    let whole = log_choose(n, hits);
    let log_p = |x: u64| log_choose(n1, x) + log_choose(n2, hits - x) - whole;
    let observed = log_p(a);
    let sum: f64 = (hits.saturating_sub(n2)..=hits.min(n1)).map(log_p).filter(|p| *p <= observed + 1e-7).map(f64::exp).sum();
    sum.min(1.0)
}

/// Returns for each p-value its adjusted one: claims with an adjusted value of at most q are false in a share of at most q.
///
/// Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", JRSS B 57 (1995), the step-up procedure.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (from_end, place) in order.into_iter().enumerate() {
        let rank = (p.len() - from_end) as f64;
        least = least.min(p[place] * p.len() as f64 / rank);
        adjusted[place] = least;
    }
    adjusted
}

/// Returns the two-sided p-value of the difference of two shares by the pooled z test; 1 when it cannot be told.
pub fn two_shares(first: (u64, u64), second: (u64, u64)) -> f64 {
    let (n1, n2) = (first.1 as f64, second.1 as f64);
    let pooled = (first.0 + second.0) as f64 / (n1 + n2);
    let spread = (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    let z = (first.0 as f64 / n1 - second.0 as f64 / n2) / spread;
    if z.is_finite() { (2.0 * normal_above(z.abs())).min(1.0) } else { 1.0 }
}

/// Returns the probability that a standard normal number lies above `z`.
pub fn normal_above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// Returns the median; `None` without numbers. Sorts `numbers`.
pub fn median(numbers: &mut [f64]) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = *numbers.get(middle)?;
    Some(if numbers.len() % 2 == 1 { upper } else { (numbers[middle - 1] + upper) / 2.0 })
}

/// The middle and the spread of numbers, as few outliers can move them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robust {
    /// The median.
    pub median: f64,
    /// A spread that equals the standard deviation for normal numbers.
    pub spread: f64,
}

impl Robust {
    /// Returns the median and the scaled median absolute deviation; `None` when the numbers have no spread to compare with.
    ///
    /// B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers" (1993): 1.4826 × MAD, and where more than half of the numbers
    /// are equal 1.2533 × the mean absolute deviation.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        let median = median(&mut sorted)?;
        let mut away: Vec<f64> = numbers.iter().map(|number| (number - median).abs()).collect();
        let mean = away.iter().sum::<f64>() / away.len() as f64;
        let mad = self::median(&mut away)?;
        let spread = if mad > 0.0 { 1.4826 * mad } else { 1.2533 * mean };
        (spread > 0.0).then_some(Self { median, spread })
    }

    /// Returns how many spreads a number lies above the middle, below it negative.
    pub fn z(self, number: f64) -> f64 {
        (number - self.median) / self.spread
    }
}

/// Returns how much likelier `both` is than if its two sides had nothing to do with each other, with its interval: of `exposed` runs
/// `both` did, of the others `other_hits` of `others`; `None` when it cannot be told.
///
/// D. Katz et al., "Obtaining confidence intervals for the risk ratio", Biometrics 34 (1978): normal on the logarithm.
pub fn ratio(both: u64, exposed: u64, other_hits: u64, others: u64) -> Option<Estimate> {
    if both == 0 || other_hits == 0 || exposed == 0 || others == 0 {
        return None;
    }
    let (a, n1, b, n2) = (both as f64, exposed as f64, other_hits as f64, others as f64);
    let value = (a / n1) / (b / n2);
    let spread = (1.0 / a - 1.0 / n1 + 1.0 / b - 1.0 / n2).max(0.0).sqrt();
    Some(Estimate { value, low: value * (-Z95 * spread).exp(), high: value * (Z95 * spread).exp() })
}

/// Returns the number at `share` of the way through sorted numbers, nearest rank; `None` without numbers.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }

    #[test]
    fn the_intervals_are_those_of_the_literature() {
        // Newcombe 1998, table II: 81 of 263; and 56/70 against 48/80.
        let wilson = wilson(81.0, 263.0).unwrap();
        near(wilson.low, 0.2553);
        near(wilson.high, 0.3662);
        let difference = difference((56, 70), (48, 80)).unwrap();
        near(difference.value, 0.2);
        near(difference.low, 0.0524);
        near(difference.high, 0.3339);
    }

    #[test]
    fn the_lady_tasting_tea_is_told_her_p_value() {
        near(fisher((3, 4), (1, 4)), 0.4857);
        near(fisher((1, 10), (11, 14)), 0.002_759);
        near(fisher((0, 0), (1, 4)), 1.0);
    }

    #[test]
    fn discoveries_are_adjusted_step_up() {
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.into_iter().zip([0.02, 0.04, 0.04, 0.02]) {
            near(found, expected);
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn one_outlier_moves_neither_middle_nor_spread() {
        let robust = Robust::of(&[1.0, 2.0, 3.0, 4.0, 1000.0]).unwrap();
        near(robust.median, 3.0);
        near(robust.spread, 1.4826);
        assert!(robust.z(1000.0) > 600.0);
        assert_eq!(Robust::of(&[5.0, 5.0, 5.0]), None);
    }

    #[test]
    fn a_risk_ratio_has_the_interval_on_its_logarithm() {
        let ratio = ratio(20, 100, 10, 100).unwrap();
        near(ratio.value, 2.0);
        near(ratio.low, 0.9866);
        near(ratio.high, 4.0545);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_estimate_and_narrows_with_more_of_the_same(hits in 0u64..50, misses in 0u64..50, times in 2u64..20) {
            prop_assume!(hits + misses > 0);
            let few = wilson(hits as f64, (hits + misses) as f64).unwrap();
            let many = wilson((hits * times) as f64, ((hits + misses) * times) as f64).unwrap();
            prop_assert!(0.0 <= few.low && few.low <= few.value && few.value <= few.high && few.high <= 1.0);
            prop_assert!(many.high - many.low < few.high - few.low);
        }

        #[test]
        fn adjusted_p_values_are_never_smaller_and_keep_their_order(p in proptest::collection::vec(0.0f64..1.0, 1..30)) {
            let adjusted = benjamini_hochberg(&p);
            for (i, a) in p.iter().enumerate() {
                prop_assert!(adjusted[i] >= *a - 1e-12 && adjusted[i] <= 1.0);
                for (j, b) in p.iter().enumerate() {
                    prop_assert!(a > b || adjusted[i] <= adjusted[j] + 1e-12);
                }
            }
        }
    }
}
