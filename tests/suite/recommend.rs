//! Advice from a history that was taken in: what is known, what is not, and lines that are no tasks.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::harness::House;

/// Ninety tasks as cheap-first runs leave them: lists the cheap tier makes, poems only the capable one, proofs nobody.
fn history() -> String {
    let mut lines = String::new();
    for index in 0..90u32 {
        let attempt = |tier: &str, passed: bool, cost: f64| json!({"tier": tier, "passed": passed, "cost_usd": cost});
        let (task, attempts) = match index % 3 {
            0 => (format!("List {} kinds of cheese", index % 9 + 2), vec![attempt("cheap", true, 0.001)]),
            1 => (
                format!("Write a poem about the moon and {index} stars"),
                vec![attempt("cheap", false, 0.001), attempt("capable", true, 0.01)],
            ),
            _ => (
                format!("Prove the open conjecture number {index} about primes, with all lemmas"),
                vec![attempt("cheap", false, 0.001), attempt("capable", false, 0.01)],
            ),
        };
        let run = json!({"run_id": format!("h-{index}"), "template_id": "errands", "started_at": "2026-10-01T09:00:00Z",
            "agents": [{"role": "worker", "task": task, "attempts": attempts}]});
        writeln!(lines, "{run}").expect("a line");
    }
    lines
}

fn advise(house: &House, tasks: &[Value]) -> Vec<Value> {
    let lines: String = tasks.iter().map(|task| format!("{task}\n")).collect();
    fs::write(house.path("work/tasks.jsonl"), lines).expect("a file");
    house.meno(["recommend", "--tasks", "tasks.jsonl"]).exits(0).lines()
}

#[test]
fn tasks_get_the_chances_that_their_history_shows() {
    let house = House::new();
    fs::write(house.path("work/history.jsonl"), history()).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    let task = |id: &str, role: &str, text: &str| json!({"id": id, "template_id": "errands", "role": role, "text": text});
    let lines = advise(
        &house,
        &[
            task("list", "worker", "List 7 kinds of cheese"),
            task("poem", "worker", "Write a poem about the moon and 200 stars"),
            task("proof", "worker", "Prove the open conjecture number 200 about primes, with all lemmas"),
            json!({"id": 4, "role": "stranger", "text": "List 3 kinds of bread"}),
        ],
    );
    assert_eq!(
        lines.iter().map(|line| line["id"].clone()).collect::<Vec<_>>(),
        [json!("list"), json!("poem"), json!("proof"), json!(4)]
    );
    let tier = |line: usize, tier: usize, field: &str| lines[line]["tiers"][tier][field].as_f64().expect("a number");
    for line in &lines {
        let tiers = line["tiers"].as_array().expect("tiers");
        assert_eq!(tiers.iter().map(|tier| &tier["tier"]).collect::<Vec<_>>(), ["cheap", "capable"], "only tiers with data");
        for tier in tiers {
            let number = |field: &str| tier[field].as_f64().expect("a number");
            assert!(number("low") <= number("p_pass") && number("p_pass") <= number("high"), "{tier}");
        }
        assert!(!line["evidence"].as_array().expect("runs").is_empty());
    }
    assert!(tier(0, 0, "p_pass") > tier(1, 0, "p_pass") + 0.3, "{lines:#?}");
    assert!(tier(1, 1, "benefit") > tier(0, 1, "benefit") + 0.3, "{lines:#?}");
    assert!(tier(1, 1, "benefit") > tier(2, 1, "benefit") + 0.3, "{lines:#?}");
    assert_eq!((tier(0, 0, "n"), tier(0, 1, "n"), tier(3, 0, "n")), (90.0, 60.0, 0.0));
    assert_eq!(lines[0]["start_tier"], "cheap");
}

#[test]
fn an_empty_history_says_that_it_does_not_know() {
    let house = House::new();
    let lines = advise(&house, &[json!({"id": 1, "role": "worker", "text": "anything"})]);
    assert_eq!(lines, [json!({"id": 1, "start_tier": null, "tiers": [], "evidence": []})]);
    assert!(!house.store().exists(), "asking makes no store");
}

#[test]
fn what_is_no_task_is_named_with_its_line() {
    let house = House::new();
    fs::write(house.path("work/tasks.jsonl"), "{\"id\": 1, \"role\": \"a\", \"text\": \"b\"}\n{\"id\": 2}\n").expect("a file");
    let done = house.meno(["recommend", "--tasks", "tasks.jsonl"]).exits(1);
    assert!(done.stderr.contains("line 2 is no task: missing field `text`") && done.stderr.contains("hint: "), "{}", done.stderr);
    assert!(done.stdout.is_empty(), "{}", done.stdout);
    house.meno(["recommend", "--tasks", "nothing.jsonl"]).exits(1);
}
