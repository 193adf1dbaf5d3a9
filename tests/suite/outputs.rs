//! What a run left to read: outputs of what failed, prompts, evidence, times; and what `run` takes and says at its start.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Done, House, files};
use crate::llm_server::LlmServer;

fn document(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|why| panic!("{why}: {}", done.stdout))
}

/// Settings for simulated models that say what `replies` has for them.
fn scripted(house: &House, replies: &Value) {
    let script = house.path("script.json");
    fs::write(&script, json!({ "replies": replies }).to_string()).expect("written");
    house.configure(&format!("preset = \"simulated\"\n[simulated]\nscript = {:?}\n", script.display().to_string()));
}

fn agent(role: &str, strategy: &str, criteria: Value) -> Value {
    json!({"role": role, "base_template": "generic", "tier_strategy": strategy, "prompt": "Look at {{answers.customer}}.",
           "success_criteria": criteria, "on_failure": "continue"})
}

fn template(id: &str, agents: &[Value]) -> Value {
    json!({
        "template_id": id, "name": "Reading", "description": "Agents with something to say", "version": "1.0.0",
        "form_schema": {"title": "t", "description": "d", "questions": [
            {"id": "customer", "text": "Whose?", "type": "text_input", "default": "ACME-Corp-7", "sensitive": true}]},
        "agent_composition_rules": agents})
}

fn write(path: &Path, template: &Value) -> String {
    fs::write(path, template.to_string()).expect("written");
    path.display().to_string()
}

/// Four agents, of which two fail, as `./fence.json`.
fn fence(house: &House) {
    scripted(
        house,
        &json!([
            {"role": "a_fenced", "text": "```json\n{\"ok\": true}\n```"},
            {"role": "b_prose", "text": "Here you are: {\"ok\": true} Hope it helps {not json}"},
            {"role": "c_bashfence", "text": "Run:\n```bash\nls {a,b}\n```\nthen\n```json\n{\"ok\": 1}\n```"},
            {"role": "d_not", "text": "apple 日本語の文章はここにあります。とても長い文です。"}]),
    );
    let schema = json!([{"type": "json_schema", "schema": {"type": "object", "required": ["ok"]}}]);
    let agents = [
        agent("a_fenced", "cheap_only", schema.clone()),
        agent("b_prose", "cheap_only", json!([{"type": "json_path", "path": "$.ok", "equals": true}])),
        agent("c_bashfence", "cheap_only", schema),
        agent(
            "d_not",
            "cheap_only",
            json!([{"type": "not", "criterion": {"type": "contains", "value": "apple"}}, {"type": "not_contains", "value": "APPLE"},
                   {"type": "regex", "pattern": "(?i)^APPLE"}, {"type": "max_words", "value": 3}, {"type": "min_words", "value": 2}]),
        ),
    ];
    write(&house.path("work/fence.json"), &template("fence", &agents));
}

