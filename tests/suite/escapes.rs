//! What programs, templates and crashes might get out of a run: settings that were edited, programs that stay, folders that are too large.

use std::fs;
use std::process::Command;
use std::time::Duration;

use meno::event::{Event, Text, ToolFault};
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::{Value, json};

use crate::harness::{Done, House, Running, finish};

const RUN: [&str; 4] = ["run", "work", "--no-input", "--json"];
const PLAIN: [&str; 3] = ["run", "work", "--no-input"];

/// One agent with these tools and no criteria.
fn worker(tools: &[&str]) -> Value {
    json!({
        "template_id": "work", "name": "Work", "description": "One agent that works", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Work", "description": "What is done", "questions": [
            {"id": "what", "text": "What?", "type": "text_input", "default": "the work"}]},
        "agent_composition_rules": [
            {"role": "worker", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Do {{answers.what}}.",
             "tools": tools}]
    })
}

/// Replies that ask for one tool call, and then answer.
fn asks(tool: &str, arguments: &Value) -> Value {
    let call = json!({"name": tool, "arguments": arguments});
    json!([{"turn": 1, "times": 9, "text": "I do it.", "tool_calls": [call]}, {"turn": 2, "times": 9, "text": "It is done."}])
}

fn runs(script: &str) -> Value {
    asks("run_command", &json!({"program": "sh", "arguments": ["-c", script]}))
}

/// Settings under which a simulated model says `replies`.
fn settings(house: &House, replies: &Value, tools: &str) {
    let script = house.path("script.json");
    fs::write(&script, json!({"replies": replies}).to_string()).expect("written");
    let script = script.display();
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{script}\"\n[tools]\n{tools}"
    ));
}

fn house(tools: &[&str], replies: &Value, allowed: &str) -> House {
    let house = House::new();
    house.template("work", &worker(tools));
    settings(&house, replies, allowed);
    house
}

fn command(house: &House, args: &[&str]) -> Command {
    let mut command = house.command(args);
    command.env("PATH", "/usr/bin:/bin");
    command
}

fn meno(house: &House, args: &[&str]) -> Done {
    finish(command(house, args))
}

