//! `find_files`: the files of the workspace whose names fit a pattern.

use std::sync::{Mutex, PoisonError};

use ignore::overrides::{Override, OverrideBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::list_files::{bad_pattern, listed};
use super::root::Kind;
use super::walk::{Extent, walk};
use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::tool::{ToolEffect, ToolSpec};

/// Files that are listed, at most.
const FILES_MAX: usize = 1000;

pub(super) struct FindFiles;

#[derive(Deserialize)]
struct Arguments {
    pattern: String,
    #[serde(default)]
    path: Option<String>,
}

impl Tool for FindFiles {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "find_files".to_owned(),
            description: "Finds files of the workspace by their names, in every folder. What .gitignore leaves out is left out."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "pattern": {"type": "string", "minLength": 1, "maxLength": 500, "description": "A pattern as in .gitignore: `*.rs`, `src/**/*.py`, `Cargo.toml`."},
                    "path": {"type": "string", "description": "The folder to look in, relative to the workspace. Default: the workspace itself."},
                },
                "required": ["pattern"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let root = &place.root;
        let Arguments { pattern, path } = arguments(value)?;
        let start = root.path(path.as_deref().unwrap_or("."))?;
        let wanted = pattern_of(&pattern)?;
        let found = Mutex::new(Vec::new());
        walk(root, &start, EVERYWHERE, stop, |folder, name, kind| {
            let path = folder.path().join(name).text();
            if *kind == Kind::File && wanted.matched(&path, false).is_whitelist() {
                found.lock().unwrap_or_else(PoisonError::into_inner).push(path);
            }
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(listed(found, "files", FILES_MAX).into())
    }
}

/// All of the tree that `.gitignore` leaves, down to where nobody puts anything.
pub(super) const EVERYWHERE: Extent = Extent { depth: 100, respect_ignore: true };

/// Reads a pattern that paths relative to the workspace are compared with.
pub(super) fn pattern_of(pattern: &str) -> Result<Override, ToolError> {
    let mut builder = OverrideBuilder::new("");
    // What begins with `!` would mean everything but that.
    let plain = pattern.strip_prefix("./").unwrap_or(pattern);
    if plain.starts_with('!') {
        return Err(bad_pattern(pattern, &"it begins with `!`"));
    }
    builder.add(plain).map_err(|error| bad_pattern(pattern, &error))?;
    builder.build().map_err(|error| bad_pattern(pattern, &error))
}
