//! Advice from a history that was taken in: what is known, what is not, and lines that are no tasks.

use std::fmt::Write as _;
use std::fs;

use meno::internals::memory::Chance;
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

/// Runs of a template that ships, whose agent the cheap tier hardly ever satisfies.
fn hard_history() -> String {
    let mut lines = String::new();
    for index in 0..40u32 {
        let attempt =
            |tier: &str, passed: bool, cost: f64| json!({"tier": tier, "passed": passed, "cost_usd": cost, "duration_ms": 900});
        let mut attempts = vec![attempt("cheap", index == 0, 0.004)];
        if index > 0 {
            attempts.push(attempt("capable", index % 20 != 1, 0.01));
        }
        let status = if index % 20 == 1 { "failed" } else { "succeeded" };
        let agents = json!([{"role": "worker", "task": "sort the errands", "status": status, "attempts": attempts}]);
        let answers = json!({"mood": if index % 20 == 1 { "bad" } else { "good" }});
        let run = json!({"run_id": format!("hard-{index}"), "template_id": "errands", "started_at": "2026-10-01T09:00:00Z",
            "ended_at": "2026-10-01T09:00:30Z", "status": status, "answers": answers, "agents": agents});
        writeln!(lines, "{run}").expect("a line");
    }
    lines
}

fn errands() -> Value {
    json!({
        "template_id": "errands", "name": "Errands", "description": "Sorts errands", "version": "1.0.0",
        "form_schema": {"title": "t", "description": "d", "questions": [
            {"id": "mood", "text": "Which mood?", "type": "single_select", "options": ["good", "bad"], "default": "good"}]},
        "agent_composition_rules": [{"role": "worker", "base_template": "generic", "config": {"prompt": "sort"},
            "prompt": "Sort these errands for a {{answers.mood}} day.", "success_criteria": [{"name": "says something", "type": "regex", "pattern": "."}]}]
    })
}

