//! Model calls: starting them within the budgets, and what their end means.

use super::{Decision, attempt};
use crate::domain::call::{CallFailure, CallReply, Retry};
use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AttemptEnded, AttemptEndedPrivate, AttemptOutcome, AttemptStarted, AttemptStartedPrivate,
    CallCancelled, CallCancelledPrivate, CallFailed, CallFailedPrivate, CallReplied, CallRepliedPrivate, CallStarted,
    CallStartedPrivate, CostIncurred, CostIncurredPrivate, CostSource, ErrorClass, FactObserved, FailureReason, ProviderSwitched,
    ProviderSwitchedPrivate, Purpose, RequestRetried, RequestRetriedPrivate, Signal,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo};
use crate::domain::judge;
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::run::basis::ModelChoice;
use crate::domain::run::budget::forbids_unpriced;
use crate::domain::run::command::{DayRefusal, Refusal};
use crate::domain::run::observation::{FileLook, Observation};
use crate::domain::run::offer;
use crate::domain::run::pending::{Step, is_ready, next_step};
use crate::domain::run::prompt::{self, Prompt};
use crate::domain::run::state::{AgentStatus, Attempt, Call, CallState, Run};
use crate::domain::text::Text;
use crate::domain::tier::Tier;
use crate::domain::tokens::{estimate_tokens, least_tokens};
use crate::domain::tool::ToolSpec;

const NS_PER_DAY: i64 = 86_400_000_000_000;

/// What a refusal says of a model that no budget can hold. Runs that were refused so are known by it.
pub const NO_PRICE: &str = "has no price";

pub(super) fn start(draft: &mut Decision<'_>, number: AgentNo, purpose: Purpose) -> Result<(), Refusal> {
    draft.must_run()?;
    let agent = draft.agent(number)?;
    let owed = match agent.status {
        AgentStatus::Waiting if is_ready(&draft.run, agent) && !draft.run.is_doomed() => Some(Step::Call(Purpose::Work)),
        AgentStatus::Working => next_step(&draft.run, agent),
        _ => None,
    };
    if owed != Some(Step::Call(purpose)) {
        return Err(Refusal::NotWaiting(number));
    }
    let tier = agent.tier;
    let choice = match choose(draft, number, purpose) {
        Some(choice) => choice,
        None if purpose == Purpose::Judge => {
            attempt::close(draft, number, "no other model is left to judge");
            return Ok(());
        }
        None => return Err(Refusal::TierWithoutModel { role: agent.plan.role.clone(), tier }),
    };
    let tools = if purpose == Purpose::Work { offer::tools(draft.basis, agent) } else { Vec::new() };
    let turns_left = offer::turns_left_now(&draft.run, draft.basis, agent);
    // A conversation that goes on is recorded already: only what comes new is written down.
    let last_turn = agent.open_attempt().filter(|_| purpose == Purpose::Work).and_then(|attempt| last_turn(&draft.run, attempt));
    let max_output = output_limit(draft, number, purpose, &choice);
    let (prompt, estimated_input, transcript) = match last_turn {
        Some(last) => {
            let least = least_next(last);
            let checks = draft.basis.checks_windows() && draft.basis.settings.tools.checks_windows;
            if let Some(window) = choice.context_tokens.filter(|window| checks && least > *window) {
                return refuse_for_window(draft, number, purpose, &choice, least, window);
            }
            let transcript = serde_json::json!({ "goes_on_after_call": last.number }).to_string();
            (Prompt::default(), estimate_next(&draft.run, &choice, last), Some(Text::Inline(transcript)))
        }
        None => {
            let prompt = prompt::compose(&draft.run, draft.basis, number, purpose);
            let least = prompt.least_tokens();
            if let Some(window) = choice.context_tokens.filter(|window| draft.basis.checks_windows() && least > *window) {
                return refuse_for_window(draft, number, purpose, &choice, least, window);
            }
            let estimated = estimate(&draft.run, &choice, &prompt, &tools);
            (prompt, estimated, None)
        }
    };
    let worst = draft.basis.worst_case(&choice.provider, &choice.model, estimated_input, max_output);
    if let Some(shortage) = shortage(draft, number, &choice, worst)? {
        return refuse_for_budget(draft, number, purpose, shortage);
    }
    let attempt = match draft.agent(number)?.open_attempt() {
        Some(open) => open.number,
        None => begin_attempt(draft, number, tier)?,
    };
    let structured =
        prompt.schema.is_some() || (transcript.is_some() && prompt::schema_of(&draft.run, draft.basis, number).is_some());
    let call = draft.run.calls.last_key_value().map_or(1, |(last, _)| last + 1);
    let day = u32::try_from(draft.now.div_euclid(NS_PER_DAY)).unwrap_or_default();
    draft.emit(CallStarted {
        call,
        agent: number,
        attempt,
        purpose,
        provider: choice.provider.clone(),
        model: choice.model.clone(),
        estimated_input,
        max_output,
        reserved: worst,
        day,
        private: Some(CallStartedPrivate {
            system: Text::Inline(prompt.system),
            prompt: Text::Inline(prompt.user),
            transcript,
            parameters: parameters(&choice, structured, &tools, turns_left),
        }),
    });
    Ok(())
}

