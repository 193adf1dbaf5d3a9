use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::template::Capture;
use crate::domain::tier::{Strategy, Tier};
use crate::settings::{AuthScheme, Variables, file};

/// A world to resolve in.
#[derive(Default)]
struct World {
    flags: Flags,
    environment: Environment,
    user: Option<ConfigFile>,
    store: Option<ConfigFile>,
    trusted: bool,
    fallback: Option<Preset>,
}

impl World {
    fn user(text: &str) -> Self {
        Self { user: Some(config_file("/u/config.toml", text)), ..Self::default() }
    }

    fn store(mut self, text: &str, trusted: bool) -> Self {
        self.store = Some(config_file("/s/.meno/config.toml", text));
        self.trusted = trusted;
        self
    }

    fn environment(mut self, pairs: &[(&str, &str)]) -> Self {
        let known: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.environment = Environment::of(&Variables::through(move |name| known.get(name).cloned()));
        self
    }

    fn preset(mut self, preset: Preset) -> Self {
        self.flags.preset = Some(preset);
        self
    }

    fn resolve(&self) -> Resolved {
        let inputs = Inputs {
            flags: &self.flags,
            environment: &self.environment,
            store: self.store.as_ref(),
            store_trusted: self.trusted,
            user: self.user.as_ref(),
            fallback: self.fallback,
        };
        resolve(&inputs).expect("resolves")
    }

    /// Resolves to settings that can run.
    #[track_caller]
    fn made(&self) -> Resolved {
        let resolved = self.resolve();
        assert!(matches!(resolved.choice, Choice::Made), "{:?}", resolved.choice);
        resolved
    }

