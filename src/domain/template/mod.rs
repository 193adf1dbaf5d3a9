//! Templates: a form, rules that turn answers into agents, and what surrounds them; and base agents.
//!
//! A file is read in three steps, and all problems of all steps are reported at once: `places` reads strict JSON and knows
//! where everything stands, `shape` compares it with the types of `types`, `meaning` checks what the types cannot say
//! (names, ranges, conditions that can never hold, cycles); then the file's own tests run. Start with [`parse`]. Where files
//! lie and which templates exist is not known here.

mod conditions;
mod criteria;
mod id;
mod meaning;
mod places;
mod problem;
mod questions;
mod reach;
mod rules;
mod schema;
mod shape;
mod starter;
mod trials;
mod types;

use std::collections::{BTreeMap, BTreeSet};

pub use id::{BadId, template_id};
pub use places::{FILE_BYTES_MAX, parse_json};
pub use problem::{Problem, Severity};
pub use schema::{agent_schema, template_schema};
pub use starter::starter;
pub use trials::{TestTally, run_tests, tally_tests};
pub use types::*;

use self::places::{Kind, Node, Places, whole};
use self::problem::Findings;

/// What a template may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The base agents by id; `None`: not known, and any is taken.
    pub bases: Option<&'a BTreeMap<String, BaseAgent>>,
    /// Base agents that cannot be used: by id, what is wrong with which file.
    pub broken_bases: Option<&'a BTreeMap<String, String>>,
    /// Programs that the settings allow; `None`: not known, and any is taken. Others are a warning.
    pub commands: Option<&'a BTreeSet<String>>,
    /// MCP servers that the settings name; `None`: not known, and any is taken. Others are a warning.
    pub servers: Option<&'a BTreeSet<String>>,
}

/// A file with its problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<T> {
    /// What was read; nothing when there is an error.
    pub value: Option<T>,
    /// All problems, in the order of the file.
    pub problems: Vec<Problem>,
}

impl<T> Checked<T> {
    /// Returns the first error.
    #[cfg(test)]
    pub fn first_error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }

    fn broken(problem: Problem) -> Self {
        Self { value: None, problems: vec![problem] }
    }
}

/// Reads and checks a template. `stem` is the file's name without its ending, if it comes from a file.
///
/// A file that has only the Python peer's fields is read as the peer read it: unknown keys and base agents are warnings.
pub fn parse(text: &str, stem: Option<&str>, context: &Context<'_>) -> Checked<Template> {
    let check = |template: &Template, findings: &mut Findings| {
        meaning::check_template(template, stem, context, findings);
        if !findings.has_error() {
            for failure in run_tests(template, context.bases.unwrap_or(&BTreeMap::new())) {
                findings.error(&format!("/tests/{}", failure.test), failure.message, "mend the rules or the test");
            }
        }
    };
    read(text, template_schema(), is_peers, &check)
}

/// Like [`parse`], for bytes that may not be UTF-8.
pub fn parse_bytes(bytes: &[u8], stem: Option<&str>, context: &Context<'_>) -> Checked<Template> {
    match utf8(bytes) {
        Ok(text) => parse(text, stem, context),
        Err(problem) => Checked::broken(problem),
    }
}

/// Reads and checks a base agent. `stem` is the file's name without its ending, if it comes from a file.
pub fn parse_agent(text: &str, stem: Option<&str>, context: &Context<'_>) -> Checked<BaseAgent> {
    read(text, agent_schema(), |_| false, &|agent: &BaseAgent, findings| meaning::check_agent(agent, stem, context, findings))
}

/// Like [`parse_agent`], for bytes that may not be UTF-8.
pub fn parse_agent_bytes(bytes: &[u8], stem: Option<&str>, context: &Context<'_>) -> Checked<BaseAgent> {
    match utf8(bytes) {
        Ok(text) => parse_agent(text, stem, context),
        Err(problem) => Checked::broken(problem),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = good.matches('\n').count() + 1;
        let column = good.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Problem { line, column, ..whole("the file is not UTF-8", "save it as UTF-8") }
    })
}

fn read<T: serde::de::DeserializeOwned>(
    text: &str,
    schema: &'static serde_json::Value,
    peers: impl Fn(&Node) -> bool,
    check: &dyn Fn(&T, &mut Findings),
) -> Checked<T> {
    let places = match Places::read(text) {
        Ok(places) => places,
        Err(problem) => return Checked::broken(problem),
    };
    let duplicates = places.duplicates();
    let mut findings = Findings::new(peers(places.root()));
    let value = shape::fit(schema, places.root(), &mut findings);
    let value: Option<T> = match serde_json::from_value(value) {
        Ok(value) => Some(value),
        Err(error) => {
            // Only reached when schema and types disagree; said rather than hidden.
            findings.error("", error.to_string(), "compare it with the schema");
            None
        }
    };
    if let Some(value) = value.as_ref().filter(|_| matches!(places.root().kind, Kind::Object(_))) {
        check(value, &mut findings);
    }
    let broken = findings.has_error() || !duplicates.is_empty();
    let mut problems = findings.placed(&places);
    problems.extend(duplicates.into_iter().map(Problem::from));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Checked { value: value.filter(|_| !broken), problems }
}

const PEER_TEMPLATE: &[&str] = &[
    "template_id",
    "name",
    "description",
    "version",
    "tags",
    "author",
    "estimated_cost_range",
    "estimated_duration_minutes",
    "form_schema",
    "agent_composition_rules",
];
const PEER_FORM: &[&str] = &["title", "description", "questions"];
const PEER_QUESTION: &[&str] = &["id", "text", "type", "options", "default", "help_text", "required"];
const PEER_RULE: &[&str] =
    &["role", "base_template", "tier_strategy", "tools", "required_responses", "config_mapping", "success_criteria"];

/// Whether a file uses no field and no kind of value that the Python peer does not have.
fn is_peers(root: &Node) -> bool {
    let schema = template_schema();
    let only = |node: &Node, name: &str, peers: &[&str]| {
        let of = if name.is_empty() { Some(schema) } else { schema.get("$defs").and_then(|definitions| definitions.get(name)) };
        let known = of.and_then(schema::properties);
        match &node.kind {
            Kind::Object(fields) => fields
                .iter()
                .all(|field| peers.contains(&field.name.as_str()) || !known.is_some_and(|known| known.contains_key(&field.name))),
            _ => true,
        }
    };
    let word = |node: &Node, name: &str, ours: &[&str]| match node.get(name).map(|node| &node.kind) {
        Some(Kind::Text(text)) => !ours.contains(&text.as_str()),
        _ => true,
    };
    let form = root.get("form_schema");
    let questions = form.and_then(|form| form.get("questions")).map(Node::elements).unwrap_or_default();
    let rules = root.get("agent_composition_rules").map(Node::elements).unwrap_or_default();
    let sentences = |rule: &Node| {
        let criteria = rule.get("success_criteria").map(Node::elements).unwrap_or_default();
        criteria.iter().all(|criterion| !matches!(criterion.kind, Kind::Object(_)))
    };
    only(root, "", PEER_TEMPLATE)
        && form.is_none_or(|form| only(form, "FormSchema", PEER_FORM))
        && questions.iter().all(|node| only(node, "Question", PEER_QUESTION) && word(node, "type", &["number", "path", "secret"]))
        && rules.iter().all(|node| only(node, "Rule", PEER_RULE) && word(node, "tier_strategy", &["adaptive"]) && sentences(node))
}

#[cfg(test)]
mod tests;
