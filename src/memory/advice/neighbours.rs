//! The past tasks nearest to a task, and what they say about it.
//!
//! Near in meaning (the cosine of vectors of unit length) and in shape (standardised features): two questions about eggs are not alike
//! when one is a line and the other a page.

/// Neighbours that are asked, at most.
pub const NEIGHBOURS_MAX: usize = 160;

/// Neighbours that are kept per task, from which those with an answer to a question are taken.
const KEPT: usize = 3 * NEIGHBOURS_MAX;

/// What a mean squared difference of one standard deviation in shape takes from a cosine.
const SHAPE: f32 = 0.05;

/// A task as its neighbours see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPoint {
    /// Its vector of unit length; empty when it has none.
    pub vector: Vec<f32>,
    /// Its standardised features.
    pub shape: Vec<f32>,
}

impl TaskPoint {
    /// Returns how near `self` is to `other`: at most 1.
    fn nearness(&self, other: &Self) -> f32 {
        let apart: f32 = self.shape.iter().zip(&other.shape).map(|(a, b)| (a - b) * (a - b)).sum();
        cosine(&self.vector, &other.vector) - SHAPE * apart / self.shape.len().max(1) as f32
    }
}

/// The past tasks nearest to one task, nearest first: index and nearness.
pub type Near = Vec<(usize, f32)>;

/// Returns the places of `past` nearest to `place`, without the one at index `itself`. Vectors of another length are not compared.
pub fn nearest(past: &[TaskPoint], place: &TaskPoint, itself: Option<usize>) -> Near {
    let mut near: Near = past
        .iter()
        .enumerate()
        .filter(|(index, other)| Some(*index) != itself && other.vector.len() == place.vector.len())
        .map(|(index, other)| (index, place.nearness(other)))
        .filter(|(_, nearness)| nearness.is_finite())
        .collect();
    // Equally near ones are ordered by index, so that the answer never depends on the order of a selection.
    let closer = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if near.len() > KEPT {
        near.select_nth_unstable_by(KEPT, closer);
        near.truncate(KEPT);
    }
    near.sort_unstable_by(closer);
    near
}

/// Returns how many neighbours to ask in a history of `count` answers: a tenth, 10 to [`NEIGHBOURS_MAX`].
pub fn how_many(count: usize) -> usize {
    (count / 10).clamp(10, NEIGHBOURS_MAX)
}

/// Returns the weighted mean of `values` over the first `count` of `near` that have a weight, and over those that are as near as the
/// last of them: a task that was done a thousand times is not judged by ten of these. `None` when none has a weight. All count alike:
/// counting nearer ones more was worse on every table measured.
pub fn mean(near: &Near, count: usize, weights: &[f64], values: &[f64]) -> Option<f64> {
    let (mut sum, mut total, mut taken, mut last) = (0.0, 0.0, 0, f32::NAN);
    for &(index, nearness) in near.iter().filter(|(index, _)| weights[*index] > 0.0) {
        if taken >= count && nearness < last - 1e-6 {
            break;
        }
        sum += weights[index] * values[index];
        total += weights[index];
        taken += 1;
        if taken <= count {
            last = nearness;
        }
    }
    (total > 0.0).then(|| sum / total)
}

/// Returns the sum of products of two vectors. Eight sums side by side, so that one addition need not wait for the last.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (eights, rest) = a.as_chunks::<8>();
    let (other, other_rest) = b.as_chunks::<8>();
    for (x, y) in eights.iter().zip(other) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().zip(other_rest).map(|(x, y)| x * y).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(vector: &[f32], shape: f32) -> TaskPoint {
        TaskPoint { vector: vector.to_vec(), shape: vec![shape] }
    }

    #[test]
    fn the_nearest_come_first_and_a_task_is_not_its_own_neighbour() {
        let past = [place(&[1.0, 0.0], 0.0), place(&[0.8, 0.6], 0.0), place(&[0.0, 1.0], 0.0), place(&[1.0], 0.0)];
        let near = nearest(&past, &place(&[1.0, 0.0], 0.0), Some(0));
        assert_eq!(near.iter().map(|n| n.0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn of_two_with_the_same_meaning_the_one_of_like_shape_is_nearer() {
        let past = [place(&[1.0, 0.0], 3.0), place(&[1.0, 0.0], 0.5)];
        assert_eq!(nearest(&past, &place(&[1.0, 0.0], 0.0), None)[0].0, 1);
    }

    #[test]
    fn those_without_an_answer_are_not_asked() {
        let near = vec![(0, 0.9), (1, 0.8), (2, 0.7)];
        let values = [0.0, 1.0, 2.0];
        assert_eq!(mean(&near, 2, &[0.0, 1.0, 1.0], &values), Some(1.5));
        assert_eq!(mean(&near, 2, &[1.0, 3.0, 1.0], &values), Some(0.75));
        assert_eq!(mean(&near, 2, &[0.0; 3], &values), None);
    }

    #[test]
    fn those_as_near_as_the_last_are_asked_too() {
        let near = vec![(0, 0.9), (1, 0.8), (2, 0.8), (3, 0.7)];
        assert_eq!(mean(&near, 2, &[1.0; 4], &[0.0, 0.0, 3.0, 9.0]), Some(1.0));
    }

    #[test]
    fn a_long_history_keeps_only_the_nearest() {
        let past: Vec<TaskPoint> =
            (0..2000).map(|i| place(&[(i as f32 / 2000.0).cos(), (i as f32 / 2000.0).sin()], 0.0)).collect();
        let near = nearest(&past, &place(&[1.0, 0.0], 0.0), None);
        assert_eq!((near.len(), near[0].0, near[KEPT - 1].0), (KEPT, 0, KEPT - 1));
    }
}
