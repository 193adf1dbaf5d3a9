//! Where an earlier import left a session: folded from the run's own events, so that nothing else has to be remembered.

use std::collections::{BTreeSet, HashMap};

use crate::domain::event::{AttemptOutcome, CallStarted, CostIncurred, Event, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::tier::Tier;
use crate::views::imports;
use crate::views::status::RunStatus;
use crate::views::transcripts::{Key, Keyed};

/// An agent as the log knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownAgent {
    /// The subagent's id; `None` for the main thread.
    pub thread: Option<String>,
    /// Its attempts so far.
    pub attempts: AttemptNo,
    /// The one that has no end yet.
    pub open: Option<AttemptNo>,
    /// How its last attempt ended.
    pub last: Option<AttemptOutcome>,
    /// The agent was not said to be done after it.
    pub is_undecided: bool,
}

/// What was counted of a reply, and under what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedCall {
    /// The agent.
    pub agent: AgentNo,
    /// The attempt.
    pub attempt: AttemptNo,
    /// When it began: under this moment it is known in costs.
    pub started_at: TimeNs,
    /// Its place among [`RecordedSession::models`].
    pub model: usize,
    /// The tier that it is counted under; `None` before its cost.
    pub tier: Option<Tier>,
    /// Its tokens; `None` when none are known.
    pub usage: Option<TokenUsage>,
    /// What it cost.
    pub amount: NanoUsd,
    /// Tools that it asked for.
    pub tools: u32,
}

/// A session's run as the log knows it.
#[derive(Clone, Debug, Default)]
pub struct RecordedSession {
    /// Its agents, by number.
    pub agents: Vec<KnownAgent>,
    /// Its calls so far.
    pub calls: CallNo,
    /// Where the run stands; `None` before its first event.
    pub status: Option<RunStatus>,
    /// Its prompts: agent and attempt.
    pub prompts: HashMap<Key, (AgentNo, AttemptNo)>,
    /// Its replies.
    pub replies: Keyed<CallNo>,
    /// What was counted of its calls.
    pub counted: HashMap<CallNo, CountedCall>,
    /// The providers and models of its calls.
    pub models: Vec<(String, String)>,
    /// How it ended last, and when.
    pub ended: Option<(Event, Option<TimeNs>)>,
    /// Tools that have no result yet.
    pub open_tools: BTreeSet<(CallNo, u32)>,
    /// The first session of its family, as it was known when the run began.
    pub family: Option<String>,
    /// Texts of it were forgotten: nothing more is added.
    pub is_forgotten: bool,
}

impl RecordedSession {
    /// Takes in the run's next event.
    pub fn apply(&mut self, recorded: &Recorded) {
        let event = &recorded.event;
        self.status = Some(self.status.unwrap_or(RunStatus::Running).after(event));
        match event {
            Event::RunStarted(body) => {
                self.is_forgotten |= body.private.is_none();
                self.family = imports::family(body);
            }
            Event::AgentPlanned(body) => {
                let thread = body.private.as_ref().and_then(|private| private.item.clone());
                self.agents.push(KnownAgent { thread, ..KnownAgent::default() });
            }
            Event::AttemptStarted(body) => {
                if let Some(agent) = self.agents.get_mut(body.agent as usize) {
                    agent.attempts = body.attempt;
                    agent.open = Some(body.attempt);
                }
                match Key::of_attempt(body) {
                    Some(key) => drop(self.prompts.insert(key, (body.agent, body.attempt))),
                    None => self.is_forgotten |= body.private.is_none(),
                }
            }
            Event::AttemptEnded(body) => {
                if let Some(agent) = self.agents.get_mut(body.agent as usize) {
                    agent.open = None;
                    agent.last = Some(body.outcome);
                    agent.is_undecided = true;
                }
            }
            Event::AgentSucceeded(body) => self.decided(body.agent),
            Event::AgentFailed(body) => self.decided(body.agent),
            Event::AgentSkipped(body) => self.decided(body.agent),
            Event::CallStarted(body) => {
                self.calls = self.calls.max(body.call);
                // Without its key a reply would be taken in again, and its cost with it.
                self.is_forgotten |= body.private.is_none();
            }
            Event::RunSucceeded(_) | Event::RunFailed(_) | Event::RunCancelled(_) => {
                self.ended = Some((event.clone(), recorded.envelope.occurred_at));
            }
            _ => {}
        }
        self.count(event, recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at));
    }

    /// Takes in what an event says of calls, their costs and tools.
    pub fn count(&mut self, event: &Event, at: TimeNs) {
        match event {
            Event::CallStarted(body) => self.call_started(body, at),
            Event::CostIncurred(body) => self.cost_incurred(body),
            Event::ToolStarted(body) => {
                self.open_tools.insert((body.call, body.tool_call));
                if let Some(call) = self.counted.get_mut(&body.call) {
                    call.tools = call.tools.max(body.tool_call.saturating_add(1));
                }
            }
            Event::ToolEnded(body) => drop(self.open_tools.remove(&(body.call, body.tool_call))),
            _ => {}
        }
    }

    fn call_started(&mut self, body: &CallStarted, started_at: TimeNs) {
        if let Some(key) = Key::of_call(body) {
            self.replies.insert(key, body.call);
        }
        let is_same = |known: &(String, String)| known.0 == body.provider && known.1 == body.model;
        let model = self.models.iter().position(is_same).unwrap_or_else(|| {
            self.models.push((body.provider.clone(), body.model.clone()));
            self.models.len() - 1
        });
        let (agent, attempt) = (body.agent, body.attempt);
        let call = CountedCall { agent, attempt, started_at, model, tier: None, usage: None, amount: NanoUsd(0), tools: 0 };
        self.counted.insert(body.call, call);
    }

    fn cost_incurred(&mut self, body: &CostIncurred) {
        let Some(call) = body.call.and_then(|call| self.counted.get_mut(&call)) else { return };
        call.tier = Some(body.tier);
        if let Some(usage) = body.known_usage() {
            call.usage = Some(call.usage.unwrap_or_default().plus(usage));
        }
        call.amount = call.amount.plus(body.amount.unwrap_or_default());
    }

    fn decided(&mut self, agent: AgentNo) {
        if let Some(agent) = self.agents.get_mut(agent as usize) {
            agent.is_undecided = false;
        }
    }
}
