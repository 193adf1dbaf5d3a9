//! How good a ranking of tasks is at choosing which of them go to the stronger of two models.
//!
//! A router gives each task a score; with the share `c` of the highest scores sent to the stronger model the quality is `q(c)`. The
//! performance gap recovered is `PGR(c) = (q(c) - q(0)) / (q(1) - q(0))`; **APGR** is its mean over all `c` from 0 to 1, and
//! **CPT(x)** the smallest `c` with `PGR(c) >= x %` (Ong et al., *RouteLLM: Learning to Route LLMs with Preference Data*, 2024). Here the
//! curve has a point after every task and the area below it is exact; tasks of equal score are taken together, on the straight line
//! that their random order gives on average. A router without knowledge has 0.5; the oracle is above 1 where the weaker model is
//! right and the stronger wrong. Where the stronger model is not better there is no gap, and no number.

use super::chance::Chance;

/// What two models made of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    /// What the weaker model's answer is worth, 0 to 1.
    pub weak: f64,
    /// What the stronger model's answer is worth, 0 to 1.
    pub strong: f64,
    /// What the weaker model costs, in US dollars.
    pub weak_cost: f64,
    /// What the stronger model costs, in US dollars.
    pub strong_cost: f64,
}

/// Quality and cost against the share of tasks that go to the stronger model: a broken line.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
}

/// One point of a [`Curve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The share of tasks that go to the stronger model.
    pub share: f64,
    /// The mean quality.
    pub quality: f64,
    /// The mean cost, in US dollars.
    pub cost: f64,
}

impl Curve {
    /// Draws the curve of `scores`, the highest of which go to the stronger model first.
    pub fn of(scores: &[f64], pairs: &[Pair]) -> Self {
        let mut order: Vec<usize> = (0..pairs.len().min(scores.len())).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let count = order.len().max(1) as f64;
        let mut at = Point {
            share: 0.0,
            quality: order.iter().map(|&task| pairs[task].weak).sum::<f64>() / count,
            cost: order.iter().map(|&task| pairs[task].weak_cost).sum::<f64>() / count,
        };
        let mut points = vec![at];
        for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            for &task in group {
                at.quality += (pairs[task].strong - pairs[task].weak) / count;
                at.cost += (pairs[task].strong_cost - pairs[task].weak_cost) / count;
            }
            at.share += group.len() as f64 / count;
            points.push(at);
        }
        Self { points }
    }

    fn ends(&self) -> (Point, Point) {
        let none = Point { share: 0.0, quality: 0.0, cost: 0.0 };
        (self.points.first().copied().unwrap_or(none), self.points.last().copied().unwrap_or(none))
    }

    /// Returns the stronger model's lead; `None` when it has none.
    fn gap(&self) -> Option<f64> {
        let (first, last) = self.ends();
        let gap = last.quality - first.quality;
        (gap > 1e-9).then_some(gap)
    }

    /// Returns the mean performance gap recovered over all shares; `None` without a gap.
    pub fn apgr(&self) -> Option<f64> {
        let (gap, base) = (self.gap()?, self.ends().0.quality);
        let area: f64 =
            self.points.array_windows().map(|[a, b]| (b.share - a.share) * ((a.quality + b.quality) / 2.0 - base)).sum();
        Some(area / gap)
    }

    /// Returns the smallest share of calls of the stronger model that recovers `part` (0 to 1) of the gap; `None` without a gap.
    pub fn cpt(&self, part: f64) -> Option<f64> {
        let wanted = self.ends().0.quality + part * self.gap()?;
        self.first_reaching(wanted).map(|point| point.share)
    }

    /// Returns the first point of the curve whose quality is `wanted` or more.
    pub fn first_reaching(&self, wanted: f64) -> Option<Point> {
        let reached = |point: &Point| point.quality >= wanted - 1e-12;
        if let Some(first) = self.points.first().filter(|point| reached(point)) {
            return Some(*first);
        }
        self.points.array_windows().find(|[_, b]| reached(b)).map(|[a, b]| {
            let part = ((wanted - a.quality) / (b.quality - a.quality)).clamp(0.0, 1.0);
            between(*a, *b, part)
        })
    }

    /// Returns the cheapest point whose quality is `wanted` or more.
    pub fn cheapest_reaching(&self, wanted: f64) -> Option<Point> {
        self.points
            .iter()
            .filter(|point| point.quality >= wanted - 1e-12)
            .chain(self.first_reaching(wanted).as_ref())
            .copied()
            .min_by(|a, b| a.cost.total_cmp(&b.cost))
    }

    /// Returns the curve at `share`.
    pub fn at(&self, share: f64) -> Point {
        let share = share.clamp(0.0, 1.0);
        self.points
            .array_windows()
            .find(|[_, b]| b.share >= share - 1e-12)
            .map_or(self.ends().1, |[a, b]| between(*a, *b, ((share - a.share) / (b.share - a.share).max(1e-12)).clamp(0.0, 1.0)))
    }
}

fn between(a: Point, b: Point, part: f64) -> Point {
    let mix = |a: f64, b: f64| a + part * (b - a);
    Point { share: mix(a.share, b.share), quality: mix(a.quality, b.quality), cost: mix(a.cost, b.cost) }
}

