//! What agents may do in the world: the built-in tools, each in a file of its own behind one trait.
//!
//! A tool says what it is ([`ToolSpec`]: name, description, JSON Schema of its arguments, effect) and runs. Whether a call may run at
//! all (the agent has the tool, the arguments are of the schema) is decided before, in [`crate::domain::run`]; what it may touch is
//! guarded here, whoever calls: every path goes through [`root::Root`], which never leaves its folder, and [`secrets`] names what is
//! not read inside it. Nothing here knows runs, events or models. Start with [`Toolbox`].

mod apply_patch;
pub mod change;
mod child;
pub mod deny;
mod find_files;
mod git;
mod http_get;
mod list_files;
pub mod mcp;
mod patch;
pub mod planted;
pub mod programs;
mod read_file;
mod recall;
pub mod root;
mod run_command;
pub mod sandbox;
mod search_files;
pub mod secrets;
mod trial;
mod walk;
mod write_file;

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::domain::event::{FileChange, NotRun, Resolution, ToolFault};
use crate::domain::judge::CommandAsked;
use crate::domain::redact::Redactor;
use crate::domain::run::Observation;
use crate::domain::settings::ToolSettings;
use crate::domain::tool::{self, HTTP_GET, RUN_COMMAND, ToolEffect, ToolOutcome, ToolSpec, changes_files};

use change::{Standing, Write};
use child::Ended;
use mcp::Servers;
use programs::Programs;
use root::{Root, RootError};
use sandbox::Confinement;
use trial::Trial;

pub use child::{Environment, end_all, remove_left_folders};
pub use recall::SearchMemory;

/// A tool.
trait Tool: Send + Sync {
    /// Returns what it is.
    fn spec(&self) -> ToolSpec;

    /// Runs it. `arguments` are of its schema; it ends early, with whatever error, once `stop` is cancelled.
    fn run(&self, arguments: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError>;

    /// Says what it would make of which files; `None` for tools that do not work in two steps. See [`Planner`](change) for `recorded`.
    fn plan(
        &self,
        _arguments: &Value,
        _place: &ToolContext,
        _recorded: Option<&[FileChange]>,
    ) -> Option<Result<Write, ToolError>> {
        None
    }
}

/// What a tool found, or how a program ended.
struct Output {
    /// In words for the model: all, or as much as was kept.
    text: String,
    /// Bytes that there were.
    bytes: u64,
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        Self { bytes: text.len() as u64, text }
    }
}

/// The first step of a tool.
#[derive(Debug)]
pub enum Begun {
    /// It has ended; `None`: it was stopped before it had a result.
    Ended(Option<ToolOutcome>),
    /// It is about to change files: that is recorded first, then [`Toolbox::write`] does it.
    Writes(Write),
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
        Box::new(write_file::WriteFile),
        Box::new(apply_patch::ApplyPatch),
        Box::new(http_get::HttpGet),
        Box::new(recall::Recall),
    ]
}

/// Returns what every tool of this version is.
pub fn catalogue() -> Vec<ToolSpec> {
    built_in().iter().map(|tool| tool.spec()).collect()
}

/// Where tools work, and what they may use there.
struct ToolContext {
    root: Root,
    /// Programs that may run.
    commands: Vec<String>,
    /// What they do, where that is known.
    effects: BTreeMap<String, ToolEffect>,
    /// Files may be changed.
    allow_write: bool,
    /// Origins that may be fetched from.
    origins: Vec<String>,
    /// Searches the memory of the store, where there is one.
    memory: Option<SearchMemory>,
    environment: Environment,
    /// What programs may touch.
    confinement: Confinement,
    /// The store, whose settings and templates are looked after.
    store: Option<PathBuf>,
    /// Where programs are noted while they run.
    programs: Option<Programs>,
    /// Knows what is never recorded.
    redactor: Arc<Redactor>,
}

impl ToolContext {
    /// Returns whether a text can be recorded as it is.
    fn is_clean(&self, text: &str) -> bool {
        matches!(self.redactor.redact_output(text), Cow::Borrowed(_))
    }
}

/// The tools, and the folder in which they work.
pub struct Toolbox {
    tools: Vec<(String, Box<dyn Tool>)>,
    place: Result<ToolContext, RootError>,
    servers: Option<Arc<Servers>>,
}

impl Toolbox {
    /// Makes the tools for the folder `workspace`, under what `settings` allow. Those of `never` are folders that are not read wherever
    /// they lie (stores). Programs have `environment`. A folder that cannot be opened is said by every tool.
    pub fn new(workspace: &Path, never: &[&Path], settings: &ToolSettings, environment: Environment) -> Self {
        let tools = built_in().into_iter().map(|tool| (tool.spec().name, tool)).collect();
        let root = Root::open(workspace, never, &settings.deny);
        let place = root.map(|root| ToolContext {
            confinement: Confinement::new(
                settings,
                root.folder_path(),
                environment.get("HOME").map(Path::new),
                environment.path(),
            ),
            root,
            commands: settings.commands.clone(),
            effects: settings.effects.clone(),
            allow_write: settings.allow_write,
            origins: settings.origins.clone(),
            memory: None,
            environment,
            store: never.first().map(|store| store.to_path_buf()),
            programs: None,
            redactor: Arc::default(),
        });
        Self { tools, place, servers: None }
    }

