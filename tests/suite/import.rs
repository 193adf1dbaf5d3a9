//! Histories of other systems: taken in whole, once, and found again as they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use meno::event::Event;
use serde_json::{Value, json};

use crate::harness::{Done, House, files};

/// The collection of run histories that comes with the source.
fn collection(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections/runs").join(file)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the collection");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Writes lines into a file of the house.
fn write(house: &House, name: &str, lines: &[String]) -> String {
    let path = house.path(name);
    fs::write(&path, lines.join("\n")).expect("the file is written");
    path.display().to_string()
}

fn line(id: u32) -> Value {
    json!({"run_id": format!("r-{id}"), "template_id": "code_review", "started_at": format!("2026-10-01T09:{id:02}:00Z"),
        "agents": [{"role": "reviewer", "task": "look at the parser", "attempts": [
            {"tier": "cheap", "passed": false, "cost_usd": 0.001, "failed_criteria": ["names a line"]},
            {"tier": "capable", "passed": true, "cost_usd": 0.0125, "output": format!("finding {id}")}]}]})
}

#[track_caller]
fn import(house: &House, args: &[&str], code: i32) -> Value {
    let done = house.meno([&["import", "runs"], args, &["--json"]].concat()).exits(code);
    serde_json::from_str(&done.stdout).expect("a document")
}

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("a document")
}

/// The cost in a line, in nUSD, as its decimals say.
fn cost(run: &Value) -> (u64, bool) {
    let agents = run["agents"].as_array().into_iter().flatten();
    let attempts: Vec<&Value> = agents.flat_map(|agent| agent["attempts"].as_array().into_iter().flatten()).collect();
    let costs = attempts.iter().filter_map(|attempt| attempt.get("cost_usd"));
    let sum = costs.clone().map(|cost| (cost.as_f64().expect("a number") * 1e9).round() as u64).sum();
    (sum, costs.count() == attempts.len())
}

#[test]
fn the_collection_comes_in_once_and_adds_up() {
    let house = House::new();
    let path = collection("histories.jsonl");
    let told = import(&house, &[path.to_str().expect("a text")], 0);
    let from = lines(&path);
    let (sum, complete) = from.iter().map(cost).fold((0, true), |(sum, all), (cost, whole)| (sum + cost, all && whole));
    assert_eq!((&told["imported"], &told["cost_nusd"]), (&json!(from.len()), &json!(sum)));
    assert_eq!((&told["failed"], &told["notices"], &told["cost_complete"]), (&json!(0), &json!([]), &json!(complete)));

    let before = house.journal();
    let list = document(house.meno(["list-runs", "--json"]));
    let runs = list["runs"].as_array().expect("runs");
    assert_eq!(list["total"], from.len());
    assert_eq!(runs.iter().map(|run| run["cost_nusd"].as_u64().expect("a cost")).sum::<u64>(), sum);
    assert!(runs.iter().all(|run| run["mode"] == "imported"));
    let started: Vec<&str> = runs.iter().filter_map(|run| run["started_at"].as_str()).collect();
    let mut wanted: Vec<&str> = from.iter().filter_map(|run| run["started_at"].as_str()).collect();
    wanted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(started, wanted, "newest first");

    let again = import(&house, &[path.to_str().expect("a text")], 0);
    assert_eq!((&again["imported"], &again["already_there"]), (&json!(0), &json!(from.len())));
    assert_eq!(house.journal().len(), before.len());
}

