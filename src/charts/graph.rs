//! A graph in columns: what leads to what, from left to right.

use super::drawing::{Anchor, Drawing, Meaning, Shape};
use super::text;

/// Width of a box in pixels.
const BOX: f64 = 190.0;
/// Height of a box.
const HIGH: f64 = 26.0;
/// From one row to the next.
const ROW: f64 = 36.0;
/// Between two columns, for the edges.
const BETWEEN: f64 = 80.0;
/// How far a line that passes a box stays away from it.
const AWAY: f64 = 3.0;

/// A box.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its class of the style sheet.
    pub class: String,
    /// What it says, and where it leads.
    pub meaning: Meaning,
}

/// A line from one box to another one: the column and place of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Where it begins.
    pub from: (usize, usize),
    /// Where it ends.
    pub to: (usize, usize),
    /// Its class of the style sheet.
    pub class: String,
    /// What it says.
    pub title: String,
}

/// Boxes in columns, and lines between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// What is shown, for those who do not see it.
    pub label: String,
    /// The boxes.
    pub columns: Vec<Vec<Node>>,
    /// The lines; one that names a box that is not there is left out.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Draws it, as wide and high as its boxes need.
    pub fn draw(&self) -> Drawing {
        let rows = self.columns.iter().map(Vec::len).max().unwrap_or(0).max(1) as f64;
        let columns = self.columns.len().max(1) as f64;
        let width = columns * BOX + (columns - 1.0) * BETWEEN + 2.0;
        let mut drawing = Drawing::new(width, rows * ROW, self.label.clone());
        // Each column stands in the middle of the height.
        let place = |(column, row): (usize, usize)| {
            let free = (rows - self.columns[column].len() as f64) * ROW / 2.0;
            (1.0 + column as f64 * (BOX + BETWEEN), free + row as f64 * ROW + (ROW - HIGH) / 2.0)
        };
        let is_there = |(column, row): (usize, usize)| self.columns.get(column).is_some_and(|nodes| row < nodes.len());
        for edge in self.edges.iter().filter(|edge| is_there(edge.from) && is_there(edge.to)) {
            let (from, to) = (place(edge.from), place(edge.to));
            let mut points = vec![(from.0 + BOX, from.1 + HIGH / 2.0)];
            let end = (to.0, to.1 + HIGH / 2.0);
            // A column between them is crossed where it has no box: nothing is drawn behind one.
            for column in edge.from.0 + 1..edge.to.0 {
                let (left, top) = place((column, 0));
                let at = points[points.len() - 1];
                let wanted = at.1 + (end.1 - at.1) * (left - at.0) / (end.0 - at.0);
                let y = self.free(column, top, wanted).clamp(1.0, rows * ROW - 1.0);
                points.extend([(left, y), (left + BOX, y)]);
            }
            points.push(end);
            drawing.shapes.extend(points.windows(2).map(|ends| Shape::Curve {
                from: ends[0],
                to: ends[1],
                class: format!("edge {}", edge.class),
                meaning: Meaning::title(edge.title.clone()),
            }));
        }
        for (column, nodes) in self.columns.iter().enumerate() {
            for (row, node) in nodes.iter().enumerate() {
                let (x, y) = place((column, row));
                drawing.rect([x, y, BOX, HIGH], format!("node {}", node.class), node.meaning.clone());
                let name = text::shorten(&node.name, BOX - 14.0);
                drawing.text_meaning((x + BOX / 2.0, y + 17.0), Anchor::Middle, name, "", Meaning::title(node.name.clone()));
            }
        }
        drawing
    }

    /// Returns the height nearest to `wanted` at which a column, whose first box is at `top`, has no box.
    fn free(&self, column: usize, top: f64, wanted: f64) -> f64 {
        let boxes = self.columns[column].len() as f64;
        let row = ((wanted - top) / ROW).floor();
        let into = wanted - top - row * ROW;
        if row < 0.0 || row >= boxes || into > HIGH + AWAY && into < ROW - AWAY {
            return wanted;
        }
        // The middle between two boxes: above this one or below it.
        let above = top + row * ROW - (ROW - HIGH) / 2.0;
        if into < HIGH / 2.0 { above } else { above + ROW }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawing::testing::faults;
    use super::*;

    fn node(name: &str) -> Node {
        Node { name: name.to_owned(), class: "question".into(), meaning: Meaning::title("x") }
    }

    #[test]
    fn what_leads_to_what_is_a_line_from_left_to_right() {
        let edge = |to| Edge { from: (0, 0), to, class: "rule".into(), title: "goal is x".into() };
        let graph = Graph {
            label: "rules".into(),
            columns: vec![vec![node("goal")], vec![node("linter"), node("writer")]],
            edges: vec![edge((1, 0)), edge((1, 1)), edge((7, 7))],
        };
        insta::assert_snapshot!(graph.draw().to_svg());
    }

    #[test]
    fn a_line_past_a_column_runs_between_its_boxes() {
        let nodes = |count: usize| (0..count).map(|row| node(&row.to_string())).collect::<Vec<_>>();
        let edge = |from, to| Edge { from: (0, from), to: (3, to), class: "when".into(), title: "x".into() };
        let graph = Graph {
            label: "x".into(),
            columns: vec![nodes(3), nodes(5), nodes(2), nodes(4)],
            edges: (0..3).flat_map(|from| (0..4).map(move |to| edge(from, to))).collect(),
        };
        let drawing = graph.draw();
        let boxes: Vec<[f64; 4]> = drawing
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Rect { area, .. } => Some(*area),
                _ => None,
            })
            .collect();
        let mut curves = 0;
        for shape in &drawing.shapes {
            let Shape::Curve { from, to, .. } = shape else { continue };
            curves += 1;
            let is_past = (to.0 - from.0 - BOX).abs() < 0.01;
            assert!(is_past && from.1 == to.1 || (to.0 - from.0 - BETWEEN).abs() < 0.01, "{from:?} {to:?}");
            let is_behind =
                |[x, y, width, height]: &[f64; 4]| from.0 < x + width && to.0 > *x && (*y..y + height).contains(&from.1);
            assert!(!boxes.iter().any(is_behind), "{from:?} {to:?} of {boxes:?}");
        }
        assert_eq!((boxes.len(), curves), (14, 12 * 5));
    }

    proptest! {
        #[test]
        fn any_graph_is_drawn_inside_the_box(
            columns in proptest::collection::vec(proptest::collection::vec(any::<String>(), 0..9), 0..4),
            edges in proptest::collection::vec(((0usize..5, 0usize..9), (0usize..5, 0usize..9)), 0..20),
        ) {
            let edge = |(from, to)| Edge { from, to, class: "rule".into(), title: "x".into() };
            let graph = Graph {
                label: "x".into(),
                columns: columns.iter().map(|names| names.iter().map(|name| node(name)).collect()).collect(),
                edges: edges.into_iter().map(edge).collect(),
            };
            prop_assert_eq!(faults(&graph.draw()), Vec::<String>::new());
        }
    }
}
