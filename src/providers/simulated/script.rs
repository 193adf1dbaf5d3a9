//! Scripts: files of replies that the simulation gives instead of its own.
//!
//! Replies are tried in the order of the file; the first that fits a call and is not used up is taken. Where agents run at
//! once, a reply that names its role and attempt does not depend on who comes first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::call::{CallRequest, ToolCall};
use crate::domain::event::{ErrorClass, Purpose, StopReason};
use crate::domain::ids::AttemptNo;
use crate::domain::json_fault::JsonFault;
use crate::domain::lenient_json;
use crate::domain::tier::Tier;
use crate::domain::tool::name_for_models;

use super::draw::Draw;

/// A file of scripted replies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Scripted replies of the simulated provider")]
pub struct Script {
    /// The replies, in the order in which they are tried.
    pub replies: Vec<ScriptedReply>,
}

/// A reply, for the calls that fit everything given among `role`, `attempt`, `turn`, `tier` and `purpose`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedReply {
    /// The agent's role; for one of a `foreach` with its item, as in `role[item]`, without it for all items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The attempt's number within the agent, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptNo>,
    /// The turn within the attempt, from 1: the first asks for tools, the next goes on with their results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub turn: Option<u32>,
    /// The tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Work or judging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// How many calls get it. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub times: Option<u32>,
    /// Milliseconds that the call takes, instead of the settings' `delay_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// What fails before the reply, or instead of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ScriptedError>,
    /// The reply's text. Without `text`, `json`, `tool_calls` and a refusal the answer is a simulated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The reply's text as a JSON value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Tools that the model asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ScriptedToolCall>,
    /// Why the model stopped. Default `end`, with tool calls `tool_use`. `max_tokens` without a text cuts the simulated
    /// answer in half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopReason>,
    /// What a refusal or a filter says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_details: Option<String>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedError {
    /// What kind of failure. `connection`, `timeout`, `server` and `rate_limit` are tried again, the others are not.
    pub class: ErrorClass,
    /// The HTTP status. By default the one that usually comes with the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// The provider's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many tries of a call fail; then the reply follows. Without it every try fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub times: Option<u32>,
    /// Milliseconds until the next try, as a `retry-after` would say. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedToolCall {
    /// The provider's id; made up unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool's name. One of an MCP server as settings name it, `mcp:fs/read_file`, or as models know it, `mcp__fs__read_file`.
    pub name: String,
    /// The arguments: any JSON, so that wrong ones can be tried.
    #[serde(default)]
    pub arguments: Value,
}

/// Why a file is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It is not JSON.
    #[error("the script of simulated replies is not JSON: {0}")]
    NotJson(JsonFault),
    /// It is not an object with a list of replies.
    #[error("a script of simulated replies is an object with one key, `replies`, and a list there")]
    NotAList,
    /// One reply cannot be used.
    #[error("reply {number} of the script of simulated replies: {problem}")]
    Reply {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first problem, with the number of the reply that has it.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let value =
            lenient_json::read_halves(text.as_bytes()).map_err(|error| ScriptError::NotJson(JsonFault::of(text, &error)))?;
        let replies = match &value {
            Value::Object(fields) if fields.len() == 1 => fields.get("replies").and_then(Value::as_array),
            _ => None,
        };
        let read = |(number, entry): (usize, &Value)| {
            let problem = |problem: String| ScriptError::Reply { number, problem };
            let reply: ScriptedReply = serde_json::from_value(entry.clone()).map_err(|error| problem(error.to_string()))?;
            reply.problem().map_or(Ok(reply), |text| Err(problem(text.to_owned())))
        };
        let replies = (1..).zip(replies.ok_or(ScriptError::NotAList)?).map(read).collect::<Result<_, _>>()?;
        Ok(Self { replies })
    }
}

impl ScriptedReply {
    fn problem(&self) -> Option<&'static str> {
        let error = self.error.as_ref();
        let says_something = self.has_reply() || error.is_some() || self.delay_ms.is_some() || self.stop.is_some();
        let refuses = matches!(self.stop, Some(StopReason::Refusal | StopReason::Filtered));
        [
            (!says_something, "it has none of `text`, `json`, `tool_calls`, `stop`, `error` and `delay_ms`"),
            (self.text.is_some() && self.json.is_some(), "`text` and `json` exclude each other"),
            (self.times == Some(0), "`times` must be at least 1"),
            (error.is_some_and(|error| error.times == Some(0)), "the error's `times` must be at least 1"),
            (self.attempt == Some(0), "attempts are numbered from 1"),
            (self.turn == Some(0), "turns are numbered from 1"),
            (error.is_some_and(|error| error.status.is_some_and(|status| !(100..600).contains(&status))), "no such HTTP status"),
            (
                self.ends_in_error() && (self.has_reply() || self.stop.is_some()),
                "the reply is never reached: give the error `times`",
            ),
            (
                error.is_some_and(|error| error.times.is_some() && !error.retryable()),
                "an error of this class is not tried again, so it takes no `times`",
            ),
            (self.stop_details.is_some() && !refuses, "`stop_details` go with `stop` `refusal` or `filtered`"),
            (self.tool_calls.iter().any(|call| call.name.is_empty()), "a tool call needs a `name`"),
        ]
        .into_iter()
        .find_map(|(wrong, text)| wrong.then_some(text))
    }

    fn has_reply(&self) -> bool {
        self.text.is_some() || self.json.is_some() || !self.tool_calls.is_empty()
    }

    /// Says that every try of the call fails.
    pub(super) fn ends_in_error(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.times.is_none())
    }

    pub(super) fn fits(&self, request: &CallRequest) -> bool {
        let context = &request.context;
        let role = |wanted: &String| context.role == *wanted || context.role.split('[').next() == Some(wanted.as_str());
        self.role.as_ref().is_none_or(role)
            && self.attempt.is_none_or(|attempt| attempt == context.attempt)
            && self.turn.is_none_or(|turn| turn as usize == request.turns.len() + 1)
            && self.tier.is_none_or(|tier| tier == context.tier)
            && self.purpose.is_none_or(|purpose| purpose == context.purpose)
    }

    pub(super) fn text(&self) -> Option<String> {
        self.text.clone().or_else(|| self.json.as_ref().map(Value::to_string))
    }

    pub(super) fn tool_calls(&self, draw: &Draw) -> Vec<ToolCall> {
        let id = |number: u64| format!("simulated-{:012x}", draw.number("tool call", number) >> 16);
        let call = |(call, number): (&ScriptedToolCall, u64)| ToolCall {
            id: call.id.clone().unwrap_or_else(|| id(number)),
            name: name_for_models(&call.name),
            arguments: call.arguments.clone(),
            carried: Vec::new(),
        };
        self.tool_calls.iter().zip(0u64..).map(call).collect()
    }
}

impl ScriptedError {
    pub(super) fn retryable(&self) -> bool {
        matches!(self.class, ErrorClass::Connection | ErrorClass::Timeout | ErrorClass::Server | ErrorClass::RateLimit)
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.status.or(match self.class {
            ErrorClass::Server => Some(503),
            ErrorClass::RateLimit | ErrorClass::Quota => Some(429),
            ErrorClass::Context | ErrorClass::BadRequest => Some(400),
            ErrorClass::Auth => Some(401),
            ErrorClass::UnknownModel => Some(404),
            ErrorClass::Connection | ErrorClass::Timeout | ErrorClass::BadReply | ErrorClass::Forbidden => None,
        })
    }

    pub(super) fn message(&self) -> String {
        self.message.clone().unwrap_or_else(|| format!("simulated failure: {}", self.class))
    }
}
