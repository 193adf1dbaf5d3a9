//! Questions on a real terminal. They are drawn on stderr, so stdout may be a pipe.

use anstream::eprintln;
use inquire::ui::RenderConfig;
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Password, PasswordDisplayMode, Select, Text};
use secrecy::SecretString;
use serde_json::{Number, Value};

use super::paths::Paths;
use super::{AskError, AskKind, AskQuestion, Asked, Check, Prompter};
use crate::cli::output::sanitize;
use crate::cli::output::words;

/// A person at a terminal.
#[derive(Debug)]
pub struct Terminal {
    render: RenderConfig<'static>,
}

/// What is chosen to type an answer that is no option.
const OTHER: &str = "something else …";
/// What is chosen to leave a question open.
const LEAVE_OPEN: &str = "(no answer)";

impl Terminal {
    /// Opens the terminal; `colored` says whether questions may have colours.
    pub fn new(colored: bool) -> Self {
        Self { render: if colored { RenderConfig::default() } else { RenderConfig::empty() } }
    }

    fn text(&self, question: &AskQuestion<'_>, read: fn(&str) -> Result<Value, String>) -> Result<Asked, AskError> {
        let (message, help) = (message(question), help(question));
        let default = question.default.as_ref().map(|(value, _)| typed(value));
        let (validate, required) = (question.validate, question.required);
        let check = move |words: &str| Ok(at_once(words, required, read, validate));
        let mut prompt = Text::new(&message).with_render_config(self.render).with_validator(check);
        if let Some(help) = &help {
            prompt = prompt.with_help_message(help);
        }
        if let Some(default) = &default {
            prompt = prompt.with_default(default);
        }
        if matches!(question.kind, AskKind::Path) {
            prompt = prompt.with_autocomplete(Paths::new());
        }
        match prompt.prompt() {
            Ok(words) if words.trim().is_empty() && !required => Ok(Asked::Skipped),
            Ok(words) => Ok(read(&words).map_or(Asked::Answer(Value::String(words)), Asked::Answer)),
            Err(error) => left(error),
        }
    }

    fn lines(&self, question: &AskQuestion<'_>) -> Result<Asked, AskError> {
        let (first, help) = (message(question), help(question));
        let help = help.map_or_else(String::new, |help| format!("{help} · ")) + "several lines; an empty one ends";
        let mut lines: Vec<String> = Vec::new();
        loop {
            let message = if lines.is_empty() { first.as_str() } else { "…" };
            match Text::new(message).with_render_config(self.render).with_help_message(&help).prompt() {
                Ok(line) if line.is_empty() => break,
                Ok(line) => lines.push(line),
                Err(error) => return left(error),
            }
        }
        Ok(match (&question.default, lines.is_empty()) {
            (_, false) => Asked::Answer(Value::String(lines.join("\n"))),
            (Some((default, _)), true) => Asked::Answer(default.clone()),
            (None, true) => Asked::Skipped,
        })
    }

    fn select(&mut self, question: &AskQuestion<'_>, options: &[String], allow_other: bool) -> Result<Asked, AskError> {
        let shown: Vec<String> = options
            .iter()
            .map(|option| sanitize::line(option).into_owned())
            .chain(allow_other.then(|| OTHER.to_owned()))
            .chain((!question.required).then(|| LEAVE_OPEN.to_owned()))
            .collect();
        let default = question.default.as_ref().and_then(|(value, _)| value.as_str());
        let start = default.map_or(0, |default| {
            // A default that is no option is something else.
            let place = options.iter().position(|option| option == default);
            place.unwrap_or(if allow_other { options.len() } else { 0 })
        });
        let Some(place) = self.pick(&message(question), help(question).as_deref(), &shown, start)? else {
            return Ok(Asked::Back);
        };
        match options.get(place) {
            Some(option) => Ok(Asked::Answer(Value::String(option.clone()))),
            None if allow_other && place == options.len() => {
                let free = AskQuestion { required: true, ..question.clone() };
                self.text(&free, text_value)
            }
            None => Ok(Asked::Skipped),
        }
    }

