//! Stacked bars over time: one bar per day, week or month, one colour per series, and a line for a budget.

use super::axis::{Key, Plot, Scale, Sign, Unit, drawable, legend, legend_height};
use super::drawing::{Anchor, Drawing, Meaning};
use super::text;

/// Height of the part with the bars in pixels.
const HEIGHT: f64 = 190.0;
/// Height of the labels under the bars in pixels.
const LABELS: f64 = 24.0;
/// Series with a colour of their own; the style sheet has as many.
pub const SERIES_MAX: usize = 8;

/// A part of a bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Which series it belongs to.
    pub series: usize,
    /// How much.
    pub value: f64,
    /// What it says, and where it leads.
    pub meaning: Meaning,
}

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The label under it.
    pub label: String,
    /// Its parts, from the bottom.
    pub segments: Vec<Segment>,
    /// Says what is not known of it; it is then marked.
    pub unknown: Option<String>,
}

/// A line across all bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Where it is.
    pub value: f64,
    /// What it is.
    pub label: String,
}

/// Stacked bars over time.
#[derive(Clone, Debug, PartialEq)]
pub struct StackedBars {
    /// What is shown, for those who do not see it.
    pub label: String,
    /// What the numbers are.
    pub unit: Unit,
    /// Names of the series.
    pub series: Vec<String>,
    /// The bars, the oldest first.
    pub bars: Vec<Bar>,
    /// A line across.
    pub limit: Option<Limit>,
}

impl StackedBars {
    /// Draws them, `width` pixels wide.
    #[cfg(test)]
    pub fn draw(&self, width: f64) -> Drawing {
        let (scale, keys) = (self.scale(), self.keys());
        let plot = plot(&scale, width);
        let mut drawing = Drawing::new(width, plot.bottom + LABELS + legend_height(&keys, width), self.label.clone());
        plot.vertical(&mut drawing, &scale);
        self.bars(&mut drawing, &scale, &plot);
        self.labels(&mut drawing, &plot);
        legend(&mut drawing, &keys, plot.bottom + LABELS);
        drawing
    }

    /// Writes a figure that is as wide as its room. The bars are in it once, however many there are; what is written beside them, once for
    /// each of the `widths` of pages, by the class that shows it.
    pub fn figure(&self, widths: &[(&str, f64)], caption: &str) -> String {
        let (scale, keys) = (self.scale(), self.keys());
        let widest = widths.iter().map(|(_, width)| *width).fold(0.0, f64::max);
        let whole = plot(&scale, widest);
        let height = whole.bottom + LABELS;
        let mut ticks = Drawing::new(whole.left, height, "");
        scale.ticks.iter().for_each(|tick| whole.tick(&mut ticks, &scale, *tick));
        let mut bars = Drawing::new(widest, height, self.label.clone());
        scale.ticks.iter().for_each(|tick| whole.line(&mut bars, &scale, *tick));
        self.bars(&mut bars, &scale, &whole);
        let labels: Vec<(&str, Plot, Drawing)> = widths
            .iter()
            .map(|(class, width)| {
                let (plot, mut drawing) = (plot(&scale, *width), Drawing::new(*width, height, ""));
                self.labels(&mut drawing, &plot);
                (*class, plot, drawing)
            })
            .collect();
        let labels: Vec<_> =
            labels.iter().map(|(class, plot, drawing)| (*class, plot.left, plot.right, drawing.shapes.as_slice())).collect();
        let legends = widths.iter().map(|(class, width)| {
            let mut drawing = Drawing::new(*width, legend_height(&keys, *width), "");
            legend(&mut drawing, &keys, 0.0);
            format!("<div class=\"{class}\">{}</div>", drawing.to_svg())
        });
        format!(
            "<figure class=\"figure\"><div class=\"fluid\">{}{}</div>{}{caption}</figure>",
            ticks.to_svg(),
            bars.to_fluid_svg(whole.left, whole.right, &labels),
            legends.collect::<String>()
        )
    }

    fn scale(&self) -> Scale {
        let sum = |bar: &Bar| bar.segments.iter().map(|segment| drawable(segment.value)).sum::<f64>();
        let largest = self.bars.iter().map(sum).chain(self.limit.iter().map(|limit| limit.value)).fold(0.0, f64::max);
        Scale::new(self.unit, largest, 4)
    }

    fn middle(&self, plot: &Plot, place: usize) -> f64 {
        plot.left + (place as f64 + 0.5) * self.band(plot)
    }

    fn band(&self, plot: &Plot) -> f64 {
        (plot.right - plot.left).max(1.0) / self.bars.len().max(1) as f64
    }

    fn bars(&self, drawing: &mut Drawing, scale: &Scale, plot: &Plot) {
        let thick = (self.band(plot) * 0.8).min(48.0);
        for (place, bar) in self.bars.iter().enumerate() {
            let left = self.middle(plot, place) - thick / 2.0;
            let mut below = 0.0;
            for segment in bar.segments.iter().filter(|segment| drawable(segment.value) > 0.0) {
                let bottom = plot.y(scale, below);
                below += drawable(segment.value);
                // What is more than nothing is seen.
                let top = plot.y(scale, below).min(bottom - 1.0).max(plot.top);
                let class = format!("s{}", segment.series % SERIES_MAX);
                drawing.rect([left, top, thick, (bottom - top).max(0.0)], class, segment.meaning.clone());
            }
            if let Some(unknown) = &bar.unknown {
                let at = (self.middle(plot, place), plot.y(scale, below) - 6.0);
                drawing.dot(at, 3.0, "unknown", Meaning::title(format!("{}: {unknown}", bar.label)));
            }
        }
        if let Some(limit) = &self.limit {
            let y = plot.y(scale, limit.value);
            drawing.line((plot.left, y), (plot.right, y), "limit", Meaning::title(limit.label.clone()));
        }
    }

