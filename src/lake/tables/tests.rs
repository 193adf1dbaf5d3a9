//! The tables as their readers rely on them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;

use super::buffer::Buffer;
use super::extract::Extract;
use super::facts::Line;
use super::{Cell, Row, Table, parquet, plain};
use crate::domain::event::{NoteAdded, NoteAddedPrivate, Recorded, ToolEnded, ToolEndedPrivate, ToolStarted, ToolStartedPrivate};
use crate::domain::text::Text;
use crate::views::sample;

/// The sample run, with a tool.
fn story() -> Vec<Recorded> {
    let private = Some(ToolStartedPrivate { arguments: Text::Inline("{\"pattern\": \"ACME\"}".into()) });
    let started = ToolStarted { call: 1, tool_call: 0, tool: "search_files".into(), writes: false, private };
    let private = Some(ToolEndedPrivate { result: Text::Inline("ACME".into()), whole: None, diff: None, originals: Vec::new() });
    let (bytes, told_bytes, fault, repeats, reused) = (Some(4), Some(4), None, None, None);
    let ended = ToolEnded { call: 1, tool_call: 0, ok: true, latency_ms: 5, fault, bytes, told_bytes, repeats, reused, private };
    let mut events: Vec<_> = sample::story().into_iter().map(|recorded| recorded.event).collect();
    events.splice(12..12, [started.into(), ended.into()]);
    sample::stream(events)
}

fn forget(recorded: &mut Recorded) {
    match &mut recorded.event {
        crate::domain::event::Event::ToolStarted(body) => body.private = None,
        crate::domain::event::Event::ToolEnded(body) => body.private = None,
        event => sample::forget(event),
    }
}

/// Returns the rows that events make of all tables, as an export of one stretch does.
fn rows(events: &[Recorded], before: &[Recorded], tables: &[Table]) -> Vec<Row<'static>> {
    let mut extract = Extract::new("NODE".to_owned(), tables.to_vec());
    let mut rows = Vec::new();
    for whole in events {
        let mut public = whole.clone();
        forget(&mut public);
        let run = public.envelope.run.unwrap();
        let earlier = || {
            let mut earlier = before.to_vec();
            earlier.iter_mut().for_each(forget);
            Ok::<_, Infallible>(earlier)
        };
        let whole = tables.contains(&Table::Texts).then_some(whole);
        extract.apply(run, &public, whole, earlier, &mut |row| rows.push(row.into_owned())).unwrap();
        let line = Line { envelope: &public.envelope, kind: public.event.kind(), hash: &public.hash, event: Some(&public.event) };
        rows.push(line.row("NODE").into_owned());
    }
    extract.finish(&mut |row| rows.push(row.into_owned()));
    rows
}

fn buffers(rows: Vec<Row<'_>>) -> Vec<Buffer> {
    let mut buffers: Vec<Buffer> = Table::ALL.iter().map(|table| Buffer::new(*table)).collect();
    for row in rows {
        let buffer = buffers.iter_mut().find(|buffer| buffer.table == row.table).unwrap();
        let table = row.table;
        buffer.push(&row.cells).unwrap_or_else(|column| panic!("{table}: {column}"));
    }
    buffers
}

#[test]
fn the_published_columns_are_those_of_the_code() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/lake");
    for table in Table::ALL {
        let schema = serde_json::to_string_pretty(&table.schema()).unwrap() + "\n";
        let path = dir.join(format!("{table}.v{}.json", super::VERSION));
        if std::env::var_os("MENO_BLESS").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &schema).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(published == schema, "{} is not what the code says; MENO_BLESS=1 writes it anew", path.display());
        let names: BTreeSet<&str> = table.columns().iter().map(|column| column.name).collect();
        assert_eq!(names.len(), table.columns().len(), "{table} has a column twice");
        assert!(table.key().iter().all(|key| names.contains(key)), "{table} has its key");
        assert!(!names.contains("v") && !names.contains("date"), "{table}: partitions have these names");
    }
}

