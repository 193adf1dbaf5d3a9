//! The part of the fold that follows model calls: their tries, ends, tools, and what they cost.

use serde::de::IgnoredAny;

use crate::domain::event::{self, CostSource, Event, Mode, Purpose, SuspendReason};
use crate::domain::ids::CallNo;
use crate::domain::money::{CacheSavings, NanoUsd, TokenUsage, UsageSource};
use crate::domain::text::Text;
use crate::domain::tier::Tier;
use crate::domain::tool::{ProgramEnd, RUN_COMMAND, may_have_changed, program_end};

use super::super::status::CallStatus;
use super::fold::{Fold, TextOf};
use super::{AttemptDetail, CallDetail, CallError, CallTokens, RetryDetail, TierCost, Tokens, ToolDetail};

impl Fold {
    pub(super) fn apply_calls(&mut self, event: &Event, text: TextOf<'_>) {
        self.open.apply(event);
        match event {
            Event::CallStarted(body) => self.call_started(body),
            Event::RequestRetried(body) => self.with_call(body.call, |call| {
                call.retries.push(RetryDetail {
                    failed_try: body.failed_try,
                    class: body.class,
                    status: body.status,
                    waited_ms: body.waited_ms,
                    message: body.private.as_ref().map(|private| private.message.clone()),
                });
            }),
            Event::CallReplied(body) => {
                self.with_call(body.call, |call| {
                    call.status = CallStatus::Replied;
                    call.stop_reason = Some(body.stop);
                    call.tokens = Some(CallTokens::new(body.usage, body.usage_source));
                    call.latency_ms = Some(body.latency_ms);
                    call.first_token_ms = body.first_token_ms;
                    if let Some(private) = &body.private {
                        call.replied_model.clone_from(&private.model);
                        call.request_id.clone_from(&private.request_id);
                        call.asked_tools = match &private.tool_calls {
                            Text::Inline(none) if none.is_empty() => Some(0),
                            Text::Inline(asked) => {
                                serde_json::from_str::<Vec<IgnoredAny>>(asked).ok().map(|asked| asked.len() as u32)
                            }
                            _ => None,
                        };
                    }
                });
                let is_session = self.detail.source.is_some();
                let output = body.private.as_ref().and_then(|private| text(&private.output));
                if is_session {
                    self.with_call(body.call, |call| call.said.clone_from(&output));
                }
                if let Some((attempt, Purpose::Work)) = self.attempt_of(body.call) {
                    attempt.stop_reason = Some(body.stop);
                    attempt.error = body.private.as_ref().and_then(|private| private.stop_details.clone());
                    attempt.output = output;
                }
            }
            Event::CallFailed(body) => {
                let private = body.private.as_ref();
                self.with_call(body.call, |call| {
                    call.status = CallStatus::Failed;
                    call.latency_ms = Some(body.latency_ms);
                    call.tokens = body.usage.map(|usage| CallTokens::new(usage, UsageSource::Estimated));
                    call.request_id = private.and_then(|private| private.request_id.clone());
                    call.error = Some(CallError {
                        class: body.class,
                        status: body.status,
                        code: private.and_then(|private| private.code.clone()),
                        message: private.map(|private| private.message.clone()),
                    });
                });
                if let Some((attempt, Purpose::Work)) = self.attempt_of(body.call) {
                    let words = private.map_or("the provider's words are gone", |private| private.message.as_str());
                    attempt.error = Some(format!("{}: {words}", body.class));
                }
            }
            Event::CallCancelled(body) => {
                self.with_call(body.call, |call| {
                    call.status = CallStatus::Cancelled;
                    call.tokens = body.usage.map(|usage| CallTokens::new(usage, UsageSource::Estimated));
                });
            }
            Event::CallLost(body) => self.with_call(body.call, |call| call.status = CallStatus::Lost),
            Event::ToolStarted(body) => {
                self.tools_started += 1;
                let number = self.tools_started;
                let tool = ToolDetail {
                    tool_call: body.tool_call,
                    number,
                    tool: body.tool.clone(),
                    writes: body.writes,
                    ok: None,
                    latency_ms: None,
                    arguments: body.private.as_ref().and_then(|private| text(&private.arguments)),
                    fault: None,
                    exit_code: None,
                    ended_by_signal: false,
                    bytes: None,
                    told_bytes: None,
                    repeated: false,
                    reused_from: None,
                    files: Vec::new(),
                    diff: None,
                    undone: Vec::new(),
                    awaits_resolution: false,
                    resolution: None,
                    resolved_by: None,
                    result: None,
                };
                self.with_call(body.call, |call| call.tools.push(tool));
            }
            Event::WritePrepared(body) => self.with_tool(body.call, body.tool_call, |tool| {
                let files = body.private.iter().flat_map(|private| &private.files);
                tool.files = files.map(|file| file.path.clone()).collect();
            }),
            Event::ToolResolved(body) => self.with_tool(body.call, body.tool_call, |tool| {
                tool.awaits_resolution = false;
                (tool.resolution, tool.resolved_by) = (Some(body.resolution), Some(body.by));
            }),
            Event::WriteUndone(body) => self.with_tool(body.call, body.tool_call, |tool| {
                let paths = body.private.iter().flat_map(|private| &private.paths);
                // Older versions took back what had not happened.
                let happened = |path: &&String| tool.ok != Some(false) || tool.files.contains(path);
                let undone: Vec<String> = paths.filter(happened).cloned().collect();
                tool.undone.extend(undone);
            }),
            Event::RunSuspended(body) if body.why == SuspendReason::Tool => {
                let attempts = self.detail.agents.iter_mut().flat_map(|agent| &mut agent.attempts);
                let tools = attempts.flat_map(|attempt| &mut attempt.calls).flat_map(|call| &mut call.tools);
                tools.filter(|tool| tool.writes && tool.ok.is_none()).for_each(|tool| tool.awaits_resolution = true);
            }
            Event::ToolEnded(body) => self.with_tool(body.call, body.tool_call, |tool| {
                tool.ok = Some(body.ok);
                tool.latency_ms = Some(body.latency_ms);
                tool.fault = body.fault;
                (tool.bytes, tool.told_bytes) = (body.bytes, body.told_bytes);
                tool.repeated = body.repeats.is_some();
                tool.reused_from = body.reused.map(|(run, ..)| run.to_string());
                tool.awaits_resolution = false;
                if tool.tool == RUN_COMMAND {
                    let end = body.private.as_ref().and_then(|private| text(&private.result)).and_then(|told| program_end(&told));
                    (tool.exit_code, tool.ended_by_signal) = match end {
                        Some(ProgramEnd::Code(code)) => (Some(code), false),
                        Some(ProgramEnd::Signal) => (None, true),
                        None => (None, false),
                    };
                }
                // What a process that died had changed before is not known by how another one failed.
                if tool.resolution.is_none() {
                    let told = body.private.as_ref().and_then(|private| text(private.whole.as_ref().unwrap_or(&private.result)));
                    let paths: Vec<&str> = tool.files.iter().map(String::as_str).collect();
                    let changed = may_have_changed(body.ok, body.fault, told.as_deref(), &paths);
                    tool.files.truncate(changed);
                }
                tool.diff = body.private.as_ref().and_then(|private| text(private.diff.as_ref()?));
            }),
            Event::CostIncurred(body) => self.cost_incurred(body),
            _ => {}
        }
    }

