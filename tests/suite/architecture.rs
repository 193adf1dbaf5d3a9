//! The rooms and their walls, read from the source: which room may name which, and where each foreign crate lives.
//!
//! It reads paths, not meaning: what is compiled for tests only is left out item by item, and what remains is searched for names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use crate::source::{self, File, Named, Source};

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

const ROOMS: [&str; 17] = [
    "analytics",
    "audit",
    "charts",
    "cli",
    "executor",
    "internals",
    "lake",
    "mcp",
    "memory",
    "providers",
    "serve",
    "settings",
    "store",
    "tools",
    "ui",
    "views",
    "workspace",
];

/// Things that the library's door may name at most.
const DOOR_MAX: usize = 180;

const WALLS: [Wall; 14] = [
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
        words: &["async", "await"],
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
        inside: |file| room(file) == "charts",
        words: &[
            "std::fs",
            "std::env",
            "std::io",
            "std::process",
            "std::thread",
            "SystemTime",
            "Instant",
            "tokio",
            "crate::store",
            "crate::providers",
            "crate::settings",
            "crate::executor",
            "crate::memory",
        ],
        advice: "`charts` draw documents that they are given: read them in `workspace`, and pass them in",
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
        inside: |file| room(file) == "ui",
        words: &["sled", "tantivy", "reqwest", "fastembed", "crate::store", "crate::providers", "crate::memory"],
        advice: "`ui` is a door: make it a use case in `workspace`",
    },
    Wall {
        inside: |file| room(file) != "ui",
        words: &["maud", "pulldown_cmark"],
        advice: "what a browser shows is drawn in `ui`",
    },
    Wall {
        inside: |file| room(file) != "cli" && file != "main.rs",
        words: &["clap", "clap_complete", "clap_mangen", "inquire", "indicatif", "terminal_size", "textwrap"],
        advice: "words with people at a terminal belong in `cli`",
    },
    Wall {
        inside: |file| {
            !matches!(room(file), "cli" | "main.rs" | "workspace" | "serve" | "mcp" | "ui" | "lib.rs" | "internals.rs")
        },
        words: &["crate::cli", "crate::workspace", "crate::serve", "crate::mcp", "crate::ui"],
        advice: "no room knows the doors above it: pass a value or a callback in",
    },
    Wall {
        inside: |file| file != "lib.rs",
        words: &["crate::internals", "crate::event", "crate::run", "crate::report", "crate::proof", "crate::error"],
        advice: "the door is for those outside: name the room",
    },
    Wall {
        inside: |file| room(file) == "workspace",
        words: &["crate::cli", "crate::serve", "crate::mcp", "crate::ui"],
        advice: "`workspace` does not know who asks: return a value, and show it in the door",
    },
];

/// Foreign crates with one address: the room, in one file of which they may be named.
const ADDRESSES: [(&str, &str); 12] = [
    ("axum", "ui"),
    ("landlock", "tools"),
    ("sled", "store"),
    ("reqwest", "providers"),
    ("tantivy", "memory"),
    ("fastembed", "memory"),
    ("chacha20poly1305", "store"),
    ("ssh_key", "workspace"),
    ("object_store", "lake"),
    ("rusqlite", "lake"),
    ("parquet", "lake"),
    ("flate2", "lake"),
];

/// Foreign crates with an address in each of these folders, since each end of a protocol is a room of its own.
const FOLDERS: [(&str, &[&str]); 1] = [("rmcp", &["mcp/", "tools/mcp/"])];

/// Functions with one address, down to the file: a second reader of the environment is a secret that is not redacted, or a key that
/// nobody finds.
const READERS: [(&str, &str); 4] = [
    ("std::env::var", "settings/variables.rs"),
    ("std::env::var_os", "settings/variables.rs"),
    ("std::env::vars", "settings/variables.rs"),
    ("std::env::vars_os", "settings/variables.rs"),
];

fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file)
}

fn is_pure(file: &str) -> bool {
    matches!(room(file), "domain" | "views")
}

/// Returns whether a path names `word`: a path from its beginning, a type wherever it stands, or a crate.
fn names(named: &Named, word: &str) -> bool {
    let parts: Vec<&str> = word.split("::").collect();
    match parts.as_slice() {
        [one] if one.starts_with(char::is_uppercase) => named.path.iter().any(|part| part == one),
        // A crate's name counts only where a path begins: a field or a method may share it.
        [one] if !["async", "await"].contains(one) => named.path[0] == *one && (named.path.len() > 1 || named.is_import),
        parts => named.path.iter().zip(parts).filter(|(part, word)| part == *word).count() == parts.len(),
    }
}

