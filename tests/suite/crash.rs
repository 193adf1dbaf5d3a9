//! kill -9 at many instants: what was acknowledged is there, nothing finished is done again, and the chain holds.
//!
//! A run prints each event once it is durable, so the lines that a killed process leaves are what it had promised. `MENO_CRASH_ROUNDS`
//! sets how many kills there are; few by default, since every commit pays for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use meno::Access;
use meno::event::{Event, Recorded};
use meno::internals::store::Role;
use meno::internals::workspace::role;
use serde_json::Value;

use crate::harness::{House, Running, assert_kept, assert_nothing_repeated, files};

const RUN: [&str; 6] = ["run", "python_package_publish", "--no-input", "--seed", "7", "--json"];
/// Kills per test by default.
const ROUNDS: u64 = 12;

fn rounds() -> u64 {
    std::env::var("MENO_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// Lets a process write `lines` lines, then kills it; returns what it had printed.
fn killed_after(mut running: Running, lines: u64) -> Vec<Value> {
    for _ in 0..lines {
        if running.line().is_none() {
            break;
        }
    }
    running.kill().lines()
}

/// Returns how many lines to wait for in each round: steps over the whole run, and instants between them that look random but
/// are the same each time.
fn instants(whole: u64) -> Vec<u64> {
    let rounds = rounds().max(2);
    let steps = (0..rounds / 2).map(|step| 1 + step * (whole - 1) / (rounds / 2));
    let scattered = (0..rounds - rounds / 2).map(|round| 1 + (round * 7919 + 104_729) * 2_654_435_761 % whole);
    steps.chain(scattered).collect()
}

/// Resumes a killed run and checks what became of it; returns whether there was anything to go on with.
#[track_caller]
fn check_resumed(house: &House, printed: &[Value], at: u64) -> bool {
    let events: Vec<Value> = printed.iter().filter(|line| line["type"] == "event").cloned().collect();
    let id = events.first().unwrap_or_else(|| panic!("nothing was printed in round {at}"))["run_id"].as_str().expect("an id");
    let resumed = house.meno(["resume", id, "--json"]);
    if resumed.code != Some(0) {
        // It had ended before the kill came; then there is nothing to go on with, and the log says so.
        assert_eq!(resumed.code, Some(1), "killed after {at} lines: {}", resumed.stderr);
    }
    let journal = house.journal();
    let run = |recorded: &&Recorded| recorded.envelope.run.is_some_and(|run| run.to_string() == id);
    assert_kept(&events, &journal);
    assert_nothing_repeated(&journal);
    let kinds: Vec<&Event> = journal.iter().filter(run).map(|recorded| &recorded.event).collect();
    assert_eq!(kinds.iter().filter(|event| matches!(event, Event::RunSucceeded(_))).count(), 1, "killed after {at} lines");
    assert!(matches!(kinds.last(), Some(Event::RunSucceeded(_))), "killed after {at} lines");
    assert_one_call_for_each_passed_attempt(&kinds);
    if resumed.code == Some(0) {
        assert_eq!(resumed.run()["status"], "succeeded");
        assert_kept(&resumed.events(), &journal);
    }
    resumed.code == Some(0)
}

/// Kills a run at each instant and resumes it.
#[track_caller]
fn kill_and_resume(house: &House, whole: u64) {
    let instants = instants(whole);
    let went_on = instants.iter().filter(|at| check_resumed(house, &killed_after(house.start(RUN), **at), **at)).count();
    // Late kills may come after the end; a test in which most do has killed nothing.
    assert!(went_on * 2 > instants.len(), "only {went_on} of {} kills hit a run at work", instants.len());
}

/// The work of an attempt that passed was paid once: one call and one cost for the answer and for each turn with tools.
#[track_caller]
fn assert_one_call_for_each_passed_attempt(events: &[&Event]) {
    let (mut calls, mut costs) = (BTreeMap::new(), BTreeMap::new());
    let mut of_call = BTreeMap::new();
    let (mut turns, mut lost) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::CallStarted(body) => {
                *calls.entry((body.agent, body.attempt)).or_insert(0) += 1;
                of_call.insert(body.call, (body.agent, body.attempt));
            }
            Event::ToolStarted(body) => {
                turns.insert(body.call);
            }
            Event::CallLost(body) => {
                lost.insert(body.call);
            }
            Event::CostIncurred(body) => *costs.entry((body.agent, body.attempt)).or_insert(0) += 1,
            _ => {}
        }
    }
    for event in events {
        if let Event::AgentSucceeded(body) = event {
            let attempt = (body.agent, body.attempt);
            let of_attempt = |calls: &BTreeSet<u32>| calls.iter().filter(|call| of_call.get(call) == Some(&attempt)).count();
            // Within a conversation a call that was lost with its process is made once more; what it cost is not known.
            let (paid, made) = (1 + of_attempt(&turns), 1 + of_attempt(&turns) + of_attempt(&lost));
            assert_eq!((calls.get(&attempt), costs.get(&attempt)), (Some(&made), Some(&paid)), "{body:?}");
        }
    }
}

