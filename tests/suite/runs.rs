//! Runs from the command line to the end: what is printed, what is kept, and what is never to be found anywhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use meno::event::{Event, FailureReason};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{House, assert_kept, assert_nothing_repeated, files, files_with, finish};

const PUBLISH: [&str; 8] = ["run", "python_package_publish", "--no-input", "--preset", "simulated", "--seed", "7", "--json"];

/// Returns the events of a kind.
fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["kind"] == kind).collect()
}

/// Two questions without a default, a secret, and a file that agents read.
fn tiny() -> Value {
    let agent = |role: &str, prompt: &str| {
        json!({"role": role, "base_template": "generic", "prompt": prompt,
               "success_criteria": [{"name": "long enough", "type": "min_words", "value": 3}]})
    };
    json!({
        "template_id": "tiny", "name": "Tiny", "description": "Two agents", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Tiny", "description": "As little as there can be", "questions": [
            {"id": "topic", "text": "About what?", "type": "text_input"},
            {"id": "size", "text": "How long?", "type": "single_select", "options": ["short", "long"]},
            {"id": "token", "text": "Which token?", "type": "secret", "env": "TINY_TOKEN", "required": false}]},
        "inputs": [{"id": "notes", "description": "What is known", "kind": "file", "required": false}],
        "agent_composition_rules": [
            agent("writer", "Write about {{answers.topic}}, {{answers.size}}.\n\n{{inputs.notes}}"),
            agent("reader", "Say what this means.\n\n{{agents.writer.output}}")],
        "report": "{{agents.reader.output}}"
    })
}

#[test]
fn a_whole_run_says_what_it_did_and_adds_up() {
    let house = House::new();
    let done = house.meno(PUBLISH).exits(0);
    let (events, run) = (done.events(), done.run());

    assert_eq!(events.len() + 1, done.lines().len(), "every other line is an event");
    assert_eq!(of_kind(&events, "RunStarted")[0]["data"]["mode"], "simulated");
    assert!(!of_kind(&events, "TierEscalated").is_empty(), "nobody climbed");
    assert_kept(&events, &house.journal());
    assert_eq!(events.last().expect("events")["hash"], run["head"]);

    assert_eq!(
        (&run["mode"], &run["status"], &run["template_id"]),
        (&json!("simulated"), &json!("succeeded"), &json!("python_package_publish"))
    );
    assert_eq!(run["events"], events.len());
    let costs = of_kind(&events, "CostIncurred");
    let sum = |of: &dyn Fn(&Value) -> bool| -> u64 {
        costs.iter().filter(|cost| of(cost)).map(|cost| cost["data"]["amount"].as_u64().expect("a price")).sum()
    };
    assert_eq!(run["cost_nusd"], sum(&|_| true));
    assert_eq!(run["verification_cost_nusd"], sum(&|cost| cost["data"]["purpose"] == "judge"));
    let usd: f64 = run["cost_usd"].as_str().expect("a decimal").parse().expect("a number");
    assert_eq!((usd * 1e9).round() as u64, sum(&|_| true));
    let fields = [
        "run_id",
        "template_version",
        "template_hash",
        "verified",
        "started_at",
        "ended_at",
        "duration_ms",
        "cost_complete",
        "unpriced_calls",
        "tokens",
        "budget_nusd",
        "answers",
        "agents",
        "skipped_rules",
        "labels",
        "notes",
        "lineage",
    ];
    for field in fields {
        assert!(run.get(field).is_some(), "`{field}` is missing");
    }
    let agents = run["agents"].as_array().expect("agents");
    assert_eq!(agents.iter().map(|agent| agent["cost_nusd"].as_u64().expect("known")).sum::<u64>(), sum(&|_| true));
    for agent in agents {
        for field in ["agent_id", "role", "status", "verified", "strategy", "tier", "duration_ms", "output"] {
            assert!(agent.get(field).is_some(), "`{field}` of {} is missing", agent["role"]);
        }
        for attempt in agent["attempts"].as_array().expect("attempts") {
            for field in [
                "attempt",
                "tier",
                "provider",
                "model",
                "status",
                "verified",
                "stop_reason",
                "error",
                "cost_nusd",
                "tokens",
                "duration_ms",
                "criteria",
                "escalated_to",
            ] {
                assert!(attempt.get(field).is_some(), "`{field}` of {} is missing", attempt["attempt"]);
            }
            assert_eq!(attempt["provider"], "simulated");
        }
    }
}

