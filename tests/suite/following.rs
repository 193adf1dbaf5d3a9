//! `meno events`: the last ones, and what comes from now on; and the words for time that lists and searches share.

use serde_json::Value;

use crate::harness::House;

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

#[test]
fn following_begins_at_the_end_unless_more_is_asked_for() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).ends();
    let before = house.journal().len() as u64;
    let mut from_now = house.start(["events", "--follow", "--json"]);
    let mut with_three = house.start(["events", "--follow", "-n", "3", "--json"]);
    let mut from_one = house.start(["events", "--follow", "--from", "1", "--json"]);
    let first = |line: Option<&str>| -> u64 {
        serde_json::from_str::<Value>(line.expect("a line")).expect("JSON")["seq"].as_u64().expect("a position")
    };
    assert_eq!(first(with_three.line()), before - 2);
    assert_eq!(first(from_one.line()), 1);
    // One that follows from now on has begun when a note has come to it, and the first thing that it says is a note.
    let noted = loop {
        house.meno(["note", "last", "seen"]).exits(0);
        if let Some(line) = from_now.line_within(std::time::Duration::from_millis(300)) {
            break serde_json::from_str::<Value>(&line).expect("JSON");
        }
    };
    assert_eq!(noted["kind"], "NoteAdded", "{noted}");
    assert!(noted["seq"].as_u64() > Some(before), "{noted}");
}

#[test]
fn the_last_events_are_those_that_the_filters_let_through() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).ends();
    house.meno(PUBLISH).ends();
    let seqs = |args: &[&str]| -> Vec<u64> {
        let done = house.meno(["events"].iter().chain(args).chain(&["--json"]).copied()).exits(0);
        done.lines().iter().map(|line| line["seq"].as_u64().expect("a position")).collect()
    };
    let all = seqs(&[]);
    assert_eq!(seqs(&["-n", "5"]), all[all.len() - 5..]);
    assert_eq!(seqs(&["--limit", "100000"]), all);
    assert!(seqs(&["-n", "0"]).is_empty());
    let planned = seqs(&["--kind", "AgentPlanned"]);
    assert_eq!(seqs(&["--kind", "AgentPlanned", "-n", "3"]), planned[planned.len() - 3..]);
    let of_run = seqs(&["last~1"]);
    assert_eq!(seqs(&["last~1", "-n", "4"]), of_run[of_run.len() - 4..]);
    assert_eq!(seqs(&["last~1", "--kind", "AgentPlanned", "-n", "1"]), [planned[planned.len() / 2 - 1]]);
    // Agents have their names, though what names them is not shown.
    let shown = house.meno(["events", "last", "--kind", "AgentSucceeded", "-n", "1"]).exits(0).stdout;
    assert!(!shown.contains("agent-"), "{shown}");
}

#[test]
fn lists_read_the_words_for_time_that_a_search_reads() {
    let house = House::with_delay(0);
    let collection = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/collections/runs/histories.jsonl");
    house.meno(["import", "runs", collection, "-q"]).exits(0);
    house.meno(PUBLISH).ends();
    for phrase in ["last week", "last-month", "January", "3 days ago", "yesterday", "30d", "2026-01-15", "Q1 2026", "last year"] {
        let listed: Value =
            serde_json::from_str(&house.meno(["list-runs", "--since", phrase, "--json"]).exits(0).stdout).expect("a list");
        let query = format!("since:\"{phrase}\"");
        let found: Value =
            serde_json::from_str(&house.meno(["search", &query, "--json", "--limit", "1"]).exits(0).stdout).expect("hits");
        assert_eq!(listed["total"], found["total"], "{phrase}: {} and {}", listed["total"], found["understood"]);
        house.meno(["costs", "--since", phrase, "--until", phrase]).exits(0);
    }
    assert!(house.meno(["list-runs", "--since", "someday"]).exits(2).stderr.contains("last week"));
}
