//! A new run: the template's form, what the run would be and probably cost, and the start of it.
//!
//! The form is one page that is sent whole. The server decides which questions show and what is wrong with an answer, by the same rules as
//! everywhere; a script only sends the form again when something in it changed. Answers are in the body of a request, never in an address.

mod consent;
mod fields;
mod filled;
mod open;
mod outlook;

pub use open::{completed, open};

use std::sync::Arc;

use maud::{Markup, html};

use crate::cli::consent::home_refusal;
use crate::cli::error::{CliError, Exit, Result};
use crate::domain::event::{Escalate, Mode};
use crate::domain::money::NanoUsd;
use crate::domain::template::Template;
use crate::domain::tier::Strategy;
use crate::settings::{Flags, Preset};
use crate::ui::{Answer, Page, Params, Request, Ui, element};
use crate::workspace::library::{Entry, Origin};
use crate::workspace::{RunRequest, Workspace, mode};
use consent::Consent;
use filled::Filled;

/// Shows the templates that can be run.
///
/// # Errors
/// Never; pages may fail.
pub fn choose(ui: &Ui, _: &Request) -> Result<Answer> {
    let entries = ui.templates.get(&ui.workspace.library);
    let body = html! {
        h1 { "New run" }
        p class="hint" { "A template asks a few questions; the answers decide which agents are needed." }
        ul class="cards" {
            @for entry in entries.iter() {
                @match (&entry.template, entry.first_error()) {
                    (Some(template), None) => li class="card" {
                        h2 { a class="row" href={ "/new/" (entry.id) } { (element::line(&template.name)) } }
                        p { (element::line(&template.description)) }
                        p class="hint" { code { (entry.id) } @if matches!(entry.origin, Origin::User(_)) { " · your own" } }
                    },
                    (_, problem) => li class="card" {
                        h2 { (element::line(&entry.id)) " " span class="state s-failed" { "broken" } }
                        @if let Some(problem) = problem { p class="hint" { (element::line(&problem.to_string())) } }
                    },
                }
            }
        }
    };
    Ok(Page { title: "New run".to_owned(), here: "/new", body, live: None }.into())
}

/// Shows a template's form with its defaults.
///
/// # Errors
/// When there is no such template, or it is broken.
pub fn form(ui: &Ui, request: &Request) -> Result<Answer> {
    drawn(ui, request, &Params::default(), Outcome::Shown, false)
}

/// Takes the form: shows it again with what changed, or starts the run.
///
/// # Errors
/// When there is no such template, or the run cannot start for a reason that the form cannot show.
pub fn sent(ui: &Ui, request: &Request) -> Result<Answer> {
    match request.form.get("do") {
        Some("start") => start(ui, request),
        said => drawn(ui, request, &request.form, Outcome::Shown, said == Some("past")),
    }
}

/// Why the form is shown.
enum Outcome {
    /// It was asked for.
    Shown,
    /// The run did not start.
    Refused(Box<CliError>),
    /// Real money would be spent, and that was not confirmed.
    Unconfirmed,
}

fn template_of(ui: &Ui, request: &Request) -> Result<(Entry, Template)> {
    let entry = ui.workspace.runs().template(request.part("template"))?;
    match (&entry.template, entry.first_error()) {
        (Some(template), None) => {
            let template = template.clone();
            Ok((entry, template))
        }
        (_, problem) => {
            let report = CliError::invalid(format!("template `{}` is broken", element::line(&entry.id)));
            Err(problem.into_iter().fold(report, |report, problem| report.cause(problem)))
        }
    }
}

/// What is chosen beside the answers.
struct Terms {
    preset: Option<Preset>,
    strategy: Option<Strategy>,
    budget: Option<NanoUsd>,
    escalate: Option<Escalate>,
    seed: Option<u64>,
}

