//! A whole form at once: what was given, then what the caller falls back on, then the template's defaults.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value;

use super::{AnswerProblem, Exists, check, default_of, depends_on, is_visible};
use crate::domain::answers::Answers;
use crate::domain::event::AnswerSource;
use crate::domain::template::{Question, QuestionKind, Template};

/// An answer with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct FormAnswer {
    /// The value as it is kept; `null` for a secret.
    pub value: Value,
    /// Where it came from.
    pub source: AnswerSource,
    /// It is a secret: only that it was given is known here.
    pub secret: bool,
}

/// A form that is complete and valid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completed {
    /// The answers in the order of the form. A question left without an answer is absent.
    pub answers: IndexMap<String, FormAnswer>,
    /// Questions that their `when` hides, in order.
    pub hidden: Vec<String>,
    /// Answers of a file that were dropped because their questions are hidden, as lines for people.
    pub notices: Vec<String>,
}

impl Completed {
    /// Returns the values by question, as rules see them.
    pub fn values(&self) -> Answers {
        self.answers.iter().map(|(id, answer)| (id.clone(), answer.value.clone())).collect()
    }
}

/// Completes a form without asking anybody: `given` first, then `fallback` (the last run, a recommendation, a secret's
/// environment variable), then the template's default.
///
/// A fallback that is not allowed is passed over. An answer to a hidden question is dropped with a notice when it comes from a
/// file, which may serve several forms, and is an error when it was given by hand.
///
/// # Errors
/// **All** problems: unknown questions, values that are not allowed, answers that are missing.
pub fn complete(
    template: &Template,
    given: &IndexMap<String, (Value, AnswerSource)>,
    fallback: &dyn Fn(&Question) -> Option<(Value, AnswerSource)>,
    exists: Exists<'_>,
) -> Result<Completed, Vec<AnswerProblem>> {
    let questions = &template.form_schema.questions;
    let known: HashSet<&str> = questions.iter().map(|question| question.id.as_str()).collect();
    let unknown = given.iter().filter(|(id, _)| !known.contains(id.as_str()));
    let mut problems: Vec<AnswerProblem> = unknown.map(|(id, (value, _))| AnswerProblem::unknown(id, value, questions)).collect();
    let mut completed = Completed::default();
    let mut answers = Answers::new();
    // Questions whose answer is wrong or missing: whether those that look at them are shown is not known.
    let mut uncertain: HashSet<&str> = HashSet::new();

    for question in questions {
        let own = given.get(&question.id);
        if depends_on(question).iter().any(|id| uncertain.contains(id.as_str())) {
            uncertain.insert(&question.id);
            if let Some((value, source)) = own {
                problems.extend(check(question, value, *source, exists).err());
            }
            continue;
        }
        if !is_visible(question, &answers) {
            completed.hidden.push(question.id.clone());
            match own {
                Some((value, AnswerSource::Flag | AnswerSource::Asked)) => problems.push(AnswerProblem::hidden(question, value)),
                Some((value, AnswerSource::File)) => {
                    completed.notices.push(format!("{}; its answer was dropped", AnswerProblem::hidden(question, value)));
                }
                _ => {}
            }
            continue;
        }
        match settle(question, own, fallback, &answers, exists) {
            Ok(Some(answer)) => {
                answers.insert(question.id.clone(), answer.value.clone());
                completed.answers.insert(question.id.clone(), answer);
            }
            Ok(None) => {}
            Err(problem) => {
                uncertain.insert(&question.id);
                problems.push(problem);
            }
        }
    }
    if problems.is_empty() { Ok(completed) } else { Err(problems) }
}

/// Finds the answer of a question that is shown; `None` when it stays without one.
fn settle(
    question: &Question,
    own: Option<&(Value, AnswerSource)>,
    fallback: &dyn Fn(&Question) -> Option<(Value, AnswerSource)>,
    answers: &Answers,
    exists: Exists<'_>,
) -> Result<Option<FormAnswer>, AnswerProblem> {
    let secret = question.kind == QuestionKind::Secret;
    let answer = |value: Value, source| match value {
        Value::Null => None,
        value => Some(FormAnswer { value: if secret { Value::Null } else { value }, source, secret }),
    };
    if let Some((value, source)) = own {
        return Ok(answer(check(question, value, *source, exists)?, *source));
    }
    if let Some((value, source)) = fallback(question)
        && let Ok(value) = check(question, &value, source, exists)
        && let Some(answer) = answer(value, source)
    {
        return Ok(Some(answer));
    }
    match default_of(question, answers) {
        Some(value) => Ok(answer(check(question, &value, AnswerSource::Default, exists)?, AnswerSource::Default)),
        None if question.required && !may_be_empty(question) => Err(AnswerProblem::missing(question)),
        None => Ok(None),
    }
}

