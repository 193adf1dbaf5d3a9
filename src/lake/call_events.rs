//! The events of model calls and tools of other systems, and of the runs that have them: every importer that knows calls one by one writes
//! them here, so that what is not known looks the same whichever source does not say it.

use crate::domain::event::{
    CallFailed, CallFailedPrivate, CallReplied, CallRepliedPrivate, CallStarted, CallStartedPrivate, CostIncurred,
    CostIncurredPrivate, CostSource, ErrorClass, Escalate, Event, Mode, Purpose, RunStarted, RunStartedPrivate, StopReason,
    ToolEnded, ToolEndedPrivate, ToolStarted, ToolStartedPrivate,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, ExecutorId, Hash, RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage, UnitPrices, UsageSource};
use crate::domain::prices::{PriceTable, Priced};
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::views::stats::day_of;

use super::resold::price_of;

/// The base agent of agents whose own is not known.
pub(super) const BASE: &str = "imported";
/// Up to here a million output tokens are what a cheap model costs, in nUSD.
const CHEAP_MAX: u64 = 5_000_000_000;
/// Up to here a million output tokens are what a capable model costs, in nUSD.
const CAPABLE_MAX: u64 = 15_000_000_000;

/// Returns the tier of a model: where its price puts it, whatever a call of it used. An unknown price says nothing, and the middle is taken.
pub(super) fn tier_of_model(prices: &PriceTable, provider: &str, model: &str, at: TimeNs) -> Tier {
    tier_of(price_of(prices, provider, model, &TokenUsage::default(), at).map(|priced| priced.unit))
}

fn tier_of(unit: Option<UnitPrices>) -> Tier {
    match unit.map(|unit| unit.output) {
        Some(..=CHEAP_MAX) => Tier::Cheap,
        Some(..=CAPABLE_MAX) | None => Tier::Capable,
        Some(_) => Tier::Premium,
    }
}

/// Returns the strategy that begins with a tier.
pub(super) fn strategy_of(first: Tier) -> Strategy {
    match first {
        Tier::Cheap => Strategy::Progressive,
        Tier::Capable => Strategy::CapableFirst,
        Tier::Premium => Strategy::PremiumOnly,
    }
}

/// Tells whether a call can have used so many tokens: no model reads a thousandth of what is too many.
pub(super) fn is_plausible(usage: &TokenUsage) -> bool {
    const CALL_COUNT_MAX: u64 = 10_000_000_000;
    let TokenUsage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning } = *usage;
    [input, cache_read, cache_write_5m, cache_write_1h, output, reasoning].iter().all(|count| *count <= CALL_COUNT_MAX)
}

/// What a run begins with.
pub(super) struct Start<'a> {
    pub source: &'a str,
    pub template: String,
    pub is_simulated: bool,
    pub foreign: Option<String>,
    pub settings: String,
    pub prices_as_of: &'a str,
    pub prices_hash: Hash,
    pub folder: String,
    pub labels: Vec<(String, String)>,
}

pub(super) fn run_started(id: RunId, start: Start<'_>) -> Event {
    let nothing = || Text::Inline("{}".to_owned());
    RunStarted {
        template_id: start.template,
        template_version: String::new(),
        template_hash: Hash::default(),
        source: Some(start.source.to_owned()),
        mode: if start.is_simulated { Mode::Simulated } else { Mode::Imported },
        strategy: None,
        budget: None,
        allow_unpriced: true,
        escalate: Escalate::Auto,
        jobs: 1,
        seed: 0,
        prices_as_of: start.prices_as_of.to_owned(),
        prices_hash: start.prices_hash,
        meno_version: env!("CARGO_PKG_VERSION").to_owned(),
        executor: ExecutorId(id.0),
        private: Some(RunStartedPrivate {
            foreign_run_id: start.foreign,
            template: nothing(),
            base_agents: nothing(),
            settings: Text::Inline(start.settings),
            prices: nothing(),
            workspace: start.folder,
            user: String::new(),
            labels: start.labels,
        }),
    }
    .into()
}

