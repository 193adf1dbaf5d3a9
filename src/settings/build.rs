//! From merged values to settings that can run: providers, tiers, and whether they go together.

use std::collections::BTreeMap;

use super::commands::CommandsConfig;
use super::error::Error;
use super::file::{Config, EncryptionConfig, McpConfig, TierConfig};
use super::layers::{Layers, Source};
use super::types::{
    AuthScheme, CaptureSettings, EncryptionSettings, KeySource, McpSettings, MemorySettings, ProviderKind, ProviderSettings,
    RedactionSettings, RunSettings, Settings, SimulatedSettings, TierSettings, Tiers, ToolSettings,
};
use super::{keys, origin};
use crate::domain::judge::Edition;
use crate::domain::money::NanoUsd;
use crate::domain::template::Capture;

/// Providers that cannot be used, and why.
pub(super) type Broken = BTreeMap<String, Error>;

/// Returns the providers that can be used, and those that cannot.
pub(super) fn providers(layers: &Layers, merged: &Config) -> (BTreeMap<String, ProviderSettings>, Broken) {
    let (mut whole, mut broken) = (BTreeMap::new(), BTreeMap::new());
    for name in merged.providers.keys() {
        match provider(name, layers, merged) {
            Ok(provider) => drop(whole.insert(name.clone(), provider)),
            Err(error) => drop(broken.insert(name.clone(), error)),
        }
    }
    (whole, broken)
}

fn provider(name: &str, layers: &Layers, merged: &Config) -> Result<ProviderSettings, Error> {
    let key = |key: &str| keys::dotted(&["providers", name, key]);
    let fault = |at: &str, message: &str, hint: Option<String>| Error::setting(key(at), message, hint);
    let config = merged.providers.get(name).cloned().unwrap_or_default();
    let kind = required(config.kind, key("kind"))?;
    if let Some(first) = layers.history(&["providers", name, "kind"]).first()
        && first.1 == Source::Default
        && first.0.as_str() != layers.text(&["providers", name, "kind"])
        && !(name == "openai" && kind == ProviderKind::OpenaiResponses)
    {
        return Err(fault(
            "kind",
            "cannot change: the provider is predefined",
            Some("give the other provider a name of its own".to_owned()),
        ));
    }
    let base_url = required(config.base_url, key("base_url"))?;
    let base_url = match kind {
        ProviderKind::Simulated => base_url,
        _ => origin::base_url(&base_url).map_err(|message| {
            let source = layers.get(&["providers", name, "base_url"]).map(|(_, source)| source.to_string()).unwrap_or_default();
            Error::setting(key("base_url"), format!("{message} (from {source})"), None)
        })?,
    };
    let allow_http = required(config.allow_http, key("allow_http"))?;
    if !allow_http && origin::is_open_http(&base_url) {
        let hint = format!("use https, or `{} = true` in the user's config.toml", key("allow_http"));
        return Err(fault("base_url", "is plain http to another machine", Some(hint)));
    }
    let auth = required(config.auth, key("auth"))?;
    if auth != AuthScheme::None && config.api_key_env.is_none() && kind != ProviderKind::Simulated {
        let hint = format!("name the variable that holds the key: `{} = \"…\"`", key("api_key_env"));
        return Err(fault("auth", "needs a key", Some(hint)));
    }
    Ok(ProviderSettings {
        kind,
        key_bound: auth != AuthScheme::None && key_bound(name, layers),
        base_url,
        api_key_env: config.api_key_env,
        auth,
        api_version: config.api_version,
        headers: config.headers,
        max_concurrent: required(config.max_concurrent, key("max_concurrent"))?,
        connect_s: required(config.connect_s, key("connect_s"))?,
        first_byte_s: required(config.first_byte_s, key("first_byte_s"))?,
        idle_s: required(config.idle_s, key("idle_s"))?,
        retries: required(config.retries, key("retries"))?,
        allow_http,
    })
}

/// Returns whether the key may go to the address that counts: the party that named the key must have given its origin.
///
/// There are two parties: the user (file, flags, environment, and the defaults that they leave standing), and the store.
fn key_bound(name: &str, layers: &Layers) -> bool {
    let by_store = |source: &Source| matches!(source, Source::Store(_));
    let Some((_, key_source)) = layers.get(&["providers", name, "api_key_env"]) else { return false };
    let addresses = layers.history(&["providers", name, "base_url"]);
    let given = addresses.iter().rev().find(|(_, source)| by_store(source) == by_store(key_source));
    match (given, addresses.last()) {
        (Some((given, _)), Some((counts, _))) => {
            origin::same(given.as_str().unwrap_or_default(), counts.as_str().unwrap_or_default())
        }
        _ => false,
    }
}

