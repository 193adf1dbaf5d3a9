//! The tables of a lake in other engines: DuckDB, Polars and Spark answer the same questions with the same numbers as the program itself.
//!
//! It needs the engines (`pip install duckdb polars pyspark`, and Java for the last) in the Python that `MENO_PYTHON` names, or in
//! `python3`; an engine that is not there is named and checks nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::House;

const TEMPLATE: &str = "python_package_publish";

/// Runs the program's own command for a question; returns the rows that an engine must give.
fn own(house: &House, question: &Value) -> Vec<Value> {
    let words: Vec<String> = question["like"]
        .as_array()
        .expect("words")
        .iter()
        .map(|word| word.as_str().expect("a word").replace("TEMPLATE", TEMPLATE))
        .collect();
    let args = words.iter().map(String::as_str).chain(["--json", "--time-zone", "UTC"]);
    let report: Value = serde_json::from_str(&house.meno(args).exits(0).stdout).expect("a document");
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let cells = |row: &Value, fields: &[&str]| fields.iter().map(|field| row[*field].clone()).collect::<Vec<_>>();
    let keyed = |fields: &[&str]| -> Vec<Value> {
        let row = |row: &Value| -> Value {
            let key = row["key"].as_object().expect("a key").values().cloned();
            let values = fields.iter().map(|field| row.pointer(field).cloned().unwrap_or_default());
            key.chain(values).collect()
        };
        list(&report["rows"]).iter().map(row).collect()
    };
    match question["name"].as_str().expect("a name") {
        "calls, and those of unknown cost" => keyed(&["/calls", "/unknown"]),
        "tokens by model" => keyed(&["/tokens/input", "/tokens/cache_read", "/tokens/output", "/tokens/reasoning"]),
        "how runs ended" => {
            let fields = ["template_id", "runs", "succeeded", "unverified", "failed", "cancelled"];
            list(&report["templates"]).iter().map(|row| cells(row, &fields).into()).collect()
        }
        "how attempts went" => {
            let fields = ["role", "tier", "provider", "model", "attempts", "passed", "unverified", "failed", "errors"];
            list(&report["template"]["tiers"]).iter().map(|row| cells(row, &fields).into()).collect()
        }
        "escalations" => vec![json!([report["template"]["escalation"]["climbs"]])],
        // Amounts that nobody knows are left out of a sum, and a sum of nothing is null.
        _ => keyed(&["/cost_nusd"])
            .into_iter()
            .filter(|row| row.as_array().is_some_and(|cells| cells.last() != Some(&json!(0))))
            .collect(),
    }
}

fn sorted(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(Value::to_string).collect()
}

#[test]
fn every_engine_gives_the_same_numbers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let house = House::new();
    let histories = root.join("tests/collections/runs/histories.jsonl");
    let lake = house.path("lake");
    let export = ["export", lake.to_str().expect("a text"), "--format", "parquet"];
    for seed in ["1", "2", "3"] {
        house.meno(["run", TEMPLATE, "--no-input", "--preset", "simulated", "--json", "--seed", seed]).ends();
    }
    house.meno(export).exits(0);
    // A second export: rows that changed since are there twice.
    house.meno(["note", "last", "as expected", "--rating", "4"]).exits(0);
    house.meno(["import", "runs", histories.to_str().expect("a text")]).exits(0);
    house.meno(export).exits(0);
    // Another store in the same lake that has the same history.
    let other = House::new();
    other.meno(["import", "runs", histories.to_str().expect("a text")]).exits(0);
    other.meno(export).exits(0);

    let python = std::env::var_os("MENO_PYTHON").unwrap_or_else(|| "python3".into());
    let questions: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("tests/engines/questions.json")).expect("the questions"))
            .expect("JSON");
    for (engine, module) in [("duckdb", "duckdb"), ("polars", "polars"), ("spark", "pyspark")] {
        let there = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        if !there.is_ok_and(|done| done.status.success()) {
            eprintln!("{engine} is not there (`pip install {module}`): its numbers were not compared");
            continue;
        }
        let asked = Command::new(&python).arg(root.join("tests/engines/ask.py")).arg(engine).arg(&lake).arg(TEMPLATE).output();
        let asked = asked.expect("python starts");
        assert!(asked.status.success(), "{engine}: {}", String::from_utf8_lossy(&asked.stderr));
        let answers: Value = serde_json::from_slice(&asked.stdout).expect("answers");
        for question in questions.as_array().expect("questions") {
            let name = question["name"].as_str().expect("a name");
            let mut rows = answers[name].as_array().expect("rows").clone();
            if !["calls, and those of unknown cost", "tokens by model", "how runs ended", "how attempts went", "escalations"]
                .contains(&name)
            {
                rows.retain(|row| row.as_array().and_then(|cells| cells.last()).is_some_and(|cost| !cost.is_null() && cost != 0));
            }
            let own = own(&house, question);
            assert!(!own.is_empty(), "{name} has an answer");
            assert_eq!(sorted(&rows), sorted(&own), "{engine}: {name}");
        }
    }
}

#[test]
fn the_parser_of_opentelemetry_takes_the_traces() {
    const PARSE: &str = "import sys\nfrom google.protobuf import json_format\nfrom opentelemetry.proto.trace.v1 import trace_pb2\n\
        spans = 0\nfor line in open(sys.argv[1]):\n    data = json_format.Parse(line, trace_pb2.TracesData())\n    \
        spans += sum(len(scope.spans) for resource in data.resource_spans for scope in resource.scope_spans)\nprint(spans)";
    let house = House::new();
    house.meno(["run", TEMPLATE, "--no-input", "--preset", "simulated", "--json"]).ends();
    let file = house.path("traces.jsonl");
    house.meno(["telemetry", "export", "--format", "otlp-json", "-o", file.to_str().expect("a text")]).exits(0);
    let python = std::env::var_os("MENO_PYTHON").unwrap_or_else(|| "python3".into());
    let there = Command::new(&python).args(["-c", "import opentelemetry.proto.trace.v1.trace_pb2"]).output();
    if !there.is_ok_and(|done| done.status.success()) {
        eprintln!("opentelemetry-proto is not there (`pip install opentelemetry-proto`): the traces were not parsed");
        return;
    }
    let parsed = Command::new(&python).args(["-c", PARSE]).arg(&file).output().expect("python starts");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    let written: usize = std::fs::read_to_string(&file).expect("the file").matches("\"spanId\"").count();
    assert_eq!(String::from_utf8_lossy(&parsed.stdout).trim(), written.to_string());
}
