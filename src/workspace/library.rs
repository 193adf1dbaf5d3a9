//! Templates and base agents: the built-in ones, and the user's own in the store's `templates/` and `templates/agents/`, which win.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use crate::domain::settings::Settings;
use crate::domain::team;
use crate::domain::template::{self, BadId, BaseAgent, Checked, Context, FILE_BYTES_MAX, Problem, Severity, Template};
use crate::settings::{self, write};

mod agents;
mod listed;

pub use agents::AgentEntry;
use agents::Bases;
pub use listed::Listed;

macro_rules! embedded {
    ($folder:literal: $($id:literal)*) => {
        &[$( ($id, include_str!(concat!("../../", $folder, "/", $id, ".json"))), )*]
    };
}

/// The built-in templates: id and text.
pub const TEMPLATES: &[(&str, &str)] = embedded!("templates":
    "code_refactoring" "documentation_generation" "feature_overview" "fix_failing_tests" "incident_review"
    "python_package_publish" "release_prep" "research_paper_review" "rust_crate_release" "security_audit" "test_coverage_boost" "test_maintenance");

/// The built-in base agents: id and text.
pub const AGENTS: &[(&str, &str)] = embedded!("templates/agents":
    "architecture_analyst" "bug_fixer" "changelog_updater" "code_reviewer" "code_simplifier" "documentation_analyst" "documentation_writer"
    "generic" "linter" "package_builder" "performance_optimizer" "publisher" "refactoring_specialist" "report_generator"
    "research_reviewer" "security_auditor" "synthesizer" "test_coverage_analyzer" "test_generator" "test_runner"
    "test_validator" "type_checker" "version_manager");

/// The built-in base agents, read when the first is asked for. What ships is sound, so it is read and not checked: tests check it.
static BUILT_IN_AGENTS: LazyLock<BTreeMap<String, BaseAgent>> = LazyLock::new(|| {
    let agents = AGENTS.iter().filter_map(|(id, text)| Some(((*id).to_owned(), serde_json::from_str(text).ok()?)));
    agents.collect()
});

/// Where a template comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Meno's own.
    BuiltIn,
    /// The user's file.
    User(PathBuf),
    /// A file that is not the store's, named by its path.
    File(PathBuf),
}

/// A template as listed: good or broken.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id by which it is called.
    pub id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// A user's file hides a built-in template of the same id.
    pub hides_builtin: bool,
    /// The text.
    pub text: String,
    /// The template; `None` when it is broken.
    pub(crate) template: Option<Template>,
    /// What is wrong with it; what ships is not looked through. `Library::problems` does that.
    pub problems: Vec<Problem>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A template.
    Template,
    /// A base agent.
    Agent,
}

impl FileKind {
    /// Tells what a text is meant to be, as far as that can be told: an agent has instructions, and no questions.
    pub fn of(text: &str) -> Self {
        let is_agent = match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => value.get("instructions").is_some() && value.get("form_schema").is_none(),
            Err(_) => text.contains("\"instructions\"") && !text.contains("\"form_schema\""),
        };
        if is_agent { Self::Agent } else { Self::Template }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Agent => "base agent",
        }
    }
}

/// A file of a template or base agent, looked through.
#[derive(Clone, Debug)]
pub struct LookedAt {
    /// What it is meant to be.
    pub kind: FileKind,
    /// Its text, when it is one.
    pub text: Option<String>,
    /// Its id, when it can be used.
    pub id: Option<String>,
    /// All its problems, in the order of the file.
    pub problems: Vec<Problem>,
}

/// A template or base agent that was written into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its file.
    pub path: PathBuf,
    /// A file of the user's was replaced.
    pub replaced: bool,
    /// It hides a built-in one of the same id.
    pub hides_builtin: bool,
}

/// Why a template or base agent was not written into the store.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The id is none.
    #[error(transparent)]
    Id(#[from] BadId),
    /// There is such a one already.
    #[error("{} `{id}` is there already{}", kind.name(), if *is_builtin { ", built in" } else { "" })]
    Exists {
        /// What it is.
        kind: FileKind,
        /// The id.
        id: String,
        /// It is a built-in one.
        is_builtin: bool,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] settings::Error),
}

impl Entry {
    /// Returns the first error, when the template is broken.
    pub fn first_error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }
}

/// The templates and base agents that there are. Nothing is read until it is asked for.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
    /// The store is a stranger's: what it calls as something that ships is called does not take its place.
    is_strange: bool,
    /// The programs that the settings allow, where they are to be looked at.
    commands: Option<BTreeSet<String>>,
    /// The MCP servers that the settings name, where they are to be looked at.
    servers: Option<BTreeSet<String>>,
    /// The base agents, read when the first is asked for.
    bases: OnceLock<Bases>,
}

