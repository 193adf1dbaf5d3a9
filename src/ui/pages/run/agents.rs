//! The team of a run with its outputs, and the answers that made it.

use maud::{Markup, html};
use serde_json::Value;

use super::Shown;
use super::room::Room;
use crate::cli::output::{time, words};
use crate::domain::event::Mode;
use crate::ui::element;
use crate::views::run_detail::AgentDetail;

/// Agents that are shown here: the waterfall has all of them, page by page.
const AGENTS_MAX: usize = 50;
/// Bytes of what is shown of agents beyond their lines, and of the answers: the panel of an attempt has what is left out.
const DETAILS_BYTES: usize = 40_000;
const ANSWERS_BYTES: usize = 15_000;
/// Characters of a name and of an answer that are shown.
const NAME_CHARS_MAX: usize = 80;
const ANSWER_CHARS_MAX: usize = 2_000;
/// Attempts of an agent that are shown, the newest, and rules that made none.
const ATTEMPTS_MAX: usize = 20;
const SKIPPED_MAX: usize = 40;

/// Draws team and answers.
pub(super) fn agents(shown: &Shown<'_>, room: &Room) -> Markup {
    let detail = shown.detail;
    let details = room.part(DETAILS_BYTES);
    html! {
        div class="columns" id="agents" data-part {
            section aria-labelledby="agents-title" {
                h2 id="agents-title" { "Agents" }
                @for agent in detail.agents.iter().take(AGENTS_MAX) { (agent_of(shown, agent, &details)) }
                @if detail.agents.len() > AGENTS_MAX {
                    @let more = (detail.agents.len() - AGENTS_MAX) as u64;
                    p class="hint" { "And " (words::plural(more, "more agent")) ": the waterfall has all of them." }
                }
                @if detail.agents.is_empty() { p class="hint" { "No agent was planned yet." } }
                @if !detail.skipped_rules.is_empty() {
                    details id="skipped" {
                        summary { (words::plural(detail.skipped_rules.len() as u64, "rule")) " made no agent" }
                        ul {
                            @for rule in detail.skipped_rules.iter().take(SKIPPED_MAX) {
                                li { (element::short(&rule.role, NAME_CHARS_MAX))
                                    @if let Some(because) = &rule.because { ": " (element::short(because, 2 * NAME_CHARS_MAX)) } }
                            }
                            @if detail.skipped_rules.len() > SKIPPED_MAX { li { "and " (words::count((detail.skipped_rules.len() - SKIPPED_MAX) as u64)) " more" } }
                        }
                    }
                }
            }
            section aria-labelledby="answers-title" {
                h2 id="answers-title" { "Answers" }
                @if detail.answers.is_empty() { p class="hint" { "None was given." } } @else { (answers(shown, &room.part(ANSWERS_BYTES))) }
                @if !detail.inputs.is_empty() {
                    h3 { "Material" }
                    ul { @for input in detail.inputs.iter().take(SKIPPED_MAX) {
                        li { code { (element::short(&input.id, NAME_CHARS_MAX)) } ": " (words::plural(u64::from(input.files), "file")) ", "
                            (words::plural(input.bytes, "byte"))
                            @if let Some(path) = &input.path { " from " (element::short(path, 2 * NAME_CHARS_MAX)) }
                            @if input.left_out > 0 { ", " (words::count(u64::from(input.left_out))) " left out" } }
                    } }
                }
            }
        }
    }
}

/// Draws an agent: all of it where there is room, else how it stands, with a link to its last attempt.
fn agent_of(shown: &Shown<'_>, agent: &AgentDetail, room: &Room) -> Markup {
    let head = html! {
        b { (element::short(&agent.role, NAME_CHARS_MAX)) } " " (element::agent_status(agent.status, agent.verified))
        @if let Some(tier) = agent.tier { " " (element::tier(tier)) }
        span class="soft" { " " (words::plural(agent.attempts.len() as u64, "attempt"))
            @if let Some(ms) = agent.duration_ms { ", " (time::duration(ms)) }
            ", " (crate::cli::render::agent_cost(agent, Mode::Real)) }
    };
    let details = html! {
        details class="card agent" id={ "agent-" (agent.number) } { summary { (head) } (details_of(shown, agent, room)) }
    };
    room.takes(details).unwrap_or_else(|| html! {
        p class="card agent" id={ "agent-" (agent.number) } {
            (head)
            @if let Some(last) = agent.attempts.last() {
                " " a href=(shown.link("sel", Some(&format!("a{}.{}", agent.number, last.attempt)))) data-detail { "its last attempt" }
            }
        }
    })
}

