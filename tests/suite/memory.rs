//! The past, recalled with the real binary: found by words and by meaning, whatever became of the index.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Done, House};

/// Runs of our own making, with questions and judgements.
fn collection() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections/runs")
}

fn histories() -> String {
    collection().join("histories.jsonl").to_str().expect("a text").to_owned()
}

fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("one document")
}

fn search(house: &House, words: &[&str]) -> Value {
    document(house.meno(["search", "--json"].iter().chain(words)))
}

fn runs(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit["run_id"].as_str().expect("an id").to_owned()).collect()
}

fn house() -> House {
    let house = House::new();
    house.meno(["import", "runs", &histories()]).exits(0);
    house
}

#[test]
fn search_by_both_sides_is_better_than_by_either() {
    let house = House::new();
    let quality = document(house.meno(["bench", "search", collection().to_str().expect("a text"), "--json"]));
    let ndcg = |mode: &str| {
        let modes = quality["modes"].as_array().expect("modes");
        let measured = modes.iter().find(|measured| measured["mode"] == mode).expect("the mode");
        measured["ndcg_at_10"].as_f64().expect("a number")
    };
    let (lexical, semantic, hybrid) = (ndcg("lexical"), ndcg("semantic"), ndcg("hybrid"));
    assert!(hybrid > lexical && hybrid > semantic, "hybrid {hybrid}, lexical {lexical}, semantic {semantic}");
    assert!(hybrid >= 0.87 && lexical > 0.6, "hybrid {hybrid}, lexical {lexical}");
    assert!(
        !house
            .path("cache/meno")
            .read_dir()
            .expect("a cache")
            .any(|entry| { entry.expect("an entry").file_name().to_string_lossy().starts_with("bench-") })
    );
}

#[test]
fn an_imported_run_is_found_by_its_words_at_once_and_by_its_meaning_soon() {
    let house = house();
    let found = search(&house, &["--lexical", "glibc manylinux wheel"]);
    assert_eq!((found["mode"].as_str(), found["indexed_to"].as_u64()), (Some("lexical"), found["log_head"].as_u64()));
    assert!(!runs(&found).is_empty());
    let indexed = document(house.meno(["reindex", "--json"]));
    assert_eq!((indexed["without_vector"].as_u64(), indexed["runs"].as_u64()), (Some(0), Some(0)), "{indexed}");
    let found = search(&house, &["a compiled file that older Linux systems refuse to load"]);
    assert_eq!((found["mode"].as_str(), found["passages_without_vector"].as_u64()), (Some("hybrid"), Some(0)));
    let first = &found["hits"][0];
    assert!(
        first["snippet"].as_str().is_some_and(|snippet| !snippet.is_empty()) && first["cosine"].as_f64() > Some(0.2),
        "{first}"
    );
    let ids = runs(&found);
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "each run is named once");
    // Nothing is embedded twice.
    let again = document(house.meno(["reindex", "--anew", "--json"]));
    assert_eq!((again["embedded"].as_u64(), again["runs"].as_u64()), (Some(0), Some(112)), "{again}");
    assert_eq!(runs(&search(&house, &["a compiled file that older Linux systems refuse to load"])), ids);
}

#[test]
fn words_and_keys_become_filters_and_the_answer_says_which() {
    let house = house();
    let found = search(&house, &["successful security audits since 2026-01-01"]);
    let line = found["understood"]["line"].as_str().expect("a line");
    assert!(line.contains("template security_audit") && line.contains("succeeded") && line.contains("since 1 Jan"), "{line}");
    let hits = found["hits"].as_array().expect("hits");
    assert!(!hits.is_empty());
    let fits = |hit: &Value| {
        hit["template_id"] == "security_audit"
            && hit["status"] == "succeeded"
            && hit["started_at"].as_str().is_some_and(|at| at >= "2025-12-31T10")
    };
    assert!(hits.iter().all(fits), "{hits:?}");

    let hard = search(&house, &["--limit", "200", "status:failed cost:>0.05"]);
    let all = document(house.meno(["list-runs", "--json", "--status", "failed"]));
    let dear = all["runs"].as_array().expect("runs").iter().filter(|run| run["cost_nusd"].as_u64() > Some(50_000_000));
    assert_eq!(runs(&hard).len(), dear.count(), "filters alone find exactly what fits");
    assert_eq!(runs(&search(&house, &["status:failed cost:>1000"])), [] as [String; 0], "a key is never dropped");

    let dropped = search(&house, &["failed runs since 2026-11-20 that cost more than $900"]);
    let filters = dropped["understood"]["filters"].as_array().expect("filters");
    assert!(filters.iter().any(|filter| filter["dropped"] == true), "{filters:?}");
    assert!(!runs(&dropped).is_empty(), "what words would empty is dropped");
    let told = house.meno(["search", "failed runs since 2026-11-20 that cost more than $900"]).exits(0);
    assert!(told.stderr.contains("left out"), "{}", told.stderr);
}

