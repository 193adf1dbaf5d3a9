//! Which work of a run counts in another one that is forked off it.
//!
//! Work is taken over where it would be asked for in the very same words: same answers as far as they matter to the agent, same
//! material, same outputs of the agents before it, same criteria. So nothing is paid twice, and nothing stands on what has changed.

use super::basis::Basis;
use super::command::{Command, Refusal};
use super::decide::decide;
use super::prompt;
use super::state::{Agent, AgentStatus, Attempt, Run};
use crate::domain::event::{AttemptInherited, AttemptInheritedPrivate, AttemptOutcome, InheritedVerdict, Purpose, Signal};
use crate::domain::ids::{AgentNo, Hash, RunId, TimeNs};
use crate::domain::text::Text;

/// What of the parent's work is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// All of it: agents go on where they were.
    All,
    /// What agents did who succeeded and would be told the same.
    Succeeded,
    /// The same, but for the agents of a role, and those that wait for them.
    AllBut {
        /// The role.
        role: String,
        /// Agents of other roles that failed work anew too; else they count as failed.
        retry_failed: bool,
    },
    /// Nothing.
    Nothing,
}

impl TakeOver {
    /// Returns the agents of `parent` that failed there and count as failed where this is taken over.
    pub fn left_failed<'r>(&self, parent: &'r Run) -> Vec<&'r Agent> {
        let Self::AllBut { role, retry_failed: false } = self else { return Vec::new() };
        // Whoever waits for an agent that works anew works anew.
        let mut anew: Vec<AgentNo> = Vec::new();
        loop {
            let is_anew = |agent: &&Agent| {
                let waits = agent.plan.depends_on.iter().any(|needed| anew.contains(needed));
                !anew.contains(&agent.plan.agent) && (waits || is_of(agent, role))
            };
            let more: Vec<AgentNo> = parent.agents.iter().filter(is_anew).map(|agent| agent.plan.agent).collect();
            if more.is_empty() {
                break;
            }
            anew.extend(more);
        }
        let failed = |agent: &&Agent| matches!(agent.status, AgentStatus::Failed(..)) && !anew.contains(&agent.plan.agent);
        parent.agents.iter().filter(failed).collect()
    }
}

fn is_of(agent: &Agent, role: &str) -> bool {
    agent.plan.role == role || agent.label == role
}

/// Returns the commands by which `child`, whose team is planned, takes over work of `parent`, the run `parent_id`: one for each agent,
/// in the order in which they ended.
///
/// # Errors
/// A [`Refusal`] when the child is not at the point where it can take anything over.
pub fn take_over(
    parent: &Run,
    parent_id: RunId,
    child: &Run,
    basis: &Basis,
    what: &TakeOver,
    now: TimeNs,
) -> Result<Vec<Command>, Refusal> {
    let mut commands = Vec::new();
    if *what == TakeOver::Nothing {
        return Ok(commands);
    }
    let mut child = child.clone();
    for there in what.left_failed(parent) {
        let AgentStatus::Failed(reason, message) = &there.status else { continue };
        let here = child.agents.iter().find(|here| here.label == there.label && here.status == AgentStatus::Waiting);
        let Some(agent) = here.map(|here| here.plan.agent) else { continue };
        let command = Command::LeaveFailed { agent, reason: *reason, message: message.clone() };
        perform(&mut child, basis, command.clone(), now)?;
        commands.push(command);
    }
    // Agents that ended first are upstream of those that ended later.
    let mut agents: Vec<(&Agent, Vec<&Attempt>)> =
        parent.agents.iter().map(|agent| (agent, counting(agent))).filter(|(_, attempts)| !attempts.is_empty()).collect();
    agents.sort_by_key(|(_, attempts)| attempts.last().map(|last| last.ended));
    for (there, attempts) in agents {
        let succeeded = matches!(there.status, AgentStatus::Succeeded { .. });
        let is_wanted = match what {
            TakeOver::All => true,
            TakeOver::Succeeded => succeeded,
            TakeOver::AllBut { role, .. } => succeeded && !is_of(there, role),
            TakeOver::Nothing => false,
        };
        if !is_wanted || !is_asked_for(parent, there, &child, basis) {
            continue;
        }
        let Some(number) = child.agents.iter().find(|here| here.label == there.label).map(|here| here.plan.agent) else {
            continue;
        };
        let attempts = attempts.into_iter().map(|attempt| inherited(parent, parent_id, there, attempt, number));
        let command = Command::Inherit(attempts.collect());
        perform(&mut child, basis, command.clone(), now)?;
        commands.push(command);
    }
    Ok(commands)
}