/// Returns all that is wrong with what one file of `src/` names.
fn faults(file: &str, source: &Source) -> Vec<String> {
    let mut faults = BTreeSet::new();
    for named in &source.named {
        let line = named.line;
        for wall in WALLS.iter().filter(|wall| (wall.inside)(file)) {
            for word in wall.words.iter().filter(|word| names(named, word)) {
                faults.insert((line, format!("names `{word}`: {}", wall.advice)));
            }
        }
        for other in ROOMS.iter().filter(|other| is_pure(file) && room(file) != **other) {
            if names(named, &format!("crate::{other}")) {
                let advice = "`domain` names no other room, `views` only `domain`: pass a value in";
                faults.insert((line, format!("names `crate::{other}`: {advice}")));
            }
        }
        for (name, home) in ADDRESSES {
            if names(named, name) && room(file) != home {
                faults.insert((line, format!("names `{name}`, whose address is one file of `{home}`: move the line there")));
            }
        }
    }
    for (named, (name, homes)) in source.named.iter().flat_map(|named| FOLDERS.map(|folder| (named, folder))) {
        if names(named, name) && !homes.iter().any(|home| file.starts_with(home)) {
            faults.insert((named.line, format!("names `{name}`, whose addresses are {homes:?}: move the line there")));
        }
    }
    for (named, (name, home)) in source.named.iter().flat_map(|named| READERS.map(|reader| (named, reader))) {
        if names(named, name) && file != home {
            faults.insert((named.line, format!("names `{name}`: ask `Variables`, which alone reads it in `{home}`")));
        }
    }
    faults.into_iter().map(|(line, fault)| format!("src/{file}:{line}: {fault}")).collect()
}

/// Returns what is wrong with the length of a file.
fn too_long(file: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX && !LONG.iter().any(|(long, _)| *long == file))
        .then(|| format!("src/{file}: {lines} lines, more than {LINES_MAX}: let its chapters be files"))
}

/// The files of library and program, read once; one that no module declares is a fault.
static SOURCES: LazyLock<BTreeMap<String, File>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = source::files_of(&root.join("lib.rs"));
    files.extend(source::files_of(&root.join("main.rs")));
    let declared: BTreeSet<String> = files.keys().cloned().collect();
    let forgotten: Vec<String> = source::rust_files(&root).difference(&declared).cloned().collect();
    assert_eq!(forgotten, Vec::<String>::new(), "files that no module declares: they are never compiled");
    files
});

/// Returns what a file of `src/` named `name` would name if it held `text`.
fn read(name: &str, text: &str) -> Source {
    let module = name.trim_end_matches(".rs").trim_end_matches("/mod");
    let module: Vec<String> = module.split('/').filter(|part| !["lib", "main"].contains(part)).map(str::to_owned).collect();
    Source::read(text, &module, false)
}

