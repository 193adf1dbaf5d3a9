//! Conditions on answers: when a question is shown, when a rule makes an agent, and in words why not.
//!
//! A rule's `required_responses` is the same thing in the Python peer's short form. Whether a condition makes sense for its
//! questions is `template`'s concern; evaluating one never fails.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answers::{Answers, answer, prose, quoted, same};

/// A tree of conditions on answers.
///
/// In JSON: `{"question": "x", "is": v}`, `{"question": "x", "in": [v, …]}`, `{"question": "x", "not": v}`,
/// `{"question": "x", "contains": v}`, `{"all": […]}`, `{"any": […]}`, `{"not": {…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// A test of one answer.
    Test(Predicate),
    /// All must hold; holds when empty.
    All {
        /// The parts.
        all: Vec<Condition>,
    },
    /// One must hold; does not hold when empty.
    Any {
        /// The parts.
        any: Vec<Condition>,
    },
    /// The opposite.
    Not {
        /// The part.
        not: Box<Condition>,
    },
}

/// A test of one answer. Exactly one of `is`, `in`, `not`, `contains` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Predicate {
    /// The question's id.
    pub question: String,
    /// The comparison.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// How an answer is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal to the value; for a set, containing it. `null`: there is no answer.
    Is(Value),
    /// Equal to one of the values; for a set, containing one of them.
    In(Vec<Value>),
    /// There is an answer, and `is` does not hold.
    Not(Value),
    /// A set contains the value, or a text contains it as a substring.
    Contains(Value),
}

/// The first condition that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The question that it looks at; `None` for a tree without any.
    pub question: Option<String>,
    /// The condition in words, with the answer that it met.
    pub words: String,
}

/// Evaluates a condition; `Err` holds the first part that failed.
pub fn evaluate(condition: &Condition, answers: &Answers) -> Result<(), Failed> {
    match condition {
        Condition::Test(test) => evaluate_test(test, answers),
        Condition::All { all } => all.iter().try_for_each(|part| evaluate(part, answers)),
        Condition::Any { any } => {
            let mut failures = Vec::new();
            for part in any {
                match evaluate(part, answers) {
                    Ok(()) => return Ok(()),
                    Err(failed) => failures.push(failed),
                }
            }
            let question = failures.iter().find_map(|failed| failed.question.clone());
            let words: Vec<String> = failures.into_iter().map(|failed| failed.words).collect();
            let words = if words.is_empty() { "no alternative was given".to_owned() } else { words.join("; and ") };
            Err(Failed { question, words })
        }
        Condition::Not { not } => match evaluate(not, answers) {
            Err(_) => Ok(()),
            Ok(()) => Err(Failed { question: first_question(not), words: format!("it is true that {}", describe(not)) }),
        },
    }
}

/// Whether a condition holds.
pub fn holds(condition: &Condition, answers: &Answers) -> bool {
    match condition {
        Condition::Test(test) => test_holds(test, answer(answers, &test.question)),
        Condition::All { all } => all.iter().all(|part| holds(part, answers)),
        Condition::Any { any } => any.iter().any(|part| holds(part, answers)),
        Condition::Not { not } => !holds(not, answers),
    }
}

/// Returns a rule's `required_responses` as a condition: all must hold, a list means any of its values.
pub fn from_required(required: &IndexMap<String, Value>) -> Condition {
    let test = |(question, wanted): (&String, &Value)| {
        let comparison = match wanted {
            Value::Array(values) => Comparison::In(values.clone()),
            value => Comparison::Is(value.clone()),
        };
        Condition::Test(Predicate { question: question.clone(), comparison })
    };
    Condition::All { all: required.iter().map(test).collect() }
}

/// Calls `visit` for every test in the tree.
pub fn each_test<'c>(condition: &'c Condition, visit: &mut dyn FnMut(&'c Predicate)) {
    match condition {
        Condition::Test(test) => visit(test),
        Condition::All { all: parts } | Condition::Any { any: parts } => parts.iter().for_each(|part| each_test(part, visit)),
        Condition::Not { not } => each_test(not, visit),
    }
}

/// Returns the condition in words.
pub fn describe(condition: &Condition) -> String {
    let joined = |parts: &[Condition], with: &str, empty: &str| match parts {
        [] => empty.to_owned(),
        [only] => describe(only),
        parts => format!("({})", parts.iter().map(describe).collect::<Vec<_>>().join(with)),
    };
    match condition {
        Condition::Test(Predicate { question, comparison }) => match comparison {
            Comparison::Is(Value::Null) => format!("`{question}` has no answer"),
            Comparison::Is(value) => format!("`{question}` is {}", quoted(&prose(value))),
            Comparison::In(values) => format!("`{question}` is one of {}", list(values)),
            Comparison::Not(Value::Null) => format!("`{question}` has an answer"),
            Comparison::Not(value) => format!("`{question}` is not {}", quoted(&prose(value))),
            Comparison::Contains(value) => format!("`{question}` contains {}", quoted(&prose(value))),
        },
        Condition::All { all } => joined(all, " and ", "nothing is asked for"),
        Condition::Any { any } => joined(any, " or ", "no alternative was given"),
        Condition::Not { not } => format!("not {}", describe(not)),
    }
}

