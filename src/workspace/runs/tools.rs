//! What a run's agents may do in the world, said before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Runs;
use crate::domain::capture::Levels;
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::domain::judge;
use crate::domain::settings::{Settings, ToolSettings};
use crate::domain::template::{Capture, Template};
use crate::domain::tool::{HTTP_GET, RUN_COMMAND, changes_files, is_built_in};
use crate::providers::fetch;
use crate::settings::{self, Source};
use crate::store::session::{Notice, RunLock};
use crate::tools::planted::Watched;
use crate::tools::programs::Programs;
use crate::tools::sandbox::{Confinement, Enforced, OPEN, expanded};
use crate::tools::{Environment, SearchMemory, remove_left_folders};
use crate::workspace::ActiveRun;
use crate::workspace::Workspace;
use crate::workspace::memory::response::SearchResponse;
use crate::workspace::request::SearchRequest;

/// What the agents of a run may use, and what they asked for in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolsNotice {
    /// The folder that tools work in.
    pub folder: PathBuf,
    /// The store lies in that folder, where programs can change it.
    pub holds_store: bool,
    /// What tools write is kept so that it can be taken back.
    pub can_undo: bool,
    /// The tools that agents have, programs left out.
    pub offered: Vec<String>,
    /// The programs that agents and criteria run.
    pub programs: BTreeSet<String>,
    /// How they are confined to the folder; `None`: not at all, because the settings say so.
    pub confined: Option<Enforced>,
    /// Programs can open no TCP connection.
    pub no_network: bool,
    /// The tools that change files and that agents list in vain, because they may not.
    pub no_writing: Option<NoWriting>,
    /// Other tools that agents list and do not have, by why.
    pub missing: BTreeMap<String, BTreeSet<String>>,
    /// The tools of MCP servers that agents have, by server.
    pub servers: BTreeMap<String, BTreeSet<String>>,
    /// Where those of them are that are not started.
    pub addresses: BTreeMap<String, String>,
    /// What to know of these servers.
    pub notes: Vec<String>,
    /// The programs of criteria that the settings do not allow: these criteria will be unknown.
    pub unknown: BTreeSet<String>,
    /// Programs that the settings allow and that are not on this machine: criteria that run them will be unknown too.
    pub absent: BTreeSet<String>,
}

/// Tools that change files and that agents list in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoWriting {
    /// The tools.
    pub tools: BTreeSet<String>,
    /// Who lists them.
    pub roles: BTreeSet<String>,
    /// What keeps them from it.
    pub why: NoWritingWhy,
}

/// What keeps agents from changing files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWritingWhy {
    /// Nobody allowed it.
    NotAllowed,
    /// It was not allowed when the run began, or the one that it was forked from: a run keeps what it began with.
    BeganWithout,
    /// The run may by what it recorded, and may not now.
    NotNow,
}

/// What the settings allow agents to use, looked at before any run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolsHere {
    /// Programs that are allowed and not on this machine.
    pub missing: Vec<String>,
    /// Variables that programs are to have and never get, because they hold a provider's key.
    pub withheld: Vec<String>,
    /// Likewise of MCP servers: server and variable.
    pub withheld_of_servers: Vec<(String, String)>,
    /// Folders that programs may read besides and that are not there.
    pub unreadable: Vec<String>,
    /// Origins from which nothing can be fetched, each with why.
    pub origins: Vec<(String, &'static str)>,
    /// How programs are confined; `None`: not at all.
    pub confined: Option<Enforced>,
}

/// Returns the folders of `readable` that are not there.
fn unreadable(readable: &[String], environment: &Environment) -> Vec<String> {
    let home = environment.get("HOME").map(Path::new);
    readable.iter().filter(|folder| !expanded(folder, home).exists()).cloned().collect()
}

/// Returns the origins from which nothing can be fetched, each with why.
fn bad_origins(origins: &[String]) -> impl Iterator<Item = (String, &'static str)> {
    origins.iter().filter_map(|origin| fetch::bad_origin(origin).map(|why| (origin.clone(), why)))
}

