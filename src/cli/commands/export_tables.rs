//! `meno export --format parquet|csv`: the log as tables for other engines.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::backup::HeadDocument;
use crate::cli::args::{ExportArgs, ExportFormat};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::words;
use crate::cli::progress::{Counting, EXPORTING};
use crate::cli::{open, render};
use crate::lake::tables::Table;
use crate::lake::tables::names::FileFormat;
use crate::store::backup::LogEnd;
use crate::workspace::{Access, TableExported, TablesExported, TablesRequest};

/// What `export --format parquet --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was exported as tables, as `meno export --format parquet --json` prints it")]
pub struct ExportTablesDocument {
    /// The folder.
    pub dir: String,
    /// How files are written: parquet, csv or jsonl.
    pub format: FileFormat,
    /// Where the log ends.
    pub head: HeadDocument,
    /// The first position that was asked for; null when nothing was recorded then.
    pub from: Option<u64>,
    /// The last position that was asked for.
    pub to: Option<u64>,
    /// Events that at least one table did not have yet.
    pub events: u64,
    /// What was written, by table.
    pub tables: Vec<TableDocument>,
}

/// What was written of one table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TableDocument {
    /// The table.
    pub table: Table,
    /// Rows that are new.
    pub rows: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes the tables that are asked for.
///
/// # Errors
/// When the folder cannot be written, or the log cannot be read.
pub fn run(context: &mut Context, args: &ExportArgs) -> Result<Exit> {
    if args.dir == Path::new("-") {
        return Err(CliError::usage("tables are files in a folder, and `-` is none")
            .hint("name a folder: `meno export lake --format parquet`"));
    }
    if args.tables.contains(&Table::Texts) && !args.with_payloads {
        return Err(
            CliError::usage("the table `texts` has texts by people, models and tools").hint("add `--with-payloads` to export it")
        );
    }
    let now = Timestamp::now();
    let zone = context.out.zone();
    let format = match args.format {
        ExportFormat::Parquet => FileFormat::Parquet,
        ExportFormat::Csv => FileFormat::Csv,
        ExportFormat::Jsonl => FileFormat::Jsonl,
    };
    let everything = TablesRequest::new(&args.dir);
    let mut tables = if args.tables.is_empty() { everything.tables } else { args.tables.clone() };
    if args.with_payloads {
        tables.push(Table::Texts);
    }
    tables.sort_unstable();
    tables.dedup();
    let (since, until) =
        (args.since.as_ref().map(|when| when.since(now, zone)), args.until.as_ref().map(|when| when.until(now, zone)));
    let request = TablesRequest { dir: args.dir.clone(), format, tables, since, until };
    let log = format == FileFormat::Jsonl && request.tables.contains(&Table::Events);
    if log && request.address().is_some() {
        return Err(CliError::usage("the log itself is a file in a folder, and this is a shared place")
            .hint("`meno push URL` shares the log; other tables go there with `--tables` or `--format parquet`"));
    }
    let workspace = open::store(context, Access::Read)?;
    // In JSON Lines the table of events is the log itself, bit for bit.
    let mut request = request;
    if log {
        request.tables.retain(|table| *table != Table::Events);
    }
    let counting = Counting::new(&context.out, EXPORTING);
    let exported = workspace.keeping().export_tables(&request, &mut |seq, last| {
        counting.show(seq, last);
    });
    counting.finish();
    let exported = exported?;
    let file = if log { workspace.keeping().export_events(&args.dir, args.with_payloads)?.file } else { None };
    show(context, &request, &exported, file)?;
    Ok(Exit::Done)
}

/// Returns what was written, table by table, as a document has it.
pub fn documents(exported: &TablesExported) -> Vec<TableDocument> {
    let document =
        |table: &TableExported| TableDocument { table: table.table, rows: table.rows, files: table.files, bytes: table.bytes };
    exported.tables.iter().map(document).collect()
}

/// Returns what was written, one line for each table that has something new.
pub fn lines(exported: &TablesExported) -> Vec<String> {
    let line = |table: &TableExported| {
        let (rows, files) = (words::plural(table.rows, "row"), words::plural(table.files, "file"));
        format!("{}: {rows} in {files}, {}", table.table, render::import::size(table.bytes))
    };
    exported.tables.iter().filter(|table| table.files > 0).map(line).collect()
}

fn show(context: &mut Context, request: &TablesRequest, exported: &TablesExported, file: Option<PathBuf>) -> Result<()> {
    if context.out.json() {
        return context.out.document(&ExportTablesDocument {
            dir: request.dir.display().to_string(),
            format: request.format,
            head: (&LogEnd::from(exported.head)).into(),
            from: exported.span.map(|span| span.first),
            to: exported.span.map(|span| span.last),
            events: exported.events,
            tables: documents(exported),
        });
    }
    lines(exported).into_iter().for_each(|line| context.out.say(line));
    if let Some(file) = file {
        context.out.say(format!("events: {}", file.display()));
    }
    match exported.span {
        None => context.out.say("nothing was recorded then"),
        Some(_) if exported.events == 0 => context.out.say("nothing is new since the last export"),
        Some(span) => {
            context.out.say(format!("{}: events up to {} of store {}", request.dir.display(), span.last, exported.head.node))
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_exported_tables_is_that_of_its_type() {
        crate::views::schema_test::check::<super::ExportTablesDocument>("export-tables.json");
    }
}
