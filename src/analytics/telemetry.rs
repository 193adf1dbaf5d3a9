//! Telemetry: one line per model call without anything that was said, and their sums.
//!
//! The fields of a line hold those of the peer's `usage.jsonl` under the same names, and more. Amounts in nUSD unless they say US
//! dollars; what is not known is null, never zero.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::report::{Lengths, Share};
use super::spending::TokenSum;
use super::stats;
use crate::domain::event::{Mode, Purpose};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::tier::Tier;
use crate::views::costs::CostFold;
use crate::views::costs::calls::{CallKey, CallRow};
use crate::views::sketch::Sketch;
use crate::views::status::CallStatus;
use crate::views::utc;

/// The version of a line's shape.
const VERSION: &str = "1.0";

/// One model call, as `telemetry export --format jsonl` writes it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "One model call, as `meno telemetry export` writes it")]
pub struct TelemetryLine {
    /// The version of this shape.
    pub v: String,
    /// When it began.
    pub ts: String,
    /// The template's id.
    pub workflow: String,
    /// The agent's role; null when not known.
    pub stage: Option<String>,
    /// The tier.
    pub tier: Tier,
    /// The model; null when not known.
    pub model: Option<String>,
    /// The provider; null when not known.
    pub provider: Option<String>,
    /// What it cost in US dollars; null when that is not known.
    pub cost: Option<f64>,
    /// Its tokens.
    pub tokens: LineTokens,
    /// What the provider's cache did.
    pub cache: LineCache,
    /// How long it took, in milliseconds; null when not known.
    pub duration_ms: Option<u64>,
    /// The user, hashed; null when not known.
    pub user_id: Option<String>,
    /// What the provider's cache did, in tokens.
    pub prompt_cache: PromptCache,
    /// The run.
    pub run_id: String,
    /// The agent's number within the run.
    pub agent: u32,
    /// The attempt's number within the agent.
    pub attempt: u32,
    /// The call's number within the run; 0 for an attempt of another system.
    pub call: u32,
    /// Work or judging.
    pub purpose: Purpose,
    /// Whether models were real.
    pub mode: Mode,
    /// How it ended.
    pub status: CallStatus,
    /// What is known of its cost, an integer.
    pub cost_nusd: u64,
    /// The whole cost is known.
    pub cost_complete: bool,
    /// Tries that failed and were repeated.
    pub retries: u32,
    /// From the last try's start to the first piece of output, in milliseconds; null when not known.
    pub first_token_ms: Option<u64>,
}

/// The tokens of a call; null when they are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineTokens {
    /// All input, cached or not.
    pub input: Option<u64>,
    /// Output, reasoning included.
    pub output: Option<u64>,
    /// Both.
    pub total: Option<u64>,
    /// Of the output, reasoning.
    pub reasoning: Option<u64>,
}

/// What the provider's cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineCache {
    /// Some input came out of it.
    pub hit: bool,
}

/// What the provider's cache did, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PromptCache {
    /// Some input came out of it.
    pub hit: bool,
    /// Written to it; null when not known.
    pub creation_tokens: Option<u64>,
    /// Read from it; null when not known.
    pub read_tokens: Option<u64>,
}

/// Returns a call's line.
pub fn line(key: CallKey, row: &CallRow, payer: &CostFold) -> TelemetryLine {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let usage = row.known_usage();
    let of = |count: fn(&TokenUsage) -> u64| usage.as_ref().map(count);
    let hit = row.usage.cache_read > 0;
    TelemetryLine {
        v: VERSION.to_owned(),
        ts: utc(key.at),
        workflow: payer.template.clone(),
        stage: payer.roles.get(&key.agent).and_then(|role| known(role)),
        tier: row.tier,
        model: known(&row.model),
        provider: known(&row.provider),
        cost: row.cost().map(|amount| amount as f64 / NanoUsd::PER_USD as f64),
        tokens: LineTokens {
            input: of(TokenUsage::total_input),
            output: of(|usage| usage.output),
            total: of(|usage| usage.total_input().saturating_add(usage.output)),
            reasoning: of(|usage| usage.reasoning),
        },
        cache: LineCache { hit },
        duration_ms: row.latency_ms,
        user_id: known(&payer.user),
        prompt_cache: PromptCache {
            hit,
            creation_tokens: of(|usage| usage.cache_write_5m.saturating_add(usage.cache_write_1h)),
            read_tokens: of(|usage| usage.cache_read),
        },
        run_id: key.run.to_string(),
        agent: key.agent,
        attempt: key.attempt,
        call: key.call,
        purpose: row.purpose,
        mode: payer.mode,
        status: row.status,
        cost_nusd: row.amount,
        cost_complete: row.cost().is_some(),
        retries: row.retries,
        first_token_ms: row.first_token_ms,
    }
}

