//! The models: what speaks to a provider over the network.
//!
//! A call goes out in the provider's dialect and comes back as one reply, one failure, or cancelled; between them lie
//! retries, waiting, and the limits of each provider. This room knows no store, no run and no price of a run: it performs
//! what it is asked and tells what happened. Start with [`Providers::call`]; `wire` is the map of the dialects.

pub mod anthropic;
pub mod download;
pub mod endpoint;
pub mod fault;
pub mod fetch;
pub mod http;
mod limit;
pub mod model_list;
mod models;
pub mod ollama;
pub mod openai_chat;
pub mod openai_responses;
mod provider;
pub mod retry;
pub mod simulated;
pub mod sse;
mod turns;
pub mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::call::{CallFailure, CallReply, CallRequest, Retry};
use crate::domain::event::ErrorClass;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::prices::{PriceError, PriceFile, Tariff};
use crate::domain::redact::Redactor;
use crate::domain::tokens::estimate_input;
use crate::settings::{ProviderKind, ProviderSettings};

pub use models::Models;

use fault::Fault;
use http::Response;
use limit::Permit;
use provider::Provider;
use retry::Advice;
use wire::{Decoder, PartialReply};

/// The price table that Meno brings along.
const PRICES: &str = include_str!("prices.json");

/// Bytes of an error's body that are read.
const ERROR_BODY_MAX: usize = 64 << 10;
/// How many times as long as a reply may be silent it may say nothing but that it is alive: comments, pings, a model that thinks.
const SIGNS_OF_LIFE: u32 = 10;
/// Characters of a failure's message.
const MESSAGE_MAX: usize = 600;

/// Returns the price table that Meno brings along.
///
/// # Errors
/// None in a build whose tests pass: the file is part of the program.
pub fn embedded_prices() -> Result<PriceFile, PriceError> {
    PriceFile::parse(PRICES)
}

/// Returns whose prices each provider has: Ollama's are free, a simulation has those of the models it plays, and a
/// provider under another name at a vendor's own address has the vendor's. Any other has its own rows or none.
pub fn tariffs(providers: &BTreeMap<String, ProviderSettings>) -> BTreeMap<String, Tariff> {
    let tariff = |name: &str, provider: &ProviderSettings| {
        let host = url::Url::parse(&provider.base_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        match (provider.kind, host.as_deref()) {
            (ProviderKind::Ollama, _) => Some(Tariff::Free),
            (ProviderKind::Simulated, _) => Some(Tariff::AnyProvider),
            (_, Some("api.anthropic.com")) if name != "anthropic" => Some(Tariff::SameAs("anthropic".to_owned())),
            (_, Some("api.openai.com")) if name != "openai" => Some(Tariff::SameAs("openai".to_owned())),
            _ => None,
        }
    };
    providers.iter().filter_map(|(name, provider)| Some((name.clone(), tariff(name, provider)?))).collect()
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// With a reply.
    Replied(CallReply),
    /// Without one.
    Failed(CallFailure),
    /// It was dropped because the caller wanted so.
    Cancelled {
        /// Tokens that the last try is known to have used.
        usage: Option<TokenUsage>,
    },
}

/// What happens during a call. Each is told as it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum CallUpdate {
    /// A try failed; another one follows after a wait, where it may. The tokens that it used count beside those of the outcome; those of a
    /// try that is not followed by another are in the outcome.
    Retry(Retry),
    /// Output is coming.
    Progress {
        /// Output tokens of this try so far, estimated until the provider counts them.
        output_tokens: u64,
    },
}

/// Whether another try may follow: where it is asked for, the call waits for the answer.
pub type Permission = Option<oneshot::Receiver<bool>>;

