//! Runs that begin with what another one recorded: what they take over, what they pay, and what of it can be proved and forgotten.

use serde_json::{Value, json};

use crate::harness::{Done, House, assert_kept, assert_nothing_repeated, files_with};

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

#[track_caller]
fn document(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|why| panic!("{why}: {}", done.stdout))
}

/// A home with one run that ended; gives its id.
fn with_a_run() -> (House, String) {
    let house = House::with_delay(0);
    house.meno(PUBLISH).exits(0);
    let id = document(&house.meno(["show-run", "last", "--json"]).exits(0))["run_id"].as_str().expect("an id").to_owned();
    (house, id)
}

fn of<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["kind"] == kind)
}

#[track_caller]
fn assert_sound(house: &House) {
    let verified = document(&house.meno(["replay", "--verify", "--all", "--json"]).exits(0));
    assert_eq!((&verified["sound"], &verified["not_verifiable"]), (&json!(true), &json!(0)), "{verified}");
    let audit = document(&house.meno(["audit", "--json"]).exits(0));
    assert_eq!(audit["violations"], json!([]));
    let lineage = audit["checks"].as_array().expect("checks").iter().find(|tally| tally["check"] == "lineage");
    assert!(lineage.is_some_and(|tally| tally["checked"].as_u64() > Some(0)), "{audit}");
}

#[test]
fn a_fork_keeps_the_work_that_still_counts_and_pays_for_the_rest_alone() {
    let (house, parent) = with_a_run();
    let done = house.meno(["fork", &parent, "--agent", "publisher", "--label", "try=2", "--json"]).exits(0);
    let (events, run) = (done.events(), done.run());
    assert_eq!((&events[0]["kind"], &events[0]["data"]["parent"]), (&json!("RunForked"), &json!(parent)));
    assert_eq!((of(&events, "AgentPlanned").count(), of(&events, "AttemptStarted").count()), (8, 2));
    let paid: u64 = of(&events, "CostIncurred").map(|event| event["data"]["amount"].as_u64().expect("a price")).sum();
    assert_eq!((run["cost_nusd"].as_u64(), &run["status"]), (Some(paid), &json!("succeeded")));
    assert_eq!((&run["lineage"]["parent"], &run["labels"]["try"]), (&json!(parent), &json!("2")));
    for agent in run["agents"].as_array().expect("agents") {
        let is_new = agent["role"] == "publisher";
        for attempt in agent["attempts"].as_array().expect("attempts") {
            assert_eq!(attempt["inherited_from"], if is_new { Value::Null } else { json!(parent) });
        }
        assert_eq!(agent["cost_nusd"] == 0, !is_new, "{agent}");
    }
    // With the same seed, words and models the same comes out.
    let diff = document(&house.meno(["diff", &parent, "last", "--json"]).exits(0));
    assert!(diff["agents"].as_array().expect("agents").iter().all(|agent| agent["output"].is_null()), "{diff}");

    let there = document(&house.meno(["show-run", &parent, "--json"]).exits(0));
    assert_eq!(there["forks"], json!([run["run_id"]]));
    let page = house.meno(["show-run", "last"]).exits(0).stdout;
    let tree = page.split("Forks").nth(1).and_then(|rest| rest.split("Answers").next()).expect("a tree");
    assert!(tree.contains(&parent) && tree.contains("└─") && tree.contains("(this run)"), "{page}");
    assert!(page.contains(&format!("inherited from {parent}, paid there")), "{page}");

    let analytics = document(&house.meno(["analytics", "--include-simulated", "--json"]).exits(0));
    let line = &analytics["templates"][0];
    assert_eq!((&line["runs"], &line["forks"]), (&json!(1), &json!(1)), "{analytics}");
    let costs = document(&house.meno(["costs", "--by", "template", "--json"]).exits(0));
    assert_eq!(costs["totals"][0]["cost_nusd"], json!(paid + there["cost_nusd"].as_u64().expect("a cost")));
    assert_kept(&events, &house.journal());
    assert_sound(&house);
}