#[test]
fn a_template_is_advised_on_from_its_history_and_adaptive_agents_start_there() {
    let house = House::new();
    let file = house.path("errands.json");
    fs::write(&file, errands().to_string()).expect("a template");
    let checked = house.meno(["validate-template", file.to_str().expect("a text")]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    house.meno(["template", "add", file.to_str().expect("a text")]).exits(0);
    let nothing: Value = serde_json::from_str(&house.meno(["recommend", "errands", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!((&nothing["success"], &nothing["agents"][0]["start_tier"]), (&Value::Null, &Value::Null), "{nothing}");

    fs::write(house.path("work/history.jsonl"), hard_history()).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    let done = house.meno(["recommend", "errands", "--json"]).exits(0);
    let advice: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(advice["n_similar"], 40);
    assert!((advice["success"]["p"].as_f64().expect("a share") - 0.95).abs() < 1e-9, "{advice}");
    assert_eq!(advice["cost_nusd"]["p50"], 14_000_000, "cheap and capable together");
    assert_eq!(advice["duration_ms"]["p50"], 30_000);
    let worker = &advice["agents"][0];
    assert_eq!(worker["start_tier"], "capable", "{worker}");
    let tier = |at: usize, field: &str| worker["tiers"][at][field].as_f64().expect("a number");
    assert!(tier(0, "p_pass") < 0.2 && tier(1, "benefit") > 0.7 && tier(1, "expected_cost_nusd") < tier(0, "expected_cost_nusd"));
    assert_eq!(advice["answers"][0]["value"], "good");
    let shown = house.journal().iter().filter(|recorded| recorded.event.name() == "RecommendationShown").count();
    assert_eq!(shown, 1, "advice that was given is an event; where there was none, nothing is");
    assert!(house.meno(["recommend", "errands"]).exits(0).stdout.contains("capable"));
    assert!(house.meno(["recommend", "erands"]).exits(1).stderr.contains("did you mean `errands`"));

    // The simulation learns from real histories and its own; a plain run still starts at the strategy's first tier.
    let start = |strategy: &str| {
        let run = house.meno(["run", "errands", "--no-input", "--json", "--strategy", strategy]).ends();
        let chosen = run.events().into_iter().find(|event| event["kind"] == "StartTierChosen").expect("a choice");
        (chosen["data"]["tier"].clone(), chosen["data"]["by"].clone(), chosen["data"]["evidence"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(start("progressive"), (json!("cheap"), json!("strategy"), 0));
    let (tier, by, evidence) = start("adaptive");
    assert_eq!((tier, by), (json!("capable"), json!("history")));
    assert!(evidence > 0);
    let both: Value =
        serde_json::from_str(&house.meno(["recommend", "errands", "--include-simulated", "--json"]).exits(0).stdout)
            .expect("JSON");
    assert_eq!(both["cost_nusd"]["p50"], 14_000_000, "simulated money is not put to imported money");
    assert!(both["warnings"].to_string().contains("other kinds of money are left out"), "{}", both["warnings"]);
    let preview = house.meno(["run", "errands", "--no-input", "--dry-run", "--strategy", "adaptive"]).exits(0);
    assert!(preview.stdout.contains("capable"), "{}", preview.stdout);
}

#[test]
fn a_backtest_uses_what_was_recorded_and_says_what_was_not() {
    let house = House::new();
    fs::write(house.path("work/history.jsonl"), history()).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    let report = |args: &[&str]| -> Value {
        let done = house.meno([&["backtest", "--json", "--strategy"], args].concat()).exits(0);
        serde_json::from_str(&done.stdout).expect("a document")
    };
    let asked = report(&["cheap_only,progressive,capable_first,adaptive"]);
    assert_eq!((&asked["runs"], &asked["tasks"], &asked["money"]), (&json!(90), &json!(90), &json!("imported")));
    let policies = asked["policies"].as_array().expect("policies");
    let [record, cheap, progressive, capable, adaptive] = &policies[..] else { panic!("{asked}") };
    let close = |number: &Value, wanted: f64| (number.as_f64().expect("a number") - wanted).abs() < 1e-6;
    assert!(record["strategy"].is_null() && close(&record["success"]["value"], 2.0 / 3.0), "{record}");
    // A third passes at the cheap tier, for a tenth of a cent each.
    assert!(close(&cheap["success"]["value"], 1.0 / 3.0) && close(&cheap["cost_nusd"]["value"], 1e6), "{cheap}");
    assert!(close(&cheap["success_gain"]["value"], -1.0 / 3.0) && cheap["unknown"] == 0, "{cheap}");
    assert!(cheap["success"]["low"].as_f64() < cheap["success"]["value"].as_f64(), "{cheap}");
    // Proofs failed at both tiers, and nobody knows what the premium tier would have made of them.
    assert_eq!((&progressive["unknown"], &progressive["unknown_at"]), (&json!(30), &json!({"premium": 30})));
    assert!(close(&progressive["success_bounds"]["low"], 2.0 / 3.0) && close(&progressive["success_bounds"]["high"], 1.0));
    assert_eq!(capable["unknown_at"], json!({"capable": 30, "premium": 30}));
    assert_eq!(capable["told_more"], 30, "poems were tried again after a failure");
    assert!(adaptive["known"].as_u64().expect("a number") >= 60, "{adaptive}");
    assert_eq!(report(&["cheap_only"])["policies"][1], *cheap, "the same record gives the same report");

    let few = report(&["cheap_only", "--runs", "template:errands escalations:0"]);
    assert_eq!((&few["runs"], &few["policies"][1]["success"]["value"]), (&json!(30), &json!(1.0)), "{few}");
    assert!(few["understood"].as_str().expect("words").contains("errands"), "{few}");
    let done = house.meno(["backtest", "--strategy", "cheap_only", "--runs", "moonlight sonata"]);
    assert!(done.exits(1).stderr.contains("filters nothing"));
}

#[test]
fn what_if_says_agent_by_agent_what_one_run_tells() {
    let house = House::new();
    fs::write(house.path("work/history.jsonl"), history()).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    let runs: Value = serde_json::from_str(&house.meno(["list-runs", "--json"]).exits(0).stdout).expect("a document");
    let id =
        runs["runs"].as_array().expect("runs").iter().find(|run| run["escalations"] == 1).expect("a climb")["run_id"].clone();
    let id = id.as_str().expect("an id");
    let done = house.meno(["whatif", id, "--strategy", "cheap_only,premium_only", "--json"]).exits(0);
    let told: Value = serde_json::from_str(&done.stdout).expect("a document");
    assert_eq!(told["recorded_cost_nusd"], 11_000_000);
    let [cheap, premium] = &told["strategies"].as_array().expect("strategies")[..] else { panic!("{told}") };
    assert_eq!((&cheap["agents"][0]["outcome"], &cheap["cost_nusd"]), (&json!("failed"), &json!(1_000_000)));
    assert_eq!((&premium["agents"][0]["outcome"], &premium["agents"][0]["unknown_at"]), (&json!("unknown"), &json!("premium")));
    assert!(premium["cost_nusd"].is_null() && premium["unknown_share"] == 1.0, "{premium}");
    let shown = house.meno(["whatif", id, "--strategy", "premium_only"]).exits(0).stdout;
    assert!(shown.contains("never tried at premium"), "{shown}");
    // The capable attempt was told why the cheap one had failed.
    let done = house.meno(["whatif", id, "--strategy", "capable_first", "--json"]).exits(0);
    let told: Value = serde_json::from_str(&done.stdout).expect("a document");
    let agent = &told["strategies"][0]["agents"][0];
    assert_eq!(
        (&agent["outcome"], &agent["told_more"], &cheap["agents"][0]["told_more"]),
        (&json!("passed"), &json!(true), &json!(false))
    );
    assert!(house.meno(["whatif", id, "--strategy", "capable_first"]).exits(0).stdout.contains("passed, after failures"));
}

#[test]
fn advice_looks_at_runs_whose_texts_mean_the_same() {
    let house = House::new();
    let mut lines = String::new();
    for index in 0..60u32 {
        let (topic, passed) = match index % 2 {
            0 => (format!("a short rhyme about the night sky, number {index}"), true),
            _ => (format!("filing the yearly corporate tax return, case {index}"), false),
        };
        let run = json!({"run_id": format!("h-{index}"), "template_id": "errands", "started_at": "2026-10-01T09:00:00Z",
            "status": if passed { "succeeded" } else { "failed" }, "answers": {"topic": topic},
            "agents": [{"role": "worker", "task": format!("Write about {topic}"),
                "attempts": [{"tier": "cheap", "passed": passed, "cost_usd": 0.001}]}]});
        writeln!(lines, "{run}").expect("a line");
    }
    fs::write(house.path("work/history.jsonl"), lines).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    house.meno(["reindex"]).exits(0);
    let success = |topic: &str| -> f64 {
        let set = format!("topic={topic}");
        let done = house.meno(["recommend", "errands", "--set", &set, "--json"]).exits(0);
        let advice: Value = serde_json::from_str(&done.stdout).expect("a document");
        assert_eq!(advice["n_similar"], 20, "twice the minimum sample: {advice}");
        advice["success"]["p"].as_f64().expect("a chance")
    };
    assert!(success("some verses on the moon and the stars") > 0.9);
    assert!(success("how a company reports its income to the revenue office") < 0.1);
}

/// Tasks of four roles, cheap first as a store records them, and what each tier really passes of all of them, by role. What is hard for
/// one tier is mostly hard for the others; the premium tier is no better than the capable one.
fn hidden_truth(tasks: u32) -> (String, [[f64; 3]; 4]) {
    let mut chance = Chance::new(11);
    let (mut lines, mut passes) = (String::new(), [[0.0; 3]; 4]);
    for index in 0..tasks {
        let role = (index % 4) as usize;
        let hardness = chance.unit() + chance.unit() - 1.0 + (role as f64 - 1.5) * 0.2;
        let outcomes = [-0.1, 0.15, 0.15].map(|skill| skill + (chance.unit() + chance.unit() - 1.0) * 0.8 > hardness);
        outcomes
            .iter()
            .zip(&mut passes[role])
            .for_each(|(passed, sum)| *sum += f64::from(u8::from(*passed)) * 4.0 / f64::from(tasks));
        let mut attempts = Vec::new();
        for (tier, (passed, cost)) in ["cheap", "capable", "premium"].iter().zip(outcomes.iter().zip([0.001, 0.004, 0.016])) {
            attempts.push(json!({"tier": tier, "passed": passed, "cost_usd": cost}));
            if *passed {
                break;
            }
        }
        let run = json!({"run_id": format!("q-{index}"), "template_id": "quiz", "started_at": "2026-10-01T09:00:00Z",
            "agents": [{"role": format!("role{role}"), "task": format!("Answer question {index}"), "attempts": attempts}]});
        writeln!(lines, "{run}").expect("a line");
    }
    (lines, passes)
}

#[test]
fn what_was_tried_after_failures_alone_is_said_to_be_so_and_its_interval_holds_the_truth() {
    let house = House::new();
    let (lines, truth) = hidden_truth(800);
    fs::write(house.path("work/history.jsonl"), lines).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    let advice: Value = serde_json::from_str(&house.meno(["recommend", "quiz", "--json"]).exits(0).stdout).expect("JSON");
    let tasks: Vec<Value> = (0..4)
        .map(|role| json!({"id": role, "template_id": "quiz", "role": format!("role{role}"), "text": "Answer question 7"}))
        .collect();
    let of_tasks = advise(&house, &tasks);
    for (role, truth) in truth.iter().enumerate() {
        let agent = advice["agents"].as_array().expect("agents").iter().find(|agent| agent["role"] == format!("role{role}"));
        for tiers in [&agent.expect("the role")["tiers"], &of_tasks[role]["tiers"]] {
            for (tier, truth) in tiers.as_array().expect("tiers").iter().zip(truth) {
                let number = |field: &str| tier[field].as_f64().expect("a number");
                assert!(number("low") <= *truth && *truth <= number("high"), "{role} {truth} {tier}");
                assert!(number("high") - number("low") < 0.8, "{tier}");
                assert!(tier["bounds"]["low"].as_f64() <= Some(number("low") + 1e-9), "{tier}");
            }
            assert_eq!(tiers[0]["basis"], "first_attempts");
            assert_eq!((&tiers[2]["basis"], &tiers[2]["n_first_attempts"]), (&json!("after_failure"), &json!(0)));
            assert!(tiers[2]["p_pass_after_failure"].as_f64() < tiers[2]["p_pass"].as_f64(), "{tiers}");
        }
    }
    let words = house.meno(["recommend", "quiz"]).exits(0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("attempts) after a failure, of first attempts an estimated"), "{words}");
    let shown = house.meno(["analytics", "quiz"]).exits(0).stdout;
    assert!(shown.contains("first attempts passed") && shown.contains("passed after a failure"), "{shown}");
    let report: Value = serde_json::from_str(&house.meno(["analytics", "quiz", "--json"]).exits(0).stdout).expect("JSON");
    let tiers = report["template"]["tiers"].as_array().expect("tiers");
    let premium = tiers.iter().find(|line| line["tier"] == "premium").expect("the tier");
    assert!(premium["pass_first"].is_null() && premium["pass_after_failure"]["n"].as_u64() > Some(20), "{premium}");
}

#[test]
fn what_has_always_passed_is_nowhere_said_to_be_certain() {
    let house = House::new();
    let mut lines = String::new();
    for index in 0..366u32 {
        let run = json!({"run_id": format!("s-{index}"), "template_id": "sure", "started_at": "2026-10-01T09:00:00Z", "status": "succeeded",
            "agents": [{"role": "worker", "task": format!("Count to {index}"), "attempts": [{"tier": "cheap", "passed": true, "cost_usd": 0.001}]}]});
        writeln!(lines, "{run}").expect("a line");
    }
    fs::write(house.path("work/history.jsonl"), lines).expect("a file");
    house.meno(["import", "runs", "history.jsonl"]).exits(0);
    let low = |tier: &Value| (tier["low"].as_f64().expect("a number"), tier["high"].as_f64().expect("a number"));
    let advice: Value = serde_json::from_str(&house.meno(["recommend", "sure", "--json"]).exits(0).stdout).expect("JSON");
    let task = json!({"id": 1, "template_id": "sure", "role": "worker", "text": "Count to 12"});
    let backtest = house.meno(["backtest", "--strategy", "cheap_only", "--json"]).exits(0).stdout;
    let backtest: Value = serde_json::from_str(&backtest).expect("JSON");
    for (low, high) in [
        low(&advice["agents"][0]["tiers"][0]),
        low(&advise(&house, &[task])[0]["tiers"][0]),
        low(&backtest["policies"][1]["success"]),
        low(&backtest["policies"][1]["success_gain"]),
    ] {
        assert!(low < high - 0.005, "{low} {high}");
    }
    assert!(backtest["policies"][1]["cost_nusd"]["low"].is_null(), "what always cost the same has no interval: {backtest}");
    for args in [&["recommend", "sure"][..], &["analytics", "sure"], &["backtest", "--strategy", "cheap_only"]] {
        let shown = house.meno(args).exits(0).stdout;
        assert!(!shown.contains("(100 to 100") && !shown.contains("(100–100") && shown.contains("(99"), "{shown}");
    }
}

#[test]
fn advice_looks_at_runs_whose_inputs_are_the_same_or_like_those_that_will_be_given() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nmin_sample = 3\n");
    let mut template = errands();
    template["inputs"] = json!([{"id": "source", "kind": "file", "description": "what to sort", "required": false}]);
    fs::write(house.path("errands.json"), template.to_string()).expect("a template");
    house.meno(["template", "add", house.path("errands.json").to_str().expect("a text")]).exits(0);
    let dates = "Parse the date before the time zone, then the offset; reject what is neither, and name the line it was on.";
    let poems = "Verses about rivers and the moon, collected by a sailor who never learned to swim in any of them.";
    for (name, text) in [("dates", dates), ("poems", poems)] {
        fs::write(house.path(&format!("work/{name}.txt")), text).expect("a file");
        for _ in 0..3 {
            let input = format!("source={name}.txt");
            house.meno(["run", "errands", "--no-input", "--json", "--input", &input]).ends();
        }
    }
    fs::write(house.path("work/edited.txt"), dates.replace("the line", "the column")).expect("a file");
    let ask = |input: &str| -> Value {
        let input = format!("source={input}");
        let done = house.meno(["recommend", "errands", "--include-simulated", "--json", "--input", &input]).exits(0);
        serde_json::from_str(&done.stdout).expect("a document")
    };
    let runs: Value = serde_json::from_str(&house.meno(["list-runs", "--json"]).exits(0).stdout).expect("a document");
    let ids: Vec<&str> = runs["runs"].as_array().expect("runs").iter().filter_map(|run| run["run_id"].as_str()).collect();
    // The newest first: three of poems, three of dates.
    let (poems, dates) = ids.split_at(3);
    for (input, wanted, same, alike) in [("dates.txt", dates, 3, 0), ("edited.txt", dates, 0, 3), ("poems.txt", poems, 3, 0)] {
        let advice = ask(input);
        assert_eq!(advice["n_similar"], 3, "{input}: {advice}");
        assert_eq!(advice["evidence"], json!(wanted), "{input}");
        assert_eq!(advice["inputs"], json!([{"input": "source", "same": same, "alike": alike}]), "{input}");
    }
    let all: Value = serde_json::from_str(&house.meno(["recommend", "errands", "--include-simulated", "--json"]).exits(0).stdout)
        .expect("JSON");
    assert_eq!((&all["n_similar"], &all["inputs"]), (&json!(6), &json!([])));
    let wrong = house.meno(["recommend", "errands", "--input", "nothing=x"]).exits(1).stderr;
    assert!(wrong.contains("input `nothing`"), "{wrong}");

    // A run that is only looked at says the same.
    let dry = house.meno(["run", "errands", "--no-input", "--dry-run", "--json", "--input", "source=edited.txt"]).exits(0);
    let dry: Value = serde_json::from_str(&dry.stdout).expect("a document");
    assert_eq!((&dry["past"]["n_similar"], &dry["past"]["inputs"][0]["alike"]), (&json!(3), &json!(3)), "{dry}");
    let shown = house.meno(["run", "errands", "--no-input", "--dry-run", "--input", "source=dates.txt"]).exits(0).stdout;
    assert!(shown.contains("3 past runs like this") && shown.contains("3 had the same"), "{shown}");
}
