//! A small line without axes, for a cell of a table.

use super::axis::Scale;
use super::drawing::{Drawing, Meaning};

/// Its width and height in pixels.
const SIZE: (f64, f64) = (120.0, 26.0);

/// Draws shares from 0 to 1 as a line; a missing one is a gap. `label` says what it shows.
pub fn spark(shares: &[Option<f64>], label: &str) -> Drawing {
    let scale = Scale::shares();
    let (width, height) = SIZE;
    let mut drawing = Drawing::new(width, height, label);
    let step = (width - 8.0) / shares.len().saturating_sub(1).max(1) as f64;
    let at = |place: usize, share: f64| (4.0 + place as f64 * step, height - 4.0 - scale.part(share) * (height - 8.0));
    drawing.rect([0.0, 0.0, width, height], "ground", Meaning::title(label));
    let points: Vec<(usize, f64)> = shares.iter().enumerate().filter_map(|(place, share)| Some((place, (*share)?))).collect();
    for two in points.windows(2) {
        if let [(a, from), (b, to)] = two {
            let class = if b - a == 1 { "trend" } else { "grid" };
            drawing.line(at(*a, *from), at(*b, *to), class, Meaning::default());
        }
    }
    if let Some((place, share)) = points.last() {
        drawing.dot(at(*place, *share), 3.0, "s0", Meaning::title(label));
    }
    drawing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawing::testing::faults;
    use super::*;

    proptest! {
        #[test]
        fn any_shares_are_drawn_inside_the_box(shares in proptest::collection::vec(proptest::option::of(any::<f64>()), 0..60)) {
            prop_assert_eq!(faults(&spark(&shares, "x")), Vec::<String>::new());
        }
    }
}
