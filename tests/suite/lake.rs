//! Tables for other engines, and histories of other systems: what goes out is whole or not there, and what comes in comes in once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, House};

const PUBLISH: [&str; 6] = ["run", "python_package_publish", "--no-input", "--preset", "simulated", "--json"];

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

/// Every file below a folder, by its name there.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").display().to_string();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found.retain(|name, _| !name.ends_with(".lock"));
    found
}

#[track_caller]
fn export(house: &House, lake: &Path, more: &[&str]) -> Value {
    let done = house.meno([&["export", text(lake), "--json"], more].concat()).exits(0);
    serde_json::from_str(&done.stdout).expect("a document")
}

const PARQUET: [&str; 2] = ["--format", "parquet"];

/// Imports so many small runs, each on a day of its own.
fn histories(house: &House, runs: u32) {
    let line = |number: u32| {
        let at = format!("2024-{:02}-{:02}T09:00:00Z", 1 + number / 28 % 12, 1 + number % 28);
        json!({"run_id": format!("r-{number}"), "template_id": "code_review", "started_at": at, "agents": [
            {"role": "reviewer", "attempts": [{"tier": "cheap", "passed": !number.is_multiple_of(3), "cost_usd": 0.001}]}]})
        .to_string()
    };
    let path = house.path("histories.jsonl");
    fs::write(&path, (0..runs).map(line).collect::<Vec<_>>().join("\n")).expect("the file is written");
    house.meno(["import", "runs", text(&path)]).exits(0);
}

#[test]
fn an_export_goes_on_where_the_last_one_ended_and_gives_the_same_bytes() {
    let house = House::new();
    house.meno(PUBLISH).ends();
    let (lake, other) = (house.path("lake"), house.path("other"));
    let first = export(&house, &lake, &PARQUET);
    let head = first["head"]["seq"].as_u64().expect("a position");
    assert_eq!((&first["from"], &first["to"], &first["events"]), (&json!(1), &json!(head), &json!(head)));
    let rows = |document: &Value, table: &str| -> u64 {
        let tables = document["tables"].as_array().expect("tables");
        tables.iter().find(|row| row["table"] == table).expect("the table")["rows"].as_u64().expect("rows")
    };
    assert_eq!((rows(&first, "runs"), rows(&first, "events")), (1, head));
    assert_eq!(rows(&first, "costs"), house.journal().iter().filter(|it| it.event.name() == "CostIncurred").count() as u64);
    let names: Vec<String> = files(&lake).into_keys().collect();
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("runs/v=1/date=20") && name.ends_with(&format!("-000000000001-{head:012}.parquet")))
    );
    assert!(!names.iter().any(|name| name.starts_with("texts")), "texts only when they are asked for");

    let before = files(&lake);
    assert_eq!(export(&house, &lake, &PARQUET)["events"], 0);
    assert_eq!(files(&lake), before, "nothing new, nothing written");
    assert_eq!(export(&house, &other, &PARQUET)["events"], head);
    assert_eq!(files(&other), before, "the same stretch gives the same bytes under the same names");

    house.meno(["note", "last", "well done", "--rating", "5"]).exits(0);
    let more = export(&house, &lake, &PARQUET);
    assert_eq!(
        (&more["events"], rows(&more, "runs"), rows(&more, "calls")),
        (&json!(1), 1, 0),
        "only what changed is told again"
    );
    // A table that was left out comes from the beginning.
    let calls = export(&house, &other, &["--format", "parquet", "--tables", "calls,texts", "--with-payloads"]);
    assert!(rows(&calls, "texts") > 0 && rows(&calls, "calls") == 0);
    // Two stores in one lake.
    let second = House::new();
    second.meno(PUBLISH).ends();
    export(&second, &lake, &PARQUET);
    assert_eq!(
        files(&lake).len(),
        before.len() * 2
            + more["tables"].as_array().expect("tables").iter().map(|it| it["files"].as_u64().unwrap()).sum::<u64>() as usize
            + 8
    );
}

