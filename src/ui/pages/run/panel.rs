//! What a bar of the waterfall stands for: what was asked, what came, how it was judged, what it cost and at which price.

use maud::{Markup, html};

use super::Shown;
use crate::audit::diff::text_diff;
use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::cli::render;
use crate::domain::event::Event;
use crate::domain::ids::CallNo;
use crate::domain::money::NanoUsd;
use crate::ui::element;
use crate::views::run_detail::{AgentDetail, AttemptDetail, CallDetail, CriterionDetail, ToolDetail};

/// Bytes of what a model was told that are shown, calls and tools that are listed, and characters of a message.
const PROMPT_BYTES_MAX: usize = 8_000;
const LISTED_MAX: usize = 60;
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Draws what the address chose; nothing when it chose nothing.
///
/// # Errors
/// When the run has nothing of that name.
pub(super) fn panel(shown: &Shown<'_>) -> Result<Markup> {
    let inner = match shown.request.query.get("sel") {
        Some(key) => chosen(shown, key)?,
        None => html! { p class="hint" { "Choose a bar to see what was asked, what came, how it was judged and what it cost." } },
    };
    Ok(html! { section id="detail" data-part aria-label="What was chosen" tabindex="-1" { (inner) } })
}

fn chosen(shown: &Shown<'_>, key: &str) -> Result<Markup> {
    let known = || {
        CliError::not_found(format!("the run has nothing called `{}`", element::line(key))).hint("choose a bar of its waterfall")
    };
    let (kind, rest) = key.split_at_checked(1).ok_or_else(known)?;
    let (number, second) = rest.split_once('.').unwrap_or((rest, "0"));
    let (number, second): (u32, u32) = number.parse().ok().zip(second.parse().ok()).ok_or_else(known)?;
    let agents = &shown.detail.agents;
    let attempts = || agents.iter().flat_map(|agent| agent.attempts.iter().map(move |attempt| (agent, attempt)));
    let call =
        || attempts().find_map(|(agent, attempt)| Some((agent, attempt, attempt.calls.iter().find(|call| call.call == number)?)));
    match kind {
        "a" => match attempts().find(|(agent, attempt)| (agent.number, attempt.attempt) == (number, second)) {
            Some((agent, attempt)) => Ok(attempt_panel(shown, agent, attempt)),
            None => Ok(to_come(shown, key)),
        },
        "c" => Ok(call().map_or_else(|| to_come(shown, key), |(agent, attempt, call)| call_panel(shown, agent, attempt, call))),
        "t" => {
            let found =
                call().and_then(|(agent, _, call)| Some((agent, call.tools.iter().find(|tool| tool.tool_call == second)?)));
            Ok(found.map_or_else(|| to_come(shown, key), |(agent, tool)| tool_panel(shown, agent, tool, key)))
        }
        _ => Err(known()),
    }
}

/// What is chosen may only happen later.
fn to_come(shown: &Shown<'_>, key: &str) -> Markup {
    html! { div class="card" { p {
        @if shown.at.is_some() { "This had not begun at the moment that is looked at." } @else {
            "The run has nothing called " code { (element::line(key)) } "."
        }
        " " (close(shown))
    } } }
}

fn close(shown: &Shown<'_>) -> Markup {
    html! { a class="button" id="close" href=(shown.link("sel", None)) data-detail { "Close" } }
}

