//! Rules: roles, base agents, configuration, prompts, dependencies and their cycles.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::meaning::{Allowed, Checker, check_count, check_positive, check_tool};
use super::problem::key;
use super::types::{QuestionKind, Rule};
use crate::domain::answers::quoted;
use crate::domain::condition::from_required;
use crate::domain::criterion::Criterion;
use crate::domain::nearest::nearest;
use crate::domain::placeholder::{Reference, each_text, references};
use crate::domain::team::find_base;

/// The longest role, in characters.
const ROLE_CHARS_MAX: usize = 200;

impl Checker<'_, '_> {
    /// Checks all rules.
    pub(super) fn check_rules(&mut self) {
        let rules = &self.template.agent_composition_rules;
        if rules.is_empty() && !self.findings.any_damage() {
            self.findings.lenient(
                "/agent_composition_rules",
                "no rule makes an agent",
                "add a rule with `role` and `base_template`",
            );
        }
        for (i, rule) in rules.iter().enumerate() {
            let pointer = format!("/agent_composition_rules/{i}");
            let is_alone = rules[..i].iter().all(|other| other.role != rule.role || self.exclude_each_other(other, rule));
            self.check_role(&rule.role, &format!("{pointer}/role"), is_alone);
            self.check_base(rule, &format!("{pointer}/base_template"));
            for (j, tool) in rule.tools.iter().enumerate() {
                let at = format!("{pointer}/tools/{j}");
                check_tool(self.findings, &at, tool, self.context);
                if rule.tools[..j].contains(tool) {
                    self.findings.warn(&at, format!("tool {} is listed twice", quoted(tool)), "remove one of them");
                }
            }
            self.check_foreach(rule, &format!("{pointer}/foreach"));
            self.check_rule_conditions(rule, &pointer);
            self.check_rule_texts(rule, &pointer);
            self.check_limits(rule, &pointer);
            self.check_depends_on(rule, &pointer);
        }
        self.check_cycles();
    }

    /// Tells whether no answers meet the conditions of both rules.
    fn exclude_each_other(&self, one: &Rule, other: &Rule) -> bool {
        let required = [one, other].map(|rule| from_required(&rule.required_responses));
        let all: Vec<_> = required.iter().chain(&one.when).chain(&other.when).collect();
        self.reach.possible(&all, false) == Some(false)
    }

    fn check_role(&mut self, role: &str, pointer: &str, is_alone: bool) {
        if role.trim().is_empty() || role.chars().count() > ROLE_CHARS_MAX || role.contains(char::is_control) {
            self.findings.error(pointer, format!("{} is no role", quoted(role)), "write 1 to 200 characters on one line");
        } else if role.contains(['{', '}', '[', ']']) {
            self.findings.lenient(pointer, format!("{} is no role", quoted(role)), "write it without braces and brackets");
        }
        if !is_alone {
            let remedy = "give each rule a role of its own, or conditions that exclude each other; `any` and lists say \"or\"";
            self.findings.error(pointer, format!("role {} has two rules that can hold together", quoted(role)), remedy);
        }
    }

