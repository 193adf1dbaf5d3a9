//! Bringing all payloads under another key, or under none.

use std::path::Path;
use std::sync::Arc;

use super::import::IMPORT_LOCK;
use super::{Workspace, keys};
use crate::domain::ids::RunId;
use crate::settings::place::CONFIG;
use crate::settings::{self, EncryptionSettings, KeySource, edit, is_trusted};
use crate::store::cipher::{KeyId, Keyring, Keys};
use crate::store::files::OsFiles;
use crate::store::payloads::Payloads;
use crate::store::session::RunLock;
use crate::store::{self};
use crate::views::status::RunStatus;

/// Why payloads were not brought under another key.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// A key cannot be had.
    #[error("{0}")]
    Key(String),
    /// The store's settings are not believed, so a key that they name would not be used.
    #[error("the store at {} is not trusted", .0.display())]
    Untrusted(std::path::PathBuf),
    /// Another process has the old key in its memory and would go on writing under it.
    #[error("process {} uses this store", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    InUse {
        /// Its id, when known.
        pid: Option<u32>,
    },
    /// A run is being executed.
    #[error("run {0} is being executed")]
    Executed(RunId),
    /// The settings cannot be changed.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekeyed {
    /// Payloads that were written anew.
    pub changed: u64,
    /// Payloads that are encrypted now.
    pub encrypted: u64,
    /// Payloads that are not.
    pub plain: u64,
    /// The key that holds from now on.
    pub key: Option<KeyId>,
}

impl Workspace {
    /// Brings all payloads under the key at `to`, or decrypts them when there is none, and has the store's settings say so. The key that
    /// held so far is named in them as the old one until all is done: a kill in between leaves every text readable, and the next call goes
    /// on. Without `to` given (`None`), what was begun is finished.
    ///
    /// # Errors
    /// A [`RekeyError`].
    pub fn rekey(&self, to: Option<Option<KeySource>>) -> Result<Rekeyed, RekeyError> {
        let place = self.place()?;
        if !is_trusted(&self.places, &self.store)? {
            return Err(RekeyError::Untrusted(self.store.path.clone()));
        }
        let now = &self.resolved.settings.encryption;
        let wanted = match to {
            // What is under way already keeps its old key: nothing may be under a third one.
            Some(key) if now.old_key.is_some() && key != now.key => {
                return Err(RekeyError::Key("another rekey is not finished: `meno rekey` goes on with it".to_owned()));
            }
            Some(key) => {
                let old_key = if key == now.key { now.old_key.clone() } else { now.key.clone() };
                EncryptionSettings { old_key, key }
            }
            None => now.clone(),
        };
        let get = |source: &Option<KeySource>| source.as_ref().map(keys::fetch).transpose().map_err(RekeyError::Key);
        let (current, old) = (get(&wanted.key)?, get(&wanted.old_key)?);
        let key = current.as_ref().map(crate::store::cipher::Key::id);
        let keyring = Keyring::of(Keys { current, older: old.into_iter().collect() });

        let session = self.session().ok_or_else(|| store::Error::NotFound(self.store.path.clone()))?;
        self.log.head()?;
        let owner = session.status()?.pid;
        if owner != std::process::id() {
            return Err(RekeyError::InUse { pid: Some(owner) });
        }
        let held = RunLock::acquire(place, RunId::from_bytes(IMPORT_LOCK)).map_err(|why| match why {
            store::Error::RunHeld { pid, .. } => RekeyError::InUse { pid },
            why => why.into(),
        })?;
        let live = self.all_rows()?.into_iter().find(|row| row.status == RunStatus::Running && self.probe(row.run_id));
        if let Some(live) = live {
            return Err(RekeyError::Executed(live.run_id));
        }

        let file = self.store.path.join(CONFIG);
        say(&file, "old_key", wanted.old_key.as_ref())?;
        say(&file, "key", wanted.key.as_ref())?;
        let payloads = Payloads::with_keys(Arc::new(OsFiles), place.dir(), Arc::new(keyring));
        let mut changed = 0;
        // Somebody may have begun to write before the settings changed: once more, until there is nothing left to do.
        loop {
            match payloads.rekey()? {
                0 => break,
                some => changed += some,
            }
        }
        say(&file, "old_key", None)?;
        held.end()?;
        let counts = payloads.by_key()?;
        let plain = counts.get(&None).copied().unwrap_or_default();
        Ok(Rekeyed { changed, encrypted: counts.values().sum::<u64>() - plain, plain, key })
    }
}

/// Writes into the store's settings where a key is.
fn say(config: &Path, name: &str, source: Option<&KeySource>) -> Result<(), settings::Error> {
    let (file, command) = match source {
        Some(KeySource::File(path)) => (Some(toml::Value::from(path.display().to_string()).to_string()), None),
        Some(KeySource::Command(words)) => (None, Some(toml::Value::from(words.clone()).to_string())),
        None => (None, None),
    };
    edit::edit_file(config, &format!("encryption.{name}_file"), file.as_deref())?;
    edit::edit_file(config, &format!("encryption.{name}_command"), command.as_deref())
}
