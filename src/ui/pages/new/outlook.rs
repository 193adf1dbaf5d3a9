//! What a run would be: its team, what it would cost, how runs like it went. It stands before the button that starts it.

use std::sync::Arc;

use maud::{Markup, html};

use super::consent::{self, Consent};
use super::filled::Filled;
use crate::cli::consent::home_refusal;
use crate::cli::error::{CliError, Result};
use crate::cli::output::words;
use crate::cli::preview;
use crate::domain::event::Mode;
use crate::domain::template::Template;
use crate::ui::{Ui, element};
use crate::workspace::{Preview, RunRequest, Workspace, mode};

/// Agents and rules that are listed, and characters of a name that are shown.
const AGENTS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 80;

/// Draws the outlook and the button.
pub(super) fn outlook(
    ui: &Ui,
    template: &Template,
    filled: &Filled<'_>,
    planned: &Result<(Arc<Workspace>, RunRequest)>,
    consent: &Consent<'_>,
    with_past: bool,
) -> Markup {
    let (workspace, request) = match planned {
        Ok(planned) => planned,
        Err(report) => return html! { div class="card" { (said(report)) (update()) } },
    };
    let mode = mode(&workspace.resolved.settings);
    if filled.has_problems() {
        return html! {
            div class="card" {
                p class="hint" { "Answer what is open to see the team and what it costs." }
                (start(ui, template, mode, None, consent))
            }
        };
    }
    let runs = workspace.runs();
    match if with_past { runs.preview(template, request) } else { runs.preview_alone(template, request) } {
        Ok(preview) => html! {
            div class="card" {
                h2 { "What will run" }
                (team(&preview))
                p { b { (preview::cost_line(&preview, mode)) } }
                @for input in &preview.inputs { p class="hint" { (element::line(&preview::shared_line(input, mode))) } }
                div id="past" data-part { (past(&preview, with_past)) }
                (start(ui, template, mode, Some(&preview), consent))
            }
        },
        Err(why) => html! { div class="card" { (said(&CliError::from(why))) (update()) } },
    }
}

/// How runs like it went. It is looked for when the page is there already: a script asks for it, or who presses the button.
fn past(preview: &Preview, is_known: bool) -> Markup {
    html! {
        @match &preview.past {
            Some(past) => p { (preview::past_line(past)) },
            None if is_known => p class="hint" { "No past run is like this one: nothing is known of its chance of success." },
            None => p class="hint actions" {
                span { "Past runs like it are not compared yet. " }
                button type="submit" name="do" value="past" formnovalidate data-later { "Compare" }
            },
        }
    }
}

fn said(report: &CliError) -> Markup {
    html! {
        p class="notice" { (element::line(&report.message)) }
        @for cause in &report.causes { p class="hint" { (element::line(cause)) } }
        @if let Some(hint) = &report.hint { p class="hint" { (crate::ui::layout::backticks(hint)) } }
    }
}

fn team(preview: &Preview) -> Markup {
    html! {
        ul class="team" {
            @for agent in preview.agents.iter().take(AGENTS_MAX) {
                li {
                    b { (element::short(&agent.label, NAME_CHARS_MAX)) } " "
                    @for (place, (tier, model)) in agent.tiers.iter().enumerate() {
                        @if place > 0 { " → " } span title=(element::short(model, NAME_CHARS_MAX)) { (element::tier(*tier)) }
                    }
                    span class="soft" { " " (words::plural(agent.criteria as u64, "criterion").replace("criterions", "criteria")) }
                }
            }
            @if preview.agents.len() > AGENTS_MAX { li { "and " (words::plural((preview.agents.len() - AGENTS_MAX) as u64, "more agent")) } }
        }
        @let left_out: Vec<_> = preview.trace.iter().filter(|rule| rule.agents.is_empty()).collect();
        @if !left_out.is_empty() {
            details id="left-out" {
                summary { (words::plural(left_out.len() as u64, "rule")) " would make no agent" }
                ul {
                    @for rule in left_out.iter().take(AGENTS_MAX) {
                        li { (element::short(&rule.role, NAME_CHARS_MAX)) ": " (element::short(&rule.because, 4 * NAME_CHARS_MAX)) }
                    }
                    @if left_out.len() > AGENTS_MAX { li { "and " (words::count((left_out.len() - AGENTS_MAX) as u64)) " more" } }
                }
            }
        }
    }
}

fn update() -> Markup {
    html! { button type="submit" name="do" value="update" formnovalidate { "Update" } }
}

fn start(ui: &Ui, template: &Template, mode: Mode, preview: Option<&Preview>, consent: &Consent<'_>) -> Markup {
    let is_real = mode == Mode::Real;
    let is_asked = is_real && consent.was_asked;
    let home = || home_refusal(&ui.workspace, template, &ui.workspace.places.current);
    let strange = crate::ui::pages::run::refuse_strange(ui).err().or_else(home);
    html! {
        @if ui.read_only {
            p class="hint" { "This page only shows the store." }
        } @else if let Some(why) = &strange {
            (said(why))
            (update())
        } @else {
            @if is_asked {
                // It was asked: what changes in the form does not take the question away.
                input type="hidden" name="asked" value="yes";
            }
            @if let Some(preview) = preview.filter(|_| is_asked) {
                @let plan = consent::plan(consent.preset, preview);
                div class="notice" role="alert" {
                    p { b { "This spends real money" }
                        @match preview.cost.map(|cost| (cost, preview.most)) {
                            Some(((_, high), None)) => { ", about " (high) " if every attempt at every tier is needed." },
                            Some(((_, high), Some((most, turns)))) => {
                                ", about " (high) " if every attempt at every tier is needed, and up to " (most) " if agents use all "
                                (turns) " turns with tools in each of them."
                            },
                            None => ". How much is not known: a model has no price.",
                        }
                    }
                    @if consent.is_outdated(&plan) { p { "Your yes was to something else: models, team or costs have changed since." } }
                    label class="option" {
                        input type="checkbox" id="confirm" name="confirm" value=(plan) required checked[consent.is_given(&plan)];
                        "Yes, spend it"
                    }
                }
            }
            div class="actions" {
                button type="submit" class="primary" name="do" value="start" {
                    @if is_asked && preview.is_some() { "Start with real money" } @else if is_real { "Continue" } @else { "Start, simulated" }
                }
                (update())
            }
        }
    }
}
