//! Fetching the keys of encrypted payloads from where the settings say that they are.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use secrecy::SecretSlice;

use crate::settings::{EncryptionSettings, KeySource};
use crate::store::cipher::{Key, Keyring, Keys};
use crate::store::session::Notice;

/// More than any form of a key has, in bytes.
const KEY_TEXT_MAX: usize = 4096;
/// How long a key command may take: it may ask a person, who may be away.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// After this long one line says what is waited for.
const COMMAND_SILENCE: Duration = Duration::from_secs(1);
/// Between two looks whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Returns the keys that the settings name; they are fetched when the first text needs one. `notice` hears when one cannot be had.
pub(in crate::workspace) fn ring(settings: &EncryptionSettings, notice: Arc<dyn Fn(&Notice) + Send + Sync>) -> Keyring {
    let (settings, waiting) = (settings.clone(), Arc::clone(&notice));
    let keys = move || {
        let get = |source: &Option<KeySource>| source.as_ref().map(|source| fetch(source, &*waiting)).transpose();
        Ok(Keys { current: get(&settings.key)?, older: get(&settings.old_key)?.into_iter().collect() })
    };
    Keyring::new(keys, move |why| notice(&Notice::Locked(why.to_owned())))
}

/// Fetches one key; `notice` hears what is waited for when that takes long.
///
/// # Errors
/// Why it cannot be had, in words that repeat nothing of it.
pub(in crate::workspace) fn fetch(source: &KeySource, notice: &dyn Fn(&Notice)) -> Result<Key, String> {
    let (text, whence) = match source {
        KeySource::Both => {
            return Err("`encryption.key_file` and `encryption.key_command` are both set: empty one of them".to_owned());
        }
        KeySource::Untrusted => {
            return Err("the store that names it is not trusted: look at its config.toml, then `meno trust` it".to_owned());
        }
        KeySource::File(path) => (from_file(path)?, format!("key file {}", path.display())),
        KeySource::Command(words) => {
            (from_command(words, COMMAND_LIMIT, notice)?, format!("key command `{}`", words.first().map_or("", String::as_str)))
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

/// The command may ask a person: it has the terminal, and what it prints is the key. One that takes longer than `limit` is ended.
fn from_command(words: &[String], limit: Duration, notice: &dyn Fn(&Notice)) -> Result<SecretSlice<u8>, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("the key command is empty".to_owned()) };
    let named = |why: &dyn std::fmt::Display| format!("key command `{program}`: {why}");
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::inherit()).stdin(Stdio::inherit()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|why| named(&why))?;
    let outcome = output_of(&mut child, limit, &|| notice(&Notice::WaitingForKey(program.clone())));
    if outcome.is_err() {
        // One that has ended meanwhile cannot be ended, and is waited for all the same.
        let _ = child.kill();
        let _ = child.wait();
    }
    outcome.map_err(|why| named(&why))
}

/// Returns what the child prints, once it has ended well; `slow` is called when that takes long.
fn output_of(child: &mut Child, limit: Duration, slow: &dyn Fn()) -> Result<SecretSlice<u8>, String> {
    let mut stdout = child.stdout.take().ok_or("its output cannot be read")?;
    let started = Instant::now();
    let (sender, printed) = channel();
    // Read beside, as it may print more than a pipe holds, and a child of its own may keep the pipe open.
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.by_ref().take(KEY_TEXT_MAX as u64 + 1).read_to_end(&mut text);
        // Nobody listens any more once the time is over.
        let _ = sender.send(read.map(|_| SecretSlice::from(text)));
    });
    let too_long = || format!("it did not end within {} s, and was ended", limit.as_secs());
    let text = match printed.recv_timeout(COMMAND_SILENCE.min(limit)) {
        Err(RecvTimeoutError::Timeout) => {
            slow();
            printed.recv_timeout(limit.saturating_sub(started.elapsed()))
        }
        received => received,
    };
    let text = text.map_err(|_| too_long())?.map_err(|why| why.to_string())?;
    loop {
        match child.try_wait().map_err(|why| why.to_string())? {
            Some(status) if status.success() => return Ok(text),
            Some(status) => return Err(status.to_string()),
            None if started.elapsed() >= limit => return Err(too_long()),
            None => std::thread::sleep(LOOK_EVERY),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn shell(script: &str, limit: Duration) -> (Result<Vec<u8>, String>, u32) {
        let told = AtomicU32::new(0);
        let words = ["sh", "-c", script].map(str::to_owned);
        let text = from_command(&words, limit, &|notice| {
            assert!(notice.to_string().contains("waiting for the key command `sh`"));
            told.fetch_add(1, Ordering::Relaxed);
        });
        (text.map(|text| text.expose_secret().to_vec()), told.into_inner())
    }

    #[test]
    fn a_key_command_is_waited_for_with_a_word_and_not_for_ever() {
        let patience = Duration::from_secs(60);
        assert_eq!(shell("echo key", patience), (Ok(b"key\n".to_vec()), 0));
        assert_eq!(shell("sleep 1.3; echo key", patience), (Ok(b"key\n".to_vec()), 1));
        assert!(shell("exit 3", patience).0.unwrap_err().contains("exit status: 3"));
        for script in ["exec sleep 5", "sleep 5", "exec >&-; exec sleep 5"] {
            let why = shell(script, Duration::from_millis(50)).0.unwrap_err();
            assert_eq!(why, "key command `sh`: it did not end within 0 s, and was ended", "{script}");
        }
        // What prints without end is no key either, and is not read to its end.
        let why = shell("yes", patience);
        assert!(why.0.is_err() || why.0.is_ok_and(|text| text.len() <= KEY_TEXT_MAX + 1));
    }
}
