//! Bringing all payloads under another key, or under none.

use std::sync::Arc;

use super::Keeping;
use super::keys;
use crate::domain::ids::RunId;
use crate::settings::place::CONFIG;
use crate::settings::{self, EncryptionSettings, KeySource, TrustedStores, edit, is_trusted};
use crate::store::cipher::{Key, KeyId, Keyring, Keys};
use crate::store::files::OsFiles;
use crate::store::payloads::Payloads;
use crate::store::session::RunLock;
use crate::store::{self};
use crate::workspace::keeping::import::IMPORT_LOCK;

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
    /// Some texts are under a key that is not available; the rest is done, and what was begun can be finished when it is.
    #[error("{} texts are under a key that is not available, first {}", .0.len(), .0.first().map_or("", String::as_str))]
    Left(Vec<String>),
    /// The settings cannot be read or changed; nothing was begun.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// All is under the new key, but the settings still name the old one.
    #[error("all is done but for the settings, which still name the old key: {0}")]
    Unfinished(#[source] settings::Error),
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
    /// Files that are not what their names say; they were left as they are.
    pub damaged: Vec<String>,
    /// The key that holds from now on.
    pub key: Option<KeyId>,
}

impl Keeping<'_> {
    /// Brings all payloads under the key at `to`, or decrypts them when there is none, and has the store's settings say so. The key that
    /// held so far is named in them as the old one until all is done: a kill in between leaves every text readable, and the next call goes
    /// on, or back. Without `to` (`None`), what was begun is finished.
    ///
    /// # Errors
    /// A [`RekeyError`]; nothing was changed then, but for [`RekeyError::Left`].
    pub(crate) fn rekey(&self, to: Option<Option<KeySource>>) -> Result<Rekeyed, RekeyError> {
        let place = self.0.place()?;
        if !is_trusted(&self.0.places, &self.0.store)? {
            return Err(RekeyError::Untrusted(self.0.store.path.clone()));
        }
        let wanted = wanted(&self.0.resolved.settings.encryption, to)?;
        let get = |source: &Option<KeySource>| {
            source.as_ref().map(|source| keys::fetch(source, &*self.0.notice)).transpose().map_err(RekeyError::Key)
        };
        let (current, old) = (get(&wanted.key)?, get(&wanted.old_key)?);
        let (key, known) = (current.as_ref().map(Key::id), [current.as_ref(), old.as_ref()].map(|key| key.map(Key::id)));
        let keyring = Keyring::of(Keys { current, older: old.into_iter().collect() });
        let payloads = Payloads::with_keys(Arc::new(OsFiles), place.dir(), Arc::new(keyring));
        let counts = payloads.by_key()?;
        if let Some(other) = counts.keys().flatten().find(|id| !known.contains(&Some(**id))) {
            return Err(RekeyError::Key(format!(
                "texts are under key {other}, and that is neither the new key nor the one before"
            )));
        }

        let session = self.0.session().ok_or_else(|| store::Error::NotFound(self.0.store.path.clone()))?;
        self.0.log.head()?;
        let owner = session.status()?.pid;
        if owner != std::process::id() {
            return Err(RekeyError::InUse { pid: Some(owner) });
        }
        let held = RunLock::acquire(place, RunId::from_bytes(IMPORT_LOCK)).map_err(|why| match why {
            store::Error::RunHeld { pid, .. } => RekeyError::InUse { pid },
            why => why.into(),
        })?;
        self.nobody_executes()?;
        let before = payloads.mark(key)?;
        // Who takes a run up from now on sees the mark; who did before is seen here. Only then can anybody learn of the new key.
        let file = self.0.store.path.join(CONFIG);
        let list = self.0.places.trusted_stores();
        let keeping = |edit: &dyn Fn() -> Result<(), settings::Error>| TrustedStores::keeping(&list, &self.0.store.path, edit);
        let says = [said("old_key", wanted.old_key.as_ref()), said("key", wanted.key.as_ref())].concat();
        let begun = self.nobody_executes().and_then(|()| Ok(keeping(&|| edit::edit_all(&file, &says))?));
        begun.inspect_err(|_| {
            if let Err(why) = payloads.unmark(before.as_deref()) {
                tracing::warn!("nothing can be written before `meno rekey` is called again: {why}");
            }
        })?;
        let mut changed = 0;
        let left = loop {
            let done = payloads.rekey()?;
            changed += done.changed;
            if done.changed == 0 {
                break done;
            }
        };
        if !left.locked.is_empty() {
            return Err(RekeyError::Left(left.locked));
        }
        keeping(&|| edit::edit_all(&file, &unsaid("old_key"))).map_err(RekeyError::Unfinished)?;
        held.end()?;
        let counts = payloads.by_key()?;
        let plain = counts.get(&None).copied().unwrap_or_default();
        Ok(Rekeyed { changed, encrypted: counts.values().sum::<u64>() - plain, plain, damaged: left.damaged, key })
    }

    /// Whoever begins or takes up a run holds its lock first and then looks under which key it may write.
    fn nobody_executes(&self) -> Result<(), RekeyError> {
        let own = RunId::from_bytes(IMPORT_LOCK);
        let mut held = RunLock::held(self.0.place()?)?.into_iter().filter(|run| *run != own);
        held.next().map_or(Ok(()), |run| Err(RekeyError::Executed(run)))
    }
}

/// Returns what the settings shall say while payloads are brought under the key at `to`, when they say `now`.
fn wanted(now: &EncryptionSettings, to: Option<Option<KeySource>>) -> Result<EncryptionSettings, RekeyError> {
    let EncryptionSettings { key, old_key } = now.clone();
    match to {
        None => Ok(now.clone()),
        Some(to) if to == key => Ok(now.clone()),
        // What was begun is taken back.
        Some(to) if old_key.is_some() && to == old_key => Ok(EncryptionSettings { key: to, old_key: key }),
        // Nothing may be under a third key.
        Some(_) if old_key.is_some() => Err(RekeyError::Key(
            "another rekey is not finished: `meno rekey` continues it, and naming the previous key undoes it".to_owned(),
        )),
        Some(to) => Ok(EncryptionSettings { key: to, old_key: key }),
    }
}

/// The keys of the settings that say where a key is; what is not said is emptied, so that it counts over the user's own file.
fn said(name: &'static str, source: Option<&KeySource>) -> Vec<(&'static str, Option<String>)> {
    let (file, command) = match source {
        Some(KeySource::File(path)) => (path.display().to_string(), Vec::new()),
        Some(KeySource::Command(words)) => (String::new(), words.clone()),
        Some(KeySource::Both | KeySource::Untrusted) | None => (String::new(), Vec::new()),
    };
    let values = [toml::Value::from(file).to_string(), toml::Value::from(command).to_string()];
    names(name).into_iter().zip(values.map(Some)).collect()
}

fn unsaid(name: &'static str) -> Vec<(&'static str, Option<String>)> {
    names(name).into_iter().map(|name| (name, None)).collect()
}

fn names(name: &'static str) -> [&'static str; 2] {
    match name {
        "key" => ["encryption.key_file", "encryption.key_command"],
        _ => ["encryption.old_key_file", "encryption.old_key_command"],
    }
}
