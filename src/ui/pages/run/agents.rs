//! The team of a run with its outputs, and the answers that made it.

use std::cell::Cell;

use maud::{Markup, html};
use serde_json::Value;

use super::Shown;
use crate::cli::output::{time, words};
use crate::ui::element;
use crate::views::run_detail::AgentDetail;

/// Agents that are shown here, attempts of all of them together, and characters of all outputs together: a page must stay one that can be
/// read. The waterfall has all of them, page by page, and the panel of an attempt its output.
const AGENTS_MAX: usize = 100;
const ATTEMPTS_MAX: usize = 200;
const OUTPUTS_CHARS_MAX: usize = 2 * element::TEXT_CHARS_MAX;

/// Draws team and answers.
pub(super) fn agents(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    html! {
        div class="columns" id="agents" data-part {
            section aria-labelledby="agents-title" {
                h2 id="agents-title" { "Agents" }
                @let room = Room { attempts: Cell::new(ATTEMPTS_MAX), chars: Cell::new(OUTPUTS_CHARS_MAX) };
                @for agent in detail.agents.iter().take(AGENTS_MAX) { (agent_of(shown, agent, &room)) }
                @if detail.agents.len() > AGENTS_MAX {
                    @let more = (detail.agents.len() - AGENTS_MAX) as u64;
                    p class="hint" { "And " (words::plural(more, "more agent")) ": the waterfall has all of them." }
                }
                @if detail.agents.is_empty() { p class="hint" { "No agent was planned yet." } }
                @if !detail.skipped_rules.is_empty() {
                    details id="skipped" {
                        summary { (words::plural(detail.skipped_rules.len() as u64, "rule")) " made no agent" }
                        ul { @for rule in &detail.skipped_rules {
                            li { (element::line(&rule.role)) @if let Some(because) = &rule.because { ": " (element::line(because)) } }
                        } }
                    }
                }
            }
            section aria-labelledby="answers-title" {
                h2 id="answers-title" { "Answers" }
                @if detail.answers.is_empty() { p class="hint" { "None was given." } } @else { (answers(shown)) }
                @if !detail.inputs.is_empty() {
                    h3 { "Material" }
                    ul { @for input in &detail.inputs {
                        li { code { (element::line(&input.id)) } ": " (words::plural(u64::from(input.files), "file")) ", "
                            (words::plural(input.bytes, "byte"))
                            @if let Some(path) = &input.path { " from " (element::line(path)) }
                            @if input.left_out > 0 { ", " (words::count(u64::from(input.left_out))) " left out" } }
                    } }
                }
            }
        }
    }
}

/// What there is room for still.
struct Room {
    attempts: Cell<usize>,
    chars: Cell<usize>,
}

impl Room {
    /// Takes as much of `room` as there is, at most `wanted`.
    fn take(room: &Cell<usize>, wanted: usize) -> usize {
        let taken = wanted.min(room.get());
        room.set(room.get() - taken);
        taken
    }
}

fn agent_of(shown: &Shown<'_>, agent: &AgentDetail, room: &Room) -> Markup {
    let tries = Room::take(&room.attempts, agent.attempts.len());
    let left_out = agent.attempts.len() - tries;
    html! {
        details class="card agent" id={ "agent-" (agent.number) } {
            summary {
                b { (element::line(&agent.role)) } " " (element::agent_status(agent.status, agent.verified))
                @if let Some(tier) = agent.tier { " " (element::tier(tier)) }
                span class="soft" { " " (words::plural(agent.attempts.len() as u64, "attempt"))
                    @if let Some(ms) = agent.duration_ms { ", " (time::duration(ms)) }
                    ", " (element::cost(agent.cost_nusd, agent.cost_complete, crate::domain::event::Mode::Real)) }
            }
            @if let Some(failure) = &agent.failure {
                p class="fault" { (failure.reason.name().replace('_', " "))
                    @if let Some(message) = &failure.message { ": " (element::line(message)) } }
            }
            @if let Some(why) = agent.skipped_because { p class="hint" { "Skipped: " (why.name().replace('_', " ")) } }
            @if let Some(start) = &agent.start_tier {
                @if let Some(because) = &start.because { p class="hint" { "Starts at " (start.tier.name()) ": " (element::line(because)) } }
            }
            @if left_out > 0 {
                p class="hint" { (words::plural(left_out as u64, "earlier attempt")) ": the waterfall has them." }
            }
            ul class="tries" { @for attempt in &agent.attempts[left_out..] {
                li { a href=(shown.link("sel", Some(&format!("a{}.{}", agent.number, attempt.attempt)))) data-detail { "Attempt " (attempt.attempt) }
                    " " (element::tier(attempt.tier)) " "
                    (crate::cli::render::attempt_words(attempt.status, attempt.verified)) }
            } }
            @if let Some(last) = agent.attempts.last() { (super::panel::criteria(&last.criteria)) }
            @if let Some(output) = &agent.output { h3 { "Output" } (output_of(shown, agent, output, room)) }
        }
    }
}

/// The output, or where it is when there is no room for all of it.
fn output_of(shown: &Shown<'_>, agent: &AgentDetail, output: &str, room: &Room) -> Markup {
    let chars = output.chars().count();
    let shown_chars = chars.min(element::TEXT_CHARS_MAX);
    if shown_chars <= room.chars.get() {
        Room::take(&room.chars, shown_chars);
        return element::text(output);
    }
    let by = agent.attempts.last().map(|last| shown.link("sel", Some(&format!("a{}.{}", agent.number, last.attempt))));
    html! {
        p class="hint" { (words::plural(chars as u64, "character"))
            @if let Some(link) = by { ": " a href=(link) data-detail { "its last attempt shows them" } } }
    }
}

fn answers(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    html! {
        table class="answers" {
            thead { tr { th { "Question" } th { "Answer" } th { "Source" } } }
            tbody { @for (question, value) in &detail.answers {
                tr {
                    td { code { (element::line(question)) } }
                    td dir="auto" { @match value {
                        Value::Null => span class="soft" { "not shown" },
                        value => (words::value(value)),
                    } }
                    td class="soft" { @if let Some(source) = detail.answer_sources.get(question) { (source.name().replace('_', " ")) } }
                }
            } }
        }
        @if !detail.hidden_questions.is_empty() {
            p class="hint" { "Not asked: " (detail.hidden_questions.iter().map(|id| element::line(id)).collect::<Vec<_>>().join(", ")) }
        }
    }
}
