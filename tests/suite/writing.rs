//! Agents that change files: what they wrote is seen, judged, taken back, and never written twice, whatever is killed on the way.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use meno::event::{Event, Recorded, Resolution, ResolvedBy, ToolFault};
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::{Value, json};

use crate::harness::{Done, House, Running, assert_nothing_repeated, files, finish};

const RUN: [&str; 4] = ["run", "mend", "--no-input", "--json"];
const WRITING: [&str; 5] = ["run", "mend", "--no-input", "--json", "--allow-write"];
const PATCH: &str = "--- a/src/sum.txt\n+++ b/src/sum.txt\n@@ -1,3 +1,3 @@\n one\n-too\n+two\n three\n";

/// One agent that has to mend a file; a script checks that it did.
fn mender() -> Value {
    json!({
        "template_id": "mend", "name": "Mend", "description": "One agent that mends files", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Mend", "description": "What is broken", "questions": [
            {"id": "what", "text": "What?", "type": "text_input", "default": "the sum"}]},
        "agent_composition_rules": [
            {"role": "mender", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Mend {{answers.what}}.",
             "tools": ["read_file", "write_file", "apply_patch", "sh"], "success_criteria": [
                {"name": "the check passes", "type": "command", "run": ["sh", "check.sh"], "timeout_s": 60},
                {"name": "it was changed", "type": "file_changed", "path": "src/sum.txt"},
                {"name": "it is noted", "type": "file_exists", "path": "notes/why.md"}]}]
    })
}

fn house(replies: &Value) -> House {
    let house = House::new();
    house.template("mend", &mender());
    fs::create_dir(house.path("work/src")).expect("a folder");
    fs::write(house.path("work/src/sum.txt"), "one\ntoo\nthree\n").expect("written");
    fs::set_permissions(house.path("work/src/sum.txt"), fs::Permissions::from_mode(0o640)).expect("its mode");
    fs::write(house.path("work/old.txt"), "to be deleted\n").expect("written");
    fs::set_permissions(house.path("work/old.txt"), fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::write(house.path("work/check.sh"), "grep -q two src/sum.txt && ! test -e old.txt\n").expect("written");
    fs::write(house.path("script.json"), json!({"replies": replies}).to_string()).expect("written");
    settings(&house, "commands = [\"sh\"]\n");
    house
}

fn settings(house: &House, tools: &str) {
    let script = house.path("script.json");
    let script = script.display();
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{script}\"\n[tools]\n{tools}"
    ));
}

fn command(house: &House, args: &[&str]) -> Command {
    let mut command = house.command(args);
    command.env("PATH", "/usr/bin:/bin");
    command
}

fn meno(house: &House, args: &[&str]) -> Done {
    finish(command(house, args))
}

#[test]
fn what_git_would_run_later_and_a_program_changed_is_reported() {
    let program = json!({"name": "run_command", "arguments": {"program": "sh", "arguments": ["plant.sh"]}});
    let house = house(
        &json!([{"turn": 1, "times": 9, "text": "I run it.", "tool_calls": [program]}, {"turn": 2, "times": 9, "text": "x"}]),
    );
    fs::create_dir_all(house.path("work/.git/hooks")).expect("a folder");
    fs::write(house.path("work/plant.sh"), "echo evil > .git/hooks/post-commit\n").expect("written");
    let done = meno(&house, &["run", "mend", "--no-input"]).ends();
    assert!(done.stderr.contains("hooks/post-commit changed during this run"), "{}", done.stderr);
    let shown = meno(&house, &["show-run", "last", "--prompts"]).exits(0).stdout;
    assert!(shown.contains("hooks/post-commit changed while this ran"), "{shown}");
}

/// Replies that change three files by both tools, one in each turn, and then answer.
fn replies() -> Value {
    json!([
        {"turn": 1, "times": 9, "text": "I mend it.", "tool_calls": [
            {"name": "apply_patch", "arguments": {"patch": PATCH}},
            {"name": "write_file", "arguments": {"path": "notes/why.md", "content": "# Why\n\nIt said too.\n"}}]},
        {"turn": 2, "times": 9, "text": "And this goes.", "tool_calls": [
            {"name": "apply_patch", "arguments": {"patch": "--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-to be deleted\n"}},
            {"name": "write_file", "arguments": {"path": "notes/why.md", "content": "# Why\n\nIt said too, and was old.\n"}}]},
        {"turn": 3, "times": 9, "text": "It is mended."}
    ])
}