impl Library {
    /// Opens the library of the store at `store`.
    pub fn open(store: &Path) -> Self {
        let folder = store.join("templates");
        Self { folder, is_strange: false, commands: None, servers: None, bases: OnceLock::new() }
    }

    /// Has templates and base agents of a store that the user does not trust hide none that ship.
    #[must_use]
    pub fn of_stranger(mut self, is_strange: bool) -> Self {
        self.is_strange = is_strange;
        self
    }

    /// Has checks say which programs and MCP servers of a template the settings do not allow or name.
    #[must_use]
    pub fn under(mut self, settings: &Settings) -> Self {
        self.commands = Some(settings.tools.commands.iter().cloned().collect());
        self.servers = Some(settings.mcp.keys().cloned().collect());
        self
    }

    /// Returns the base agents that can be used, by id.
    pub fn agents(&self) -> &BTreeMap<String, BaseAgent> {
        &self.bases().agents
    }

    fn agents_folder(&self) -> PathBuf {
        self.folder.join("agents")
    }

    /// Returns the base agent of an id or alias.
    pub fn agent(&self, id: &str) -> Option<&BaseAgent> {
        team::find_base(self.agents(), id)
    }

    /// Checks a template's text; `stem` is the name that its file has, without `.json`.
    pub fn check(&self, text: &str, stem: Option<&str>) -> Checked<Template> {
        let Bases { agents, broken } = self.bases();
        let context = Context { bases: Some(agents), broken_bases: Some(broken), ..self.surroundings() };
        template::parse(text, stem, &context)
    }

    /// Checks a base agent's text; `stem` is the name that its file has, without `.json`.
    pub fn check_agent(&self, text: &str, stem: Option<&str>) -> Checked<BaseAgent> {
        template::parse_agent(text, stem, &self.surroundings())
    }