    /// Tells whether there is a file that tools may read.
    pub fn sees_a_file(&self) -> bool {
        let Ok(place) = &self.place else { return false };
        let (found, stop) = (AtomicBool::new(false), CancellationToken::new());
        // How the walk ends does not matter: it is ended by the first file.
        let _ = walk::walk(&place.root, &root::RootPath::default(), find_files::EVERYWHERE, &stop, |_, _, kind| {
            if *kind == root::Kind::File {
                found.store(true, Ordering::Relaxed);
                stop.cancel();
            }
        });
        found.into_inner()
    }

    /// Adds the tools of MCP servers.
    #[must_use]
    pub fn with_servers(mut self, servers: Option<Arc<Servers>>) -> Self {
        self.servers = servers;
        self
    }

    /// Has programs noted while they run.
    #[must_use]
    pub fn noting(mut self, programs: Option<Programs>) -> Self {
        if let Ok(place) = &mut self.place {
            place.programs = programs;
        }
        self
    }

    /// Has tools leave alone what `redactor` would remove from the record: a file that cannot be recorded cannot be put back either.
    #[must_use]
    pub fn redacting(mut self, redactor: Arc<Redactor>) -> Self {
        if let Ok(place) = &mut self.place {
            place.redactor = redactor;
        }
        self
    }

    /// Lets tools search the memory of the store by `search`.
    pub fn recall_by(&mut self, search: SearchMemory) {
        if let Ok(place) = &mut self.place {
            place.memory = Some(search);
        }
    }

    /// Runs a command that a criterion asks for of `answer`, and says what was seen; `None` when `stop` was cancelled meanwhile.
    pub fn observe(&self, asked: CommandAsked<'_>, answer: &str, stop: &CancellationToken) -> Option<Observation> {
        let not_run = |why, said| Some(Observation::of_command_not_run(asked, why, said));
        let (Ok(place), Some((program, arguments))) = (&self.place, asked.run.split_first()) else {
            return not_run(NotRun::NotFound, None);
        };
        let limit = Duration::from_secs(asked.timeout_s);
        let ended = match asked.patched {
            false => place.command(program, arguments, limit, stop),
            // What may not run anyway needs no copy.
            true => match place.may_run(program).map(|_| Trial::of(place, answer, stop)) {
                Ok(Ok(trial)) => trial.command(program, arguments, limit, stop),
                Ok(Err(_)) if stop.is_cancelled() => return None,
                Ok(Err((why, said))) => return not_run(why, Some(said)),
                Err(error) => Err(error),
            },
        };
        match ended {
            Ok(Ended { exit, timed_out, output, bytes, took }) => {
                let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                Some(Observation::of_command(asked, exit, timed_out, latency_ms, (output, bytes)))
            }
            Err(_) if stop.is_cancelled() => None,
            Err(ToolError { fault: ToolFault::NotAllowed, .. }) => not_run(NotRun::NotAllowed, None),
            Err(_) => not_run(NotRun::NotFound, None),
        }
    }

    /// Runs a tool, or plans what it is to change. `recorded` is what the same call had planned when its process died. It blocks: call it on
    /// a thread that may.
    pub fn begin(&self, name: &str, arguments: &Value, recorded: Option<&[FileChange]>, stop: &CancellationToken) -> Begun {
        self.begin_telling(name, arguments, recorded, (stop, &|_| ()))
    }

    /// Does as [`Self::begin`] does; how far a tool is that says so goes to `tell`, in words.
    pub fn begin_telling(
        &self,
        name: &str,
        arguments: &Value,
        recorded: Option<&[FileChange]>,
        (stop, tell): (&CancellationToken, &dyn Fn(&str)),
    ) -> Begun {
        let start = Instant::now();
        let found = self.tool(name);
        if let Ok((tool, place)) = &found
            && let Some(planned) = tool.plan(arguments, place, recorded)
        {
            let planned = if place.allow_write { planned } else { Err(ToolError::not_allowed(NO_WRITING)) };
            return match planned {
                Ok(write) if write.is_empty() => Begun::Ended(Some(write.done())),
                Ok(write) => Begun::Writes(write),
                Err(error) => Begun::Ended(Some(outcome(Err(error), start))),
            };
        }
        let servers = self.server_of(name);
        let acts = servers.is_some() || matches!(name, RUN_COMMAND | HTTP_GET);
        if acts && arguments.to_string().contains(REMOVED) {
            return Begun::Ended(Some(outcome(Err(ToolError::not_allowed(SECRET_REMOVED)), start)));
        }
        let result = match servers {
            Some(servers) => servers.call(name, arguments, (stop, tell)).map(Output::from),
            None => found.and_then(|(tool, place)| tool.run(arguments, place, stop)),
        };
        if stop.is_cancelled() && result.is_err() {
            // What only looks is asked again. Of what may have changed something it is known that it was ended on the way.
            let cut_off = self.changes_something(name, arguments).then(|| ToolOutcome::refused(ToolFault::Interrupted, CUT_OFF));
            return Begun::Ended(cut_off);
        }
        // Only results of servers have a part that is kept and not told, which they mark themselves.
        let outcome = if servers.is_some() { whole(result, start) } else { outcome(result, start) };
        Begun::Ended(Some(outcome))
    }

