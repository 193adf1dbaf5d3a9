//! The turns of an attempt and the tools that ran in each, as a tree.

use std::collections::BTreeSet;

use super::agents_of;
use super::page::Page;
use crate::cli::output::{FAINT, sanitize, styled, time, words};
use crate::domain::event::{Purpose, ResolvedBy, ToolFault};
use crate::domain::tool::{ProgramEnd, changes_files};
use crate::views::run_detail::{AttemptDetail, CallDetail, RunDetail, ToolDetail};

/// Characters of the arguments that are shown in one line.
const ARGUMENTS_CHARS_MAX: usize = 100;

/// Shows the turns of an attempt, if its models used tools.
pub fn turns(page: &mut Page, indent: usize, attempt: &AttemptDetail) {
    if attempt.calls.iter().all(|call| call.tools.is_empty()) {
        return;
    }
    let calls = attempt.calls.iter().filter(|call| call.purpose == Purpose::Work);
    for (call, number) in calls.zip(1u32..) {
        page.line(indent, turn(call, number));
        call.tools.iter().for_each(|tool| page.line(indent + 2, line(tool)));
    }
}

/// Says how what tools found and models were not told can be looked at, where there is such.
pub fn untold(run: &RunDetail) -> Option<String> {
    let calls = run.agents.iter().flat_map(|agent| &agent.attempts).flat_map(|attempt| &attempt.calls);
    let is_cut = |tool: &ToolDetail| tool.told_bytes.zip(tool.bytes).is_some_and(|(told, bytes)| told < bytes);
    let is_any = calls.flat_map(|call| &call.tools).any(is_cut);
    is_any
        .then(|| format!("`meno export-run {} --dir DIR` writes pictures, and whole what models were told a part of", run.run_id))
}

fn turn(call: &CallDetail, number: u32) -> String {
    let latency = call.latency_ms.map_or_else(String::new, |ms| format!("  {}", time::duration(ms)));
    // Some of them start only when those before them have ended.
    let asks = match (call.tools.len() as u64, u64::from(call.asked_tools.unwrap_or_default())) {
        (0, 0) => call.status.name().to_owned(),
        (started, asked) if started < asked && started > 0 => {
            format!("asks for {}, of which {started} started", words::plural(asked, "tool"))
        }
        (started, asked) => format!("asks for {}", words::plural(started.max(asked), "tool")),
    };
    let cached = call.tokens.as_ref().map_or(0, |tokens| tokens.cache_read);
    let cached = if cached == 0 { String::new() } else { format!(", {} tokens from the cache", words::count(cached)) };
    format!("turn {number}{latency}  {asks}{cached}")
}

fn line(tool: &ToolDetail) -> String {
    let latency = match (tool.latency_ms, tool.awaits_resolution) {
        (Some(ms), _) => time::duration(ms),
        (None, true) => format!("waits: had tool {} finished when meno stopped?", tool.number),
        (None, false) => "no end is recorded".to_owned(),
    };
    let outcome = match (tool.ok, tool.fault) {
        (None, _) => latency,
        (Some(true), _) if tool.reused_from.is_some() => {
            format!("recorded by {}, nothing ran", tool.reused_from.as_deref().unwrap_or_default())
        }
        (Some(true), _) if tool.repeated => "told again".to_owned(),
        (Some(true), _) => latency,
        (Some(false), Some(fault)) => format!("{}, {latency}", fault.name().replace('_', " ")),
        (Some(false), None) => format!("failed, {latency}"),
    };
    let size = match (tool.bytes, tool.told_bytes) {
        (Some(bytes), Some(told)) if told < bytes => format!(", {} of {} bytes told", words::count(told), words::count(bytes)),
        _ => String::new(),
    };
    let arguments = tool.arguments.as_deref().unwrap_or("(arguments not kept)");
    let short: String = arguments.chars().take(ARGUMENTS_CHARS_MAX).collect();
    let more = if short.len() < arguments.len() { "…" } else { "" };
    let arguments = styled(FAINT, sanitize::line(&format!("{short}{more}")));
    let resolved = match (tool.resolution, tool.resolved_by) {
        (Some(resolution), Some(ResolvedBy::Person)) => format!(", a person said {}", resolution.name().replace('_', " ")),
        (Some(resolution), Some(ResolvedBy::Files)) => format!(", its files said {}", resolution.name().replace('_', " ")),
        (Some(_), Some(ResolvedBy::Effect)) => ", run again".to_owned(),
        _ => String::new(),
    };
    let undone = if tool.undone.is_empty() { "" } else { ", undone" };
    let end = tool.exit_code.map(ProgramEnd::Code).or(tool.ended_by_signal.then_some(ProgramEnd::Signal));
    let exit = end.and_then(ProgramEnd::words).map_or_else(String::new, |words| format!(", {words}"));
    format!("{} {arguments}  {outcome}{exit}{size}{resolved}{undone}", sanitize::line(&tool.tool))
}

