//! Questions: ids, options, ranges, defaults, and when they are shown.

use std::collections::HashSet;

use serde_json::Value;

use super::meaning::{Allowed, Checker, check_name};
use super::problem::key;
use super::types::{Question, QuestionKind};
use crate::domain::answers::{quoted, shown};
use crate::domain::event::AnswerSource;
use crate::domain::form::{allowed, check, whole_match};
use crate::domain::placeholder::{Reference, references, whole};

/// Options of one question, at most.
const OPTIONS_MAX: usize = 500;

impl Checker<'_, '_> {
    /// Checks all questions.
    pub(super) fn check_questions(&mut self) {
        let mut seen = HashSet::new();
        for (i, question) in self.template.form_schema.questions.iter().enumerate() {
            let pointer = format!("/form_schema/questions/{i}");
            check_name(self.findings, &format!("{pointer}/id"), &question.id, "question id");
            if !seen.insert(question.id.as_str()) {
                let message = format!("question {} is asked twice", quoted(&question.id));
                self.findings.error(&format!("{pointer}/id"), message, "give each question an id of its own");
            }
            if question.text.trim().is_empty() {
                self.findings.lenient(&format!("{pointer}/text"), "the question is empty", "write what is asked");
            }
            self.check_fields(question, &pointer);
            self.check_options(question, &pointer);
            self.check_ranges(question, &pointer);
            if let Some(when) = &question.when {
                let sound = self.check_condition(when, &format!("{pointer}/when"), i);
                self.form_unsound |= !sound;
                if !self.form_unsound && self.reach.possible(&[when], true) == Some(false) {
                    let message =
                        format!("question `{}` can never be shown: what its condition needs is hidden or excluded", question.id);
                    self.findings.error(&format!("{pointer}/when"), message, "change the condition, or remove the question");
                }
            }
            if !self.findings.damaged_inside(&pointer) {
                self.check_default(question, i, &pointer);
            }
        }
    }

    /// Fields that belong to another kind of question.
    fn check_fields(&mut self, question: &Question, pointer: &str) {
        use QuestionKind::{Boolean, MultiSelect, Number, Path, Secret, SingleSelect, TextInput};
        let kind = question.kind;
        for (field, given, of, name) in [
            ("pattern", question.pattern.is_some(), TextInput, "text_input"),
            ("min_length", question.min_length.is_some(), TextInput, "text_input"),
            ("max_length", question.max_length.is_some(), TextInput, "text_input"),
            ("multiline", question.multiline, TextInput, "text_input"),
            ("allow_other", question.allow_other, SingleSelect, "single_select"),
            ("min_items", question.min_items.is_some(), MultiSelect, "multi_select"),
            ("max_items", question.max_items.is_some(), MultiSelect, "multi_select"),
            ("excludes", !question.excludes.is_empty(), MultiSelect, "multi_select"),
            ("requires", !question.requires.is_empty(), MultiSelect, "multi_select"),
            ("min", question.min.is_some(), Number, "number"),
            ("max", question.max.is_some(), Number, "number"),
            ("integer", question.integer, Number, "number"),
            ("must_exist", question.must_exist.is_some(), Path, "path"),
            ("env", question.env.is_some(), Secret, "secret"),
        ] {
            if given && kind != of {
                let message = format!("`{field}` belongs to {name} questions");
                self.findings.error(&format!("{pointer}/{field}"), message, "remove it, or change `type`");
            }
        }
        if !question.options.is_empty() && matches!(kind, TextInput | Number | Path | Secret | Boolean) {
            self.findings.warn(
                &format!("{pointer}/options"),
                "this kind of question has no options",
                "remove them, or change `type`",
            );
        }
    }

