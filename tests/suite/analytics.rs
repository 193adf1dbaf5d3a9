//! What was spent and how things went, from the command line: every number is the sum of the events, whatever it is asked by.

use std::fs;

use meno::Access;
use meno::event::Event;
use meno::internals::workspace::default_answers;
use serde_json::Value;

use crate::harness::{House, files_with};

const PUBLISH: [&str; 6] = ["run", "python_package_publish", "--no-input", "--preset", "simulated", "--json"];

fn house_with_runs() -> House {
    let house = House::new();
    for seed in ["1", "2", "3"] {
        house.meno(PUBLISH.into_iter().chain(["--seed", seed, "--label", "team=core"])).ends();
    }
    house
}

fn json(house: &House, words: &[&str]) -> Value {
    let done = house.meno(words.iter().copied().chain(["--json"])).exits(0);
    serde_json::from_str(&done.stdout).expect("one document")
}

fn spent(house: &House) -> (u64, u64) {
    let costs = house.journal().into_iter().filter_map(|recorded| match recorded.event {
        Event::CostIncurred(body) => body.amount,
        _ => None,
    });
    costs.fold((0, 0), |(sum, count), amount| (sum + amount.0, count + 1))
}

fn sum(rows: &Value, field: &str) -> u64 {
    rows.as_array().expect("rows").iter().map(|row| row[field].as_u64().expect("a number")).sum()
}

#[test]
fn costs_add_up_to_the_events_whatever_they_are_asked_by() {
    let house = house_with_runs();
    let (amount, _) = spent(&house);
    assert!(amount > 0);
    let all =
        ["day", "week,model", "month,tier,role", "mode", "provider", "template,purpose", "workspace", "label", "label.team"];
    for by in all {
        let report = json(&house, &["costs", "--by", by]);
        assert_eq!((sum(&report["rows"], "cost_nusd"), sum(&report["totals"], "cost_nusd")), (amount, amount), "{by}");
        assert_eq!(report["totals"][0]["mode"], "simulated", "and never another kind of money");
    }
    let before = json(&house, &["costs", "--until", "2000-01-01"]);
    assert_eq!(before["rows"].as_array().map(Vec::len), Some(0));
    let words = house.meno(["costs", "--by", "tier,label.team"]).exits(0).stdout;
    assert!(words.contains("core") && words.contains("total") && !words.contains('█'), "{words}");
    assert!(house.meno(["costs", "--by", "colour"]).exits(2).stderr.contains("day, week, month"));
}

#[test]
fn the_days_of_costs_are_those_of_the_zone_also_off_the_hour() {
    let house = House::new();
    let runs = [
        ("2026-01-25T04:08:00Z", 1),
        ("2026-01-24T20:00:00Z", 2),
        ("2026-01-24T07:30:00Z", 4),
        ("2026-01-24T18:45:00Z", 8),
        ("2026-03-29T00:30:00Z", 16),
        ("2026-03-29T22:30:00Z", 32),
    ];
    let lines = runs.iter().map(|(at, cost)| {
        let attempts = serde_json::json!([{"tier": "cheap", "passed": true, "cost_usd": cost}]);
        let agents = serde_json::json!([{"role": "r", "attempts": attempts}]);
        let run = serde_json::json!({"run_id": format!("z-{cost}"), "template_id": "t1", "started_at": at, "status": "succeeded",
            "agents": agents});
        format!("{run}\n")
    });
    fs::write(house.path("work/zones.jsonl"), lines.collect::<String>()).expect("a file");
    house.meno(["import", "runs", "zones.jsonl"]).exits(0);
    let days = |zone: &str, more: &[&str]| -> Vec<(String, u64)> {
        let report = json(&house, &[&["costs", "--by", "day", "--time-zone", zone], more].concat());
        assert_eq!(report["notices"], serde_json::json!([]), "{zone}");
        let rows = report["rows"].as_array().expect("rows");
        let day = |row: &Value| row["key"]["day"].as_str().expect("a day")[5..].to_owned();
        rows.iter().map(|row| (day(row), row["cost_nusd"].as_u64().expect("a number") / 1_000_000_000)).collect()
    };
    let wanted = |days: &[(&str, u64)]| days.iter().map(|(day, cost)| ((*day).to_owned(), *cost)).collect::<Vec<_>>();
    let kolkata = wanted(&[("01-24", 4), ("01-25", 11), ("03-29", 16), ("03-30", 32)]);
    for zone in ["Asia/Kolkata", "+05:30", "Asia/Kathmandu", "+05:45"] {
        assert_eq!(days(zone, &[]), kolkata, "{zone}");
    }
    assert_eq!(days("UTC", &[]), wanted(&[("01-24", 14), ("01-25", 1), ("03-29", 48)]));
    let los_angeles = wanted(&[("01-23", 4), ("01-24", 11), ("03-28", 16), ("03-29", 32)]);
    assert_eq!(days("America/Los_Angeles", &[]), los_angeles);
    // A day of the zone is asked for whole and alone.
    let one = ["--since", "2026-01-25", "--until", "2026-01-25"];
    assert_eq!(days("+05:45", &one), wanted(&[("01-25", 11)]));
    assert_eq!(days("-09:30", &one), wanted(&[]), "an offset may begin with a minus");
    let told = house.meno(["costs", "--time-zone", "+05:50"]).exits(0).stdout;
    assert!(!told.contains("note:"), "no charge lies where the days of this offset are not exact: {told}");
}

