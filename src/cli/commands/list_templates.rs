//! `meno list-templates`: the templates there are, or the base agents, broken ones too.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::ListTemplatesArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open;
use crate::cli::output::table::{Column, Entry as Cell, Fit, Table};
use crate::cli::output::{BAD, Printer, sanitize, words};
use crate::domain::template::Problem;
use crate::workspace::Access;
use crate::workspace::library::{AgentEntry, Entry, Library, Origin};

/// `list-templates --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateList {
    /// The templates by id.
    pub templates: Vec<TemplateLine>,
    /// The base agents by id.
    pub agents: Vec<AgentLine>,
}

impl TemplateList {
    /// Returns what a library has.
    pub fn of(library: &Library) -> Self {
        Self {
            templates: library.list().iter().map(TemplateLine::from).collect(),
            agents: library.list_agents().iter().map(AgentLine::from).collect(),
        }
    }
}

/// One base agent of the list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentLine {
    /// Its id.
    pub id: String,
    /// Other ids that mean the same.
    pub aliases: Vec<String>,
    /// What it is for; null when it is broken.
    pub description: Option<String>,
    /// The tools that it uses unless a rule names some.
    pub tools: Vec<String>,
    /// How many criteria it brings; null when it is broken.
    pub criteria: Option<usize>,
    /// Where it comes from.
    pub origin: Kind,
    /// The user's file.
    pub path: Option<String>,
    /// The file hides a built-in base agent of the same id.
    pub hides_builtin: bool,
    /// The first problem of a broken one.
    pub problem: Option<Problem>,
}

/// Where a listed template comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Meno's own.
    BuiltIn,
    /// The user's file.
    User,
    /// A file that is not the store's, named by its path.
    File,
    /// The user's file, which cannot be used.
    Broken,
}

/// One template of the list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateLine {
    /// Its id.
    pub template_id: String,
    /// Its name; null when it is broken, as are the next ones.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// How many questions it asks.
    pub questions: Option<usize>,
    /// How many rules it has.
    pub rules: Option<usize>,
    /// Where it comes from.
    pub origin: Kind,
    /// The user's file.
    pub path: Option<String>,
    /// The file hides a built-in template of the same id.
    pub hides_builtin: bool,
    /// The first problem of a broken one.
    pub problem: Option<Problem>,
}

impl Kind {
    fn of(origin: &Origin) -> (Self, Option<String>) {
        match origin {
            Origin::BuiltIn => (Self::BuiltIn, None),
            Origin::User(path) => (Self::User, Some(path.display().to_string())),
            Origin::File(path) => (Self::File, Some(path.display().to_string())),
        }
    }

    /// In words, and whether it hides what ships.
    fn in_words(self, hides_builtin: bool) -> String {
        let origin = match self {
            Self::BuiltIn => "built-in",
            Self::User => "user",
            Self::File => "file",
            Self::Broken => "broken",
        };
        format!("{origin}{}", if hides_builtin { ", hides the built-in one" } else { "" })
    }
}

impl From<&AgentEntry> for AgentLine {
    fn from(entry: &AgentEntry) -> Self {
        let agent = entry.agent.as_ref();
        let (kind, path) = Kind::of(&entry.origin);
        Self {
            id: entry.id.clone(),
            aliases: agent.map(|agent| agent.aliases.clone()).unwrap_or_default(),
            description: agent.map(|agent| agent.description.clone()),
            tools: agent.map(|agent| agent.tools.clone()).unwrap_or_default(),
            criteria: agent.map(|agent| agent.criteria.len()),
            origin: if agent.is_some() { kind } else { Kind::Broken },
            path,
            hides_builtin: entry.hides_builtin,
            problem: entry.first_error().cloned(),
        }
    }
}

impl From<&Entry> for TemplateLine {
    fn from(entry: &Entry) -> Self {
        let template = entry.template.as_ref();
        let (kind, path) = Kind::of(&entry.origin);
        Self {
            template_id: entry.id.clone(),
            name: template.map(|template| template.name.clone()),
            description: template.map(|template| template.description.clone()),
            version: template.map(|template| template.version.clone()),
            questions: template.map(|template| template.form_schema.questions.len()),
            rules: template.map(|template| template.agent_composition_rules.len()),
            origin: if template.is_some() { kind } else { Kind::Broken },
            path,
            hides_builtin: entry.hides_builtin,
            problem: entry.first_error().cloned(),
        }
    }
}

