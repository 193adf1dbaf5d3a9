use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::event::{Event, Purpose, Recorded, RunCancelled, ToolFault, WriteUndone, WriteUndonePrivate};
use crate::views::sample::{self, inline};

fn fold(events: &[Recorded]) -> RunDetail {
    RunDetail::fold(events.iter(), &inline)
}

#[test]
fn the_story_of_a_run_has_every_field_that_programs_rely_on() {
    let detail = serde_json::to_value(fold(&sample::story())).unwrap();
    for (pointer, expected) in [
        ("/run_id", json!(sample::RUN)),
        ("/template_name", json!("Release preparation")),
        ("/status", json!("succeeded")),
        ("/verified", json!(true)),
        ("/mode", json!("simulated")),
        ("/started_at", json!("2026-11-22T16:21:31Z")),
        ("/duration_ms", json!(29_000)),
        ("/form_ms", json!(4_000)),
        ("/waited_ms", json!(0)),
        ("/cost_nusd", json!(15_500_000)),
        ("/cost_usd", json!("0.0155")),
        ("/verification_cost_nusd", json!(500_000)),
        ("/cost_complete", json!(true)),
        ("/tokens", json!({"input": 4000, "cache_read": 800, "cache_write": 136, "output": 2000, "reasoning": 400})),
        ("/answers", json!({"package_name": "demo", "customer": "ACME Corp", "token": null})),
        ("/sensitive", json!(["customer", "token"])),
        ("/labels", json!({"team": "core"})),
        ("/agents/0/role", json!("linter")),
        ("/agents/0/output", json!("All clean.")),
        ("/agents/0/tier", json!("capable")),
        ("/agents/0/duration_ms", json!(4_000)),
        ("/agents/0/attempts/0/status", json!("failed_criteria")),
        ("/agents/0/attempts/0/escalated_to", json!("capable")),
        ("/agents/0/attempts/0/output", json!("Line 3 is too long.")),
        ("/agents/0/attempts/0/calls/0/retries/0/status", json!(429)),
        ("/agents/0/attempts/1/model", json!("sim-small")),
        ("/agents/0/attempts/1/cost_nusd", json!(10_500_000)),
        ("/agents/0/attempts/1/verification_cost_nusd", json!(500_000)),
        ("/agents/0/attempts/1/calls/1/purpose", json!("judge")),
        ("/agents/1/role", json!("auditor[src]")),
        ("/skipped_rules/0/role", json!("publisher")),
        ("/escalations/0/failed_criteria", json!(["no lint errors"])),
        ("/notes/0/rating", json!(4)),
        ("/lineage", json!(null)),
        ("/events", json!(35)),
    ] {
        assert_eq!(detail.pointer(pointer), Some(&expected), "{pointer}");
    }
}

#[test]
fn what_was_forgotten_is_null_and_numbers_stay() {
    let mut events = sample::story();
    events.iter_mut().for_each(|recorded| sample::forget(&mut recorded.event));
    let detail = fold(&events);
    assert_eq!(detail.answers["package_name"], Value::Null);
    assert_eq!(detail.agents[0].output, None);
    assert_eq!(detail.report, None);
    assert!(detail.labels.is_empty());
    assert_eq!(detail.cost_nusd, 15_500_000);
    assert!(detail.forgotten_events > 10);
}

#[test]
fn a_call_that_is_open_lost_or_unpriced_makes_the_cost_incomplete_until_it_is_known() {
    use Purpose::Work;
    let begin = [sample::started(), sample::planned(0, "linter", None), sample::call_started(1, 0, 1, Work)];
    let with = |more: &[Event]| fold(&sample::stream(begin.iter().chain(more).cloned()));
    let paid = sample::cost(Some(1), 0, 1, Work, Some(5));

    assert!(!with(&[]).cost_complete);
    assert!(!with(&[sample::replied(1, "x")]).cost_complete);
    assert!(with(&[sample::replied(1, "x"), paid.clone()]).cost_complete);
    assert!(with(&[sample::call_failed(1)]).cost_complete);
    let lost = with(&[sample::lost(1)]);
    assert_eq!((lost.cost_complete, lost.lost_calls, lost.agents[0].cost_complete), (false, 1, false));
    assert!(with(&[sample::lost(1), sample::replied(1, "late"), paid]).cost_complete);
    let unpriced = with(&[sample::replied(1, "x"), sample::cost(Some(1), 0, 1, Work, None)]);
    assert_eq!((unpriced.cost_complete, unpriced.unpriced_calls, unpriced.cost_nusd), (false, 1, 0));
    assert_eq!(unpriced.agents[0].attempts[0].calls[0].cost_nusd, None);
}