    fn pick(&self, message: &str, help: Option<&str>, shown: &[String], start: usize) -> Result<Option<usize>, AskError> {
        let mut prompt = Select::new(message, shown.iter().map(String::as_str).collect())
            .with_render_config(self.render)
            .with_page_size(12)
            .with_starting_cursor(start.min(shown.len().saturating_sub(1)));
        if let Some(help) = help {
            prompt = prompt.with_help_message(help);
        }
        match prompt.raw_prompt() {
            Ok(option) => Ok(Some(option.index)),
            Err(error) => match left(error)? {
                Asked::Back => Ok(None),
                _ => Ok(Some(start)),
            },
        }
    }

    fn multi_select(&self, question: &AskQuestion<'_>, options: &[String]) -> Result<Asked, AskError> {
        let (message, help) = (message(question), help(question));
        let help = help.map_or_else(String::new, |help| format!("{help} · ")) + "space chooses, enter goes on, esc goes back";
        let shown: Vec<String> = options.iter().map(|option| sanitize::line(option).into_owned()).collect();
        let chosen = question.default.as_ref().and_then(|(value, _)| value.as_array());
        let chosen: Vec<usize> = chosen
            .into_iter()
            .flatten()
            .filter_map(|item| options.iter().position(|option| Some(option.as_str()) == item.as_str()))
            .collect();
        let prompt = MultiSelect::new(&message, shown)
            .with_render_config(self.render)
            .with_page_size(12)
            .with_default(&chosen)
            .with_help_message(&help);
        match prompt.raw_prompt() {
            Ok(picked) => {
                let picked = picked.iter().filter_map(|option| options.get(option.index));
                Ok(Asked::Answer(picked.cloned().map(Value::String).collect()))
            }
            Err(error) => left(error),
        }
    }

    fn confirm(&mut self, question: &AskQuestion<'_>) -> Result<Asked, AskError> {
        let default = question.default.as_ref().and_then(|(value, _)| value.as_bool());
        if !question.required {
            let shown = ["yes", "no", LEAVE_OPEN].map(str::to_owned);
            let start = default.map_or(2, |yes| usize::from(!yes));
            return Ok(match self.pick(&message(question), help(question).as_deref(), &shown, start)? {
                Some(0) => Asked::Answer(Value::Bool(true)),
                Some(1) => Asked::Answer(Value::Bool(false)),
                Some(_) => Asked::Skipped,
                None => Asked::Back,
            });
        }
        let (message, help) = (message(question), help(question));
        let mut prompt = Confirm::new(&message).with_render_config(self.render);
        if let Some(help) = &help {
            prompt = prompt.with_help_message(help);
        }
        if let Some(default) = default {
            prompt = prompt.with_default(default);
        }
        match prompt.prompt() {
            Ok(yes) => Ok(Asked::Answer(Value::Bool(yes))),
            Err(error) => left(error),
        }
    }

    fn secret(&self, question: &AskQuestion<'_>) -> Result<Asked, AskError> {
        let (message, help) = (message(question), help(question));
        let mut prompt = Password::new(&message)
            .with_render_config(self.render)
            .with_display_mode(PasswordDisplayMode::Hidden)
            .without_confirmation();
        if let Some(help) = &help {
            prompt = prompt.with_help_message(help);
        }
        match prompt.prompt() {
            Ok(words) if words.is_empty() => Ok(Asked::Skipped),
            Ok(words) => Ok(Asked::Secret(SecretString::from(words))),
            Err(error) => left(error),
        }
    }
}

impl Prompter for Terminal {
    fn ask(&mut self, question: &AskQuestion<'_>) -> Result<Asked, AskError> {
        match &question.kind {
            AskKind::Text { multiline: true } => self.lines(question),
            AskKind::Text { multiline: false } | AskKind::Path => self.text(question, text_value),
            AskKind::Number => self.text(question, number_value),
            AskKind::Select { options, allow_other } => self.select(question, options, *allow_other),
            AskKind::MultiSelect { options } => self.multi_select(question, options),
            AskKind::Confirm => self.confirm(question),
            AskKind::Secret => self.secret(question),
        }
    }

    fn choose(&mut self, text: &str, options: &[String], start: usize) -> Result<Option<usize>, AskError> {
        let shown: Vec<String> = options.iter().map(|option| sanitize::line(option).into_owned()).collect();
        self.pick(&sanitize::line(text), None, &shown, start)
    }

