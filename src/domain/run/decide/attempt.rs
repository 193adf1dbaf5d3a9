//! What an answer is worth, and what follows when it does not pass.

use super::call::{elapsed_ms, end_attempt};
use super::{Decision, end};
use crate::domain::call::CallReply;
use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentSkipped, AgentSkippedPrivate, AgentSucceeded, AgentSucceededPrivate, ApprovalAsked,
    ApprovalAskedPrivate, AttemptEnded, AttemptEndedPrivate, AttemptOutcome, CriterionJudged, CriterionJudgedPrivate, Escalate,
    EscalationReason, FailureReason, JudgedBy, Purpose, Signal, SkipReason, TierEscalated, TierEscalatedPrivate, Verdict,
};
use crate::domain::ids::{AgentNo, CallNo};
use crate::domain::judge::{self, DecidedBy, Edition, Facts, Finding, Judged, Scores};
use crate::domain::run::budget::most_at;
use crate::domain::run::observation::Observation;
use crate::domain::run::pending::{Step, next_step};
use crate::domain::run::state::{Agent, Attempt, Call};
use crate::domain::run::{offer, prompt, quotable_files};
use crate::domain::tier::Tier;
use crate::domain::tokens::estimate_tokens;
use crate::domain::tool::changes_files;

/// Judges a work reply as far as code can; the rest waits for a judging model, if one can still matter.
pub(super) fn judge_work(draft: &mut Decision<'_>, call: &Call, reply: &CallReply, seen: &[Observation]) {
    let number = call.agent;
    let schema = prompt::schema_of(&draft.run, draft.basis, number);
    let mut signals = judge::signals(reply, schema.as_ref().map(|schema| &schema.schema), draft.basis.settings.judging);
    // Asked for after the last turn: there is no answer.
    if signals.is_empty() && call.turns_left == Some(0) && !reply.tool_calls.is_empty() {
        signals.push(Signal::ToolTurns);
    }
    judge_answer(draft, number, &reply.text, signals, seen);
}

/// Judges the answer of an open attempt, once the commands that its criteria ask for have ended.
pub(super) fn judge_recorded(draft: &mut Decision<'_>, number: AgentNo) {
    let answer = draft.run.agent(number).and_then(Agent::open_attempt).and_then(|attempt| attempt.output.clone());
    judge_answer(draft, number, answer.as_deref().unwrap_or_default(), Vec::new(), &[]);
}

fn judge_answer(draft: &mut Decision<'_>, number: AgentNo, answer: &str, signals: Vec<Signal>, seen: &[Observation]) {
    let Some(agent) = draft.run.agent(number) else { return };
    let (criteria, strict, threshold) = (agent.criteria.clone(), agent.plan.strict, agent.plan.threshold);
    let facts = facts(draft, number, seen);
    let findings = judge::check(&criteria, answer, &facts);
    let goes_on = signals.is_empty() && !facts.is_ending;
    let is_open = goes_on && judge::needs_judge(&criteria, &findings, strict, threshold);
    // Verdicts wait until every command that may matter has ended.
    if is_open && next_step(&draft.run, agent) == Some(Step::Commands) {
        return;
    }
    let decided = findings.iter().enumerate().filter_map(|(index, finding)| match finding {
        Finding::Judged(judged) => Some((index as u32, judged.clone())),
        Finding::Pending => None,
    });
    let decided: Vec<_> = decided.collect();
    for (index, judged) in decided {
        record(draft, number, index, judged, None);
    }
    let why = if !signals.is_empty() {
        FAILED_ALREADY
    } else if facts.is_ending {
        "not judged: the run is ending"
    } else if !is_open {
        "not judged: it could not change the outcome"
    } else {
        let tier = draft.run.agent(number).map_or(Tier::Premium, |agent| agent.tier);
        let judged = draft.run.calls.values().rev().find(|call| call.agent == number && call.purpose == Purpose::Work);
        let model = judged.map_or("", |call| call.model.as_str());
        if !draft.basis.judge_models(tier, model).is_empty() {
            return;
        }
        "no other model is left to judge"
    };
    conclude(draft, number, answer, &facts, Scores::Nobody(why), None, signals);
}

/// Takes in what a judging model said, and ends the attempt.
pub(super) fn judge_by_model(draft: &mut Decision<'_>, number: AgentNo, call: CallNo, reply: &CallReply, seen: &[Observation]) {
    let Some(agent) = draft.run.agent(number) else { return };
    let scores =
        judge::read_scores(&reply.text, reply.stop, judge::sentences(&agent.criteria).len(), draft.basis.settings.judging);
    let Some(answer) = agent.open_attempt().and_then(|attempt| attempt.output.clone()) else { return };
    let facts = facts(draft, number, seen);
    conclude(draft, number, &answer, &facts, Scores::Given(&scores), Some(call), Vec::new());
}

