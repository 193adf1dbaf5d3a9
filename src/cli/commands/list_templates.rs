//! `meno list-templates`: the templates there are, broken ones too.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open;
use crate::cli::output::table::{Column, Entry as Cell, Fit, Table};
use crate::cli::output::{BAD, Printer};
use crate::domain::template::Problem;
use crate::workspace::Access;
use crate::workspace::library::{Entry, Origin};

/// `list-templates --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateList {
    /// The templates by id.
    pub templates: Vec<TemplateLine>,
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

impl From<&Entry> for TemplateLine {
    fn from(entry: &Entry) -> Self {
        let template = entry.template.as_ref();
        let (kind, path) = match &entry.origin {
            Origin::BuiltIn => (Kind::BuiltIn, None),
            Origin::User(path) => (Kind::User, Some(path.display().to_string())),
            Origin::File(path) => (Kind::File, Some(path.display().to_string())),
        };
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

/// Lists the templates.
///
/// # Errors
/// When settings cannot be read or stdout cannot be written.
pub fn run(context: &mut Context) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    show(&mut context.out, &workspace.library.list())
}

fn show(out: &mut Printer, entries: &[Entry]) -> Result<Exit> {
    let list = TemplateList { templates: entries.iter().map(TemplateLine::from).collect() };
    if out.json() {
        out.document(&list)?;
        return Ok(Exit::Done);
    }
    let columns = [
        Column::new("template", Fit::Whole),
        Column::new("name", Fit::Words),
        Column::new("version", Fit::Whole).optional(2),
        Column::new("questions", Fit::Number).optional(1),
        Column::new("rules", Fit::Number).optional(1),
        Column::new("origin", Fit::Words).once(),
    ];
    let mut table = Table::new(out, &columns);
    for line in &list.templates {
        let number = |number: Option<usize>| Cell::from(number.map(|number| number.to_string()).unwrap_or_default());
        let name = match (&line.name, &line.problem) {
            (Some(name), _) => Cell::from(name.as_str()),
            (None, problem) => Cell::styled(BAD, problem.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        let origin = match line.origin {
            Kind::BuiltIn => "built-in",
            Kind::User => "user",
            Kind::File => "file",
            Kind::Broken => "broken",
        };
        let hides = if line.hides_builtin { ", hides the built-in one" } else { "" };
        table.row([
            Cell::from(line.template_id.as_str()),
            name,
            line.version.clone().unwrap_or_default().into(),
            number(line.questions),
            number(line.rules),
            format!("{origin}{hides}").into(),
        ]);
    }
    out.data(table.finish())?;
    for path in list.templates.iter().filter(|line| line.origin == Kind::Broken).filter_map(|line| line.path.as_deref()) {
        let hint = format!("`meno validate-template {path}` shows all its problems");
        out.say(crate::cli::output::sanitize::line(&hint));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::cli::output::capture::Captured;
    use crate::workspace::library::Library;

    #[test]
    fn a_broken_file_is_listed_beside_the_others_with_its_first_problem() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("templates");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("release_prep.json"), "{").unwrap();
        let data = Captured::default();
        let mut out = Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None);
        assert_eq!(show(&mut out, &Library::open(store.path()).list()), Ok(Exit::Done));
        let text = data.text();
        let line = text.lines().find(|line| line.starts_with("release_prep ")).unwrap();
        assert!(line.contains("broken, hides the built-in one") && line.contains("error:"), "{line}");
        assert!(text.contains("security_audit") && text.contains("built-in\n"), "{text}");
    }
}