impl Terms {
    fn read(form: &Params) -> Result<Self> {
        let wrong = |name: &str, text: &str| CliError::invalid(format!("`{name}` cannot be `{}`", element::line(text)));
        let preset = form.get("preset").unwrap_or(Preset::Simulated.name());
        let preset = match preset {
            "settings" => None,
            name => Some(name.parse().map_err(|_| wrong("models", name))?),
        };
        let strategy = form.get("strategy").map(|name| {
            Strategy::ALL.iter().copied().find(|strategy| strategy.name() == name).ok_or_else(|| wrong("strategy", name))
        });
        let escalate = form.get("escalate").map(|name| {
            Escalate::ALL.iter().copied().find(|escalate| escalate.name() == name).ok_or_else(|| wrong("escalation", name))
        });
        let amount = |text: &str| {
            NanoUsd::from_decimal(text.trim().trim_start_matches('$'))
                .ok_or_else(|| wrong("budget", text).hint("give an amount of US dollars such as 2 or 0.50"))
        };
        Ok(Self {
            preset,
            strategy: strategy.transpose()?,
            budget: form.get("budget").map(amount).transpose()?,
            escalate: escalate.transpose()?,
            seed: form.get("seed").map(|text| text.trim().parse().map_err(|_| wrong("seed", text))).transpose()?,
        })
    }

    /// The open store with the models that were chosen.
    fn workspace(&self, ui: &Ui) -> Result<Arc<Workspace>> {
        let flags = Flags { preset: self.preset, budget: self.budget, escalate: self.escalate, ..Flags::default() };
        let workspace = ui.workspace.with_flags(&flags, None)?;
        crate::cli::open::usable(&workspace)?;
        Ok(Arc::new(workspace))
    }
}

