//! Values over values: each key keeps all that was said about it, weakest first, and who said it.
//!
//! What counts is the last; what lies beneath is kept because trust asks for it: a key may only go to the address that the same
//! party gave, and an untrusted store may only be stricter than what the user had said.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Serialize;
use toml::{Table, Value};

use super::file::{Config, Preset};
use super::{keys, origin};

/// Where a value comes from, weakest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "from", content = "name")]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// A preset filled it.
    Preset(Preset),
    /// The user's `config.toml`.
    User(PathBuf),
    /// The store's `config.toml`.
    Store(PathBuf),
    /// This environment variable.
    Environment(&'static str),
    /// This option of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(preset) => write!(f, "preset {preset}"),
            Self::User(path) | Self::Store(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value as TOML writes it, and its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingValue {
    /// The value in TOML.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// The segments of a dotted key.
pub(super) type Path = Vec<String>;

/// Builds a path of segments.
pub(super) fn path(segments: &[&str]) -> Path {
    segments.iter().map(|&segment| segment.to_owned()).collect()
}

/// Borrows the segments of a path.
pub(super) fn segments(path: &Path) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// What was said about each key, weakest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    values: BTreeMap<Path, Vec<(Value, Source)>>,
}

impl Layers {
    /// Says `value` about `path`, over all that was said before.
    pub(super) fn say(&mut self, path: Path, value: impl Into<Value>, source: Source) {
        self.values.entry(path).or_default().push((value.into(), source));
    }

    /// Says `value` about `path` if nobody has said anything.
    pub(super) fn say_if_silent(&mut self, path: Path, value: impl Into<Value>) {
        self.values.entry(path).or_insert_with(|| vec![(value.into(), Source::Default)]);
    }

    /// Forgets what was said about `prefix` and all beneath it.
    pub(super) fn forget(&mut self, prefix: &[&str]) {
        self.values.retain(|path, _| !starts_with(path, prefix));
    }

    /// Returns what counts for `path`, and who said it.
    pub(super) fn get(&self, path: &[&str]) -> Option<&(Value, Source)> {
        self.history(path).last()
    }

    /// Returns the text that counts for `path`.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        self.get(path).and_then(|(value, _)| value.as_str())
    }

    /// Returns all that was said about `path`, weakest first.
    pub(super) fn history(&self, path: &[&str]) -> &[(Value, Source)] {
        let path: Path = self::path(path);
        self.values.get(&path).map_or(&[], Vec::as_slice)
    }

    /// Returns the names beneath `prefix`, each once, in order.
    pub(super) fn names(&self, prefix: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = self
            .values
            .keys()
            .filter(|path| starts_with(path, prefix))
            .filter_map(|path| path.get(prefix.len()).cloned())
            .collect();
        names.dedup();
        names
    }

    /// Puts a tier's or a preset's worth of `table` beneath `prefix`.
    pub(super) fn say_table(&mut self, prefix: &[&str], table: &Table, source: &Source) {
        for (mut key, value) in leaves(table) {
            key.splice(0..0, prefix.iter().map(|&segment| segment.to_owned()));
            self.say(key, value, source.clone());
        }
    }

    /// Fills the three tiers from `preset`; whatever weaker sources said about tiers, the judge's too, is void.
    pub(super) fn choose(&mut self, preset: Preset, source: Source) {
        self.forget(&["tiers"]);
        self.say(path(&["preset"]), preset.name(), source);
        if let Some(tiers) = defaults().preset.get(preset.name()) {
            self.say_table(&["tiers"], tiers, &Source::Preset(preset));
        }
    }

    /// Puts one file's values over what was said.
    ///
    /// Within one source `[tiers]` win over `preset`; a stronger source's preset wins over a weaker one's tiers, so that
    /// `--preset simulated` never meets a paid model. A tier whose provider or model is named anew does not keep the old model's
    /// properties, and a provider whose key is named anew does not keep the way of sending that came with the old one.
    pub(super) fn say_file(&mut self, values: Vec<(Path, Value)>, source: &Source) {
        let says = |wanted: &[&str]| values.iter().any(|(path, _)| path.iter().map(String::as_str).eq(wanted.iter().copied()));
        let preset = values.iter().find(|(path, _)| path == &["preset"]).and_then(|(_, value)| value.as_str()?.parse().ok());
        if let Some(preset) = preset {
            self.choose(preset, source.clone());
        }
        for tier in ["cheap", "capable", "premium", "judge"] {
            if says(&["tiers", tier, "provider"]) {
                self.forget(&["tiers", tier]);
            } else if says(&["tiers", tier, "model"]) {
                self.forget(&["tiers", tier, "context_tokens"]);
                self.forget(&["tiers", tier, "effort"]);
            }
        }
        // A list of programs and tables of them do not mix: the stronger source's way counts.
        if values.iter().any(|(path, _)| starts_with(path, &["tools", "commands"])) {
            let is_list = says(&["tools", "commands"]);
            self.values.retain(|path, _| !starts_with(path, &["tools", "commands"]) || (path.len() == 2) == is_list);
        }
        for name in self.names(&["providers"]) {
            if says(&["providers", &name, "api_key_env"]) {
                self.forget(&["providers", &name, "auth"]);
            }
        }
        for (path, value) in values {
            if path != ["preset"] {
                self.say(path, value, source.clone());
            }
        }
    }

    /// Returns the values that count as one table.
    pub(super) fn merged(&self) -> Table {
        let mut root = Table::new();
        for (path, said) in &self.values {
            let (Some((last, parents)), Some((value, _))) = (path.split_last(), said.last()) else { continue };
            let parent = parents.iter().try_fold(&mut root, |table, segment| {
                table.entry(segment.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut()
            });
            if let Some(parent) = parent {
                parent.insert(last.clone(), value.clone());
            }
        }
        root
    }

    /// Returns every key with the value that counts and its source, fit to be shown.
    pub(super) fn shown(&self) -> BTreeMap<String, SettingValue> {
        let shown = |(path, said): (&Path, &Vec<(Value, Source)>)| {
            let (value, source) = said.last()?;
            let value = match value {
                Value::String(text) if path.last().is_some_and(|last| last == "base_url") => Value::from(origin::shown(text)),
                value => value.clone(),
            };
            Some((keys::dotted(path), SettingValue { value: value.to_string(), source: source.clone() }))
        };
        self.values.iter().filter_map(shown).collect()
    }
}

fn starts_with(path: &[String], prefix: &[&str]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(segment, wanted)| segment == wanted)
}

/// Returns the values of `table` by their paths; arrays are values.
pub(super) fn leaves(table: &Table) -> Vec<(Path, Value)> {
    fn descend(table: &Table, path: &mut Path, leaves: &mut Vec<(Path, Value)>) {
        for (name, value) in table {
            path.push(name.clone());
            match value {
                Value::Table(inner) => descend(inner, path, leaves),
                value => leaves.push((path.clone(), value.clone())),
            }
            path.pop();
        }
    }
    let mut leaves = Vec::new();
    descend(table, &mut Vec::new(), &mut leaves);
    leaves
}

/// What Meno chooses where nobody else does.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// As a `config.toml` would say it.
    pub(super) settings: Table,
    /// Beneath every provider.
    pub(super) provider: Table,
    /// Beneath every tier.
    pub(super) tier: Table,
    /// Beneath every MCP server.
    pub(super) mcp: Table,
    /// The tiers of each preset.
    pub(super) preset: BTreeMap<String, Table>,
}

