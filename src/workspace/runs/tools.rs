//! What a run's agents may do in the world, said before it begins.

use super::Runs;
use crate::workspace::Workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::judge;
use crate::domain::settings::{Settings, ToolSettings};
use crate::domain::tool::{RUN_COMMAND, changes_files};
use crate::settings;
use crate::tools::planted::Watched;
use crate::tools::sandbox::{Confinement, Enforced};
use crate::tools::{Environment, SearchMemory};
use crate::workspace::ActiveRun;
use crate::workspace::memory::response::SearchResponse;
use crate::workspace::request::SearchRequest;

/// What the agents of a run may use, and what they asked for in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolsNotice {
    /// The folder that tools work in.
    pub folder: PathBuf,
    /// The tools that agents have, programs left out.
    pub offered: Vec<String>,
    /// The programs that agents and criteria run.
    pub programs: BTreeSet<String>,
    /// How they are confined to the folder; `None`: not at all, because the settings say so.
    pub confined: Option<Enforced>,
    /// The tools that agents list and do not have, each with their roles.
    pub missing: BTreeMap<String, Vec<String>>,
    /// The tools of MCP servers that agents have, by server.
    pub servers: BTreeMap<String, BTreeSet<String>>,
    /// What to know of these servers.
    pub notes: Vec<String>,
    /// The programs of criteria that the settings do not allow: these criteria will be unknown.
    pub unknown: BTreeSet<String>,
    /// Programs that the settings allow and that are not on this machine: criteria that run them will be unknown too.
    pub absent: BTreeSet<String>,
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
    pub fn tools_of(&self, active: &ActiveRun) -> ToolsNotice {
        let settings = settings::under(active.basis.settings.clone(), &self.0.resolved.settings);
        let (allowed, runs_criteria) = (&settings.tools, settings.judging.runs_commands());
        let confined = self.confinement(allowed).enforced();
        let environment = self.tool_environment(&settings);
        let mut notice = ToolsNotice { folder: self.0.places.current.clone(), confined, ..ToolsNotice::default() };
        notice.notes = self.0.servers.notes(active.id);
        let may = |name: &str| allowed.allow_write || !changes_files(name);
        let has = |name: &str| allowed.max_turns > 0 && may(name) && allowed.catalogue.iter().any(|spec| spec.name == name);
        for agent in active.stream.run().agents.iter().filter(|agent| !agent.status.is_ended()) {
            for tool in &agent.plan.tools {
                if let Some(server) = tool.strip_prefix("mcp:").and_then(|tool| tool.split_once('/')).map(|(server, _)| server) {
                    let has = |name: &String| allowed.by_listing(tool).iter().any(|spec| spec.name == *name);
                    let had = allowed.mcp_tools.iter().filter(|(_, name)| allowed.max_turns > 0 && has(name));
                    let had: BTreeSet<String> = had.map(|(listed, _)| listed.clone()).collect();
                    if had.is_empty() {
                        notice.missing.entry(tool.clone()).or_default().push(agent.label.clone());
                    } else {
                        notice.servers.entry(server.to_owned()).or_default().extend(had);
                    }
                } else if allowed.commands.contains(tool) && has(RUN_COMMAND) {
                    notice.programs.insert(tool.clone());
                } else if tool == RUN_COMMAND && has(tool) && !allowed.commands.is_empty() {
                    notice.programs.extend(allowed.commands.iter().cloned());
                } else if tool == RUN_COMMAND || !has(tool) {
                    notice.missing.entry(tool.clone()).or_default().push(agent.label.clone());
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
        let absent: BTreeSet<String> =
            notice.programs.iter().filter(|program| environment.find(program).is_none()).cloned().collect();
        notice.programs.retain(|program| !absent.contains(program));
        notice.absent = absent;
        notice
    }
}

impl Workspace {
    /// Returns a search of this store's memory for agents; it ends with the workspace.
    pub fn memory_search(self: &Arc<Self>) -> SearchMemory {
        let workspace = Arc::downgrade(self);
        Arc::new(move |query, runs| {
            let Some(workspace) = workspace.upgrade() else { return Err("The store is closed.".to_owned()) };
            let found = workspace.memory().search(&SearchRequest::new(query).limit(runs));
            found.map(|found| recalled(&found)).map_err(|error| format!("The memory cannot be searched: {error}."))
        })
    }
}

impl Runs<'_> {
    /// Looks at what in the repository of the current folder git would run.
    pub fn watched(&self) -> Watched {
        Watched::of(&self.0.places.current)
    }

    /// Returns the variables that programs have which agents run.
    pub(in crate::workspace) fn tool_environment(&self, settings: &Settings) -> Environment {
        let is_key = |name: &str| settings.providers.values().any(|provider| provider.api_key_env.as_deref() == Some(name));
        Environment::new(|name| self.0.variables.get(name), &settings.tools.env, is_key)
    }

    /// Returns what such programs may touch.
    fn confinement(&self, settings: &ToolSettings) -> Confinement {
        let environment = Environment::new(|name| self.0.variables.get(name), &[], |_| false);
        let home = environment.get("HOME").map(std::path::Path::new);
        Confinement::new(settings, &self.0.places.current, home, environment.path())
    }

    /// Returns what of it this system does not enforce, to be recorded with a run.
    pub(in crate::workspace) fn unenforced(&self, settings: &ToolSettings) -> Vec<String> {
        let Some(enforced) = self.confinement(settings).enforced() else {
            return vec!["anything: it is switched off".to_owned()];
        };
        enforced.missing.into_iter().map(str::to_owned).collect()
    }

    /// Returns why no program can run as the settings want it; `None` when it can.
    pub(in crate::workspace) fn confinement_refusal(&self, settings: &ToolSettings) -> Option<String> {
        self.confinement(settings).refusal()
    }
}
