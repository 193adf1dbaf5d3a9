//! The fields of a form.

use maud::{Markup, html};
use serde_json::Value;

use super::filled::{Field, Filled};
use crate::domain::answers::read_boolean;
use crate::domain::event::Escalate;
use crate::domain::form::allowed;
use crate::domain::template::{InputKindSpec, Question, QuestionKind, Template};
use crate::domain::tier::Strategy;
use crate::ui::{Params, element};
use crate::workspace::runs::material::Lacking;

/// Draws the questions that show.
pub(super) fn questions(template: &Template, filled: &Filled<'_>) -> Markup {
    html! {
        @if filled.fields.is_empty() { p class="hint" { "This template asks nothing." } }
        @for field in &filled.fields { (question(field, filled.was_sent)) }
        @let hidden = template.form_schema.questions.len() - filled.fields.len();
        @if hidden > 0 {
            p class="hint" { (crate::cli::output::words::plural(hidden as u64, "question")) (if hidden == 1 { " does" } else { " do" }) " not apply to these answers." }
        }
    }
}

fn question(field: &Field<'_>, was_sent: bool) -> Markup {
    let question = field.question;
    let id = format!("q-{}", question.id);
    let problem = field.problem.as_ref().filter(|_| was_sent);
    let is_group = matches!(question.kind, QuestionKind::MultiSelect | QuestionKind::Boolean);
    let help = format!("{id}-help");
    let inner = html! {
        input type="hidden" name="shown" value=(question.id);
        (input(field, &id, &help))
        p class="hint" id=(help) {
            @if let Some(text) = &question.help_text { (crate::ui::layout::backticks(text)) " " }
            @if !question.required { span class="label" { "optional" } " " }
            @if !field.origin.is_empty() { span class="label" { (element::line(&field.origin)) } }
            @if let Some(advice) = &field.advice { br; (element::line(advice)) }
        }
        @if let Some(problem) = problem {
            p class="fault" { (element::line(&problem.message))
                @if !problem.allowed.is_empty() { " (allowed: " (element::line(&problem.allowed)) ")" } }
        }
    };
    html! {
        @if is_group {
            fieldset class="card question" id={ (id) "-part" } { legend { (element::line(&question.text)) } (inner) }
        } @else {
            div class="card question" id={ (id) "-part" } { label for=(id) { (element::line(&question.text)) } (inner) }
        }
    }
}

fn input(field: &Field<'_>, id: &str, help: &str) -> Markup {
    let question = field.question;
    let name = format!("q.{}", question.id);
    let text = text_of(&field.value);
    let required = question.required;
    match question.kind {
        QuestionKind::TextInput if question.multiline => html! {
            textarea id=(id) name=(name) required[required] dir="auto" aria-describedby=(help) { (text) }
        },
        QuestionKind::TextInput | QuestionKind::Path => html! {
            input id=(id) name=(name) value=(text) required[required] dir="auto" autocomplete="off" aria-describedby=(help);
        },
        QuestionKind::Number => html! {
            input id=(id) name=(name) value=(text) required[required] inputmode="decimal" autocomplete="off" aria-describedby=(help)
                title=(allowed(question));
        },
        // What was typed is never sent back.
        QuestionKind::Secret => html! {
            input id=(id) name=(name) type="password" autocomplete="off" aria-describedby=(help)
                placeholder=[(field.source == crate::domain::event::AnswerSource::Environment).then_some("from its environment variable")];
        },
        QuestionKind::Boolean => {
            let yes = field.value.as_bool().or_else(|| read_boolean(field.value.as_str()?));
            html! {
                @for (value, words) in [("Yes", true), ("No", false)] {
                    label class="option" {
                        input id={ (id) "-" (value) } type="radio" name=(name) value=(value) checked[yes == Some(words)] required[required];
                        (value)
                    }
                }
            }
        }
        QuestionKind::SingleSelect => select(question, id, &name, &text, help),
        QuestionKind::MultiSelect => {
            let chosen: Vec<&str> = field.value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            html! {
                @for (place, option) in question.options.iter().enumerate() {
                    label class="option" {
                        input id={ (id) "-" (place) } type="checkbox" name=(name) value=(option) checked[chosen.contains(&option.as_str())];
                        (element::line(option))
                    }
                }
            }
        }
    }
}

