//! Rows of one file, held by column until the file is written.

use super::{Cell, Column, Kind, Table};

/// The values of one column that are not null.
#[derive(Clone, Debug)]
pub enum Values {
    /// Booleans.
    Bool(Vec<bool>),
    /// Integers, moments in microseconds, and amounts in 10⁻⁹ US dollars.
    Int(Vec<i64>),
    /// Numbers.
    Float(Vec<f64>),
    /// Texts, one after the other, with the end of each.
    Text {
        /// The bytes of all.
        bytes: Vec<u8>,
        /// Where each ends.
        ends: Vec<usize>,
    },
}

/// One column's cells.
#[derive(Clone, Debug)]
pub struct Cells {
    /// The column.
    pub column: Column,
    /// Which rows have a value.
    pub present: Vec<bool>,
    /// The values of those rows.
    pub values: Values,
}

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The table.
    pub table: Table,
    /// Its columns.
    pub columns: Vec<Cells>,
    rows: usize,
    bytes: usize,
}

impl Buffer {
    /// Returns a buffer without rows.
    pub fn new(table: Table) -> Self {
        let cells = |column: &Column| Cells {
            column: *column,
            present: Vec::new(),
            values: match column.kind {
                Kind::Bool => Values::Bool(Vec::new()),
                Kind::Int | Kind::Time | Kind::Usd => Values::Int(Vec::new()),
                Kind::Float => Values::Float(Vec::new()),
                Kind::Text => Values::Text { bytes: Vec::new(), ends: Vec::new() },
            },
        };
        Self { table, columns: table.columns().iter().map(cells).collect(), rows: 0, bytes: 0 }
    }

    /// Returns how many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row; returns about how many bytes it takes.
    ///
    /// # Errors
    /// The name of a column that its cell does not fit: a fault of this program.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<usize, &'static str> {
        let before = self.bytes;
        if row.len() != self.columns.len() {
            return Err(self.table.name());
        }
        for (cells, cell) in self.columns.iter_mut().zip(row) {
            cells.present.push(cell != Cell::Null);
            self.bytes += 9;
            match (cell, &mut cells.values) {
                (Cell::Null, _) if cells.column.nullable => {}
                (Cell::Bool(value), Values::Bool(values)) => values.push(value),
                (Cell::Int(value), Values::Int(values)) if cells.column.kind == Kind::Int => values.push(value),
                (Cell::Time(value), Values::Int(values)) if cells.column.kind == Kind::Time => values.push(value),
                (Cell::Usd(value), Values::Int(values)) if cells.column.kind == Kind::Usd => values.push(value),
                // What a signed integer does not hold stands as the largest one where there must be a value.
                (Cell::Null, Values::Int(values)) if cells.column.kind == Kind::Int => {
                    values.push(i64::MAX);
                    if let Some(present) = cells.present.last_mut() {
                        *present = true;
                    }
                }
                (Cell::Float(bits), Values::Float(values)) => values.push(f64::from_bits(bits)),
                (Cell::Text(text), Values::Text { bytes, ends }) => {
                    bytes.extend_from_slice(text.as_bytes());
                    ends.push(bytes.len());
                    self.bytes += text.len();
                }
                _ => return Err(cells.column.name),
            }
        }
        self.rows += 1;
        Ok(self.bytes - before)
    }
}

impl Cells {
    /// Returns the value at a place among those that are not null.
    pub fn cell(&self, place: usize) -> Cell {
        match &self.values {
            Values::Bool(values) => values.get(place).map_or(Cell::Null, |value| Cell::Bool(*value)),
            Values::Int(values) => match (values.get(place), self.column.kind) {
                (None, _) => Cell::Null,
                (Some(value), Kind::Time) => Cell::Time(*value),
                (Some(value), Kind::Usd) => Cell::Usd(*value),
                (Some(value), _) => Cell::Int(*value),
            },
            Values::Float(values) => values.get(place).map_or(Cell::Null, |value| Cell::Float(value.to_bits())),
            Values::Text { .. } => self.text(place).map_or(Cell::Null, |text| Cell::Text(text.to_owned())),
        }
    }

    /// Returns the text at a place among those that are not null.
    pub fn text(&self, place: usize) -> Option<&str> {
        let Values::Text { bytes, ends } = &self.values else { return None };
        let begin = if place == 0 { 0 } else { *ends.get(place - 1)? };
        std::str::from_utf8(bytes.get(begin..*ends.get(place)?)?).ok()
    }
}
