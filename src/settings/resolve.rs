//! From what everybody said to what counts: flags over environment over the store's file over the user's file over defaults.
//!
//! Pure: environment and files come in as values. A store that was found by walking up may be a stranger's, so its file may only
//! tune what cannot hurt (see `stack`), and a key goes only to the address that the same party gave (see `build`).

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;

use toml::{Table, Value};

use super::build::{providers, settings, tiers, unbound, used_providers};
use super::environment::Environment;
use super::error::Error;
use super::file::{Config, Preset};
use super::keys;
use super::layers::{Layers, SettingValue, defaults, leaves, path, segments};
use super::stack::stack;
use super::types::{KeySource, RedactionSettings, Settings, Tiers};
use crate::domain::event::Escalate;
use crate::domain::money::NanoUsd;
use crate::domain::tier::Strategy;

/// What the command line says about settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--preset`.
    pub preset: Option<Preset>,
    /// `--strategy`.
    pub strategy: Option<Strategy>,
    /// `--budget`.
    pub budget: Option<NanoUsd>,
    /// `--jobs`.
    pub jobs: Option<NonZeroU16>,
    /// `--escalate`.
    pub escalate: Option<Escalate>,
    /// `--allow-unpriced`.
    pub allow_unpriced: bool,
    /// `--allow-write`.
    pub allow_write: bool,
}

/// A `config.toml` that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub config: Config,
}

/// All that bears on settings.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The command line.
    pub flags: &'a Flags,
    /// The environment.
    pub environment: &'a Environment,
    /// The store's file.
    pub store: Option<&'a ConfigFile>,
    /// Whether the user trusts the store.
    pub store_trusted: bool,
    /// The user's file.
    pub user: Option<&'a ConfigFile>,
    /// The preset to use when nobody chose: what detection found and the user agreed to, or `simulated`.
    pub fallback: Option<Preset>,
}

/// Which providers' keys are in the environment. Whether an Ollama runs at `providers.ollama.base_url`, the caller may find out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectedKeys {
    /// ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is set.
    pub anthropic: bool,
    /// OPENAI_API_KEY is set.
    pub openai: bool,
}

/// Whether the tiers can run.
#[derive(Debug)]
pub enum Choice {
    /// Models are chosen; a tier may still have none, and then a strategy that needs it is refused.
    Made,
    /// Nobody chose a model.
    Nothing {
        /// What there is to choose from.
        found: DetectedKeys,
    },
    /// Models are chosen and cannot run: everything but running works.
    Unusable(Error),
}

/// The settings, where each comes from, and what the user should know about them.
#[derive(Debug)]
pub struct Resolved {
    /// What counts.
    pub settings: Settings,
    /// Each dotted key that has a value, with its source; free of secrets.
    pub sources: BTreeMap<String, SettingValue>,
    /// Lines to show once, on stderr.
    pub notices: Vec<String>,
    /// Whether the tiers can run.
    pub choice: Choice,
}

impl Resolved {
    /// Returns the value of one key; `None` for a key that is known and not set.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when there is no such key.
    pub fn value(&self, key: &str) -> Result<Option<&SettingValue>, Error> {
        let unknown = |nearest| Error::UnknownKey { key: key.escape_debug().to_string(), nearest };
        let path = keys::split(key).ok_or_else(|| unknown(None))?;
        if !keys::is_leaf(&path) {
            return Err(unknown(keys::nearest(&path)));
        }
        Ok(self.sources.get(&keys::dotted(&path)))
    }
}

