//! The first minutes with a folder of one's own: without a key the answers about it are true, what was left out of it has a name, and what
//! cannot work is said before anything is asked.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Done, House};

const PYTHON: &[(&str, &str)] = &[
    ("pyproject.toml", "[project]\nname = \"shop\"\nversion = \"0.3.1\"\n"),
    ("shop/config.py", "\"\"\"Settings.\"\"\"\n\nADMIN_PASSWORD = \"correct-horse\"\nDEBUG = True\n"),
    (
        "shop/db.py",
        "import sqlite3\n\n\ndef find_user(db, name):\n    return db.execute(f\"SELECT id FROM users WHERE name = '{name}'\")\n\n\n\
         def load(path, cache=[]):\n    try:\n        cache.append(open(path).read())\n    except:\n        pass\n    return cache\n\n\n\
         # TODO: close it\ndef connect():\n    return sqlite3.connect('shop.db')\n",
    ),
    ("tests/test_db.py", "from shop.db import load\n\n\ndef test_load():\n    assert load('missing') == []\n"),
    (".gitignore", "build/\n"),
    ("build/lib/shop.py", "x = 1\n"),
    (".env", "KEY=1\n"),
];

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", "[package]\nname = \"counter\"\nversion = \"0.1.0\"\n"),
    (
        "src/lib.rs",
        "/// Counts words.\npub fn count(text: &str) -> usize {\n    text.split(' ').count()\n}\n\npub fn read(path: &str) -> usize {\n    \
         // FIXME: large files\n    let text = std::fs::read_to_string(path).unwrap();\n    count(&text)\n}\n\n\
         #[cfg(test)]\nmod tests {\n    #[test]\n    fn counts() {\n        assert_eq!(super::count(\"a b\"), 2);\n        \
         std::fs::read(\"x\").unwrap();\n    }\n}\n",
    ),
];

fn project(house: &House, name: &str, files: &[(&str, &str)]) -> String {
    let root = house.path(name);
    for (file, text) in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    root.display().to_string()
}

/// Returns every `file:line` in a text whose file name has a dot in it.
fn places(text: &str) -> Vec<(String, usize)> {
    let is_end = |c: char| c.is_whitespace() || "`\"(),".contains(c);
    let place = |word: &str| {
        let (file, line) = word.trim_end_matches(['.', ':']).rsplit_once(':')?;
        Some((file.to_owned(), line.parse().ok()?)).filter(|_| file.contains('.') && !file.contains("//"))
    };
    text.split(is_end).filter_map(place).collect()
}

