//! Criteria in words, for prompts and reports.

use super::super::criterion::{Check, Criterion, PathTest};
use super::quote::clip;

/// A name made from words is at most so many bytes long.
const NAME_BYTES_MAX: usize = 80;

/// Returns the names of recorded criteria, a JSON array; nothing for what is none.
pub fn names(criteria: &str) -> Vec<String> {
    serde_json::from_str::<Vec<Criterion>>(criteria).unwrap_or_default().iter().map(name).collect()
}

/// Returns a criterion's own name, or a short one: the start of its words, or of the names of its parts.
pub fn name(criterion: &Criterion) -> String {
    let Criterion::Typed(typed) = criterion else { return clip(&in_words(criterion), NAME_BYTES_MAX) };
    if let Some(name) = typed.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        return clip(name, NAME_BYTES_MAX);
    }
    let parts = |criteria: &[Criterion]| criteria.iter().map(name).collect::<Vec<_>>().join("; ");
    let words = match &typed.check {
        Check::JsonSchema { .. } => "valid JSON by its schema".to_owned(),
        Check::All { criteria } => format!("all of: {}", parts(criteria)),
        Check::Any { criteria } => format!("one of: {}", parts(criteria)),
        Check::Not { criterion } => format!("not: {}", name(criterion)),
        _ => in_words(criterion),
    };
    clip(&words, NAME_BYTES_MAX)
}

/// Says what a criterion asks for, complete enough to be met by who reads it.
pub fn in_words(criterion: &Criterion) -> String {
    let check = match criterion {
        Criterion::Sentence(rubric) => return rubric.trim().to_owned(),
        Criterion::Typed(typed) => &typed.check,
    };
    let case = |ignore: &bool| if *ignore { " (in upper or lower case)" } else { "" };
    match check {
        Check::Contains { value, ignore_case } => format!("the answer contains `{value}`{}", case(ignore_case)),
        Check::NotContains { value, ignore_case } => format!("the answer does not contain `{value}`{}", case(ignore_case)),
        Check::Regex { pattern } => format!("something in the answer matches the regular expression `{pattern}`"),
        Check::JsonSchema { schema } => format!("the answer is JSON that is valid against the schema {schema}"),
        Check::JsonPath { path, test } => format!("the answer is JSON in which `{path}` {}", path_test(test)),
        Check::MinWords { value } => format!("the answer has at least {value} words"),
        Check::MaxWords { value } => format!("the answer has at most {value} words"),
        Check::CitesInputs {} => {
            "the answer quotes the inputs as `file:line`, at least once, and every line quoted exists".to_owned()
        }
        Check::FileExists { path } => format!("the file `{path}` exists in the workspace"),
        Check::FileChanged { path } => format!("the file `{path}` in the workspace was changed"),
        Check::Command { run, exit_code, timeout_s, patched } => {
            let place = if *patched { " in a copy of the workspace with the answer's fenced `diff` applied to it" } else { "" };
            format!("the command `{}` ends with exit code {exit_code} within {timeout_s} seconds{place}", run.join(" "))
        }
        Check::Judge { rubric, .. } => rubric.trim().to_owned(),
        Check::All { criteria } => format!("all of these hold: {}", joined(criteria)),
        Check::Any { criteria } => format!("at least one of these holds: {}", joined(criteria)),
        Check::Not { criterion } => format!("this does not hold: {}", in_words(criterion)),
    }
}

fn joined(criteria: &[Criterion]) -> String {
    let parts: Vec<String> = (1..).zip(criteria).map(|(number, part)| format!("({number}) {}", in_words(part))).collect();
    if parts.is_empty() { "(none)".to_owned() } else { parts.join("; ") }
}

fn path_test(test: &PathTest) -> String {
    let mut tests = Vec::new();
    tests.extend(test.equals.as_ref().map(|value| format!("equals {value}")));
    tests.extend(test.min.map(|min| format!("is at least {min}")));
    tests.extend(test.max.map(|max| format!("is at most {max}")));
    match test.exists {
        Some(false) => tests.push("finds nothing".to_owned()),
        _ if tests.is_empty() => tests.push("finds a value".to_owned()),
        _ => {}
    }
    tests.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_criterion_of_criteria_is_named_by_the_names_of_its_parts() {
        let read = |json: &str| serde_json::from_str::<Criterion>(json).unwrap();
        let nested = r#"{"type": "all", "criteria": [
            {"type": "any", "criteria": [{"type": "min_words", "value": 3, "name": "long"}, "is polite"]},
            {"type": "not", "criterion": {"type": "contains", "value": "x", "name": "has x"}},
            {"type": "json_schema", "schema": {"type": "object"}}]}"#;
        assert_eq!(name(&read(nested)), "all of: one of: long; is polite; not: has x; valid JSON by its schema");
        let long = format!(r#"{{"type": "all", "criteria": [{}]}}"#, ["\"a sentence of some length\""; 9].join(","));
        assert!(name(&read(&long)).len() <= NAME_BYTES_MAX);
    }
}
