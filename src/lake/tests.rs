//! A line becomes events, and the events tell what the line says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::convert::{Converted, convert, run_status, status};
use super::form::{ImportedAgent, ImportedAttempt, ImportedNote, ImportedRun};
use super::read::{Problem, line};
use crate::domain::event::{Envelope, Event, Mode, Recorded, Verdict};
use crate::domain::ids::Hash;
use crate::domain::money::NanoUsd;
use crate::domain::redact::Redactor;
use crate::domain::tier::Tier;
use crate::views::Projection;
use crate::views::costs::{self, CostRow, Costs};
use crate::views::rows::{self, MapRows};
use crate::views::run_detail::RunDetail;
use crate::views::run_list::RunRow;
use crate::views::status::{AgentStatus, RunStatus};
use crate::views::{sample::inline, utc};

/// When tests import: long after everything that they import.
const NOW: i64 = 1_900_000_000_000_000_000;

fn small() -> Value {
    json!({"run_id": "a-1", "template_id": "code_review", "started_at": "2026-10-01T09:30:00Z", "agents": [
        {"role": "reviewer", "attempts": [{"tier": "cheap", "passed": true, "cost_usd": 0.0042}]}]})
}

#[track_caller]
fn good(value: &Value) -> ImportedRun {
    line(value.to_string().as_bytes()).unwrap().0
}

/// Changes the small line at `pointer` and returns what is wrong with it then.
#[track_caller]
fn wrong(pointer: &str, value: Value) -> Problem {
    let mut changed = small();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    changed.pointer_mut(parent).unwrap()[name] = value;
    let mut problems = line(changed.to_string().as_bytes()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

/// Places the events as the log would.
fn recorded(converted: &Converted) -> Vec<Recorded> {
    let place = |(version, (event, occurred_at)): (u64, &(_, _))| Recorded {
        envelope: Envelope { seq: version, run: Some(converted.id), version, at: NOW, occurred_at: *occurred_at, cause: None },
        hash: Hash::default(),
        event: Clone::clone(event),
    };
    (1..).zip(&converted.events).map(place).collect()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z äß.,]{1,30}", Just("日本語\n\"quoted\" \u{1b}[2J".to_owned()), "[a-z ]{0,40}\\PC"]
}

fn attempts() -> impl Strategy<Value = ImportedAttempt> {
    let tier = prop::sample::select(Tier::ALL.to_vec());
    let count = || prop::option::of(0..1_000_000_000u64);
    let names = (prop::option::of("[a-z]{1,9}"), prop::option::of("[a-z0-9.-]{1,9}"));
    let failed = prop::collection::hash_set("[a-z ]{1,8}[a-z]", 0..3);
    let cost = prop::option::of((0..=1_000_000_000_000_000u64).prop_map(NanoUsd));
    (tier, names, any::<bool>(), cost, count(), count(), count(), prop::option::of(texts()), failed).prop_map(
        |(tier, (provider, model), passed, cost, input_tokens, output_tokens, duration_ms, output, failed)| ImportedAttempt {
            tier,
            provider,
            model,
            passed,
            cost,
            input_tokens,
            output_tokens,
            duration_ms,
            output,
            failed_criteria: failed.into_iter().collect(),
        },
    )
}

