mod questions;
mod rules;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PEER: &str = include_str!("../../../../tests/data/peer/template_exported_by_4.2.0.json");

fn bases() -> BTreeMap<String, BaseAgent> {
    let base = json!({"id": "generic", "aliases": ["generic_agent"], "description": "", "instructions": "x"});
    [("generic".to_owned(), serde_json::from_value(base).expect("a base agent"))].into()
}

fn check_text(text: &str, stem: Option<&str>) -> Checked<Template> {
    let bases = bases();
    parse(text, stem, &Context { bases: Some(&bases), ..Context::default() })
}

/// A good template that uses Meno's own fields.
fn good() -> Value {
    json!({
        "template_id": "demo", "name": "Demo", "description": "d", "version": "1.2.3",
        "form_schema": {"title": "F", "description": "d", "questions": [
            {"id": "name", "text": "Name?", "type": "text_input", "default": "x", "pattern": "[a-z]+"},
            {"id": "tests", "text": "Tests?", "type": "boolean", "default": true},
            {"id": "coverage", "text": "Coverage?", "type": "number", "integer": true, "min": 0, "max": 100, "default": 80,
             "when": {"question": "tests", "is": true}},
            {"id": "bump", "text": "Bump?", "type": "single_select", "options": ["patch", "minor"], "default": "patch"},
            {"id": "checks", "text": "Checks?", "type": "multi_select", "options": ["lint", "types", "none"], "default": ["lint"],
             "excludes": {"none": ["lint", "types"]}},
            {"id": "key", "text": "Key?", "type": "secret", "required": false, "env": "KEY"}
        ]},
        "inputs": [{"id": "code", "kind": "dir"}],
        "agent_composition_rules": [
            {"role": "runner", "base_template": "generic", "tools": ["read_file", "cargo"], "required_responses": {"tests": "Yes"},
             "config_mapping": {"coverage": "min"}, "config": {"name": "{{name}}"},
             "prompt": "{{inputs.code}} {{config.min}} {{answers.bump}}",
             "success_criteria": [{"type": "json_schema", "schema": {"minimum": "{{coverage}}"}}]},
            {"role": "checker", "base_template": "generic_agent", "foreach": "checks", "prompt": "{{item}} {{agents.runner.output}}",
             "depends_on": ["runner"]}
        ],
        "tests": [{"answers": {"checks": ["lint", "types"]}, "roles": ["runner", "checker[lint]", "checker[types]"]}]
    })
}

fn merge(target: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = target.pointer_mut(parent).expect("the parent exists");
    match parent {
        Value::Array(items) => match key.parse::<usize>() {
            Ok(i) if i < items.len() => items[i] = value,
            _ => items.push(value),
        },
        parent => parent[key] = value,
    }
}

/// Puts `value` at `at` into the good template and compares what is reported, as `severity pointer: message`.
#[track_caller]
fn breaks(at: &str, value: Value, expected: &[&str]) {
    breaks_all(&[(at, value)], expected);
}

#[track_caller]
fn breaks_all(changes: &[(&str, Value)], expected: &[&str]) {
    let mut template = good();
    for (at, value) in changes {
        merge(&mut template, at, value.clone());
    }
    let checked = check_text(&serde_json::to_string_pretty(&template).expect("json"), Some("demo"));
    assert_eq!(said(&checked), expected, "{changes:?}");
    assert_eq!(checked.value.is_none(), expected.iter().any(|line| line.starts_with("error")));
    assert!(checked.problems.iter().all(|problem| !problem.remedy.is_empty() && problem.line > 0 && problem.column > 0));
}

