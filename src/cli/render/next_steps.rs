//! What to do after a run, as lines of a shell: how it goes on, and how to look closer.

use crate::cli::output::sanitize;
use crate::domain::money::NanoUsd;
use crate::views::run_detail::{RunDetail, ToolDetail};
use crate::views::status::RunStatus;
use crate::workspace::MoneyStop;

/// Says what can be done now; `short` is the run's id as people type it.
pub fn lines(run: &RunDetail, short: &str, stop: &MoneyStop) -> Vec<String> {
    let short = sanitize::line(short);
    let mut lines = Vec::new();
    match run.status {
        RunStatus::AwaitingInput | RunStatus::Suspended | RunStatus::Interrupted => {
            let waits = run.approvals.iter().any(|approval| approval.granted.is_none());
            let open = open_tools(run);
            lines.extend(open.iter().map(|tool| tool_question(tool, &short)));
            if open.is_empty() {
                lines.push(match waits {
                    true => format!("go on with {}", answers_to_approval(&short)),
                    false => format!("go on with `meno resume {short}`"),
                });
            }
        }
        RunStatus::Failed => lines.extend(again(&short, stop)),
        RunStatus::Running | RunStatus::Succeeded | RunStatus::Cancelled => {}
    }
    if has_changes(run) {
        lines.push(format!("changes: `meno show-run {short} --diff`, taken back with `meno undo {short}`"));
    }
    lines.push(format!("outputs: `meno show-run {short} --outputs`"));
    lines.push(format!("details: `meno show-run {short}`"));
    lines
}

/// Returns whether tools changed files that are not put back since.
fn has_changes(run: &RunDetail) -> bool {
    let attempts = run.agents.iter().flat_map(|agent| &agent.attempts);
    let mut tools = attempts.flat_map(|attempt| &attempt.calls).flat_map(|call| &call.tools);
    tools.any(|tool| tool.diff.is_some() && tool.undone.len() < tool.files.len())
}

/// Returns the tools of which a person must say whether they had finished when Meno stopped.
pub fn open_tools(run: &RunDetail) -> Vec<&ToolDetail> {
    let attempts = run.agents.iter().flat_map(|agent| &agent.attempts);
    let tools = attempts.flat_map(|attempt| &attempt.calls).flat_map(|call| &call.tools);
    tools.filter(|tool| tool.awaits_resolution).collect()
}

/// Asks whether a tool had finished, with the lines that answer.
pub fn tool_question(tool: &ToolDetail, run: &str) -> String {
    let (name, number) = (sanitize::line(&tool.tool), tool.number);
    let resolve = format!("meno resolve {run} --tool {number}");
    format!(
        "had tool {number} ({name}) finished when meno stopped? look, then `{resolve} done`, \
         `{resolve} not-done` or `{resolve} unknown`"
    )
}

/// The two lines that answer the question whether an agent may go to a more expensive tier.
pub fn answers_to_approval(run: &str) -> String {
    format!("`meno resume {run} --approve` or `meno resume {run} --deny`")
}

/// How a run that failed starts again; with limits under which that can do something.
fn again(short: &str, stop: &MoneyStop) -> Vec<String> {
    let mut resume = format!("meno resume {short} --retry-failed");
    if let Some(budget) = stop.own.budget {
        resume.push_str(&format!(" --budget {}", up_to_cents(budget)));
    }
    for (role, budget) in &stop.own.agents {
        let role = role.replace('\'', "'\\''");
        resume.push_str(&format!(" --budget '{}={}'", sanitize::line(&role), up_to_cents(*budget)));
    }
    if stop.own.unpriced {
        resume.push_str(" --allow-unpriced");
    }
    let is_changed = stop.own.budget.is_some() || !stop.own.agents.is_empty() || stop.own.unpriced;
    let mut lines = Vec::new();
    if let Some(per_day) = stop.per_day {
        let raise = format!("meno config budget.per_day_usd={}", up_to_cents(per_day));
        lines.push(format!("the day's budget is used up: wait until midnight UTC, or raise it with `{raise}`"));
    }
    let worst = format!("what is left costs at most {}", stop.own.wanted);
    lines.push(match is_changed {
        true => format!("go on with a larger budget ({worst}): `{resume}`"),
        false => format!("try again with `{resume}`"),
    });
    lines
}

/// An amount as it is typed, rounded up to a cent.
fn up_to_cents(amount: NanoUsd) -> String {
    const CENT: u64 = NanoUsd::PER_USD / 100;
    let cents = amount.0.div_ceil(CENT);
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Shortage;

    #[test]
    fn what_a_budget_stopped_goes_on_with_one_that_does() {
        let own = Shortage {
            wanted: NanoUsd(1_230_000_001),
            budget: Some(NanoUsd(1_250_000_001)),
            agents: vec![("it's[a]".to_owned(), NanoUsd(40_000_000))],
            unpriced: false,
        };
        let stop = MoneyStop { own, per_day: Some(NanoUsd(2_000_000_000)) };
        insta::assert_snapshot!(again("W5X7", &stop).join("\n"), @r"
        the day's budget is used up: wait until midnight UTC, or raise it with `meno config budget.per_day_usd=2.00`
        go on with a larger budget (what is left costs at most $1.23): `meno resume W5X7 --retry-failed --budget 1.26 --budget 'it'\''s[a]=0.04'`
        ");
        assert_eq!(again("W5X7", &MoneyStop::default()), ["try again with `meno resume W5X7 --retry-failed`"]);
    }
}
