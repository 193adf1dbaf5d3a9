//! Many processes on one store: whoever owns it may be killed or stopped in the middle, and nobody's run is lost or doubled.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meno::Access;
use meno::event::Event;
use rustix::process::Signal;

use crate::harness::{Done, House, Running, assert_kept, assert_nothing_repeated};

const RUNS: usize = 8;

fn run(house: &House, seed: usize) -> Running {
    let seed = seed.to_string();
    house.start(["run", "python_package_publish", "--no-input", "--seed", &seed, "--json", "--wait", "60"])
}

/// Checks that the journal has exactly these runs, whole, and what each process had said of them.
#[track_caller]
fn check(house: &House, all: &[Done]) {
    let journal = house.journal();
    let mut runs = BTreeSet::new();
    for done in all {
        let events = done.events();
        assert_kept(&events, &journal);
        let id = events[0]["run_id"].as_str().expect("an id").to_owned();
        let versions: Vec<u64> = events.iter().map(|event| event["version"].as_u64().expect("a version")).collect();
        let first = versions[0];
        assert!(versions.iter().zip(first..).all(|(version, expected)| *version == expected), "{id}: {versions:?}");
        runs.insert(id);
    }
    let started = journal.iter().filter(|recorded| matches!(recorded.event, Event::RunStarted(_))).count();
    assert_eq!((runs.len(), started), (RUNS, RUNS));
    let ended = |event: &Event| matches!(event, Event::RunSucceeded(_) | Event::RunFailed(_));
    assert_eq!(journal.iter().filter(|recorded| ended(&recorded.event)).count(), RUNS);
    assert_nothing_repeated(&journal);
}

#[test]
fn settings_can_be_changed_while_somebody_holds_the_store() {
    let house = House::with_delay(0);
    let held = house.workspace(Access::Write, true);
    meno::internals::workspace::log(&held).head().expect("the store is open");
    house.meno(["config", "run.jobs=3"]).exits(0);
    let template = serde_json::json!({"template_id": "one", "name": "One", "description": "One agent", "version": "1.0.0",
        "form_schema": {"title": "One", "description": "", "questions": []},
        "agent_composition_rules": [{"role": "a", "base_template": "generic"}]});
    house.template("one", &template);
    drop(held);
    assert!(house.meno(["config", "run.jobs"]).exits(0).stdout.contains('3'));
}

#[test]
fn eight_processes_run_on_one_store_while_another_reads() {
    let house = House::with_delay(5);
    let done = AtomicBool::new(false);
    let all = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut most, mut looks) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                // Before the first write there is no store, which reads as an empty one.
                let workspace = house.workspace(Access::Read, false);
                let runs = workspace.runs().list(&Default::default(), meno::run::SortBy::Newest, None).expect("a list");
                assert!(runs.total >= most, "{} runs after {most}", runs.total);
                for row in &runs.runs {
                    let id = row.run_id.parse().expect("an id");
                    let events = workspace.runs().events_of(id, 1, u32::MAX).expect("its events");
                    assert!(events.iter().zip(1..).all(|(event, version)| event.envelope.version == version));
                }
                (most, looks) = (runs.total, looks + 1);
            }
            looks
        });
        let running: Vec<Running> = (0..RUNS).map(|seed| run(&house, seed)).collect();
        let all: Vec<Done> = running.into_iter().map(|running| running.end().ends()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("the reader saw nothing wrong") > 0);
        all
    });
    check(&house, &all);
    let workspace = house.workspace(Access::Read, false);
    let list = workspace.runs().list(&Default::default(), meno::run::SortBy::Newest, None).expect("a list");
    assert_eq!(list.total, RUNS as u64);
}

#[test]
fn the_others_go_on_when_the_owner_is_killed() {
    let house = House::with_delay(25);
    let mut owner = run(&house, 0);
    // The first one to write made the store, and owns it.
    owner.until("RunStarted");
    let others: Vec<Running> = (1..RUNS).map(|seed| run(&house, seed)).collect();
    owner.until("CallReplied");
    let killed = owner.kill();
    let mut all: Vec<Done> = others.into_iter().map(|running| running.end().ends()).collect();
    let id = killed.events()[0]["run_id"].as_str().expect("an id").to_owned();
    let resumed = house.meno(["resume", &id, "--json"]).ends();
    assert_kept(&killed.events(), &house.journal());
    all.push(resumed);
    check(&house, &all);
}