fn attempt_panel(shown: &Shown<'_>, agent: &AgentDetail, attempt: &AttemptDetail) -> Markup {
    let before = agent.attempts.iter().rev().find(|other| other.attempt < attempt.attempt);
    html! {
        div class="card panel" {
            div class="panel-head" {
                h2 { (element::line(&agent.role)) ", attempt " (attempt.attempt) " " (element::tier(attempt.tier))
                    " " (element::attempt_status(attempt)) }
                (close(shown))
            }
            dl class="facts" {
                (fact("Model", attempt.model.as_deref().map_or_else(|| "unknown".to_owned(), element::line)))
                (duration(shown, agent, attempt))
                (fact("Cost", render::attempt_cost(attempt, shown.detail.mode)))
                (fact("Tokens", tokens(attempt)))
                (fact("Calls", words::count(attempt.calls.len() as u64)))
                @if let Some(to) = attempt.escalated_to { div { dt { "Escalated to" } dd { (element::tier(to)) } } }
                @if let Some(from) = &attempt.inherited_from { div { dt { "Inherited from" } dd { (element::run_link(from)) } } }
            }
            @if let Some(error) = &attempt.error { p class="fault" { (element::short(error, MESSAGE_CHARS_MAX)) } }
            @if !attempt.signals.is_empty() {
                p { "Signals: " @for signal in &attempt.signals { span class="label" { (signal.name().replace('_', " ")) } } }
            }
            (criteria(&attempt.criteria))
            @for switch in &attempt.switches {
                p class="notice" { "Fallback: " (element::line(&switch.from)) " failed (" (switch.class.name().replace('_', " ")) "), "
                    (element::line(&switch.to)) " took over." }
            }
            @if let Some(task) = &attempt.task {
                h3 { "Prompt" }
                (element::beginning(task, PROMPT_BYTES_MAX, Some(&shown.text(&format!("a{}.{}", agent.number, attempt.attempt), "task"))))
            }
            h3 { "Output" }
            (text(attempt.output.as_deref(), &shown.text(&format!("a{}.{}", agent.number, attempt.attempt), "output")))
            @if let Some(before) = before { (compared(shown, agent, before, attempt)) }
            @if let Some(call) = attempt.calls.iter().find(|call| call.prompt.is_some()) { (prompt(shown, call)) }
            @if !attempt.calls.is_empty() {
                h3 { "Calls" }
                ul { @for call in attempt.calls.iter().take(LISTED_MAX) {
                    li { a href=(shown.link("sel", Some(&format!("c{}", call.call)))) data-detail {
                        (element::line(&call.model)) } " " (call.purpose.name()) ", " (call.status.name())
                        ", " (words::amount(call.cost_nusd)) }
                } }
                (more(attempt.calls.len(), "call"))
            }
        }
    }
}

/// How long an attempt took, as long as its bar is, and of that its calls, its tools, and the rest, which its criteria's commands are a part of.
fn duration(shown: &Shown<'_>, agent: &AgentDetail, attempt: &AttemptDetail) -> Markup {
    let lane = shown.whole.lanes.iter().find(|lane| lane.agent == agent.number);
    let spent = attempt.duration_ms.and_then(|_| lane?.spent(attempt.attempt));
    let parts = spent.filter(|spent| !attempt.calls.is_empty() && spent.whole > 0).map(|spent| {
        let parts =
            [("model", spent.work), ("judging", spent.judging), ("tools", spent.tools), ("checks and the rest", spent.rest)];
        let parts = parts.into_iter().filter(|(_, ms)| *ms > 0);
        parts.map(|(name, ms)| format!("{name} {}", time::duration(ms))).collect::<Vec<_>>().join(", ")
    });
    let whole = spent.map(|spent| spent.whole).or(attempt.duration_ms);
    html! { div { dt { "Duration" } dd {
        (whole.map_or_else(|| "not ended".to_owned(), time::duration))
        @if let Some(parts) = parts { small { (parts) } }
    } } }
}

fn tokens(attempt: &AttemptDetail) -> String {
    match (attempt.tokens.total(), attempt.untold_calls) {
        (0, 1..) => "unknown".to_owned(),
        (_, untold) => {
            let unknown =
                if untold > 0 { format!(", those of {} unknown", words::plural(untold, "call")) } else { String::new() };
            let tokens = &attempt.tokens;
            format!("{} in, {} out{unknown}", words::count(tokens.total_input()), words::count(tokens.output))
        }
    }
}

/// What an attempt said otherwise than the one before it.
fn compared(shown: &Shown<'_>, agent: &AgentDetail, before: &AttemptDetail, attempt: &AttemptDetail) -> Markup {
    let (Some(old), Some(new)) = (&before.output, &attempt.output) else { return html! {} };
    html! {
        details id="compared" {
            summary { "Compared with attempt " (before.attempt) " (" (before.tier.name()) ")" }
            @match text_diff(old, new) {
                Some(difference) => (element::diff(&difference)),
                None => p class="hint" { "The outputs are the same." },
            }
            p { a href=(shown.link("sel", Some(&format!("a{}.{}", agent.number, before.attempt)))) data-detail { "Attempt " (before.attempt) } }
        }
    }
}

