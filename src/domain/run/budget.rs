//! Which limit stopped a run for want of money, and how high it must be for the run to go on.

use super::basis::{Basis, ModelChoice};
use super::decide::{JUDGE_OUTPUT_MAX, tool_tokens};
use super::offer;
use super::prompt::{self, Prompt};
use super::state::{Agent, AgentStatus, Run};
use crate::domain::call::Retry;
use crate::domain::event::{Envelope, Event, FailureReason, Purpose, Recorded, RunResumed, RunResumedPrivate};
use crate::domain::ids::{AgentNo, CallNo, ExecutorId};
use crate::domain::judge;
use crate::domain::money::NanoUsd;
use crate::domain::tier::Tier;
use crate::domain::tokens::estimate_tokens;
use crate::domain::tool::RESULT_BYTES_MAX;

/// What stands around a text that a prompt hands on, in tokens: its heading, its fences, why it was not accepted.
const FRAME_TOKENS: u64 = 256;

/// What a model is told of one tool's result, in tokens, where that is much.
const RESULT_TOKENS: u64 = RESULT_BYTES_MAX as u64 / 3;

/// Limits under which what is left of a run fits, and which do not hold it today.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    /// What is left costs so much in the worst case; zero when nothing was refused for want of money.
    pub wanted: NanoUsd,
    /// The run's budget that would do; `None` when the one that it has does, or it has none.
    pub budget: Option<NanoUsd>,
    /// Budgets of agents that would do, by role, where theirs does not.
    pub agents: Vec<(String, NanoUsd)>,
    /// A model without a price is in the way.
    pub unpriced: bool,
}

/// Returns what a run needs that agents of it gave up for want of money: one attempt of each unfinished agent at each tier that is open
/// to it, judged, at its worst case.
pub fn shortage(run: &Run, basis: &Basis) -> Shortage {
    let gave_up = |agent: &&Agent| matches!(agent.status, AgentStatus::Failed(FailureReason::Budget, _));
    if !run.agents.iter().any(|agent| gave_up(&agent)) {
        return Shortage::default();
    }
    let mut shortage = Shortage::default();
    let again = retried(run);
    for agent in run.agents.iter().filter(|agent| !matches!(agent.status, AgentStatus::Succeeded { .. })) {
        let worst = Worst::of(&again, basis, agent, turns(basis, agent));
        // A judge that cannot be paid ends nothing, so one without a price counts as nothing.
        let Some(wanted) = worst.work.map(|work| work.plus(worst.judging.unwrap_or_default())) else {
            shortage.unpriced = true;
            continue;
        };
        shortage.wanted = shortage.wanted.plus(wanted);
        let needed = spent(run, Some(agent.plan.agent)).plus(wanted);
        if gave_up(&agent) && agent.plan.budget.is_some_and(|budget| budget < needed) {
            shortage.agents.push((agent.label.clone(), needed));
        }
    }
    let needed = spent(run, None).plus(shortage.wanted);
    let budget = run.terms.as_ref().and_then(|terms| terms.budget);
    shortage.budget = budget.filter(|budget| *budget < needed).map(|_| needed);
    shortage.unpriced &= run.terms.as_ref().is_some_and(|terms| !terms.allow_unpriced);
    shortage
}

/// The run as it is when its failed agents start again.
fn retried(run: &Run) -> Run {
    let event = Event::RunResumed(RunResumed {
        executor: run.executor.unwrap_or(ExecutorId::from_bytes([0; 16])),
        retry_failed: true,
        meno_version: String::new(),
        budget: None,
        agent_budgets: Vec::new(),
        allow_unpriced: false,
        private: Some(RunResumedPrivate {}),
    });
    let envelope = Envelope { seq: 0, run: run.id, version: run.version + 1, at: 0, occurred_at: None, cause: None };
    run.clone().evolve(&Recorded { envelope, hash: run.head, event })
}

fn spent(run: &Run, scope: Option<AgentNo>) -> NanoUsd {
    let (settled, open) = run.committed(scope);
    settled.plus(open)
}

/// Returns what the agents cost at most when each goes from its first tier to its last and uses every turn that it has for tools, and how
/// many turns that are; `None` when no agent has tools, or a model has no price.
pub fn most_with_tools(run: &Run, basis: &Basis) -> Option<(NanoUsd, u32)> {
    let has_tools = run.agents.iter().any(|agent| !offer::tools(basis, agent).is_empty());
    let worst = |agent| Worst::of(run, basis, agent, turns(basis, agent)).priced(run, basis, agent);
    let sum = run.agents.iter().map(worst).sum::<Option<NanoUsd>>();
    sum.filter(|_| has_tools).map(|sum| (sum, basis.settings.tools.max_turns))
}

/// Returns what an agent may cost without turns for tools: from one attempt at its first tier with an answer of usual length, to every
/// attempt at every tier at full length; judging included. `None` when a model has no price.
pub fn expected(run: &Run, basis: &Basis, agent: &Agent) -> Option<(NanoUsd, NanoUsd)> {
    /// Share of the allowed output that an answer usually uses.
    const USUAL_SHARE: u64 = 8;
    let first = agent.plan.strategy.tiers().iter().find_map(|tier| Some((*tier, basis.work_models(*tier).into_iter().next()?)));
    let low = first.map_or(Some(NanoUsd(0)), |(tier, choice)| {
        let (input, output) = (input(run, basis, agent), most(basis, &choice) / USUAL_SHARE);
        let work = basis.worst_case(&choice.provider, &choice.model, input, output)?;
        let judging = judging(run, basis, agent, (tier, &choice), output, USUAL_SHARE).or_else(|| unasked(run, basis, agent))?;
        Some(work.plus(judging))
    });
    low.zip(Worst::of(run, basis, agent, 0).priced(run, basis, agent))
}

