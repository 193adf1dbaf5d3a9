//! A histogram of amounts from which quantiles are read: it merges in any order, and what was added can be taken out again.
//!
//! Buckets are those of HdrHistogram (G. Tene): a number below 128 has a bucket of its own, above that its highest seven bits
//! choose one, and a quantile is the mean of the bucket that it falls into: within 1/64 of the amount that stands there, and never outside
//! of what was added. Everything is an integer: the same amounts give the same sketch on every machine. What the amounts are is not known
//! here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bits of an amount that choose its bucket.
const BITS: u32 = 7;

/// Amounts by bucket, with their exact number and sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    buckets: BTreeMap<u16, Bucket>,
    count: u64,
    sum: u128,
}

/// The amounts of a bucket: how many, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    count: u64,
    sum: u128,
}

impl Bucket {
    /// Returns the mean, which lies between the smallest and the largest of them.
    fn mean(self) -> u64 {
        u64::try_from(self.sum / u128::from(self.count.max(1))).unwrap_or(u64::MAX)
    }
}

impl Sketch {
    /// Adds an amount.
    pub fn add(&mut self, amount: u64) {
        let held = self.buckets.entry(bucket(amount)).or_default();
        held.count += 1;
        held.sum += u128::from(amount);
        self.count += 1;
        self.sum = self.sum.saturating_add(u128::from(amount));
    }

    /// Takes out an amount that was added before.
    pub fn take_out(&mut self, amount: u64) {
        let bucket = bucket(amount);
        let Some(held) = self.buckets.get_mut(&bucket) else { return };
        held.count -= 1;
        held.sum = held.sum.saturating_sub(u128::from(amount));
        if held.count == 0 {
            self.buckets.remove(&bucket);
        }
        self.count -= 1;
        self.sum = self.sum.saturating_sub(u128::from(amount));
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in &other.buckets {
            let held = self.buckets.entry(*bucket).or_default();
            held.count += more.count;
            held.sum = held.sum.saturating_add(more.sum);
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Returns how many amounts there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the exact sum of all amounts.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Returns the mean; `None` when there are no amounts.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// Returns the amount at `share` (0 to 1) of the way through the sorted amounts, the mean of the nearest rank's bucket; `None` without amounts.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = ((share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut passed = 0;
        self.buckets.values().find_map(|held| {
            passed += held.count;
            (passed >= rank).then(|| held.mean())
        })
    }
}

fn bucket(amount: u64) -> u16 {
    let length = u64::BITS - amount.leading_zeros();
    let shift = length.saturating_sub(BITS);
    // The highest seven bits begin with a one once there is a shift, so 64 buckets belong to each shift.
    let top = (amount >> shift) as u16;
    top + (shift as u16) * (1 << (BITS - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(amounts: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        amounts.iter().for_each(|amount| sketch.add(*amount));
        sketch
    }

    #[test]
    fn small_amounts_are_exact_and_nothing_has_no_quantile() {
        let sketch = sketch(&[3, 1, 2, 100, 127]);
        assert_eq!([0.0, 0.2, 0.5, 0.8, 1.0].map(|share| sketch.quantile(share)), [1, 1, 3, 100, 127].map(Some));
        assert_eq!((Sketch::default().quantile(0.5), Sketch::default().mean()), (None, None));
    }

    proptest! {
        #[test]
        fn a_quantile_is_near_its_amount_and_never_outside_of_all(
            amounts in proptest::collection::vec(any::<u64>(), 1..8), share in 0.0f64..=1.0,
        ) {
            let found = sketch(&amounts).quantile(share).unwrap();
            prop_assert!(amounts.iter().min() <= Some(&found) && Some(&found) <= amounts.iter().max());
            prop_assert!(amounts.iter().any(|amount| found.abs_diff(*amount) as f64 <= *amount as f64 / 64.0));
            prop_assert_eq!(sketch(&amounts[..1]).quantile(share), Some(amounts[0]), "one amount is itself");
        }

        #[test]
        fn merging_is_adding_in_any_order_and_taking_out_undoes_it(
            a in proptest::collection::vec(0u64..10_000_000_000, 0..40),
            b in proptest::collection::vec(0u64..10_000_000_000, 0..40),
        ) {
            let (mut left, mut right) = (sketch(&a), sketch(&b));
            let whole = sketch(&[a.clone(), b.clone()].concat());
            left.merge(&sketch(&b));
            right.merge(&sketch(&a));
            prop_assert_eq!(&left, &whole);
            prop_assert_eq!(&right, &whole);
            b.iter().for_each(|amount| left.take_out(*amount));
            prop_assert_eq!(left, sketch(&a));
        }

        #[test]
        fn a_quantile_is_the_amount_at_its_rank_within_a_bucket(
            mut amounts in proptest::collection::vec(0u64..10_000_000_000, 1..60),
            share in 0.0f64..=1.0,
        ) {
            let found = sketch(&amounts).quantile(share).unwrap();
            amounts.sort_unstable();
            let rank = ((share * amounts.len() as f64).ceil() as usize).clamp(1, amounts.len());
            prop_assert_eq!(bucket(found), bucket(amounts[rank - 1]));
        }
    }
}
