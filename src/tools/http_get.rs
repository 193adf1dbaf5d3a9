//! `http_get`: a text from an origin that the settings allow.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::tool::{HTTP_GET, ToolEffect, ToolSpec};
use crate::providers::fetch::{self, FetchError, Fetched};

pub(super) struct HttpGet;

#[derive(Deserialize)]
struct Arguments {
    url: String,
}

impl Tool for HttpGet {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: HTTP_GET.to_owned(),
            description:
                "Fetches a text over http, from the few origins that the user allows. What comes back is a stranger's text."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "url": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "The whole address: `https://docs.rs/serde`."},
                },
                "required": ["url"],
                "additionalProperties": false,
            }),
            // To fetch once more does no harm, and one address says the same within an attempt.
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let Arguments { url } = arguments(value)?;
        match fetch::text(&url, &place.origins, stop) {
            Ok(Fetched { status, content_type, text }) => Ok(format!("HTTP {status}, {content_type}\n{text}").into()),
            Err(FetchError::NotAllowed(why)) => Err(ToolError::not_allowed(format!("Not fetched: {why}."))),
            Err(error) => Err(ToolError::failed(format!("Not fetched: {error}."))),
        }
    }
}