#[test]
fn an_imported_run_is_shown_listed_and_exported_as_its_line_tells_it() {
    let house = House::new();
    let mut run = line(7);
    run["ended_at"] = json!("2026-10-01T09:07:42.5Z");
    run["labels"] = json!({"team": "core"});
    run["answers"] = json!({"depth": "deep", "files": ["a.rs"]});
    run["report"] = json!("All is well.");
    run["notes"] = json!([{"text": "spot on", "rating": 5}]);
    let mut open = line(8);
    open["agents"][0]["attempts"][1]["passed"] = json!(false);
    open["agents"][0]["attempts"][1].as_object_mut().expect("an object").remove("cost_usd");
    let file = write(&house, "two.jsonl", &[run.to_string(), open.to_string()]);
    import(&house, &[&file, "--source", "ci"], 0);

    let shown = document(house.meno(["show-run", "last~1", "--json"]));
    assert_eq!((&shown["mode"], &shown["source"], &shown["foreign_run_id"]), (&json!("imported"), &json!("ci"), &json!("r-7")));
    assert_eq!((&shown["started_at"], &shown["duration_ms"]), (&run["started_at"], &json!(42_500)));
    assert_eq!((&shown["answers"], &shown["labels"], &shown["report"]), (&run["answers"], &run["labels"], &run["report"]));
    assert_eq!((&shown["cost_nusd"], &shown["cost_usd"]), (&json!(13_500_000), &json!("0.0135")));
    assert_eq!((&shown["status"], &shown["notes"][0]["rating"]), (&json!("succeeded"), &json!(5)));
    let agent = &shown["agents"][0];
    assert_eq!(
        (&agent["output"], &agent["task"], &agent["tier"]),
        (&json!("finding 7"), &json!("look at the parser"), &json!("capable"))
    );
    let first = &agent["attempts"][0];
    assert_eq!((&first["status"], &first["escalated_to"]), (&json!("failed_criteria"), &json!("capable")));
    assert_eq!(first["criteria"].as_array().map(Vec::len), Some(1));
    assert_eq!((&first["criteria"][0]["name"], &first["criteria"][0]["verdict"]), (&json!("names a line"), &json!("fail")));

    // What is not known is said to be unknown, in both places.
    let failed = document(house.meno(["show-run", "last", "--json"]));
    assert_eq!((&failed["status"], &failed["ended_at"], &failed["duration_ms"]), (&json!("failed"), &Value::Null, &Value::Null));
    assert_eq!((&failed["cost_nusd"], &failed["cost_complete"]), (&json!(1_000_000), &json!(false)));
    let story = house.meno(["show-run", "last", "--time-zone", "UTC"]).exits(0).stdout;
    for words in ["imported from ci, r-8 there", "2026-10-01 09:08", "at least $0.00100", "names a line", "model not known"] {
        assert!(story.contains(words), "{words} is not in\n{story}");
    }

    let events = house.meno(["events", "last~1", "--json"]).exits(0).lines();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "RunStarted",
            "AnswerGiven",
            "AnswerGiven",
            "AgentPlanned",
            "AttemptImported",
            "CostIncurred",
            "CriterionJudged",
            "TierEscalated",
            "AttemptImported",
            "CostIncurred",
            "AgentSucceeded",
            "ReportComposed",
            "RunSucceeded",
            "NoteAdded",
        ]
    );
    assert!(events.iter().all(|event| event["occurred_at"].as_str().is_some_and(|at| at.starts_with("2026-10-01T09:07"))));

    let dir = house.path("out").display().to_string();
    house.meno(["export-run", "last~1", "--dir", &dir]).exits(0);
    assert_eq!(files(&house.path("out")).len(), 5);
    assert!(fs::read_to_string(house.path("out/report.md")).expect("a report").contains("All is well."));
    house.meno(["resume", "last", "--no-input"]).exits(1);
}

#[test]
fn a_line_that_cannot_be_taken_is_told_and_the_others_are_taken() {
    let house = House::new();
    let mut wrong = line(2);
    wrong["agents"][0]["attempts"][0]["tier"] = json!("chea");
    let file =
        write(&house, "some.jsonl", &[line(1).to_string(), wrong.to_string(), "{".into(), String::new(), line(3).to_string()]);

    let strict = import(&house, &[&file, "--strict"], 1);
    assert_eq!((&strict["imported"], &strict["failed"]), (&json!(0), &json!(2)));
    assert_eq!(document(house.meno(["list-runs", "--json"]))["total"], 0);

    let told = import(&house, &[&file], 1);
    assert_eq!((&told["imported"], &told["failed"], &told["lines"]), (&json!(2), &json!(2), &json!(4)));
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["field"]), (&json!(2), &json!("agents[0].attempts[0].tier")));
    assert!(problem["reason"].as_str().is_some_and(|reason| reason.contains("`chea`")));
    assert_eq!(told["problems"][1]["line"], 3);
    let words = house.meno(["import", "runs", &file]).exits(1);
    assert!(words.stderr.contains("line 2: `agents[0].attempts[0].tier` is no tier: `chea`: use one of cheap, capable, premium"));
    assert!(words.stdout.contains("0 runs imported, 2 there already, 2 with problems"), "{}", words.stdout);
}