#[test]
fn people_are_told_that_a_run_was_simulated() {
    let house = House::new();
    let done = house.meno(["run", "python_package_publish", "--no-input", "--preset", "simulated", "--seed", "7"]).exits(0);
    assert!(done.stdout.contains("simulated"), "{}", done.stdout);
    // Where nobody chose a model, nobody may take the simulation for work.
    let unset = house.meno(["run", "test_maintenance", "--no-input"]).ends();
    assert!(unset.stderr.contains("simulated") && unset.stdout.contains("simulated"), "{}", unset.stderr);
}

#[test]
fn the_same_seed_gives_the_same_work_and_another_one_gives_other() {
    let told = |seed: &str| {
        let house = House::new();
        let args = ["run", "python_package_publish", "--no-input", "--preset", "simulated", "--json", "--seed", seed];
        let run = house.meno(args).ends().run();
        let agents = run["agents"].as_array().expect("agents").clone();
        let told = |agent: &Value| json!([agent["role"], agent["output"], agent["tier"], agent["cost_nusd"]]);
        (agents.iter().map(told).collect::<Vec<_>>(), run["cost_nusd"].clone(), run["report"].clone())
    };
    let seven = told("7");
    assert_eq!(seven, told("7"));
    assert_ne!(seven, told("8"));
}

#[test]
fn every_shipped_template_runs_on_its_defaults() {
    let house = House::new();
    let listed: Value = serde_json::from_str(&house.meno(["list-templates", "--json"]).exits(0).stdout).expect("JSON");
    let templates = listed["templates"].as_array().expect("templates");
    assert_eq!(templates.len(), 12);
    for template in templates {
        let id = template["template_id"].as_str().expect("an id");
        let done = house.meno(["run", id, "--no-input", "--preset", "simulated", "--seed", "7", "--json"]);
        // The simulation may let an agent fail; what matters is that the run reaches an end of its own.
        assert!(matches!(done.code, Some(0 | 3)), "{id}: {done:?}");
        assert!(matches!(done.run()["status"].as_str(), Some("succeeded" | "failed")), "{id}");
    }
    assert_nothing_repeated(&house.journal());
}

#[test]
fn a_dry_run_calls_nothing_and_leaves_no_store() {
    let house = House::new();
    let done = house.meno(["run", "python_package_publish", "--no-input", "--preset", "simulated", "--dry-run"]).exits(0);
    assert!(done.stdout.contains("publisher"), "{}", done.stdout);
    assert!(!house.store().exists());
}

#[test]
fn all_missing_answers_are_named_at_once() {
    let house = House::new();
    house.template("tiny", &tiny());
    let before = files(&house.store());
    let done = house.meno(["run", "tiny", "--no-input", "--preset", "simulated"]).exits(1);
    assert!(done.stderr.contains("topic") && done.stderr.contains("size"), "{}", done.stderr);
    assert!(!done.stderr.contains("`token`"), "it is not required: {}", done.stderr);
    let done = house.meno(["run", "tiny", "--no-input", "--preset", "simulated", "--json"]).exits(1);
    let error: Value = serde_json::from_str(&done.stderr).expect("one JSON document");
    assert_eq!((error["error"]["exit_code"].as_i64(), error["error"]["causes"].as_array().map(Vec::len)), (Some(1), Some(2)));
    assert!(before.iter().all(|file| file.exists()));
}

