//! The MCP servers of a run: which are started, whether their tools are what the user allowed, and who holds them until the run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Runs;
use super::tools::holds_key;
use crate::domain::ids::RunId;
use crate::domain::run::{Basis, Run};
use crate::domain::settings::{McpSettings, ToolSettings};
use crate::domain::template::{BaseAgent, Template};
use crate::settings;
use crate::settings::mcp_tools::{AllowedMcpTools, McpServer};
use crate::tools::Environment;
use crate::tools::mcp::{McpTool, ServerFault, Servers, Wanted};

/// Why the servers of a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// One does not start or does not speak.
    #[error(transparent)]
    Fault(#[from] ServerFault),
    /// Tools that agents use are not what the user allowed.
    #[error("the MCP server `{server}` has changed since it was allowed: {}", changes.join(", "))]
    Changed {
        /// The server.
        server: String,
        /// What changed, in words.
        changes: Vec<String>,
        /// The tools that changed, as they are now.
        now: Vec<McpTool>,
    },
    /// The settings name no such server.
    #[error("the settings name no MCP server `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Those that they name.
        known: Vec<String>,
    },
    /// The list of what was allowed cannot be used.
    #[error(transparent)]
    List(#[from] settings::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

/// Servers that were started for a run which is not carried on yet, and what people should know of them.
#[derive(Debug, Default)]
pub(in crate::workspace) struct HeldServers(Mutex<BTreeMap<RunId, Held>>);

#[derive(Debug)]
struct Held {
    servers: Arc<Servers>,
    notes: Vec<String>,
}

impl HeldServers {
    fn keep(&self, run: RunId, held: Held) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run, held);
    }

    /// Returns the servers of a run to whoever carries it on.
    fn take(&self, run: RunId) -> Option<Arc<Servers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&run).map(|held| held.servers)
    }

    /// Returns what people should know of a run's servers before it is carried on.
    pub(in crate::workspace) fn notes(&self, run: RunId) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&run).map(|held| held.notes.clone()).unwrap_or_default()
    }
}

/// Servers that run, with the tools that agents list.
#[derive(Debug)]
pub(in crate::workspace) struct StartedServers {
    servers: Servers,
    tools: Vec<McpTool>,
    notes: Vec<String>,
}

impl StartedServers {
    /// Adds the tools to what a run records.
    pub(in crate::workspace) fn describe(&self, settings: &mut ToolSettings) {
        for tool in &self.tools {
            settings.catalogue.push(tool.spec.clone());
            settings.mcp_tools.insert(tool.listed(), tool.spec.name.clone());
        }
    }
}

/// What an MCP server offers.
pub struct McpOffer {
    /// Its tools, each with whether it was allowed as it is.
    pub tools: Vec<(McpTool, bool)>,
    /// Why others are left out.
    pub left_out: Vec<String>,
}