fn begin_attempt(draft: &mut Decision<'_>, agent: AgentNo, tier: Tier) -> Result<AttemptNo, Refusal> {
    let attempt = draft.agent(agent)?.attempts.last().map_or(1, |last| last.number + 1);
    draft.emit(AttemptStarted { agent, attempt, tier, private: Some(AttemptStartedPrivate { task: None, import_key: None }) });
    Ok(attempt)
}

/// Chooses the model: the first choice of the tier, or the fallback that took over in the open attempt.
fn choose(draft: &Decision<'_>, number: AgentNo, purpose: Purpose) -> Option<ModelChoice> {
    let agent = draft.run.agent(number)?;
    let open = agent.open_attempt();
    let index = open.map_or(0, |attempt| if purpose == Purpose::Work { attempt.work_model } else { attempt.judge_model });
    let tier = open.map_or(agent.tier, |attempt| attempt.tier);
    choices(draft, number, purpose, tier).into_iter().nth(index)
}

/// Returns the models that may serve a call, in the order in which they take over: a fallback that a budget forbids, because it has no
/// price, comes after those that may be called.
fn choices(draft: &Decision<'_>, number: AgentNo, purpose: Purpose, tier: Tier) -> Vec<ModelChoice> {
    let mut models = draft.basis.models(purpose, tier, &judged_model(&draft.run, number));
    let (Some(agent), Some((_, fallbacks))) = (draft.run.agent(number), models.split_first_mut()) else { return models };
    if draft.basis.settings.judging.prefers_priced() && forbids_unpriced(&draft.run, draft.basis, agent) {
        fallbacks.sort_by_key(|model| draft.basis.price(&model.provider, &model.model, &TokenUsage::default()).is_none());
    }
    models
}

/// Returns the model whose work an open attempt would have judged.
fn judged_model(run: &Run, agent: AgentNo) -> String {
    let attempt = run.agent(agent).and_then(|agent| agent.open_attempt());
    let mut calls = attempt.into_iter().flat_map(|attempt| &attempt.calls).filter_map(|call| run.calls.get(call));
    calls.rfind(|call| call.purpose == Purpose::Work).map_or_else(String::new, |call| call.model.clone())
}

/// Output tokens to allow: the settings' and the template's limit, and twice as many after an answer that was cut off.
fn output_limit(draft: &Decision<'_>, number: AgentNo, purpose: Purpose, choice: &ModelChoice) -> u64 {
    let template = draft.basis.template.defaults.as_ref().and_then(|defaults| defaults.max_output_tokens);
    let usual = choice.max_output_tokens.min(template.unwrap_or(u64::MAX));
    if purpose == Purpose::Judge {
        return usual.min(JUDGE_OUTPUT_MAX);
    }
    let Some(agent) = draft.run.agent(number) else { return usual };
    match attempt::truncated_at(agent) {
        Some(limit) => limit.saturating_mul(2).min(draft.basis.max_output_of(choice).unwrap_or(u64::MAX)).max(usual),
        None => usual,
    }
}

