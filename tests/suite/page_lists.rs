//! What single pages show: the tree of forks, type-ahead, long lists, the last audit, and what is unknown or cannot be done.

use std::fs;

use serde_json::{Value, json};

use crate::harness::House;
use crate::page_server::Served;

fn id(house: &House, run: &str) -> String {
    let shown: Value = serde_json::from_str(&house.meno(["show-run", run, "--json"]).exits(0).stdout).expect("JSON");
    shown["run_id"].as_str().expect("an id").to_owned()
}

/// One line for `meno import runs`.
fn line(id: usize, template: &str, more: &Value) -> String {
    let attempt = json!({"tier": "cheap", "provider": "p", "model": "m", "passed": true});
    let mut line = json!({"run_id": format!("r{id}"), "template_id": template, "started_at": "2026-06-01T10:00:00Z",
        "agents": [{"role": "worker", "attempts": [attempt]}]});
    line.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    line.to_string()
}

fn import(house: &House, lines: &[String]) {
    fs::write(house.path("runs.jsonl"), lines.join("\n")).expect("written");
    house.meno(["import", "runs", house.path("runs.jsonl").to_str().expect("a text")]).exits(0);
}

#[test]
fn what_a_filter_finds_far_down_is_on_its_first_page() {
    let house = House::new();
    let mut lines: Vec<String> = (0..5_500).map(|id| line(id, "sweep", &json!({}))).collect();
    lines.push(line(6_000, "old_one", &json!({"started_at": "2026-01-01T10:00:00Z"})));
    lines.push(line(6_001, "older", &json!({"started_at": "2025-12-30T10:00:00Z"})));
    import(&house, &lines);
    let served = Served::admitted(&house, &[]);
    for (filter, template) in [("since=2026-01-01&until=2026-01-02", "old_one"), ("template=older", "older")] {
        let page = served.page(&format!("/?{filter}"));
        assert_eq!(page.matches("href=\"/runs/").count(), 1, "{filter}: {page}");
        assert!(page.contains(template) && !page.contains("Older runs"), "{filter}: {page}");
    }
}

#[test]
fn the_tree_of_forks_stands_on_every_runs_page() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).ends();
    let root = id(&house, "last");
    house.meno(["fork", &root, "--agent", "publisher"]).ends();
    let child = id(&house, "last");
    house.meno(["fork", &child, "--agent", "publisher"]).ends();
    let grandchild = id(&house, "last");
    house.meno(["fork", &root, "--agent", "publisher"]).ends();
    let sibling = id(&house, "last");
    let served = Served::admitted(&house, &[]);
    for this in [&root, &child, &grandchild, &sibling] {
        let page = served.page(&format!("/runs/{this}"));
        let tree = page.split("id=\"family\"").nth(1).and_then(|rest| rest.split("</section>").next()).expect("a tree");
        let places: Vec<usize> = [&root, &child, &grandchild, &sibling]
            .map(|run| tree.find(&format!("title=\"{run}\"")).unwrap_or_else(|| panic!("{run} is not in {tree}")))
            .to_vec();
        assert!(places.is_sorted(), "parents come before their forks: {tree}");
        assert_eq!(tree.matches("<ul").count(), 3, "root, its forks, and the fork of one of them: {tree}");
        assert_eq!((tree.matches("(this run)").count(), tree.matches("class=\"state").count()), (1, 4), "{tree}");
        assert_eq!(tree.matches("forked at <a href=\"/runs/").count(), 3, "{tree}");
        assert!(!tree.contains(&format!("href=\"/runs/{this}\"")), "it leads to the others");
        assert_eq!((tree.matches(">position ").count(), tree.contains("event ")), (3, false), "where in the log: {tree}");
    }
}