#[test]
fn an_unknown_template_brings_the_nearest_known_one_to_mind() {
    let house = House::new();
    let done = house.meno(["run", "python_package_publsh", "--no-input"]).exits(1);
    assert!(done.stderr.contains("did you mean `python_package_publish`"), "{}", done.stderr);
    assert!(!house.store().exists());
}

#[test]
fn hostile_names_of_templates_leave_nothing_behind() {
    let house = House::new();
    let long = "x".repeat(300);
    let outside = house.path("home/outside").display().to_string();
    let names: [&[u8]; 9] =
        [b"../x", outside.as_bytes(), b"", b"a\nb", long.as_bytes(), b"\xff\xfe", b".", b"..", b"\x1b[31mred"];
    let before = files(house.path(".").as_path());
    for name in names {
        let args = ["run".as_ref(), OsStr::from_bytes(name), "--no-input".as_ref(), "--preset".as_ref(), "simulated".as_ref()];
        let done = house.meno(args);
        assert!(matches!(done.code, Some(1 | 2)), "{name:?}: {done:?}");
        assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        let exported = house.meno(["export-template".as_ref(), OsStr::from_bytes(name)]);
        assert!(matches!(exported.code, Some(1 | 2)), "{name:?}: {exported:?}");
        let new = house.meno(["template".as_ref(), "new".as_ref(), OsStr::from_bytes(name)]);
        assert!(matches!(new.code, Some(1 | 2)), "{name:?}: {new:?}");
    }
    assert_eq!(files(house.path(".").as_path()), before);
    assert!(!house.store().exists());
}

#[test]
fn a_climb_that_must_be_asked_for_waits_for_its_answer() {
    let house = House::new();
    let ask = |more: &[&str]| house.meno(PUBLISH.iter().chain(&["--escalate", "ask"]).chain(more).copied());
    let done = ask(&[]).exits(3);
    assert_eq!(done.run()["status"], "awaiting_input");
    assert_eq!(done.run()["suspended_because"], "approval");
    assert!(of_kind(&done.events(), "TierEscalated").is_empty());
    let id = done.run()["run_id"].as_str().expect("an id").to_owned();

    // Every approval may lead to the next question.
    let mut last = done;
    for _ in 0..20 {
        if last.run()["status"] != "awaiting_input" {
            break;
        }
        last = house.meno(["resume", &id, "--approve", "--json"]);
        assert!(matches!(last.code, Some(0 | 3)), "{last:?}");
    }
    assert_eq!((last.code, &last.run()["status"]), (Some(0), &json!("succeeded")));
    assert!(!last.run()["escalations"].as_array().expect("escalations").is_empty());

    let id = ask(&[]).exits(3).run()["run_id"].as_str().expect("an id").to_owned();
    let denied = house.meno(["resume", &id, "--deny", "--json"]);
    let denials: Vec<FailureReason> = house
        .journal()
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::AgentFailed(failed) => Some(failed.reason),
            _ => None,
        })
        .collect();
    assert!(denials.contains(&FailureReason::Denied), "{denials:?}");
    assert!(matches!(denied.code, Some(0 | 3)), "{denied:?}");
    assert_nothing_repeated(&house.journal());
}

#[test]
fn a_budget_that_the_first_call_would_pass_lets_no_call_start() {
    let house = House::new();
    let done = house.meno(PUBLISH.iter().chain(&["--budget", "0.000000001"]).copied()).exits(3);
    let events = done.events();
    assert!(of_kind(&events, "CallStarted").is_empty());
    assert!(of_kind(&events, "AgentFailed").iter().any(|event| event["data"]["reason"] == "budget"));
    assert_eq!((&done.run()["status"], &done.run()["cost_nusd"]), (&json!("failed"), &json!(0)));
}