/// What an agent costs at most from its first tier to its last; `None` where a model has no price.
struct Worst {
    work: Option<NanoUsd>,
    judging: Option<NanoUsd>,
}

impl Worst {
    /// With so many turns for tools in each attempt. What others have not answered yet counts at its full length.
    fn of(run: &Run, basis: &Basis, agent: &Agent, turns: u64) -> Self {
        let upstream = upstream(run, basis, agent);
        let mut input = input(run, basis, agent).saturating_add(upstream);
        let mut worst = Self { work: Some(NanoUsd(0)), judging: Some(NanoUsd(0)) };
        let add = |sum: &mut Option<NanoUsd>, cost: Option<NanoUsd>| *sum = sum.zip(cost).map(|(sum, cost)| sum.plus(cost));
        for tier in agent.plan.strategy.tiers() {
            let Some(choice) = basis.work_models(*tier).into_iter().next() else { continue };
            for _ in 0..agent.plan.max_attempts_per_tier.max(1) {
                let output = most(basis, &choice);
                // Each turn with tools is told all that was before it, and one whole result.
                for turn in 0..=turns {
                    let told = input.saturating_add(turn.saturating_mul(output.saturating_add(RESULT_TOKENS)));
                    add(&mut worst.work, basis.worst_case(&choice.provider, &choice.model, told, output));
                }
                add(&mut worst.judging, judging(run, basis, agent, (*tier, &choice), output.saturating_add(upstream), 1));
                // The next attempt is told what this one answered.
                input = input.saturating_add(output).saturating_add(FRAME_TOKENS);
            }
        }
        worst
    }

    /// The sum; `None` when a model has no price that would be called.
    fn priced(self, run: &Run, basis: &Basis, agent: &Agent) -> Option<NanoUsd> {
        Some(self.work?.plus(self.judging.or_else(|| unasked(run, basis, agent))?))
    }
}

/// The turns for tools that an agent has in each attempt.
fn turns(basis: &Basis, agent: &Agent) -> u64 {
    if offer::tools(basis, agent).is_empty() { 0 } else { u64::from(basis.settings.tools.max_turns) }
}

/// Tokens of the prompt that an agent would have now.
fn input(run: &Run, basis: &Basis, agent: &Agent) -> u64 {
    tokens(&prompt::compose(run, basis, agent.plan.agent, Purpose::Work)) + tool_tokens(&offer::tools(basis, agent))
}

fn tokens(prompt: &Prompt) -> u64 {
    let schema = prompt.schema.as_ref().map_or(0, |schema| estimate_tokens(&schema.schema.to_string()));
    estimate_tokens(&prompt.system) + estimate_tokens(&prompt.user) + schema
}

/// Tokens, at most, of what those whom an agent waits for are still to answer.
fn upstream(run: &Run, basis: &Basis, agent: &Agent) -> u64 {
    let waited_for = agent.plan.depends_on.iter().filter_map(|number| run.agent(*number));
    let longest = |other: &Agent| {
        let choices = other.plan.strategy.tiers().iter().filter_map(|tier| basis.work_models(*tier).into_iter().next());
        choices.map(|choice| most(basis, &choice)).max().unwrap_or(0).saturating_add(FRAME_TOKENS)
    };
    waited_for.filter(|other| !other.status.is_ended()).map(longest).fold(0, u64::saturating_add)
}

fn most(basis: &Basis, choice: &ModelChoice) -> u64 {
    let template = basis.template.defaults.as_ref().and_then(|defaults| defaults.max_output_tokens);
    choice.max_output_tokens.min(template.unwrap_or(u64::MAX))
}

/// What judging an answer of so many tokens costs at most, with a `share` of the room that a judge has; nothing where nobody is to be asked.
fn judging(run: &Run, basis: &Basis, agent: &Agent, by: (Tier, &ModelChoice), output: u64, share: u64) -> Option<NanoUsd> {
    let (tier, judged) = by;
    let judge = basis.judge_models(tier, &judged.model).into_iter().next();
    let Some(judge) = judge.filter(|_| !judge::sentences(&agent.criteria).is_empty()) else { return Some(NanoUsd(0)) };
    let told = tokens(&prompt::compose(run, basis, agent.plan.agent, Purpose::Judge)).saturating_add(output);
    basis.worst_case(&judge.provider, &judge.model, told, most(basis, &judge).min(JUDGE_OUTPUT_MAX) / share)
}

/// A judge without a price costs nothing under a budget, which does not let it be asked.
fn unasked(run: &Run, basis: &Basis, agent: &Agent) -> Option<NanoUsd> {
    let terms = run.terms.as_ref()?;
    let has_budget = terms.budget.or(agent.plan.budget).or(basis.settings.per_day_budget).is_some();
    (has_budget && !terms.allow_unpriced).then_some(NanoUsd(0))
}

/// Tells whether the budgets hold one more try of an open call, after one that failed.
pub fn affords_another_try(run: &Run, basis: &Basis, number: CallNo, failed: &Retry) -> bool {
    let (Some(call), Some(terms)) = (run.calls.get(&number), &run.terms) else { return false };
    let priced = |usage| basis.price(&call.provider, &call.model, &usage).map(|priced| priced.amount);
    let cost = match failed.usage {
        Some(usage) => priced(usage),
        None => call.reserved.filter(|_| failed.class.may_be_charged(failed.status)),
    };
    let budget_of_agent = run.agent(call.agent).and_then(|agent| agent.plan.budget);
    [(terms.budget, None), (budget_of_agent, Some(call.agent))].into_iter().all(|(limit, scope)| {
        let (settled, open) = run.committed(scope);
        limit.is_none_or(|limit| settled.plus(open).plus(cost.unwrap_or_default()) <= limit)
    })
}
