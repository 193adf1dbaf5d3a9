//! Answers that are JSON: finding the value, schemas, paths.
//!
//! Schemas never reach out: a reference to anything outside the schema is an error, not a request.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::super::criterion::PathTest;
use super::Judged;
use super::edition::Edition;
use super::quote::{clip, one_line, quote};

/// How many errors of a schema are told.
const ERRORS_SHOWN: usize = 3;
/// A path is at most so many bytes long.
const PATH_BYTES_MAX: usize = 256;
/// A path that may visit more values than this is not followed.
const VISITS_MAX: f64 = 5e7;

/// Reads the JSON value that an answer is: bare, in its one fenced block, or in the one of several that is labelled `json`. Prose around
/// bare JSON is not JSON: where it begins and ends would be guessed.
///
/// # Errors
/// Why it is none, in words.
pub fn json_answer(answer: &str, edition: Edition) -> Result<Value, String> {
    let bare = answer.trim().trim_start_matches('\u{feff}');
    let bare_error = match serde_json::from_str(bare) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match fenced_blocks(answer).as_slice() {
        [] => Err(format!("the answer is not JSON: {bare_error}")),
        [block] => serde_json::from_str(&block.text).map_err(|error| format!("the fenced block is not JSON: {error}")),
        blocks if edition == Edition::First => {
            Err(format!("the answer has {} fenced blocks, so none of them is the answer", blocks.len()))
        }
        blocks => {
            let labelled: Vec<&Block> = blocks.iter().filter(|block| block.label.eq_ignore_ascii_case("json")).collect();
            match labelled.as_slice() {
                [block] => serde_json::from_str(&block.text)
                    .map_err(|error| format!("the fenced block labelled `json` is not JSON: {error}")),
                labelled => Err(format!(
                    "the answer has {} fenced blocks, {} of them labelled `json`: exactly one must be, to be the answer",
                    blocks.len(),
                    if labelled.is_empty() { "none".to_owned() } else { labelled.len().to_string() }
                )),
            }
        }
    }
}

/// A fenced block of Markdown.
struct Block {
    /// The first word behind the opening fence, such as `json`.
    label: String,
    text: String,
}

/// Returns the fenced blocks of Markdown. A block that is never closed reaches to the end.
fn fenced_blocks(text: &str) -> Vec<Block> {
    let fence = |line: &str| {
        let line = line.trim_start();
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = line.chars().take_while(|c| *c == mark).count();
        (length >= 3).then(|| (mark, length, line[length..].trim().to_owned()))
    };
    let mut blocks = Vec::new();
    let mut open: Option<(char, usize, Block)> = None;
    for line in text.lines() {
        match (&mut open, fence(line)) {
            (None, Some((mark, length, info))) => {
                let label = info.split_whitespace().next().unwrap_or_default().to_owned();
                open = Some((mark, length, Block { label, text: String::new() }));
            }
            (Some((mark, length, _)), Some((closing, closing_length, rest)))
                if *mark == closing && closing_length >= *length && rest.is_empty() =>
            {
                blocks.extend(open.take().map(|(_, _, block)| block));
            }
            (Some((_, _, block)), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.extend(open.map(|(_, _, block)| block));
    blocks
}

/// Returns what is wrong with `value` by `schema`: the first errors, each with its place; none when it is valid.
///
/// # Errors
/// Why the schema itself cannot be used.
pub fn schema_problems(schema: &Value, value: &Value, edition: Edition) -> Result<Vec<String>, String> {
    let validator = compile(schema)?;
    Ok(validator
        .iter_errors(value)
        .take(ERRORS_SHOWN)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            match edition {
                Edition::First => format!("{place}: {}", quote(&error.to_string())),
                Edition::Second => format!("{}, at `{place}`", one_line(&error.to_string())),
                _ => {
                    format!("{}, at `{place}`", one_line(&in_words(&error.to_string())))
                }
            }
        })
        .collect())
}

/// Says of a missing property that it is required, with its name in backticks; all else in the validator's words.
fn in_words(problem: &str) -> String {
    problem
        .strip_suffix(" is a required property")
        .and_then(|name| serde_json::from_str::<String>(name).ok())
        .map_or_else(|| problem.to_owned(), |name| format!("`{name}` is required"))
}

fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20))
        .build(schema)
        .map_err(|error| clip(&error.to_string(), 200))
}

