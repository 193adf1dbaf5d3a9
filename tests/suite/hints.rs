//! The lines of a shell that the program prints as what to do next: each is carried out as it stands and does what it says.
//!
//! That every line printed anywhere in these tests can be typed at all is checked where processes end; see the harness.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Done, House, cannot_be_typed, files, hints, words_of};

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

/// The only printed line that holds `part`.
#[track_caller]
fn hint(done: &Done, part: &str) -> String {
    let all = hints(&format!("{}\n{}", done.stdout, done.stderr));
    let mut fitting: Vec<&String> = all.iter().filter(|hint| hint.contains(part)).collect();
    fitting.dedup();
    assert_eq!(fitting.len(), 1, "{part}: {all:?}\n{}{}", done.stdout, done.stderr);
    fitting[0].clone()
}

/// Carries out a printed line as it stands, with further options of the test's own.
#[track_caller]
fn carry_out(house: &House, line: &str, more: &[&str]) -> Done {
    house.meno(words_of(line).into_iter().skip(1).chain(more.iter().map(|word| (*word).to_owned())))
}

fn reasons(done: &Done) -> Vec<Value> {
    let failed = done.events().into_iter().filter(|event| event["kind"] == "AgentFailed");
    failed.map(|event| event["data"]["reason"].clone()).collect()
}

/// A run that stops because somebody must allow its first escalation.
fn that_waits() -> (House, Done) {
    let house = House::with_delay(0);
    let done = house.meno(PUBLISH.iter().chain(&["--escalate", "ask"])).exits(3);
    (house, done)
}

#[test]
fn a_run_that_waits_names_the_line_that_allows_and_the_line_that_denies() {
    for (word, granted) in [("--approve", true), ("--deny", false)] {
        let (house, done) = that_waits();
        let shown = house.meno(["show-run", "last"]).exits(0);
        assert_eq!(words_of(&hint(&shown, word))[1..].len(), 3, "whole, and one line each");
        let line = hint(&done, word);
        let answered = carry_out(&house, &line, &["--json"]);
        let given = answered.events().into_iter().find(|event| event["kind"] == "ApprovalGiven").expect("an answer");
        assert_eq!(given["data"]["granted"], json!(granted), "{line}");
    }
}

#[test]
fn an_interrupted_run_names_the_line_by_which_it_goes_on() {
    let house = House::with_delay(150);
    let running = house.start(PUBLISH);
    // With `--json` no line is printed to go on with, so that another process looks how far it is.
    while !house.meno(["events", "--kind", "AgentSucceeded", "--json"]).stdout.contains("AgentSucceeded") {}
    running.signal(Signal::INT);
    let done = running.end().exits(130);
    house.configure("preset = \"simulated\"\n");
    assert_eq!(carry_out(&house, &hint(&done, "meno resume"), &["--json"]).exits(0).run()["status"], "succeeded");
}

#[test]
fn a_run_that_a_budget_stopped_goes_on_with_the_line_that_it_prints() {
    for budget in ["0.000000001", "0.02"] {
        let house = House::with_delay(0);
        let done = house.meno(PUBLISH.iter().chain(&["--budget", budget])).exits(3);
        let line = hint(&done, "--budget");
        assert!(line.contains("--retry-failed"), "{line}");
        let resumed = carry_out(&house, &line, &["--json"]).ends();
        assert!(!reasons(&resumed).contains(&json!("budget")), "{line}: {}", resumed.stdout);
        assert!(resumed.events().iter().any(|event| event["kind"] == "CallReplied"), "{line}");
        let new = words_of(&line).into_iter().skip_while(|word| word != "--budget").nth(1).expect("an amount");
        let nusd = meno::event::NanoUsd::from_decimal(&new).expect("an amount").0;
        assert_eq!(resumed.run()["budget_nusd"], json!(nusd));
        // What was decided under the new budget is decided again, audited, forked and handed on under it.
        house.meno(["replay", "--verify", "--all"]).exits(0);
        house.meno(["audit"]).exits(0);
        assert_eq!(house.meno(["rerun", "last", "--json"]).ends().run()["budget_nusd"], json!(nusd));
        house.meno(["export", "out"]).exits(0);
        let other = House::new();
        other.meno(["import", "events", house.path("work/out").to_str().expect("a text")]).exits(0);
        other.meno(["replay", "--verify", "--all"]).exits(0);
        let run = resumed.run()["run_id"].as_str().expect("an id").to_owned();
        let there: Value = serde_json::from_str(&other.meno(["show-run", &run, "--json"]).exits(0).stdout).expect("a run");
        assert_eq!(there["budget_nusd"], json!(nusd));
    }
}

#[test]
fn the_budget_of_an_agent_is_raised_by_the_line_that_is_printed() {
    let house = House::with_delay(0);
    house.template("one", &one(json!({"budget_usd": 0.000_001})));
    let done = house.meno(["run", "one", "--no-input"]).exits(3);
    let line = hint(&done, "--budget");
    assert!(line.contains("'only="), "{line}");
    let resumed = carry_out(&house, &line, &["--json"]).ends();
    assert!(!reasons(&resumed).contains(&json!("budget")), "{line}: {}", resumed.stdout);
    house.meno(["replay", "--verify", "--all"]).exits(0);
    house.meno(["audit"]).exits(0);

    let wrong = house.meno(["resume", "last", "--retry-failed", "--budget", "nobody=1"]).exits(1);
    assert!(wrong.stderr.contains("no agent `nobody`") || wrong.stderr.contains("succeeded"), "{}", wrong.stderr);
}