/// A judge writes a few sentences; more room would only be reserved for nothing.
pub(in crate::domain::run) const JUDGE_OUTPUT_MAX: u64 = 4096;

/// Returns the last call of an attempt whose reply asked for tools.
fn last_turn<'a>(run: &'a Run, attempt: &'a Attempt) -> Option<&'a Call> {
    run.calls_of(attempt).rfind(|call| call.turn.is_some())
}

/// Estimates the input tokens of a call that goes on with a conversation: all that the last one took in and gave out, and the new
/// results. So an estimate costs as much as the new results are long, not the conversation.
fn estimate_next(run: &Run, choice: &ModelChoice, last: &Call) -> u64 {
    let known = match last.state {
        CallState::Replied { usage, .. } => usage.total_input().max(last.estimated_input) + usage.output,
        _ => last.estimated_input,
    };
    let results = last.turn.iter().flat_map(|turn| &turn.runs).filter_map(|run| run.end.as_ref());
    let results: u64 = results.map(|end| estimate_tokens(&end.result) + TOKENS_PER_RESULT).sum();
    known + (results as f64 * correction(run, choice)).ceil() as u64
}

/// Returns how many input tokens a call has at least that goes on with a conversation: what its provider counted of the last one, and the new
/// results.
fn least_next(last: &Call) -> u64 {
    let known = match last.state {
        CallState::Replied { usage, reported: true } => usage.total_input(),
        _ => 0,
    };
    let results = last.turn.iter().flat_map(|turn| &turn.runs).filter_map(|run| run.end.as_ref());
    known + results.map(|end| least_tokens(&end.result)).sum::<u64>()
}

/// Tokens that a result costs beside its text: its id, its fence, its frame.
const TOKENS_PER_RESULT: u64 = 40;

/// Estimates the input tokens of a prompt, corrected by what the model counted in earlier calls of the run.
///
/// The correction is the mean of counted ÷ estimated over those calls, and never below 1: an estimate guards a budget.
fn estimate(run: &Run, choice: &ModelChoice, prompt: &Prompt, tools: &[ToolSpec]) -> u64 {
    let estimate = estimate_tokens(&prompt.system) + estimate_tokens(&prompt.user) + schema_tokens(prompt);
    ((estimate + tool_tokens(tools)) as f64 * correction(run, choice)).ceil() as u64
}

/// Tools are sent along and counted as input.
pub(in crate::domain::run) fn tool_tokens(tools: &[ToolSpec]) -> u64 {
    tools.iter().map(|tool| estimate_tokens(&tool.description) + estimate_tokens(&tool.parameters.to_string())).sum()
}

fn correction(run: &Run, choice: &ModelChoice) -> f64 {
    let ratios = run.calls.values().filter(|call| call.model == choice.model && call.estimated_input > 0).filter_map(|call| {
        match call.state {
            CallState::Replied { usage, reported: true } => Some(usage.total_input() as f64 / call.estimated_input as f64),
            _ => None,
        }
    });
    let (sum, n) = ratios.fold((0.0, 0u32), |(sum, n), ratio| (sum + ratio, n + 1));
    if n == 0 { 1.0 } else { (sum / f64::from(n)).max(1.0) }
}

/// A schema is sent along and counted as input.
fn schema_tokens(prompt: &Prompt) -> u64 {
    prompt.schema.as_ref().map_or(0, |schema| estimate_tokens(&schema.schema.to_string()))
}

