//! A session of another agent, as it went: what was asked, which tools were used on what, what was answered.

use super::page::Page;
use super::{agents_of, attempt_words};
use crate::cli::output::{BAD, FAINT, HEADING, sanitize, styled, words};
use crate::domain::event::Mode;
use crate::views::run_detail::{AttemptDetail, CallDetail, RunDetail, ToolDetail};
use crate::views::status::AttemptStatus;

/// Lines of a text that are shown unless the whole is asked for.
const LINES_MAX: usize = 6;
/// Characters of a line, or of a tool's arguments.
const CHARS_MAX: usize = 160;

/// Tells whether the run is a session: its attempts have tasks of their own.
pub(super) fn is_session(run: &RunDetail) -> bool {
    run.mode == Mode::Imported && run.agents.iter().flat_map(|agent| &agent.attempts).any(|attempt| attempt.task.is_some())
}

/// Tells the exchanges of the agents that `role` means, one after the other; texts are shortened unless `whole`.
pub(super) fn exchanges(page: &mut Page, run: &RunDetail, role: Option<&str>, whole: bool) {
    let mut is_cut = false;
    for agent in agents_of(run, role) {
        page.heading(&format!("Exchanges of {}", sanitize::line(&agent.role)));
        for attempt in &agent.attempts {
            is_cut |= exchange(page, attempt, run.mode, whole);
        }
    }
    if is_cut {
        page.line(0, "");
        page.nothing("texts are shortened; `--outputs` shows them whole");
    }
}

fn exchange(page: &mut Page, attempt: &AttemptDetail, mode: Mode, whole: bool) -> bool {
    let cost = words::cost(attempt.cost_nusd, attempt.cost_complete, mode);
    let model = attempt.model.as_deref().filter(|model| !model.is_empty()).unwrap_or("no model");
    let ended = match attempt.status {
        AttemptStatus::Passed => "answered",
        status => attempt_words(status, attempt.verified),
    };
    page.line(0, "");
    page.line(2, styled(FAINT, format!("{} {} {}  {ended}, {cost}", attempt.attempt, attempt.started_at, sanitize::line(model))));
    let mut is_cut = match &attempt.task {
        Some(task) => text(page, &styled(HEADING, ">").to_string(), task, whole),
        None => false,
    };
    for call in &attempt.calls {
        is_cut |= call_lines(page, call, whole);
    }
    if let Some(error) = attempt.error.as_ref().filter(|_| attempt.status != AttemptStatus::Passed) {
        page.line(4, styled(BAD, format!("error: {}", sanitize::line(error))));
    }
    is_cut
}

fn call_lines(page: &mut Page, call: &CallDetail, whole: bool) -> bool {
    let mut is_cut = false;
    if let Some(said) = call.said.as_deref().filter(|said| !said.trim().is_empty()) {
        is_cut |= text(page, " ", said, whole);
    }
    for tool in &call.tools {
        page.line(4, tool_words(tool));
    }
    is_cut
}

fn tool_words(tool: &ToolDetail) -> String {
    let arguments = tool.arguments.as_deref().map(sanitize::line).unwrap_or_default();
    let ended = match tool.ok {
        Some(true) => String::new(),
        Some(false) => format!("  {}", styled(BAD, "failed")),
        None => format!("  {}", styled(FAINT, "no result")),
    };
    format!("{} {}{ended}", styled(FAINT, format!("[{}]", sanitize::line(&tool.tool))), short(&arguments))
}

/// Shows a text behind a mark; returns whether it was shortened.
fn text(page: &mut Page, mark: &str, text: &str, whole: bool) -> bool {
    let clean = sanitize::text(text.trim());
    let lines: Vec<&str> = clean.lines().collect();
    let shown = if whole { lines.len() } else { lines.len().min(LINES_MAX) };
    let mut is_cut = shown < lines.len();
    for line in &lines[..shown] {
        let line = if whole { (*line).to_owned() } else { short(line) };
        is_cut |= line.ends_with('…');
        page.line(2, format!("{mark} {line}"));
    }
    if shown < lines.len() {
        page.line(2, styled(FAINT, format!("  … {} more", words::plural((lines.len() - shown) as u64, "line"))));
    }
    is_cut
}

fn short(line: &str) -> String {
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
