//! The form: which questions are shown, what is asked next, and when all is answered.
//!
//! A question is shown when its `when` holds for the answers so far; a hidden one has no answer. [`check()`] judges one answer,
//! [`complete()`] a whole form at once, [`Form`] goes question by question. All three apply the same rules. Nothing here asks,
//! reads a file or knows an environment variable: whether a path exists is asked of the caller.

mod answers_file;
mod check;
mod complete;

use indexmap::IndexMap;
use serde_json::Value;

pub use answers_file::parse_answers_file;
pub use check::{AnswerProblem, allowed, check, whole_match};
#[cfg(test)]
use complete::Completed;
pub use complete::{FormAnswer, complete};

use super::answers::Answers;
use super::condition::{self, each_test};
use super::event::AnswerSource;
use super::placeholder::{Reference, Scope, fill_value, references};
use super::template::{Question, QuestionKind, Template};

/// Whether a file or folder exists.
pub type Exists<'a> = &'a dyn Fn(&str) -> bool;

/// A form that is being answered question by question.
#[derive(Clone, Debug)]
pub struct Form<'t> {
    questions: &'t [Question],
    /// What was answered; `null` for a question that was left without an answer, and for a secret.
    given: IndexMap<String, FormAnswer>,
}

/// What giving an answer did.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The answer as it is kept; `null` for a secret.
    pub value: Value,
    /// The question had an answer before.
    pub replaced: bool,
    /// Questions whose answers were taken back, because this answer hides them.
    pub removed: Vec<String>,
}

impl<'t> Form<'t> {
    /// Makes an empty form.
    pub fn new(template: &'t Template) -> Self {
        Self { questions: &template.form_schema.questions, given: IndexMap::new() }
    }

    /// Returns the answers so far, in the order of the form.
    pub fn answers(&self) -> Answers {
        let value = |question: &Question| Some((question.id.clone(), self.given.get(&question.id)?.value.clone()));
        self.questions.iter().filter_map(value).collect()
    }

    /// Returns the answer to `question` with its source.
    pub fn given(&self, question: &str) -> Option<&FormAnswer> {
        self.given.get(question)
    }

    /// Returns the questions that the answers so far show, in order, answered or not.
    pub fn visible(&self) -> Vec<&'t Question> {
        let answers = self.answers();
        self.questions.iter().filter(|question| is_visible(question, &answers)).collect()
    }

    /// Returns the next question to ask.
    #[cfg(test)]
    pub fn next(&self) -> Option<&'t Question> {
        self.visible().into_iter().find(|question| !self.given.contains_key(&question.id))
    }

    /// Returns the template's default for `question`, with the answers so far filled in.
    pub fn default_of(&self, question: &Question) -> Option<Value> {
        default_of(question, &self.answers())
    }

    /// Takes an answer, or says why not. `null` leaves an optional question without an answer.
    ///
    /// # Errors
    /// The value is not allowed, or the question is unknown or hidden.
    pub fn answer(&mut self, id: &str, value: &Value, source: AnswerSource, exists: Exists<'_>) -> Result<Given, AnswerProblem> {
        let Some(question) = self.questions.iter().find(|question| question.id == id) else {
            return Err(AnswerProblem::unknown(id, value, self.questions));
        };
        if !is_visible(question, &self.answers()) {
            return Err(AnswerProblem::hidden(question, value));
        }
        let value = check(question, value, source, exists)?;
        let secret = question.kind == QuestionKind::Secret;
        let kept = if secret { Value::Null } else { value };
        let answer = FormAnswer { value: kept.clone(), source, secret };
        let replaced = self.given.insert(question.id.clone(), answer).is_some();
        Ok(Given { value: kept, replaced, removed: self.drop_hidden() })
    }

    /// Takes an answer back, so that its question is asked again; returns the questions whose answers went with it.
    pub fn take_back(&mut self, id: &str) -> Vec<String> {
        self.given.shift_remove(id);
        self.drop_hidden()
    }

    /// Puts back an answer that was accepted before, as when a half-answered form goes on.
    pub fn restore(&mut self, id: &str, answer: FormAnswer) {
        self.given.insert(id.to_owned(), answer);
    }

    /// Returns the finished form, or nothing while a question is open.
    #[cfg(test)]
    pub fn completed(&self) -> Option<Completed> {
        if self.next().is_some() {
            return None;
        }
        let answers = self.answers();
        let mut completed = Completed::default();
        for question in self.questions {
            match self.given.get(&question.id) {
                Some(answer) if !answer.value.is_null() || answer.secret => {
                    completed.answers.insert(question.id.clone(), answer.clone());
                }
                Some(_) => {}
                None if !is_visible(question, &answers) => completed.hidden.push(question.id.clone()),
                None => {}
            }
        }
        Some(completed)
    }

    fn drop_hidden(&mut self) -> Vec<String> {
        let mut removed = Vec::new();
        // One pass in the order of the form is enough: conditions look at earlier questions only.
        for question in self.questions {
            if self.given.contains_key(&question.id) && !is_visible(question, &self.answers()) {
                self.given.shift_remove(&question.id);
                removed.push(question.id.clone());
            }
        }
        removed
    }
}

