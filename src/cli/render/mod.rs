//! What commands show: documents of `views` in, text for people or files out. Pure; nothing is read or written here.

pub mod analytics;
pub mod audit;
pub mod audit_report;
pub mod backtest;
pub mod bench_route;
pub mod costs;
pub mod diff;
pub mod events;
pub mod export_run;
pub mod export_tools;
pub mod import;
pub mod list_runs;
mod next_steps;
pub mod outcome;
pub mod output;
mod page;
pub mod recommend;
pub mod replay;
pub mod report;
pub mod search;
mod session;
pub mod show_run;
pub mod telemetry;
mod tools;

pub use next_steps::{GoOn, answers_to_approval, open_tools, tool_question};

use anstyle::Style;

use super::output::{BAD, FAINT, GOOD, WARN, time, words};
use crate::domain::event::Mode;
use crate::views::run_detail::{AgentDetail, AttemptDetail, CallDetail, RunDetail};
use crate::views::status::{AgentStatus, AttemptStatus, CallStatus, RunStatus};

/// Says how a run stands: `succeeded`, `succeeded, unverified`, `failed`.
pub fn standing(status: RunStatus, verified: bool) -> String {
    if status == RunStatus::Succeeded && !verified { "succeeded, unverified".to_owned() } else { status.name().replace('_', " ") }
}

/// The style of a run's state.
pub(super) fn run_style(status: RunStatus, verified: bool) -> Style {
    match status {
        RunStatus::Succeeded if verified => GOOD,
        RunStatus::Failed => BAD,
        RunStatus::Succeeded | RunStatus::AwaitingInput | RunStatus::Suspended | RunStatus::Interrupted => WARN,
        RunStatus::Cancelled => FAINT,
        RunStatus::Running => Style::new(),
    }
}

/// The style of an agent's state.
pub(super) fn agent_style(status: AgentStatus) -> Style {
    match status {
        AgentStatus::Succeeded => GOOD,
        AgentStatus::Failed => BAD,
        AgentStatus::Skipped | AgentStatus::Cancelled | AgentStatus::Pending => FAINT,
        AgentStatus::Running => Style::new(),
    }
}

/// Says how an attempt ended.
pub fn attempt_words(status: AttemptStatus, verified: bool) -> &'static str {
    match (status, verified) {
        (AttemptStatus::Passed, true) => "passed",
        (AttemptStatus::Passed, false) => "passed, unverified",
        (AttemptStatus::FailedCriteria, _) => "failed",
        (AttemptStatus::Error, _) => "no usable reply",
        (AttemptStatus::Cancelled, _) => "cancelled",
        (AttemptStatus::Lost, _) => "lost",
        (AttemptStatus::Running, _) => "running",
    }
}

/// Says how an attempt of a run's document ended: one without any verdict was not judged.
pub fn ending(attempt: &AttemptDetail) -> &'static str {
    match attempt.status {
        AttemptStatus::Passed if !attempt.verified && attempt.criteria.is_empty() => "not judged",
        status => attempt_words(status, attempt.verified),
    }
}

/// Says how long a run worked, and apart from it how long its form took and how long it waited for a person, where that is worth a word.
pub(super) fn time_words(work_ms: u64, form_ms: Option<u64>, waited_ms: Option<u64>) -> String {
    /// Less is the program's own time.
    const WORTH_MS: u64 = 1000;
    let mut words = time::duration(work_ms);
    for (name, ms) in [("form", form_ms), ("waited", waited_ms)] {
        if let Some(ms) = ms.filter(|ms| *ms >= WORTH_MS) {
            words.push_str(&format!(", {name} {}", time::duration(ms)));
        }
    }
    words
}

/// Says what a run cost, against its budget, and what of it is not known.
pub fn cost_words(run: &RunDetail) -> String {
    let calls = run.agents.iter().flat_map(|agent| &agent.attempts).flat_map(|attempt| &attempt.calls);
    let known = || words::cost(run.cost_nusd, run.cost_complete, run.mode);
    let mut text = if run.status == RunStatus::Running {
        cost_so_far(run.cost_nusd, calls).map_or_else(known, str::to_owned)
    } else {
        known()
    };
    if let Some(budget) = run.budget_nusd {
        let of = if text.contains('$') || text.starts_with("unknown") { " of" } else { ", budget" };
        text.push_str(&format!("{of} {}", words::amount(Some(budget))));
    }
    let mut parts = Vec::new();
    if run.verification_cost_nusd > 0 {
        parts.push(format!("judging {}", words::amount(Some(run.verification_cost_nusd))));
    }
    if run.unpriced_calls > 0 {
        // Another system's attempt has no price that could be missing.
        let is_told = run.agents.iter().flat_map(|agent| &agent.attempts).any(|attempt| attempt.imported);
        let lack = if is_told { "of unknown cost" } else { "without a price" };
        parts.push(format!("{} {lack}", words::plural(run.unpriced_calls, "call")));
    }
    if run.estimated_calls > 0 {
        parts.push(format!("{} estimated", words::plural(run.estimated_calls, "call")));
    }
    if run.lost_calls > 0 {
        parts.push(format!("{} of unknown cost", words::plural(run.lost_calls, "lost call")));
    }
    if !parts.is_empty() {
        text.push_str(&format!(" ({})", parts.join(", ")));
    }
    text
}

