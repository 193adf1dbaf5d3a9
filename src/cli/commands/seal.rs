//! `meno seal`: a checkpoint of the log, to be kept elsewhere, and signed when asked to.

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
    let signer = args.sign.as_deref().map(|key| Signer::read(key, &|| passphrase(context, key))).transpose()?;
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

/// Asks for the passphrase of a key; `None` where nobody can be asked.
fn passphrase(context: &Context, key: &Path) -> Option<SecretString> {
    if !context.can_ask() {
        return None;
    }
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
    match Terminal::new(true).ask(&question) {
        Ok(Asked::Secret(passphrase)) => Some(passphrase),
        _ => None,
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