/// Returns why the worst case fits no budget; `None` when it fits.
fn shortage(
    draft: &Decision<'_>,
    number: AgentNo,
    choice: &ModelChoice,
    worst: Option<NanoUsd>,
) -> Result<Option<String>, Refusal> {
    let agent = draft.agent(number)?;
    let terms = draft.run.terms.as_ref().ok_or(Refusal::NotStarted)?;
    let limits = [(terms.budget, None, "run's"), (agent.plan.budget, Some(number), "agent's")];
    let Some(worst) = worst else {
        // The day's budget is the ledger's, which a cost that nobody knows does not reach.
        let settings = &draft.basis.settings;
        let day = settings.per_day_budget.filter(|_| settings.judging.knows_unpaid()).map(|limit| (limit, "day's"));
        let own = limits.into_iter().find_map(|(limit, _, whose)| Some((limit?, whose)));
        return Ok(own.or(day).filter(|_| !terms.allow_unpriced).map(|(limit, whose)| {
            format!(
                "model `{}` {NO_PRICE}, so the {whose} budget of {limit} cannot hold; allow it with --allow-unpriced, or add a price",
                choice.model
            )
        }));
    };
    for (limit, scope, whose) in limits {
        let Some(limit) = limit else { continue };
        let (settled, open) = draft.run.committed(scope);
        if settled.plus(worst) > limit {
            return Ok(Some(format!(
                "the next call ({}) may cost up to {worst}, but {} of the {whose} budget of {limit} is spent",
                choice.model, settled
            )));
        }
        if settled.plus(open).plus(worst) > limit {
            return Err(Refusal::WaitsForBudget);
        }
    }
    Ok(None)
}

/// Does not send a prompt that its model cannot hold. A tier with a larger window takes over where there is one; else the agent fails as
/// it does for every setting that cannot work.
fn refuse_for_window(
    draft: &mut Decision<'_>,
    number: AgentNo,
    purpose: Purpose,
    choice: &ModelChoice,
    least: u64,
    window: u64,
) -> Result<(), Refusal> {
    let model = &choice.model;
    let message = format!("the prompt has at least {least} tokens and the window of `{model}` has {window}: it was not sent");
    if purpose == Purpose::Judge {
        attempt::close(draft, number, &format!("judging it does not fit: {message}"));
        return Ok(());
    }
    let agent = draft.agent(number)?;
    let tier = agent.tier;
    if attempt::has_larger_window(draft, agent, least) {
        if agent.open_attempt().is_none() {
            begin_attempt(draft, number, tier)?;
        }
        // The second signal says that no model failed: it was never asked.
        end_attempt(draft, number, AttemptOutcome::Error, vec![Signal::ContextOverflow, Signal::Configuration]);
        attempt::after_failure(draft, number, Vec::new());
        return Ok(());
    }
    if agent.open_attempt().is_some() {
        end_attempt(draft, number, AttemptOutcome::Error, vec![Signal::ContextOverflow, Signal::Configuration]);
    }
    let private = Some(AgentFailedPrivate { message: format!("{message}; no further tier has a larger window that holds it") });
    draft.emit(AgentFailed { agent: number, reason: FailureReason::Configuration, private });
    super::end::settle(draft);
    Ok(())
}

/// Ends the agent for want of money. What was judged so far stands: a judge that cannot be paid leaves the verdict unknown.
fn refuse_for_budget(draft: &mut Decision<'_>, agent: AgentNo, purpose: Purpose, message: String) -> Result<(), Refusal> {
    draft.must_run()?;
    if purpose == Purpose::Judge {
        attempt::close(draft, agent, &format!("judging it does not fit the budget: {message}"));
        return Ok(());
    }
    if draft.agent(agent)?.open_attempt().is_some() {
        end_attempt(draft, agent, AttemptOutcome::Error, vec![Signal::Unavailable]);
    }
    draft.emit(AgentFailed { agent, reason: FailureReason::Budget, private: Some(AgentFailedPrivate { message }) });
    super::end::settle(draft);
    Ok(())
}

/// Ends the agent for want of the day's money; what the day's budget was is recorded first.
pub(super) fn refuse_for_day(
    draft: &mut Decision<'_>,
    agent: AgentNo,
    purpose: Purpose,
    because: DayRefusal,
) -> Result<(), Refusal> {
    draft.must_run()?;
    let message = match because {
        DayRefusal::Seen(seen) if seen.used.plus(seen.wanted) <= seen.limit => return Err(Refusal::FitsDayBudget),
        DayRefusal::Seen(seen) => {
            let attempt = draft.agent(agent)?.open_attempt().map(|attempt| attempt.number);
            observe(draft, agent, attempt, [Observation::of_day_budget(seen)]);
            seen.to_string()
        }
        DayRefusal::Told(message) => message,
    };
    refuse_for_budget(draft, agent, purpose, message)
}