/// Checks that every place that a passed attempt names is in the project.
fn assert_true_places(run: &Value, root: &Path) {
    let mut checked = 0;
    for agent in run["agents"].as_array().expect("agents").iter().filter(|agent| agent["status"] == "succeeded") {
        for (file, line) in places(agent["output"].as_str().expect("an output")) {
            let text = fs::read_to_string(root.join(&file)).unwrap_or_else(|why| panic!("{file}: {why}"));
            assert!((1..=text.lines().count()).contains(&line), "{}: {file}:{line}", agent["role"]);
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} places");
}

fn run(house: &House, template: &str, root: &str, seed: u32) -> Value {
    let (input, seed) = (format!("source={root}"), seed.to_string());
    let done = house.meno(["run", template, "--no-input", "--preset", "simulated", "--input", &input, "--seed", &seed, "--json"]);
    done.run()
}

fn outputs(run: &Value) -> String {
    let agents = run["agents"].as_array().expect("agents").iter();
    agents.filter(|agent| agent["status"] == "succeeded").filter_map(|agent| agent["output"].as_str()).collect()
}

#[test]
fn one_command_says_what_is_wrong_with_a_python_project() {
    let house = House::new();
    let root = project(&house, "shop", PYTHON);
    for seed in 1..4 {
        let run = run(&house, "security_audit", &root, seed);
        let said = outputs(&run);
        for place in ["shop/config.py:3", "shop/db.py:5"] {
            assert!(said.contains(place), "seed {seed}: {place} is missing");
        }
        assert!(!said.contains("correct-horse"), "a secret is repeated");
        assert!(!said.contains("build/lib"), "an ignored file is named");
        assert!(said.contains("\"material\": \"given\"") && !said.contains("\"material\": \"missing\""), "{said}");
        assert!(said.contains("no model was called"));
        assert_true_places(&run, Path::new(&root));
    }
    let report = house.meno(["report", "last"]).exits(0).stdout;
    assert!(report.contains("Simulated") && report.contains("shop/db.py:5"), "{report}");
}

#[test]
fn one_command_says_what_is_wrong_with_a_rust_project() {
    let house = House::new();
    let root = project(&house, "counter", RUST);
    let run = run(&house, "code_refactoring", &root, 2);
    let said = outputs(&run);
    assert!(said.contains("src/lib.rs:8") && said.contains("src/lib.rs:7"), "{said}");
    assert!(!said.contains("src/lib.rs:17"), "a test may panic");
    assert_true_places(&run, Path::new(&root));
}

#[test]
fn the_decision_follows_from_what_the_others_said() {
    let house = House::new();
    let bad = project(&house, "shop", PYTHON);
    let clean = project(
        &house,
        "clean",
        &[("a.py", "\"\"\"Adds.\"\"\"\n\n\ndef add(a: int, b: int) -> int:\n    \"\"\"Adds.\"\"\"\n    return a + b\n")],
    );
    let decision = |run: &Value| {
        let agents = run["agents"].as_array().expect("agents").clone();
        let agent = agents.into_iter().find(|agent| agent["role"] == "release_manager").expect("it decides");
        let output = agent["output"].as_str().unwrap_or_default().to_owned();
        ["No go.", "Go with conditions.", "Go."]
            .into_iter()
            .find(|words| output.contains(words))
            .map(|words| (words, output.clone()))
    };
    let mut seen = 0;
    for seed in 1..5 {
        if let Some((words, output)) = decision(&run(&house, "release_prep", &bad, seed)) {
            assert_eq!(words, "No go.", "{output}");
            assert!(output.contains("shop/config.py:3"), "{output}");
            seen += 1;
        }
        if let Some((words, output)) = decision(&run(&house, "release_prep", &clean, seed)) {
            assert_eq!(words, "Go with conditions.", "{output}");
            seen += 1;
        }
    }
    assert!(seen > 4, "only {seen} runs decided");
}

#[test]
fn what_was_left_out_has_a_name_everywhere() {
    let house = House::new();
    let root = project(&house, "shop", PYTHON);
    let input = format!("source={root}");
    let base = ["run", "security_audit", "--no-input", "--preset", "simulated", "--input", &input];
    let words = "left out: 1 ignored (build/), 1 hidden (.gitignore), 1 secret by name (.env)";
    let dry = house.meno(base.into_iter().chain(["--dry-run"])).exits(0).stdout;
    assert!(dry.contains(words), "{dry}");
    assert!(dry.contains("the same `source` goes to 5 agents") && dry.contains(" tokens, $"), "{dry}");
    let document: Value =
        serde_json::from_str(&house.meno(base.into_iter().chain(["--dry-run", "--json"])).exits(0).stdout).expect("JSON");
    let attached = &document["inputs"][0];
    assert_eq!((&attached["files"], &attached["agents"]), (&json!(4), &json!(5)));
    assert_eq!(attached["left_out_by"], json!({"ignored": 1, "hidden": 1, "secret": 1}));
    assert!(attached["cost_nusd"].as_u64().is_some_and(|cost| cost > 0), "{attached}");
    let done = house.meno(base);
    assert!(done.stderr.contains(words), "{}", done.stderr);
    let shown = house.meno(["show-run", "last"]).exits(0).stdout;
    for line in ["ignored: build/", "hidden: .gitignore", "secret by name: .env"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let shown: Value = serde_json::from_str(&house.meno(["show-run", "last", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(shown["inputs"][0]["left_out_by"], json!({"ignored": 1, "hidden": 1, "secret": 1}));
    assert_eq!(shown["inputs"][0]["omission_rules"], json!(["secret", "hidden", "ignored"]));
}

fn assert_refused(house: &House, done: Done, words: &str) {
    let done = done.exits(1);
    assert!(done.stderr.contains(words), "{}", done.stderr);
    let runs: Value = serde_json::from_str(&house.meno(["list-runs", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(runs["total"], 0, "a run was stored");
}

#[test]
fn material_above_every_window_is_refused_before_anything_is_asked() {
    let house = House::new();
    let tier = |name: &str, window: u32| {
        format!("[tiers.{name}]\nprovider = \"simulated\"\nmodel = \"m-{name}\"\ncontext_tokens = {window}\n")
    };
    house.configure(&(tier("cheap", 2000) + &tier("capable", 3000) + &tier("premium", 2500)));
    let root = project(&house, "shop", &[("a.txt", &"many words in a row ".repeat(1000))]);
    let input = format!("source={root}");
    let base = ["run", "security_audit", "--no-input", "--input", &input];
    assert_refused(&house, house.meno(base), "tokens, and the largest window that it may use");
    assert_refused(&house, house.meno(base.into_iter().chain(["--dry-run"])), "has 2500");
}

#[test]
fn a_prompt_above_a_tiers_window_goes_to_the_tier_that_holds_it_and_is_sent_nowhere_else() {
    let house = House::new();
    let tier = |name: &str, window: u32| {
        format!("[tiers.{name}]\nprovider = \"simulated\"\nmodel = \"m-{name}\"\ncontext_tokens = {window}\n")
    };
    house.configure(&(tier("cheap", 500) + &tier("capable", 600) + &tier("premium", 100_000)));
    let agent = json!({"role": "reader", "base_template": "generic", "tier_strategy": "progressive", "prompt": "Read.\n\n{{inputs.source}}"});
    house.template(
        "reading",
        &json!({"template_id": "reading", "name": "Reading", "description": "One agent", "version": "1.0.0",
            "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
            "form_schema": {"title": "Reading", "description": "Nothing to ask", "questions": []},
            "inputs": [{"id": "source", "description": "What is read", "kind": "dir", "required": true}],
            "agent_composition_rules": [agent]}),
    );
    let root = project(&house, "text", &[("a.txt", &"many words in a row ".repeat(500))]);
    let input = format!("source={root}");
    let done = house.meno(["run", "reading", "--no-input", "--input", &input, "--json"]).exits(0);
    let events = done.events();
    let of =
        |kind: &str| events.iter().filter(|event| event["kind"] == kind).map(|event| event["data"].clone()).collect::<Vec<_>>();
    let climbs = of("TierEscalated");
    assert_eq!(climbs.len(), 1, "{climbs:?}");
    assert_eq!(
        (&climbs[0]["from"], &climbs[0]["to"], &climbs[0]["reason"]),
        (&json!("cheap"), &json!("premium"), &json!("context_overflow"))
    );
    let models: Vec<Value> = of("CallStarted").into_iter().map(|call| call["model"].clone()).collect();
    assert_eq!(models, ["m-premium"]);
    house.meno(["audit", "last"]).exits(0);
    house.meno(["replay", "last"]).exits(0);
}

#[test]
fn a_real_run_without_the_material_that_it_needs_is_refused_where_nobody_can_be_asked() {
    let house = House::new();
    let mut command = house.command(["run", "security_audit", "--no-input", "--preset", "anthropic"]);
    command.env("ANTHROPIC_API_KEY", "sk-ant-of-a-test-and-never-sent");
    assert_refused(&house, crate::harness::finish(command), "--input source=PATH");
}

#[test]
fn a_simulated_run_without_material_says_so_before_it_starts_and_finds_nothing() {
    let house = House::new();
    let done = house.meno(["run", "security_audit", "--no-input", "--preset", "simulated", "--seed", "1"]);
    assert!(done.stderr.contains("can only say that it is missing: `--input source=PATH`"), "{}", done.stderr);
    let run: Value = serde_json::from_str(&house.meno(["show-run", "last", "--json"]).exits(0).stdout).expect("JSON");
    let said = outputs(&run);
    assert!(said.contains("\"material\": \"missing\"") && !said.contains("\"material\": \"given\""), "{said}");
    assert!(!said.contains("**high**") && !said.contains("\"severity\""), "{said}");
}