/// The providers of the settings that are reached over the network.
pub struct Providers {
    by_name: BTreeMap<String, Provider>,
    redactor: Redactor,
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Providers {
    /// Makes the providers of `settings`. `keys` reads an environment variable; it is asked once for each provider whose
    /// key is bound to its address. Nothing is connected, and what is wrong with a provider is said when it is called.
    pub fn new(settings: &BTreeMap<String, ProviderSettings>, keys: impl Fn(&str) -> Option<String>) -> Self {
        let real = settings.iter().filter(|(_, provider)| provider.kind != ProviderKind::Simulated);
        let by_name: BTreeMap<String, Provider> =
            real.map(|(name, provider)| (name.clone(), Provider::new(name, provider, &keys))).collect();
        let redactor = Redactor::new(by_name.values().filter_map(Provider::secret).map(ExposeSecret::expose_secret));
        Self { by_name, redactor, chance: Box::new(random_share) }
    }

    /// Replaces the random number from 0 to 1 that spreads waits.
    #[must_use]
    pub fn with_chance(mut self, chance: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.chance = Box::new(chance);
        self
    }

    /// Checks whether a provider could be called: it is known, its address is acceptable, its key is there. Nothing is
    /// sent.
    ///
    /// # Errors
    /// The failure that a call would end with.
    pub fn check(&self, provider: &str) -> Result<(), Box<CallFailure>> {
        let known = self.by_name.get(provider).ok_or_else(|| unknown(provider));
        let checked = known.and_then(|known| known.check());
        checked.map_err(|fault| Box::new(self.failure(provider, fault, None, Duration::ZERO)))
    }

    /// Performs a call: waits for its turn, sends it, and repeats it as often as the settings allow while that may help.
    ///
    /// `update` is told of each retry and of the output's growth. When `cancel` fires the connection is closed at once;
    /// dropping the returned future does the same. The usage in the outcome is that of the last try alone.
    pub async fn call(
        &self,
        request: &CallRequest,
        cancel: &CancellationToken,
        mut update: impl FnMut(CallUpdate) -> Permission + Send,
    ) -> CallOutcome {
        let name = request.provider.as_str();
        let provider = match self.by_name.get(name).ok_or_else(|| unknown(name)) {
            Ok(provider) => provider,
            Err(fault) => return CallOutcome::Failed(self.failure(name, fault, None, Duration::ZERO)),
        };
        let estimated_input = estimate_input(request);
        let mut first_start = None;
        for n_try in 1u32.. {
            let permit = tokio::select! {
                biased;
                () = cancel.cancelled() => return CallOutcome::Cancelled { usage: None },
                permit = provider.limiter.acquire() => permit,
            };
            let start = Instant::now();
            let first_start = *first_start.get_or_insert(start);
            let mut this = Try::new(provider, start);
            let done = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                done = this.perform(provider, request, &mut update) => Some(done),
            };
            let Some(done) = done else {
                return CallOutcome::Cancelled { usage: this.decoder.draft().partial_usage(estimated_input) };
            };
            let advice = this.advice;
            let (fault, usage) = match this.end(done, estimated_input, first_start) {
                Ok(reply) => {
                    permit.succeeded();
                    return CallOutcome::Replied(reply);
                }
                Err(broken) => *broken,
            };
            let wait = advice.wait(n_try, (self.chance)());
            rest(permit, &fault, wait);
            if !fault.retryable || n_try > provider.settings.retries {
                return CallOutcome::Failed(self.failure(name, fault, usage, first_start.elapsed()));
            }
            let (class, status) = (fault.class, fault.status);
            let message = self.message(name, &fault);
            tracing::debug!(provider = name, n_try, class = %class, wait_ms = millis(wait), "the request failed and is repeated");
            let retry = Retry { failed_try: n_try, class, status, wait_ms: millis(wait), usage, message };
            if let Some(answer) = update(CallUpdate::Retry(retry)) {
                let allowed = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return CallOutcome::Cancelled { usage: None },
                    answer = answer => answer.unwrap_or(true),
                };
                if !allowed {
                    return CallOutcome::Failed(self.failure(name, fault, usage, first_start.elapsed()));
                }
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return CallOutcome::Cancelled { usage: None },
                () = tokio::time::sleep(wait) => {}
            }
        }
        // More than four billion tries cannot have happened: each takes its time.
        CallOutcome::Cancelled { usage: None }
    }

    fn failure(&self, provider: &str, fault: Fault, usage: Option<TokenUsage>, latency: Duration) -> CallFailure {
        CallFailure {
            class: fault.class,
            status: fault.status,
            code: fault.code.as_ref().map(|code| self.tidy(code)),
            message: self.message(provider, &fault),
            retryable: fault.retryable,
            usage,
            request_id: fault.request_id.as_ref().map(|id| self.tidy(id)),
            latency_ms: millis(latency),
        }
    }

    /// Returns what happened, for people: which provider, what it said, and what can be done.
    fn message(&self, name: &str, fault: &Fault) -> String {
        let said = if fault.message.trim().is_empty() { "no explanation" } else { fault.message.trim() };
        let text = match fault.status {
            Some(status) if !(200..300).contains(&status) => format!("provider `{name}` answered {status}: {said}"),
            _ => format!("provider `{name}`: {said}"),
        };
        let text = self.tidy(&text);
        match (fault.class, self.by_name.get(name).and_then(|provider| provider.settings.api_key_env.as_ref())) {
            (ErrorClass::Auth, Some(variable)) if fault.status.is_some() => format!("{text} (check the key in {variable})"),
            _ => text,
        }
    }

    /// Returns `text` without secrets, on one line, and not endless.
    fn tidy(&self, text: &str) -> String {
        let clean = self.redactor.redact(text);
        let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        let line: String = line.chars().filter(|char| !char.is_control()).collect();
        match line.char_indices().nth(MESSAGE_MAX) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// Shows the providers' names and no key.
impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}

