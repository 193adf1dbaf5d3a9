//! One plain line per event of note.

use std::collections::HashMap;

use crate::cli::output::{sanitize, time, words};
use crate::domain::event::{
    AttemptOutcome, ChosenBy, CriterionJudged, Event, InputAttached, Mode, Purpose, Recorded, ResolvedBy, SuspendReason, Verdict,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, TimeNs};
use crate::domain::judge;
use crate::domain::money::NanoUsd;
use crate::views::millis_between;

/// What earlier events said that later lines need.
#[derive(Clone, Debug, Default)]
pub struct Names {
    roles: HashMap<AgentNo, String>,
    /// The names of each agent's criteria, as it was planned.
    criteria: HashMap<AgentNo, Vec<String>>,
    callers: HashMap<CallNo, (AgentNo, AttemptNo)>,
    /// Tools that run, by call and number.
    tools: HashMap<(CallNo, u32), String>,
    /// When each call was recorded as started.
    started: HashMap<CallNo, TimeNs>,
    failed: HashMap<(AgentNo, AttemptNo), Vec<(u32, String)>>,
    costs: HashMap<(AgentNo, AttemptNo), (NanoUsd, bool)>,
    mode: Option<Mode>,
}

impl Names {
    /// Returns the agent's role, with its item.
    pub fn role(&self, agent: AgentNo) -> String {
        self.roles.get(&agent).cloned().unwrap_or_else(|| format!("agent-{agent}"))
    }

    /// Returns the name of the criterion that was judged: as recorded, else as it was planned, else its number.
    pub fn criterion(&self, body: &CriterionJudged) -> String {
        let planned = || self.criteria.get(&body.agent)?.get(body.criterion as usize).cloned();
        let recorded = body.private.as_ref().map(|private| private.name.clone());
        recorded.or_else(planned).unwrap_or_else(|| format!("criterion {}", body.criterion))
    }

    /// Returns the role of the agent that made the call.
    pub fn caller(&self, call: CallNo) -> String {
        self.callers.get(&call).map_or_else(|| format!("call {call}"), |(agent, _)| self.role(*agent))
    }

    /// Returns the name of a tool that a call asked for.
    pub fn tool(&self, call: CallNo, tool_call: u32) -> &str {
        self.tools.get(&(call, tool_call)).map_or("a tool", String::as_str)
    }

    /// Returns how long a call took that replied at `at`, in milliseconds: what was measured, or less when its events lie closer
    /// together, as those of a simulated call do that claims the duration of a model.
    pub fn latency_ms(&self, call: CallNo, measured_ms: u64, at: TimeNs) -> u64 {
        let between = self.started.get(&call).map(|started| millis_between(*started, at));
        match between {
            // Nobody measured there: all that is known is when it began and ended.
            Some(between) if self.mode == Some(Mode::Imported) && measured_ms == 0 => between,
            between => between.map_or(measured_ms, |between| between.min(measured_ms)),
        }
    }

    /// Returns an amount in words, with what kind of money it is where it is none that was paid.
    pub fn amount(&self, nusd: Option<u64>) -> String {
        words::cost(nusd.unwrap_or(0), nusd.is_some(), self.mode.unwrap_or(Mode::Real))
    }

    /// What the call's attempt cost is not known any more.
    fn unknown(&mut self, call: CallNo) {
        if let Some(place) = self.callers.get(&call) {
            self.costs.entry(*place).or_insert((NanoUsd(0), true)).1 = false;
        }
    }

    /// Takes in what later lines need.
    pub fn learn(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::RunStarted(body) => self.mode = Some(body.mode),
            Event::AgentPlanned(body) => {
                let item = body.private.as_ref().and_then(|private| private.item.as_ref());
                let role = item.map_or_else(|| body.role.clone(), |item| format!("{}[{item}]", body.role));
                self.roles.insert(body.agent, role);
                let names = body.private.as_ref().map(|private| judge::names(&private.criteria)).unwrap_or_default();
                self.criteria.insert(body.agent, names);
            }
            Event::CallStarted(body) => {
                self.callers.insert(body.call, (body.agent, body.attempt));
                self.started.insert(body.call, recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at));
            }
            Event::ToolStarted(body) => {
                self.tools.insert((body.call, body.tool_call), body.tool.clone());
            }
            Event::CostIncurred(body) => {
                let (known, complete) = self.costs.entry((body.agent, body.attempt)).or_insert((NanoUsd(0), true));
                *known = known.plus(body.amount.unwrap_or_default());
                *complete &= body.amount.is_some();
            }
            Event::CallCancelled(body) if body.usage.is_none() => self.unknown(body.call),
            Event::CallLost(body) => self.unknown(body.call),
            Event::CriterionJudged(body) if body.verdict == Verdict::Fail => {
                let name = self.criterion(body);
                self.failed.entry((body.agent, body.attempt)).or_default().push((body.criterion, name));
            }
            _ => {}
        }
    }
}

