//! One answer against one question: is it allowed, and what is kept of it.

use std::fmt;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, Look};
use serde_json::{Number, Value};

use super::Exists;
use crate::domain::answers::{quoted, read_boolean, shown};
use crate::domain::event::AnswerSource;
use crate::domain::nearest::nearest;
use crate::domain::template::{Question, QuestionKind};

/// Bytes that a compiled pattern may take; a larger one is refused instead of slowing everything down.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Integers up to here are exact in JSON for everybody: 2⁵³.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Why an answer is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerProblem {
    /// The question's id.
    pub question: String,
    /// The value for messages; `None` when there was none, never a secret's.
    pub value: Option<String>,
    /// What would be allowed, in words.
    pub allowed: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl fmt::Display for AnswerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "question `{}`: {}", self.question, self.message)?;
        if self.allowed.is_empty() { Ok(()) } else { write!(f, " (allowed: {})", self.allowed) }
    }
}

impl std::error::Error for AnswerProblem {}

impl AnswerProblem {
    fn new(question: &Question, value: Option<&Value>, message: String) -> Self {
        let value = match question.kind {
            QuestionKind::Secret => None,
            _ => value.map(shown),
        };
        Self { question: question.id.clone(), value, allowed: allowed(question), message }
    }

    /// No answer was given to a question that needs one.
    pub(crate) fn missing(question: &Question) -> Self {
        Self::new(question, None, "an answer is needed".to_owned())
    }

    /// An answer was given to a question that is not shown.
    pub(crate) fn hidden(question: &Question, value: &Value) -> Self {
        let message = match &question.when {
            Some(when) => format!("it is only asked when {}", crate::domain::condition::describe(when)),
            None => "it is not asked".to_owned(),
        };
        Self { allowed: String::new(), ..Self::new(question, Some(value), message) }
    }

