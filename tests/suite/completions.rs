//! What a shell is offered while somebody types: from the store, fast, and without touching it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::harness::{House, files};

/// What is offered behind `words`, whose last one is being typed.
fn offered(house: &House, words: &[&str]) -> Vec<String> {
    let line = ["--", "meno"].iter().chain(words).copied();
    let mut command = house.command(line);
    command.env("MENO_COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    // The last value has no line break behind it.
    let done = command.output().expect("it runs");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    String::from_utf8(done.stdout).expect("a text").lines().map(str::to_owned).collect()
}

/// Every file of the store, with its bytes and when it was changed.
fn state(house: &House) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let look = |path: PathBuf| {
        let changed = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
        (path.clone(), (fs::read(&path).expect("bytes"), changed))
    };
    files(&house.store()).into_iter().map(look).collect()
}

#[test]
fn runs_templates_inputs_and_questions_are_completed_and_the_store_is_not_touched() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).ends();
    house.meno(["fork", "last", "--agent", "publisher"]).ends();
    house.meno(["export-template", "release_prep", "-o", "mine.json"]).exits(0);
    let newest: serde_json::Value = serde_json::from_str(&house.meno(["list-runs", "--json"]).exits(0).stdout).expect("runs");
    let ids: Vec<&str> = newest["runs"].as_array().expect("runs").iter().filter_map(|run| run["run_id"].as_str()).collect();
    let before = state(&house);

    for command in ["resume", "show-run", "fork", "report", "events", "note", "forget", "replay", "audit", "export-run"] {
        assert_eq!(offered(&house, &[command, ""])[..3], ["last", ids[0], ids[1]], "{command}");
    }
    assert_eq!(offered(&house, &["show-run", &ids[1][..24]]).last().map(String::as_str), Some(ids[1]));
    assert_eq!(offered(&house, &["run", "release_p"]), ["release_prep"]);
    assert!(offered(&house, &["list-runs", "--template", "python"]).contains(&"python_package_publish".to_owned()));
    assert!(offered(&house, &["run", "./mi"]).contains(&"./mine.json".to_owned()));

    let questions = offered(&house, &["run", "release_prep", "--no-input", "--set", ""]);
    assert!(questions.contains(&"project_name=".to_owned()) && questions.contains(&"checks=".to_owned()), "{questions:?}");
    assert_eq!(offered(&house, &["run", "release_prep", "--set", "checks=Sec"]), ["checks=Security"]);
    assert!(offered(&house, &["run", "./mine.json", "--set", ""]).contains(&"checks=".to_owned()));
    // The run says which template it is of.
    assert!(offered(&house, &["fork", "last", "--set", ""]).contains(&"version_bump=".to_owned()));
    assert!(offered(&house, &["run", "release_prep", "--input", ""]).contains(&"source=".to_owned()));
    assert!(offered(&house, &["run", "release_prep", "--input", "source=mi"]).contains(&"source=mine.json".to_owned()));

    assert_eq!(state(&house), before, "completing changes nothing");
}

#[test]
fn what_is_not_there_is_not_offered_and_nothing_is_made() {
    let house = House::new();
    assert_eq!(offered(&house, &["show-run", "01"]), Vec::<String>::new());
    assert!(offered(&house, &["run", ""]).contains(&"release_prep".to_owned()));
    assert!(offered(&house, &["run", "no_such_template", "--set", ""]).iter().all(|value| !value.ends_with('=')));
    assert!(!house.store().exists());
    // A name that a terminal would take for a command is none of those that are offered.
    fs::create_dir_all(house.store().join("templates")).expect("a folder");
    fs::write(house.store().join("templates/evil\u{1b}[2J.json"), "{}").expect("a file");
    assert!(offered(&house, &["run", ""]).iter().all(|value| !value.contains('\u{1b}')));
}

#[test]
fn the_script_of_a_shell_asks_the_program() {
    let house = House::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(house.meno(["completions", shell]).exits(0).stdout.contains("MENO_COMPLETE"), "{shell}");
    }
}
