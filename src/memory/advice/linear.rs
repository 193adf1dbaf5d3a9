//! Ridge regression by Cholesky, with a prediction for every row from a fit that has not seen it.
//!
//! The normal equations of disjoint folds add up, so the fit without one fold costs one decomposition and no second pass over
//! the rows. Knows rows of numbers only.

/// How many parts a history is cut into to predict each row from the others.
pub const FOLDS: usize = 5;

/// Rows of numbers, all of the same width, the last column being the constant 1 of the intercept.
#[derive(Clone, Debug)]
pub struct Rows {
    width: usize,
    values: Vec<f64>,
}

impl Rows {
    /// Makes an empty table of rows of `width` numbers; the constant is added.
    pub fn new(width: usize) -> Self {
        Self { width: width + 1, values: Vec::new() }
    }

    /// Adds a row; what is missing of its width is zero.
    pub fn push(&mut self, row: impl Iterator<Item = f64>) {
        let start = self.values.len();
        self.values.extend(row.take(self.width - 1));
        self.values.resize(start + self.width - 1, 0.0);
        self.values.push(1.0);
    }

    /// Returns row `index`.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Returns how many numbers a row has, without the constant.
    pub fn width(&self) -> usize {
        self.width - 1
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }
}

/// A fitted line.
#[derive(Clone, Debug, PartialEq)]
pub struct Ridge {
    weights: Vec<f64>,
}

impl Ridge {
    /// Returns the prediction for a row with its constant.
    pub fn predict(&self, row: &[f64]) -> f64 {
        dot(&self.weights, row)
    }
}

/// A fit on all rows and, for each row, the prediction of a fit without its fold.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The fit on all rows.
    pub ridge: Ridge,
    /// Per row, predicted without its fold.
    pub held_out: Vec<f64>,
}

/// The normal equations of rows for one weighting of them, decomposed: once for all rows, once without each fold. Any number of
/// targets can then be fitted at the price of a substitution.
#[derive(Clone, Debug)]
pub struct Normal {
    weights: Vec<f64>,
    whole: Factor,
    without: Vec<Factor>,
}

impl Normal {
    /// Adds up `rows`, each counted `weights` times and belonging to one of `folds` (0 to [`FOLDS`] - 1), with the penalty `lambda` on
    /// everything but the intercept.
    pub fn of(rows: &Rows, weights: &[f64], folds: &[usize], lambda: f64) -> Self {
        let mut grams = vec![vec![0.0; rows.width * rows.width]; FOLDS];
        for (fold, gram) in grams.iter_mut().enumerate() {
            let members: Vec<usize> = (0..rows.len()).filter(|&row| folds[row] == fold && weights[row] > 0.0).collect();
            for four in members.chunks(4) {
                add_outer(gram, rows, four, weights);
            }
        }
        let sum = |left_out: Option<usize>| {
            let mut sum = vec![0.0; rows.width * rows.width];
            for (fold, gram) in grams.iter().enumerate() {
                if Some(fold) != left_out {
                    sum.iter_mut().zip(gram).for_each(|(sum, part)| *sum += part);
                }
            }
            Factor::of(sum, rows.width, lambda)
        };
        let without = (0..FOLDS).map(|fold| sum(Some(fold))).collect();
        Self { weights: weights.to_vec(), whole: sum(None), without }
    }

    /// Returns the weights of the rows that it was made of.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Fits `targets` of the `rows` and `folds` that it was made of.
    pub fn fit(&self, rows: &Rows, folds: &[usize], targets: &[f64]) -> Fit {
        let mut sides = vec![vec![0.0; rows.width]; FOLDS];
        for row in 0..rows.len() {
            let scaled = self.weights[row] * targets[row];
            if scaled != 0.0 {
                for (side, value) in sides[folds[row]].iter_mut().zip(rows.row(row)) {
                    *side += scaled * value;
                }
            }
        }
        let side = |left_out: Option<usize>| {
            let mut sum = vec![0.0; rows.width];
            for (fold, side) in sides.iter().enumerate() {
                if Some(fold) != left_out {
                    sum.iter_mut().zip(side).for_each(|(sum, part)| *sum += part);
                }
            }
            sum
        };
        let parts: Vec<Ridge> =
            self.without.iter().enumerate().map(|(fold, factor)| Ridge { weights: factor.solve(side(Some(fold))) }).collect();
        let held_out = (0..rows.len()).map(|row| parts[folds[row]].predict(rows.row(row))).collect();
        Fit { ridge: Ridge { weights: self.whole.solve(side(None)) }, held_out }
    }
}

/// Adds the outer products of up to four rows to the upper triangle of `gram`: four at once, for each pass over it.
fn add_outer(gram: &mut [f64], rows: &Rows, members: &[usize], weights: &[f64]) {
    let width = rows.width;
    let zero = vec![0.0; width];
    let row = |at: usize| members.get(at).map_or(&zero[..], |&index| rows.row(index));
    let weight = |at: usize| members.get(at).map_or(0.0, |&index| weights[index]);
    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
    let w = [weight(0), weight(1), weight(2), weight(3)];
    for i in 0..width {
        let (wa, wb, wc, wd) = (w[0] * a[i], w[1] * b[i], w[2] * c[i], w[3] * d[i]);
        let sums = gram[i * width + i..(i + 1) * width].iter_mut();
        for ((((sum, a), b), c), d) in sums.zip(&a[i..]).zip(&b[i..]).zip(&c[i..]).zip(&d[i..]) {
            *sum += wa * a + wb * b + wc * c + wd * d;
        }
    }
}

