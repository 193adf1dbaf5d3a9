//! What the Python system wrote, and what of it cannot be taken.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{find, read_line, read_run};
use crate::domain::event::{Event, Mode};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::redact::Redactor;
use crate::domain::tier::{Strategy, Tier};
use crate::lake::skipped::Skipped;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peer")
}

#[test]
fn a_run_is_what_its_folder_says_and_a_mock_one_is_marked() {
    let mut skipped = Skipped::default();
    let found = find(&data(), &mut skipped).unwrap();
    assert_eq!((found.runs.len(), found.usage.len()), (2, 2));
    assert_eq!(skipped.named.len(), 1, "the template lies in no folder of templates: {skipped:?}");
    for dir in &found.runs {
        let run = read_run(dir, &TimeZone::UTC).unwrap();
        assert!(run.is_simulated && run.notices.is_empty(), "{:?}", run.notices);
        assert_eq!(run.run.labels["simulated"], "true");
        let costs: u64 = run.run.agents.iter().flat_map(|agent| &agent.attempts).filter_map(|it| it.cost).map(|it| it.0).sum();
        assert_eq!((run.run.agents.len(), costs), (6, 1_050_000_000), "a sum of binary numbers is not 1.05");
        assert_eq!(run.run.answers["quality_checks"], json!(["Linting (ruff)", "Security scan (bandit)"]));
        assert!(run.run.ended_at.unwrap() > run.run.started_at && run.run.report.is_some());
        let converted = run.convert(&Redactor::default());
        let mut planned = converted.events.iter().filter_map(|(event, _)| match event {
            Event::AgentPlanned(body) => Some((body.role.as_str(), body.base.as_str(), body.strategy)),
            _ => None,
        });
        assert_eq!(planned.next_back().unwrap(), ("publisher", "generic", Strategy::CapableFirst));
        assert!(matches!(&converted.events[0].0, Event::RunStarted(body) if body.mode == Mode::Simulated && body.is_imported()));
    }
}

/// Writes a run's folder and reads it.
fn read(change: impl FnOnce(&mut Value)) -> Result<super::run::PeerRun, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut result = json!({"run_id": "r-1", "template_id": "t", "timestamp": "2026-11-22T16:21:32.4", "success": false,
        "form_responses": {"responses": {}, "timestamp": "2026-11-22T16:21:31"}, "total_cost": 0.1, "error": null,
        "agents_created": [{"agent_id": "a", "role": "r", "base_template": "b", "tier_strategy": "progressive", "tools": [],
            "config": {}, "success_criteria": []}],
        "agent_results": [{"agent_id": "a", "role": "r", "success": false, "cost": 0.1, "duration": 1.5, "tier_used": "premium",
            "output": {"message": "sorry", "model": "o1"}, "error": "it broke"}]});
    change(&mut result);
    fs::write(dir.path().join("result.json"), result.to_string()).unwrap();
    read_run(dir.path(), &TimeZone::UTC)
}