#[test]
fn a_run_is_found_by_its_id_and_by_what_only_it_holds() {
    let house = house();
    let all = document(house.meno(["list-runs", "--json"]));
    let id = all["runs"][40]["run_id"].as_str().expect("an id");
    for part in [id, &id[id.len() - 8..]] {
        assert_eq!(search(&house, &["--lexical", part])["hits"][0]["run_id"], id, "{part}");
    }
    house.meno(["note", id, "compare with ticket QX-77140 before the next one", "--tag", "follow_up"]).exits(0);
    let found = search(&house, &["--lexical", "what was it about QX-77140 and the next release of everything"]);
    assert_eq!(found["hits"][0]["run_id"], id);
    assert_eq!(found["hits"][0]["kind"], "note");
    assert_eq!(runs(&search(&house, &["--lexical", "tag:follow_up"])), [id]);
}

#[test]
fn whatever_becomes_of_the_index_search_answers_and_mends_it() {
    let house = house();
    house.meno(["reindex"]).exits(0);
    let question = ["certificates that ran out"];
    let before = runs(&search(&house, &question));
    let index = house.store().join("index");

    fs::remove_dir_all(&index).expect("the index is removed");
    let found = search(&house, &["--lexical", "certificate"]);
    assert_eq!(found["indexed_to"], found["log_head"]);
    assert!(!runs(&found).is_empty());

    for file in fs::read_dir(index.join("lexical")).expect("the words' side").map(|entry| entry.expect("an entry").path()) {
        if file.extension().is_some_and(|kind| kind == "store" || kind == "idx" || kind == "term") || file.ends_with("meta.json")
        {
            let bytes = fs::read(&file).expect("a file");
            fs::write(&file, &bytes[..bytes.len() / 2]).expect("half of it");
        }
    }
    house.meno(["search", "--lexical", "certificate"]).ends();
    house.meno(["reindex"]).exits(0);
    for file in fs::read_dir(index.join("lexical")).expect("the words' side").map(|entry| entry.expect("an entry").path()) {
        if file.extension().is_some_and(|kind| kind == "pos") {
            fs::write(&file, "junk").expect("another file");
        }
    }
    let done = house.meno(["search", "certificates that ran out"]).exits(0);
    assert!(!done.stderr.contains("report it"), "{}", done.stderr);
    house.meno(["reindex"]).exits(0);
    let vectors = index.join("vectors");
    for folder in fs::read_dir(&vectors).expect("vectors").map(|entry| entry.expect("an entry").path()) {
        let keys = folder.join("keys");
        let bytes = fs::read(&keys).expect("keys");
        fs::write(&keys, &bytes[..bytes.len() - 7]).expect("a torn row");
        fs::create_dir_all(vectors.join("of-another-model")).expect("a folder");
        fs::copy(&keys, vectors.join("of-another-model/keys")).expect("a copy");
    }
    let found = search(&house, &question);
    assert_eq!((runs(&found), found["passages_without_vector"].as_u64()), (before, Some(0)));
}

#[test]
fn a_process_that_is_killed_while_indexing_loses_nothing() {
    let house = house();
    fs::remove_dir_all(house.store().join("index")).expect("the index is removed");
    for after in [20, 60, 150, 400, 900, 1500] {
        let indexing = house.start(["reindex"]);
        std::thread::sleep(Duration::from_millis(after));
        indexing.signal(Signal::KILL);
        indexing.end();
    }
    let indexed = document(house.meno(["reindex", "--json"]));
    assert_eq!((indexed["without_vector"].as_u64(), &indexed["indexed_to"]), (Some(0), &indexed["log_head"]));
    let whole = house.meno(["search", "--json", "--limit", "200", "kind:run"]).exits(0);
    let found: Value = serde_json::from_str(&whole.stdout).expect("one document");
    assert_eq!(runs(&found).len(), 112, "every run once");
}

#[test]
fn hostile_questions_get_an_answer() {
    let house = house();
    let long = "release ".repeat(1400);
    let quotes = "\"".repeat(999);
    let keys = "status: cost:>> since:: -- -\"\" *:* [a TO b] (( ^9 ~2 && || ! \\ /regex/ {} ".repeat(20);
    let questions = [
        long.as_str(),
        quotes.as_str(),
        keys.as_str(),
        "\u{1b}[31mred\u{7}\u{202e}",
        "\"unbalanced phrase",
        "status:failed status:succeeded -status:failed",
        "cost:99999999999999999999999999 duration:1e400s since:99999-99-99",
        "𝕬𝖟 ß ﷽ 漢字かな交じり文 \u{200b}",
        "   ",
    ];
    for question in questions {
        let done = house.meno(["search", "--lexical", "--json", "--", question]);
        let found: Value = serde_json::from_str(&done.exits(0).stdout).expect("one document");
        assert!(found["hits"].is_array());
        let shown = house.meno(["search", "--lexical", "--", question]).exits(0);
        assert!(!format!("{}{}", shown.stdout, shown.stderr).contains('\u{1b}'), "no escape reaches a terminal");
    }
}