    fn check_base(&mut self, rule: &Rule, pointer: &str) {
        let Some(bases) = self.context.bases.filter(|bases| find_base(bases, &rule.base_template).is_none()) else { return };
        if let Some(what) = self.context.broken_bases.and_then(|broken| broken.get(&rule.base_template)) {
            let message = format!("the base agent {} is broken: {what}", quoted(&rule.base_template));
            return self.findings.error(
                pointer,
                message,
                "mend that file; `meno validate-template FILE` says all that is wrong with it",
            );
        }
        let names = bases.values().flat_map(|base| std::iter::once(&base.id).chain(&base.aliases)).map(String::as_str);
        let mut remedy = match nearest(&rule.base_template, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("name one of {}", bases.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        if self.findings.peer {
            remedy.push_str(" The agent becomes `generic`");
        }
        self.findings.lenient(pointer, format!("there is no base agent {}", quoted(&rule.base_template)), remedy);
    }

    fn check_foreach(&mut self, rule: &Rule, pointer: &str) {
        if let Some(id) = &rule.foreach
            && let Some(question) = self.question(id, pointer, usize::MAX)
            && question.kind != QuestionKind::MultiSelect
        {
            self.findings.error(
                pointer,
                format!("`foreach` needs a multi_select question, and `{id}` is none"),
                "name a multi_select question",
            );
        }
    }

    fn check_rule_texts(&mut self, rule: &Rule, pointer: &str) {
        let mut targets: HashMap<&str, &str> = HashMap::new();
        for (id, target) in &rule.config_mapping {
            let at = format!("{pointer}/config_mapping/{}", key(id));
            self.question(id, &at, usize::MAX);
            if target.is_empty() {
                self.findings.error(&at, "the configuration key is empty", "name the key that the answer becomes");
            } else if rule.config.contains_key(target) {
                let message = format!("key {} is also set in `config`", quoted(target));
                self.findings.error(&at, message, "remove one of them");
            } else if let Some(other) = targets.insert(target, id) {
                let message = format!("key {} is also the answer to {}", quoted(target), quoted(other));
                self.findings.lenient(&at, message, "give each answer a key of its own");
            }
        }
        let keys: HashSet<&str> = rule.config.keys().map(String::as_str).chain(targets.keys().copied()).collect();
        let item = rule.foreach.is_some();
        let mut allowed = Allowed {
            answers_before: usize::MAX,
            config: Some(HashSet::new()),
            inputs: false,
            outputs: false,
            item,
            role: Some(&rule.role),
            place: "a configuration",
        };
        for (name, value) in &rule.config {
            let mut texts: Vec<(String, &str)> = Vec::new();
            each_text(value, &format!("{pointer}/config/{}", key(name)), &mut |at, text| texts.push((at.to_owned(), text)));
            for (at, text) in texts {
                self.check_text(text, &at, &allowed);
            }
        }
        allowed.config = Some(keys);
        allowed.place = "a criterion";
        self.check_criteria(&rule.success_criteria, &format!("{pointer}/success_criteria"), &allowed);
        if let Some(prompt) = &rule.prompt {
            allowed.place = "a prompt";
            (allowed.inputs, allowed.outputs) = (true, true);
            let at = format!("{pointer}/prompt");
            if prompt.trim().is_empty() {
                self.findings.error(&at, "the prompt is empty", "say what the agent is to do, or leave it out");
            }
            self.check_text(prompt, &at, &allowed);
        }
    }

    fn check_limits(&mut self, rule: &Rule, pointer: &str) {
        let attempts = rule.max_attempts_per_tier.map(u64::from);
        check_count(self.findings, &format!("{pointer}/max_attempts_per_tier"), attempts, 100);
        check_positive(self.findings, &format!("{pointer}/budget_usd"), rule.budget_usd);
        let Some(threshold) = rule.threshold else { return };
        let at = format!("{pointer}/threshold");
        let base = self.context.bases.and_then(|bases| find_base(bases, &rule.base_template));
        let criteria = || rule.success_criteria.iter().chain(base.into_iter().flat_map(|base| &base.criteria));
        let weighted = |criterion: &Criterion| matches!(criterion, Criterion::Typed(typed) if typed.weight.is_some());
        if !(threshold > 0.0 && threshold <= 1.0) {
            self.findings.error(&at, format!("{threshold} is no share"), "write a number above 0, at most 1");
        } else if !criteria().any(weighted) {
            self.findings.warn(&at, "without weights all criteria must pass, whatever the threshold", "give criteria a `weight`");
        }
    }

    fn check_depends_on(&mut self, rule: &Rule, pointer: &str) {
        for (i, role) in rule.depends_on.iter().enumerate() {
            let at = format!("{pointer}/depends_on/{i}");
            if *role == rule.role {
                self.findings.error(&at, "a role cannot wait for itself", "remove it");
            } else {
                self.role(role, &at);
            }
        }
    }

    /// Reports each cycle of dependencies once, at the rule that closes it.
    fn check_cycles(&mut self) {
        let rules = &self.template.agent_composition_rules;
        let edges: Vec<Vec<(usize, String)>> = rules.iter().enumerate().map(|(i, rule)| self.edges(i, rule)).collect();
        // 0: not seen, 1: on the path, 2: done.
        let mut state = vec![0u8; rules.len()];
        for start in 0..rules.len() {
            let mut path: Vec<(usize, usize)> = Vec::new();
            if state[start] == 0 {
                state[start] = 1;
                path.push((start, 0));
            }
            while let Some((rule, next)) = path.last().copied() {
                let Some((to, pointer)) = edges[rule].get(next) else {
                    state[rule] = 2;
                    path.pop();
                    continue;
                };
                if let Some(last) = path.last_mut() {
                    last.1 += 1;
                }
                match state[*to] {
                    0 => {
                        state[*to] = 1;
                        path.push((*to, 0));
                    }
                    1 => {
                        let from = path.iter().position(|(rule, _)| rule == to).unwrap_or(0);
                        let names: Vec<&str> = path[from..]
                            .iter()
                            .map(|(rule, _)| *rule)
                            .chain([*to])
                            .map(|rule| rules[rule].role.as_str())
                            .collect();
                        let message = format!("roles wait for each other: {}", names.join(" → "));
                        self.findings.error(pointer, message, "remove one of these dependencies");
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whom a rule waits for, and where that is written.
    fn edges(&self, number: usize, rule: &Rule) -> Vec<(usize, String)> {
        let pointer = format!("/agent_composition_rules/{number}");
        let named = rule.depends_on.iter().enumerate().map(|(i, role)| (role.clone(), format!("{pointer}/depends_on/{i}")));
        let implied =
            references(rule.prompt.as_deref().unwrap_or_default()).into_iter().filter_map(|reference| match reference {
                Reference::Output(role) => Some((role, format!("{pointer}/prompt"))),
                _ => None,
            });
        let mut edges: Vec<(usize, String)> = Vec::new();
        for (role, at) in named.chain(implied) {
            for (to, _) in self.template.agent_composition_rules.iter().enumerate().filter(|(_, other)| other.role == role) {
                if to != number && !edges.iter().any(|(known, _)| *known == to) {
                    edges.push((to, at.clone()));
                }
            }
        }
        edges
    }

    /// Returns a value that a placeholder could have, for checking what is around it before there are answers.
    pub(super) fn sample(&self, reference: &Reference) -> Value {
        match reference {
            Reference::Answer(id) => {
                match self.questions.get(id.as_str()).and_then(|n| self.template.form_schema.questions.get(*n)) {
                    Some(question) => match question.kind {
                        QuestionKind::Number => Value::from(question.min.or(question.max).unwrap_or(1.0).ceil() as i64),
                        QuestionKind::Boolean => Value::Bool(true),
                        QuestionKind::MultiSelect => Value::from(question.options.clone()),
                        QuestionKind::SingleSelect => Value::from(question.options.first().map_or("x", String::as_str)),
                        _ => Value::from("x"),
                    },
                    None => Value::from("x"),
                }
            }
            _ => Value::from("x"),
        }
    }
}
