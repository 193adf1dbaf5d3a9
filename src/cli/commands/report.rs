//! `meno report [RUN]`: what a run came to.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::ReportArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::{open, render};
use crate::domain::event::Mode;
use crate::views::status::RunStatus;
use crate::workspace::Access;

/// `report --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "A run's report, as `meno report --json` prints it")]
pub struct ReportDocument {
    /// The run.
    pub run_id: String,
    /// Its template.
    pub template_id: String,
    /// How it stands.
    pub status: RunStatus,
    /// Whether models were real, simulated, or those of another system.
    pub mode: Mode,
    /// The report, Markdown; null when there is none, or it was not retained.
    pub report: Option<String>,
}

/// Prints a run's report.
///
/// # Errors
/// When there is no such run, or it has no report.
pub fn run(context: &mut Context, args: &ReportArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let detail = workspace.runs().detail(workspace.runs().find_run(&args.run.to_string())?)?.masked();
    if context.out.json() {
        let (run_id, template_id) = (detail.run_id, detail.template_id);
        let document = ReportDocument { run_id, template_id, status: detail.status, mode: detail.mode, report: detail.report };
        context.out.document(&document)?;
        return Ok(Exit::Done);
    }
    let Some(text) = &detail.report else {
        let report = CliError::new("report_not_found", Exit::Mendable, format!("run {} has no report", detail.run_id));
        return Err(report.hint(match detail.status {
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => {
                format!("`meno show-run {} --outputs` shows what its agents answered", detail.run_id)
            }
            _ => format!("it is composed at the end; `meno show-run {}` shows how far the run is", detail.run_id),
        }));
    };
    if detail.mode != Mode::Real {
        context.out.say(format!("the run is {}", detail.mode.name()));
    }
    let text = render::report::report(text, context.out.width());
    context.out.verbatim(text)?;
    Ok(Exit::Done)
}
