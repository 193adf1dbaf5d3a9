//! What questions are understood to mean, and that their answers fit: negations, ranges, superlatives, other languages.

use std::ffi::OsString;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::harness::House;

/// Six runs of four days around zones off the hour, without a word of text: name, beginning, cost in dollars.
const RUNS: [(&str, &str, f64); 6] = [
    ("a1", "2026-01-25T04:08:00Z", 1.0),
    ("a2", "2026-01-24T20:00:00Z", 2.0),
    ("a3", "2026-01-24T07:30:00Z", 4.0),
    ("a4", "2026-01-24T18:45:00Z", 8.0),
    ("a5", "2026-03-29T00:30:00Z", 16.0),
    ("a6", "2026-03-29T22:30:00Z", 32.0),
];

fn imported(lines: &[Value]) -> House {
    let house = House::new();
    let mut file = String::new();
    for line in lines {
        writeln!(file, "{line}").expect("a text grows");
    }
    std::fs::write(house.path("runs.jsonl"), file).expect("a file");
    house.meno([OsString::from("import"), "runs".into(), house.path("runs.jsonl").into()]).exits(0);
    house
}

fn run(name: &str, template: &str, start: &str, status: &str, cost: Option<f64>) -> Value {
    let mut attempt = json!({"tier": "cheap", "passed": status == "succeeded"});
    if let Some(cost) = cost {
        attempt["cost_usd"] = json!(cost);
    }
    let agents = json!([{"role": "r", "attempts": [attempt]}]);
    json!({"run_id": name, "template_id": template, "started_at": start, "status": status, "agents": agents})
}

fn zones() -> House {
    let line = |(name, start, cost): &(&str, &str, f64)| run(name, "t1", start, "succeeded", Some(*cost));
    imported(&RUNS.iter().map(line).collect::<Vec<_>>())
}

fn search(house: &House, words: &[&str]) -> Value {
    let mut all = vec!["--time-zone", "UTC", "search", "--lexical", "--json"];
    all.extend_from_slice(words);
    serde_json::from_str(&house.meno(all).exits(0).stdout).expect("one document")
}

