//! What is known of a run at work: one row per agent, and the run's cost against its budget. A pure fold.

use std::collections::HashMap;

use textwrap::core::display_width;

use crate::cli::output::{sanitize, words};
use crate::domain::event::{Event, Mode, Purpose, Recorded};
use crate::domain::ids::{AgentNo, CallNo};
use crate::domain::money::NanoUsd;
use crate::domain::tier::Tier;
use crate::views::status::AgentStatus;

/// A run at work, as far as its events are folded.
#[derive(Clone, Debug)]
pub struct ProgressState {
    /// The team, in the order of planning.
    pub agents: Vec<AgentLine>,
    /// What is known of the run's cost.
    pub cost: NanoUsd,
    /// Every call so far has a known cost.
    pub cost_complete: bool,
    /// The run's budget.
    pub budget: Option<NanoUsd>,
    /// Whether money is real.
    pub mode: Mode,
    calls: HashMap<CallNo, AgentNo>,
}

/// One agent's row.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentLine {
    /// The agent's number.
    pub number: AgentNo,
    /// Its role, with its item.
    pub role: String,
    /// Where it stands.
    pub status: AgentStatus,
    /// The tier it is at.
    pub tier: Option<Tier>,
    /// The model that works for it.
    pub model: Option<String>,
    /// Input and output tokens so far.
    pub tokens: u64,
    /// What is known of its cost.
    pub cost: NanoUsd,
    /// Every call of it so far has a known cost.
    pub cost_complete: bool,
    /// What it does, in a word or two.
    pub doing: String,
}

impl Default for ProgressState {
    fn default() -> Self {
        Self { agents: Vec::new(), cost: NanoUsd(0), cost_complete: true, budget: None, mode: Mode::Real, calls: HashMap::new() }
    }
}

impl ProgressState {
    /// Takes in one event; returns the number of the agent whose row changed.
    pub fn apply(&mut self, recorded: &Recorded) -> Option<AgentNo> {
        match &recorded.event {
            Event::RunStarted(body) => {
                self.budget = body.budget;
                self.mode = body.mode;
                None
            }
            Event::AgentPlanned(body) => {
                let item = body.private.as_ref().and_then(|private| private.item.as_ref());
                let role = item.map_or_else(|| body.role.clone(), |item| format!("{}[{item}]", body.role));
                self.agents.push(AgentLine {
                    number: body.agent,
                    role,
                    status: AgentStatus::Pending,
                    tier: None,
                    model: None,
                    tokens: 0,
                    cost: NanoUsd(0),
                    cost_complete: true,
                    doing: "waits".to_owned(),
                });
                Some(body.agent)
            }
            Event::AttemptStarted(body) => self.change(body.agent, |agent| {
                agent.status = AgentStatus::Running;
                agent.tier = Some(body.tier);
                agent.doing = format!("attempt {}", body.attempt);
            }),
            Event::AttemptInherited(body) => self.change(body.agent, |agent| {
                agent.tier = Some(body.tier);
                agent.doing = format!("attempt {} inherited", body.attempt);
            }),
            Event::CallStarted(body) => {
                self.calls.insert(body.call, body.agent);
                self.change(body.agent, |agent| match body.purpose {
                    Purpose::Work => {
                        agent.model = Some(body.model.clone());
                        agent.doing = "thinks".to_owned();
                    }
                    Purpose::Judge => agent.doing = "is judged".to_owned(),
                })
            }
            Event::RequestRetried(body) => self.caller(body.call, |agent| agent.doing = format!("retries: {}", body.class)),
            Event::ToolStarted(body) => self.caller(body.call, |agent| agent.doing = format!("uses {}", body.tool)),
            Event::CallFailed(body) => self.caller(body.call, |agent| agent.doing = body.class.to_string()),
            Event::CallCancelled(body) if body.usage.is_none() => self.unknown(body.call),
            Event::CallLost(body) => self.unknown(body.call),
            Event::CostIncurred(body) => {
                self.cost = self.cost.plus(body.amount.unwrap_or_default());
                self.cost_complete &= body.amount.is_some();
                let tokens = body.usage.map_or(0, |usage| usage.total_input().saturating_add(usage.output));
                self.change(body.agent, |agent| {
                    agent.cost = agent.cost.plus(body.amount.unwrap_or_default());
                    agent.cost_complete &= body.amount.is_some();
                    agent.tokens = agent.tokens.saturating_add(tokens);
                })
            }
            Event::TierEscalated(body) => self.change(body.agent, |agent| {
                agent.tier = Some(body.to);
                agent.doing = format!("escalates: {}", body.reason);
            }),
            Event::ApprovalAsked(body) => self.change(body.agent, |agent| agent.doing = "waits for approval".to_owned()),
            Event::AgentSucceeded(body) => {
                self.end(body.agent, AgentStatus::Succeeded, if body.verified { "verified" } else { "unverified" })
            }
            Event::AgentFailed(body) => self.end(body.agent, AgentStatus::Failed, body.reason.name()),
            Event::AgentSkipped(body) => self.end(body.agent, AgentStatus::Skipped, body.because.name()),
            Event::RunResumed(body) => {
                self.budget = body.budget.or(self.budget);
                if !body.retry_failed {
                    return None;
                }
                let ended = |agent: &&mut AgentLine| matches!(agent.status, AgentStatus::Failed | AgentStatus::Skipped);
                self.agents.iter_mut().filter(ended).for_each(|agent| {
                    agent.status = AgentStatus::Pending;
                    agent.doing = "waits".to_owned();
                });
                None
            }
            _ => None,
        }
    }

