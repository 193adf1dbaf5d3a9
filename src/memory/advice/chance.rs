//! Numbers that look random and follow from a seed: splits, resampling and the random router give the same answer on every machine.

/// A SplitMix64 sequence.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns the next number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // 53 bits: what a float holds exactly.
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns the next number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The high half of a product: without division, and biased by less than 2^-32 for any table that fits memory.
        ((u128::from(self.number()) * bound as u128) >> 64) as usize
    }

    /// Returns the numbers from 0 to `count` - 1 in random order.
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

/// Returns `history` and `test` indices out of `count`, disjoint, chosen by `seed`; what is too much is left out of `test`.
pub fn split(count: usize, history: usize, test: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order = Chance::new(seed).order(count);
    let mut rest = order.split_off(history.min(count));
    rest.truncate(test);
    (order, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_disjoint_whole_and_the_same_for_the_same_seed() {
        let (history, test) = split(100, 60, 40, 7);
        let mut all: Vec<usize> = history.iter().chain(&test).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert_eq!(split(100, 60, 40, 7), (history.clone(), test));
        assert_ne!(split(100, 60, 40, 8).0, history);
    }

    #[test]
    fn a_split_of_too_few_tasks_is_what_there_is() {
        let (history, test) = split(5, 4, 9, 1);
        assert_eq!((history.len(), test.len()), (4, 1));
        assert_eq!(split(0, 4, 9, 1), (vec![], vec![]));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut chance = Chance::new(3);
        let mean = (0..10_000).map(|_| chance.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((0..1000).all(|_| chance.below(3) < 3));
    }
}
