//! `fix_failing_tests` on real projects with a planted fault: agents look, run the allowed test command, fail on the planted test, escalate,
//! and pass after the fix; the record tells the story.

use std::fs;
use std::path::Path;

use meno::event::ToolFault;
use serde_json::{Value, json};

use crate::harness::{House, files_with, finish};
use crate::llm_server::{LlmServer, Turn};
use crate::planted::{
    CARGO, KEY, PYTHON, Project, agent, clumsy_turn, command, house, meno, meno_beside, tools, wire, write_huge,
};

/// What the finder answers.
fn found(project: &Project) -> Value {
    json!({
        "summary": "One test fails: the discount is added to the total instead of taken off.", "material": "given",
        "ran": [{"command": project.runner, "exit_code": 1, "tail": project.failure}],
        "failures": [{"test": project.failure, "where": format!("{}:6", project.broken), "message": "165 is not 135",
                      "likely_cause": "the discount is added", "kind": "product bug"}],
        "coverage": {"line_percent": null, "branch_percent": null, "source": "none"},
        "verdict": "fail", "next_steps": [], "not_verified": []
    })
}

fn page(cause: &str, change: &str) -> String {
    format!(
        "## Cause\n\n{cause}\n\n## Change\n\n{change}\n\n## Proof\n\nThe command above was run with the tool and its output is in the \
         record, so that everybody can read there how it ended and what it wrote before it did.\n\n## Not verified\n\nNothing else was looked at.\n"
    )
}

/// What mends the project, as an agent does it that may run a shell.
fn mending(project: &Project) -> Value {
    let script = format!("sed 's/ + \\([a-z]* [*]\\)/ - \\1/' {0} > mended && cat mended > {0} && rm mended", project.broken);
    json!({"program": "sh", "arguments": ["-c", script]})
}

/// A patch that mends the project.
fn patch(project: &Project) -> String {
    let number = project.wrong.lines().zip(project.right.lines()).position(|(a, b)| a != b).expect("they differ");
    let line = |text: &str| text.lines().nth(number).expect("a line").to_owned();
    format!(
        "--- a/{0}\n+++ b/{0}\n@@ -{1},1 +{1},1 @@\n-{2}\n+{3}\n",
        project.broken,
        number + 1,
        line(project.wrong),
        line(project.right)
    )
}

/// What models say without a key: the finder sees the failure; the fixer believes that it is done, fails, and mends it one tier higher.
fn script(project: &Project) -> Value {
    json!({"replies": [
        {"role": "finder", "turn": 1, "text": "Let me look.", "tool_calls": [
            {"name": "list_files", "arguments": {"depth": 3}}, {"name": "read_file", "arguments": {"path": project.broken}}]},
        {"role": "finder", "turn": 2, "tool_calls": [{"name": "run_command", "arguments": command(project)}]},
        {"role": "finder", "turn": 3, "json": found(project)},
        {"role": "fixer", "attempt": 1, "turn": 1, "tool_calls": [{"name": "read_file", "arguments": {"path": project.broken}}]},
        {"role": "fixer", "attempt": 1, "turn": 2, "text": page("It may be the rounding.", "No change is needed.")},
        {"role": "fixer", "attempt": 2, "turn": 1, "tool_calls": [{"name": "apply_patch", "arguments": {"patch": patch(project)}}]},
        {"role": "fixer", "attempt": 2, "turn": 2, "tool_calls": [{"name": "run_command", "arguments": command(project)}]},
        {"role": "fixer", "attempt": 2, "turn": 3, "text": page("The discount was added.", "It is subtracted now.")}
    ]})
}

/// Starts a run that changes files.
fn mend<'a>(runner: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let start = ["run", "fix_failing_tests", "--no-input", "--seed", "3", "--set", "how=change the files", "--set", runner];
    start.into_iter().chain(more.iter().copied()).collect()
}