/// One try of a call.
struct Try {
    decoder: Decoder,
    start: Instant,
    first_token: Option<Instant>,
    request_id: Option<String>,
    /// The status of a reply that began.
    taken: Option<u16>,
    reported_cost: Option<NanoUsd>,
    advice: Advice,
}

impl Try {
    fn new(provider: &Provider, start: Instant) -> Self {
        let decoder = Decoder::new(provider.settings.kind);
        Self { decoder, start, first_token: None, request_id: None, taken: None, reported_cost: None, advice: Advice::default() }
    }

    /// Sends the request and takes in the reply to its end.
    async fn perform(
        &mut self,
        provider: &Provider,
        request: &CallRequest,
        update: &mut (impl FnMut(CallUpdate) -> Permission + Send),
    ) -> Result<(), Fault> {
        let mut response = provider.send(request).await?;
        self.head(&response);
        let status = response.status();
        if !(200..300).contains(&status) {
            let elsewhere = response.header("location").filter(|_| (300..400).contains(&status)).map(str::to_owned);
            let mut fault = fault::of_status(status, &response.text(ERROR_BODY_MAX).await);
            if let Some(to) = elsewhere {
                fault.message = format!("it sends to {to}, and nobody is followed there; correct `base_url` in the settings");
            }
            self.advice.apply(&mut fault);
            return Err(fault);
        }
        self.taken = Some(status);
        let (mut shown, mut progress) = (0, Instant::now());
        let patience = provider.idle().saturating_mul(SIGNS_OF_LIFE);
        while let Some(chunk) = response.chunk().await? {
            self.decoder.push(&chunk)?;
            let draft = self.decoder.draft();
            if draft.has_output() {
                self.first_token.get_or_insert_with(Instant::now);
            }
            let output_tokens = draft.output_tokens();
            if output_tokens > shown {
                (shown, progress) = (output_tokens, Instant::now());
                update(CallUpdate::Progress { output_tokens });
            } else if progress.elapsed() > patience && !draft.ended {
                let message = format!(
                    "nothing but signs of life came within {} s ({SIGNS_OF_LIFE} times as long as `idle_s` of the provider)",
                    patience.as_secs_f64()
                );
                return Err(Fault::passing(ErrorClass::Timeout, message));
            }
            if draft.ended {
                response.drain().await;
                break;
            }
        }
        Ok(())
    }

    fn head(&mut self, response: &Response) {
        let id = ["request-id", "x-request-id", "x-litellm-call-id"].into_iter().find_map(|name| response.header(name));
        self.request_id = id.map(str::to_owned);
        let cost = response.header("x-litellm-response-cost").and_then(|cost| cost.trim().parse().ok());
        self.reported_cost = cost.and_then(NanoUsd::from_usd);
        self.advice = Advice::read(|name| response.header(name), SystemTime::now());
    }

