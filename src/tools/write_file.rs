//! `write_file`: gives a file of the workspace a new content.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::change::{Planner, Write};
use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::event::FileChange;
use crate::domain::tool::{ToolEffect, ToolSpec, WRITE_FILE};

pub(super) struct WriteFile;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    content: String,
}

impl Tool for WriteFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: WRITE_FILE.to_owned(),
            description:
                "Writes a text file of the workspace, whole: it is made, with its folders, or what it held is replaced. To change a \
                          part of a long file, use `apply_patch`."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1, "description": "The file, relative to the workspace."},
                    "content": {"type": "string", "description": "All that it is to hold."},
                },
                "required": ["path", "content"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Writes,
        }
    }

    fn run(&self, _: &Value, _: &ToolContext, _: &CancellationToken) -> Result<Output, ToolError> {
        Err(ToolError::failed("Changes are planned first."))
    }

    fn plan(&self, value: &Value, place: &ToolContext, recorded: Option<&[FileChange]>) -> Option<Result<Write, ToolError>> {
        Some((|| {
            let Arguments { path, content } = arguments(value)?;
            let mut planner = Planner::new(place, recorded);
            planner.write(&path, Some(content))?;
            Ok(planner.finish())
        })())
    }
}