/// Says how many are not listed: the waterfall has them.
fn more(count: usize, what: &str) -> Markup {
    html! {
        @if count > LISTED_MAX { p class="hint" { "And " (words::plural((count - LISTED_MAX) as u64, &format!("more {what}"))) ": the waterfall has all of them." } }
    }
}

fn call_panel(shown: &Shown<'_>, agent: &AgentDetail, attempt: &AttemptDetail, call: &CallDetail) -> Markup {
    html! {
        div class="card panel" {
            div class="panel-head" {
                h2 { (element::line(&agent.role)) ", " @if call.purpose.name() == "judge" { "judging by " } (element::line(&call.model)) " "
                    (element::tier(attempt.tier)) " " span class={ "state s-" (call.status.name()) } { (call.status.name()) } }
                (close(shown))
            }
            dl class="facts" {
                (fact("Provider", element::line(&call.provider)))
                @if let Some(replied) = call.replied_model.as_ref().filter(|replied| **replied != call.model) {
                    (fact("Replied as", element::line(replied)))
                }
                (fact("Latency", call.latency_ms.map_or_else(|| "unknown".to_owned(), time::duration)))
                @if let Some(first) = call.first_token_ms { (fact("First token", time::duration(first))) }
                (fact("Cost", words::amount(call.cost_nusd)))
                (fact("Worst case set aside", words::amount(call.reserved_nusd)))
                @if let Some(stop) = call.stop_reason { (fact("Stopped", stop.name().replace('_', " "))) }
                @if let Some(id) = &call.request_id { (fact("Request", element::line(id))) }
            }
            (tokens_and_price(shown, call))
            @if let Some(error) = &call.error {
                p class="fault" { (error.class.name().replace('_', " ")) @if let Some(status) = error.status { " (HTTP " (status) ")" }
                    @if let Some(message) = &error.message { ": " (element::short(message, MESSAGE_CHARS_MAX)) } }
            }
            @if !call.retries.is_empty() {
                h3 { "Retries" }
                ul { @for retry in call.retries.iter().take(LISTED_MAX) {
                    li { "Try " (retry.failed_try) " failed: " (retry.class.name().replace('_', " "))
                        @if let Some(status) = retry.status { " (HTTP " (status) ")" } ", waited " (time::duration(retry.waited_ms))
                        @if let Some(message) = &retry.message { ": " (element::short(message, MESSAGE_CHARS_MAX / 4)) } }
                } }
            }
            (prompt(shown, call))
            @if let Some(said) = &call.said { h3 { "Reply" } (element::text(said, Some(&shown.text(&format!("c{}", call.call), "said")))) }
            @if call.said.is_none() && call.purpose.name() == "work" {
                h3 { "Output of the attempt" }
                (text(attempt.output.as_deref(), &shown.text(&format!("a{}.{}", agent.number, attempt.attempt), "output")))
            }
            @if !call.tools.is_empty() {
                h3 { "Tools" }
                ul { @for tool in call.tools.iter().take(LISTED_MAX) {
                    li { a href=(shown.link("sel", Some(&format!("t{}.{}", call.call, tool.tool_call)))) data-detail { (element::line(&tool.tool)) }
                        " " (tool_words(tool)) }
                } }
                (more(call.tools.len(), "tool"))
            }
        }
    }
}

fn tokens_and_price(shown: &Shown<'_>, call: &CallDetail) -> Markup {
    let Some(tokens) = call.tokens else { return html! { p class="hint" { "How many tokens it used is not known." } } };
    let prices = unit_prices(shown, call.call);
    // Prices are nUSD per million tokens.
    let price = |each: Option<u64>| each.map_or_else(|| "unknown".to_owned(), |each| format!("{} per million", NanoUsd(each)));
    let kinds = [
        ("Input", tokens.input, prices.map(|prices| prices.input)),
        ("Read from the cache", tokens.cache_read, prices.map(|prices| prices.cache_read)),
        ("Written to the cache, short", tokens.cache_write_5m, prices.map(|prices| prices.cache_write_5m)),
        ("Written to the cache, long", tokens.cache_write_1h, prices.map(|prices| prices.cache_write_1h)),
        ("Output", tokens.output, prices.map(|prices| prices.output)),
    ];
    html! {
        table class="narrow" {
            thead { tr { th { "Tokens" } th class="num" { "Number" } th class="num" { "Price used" } } }
            tbody { @for (name, count, each) in kinds {
                @if count > 0 || name == "Input" || name == "Output" {
                    tr { td { (name) } td class="num" { (words::count(count)) } td class="num" { (price(each)) } }
                }
            } }
        }
        @if tokens.reasoning > 0 { p class="hint" { "Of the output, " (words::count(tokens.reasoning)) " tokens of reasoning." } }
        @if tokens.estimated { p class="hint" { "The provider did not count: estimated from the texts." } }
    }
}

