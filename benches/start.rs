//! What a person waits for on a small store: the program's start, its settings, the list of runs, and a run of one agent whose model takes
//! no time.
//!
//! The commands take turns with `true`, the shortest program there is, and with what the journal of such a run needs of the disk: three
//! appends to a file, each with fdatasync.

mod support;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::Result;
use support::numbers::{Table, median, ms, percentile, timed, times, verdict};
use support::stores::Scratch;

const ROUNDS: usize = 40;
/// Runs that the store has already.
const RUNS_BEFORE: usize = 10;
const TEMPLATE: &str = r#"{
    "template_id": "one", "name": "One agent", "version": "1.0.0", "description": "One agent with one task",
    "form_schema": {"title": "One", "description": "One question", "questions": [
        {"id": "topic", "text": "Which topic?", "type": "text_input", "default": "rust"}
    ]},
    "agent_composition_rules": [
        {"role": "writer", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Write about {{answers.topic}}"}
    ]
}"#;

/// A command, its words, and the bar for its median.
const COMMANDS: [(&str, &[&str], Option<f64>); 4] = [
    ("--version", &["--version"], None),
    ("config", &["config"], Some(0.010)),
    ("list-runs", &["list-runs"], Some(0.012)),
    ("run, one agent", &["run", "./one.json", "--no-input"], Some(0.025)),
];

fn main() -> Result<()> {
    let scratch = Scratch::new("start")?;
    let home = scratch.path("home");
    std::fs::create_dir_all(home.join(".config/meno"))?;
    std::fs::create_dir_all(home.join("store"))?;
    std::fs::write(home.join(".config/meno/config.toml"), "preset = \"simulated\"\n")?;
    std::fs::write(home.join("one.json"), TEMPLATE)?;
    let program = std::env::var_os("MENO_BENCH_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_meno")), PathBuf::from);
    for _ in 0..RUNS_BEFORE {
        start(&program, &home, COMMANDS[3].1)?;
    }
    let (mut shortest, mut synced, mut measured) = (Vec::new(), Vec::new(), COMMANDS.map(|_| Vec::new()));
    for _ in 0..ROUNDS {
        shortest.push(start(Path::new("true"), &home, &[])?);
        synced.push(three_syncs(&home.join("synced"))?);
        for (seconds, (_, words, _)) in measured.iter_mut().zip(COMMANDS) {
            seconds.push(start(&program, &home, words)?);
        }
    }
    let mut table = Table::new(["command", "p50", "p99", "of `--version`", "bar", "reached"]);
    let version = median(&measured[0]);
    for (name, seconds) in [("`true`", &shortest), ("three appends with fdatasync", &synced)] {
        let p50 = median(seconds);
        table.row([name.to_owned(), ms(p50), ms(percentile(seconds, 0.99)), times(p50 / version), String::new(), String::new()]);
    }
    for (seconds, (name, _, bar)) in measured.iter().zip(COMMANDS) {
        let p50 = median(seconds);
        table.row([
            name.to_owned(),
            ms(p50),
            ms(percentile(seconds, 0.99)),
            times(p50 / version),
            bar.map_or_else(String::new, |bar| format!("<= {}", ms(bar))),
            bar.map_or_else(String::new, |bar| format!("{} ({} the bar)", verdict(p50, bar, false), times(p50 / bar))),
        ]);
    }
    table.print("Whole processes on a store of a few runs");
    Ok(())
}

fn start(program: &Path, home: &Path, words: &[&str]) -> Result<f64> {
    let mut command = Command::new(program);
    command.args(words).env_clear().env("HOME", home).env("MENO_STORE", home.join("store")).env("NO_COLOR", "1");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(home).stdin(Stdio::null());
    let (seconds, output) = timed(|| command.output());
    let output = output?;
    if !output.status.success() {
        return Err(format!("`{} {}`: {}", program.display(), words.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(seconds)
}

fn three_syncs(path: &Path) -> Result<f64> {
    let mut file = File::options().create(true).append(true).open(path)?;
    let (seconds, written) = timed(|| (0..3).try_for_each(|_| file.write_all(&[7; 2000]).and_then(|()| file.sync_data())));
    written?;
    Ok(seconds)
}
