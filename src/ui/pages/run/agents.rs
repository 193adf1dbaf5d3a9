//! The team of a run with its outputs, and the answers that made it.

use maud::{Markup, html};
use serde_json::Value;

use super::Shown;
use crate::cli::output::{time, words};
use crate::ui::element;
use crate::views::run_detail::AgentDetail;

/// Draws team and answers.
pub(super) fn agents(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    html! {
        div class="columns" id="agents" data-part {
            section aria-labelledby="agents-title" {
                h2 id="agents-title" { "Agents" }
                @for agent in &detail.agents { (agent_of(shown, agent)) }
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

fn agent_of(shown: &Shown<'_>, agent: &AgentDetail) -> Markup {
    html! {
        details class="card agent" id={ "agent-" (agent.number) } {
            summary {
                b { (element::line(&agent.role)) } " " span class={ "state s-" (agent.status.name()) } {
                    (agent.status.name()) @if agent.status.name() == "succeeded" && !agent.verified { ", unverified" } }
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
            ul class="tries" { @for attempt in &agent.attempts {
                li { a href=(shown.link("sel", Some(&format!("a{}.{}", agent.number, attempt.attempt)))) data-detail { "Attempt " (attempt.attempt) }
                    " " (element::tier(attempt.tier)) " "
                    (crate::cli::render::attempt_words(attempt.status, attempt.verified)) }
            } }
            @if let Some(last) = agent.attempts.last() { (super::panel::criteria(&last.criteria)) }
            @if let Some(output) = &agent.output { h3 { "Output" } (element::text(output)) }
        }
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