    /// Returns the reply, or what failed with the tokens used until then.
    fn end(
        self,
        performed: Result<(), Fault>,
        estimated_input: u64,
        first_start: Instant,
    ) -> Result<CallReply, Box<(Fault, Option<TokenUsage>)>> {
        let Self { decoder, start, first_token, request_id, taken, reported_cost, .. } = self;
        let failed = |fault: Fault, draft: &PartialReply| {
            let request_id = fault.request_id.clone().or_else(|| request_id.clone()).or_else(|| draft.id.clone());
            let is_broken = matches!(fault.class, ErrorClass::Timeout | ErrorClass::Connection | ErrorClass::BadReply);
            let status = fault.status.or(taken.filter(|_| is_broken));
            Box::new((Fault { request_id, status, ..fault }, draft.partial_usage(estimated_input)))
        };
        let draft = match performed {
            Ok(()) => decoder.finish().map_err(|broken| failed(broken.0, &broken.1))?,
            // The connection may break behind the last word of an answer.
            Err(fault) => match decoder.whole().filter(|_| fault.class == ErrorClass::Connection) {
                Some(whole) => whole,
                None => return Err(failed(fault, decoder.draft())),
            },
        };
        let (usage, usage_source) = draft.usage(estimated_input);
        Ok(CallReply {
            stop: draft.stop_reason(),
            tool_calls: draft.tool_calls(),
            stop_details: draft.stop_details.or(Some(draft.refusal).filter(|text| !text.is_empty())),
            text: draft.text,
            reasoning: Some(draft.reasoning).filter(|text| !text.is_empty()),
            usage,
            usage_source,
            reported_cost: draft.reported_cost.or(reported_cost),
            model: draft.model,
            request_id: request_id.or(draft.id),
            latency_ms: millis(first_start.elapsed()),
            first_token_ms: first_token.map(|first| millis(first - start)),
        })
    }
}

/// Gives the permit back after a failure; a rate limit also keeps the others waiting.
fn rest(permit: Permit<'_>, fault: &Fault, wait: Duration) {
    if fault.class == ErrorClass::RateLimit {
        permit.limited(wait);
    }
}

