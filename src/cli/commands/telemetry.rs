//! `meno telemetry show` and `meno telemetry export`: the model calls, without anything that was said.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::analytics::telemetry::{TelemetryLine, line};
use crate::cli::args::{TelemetryCommand, TelemetryFormat, TelemetrySpan};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::{sanitize, words};
use crate::cli::{open, render};
use crate::domain::ids::TimeNs;
use crate::lake::otel::write as otel_write;
use crate::workspace::{Access, Workspace};

/// What `telemetry export -o FILE --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was written, as `meno telemetry export -o FILE --json` prints it")]
pub struct TelemetryExported {
    /// The file.
    pub file: String,
    /// Its format.
    pub format: TelemetryFormat,
    /// The calls in it.
    pub calls: u64,
}

/// Shows or exports the model calls.
///
/// # Errors
/// When the store cannot be read or the file not written.
pub fn run(context: &mut Context, command: &TelemetryCommand) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    match command {
        TelemetryCommand::Show(span) => show(context, &workspace, span),
        TelemetryCommand::Export { span, format, output } => export(context, &workspace, span, *format, output.as_deref()),
    }
}

fn moments(context: &Context, span: &TelemetrySpan) -> (Option<TimeNs>, Option<TimeNs>) {
    let (now, zone) = (Timestamp::now(), context.out.zone());
    (span.since.as_ref().map(|when| when.since(now, zone)), span.until.as_ref().map(|when| when.until(now, zone)))
}

fn show(context: &mut Context, workspace: &Workspace, span: &TelemetrySpan) -> Result<Exit> {
    let (since, until) = moments(context, span);
    workspace.keeping().count_logs(span.logs.filter())?;
    let report = workspace.memory().telemetry(since, until)?;
    if context.out.json() {
        context.out.document(&report)?;
    } else if report.modes.is_empty() {
        context.out.say("no model was called then; `meno list-runs` shows the runs");
    } else {
        let text = render::telemetry::telemetry(&context.out, &report);
        context.out.data(text)?;
    }
    Ok(Exit::Done)
}

/// How lines are written: as rows of a table or as JSON.
enum Writer<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Writer<W> {
    fn begin(format: TelemetryFormat, to: W) -> std::io::Result<Self> {
        Ok(match format {
            TelemetryFormat::Csv => {
                let mut csv = csv::Writer::from_writer(to);
                csv.write_record(TelemetryLine::COLUMNS)?;
                Self::Csv(Box::new(csv))
            }
            TelemetryFormat::Jsonl | TelemetryFormat::OtlpJson => Self::Jsonl(to),
        })
    }

    fn write(&mut self, line: &TelemetryLine) -> std::io::Result<()> {
        match self {
            // A program that opens the table must not take a cell for a formula.
            Self::Csv(csv) => Ok(csv.write_record(line.cells().map(harmless))?),
            Self::Jsonl(to) => {
                let json = serde_json::to_string(line)?;
                writeln!(to, "{}", sanitize::json(&json))
            }
        }
    }

    fn end(&mut self) -> std::io::Result<()> {
        match self {
            Self::Csv(csv) => csv.flush(),
            Self::Jsonl(to) => to.flush(),
        }
    }
}

/// Cleans a cell of control characters, and puts a quote before what spreadsheets take for a formula.
fn harmless(cell: String) -> String {
    let cell = sanitize::line(&cell).into_owned();
    if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell }
}

fn export(
    context: &mut Context,
    workspace: &Workspace,
    span: &TelemetrySpan,
    format: TelemetryFormat,
    output: Option<&Path>,
) -> Result<Exit> {
    workspace.keeping().count_logs(span.logs.filter())?;
    let span = moments(context, span);
    let Some(path) = output else {
        // Lines are kept until the end of a page only, so a closed pipe ends the export at once.
        let count = write(workspace, span, format, OutWriter(&mut context.out))?;
        context.out.detail(format!("{count} calls"));
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| CliError::cannot_write(path, &error);
    // A file appears only when it is whole.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let file = std::fs::File::create(&beside).map_err(failed)?;
    let written = write(workspace, span, format, std::io::BufWriter::new(file));
    let count = written.inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    std::fs::rename(&beside, path).map_err(failed)?;
    if context.out.json() {
        context.out.document(&TelemetryExported { file: path.display().to_string(), format, calls: count })?;
    } else {
        context.out.say(format!("written: {} with {}", path.display(), words::plural(count, "call")));
    }
    Ok(Exit::Done)
}

/// Stdout as a writer.
struct OutWriter<'a>(&'a mut crate::cli::output::Printer);

impl Write for OutWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.bytes(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn write(
    workspace: &Workspace,
    (since, until): (Option<TimeNs>, Option<TimeNs>),
    format: TelemetryFormat,
    to: impl Write,
) -> Result<u64> {
    if format == TelemetryFormat::OtlpJson {
        return write_otlp(workspace, (since, until), std::io::BufWriter::new(to));
    }
    let mut writer = Writer::begin(format, std::io::BufWriter::new(to))?;
    let mut count = 0;
    workspace.memory().each_call(since, until, |key, row, payer| -> Result<()> {
        count += 1;
        Ok(writer.write(&line(key, row, payer))?)
    })?;
    writer.end()?;
    Ok(count)
}

/// Writes spans, run by run, as one document a line.
fn write_otlp(workspace: &Workspace, (since, until): (Option<TimeNs>, Option<TimeNs>), mut to: impl Write) -> Result<u64> {
    const SPANS_PER_LINE: usize = 500;
    let mut held = Vec::new();
    let mut count = 0;
    let mut line = |spans: &mut Vec<serde_json::Value>| -> Result<()> {
        let document = otel_write::document(std::mem::take(spans), env!("CARGO_PKG_VERSION"));
        Ok(writeln!(to, "{}", sanitize::json(&document.to_string()))?)
    };
    workspace.memory().each_run_spans(since, until, &mut |spans, calls| -> Result<()> {
        count += calls;
        held.extend(spans);
        if held.len() >= SPANS_PER_LINE { line(&mut held) } else { Ok(()) }
    })?;
    if !held.is_empty() || count == 0 {
        line(&mut held)?;
    }
    to.flush()?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        assert_eq!(harmless("=1+1".into()), "'=1+1");
        assert_eq!(harmless("release_prep".into()), "release_prep");
    }
}
