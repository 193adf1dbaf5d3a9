//! Proving what happened, through the program: what holds is said to hold, and whatever was changed afterwards is shown with exit 4.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use meno::Access;
use meno::event::{Event, NanoUsd, Recorded, Verdict};
use meno::internals::domain::{BatchId, Causes};
use meno::internals::store::{Batch, Cause, codec};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Done, House, copy, files};

#[track_caller]
fn document(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|why| panic!("{why}: {}", done.stdout))
}

fn simulated() -> House {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    house
}

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

/// Writes the answers of a shipped template's n-th test into a file; gives the template's id and the file.
fn answers(house: &House, path: &Path, n: usize) -> (String, String) {
    let template: Value = serde_json::from_str(&fs::read_to_string(path).expect("a template")).expect("JSON");
    let tests = template["tests"].as_array().expect("tests");
    let file = house.path("answers.json");
    fs::write(&file, tests[n % tests.len()]["answers"].to_string()).expect("written");
    (template["template_id"].as_str().expect("an id").to_owned(), file.display().to_string())
}

#[track_caller]
fn assert_sound(house: &House) {
    let verified = document(&house.meno(["replay", "--verify", "--all", "--json"]).exits(0));
    assert_eq!((&verified["sound"], &verified["not_verifiable"]), (&json!(true), &json!(0)), "{verified}");
    let audit = document(&house.meno(["audit", "--json"]).exits(0));
    assert_eq!((&audit["sound"], &audit["violations"], &audit["notes"]), (&json!(true), &json!([]), &json!([])));
    let told: u64 =
        audit["checks"].as_array().expect("checks").iter().map(|tally| tally["not_verifiable"].as_u64().expect("a count")).sum();
    assert_eq!(told, 0, "{audit}");
}

#[test]
fn every_decision_of_every_shipped_template_is_made_again_and_comes_out_as_recorded() {
    let house = simulated();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut paths: Vec<_> = fs::read_dir(folder).expect("templates").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let ways: [&[&str]; 5] =
        [&[], &["--strategy", "capable_first"], &["--escalate", "ask"], &["--budget", "0.01"], &["--escalate", "never"]];
    for (n, path) in paths.iter().enumerate() {
        let (id, file) = answers(&house, path, n);
        let seed = n.to_string();
        let base = ["run", &id, "--answers", &file, "--no-input", "--seed", &seed, "-q"];
        house.meno(base.iter().chain(ways[n % ways.len()])).ends();
        if n % ways.len() == 2 {
            let _ = house.meno(["resume", "last", "--approve", "--no-input", "-q"]);
        }
        if n % 3 == 0 {
            let _ = house.meno(["resume", "last", "--retry-failed", "--no-input", "-q"]);
        }
        // What goes on without asking, from where the run stands, or begins again.
        let again: [&[&str]; 3] = [&["fork", "last"], &["fork", "last", "--strategy", "premium_only"], &["rerun", "last"]];
        house.meno(again[n % 3].iter().chain(&["--escalate", "auto", "--budget", "5", "--no-input", "-q"])).ends();
    }
    let forks = document(&house.meno(["list-runs", "--json"]).exits(0))["runs"].to_string().matches("\"forked_from\":\"").count();
    assert_eq!(forks, paths.len());
    let collection = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections/runs/histories.jsonl");
    house.meno(["import", "runs", collection.to_str().expect("a text"), "-q"]).exits(0);
    house.meno(["note", "last", "kept", "--rating", "4"]).exits(0);
    assert_sound(&house);
}