fn unknown(provider: &str) -> Fault {
    Fault::lasting(
        ErrorClass::BadRequest,
        format!("no provider `{provider}` is reached over the network; see [providers] in config.toml"),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a random number from 0 to 1.
fn random_share() -> f64 {
    // Without randomness every wait is the longest: slower, never wrong.
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
use crate::settings::AuthScheme;
#[cfg(test)]
#[path = "../../tests/support/provider_settings.rs"]
mod settings_for_tests;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::settings_for_tests::provider_settings as provider;
    use super::*;
    use crate::domain::prices::PriceTable;

    #[test]
    fn the_embedded_table_prices_every_golden_call_exactly() {
        let table = PriceTable::merge([embedded_prices().unwrap()]);
        let golden = include_str!("../../tests/data/cost_golden.jsonl");
        assert_eq!(golden.lines().count(), 15);
        for line in golden.lines() {
            let vector: Value = serde_json::from_str(line).unwrap();
            let tokens = |key: &str| vector[key].as_u64().unwrap();
            let usage = TokenUsage {
                input: tokens("uncached_input"),
                cache_read: tokens("cache_read"),
                cache_write_5m: tokens("cache_write_5m"),
                cache_write_1h: tokens("cache_write_1h"),
                output: tokens("output"),
                reasoning: tokens("of_which_reasoning"),
            };
            let model = vector["model"].as_str().unwrap();
            let provider = if model.starts_with("claude") { "anthropic" } else { "openai" };
            let priced = table.price(provider, model, &usage).unwrap();
            assert_eq!(Some(priced.amount), NanoUsd::from_decimal(&vector["cost_usd"].to_string()), "{line}");
            let worst = table.worst_case(provider, model, usage.total_input(), usage.output).unwrap();
            assert!(worst.amount >= priced.amount || usage.cache_write_1h > 0, "{line}");
        }
    }

    #[test]
    fn simulated_models_have_the_prices_of_the_models_they_play() {
        let settings = BTreeMap::from([("simulated".to_owned(), provider(ProviderKind::Simulated, ""))]);
        let table = PriceTable::merge([embedded_prices().unwrap()]).with_tariffs(tariffs(&settings));
        for (played, model) in [
            ("simulated-cheap", "claude-haiku-5-5"),
            ("simulated-capable", "claude-sonnet-5-5"),
            ("simulated-premium", "claude-opus-5-5"),
        ] {
            let (played, model) = (table.row("simulated", played).unwrap(), table.row("anthropic", model).unwrap());
            assert_eq!((&played.nusd_per_mtok, &played.bands), (&model.nusd_per_mtok, &model.bands));
        }
        assert!(table.row("simulated", "gpt-6-luna").is_some());
    }

    #[test]
    fn a_provider_at_a_vendors_address_has_the_vendors_prices() {
        let settings = [
            ("anthropic", provider(ProviderKind::Anthropic, "https://api.anthropic.com")),
            ("work", provider(ProviderKind::OpenaiChat, "https://api.openai.com/v1")),
            ("gateway", provider(ProviderKind::OpenaiChat, "https://gateway.example.com/v1")),
            ("local", provider(ProviderKind::Ollama, "http://127.0.0.1:11434")),
        ];
        let settings = settings.map(|(name, provider)| (name.to_owned(), provider)).into();
        let table = PriceTable::merge([embedded_prices().unwrap()]).with_tariffs(tariffs(&settings));
        let usage = TokenUsage { output: 1_000_000, ..TokenUsage::default() };
        let cost = |provider, model| table.price(provider, model, &usage).map(|priced| priced.amount.to_decimal());
        assert_eq!(cost("anthropic", "claude-opus-5-5").as_deref(), Some("20"));
        assert_eq!(cost("work", "gpt-6-luna").as_deref(), Some("0.5"));
        assert_eq!(cost("gateway", "gpt-6-luna"), None);
        assert_eq!(cost("local", "whatever").as_deref(), Some("0"));
    }

    #[test]
    fn failures_show_neither_keys_nor_line_ends() {
        let mut openai = provider(ProviderKind::OpenaiChat, "https://api.openai.com/v1");
        openai.api_key_env = Some("MY_KEY".to_owned());
        (openai.auth, openai.key_bound) = (AuthScheme::Bearer, true);
        let providers = Providers::new(&BTreeMap::from([("o".to_owned(), openai)]), |_| Some(" hush-hush\n".to_owned()));
        assert_eq!(providers.check("o"), Ok(()));
        let fault = fault::of_status(401, r#"{"error":{"message":"bad key\n hush-hush","code":"hush-hush"}}"#);
        let failure = providers.failure("o", fault, None, Duration::ZERO);
        let message = "provider `o` answered 401: bad key [redacted:known-secret] (check the key in MY_KEY)";
        assert_eq!((failure.message.as_str(), failure.code.as_deref()), (message, Some("[redacted:known-secret]")));
        assert!(!format!("{providers:?}").contains("hush"));
    }

    #[test]
    fn a_provider_that_cannot_be_called_says_why_before_anything_is_sent() {
        let mut keyed = provider(ProviderKind::Anthropic, "https://api.anthropic.com");
        (keyed.api_key_env, keyed.auth, keyed.key_bound) = (Some("MY_KEY".to_owned()), AuthScheme::XApiKey, true);
        let unbound = ProviderSettings { key_bound: false, ..keyed.clone() };
        let headers = BTreeMap::from([("Authorization".to_owned(), "x".to_owned())]);
        let sneaky = ProviderSettings { headers, ..provider(ProviderKind::OpenaiChat, "https://example.com") };
        let ollama = ProviderSettings { kind: ProviderKind::Ollama, base_url: "http://127.0.0.1:1".to_owned(), ..keyed.clone() };
        let settings = [
            ("keyed", keyed),
            ("unbound", unbound),
            ("sneaky", sneaky),
            ("plain", provider(ProviderKind::OpenaiChat, "http://example.com/v1")),
            ("ollama", ollama),
        ];
        let providers = Providers::new(&settings.map(|(name, settings)| (name.to_owned(), settings)).into(), |_| None);
        let why = |name: &str| providers.check(name).map_err(|failure| (failure.class, failure.message));
        let expect = |name: &str, class, message: &str| {
            assert_eq!(why(name), Err((class, format!("provider `{name}`: {message}"))));
        };
        expect("keyed", ErrorClass::Auth, "no key: environment variable MY_KEY is not set (set it, or choose another preset)");
        expect(
            "unbound",
            ErrorClass::Auth,
            "the key in MY_KEY is not bound to https://api.anthropic.com: base_url and api_key_env must stand together in your own config.toml",
        );
        expect(
            "sneaky",
            ErrorClass::Forbidden,
            "`Authorization` must not stand under `headers`; keys come from the variable that api_key_env names",
        );
        expect(
            "plain",
            ErrorClass::Forbidden,
            "plain http to `example.com` is refused; use https, or set allow_http = true for this provider",
        );
        expect(
            "nobody",
            ErrorClass::BadRequest,
            "no provider `nobody` is reached over the network; see [providers] in config.toml",
        );
        assert_eq!(why("ollama"), Ok(()), "a local model needs no key");
    }
}
