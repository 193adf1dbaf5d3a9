//! The embedded provider that needs no network and no key: what would a run look like, whatever the models?
//!
//! Replies depend on the prompt, the run's seed, the role, the attempt and the criterion alone, never on the clock or the schedule. An
//! answer is shaped by the output contract, says what simple rules find in the prompt's material and nothing that they do not, and meets
//! or misses each typed criterion by a draw against the tier's failure rate; a judge scores by the same rule. [`Script`]s replace replies, add delays, errors and retries. Nothing here knows
//! runs, events or money. With tools it looks first, as `looking` decides. Start with [`Simulated::plan`], which is pure but for the script's use counts;
//! [`perform`] only waits.

mod answer;
mod code;
mod draw;
mod instance;
mod looking;
mod matching;
mod material;
mod page;
mod paths;
mod phrases;
mod reading;
mod record;
mod rules;
mod script;
mod seen;
mod severity;
mod steer;
mod writer;

use std::sync::Mutex;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::call::{CallFailure, CallReply, CallRequest, Retry, ToolCall};
use crate::domain::event::{ErrorClass, Purpose, StopReason};
use crate::domain::money::{TokenUsage, UsageSource};

use draw::Draw;

pub use script::{Script, ScriptError, ScriptedReply};

/// What happens in one call, in order. The last step is always [`Step::Reply`] or [`Step::Fail`].
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// So many milliseconds pass.
    Wait(u64),
    /// A try failed, and after a [`Step::Wait`] another one follows.
    Retry(Retry),
    /// The call ends with a reply.
    Reply(CallReply),
    /// The call ends without one.
    Fail(CallFailure),
}

/// The simulated provider.
#[derive(Debug)]
pub struct Simulated {
    delay_ms: u64,
    retries: u32,
    script: Script,
    /// How often each of the script's replies was used.
    used: Mutex<Vec<u32>>,
}

impl Simulated {
    /// Makes a provider that waits `delay_ms` milliseconds per call, tries at most `retries` times after a first try that
    /// the script lets fail, and follows `script` where it has something to say.
    pub fn new(delay_ms: u64, retries: u32, script: Script) -> Self {
        let used = Mutex::new(vec![0; script.replies.len()]);
        Self { delay_ms, retries, script, used }
    }

    /// Says what happens in a call, and counts the scripted reply that it takes, if any.
    pub fn plan(&self, request: &CallRequest) -> Vec<Step> {
        let scripted = self.take(request);
        let mut steps = Vec::new();
        let delay_ms = scripted.and_then(|reply| reply.delay_ms).unwrap_or(self.delay_ms);
        let mut waited_ms = delay_ms;
        if delay_ms > 0 {
            steps.push(Step::Wait(delay_ms));
        }
        if let Some((reply, error)) = scripted.and_then(|reply| reply.error.as_ref().map(|error| (reply, error))) {
            let retryable = error.retryable();
            // An error without a count, or without a reply to come after it, never ends.
            let failing = if reply.ends_in_error() { u32::MAX } else { error.times.unwrap_or(1) };
            let repeated = if retryable { failing.min(self.retries) } else { 0 };
            for failed_try in 1..=repeated {
                let wait_ms = error.retry_after_ms.unwrap_or(0);
                waited_ms = waited_ms.saturating_add(wait_ms);
                steps.push(Step::Retry(Retry {
                    failed_try,
                    class: error.class,
                    status: error.status(),
                    wait_ms,
                    usage: None,
                    message: error.message(),
                }));
                if wait_ms > 0 {
                    steps.push(Step::Wait(wait_ms));
                }
            }
            if failing > repeated {
                steps.push(Step::Fail(CallFailure {
                    class: error.class,
                    status: error.status(),
                    code: error.code.clone(),
                    message: error.message(),
                    retryable,
                    usage: None,
                    request_id: None,
                    latency_ms: waited_ms,
                }));
                return steps;
            }
        }
        steps.push(Step::Reply(reply(request, scripted, waited_ms)));
        steps
    }

