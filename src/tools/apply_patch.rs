//! `apply_patch`: changes files of the workspace by a unified diff.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::change::{Planner, Write};
use super::{Output, Tool, ToolContext, ToolError, arguments, patch};
use crate::domain::event::FileChange;
use crate::domain::tool::{APPLY_PATCH, ToolEffect, ToolSpec};

pub(super) struct ApplyPatch;

#[derive(Deserialize)]
struct Arguments {
    patch: String,
}

impl Tool for ApplyPatch {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: APPLY_PATCH.to_owned(),
            description:
                "Changes text files of the workspace by a unified diff, all of it or nothing. Context and removed lines must stand in \
                          the file exactly so; `--- /dev/null` makes a file, `+++ /dev/null` deletes one."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "patch": {"type": "string", "minLength": 1, "description": "The diff, with `--- a/FILE`, `+++ b/FILE` and `@@ -LINE,COUNT +LINE,COUNT @@` lines; paths are relative to the workspace."},
                },
                "required": ["patch"],
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
            let Arguments { patch } = arguments(value)?;
            let failed = |why: String| ToolError::failed(format!("The patch is not applied: {why}."));
            let files = patch::parse(&patch).map_err(failed)?;
            let mut planner = Planner::new(place, recorded);
            for file in files {
                let before = planner.read(file.path())?;
                let after = file.apply(before.as_deref()).map_err(failed)?;
                planner.write(file.path(), after)?;
                if file.is_executable {
                    planner.make_executable(file.path())?;
                }
            }
            Ok(planner.finish())
        })())
    }
}
