//! What counts as experience: runs that could not work, time that a person took, and samples that are too small count in nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Done, House};

/// Restores a store that an earlier version wrote: of `tidy` eleven runs that worked at once and one that waited for an approval, and runs
/// that met a key that is not accepted (two), a model that does not exist and a server that hung up; of `dear` a model without a price
/// under a budget, and one more key.
fn golden() -> House {
    let house = House::new();
    let backup = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/experience/0.1.0.tar.zst");
    house.meno(["restore", backup.to_str().expect("a text")]).exits(0);
    house
}

fn document(house: &House, args: &[&str]) -> Value {
    let done = house.meno(args.iter().copied().chain(["--json"])).exits(0);
    serde_json::from_str(&done.stdout).expect("a document")
}

fn roles(advice: &Value) -> Vec<&str> {
    advice["agents"].as_array().expect("agents").iter().map(|agent| agent["role"].as_str().expect("a role")).collect()
}

#[test]
fn runs_that_could_not_work_are_no_experience_in_a_store_of_before() {
    let house = golden();
    let advice = document(&house, &["recommend", "tidy"]);
    assert_eq!((&advice["n_similar"], &advice["failed_by_configuration"]), (&json!(12), &json!(4)), "{advice}");
    assert_eq!(advice["success"]["p"], 1.0, "{advice}");
    assert_eq!(advice["cost_nusd"]["p10"], 200_000, "no run of nothing: {advice}");
    let words = house.meno(["recommend", "tidy"]).exits(0).stdout;
    assert!(words.contains("left out: 4 runs that could not work"), "{words}");

    let report = document(&house, &["analytics", "tidy"]);
    let template = &report["template"];
    let counts = ["runs", "succeeded", "failed", "failed_by_configuration"].map(|count| template["summary"][count].clone());
    assert_eq!(counts, [json!(12), json!(12), json!(0), json!(4)], "{report}");
    assert_eq!(template["summary"]["success"]["value"], 1.0);
    let tiers = template["tiers"].as_array().expect("tiers");
    let attempts: u64 = tiers.iter().map(|tier| tier["attempts"].as_u64().expect("a count")).sum();
    let errors: u64 = tiers.iter().map(|tier| tier["errors"].as_u64().expect("a count")).sum();
    assert_eq!((attempts, errors), (14, 0), "thirteen first attempts and one after a failure: {tiers:?}");
    assert_eq!(template["failures"]["agents"], json!([]), "{template}");
    assert_eq!((&template["forecast"][0]["n"], &template["escalation"]["climbs"]), (&json!(12), &json!(1)));
    let words = house.meno(["analytics", "tidy"]).exits(0).stdout;
    assert!(words.contains("left out: 4 runs that could not work"), "{words}");

    let test = document(&house, &["backtest", "--strategy", "cheap_only"]);
    assert_eq!((&test["runs"], &test["tasks"], &test["policies"][0]["unknown"]), (&json!(12), &json!(13), &json!(0)), "{test}");
    let notices = test["notices"].as_array().expect("notices");
    assert!(notices.iter().any(|notice| notice.as_str().is_some_and(|notice| notice.contains("6 runs"))), "{notices:?}");
}