/// What an agent is told of past runs.
fn recalled(found: &SearchResponse) -> String {
    let mut text = String::new();
    for hit in &found.hits {
        let verified = if hit.verified { ", verified" } else { "" };
        let _ = writeln!(
            text,
            "{}. run {} of {} ({}{verified}, {}), {}",
            hit.rank, hit.run_id, hit.template_id, hit.status, hit.mode, hit.started_at
        );
        let _ = writeln!(text, "   {}: {}", hit.title, hit.snippet.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if found.hits.is_empty() {
        text = "No past run is close to that.\n".to_owned();
    }
    found.notices.iter().for_each(|notice| text += &format!("({notice})\n"));
    text
}

impl Runs<'_> {
    /// Returns what the agents of a run that is about to go on may use: by what it recorded, under what today's settings allow.
    pub(crate) fn tools_of(&self, active: &ActiveRun) -> ToolsNotice {
        let settings = settings::under(active.basis.settings.clone(), &self.0.resolved.settings);
        let (allowed, runs_criteria) = (&settings.tools, settings.judging.runs_commands());
        let folder = active.folder.clone();
        let confinement = self.confinement(allowed, &folder);
        let (confined, no_network) = (confinement.enforced(), confinement.closes_tcp());
        let environment = self.tool_environment(&settings);
        let holds_store = self
            .0
            .store
            .path
            .canonicalize()
            .is_ok_and(|store| folder.canonicalize().is_ok_and(|folder| store.starts_with(folder)));
        let can_undo = Levels::of(&active.basis).outputs < Capture::Hash;
        let mut notice = ToolsNotice { folder, confined, no_network, holds_store, can_undo, ..ToolsNotice::default() };
        notice.notes = self.0.servers.notes(active.id);
        let servers = self.0.resolved.settings.mcp.iter();
        notice.addresses = servers.filter_map(|(name, server)| Some((name.clone(), server.url.clone()?))).collect();
        let may = |name: &str| allowed.allow_write || !changes_files(name);
        let (mut unwritten, mut unwriting) = (BTreeSet::new(), BTreeSet::new());
        let has = |name: &str| allowed.max_turns > 0 && may(name) && allowed.catalogue.iter().any(|spec| spec.name == name);
        for agent in active.stream.run().agents.iter().filter(|agent| !agent.status.is_ended()) {
            for tool in &agent.plan.tools {
                if let Some(server) = tool.strip_prefix("mcp:").and_then(|tool| tool.split_once('/')).map(|(server, _)| server) {
                    let has = |name: &String| allowed.by_listing(tool).iter().any(|spec| spec.name == *name);
                    let had = allowed.mcp_tools.iter().filter(|(_, name)| allowed.max_turns > 0 && has(name));
                    let had: BTreeSet<String> = had.map(|(listed, _)| listed.clone()).collect();
                    if had.is_empty() {
                        let why = self.why_no_server(server, allowed.max_turns > 0, &settings);
                        notice.missing.entry(why).or_default().insert(tool.clone());
                    } else {
                        notice.servers.entry(server.to_owned()).or_default().extend(had);
                    }
                } else if allowed.commands.contains(tool) && !is_built_in(tool) && has(RUN_COMMAND) {
                    notice.programs.insert(tool.clone());
                } else if tool == RUN_COMMAND && has(tool) && !allowed.commands.is_empty() {
                    notice.programs.extend(allowed.commands.iter().cloned());
                } else if allowed.max_turns > 0 && !may(tool) {
                    unwritten.insert(tool.clone());
                    unwriting.insert(agent.label.clone());
                } else if tool == RUN_COMMAND || !has(tool) {
                    notice.missing.entry(why_missing(tool, allowed)).or_default().insert(tool.clone());
                } else if !notice.offered.contains(tool) {
                    notice.offered.push(tool.clone());
                }
            }
            for asked in judge::commands_asked(&agent.criteria).iter().filter(|_| runs_criteria) {
                let Some(program) = asked.run.first() else { continue };
                let programs = if allowed.commands.contains(program) { &mut notice.programs } else { &mut notice.unknown };
                programs.insert(program.clone());
            }
        }
        let withheld = withheld(&settings);
        if !notice.programs.is_empty() && !withheld.is_empty() {
            let names = withheld.join(", ");
            notice
                .notes
                .push(format!("programs do not get {names}, which `env` under [tools] lists: a provider's key stands there"));
        }
        let unreadable = unreadable(&allowed.readable, &environment);
        if !notice.programs.is_empty() && !unreadable.is_empty() {
            notice.notes.push(format!("not there: {}, which `readable` under [tools] lists", unreadable.join(", ")));
        }
        let absent: BTreeSet<String> =
            notice.programs.iter().filter(|program| environment.find(program).is_none()).cloned().collect();
        notice.programs.retain(|program| !absent.contains(program));
        notice.absent = absent;
        if !notice.programs.is_empty() || notice.offered.iter().any(|tool| changes_files(tool)) {
            notice.notes.extend(self.neighbours(active));
        }
        if notice.offered.iter().any(|tool| tool == HTTP_GET) {
            let words =
                |(origin, why)| format!("nothing can be fetched from `{origin}`, which `origins` under [tools] lists: {why}");
            notice.notes.extend(bad_origins(&allowed.origins).map(words));
        }
        let is_allowed_now = self.0.resolved.settings.tools.allow_write;
        let why = match (active.basis.settings.tools.allow_write, active.shown_from > 1 || is_allowed_now) {
            (true, _) => NoWritingWhy::NotNow,
            (false, true) => NoWritingWhy::BeganWithout,
            (false, false) => NoWritingWhy::NotAllowed,
        };
        notice.no_writing = (!unwritten.is_empty()).then_some(NoWriting { tools: unwritten, roles: unwriting, why });
        notice
    }
}

impl Runs<'_> {
    /// Says which other runs of this store are at work in the same folder and may change files there.
    fn neighbours(&self, active: &ActiveRun) -> Option<String> {
        let folder = active.folder.display().to_string();
        let is_neighbour = |run: &RunId| {
            let started = self.started(*run).ok().flatten().and_then(|started| started.private);
            started.is_some_and(|private| private.workspace == folder)
                && self.recorded_basis(*run).is_ok_and(|basis| {
                    let tools = basis.settings.tools;
                    may_write(&tools) || !tools.commands.is_empty()
                })
        };
        let held = self.0.place().and_then(RunLock::held).unwrap_or_default();
        let others = held.into_iter().filter(|run| *run != active.id).filter(is_neighbour).map(|run| run.to_string());
        let others: Vec<String> = others.collect();
        let subject = match others.as_slice() {
            [] => return None,
            [one] => format!("run {one} works"),
            many => format!("runs {} work", many.join(", ")),
        };
        Some(format!("{subject} in this folder too: what one changes there, the agents of the other read and test"))
    }

    /// Tells whether a command that goes on with a run must allow writing anew, so that its agents still may what they might: today's
    /// settings do not allow it without the command line.
    pub(crate) fn needs_leave_to_write(&self, id: RunId) -> bool {
        let source = self.0.resolved.sources.get("tools.allow_write").map(|value| &value.source);
        let is_set = self.0.resolved.settings.tools.allow_write && !matches!(source, Some(Source::Flag(_)));
        !is_set && self.recorded_basis(id).is_ok_and(|basis| may_write(&basis.settings.tools))
    }

    /// Says why agents have no tool of an MCP server that they list.
    fn why_no_server(&self, server: &str, has_turns: bool, recorded: &Settings) -> String {
        let is_simulated = super::start::mode(recorded) == Mode::Simulated && recorded.simulated.script.is_empty();
        if !has_turns {
            NO_TURNS.to_owned()
        } else if !self.0.resolved.settings.mcp.contains_key(server) {
            format!(
                "the settings name no MCP server `{server}`: its `command` or `url` belongs under [mcp.{server}] in config.toml"
            )
        } else if is_simulated {
            "a simulated run starts no MCP server".to_owned()
        } else {
            format!(
                "the MCP server `{server}` had none of that name when the run began: `meno mcp tools {server}` lists what it has"
            )
        }
    }
}

