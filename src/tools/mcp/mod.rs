//! Tools of servers that speak the Model Context Protocol: started for a run, asked for what they have, called, and ended with it.
//!
//! A server is a stranger: its words are capped and marked (`text`), a tool writes unless its annotations are believed, and one that
//! hangs, dies or floods is a failure that the model is told. Its process has a scrubbed environment and a group of its own that is
//! ended whole; nothing confines it beyond that. Start with [`Servers::start`].

mod process;
mod remote;
mod session;
mod text;

pub use text::McpTool;
use text::Said;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::programs::Programs;
use super::{Environment, ToolError};
use crate::domain::event::ToolFault;
use crate::domain::settings::McpSettings;
use crate::domain::tool::ToolEffect;
use remote::Address;
use session::{CallFault, Launch, Session, Start, ToolList};

/// How often a server that died or hung is started again in one run.
const RESTARTS_MAX: u32 = 3;

/// How many times its limit a call may take while the server tells of its progress.
const PROGRESS_FACTOR: u32 = 10;
/// How often people are told of that, at most.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// A server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server `{server}` cannot be used: {why}")]
pub struct ServerFault {
    /// Its name.
    pub server: String,
    /// Why.
    pub why: String,
}

/// What is started.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What the settings say of it.
    pub settings: McpSettings,
    /// Its environment.
    pub environment: Environment,
    /// What a server that is reached by its address is brought.
    pub token: Option<SecretString>,
}

/// The servers of a run.
pub struct Servers {
    servers: BTreeMap<String, Server>,
    tools: Vec<McpTool>,
    left_out: Vec<(String, String)>,
    /// Where they are spoken to. `None` only while this is dropped.
    runtime: Option<Runtime>,
}

struct Server {
    wanted: Wanted,
    /// `None` for one that is reached by its address.
    program: Option<PathBuf>,
    folder: PathBuf,
    programs: Option<Programs>,
    state: Mutex<State>,
    /// Held while its tools are asked for again.
    relisting: tokio::sync::Mutex<()>,
}

struct State {
    /// `None` after it died.
    session: Option<std::sync::Arc<Session>>,
    restarts: u32,
    /// Why it died.
    why: String,
    /// Tools that are called no more, because they changed, and why.
    changed: BTreeMap<String, String>,
    /// Tools that it had when the run began and does not have now.
    gone: BTreeSet<String>,
}

impl Servers {
    /// Starts servers in `folder`, all at once, noted among `programs` while they run, and asks them for their tools.
    ///
    /// # Errors
    /// A [`ServerFault`] of the first that cannot be used; then none is left running.
    pub fn start(wanted: Vec<Wanted>, folder: &Path, programs: Option<Programs>) -> Result<Self, ServerFault> {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("meno-mcp").enable_all().build();
        let runtime = threads.map_err(|error| ServerFault {
            server: wanted.first().map(|wanted| wanted.name.clone()).unwrap_or_default(),
            why: format!("there is no thread for it: {error}"),
        })?;
        let mut all = Self { servers: BTreeMap::new(), tools: Vec::new(), left_out: Vec::new(), runtime: None };
        let mut servers = Vec::new();
        for wanted in wanted {
            let fault = |why: String| ServerFault { server: wanted.name.clone(), why };
            let program = match (wanted.settings.command.first(), &wanted.settings.url) {
                (None, None) => return Err(fault(format!("neither `mcp.{0}.command` nor `mcp.{0}.url` is set", wanted.name))),
                (Some(_), Some(_)) => {
                    return Err(fault(format!("both `mcp.{0}.command` and `mcp.{0}.url` are set", wanted.name)));
                }
                (None, Some(_)) => match (&wanted.settings.token_env, &wanted.token) {
                    (Some(variable), None) => {
                        return Err(fault(format!(
                            "the variable {variable} with its token is not set, or holds a provider's key"
                        )));
                    }
                    _ => None,
                },
                (Some(first), None) => {
                    let Some(program) = wanted.environment.find(first) else {
                        let first = text::visible(&text::capped(first, 200));
                        return Err(fault(format!("the program `{first}` is not in PATH (a path has to be absolute)")));
                    };
                    Some(program)
                }
            };
            let (changed, gone) = Default::default();
            let state = Mutex::new(State { session: None, restarts: 0, why: String::new(), changed, gone });
            let relisting = tokio::sync::Mutex::default();
            servers.push(Server { wanted, program, folder: folder.to_owned(), programs: programs.clone(), state, relisting });
        }
        let start = |server: Server| {
            runtime.spawn(async move {
                let opened = server.open().await;
                (server, opened)
            })
        };
        let tasks: Vec<_> = servers.into_iter().map(start).collect();
        let mut first_fault = None;
        for task in tasks {
            // A task that panicked has no server left; its processes ended with it.
            let Ok((server, opened)) = runtime.block_on(task) else { continue };
            let name = server.wanted.name.clone();
            match opened {
                Ok((session, said)) => {
                    server.lock().session = Some(std::sync::Arc::new(session));
                    all.left_out.extend(said.left_out.into_iter().map(|why| (name.clone(), why)));
                    for said in said.said {
                        match McpTool::new(&name, said, server.wanted.settings.trust_annotations) {
                            Ok(tool) if all.tools.iter().any(|known| known.spec.name == tool.spec.name) => {
                                all.left_out.push((name.clone(), format!("it has two tools called `{}`", tool.tool)));
                            }
                            Ok(tool) => all.tools.push(tool),
                            Err(why) => all.left_out.push((name.clone(), why)),
                        }
                    }
                    all.servers.insert(name, server);
                }
                Err(why) => drop(first_fault.get_or_insert(ServerFault { server: name, why })),
            }
        }
        all.runtime = Some(runtime);
        first_fault.map_or(Ok(all), Err)
    }