/// Records what was seen, in runs whose record says what their decisions saw: of files, each that is asked for, once.
fn observe(draft: &mut Decision<'_>, agent: AgentNo, attempt: Option<AttemptNo>, seen: impl IntoIterator<Item = Observation>) {
    if draft.basis.records_facts() {
        for observation in seen {
            let is_settled = match (observation.file(), observation.command()) {
                (Some((path, _)), _) => !is_open_question(draft, agent, path),
                (_, Some((name, _))) => !is_open_command(draft, agent, name),
                (None, None) => false,
            };
            if is_settled {
                continue;
            }
            let Observation { fact, private } = observation;
            draft.emit(FactObserved { agent, attempt, fact, private: Some(private) });
        }
    }
}

/// Records how files were before an agent's tools can change them, so that whoever goes on after a crash knows it still.
fn observe_before(draft: &mut Decision<'_>, number: AgentNo, attempt: AttemptNo, seen: &[Observation]) {
    if !draft.basis.records_facts() {
        return;
    }
    for (path, before) in seen.iter().filter_map(Observation::file_before) {
        let Some(agent) = draft.run.agent(number) else { return };
        if agent.files_before.contains_key(path) || !judge::files_asked(&agent.criteria).contains(&path) {
            continue;
        }
        let Observation { fact, private } = Observation::of_file(path, before, FileLook::UNSEEN);
        draft.emit(FactObserved { agent: number, attempt: Some(attempt), fact, private: Some(private) });
    }
}

/// Returns whether the agent's criteria ask about a file of which the open attempt knows nothing yet.
fn is_open_question(draft: &Decision<'_>, agent: AgentNo, path: &str) -> bool {
    let Some(agent) = draft.run.agent(agent) else { return false };
    let is_known = agent.open_attempt().is_some_and(|attempt| attempt.files.contains_key(path));
    !is_known && judge::files_asked(&agent.criteria).contains(&path)
}

/// Returns whether the agent's criteria ask for a command of which the open attempt knows nothing yet.
fn is_open_command(draft: &Decision<'_>, agent: AgentNo, name: &str) -> bool {
    let Some(agent) = draft.run.agent(agent) else { return false };
    let is_known = agent.open_attempt().is_some_and(|attempt| attempt.commands.contains_key(name));
    !is_known && judge::commands_asked(&agent.criteria).iter().any(|command| command.name() == name)
}

/// Records what became of the commands that an agent's criteria ask for, and judges by it.
pub(super) fn commands_ended(draft: &mut Decision<'_>, number: AgentNo, seen: Vec<Observation>) -> Result<(), Refusal> {
    draft.must_run()?;
    let agent = draft.agent(number)?;
    let step = if agent.status == AgentStatus::Working { next_step(&draft.run, agent) } else { None };
    let attempt = agent.open_attempt().map(|attempt| attempt.number);
    if step != Some(Step::Commands) {
        return Err(Refusal::NotWaiting(number));
    }
    observe(draft, number, attempt, seen.into_iter().filter(|seen| seen.command().is_some()));
    attempt::judge_recorded(draft, number);
    Ok(())
}

fn parameters(choice: &ModelChoice, structured: bool, tools: &[ToolSpec], turns_left: u32) -> String {
    let mut parameters =
        serde_json::json!({ "context_tokens": choice.context_tokens, "effort": choice.effort, "structured": structured });
    offer::write(&mut parameters, tools, turns_left);
    parameters.to_string()
}

fn open_call<'a>(draft: &'a Decision<'_>, number: CallNo) -> Result<&'a Call, Refusal> {
    draft.run.calls.get(&number).filter(|call| call.state == CallState::Open).ok_or(Refusal::CallNotOpen(number))
}