#[test]
fn an_interrupted_run_is_resumed_and_repeats_nothing() {
    let house = House::with_delay(150);
    let mut running = house.start(["run", "python_package_publish", "--no-input", "--seed", "7", "--json"]);
    running.until("AgentSucceeded");
    running.signal(Signal::INT);
    let done = running.end().exits(130);
    let run = done.run();
    assert_eq!((&run["status"], &run["suspended_because"]), (&json!("suspended"), &json!("interrupted")));
    house.configure("preset = \"simulated\"\n");
    let resumed = house.meno(["resume", run["run_id"].as_str().expect("an id"), "--json"]).exits(0);
    assert_eq!(resumed.run()["status"], "succeeded");
    let journal = house.journal();
    assert_kept(&done.events(), &journal);
    assert_kept(&resumed.events(), &journal);
    assert_nothing_repeated(&journal);
}

#[test]
fn a_live_run_is_cancelled_from_another_process() {
    let house = House::with_delay(1000);
    let mut running = house.start(["run", "python_package_publish", "--no-input", "--seed", "7", "--json"]);
    let id = running.until("CallStarted")["run_id"].as_str().expect("an id").to_owned();
    house.meno(["cancel", &id]).exits(0);
    let done = running.end().exits(3);
    assert_eq!(done.run()["status"], "cancelled");
    house.meno(["cancel", &id]).exits(1);
    house.meno(["resume", &id]).exits(1);
    assert!(house.journal().iter().any(|recorded| matches!(recorded.event, Event::RunCancelled(_))));
}

#[test]
fn secrets_are_found_nowhere() {
    const KEY: &str = "sk-ant-api03-Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0";
    const TYPED: &str = "hunter2-typed-on-the-command-line";
    const NAMED: &str = "hunter2-in-a-variable-of-its-own";
    let house = House::new();
    house.template("tiny", &tiny());
    // Long enough that the text is kept as a payload of its own.
    let padding = "Nothing to see here. ".repeat(2000);
    let notes = house.path("work/notes.txt");
    std::fs::write(&notes, format!("key {KEY}\ntyped {TYPED}\nnamed {NAMED}\n{padding}\nagain {KEY}\n")).expect("written");
    let base = [
        "run",
        "tiny",
        "--no-input",
        "--preset",
        "simulated",
        "--set",
        "topic=rain",
        "--set",
        "size=short",
        "--input",
        "notes=notes.txt",
        "--json",
    ];

    let typed = format!("token={TYPED}");
    let log_file = house.path("trace.log").display().to_string();
    let mut command = house.command(base.iter().copied().chain(["--set", &typed, "--log-file", &log_file]));
    let done = finish({
        command.env("ANTHROPIC_API_KEY", KEY).env("MENO_LOG", "trace");
        command
    });
    let first = done.exits(0);
    let mut command = house.command(base.iter().copied());
    command.env("OPENAI_API_KEY", KEY).env("TINY_TOKEN", NAMED);
    let second = finish(command).exits(0);

    assert!(!files_with(&house.store(), "Nothing to see here").is_empty(), "the input itself was kept");
    let trace = std::fs::read_to_string(house.path("trace.log")).unwrap_or_default();
    for (secret, done) in [(KEY, &first), (TYPED, &first), (KEY, &second), (NAMED, &second)] {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret), "{secret} was printed");
    }
    assert!(!trace.contains(KEY) && !trace.contains(TYPED), "a secret stands in the trace");
    // Each run knows its own secret; the other one's was no secret to it, and stood in the notes.
    assert_eq!(files_with(&house.store(), KEY), Vec::<std::path::PathBuf>::new());
    let answers = |done: &crate::harness::Done| done.run()["answers"].to_string();
    assert!(!answers(&first).contains(TYPED) && !answers(&second).contains(NAMED));
}