/// Returns the variables that programs are to have and do not get: they hold keys of providers.
fn withheld(settings: &Settings) -> Vec<String> {
    settings.tools.env.iter().filter(|name| holds_key(settings, name)).cloned().collect()
}

/// Tells whether a variable holds a provider's key.
pub(super) fn holds_key(settings: &Settings, name: &str) -> bool {
    settings.providers.values().any(|provider| provider.api_key_env.as_deref() == Some(name))
}

/// Why agents have no tools at all.
const NO_TURNS: &str = "tools are switched off (`max_turns` under [tools] is 0)";

/// Says why agents do not have a built-in tool or a program that they list.
fn why_missing(tool: &str, allowed: &ToolSettings) -> String {
    match tool {
        _ if allowed.max_turns == 0 => NO_TURNS.to_owned(),
        RUN_COMMAND => "the settings allow no program (`commands` under [tools])".to_owned(),
        HTTP_GET => "the settings allow no origin (`origins` under [tools])".to_owned(),
        _ if is_built_in(tool) => "the run began without them".to_owned(),
        _ => "the settings do not allow these programs (`commands` under [tools])".to_owned(),
    }
}

/// Tells whether agents under these settings have a tool that changes files.
fn may_write(tools: &ToolSettings) -> bool {
    tools.allow_write && tools.max_turns > 0 && tools.catalogue.iter().any(|spec| changes_files(&spec.name))
}

impl Workspace {
    /// Returns a search of this store's memory for agents; it ends with the workspace.
    pub(crate) fn memory_search(self: &Arc<Self>) -> SearchMemory {
        let workspace = Arc::downgrade(self);
        Arc::new(move |query, runs| {
            let Some(workspace) = workspace.upgrade() else { return Err("The store is closed.".to_owned()) };
            let found = workspace.memory().search(&SearchRequest::new(query).limit(runs));
            found.map(|found| recalled(&found)).map_err(|error| format!("The memory cannot be searched: {error}."))
        })
    }
}

