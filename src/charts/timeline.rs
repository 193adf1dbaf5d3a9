//! Shares over time: one dot per week with its interval, a change marked on its day, and the days of runs unlike the others.

use jiff::civil::Date;

use super::axis::{Key, Plot, Scale, Sign, legend, legend_height};
use super::drawing::{Drawing, Meaning};
use super::intervals::Interval;

/// Height of the part with the shares in pixels.
const HEIGHT: f64 = 150.0;
/// Height of the strip with the marks under it.
const STRIP: f64 = 16.0;

/// A share at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub date: Date,
    /// The share as it was observed, from 0 to 1.
    pub value: f64,
    /// The ends of its interval; `None` where there is too little to claim one.
    pub interval: Option<(f64, f64)>,
    /// What it says, and where it leads.
    pub meaning: Meaning,
}

/// A day on which the share changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The first day of the later window.
    pub date: Date,
    /// The share before.
    pub before: Interval,
    /// The share since.
    pub after: Interval,
    /// What it says.
    pub title: String,
}

/// A mark under the shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub date: Date,
    /// What it says, and where it leads.
    pub meaning: Meaning,
}

/// Shares over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// What is shown, for those who do not see it.
    pub label: String,
    /// The shares, the oldest first.
    pub points: Vec<Point>,
    /// A change.
    pub change: Option<Change>,
    /// Marks.
    pub marks: Vec<Mark>,
}

impl Timeline {
    /// Draws it, `width` pixels wide.
    pub fn draw(&self, width: f64) -> Drawing {
        let scale = Scale::shares();
        let keys = self.keys();
        let strip = if self.marks.is_empty() { 0.0 } else { STRIP };
        let plot = Plot { left: scale.label_width() + 8.0, top: 10.0, right: width - 8.0, bottom: 10.0 + HEIGHT };
        let below = Plot { bottom: plot.bottom + strip, ..plot };
        let mut drawing = Drawing::new(width, below.bottom + 24.0 + legend_height(&keys, width), self.label.clone());
        plot.vertical(&mut drawing, &scale);
        let dates = || self.points.iter().map(|point| point.date).chain(self.marks.iter().map(|mark| mark.date));
        let (Some(first), Some(last)) = (dates().min(), dates().max()) else { return drawing };
        let days = days_between(first, last).max(1.0);
        // Half a dot is kept free at both ends.
        let x =
            |date: Date| plot.left + 5.0 + (days_between(first, date) / days).clamp(0.0, 1.0) * (plot.right - plot.left - 10.0);
        if let Some(change) = &self.change {
            let at = x(change.date);
            for (from, to, share) in [(plot.left, at, change.before), (at, plot.right, change.after)] {
                let (top, bottom) = (plot.y(&scale, share.high), plot.y(&scale, share.low));
                drawing.rect(
                    [from, top, (to - from).max(0.0), (bottom - top).max(0.0)],
                    "window",
                    Meaning::title(change.title.clone()),
                );
                let y = plot.y(&scale, share.value);
                drawing.line((from, y), (to.max(from), y), "level", Meaning::title(change.title.clone()));
            }
            drawing.line((at, plot.top), (at, plot.bottom), "change", Meaning::title(change.title.clone()));
        }
        for (a, b) in self.points.iter().zip(self.points.iter().skip(1)) {
            let at = |point: &Point| (x(point.date), plot.y(&scale, point.value));
            drawing.line(at(a), at(b), "trend", Meaning::default());
        }
        for point in &self.points {
            let at = (x(point.date), plot.y(&scale, point.value));
            if let Some((low, high)) = point.interval {
                drawing.line((at.0, plot.y(&scale, high)), (at.0, plot.y(&scale, low)), "whisker s0", Meaning::default());
            }
            let (radius, class) = if point.interval.is_some() { (4.0, "s0") } else { (3.0, "few") };
            drawing.dot(at, radius, class, point.meaning.clone());
        }
        for mark in &self.marks {
            drawing.dot((x(mark.date), plot.bottom + STRIP / 2.0 + 2.0), 3.5, "mark", mark.meaning.clone());
        }
        let labels: Vec<(f64, String)> = self.points.iter().map(|point| (x(point.date), point.date.to_string())).collect();
        below.labels(&mut drawing, &labels);
        legend(&mut drawing, &keys, below.bottom + 24.0);
        drawing
    }

    fn keys(&self) -> Vec<Key> {
        let key = |class: &str, text: &str, sign| Key { class: class.to_owned(), text: text.to_owned(), sign };
        let any = |claimed: bool| self.points.iter().any(|point| point.interval.is_some() == claimed);
        let entries = [
            (any(true), key("s0", "share with its 95 % interval", Sign::Dot)),
            (any(false), key("few", "too few to claim an interval", Sign::Dot)),
            (self.change.is_some(), key("change", "the share changed", Sign::Line)),
            (!self.marks.is_empty(), key("mark", "a run unlike the others", Sign::Dot)),
        ];
        entries.into_iter().filter_map(|(is_there, key)| is_there.then_some(key)).collect()
    }
}

fn days_between(from: Date, to: Date) -> f64 {
    from.until(to).map_or(0.0, |span| f64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::super::drawing::testing::faults;
    use super::*;

    fn at(day: i64) -> Date {
        date(2026, 1, 5).saturating_add(jiff::Span::new().days(day))
    }

    #[test]
    fn a_change_and_what_is_unlike_the_others_stand_on_their_days() {
        let point = |day, value, interval| Point { date: at(day), value, interval, meaning: Meaning::title("a week") };
        let share = |value: f64| Interval { value, low: value - 0.1, high: value + 0.1 };
        let timeline = Timeline {
            label: "success per week".into(),
            points: vec![point(0, 0.8, Some((0.6, 0.9))), point(7, 0.5, None)],
            change: Some(Change { date: at(7), before: share(0.8), after: share(0.5), title: "changed".into() }),
            marks: vec![Mark { date: at(3), meaning: Meaning { title: "cost".into(), href: Some("/runs/x".into()) } }],
        };
        insta::assert_snapshot!(timeline.draw(320.0).to_svg());
    }

    proptest! {
        #[test]
        fn any_history_is_drawn_inside_the_box(
            points in proptest::collection::vec((-400_000i64..400_000, any::<f64>(), proptest::option::of(any::<(f64, f64)>())), 0..40),
            marks in proptest::collection::vec(-400_000i64..400_000, 0..5),
            change in proptest::option::of((-400_000i64..400_000, any::<[f64; 6]>())),
            width in prop_oneof![Just(328.0), Just(900.0)],
        ) {
            let share = |of: &[f64]| Interval { value: of[0], low: of[1].min(of[2]), high: of[2].max(of[1]) };
            let mut points: Vec<Point> = points
                .into_iter()
                .map(|(day, value, interval)| {
                    let interval = interval.map(|(low, high)| (low.min(high), high.max(low)));
                    Point { date: at(day), value, interval, meaning: Meaning::default() }
                })
                .collect();
            points.sort_by_key(|point| point.date);
            let timeline = Timeline {
                label: "x".into(),
                points,
                change: change.map(|(day, of)| {
                    Change { date: at(day), before: share(&of[..3]), after: share(&of[3..]), title: "x".into() }
                }),
                marks: marks.into_iter().map(|day| Mark { date: at(day), meaning: Meaning::default() }).collect(),
            };
            prop_assert_eq!(faults(&timeline.draw(width)), Vec::<String>::new());
        }
    }
}
