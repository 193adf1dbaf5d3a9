//! `meno config [KEY[=VALUE]]`: the settings with their sources, and changing one in the store's file.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cli::args::ConfigArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open::{self, Opening, store_with};
use crate::cli::output::table::{Fit, Table};
use crate::cli::output::{Printer, sanitize, words};
use crate::memory::embed::named;
use crate::settings::place::CONFIG;
use crate::settings::{SettingValue, Source, TrustedStores, edit, is_trusted};
use crate::workspace::{Access, Workspace};

/// `config --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigDocument {
    /// The store's folder.
    pub store: String,
    /// All that the store's file says counts.
    pub trusted: bool,
    /// The settings asked for that have a value, by key.
    pub values: Vec<ConfigValue>,
    /// What was not heeded, and why.
    pub notices: Vec<String>,
}

/// One setting.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigValue {
    /// The dotted key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
}

/// Shows settings, or changes one. `KEY=` with nothing after it takes the key out of the store's file.
///
/// # Errors
/// When a file or the key or value is wrong, or the file cannot be written.
pub fn run(context: &mut Context, args: &ConfigArgs) -> Result<Exit> {
    let Some(setting) = &args.setting else {
        let workspace = open::store(context, Access::Surroundings)?;
        let document = document(&workspace, |_| true)?;
        return table(&mut context.out, &document);
    };
    let key = setting.key.as_str();
    if let Some(value) = &setting.value {
        change(context, key, value)?;
    }
    let workspace = open::store(context, Access::Surroundings)?;
    let inside = format!("{key}.");
    let document = document(&workspace, |known| known == key || known.starts_with(&inside))?;
    if document.values.iter().any(|value| value.key.starts_with(&inside)) {
        return table(&mut context.out, &document);
    }
    // An unknown key is told from one that has no value.
    workspace.resolved.value(key)?;
    if context.out.json() {
        context.out.document(&document)?;
        return Ok(Exit::Done);
    }
    match (document.values.first(), &setting.value) {
        (Some(known), None) => {
            context.out.verbatim(words_of(&known.value))?;
            context.out.detail(format!("from {}", sanitize::line(&known.source.to_string())));
        }
        (Some(known), Some(_)) if !matches!(known.source, Source::Store(_)) => {
            let (value, source) = (words_of(&known.value), known.source.to_string());
            context.out.say(format!("what counts is {value}, from {}", sanitize::line(&source)));
        }
        (None, _) => context.out.say(format!("`{}` is not set", sanitize::line(key))),
        _ => {}
    }
    Ok(Exit::Done)
}

fn change(context: &mut Context, key: &str, value: &str) -> Result<()> {
    if key == "memory.model" && !value.is_empty() {
        known_model(value)?;
    }
    // What the settings have to tell is told when they are shown, after the change.
    let hushed = || Opening { hush: true, ..Opening::default() };
    let opened = store_with(context, Access::Surroundings, hushed())?;
    let (mut place, trusted_stores) = (opened.store.clone(), opened.places.trusted_stores());
    drop(opened);
    if !place.path.is_dir() {
        // A wrong key or value leaves no store behind.
        edit::set(&place.path.join(CONFIG), "", key, value)
            .map(drop)
            .or_else(|error| if value.is_empty() { Ok(()) } else { Err(error) })?;
        place = store_with(context, Access::Write, hushed())?.store;
    }
    let file = place.path.join(CONFIG);
    let edited = || edit::edit_file(&file, key, Some(value).filter(|value| !value.is_empty()));
    TrustedStores::keeping(&trusted_stores, &place.path, edited)?;
    let did = if value.is_empty() { "took" } else { "set" };
    let whence = if value.is_empty() { "out of" } else { "in" };
    context.out.say(format!("{did} `{}` {whence} {}", sanitize::line(key), sanitize::line(&file.display().to_string())));
    Ok(())
}

/// Refuses the name of an embedding model that nobody has: it would only be found out when something is searched.
fn known_model(value: &str) -> Result<()> {
    let name = value.trim_matches(['"', '\'']);
    let (builtin, _) = named::builtin();
    if name == builtin || named::find(name).is_some() {
        return Ok(());
    }
    let all = named::all();
    let known = std::iter::once(builtin).chain(all.iter().map(|model| model.name.as_str()));
    let message = format!("`memory.model` cannot be {}: there is no such embedding model", sanitize::line(value));
    Err(CliError::invalid(message).suggest(name, known, "`meno model list` shows the models"))
}

fn document(workspace: &Workspace, wanted: impl Fn(&str) -> bool) -> Result<ConfigDocument> {
    let sources = workspace.resolved.sources.iter().filter(|(key, _)| wanted(key));
    Ok(ConfigDocument {
        store: workspace.store.path.display().to_string(),
        trusted: is_trusted(&workspace.places, &workspace.store)?,
        values: sources
            .map(|(key, shown)| ConfigValue { key: key.clone(), value: json(shown), source: shown.source.clone() })
            .collect(),
        notices: workspace.resolved.notices.clone(),
    })
}

/// Reads a value's TOML; what would not be any is shown as the text that it is.
fn json(shown: &SettingValue) -> Value {
    let table = toml::from_str::<serde_json::Map<String, Value>>(&format!("value = {}", shown.value));
    table.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::from(shown.value.as_str()))
}

fn words_of(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        value => words::value(value),
    }
}

fn table(out: &mut Printer, document: &ConfigDocument) -> Result<Exit> {
    if out.json() {
        out.document(document)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(out, &[("key", Fit::Whole), ("value", Fit::Words), ("source", Fit::Words)]);
    for known in &document.values {
        table.row([known.key.clone(), words_of(&known.value), known.source.to_string()]);
    }
    out.data(table.finish())?;
    Ok(Exit::Done)
}
