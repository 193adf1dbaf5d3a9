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
            drawing.shapes.push(Shape::Curve {
                from: (from.0 + BOX, from.1 + HIGH / 2.0),
                to: (to.0, to.1 + HIGH / 2.0),
                class: format!("edge {}", edge.class),
                meaning: Meaning::title(edge.title.clone()),
            });
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