fn runs() -> impl Strategy<Value = ImportedRun> {
    let agent_status = prop::option::of(prop::sample::select(AgentStatus::ALL.to_vec()));
    let agent = ("[a-z ]{0,20}[a-z]", prop::option::of(texts()), agent_status, prop::collection::vec(attempts(), 0..4))
        .prop_map(|(role, task, status, attempts)| ImportedAgent { role, task, status, attempts });
    let note = (texts(), prop::option::of(1..=5u8), prop::collection::vec("[a-z]{1,8}", 0..3), prop::option::of(0..NOW))
        .prop_map(|(text, rating, tags, at)| ImportedNote { text, rating, tags, at });
    let value = prop_oneof![Just(json!(true)), Just(json!(["a", 1])), "[a-z]{0,9}".prop_map(Value::from), Just(json!(2.5))];
    let maps = (
        prop::collection::vec(("[a-z]{1,6}", "[a-z]{0,9}"), 0..3),
        prop::collection::vec(("[a-z_]{1,9}", value), 0..3),
        prop::option::of("[a-z0-9-]{1,12}"),
        "[a-z_]{1,20}",
    );
    let status = prop::option::of(prop::sample::select(RunStatus::ALL.to_vec()));
    let rest = (prop::option::of(texts()), prop::collection::vec(note, 0..3), prop::collection::vec(agent, 0..4));
    (maps, 0..NOW, prop::option::of(0..10_000_000_000_000i64), status, rest).prop_map(
        |((labels, answers, run_id, template_id), started_at, took, status, (report, notes, agents))| ImportedRun {
            run_id,
            template_id,
            started_at,
            ended_at: took.map(|took| started_at + took),
            status,
            labels: labels.into_iter().collect(),
            answers: answers.into_iter().collect(),
            agents,
            report,
            notes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_written_line_is_read_as_what_it_was_and_fits_the_schema(run in runs()) {
        let text = serde_json::to_string(&run).unwrap();
        let (back, notices) = line(text.as_bytes()).unwrap();
        prop_assert_eq!(&back, &run, "{}", text);
        prop_assert_eq!(notices, []);
        prop_assert_eq!(back.digest(), run.digest());
        let schema = jsonschema::validator_for(&schema()).unwrap();
        let faults: Vec<_> = schema.iter_errors(&serde_json::from_str(&text).unwrap()).map(|error| error.to_string()).collect();
        prop_assert!(faults.is_empty(), "{:?}: {}", faults, text);
    }

    #[test]
    fn the_story_of_an_imported_run_is_what_its_line_says(run in runs()) {
        let converted = convert(run.clone(), "ci", &Redactor::default());
        prop_assert_eq!(&convert(run.clone(), "ci", &Redactor::default()), &converted);
        prop_assert_eq!(i128::from(converted.id.0.timestamp_ms()), i128::from(run.started_at / 1_000_000));
        let events = recorded(&converted);
        let told = RunDetail::fold(events.iter(), &inline);
        prop_assert_eq!((told.mode, told.source.as_deref()), (Mode::Imported, Some("ci")));
        prop_assert_eq!(&told.foreign_run_id, &run.run_id);
        prop_assert_eq!((&told.template_id, told.status), (&run.template_id, match run_status(&run) {
            RunStatus::Interrupted => RunStatus::Running,
            status => status,
        }));
        prop_assert_eq!(told.started_at, Some(utc(run.started_at)));
        let has_end = run_status(&run).ended();
        prop_assert_eq!(&told.ended_at, &run.ended_at.filter(|_| has_end).map(utc));
        prop_assert_eq!(&told.labels, &run.labels);
        prop_assert_eq!(&told.answers, &run.answers);
        prop_assert_eq!(&told.report, &run.report);
        let notes: Vec<_> = told.notes.iter().map(|note| (note.text.clone().unwrap(), note.rating, note.tags.clone())).collect();
        prop_assert_eq!(notes, run.notes.iter().map(|n| (n.text.clone(), n.rating, n.tags.clone())).collect::<Vec<_>>());
        prop_assert_eq!(told.agents.len(), run.agents.len());
        for (agent, from) in told.agents.iter().zip(&run.agents) {
            prop_assert_eq!((&agent.role, agent.task.clone().unwrap_or_default()), (&from.role, from.task.clone().unwrap_or_default()));
            let cancelled = run_status(&run) == RunStatus::Cancelled;
            match status(from) {
                // Whoever had not ended when the run was cancelled was cancelled with it; what it was doing before is not kept.
                AgentStatus::Pending | AgentStatus::Running if cancelled => prop_assert_eq!(agent.status, AgentStatus::Cancelled),
                AgentStatus::Pending | AgentStatus::Running => prop_assert_eq!(agent.status, AgentStatus::Pending),
                status => prop_assert_eq!(agent.status, status),
            }
            let passed = from.attempts.iter().rfind(|attempt| attempt.passed);
            if status(from) == AgentStatus::Succeeded && let Some(passed) = passed {
                prop_assert_eq!(&agent.output, &passed.output);
            }
            prop_assert_eq!(agent.attempts.len(), from.attempts.len());
            for (attempt, from) in agent.attempts.iter().zip(&from.attempts) {
                prop_assert_eq!(
                    (attempt.tier, &attempt.provider, &attempt.model, &attempt.output, attempt.duration_ms),
                    (from.tier, &from.provider, &from.model, &from.output, from.duration_ms)
                );
                prop_assert_eq!((attempt.cost_nusd, attempt.cost_complete), (from.cost.unwrap_or_default().0, from.cost.is_some()));
                prop_assert_eq!(attempt.tokens.input, from.input_tokens.unwrap_or(0));
                prop_assert_eq!(attempt.tokens.output, from.output_tokens.unwrap_or(0));
                let failed: Vec<_> = attempt.criteria.iter().map(|c| (c.name.clone().unwrap(), c.verdict)).collect();
                let wanted: Vec<_> = from.failed_criteria.iter().map(|name| (name.clone(), Verdict::Fail)).collect();
                prop_assert_eq!(failed, wanted);
            }
        }
        let costs = || run.agents.iter().flat_map(|agent| &agent.attempts).map(|attempt| attempt.cost);
        prop_assert_eq!(told.cost_nusd, costs().flatten().map(|cost| cost.0).sum::<u64>());
        prop_assert_eq!(told.cost_complete, costs().all(|cost| cost.is_some()));
        let line = events.iter().fold(RunRow::new(converted.id), RunRow::apply).line(false);
        prop_assert_eq!((line.cost_nusd, line.cost_complete, line.started_at), (told.cost_nusd, told.cost_complete, utc(run.started_at)));
        prop_assert_eq!((line.ended_at, line.duration_ms), (told.ended_at, told.duration_ms));
    }

    #[test]
    fn no_line_makes_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..300) {
        let _ = line(&text);
        let whole = small().to_string();
        let _ = line(&whole.as_bytes()[..cut.min(whole.len())]);
    }
}

#[test]
fn an_attempt_whose_cost_is_not_told_has_a_charge_of_unknown_amount_and_counts_once() {
    let mut line = small();
    line["agents"][0]["attempts"] = json!([
        {"tier": "cheap", "passed": false, "input_tokens": 7, "output_tokens": 2},
        {"tier": "capable", "passed": true, "cost_usd": 0.0042, "input_tokens": 5}
    ]);
    let events = recorded(&convert(good(&line), "ci", &Redactor::default()));
    let charges: Vec<_> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::CostIncurred(body) => Some((body.call, body.attempt, body.amount)),
            _ => None,
        })
        .collect();
    assert_eq!(charges, [(None, 1, None), (None, 2, Some(NanoUsd(4_200_000)))]);
    let mut rows = MapRows::default();
    events.iter().for_each(|event| Costs.apply(&mut rows, event).unwrap());
    let sums = rows.0.iter().filter(|(key, _)| key[0] == costs::KIND);
    let sum = sums.fold(CostRow::default(), |mut sum, (_, row)| {
        sum.merge(&rows::read(row).unwrap());
        sum
    });
    assert_eq!((sum.calls, sum.unknown, sum.amount), (2, 1, 4_200_000));
    assert_eq!((sum.usage.input, sum.usage.output), (12, 2));
    let told = RunDetail::fold(events.iter(), &inline);
    assert!(!told.cost_complete && !told.agents[0].attempts[0].cost_complete && told.agents[0].attempts[1].cost_complete);
}

