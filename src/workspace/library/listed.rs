//! The templates as they were listed last: what is served for hours looks through them once per change of their files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Entry, Library, user_files};

/// What changes with a file, as far as that can be known without reading it: when its content and its entry changed, its size, and which it is.
type Mark = (PathBuf, [i64; 4], [u64; 2]);

/// The templates as they were while the files had these marks.
type Looked = (Vec<Mark>, Arc<Vec<Entry>>);

/// The templates of a library, kept as long as no file of it changes.
#[derive(Debug, Default)]
pub struct Listed(Mutex<Option<Looked>>);

impl Listed {
    /// Returns what [`Library::list`] does.
    pub fn get(&self, library: &Library) -> Arc<Vec<Entry>> {
        // Whoever asks meanwhile waits for the same list.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that changes while it is read is read once more the next time.
        let marks: Vec<Mark> =
            [&library.folder, &library.agents_folder()].into_iter().flat_map(|folder| user_files(folder)).map(mark).collect();
        if let Some((_, entries)) = held.as_ref().filter(|(known, _)| *known == marks) {
            return Arc::clone(entries);
        }
        // Base agents may have changed as well.
        let entries = Arc::new(Library { bases: OnceLock::new(), ..library.clone() }.list());
        *held = Some((marks, Arc::clone(&entries)));
        entries
    }
}

fn mark(path: PathBuf) -> Mark {
    let (times, sizes) = std::fs::metadata(Path::new(&path)).map_or_else(
        |_| Default::default(),
        |it| ([it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()], [it.size(), it.ino()]),
    );
    (path, times, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_looked_through_once_per_change_of_their_files() {
        let store = tempfile::tempdir().unwrap();
        let agents = store.path().join("templates/agents");
        std::fs::create_dir_all(&agents).unwrap();
        let (library, listed) = (Library::open(store.path()), Listed::default());
        let first = listed.get(&library);
        assert_eq!(first.len(), library.list().len());
        assert!(Arc::ptr_eq(&first, &listed.get(&library)), "nothing changed");
        let own = store.path().join("templates/own.json");
        let problems = || listed.get(&library).iter().find(|entry| entry.id == "own").map(|entry| entry.problems.len());
        assert_eq!(problems(), None);
        std::fs::write(&own, "{").unwrap();
        assert!(problems().is_some_and(|problems| problems > 0));
        let broken = listed.get(&library);
        let text = super::super::TEMPLATES[0].1.replace("\"code_refactoring\"", "\"own\"");
        std::fs::write(&own, &text).unwrap();
        assert!(!Arc::ptr_eq(&broken, &listed.get(&library)));
        // Another file of the same size in its place.
        let whole = listed.get(&library);
        std::fs::write(store.path().join("templates/new"), &text).unwrap();
        std::fs::rename(store.path().join("templates/new"), &own).unwrap();
        assert!(!Arc::ptr_eq(&whole, &listed.get(&library)));
        let before = listed.get(&library);
        std::fs::write(agents.join("generic.json"), "{").unwrap();
        assert!(!Arc::ptr_eq(&before, &listed.get(&library)), "a base agent changed");
        std::fs::remove_file(&own).unwrap();
        assert_eq!(problems(), None);
    }
}