    fn check_options(&mut self, question: &Question, pointer: &str) {
        let selects = matches!(question.kind, QuestionKind::SingleSelect | QuestionKind::MultiSelect);
        if selects && question.options.len() > OPTIONS_MAX {
            let message = format!("there are {} options, more than {OPTIONS_MAX}", question.options.len());
            self.findings.error(&format!("{pointer}/options"), message, "ask for a text instead");
        }
        if selects && question.options.is_empty() && !question.allow_other {
            self.findings.error(&format!("{pointer}/options"), "a select needs options", "list what can be chosen");
        }
        let mut seen = HashSet::new();
        for (i, option) in question.options.iter().enumerate().filter(|_| selects) {
            let at = format!("{pointer}/options/{i}");
            if option.trim().is_empty() {
                self.findings.error(&at, "an option is empty", "write a text, or make the question optional");
            } else if !seen.insert(option) {
                self.findings.error(&at, format!("option {} is listed twice", quoted(option)), "remove one of them");
            }
        }
        for (field, map) in [("excludes", &question.excludes), ("requires", &question.requires)] {
            for (option, others) in map {
                let at = format!("{pointer}/{field}/{}", key(option));
                self.check_option(question, option, &at);
                for (i, other) in others.iter().enumerate() {
                    let at = format!("{at}/{i}");
                    self.check_option(question, other, &at);
                    if other == option {
                        self.findings.error(&at, format!("option {} {field} itself", quoted(option)), "remove it");
                    } else if field == "requires"
                        && question.excludes.get(option).is_some_and(|excluded| excluded.contains(other))
                    {
                        let message = format!("option {} both needs and rules out {}", quoted(option), quoted(other));
                        self.findings.error(&at, message, "remove it from `excludes` or `requires`");
                    }
                }
            }
        }
    }

    fn check_option(&mut self, question: &Question, option: &String, pointer: &str) {
        if question.kind == QuestionKind::MultiSelect && !question.options.contains(option) {
            let remedy = match crate::domain::nearest::nearest(option, question.options.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None => "write one of the options".to_owned(),
            };
            self.findings.error(pointer, format!("there is no option {}", quoted(option)), remedy);
        }
    }

    fn check_ranges(&mut self, question: &Question, pointer: &str) {
        let mut reversed = |low: &str, high: &str, wrong: bool| {
            if wrong {
                let message = format!("`{low}` is above `{high}`");
                self.findings.error(&format!("{pointer}/{low}"), message, format!("make `{low}` at most `{high}`"));
            }
        };
        reversed("min_length", "max_length", question.min_length > question.max_length && question.max_length.is_some());
        reversed("min_items", "max_items", question.min_items > question.max_items && question.max_items.is_some());
        reversed("min", "max", matches!((question.min, question.max), (Some(min), Some(max)) if min > max));
        if question.kind == QuestionKind::MultiSelect && question.min_items.is_some_and(|min| min > question.options.len() as u64)
        {
            let message = format!("`min_items` asks for more than the {} options there are", question.options.len());
            self.findings.error(&format!("{pointer}/min_items"), message, "lower it, or add options");
        }
        let most = most_together(question);
        if let Some(min) = question.min_items
            && (most as u64) < min
            && min <= question.options.len() as u64
        {
            let message = format!("`min_items` asks for {min}, and `excludes` lets at most {most} stand together");
            self.findings.error(&format!("{pointer}/min_items"), message, "lower it, or exclude less");
        }
        if question.max_length == Some(0) {
            self.findings.error(&format!("{pointer}/max_length"), "nothing could be written", "allow at least 1");
        }
        if question.max_items == Some(0) {
            self.findings.error(&format!("{pointer}/max_items"), "nothing could be chosen", "allow at least 1");
        }
        if let (true, Some(min), Some(max)) = (question.integer, question.min, question.max)
            && min <= max
            && min.ceil() > max.floor()
        {
            let message = format!("there is no whole number from {min} to {max}");
            self.findings.error(&format!("{pointer}/min"), message, "widen the range, or allow decimals");
        }
        if let Some(pattern) = &question.pattern
            && let Err(message) = whole_match(pattern)
        {
            let message = format!("the pattern is no regular expression: {message}");
            self.findings.error(
                &format!("{pointer}/pattern"),
                message,
                "see https://docs.rs/regex for the syntax; \\\\ writes one backslash",
            );
        }
        if let Some(env) = &question.env {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if env.is_empty() || !env.chars().all(good) || env.starts_with(|c: char| c.is_ascii_digit()) {
                let message = format!("{} is no name of an environment variable", quoted(env));
                self.findings.error(&format!("{pointer}/env"), message, "write letters, digits and `_`");
            }
        }
    }