#[test]
fn a_run_that_was_killed_stopped_resumed_and_cancelled_still_follows_from_its_inputs() {
    let house = House::with_delay(100);
    for signal in [Signal::KILL, Signal::INT] {
        let mut running = house.start(PUBLISH.iter().chain(&["--json"]));
        running.until("CallReplied");
        running.until("CallStarted");
        running.signal(signal);
        let _ = running.end();
        house.meno(["resume", "last", "--no-input", "-q"]).ends();
    }
    assert_sound(&house);

    let house = House::with_delay(20_000);
    let mut running = house.start(PUBLISH.iter().chain(&["--json"]));
    running.until("CallStarted");
    house.meno(["cancel", "last"]).exits(0);
    let _ = running.end();
    assert_sound(&house);
}

#[test]
fn damage_ends_an_audit_with_4_and_names_what_was_expected_and_found() {
    let house = simulated();
    house.meno(PUBLISH).exits(0);
    let payload = files(&house.store().join("payloads")).into_iter().next().expect("a payload");
    let bytes = fs::read(&payload).expect("read");
    fs::remove_file(&payload).expect("removed");
    let found = document(&house.meno(["audit", "last", "--json"]).exits(4));
    let violation = &found["violations"][0];
    assert_eq!((&violation["check"], &found["sound"]), (&json!("payloads"), &json!(false)));
    for field in ["seq", "run_id", "what", "expected", "found"] {
        assert!(violation.get(field).is_some(), "`{field}` is missing: {violation}");
    }
    fs::write(&payload, bytes).expect("put back");

    let segment = files(&house.store().join("journal")).into_iter().find(|path| path.extension().is_some()).expect("a segment");
    let mut bytes = fs::read(&segment).expect("read");
    bytes[300] ^= 1;
    fs::write(&segment, bytes).expect("written");
    // The index still has what the byte was, so opening puts it back, and says so.
    let done = house.meno(["audit", "--json"]);
    let told =
        done.stderr.contains("damage") || done.code == Some(4) || !document(&done)["notes"].as_array().expect("notes").is_empty();
    assert!(told, "{done:?}");
}

/// Writes another store whose chain is whole, with a run that was changed before.
fn rewritten(house: &House, change: impl FnOnce(&mut [Recorded])) -> House {
    let mut events: Vec<Recorded> = house.journal().into_iter().filter(|recorded| recorded.envelope.run.is_some()).collect();
    change(&mut events);
    let other = simulated();
    let workspace = other.workspace(Access::Write, false);
    let payloads = house.store().join("payloads");
    for file in files(&payloads) {
        let to = other.store().join("payloads").join(file.strip_prefix(&payloads).expect("inside"));
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(&file, to).expect("copied");
    }
    let mut causes: BTreeMap<_, Causes<Cause>> = BTreeMap::new();
    let events = events.iter().zip(0..).map(|(recorded, place)| {
        let causes = causes.entry(recorded.envelope.run).or_default();
        let cause = causes.of(&recorded.event);
        causes.take(Cause::InBatch(place), &recorded.event);
        codec::offer(&recorded.event, [9; 16], recorded.envelope.run, cause, None).expect("encodable")
    });
    let batch = Batch {
        id: BatchId::from_bytes([4; 16]),
        expected_version: None,
        events: events.collect(),
        payloads: Vec::new(),
        day_limit: None,
    };
    meno::internals::workspace::log(&workspace).append(&batch).expect("appended");
    drop(workspace);
    other
}

