//! Tables: complete in a pipe; on a terminal as much as fits, and a line that says what was left out.
//!
//! On a terminal ids, amounts and times are never cut. When a table is too wide, in this order: columns whose cells are all the same
//! are said once above it, cells take their short form, long texts go below their row, columns that matter least are left out, and
//! at last every record becomes a block of lines.

use std::borrow::Cow;

use anstyle::Style;
use textwrap::core::display_width;

use super::layout::{self, GAP, Measured};
use super::{FAINT, HEADING, Printer, sanitize, styled};

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Words: wrapped when the terminal is narrow.
    Words,
    /// Long texts: as words where there is much room, else below their row.
    Below,
    /// Never wrapped nor cut: ids, amounts, times.
    Whole,
    /// As [`Fit::Whole`], to the right: numbers.
    Number,
}

/// Columns that a [`Fit::Below`] column needs to stand beside the others.
const BESIDE_MIN: usize = 60;
/// How far what stands below a row is set in.
const INDENT: usize = 4;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column<'n> {
    name: Cow<'n, str>,
    fit: Fit,
    /// Left out when there is no room, the highest rank first; `None`: always there.
    rank: Option<u8>,
    once: bool,
}

impl<'n> Column<'n> {
    /// Makes a column that is always shown.
    pub fn new(name: impl Into<Cow<'n, str>>, fit: Fit) -> Self {
        Self { name: name.into(), fit, rank: None, once: false }
    }

    /// Lets the column be left out on narrow terminals: the highest `rank` first.
    pub fn optional(self, rank: u8) -> Self {
        Self { rank: Some(rank), ..self }
    }

    /// Lets the column be said once above the table when all its cells are the same.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

impl<'n> From<(&'n str, Fit)> for Column<'n> {
    fn from((name, fit): (&'n str, Fit)) -> Self {
        Self::new(name, fit)
    }
}

/// A table to be filled.
#[derive(Debug)]
pub struct Table<'n> {
    columns: Vec<Column<'n>>,
    rows: Vec<Vec<Entry>>,
    width: Option<usize>,
    short_note: Option<String>,
}

