//! Where the rollouts of Codex lie, and what each says of itself first: its id, and which other it comes from.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::files::{self, time};
use super::super::tally::Tally;
use super::BOM;
use crate::domain::ids::TimeNs;

/// The folders of its home that hold rollouts.
const FOLDERS: [&str; 2] = ["sessions", "archived_sessions"];
/// Generations that are followed.
const GENERATIONS_MAX: usize = 100;

fn is_rollout(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with("rollout-") && (name.ends_with(".jsonl") || is_packed(path))
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "zst")
}

/// Opens a file up to the bytes that it had when it was found.
pub(super) fn open(path: &Path, bytes: u64) -> io::Result<Box<dyn BufRead>> {
    const BUFFER: usize = 1 << 20;
    let file = File::open(path)?.take(bytes);
    if is_packed(path) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::new(file)?)));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
}

/// Returns the rollouts at `path`: a file, a home of Codex, or a folder with rollouts.
pub(super) fn rollouts(path: &Path, tally: &mut Tally) -> io::Result<Vec<PathBuf>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    fs::read_dir(path)?;
    let inner: Vec<PathBuf> = FOLDERS.iter().map(|folder| path.join(folder)).filter(|folder| folder.is_dir()).collect();
    let folders = if inner.is_empty() { vec![path.to_owned()] } else { inner };
    Ok(folders.iter().flat_map(|folder| files::find(folder, &is_rollout, tally)).collect())
}

/// Returns the rollouts of the same home in the other folder, which may be parents of those at `path`.
pub(super) fn relatives(path: &Path) -> Vec<PathBuf> {
    let named = |folder: &&Path| folder.file_name().is_some_and(|name| FOLDERS.iter().any(|known| name == *known));
    let Some((own, home)) = path.ancestors().find(named).and_then(|own| Some((own, own.parent()?))) else { return Vec::new() };
    let others = FOLDERS.iter().map(|folder| home.join(folder)).filter(|folder| folder.is_dir());
    let others = others.filter(|folder| folder != own || folder != path);
    others.flat_map(|folder| files::find(&folder, &is_rollout, &mut Tally::default())).collect()
}

/// What a rollout says of itself first.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) at: Option<TimeNs>,
    pub(super) forked_from: Option<String>,
    pub(super) spawned_by: Option<String>,
}

/// Returns what a rollout says of itself, and of those that it was forked from, whose descriptions stand behind its own.
pub(super) fn head(path: &Path) -> Option<(Head, Vec<Head>)> {
    const BYTES_MAX: u64 = 4 << 20;
    let mut lines = open(path, u64::MAX).ok()?.take(BYTES_MAX);
    let mut next = || {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).ok()?;
        described(&serde_json::from_slice(line.strip_prefix(BOM).unwrap_or(&line)).ok()?)
    };
    let mut own = next()?;
    let parents: Vec<Head> = std::iter::from_fn(next).take(GENERATIONS_MAX).filter(|parent| parent.id != own.id).collect();
    // Before forks named their parent, they had nothing of it but its description and its lines.
    if own.forked_from.is_none() && own.spawned_by.is_none() {
        own.forked_from = parents.first().map(|parent| parent.id.clone());
    }
    Some((own, parents))
}

/// Tells whether a line is the first of a rollout as they were before lines had a time and a payload.
pub(super) fn is_bare_meta(line: &Value) -> bool {
    line["type"].is_null() && line["payload"].is_null() && line["id"].is_string() && line["timestamp"].is_string()
}

fn described(line: &Value) -> Option<Head> {
    let meta = match line["type"] == "session_meta" {
        true => &line["payload"],
        false if is_bare_meta(line) => line,
        false => return None,
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let spawned = &meta["source"]["subagent"]["thread_spawn"]["parent_thread_id"];
    Some(Head {
        id: text(&meta["id"])?,
        at: meta["timestamp"].as_str().or_else(|| line["timestamp"].as_str()).and_then(time),
        forked_from: text(&meta["forked_from_id"]),
        spawned_by: text(spawned).or_else(|| text(&meta["parent_thread_id"])),
    })
}

/// Returns whom a rollout comes from, the first of them first, and itself last.
pub(super) fn ancestors(head: &Head, known: &HashMap<String, Head>, from: impl Fn(&Head) -> Option<&str>) -> Vec<String> {
    let mut ids = vec![head.id.clone()];
    let mut at = Some(head);
    while let Some(parent) = at.and_then(&from).filter(|_| ids.len() < GENERATIONS_MAX) {
        // A circle has no first one.
        if ids.iter().any(|id| id == parent) {
            break;
        }
        ids.push(parent.to_owned());
        at = known.get(parent);
    }
    ids.reverse();
    ids
}