impl Runs<'_> {
    /// Looks at what is run or believed later and lies where programs of a run may write: hooks, settings, templates.
    pub(crate) fn watched(&self, folder: &Path) -> Watched {
        Watched::of(folder, Some(&self.0.store.path))
    }

    /// Returns where programs are noted while they run; `None` where the store has no room for it.
    pub(in crate::workspace) fn programs(&self) -> Option<Programs> {
        let folder = self.0.place().ok()?.dir().join("programs");
        match settings::write::make_folder(&folder) {
            Ok(()) => Some(Programs::new(folder)),
            Err(error) => {
                tracing::debug!("programs are not noted: {error}");
                None
            }
        }
    }

    /// Ends programs whose process of meno was killed, and says so.
    pub(in crate::workspace) fn end_left_programs(&self) {
        let ended = self.0.place().map(|place| Programs::new(place.dir().join("programs")).end_left()).unwrap_or_default();
        if !ended.is_empty() {
            let words = format!("ended what a killed process of meno had left running: {}", ended.join(", "));
            (self.0.notice)(&Notice::Repaired(words));
        }
        remove_left_folders(&self.tool_environment(&self.0.resolved.settings));
    }

    /// Looks whether what the settings allow agents to use is there and can be used.
    pub(crate) fn tools_here(&self) -> ToolsHere {
        let settings = &self.0.resolved.settings;
        let environment = self.tool_environment(settings);
        let missing = settings.tools.commands.iter().filter(|program| environment.find(program).is_none()).cloned();
        ToolsHere {
            missing: missing.collect(),
            withheld: withheld(settings),
            withheld_of_servers: settings
                .mcp
                .keys()
                .flat_map(|server| self.withheld_of_server(server).into_iter().map(|name| (server.clone(), name)))
                .collect(),
            unreadable: unreadable(&settings.tools.readable, &environment),
            origins: bad_origins(&settings.tools.origins).collect(),
            confined: self.confinement(&settings.tools, &self.0.places.current).enforced(),
        }
    }

    /// Returns the programs that agents and criteria of a template may run, as the settings allow them now.
    pub(crate) fn programs_of(&self, template: &Template) -> BTreeSet<String> {
        let settings = &self.0.resolved.settings;
        let mut programs = BTreeSet::new();
        for rule in &template.agent_composition_rules {
            let base = self.0.library.agent(&rule.base_template).or_else(|| self.0.library.agent("generic"));
            let of_base = base.into_iter().flat_map(|base| &base.tools);
            for tool in rule.tools.iter().chain(of_base).filter(|_| settings.tools.max_turns > 0) {
                if tool == RUN_COMMAND {
                    programs.extend(settings.tools.commands.iter().cloned());
                } else if !is_built_in(tool) {
                    programs.insert(tool.clone());
                }
            }
            let of_base = base.into_iter().flat_map(|base| &base.criteria);
            for criterion in rule.success_criteria.iter().chain(of_base) {
                let asked = judge::commands_asked(std::slice::from_ref(criterion));
                programs.extend(asked.iter().filter_map(|asked| asked.run.first().cloned()));
            }
        }
        programs.retain(|program| settings.tools.commands.contains(program));
        programs
    }

    /// Tells whether programs that are confined to `folder` could still read and change all that the user has: it is the home folder or
    /// lies above it.
    pub(crate) fn holds_home(&self, folder: &Path) -> bool {
        let home = self.0.variables.get("HOME").map(PathBuf::from).and_then(|home| home.canonicalize().ok());
        home.is_some_and(|home| folder.canonicalize().is_ok_and(|folder| home.starts_with(folder)))
    }

    /// Returns the variables that programs have which agents run.
    pub(in crate::workspace) fn tool_environment(&self, settings: &Settings) -> Environment {
        Environment::new(|name| self.0.variables.get(name), &settings.tools.env, |name| holds_key(settings, name))
    }

    /// Returns what such programs may touch.
    fn confinement(&self, settings: &ToolSettings, folder: &Path) -> Confinement {
        let environment = Environment::new(|name| self.0.variables.get(name), &[], |_| false);
        let home = environment.get("HOME").map(Path::new);
        Confinement::new(settings, folder, home, environment.path())
    }

    /// Returns what of it this system does not enforce, to be recorded with a run.
    pub(in crate::workspace) fn unenforced(&self, settings: &ToolSettings) -> Vec<String> {
        let Some(enforced) = self.confinement(settings, &self.0.places.current).enforced() else {
            return vec!["anything: it is switched off".to_owned()];
        };
        enforced.missing.into_iter().chain([OPEN]).map(str::to_owned).collect()
    }

    /// Returns why no program can run as the settings want it; `None` when it can.
    pub(in crate::workspace) fn confinement_refusal(&self, settings: &ToolSettings) -> Option<String> {
        self.confinement(settings, &self.0.places.current).refusal()
    }
}