/// Says why a provider that is used gets no key.
pub(super) fn unbound(name: &str, provider: &ProviderSettings, layers: &Layers) -> Option<String> {
    let source = |key| layers.get(&["providers", name, key]).map(|(_, source)| source.to_string());
    let (key, address) = (source("api_key_env")?, source("base_url")?);
    let name = keys::dotted(&[name]);
    let line =
        format!("provider `{name}` gets no key: `api_key_env` is from {key}, `base_url` from {address}; name both in one place");
    (!provider.key_bound && provider.auth != AuthScheme::None).then_some(line)
}

fn tier_configs(merged: &Config) -> [(&'static str, Option<&TierConfig>); 4] {
    let tiers = &merged.tiers;
    [("cheap", &tiers.cheap), ("capable", &tiers.capable), ("premium", &tiers.premium), ("judge", &tiers.judge)]
        .map(|(name, tier)| (name, tier.as_ref()))
}

/// Returns the names of the providers that a tier or a fallback names, in order.
pub(super) fn used_providers(merged: &Config) -> Vec<String> {
    let tiers = tier_configs(merged);
    let all = tiers.iter().filter_map(|(_, tier)| *tier);
    let mut used: Vec<String> = all
        .flat_map(|tier| tier.provider.iter().chain(tier.fallbacks.iter().flatten().map(|fallback| &fallback.provider)))
        .cloned()
        .collect();
    used.sort();
    used.dedup();
    used
}

/// Returns the tiers, if they can run.
pub(super) fn tiers(merged: &Config, layers: &Layers, providers: &BTreeMap<String, ProviderSettings>) -> Result<Tiers, Error> {
    let mut named = BTreeMap::new();
    for (name, config) in tier_configs(merged) {
        if let Some(tier) = config.map(|config| tier(name, config, layers, providers)).transpose()?.flatten() {
            named.insert(name, tier);
        }
    }
    if named.keys().all(|name| *name == "judge") {
        let hint = "name what `ollama list` shows: `meno config tiers.cheap.model=NAME`, also capable and premium".to_owned();
        return Err(Error::setting("tiers.cheap.model", "is not set: preset `ollama` does not know which models you have", hint));
    }
    let in_order = tier_configs(merged).map(|(name, _)| name).into_iter().filter_map(|name| Some((name, named.get(name)?)));
    let mut kinds = in_order.flat_map(|(name, tier)| {
        let all = std::iter::once(&tier.provider).chain(tier.fallbacks.iter().map(|fallback| &fallback.provider));
        all.filter_map(|provider| providers.get(provider)).map(move |provider| (name, provider.kind == ProviderKind::Simulated))
    });
    if let Some((first, simulated)) = kinds.next()
        && let Some((other, _)) = kinds.find(|(_, kind)| *kind != simulated)
    {
        let message = format!("and `tiers.{first}` mix simulated and real models");
        return Err(Error::setting(
            format!("tiers.{other}"),
            message,
            "`--preset simulated` makes all tiers simulated".to_owned(),
        ));
    }
    drop(kinds);
    Ok(Tiers {
        cheap: named.remove("cheap"),
        capable: named.remove("capable"),
        premium: named.remove("premium"),
        judge: named.remove("judge"),
    })
}

/// Returns one tier; `None` when only a preset named it and left the model to the user.
fn tier(
    name: &str,
    config: &TierConfig,
    layers: &Layers,
    providers: &BTreeMap<String, ProviderSettings>,
) -> Result<Option<TierSettings>, Error> {
    let key = |key: &str| format!("tiers.{name}.{key}");
    let provider = required(config.provider.clone(), key("provider"))?;
    let fallbacks = config.fallbacks.clone().unwrap_or_default();
    let places = std::iter::once((key("provider"), &provider))
        .chain(fallbacks.iter().map(|fallback| (key("fallbacks"), &fallback.provider)));
    for (place, provider) in places {
        if !providers.contains_key(provider) {
            let message = format!("names provider `{}`, which is not known", provider.escape_debug());
            let hint = match keys::alike(provider, providers.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("known are {}; add it under [providers]", providers.keys().cloned().collect::<Vec<_>>().join(", "))
                }
            };
            return Err(Error::setting(place, message, hint));
        }
    }
    let left_to_user = layers.get(&["tiers", name, "provider"]).is_some_and(|(_, source)| matches!(source, Source::Preset(_)));
    if config.model.is_none() && left_to_user {
        return Ok(None);
    }
    Ok(Some(TierSettings {
        provider,
        model: required(config.model.clone(), key("model"))?,
        max_output_tokens: required(config.max_output_tokens, key("max_output_tokens"))?,
        context_tokens: config.context_tokens,
        effort: config.effort.clone(),
        fallbacks,
    }))
}

