//! Asks a person: one question at a time, validation at once, going back, and an overview to confirm at the end.
//!
//! It does not know what a form is made of: a [`Form`] says which questions are visible and takes each answer as it is
//! given, so that nothing is lost when the person leaves. It does not know the terminal either: a [`Prompter`] does, and
//! tests play one from a script.

mod paths;
mod terminal;

use std::collections::HashSet;

use secrecy::SecretString;
use serde_json::Value;

use super::error::{CliError, Exit, Result};
pub use terminal::Terminal;

/// Checks an answer and brings it into its final form, or says in words what is wrong with it.
pub type Check<'a> = &'a dyn Fn(&Value) -> std::result::Result<Value, String>;

/// What kind of answer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskKind {
    /// A text.
    Text {
        /// It may have several lines.
        multiline: bool,
    },
    /// One of the options.
    Select {
        /// The options, in order.
        options: Vec<String>,
        /// Other texts are welcome too.
        allow_other: bool,
    },
    /// A set of options.
    MultiSelect {
        /// The options, in order.
        options: Vec<String>,
    },
    /// Yes or no.
    Confirm,
    /// An integer or a decimal.
    Number,
    /// A file or folder.
    Path,
    /// Something that is never shown.
    Secret,
}

/// A question to a person.
#[derive(Clone)]
pub struct AskQuestion<'a> {
    /// The question's id.
    pub id: String,
    /// The question itself.
    pub text: String,
    /// More words.
    pub help: Option<String>,
    /// What kind of answer it takes.
    pub kind: AskKind,
    /// It cannot be left open.
    pub required: bool,
    /// What is taken when nothing is typed, and where it comes from, in words: `from the template`, `your answer`.
    pub default: Option<(Value, String)>,
    /// How far the form is, in words: `3 of 8`.
    pub progress: Option<String>,
    /// Checks an answer.
    pub validate: Check<'a>,
}

impl std::fmt::Debug for AskQuestion<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskQuestion").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a person does with a question.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Answers.
    Answer(Value),
    /// Answers something that is never shown.
    Secret(SecretString),
    /// Leaves it open.
    Skipped,
    /// Wants to go back.
    Back,
}

/// Why nothing can be asked any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The person pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The terminal does not do what is needed.
    #[error("cannot ask on this terminal: {0}")]
    Terminal(String),
}

impl From<AskError> for CliError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Interrupted => Self::interrupted(),
            AskError::Terminal(_) => Self::new("terminal", Exit::Mendable, error.to_string())
                .hint("give answers with `--answers FILE` and `--set ID=VALUE`, and `--no-input`"),
        }
    }
}

/// Puts questions to a person.
pub trait Prompter {
    /// Asks once. The answer has the JSON type that its kind stands for; whether it is valid is checked by the caller.
    ///
    /// # Errors
    /// When the person leaves or the terminal fails.
    fn ask(&mut self, question: &AskQuestion<'_>) -> std::result::Result<Asked, AskError>;

    /// Lets the person choose one of `options`; `None` when they want to go back.
    ///
    /// # Errors
    /// As [`Self::ask`].
    fn choose(&mut self, text: &str, options: &[String], start: usize) -> std::result::Result<Option<usize>, AskError>;

    /// Says something between questions.
    fn say(&mut self, text: &str);
}

/// Asks until the answer is valid; what was wrong is said before the question comes again.
///
/// # Errors
/// When the person leaves or the terminal fails.
pub fn ask_valid(prompter: &mut dyn Prompter, question: &AskQuestion<'_>) -> std::result::Result<Asked, AskError> {
    loop {
        match prompter.ask(question)? {
            Asked::Answer(value) => match (question.validate)(&value) {
                Ok(value) => return Ok(Asked::Answer(value)),
                Err(why) => prompter.say(&why),
            },
            Asked::Skipped if question.required => prompter.say("an answer is needed here"),
            asked => return Ok(asked),
        }
    }
}

/// Asks whether something is meant, before it is done. No is no, and so is going back; who presses Ctrl-C ends the command.
/// `default` is what is taken when nothing is typed, and why.
///
/// # Errors
/// When the person leaves or the terminal fails.
pub fn agrees(
    prompter: &mut dyn Prompter,
    id: &str,
    text: String,
    help: Option<&str>,
    (default, why): (bool, &str),
) -> std::result::Result<bool, AskError> {
    let question = AskQuestion {
        id: id.to_owned(),
        text,
        help: help.map(str::to_owned),
        kind: AskKind::Confirm,
        required: true,
        default: Some((Value::Bool(default), why.to_owned())),
        progress: None,
        validate: &|value| Ok(value.clone()),
    };
    Ok(matches!(prompter.ask(&question)?, Asked::Answer(Value::Bool(true))))
}

/// An answer as the form takes it.
#[derive(Clone, Debug)]
pub enum Given {
    /// A valid value; `as_proposed`: the default was taken as it was.
    Answer {
        /// The value.
        value: Value,
        /// It is the default, unchanged.
        as_proposed: bool,
    },
    /// A secret.
    Secret(SecretString),
}

/// A form as far as asking needs to know it.
pub trait Form {
    /// Returns the ids of the questions that are visible now, in order.
    fn visible(&self) -> Vec<String>;

