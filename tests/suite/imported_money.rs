//! What comes in from other systems counts once, as what it is, and says no more than its source did.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Done, House, files};

const RUN: [&str; 5] = ["run", "python_package_publish", "--no-input", "-q", "--seed"];

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("a document")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

/// Calls and costs by mode.
#[track_caller]
fn spent(house: &House) -> Vec<(String, u64, u64)> {
    let costs = document(house.meno(["costs", "--by", "mode", "--json"]));
    let total = |total: &Value| {
        let number = |name: &str| total[name].as_u64().expect("a number");
        (total["mode"].as_str().expect("a mode").to_owned(), number("calls"), number("cost_nusd"))
    };
    costs["totals"].as_array().expect("totals").iter().map(total).collect()
}

/// Writes a session of Claude Code with so many exchanges; its file was written long ago.
fn session(house: &House, exchanges: u32, tokens: u64, command: &str) {
    let folder = house.path("home/.claude/projects/-home-ada-shop");
    fs::create_dir_all(&folder).expect("a folder");
    let mut lines = Vec::new();
    for number in 0..exchanges {
        let line = |kind: &str, second: u32, message: Value| {
            json!({"type": kind, "timestamp": format!("2026-07-01T10:{number:02}:{second:02}.000Z"), "cwd": "/home/ada/shop",
                "sessionId": "s1", "uuid": format!("{kind}{number}{second}"), "requestId": format!("req_{number}"), "message": message})
            .to_string()
        };
        lines.push(line("user", 0, json!({"role": "user", "content": format!("question {number}")})));
        let content = json!([{"type": "text", "text": "so"}, {"type": "tool_use", "id": format!("t{number}"), "name": "Bash",
            "input": {"command": command}}]);
        let usage = json!({"input_tokens": tokens, "output_tokens": 7});
        lines.push(line(
            "assistant",
            5,
            json!({"id": format!("msg_{number}"), "model": "claude-haiku-4-5", "stop_reason": "tool_use", "content": content, "usage": usage}),
        ));
        let result = json!([{"type": "tool_result", "tool_use_id": format!("t{number}"), "content": format!("API_KEY={}", &command[8..])}]);
        lines.push(line("user", 6, json!({"role": "user", "content": result})));
    }
    let file = folder.join("0b5c1d2e-3f40-4a51-8b62-9c73ad84be95.jsonl");
    fs::write(&file, lines.join("\n") + "\n").expect("written");
    let at = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400 - u64::from(exchanges));
    fs::File::options().append(true).open(&file).and_then(|file| file.set_modified(at)).expect("a date");
}

const IMPORT: [&str; 4] = ["import", "transcripts", "--yes", "--json"];

#[test]
fn a_session_that_another_store_has_adds_its_new_part_only_and_nothing_is_forgotten() {
    let command = "API_KEY=C3J27XDCG2LmlZGEONYlgCtjfIZ4SOcM";
    let (one, two) = (House::with_delay(0), House::with_delay(0));
    let lake = one.path("lake");
    session(&one, 4, 100, command);
    let told = document(one.meno(IMPORT));
    assert_eq!((&told["imported"], &told["calls"]), (&json!(1), &json!(4)), "{told:#}");
    let events = one.meno(["events", "--json"]).exits(0).stdout;
    assert!(!events.contains("C3J27XDCG2") && events.contains("[redacted:secret]"), "keys stay out of arguments and results");
    one.meno(["push", text(&lake)]).exits(0);
    two.meno(["pull", text(&lake)]).exits(0);

    session(&two, 4, 100, command);
    let told = document(two.meno(IMPORT));
    assert_eq!((&told["already_there"], &told["calls"], &told["forgotten"]), (&json!(1), &json!(0), &json!(0)), "{told:#}");
    session(&two, 5, 100, command);
    let told = document(two.meno(IMPORT));
    assert_eq!((&told["imported"], &told["calls"], &told["forgotten"]), (&json!(1), &json!(1), &json!(0)), "{told:#}");
    assert_eq!(spent(&two)[0].1, 5, "every call counts once");
    session(&two, 6, 100, command);
    let told = document(two.meno(IMPORT));
    assert_eq!((&told["grown"], &told["calls"]), (&json!(1), &json!(1)), "{told:#}");
    two.meno(["audit", "--all"]).exits(0);

    // And back: what the other one took in is not taken in here again.
    two.meno(["push", text(&lake)]).exits(0);
    one.meno(["pull", text(&lake)]).exits(0);
    session(&one, 6, 100, command);
    let told = document(one.meno(IMPORT));
    assert_eq!(told["calls"], 0, "{told:#}");
    assert_eq!((spent(&one)[0].1, spent(&two)[0].1), (6, 6));
    assert!(spent_with(&one, "--own") < spent_with(&one, "--time-zone=UTC"), "`--own` leaves the others out");
    let nobody = one.meno(["costs", "--node", "nope"]).exits(1).stderr;
    assert!(nobody.contains("no log of a node `nope`"), "{nobody}");
    one.meno(["list-runs", "--node", "nope"]).exits(1);
    one.meno(["recommend", "release_prep", "--node", "nope"]).exits(1);
}