pub(super) fn retried(draft: &mut Decision<'_>, call: CallNo, retry: Retry) -> Result<(), Refusal> {
    let started = open_call(draft, call)?.clone();
    let (usage, may_be_charged) = (retry.usage, retry.class.may_be_charged(retry.status));
    draft.emit(RequestRetried {
        call,
        failed_try: retry.failed_try,
        class: retry.class,
        status: retry.status,
        waited_ms: retry.wait_ms,
        usage: retry.usage,
        private: Some(RequestRetriedPrivate { message: retry.message }),
    });
    // What a failed try is known to have used is paid for, beside what the next one costs.
    cost_of_failure(draft, &started, usage, may_be_charged);
    Ok(())
}

pub(super) fn replied(draft: &mut Decision<'_>, number: CallNo, reply: CallReply, seen: Vec<Observation>) -> Result<(), Refusal> {
    let call = open_call(draft, number)?.clone();
    draft.emit(CallReplied {
        call: number,
        stop: reply.stop,
        usage: reply.usage,
        usage_source: reply.usage_source,
        latency_ms: reply.latency_ms,
        first_token_ms: reply.first_token_ms,
        private: Some(CallRepliedPrivate {
            output: Text::Inline(reply.text.clone()),
            reasoning: reply.reasoning.clone().map(Text::Inline),
            tool_calls: match reply.tool_calls.as_slice() {
                [] => Text::EMPTY,
                asked => Text::Inline(serde_json::json!(asked).to_string()),
            },
            model: reply.model.clone(),
            request_id: reply.request_id.clone(),
            stop_details: reply.stop_details.clone(),
        }),
    });
    let source = match reply.usage_source {
        UsageSource::Reported => CostSource::Computed,
        UsageSource::Estimated => CostSource::Estimated,
    };
    cost(draft, &call, reply.usage, source, reply.reported_cost);
    let asks_for_tools = draft.run.calls.get(&number).is_some_and(|call| call.turn.is_some());
    match call.purpose {
        // Which tools run is the next decision; in a run that is ending none does.
        Purpose::Work if asks_for_tools => {
            observe_before(draft, call.agent, call.attempt, &seen);
            super::end::settle(draft);
        }
        Purpose::Work => {
            let files = seen.iter().filter(|seen| seen.file().is_some());
            observe(draft, call.agent, Some(call.attempt), files.cloned());
            attempt::judge_work(draft, &call, &reply, &seen);
        }
        Purpose::Judge => attempt::judge_by_model(draft, call.agent, number, &reply, &seen),
    }
    Ok(())
}

/// Books what a try cost that failed: by the tokens that it is known to have used, or as not known where its provider may want to be paid.
fn cost_of_failure(draft: &mut Decision<'_>, call: &Call, usage: Option<TokenUsage>, may_be_charged: bool) {
    if usage.is_some() || may_be_charged && draft.basis.settings.judging.knows_unpaid() {
        charge(draft, call, usage, CostSource::Estimated, None);
    }
}

fn cost(draft: &mut Decision<'_>, call: &Call, usage: TokenUsage, source: CostSource, reported: Option<NanoUsd>) {
    charge(draft, call, Some(usage), source, reported);
}

fn charge(draft: &mut Decision<'_>, call: &Call, usage: Option<TokenUsage>, source: CostSource, reported: Option<NanoUsd>) {
    let priced = usage.and_then(|usage| draft.basis.price(&call.provider, &call.model, &usage));
    let tier =
        draft.run.agent(call.agent).and_then(|agent| agent.attempts.iter().find(|a| a.number == call.attempt)).map(|a| a.tier);
    draft.emit(CostIncurred {
        call: Some(call.number),
        agent: call.agent,
        attempt: call.attempt,
        tier: tier.unwrap_or(Tier::Cheap),
        purpose: call.purpose,
        provider: Some(call.provider.clone()),
        model: Some(call.model.clone()),
        amount: priced.as_ref().map(|priced| priced.amount),
        usage,
        unit_prices: priced.as_ref().map(|priced| priced.unit),
        band_above: priced.as_ref().map_or(0, |priced| priced.band_above),
        source,
        reported,
        private: Some(CostIncurredPrivate {}),
    });
}