/// Returns the embedded defaults.
pub(super) fn defaults() -> &'static Defaults {
    static DEFAULTS: LazyLock<Defaults> = LazyLock::new(|| {
        toml::from_str(include_str!("defaults.toml")).expect("the embedded defaults are valid, as their test shows")
    });
    &DEFAULTS
}

/// Returns the values of a file by their paths.
pub(super) fn values_of(config: &Config) -> Vec<(Path, Value)> {
    // A `Config` has neither nulls nor maps with keys that are not text, the only things that TOML cannot hold.
    Table::try_from(config).map(|table| leaves(&table)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file;

    #[test]
    fn the_embedded_defaults_are_valid_settings() {
        let text = toml::to_string(&defaults().settings).expect("a table");
        assert_eq!(file::parse(&text), Ok(defaults().settings.clone().try_into().expect("settings")));
        for preset in Preset::ALL {
            let tiers = &defaults().preset[preset.name()];
            let text = toml::to_string(&Table::from_iter([("tiers".to_owned(), Value::Table(tiers.clone()))])).expect("a table");
            assert!(file::parse(&text).is_ok_and(|config| config.tiers.premium.is_some()), "{preset}");
        }
    }

    #[test]
    fn a_file_survives_being_taken_apart() {
        let text = "preset = \"mixed\"\n[run]\njobs = 7\nbudget_usd = 2.5\n[providers.\"a.b\"]\nheaders = { X-Y = \"z\" }\n\
                    [tiers.cheap]\nfallbacks = [{ provider = \"p\", model = \"m\" }]\n";
        let config = file::parse(text).expect("valid");
        let mut layers = Layers::default();
        for (path, value) in values_of(&config) {
            layers.say(path, value, Source::Default);
        }
        assert_eq!(layers.merged().try_into::<Config>().expect("settings"), config);
    }
}