    /// An answer was given to a question that the template does not have.
    pub(crate) fn unknown(id: &str, value: &Value, questions: &[Question]) -> Self {
        let ids = || questions.iter().map(|question| question.id.as_str());
        let hint = nearest(id, ids()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        // The value may have been meant for a secret: it is not shown when the template has one.
        let secrets = questions.iter().any(|question| question.kind == QuestionKind::Secret);
        Self {
            question: id.to_owned(),
            value: (!secrets).then(|| shown(value)),
            allowed: ids().collect::<Vec<_>>().join(", "),
            message: format!("the template has no question {}{hint}", quoted(id)),
        }
    }
}

/// Returns what a question allows, in words.
pub fn allowed(question: &Question) -> String {
    let quoted_options = || question.options.iter().map(|option| quoted(option)).collect::<Vec<_>>().join(", ");
    let between = |from: Option<String>, to: Option<String>, unit: &str| match (from, to) {
        (Some(from), Some(to)) => format!(" from {from} to {to}{unit}"),
        (Some(from), None) => format!(" of at least {from}{unit}"),
        (None, Some(to)) => format!(" of at most {to}{unit}"),
        (None, None) => String::new(),
    };
    match question.kind {
        QuestionKind::TextInput => {
            let length =
                between(question.min_length.map(|n| n.to_string()), question.max_length.map(|n| n.to_string()), " characters");
            let pattern =
                question.pattern.as_ref().map(|pattern| format!(" that matches {}", quoted(pattern))).unwrap_or_default();
            format!("{}{length}{pattern}", if question.multiline { "a text" } else { "a text of one line" })
        }
        QuestionKind::SingleSelect => {
            format!("{}{}", quoted_options(), if question.allow_other { ", or another text" } else { "" })
        }
        QuestionKind::MultiSelect => {
            let most = question.max_items;
            let many = match (question.min_items.filter(|least| *least > 0), most) {
                (None, None) => "any of".to_owned(),
                (Some(1), None) => "at least one of".to_owned(),
                (Some(least), None) => format!("at least {least} of"),
                (None, Some(most)) => format!("at most {most} of"),
                (Some(least), Some(most)) if least == most => format!("{least} of"),
                (Some(least), Some(most)) => format!("{least} to {most} of"),
            };
            format!("{many} {}", quoted_options())
        }
        QuestionKind::Boolean => "Yes or No".to_owned(),
        QuestionKind::Number => {
            let range = between(question.min.map(|n| n.to_string()), question.max.map(|n| n.to_string()), "");
            format!("{}{range}", if question.integer { "a whole number" } else { "a number" })
        }
        QuestionKind::Path if question.must_exist == Some(false) => "a path".to_owned(),
        QuestionKind::Path => "an existing file or folder".to_owned(),
        QuestionKind::Secret => "a secret".to_owned(),
    }
}

/// Checks one answer and returns it as it is kept: options in option order, booleans as `true` and `false`, numbers as numbers.
/// `Null` means that an optional question was left without an answer.
///
/// Values that come as text (`--set`, a person) are read as what the question wants; a comma-separated list only there, since
/// an option of a file may hold commas.
///
/// # Errors
/// The value is not allowed.
pub fn check(question: &Question, value: &Value, source: AnswerSource, exists: Exists<'_>) -> Result<Value, AnswerProblem> {
    let wrong = |message: String| AnswerProblem::new(question, Some(value), message);
    let kind_wrong = || match question.kind {
        QuestionKind::Secret => wrong("the value is of the wrong kind".to_owned()),
        _ => wrong(format!("{} is of the wrong kind", shown(value))),
    };
    if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty() && question.kind != QuestionKind::Secret) {
        let empty_set = question.kind == QuestionKind::MultiSelect && value.is_string();
        return match question.required && !(empty_set && question.min_items == Some(0)) {
            true => Err(AnswerProblem::missing(question)),
            false if empty_set => Ok(Value::Array(Vec::new())),
            false => Ok(Value::Null),
        };
    }
    match question.kind {
        QuestionKind::TextInput => {
            let text = value.as_str().ok_or_else(kind_wrong)?;
            check_text(question, text).map_err(wrong)?;
            Ok(value.clone())
        }
        QuestionKind::SingleSelect => {
            let text = value.as_str().ok_or_else(kind_wrong)?;
            if question.allow_other || question.options.iter().any(|option| option == text) {
                return Ok(value.clone());
            }
            Err(wrong(not_an_option(question, text)))
        }
        QuestionKind::MultiSelect => check_set(question, value, source).map_err(|message| match message {
            Some(message) => wrong(message),
            None => kind_wrong(),
        }),
        QuestionKind::Boolean => match value {
            Value::Bool(_) => Ok(value.clone()),
            Value::String(text) => {
                read_boolean(text).map(Value::Bool).ok_or_else(|| wrong(format!("{} is neither Yes nor No", shown(value))))
            }
            _ => Err(kind_wrong()),
        },
        QuestionKind::Number => check_number(question, value).ok_or_else(kind_wrong)?.map_err(wrong),
        QuestionKind::Path => {
            let path = value.as_str().ok_or_else(kind_wrong)?;
            if path.contains('\0') {
                return Err(wrong(format!("{} holds a NUL byte", shown(value))));
            }
            if question.must_exist != Some(false) && !exists(path) {
                return Err(wrong(format!("{} does not exist", shown(value))));
            }
            Ok(value.clone())
        }
        QuestionKind::Secret => match value.as_str() {
            Some("") if question.required => Err(AnswerProblem::missing(question)),
            Some("") => Ok(Value::Null),
            Some(_) => Ok(value.clone()),
            None => Err(kind_wrong()),
        },
    }
}

fn check_text(question: &Question, text: &str) -> Result<(), String> {
    if !question.multiline && text.contains(['\n', '\r']) {
        return Err("the text has several lines".to_owned());
    }
    let length = text.chars().count() as u64;
    if question.min_length.is_some_and(|min| length < min) || question.max_length.is_some_and(|max| length > max) {
        return Err(format!("{} has {length} characters", quoted(text)));
    }
    // A pattern that does not compile is reported where the template is checked; here it allows nothing.
    let matches = |pattern: &String| whole_match(pattern).is_ok_and(|regex| regex.is_match(text));
    match &question.pattern {
        Some(pattern) if !matches(pattern) => Err(format!("{} does not match the pattern", quoted(text))),
        _ => Ok(()),
    }
}