    /// Takes in how far a tool of a call is; returns the number of the agent whose row changed.
    pub fn tool(&mut self, call: CallNo, words: &str) -> Option<AgentNo> {
        self.caller(call, |agent| agent.doing = words.to_owned())
    }

    fn end(&mut self, number: AgentNo, status: AgentStatus, doing: &str) -> Option<AgentNo> {
        self.change(number, |agent| {
            agent.status = status;
            agent.doing = doing.to_owned();
        })
    }

    fn unknown(&mut self, call: CallNo) -> Option<AgentNo> {
        self.cost_complete = false;
        self.caller(call, |agent| agent.cost_complete = false)
    }

    fn caller(&mut self, call: CallNo, change: impl FnOnce(&mut AgentLine)) -> Option<AgentNo> {
        let agent = *self.calls.get(&call)?;
        self.change(agent, change)
    }

    fn change(&mut self, number: AgentNo, change: impl FnOnce(&mut AgentLine)) -> Option<AgentNo> {
        let agent = self.agents.iter_mut().find(|agent| agent.number == number)?;
        change(agent);
        Some(number)
    }

    /// Says what the run has cost, against its budget, in at most `room` columns: what does not fit is left out whole.
    pub fn summary(&self, room: usize) -> String {
        let done =
            self.agents.iter().filter(|agent| !matches!(agent.status, AgentStatus::Pending | AgentStatus::Running)).count();
        let (of, all) = (format!("{done} of {}", self.agents.len()), words::plural(self.agents.len() as u64, "agent"));
        let cost = words::cost(self.cost.0, self.cost_complete, self.mode);
        let budget = self.budget.map_or_else(String::new, |budget| format!(" of {budget}"));
        let lines = [
            format!("{done} of {all} done, {cost}{budget}"),
            format!("{of} done, {cost}{budget}"),
            format!("{of} done, {cost}"),
            format!("{of} done"),
        ];
        first_that_fits(lines, room)
    }
}

impl AgentLine {
    /// Says what the agent is at: tier, model, tokens, cost, state, in at most `room` columns: half an amount would be another one, so what
    /// does not fit is left out whole.
    pub fn summary(&self, room: usize) -> String {
        let tier = self.tier.map_or("", Tier::name);
        let model = self.model.as_deref().unwrap_or("");
        let (tokens, cost) = if self.tokens == 0 {
            Default::default()
        } else {
            let cost = words::cost(self.cost.0, self.cost_complete, Mode::Real);
            (format!("{} tok  ", words::count(self.tokens)), format!("{cost}  "))
        };
        let status = match self.status {
            AgentStatus::Pending | AgentStatus::Running => self.doing.clone(),
            ended => format!("{ended} ({})", self.doing),
        };
        let lines = [
            format!("{tier:<8} {model}  {tokens}{cost}{status}"),
            format!("{tier:<8} {tokens}{cost}{status}"),
            format!("{tier:<8} {cost}{status}"),
            format!("{tier:<8} {status}"),
            status.clone(),
        ];
        first_that_fits(lines.map(|line| sanitize::line(&line).into_owned()), room)
    }
}

/// Returns the first of `lines` that fits into `room` columns, or the last.
fn first_that_fits<const N: usize>(lines: [String; N], room: usize) -> String {
    let fits = lines.iter().position(|line| display_width(line) <= room).unwrap_or(N - 1);
    lines.into_iter().nth(fits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample;

    fn play(state: &mut ProgressState, events: &[Recorded]) {
        for recorded in events {
            state.apply(recorded);
        }
    }

    #[test]
    fn rows_follow_the_agents_and_the_run_counts_its_cost_against_the_budget() {
        let mut state = ProgressState::default();
        let story = sample::story();
        play(&mut state, &story[..18]);
        assert_eq!(state.agents[0].summary(80), "capable  sim-small  1,734 tok  $0.00200  thinks");
        assert_eq!(state.agents[1].summary(80), "           waits");
        assert_eq!(state.summary(80), "0 of 2 agents done, $0.00200 simulated of $0.500");
        play(&mut state, &story[18..]);
        assert_eq!(state.agents[0].summary(80), "capable  sim-small  5,202 tok  $0.0125  succeeded (verified)");
        assert_eq!(state.summary(80), "2 of 2 agents done, $0.0155 simulated of $0.500");
        // No amount and no word for its kind is cut in half.
        let whole = |line: String| !line.contains('$') || line.contains("$0.0155 simulated") || line.contains("$0.0125");
        for room in 0..80 {
            let (agent, run) = (state.agents[0].summary(room), state.summary(room));
            assert!(agent.contains("succeeded (verified)") && run.starts_with("2 of 2"), "{room}: {agent}; {run}");
            assert!(whole(agent.clone()) && whole(run.clone()), "{room}: {agent}; {run}");
            assert!(agent.len() <= room.max(20) && run.len() <= room.max(11), "{room}: {agent}; {run}");
        }
    }

    #[test]
    fn a_lost_call_makes_the_cost_a_lower_bound() {
        let mut state = ProgressState::default();
        let events = [sample::planned(0, "linter", None), sample::call_started(1, 0, 1, Purpose::Work), sample::lost(1)];
        play(&mut state, &sample::stream(events));
        assert_eq!(state.summary(80), "0 of 1 agent done, unknown");
    }
}
