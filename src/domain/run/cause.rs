//! Which event follows from which: what Meno decided points at the event that led to it.
//!
//! What a person, a file or a process brought in has no cause. Everything else follows from the last thing that happened to the agent,
//! the call or the run that it is about. The rules are few, so that whoever writes and whoever checks come to the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::event::{Event, JudgedBy};
use crate::domain::ids::{AgentNo, CallNo};

/// The events of a run so far that later ones may follow from. `P` says where an event stands.
#[derive(Clone, Debug)]
pub struct Causes<P> {
    fork: Option<P>,
    form: Option<P>,
    /// The last thing that happened to each agent.
    agents: BTreeMap<AgentNo, P>,
    /// What the verdicts on an agent's attempt rest on: its last reply, or what was seen after it.
    grounds: BTreeMap<AgentNo, P>,
    /// Who waits for an agent.
    waiting: BTreeMap<AgentNo, Vec<AgentNo>>,
    /// Each call's agent, its start, and the last event that said what it used.
    calls: BTreeMap<CallNo, (AgentNo, P, Option<P>)>,
    /// Where each tool call that has started and not ended began.
    tools: BTreeMap<(CallNo, u32), P>,
    /// Agents that failed or were skipped.
    given_up: BTreeSet<AgentNo>,
    failure: Option<P>,
    last_end: Option<P>,
    cancel: Option<P>,
    report: Option<P>,
}

impl<P> Default for Causes<P> {
    fn default() -> Self {
        Self {
            fork: None,
            form: None,
            agents: BTreeMap::new(),
            grounds: BTreeMap::new(),
            waiting: BTreeMap::new(),
            calls: BTreeMap::new(),
            tools: BTreeMap::new(),
            given_up: BTreeSet::new(),
            failure: None,
            last_end: None,
            cancel: None,
            report: None,
        }
    }
}

impl<P: Copy> Causes<P> {
    /// Returns where the event stands from which the next event, `event`, follows.
    pub fn of(&self, event: &Event) -> Option<P> {
        let agent = |agent: AgentNo| self.agents.get(&agent).copied();
        let call = |call: CallNo| self.calls.get(&call).map(|(_, start, _)| *start);
        match event {
            Event::RunStarted(_) => self.fork,
            Event::AgentPlanned(_) | Event::RuleSkipped(_) => self.form,
            Event::StartTierChosen(body) => agent(body.agent),
            Event::AttemptInherited(body) => agent(body.agent),
            Event::AttemptStarted(body) => agent(body.agent),
            Event::CallStarted(body) => agent(body.agent),
            Event::ProviderSwitched(body) => agent(body.agent),
            Event::FactObserved(body) => agent(body.agent),
            Event::AttemptEnded(body) => agent(body.agent),
            Event::TierEscalated(body) => agent(body.agent),
            Event::ApprovalAsked(body) => agent(body.agent),
            Event::ApprovalGiven(body) => agent(body.agent),
            Event::AgentSucceeded(body) => agent(body.agent),
            Event::AgentFailed(body) => agent(body.agent),
            Event::AgentSkipped(body) => self.cancel.or(self.failure).or_else(|| agent(body.agent)),
            Event::RequestRetried(body) => call(body.call),
            Event::CallReplied(body) => call(body.call),
            Event::CallFailed(body) => call(body.call),
            Event::CallCancelled(body) => call(body.call),
            Event::CallLost(body) => call(body.call),
            Event::ToolStarted(body) => self.calls.get(&body.call).and_then(|(_, _, used)| *used),
            Event::ToolEnded(body) => self.tools.get(&(body.call, body.tool_call)).copied(),
            Event::WritePrepared(body) => self.tools.get(&(body.call, body.tool_call)).copied(),
            Event::CostIncurred(body) => self.calls.get(&body.call?).and_then(|(_, _, used)| *used),
            Event::CriterionJudged(body) => match body.by {
                JudgedBy::Model(call) => self.calls.get(&call).and_then(|(_, _, used)| *used),
                JudgedBy::Code | JudgedBy::Nobody => self.grounds.get(&body.agent).copied(),
            },
            Event::ReportComposed(_) => self.last_end,
            Event::RunSucceeded(_) | Event::RunFailed(_) => self.report.or(self.last_end),
            Event::RunCancelled(_) => self.cancel,
            _ => None,
        }
    }

