//! What the simulation answers, and what scripts make of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::writer::failure_rate;
use super::*;
use crate::domain::call::{CallContext, OutputSchema};
use crate::domain::criterion::Criterion;
use crate::domain::event::{StopReason, Verdict};
use crate::domain::judge::{DecidedBy, Edition, Facts, Score, Scores, judge, judge_call, read_scores, schema_problems};
use crate::domain::template::{OutputContract, OutputFormat};
use crate::domain::tier::Tier;

fn criteria(value: Value) -> Vec<Criterion> {
    serde_json::from_value(value).expect("criteria")
}

fn request(seed: u64, tier: Tier, criteria: Vec<Criterion>) -> CallRequest {
    CallRequest {
        provider: "simulated".to_owned(),
        model: "simulated-small".to_owned(),
        system: "You review code.".to_owned(),
        prompt: "Review the release notes of the package frobnicator and name every dangerous migration.".to_owned(),
        tools: [].into(),
        turns: Vec::new(),
        max_output_tokens: 8_192,
        context_tokens: None,
        schema: None,
        effort: None,
        context: CallContext {
            seed,
            role: "code_reviewer".to_owned(),
            agent: 2,
            attempt: 1,
            tier,
            purpose: Purpose::Work,
            criteria,
            contract: None,
            input_files: vec![("src/a.rs".to_owned(), 40), ("my notes.md".to_owned(), 3)],
        },
    }
}

fn contract(format: OutputFormat, description: &str, schema: Option<Value>) -> Option<OutputContract> {
    Some(OutputContract { format, description: description.to_owned(), schema })
}

fn reply_to(request: &CallRequest) -> CallReply {
    match Simulated::new(0, 2, Script::default()).plan(request).as_slice() {
        [Step::Reply(reply)] => reply.clone(),
        steps => panic!("one reply and no delay expected: {steps:?}"),
    }
}

fn verdicts(request: &CallRequest, text: &str) -> Vec<Verdict> {
    let facts = Facts { input_files: request.context.input_files.clone(), ..Facts::default() };
    judge(&request.context.criteria, text, &facts, Scores::Nobody("")).iter().map(|judged| judged.verdict).collect()
}

/// What the draw wants of criterion `number`.
fn wanted(request: &CallRequest, number: u64) -> Verdict {
    let pass = Draw::new(&request.context).unit("criterion", number) >= failure_rate(request.context.tier);
    if pass { Verdict::Pass } else { Verdict::Fail }
}

fn scripted(text: &str, retries: u32) -> Simulated {
    Simulated::new(0, retries, Script::parse(text).expect("a script"))
}

#[test]
fn the_same_call_has_the_same_reply_whatever_came_before() {
    let simulated = Simulated::new(0, 0, Script::default());
    let calls: Vec<CallRequest> = (0..6).map(|seed| request(seed, Tier::Cheap, criteria(json!(["x"])))).collect();
    let there: Vec<Vec<Step>> = calls.iter().map(|call| simulated.plan(call)).collect();
    let mut back: Vec<Vec<Step>> = calls.iter().rev().map(|call| simulated.plan(call)).collect();
    back.reverse();
    assert_eq!(there, back);
    assert!(there[0] != there[1], "another seed has another answer");
}

#[test]
fn a_page_has_the_contracts_headings_and_a_real_answers_length() {
    for seed in 0..20 {
        let mut call = request(seed, Tier::Premium, Vec::new());
        call.context.contract = contract(
            OutputFormat::Markdown,
            "Markdown. First a line `Verdict: X`. Then the headings `## Findings` (worst first), ## Open questions and ## Not verified.",
            None,
        );
        let reply = reply_to(&call);
        let lines: Vec<&str> = reply.text.lines().collect();
        for heading in ["## Findings", "## Open questions", "## Not verified"] {
            assert!(lines.contains(&heading), "{heading} in {}", reply.text);
        }
        assert!(lines[0].starts_with("> Simulated answer") && lines[0].contains("code_reviewer"));
        let words = reply.text.split_whitespace().count();
        assert!((50..=400).contains(&words), "{words} words: {}", reply.text);
        assert!(!reply.text.contains("src/a.rs:") && !reply.text.contains("my notes.md:"), "no material was in the prompt");
        assert_eq!((reply.usage_source, reply.stop), (UsageSource::Estimated, StopReason::End));
        assert!(reply.usage.output > 50 && reply.usage.input > 10);
    }
}

