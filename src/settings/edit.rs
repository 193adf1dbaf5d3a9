//! Changing one value of a `config.toml` while everything else in it, comments too, stays as it is.
//!
//! What comes out is read again before it is kept: an edit never leaves a file that Meno would refuse.

use std::path::Path;

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, Table, Value};

use super::error::Error;
use super::{file, keys, write};

/// The `config.toml` that `meno init` writes: every key, commented out.
pub const STARTER: &str = include_str!("starter.toml");

/// Returns `text` with `key` set to `value`.
///
/// The value is TOML; a text may stand without quotes, and a list of texts as words with commas between them.
///
/// # Errors
/// [`Error::UnknownKey`] for a key that is none, [`Error::Setting`] for a value that does not fit it, [`Error::File`] naming
/// `path` when the text was invalid before.
pub fn set(path: &Path, text: &str, key: &str, value: &str) -> Result<String, Error> {
    let segments = known(key)?;
    let mut document = document(path, text)?;
    let shape = keys::at(&segments).map_or(&Json::Null, |schema| schema);
    put(&mut document, &segments, read_value(shape, value)).ok_or_else(|| {
        Error::setting(
            keys::dotted(&segments),
            "cannot be set: a part of it is a value in the file",
            format!("edit {}", path.display()),
        )
    })?;
    checked(document, &segments)
}

/// Returns `text` without `key`; the tables that held it stay.
///
/// # Errors
/// As [`set`].
pub fn unset(path: &Path, text: &str, key: &str) -> Result<String, Error> {
    let segments = known(key)?;
    let mut document = document(path, text)?;
    if let Some((last, parents)) = segments.split_last() {
        let parent = parents.iter().try_fold(document.as_item_mut(), |item, segment| item.as_table_like_mut()?.get_mut(segment));
        parent.and_then(Item::as_table_like_mut).and_then(|table| table.remove(last));
    }
    checked(document, &segments)
}

/// Sets `key` in the file at `path`, or takes it away when `value` is `None`; a file that is not there is made.
///
/// # Errors
/// As [`set`], and [`Error::Io`]. The file is then as it was.
pub fn edit_file(path: &Path, key: &str, value: Option<&str>) -> Result<(), Error> {
    known(key)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    write::make_folder(folder)?;
    let _lock = write::lock(folder)?;
    let text = write::read(path)?.unwrap_or_default();
    let edited = match value {
        Some(value) => set(path, &text, key, value)?,
        None => unset(path, &text, key)?,
    };
    write::replace(path, &edited)
}

/// Sets or takes away several keys of the file at `path` at once: all of them or none.
///
/// # Errors
/// As [`edit_file`].
pub fn edit_all(path: &Path, edits: &[(&str, Option<String>)]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    write::make_folder(folder)?;
    let _lock = write::lock(folder)?;
    let mut text = write::read(path)?.unwrap_or_default();
    for (key, value) in edits {
        text = match value {
            Some(value) => set(path, &text, key, value)?,
            None => unset(path, &text, key)?,
        };
    }
    write::replace(path, &text)
}

/// Writes the commented starter file to `path` unless something is there; returns whether it did.
///
/// # Errors
/// [`Error::Io`] when it cannot be written.
pub fn write_starter(path: &Path) -> Result<bool, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let _lock = write::lock(folder)?;
    if write::read(path)?.is_some() {
        return Ok(false);
    }
    write::replace(path, STARTER).map(|()| true)
}

fn known(key: &str) -> Result<Vec<String>, Error> {
    let unknown = |nearest| Error::UnknownKey { key: key.escape_debug().to_string(), nearest };
    let segments = keys::split(key).ok_or_else(|| unknown(None))?;
    if keys::is_leaf(&segments) {
        return Ok(segments);
    }
    match keys::at(&segments) {
        Some(_) => {
            let example = keys::all().into_iter().find(|known| known.starts_with(&format!("{}.", segments[0])));
            let hint = example.map(|example| format!("name a key in it, such as `{example}`"));
            Err(Error::setting(keys::dotted(&segments), "is a table, not a value", hint))
        }
        None => Err(unknown(keys::nearest(&segments))),
    }
}

fn document(path: &Path, text: &str) -> Result<DocumentMut, Error> {
    let fault = |problems| Error::File { path: path.to_owned(), problems };
    file::parse(text).map_err(fault)?;
    toml_edit::Document::parse(text.to_owned()).map(toml_edit::Document::into_mut).map_err(|error| {
        let message = error.message().to_owned();
        fault(vec![super::Problem { line: 1, column: 1, key: String::new(), message, hint: None }])
    })
}

