//! Base agents: the built-in ones, and the user's own in the store's `templates/agents/`, which win.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{AGENTS, BUILT_IN_AGENTS, Library, Origin, read_text, unreadable, user_files};
use crate::domain::template::{BaseAgent, Checked, Problem, Severity};

/// A base agent as listed: good or broken.
#[derive(Clone, Debug)]
pub struct AgentEntry {
    /// The id by which rules name it.
    pub id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// A user's file hides a built-in base agent of the same id.
    pub hides_builtin: bool,
    /// The text.
    pub text: String,
    /// The agent; `None` when it is broken.
    pub(crate) agent: Option<BaseAgent>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl AgentEntry {
    /// Returns the first error, when the agent is broken.
    pub fn first_error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }
}

/// What rules may name as their base.
#[derive(Clone, Debug)]
pub(super) struct Bases {
    pub(super) agents: BTreeMap<String, BaseAgent>,
    /// By id, what is wrong with which file.
    pub(super) broken: BTreeMap<String, String>,
}

impl Library {
    pub(super) fn bases(&self) -> &Bases {
        self.bases.get_or_init(|| {
            let mut bases = Bases { agents: BUILT_IN_AGENTS.clone(), broken: BTreeMap::new() };
            for entry in self.own_agents() {
                bases.agents.remove(&entry.id);
                // An alias is that of the user's own agent, as an id is.
                let taken = entry.agent.iter().flat_map(|agent| &agent.aliases);
                for alias in taken {
                    bases.agents.values_mut().for_each(|other| other.aliases.retain(|known| known != alias));
                }
                if let Origin::User(path) = &entry.origin
                    && let Some(error) = entry.first_error()
                {
                    bases.broken.insert(entry.id.clone(), format!("{}:{error}", path.display()));
                }
                bases.agents.extend(entry.agent.map(|agent| (entry.id, agent)));
            }
            bases
        })
    }

    /// Returns all base agents by id. A broken one is listed as broken and stops nothing.
    pub fn list_agents(&self) -> Vec<AgentEntry> {
        let ships = AGENTS.iter().map(|(id, text)| AgentEntry {
            id: (*id).to_owned(),
            origin: Origin::BuiltIn,
            hides_builtin: false,
            text: (*text).to_owned(),
            agent: BUILT_IN_AGENTS.get(*id).cloned(),
            problems: Vec::new(),
        });
        let all = ships.chain(self.own_agents()).map(|entry| (entry.id.clone(), entry));
        all.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Returns the user's own base agents.
    fn own_agents(&self) -> Vec<AgentEntry> {
        let files = user_files(&self.agents_folder()).into_iter().filter_map(|path| {
            let id = path.file_stem()?.to_string_lossy().into_owned();
            let hides_builtin = AGENTS.iter().any(|(known, _)| *known == id);
            (!hides_builtin || !self.is_strange).then_some((id, path, hides_builtin))
        });
        let read = |(id, path, hides_builtin): (String, PathBuf, bool)| {
            let (text, Checked { value: agent, problems }) = match read_text(&path) {
                Ok(text) => {
                    let checked = self.check_agent(&text, Some(&id));
                    (text, checked)
                }
                Err(error) => (String::new(), Checked { value: None, problems: vec![unreadable(&error)] }),
            };
            AgentEntry { id, origin: Origin::User(path), hides_builtin, text, agent, problems }
        };
        let mut entries: Vec<AgentEntry> = files.map(read).collect();
        let ids: BTreeSet<String> = entries.iter().map(|entry| entry.id.clone()).collect();
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for AgentEntry { id, agent, problems, .. } in &mut entries {
            let Some(agent) = agent else { continue };
            let mut at = 0..;
            agent.aliases.retain(|alias| {
                let pointer = format!("/aliases/{}", at.next().unwrap_or_default());
                let ships = BUILT_IN_AGENTS.values().find(|other| other.id == *alias || other.aliases.contains(alias));
                let (message, is_kept) = match (ships, taken.get(alias)) {
                    _ if ids.contains(alias) => (format!("`{alias}` is another base agent's id, and means that one"), false),
                    (_, Some(other)) => (format!("`{alias}` is an alias of `{other}` too, and means that one"), false),
                    (Some(_), None) if self.is_strange => (format!("`{alias}` ships with Meno"), false),
                    (Some(other), None) if other.id == *alias => {
                        (format!("`{alias}` is a built-in base agent's id, and means that one"), false)
                    }
                    (Some(other), None) => (format!("`{alias}` means `{}`, which is built in, no more", other.id), true),
                    (None, None) => (String::new(), true),
                };
                if !message.is_empty() {
                    let (severity, remedy) = (Severity::Warning, "choose another alias".to_owned());
                    problems.push(Problem { severity, pointer, line: 1, column: 1, message, remedy });
                }
                if is_kept {
                    taken.insert(alias.clone(), id.clone());
                }
                is_kept
            });
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_that_of_the_users_own_agent_and_no_strangers() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("templates/agents");
        std::fs::create_dir_all(&folder).unwrap();
        for (id, aliases) in [("aaa", r#"["generic_agent", "mine", "linter"]"#), ("bbb", r#"["mine", "aaa"]"#)] {
            let text = format!(r#"{{"id": "{id}", "aliases": {aliases}, "description": "d", "instructions": "Do it."}}"#);
            std::fs::write(folder.join(format!("{id}.json")), text).unwrap();
        }
        for (is_strange, expected) in [(false, "aaa"), (true, "generic")] {
            let library = Library::open(store.path()).of_stranger(is_strange);
            let id = |name: &str| library.agent(name).map(|agent| agent.id.as_str());
            assert_eq!([id("generic_agent"), id("mine"), id("linter")], [Some(expected), Some("aaa"), Some("linter")]);
            let warned: Vec<usize> = library
                .list_agents()
                .iter()
                .filter(|entry| entry.origin != Origin::BuiltIn)
                .map(|entry| entry.problems.len())
                .collect();
            assert_eq!(warned, [2, 2]);
        }
    }
}
