//! A drawing: shapes with numbers, and the SVG that they become. What is to hold for any data (numbers that are finite, shapes inside the
//! box, labels that do not overlap) is tested on the shapes.

use std::fmt::Write as _;

use super::text::escape;
#[cfg(test)]
use super::text::{self, FONT};

/// Where a text stands in relation to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// What a shape says when it is pointed at, and where it leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Shown when it is pointed at; empty: nothing.
    pub title: String,
    /// Where it leads; only paths of the own page's server.
    pub href: Option<String>,
}

impl Meaning {
    /// Returns a title without a link.
    pub fn title(title: impl Into<String>) -> Self {
        Self { title: title.into(), href: None }
    }
}

/// One shape. Coordinates in pixels from the upper left.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A filled rectangle.
    Rect {
        /// Left, top, width, height.
        area: [f64; 4],
        /// Classes of the style sheet.
        class: String,
        /// What it says.
        meaning: Meaning,
    },
    /// A line through points.
    Line {
        /// The points.
        points: Vec<(f64, f64)>,
        /// Classes of the style sheet.
        class: String,
        /// What it says.
        meaning: Meaning,
    },
    /// A curve from left to right.
    Curve {
        /// Where it begins.
        from: (f64, f64),
        /// Where it ends.
        to: (f64, f64),
        /// Classes of the style sheet.
        class: String,
        /// What it says.
        meaning: Meaning,
    },
    /// A round dot.
    Dot {
        /// Its middle.
        at: (f64, f64),
        /// Its radius.
        radius: f64,
        /// Classes of the style sheet.
        class: String,
        /// What it says.
        meaning: Meaning,
    },
    /// A text on one line.
    Text {
        /// Its point on the base line.
        at: (f64, f64),
        /// Where it stands in relation to the point.
        anchor: Anchor,
        /// The text.
        text: String,
        /// Classes of the style sheet.
        class: String,
        /// What it says when it is pointed at; its whole text where it is shortened.
        meaning: Meaning,
    },
}

impl Shape {
    fn has_link(&self) -> bool {
        match self {
            Self::Rect { meaning, .. }
            | Self::Line { meaning, .. }
            | Self::Curve { meaning, .. }
            | Self::Dot { meaning, .. }
            | Self::Text { meaning, .. } => meaning.href.is_some(),
        }
    }

    /// Returns the box around it: left, top, right, bottom.
    #[cfg(test)]
    pub fn bounds(&self) -> [f64; 4] {
        match self {
            Self::Rect { area: [x, y, w, h], .. } => [*x, *y, x + w, y + h],
            Self::Line { points, .. } => points.iter().fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |[l, t, r, b], (x, y)| {
                [l.min(*x), t.min(*y), r.max(*x), b.max(*y)]
            }),
            Self::Curve { from, to, .. } => [from.0.min(to.0), from.1.min(to.1), from.0.max(to.0), from.1.max(to.1)],
            Self::Dot { at: (x, y), radius, .. } => [x - radius, y - radius, x + radius, y + radius],
            Self::Text { at: (x, y), anchor, text, .. } => {
                let width = text::width(text);
                let left = match anchor {
                    Anchor::Start => *x,
                    Anchor::Middle => x - width / 2.0,
                    Anchor::End => x - width,
                };
                [left, y - FONT * 0.8, left + width, y + FONT * 0.2]
            }
        }
    }
}

