//! Templates and base agents: the built-in ones, and the user's own in the store's `templates/`, which win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::template::{BaseAgent, Template};
use crate::domain::validate::{self, Checked, Context, Problem, Severity};

macro_rules! embedded {
    ($folder:literal: $($id:literal)*) => {
        &[$( ($id, include_str!(concat!("../../", $folder, "/", $id, ".json"))), )*]
    };
}

/// The built-in templates: id and text.
pub const TEMPLATES: &[(&str, &str)] = embedded!("templates":
    "code_refactoring" "documentation_generation" "feature_overview" "incident_review" "python_package_publish"
    "release_prep" "research_paper_review" "rust_crate_release" "security_audit" "test_coverage_boost" "test_maintenance");

/// The built-in base agents: id and text.
pub const AGENTS: &[(&str, &str)] = embedded!("templates/agents":
    "architecture_analyst" "changelog_updater" "code_reviewer" "code_simplifier" "documentation_analyst" "documentation_writer"
    "generic" "linter" "package_builder" "performance_optimizer" "publisher" "refactoring_specialist" "report_generator"
    "research_reviewer" "security_auditor" "synthesizer" "test_coverage_analyzer" "test_generator" "test_runner"
    "test_validator" "type_checker" "version_manager");

/// Where a template comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Meno's own.
    BuiltIn,
    /// The user's file.
    User(PathBuf),
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
    pub template: Option<Template>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl Entry {
    /// Returns the first error, when the template is broken.
    pub fn first_error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }
}

/// The templates and base agents that there are.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
    agents: BTreeMap<String, BaseAgent>,
}

impl Library {
    /// Opens the library of the store at `store`; reads nothing but the built-in base agents yet.
    pub fn open(store: &Path) -> Self {
        let agents = AGENTS.iter().filter_map(|(id, text)| {
            let agent = validate::parse_agent(text, Some(id)).agent;
            debug_assert!(agent.is_some(), "the built-in agent {id} is valid: a test says so");
            agent.map(|agent| ((*id).to_owned(), agent))
        });
        Self { folder: store.join("templates"), agents: agents.collect() }
    }

    /// Returns the base agents by id.
    pub fn agents(&self) -> &BTreeMap<String, BaseAgent> {
        &self.agents
    }

    /// Returns the folder of the user's own templates.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Checks a template's text; `stem` is the name that its file has, without `.json`.
    pub fn check(&self, text: &str, stem: Option<&str>) -> Checked {
        validate::parse(text, stem, &Context { agents: &self.agents })
    }

    /// Returns the template called `id`; `None` when there is none, or `id` is no id at all.
    ///
    /// # Errors
    /// When the user's file is there and cannot be read.
    pub fn find(&self, id: &str) -> std::io::Result<Option<Entry>> {
        if validate::template_id(id).is_err() {
            return Ok(None);
        }
        let path = self.folder.join(format!("{id}.json"));
        let builtin = TEMPLATES.iter().find(|(known, _)| *known == id);
        match read_text(&path) {
            Ok(text) => Ok(Some(self.entry(id, Origin::User(path), text, builtin.is_some()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(builtin.map(|(id, text)| self.entry(id, Origin::BuiltIn, (*text).to_owned(), false)))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns all templates by id. A broken one is listed as broken and stops nothing.
    pub fn list(&self) -> Vec<Entry> {
        let mut entries: BTreeMap<String, Entry> = TEMPLATES
            .iter()
            .map(|(id, text)| ((*id).to_owned(), self.entry(id, Origin::BuiltIn, (*text).to_owned(), false)))
            .collect();
        for path in user_files(&self.folder) {
            let Some(id) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
            let hides = entries.contains_key(&id);
            let entry = match read_text(&path) {
                Ok(text) => self.entry(&id, Origin::User(path), text, hides),
                Err(error) => Entry {
                    id: id.clone(),
                    origin: Origin::User(path),
                    hides_builtin: hides,
                    text: String::new(),
                    template: None,
                    problems: vec![Problem::unreadable(&error.to_string())],
                },
            };
            entries.insert(id, entry);
        }
        entries.into_values().collect()
    }

    fn entry(&self, id: &str, origin: Origin, text: String, hides_builtin: bool) -> Entry {
        let Checked { template, problems } = self.check(&text, Some(id));
        Entry { id: id.to_owned(), origin, hides_builtin, text, template, problems }
    }
}

fn user_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// Reads a template file: a text in UTF-8 of a size that a template can have.
fn read_text(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > validate::BYTES_MAX as u64 {
        return Err(std::io::Error::other(format!("{bytes} bytes are more than the {} of a template", validate::BYTES_MAX)));
    }
    std::fs::read_to_string(path)
}
