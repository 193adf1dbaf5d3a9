//! Rows of one file, held as one run of bytes until the file is written: an export of years holds thousands of files at once, and one
//! growing vector for each of their columns would cost more than the rows.

use super::{Cell, Column, Kind, Table};

/// What stands before a cell that is null, and before one that is not.
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The table.
    pub table: Table,
    rows: usize,
    bytes: Vec<u8>,
}

impl Buffer {
    /// Returns a buffer without rows.
    pub fn new(table: Table) -> Self {
        Self { table, rows: 0, bytes: Vec::new() }
    }

    /// Returns how many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns how many bytes its rows take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a row; returns how many bytes it takes.
    ///
    /// # Errors
    /// The name of a column that its cell does not fit: a fault of this program. Nothing is added then.
    pub fn push(&mut self, row: &[Cell<'_>]) -> Result<usize, &'static str> {
        let (columns, before) = (self.table.columns(), self.bytes.len());
        if row.len() != columns.len() {
            return Err(self.table.name());
        }
        for (column, cell) in columns.iter().zip(row) {
            if !self.put(column, cell) {
                self.bytes.truncate(before);
                return Err(column.name);
            }
        }
        self.rows += 1;
        Ok(self.bytes.len() - before)
    }

    fn put(&mut self, column: &Column, cell: &Cell<'_>) -> bool {
        let mut present = |bytes: &[u8]| {
            self.bytes.push(PRESENT);
            self.bytes.extend_from_slice(bytes);
        };
        match (cell, column.kind) {
            (Cell::Null, _) if column.nullable => self.bytes.push(ABSENT),
            // What a signed integer does not hold stands as the largest one where there must be a value.
            (Cell::Null, Kind::Int) => present(&i64::MAX.to_le_bytes()),
            (Cell::Bool(value), Kind::Bool) => present(&[u8::from(*value)]),
            (Cell::Int(value), Kind::Int) | (Cell::Time(value), Kind::Time) | (Cell::Usd(value), Kind::Usd) => {
                present(&value.to_le_bytes());
            }
            (Cell::Float(bits), Kind::Float) => present(&bits.to_le_bytes()),
            (Cell::Text(text), Kind::Text) => {
                let Ok(length) = u32::try_from(text.len()) else { return false };
                present(&length.to_le_bytes());
                self.bytes.extend_from_slice(text.as_bytes());
            }
            _ => return false,
        }
        true
    }

    /// Reads the rows from the first on.
    pub fn read(&self) -> Rows<'_> {
        Rows { columns: self.table.columns(), left: self.rows, rest: &self.bytes }
    }
}

/// Rows that are still to be read.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    columns: &'static [Column],
    left: usize,
    rest: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Takes so many bytes; [`Buffer::push`] has written them.
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or_default();
        self.rest = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    fn text(&mut self) -> &'a [u8] {
        let length = u32::from_le_bytes(self.array());
        self.take(length as usize)
    }

    fn is_present(&mut self) -> bool {
        self.array() == [PRESENT]
    }

    /// Reads the next row into `cells`; returns whether there was one.
    pub fn next_into(&mut self, cells: &mut Vec<Cell<'a>>) -> bool {
        cells.clear();
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        for column in self.columns {
            cells.push(match column.kind {
                _ if !self.is_present() => Cell::Null,
                Kind::Bool => Cell::Bool(self.array() == [1]),
                Kind::Int => Cell::Int(i64::from_le_bytes(self.array())),
                Kind::Time => Cell::Time(i64::from_le_bytes(self.array())),
                Kind::Usd => Cell::Usd(i64::from_le_bytes(self.array())),
                Kind::Float => Cell::Float(u64::from_le_bytes(self.array())),
                Kind::Text => Cell::Text(String::from_utf8_lossy(self.text())),
            });
        }
        true
    }
}

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

/// One column of some rows.
#[derive(Clone, Debug)]
pub struct Cells {
    /// The column.
    pub column: Column,
    /// Which rows have a value: 1, and 0 for the others.
    pub present: Vec<i16>,
    /// The values of those rows.
    pub values: Values,
}

/// Some rows by column.
#[derive(Clone, Debug)]
pub struct Columns(pub Vec<Cells>);

impl Columns {
    /// Returns the columns of a table, without rows.
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
        Self(table.columns().iter().map(cells).collect())
    }

    /// Holds the next of `rows` instead of what it holds, at most `most`; returns how many there were.
    pub fn fill(&mut self, rows: &mut Rows<'_>, most: usize) -> usize {
        let count = rows.left.min(most);
        self.0.iter_mut().for_each(|cells| cells.clear(count));
        for _ in 0..count {
            for cells in &mut self.0 {
                let present = rows.is_present();
                cells.present.push(i16::from(present));
                if !present {
                    continue;
                }
                match &mut cells.values {
                    Values::Bool(values) => values.push(rows.array() == [1]),
                    Values::Int(values) => values.push(i64::from_le_bytes(rows.array())),
                    Values::Float(values) => values.push(f64::from_le_bytes(rows.array())),
                    Values::Text { bytes, ends } => {
                        bytes.extend_from_slice(rows.text());
                        ends.push(bytes.len());
                    }
                }
            }
        }
        rows.left -= count;
        count
    }
}