#[test]
fn a_rewritten_price_or_verdict_is_shown_as_the_first_event_that_differs() {
    let house = simulated();
    house.meno(PUBLISH).exits(0);
    let untouched = rewritten(&house, |_| {});
    untouched.meno(["replay", "last", "--verify"]).exits(0);
    untouched.meno(["audit"]).exits(0);

    let cheaper = rewritten(&house, |events| {
        let cost = events.iter_mut().find_map(|recorded| match &mut recorded.event {
            Event::CostIncurred(body) => Some(body),
            _ => None,
        });
        cost.expect("a cost").amount = Some(NanoUsd(1));
    });
    let found = document(&cheaper.meno(["replay", "last", "--verify", "--json"]).exits(4));
    let difference = &found["differences"][0]["difference"];
    assert_eq!((&difference["kind"], &difference["field"]), (&json!("CostIncurred"), &json!("amount")));
    assert_eq!((&difference["recorded"], &difference["cause"]), (&json!("1"), &json!("prices")));
    let audit = document(&cheaper.meno(["audit", "--json"]).exits(4));
    assert!(audit["violations"].as_array().expect("violations").iter().all(|violation| violation["check"] == "money"), "{audit}");

    let kinder = rewritten(&house, |events| {
        let judged = events.iter_mut().find_map(|recorded| match &mut recorded.event {
            Event::CriterionJudged(body) if body.verdict == Verdict::Fail => Some(body),
            _ => None,
        });
        judged.expect("a criterion that failed").verdict = Verdict::Pass;
    });
    let done = kinder.meno(["replay", "last", "--verify"]).exits(4);
    assert!(done.stdout.contains("CriterionJudged") && done.stdout.contains("criteria"), "{}", done.stdout);
    assert!(done.stdout.contains("recorded pass") && done.stdout.contains("derived  fail"), "{}", done.stdout);
    let audit = kinder.meno(["audit"]).exits(4);
    assert!(audit.stdout.contains("escalations") && audit.stdout.contains("violated"), "{}", audit.stdout);
}

#[test]
fn a_turned_verdict_on_a_file_is_found_in_a_saved_run() {
    let house = simulated();
    let template = json!({"template_id": "filer", "name": "Filer", "description": "One agent", "version": "1.0.0",
        "form_schema": {"title": "Filer", "description": "", "questions": []},
        "agent_composition_rules": [{"role": "writer", "base_template": "generic", "tier_strategy": "cheap_only", "success_criteria": [
            {"type": "file_exists", "path": "out.md"}, {"type": "file_changed", "path": "out.md"}]}]});
    house.template("filer", &template);
    fs::write(house.path("work/out.md"), "there").expect("written");
    house.meno(["run", "filer", "--no-input", "-q"]).exits(3);
    let text = house.meno(["events", "last", "--json"]).exits(0).stdout;
    let shown = house.meno(["events", "last"]).exits(0).stdout;
    assert!(shown.contains("out.md: before 5 bytes, after 5 bytes, unchanged"), "{shown}");
    let fact: Value = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .find(|line| line["kind"] == "FactObserved")
        .expect("a fact");
    let present = json!({"present": {"bytes": 5}});
    assert_eq!(fact["data"]["fact"], json!({"file": {"before": present, "after": present}}));
    assert_eq!((&fact["data"]["subject"], &fact["data"]["before"]), (&json!("out.md"), &fact["data"]["after"]));

    let saved = house.path("saved.jsonl");
    let from = |text: &str| {
        fs::write(&saved, text).expect("written");
        house.meno(["replay", "--verify", "--json", "--from", saved.to_str().expect("a text")])
    };
    let sound = document(&from(&text).exits(0));
    assert_eq!((&sound["sound"], &sound["not_verifiable"]), (&json!(true), &json!(0)), "{sound}");
    // The attempt fails for the other file criterion, so nothing else need be turned.
    let turned: String = text
        .lines()
        .map(|line| match line.contains("`out.md` is in the workspace") {
            true => {
                line.replace("`out.md` is in the workspace", "`out.md` is not in the workspace")
                    .replace("\"verdict\":\"pass\"", "\"verdict\":\"fail\"")
                    + "\n"
            }
            false => line.to_owned() + "\n",
        })
        .collect();
    assert_ne!(text, turned);
    let found = document(&from(&turned).exits(4));
    let difference = &found["differences"][0]["difference"];
    assert_eq!((&difference["kind"], &difference["field"]), (&json!("CriterionJudged"), &json!("verdict")), "{found}");
    assert_eq!((&difference["recorded"], &difference["derived"]), (&json!("fail"), &json!("pass")));
}

