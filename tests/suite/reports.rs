//! The pages of costs, templates, comparison, memory and store over HTTP: numbers are those of the commands and lead to their runs,
//! hostile texts are text, and a page stays small.

use std::fs;

use serde_json::Value;

use crate::harness::House;
use crate::page_server::Served;

const EVIL: &str = "<script>alert(1)</script>\u{1b}[2J\u{202e}";

/// A home with imported runs of two templates, one of them with texts that would do harm, and two simulated runs.
fn house() -> House {
    let house = House::new();
    let lines = (0..60u32).map(|number| {
        let (month, day) = (1 + number / 20, 1 + number % 20);
        let passed = number.is_multiple_of(2) || number < 30;
        let template = if number.is_multiple_of(10) { EVIL } else { "nightly" };
        let attempts = serde_json::json!([{"tier": "cheap", "provider": "p", "model": "m-1", "passed": passed, "cost_usd": 0.01,
            "failed_criteria": if passed { vec![] } else { vec![EVIL] }, "output": format!("Result {number} {EVIL}")}]);
        let run = serde_json::json!({"run_id": format!("r-{number}"), "template_id": template,
            "started_at": format!("2026-{month:02}-{day:02}T10:00:00Z"), "labels": {"team": "core"},
            "answers": {"goal": EVIL}, "report": format!("Report {number} {EVIL}"),
            "status": if passed { "succeeded" } else { "failed" }, "agents": [{"role": "linter", "attempts": attempts}]});
        format!("{run}\n")
    });
    fs::write(house.path("work/past.jsonl"), lines.collect::<String>()).expect("a file");
    house.meno(["import", "runs", "past.jsonl"]).exits(0);
    for seed in ["1", "2"] {
        house.meno(["run", "python_package_publish", "--no-input", "--preset", "simulated", "--seed", seed, "--json"]).ends();
    }
    house
}

fn document(house: &House, words: &[&str]) -> Value {
    let done = house.meno(words.iter().copied().chain(["--json", "--time-zone", "UTC"])).exits(0);
    serde_json::from_str(&done.stdout).expect("one document")
}

fn json(served: &Served, path: &str) -> Value {
    serde_json::from_str(&served.page(path)).expect("one document")
}

/// The first link of a page that holds `part`.
fn link(page: &str, part: &str) -> String {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let found = links.into_iter().find(|link| link.contains(part));
    found.unwrap_or_else(|| panic!("no link with {part}: {page}")).replace("&amp;", "&")
}

fn is_harmless(path: &str, page: &str) {
    assert!(!page.contains("<script>alert") && !page.contains(['\u{1b}', '\u{202e}']), "{path}: {page}");
    assert!(!page.contains(" style=") && !page.contains("<style"), "{path}: the page's own rules forbid style in the page");
    assert!(page.len() < 200_000, "{path}: {} bytes", page.len());
}

#[test]
fn documents_of_the_page_are_those_of_the_commands() {
    let house = house();
    let served = Served::admitted(&house, &["--time-zone", "UTC"]);
    let same = [
        ("/api/costs?by=day,model&where=tier%3Dcheap", vec!["costs", "--by", "day,model", "--where", "tier=cheap"]),
        ("/api/costs?by=week&by=label&since=2026-02-01", vec!["costs", "--by", "week,label", "--since", "2026-02-01"]),
        ("/api/analytics?template=nightly", vec!["analytics", "nightly"]),
        ("/api/analytics?simulated=1&unverified=1", vec!["analytics", "--include-simulated", "--include-unverified"]),
        ("/api/compare?a=last&b=last~1", vec!["diff", "last", "last~1"]),
    ];
    for (path, words) in same {
        assert_eq!(json(&served, path), document(&house, &words), "{path}");
    }
}

