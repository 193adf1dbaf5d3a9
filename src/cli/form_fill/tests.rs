use std::fmt::Write as _;

use serde_json::json;

use super::*;
use crate::cli::ask::AskError;
use crate::domain::event::Event;
use crate::domain::tier::{Strategy, Tier};
use crate::settings::Preset;
use crate::workspace::RunRequest;

/// A person who is asked once which of some things to do.
struct Person {
    takes: bool,
    asked: Vec<String>,
}

impl Prompter for Person {
    fn ask(&mut self, question: &AskQuestion<'_>) -> std::result::Result<Asked, AskError> {
        let AskKind::MultiSelect { options } = &question.kind else { panic!("{question:?}") };
        assert_eq!(question.default.as_ref().map(|(value, _)| value), Some(&json!(options)), "all of it is proposed");
        self.asked.extend(options.clone());
        Ok(Asked::Answer(if self.takes { json!(options) } else { json!([]) }))
    }

    fn choose(&mut self, _: &str, _: &[String], _: usize) -> std::result::Result<Option<usize>, AskError> {
        panic!("nothing is to be chosen")
    }

    fn say(&mut self, _: &str) {}
}

/// Runs in which the cheap tier of one agent cost nearly as much as the capable one and never passed.
fn history() -> String {
    let mut lines = String::new();
    for index in 0..40 {
        let run = json!({"run_id": format!("h-{index}"), "template_id": "python_package_publish",
            "started_at": "2026-10-01T09:00:00Z",
            "agents": [{"role": "test_runner", "task": format!("Run the tests of package {index}."), "attempts": [
                {"tier": "cheap", "passed": false, "cost_usd": 0.05}, {"tier": "capable", "passed": true, "cost_usd": 0.06}]}]});
        writeln!(lines, "{run}").unwrap();
    }
    lines
}

/// Fills the form of a run with that history; returns what was asked, what was agreed to, and the run's events.
fn filled(takes: bool, strategy: Option<Strategy>) -> (Vec<String>, Vec<StartOffer>, Vec<Event>) {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(&dir.path().join("store"), Some(Preset::Simulated)).unwrap();
    workspace.keeping().import_runs(history().as_bytes(), "test", &mut |_| {}).unwrap();
    let template = workspace.library.find("python_package_publish").unwrap().unwrap();
    let request = RunRequest::new().leave_open().strategy(strategy).seed(7);
    let mut active = workspace.runs().start(&template, request).unwrap();
    let answers = [
        ("package_name", json!("demo")),
        ("has_tests", json!(true)),
        ("test_coverage_required", json!("80%")),
        ("quality_checks", json!(["Linting (ruff)"])),
        ("version_bump", json!("patch")),
        ("update_changelog", json!(false)),
        ("create_git_tag", json!(false)),
        ("publish_to", json!("nowhere")),
    ];
    let basis = Arc::clone(&active.basis);
    let answers = answers.map(|(question, value)| Command::Answer {
        question: question.to_owned(),
        value,
        source: AnswerSource::Asked,
        secret: false,
    });
    active.stream.perform(&basis, &answers).unwrap();
    let mut person = Person { takes, asked: Vec::new() };
    let agreed = agreed_starts(&mut person, &workspace, &active).unwrap();
    let completion = workspace.runs().completion(active.stream.run(), &basis.template, &agreed).unwrap();
    active.stream.perform(&basis, &[completion]).unwrap();
    let events = workspace.runs().events_of(active.id, 1, u32::MAX).unwrap();
    (person.asked, agreed, events.into_iter().map(|recorded| recorded.event).collect())
}

/// Where the agent with that history starts.
fn start(events: &[Event]) -> Tier {
    let agent = events.iter().find_map(|event| match event {
        Event::AgentPlanned(body) if body.role == "test_runner" => Some(body.agent),
        _ => None,
    });
    let chosen = events.iter().find_map(|event| match event {
        Event::StartTierChosen(body) if Some(body.agent) == agent => Some(body.tier),
        _ => None,
    });
    chosen.expect("the agent is planned")
}

#[test]
fn a_start_that_history_advises_is_taken_when_the_person_agrees() {
    let (asked, agreed, events) = filled(true, None);
    assert!(asked.len() == 1 && asked[0].starts_with("test_runner at capable instead of cheap (cheap passes"), "{asked:?}");
    assert_eq!(agreed.iter().map(|offer| (offer.usual, offer.start_tier)).collect::<Vec<_>>(), [(Tier::Cheap, Tier::Capable)]);
    assert!(events.iter().any(|event| matches!(event, Event::RecommendationShown(body) if !body.evidence.is_empty())));
    assert!(events.iter().any(|event| matches!(event, Event::RecommendationTaken(body) if body.item == 0)));
    assert_eq!(start(&events), Tier::Capable);
}

#[test]
fn a_start_that_the_person_declines_is_remembered_as_shown_and_not_taken() {
    let (asked, agreed, events) = filled(false, None);
    assert_eq!((asked.len(), agreed.len()), (1, 0));
    assert!(events.iter().any(|event| matches!(event, Event::RecommendationShown(_))));
    assert!(!events.iter().any(|event| matches!(event, Event::RecommendationTaken(_))));
    assert_eq!(start(&events), Tier::Cheap);
}

#[test]
fn a_strategy_that_was_said_is_not_talked_out_of() {
    let (asked, _, events) = filled(true, Some(Strategy::Progressive));
    assert!(asked.is_empty());
    assert!(!events.iter().any(|event| matches!(event, Event::RecommendationShown(_))));
    assert_eq!(start(&events), Tier::Cheap);
}