/// The views of `schemas/lake/` over a lake of CSV, in SQLite.
fn views(lake: &Path) -> Connection {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/lake");
    let engine = Connection::open_in_memory().expect("a database");
    for table in ["runs", "attempts", "calls", "verdicts", "costs", "answers", "tools", "events"] {
        let text = fs::read_to_string(schemas.join(format!("{table}.v1.json"))).expect("a schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        let columns = schema["columns"].as_array().expect("columns").iter();
        let columns: Vec<String> = columns
            .map(|it| format!("{} {}", it["name"], it["type"].as_str().expect("a type").replace(" with time zone", "")))
            .collect();
        engine.execute(&format!("create table {table}_all ({})", columns.join(", ")), []).expect("a table");
        for (_, bytes) in files(&lake.join(table)).into_iter().filter(|(name, _)| name.ends_with(".csv")) {
            for row in csv::Reader::from_reader(bytes.as_slice()).records() {
                let row = row.expect("a row");
                let cells = row.iter().map(|cell| Some(cell).filter(|cell| !cell.is_empty()));
                let marks = vec!["?"; columns.len()].join(", ");
                engine
                    .execute(&format!("insert into {table}_all values ({marks})"), rusqlite::params_from_iter(cells))
                    .expect("a row");
            }
        }
    }
    let sql = fs::read_to_string(schemas.join("views.sql")).expect("the views");
    // Some engines take one statement at a time: a semicolon ends one and stands nowhere else.
    for statement in sql.replace("CREATE OR REPLACE", "CREATE").split(';').filter(|statement| !statement.trim().is_empty()) {
        engine.execute(statement, []).unwrap_or_else(|why| panic!("{why}: {statement}"));
    }
    engine
}

#[test]
fn a_run_that_two_stores_imported_counts_once_in_a_lake() {
    let (first, second) = (House::new(), House::new());
    first.meno(PUBLISH).ends();
    for house in [&first, &second] {
        histories(house, 5);
    }
    let (alone, both) = (first.path("alone"), first.path("both"));
    let export = |house: &House, lake: &Path| export(house, lake, &["--format", "csv"]);
    let number = |engine: &Connection, sql: &str| -> i64 { engine.query_row(sql, [], |row| row.get(0)).expect(sql) };
    export(&first, &alone);
    export(&first, &both);
    export(&second, &both);
    let (one, two) = (views(&alone), views(&both));
    assert_eq!(number(&two, "select count(*) from runs_all"), 11);
    for table in ["runs", "attempts", "calls", "verdicts", "costs", "answers", "tools", "events"] {
        let rows = format!("select count(*) from {table} where run_id is not null");
        assert_eq!(number(&two, &rows), number(&one, &rows), "{table}");
    }
    let money = "select sum(cost_nusd) from costs";
    assert!(number(&two, money) == number(&one, money) && number(&two, money) > 0);
    assert_eq!(number(&two, "select count(*) from costs where happened_at is null"), 0);
    assert_eq!(number(&two, "select count(*) from events where happened_at <> coalesce(occurred_at, at)"), 0);
    // Where both know the same it is one of them, and where one knows more it is that one.
    let word = |engine: &Connection, sql: &str| -> String { engine.query_row(sql, [], |row| row.get(0)).expect(sql) };
    let of_imported = "select group_concat(distinct node) from runs where source is not null";
    let smaller = word(&two, "select min(node) from runs_all");
    assert_eq!(word(&two, of_imported), smaller);
    let own = word(&two, "select node from runs where source is null");
    let larger = if own == smaller { &second } else { &first };
    let imported = word(&two, "select min(run_id) from runs where source is not null");
    larger.meno(["note", &imported, "seen", "--rating", "4"]).exits(0);
    export(larger, &both);
    let two = views(&both);
    assert_eq!(number(&two, "select count(*) from runs"), 6);
    assert_eq!(number(&two, "select count(distinct run_id) from attempts"), 6);
    assert_eq!(number(&two, &format!("select count(*) from runs where rating = 4 and node <> '{smaller}'")), 1);
    assert_eq!(number(&two, money), number(&one, money));
}

#[test]
fn no_private_word_leaves_the_store_unless_it_is_asked_for() {
    const WORD: &str = "canary-4711";
    let house = House::new();
    house.meno(PUBLISH.into_iter().chain(["--set", &format!("package_name={WORD}"), "--label", &format!("team={WORD}")])).ends();
    house.meno(["note", "last", WORD]).exits(0);
    let holders = |lake: &Path| -> Vec<String> {
        let has = |bytes: &[u8]| bytes.windows(WORD.len()).any(|part| part == WORD.as_bytes());
        files(lake).into_iter().filter(|(_, bytes)| has(bytes)).map(|(name, _)| name).collect()
    };
    let (open, closed, lines) = (house.path("open"), house.path("closed"), house.path("lines"));
    export(&house, &closed, &["--format", "csv"]);
    assert_eq!(holders(&closed), Vec::<String>::new());
    export(&house, &lines, &["--format", "jsonl", "--tables", "runs,answers,events"]);
    assert_eq!(holders(&lines), Vec::<String>::new());
    export(&house, &open, &["--format", "csv", "--with-payloads"]);
    let holders = holders(&open);
    assert!(!holders.is_empty() && holders.iter().all(|name| name.starts_with("texts/")), "{holders:?}");
    // The table of events in JSON Lines is the log itself: it gives the same chain.
    let other = House::new();
    other.meno(["import", "events", text(&lines)]).exits(0);
    let hashes = |house: &House| -> Vec<Value> {
        let lines = house.meno(["events", "--json"]).exits(0).lines();
        lines.iter().map(|line| line["hash"].clone()).filter(Value::is_string).collect()
    };
    assert!(!hashes(&house).is_empty() && hashes(&other) == hashes(&house));
    let refused = house.meno(["export", text(&open), "--format", "csv", "--tables", "texts"]).exits(2);
    assert!(refused.stderr.contains("--with-payloads"), "{}", refused.stderr);
}

#[test]
fn a_span_of_time_is_a_stretch_of_the_log_and_the_rest_can_follow() {
    let house = House::new();
    histories(&house, 5);
    let lake = house.path("lake");
    let none = export(&house, &lake, &["--format", "parquet", "--until", "2020-01-01"]);
    assert_eq!((&none["from"], &none["events"]), (&Value::Null, &json!(0)), "nothing was recorded then");
    let all = export(&house, &lake, &["--format", "parquet", "--since", "2020-01-01"]);
    assert_eq!(all["from"], 1);
    assert_eq!(export(&house, &lake, &PARQUET)["events"], 0);
}

/// Counts the files below `folder` with such an end, while others come and go.
fn named(folder: &Path, end: &str) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { named(&path, end) } else { usize::from(text(&path).ends_with(end)) }).sum()
}