#[test]
fn a_process_that_stays_answers_for_the_others_and_keeps_the_index() {
    let house = House::new();
    let mut serve = house.start(["serve", "--json"]);
    assert!(serve.line().is_some_and(|line| line.contains("serving")));
    house.meno(["import", "runs", &histories()]).exits(0);
    let until = Instant::now() + Duration::from_secs(240);
    loop {
        let found = search(&house, &["somebody's departure led to an expired credential"]);
        if found["mode"] == "hybrid" && found["passages_without_vector"] == 0 {
            assert!(!runs(&found).is_empty());
            break;
        }
        assert!(Instant::now() < until, "the index is never whole: {found}");
        std::thread::sleep(Duration::from_millis(200));
    }
    serve.signal(Signal::TERM);
    serve.end().exits(0);
    assert!(!runs(&search(&house, &["--lexical", "credential"])).is_empty(), "without it the others search themselves");
}

#[test]
fn a_model_that_cannot_be_fetched_is_a_clear_error_and_search_goes_on() {
    let house = house();
    let mut fetch = house.command(["model", "fetch", "BGESmallENV15"]);
    fetch.env("HF_ENDPOINT", "http://127.0.0.1:9");
    let failed = crate::harness::finish(fetch).exits(1);
    assert!(failed.stderr.contains("could not be fetched") && failed.stderr.contains("127.0.0.1:9"), "{}", failed.stderr);
    assert!(!house.path("data/meno/models/BGESmallENV15.part").exists());
    assert!(house.meno(["model", "fetch", "BGESmalENV15"]).exits(1).stderr.contains("did you mean `BGESmallENV15`"));
    let mut asked = house.command(["search", "--json", "certificates"]);
    asked.env("MENO_CONFIG", house.path("other.toml"));
    fs::write(house.path("other.toml"), "[memory]\nmodel = \"BGESmallENV15\"\n").expect("settings");
    let found: Value = serde_json::from_str(&crate::harness::finish(asked).exits(0).stdout).expect("one document");
    assert_eq!(found["mode"], "lexical");
    assert!(found["notices"].to_string().contains("is not here"), "{}", found["notices"]);
}

#[test]
fn the_end_of_a_run_brings_words_up_to_date_and_waits_for_no_model() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 600000\n");
    house.meno(["run", "python_package_publish", "--no-input"]).ends();
    let index = house.store().join("index");
    assert!(index.join("lexical/meta.json").is_file(), "its words are indexed");
    assert!(!index.join("vectors").exists(), "nothing is embedded where somebody waits");
    let found = search(&house, &["--lexical", "python package"]);
    assert_eq!(found["indexed_to"], found["log_head"]);
    let hits = found["hits"].as_array().expect("hits");
    assert!(!hits.is_empty() && hits.iter().all(|hit| !hit["snippet"].to_string().contains("{{")), "{hits:?}");
}

#[test]
fn nonsense_and_other_subjects_find_nothing_and_say_so() {
    let house = house();
    house.meno(["reindex"]).exits(0);
    let question = "purple elephants juggling quantum bananas";
    let found = search(&house, &[question]);
    assert_eq!((found["nothing_close"].as_bool(), runs(&found).len()), (Some(true), 0), "{found}");
    let told = house.meno(["search", question]).exits(0);
    assert!(told.stderr.contains("nothing close") && told.stdout.is_empty(), "{} {}", told.stdout, told.stderr);
    let all = search(&house, &["--all", question]);
    let hits = all["hits"].as_array().expect("hits");
    assert!(hits.len() == 10 && hits.iter().all(|hit| hit["weak"] == true), "{hits:?}");
    assert!(house.meno(["search", "--all", question]).exits(0).stdout.contains("weak"));
    let found = search(&house, &["expired certificates"]);
    assert!(found["nothing_close"] == false && found["hits"][0]["weak"] == false, "{found}");
}

#[test]
fn looking_at_a_store_that_is_not_there_creates_nothing() {
    let house = House::new();
    house.meno(["reindex", "--json"]).exits(1);
    assert_eq!(runs(&search(&house, &["anything"])), [] as [String; 0]);
    house.meno(["suggest", "anything"]).exits(0);
    house.meno(["recommend", "release_prep"]).exits(0);
    assert!(!house.store().exists());
}

#[test]
fn a_wish_finds_its_template_or_none() {
    let house = House::new();
    let suggested = document(house.meno(["suggest", "--json", "put my python library on pypi"]));
    assert_eq!(suggested["templates"][0]["template_id"], "python_package_publish", "{suggested}");
    let none = document(house.meno(["suggest", "--json", "bake an apple pie for my grandmother"]));
    assert_eq!(none["templates"], serde_json::json!([]));
}