/// A number with the interval that resampling gives it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Interval {
    /// Where 2.5 % of the resamples lie below.
    pub low: f64,
    /// Where 2.5 % of the resamples lie above.
    pub high: f64,
}

/// Returns the 95 % percentile interval of `number` over `resamples` of the indices below `count`, drawn with replacement by `seed`. Resamples
/// without a number are left out; `None` when fewer than half have one, and when all are alike: what does not vary here says nothing of
/// how much it varies.
pub fn bootstrap(count: usize, resamples: usize, seed: u64, number: impl Fn(&[usize]) -> Option<f64>) -> Option<Interval> {
    let mut chance = Chance::new(seed);
    let mut sample = vec![0; count];
    let mut numbers: Vec<f64> = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        sample.iter_mut().for_each(|index| *index = chance.below(count));
        numbers.extend(number(&sample).filter(|value| value.is_finite()));
    }
    if count == 0 || numbers.is_empty() || numbers.len() * 2 < resamples {
        return None;
    }
    numbers.sort_unstable_by(f64::total_cmp);
    let quantile = |part: f64| numbers[((numbers.len() - 1) as f64 * part).round() as usize];
    let interval = Interval { low: quantile(0.025), high: quantile(0.975) };
    (interval.low < interval.high).then_some(interval)
}

/// Returns APGR of `scores` with its bootstrap interval over tasks.
pub fn apgr_interval(scores: &[f64], pairs: &[Pair], resamples: usize, seed: u64) -> Option<Interval> {
    bootstrap(pairs.len(), resamples, seed, |sample| {
        let drawn: Vec<f64> = sample.iter().map(|&task| scores[task]).collect();
        let met: Vec<Pair> = sample.iter().map(|&task| pairs[task]).collect();
        Curve::of(&drawn, &met).apgr()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(weak: u8, strong: u8) -> Pair {
        Pair { weak: f64::from(weak), strong: f64::from(strong), weak_cost: 1.0, strong_cost: 10.0 }
    }

    #[test]
    fn the_curve_of_four_tasks_is_the_one_drawn_by_hand() {
        // One task gains, one is right anyway, one wrong anyway, one gains: quality 1/4 to 3/4.
        let pairs = [pair(0, 1), pair(1, 1), pair(0, 0), pair(0, 1)];
        let curve = Curve::of(&[4.0, 1.0, 2.0, 3.0], &pairs);
        // PGR 0, 1/2, 1, 1, 1: the area is (0.25 + 0.75 + 1 + 1) / 4.
        assert_eq!(curve.apgr(), Some(0.75));
        assert_eq!((curve.cpt(0.5), curve.cpt(0.8)), (Some(0.25), Some(0.4)));
        assert_eq!(curve.at(0.5), Point { share: 0.5, quality: 0.75, cost: 5.5 });
        assert_eq!(curve.cheapest_reaching(0.75).map(|point| point.cost), Some(5.5));
        assert_eq!(curve.cheapest_reaching(0.8), None);
    }

    #[test]
    fn equal_scores_are_a_coin() {
        let pairs = [pair(0, 1), pair(1, 1), pair(1, 0), pair(0, 1)];
        let apgr = Curve::of(&[1.0; 4], &pairs).apgr().unwrap();
        assert!((apgr - 0.5).abs() < 1e-12);
    }

    #[test]
    fn knowing_where_the_weak_one_is_better_gives_more_than_the_gap() {
        let pairs = [pair(0, 1), pair(0, 1), pair(1, 0), pair(1, 1)];
        assert!(Curve::of(&[2.0, 2.0, 0.0, 1.0], &pairs).apgr().unwrap() > 1.0);
    }

    #[test]
    fn without_a_gap_there_is_no_number() {
        assert_eq!(Curve::of(&[1.0, 2.0], &[pair(1, 0), pair(0, 1)]).apgr(), None);
        assert_eq!(Curve::of(&[], &[]).apgr(), None);
        assert_eq!(apgr_interval(&[], &[], 10, 1), None);
    }

    proptest! {
        #[test]
        fn a_share_of_a_curve_lies_on_it(rows in proptest::collection::vec((0u8..2, 0u8..2, 0.0f64..1.0), 1..40), share in 0.0f64..=1.0) {
            let pairs: Vec<Pair> = rows.iter().map(|row| pair(row.0, row.1)).collect();
            let scores: Vec<f64> = rows.iter().map(|row| (row.2 * 5.0).round()).collect();
            let curve = Curve::of(&scores, &pairs);
            let point = curve.at(share);
            prop_assert!((point.share - share).abs() < 1e-9);
            prop_assert!((-1e-9..=1.0 + 1e-9).contains(&point.quality));
            if let (Some(half), Some(most)) = (curve.cpt(0.5), curve.cpt(0.8)) {
                prop_assert!(half <= most && most <= 1.0 + 1e-9);
            }
            let turned: Vec<f64> = scores.iter().map(|score| score * 3.0 + 1.0).collect();
            prop_assert_eq!(curve.apgr(), Curve::of(&turned, &pairs).apgr());
        }
    }
}