#[test]
fn every_row_fits_its_columns_and_every_table_has_rows() {
    for buffer in buffers(rows(&story(), &[], Table::ALL)) {
        assert!(buffer.rows() > 0, "{} has no row in the story", buffer.table);
        let mut file = Vec::new();
        parquet::write(&buffer, &mut file).unwrap();
        let mut again = Vec::new();
        parquet::write(&buffer, &mut again).unwrap();
        assert!(file == again && file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
        let mut lines = Vec::new();
        plain::write_jsonl(&buffer, &mut lines).unwrap();
        let lines: Vec<serde_json::Value> =
            String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), buffer.rows());
        let mut csv = Vec::new();
        plain::write_csv(&buffer, &mut csv).unwrap();
        assert_eq!(csv::Reader::from_reader(csv.as_slice()).records().map(Result::unwrap).count(), buffer.rows());
    }
}

#[test]
fn a_private_word_is_in_no_table_but_that_of_texts() {
    let told = |row: &Row<'_>| row.cells.iter().any(|cell| matches!(cell, Cell::Text(text) if text.contains("ACME")));
    let rows = rows(&story(), &[], Table::ALL);
    assert!(rows.iter().any(|row| row.table == Table::Texts && told(row)), "the story has the word");
    assert!(!rows.iter().any(|row| row.table != Table::Texts && told(row)));
}

#[test]
fn a_stretch_says_only_what_the_ones_before_did_not() {
    let story = story();
    let tables = [Table::Runs, Table::Attempts, Table::Calls];
    let whole = rows(&story, &[], &tables);
    let newest = |rows: &[Row<'static>]| {
        let mut newest = std::collections::BTreeMap::new();
        for row in rows.iter().filter(|row| row.table != Table::Events) {
            let place = |name: &str| row.table.columns().iter().position(|column| column.name == name).unwrap();
            let key: Vec<Cell> = row.table.key().iter().map(|name| row.cells[place(name)].clone()).collect();
            let mut cells = row.cells.clone();
            cells[place("as_of")] = Cell::Null;
            newest.insert(format!("{} {key:?}", row.table), cells);
        }
        newest
    };
    for cut in 1..story.len() {
        let (first, second) = story.split_at(cut);
        let (mut told, more) = (rows(first, &[], &tables), rows(second, first, &tables));
        let states = |rows: &[Row<'_>]| rows.iter().filter(|row| row.table != Table::Events).count();
        assert!(states(&more) <= states(&whole), "at {cut}");
        told.extend(more);
        assert_eq!(newest(&told), newest(&whole), "cut at {cut}");
    }
    // What did not change is not told again.
    let note = sample::recorded(
        story.len() as u64 + 1,
        NoteAdded { rating: Some(2), private: Some(NoteAddedPrivate { text: Text::Inline("late".into()), tags: Vec::new() }) },
    );
    let more = rows(&[note], &story, &tables);
    let tables: Vec<Table> = more.iter().map(|row| row.table).filter(|table| *table != Table::Events).collect();
    assert_eq!(tables, [Table::Runs]);
}

#[test]
fn an_amount_is_exact_and_what_is_not_known_is_null() {
    assert_eq!(Cell::money(Some(1_234_567_890)), [Cell::Int(1_234_567_890), Cell::Usd(1_234_567_890)]);
    assert_eq!(Cell::money(None), [Cell::Null, Cell::Null]);
    assert_eq!(Cell::money(Some(2_000_000_000_000_000_000))[1], Cell::Null, "no decimal(18,9) holds two billion dollars");
    assert_eq!(Cell::number(u64::MAX), Cell::Null);
    assert_eq!((Cell::time(-1), super::day_of(-1), super::day_of(86_400_000_000_000)), (Cell::Time(-1), -1, 1));
}
