//! `meno validate-template FILE…`: every problem with its place and remedy.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::templates;
use crate::cli::args::ValidateTemplateArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open::{self, Opening};
use crate::cli::output::{Printer, sanitize, words};
use crate::domain::template::{Problem, Severity, TestTally, tally_tests};
use crate::workspace::Access;
use crate::workspace::library::{FileKind, Library};

/// `validate-template --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validation {
    /// The files, in the order given.
    pub files: Vec<FileValidation>,
    /// Errors in all files.
    pub errors: usize,
    /// Warnings in all files.
    pub warnings: usize,
}

/// One file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileValidation {
    /// The file.
    pub path: String,
    /// It can be used: it has no error.
    pub valid: bool,
    /// Its own tests.
    pub tests: TestTally,
    /// All its problems, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Checks files; ends with 1 when any has an error. With `-q` only errors are printed.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, args: &ValidateTemplateArgs) -> Result<Exit> {
    // Which programs may run is for the settings to say; settings that cannot be read say nothing.
    let opening = Opening { forgiving: true, hush: true, ..Opening::default() };
    let settings = open::store_with(context, Access::Read, opening).ok();
    let library = settings
        .map_or_else(|| Library::open(Path::new("")), |workspace| workspace.library.clone().under(&workspace.resolved.settings));
    show(&mut context.out, &library, &args.files)
}

fn show(out: &mut Printer, library: &Library, files: &[PathBuf]) -> Result<Exit> {
    let mut validation = Validation { files: Vec::new(), errors: 0, warnings: 0 };
    for path in files {
        let looked_at = library.look_at(path, is_stored(path));
        let (problems, is_agent) = (looked_at.problems, looked_at.kind == FileKind::Agent);
        let tests = tally_tests(looked_at.text.as_deref().unwrap_or_default(), &problems);
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        validation.errors += errors;
        validation.warnings += problems.len() - errors;
        if !out.json() {
            for problem in
                problems.iter().filter(|problem| problem.severity == Severity::Error || !out.quiet()).collect::<Vec<_>>()
            {
                out.data(sanitize::text(&templates::problem(path, problem)))?;
            }
            let valid = if errors == 0 { "valid, " } else { "" };
            let path = path.display().to_string();
            let rest = if is_agent { "a base agent".to_owned() } else { in_words(tests) };
            out.say(format!("{}: {valid}{rest}", sanitize::line(&path)));
        }
        validation.files.push(FileValidation { path: path.display().to_string(), valid: errors == 0, tests, problems });
    }
    if out.json() {
        out.document(&validation)?;
    } else if validation.errors + validation.warnings > 0 {
        let (errors, warnings) =
            (words::plural(validation.errors as u64, "error"), words::plural(validation.warnings as u64, "warning"));
        out.say(format!("{errors}, {warnings}"));
    }
    Ok(if validation.errors > 0 { Exit::Mendable } else { Exit::Done })
}

/// A file in a store's folder of templates, or of base agents, is called by its name, so that must be its id; any other may be called
/// anything.
fn is_stored(path: &Path) -> bool {
    let folder = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    let folder = match folder {
        Some(folder) if folder.ends_with("templates/agents") => folder.parent().map(Path::to_owned),
        folder => folder,
    };
    folder.is_some_and(|folder| {
        let is_of_a_store = folder.with_file_name("journal").is_dir() || folder.ends_with(".meno/templates");
        folder.ends_with("templates") && is_of_a_store
    })
}

fn in_words(tests: TestTally) -> String {
    let total = words::plural(tests.total as u64, "test");
    match (tests.total, tests.failed) {
        (0, _) => "no tests".to_owned(),
        (_, None) => format!("{total} not run: mend the errors first"),
        (_, Some(0)) => format!("{total} passed"),
        (_, Some(failed)) => format!("{failed} of {total} failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::cli::output::capture::Captured;
    use crate::domain::template::starter;

    fn check(name: &str, bytes: &[u8]) -> (Exit, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let data = Captured::default();
        let exit = show(
            &mut Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None),
            &Library::open(Path::new("")),
            &[path],
        )
        .unwrap();
        (exit, data.text())
    }

    #[test]
    fn a_file_may_have_any_name_unless_it_lies_among_the_templates_of_a_store() {
        let text = starter("mine").unwrap();
        assert_eq!(check("mine.json", text.as_bytes()).0, Exit::Done);
        assert_eq!(check("other.template.json", text.as_bytes()).0, Exit::Done);
        let store = tempfile::tempdir().unwrap();
        std::fs::create_dir(store.path().join("journal")).unwrap();
        std::fs::create_dir(store.path().join("templates")).unwrap();
        let path = store.path().join("templates/other.json");
        std::fs::write(&path, text).unwrap();
        let data = Captured::default();
        let exit = show(
            &mut Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None),
            &Library::open(Path::new("")),
            &[path],
        );
        assert!(exit == Ok(Exit::Mendable) && data.text().contains("/template_id"), "{}", data.text());
    }

    #[test]
    fn what_is_no_text_too_large_or_not_there_is_one_error_with_a_place() {
        for bytes in [b"{\n\xff}".to_vec(), vec![b' '; (1 << 20) + 1]] {
            let (exit, said) = check("a.json", &bytes);
            assert!(exit == Exit::Mendable && said.contains("a.json:") && said.matches("error:").count() == 1, "{said}");
        }
        let data = Captured::default();
        let exit = show(
            &mut Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None),
            &Library::open(Path::new("")),
            &["/nonexistent/a.json".into()],
        );
        assert!(exit == Ok(Exit::Mendable) && data.text().contains("cannot be read"));
    }
}