fn select(question: &Question, id: &str, name: &str, text: &str, help: &str) -> Markup {
    let is_known = question.options.iter().any(|option| option == text);
    html! {
        select id=(id) name=(name) required[question.required && !question.allow_other] aria-describedby=(help) {
            @if text.is_empty() || !is_known { option value="" selected { "choose" } }
            @for option in &question.options { option value=(option) selected[option == text] { (element::line(option)) } }
        }
        @if question.allow_other {
            label class="option or" { "or" input name={ "o." (question.id) } dir="auto" value=[(!is_known && !text.is_empty()).then_some(text)]; }
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Draws the fields of the material.
pub(super) fn inputs(template: &Template, form: &Params) -> Markup {
    html! {
        @if !template.inputs.is_empty() {
            h2 { "Material" }
            @for input in &template.inputs {
                @let name = format!("i.{}", input.id);
                @let words = match input.kind {
                    InputKindSpec::File => "the path of a file",
                    InputKindSpec::Dir => "the path of a folder",
                    InputKindSpec::Text => "a text",
                };
                div class="card question" {
                    label for=(name) { (element::line(&input.id)) @if !input.required { " (optional)" } }
                    input id=(name) name=(name) value=[form.get(&name)] placeholder=(words) autocomplete="off" dir="auto";
                    p class="hint" { (crate::ui::layout::backticks(&input.description)) }
                }
            }
        }
    }
}

/// Draws what becomes of material that is not given: agents read the folder instead, or go without, which a real run only does when asked to.
pub(super) fn material(form: &Params, lacking: &Lacking, folder: &str, is_real: bool) -> Markup {
    let names = |ids: &[String]| ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let said = |text: &str| crate::ui::layout::backticks(text);
    html! {
        @if !lacking.readable.is_empty() {
            p class="hint" { (said(&names(&lacking.readable))) " not given: agents read " code { (folder) } " with their tools instead." }
        }
        @if !lacking.missing.is_empty() {
            p class="hint" { (said(&names(&lacking.missing))) " not given: agents can only say that it is missing." }
            @if is_real {
                label class="option" {
                    input type="checkbox" name="without_material" value="yes" checked[form.get("without_material").is_some()];
                    span { "Start without " (said(&names(&lacking.missing))) }
                }
            }
        }
    }
}

/// Draws what is chosen beside the answers.
pub(super) fn terms(form: &Params, presets: &[(&str, String)]) -> Markup {
    let chosen = form.get("preset").unwrap_or("simulated");
    html! {
        fieldset class="card question" {
            legend { "Models" }
            @for (name, words) in presets {
                label class="option" { input type="radio" name="preset" value=(name) checked[chosen == *name]; (words) }
            }
            @if presets.len() == 1 {
                p class="hint" { "Real models can be chosen here when their key is in the environment of " code { "meno ui" } "." }
            }
        }
        details class="card question" id="terms" open[form.get("strategy").or(form.get("budget")).or(form.get("escalate")).or(form.get("labels")).or(form.get("seed")).is_some()] {
            summary { "Strategy, budget, escalation, seed, labels" }
            label { "Strategy" select name="strategy" {
                option value="" { "as the template says" }
                @for strategy in Strategy::ALL {
                    option value=(strategy.name()) selected[form.get("strategy") == Some(strategy.name())] { (strategy.name().replace('_', " ")) }
                }
            } }
            label { "Budget in US dollars" input name="budget" inputmode="decimal" value=[form.get("budget")] placeholder="none" autocomplete="off"; }
            label { "Escalation" select name="escalate" {
                option value="" { "as the settings say" }
                @for escalate in Escalate::ALL {
                    option value=(escalate.name()) selected[form.get("escalate") == Some(escalate.name())] { (escalate.name()) }
                }
            } }
            label { "Seed of everything random" input name="seed" inputmode="numeric" value=[form.get("seed")] placeholder="a new one" autocomplete="off"; }
            label { "Labels" input name="labels" value=[form.get("labels")] placeholder="team=core, ticket=42" autocomplete="off"; }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_without_material_is_offered_only_where_it_is_missing_and_would_be_refused() {
        let drawn = |readable: &[&str], missing: &[&str], is_real| {
            let of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
            let lacking = Lacking { readable: of(readable), missing: of(missing) };
            material(&Params::default(), &lacking, "/home/ada/<shop>", is_real).into_string()
        };
        assert_eq!(drawn(&[], &[], true), "");
        let read = drawn(&["source"], &[], true);
        assert!(read.contains("agents read <code>/home/ada/&lt;shop&gt;</code>") && !read.contains("checkbox"), "{read}");
        let missing = drawn(&["source"], &["paper"], true);
        assert!(missing.contains("agents read") && missing.contains("Start without <code>paper</code>"), "{missing}");
        let simulated = drawn(&[], &["paper"], false);
        assert!(simulated.contains("can only say that it is missing") && !simulated.contains("checkbox"), "{simulated}");
    }
}