    fn surroundings(&self) -> Context<'_> {
        Context { commands: self.commands.as_ref(), servers: self.servers.as_ref(), ..Context::default() }
    }

    /// Returns all that is wrong with a template that was found; with one that ships that is no more than warnings.
    pub fn problems(&self, entry: &Entry) -> Vec<Problem> {
        match entry.origin {
            Origin::BuiltIn => self.check(&entry.text, Some(&entry.id)).problems,
            Origin::User(_) | Origin::File(_) => entry.problems.clone(),
        }
    }

    /// Checks a template file, its name included; `is_stored` tells whether its name has to be its id.
    ///
    /// A file that cannot be read, is too large or is not UTF-8 has that as its one problem, and then no text.
    pub fn check_file(&self, path: &Path, is_stored: bool) -> (Option<String>, Checked<Template>) {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).filter(|_| is_stored);
        match read_bytes(path).map(String::from_utf8) {
            Ok(Ok(text)) => {
                let checked = self.check(&text, stem.as_deref());
                (Some(text), checked)
            }
            // Checking says where the first wrong byte stands.
            Ok(Err(error)) => (None, template::parse_bytes(error.as_bytes(), stem.as_deref(), &Context::default())),
            Err(error) => (None, Checked { value: None, problems: vec![unreadable(&error)] }),
        }
    }

    /// Looks through a file, whichever of both it holds; `is_stored` as for [`Library::check_file`].
    pub fn look_at(&self, path: &Path, is_stored: bool) -> LookedAt {
        let (text, checked) = self.check_file(path, is_stored);
        let kind = text.as_deref().map_or(FileKind::Template, FileKind::of);
        if let (FileKind::Agent, Some(text)) = (kind, &text) {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy()).filter(|_| is_stored);
            let checked = self.check_agent(text, stem.as_deref());
            let id = checked.value.map(|agent| agent.id);
            return LookedAt { kind, text: Some(text.clone()), id, problems: checked.problems };
        }
        LookedAt { kind, text, id: checked.value.map(|template| template.template_id), problems: checked.problems }
    }

    /// Writes the text of a template or base agent into the store, whole or not at all; tells whether it replaced a file of the user's.
    ///
    /// # Errors
    /// [`TakeError::Id`] for an id that is none, [`TakeError::Exists`] when there is such a one and `replace` is not given, and
    /// when the file cannot be written.
    pub fn take(&self, kind: FileKind, id: &str, text: &str, replace: bool) -> Result<Taken, TakeError> {
        let id = template::template_id(id)?;
        let (folder, ships) = match kind {
            FileKind::Template => (self.folder.clone(), TEMPLATES),
            FileKind::Agent => (self.agents_folder(), AGENTS),
        };
        write::make_folder(&self.folder)?;
        write::make_folder(&folder)?;
        let _lock = write::lock(&folder)?;
        let path = folder.join(format!("{id}.json"));
        let is_there = std::fs::symlink_metadata(&path).is_ok();
        let is_builtin = ships.iter().any(|(known, _)| *known == id);
        if !replace && (is_there || is_builtin) {
            return Err(TakeError::Exists { kind, id: id.to_owned(), is_builtin: !is_there });
        }
        write::replace(&path, text)?;
        Ok(Taken { path, replaced: is_there, hides_builtin: is_builtin })
    }

    /// Returns the template called `id`; `None` when there is none, or `id` is no id at all.
    ///
    /// # Errors
    /// When the user's file is there and cannot be read.
    pub fn find(&self, id: &str) -> std::io::Result<Option<Entry>> {
        if template::template_id(id).is_err() {
            return Ok(None);
        }
        let path = self.folder.join(format!("{id}.json"));
        let builtin = TEMPLATES.iter().find(|(known, _)| *known == id);
        if let (true, Some((id, text))) = (self.is_strange, builtin) {
            return Ok(Some(self.built_in(id, text)));
        }
        match read_text(&path) {
            Ok(text) => Ok(Some(self.entry(id, Origin::User(path), text, builtin.is_some()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(builtin.map(|(id, text)| self.built_in(id, text))),
            Err(error) => Err(error),
        }
    }

    /// Reads the template of a file that is named by its path and belongs to no store. Its id is what the template says, whatever the
    /// file's name; one that cannot be read is called by its path.
    pub fn file(&self, path: &Path) -> Entry {
        let (text, Checked { value: template, problems }) = self.check_file(path, false);
        let id = template.as_ref().map_or_else(|| path.display().to_string(), |template| template.template_id.clone());
        let (origin, text) = (Origin::File(path.to_owned()), text.unwrap_or_default());
        Entry { id, origin, hides_builtin: false, text, template, problems }
    }

    /// Returns ids and names of all templates, without looking whether they are sound: a page has them at once, however many rules they have.
    pub fn names(&self) -> Vec<(String, String)> {
        #[derive(serde::Deserialize)]
        struct Named {
            name: String,
        }
        let name = |id: &str, text: Option<&str>| {
            let named: Option<Named> = text.and_then(|text| serde_json::from_str(text).ok());
            named.map_or_else(|| id.to_owned(), |named| named.name)
        };
        let mut names: BTreeMap<String, String> =
            TEMPLATES.iter().map(|(id, text)| ((*id).to_owned(), name(id, Some(text)))).collect();
        for path in user_files(&self.folder) {
            let Some(id) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
            if !(self.is_strange && names.contains_key(&id)) {
                let name = name(&id, read_text(&path).ok().as_deref());
                names.insert(id, name);
            }
        }
        names.into_iter().collect()
    }

    /// Returns all templates by id. A broken one is listed as broken and stops nothing.
    pub fn list(&self) -> Vec<Entry> {
        let mut entries: BTreeMap<String, Entry> =
            TEMPLATES.iter().map(|(id, text)| ((*id).to_owned(), self.built_in(id, text))).collect();
        for path in user_files(&self.folder) {
            let Some(id) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
            let hides = entries.contains_key(&id);
            if hides && self.is_strange {
                continue;
            }
            let entry = match read_text(&path) {
                Ok(text) => self.entry(&id, Origin::User(path), text, hides),
                Err(error) => Entry {
                    id: id.clone(),
                    origin: Origin::User(path),
                    hides_builtin: hides,
                    text: String::new(),
                    template: None,
                    problems: vec![unreadable(&error)],
                },
            };
            entries.insert(id, entry);
        }
        entries.into_values().collect()
    }

    fn entry(&self, id: &str, origin: Origin, text: String, hides_builtin: bool) -> Entry {
        let Checked { value: template, problems } = self.check(&text, Some(id));
        Entry { id: id.to_owned(), origin, hides_builtin, text, template, problems }
    }

    /// Reads a template that ships, which is sound: tests check it. A base agent of the user's that takes the place of one may not be.
    fn built_in(&self, id: &str, text: &str) -> Entry {
        let template: Option<Template> = serde_json::from_str(text).ok();
        let rules = template.iter().flat_map(|template| &template.agent_composition_rules);
        if user_files(&self.agents_folder()).is_empty()
            || !rules.into_iter().any(|rule| self.bases().broken.contains_key(&rule.base_template))
        {
            let (id, text, problems) = (id.to_owned(), text.to_owned(), Vec::new());
            return Entry { id, origin: Origin::BuiltIn, hides_builtin: false, text, template, problems };
        }
        self.entry(id, Origin::BuiltIn, text.to_owned(), false)
    }
}

pub(super) fn user_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// Reads a template file: a text in UTF-8 of a size that a template can have.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    let not_text = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is not UTF-8");
    String::from_utf8(read_bytes(path)?).map_err(not_text)
}

/// Reads a plain file of a size that a template can have: a pipe planted in a stranger's folder would never end.
fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    if metadata.len() > FILE_BYTES_MAX as u64 {
        return Err(std::io::Error::other(format!("{} bytes are more than the {FILE_BYTES_MAX} of a template", metadata.len())));
    }
    std::fs::read(path)
}