#[test]
fn a_search_is_completed_by_what_the_store_knows() {
    let house = House::new();
    import(&house, &[line(1, "sweep", &json!({"labels": {"team": "core"}}))]);
    house.meno(["search", "sweep"]).exits(0);
    let served = Served::admitted(&house, &[]);
    let offered = |query: &str| {
        let found: Vec<Value> = serde_json::from_str(&served.page(&format!("/api/complete?q={query}"))).expect("JSON");
        found.iter().map(|offer| offer["query"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(offered("flaky+status%3Afa"), ["flaky status:failed"]);
    assert_eq!(offered("template%3Aswe"), ["template:sweep"]);
    assert_eq!(offered("label%3Ate"), ["label:team=core"]);
    assert!(offered("").contains(&"status:".to_owned()));
    assert_eq!(offered(&"x".repeat(2000)), Vec::<String>::new());
    let page = served.page("/");
    assert!(page.contains("list=\"completions\"") && page.contains("<datalist id=\"completions\">"), "{page}");
}

#[test]
fn many_templates_come_page_by_page() {
    let house = House::new();
    let lines: Vec<String> = (0..120).map(|number| line(number, &format!("kind_{number:03}"), &json!({}))).collect();
    import(&house, &lines);
    let served = Served::admitted(&house, &[]);
    let mut seen = std::collections::BTreeSet::new();
    for from in ["", "?from=50", "?from=100"] {
        let page = served.page(&format!("/templates{from}"));
        let found: Vec<&str> = page.split("href=\"/templates/kind_").skip(1).filter_map(|rest| rest.get(..3)).collect();
        assert!(found.len() <= 50 && !found.is_empty(), "{from}: {}", found.len());
        seen.extend(found.into_iter().map(str::to_owned));
    }
    assert_eq!(seen.len(), 120, "each is on one of the pages");
    assert!(served.page("/templates").contains("href=\"/templates?from=50\""));
}

#[test]
fn what_is_unknown_is_no_zero_and_says_why_it_leads_nowhere() {
    let house = House::new();
    let unknown = json!({"agents": [{"role": "worker", "attempts": [{"tier": "cheap", "passed": true}]}]});
    import(&house, &[line(1, "sweep", &unknown)]);
    let run = id(&house, "last");
    let served = Served::admitted(&house, &[]);
    for path in [format!("/runs/{run}"), format!("/runs/{run}?sel=a0.1")] {
        let page = served.page(&path);
        let tokens = page.split("<dt>Tokens</dt><dd>").skip(1);
        let tokens: Vec<&str> = tokens.filter_map(|rest| rest.split('<').next()).collect();
        assert!(!tokens.is_empty() && tokens.iter().all(|tokens| tokens.trim() == "unknown"), "{path}: {tokens:?}");
    }
    assert!(house.meno(["show-run", &run]).exits(0).stdout.contains("unknown tokens"));
    let costs = served.page("/costs?by=model");
    assert!(costs.contains("Numbers without a link") && costs.contains(">unknown</td>"), "{costs}");
    assert!(!costs.contains(">0</td>"), "{costs}");
    assert!(!served.page("/costs?by=template").contains("Numbers without a link"));
}

#[test]
fn nothing_of_another_systems_run_can_be_carried_on() {
    let house = House::new();
    let failed = json!({"status": "failed", "agents": [{"role": "worker", "attempts": [{"tier": "cheap", "passed": false}]}]});
    let mut simulated = failed.clone();
    simulated["labels"] = json!({"simulated": "true"});
    simulated["started_at"] = json!("2026-06-02T10:00:00Z");
    import(&house, &[line(1, "sweep", &failed), line(2, "sweep", &simulated)]);
    let served = Served::admitted(&house, &[]);
    let needs = served.page("/needs");
    assert!(needs.contains("Nothing waits for you"), "{needs}");
    for (run, mode) in [("last", "simulated"), ("last~1", "imported")] {
        let run = id(&house, run);
        let page = served.page(&format!("/runs/{run}"));
        assert!(page.contains(&format!("class=\"mode m-{mode}\"")), "{mode}");
        for action in ["approve", "resume", "cancel", "form"] {
            assert!(!page.contains(&format!("/runs/{run}/{action}\"")), "{mode}: {action}");
        }
        for (path, fields) in [("resume", &[("retry_failed", "yes")][..]), ("cancel", &[])] {
            let status = served.post(&format!("/runs/{run}/{path}"), fields).status;
            assert!((400..500).contains(&status), "{mode}, {path}: {status}");
        }
    }
}

/// Another system says how long attempts took, not when they began, nor when a run ended.
#[test]
fn times_that_nobody_recorded_are_not_shown_as_if_they_were() {
    let house = House::new();
    let attempt = |tier: &str, passed: bool, ms: u64| json!({"tier": tier, "provider": "p", "model": "m", "passed": passed, "duration_ms": ms});
    let agents = json!([{"role": "worker", "attempts": [attempt("cheap", false, 8_000), attempt("capable", true, 12_000)]}]);
    import(&house, &[line(0, "other", &json!({"agents": agents}))]);
    let served = Served::admitted(&house, &[]);
    let page = served.page(&format!("/runs/{}", id(&house, "last")));
    assert!(page.contains("It is recorded how long attempts took, not when each began"), "{page}");
    assert!(page.contains("8.00 s after the start, for 12.0 s") || page.contains("8.0 s after the start, for 12.0 s"), "{page}");
    assert!(!page.contains("not ended"), "{page}");
    let said = page.split_once("id=\"said\"").expect("the scrubber").1;
    assert!(!said.split_once("</p>").expect("its end").0.contains("after the start"), "{said}");
    // Sessions of other agents are a template's runs too, and in no statistic.
    assert!(served.page("/templates/claude-code").contains("are in no statistic"));
}

#[test]
fn the_last_audit_is_noted_and_never_taken_for_one_of_another_log() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).ends();
    let doctor = || {
        let document: Value = serde_json::from_str(&house.meno(["doctor", "--json"]).stdout).expect("JSON");
        let check = document["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "audit").cloned();
        check.expect("a line about the audit")
    };
    assert_eq!((&doctor()["state"], &doctor()["found"]), (&json!("ok"), &json!("none is noted")));
    house.meno(["audit", "last"]).exits(0);
    assert_eq!(doctor()["found"], "none is noted", "one run is not the store");
    house.meno(["audit"]).exits(0);
    assert!(doctor()["found"].as_str().expect("a text").contains("found nothing violated; 0 events since"), "{}", doctor());
    house.meno(["note", "last", "seen"]).exits(0);
    assert!(doctor()["found"].as_str().expect("a text").contains("1 event since"), "{}", doctor());
    {
        let served = Served::admitted(&house, &[]);
        let store = served.page("/store");
        assert!(store.contains("Last audit") && store.contains("nothing violated, 1 event since"), "{store}");
    }
    let file = house.store().join("audit.json");
    let note: Value = serde_json::from_slice(&fs::read(&file).expect("a note")).expect("JSON");
    let mut other = note.clone();
    other["head"] = json!("0".repeat(64));
    fs::write(&file, other.to_string()).expect("written");
    assert_eq!(doctor()["state"], "warning", "{}", doctor());
    let mut violated = note;
    violated["violations"] = json!(3);
    fs::write(&file, violated.to_string()).expect("written");
    assert_eq!(doctor()["state"], "problem", "{}", doctor());
    fs::write(&file, "{").expect("written");
    assert_eq!(doctor()["found"], "none is noted");
}

#[test]
fn each_chip_of_a_search_takes_its_own_filter_away_whoever_said_it() {
    let house = House::new();
    import(&house, &[line(1, "sweep", &json!({"status": "failed"})), line(2, "sweep", &json!({"status": "succeeded"}))]);
    let served = Served::admitted(&house, &[]);
    // What a page shows as understood: the words of each chip and where its cross leads.
    let chips = |path: &str| {
        let page = served.page(path);
        let list = page.split("aria-label=\"Understood as\"").nth(1).and_then(|rest| rest.split("</ul>").next());
        let chip = |part: &str| {
            let words = part.split("<a href=").next().expect("words").to_owned();
            let link = part.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
            (words, link.replace("&amp;", "&"))
        };
        list.unwrap_or_default().split("<li class=\"chip\">").skip(1).map(chip).collect::<Vec<_>>()
    };
    let words = |chips: &[(String, String)]| chips.iter().map(|(words, _)| words.clone()).collect::<Vec<_>>();
    let question = "/?q=failed+sweep+runs+since+2026-01-01+without+escalations%2C+cheapest+first&status=failed";
    let mut all = chips(question);
    assert!(all.len() >= 4, "{all:?}");
    let mut left = words(&all);
    // One after the other, in another order than they stand in.
    while !all.is_empty() {
        let place = all.len() / 2;
        let link = all[place].1.clone();
        left.remove(place);
        all = chips(&link);
        assert_eq!(words(&all), left, "{link}");
    }
    let runs = |path: &str| served.page(path).matches("class=\"row id\"").count();
    assert_eq!(
        (runs("/?q=failed+runs"), runs("/?q=failed+runs&status=failed"), runs("/?q=sweep&status=failed&status=succeeded")),
        (1, 1, 2)
    );
    assert_eq!(runs(&chips("/?q=failed+runs")[0].1), 2, "all runs");
}

/// The links of a list's pages, by their words.
fn link(page: &str, words: &str) -> Option<String> {
    let pages = page.split("class=\"pages\"").nth(1)?.split("</p>").next()?;
    let before = pages.split(&format!(">{words}</a>")).next().filter(|before| before.len() < pages.len())?;
    before.rsplit("href=\"").next()?.split('"').next().map(|link| link.replace("&amp;", "&"))
}

#[test]
fn everything_that_a_search_finds_is_on_one_of_its_pages() {
    let house = House::new();
    let at = |number: usize| json!({"started_at": format!("2026-06-{:02}T10:{:02}:00Z", 1 + number / 50, number % 50)});
    let lines: Vec<String> = (0..230).map(|number| line(number, "sweep", &at(number))).collect();
    import(&house, &lines);
    let served = Served::admitted(&house, &[]);
    // The index comes up to the log search by search.
    let until = std::time::Instant::now() + crate::harness::DEADLINE;
    while !served.page("/?q=tier%3Acheap").contains("of 230 runs found") {
        assert!(std::time::Instant::now() < until, "not everything is indexed");
    }
    let runs = |page: &str| {
        page.split("class=\"row id\" href=\"/runs/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // Links from costs are searches too.
    for (first, size) in [("/?mode=imported&q=tier%3A%22cheap%22", 230), ("/?q=tier%3Acheap&during=2026-06-02..2026-06-04", 150)]
    {
        let (mut path, mut seen, mut pages) = (first.to_owned(), Vec::new(), 0);
        loop {
            let page = served.page(&path);
            assert!(page.contains("found"), "it says how many there are: {page}");
            seen.extend(runs(&page));
            pages += 1;
            match link(&page, "More runs") {
                Some(next) => path = next,
                None => break,
            }
        }
        let all: std::collections::BTreeSet<&String> = seen.iter().collect();
        assert_eq!((all.len(), seen.len()), (size, size), "each once: {first}");
        assert!(pages > 1 && path.contains("from="), "{path}");
        let last = served.page(&path);
        assert!(!last.contains("name=\"from\""), "another question begins at its own first page");
        assert_eq!(link(&last, "First runs").as_deref(), Some(first));
    }
    let page = served.page("/?q=tier%3Acheap&from=100");
    assert!(page.contains("101 to 200 of 230 runs found"), "{page}");
    let named = served.page("/?q=the+5+newest+runs");
    assert!(runs(&named).len() == 5 && link(&named, "More runs").is_none(), "as many as were asked for: {named}");
    // The memory pages through what it finds as well.
    let (mut path, mut hits) = ("/memory?q=tier%3Acheap".to_owned(), 0);
    while let Some(next) = {
        let page = served.page(&path);
        hits += page.matches("class=\"hit\"").count();
        link(&page, "More runs")
    } {
        path = next;
    }
    assert_eq!(hits, 230);
}

#[test]
fn runs_that_were_under_way_then_are_found_however_many_that_were_not_come_first() {
    let house = House::new();
    // Of 700 runs that began before the time's end, the oldest 120 were still under way then.
    let of = |number: usize| {
        let day = if number < 120 { 1 } else { 2 + number / 300 };
        let ended = if number < 120 { "2026-06-10T12:00:00Z".to_owned() } else { format!("2026-06-{day:02}T23:59:00Z") };
        json!({"started_at": format!("2026-06-{day:02}T{:02}:{:02}:00Z", number % 300 / 60, number % 60), "ended_at": ended})
    };
    let lines: Vec<String> = (0..700).map(|number| line(number, "sweep", &of(number))).collect();
    import(&house, &lines);
    let served = Served::admitted(&house, &[]);
    let until = std::time::Instant::now() + crate::harness::DEADLINE;
    while !served.page("/?q=tier%3Acheap").contains("of 700 runs found") {
        assert!(std::time::Instant::now() < until, "not everything is indexed");
    }
    for order in ["newest", "oldest"] {
        let mut path = format!("/?q=tier%3Acheap+sort%3A{order}&during=2026-06-10");
        let (mut seen, mut pages) = (std::collections::BTreeSet::new(), 0);
        loop {
            let page = served.page(&path);
            let runs = page.split("class=\"row id\" href=\"/runs/").skip(1).filter_map(|rest| rest.split('"').next());
            seen.extend(runs.map(str::to_owned));
            pages += 1;
            match link(&page, "More runs") {
                Some(next) => path = next,
                None => break,
            }
        }
        assert!(seen.len() == 120 && pages > 1, "{order}: {} on {pages} pages", seen.len());
    }
}

#[test]
fn a_time_that_nobody_asked_for_is_no_field_and_what_is_counted_in_part_says_so() {
    let house = House::new();
    let months = ["2026-01-20", "2026-02-11", "2026-06-01"];
    let lines: Vec<String> =
        (0..3).map(|number| line(number, "sweep", &json!({"started_at": format!("{}T10:00:00Z", months[number])}))).collect();
    import(&house, &lines);
    let served = Served::admitted(&house, &[]);
    let rows = |page: &str| page.matches("class=\"when\"").count();
    for (by, shown) in [("day", 1), ("week", 3), ("month", 3)] {
        let page = served.page(&format!("/costs?by={by}&since=&until="));
        assert!(page.contains(&format!("the newest 62 {by}s")), "{page}");
        assert!(page.contains("name=\"since\" size") && !page.contains("is counted from"), "the field is empty: {page}");
        assert_eq!(rows(&page), shown, "{by}");
    }
    let days = served.page("/costs?by=day");
    assert!(days.contains("/?mode=imported&amp;since=2026-"), "a total leads to the runs of the time that was counted: {days}");
    let part = served.page("/costs?by=month&since=2026-02-10");
    assert!(rows(&part) == 2 && part.contains("The month 2026-02 is counted from"), "{part}");
    assert!(part.contains("name=\"since\" value=\"2026-02-10\""), "{part}");
    for whole in ["by=month&since=2026-02-01", "by=week&since=1970-01-01"] {
        assert!(!served.page(&format!("/costs?{whole}")).contains(" is counted "), "{whole}");
    }
    assert!(served.page("/costs?by=week&since=1970-01-01&until=2026-02-11").contains("is counted until"));
}

#[test]
fn costs_of_several_labels_lead_to_the_runs_that_have_them_all() {
    let house = House::new();
    import(
        &house,
        &[
            line(1, "sweep", &json!({"labels": {"team": "core", "kind": "night"}})),
            line(2, "sweep", &json!({"labels": {"team": "core"}})),
        ],
    );
    let served = Served::admitted(&house, &[]);
    let costs = served.page("/costs?by=label");
    let links = costs.split("href=\"/?").skip(1).filter_map(|rest| rest.split('"').next()).map(|link| link.replace("&amp;", "&"));
    let both: Vec<String> = links.filter(|link| link.matches("label=").count() == 2).collect();
    assert!(!both.is_empty() && !costs.contains("Numbers without a link"), "{costs}");
    assert_eq!(served.page(&format!("/?{}", both[0])).matches("class=\"row id\"").count(), 1, "{}", both[0]);
}