pub(super) fn failed(draft: &mut Decision<'_>, number: CallNo, failure: CallFailure) -> Result<(), Refusal> {
    let call = open_call(draft, number)?.clone();
    let (class, message) = (failure.class, failure.message.clone());
    draft.emit(CallFailed {
        call: number,
        class,
        status: failure.status,
        retryable: failure.retryable,
        usage: failure.usage,
        latency_ms: failure.latency_ms,
        private: Some(CallFailedPrivate { code: failure.code, message: failure.message, request_id: failure.request_id }),
    });
    cost_of_failure(draft, &call, failure.usage, class.may_be_charged(failure.status));
    if is_outage(class) && !draft.run.is_doomed() && switch_provider(draft, &call, class) {
        return Ok(());
    }
    if call.purpose == Purpose::Judge {
        attempt::close(draft, call.agent, &format!("the judge's call failed: {message}"));
        return Ok(());
    }
    let signal = signal_of(class);
    end_attempt(draft, call.agent, AttemptOutcome::Error, vec![signal]);
    if signal == Signal::Configuration {
        let private = Some(AgentFailedPrivate { message });
        draft.emit(AgentFailed { agent: call.agent, reason: FailureReason::Configuration, private });
        super::end::settle(draft);
    } else {
        attempt::after_failure(draft, call.agent, Vec::new());
    }
    Ok(())
}

/// The provider is the trouble, not the request: another provider may do.
fn is_outage(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Connection
            | ErrorClass::Timeout
            | ErrorClass::Server
            | ErrorClass::RateLimit
            | ErrorClass::Quota
            | ErrorClass::BadReply
    )
}

fn signal_of(class: ErrorClass) -> Signal {
    match class {
        ErrorClass::Quota => Signal::Quota,
        ErrorClass::Context => Signal::ContextOverflow,
        class if class.is_configuration() => Signal::Configuration,
        _ => Signal::Unavailable,
    }
}

/// Lets the tier's next fallback take over; false when there is none.
fn switch_provider(draft: &mut Decision<'_>, call: &Call, class: ErrorClass) -> bool {
    let Some(attempt) = draft.run.agent(call.agent).and_then(|agent| agent.open_attempt()) else { return false };
    let index = 1 + if call.purpose == Purpose::Work { attempt.work_model } else { attempt.judge_model };
    let Some(next) = choices(draft, call.agent, call.purpose, attempt.tier).into_iter().nth(index) else { return false };
    draft.emit(ProviderSwitched {
        agent: call.agent,
        attempt: call.attempt,
        purpose: call.purpose,
        class,
        from_provider: call.provider.clone(),
        from_model: call.model.clone(),
        to_provider: next.provider,
        to_model: next.model,
        private: Some(ProviderSwitchedPrivate {}),
    });
    true
}

pub(super) fn cancelled(draft: &mut Decision<'_>, number: CallNo, usage: Option<TokenUsage>) -> Result<(), Refusal> {
    let call = open_call(draft, number)?.clone();
    draft.emit(CallCancelled { call: number, usage, private: Some(CallCancelledPrivate {}) });
    if let Some(usage) = usage {
        cost(draft, &call, usage, CostSource::Estimated, None);
    }
    // What a conversation has come to is not lost with one call: it goes on from there.
    if call.purpose == Purpose::Work && !call.goes_on {
        end_attempt(draft, call.agent, AttemptOutcome::Cancelled, Vec::new());
    }
    super::end::settle(draft);
    Ok(())
}

/// Ends the agent's open attempt without a verdict on its answer.
pub(super) fn end_attempt(draft: &mut Decision<'_>, agent: AgentNo, outcome: AttemptOutcome, signals: Vec<Signal>) {
    let Some(open) = draft.run.agent(agent).and_then(|agent| agent.open_attempt()) else { return };
    let (attempt, duration_ms) = (open.number, elapsed_ms(open.started_at, draft.now));
    let private = Some(AttemptEndedPrivate {});
    draft.emit(AttemptEnded { agent, attempt, outcome, verified: false, signals, duration_ms, private });
}

/// Milliseconds between two moments; 0 when the clock went back.
pub(super) fn elapsed_ms(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from) / 1_000_000).unwrap_or_default()
}