/// Whole dollars of each hit, in order: what tells the runs apart.
fn dollars(found: &Value) -> Vec<i64> {
    let hits = found["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit["cost_nusd"].as_i64().expect("a cost") / 1_000_000_000).collect()
}

#[test]
fn where_filters_are_all_that_is_asked_every_run_that_passes_is_listed_in_the_order_asked_for() {
    let house = zones();
    let all = [32, 16, 1, 2, 8, 4];
    for (question, wanted) in [
        ("runs that did not fail", all.as_slice()),
        ("not failed", &all),
        ("without failures", &all),
        ("not simulated", &all),
        ("in january 2026", &[1, 2, 8, 4]),
        ("runs not in january 2026", &[32, 16]),
        ("between 24 and 25 January 2026", &[1, 2, 8, 4]),
        ("on 24 January 2026", &[2, 8, 4]),
        ("from 3 to 8 dollars", &[8, 4]),
        ("most expensive run in january 2026", &[8, 4, 2, 1]),
        ("cheapest run", &[1, 2, 4, 8, 16, 32]),
        ("the second cheapest", &[2, 4, 8, 16, 32]),
        ("the 2 cheapest runs over $3", &[4, 8]),
        ("first run of 2026", &[4, 8, 2, 1, 16, 32]),
        ("last run", &all),
        ("status:succeeded cost:<3", &[1, 2]),
        ("everything except t1", &[]),
        ("neither failed nor cancelled", &all),
        ("no escalations", &all),
    ] {
        let found = search(&house, &[question]);
        let line = &found["understood"]["line"];
        if question == "everything except t1" {
            // All filters would empty the answer: what is left is text.
            assert!(found["understood"]["filters"].as_array().expect("filters").iter().all(|filter| filter["dropped"] == true));
            continue;
        }
        assert_eq!(dollars(&found), wanted, "{question}: {line}");
        assert_eq!(found["total"], wanted.len(), "{question}");
        assert_eq!(found["understood"]["filters_alone"], true, "{question}: {line}");
    }
    assert_eq!(dollars(&search(&house, &["--sort", "cheapest", "in january 2026"])), [1, 2, 4, 8]);
    assert_eq!(dollars(&search(&house, &["-n1", "the 3 cheapest"])), [1], "an option outweighs the question");
    assert_eq!(search(&house, &["runs that failed in 2026"])["understood"]["filters"][0]["dropped"], true);
}

#[test]
fn an_order_is_shown_and_can_be_typed() {
    let house = zones();
    let found = search(&house, &["most expensive run in january 2026"]);
    assert_eq!(
        found["understood"]["order"],
        json!({"sort": "most-expensive", "words": "most expensive first", "place": 1, "count": null, "typed": "sort:most-expensive"})
    );
    let shown = house.meno(["search", "--lexical", "--explain", "3rd cheapest run in 2026"]).exits(0).stderr;
    for part in ["from the 3rd cheapest", "--sort cheapest", "filter: on:2026", "every run that passes is listed"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let wrong = house.meno(["search", "--sort", "sideways", "x"]).exits(2).stderr;
    assert!(wrong.contains("most-expensive"), "{wrong}");
}

#[test]
fn the_latest_of_one_second_and_the_cheapest_that_is_known_come_first() {
    let house = imported(&[
        run("b1", "t", "2026-01-24T10:00:00.100Z", "succeeded", Some(3.0)),
        run("b3", "t", "2026-01-24T10:00:00.300Z", "failed", Some(5.0)),
        run("b2", "t", "2026-01-24T10:00:00.200Z", "succeeded", None),
    ]);
    let starts = |question: &str| {
        let found = search(&house, &[question]);
        let hits = found["hits"].as_array().expect("hits").clone();
        hits.iter().map(|hit| hit["started_at"].as_str().expect("a moment")[20..21].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(starts("latest run"), ["3", "2", "1"]);
    assert_eq!(starts("oldest run"), ["1", "2", "3"]);
    assert_eq!(starts("cheapest run"), ["1", "3", "2"], "an unknown cost is not a low one");
    assert_eq!(starts("last run that did not fail"), ["2", "1"]);
}

#[test]
fn a_question_in_another_language_is_no_filter_and_finds_what_its_names_and_dates_say() {
    let mut lines: Vec<Value> = RUNS.iter().map(|(name, start, cost)| run(name, "t1", start, "succeeded", Some(*cost))).collect();
    lines.push(run("c1", "release_prep", "2026-02-01T10:00:00Z", "failed", Some(64.0)));
    let house = imported(&lines);
    for (question, first) in [
        ("Welche Läufe gab es im Januar 2026?", vec![1, 2, 8, 4]),
        ("quelles exécutions entre le 24 et le 25 janvier 2026", vec![1, 2, 8, 4]),
        ("ejecuciones del 24 de enero de 2026", vec![2, 8, 4]),
        ("2026年1月の実行", vec![1, 2, 8, 4]),
        ("Läufe seit 2026-03-29", vec![32, 16]),
        ("warum ist release_prep fehlgeschlagen", vec![64]),
        ("pourquoi release_prep a échoué", vec![64]),
        ("ejecuciones de release_prep", vec![64]),
        ("release_prepの実行で失敗したもの", vec![64]),
    ] {
        let found = search(&house, &[question]);
        assert_eq!(found["understood"]["filters"], json!([]), "{question}");
        assert_eq!(found["understood"]["order"], Value::Null, "{question}");
        assert_eq!(dollars(&found)[..first.len()], first, "{question}: {found}");
    }
    for nonsense in ["asdf qwer zxcv", "zzz", "🦀🦀", "失敗しなかった実行", "Läufe ohne Fehler", "no such words anywhere"]
    {
        assert_eq!(search(&house, &[nonsense])["understood"]["filters"], json!([]), "{nonsense}");
    }
}

#[test]
fn a_query_may_begin_with_a_hyphen_and_hold_half_a_pair() {
    let house = zones();
    assert_eq!(dollars(&search(&house, &["-status:failed", "-n", "2"])), [32, 16]);
    assert_eq!(dollars(&search(&house, &["-cost:>3", "--limit=5"])), [1, 2]);
    assert_eq!(search(&house, &["-t1", "runs that did not fail"])["hits"], json!([]), "a word that must not occur");
    for question in ["-", "- 5", "-5", "--nothing", "-\"", "-noise"] {
        assert!(search(&house, &[question])["hits"].is_array(), "{question}");
    }
    let told = house.meno(["search", "--lexical", "--limt", "runs"]).exits(0).stderr;
    assert!(told.contains("`--limt` is searched as text"), "{told}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let half = OsString::from_vec(b"runs that did not fail \xed\xa0\xbe".to_vec());
        let words = ["search", "--lexical", "--json"].map(OsString::from).into_iter().chain([half]);
        let found: Value = serde_json::from_str(&house.meno(words).exits(0).stdout).expect("one document");
        assert_eq!(dollars(&found).len(), 6, "{}", found["understood"]["line"]);
    }
}

#[test]
fn a_phrase_that_occurs_nowhere_is_a_filter_alone_and_words_in_a_sentence() {
    let house = House::new();
    let histories = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/collections/runs/histories.jsonl");
    house.meno(["import", "runs", histories]).exits(0);
    assert_eq!(search(&house, &["\"the crate is never yanked twice\""])["hits"], json!([]));
    let question = "why was \"the crate is never yanked twice\" part of the release";
    let found = search(&house, &[question]);
    assert!(!found["hits"].as_array().expect("hits").is_empty());
    assert_eq!(found["understood"]["loosened"], json!(["the crate is never yanked twice"]));
    let told = house.meno(["search", "--lexical", question]).exits(0).stderr;
    assert!(told.contains("occurs nowhere as it stands"), "{told}");
}