#[track_caller]
fn assert_mended(house: &House, programs: &Path, project: &Project) {
    assert_eq!(fs::read_to_string(house.path("work").join(project.broken)).expect("there"), project.right);
    let shown = meno(house, programs, &["show-run", "last", "--json"]).exits(0).stdout;
    let run: Value = serde_json::from_str(&shown).expect("a document");
    assert_eq!(run["status"], "succeeded", "{shown}");
    let fixer = agent(&run, "fixer");
    assert_eq!((&fixer["status"], &fixer["verified"]), (&json!("succeeded"), &json!(true)));
    let attempts = fixer["attempts"].as_array().expect("attempts");
    let tiers: Vec<&Value> = attempts.iter().map(|attempt| &attempt["tier"]).collect();
    assert_eq!(tiers, ["cheap", "capable"]);
    let proof = |attempt: &Value| {
        let criteria = attempt["criteria"].as_array().expect("criteria").iter();
        let found = criteria.into_iter().find(|criterion| criterion["name"] == "the tests pass").expect("it is judged");
        (found["verdict"].clone(), found["evidence"].as_str().unwrap_or_default().to_owned())
    };
    let (first, second) = (proof(&attempts[0]), proof(&attempts[1]));
    assert_eq!((&first.0, &second.0), (&json!("fail"), &json!("pass")), "{first:?} {second:?}");
    assert!(second.1.starts_with("exit code 0"), "{second:?}");
    // The story, as it is told to people.
    let told = meno(house, programs, &["show-run", "last"]).exits(0).stdout;
    for words in ["turn 1", "read_file", "run_command", "the tests pass", project.broken] {
        assert!(told.contains(words), "{words} is not in\n{told}");
    }
    meno(house, programs, &["audit"]).exits(0);
    meno(house, programs, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn a_scripted_simulation_mends_a_real_project_and_proves_it() {
    for project in [CARGO, PYTHON] {
        let Some((house, programs)) = house(&project, "preset = \"simulated\"\n") else { continue };
        let file = house.path("script.json");
        fs::write(&file, script(&project).to_string()).expect("written");
        let settings = fs::read_to_string(house.path("config/meno/config.toml")).expect("settings");
        house.configure(&format!("{settings}[simulated]\nscript = \"{}\"\n", file.display()));
        let runner = format!("runner={}", project.runner);
        let done = meno(&house, &programs, &mend(&runner, &["--allow-write"])).exits(0);
        assert!(done.stderr.contains(&format!("runs {}", project.program)), "{}", done.stderr);
        assert_mended(&house, &programs, &project);
        // What was done is found again by what it was done to.
        let found = meno(&house, &programs, &["search", &format!("changed {}", project.broken), "--json"]).exits(0).stdout;
        let found: Value = serde_json::from_str(&found).expect("a document");
        assert_eq!(found["hits"].as_array().map(Vec::len), Some(1), "{found}");
        // Tools have their calls and their time, and no money.
        let costs = meno(&house, &programs, &["costs", "--by", "tool,role", "--json"]).exits(0).stdout;
        let costs: Value = serde_json::from_str(&costs).expect("a document");
        let rows = costs["tools"].as_array().expect("tools");
        let calls = |role: &str| rows.iter().find(|row| row["key"]["tool"] == "run_command" && row["key"]["role"] == role);
        assert_eq!(calls("fixer").map(|row| (&row["calls"], &row["failed"])), Some((&json!(1), &json!(0))), "{costs}");
        assert_eq!(calls("finder").map(|row| &row["calls"]), Some(&json!(1)), "{costs}");
        assert_eq!((&costs["rows"], &costs["totals"]), (&json!([]), &json!([])));
        // The model that asked is known.
        let costs = meno(&house, &programs, &["costs", "--by", "provider,model,tool", "--json"]).exits(0).stdout;
        let costs: Value = serde_json::from_str(&costs).expect("a document");
        let rows = costs["tools"].as_array().expect("tools");
        assert!(
            rows.len() > 1 && rows.iter().all(|row| row["key"]["provider"] == "simulated" && row["key"]["model"].is_string()),
            "{costs}"
        );
        // How often they failed, and in how many attempts they were called; a reviewer without a script reads by itself.
        let asked = ["analytics", "fix_failing_tests", "--include-simulated"];
        let report = meno(&house, &programs, &[&asked[..], &["--json"]].concat()).exits(0).stdout;
        let report: Value = serde_json::from_str(&report).expect("a document");
        let of = |tool: &str| {
            let line =
                report["template"]["tools"].as_array().expect("tools").iter().find(|line| line["tool"] == tool).expect("a line");
            ["calls", "ok", "failed", "attempts"].map(|field| line[field].as_u64().expect("a number"))
        };
        assert_eq!(["run_command", "apply_patch"].map(of), [[2, 2, 0, 2], [1, 1, 0, 1]], "{report}");
        let [calls, ok, failed, attempts] = of("read_file");
        assert!(calls == ok && calls > 2 && (failed, attempts) == (0, 3), "{report}");
        let table = meno(&house, &programs, &asked).exits(0).stdout;
        let line = table.lines().find(|line| line.trim_start().starts_with("run_command ")).unwrap_or_else(|| panic!("{table}"));
        assert_eq!(line.split_whitespace().skip(1).take(3).collect::<Vec<_>>(), ["2", "2", "0"], "{table}");
        let diff = meno(&house, &programs, &["show-run", "last", "--diff"]).exits(0).stdout;
        assert!(diff.contains(&format!("+++ b/{}", project.broken)), "{diff}");
        meno(&house, &programs, &["undo", "last"]).exits(0);
        assert_eq!(fs::read_to_string(house.path("work").join(project.broken)).expect("there"), project.wrong);
    }
}

/// A proposal that is tried in a copy: the first patch does not apply, the second leaves the tests failing, the third mends them.
#[test]
fn a_proposed_patch_is_proved_in_a_copy_and_nothing_of_the_folder_changes() {
    for project in [CARGO, PYTHON] {
        let Some((house, programs)) = house(&project, "preset = \"simulated\"\n") else { continue };
        let fenced = |patch: &str| page("The discount is added.", &format!("```diff\n{patch}```\n\nIt was not applied."));
        let stale = patch(&project).replace("\n-", "\n-no longer ");
        let useless = "--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-# billing\n+# Billing\n";
        let replies = json!({"replies": [
            {"role": "finder", "turn": 1, "tool_calls": [{"name": "run_command", "arguments": command(&project)}]},
            {"role": "finder", "turn": 2, "json": found(&project)},
            {"role": "fixer", "tier": "cheap", "text": fenced(&stale)},
            {"role": "fixer", "tier": "capable", "text": fenced(useless)},
            {"role": "fixer", "tier": "premium", "text": fenced(&patch(&project))}
        ]});
        let file = house.path("script.json");
        fs::write(&file, replies.to_string()).expect("written");
        let settings = fs::read_to_string(house.path("config/meno/config.toml")).expect("settings");
        house.configure(&format!("{settings}[simulated]\nscript = \"{}\"\n", file.display()));
        let runner = format!("runner={}", project.runner);
        let start = ["run", "fix_failing_tests", "--no-input", "--seed", "3", "--set", &runner, "--json"];
        let run = meno(&house, &programs, &start).exits(0).run();
        let fixer = agent(&run, "fixer");
        assert_eq!((&fixer["status"], &fixer["verified"]), (&json!("succeeded"), &json!(true)), "{fixer}");
        let said: Vec<String> = fixer["attempts"]
            .as_array()
            .expect("attempts")
            .iter()
            .map(|attempt| {
                let criteria = attempt["criteria"].as_array().expect("criteria").iter();
                let tried = criteria.into_iter().find(|criterion| criterion["name"] == "the tests pass in a copy with the patch");
                let tried = tried.expect("it is judged");
                format!("{} {}", tried["verdict"].as_str().unwrap_or_default(), tried["evidence"].as_str().unwrap_or_default())
            })
            .collect();
        let [stale, useless, right] = said.as_slice() else { panic!("three attempts: {said:?}") };
        assert!(stale.starts_with("fail") && stale.contains("The patch is not applied"), "{stale}");
        assert!(useless.starts_with("fail exit code 1") && useless.contains("135"), "{useless}");
        assert!(right.starts_with("pass exit code 0"), "{right}");
        assert_eq!(fs::read_to_string(house.path("work").join(project.broken)).expect("there"), project.wrong);
        assert!(fs::read_to_string(house.path("work/README.md")).expect("there").starts_with("# billing"));
        let told = meno(&house, &programs, &["report"]).exits(0).stdout;
        assert!(told.contains(&format!("+++ b/{}", project.broken)), "{told}");
        meno(&house, &programs, &["audit"]).exits(0);
        meno(&house, &programs, &["replay", "--verify", "--all"]).exits(0);
    }
}

/// By default and without a script: the finder runs the tests, and no simulated answer passes for a patch.
#[test]
fn a_simulated_proposal_runs_the_tests_and_proves_nothing() {
    let Some((house, programs)) = house(&PYTHON, "preset = \"simulated\"\n") else { return };
    let runner = format!("runner={}", PYTHON.runner);
    let start = ["run", "fix_failing_tests", "--no-input", "--seed", "3", "--set", &runner, "--json"];
    let done = meno(&house, &programs, &start);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let run = done.run();
    let ran = agent(&run, "finder")["output"].as_str().unwrap_or_default().to_owned();
    assert!(ran.contains("python3 -m unittest"), "{ran}");
    assert_ne!(agent(&run, "fixer")["status"], "succeeded");
    // Where the tests pass, nothing needs to change, and that is proved too.
    fs::write(house.path("work").join(PYTHON.broken), PYTHON.right).expect("written");
    let run = meno(&house, &programs, &start).exits(0).run();
    assert_eq!((&run["status"], &agent(&run, "fixer")["verified"]), (&json!("succeeded"), &json!(true)));
}

#[test]
fn without_a_script_the_simulation_looks_runs_the_tests_and_says_what_they_said() {
    let Some((house, programs)) = house(&PYTHON, "preset = \"simulated\"\n") else { return };
    let runner = format!("runner={}", PYTHON.runner);
    let done = meno(&house, &programs, &mend(&runner, &["--json"]));
    assert_eq!(done.code, Some(3), "no simulation mends a fault: {}", done.stderr);
    let run = done.run();
    assert_eq!((&run["status"], &run["mode"]), (&json!("failed"), &json!("simulated")));
    let fixer = agent(&run, "fixer");
    let attempts = fixer["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 3, "it climbs to the end");
    let said = attempts.last().expect("one")["output"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains("no model was called") && said.contains("ended with exit code 1"), "{said}");
    let tools = tools(&house.journal());
    for name in ["list_files", "read_file", "run_command"] {
        assert!(tools.iter().any(|(tool, fault)| tool == name && fault.is_none()), "{name}: {tools:?}");
    }
    // The same again comes out the same.
    let again = meno(&house, &programs, &mend(&runner, &["--json"])).run();
    let outputs = |run: &Value| {
        let output: Value = serde_json::from_str(agent(run, "finder")["output"].as_str().expect("a text")).expect("JSON");
        // How long its tests took is in what they wrote.
        (output["summary"].clone(), output["failures"].clone())
    };
    assert_eq!(outputs(&run), outputs(&again));
    meno(&house, &programs, &["audit"]).exits(0);
    meno(&house, &programs, &["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn without_its_program_the_start_says_so_and_what_was_not_verified_is_unknown() {
    let Some((house, _)) = house(&PYTHON, "preset = \"simulated\"\n") else { return };
    let nowhere = house.path("nowhere");
    let runner = format!("runner={}", PYTHON.runner);
    let mut command = house.command(mend(&runner, &[]));
    command.env("PATH", &nowhere);
    let done = finish(command).exits(0);
    assert!(done.stderr.contains("not on this machine: python3"), "{}", done.stderr);
    let shown = house.meno(["show-run", "last", "--json"]).exits(0).stdout;
    let run: Value = serde_json::from_str(&shown).expect("a document");
    assert_eq!((&run["status"], &run["verified"]), (&json!("succeeded"), &json!(false)));
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    let done = house.meno(mend(&runner, &[])).exits(0);
    assert!(done.stderr.contains("criteria that run python3 will be unknown"), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_over_the_wire_mend_it_too_with_all_that_they_get_wrong() {
    let project = PYTHON;
    let review = json!({"summary": "The change takes the discount off, which is the cause and no more than that.", "material": "given", "findings": [], "strengths": [], "questions": [], "verdict": "approve",
                        "not_verified": []});
    let server = LlmServer::start([
        // Several calls at once, the command itself among them.
        clumsy_turn().tool("run_command", command(&project)),
        Turn::text(&found(&project).to_string()),
        Turn::text("").tool("read_file", json!({"path": project.broken})),
        Turn::text(&page("It may be the rounding.", "No change is needed.")),
        // A tool that it does not have, then one that it has, one at a time, in small pieces.
        Turn::text("").tool("edit_file", json!({"path": project.broken})).in_pieces_of(7),
        Turn::text("").tool("run_command", mending(&project)).in_pieces_of(7),
        Turn::text("").tool("run_command", command(&project)),
        Turn::text(&page("The discount was added.", "It is subtracted now.")),
        Turn::text(&review.to_string()),
    ])
    .await;
    let Some((house, programs)) = house(&project, &wire(&server.base_url(""))) else { return };
    write_huge(&house);
    let runner = format!("runner={}", project.runner);
    meno_beside(&house, &programs, &mend(&runner, &["--allow-unpriced", "--json"])).await.exits(0);
    assert_mended(&house, &programs, &project);
    let ended = tools(&house.journal());
    let count = |tool: &str, fault: Option<ToolFault>| ended.iter().filter(|(name, why)| name == tool && *why == fault).count();
    assert_eq!(count("read_file", Some(ToolFault::BadArguments)), 1, "{ended:?}");
    assert_eq!(count("browse_web", Some(ToolFault::UnknownTool)), 1, "{ended:?}");
    assert_eq!((count("edit_file", Some(ToolFault::UnknownTool)), count("run_command", None)), (1, 3), "{ended:?}");
    assert!(files_with(&house.store(), KEY).is_empty());
    // The second attempt was told what the tests had said.
    let told: String = server.requests().iter().map(|request| request.body.to_string()).collect();
    assert!(told.contains("the tests pass: exit code 1") && !told.contains(KEY), "the feedback is missing");
}