#[test]
fn json_in_fences_words_of_unicode_and_negations_are_judged_as_they_are_meant() {
    let house = House::new();
    fence(&house);
    let run = house.meno(["run", "./fence.json", "--no-input", "--json"]).ends().run();
    let status: Vec<&Value> = run["agents"].as_array().expect("agents").iter().map(|agent| &agent["status"]).collect();
    assert_eq!(status, ["succeeded", "failed", "succeeded", "failed"]);
    let criteria = run["agents"][3]["attempts"][0]["criteria"].as_array().expect("criteria");
    let told: Vec<(&str, &str)> = criteria
        .iter()
        .map(|criterion| (criterion["verdict"].as_str().expect("a verdict"), criterion["evidence"].as_str().expect("evidence")))
        .collect();
    let found = "found at line 1: \"apple 日本語の文章はここにあります。とても長い文です。\"";
    assert_eq!(
        told,
        [
            ("fail", found),
            ("pass", "\"APPLE\" is not in the answer"),
            ("pass", found),
            ("fail", "23 words; at most 3 are allowed"),
            ("pass", "23 words; at least 2 are asked for"),
        ]
    );
    house.meno(["audit"]).exits(0);
    house.meno(["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn the_output_of_what_failed_can_be_read_with_its_verdict() {
    let house = House::new();
    fence(&house);
    house.meno(["run", "./fence.json", "--no-input"]).ends();
    let page = house.meno(["show-run", "last", "--outputs"]).exits(0).stdout;
    let story = page.split("Output of a_fenced").nth(1).expect("outputs").to_owned();
    let of = |role: &str| {
        story.split(&format!("Output of {role}\n")).nth(1).expect(role).split("\nOutput of ").next().expect(role).to_owned()
    };
    let prose = of("b_prose");
    assert!(prose.contains("attempt 1 (cheap, simulated/simulated-cheap): failed\n"), "{prose}");
    assert!(prose.contains("fail  the answer is JSON in which `$.ok` equals true → the answer is not JSON"), "{prose}");
    assert!(prose.contains("Here you are: {\"ok\": true} Hope it helps {not json}"), "{prose}");
    let not = of("d_not");
    assert!(not.contains("fail  not: the answer contains `apple` → found at line 1") && not.contains("\napple 日本語"), "{not}");
    assert!(!not.contains("pass  "), "{not}");
    assert!(!page.contains("not retained"), "{page}");

    let dir = house.path("out").display().to_string();
    house.meno(["export-run", "last", "--dir", &dir]).exits(0);
    let report = fs::read_to_string(house.path("out/report.md")).expect("a report");
    assert!(report.contains("Hope it helps {not json}") && report.contains("Output of attempt 1 (cheap, "), "{report}");
    let result: Value =
        serde_json::from_str(&fs::read_to_string(house.path("out/result.json")).expect("a result")).expect("JSON");
    let prose = &result["agent_results"][1];
    assert_eq!((&prose["success"], &prose["output"]), (&json!(false), &json!({})));
    assert_eq!(prose["attempt"]["output"], "Here you are: {\"ok\": true} Hope it helps {not json}");
    assert_eq!(prose["attempt"]["criteria"][0]["verdict"], "fail");
}

/// One agent whose first answer fails and whose second passes.
fn climber(house: &House) {
    scripted(house, &json!([{"attempt": 1, "text": "first answer"}, {"attempt": 2, "text": "second answer, done"}]));
    let criteria = json!([{"name": "says done", "type": "contains", "value": "done"}]);
    write(&house.path("work/climber.json"), &template("climber", &[agent("builder", "progressive", criteria)]));
    house.meno(["run", "./climber.json", "--no-input"]).exits(0);
}

#[test]
fn any_attempt_and_its_prompts_can_be_read_and_exported() {
    let house = House::new();
    climber(&house);
    let shown = |args: &[&str]| house.meno(["show-run", "last"].iter().chain(args)).exits(0).stdout;
    let last = shown(&["--outputs"]);
    assert!(last.contains("attempt 2 (capable, ") && last.contains("\nsecond answer, done\n"), "{last}");
    assert!(!last.contains("\nfirst answer\n"), "{last}");
    let first = shown(&["--attempt", "1"]);
    assert!(first.contains("fail  says done → \"done\" is not in the answer") && first.contains("\nfirst answer\n"), "{first}");
    assert!(!first.contains("\nsecond answer"), "{first}");

    let prompts = shown(&["--prompts", "--attempt", "2", "--agent", "builder"]);
    let told = prompts.split("Prompt of builder").nth(1).expect("a prompt");
    assert!(told.contains("attempt 2 (capable, simulated/simulated-capable)"), "{told}");
    assert!(told.contains("System message:") && told.contains("User message:") && told.contains("Look at ***."), "{told}");
    assert!(told.contains("first answer"), "the second prompt quotes what failed: {told}");
    assert!(!prompts.contains("ACME"), "{prompts}");

    let json = |args: &[&str]| document(&house.meno(["show-run", "last", "--json"].iter().chain(args)).exits(0));
    assert_eq!(json(&[])["agents"][0]["attempts"][0]["calls"][0].get("prompt"), None);
    let told = json(&["--prompts"])["agents"][0]["attempts"][0]["calls"][0]["prompt"].clone();
    assert!(told["user"].as_str().is_some_and(|text| text.contains("Look at ***.")) && told["system"].is_string(), "{told}");
    let one = json(&["--attempt", "2"])["agents"][0]["attempts"].clone();
    assert_eq!((one.as_array().map(Vec::len), &one[0]["output"]), (Some(1), &json!("second answer, done")));

    let missing = house.meno(["show-run", "last", "--attempt", "7"]).exits(1);
    assert!(missing.stderr.contains("has no attempt 7") && missing.stderr.contains("1 to 2"), "{}", missing.stderr);
    house.meno(["show-run", "last", "--attempt", "0"]).exits(2);

    let dir = house.path("out").display().to_string();
    house.meno(["export-run", "last", "--dir", &dir, "--prompts", "--attempt", "1"]).exits(0);
    let read = |name: &str| fs::read_to_string(house.path("out").join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    assert!(read("report.md").contains("\nfirst answer\n"), "{}", read("report.md"));
    let prompts = read("prompts.md");
    assert!(prompts.contains("Look at ***.") && !prompts.contains("ACME") && !prompts.contains("attempt 2"), "{prompts}");
    let result: Value = serde_json::from_str(&read("result.json")).expect("JSON");
    assert_eq!(result["agent_results"][0]["attempt"]["output"], "first answer");
    assert!(result["run"]["agents"][0]["attempts"][0]["calls"][0]["prompt"]["user"].is_string());
    house.meno(["export-run", "last", "--dir", &dir, "--prompts", "--sensitive"]).exits(0);
    assert!(read("prompts.md").contains("Look at ACME-Corp-7."));
    house.meno(["export-run", "last", "--dir", &dir, "--attempt", "7"]).exits(1);
}

#[test]
fn prompts_and_outputs_that_are_not_kept_are_said_to_be_so() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[capture]\nprompts = \"none\"\noutputs = \"none\"\n");
    write(&house.path("work/quiet.json"), &template("quiet", &[agent("builder", "cheap_only", json!([]))]));
    house.meno(["run", "./quiet.json", "--no-input"]).exits(0);
    let page = house.meno(["show-run", "last", "--outputs", "--prompts"]).exits(0).stdout;
    assert!(page.contains("its answer is not retained") && page.matches("  not retained").count() >= 2, "{page}");
    let run = document(&house.meno(["show-run", "last", "--json", "--prompts"]).exits(0));
    assert_eq!(run["agents"][0]["attempts"][0]["calls"][0]["prompt"]["user"], Value::Null);
}

#[test]
fn an_attempt_without_an_answer_says_why_and_names_the_earlier_ones() {
    let house = House::new();
    scripted(
        &house,
        &json!([{"attempt": 1, "text": "first answer"}, {"attempt": 2, "error": {"class": "server", "message": "on fire"}},
                {"attempt": 3, "error": {"class": "server", "message": "on fire"}}]),
    );
    let criteria = json!([{"type": "contains", "value": "done"}]);
    write(&house.path("work/burnt.json"), &template("burnt", &[agent("builder", "progressive", criteria)]));
    house.meno(["run", "./burnt.json", "--no-input"]).ends();
    let page = house.meno(["show-run", "last", "--outputs"]).exits(0).stdout;
    let output = page.split("Output of builder").nth(1).expect("an output");
    assert!(output.contains("no answer: server") && output.contains("on fire"), "{output}");
    assert!(output.contains("`--attempt N` shows earlier ones: 1"), "{output}");
}

#[test]
fn a_path_to_a_template_file_runs_it() {
    let house = House::new();
    let good = template("mine", &[agent("builder", "cheap_only", json!([]))]);
    write(&house.path("work/other-name.json"), &good);
    let done = house.meno(["run", "other-name.json", "--no-input"]).exits(0);
    assert_eq!(done.stderr.matches("no model is set up").count(), 1, "{}", done.stderr);
    assert_eq!(document(&house.meno(["show-run", "last", "--json"]).exits(0))["template_id"], "mine");
    assert_eq!(document(&house.meno(["show-template", "./other-name.json", "--json"]).exits(0))["origin"], "file");
    house.meno(["run", "./other-name.json", "--no-input", "--dry-run"]).exits(0);
    assert!(!house.store().join("templates/mine.json").exists(), "it is run, not taken into the store");

    let missing = house.meno(["run", "./no-such.json", "--no-input"]).exits(1);
    assert!(missing.stderr.contains("no template file ./no-such.json"), "{}", missing.stderr);
    fs::write(house.path("work/broken.json"), "{\"template_id\": \"broken\"").expect("written");
    let broken = house.meno(["run", "./broken.json", "--no-input"]).exits(1);
    assert!(
        broken.stderr.contains("is broken") && broken.stderr.contains("validate-template ./broken.json"),
        "{}",
        broken.stderr
    );
    house.meno(["run", "..", "--no-input"]).exits(1);
    house.meno(["run", "./", "--no-input"]).exits(1);

    // Who means the built-in one is told that it is not.
    write(&house.path("work/release.json"), &template("release_prep", &[agent("builder", "cheap_only", json!([]))]));
    let done = house.meno(["run", "./release.json", "--no-input"]).exits(0);
    assert!(done.stderr.contains("./release.json, not the one that `meno run release_prep` runs"), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_file_spends_no_money_unasked() {
    let server = LlmServer::start([]).await;
    let tiers =
        ["cheap", "capable", "premium"].map(|tier| format!("[tiers.{tier}]\nprovider = \"wire\"\nmodel = \"m\"\n")).concat();
    let house = House::new();
    house.configure(&format!(
        "{tiers}[providers.wire]\nkind = \"openai-chat\"\nbase_url = \"{}\"\nauth = \"none\"\n",
        server.base_url("/v1")
    ));
    write(&house.path("work/mine.json"), &template("mine", &[agent("builder", "cheap_only", json!([]))]));
    let run = |args: &[&str]| {
        let command = house.command(args);
        tokio::task::spawn_blocking(move || crate::harness::finish(command))
    };
    let refused = run(&["run", "./mine.json", "--no-input"]).await.expect("no panic");
    assert_eq!((refused.code, server.requests().len()), (Some(1), 0), "{}", refused.stderr);
    assert!(refused.stderr.contains("meno template add FILE"), "{}", refused.stderr);
    run(&["template", "add", "./mine.json"]).await.expect("no panic").exits(0);
    let done = run(&["run", "mine", "--no-input"]).await.expect("no panic").exits(0);
    assert_eq!(server.requests().len(), 1, "{}", done.stderr);
}

#[test]
fn a_template_of_the_store_that_hides_a_built_in_one_is_said_to() {
    let house = House::new();
    let own = template("release_prep", &[agent("builder", "cheap_only", json!([]))]);
    fs::create_dir_all(house.store().join("templates")).expect("a folder");
    write(&house.store().join("templates/release_prep.json"), &own);
    let done = house.meno(["run", "release_prep", "--no-input"]).exits(0);
    assert!(done.stderr.contains("templates/release_prep.json, which hides the built-in one"), "{}", done.stderr);
    let other = house.meno(["run", "python_package_publish", "--no-input"]).ends();
    assert!(!other.stderr.contains("hides"), "{}", other.stderr);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let house = House::new();
    let mut command = house.command(["run", "python_package_publish", "--no-input", "--json"]);
    command.env("MENO_STORE", "").env("MENO_CONFIG", "").env("MENO_LOG", "").env("MENO_SEED", "").env("MENO_CLOCK", "");
    for variable in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_HOST", "ANTHROPIC_BASE_URL", "HF_ENDPOINT", "NO_COLOR"] {
        command.env(variable, "");
    }
    let done = crate::harness::finish(command).ends();
    assert_eq!(done.run()["mode"], "simulated");
    assert!(house.path("data/meno/journal").exists() && !house.store().exists(), "the user's own store is meant");

    let mut named = house.command(["init"]);
    named.env("MENO_STORE", house.path("elsewhere"));
    crate::harness::finish(named).exits(0);
    assert!(house.path("elsewhere/config.toml").exists());
    let mut nearest = house.command(["init"]);
    nearest.env("MENO_STORE", "");
    crate::harness::finish(nearest).exits(0);
    assert!(house.path("work/.meno/config.toml").exists());
}

#[test]
fn events_are_timed_to_the_millisecond_and_no_call_took_longer_than_its_run() {
    let house = House::new();
    climber(&house);
    let page = house.meno(["events", "last", "--time-zone", "UTC"]).exits(0).stdout;
    for line in page.lines() {
        let time = line.split_whitespace().nth(2).expect("a time");
        assert_eq!((time.len(), time.as_bytes().get(8)), ("16:21:31.042".len(), Some(&b'.')), "{line}");
    }
    let run = document(&house.meno(["show-run", "last", "--json"]).exits(0));
    let took = run["duration_ms"].as_u64().expect("a duration");
    let attempts = run["agents"][0]["attempts"].as_array().expect("attempts").iter();
    let latencies = attempts.map(|attempt| attempt["calls"][0]["latency_ms"].as_u64().expect("a latency"));
    assert!(latencies.sum::<u64>() <= took, "{run}");
}

#[test]
fn an_imported_run_without_an_end_shows_how_long_its_attempts_took() {
    let house = House::new();
    let line = |id: &str, attempts: Value| {
        json!({"run_id": id, "template_id": "imported", "status": "succeeded", "started_at": "2026-10-01T09:07:00Z",
               "agents": [{"role": "reviewer", "status": "succeeded", "attempts": attempts}]})
    };
    let attempt = |duration_ms: Value| json!({"tier": "cheap", "passed": true, "cost_usd": 0.001, "duration_ms": duration_ms});
    let lines = [
        line("timed", json!([attempt(json!(1500)), attempt(json!(2000))])),
        line("untimed", json!([attempt(json!(1500)), attempt(Value::Null)])),
    ];
    let file = house.path("runs.jsonl");
    fs::write(&file, lines.map(|line| line.to_string() + "\n").concat()).expect("written");
    house.meno(["import", "runs", &file.display().to_string(), "--source", "ci"]).exits(0);

    let list = house.meno(["list-runs", "--sort", "oldest"]).exits(0);
    let rows: Vec<&str> = list.stdout.lines().filter(|row| row.contains("imported")).collect();
    assert!(rows.iter().filter(|row| row.contains("Σ 3.5 s")).count() == 1 && list.stderr.contains("Σ: "), "{list:?}");
    let runs = document(&house.meno(["list-runs", "--json"]).exits(0))["runs"].clone();
    let mut told: Vec<(&Value, &Value)> =
        runs.as_array().expect("runs").iter().map(|run| (&run["duration_ms"], &run["attempts_duration_ms"])).collect();
    told.sort_by_key(|(_, attempts)| attempts.is_null());
    assert_eq!(told, [(&Value::Null, &json!(3500)), (&Value::Null, &Value::Null)]);
    let id =
        runs.as_array().expect("runs").iter().find(|run| !run["attempts_duration_ms"].is_null()).expect("one")["run_id"].clone();
    let page = house.meno(["show-run", id.as_str().expect("an id")]).exits(0).stdout;
    assert!(page.contains("attempts took 3.5 s together (its end is not recorded)"), "{page}");
    let analytics = house.meno(["analytics"]).exits(0).stdout;
    assert!(analytics.contains("Σ 3.5 s / 3.5 s in attempts"), "{analytics}");
    assert!(files(&house.store()).len() > 1);
}

#[test]
fn what_a_run_came_to_stands_before_how_it_got_there() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).exits(0);
    let report = house.meno(["report"]).exits(0).stdout;
    let page = house.meno(["show-run", "last", "--outputs"]).exits(0).stdout;
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"));
    assert!(at("\nReport\n") < at("\nAnswers\n") && at("\nReport\n") < at("\nOutput of "), "{page}");
    assert_eq!(page.matches("\nReport\n").count(), 1);
    assert!(page.contains(report.lines().next().expect("a line")));
    assert!(!house.meno(["show-run", "last"]).exits(0).stdout.contains("\nReport\n"));
}
