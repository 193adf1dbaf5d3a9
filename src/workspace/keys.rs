//! Fetching the keys of encrypted payloads from where the settings say that they are.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use secrecy::ExposeSecret;
use secrecy::SecretSlice;

use crate::settings::{EncryptionSettings, KeySource};
use crate::store::cipher::{Key, Keyring, Keys};
use crate::store::session::Notice;

/// More than any form of a key has, in bytes.
const KEY_TEXT_MAX: usize = 4096;

/// Returns the keys that the settings name; they are fetched when the first text needs one. `notice` hears when one cannot be had.
pub(super) fn ring(settings: &EncryptionSettings, notice: Arc<dyn Fn(&Notice) + Send + Sync>) -> Keyring {
    let settings = settings.clone();
    let keys = move || {
        let get = |source: &Option<KeySource>| source.as_ref().map(fetch).transpose();
        Ok(Keys { current: get(&settings.key)?, older: get(&settings.old_key)?.into_iter().collect() })
    };
    Keyring::new(keys, move |why| notice(&Notice::Locked(why.to_owned())))
}

/// Fetches one key.
///
/// # Errors
/// Why it cannot be had, in words that repeat nothing of it.
pub(super) fn fetch(source: &KeySource) -> Result<Key, String> {
    let (text, whence) = match source {
        KeySource::Both => {
            return Err("`encryption.key_file` and `encryption.key_command` are both set: empty one of them".to_owned());
        }
        KeySource::Untrusted => {
            return Err("the store that names it is not trusted: look at its config.toml, then `meno trust` it".to_owned());
        }
        KeySource::File(path) => (from_file(path)?, format!("key file {}", path.display())),
        KeySource::Command(words) => {
            (from_command(words)?, format!("key command `{}`", words.first().map_or("", String::as_str)))
        }
    };
    Key::parse(text.expose_secret()).map_err(|why| format!("{whence}: {why}"))
}

fn from_file(path: &Path) -> Result<SecretSlice<u8>, String> {
    let named = |why: &dyn std::fmt::Display| format!("key file {}: {why}", path.display());
    let about = std::fs::metadata(path).map_err(|why| named(&why))?;
    if !about.is_file() {
        return Err(named(&"it is no file"));
    }
    if about.permissions().mode() & 0o077 != 0 {
        return Err(named(&format!("others can read it; `chmod 600 {}`", path.display())));
    }
    if about.len() > KEY_TEXT_MAX as u64 {
        return Err(named(&"it is too long for a key"));
    }
    std::fs::read(path).map(SecretSlice::from).map_err(|why| named(&why))
}

/// The command may ask a person: it has the terminal, and what it prints is the key.
fn from_command(words: &[String]) -> Result<SecretSlice<u8>, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("the key command is empty".to_owned()) };
    let named = |why: &dyn std::fmt::Display| format!("key command `{program}`: {why}");
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).stdin(Stdio::inherit()).output();
    let output = output.map_err(|why| named(&why))?;
    let text = SecretSlice::from(output.stdout);
    if !output.status.success() {
        return Err(named(&output.status));
    }
    Ok(text)
}