#[test]
fn an_export_that_is_killed_leaves_nothing_half_and_is_ended_by_the_next() {
    let house = House::new();
    histories(&house, 2_000);
    let (lake, whole) = (house.path("lake"), house.path("whole"));
    export(&house, &whole, &PARQUET);
    let whole = files(&whole);
    let begun = whole.len() / 8;
    let running = house.start(["export", text(&lake), "--format", "parquet"]);
    let until = Instant::now() + DEADLINE;
    // In the middle: some files have their names, and most do not.
    while named(&lake, ".parquet") < begun {
        assert!(Instant::now() < until, "no file comes");
        std::thread::sleep(Duration::from_millis(1));
    }
    let killed = running.kill();
    let after = files(&lake);
    assert!(killed.code.is_some() || after.len() <= whole.len(), "it was killed before its end");
    for (name, bytes) in after.iter().filter(|(name, _)| name.ends_with(".parquet")) {
        assert!(whole.get(name) == Some(bytes), "{name} has its name and is not whole");
    }
    // What was recorded meanwhile does not change what was begun.
    house.meno(PUBLISH).ends();
    export(&house, &lake, &PARQUET);
    let ended = files(&lake);
    for (name, bytes) in after.iter().filter(|(name, _)| !name.ends_with(".part")) {
        assert!(ended.get(name) == Some(bytes), "{name}");
    }
    assert!(!ended.keys().any(|name| name.ends_with(".part")), "nothing begun is left");
    assert_eq!(export(&house, &lake, &PARQUET)["events"], 0);
}

#[test]
fn a_lake_that_cannot_be_written_says_why() {
    let house = House::new();
    house.meno(PUBLISH).ends();
    let lake = house.path("lake");
    fs::write(&lake, "a file").expect("a file");
    let refused = house.meno(["export", text(&lake), "--format", "parquet"]).exits(1);
    assert!(refused.stderr.contains("lake") && refused.stderr.contains("hint"), "{}", refused.stderr);
    let newer = house.path("newer");
    fs::create_dir_all(newer.join("runs/v=2")).expect("a folder");
    let refused = house.meno(["export", text(&newer), "--format", "parquet"]).exits(1);
    assert!(refused.stderr.contains("version 2") && refused.stderr.contains("version 1"), "{}", refused.stderr);
    assert_eq!(files(&newer).len(), 0, "nothing is half written");
    // The lake of a store that was put back to an older state.
    let ahead = house.path("ahead");
    export(&house, &ahead, &PARQUET);
    let done = fs::read_dir(ahead.join("runs/v=1/_done")).expect("names").flatten().next().expect("one").path();
    let name = done.file_name().expect("a name").to_string_lossy().into_owned();
    let parts: Vec<&str> = name.splitn(3, '-').collect();
    fs::write(done.with_file_name(format!("{}-{}-000000999999.parquet.done", parts[0], parts[1])), "").expect("a name");
    let refused = house.meno(["export", text(&ahead), "--format", "parquet"]).exits(1);
    assert!(refused.stderr.contains("999999"), "{}", refused.stderr);
    house.meno(["export", "-", "--format", "parquet"]).exits(2);
    house.meno(["export", text(&ahead), "--since", "7d"]).exits(2);
}

fn peer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peer")
}

#[track_caller]
fn import(house: &House, what: &str, path: &Path, code: i32) -> Value {
    let done = house.meno(["import", what, text(path), "--json"]).exits(code);
    serde_json::from_str(&done.stdout).expect("a document")
}