    fn check_default(&mut self, question: &Question, number: usize, pointer: &str) {
        let Some(default) = &question.default else { return };
        let pointer = format!("{pointer}/default");
        if question.kind == QuestionKind::Secret {
            self.findings.error(
                &pointer,
                "a secret has no default: it would stand in the file",
                "name an environment variable in `env`",
            );
            return;
        }
        let texts = match default {
            Value::String(text) => references(text),
            _ => Vec::new(),
        };
        if texts.is_empty() {
            if let Err(problem) = check(question, default, AnswerSource::Default, &|_| true) {
                let message = format!("the question does not allow its own default {}: {}", shown(default), problem.message);
                let remedy = match default {
                    Value::String(text) if question.kind == QuestionKind::MultiSelect => {
                        format!("write [{}], or another set of options", Value::from(text.as_str()))
                    }
                    // An optional question without a default has none; an empty text would only pretend to be one.
                    Value::String(text) if text.is_empty() => "leave the default out".to_owned(),
                    _ => format!("allowed: {}", allowed(question)),
                };
                // The peer writes an empty text for "no default".
                if default.as_str() == Some("") {
                    self.findings.lenient(&pointer, message, remedy);
                } else {
                    self.findings.error(&pointer, message, remedy);
                }
            }
            return;
        }
        let text = default.as_str().unwrap_or_default();
        let allowed = Allowed {
            answers_before: number,
            config: Some(HashSet::new()),
            inputs: false,
            outputs: false,
            item: false,
            role: None,
            place: "a default",
        };
        self.check_text(text, &pointer, &allowed);
        let other = match whole(text) {
            Some(Reference::Answer(id)) => {
                self.questions.get(id.as_str()).and_then(|n| self.template.form_schema.questions.get(*n))
            }
            Some(_) => return,
            None => None,
        };
        let takes_text = matches!(question.kind, QuestionKind::TextInput | QuestionKind::Path | QuestionKind::SingleSelect);
        let same_kind = other.is_some_and(|other| {
            other.kind == question.kind
                || takes_text && matches!(other.kind, QuestionKind::TextInput | QuestionKind::SingleSelect | QuestionKind::Path)
        });
        if whole(text).is_some() && other.is_some() && !same_kind || whole(text).is_none() && !takes_text {
            let message = format!("the default {} is of another kind than the question", quoted(text));
            self.findings.error(&pointer, message, "refer to a question of the same type");
        }
    }
}

/// Returns how many options of a question can be chosen together at most, or a bound above that where there are many that exclude others.
fn most_together(question: &Question) -> usize {
    /// Options with exclusions that are tried out in every combination.
    const TRIED_MAX: usize = 16;
    let excludes = |one: &String, other: &String| question.excludes.get(one).is_some_and(|others| others.contains(other));
    let clash = |one: &String, other: &String| excludes(one, other) || excludes(other, one);
    let (bound, free): (Vec<&String>, Vec<&String>) =
        question.options.iter().partition(|one| question.options.iter().any(|other| clash(one, other)));
    if bound.len() > TRIED_MAX {
        return question.options.len();
    }
    let fits = |set: u32| {
        let chosen: Vec<&String> = (0..).zip(&bound).filter(|(place, _)| set & (1 << place) != 0).map(|(_, one)| *one).collect();
        let alone = chosen.iter().enumerate().all(|(place, one)| chosen[..place].iter().all(|other| !clash(one, other)));
        alone.then_some(chosen.len())
    };
    free.len() + (0..1u32 << bound.len()).filter_map(fits).max().unwrap_or(0)
}