#[test]
fn telemetry_has_a_line_for_every_call_and_none_of_its_words() {
    let house = house_with_runs();
    house.configure("preset = \"simulated\"\n");
    let (amount, count) = spent(&house);
    let lines: Vec<Value> = house.meno(["telemetry", "export"]).exits(0).lines();
    assert_eq!(lines.iter().map(|line| line["cost_nusd"].as_u64().expect("a number")).sum::<u64>(), amount);
    assert_eq!(lines.len() as u64, count);
    for line in &lines {
        for field in
            ["v", "ts", "workflow", "tier", "model", "provider", "cost", "tokens", "cache", "duration_ms", "user_id", "stage"]
        {
            assert!(!line[field].is_null(), "{field} of {line}");
        }
    }
    let file = house.path("calls.csv");
    house.meno(["telemetry", "export", "--format", "csv", "-o", file.to_str().expect("a text")]).exits(0);
    let table = fs::read_to_string(&file).expect("the file");
    assert_eq!(table.lines().count() as u64, count + 1);
    let report = json(&house, &["telemetry", "show"]);
    assert_eq!((sum_of(&report, "cost_nusd"), sum_of(&report, "calls")), (amount, count));
    assert_eq!(report["modes"][0]["savings"]["is_estimate"], true);
}

fn sum_of(report: &Value, field: &str) -> u64 {
    report["modes"].as_array().expect("modes").iter().map(|mode| mode["total"][field].as_u64().expect("a number")).sum()
}

#[test]
fn simulated_runs_teach_nothing_unless_asked() {
    let house = house_with_runs();
    let report = json(&house, &["analytics", "python_package_publish"]);
    assert_eq!((&report["template"], report["templates"].as_array().map(Vec::len)), (&Value::Null, Some(0)));
    let page = house.path("page.html");
    let asked = ["analytics", "python_package_publish", "--include-simulated", "--include-unverified"];
    let report = json(&house, &asked);
    assert_eq!(report["templates"][0]["runs"], 3);
    assert_eq!(report["template"]["summary"]["success"], Value::Null, "three are too few to claim anything from");
    assert_eq!(report["template"]["summary"]["money"][0]["total_nusd"], spent(&house).0);
    // A window that holds everything gives what the views give.
    let within = json(&house, &[&asked[..], &["--since", "2000-01-01"]].concat());
    assert_eq!(within["template"], report["template"]);
    let words = house.meno(asked.into_iter().chain(["--html", page.to_str().expect("a text")])).exits(0).stdout;
    assert!(words.contains("too few") && words.contains("Tiers and models"), "{words}");
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<script") && !page.contains("http"));
    let unknown = house.meno(["analytics", "python_package_publsh"]).exits(1).stderr;
    assert!(unknown.contains("did you mean `python_package_publish`"), "{unknown}");
}

#[test]
fn what_was_answered_last_is_proposed_with_its_run() {
    let house = house_with_runs();
    let ended = house.meno([&PUBLISH[..], &["--set", "package_name=otter", "--seed", "4"]].concat()).ends().run();
    let workspace = house.workspace(Access::Read, false);
    let defaults = default_answers(&workspace, "python_package_publish", &["publish_to"]).expect("the store can be read");
    let of = |id: &str| defaults.iter().find(|default| default.question == id);
    let (value, run) = of("package_name").and_then(|default| default.last.clone()).expect("it was answered");
    assert_eq!((value, Value::from(run.to_string())), (Value::from("otter"), ended["run_id"].clone()));
    assert_eq!(of("package_name").and_then(|default| default.chosen.clone()), None, "simulated success is no advice");
    assert_eq!(of("publish_to"), None, "what is sensitive is not proposed");
}

#[test]
fn a_secret_answer_is_in_no_view() {
    let house = House::new();
    let question = |id: &str, kind: &str| serde_json::json!({"id": id, "text": id, "type": kind, "required": true});
    house.template(
        "keeper",
        &serde_json::json!({
            "template_id": "keeper", "name": "Keeper", "description": "Has a secret", "version": "1.0.0",
            "form_schema": {"title": "t", "description": "d", "questions": [
                question("topic", "text_input"), {"id": "token", "text": "Token?", "type": "secret", "env": "KEEPER_TOKEN"}]},
            "agent_composition_rules": [{"role": "writer", "base_template": "generic", "prompt": "Write about {{answers.topic}}."}]
        }),
    );
    let mut command = house.command(["run", "keeper", "--no-input", "--preset", "simulated", "--set", "topic=otters", "--json"]);
    command.env("KEEPER_TOKEN", "quite-unguessable-words");
    crate::harness::finish(command).ends();
    house.meno(["rebuild"]).exits(0);
    assert!(files_with(&house.store(), "quite-unguessable-words").is_empty());
    assert!(!files_with(&house.store().join("log"), "otters").is_empty(), "and what is no secret is found, so the search works");
}

