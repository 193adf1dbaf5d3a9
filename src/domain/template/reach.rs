//! Can a condition hold? Answered by trying the answers that make a difference, within a budget of work.
//!
//! For each question that a condition looks at, a few answers stand for all: the values it is compared with, one other, and
//! none. If no combination makes the condition hold, none will. What would take too long is taken to be possible, so that a
//! good template is never refused.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::types::{Question, QuestionKind, Template};
use crate::domain::answers::Answers;
use crate::domain::condition::{Comparison, Condition, each_test, holds};
use crate::domain::event::AnswerSource;
use crate::domain::form::check;

/// Tests evaluated for one condition, at most.
const STEPS_PER_CONDITION: u64 = 50_000;
/// Tests evaluated for one template, at most.
const STEPS_PER_TEMPLATE: u64 = 2_000_000;
/// Questions that one condition may involve.
const QUESTIONS_MAX: usize = 24;
/// Values that one question may be compared with.
const VALUES_MAX: usize = 64;
/// Options of one set that are tried in all combinations.
const OPTIONS_MAX: usize = 6;

/// Tries answers.
pub(super) struct Reachability<'t> {
    questions: &'t [Question],
    index: HashMap<&'t str, usize>,
    left: Cell<u64>,
}

/// A part that must hold, with the number of the last question that it looks at.
struct Part<'c> {
    condition: &'c Condition,
    last: usize,
    tests: u64,
}

impl<'t> Reachability<'t> {
    /// Makes one for a template.
    pub(super) fn new(template: &'t Template) -> Self {
        let questions = template.form_schema.questions.as_slice();
        let mut index = HashMap::new();
        for (i, question) in questions.iter().enumerate() {
            index.entry(question.id.as_str()).or_insert(i);
        }
        Self { questions, index, left: Cell::new(STEPS_PER_TEMPLATE) }
    }

    /// Whether all conditions can hold together; `None` when that would take too long to find out.
    ///
    /// `in_form`: only answers that the form can lead to count, where hidden questions have none and required ones have one.
    pub(super) fn possible(&self, conditions: &[&Condition], in_form: bool) -> Option<bool> {
        let involved = self.involved(conditions, in_form)?;
        let mut looked_at: Vec<&Condition> = conditions.to_vec();
        if in_form {
            looked_at.extend(involved.iter().filter_map(|i| self.questions.get(*i)?.when.as_ref()));
        }
        let candidates: Vec<Vec<Option<Value>>> =
            involved.iter().map(|i| candidates(self.questions.get(*i)?, &looked_at)).collect::<Option<_>>()?;
        let mut parts = Vec::new();
        conditions.iter().for_each(|condition| self.split(condition, &involved, &mut parts));
        let mut answers = Answers::new();
        if involved.is_empty() {
            return Some(conditions.iter().all(|condition| holds(condition, &answers)));
        }
        let steps = Cell::new(STEPS_PER_CONDITION.min(self.left.get()));
        let before = steps.get();
        let search = Search { reach: self, involved: &involved, candidates: &candidates, parts: &parts, in_form, steps: &steps };
        let found = search.from(0, &mut answers);
        self.left.set(self.left.get() - (before - steps.get()));
        found
    }

    /// Returns the numbers of the questions that matter, in the order of the form.
    fn involved(&self, conditions: &[&Condition], in_form: bool) -> Option<Vec<usize>> {
        let mut involved = BTreeSet::new();
        let mut open: Vec<&Condition> = conditions.to_vec();
        let mut known = true;
        while let Some(condition) = open.pop() {
            each_test(condition, &mut |test| match self.index.get(test.question.as_str()) {
                Some(i) => {
                    if involved.insert(*i)
                        && in_form
                        && let Some(when) = self.questions.get(*i).and_then(|question| question.when.as_ref())
                    {
                        open.push(when);
                    }
                }
                None => known = false,
            });
        }
        (known && involved.len() <= QUESTIONS_MAX).then(|| involved.into_iter().collect())
    }

    fn split<'c>(&self, condition: &'c Condition, involved: &[usize], parts: &mut Vec<Part<'c>>) {
        if let Condition::All { all } = condition {
            all.iter().for_each(|part| self.split(part, involved, parts));
            return;
        }
        let (mut last, mut tests) = (0, 1);
        each_test(condition, &mut |test| {
            let number = self.index.get(test.question.as_str());
            let place = number.and_then(|number| involved.iter().position(|i| i == number)).unwrap_or(0);
            last = last.max(place);
            tests += 1;
        });
        parts.push(Part { condition, last, tests });
    }
}

struct Search<'s, 't> {
    reach: &'s Reachability<'t>,
    involved: &'s [usize],
    candidates: &'s [Vec<Option<Value>>],
    parts: &'s [Part<'s>],
    in_form: bool,
    steps: &'s Cell<u64>,
}