fn schema() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<ImportedRun>()
        .to_value()
}

#[test]
fn the_published_schema_of_a_line_is_that_of_its_type() {
    let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/import/run.schema.json");
    if std::env::var_os("MENO_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == generated, "schemas/import/run.schema.json is not what the types say; MENO_BLESS=1 writes it anew");
}

#[test]
fn the_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let mut full = small();
    full["notes"] = json!("fine");
    full["ended_at"] = Value::Null;
    full["agents"][0]["attempts"][0]["cost_usd"] = Value::Null;
    assert!(schema.is_valid(&full) && line(full.to_string().as_bytes()).is_ok());
    for (pointer, value) in [
        ("/template_id", json!("")),
        ("/started_at", json!(5)),
        ("/status", json!("done")),
        ("/agents", json!({})),
        ("/agents/0/role", Value::Null),
        ("/agents/0/attempts/0/tier", json!("chea")),
        ("/agents/0/attempts/0/passed", json!("yes")),
        ("/agents/0/attempts/0/cost_usd", json!(-1)),
        ("/agents/0/attempts/0/input_tokens", json!("7")),
        ("/notes", json!([{"rating": 7, "text": "x"}])),
    ] {
        let mut broken = small();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap()[name] = value;
        assert!(!schema.is_valid(&broken), "{pointer}");
        assert!(line(broken.to_string().as_bytes()).is_err(), "{pointer}");
    }
}

