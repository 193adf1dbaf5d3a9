//! Logs of other stores beside a store's own: their runs are listed, shown and found, and never changed. And the own log itself, brought
//! back from a copy that has gone on.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Done, House};

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("one document")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

#[track_caller]
fn run(house: &House, template: &str, seed: &str) {
    house.meno(["run", template, "--no-input", "--seed", seed, "-q"]).ends();
}

/// The runs of a list or of hits, each with its node.
fn runs(document: &Value) -> Vec<(String, Option<String>)> {
    let rows = document["runs"].as_array().or(document["hits"].as_array()).expect("rows");
    let mut runs: Vec<(String, Option<String>)> = rows
        .iter()
        .map(|row| (row["run_id"].as_str().expect("an id").to_owned(), row["node"].as_str().map(str::to_owned)))
        .collect();
    runs.sort();
    runs
}

#[test]
fn runs_of_imported_logs_are_listed_shown_and_found_and_never_changed() {
    let (house, other) = (House::with_delay(0), House::with_delay(0));
    run(&other, "release_prep", "1");
    let export = other.path("export");
    let node = document(other.meno(["export", text(&export), "--json"]))["head"]["node"].as_str().expect("a node").to_owned();
    let theirs = runs(&document(other.meno(["list-runs", "--json"])))[0].0.clone();
    run(&house, "python_package_publish", "2");
    let own = runs(&document(house.meno(["list-runs", "--json"])))[0].0.clone();
    house.meno(["list-runs", "--node", &node, "--json"]).exits(1);
    // The index has seen the log before anything is imported.
    house.meno(["search", "release", "--lexical", "--json"]).exits(0);
    house.meno(["import", "events", text(&export)]).exits(0);

    let mut both = vec![(own.clone(), None), (theirs.clone(), Some(node.clone()))];
    both.sort();
    let list = document(house.meno(["list-runs", "--json"]));
    assert_eq!((runs(&list), &list["total"]), (both.clone(), &json!(2)));
    assert_eq!(runs(&document(house.meno(["list-runs", "--limit", "1", "--json"]))).len(), 1);
    let end = &node[20..];
    for (filter, expected) in
        [("own", vec![both.iter().find(|(run, _)| *run == own).expect("there").clone()]), ("all", both.clone())]
    {
        assert_eq!(runs(&document(house.meno(["list-runs", "--node", filter, "--json"]))), expected, "{filter}");
    }
    assert_eq!(runs(&document(house.meno(["list-runs", "--node", end, "--json"]))), [(theirs.clone(), Some(node.clone()))]);
    house.meno(["list-runs", "--node", "x"]).exits(2);
    let shown = house.meno(["list-runs"]).exits(0).stdout;
    assert!(shown.contains(end) && shown.contains("own"), "{shown}");

    // Read as it is there, by any part of its id.
    let there = document(other.meno(["show-run", &theirs, "--json"]));
    let mut here = document(house.meno(["show-run", &theirs[18..], "--json"]));
    assert_eq!((here["node"].take(), &there["node"]), (json!(node), &Value::Null));
    assert_eq!(here, there);
    assert!(house.meno(["show-run", &theirs]).exits(0).stdout.contains(&format!("{node}, imported")));
    let events = |house: &House| house.meno(["events", &theirs, "--json"]).exits(0).stdout;
    assert_eq!(events(&house), events(&other));
    house.meno(["replay", &theirs, "--verify"]).exits(0);
    house.meno(["diff", &own, &theirs]).exits(0);
    assert_eq!(document(house.meno(["show-run", "last", "--json"]))["run_id"], json!(own));

    // Found like the own ones.
    let found =
        |filter: &str| runs(&document(house.meno(["search", "prepare the release", "--lexical", "--json", "--node", filter])));
    assert!(found("all").contains(&(theirs.clone(), Some(node.clone()))), "{:?}", found("all"));
    assert_eq!(found(end), [(theirs.clone(), Some(node.clone()))]);
    assert!(found("own").iter().all(|(_, node)| node.is_none()));
    house.meno(["reindex", "--anew"]).exits(0);
    assert_eq!(found(end), [(theirs.clone(), Some(node.clone()))]);

    // Changed by nothing.
    for command in [&["note", &theirs, "seen"][..], &["forget", &theirs, "--yes"], &["resume", &theirs], &["cancel", &theirs]] {
        let refused = house.meno(command).exits(1);
        assert!(refused.stderr.contains("is of the imported log"), "{command:?}: {}", refused.stderr);
    }
    assert_eq!(runs(&document(house.meno(["list-runs", "--json"]))), both);
    house.meno(["audit", "--all"]).exits(0);
}

#[test]
fn a_store_that_was_put_back_goes_on_with_what_its_copy_recorded_since() {
    let house = House::with_delay(0);
    run(&house, "release_prep", "1");
    let (backup, export) = (house.path("old.tar.zst"), house.path("export"));
    house.meno(["backup", text(&backup)]).exits(0);
    house.meno(["export", text(&export)]).exits(0);
    run(&house, "python_package_publish", "2");
    house.meno(["note", "last", "said later"]).exits(0);
    house.meno(["export", text(&export)]).exits(0);
    let restored = house.path("restored");
    let at = ["--store", text(&restored)];
    let meno = |args: &[&str]| house.meno(args.iter().chain(&at));
    house.meno(["restore", text(&backup), "--store", text(&restored)]).exits(0);
    assert_eq!(runs(&document(meno(&["list-runs", "--json"]))).len(), 1);

    let taken = document(meno(&["import", "events", text(&export), "--json"]));
    assert_eq!(taken["taken_as"], "continued");
    assert!(taken["imported"].as_u64() > Some(0) && taken["already_there"].as_u64() > Some(0), "{taken}");
    let events = |args: &[&str]| house.meno(["events", "--json"].iter().chain(args)).exits(0).stdout;
    assert_eq!(events(&at), events(&[]));
    assert_eq!(document(meno(&["list-runs", "--json"])), document(house.meno(["list-runs", "--json"])));
    meno(&["audit", "--all"]).exits(0);
    assert_eq!(document(meno(&["import", "events", text(&export), "--json"]))["taken_as"], "nothing");
    // It goes on by itself, and then the copy is another log.
    meno(&["note", "last", "said here"]).exits(0);
    run(&house, "release_prep", "3");
    house.meno(["export", text(&export)]).exits(0);
    let refused = meno(&["import", "events", text(&export)]).exits(4);
    assert!(refused.stderr.contains("gone different ways"), "{}", refused.stderr);
    meno(&["audit", "--all"]).exits(0);
}