    fn call_started(&mut self, body: &event::CallStarted) {
        let (agent, attempt) = self.attempt(body.agent, body.attempt, Tier::Cheap);
        let calls = &mut self.detail.agents[agent].attempts[attempt].calls;
        calls.push(CallDetail {
            call: body.call,
            purpose: body.purpose,
            provider: body.provider.clone(),
            model: body.model.clone(),
            status: CallStatus::Running,
            stop_reason: None,
            asked_tools: None,
            tokens: None,
            cost_nusd: None,
            cost_source: None,
            reported_cost_nusd: None,
            reserved_nusd: body.reserved.map(|amount| amount.0),
            latency_ms: None,
            first_token_ms: None,
            retries: Vec::new(),
            error: None,
            replied_model: None,
            request_id: None,
            said: None,
            tools: Vec::new(),
            prompt: None,
        });
        self.calls.insert(body.call, (agent, attempt, calls.len() - 1));
        if body.purpose == Purpose::Work {
            let attempt = &mut self.detail.agents[agent].attempts[attempt];
            attempt.provider = Some(body.provider.clone());
            attempt.model = Some(body.model.clone());
        }
    }

    fn cost_incurred(&mut self, body: &event::CostIncurred) {
        let is_imported = self.detail.source.is_some();
        // What another system told of a call after it was counted is of the same call.
        let counted = body.call.and_then(|call| self.calls.get(&call)).filter(|_| is_imported);
        let is_more = counted
            .is_some_and(|&(agent, attempt, call)| self.detail.agents[agent].attempts[attempt].calls[call].cost_source.is_some());
        let known = body.amount.unwrap_or_default();
        let judging = if body.purpose == Purpose::Judge { known.0 } else { 0 };
        let (place, attempt) = self.attempt(body.agent, body.attempt, body.tier);
        let detail = &mut self.detail;
        let agent = &mut detail.agents[place];
        let attempt = &mut agent.attempts[attempt];
        // An imported attempt has told its tokens itself.
        let told = body.call.is_none() && attempt.imported && attempt.tokens != Tokens::default();
        let tokens = if told { Tokens::default() } else { Tokens::from(body.usage.unwrap_or_default()) };
        let of_attempt = TokenUsage { cache_read: attempt.tokens.cache_read, ..TokenUsage::default() };
        let usage = if told { Some(of_attempt) } else { body.usage };
        self.cache.merge(CacheSavings::of(usage.as_ref(), body.unit_prices.as_ref()));
        for (cost, verification, counted) in [
            (&mut attempt.cost_nusd, &mut attempt.verification_cost_nusd, &mut attempt.tokens),
            (&mut agent.cost_nusd, &mut agent.verification_cost_nusd, &mut agent.tokens),
            (&mut detail.cost_nusd, &mut detail.verification_cost_nusd, &mut detail.tokens),
        ] {
            *cost = cost.saturating_add(known.0);
            *verification = verification.saturating_add(judging);
            counted.add(tokens);
        }
        let lacks_price = u64::from(self.open.lacks_price(body));
        detail.unpriced_calls += lacks_price;
        if body.amount.is_none() {
            self.unpriced.insert((body.agent, body.attempt));
        }
        let row = match detail.costs_by_tier.iter().position(|row| row.tier == body.tier && row.purpose == body.purpose) {
            Some(place) => &mut detail.costs_by_tier[place],
            None => {
                let tokens = Tokens::default();
                let row = TierCost { tier: body.tier, purpose: body.purpose, calls: 0, unpriced_calls: 0, cost_nusd: 0, tokens };
                detail.costs_by_tier.push(row);
                let last = detail.costs_by_tier.len() - 1;
                &mut detail.costs_by_tier[last]
            }
        };
        row.calls += u64::from(!is_more);
        row.unpriced_calls += lacks_price;
        row.cost_nusd = row.cost_nusd.saturating_add(known.0);
        row.tokens.add(if told { attempt.tokens } else { tokens });
        match body.call {
            Some(number) => {
                // Another system's reply that told no tokens has zeros.
                let is_untold = is_imported && body.known_usage().is_none();
                self.with_call(number, |call| {
                    if body.is_untold() && !is_imported {
                        // What other tries of it cost stays known.
                        return;
                    }
                    match body.known_usage().filter(|_| is_more) {
                        Some(usage) => call.tokens = Some(CallTokens::plus(call.tokens, usage)),
                        None if is_untold && !is_more => call.tokens = None,
                        None => {}
                    }
                    // Tries that failed on the way have costs of their own.
                    call.cost_nusd = body.amount.map(|amount| call.cost_nusd.unwrap_or_default().saturating_add(amount.0));
                    call.cost_source = Some(body.source);
                    call.reported_cost_nusd =
                        body.reported.map(|amount| amount.0).or(call.reported_cost_nusd.filter(|_| is_more));
                });
            }
            None => {
                self.costless.remove(&(body.agent, body.attempt));
            }
        }
    }