    /// Takes in the next event, which stands at `at`.
    pub fn take(&mut self, at: P, event: &Event) {
        match event {
            Event::RunForked(_) => self.fork = Some(at),
            Event::FormCompleted(_) => self.form = Some(at),
            Event::AgentPlanned(body) => {
                self.agents.insert(body.agent, at);
                body.depends_on.iter().for_each(|needed| self.waiting.entry(*needed).or_default().push(body.agent));
            }
            Event::StartTierChosen(body) => self.happened(body.agent, at),
            Event::AttemptInherited(body) => self.happened(body.agent, at),
            Event::AttemptStarted(body) => self.grounded(body.agent, at),
            Event::CallStarted(body) => {
                self.calls.insert(body.call, (body.agent, at, None));
                self.happened(body.agent, at);
            }
            Event::RequestRetried(body) => drop(self.used(body.call, at)),
            Event::CallReplied(body) => self.call_ended(body.call, at),
            Event::CallFailed(body) => self.call_ended(body.call, at),
            Event::CallCancelled(body) => self.call_ended(body.call, at),
            Event::CallLost(body) => self.call_ended(body.call, at),
            Event::ToolStarted(body) => drop(self.tools.insert((body.call, body.tool_call), at)),
            Event::ToolEnded(body) => {
                self.tools.remove(&(body.call, body.tool_call));
                if let Some((agent, ..)) = self.calls.get(&body.call) {
                    self.happened(*agent, at);
                }
            }
            Event::ProviderSwitched(body) => self.happened(body.agent, at),
            Event::FactObserved(body) => self.grounded(body.agent, at),
            Event::CriterionJudged(body) => self.happened(body.agent, at),
            Event::AttemptEnded(body) => self.happened(body.agent, at),
            Event::TierEscalated(body) => self.happened(body.agent, at),
            Event::ApprovalAsked(body) => self.happened(body.agent, at),
            Event::ApprovalGiven(body) => self.happened(body.agent, at),
            Event::AgentSucceeded(body) => self.agent_ended(body.agent, at),
            Event::AgentFailed(body) => {
                self.failure = Some(at);
                self.given_up.insert(body.agent);
                self.agent_ended(body.agent, at);
            }
            Event::AgentSkipped(body) => {
                self.given_up.insert(body.agent);
                self.agent_ended(body.agent, at);
            }
            Event::RunResumed(body) if body.retry_failed => {
                for agent in std::mem::take(&mut self.given_up) {
                    self.happened(agent, at);
                }
                (self.failure, self.report) = (None, None);
            }
            Event::CancelAsked(_) => self.cancel = Some(at),
            Event::ReportComposed(_) => self.report = Some(at),
            _ => {}
        }
    }

    fn happened(&mut self, agent: AgentNo, at: P) {
        self.agents.insert(agent, at);
    }

    fn grounded(&mut self, agent: AgentNo, at: P) {
        self.grounds.insert(agent, at);
        self.happened(agent, at);
    }

    fn used(&mut self, call: CallNo, at: P) -> Option<AgentNo> {
        let (agent, _, used) = self.calls.get_mut(&call)?;
        *used = Some(at);
        Some(*agent)
    }

    fn call_ended(&mut self, call: CallNo, at: P) {
        if let Some(agent) = self.used(call, at) {
            self.grounded(agent, at);
        }
    }

    /// Whoever waits for an agent may begin because it ended.
    fn agent_ended(&mut self, agent: AgentNo, at: P) {
        self.last_end = Some(at);
        self.happened(agent, at);
        for waiting in self.waiting.get(&agent).into_iter().flatten() {
            self.agents.insert(*waiting, at);
        }
    }
}