fn unreadable(error: &std::io::Error) -> Problem {
    Problem {
        severity: Severity::Error,
        pointer: String::new(),
        line: 1,
        column: 1,
        message: format!("cannot be read: {error}"),
        remedy: format!("make it a readable file in UTF-8 of at most {FILE_BYTES_MAX} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the commands and the answers of the question `runner` that stand in a rule.
    fn commands_and_runners(value: &serde_json::Value, commands: &mut Vec<String>, runners: &mut Vec<String>) {
        if let (Some("command"), Some(run)) = (value["type"].as_str(), value["run"].as_array()) {
            commands.push(run.iter().filter_map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        }
        if let (Some("runner"), Some(answer)) = (value["question"].as_str(), value["is"].as_str()) {
            runners.push(answer.to_owned());
        }
        let of_list = value.as_array().into_iter().flatten();
        let of_object = value.as_object().into_iter().flat_map(|object| object.values());
        of_list.chain(of_object).for_each(|part| commands_and_runners(part, commands, runners));
    }

    #[test]
    fn tests_are_run_by_the_very_command_that_was_chosen() {
        let (_, text) = TEMPLATES.iter().find(|(id, _)| *id == "fix_failing_tests").unwrap();
        let template: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut checked = Vec::new();
        for rule in template["agent_composition_rules"].as_array().unwrap() {
            let (mut commands, mut runners) = (Vec::new(), Vec::new());
            commands_and_runners(rule, &mut commands, &mut runners);
            for command in commands {
                assert!(runners.iter().any(|runner| command.starts_with(runner.as_str())), "{command}: {runners:?}");
                checked.extend(runners.clone());
            }
        }
        // For changes of the files, and for proposals.
        assert_eq!(checked, ["cargo test", "pytest", "python3 -m unittest", "go test", "npm test"].repeat(2));
    }

    #[test]
    fn a_strangers_template_takes_the_place_of_none_that_ships() {
        let store = tempfile::tempdir().unwrap();
        std::fs::create_dir(store.path().join("templates")).unwrap();
        let (id, text) = TEMPLATES[0];
        for name in [id, "own_one"] {
            std::fs::write(store.path().join(format!("templates/{name}.json")), text.replace(id, name)).unwrap();
        }
        for (is_strange, hides) in [(false, true), (true, false)] {
            let library = Library::open(store.path()).of_stranger(is_strange);
            assert_eq!(library.find(id).unwrap().unwrap().hides_builtin, hides);
            assert!(library.list().iter().any(|entry| entry.id == id && entry.hides_builtin == hides));
            assert!(library.find("own_one").unwrap().is_some());
            let named = |entry: Entry| (entry.id, entry.template.map(|template| template.name).unwrap_or_default());
            assert_eq!(library.names(), library.list().into_iter().map(named).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_ships_is_read_as_if_it_were_checked_and_has_no_errors() {
        let library = Library::open(Path::new("nowhere"));
        assert_eq!(library.agents().len(), AGENTS.len());
        for (id, text) in AGENTS {
            let checked = template::parse_agent(text, Some(id), &Context::default());
            assert_eq!((checked.value.as_ref(), checked.problems), (library.agents().get(*id), Vec::new()), "{id}");
        }
        assert_eq!(library.list().len(), TEMPLATES.len());
        for (id, text) in TEMPLATES {
            let (checked, entry) = (library.check(text, Some(id)), library.find(id).unwrap().unwrap());
            assert!(entry.template.is_some() && checked.first_error().is_none(), "{id}");
            assert_eq!(library.problems(&entry), checked.problems);
            assert_eq!(checked.value, entry.template, "{id}");
        }
    }
}
