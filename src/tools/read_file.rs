//! `read_file`: lines of a text file, with their numbers.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::tool::{READ_FILE, RESULT_BYTES_MAX, ToolEffect, ToolSpec};

/// Bytes of a file that is read, at most.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a line that are shown.
const LINE_BYTES_MAX: usize = 2000;
/// A text of this many bytes with its line numbers is told whole.
const SHOWN_BYTES_MAX: usize = RESULT_BYTES_MAX - 200;

pub(super) struct ReadFile;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    #[serde(default)]
    first_line: Option<u64>,
    #[serde(default)]
    lines: Option<u64>,
}

impl Tool for ReadFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: READ_FILE.to_owned(),
            description:
                "Reads a text file of the workspace, with line numbers. A long file comes in parts: ask for the next with \
                          `first_line`."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1, "description": "The file, relative to the workspace."},
                    "first_line": {"type": "integer", "minimum": 1, "description": "The first line to read. Default 1."},
                    "lines": {"type": "integer", "minimum": 1, "description": "How many lines, at most. Default: as many as fit."},
                },
                "required": ["path"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let root = &place.root;
        let Arguments { path, first_line, lines } = arguments(value)?;
        let path = root.path(&path)?;
        let (file, bytes) = root.file(&path)?;
        let name = path.text();
        if bytes > FILE_BYTES_MAX {
            return Err(ToolError::failed(format!("`{name}` has {bytes} bytes, and files above {FILE_BYTES_MAX} are not read.")));
        }
        let broken = |error: std::io::Error| ToolError::failed(format!("`{name}` cannot be read: {error}."));
        let mut reader = BufReader::with_capacity(1 << 16, file.take(FILE_BYTES_MAX));
        if reader.fill_buf().map_err(broken)?.iter().take(8192).any(|byte| *byte == 0) {
            return Err(ToolError::failed(format!("`{name}` is not a text ({bytes} bytes).")));
        }
        let first = first_line.unwrap_or(1);
        let most = lines.unwrap_or(u64::MAX);
        let (mut text, mut line, mut number, mut shown) = (String::new(), Vec::new(), 0u64, 0u64);
        let mut is_full = false;
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(broken)? == 0 {
                break;
            }
            number += 1;
            if number.is_multiple_of(65_536) && stop.is_cancelled() {
                return Err(ToolError::failed("stopped"));
            }
            if number < first || shown == most || is_full {
                continue;
            }
            let before = text.len();
            write_line(&mut text, number, &line);
            if text.len() > SHOWN_BYTES_MAX {
                text.truncate(before);
                is_full = true;
            } else {
                shown += 1;
            }
        }
        let text = match (number, shown) {
            (0, _) => format!("`{name}` is empty.\n"),
            (lines, 0) => format!("`{name}` has only {lines} lines.\n"),
            (lines, shown) if shown == lines => format!("{name}, {lines} lines:\n{text}"),
            (lines, shown) => format!("{name}, lines {first} to {} of {lines}:\n{text}", first + shown - 1),
        };
        Ok(text.into())
    }
}

fn write_line(text: &mut String, number: u64, line: &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let rest = line.len().saturating_sub(LINE_BYTES_MAX);
    let shown = String::from_utf8_lossy(&line[..line.len() - rest]);
    let _ = write!(text, "{number:>6}\t{shown}");
    if rest > 0 {
        let _ = write!(text, " [… {rest} more bytes]");
    }
    text.push('\n');
}