fn perform(child: &mut Run, basis: &Basis, command: Command, now: TimeNs) -> Result<(), Refusal> {
    *child = decide(std::mem::take(child), basis, command, now)?.1;
    Ok(())
}

/// The attempts of an agent that count: they ended, in its present life, and say something of the agent rather than of a wrong setting.
fn counting(agent: &Agent) -> Vec<&Attempt> {
    let counts = |attempt: &&Attempt| {
        !matches!(attempt.outcome, None | Some(AttemptOutcome::Lost | AttemptOutcome::Cancelled))
            && !attempt.signals.contains(&Signal::Configuration)
    };
    agent.attempts.iter().skip(agent.retried_from).filter(counts).collect()
}

/// Whether the child would ask for the same work in the same words, and judge it by the same criteria.
fn is_asked_for(parent: &Run, there: &Agent, child: &Run, basis: &Basis) -> bool {
    let Some(here) = child.agents.iter().find(|here| here.label == there.label) else { return false };
    let is_free = here.plan.depends_on.iter().all(|needed| child.agent(*needed).is_some_and(|needed| needed.status.is_ended()));
    let same_measure = here.plan.rule == there.plan.rule && here.criteria == there.criteria;
    let same_start = here.attempts.is_empty() && here.status == AgentStatus::Waiting;
    if !is_free || !same_measure || !same_start {
        return false;
    }
    let prompt = prompt::compose(child, basis, here.plan.agent, Purpose::Work);
    first_prompt(parent, there) == Some(hash(&prompt.system, &prompt.user))
}

/// BLAKE3 of what an agent was told at its first attempt.
fn first_prompt(run: &Run, agent: &Agent) -> Option<Hash> {
    let first = agent.attempts.first()?;
    if let Some(inherited) = &first.inherited {
        return inherited.prompt;
    }
    let call = first.calls.iter().filter_map(|call| run.calls.get(call)).find(|call| call.purpose == Purpose::Work)?;
    Some(hash(&call.system, &call.prompt))
}

fn hash(system: &str, user: &str) -> Hash {
    // The length keeps the two apart.
    Hash::of([&(system.len() as u64).to_le_bytes()[..], system.as_bytes(), user.as_bytes()].concat().as_slice())
}

fn inherited(parent: &Run, parent_id: RunId, agent: &Agent, attempt: &Attempt, number: u32) -> AttemptInherited {
    let last = attempt.calls.iter().rev().filter_map(|call| parent.calls.get(call)).find(|call| call.purpose == Purpose::Work);
    let (run, version, provider, model) = match (&attempt.inherited, last) {
        (Some(origin), _) => (origin.run, origin.version, origin.provider.clone(), origin.model.clone()),
        (None, Some(call)) => (parent_id, attempt.ended, call.provider.clone(), call.model.clone()),
        (None, None) => (parent_id, attempt.ended, String::new(), String::new()),
    };
    let verdict = |(criterion, judged): (&u32, &super::state::JudgedCriterion)| InheritedVerdict {
        criterion: *criterion,
        verdict: judged.verdict,
        score: judged.score,
        by: judged.by,
    };
    AttemptInherited {
        agent: number,
        attempt: attempt.number,
        tier: attempt.tier,
        run,
        version,
        provider,
        model,
        max_output: attempt.max_output,
        stop: attempt.stop,
        // Only attempts that ended are taken over.
        outcome: attempt.outcome.unwrap_or(AttemptOutcome::Lost),
        verified: attempt.verified,
        signals: attempt.signals.clone(),
        verdicts: attempt.judged.iter().map(verdict).collect(),
        private: Some(AttemptInheritedPrivate {
            prompt: first_prompt(parent, agent).unwrap_or_default(),
            output: attempt.output.as_ref().map(|output| Text::Inline(output.to_string())),
            criteria: attempt.judged.values().map(|judged| (judged.name.clone(), judged.evidence.clone())).collect(),
        }),
    }
}