    /// Returns the tools that can be offered, in the order of the servers.
    pub fn tools(&self) -> &[McpTool] {
        &self.tools
    }

    /// Returns what servers have and cannot be offered: server, and why.
    pub fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    /// Returns whether models know a tool by this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.spec.name == name)
    }

    /// Returns what the tool that models know as `name` does to the world.
    pub(super) fn effect(&self, name: &str) -> Option<ToolEffect> {
        self.tools.iter().find(|tool| tool.spec.name == name).map(|tool| tool.spec.effect)
    }

    /// Calls the tool that models know as `name`. It blocks, until its result, its time or `stop`; how far it is goes to `tell`, in words.
    pub(super) fn call(
        &self,
        name: &str,
        arguments: &Value,
        (stop, tell): (&CancellationToken, &dyn Fn(&str)),
    ) -> Result<String, ToolError> {
        let tool = self.tools.iter().find(|tool| tool.spec.name == name);
        let (Some(tool), Some(runtime)) = (tool, &self.runtime) else {
            return Err(ToolError::failed(format!("`{name}` is no tool of a server that runs.")));
        };
        let Some(server) = self.servers.get(&tool.server) else {
            return Err(ToolError::failed(format!("The MCP server `{}` does not run.", tool.server)));
        };
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let limit = Duration::from_secs_f64(server.wanted.settings.timeout_s);
        let (sender, mut progress) = tokio::sync::mpsc::unbounded_channel();
        runtime.block_on(async {
            let call = async {
                let session = server.session(tool).await?;
                server.may_call(&session, tool, &self.tools).await?;
                match session.call(&tool.tool, arguments, sender).await {
                    Ok((parts, false)) => Ok(text::told(&parts)),
                    Ok((parts, true)) => Err(ToolError::failed(text::told(&parts))),
                    Err(CallFault::Refused(why)) => {
                        Err(ToolError::failed(format!("The MCP server `{}` refuses the call: {why}", tool.server)))
                    }
                    Err(CallFault::Unreadable(why)) => Err(ToolError::failed(format!(
                        "The MCP server `{}` was called, and its answer cannot be read: {why}.{}",
                        tool.server,
                        unknown_effect(tool.spec.effect)
                    ))),
                    Err(CallFault::Gone(why)) => {
                        server.lose(&why);
                        Err(ToolError::failed(format!(
                            "The MCP server `{}` does not answer any more: {why}.{}",
                            tool.server,
                            unknown_effect(tool.spec.effect)
                        )))
                    }
                }
            };
            let mut call = std::pin::pin!(call);
            let begun = Instant::now();
            let (most, mut until) = (begun + limit * PROGRESS_FACTOR, begun + limit);
            let mut told: Option<Instant> = None;
            loop {
                tokio::select! {
                    result = &mut call => return result,
                    () = stop.cancelled() => return Err(ToolError::failed("stopped")),
                    Some(words) = progress.recv() => {
                        until = most.min(Instant::now() + limit);
                        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                            told = Some(Instant::now());
                            tell(&words);
                        }
                    }
                    () = tokio::time::sleep_until(until) => return Err(server.out_of_time(tool, limit, (told.is_some(), until == most))),
                }
            }
        })
    }
}

/// What a model has to know of a call whose answer did not come: nothing where it only looks.
fn unknown_effect(effect: ToolEffect) -> &'static str {
    match effect {
        ToolEffect::Reads => "",
        _ => " Whether the call had an effect is not known: look before you call it again.",
    }
}

impl Server {
    /// Asks for its tools again where it said that they changed, and says why one of them is not called any more.
    async fn may_call(&self, session: &Session, tool: &McpTool, known: &[McpTool]) -> Result<(), ToolError> {
        let server = &tool.server;
        {
            // Who calls at the same time waits for what is found.
            let _one = self.relisting.lock().await;
            if session.takes_list_change() {
                let list = session.tools().await.map_err(|why| {
                    session.list_changed();
                    ToolError::failed(format!(
                        "The MCP server `{server}` said that its tools have changed, and does not say what they are: {why}."
                    ))
                })?;
                self.compare(list, known.iter().filter(|tool| tool.server == *server));
            }
        }
        let state = self.lock();
        if let Some(why) = state.changed.get(&tool.tool) {
            return Err(ToolError::not_allowed(why.clone()));
        }
        if state.gone.contains(&tool.tool) {
            return Err(ToolError::failed(format!("The MCP server `{server}` has no tool `{}` any more.", tool.tool)));
        }
        Ok(())
    }