#[test]
fn the_others_wait_for_an_owner_that_is_stopped_and_goes_on_again() {
    let house = House::with_delay(25);
    let mut owner = run(&house, 0);
    owner.until("RunStarted");
    let others: Vec<Running> = (1..RUNS).map(|seed| run(&house, seed)).collect();
    owner.until("CallReplied");
    for _ in 0..3 {
        owner.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(400));
        owner.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut all = vec![owner.end().ends()];
    all.extend(others.into_iter().map(|running| running.end().ends()));
    check(&house, &all);
}

#[test]
fn a_serving_process_owns_for_everybody_and_when_it_is_killed_the_next_command_takes_over() {
    let house = House::with_delay(0);
    let mut server = house.start(["serve", "--json"]);
    let said: serde_json::Value = serde_json::from_str(server.line().expect("a line")).expect("JSON");
    assert_eq!(said["state"], "serving", "{said}");
    let serving = said["pid"].as_u64().expect("a process id");
    let whose = |house: &House| -> String {
        let done = house.meno(["doctor", "--json"]);
        let seen: serde_json::Value = serde_json::from_str(&done.stdout).expect("a document");
        let checks = seen["checks"].as_array().expect("checks");
        checks.iter().find(|check| check["name"] == "owner").expect("the owner")["found"].as_str().expect("words").to_owned()
    };
    let list = |house: &House| -> serde_json::Value {
        serde_json::from_str(&house.meno(["list-runs", "--json"]).exits(0).stdout).expect("a document")
    };

    // Two append through it at once, a third reads and notes.
    let runs = [run(&house, 1), run(&house, 2)].map(|running| running.end().ends());
    assert_eq!(list(&house)["total"], 2);
    house.meno(["note", "last", "kept by the server", "--rating", "4"]).exits(0);
    assert!(whose(&house).contains(&format!("process {serving} holds the store")), "{}", whose(&house));

    server.kill();
    let shown = house.meno(["show-run", "last"]).exits(0).stdout;
    assert!(shown.contains("kept by the server"), "{shown}");
    assert!(whose(&house).contains("no other process holds the store"));
    let after = run(&house, 3).end().ends();
    assert_eq!(list(&house)["total"], 3);
    let journal = house.journal();
    for done in runs.iter().chain([&after]) {
        assert_kept(&done.events(), &journal);
    }
    assert_nothing_repeated(&journal);

    // One that serves again finds everything, and goes when it is asked to.
    let mut server = house.start(["serve", "--json"]);
    assert!(server.line().expect("a line").contains("serving"));
    assert_eq!(list(&house)["total"], 3);
    server.signal(Signal::TERM);
    server.end().exits(0);
}

/// What `serve` says of how it was told to keep memory, when it starts with `variable` in its surroundings.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn told_of_memory(house: &House, variable: Option<(&str, &str)>) -> String {
    let trace = house.path("trace");
    let mut command = house.command(["serve", "--json", "--log-file"]);
    command.arg(&trace).env("MENO_LOG", "meno=debug").envs(variable);
    let mut server = Running::start(command);
    let said: serde_json::Value = serde_json::from_str(server.line().expect("a line")).expect("JSON");
    assert_eq!(said["pid"], server.id(), "it is the process that was started");
    server.signal(Signal::TERM);
    server.end().exits(0);
    let lines = std::fs::read_to_string(&trace).expect("a trace");
    std::fs::remove_file(&trace).expect("a trace");
    lines.lines().find(|line| line.contains("memory that was freed")).expect("a line of it").to_owned()
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn what_stays_gives_freed_memory_back_unless_someone_says_otherwise() {
    let house = House::new();
    let told = told_of_memory(&house, None);
    assert!(told.ends_with("trim_threshold=131072:glibc.malloc.mmap_threshold=131072"), "{told}");
    let told = told_of_memory(&house, Some(("GLIBC_TUNABLES", "glibc.malloc.arena_max=3")));
    assert!(told.ends_with("says: glibc.malloc.arena_max=3"), "{told}");
    let told = told_of_memory(&house, Some(("MALLOC_ARENA_MAX", "3")));
    assert!(told.ends_with("as the system likes"), "{told}");
}
