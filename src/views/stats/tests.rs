//! The laws of the sums: whatever was resumed in between, they are those of the runs as they ended.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::answers::{AnswerKey, AnswerRow, LastRow, QuestionRow};
use super::associations::{FollowRow, PairRow};
use super::criteria::{CriterionKey, CriterionRow};
use super::outcomes::{OutcomeRow, RunFact};
use super::patterns::{PatternKey, PatternRow};
use super::*;
use crate::domain::event::*;
pub(crate) use crate::views::rows::MapRows;
use crate::views::sample::{self, recorded};

fn fold(events: &[Recorded]) -> MapRows {
    let mut rows = MapRows::default();
    events.iter().for_each(|event| Memory.apply(&mut rows, event).unwrap());
    rows
}

fn only<T: serde::de::DeserializeOwned>(rows: &MapRows, begin: &Key) -> Vec<(Vec<u8>, T)> {
    let (from, to) = (begin.clone().finish(), begin.end().unwrap());
    rows.0.range(from..to).map(|(key, row)| (key.clone(), rows::read(row).unwrap())).collect()
}

fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

/// Gives events to runs in turn, in one log.
pub(crate) fn log(events: Vec<(u8, Event)>) -> Vec<Recorded> {
    let place = |(seq, (number, event)): (u64, (u8, Event))| {
        let mut recorded = recorded(seq, event);
        recorded.envelope.run = Some(run(number));
        recorded
    };
    (1..).zip(events).map(place).collect()
}

fn failed() -> Event {
    RunFailed { reason: RunFailure::AgentFailed, private: Some(RunFailedPrivate { message: "x".into() }) }.into()
}

pub(crate) fn imported(agent: u32, attempt: u32, passed: bool, usage: bool) -> Event {
    AttemptImported {
        agent,
        attempt,
        tier: Tier::Capable,
        provider: None,
        model: Some("m".into()),
        passed,
        usage: usage.then(sample::usage),
        duration_ms: Some(70),
        private: Some(AttemptImportedPrivate { output: None, failed_criteria: vec!["no lint errors".into()] }),
    }
    .into()
}

pub(crate) fn any_log() -> impl Strategy<Value = Vec<Recorded>> {
    let event = prop_oneof![
        6 => sample::any_event(),
        1 => Just(failed()),
        1 => (0u32..3, 1u32..4, any::<bool>(), any::<bool>()).prop_map(|(agent, attempt, passed, usage)| imported(agent, attempt, passed, usage)),
        1 => "[ab]".prop_map(|value| sample::answer("package_name", &format!("[\"{value}\", \"c\"]"))),
    ];
    let event = (0u8..4, event);
    proptest::collection::vec(event, 0..60).prop_map(|mut events| {
        for number in 0..4 {
            events.insert(usize::from(number), (number, started(number)));
        }
        log(events)
    })
}

fn started(number: u8) -> Event {
    let Event::RunStarted(mut body) = sample::started() else { unreachable!("it is a start") };
    body.mode = [Mode::Simulated, Mode::Real, Mode::Imported][usize::from(number % 3)];
    body.into()
}

#[test]
fn what_another_system_says_of_criteria_is_why_its_agent_failed() {
    let gave_up = |agent| AgentFailed { agent, reason: FailureReason::Imported, private: None }.into();
    let end: Event = RunFailed { reason: RunFailure::Imported, private: None }.into();
    let Event::AttemptImported(mut silent) = imported(1, 1, false, true) else { unreachable!("it is an attempt") };
    silent.private = Some(AttemptImportedPrivate { output: None, failed_criteria: Vec::new() });
    let events = [
        started(2),
        sample::planned(0, "linter", None),
        sample::planned(1, "auditor", None),
        imported(0, 1, false, true),
        silent.into(),
        gave_up(0),
        gave_up(1),
        end,
    ];
    let rows = fold(&log(events.into_iter().map(|event| (2, event)).collect()));
    let outcomes: Vec<(_, OutcomeRow)> = only(&rows, &OutcomeRow::of(None));
    let why = |role: &str, reason: &str| ((role.to_owned(), reason.to_owned()), 1);
    assert_eq!(outcomes[0].1.failures, BTreeMap::from([why("linter", "criteria"), why("auditor", "imported")]));
}