    fn labels(&self, drawing: &mut Drawing, plot: &Plot) {
        let width = drawing.width;
        let label = |(place, bar): (usize, &Bar)| (self.middle(plot, place), text::shorten(&bar.label, width / 3.0));
        let labels: Vec<(f64, String)> = self.bars.iter().enumerate().map(label).collect();
        plot.labels(drawing, &labels);
    }

    fn keys(&self) -> Vec<Key> {
        let used = |series: &usize| self.bars.iter().flat_map(|bar| &bar.segments).any(|segment| segment.series == *series);
        let mut keys: Vec<Key> = (0..self.series.len())
            .filter(used)
            .map(|series| Key {
                class: format!("s{}", series % SERIES_MAX),
                text: self.series[series].clone(),
                sign: Sign::Square,
            })
            .collect();
        if let Some(limit) = &self.limit {
            keys.push(Key { class: "limit".to_owned(), text: limit.label.clone(), sign: Sign::Line });
        }
        if self.bars.iter().any(|bar| bar.unknown.is_some()) {
            keys.push(Key { class: "unknown".to_owned(), text: "some of the cost is unknown".to_owned(), sign: Sign::Dot });
        }
        keys
    }
}

/// Above the bars there is room for the mark of what is not known, and for the limit's label.
fn plot(scale: &Scale, width: f64) -> Plot {
    Plot { left: scale.label_width() + 8.0, top: 18.0, right: width - 4.0, bottom: 18.0 + HEIGHT }
}

/// Bars beside names: how much of each, the largest first where the caller sorts them so.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedBar {
    /// Its name.
    pub name: String,
    /// How much.
    pub value: f64,
    /// The number in words.
    pub words: String,
    /// The colour's class of the style sheet.
    pub class: String,
    /// What it says, and where it leads.
    pub meaning: Meaning,
}

/// Draws bars beside names, `width` pixels wide.
pub fn named_bars(label: &str, bars: &[NamedBar], width: f64) -> Drawing {
    const ROW: f64 = 36.0;
    let largest = bars.iter().map(|bar| drawable(bar.value)).fold(0.0, f64::max);
    let mut drawing = Drawing::new(width, bars.len() as f64 * ROW, label);
    for (place, bar) in bars.iter().enumerate() {
        let top = place as f64 * ROW;
        let words = text::shorten(&bar.words, width * 0.5);
        let room = width - text::width(&words) - 12.0;
        drawing.text_meaning(
            (0.0, top + 12.0),
            Anchor::Start,
            text::shorten(&bar.name, room),
            "",
            Meaning::title(bar.name.clone()),
        );
        drawing.text((width, top + 12.0), Anchor::End, words, "value");
        drawing.rect([0.0, top + 18.0, width, 9.0], "track", Meaning::default());
        let part = if largest > 0.0 { drawable(bar.value) / largest } else { 0.0 };
        if part > 0.0 {
            drawing.rect([0.0, top + 18.0, (part * width).max(1.0).min(width), 9.0], bar.class.clone(), bar.meaning.clone());
        }
    }
    drawing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawing::testing::faults;
    use super::*;

    fn bars(values: &[Vec<f64>], names: &[String]) -> StackedBars {
        let bar = |(place, values): (usize, &Vec<f64>)| Bar {
            label: names.get(place % names.len().max(1)).cloned().unwrap_or_default(),
            segments: values
                .iter()
                .enumerate()
                .map(|(series, value)| Segment { series, value: *value, meaning: Meaning::title("x") })
                .collect(),
            unknown: (place % 3 == 0).then(|| "2 calls".to_owned()),
        };
        StackedBars {
            label: "cost per day".to_owned(),
            unit: Unit::Money,
            series: names.to_vec(),
            bars: values.iter().enumerate().map(bar).collect(),
            limit: values.first().and_then(|values| values.first()).map(|value| Limit { value: *value, label: "budget".into() }),
        }
    }

    #[test]
    fn bars_are_as_high_as_their_sums() {
        let chart = bars(&[vec![30e6, 10e6], vec![20e6, 0.0]], &["2026-10-01".to_owned(), "2026-10-02".to_owned()]);
        insta::assert_snapshot!(chart.draw(320.0).to_svg());
    }

    #[test]
    fn a_figure_for_every_width_holds_each_bar_once() {
        let chart = bars(&vec![vec![30e6, 10e6]; 62], &["a".to_owned(), "b".to_owned()]);
        let figure = chart.figure(&[("slim", 328.0), ("vast", 1300.0)], "<figcaption>c</figcaption>");
        assert_eq!(figure.matches("<title>x</title>").count(), 124);
        assert_eq!((figure.matches("<g class=").count(), figure.matches("<figcaption>").count()), (2, 1), "{figure}");
    }

    proptest! {
        #[test]
        fn any_data_is_drawn_inside_the_box_and_labels_do_not_overlap(
            values in proptest::collection::vec(proptest::collection::vec(any::<f64>(), 0..5), 0..70),
            names in proptest::collection::vec(any::<String>(), 0..6),
            width in prop_oneof![Just(328.0), Just(900.0)],
        ) {
            prop_assert_eq!(faults(&bars(&values, &names).draw(width)), Vec::<String>::new());
            let named: Vec<NamedBar> = names
                .iter()
                .map(|name| NamedBar {
                    name: name.clone(),
                    value: values.first().and_then(|all| all.first()).copied().unwrap_or(1.0),
                    words: name.clone(),
                    class: "s0".to_owned(),
                    meaning: Meaning::title(name.clone()),
                })
                .collect();
            prop_assert_eq!(faults(&named_bars("x", &named, width)), Vec::<String>::new());
        }
    }
}
