//! The laws, one property each, tried with the program as its users have it. `MENO_LAW_CASES` sets how many cases each gets.
//!
//! Narrower tests of each law stand beside the code that keeps it; `SECURITY.md` names them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use meno::event::{Event, NanoUsd, Recorded, RunId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Done, House, assert_kept, assert_nothing_repeated, files, files_with, finish};
use crate::source;

/// Cases of each property by default: each starts several processes.
const CASES: u32 = 3;

/// Tries `property` with values of `strategy`.
#[track_caller]
fn holds<S: Strategy>(strategy: S, property: impl Fn(S::Value)) {
    let cases = std::env::var("MENO_LAW_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() });
    let tried = runner.run(&strategy, |value| {
        property(value);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

fn run(house: &House, seed: u64, more: &[&str]) -> Done {
    let seed = seed.to_string();
    let args = ["run", "python_package_publish", "--no-input", "--seed", &seed, "--json"];
    house.meno(args.iter().chain(more))
}

fn document(house: &House, args: &[&str]) -> Value {
    serde_json::from_str(&house.meno(args.iter().chain(&["--json"])).exits(0).stdout).expect("a document")
}

/// A store in which this and that happened: simulated runs, one of them cut short, a fork, imported runs, a note.
fn lived_in(seed: u64) -> House {
    let house = House::with_delay(0);
    let first = run(&house, seed, &[]).ends().run()["run_id"].as_str().expect("an id").to_owned();
    house.meno(["fork", &first, "--set", "version_bump=minor"]).ends();
    let attempt = |tier: &str, passed: bool, cost: f64| json!({"tier": tier, "passed": passed, "cost_usd": cost});
    let history = (0..5).map(|number| {
        json!({"run_id": format!("h-{seed}-{number}"), "template_id": "errands", "started_at": "2026-10-01T09:00:00Z",
            "agents": [{"role": "worker", "task": format!("errand {number}"),
                "attempts": [attempt("cheap", seed.is_multiple_of(2), 0.001), attempt("capable", true, 0.01)]}]})
        .to_string()
    });
    fs::write(house.path("work/history.jsonl"), history.collect::<Vec<_>>().join("\n")).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    run(&house, seed + 1, &["--budget", "0.01"]).ends();
    house.meno(["note", "last", "as it should be", "--rating", "4"]).exits(0);
    house
}

#[test]
fn law_1_the_log_is_the_truth() {
    holds(0u64..1_000_000, |seed| {
        let house = lived_in(seed);
        let told = || -> Vec<String> {
            let questions: [&[&str]; 7] = [
                &["list-runs", "--json"],
                &["show-run", "last", "--json"],
                &["show-run", "last~7", "--json"],
                &["analytics", "errands", "--json"],
                &["costs", "--by", "day,template,model,tier,role", "--json"],
                &["telemetry", "show", "--json"],
                &["events", "--json"],
            ];
            questions.iter().map(|question| house.meno(*question).exits(0).stdout).collect()
        };
        let before = told();
        for derived in ["log", "index"] {
            fs::remove_dir_all(house.store().join(derived)).expect("what is derived can be deleted");
        }
        let after = told();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after);
        }
    });
}

#[test]
fn law_2_an_acknowledged_append_survives() {
    holds((0u64..1_000_000, 1usize..90), |(seed, lines)| {
        let house = House::with_delay(1);
        let mut running = house.start(["run", "python_package_publish", "--no-input", "--seed", &seed.to_string(), "--json"]);
        for _ in 0..lines {
            if running.line().is_none() {
                break;
            }
        }
        let printed: Vec<Value> = running.kill().lines().into_iter().filter(|line| line["type"] == "event").collect();
        house.meno(["list-runs"]).exits(0);
        assert_kept(&printed, &house.journal());
    });
}

#[test]
fn law_3_events_are_immutable_and_chained() {
    holds((0u64..1_000_000, any::<prop::sample::Index>(), 1u8..=255), |(seed, place, change)| {
        let house = lived_in(seed);
        house.meno(["audit"]).exits(0);
        // The journal of the only node, without the zeros that are written ahead.
        let segments = files(&house.store().join("journal"));
        let segment: PathBuf =
            segments.into_iter().find(|file| fs::metadata(file).is_ok_and(|file| file.len() > 4096)).expect("a segment");
        let mut bytes = fs::read(&segment).expect("a file");
        let used = bytes.iter().rposition(|byte| *byte != 0).expect("something is written") + 1;
        let at = place.index(used);
        bytes[at] ^= change;
        fs::write(&segment, bytes).expect("a file");
        let audit = house.meno(["audit", "--json"]);
        // It is a violation, or it is said that the index had what was damaged and has put it back.
        let is_mended = audit.stdout.contains("all is restored");
        assert!(audit.code == Some(4) || is_mended, "byte {at} of {used} is another one, and nobody saw it: {}", audit.stdout);
    });
}

#[test]
fn law_4_deciding_is_pure() {
    holds(0u64..1_000_000, |seed| {
        let house = lived_in(seed);
        let mut verify = house.command(["replay", "--verify", "--all", "--json"]);
        // Another clock, another zone, another machine's schedule: the same decisions.
        verify.env("TZ", "Pacific/Auckland");
        finish(verify).exits(0);
    });
}

#[test]
fn law_5_nothing_is_paid_twice() {
    holds((0u64..1_000_000, 5usize..80), |(seed, lines)| {
        let house = House::with_delay(1);
        let mut running = house.start(["run", "python_package_publish", "--no-input", "--seed", &seed.to_string(), "--json"]);
        let mut id = None;
        for _ in 0..lines {
            let Some(line) = running.line() else { break };
            let line: Value = serde_json::from_str(line).expect("JSON");
            id = id.or_else(|| line["run_id"].as_str().map(str::to_owned));
        }
        running.kill();
        let id = id.expect("the run has begun");
        house.meno(["resume", &id, "--json"]);
        house.meno(["fork", &id, "--json"]);
        house.meno(["rebuild"]).exits(0);
        house.meno(["replay", &id, "--verify"]).exits(0);
        let journal = house.journal();
        assert_nothing_repeated(&journal);
        let mut paid: BTreeMap<(Option<RunId>, u32), u32> = BTreeMap::new();
        for recorded in &journal {
            if let Event::CostIncurred(cost) = &recorded.event {
                *paid.entry((recorded.envelope.run, cost.call.expect("a call was paid"))).or_default() += 1;
            }
        }
        assert!(paid.values().all(|times| *times == 1), "{paid:?}");
    });
}

#[test]
fn law_6_money_adds_up() {
    holds(0u64..1_000_000, |seed| {
        let house = lived_in(seed);
        let mut sums: BTreeMap<RunId, u64> = BTreeMap::new();
        for Recorded { envelope, event, .. } in house.journal() {
            if let (Some(run), Event::CostIncurred(cost)) = (envelope.run, event) {
                *sums.entry(run).or_default() += cost.amount.unwrap_or_default().0;
            }
        }
        let runs = document(&house, &["list-runs"]);
        for run in runs["runs"].as_array().expect("runs") {
            let id: RunId = run["run_id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            assert_eq!(run["cost_nusd"].as_u64().expect("a cost"), sums.get(&id).copied().unwrap_or_default(), "{run}");
        }
        for by in ["day", "template", "model", "tier", "role", "purpose", "template,tier"] {
            let costs = document(&house, &["costs", "--by", by]);
            let mut by_mode: BTreeMap<&str, u64> = BTreeMap::new();
            for row in costs["rows"].as_array().expect("rows") {
                *by_mode.entry(row["mode"].as_str().expect("a kind of money")).or_default() +=
                    row["cost_nusd"].as_u64().expect("a sum");
            }
            let totals = costs["totals"].as_array().expect("totals").iter();
            let totals: BTreeMap<&str, u64> = totals
                .map(|total| (total["mode"].as_str().expect("a kind"), total["cost_nusd"].as_u64().expect("a sum")))
                .collect();
            assert_eq!(by_mode, totals, "by {by}");
            assert_eq!(totals.values().sum::<u64>(), sums.values().sum::<u64>(), "by {by}");
        }
    });
}

#[test]
fn law_7_a_budget_is_a_wall() {
    holds((0u64..1_000_000, 1u64..100_000_000), |(seed, budget)| {
        let house = House::with_delay(0);
        let allowed = NanoUsd(budget);
        run(&house, seed, &["--budget", &allowed.to_decimal()]).ends();
        let (mut spent, mut open) = (0, BTreeMap::new());
        for recorded in house.journal() {
            match recorded.event {
                Event::CallStarted(call) => drop(open.insert(call.call, call.reserved.expect("simulated calls have a price").0)),
                Event::CostIncurred(cost) => {
                    open.remove(&cost.call.expect("a call"));
                    spent += cost.amount.expect("simulated calls have a price").0;
                }
                Event::CallFailed(call) => drop(open.remove(&call.call)),
                _ => {}
            }
            assert!(spent + open.values().sum::<u64>() <= budget, "{spent} spent and {open:?} open of {budget}");
        }
    });
}

#[test]
fn law_8_secrets_stay_out() {
    let template = json!({
        "template_id": "keyed", "name": "Keyed", "description": "One agent", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Keyed", "description": "A secret", "questions": [
            {"id": "topic", "text": "About what?", "type": "text_input"},
            {"id": "token", "text": "Which token?", "type": "secret", "env": "KEYED_TOKEN"}]},
        "inputs": [{"id": "notes", "description": "What is known", "kind": "file", "required": false}],
        "agent_composition_rules": [{"role": "writer", "base_template": "generic",
            "prompt": "Write about {{answers.topic}}.\n\n{{inputs.notes}}"}],
        "report": "{{agents.writer.output}}"
    });
    holds("[A-Za-z0-9+/_.-]{16,40}", |secret| {
        let house = House::with_delay(0);
        house.template("keyed", &template);
        fs::write(house.path("work/notes.txt"), format!("the token is {secret}, do not tell\n")).expect("a file");
        let trace = house.path("trace.log").display().to_string();
        let mut command =
            house.command(["run", "keyed", "--no-input", "--json", "--input", "notes=notes.txt", "--log-file", &trace]);
        let topic = format!("topic=tea and {secret}");
        command.args(["--set", &topic]).env("KEYED_TOKEN", &secret).env("MENO_LOG", "trace");
        let done = finish(command).ends();
        assert!(!done.stdout.contains(&secret) && !done.stderr.contains(&secret), "it was said");
        house.meno(["reindex"]).exits(0);
        house.meno(["export", "out", "--store", house.store().to_str().expect("a text")]).exits(0);
        house.meno(["audit", "--report", "report.md"]).exits(0);
        for kept in [house.store(), house.path("work/out")] {
            assert_eq!(files_with(&kept, &secret), Vec::<PathBuf>::new());
        }
        for text in [trace.into(), house.path("work/report.md")] {
            assert!(!fs::read_to_string(&text).expect("a file").contains(&secret), "it stands in {}", text.display());
        }
    });
}

#[test]
fn law_9_search_never_lies() {
    holds((0u64..1_000_000, "zq[a-z]{6}x"), |(seed, word)| {
        let house = lived_in(seed);
        let name = format!("package_name={word}");
        let run = run(&house, seed + 2, &["--set", &name]).ends().run();
        let found = document(&house, &["search", &word, "--lexical"]);
        let (seen, head) = (found["indexed_to"].as_u64().expect("a position"), found["log_head"].as_u64().expect("a position"));
        assert!(seen <= head);
        let last = house.journal().iter().rev().find_map(|recorded| {
            let of = recorded.envelope.run.map(|run| run.to_string());
            (of.as_deref() == run["run_id"].as_str()).then_some(recorded.envelope.seq)
        });
        let is_found = found["hits"].as_array().expect("hits").iter().any(|hit| hit["run_id"] == run["run_id"]);
        assert!(is_found || seen < last.expect("its last event"), "seen to {seen}, and the run is not found: {found}");
        assert!(is_found, "a small store is indexed at once: {found}");
    });
}

#[test]
fn law_10_two_processes_are_as_safe_as_one() {
    holds(0u64..1_000_000, |seed| {
        let house = House::with_delay(1);
        let running = (0..3).map(|number| {
            let seed = (seed + number).to_string();
            house.start(["run", "python_package_publish", "--no-input", "--seed", &seed, "--json"])
        });
        let running: Vec<_> = running.collect();
        let ended: Vec<Done> = running.into_iter().map(|running| running.end().ends()).collect();
        let journal = house.journal();
        ended.iter().for_each(|done| assert_kept(&done.events(), &journal));
        assert_eq!(document(&house, &["list-runs"])["total"], 3);
        house.meno(["audit"]).exits(0);
    });
}

#[test]
fn law_11_every_version_reads_the_older_ones() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/stores");
    let backups = files(&golden);
    assert!(!backups.is_empty());
    for backup in backups {
        let house = House::new();
        house.meno(["restore", backup.to_str().expect("a text")]).exits(0);
        house.meno(["audit"]).exits(0);
        house.meno(["replay", "--verify", "--all"]).exits(0);
        let runs = document(&house, &["list-runs"]);
        assert_eq!(runs["total"], 7, "{}", backup.display());
        house.meno(["show-run", "last", "--outputs"]).exits(0);
    }
}