#[test]
fn a_run_counts_when_it_ends_with_its_attempts_criteria_and_answers() {
    let story = sample::story();
    let rows = fold(&story);
    let outcomes: Vec<(_, OutcomeRow)> = only(&rows, &OutcomeRow::of(Some("release_prep")));
    let [(key, outcome)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(OutcomeRow::read_key(key), Some(("release_prep".into(), Mode::Simulated)));
    assert_eq!((outcome.ends.succeeded, outcome.cost_known, outcome.cost.count()), (1, 15_500_000, 1));
    assert_eq!((outcome.climbs, outcome.climbed_agents, outcome.climb_cost), (1, 1, 2_000_000));
    let patterns: Vec<(_, PatternRow)> = only(&rows, &PatternKey::of(Some("release_prep")));
    let read: Vec<_> = patterns
        .iter()
        .map(|(key, row)| {
            let key = PatternKey::read(key).unwrap();
            (key.role, key.tier, key.model, row.passed, row.failed, row.cost.sum(), row.escalated)
        })
        .collect();
    let small = || "sim-small".to_owned();
    assert_eq!(
        read,
        [
            ("linter".into(), Tier::Cheap, small(), 0, 1, 2_000_000, 1),
            ("linter".into(), Tier::Capable, small(), 1, 0, 10_500_000, 0),
            ("auditor".into(), Tier::Cheap, small(), 1, 0, 3_000_000, 0),
        ]
    );
    assert_eq!(patterns[0].1.reasons, BTreeMap::from([("criteria".to_owned(), 1)]));
    let criteria: Vec<(_, CriterionRow)> = only(&rows, &CriterionKey::of(None));
    assert_eq!((criteria[0].1.passed, criteria[0].1.failed, criteria[0].1.caught_alone), (1, 1, 1));
    let answers: Vec<(_, AnswerRow)> = only(&rows, &AnswerKey::of("release_prep"));
    let values: Vec<_> = answers.iter().map(|(key, _)| AnswerKey::read(key).unwrap().value).collect();
    assert_eq!(values, ["\"ACME Corp\"", "\"demo\""], "and nothing of the token");
    let drafts = only::<RunStats>(&rows, &Key::new(KIND_DRAFT));
    assert!(drafts.is_empty());
    assert!(!rows.0.keys().any(|key| key.windows(5).any(|part| part == b"token")));
}

#[test]
fn an_imported_run_counts_each_failed_criterion_once_and_no_duration_that_its_record_does_not_give() {
    let verdict: Event = CriterionJudged {
        agent: 0,
        attempt: 1,
        criterion: 0,
        verdict: Verdict::Fail,
        score: None,
        by: JudgedBy::Nobody,
        private: Some(CriterionJudgedPrivate { name: "no lint errors".into(), evidence: String::new() }),
    }
    .into();
    let mut story = log(vec![(2, started(2)), (2, imported(0, 1, false, true)), (2, verdict), (2, failed())]);
    story[0].envelope.occurred_at = Some(1_000_000_000);
    let rows = fold(&story);
    let criteria: Vec<(_, CriterionRow)> = only(&rows, &CriterionKey::of(None));
    assert_eq!(criteria.iter().map(|(_, row)| row.failed).sum::<u64>(), 1);
    let facts: Vec<(_, RunFact)> = only(&rows, &RunFact::of("release_prep"));
    assert_eq!(facts[0].1.duration_ms, None);
    let outcomes: Vec<(_, OutcomeRow)> = only(&rows, &OutcomeRow::of(Some("release_prep")));
    assert_eq!((outcomes[0].1.duration.count(), outcomes[0].1.ends.failed), (0, 1));
    story[3].envelope.occurred_at = Some(3_500_000_000);
    assert_eq!(only::<RunFact>(&fold(&story), &RunFact::of("release_prep"))[0].1.duration_ms, Some(2500));
}

#[test]
fn a_criterion_that_failed_elsewhere_counts_once_however_often_it_is_told() {
    let told = [
        (1, sample::started()),
        (1, sample::planned(0, "linter", None)),
        (1, imported(0, 1, false, false)),
        (1, sample::judged(0, 1, 0, Verdict::Fail)),
        (1, sample::succeeded()),
    ];
    let rows = fold(&log(told.to_vec()));
    let criteria: Vec<(_, CriterionRow)> = only(&rows, &CriterionKey::of(None));
    assert_eq!((criteria.len(), criteria[0].1.failed, criteria[0].1.caught_alone), (1, 1, 1));
}

#[test]
fn half_a_half_life_of_age_is_a_root_of_a_half() {
    let mut row = PatternRow::default();
    row.days.insert(100, patterns::DayAttempts { passed: 4, unverified: 2, failed: 1 });
    row.days.insert(300, patterns::DayAttempts { passed: 0, unverified: 0, failed: 1 });
    let (passed, failed) = row.decayed(190, 90.0, false);
    assert!((passed - 2.0).abs() < 1e-12 && (failed - 1.5).abs() < 1e-12, "{passed} {failed}");
    assert_eq!(row.decayed(190, 0.0, true), (6.0, 2.0));
}

#[test]
fn a_template_run_within_a_day_of_another_follows_it() {
    let begin = |number: u8, template: &str, hours: i64| {
        let Event::RunStarted(mut body) = sample::started() else { unreachable!("it is a start") };
        body.template_id = template.into();
        let mut recorded = recorded(1, body);
        recorded.envelope.run = Some(run(number));
        recorded.envelope.at = hours * 3_600_000_000_000;
        recorded
    };
    let rows = fold(&[begin(1, "a", 0), begin(2, "b", 5), begin(3, "b", 25), begin(4, "a", 80), begin(5, "b", 3)]);
    let pairs: Vec<(_, PairRow)> = only(&rows, &PairRow::of(Mode::Simulated, "a"));
    assert_eq!(pairs.len(), 1);
    assert_eq!((pairs[0].1.runs, pairs[0].1.evidence.runs()), (1, vec![run(2)]));
    let all: FollowRow = rows::read(&rows.get(&FollowRow::key(Mode::Simulated, "")).unwrap()).unwrap();
    assert_eq!(all.runs, 4, "one came out of order");
}

#[test]
fn values_beyond_the_limit_count_together() {
    let mut events = Vec::new();
    for number in 0..130u8 {
        events.push((number, started(1)));
        events.push((number, sample::answer("package_name", &format!("\"p{number}\""))));
        events.push((number, sample::succeeded()));
    }
    let rows = fold(&log(events));
    let asked: Vec<(_, QuestionRow)> = only(&rows, &QuestionRow::of("release_prep"));
    assert_eq!((asked[0].1.values, asked[0].1.others, asked[0].1.ends.total()), (100, 30, 130));
    let last: Vec<(_, LastRow)> = only(&rows, &LastRow::of("release_prep"));
    assert_eq!(last[0].1.0[0].value, "\"p129\"");
}

proptest! {
    #[test]
    fn the_sums_are_those_of_the_runs_as_they_stand(events in any_log()) {
        let kept = fold(&events);
        // By hand: each run's draft, ended for good by a success or as it was left.
        let mut drafts: BTreeMap<RunId, RunStats> = BTreeMap::new();
        let mut closed: Vec<(RunId, RunStats)> = Vec::new();
        for event in &events {
            let run = event.envelope.run.unwrap();
            match drafts.get_mut(&run) {
                None => drops(drafts.insert(run, match RunStats::begin(event) { Some(draft) => draft, None => continue })),
                Some(draft) => {
                    draft.apply(event);
                    let ended = draft.ended.map(|ended| ended.status);
                    if ended == Some(RunStatus::Succeeded) || (ended.is_some() && draft.imported) {
                        closed.extend(drafts.remove(&run).map(|draft| (run, draft)));
                    }
                }
            }
        }
        let mut expected = MapRows::default();
        for (run, draft) in closed.iter().map(|(run, draft)| (*run, draft)).chain(drafts.iter().map(|(run, draft)| (*run, draft))) {
            count(&mut expected, run, draft, Sign::In).unwrap();
        }
        let sums = |rows: &MapRows| -> Vec<(Vec<u8>, Vec<u8>)> {
            let of_sums = |key: &[u8]| [outcomes::KIND, outcomes::KIND_RUN, patterns::KIND, criteria::KIND].contains(&key[0]);
            rows.0.iter().filter(|(key, _)| of_sums(key)).map(|(key, row)| (key.clone(), row.clone())).collect()
        };
        prop_assert_eq!(sums(&kept), sums(&expected));
        let answers = |rows: &MapRows| -> Vec<(Vec<u8>, AnswerRow)> {
            only::<AnswerRow>(rows, &AnswerKey::of("release_prep")).into_iter().filter(|(_, row)| row.ends.total() > 0).collect()
        };
        prop_assert_eq!(answers(&kept), answers(&expected));
        let facts: Vec<(_, RunFact)> = only(&kept, &RunFact::of("release_prep"));
        let money: u128 = only::<OutcomeRow>(&kept, &OutcomeRow::of(None)).iter().map(|(_, row)| row.cost_known).sum();
        prop_assert_eq!(facts.iter().map(|(_, fact)| u128::from(fact.cost)).sum::<u128>(), money);
    }

    #[test]
    fn any_events_are_taken_in_without_private_parts_too(events in any_log()) {
        let mut rows = MapRows::default();
        for mut event in events {
            sample::forget(&mut event.event);
            prop_assert_eq!(Memory.apply(&mut rows, &event), Ok(()));
        }
    }
}

fn drops<T>(_: T) {}
