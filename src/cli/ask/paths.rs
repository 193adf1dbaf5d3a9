//! Completion of paths for questions that ask for one: what lies in the folder that was typed so far.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use inquire::CustomUserError;
use inquire::autocompletion::{Autocomplete, Replacement};

/// Names shown at once, at most: more are no help.
const SHOWN_MAX: usize = 50;

/// Completes paths, relative ones against a folder.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    folder: PathBuf,
}

impl Paths {
    /// Completes paths as they are meant in the folder in which the program was started.
    pub(super) fn new() -> Self {
        Self { folder: PathBuf::from(".") }
    }

    /// Returns the paths that begin with what was typed, folders with a separator at their end, in order. A folder that cannot be
    /// read has none.
    fn beginning_with(&self, typed: &str) -> Vec<String> {
        let (prefix, start) = typed.split_at(typed.rfind(MAIN_SEPARATOR).map_or(0, |at| at + MAIN_SEPARATOR.len_utf8()));
        // An absolute path takes the place of the folder that it is joined to.
        let Ok(entries) = fs::read_dir(self.folder.join(prefix)) else { return Vec::new() };
        let mut found: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                // A name that is no text, or that could speak to the terminal, cannot be typed either.
                let name = entry.file_name().into_string().ok().filter(|name| !name.chars().any(char::is_control))?;
                let hidden = name.starts_with('.') && !start.starts_with('.');
                let end = if is_folder(&entry.path()) { MAIN_SEPARATOR.to_string() } else { String::new() };
                (name.starts_with(start) && !hidden).then(|| format!("{prefix}{name}{end}"))
            })
            .collect();
        found.sort();
        found
    }
}

fn is_folder(path: &Path) -> bool {
    // Follows links: one to a folder can be gone into.
    fs::metadata(path).is_ok_and(|about| about.is_dir())
}

impl Autocomplete for Paths {
    fn get_suggestions(&mut self, typed: &str) -> Result<Vec<String>, CustomUserError> {
        if typed.is_empty() {
            // The default is offered then; a list would hide it.
            return Ok(Vec::new());
        }
        let mut found = self.beginning_with(typed);
        found.truncate(SHOWN_MAX);
        Ok(found)
    }

    /// Takes what is chosen from the list, else as much as all candidates have in common.
    fn get_completion(&mut self, typed: &str, chosen: Option<String>) -> Result<Replacement, CustomUserError> {
        if chosen.is_some() {
            return Ok(chosen);
        }
        let found = self.beginning_with(typed);
        let common = found.iter().skip(1).fold(found.first().cloned(), |common, path| {
            let common = common?;
            let same = common.chars().zip(path.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a);
            Some(same.collect())
        });
        Ok(common.filter(|common| common.len() > typed.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_completed_up_to_where_candidates_part() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["notes.md", "notes-old.md", ".hidden", "other"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/main.rs"), "").unwrap();
        let mut paths = Paths { folder: dir.path().to_owned() };
        let mut complete = |typed: &str| paths.get_completion(typed, None).unwrap();
        assert_eq!(complete("no").as_deref(), Some("notes"));
        assert_eq!(complete("notes"), None);
        assert_eq!(complete("s").as_deref(), Some("src/"));
        assert_eq!(complete("src/").as_deref(), Some("src/main.rs"));
        assert_eq!(complete("./o").as_deref(), Some("./other"));
        assert_eq!(complete("nowhere/x"), None);
        let absolute = format!("{}/ot", dir.path().display());
        assert_eq!(complete(&absolute), Some(format!("{absolute}her")));
        assert_eq!(paths.get_suggestions("").unwrap(), Vec::<String>::new());
        assert_eq!(paths.get_suggestions(".h").unwrap(), [".hidden"]);
        assert_eq!(paths.get_suggestions("n").unwrap(), ["notes-old.md", "notes.md"]);
        assert_eq!(paths.get_completion("n", Some("notes.md".into())).unwrap().as_deref(), Some("notes.md"));
    }
}