/// Shapes in a box.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// What it shows, for those who do not see it.
    pub label: String,
    /// Its shapes, the lowest first.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    /// Returns an empty drawing.
    pub fn new(width: f64, height: f64, label: impl Into<String>) -> Self {
        Self { width, height, label: label.into(), shapes: Vec::new() }
    }

    /// Adds a rectangle.
    pub fn rect(&mut self, area: [f64; 4], class: impl Into<String>, meaning: Meaning) {
        self.shapes.push(Shape::Rect { area, class: class.into(), meaning });
    }

    /// Adds a line between two points.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: impl Into<String>, meaning: Meaning) {
        self.shapes.push(Shape::Line { points: vec![from, to], class: class.into(), meaning });
    }

    /// Adds a dot.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, class: impl Into<String>, meaning: Meaning) {
        self.shapes.push(Shape::Dot { at, radius, class: class.into(), meaning });
    }

    /// Adds a text.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, text: impl Into<String>, class: impl Into<String>) {
        self.text_meaning(at, anchor, text, class, Meaning::default());
    }

    /// Adds a text that says more when it is pointed at.
    pub fn text_meaning(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        text: impl Into<String>,
        class: impl Into<String>,
        meaning: Meaning,
    ) {
        self.shapes.push(Shape::Text { at, anchor, text: text.into(), class: class.into(), meaning });
    }

    /// Writes it as an SVG element that needs nothing but a style sheet.
    pub fn to_svg(&self) -> String {
        let (width, height) = (number(self.width), number(self.height));
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\"{}>",
            self.attributes()
        );
        for shape in &self.shapes {
            write_shape(&mut svg, shape, Across::Pixels);
        }
        svg.push_str("</svg>");
        svg
    }

    /// Writes what is between `left` and `right` as an SVG element that is as wide as its room: places across are per cents. `more` holds
    /// shapes that are shown at one of the widths of pages alone, each with its class and the edges that its places are between.
    pub fn to_fluid_svg(&self, left: f64, right: f64, more: &[(&str, f64, f64, &[Shape])]) -> String {
        let mut svg =
            format!("<svg class=\"chart bars\" width=\"100%\" height=\"{}\"{}>", number(self.height), self.attributes());
        for shape in &self.shapes {
            write_shape(&mut svg, shape, Across::Part { left, right });
        }
        for (class, left, right, shapes) in more {
            let _ = write!(svg, "<g class=\"{class}\">");
            shapes.iter().for_each(|shape| write_shape(&mut svg, shape, Across::Part { left: *left, right: *right }));
            svg.push_str("</g>");
        }
        svg.push_str("</svg>");
        svg
    }

    /// A picture has no parts for those who do not see it; a group has, so that its links can be reached.
    fn attributes(&self) -> String {
        if self.label.is_empty() {
            return " aria-hidden=\"true\"".to_owned();
        }
        let role = if self.shapes.iter().any(Shape::has_link) { "group" } else { "img" };
        format!(" role=\"{role}\" aria-label=\"{}\"", escape(&self.label))
    }
}

/// How places across are written.
#[derive(Clone, Copy)]
enum Across {
    /// In pixels.
    Pixels,
    /// In per cent of what is between two edges.
    Part { left: f64, right: f64 },
}

impl Across {
    fn place(self, x: f64) -> String {
        match self {
            Self::Pixels => number(x),
            Self::Part { left, .. } => self.length(x - left),
        }
    }

    fn length(self, length: f64) -> String {
        match self {
            Self::Pixels => number(length),
            // Two decimals are a tenth of a pixel on a wide screen.
            Self::Part { left, right } => format!("{:.2}%", length / (right - left).max(1.0) * 100.0).replace(".00%", "%"),
        }
    }
}

fn write_shape(svg: &mut String, shape: &Shape, across: Across) {
    let x_of = |x: &f64| across.place(*x);
    let (element, attributes, class, meaning, content) = match shape {
        Shape::Rect { area: [x, y, w, h], class, meaning } => {
            let (w, h) = (across.length(*w), number(*h));
            let place = format!("x=\"{}\" y=\"{}\" width=\"{w}\" height=\"{h}\"", x_of(x), number(*y));
            ("rect", place, class, meaning, "")
        }
        Shape::Line { points, class, meaning } if matches!(across, Across::Part { .. }) && points.len() == 2 => {
            let [(x1, y1), (x2, y2)] = [points[0], points[1]].map(|(x, y)| (x_of(&x), number(y)));
            ("line", format!("x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\""), class, meaning, "")
        }
        Shape::Line { points, class, meaning } => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
            ("polyline", format!("points=\"{}\"", points.join(" ")), class, meaning, "")
        }
        Shape::Curve { from, to, class, meaning } => {
            let middle = number((from.0 + to.0) / 2.0);
            let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
            ("path", format!("d=\"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}\""), class, meaning, "")
        }
        Shape::Dot { at, radius, class, meaning } => {
            let place = format!("cx=\"{}\" cy=\"{}\" r=\"{}\"", x_of(&at.0), number(at.1), number(*radius));
            ("circle", place, class, meaning, "")
        }
        Shape::Text { at, anchor, text, class, meaning } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            ("text", format!("x=\"{}\" y=\"{}\"{anchor}", x_of(&at.0), number(at.1)), class, meaning, text.as_str())
        }
    };
    let content = escape(content);
    let title = if meaning.title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(&meaning.title)) };
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    // Writing to a text does not fail.
    let _ = match &meaning.href {
        Some(href) => write!(svg, "<a href=\"{}\"><{element}{class} {attributes}>{title}{content}</{element}></a>", escape(href)),
        None => write!(svg, "<{element}{class} {attributes}>{title}{content}</{element}>"),
    };
}