#[test]
fn a_resumed_run_is_running_again_and_failed_agents_wait_for_their_turn() {
    let events = [
        sample::started(),
        sample::planned(0, "linter", None),
        sample::agent_failed(0),
        sample::suspended(SuspendReason::Interrupted),
    ];
    let before = fold(&sample::stream(events.clone()));
    assert_eq!((before.status, before.suspended_because), (RunStatus::Suspended, Some(SuspendReason::Interrupted)));
    assert_eq!(before.agents[0].status, AgentStatus::Failed);
    let after = fold(&sample::stream(events.into_iter().chain([sample::resumed(true)])));
    assert_eq!((after.status, after.suspended_because), (RunStatus::Running, None));
    assert_eq!((after.agents[0].status, after.agents[0].failure.clone()), (AgentStatus::Pending, None));
}

#[test]
fn a_run_that_is_cancelled_while_it_waits_does_not_wait_any_more() {
    let cancelled = Event::from(RunCancelled { private: None });
    let events = [sample::started(), sample::planned(0, "linter", None), sample::suspended(SuspendReason::Approval), cancelled];
    let after = fold(&sample::stream(events));
    assert_eq!((after.status, after.suspended_because), (RunStatus::Cancelled, None));
}

#[test]
fn masking_hides_sensitive_answers_wherever_the_team_repeats_them() {
    let detail = fold(&sample::story()).masked();
    assert_eq!(detail.answers["customer"], MASK);
    assert_eq!(detail.answers["package_name"], "demo");
    assert_eq!(detail.agents[0].config, Some(json!({"name": "demo", "for": "report for ***"})));
    assert_eq!(detail.agents[0].task.as_deref(), Some("Look at demo for ***."));
}

/// Older versions took a write for one that had happened when it had lost to another, and took it back.
#[test]
fn a_write_that_failed_has_no_files_and_is_not_undone() {
    let failed = Some((Some(ToolFault::Failed), "`a` was changed by somebody else meanwhile."));
    let undone = |tool_call| {
        let private = Some(WriteUndonePrivate { paths: vec!["a".to_owned()] });
        Event::from(WriteUndone { call: 1, tool_call, private })
    };
    let begin = [sample::started(), sample::attempt_started(0, 1, Tier::Cheap), sample::call_started(1, 0, 1, Purpose::Work)];
    let writes = [sample::write(1, 0, &["a"], Some((None, "done"))), sample::write(1, 1, &["a"], failed)].concat();
    let detail = fold(&sample::stream(begin.into_iter().chain(writes).chain([undone(1), undone(0)])));
    let tools = &detail.agents[0].attempts[0].calls[0].tools;
    let seen: Vec<_> = tools.iter().map(|tool| (tool.files.len(), tool.undone.len())).collect();
    assert_eq!(seen, [(1, 1), (0, 0)]);
}

proptest! {
    #[test]
    fn rows_add_up_to_totals_whatever_the_events(events in proptest::collection::vec(sample::any_event(), 0..60)) {
        let events = sample::stream(events);
        let detail = fold(&events);
        let paid: u64 = events.iter().filter_map(|recorded| match &recorded.event {
            Event::CostIncurred(body) => body.amount,
            _ => None,
        }).map(|amount| amount.0).sum();
        prop_assert_eq!(detail.cost_nusd, paid);
        prop_assert_eq!(detail.agents.iter().map(|agent| agent.cost_nusd).sum::<u64>(), paid);
        prop_assert_eq!(detail.agents.iter().flat_map(|agent| &agent.attempts).map(|attempt| attempt.cost_nusd).sum::<u64>(), paid);
        let known = detail.agents.iter().all(|agent| agent.cost_complete);
        prop_assert!(known || !detail.cost_complete, "an agent knows less than the run");
        prop_assert_eq!(detail.costs_by_tier.iter().map(|row| row.cost_nusd).sum::<u64>(), paid);
        prop_assert_eq!(detail.agents.iter().map(|agent| agent.tokens.output).sum::<u64>(), detail.tokens.output);
        let json = serde_json::to_string(&detail).unwrap();
        prop_assert_eq!(serde_json::from_str::<RunDetail>(&json).unwrap(), detail);
    }

    #[test]
    fn looking_in_between_changes_nothing(events in proptest::collection::vec(sample::any_event(), 0..40), at in 0usize..40) {
        let events = sample::stream(events);
        let at = at.min(events.len());
        let mut pieces = Fold::default();
        events[..at].iter().for_each(|recorded| pieces.apply(recorded, &inline));
        let seen = pieces.clone().finish();
        prop_assert_eq!(seen, fold(&events[..at]));
        events[at..].iter().for_each(|recorded| pieces.apply(recorded, &inline));
        prop_assert_eq!(pieces.finish(), fold(&events));
    }
}
