//! Who says what, and who is heard: lays flags, environment and files over each other, weakest first.
//!
//! Knows nothing of what the values mean together; that is [`super::build`]'s.

use toml::Value;

use super::environment::Environment;
use super::file::Preset;
use super::layers::{Layers, Path, Source, defaults, path, segments, values_of};
use super::resolve::{ConfigFile, Flags, Inputs};
use super::{keys, origin};
use crate::domain::event::Escalate;
use crate::domain::money::NanoUsd;

/// Lays everybody's words over each other, weakest first; returns them with what was not heard.
pub(super) fn stack(inputs: &Inputs<'_>, fallback: Option<Preset>) -> (Layers, Vec<String>) {
    let (environment, flags) = (inputs.environment, inputs.flags);
    let mut layers = Layers::default();
    let mut notices = Vec::new();
    layers.say_table(&[], &defaults().settings, &Source::Default);
    say_keys(&mut layers, environment);
    if let Some(preset) = fallback {
        layers.choose(preset, Source::Default);
    }
    if let Some(file) = inputs.user {
        layers.say_file(file_values(file), &Source::User(file.path.clone()));
    }
    if let Some(file) = inputs.store {
        let mut values = file_values(file);
        if !inputs.store_trusted {
            let unheard = values.extract_if(.., |(path, value)| !heard(path, value, &layers));
            // Who repeats what counts anyway changes nothing, so there is nothing to tell; but it stays the user's word: said by the
            // store, it would take the key from its address, and the user's tiers from their preset.
            let repeats = |path: &Path, value: &Value| layers.get(&segments(path)).is_some_and(|(own, _)| own == value);
            let ignored: Vec<Path> = unheard.filter(|(path, value)| !repeats(path, value)).map(|(path, _)| path).collect();
            notices.extend(not_heard(file, &ignored));
        }
        layers.say_file(values, &Source::Store(file.path.clone()));
    }
    say_environment(&mut layers, environment);
    say_flags(&mut layers, flags);
    (layers, notices)
}

/// Returns a file's values; a relative path in it starts at the file's folder.
fn file_values(file: &ConfigFile) -> Vec<(Path, Value)> {
    let mut values = values_of(&file.config);
    for (path, value) in &mut values {
        if let (["simulated", "script"] | ["encryption", "key_file" | "old_key_file"], Some(script)) =
            (segments(path).as_slice(), value.as_str())
            && !script.is_empty()
            && let Some(folder) = file.path.parent()
        {
            *value = Value::from(folder.join(script).to_string_lossy().into_owned());
        }
    }
    values
}

/// Returns whether an untrusted store is heard on `path`: where it cannot hurt, or where it is stricter than the user.
fn heard(path: &Path, value: &Value, below: &Layers) -> bool {
    let path = segments(path);
    let own = below.get(&path).map(|(value, _)| value);
    let rank = |order: &[&str], value: &Value| value.as_str().and_then(|name| order.iter().position(|&known| known == name));
    let at_least = |order: &[&str]| own.is_none_or(|own| rank(order, value) >= rank(order, own));
    match path.as_slice() {
        ["memory", _] | ["run", "strategy" | "jobs" | "max_attempts_per_tier"] => true,
        ["run", "budget_usd"] | ["budget", "per_day_usd"] => own.is_none_or(|own| value.as_float() <= own.as_float()),
        ["tools", "max_turns"] => own.is_none_or(|own| value.as_integer() <= own.as_integer()),
        ["run", "escalate"] => at_least(&[Escalate::Auto, Escalate::Ask, Escalate::Never].map(Escalate::name)),
        ["capture", _] => at_least(&["full", "redacted", "hash", "none"]),
        ["redaction", "emails" | "phones" | "entropy"] => value.as_bool() == Some(true),
        ["run", "allow_unpriced"] | ["tools", "allow_write"] => value.as_bool() == Some(false),
        _ => false,
    }
}

/// Says in one line what an untrusted store was not heard on.
fn not_heard(file: &ConfigFile, ignored: &[Path]) -> Option<String> {
    const NAMED_MAX: usize = 6;
    let mut names: Vec<String> = ignored.iter().map(|path| keys::dotted(&path[..path.len().min(2)])).collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED_MAX);
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let folder = file.path.parent().unwrap_or(&file.path).display().to_string();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let line = format!(
        "ignored {}{rest} of {}: the store is not trusted; `meno trust {folder}` makes it count",
        named.join(", "),
        file.path.display()
    );
    (!names.is_empty()).then_some(line)
}

/// Keys that stand in other variables than the usual ones; files may still name their own.
fn say_keys(layers: &mut Layers, environment: &Environment) {
    let other = [
        ("anthropic", "ANTHROPIC_AUTH_TOKEN", environment.has("ANTHROPIC_AUTH_TOKEN") && !environment.has("ANTHROPIC_API_KEY")),
        ("ollama", "OLLAMA_API_KEY", environment.has("OLLAMA_API_KEY")),
    ];
    for (provider, variable, _) in other.into_iter().filter(|(_, _, counts)| *counts) {
        layers.say(path(&["providers", provider, "api_key_env"]), variable, Source::Environment(variable));
        layers.say(path(&["providers", provider, "auth"]), "bearer", Source::Environment(variable));
    }
}

/// What the environment says about the predefined providers; those with other names are the user's own affair.
fn say_environment(layers: &mut Layers, environment: &Environment) {
    let mut say = |provider: &str, key: &[&str], variable: &'static str, reading: fn(&str) -> String| {
        if let Some(value) = environment.get(variable) {
            let path = path(&[&["providers", provider], key].concat());
            layers.say(path, reading(value), Source::Environment(variable));
        }
    };
    say("anthropic", &["base_url"], "ANTHROPIC_BASE_URL", str::to_owned);
    say("anthropic", &["api_version"], "ANTHROPIC_API_VERSION", str::to_owned);
    say("openai", &["base_url"], "OPENAI_BASE_URL", str::to_owned);
    say("openai", &["headers", "OpenAI-Organization"], "OPENAI_ORG_ID", str::to_owned);
    say("openai", &["headers", "OpenAI-Project"], "OPENAI_PROJECT_ID", str::to_owned);
    say("ollama", &["base_url"], "OLLAMA_HOST", origin::ollama_host);
    for (name, value) in environment.headers() {
        let source = Source::Environment("ANTHROPIC_CUSTOM_HEADERS");
        layers.say(path(&["providers", "anthropic", "headers", name]), value.as_str(), source);
    }
}

fn say_flags(layers: &mut Layers, flags: &Flags) {
    if let Some(preset) = flags.preset {
        layers.choose(preset, Source::Flag("--preset"));
    }
    let mut say = |key: &[&str], value: Option<Value>, flag: &'static str| {
        if let Some(value) = value {
            layers.say(path(key), value, Source::Flag(flag));
        }
    };
    say(&["run", "strategy"], flags.strategy.map(|strategy| strategy.name().into()), "--strategy");
    say(&["run", "budget_usd"], flags.budget.map(|budget| (budget.0 as f64 / NanoUsd::PER_USD as f64).into()), "--budget");
    say(&["run", "jobs"], flags.jobs.map(|jobs| i64::from(jobs.get()).into()), "--jobs");
    say(&["run", "escalate"], flags.escalate.map(|escalate| escalate.name().into()), "--escalate");
    say(&["run", "allow_unpriced"], flags.allow_unpriced.then(|| true.into()), "--allow-unpriced");
    say(&["tools", "allow_write"], flags.allow_write.then(|| true.into()), "--allow-write");
}