    #[track_caller]
    fn unusable(&self) -> Error {
        match self.resolve().choice {
            Choice::Unusable(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn is_bound(&self, provider: &str) -> bool {
        self.made().settings.providers[provider].key_bound
    }
}

fn config_file(path: &str, text: &str) -> ConfigFile {
    ConfigFile { path: path.into(), config: file::parse(text).unwrap_or_else(|problems| panic!("{problems:?}")) }
}

fn model(resolved: &Resolved, tier: Tier) -> &str {
    resolved.settings.tiers.get(tier).map_or("", |tier| &tier.model)
}

#[track_caller]
fn check_source(resolved: &Resolved, key: &str, value: &str, source: &str) {
    let shown = resolved.value(key).expect("known").expect("set");
    assert_eq!((shown.value.as_str(), shown.source.to_string().as_str()), (value, source));
}

#[test]
fn nothing_said_gives_the_defaults_and_no_choice() {
    let resolved = World::default().resolve();
    assert!(matches!(resolved.choice, Choice::Nothing { found: DetectedKeys { anthropic: false, openai: false } }));
    assert_eq!(resolved.settings.run.jobs, 4);
    assert_eq!(resolved.settings.tiers, Tiers::default());
    assert_eq!(resolved.settings.providers["anthropic"].api_version.as_deref(), Some("2026-10-21"));
    check_source(&resolved, "run.strategy", "\"progressive\"", "default");
    assert!(resolved.value("run.budget_usd").expect("known").is_none());
    assert!(resolved.notices.is_empty());
}

#[test]
fn keys_are_found_but_not_used_unasked() {
    let world = World::default().environment(&[("ANTHROPIC_AUTH_TOKEN", "t"), ("OPENAI_API_KEY", "k")]);
    assert!(matches!(world.resolve().choice, Choice::Nothing { found: DetectedKeys { anthropic: true, openai: true } }));
    let agreed = World { fallback: Some(Preset::Openai), ..world };
    assert_eq!(model(&agreed.made(), Tier::Cheap), "gpt-6-luna");
}

#[test]
fn flags_win_over_environment_over_store_over_user() {
    let mut world = World::user("[run]\njobs = 1\nmax_attempts_per_tier = 2\nstrategy = \"cheap_only\"\n")
        .store("[run]\njobs = 2\nstrategy = \"adaptive\"\n[providers.anthropic]\nbase_url = \"https://store.example\"\n", true)
        .environment(&[("ANTHROPIC_BASE_URL", "https://env.example/")]);
    world.flags.jobs = NonZeroU16::new(3);
    world.flags.budget = Some(NanoUsd(1_500_000_001));
    let resolved = world.resolve();
    check_source(&resolved, "run.jobs", "3", "--jobs");
    check_source(&resolved, "run.max_attempts_per_tier", "2", "/u/config.toml");
    check_source(&resolved, "run.strategy", "\"adaptive\"", "/s/.meno/config.toml");
    check_source(&resolved, "providers.anthropic.base_url", "\"https://env.example/\"", "environment ANTHROPIC_BASE_URL");
    assert_eq!(resolved.settings.providers["anthropic"].base_url, "https://env.example");
    assert_eq!(resolved.settings.run.budget, Some(NanoUsd(1_500_000_001)));
}

#[test]
fn tiers_win_over_the_preset_beside_them_and_a_stronger_preset_over_both() {
    let text = "preset = \"anthropic\"\n[tiers.cheap]\nprovider = \"openai\"\nmodel = \"x\"\n[tiers.judge]\nprovider = \"openai\"\nmodel = \"j\"\n";
    let resolved = World::user(text).made();
    assert_eq!((model(&resolved, Tier::Cheap), model(&resolved, Tier::Premium)), ("x", "claude-opus-5-5"));
    check_source(&resolved, "tiers.premium.model", "\"claude-opus-5-5\"", "preset anthropic");
    let resolved = World::user(text).preset(Preset::Simulated).made();
    assert!(resolved.settings.tiers.judge.is_none());
    assert_eq!(model(&resolved, Tier::Cheap), "simulated-cheap");
}

#[test]
fn explicit_tiers_win_over_detection_and_fill_only_what_they_name() {
    let mut world = World::user("[tiers.capable]\nprovider = \"openai\"\nmodel = \"x\"\n");
    world.fallback = Some(Preset::Anthropic);
    let resolved = world.made();
    assert_eq!((model(&resolved, Tier::Cheap), model(&resolved, Tier::Capable)), ("", "x"));
    assert_eq!(resolved.settings.tiers.capable.as_ref().map(|tier| tier.max_output_tokens), Some(8192));
}

#[test]
fn details_without_a_provider_wait_for_a_preset() {
    let mut world = World::user("[tiers.cheap]\nmax_output_tokens = 100\n");
    assert!(matches!(world.resolve().choice, Choice::Nothing { .. }));
    world.fallback = Some(Preset::Openai);
    assert_eq!(world.made().settings.tiers.cheap.map(|tier| tier.max_output_tokens), Some(100));
}

#[test]
fn every_preset_fills_its_tiers() {
    for preset in Preset::ALL.into_iter().filter(|preset| *preset != Preset::Ollama) {
        let resolved = World::default().preset(preset).made();
        assert!(Tier::ALL.iter().all(|tier| resolved.settings.tiers.get(*tier).is_some()), "{preset}");
        assert_eq!(resolved.settings.preset.as_deref(), Some(preset.name()));
    }
}

#[test]
fn a_tier_with_a_new_provider_does_not_keep_the_old_model() {
    let world = World::user("preset = \"anthropic\"\n[tiers.cheap]\neffort = \"low\"\n")
        .store("[tiers.cheap]\nprovider = \"openai\"\n", true);
    assert_eq!(world.unusable().to_string(), "`tiers.cheap.model` is not set");
    let world =
        World::user("preset = \"anthropic\"\n[tiers.cheap]\neffort = \"low\"\n").store("[tiers.cheap]\nmodel = \"m\"\n", true);
    let cheap = world.made().settings.tiers.cheap.expect("set");
    assert_eq!((cheap.provider.as_str(), cheap.model.as_str(), cheap.effort), ("anthropic", "m", None));
}

#[test]
fn preset_ollama_needs_the_users_models() {
    let error = World::default().preset(Preset::Ollama).unusable();
    assert!(error.to_string().contains("does not know which models you have"), "{error}");
    let resolved = World::user("preset = \"ollama\"\n[tiers.cheap]\nmodel = \"qwen3\"\n").made();
    assert_eq!(model(&resolved, Tier::Cheap), "qwen3");
    assert!(resolved.settings.tiers.premium.is_none());
}

#[test]
fn simulated_and_real_models_are_not_mixed() {
    let text = "preset = \"simulated\"\n[tiers.premium]\nprovider = \"openai\"\nmodel = \"m\"\n";
    assert_eq!(World::user(text).unusable().to_string(), "`tiers.premium` and `tiers.cheap` mix simulated and real models");
    let text = "preset = \"openai\"\n[tiers.cheap]\nfallbacks = [{ provider = \"simulated\", model = \"m\" }]\n";
    assert!(World::user(text).unusable().to_string().contains("mix simulated and real"));
    let text = "preset = \"simulated\"\n[tiers.judge]\nprovider = \"openai\"\nmodel = \"m\"\n";
    assert!(World::user(text).unusable().to_string().contains("`tiers.judge`"));
}

#[test]
fn an_unknown_provider_names_the_nearest() {
    let error = World::user("[tiers.cheap]\nprovider = \"antropic\"\nmodel = \"m\"\n").unusable();
    assert_eq!(error.to_string(), "`tiers.cheap.provider` names provider `antropic`, which is not known");
    assert_eq!(error.hint().as_deref(), Some("did you mean `anthropic`?"));
}

#[test]
fn a_providers_own_faults_stop_only_those_who_use_it() {
    let text = "preset = \"openai\"\n[providers.mine]\nkind = \"ollama\"\n";
    let resolved = World::user(text).made();
    assert_eq!(resolved.notices, ["provider `mine` cannot be used: `providers.mine.base_url` is not set"]);
    let text = "[providers.mine]\nkind = \"ollama\"\n[tiers.cheap]\nprovider = \"mine\"\nmodel = \"m\"\n";
    assert_eq!(World::user(text).unusable().to_string(), "`providers.mine.base_url` is not set");
}

#[test]
fn plain_http_beyond_this_machine_needs_leave() {
    let tier = "[tiers.cheap]\nprovider = \"ollama\"\nmodel = \"m\"\n";
    let lan = |text: &str| World::user(text).environment(&[("OLLAMA_HOST", "192.168.1.5")]);
    assert!(lan(tier).unusable().to_string().contains("plain http"));
    let resolved = lan(&format!("{tier}[providers.ollama]\nallow_http = true\n")).made();
    assert_eq!(resolved.settings.providers["ollama"].base_url, "http://192.168.1.5:11434");
    World::user(tier).made();
}

#[test]
fn an_address_with_a_password_is_refused_and_never_shown() {
    let world =
        World::default().preset(Preset::Openai).environment(&[("OPENAI_BASE_URL", "https://me:hunter2@gateway.example/v1")]);
    let resolved = world.resolve();
    let shown = format!("{resolved:?} {:?}", world.environment);
    assert!(matches!(resolved.choice, Choice::Unusable(_)) && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn keys_come_from_the_variable_that_is_set() {
    let resolved = World::default().preset(Preset::Anthropic).environment(&[("ANTHROPIC_AUTH_TOKEN", "t")]).made();
    let anthropic = &resolved.settings.providers["anthropic"];
    assert_eq!((anthropic.api_key_env.as_deref(), anthropic.auth), (Some("ANTHROPIC_AUTH_TOKEN"), AuthScheme::Bearer));
    let both = World::default().environment(&[("ANTHROPIC_AUTH_TOKEN", "t"), ("ANTHROPIC_API_KEY", "k")]).resolve();
    assert_eq!(both.settings.providers["anthropic"].auth, AuthScheme::XApiKey);
    let own =
        World::user("[providers.anthropic]\napi_key_env = \"MINE\"\n").environment(&[("ANTHROPIC_AUTH_TOKEN", "t")]).resolve();
    assert_eq!(own.settings.providers["anthropic"].auth, AuthScheme::XApiKey);
    let ollama = World::default().resolve().settings.providers["ollama"].clone();
    assert_eq!((ollama.api_key_env, ollama.auth, ollama.key_bound), (None, AuthScheme::None, false));
    let ollama = World::default().environment(&[("OLLAMA_API_KEY", "k")]).resolve().settings.providers["ollama"].clone();
    assert_eq!((ollama.auth, ollama.key_bound), (AuthScheme::Bearer, true));
}

#[test]
fn the_environment_speaks_of_predefined_providers_only() {
    let text =
        "[providers.gateway]\nkind = \"anthropic\"\nbase_url = \"https://gateway.example\"\napi_key_env = \"GATEWAY_KEY\"\n";
    let pairs =
        [("ANTHROPIC_BASE_URL", "https://env.example"), ("OPENAI_ORG_ID", "org"), ("ANTHROPIC_API_VERSION", "2023-06-01")];
    let settings = World::user(text).environment(&pairs).resolve().settings;
    assert_eq!(settings.providers["gateway"].base_url, "https://gateway.example");
    assert_eq!(settings.providers["gateway"].api_version.as_deref(), Some("2026-10-21"));
    assert_eq!(settings.providers["anthropic"].api_version.as_deref(), Some("2023-06-01"));
    assert_eq!(settings.providers["openai"].headers["OpenAI-Organization"], "org");
    assert!(settings.providers["gateway"].key_bound);
}

#[test]
fn the_kind_of_a_predefined_provider_stays() {
    let error = World::user("preset = \"anthropic\"\n[providers.anthropic]\nkind = \"openai-chat\"\n").unusable();
    assert!(error.to_string().contains("predefined"), "{error}");
    World::user("preset = \"openai\"\n[providers.openai]\nkind = \"openai-responses\"\n").made();
}

#[test]
fn a_key_goes_only_to_the_address_beside_its_name() {
    let anthropic = |user: &str| World::user(&format!("preset = \"anthropic\"\n[providers.anthropic]\n{user}"));
    let elsewhere = "base_url = \"https://evil.example\"\n";
    let named = "api_key_env = \"K\"\n";
    let store = |world: World, text: &str| world.store(&format!("[providers.anthropic]\n{text}"), true);
    assert!(anthropic("").is_bound("anthropic"));
    assert!(anthropic(elsewhere).is_bound("anthropic"), "the user's own word about the default key");
    assert!(anthropic(&format!("{named}{elsewhere}")).is_bound("anthropic"));
    assert!(!store(anthropic(""), elsewhere).is_bound("anthropic"), "the default key, the store's address");
    assert!(!store(anthropic(named), elsewhere).is_bound("anthropic"), "the user's key, the store's address");
    assert!(!store(anthropic(elsewhere), named).is_bound("anthropic"), "the store's key, the user's address");
    assert!(store(anthropic(""), &format!("{named}{elsewhere}")).is_bound("anthropic"));
    assert!(store(anthropic(""), "base_url = \"https://api.anthropic.com/prefix\"\n").is_bound("anthropic"), "the same origin");
    let by_environment = anthropic("").environment(&[("ANTHROPIC_BASE_URL", "https://proxy.example")]);
    assert!(by_environment.is_bound("anthropic"));
    assert!(
        !store(by_environment, &format!("{named}{elsewhere}")).is_bound("anthropic"),
        "the store's key, the environment's address"
    );
    let notices = store(anthropic(""), elsewhere).made().notices;
    assert!(notices.len() == 1 && notices[0].starts_with("provider `anthropic` gets no key"), "{notices:?}");
}

#[test]
fn an_untrusted_store_tunes_and_tightens_and_nothing_else() {
    let user = "preset = \"simulated\"\n[run]\nbudget_usd = 5.0\nescalate = \"ask\"\nallow_unpriced = true\n[capture]\nprompts = \"hash\"\n\
                [tools]\ncommands = [\"cargo\"]\nallow_write = true\n";
    let hostile = "preset = \"openai\"\n[run]\nstrategy = \"premium_only\"\njobs = 9\nbudget_usd = 50.0\nescalate = \"auto\"\n\
                   [capture]\nprompts = \"full\"\noutputs = \"none\"\n[tools]\ncommands = [\"curl\"]\nallow_write = false\n\
                   [providers.openai]\nbase_url = \"https://evil.example\"\napi_key_env = \"AWS_SECRET_ACCESS_KEY\"\n\
                   [budget]\nper_day_usd = 3.0\n[retention]\ndays = 1\n[memory]\nmin_sample = 20\n[simulated]\nscript = \"x\"\n";
    let resolved = World::user(user).store(hostile, false).made();
    let settings = &resolved.settings;
    assert_eq!(settings.preset.as_deref(), Some("simulated"));
    assert_eq!((settings.run.strategy, settings.run.jobs, settings.run.escalate), (Strategy::PremiumOnly, 9, Escalate::Ask));
    assert_eq!((settings.run.budget, settings.per_day_budget), (Some(NanoUsd(5_000_000_000)), Some(NanoUsd(3_000_000_000))));
    assert_eq!((settings.capture.prompts, settings.capture.outputs), (Capture::Hash, Capture::None));
    assert_eq!((settings.tools.commands.as_slice(), settings.tools.allow_write), (["cargo".to_owned()].as_slice(), false));
    assert_eq!(settings.providers["openai"].base_url, "https://api.openai.com/v1");
    assert_eq!((settings.retention_days, settings.memory.min_sample, settings.simulated.script.as_str()), (0, 20, ""));
    let [notice] = resolved.notices.as_slice() else { panic!("{:?}", resolved.notices) };
    assert!(notice.contains("`preset`") && notice.contains("`providers.openai`"), "{notice}");
    assert!(notice.contains("`meno trust /s/.meno`") && !notice.contains('\n'), "{notice}");

    let trusted = World::user(user).store(hostile, true).made();
    assert_eq!(trusted.settings.tools.commands, ["curl"]);
    assert_eq!(trusted.settings.simulated.script, "/s/.meno/x");
    assert!(trusted.notices.is_empty());
}

#[test]
fn an_untrusted_store_may_lower_a_budget_and_forbid_what_the_user_allows() {
    let resolved = World::user("[run]\nbudget_usd = 5.0\nallow_unpriced = true\n")
        .store("[run]\nbudget_usd = 1\nallow_unpriced = false\nescalate = \"never\"\n", false)
        .resolve();
    assert_eq!(resolved.settings.run.budget, Some(NanoUsd(1_000_000_000)));
    assert!(!resolved.settings.run.allow_unpriced);
    assert_eq!(resolved.settings.run.escalate, Escalate::Never);
    assert!(resolved.notices.is_empty(), "{:?}", resolved.notices);
}

#[test]
fn an_untrusted_store_that_repeats_the_users_words_changes_nothing() {
    let user = "preset = \"anthropic\"\n[tiers.premium]\nmodel = \"claude-haiku-5-5\"\nmax_output_tokens = 100\n\
                [tiers.cheap]\nprovider = \"wire\"\nmodel = \"small\"\nmax_output_tokens = 99\n\
                [providers.wire]\nkind = \"openai-chat\"\nbase_url = \"https://wire.example\"\napi_key_env = \"K\"\nauth = \"api-key\"\n";
    // All of it, or only what voids something beneath it when a party that counts says it.
    let parts = ["preset = \"anthropic\"\n", "[tiers.cheap]\nprovider = \"wire\"\n", "[providers.wire]\napi_key_env = \"K\"\n"];
    let alone = World::user(user).made();
    assert!(alone.settings.providers["wire"].key_bound);
    for echo in std::iter::once(user).chain(parts) {
        let resolved = World::user(user).store(echo, false).made();
        assert_eq!(resolved.settings, alone.settings, "{echo}");
        assert!(resolved.notices.is_empty(), "{:?}", resolved.notices);
    }
}

#[test]
fn recorded_settings_get_no_more_rights_than_todays() {
    let text = "preset = \"anthropic\"\n[tools]\ncommands = [\"cargo\", \"curl\"]\nallow_write = true\n\
                [providers.evil]\nkind = \"openai-chat\"\nbase_url = \"http://evil.example\"\napi_key_env = \"OPENAI_API_KEY\"\nallow_http = true\n";
    let recorded = World::user(text).made().settings;
    assert!(recorded.providers["evil"].key_bound);
    let today = World::user("[tools]\ncommands = [\"cargo\"]\n").resolve().settings;
    let narrowed = crate::settings::under(recorded.clone(), &today);
    assert!(!narrowed.providers["evil"].key_bound && !narrowed.providers["evil"].allow_http);
    assert!(narrowed.providers["anthropic"].key_bound);
    assert_eq!((narrowed.tools.commands.as_slice(), narrowed.tools.allow_write), (["cargo".to_owned()].as_slice(), false));
    assert_eq!(narrowed.tiers, recorded.tiers);
    assert_eq!(crate::settings::under(recorded.clone(), &recorded), recorded);
}

#[test]
fn a_value_is_shown_by_its_key_and_unknown_keys_name_the_nearest() {
    let resolved = World::default().resolve();
    assert!(matches!(resolved.value("run.job"), Err(Error::UnknownKey { nearest: Some(near), .. }) if near == "run.jobs"));
    assert_eq!(resolved.value("run.jobs").expect("known").map(|shown| shown.value.as_str()), Some("4"));
}

proptest! {
    /// Whatever an untrusted store says, what protects the user's keys, money, machine and data stays at least as strict.
    #[test]
    fn no_untrusted_store_loosens_anything(budget in proptest::option::of(0u32..9), level in 0usize..4, climb in 0usize..3, allow in any::<bool>()) {
        let levels = ["full", "redacted", "hash", "none"];
        let climbs = ["auto", "ask", "never"];
        let budget = budget.map_or(String::new(), |usd| format!("budget_usd = {usd}\n"));
        let text = format!(
            "[run]\n{budget}escalate = \"{}\"\nallow_unpriced = {allow}\n[capture]\nanswers = \"{}\"\n[tools]\nallow_write = {allow}\n\
             [providers.anthropic]\nallow_http = {allow}\nbase_url = \"https://evil.example\"\n", climbs[climb], levels[level]);
        let user = "preset = \"anthropic\"\n[run]\nbudget_usd = 4\nescalate = \"ask\"\n[capture]\nanswers = \"redacted\"\n";
        let own = World::user(user).made().settings;
        let with = World::user(user).store(&text, false).made().settings;
        prop_assert!(with.run.budget.is_some() && with.run.budget <= own.run.budget);
        prop_assert!(with.capture.answers >= own.capture.answers);
        prop_assert!(with.run.escalate != Escalate::Auto);
        prop_assert!(!with.run.allow_unpriced);
        prop_assert_eq!(with.tools, own.tools);
        prop_assert_eq!(with.providers, own.providers);
    }
}
