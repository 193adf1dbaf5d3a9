//! Which files of a folder are the Python system's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::lake::skipped::Skipped;

/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 8;
/// The files of a run's folder.
const OF_RUN: [&str; 5] = ["config.json", "form_responses.json", "agents.json", "result.json", "report.txt"];

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct PeerFiles {
    /// Folders of runs, in the order of their names.
    pub runs: Vec<PathBuf>,
    /// Files of telemetry.
    pub usage: Vec<PathBuf>,
    /// Files of templates.
    pub templates: Vec<PathBuf>,
}

impl PeerFiles {
    /// Tells whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.usage.is_empty() && self.templates.is_empty()
    }
}

/// Returns what lies at `path`: the system's own folder, a part of it, a run's folder, or a file of telemetry. What is none of it is named
/// in `tally`. Links are not followed.
///
/// # Errors
/// When `path` itself cannot be read.
pub fn find(path: &Path, tally: &mut Skipped) -> io::Result<PeerFiles> {
    let mut found = PeerFiles::default();
    if fs::metadata(path)?.is_dir() {
        folder(path, 0, &mut found, tally)?;
    } else {
        file(path, &mut found, tally);
    }
    Ok(found)
}

fn folder(path: &Path, depth: usize, found: &mut PeerFiles, tally: &mut Skipped) -> io::Result<()> {
    let mut entries: Vec<(PathBuf, fs::FileType)> = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let has = |name: &str| entries.iter().any(|(path, _)| path.file_name().is_some_and(|known| known == name));
    let is_run = OF_RUN.iter().filter(|name| has(name)).count() >= 2 || has("result.json");
    if is_run {
        found.runs.push(path.to_owned());
    }
    for (inner, kind) in &entries {
        let name = inner.file_name().unwrap_or_default().to_string_lossy();
        if kind.is_symlink() {
            tally.skip("is a link, which is not followed", inner, 0);
        } else if kind.is_dir() && depth >= DEPTH_MAX {
            tally.skip(format!("lies more than {DEPTH_MAX} folders deep"), inner, 0);
        } else if kind.is_dir() {
            if let Err(error) = folder(inner, depth + 1, found, tally) {
                tally.skip(format!("cannot be read: {error}"), inner, 0);
            }
        } else if !(is_run && OF_RUN.contains(&name.as_ref())) {
            file(inner, found, tally);
        }
    }
    Ok(())
}

fn file(path: &Path, found: &mut PeerFiles, tally: &mut Skipped) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_templates = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "templates");
    if name.starts_with("usage") && name.ends_with(".jsonl") {
        found.usage.push(path.to_owned());
    } else if name == "result.json" {
        found.runs.extend(path.parent().map(Path::to_owned));
    } else if of_templates && name.ends_with(".json") {
        found.templates.push(path.to_owned());
    } else {
        tally.skip("is neither of a run, nor telemetry, nor a template", path, 0);
    }
}
