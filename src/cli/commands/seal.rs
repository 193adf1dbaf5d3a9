//! `meno seal`: a checkpoint of the log, to be kept elsewhere, and signed when asked to.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::cli::args::SealArgs;
use crate::cli::ask::{AskKind, AskQuestion, Asked, Prompter, Terminal};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::workspace::Access;
use crate::workspace::proof::signing::{self, Signer};

/// Seals the log and writes the seal down.
///
/// # Errors
/// When there is no store, it cannot take the event, the key cannot sign, or a file is there already or cannot be written.
pub fn run(context: &mut Context, args: &SealArgs) -> Result<Exit> {
    // A store that is not there has nothing to be sealed, and is not made for it.
    let workspace = open::store(context, Access::Change)?;
    let Some(path) = &args.output else {
        context.out.document(&workspace.proof().seal()?)?;
        return Ok(Exit::Done);
    };
    let signer = args.sign.as_deref().map(|key| signer(context, key)).transpose()?;
    // Before anything is appended: a seal that cannot be kept is none.
    let mut file = New::make(path)?;
    let mut beside = signer.as_ref().map(|_| New::make(&signing::signature_of(path))).transpose()?;
    let seal = workspace.proof().seal()?;
    let text = serde_json::to_string_pretty(&seal)
        .map_err(|error| CliError::fault("the seal cannot be written as JSON").source(&error))?;
    let text = format!("{text}\n");
    if let (Some(signer), Some(beside)) = (&signer, &mut beside) {
        beside.keep(&signer.sign(text.as_bytes())?)?;
    }
    file.keep(&text)?;
    if context.out.json() {
        context.out.document(&seal)?;
        return Ok(Exit::Done);
    }
    let signed = signer.map_or_else(String::new, |signer| format!(", signed by {}", signer.fingerprint()));
    context.out.say(format!("sealed up to event {}{signed}; keep {} where the store is not", seal.position, path.display()));
    Ok(Exit::Done)
}

/// Reads a key, whose passphrase a person is asked for.
fn signer(context: &Context, key: &Path) -> Result<Signer> {
    if !context.can_ask() {
        return Ok(Signer::read(key, &|| None)?);
    }
    asked_by(&|| passphrase(&mut Terminal::new(true), key), |ask| Ok(Signer::read(key, ask)?))
}

/// Reads what a passphrase opens; who leaves instead of saying it ends the command.
fn asked_by<T>(
    passphrase: &dyn Fn() -> Result<Option<SecretString>>,
    read: impl FnOnce(&dyn Fn() -> Option<SecretString>) -> Result<T>,
) -> Result<T> {
    let left = RefCell::new(None);
    let ask = || passphrase().unwrap_or_else(|error| left.replace(Some(error)).and(None));
    let outcome = read(&ask);
    left.take().map_or(outcome, Err)
}

/// Asks for the passphrase of a key; `None` when none is said.
fn passphrase(prompter: &mut dyn Prompter, key: &Path) -> Result<Option<SecretString>> {
    let question = AskQuestion {
        id: "passphrase".to_owned(),
        text: format!("Passphrase of {}", key.display()),
        help: None,
        kind: AskKind::Secret,
        required: true,
        default: None,
        progress: None,
        validate: &|value| Ok(value.clone()),
    };
    match prompter.ask(&question)? {
        Asked::Secret(passphrase) => Ok(Some(passphrase)),
        _ => Ok(None),
    }
}

/// A file that was not there before, and is not there afterwards unless it is whole.
struct New {
    path: PathBuf,
    file: fs::File,
    is_kept: bool,
}

impl New {
    fn make(path: &Path) -> Result<Self> {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| Self::failed(path, &error))?;
        Ok(Self { path: path.to_owned(), file, is_kept: false })
    }

    fn keep(&mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|error| Self::failed(&self.path, &error))?;
        self.is_kept = true;
        Ok(())
    }

    fn failed(path: &Path, error: &std::io::Error) -> CliError {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                CliError::new("io", Exit::Mendable, format!("cannot write {}: it is there already", path.display()))
                    .hint("choose another file with `-o FILE`; a seal is never written over")
            }
            _ => CliError::cannot_write(path, error),
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.is_kept {
            // There is nobody left to tell; a file without an end is no seal.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ask::tests::{Does, Script};

    #[test]
    fn who_leaves_instead_of_saying_the_passphrase_ends_the_command() {
        let read = |does| {
            let script = RefCell::new(Script::of([does]));
            let locked = |ask: &dyn Fn() -> Option<SecretString>| ask().ok_or_else(|| CliError::refused("it is locked"));
            asked_by(&|| passphrase(&mut *script.borrow_mut(), Path::new("key")), locked).map(drop).map_err(|error| error.exit)
        };
        assert_eq!([Does::GoesBack, Does::Leaves].map(read), [Err(Exit::Mendable), Err(Exit::Interrupted)]);
    }
}