impl<'n> Table<'n> {
    /// Makes a table with these columns.
    pub fn new<C: Into<Column<'n>> + Clone>(out: &Printer, columns: &[C]) -> Self {
        let columns = columns.iter().cloned().map(Into::into).collect();
        Self { columns, rows: Vec::new(), width: out.width().map(usize::from), short_note: None }
    }

    /// Adds a row. Cells are cleaned for one line each; missing ones stay empty.
    pub fn row<I: IntoIterator<Item = T>, T: Into<Entry>>(&mut self, cells: I) {
        let mut cells: Vec<Entry> = cells.into_iter().map(Into::into).collect();
        cells.resize_with(self.columns.len(), Entry::default);
        self.rows.push(cells);
    }

    /// Says above the table what short forms leave out, such as the zone of times. Not shown where they are not used.
    pub fn short_note(&mut self, note: impl Into<String>) {
        self.short_note = Some(note.into());
    }

    /// Returns the table as text, without white space at the ends of lines.
    pub fn finish(&self) -> String {
        let all = Shape { shown: (0..self.columns.len()).collect(), ..Shape::default() };
        let Some(width) = self.width else {
            return self.draw(&all, &self.natural(&all), usize::MAX).join("\n");
        };
        let lines = layout::lines_max(width);
        let shapes = self.shapes(&all);
        for cut in [false, true] {
            for shape in &shapes {
                let mut shape = shape.clone();
                if let Some(widths) = self.arrange(&mut shape, width, lines, cut) {
                    let mut text = self.above(&shape, width);
                    text.extend(self.draw(&shape, &widths, lines));
                    text.extend(self.beneath(&shape, width));
                    return text.join("\n");
                }
            }
        }
        self.blocks(shapes.last().unwrap_or(&all), width, lines).join("\n")
    }

    /// What can be done to fit, from the least loss to the greatest.
    fn shapes(&self, all: &Shape) -> Vec<Shape> {
        let mut shapes = vec![all.clone()];
        let mut shape = all.clone();
        shape.once = all.shown.iter().copied().filter(|column| self.is_same(*column)).collect();
        shape.shown.retain(|column| !shape.once.contains(column));
        shapes.push(shape.clone());
        shape.short = true;
        shapes.push(shape.clone());
        let mut ranks: Vec<u8> = self.columns.iter().filter_map(|column| column.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        for rank in ranks.into_iter().rev() {
            let (kept, gone) = shape.shown.iter().partition(|column| self.columns[**column].rank != Some(rank));
            shape.shown = kept;
            let gone: Vec<usize> = gone;
            shape.gone.extend(gone);
            shapes.push(shape.clone());
        }
        shapes
    }

    /// Tells whether a column may be said once: it has cells, and all that are not empty are the same.
    fn is_same(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row[column].text.as_str()).filter(|text| !text.is_empty());
        let first = cells.next();
        self.columns[column].once && first.is_some() && cells.all(|cell| Some(cell) == first)
    }

    /// Finds widths for what `shape` shows; long texts go below when they do not find room beside the rest.
    fn arrange(&self, shape: &mut Shape, width: usize, lines: usize, cut: bool) -> Option<Vec<usize>> {
        let measured = |shape: &Shape| shape.shown.iter().map(|column| self.measure(*column, shape)).collect::<Vec<_>>();
        let below: Vec<usize> = shape.shown.iter().copied().filter(|column| self.columns[*column].fit == Fit::Below).collect();
        if below.is_empty() {
            return layout::widths(&measured(shape), width, lines, cut);
        }
        let beside = layout::widths(&measured(shape), width, lines, cut).filter(|widths| {
            let is_roomy = |place: usize| {
                let column = shape.shown[place];
                self.columns[column].fit != Fit::Below || widths[place] >= BESIDE_MIN.min(self.measure(column, shape).natural)
            };
            (0..widths.len()).all(is_roomy)
        });
        if beside.is_some() {
            return beside;
        }
        shape.shown.retain(|column| !below.contains(column));
        shape.below = Some((below, width));
        // The texts below take all lines but one.
        layout::widths(&measured(shape), width, if cut { lines / 2 } else { 1 }, cut)
    }

    fn measure(&self, column: usize, shape: &Shape) -> Measured<'_> {
        let header = display_width(&self.columns[column].name);
        let texts = self.rows.iter().map(|row| row[column].shown(shape.short));
        let natural = texts.clone().map(display_width).max().unwrap_or(0).max(header);
        let wraps = matches!(self.columns[column].fit, Fit::Words | Fit::Below);
        Measured { natural, header, words: wraps.then(|| texts.collect()) }
    }

    fn natural(&self, shape: &Shape) -> Vec<usize> {
        shape.shown.iter().map(|column| self.measure(*column, shape).natural).collect()
    }

    /// What is said once above the table.
    fn above(&self, shape: &Shape, width: usize) -> Vec<String> {
        let same = shape.once.iter().filter_map(|column| {
            let cell = self.rows.iter().map(|row| &row[*column]).find(|cell| !cell.text.is_empty())?;
            Some(format!("{}: {}", self.columns[*column].name, cell.shown(shape.short)))
        });
        let is_short = shape.short && shape.shown.iter().any(|column| self.rows.iter().any(|row| row[*column].short.is_some()));
        let note = self.short_note.iter().filter(|_| is_short).cloned();
        let parts: Vec<String> = same.chain(note).collect();
        faint_lines(&parts.join(" · "), width)
    }

    /// What is said beneath the table.
    fn beneath(&self, shape: &Shape, width: usize) -> Vec<String> {
        let names: Vec<&str> =
            shape.gone.iter().map(|column| &*self.columns[*column].name).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Vec::new();
        }
        faint_lines(&format!("no room for: {}", names.join(", ")), width)
    }

    fn draw(&self, shape: &Shape, widths: &[usize], lines: usize) -> Vec<String> {
        let header: Vec<Entry> = shape.shown.iter().map(|column| Entry::styled(HEADING, &self.columns[*column].name)).collect();
        let mut drawn = self.draw_row(shape, widths, &header.iter().collect::<Vec<_>>(), lines);
        // What stands below a row needs a line of its own.
        let beside = if shape.below.is_some() { lines.saturating_sub(1).max(1) } else { lines };
        for row in &self.rows {
            let cells: Vec<&Entry> = shape.shown.iter().map(|column| &row[*column]).collect();
            let mut record = self.draw_row(shape, widths, &cells, beside);
            if let Some((below, width)) = &shape.below {
                let left = lines.saturating_sub(record.len()).max(1);
                let texts = below.iter().map(|column| row[*column].shown(shape.short)).filter(|text| !text.is_empty());
                let text = texts.collect::<Vec<_>>().join(" · ");
                let wrapped = layout::wrap_cut(&text, width.saturating_sub(INDENT), left);
                record.extend(wrapped.into_iter().filter(|line| !line.is_empty()).map(|line| format!("{:INDENT$}{line}", "")));
            }
            drawn.extend(record);
        }
        drawn
    }

    fn draw_row(&self, shape: &Shape, widths: &[usize], cells: &[&Entry], lines: usize) -> Vec<String> {
        let wrapped: Vec<Vec<String>> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| match cell.shown(shape.short) {
                text if display_width(text) <= *width => vec![text.to_owned()],
                text => layout::wrap_cut(text, *width, lines),
            })
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let line = |at: usize| {
            let mut line = String::new();
            let mut pending = 0;
            for (place, text) in wrapped.iter().map(|cell| cell.get(at).map_or("", String::as_str)).enumerate() {
                let pad = widths[place].saturating_sub(display_width(text));
                let is_number = self.columns[shape.shown[place]].fit == Fit::Number;
                let (before, after) = if is_number { (pad, 0) } else { (0, pad) };
                if !text.is_empty() {
                    line.push_str(&" ".repeat(pending + before));
                    line.push_str(&cells[place].dressed(text));
                    pending = after + GAP;
                } else {
                    pending += pad + GAP;
                }
            }
            line
        };
        (0..height).map(line).collect()
    }

    /// Each record by itself: its first cell, then the others with their names.
    fn blocks(&self, shape: &Shape, width: usize, lines: usize) -> Vec<String> {
        let mut drawn = self.above(shape, width);
        for row in &self.rows {
            let cells = shape.shown.iter().map(|column| (&self.columns[*column], row[*column].shown(shape.short)));
            let named = cells.filter(|(_, text)| !text.is_empty()).enumerate().map(|(place, (column, text))| match place {
                0 => text.to_owned(),
                _ if column.name.is_empty() => text.to_owned(),
                _ => format!("{} {text}", column.name),
            });
            let text = named.collect::<Vec<_>>().join(" · ");
            let indent = 2.min(width / 8);
            let wrapped = layout::wrap_cut(&text, width.saturating_sub(indent), lines);
            let first = shape.shown.first().map_or("", |column| row[*column].shown(shape.short));
            for (at, line) in wrapped.into_iter().enumerate() {
                drawn.push(match line.strip_prefix(first).filter(|_| at == 0) {
                    Some(rest) => format!("{}{rest}", styled(HEADING, first)),
                    None => format!("{:1$}{line}", "", if at == 0 { 0 } else { indent }),
                });
            }
        }
        drawn.extend(self.beneath(shape, width));
        drawn
    }
}