/// Ends an attempt that has an answer, without the judge that it waited for; `why` says why there is none.
pub(super) fn close(draft: &mut Decision<'_>, number: AgentNo, why: &str) {
    let answer = draft.run.agent(number).and_then(|agent| agent.open_attempt()).and_then(|attempt| attempt.output.clone());
    let facts = facts(draft, number, &[]);
    conclude(draft, number, answer.as_deref().unwrap_or_default(), &facts, Scores::Nobody(why), None, Vec::new());
}

/// Ends an attempt that came to no answer, because of `signal`.
pub(super) fn give_up(draft: &mut Decision<'_>, number: AgentNo, signal: Signal) {
    let facts = facts(draft, number, &[]);
    conclude(draft, number, "", &facts, Scores::Nobody(FAILED_ALREADY), None, vec![signal]);
}

/// Why the criteria of an attempt that failed anyway are not put to a judge.
const FAILED_ALREADY: &str = "not judged: the attempt has failed already";

/// Records the verdicts that are missing, then the attempt's end and what follows from it.
fn conclude(
    draft: &mut Decision<'_>,
    number: AgentNo,
    answer: &str,
    facts: &Facts,
    scores: Scores<'_>,
    call: Option<CallNo>,
    signals: Vec<Signal>,
) {
    let Some(agent) = draft.run.agent(number) else { return };
    let criteria = agent.criteria.clone();
    for (index, judged) in (0u32..).zip(judge::judge(&criteria, answer, facts, scores)) {
        let known = draft.run.agent(number).and_then(|agent| agent.open_attempt()).is_some_and(|a| a.judged.contains_key(&index));
        if !known {
            record(draft, number, index, judged, call);
        }
    }
    let Some(agent) = draft.run.agent(number) else { return };
    let Some(attempt) = agent.open_attempt() else { return };
    let judged: Vec<Judged> = (0..criteria.len() as u32).map(|index| recorded(attempt.judged.get(&index))).collect();
    let verdict = judge::verdict(&criteria, &judged, agent.plan.strict, agent.plan.threshold);
    let passed = verdict.passed && signals.is_empty();
    let (attempt, duration_ms) = (attempt.number, elapsed_ms(attempt.started_at, draft.now));
    let outcome = if passed { AttemptOutcome::Passed } else { AttemptOutcome::FailedCriteria };
    let verified = passed && verdict.verified;
    let private = Some(AttemptEndedPrivate {});
    draft.emit(AttemptEnded { agent: number, attempt, outcome, verified, signals, duration_ms, private });
    if passed {
        draft.emit(AgentSucceeded { agent: number, attempt, verified, private: Some(AgentSucceededPrivate {}) });
        end::settle(draft);
    } else {
        after_failure(draft, number, verdict.failed);
    }
}

fn record(draft: &mut Decision<'_>, number: AgentNo, criterion: u32, judged: Judged, call: Option<CallNo>) {
    let Some(agent) = draft.run.agent(number) else { return };
    let Some(attempt) = agent.open_attempt().map(|attempt| attempt.number) else { return };
    let name = agent.criteria.get(criterion as usize).map_or_else(String::new, judge::name);
    let by = match (judged.by, call) {
        (DecidedBy::Code, _) => JudgedBy::Code,
        (DecidedBy::Model, Some(call)) => JudgedBy::Model(call),
        (DecidedBy::Model, None) | (DecidedBy::Nobody, _) => JudgedBy::Nobody,
    };
    draft.emit(CriterionJudged {
        agent: number,
        attempt,
        criterion,
        verdict: judged.verdict,
        score: judged.score,
        by,
        private: Some(CriterionJudgedPrivate { name, evidence: judged.evidence }),
    });
}

fn recorded(judged: Option<&crate::domain::run::JudgedCriterion>) -> Judged {
    judged.map_or(Judged { verdict: Verdict::Unknown, score: None, evidence: String::new(), by: DecidedBy::Nobody }, |judged| {
        Judged { verdict: judged.verdict, score: judged.score, evidence: judged.evidence.clone(), by: DecidedBy::Code }
    })
}