#[test]
fn a_command_in_one_text_is_offered_word_by_word() {
    let mut template = good();
    let command = json!([{"type": "command", "run": "cargo test --lib"}]);
    merge(&mut template, "/agent_composition_rules/0/success_criteria", command);
    let checked = check_text(&template.to_string(), Some("demo"));
    let remedies: Vec<&str> = checked.problems.iter().map(|problem| problem.remedy.as_str()).collect();
    assert!(remedies.contains(&r#"write ["cargo","test","--lib"]"#), "{remedies:?}");
}

fn said<T>(checked: &Checked<T>) -> Vec<String> {
    let line = |problem: &Problem| {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        format!("{severity} {}: {}", problem.pointer, problem.message)
    };
    checked.problems.iter().map(line).collect()
}

const Q: &str = "/form_schema/questions";
const R: &str = "/agent_composition_rules";

fn q(rest: &str) -> String {
    format!("{Q}/{rest}")
}

fn r(rest: &str) -> String {
    format!("{R}/{rest}")
}

#[test]
fn a_good_template_has_no_problems() {
    breaks("/description", json!("d"), &[]);
}

#[test]
fn the_peers_exported_template_loads_without_errors() {
    let checked = check_text(PEER, Some("python_package_publish"));
    let template = checked.value.clone().expect("it loads");
    assert_eq!((template.form_schema.questions.len(), template.agent_composition_rules.len()), (8, 8));
    assert!(checked.problems.iter().all(|problem| problem.severity == Severity::Warning), "{:?}", said(&checked));
    let of_base = checked.problems.iter().filter(|problem| problem.message.starts_with("there is no base agent")).count();
    let of_judge = checked.problems.iter().filter(|problem| problem.message.starts_with("only a judging model")).count();
    assert_eq!((of_base, of_judge, checked.problems.len()), (5, 8, 13), "{:?}", said(&checked));
    let again = serde_json::to_value(&template).expect("json");
    let original: Value = serde_json::from_str(PEER).expect("json");
    assert_eq!(again["agent_composition_rules"], original["agent_composition_rules"], "nothing is lost");
}

#[test]
fn in_a_peers_file_unknown_keys_are_warnings_and_in_ours_errors() {
    let mut template: Value = serde_json::from_str(PEER).expect("json");
    template["agent_composition_rules"][0]["quality_gates"] = json!({});
    let warned = |checked: &Checked<Template>| {
        let at = "/agent_composition_rules/0/quality_gates";
        checked.problems.iter().find(|problem| problem.pointer == at).map(|problem| problem.severity)
    };
    assert_eq!(warned(&check_text(&template.to_string(), None)), Some(Severity::Warning));
    template["agent_composition_rules"][0]["prompt"] = json!("x");
    assert_eq!(warned(&check_text(&template.to_string(), None)), Some(Severity::Error));
}

#[test]
fn the_starter_is_valid_and_its_tests_pass() {
    let text = starter("my_review").expect("an id");
    let checked = check_text(&text, Some("my_review"));
    assert_eq!(said(&checked), [] as [&str; 0]);
    assert!(starter("../x").is_err());
}

#[test]
fn the_head_is_checked() {
    breaks("/template_id", json!("other"), &["error /template_id: the id is `other`, but the file is called `demo`"]);
    breaks("/template_id", json!("../x"), &["error /template_id: `../x` is no id: only a-z, 0-9, `_` and `-` are allowed"]);
    breaks(
        "/version",
        json!("1"),
        &["error /version: `1` is no semantic version: unexpected end of input while parsing major version number"],
    );
    breaks("/estimated_cost_range", json!([2, 1]), &["error /estimated_cost_range: the cost range goes from 2 to 1"]);
    breaks("/estimated_cost_range", json!([2]), &["error /estimated_cost_range: expected 2 values, found 1"]);
    breaks("/estimated_duration_minutes", json!(-1), &["error /estimated_duration_minutes: the duration is negative"]);
    breaks(
        "/defaults",
        json!({"budget_usd": 0, "max_attempts_per_tier": 0, "strategy": "adaptiv"}),
        &[
            "error /defaults/budget_usd: 0 is no budget",
            "error /defaults/max_attempts_per_tier: 0 is out of range",
            "error /defaults/strategy: `adaptiv` is none of `cheap_only`, `progressive`, `capable_first`, `premium_only`, `adaptive`",
        ],
    );
    breaks("/nmae", json!("x"), &["error /nmae: unknown key `nmae`"]);
}

#[test]
fn wrong_shapes_are_all_reported_and_hide_nothing_else() {
    breaks_all(
        &[
            ("/tags", json!("x")),
            ("/form_schema/questions/0/required", json!("yes")),
            ("/form_schema/questions/1", json!({"id": "tests", "type": "bolean"})),
            ("/form_schema/questions/3/options", json!("patch")),
            ("/agent_composition_rules/0/max_attempts_per_tier", json!(1.5)),
            ("/agent_composition_rules/1/depends_on/0", json!("runer")),
            ("/inputs/0/kind", json!(null)),
        ],
        &[
            "error /form_schema/questions/0/required: expected true or false, found the text `yes`",
            "error /form_schema/questions/1: `text` is missing",
            "error /form_schema/questions/1/type: `bolean` is none of `text_input`, `single_select`, `multi_select`, `boolean`, `number`, `path`, `secret`",
            "error /form_schema/questions/3/options: expected an array, found the text `patch`",
            "error /inputs/0/kind: expected one of `file`, `dir`, `text`, found null",
            "error /agent_composition_rules/0/max_attempts_per_tier: expected a whole number, found 1.5",
            "error /agent_composition_rules/1/depends_on/0: there is no role `runer`",
            "error /tags: expected an array, found the text `x`",
        ],
    );
    let checked = check_text("[]", None);
    assert_eq!(said(&checked), ["error : expected an object, found an array"]);
    let checked = check_text("{}", None);
    assert_eq!(
        said(&checked),
        [
            "error : `template_id` is missing",
            "error : `name` is missing",
            "error : `description` is missing",
            "error : `form_schema` is missing",
        ]
    );
}

#[test]
fn conditions_and_criteria_of_the_wrong_shape_are_explained() {
    let when = |value: Value, expected: &[&str]| breaks(&q("3/when"), value, expected);
    when(json!({"question": "tests"}), &["error /form_schema/questions/3/when: one of `is`, `in`, `not`, `contains` is missing"]);
    when(
        json!({"question": "tests", "is": true, "in": [true]}),
        &["error /form_schema/questions/3/when: only one of `is`, `in`, `not`, `contains` may be given"],
    );
    when(json!({"question": "tests", "is": true, "zzz": 1}), &["error /form_schema/questions/3/when/zzz: unknown key `zzz`"]);
    when(
        json!({"al": []}),
        &["error /form_schema/questions/3/when: expected an object with one of `question`, `all`, `any`, `not`"],
    );
    when(json!({"all": [{"not": 5}]}), &["error /form_schema/questions/3/when/all/0/not: expected an object, found 5"]);
    when(json!("tests"), &["error /form_schema/questions/3/when: expected an object, found the text `tests`"]);
    let criterion = |value: Value, expected: &[&str]| breaks(&r("1/success_criteria"), json!([value]), expected);
    criterion(json!({"value": 1}), &["error /agent_composition_rules/1/success_criteria/0: `type` is missing"]);
    criterion(
        json!({"type": "min_word", "value": 1}),
        &[
            "error /agent_composition_rules/1/success_criteria/0/type: `min_word` is none of `contains`, `not_contains`, `regex`, `json_schema`, `json_path`, `min_words`, `max_words`, `cites_inputs`, `file_exists`, `file_changed`, `command`, `judge`, `all`, `any`, `not`",
        ],
    );
    criterion(json!({"type": "min_words"}), &["error /agent_composition_rules/1/success_criteria/0: `value` is missing"]);
    criterion(
        json!({"type": "min_words", "value": "5"}),
        &["error /agent_composition_rules/1/success_criteria/0/value: expected a whole number, found the text `5`"],
    );
    criterion(json!(5), &["error /agent_composition_rules/1/success_criteria/0: expected a text or an object, found 5"]);
}

#[test]
fn the_files_own_tests_run() {
    breaks(
        "/tests",
        json!([{"name": "no tests", "answers": {"tests": false}, "roles": ["runner"]}]),
        &["error /tests/0: test `no tests`: expected `runner`, made `checker[lint]`"],
    );
    breaks(
        "/tests",
        json!([{"answers": {"bump": "mayor"}, "roles": ["runner"]}]),
        &["error /tests/0: question `bump`: `mayor` is none of the options (allowed: `patch`, `minor`)"],
    );
}

#[test]
fn programs_that_the_settings_do_not_allow_are_a_warning() {
    let commands: BTreeSet<String> = ["ruff".to_owned()].into();
    let mut template = good();
    merge(&mut template, &r("0/tools"), json!(["ruff", "cargo", "read_file"]));
    let checked = parse(&template.to_string(), None, &Context { commands: Some(&commands), ..Context::default() });
    assert_eq!(
        said(&checked),
        [
            "warning /agent_composition_rules/0/tools/1: `cargo` is a program that the settings do not allow, so agents cannot use it",
        ]
    );
}

#[test]
fn servers_that_the_settings_do_not_name_are_a_warning() {
    let servers: BTreeSet<String> = ["files".to_owned()].into();
    let mut template = good();
    merge(&mut template, &r("0/tools"), json!(["mcp:files/read", "mcp:fiels/*"]));
    let checked = parse(&template.to_string(), None, &Context { servers: Some(&servers), ..Context::default() });
    assert_eq!(
        said(&checked),
        [
            "warning /agent_composition_rules/0/tools/1: the settings name no MCP server `fiels`, so agents cannot use `mcp:fiels/*`",
        ]
    );
    assert!(checked.problems[0].remedy.contains("did you mean `files`?"), "{}", checked.problems[0].remedy);
}

#[test]
fn a_program_in_the_workspace_is_never_advised_as_one() {
    let commands: BTreeSet<String> = ["sh".to_owned()].into();
    let mut template = good();
    let criteria = json!([{"name": "passes", "type": "command", "run": ["./x.sh"]}]);
    merge(&mut template, &r("0/success_criteria"), criteria);
    let checked = parse(&template.to_string(), None, &Context { commands: Some(&commands), ..Context::default() });
    let problem = checked.problems.iter().find(|problem| problem.pointer.ends_with("run/0")).expect("a problem");
    assert!(problem.message.contains("never run") && problem.remedy.contains("[\"sh\", \"x.sh\"]"), "{problem:?}");
}

#[test]
fn places_and_duplicate_keys_are_exact() {
    let text = "{\n  \"template_id\": \"demo\",\n  \"template_id\": \"demo\",\n  \"name\": 5\n}";
    let checked = check_text(text, None);
    let places: Vec<String> = checked.problems.iter().filter(|problem| problem.line > 1).map(ToString::to_string).collect();
    assert_eq!(
        places,
        ["3:3: error: /template_id: `template_id` is given twice", "4:11: error: /name: expected a text, found 5"]
    );
    let checked = parse_bytes(b"{\n \"\xff\": 1}", None, &Context::default());
    assert_eq!(checked.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2:3: error: the file is not UTF-8"]);
}

#[test]
fn base_agents_are_checked() {
    let check = |value: Value| said(&parse_agent(&value.to_string(), Some("linter"), &Context::default()));
    let good = json!({"id": "linter", "description": "d", "instructions": "do", "tools": ["git"], "criteria": [{"type": "min_words", "value": 5}],
        "output_contract": {"format": "json", "description": "an object", "schema": {"type": "object"}}});
    assert_eq!(check(good.clone()), [] as [&str; 0]);
    let mut bad = good;
    bad["id"] = json!("lint");
    bad["instructions"] = json!("");
    bad["criteria"] = json!([{"type": "contains", "value": "{{name}} {{config.x}}"}]);
    bad["output_contract"]["format"] = json!("markdown");
    bad["tols"] = json!([]);
    let mut found = check(bad);
    found.sort();
    assert_eq!(
        found,
        [
            "error /criteria/0/value: there is no question `name`",
            "error /id: the id is `lint`, but the file is called `linter`",
            "error /instructions: the instructions are empty",
            "error /output_contract/schema: a schema belongs to the format `json`",
            "error /tols: unknown key `tols`",
        ]
    );
}

#[test]
fn hostile_files_are_refused_quickly() {
    let deep = format!("{{\"template_id\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(said(&check_text(&deep, None)), ["error : nested deeper than 64 levels"]);
    let questions: Vec<Value> = (0..3_000)
        .map(|i| {
            json!({"id": format!("q{i}"), "text": "?", "type": "boolean",
        "when": {"all": [{"question": format!("q{}", i + 1), "is": true}, {"question": "zzz", "is": 1}]}})
        })
        .collect();
    let mut template = good();
    merge(&mut template, Q, json!(questions));
    let checked = check_text(&template.to_string(), None);
    assert_eq!(said(&checked), ["error /form_schema/questions: there are 3000 questions, more than 500"]);
    merge(&mut template, Q, json!(questions[..500]));
    let checked = check_text(&template.to_string(), None);
    assert!(checked.problems.len() <= 502 && checked.value.is_none());
    let mut long = good();
    merge(&mut long, "/description", json!("x".repeat(FILE_BYTES_MAX)));
    assert!(said(&check_text(&long.to_string(), None))[0].starts_with("error : the file has"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,200}") {
        let checked = check_text(&text, None);
        prop_assert!(checked.value.is_some() || checked.first_error().is_some());
    }

    #[test]
    fn no_changed_byte_makes_reading_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = good().to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let bases = bases();
        let checked = parse_bytes(&bytes, Some("demo"), &Context { bases: Some(&bases), ..Context::default() });
        prop_assert_eq!(checked.value.is_none(), checked.first_error().is_some());
        prop_assert!(checked.problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
    }

    #[test]
    fn no_replaced_value_makes_reading_panic(
        at in any::<prop::sample::Index>(),
        value in prop_oneof![
            Just(json!(null)), Just(json!(true)), Just(json!(-1)), Just(json!(1e300)), Just(json!("")), Just(json!("{{x}}")),
            Just(json!([])), Just(json!({})), Just(json!([null])), Just(json!({"not": {"all": []}})),
        ],
    ) {
        let mut template = good();
        let mut pointers = Vec::new();
        collect(&template, String::new(), &mut pointers);
        let pointer = &pointers[at.index(pointers.len())];
        *template.pointer_mut(pointer).expect("collected from it") = value;
        let checked = check_text(&template.to_string(), Some("demo"));
        prop_assert!(checked.value.is_some() || checked.first_error().is_some(), "{}", pointer);
        // The schema that the walk follows and the types agree: serde never has the last word.
        prop_assert!(checked.problems.iter().all(|problem| problem.remedy != "compare it with the schema"), "{}: {:?}", pointer, checked.problems);
    }
}

fn collect(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| collect(item, format!("{pointer}/{i}"), pointers)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| collect(value, format!("{pointer}/{key}"), pointers)),
        _ => {}
    }
    pointers.push(pointer);
}