/// Reads what was typed: by the schema it is a text, a list of texts, or else TOML.
fn read_value(shape: &Json, typed: &str) -> Value {
    let toml = typed.trim().parse::<Value>();
    // Where a list or a table may stand, a list is what people type.
    let first = shape["type"].as_array().and_then(|types| types.first()).unwrap_or(&shape["type"]);
    match (first.as_str(), toml) {
        (Some("string"), Ok(value @ Value::String(_))) => value,
        (Some("string"), _) => Value::from(typed),
        (Some("array"), Ok(value @ Value::Array(_))) => value,
        (Some("array"), _) if shape["items"]["type"] == "string" => {
            Value::Array(typed.split(',').map(str::trim).filter(|word| !word.is_empty()).collect())
        }
        (_, Ok(value)) => value,
        // Not TOML: as a text it is refused in the words of the schema.
        (_, Err(_)) => Value::from(typed),
    }
}

/// Puts `value` where `path` says, making tables on the way; `None` when a value stands in the way.
fn put(document: &mut DocumentMut, path: &[String], mut value: Value) -> Option<()> {
    let (last, parents) = path.split_last()?;
    // In a file of comments only, the comments are what trails: the first table goes after them.
    let head = if document.as_table().is_empty() && !parents.is_empty() {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing("");
        trailing
    } else {
        String::new()
    };
    let mut item = document.as_item_mut();
    for (depth, segment) in parents.iter().enumerate() {
        let table = item.as_table_like_mut()?;
        if table.get(segment).is_none_or(Item::is_none) {
            let mut made = Table::new();
            // `[tiers.cheap]` alone, without an empty `[tiers]` above it.
            made.set_implicit(depth + 1 < parents.len());
            if depth + 1 == parents.len() {
                made.decor_mut().set_prefix(if head.is_empty() { "\n".to_owned() } else { format!("{}\n\n", head.trim_end()) });
            }
            table.insert(segment, Item::Table(made));
        }
        item = table.get_mut(segment)?;
    }
    let table = item.as_table_like_mut()?;
    match table.get_mut(last) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        _ => drop(table.insert(last, Item::Value(value))),
    }
    Some(())
}

