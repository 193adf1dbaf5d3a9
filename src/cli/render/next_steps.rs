//! What to do after a run, as lines of a shell: how it goes on, and how to look closer.

use crate::cli::output::sanitize;
use crate::domain::event::FailureReason;
use crate::domain::money::NanoUsd;
use crate::views::run_detail::{RunDetail, ToolDetail};
use crate::views::status::RunStatus;
use crate::workspace::MoneyStop;

/// How commands are typed that go on with a run.
#[derive(Clone, Copy, Debug)]
pub struct GoOn<'a> {
    /// The run's id as people type it.
    pub run: &'a str,
    /// Its agents may change files, and would not any more unless the command line says so.
    pub allow_write: bool,
}

impl GoOn<'_> {
    /// Returns the command that resumes the run, with more options.
    pub fn resume(&self, options: &str) -> String {
        format!("meno resume {}{options}{}", sanitize::line(self.run), self.leave())
    }

    /// Returns the command that says whether a tool had finished.
    pub fn resolve(&self, tool: u32, answer: &str) -> String {
        format!("meno resolve {} --tool {tool} {answer}{}", sanitize::line(self.run), self.leave())
    }

    fn leave(&self) -> &'static str {
        if self.allow_write { " --allow-write" } else { "" }
    }
}

/// Says what can be done now.
pub fn lines(run: &RunDetail, on: GoOn<'_>, stop: &MoneyStop) -> Vec<String> {
    let short = sanitize::line(on.run);
    let mut lines = Vec::new();
    match run.status {
        RunStatus::AwaitingInput | RunStatus::Suspended | RunStatus::Interrupted => {
            let waits = run.approvals.iter().any(|approval| approval.granted.is_none());
            let open = open_tools(run);
            lines.extend(open.iter().map(|tool| tool_question(tool, on)));
            if open.is_empty() {
                lines.push(match waits {
                    true => format!("go on with {}", answers_to_approval(on)),
                    false => format!("go on with `{}`", on.resume("")),
                });
            }
        }
        RunStatus::Failed if lacks_leave(run) => {
            lines.push(format!("repeat it with leave to change files: `meno rerun {short} --allow-write`"));
        }
        RunStatus::Failed => lines.extend(again(on, stop)),
        RunStatus::Running | RunStatus::Succeeded | RunStatus::Cancelled => {}
    }
    if has_changes(run) {
        lines.push(format!("changes: `meno show-run {short} --diff`, taken back with `meno undo {short}`"));
    }
    lines.push(format!("outputs: `meno show-run {short} --outputs`"));
    lines.push(format!("details: `meno show-run {short}`"));
    lines
}

/// Returns whether agents failed because they may not change files, and for no other reason: a run keeps what it began with.
fn lacks_leave(run: &RunDetail) -> bool {
    let mut failures = run.agents.iter().filter_map(|agent| agent.failure.as_ref()).map(|failure| failure.reason).peekable();
    failures.peek().is_some() && failures.all(|reason| reason == FailureReason::NotAllowed)
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
pub fn tool_question(tool: &ToolDetail, on: GoOn<'_>) -> String {
    let (name, number) = (sanitize::line(&tool.tool), tool.number);
    let [done, not_done, unknown] = ["done", "not-done", "unknown"].map(|answer| on.resolve(number, answer));
    format!("had tool {number} ({name}) finished when meno stopped? look, then `{done}`, `{not_done}` or `{unknown}`")
}

/// The two lines that answer the question whether an agent may go to a more expensive tier.
pub fn answers_to_approval(on: GoOn<'_>) -> String {
    format!("`{}` or `{}`", on.resume(" --approve"), on.resume(" --deny"))
}

/// How a run that failed starts again; with limits under which that can do something.
fn again(on: GoOn<'_>, stop: &MoneyStop) -> Vec<String> {
    let mut resume = " --retry-failed".to_owned();
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
    let resume = on.resume(&resume);
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
        let on = GoOn { run: "W5X7", allow_write: false };
        insta::assert_snapshot!(again(on, &stop).join("\n"), @r"
        the day's budget is used up: wait until midnight UTC, or raise it with `meno config budget.per_day_usd=2.00`
        go on with a larger budget (what is left costs at most $1.23): `meno resume W5X7 --retry-failed --budget 1.26 --budget 'it'\''s[a]=0.04'`
        ");
        assert_eq!(again(on, &MoneyStop::default()), ["try again with `meno resume W5X7 --retry-failed`"]);
    }

    #[test]
    fn a_run_that_might_write_goes_on_with_leave_to_write() {
        use crate::domain::event::SuspendReason;
        use crate::views::sample::{self, inline};
        let on = GoOn { run: "W5X7", allow_write: true };
        assert_eq!(again(on, &MoneyStop::default()), ["try again with `meno resume W5X7 --retry-failed --allow-write`"]);
        assert_eq!(
            answers_to_approval(on),
            "`meno resume W5X7 --approve --allow-write` or `meno resume W5X7 --deny --allow-write`"
        );
        assert_eq!(on.resolve(3, "not-done"), "meno resolve W5X7 --tool 3 not-done --allow-write");
        let events = sample::stream([
            sample::started(),
            sample::planned(0, "linter", None),
            sample::suspended(SuspendReason::Interrupted),
        ]);
        let said = lines(&RunDetail::fold(events.iter(), &inline), on, &MoneyStop::default()).join("\n");
        assert!(said.contains("go on with `meno resume W5X7 --allow-write`"), "{said}");
    }
}