#[test]
fn typed_criteria_are_met_or_missed_as_drawn() {
    let all = json!([
        {"type": "contains", "value": "Rollback plan"},
        {"type": "not_contains", "value": "migration", "ignore_case": true},
        {"type": "regex", "pattern": r"(?m)^Next version: (unknown|[0-9]+\.[0-9]+.*)$"},
        {"type": "regex", "pattern": r"(?m)^## Not verified$"},
        {"type": "min_words", "value": 150},
        {"type": "max_words", "value": 500},
        {"type": "cites_inputs"},
        {"type": "all", "criteria": [{"type": "regex", "pattern": "(?m)^Bump: (patch|minor|major)$"}, {"type": "contains", "value": "## Why"}, "is short"]},
        {"type": "any", "criteria": ["is kind", {"type": "contains", "value": "Alpha"}, {"type": "contains", "value": "Beta"}]},
        {"type": "not", "criterion": {"type": "contains", "value": "Gamma"}}
    ]);
    let mut missed = 0;
    for seed in 0..60 {
        for tier in Tier::ALL {
            let call = request(seed, tier, criteria(all.clone()));
            if wanted(&call, 4) == Verdict::Fail && wanted(&call, 5) == Verdict::Fail {
                // No answer is too short and too long.
                continue;
            }
            let reply = reply_to(&call);
            for (number, verdict) in (0u64..).zip(verdicts(&call, &reply.text)) {
                let wanted = wanted(&call, number);
                missed += u32::from(wanted == Verdict::Fail);
                // Their sentence keeps the first from passing and the second from failing by code alone.
                let open = [(7, Verdict::Pass), (8, Verdict::Fail)].contains(&(number, wanted)) && verdict == Verdict::Unknown;
                let met = verdict == wanted || open;
                assert!(met, "seed {seed}, {tier}, criterion {number} is {verdict}, not {wanted}:\n{}", reply.text);
            }
        }
    }
    assert!(missed > 100, "some criteria are to be missed");
}

#[test]
fn anchored_patterns_are_met_and_the_notice_makes_way() {
    let mut both = 0;
    for seed in 0..40 {
        let call = request(seed, Tier::Premium, criteria(json!([{"type": "regex", "pattern": r"\A# Report\n"}])));
        let text = reply_to(&call).text;
        if wanted(&call, 0) == Verdict::Pass {
            both += 1;
            assert!(text.starts_with("# Report\n"), "{text}");
            assert!(text.lines().last().is_some_and(|line| line.starts_with("> Simulated answer")), "{text}");
        }
        let call = request(seed, Tier::Premium, criteria(json!([{"type": "regex", "pattern": r"Verdict: (PASS|FAIL)\s*\z"}])));
        let text = reply_to(&call).text;
        assert!(
            // Nothing was looked at, so nothing passes.
            wanted(&call, 0) == Verdict::Fail || (text.trim_end().ends_with("Verdict: FAIL") && text.starts_with("> Simulated")),
            "{text}"
        );
    }
    assert!(both > 30);
}