#[track_caller]
fn spent_with(house: &House, option: &str) -> u64 {
    let costs = document(house.meno(["costs", "--json", option]));
    costs["totals"][0]["calls"].as_u64().expect("a count")
}

#[test]
fn a_simulated_run_stays_simulated_and_a_trace_of_what_is_here_does_not_count_again() {
    let house = House::new();
    house.meno(RUN.into_iter().chain(["1"])).ends();
    let before = spent(&house);
    let file = house.path("traces.jsonl");
    house.meno(["telemetry", "export", "--format", "otlp-json", "-o", text(&file)]).exits(0);
    let told = document(house.meno(["import", "otel", text(&file), "--json"]));
    assert_eq!((&told["imported"], &told["already_there"]), (&json!(0), &json!(1)), "{told:#}");
    assert_eq!(spent(&house), before);

    let other = House::new();
    let told = document(other.meno(["import", "otel", text(&file), "--json"]));
    assert_eq!((&told["imported"], &told["simulated"]), (&json!(1), &json!(1)), "{told:#}");
    assert_eq!(spent(&other), before, "of the same mode");
    let shown = |house: &House| {
        let run = document(house.meno(["show-run", "last", "--json"]));
        let agents = run["agents"].as_array().expect("agents").clone();
        let attempts = agents.iter().flat_map(|agent| agent["attempts"].as_array().expect("attempts").clone());
        let called = attempts.filter(|attempt| attempt["calls"].as_array().is_some_and(|calls| !calls.is_empty()));
        called
            .map(|attempt| json!([attempt["tier"], attempt["status"], attempt["verified"], attempt["escalated_to"]]))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&other), shown(&house), "attempts come back as they ended");
    let words = other.meno(["show-run", "last"]).exits(0).stdout;
    assert!(words.contains("simulated there, no money was spent"), "{words}");
    let resumed = other.meno(["resume", "last"]);
    assert!(resumed.exits(1).stderr.contains("was imported"), "it is nothing that could go on");
    other.meno(["audit", "--all"]).exits(0);
    // However many there are, one line says it.
    house.meno(RUN.into_iter().chain(["2"])).ends();
    let two = house.path("two.jsonl");
    house.meno(["telemetry", "export", "--format", "otlp-json", "-o", text(&two)]).exits(0);
    let told = document(house.meno(["import", "otel", text(&two), "--json"]));
    let notices: Vec<&Value> = told["notices"].as_array().expect("notices").iter().map(|notice| &notice["count"]).collect();
    assert_eq!(notices, [2], "{told:#}");
}