/// The presets that can be chosen, each with what people call it; those whose key is missing are left out.
fn presets(ui: &Ui) -> Vec<(&'static str, String)> {
    let has = |names: &[&str]| names.iter().any(|name| ui.workspace.variables.is_set(name));
    let (anthropic, openai) = (has(&["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]), has(&["OPENAI_API_KEY"]));
    let mut presets = vec![("simulated", "Simulated: no model is called, nothing is spent".to_owned())];
    let is_configured = matches!(ui.workspace.resolved.choice, crate::settings::Choice::Made)
        && mode(&ui.workspace.resolved.settings) == Mode::Real;
    let known = [
        (is_configured, "settings", "Real: the models of the settings"),
        (anthropic, Preset::Anthropic.name(), "Real: Anthropic"),
        (openai, Preset::Openai.name(), "Real: OpenAI"),
        (anthropic && openai, Preset::Mixed.name(), "Real: OpenAI for the cheap tier, Anthropic above"),
    ];
    presets.extend(known.into_iter().filter(|(is_there, ..)| *is_there).map(|(_, name, words)| (name, words.to_owned())));
    presets
}

fn request_of(template: &Template, filled: &Filled, terms: &Terms, form: &Params) -> Result<RunRequest> {
    let mut request = RunRequest::new().answers(filled.given()).strategy(terms.strategy).budget(terms.budget).seed(terms.seed);
    for input in &template.inputs {
        if let Some(path) = form.get(&format!("i.{}", input.id)) {
            request = request.input(&input.id, path.trim());
        }
    }
    for label in form.get("labels").unwrap_or_default().split(',').map(str::trim).filter(|label| !label.is_empty()) {
        let (key, value) = label
            .split_once('=')
            .ok_or_else(|| CliError::invalid(format!("label `{}` is not of the form KEY=VALUE", element::line(label))))?;
        request = request.label(key.trim(), value.trim());
    }
    Ok(request.without_material(form.get("without_material").is_some()))
}

fn start(ui: &Ui, request: &Request) -> Result<Answer> {
    ui.must_write()?;
    super::run::refuse_strange(ui)?;
    let (entry, template) = template_of(ui, request)?;
    let again = |why: CliError| drawn(ui, request, &request.form, Outcome::Refused(Box::new(why)), false);
    let filled = Filled::of(ui, &template, &request.form);
    if filled.has_problems() {
        return again(CliError::invalid("some answers are missing or wrong").hint("they are marked below"));
    }
    let prepared = Terms::read(&request.form).and_then(|terms| {
        let run = request_of(&template, &filled, &terms, &request.form)?;
        Ok((terms.workspace(ui)?, run, terms))
    });
    let (workspace, run, terms) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => return again(why),
    };
    if let Some(why) = home_refusal(&workspace, &template, &workspace.places.current) {
        return again(why);
    }
    if mode(&workspace.resolved.settings) == Mode::Real {
        let preview = match workspace.runs().preview_alone(&template, &run) {
            Ok(preview) => preview,
            Err(why) => return again(CliError::from(why)),
        };
        let consent = Consent::of(&request.form);
        if !consent.is_given(&consent::plan(consent.preset, &preview)) {
            return drawn(ui, request, &request.form, Outcome::Unconfirmed, false);
        }
    }
    let started =
        workspace.runs().check_models(&template, terms.strategy, terms.budget).and_then(|()| workspace.runs().start(&entry, run));
    match started {
        Ok(active) => {
            let id = active.id;
            ui.runner.carry_on(&ui.changes, &workspace, active)?;
            Ok(Answer::See(format!("/runs/{id}")))
        }
        Err(why) => again(CliError::from(why).about("TEMPLATE", &template.template_id)),
    }
}

/// Draws the page; `with_past` also says how past runs like this one went, which takes longer than a form may.
fn drawn(ui: &Ui, request: &Request, form: &Params, outcome: Outcome, with_past: bool) -> Result<Answer> {
    let (entry, template) = template_of(ui, request)?;
    let filled = Filled::of(ui, &template, form);
    let terms = Terms::read(form);
    let planned = terms.as_ref().map_err(Clone::clone).and_then(|terms| {
        let run = request_of(&template, &filled, terms, form)?;
        let workspace = terms.workspace(ui)?;
        Ok((workspace, run))
    });
    let consent = Consent::of(form).asked_now(matches!(outcome, Outcome::Unconfirmed));
    let body = html! {
        h1 { "New run: " (element::line(&template.name)) }
        p { (element::line(&template.description)) }
        @if entry.hides_builtin { p class="notice" { "This is your own template; it hides the built-in one of the same name." } }
        form method="post" action={ "/new/" (template.template_id) } class="new-run" data-form {
            (element::form_word(ui))
            // Enter in a field presses the first button of its form: this one shows what would run, and starts nothing.
            button type="submit" class="first" name="do" value="update" formnovalidate tabindex="-1" aria-hidden="true" { "Update" }
            div id="refusal" data-part {
                @if let Outcome::Refused(report) = &outcome { (refusal(report)) }
            }
            div class="columns form-columns" {
                div {
                    div id="questions" data-part { (fields::questions(&template, &filled)) }
                    (fields::inputs(&template, form))
                    div id="material" data-part { (material(&template, form, &planned)) }
                }
                div class="aside" {
                    (fields::terms(form, &presets(ui)))
                    div id="outlook" data-part {
                        (outlook::outlook(ui, &template, &filled, &planned, &consent, with_past))
                    }
                }
            }
        }
    };
    let title = format!("New run: {}", element::line(&template.name));
    Ok(Page { title, here: "/new", body, live: None }.into())
}

/// Says of the material that is not given what the agents do without it, and asks where a run would be refused.
fn material(template: &Template, form: &Params, planned: &Result<(Arc<Workspace>, RunRequest)>) -> Markup {
    let Ok((workspace, request)) = planned else { return html! {} };
    let lacking = workspace.runs().lacking_material(template, request);
    let folder = element::line(&workspace.places.current.display().to_string());
    fields::material(form, &lacking, &folder, mode(&workspace.resolved.settings) == Mode::Real)
}

fn refusal(report: &CliError) -> Markup {
    html! {
        div class="fault" role="alert" {
            p { b { "The run did not start: " } (element::line(&report.message)) }
            @if !report.causes.is_empty() { ul { @for cause in &report.causes { li { (element::line(cause)) } } } }
            @if let Some(hint) = report.hint.as_ref().filter(|_| report.exit != Exit::Fault) {
                p class="hint" { (crate::ui::layout::backticks(hint)) }
            }
        }
    }
}
