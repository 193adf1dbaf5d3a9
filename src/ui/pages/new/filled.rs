//! A form as it was sent: which questions show, what each holds, where that comes from, and what is wrong with it.

use std::path::Path;

use serde_json::Value;

use crate::cli::output::words;
use crate::domain::answers::Answers;
use crate::domain::event::AnswerSource;
use crate::domain::form::{self, AnswerProblem};
use crate::domain::template::{Question, QuestionKind, Template};
use crate::ui::{Params, Ui};
use crate::workspace::GivenAnswer;
use crate::workspace::memory::patterns::DefaultAnswer;

/// A question that shows.
pub struct Field<'t> {
    /// The question.
    pub question: &'t Question,
    /// What stands in it.
    pub value: Value,
    /// Where that comes from.
    pub source: AnswerSource,
    /// The same in words.
    pub origin: String,
    /// What history says of it.
    pub advice: Option<String>,
    /// What is wrong with it.
    pub problem: Option<AnswerProblem>,
}

/// A form as it was sent.
pub struct Filled<'t> {
    /// The questions that show, in order.
    pub fields: Vec<Field<'t>>,
    /// The form was sent at least once, so that what is missing is a mistake.
    pub was_sent: bool,
}

impl<'t> Filled<'t> {
    /// Reads the form. Each question is shown or not by the answers before it.
    pub fn of(ui: &Ui, template: &'t Template, form: &Params) -> Self {
        let history = history(ui, template);
        let (mut answers, mut fields) = (Answers::default(), Vec::new());
        for question in &template.form_schema.questions {
            if !form::is_visible(question, &answers) {
                continue;
            }
            let field = field(ui, question, form, &answers, &history);
            if field.problem.is_none() && !field.value.is_null() {
                answers.insert(question.id.clone(), field.value.clone());
            }
            fields.push(field);
        }
        Self { fields, was_sent: form.pairs().next().is_some() }
    }

    /// Tells whether something is wrong.
    pub fn has_problems(&self) -> bool {
        self.fields.iter().any(|field| field.problem.is_some())
    }

    /// Returns the answers.
    pub fn given(&self) -> Vec<GivenAnswer> {
        let given = self.fields.iter().filter(|field| field.problem.is_none() && !field.value.is_null());
        given.map(|field| GivenAnswer::new(&field.question.id, field.value.clone(), field.source)).collect()
    }
}

fn field<'t>(ui: &Ui, question: &'t Question, form: &Params, answers: &Answers, history: &[DefaultAnswer]) -> Field<'t> {
    let check = |value: &Value| form::check(question, value, AnswerSource::Asked, &|path| Path::new(path).exists());
    let known = history.iter().find(|known| known.question == question.id);
    // What a template makes of the answers given now is nearer than what was right for those of last time.
    let is_derived = question.default.as_ref().and_then(Value::as_str).is_some_and(|default| default.contains("{{"));
    let known = known.filter(|_| !is_derived);
    let chosen =
        known.and_then(|known| known.chosen.as_ref()).filter(|chosen| chosen.successes > 1 && check(&chosen.value).is_ok());
    let advice = chosen.map(|chosen| {
        let last = chosen.evidence.first().map_or_else(String::new, |run| format!(", last {run}"));
        format!("{} of {} successful runs chose {}{last}", chosen.successes, chosen.of, words::value(&chosen.value))
    });
    let last = known.and_then(|known| known.last.as_ref()).filter(|(value, _)| check(value).is_ok());
    let secret = ui.workspace.secret_of(question);
    let proposed = last
        .map(|(value, run)| (value.clone(), AnswerSource::LastRun, format!("as last time, run {run}")))
        .or_else(|| chosen.map(|it| (it.value.clone(), AnswerSource::Recommended, "what successful runs chose".to_owned())))
        .or_else(|| Some((form::default_of(question, answers)?, AnswerSource::Default, "from the template".to_owned())));
    let typed = typed(question, form);
    let (value, source, origin) = match (typed, proposed) {
        // A secret that stands in its variable need not be typed.
        (None | Some(Value::Null), _) if secret.is_some() => {
            (Value::String(secret.unwrap_or_default()), AnswerSource::Environment, "from its environment variable".to_owned())
        }
        (Some(typed), Some((value, source, origin))) if check(&typed).is_ok_and(|kept| Ok(kept) == check(&value)) => {
            (typed, source, origin)
        }
        (Some(typed), _) => (typed, AnswerSource::Asked, String::new()),
        (None, Some(proposed)) => proposed,
        (None, None) => (Value::Null, AnswerSource::Asked, String::new()),
    };
    let checked = match &value {
        Value::Null if question.required => Err(AnswerProblem::missing(question)),
        Value::Null => Ok(Value::Null),
        value => check(value),
    };
    match checked {
        Ok(value) => Field { question, value, source, origin, advice, problem: None },
        Err(problem) => Field { question, value, source, origin, advice, problem: Some(problem) },
    }
}

/// What was sent for a question; `None` when the form did not show it.
fn typed(question: &Question, form: &Params) -> Option<Value> {
    form.all("shown").find(|shown| *shown == question.id)?;
    let name = format!("q.{}", question.id);
    let mut sent = form.all(&name).filter(|value| !value.is_empty());
    Some(match question.kind {
        QuestionKind::MultiSelect => Value::from(sent.map(str::to_owned).collect::<Vec<_>>()),
        // Lines that a browser sends end as on paper.
        QuestionKind::TextInput => sent.next().map_or(Value::Null, |text| Value::from(text.replace("\r\n", "\n"))),
        QuestionKind::SingleSelect => {
            let other = form.get(&format!("o.{}", question.id)).filter(|_| question.allow_other);
            other.or(sent.next()).map_or(Value::Null, Value::from)
        }
        _ => sent.next().map_or(Value::Null, Value::from),
    })
}

/// What history proposes. Secret questions are in no history, sensitive ones are left out of it here.
fn history(ui: &Ui, template: &Template) -> Vec<DefaultAnswer> {
    let questions = &template.form_schema.questions;
    let hidden = questions.iter().filter(|question| question.sensitive || question.kind == QuestionKind::Secret);
    let hidden: Vec<&str> = hidden.map(|question| question.id.as_str()).collect();
    // A proposal that cannot be made is no reason not to ask.
    ui.workspace.memory().default_answers(&template.template_id, &hidden).unwrap_or_default()
}
