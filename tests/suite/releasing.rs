//! `release_prep` on real projects with a planted fault: its agents read the folder that they are started in, the test runner's verdict is
//! held against the test command itself, and a wrong one escalates.

use std::fs;
use std::path::Path;

use meno::event::ToolFault;
use serde_json::{Value, json};

use crate::harness::{House, files_with};
use crate::llm_server::{LlmServer, Turn};
use crate::planted::{
    CARGO, KEY, PYTHON, Project, agent, clumsy_turn, command, house, meno, meno_beside, tools, wire, write_huge,
};

/// Starts a run of one check besides the tests; the answers name Python's runner without its number.
fn prepare<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let start = ["run", "release_prep", "--no-input", "--seed", "3", "--jobs", "1", "--set", "checks=Security"];
    let start = start.into_iter().chain(["--set", "release_notes=false", "--set", command]);
    start.chain(more.iter().copied()).collect()
}

fn test_command(project: &Project) -> String {
    format!("test_command={}", project.runner.replace("python3", "python"))
}

/// What a test runner answers that says how the tests ended.
fn verdict(project: &Project, verdict: &str) -> Value {
    let failed = verdict == "fail";
    let failures = json!([{"test": project.failure, "where": format!("{}:6", project.broken), "message": "165 is not 135",
                           "likely_cause": "the discount is added", "kind": "product bug"}]);
    json!({
        "summary": format!("The tests were run and their verdict is {verdict} for this release."), "material": "given",
        "ran": [{"command": project.runner, "exit_code": i32::from(failed), "tail": "what it wrote"}],
        "failures": if failed { failures } else { json!([]) },
        "coverage": {"line_percent": null, "branch_percent": null, "source": "none"},
        "verdict": verdict, "next_steps": [], "not_verified": []
    })
}

/// What an auditor answers that found nothing.
fn audit() -> Value {
    json!({
        "summary": "The project adds up numbers and has no entry point for a stranger.", "material": "partial",
        "threat_model": "Whoever calls the function chooses its arguments.", "findings": [], "dependencies": [],
        "checked_and_fine": [], "not_verified": []
    })
}

fn decision(words: &str) -> String {
    let reason = "The tests of the project were run by their own command, and what it said is in the record beside this page for all to read. ";
    format!(
        "## Conclusion\n\n{words} {}\n\nConfidence: high\n\n## Evidence\n\n- the tests: test_runner\n\n## Contradictions\n\nNone.\n\n\
         ## Open points\n\nNone.\n",
        reason.repeat(4)
    )
}

/// Checks what the test runner's attempts came to: tier, whether it passed, and the verdict of its command.
#[track_caller]
fn assert_judged(house: &House, programs: &Path, wanted: &[(&str, &str)]) -> Value {
    let shown = meno(house, programs, &["show-run", "last", "--json"]).exits(0).stdout;
    let run: Value = serde_json::from_str(&shown).expect("a document");
    let runner = agent(&run, "test_runner");
    assert_eq!((&runner["status"], &runner["verified"]), (&json!("succeeded"), &json!(true)), "{runner}");
    let attempts: Vec<(String, String)> = runner["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|attempt| {
            let criteria = attempt["criteria"].as_array().expect("criteria").iter();
            let held = |name: &str| name.starts_with("the verdict is what");
            let judged = criteria.into_iter().find(|judged| judged["name"].as_str().is_some_and(held)).expect("it is judged");
            (attempt["tier"].as_str().expect("a tier").to_owned(), judged["verdict"].as_str().expect("a verdict").to_owned())
        })
        .collect();
    let attempts: Vec<(&str, &str)> = attempts.iter().map(|(tier, verdict)| (tier.as_str(), verdict.as_str())).collect();
    assert_eq!(attempts, wanted);
    meno(house, programs, &["audit"]).exits(0);
    meno(house, programs, &["replay", "--verify", "--all"]).exits(0);
    run
}

