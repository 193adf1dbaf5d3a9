use std::collections::{BTreeMap, VecDeque};

use serde_json::json;

use super::*;

/// What the person of a test does next.
pub(in crate::cli) enum Does {
    Answers(Value),
    Skips,
    GoesBack,
    Chooses(usize),
    Leaves,
}

/// A person who follows a script, and what they saw.
#[derive(Default)]
pub(in crate::cli) struct Script {
    does: VecDeque<Does>,
    seen: Vec<String>,
}

impl Script {
    pub(in crate::cli) fn of(does: impl IntoIterator<Item = Does>) -> Self {
        Self { does: does.into_iter().collect(), seen: Vec::new() }
    }
}

impl Prompter for Script {
    fn ask(&mut self, question: &AskQuestion<'_>) -> std::result::Result<Asked, AskError> {
        let default = question.default.as_ref().map(|(value, source)| format!(" ({value} {source})")).unwrap_or_default();
        self.seen.push(format!("? {}{default}", question.id));
        match self.does.pop_front() {
            Some(Does::Answers(value)) => Ok(Asked::Answer(value)),
            Some(Does::Skips) => Ok(Asked::Skipped),
            Some(Does::GoesBack) => Ok(Asked::Back),
            Some(Does::Leaves) => Err(AskError::Interrupted),
            Some(Does::Chooses(_)) | None => panic!("not ready for {:?}; saw {:?}", question, self.seen),
        }
    }

    fn choose(&mut self, _: &str, options: &[String], _: usize) -> std::result::Result<Option<usize>, AskError> {
        self.seen.push(format!("all: {}", options[1..].join(", ")));
        match self.does.pop_front() {
            Some(Does::Chooses(place)) => Ok(Some(place)),
            Some(Does::GoesBack) => Ok(None),
            Some(Does::Leaves) => Err(AskError::Interrupted),
            _ => panic!("not ready to choose; saw {:?}", self.seen),
        }
    }

    fn say(&mut self, text: &str) {
        self.seen.push(format!("! {text}"));
    }
}

/// A form of three questions: `publish` is optional; `where` is visible when `publish` is yes.
#[derive(Default)]
struct Sample {
    answers: BTreeMap<String, Value>,
    proposed: Vec<String>,
}

impl Form for Sample {
    fn visible(&self) -> Vec<String> {
        let publishes = self.answers.get("publish") == Some(&json!(true));
        let ids = ["name", "publish"].into_iter().chain(publishes.then_some("where"));
        ids.map(str::to_owned).collect()
    }

    fn question(&self, id: &str) -> Option<AskQuestion<'_>> {
        let own = self.answers.get(id).map(|value| (value.clone(), "your answer".to_owned()));
        let default = own.or_else(|| (id == "name").then(|| (json!("demo"), "from the template".to_owned())));
        Some(AskQuestion {
            id: id.to_owned(),
            text: format!("{id}?"),
            help: None,
            kind: if id == "publish" { AskKind::Confirm } else { AskKind::Text { multiline: false } },
            required: id != "publish",
            default,
            progress: None,
            validate: &|value| if value == "bad" { Err("this is bad".to_owned()) } else { Ok(value.clone()) },
        })
    }

    fn answer(&self, id: &str) -> Option<String> {
        self.answers.get(id).map(ToString::to_string)
    }

    fn give(&mut self, id: &str, given: Given) -> Result<()> {
        if let Given::Answer { value, as_proposed } = given {
            if as_proposed {
                self.proposed.push(id.to_owned());
            }
            self.answers.insert(id.to_owned(), value);
        }
        Ok(())
    }

    fn take_back(&mut self, id: &str) -> Result<()> {
        self.answers.remove(id);
        Ok(())
    }
}

fn play(does: impl IntoIterator<Item = Does>) -> (Result<()>, Sample, Vec<String>) {
    let (mut script, mut form) = (Script::of(does), Sample::default());
    let result = interview(&mut script, &mut form);
    (result, form, script.seen)
}

use Does::{Answers, Chooses, GoesBack, Leaves, Skips};

#[test]
fn questions_are_asked_as_they_become_visible_and_confirmed_at_the_end() {
    let (result, form, seen) = play([Answers(json!("demo")), Answers(json!(true)), Answers(json!("PyPI")), Chooses(0)]);
    assert_eq!(result, Ok(()));
    assert_eq!(
        seen,
        ["? name (\"demo\" from the template)", "? publish", "? where", "all: name? \"demo\", publish? true, where? \"PyPI\"",]
    );
    assert_eq!(form.proposed, ["name"]);
}

#[test]
fn an_invalid_answer_is_said_to_be_so_at_once_and_asked_again() {
    let (_, form, seen) = play([Answers(json!("bad")), Answers(json!("good")), Skips, Chooses(0)]);
    assert_eq!(seen[1..3], ["! this is bad", "? name (\"demo\" from the template)"]);
    assert_eq!(form.answers["name"], "good");
}

#[test]
fn a_needed_answer_cannot_be_left_open_and_an_optional_one_can() {
    let (_, form, seen) = play([Skips, Answers(json!("x")), Skips, Chooses(0)]);
    assert_eq!(seen[1], "! an answer is needed here");
    assert_eq!(seen.last().unwrap(), "all: name? \"x\", publish? (open)");
    assert_eq!(form.answers.len(), 1);
}

#[test]
fn going_back_asks_the_question_before_with_its_answer_as_default() {
    let (_, form, seen) = play([
        GoesBack,
        Answers(json!("a")),
        GoesBack,
        Answers(json!("b")),
        Answers(json!(false)),
        GoesBack,
        Answers(json!(false)),
        Chooses(0),
    ]);
    assert_eq!(seen[1], "! this is the first question");
    assert_eq!(seen[4], "? name (\"a\" your answer)");
    assert_eq!(seen[7], "? publish (false your answer)");
    assert_eq!(form.answers["name"], "b");
}

#[test]
fn an_answer_can_be_changed_in_the_overview_and_what_it_hides_disappears() {
    let (_, form, seen) =
        play([Answers(json!("a")), Answers(json!(true)), Answers(json!("PyPI")), Chooses(2), Skips, Chooses(0)]);
    assert_eq!(seen.last().unwrap(), "all: name? \"a\", publish? (open)");
    assert!(!form.answers.contains_key("publish"));
}

#[test]
fn leaving_keeps_what_was_answered() {
    let (result, form, _) = play([Answers(json!("a")), Leaves]);
    assert_eq!(result.unwrap_err().exit, Exit::Interrupted);
    assert_eq!(form.answers["name"], "a");
}

#[test]
fn who_is_asked_whether_it_is_meant_may_say_no_and_ends_the_command_by_ctrl_c() {
    let agrees = |does| agrees(&mut Script::of([does]), "sure", "Sure?".to_owned(), None, (false, "to be safe"));
    assert_eq!([Answers(json!(true)), Answers(json!(false)), GoesBack].map(agrees), [Ok(true), Ok(false), Ok(false)]);
    assert_eq!(agrees(Leaves).map_err(|left| CliError::from(left).exit), Err(Exit::Interrupted));
}