#[test]
fn an_owner_killed_at_any_instant_has_kept_what_it_said_and_goes_on() {
    // One store sees all the kills, so that each recovery meets what the ones before left.
    let house = House::with_delay(4);
    let whole = house.meno(RUN).exits(0).lines().len() as u64;
    kill_and_resume(&house, whole);
}

#[test]
fn a_client_killed_at_any_instant_leaves_the_owner_whole() {
    let house = House::with_delay(4);
    let whole = house.meno(RUN).exits(0).lines().len() as u64;
    let owner = house.workspace(Access::Write, true);
    assert_eq!(role(&owner), Some(Role::Owner));
    kill_and_resume(&house, whole);
    // No child ever became the owner in between.
    assert_eq!(role(&owner), Some(Role::Owner));
}

#[test]
fn a_kill_while_a_run_is_resumed_loses_nothing_either() {
    let house = House::with_delay(15);
    let mut printed = killed_after(house.start(RUN), 30);
    let id = printed[0]["run_id"].as_str().expect("an id").to_owned();
    for _ in 0..4 {
        printed.extend(killed_after(house.start(["resume", &id, "--json"]), 6));
    }
    assert!(check_resumed(&house, &printed, 30), "it had ended before it was resumed for good");
}

/// Returns every event of the store as its commands read it: through the index, not from the journal's files.
fn through_the_index(house: &House) -> Vec<(u64, String)> {
    let workspace = house.workspace(Access::Read, false);
    let events = workspace.runs().events(1).map(|event| event.expect("readable"));
    events.map(|event| (event.envelope.seq, event.hash.to_string())).collect()
}

fn in_the_journal(house: &House) -> Vec<(u64, String)> {
    house.journal().iter().map(|recorded| (recorded.envelope.seq, recorded.hash.to_string())).collect()
}

/// Returns a run as it is told from the index, with the runs' list.
fn told(house: &House) -> String {
    let workspace = house.workspace(Access::Read, false);
    let id = workspace.runs().find_run("last").expect("a run");
    serde_json::to_string(&workspace.runs().detail(id).expect("its story")).expect("JSON")
}

fn remove(path: &Path) {
    fs::remove_dir_all(path).expect("it is removed");
}

#[test]
fn a_deleted_index_is_built_anew_from_the_journal() {
    let house = House::with_delay(0);
    house.meno(RUN).exits(0);
    let (journal, story) = (in_the_journal(&house), told(&house));
    assert_eq!(through_the_index(&house), journal);
    remove(&house.store().join("log"));
    assert_eq!(through_the_index(&house), journal);
    assert_eq!(told(&house), story);
    assert_eq!(in_the_journal(&house), journal);
    remove(&house.store().join("log/views"));
    assert_eq!(told(&house), story);
}

#[test]
fn a_damaged_index_is_built_anew_from_the_journal() {
    type Damage = fn(&[u8]) -> Vec<u8>;
    let damages: [Damage; 4] = [
        |bytes| bytes.iter().map(|byte| !byte).collect(),
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |_| Vec::new(),
        |bytes| bytes.iter().enumerate().map(|(at, byte)| if at % 97 == 13 { byte ^ 0x55 } else { *byte }).collect(),
    ];
    let house = House::with_delay(0);
    house.meno(RUN).exits(0);
    let (journal, story) = (in_the_journal(&house), told(&house));
    for (number, damage) in damages.into_iter().enumerate() {
        let mut damaged = 0;
        for file in files(&house.store().join("log")) {
            // Building one index anew may clear away its other files.
            let Ok(sound) = fs::read(&file) else { continue };
            damaged += 1;
            fs::write(&file, damage(&sound)).expect("it is damaged");
            assert_eq!(through_the_index(&house), journal, "{} after damage {number}", file.display());
            assert_eq!(told(&house), story, "{} after damage {number}", file.display());
        }
        assert!(damaged >= 4, "both indexes have data and a configuration");
    }
    assert_eq!(in_the_journal(&house), journal);
    house.meno(RUN).exits(0);
}

#[test]
fn what_killed_calls_cost_is_said_to_be_in_no_sum() {
    let house = House::with_delay(60_000);
    let mut running = house.start(RUN);
    running.until("CallStarted");
    running.kill();
    let notices = |more: &[&str]| {
        let costs = house.meno([&["costs", "--json"], more].concat()).exits(0).stdout;
        serde_json::from_str::<Value>(&costs).expect("JSON")["notices"].to_string()
    };
    let counts = |more: &[&str]| notices(more).contains("1 run without an end");
    assert!(counts(&[]) && counts(&["--where", &format!("template={}", RUN[1])]) && counts(&["--where", "tier=premium"]));
    // What the question does not ask for is not missing in its sum.
    for beside in [
        ["--where", "template=another"],
        ["--where", "mode=real"],
        ["--where", "node=another"],
        ["--since", "2100-01-01"],
        ["--until", "2020-01-01"],
    ] {
        assert!(!counts(&beside), "{beside:?}: {}", notices(&beside));
    }
    house.meno(["cancel", "last"]).ends();
    assert!(!notices(&[]).contains("without an end"), "{}", notices(&[]));
}
