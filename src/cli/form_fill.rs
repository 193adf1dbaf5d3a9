//! Fills the form of a run with a person: each answer is durable as soon as it is given, so leaving loses nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::ask::{AskKind, AskQuestion, Asked, Form, Given, Prompter, Terminal, interview};
use super::commands::run::{GivenAnswers, wrong};
use super::context::Context;
use super::error::{CliError, Exit, Result};
use super::output::{sanitize, words};
use super::render::GoOn;
use crate::domain::event::{AnswerSource, SuspendReason};
use crate::domain::form;
use crate::domain::ids::RunId;
use crate::domain::redact::Redactor;
use crate::domain::run::{Basis, Command};
use crate::domain::template::{Question, QuestionKind, Template};
use crate::executor::Stream;
use crate::workspace::memory::patterns::DefaultAnswer;
use crate::workspace::{ActiveRun, StartOffer, Workspace, redacted};

/// Checks answers that were given before anybody is asked and returns them as their questions keep them; reports everything that is
/// wrong.
///
/// # Errors
/// When one is unknown or not allowed.
pub fn check_given(template: &Template, given: &GivenAnswers) -> Result<BTreeMap<String, Value>> {
    let questions = &template.form_schema.questions;
    let (mut checked, mut problems) = (BTreeMap::new(), Vec::new());
    for (id, (value, source)) in given {
        let question = questions.iter().find(|known| known.id == *id);
        let kept = question.ok_or_else(|| form::AnswerProblem::unknown(id, value, questions));
        match kept.and_then(|question| form::check(question, value, *source, &exists)) {
            Ok(value) => drop(checked.insert(id.clone(), value)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(checked) } else { Err(wrong(&problems).about("TEMPLATE", &template.template_id)) }
}

/// Asks what is open of a run's form, then plans its team.
///
/// # Errors
/// When the person leaves: the run is suspended with what was answered, and the report says how to go on.
pub fn fill(context: &mut Context, workspace: &Arc<Workspace>, active: &mut ActiveRun, given: &GivenAnswers) -> Result<()> {
    let basis = Arc::clone(&active.basis);
    let mut filling = Filling::new(workspace, &basis, &mut active.stream);
    filling.secrets = secrets_of(workspace, &basis.template, given);
    filling.give_all(given)?;
    filling.history = history(workspace, &basis.template);
    let mut terminal = Terminal::new(true);
    let asked = interview(&mut terminal, &mut filling);
    let mut secrets = std::mem::take(&mut filling.secrets);
    drop(filling);
    secrets.extend(secrets_of(workspace, &basis.template, &GivenAnswers::new()));
    active.redactor = workspace.redactor_of(&basis, &secrets);
    match asked {
        Ok(()) => {
            let agreed = agreed_starts(&mut terminal, workspace, active)?;
            let completion = workspace.runs().completion(active.stream.run(), &basis.template, &agreed)?;
            Ok(active.stream.perform(&basis, &[completion])?)
        }
        Err(report) => {
            active.stream.perform(&basis, &[Command::Suspend(SuspendReason::Form)])?;
            if report.exit == Exit::Interrupted {
                let on = GoOn { run: &active.id.to_string(), allow_write: workspace.runs().needs_leave_to_write(active.id) };
                context.out.say(format!("what was answered is kept; go on with `{}`", on.resume("")));
            }
            Err(report)
        }
    }
}

/// Asks whether agents may start where their history says that it pays; what was shown and what was taken is remembered.
fn agreed_starts(prompter: &mut dyn Prompter, workspace: &Workspace, active: &ActiveRun) -> Result<Vec<StartOffer>> {
    let offers = match workspace.runs().start_offers(active.stream.run(), &active.basis) {
        Ok(offers) if offers.is_empty() => return Ok(Vec::new()),
        Ok(offers) => offers,
        Err(error) => {
            // A start that cannot be advised is no reason not to run.
            tracing::warn!("history advises nothing: {error}");
            return Ok(Vec::new());
        }
    };
    let shown: Vec<String> = offers
        .iter()
        .map(|offer| format!("{} at {} instead of {} ({})", offer.role, offer.start_tier, offer.usual, offer.because))
        .collect();
    let question = AskQuestion {
        id: "starts".to_owned(),
        text: "History advises other starts. Which shall be taken?".to_owned(),
        help: None,
        kind: AskKind::MultiSelect { options: shown.clone() },
        required: false,
        default: Some((Value::from(shown.clone()), "from history".to_owned())),
        progress: None,
        validate: &|value| Ok(value.clone()),
    };
    let taken: Vec<usize> = match prompter.ask(&question)? {
        Asked::Answer(Value::Array(chosen)) => {
            let is_chosen = |index: &usize| chosen.iter().any(|one| one.as_str() == Some(shown[*index].as_str()));
            (0..offers.len()).filter(is_chosen).collect()
        }
        _ => Vec::new(),
    };
    workspace.runs().offered(active.id, &active.basis.template.template_id, &offers, &taken)?;
    Ok(taken.into_iter().map(|index| offers[index].clone()).collect())
}

/// Completes a run's form from answers given on the command line and the template's defaults, without asking.
///
/// # Errors
/// Everything that is missing or wrong.
pub fn complete(workspace: &Workspace, active: &mut ActiveRun, given: &GivenAnswers) -> Result<()> {
    let basis = Arc::clone(&active.basis);
    let mut known: GivenAnswers = active
        .stream
        .run()
        .answers
        .iter()
        .filter(|(_, answer)| !answer.secret)
        .map(|(id, answer)| (id.clone(), (answer.value.clone(), answer.source)))
        .collect();
    known.extend(given.clone());
    let environment =
        |question: &Question| workspace.secret_of(question).map(|value| (Value::String(value), AnswerSource::Environment));
    let completed = form::complete(&basis.template, &known, &environment, &exists)
        .map_err(|problems| wrong(&problems).about("TEMPLATE", &basis.template.template_id))?;
    active.redactor = workspace.redactor_of(&basis, &secrets_of(workspace, &basis.template, given));
    let answers = completed.answers.into_iter().map(|(question, answer)| Command::Answer {
        value: redacted(&active.redactor, &basis.template, &question, answer.value),
        question,
        source: answer.source,
        secret: answer.secret,
    });
    let commands: Vec<Command> =
        answers.chain([workspace.runs().completion(active.stream.run(), &basis.template, &[])?]).collect();
    Ok(active.stream.perform(&basis, &commands)?)
}

/// Returns the answers to secret questions that are known here: given, or in the variables that the questions name.
pub fn secrets_of(workspace: &Workspace, template: &Template, given: &GivenAnswers) -> Vec<SecretString> {
    let questions = template.form_schema.questions.iter().filter(|question| question.kind == QuestionKind::Secret);
    let known = questions.filter_map(|question| {
        let typed = given.get(&question.id).and_then(|(value, _)| value.as_str().map(str::to_owned));
        typed.or_else(|| workspace.secret_of(question))
    });
    known.map(SecretString::from).collect()
}

/// Returns no answers, for those who only want what stands in variables.
pub fn none() -> GivenAnswers {
    GivenAnswers::new()
}

/// Returns what makes a remark about a run fit to be kept: answers to its secret questions that are known here are not in it.
pub fn redactor_about(workspace: &Workspace, run: RunId) -> Arc<Redactor> {
    match workspace.runs().recorded_basis(run) {
        Ok(basis) => workspace.redactor_of(&basis, &secrets_of(workspace, &basis.template, &GivenAnswers::new())),
        Err(_) => Arc::new(workspace.redactor_with(&[])),
    }
}

/// Returns what history proposes. Secret questions are in no history, sensitive ones are left out of it here.
fn history(workspace: &Workspace, template: &Template) -> Vec<DefaultAnswer> {
    let questions = &template.form_schema.questions;
    let hidden = questions.iter().filter(|question| question.sensitive || question.kind == QuestionKind::Secret);
    let hidden: Vec<&str> = hidden.map(|question| question.id.as_str()).collect();
    // A proposal that cannot be made is no reason not to ask.
    workspace.memory().default_answers(&template.template_id, &hidden).unwrap_or_else(|error| {
        tracing::warn!("history proposes nothing: {error}");
        Vec::new()
    })
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Checks a typed answer to one question.
type TypedCheck<'a> = Box<dyn Fn(&Value) -> std::result::Result<Value, String> + 'a>;

/// A form that keeps its answers in a run's stream.
struct Filling<'a> {
    workspace: &'a Workspace,
    basis: &'a Basis,
    stream: &'a mut Stream,
    form: form::Form<'a>,
    secrets: Vec<SecretString>,
    /// Checks what is typed, by question.
    checks: Vec<TypedCheck<'a>>,
    /// What earlier runs answered.
    history: Vec<DefaultAnswer>,
    /// Questions that were put to the person already.
    shown: RefCell<Vec<String>>,
}

impl<'a> Filling<'a> {
    fn new(workspace: &'a Workspace, basis: &'a Basis, stream: &'a mut Stream) -> Self {
        let mut form = form::Form::new(&basis.template);
        for (id, answer) in &stream.run().answers {
            form.restore(id, form::FormAnswer { value: answer.value.clone(), source: answer.source, secret: answer.secret });
        }
        let check = |question: &'a Question| -> TypedCheck<'a> {
            Box::new(move |value| {
                form::check(question, value, AnswerSource::Asked, &exists).map_err(|problem| problem.to_string())
            })
        };
        let checks = basis.template.form_schema.questions.iter().map(check).collect();
        Self { workspace, basis, stream, form, secrets: Vec::new(), checks, history: Vec::new(), shown: RefCell::new(Vec::new()) }
    }

    /// Takes the answers that were given before, as far as their questions are visible.
    fn give_all(&mut self, given: &GivenAnswers) -> Result<()> {
        loop {
            let open = self.form.visible().into_iter().find(|question| {
                self.form.given(&question.id).is_none()
                    && (given.contains_key(&question.id) || self.workspace.secret_of(question).is_some())
            });
            let Some(question) = open else { return Ok(()) };
            match given.get(&question.id) {
                Some((value, source)) => self.keep(question, value.clone(), *source)?,
                None => {
                    let secret = self.workspace.secret_of(question).unwrap_or_default();
                    self.keep(question, Value::String(secret), AnswerSource::Environment)?;
                }
            }
        }
    }

    fn keep(&mut self, question: &Question, value: Value, source: AnswerSource) -> Result<()> {
        if question.kind == QuestionKind::Secret
            && let Some(secret) = value.as_str()
        {
            self.secrets.push(SecretString::from(secret.to_owned()));
        }
        let given = self.form.answer(&question.id, &value, source, &exists).map_err(|problem| wrong(&[problem]))?;
        let mut commands = Vec::new();
        if !self.shown.borrow().is_empty() {
            commands.push(Command::ShowQuestions(self.shown.take()));
        }
        let secret = question.kind == QuestionKind::Secret;
        let redactor = self.workspace.redactor_of(self.basis, &self.secrets);
        let value = redacted(&redactor, &self.basis.template, &question.id, given.value);
        commands.push(Command::Answer { question: question.id.clone(), value, source, secret });
        Ok(self.stream.perform(self.basis, &commands)?)
    }

    /// Returns the last answer to a question and its run, if it may still be given.
    fn last_answer(&self, id: &str) -> Option<(&Value, RunId)> {
        let place = self.basis.template.form_schema.questions.iter().position(|known| known.id == id)?;
        let (value, run) = self.history.iter().find(|known| known.question == id)?.last.as_ref()?;
        self.checks.get(place)?(value).is_ok().then_some((value, *run))
    }

    /// Returns what successful runs chose and in what words to say so, if that is more than one run's word and may still be given.
    fn chosen(&self, id: &str) -> Option<(&Value, String)> {
        let place = self.basis.template.form_schema.questions.iter().position(|known| known.id == id)?;
        let chosen = self.history.iter().find(|known| known.question == id)?.chosen.as_ref()?;
        let run = chosen.evidence.first()?;
        (chosen.successes > 1 && self.checks.get(place)?(&chosen.value).is_ok()).then(|| {
            let value = words::value(&chosen.value);
            (&chosen.value, format!("{} of {} successful runs chose {value}, last {run}", chosen.successes, chosen.of))
        })
    }

    fn template_question(&self, id: &str) -> Option<&'a Question> {
        self.basis.template.form_schema.questions.iter().find(|question| question.id == id)
    }
}

impl Form for Filling<'_> {
    fn visible(&self) -> Vec<String> {
        self.form.visible().into_iter().map(|question| question.id.clone()).collect()
    }

    fn question(&self, id: &str) -> Option<AskQuestion<'_>> {
        let visible = self.form.visible();
        let place = visible.iter().position(|question| question.id == id)?;
        let question = visible[place];
        let place_in_form = self.basis.template.form_schema.questions.iter().position(|known| known.id == id)?;
        if !self.shown.borrow().iter().any(|shown| shown == id) && self.form.given(id).is_none() {
            self.shown.borrow_mut().push(id.to_owned());
        }
        let own =
            self.form.given(id).filter(|answer| !answer.secret).map(|answer| (answer.value.clone(), "your answer".to_owned()));
        // What a template makes of the answers given now is nearer than what was right for those of last time.
        let is_derived = question.default.as_ref().and_then(Value::as_str).is_some_and(|default| default.contains("{{"));
        let last = || {
            self.last_answer(id).filter(|_| !is_derived).map(|(value, run)| (value.clone(), format!("as last time, run {run}")))
        };
        let chosen = self.chosen(id);
        let recommended = || {
            chosen.as_ref().filter(|_| !is_derived).map(|(value, _)| ((*value).clone(), "what successful runs chose".to_owned()))
        };
        let own_or_past = own.or_else(last).or_else(recommended);
        let default = own_or_past.or_else(|| Some((self.form.default_of(question)?, "from the template".to_owned())));
        let help = question.help_text.as_deref().map(|help| sanitize::line(help).into_owned());
        let help: Vec<String> = help.into_iter().chain(chosen.map(|(_, words)| words)).collect();
        Some(AskQuestion {
            id: question.id.clone(),
            text: sanitize::line(&question.text).into_owned(),
            help: (!help.is_empty()).then(|| help.join(" · ")),
            kind: kind(question),
            required: question.required,
            default,
            progress: Some(format!("{} of {}", place + 1, visible.len())),
            validate: self.checks.get(place_in_form)?.as_ref(),
        })
    }

    fn answer(&self, id: &str) -> Option<String> {
        let answer = self.form.given(id)?;
        let masked = answer.secret || self.template_question(id).is_some_and(|question| question.sensitive);
        Some(if masked { "••••••".to_owned() } else { words::value(&answer.value) })
    }

    fn give(&mut self, id: &str, given: Given) -> Result<()> {
        let Some(question) = self.template_question(id) else {
            return Err(CliError::fault(format!("question `{id}` is not one of the form's")));
        };
        match given {
            Given::Answer { value, as_proposed } => {
                let kept = self.form.given(id).filter(|answer| answer.value == value).map(|answer| answer.source);
                let is_last = self.last_answer(id).is_some_and(|(last, _)| *last == value);
                let is_chosen = self.chosen(id).is_some_and(|(chosen, _)| *chosen == value);
                let source = kept.unwrap_or(match as_proposed {
                    true if is_last => AnswerSource::LastRun,
                    true if is_chosen => AnswerSource::Recommended,
                    true => AnswerSource::Default,
                    false => AnswerSource::Asked,
                });
                self.keep(question, value, source)
            }
            Given::Secret(secret) => self.keep(question, Value::String(secret.expose_secret().to_owned()), AnswerSource::Asked),
        }
    }

    fn take_back(&mut self, id: &str) -> Result<()> {
        self.form.take_back(id);
        Ok(self.stream.perform(self.basis, &[Command::TakeBack { question: id.to_owned() }])?)
    }
}

fn kind(question: &Question) -> AskKind {
    match question.kind {
        QuestionKind::TextInput => AskKind::Text { multiline: question.multiline },
        QuestionKind::SingleSelect => AskKind::Select { options: question.options.clone(), allow_other: question.allow_other },
        QuestionKind::MultiSelect => AskKind::MultiSelect { options: question.options.clone() },
        QuestionKind::Boolean => AskKind::Confirm,
        QuestionKind::Number => AskKind::Number,
        QuestionKind::Path => AskKind::Path,
        QuestionKind::Secret => AskKind::Secret,
    }
}

#[cfg(test)]
mod tests;
