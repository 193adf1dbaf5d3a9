//! The head of a run's page: what became of it, what it cost, and what can be done now.

use maud::{Markup, html};

use super::Shown;
use crate::cli::output::{time, words};
use crate::cli::render;
use crate::domain::ids::CallNo;
use crate::ui::pages::templates;
use crate::ui::{Params, element, waterfall};
use crate::views::run_detail::RunDetail;
use crate::views::status::{AgentStatus, RunStatus};
use crate::views::timeline::BarKind;

/// Characters of a name and of a message that are shown, and labels.
const NAME_CHARS_MAX: usize = 80;
const MESSAGE_CHARS_MAX: usize = 2_000;
const LABELS_MAX: usize = 40;

/// Draws the head.
pub(super) fn head(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    let name = detail.template_name.as_deref().unwrap_or(&detail.template_id);
    html! {
        div id="head" data-part {
            h1 { (element::line(name)) " " (element::status(detail.status, detail.verified)) " " (element::mode(detail.mode)) }
            @if let Some(words) = render::mode_words(detail) { p class="hint" { (element::line(&words)) } }
            (facts(shown))
            (tools_at_work(shown))
            (links(detail))
            @if let Some(failure) = &detail.failure {
                p class="fault" { (failure.reason.name().replace('_', " "))
                    @if let Some(message) = &failure.message { ": " (element::short(message, MESSAGE_CHARS_MAX)) } }
            }
            @if shown.at.is_none() { (super::act::actions(shown)) }
        }
    }
}

/// The tools of a run that goes on which have not ended: since when each works, and what it said last of how far it is.
fn tools_at_work(shown: &Shown<'_>) -> Markup {
    /// Tools that are named.
    const TOOLS_MAX: usize = 12;
    if shown.at.is_some() || shown.detail.status != RunStatus::Running {
        return html! {};
    }
    let bars = shown.whole.lanes.iter().flat_map(|lane| lane.bars.iter().map(move |bar| (lane, bar)));
    let at_work: Vec<_> = bars.filter(|(_, bar)| bar.kind == BarKind::Tool && bar.to.is_none()).collect();
    let run = shown.detail.run_id.parse().ok();
    let said = |call: Option<CallNo>| shown.ui.runner.progress(run?, call?);
    html! {
        @if !at_work.is_empty() {
            div class="card" id="at-work" {
                b { (words::plural(at_work.len() as u64, "tool")) " at work" }
                ul {
                    @for (lane, bar) in at_work.iter().take(TOOLS_MAX) {
                        li {
                            a href=(shown.link("sel", Some(&waterfall::key(lane.agent, bar)))) data-detail { code { (element::short(&bar.name, NAME_CHARS_MAX)) } }
                            " of " (element::short(&lane.label, NAME_CHARS_MAX)) ", attempt " (bar.attempt) ", since "
                            (time::moment(bar.from, &shown.ui.zone))
                            @if let Some(said) = said(bar.call) { ": " span dir="auto" { (element::short(&said, 2 * NAME_CHARS_MAX)) } }
                        }
                    }
                    @if at_work.len() > TOOLS_MAX { li { "and " (words::count((at_work.len() - TOOLS_MAX) as u64)) " more" } }
                }
            }
        }
    }
}

/// Where to go from a run.
fn links(detail: &RunDetail) -> Markup {
    let with = |a: Option<&str>| Params::default().with("a", a).with("b", Some(&detail.run_id)).link("/compare");
    html! {
        p class="actions" {
            a class="button" href=(Params::default().with("template", Some(&detail.template_id)).link("/")) { "Runs of its template" }
            a class="button" href=(Params::default().with("like", Some(&detail.run_id)).link("/memory")) { "Runs like this one" }
            @if let Some(lineage) = &detail.lineage { a class="button" href=(with(Some(&lineage.parent))) { "Compare with the run it was forked from" } }
            a class="button" href=(with(None)) { "Compare with another run" }
        }
    }
}

fn facts(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    let done = detail.agents.iter().filter(|agent| agent.status == AgentStatus::Succeeded).count();
    html! {
        dl class="facts card" {
            (fact("Cost", render::cost_words(detail), words::cache_saved(detail.cache_saved_nusd, detail.cache_saved_complete, detail.mode)))
            (fact("Duration", duration(detail), waits(detail)))
            (fact("Agents", format!("{} of {} succeeded", words::count(done as u64), words::count(detail.agents.len() as u64)), None))
            (fact("Escalations", words::count(detail.escalations.len() as u64), None))
            (tokens(detail))
            div { dt { "Started" } dd { @match &detail.started_at {
                Some(at) => (element::moment(at, &shown.ui.zone)),
                None => "unknown",
            } } }
            div class="double" { dt { "Template" } dd { a href=(templates::address(&detail.template_id)) { (element::short(&detail.template_id, NAME_CHARS_MAX)) } @if !detail.template_version.is_empty() { small { "version " (element::short(&detail.template_version, NAME_CHARS_MAX)) } } } }
            div class="double" { dt { "Run" } dd { code { (detail.run_id) }
                small { a href={ "/runs/" (detail.run_id) "/events" } { (words::plural(detail.events, "event")) } } } }
            @if let Some(lineage) = &detail.lineage { div { dt { "Forked from" } dd { (element::run_link(&lineage.parent)) } } }
            @if let Some(node) = &detail.node { (fact("Log", words::id_end(node).to_owned(), Some("imported".to_owned()))) }
            @if !detail.labels.is_empty() {
                div { dt { "Labels" } dd { @for (key, value) in detail.labels.iter().take(LABELS_MAX) {
                    span class="label" { (element::short(key, NAME_CHARS_MAX)) "=" (element::short(value, 2 * NAME_CHARS_MAX)) }
                } @if detail.labels.len() > LABELS_MAX { "and " (words::count((detail.labels.len() - LABELS_MAX) as u64)) " more" } } }
            }
        }
    }
}

/// What is known of its tokens; calls that told none are counted, and nothing known is not zero.
fn tokens(detail: &RunDetail) -> Markup {
    let (tokens, untold) = (&detail.tokens, detail.untold_calls);
    let kinds = (tokens.total() > 0).then(|| {
        let input = words::count(tokens.input.saturating_add(tokens.cache_write));
        format!("{input} in, {} cached, {} out", words::count(tokens.cache_read), words::count(tokens.output))
    });
    fact("Tokens", words::tokens(tokens.total(), untold), kinds)
}

fn fact(name: &str, value: String, more: Option<String>) -> Markup {
    html! { div { dt { (name) } dd { (value) @if let Some(more) = more { small { (more) } } } } }
}

fn duration(detail: &RunDetail) -> String {
    match detail.duration_ms {
        Some(ms) => time::duration(ms),
        None if detail.status == RunStatus::Running => "running".to_owned(),
        None if detail.status.ended() => "unknown".to_owned(),
        None => "not ended".to_owned(),
    }
}

fn waits(detail: &RunDetail) -> Option<String> {
    /// Less is the program's own time.
    const WORTH_MS: u64 = 1000;
    let parts = [("form", detail.form_ms), ("waited", detail.waited_ms)];
    let worth = parts.into_iter().filter_map(|(name, ms)| ms.filter(|ms| *ms >= WORTH_MS).map(|ms| (name, ms)));
    let said: Vec<String> = worth.map(|(name, ms)| format!("{name} {}", time::duration(ms))).collect();
    (!said.is_empty()).then(|| said.join(", "))
}
