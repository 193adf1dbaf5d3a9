//! The rooms and their walls, read from the source: which room may name which, and where each foreign crate lives.
//!
//! It reads words, not meaning: comments, texts and `#[cfg(test)]` modules are left out, and what remains is searched for paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;

/// Longer files, each with its reason.
const LONG: [(&str, &str); 1] = [("domain/event/kinds.rs", "one table of every kind of event, read as one")];

/// A wall: code whose file matches `inside` must not name any of `words`.
struct Wall {
    inside: fn(&str) -> bool,
    words: &'static [&'static str],
    /// Which room the line should move to.
    advice: &'static str,
}

const ROOMS: [&str; 14] = [
    "analytics",
    "audit",
    "cli",
    "executor",
    "lake",
    "mcp",
    "memory",
    "providers",
    "serve",
    "settings",
    "store",
    "tools",
    "views",
    "workspace",
];

const WALLS: [Wall; 10] = [
    Wall {
        inside: |file| is_pure(file),
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "std::io",
            "SystemTime",
            "Instant",
            "tokio",
            "rand",
            "getrandom",
            "rustix",
            "reqwest",
            "sled",
            "tantivy",
        ],
        advice: "`domain` and `views` are pure: do it in `executor` or `store`, and pass the outcome in as an argument",
    },
    Wall {
        inside: |file| is_pure(file),
        words: &["async fn", ".await"],
        advice: "`domain` and `views` never wait: waiting is for `executor`",
    },
    Wall {
        inside: |file| room(file) == "audit",
        words: &[
            "std::fs",
            "std::env",
            "std::process",
            "std::thread",
            "SystemTime",
            "Instant",
            "crate::store",
            "crate::providers",
            "crate::settings",
            "crate::executor",
            "crate::memory",
        ],
        advice: "`audit` judges events that it is given: read them in `workspace`, and pass them in",
    },
    Wall {
        inside: |file| room(file) == "store",
        words: &[
            "crate::providers",
            "crate::cli",
            "crate::settings",
            "crate::executor",
            "crate::workspace",
            "crate::memory",
            "crate::tools",
        ],
        advice: "`store` knows bytes and disks only: decide in `workspace` and pass values in",
    },
    Wall {
        inside: |file| room(file) == "providers",
        words: &["crate::store", "crate::cli", "crate::executor", "crate::workspace", "crate::memory", "crate::views"],
        advice: "`providers` speak to models only: what they return is recorded in `executor`",
    },
    Wall {
        inside: |file| room(file) == "settings",
        words: &[
            "crate::store",
            "crate::providers",
            "crate::cli",
            "crate::executor",
            "crate::workspace",
            "crate::memory",
            "crate::views",
        ],
        advice: "`settings` know files and values only: put it together in `workspace` or `cli`",
    },
    Wall {
        inside: |file| room(file) == "cli",
        words: &["sled", "tantivy", "reqwest", "fastembed"],
        advice: "`cli` is a door: make it a use case in `workspace`",
    },
    Wall {
        inside: |file| room(file) != "cli" && file != "main.rs",
        words: &["clap", "clap_complete", "inquire", "indicatif", "comfy_table"],
        advice: "words with people at a terminal belong in `cli`",
    },
    Wall {
        inside: |file| !matches!(room(file), "cli" | "main.rs" | "workspace" | "serve" | "mcp" | "lib.rs"),
        words: &["crate::cli", "crate::workspace", "crate::serve", "crate::mcp"],
        advice: "no room knows the doors above it: pass a value or a callback in",
    },
    Wall {
        inside: |file| room(file) == "workspace",
        words: &["crate::cli", "crate::serve", "crate::mcp"],
        advice: "`workspace` does not know who asks: return a value, and show it in the door",
    },
];

/// Foreign crates with one address: the room, in one file of which they may be named.
const ADDRESSES: [(&str, &str); 6] = [
    ("sled", "store"),
    ("reqwest", "providers"),
    ("tantivy", "memory"),
    ("fastembed", "memory"),
    ("chacha20poly1305", "store"),
    ("ssh_key", "workspace"),
];

fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file)
}

fn is_pure(file: &str) -> bool {
    matches!(room(file), "domain" | "views")
}

/// Returns whether `word` stands in `line` as a path: not as a part of a longer name.
fn names(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    // A crate's name counts only where a path begins: a field or a method may share it.
    let is_crate = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let whole = !before.ends_with(part) && !after.starts_with(part);
        let used = after.starts_with("::") || before.ends_with("use ") || before.ends_with("extern crate ");
        whole && (!is_crate || (used && !before.ends_with("::") && !before.ends_with('.')))
    })
}

/// Returns the lines of code with their numbers: without comments, texts and what follows `#[cfg(test)]`.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        let mut kept = String::new();
        let mut in_text = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if in_text => drop(chars.next()),
                '\'' if !in_text && chars.peek() == Some(&'"') => drop(chars.next()),
                '"' => in_text = !in_text,
                '/' if !in_text && chars.peek() == Some(&'/') => break,
                c if !in_text => kept.push(c),
                _ => {}
            }
        }
        lines.push((index + 1, kept));
    }
    spelled_out(lines)
}