impl Search<'_, '_> {
    /// Tries all answers of the questions from number `depth` on.
    fn from(&self, depth: usize, answers: &mut Answers) -> Option<bool> {
        let (Some(number), Some(candidates)) = (self.involved.get(depth), self.candidates.get(depth)) else {
            return Some(true);
        };
        let question = self.reach.questions.get(*number)?;
        let shown = !self.in_form || question.when.as_ref().is_none_or(|when| holds(when, answers));
        let mut sure = true;
        for candidate in candidates {
            let fits = match candidate {
                Some(_) => shown,
                None => !shown || !self.in_form || !question.required,
            };
            if !fits {
                continue;
            }
            match candidate {
                Some(value) => answers.insert(question.id.clone(), value.clone()),
                None => answers.shift_remove(&question.id),
            };
            let mut good = true;
            for part in self.parts.iter().filter(|part| part.last == depth) {
                self.steps.set(self.steps.get().checked_sub(part.tests)?);
                good = good && holds(part.condition, answers);
            }
            self.steps.set(self.steps.get().checked_sub(1)?);
            if good {
                match self.from(depth + 1, answers) {
                    Some(false) => {}
                    Some(true) => return Some(true),
                    None => sure = false,
                }
            }
        }
        answers.shift_remove(&question.id);
        sure.then_some(false)
    }
}

/// Returns answers that stand for all; `None` when there are too many.
fn candidates(question: &Question, conditions: &[&Condition]) -> Option<Vec<Option<Value>>> {
    let mut wanted: Vec<&Value> = Vec::new();
    let mut contained: Vec<&str> = Vec::new();
    for condition in conditions {
        each_test(condition, &mut |test| {
            if test.question == question.id {
                match &test.comparison {
                    Comparison::Is(value) | Comparison::Not(value) => wanted.push(value),
                    Comparison::In(values) => wanted.extend(values),
                    Comparison::Contains(value) => {
                        wanted.push(value);
                        contained.extend(value.as_str());
                    }
                }
            }
        });
    }
    if wanted.len() > VALUES_MAX {
        return None;
    }
    contained.sort_unstable();
    contained.dedup();
    let mut values: Vec<Value> = match question.kind {
        QuestionKind::Boolean => vec![Value::Bool(true), Value::Bool(false)],
        QuestionKind::SingleSelect => {
            let mut values: Vec<Value> = question.options.iter().cloned().map(Value::String).collect();
            if question.allow_other {
                values.extend(texts(&wanted, &contained)?);
            }
            values
        }
        QuestionKind::MultiSelect => sets(question, &wanted)?,
        QuestionKind::Number => numbers(question, &wanted),
        // Values that a text question does not allow were reported where they are compared; all that is left can be answered.
        QuestionKind::TextInput | QuestionKind::Path => texts(&wanted, &contained)?,
        QuestionKind::Secret => Vec::new(),
    };
    values.retain(|value| !value.is_null());
    // None comes last: a search that ends early has tried real answers.
    Some(values.into_iter().map(Some).chain([None]).collect())
}

/// The texts compared with, all combinations of parts, and one other.
fn texts(wanted: &[&Value], contained: &[&str]) -> Option<Vec<Value>> {
    if contained.len() > OPTIONS_MAX {
        return None;
    }
    let mut texts: Vec<Value> = wanted.iter().filter(|value| value.is_string()).map(|value| (*value).clone()).collect();
    for mask in 1u32..1 << contained.len() {
        let chosen = contained.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, part)| *part);
        texts.push(Value::from(chosen.collect::<Vec<_>>().join("\u{1}")));
    }
    texts.push(Value::from("\u{2}"));
    Some(texts)
}

/// Sets of the options compared with, each also with another option.
fn sets(question: &Question, wanted: &[&Value]) -> Option<Vec<Value>> {
    let named: BTreeSet<&str> = wanted.iter().filter_map(|value| value.as_str()).collect();
    let (named, others): (Vec<&String>, Vec<&String>) =
        question.options.iter().partition(|option| named.contains(option.as_str()));
    if named.len() > OPTIONS_MAX {
        return None;
    }
    let mut sets = Vec::new();
    for mask in 0u32..1 << named.len() {
        let chosen: Vec<&String> =
            named.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, option)| *option).collect();
        let has = |option: &String| chosen.contains(&option);
        // Only what the named options alone decide is left out; the others could always make up for the rest.
        let excluded = question.excludes.iter().any(|(option, not)| has(option) && not.iter().any(&has));
        let lacking = |option: &&String| named.contains(option) && !has(option);
        let needs = question.requires.iter().any(|(option, all)| has(option) && all.iter().any(|option| lacking(&option)));
        let many = question.max_items.is_some_and(|max| chosen.len() as u64 > max);
        if excluded || needs || many {
            continue;
        }
        let values: Vec<Value> = chosen.into_iter().cloned().map(Value::String).collect();
        let room = question.max_items.is_none_or(|max| (values.len() as u64) < max);
        if let Some(other) = others.first().filter(|_| room) {
            let mut more = values.clone();
            more.push(Value::String((*other).clone()));
            sets.push(Value::Array(more));
        }
        if !values.is_empty() || !question.required || question.min_items == Some(0) {
            sets.push(Value::Array(values));
        }
    }
    Some(sets)
}