/// Writes a coordinate with at most one decimal.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Says what is wrong with a drawing: numbers that are none, shapes outside the box, labels over each other.
    pub fn faults(drawing: &Drawing) -> Vec<String> {
        let mut faults = Vec::new();
        let mut labels: Vec<([f64; 4], &str)> = Vec::new();
        for shape in &drawing.shapes {
            let [left, top, right, bottom] = shape.bounds();
            if ![left, top, right, bottom].iter().all(|number| number.is_finite()) {
                faults.push(format!("no number: {shape:?}"));
            }
            if left < -0.05 || top < -0.05 || right > drawing.width + 0.05 || bottom > drawing.height + 0.05 {
                faults.push(format!("outside {} × {}: {shape:?}", drawing.width, drawing.height));
            }
            if right < left || bottom < top {
                faults.push(format!("inside out: {shape:?}"));
            }
            if let Shape::Text { text, .. } = shape {
                labels.push(([left, top, right, bottom], text));
            }
        }
        for (place, (a, text)) in labels.iter().enumerate() {
            for (b, other) in &labels[..place] {
                let overlap = a[0] < b[2] - 0.05 && b[0] < a[2] - 0.05 && a[1] < b[3] - 0.05 && b[1] < a[3] - 0.05;
                if overlap && !text.is_empty() && !other.is_empty() {
                    faults.push(format!("`{text}` over `{other}`"));
                }
            }
        }
        let svg = drawing.to_svg();
        if svg.contains("NaN") || svg.contains("inf\"") {
            faults.push("no number in the SVG".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_is_well_formed_and_its_texts_are_escaped() {
        let mut drawing = Drawing::new(100.0, 50.0, "a \"label\"");
        let link = Meaning { title: "<b>".to_owned(), href: Some("/runs?q=a&b=\"".to_owned()) };
        drawing.rect([0.0, -0.01, 10.04, 20.25], "s1", link);
        drawing.text((1.0, 12.0), Anchor::End, "x < y", "");
        assert_eq!(
            drawing.to_svg(),
            "<svg class=\"chart\" viewBox=\"0 0 100 50\" width=\"100\" height=\"50\" role=\"group\" aria-label=\"a &quot;label&quot;\">\
             <a href=\"/runs?q=a&amp;b=&quot;\"><rect class=\"s1\" x=\"0\" y=\"0\" width=\"10\" height=\"20.2\"><title>&lt;b&gt;</title>\
             </rect></a><text x=\"1\" y=\"12\" text-anchor=\"end\">x &lt; y</text></svg>"
        );
    }

    #[test]
    fn a_fluid_drawing_says_places_across_in_per_cent_and_nothing_of_its_width() {
        let mut drawing = Drawing::new(100.0, 50.0, "costs");
        drawing.rect([20.0, 5.0, 8.0, 20.0], "s1", Meaning::default());
        drawing.line((20.0, 30.0), (100.0, 30.0), "grid", Meaning::default());
        let mut labels = Drawing::new(60.0, 50.0, "");
        labels.text((50.0, 12.0), Anchor::Middle, "W40", "tick");
        assert_eq!(
            drawing.to_fluid_svg(20.0, 100.0, &[("slim", 20.0, 60.0, &labels.shapes)]),
            "<svg class=\"chart bars\" width=\"100%\" height=\"50\" role=\"img\" aria-label=\"costs\"><rect class=\"s1\" x=\"0%\" \
             y=\"5\" width=\"10%\" height=\"20\"></rect><line class=\"grid\" x1=\"0%\" y1=\"30\" x2=\"100%\" y2=\"30\"></line>\
             <g class=\"slim\"><text class=\"tick\" x=\"75%\" y=\"12\" text-anchor=\"middle\">W40</text></g></svg>"
        );
    }
}