/// Says how an attempt ended.
fn ended(outcome: AttemptOutcome, verified: bool) -> &'static str {
    match (outcome, verified) {
        (AttemptOutcome::Passed, false) => "passed, unverified",
        (AttemptOutcome::Passed, true) => "passed",
        (AttemptOutcome::FailedCriteria, _) => "failed",
        (other, _) => other.name(),
    }
}

/// Says in one line what happened, when it is of note. The line is clean for a terminal.
pub fn line(recorded: &Recorded, names: &mut Names) -> Option<String> {
    names.learn(recorded);
    let text = say(recorded, names)?;
    Some(sanitize::line(&text).into_owned())
}

/// Says as [`line()`] does what happened, where the outcome follows, which says why a run failed.
pub fn line_before_outcome(recorded: &Recorded, names: &mut Names) -> Option<String> {
    match &recorded.event {
        Event::RunFailed(body) => Some(format!("run failed, {}", body.reason)),
        _ => line(recorded, names),
    }
}

/// Says what was taken of an input, and what was left out of it.
pub fn attached(body: &InputAttached) -> String {
    let names = body.private.iter().flat_map(|private| private.rules.iter().copied().zip(&private.omissions));
    let names = names.map(|(rule, (name, _))| (rule, name.as_str()));
    words::input(&body.input, (u64::from(body.files), body.bytes), &body.omitted, names)
}

