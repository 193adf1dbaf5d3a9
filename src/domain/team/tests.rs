use serde_json::json;

use super::*;

fn template(rules: Value) -> Template {
    serde_json::from_value(json!({
        "template_id": "t", "name": "T", "description": "", "form_schema": {"title": "", "description": "", "questions": [
            {"id": "tests", "text": "?", "type": "boolean"},
            {"id": "checks", "text": "?", "type": "multi_select", "options": ["a", "b"]},
            {"id": "goal", "text": "?", "type": "text_input"},
            {"id": "pin", "text": "?", "type": "text_input", "sensitive": true},
            {"id": "key", "text": "?", "type": "secret"}
        ]},
        "agent_composition_rules": rules
    }))
    .expect("a template")
}

fn bases() -> BTreeMap<String, BaseAgent> {
    let base = |value: Value| serde_json::from_value::<BaseAgent>(value).expect("a base agent");
    [
        base(json!({"id": "generic", "aliases": ["generic_agent"], "description": "", "instructions": "x"})),
        base(json!({"id": "linter", "description": "", "instructions": "x", "tools": ["git"],
                    "criteria": [{"type": "contains", "value": "{{config.word}}"}]})),
    ]
    .into_iter()
    .map(|base| (base.id.clone(), base))
    .collect()
}

fn answers() -> Answers {
    serde_json::from_value(json!({
        "tests": true, "checks": ["a", "b"], "goal": "{{agents.x.output}} (50%)", "pin": "1234", "key": null
    }))
    .expect("a map")
}

fn plan_rules(rules: Value) -> Team {
    plan(&template(rules), &bases(), &answers(), &PlanDefaults::default())
}

fn titles(team: &Team) -> Vec<String> {
    team.agents.iter().map(PlannedAgent::title).collect()
}

#[test]
fn the_peers_template_makes_the_agents_that_the_peer_makes() {
    let template: Template =
        serde_json::from_str(include_str!("../../../tests/data/peer/template_exported_by_4.2.0.json")).expect("json");
    let answers: Answers = serde_json::from_value(json!({
        "package_name": "demo", "has_tests": "Yes", "test_coverage_required": "90%",
        "quality_checks": ["Linting (ruff)", "Security scan (bandit)"], "version_bump": "minor",
        "publish_to": "Skip publishing", "create_git_tag": true, "update_changelog": false
    }))
    .expect("a map");
    let team = plan(&template, &bases(), &answers, &PlanDefaults::default());
    assert_eq!(titles(&team), ["test_runner", "linter", "security_auditor", "version_manager", "package_builder"]);
    assert_eq!(json!(team.agents[0].config), json!({"min_coverage": "90%"}));
    assert_eq!(json!(team.agents[3].config), json!({"bump": "minor", "tag": true}));
    assert_eq!(team.agents[0].base, "generic", "an unknown base becomes generic");
    let skipped: Vec<(&str, Option<&str>, &str)> =
        team.skipped().map(|trace| (trace.role.as_str(), trace.question.as_deref(), trace.because.as_str())).collect();
    assert_eq!(
        skipped,
        [
            (
                "type_checker",
                Some("quality_checks"),
                "`quality_checks` is `Linting (ruff), Security scan (bandit)`, wanted `Type checking (mypy)`"
            ),
            ("changelog_updater", Some("update_changelog"), "`update_changelog` is `No`, wanted `Yes`"),
            (
                "publisher",
                Some("publish_to"),
                "`publish_to` is `Skip publishing`, wanted one of `PyPI (production)`, `TestPyPI (staging)`"
            ),
        ]
    );
    assert_eq!(team.trace[0].because, "`has_tests` is `Yes`");
    assert_eq!(team.trace[0].agents, [0]);
}

#[test]
fn foreach_makes_one_agent_per_item_and_dependents_wait_for_all() {
    let team = plan_rules(json!([
        {"role": "editor", "base_template": "generic", "prompt": "{{agents.reviewer.output}}", "depends_on": ["skipped", "reviewer"]},
        {"role": "reviewer", "base_template": "generic", "foreach": "checks", "config": {"aspect": "{{item}}"}, "prompt": "look at {{item}}"},
        {"role": "skipped", "base_template": "generic", "required_responses": {"tests": "No"}},
        {"role": "none", "base_template": "generic", "foreach": "goal"}
    ]));
    assert_eq!(titles(&team), ["editor", "reviewer[a]", "reviewer[b]"]);
    assert_eq!(team.agents[0].depends_on, [1, 2], "a skipped role counts as done");
    assert_eq!(team.agents[0].task, [Piece::Output("reviewer".to_owned())]);
    assert_eq!(team.agents[2].config, json!({"aspect": "b"}).as_object().cloned().expect("object"));
    assert_eq!(team.agents[2].task, [Piece::Text("look at b".to_owned())]);
    assert_eq!(team.trace[3].because, "`goal` names nothing to make an agent for");
}