/// The numbers compared with, and one other if there is one.
fn numbers(question: &Question, wanted: &[&Value]) -> Vec<Value> {
    let fits = |value: &Value| check(question, value, AnswerSource::Default, &|_| true).is_ok();
    let mut numbers: Vec<Value> =
        wanted.iter().filter(|value| value.is_number() && fits(value)).map(|value| (*value).clone()).collect();
    let low = question.min.or(question.max.map(|max| max - wanted.len() as f64 - 1.0)).unwrap_or(0.0);
    let high = question.max.unwrap_or(low + wanted.len() as f64 + 1.0);
    let count = wanted.len() + 2;
    let tried = (0..=count).flat_map(|i| [low.ceil() + i as f64, low + (high - low) * i as f64 / count as f64]);
    let other = tried.map(Value::from).find(|value| fits(value) && !numbers.iter().any(|known| known.as_f64() == value.as_f64()));
    numbers.extend(other);
    numbers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Template {
        serde_json::from_value(json!({
            "template_id": "t", "name": "T", "description": "", "form_schema": {"title": "", "description": "", "questions": [
                {"id": "tests", "text": "?", "type": "boolean"},
                {"id": "bump", "text": "?", "type": "single_select", "options": ["patch", "minor"]},
                {"id": "checks", "text": "?", "type": "multi_select", "options": ["a", "b", "c"], "required": false,
                 "excludes": {"a": ["b"]}, "max_items": 2, "when": {"question": "tests", "is": true}},
                {"id": "n", "text": "?", "type": "number", "min": 1, "max": 2, "integer": true},
                {"id": "text", "text": "?", "type": "text_input", "required": false}
            ]}
        }))
        .expect("a template")
    }

    #[track_caller]
    fn check_possible(condition: Value, free: bool, in_form: bool) {
        let template = template();
        let reach = Reachability::new(&template);
        let condition: Condition = serde_json::from_value(condition).expect("a condition");
        assert_eq!(reach.possible(&[&condition], false), Some(free), "free: {condition:?}");
        assert_eq!(reach.possible(&[&condition], true), Some(in_form), "in the form: {condition:?}");
    }

    #[test]
    fn contradictions_are_found_and_possibilities_kept() {
        check_possible(json!({"all": []}), true, true);
        check_possible(json!({"any": []}), false, false);
        check_possible(json!({"all": [{"question": "bump", "is": "patch"}, {"question": "bump", "is": "minor"}]}), false, false);
        check_possible(
            json!({"all": [{"question": "bump", "not": "patch"}, {"question": "bump", "not": "minor"}]}),
            false,
            false,
        );
        check_possible(json!({"all": [{"question": "checks", "is": "a"}, {"question": "checks", "is": "c"}]}), true, true);
        check_possible(json!({"all": [{"question": "checks", "is": "a"}, {"question": "checks", "is": "b"}]}), false, false);
        check_possible(json!({"all": [{"question": "n", "not": 1}, {"question": "n", "not": 2}]}), false, false);
        check_possible(json!({"all": [{"question": "n", "not": 1}]}), true, true);
        check_possible(
            json!({"all": [{"question": "text", "contains": "a"}, {"question": "text", "contains": "b"}]}),
            true,
            true,
        );
        check_possible(json!({"all": [{"question": "text", "is": "x"}, {"question": "text", "contains": "y"}]}), false, false);
        check_possible(
            json!({"not": {"any": [{"question": "tests", "is": "Yes"}, {"question": "tests", "is": "No"}]}}),
            true,
            false,
        );
        check_possible(json!({"all": [{"question": "text", "is": null}, {"question": "text", "not": "x"}]}), false, false);
    }

    #[test]
    fn a_hidden_question_has_no_answer() {
        check_possible(json!({"all": [{"question": "tests", "is": false}, {"question": "checks", "is": "a"}]}), true, false);
        check_possible(json!({"all": [{"question": "tests", "is": false}, {"question": "checks", "is": null}]}), true, true);
        check_possible(json!({"question": "bump", "is": null}), true, false);
    }

    #[test]
    fn what_takes_too_long_is_left_open() {
        let questions: Vec<Value> = (0..23).map(|i| json!({"id": format!("q{i}"), "text": "?", "type": "boolean"})).collect();
        let template: Template = serde_json::from_value(json!({
            "template_id": "t", "name": "T", "description": "", "form_schema": {"title": "", "description": "", "questions": questions}
        }))
        .expect("a template");
        let parity: Vec<Value> = (0..23).map(|i| json!({"question": format!("q{i}"), "is": true})).collect();
        let condition: Condition =
            serde_json::from_value(json!({"not": {"any": [{"any": parity}, {"not": {"any": parity}}]}})).expect("ok");
        assert_eq!(Reachability::new(&template).possible(&[&condition], true), None);
    }
}