fn say(recorded: &Recorded, names: &Names) -> Option<String> {
    Some(match &recorded.event {
        Event::RunStarted(body) => {
            let run = recorded.envelope.run.map(|run| run.to_string()).unwrap_or_default();
            let money = if body.mode == Mode::Real { String::new() } else { format!(", {}", body.mode) };
            format!("run {run} started: {} {}{money}", body.template_id, body.template_version)
        }
        Event::RunForked(body) => format!("forked from run {} at version {}", body.parent, body.version),
        Event::FormCompleted(body) => {
            let hidden = match body.hidden.len() {
                0 => String::new(),
                some => format!(", {} hidden", words::plural(some as u64, "question")),
            };
            format!("form complete: {}{hidden}", words::plural(u64::from(body.answered), "answer"))
        }
        Event::InputAttached(body) => attached(body),
        Event::AgentPlanned(body) => format!("{}: planned, {}", names.role(body.agent), body.strategy),
        Event::RuleSkipped(body) => {
            let because = body.private.as_ref().map_or_else(String::new, |private| format!(": {}", private.because));
            format!("{}: not needed{because}", body.role)
        }
        Event::StartTierChosen(body) if body.by == ChosenBy::History => {
            let because = body.private.as_ref().map_or_else(String::new, |private| format!(": {}", private.because));
            format!("{}: starts at {}{because}", names.role(body.agent), body.tier)
        }
        Event::AttemptStarted(body) => format!("{}: attempt {} at {}", names.role(body.agent), body.attempt, body.tier),
        Event::CallStarted(body) => {
            let what = if body.purpose == Purpose::Work { "calling" } else { "judged by" };
            format!("{}: {what} {}/{}", names.role(body.agent), body.provider, body.model)
        }
        Event::RequestRetried(body) => {
            let status = body.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            let wait = time::duration(body.waited_ms);
            format!("{}: {}{status}, retrying in {wait}", names.caller(body.call), body.class)
        }
        Event::CallFailed(body) => {
            let status = body.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            let words = body.private.as_ref().map_or_else(String::new, |private| format!(": {}", private.message));
            format!("{}: the call failed: {}{status}{words}", names.caller(body.call), body.class)
        }
        Event::CallLost(body) => format!("{}: a call was lost; what it cost is unknown", names.caller(body.call)),
        Event::ProviderSwitched(body) => {
            let (from, to) = ((&body.from_provider, &body.from_model), (&body.to_provider, &body.to_model));
            format!(
                "{}: {}/{} failed ({}), continuing with {}/{}",
                names.role(body.agent),
                from.0,
                from.1,
                body.class,
                to.0,
                to.1
            )
        }
        Event::ToolStarted(body) => format!("{}: uses {}", names.caller(body.call), body.tool),
        Event::ToolEnded(body) => {
            let (run, ..) = body.reused?;
            format!("{}: got what run {run} recorded; nothing ran", names.caller(body.call))
        }
        Event::WritePrepared(body) => {
            let files = body.private.iter().flat_map(|private| &private.files);
            // Whether it comes to that is not known yet.
            format!("{}: is about to change {}", names.caller(body.call), paths(files.map(|file| file.path.as_str())))
        }
        Event::ToolResolved(body) => {
            let resolution = body.resolution.name().replace('_', " ");
            let by = match body.by {
                ResolvedBy::Person => "as a person said",
                ResolvedBy::Files => "as its files tell",
                ResolvedBy::Effect => "it does no harm again",
            };
            format!("{}: had the tool finished when meno stopped? {resolution}, {by}", names.caller(body.call))
        }
        Event::WriteUndone(body) => {
            let files = body.private.iter().flat_map(|private| &private.paths);
            format!("{}: put back {}", names.caller(body.call), paths(files.map(String::as_str)))
        }
        Event::AttemptEnded(body) => {
            let (known, complete) = names.costs.get(&(body.agent, body.attempt)).copied().unwrap_or((NanoUsd(0), true));
            let cost = words::cost(known.0, complete, names.mode.unwrap_or(Mode::Real));
            let outcome = ended(body.outcome, body.verified);
            let signals: Vec<&str> = body.signals.iter().map(|signal| signal.name()).collect();
            let signals = if signals.is_empty() { String::new() } else { format!(" ({})", signals.join(", ")) };
            let took = time::duration(body.duration_ms);
            format!("{}: attempt {} {outcome}{signals} after {took}, {cost}", names.role(body.agent), body.attempt)
        }
        Event::AttemptInherited(body) => {
            let (role, outcome) = (names.role(body.agent), ended(body.outcome, body.verified));
            format!("{role}: attempt {} at {} {outcome}, inherited from run {}", body.attempt, body.tier, body.run)
        }
        Event::TierEscalated(body) => {
            let failed = names.failed.get(&(body.agent, body.attempt)).map(Vec::as_slice).unwrap_or_default();
            let failed: Vec<&str> =
                failed.iter().filter(|(number, _)| body.failed.contains(number)).map(|(_, name)| name.as_str()).collect();
            let failed = if failed.is_empty() { String::new() } else { format!(": {}", failed.join("; ")) };
            format!("{}: escalates from {} to {}, {}{failed}", names.role(body.agent), body.from, body.to, body.reason)
        }
        Event::ApprovalAsked(body) => {
            let cost = body.worst_case.map_or_else(|| "of unknown cost".to_owned(), |cost| format!("up to {cost} more"));
            format!("{}: asks to escalate from {} to {} ({}), {cost}", names.role(body.agent), body.from, body.to, body.reason)
        }
        Event::ApprovalGiven(body) => {
            format!("{}: the escalation is {}", names.role(body.agent), if body.granted { "allowed" } else { "denied" })
        }
        Event::AgentSucceeded(body) => {
            format!("{}: succeeded{}", names.role(body.agent), if body.verified { "" } else { ", unverified" })
        }
        Event::AgentFailed(body) => {
            let words = body.private.as_ref().map_or_else(String::new, |private| format!(": {}", private.message));
            format!("{}: failed, {}{words}", names.role(body.agent), body.reason)
        }
        Event::AgentSkipped(body) => {
            let cause = body.cause.map_or_else(String::new, |cause| format!(" because of {}", names.role(cause)));
            format!("{}: skipped, {}{cause}", names.role(body.agent), body.because)
        }
        Event::RunSucceeded(body) => format!("run succeeded{}", if body.verified { "" } else { ", unverified" }),
        Event::RunFailed(body) => {
            let words = body.private.as_ref().map_or_else(String::new, |private| format!(": {}", private.message));
            format!("run failed, {}{words}", body.reason)
        }
        Event::RunSuspended(body) => match body.why {
            SuspendReason::Interrupted => "run suspended".to_owned(),
            SuspendReason::Approval => "run waits for an approval".to_owned(),
            SuspendReason::Form => "run waits for answers".to_owned(),
            SuspendReason::Tool => "run waits: had a tool finished when meno stopped?".to_owned(),
            SuspendReason::DayBudget => "run suspended: the day's budget is used up".to_owned(),
        },
        Event::RunResumed(body) => {
            let budget = body.budget.map_or_else(String::new, |budget| format!(", with a budget of {budget}"));
            format!("run goes on{budget}")
        }
        Event::CancelAsked(_) => "cancellation requested".to_owned(),
        Event::RunCancelled(_) => "run cancelled".to_owned(),
        _ => return None,
    })
}

