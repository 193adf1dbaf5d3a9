//! `deny.toml` and the lock file: every exception is for a crate that is there, every crate that needs one has one.
//!
//! `cargo deny` asks the advisory database, which a test must not; what is known of it is the table below.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::Table;

/// Advisories without a version that mends them, and the crate: ours, and those that crates like ours have brought along.
const WITHOUT_A_CURE: [(&str, &str); 12] = [
    ("RUSTSEC-2024-0320", "yaml-rust"),
    ("RUSTSEC-2024-0370", "proc-macro-error"),
    ("RUSTSEC-2024-0375", "atty"),
    ("RUSTSEC-2024-0384", "instant"),
    ("RUSTSEC-2024-0388", "derivative"),
    ("RUSTSEC-2024-0436", "paste"),
    ("RUSTSEC-2025-0052", "async-std"),
    ("RUSTSEC-2025-0056", "adler"),
    ("RUSTSEC-2025-0057", "fxhash"),
    ("RUSTSEC-2025-0119", "number_prefix"),
    ("RUSTSEC-2025-0134", "rustls-pemfile"),
    ("RUSTSEC-2025-0141", "bincode"),
];

/// Returns what does not fit between the exceptions of a `deny.toml` and the crates of a `Cargo.lock`.
fn faults(deny: &Table, lock: &Table) -> Vec<String> {
    let entries = |table: &Table, list: &str| table.get(list).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let text = |entry: &toml::Value, key: &str| entry.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let crates: BTreeSet<String> = entries(lock, "package").iter().map(|package| text(package, "name")).collect();
    let advisories = deny.get("advisories").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let ignored = entries(&advisories, "ignore");
    let mut faults = Vec::new();
    for entry in &ignored {
        let (id, reason) = (text(entry, "id"), text(entry, "reason"));
        match WITHOUT_A_CURE.iter().find(|(known, _)| *known == id) {
            None => faults.push(format!("{id} is ignored, and no line of this table says for which crate")),
            Some((_, name)) if !crates.contains(*name) => faults.push(format!("{id} is ignored, and {name} is gone")),
            Some((_, name)) if !reason.starts_with(name) => faults.push(format!("the reason of {id} is not about {name}")),
            Some(_) => {}
        }
    }
    for (id, name) in WITHOUT_A_CURE.iter().filter(|(_, name)| crates.contains(*name)) {
        if !ignored.iter().any(|entry| text(entry, "id") == *id) {
            faults.push(format!("{name} is here, and {id} speaks against it: leave it, or say why not"));
        }
    }
    faults
}

#[test]
fn every_exception_of_deny_toml_is_for_a_crate_that_is_there_and_none_is_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| -> Table { fs::read_to_string(root.join(name)).expect("a file").parse().expect("TOML") };
    let (deny, lock) = (read("deny.toml"), read("Cargo.lock"));
    assert_eq!(faults(&deny, &lock), Vec::<String>::new());
    assert!(lock["package"].as_array().expect("packages").len() > 100);

    let with = |ignore: &str| format!("[advisories]\nignore = [{ignore}]").parse::<Table>().expect("TOML");
    let paste = r#"{ id = "RUSTSEC-2024-0436", reason = "paste is no longer maintained" }"#;
    let lock = |name: &str| format!("[[package]]\nname = \"{name}\"").parse::<Table>().expect("TOML");
    assert_eq!(faults(&with(paste), &lock("paste")), Vec::<String>::new());
    assert_eq!(faults(&with(""), &lock("paste")).len(), 1, "an exception is missing");
    assert_eq!(faults(&with(paste), &lock("serde")).len(), 1, "an exception without its crate");
    assert_eq!(faults(&with(&paste.replace("paste is", "it is")), &lock("paste")).len(), 1, "a reason for something else");
    assert_eq!(faults(&with(r#"{ id = "RUSTSEC-2001-0001" }"#), &lock("serde")).len(), 1, "an advisory that nobody knows");
}