/// What criteria may ask about: files as they are recorded, or as they were seen just now in runs that record no such thing.
fn facts(draft: &Decision<'_>, number: AgentNo, seen: &[Observation]) -> Facts {
    let recorded = draft.run.agent(number).and_then(Agent::open_attempt).map(|attempt| attempt.files.clone());
    let commands = draft.run.agent(number).and_then(Agent::open_attempt).map(|attempt| attempt.commands.clone());
    let workspace = if draft.basis.records_facts() {
        recorded.unwrap_or_default()
    } else {
        seen.iter().filter_map(Observation::file).map(|(path, fact)| (path.to_owned(), fact)).collect()
    };
    let edition = draft.basis.settings.judging;
    let no_network = !draft.basis.settings.tools.network;
    let input_files = quotable_files(&draft.run, number, edition);
    let is_ending = draft.run.is_doomed() || draft.run.cancel_asked;
    Facts { edition, input_files, workspace, commands: commands.unwrap_or_default(), no_network, is_ending }
}

/// Decides what an agent does after a failed attempt: the same tier again, the next one, a question, or the end.
pub(super) fn after_failure(draft: &mut Decision<'_>, number: AgentNo, failed: Vec<u32>) {
    if draft.run.is_doomed() || draft.run.cancel_asked {
        let because = if draft.run.cancel_asked { SkipReason::Cancelled } else { SkipReason::RunFailed };
        draft.emit(AgentSkipped { agent: number, because, cause: None, private: Some(AgentSkippedPrivate {}) });
        return end::settle(draft);
    }
    let Some(agent) = draft.run.agent(number) else { return };
    let Some(last) = agent.attempts.last() else { return };
    let (attempt, from) = (last.number, agent.tier);
    let reason = reason(&last.signals);
    if reason == EscalationReason::Criteria
        && let Some(message) = lacked_leave(draft, agent, last)
    {
        return fail(draft, number, FailureReason::NotAllowed, message);
    }
    let may_repeat = match reason {
        EscalationReason::Refusal | EscalationReason::ContextOverflow => false,
        EscalationReason::Truncated if has_more_room(draft, agent) => true,
        _ => agent.counted_attempts(from) < agent.plan.max_attempts_per_tier,
    };
    if may_repeat {
        return;
    }
    let next = next_tier(draft, agent, reason);
    let escalate = draft.run.terms.as_ref().map_or(Escalate::Auto, |terms| terms.escalate);
    match (next, escalate) {
        (None, _) if reason == EscalationReason::ContextOverflow => {
            fail(draft, number, FailureReason::Context, "no further tier has a context window that is large enough".to_owned());
        }
        (None, _) => {
            let message = format!("the attempt at the last tier, {from}, {}: {reason}", failed_words(draft));
            fail(draft, number, FailureReason::TiersExhausted, message);
        }
        (Some(to), Escalate::Never) => {
            let message =
                format!("it {} at {from} ({reason}) and {} to {to} is switched off", failed_words(draft), escalating(draft));
            fail(draft, number, FailureReason::NeverEscalate, message);
        }
        (Some(to), Escalate::Ask) => {
            let worst_case = worst_case(draft, number, to);
            let private = Some(ApprovalAskedPrivate {});
            draft.emit(ApprovalAsked { agent: number, attempt, from, to, reason, worst_case, private });
        }
        (Some(to), Escalate::Auto) => {
            draft.emit(TierEscalated {
                agent: number,
                attempt,
                from,
                to,
                reason,
                failed,
                private: Some(TierEscalatedPrivate {}),
            });
        }
    }
}

/// Says that an agent failed for want of leave to change files: it lists tools that do, nothing that it is offered does, and it fails
/// whatever it answers, because of criteria of what lies in the workspace. `None` when another attempt may help.
fn lacked_leave(draft: &Decision<'_>, agent: &Agent, last: &Attempt) -> Option<String> {
    let settings = &draft.basis.settings;
    if !settings.judging.stops_without_leave() || settings.tools.allow_write || offer::may_change_files(draft.basis, agent) {
        return None;
    }
    let tools: Vec<String> = agent.plan.tools.iter().filter(|tool| changes_files(tool)).map(|tool| format!("`{tool}`")).collect();
    let best = (0..).zip(&agent.criteria).map(|(index, criterion)| {
        let judged = recorded(last.judged.get(&index));
        if judge::looks_at_files_alone(criterion) { judged } else { Judged { verdict: Verdict::Pass, ..judged } }
    });
    let best: Vec<Judged> = best.collect();
    if tools.is_empty() || judge::verdict(&agent.criteria, &best, agent.plan.strict, agent.plan.threshold).passed {
        return None;
    }
    Some(format!(
        "it may not use {}, and its criteria ask for a change of files that no further attempt may make: `--allow-write` gives leave",
        tools.join(" and ")
    ))
}