#[test]
fn a_fork_goes_on_from_a_position_and_may_be_killed_and_resumed_and_forked_again() {
    let (house, parent) = with_a_run();
    let events = house.meno(["events", &parent, "--json"]).exits(0).lines();
    let second_climb = of(&events, "TierEscalated").nth(1).expect("it climbs")["seq"].to_string();
    let mut running = house.start(["fork", &parent, "--at", &second_climb, "--json"]);
    running.until("CallReplied");
    let killed = running.kill();
    let resumed = house.meno(["resume", "last", "--json"]).exits(0);
    assert_eq!(resumed.run()["lineage"]["parent"], json!(parent));
    assert_kept(&killed.events(), &house.journal());
    let again = house.meno(["fork", "last", "--json"]).exits(0);
    // An agent whose attempt was lost by the kill may have failed since, and then has another turn; whoever did not wait for it has none.
    assert!(of(&again.events(), "AttemptStarted").count() < 4, "{}", again.stdout);
    // What was made in the first run is known to be from there.
    let origins: std::collections::BTreeSet<String> =
        of(&again.events(), "AttemptInherited").map(|event| event["data"]["run"].to_string()).collect();
    assert_eq!(origins.len(), 2, "{origins:?}");
    assert_nothing_repeated(&house.journal());
    assert_sound(&house);

    // Another store knows the family too, and can prove it.
    house.meno(["export", house.path("out").to_str().expect("a text")]).exits(0);
    let other = House::new();
    other.meno(["import", "events", house.path("out").to_str().expect("a text")]).exits(0);
    assert_sound(&other);
}

#[test]
fn another_answer_costs_only_what_depends_on_it() {
    let (house, parent) = with_a_run();
    let done = house.meno(["fork", &parent, "--set", "version_bump=minor", "--json"]).exits(0);
    let worked: Vec<Value> = of(&done.events(), "AttemptStarted").map(|event| event["data"]["agent"].clone()).collect();
    let run = done.run();
    assert_eq!(run["answers"]["version_bump"], "minor");
    let roles = |taken: bool| -> Vec<&str> {
        let agents = run["agents"].as_array().expect("agents").iter();
        agents
            .filter(|agent| agent["attempts"][0]["inherited_from"].is_string() == taken)
            .filter_map(|agent| agent["role"].as_str())
            .collect()
    };
    assert_eq!(roles(true), ["test_runner", "type_checker", "linter", "security_auditor"]);
    assert_eq!(roles(false), ["version_manager", "changelog_updater", "package_builder", "publisher"]);
    assert!(!worked.is_empty());
    // A check that is not wanted any more has no agent.
    let fewer = house.meno(["fork", &parent, "--set", "quality_checks=Linting (ruff)", "--json"]).exits(0).run();
    let roles: Vec<&str> =
        fewer["agents"].as_array().expect("agents").iter().filter_map(|agent| agent["role"].as_str()).collect();
    assert!(roles.contains(&"linter") && !roles.contains(&"type_checker"), "{roles:?}");
    assert!(house.meno(["fork", &parent, "--set", "version_bump=enormous"]).exits(1).stderr.contains("version_bump"));
    assert_sound(&house);
}

#[test]
fn a_rerun_does_everything_again_as_it_was_recorded() {
    let (house, parent) = with_a_run();
    // Today's files are not asked.
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n[run]\nstrategy = \"premium_only\"\n");
    let rerun = house.meno(["rerun", &parent, "--json"]).exits(0);
    assert_eq!(of(&rerun.events(), "AttemptInherited").count(), 0);
    let diff = document(&house.meno(["diff", &parent, "last", "--json"]).exits(0));
    assert_eq!((&diff["same"], &rerun.run()["lineage"]["parent"]), (&json!(true), &json!(parent)), "{diff}");
    let other = house.meno(["rerun", &parent, "--seed", "8", "--json"]).exits(0).run();
    assert_eq!(other["seed"], 8);
    assert_eq!(
        of(&house.meno(["rerun", &parent, "--agent", "publisher", "--json"]).exits(0).events(), "AttemptStarted").count(),
        2
    );
    assert_sound(&house);
}