    /// Returns the first scripted reply that fits the request and is not used up, and counts its use.
    fn take(&self, request: &CallRequest) -> Option<&ScriptedReply> {
        // A panic elsewhere leaves counts that are still right, so a poisoned lock is as good as a sound one.
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fits = |(reply, used): &(&ScriptedReply, &mut u32)| **used < reply.times.unwrap_or(1) && reply.fits(request);
        let (reply, count) = self.script.replies.iter().zip(used.iter_mut()).find(fits)?;
        *count += 1;
        Some(reply)
    }
}

/// Performs the steps of a call: waits, tells of each retry, and ends with the reply, the failure, or `None` when `cancel`
/// came first. Nothing was used by a call that was cancelled.
pub async fn perform(
    steps: Vec<Step>,
    cancel: &CancellationToken,
    mut on_retry: impl FnMut(Retry),
) -> Option<Result<CallReply, CallFailure>> {
    for step in steps {
        if cancel.is_cancelled() {
            return None;
        }
        match step {
            Step::Wait(ms) => tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            },
            Step::Retry(retry) => on_retry(retry),
            Step::Reply(reply) => return Some(Ok(reply)),
            Step::Fail(failure) => return Some(Err(failure)),
        }
    }
    let message = "the simulation ended without a reply".to_owned();
    Some(Err(CallFailure {
        class: ErrorClass::BadReply,
        status: None,
        code: None,
        message,
        retryable: false,
        usage: None,
        request_id: None,
        latency_ms: 0,
    }))
}

fn reply(request: &CallRequest, scripted: Option<&ScriptedReply>, waited_ms: u64) -> CallReply {
    let draw = Draw::new(&request.context);
    let stop = scripted.and_then(|reply| reply.stop);
    // A script says what is said; where it has nothing for a call, the model looks around by itself.
    let tool_calls: Vec<ToolCall> = match scripted {
        Some(reply) => reply.tool_calls(&draw),
        None => looking::next(request, &draw),
    };
    let mut text = match scripted.and_then(ScriptedReply::text) {
        Some(text) => text,
        // A refusal says nothing but its details, a turn of tool calls nothing but them.
        None if matches!(stop, Some(StopReason::Refusal | StopReason::Filtered)) || !tool_calls.is_empty() => String::new(),
        None => {
            let text = match request.context.purpose {
                Purpose::Work => writer::answer(request, &draw),
                Purpose::Judge => writer::scores(&request.context, &draw),
            };
            // What is to look cut off has to be.
            if stop == Some(StopReason::MaxTokens) { first_chars(&text, text.chars().count() / 2) } else { text }
        }
    };
    let mut output = tokens(&text) + tool_calls.iter().map(|call| tokens(&call.arguments.to_string()) + 8).sum::<u64>();
    let mut stop = stop.unwrap_or(if tool_calls.is_empty() { StopReason::End } else { StopReason::ToolUse });
    if output > request.max_output_tokens {
        text = first_chars(&text, usize::try_from(request.max_output_tokens.saturating_mul(4)).unwrap_or(usize::MAX));
        output = request.max_output_tokens;
        stop = StopReason::MaxTokens;
    }
    CallReply {
        text,
        reasoning: None,
        tool_calls,
        stop,
        stop_details: scripted.and_then(|reply| reply.stop_details.clone()),
        usage: TokenUsage { input: input_tokens(request), output, ..TokenUsage::default() },
        usage_source: UsageSource::Estimated,
        reported_cost: None,
        model: Some(request.model.clone()),
        request_id: Some(format!("simulated-{:012x}", draw.number("request", 0) >> 16)),
        // What a model would have taken is not known; writing the answer takes no time worth counting.
        latency_ms: waited_ms,
        first_token_ms: Some(waited_ms),
    }
}

/// Everything that a model would be told.
fn input_tokens(request: &CallRequest) -> u64 {
    let turns = request.turns.iter().map(|turn| {
        let results = turn.results.iter().map(|result| tokens(&result.text)).sum::<u64>();
        tokens(&turn.text) + turn.calls.iter().map(|call| tokens(&call.arguments.to_string()) + 8).sum::<u64>() + results
    });
    tokens(&request.system) + tokens(&request.prompt) + turns.sum::<u64>()
}

/// The usual rule of thumb: a token is about four characters.
fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

fn first_chars(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests;
