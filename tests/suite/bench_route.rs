//! `bench route` on a table whose right answer is known, and on files that are no tables.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::harness::House;

/// 240 tasks of three kinds. Questions about food: the small model does them. Short requests for verse: only the large one does.
/// Long requests for proofs: nobody does. So the longest prompts gain nothing from the large model. A third model is dearer than
/// the large one, and worse.
fn table() -> String {
    let foods = ["bread", "soup", "rice", "cheese", "salad", "pasta", "beans", "stew"];
    let moods = ["the sea", "an old tree", "winter", "a lost key", "the moon", "a river", "rain", "my father"];
    let objects = ["prime numbers", "triangles", "graphs", "groups", "sequences", "matrices", "sets", "polynomials"];
    let mut lines = String::new();
    for index in 0..240usize {
        let pick = |words: [&'static str; 8]| words[index / 3 % 8];
        let (text, small, large) = match index % 3 {
            0 => (format!("How long should I cook {} for {} hungry people tonight?", pick(foods), index % 7 + 2), true, true),
            1 => (format!("Write a sonnet about {} number {index}.", pick(moods)), false, true),
            _ => (
                format!(
                    "Prove rigorously, stating every lemma that you use, that the following open conjecture about {} holds for all \
                     cases above {index}, and that no weaker hypothesis would suffice for the result.",
                    pick(objects)
                ),
                false,
                false,
            ),
        };
        // A twentieth of the outcomes is not as it should be.
        let odd = index % 20 == 19;
        let outcome = |correct: bool, cost: f64| json!({"correct": correct != odd, "cost_usd": cost});
        let models = json!({"small": outcome(small, 0.001), "large": outcome(large, 0.02), "vain": outcome(small, 0.03)});
        writeln!(lines, "{}", json!({"id": index, "text": text, "models": models})).expect("a line");
    }
    lines
}

fn measure(house: &House, more: &[&str]) -> Value {
    let mut args = vec!["bench", "route", "table.jsonl", "--splits", "4", "--history", "160", "--test", "80", "--json"];
    args.extend(more);
    let done = house.meno(args).exits(0);
    serde_json::from_str(&done.stdout).expect("a document")
}

fn router<'a>(chain: &'a Value, name: &str) -> &'a Value {
    let routers = chain["routers"].as_array().expect("routers");
    routers.iter().find(|router| router["router"] == name).expect("a router")
}

#[test]
fn benefit_finds_the_tasks_that_gain_where_length_and_chance_do_not() {
    let house = House::new();
    fs::write(house.path("work/table.jsonl"), table()).expect("a file");
    let report = measure(&house, &["--weak", "small", "--strong", "large"]);
    let chain = &report["chains"][0];
    let apgr = |name: &str| router(chain, name)["apgr"].as_f64().expect("a number");

    assert!((apgr("random") - 0.5).abs() < 1e-9, "chance is one half: {}", apgr("random"));
    assert!(apgr("benefit") > 0.7, "benefit {}", apgr("benefit"));
    assert!(apgr("benefit") > apgr("length") + 0.2, "benefit {} length {}", apgr("benefit"), apgr("length"));
    assert!(apgr("benefit") > apgr("fail") + 0.1, "benefit {} fail {}", apgr("benefit"), apgr("fail"));
    assert!(apgr("oracle") >= apgr("benefit"));

    for bin in chain["benefit_calibration"].as_array().expect("bins") {
        let (expected, observed) = (bin["expected"].as_f64().expect("a number"), bin["observed"].as_f64().expect("a number"));
        let count = bin["count"].as_u64().expect("a count");
        assert!(count < 30 || (expected - observed).abs() < 0.15, "{bin}");
    }
    let models = report["models"].as_array().expect("models");
    let vain = models.iter().find(|model| model["model"] == "vain").expect("the third model");
    assert!(vain["dominated_by"].is_string(), "{vain}");
    let change = &report["adaptive_over_progressive"];
    assert!(change["cost"].as_f64().expect("a number") <= 0.01, "{change}");
    assert!(change["quality"].as_f64().expect("a number") >= -0.03, "{change}");

    let again = measure(&house, &["--weak", "small", "--strong", "large"]);
    assert_eq!((&report["chains"], &report["strategies"]), (&again["chains"], &again["strategies"]), "a seed says it all");
}

#[test]
fn without_names_every_chain_is_measured_and_shown() {
    let house = House::new();
    fs::write(house.path("work/table.jsonl"), table()).expect("a file");
    let done = house.meno(["bench", "route", "table.jsonl", "--splits", "2"]).exits(0);
    for word in ["small (", "-> large (", "benefit", "oracle", "progressive", "adaptive", "dominated by", "CPT(80)"] {
        assert!(done.stdout.contains(word), "{word} is missing in\n{}", done.stdout);
    }
}

#[test]
fn a_file_that_is_no_table_is_refused_with_line_and_hint() {
    let house = House::new();
    let fine = table();
    let one_model = fine.lines().map(|line| {
        let mut task: Value = serde_json::from_str(line).expect("a task");
        task["models"] = json!({"small": task["models"]["small"]});
        format!("{task}\n")
    });
    let without_cost = fine.replacen("\"cost_usd\":0.02", "\"price\":0.02", 1);
    for (text, more, expected) in [
        (String::new(), "--splits=1", "the table is empty"),
        (format!("{fine}{{\"text\": "), "--splits=1", "line 241"),
        (one_model.collect(), "--splits=1", "only one model, `small`"),
        (without_cost, "--splits=1", "line 1: model `large` has no `cost_usd`"),
        ("text,a.correct,a.cost_usd\nx,1,NaN\n".to_owned(), "--splits=1", "line 2: the cost of model `a`"),
        (fine.clone(), "--weak=smal", "no model `smal`"),
        (fine.clone(), "--weak=large", "no chain fits"),
        (fine.clone(), "--history=240", "leaves 0 to measure on"),
        (fine.clone(), "--test=200", "to measure on"),
    ] {
        fs::write(house.path("work/table.jsonl"), &text).expect("a file");
        let done = house.meno(["bench", "route", "table.jsonl", more]).exits(1);
        assert!(done.stderr.contains(expected), "{expected}: {}", done.stderr);
        assert!(done.stderr.contains("hint: "), "{}", done.stderr);
    }
    let done = house.meno(["bench", "route", "nothing.jsonl"]).exits(1);
    assert!(done.stderr.contains("there is no file"), "{}", done.stderr);
}
