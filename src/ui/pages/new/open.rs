//! The open form of a run that has begun: what was answered stands in it, and sending it lets the run go on.

use indexmap::IndexMap;
use maud::html;
use serde_json::Value;

use super::fields;
use super::filled::Filled;
use crate::cli::error::{CliError, Result};
use crate::cli::form_fill;
use crate::domain::ids::RunId;
use crate::domain::template::Template;
use crate::ui::pages::run::{form_is_open, refuse_home, refuse_strange};
use crate::ui::{Answer, Page, Params, Request, Ui, element};
use crate::views::run_detail::RunDetail;
use crate::workspace::ResumeRequest;

/// Shows the open form of a run with what was answered so far.
///
/// # Errors
/// When there is no such run, or its form is complete.
pub fn open(ui: &Ui, request: &Request) -> Result<Answer> {
    let (id, template, detail) = waiting(ui, request)?;
    drawn(ui, id, &template, &answered(&template, &detail.answers, &detail.sensitive), None)
}

/// Takes the form: shows it again with what changed, or completes it and carries the run on.
///
/// # Errors
/// When the run cannot go on for a reason that the form cannot show.
pub fn completed(ui: &Ui, request: &Request) -> Result<Answer> {
    let (id, template, _) = waiting(ui, request)?;
    if request.form.get("do") != Some("start") {
        return drawn(ui, id, &template, &request.form, None);
    }
    ui.must_write()?;
    refuse_strange(ui)?;
    let filled = Filled::of(ui, &template, &request.form);
    if filled.has_problems() {
        let why = CliError::invalid("some answers are missing or wrong").hint("they are marked below");
        return drawn(ui, id, &template, &request.form, Some(&why));
    }
    let given = filled.given().into_iter().map(|answer| (answer.question, (answer.value, answer.source))).collect();
    refuse_home(ui, id)?;
    let mut active = ui.workspace.runs().resume(id, &ResumeRequest::default())?;
    form_fill::complete(&ui.workspace, &mut active, &given)?;
    ui.runner.carry_on(&ui.changes, &ui.workspace, active)?;
    Ok(Answer::See(format!("/runs/{id}")))
}

/// Returns the run that is meant and the template that it began with.
fn waiting(ui: &Ui, request: &Request) -> Result<(RunId, Template, RunDetail)> {
    let id = ui.workspace.runs().find_own_run(request.part("run"))?;
    let detail = ui.workspace.runs().detail(id)?.masked();
    if !form_is_open(&detail) {
        return Err(CliError::refused(format!("the form of run {id} is not open")).hint("its page shows how it stands"));
    }
    Ok((id, ui.workspace.runs().recorded_basis(id)?.template.clone(), detail))
}

/// Returns recorded answers as the form would have sent them. Those that are masked are left out: they are given once more.
fn answered(template: &Template, answers: &IndexMap<String, Value>, masked: &[String]) -> Params {
    let mut form = Vec::new();
    for question in template.form_schema.questions.iter().filter(|question| !masked.contains(&question.id)) {
        let Some(value) = answers.get(&question.id).filter(|value| !value.is_null()) else { continue };
        form.push(("shown".to_owned(), question.id.clone()));
        let name = format!("q.{}", question.id);
        match value {
            Value::Array(chosen) => form.extend(chosen.iter().map(|one| (name.clone(), said(one)))),
            value => form.push((name, said(value))),
        }
    }
    form.into_iter().collect()
}

fn said(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn drawn(ui: &Ui, id: RunId, template: &Template, form: &Params, refused: Option<&CliError>) -> Result<Answer> {
    let filled = Filled::of(ui, template, form);
    let body = html! {
        h1 { "Open form: " (element::line(&template.name)) }
        p class="hint" { "Run " (element::run_link(&id.to_string())) " waits for these answers. What was given before stands in them." }
        form method="post" action={ "/runs/" (id) "/form" } class="new-run" data-form {
            (element::form_word(ui))
            div id="refusal" data-part { @if let Some(report) = refused { (super::refusal(report)) } }
            div id="questions" data-part { (fields::questions(template, &filled)) }
            @if !ui.read_only {
                div class="actions" {
                    button type="submit" class="primary" name="do" value="start" { "Answer and continue" }
                    button type="submit" name="do" value="update" formnovalidate { "Update" }
                }
            }
        }
    };
    Ok(Page { title: format!("Open form: {}", element::line(&template.name)), here: "/needs", body, live: None }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_answers_stand_in_the_form_as_it_would_have_sent_them() {
        let questions = serde_json::json!([
            { "id": "kind", "text": "What?", "type": "single_select", "options": ["a", "b"] },
            { "id": "parts", "text": "Which?", "type": "multi_select", "options": ["x", "y z"] },
            { "id": "depth", "text": "How deep?", "type": "number" },
            { "id": "token", "text": "Token?", "type": "secret" },
            { "id": "name", "text": "Who?", "type": "text_input", "sensitive": true },
        ]);
        let template = serde_json::json!({
            "template_id": "t", "name": "T", "description": "", "version": "1.0.0", "agent_composition_rules": [],
            "form_schema": { "title": "T", "description": "", "questions": questions },
        });
        let template: Template = serde_json::from_value(template).unwrap();
        let given =
            [("parts", serde_json::json!(["x", "y z"])), ("depth", 3.into()), ("token", Value::Null), ("name", "Ann".into())];
        let given = given.into_iter().map(|(id, value)| (id.to_owned(), value)).collect();
        let form = answered(&template, &given, &["token".to_owned(), "name".to_owned()]);
        let sent: Vec<_> = form.pairs().collect();
        assert_eq!(sent, [("shown", "parts"), ("q.parts", "x"), ("q.parts", "y z"), ("shown", "depth"), ("q.depth", "3")]);
    }
}