/// Puts everything together.
pub(super) fn settings(merged: Config, tiers: Tiers, providers: BTreeMap<String, ProviderSettings>) -> Result<Settings, Error> {
    let money = |usd: Option<f64>, key: &str| {
        let exact = |usd| NanoUsd::from_usd(usd).ok_or_else(|| Error::setting(key, "is not an amount of dollars", None));
        usd.map(exact).transpose()
    };
    let capture = |level: Option<Capture>| level.unwrap_or_default();
    Ok(Settings {
        preset: merged.preset.map(|preset| preset.name().to_owned()),
        tiers,
        providers,
        run: RunSettings {
            strategy: required(merged.run.strategy, "run.strategy")?,
            jobs: required(merged.run.jobs, "run.jobs")?,
            max_attempts_per_tier: required(merged.run.max_attempts_per_tier, "run.max_attempts_per_tier")?,
            escalate: required(merged.run.escalate, "run.escalate")?,
            budget: money(merged.run.budget_usd, "run.budget_usd")?,
            allow_unpriced: required(merged.run.allow_unpriced, "run.allow_unpriced")?,
        },
        per_day_budget: money(merged.budget.per_day_usd, "budget.per_day_usd")?,
        tools: ToolSettings {
            effects: merged.tools.commands.as_ref().map(CommandsConfig::effects).unwrap_or_default(),
            commands: required(merged.tools.commands, "tools.commands")?.names(),
            allow_write: required(merged.tools.allow_write, "tools.allow_write")?,
            deny: required(merged.tools.deny, "tools.deny")?,
            env: required(merged.tools.env, "tools.env")?,
            sandbox: required(merged.tools.sandbox, "tools.sandbox")?,
            readable: required(merged.tools.readable, "tools.readable")?,
            network: required(merged.tools.network, "tools.network")?,
            unenforced: Vec::new(),
            origins: required(merged.tools.origins, "tools.origins")?,
            max_turns: required(merged.tools.max_turns, "tools.max_turns")?,
            checks_windows: true,
            catalogue: Vec::new(),
            reuses_results: false,
            mcp_tools: BTreeMap::new(),
        },
        mcp: merged
            .mcp
            .into_iter()
            .map(|(name, server)| Ok((name.clone(), mcp(&name, server)?)))
            .collect::<Result<_, Error>>()?,
        capture: CaptureSettings {
            prompts: capture(merged.capture.prompts),
            outputs: capture(merged.capture.outputs),
            answers: capture(merged.capture.answers),
        },
        redaction: RedactionSettings {
            emails: required(merged.redaction.emails, "redaction.emails")?,
            phones: required(merged.redaction.phones, "redaction.phones")?,
            names: required(merged.redaction.names, "redaction.names")?,
            entropy: required(merged.redaction.entropy, "redaction.entropy")?,
        },
        encryption: encryption(merged.encryption),
        memory: MemorySettings {
            model: required(merged.memory.model, "memory.model")?,
            half_life_days: required(merged.memory.half_life_days, "memory.half_life_days")?,
            min_sample: required(merged.memory.min_sample, "memory.min_sample")?,
            embed_ms: required(merged.memory.embed_ms, "memory.embed_ms")?,
        },
        retention_days: required(merged.retention.days, "retention.days")?,
        simulated: SimulatedSettings {
            delay_ms: required(merged.simulated.delay_ms, "simulated.delay_ms")?,
            script: required(merged.simulated.script, "simulated.script")?,
        },
        judging: Edition::default(),
    })
}

fn mcp(name: &str, config: McpConfig) -> Result<McpSettings, Error> {
    let key = |key: &str| keys::dotted(&["mcp", name, key]);
    Ok(McpSettings {
        // One that has no command is said where a run needs it; all else works.
        command: config.command.unwrap_or_default(),
        url: config.url.filter(|url| !url.is_empty()),
        token_env: config.token_env.filter(|variable| !variable.is_empty()),
        env: required(config.env, key("env"))?,
        trust_annotations: required(config.trust_annotations, key("trust_annotations"))?,
        start_s: required(config.start_s, key("start_s"))?,
        timeout_s: required(config.timeout_s, key("timeout_s"))?,
    })
}

/// Returns where the keys of payloads are. What is empty counts as not said.
fn encryption(config: EncryptionConfig) -> EncryptionSettings {
    let source = |file: Option<String>, command: Option<Vec<String>>| {
        let (file, command) = (file.filter(|file| !file.is_empty()), command.filter(|command| !command.is_empty()));
        match (file, command) {
            // Everything that needs no key goes on, the mending of the settings too.
            (Some(_), Some(_)) => Some(KeySource::Both),
            (Some(file), None) => Some(KeySource::File(file.into())),
            (None, command) => command.map(KeySource::Command),
        }
    };
    EncryptionSettings {
        key: source(config.key_file, config.key_command),
        old_key: source(config.old_key_file, config.old_key_command),
    }
}

fn required<T>(value: Option<T>, key: impl Into<String>) -> Result<T, Error> {
    let key = key.into();
    value.ok_or_else(|| {
        let hint = format!("`meno config {key}=VALUE` sets it");
        Error::setting(key, "is not set", hint)
    })
}