    /// Says of what is known of costs and tokens how far it goes.
    pub(super) fn settle(&mut self) {
        let detail = &mut self.detail;
        detail.cost_usd = NanoUsd(detail.cost_nusd).to_decimal();
        detail.lost_calls = self.open.n_lost();
        (detail.cache_saved_nusd, detail.cache_saved_complete) = (self.cache.amount(), self.cache.is_complete());
        if detail.mode == Mode::Real {
            let calls = detail.agents.iter().flat_map(|agent| &agent.attempts).flat_map(|attempt| &attempt.calls);
            let is_estimate = |call: &&CallDetail| call.cost_nusd.is_some() && call.cost_source == Some(CostSource::Estimated);
            detail.estimated_calls = calls.filter(is_estimate).count() as u64;
        }
        detail.cost_complete = detail.unpriced_calls == 0 && self.open.is_settled() && self.costless.is_empty();
        for agent in &mut detail.agents {
            for attempt in &mut agent.attempts {
                attempt.untold_calls = attempt.count_untold();
                agent.untold_calls += attempt.untold_calls;
                let place = (agent.number, attempt.attempt);
                let unknown = |call: &CallDetail| self.open.is_open(call.call);
                attempt.cost_complete =
                    !self.unpriced.contains(&place) && !self.costless.contains(&place) && !attempt.calls.iter().any(unknown);
            }
            detail.untold_calls += agent.untold_calls;
            agent.cost_complete = agent.attempts.iter().all(|attempt| attempt.cost_complete);
        }
        detail.costs_by_tier.sort_by_key(|row| (row.tier, row.purpose));
    }

    fn with_tool(&mut self, call: CallNo, tool_call: u32, change: impl FnOnce(&mut ToolDetail)) {
        self.with_call(call, |call| {
            if let Some(tool) = call.tools.iter_mut().find(|tool| tool.tool_call == tool_call) {
                change(tool);
            }
        });
    }

    fn with_call(&mut self, number: CallNo, change: impl FnOnce(&mut CallDetail)) {
        if let Some(&(agent, attempt, call)) = self.calls.get(&number) {
            change(&mut self.detail.agents[agent].attempts[attempt].calls[call]);
        }
    }

    fn attempt_of(&mut self, number: CallNo) -> Option<(&mut AttemptDetail, Purpose)> {
        let &(agent, attempt, call) = self.calls.get(&number)?;
        let attempt = &mut self.detail.agents[agent].attempts[attempt];
        let purpose = attempt.calls[call].purpose;
        Some((attempt, purpose))
    }
}