/// Names files in a line of progress: a few, and long names by their ends.
fn paths<'a>(files: impl Iterator<Item = &'a str>) -> String {
    const FILES_MAX: usize = 5;
    const CHARS_MAX: usize = 120;
    let short = |path: &str| match path.char_indices().rev().nth(CHARS_MAX - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &path[at..]),
        _ => path.to_owned(),
    };
    let files: Vec<String> = files.map(short).collect();
    match files.len() {
        0 => "files".to_owned(),
        1..=FILES_MAX => files.join(", "),
        many => format!("{} and {} more", files[..FILES_MAX].join(", "), many - FILES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{RunFailed, RunFailedPrivate, RunFailure, ToolEnded, ToolStarted};
    use crate::views::sample;

    #[test]
    fn a_run_is_told_line_by_line() {
        let mut names = Names::default();
        let told: Vec<String> = sample::story().iter().filter_map(|recorded| line(recorded, &mut names)).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        run 01KAPXZ8T0M3N5Q7R9S1V3W5X7 started: release_prep 1.2.0, simulated
        form complete: 3 answers, 1 question hidden
        linter: planned, progressive
        auditor[src]: planned, progressive
        publisher: not needed: publish_to is PyPI; it has no answer
        linter: attempt 1 at cheap
        linter: calling simulated/sim-small
        linter: rate_limit (HTTP 429), retrying in 2.0 s
        linter: attempt 1 failed after 2.0 s, $0.00200 simulated
        linter: escalates from cheap to capable, criteria: no lint errors
        linter: attempt 2 at capable
        linter: calling simulated/sim-small
        linter: judged by simulated/sim-judge
        linter: attempt 2 passed after 2.0 s, $0.0105 simulated
        linter: succeeded
        auditor[src]: attempt 1 at cheap
        auditor[src]: calling simulated/sim-small
        auditor[src]: attempt 1 passed after 2.0 s, $0.00300 simulated
        auditor[src]: succeeded
        run succeeded
        ");
    }

    #[test]
    fn a_result_that_another_run_recorded_is_not_said_to_have_been_found_again() {
        let started = ToolStarted { call: 1, tool_call: 0, tool: "read_file".to_owned(), writes: false, private: None };
        let ended = ToolEnded {
            call: 1,
            tool_call: 0,
            ok: true,
            latency_ms: 0,
            fault: None,
            bytes: Some(2),
            told_bytes: Some(2),
            repeats: None,
            reused: Some((sample::run_id(), 1, 0)),
            private: None,
        };
        let calling = [sample::planned(0, "reader", None), sample::call_started(1, 0, 1, Purpose::Work)];
        let story = sample::stream(calling.into_iter().chain([started.into(), ended.into()]));
        let mut names = Names::default();
        let told: Vec<String> = story.iter().filter_map(|recorded| line(recorded, &mut names)).collect();
        let parent = sample::run_id();
        let expected = ["reader: uses read_file".to_owned(), format!("reader: got what run {parent} recorded; nothing ran")];
        assert_eq!(told[2..], expected);
    }

    #[test]
    fn why_a_run_failed_is_left_to_the_outcome_where_that_follows() {
        let private = Some(RunFailedPrivate { message: "agent `a` failed: no money".to_owned() });
        let failed = &sample::stream([RunFailed { reason: RunFailure::AgentFailed, private }.into()])[0];
        let reason = RunFailure::AgentFailed;
        assert_eq!(line_before_outcome(failed, &mut Names::default()).unwrap(), format!("run failed, {reason}"));
        let whole = format!("run failed, {reason}: agent `a` failed: no money");
        assert_eq!(line(failed, &mut Names::default()).unwrap(), whole);
    }

    #[test]
    fn files_are_named_shortly() {
        let long = format!("{}/deep/file.rs", "x".repeat(5_000));
        let short = paths([long.as_str(), "a.rs"].into_iter());
        assert!(short.starts_with('…') && short.ends_with("/deep/file.rs, a.rs") && short.chars().count() == 127, "{short}");
        assert_eq!(paths(["ä"; 7].into_iter()), "ä, ä, ä, ä, ä and 2 more");
        assert_eq!(paths(std::iter::empty()), "files");
    }

    #[test]
    fn a_lost_call_is_not_said_to_be_free() {
        let mut names = Names::default();
        let told: Vec<String> = sample::stream([
            sample::planned(0, "linter\u{1b}", None),
            sample::call_started(1, 0, 1, Purpose::Work),
            sample::lost(1),
        ])
        .iter()
        .filter_map(|recorded| line(recorded, &mut names))
        .collect();
        assert_eq!(told.last().unwrap(), "linter␛: a call was lost; what it cost is unknown");
    }
}
