//! Criteria: what an attempt is judged by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A criterion as templates write it: a plain sentence (for a judge) or a typed object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Criterion {
    /// A sentence that a judging model decides on.
    Sentence(String),
    /// A typed criterion.
    Typed(TypedCriterion),
}

/// A typed criterion with what all of them may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TypedCriterion {
    /// A short name for reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its weight among the agent's criteria, above 0. When any criterion has one, the others count 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// What is checked.
    #[serde(flatten)]
    pub check: Check,
}

/// What a criterion checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Check {
    /// The answer contains the text.
    Contains {
        /// The text.
        value: String,
        /// Upper and lower case are the same.
        #[serde(default)]
        ignore_case: bool,
    },
    /// The answer does not contain the text.
    NotContains {
        /// The text.
        value: String,
        /// Upper and lower case are the same.
        #[serde(default)]
        ignore_case: bool,
    },
    /// The regular expression is found in the answer.
    Regex {
        /// The expression, in the syntax of the crate `regex`.
        pattern: String,
    },
    /// The answer is JSON (bare, in its one fenced block, or in the only one of several that is labelled `json`) and valid against the
    /// schema.
    JsonSchema {
        /// The schema.
        schema: Value,
    },
    /// The answer is JSON and a value in it holds.
    JsonPath {
        /// The path, RFC 9535.
        path: String,
        /// The comparison.
        #[serde(flatten)]
        test: PathTest,
    },
    /// At least so many words, by the word boundaries of Unicode; each character of scripts without spaces is one.
    MinWords {
        /// The number.
        value: u64,
    },
    /// At most so many words, counted likewise.
    MaxWords {
        /// The number.
        value: u64,
    },
    /// Every `file:line` that the answer quotes exists in the inputs, and there is one at least.
    CitesInputs {},
    /// The file exists in the workspace after the attempt.
    FileExists {
        /// Path relative to the workspace.
        path: String,
    },
    /// The file in the workspace was changed by the agent, in this attempt or an earlier one.
    FileChanged {
        /// Path relative to the workspace.
        path: String,
    },
    /// The command ends with the exit code.
    Command {
        /// Program and arguments.
        run: Vec<String>,
        /// The exit code wanted.
        #[serde(default)]
        exit_code: i32,
        /// Seconds until it counts as failed.
        #[serde(default = "command_timeout_s")]
        timeout_s: u64,
        /// It runs in a copy of the workspace, to which the blocks of the answer that are fenced as `diff` were applied. The workspace itself
        /// stays as it is. A diff that does not apply fails.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        patched: bool,
    },
    /// A judging model decides.
    Judge {
        /// What to look at.
        rubric: String,
        /// The score, 0 to 1, from which on it passes.
        #[serde(default = "judge_threshold")]
        threshold: f64,
    },
    /// All must pass.
    All {
        /// The parts.
        criteria: Vec<Criterion>,
    },
    /// One must pass.
    Any {
        /// The parts.
        criteria: Vec<Criterion>,
    },
    /// The part must fail.
    Not {
        /// The part.
        criterion: Box<Criterion>,
    },
}

/// How a value found by a JSON path is compared. Several given together must all hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathTest {
    /// Equal to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// A number, at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// A number, at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// True: the path finds something; false: it finds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

fn command_timeout_s() -> u64 {
    600
}

fn judge_threshold() -> f64 {
    0.7
}
