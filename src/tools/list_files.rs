//! `list_files`: the names in a folder.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::root::{Kind, one_line};
use super::walk::{Extent, walk};
use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::event::ToolFault;
use crate::domain::tool::{ToolEffect, ToolSpec};

/// Lines of a list, at most.
const LINES_MAX: usize = 1000;

pub(super) struct ListFiles;

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    depth: Option<usize>,
}

impl Tool for ListFiles {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "list_files".to_owned(),
            description:
                "Lists what is in a folder of the workspace. Folders end in `/`. What .gitignore leaves out is left out."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "The folder, relative to the workspace. Default: the workspace itself."},
                    "depth": {"type": "integer", "minimum": 1, "maximum": 10, "description": "Folders within folders are listed so deep. Default 1."},
                },
                "additionalProperties": false,
            }),
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let root = &place.root;
        let Arguments { path, depth } = arguments(value)?;
        let start = root.path(path.as_deref().unwrap_or("."))?;
        let lines = Mutex::new(Vec::new());
        let extent = Extent { depth: depth.unwrap_or(1), respect_ignore: true };
        walk(root, &start, extent, stop, |folder, name, kind| {
            let path = folder.path().join(name).text();
            let line = match kind {
                Kind::File => path,
                Kind::Folder => format!("{path}/"),
                Kind::Link(target) => format!("{path} -> {target}"),
                Kind::Other => format!("{path} (neither a file nor a folder)"),
            };
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        })?;
        let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(listed(lines, "entries", LINES_MAX).into())
    }
}

/// Writes lines in their order, at most `most` of them, and says how many there are more.
pub(super) fn listed(mut lines: Vec<String>, what: &str, most: usize) -> String {
    lines.sort_unstable();
    let count = lines.len();
    if count == 0 {
        return format!("(no {what})");
    }
    let mut text = String::new();
    lines.iter().take(most).for_each(|line| {
        let _ = writeln!(text, "{}", one_line(line));
    });
    if count > most {
        let _ = writeln!(text, "({} more {what} are not shown: ask for less at once)", count - most);
    }
    text
}

/// What a tool says of a pattern that it cannot use.
pub(super) fn bad_pattern(pattern: &str, why: &dyn std::fmt::Display) -> ToolError {
    ToolError { fault: ToolFault::BadArguments, message: format!("`{pattern}` is not a pattern: {why}") }
}
