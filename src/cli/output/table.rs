//! Tables: they fit a terminal by wrapping words, never cut an id, and are plain and complete in a pipe.

use anstyle::{AnsiColor, Color, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Column, ColumnConstraint, ContentArrangement, Table as Comfy, presets};

use super::{Out, sanitize};

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Words: wrapped when the terminal is narrow.
    Words,
    /// Never wrapped nor cut: ids, amounts, times.
    Whole,
    /// As [`Fit::Whole`], to the right: numbers.
    Number,
}

/// A table to be filled.
#[derive(Debug)]
pub struct Table {
    inner: Comfy,
    columns: usize,
}

impl Table {
    /// Makes a table with these columns.
    pub fn new(out: &Out, columns: &[(&str, Fit)]) -> Self {
        let mut inner = Comfy::new();
        inner.load_style(presets::NOTHING);
        match out.width() {
            Some(width) => inner.set_width(width).set_content_arrangement(ContentArrangement::Dynamic).enforce_styling(),
            None => inner.set_content_arrangement(ContentArrangement::Disabled).force_no_tty(),
        };
        inner.set_header(columns.iter().map(|(name, _)| Cell::new(name).add_attribute(Attribute::Bold)));
        for (column, (_, fit)) in inner.column_iter_mut().zip(columns) {
            lay_out(column, *fit);
        }
        Self { inner, columns: columns.len() }
    }

    /// Adds a row. Cells are cleaned for one line each; missing ones stay empty.
    pub fn row<I: IntoIterator<Item = T>, T: Into<Entry>>(&mut self, cells: I) {
        let mut cells: Vec<Cell> = cells.into_iter().map(|cell| cell.into().0).collect();
        cells.resize_with(self.columns, || Cell::new(""));
        self.inner.add_row(cells);
    }

    /// Returns the table as text, without white space at the ends of lines.
    pub fn finish(&self) -> String {
        self.inner.trim_fmt()
    }
}

fn lay_out(column: &mut Column, fit: Fit) {
    column.set_padding((0, 2));
    if fit != Fit::Words {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    if fit == Fit::Number {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// One cell of a table.
#[derive(Debug)]
pub struct Entry(Cell);

impl Entry {
    /// Makes a cell in `style`; only its colour and boldness count.
    pub fn styled(style: Style, text: impl AsRef<str>) -> Self {
        let mut cell = Self::from(text.as_ref()).0;
        if let Some(color) = style.get_fg_color().and_then(color) {
            cell = cell.fg(color);
        }
        if style.get_effects().contains(anstyle::Effects::BOLD) {
            cell = cell.add_attribute(Attribute::Bold);
        }
        if style.get_effects().contains(anstyle::Effects::DIMMED) {
            cell = cell.add_attribute(Attribute::Dim);
        }
        Self(cell)
    }
}

impl From<&str> for Entry {
    fn from(text: &str) -> Self {
        Self(Cell::new(sanitize::line(text)))
    }
}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<u64> for Entry {
    fn from(number: u64) -> Self {
        Self(Cell::new(number))
    }
}

/// Translates the colours that Meno uses.
fn color(color: Color) -> Option<comfy_table::Color> {
    match color {
        Color::Ansi(AnsiColor::Green) => Some(comfy_table::Color::DarkGreen),
        Color::Ansi(AnsiColor::Red) => Some(comfy_table::Color::DarkRed),
        Color::Ansi(AnsiColor::Yellow) => Some(comfy_table::Color::DarkYellow),
        Color::Ansi(AnsiColor::Cyan) => Some(comfy_table::Color::DarkCyan),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{GOOD, Look};

    fn table(width: Option<u16>) -> String {
        let out = Out::to(Look::default(), Vec::new(), Vec::new(), width);
        let mut table = Table::new(&out, &[("run", Fit::Whole), ("template", Fit::Words), ("cost", Fit::Number)]);
        table.row(["01KAPXZ8T0M3N5Q7R9S1V3W5X7", "a name of many words that has to wrap somewhere", "$0.01"]);
        table.row([Entry::styled(GOOD, "01KAPXZ8T0M3N5Q7R9S1V3W5X8"), "evil\u{1b}[2Jname".into(), "$12.00".into()]);
        anstream::adapter::strip_str(&table.finish()).to_string()
    }

    #[test]
    fn in_a_pipe_a_table_is_plain_and_complete() {
        insta::assert_snapshot!(table(None), @r"
        run                         template                                           cost
        01KAPXZ8T0M3N5Q7R9S1V3W5X7  a name of many words that has to wrap somewhere   $0.01
        01KAPXZ8T0M3N5Q7R9S1V3W5X8  evil␛[2Jname                                     $12.00
        ");
    }

    #[test]
    fn on_a_narrow_terminal_words_wrap_and_ids_stay_whole() {
        let table = table(Some(60));
        assert!(table.contains("01KAPXZ8T0M3N5Q7R9S1V3W5X7") && table.contains("01KAPXZ8T0M3N5Q7R9S1V3W5X8"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
        assert!(table.contains("somewhere") && table.contains("$12.00"), "{table}");
    }
}