#[test]
fn a_store_that_was_rolled_back_is_found_against_its_seal() {
    let house = simulated();
    house.meno(PUBLISH).exits(0);
    let before = house.path("before");
    copy(&house.store(), &before);
    let seal = house.path("seal.json").display().to_string();
    house.meno(["seal", "-o", &seal]).exits(0);
    house.meno(["seal", "-o", &seal]).exits(1);
    house.meno(["note", "last", "goes on"]).exits(0);
    let held = document(&house.meno(["audit", "--against", &seal, "--json"]).exits(0));
    assert_eq!(held["against"]["position"].as_u64().map(|position| position + 1), held["position"].as_u64());

    fs::remove_dir_all(house.store()).expect("removed");
    copy(&before, &house.store());
    house.meno(["audit"]).exits(0);
    let done = house.meno(["audit", "--against", &seal]).exits(4);
    assert!(done.stdout.contains("cut before the position that was sealed"), "{}", done.stdout);
    fs::write(house.path("seal.json"), "{}").expect("written");
    assert!(house.meno(["audit", "--against", &seal]).exits(1).stderr.contains("hint:"));
}

#[test]
fn a_run_is_walked_shown_as_it_was_compared_and_reported() {
    let house = simulated();
    house.meno(PUBLISH).exits(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "8"]).exits(0);
    let walked = house.meno(["replay", "last", "--json"]).exits(0).lines();
    let events = house.meno(["events", "last", "--json"]).exits(0).lines();
    assert_eq!(walked, events);
    let first = walked[0]["seq"].as_u64().expect("a position");
    let planned = walked.iter().find(|line| line["kind"] == "CallStarted").expect("a call")["seq"].to_string();
    let then = document(&house.meno(["replay", "last", "--at", &planned, "--json"]).exits(0));
    assert_eq!((&then["status"], &then["cost_nusd"]), (&json!("running"), &json!(0)));
    // Below the run's first position in the log its own events are counted, as far as there are so many.
    let begun = document(&house.meno(["replay", "last", "--at", "1", "--json"]).exits(0));
    assert_eq!((&begun["events"], &begun["agents"]), (&json!(1), &json!([])));
    assert!(first > 2, "the run begins behind another");
    house.meno(["replay", "last", "--verify", "--at", "3"]).exits(2);

    let diff = document(&house.meno(["diff", "last~1", "last", "--json"]).exits(0));
    assert_eq!((&diff["same"], &diff["answers"]), (&json!(false), &json!([])));
    assert!(diff["agents"].as_array().expect("agents").iter().any(|agent| agent["output"].is_string()));
    assert_eq!(document(&house.meno(["diff", "last", "last", "--json"]).exits(0))["same"], true);

    let report = house.path("report.md");
    house.meno(["audit", "--report", report.to_str().expect("a text")]).exits(0);
    let text = fs::read_to_string(report).expect("a report");
    for part in ["# Audit", "Started by user", "### Models", "### Answers", "### Team", "was judged", "Cost: ", "| money |"] {
        assert!(text.contains(part), "`{part}` is missing");
    }
    assert_eq!(text.matches("## Run ").count(), 2);
    let report = house.path("report.json");
    house.meno(["audit", "last", "--report", report.to_str().expect("a text")]).exits(0);
    let report: Value = serde_json::from_str(&fs::read_to_string(report).expect("a report")).expect("JSON");
    assert_eq!((&report["audit"]["sound"], report["runs"].as_array().map(Vec::len)), (&json!(true), Some(1)));
    assert!(report["runs"][0]["started_by"].is_string() && report["runs"][0]["run"]["agents"].is_array());
}