/// Says what is known of an agent's cost.
pub fn agent_cost(agent: &AgentDetail, mode: Mode) -> String {
    let calls = agent.attempts.iter().flat_map(|attempt| &attempt.calls);
    let so_far = (agent.status == AgentStatus::Running).then(|| cost_so_far(agent.cost_nusd, calls)).flatten();
    so_far.map_or_else(|| words::cost(agent.cost_nusd, agent.cost_complete, mode), str::to_owned)
}

/// Says what is known of an attempt's cost.
pub fn attempt_cost(attempt: &AttemptDetail, mode: Mode) -> String {
    let so_far =
        (attempt.status == AttemptStatus::Running).then(|| cost_so_far(attempt.cost_nusd, attempt.calls.iter())).flatten();
    so_far.map_or_else(|| words::cost(attempt.cost_nusd, attempt.cost_complete, mode), str::to_owned)
}

/// Says why nothing is known yet of the cost of what goes on: it is not unknown for good. `None` where something is known, or lost.
fn cost_so_far<'a>(known: u64, mut calls: impl Iterator<Item = &'a CallDetail>) -> Option<&'static str> {
    let Some(first) = calls.next() else { return (known == 0).then_some("no calls yet") };
    let is_open = |call: &CallDetail| call.status == CallStatus::Running;
    (known == 0 && is_open(first) && calls.all(is_open)).then_some("first calls under way")
}

/// Says what kind of run it was when no real model was called by Meno.
pub fn mode_words(run: &RunDetail) -> Option<String> {
    match run.mode {
        Mode::Real => None,
        Mode::Simulated if run.source.is_none() => Some("simulated: no model was called, costs are estimates".to_owned()),
        Mode::Simulated | Mode::Imported => {
            let id = run.foreign_run_id.as_ref().map_or_else(String::new, |id| format!(", {id} there"));
            let simulated = if run.mode == Mode::Simulated { "simulated there, no money was spent: " } else { "" };
            Some(format!("{simulated}imported from {}{id}", run.source.as_deref().unwrap_or("another system")))
        }
    }
}

/// Returns the agents that a filter by role lets through: `linter` finds `linter` and every `linter[item]`.
pub fn agents_of<'a>(
    run: &'a RunDetail,
    role: Option<&'a str>,
) -> impl Iterator<Item = &'a crate::views::run_detail::AgentDetail> + 'a {
    run.agents.iter().filter(move |agent| {
        role.is_none_or(|role| {
            agent.role == role
                || agent.agent_id == role
                || agent.role.strip_prefix(role).is_some_and(|rest| rest.starts_with('['))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Event;
    use crate::views::sample::{self, inline};

    #[test]
    fn while_nothing_has_ended_yet_no_cost_is_unknown() {
        let story = sample::story();
        let at = |count: usize| cost_words(&RunDetail::fold(story[..count].iter(), &inline));
        let first = |is_meant: &dyn Fn(&Event) -> bool| story.iter().position(|recorded| is_meant(&recorded.event)).unwrap();
        let called = first(&|event| matches!(event, Event::CallStarted(_)));
        let paid = first(&|event| matches!(event, Event::CostIncurred(_)));
        assert!((1..=called).all(|count| at(count).starts_with("no calls yet, budget $")), "{}", at(called));
        assert!(at(called + 1).starts_with("first calls under way, budget $"), "{}", at(called + 1));
        assert!(at(paid + 1).contains('$') && !at(paid + 1).contains("yet"), "{}", at(paid + 1));
        let detail = RunDetail::fold(story[..=called].iter(), &inline);
        let agent = detail.agents.iter().find(|agent| agent.attempts.iter().any(|attempt| !attempt.calls.is_empty())).unwrap();
        let said = [agent_cost(agent, Mode::Real), attempt_cost(agent.attempts.last().unwrap(), Mode::Real)];
        assert_eq!(said, ["first calls under way", "first calls under way"]);
    }
}