fn evaluate_test(test: &Predicate, answers: &Answers) -> Result<(), Failed> {
    let given = answer(answers, &test.question);
    if test_holds(test, given) {
        return Ok(());
    }
    let question = &test.question;
    let met = match given {
        None => format!("`{question}` has no answer"),
        Some(Value::Array(items)) if items.is_empty() => format!("`{question}` is an empty set"),
        Some(value) => format!("`{question}` is {}", quoted(&prose(value))),
    };
    let wanted = match &test.comparison {
        Comparison::Is(Value::Null) => "wanted no answer".to_owned(),
        Comparison::Is(value) => format!("wanted {}", quoted(&prose(value))),
        Comparison::In(values) => format!("wanted one of {}", list(values)),
        Comparison::Not(Value::Null) => "wanted any answer".to_owned(),
        Comparison::Not(value) => format!("wanted anything but {}", quoted(&prose(value))),
        Comparison::Contains(value) => format!("wanted it to contain {}", quoted(&prose(value))),
    };
    Err(Failed { question: Some(question.clone()), words: format!("{met}, {wanted}") })
}

fn list(values: &[Value]) -> String {
    if values.is_empty() {
        return "an empty list".to_owned();
    }
    values.iter().map(|value| quoted(&prose(value))).collect::<Vec<_>>().join(", ")
}

fn test_holds(test: &Predicate, given: Option<&Value>) -> bool {
    match &test.comparison {
        Comparison::Is(wanted) => is(given, wanted),
        Comparison::In(wanted) => wanted.iter().any(|value| is(given, value)),
        Comparison::Not(wanted) => given.is_some() && !is(given, wanted),
        Comparison::Contains(wanted) => match (given, wanted) {
            (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
            (Some(Value::Array(_)), wanted) => is(given, wanted),
            _ => false,
        },
    }
}

fn is(given: Option<&Value>, wanted: &Value) -> bool {
    match given {
        None => wanted.is_null(),
        Some(Value::Array(items)) => items.iter().any(|item| same(item, wanted)),
        Some(value) => same(value, wanted),
    }
}

fn first_question(condition: &Condition) -> Option<String> {
    let mut first = None;
    each_test(condition, &mut |test| {
        first.get_or_insert_with(|| test.question.clone());
    });
    first
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers() -> Answers {
        serde_json::from_value(json!({
            "tests": true, "checks": ["Linting (ruff)", "Typing"], "bump": "minor", "none": [], "coverage": 80, "nothing": null
        }))
        .expect("a map")
    }

    #[track_caller]
    fn check(condition: Value, expected: bool) {
        let condition: Condition = serde_json::from_value(condition).expect("a condition");
        assert_eq!(holds(&condition, &answers()), expected, "{condition:?}");
        assert_eq!(evaluate(&condition, &answers()).is_ok(), expected, "evaluate agrees: {condition:?}");
    }

    #[test]
    fn one_answer_is_compared_as_the_format_says() {
        check(json!({"question": "tests", "is": "Yes"}), true);
        check(json!({"question": "tests", "is": true}), true);
        check(json!({"question": "tests", "not": "n"}), true);
        check(json!({"question": "bump", "is": "Minor"}), false);
        check(json!({"question": "bump", "in": ["minor", "major"]}), true);
        check(json!({"question": "bump", "contains": "min"}), true);
        check(json!({"question": "bump", "in": []}), false);
        check(json!({"question": "checks", "is": "Typing"}), true);
        check(json!({"question": "checks", "in": ["x", "Typing"]}), true);
        check(json!({"question": "checks", "not": "Typing"}), false);
        check(json!({"question": "checks", "contains": "Typ"}), false);
        check(json!({"question": "none", "not": "Typing"}), true);
        check(json!({"question": "coverage", "is": 80.0}), true);
    }

    #[test]
    fn an_absent_answer_matches_null_and_nothing_else() {
        for question in ["nothing", "unknown"] {
            check(json!({"question": question, "is": null}), true);
            check(json!({"question": question, "not": "x"}), false);
            check(json!({"question": question, "is": ""}), false);
            check(json!({"question": question, "in": ["x", null]}), true);
        }
        check(json!({"question": "bump", "is": null}), false);
    }

    #[test]
    fn trees_combine() {
        check(json!({"all": []}), true);
        check(json!({"any": []}), false);
        check(json!({"not": {"any": [{"question": "bump", "is": "patch"}, {"question": "bump", "is": "minor"}]}}), false);
        check(json!({"all": [{"question": "bump", "is": "minor"}, {"not": {"question": "tests", "is": false}}]}), true);
    }

    #[test]
    fn required_responses_follow_the_peers_table() {
        for (required, made) in [
            (json!({}), true),
            (json!({"checks": "Typing"}), true),
            (json!({"checks": ["Other", "Typing"]}), true),
            (json!({"checks": "Other"}), false),
            (json!({"bump": "minor", "tests": "Yes"}), true),
            (json!({"bump": ["patch"], "tests": "Yes"}), false),
            (json!({"bump": []}), false),
            (json!({"absent": null}), true),
        ] {
            let condition = from_required(&serde_json::from_value(required.clone()).expect("a map"));
            assert_eq!(holds(&condition, &answers()), made, "{required}");
        }
    }

    #[test]
    fn a_failure_names_the_first_question_and_the_answer_it_met() {
        let condition: Condition = serde_json::from_value(json!({"all": [
            {"question": "bump", "is": "minor"}, {"question": "tests", "is": false}, {"question": "x", "is": 1}
        ]}))
        .expect("a condition");
        assert_eq!(
            evaluate(&condition, &answers()),
            Err(Failed { question: Some("tests".to_owned()), words: "`tests` is `Yes`, wanted `No`".to_owned() })
        );
        let not: Condition = serde_json::from_value(json!({"not": {"question": "bump", "is": "minor"}})).expect("a condition");
        assert_eq!(
            evaluate(&not, &answers()).map_err(|failed| failed.words),
            Err("it is true that `bump` is `minor`".to_owned())
        );
    }
}
