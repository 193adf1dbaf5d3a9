//! A template's own tests: answers, and the roles that they must lead to.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::problem::{Problem, Severity};
use super::types::{BaseAgent, Template};
use crate::domain::answers::quoted;
use crate::domain::event::AnswerSource;
use crate::domain::form::complete;
use crate::domain::team::{PlanDefaults, plan};

/// A test that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// The test's number in the template, from 0.
    pub test: usize,
    /// What went wrong: lower case, no full stop.
    pub message: String,
}

/// How the tests of a template's file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct TestTally {
    /// How many there are.
    pub total: usize,
    /// How many failed; null when they could not be run, because the template has other errors.
    pub failed: Option<usize>,
}

/// Counts the tests of a template's text that was checked with these problems.
pub fn tally_tests(text: &str, problems: &[Problem]) -> TestTally {
    let file: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
    let total = file.get("tests").and_then(Value::as_array).map_or(0, Vec::len);
    let is_failure = |problem: &&Problem| {
        problem.pointer.strip_prefix("/tests/").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let errors = || problems.iter().filter(|problem| problem.severity == Severity::Error);
    let failed = errors().filter(is_failure).count();
    TestTally { total, failed: (failed == errors().count()).then_some(failed) }
}

/// Runs a template's tests. Questions not named take their defaults, and every path exists.
pub fn run_tests(template: &Template, bases: &BTreeMap<String, BaseAgent>) -> Vec<TestFailure> {
    let mut failures = Vec::new();
    for (number, test) in template.tests.iter().enumerate() {
        let name = if test.name.is_empty() { String::new() } else { format!("test {}: ", quoted(&test.name)) };
        let given: IndexMap<String, (Value, AnswerSource)> =
            test.answers.iter().map(|(id, value)| (id.clone(), (value.clone(), AnswerSource::Flag))).collect();
        let message = match complete(template, &given, &|_| None, &|_| true) {
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Ok(done) => {
                let team = plan(template, bases, &done.values(), &PlanDefaults::default());
                let roles: Vec<String> = team.agents.iter().map(|agent| agent.title()).collect();
                if roles == test.roles {
                    continue;
                }
                format!("expected {}, made {}", list(&test.roles), list(&roles))
            }
        };
        failures.push(TestFailure { test: number, message: format!("{name}{message}") });
    }
    failures
}

fn list(roles: &[String]) -> String {
    if roles.is_empty() { "no agent".to_owned() } else { roles.iter().map(|role| quoted(role)).collect::<Vec<_>>().join(", ") }
}
