//! Files that people write: what is wrong with them is said where it stands.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{House, files};

/// Writes a file into the project's folder.
fn write(house: &House, name: &str, text: &str) {
    fs::write(house.path("work").join(name), text).expect("written");
}

#[test]
fn a_template_may_have_any_name_when_it_is_checked_and_its_tests_are_counted() {
    let house = House::new();
    let text = house.meno(["export-template", "release_prep"]).exits(0).stdout;
    let template: Value = serde_json::from_str(&text).expect("a template");
    let tests = template["tests"].as_array().expect("tests").len();
    write(&house, "draft of mine.json", &text);
    let done = house.meno(["validate-template", "draft of mine.json"]).exits(0);
    assert!(done.stderr.contains(&format!("draft of mine.json: valid, {tests} tests passed")), "{}", done.stderr);

    let mut wrong = template.clone();
    wrong["tests"][0]["roles"] = json!(["release_manager"]);
    write(&house, "wrong.json", &wrong.to_string());
    let done = house.meno(["validate-template", "wrong.json"]).exits(1);
    assert!(done.stderr.contains(&format!("wrong.json: 1 of {tests} tests failed")), "{}", done.stderr);
    let document: Value =
        serde_json::from_str(&house.meno(["validate-template", "wrong.json", "--json"]).exits(1).stdout).expect("JSON");
    assert_eq!(document["files"][0]["tests"], json!({"total": tests, "failed": 1}));

    wrong["name"] = json!(5);
    write(&house, "worse.json", &wrong.to_string());
    let document: Value =
        serde_json::from_str(&house.meno(["validate-template", "worse.json", "--json"]).exits(1).stdout).expect("JSON");
    assert_eq!(document["files"][0]["tests"], json!({"total": tests, "failed": null}));

    // Among the templates of a store a file is found by its name, which then has to be the id.
    house.meno(["template", "new", "mine"]).exits(0);
    let stored = files(&house.store()).into_iter().find(|file| file.ends_with("templates/mine.json")).expect("a template");
    let renamed = stored.with_file_name("other.json");
    fs::rename(&stored, &renamed).expect("renamed");
    fs::create_dir_all(house.store().join("journal")).expect("a folder");
    assert!(house.meno(["validate-template", renamed.to_str().expect("a text")]).exits(1).stdout.contains("/template_id"));
}

#[test]
fn a_trailing_comma_is_said_to_be_one_where_it_stands() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n");
    write(&house, "template.json", "{\n  \"template_id\": \"x\",\n  \"tests\": [],\n}\n");
    let done = house.meno(["validate-template", "template.json"]).exits(1);
    assert!(done.stdout.contains("template.json:3:14: error: trailing comma"), "{}", done.stdout);

    write(&house, "answers.json", "{\"project_name\": \"demo\" ,\n\n}\n");
    let done = house.meno(["run", "release_prep", "--no-input", "--answers", "answers.json"]).exits(1);
    assert!(done.stderr.contains("answers.json: line 1, column 25: trailing comma"), "{}", done.stderr);

    write(
        &house,
        "prices.json",
        "{\"as_of\": \"2026-11-22\", \"currency\": \"USD\", \"unit\": \"nUSD per million tokens\", \"rows\": [],}",
    );
    let done = house.meno(["prices", "--update", "prices.json"]).exits(1);
    assert!(done.stderr.contains("line 1, column 89: trailing comma"), "{}", done.stderr);

    write(&house, "tasks.jsonl", "{\"id\": \"1\", \"role\": \"r\", \"text\": \"x\",}\n");
    let done = house.meno(["recommend", "--tasks", "tasks.jsonl"]).exits(1);
    assert!(done.stderr.contains("line 1 is no task: trailing comma at column 37"), "{}", done.stderr);

    fs::write(house.path("config/meno/script.json"), "{\"replies\": [],}").expect("written");
    house.configure("preset = \"simulated\"\n[simulated]\nscript = \"script.json\"\n");
    let done = house.meno(["run", "python_package_publish", "--no-input"]).exits(1);
    assert!(done.stderr.contains("line 1, column 15: trailing comma"), "{}", done.stderr);
}

#[test]
fn a_store_has_base_agents_of_its_own() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n");
    house.meno(["export-template", "code_reviewer", "--agent", "-o", "mine.json"]).exits(0);
    let text = fs::read_to_string(house.path("work").join("mine.json")).expect("an agent");
    let mut agent: Value = serde_json::from_str(&text).expect("JSON");
    (agent["id"], agent["instructions"]) = (json!("my_reviewer"), json!("Look for typos and nothing else."));
    write(&house, "mine.json", &agent.to_string());
    let done = house.meno(["validate-template", "mine.json"]).exits(0);
    assert!(done.stderr.contains("mine.json: valid, a base agent"), "{}", done.stderr);
    house.meno(["template", "add", "mine.json"]).exits(0);
    let stored = files(&house.store()).into_iter().find(|file| file.ends_with("templates/agents/my_reviewer.json"));
    let stored = stored.expect("it is among the store's base agents");
    let line = |id: &str| {
        let list: Value = serde_json::from_str(&house.meno(["list-templates", "--json"]).exits(0).stdout).expect("JSON");
        list["agents"].as_array().expect("agents").iter().find(|agent| agent["id"] == id).expect("it is listed").clone()
    };
    assert_eq!((&line("my_reviewer")["origin"], &line("generic")["origin"]), (&json!("user"), &json!("built-in")));
    assert!(house.meno(["list-templates", "--agents"]).exits(0).stdout.contains("my_reviewer"));

    let template = json!({
        "template_id": "typos", "name": "Typos", "description": "d",
        "form_schema": {"title": "t", "description": "d", "questions": []},
        "agent_composition_rules": [{"role": "reader", "base_template": "my_reviewer", "prompt": "Read this."}]
    });
    write(&house, "typos.json", &template.to_string());
    house.meno(["template", "add", "typos.json"]).exits(0);
    house.meno(["run", "typos", "--no-input"]);
    let events = house.meno(["events", "last", "--json"]).exits(0).stdout;
    assert!(events.contains("\"my_reviewer\"") && events.contains("Look for typos and nothing else."), "{events}");
    let shown: Value = serde_json::from_str(&house.meno(["show-template", "typos", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(shown["rules"][0]["base"], "my_reviewer");
    assert_ne!(shown["rules"][0]["base_criteria"], json!([]));

    // What is wrong with an agent is said where it is listed, checked and needed, and spends nothing.
    fs::write(&stored, "{\"id\": \"my_reviewer\", \"description\": \"d\", \"instructions\": \"\"}").expect("written");
    assert_eq!(line("my_reviewer")["origin"], "broken");
    let done = house.meno(["validate-template", stored.to_str().expect("a text")]).exits(1);
    assert!(done.stdout.contains("/instructions: the instructions are empty"), "{}", done.stdout);
    let done = house.meno(["run", "typos", "--no-input"]).exits(1);
    assert!(done.stderr.contains("the base agent `my_reviewer` is broken"), "{}", done.stderr);
    // One that takes the place of what ships takes its faults along.
    fs::copy(&stored, stored.with_file_name("test_runner.json")).expect("copied");
    let done = house.meno(["run", "python_package_publish", "--no-input"]).exits(1);
    assert!(done.stderr.contains("the base agent `test_runner` is broken"), "{}", done.stderr);
}
