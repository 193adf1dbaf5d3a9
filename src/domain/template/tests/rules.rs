use serde_json::{Value, json};

use super::*;

#[test]
fn rules_that_are_never_made_are_found() {
    breaks(
        &r("0/required_responses"),
        json!({"bump": "mayor", "checks": ["lint", "typos"], "gone": "x", "tests": []}),
        &[
            "error /agent_composition_rules/0/required_responses/bump: the answer to `bump` can never be `mayor`",
            "error /agent_composition_rules/0/required_responses/checks/1: the answer to `checks` can never be `typos`",
            "error /agent_composition_rules/0/required_responses/gone: there is no question `gone`",
            "error /agent_composition_rules/0/required_responses/tests: an empty list never matches",
        ],
    );
    breaks(
        &r("0/when"),
        json!({"question": "tests", "is": false}),
        &["error /agent_composition_rules/0/when: role `runner` can never be made: its conditions contradict each other"],
    );
    breaks_all(
        &[
            (&r("1/required_responses"), json!({"tests": "No"})),
            (&r("1/when"), json!({"question": "coverage", "not": 80})),
            ("/tests", json!([])),
        ],
        &["warning /agent_composition_rules/1: role `checker` is never made: the questions that it needs are not shown together"],
    );
    breaks_all(
        &[("/agent_composition_rules", json!([])), ("/tests", json!([])), ("/inputs", json!([])), (Q, json!([]))],
        &["error /agent_composition_rules: no rule makes an agent"],
    );
}

#[test]
fn rules_name_what_exists() {
    breaks(
        &r("0/base_template"),
        json!("genric"),
        &["error /agent_composition_rules/0/base_template: there is no base agent `genric`"],
    );
    breaks(
        &r("0/tools"),
        json!(["read_fil", "rm -rf", "mcp:x", "mcp:x/*", "git", "git", "ruff"]),
        &[
            "error /agent_composition_rules/0/tools/0: there is no tool `read_fil`",
            "error /agent_composition_rules/0/tools/1: `rm -rf` is no tool",
            "error /agent_composition_rules/0/tools/2: `mcp:x` names no tool",
            "warning /agent_composition_rules/0/tools/5: tool `git` is listed twice",
        ],
    );
    breaks(
        &r("1/role"),
        json!("runner"),
        &[
            "error /agent_composition_rules/1/role: role `runner` has two rules that can hold together",
            "error /agent_composition_rules/1/prompt: an agent cannot read its own output",
            "error /agent_composition_rules/1/depends_on/0: a role cannot wait for itself",
            "error /tests/0/roles/1: there is no role `checker`",
            "error /tests/0/roles/2: there is no role `checker`",
        ],
    );
    breaks(
        &r("1/foreach"),
        json!("bump"),
        &[
            "warning /form_schema/questions/4: nothing uses the answer to `checks`",
            "error /agent_composition_rules/1/foreach: `foreach` needs a multi_select question, and `bump` is none",
        ],
    );
    breaks(
        &r("0/config_mapping"),
        json!({"coverage": "min", "bump": "min", "key": "k", "name": "name"}),
        &[
            "error /agent_composition_rules/0/config_mapping/bump: key `min` is also the answer to `coverage`",
            "error /agent_composition_rules/0/config_mapping/key: `key` is a secret, and its value is never put into texts, rules or configurations",
            "error /agent_composition_rules/0/config_mapping/name: key `name` is also set in `config`",
        ],
    );
    breaks_all(
        &[(&r("0/budget_usd"), json!(-1)), (&r("0/threshold"), json!(2)), (&r("0/max_attempts_per_tier"), json!(0))],
        &[
            "error /agent_composition_rules/0/budget_usd: -1 is no budget",
            "error /agent_composition_rules/0/threshold: 2 is no share",
            "error /agent_composition_rules/0/max_attempts_per_tier: 0 is out of range",
        ],
    );
    breaks(
        &r("0/threshold"),
        json!(0.5),
        &["warning /agent_composition_rules/0/threshold: without weights all criteria must pass, whatever the threshold"],
    );
}

#[test]
fn placeholders_name_what_exists() {
    let prompt = |text: &str, expected: &[&str]| breaks(&r("0/prompt"), json!(format!("{{{{bump}}}} {text}")), expected);
    let at = "error /agent_composition_rules/0/prompt:";
    prompt("{{answers.nme}}", &[&format!("{at} there is no question `nme`")]);
    prompt("{{config.mni}}", &[&format!("{at} the configuration has no key `mni`")]);
    prompt("{{inputs.cod}}", &[&format!("{at} there is no input `cod`")]);
    prompt("{{agents.chekcer.output}}", &[&format!("{at} there is no role `chekcer`")]);
    prompt("{{item}}", &[&format!("{at} `{{{{item}}}}` means something only in a rule with `foreach`")]);
    prompt("{{key}}", &[&format!("{at} `key` is a secret, and its value is never put into texts, rules or configurations")]);
    prompt(
        "{{a.b}} {{\"x\": 1}}",
        &[&format!("{at} unknown placeholder `{{{{a.b}}}}`"), &format!("{at} unknown placeholder `{{{{\"x\": 1}}}}`")],
    );
    prompt(r"\{{ braces }}", &[]);
    prompt("{{code}}", &[&format!("{at} there is no question `code`")]);
    breaks(
        &r("0/config/deep"),
        json!({"a": ["{{agents.checker.output}}"]}),
        &["error /agent_composition_rules/0/config/deep/a/0: a configuration cannot use other agents' outputs"],
    );
    breaks(
        "/report",
        json!("{{agents.cheker.output}} {{inputs.code}}"),
        &["error /report: there is no role `cheker`", "error /report: the report cannot use inputs"],
    );
}