#[test]
fn what_a_folder_does_not_say_is_not_known_and_what_is_wrong_has_a_reason() {
    let run = read(|_| {}).unwrap();
    assert_eq!(run.run.agents[0].attempts.len(), 1, "tiers tried before the last are not known");
    let attempt = &run.run.agents[0].attempts[0];
    assert_eq!((attempt.tier, attempt.cost, attempt.duration_ms), (Tier::Premium, Some(NanoUsd(100_000_000)), Some(1500)));
    assert_eq!((attempt.model.as_deref(), attempt.provider.as_deref(), attempt.input_tokens), (Some("o1"), None, None));
    assert!(!run.is_simulated);
    let run = run.convert(&Redactor::default());
    assert!(run.events.iter().any(|(event, _)| matches!(event, Event::AgentFailed(body)
        if body.private.as_ref().unwrap().message == "it broke")));

    let null = read(|result| result["agent_results"][0]["cost"] = Value::Null).unwrap();
    assert_eq!(null.run.agents[0].attempts[0].cost, None, "no cost is not zero");
    let broken = read(|result| result["agent_results"][0]["tier_used"] = json!("error")).unwrap();
    assert!(broken.run.agents[0].attempts.is_empty());
    assert_eq!(broken.notices.len(), 1, "{:?}", broken.notices);
    let costs = |run: super::run::PeerRun| {
        let events = run.convert(&Redactor::default()).events;
        events
            .iter()
            .filter_map(|(event, _)| if let Event::CostIncurred(body) = event { body.amount } else { None })
            .sum::<NanoUsd>()
    };
    assert_eq!(costs(broken), NanoUsd(100_000_000), "what an agent of no known tier cost is a part of the whole");
    type Break = fn(&mut Value);
    let reasons: [(&str, Break); 6] = [
        ("`cost` is no number", |result| result["agent_results"][0]["cost"] = json!("0.1")),
        ("not between", |result| result["agent_results"][0]["cost"] = json!(-1)),
        ("`run_id` is missing", |result| result["run_id"] = Value::Null),
        ("`agent_results` is no list", |result| result["agent_results"] = json!("none")),
        ("`timestamp` is no time", |result| result["timestamp"] = json!("yesterday")),
        ("`success` is neither", |result| result["agent_results"][0]["success"] = json!("yes")),
    ];
    for (reason, change) in reasons {
        let why = read(change).unwrap_err();
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn a_cut_off_folder_and_files_of_other_kinds_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let run = |name: &str, text: &[u8]| {
        fs::create_dir_all(at(name)).unwrap();
        fs::write(at(name).join("config.json"), "{}").unwrap();
        fs::write(at(name).join("form_responses.json"), "{}").unwrap();
        if !text.is_empty() {
            fs::write(at(name).join("result.json"), text).unwrap();
        }
    };
    run("executions/a", b"");
    run("executions/b", b"{\"run_id\": \"r");
    run("executions/c", b"\xff\xfe");
    run("executions/d", "[".repeat(100_000).as_bytes());
    fs::write(at("memory_pattern.json"), "{}").unwrap();
    let mut skipped = Skipped::default();
    let found = find(dir.path(), &mut skipped).unwrap();
    assert_eq!((found.runs.len(), skipped.named.len()), (4, 1));
    let why: Vec<String> = found.runs.iter().map(|run| read_run(run, &TimeZone::UTC).unwrap_err()).collect();
    for (why, word) in why.iter().zip(["no result.json", "not JSON", "not UTF-8", "not JSON"]) {
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn a_line_of_telemetry_is_one_call_or_has_a_reason() {
    for (file, calls, cost) in [("usage_4.2.0_after_patching_router.jsonl", 33, true), ("usage_16.4.0.jsonl", 18, false)] {
        let text = fs::read_to_string(data().join(file)).unwrap();
        let runs: Vec<_> = text.lines().map(|line| read_line(line.as_bytes()).unwrap().0).collect();
        let costs = runs.iter().map(|run| run.agents[0].attempts[&1][0].cost.unwrap());
        let told: f64 = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["cost"].as_f64().unwrap()).sum();
        assert_eq!((runs.len(), costs.sum::<NanoUsd>()), (calls, NanoUsd::from_usd(told).unwrap()), "{file}");
        assert_eq!(told > 0.0, cost);
    }
    let line = r#"{"ts": "2026-11-22T16:20:24Z", "workflow": "w", "tier": "PREMIUM", "cost": 0.5, "tokens": {"input": 10, "output": 5},
        "prompt_cache": {"hit": true, "read_tokens": 7, "creation_tokens": 3}, "duration_ms": 2000}"#;
    let (run, _) = read_line(line.as_bytes()).unwrap();
    let call = &run.agents[0].attempts[&1][0];
    let usage = TokenUsage { input: 10, output: 5, cache_read: 7, cache_write_5m: 3, ..TokenUsage::default() };
    assert_eq!((call.usage, call.tier, run.ended.unwrap() - run.started), (Some(usage), Some(Tier::Premium), 2_000_000_000));
    for (line, why) in [
        ("5", "no object"),
        ("{\"ts\": null}", "`ts` is missing"),
        ("{\"ts\": \"2026-11-22T16:20:24Z\", \"cost\": \"1\"}", "`cost` is no number"),
        ("{\"ts\": \"2026-11-22T16:20:24Z\", \"cost\": 1, \"tokens\": {\"input\": -3}}", "no count"),
    ] {
        assert!(read_line(line.as_bytes()).unwrap_err().contains(why), "{line}");
    }
    assert_eq!(
        read_line(b"{\"ts\": \"2026-11-22T16:20:24Z\", \"tokens\": null}").unwrap().0.agents[0].attempts[&1][0].usage,
        None
    );
}