/// Lists the templates, or the base agents.
///
/// # Errors
/// When settings cannot be read or stdout cannot be written.
pub fn run(context: &mut Context, args: &ListTemplatesArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    show(&mut context.out, &workspace.library, args.agents)
}

fn show(out: &mut Printer, library: &Library, of_agents: bool) -> Result<Exit> {
    if out.json() {
        out.document(&TemplateList::of(library))?;
        return Ok(Exit::Done);
    }
    let origins: Vec<(Kind, Option<String>)> = if of_agents {
        let agents: Vec<AgentLine> = library.list_agents().iter().map(AgentLine::from).collect();
        show_agents(out, &agents)?;
        agents.into_iter().map(|line| (line.origin, line.path)).collect()
    } else {
        let templates: Vec<TemplateLine> = library.list().iter().map(TemplateLine::from).collect();
        show_templates(out, &templates)?;
        templates.into_iter().map(|line| (line.origin, line.path)).collect()
    };
    for path in origins.into_iter().filter(|(origin, _)| *origin == Kind::Broken).filter_map(|(_, path)| path) {
        let file = words::argument(Path::new(&path));
        out.say(sanitize::line(&format!("`meno validate-template {file}` shows all its problems")));
    }
    Ok(Exit::Done)
}

fn show_agents(out: &mut Printer, agents: &[AgentLine]) -> Result<()> {
    let columns = [
        Column::new("base agent", Fit::Whole),
        Column::new("for", Fit::Words),
        Column::new("tools", Fit::Words).optional(2),
        Column::new("criteria", Fit::Number).optional(1),
        Column::new("origin", Fit::Words).once(),
    ];
    let mut table = Table::new(out, &columns);
    for line in agents {
        let about = match (&line.description, &line.problem) {
            (Some(description), _) => Cell::from(description.as_str()),
            (None, problem) => Cell::styled(BAD, problem.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        table.row([
            Cell::from(line.id.as_str()),
            about,
            line.tools.join(", ").into(),
            line.criteria.map(|count| count.to_string()).unwrap_or_default().into(),
            line.origin.in_words(line.hides_builtin).into(),
        ]);
    }
    out.data(table.finish())
}

fn show_templates(out: &mut Printer, templates: &[TemplateLine]) -> Result<()> {
    let columns = [
        Column::new("template", Fit::Whole),
        Column::new("name", Fit::Words),
        Column::new("version", Fit::Whole).optional(2),
        Column::new("questions", Fit::Number).optional(1),
        Column::new("rules", Fit::Number).optional(1),
        Column::new("origin", Fit::Words).once(),
    ];
    let mut table = Table::new(out, &columns);
    for line in templates {
        let number = |number: Option<usize>| Cell::from(number.map(|number| number.to_string()).unwrap_or_default());
        let name = match (&line.name, &line.problem) {
            (Some(name), _) => Cell::from(name.as_str()),
            (None, problem) => Cell::styled(BAD, problem.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        table.row([
            Cell::from(line.template_id.as_str()),
            name,
            line.version.clone().unwrap_or_default().into(),
            number(line.questions),
            number(line.rules),
            line.origin.in_words(line.hides_builtin).into(),
        ]);
    }
    out.data(table.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::cli::output::capture::Captured;

    #[test]
    fn a_broken_file_is_listed_beside_the_others_with_its_first_problem() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("templates");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("release_prep.json"), "{").unwrap();
        let data = Captured::default();
        let mut out = Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None);
        assert_eq!(show(&mut out, &Library::open(store.path()), false), Ok(Exit::Done));
        let text = data.text();
        let line = text.lines().find(|line| line.starts_with("release_prep ")).unwrap();
        assert!(line.contains("broken, hides the built-in one") && line.contains("error:"), "{line}");
        assert!(text.contains("security_audit") && text.contains("built-in\n"), "{text}");
    }
}