#[test]
fn saved_runs_are_held_against_what_this_version_decides_without_their_store() {
    let house = simulated();
    house.meno(PUBLISH).exits(0);
    house.meno(["fork", "last", "--set", "version_bump=minor", "-q"]).ends();
    let lines = house.path("lines.jsonl");
    fs::write(&lines, house.meno(["events", "last~1", "--json"]).exits(0).stdout).expect("written");
    let told = house.path("told.jsonl");
    fs::write(&told, house.meno(["run", "release_prep", "--no-input", "--seed", "5", "--json"]).ends().stdout).expect("written");
    let export = house.path("export");
    house.meno(["export", export.to_str().expect("a text")]).exits(0);

    let elsewhere = House::new();
    let from = |paths: &[&Path]| {
        let paths = paths.iter().map(|path| path.to_str().expect("a text"));
        elsewhere.meno(["replay", "--verify", "--json", "--from"].into_iter().chain(paths))
    };
    let verified = document(&from(&[&lines, &told]).exits(0));
    assert_eq!((&verified["runs"], &verified["not_verifiable"]), (&json!(2), &json!(0)), "{verified}");
    let all = document(&from(&[&export]).exits(0));
    assert_eq!((&all["runs"], &all["sound"], &all["not_verifiable"]), (&json!(3), &json!(true), &json!(0)), "{all}");
    assert!(!elsewhere.store().exists());

    let text = fs::read_to_string(&lines).expect("lines");
    // A file that ends early is incomplete wherever it ends, and nothing in it differs.
    let lengths: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let early = house.path("early.jsonl");
    for (length, middle) in lengths[..lengths.len() - 1].iter().flat_map(|length| [(*length, false), (length + 20, true)]) {
        fs::write(&early, &text[..length]).expect("written");
        let found = document(&from(&[&early]).exits(1));
        assert_eq!((&found["sound"], &found["incomplete"]), (&json!(true), &json!(1)), "{length} bytes, {middle}: {found}");
    }
    let kinder = text.replacen("\"verdict\":\"fail\"", "\"verdict\":\"pass\"", 1);
    assert_ne!(text, kinder);
    fs::write(&lines, kinder).expect("written");
    let found = document(&from(&[&lines]).exits(4));
    assert_eq!(found["differences"][0]["difference"]["kind"], "CriterionJudged");
    let without: String = text.lines().enumerate().filter(|(line, _)| *line != 5).map(|(_, line)| format!("{line}\n")).collect();
    fs::write(&lines, without).expect("written");
    assert!(from(&[&lines]).exits(1).stderr.contains("event 6 of it is missing"));
    fs::write(&lines, "{\"nonsense\": true, \"run_id\": \"x\"}\n").expect("written");
    assert!(from(&[&lines]).exits(1).stderr.contains("line 1"));
    let bare = house.path("bare");
    house.meno(["export", bare.to_str().expect("a text"), "--without-private"]).exits(0);
    assert!(from(&[&bare]).exits(1).stderr.contains("nothing to verify"));
    let file = fs::read_dir(&export).expect("a folder").next().expect("a file").expect("a file").path();
    let torn = fs::read_to_string(&file).expect("an export").replacen("\"hash\":\"", "\"hash\":\"0", 1);
    fs::write(&file, torn).expect("written");
    from(&[&export]).exits(4);
    house.meno(["replay", "last", "--verify", "--from", "x"]).exits(2);
    house.meno(["replay", "--verify", "--from", "x", "--at", "9"]).exits(2);
}

#[test]
fn an_audit_counts_the_event_that_begins_the_log_apart() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).exits(0);
    let run = document(&house.meno(["show-run", "last", "--json"]).exits(0));
    let audit = document(&house.meno(["audit", "--json"]).exits(0));
    let of_run = run["events"].as_u64().expect("a count");
    assert_eq!((audit["events"].as_u64(), audit["genesis_events"].as_u64()), (Some(of_run + 1), Some(1)), "{audit}");
    let page = house.meno(["audit"]).exits(0).stdout;
    assert!(page.contains(&format!("{of_run} events and the genesis, 1 run")), "{page}");
}
