//! Which rules make an agent under answers some of which are still to come.

use std::collections::HashSet;

use serde_json::Value;

use crate::domain::answers::{Answers, answer};
use crate::domain::condition::{Condition, from_required, holds};
use crate::domain::form::{default_of, depends_on};
use crate::domain::template::{Rule, Template};

/// Returns the rules that make an agent under `given` answers, with the template's defaults for what was not answered, and those that may
/// make one, depending on questions that have neither. With every question answered they are those of [`super::plan`].
pub fn possible<'t>(template: &'t Template, given: &Answers) -> Vec<&'t Rule> {
    let known = KnownAnswers::of(template, given);
    template.agent_composition_rules.iter().filter(|rule| known.may_make(rule)).collect()
}

/// Answers as far as they are known.
struct KnownAnswers<'t> {
    answers: Answers,
    /// Questions whose answer is still to come, if they are asked at all.
    open: HashSet<&'t str>,
}

impl<'t> KnownAnswers<'t> {
    fn of(template: &'t Template, given: &Answers) -> Self {
        let mut known = Self { answers: Answers::new(), open: HashSet::new() };
        for question in &template.form_schema.questions {
            let is_shown = question.when.as_ref().map_or(Some(true), |when| known.holds(when));
            if is_shown == Some(false) {
                continue;
            }
            let is_open = |id: &String| known.open.contains(id.as_str());
            let own = answer(given, &question.id).cloned();
            // A default that is made of answers to come is to come as well.
            let default = || {
                let is_known = !depends_on(question).iter().any(is_open);
                default_of(question, &known.answers).filter(|_| is_known)
            };
            match own.or_else(default) {
                Some(value) => drop(known.answers.insert(question.id.clone(), value)),
                None if question.required || is_shown.is_none() || depends_on(question).iter().any(is_open) => {
                    known.open.insert(&question.id);
                }
                None => {}
            }
        }
        known
    }

    fn may_make(&self, rule: &Rule) -> bool {
        let required = from_required(&rule.required_responses);
        let is_excluded = std::iter::once(&required).chain(&rule.when).any(|part| self.holds(part) == Some(false));
        let has_items = rule.foreach.as_ref().is_none_or(|question| {
            let is_item = |items: &Vec<Value>| items.iter().any(Value::is_string);
            self.open.contains(question.as_str())
                || matches!(answer(&self.answers, question), Some(Value::Array(items)) if is_item(items))
        });
        !is_excluded && has_items
    }

    /// Tells whether a condition holds; `None` when that depends on answers to come.
    fn holds(&self, condition: &Condition) -> Option<bool> {
        let each = |parts: &[Condition], settles: bool| {
            let found: Vec<Option<bool>> = parts.iter().map(|part| self.holds(part)).collect();
            if found.contains(&Some(settles)) { Some(settles) } else { (!found.contains(&None)).then_some(!settles) }
        };
        match condition {
            Condition::Test(test) if self.open.contains(test.question.as_str()) => None,
            Condition::Test(_) => Some(holds(condition, &self.answers)),
            Condition::All { all } => each(all, false),
            Condition::Any { any } => each(any, true),
            Condition::Not { not } => self.holds(not).map(|holds| !holds),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Template {
        let rule = |role: &str, more: Value| {
            let mut rule = json!({"role": role, "base_template": "generic", "config": {}});
            rule.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            rule
        };
        serde_json::from_value(json!({
            "template_id": "t", "name": "T", "description": "d", "version": "1.0.0",
            "form_schema": {"title": "t", "description": "d", "questions": [
                {"id": "kind", "text": "?", "type": "single_select", "options": ["lib", "app"], "required": true},
                {"id": "tests", "text": "?", "type": "boolean", "default": false},
                {"id": "url", "text": "?", "type": "text_input", "required": true, "when": {"question": "kind", "is": "app"}},
                {"id": "parts", "text": "?", "type": "multi_select", "options": ["a", "b"], "required": true}]},
            "agent_composition_rules": [
                rule("always", json!({})),
                rule("tester", json!({"required_responses": {"tests": true}})),
                rule("publisher", json!({"required_responses": {"kind": "lib"}})),
                rule("deployer", json!({"when": {"question": "url", "not": null}})),
                rule("other", json!({"when": {"not": {"question": "kind", "is": "lib"}}})),
                rule("part", json!({"foreach": "parts"}))]
        }))
        .expect("a template")
    }

    fn roles(answers: Value) -> Vec<String> {
        let answers: Answers = serde_json::from_value(answers).expect("a map");
        possible(&template(), &answers).iter().map(|rule| rule.role.clone()).collect()
    }

    #[test]
    fn what_the_answers_exclude_is_left_out_and_what_they_leave_open_is_not() {
        assert_eq!(roles(json!({})), ["always", "publisher", "deployer", "other", "part"], "tests has a default");
        assert_eq!(roles(json!({"kind": "lib"})), ["always", "publisher", "part"]);
        assert_eq!(roles(json!({"kind": "app", "tests": true})), ["always", "tester", "deployer", "other", "part"]);
        assert_eq!(roles(json!({"kind": "lib", "parts": []})), ["always", "publisher"]);
    }

    #[test]
    fn with_every_answer_they_are_those_that_are_planned() {
        let answers: Answers =
            serde_json::from_value(json!({"kind": "app", "tests": true, "url": "x", "parts": ["b"]})).expect("a map");
        let defaults = super::super::PlanDefaults {
            strategy_override: None,
            strategy: crate::domain::tier::Strategy::Progressive,
            max_attempts_per_tier: 1,
        };
        let planned = super::super::plan(&template(), &Default::default(), &answers, &defaults);
        let planned: Vec<&str> = planned.agents.iter().map(|agent| agent.role.as_str()).collect();
        let found: Vec<String> = possible(&template(), &answers).iter().map(|rule| rule.role.clone()).collect();
        assert_eq!(found, planned);
    }
}