fn unit_prices(shown: &Shown<'_>, call: CallNo) -> Option<crate::domain::money::UnitPrices> {
    shown.story.told().iter().find_map(|recorded| match &recorded.event {
        Event::CostIncurred(body) if body.call == Some(call) => body.unit_prices,
        _ => None,
    })
}

fn tool_panel(shown: &Shown<'_>, agent: &AgentDetail, tool: &ToolDetail, key: &str) -> Markup {
    html! {
        div class="card panel" {
            div class="panel-head" {
                h2 { (element::line(&agent.role)) ", " code { (element::line(&tool.tool)) } }
                (close(shown))
            }
            p { (tool_words(tool)) @if tool.writes { ". It may change something." } }
            h3 { "Arguments" }
            (text(tool.arguments.as_deref(), &shown.text(key, "arguments")))
            h3 { "Result" }
            (text(tool.result.as_deref(), &shown.text(key, "result")))
        }
    }
}

fn tool_words(tool: &ToolDetail) -> String {
    let mut words = match (tool.ok, tool.fault) {
        (Some(true), _) => "succeeded".to_owned(),
        (Some(false), Some(fault)) => format!("failed: {}", fault.name().replace('_', " ")),
        (Some(false), None) => "failed".to_owned(),
        (None, _) => "not ended".to_owned(),
    };
    if let Some(ms) = tool.latency_ms {
        words.push_str(&format!(", {}", time::duration(ms)));
    }
    if let Some(bytes) = tool.bytes {
        words.push_str(&format!(", {}", words::plural(bytes, "byte")));
    }
    if let Some(run) = &tool.reused_from {
        words.push_str(&format!(", recorded by {run}: nothing ran"));
    }
    if tool.repeated {
        words.push_str(", repeated an earlier result: nothing ran");
    }
    words
}

/// Draws verdicts with what speaks for them.
pub(super) fn criteria(criteria: &[CriterionDetail]) -> Markup {
    html! {
        @if !criteria.is_empty() {
            h3 { "Criteria" }
            ul class="criteria" { @for one in criteria.iter().take(LISTED_MAX) {
                li {
                    span class={ "state s-" (one.verdict.name()) } { (one.verdict.name()) } " "
                    span dir="auto" { (one.name.as_deref().map_or_else(|| format!("criterion {}", one.criterion), |name| element::short(name, MESSAGE_CHARS_MAX))) }
                    @if let Some(score) = one.score { span class="soft" { " score " (score) } }
                    @if let Some(evidence) = &one.evidence { div class="soft" dir="auto" { (element::short(evidence, MESSAGE_CHARS_MAX)) } }
                }
            } }
        }
    }
}

fn prompt(shown: &Shown<'_>, call: &CallDetail) -> Markup {
    let Some(prompt) = &call.prompt else { return html! {} };
    let parts = [
        ("System message", "system", &prompt.system),
        ("Prompt", "user", &prompt.user),
        ("Conversation with tools", "transcript", &prompt.transcript),
    ];
    html! {
        @for (name, part, said) in parts {
            // A session has one prompt for several calls: it stands with its attempt.
            @if let Some(said) = said.as_ref().filter(|said| !said.is_empty()) {
                details id={ "prompt-" (part) } {
                    summary { (name) " " span class="hint" { (words::plural(said.chars().count() as u64, "character")) } }
                    (element::beginning(said, PROMPT_BYTES_MAX, Some(&shown.text(&format!("c{}", call.call), part))))
                }
            }
        }
        @if prompt.system.is_none() && prompt.user.is_none() { p class="hint" { "The prompt is not retained." } }
    }
}

fn text(text: Option<&str>, whole: &str) -> Markup {
    match text {
        Some(text) => element::text(text, Some(whole)),
        None => html! { p class="hint" { "There is none, or it is not retained." } },
    }
}

fn fact(name: &str, value: String) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}
