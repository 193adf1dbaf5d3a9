//! Criteria: can they be evaluated at all, and could any answer meet them?

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::meaning::{Allowed, Checker};
use crate::domain::answers::quoted;
use crate::domain::criterion::{Check, Criterion, PathTest, TypedCriterion};
use crate::domain::placeholder::{Part, each_text, parts, references, whole};

/// Seconds that a command may be given at most: a day.
const TIMEOUT_S_MAX: u64 = 86_400;
/// Bytes that a compiled expression may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Words that only a shell takes for something else.
const SHELL_WORDS: [&str; 10] = ["|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1"];

impl Checker<'_, '_> {
    /// Checks the criteria of one agent.
    pub(super) fn check_criteria(&mut self, criteria: &[Criterion], pointer: &str, allowed: &Allowed<'_>) {
        for (i, criterion) in criteria.iter().enumerate() {
            self.check_criterion(criterion, &format!("{pointer}/{i}"), allowed, true);
        }
        let number = |pick: &dyn Fn(&Check) -> Option<u64>| {
            criteria
                .iter()
                .filter_map(|criterion| match criterion {
                    Criterion::Typed(typed) => pick(&typed.check),
                    Criterion::Sentence(_) => None,
                })
                .collect::<Vec<u64>>()
        };
        let min = number(&|check| if let Check::MinWords { value } = check { Some(*value) } else { None }).into_iter().max();
        let max = number(&|check| if let Check::MaxWords { value } = check { Some(*value) } else { None }).into_iter().min();
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let message = format!("no answer has at least {min} and at most {max} words");
            self.findings.error(pointer, message, "raise `max_words` or lower `min_words`");
        }
        self.check_contradictions(criteria, pointer);
    }

    /// Reports texts that must and must not be there, where every criterion has to hold.
    fn check_contradictions(&mut self, criteria: &[Criterion], pointer: &str) {
        let typed = || {
            criteria.iter().enumerate().filter_map(|(i, criterion)| match criterion {
                Criterion::Typed(typed) => Some((i, typed)),
                Criterion::Sentence(_) => None,
            })
        };
        if typed().any(|(_, typed)| typed.weight.is_some()) {
            return;
        }
        for (i, typed_one) in typed() {
            let Check::NotContains { value: unwanted, ignore_case } = &typed_one.check else { continue };
            let wanted = typed().find_map(|(_, other)| match &other.check {
                Check::Contains { value, ignore_case: loosely } => {
                    // Who asks for a text in any case may be given it in another one.
                    let clashes = match (ignore_case, loosely) {
                        (true, _) => value.to_lowercase().contains(&unwanted.to_lowercase()),
                        (false, true) => false,
                        (false, false) => value.contains(unwanted.as_str()),
                    };
                    (clashes && !unwanted.is_empty()).then_some(value)
                }
                _ => None,
            });
            if let Some(wanted) = wanted {
                let message = format!("no answer has {} and is without {}", quoted(wanted), quoted(unwanted));
                self.findings.error(&format!("{pointer}/{i}"), message, "remove one of both");
            }
        }
    }

    fn check_criterion(&mut self, criterion: &Criterion, pointer: &str, allowed: &Allowed<'_>, top: bool) {
        match criterion {
            Criterion::Sentence(text) if text.trim().is_empty() => {
                self.findings.error(pointer, "the criterion is empty", "say what must be true of the answer");
            }
            Criterion::Sentence(text) => {
                self.check_text(text, pointer, allowed);
                let remedy = "use a typed criterion where code can decide: command, regex, json_schema, file_exists, …";
                self.findings.warn(pointer, "only a judging model can decide this sentence", remedy);
            }
            Criterion::Typed(typed) => {
                self.check_weight(typed, pointer, top);
                self.check_check(&typed.check, pointer, allowed);
            }
        }
    }

    fn check_weight(&mut self, typed: &TypedCriterion, pointer: &str, top: bool) {
        let Some(weight) = typed.weight else { return };
        let pointer = format!("{pointer}/weight");
        if weight <= 0.0 {
            self.findings.error(&pointer, format!("{weight} is no weight"), "write a number above 0");
        } else if !top {
            self.findings.warn(
                &pointer,
                "a weight inside `all`, `any` or `not` does not count",
                "give it to the outer criterion",
            );
        }
    }

    fn check_check(&mut self, check: &Check, pointer: &str, allowed: &Allowed<'_>) {
        let at = |field: &str| format!("{pointer}/{field}");
        match check {
            Check::Contains { value, .. } | Check::NotContains { value, .. } => {
                self.check_text(value, &at("value"), allowed);
                if value.is_empty() {
                    self.findings.error(&at("value"), "every answer contains an empty text", "write the text to look for");
                }
            }
            Check::Regex { pattern } => {
                self.check_text(pattern, &at("pattern"), allowed);
                // What is filled in is quoted, so any word stands for it.
                let filled: String = parts(pattern)
                    .into_iter()
                    .map(|part| match part {
                        Part::Text(text) => text,
                        Part::Placeholder(..) => "x".to_owned(),
                    })
                    .collect();
                if let Err(error) = RegexBuilder::new(&filled).size_limit(PATTERN_BYTES_MAX).build() {
                    let said = error.to_string();
                    let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    let remedy = "see https://docs.rs/regex for the syntax; \\\\ writes one backslash";
                    self.findings.error(&at("pattern"), format!("the pattern is no regular expression: {said}"), remedy);
                }
            }
            Check::JsonSchema { schema } => {
                self.check_value(schema, &at("schema"), allowed);
                if let Err(message) = compile_schema(&self.sampled(schema)) {
                    self.findings.error(&at("schema"), message, "write a JSON Schema");
                }
            }
            Check::JsonPath { path, test } => self.check_json_path(path, test, pointer, allowed),
            Check::MinWords { value } if *value == 0 => {
                self.findings.error(&at("value"), "every answer has at least 0 words", "write a number above 0");
            }
            Check::MaxWords { value } if *value == 0 => {
                self.findings.error(&at("value"), "no answer has 0 words", "write a number above 0");
            }
            Check::MinWords { .. } | Check::MaxWords { .. } | Check::CitesInputs {} => {}
            Check::FileExists { path } | Check::FileChanged { path } => {
                self.check_text(path, &at("path"), allowed);
                if path.is_empty()
                    || path.contains('\0')
                    || path.starts_with(['/', '\\'])
                    || path.split(['/', '\\']).any(|part| part == "..")
                {
                    let message = format!("{} is no path inside the workspace", quoted(path));
                    self.findings.error(&at("path"), message, "write a relative path without `..`");
                }
            }
            Check::Command { run, timeout_s, exit_code, patched: _ } => {
                if !(0..=255).contains(exit_code) {
                    let message = format!("no program ends with {exit_code}");
                    self.findings.error(&at("exit_code"), message, "write a number from 0 to 255");
                }
                for (i, argument) in run.iter().enumerate() {
                    self.check_text(argument, &at(&format!("run/{i}")), allowed);
                    if SHELL_WORDS.contains(&argument.as_str()) {
                        let message = format!("{} is given to the program as it stands: there is no shell", quoted(argument));
                        let remedy = "write one command, or name a shell: [\"sh\", \"-c\", \"…\"]";
                        self.findings.warn(&at(&format!("run/{i}")), message, remedy);
                    }
                }
                match run.first() {
                    None => self.findings.error(&at("run"), "the command is empty", "write [\"program\", \"argument\"]"),
                    Some(program) if program.trim().is_empty() || !references(program).is_empty() => {
                        self.findings.error(
                            &at("run/0"),
                            "the program must be fixed",
                            "write the program's name; arguments may vary",
                        );
                    }
                    Some(program) if program.contains(char::is_whitespace) => {
                        let remedy = "write each argument as a text of its own: there is no shell";
                        self.findings.error(&at("run/0"), format!("{} is no program", quoted(program)), remedy);
                    }
                    Some(program) if program.contains('/') && !program.starts_with('/') => {
                        let message =
                            format!("{} lies in the workspace, where programs are never run by their path", quoted(program));
                        let name = program.trim_start_matches("./");
                        let remedy =
                            format!("name a program that runs it: [\"sh\", \"{name}\"]; the settings must allow that program");
                        self.findings.warn(&at("run/0"), message, remedy);
                    }
                    Some(program) if self.context.commands.is_some_and(|commands| !commands.contains(program)) => {
                        let message =
                            format!("`{program}` is a program that the settings do not allow, so the criterion is unknown");
                        let remedy = format!("add it to `commands` under [tools] in config.toml: \"{program}\"");
                        self.findings.warn(&at("run/0"), message, remedy);
                    }
                    Some(_) => {}
                }
                if *timeout_s == 0 || *timeout_s > TIMEOUT_S_MAX {
                    let message = format!("{timeout_s} seconds are no timeout");
                    self.findings.error(&at("timeout_s"), message, format!("write a number from 1 to {TIMEOUT_S_MAX}"));
                }
            }
            Check::Judge { rubric, threshold } => {
                self.check_text(rubric, &at("rubric"), allowed);
                if rubric.trim().is_empty() {
                    self.findings.error(&at("rubric"), "the rubric is empty", "say what must be true of the answer");
                }
                if !(0.0..=1.0).contains(threshold) {
                    self.findings.error(&at("threshold"), format!("{threshold} is no score"), "write a number from 0 to 1");
                }
            }
            Check::All { criteria } | Check::Any { criteria } => {
                if criteria.is_empty() {
                    self.findings.error(&at("criteria"), "there are no parts", "list criteria");
                }
                for (i, criterion) in criteria.iter().enumerate() {
                    self.check_criterion(criterion, &at(&format!("criteria/{i}")), allowed, false);
                }
            }
            Check::Not { criterion } => self.check_criterion(criterion, &at("criterion"), allowed, false),
        }
    }

    fn check_json_path(&mut self, path: &str, test: &PathTest, pointer: &str, allowed: &Allowed<'_>) {
        if let Err(error) = serde_json_path::JsonPath::parse(path) {
            let message = format!("{} is no JSON path: {}", quoted(path), error.to_string().replace('\n', " "));
            self.findings.error(&format!("{pointer}/path"), message, "write a path like $.findings[0].severity (RFC 9535)");
        }
        if let Some(equals) = &test.equals {
            self.check_value(equals, &format!("{pointer}/equals"), allowed);
        }
        let compares = test.equals.is_some() || test.min.is_some() || test.max.is_some();
        if !compares && test.exists.is_none() {
            self.findings.error(pointer, "nothing is compared", "add `equals`, `min`, `max` or `exists`");
        }
        if compares && test.exists == Some(false) {
            self.findings.error(&format!("{pointer}/exists"), "a value that is absent cannot be compared", "remove `exists`");
        }
        if matches!((test.min, test.max), (Some(min), Some(max)) if min > max) {
            self.findings.error(&format!("{pointer}/min"), "`min` is above `max`", "make `min` at most `max`");
        }
    }

    fn check_value(&mut self, value: &Value, pointer: &str, allowed: &Allowed<'_>) {
        let mut texts: Vec<(String, &str)> = Vec::new();
        each_text(value, pointer, &mut |at, text| texts.push((at.to_owned(), text)));
        for (at, text) in texts {
            self.check_text(text, &at, allowed);
        }
    }

    /// Replaces placeholders that are whole texts by values such as answers could be.
    fn sampled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => whole(text).map_or_else(|| value.clone(), |reference| self.sample(&reference)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.sampled(item)).collect()),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), self.sampled(value))).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

/// Compiles a JSON Schema; nothing outside the schema is looked up.
///
/// # Errors
/// It is none, in words with the place inside.
pub(super) fn compile_schema(schema: &Value) -> Result<(), String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("a JSON Schema is an object".to_owned());
    }
    jsonschema::validator_for(schema).map(|_| ()).map_err(|error| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { place } else { format!(" at {place}") };
        format!("the schema cannot be used{place}: {}", quoted(&error.to_string()).trim_matches('`'))
    })
}