/// `use crate::{store, views::{a, b}}` names rooms as `crate::store` does: writes each out, on the line on which it stands.
fn spelled_out(lines: Vec<(usize, String)>) -> Vec<(usize, String)> {
    let mut depth = 0usize;
    let written = lines.into_iter().map(|(number, line)| {
        let rest = match line.trim().strip_prefix("pub ").unwrap_or(line.trim()).strip_prefix("use crate::{") {
            Some(rest) if depth == 0 => {
                depth = 1;
                rest.to_owned()
            }
            _ if depth == 0 => return (number, line),
            _ => line,
        };
        let mut written = "crate::".to_owned();
        for c in rest.chars().filter(|c| !c.is_whitespace()) {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 1 => written.push_str(" crate::"),
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if c != ',' && (depth == 1 || c != '}') {
                written.push(c);
            }
        }
        (number, written)
    });
    written.collect()
}

/// Returns whether a file holds tests only: walls are for what is shipped.
fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.ends_with("_test.rs") || file.contains("/tests/")
}

/// Returns all that is wrong with one file of `src/`.
fn faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.lines().count() > LINES_MAX && !LONG.iter().any(|(long, _)| *long == file) {
        faults.push(format!("src/{file}: {} lines, more than {LINES_MAX}: let its chapters be files", text.lines().count()));
    }
    for (number, line) in code(text).into_iter().filter(|_| !is_test(file)) {
        for wall in WALLS.iter().filter(|wall| (wall.inside)(file)) {
            for word in wall.words.iter().filter(|word| names(&line, word)) {
                faults.push(format!("src/{file}:{number}: names `{word}`: {}", wall.advice));
            }
        }
        for other in ROOMS.iter().filter(|other| is_pure(file) && room(file) != **other) {
            if names(&line, &format!("crate::{other}")) {
                let advice = "`domain` names no other room, `views` only `domain`: pass a value in";
                faults.push(format!("src/{file}:{number}: names `crate::{other}`: {advice}"));
            }
        }
        for (name, home) in ADDRESSES {
            if names(&line, name) && room(file) != home {
                faults.push(format!(
                    "src/{file}:{number}: names `{name}`, whose address is one file of `{home}`: move the line there"
                ));
            }
        }
    }
    faults
}

fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let name = |path: &PathBuf| path.strip_prefix(&root).expect("beneath src").to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (name(path), fs::read_to_string(path).expect("a source"))).collect()
}

#[test]
fn every_line_is_in_its_room() {
    let faults: Vec<String> = sources().iter().flat_map(|(file, text)| faults(file, text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_foreign_crate_has_one_address() {
    let sources = sources();
    for (name, home) in ADDRESSES {
        let uses = |text: &String| code(text).iter().any(|(_, line)| names(line, name));
        let files: BTreeSet<&String> =
            sources.iter().filter(|(file, text)| !is_test(file) && uses(text)).map(|(file, _)| file).collect();
        assert!(files.len() <= 1, "`{name}` is named in {files:?}: keep it in one file of `{home}`");
    }
}

#[test]
fn the_walls_see_what_they_should_and_nothing_else() {
    let wrong = [
        ("domain/run.rs", "use std::fs;"),
        ("domain/run.rs", "let now = std::time::Instant::now();"),
        ("views/runs.rs", "use crate::store::log;"),
        ("domain/run.rs", "use crate::{ids, views};"),
        ("domain/run.rs", "use crate::{\n    domain::{ids, money},\n    store::log,\n};"),
        ("store/log.rs", "use crate::providers::Model;"),
        ("providers/http.rs", "fn f(log: &crate::store::Log) {}"),
        ("cli/run.rs", "let tree = sled::open(path);"),
        ("memory/index.rs", "use reqwest::Client;"),
        ("workspace/mod.rs", "use clap::Parser;"),
        ("workspace/mod.rs", "use crate::cli::Table;"),
        ("store/mod.rs", "fn f() { crate::workspace::open() }"),
    ];
    for (file, line) in wrong {
        assert!(!faults(file, line).is_empty(), "{file}: {line}");
    }
    let right = [
        ("domain/run.rs", "// like std::fs, unlike crate::store"),
        ("domain/run.rs", "let text = \"use tokio::main\";"),
        ("domain/run.rs", "let operand = brand::new(); self.rand.len()"),
        ("domain/run.rs", "#[cfg(test)]\nmod tests { use std::fs; }"),
        ("views/runs.rs", "use crate::domain::event::Event;"),
        ("views/runs.rs", "use crate::{domain::{ids, tools}, views::store};\nlet store = 1;"),
        ("domain/run_tests.rs", "use std::fs;"),
        ("store/sled.rs", "use sled::Db;"),
        ("store/open.rs", "mod sled;"),
        ("cli/mod.rs", "use clap::Parser;"),
        ("main.rs", "use clap::Parser;"),
    ];
    for (file, line) in right {
        assert_eq!(faults(file, line), Vec::<String>::new(), "{file}: {line}");
    }
    assert_eq!(faults("domain/x.rs", &"\n".repeat(601)).len(), 1);
}
