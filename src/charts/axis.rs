//! Axes: round steps, labels with their unit, and only as many labels as there is room for.

use super::drawing::{Anchor, Drawing, Meaning};
use super::text;
use crate::domain::money::{NanoUsd, grouped};

/// Pixels between two labels at least.
const GAP: f64 = 8.0;

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Money in nUSD.
    Money,
    /// Shares from 0 to 1, shown in percent.
    Share,
}

impl Unit {
    /// Writes a round number of an axis: `$0.02`, `1,500`, `50 %`.
    pub fn label(self, value: f64) -> String {
        match self {
            Self::Money => {
                let amount = NanoUsd(value.round().clamp(0.0, u64::MAX as f64) as u64);
                let (whole, decimal) = (grouped(amount.0 / NanoUsd::PER_USD), amount.to_decimal());
                let rest = decimal.split_once('.').map_or("", |(_, rest)| rest);
                let rest = if rest.len() == 1 { format!("{rest}0") } else { rest.to_owned() };
                if rest.is_empty() { format!("${whole}") } else { format!("${whole}.{rest}") }
            }
            Self::Share => format!("{:.0} %", value * 100.0),
        }
    }

    /// The smallest step that is not finer than what is counted.
    fn step_min(self) -> f64 {
        match self {
            Self::Money => 1.0,
            Self::Share => 0.01,
        }
    }
}

/// Larger numbers are drawn as this one: more than any sum of nUSD.
const LARGEST: f64 = 1e20;

/// Returns a number that can be drawn: what is no number, or negative, is nothing.
pub fn drawable(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, LARGEST) }
}

/// Numbers from 0 to a round end, with the ticks between.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// The unit of its numbers.
    pub unit: Unit,
    /// The last tick.
    pub end: f64,
    /// The ticks, from 0.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// Returns a scale that reaches `largest`, with about `wanted` steps of 1, 2 or 5 × 10ⁿ.
    pub fn new(unit: Unit, largest: f64, wanted: usize) -> Self {
        let wanted = wanted.max(1);
        let largest = drawable(largest).max(unit.step_min());
        let rough = (largest / wanted as f64).max(unit.step_min());
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough * 0.999_999);
        let step = step.unwrap_or(power * 10.0);
        let count = (largest / step - 1e-9).ceil().clamp(1.0, 20.0) as usize;
        let ticks: Vec<f64> = (0..=count).map(|place| place as f64 * step).collect();
        Self { unit, end: count as f64 * step, ticks }
    }

    /// Returns a scale of shares from 0 to 100 %.
    pub fn shares() -> Self {
        Self { unit: Unit::Share, end: 1.0, ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0] }
    }

    /// Returns the part of the whole scale that a number is, from 0 to 1.
    pub fn part(&self, value: f64) -> f64 {
        (drawable(value) / self.end).clamp(0.0, 1.0)
    }

    /// Returns the width of its widest label in pixels.
    pub fn label_width(&self) -> f64 {
        self.ticks.iter().map(|tick| text::width(&self.unit.label(*tick))).fold(0.0, f64::max)
    }
}

/// Where the data is drawn: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plot {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// Its right edge.
    pub right: f64,
    /// Its lower edge.
    pub bottom: f64,
}

impl Plot {
    /// Returns the height of a number on a vertical scale.
    pub fn y(&self, scale: &Scale, value: f64) -> f64 {
        self.bottom - scale.part(value) * (self.bottom - self.top)
    }

    /// Returns the place of a number on a horizontal scale.
    pub fn x(&self, scale: &Scale, value: f64) -> f64 {
        self.left + scale.part(value) * (self.right - self.left)
    }

    /// Draws the lines and labels of a vertical scale, at the left.
    pub fn vertical(&self, drawing: &mut Drawing, scale: &Scale) {
        for tick in &scale.ticks {
            self.line(drawing, scale, *tick);
            self.tick(drawing, scale, *tick);
        }
    }

    /// Draws a line of a vertical scale.
    pub fn line(&self, drawing: &mut Drawing, scale: &Scale, tick: f64) {
        let (y, class) = (self.y(scale, tick), if tick == 0.0 { "axis" } else { "grid" });
        drawing.line((self.left, y), (self.right, y), class, Meaning::default());
    }

    /// Draws a label of a vertical scale, at the left.
    pub fn tick(&self, drawing: &mut Drawing, scale: &Scale, tick: f64) {
        drawing.text((self.left - 6.0, self.y(scale, tick) + 4.0), Anchor::End, scale.unit.label(tick), "tick");
    }

    /// Draws the lines and labels of a horizontal scale, at the bottom.
    pub fn horizontal(&self, drawing: &mut Drawing, scale: &Scale) {
        let mut labels = Vec::new();
        for tick in &scale.ticks {
            let x = self.x(scale, *tick);
            drawing.line((x, self.top), (x, self.bottom), "grid", Meaning::default());
            labels.push((x, scale.unit.label(*tick)));
        }
        self.labels(drawing, &labels);
    }

