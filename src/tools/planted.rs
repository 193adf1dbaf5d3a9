//! What is run or believed later, unconfined: the configuration and the hooks of repositories, the settings and templates of the store. A
//! program that an agent ran must not plant it unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::domain::ids::Hash;

/// Folders below the workspace are looked through so deep for repositories, and so many of them at most: a run must not wait for that.
const DEPTH_MAX: usize = 4;
const FOLDERS_MAX: usize = 2000;
/// Folders that hold what was fetched or built: too large to look through, and git does not look there either.
const PASSED_BY: [&str; 4] = ["node_modules", "target", ".venv", ".git"];

/// The files that say what is run or believed later, as they were found: by their paths, content and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    files: BTreeMap<PathBuf, (Hash, u32)>,
    /// Folders of the store that were there.
    folders: BTreeSet<PathBuf>,
}

impl Watched {
    /// Looks at the repositories that `workspace` lies in or has in it, and at the settings and templates of `store`.
    pub fn of(workspace: &Path, store: Option<&Path>) -> Self {
        let above = workspace.ancestors().map(|folder| folder.join(".git")).find(|dot| dot.symlink_metadata().is_ok());
        let mut dots: Vec<PathBuf> = above.into_iter().collect();
        dots.extend(nested(workspace).into_iter().filter(|dot| !dots.contains(dot)).collect::<Vec<_>>());
        let mut files: Vec<PathBuf> = dots.iter().flat_map(|dot| of_repository(dot)).collect();
        let mut folders = BTreeSet::new();
        if let Some(store) = store {
            files.push(store.join("config.toml"));
            files.extend(entries(&store.join("templates")));
            folders.extend(["payloads", "journal"].map(|name| store.join(name)).into_iter().filter(|folder| folder.is_dir()));
        }
        let seen = |file: PathBuf| {
            let about = file.symlink_metadata().ok()?;
            // Where a link leads counts as its content.
            let content = match about.is_symlink() {
                true => fs::read_link(&file).ok()?.into_os_string().into_encoded_bytes(),
                false => fs::read(&file).ok()?,
            };
            Some((file, (Hash::of(&content), about.permissions().mode())))
        };
        Self { files: files.into_iter().filter_map(seen).collect(), folders }
    }

    /// Returns the files that are not as they were.
    pub fn changed(&self, now: &Self) -> Vec<PathBuf> {
        let differs = |file: &&PathBuf| self.files.get(*file) != now.files.get(*file);
        let mut files: Vec<PathBuf> = self.files.keys().chain(now.files.keys()).filter(differs).cloned().collect();
        files.extend(self.folders.difference(&now.folders).cloned());
        files.sort();
        files.dedup();
        files
    }
}

/// Returns the files of a repository that say what git runs. `dot` is its `.git`.
fn of_repository(dot: &Path) -> Vec<PathBuf> {
    let tree = dot.parent().unwrap_or(dot);
    let mut files = vec![dot.to_owned()];
    // Submodules have their repositories within that of the whole.
    let modules: Vec<PathBuf> = entries(&dot.join("modules"))
        .into_iter()
        .flat_map(|module| {
            let inner = entries(&module);
            std::iter::once(module).chain(inner)
        })
        .filter(|module| module.join("HEAD").is_file())
        .collect();
    for repository in std::iter::once(dot.to_owned()).chain(modules) {
        let named = ["config", "config.worktree", "info/attributes", "commondir", "objects/info/alternates"];
        files.extend(named.iter().map(|name| repository.join(name)));
        files.extend(entries(&repository.join("hooks")).into_iter().filter(|file| is_hook(file)));
        let config = fs::read_to_string(repository.join("config")).unwrap_or_default();
        files.extend(hooks_path(&config).into_iter().flat_map(|folder| entries(&tree.join(folder))).filter(|file| is_hook(file)));
    }
    // What `husky` has git run, whether the configuration says so yet or not.
    files.extend([".husky", ".husky/_"].iter().flat_map(|folder| entries(&tree.join(folder))));
    files
}

/// What `git init` lays down as an example is never run: only its name without `.sample` is.
fn is_hook(file: &Path) -> bool {
    file.extension().is_none_or(|extension| extension != "sample")
}

/// Returns the folder that a configuration of git names for hooks.
fn hooks_path(config: &str) -> Option<&str> {
    config.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        key.trim().eq_ignore_ascii_case("hookspath").then(|| value.trim().trim_matches('"'))
    })
}

/// Returns the `.git` of folders below.
fn nested(workspace: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(workspace.to_owned(), 0)];
    let mut looked = 0;
    while let Some((folder, depth)) = folders.pop() {
        looked += 1;
        if looked > FOLDERS_MAX {
            break;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let (name, path) = (entry.file_name(), entry.path());
            if name == ".git" {
                found.push(path);
            } else if depth < DEPTH_MAX
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
                && !PASSED_BY.iter().any(|passed| name == *passed)
            {
                folders.push((path, depth + 1));
            }
        }
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_a_key_and_a_mode_that_change_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, hooks) = (dir.path().join("a/b"), dir.path().join(".git/hooks"));
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(Watched::of(&inner, None), Watched::default());
        fs::create_dir_all(&hooks).unwrap();
        fs::write(dir.path().join(".git/config"), "[core]\n").unwrap();
        fs::write(hooks.join("pre-commit"), "#!/bin/sh\n").unwrap();
        let before = Watched::of(&inner, None);
        assert_eq!(before.changed(&Watched::of(&inner, None)), Vec::<PathBuf>::new());
        fs::write(dir.path().join(".git/config"), "[core]\nfsmonitor = x\n").unwrap();
        fs::set_permissions(hooks.join("pre-commit"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(hooks.join("post-commit"), "x").unwrap();
        fs::write(hooks.join("pre-push.sample"), "git does not run it").unwrap();
        let now = Watched::of(&inner, None);
        let names: Vec<String> =
            before.changed(&now).iter().map(|file| file.file_name().unwrap().display().to_string()).collect();
        assert_eq!(names, ["config", "post-commit", "pre-commit"]);
    }

    #[test]
    fn hooks_of_nested_repositories_and_of_other_folders_and_the_stores_settings_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["sub/deep/.git/hooks", ".git/modules/m/hooks", "my-hooks", ".husky", ".meno/templates", ".meno/payloads"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::write(path(".git/modules/m/HEAD"), "x").unwrap();
        fs::write(path(".git/config"), "[core]\n\thooksPath = my-hooks\n").unwrap();
        let look = || Watched::of(dir.path(), Some(&path(".meno")));
        let before = look();
        let planted = [
            "sub/deep/.git/hooks/pre-commit",
            ".git/modules/m/hooks/post-checkout",
            "my-hooks/pre-push",
            ".husky/pre-commit",
            ".meno/config.toml",
            ".meno/templates/x.json",
        ];
        for file in planted {
            fs::write(path(file), "x").unwrap();
            assert_eq!(before.changed(&look()), [path(file)], "{file}");
            fs::remove_file(path(file)).unwrap();
        }
        fs::remove_dir(path(".meno/payloads")).unwrap();
        assert_eq!(before.changed(&look()), [path(".meno/payloads")]);
    }
}