#[test]
fn a_fork_that_cannot_be_is_refused_and_nothing_is_written() {
    let (house, parent) = with_a_run();
    let before = house.journal().len();
    let events = house.meno(["events", &parent, "--json"]).exits(0).lines();
    let last = events.last().expect("events")["seq"].as_u64().expect("a position");
    let refused = house.meno(["fork", &parent, "--at", &last.to_string()]).exits(1);
    assert!(refused.stderr.contains("had ended") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    assert!(house.meno(["fork", &parent, "--agent", "publishr"]).exits(1).stderr.contains("did you mean `publisher`"));
    house.meno(["fork", &parent, "--agent", "publisher", "--at", "9"]).exits(2);
    house.meno(["fork", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).exits(1);
    assert_eq!(house.journal().len(), before);
    // Just before its end it can be forked, and needs nothing but the end.
    let run = house.meno(["fork", &parent, "--at", &(last - 2).to_string(), "--json"]).exits(0).run();
    assert_eq!((&run["status"], &run["cost_nusd"]), (&json!("succeeded"), &json!(0)));

    house.meno(["forget", &parent, "--outputs", "--yes"]).exits(0);
    assert!(house.meno(["fork", &parent]).exits(1).stderr.contains("not retained"));
    // What was told it is all that a rerun needs.
    house.meno(["rerun", &parent]).exits(0);
    let collection = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/collections/runs/histories.jsonl");
    house.meno(["import", "runs", collection, "-q"]).exits(0);
    let imported = document(&house.meno(["list-runs", "--mode", "imported", "--limit", "1", "--json"]).exits(0));
    let imported = imported["runs"][0]["run_id"].as_str().expect("an id");
    assert!(house.meno(["fork", imported]).exits(1).stderr.contains("imported"));
}

#[test]
fn a_fork_from_within_the_form_is_answered_as_the_other_run_was_in_the_end() {
    let house = House::with_delay(0);
    house.meno(PUBLISH.iter().chain(&["--set", "package_name=zebra", "--set", "version_bump=major"])).ends();
    let id = document(&house.meno(["show-run", "last", "--json"]).exits(0))["run_id"].as_str().expect("an id").to_owned();
    let events = house.meno(["events", &id, "--json"]).exits(0).lines();
    let first = of(&events, "AnswerGiven").next().expect("an answer")["seq"].to_string();
    let run = house.meno(["fork", &id, "--at", &first, "--no-input", "--json"]).ends().run();
    assert_eq!((&run["answers"]["package_name"], &run["answers"]["version_bump"]), (&json!("zebra"), &json!("major")));
}

#[test]
fn a_fork_keeps_no_words_that_the_settings_redact_today() {
    let house = House::with_delay(0);
    house.meno(PUBLISH.iter().chain(&["--label", "for=Lovelace"])).exits(0);
    let parent = document(&house.meno(["show-run", "last", "--json"]).exits(0))["run_id"].as_str().expect("an id").to_owned();
    let output = document(&house.meno(["show-run", &parent, "--json"]).exits(0))["agents"][0]["output"].clone();
    // It stands in what agents write about what they could not verify, and in no name of a field or a criterion.
    let word = "everything";
    assert!(output.as_str().expect("an output").contains(word), "{output}");
    house.meno(["config", "capture.outputs=redacted"]).exits(0);
    assert!(house.meno(["config", &format!("redaction.names=[{word}")]).exits(1).stderr.contains("redaction.names"));
    house.meno(["config", &format!("redaction.names=[\"{word}\", \"Lovelace\"]")]).exits(0);
    house.meno(["config", "capture.answers=redacted"]).exits(0);
    let before = house.journal().len();
    let refused = house.meno(["fork", &parent]).exits(1);
    assert!(refused.stderr.contains("redact today") && refused.stderr.contains("meno rerun"), "{}", refused.stderr);
    assert_eq!(house.journal().len(), before);
    let run = house.meno(["rerun", &parent, "--json"]).ends().run();
    assert!(!run["agents"].to_string().contains(word), "{word}");
    assert_eq!(run["labels"]["for"], "[redacted:name]");
}

#[test]
fn a_tree_of_forks_names_the_positions_that_a_fork_takes() {
    let (house, parent) = with_a_run();
    for _ in 0..2 {
        house.meno(["fork", &parent, "--agent", "publisher"]).exits(0);
    }
    let listed = document(&house.meno(["list-runs", "--json"]).exits(0));
    let parents: Vec<&Value> = listed["runs"].as_array().expect("runs").iter().map(|run| &run["forked_from"]).collect();
    assert_eq!(parents, [&json!(parent), &json!(parent), &Value::Null]);
    let run = document(&house.meno(["show-run", "last", "--json"]).exits(0));
    let events = house.meno(["events", &parent, "--json"]).exits(0).lines();
    let at = &run["lineage"]["position"];
    assert!(events.iter().any(|event| event["seq"] == *at && event["version"] == run["lineage"]["at"]), "{run}");
    let page = house.meno(["show-run", "last"]).exits(0).stdout;
    let tree: Vec<&str> = page.lines().filter(|line| line.contains(&format!("at event {at}"))).map(str::trim_start).collect();
    assert!(
        matches!(&tree[..], [head, first, second] if head.starts_with("forked") && first.starts_with("├─ ") && second.starts_with("└─ ")),
        "{page}"
    );
}

#[test]
fn forgetting_says_which_forks_hold_copies_and_forgets_them_too_when_asked() {
    let (house, parent) = with_a_run();
    house.meno(["fork", &parent, "--agent", "publisher"]).exits(0);
    house.meno(["fork", "last"]).exits(0);
    let output = document(&house.meno(["show-run", &parent, "--json"]).exits(0))["agents"][2]["output"].clone();
    let words: String = output.as_str().expect("an output").chars().take(60).collect();
    let words = words.lines().max_by_key(|line| line.len()).expect("a line").to_owned();
    let warned = house.meno(["forget", &parent, "--yes"]).exits(0);
    assert!(warned.stderr.contains("--with-forks"), "{}", warned.stderr);
    assert!(!files_with(&house.store(), &words).is_empty(), "the forks have copies");
    // What was taken over can still be told; whether it is what was made there cannot.
    let audit = document(&house.meno(["audit", "--json"]).exits(0));
    assert_eq!(audit["violations"], json!([]));
    let gone = document(&house.meno(["forget", &parent, "--with-forks", "--yes", "--json"]).exits(0));
    assert!(gone["events"].as_u64() > Some(0) && gone["children"] == json!([]), "{gone}");
    let still = files_with(&house.store(), &words);
    assert!(still.is_empty(), "{words:?} is still in {still:?}");
    assert_eq!(document(&house.meno(["audit", "--json"]).exits(0))["violations"], json!([]));
}

/// Three agents of which `second` and `third` fail; `second` ends the run or not.
fn with_failures(on_failure: &str) -> House {
    let house = House::new();
    let script = house.path("script.json");
    std::fs::write(&script, json!({"replies": [{"text": "no such word", "times": 100}]}).to_string()).expect("written");
    house.configure(&format!("preset = \"simulated\"\n[simulated]\nscript = {:?}\n", script.display().to_string()));
    let agent = |role: &str, criteria: Value, on_failure: &str| {
        json!({"role": role, "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Say it.",
               "success_criteria": criteria, "on_failure": on_failure})
    };
    let word = json!([{"name": "says it", "type": "contains", "value": "a word that nobody says"}]);
    let rules =
        [agent("first", json!([]), "fail_run"), agent("third", word.clone(), "continue"), agent("second", word, on_failure)];
    house.template(
        "three",
        &json!({
        "template_id": "three", "name": "Three", "description": "d", "version": "1.0.0",
        "form_schema": {"title": "t", "description": "d", "questions": []}, "agent_composition_rules": rules}),
    );
    house
}

#[test]
fn a_fork_for_one_role_leaves_others_that_failed_alone_unless_asked() {
    let house = with_failures("continue");
    house.meno(["run", "three", "--no-input", "--jobs", "1"]).ends();
    let worked = |done: &Done| -> Vec<Value> {
        of(&done.events(), "AttemptStarted").map(|event| event["data"]["agent"].clone()).collect()
    };
    let done = house.meno(["fork", "last", "--agent", "second", "--json"]).ends();
    assert_eq!(worked(&done), [json!(2)], "{}", done.stdout);
    let run = done.run();
    let statuses: Vec<&Value> = run["agents"].as_array().expect("agents").iter().map(|agent| &agent["status"]).collect();
    assert_eq!(statuses, ["succeeded", "failed", "failed"]);
    assert_sound(&house);
    let again = house.meno(["fork", "last~1", "--agent", "second", "--retry-failed", "--json"]).ends();
    assert_eq!(worked(&again), [json!(1), json!(2)], "{}", again.stdout);
    house.meno(["fork", "last", "--retry-failed"]).exits(2);
    assert_sound(&house);
}

#[test]
fn a_fork_that_another_failure_would_end_is_refused_with_the_line_that_works() {
    let house = with_failures("fail_run");
    house.meno(["run", "three", "--no-input", "--jobs", "1"]).exits(3);
    let run = document(&house.meno(["show-run", "last", "--json"]).exits(0));
    let third = run["agents"].as_array().expect("agents").iter().find(|agent| agent["role"] == "third").expect("an agent");
    assert_eq!(third["status"], "failed", "{run}");
    let before = house.journal().len();
    let refused = house.meno(["fork", "last", "--agent", "third"]).exits(1);
    assert!(refused.stderr.contains("`second` failed too"), "{}", refused.stderr);
    assert_eq!(house.journal().len(), before);
    let line = crate::harness::hints(&refused.stderr).pop().expect("a line");
    let done = house.meno(crate::harness::words_of(&line).into_iter().skip(1).chain(["--json".to_owned()]));
    assert_eq!(of(&done.events(), "AttemptStarted").count(), 2, "{line}: {}", done.stderr);
}

/// Runs a command where the usual programs are.
fn with_programs(house: &House, args: &[&str]) -> Done {
    let mut command = house.command(args);
    command.env("PATH", "/usr/bin:/bin");
    crate::harness::finish(command)
}

/// A house with a run whose one agent looked into a file, twice, and asked a script.
fn with_a_look(tools: &str, more_tools: &[&str], more_calls: &Value) -> House {
    let house = House::new();
    let script = house.path("script.json");
    let reads = |first: u32| json!({"name": "read_file", "arguments": {"path": "notes.txt", "first_line": first}});
    let mut second = vec![reads(2)];
    second.extend(more_calls.as_array().expect("calls").iter().cloned());
    let replies = json!([
        {"turn": 1, "times": 100, "text": "I look.", "tool_calls": [reads(1)]},
        {"turn": 2, "times": 100, "text": "And on.", "tool_calls": second},
        {"turn": 3, "times": 100, "text": "Seen."}]);
    std::fs::write(&script, json!({"replies": replies}).to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[tools]\n{tools}[simulated]\nscript = {:?}\n",
        script.display().to_string()
    ));
    let tools: Vec<&str> = ["read_file"].iter().chain(more_tools).copied().collect();
    house.template(
        "look",
        &json!({
        "template_id": "look", "name": "Look", "description": "d", "version": "1.0.0",
        "form_schema": {"title": "t", "description": "d", "questions": [
            {"id": "what", "text": "What?", "type": "text_input", "default": "all"}]},
        "agent_composition_rules": [
            {"role": "looker", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Find {{answers.what}}.",
             "tools": tools}]}),
    );
    std::fs::write(house.path("work/notes.txt"), "old first\nold second\n").expect("written");
    with_programs(&house, &["run", "look", "--no-input", "--json"]).ends();
    std::fs::write(house.path("work/notes.txt"), "new first\nnew second\n").expect("written");
    house
}

/// Of the last run: how many tool results were another run's, and whether it was told what stands in the file now.
fn looked(house: &House) -> (usize, bool) {
    let run = document(&house.meno(["show-run", "last", "--prompts", "--json"]).exits(0));
    let calls = run["agents"][0]["attempts"].as_array().expect("attempts").iter().flat_map(|one| one["calls"].as_array());
    let tools: Vec<&Value> = calls.flatten().filter_map(|call| call["tools"].as_array()).flatten().collect();
    let reused = tools.iter().filter(|tool| tool["reused_from"].is_string()).count();
    (reused, tools.iter().any(|tool| tool["result"].as_str().is_some_and(|result| result.contains("new first"))))
}

#[test]
fn tools_that_look_are_given_what_was_recorded_where_the_conversation_is_the_same() {
    let house = with_a_look("", &[], &json!([]));
    house.meno(["rerun", "last", "--json"]).ends();
    assert_eq!(looked(&house), (2, false));
    let page = house.meno(["show-run", "last"]).exits(0).stdout;
    assert!(page.contains("recorded by"), "{page}");
    assert_sound(&house);
    // What the first one recorded is there through the second one too.
    house.meno(["fork", "last", "--agent", "looker", "--json"]).ends();
    assert_eq!(looked(&house), (2, false));
    // Another conversation, other settings, or the wish to look again: it looks.
    house.meno(["fork", "last", "--set", "what=more", "--json"]).ends();
    assert_eq!(looked(&house), (0, true));
    house.meno(["rerun", "last~2", "--fresh-tools", "--json"]).ends();
    assert_eq!(looked(&house), (0, true));
    let config = std::fs::read_to_string(house.path("config/meno/config.toml")).expect("readable");
    house.configure(&config.replace("[tools]\n", "[tools]\ndeny = [\"other.txt\"]\n"));
    house.meno(["rerun", "last~3", "--json"]).ends();
    assert_eq!(looked(&house), (0, true));
    assert_sound(&house);
}

#[test]
fn an_agent_that_may_change_something_looks_again_and_does_it_again() {
    let runs = json!([{"name": "run_command", "arguments": {"program": "sh", "arguments": ["-c", "echo ran >> log.txt"]}}]);
    let house = with_a_look("commands = [\"sh\"]\n", &["sh"], &runs);
    with_programs(&house, &["rerun", "last", "--json"]).ends();
    assert_eq!(looked(&house), (0, true));
    assert_eq!(std::fs::read_to_string(house.path("work/log.txt")).expect("it ran").lines().count(), 2);
    // A program of which the settings say that it only looks is as good as a tool that does.
    let house = with_a_look("[tools.commands.sh]\neffect = \"reads\"\n", &["sh"], &runs);
    with_programs(&house, &["rerun", "last", "--json"]).ends();
    assert_eq!(looked(&house), (3, false));
    assert_eq!(std::fs::read_to_string(house.path("work/log.txt")).expect("it ran").lines().count(), 1);
    assert_sound(&house);
}
