//! `meno validate-template FILE…`: every problem with its place and remedy.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::templates;
use crate::cli::args::ValidateTemplateArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::output::{Out, sanitize, words};
use crate::domain::template::{Problem, Severity};
use crate::workspace::library::Library;

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
    /// All its problems, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Checks files; ends with 1 when any has an error. With `-q` only errors are printed.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, args: &ValidateTemplateArgs) -> Result<Exit> {
    show(&mut context.out, &args.files)
}

fn show(out: &mut Out, files: &[PathBuf]) -> Result<Exit> {
    // Only the built-in base agents are needed, so no store is looked for.
    let library = Library::open(Path::new(""));
    let mut validation = Validation { files: Vec::new(), errors: 0, warnings: 0 };
    for path in files {
        let (_, checked) = library.check_file(path, true);
        let errors = checked.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        validation.errors += errors;
        validation.warnings += checked.problems.len() - errors;
        if !out.json() {
            for problem in
                checked.problems.iter().filter(|problem| problem.severity == Severity::Error || !out.quiet()).collect::<Vec<_>>()
            {
                out.data(sanitize::text(&templates::problem(path, problem)))?;
            }
            if errors == 0 {
                out.say(format!("{}: valid", sanitize::line(&path.display().to_string())));
            }
        }
        validation.files.push(FileValidation {
            path: path.display().to_string(),
            valid: errors == 0,
            problems: checked.problems,
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Look;
    use crate::cli::output::capture::Captured;
    use crate::domain::template::starter;

    fn check(name: &str, bytes: &[u8]) -> (Exit, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let data = Captured::default();
        let exit = show(&mut Out::to(Look::default(), data.clone(), Vec::new(), None), &[path]).unwrap();
        (exit, data.text())
    }

    #[test]
    fn a_good_file_passes_and_one_under_another_name_does_not() {
        let text = starter("mine").unwrap();
        assert_eq!(check("mine.json", text.as_bytes()).0, Exit::Done);
        let (exit, said) = check("other.json", text.as_bytes());
        assert!(exit == Exit::Mendable && said.contains("/template_id") && said.contains("remedy:"), "{said}");
    }

    #[test]
    fn what_is_no_text_too_large_or_not_there_is_one_error_with_a_place() {
        for bytes in [b"{\n\xff}".to_vec(), vec![b' '; (1 << 20) + 1]] {
            let (exit, said) = check("a.json", &bytes);
            assert!(exit == Exit::Mendable && said.contains("a.json:") && said.matches("error:").count() == 1, "{said}");
        }
        let data = Captured::default();
        let exit = show(&mut Out::to(Look::default(), data.clone(), Vec::new(), None), &["/nonexistent/a.json".into()]);
        assert!(exit == Ok(Exit::Mendable) && data.text().contains("cannot be read"));
    }
}