fn details_of(shown: &Shown<'_>, agent: &AgentDetail, room: &Room) -> Markup {
    let left_out = agent.attempts.len().saturating_sub(ATTEMPTS_MAX);
    html! {
        @if let Some(failure) = &agent.failure {
            p class="fault" { (failure.reason.name().replace('_', " "))
                @if let Some(message) = &failure.message { ": " (element::short(message, ANSWER_CHARS_MAX)) } }
        }
        @if let Some(why) = agent.skipped_because { p class="hint" { "Skipped: " (why.name().replace('_', " ")) } }
        @if let Some(start) = &agent.start_tier {
            @if let Some(because) = &start.because { p class="hint" { "Starts at " (start.tier.name()) ": " (element::short(because, ANSWER_CHARS_MAX)) } }
        }
        @if left_out > 0 {
            p class="hint" { (words::plural(left_out as u64, "earlier attempt")) ": the waterfall has them." }
        }
        ul class="tries" { @for attempt in &agent.attempts[left_out..] {
            li { a href=(shown.link("sel", Some(&format!("a{}.{}", agent.number, attempt.attempt)))) data-detail { "Attempt " (attempt.attempt) }
                " " (element::tier(attempt.tier)) " "
                (crate::cli::render::ending(attempt)) }
        } }
        @if let Some(last) = agent.attempts.last() { (super::panel::criteria(&last.criteria)) }
        @if let Some(output) = &agent.output { h3 { "Output" } (output_of(shown, agent, output, room)) }
    }
}

/// The output, or where it is when there is no room for what is shown of it.
fn output_of(shown: &Shown<'_>, agent: &AgentDetail, output: &str, room: &Room) -> Markup {
    let last = agent.attempts.last().map(|last| format!("a{}.{}", agent.number, last.attempt));
    if room.has(output.len().min(element::TEXT_BYTES_MAX)) {
        return element::text(output, last.map(|key| shown.text(&key, "output")).as_deref());
    }
    html! {
        p class="hint" { (words::plural(output.chars().count() as u64, "character"))
            @if let Some(key) = last { ": " a href=(shown.link("sel", Some(&key))) data-detail { "its last attempt shows them" } } }
    }
}

fn answers(shown: &Shown<'_>, room: &Room) -> Markup {
    let detail = shown.detail;
    let answer = |(question, value): (&String, &Value)| {
        html! {
            tr {
                td { code { (element::short(question, NAME_CHARS_MAX)) } }
                td dir="auto" { @match value {
                    Value::Null => span class="soft" { "not shown" },
                    value => (element::short(&words::value(value), ANSWER_CHARS_MAX)),
                } }
                td class="soft" { @if let Some(source) = detail.answer_sources.get(question) { (source.name().replace('_', " ")) } }
            }
        }
    };
    let drawn: Vec<Markup> = detail.answers.iter().map_while(|given| room.takes(answer(given))).collect();
    html! {
        table class="answers" {
            thead { tr { th { "Question" } th { "Answer" } th { "Source" } } }
            tbody { @for answer in &drawn { (answer) } }
        }
        @if drawn.len() < detail.answers.len() {
            p class="hint" { "And " (words::plural((detail.answers.len() - drawn.len()) as u64, "more answer")) ": "
                code { "meno show-run " (detail.run_id) } " prints all." }
        }
        @if !detail.hidden_questions.is_empty() {
            p class="hint" { "Not asked: " (element::short(&detail.hidden_questions.join(", "), ANSWER_CHARS_MAX)) }
        }
    }
}