#[test]
fn roles_that_wait_for_each_other_are_found() {
    breaks(
        &r("0/depends_on"),
        json!(["checker"]),
        &["error /agent_composition_rules/1/depends_on/0: roles wait for each other: runner → checker → runner"],
    );
    let prompt = json!("{{bump}} {{agents.checker.output}}");
    breaks_all(
        &[(&r("0/prompt"), prompt), (&r("1/depends_on"), json!([]))],
        &["error /agent_composition_rules/1/prompt: roles wait for each other: runner → checker → runner"],
    );
}

#[test]
fn criteria_are_checked() {
    let criterion = |value: Value, expected: &[&str]| {
        let pointer = "/agent_composition_rules/1/success_criteria/0";
        let lines: Vec<String> = expected.iter().map(|line| line.replace('@', pointer)).collect();
        breaks(&r("1/success_criteria"), json!([value]), &lines.iter().map(String::as_str).collect::<Vec<_>>());
    };
    criterion(json!("it is good"), &["warning @: only a judging model can decide this sentence"]);
    criterion(json!(" "), &["error @: the criterion is empty"]);
    criterion(
        json!({"type": "regex", "pattern": "a("}),
        &["error @/pattern: the pattern is no regular expression: unclosed group"],
    );
    criterion(json!({"type": "regex", "pattern": "{{item}}{2}"}), &[]);
    criterion(
        json!({"type": "json_path", "path": "findings", "exists": true}),
        &["error @/path: `findings` is no JSON path: at position 0, parser error"],
    );
    criterion(json!({"type": "json_path", "path": "$.a"}), &["error @: nothing is compared"]);
    criterion(json!({"type": "json_path", "path": "$.a", "min": 2, "max": 1}), &["error @/min: `min` is above `max`"]);
    criterion(json!({"type": "file_exists", "path": "../x"}), &["error @/path: `../x` is no path inside the workspace"]);
    criterion(json!({"type": "command", "run": ["cargo test"]}), &["error @/run/0: `cargo test` is no program"]);
    criterion(
        json!({"type": "command", "run": ["{{name}}"], "timeout_s": 0}),
        &["error @/run/0: the program must be fixed", "error @/timeout_s: 0 seconds are no timeout"],
    );
    criterion(json!({"type": "judge", "rubric": "x", "threshold": 7}), &["error @/threshold: 7 is no score"]);
    criterion(json!({"type": "contains", "value": "x", "weight": 0}), &["error @/weight: 0 is no weight"]);
    criterion(json!({"type": "any", "criteria": []}), &["error @/criteria: there are no parts"]);
    criterion(
        json!({"type": "not", "criterion": {"type": "contains", "value": "", "weight": 1}}),
        &[
            "error @/criterion/value: every answer contains an empty text",
            "warning @/criterion/weight: a weight inside `all`, `any` or `not` does not count",
        ],
    );
    let checked = {
        let mut template = good();
        merge(&mut template, &r("1/success_criteria"), json!([{"type": "json_schema", "schema": {"type": "objekt"}}]));
        said(&check_text(&template.to_string(), None))
    };
    assert_eq!(checked.len(), 1);
    assert!(checked[0].contains("/success_criteria/0/schema: the schema cannot be used at /type"), "{checked:?}");
    breaks(
        &r("1/success_criteria"),
        json!([{"type": "min_words", "value": 9}, {"type": "max_words", "value": 5}]),
        &["error /agent_composition_rules/1/success_criteria: no answer has at least 9 and at most 5 words"],
    );
    let asks = |wanted: &str, unwanted: &str, ignore_case| json!([{"type": "contains", "value": wanted}, {"type": "not_contains", "value": unwanted, "ignore_case": ignore_case}]);
    breaks(&r("1/success_criteria"), asks("TODO", "todo", false), &[]);
    breaks(
        &r("1/success_criteria"),
        asks("a TODO", "todo", true),
        &["error /agent_composition_rules/1/success_criteria/1: no answer has `a TODO` and is without `todo`"],
    );
    breaks(
        &r("1/success_criteria"),
        json!([{"type": "command", "run": ["cargo", "test"], "exit_code": 999}]),
        &["error /agent_composition_rules/1/success_criteria/0/exit_code: no program ends with 999"],
    );
}