/// Returns what came of the tools of all runs: their faults, and what the model was told.
fn results(house: &House) -> Vec<(Option<ToolFault>, String)> {
    let ended = house.journal().into_iter().filter_map(|recorded| match recorded.event {
        Event::ToolEnded(body) => Some((body.fault, body.private)),
        _ => None,
    });
    ended
        .map(|(fault, private)| match private.map(|private| private.result) {
            Some(Text::Inline(text)) => (fault, text),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A project with a store of its own, which the user trusts; `folder` is where it lies.
fn in_project(house: &House, args: &[&str]) -> Done {
    let mut command = command(house, args);
    command.env_remove("MENO_STORE").current_dir(house.path("work/project"));
    finish(command)
}

#[test]
fn settings_that_a_program_of_a_run_edits_do_not_count_until_they_are_trusted_again() {
    let house = House::new();
    fs::create_dir(house.path("work/project")).expect("a folder");
    let evil = "printf '[tools]\\nsandbox = \"off\"\\n' > .meno/config.toml; echo x > .meno/templates/planted.json";
    settings(&house, &runs(evil), "commands = [\"sh\"]\n");
    in_project(&house, &["init"]).exits(0);
    fs::write(house.path("work.json"), worker(&["sh"]).to_string()).expect("written");
    in_project(&house, &["template", "add", "../../work.json"]).exits(0);
    // What meno writes in the user's name stays trusted.
    in_project(&house, &["config", "tools.max_turns=3"]).exits(0);
    let shown = |key: &str| in_project(&house, &["config", key]).exits(0);
    assert!(shown("tools.max_turns").stdout.contains('3'));
    let done = in_project(&house, &PLAIN).ends();
    for words in ["config.toml changed during this run", "planted.json changed during this run", "the store", "Unix sockets"] {
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    }
    let after = shown("tools.sandbox");
    assert!(after.stderr.contains("are not those that were trusted") && !after.stdout.contains("off"), "{after:?}");
    in_project(&house, &["trust"]).exits(0);
    assert!(shown("tools.sandbox").stdout.contains("off"));
}

#[test]
fn a_strangers_template_runs_no_program_unasked_and_hides_none_that_ships() {
    let house = House::new();
    let templates = house.path("work/project/.meno/templates");
    fs::create_dir_all(&templates).expect("a folder");
    let mut template = worker(&[]);
    template["agent_composition_rules"][0]["success_criteria"] =
        json!([{"name": "x", "type": "command", "run": ["sh", "-c", "touch ran"]}]);
    fs::write(templates.join("work.json"), template.to_string()).expect("written");
    template["template_id"] = json!("python_package_publish");
    fs::write(templates.join("python_package_publish.json"), template.to_string()).expect("written");
    settings(&house, &json!([]), "commands = [\"sh\"]\n");
    let refused = in_project(&house, &PLAIN).exits(1);
    assert!(refused.stderr.contains("would run sh here") && refused.stderr.contains("meno trust"), "{}", refused.stderr);
    in_project(&house, &["run", "python_package_publish", "--no-input"]).ends();
    assert!(!house.path("work/project/ran").exists());
    in_project(&house, &["trust"]).exits(0);
    in_project(&house, &PLAIN).ends();
    assert!(house.path("work/project/ran").exists());
}

#[test]
fn programs_are_not_confined_to_a_folder_that_holds_the_home_folder() {
    let house = house(&["sh"], &runs("touch ran"), "commands = [\"sh\"]\n");
    for folder in ["home", ""] {
        let mut command = command(&house, &PLAIN);
        command.current_dir(house.path(folder));
        let refused = finish(command).exits(1);
        assert!(refused.stderr.contains("holds your home folder"), "{}", refused.stderr);
        assert!(!house.path(folder).join("ran").exists());
    }
    meno(&house, &PLAIN).ends();
}

#[test]
fn a_run_that_is_continued_elsewhere_works_where_it_began_and_ends_what_was_left_running() {
    let script = "if test -f pid; then touch again; else echo $$ > pid; exec sleep 600; fi";
    let house = house(&["sh"], &runs(script), "[tools.commands.sh]\neffect = \"idempotent\"\n");
    let running = Running::start(command(&house, &RUN));
    let left = loop {
        let text = fs::read_to_string(house.path("work/pid")).unwrap_or_default();
        match text.trim().parse().ok().and_then(Pid::from_raw) {
            Some(pid) => break pid,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // It is noted as soon as it has started.
    let is_written = |note: fs::DirEntry| note.metadata().is_ok_and(|about| about.len() > 0);
    while !fs::read_dir(house.store().join("programs")).is_ok_and(|mut notes| notes.any(|note| note.is_ok_and(is_written))) {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill();
    assert!(test_kill_process(left).is_ok(), "a program outlives what started it");
    let mut elsewhere = command(&house, &["resume", "last"]);
    elsewhere.current_dir(house.path("data"));
    let done = finish(elsewhere).exits(0);
    assert!(done.stderr.contains("had left running: sh"), "{}", done.stderr);
    assert!(done.stderr.contains("where it began"), "{}", done.stderr);
    assert!(house.path("work/again").exists() && !house.path("data/again").exists() && !house.path("data/pid").exists());
    let state = fs::read_to_string(format!("/proc/{}/stat", left.as_raw_nonzero())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
    assert_eq!(fs::read_dir(house.store().join("programs")).expect("the notes").count(), 0);
}

#[test]
fn a_run_whose_folder_is_gone_is_not_continued_in_another() {
    let house = house(&["read_file"], &asks("read_file", &json!({"path": "x"})), "");
    fs::create_dir(house.path("work/sub")).expect("a folder");
    let script = fs::read_to_string(house.path("config/meno/config.toml")).expect("read");
    house.configure(&script.replace("[simulated]\n", "[simulated]\ndelay_ms = 60000\n"));
    let mut command = command(&house, &RUN);
    command.current_dir(house.path("work/sub"));
    let mut running = Running::start(command);
    running.until("CallStarted");
    running.kill();
    fs::rename(house.path("work/sub"), house.path("work/moved")).expect("moved");
    let refused = meno(&house, &["resume", "last"]).exits(1);
    assert!(refused.stderr.contains("work/sub") && refused.stderr.contains("is gone"), "{}", refused.stderr);
}

#[test]
fn a_terminal_that_closes_pauses_the_run_and_ends_its_programs() {
    // Who was started to outlive its terminal hands that on: then the program is right to go on.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    if mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 1 == 1) {
        return;
    }
    let house = house(&["sh"], &runs("echo $$ > pid; exec sleep 600"), "commands = [\"sh\"]\n");
    let running = Running::start(command(&house, &RUN));
    while !fs::read_to_string(house.path("work/pid")).is_ok_and(|text| text.ends_with('\n')) {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::HUP);
    running.end().exits(130);
    let pid = fs::read_to_string(house.path("work/pid")).expect("there").trim().to_owned();
    let until = std::time::Instant::now() + crate::harness::DEADLINE;
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(std::time::Instant::now() < until, "{}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_built_in_tools_name_is_no_leave_to_run_the_program_that_is_called_so() {
    let house = house(
        &["git"],
        &asks("run_command", &json!({"program": "git", "arguments": ["init", "made"]})),
        "commands = [\"git\"]\n",
    );
    let done = meno(&house, &PLAIN).ends();
    assert!(!done.stderr.contains("runs git in"), "{}", done.stderr);
    assert_eq!(results(&house)[0].0, Some(ToolFault::UnknownTool));
    assert!(!house.path("work/made").exists());
    // A name that a model makes up is no row of its own.
    let costs = meno(&house, &["costs", "--by", "tool"]).exits(0).stdout;
    assert!(costs.contains("(unknown)") && !costs.contains("run_command"), "{costs}");
}

#[test]
fn an_agent_recalls_what_a_past_run_of_the_store_said() {
    let house = house(&["recall"], &asks("recall", &json!({"query": "heron migration"})), "");
    fs::write(house.path("first.json"), json!({"replies": [{"times": 9, "text": "The heron migration was late."}]}).to_string())
        .expect("written");
    let with_recall = fs::read_to_string(house.path("config/meno/config.toml")).expect("read");
    house.configure(&with_recall.replace("script.json", "first.json"));
    meno(&house, &["run", "work", "--no-input", "--set", "what=watch herons"]).ends();
    house.configure(&with_recall);
    let done = meno(&house, &PLAIN).ends();
    assert!(done.stderr.contains("agents may search the runs of this store (recall)"), "{}", done.stderr);
    assert!(!done.stderr.contains("may read files"), "{}", done.stderr);
    let (fault, told) = results(&house).remove(0);
    assert!(fault.is_none() && told.contains("1. run ") && told.contains("heron migration was late"), "{told}");
    meno(&house, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn http_get_fetches_from_no_origin_that_is_not_allowed_and_never_from_this_machine() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let allowed = format!("origins = [\"{origin}\"]\n");
    let asked = |url: &str| {
        let house = house(&["http_get"], &asks("http_get", &json!({"url": url})), &allowed);
        let done = meno(&house, &PLAIN).ends();
        assert!(done.stderr.contains("agents may fetch from the origins"), "{}", done.stderr);
        assert!(done.stderr.contains(&format!("nothing can be fetched from `{origin}`")), "{}", done.stderr);
        results(&house).remove(0)
    };
    let (fault, told) = asked("https://example.com/");
    assert!(fault == Some(ToolFault::NotAllowed) && told.contains("do not allow https://example.com"), "{told}");
    let (fault, told) = asked(&format!("{origin}/secret"));
    assert!(fault == Some(ToolFault::NotAllowed) && told.starts_with("Not fetched"), "{told}");
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn a_sandbox_that_is_required_is_whole_or_nothing_runs() {
    let house = house(&["sh"], &runs("touch ran; touch ../spilt"), "commands = [\"sh\"]\nsandbox = \"require\"\n");
    let done = meno(&house, &PLAIN);
    if done.code == Some(1) {
        assert!(done.stderr.contains("does not enforce") && !house.path("work/ran").exists(), "{}", done.stderr);
        return;
    }
    let done = done.ends();
    assert!(done.stderr.contains("confined to it"), "{}", done.stderr);
    assert!(
        done.stderr.contains("these programs have no network") && done.stderr.contains("`network = true`"),
        "{}",
        done.stderr
    );
    assert!(house.path("work/ran").exists() && !house.path("spilt").exists());
}

#[test]
fn writes_that_are_not_captured_are_not_promised_to_be_taken_back() {
    let house = house(&["write_file"], &asks("write_file", &json!({"path": "new.txt", "content": "x\n"})), "");
    let more = fs::read_to_string(house.path("config/meno/config.toml")).expect("read");
    house.configure(&more.replace("[simulated]", "[capture]\noutputs = \"hash\"\n[simulated]"));
    let done = meno(&house, &["run", "work", "--no-input", "--allow-write"]).ends();
    assert!(done.stderr.contains("cannot be taken back") && !done.stderr.contains("takes it back"), "{}", done.stderr);
    let undone = meno(&house, &["undo", "last"]).exits(1);
    assert!(undone.stdout.contains("capture.outputs") && !undone.stdout.contains("changed since"), "{}", undone.stdout);
    assert!(house.path("work/new.txt").exists());
    let shown = meno(&house, &["show-run", "last", "--diff"]).exits(0).stdout;
    assert!(!shown.contains("no tool changed a file"), "{shown}");
}

#[test]
fn a_refused_write_is_no_fact_of_the_memory() {
    let house =
        house(&["write_file"], &asks("write_file", &json!({"path": ".env", "content": "quagga\n"})), "allow_write = true\n");
    meno(&house, &PLAIN).ends();
    assert_eq!(results(&house)[0].0, Some(ToolFault::NotAllowed));
    let found = meno(&house, &["search", "\"changed .env\"", "--json"]).exits(0).stdout;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["total"], 0, "{found}");
}

#[test]
fn what_an_earlier_attempt_changed_is_the_agents_change() {
    let mut template = worker(&["write_file"]);
    template["agent_composition_rules"][0]["tier_strategy"] = json!("progressive");
    template["agent_composition_rules"][0]["success_criteria"] = json!([
        {"name": "changed", "type": "file_changed", "path": "a.txt"}, {"name": "good", "type": "contains", "value": "good"}]);
    let house = House::new();
    house.template("work", &template);
    let call = json!({"name": "write_file", "arguments": {"path": "a.txt", "content": "new\n"}});
    let replies = json!([
        {"attempt": 1, "turn": 1, "text": "I write.", "tool_calls": [call]}, {"attempt": 1, "turn": 2, "text": "It is bad."},
        {"attempt": 2, "text": "It is good."}]);
    settings(&house, &replies, "allow_write = true\n");
    fs::write(house.path("work/a.txt"), "old\n").expect("written");
    let run = meno(&house, &RUN).exits(0).run();
    assert_eq!((&run["status"], &run["verified"]), (&json!("succeeded"), &json!(true)), "{run}");
    meno(&house, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn a_run_whose_writes_were_taken_back_says_so_when_it_goes_on() {
    let call = json!({"name": "write_file", "arguments": {"path": "a.txt", "content": "new\n"}});
    let replies = json!([{"turn": 1, "times": 9, "text": "I write.", "tool_calls": [call]},
        {"turn": 2, "times": 9, "delay_ms": 30_000, "text": "Done."}]);
    let house = house(&["write_file"], &replies, "allow_write = true\n");
    let mut running = Running::start(command(&house, &RUN));
    running.until("ToolEnded");
    running.until("CallStarted");
    running.signal(Signal::INT);
    running.end().exits(130);
    meno(&house, &["undo", "last"]).exits(0);
    let quick = fs::read_to_string(house.path("script.json")).expect("read").replace("30000", "1");
    fs::write(house.path("script.json"), quick).expect("written");
    let done = meno(&house, &["resume", "last"]).ends();
    assert!(done.stderr.contains("were taken back (undo)"), "{}", done.stderr);
}

#[test]
fn doctor_looks_at_what_agents_may_use() {
    let house = House::new();
    house.configure(
        "[tools]\ncommands = [\"sh\", \"no-such-program\"]\norigins = [\"*\", \"https://docs.rs\", \"http://10.0.0.1\"]\n",
    );
    let shown = meno(&house, &["doctor"]).exits(0).stdout;
    for words in
        ["no program `no-such-program`", "`*`: it is no scheme and host", "`http://10.0.0.1`: nothing is fetched from private"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("`https://docs.rs`:") && shown.contains("sandbox"), "{shown}");
}
