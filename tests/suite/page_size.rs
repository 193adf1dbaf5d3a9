//! However large what is shown is, a page stays one that can be read: it has the beginning of long things, and leads to all of them.

use std::fs;

use serde_json::{Value, json};

use crate::harness::House;
use crate::page_server::Served;

/// The most that a page may have, in bytes.
const BYTES_MAX: usize = 200_000;
/// Agents of a large run, and characters of each output.
const AGENTS: usize = 300;
const CHARS: usize = 20_000;

/// A large run of another system; every other agent failed at first, by a criterion of its own.
fn large(number: usize) -> String {
    let agent = |place: usize| {
        // Marks make more bytes of a page than letters do.
        let output = format!("run {number}, agent {place}: \"<&>\" ").repeat(CHARS / 15);
        let mut attempts =
            vec![json!({"tier": "capable", "provider": "p", "model": "m", "passed": true, "cost_usd": 0.01, "output": output})];
        if place.is_multiple_of(2) {
            let criterion = format!("criterion {place} with a name of some length");
            attempts.insert(0, json!({"tier": "cheap", "passed": false, "failed_criteria": [criterion], "output": "nothing"}));
        }
        json!({"role": format!("{} {place}", "a long role ".repeat(4)), "task": "look", "attempts": attempts})
    };
    let agents: Vec<Value> = (0..AGENTS).map(agent).collect();
    let answers: serde_json::Map<String, Value> =
        (0..100).map(|place| (format!("question_{place}"), json!("an answer ".repeat(300)))).collect();
    json!({"run_id": format!("large-{number}"), "template_id": "large", "started_at": format!("2026-06-0{}T10:00:00Z", number + 1),
        "report": "# \"Report\" & more\n\n- <item>\n".repeat(5_000), "answers": answers, "agents": agents})
    .to_string()
}

#[test]
fn no_page_of_large_runs_is_too_large_and_each_leads_to_the_whole() {
    let house = House::new();
    fs::write(house.path("runs.jsonl"), [large(0), large(1)].join("\n")).expect("written");
    house.meno(["import", "runs", house.path("runs.jsonl").to_str().expect("a text")]).exits(0);
    let shown: Value = serde_json::from_str(&house.meno(["show-run", "last", "--json"]).exits(0).stdout).expect("JSON");
    let run = shown["run_id"].as_str().expect("an id");
    house.meno(["note", run, &"a long note ".repeat(1_000)]).exits(0);
    let served = Served::admitted(&house, &[]);
    let compared = "/compare?a=last&b=last~1";
    for path in [
        format!("/runs/{run}"),
        format!("/runs/{run}?sel=a0.2"),
        format!("/runs/{run}?by=cost&calls=yes&part=2&waits=full&sel=a2.1"),
        format!("/runs/{run}?step=300"),
        format!("/runs/{run}/events"),
        compared.to_owned(),
        format!("{compared}&of=250"),
        "/templates/large".to_owned(),
        "/".to_owned(),
        "/memory?q=agent".to_owned(),
    ] {
        let page = served.page(&path);
        assert!(page.len() < BYTES_MAX, "{path}: {} bytes", page.len());
    }
    // What is cut leads to the whole, as plain text.
    let panel = served.page(&format!("/runs/{run}?sel=a0.2"));
    let link = panel.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|link| link.contains("part=output"));
    let link = link.expect("a link to the whole output").replace("&amp;", "&");
    let whole = served.get(&link);
    assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(whole.body, shown["agents"][0]["attempts"][1]["output"].as_str().expect("a text"));
    let report = served.get(&format!("/runs/{run}/text?of=report"));
    assert_eq!(report.body, shown["report"].as_str().expect("a text"));
    for nothing in ["of=a0.9&part=output", "of=c7&part=user", "of=&part=x", "of=%C3%A4&part=said"] {
        assert_eq!(served.get(&format!("/runs/{run}/text?{nothing}")).status, 404, "{nothing}");
    }
    // Every output that differs is shown in some page of the comparison.
    let page = served.page(compared);
    assert!(page.contains("Others that differ") && page.contains("&amp;of=") && page.contains("of 300 agents"), "{page}");
    let other = served.page(&format!("{compared}&of=250"));
    let first = other.split("id=\"outputs\"").nth(1).and_then(|rest| rest.split("<summary>").nth(1)).expect("an output");
    assert!(first.contains(" 250<"), "{}", &first[..200]);
    // An agent for whose details there is no room leads to its last attempt.
    let page = served.page(&format!("/runs/{run}"));
    assert!(page.contains("its last attempt") && page.contains("more agents"), "{page}");
}