impl TelemetryLine {
    /// The names of [`Self::cells`].
    pub const COLUMNS: [&'static str; 28] = [
        "v",
        "ts",
        "workflow",
        "stage",
        "tier",
        "model",
        "provider",
        "cost",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "reasoning_tokens",
        "cache_hit",
        "cache_creation_tokens",
        "cache_read_tokens",
        "duration_ms",
        "first_token_ms",
        "user_id",
        "run_id",
        "agent",
        "attempt",
        "call",
        "purpose",
        "mode",
        "status",
        "cost_nusd",
        "cost_complete",
        "retries",
    ];

    /// Returns the line as cells of a table; what is not known is empty.
    pub fn cells(&self) -> [String; 28] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let cost = if self.cost_complete { NanoUsd(self.cost_nusd).to_decimal() } else { String::new() };
        [
            self.v.clone(),
            self.ts.clone(),
            self.workflow.clone(),
            text(&self.stage),
            self.tier.to_string(),
            text(&self.model),
            text(&self.provider),
            cost,
            number(self.tokens.input),
            number(self.tokens.output),
            number(self.tokens.total),
            number(self.tokens.reasoning),
            self.cache.hit.to_string(),
            number(self.prompt_cache.creation_tokens),
            number(self.prompt_cache.read_tokens),
            number(self.duration_ms),
            number(self.first_token_ms),
            text(&self.user_id),
            self.run_id.clone(),
            self.agent.to_string(),
            self.attempt.to_string(),
            self.call.to_string(),
            self.purpose.to_string(),
            self.mode.to_string(),
            self.status.to_string(),
            self.cost_nusd.to_string(),
            self.cost_complete.to_string(),
            self.retries.to_string(),
        ]
    }
}

/// What `telemetry show --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Sums over model calls, as `meno telemetry show --json` prints them")]
pub struct TelemetryReport {
    /// Only calls begun then or later; null: all.
    pub since: Option<String>,
    /// Only calls begun before then; null: all.
    pub until: Option<String>,
    /// Each kind of money by itself.
    pub modes: Vec<ModeCalls>,
}

/// The calls of one mode.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ModeCalls {
    /// Whether models were real.
    pub mode: Mode,
    /// All of them; the sums of the lines.
    pub total: CallSum,
    /// By tier, provider and model.
    pub models: Vec<ModelCalls>,
    /// The share of calls with input out of the provider's cache, of those that did not fail.
    pub cache_hits: Option<Share>,
    /// What the same tokens would have cost at premium prices; null when the premium model has no price.
    pub savings: Option<Savings>,
}

/// The calls of one model.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ModelCalls {
    /// The tier.
    pub tier: Tier,
    /// The provider; null when not known.
    pub provider: Option<String>,
    /// The model; null when not known.
    pub model: Option<String>,
    /// Its calls.
    #[serde(flatten)]
    pub sum: CallSum,
}

/// A sum of calls.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CallSum {
    /// How many.
    pub calls: u64,
    /// Of them, those whose cost is not known.
    pub unknown: u64,
    /// Of them, those that ended without a usable reply.
    pub failed: u64,
    /// Of them, those whose tokens are not known.
    pub untold: u64,
    /// What is known of their cost.
    pub cost_nusd: u64,
    /// The same in US dollars.
    pub cost_usd: String,
    /// Tokens, as far as known.
    pub tokens: TokenSum,
    /// How long they took, but for those that failed.
    pub latency: Lengths,
}

/// An estimate of what tiers save.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Savings {
    /// Always true: another model would have used other tokens.
    pub is_estimate: bool,
    /// The premium model whose prices are used.
    pub premium_model: String,
    /// Calls that are compared: those whose cost and tokens are known.
    pub calls: u64,
    /// What they cost.
    pub cost_nusd: u64,
    /// What their tokens cost at premium prices.
    pub premium_nusd: u64,
}