    /// Draws labels under it, each at its place or moved inwards, and leaves out those for which there is no room.
    pub fn labels(&self, drawing: &mut Drawing, labels: &[(f64, String)]) {
        let widest = labels.iter().map(|(_, label)| text::width(label)).fold(0.0, f64::max);
        // Labels at a steady distance are read more easily than as many as fit.
        let band = match labels {
            [first, .., last] => (last.0 - first.0) / (labels.len() - 1) as f64,
            _ => f64::MAX,
        };
        let every = if band > 0.0 { ((widest + GAP) / band).ceil().clamp(1.0, 1e6) as usize } else { labels.len().max(1) };
        let mut free_from = f64::MIN;
        for (x, label) in labels.iter().step_by(every) {
            let half = text::width(label) / 2.0;
            let x = x.clamp(half.min(drawing.width / 2.0), (drawing.width - half).max(drawing.width / 2.0));
            if x - half >= free_from && half * 2.0 <= drawing.width {
                drawing.text((x, self.bottom + 16.0), Anchor::Middle, label.clone(), "tick");
                free_from = x + half + GAP;
            }
        }
    }
}

/// One entry of a legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its class of the style sheet.
    pub class: String,
    /// What it stands for.
    pub text: String,
    /// How it is drawn.
    pub sign: Sign,
}

/// How an entry of a legend is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// As a square, like a bar.
    Square,
    /// As a line.
    Line,
    /// As a dot.
    Dot,
}

/// Height of a row of a legend in pixels.
const KEY_ROW: f64 = 18.0;
/// Width of its mark and the space after it.
const MARK: f64 = 16.0;

/// Lays a legend out in rows of `width` pixels; returns the place of each entry and the height of all.
fn flow(keys: &[Key], width: f64) -> (Vec<(f64, f64, String)>, f64) {
    let (mut x, mut y, mut places) = (0.0, 0.0, Vec::new());
    for key in keys {
        let text = text::shorten(&key.text, width - MARK);
        let wide = MARK + text::width(&text);
        if x > 0.0 && x + wide > width {
            (x, y) = (0.0, y + KEY_ROW);
        }
        places.push((x, y, text));
        x += wide + 2.0 * GAP;
    }
    let height = if keys.is_empty() { 0.0 } else { y + KEY_ROW };
    (places, height)
}

/// Returns the height of a legend in pixels.
pub fn legend_height(keys: &[Key], width: f64) -> f64 {
    flow(keys, width).1
}

/// Draws a legend with its upper edge at `top`.
pub fn legend(drawing: &mut Drawing, keys: &[Key], top: f64) {
    let (places, _) = flow(keys, drawing.width);
    for (key, (x, y, text)) in keys.iter().zip(places) {
        let y = top + y;
        match key.sign {
            Sign::Square => drawing.rect([x, y + 3.5, 11.0, 11.0], key.class.clone(), Meaning::default()),
            Sign::Line => drawing.line((x, y + 9.0), (x + 11.0, y + 9.0), key.class.clone(), Meaning::default()),
            Sign::Dot => drawing.dot((x + 5.5, y + 9.0), 4.0, key.class.clone(), Meaning::default()),
        }
        drawing.text_meaning((x + MARK, y + 13.0), Anchor::Start, text, "", Meaning::title(key.text.clone()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_round_and_labels_carry_their_unit() {
        let labels = |unit: Unit, largest: f64| {
            let scale = Scale::new(unit, largest, 4);
            scale.ticks.iter().map(|tick| unit.label(*tick)).collect::<Vec<_>>()
        };
        assert_eq!(labels(Unit::Money, 35_400_000.0), ["$0", "$0.01", "$0.02", "$0.03", "$0.04"]);
        assert_eq!(labels(Unit::Money, 6_400e9), ["$0", "$2,000", "$4,000", "$6,000", "$8,000"]);
        assert_eq!(labels(Unit::Money, 1.4e9), ["$0", "$0.50", "$1", "$1.50"]);
        assert_eq!(labels(Unit::Share, 0.1), ["0 %", "5 %", "10 %"]);
    }

    proptest! {
        #[test]
        fn a_scale_reaches_its_largest_number(largest in any::<f64>(), wanted in 0usize..12) {
            let scale = Scale::new(Unit::Money, largest, wanted);
            prop_assert!(scale.end.is_finite() && scale.end > 0.0 && scale.ticks.len() <= 21);
            prop_assert!(scale.end >= drawable(largest) * 0.999_99);
            prop_assert!((0.0..=1.0).contains(&scale.part(largest)));
        }
    }
}
