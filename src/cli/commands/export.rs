//! `meno export`: the log for somebody else, bit for bit.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::backup::HeadDocument;
use crate::cli::args::{ExportArgs, ExportFormat};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::{Printer, words};
use crate::store::backup::LogEnd;
use crate::workspace::{Access, Exported};

/// What `export --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was exported, as `meno export --json` prints it")]
pub struct ExportDocument {
    /// The file that was written; null when nothing was new.
    pub file: Option<String>,
    /// Whether private parts are in it.
    pub private: bool,
    /// The first position that was not exported before.
    pub from: u64,
    /// Where the log ends.
    pub head: HeadDocument,
    /// Events written.
    pub events: u64,
    /// Texts written that are kept beside the log.
    pub payloads: u64,
    /// Such texts that events name and that are not in it: they were missing or damaged.
    pub missing_payloads: u64,
}

/// Writes the log's events.
///
/// # Errors
/// When the folder cannot be written, or the log is damaged.
pub fn run(context: &mut Context, args: &ExportArgs) -> Result<Exit> {
    if args.format != ExportFormat::Jsonl || !args.tables.is_empty() {
        return super::export_tables::run(context, args);
    }
    if args.since.is_some() || args.until.is_some() || args.with_payloads {
        return Err(CliError::usage("the log is exported whole: `--since`, `--until` and `--with-payloads` are for tables")
            .hint("name tables with `--tables`, or choose `--format parquet`"));
    }
    if args.dir.to_str().is_some_and(|address| address.contains("://")) {
        return Err(CliError::usage("the log itself is exported into a folder, and this is a shared place")
            .hint("`meno push URL` shares the log; `meno export URL --format parquet` writes tables there"));
    }
    let is_stdout = args.dir == Path::new("-");
    if is_stdout && context.out.json() {
        return Err(
            CliError::usage("`--json` prints a document where the events go").hint("export into a folder, or leave `--json` out")
        );
    }
    let workspace = open::store(context, Access::Read)?;
    let private = !args.without_private;
    let exported = if is_stdout {
        let mut out = BufWriter::with_capacity(1 << 20, Stdout(&mut context.out));
        workspace.keeping().write_events(&mut out, private)?
    } else {
        workspace.keeping().export_events(&args.dir, private)?
    };
    show(context, &exported, private)?;
    Ok(Exit::Done)
}

fn show(context: &mut Context, exported: &Exported, private: bool) -> Result<()> {
    let Exported { file, from, head, events, payloads, missing_payloads } = exported;
    if context.out.json() {
        return context.out.document(&ExportDocument {
            file: file.as_ref().map(|file| file.display().to_string()),
            private,
            from: *from,
            head: (&LogEnd::from(*head)).into(),
            events: *events,
            payloads: *payloads,
            missing_payloads: *missing_payloads,
        });
    }
    let what = if private { words::plural(*payloads, "text") + " beside them" } else { "no private parts".to_owned() };
    match file {
        Some(file) => context.out.say(format!("{}: {}, {what}", file.display(), words::plural(*events, "event"))),
        None if *events > 0 => context.out.say(format!("{}, {what}", words::plural(*events, "event"))),
        None => context.out.say("nothing is new since the last export"),
    }
    context.out.say(format!("head: event {}, {}", head.seq, head.hash));
    if *missing_payloads > 0 {
        let missing = words::plural(*missing_payloads, "text");
        context.out.warn(format!("{missing} that events name are missing or damaged and not in it; `meno doctor` says more"));
    }
    Ok(())
}

/// Standard output, as exports write to it.
struct Stdout<'a>(&'a mut Printer);

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bytes(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_an_export_is_that_of_its_type() {
        crate::views::schema_test::check::<super::ExportDocument>("export.json");
    }
}