/// Shows what the tools of the run changed in files, oldest first: only of `agent`, if one is named.
pub fn diffs(page: &mut Page, run: &RunDetail, agent: Option<&str>) {
    page.heading("Changes");
    let mut is_empty = true;
    for agent in agents_of(run, agent) {
        let calls = agent.attempts.iter().flat_map(|attempt| &attempt.calls);
        for tool in calls.flat_map(|call| &call.tools).filter(|tool| !tool.files.is_empty()) {
            is_empty = false;
            let undone = match &tool.undone {
                undone if undone.is_empty() => "",
                undone if undone.len() < tool.files.len() => ", undone in part",
                _ => ", undone",
            };
            let head = format!("Tool {} of {}, {}{undone}:", tool.number, agent.role, tool.tool);
            page.line(0, styled(FAINT, sanitize::line(&head)));
            match (&tool.diff, tool.ok) {
                (Some(diff), _) => page.verbatim(diff),
                (None, Some(true)) => page.nothing("what it changed is not kept"),
                (None, Some(false)) => page.nothing("it failed; what it had changed before is not kept"),
                (None, None) => page.nothing("it did not finish"),
            }
        }
    }
    let calls = agents_of(run, agent).flat_map(|agent| &agent.attempts).flat_map(|attempt| &attempt.calls);
    let tools: Vec<&ToolDetail> = calls.flat_map(|call| &call.tools).collect();
    let wrote = |tool: &&ToolDetail| changes_files(&tool.tool) && tool.ok == Some(true);
    let others = unrecorded(&tools);
    if is_empty && tools.iter().any(wrote) {
        page.nothing("tools changed files; what they changed is not kept");
    } else if is_empty && others.is_empty() {
        page.nothing("no tool changed a file");
    }
    if !others.is_empty() {
        let others = others.iter().map(|name| sanitize::line(name)).collect::<Vec<_>>().join(", ");
        page.nothing(format!("what programs and MCP tools change is not recorded as diffs, and such ran: {others}"));
    }
}

/// Returns the tools that ran and may have changed files without a record of how: programs, and tools of MCP servers.
fn unrecorded<'a>(tools: &[&'a ToolDetail]) -> BTreeSet<&'a str> {
    let may_have = |tool: &&&ToolDetail| {
        tool.writes && !changes_files(&tool.tool) && tool.fault != Some(ToolFault::NotAllowed) && tool.reused_from.is_none()
    };
    tools.iter().filter(may_have).map(|tool| tool.tool.as_str()).collect()
}

/// Shows what each tool of a call was asked and what the model was told.
pub fn told(page: &mut Page, call: &CallDetail) {
    for tool in &call.tools {
        page.line(0, "");
        page.line(0, styled(FAINT, format!("Tool {}:", sanitize::line(&tool.tool))));
        page.text(tool.arguments.as_deref().unwrap_or("(arguments not kept)"));
        match &tool.result {
            Some(result) => page.text(result),
            None if tool.ok.is_none() => page.nothing("it has no result yet"),
            None => page.nothing("the result is not kept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tool::RUN_COMMAND;

    #[test]
    fn what_is_changed_without_a_record_is_said_to_be() {
        let tool = |name: &str, writes: bool, fault| ToolDetail { tool: name.to_owned(), writes, fault, ..ToolDetail::default() };
        let tools = [
            tool("mcp__files__write", true, None),
            tool("mcp__files__read", false, None),
            tool("run_command", true, Some(ToolFault::Failed)),
            tool("mcp__files__move", true, Some(ToolFault::NotAllowed)),
            tool("apply_patch", true, None),
        ];
        let tools: Vec<&ToolDetail> = tools.iter().collect();
        assert_eq!(unrecorded(&tools).into_iter().collect::<Vec<_>>(), ["mcp__files__write", "run_command"]);
        let mut run = RunDetail::fold(crate::views::sample::story().iter(), &crate::views::sample::inline);
        let shown = |run: &RunDetail| {
            let mut page = Page::new(None);
            diffs(&mut page, run, None);
            page.finish()
        };
        assert!(shown(&run).contains("no tool changed a file"), "{}", shown(&run));
        let call = run.agents.iter_mut().flat_map(|agent| &mut agent.attempts).flat_map(|attempt| &mut attempt.calls).next();
        call.unwrap().tools.push(tools[0].clone());
        let page = shown(&run);
        assert!(page.contains("mcp__files__write") && !page.contains("no tool changed a file"), "{page}");
    }

    #[test]
    fn a_program_is_shown_with_how_it_ended() {
        let shown = |exit_code, ended_by_signal| {
            let (ok, latency_ms, arguments) = (Some(true), Some(1_500), Some("{\"program\":\"cargo\"}".to_owned()));
            let tool = RUN_COMMAND.to_owned();
            let tool = ToolDetail { tool, ok, latency_ms, arguments, exit_code, ended_by_signal, ..ToolDetail::default() };
            anstream::adapter::strip_str(&line(&tool)).to_string()
        };
        assert_eq!(shown(Some(101), false), "run_command {\"program\":\"cargo\"}  1.5 s, exit code 101");
        assert_eq!(shown(None, true), "run_command {\"program\":\"cargo\"}  1.5 s, ended by a signal");
        assert_eq!(shown(Some(0), false), "run_command {\"program\":\"cargo\"}  1.5 s");
    }
}
