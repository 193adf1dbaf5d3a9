//! Of which session a file is, and what its first lines say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::super::SessionFile;
use super::super::tally::Tally;
use super::told::Told;

/// The files that were found, by project and session.
pub(super) type Found = BTreeMap<(String, String), Vec<SessionFile>>;

pub(super) fn is_session(path: &Path) -> bool {
    let is_rollout = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rollout-"));
    path.extension().is_some_and(|end| end == "jsonl") && !is_rollout
}

/// Says of which session a file is, by where it lies and what it is called.
pub(super) fn file(path: &Path, found: &mut Found, tally: &mut Tally) {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = path.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "subagents"));
    let agent = stem.strip_prefix("agent-");
    let (project, id, thread) = if beside.is_some() || agent.is_some() {
        let around = beside.map_or_else(|| path.parent(), Path::parent);
        let thread = Some(agent.unwrap_or(&stem).to_owned());
        // The folder of a session has the session's file beside it, or its name is an id as sessions have them.
        let of_session = around.filter(|around| beside.is_some() && (around.with_extension("jsonl").is_file() || is_id(around)));
        match of_session {
            Some(folder) => (name(folder.parent()), name(Some(folder)), thread),
            None => (name(around), first(path, |line| line.session_id.map(Cow::into_owned)), thread),
        }
    } else {
        (name(path.parent()), Some(stem), None)
    };
    let Some(id) = id else { return tally.skip("the file does not say of which session it is", path, 0) };
    let Some(file) = SessionFile::at(path, thread, Vec::new(), tally) else { return };
    found.entry((project.unwrap_or_default(), id)).or_default().push(file);
}

fn is_id(folder: &Path) -> bool {
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.len() == 36 && name.bytes().enumerate().all(|(at, byte)| matches!(at, 8 | 13 | 18 | 23) == (byte == b'-'))
}

/// Returns what the first lines of a file say, without reading more of it than that takes.
pub(super) fn first<T>(path: &Path, says: impl Fn(Told<'_>) -> Option<T>) -> Option<T> {
    const BYTES_MAX: u64 = 1 << 20;
    let file = File::open(path).ok()?;
    let mut lines = BufReader::new(file.take(BYTES_MAX));
    let mut text = Vec::new();
    loop {
        text.clear();
        if lines.read_until(b'\n', &mut text).ok()? == 0 {
            return None;
        }
        if let Some(said) = serde_json::from_slice::<Told<'_>>(&text).ok().and_then(&says) {
            return Some(said);
        }
    }
}