#[test]
fn a_growing_file_adds_what_is_new_and_a_changed_line_is_told() {
    let house = House::new();
    let all: Vec<String> = (1..=6).map(|id| line(id).to_string()).collect();
    import(&house, &[&write(&house, "a.jsonl", &all[..2])], 0);
    let mut changed = line(1);
    changed["started_at"] = json!("2026-10-02T00:00:00Z");
    let more = [&[changed.to_string()], &all[1..], &all[5..]].concat();
    let told = import(&house, &[&write(&house, "b.jsonl", &more)], 0);
    assert_eq!((&told["imported"], &told["already_there"], &told["changed"]), (&json!(4), &json!(2), &json!(1)));
    assert_eq!((&told["changes"][0]["line"], &told["changes"][0]["foreign_run_id"]), (&json!(1), &json!("r-1")));
    assert_eq!(document(house.meno(["list-runs", "--json"]))["total"], 6);
    // The same ids of another system are other runs.
    assert_eq!(import(&house, &[&write(&house, "c.jsonl", &all), "--source", "other"], 0)["imported"], 6);
}

#[test]
fn stdin_is_a_file_too_and_what_is_not_there_makes_no_store() {
    let house = House::new();
    let error = house.meno(["import", "runs", "missing.jsonl"]).exits(1).stderr;
    assert!(error.contains("cannot read missing.jsonl") && !house.store().exists(), "{error}");
    let file = write(&house, "in.jsonl", &[line(1).to_string()]);
    let mut command = house.command(["import", "runs", "-", "--json"]);
    let output = command.stdin(Stdio::from(fs::File::open(file).expect("the file"))).output().expect("the program runs");
    let told: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!((&told["imported"], &told["file"]), (&json!(1), &json!("-")));
    house.meno(["import", "runs", "-", "--strict"]).exits(1);
}

#[test]
fn long_texts_lie_beside_the_log_and_secrets_nowhere() {
    let house = House::new();
    let secret = "sk-ant-REDACTED";
    let long = "a long answer with words ".repeat(2000);
    let mut run = line(1);
    run["agents"][0]["attempts"][1]["output"] = json!(format!("{long}{secret}"));
    run["status"] = json!(secret);
    let mut good = run.clone();
    good["status"] = json!("succeeded");
    let file = write(&house, "long.jsonl", &[run.to_string(), good.to_string()]);
    let told = house.meno(["import", "runs", &file, "--json"]).exits(1);
    assert!(!told.stdout.contains(secret) && told.stdout.contains("[redacted:"), "{}", told.stdout);
    let shown = document(house.meno(["show-run", "--json"]));
    assert_eq!(shown["agents"][0]["output"], format!("{long}[redacted:anthropic-key]"));
    let inline: usize = house
        .journal()
        .iter()
        .map(|recorded| match &recorded.event {
            Event::AttemptImported(body) => format!("{:?}", body.private).len(),
            _ => 0,
        })
        .sum();
    assert!(inline < 1000, "{inline} bytes stand in the log");
    house.meno(["doctor"]).exits(0);
}

#[test]
fn a_new_run_is_the_last_one_even_when_an_import_is_dated_in_the_future() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n");
    let mut run = line(1);
    run["started_at"] = json!("2200-01-01T00:00:00Z");
    import(&house, &[&write(&house, "future.jsonl", &[run.to_string()])], 0);
    let started = house.meno(["run", "python_package_publish", "--no-input", "--seed", "7", "--json"]).ends().run();
    let id = started["run_id"].as_str().expect("an id");
    assert!(id.starts_with("01"), "the run is dated by the clock: {id}");
}

#[test]
fn the_collection_keeps_its_promises() {
    let runs = lines(&collection("histories.jsonl"));
    let ids: BTreeSet<&str> = runs.iter().filter_map(|run| run["run_id"].as_str()).collect();
    assert!(runs.len() >= 110 && ids.len() == runs.len());
    for output in runs.iter().flat_map(|run| run["agents"].as_array().expect("agents")).map(|agent| {
        let attempts = agent["attempts"].as_array().expect("attempts");
        attempts.iter().find_map(|attempt| attempt["output"].as_str()).expect("an output")
    }) {
        assert!((60..=200).contains(&output.split_whitespace().count()), "{output}");
    }
    let queries = lines(&collection("queries.jsonl"));
    let asked: BTreeSet<&str> = queries.iter().filter_map(|query| query["id"].as_str()).collect();
    let judged = fs::read_to_string(collection("qrels.tsv")).expect("judgements");
    let mut judgements: BTreeMap<&str, u32> = BTreeMap::new();
    for row in judged.lines().skip(1) {
        let [query, run, grade] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        assert!(asked.contains(query) && ids.contains(run) && ["1", "2"].contains(&grade), "{row}");
        *judgements.entry(query).or_default() += u32::from(grade == "2");
    }
    assert!(queries.len() >= 66 && queries.len() == asked.len());
    assert!(asked.iter().all(|query| judgements.get(query).is_some_and(|found| *found > 0)));
}
