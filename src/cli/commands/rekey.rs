//! `meno rekey`: texts beside the log, encrypted or under another key.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::cli::args::RekeyArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::words;
use crate::settings::KeySource;
use crate::store::cipher::{KEY_BYTES, Key};
use crate::workspace::{Access, RekeyError};

/// What `rekey --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was encrypted anew, as `meno rekey --json` prints it")]
pub struct RekeyDocument {
    /// Texts that were written anew.
    pub changed: u64,
    /// Texts beside the log that are encrypted now.
    pub encrypted: u64,
    /// Texts beside the log that are not.
    pub plain: u64,
    /// The name of the key that holds now; null without one. It tells nothing of the key.
    pub key_id: Option<String>,
}

/// Brings the payloads under another key.
///
/// # Errors
/// When a key cannot be had, or somebody else uses the store.
pub fn run(context: &mut Context, args: &RekeyArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Change)?;
    if workspace.session().is_none() {
        return Err(CliError::not_found(format!("there is no store at {}", workspace.store.path.display()))
            .hint("`meno init` makes one; its `[encryption]` settings hold from the first run on"));
    }
    let mut made = None;
    let to = match (&args.key_file, args.key_command.as_slice(), args.off) {
        (Some(file), _, _) => {
            let file = absolute(file)?;
            if file.starts_with(&workspace.store.path) {
                return Err(CliError::refused(format!("key file {} would lie in the store that it locks", file.display()))
                    .hint("keep it where copies of the store do not take it along"));
            }
            if args.generate {
                generate(&file)?;
                made = Some(file.clone());
            }
            Some(Some(KeySource::File(file)))
        }
        (None, [], false) => None,
        (None, [], true) => Some(None),
        (None, words, _) => Some(Some(KeySource::Command(words.to_vec()))),
    };
    let done = workspace.keeping().rekey(to).inspect_err(|error| {
        if let (Some(made), true) = (made, changed_nothing(error)) {
            // Nothing is under the new key, and the next try makes it again.
            let _ = std::fs::remove_file(made);
        }
    })?;
    for damaged in &done.damaged {
        context.out.warn(format!("left as it is: {damaged}"));
    }
    if let Some(file) = args.key_file.as_ref().filter(|_| args.generate) {
        context.out.say(format!("a new key is in {}; keep a copy where the store is not", file.display()));
    }
    if context.out.json() {
        context.out.document(&RekeyDocument {
            changed: done.changed,
            encrypted: done.encrypted,
            plain: done.plain,
            key_id: done.key.map(|key| key.to_string()),
        })?;
        return Ok(Exit::Done);
    }
    let (changed, texts) = (words::plural(done.changed, "text"), words::plural(done.encrypted + done.plain, "text"));
    context.out.say(match done.key {
        Some(key) => format!("{texts} encrypted under key {key}; {changed} rewritten"),
        None => format!("{texts}, none encrypted; {changed} rewritten"),
    });
    Ok(Exit::Done)
}

/// Whether a rekey was refused before it began.
fn changed_nothing(error: &RekeyError) -> bool {
    matches!(
        error,
        RekeyError::Key(_)
            | RekeyError::Untrusted(_)
            | RekeyError::InUse { .. }
            | RekeyError::Executed(_)
            | RekeyError::Settings(_)
    )
}

/// The settings are read from any folder, so they hold the whole path.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|why| CliError::invalid(format!("{} cannot be a key file", path.display())).source(&why))
}

/// Makes a file with a new key, which must not be there yet.
fn generate(path: &Path) -> Result<()> {
    let fault = |why: &(dyn std::error::Error + 'static)| {
        CliError::invalid(format!("key file {} cannot be made", path.display()))
            .source(why)
            .hint("name a new file in a folder that is there")
    };
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|why| fault(&why))?;
    let text = SecretString::from(format!("{}\n", Key::write(&bytes)));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|why| CliError::cannot_write(path, &why))?;
    file.write_all(text.expose_secret().as_bytes()).and_then(|()| file.sync_all()).map_err(|why| fault(&why))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_rekey_is_that_of_its_type() {
        crate::views::schema_test::check::<super::RekeyDocument>("rekey.json");
    }
}