#[test]
fn a_run_that_could_not_work_is_still_shown_with_its_reason() {
    let house = golden();
    let list = document(&house, &["list-runs", "--status", "failed"]);
    let runs = list["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 6, "{list}");
    assert!(runs.iter().all(|run| run["failed_by_configuration"] == true), "{list}");
    assert!(house.meno(["list-runs", "--status", "failed"]).exits(0).stdout.contains("failed (configuration)"));
    for run in runs {
        let id = run["run_id"].as_str().expect("an id");
        let shown = house.meno(["show-run", id]).exits(0).stdout;
        assert!(shown.contains("counts   in no statistic: it failed by its configuration"), "{shown}");
        let refused = house.meno(["whatif", id, "--strategy", "premium_only"]).exits(1);
        assert!(refused.stderr.contains("failed by its configuration"), "{}", refused.stderr);
    }
    let priceless = house.meno(["recommend", "dear"]).exits(0).stdout;
    assert!(priceless.contains("from 0 past runs") && priceless.contains("left out: 2 runs"), "{priceless}");
    house.meno(["audit"]).exits(0);
    house.meno(["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn time_that_a_person_took_is_told_apart_and_counts_nowhere() {
    let house = golden();
    let list = document(&house, &["list-runs", "--status", "succeeded", "--limit", "1"]);
    let line = &list["runs"][0];
    let (work, waited) = (line["duration_ms"].as_u64().expect("ms"), line["waited_ms"].as_u64().expect("ms"));
    assert!((10..1000).contains(&work) && (4000..6000).contains(&waited) && line["form_ms"] == 0, "{line}");
    let id = line["run_id"].as_str().expect("an id");
    let run = document(&house, &["show-run", id]);
    assert_eq!((&run["duration_ms"], &run["waited_ms"], &run["form_ms"]), (&line["duration_ms"], &line["waited_ms"], &json!(0)));
    let shown = house.meno(["show-run", id]).exits(0).stdout;
    assert!(shown.contains(" ms, waited 4."), "{shown}");
    let others = document(&house, &["list-runs", "--status", "succeeded", "--limit", "2"]);
    let other = others["runs"][1]["run_id"].as_str().expect("an id");
    assert_eq!(document(&house, &["diff", other, id])["b"]["waited_ms"], line["waited_ms"]);
    // No run is unlike the others because somebody thought about it.
    let report = document(&house, &["analytics", "tidy"]);
    let p90 = report["template"]["summary"]["duration"]["p90_ms"].as_u64().expect("ms");
    assert!(p90 < 1000, "{report}");
    assert!(document(&house, &["recommend", "tidy"])["duration_ms"]["p90"].as_u64().is_some_and(|p90| p90 < 1000));
}

#[test]
fn a_role_that_was_tried_once_is_given_no_number() {
    let house = golden();
    let advice = document(&house, &["recommend", "tidy"]);
    assert_eq!(roles(&advice), ["linter", "tester"]);
    let of = |role: usize, tier: usize| &advice["agents"][role]["tiers"][tier];
    assert!(of(0, 0)["p_pass"].is_f64() && of(0, 0)["n"] == 12, "{advice}");
    for (role, tier) in [(0, 1), (1, 0)] {
        for number in ["p_pass", "low", "high", "benefit", "bounds", "expected_cost_nusd", "p_pass_after_failure"] {
            assert_eq!(of(role, tier)[number], Value::Null, "{number}: {advice}");
        }
        assert_eq!(of(role, tier)["n"], 1);
    }
    assert_eq!(advice["agents"][1]["because"], "not known: cheap had 1 attempt; under 10 nothing is claimed");
    // The same of whole runs.
    let few = document(&house, &["recommend", "dear"]);
    for number in ["success", "cost_nusd", "duration_ms", "budget_p95_nusd"] {
        assert_eq!(few[number], Value::Null, "{few}");
    }
    assert_eq!((&few["n_judged"], &few["n_cost"], &few["n_duration"]), (&json!(0), &json!(0), &json!(0)));
}

#[test]
fn advice_on_answers_names_the_agents_that_they_make() {
    let house = golden();
    assert_eq!(roles(&document(&house, &["recommend", "tidy", "--set", "with_tests=no"])), ["linter"]);
    assert_eq!(roles(&document(&house, &["recommend", "tidy", "--set", "with_tests=yes"])), ["linter", "tester"]);
    let words = house.meno(["recommend", "tidy", "--set", "package_name=demo"]).exits(0).stdout;
    assert!(!words.contains("tester"), "the template's own answer is no: {words}");
}

/// Answers every request with a list of models, in the form of Ollama, until the process ends.
fn ollama(models: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let list = json!({"models": models.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}).to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", list.len());
            let _ = stream.write_all((head + &list).as_bytes());
        }
    });
    address
}

fn tiers(provider: &str, kind: &str, base_url: &str, more: &str) -> String {
    let tiers = ["cheap", "capable", "premium"]
        .map(|tier| format!("[tiers.{tier}]\nprovider = \"{provider}\"\nmodel = \"llama9\"\nmax_output_tokens = 512\n"));
    format!("{}[providers.{provider}]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\n{more}", tiers.concat())
}

fn refused(done: Done, why: &str) {
    let done = done.exits(1);
    assert!(done.stderr.contains("model_not_ready") && done.stderr.contains(why), "{}", done.stderr);
}

#[test]
fn a_model_that_a_local_server_does_not_have_is_refused_before_the_run() {
    let house = House::new();
    house.configure(&tiers("own", "ollama", &ollama(&["llama3.2:latest"]), "auth = \"none\"\n"));
    let run = ["run", "python_package_publish", "--no-input", "--json"];
    refused(house.meno(run), "does not have it; it has llama3.2:latest");
    assert!(!house.store().exists(), "nothing was stored");
}

#[test]
fn a_model_without_a_price_is_refused_under_any_budget_before_the_run() {
    let house = House::new();
    house.configure(&tiers("own", "openai-chat", "https://models.example.com/v1", "auth = \"none\"\n"));
    refused(house.meno(["run", "python_package_publish", "--no-input", "--json", "--budget", "1"]), "it has no price");
    house.configure(
        &(tiers("own", "openai-chat", "https://models.example.com/v1", "auth = \"none\"\n") + "[budget]\nper_day_usd = 1\n"),
    );
    refused(house.meno(["run", "python_package_publish", "--no-input", "--json"]), "it has no price");
    assert!(!house.store().exists(), "nothing was stored");
}

#[test]
fn going_on_checks_the_models_before_anything_is_stored() {
    let house = golden();
    let before = house.journal().len();
    let failed = document(&house, &["list-runs", "--status", "failed", "--template", "tidy", "--limit", "1"]);
    let id = failed["runs"][0]["run_id"].as_str().expect("an id").to_owned();
    for args in [vec!["resume", &id, "--retry-failed"], vec!["fork", &id], vec!["rerun", &id]] {
        // The key is not there today.
        refused(house.meno(args.into_iter().chain(["--no-input", "--json"])), "cannot be called");
    }
    assert_eq!(house.journal().len(), before, "nothing was stored");
}
