//! The run's report: what a person reads first.

use std::fmt::Write as _;

use super::basis::Basis;
use super::prompt::value_of;
use super::state::{Agent, AgentStatus, Run};
use crate::domain::answers::prose;
use crate::domain::event::{Mode, ReportBy};
use crate::domain::judge::Edition;
use crate::domain::placeholder::{self, Reference};

/// The base agent whose output is the report.
const SYNTHESIZER: &str = "synthesizer";

/// Composes the report; `None` when no agent has an output.
///
/// A synthesizer's output is the report, unless the template has a `report` of its own; without either the outputs of the
/// agents that nobody depends on are joined.
pub(super) fn compose(run: &Run, basis: &Basis) -> Option<(ReportBy, String)> {
    let with_output: Vec<&Agent> = run.agents.iter().filter(|agent| agent.output().is_some()).collect();
    if with_output.is_empty() {
        return None;
    }
    let is_leaf = |agent: &&&Agent| !run.agents.iter().any(|other| other.plan.depends_on.contains(&agent.plan.agent));
    let (by, mut text) = if let Some(report) = &basis.template.report {
        (ReportBy::Template, fill(run, report))
    } else if let Some(agent) = with_output.iter().rev().find(|agent| agent.plan.base == SYNTHESIZER) {
        (ReportBy::Synthesizer(agent.plan.agent), agent.output().map(|text| text.to_string()).unwrap_or_default())
    } else {
        let leaves: Vec<&&Agent> = with_output.iter().filter(is_leaf).collect();
        let mut text = format!("# {}\n", basis.template.name);
        for agent in if leaves.is_empty() { with_output.iter().collect() } else { leaves } {
            let _ = write!(text, "\n## {}\n\n{}\n", agent.label, agent.output().map(|text| text.trim()).unwrap_or_default());
        }
        (ReportBy::Outputs, text)
    };
    for agent in run.agents.iter().filter(|agent| matches!(agent.status, AgentStatus::Failed(..))) {
        if let AgentStatus::Failed(_, message) = &agent.status {
            let _ = write!(text, "\n> Agent `{}` failed: {message}\n", agent.label);
        }
    }
    if run.terms.as_ref().is_some_and(|terms| terms.mode == Mode::Simulated) {
        let notice = if basis.settings.judging < Edition::Third {
            "no model was asked, nothing below is a finding."
        } else {
            "no model was asked. Findings below are lines that simple rules matched."
        };
        text = format!("> Simulated: {notice}\n\n{text}");
    }
    Some((by, text))
}

fn fill(run: &Run, report: &str) -> String {
    placeholder::render(report, |reference| match reference {
        Reference::Answer(id) => value_of(run, id).map(prose).unwrap_or_default(),
        Reference::Output(role) => outputs(run, role),
        Reference::Input(id) => {
            let files = run.inputs.iter().filter(|input| input.id == *id).flat_map(|input| &input.files).count();
            format!("{files} files")
        }
        Reference::Config(_) | Reference::Item => String::new(),
        Reference::Unknown(text) => format!("{{{{{text}}}}}"),
    })
}

/// Returns what the agents of a role said, joined; a note where there is nothing.
fn outputs(run: &Run, role: &str) -> String {
    let agents: Vec<&Agent> = run.agents.iter().filter(|agent| agent.plan.role == role || agent.label == role).collect();
    match agents.as_slice() {
        [] => "(not part of this run)".to_owned(),
        [agent] => text_of(agent),
        many => many.iter().map(|agent| format!("### {}\n\n{}", agent.label, text_of(agent))).collect::<Vec<_>>().join("\n\n"),
    }
}

fn text_of(agent: &Agent) -> String {
    match (agent.output(), &agent.status) {
        (Some(output), _) => output.trim().to_owned(),
        (None, AgentStatus::Failed(_, message)) => format!("(failed: {message})"),
        (None, _) => "(no output)".to_owned(),
    }
}