    /// Notes what became of the tools that it had: one that changed stays refused, whatever it is later.
    fn compare<'a>(&self, list: ToolList, known: impl Iterator<Item = &'a McpTool>) {
        let is_believed = self.wanted.settings.trust_annotations;
        let mut now: BTreeMap<String, Said> = BTreeMap::new();
        for said in list.said {
            now.entry(said.name.clone()).or_insert(said);
        }
        let mut state = self.lock();
        for tool in known {
            let Some(said) = now.remove(&tool.tool) else {
                state.gone.insert(tool.tool.clone());
                continue;
            };
            state.gone.remove(&tool.tool);
            let is_same = McpTool::new(&tool.server, said, is_believed).is_ok_and(|now| now.fingerprint == tool.fingerprint);
            if !is_same {
                let (server, name) = (&tool.server, &tool.tool);
                let why = format!(
                    "The MCP server `{server}` has changed since it was allowed: `{name}` is described in another way. It is not called in \
                     this run any more; the person who runs it can look at it with `meno mcp tools {server}` and allow it with \
                     `meno mcp allow {server}`."
                );
                state.changed.insert(name.clone(), why);
            }
        }
    }

    /// Ends a call that has taken too long, and says so. `has_told`: it told of its progress; `is_most`: for as long as that counts.
    fn out_of_time(&self, tool: &McpTool, limit: Duration, (has_told, is_most): (bool, bool)) -> ToolError {
        // Whoever hangs once would hang again: the next call finds it started anew.
        self.lose("it gave no result in time");
        // A server at an address is not Meno's to end.
        let ended = if self.wanted.settings.url.is_none() { " and was ended" } else { "" };
        let (seconds, most) = (limit.as_secs_f64(), (limit * PROGRESS_FACTOR).as_secs_f64());
        let late = match (has_told, is_most) {
            (false, _) => format!("gave no result within {seconds} s"),
            (true, false) => format!("told of no progress for {seconds} s"),
            (true, true) => format!("told of its progress and gave no result within {most} s"),
        };
        let message = format!("The MCP server `{}` {late}{ended}.{}", tool.server, unknown_effect(tool.spec.effect));
        ToolError { fault: ToolFault::TimedOut, message }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it and asks for its tools, within the time that it has for that.
    async fn open(&self) -> Result<(Session, ToolList), String> {
        let settings = &self.wanted.settings;
        let launch = match &self.program {
            Some(program) => Launch::Start(Start {
                program: program.clone(),
                arguments: settings.command.get(1..).unwrap_or_default().to_vec(),
                folder: self.folder.clone(),
                environment: self.wanted.environment.clone(),
                programs: self.programs.clone(),
            }),
            None => Launch::Reach(Address {
                url: settings.url.clone().unwrap_or_default(),
                token: self.wanted.token.clone(),
                patience: Duration::from_secs_f64(settings.timeout_s.max(settings.start_s)),
            }),
        };
        let opened = async {
            let session = Session::open(launch).await?;
            let tools = session.tools().await?;
            Ok((session, tools))
        };
        let limit = Duration::from_secs_f64(self.wanted.settings.start_s);
        match tokio::time::timeout(limit, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(format!(
                "it did not answer within {} s (`mcp.{}.start_s` gives it longer)",
                limit.as_secs_f64(),
                self.wanted.name
            )),
        }
    }

    /// Returns the conversation with it; one that died is started again, a few times.
    async fn session(&self, tool: &McpTool) -> Result<std::sync::Arc<Session>, ToolError> {
        {
            let mut state = self.lock();
            if let Some(session) = &state.session {
                return Ok(std::sync::Arc::clone(session));
            }
            if state.restarts >= RESTARTS_MAX {
                let message =
                    format!("The MCP server `{}` died again and again and is not started any more: {}", tool.server, state.why);
                return Err(ToolError::failed(message));
            }
            state.restarts += 1;
        }
        let (session, said) = self.open().await.map_err(|why| {
            ToolError::failed(format!("The MCP server `{}` died and cannot be started again: {why}", tool.server))
        })?;
        let is_same = said.said.into_iter().filter(|said| said.name == tool.tool).any(|said| {
            McpTool::new(&tool.server, said, self.wanted.settings.trust_annotations)
                .is_ok_and(|again| again.fingerprint == tool.fingerprint)
        });
        if !is_same {
            return Err(ToolError::not_allowed(format!(
                "The MCP server `{}` died, and after it was started again its tool `{}` is not what it was.",
                tool.server, tool.tool
            )));
        }
        // The others may have changed with it: they are looked at before the next call.
        session.list_changed();
        let session = std::sync::Arc::new(session);
        self.lock().session = Some(std::sync::Arc::clone(&session));
        Ok(session)
    }

    /// Lets go of a conversation that is over.
    fn lose(&self, why: &str) {
        let lost = {
            let mut state = self.lock();
            why.clone_into(&mut state.why);
            state.session.take()
        };
        drop(lost);
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.servers.clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").field("servers", &self.servers.keys()).field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}