#[test]
fn what_a_source_does_not_say_is_unknown_and_absurd_numbers_break_nothing() {
    let house = House::new();
    let usage = house.path("usage.jsonl");
    let line = |second: u32, tokens: &str| {
        format!(
            "{{\"v\": \"1.0\", \"ts\": \"2026-11-22T16:20:{second}Z\", \"workflow\": \"w\", \"stage\": \"s\", \"tier\": \"CHEAP\", \
             \"provider\": \"anthropic\", \"model\": \"claude-haiku-4-5\", \"cost\": 0.5, \"tokens\": {tokens}, \"duration_ms\": 9}}\n"
        )
    };
    fs::write(&usage, line(25, "null") + &line(24, "{\"input\": 5, \"output\": 6}")).expect("written");
    let told = document(house.meno(["import", "peer", text(&usage), "--json"]));
    assert_eq!(told["imported"], 2, "{told:#}");
    session(&house, 1, u64::MAX, "API_KEY=C3J27XDCG2LmlZGEONYlgCtjfIZ4SOcM");
    let told = document(house.meno(IMPORT));
    assert_eq!(told["unpriced"][0]["why"], "the source names more tokens than there can be", "{told:#}");
    house.meno(["audit", "--all"]).exits(0);
    house.meno(["costs"]).exits(0);
    house.meno(["telemetry", "show"]).exits(0);
    let csv = house.meno(["telemetry", "export", "--format", "csv"]).exits(0).stdout;
    assert_eq!(csv.lines().filter(|line| line.contains(",,,,")).count(), 2, "tokens that are not known are no zeros: {csv}");
    let words = house.meno(["show-run", "last"]).exits(0).stdout;
    assert!(words.contains("unknown"), "{words}");
    // Nobody said that it went well.
    let analytics = document(house.meno(["analytics", "--json"]));
    let lines = analytics["templates"].as_array().expect("lines");
    let succeeded: u64 = lines.iter().filter_map(|line| line["succeeded"].as_u64()).sum();
    assert_eq!((lines.len(), succeeded), (1, 0), "{analytics:#}");
    let sessions = house.meno(["analytics", "claude-code"]).exits(1).stderr;
    assert!(sessions.contains("nobody judged"), "{sessions}");
    // Tables have nothing where nothing is known, wherever they are written to.
    let lake = house.path("lake");
    let url = format!("file://{}", lake.display());
    let export = ["export", &url, "--format", "csv", "--tables", "costs,calls"];
    house.meno(export).exits(0);
    let written = files(&lake);
    assert!(
        !house.path("file:").exists()
            && written.iter().filter(|name| name.extension().is_some_and(|end| end == "csv")).count() >= 2,
        "{written:?}"
    );
    let again = house.meno(export).exits(0).stderr;
    assert!(again.contains("nothing is new") && files(&lake) == written, "{again}");
    house.meno(["export", "s3://bucket/x"]).exits(2);
}

#[test]
fn rows_of_llm_that_are_no_rows_are_named_and_the_others_come_in() {
    let house = House::new();
    let folder = house.path("llm");
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("logs.db");
    let log = Connection::open(&file).expect("a database");
    log.execute_batch(
        "create table responses (id text, model text, prompt text, response text, conversation_id text, duration_ms integer,
            datetime_utc text, input_tokens integer, output_tokens integer, token_details text);
         insert into responses values
            ('r1', 'gpt-4o-mini', 'one', 'a', 'c1', 1, '2025-06-01T10:00:00', 10, 2, null),
            ('r2', x'00ff', 'two', 'b', 'c1', 1, '2025-06-01T10:00:01', 10, 2, null),
            ('r3', 'gpt-4o-mini', 'three', 'c', 'c1', 'soon', '2025-06-01T10:00:02', 'many', 2, null),
            (null, 'gpt-4o-mini', 'four', 'd', null, 1, '2025-06-01T10:00:03', 10, 2, null),
            (x'01', 'gpt-4o-mini', 'five', 'e', x'02', 1, '2025-06-01T10:00:04', 10, 2, null),
            ('r6', 'gpt-4o-mini', 'six', 'f', 'c2', 1, 'never', 10, 2, null);",
    )
    .expect("rows");
    drop(log);
    let import = ["import", "transcripts", "llm", text(&file), "--json"];
    let told = document(house.meno(import));
    assert_eq!((&told["imported"], &told["calls"]), (&json!(1), &json!(2)), "{told:#}");
    assert_eq!((&told["already_there"], &told["empty"]), (&json!(0), &json!(1)), "{told:#}");
    let skipped: u64 = told["skipped"].as_array().expect("skips").iter().filter_map(|skip| skip["count"].as_u64()).sum();
    assert_eq!(skipped, 5, "each with a reason: {told:#}");
    fs::write(&file, [&b"SQLite format 3\0"[..], &[7; 4096]].concat()).expect("written");
    house.meno(import).exits(1);
    let empty = house.path("empty");
    fs::create_dir_all(&empty).expect("a folder");
    let none = house.meno(["import", "transcripts", "codex", text(&empty)]).exits(1).stderr;
    assert!(none.contains(text(&empty)) && none.contains("codex DIR") && !none.contains("claude-code"), "{none}");
}