/// Tags that have no end.
const VOID: [&str; 2] = ["meta", "br"];

/// Says what is wrong with how tags are nested.
fn badly_nested(page: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for piece in page.split('<').skip(1) {
        let (tag, _) = piece.split_once('>')?;
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        match () {
            () if tag.starts_with('!') || VOID.contains(&name) || tag.ends_with('/') => {}
            () if tag.starts_with('/') => {
                if open.pop() != Some(name) {
                    return Some(format!("</{name}> ends what it did not begin"));
                }
            }
            () => open.push(name),
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} have no end"))
}

#[test]
fn the_report_draws_each_kind_of_run_and_money_by_itself() {
    let house = house_with_runs();
    let lines = (0..40u32).map(|number| {
        let (month, day) = (1 + number / 20, 1 + number % 20);
        let passed = number.is_multiple_of(2) || number < 20;
        let attempts = serde_json::json!([{"tier": "cheap", "model": "m<1>", "passed": passed, "cost_usd": 0.01 * f64::from(1 + number % 4),
            "failed_criteria": if passed { vec![] } else { vec!["no <b>bold</b> words"] }}]);
        let run = serde_json::json!({"run_id": format!("c-{number}"), "template_id": "t<1>",
            "started_at": format!("2026-{month:02}-{day:02}T10:00:00Z"),
            "status": if passed { "succeeded" } else { "failed" }, "agents": [{"role": "r&d", "attempts": attempts}]});
        format!("{run}\n")
    });
    fs::write(house.path("work/past.jsonl"), lines.collect::<String>()).expect("a file");
    house.meno(["import", "runs", "past.jsonl"]).exits(0);
    let report = |words: &[&str]| {
        let file = house.path("page.html");
        let file = file.to_str().expect("a text");
        house.meno([&["analytics", "--include-simulated", "--html", file], words].concat()).exits(0);
        fs::read_to_string(file).expect("the page")
    };
    let all = report(&[]);
    assert_eq!(badly_nested(&all), None);
    for heading in ["Imported runs", "Imported money: $1.00 imported", "Simulated money: $"] {
        assert!(all.contains(heading), "{heading}: {all}");
    }
    assert!(!all.contains("Real money"), "nothing was paid");
    // Each drawing is there for wide and for narrow pages.
    let drawings = all.matches("<svg class=\"chart\"").count();
    assert!(drawings >= 8 && drawings.is_multiple_of(2), "{drawings}");
    let one = report(&["t<1>"]);
    assert_eq!(badly_nested(&one), None);
    assert!(one.contains("Criteria by how often they catch") && one.contains("no &lt;b&gt;bold&lt;/b&gt; words"), "{one}");
    assert!(one.contains("attempts that passed") && one.contains("class=\"change\""), "tiers and the change are drawn: {one}");
    assert!(!one.contains("Simulated money"), "another template's costs are not this one's");
    assert!(!one.contains("NaN") && !one.contains("<b>") && !one.contains("http"), "{one}");
}

#[test]
fn costs_of_one_part_are_asked_for_by_its_value() {
    let house = house_with_runs();
    let whole = json(&house, &["costs", "--by", "tier"]);
    for row in whole["rows"].as_array().expect("rows") {
        let tier = row["key"]["tier"].as_str().expect("a tier");
        let part = json(&house, &["costs", "--by", "role", "--where", &format!("tier={tier}"), "--where", "label.team=core"]);
        assert_eq!(sum(&part["rows"], "cost_nusd"), row["cost_nusd"].as_u64().expect("a number"), "{tier}");
        assert_eq!(part["where"]["tier"], tier);
    }
    let none = json(&house, &["costs", "--where", "template=another"]);
    assert_eq!(none["rows"].as_array().map(Vec::len), Some(0));
    assert!(house.meno(["costs", "--where", "tier"]).exits(2).stderr.contains("template=release_prep"));
}

#[test]
fn how_often_a_criterion_holds_of_which_only_failures_are_told_is_not_known() {
    let house = House::new();
    let lines: Vec<String> = (0..20)
        .map(|number| {
            let (passed, failed) = if number < 15 { (false, vec!["has tests"]) } else { (true, Vec::new()) };
            let attempt = serde_json::json!({"tier": "cheap", "passed": passed, "failed_criteria": failed});
            serde_json::json!({"run_id": number.to_string(), "template_id": "sweep", "started_at": "2026-06-01T10:00:00Z",
                "agents": [{"role": "worker", "attempts": [attempt]}]})
            .to_string()
        })
        .collect();
    fs::write(house.path("runs.jsonl"), lines.join("\n")).expect("written");
    house.meno(["import", "runs", house.path("runs.jsonl").to_str().expect("a text")]).exits(0);
    let report = json(&house, &["analytics", "sweep"]);
    let line = &report["template"]["criteria"][0];
    assert_eq!((&line["failed"], &line["failures_only"], &line["pass"]), (&15.into(), &true.into(), &Value::Null), "{report:#}");
}
