//! Which limit stopped a run for want of money, and how high it must be for the run to go on.

use super::basis::{Basis, ModelChoice};
use super::decide::tool_tokens;
use super::offer;
use super::prompt;
use super::state::{Agent, AgentStatus, Run};
use crate::domain::call::Retry;
use crate::domain::event::{Envelope, Event, FailureReason, Purpose, Recorded, RunResumed, RunResumedPrivate};
use crate::domain::ids::{AgentNo, CallNo, ExecutorId};
use crate::domain::money::NanoUsd;
use crate::domain::tier::Tier;
use crate::domain::tokens::estimate_tokens;
use crate::domain::tool::RESULT_BYTES_MAX;

/// What a judge is asked to write, in tokens: a few sentences.
const JUDGE_OUTPUT: u64 = 1024;

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
///
/// Prompts of agents that have not had their turn are estimated from what is known now.
pub fn shortage(run: &Run, basis: &Basis) -> Shortage {
    let gave_up = |agent: &&Agent| matches!(agent.status, AgentStatus::Failed(FailureReason::Budget, _));
    if !run.agents.iter().any(|agent| gave_up(&agent)) {
        return Shortage::default();
    }
    let mut shortage = Shortage::default();
    let again = retried(run);
    for agent in run.agents.iter().filter(|agent| !matches!(agent.status, AgentStatus::Succeeded { .. })) {
        let wanted = match rest_of(&again, basis, agent) {
            Some(wanted) => wanted,
            None => {
                shortage.unpriced = true;
                continue;
            }
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
/// many turns that are; `None` when no agent has tools, or a model has no price. What others will have answered is not known yet and not
/// counted.
pub fn most_with_tools(run: &Run, basis: &Basis) -> Option<(NanoUsd, u32)> {
    let has_tools = run.agents.iter().any(|agent| !offer::tools(basis, agent).is_empty());
    let sum = run.agents.iter().map(|agent| rest_of(run, basis, agent)).sum::<Option<NanoUsd>>();
    sum.filter(|_| has_tools).map(|sum| (sum, basis.settings.tools.max_turns))
}

/// What an agent costs at most from its first tier to its last; `None` when a model of it has no price.
fn rest_of(run: &Run, basis: &Basis, agent: &Agent) -> Option<NanoUsd> {
    let prompt = prompt::compose(run, basis, agent.plan.agent, Purpose::Work);
    let schema = prompt.schema.as_ref().map_or(0, |schema| estimate_tokens(&schema.schema.to_string()));
    let tools = offer::tools(basis, agent);
    let turns = if tools.is_empty() { 0 } else { u64::from(basis.settings.tools.max_turns) };
    let mut input = estimate_tokens(&prompt.system) + estimate_tokens(&prompt.user) + schema + tool_tokens(&tools);
    let mut sum = NanoUsd(0);
    for tier in agent.plan.strategy.tiers() {
        let Some(choice) = basis.work_models(*tier).into_iter().next() else { continue };
        for _ in 0..agent.plan.max_attempts_per_tier.max(1) {
            let output = most(basis, &choice);
            // Each turn with tools is told all that was before it, and one whole result.
            for turn in 0..=turns {
                let told = input.saturating_add(turn.saturating_mul(output.saturating_add(RESULT_TOKENS)));
                sum = sum.plus(basis.worst_case(&choice.provider, &choice.model, told, output)?);
            }
            sum = sum.plus(judging(basis, *tier, &choice.model, input.saturating_add(output)));
            // The next attempt is told what this one answered.
            input = input.saturating_add(output);
        }
    }
    Some(sum)
}

fn most(basis: &Basis, choice: &ModelChoice) -> u64 {
    let template = basis.template.defaults.as_ref().and_then(|defaults| defaults.max_output_tokens);
    choice.max_output_tokens.min(template.unwrap_or(u64::MAX))
}

/// A judge that cannot be paid ends nothing, so one without a price counts as nothing.
fn judging(basis: &Basis, tier: Tier, judged: &str, input: u64) -> NanoUsd {
    let judge = basis.judge_models(tier, judged).into_iter().next();
    judge.and_then(|judge| basis.worst_case(&judge.provider, &judge.model, input, JUDGE_OUTPUT)).unwrap_or_default()
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