/// Gathers calls into a report.
pub struct Gathering<'a> {
    premium: Option<(String, PriceOf<'a>)>,
    modes: BTreeMap<Mode, CallSums>,
}

/// Prices tokens; `None` when there is no price.
pub type PriceOf<'a> = Box<dyn Fn(&TokenUsage) -> Option<NanoUsd> + 'a>;

#[derive(Default)]
struct CallSums {
    models: BTreeMap<(Tier, String, String), Sums>,
    hits: u64,
    compared: u64,
    cost: u128,
    premium: u128,
}

#[derive(Clone, Default)]
struct Sums {
    calls: u64,
    unknown: u64,
    failed: u64,
    untold: u64,
    cost: u128,
    usage: TokenUsage,
    latency: Sketch,
}

impl<'a> Gathering<'a> {
    /// Begins a report that compares with the prices of a premium model, by its name.
    pub fn new(premium: Option<(String, PriceOf<'a>)>) -> Self {
        Self { premium, modes: BTreeMap::new() }
    }

    /// Adds a call.
    pub fn add(&mut self, row: &CallRow, payer: &CostFold) {
        let mode = self.modes.entry(payer.mode).or_default();
        let sums = mode.models.entry((row.tier, row.provider.clone(), row.model.clone())).or_default();
        sums.calls += 1;
        sums.unknown += u64::from(row.cost().is_none());
        sums.failed += u64::from(row.status == CallStatus::Failed);
        sums.untold += u64::from(!row.told && matches!(row.status, CallStatus::Replied | CallStatus::Lost));
        sums.cost += u128::from(row.amount);
        sums.usage = sums.usage.plus(row.usage);
        // How soon a call failed says nothing of how long one takes.
        if let Some(latency_ms) = row.latency_ms.filter(|_| row.status != CallStatus::Failed) {
            sums.latency.add(latency_ms);
        }
        mode.hits += u64::from(row.usage.cache_read > 0);
        if let (Some((_, price)), Some(cost)) = (&self.premium, row.cost())
            && row.usage != TokenUsage::default()
            && let Some(premium) = price(&row.usage)
        {
            mode.compared += 1;
            mode.cost += u128::from(cost);
            mode.premium += u128::from(premium.0);
        }
    }

    /// Ends the report. `span` is what was asked for, as it is to be said.
    pub fn finish(self, span: (Option<String>, Option<String>)) -> TelemetryReport {
        let premium = self.premium.map(|(model, _)| model);
        let mode = |(mode, gathered): (Mode, CallSums)| {
            let mut total = Sums::default();
            for sums in gathered.models.values() {
                total.calls += sums.calls;
                total.unknown += sums.unknown;
                total.failed += sums.failed;
                total.untold += sums.untold;
                total.cost += sums.cost;
                total.usage = total.usage.plus(sums.usage);
                total.latency.merge(&sums.latency);
            }
            let known = |text: String| (!text.is_empty()).then_some(text);
            let narrow = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
            let answered = total.calls - total.failed;
            let hits = stats::wilson(gathered.hits.min(answered) as f64, answered as f64);
            ModeCalls {
                mode,
                total: total.finish(),
                models: gathered
                    .models
                    .into_iter()
                    .map(|((tier, provider, model), sums)| ModelCalls {
                        tier,
                        provider: known(provider),
                        model: known(model),
                        sum: sums.finish(),
                    })
                    .collect(),
                cache_hits: hits.map(|estimate| Share::of(estimate, answered)),
                savings: premium.clone().filter(|_| gathered.compared > 0).map(|premium_model| Savings {
                    is_estimate: true,
                    premium_model,
                    calls: gathered.compared,
                    cost_nusd: narrow(gathered.cost),
                    premium_nusd: narrow(gathered.premium),
                }),
            }
        };
        TelemetryReport { since: span.0, until: span.1, modes: self.modes.into_iter().map(mode).collect() }
    }
}

impl Sums {
    fn finish(self) -> CallSum {
        let cost = NanoUsd(u64::try_from(self.cost).unwrap_or(u64::MAX));
        CallSum {
            calls: self.calls,
            unknown: self.unknown,
            failed: self.failed,
            untold: self.untold,
            cost_nusd: cost.0,
            cost_usd: cost.to_decimal(),
            tokens: self.usage.into(),
            latency: Lengths { n: self.latency.count(), p50_ms: self.latency.quantile(0.5), p90_ms: self.latency.quantile(0.9) },
        }
    }
}
