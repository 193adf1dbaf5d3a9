//! `recall`: what past runs of this store have to say.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::tool::{ToolEffect, ToolSpec};

/// Searches the memory of the store: the question, and how many runs are named; an answer or a failure in words.
pub type SearchMemory = Arc<dyn Fn(&str, usize) -> Result<String, String> + Send + Sync>;

/// Runs that are named, unless more or fewer are asked for, and at most.
const RUNS_DEFAULT: usize = 5;
const RUNS_MAX: usize = 20;

pub(super) struct Recall;

#[derive(Deserialize)]
struct Arguments {
    query: String,
    #[serde(default)]
    runs: Option<usize>,
}

impl Tool for Recall {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "recall".to_owned(),
            description:
                "Searches past runs of this store, by words and by meaning: what was asked, answered, judged, noted. Gives the \
                          nearest runs with an excerpt of each."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "query": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "What to look for, in words."},
                    "runs": {"type": "integer", "minimum": 1, "maximum": RUNS_MAX, "description": "Runs to name, at most. Default 5."},
                },
                "required": ["query"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, _: &CancellationToken) -> Result<Output, ToolError> {
        let Arguments { query, runs } = arguments(value)?;
        let Some(search) = &place.memory else { return Err(ToolError::failed("There is no memory to search here.")) };
        search(&query, runs.unwrap_or(RUNS_DEFAULT)).map(Output::from).map_err(ToolError::failed)
    }
}
