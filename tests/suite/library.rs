//! The library's door, as programs use it.

use futures_util::StreamExt;
use meno::error::{ResumeError, RunError, StartError, StoreError};
use meno::event::{Event, Recorded};
use meno::internals::workspace::begin;
use meno::{Access, OpenRequest, Preset, ResumeRequest, RunRequest, Workspace};

#[allow(dead_code, reason = "its `main` is for `cargo run --example`")]
#[path = "../../examples/library.rs"]
mod example;

#[allow(dead_code, reason = "its `main` is for `cargo run --example`")]
#[path = "../../examples/projection.rs"]
mod projection;

#[allow(dead_code, reason = "its `main` is for `cargo run --example`")]
#[path = "../../examples/watch.rs"]
mod watch;

fn workspace(dir: &tempfile::TempDir) -> Workspace {
    Workspace::at(&dir.path().join("store"), Some(Preset::Simulated)).expect("it opens")
}

fn names(events: impl Iterator<Item = Result<Recorded, StoreError>>) -> Vec<(u64, &'static str)> {
    events.map(|event| event.expect("readable")).map(|event| (event.envelope.seq, event.event.name())).collect()
}

#[test]
fn the_example_does_what_it_says() {
    let dir = tempfile::tempdir().expect("a folder");
    example::tour(&dir.path().join("store")).expect("it runs");
    let kinds = names(workspace(&dir).runs().events(1));
    assert_eq!(kinds.iter().filter(|(_, kind)| *kind == "RunSucceeded").count(), 2, "{kinds:?}");
    assert!(kinds.iter().any(|(_, kind)| *kind == "RecommendationShown"), "advice on two runs is recorded: {kinds:?}");
}

#[test]
fn a_run_takes_defaults_for_what_is_not_answered_and_says_what_is_wrong_with_the_rest() {
    let dir = tempfile::tempdir().expect("a folder");
    let workspace = workspace(&dir);
    let template = workspace.runs().template("python_package_publish").expect("it is built in");
    let request = || RunRequest::new().answer("package_name", "demo").seed(7);
    let run = workspace.runs().run_to_end(&template, request().answer("has_tests", "yes")).expect("it runs");
    assert_eq!((run.seed, &run.answers["has_tests"]), (7, &serde_json::json!(true)), "answers are read as forms read them");
    assert!(run.answers.len() > 4, "{:?}", run.answers);

    let before = names(workspace.runs().events(1)).len();
    let start = |request| match workspace.runs().run_to_end(&template, request) {
        Err(RunError::Start(error)) => error,
        other => panic!("{other:?}"),
    };
    let wrong = RunRequest::new().answer("version_bump", "gigantic").answer("colour", "red");
    let StartError::Answers(problems) = start(wrong) else { panic!("answers are wrong") };
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for part in ["`colour`", "`gigantic`"] {
        assert!(said.iter().any(|problem| problem.contains(part)), "{said:?}");
    }
    assert!(matches!(start(request().input("nothing", "x")), StartError::Input(_)));
    let unknown = workspace.runs().template("python_package_publsh").expect_err("no such template");
    assert!(matches!(&unknown, StartError::UnknownTemplate { nearest: Some(near), .. } if near == "python_package_publish"));
    assert_eq!(names(workspace.runs().events(1)).len(), before, "what is refused leaves nothing behind");
}

#[test]
fn the_log_is_an_iterator_and_a_stream_that_waits_for_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let workspace = workspace(&dir);
    let template = workspace.runs().template("release_prep").expect("it is built in");
    let run =
        || workspace.runs().run_to_end(&template, RunRequest::new().answer("project_name", "demo").seed(3)).expect("it runs");
    run();
    let first = names(workspace.runs().events(1));
    assert!(first.iter().map(|(seq, _)| *seq).eq(1..=first.len() as u64));
    assert_eq!(names(workspace.runs().events(5)), first[4..]);
    assert_eq!(names(workspace.runs().events(first.len() as u64 + 1)), []);

    let mut follow = workspace.runs().follow(first.len() as u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let next = |follow: &mut meno::Follow| runtime.block_on(follow.next()).expect("it goes on").expect("readable");
    assert_eq!(next(&mut follow).event.name(), first[first.len() - 1].1);
    // Nothing has happened since, and so nothing comes.
    let idle = runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_millis(50), follow.next()).await });
    assert!(idle.is_err());
    run();
    let second: Vec<Recorded> =
        names(workspace.runs().events(first.len() as u64 + 1)).iter().map(|_| next(&mut follow)).collect();
    assert!(matches!(second[0].event, Event::RunStarted(_)) && matches!(second[second.len() - 1].event, Event::RunSucceeded(_)));
}

#[test]
fn a_run_is_carried_to_its_end_within_a_runtime_and_taken_up_again_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let workspace = workspace(&dir);
        let template = workspace.runs().template("release_prep").expect("it is built in");
        let request = || RunRequest::new().answer("project_name", "demo").seed(3);
        let run = workspace.runs().run_to_end(&template, request()).expect("it runs");
        assert_eq!(run.status.name(), "succeeded");

        let left = begin(&workspace, &template, request()).expect("it begins");
        assert_eq!(workspace.runs().detail(left).expect("readable").status.name(), "interrupted");
        let run = workspace.runs().resume_to_end(left, &ResumeRequest::default()).expect("it goes on");
        assert_eq!((run.run_id, run.status.name()), (left.to_string(), "succeeded"));
        let again = workspace.runs().resume_to_end(left, &ResumeRequest::default());
        assert!(matches!(again, Err(RunError::Resume(ResumeError::Refused(_)))), "it has ended");
    });
}

#[test]
fn a_store_that_is_only_looked_at_is_not_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("store");
    let workspace = Workspace::open_with(&store, &OpenRequest::new().access(Access::Read)).expect("an empty one");
    assert_eq!(names(workspace.runs().events(1)), []);
    assert!(workspace.runs().templates().iter().any(|template| template.id == "release_prep"));
    assert!(!store.exists());
}

#[test]
fn a_projection_of_ones_own_comes_to_the_money_of_the_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let cost = {
        let workspace = workspace(&dir);
        let template = workspace.runs().template("release_prep").expect("it ships");
        workspace.runs().run_to_end(&template, RunRequest::new().seed(1)).expect("it runs").cost_nusd
    };
    let models = projection::models(&dir.path().join("store")).expect("it reads");
    assert_eq!(models.rows.values().map(|row| row.cost_nusd).sum::<u64>(), cost);
    assert!(models.rows.values().all(|row| row.calls_without_cost == 0 && row.passed + row.not_passed > 0), "{models:?}");
}

#[test]
fn a_watcher_is_told_of_runs_that_others_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let workspace = workspace(&dir);
    let template = workspace.runs().template("python_package_publish").expect("it ships");
    let request = || RunRequest::new().answer("package_name", "demo").answer("has_tests", true).seed(7);
    let run = workspace.runs().run_to_end(&template, request()).expect("it runs");
    let mut lines = Vec::new();
    watch::watch(&dir.path().join("store"), 0, Some(1), |line| lines.push(line)).expect("it watches");
    assert!(lines[0].starts_with(&run.run_id) && lines[0].contains("python_package_publish"), "{lines:?}");
}
