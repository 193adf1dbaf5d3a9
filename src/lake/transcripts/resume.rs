//! Where an earlier import left a session: folded from the run's own events, so that nothing else has to be remembered.

use std::collections::{BTreeSet, HashMap};

use crate::domain::event::{AttemptOutcome, Event, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo};
use crate::views::imports;
use crate::views::status::RunStatus;
use crate::views::transcripts::Key;

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
    pub replies: HashMap<Key, CallNo>,
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
                if let Some(key) = Key::of_call(body) {
                    self.replies.insert(key, body.call);
                }
            }
            Event::ToolStarted(body) => drop(self.open_tools.insert((body.call, body.tool_call))),
            Event::ToolEnded(body) => drop(self.open_tools.remove(&(body.call, body.tool_call))),
            _ => {}
        }
    }

    fn decided(&mut self, agent: AgentNo) {
        if let Some(agent) = self.agents.get_mut(agent as usize) {
            agent.is_undecided = false;
        }
    }
}
