//! How often a process waits for the disk, as the kernel sees it. Nothing that can be made again is waited for: not the search index, and
//! of the index of events and the views only what sled itself syncs whenever it is opened.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::{House, cannot_check, finish};

/// Syncs that a run of one agent needs on a store that has runs: one for each of the three or four groups that it appends, and two by which
/// sled opens each of its two indexes.
const RUN_MAX: usize = 8;

/// Runs `command` and returns the paths that it synced, below `store`.
pub fn synced(command: &Command, store: &Path) -> Result<Vec<String>, String> {
    let trace = store.with_extension("trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,syncfs", "-o"]).arg(&trace);
    traced.arg(command.get_program()).args(command.get_args()).env_clear();
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        traced.current_dir(dir);
    }
    traced.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Command::new("strace").arg("-V").output().map_err(|error| error.to_string())?;
    let done = finish(traced);
    if done.code != Some(0) {
        return Err(done.stderr);
    }
    let store = store.canonicalize().map_err(|error| error.to_string())?;
    let lines = fs::read_to_string(&trace).map_err(|error| error.to_string())?;
    // `123 fdatasync(6</tmp/store/journal/…/1.seg>) = 0`; the end of a call that another thread interrupted names no file.
    let lines = lines.lines().filter(|line| !line.contains(" resumed>"));
    let paths = lines.filter_map(|line| Some(PathBuf::from(line.split_once('<')?.1.split_once('>')?.0)));
    Ok(paths.map(|path| path.strip_prefix(&store).unwrap_or(&path).display().to_string()).collect())
}

#[test]
fn a_run_waits_for_the_journal_and_for_little_else() {
    let house = House::with_delay(0);
    let template = json!({
        "template_id": "one", "name": "One agent", "version": "1.0.0", "description": "One agent with one task",
        "form_schema": {"title": "One", "description": "One question", "questions": [
            {"id": "topic", "text": "Which topic?", "type": "text_input", "default": "rust"}
        ]},
        "agent_composition_rules": [
            {"role": "writer", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Write about {{answers.topic}}"}
        ]
    });
    house.template("one", &template);
    let run = house.command(["run", "one", "--no-input"]);
    let first = match synced(&run, &house.store()) {
        Ok(first) => first,
        Err(why) => return cannot_check("strace", &why),
    };
    let is_derived = |path: &&String| path.starts_with("index/");
    let derived: Vec<_> = first.iter().filter(is_derived).collect();
    assert!(derived.is_empty(), "derived data of a new store is synced: {derived:?}");
    for _ in 0..2 {
        let again = synced(&run, &house.store()).expect("traced before");
        assert!(again.len() <= RUN_MAX, "{} syncs: {again:#?}", again.len());
        let other: Vec<_> = again.iter().filter(|path| !path.starts_with("journal/") && !path.starts_with("log/")).collect();
        assert!(other.is_empty(), "neither the journal's nor sled's own: {other:?}");
        assert!(again.iter().filter(|path| path.starts_with("journal/")).all(|path| path.ends_with(".seg")), "{again:#?}");
    }
}