#[test]
fn a_scripted_simulation_that_calls_failing_tests_passed_escalates() {
    for project in [CARGO, PYTHON] {
        let Some((house, programs)) = house(&project, "preset = \"simulated\"\n") else { continue };
        let settings = fs::read_to_string(house.path("config/meno/config.toml")).expect("settings");
        let file = house.path("script.json");
        let says = |runner: &[Value], decides: &str| {
            let replies = runner.iter().cloned().chain([
                json!({"role": "security_auditor", "json": audit()}),
                json!({"role": "release_manager", "text": decision(decides)}),
            ]);
            fs::write(&file, json!({"replies": replies.collect::<Vec<_>>()}).to_string()).expect("written");
            house.configure(&format!("{settings}[simulated]\nscript = \"{}\"\n", file.display()));
        };
        let calls = [
            json!({"name": "list_files", "arguments": {"depth": 3}}),
            json!({"name": "read_file", "arguments": {"path": project.broken}}),
            json!({"name": "run_command", "arguments": command(&project)}),
        ];
        says(
            &[
                json!({"role": "test_runner", "tier": "cheap", "json": verdict(&project, "pass")}),
                json!({"role": "test_runner", "tier": "capable", "turn": 1, "tool_calls": calls}),
                json!({"role": "test_runner", "tier": "capable", "turn": 2, "json": verdict(&project, "fail")}),
            ],
            "No go.",
        );
        let command = test_command(&project);
        meno(&house, &programs, &prepare(&command, &[])).exits(0);
        let run = assert_judged(&house, &programs, &[("cheap", "fail"), ("capable", "pass")]);
        assert_eq!(run["verified"], json!(true), "{run}");
        let told = meno(&house, &programs, &["show-run", "last"]).exits(0).stdout;
        for words in ["turn 1", "run_command", "the verdict is what", "escalates to capable"] {
            assert!(told.contains(words), "{words} is not in\n{told}");
        }
        let report = meno(&house, &programs, &["report"]).exits(0).stdout;
        assert!(report.contains("No go."), "{report}");
        // Once it is mended, the same words are true.
        fs::write(house.path("work").join(project.broken), project.right).expect("written");
        says(&[json!({"role": "test_runner", "json": verdict(&project, "pass")})], "Go.");
        meno(&house, &programs, &prepare(&command, &[])).exits(0);
        assert_judged(&house, &programs, &[("cheap", "pass")]);
    }
}