/// Where a call belongs.
#[derive(Clone, Copy)]
pub(super) struct CallPlace {
    pub call: CallNo,
    pub agent: AgentNo,
    pub attempt: AttemptNo,
}

/// Whose model a call is of, and what for.
#[derive(Clone, Copy)]
pub(super) struct CallModel<'a> {
    pub provider: &'a str,
    pub model: &'a str,
    pub purpose: Purpose,
    pub tier: Tier,
}

/// What a call cost, and how that is known.
#[derive(Clone, Copy)]
pub(super) struct CallCost {
    pub amount: Option<NanoUsd>,
    pub source: CostSource,
    pub priced: Option<Priced>,
    pub reported: Option<NanoUsd>,
}

impl CallPlace {
    pub(super) fn started(self, of: CallModel<'_>, at: TimeNs, parameters: String) -> Event {
        let nothing = || Text::Inline(String::new());
        CallStarted {
            call: self.call,
            agent: self.agent,
            attempt: self.attempt,
            purpose: of.purpose,
            provider: of.provider.to_owned(),
            model: of.model.to_owned(),
            estimated_input: 0,
            max_output: 0,
            reserved: None,
            day: u32::try_from(day_of(at)).unwrap_or(0),
            private: Some(CallStartedPrivate { system: nothing(), prompt: nothing(), transcript: None, parameters }),
        }
        .into()
    }

    /// A reply. Tokens that are not known are zeros here, where the event has no other word, and none in the cost.
    pub(super) fn replied(
        self,
        stop: StopReason,
        usage: Option<TokenUsage>,
        (latency_ms, first_token_ms): (u64, Option<u64>),
        output: String,
        request_id: Option<String>,
    ) -> Event {
        CallReplied {
            call: self.call,
            stop,
            usage: usage.unwrap_or_default(),
            usage_source: UsageSource::Reported,
            latency_ms,
            first_token_ms,
            private: Some(CallRepliedPrivate {
                output: Text::Inline(output),
                reasoning: None,
                tool_calls: Text::EMPTY,
                model: None,
                request_id,
                stop_details: None,
            }),
        }
        .into()
    }

    pub(super) fn failed(self, class: ErrorClass, message: String, usage: Option<TokenUsage>, latency_ms: u64) -> Event {
        let retryable = matches!(class, ErrorClass::Server | ErrorClass::RateLimit | ErrorClass::Connection);
        let private = Some(CallFailedPrivate { code: None, message, request_id: None });
        CallFailed { call: self.call, class, status: None, retryable, usage, latency_ms, private }.into()
    }

    pub(super) fn cost(self, of: CallModel<'_>, usage: Option<TokenUsage>, cost: CallCost) -> Event {
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        CostIncurred {
            call: Some(self.call),
            agent: self.agent,
            attempt: self.attempt,
            tier: of.tier,
            purpose: of.purpose,
            provider: known(of.provider),
            model: known(of.model),
            amount: cost.amount,
            usage,
            unit_prices: cost.priced.map(|priced| priced.unit),
            band_above: cost.priced.map_or(0, |priced| priced.band_above),
            source: cost.source,
            reported: cost.reported,
            private: Some(CostIncurredPrivate {}),
        }
        .into()
    }
}

pub(super) fn tool_started(call: CallNo, tool_call: u32, tool: String, writes: bool, arguments: Text) -> Event {
    ToolStarted { call, tool_call, tool, writes, private: Some(ToolStartedPrivate { arguments }) }.into()
}

/// The end of a tool. What the agent told its model of a result, and why a tool failed, other systems do not say.
pub(super) fn tool_ended(call: CallNo, tool_call: u32, ok: bool, latency_ms: u64, result: Text) -> Event {
    let private = Some(ToolEndedPrivate { result, whole: None, diff: None, originals: Vec::new() });
    let (fault, bytes, told_bytes, repeats, reused) = (None, None, None, None, None);
    ToolEnded { call, tool_call, ok, latency_ms, fault, bytes, told_bytes, repeats, reused, private }.into()
}