/// A set that says that nothing is enough needs no answer.
fn may_be_empty(question: &Question) -> bool {
    question.kind == QuestionKind::MultiSelect && question.min_items == Some(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn template() -> Template {
        serde_json::from_value(json!({
            "template_id": "t", "name": "T", "description": "", "form_schema": {"title": "", "description": "", "questions": [
                {"id": "name", "text": "?", "type": "text_input"},
                {"id": "tests", "text": "?", "type": "boolean", "default": "Yes"},
                {"id": "coverage", "text": "?", "type": "number", "default": 80, "max": 100, "when": {"question": "tests", "is": "Yes"}},
                {"id": "title", "text": "?", "type": "text_input", "default": "{{name}}"},
                {"id": "key", "text": "?", "type": "secret", "required": false, "env": "KEY"},
                {"id": "why", "text": "?", "type": "text_input", "when": {"question": "tests", "is": false}}
            ]}
        }))
        .expect("a template")
    }

    fn given(values: Value, source: AnswerSource) -> IndexMap<String, (Value, AnswerSource)> {
        values.as_object().expect("object").iter().map(|(id, value)| (id.clone(), (value.clone(), source))).collect()
    }

    fn run(values: Value, source: AnswerSource) -> Result<Completed, Vec<String>> {
        complete(&template(), &given(values, source), &|_| None, &|_| true)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn defaults_fill_what_was_not_given_and_say_so() {
        let done = run(json!({"name": "demo"}), AnswerSource::Flag).expect("complete");
        assert_eq!(json!(done.values()), json!({"name": "demo", "tests": true, "coverage": 80, "title": "demo"}));
        assert_eq!(done.answers["name"].source, AnswerSource::Flag);
        assert_eq!(done.answers["title"].source, AnswerSource::Default);
        assert_eq!(done.hidden, ["why"]);
    }

    #[test]
    fn all_problems_are_said_at_once() {
        let problems =
            run(json!({"test": true, "tests": "maybe", "coverage": 200, "titel": 1}), AnswerSource::Flag).expect_err("wrong");
        assert_eq!(
            problems,
            [
                "question `test`: the template has no question `test`; did you mean `tests`? (allowed: name, tests, coverage, title, key, why)",
                "question `titel`: the template has no question `titel`; did you mean `title`? (allowed: name, tests, coverage, title, key, why)",
                "question `name`: an answer is needed (allowed: a text of one line)",
                "question `tests`: `maybe` is neither Yes nor No (allowed: Yes or No)",
                "question `coverage`: `200` is out of range (allowed: a number of at most 100)",
            ]
        );
    }

    #[test]
    fn an_answer_to_a_hidden_question_is_dropped_from_a_file_and_refused_from_a_flag() {
        let values = || json!({"name": "demo", "why": "because"});
        let done = run(values(), AnswerSource::File).expect("complete");
        assert_eq!(done.notices, ["question `why`: it is only asked when `tests` is `No`; its answer was dropped"]);
        assert!(!done.answers.contains_key("why"));
        assert_eq!(run(values(), AnswerSource::Flag).expect_err("refused").len(), 1);
    }

    #[test]
    fn a_fallback_comes_before_the_default_and_is_passed_over_when_it_does_not_fit() {
        let fallback = |question: &Question| match question.id.as_str() {
            "coverage" => Some((json!(500), AnswerSource::LastRun)),
            "tests" => Some((json!(true), AnswerSource::LastRun)),
            "key" => Some((json!("hunter2"), AnswerSource::Environment)),
            _ => None,
        };
        let done =
            complete(&template(), &given(json!({"name": "x"}), AnswerSource::Flag), &fallback, &|_| true).expect("complete");
        assert_eq!(done.answers["tests"].source, AnswerSource::LastRun);
        assert_eq!(done.answers["coverage"].source, AnswerSource::Default);
        assert_eq!(done.answers["key"], FormAnswer { value: Value::Null, source: AnswerSource::Environment, secret: true });
        assert!(!format!("{done:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn the_order_in_which_answers_are_given_does_not_matter(
            mut ids in Just(vec!["name", "tests", "coverage", "title", "why"]).prop_shuffle(), count in 0usize..6, tests in any::<bool>(),
        ) {
            let value = |id: &str| match id { "tests" => json!(tests), "coverage" => json!(90), _ => json!("text") };
            ids.truncate(count);
            let given: IndexMap<_, _> = ids.iter().map(|id| ((*id).to_owned(), (value(id), AnswerSource::File))).collect();
            let mut sorted = given.clone();
            sorted.sort_keys();
            let run = |given| complete(&template(), given, &|_| None, &|_| true);
            prop_assert_eq!(run(&given), run(&sorted));
        }
    }
}
