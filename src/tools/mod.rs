//! What agents may do in the world: the built-in tools, each in a file of its own behind one trait.
//!
//! A tool says what it is ([`ToolSpec`]: name, description, JSON Schema of its arguments, effect) and runs. Whether a call may run at
//! all (the agent has the tool, the arguments are of the schema) is decided before, in [`crate::domain::run`]; what it may touch is
//! guarded here, whoever calls: every path goes through [`root::Root`], which never leaves its folder, and [`secrets`] names what is
//! not read inside it. Nothing here knows runs, events or models. Start with [`Toolbox`].

mod child;
mod find_files;
mod git;
mod list_files;
pub mod mcp;
mod read_file;
pub mod root;
mod run_command;
mod search_files;
pub mod secrets;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::domain::event::{NotRun, ToolFault};
use crate::domain::judge::CommandAsked;
use crate::domain::run::Observation;
use crate::domain::settings::ToolSettings;
use crate::domain::tool::{ToolOutcome, ToolSpec};

use child::Ended;
use mcp::Servers;
use root::{Root, RootError};

pub use child::Environment;

/// A tool.
trait Tool: Send + Sync {
    /// Returns what it is.
    fn spec(&self) -> ToolSpec;

    /// Runs it. `arguments` are of its schema; it ends early, with whatever error, once `stop` is cancelled.
    fn run(&self, arguments: &Value, place: &Place, stop: &CancellationToken) -> Result<String, ToolError>;
}

/// Why a tool did not do what it was asked, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// What kind of failure.
    pub fault: ToolFault,
    /// What happened, and what to do instead.
    pub message: String,
}

impl ToolError {
    fn failed(message: impl Into<String>) -> Self {
        Self { fault: ToolFault::Failed, message: message.into() }
    }

    fn not_allowed(message: impl Into<String>) -> Self {
        Self { fault: ToolFault::NotAllowed, message: message.into() }
    }

    fn bad_arguments(message: impl Into<String>) -> Self {
        Self { fault: ToolFault::BadArguments, message: message.into() }
    }
}

fn built_in() -> Vec<Box<dyn Tool>> {
    vec![
        Box::new(list_files::ListFiles),
        Box::new(find_files::FindFiles),
        Box::new(read_file::ReadFile),
        Box::new(search_files::SearchFiles),
        Box::new(git::Git),
        Box::new(run_command::RunCommand),
    ]
}

/// Returns what every tool of this version is.
pub fn catalogue() -> Vec<ToolSpec> {
    built_in().iter().map(|tool| tool.spec()).collect()
}

/// Where tools work, and what they may use there.
struct Place {
    root: Root,
    /// Paths that settings deny, as they write them.
    deny: Vec<String>,
    /// Programs that may run.
    commands: Vec<String>,
    environment: Environment,
}

/// The tools, and the folder in which they work.
pub struct Toolbox {
    tools: Vec<(String, Box<dyn Tool>)>,
    place: Result<Place, RootError>,
    servers: Option<Arc<Servers>>,
}

impl Toolbox {
    /// Makes the tools for the folder `workspace`, under what `settings` allow. Those of `never` are folders that are not read wherever
    /// they lie (stores). Programs have `environment`. A folder that cannot be opened is said by every tool.
    pub fn new(workspace: &Path, never: &[&Path], settings: &ToolSettings, environment: Environment) -> Self {
        let tools = built_in().into_iter().map(|tool| (tool.spec().name, tool)).collect();
        let root = Root::open(workspace, never, &settings.deny);
        let commands = settings.commands.clone();
        Self { tools, place: root.map(|root| Place { root, deny: settings.deny.clone(), commands, environment }), servers: None }
    }

    /// Adds the tools of MCP servers.
    #[must_use]
    pub fn with_servers(mut self, servers: Option<Arc<Servers>>) -> Self {
        self.servers = servers;
        self
    }

    /// Runs a command that a criterion asks for, and says what was seen; `None` when `stop` was cancelled meanwhile.
    pub fn observe(&self, asked: CommandAsked<'_>, stop: &CancellationToken) -> Option<Observation> {
        let not_run = |why| Some(Observation::of_command_not_run(asked.run, why));
        let (Ok(place), Some((program, arguments))) = (&self.place, asked.run.split_first()) else {
            return not_run(NotRun::NotFound);
        };
        let limit = Duration::from_secs(asked.timeout_s);
        match place.command(program, arguments, limit, stop) {
            Ok(Ended { exit, timed_out, output, bytes, took }) => {
                let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                Some(Observation::of_command(asked.run, exit, timed_out, latency_ms, (output, bytes)))
            }
            Err(_) if stop.is_cancelled() => None,
            Err(ToolError { fault: ToolFault::NotAllowed, .. }) => not_run(NotRun::NotAllowed),
            Err(_) => not_run(NotRun::NotFound),
        }
    }

    /// Runs a tool; `None` when `stop` was cancelled before it had a result. It blocks: call it on a thread that may.
    pub fn run(&self, name: &str, arguments: &Value, stop: &CancellationToken) -> Option<ToolOutcome> {
        let start = Instant::now();
        let result = self.result(name, arguments, stop);
        if stop.is_cancelled() && result.is_err() {
            return None;
        }
        let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (fault, text) = match result {
            Ok(text) => (None, text),
            Err(ToolError { fault, message }) => (Some(fault), message),
        };
        Some(ToolOutcome { fault, bytes: text.len() as u64, text, latency_ms })
    }

    fn result(&self, name: &str, arguments: &Value, stop: &CancellationToken) -> Result<String, ToolError> {
        let tool = self.tools.iter().find(|(known, _)| known == name);
        let Some((_, tool)) = tool else {
            if let Some(servers) = self.servers.as_ref().filter(|servers| servers.has(name)) {
                return servers.call(name, arguments, stop);
            }
            return Err(ToolError {
                fault: ToolFault::UnknownTool,
                message: format!("`{name}` is not a tool of this version of meno"),
            });
        };
        let place = self.place.as_ref().map_err(|error| ToolError::failed(error.to_string()))?;
        tool.run(arguments, place, stop)
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.tools.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Toolbox").field("tools", &names).finish_non_exhaustive()
    }
}

/// Reads arguments that the schema has let through.
fn arguments<T: DeserializeOwned>(value: &Value) -> Result<T, ToolError> {
    serde_json::from_value(value.clone())
        .map_err(|error| ToolError::bad_arguments(format!("The arguments cannot be used: {error}")))
}