    /// Returns a visible question. When it has an answer already, that one is its default, as `your answer`.
    fn question(&self, id: &str) -> Option<AskQuestion<'_>>;

    /// Returns the answer that a question has, as it may be shown: masked when it is sensitive.
    fn answer(&self, id: &str) -> Option<String>;

    /// Takes an answer and keeps it; questions may become visible or hidden by it.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn give(&mut self, id: &str, given: Given) -> Result<()>;

    /// Takes an answer back: the person wants to leave the question open.
    ///
    /// # Errors
    /// When that cannot be kept.
    fn take_back(&mut self, id: &str) -> Result<()>;
}

/// Asks what is open, then shows all answers until they are confirmed.
///
/// # Errors
/// When the person leaves (what was answered is kept by the form), the terminal fails, or the form cannot keep an answer.
pub fn interview(prompter: &mut dyn Prompter, form: &mut dyn Form) -> Result<()> {
    let mut asked: Vec<String> = Vec::new();
    let mut left_open: HashSet<String> = HashSet::new();
    let mut again: Option<String> = None;
    loop {
        let visible = form.visible();
        let open = |id: &String| form.answer(id).is_none() && !left_open.contains(id);
        let next = again.take().filter(|id| visible.contains(id)).or_else(|| visible.iter().find(|id| open(id)).cloned());
        let Some(id) = next else {
            match overview(prompter, form, &visible)? {
                Confirmed::Yes => return Ok(()),
                Confirmed::Change(id) => again = Some(id),
                Confirmed::Back => again = before(&asked, None, &visible),
            }
            continue;
        };
        let Some(question) = form.question(&id) else {
            // Not visible after all: nothing to ask.
            left_open.insert(id);
            continue;
        };
        let proposed = question.default.as_ref().map(|(value, _)| value.clone());
        let answer = ask_valid(prompter, &question)?;
        match answer {
            Asked::Back => {
                again = before(&asked, Some(&id), &visible);
                if again.is_none() {
                    prompter.say("this is the first question");
                    again = Some(id);
                }
                continue;
            }
            Asked::Answer(value) => {
                left_open.remove(&id);
                let as_proposed = proposed.as_ref() == Some(&value);
                form.give(&id, Given::Answer { value, as_proposed })?;
            }
            Asked::Secret(secret) => {
                left_open.remove(&id);
                form.give(&id, Given::Secret(secret))?;
            }
            Asked::Skipped => {
                if form.answer(&id).is_some() {
                    form.take_back(&id)?;
                }
                left_open.insert(id.clone());
            }
        }
        if !asked.contains(&id) {
            asked.push(id);
        }
    }
}

/// Returns the visible question that was asked before `id`, or the last one.
fn before(asked: &[String], id: Option<&String>, visible: &[String]) -> Option<String> {
    let end = id.and_then(|id| asked.iter().position(|known| known == id)).unwrap_or(asked.len());
    asked[..end].iter().rev().find(|known| visible.contains(known)).cloned()
}

enum Confirmed {
    Yes,
    Change(String),
    Back,
}

fn overview(prompter: &mut dyn Prompter, form: &dyn Form, visible: &[String]) -> Result<Confirmed> {
    let mut options = vec!["go on with these answers".to_owned()];
    options.extend(visible.iter().map(|id| {
        let text = form.question(id).map_or_else(|| id.clone(), |question| question.text);
        format!("{text} {}", form.answer(id).unwrap_or_else(|| "(open)".to_owned()))
    }));
    Ok(match prompter.choose("All answers. Go on, or choose one to change it:", &options, 0)? {
        Some(0) => Confirmed::Yes,
        Some(place) => visible.get(place - 1).map_or(Confirmed::Yes, |id| Confirmed::Change(id.clone())),
        None => Confirmed::Back,
    })
}

#[cfg(test)]
pub(super) mod tests;
