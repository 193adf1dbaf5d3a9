//! One file of one table as CSV or JSON Lines.

use std::borrow::Cow;
use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Cell;
use super::buffer::Buffer;

/// Writes the rows of `buffer` with a line of names. Nothing is an empty cell; a text that a spreadsheet would take for a formula has a
/// quote before it.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv(buffer: &Buffer, out: impl Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(buffer.table.columns().iter().map(|column| column.name))?;
    let (mut rows, mut row) = (buffer.read(), Vec::new());
    while rows.next_into(&mut row) {
        for cell in &row {
            csv.write_field(&*csv_cell(cell))?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

/// Writes one JSON object per row.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_jsonl(buffer: &Buffer, mut out: impl Write) -> io::Result<()> {
    let (mut rows, mut row) = (buffer.read(), Vec::new());
    while rows.next_into(&mut row) {
        let cells = buffer.table.columns().iter().map(|column| column.name.to_owned()).zip(row.iter().map(json));
        serde_json::to_writer(&mut out, &cells.collect::<Map<_, _>>())?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn csv_cell<'a>(cell: &'a Cell<'_>) -> Cow<'a, str> {
    match cell {
        Cell::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}").into(),
        cell => words(cell),
    }
}

fn json(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => Value::Bool(*value),
        Cell::Int(value) => Value::from(*value),
        Cell::Float(bits) => Value::from(f64::from_bits(*bits)),
        Cell::Text(_) | Cell::Time(_) | Cell::Usd(_) => Value::String(words(cell).into_owned()),
    }
}

fn words<'a>(cell: &'a Cell<'_>) -> Cow<'a, str> {
    let text = match cell {
        Cell::Null => String::new(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(bits) => f64::from_bits(*bits).to_string(),
        Cell::Text(text) => return Cow::Borrowed(text),
        Cell::Time(micros) => Timestamp::from_microsecond(*micros).map_or_else(|_| String::new(), |at| format!("{at:.6}")),
        Cell::Usd(nano) => {
            format!("{}{}.{:09}", if *nano < 0 { "-" } else { "" }, (nano / 1_000_000_000).abs(), (nano % 1_000_000_000).abs())
        }
    };
    text.into()
}