    fn say(&mut self, text: &str) {
        eprintln!("  {}", sanitize::line(text));
    }
}

/// The question with how far the form is.
fn message(question: &AskQuestion<'_>) -> String {
    let text = sanitize::line(&question.text);
    match &question.progress {
        Some(progress) => format!("[{progress}] {text}"),
        None => text.into_owned(),
    }
}

/// What helps to answer: more words, and where the default comes from.
fn help(question: &AskQuestion<'_>) -> Option<String> {
    let default = question.default.as_ref().map(|(value, source)| match question.kind {
        // What is marked is seen.
        AskKind::Secret | AskKind::MultiSelect { .. } => format!("default {}", sanitize::line(source)),
        _ => format!("default {} {}", words::value(value), sanitize::line(source)),
    });
    let optional = (!question.required).then(|| "may be left open".to_owned());
    let help = question.help.as_ref().map(|help| sanitize::line(help).into_owned());
    let parts: Vec<String> = [help, optional, default].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// A value as somebody would have typed it.
fn typed(value: &Value) -> String {
    match value {
        Value::String(text) => sanitize::line(text).into_owned(),
        other => other.to_string(),
    }
}

fn text_value(words: &str) -> Result<Value, String> {
    Ok(Value::String(words.to_owned()))
}

/// Reads a number as it is typed: an integer when it is one, else a decimal.
fn number_value(words: &str) -> Result<Value, String> {
    let words = words.trim();
    if let Ok(integer) = words.parse::<i64>() {
        return Ok(Value::from(integer));
    }
    let number = words.parse().ok().and_then(Number::from_f64);
    number.map(Value::Number).ok_or_else(|| "not a number".to_owned())
}

/// Checks an answer while it is still on the screen.
fn at_once(words: &str, required: bool, read: fn(&str) -> Result<Value, String>, validate: Check<'_>) -> Validation {
    if words.trim().is_empty() {
        return if required { Validation::Invalid("an answer is needed here".into()) } else { Validation::Valid };
    }
    match read(words).and_then(|value| validate(&value)) {
        Ok(_) => Validation::Valid,
        Err(why) => Validation::Invalid(sanitize::line(&why).into_owned().into()),
    }
}

/// What it means that a prompt ended without an answer.
fn left(error: InquireError) -> Result<Asked, AskError> {
    match error {
        InquireError::OperationCanceled => Ok(Asked::Back),
        InquireError::OperationInterrupted => Err(AskError::Interrupted),
        other => Err(AskError::Terminal(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(number_value(" 42 "), Ok(json!(42)));
        assert_eq!(number_value("4.5"), Ok(json!(4.5)));
        assert!(number_value("four").is_err() && number_value("inf").is_err() && number_value("").is_err());
    }

    #[test]
    fn an_answer_is_checked_while_it_is_on_the_screen() {
        let below_ten = |value: &Value| if value.as_i64() < Some(10) { Ok(value.clone()) } else { Err("at most 9".to_owned()) };
        let check = |words, required| at_once(words, required, number_value, &below_ten);
        assert!(matches!(check("9", true), Validation::Valid));
        assert_eq!(check("10", true), Validation::Invalid("at most 9".into()));
        assert_eq!(check("ten", true), Validation::Invalid("not a number".into()));
        assert!(matches!(check("", true), Validation::Invalid(_)));
        assert!(matches!(check("", false), Validation::Valid));
    }

    #[test]
    fn a_question_says_where_its_default_comes_from_and_cannot_speak_to_the_terminal() {
        let question = AskQuestion {
            id: "bump".into(),
            text: "Which\u{1b}[2J bump?".into(),
            help: Some("semantic versioning".into()),
            kind: AskKind::Text { multiline: false },
            required: false,
            default: Some((json!("minor"), "from the last run".into())),
            progress: Some("3 of 8".into()),
            validate: &|value| Ok(value.clone()),
        };
        assert_eq!(message(&question), "[3 of 8] Which␛[2J bump?");
        assert_eq!(help(&question).unwrap(), "semantic versioning · may be left open · default minor from the last run");
    }
}