/// Compiles a pattern so that it matches only whole texts.
///
/// The anchors are put around the parsed expression, because around its text a comment or an unclosed group could swallow them.
///
/// # Errors
/// The pattern is no regular expression of the crate `regex`, or too large; in words, on one line.
pub fn whole_match(pattern: &str) -> Result<Regex, String> {
    let said = |message: String| message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let hir = regex_syntax::parse(pattern).map_err(|error| said(error.to_string()))?;
    let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    RegexBuilder::new(&whole.to_string()).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| said(error.to_string()))
}

fn not_an_option(question: &Question, text: &str) -> String {
    let near = nearest(text, question.options.iter().map(String::as_str));
    let hint = near.map(|near| format!("; did you mean {}?", quoted(near))).unwrap_or_default();
    format!("{} is none of the options{hint}", quoted(text))
}

/// `Err(None)`: the wrong kind of value.
fn check_set(question: &Question, value: &Value, source: AnswerSource) -> Result<Value, Option<String>> {
    let chosen: Vec<&str> = match value {
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<_>>().ok_or(None)?,
        Value::String(text) if question.options.contains(text) => vec![text],
        Value::String(text) if matches!(source, AnswerSource::Flag | AnswerSource::Asked | AnswerSource::Environment) => {
            split_list(question, text)
        }
        Value::String(text) => vec![text],
        _ => return Err(None),
    };
    if let Some(other) = chosen.iter().find(|text| !question.options.iter().any(|option| option == *text)) {
        return Err(Some(not_an_option(question, other)));
    }
    let set: Vec<&String> = question.options.iter().filter(|option| chosen.contains(&option.as_str())).collect();
    let has = |option: &String| set.contains(&option);
    let count = set.len() as u64;
    if set.is_empty() && question.required && question.min_items != Some(0) {
        return Err(Some("at least one option is needed".to_owned()));
    }
    let too_few = question.min_items.is_some_and(|min| count < min) && (question.required || count > 0);
    if too_few || question.max_items.is_some_and(|max| count > max) {
        return Err(Some(format!("{count} options were chosen")));
    }
    for (option, others) in question.excludes.iter().filter(|(option, _)| has(option)) {
        if let Some(other) = others.iter().find(|other| has(other)) {
            return Err(Some(format!("{} rules out {}", quoted(option), quoted(other))));
        }
    }
    for (option, others) in question.requires.iter().filter(|(option, _)| has(option)) {
        if let Some(other) = others.iter().find(|other| !has(other)) {
            return Err(Some(format!("{} needs {}", quoted(option), quoted(other))));
        }
    }
    Ok(Value::Array(set.into_iter().cloned().map(Value::String).collect()))
}

/// Cuts a list at commas; where an option itself holds commas, the longest option that fits is taken.
fn split_list<'a>(question: &Question, text: &'a str) -> Vec<&'a str> {
    let mut chosen = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let starts = |option: &&String| {
            rest.strip_prefix(option.as_str())
                .is_some_and(|after| after.trim_start().is_empty() || after.trim_start().starts_with(','))
        };
        let length = match question.options.iter().filter(starts).map(String::len).max() {
            Some(length) if length > 0 => length,
            _ => rest.find(',').unwrap_or(rest.len()),
        };
        chosen.push(rest[..length].trim());
        rest = rest[length..].trim_start().trim_start_matches(',').trim_start();
    }
    chosen.retain(|item| !item.is_empty());
    chosen
}

