//! Conditions on answers: when a question is shown, when a rule makes an agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tree of conditions on answers.
///
/// In JSON: `{"question": "x", "is": v}`, `{"question": "x", "in": [v, …]}`, `{"question": "x", "not": v}`,
/// `{"question": "x", "contains": v}`, `{"all": […]}`, `{"any": […]}`, `{"not": {…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// A test of one answer.
    Test(Test),
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
#[serde(deny_unknown_fields)]
pub struct Test {
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
    /// Equal to the value; for a set, containing it.
    Is(Value),
    /// Equal to one of the values; for a set, containing one of them.
    In(Vec<Value>),
    /// There is an answer, and `is` does not hold.
    Not(Value),
    /// A set contains the value, or a text contains it as a substring.
    Contains(Value),
}