#[test]
fn every_line_is_in_its_room() {
    let sources = &*SOURCES;
    let shipped = sources.iter().filter(|(_, file)| !file.is_test);
    let mut wrong: Vec<String> = shipped.flat_map(|(name, file)| faults(name, &file.source)).collect();
    wrong.extend(sources.iter().filter_map(|(name, file)| too_long(name, &file.text)));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Returns what `pub use` names in a file: the last name of each path, `*` for all of a module.
fn given_out(text: &str) -> Vec<&str> {
    let uses = text.split("pub use ").skip(1).map(|rest| rest.split(';').next().unwrap_or(rest));
    let names = uses.flat_map(|tree| tree.rsplit('{').next().unwrap_or(tree).trim_end().trim_end_matches('}').split(','));
    names.filter_map(|path| path.split("::").last()?.split_whitespace().last()).collect()
}

#[test]
fn the_library_has_one_door() {
    assert_eq!(given_out("pub use a::B;\npub use a::{C, d::E as F,\n};\nuse g::H;\npub use i::*;"), ["B", "C", "F", "*"]);
    let door = &SOURCES["lib.rs"].text;
    let public = door.lines().filter(|line| line.starts_with("pub mod ") && line.ends_with(';'));
    assert_eq!(public.collect::<Vec<_>>(), ["pub mod internals;"], "rooms are private: let the door name what is needed");
    assert!(door.contains("#[doc(hidden)]\npub mod internals;"));
    let names = given_out(door);
    assert_eq!(names.iter().filter(|name| **name == "*").count(), 1, "of the kinds of events alone all are given out");
    let count = names.len();
    assert!(count <= DOOR_MAX, "{count} names: each is a promise; what only tests need goes through `internals`");
    assert!(count + 20 > DOOR_MAX, "{count} names: lower the bound");
    let internals = &SOURCES["internals.rs"].text;
    assert!(!given_out(internals).contains(&"*"), "a thing at a time, so that the compiler sees what nobody uses");
}

#[test]
fn every_room_has_its_walls() {
    let sources = &*SOURCES;
    let rooms = sources["lib.rs"].source.modules.iter().map(|module| module.name.as_str());
    let unguarded: Vec<&str> = rooms.filter(|room| *room != "domain" && !ROOMS.contains(room)).collect();
    assert_eq!(unguarded, Vec::<&str>::new(), "rooms that no wall knows");
    // A wall, an address or an exception that stands around nothing would hold whatever happens.
    let names_of = |room: &str| sources.keys().any(|file| self::room(file) == room);
    for (name, home) in ADDRESSES {
        let uses = |file: &File| !file.is_test && file.source.named.iter().any(|named| names(named, name));
        assert!(names_of(home) && sources.values().any(uses), "`{name}` lives nowhere");
    }
    for (long, _) in LONG {
        assert!(sources[long].text.lines().count() > LINES_MAX, "src/{long} is no longer too long");
    }
}

#[test]
fn every_foreign_crate_has_one_address() {
    let sources = &*SOURCES;
    for (name, home) in ADDRESSES {
        let uses = |file: &File| !file.is_test && file.source.named.iter().any(|named| names(named, name));
        let files: BTreeSet<&String> = sources.iter().filter(|(_, file)| uses(file)).map(|(name, _)| name).collect();
        assert!(files.len() <= 1, "`{name}` is named in {files:?}: keep it in one file of `{home}`");
    }
}

#[test]
fn the_walls_see_what_they_should_and_nothing_else() {
    let wrong = [
        ("domain/run.rs", "use std::fs;"),
        ("domain/run.rs", "use std::{collections::BTreeMap, fs};"),
        ("domain/run.rs", "use ::std::fs as disk;"),
        ("domain/run.rs", "fn f() { let now = std::time::Instant::now(); }"),
        ("domain/run.rs", "use std::time; fn f() { time::SystemTime::now(); }"),
        ("domain/run.rs", "async fn f() {}"),
        ("domain/run.rs", "fn f() { g().await; }"),
        ("domain/run.rs", "#[tokio::main] fn f() {}"),
        ("domain/run.rs", "fn f() { tokio::select! {} }"),
        ("views/runs.rs", "use crate::store::log;"),
        ("domain/run.rs", "use crate::{ids, views};"),
        ("domain/run.rs", "use crate::{\n    domain::{ids, money},\n    store::log,\n};"),
        ("domain/run/mod.rs", "use super::super::store::log;"),
        ("domain/run.rs", "mod inner { use super::super::super::store::log; }"),
        ("domain/run.rs", "macro_rules! m { () => { $crate::store::open() } }"),
        ("store/log.rs", "use crate::providers::Model;"),
        ("providers/http.rs", "fn f(log: &crate::store::Log) {}"),
        ("cli/run.rs", "fn f() { let tree = sled::open(path); }"),
        ("memory/index.rs", "use reqwest::Client;"),
        ("tools/mod.rs", "use rmcp::model::Tool;"),
        ("workspace/mod.rs", "use clap::Parser;"),
        ("workspace/mod.rs", "extern crate clap;"),
        ("workspace/mod.rs", "use crate::cli::Table;"),
        ("store/mod.rs", "fn f() { crate::workspace::open() }"),
        ("cli/run.rs", "fn f() { let key = std::env::var(name).ok(); }"),
        ("cli/run.rs", "use std::env; fn f() { let key = env::var_os(name); }"),
        ("settings/place.rs", "use std::env::vars; fn f() { vars() }"),
        // Behind something that is for tests only, whatever it is.
        ("store/mod.rs", "#[cfg(test)]\nmod tests;\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(test)] use a::{b, c};\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(test)] const A: [u8; 2] = { [1, 2] };\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(test)] const fn a() {}\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(test)] pub(crate) fn a<A, B>() -> Map<A, B> {}\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(test)] struct A(u8);\nuse crate::workspace::Workspace;"),
        ("store/mod.rs", "struct A { #[cfg(test)] a: Map<A, B>, b: crate::workspace::Workspace }"),
        ("store/mod.rs", "enum A { #[cfg(test)] B { a: u8 }, C(crate::workspace::Workspace) }"),
        ("store/mod.rs", "fn f() { match a { #[cfg(test)] A => {} B => crate::workspace::open() } }"),
        ("store/mod.rs", "fn f() { #[cfg(test)] let a = A { b }; crate::workspace::open() }"),
        ("store/mod.rs", "#[cfg(not(test))] use crate::workspace::Workspace;"),
        ("store/mod.rs", "#[cfg(any(test, unix))] use crate::workspace::Workspace;"),
    ];
    for (file, text) in wrong {
        assert!(!faults(file, &read(file, text)).is_empty(), "{file}: {text}");
    }
    let right = [
        ("domain/run.rs", "// like std::fs, unlike crate::store"),
        ("domain/run.rs", "/// Like std::fs.\nfn f() { let text = \"use tokio::main\"; let c = '\"'; }"),
        ("domain/run.rs", "fn f() { let operand = brand::new(); self.rand.len(); self.rand::<u8>(); let rand = 1; }"),
        ("domain/run.rs", "#[cfg(test)]\nmod tests { use std::fs; }"),
        ("domain/run.rs", "#[cfg(all(test, unix))]\nuse std::{fs, io};"),
        ("domain/run.rs", "#[cfg(test)] #[allow(unused)] pub(crate) fn f() { std::fs::read(a) }"),
        ("domain/run.rs", "#![cfg(test)]\nuse std::fs;"),
        ("domain/run.rs", "#[test]\nfn f() { std::fs::read(a) }"),
        ("domain/run.rs", "struct A { #[cfg(test)] a: std::fs::File, b: u8 }"),
        ("views/runs.rs", "use crate::domain::event::Event;"),
        ("views/runs.rs", "use crate::{domain::{ids, tools}, views::store};\nfn f() { let store = 1; }"),
        ("store/sled.rs", "use sled::Db;"),
        ("tools/mcp/session.rs", "use rmcp::model::Tool;"),
        ("store/open.rs", "mod sled;"),
        ("cli/mod.rs", "use clap::Parser;"),
        ("main.rs", "use clap::Parser;"),
        ("settings/variables.rs", "use std::env; fn f() { env::var_os(name) }"),
        ("settings/place.rs", "use std::env; fn f() { env::current_dir() }"),
        ("settings/place.rs", "fn f() { env!(\"CARGO\") }"),
    ];
    for (file, text) in right {
        assert_eq!(faults(file, &read(file, text)), Vec::<String>::new(), "{file}: {text}");
    }
    assert!(too_long("domain/x.rs", &"\n".repeat(601)).is_some() && too_long("domain/x.rs", &"\n".repeat(600)).is_none());
}

/// The files in which a mark for tests stands near the top: what was planted there once passed.
#[test]
fn faults_planted_behind_a_mark_for_tests_are_found() {
    let sources = &*SOURCES;
    for (file, line, fault) in [
        ("store/owned/mod.rs", "use crate::workspace::Workspace;", "names `crate::workspace`"),
        ("views/stats/mod.rs", "use std::fs;", "names `std::fs`"),
    ] {
        let text = format!("{}\n{line}\n", sources[file].text);
        let found = faults(file, &read(file, &text));
        let place = format!("src/{file}:{}: {fault}", text.lines().count());
        assert!(!found.is_empty() && found.iter().all(|fault| fault.starts_with(&place)), "{found:?}");
    }
    let text = |lines: &str| read("lib.rs", lines).modules;
    let tests = text("mod a;\n#[cfg(test)]\n#[path = \"b_tests.rs\"]\npub(crate) mod b;\nmod c { mod d; }");
    let shown: Vec<_> = tests.iter().map(|module| (module.path.join("::"), module.file.as_deref(), module.is_test)).collect();
    assert_eq!(shown, [("a".into(), None, false), ("b".into(), Some("b_tests.rs"), true), ("c::d".into(), None, false)]);
}