/// `None`: the wrong kind of value.
fn check_number(question: &Question, value: &Value) -> Option<Result<Value, String>> {
    let number = match value {
        Value::Number(number) => number.clone(),
        // JSON's own grammar: no `inf`, no hexadecimal, no locale.
        Value::String(text) => serde_json::from_str::<Number>(text.trim().strip_prefix('+').unwrap_or(text.trim())).ok()?,
        _ => return None,
    };
    let size = number.as_f64().filter(|size| size.is_finite())?;
    let exact = number.is_i64() || number.is_u64();
    if question.integer && !exact && size.fract() != 0.0 {
        return Some(Err(format!("{} is no whole number", shown(value))));
    }
    if question.integer && !exact && size.abs() > EXACT_MAX {
        return Some(Err(format!("{} is too large", shown(value))));
    }
    if question.min.is_some_and(|min| size < min) || question.max.is_some_and(|max| size > max) {
        return Some(Err(format!("{} is out of range", shown(value))));
    }
    // `80.0` and `80` are one answer.
    let whole = !exact && size.fract() == 0.0 && size.abs() <= EXACT_MAX;
    Some(Ok(Value::Number(if whole { Number::from(size as i64) } else { number })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn question(fields: Value) -> Question {
        let mut question = json!({"id": "q", "text": "?"});
        if let (Some(all), Some(more)) = (question.as_object_mut(), fields.as_object()) {
            all.extend(more.clone());
        }
        serde_json::from_value(question).expect("a question")
    }

    fn given(fields: Value, value: Value, source: AnswerSource) -> Result<Value, String> {
        check(&question(fields), &value, source, &|path| path == "here").map_err(|problem| problem.message)
    }

    #[track_caller]
    fn takes(fields: Value, value: Value, kept: Value) {
        assert_eq!(given(fields, value, AnswerSource::Flag), Ok(kept));
    }

    #[track_caller]
    fn refuses(fields: Value, value: Value, message: &str) {
        assert_eq!(given(fields, value, AnswerSource::File), Err(message.to_owned()));
    }

    #[test]
    fn texts_match_as_a_whole_and_are_counted_in_characters() {
        let name = || json!({"type": "text_input", "pattern": "[a-z]+|[0-9]+", "min_length": 2, "max_length": 3});
        takes(name(), json!("ab"), json!("ab"));
        refuses(name(), json!("ab1"), "`ab1` does not match the pattern");
        refuses(name(), json!("a"), "`a` has 1 characters");
        takes(json!({"type": "text_input", "max_length": 2}), json!("éé"), json!("éé"));
        refuses(json!({"type": "text_input"}), json!("a\nb"), "the text has several lines");
        takes(json!({"type": "text_input", "multiline": true}), json!("a\nb"), json!("a\nb"));
        refuses(json!({"type": "text_input"}), json!(5), "`5` is of the wrong kind");
        refuses(json!({"type": "text_input"}), json!("  "), "an answer is needed");
        takes(json!({"type": "text_input", "required": false}), json!(""), Value::Null);
        refuses(json!({"type": "text_input", "pattern": "(?x) a # )"}), json!("ab"), "`ab` does not match the pattern");
        takes(json!({"type": "text_input", "pattern": "(?x) a # )"}), json!("a"), json!("a"));
    }

    #[test]
    fn one_of_the_options_is_taken_and_others_where_they_are_welcome() {
        let bump = |other: bool| json!({"type": "single_select", "options": ["patch", "minor"], "allow_other": other});
        takes(bump(false), json!("minor"), json!("minor"));
        refuses(bump(false), json!("Minor"), "`Minor` is none of the options; did you mean `minor`?");
        refuses(bump(false), json!("xyz"), "`xyz` is none of the options");
        takes(bump(true), json!("xyz"), json!("xyz"));
        refuses(bump(false), json!(["patch"]), "`[\"patch\"]` is of the wrong kind");
    }

    #[test]
    fn sets_are_kept_in_option_order_and_obey_their_rules() {
        let set = |more: Value| {
            let mut fields = json!({"type": "multi_select", "options": ["a", "b, c", "d"]});
            fields.as_object_mut().expect("object").extend(more.as_object().cloned().expect("object"));
            fields
        };
        takes(set(json!({})), json!(["d", "a", "d"]), json!(["a", "d"]));
        takes(set(json!({})), json!("d, b, c,a"), json!(["a", "b, c", "d"]));
        takes(set(json!({})), json!("b, c"), json!(["b, c"]));
        refuses(set(json!({})), json!("a,d"), "`a,d` is none of the options");
        refuses(set(json!({})), json!(["x"]), "`x` is none of the options");
        refuses(set(json!({})), json!([]), "at least one option is needed");
        takes(set(json!({"required": false})), json!([]), json!([]));
        takes(set(json!({"min_items": 0})), json!(""), json!([]));
        refuses(set(json!({"min_items": 2})), json!(["a"]), "1 options were chosen");
        refuses(set(json!({"max_items": 1})), json!(["a", "d"]), "2 options were chosen");
        refuses(set(json!({"excludes": {"a": ["d"]}})), json!(["a", "d"]), "`a` rules out `d`");
        refuses(set(json!({"requires": {"a": ["d"]}})), json!(["a"]), "`a` needs `d`");
        refuses(set(json!({})), json!([1]), "`[1]` is of the wrong kind");
    }

    #[test]
    fn what_is_allowed_of_a_set_is_said_as_people_say_it() {
        let set = |more: Value| {
            let mut fields = json!({"type": "multi_select", "options": ["a", "b", "c"]});
            fields.as_object_mut().expect("object").extend(more.as_object().cloned().expect("object"));
            allowed(&question(fields))
        };
        assert_eq!(set(json!({})), "any of `a`, `b`, `c`");
        assert_eq!(set(json!({"min_items": 0})), "any of `a`, `b`, `c`");
        assert_eq!(set(json!({"min_items": 1})), "at least one of `a`, `b`, `c`");
        assert_eq!(set(json!({"min_items": 2})), "at least 2 of `a`, `b`, `c`");
        assert_eq!(set(json!({"max_items": 2})), "at most 2 of `a`, `b`, `c`");
        assert_eq!(set(json!({"min_items": 1, "max_items": 2})), "1 to 2 of `a`, `b`, `c`");
        assert_eq!(set(json!({"min_items": 2, "max_items": 2})), "2 of `a`, `b`, `c`");
    }

    #[test]
    fn booleans_and_numbers_are_read_from_words() {
        for yes in [json!(true), json!("Yes"), json!("y"), json!("TRUE")] {
            takes(json!({"type": "boolean"}), yes, json!(true));
        }
        refuses(json!({"type": "boolean"}), json!("maybe"), "`maybe` is neither Yes nor No");
        refuses(json!({"type": "boolean"}), json!(1), "`1` is of the wrong kind");
        let percent = || json!({"type": "number", "min": 70, "max": 100, "integer": true});
        takes(percent(), json!("85"), json!(85));
        takes(percent(), json!(85.0), json!(85));
        refuses(percent(), json!(85.5), "`85.5` is no whole number");
        refuses(percent(), json!(69), "`69` is out of range");
        refuses(percent(), json!("0x50"), "`0x50` is of the wrong kind");
        takes(json!({"type": "number"}), json!("-1.5e3"), json!(-1500));
        takes(json!({"type": "number"}), json!(0.5), json!(0.5));
    }

    #[test]
    fn paths_exist_and_secrets_are_never_shown() {
        takes(json!({"type": "path"}), json!("here"), json!("here"));
        refuses(json!({"type": "path"}), json!("gone"), "`gone` does not exist");
        takes(json!({"type": "path", "must_exist": false}), json!("gone"), json!("gone"));
        takes(json!({"type": "secret"}), json!("hunter2"), json!("hunter2"));
        let secret = question(json!({"type": "secret"}));
        for value in [json!(["hunter2"]), json!({"a": "hunter2"})] {
            let problem = check(&secret, &value, AnswerSource::File, &|_| true).expect_err("wrong kind");
            assert!(!format!("{problem:?} {problem}").contains("hunter2"));
        }
    }

    proptest! {
        #[test]
        fn sets_always_come_in_option_order(chosen in prop::sample::subsequence(vec!["a", "b", "c", "d"], 1..=4).prop_shuffle()) {
            let fields = json!({"type": "multi_select", "options": ["a", "b", "c", "d"]});
            let mut sorted = chosen.clone();
            sorted.sort_unstable();
            prop_assert_eq!(given(fields.clone(), json!(chosen), AnswerSource::File), Ok(json!(sorted)));
            prop_assert_eq!(given(fields, json!(chosen.join(",")), AnswerSource::Flag), Ok(json!(sorted)));
        }

        #[test]
        fn what_was_kept_is_taken_again_unchanged(text in ".{0,20}", number in -1e6f64..1e6) {
            for (fields, value) in [
                (json!({"type": "text_input", "required": false, "multiline": true}), json!(text)),
                (json!({"type": "number"}), json!(number)),
                (json!({"type": "number"}), json!(number.to_string())),
                (json!({"type": "single_select", "allow_other": true, "required": false}), json!(text)),
                (json!({"type": "multi_select", "options": ["a", "b"], "required": false}), json!(text)),
            ] {
                if let Ok(kept) = given(fields.clone(), value, AnswerSource::Flag) {
                    prop_assert_eq!(given(fields, kept.clone(), AnswerSource::File), Ok(kept));
                }
            }
        }
    }
}