fn review_schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false,
        "required": ["summary", "material", "findings", "score", "day"],
        "properties": {
            "summary": {"type": "string", "minLength": 40},
            "material": {"type": "string", "enum": ["missing", "partial", "given"]},
            "findings": {"type": "array", "minItems": 3, "items": {"$ref": "#/$defs/finding"}},
            "score": {"type": "integer", "minimum": 3, "maximum": 9},
            "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "day": {"type": "string", "format": "date"},
            "id": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "tags": {"type": "array", "uniqueItems": true, "items": {"enum": ["a", "b", "c"]}}
        },
        "$defs": {"finding": {"type": "object", "required": ["title", "where", "parts"], "properties": {
            "title": {"type": "string", "maxLength": 50}, "where": {"type": "string", "description": "path:line"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/finding"}}}}}
    })
}

#[test]
fn json_follows_the_schema_and_the_criteria_on_it() {
    let mut missed = 0;
    for seed in 0..60 {
        let mut call = request(
            seed,
            Tier::ALL[seed as usize % 3],
            criteria(json!([
                {"type": "json_schema", "schema": review_schema()},
                {"type": "json_path", "path": "$.material", "equals": "given"},
                {"type": "json_path", "path": "$.score", "min": 5, "max": 7},
                {"type": "json_path", "path": "$.findings[0].title", "exists": true},
                {"type": "contains", "value": "Rollback"},
                {"type": "cites_inputs"}
            ])),
        );
        call.context.contract = contract(OutputFormat::Json, "One JSON object.", Some(review_schema()));
        call.schema = Some(OutputSchema { name: "review".to_owned(), schema: review_schema() });
        let text = reply_to(&call).text;
        let value: Value = serde_json::from_str(&text).expect("bare JSON");
        let found = verdicts(&call, &text);
        let wanted: Vec<Verdict> = (0..6).map(|number| wanted(&call, number)).collect();
        if wanted.iter().all(|wanted| *wanted == Verdict::Pass) {
            assert_eq!(schema_problems(&review_schema(), &value, Edition::default()), Ok(vec![]));
            assert!(text.contains("Simulated answer"));
        }
        for (number, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            // A value that is to be missing may break the schema with it; everything else is independent.
            let entangled = number == 0 && wanted == &Verdict::Pass;
            missed += u32::from(*found == Verdict::Fail);
            assert!(found == wanted || entangled, "seed {seed}, criterion {number} is {found}, not {wanted}: {text}");
        }
    }
    assert!(missed > 20);
}

#[test]
fn json_criteria_on_a_page_go_into_its_one_fenced_block() {
    for seed in 0..20 {
        let schema = json!({"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}});
        let call = request(
            seed,
            Tier::Cheap,
            criteria(
                json!([{"type": "json_schema", "schema": schema}, {"type": "json_path", "path": "$['ok']", "equals": true}]),
            ),
        );
        let text = reply_to(&call).text;
        assert_eq!(verdicts(&call, &text)[0], wanted(&call, 0), "{text}");
        assert!(text.contains("Simulated answer"));
    }
}

#[test]
fn a_tier_misses_criteria_at_about_its_rate() {
    for tier in Tier::ALL {
        let missed = (0..1_000).filter(|seed| wanted(&request(*seed, tier, Vec::new()), 0) == Verdict::Fail).count();
        let expected = failure_rate(tier) * 1_000.0;
        assert!((missed as f64 - expected).abs() < 50.0, "{tier}: {missed} of 1000");
    }
}

#[test]
fn a_judge_scores_every_sentence_by_the_same_rule() {
    let sentences = criteria(
        json!(["is good", {"type": "judge", "rubric": "is short", "threshold": 0.999}, {"type": "not", "criterion": "is rude"}]),
    );
    let asked = judge_call(&sentences, "task", "candidate").expect("there are sentences");
    let mut failed = 0;
    for seed in 0..100 {
        let mut call = request(seed, Tier::Cheap, asked.criteria.clone());
        call.context.purpose = Purpose::Judge;
        call.schema = Some(asked.schema.clone());
        let text = reply_to(&call).text;
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(schema_problems(&asked.schema.schema, &value, Edition::default()), Ok(vec![]));
        let scores = read_scores(&text, StopReason::End, 3, Edition::default());
        assert!(scores.iter().all(|score| matches!(score, Score::Given { .. })), "{text}");
        for (number, judged) in (0..).zip(judge(&asked.criteria, "", &Facts::default(), Scores::Given(&scores))) {
            assert_eq!((judged.verdict, judged.by), (wanted(&call, number), DecidedBy::Model), "{text}");
            failed += u32::from(judged.verdict == Verdict::Fail);
        }
    }
    assert!((60..150).contains(&failed), "{failed} of 300");
}

#[test]
fn an_answer_that_does_not_fit_is_cut_off() {
    let mut call = request(1, Tier::Premium, Vec::new());
    call.max_output_tokens = 20;
    let reply = reply_to(&call);
    assert_eq!((reply.stop, reply.usage.output), (StopReason::MaxTokens, 20));
    assert!(reply.text.chars().count() <= 80);
}

#[test]
fn scripted_replies_are_taken_in_order_while_they_last() {
    let simulated = scripted(
        r#"{"replies": [
            {"role": "other", "text": "never"},
            {"role": "code_reviewer", "attempt": 1, "tier": "cheap", "purpose": "work", "times": 2, "text": "first"},
            {"json": {"a": 1}, "stop": "stop_sequence"},
            {"tool_calls": [{"name": "read_file", "arguments": {"path": "x"}}]},
            {"stop": "refusal", "stop_details": "no"},
            {"stop": "max_tokens"}]}"#,
        0,
    );
    let call = request(1, Tier::Cheap, Vec::new());
    let replies: Vec<CallReply> = (0..7)
        .map(|_| match simulated.plan(&call).pop() {
            Some(Step::Reply(reply)) => reply,
            step => panic!("a reply expected: {step:?}"),
        })
        .collect();
    let whole = reply_to(&call).text;
    assert_eq!((replies[0].text.as_str(), replies[1].text.as_str()), ("first", "first"));
    assert_eq!((replies[2].text.as_str(), replies[2].stop), (r#"{"a":1}"#, StopReason::StopSequence));
    assert_eq!((replies[3].tool_calls[0].name.as_str(), replies[3].stop), ("read_file", StopReason::ToolUse));
    assert_eq!(
        (replies[4].text.as_str(), replies[4].stop, replies[4].stop_details.as_deref()),
        ("", StopReason::Refusal, Some("no"))
    );
    assert!(
        replies[5].stop == StopReason::MaxTokens && whole.starts_with(&replies[5].text) && replies[5].text.len() < whole.len()
    );
    assert_eq!(replies[6].text, whole);
}

#[test]
fn scripted_errors_are_tried_again_as_often_as_the_settings_say() {
    let script = r#"{"replies": [
        {"delay_ms": 5, "error": {"class": "rate_limit", "times": 2, "retry_after_ms": 7}, "text": "at last"},
        {"error": {"class": "server", "status": 529}},
        {"error": {"class": "auth", "message": "bad key"}}]}"#;
    let call = request(1, Tier::Cheap, Vec::new());
    let patient = scripted(script, 2);
    let steps = patient.plan(&call);
    let [Step::Wait(5), Step::Retry(first), Step::Wait(7), Step::Retry(second), Step::Wait(7), Step::Reply(reply)] =
        steps.as_slice()
    else {
        panic!("{steps:?}")
    };
    assert_eq!((first.failed_try, first.status, first.wait_ms, second.failed_try), (1, Some(429), 7, 2));
    assert_eq!(reply.text, "at last");
    let steps = patient.plan(&call);
    let [Step::Retry(_), Step::Retry(_), Step::Fail(failure)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((failure.class, failure.status, failure.retryable), (ErrorClass::Server, Some(529), true));
    let steps = patient.plan(&call);
    let [Step::Fail(failure)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((failure.class, failure.status, failure.message.as_str()), (ErrorClass::Auth, Some(401), "bad key"));
    let hasty = scripted(script, 1).plan(&call);
    assert!(matches!(hasty.as_slice(), [Step::Wait(5), Step::Retry(_), Step::Wait(7), Step::Fail(_)]), "{hasty:?}");
}

#[test]
fn a_broken_script_names_the_reply_and_the_problem() {
    for (text, part) in [
        ("{", "is not JSON"),
        ("[]", "one key, `replies`"),
        (r#"{"replies": [], "more": 1}"#, "one key, `replies`"),
        (r#"{"replies": [{"text": "a"}, {"txet": "a"}]}"#, "reply 2 of the script of simulated replies: unknown field `txet`"),
        (r#"{"replies": [{}]}"#, "reply 1 of the script of simulated replies: it has none of"),
        (r#"{"replies": [{"text": "a", "json": 1}]}"#, "exclude"),
        (r#"{"replies": [{"text": "a", "times": 0}]}"#, "`times`"),
        (r#"{"replies": [{"text": "a", "error": {"class": "server"}}]}"#, "never reached"),
        (r#"{"replies": [{"error": {"class": "auth", "times": 1}, "text": "a"}]}"#, "not tried again"),
        (r#"{"replies": [{"error": {"class": "no such"}}]}"#, "unknown variant"),
        (r#"{"replies": [{"text": "a", "stop_details": "x"}]}"#, "`stop_details`"),
        (r#"{"replies": [{"error": {"class": "server", "status": 42}}]}"#, "HTTP status"),
    ] {
        let problem = Script::parse(text).expect_err(text).to_string();
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn the_schema_of_scripts_is_the_one_in_the_repository() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Script)).expect("a schema is JSON") + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/simulated.schema.json");
    if std::env::var_os("MENO_BLESS").is_some() {
        std::fs::write(&path, &schema).expect("schemas/ can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == schema, "schemas/simulated.schema.json is not what the types say; run the tests with MENO_BLESS=1");
}

/// A prompt with two files and, behind them, the outputs of others.
fn with_material(task: &str, outputs: &[(&str, &str)]) -> String {
    const FILES: [(&str, &str); 2] = [
        ("shop/db.py", "def find(db, name):\n    return db.execute(f\"SELECT id FROM users WHERE name = '{name}'\")\n"),
        ("src/lib.rs", "/// Reads.\npub fn read(x: &str) -> u8 {\n    // TODO: negative numbers\n    x.parse().unwrap()\n}\n"),
    ];
    let mut prompt = format!("# Task\n\n{task}\n\nSource:\nthe material `source` below\n\n# Material: source\n");
    for (name, text) in FILES {
        prompt +=
            &format!("\n<file name=\"{name}\" mark=\"0123456789ab\">\n{}\n</file mark=\"0123456789ab\">\n", text.trim_end());
    }
    for (role, text) in outputs {
        prompt += &format!(
            "\n# Output of {role}\n\n<output role=\"{role}\" mark=\"0123456789ab\">\n{text}\n</output mark=\"0123456789ab\">\n"
        );
    }
    prompt
}

fn finding_schema() -> Value {
    json!({"type": "object", "required": ["summary", "material", "findings", "verdict"], "properties": {
        "summary": {"type": "string"},
        "material": {"type": "string", "enum": ["missing", "partial", "given"]},
        "findings": {"type": "array", "items": {"type": "object", "required": ["title", "severity", "where", "quote"], "properties": {
            "title": {"type": "string"}, "severity": {"type": "string", "enum": ["critical", "high", "medium", "low", "info"]},
            "where": {"type": "string"}, "quote": {"type": "string"}}}},
        "verdict": {"type": "string", "enum": ["unknown", "approve", "request changes"]}}})
}

#[test]
fn findings_stand_in_the_material() {
    for seed in 0..10 {
        let mut call = request(seed, Tier::Premium, Vec::new());
        call.prompt = with_material("Review it.", &[]);
        call.context.contract = contract(OutputFormat::Json, "One JSON object.", Some(finding_schema()));
        let value: Value = serde_json::from_str(&reply_to(&call).text).expect("JSON");
        let found: Vec<(&str, &str)> = value["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|it| (it["where"].as_str().expect("a place"), it["severity"].as_str().expect("a severity")))
            .collect();
        assert_eq!(found, [("shop/db.py:2", "high"), ("src/lib.rs:4", "medium"), ("src/lib.rs:3", "low")]);
        assert_eq!((&value["material"], &value["verdict"]), (&json!("given"), &json!("request changes")));
        let summary = value["summary"].as_str().expect("a summary");
        assert!(summary.contains("no model was called") && summary.contains("2 files with 7 lines"), "{summary}");
    }
}

#[test]
fn without_material_nothing_is_found() {
    let mut call = request(3, Tier::Premium, Vec::new());
    call.prompt = "# Task\n\nReview it.\n\n(the material `source` was not given)\n".to_owned();
    call.context.contract = contract(OutputFormat::Json, "One JSON object.", Some(finding_schema()));
    let value: Value = serde_json::from_str(&reply_to(&call).text).expect("JSON");
    assert_eq!((&value["material"], &value["findings"], &value["verdict"]), (&json!("missing"), &json!([]), &json!("unknown")));
    assert!(value["summary"].as_str().expect("a summary").contains("--input source=PATH"), "{value}");
}

#[test]
fn a_criterion_with_alternatives_leaves_a_true_answer_as_it_is() {
    let any = json!([{"type": "any", "criteria": [
        {"type": "json_path", "path": "$.material", "equals": "missing"},
        {"type": "json_path", "path": "$.findings[0]", "exists": false},
        {"type": "cites_inputs"}]}]);
    let mut passed = 0;
    for seed in 0..20 {
        let mut call = request(seed, Tier::Premium, criteria(any.clone()));
        call.prompt = with_material("Review it.", &[]);
        call.context.input_files = vec![("shop/db.py".to_owned(), 2), ("src/lib.rs".to_owned(), 5)];
        call.context.contract = contract(OutputFormat::Json, "One JSON object.", Some(finding_schema()));
        let text = reply_to(&call).text;
        if wanted(&call, 0) == Verdict::Pass {
            passed += 1;
            let value: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!((&value["material"], verdicts(&call, &text)), (&json!("given"), vec![Verdict::Pass]));
        }
    }
    assert!(passed > 10);
}

#[test]
fn a_decision_follows_from_what_others_said() {
    let decide = |outputs: &[(&str, &str)]| {
        let pattern = r"(Go\.|Go with conditions\.|No go\.)";
        let mut call = request(1, Tier::Premium, criteria(json!([{"type": "regex", "pattern": pattern}])));
        assert_eq!(wanted(&call, 0), Verdict::Pass);
        let (_, said) =
            with_material("", outputs).split_once("\n# Output").map(|(a, b)| (a.len(), b.to_owned())).expect("outputs");
        call.prompt = format!("# Task\n\nDecide.\n\n# Output{said}");
        call.context.contract = contract(OutputFormat::Markdown, "Markdown with `## Conclusion`, `## Evidence`.", None);
        let text = reply_to(&call).text;
        ["No go.", "Go with conditions.", "Go."].into_iter().find(|words| text.contains(words)).map(str::to_owned)
    };
    let clean = r#"{"material": "given", "findings": [], "verdict": "unknown"}"#;
    let bad = r#"{"material": "given", "findings": [{"severity": "high", "title": "x", "where": "a.py:1"}]}"#;
    let missing = r#"{"material": "missing", "findings": [], "verdict": "unknown"}"#;
    assert_eq!(decide(&[("a", clean), ("b", clean)]).as_deref(), Some("Go with conditions."));
    assert_eq!(decide(&[("a", clean), ("b", bad)]).as_deref(), Some("No go."));
    let failed = r#"{"material": "given", "findings": [], "verdict": "fail"}"#;
    assert_eq!(decide(&[("a", clean), ("tester", failed)]).as_deref(), Some("No go."));
    assert_eq!(decide(&[("a", missing), ("b", missing)]).as_deref(), Some("No go."));
    assert_eq!(decide(&[("a", clean), ("b", missing)]).as_deref(), Some("Go with conditions."));
}

#[tokio::test]
async fn performing_tells_of_retries_and_ends_with_the_reply() {
    let simulated =
        scripted(r#"{"replies": [{"delay_ms": 1, "error": {"class": "connection", "times": 1}, "text": "late"}]}"#, 1);
    let mut retries = Vec::new();
    let steps = simulated.plan(&request(1, Tier::Cheap, Vec::new()));
    let end = perform(steps, &CancellationToken::new(), |retry| retries.push(retry.class)).await;
    assert_eq!(end.and_then(Result::ok).map(|reply| reply.text).as_deref(), Some("late"));
    assert_eq!(retries, [ErrorClass::Connection]);
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once_without_a_reply() {
    // An hour: the test ends only because waiting is given up.
    let simulated = Simulated::new(3_600_000, 0, Script::default());
    let cancel = CancellationToken::new();
    let call = request(1, Tier::Cheap, Vec::new());
    let stop = async { cancel.cancel() };
    let (end, ()) = tokio::join!(perform(simulated.plan(&call), &cancel, |_| {}), stop);
    assert_eq!(end, None);
    assert_eq!(perform(vec![], &cancel, |_| {}).await.map(|end| end.is_err()), Some(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_call_is_answered_whatever_it_asks(
        seed: u64,
        prompt in ".{0,80}",
        text in prop_oneof!["[ -~]{0,30}", r"(\(\?m\))?\^?[a-z#\[\]\\dw.*+?{}0-9 |]{0,20}\$?"],
        path in r"\$(\.[a-z]{1,3}|\[[0-9*]\]|\.\.b|\['x'\]){0,4}",
        lines in 0u64..5,
        words in 0u64..800,
        as_json: bool,
    ) {
        let mut call = request(seed, Tier::Cheap, criteria(json!([
            {"type": "contains", "value": text}, {"type": "regex", "pattern": text}, {"type": "json_path", "path": path, "min": 3},
            {"type": "json_schema", "schema": {"properties": {text.clone(): {"pattern": text, "maxLength": words}}}},
            {"type": "max_words", "value": words}, {"type": "min_words", "value": words}, {"type": "cites_inputs"}
        ])));
        call.prompt = prompt;
        call.context.input_files = vec![(text.clone(), lines)];
        call.context.contract = contract(if as_json { OutputFormat::Json } else { OutputFormat::Markdown }, &text, None);
        let reply = reply_to(&call);
        prop_assert!(!reply.text.trim().is_empty());
        if as_json {
            prop_assert!(serde_json::from_str::<Value>(&reply.text).is_ok() || reply.stop == StopReason::MaxTokens);
        } else {
            prop_assert!(reply.text.contains("Simulated answer"));
        }
    }

    #[test]
    fn what_is_made_for_a_pattern_matches_it(pattern in r"[a-c]{0,3}(\[[a-z]-z\]|\\d|\\w|\.|\([a-c]{1,2}\|x\)|[a-z])([*+?]|\{2,4\})?[A-C]{0,2}") {
        let Ok(regex) = regex::Regex::new(&pattern) else { return Ok(()) };
        for variant in 0..4 {
            let found = matching::matching(&pattern, variant).expect("a short pattern");
            prop_assert!(regex.is_match(&found.text), "{pattern}: {}", found.text);
        }
    }
}