/// Decides what counts. Total: whatever keeps the tiers from running is in [`Resolved::choice`], so that all else still works.
///
/// # Errors
/// None of the inputs that [`super::file::parse`] lets through leads to one; it is the last guard of values without a default.
pub fn resolve(inputs: &Inputs<'_>) -> Result<Resolved, Error> {
    let (mut layers, mut notices) = stack(inputs, None);
    if !is_chosen(&layers) && inputs.fallback.is_some() {
        (layers, notices) = stack(inputs, inputs.fallback);
    }
    fill(&mut layers);
    let merged: Config = Value::Table(layers.merged())
        .try_into()
        .map_err(|error: toml::de::Error| Error::setting("config.toml", error.message().to_owned(), None))?;

    let (providers, mut broken) = providers(&layers, &merged);
    let used = used_providers(&merged);
    notices.extend(inputs.environment.notice());
    notices.extend(
        providers.iter().filter(|(name, _)| used.contains(name)).filter_map(|(name, provider)| unbound(name, provider, &layers)),
    );
    for (name, error) in broken.iter().filter(|(name, _)| !used.contains(name)) {
        notices.push(format!("provider `{}` cannot be used: {error}", keys::dotted(&[name])));
    }

    let choice = if is_chosen(&layers) {
        match used.iter().find_map(|name| broken.remove(name)).map_or_else(|| tiers(&merged, &layers, &providers), Err) {
            Ok(tiers) => Ok(tiers),
            Err(error) => Err(Choice::Unusable(error)),
        }
    } else {
        let has = |name| inputs.environment.has(name);
        let found =
            DetectedKeys { anthropic: has("ANTHROPIC_API_KEY") || has("ANTHROPIC_AUTH_TOKEN"), openai: has("OPENAI_API_KEY") };
        Err(Choice::Nothing { found })
    };
    let (tiers, choice) = choice.map_or_else(|choice| (Tiers::default(), choice), |tiers| (tiers, Choice::Made));
    let mut settings = settings(merged, tiers, providers)?;
    let names_a_key = |file: &&ConfigFile| {
        let said = &file.config.encryption;
        said.key_file.as_ref().is_some_and(|file| !file.is_empty())
            || said.key_command.as_ref().is_some_and(|words| !words.is_empty())
    };
    if settings.encryption.key.is_none() && !inputs.store_trusted && inputs.store.filter(names_a_key).is_some() {
        settings.encryption.key = Some(KeySource::Untrusted);
    }
    if settings.redaction != RedactionSettings::default() && settings.capture.is_full() {
        notices.push(
            "what `redaction` names is taken out from level `redacted` on, such as `capture.prompts = \"redacted\"`".to_owned(),
        );
    }
    Ok(Resolved { settings, sources: layers.shown(), notices, choice })
}

/// Returns whether anybody chose a provider for one of the three tiers.
fn is_chosen(layers: &Layers) -> bool {
    ["cheap", "capable", "premium"].iter().any(|tier| layers.get(&["tiers", tier, "provider"]).is_some())
}

/// Fills what every provider and tier has, once it is known which there are.
fn fill(layers: &mut Layers) {
    for name in layers.names(&["providers"]) {
        let mut rest = defaults().provider.clone();
        let keyed = layers.get(&["providers", &name, "api_key_env"]).is_some();
        let kind = layers.text(&["providers", &name, "kind"]);
        let auth = match (keyed, kind) {
            (false, _) | (_, Some("simulated")) => "none",
            (true, Some("anthropic")) => "x-api-key",
            (true, _) => "bearer",
        };
        rest.insert("auth".to_owned(), auth.into());
        match kind {
            Some("anthropic") => drop(rest.insert("api_version".to_owned(), "2026-10-21".into())),
            Some("simulated") => drop(rest.insert("base_url".to_owned(), "".into())),
            _ => {}
        }
        silently(layers, &["providers", &name], &rest);
    }
    for tier in layers.names(&["tiers"]) {
        silently(layers, &["tiers", &tier], &defaults().tier);
    }
    for server in layers.names(&["mcp"]) {
        silently(layers, &["mcp", &server], &defaults().mcp);
    }
}

fn silently(layers: &mut Layers, prefix: &[&str], table: &Table) {
    for (key, value) in leaves(table) {
        layers.say_if_silent(path(&[prefix, &segments(&key)].concat()), value);
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