/// Returns the text of `document` if Meno can read it; faults are told as faults of the value, since the text was valid before.
fn checked(document: DocumentMut, path: &[String]) -> Result<String, Error> {
    let text = document.to_string();
    match file::parse(&text) {
        Ok(_) => Ok(text),
        Err(problems) => {
            let problem = problems.into_iter().next();
            let (message, hint) = problem.map_or(("is not valid".to_owned(), None), |problem| (problem.message, problem.hint));
            Err(Error::setting(keys::dotted(path), message, hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::layers::{defaults, leaves, values_of};

    #[track_caller]
    fn check(text: &str, key: &str, value: &str, edited: &str) {
        assert_eq!(set(Path::new("config.toml"), text, key, value).expect("edited"), edited);
    }

    fn refused(text: &str, key: &str, value: &str) -> Error {
        set(Path::new("config.toml"), text, key, value).expect_err("refused")
    }

    #[test]
    fn an_edit_changes_one_value_and_keeps_every_comment() {
        let text = "# mine\n[run] # how\njobs = 4 # cores\n# end\n";
        check(text, "run.jobs", "8", "# mine\n[run] # how\njobs = 8 # cores\n# end\n");
        check(text, "run.strategy", "adaptive", "# mine\n[run] # how\njobs = 4 # cores\nstrategy = \"adaptive\"\n# end\n");
        check("", "tiers.cheap.model", "gpt-6-luna", "\n[tiers.cheap]\nmodel = \"gpt-6-luna\"\n");
        check("", "preset", "ollama", "preset = \"ollama\"\n");
        check("[tools]\n", "tools.commands", "cargo, ruff", "[tools]\ncommands = [\"cargo\", \"ruff\"]\n");
        check("tiers.cheap = { model = \"a\" }\n", "tiers.cheap.model", "b", "tiers.cheap = { model = \"b\" }\n");
        check("", "memory.model", "5", "\n[memory]\nmodel = \"5\"\n");
        check("", "run.budget_usd", "5", "\n[run]\nbudget_usd = 5\n");
    }

    #[test]
    fn the_starter_keeps_its_comments_before_the_first_table() {
        let edited = set(Path::new("c"), STARTER, "run.jobs", "2").expect("edited");
        assert!(edited.starts_with(STARTER.trim_end()) && edited.ends_with("\n\n[run]\njobs = 2\n"), "{edited}");
        let edited = set(Path::new("c"), &edited, "tools.allow_write", "true").expect("edited");
        assert!(
            edited.starts_with(STARTER.trim_end()) && edited.ends_with("[run]\njobs = 2\n\n[tools]\nallow_write = true\n"),
            "{edited}"
        );
    }

    #[test]
    fn a_wrong_value_is_refused_without_being_repeated() {
        let error = refused("", "run.jobs", "0");
        assert_eq!(error.to_string(), "`run.jobs` is less than 1");
        assert_eq!(refused("", "run.jobs", "many").to_string(), "`run.jobs` is not of type integer");
        let error = refused("", "providers.anthropic.api_key_env", "sk-ant-api03-xyz");
        assert!(!format!("{error:?} {error}").contains("xyz"), "{error:?}");
        let error = refused("", "run.strategy", "progresive");
        assert_eq!(error.hint().as_deref(), Some("did you mean `progressive`?"));
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        assert!(matches!(refused("", "run.job", "1"), Error::UnknownKey { nearest: Some(near), .. } if near == "run.jobs"));
        assert_eq!(refused("", "run", "1").to_string(), "`run` is a table, not a value");
        assert!(matches!(refused("", "a..b", "1"), Error::UnknownKey { nearest: None, .. }));
    }

    #[test]
    fn a_file_that_is_invalid_already_is_not_edited() {
        assert!(matches!(refused("[run]\njob = 1\n", "run.jobs", "1"), Error::File { .. }));
    }

    #[test]
    fn a_key_that_is_taken_away_leaves_the_rest() {
        let text = "[run]\njobs = 4\nstrategy = \"adaptive\" # why\n";
        assert_eq!(unset(Path::new("c"), text, "run.jobs").expect("edited"), "[run]\nstrategy = \"adaptive\" # why\n");
        assert_eq!(unset(Path::new("c"), text, "budget.per_day_usd").expect("edited"), text);
    }

    #[test]
    fn every_key_is_in_the_starter_with_its_default() {
        let uncommented: String = STARTER
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty()).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = file::parse(&uncommented).unwrap_or_else(|problems| panic!("{problems:?}"));
        let values = values_of(&config);
        let here = |path: &[String]| values.iter().find(|(known, _)| known == path).map(|(_, value)| value);
        for key in keys::all() {
            let example = key.replace("providers.NAME.headers.NAME", "providers.anthropic.headers.X-Team");
            let example = example.replace("providers.NAME", "providers.anthropic").replace("mcp.NAME.url", "mcp.remote.url");
            let example = example.replace("mcp.NAME.token_env", "mcp.remote.token_env").replace("mcp.NAME", "mcp.fs");
            let path = keys::split(&example).expect("a key");
            let elsewhere = ["tiers.capable.", "tiers.premium.", "tiers.judge."].iter().any(|prefix| key.starts_with(prefix));
            assert!(elsewhere || here(&path).is_some(), "{key} is not in the starter");
        }
        // Examples of what has no default, or only one that says nothing.
        for (path, value) in leaves(&defaults().settings) {
            let is_example = path[0] == "providers" && path[1] != "anthropic" || path == ["tools", "commands"];
            assert!(is_example || here(&path) == Some(&value), "{path:?} is not the default in the starter");
        }
        for (key, value) in &defaults().provider {
            assert_eq!(here(&["providers", "anthropic", key].map(str::to_owned)), Some(value), "{key}");
        }
        assert!(file::parse(STARTER).is_ok_and(|config| config == file::Config::default()));
    }

    #[test]
    fn files_are_made_edited_through_links_and_left_alone_on_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, link) = (folder.path().join("new/config.toml"), folder.path().join("link.toml"));
        edit_file(&path, "run.jobs", Some("3")).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("loosened");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        edit_file(&link, "run.jobs", Some("5")).expect("edited");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o644);
        edit_file(&link, "run.jobs", Some("0")).expect_err("refused");
        assert_eq!(fs::read_to_string(&path).expect("there"), "\n[run]\njobs = 5\n");
        edit_file(&path, "run.jobs", None).expect("taken away");
        assert_eq!(fs::read_dir(folder.path().join("new")).expect("there").count(), 2);
    }

    #[test]
    fn the_starter_never_overwrites() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("config.toml");
        assert!(write_starter(&path).expect("written"));
        edit_file(&path, "run.jobs", Some("3")).expect("edited");
        assert!(!write_starter(&path).expect("left"));
        assert!(fs::read_to_string(&path).expect("there").contains("jobs = 3"));
    }
}