fn faint_lines(text: &str, width: usize) -> Vec<String> {
    let lines = layout::wrap(text, width).into_iter().filter(|line| !line.is_empty());
    lines.map(|line| styled(FAINT, line)).collect()
}

/// What is shown of a table, and where.
#[derive(Clone, Debug, Default)]
struct Shape {
    /// Columns beside one another.
    shown: Vec<usize>,
    /// Columns said once above.
    once: Vec<usize>,
    /// Columns left out.
    gone: Vec<usize>,
    /// Columns below each row, and the terminal's width.
    below: Option<(Vec<usize>, usize)>,
    /// Cells take their short form.
    short: bool,
}

/// One cell of a table.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    text: String,
    short: Option<String>,
    style: Style,
}

impl Entry {
    /// Makes a cell in `style`.
    pub fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self { style, ..Self::from(text.as_ref()) }
    }

    /// Gives the cell a form for narrow terminals.
    pub fn short(self, short: impl AsRef<str>) -> Self {
        Self { short: Some(sanitize::line(short.as_ref()).into_owned()), ..self }
    }

    fn shown(&self, short: bool) -> &str {
        self.short.as_deref().filter(|_| short).unwrap_or(&self.text)
    }

    fn dressed(&self, text: &str) -> String {
        if self.style == Style::new() { text.to_owned() } else { styled(self.style, text) }
    }
}