#[test]
fn a_wrong_line_names_field_reason_and_remedy() {
    for (pointer, value, field, reason, remedy) in [
        ("/template_id", json!(" "), "template_id", "empty", "text"),
        ("/template_id", json!("x".repeat(201)), "template_id", "201 characters", "200"),
        ("/started_at", json!("yesterday"), "started_at", "no time: `yesterday`", "RFC 3339"),
        ("/started_at", json!("1969-12-31T00:00:00Z"), "started_at", "out of range", "1970"),
        ("/ended_at", json!("2026-10-01T09:29:59Z"), "ended_at", "before started_at", "zones"),
        ("/status", json!("succeded"), "status", "`succeded`", "did you mean `succeeded`"),
        ("/labels", json!([]), "labels", "a list", "{"),
        ("/agents", Value::Null, "agents", "missing", "[]"),
        ("/agents/0/role", Value::Null, "agents[0].role", "missing", "200"),
        ("/agents/0/attempts/0/tier", json!("chea"), "agents[0].attempts[0].tier", "`chea`", "cheap, capable, premium"),
        ("/agents/0/attempts/0/passed", Value::Null, "agents[0].attempts[0].passed", "missing", "true or false"),
        ("/agents/0/attempts/0/cost_usd", json!(-0.1), "agents[0].attempts[0].cost_usd", "negative", "leave it out"),
        ("/agents/0/attempts/0/cost_usd", json!(1e300), "agents[0].attempts[0].cost_usd", "million", "unit"),
        ("/agents/0/attempts/0/cost_usd", json!("0.1"), "agents[0].attempts[0].cost_usd", "a text", "quotation marks"),
        ("/agents/0/attempts/0/output_tokens", json!(1e17), "agents[0].attempts[0].output_tokens", "large", "most"),
        ("/agents/0/attempts/0/failed_criteria", json!([1]), "agents[0].attempts[0].failed_criteria[0]", "number", "quotation"),
        ("/notes", json!([{"text": "x", "rating": 6}]), "notes[0].rating", "no rating", "1 (bad)"),
    ] {
        let problem = wrong(pointer, value);
        assert_eq!(problem.field, field);
        assert!(problem.reason.contains(reason) && problem.remedy.contains(remedy), "{problem:?}");
    }
    let no_json = |text: &str| line(text.as_bytes()).unwrap_err().remove(0);
    assert!(no_json(r#"{"template_id": NaN}"#).remedy.contains("no NaN"));
    assert!(no_json(r#"{"template_id": "x""#).remedy.contains("ends too early"));
    assert!(no_json("[]").reason.contains("a list"));
    assert!(line(b"{\"a\": \"\xff\"}").unwrap_err()[0].remedy.contains("UTF-8"));
}

#[test]
fn what_is_taken_but_not_as_it_stands_is_told() {
    let mut odd = small();
    odd["started_at"] = json!("2026-10-01 09:30:00");
    odd["tempalte_id"] = json!(1);
    odd["agents"][0]["attempts"][0]["cost_usd"] = json!(0.12345678949);
    odd["agents"][0]["attempts"][0]["duration_ms"] = json!(12.4);
    let (run, notices) = line(odd.to_string().as_bytes()).unwrap();
    let told: Vec<_> = notices.iter().map(|notice| (notice.field.as_str(), notice.what.as_str())).collect();
    assert_eq!(
        told,
        [
            ("tempalte_id", "is no field of the form and is left out; did you mean `template_id`?"),
            ("started_at", "has no zone and is read as UTC"),
            ("agents[].attempts[].cost_usd", "is finer than a billionth of a dollar and was rounded to one"),
            ("agents[].attempts[].duration_ms", "is not whole and was rounded"),
        ]
    );
    let attempt = &run.agents[0].attempts[0];
    assert_eq!((attempt.cost, attempt.duration_ms), (Some(NanoUsd(123_456_789)), Some(12)));
    assert_eq!(run.started_at, good(&small()).started_at);
}

#[test]
fn a_run_is_the_same_for_the_same_id_and_its_ids_sort_by_the_start() {
    let at = |started_at: &str, id: Option<&str>| {
        let mut value = small();
        value["started_at"] = json!(started_at);
        value["run_id"] = json!(id);
        convert(good(&value), "ci", &Redactor::default())
    };
    let one = at("2026-10-01T09:30:00Z", Some("a"));
    assert_eq!(one.origin.key, at("2026-10-02T09:30:00Z", Some("a")).origin.key);
    assert_ne!(one.origin.line, at("2026-10-02T09:30:00Z", Some("a")).origin.line);
    assert_ne!(one.id, at("2026-10-01T09:30:00Z", Some("b")).id);
    assert_ne!(one.id, at("2026-10-01T09:30:00Z", None).id);
    let ids: Vec<_> =
        ["2026-10-01T09:30:00Z", "2026-10-01T09:30:00.000000001Z", "2026-10-01T09:30:00.000999999Z", "2026-10-01T09:30:00.001Z"]
            .map(|started| at(started, Some("z")).id)
            .to_vec();
    assert!(ids.is_sorted(), "{ids:?}");
    let other = convert(good(&small()), "another", &Redactor::default());
    assert_ne!(other.id, convert(good(&small()), "ci", &Redactor::default()).id);
}

#[test]
fn climbs_stand_between_a_failed_attempt_and_one_at_a_higher_tier() {
    let mut value = small();
    let attempt = |tier: &str, passed: bool, failed: &[&str]| json!({"tier": tier, "passed": passed, "failed_criteria": failed});
    value["agents"][0]["attempts"] =
        json!([attempt("cheap", false, &["cites"]), attempt("cheap", false, &["long", "cites"]), attempt("premium", true, &[]),]);
    let told = RunDetail::fold(recorded(&convert(good(&value), "ci", &Redactor::default())).iter(), &inline);
    let climbs: Vec<_> =
        told.escalations.iter().map(|climb| (climb.attempt, climb.from, climb.to, &climb.failed_criteria)).collect();
    assert_eq!(climbs, [(2, Tier::Cheap, Tier::Premium, &vec!["long".to_owned(), "cites".to_owned()])]);
    let numbers: Vec<u32> = told.agents[0].attempts[1].criteria.iter().map(|criterion| criterion.criterion).collect();
    assert_eq!(numbers, [1, 0], "a criterion keeps its number over the attempts");
    assert_eq!((told.status, told.verified), (RunStatus::Succeeded, true));
}

#[test]
fn secrets_do_not_come_in() {
    let secret = "sk-ant-REDACTED";
    let mut value = small();
    value["run_id"] = json!(secret);
    value["report"] = json!(format!("used {secret}"));
    value["answers"] = json!({"keys": [{"deep": secret}]});
    value["agents"][0]["attempts"][0]["output"] = json!(secret);
    let converted = convert(good(&value), "ci", &Redactor::default());
    assert!(!format!("{:?}", converted.events).contains(secret));
    assert!(format!("{:?}", converted.events).contains("[redacted:"));
}
