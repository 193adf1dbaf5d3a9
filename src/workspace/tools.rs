//! What a run's agents may do in the world, said before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{ActiveRun, Workspace};
use crate::domain::judge;
use crate::domain::settings::Settings;
use crate::domain::tool::RUN_COMMAND;
use crate::settings;
use crate::tools::Environment;

/// What the agents of a run may use, and what they asked for in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolsNotice {
    /// The folder that tools work in.
    pub folder: PathBuf,
    /// The tools that agents have, programs left out.
    pub offered: Vec<String>,
    /// The programs that agents and criteria run. Nothing confines them to the folder.
    pub programs: BTreeSet<String>,
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

impl Workspace {
    /// Returns what the agents of a run that is about to go on may use: by what it recorded, under what today's settings allow.
    pub fn tools_of(&self, active: &ActiveRun) -> ToolsNotice {
        let settings = settings::under(active.basis.settings.clone(), &self.resolved.settings);
        let (allowed, runs_criteria) = (&settings.tools, settings.judging.runs_commands());
        let environment = self.tool_environment(&settings);
        let mut notice = ToolsNotice { folder: self.places.current.clone(), ..ToolsNotice::default() };
        notice.notes = self.servers.notes(active.id);
        let has = |name: &str| allowed.max_turns > 0 && allowed.catalogue.iter().any(|spec| spec.name == name);
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

    /// Returns what programs find in their environment under these settings: never a key.
    pub(super) fn tool_environment(&self, settings: &Settings) -> Environment {
        let is_key = |name: &str| settings.providers.values().any(|provider| provider.api_key_env.as_deref() == Some(name));
        Environment::new(|name| self.variables.get(name), &settings.tools.env, is_key)
    }
}