    /// Changes the files of a plan that is recorded.
    pub fn write(&self, write: &Write) -> ToolOutcome {
        let start = Instant::now();
        match &self.place {
            Ok(place) if place.allow_write => write.perform(&place.root, start),
            Ok(_) => outcome(Err(ToolError::not_allowed(NO_WRITING)), start),
            Err(error) => outcome(Err(ToolError::failed(error.to_string())), start),
        }
    }

    /// Runs a tool with all its steps; `None` when `stop` was cancelled before it had a result.
    pub fn run(&self, name: &str, arguments: &Value, stop: &CancellationToken) -> Option<ToolOutcome> {
        match self.begin(name, arguments, None, stop) {
            Begun::Ended(outcome) => outcome,
            Begun::Writes(write) => Some(self.write(&write)),
        }
    }

    /// Looks whether a tool had finished when its process died, by the files that it was to change: `recorded` is what it had planned.
    /// What it says when it had finished comes along; `None`: the files do not tell.
    pub fn look(
        &self,
        name: &str,
        arguments: &Value,
        recorded: Option<&[FileChange]>,
    ) -> Option<(Resolution, Option<ToolOutcome>)> {
        if !changes_files(name) {
            return None;
        }
        // Nothing is changed before it is recorded.
        let Some(files) = recorded else { return Some((Resolution::NotDone, None)) };
        let (tool, place) = self.tool(name).ok()?;
        let standings: Vec<Standing> =
            files.iter().map(|file| change::standing(&place.root, file)).collect::<Result<_, _>>().ok()?;
        if standings.contains(&Standing::Other) {
            return None;
        }
        if standings.contains(&Standing::Before) {
            // Those that are changed already stay so, and the rest follows.
            return Some((Resolution::NotDone, None));
        }
        let planned = tool.plan(arguments, place, recorded)?.ok();
        Some((Resolution::Done, planned.map(|write| write.done())))
    }

    /// Returns whether a call of this tool may have changed something.
    fn changes_something(&self, name: &str, arguments: &Value) -> bool {
        if let Some(effect) = self.server_of(name).and_then(|servers| servers.effect(name)) {
            return effect == ToolEffect::Writes;
        }
        let Ok((tool, place)) = self.tool(name) else { return false };
        let effect = match arguments["program"].as_str().filter(|_| name == RUN_COMMAND) {
            Some(program) => place.effects.get(program).copied().unwrap_or(ToolEffect::Writes),
            None => tool.spec().effect,
        };
        effect == ToolEffect::Writes
    }

    /// Returns the MCP servers when the tool is one of theirs.
    fn server_of(&self, name: &str) -> Option<&Servers> {
        let is_built_in = self.tools.iter().any(|(known, _)| known == name);
        self.servers.as_deref().filter(|servers| !is_built_in && servers.has(name))
    }

    fn tool(&self, name: &str) -> Result<(&dyn Tool, &ToolContext), ToolError> {
        let tool = self.tools.iter().find(|(known, _)| known == name);
        let Some((_, tool)) = tool else {
            return Err(ToolError {
                fault: ToolFault::UnknownTool,
                message: format!("`{name}` is not a tool of this version of meno"),
            });
        };
        let place = self.place.as_ref().map_err(|error| ToolError::failed(error.to_string()))?;
        Ok((tool.as_ref(), place))
    }
}

/// What is said of a program that may have changed something and was ended because Meno was stopped.
const CUT_OFF: &str = "Meno was stopped while this ran, and ended it before it had finished: look how far it came.";
/// How a place begins from which a secret was removed.
const REMOVED: &str = "[redacted:";
/// What is said of a call whose arguments held a secret: what was meant is recorded nowhere and cannot be done.
const SECRET_REMOVED: &str = "An argument looked like a secret, or stood under the name of one, and was removed, so nothing was done: leave secrets \
                              out of calls, and name the variable or the file that holds one instead.";
/// What a tool says that may not write.
const NO_WRITING: &str = "Files are not changed: the settings do not allow it.";

/// What came of a built-in tool. The text may quote files and programs: what stands there must not hide the rest from the model.
fn outcome(result: Result<Output, ToolError>, start: Instant) -> ToolOutcome {
    let outcome = whole(result, start);
    ToolOutcome { text: tool::without_mark(outcome.text), ..outcome }
}

fn whole(result: Result<Output, ToolError>, start: Instant) -> ToolOutcome {
    let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Output { text, bytes }) => ToolOutcome { fault: None, bytes, text, diff: None, latency_ms },
        Err(ToolError { fault, message }) => ToolOutcome { latency_ms, ..ToolOutcome::refused(fault, message) },
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