#[test]
fn the_history_of_the_python_system_comes_in_once_and_adds_up() {
    let house = House::new();
    let told = import(&house, "peer", &peer(), 0);
    // Two runs of 1.05 dollars, and the lines of telemetry as runs of their own.
    let usage: f64 = ["usage_4.2.0_after_patching_router.jsonl", "usage_16.4.0.jsonl"]
        .iter()
        .flat_map(|file| fs::read_to_string(peer().join(file)).expect("telemetry").lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str::<Value>(&line).expect("JSON")["cost"].as_f64().expect("a cost"))
        .sum();
    let sum = 2_100_000_000 + (usage * 1e9).round() as u64;
    assert_eq!(
        (&told["imported"], &told["simulated"], &told["simulated_cost_nusd"]),
        (&json!(53), &json!(2), &json!(2_100_000_000u64))
    );
    assert_eq!(
        json!(told["cost_nusd"].as_u64().expect("nUSD") + 2_100_000_000),
        json!(sum),
        "what was made up is no money spent"
    );
    assert_eq!(
        (&told["skipped_total"], &told["skipped"][0]["why"]),
        (&json!(1), &json!("is neither of a run, nor telemetry, nor a template"))
    );
    let costs: Value =
        serde_json::from_str(&house.meno(["costs", "--by", "template,label.simulated", "--json"]).exits(0).stdout).expect("JSON");
    let total = |mode: &str| {
        let totals = costs["totals"].as_array().expect("totals");
        totals.iter().find(|total| total["mode"] == mode).expect("a total")["cost_nusd"].clone()
    };
    assert_eq!((total("imported"), total("simulated")), (json!(sum - 2_100_000_000), json!(2_100_000_000u64)));
    let mock = costs["rows"].as_array().expect("rows").iter().find(|row| row["key"]["label.simulated"] == "true").expect("a row");
    assert_eq!(mock["cost_nusd"], 2_100_000_000u64, "money that was never spent stands apart");
    let again = import(&house, "peer", &peer(), 0);
    assert_eq!((&again["imported"], &again["already_there"]), (&json!(0), &json!(53)));
    house.meno(["audit"]).exits(0);
    let missing = house.meno(["import", "peer", text(&house.path("nowhere"))]).exits(1);
    assert!(missing.stderr.contains("nowhere"), "{}", missing.stderr);
}

fn totals(house: &House) -> Value {
    let report: Value = serde_json::from_str(&house.meno(["costs", "--by", "model", "--json"]).exits(0).stdout).expect("JSON");
    let total = &report["totals"][0];
    json!([total["cost_nusd"], total["tokens"], report["rows"].as_array().expect("rows").len()])
}

#[test]
fn a_trace_goes_out_and_comes_back_with_its_tokens_and_costs() {
    let house = House::new();
    for seed in ["1", "2"] {
        house.meno(PUBLISH.into_iter().chain(["--seed", seed])).ends();
    }
    let file = house.path("traces.jsonl");
    house.meno(["telemetry", "export", "--format", "otlp-json", "-o", text(&file)]).exits(0);
    let plain = fs::read(&file).expect("the file");
    let document: Value = serde_json::from_slice(plain.split(|byte| *byte == b'\n').next().expect("a line")).expect("JSON");
    let span = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!((span["traceId"].as_str().map(str::len), span["spanId"].as_str().map(str::len)), (Some(32), Some(16)));

    let other = House::new();
    let folder = other.path("traces");
    fs::create_dir_all(&folder).expect("a folder");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&plain).expect("packed");
    fs::write(folder.join("a.jsonl.gz"), packed.finish().expect("packed")).expect("written");
    fs::write(folder.join("notes.txt"), "no trace").expect("written");
    fs::write(folder.join("deep.json"), "[".repeat(200_000)).expect("written");
    fs::write(folder.join("broken.json"), b"{\"resourceSpans\": [\xff").expect("written");
    let told = import(&other, "otel", &folder, 0);
    assert_eq!((&told["imported"], &told["skipped_total"], &told["cost_complete"]), (&json!(2), &json!(3), &json!(true)));
    assert_eq!(totals(&other), totals(&house), "tokens and costs are the same, in another mode");
    let again = import(&other, "otel", &folder, 0);
    assert_eq!((&again["imported"], &again["already_there"]), (&json!(0), &json!(2)));
    // What came in goes out again as it is.
    let back = other.path("back.jsonl");
    other.meno(["telemetry", "export", "--format", "otlp-json", "-o", text(&back)]).exits(0);
    let third = House::new();
    import(&third, "otel", &back, 0);
    assert_eq!(totals(&third), totals(&house));
    let nothing = house.path("nothing.json");
    fs::write(&nothing, "{\"resourceLogs\": []}").expect("written");
    let told = import(&third, "otel", &nothing, 1);
    assert_eq!(told["skipped"][0]["why"], "has resourceLogs, not traces");
}