#[test]
fn strategy_and_attempts_come_from_the_nearest_place_that_says_them() {
    let rules = json!([
        {"role": "own", "base_template": "generic", "tier_strategy": "premium_only", "max_attempts_per_tier": 3},
        {"role": "open", "base_template": "generic"}
    ]);
    let mut template = template(rules);
    let strategies = |template: &Template, defaults: &PlanDefaults| {
        let team = plan(template, &bases(), &answers(), defaults);
        team.agents.iter().map(|agent| (agent.strategy, agent.max_attempts_per_tier)).collect::<Vec<_>>()
    };
    let defaults = PlanDefaults { strategy_override: None, strategy: Strategy::Adaptive, max_attempts_per_tier: 2 };
    assert_eq!(strategies(&template, &defaults), [(Strategy::PremiumOnly, 3), (Strategy::Adaptive, 2)]);
    template.defaults = serde_json::from_value(json!({"strategy": "cheap_only", "max_attempts_per_tier": 5})).expect("defaults");
    assert_eq!(strategies(&template, &defaults), [(Strategy::PremiumOnly, 3), (Strategy::CheapOnly, 5)]);
    let forced = PlanDefaults { strategy_override: Some(Strategy::CapableFirst), ..defaults };
    assert_eq!(strategies(&template, &forced), [(Strategy::CapableFirst, 3), (Strategy::CapableFirst, 5)]);
}

#[test]
fn criteria_are_filled_quoted_and_masked() {
    let team = plan_rules(json!([{
        "role": "r", "base_template": "linter", "config": {"word": "{{tests}}"},
        "success_criteria": [
            "mentions {{pin}} and {{goal}}",
            {"type": "regex", "pattern": "^{{answers.goal}}$"},
            {"type": "contains", "value": "{{pin}}"},
            {"type": "json_path", "path": "$.ok", "equals": "{{tests}}", "weight": 2},
            {"type": "not", "criterion": {"type": "command", "run": ["grep", "{{goal}}"]}}
        ]
    }]));
    assert_eq!(
        json!(team.agents[0].criteria),
        json!([
            "mentions [sensitive] and {{agents.x.output}} (50%)",
            {"type": "regex", "pattern": r"^\{\{agents\.x\.output\}\} \(50%\)$"},
            {"type": "contains", "value": "1234", "ignore_case": false},
            {"weight": 2.0, "type": "json_path", "path": "$.ok", "equals": true},
            {"type": "not", "criterion": {"type": "command", "run": ["grep", "{{agents.x.output}} (50%)"], "exit_code": 0, "timeout_s": 600}},
            {"type": "contains", "value": "Yes", "ignore_case": false}
        ])
    );
    assert_eq!(team.agents[0].tools, ["git"], "the base agent's tools, since the rule names none");
}

#[test]
fn an_answer_is_never_expanded_and_a_secret_never_configured() {
    let team = plan_rules(json!([{
        "role": "r", "base_template": "generic", "prompt": "Do: {{goal}}", "config_mapping": {"key": "token", "goal": "goal", "gone": "gone"}
    }]));
    assert_eq!(team.agents[0].task, [Piece::Text("Do: {{agents.x.output}} (50%)".to_owned())]);
    assert_eq!(team.agents[0].depends_on, [] as [AgentNo; 0]);
    assert_eq!(json!(team.agents[0].config), json!({"goal": "{{agents.x.output}} (50%)"}));
}

#[test]
fn the_trace_does_not_show_a_sensitive_answer() {
    let team = plan_rules(json!([
        {"role": "a", "base_template": "generic", "when": {"any": [{"question": "tests", "is": false}, {"question": "pin", "is": "0"}]}},
        {"role": "b", "base_template": "generic", "required_responses": {"pin": "1234"}}
    ]));
    assert_eq!(titles(&team), ["b"]);
    assert!(!format!("{:?}", team.trace).contains("1234"));
}