impl Runs<'_> {
    /// Starts the servers whose tools the agents of a template list, for a run that may call them.
    pub(in crate::workspace) fn servers_of_template(
        &self,
        template: &Template,
        basis: &Basis,
    ) -> Result<Option<StartedServers>, McpError> {
        self.start_servers(&listed(template, &basis.bases), &basis.settings, &self.0.places.current)
    }

    /// Keeps servers until the run is carried on.
    pub(in crate::workspace) fn keep_servers(&self, run: RunId, started: Option<StartedServers>) {
        if let Some(StartedServers { servers, notes, .. }) = started {
            self.0.servers.keep(run, Held { servers: Arc::new(servers), notes });
        }
    }

    /// Starts the servers that a run still needs, unless they run already: by the tools that it recorded and that agents which have not ended
    /// list.
    ///
    /// # Errors
    /// A [`McpError`].
    pub(in crate::workspace) fn servers_of_run(&self, id: RunId, basis: &Basis, run: &Run) -> Result<(), McpError> {
        let is_held = self.0.servers.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id);
        if is_held || basis.settings.tools.mcp_tools.is_empty() {
            return Ok(());
        }
        let of_agents =
            run.agents.iter().filter(|agent| !agent.status.is_ended()).flat_map(|agent| agent.plan.tools.iter().cloned());
        let listed = if run.form_complete { of_agents.collect() } else { listed(&basis.template, &basis.bases) };
        self.keep_servers(id, self.start_servers(&listed, &basis.settings, &self.folder_of(id)?)?);
        Ok(())
    }

    /// Returns the servers of a run to whoever carries it on; starts them when they do not run yet.
    ///
    /// # Errors
    /// A [`McpError`].
    pub(in crate::workspace) fn take_servers(
        &self,
        id: RunId,
        basis: &Basis,
        run: &Run,
    ) -> Result<Option<Arc<Servers>>, McpError> {
        self.servers_of_run(id, basis, run)?;
        Ok(self.0.servers.take(id))
    }

    fn start_servers(
        &self,
        listed: &BTreeSet<String>,
        recorded: &settings::Settings,
        folder: &Path,
    ) -> Result<Option<StartedServers>, McpError> {
        // A simulation asks for tools only as its script says.
        let is_real = crate::workspace::mode(recorded) == crate::domain::event::Mode::Real;
        if recorded.tools.max_turns == 0 || (!is_real && recorded.simulated.script.is_empty()) {
            return Ok(None);
        }
        let server_of = |listed: &String| listed.strip_prefix("mcp:")?.split_once('/').map(|(server, _)| server.to_owned());
        let names: BTreeSet<String> = listed.iter().filter_map(server_of).collect();
        let configured = &self.0.resolved.settings.mcp;
        let wanted: Vec<&String> = names.iter().filter(|name| configured.contains_key(*name)).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let is_listed = |tool: &McpTool| listed.contains(&tool.listed()) || listed.contains(&format!("mcp:{}/*", tool.server));
        let servers = Servers::start(wanted.iter().filter_map(|name| self.wanted(name)).collect(), folder, self.programs())?;
        let file = self.allowed_mcp_tools();
        let allowed = AllowedMcpTools::read(&file)?;
        let mut notes = Vec::new();
        for name in wanted {
            let withheld = self.withheld_of_server(name);
            if !withheld.is_empty() {
                let names = withheld.join(", ");
                notes.push(format!(
                    "MCP server `{name}` does not get {names}, which `env` under [mcp.{name}] lists: a provider's key stands there"
                ));
            }
            let Some(identity) = configured.get(name).map(McpSettings::identity) else { continue };
            let server = McpServer { name, command: &identity };
            let of_server: Vec<&McpTool> = servers.tools().iter().filter(|tool| tool.server == *name).collect();
            if !allowed.knows(server) {
                allow(&file, server, &of_server)?;
                notes.push(format!(
                    "MCP server `{name}` is new: its tools are allowed as they are now ({})",
                    count(of_server.len())
                ));
                continue;
            }
            let is_changed = |tool: &&McpTool| is_listed(tool) && !allowed.allows(server, &tool.tool, tool.fingerprint);
            let now: Vec<McpTool> = of_server.into_iter().filter(is_changed).cloned().collect();
            if !now.is_empty() {
                return Err(McpError::Changed { server: name.clone(), changes: changes(&allowed, server, &now), now });
            }
        }
        notes.extend(servers.left_out().iter().map(|(server, why)| format!("MCP server `{server}`: a tool is left out, {why}")));
        let tools = servers.tools().iter().filter(|tool| is_listed(tool)).cloned().collect();
        Ok(Some(StartedServers { servers, tools, notes }))
    }

    fn wanted(&self, name: &str) -> Option<Wanted> {
        let settings = self.0.resolved.settings.mcp.get(name)?.clone();
        let is_key = |name: &str| holds_key(&self.0.resolved.settings, name);
        let environment = Environment::new(|name| self.0.variables.get(name), &settings.env, is_key);
        let token = settings
            .token_env
            .as_ref()
            .filter(|name| !is_key(name))
            .and_then(|name| self.0.variables.get(name))
            .map(secrecy::SecretString::from);
        Some(Wanted { name: name.to_owned(), settings, environment, token })
    }

    /// Returns the variables that a server is to have and does not get: they hold keys of providers.
    pub(in crate::workspace) fn withheld_of_server(&self, name: &str) -> Vec<String> {
        let settings = &self.0.resolved.settings;
        let env = settings.mcp.get(name).into_iter().flat_map(|server| &server.env);
        env.filter(|variable| holds_key(settings, variable)).cloned().collect()
    }

    fn allowed_mcp_tools(&self) -> PathBuf {
        self.0.places.config.join("mcp-tools")
    }

    /// Starts a server of the settings, and returns the tools that it offers.
    ///
    /// # Errors
    /// A [`McpError`].
    pub(crate) fn mcp_tools(&self, name: &str) -> Result<McpOffer, McpError> {
        let (server, servers) = self.one_server(name)?;
        let allowed = AllowedMcpTools::read(&self.allowed_mcp_tools())?;
        let identity = server.identity();
        let server = McpServer { name, command: &identity };
        let is_allowed = |tool: &McpTool| allowed.allows(server, &tool.tool, tool.fingerprint);
        let tools = servers.tools().iter().map(|tool| (tool.clone(), is_allowed(tool))).collect();
        Ok(McpOffer { tools, left_out: servers.left_out().iter().map(|(_, why)| why.clone()).collect() })
    }

    /// Starts a server of the settings and allows its tools as they are now; returns them.
    ///
    /// # Errors
    /// A [`McpError`].
    pub(crate) fn allow_mcp(&self, name: &str) -> Result<Vec<McpTool>, McpError> {
        let (server, servers) = self.one_server(name)?;
        let tools: Vec<&McpTool> = servers.tools().iter().collect();
        allow(&self.allowed_mcp_tools(), McpServer { name, command: &server.identity() }, &tools)?;
        Ok(servers.tools().to_vec())
    }

    fn one_server(&self, name: &str) -> Result<(McpSettings, Servers), McpError> {
        let configured = &self.0.resolved.settings.mcp;
        let (Some(settings), Some(wanted)) = (configured.get(name), self.wanted(name)) else {
            return Err(McpError::Unknown { name: name.to_owned(), known: configured.keys().cloned().collect() });
        };
        Ok((settings.clone(), Servers::start(vec![wanted], &self.0.places.current, None)?))
    }

    /// Returns the servers of the settings whose program is not there: name and program.
    pub(crate) fn mcp_programs_missing(&self) -> Vec<(String, String)> {
        let missing = |(name, settings): (&String, &McpSettings)| {
            let environment = self.wanted(name)?.environment;
            if settings.url.is_some() {
                return None;
            }
            let program = settings.command.first().cloned().unwrap_or_default();
            environment.find(&program).is_none().then(|| (name.clone(), program))
        };
        self.0.resolved.settings.mcp.iter().filter_map(missing).collect()
    }
}

fn allow(file: &std::path::Path, server: McpServer<'_>, tools: &[&McpTool]) -> Result<(), settings::Error> {
    let tools: Vec<_> = tools.iter().map(|tool| (tool.tool.as_str(), tool.fingerprint)).collect();
    AllowedMcpTools::allow(file, server, &tools)
}

fn changes(allowed: &AllowedMcpTools, server: McpServer<'_>, tools: &[McpTool]) -> Vec<String> {
    let change = |tool: &McpTool| match allowed.had(server, &tool.tool) {
        true => format!("`{}` is described in another way", tool.tool),
        false => format!("`{}` is new", tool.tool),
    };
    tools.iter().map(change).collect()
}

fn count(tools: usize) -> String {
    if tools == 1 { "1 tool".to_owned() } else { format!("{tools} tools") }
}

/// Returns what the agents of a template may list.
fn listed(template: &Template, bases: &BTreeMap<String, BaseAgent>) -> BTreeSet<String> {
    let of_rules = template.agent_composition_rules.iter().flat_map(|rule| &rule.tools);
    of_rules.chain(bases.values().flat_map(|base| &base.tools)).cloned().collect()
}