/// How a failed attempt is called in the messages of a run, by the edition that it started under.
pub(super) fn failed_words(draft: &Decision<'_>) -> &'static str {
    if draft.basis.settings.judging >= Edition::Third { "failed" } else { "did not pass" }
}

/// How moving to the next tier is called in the messages of a run, by the edition that it started under.
pub(super) fn escalating(draft: &Decision<'_>) -> &'static str {
    if draft.basis.settings.judging >= Edition::Third { "escalating" } else { "climbing" }
}

pub(super) fn fail(draft: &mut Decision<'_>, agent: AgentNo, reason: FailureReason, message: String) {
    if draft.run.agent(agent).is_some_and(|agent| agent.open_attempt().is_some()) {
        end_attempt(draft, agent, AttemptOutcome::Error, Vec::new());
    }
    draft.emit(AgentFailed { agent, reason, private: Some(AgentFailedPrivate { message }) });
    end::settle(draft);
}

/// Returns the next tier of the strategy; after an overflow only one whose window is larger.
fn next_tier(draft: &Decision<'_>, agent: &Agent, reason: EscalationReason) -> Option<Tier> {
    let mut tiers = agent.plan.strategy.tiers().iter().copied().filter(|tier| *tier > agent.tier);
    if reason != EscalationReason::ContextOverflow {
        return tiers.next();
    }
    let least = if draft.basis.checks_windows() {
        prompt::compose(&draft.run, draft.basis, agent.plan.agent, Purpose::Work).least_tokens()
    } else {
        0
    };
    tiers.find(|tier| is_larger(draft, agent.tier, *tier, least))
}

/// Returns whether a further tier of the agent's strategy may hold a prompt of `least` tokens that its own does not.
pub(super) fn has_larger_window(draft: &Decision<'_>, agent: &Agent, least: u64) -> bool {
    let mut tiers = agent.plan.strategy.tiers().iter().filter(|tier| **tier > agent.tier);
    tiers.any(|tier| is_larger(draft, agent.tier, *tier, least))
}

/// Returns whether the window of `then` is larger than that of `now` and holds `least` tokens; one that is not known may be.
fn is_larger(draft: &Decision<'_>, now: Tier, then: Tier, least: u64) -> bool {
    let window = |tier: Tier| draft.basis.work_models(tier).first().and_then(|choice| choice.context_tokens);
    match (window(now), window(then)) {
        (Some(now), Some(then)) => then > now && then >= least,
        _ => true,
    }
}

/// Returns what the agent may cost at `tier`. Before that was reckoned whole it was one call of its work.
fn worst_case(draft: &Decision<'_>, agent: AgentNo, tier: Tier) -> Option<crate::domain::money::NanoUsd> {
    if draft.basis.settings.judging.prices_climbs() {
        return most_at(&draft.run, draft.basis, draft.run.agent(agent)?, tier);
    }
    let choice = draft.basis.work_models(tier).into_iter().next()?;
    let prompt = prompt::compose(&draft.run, draft.basis, agent, Purpose::Work);
    let input = estimate_tokens(&prompt.system) + estimate_tokens(&prompt.user);
    draft.basis.worst_case(&choice.provider, &choice.model, input, choice.max_output_tokens)
}

/// Returns the output limit at which the agent's last attempt at its tier was cut off.
pub(super) fn truncated_at(agent: &Agent) -> Option<u64> {
    let last = agent.attempts.last()?;
    (last.tier == agent.tier && last.signals.contains(&Signal::Truncated) && last.max_output > 0).then_some(last.max_output)
}

/// An answer that was cut off gets more room once per tier, if the model can give more.
fn has_more_room(draft: &Decision<'_>, agent: &Agent) -> bool {
    let cut = |attempt: &&crate::domain::run::Attempt| attempt.tier == agent.tier && attempt.signals.contains(&Signal::Truncated);
    let times = agent.attempts.iter().skip(agent.retried_from).filter(cut).count();
    let Some(limit) = truncated_at(agent) else { return false };
    let most = draft.basis.work_models(agent.tier).first().and_then(|choice| draft.basis.max_output_of(choice));
    times == 1 && most.is_none_or(|most| most > limit)
}

/// Returns why an attempt with these signals failed; without signals its criteria failed.
fn reason(signals: &[Signal]) -> EscalationReason {
    match signals.first() {
        None | Some(Signal::Configuration) => EscalationReason::Criteria,
        Some(Signal::EmptyAnswer) => EscalationReason::EmptyAnswer,
        Some(Signal::Refusal) => EscalationReason::Refusal,
        Some(Signal::Truncated) => EscalationReason::Truncated,
        Some(Signal::Malformed) => EscalationReason::Malformed,
        Some(Signal::ContextOverflow) => EscalationReason::ContextOverflow,
        Some(Signal::ToolTurns) => EscalationReason::ToolTurns,
        Some(Signal::Unavailable) => EscalationReason::Unavailable,
        Some(Signal::Quota) => EscalationReason::Quota,
    }
}
