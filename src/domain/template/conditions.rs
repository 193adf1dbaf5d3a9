//! Conditions: do they name questions, compare with what can be answered, and can they hold?

use serde_json::Value;

use super::meaning::Checker;
use super::problem::key;
use super::types::{Question, QuestionKind, Rule};
use crate::domain::answers::{quoted, read_boolean, shown};
use crate::domain::condition::{Comparison, Condition, Predicate};
use crate::domain::form::allowed;

impl<'t> Checker<'t, '_> {
    /// Checks a condition that may look at questions before number `before`. Returns whether nothing was wrong.
    pub(super) fn check_condition(&mut self, condition: &Condition, pointer: &str, before: usize) -> bool {
        let (word, parts) = match condition {
            Condition::Test(test) => return self.check_test(test, pointer, before),
            Condition::All { all } => ("all", all.as_slice()),
            Condition::Any { any } => ("any", any.as_slice()),
            Condition::Not { not } => {
                return self.check_condition(not, &format!("{pointer}/not"), before) && self.check_possible(condition, pointer);
            }
        };
        if parts.is_empty() {
            match word {
                "any" => {
                    self.findings.error(&format!("{pointer}/any"), "an empty `any` never holds", "list conditions, or remove it")
                }
                _ => self.findings.warn(&format!("{pointer}/all"), "an empty `all` always holds", "remove it"),
            }
            return word == "all";
        }
        let mut sound = true;
        for (i, part) in parts.iter().enumerate() {
            sound &= self.check_condition(part, &format!("{pointer}/{word}/{i}"), before);
        }
        sound && self.check_possible(condition, pointer)
    }

    fn check_possible(&mut self, condition: &Condition, pointer: &str) -> bool {
        let impossible = self.reach.possible(&[condition], false) == Some(false);
        if impossible {
            self.findings.error(
                pointer,
                "the condition can never hold: its parts contradict each other",
                "use `any`, or remove a part",
            );
        }
        !impossible
    }

    fn check_test(&mut self, test: &Predicate, pointer: &str, before: usize) -> bool {
        let Some(question) = self.question(&test.question, &format!("{pointer}/question"), before) else {
            return false;
        };
        match &test.comparison {
            Comparison::Is(value) => self.check_wanted(question, value, &format!("{pointer}/is")),
            Comparison::Not(value) => self.check_wanted(question, value, &format!("{pointer}/not")),
            Comparison::In(values) => self.check_wanted_list(question, values, &format!("{pointer}/in")),
            Comparison::Contains(value) => {
                let text = matches!(question.kind, QuestionKind::TextInput | QuestionKind::Path | QuestionKind::SingleSelect);
                let pointer = format!("{pointer}/contains");
                if question.kind == QuestionKind::MultiSelect {
                    return self.check_wanted(question, value, &pointer);
                }
                let Some(part) = value.as_str().filter(|_| text) else {
                    let message = format!("the answer to `{}` cannot contain {}", question.id, shown(value));
                    self.findings.error(&pointer, message, "`contains` looks into sets and texts; use `is`");
                    return false;
                };
                let closed = question.kind == QuestionKind::SingleSelect && !question.allow_other;
                if closed && !question.options.iter().any(|option| option.contains(part)) {
                    let message = format!("no option of `{}` contains {}", question.id, quoted(part));
                    self.findings.error(&pointer, message, format!("the options are {}", allowed(question)));
                    return false;
                }
                true
            }
        }
    }

    fn check_wanted_list(&mut self, question: &'t Question, values: &[Value], pointer: &str) -> bool {
        if values.is_empty() {
            self.findings.error(pointer, "an empty list never matches", "list values, or remove the condition");
            return false;
        }
        let mut sound = true;
        for (i, value) in values.iter().enumerate() {
            sound &= self.check_wanted(question, value, &format!("{pointer}/{i}"));
        }
        sound
    }

    /// Checks that a value can be the answer, or in the answered set.
    fn check_wanted(&mut self, question: &'t Question, value: &Value, pointer: &str) -> bool {
        let wrong =
            match (question.kind, value) {
                (_, Value::Null) => None,
                (_, Value::Array(_) | Value::Object(_)) => Some("use `in` for several values".to_owned()),
                (QuestionKind::Boolean, Value::Bool(_)) => None,
                (QuestionKind::Boolean, Value::String(text)) if read_boolean(text).is_some() => None,
                (QuestionKind::Boolean, _) => Some("write true or false".to_owned()),
                (QuestionKind::Number, Value::String(text)) if text.parse::<f64>().is_ok() => {
                    Some(format!("write {text} without quotes"))
                }
                (QuestionKind::Number, Value::Number(_))
                | (QuestionKind::TextInput | QuestionKind::SingleSelect, Value::String(_)) => {
                    self.check_allowed(question, value).err().map(|problem| match problem.message.split_once("did you mean ") {
                        Some((_, meant)) => format!("did you mean {meant}"),
                        None => format!("allowed: {}", problem.allowed),
                    })
                }
                (QuestionKind::MultiSelect, Value::String(option)) if question.options.contains(option) => None,
                (QuestionKind::MultiSelect, Value::String(option)) => {
                    let near = crate::domain::nearest::nearest(option, question.options.iter().map(String::as_str));
                    Some(near.map_or_else(
                        || format!("allowed: {}", allowed(question)),
                        |near| format!("did you mean {}?", quoted(near)),
                    ))
                }
                (QuestionKind::Path, Value::String(_)) => None,
                _ => Some(format!("allowed: {}", allowed(question))),
            };
        let Some(remedy) = wrong else { return true };
        let message = format!("the answer to `{}` can never be {}", question.id, shown(value));
        self.findings.error(pointer, message, remedy);
        false
    }

    /// Checks what makes a rule's agent: the short form, the tree, and both together.
    pub(super) fn check_rule_conditions(&mut self, rule: &Rule, pointer: &str) {
        let mut sound = true;
        for (id, wanted) in &rule.required_responses {
            let at = format!("{pointer}/required_responses/{}", key(id));
            sound &= match self.question(id, &at, usize::MAX) {
                None => false,
                Some(question) => match wanted {
                    Value::Array(values) => self.check_wanted_list(question, values, &at),
                    value => self.check_wanted(question, value, &at),
                },
            };
        }
        let required = crate::domain::condition::from_required(&rule.required_responses);
        if let Some(when) = &rule.when {
            sound &= self.check_condition(when, &format!("{pointer}/when"), usize::MAX);
        }
        if !sound || self.findings.any_damage() {
            return;
        }
        let answered = rule
            .foreach
            .as_ref()
            .map(|question| Condition::Test(Predicate { question: question.clone(), comparison: Comparison::Not(Value::Null) }));
        let all: Vec<&Condition> = std::iter::once(&required).chain(&rule.when).chain(&answered).collect();
        if self.reach.possible(&all, false) == Some(false) {
            let message = format!("role {} can never be made: its conditions contradict each other", quoted(&rule.role));
            let at = if rule.when.is_some() { "when" } else { "required_responses" };
            self.findings.error(&format!("{pointer}/{at}"), message, "remove one of the conditions");
        } else if !self.form_unsound && self.reach.possible(&all, true) == Some(false) {
            let message =
                format!("role {} is never made: the questions that it needs are not shown together", quoted(&rule.role));
            self.findings.warn(pointer, message, "compare the rule's conditions with the `when` of its questions");
        }
    }
}