#[test]
fn a_secret_answer_is_found_in_no_byte_of_the_store() {
    const TOKEN: &str = "correct-horse-battery-staple-4711";
    for by_variable in [false, true] {
        let house = House::new();
        house.template("tiny", &tiny());
        std::fs::write(house.path("work/notes.txt"), format!("{TOKEN}\n{}", "filler ".repeat(5000))).expect("written");
        let set = format!("token={TOKEN}");
        let more: &[&str] = if by_variable { &[] } else { &["--set", &set] };
        let base = [
            "run",
            "tiny",
            "--no-input",
            "--preset",
            "simulated",
            "--set",
            "topic=rain",
            "--set",
            "size=short",
            "--input",
            "notes=notes.txt",
        ];
        let mut command = house.command(base.iter().chain(more).copied());
        if by_variable {
            command.env("TINY_TOKEN", TOKEN);
        }
        let done = finish(command).exits(0);
        assert!(!done.stdout.contains(TOKEN) && !done.stderr.contains(TOKEN));
        assert_eq!(files_with(&house.store(), TOKEN), Vec::<std::path::PathBuf>::new(), "by variable: {by_variable}");
        assert!(!files_with(&house.store(), "filler filler").is_empty(), "the search finds what is there");
    }
}

#[test]
fn two_runs_at_once_are_two_runs() {
    let house = House::with_delay(20);
    let args = ["run", "python_package_publish", "--no-input", "--seed", "7", "--json"];
    let (one, two) = (house.start(args), house.start(args));
    let (one, two) = (one.end().exits(0), two.end().exits(0));
    assert_ne!(one.run()["run_id"], two.run()["run_id"]);
    let journal = house.journal();
    assert_kept(&one.events(), &journal);
    assert_kept(&two.events(), &journal);
    assert_eq!(journal.iter().filter(|recorded| matches!(recorded.event, Event::RunSucceeded(_))).count(), 2);
    assert_nothing_repeated(&journal);
}

#[test]
fn settings_with_faults_are_a_finding_of_the_doctor_who_goes_on_without_them() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n");
    house.meno(PUBLISH).ends();
    house.configure("[run]\njobs = \"many\n");
    assert!(house.meno(["list-runs"]).exits(1).stderr.contains("config.toml"));
    let done = house.meno(["doctor", "--json"]).exits(1);
    let seen: Value = serde_json::from_str(&done.stdout).expect("a document");
    let checks = seen["checks"].as_array().expect("checks");
    let of = |name: &str| checks.iter().filter(|check| check["name"] == name).cloned().collect::<Vec<_>>();
    let fault = &of("settings")[0];
    assert!(fault["state"] == "problem" && fault["found"].as_str().is_some_and(|found| found.contains("config.toml")), "{fault}");
    assert!(fault["hint"].is_string());
    assert_eq!((&of("journal")[0]["state"], &of("index")[0]["state"]), (&json!("ok"), &json!("ok")));
}

#[test]
fn what_an_untrusted_store_may_not_say_is_told_once_when_a_setting_of_it_is_changed() {
    let house = House::new();
    let project = house.path("work");
    std::fs::create_dir_all(project.join(".meno")).expect("a store that came with the project");
    std::fs::write(project.join(".meno/config.toml"), "[tools]\ncommands = [\"sh\"]\n").expect("its settings");
    let mut command = house.command(["config", "run.jobs=2"]);
    command.env_remove("MENO_STORE");
    let done = finish(command).exits(0);
    assert_eq!(done.stderr.matches("tools.commands").count(), 1, "{}", done.stderr);
}

#[test]
fn events_across_runs_name_the_agents_of_runs_that_began_before_the_first_one_shown() {
    let house = House::new();
    house.meno(PUBLISH).ends();
    let events = house.meno(["events", "--json"]).exits(0).lines();
    let first = of_kind(&events, "AttemptStarted")[0]["seq"].to_string();
    let shown = house.meno(["events", "--from", &first]).exits(0).stdout;
    assert!(shown.lines().count() > 10 && !shown.contains("agent-"), "{shown}");
    // Line for line as when the whole log is read.
    assert!(house.meno(["events"]).exits(0).stdout.ends_with(&shown));
}
