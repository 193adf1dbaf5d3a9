//! One text of a run, whole and as plain text: what a page shows the beginning of.

use crate::cli::error::{CliError, Result};
use crate::cli::output::sanitize;
use crate::ui::{Answer, Request, Ui, waterfall};
use crate::views::run_detail::RunDetail;

/// Answers with the text that `of` and `part` name.
///
/// # Errors
/// When the run has no such text, or the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let id = ui.workspace.runs().find_run(request.part("run"))?;
    let at = request.read("at", |text| text.parse::<u64>().ok(), "a position in the log")?;
    let key = request.query.get("of").unwrap_or_default();
    let story = super::story(ui, id, at, None, &|body| waterfall::is_about(key, body))?;
    let detail = story.detail.masked();
    let text = find(&detail, key, request.query.get("part").unwrap_or_default());
    let text = text.ok_or_else(|| {
        CliError::not_found("the run has no such text, or it is not retained")
            .hint("go back to the run's page and choose a bar of its waterfall")
    })?;
    Ok(Answer::Text(sanitize::text(text).into_owned()))
}

fn find<'a>(detail: &'a RunDetail, key: &str, part: &str) -> Option<&'a str> {
    if key == "report" {
        return detail.report.as_deref();
    }
    let mut attempts = detail.agents.iter().flat_map(|agent| agent.attempts.iter().map(move |attempt| (agent, attempt)));
    if part == "output" || part == "task" {
        let named = |number, attempt| format!("a{number}.{attempt}") == key;
        let (_, attempt) = attempts.find(|(agent, attempt)| named(agent.number, attempt.attempt))?;
        return if part == "task" { attempt.task.as_deref() } else { attempt.output.as_deref() };
    }
    let (number, tool) = key.get(1..)?.split_once('.').unwrap_or((key.get(1..)?, "0"));
    let (number, tool): (u32, u32) = number.parse().ok().zip(tool.parse().ok())?;
    let call = attempts.flat_map(|(_, attempt)| &attempt.calls).find(|call| call.call == number)?;
    let tool = || call.tools.iter().find(|known| known.tool_call == tool);
    let prompt = call.prompt.as_ref();
    match part {
        "said" => call.said.as_deref(),
        "system" => prompt?.system.as_deref(),
        "user" => prompt?.user.as_deref(),
        "transcript" => prompt?.transcript.as_deref(),
        "arguments" => tool()?.arguments.as_deref(),
        "result" => tool()?.result.as_deref(),
        _ => None,
    }
}
