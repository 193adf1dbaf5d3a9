//! What in a repository is run by git later, unconfined: its configuration and its hooks. A program that an agent ran must not plant it
//! unseen.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::domain::ids::Hash;

/// The files of a repository that say what git runs, as they were found: by their paths, content and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched(BTreeMap<PathBuf, (Hash, u32)>);

impl Watched {
    /// Looks at the repository that `workspace` lies in, if it lies in one.
    pub fn of(workspace: &Path) -> Self {
        let dot = workspace.ancestors().map(|folder| folder.join(".git")).find(|dot| dot.symlink_metadata().is_ok());
        let Some(dot) = dot else { return Self::default() };
        let hooks = fs::read_dir(dot.join("hooks")).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        let named = ["config", "config.worktree", "info/attributes", "commondir", "objects/info/alternates"];
        let files = named.iter().map(|name| dot.join(name)).chain(hooks).chain([dot.clone()]);
        let seen = |file: PathBuf| {
            let about = file.symlink_metadata().ok()?;
            // Where a link leads counts as its content.
            let content = match about.is_symlink() {
                true => fs::read_link(&file).ok()?.into_os_string().into_encoded_bytes(),
                false => fs::read(&file).ok()?,
            };
            Some((file, (Hash::of(&content), about.permissions().mode())))
        };
        Self(files.filter_map(seen).collect())
    }

    /// Returns the files that are not as they were.
    pub fn changed(&self, now: &Self) -> Vec<PathBuf> {
        let differs = |file: &&PathBuf| self.0.get(*file) != now.0.get(*file);
        let mut files: Vec<PathBuf> = self.0.keys().chain(now.0.keys()).filter(differs).cloned().collect();
        files.sort();
        files.dedup();
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_a_key_and_a_mode_that_change_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, hooks) = (dir.path().join("a/b"), dir.path().join(".git/hooks"));
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(Watched::of(&inner), Watched::default());
        fs::create_dir_all(&hooks).unwrap();
        fs::write(dir.path().join(".git/config"), "[core]\n").unwrap();
        fs::write(hooks.join("pre-commit"), "#!/bin/sh\n").unwrap();
        let before = Watched::of(&inner);
        assert_eq!(before.changed(&Watched::of(&inner)), Vec::<PathBuf>::new());
        fs::write(dir.path().join(".git/config"), "[core]\nfsmonitor = x\n").unwrap();
        fs::set_permissions(hooks.join("pre-commit"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(hooks.join("post-commit"), "x").unwrap();
        let now = Watched::of(&inner);
        let names: Vec<String> =
            before.changed(&now).iter().map(|file| file.file_name().unwrap().display().to_string()).collect();
        assert_eq!(names, ["config", "post-commit", "pre-commit"]);
    }
}