/// By itself a simulation reads the folder, runs the tests, and says of them what they said.
#[test]
fn a_simulation_without_a_script_says_what_the_tests_say() {
    for project in [CARGO, PYTHON] {
        let Some((house, programs)) = house(&project, "preset = \"simulated\"\n") else { continue };
        let command = test_command(&project);
        for (source, wanted, decides) in [(project.wrong, "fail", "No go."), (project.right, "pass", "Go")] {
            fs::write(house.path("work").join(project.broken), source).expect("written");
            let done = meno(&house, &programs, &prepare(&command, &[])).exits(0);
            assert!(done.stderr.contains("the material `source` is not given: agents read"), "{}", done.stderr);
            let shown = meno(&house, &programs, &["show-run", "last", "--json"]).exits(0).stdout;
            let run: Value = serde_json::from_str(&shown).expect("a document");
            let runner = agent(&run, "test_runner");
            assert_eq!((&runner["status"], &runner["verified"]), (&json!("succeeded"), &json!(true)), "{runner}");
            let said: Value = serde_json::from_str(runner["output"].as_str().expect("a text")).expect("JSON");
            assert_eq!(said["verdict"], wanted, "{said}");
            let auditor = agent(&run, "security_auditor");
            let read: Value = serde_json::from_str(auditor["output"].as_str().expect("a text")).expect("JSON");
            assert_ne!(read["material"], "missing", "{read}");
            let manager = agent(&run, "release_manager")["output"].as_str().unwrap_or_default().to_owned();
            assert!(manager.contains(decides), "{manager}");
            assert!(tools(&house.journal()).iter().any(|(tool, fault)| tool == "run_command" && fault.is_none()));
        }
        meno(&house, &programs, &["audit"]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_over_the_wire_are_held_against_the_tests_too() {
    for project in [CARGO, PYTHON] {
        let server = LlmServer::start([
            // Several calls at once, and a program that is not allowed.
            clumsy_turn().tool("run_command", json!({"program": "curl", "arguments": ["http://example.com"]})),
            Turn::text(&verdict(&project, "pass").to_string()),
            // One at a time, in small pieces.
            Turn::text("").tool("read_file", json!({"path": project.broken})).in_pieces_of(7),
            Turn::text("").tool("run_command", command(&project)).in_pieces_of(7),
            Turn::text(&verdict(&project, "fail").to_string()),
            Turn::text("")
                .tool("search_files", json!({"pattern": "discount"}))
                .tool("read_file", json!({"path": project.broken})),
            Turn::text(&audit().to_string()),
            Turn::text(&decision("No go.")),
        ])
        .await;
        let Some((house, programs)) = house(&project, &wire(&server.base_url(""))) else { continue };
        write_huge(&house);
        let command = test_command(&project);
        meno_beside(&house, &programs, &prepare(&command, &["--allow-unpriced", "--json"])).await.exits(0);
        let run = assert_judged(&house, &programs, &[("cheap", "fail"), ("capable", "pass")]);
        assert_eq!((&run["status"], &run["mode"]), (&json!("succeeded"), &json!("real")));
        let ended = tools(&house.journal());
        let count =
            |tool: &str, fault: Option<ToolFault>| ended.iter().filter(|(name, why)| name == tool && *why == fault).count();
        assert_eq!(count("read_file", Some(ToolFault::BadArguments)), 1, "{ended:?}");
        assert_eq!(count("browse_web", Some(ToolFault::UnknownTool)), 1, "{ended:?}");
        assert_eq!(
            (count("run_command", None), ended.iter().filter(|(tool, _)| tool == "run_command").count()),
            (1, 2),
            "{ended:?}"
        );
        assert!(files_with(&house.store(), KEY).is_empty());
        // The second attempt was told what the tests had said.
        let told: String = server.requests().iter().map(|request| request.body.to_string()).collect();
        assert!(told.contains("exit code") && told.contains(project.failure) && !told.contains(KEY), "the feedback is missing");
        // Nothing that undo would have to take back was changed.
        assert_eq!(fs::read_to_string(house.path("work").join(project.broken)).expect("there"), project.wrong);
    }
}

/// Where the agents could read nothing, a run of real models is refused before anything is spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agents_cannot_read_for_themselves_is_missing() {
    let server = LlmServer::start([]).await;
    let Some((house, programs)) = house(&PYTHON, &wire(&server.base_url(""))) else { return };
    let command = test_command(&PYTHON);
    let settings = fs::read_to_string(house.path("config/meno/config.toml")).expect("settings");
    house.configure(&settings.replace("[tools]\n", "[tools]\nmax_turns = 0\n"));
    let done = meno_beside(&house, &programs, &prepare(&command, &["--allow-unpriced"])).await.exits(1);
    assert!(done.stderr.contains("material that is not given: `--input source=PATH`"), "{}", done.stderr);
    // Tools see no file that git is told to ignore.
    house.configure(&settings);
    fs::write(house.path("work/.gitignore"), "*\n").expect("written");
    let done = meno_beside(&house, &programs, &prepare(&command, &["--allow-unpriced"])).await.exits(1);
    assert!(done.stderr.contains("material that is not given: `--input source=PATH`"), "{}", done.stderr);
    let paper = ["run", "research_paper_review", "--no-input", "--allow-unpriced"];
    let done = meno_beside(&house, &programs, &paper).await.exits(1);
    assert!(done.stderr.contains("`--input paper=PATH`"), "{}", done.stderr);
    assert!(server.requests().is_empty());
}