/// A Cholesky decomposition: the upper triangle `U` with `U' U` the penalised normal matrix.
#[derive(Clone, Debug)]
struct Factor {
    width: usize,
    upper: Vec<f64>,
}

impl Factor {
    /// Decomposes the symmetric `gram`, given by its upper triangle, with `lambda` on its diagonal. The last column, the intercept, is
    /// not penalised but for a trace that keeps the matrix positive.
    fn of(gram: Vec<f64>, width: usize, lambda: f64) -> Self {
        let mut upper = gram;
        for i in 0..width {
            upper[i * width + i] += if i + 1 == width { 1e-6 } else { lambda.max(1e-6) };
        }
        // Row by row; each finished row is subtracted from those below.
        for k in 0..width {
            let (above, below) = upper.split_at_mut((k + 1) * width);
            let row = &mut above[k * width..];
            let pivot = row[k].max(1e-12).sqrt();
            row[k..].iter_mut().for_each(|value| *value /= pivot);
            for i in k + 1..width {
                let factor = row[i];
                if factor != 0.0 {
                    let target = &mut below[(i - k - 1) * width + i..(i - k) * width];
                    target.iter_mut().zip(&row[i..]).for_each(|(value, part)| *value -= factor * part);
                }
            }
        }
        Self { width, upper }
    }

    /// Solves `U' U x = side`.
    fn solve(&self, mut side: Vec<f64>) -> Vec<f64> {
        let (width, upper) = (self.width, &self.upper);
        for i in 0..width {
            side[i] /= upper[i * width + i];
            let solved = side[i];
            for j in i + 1..width {
                side[j] -= upper[i * width + j] * solved;
            }
        }
        for i in (0..width).rev() {
            let rest = dot(&upper[i * width + i + 1..(i + 1) * width], &side[i + 1..]);
            side[i] = (side[i] - rest) / upper[i * width + i];
        }
        side
    }
}

/// Returns the sum of products. Four sums side by side, so that one addition need not wait for the last.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (fours, rest) = a.as_chunks::<4>();
    let (other, other_rest) = b.as_chunks::<4>();
    for (x, y) in fours.iter().zip(other) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().zip(other_rest).map(|(x, y)| x * y).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(count: usize) -> (Rows, Vec<f64>, Vec<usize>) {
        let mut rows = Rows::new(2);
        let mut targets = Vec::new();
        let mut folds = Vec::new();
        for i in 0..count {
            let (x, y) = (i as f64 / 10.0, ((i * 7) % 13) as f64);
            rows.push([x, y].into_iter());
            targets.push(3.0 + 2.0 * x - y);
            folds.push(i % FOLDS);
        }
        (rows, targets, folds)
    }

    #[test]
    fn a_line_without_noise_is_found_and_predicts_rows_it_has_not_seen() {
        let (rows, targets, folds) = line(60);
        let weights = vec![1.0; 60];
        let fit = Normal::of(&rows, &weights, &folds, 1e-6).fit(&rows, &folds, &targets);
        for (row, target) in targets.iter().enumerate() {
            assert!((fit.ridge.predict(rows.row(row)) - target).abs() < 1e-4);
            assert!((fit.held_out[row] - target).abs() < 1e-3);
        }
    }

    #[test]
    fn the_intercept_is_not_penalised() {
        let (rows, _, folds) = line(30);
        let targets = vec![5.0; 30];
        let weights = vec![1.0; 30];
        let fit = Normal::of(&rows, &weights, &folds, 1e6).fit(&rows, &folds, &targets);
        assert!((fit.ridge.predict(rows.row(3)) - 5.0).abs() < 1e-3);
    }

    #[test]
    fn a_row_of_weight_two_is_a_row_twice() {
        let (rows, mut targets, folds) = line(20);
        targets[4] = 40.0;
        let mut weights = vec![1.0; 20];
        weights[4] = 2.0;
        let once = Normal::of(&rows, &weights, &folds, 1.0).fit(&rows, &folds, &targets);
        let mut more = rows.clone();
        more.push(rows.row(4)[..2].iter().copied());
        targets.push(40.0);
        let mut folds = folds;
        folds.push(folds[4]);
        let twice = Normal::of(&more, &[1.0; 21], &folds, 1.0).fit(&more, &folds, &targets);
        for (a, b) in once.ridge.weights.iter().zip(&twice.ridge.weights) {
            assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn rows_that_say_the_same_are_no_accident() {
        let mut rows = Rows::new(3);
        for _ in 0..4 {
            rows.push([1.0, 1.0, 1.0].into_iter());
        }
        let fit = Normal::of(&rows, &[1.0; 4], &[0, 1, 2, 3], 0.0).fit(&rows, &[0, 1, 2, 3], &[1.0, 0.0, 1.0, 0.0]);
        assert!(fit.held_out.iter().all(|value| value.is_finite()));
    }
}
