//! Shares with their intervals: a dot for the value, a line for what 95 % of such intervals hold.

use super::axis::{Plot, Scale, drawable};
use super::drawing::{Anchor, Drawing, Meaning};
use super::text;

/// Height of a row in pixels.
const ROW: f64 = 38.0;

/// A share with its interval; from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The share.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is of.
    pub name: String,
    /// The share; `None` where there is too little to claim one.
    pub interval: Option<Interval>,
    /// The share in words.
    pub words: String,
    /// The colour's class of the style sheet.
    pub class: String,
    /// What it says, and where it leads.
    pub meaning: Meaning,
}

/// Draws one row per share over an axis from 0 to 100 %, `width` pixels wide.
pub fn intervals(label: &str, rows: &[Row], width: f64) -> Drawing {
    let scale = Scale::shares();
    let plot = Plot { left: 6.0, top: 0.0, right: width - 6.0, bottom: rows.len() as f64 * ROW };
    let mut drawing = Drawing::new(width, plot.bottom + 22.0, label);
    plot.horizontal(&mut drawing, &scale);
    for (place, row) in rows.iter().enumerate() {
        let top = place as f64 * ROW;
        let words = text::shorten(&row.words, width * 0.55);
        let room = width - text::width(&words) - 12.0;
        let name = text::shorten(&row.name, room);
        let back = |from: f64, wide: f64| [from, top + 3.0, wide, 14.0];
        // The grid does not run through words.
        drawing.rect(back(0.0, text::width(&name).min(width)), "paper", Meaning::default());
        drawing.rect(back(width - text::width(&words), text::width(&words)), "paper", Meaning::default());
        drawing.text_meaning((0.0, top + 14.0), Anchor::Start, name, "", Meaning::title(row.name.clone()));
        drawing.text((width, top + 14.0), Anchor::End, words, "value");
        let y = top + 27.0;
        let Some(interval) = row.interval else { continue };
        let (low, high) = (plot.x(&scale, interval.low.min(interval.high)), plot.x(&scale, interval.high.max(interval.low)));
        drawing.line((low, y), (high, y), format!("whisker {}", row.class), row.meaning.clone());
        for end in [low, high] {
            drawing.line((end, y - 4.0), (end, y + 4.0), format!("whisker {}", row.class), Meaning::default());
        }
        drawing.dot((plot.x(&scale, drawable(interval.value)), y), 4.5, row.class.clone(), row.meaning.clone());
    }
    drawing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawing::testing::faults;
    use super::*;

    fn row(name: &str, interval: Option<[f64; 3]>) -> Row {
        Row {
            name: name.to_owned(),
            interval: interval.map(|[low, value, high]| Interval { value, low, high }),
            words: format!("{name} %"),
            class: "cheap".to_owned(),
            meaning: Meaning::title(name),
        }
    }

    #[test]
    fn a_share_stands_between_the_ends_of_its_interval() {
        let rows = [row("linter, cheap", Some([0.4, 0.6, 0.75])), row("writer", None)];
        insta::assert_snapshot!(intervals("passed", &rows, 320.0).to_svg());
    }

    proptest! {
        #[test]
        fn any_share_is_drawn_inside_the_box(
            rows in proptest::collection::vec((any::<String>(), proptest::option::of(any::<[f64; 3]>())), 0..12),
            width in prop_oneof![Just(328.0), Just(900.0)],
        ) {
            let rows: Vec<Row> = rows.iter().map(|(name, interval)| row(name, *interval)).collect();
            prop_assert_eq!(faults(&intervals("x", &rows, width)), Vec::<String>::new());
        }
    }
}