impl From<&str> for Entry {
    fn from(text: &str) -> Self {
        Self { text: sanitize::line(text).into_owned(), ..Self::default() }
    }
}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<u64> for Entry {
    fn from(number: u64) -> Self {
        Self { text: number.to_string(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::output::{GOOD, OutputOptions};

    fn table(width: Option<u16>) -> String {
        let out = Printer::to(OutputOptions::default(), Vec::new(), Vec::new(), width);
        let columns = [
            Column::new("run", Fit::Whole),
            Column::new("template", Fit::Words),
            Column::new("cost", Fit::Number),
            Column::new("agents", Fit::Number).optional(1),
            Column::new("mode", Fit::Whole).once(),
            Column::new("what", Fit::Below),
        ];
        let mut table = Table::new(&out, &columns);
        table.short_note("ids: their ends");
        let id = |id: &str| Entry::styled(GOOD, id).short(&id[22..]);
        let what =
            "a long text that says why this run was found, with words from it, so many that they do not stand beside the rest";
        let template = "a_name_of_many_parts_that_has_to_wrap";
        table.row([id("01KAPXZ8T0M3N5Q7R9S1V3W5X7"), template.into(), "$0.01".into(), "3".into(), "real".into(), what.into()]);
        table.row([id("01KAPXZ8T0M3N5Q7R9S1V3W5X8"), "evil\u{1b}[2Jname".into(), "$12.00".into(), "12".into(), "real".into()]);
        anstream::adapter::strip_str(&table.finish()).to_string()
    }

    #[test]
    fn in_a_pipe_a_table_is_plain_and_complete() {
        insta::assert_snapshot!(table(None));
    }

    #[test]
    fn less_is_shown_the_narrower_the_terminal_is() {
        insta::assert_snapshot!([160, 80, 40, 30, 16].map(|width| table(Some(width))).join("\n\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_table_fits_with_four_lines_a_record(
            kinds in proptest::collection::vec((0_usize..4, proptest::option::of(0_u8..3), any::<bool>()), 0..9),
            texts in proptest::collection::vec(proptest::collection::vec("([a-zé]{1,12} ){0,14}[a-z_/]{1,30}", 9), 1..5),
            width in 60_u16..=160,
        ) {
            let out = Printer::to(OutputOptions::default(), Vec::new(), Vec::new(), Some(width));
            let fits = [Fit::Words, Fit::Below, Fit::Whole, Fit::Number];
            let names: Vec<String> = (0..kinds.len()).map(|number| format!("column {number}")).collect();
            let mut columns = vec![Column::new("record", Fit::Whole)];
            columns.extend(kinds.iter().zip(&names).map(|((kind, rank, once), name)| {
                let column = Column { rank: *rank, ..Column::new(name.as_str(), fits[*kind]) };
                if *once { column.once() } else { column }
            }));
            let mut table = Table::new(&out, &columns);
            for (number, row) in texts.iter().enumerate() {
                let cells = kinds.iter().zip(row).map(|((kind, ..), text)| match fits[*kind] {
                    Fit::Words | Fit::Below => text.clone(),
                    // An id or a number.
                    Fit::Whole | Fit::Number => text.chars().filter(char::is_ascii_alphabetic).take(26 - 6 * (kind - 2)).collect(),
                });
                table.row(std::iter::once(format!("R{number}")).chain(cells));
            }
            let shown = anstream::adapter::strip_str(&table.finish()).to_string();
            let mut heights: Vec<usize> = Vec::new();
            for line in shown.lines().take_while(|line| !line.starts_with("no room for:")) {
                prop_assert!(display_width(line) <= usize::from(width), "{}", shown);
                if line.starts_with('R') {
                    heights.push(0);
                }
                heights.last_mut().into_iter().for_each(|height| *height += 1);
            }
            prop_assert_eq!(heights.len(), texts.len(), "{}", shown);
            prop_assert!(heights.iter().all(|height| *height <= 4), "{}", shown);
        }
    }
}
