//! What may start at once after something else was decided: it stands in the same batch of events, so that a turn of a conversation
//! waits for the disk twice and not four times.

use std::borrow::Cow;

use crate::domain::event::{Event, Purpose};
use crate::domain::ids::{AgentNo, TimeNs};
use crate::domain::redact::Redactor;
use crate::domain::run::{AgentStatus, Basis, Command, Effect, Refusal, Run, Turn, decide, pending, reusable};

/// Which calls and tools may start.
pub(super) struct Starts<'a> {
    /// What the run decides by.
    pub basis: &'a Basis,
    /// The runs that it was forked from, the nearest first, where what their tools found may be given again.
    pub ancestors: &'a [Run],
    /// What it redacts is found once more.
    pub redactor: &'a Redactor,
    /// Whether calls start too: one by one where each must fit into the budget of a day, which only the owner of the store knows.
    pub calls: bool,
}

impl Starts<'_> {
    /// Returns the events by which calls and tools start in `run`, at most `jobs` agents at work and never beyond its budget, and the
    /// run after them. An agent whose start is refused waits.
    pub(super) fn decide(&self, mut run: Run, now: TimeNs) -> (Vec<Event>, Run) {
        let mut events = Vec::new();
        let mut waiting = Vec::new();
        while let Some((agent, purpose)) = self.next(&run, &waiting) {
            let started = match purpose {
                Some(purpose) => self.start(&run, Command::StartCall { agent, purpose }, now),
                None => self.start_tools(&run, agent, now),
            };
            match started {
                Ok((started, after)) => {
                    events.extend(started);
                    run = after;
                }
                Err(_) => waiting.push(agent),
            }
        }
        (events, run)
    }

    /// Returns the next agent that may go on, with the purpose of its call; `None` there: with the tools that its model asked for.
    pub(super) fn next(&self, run: &Run, waiting: &[AgentNo]) -> Option<(AgentNo, Option<Purpose>)> {
        next_call(run, waiting).filter(|_| self.calls).map(|(agent, purpose)| (agent, Some(purpose))).or_else(|| {
            pending(run).into_iter().find_map(|effect| match effect {
                Effect::StartTools { agent } if !waiting.contains(&agent) => Some((agent, None)),
                _ => None,
            })
        })
    }

    fn start(&self, run: &Run, command: Command, now: TimeNs) -> Result<(Vec<Event>, Run), Refusal> {
        decide(run.clone(), self.basis, command, now)
    }

    /// The tools that an agent's model asked for start, and have ended at once where an ancestor recorded what they find.
    fn start_tools(&self, run: &Run, agent: AgentNo, now: TimeNs) -> Result<(Vec<Event>, Run), Refusal> {
        let (mut events, mut run) = self.start(run, Command::StartTools { agent }, now)?;
        if self.ancestors.is_empty() {
            return Ok((events, run));
        }
        let asked = run.calls.values().filter(|call| call.agent == agent);
        let open = asked.flat_map(|call| call.turn.iter().flat_map(Turn::open).map(|index| (call.number, index as u32)));
        let reuse = open.filter_map(|(call, tool_call)| {
            let of = reusable(&run, self.basis, (call, tool_call), self.ancestors)?;
            // What today's settings redact is found once more.
            let is_clean = matches!(self.redactor.redact_output(&of.result), Cow::Borrowed(_));
            is_clean.then_some(Command::ReuseTool { call, tool_call, of })
        });
        for command in reuse.collect::<Vec<_>>() {
            let ended;
            (ended, run) = self.start(&run, command, now)?;
            events.extend(ended);
        }
        Ok((events, run))
    }
}

/// Returns the next call that may start but for those of the agents that wait: at most `jobs` agents are at work.
pub(super) fn next_call(run: &Run, waiting: &[AgentNo]) -> Option<(AgentNo, Purpose)> {
    let working = run.agents.iter().filter(|agent| agent.status == AgentStatus::Working).count();
    let jobs = usize::from(run.terms.as_ref().map_or(1, |terms| terms.jobs)).max(1);
    pending(run).into_iter().find_map(|effect| match effect {
        Effect::StartCall { agent, purpose } if !waiting.contains(&agent) => {
            let goes_on = run.agent(agent).is_some_and(|agent| agent.status == AgentStatus::Working);
            (goes_on || working < jobs).then_some((agent, purpose))
        }
        _ => None,
    })
}