/// Whether the answers so far show the question.
pub fn is_visible(question: &Question, answers: &Answers) -> bool {
    question.when.as_ref().is_none_or(|when| condition::holds(when, answers))
}

/// Returns the template's default for `question` with `answers` filled in; `None` when there is none.
pub fn default_of(question: &Question, answers: &Answers) -> Option<Value> {
    let default = question.default.as_ref().filter(|default| !default.is_null())?;
    let filled = fill_value(default, &Scope { answers, config: &serde_json::Map::new(), item: None, masked: &[] })?;
    // A text that consisted of absent answers only is no default.
    let emptied = filled.as_str().is_some_and(str::is_empty) && default.as_str() != Some("");
    (!emptied).then_some(filled)
}

/// Returns the ids that a question's `when` and default look at.
pub fn depends_on(question: &Question) -> Vec<String> {
    let mut ids = Vec::new();
    if let Some(when) = &question.when {
        each_test(when, &mut |test| ids.push(test.question.clone()));
    }
    if let Some(default) = &question.default {
        super::placeholder::each_text(default, "", &mut |_, text| {
            for reference in references(text) {
                if let Reference::Answer(id) = reference {
                    ids.push(id);
                }
            }
        });
    }
    ids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Template {
        serde_json::from_value(json!({
            "template_id": "t", "name": "T", "description": "", "form_schema": {"title": "", "description": "", "questions": [
                {"id": "name", "text": "Name?", "type": "text_input"},
                {"id": "tests", "text": "Tests?", "type": "boolean", "default": true},
                {"id": "coverage", "text": "Coverage?", "type": "number", "when": {"question": "tests", "is": true}},
                {"id": "title", "text": "Title?", "type": "text_input", "default": "About {{name}}"},
                {"id": "why", "text": "Why none?", "type": "text_input", "required": false,
                 "when": {"not": {"question": "tests", "is": true}}}
            ]}
        }))
        .expect("a template")
    }

    #[test]
    fn questions_come_in_order_and_hidden_ones_do_not() {
        let template = template();
        let mut form = Form::new(&template);
        let say = |form: &mut Form<'_>, id: &str, value: Value| form.answer(id, &value, AnswerSource::Asked, &|_| true);
        assert_eq!(form.next().map(|q| q.id.as_str()), Some("name"));
        say(&mut form, "name", json!("demo")).expect("a name");
        say(&mut form, "tests", json!("y")).expect("a yes");
        assert_eq!(form.next().map(|q| q.id.as_str()), Some("coverage"));
        say(&mut form, "coverage", json!("85")).expect("a number");
        let title = template.form_schema.questions.iter().find(|q| q.id == "title").expect("there");
        assert_eq!(form.default_of(title), Some(json!("About demo")));
        say(&mut form, "title", json!("x")).expect("a title");
        assert_eq!(form.next(), None);
        let done = form.completed().expect("complete");
        assert_eq!(json!(done.values()), json!({"name": "demo", "tests": true, "coverage": 85, "title": "x"}));
        assert_eq!(done.hidden, ["why"]);
    }

    #[test]
    fn an_answer_that_hides_others_takes_theirs_back() {
        let template = template();
        let mut form = Form::new(&template);
        for (id, value) in [("name", json!("demo")), ("tests", json!(true)), ("coverage", json!(85)), ("title", json!("x"))] {
            form.answer(id, &value, AnswerSource::Asked, &|_| true).expect(id);
        }
        let given = form.answer("tests", &json!(false), AnswerSource::Asked, &|_| true).expect("a no");
        assert_eq!(given, Given { value: json!(false), replaced: true, removed: vec!["coverage".to_owned()] });
        assert_eq!(form.next().map(|q| q.id.as_str()), Some("why"));
        form.answer("why", &Value::Null, AnswerSource::Asked, &|_| true).expect("optional");
        let done = form.completed().expect("complete");
        assert_eq!(done.hidden, ["coverage"]);
        assert!(!done.answers.contains_key("why"), "left without an answer is no answer");
        form.answer("coverage", &json!(1), AnswerSource::Asked, &|_| true).expect_err("hidden");
    }
}