impl Cells {
    /// Tells whether no two rows that have a value differ.
    pub fn are_one(&self) -> bool {
        fn are_one<T: PartialEq>(values: &[T]) -> bool {
            values.windows(2).all(|pair| pair.first() == pair.last())
        }
        match &self.values {
            Values::Bool(values) => are_one(values),
            Values::Int(values) => are_one(values),
            Values::Float(values) => are_one(values),
            Values::Text { bytes, ends } => {
                let length = ends.first().copied().unwrap_or(0);
                let text = |begin: usize, end: usize| bytes.get(begin..end);
                ends.windows(2).all(|pair| matches!(pair, [begin, end] if text(*begin, *end) == text(0, length)))
            }
        }
    }

    /// Forgets all rows and makes room for so many.
    fn clear(&mut self, rows: usize) {
        fn clear<T>(values: &mut Vec<T>, rows: usize) {
            values.clear();
            values.reserve(rows);
        }
        clear(&mut self.present, rows);
        match &mut self.values {
            Values::Bool(values) => clear(values, rows),
            Values::Int(values) => clear(values, rows),
            Values::Float(values) => clear(values, rows),
            Values::Text { bytes, ends } => {
                bytes.clear();
                clear(ends, rows);
            }
        }
    }

    /// Returns the values as cells: what a test compares.
    #[cfg(test)]
    fn known(&self) -> Vec<Cell<'_>> {
        match &self.values {
            Values::Bool(values) => values.iter().map(|value| Cell::Bool(*value)).collect(),
            Values::Int(values) => values
                .iter()
                .map(|value| match self.column.kind {
                    Kind::Time => Cell::Time(*value),
                    Kind::Usd => Cell::Usd(*value),
                    _ => Cell::Int(*value),
                })
                .collect(),
            Values::Float(values) => values.iter().map(|value| Cell::Float(value.to_bits())).collect(),
            Values::Text { bytes, ends } => {
                let text = |(begin, end): (&usize, &usize)| {
                    Cell::Text(String::from_utf8_lossy(bytes.get(*begin..*end).unwrap_or_default()))
                };
                std::iter::once(&0).chain(ends).zip(ends).map(text).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(table: Table) -> impl Strategy<Value = Vec<Vec<Cell<'static>>>> {
        let cell = |column: &Column| {
            let value = match column.kind {
                Kind::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
                Kind::Int => any::<i64>().prop_map(Cell::Int).boxed(),
                Kind::Time => any::<i64>().prop_map(Cell::Time).boxed(),
                Kind::Usd => any::<i64>().prop_map(Cell::Usd).boxed(),
                Kind::Float => any::<u64>().prop_map(Cell::Float).boxed(),
                Kind::Text => ".{0,9}".prop_map(|text| Cell::Text(text.into())).boxed(),
            };
            if column.nullable { prop_oneof![Just(Cell::Null), value].boxed() } else { value }
        };
        proptest::collection::vec(table.columns().iter().map(cell).collect::<Vec<_>>(), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn rows_come_back_as_they_were_by_row_and_by_column(
            (table, rows) in proptest::sample::select(&[Table::Verdicts, Table::Costs, Table::Tools][..])
                .prop_flat_map(|table| (Just(table), rows(table))),
            most in 1usize..8,
        ) {
            let mut buffer = Buffer::new(table);
            for row in &rows {
                buffer.push(row).unwrap();
            }
            let (mut read, mut cells, mut again) = (buffer.read(), Vec::new(), Vec::new());
            while read.next_into(&mut cells) {
                again.push(cells.clone());
            }
            prop_assert_eq!(&again, &rows);

            let (mut read, mut columns, mut begin) = (buffer.read(), Columns::new(table), 0);
            loop {
                let count = columns.fill(&mut read, most);
                for (number, cells) in columns.0.iter().enumerate() {
                    let expected: Vec<Cell> = rows[begin..begin + count].iter().map(|row| row[number].clone()).collect();
                    let present: Vec<i16> = expected.iter().map(|cell| i16::from(*cell != Cell::Null)).collect();
                    prop_assert_eq!(&cells.present, &present);
                    let known: Vec<Cell> = expected.into_iter().filter(|cell| *cell != Cell::Null).collect();
                    prop_assert_eq!(cells.known(), known);
                }
                begin += count;
                if count == 0 {
                    break;
                }
            }
            prop_assert_eq!(begin, rows.len());
        }
    }

    #[test]
    fn a_cell_that_does_not_fit_is_named_and_its_row_is_not_there() {
        let mut buffer = Buffer::new(Table::Answers);
        let fits = |column: &Column| match column.kind {
            Kind::Bool => Cell::Bool(true),
            Kind::Int => Cell::Int(1),
            Kind::Float => Cell::Float(0),
            Kind::Text => Cell::text("a"),
            Kind::Time => Cell::Time(1),
            Kind::Usd => Cell::Usd(1),
        };
        let mut row: Vec<Cell> = Table::Answers.columns().iter().map(fits).collect();
        buffer.push(&row).unwrap();
        row[6] = Cell::Null;
        assert_eq!(buffer.push(&row), Err("question"));
        assert_eq!(buffer.push(&row[1..]), Err("answers"));
        (row[6], row[1]) = (Cell::text("b"), Cell::Null);
        buffer.push(&row).unwrap();
        let (mut rows, mut cells, mut seqs) = (buffer.read(), Vec::new(), Vec::new());
        while rows.next_into(&mut cells) {
            seqs.push(cells[1].clone());
        }
        assert_eq!(seqs, [Cell::Int(1), Cell::Int(i64::MAX)], "a position that no signed integer holds is the largest one");
    }
}