/// Returns the tests of library and suite, and whether each is left out of a plain `cargo test`.
fn all_tests() -> BTreeMap<String, bool> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let files = ["src/lib.rs", "tests/main.rs"].into_iter().flat_map(|file| source::files_of(&root.join(file)).into_values());
    files.flat_map(|file| file.source.tests).map(|test| (test.name, test.is_ignored)).collect()
}

/// Returns what is wrong with a page of promises, and how many tests it names.
fn faults_of_promises(page: &str, tests: &BTreeMap<String, bool>) -> (Vec<String>, usize) {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    let (mut faults, mut count) = (Vec::new(), 0);
    for row in rows {
        let names: Vec<&str> = row.split('|').nth(2).unwrap_or_default().split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            faults.push(format!("nothing tries to break this: {row}"));
        }
        for name in names {
            count += 1;
            match tests.get(name) {
                None => faults.push(format!("no test is called `{name}`")),
                Some(true) => faults.push(format!("`{name}` is ignored, so nothing runs it")),
                Some(false) => {}
            }
        }
    }
    (faults, count)
}

#[test]
fn every_promise_of_the_security_page_has_its_test() {
    let page = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).expect("the page");
    let (faults, count) = faults_of_promises(&page, &all_tests());
    assert_eq!(faults, Vec::<String>::new());
    assert!(count > 30, "{count}");
}

#[test]
fn a_promise_without_a_test_that_runs_is_found() {
    let code = "#[test] fn runs() {} #[test] #[ignore = \"slow\"] fn sleeps() {} fn helps() {}
        proptest! { #[test] fn draws(a in 0..1) {} } mod tests { #[tokio::test(start_paused = true)] async fn waits() {} }";
    let tests: BTreeMap<String, bool> =
        source::Source::read(code, &[], true).tests.into_iter().map(|test| (test.name, test.is_ignored)).collect();
    let page = |row: &str| faults_of_promises(&format!("| promise | tests |\n|---|---|\n| It holds | {row} |\n"), &tests).0.len();
    assert_eq!(page("`runs`, `draws`, `waits`"), 0);
    assert_eq!([page("`sleeps`"), page("`helps`"), page("`gone`"), page("trust us")], [1, 1, 1, 1]);
}