/// Every file below a folder with its bytes and its mode, and every folder.
fn picture(dir: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    let mut all = BTreeMap::new();
    for file in files(dir) {
        let mode = fs::metadata(&file).expect("there").permissions().mode() & 0o7777;
        all.insert(file.strip_prefix(dir).expect("inside").display().to_string(), (fs::read(&file).expect("read"), mode));
    }
    for entry in fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() {
            all.insert(format!("{}/", entry.file_name().display()), (Vec::new(), 0));
        }
    }
    all
}

fn count(journal: &[Recorded], kind: &str) -> usize {
    journal.iter().filter(|recorded| recorded.event.name() == kind).count()
}

#[test]
fn what_an_agent_wrote_is_checked_shown_and_taken_back_to_the_byte() {
    let house = house(&replies());
    let before = picture(&house.path("work"));
    let done = meno(&house, &["run", "mend", "--no-input", "--allow-write"]).exits(0);
    assert!(done.stderr.contains("agents may change files below") && done.stderr.contains("meno undo"), "{}", done.stderr);
    let run: Value = serde_json::from_str(&meno(&house, &["show-run", "last", "--json"]).exits(0).stdout).expect("JSON");
    let verdicts: Vec<&Value> =
        run["agents"][0]["attempts"][0]["criteria"].as_array().expect("criteria").iter().map(|c| &c["verdict"]).collect();
    assert_eq!((&run["verified"], verdicts), (&json!(true), vec![&json!("pass"); 3]), "{}", done.stdout);
    assert_eq!(fs::read_to_string(house.path("work/src/sum.txt")).expect("there"), "one\ntwo\nthree\n");
    let mode = fs::metadata(house.path("work/src/sum.txt")).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode, house.path("work/old.txt").exists()), (0o640, false));
    let shown = meno(&house, &["show-run", "last", "--diff"]).exits(0).stdout;
    for words in ["-too\n+two", "+++ b/notes/why.md", "+++ /dev/null", "-It said too.\n+It said too, and was old."] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    meno(&house, &["audit"]).exits(0);
    meno(&house, &["replay", "--verify", "--all"]).exits(0);

    let after = picture(&house.path("work"));
    let preview = meno(&house, &["undo", "last", "--dry-run", "--json"]).exits(0);
    assert_eq!(picture(&house.path("work")), after, "a preview changes nothing");
    let outcomes = |done: &Done| -> Vec<(String, String)> {
        let document: Value = serde_json::from_str(&done.stdout).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let files = document["files"].as_array().expect("files").clone();
        files.iter().map(|file| (text(&file["path"]), text(&file["outcome"]))).collect()
    };
    let undone = meno(&house, &["undo", "last", "--json"]).exits(0);
    assert_eq!(outcomes(&undone), outcomes(&preview));
    let expected =
        [("notes/why.md", "restored"), ("old.txt", "restored"), ("notes/why.md", "deleted"), ("src/sum.txt", "restored")];
    assert_eq!(outcomes(&undone), expected.map(|(path, outcome)| (path.to_owned(), outcome.to_owned())));
    assert_eq!(picture(&house.path("work")), before);
    let again = meno(&house, &["undo", "last"]).exits(0);
    assert!(again.stderr.contains("nothing to undo"), "{}", again.stderr);
    for refused in ["resume", "cancel"] {
        meno(&house, &[refused, "last"]).exits(1);
    }
    let locks = fs::read_dir(house.store().join("runs")).expect("a folder").count();
    assert_eq!(locks, 0, "a command that only looks or is refused leaves no lock file");
    assert_eq!(count(&house.journal(), "WriteUndone"), 4);
    assert!(meno(&house, &["show-run", "last", "--diff"]).exits(0).stdout.contains(", undone:"));
    meno(&house, &["audit"]).exits(0);
    meno(&house, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn what_somebody_changed_since_is_named_and_left() {
    let house = house(&replies());
    meno(&house, &WRITING).exits(0);
    fs::write(house.path("work/src/sum.txt"), "mine\n").expect("written");
    let undone = meno(&house, &["undo", "last"]).exits(1);
    assert!(undone.stdout.contains("src/sum.txt  changed since the run wrote it"), "{}", undone.stdout);
    assert_eq!(fs::read_to_string(house.path("work/src/sum.txt")).expect("there"), "mine\n");
    assert!(house.path("work/old.txt").exists() && !house.path("work/notes").exists());
}

#[test]
fn doctor_names_what_killed_writes_left() {
    let house = house(&replies());
    meno(&house, &WRITING).exits(0);
    let mut dead = Command::new("true").spawn().expect("it starts");
    let left = format!(".0123456789ab.{}-0.meno", dead.id());
    dead.wait().expect("it ends");
    fs::write(house.path("work/src").join(&left), "half").expect("written");
    // Of a process that lives, and of nobody's making.
    fs::write(house.path(&format!("work/src/.0123456789ab.{}-0.meno", std::process::id())), "").expect("written");
    fs::write(house.path("work/src/.0123456789ab.x-0.meno"), "").expect("written");
    let seen: Value = serde_json::from_str(&meno(&house, &["doctor", "--json"]).stdout).expect("JSON");
    let checks = seen["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["name"] == "writes").expect("it is named")["found"].to_string();
    assert!(found.contains(&left) && found.matches(".meno").count() == 1, "{found}");
}

#[test]
fn forgetting_outputs_keeps_what_undo_needs_and_says_so() {
    let house = house(&replies());
    meno(&house, &WRITING).exits(0);
    let said = meno(&house, &["forget", "last", "--outputs", "--yes"]).exits(0).stderr;
    assert!(said.contains("what 3 files held before") && said.contains("meno undo"), "{said}");
    meno(&house, &["undo", "last", "--dry-run"]).exits(0);
    let gone: Value = serde_json::from_str(&meno(&house, &["forget", "last", "--yes", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(gone["originals"], 0, "{gone}");
    meno(&house, &["undo", "last"]).exits(1);
    meno(&house, &["audit"]).exits(0);
}

#[test]
fn without_leave_nothing_is_written_and_the_start_says_so() {
    let house = house(&replies());
    let before = picture(&house.path("work"));
    let done = meno(&house, &["run", "mend", "--no-input"]).ends();
    assert!(done.stderr.contains("agents may not change files"), "{}", done.stderr);
    assert_eq!(picture(&house.path("work")), before);
    // What was allowed when the run began and is not any more is refused too.
    let mut running = Running::start(command(&house, &WRITING));
    running.until("CallStarted");
    running.kill();
    meno(&house, &["resume", "last", "--json"]).went_on();
    assert_eq!(picture(&house.path("work")), before);
}

#[test]
fn a_run_that_wrote_is_repeated_with_leave_and_says_when_it_has_none() {
    let house = house(&replies());
    let before = picture(&house.path("work"));
    let mended = || fs::read_to_string(house.path("work/src/sum.txt")).expect("there") == "one\ntwo\nthree\n";
    meno(&house, &WRITING).exits(0);
    meno(&house, &["undo", "last"]).exits(0);
    assert_eq!(picture(&house.path("work")), before);
    let done = meno(&house, &["rerun", "last"]).ends();
    let [says, back] = ["this run may by what it recorded, and lacks today's leave", "--retry-failed --allow-write`"];
    assert!(done.stderr.contains(says) && done.stdout.contains(back), "{}{}", done.stderr, done.stdout);
    assert_eq!(picture(&house.path("work")), before);
    for command in [["rerun", "last", "--allow-write"], ["fork", "last~1", "--allow-write"]] {
        meno(&house, &command).exits(0);
        assert!(mended(), "{command:?}");
        meno(&house, &["undo", "last"]).exits(0);
    }
    // One that began without leave keeps to that, and is repeated with it.
    meno(&house, &RUN).ends();
    let done = meno(&house, &["resume", "last", "--retry-failed", "--allow-write"]).ends();
    assert!(done.stderr.contains("a run keeps what it began with"), "{}", done.stderr);
    assert_eq!(picture(&house.path("work")), before);
    meno(&house, &["rerun", "last", "--allow-write"]).exits(0);
    assert!(mended());
}

#[test]
fn what_holds_keys_or_runs_unconfined_later_is_not_written() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let write = |path: &str, content: &str| json!({"name": "write_file", "arguments": {"path": path, "content": content}});
    let paths = [".env", ".git/hooks/post-commit", "sub/id_rsa", "../outside.txt", "/etc/motd", "link/inside.txt", "keyed.txt"];
    let calls: Vec<Value> =
        paths.iter().map(|path| write(path, "x\n")).chain([write("new.txt", &format!("k = {key}\n"))]).collect();
    let house =
        house(&json!([{"turn": 1, "times": 9, "text": "I try.", "tool_calls": calls}, {"turn": 2, "times": 9, "text": "No."}]));
    fs::create_dir_all(house.path("work/.git/hooks")).expect("a folder");
    fs::create_dir(house.path("elsewhere")).expect("a folder");
    std::os::unix::fs::symlink("../elsewhere", house.path("work/link")).expect("a link");
    fs::write(house.path("work/keyed.txt"), format!("k = {key}\n")).expect("written");
    let before = picture(&house.path("work"));
    meno(&house, &WRITING).ends();
    assert_eq!(picture(&house.path("work")), before);
    assert!(files(&house.path("elsewhere")).is_empty() && !house.path("outside.txt").exists());
    let journal = house.journal();
    assert_eq!((count(&journal, "ToolStarted"), count(&journal, "WritePrepared")), (8, 0));
    assert!(crate::harness::files_with(&house.store(), key).is_empty());
}

/// A run is killed at every event around its writes; what it goes on with is what was to come, once.
#[test]
fn a_run_killed_around_a_write_goes_on_and_writes_nothing_twice() {
    // A line that would stand there twice if it were inserted twice.
    let insert = |n: u32| format!("--- a/src/sum.txt\n+++ b/src/sum.txt\n@@ -1,{} +1,{} @@\n one\n+inserted {n}\n", 1, 2);
    let turn = |n: u32| json!({"turn": n, "times": 9, "delay_ms": 10, "text": "On.", "tool_calls": [{"name": "apply_patch", "arguments": {"patch": insert(n)}}]});
    let replies = json!([turn(1), turn(2), {"turn": 3, "times": 9, "delay_ms": 100, "text": "Done."}]);
    let (mut by_files, mut cuts) = (0, 0);
    for kind in ["ToolStarted", "WritePrepared", "ToolEnded"] {
        for nth in [1, 1, 2, 2] {
            let house = house(&replies);
            fs::write(house.path("work/check.sh"), "exit 0\n").expect("written");
            let mut running = Running::start(command(&house, &WRITING));
            (0..nth).for_each(|_| drop(running.until(kind)));
            running.kill();
            meno(&house, &["resume", "last", "--json", "--allow-write"]).went_on();
            let text = fs::read_to_string(house.path("work/src/sum.txt")).expect("there");
            assert_eq!(text, "one\ninserted 2\ninserted 1\ntoo\nthree\n", "killed at {kind} {nth}");
            let journal = house.journal();
            assert_nothing_repeated(&journal);
            assert_eq!((count(&journal, "ToolStarted"), count(&journal, "ToolEnded")), (2, 2), "killed at {kind} {nth}");
            by_files += journal
                .iter()
                .filter(|recorded| matches!(&recorded.event, Event::ToolResolved(body) if body.by == ResolvedBy::Files))
                .count();
            cuts += 1;
            let left = files(&house.path("work")).into_iter().filter(|file| file.extension().is_some_and(|end| end == "meno"));
            assert_eq!(left.count(), 0, "a temporary file is left");
            meno(&house, &["audit"]).exits(0);
            meno(&house, &["replay", "--verify", "--all"]).exits(0);
            meno(&house, &["undo", "last"]).exits(0);
            assert_eq!(fs::read_to_string(house.path("work/src/sum.txt")).expect("there"), "one\ntoo\nthree\n");
        }
    }
    assert!(by_files > 0, "in none of {cuts} runs was a write in flight");
}

/// What a run asks for that is killed everywhere: it writes, runs a program and patches, and each would show if it were done twice.
fn everything() -> House {
    let turn = |n: u32, text: &str, name: &str, arguments: Value| json!({"turn": n, "times": 9, "delay_ms": 5, "text": text, "tool_calls": [{"name": name, "arguments": arguments}]});
    let insert = "--- a/src/sum.txt\n+++ b/src/sum.txt\n@@ -1,2 +1,3 @@\n one\n-too\n+two\n+inserted\n";
    let house = house(&json!([
        turn(1, "I note it.", "write_file", json!({"path": "notes/why.md", "content": "# Why\n"})),
        turn(2, "I run it.", "run_command", json!({"program": "sh", "arguments": ["append.sh"]})),
        turn(3, "I mend it.", "apply_patch", json!({"patch": insert})),
        {"turn": 4, "times": 9, "delay_ms": 5, "text": "It is mended."}]));
    fs::write(house.path("work/check.sh"), "grep -q two src/sum.txt\n").expect("written");
    fs::write(house.path("work/append.sh"), "echo ran >> log.txt\nsleep 0.02\n").expect("written");
    house
}

/// Kills a run after so many of its events were shown and lets it go on to its end; says whether a person had to be asked.
fn killed_after(boundary: usize) -> (House, bool) {
    let house = everything();
    let mut running = Running::start(command(&house, &WRITING));
    for _ in 0..boundary {
        let _ = running.line();
    }
    running.kill();
    let before = house.journal();
    let done = meno(&house, &["resume", "last", "--json", "--allow-write"]);
    // Whoever is asked looks into the file: what ran had finished what counts, or had not begun.
    let is_asked = done.code == Some(3);
    if is_asked {
        let said = if house.path("work/log.txt").exists() { "done" } else { "not-done" };
        meno(&house, &["resolve", "last", said, "--json", "--allow-write"]).exits(0);
    } else {
        // One that had ended has nothing to go on with.
        assert!(matches!(done.code, Some(0 | 1)), "killed after event {boundary}: {}", done.stderr);
    }
    let after = house.journal();
    let hashes = |journal: &[Recorded]| journal.iter().map(|recorded| recorded.hash).collect::<Vec<_>>();
    assert_eq!(hashes(&after)[..before.len()], hashes(&before), "killed after event {boundary}");
    (house, is_asked)
}

/// What a run says, tool by tool and in the end, but for how long it took.
fn outcome(house: &House) -> (Value, Vec<(String, Option<ToolFault>, String)>) {
    let run: Value =
        serde_json::from_str(&meno(house, &["show-run", "last", "--json", "--prompts"]).exits(0).stdout).expect("JSON");
    let agent = &run["agents"][0];
    let calls = agent["attempts"].as_array().expect("attempts").iter().flat_map(|one| one["calls"].as_array());
    let tools = calls.flatten().filter_map(|call| call["tools"].as_array()).flatten();
    let told = tools.map(|tool| {
        let told = tool["result"].as_str().expect("a result");
        let told = if tool["tool"] == "run_command" { "it ran" } else { told };
        let fault = serde_json::from_value(tool["fault"].clone()).expect("a fault");
        (tool["tool"].to_string(), fault, told.to_owned())
    });
    (json!([run["status"], run["verified"], agent["output"], agent["status"]]), told.collect())
}

#[test]
fn a_run_that_writes_and_runs_programs_killed_at_every_event_ends_as_the_one_that_was_not() {
    let whole = everything();
    let printed = meno(&whole, &WRITING).exits(0).lines().len();
    let (expected, files) = (outcome(&whole), picture(&whole.path("work")));
    assert_eq!(expected.1.len(), 3, "{expected:?}");
    let journal = whole.journal();
    let calls = count(&journal, "CallStarted");
    assert!(printed >= journal.len(), "every event is shown: {printed} of {}", journal.len());
    let (next, asked) = (AtomicUsize::new(1), AtomicUsize::new(0));
    let work = || loop {
        let boundary = next.fetch_add(1, Ordering::Relaxed);
        if boundary > journal.len() {
            break;
        }
        let (house, is_asked) = killed_after(boundary);
        asked.fetch_add(usize::from(is_asked), Ordering::Relaxed);
        let journal = house.journal();
        assert_nothing_repeated(&journal);
        assert_eq!(outcome(&house), expected, "killed after event {boundary}");
        assert_eq!(picture(&house.path("work")), files, "killed after event {boundary}");
        assert_eq!(count(&journal, "CallStarted"), calls + count(&journal, "CallLost"), "killed after event {boundary}");
        assert_eq!((count(&journal, "ToolStarted"), count(&journal, "ToolEnded")), (3, 3), "killed after event {boundary}");
        meno(&house, &["audit"]).exits(0);
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    assert!(asked.into_inner() > 0, "nobody was asked about a program in any of {} runs", journal.len());
}

/// A run with a program that writes, killed while it runs; nobody but a person can say whether it had finished.
fn interrupted(effect: Option<&str>) -> House {
    let program = json!({"name": "run_command", "arguments": {"program": "sh", "arguments": ["append.sh"]}});
    let house = house(&json!([
        {"turn": 1, "times": 9, "text": "I run it.", "tool_calls": [program, {"name": "read_file", "arguments": {"path": "old.txt"}}]},
        {"turn": 2, "times": 9, "text": "It ran."}]));
    fs::write(house.path("work/check.sh"), "exit 0\n").expect("written");
    // It goes on when the test lets it, so that nothing of it is left running.
    fs::write(house.path("work/append.sh"), "echo ran >> log.txt\nwhile ! test -e go; do sleep 0.02; done\n").expect("written");
    if let Some(effect) = effect {
        settings(&house, &format!("[tools.commands.sh]\neffect = \"{effect}\"\n"));
    }
    let mut running = Running::start(command(&house, &RUN));
    running.until("ToolStarted");
    let log = house.path("work/log.txt");
    while !fs::read_to_string(&log).is_ok_and(|text| text == "ran\n") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.kill();
    fs::write(house.path("work/go"), "").expect("written");
    house
}

#[test]
fn a_run_waits_until_somebody_says_whether_a_program_had_finished() {
    for (answer, lines) in [("done", 1), ("not-done", 2), ("unknown", 1)] {
        let house = interrupted(None);
        let done = meno(&house, &["resume", "last"]).exits(3);
        assert!(done.stdout.contains("had tool 1 (run_command) finished when meno stopped?"), "{}\n{}", done.stdout, done.stderr);
        let listed: Value = serde_json::from_str(&meno(&house, &["list-runs", "--json"]).exits(0).stdout).expect("JSON");
        assert_eq!(listed["runs"][0]["status"], "awaiting_input", "{listed}");
        let shown = meno(&house, &["show-run", "last"]).exits(0).stdout;
        assert!(shown.contains("asks for 2 tools, of which 1 started"), "{shown}");
        assert!(shown.contains("meno resolve") && shown.contains("--tool 1 not-done"), "{shown}");
        // Asking again changes nothing.
        meno(&house, &["resume", "last"]).exits(3);
        meno(&house, &["resolve", "last", "--tool", "7", "done"]).exits(1);
        meno(&house, &["resolve", "last", "--tool", "1", answer, "--json"]).ends();
        assert_eq!(fs::read_to_string(house.path("work/log.txt")).expect("there").lines().count(), lines, "{answer}");
        let journal = house.journal();
        let resolved: Vec<(Resolution, ResolvedBy)> = journal
            .iter()
            .filter_map(|recorded| match &recorded.event {
                Event::ToolResolved(body) => Some((body.resolution, body.by)),
                _ => None,
            })
            .collect();
        assert_eq!(resolved.len(), 1);
        assert_eq!((resolved[0].0.name().replace('_', "-").as_str(), resolved[0].1), (answer, ResolvedBy::Person));
        assert_eq!(count(&journal, "ToolEnded"), 2);
        meno(&house, &["audit"]).exits(0);
        meno(&house, &["replay", "--verify", "--all"]).exits(0);
        meno(&house, &["resolve", "last", "done"]).exits(1);
    }
}

#[test]
fn a_run_that_begins_where_another_is_at_work_says_so() {
    let replies = json!([
        {"turn": 1, "times": 9, "text": "I run it.",
         "tool_calls": [{"name": "run_command", "arguments": {"program": "sh", "arguments": ["wait.sh"]}}]},
        {"turn": 2, "times": 9, "text": "It ran."}]);
    let house = house(&replies);
    fs::write(house.path("work/check.sh"), "exit 0\n").expect("written");
    fs::write(house.path("work/wait.sh"), "echo here >> here.txt\nwhile ! test -e go; do sleep 0.02; done\n").expect("written");
    let are_here = |count: usize| {
        let until = std::time::Instant::now() + crate::harness::DEADLINE;
        while fs::read_to_string(house.path("work/here.txt")).map_or(0, |text| text.lines().count()) < count {
            assert!(std::time::Instant::now() < until, "{count} programs have not begun");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let words = ["run", "mend", "--no-input"];
    let mut running = Running::start(command(&house, &RUN));
    let id = running.until("ToolStarted")["run_id"].as_str().expect("an id").to_owned();
    are_here(1);
    let other = Running::start(command(&house, &words));
    are_here(2);
    fs::write(house.path("work/go"), "").expect("written");
    let said = other.end().stderr;
    assert!(said.contains(&format!("run {id} works in this folder too")), "{said}");
    let first = running.end().stderr;
    assert!(!first.contains("in this folder too"), "{first}");
    let alone = meno(&house, &words).ends().stderr;
    assert!(!alone.contains("in this folder too"), "{alone}");
}

#[test]
fn a_program_that_does_no_harm_again_runs_again_by_itself() {
    let house = interrupted(Some("idempotent"));
    meno(&house, &["resume", "last", "--json"]).ends();
    assert_eq!(fs::read_to_string(house.path("work/log.txt")).expect("there").lines().count(), 2);
    let by: Vec<ResolvedBy> = house
        .journal()
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::ToolResolved(body) => Some(body.by),
            _ => None,
        })
        .collect();
    assert_eq!(by, [ResolvedBy::Effect]);
    meno(&house, &["audit"]).exits(0);
    meno(&house, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn nothing_is_left_running_when_a_run_is_stopped() {
    let program = json!({"name": "run_command", "arguments": {"program": "sh", "arguments": ["long.sh"]}});
    let house = house(
        &json!([{"turn": 1, "times": 9, "text": "I run it.", "tool_calls": [program]}, {"turn": 2, "times": 9, "text": "x"}]),
    );
    fs::write(house.path("work/long.sh"), "sleep 600 &\necho $! > below.pid\necho $$ > own.pid\nsleep 600\n").expect("written");
    let running = Running::start(command(&house, &RUN));
    let pid = |name: &str| -> Option<Pid> {
        let text = fs::read_to_string(house.path("work").join(name)).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    };
    let (below, own) = loop {
        match (pid("below.pid"), pid("own.pid")) {
            (Some(below), Some(own)) => break (below, own),
            _ => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    running.signal(Signal::INT);
    running.end().exits(130);
    // Whoever has lost its parent is waited for by the system, in its own time.
    let is_there = |pid: Pid| {
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        test_kill_process(pid).is_ok() && !state.contains(") Z ")
    };
    while is_there(below) || is_there(own) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // What was ended is known not to have finished: nobody is asked.
    meno(&house, &["resume", "last", "--json"]).ends();
}

#[test]
fn a_program_is_kept_to_the_workspace_where_the_system_can() {
    let script = "cat ../outside.txt; cat $HOME/.private; echo spilt > ../spilt.txt; echo kept > kept.txt; echo temp > $TMPDIR/t && cat $TMPDIR/t\n";
    let program = json!({"name": "run_command", "arguments": {"program": "sh", "arguments": ["spill.sh"]}});
    let house = house(
        &json!([{"turn": 1, "times": 9, "text": "I run it.", "tool_calls": [program]}, {"turn": 2, "times": 9, "text": "x"}]),
    );
    fs::write(house.path("work/spill.sh"), script).expect("written");
    fs::write(house.path("outside.txt"), "what lies outside\n").expect("written");
    fs::write(house.path("home/.private"), "what lies at home\n").expect("written");
    let ran = |house: &House| {
        let _ = (fs::remove_file(house.path("spilt.txt")), fs::remove_file(house.path("work/kept.txt")));
        let done = meno(house, &["run", "mend", "--no-input"]).ends();
        let shown = meno(house, &["show-run", "last", "--prompts"]).exits(0).stdout;
        (done.stderr, shown)
    };
    settings(&house, "commands = [\"sh\"]\nsandbox = \"off\"\n");
    let (said, shown) = ran(&house);
    assert!(
        said.contains("unconfined") && shown.contains("what lies outside") && house.path("spilt.txt").exists(),
        "{said}{shown}"
    );
    settings(&house, "commands = [\"sh\"]\n");
    let (said, shown) = ran(&house);
    if said.contains("no Landlock here") {
        return crate::harness::cannot_check("landlock", "this kernel has none");
    }
    assert!(said.contains("confined"), "{said}");
    assert!(
        !shown.contains("what lies outside") && !shown.contains("what lies at home") && !house.path("spilt.txt").exists(),
        "{shown}"
    );
    assert!(house.path("work/kept.txt").exists() && shown.contains("\ntemp\n"), "{shown}");
}

#[test]
fn an_agent_without_leave_gets_one_attempt_where_only_a_change_helps() {
    let house = house(&json!([{"turn": 1, "times": 9, "text": "I may not."}]));
    let mut template = mender();
    let rule = &mut template["agent_composition_rules"][0];
    rule["tier_strategy"] = json!("progressive");
    rule["tools"] = json!(["read_file", "write_file", "apply_patch"]);
    rule["success_criteria"] = json!([{"type": "command", "run": ["sh", "check.sh"]}, {"type": "min_words", "value": 2}]);
    house.template("mend", &template);
    let attempts = || count(&house.journal(), "AttemptStarted");
    let done = meno(&house, &RUN).ends();
    assert_eq!((attempts(), done.run()["agents"][0]["failure"]["reason"].as_str()), (1, Some("not_allowed")));
    let said = meno(&house, &["run", "mend", "--no-input"]).ends().stdout;
    assert!(said.contains("with leave to change files: `meno rerun") && said.contains("--allow-write`"), "{said}");
    // When it may write, or a program might, another tier may help; so it may where an answer fails.
    meno(&house, &WRITING).ends();
    assert_eq!(attempts() - 2, 3);
    template["agent_composition_rules"][0]["tools"] = json!(["write_file", "sh"]);
    house.template("mend", &template);
    meno(&house, &RUN).ends();
    assert_eq!(attempts() - 5, 3);
    template["agent_composition_rules"][0]["tools"] = json!(["write_file"]);
    template["agent_composition_rules"][0]["success_criteria"][1]["value"] = json!(9);
    house.template("mend", &template);
    fs::write(house.path("work/check.sh"), "exit 0\n").expect("written");
    meno(&house, &RUN).ends();
    assert_eq!(attempts() - 8, 3);
    meno(&house, &["audit"]).exits(0);
    meno(&house, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn a_test_command_that_runs_no_test_verifies_nothing() {
    let house = house(&json!([{"turn": 1, "times": 9, "text": "Done."}]));
    let mut template = mender();
    template["agent_composition_rules"][0]["success_criteria"] = json!([{"type": "command", "run": ["sh", "check.sh"]}]);
    house.template("mend", &template);
    for (ran, verified) in [(0, false), (2, true)] {
        fs::write(house.path("work/check.sh"), format!("echo 'Ran {ran} tests in 0.000s'; echo; echo OK\n")).expect("written");
        let done = meno(&house, &RUN).exits(0);
        assert_eq!(done.run()["verified"], verified, "{ran} tests");
        let shown = meno(&house, &["show-run", "last", "--outputs"]).exits(0).stdout;
        assert_eq!(shown.contains("ran no test, so it proves nothing"), !verified, "{shown}");
    }
    meno(&house, &["audit"]).exits(0);
}