pub(super) fn valid(schema: &Value, answer: &str, edition: Edition) -> Judged {
    let value = match json_answer(answer, edition) {
        Ok(value) => value,
        Err(problem) => return Judged::code(false, problem),
    };
    match schema_problems(schema, &value, edition) {
        Err(problem) => Judged::unknown(format!("the schema cannot be used: {problem}")),
        Ok(problems) if problems.is_empty() => Judged::code(true, "the answer is valid against the schema"),
        Ok(problems) => Judged::code(false, problems.join("; ")),
    }
}

/// Without a test the path must find something; with several, one value must meet them all.
pub(super) fn path_holds(path: &str, test: &PathTest, answer: &str, edition: Edition) -> Judged {
    if path.len() > PATH_BYTES_MAX {
        return Judged::unknown(format!("the path cannot be used: it is longer than {PATH_BYTES_MAX} bytes"));
    }
    let parsed = match JsonPath::parse(path) {
        Ok(parsed) => parsed,
        Err(error) => return Judged::unknown(format!("the path cannot be used: {error}")),
    };
    let value = match json_answer(answer, edition) {
        Ok(value) => value,
        Err(problem) => return Judged::code(false, problem),
    };
    if visits(path, &value) > VISITS_MAX {
        return Judged::unknown(format!("following `{path}` through this answer would take too long"));
    }
    let found = parsed.query(&value);
    // JSON has quotation marks of its own.
    let finds = |value: &Value| match edition {
        Edition::First | Edition::Second => format!("`{path}` finds {}", quote(&value.to_string())),
        _ => format!("`{path}` is {}", one_line(&value.to_string())),
    };
    let unwanted = if edition >= Edition::Third { "another value is required" } else { "which does not hold" };
    if test.exists == Some(false) {
        let alone = test.equals.is_none() && test.min.is_none() && test.max.is_none();
        return match found.first() {
            None => Judged::code(alone, format!("`{path}` finds nothing")),
            Some(value) => Judged::code(false, finds(value)),
        };
    }
    let Some(first) = found.first() else { return Judged::code(false, format!("`{path}` finds nothing")) };
    match found.iter().find(|value| holds(test, value)) {
        Some(value) => Judged::code(true, finds(value)),
        None => Judged::code(false, format!("{}, {unwanted}", finds(first))),
    }
}

fn holds(test: &PathTest, value: &Value) -> bool {
    let number = value.as_f64();
    test.equals.as_ref().is_none_or(|wanted| same(wanted, value))
        && test.min.is_none_or(|min| number.is_some_and(|number| number >= min))
        && test.max.is_none_or(|max| number.is_some_and(|number| number <= max))
}

/// Equality as JSON Schema has it: `1` and `1.0` are the same number, the order of keys means nothing.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || (x.as_f64() == y.as_f64() && (x.is_f64() || y.is_f64())),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

/// Returns how many values following the path may visit, at most: every `..` can multiply by the depth, every further
/// `$` by the number of values, every `,` by two.
fn visits(path: &str, value: &Value) -> f64 {
    let (values, depth) = size(value);
    let count = |text: &str| path.matches(text).count() as i32;
    values * (depth + 1.0).powi(count("..")) * values.powi((count("$") - 1).max(0)) * 2f64.powi(count(","))
}

/// The number of values inside `value`, itself included, and how deep they go.
fn size(value: &Value) -> (f64, f64) {
    let parts: Vec<(f64, f64)> = match value {
        Value::Array(items) => items.iter().map(size).collect(),
        Value::Object(fields) => fields.values().map(size).collect(),
        _ => Vec::new(),
    };
    parts.into_iter().fold((1.0, 1.0), |(values, depth), (more, deep)| (values + more, f64::max(depth, deep + 1.0)))
}