#[test]
fn numbers_of_costs_lead_to_their_runs_and_kinds_of_money_are_apart() {
    let house = house();
    let served = Served::admitted(&house, &["--time-zone", "UTC"]);
    let path = "/costs?by=month&by=template";
    let page = served.page(path);
    is_harmless(path, &page);
    assert!(page.contains("Imported: $0.600") && page.contains("Simulated: $") && !page.contains("Real money"), "{page}");
    assert_eq!(page.matches("<figure").count(), 2, "a drawing for each kind of money");
    let runs = served.page(&link(&page, "template=nightly&amp;during=2026-02-01"));
    assert_eq!(runs.matches("href=\"/runs/").count(), 18, "nightly ran 18 times in February: {runs}");
    let narrowed = served.page("/costs?by=role&where=template%3Dnightly");
    assert!(narrowed.contains("template=nightly") && narrowed.contains("$0.540"), "{narrowed}");
    // By day, a long past is shown from its newest days on, unless all of it is asked for.
    let newest = served.page("/costs");
    assert!(
        newest.contains("the newest 62 days until something was last spent") && newest.contains("since=1970-01-01"),
        "{newest}"
    );
    assert!(!served.page("/costs?since=1970-01-01").contains("until something was last spent"), "all of it was asked for");
    for broken in ["/costs?by=colour", "/costs?where=tier", "/costs?since=neverday", "/costs?from=x"] {
        let answer = served.get(broken);
        assert!(answer.status == 400 && answer.body.contains("cannot be"), "{broken}: {}", answer.body);
    }
}

#[test]
fn a_template_shows_its_weeks_tiers_criteria_and_rules() {
    let house = house();
    let served = Served::admitted(&house, &[]);
    let list = served.page("/templates");
    is_harmless("/templates", &list);
    assert!(list.contains("54 runs") || list.contains(">54<"), "{list}");
    let one = served.page(&link(&list, "/templates/nightly"));
    is_harmless("nightly", &one);
    for part in ["Success per week", "Tiers and models", "Criteria by how often they catch", "not in this store"] {
        assert!(one.contains(part) || list.contains(part), "{part}: {one}");
    }
    let hostile = link(&list, "/templates/%3Cscript");
    is_harmless(&hostile, &served.page(&hostile));
    let shipped = served.page("/templates/python_package_publish");
    assert!(shipped.contains("<h2>Rules</h2>") && shipped.contains("class=\"edge when\""), "{shipped}");
    assert!(shipped.contains("href=\"/new/python_package_publish\""), "it can be run from here: {shipped}");
    assert!(shipped.contains("Count simulated runs too"), "what counts is said: {shipped}");
    let counted = served.page("/templates/python_package_publish?simulated=1");
    assert!(counted.contains("too few"), "two runs claim nothing: {counted}");
    assert_eq!(served.get("/templates/nobody").status, 404);
}

#[test]
fn two_runs_are_compared_side_by_side() {
    let house = house();
    let served = Served::admitted(&house, &[]);
    let page = served.page("/compare?a=last&b=last~1");
    is_harmless("/compare", &page);
    for part in ["Answers", "Team", "Criteria of the last attempts", "Cost"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let same = served.page("/compare?a=last&b=last");
    assert!(same.contains("Nothing differs") && !same.contains("class=\"differs\""), "{same}");
    assert!([400, 404].contains(&served.get("/compare?a=last&b=nobody").status));
    is_harmless("/compare", &served.page("/compare"));
}

#[test]
fn memory_finds_by_words_and_by_likeness() {
    let house = house();
    house.meno(["reindex"]).exits(0);
    let served = Served::admitted(&house, &[]);
    let page = served.page("/memory?q=Result+41&lexical=1");
    is_harmless("/memory", &page);
    assert!(page.contains("class=\"hits\"") && page.contains("understood"), "{page}");
    let like = served.page(&link(&page, "/memory?like="));
    is_harmless("like", &like);
    assert!(like.contains("the nearest first") && like.matches("href=\"/runs/").count() > 5, "{like}");
    is_harmless("/memory", &served.page("/memory"));
}

#[test]
fn the_store_shows_sizes_progress_and_on_request_what_doctor_finds() {
    let house = house();
    house.meno(["seal", "-o", "seal.json"]).exits(0);
    let served = Served::admitted(&house, &[]);
    let page = served.page("/store");
    is_harmless("/store", &page);
    for part in ["journal", "Search index", "Last seal", "0 events since", "Check everything"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let checked = served.page("/store?check=1");
    assert!(checked.contains("the chain is whole") && checked.contains("Everything was checked"), "{checked}");
    assert_eq!(json(&served, "/api/doctor")["repaired"], false);
}
