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

/// Returns what a run needs that agents of it gave up for want of money: every attempt of each unfinished agent at each tier that is open
/// to it, judged, at its worst case, whatever happens but tries that fail.
pub fn shortage(run: &Run, basis: &Basis) -> Shortage {
    let gave_up = |agent: &&Agent| matches!(agent.status, AgentStatus::Failed(FailureReason::Budget, _));
    if !run.agents.iter().any(|agent| gave_up(&agent)) {
        return Shortage::default();
    }
    let mut shortage = Shortage::default();
    let again = retried(run);
    for agent in run.agents.iter().filter(|agent| !matches!(agent.status, AgentStatus::Succeeded { .. })) {
        // The agent as it starts again: what it was told of its last attempt, and the room that it had, may come again.
        let worst = Worst::of(Case::any(&again, basis, agent));
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
/// many turns that are; `None` when no agent has tools, or a model has no price. See [`expected`] for what is not counted.
pub fn most_with_tools(run: &Run, basis: &Basis) -> Option<(NanoUsd, u32)> {
    let has_tools = run.agents.iter().any(|agent| turns(basis, agent) > 0);
    let worst =
        |agent| Worst::of(Case { turns: turns(basis, agent), ..Case::usual(run, basis, agent) }).priced(run, basis, agent);
    let sum = run.agents.iter().map(worst).sum::<Option<NanoUsd>>();
    sum.filter(|_| has_tools).map(|sum| (sum, basis.settings.tools.max_turns))
}

/// Returns what an agent may cost without turns for tools: from one attempt at its first tier with an answer of usual length, to every
/// attempt at every tier at full length; judging included. `None` when a model has no price. An answer that is cut off is repeated with
/// more room, and a fallback may be dearer than the model that it takes over from: that comes on top.
pub fn expected(run: &Run, basis: &Basis, agent: &Agent) -> Option<(NanoUsd, NanoUsd)> {
    /// Share of the allowed output that an answer usually uses.
    const USUAL_SHARE: u64 = 8;
    let case = Case::usual(run, basis, agent);
    let first = agent.plan.strategy.tiers().iter().find_map(|tier| Some((*tier, basis.work_models(*tier).into_iter().next()?)));
    let low = first.map_or(Some(NanoUsd(0)), |(tier, choice)| {
        let output = most(basis, &choice) / USUAL_SHARE;
        let work = basis.worst_case(&choice.provider, &choice.model, input(run, basis, agent), output)?;
        let judging = case.judging(tier, &choice, output, USUAL_SHARE).or_else(|| unasked(run, basis, agent))?;
        Some(work.plus(judging))
    });
    low.zip(Worst::of(case).priced(run, basis, agent))
}

/// Returns what an agent costs at most at one tier, whatever happens there but tries that fail; `None` when a model has no price.
pub(super) fn most_at(run: &Run, basis: &Basis, agent: &Agent, tier: Tier) -> Option<NanoUsd> {
    Worst::at(Case::any(run, basis, agent), &[tier]).priced(run, basis, agent)
}

/// What is to be reckoned with.
#[derive(Clone, Copy)]
struct Case<'a> {
    run: &'a Run,
    basis: &'a Basis,
    agent: &'a Agent,
    /// Turns for tools in each attempt.
    turns: u64,
    /// Answers are cut off, and fallbacks take over.
    all_goes_wrong: bool,
    /// Tokens, at most, of what those whom the agent waits for are still to answer.
    upstream: u64,
}

impl<'a> Case<'a> {
    /// Without tools, by the first choice of each tier, no answer cut off.
    fn usual(run: &'a Run, basis: &'a Basis, agent: &'a Agent) -> Self {
        Self { run, basis, agent, turns: 0, all_goes_wrong: false, upstream: upstream(run, basis, agent) }
    }

    /// Whatever may happen but tries that fail.
    fn any(run: &'a Run, basis: &'a Basis, agent: &'a Agent) -> Self {
        Self { turns: turns(basis, agent), all_goes_wrong: true, ..Self::usual(run, basis, agent) }
    }

    /// The models that may serve the agent's work at a tier.
    fn choices(&self, tier: Tier) -> Vec<ModelChoice> {
        let mut choices = self.basis.work_models(tier);
        choices.truncate(if self.all_goes_wrong { usize::MAX } else { 1 });
        let is_priced = |choice: &ModelChoice| self.basis.worst_case(&choice.provider, &choice.model, 0, 0).is_some();
        // A fallback that a budget does not let be called costs nothing.
        if forbids_unpriced(self.run, self.basis, self.agent) && choices.first().is_some_and(is_priced) {
            choices.retain(is_priced);
        }
        choices
    }

    /// What the work of one attempt costs at most.
    fn work(&self, choice: &ModelChoice, input: u64, output: u64) -> Option<NanoUsd> {
        // Each turn with tools is told all that was before it, and one whole result.
        let told = |turn: u64| input.saturating_add(turn.saturating_mul(output.saturating_add(RESULT_TOKENS)));
        (0..=self.turns).map(|turn| self.basis.worst_case(&choice.provider, &choice.model, told(turn), output)).sum()
    }

    /// What judging an answer of so many tokens costs at most, with a `share` of the room that a judge has; nothing where nobody is to be
    /// asked.
    fn judging(&self, tier: Tier, judged: &ModelChoice, output: u64, share: u64) -> Option<NanoUsd> {
        let Self { run, basis, agent, .. } = *self;
        let mut judges = basis.judge_models(tier, &judged.model);
        judges.truncate(if self.all_goes_wrong { usize::MAX } else { 1 });
        if judges.is_empty() || judge::sentences(&agent.criteria).is_empty() {
            return Some(NanoUsd(0));
        }
        let told = tokens(&prompt::compose(run, basis, agent.plan.agent, Purpose::Judge)).saturating_add(output);
        let cost = |judge: &ModelChoice| {
            basis.worst_case(&judge.provider, &judge.model, told, most(basis, judge).min(JUDGE_OUTPUT_MAX) / share)
        };
        largest(judges.iter().map(cost))
    }
}

fn largest(mut costs: impl Iterator<Item = Option<NanoUsd>>) -> Option<NanoUsd> {
    costs.try_fold(NanoUsd(0), |most, cost| Some(most.max(cost?)))
}

/// What an agent costs at most; `None` where a model has no price.
struct Worst {
    work: Option<NanoUsd>,
    judging: Option<NanoUsd>,
}

impl Worst {
    /// From its first tier to its last.
    fn of(case: Case<'_>) -> Self {
        Self::at(case, case.agent.plan.strategy.tiers())
    }

    /// At these tiers, one after the other.
    fn at(case: Case<'_>, tiers: &[Tier]) -> Self {
        let Case { run, basis, agent, .. } = case;
        let mut input = input(run, basis, agent).saturating_add(case.upstream);
        let mut worst = Self { work: Some(NanoUsd(0)), judging: Some(NanoUsd(0)) };
        for tier in tiers {
            let choices = case.choices(*tier);
            if choices.is_empty() {
                continue;
            }
            let usual = |choice: &ModelChoice| most(basis, choice);
            let doubled = |choice: &ModelChoice| {
                let whole = basis.max_output_of(choice).unwrap_or(u64::MAX);
                most(basis, choice).saturating_mul(2).min(whole).max(most(basis, choice))
            };
            for _ in 0..agent.plan.max_attempts_per_tier.max(1) {
                input = worst.attempt(&case, *tier, &choices, input, &usual);
            }
            if case.all_goes_wrong {
                // One answer of each tier that is cut off gets more room, besides the attempts that it has.
                input = worst.attempt(&case, *tier, &choices, input, &doubled);
            }
        }
        worst
    }

    /// Adds one attempt; returns the tokens of the next one's prompt, which is told what this one answered.
    fn attempt(
        &mut self,
        case: &Case<'_>,
        tier: Tier,
        choices: &[ModelChoice],
        input: u64,
        output: &dyn Fn(&ModelChoice) -> u64,
    ) -> u64 {
        let add = |sum: &mut Option<NanoUsd>, cost: Option<NanoUsd>| *sum = sum.zip(cost).map(|(sum, cost)| sum.plus(cost));
        add(&mut self.work, largest(choices.iter().map(|choice| case.work(choice, input, output(choice)))));
        let told = |choice: &ModelChoice| output(choice).saturating_add(case.upstream);
        add(&mut self.judging, largest(choices.iter().map(|choice| case.judging(tier, choice, told(choice), 1))));
        let longest = choices.iter().map(output).max().unwrap_or(0);
        input.saturating_add(longest).saturating_add(FRAME_TOKENS)
    }

    /// The sum; `None` when a model has no price that would be called.
    fn priced(self, run: &Run, basis: &Basis, agent: &Agent) -> Option<NanoUsd> {
        Some(self.work?.plus(self.judging.or_else(|| unasked(run, basis, agent))?))
    }
}

/// The turns for tools that an agent has in each attempt. Which tools a server of MCP has is known when it runs.
fn turns(basis: &Basis, agent: &Agent) -> u64 {
    let has_tools = !offer::tools(basis, agent).is_empty() || agent.plan.tools.iter().any(|tool| tool.starts_with("mcp:"));
    if has_tools { u64::from(basis.settings.tools.max_turns) } else { 0 }
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

/// A judge without a price costs nothing under a budget, which does not let it be asked.
fn unasked(run: &Run, basis: &Basis, agent: &Agent) -> Option<NanoUsd> {
    forbids_unpriced(run, basis, agent).then_some(NanoUsd(0))
}

/// Tells whether a budget keeps an agent from models without a price.
pub(super) fn forbids_unpriced(run: &Run, basis: &Basis, agent: &Agent) -> bool {
    let Some(terms) = &run.terms else { return false };
    let has_budget = terms.budget.or(agent.plan.budget).or(basis.settings.per_day_budget).is_some();
    has_budget && !terms.allow_unpriced
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