#[test]
fn a_budget_that_is_spent_already_is_refused_and_nothing_is_written() {
    let house = House::with_delay(0);
    house.meno(PUBLISH.iter().chain(&["--budget", "0.02"])).exits(3);
    let before = house.journal().len();
    let refused = house.meno(["resume", "last", "--retry-failed", "--budget", "0.000001"]).exits(1);
    assert!(refused.stderr.contains("is spent already"), "{}", refused.stderr);
    assert!(carry_out(&house, &hint(&refused, "meno show-run"), &[]).exits(0).stdout.contains("budget"), "the costs are shown");
    assert_eq!(house.journal().len(), before);
}

fn one(rule: Value) -> Value {
    let mut rules = json!({"role": "only", "base_template": "generic", "prompt": "Say something.", "success_criteria": []});
    rules.as_object_mut().expect("an object").extend(rule.as_object().expect("an object").clone());
    json!({"template_id": "one", "name": "One", "description": "One agent.", "version": "1.0.0",
        "form_schema": {"title": "T", "description": "", "questions": []}, "agent_composition_rules": [rules]})
}

#[test]
fn agents_that_failed_start_again_by_the_line_that_is_printed() {
    let house = House::with_delay(0);
    let failed = (1..20).find_map(|seed| {
        let done =
            house.meno(["run", "python_package_publish", "--no-input", "--strategy", "cheap_only", "--seed", &seed.to_string()]);
        (done.code == Some(3)).then_some(done)
    });
    let failed = failed.expect("one of them fails");
    let refused = house.meno(["resume", "last"]).exits(1);
    for done in [&failed, &refused] {
        let line = hint(done, "--retry-failed");
        assert!(!line.contains("RUN") && !line.contains("--budget"), "{line}");
        let again = carry_out(&house, &line, &["--json"]);
        assert!(again.events().iter().any(|event| event["kind"] == "AttemptStarted"), "{line}: {}", again.stderr);
        if again.code == Some(0) {
            break;
        }
    }
}

#[test]
fn what_a_run_lacks_is_found_by_the_line_that_is_printed() {
    let house = House::with_delay(0);
    let missing = house.meno(["run", "security_audit", "--no-input", "--input", "source=nowhere"]).exits(1);
    assert!(carry_out(&house, &hint(&missing, "meno show-template"), &[]).exits(0).stdout.contains("source"));

    let keyless = house.meno(["run", "python_package_publish", "--no-input", "--preset", "anthropic"]).exits(1);
    carry_out(&house, &hint(&keyless, "meno config"), &[]).exits(0);

    let unknown = house.meno(["show-run", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).exits(1);
    carry_out(&house, &hint(&unknown, "meno list-runs"), &[]).exits(0);

    let wrong = house.meno(["run", "python_package_publish", "--no-input", "--set", "version_bump=enormous"]).exits(1);
    let questions = carry_out(&house, &hint(&wrong, "meno show-template"), &[]).exits(0);
    assert!(questions.stdout.contains("version_bump"), "{}", questions.stdout);

    let near = house.meno(["show-template", "release_pep"]).exits(1);
    assert!(carry_out(&house, &hint(&near, "meno list-templates"), &[]).exits(0).stdout.contains("release_prep"));
}

/// The lines of a shell that stand in texts of the source, with a word for each value that is put in.
fn in_source() -> Vec<(String, String)> {
    let sources = files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut found = Vec::new();
    for path in sources.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let text = fs::read_to_string(path).expect("a text");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains("schemars(")) {
            found.extend(hints(line).into_iter().map(|hint| (path.display().to_string(), filled(&hint))));
        }
    }
    found
}

/// Puts a word that fits nearly everywhere in the place of each `{…}`.
fn filled(hint: &str) -> String {
    let mut text = String::new();
    let mut rest = hint;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        text.push_str("last");
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    // Filled in where the run is known.
    (text + rest).replace(" RUN", " last")
}

#[test]
fn every_line_that_could_be_printed_can_be_typed() {
    let lines = in_source();
    assert!(lines.len() > 80, "{lines:?}");
    let wrong: Vec<String> =
        lines.iter().filter_map(|(path, line)| cannot_be_typed(line).map(|why| format!("{path}: `{line}`: {why}"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_damaged_store_is_looked_at_by_the_line_that_is_printed() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).exits(0);
    let segment = files(&house.store().join("journal")).into_iter().find(|file| file.extension().is_some_and(|end| end == "seg"));
    let segment = segment.expect("a segment");
    let mut bytes = fs::read(&segment).expect("bytes");
    // Behind what was written there are zeros.
    let middle = bytes.iter().rposition(|byte| *byte != 0).expect("events") / 2;
    bytes[middle] ^= 0xff;
    fs::write(&segment, bytes).expect("damaged");
    fs::remove_dir_all(house.store().join("log")).expect("no index to mend it from");
    let done = house.meno(["list-runs"]);
    let line = hint(&done, "meno doctor");
    let doctor = carry_out(&house, &line, &[]);
    assert!(doctor.stdout.contains("damage") || doctor.stdout.contains("lost"), "{}{}", doctor.stdout, doctor.stderr);
    assert!(!doctor.stderr.contains("`meno doctor`"), "it sends to itself: {}", doctor.stderr);
    let repaired = house.meno(["doctor", "--repair"]);
    assert!(repaired.stdout.contains("damage"), "{}", repaired.stdout);
    for said in [&repaired.stdout, &repaired.stderr] {
        assert!(!said.contains("`meno doctor"), "it sends to itself: {said}");
    }
    let audit = house.meno(["audit"]).exits(4);
    assert!(audit.stdout.lines().next().is_some_and(|line| line.contains("damaged")), "{}", audit.stdout);
    assert!(!audit.stdout.contains("found    00000000"), "{}", audit.stdout);
}
