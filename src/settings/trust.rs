//! The stores that the user trusts: a list in the user's configuration folder, one JSON object per line.
//!
//! A store is known by its path together with its folder's inode and time of birth: a stranger's folder put at the path of a trusted
//! one, after that was deleted, is not trusted, though it could copy everything that lies inside. And by what its settings say: programs
//! that agents run may write where a store lies, and what they write there is not the user's word.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::place::CONFIG;
use super::write;
use crate::domain::ids::Hash;

/// One store on the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedStore {
    /// Its folder, with all links resolved.
    pub path: PathBuf,
    /// The folder's inode.
    pub inode: u64,
    /// When the folder was made, in ns since the Unix epoch; absent where the file system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born_ns: Option<u64>,
    /// BLAKE3 of its settings when they were trusted, of nothing where there were none; absent in entries of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Hash>,
}

/// What the list says of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is on the list, as it was put there.
    Trusted,
    /// It is on the list, and its settings are not what they were then.
    Changed,
    /// It is not on the list.
    Strange,
}

impl TrustedStore {
    fn of(store: &Path) -> Result<Self, Error> {
        let path = fs::canonicalize(store).map_err(Error::io(store))?;
        let metadata = fs::metadata(&path).map_err(Error::io(store))?;
        if !metadata.is_dir() {
            return Err(Error::TrustList { path, message: "is not a folder".to_owned(), hint: None });
        }
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.and_then(|born| u64::try_from(born.as_nanos()).ok());
        let settings = Some(Hash::of(write::read(&path.join(CONFIG))?.unwrap_or_default().as_bytes()));
        Ok(Self { path, inode: metadata.ino(), born_ns, settings })
    }
}

/// The list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedStores {
    file: PathBuf,
    stores: Vec<TrustedStore>,
}

impl TrustedStores {
    /// Reads the list; one that is not there is empty.
    ///
    /// # Errors
    /// [`Error::TrustList`] when others could have written it or a line is not one, [`Error::Io`] when it cannot be read.
    pub fn read(file: impl Into<PathBuf>) -> Result<Self, Error> {
        let file = file.into();
        let fault = |message: String, hint: String| Error::TrustList { path: file.clone(), message, hint: Some(hint) };
        let Some(text) = write::read(&file)? else { return Ok(Self { file, stores: Vec::new() }) };
        let metadata = fs::metadata(&file).map_err(Error::io(&file))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            let hint = format!("look through it, then `chmod 600 {}`", file.display());
            return Err(fault("may have been written by others and is not believed".to_owned(), hint));
        }
        let mut stores = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let store = serde_json::from_str(line).map_err(|_| {
                let hint = "delete the line, and `meno trust DIR` the store again".to_owned();
                fault(format!("has a line that is not an entry: line {}", index + 1), hint)
            })?;
            stores.push(store);
        }
        Ok(Self { file, stores })
    }

    /// Returns whether the folder `store` is on the list, and is still the folder that was put there, with the same settings.
    pub fn has(&self, store: &Path) -> bool {
        self.standing(store) == Standing::Trusted
    }

    /// Says how the folder `store` stands.
    pub fn standing(&self, store: &Path) -> Standing {
        let Ok(now) = TrustedStore::of(store) else { return Standing::Strange };
        let is_it = |known: &&TrustedStore| (&known.path, known.inode, known.born_ns) == (&now.path, now.inode, now.born_ns);
        match self.stores.iter().find(is_it) {
            None => Standing::Strange,
            Some(known) if known.settings.is_some() && known.settings != now.settings => Standing::Changed,
            Some(_) => Standing::Trusted,
        }
    }

    /// Changes a store's settings in the user's name: one that was trusted before is so afterwards.
    ///
    /// # Errors
    /// As `change`, and when the list cannot be written.
    pub fn keeping<T, E: From<Error>>(file: &Path, store: &Path, change: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let was_trusted = Self::read(file).is_ok_and(|list| list.has(store));
        let done = change()?;
        if was_trusted {
            Self::add(file, store)?;
        }
        Ok(done)
    }

    /// Returns the stores on the list, in the order in which they were put there.
    #[cfg(test)]
    pub fn stores(&self) -> &[TrustedStore] {
        &self.stores
    }

    /// Puts the folder `store` on the list; what stood there under its path is replaced. Safe against others who do the same.
    ///
    /// # Errors
    /// As [`Self::read`]; [`Error::TrustList`] also for a folder whose name is not Unicode or that is not one.
    pub fn add(file: impl Into<PathBuf>, store: &Path) -> Result<TrustedStore, Error> {
        let file = file.into();
        let entry = TrustedStore::of(store)?;
        if entry.path.to_str().is_none() {
            return Err(Error::TrustList { path: entry.path, message: "has a name that is not Unicode".to_owned(), hint: None });
        }
        Self::change(file, |stores| {
            stores.retain(|known| known.path != entry.path);
            stores.push(entry.clone());
        })?;
        Ok(entry)
    }

    fn change(file: PathBuf, change: impl FnOnce(&mut Vec<TrustedStore>)) -> Result<(), Error> {
        let folder = file.parent().unwrap_or(Path::new("."));
        write::make_folder(folder)?;
        let _lock = write::lock(folder)?;
        let mut list = Self::read(&file)?;
        change(&mut list.stores);
        let lines: Vec<String> =
            list.stores.iter().filter_map(|store| serde_json::to_string(store).ok()).map(|line| line + "\n").collect();
        write::replace(&file, &lines.concat())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn a_trusted_store_stays_trusted_and_no_other_is() {
        let folder = folder();
        let (list, store, other) = (folder.path().join("config/list"), folder.path().join("a"), folder.path().join("b"));
        fs::create_dir(&store).expect("a folder");
        fs::create_dir(&other).expect("a folder");
        TrustedStores::add(&list, &store).expect("added");
        TrustedStores::add(&list, &store.join(".")).expect("added again");
        let read = TrustedStores::read(&list).expect("read");
        assert!(read.has(&store) && !read.has(&other) && !read.has(&folder.path().join("missing")));
        assert_eq!(read.stores().len(), 1);
        assert_eq!(fs::metadata(&list).expect("there").permissions().mode() & 0o777, 0o600);
        // The list and the lock that it was changed under, and nothing that was left over.
        assert_eq!(fs::read_dir(folder.path().join("config")).expect("there").count(), 2);
    }

    #[test]
    fn another_folder_at_a_trusted_path_is_not_trusted() {
        let folder = folder();
        let (list, store) = (folder.path().join("list"), folder.path().join("store"));
        fs::create_dir(&store).expect("a folder");
        TrustedStores::add(&list, &store).expect("added");
        fs::rename(&store, folder.path().join("elsewhere")).expect("moved");
        fs::create_dir(&store).expect("a stranger's folder");
        assert!(!TrustedStores::read(&list).expect("read").has(&store));
    }

    #[test]
    fn settings_that_changed_since_they_were_trusted_do_not_count_until_they_are_trusted_again() {
        let folder = folder();
        let (list, store) = (folder.path().join("config/list"), folder.path().join("store"));
        fs::create_dir(&store).expect("a folder");
        TrustedStores::add(&list, &store).expect("added");
        let standing = || TrustedStores::read(&list).expect("read").standing(&store);
        assert_eq!(standing(), Standing::Trusted);
        fs::write(store.join(CONFIG), "[tools]\nsandbox = \"off\"\n").expect("a program writes");
        assert_eq!(standing(), Standing::Changed);
        // Not even by what the user then changes beside it.
        let edit = || TrustedStores::keeping(&list, &store, || fs::write(store.join(CONFIG), "x").map_err(Error::io(&store)));
        edit().expect("edited");
        assert_eq!(standing(), Standing::Changed);
        TrustedStores::add(&list, &store).expect("trusted again");
        assert_eq!(standing(), Standing::Trusted);
        edit().expect("edited by meno itself");
        assert_eq!(standing(), Standing::Trusted);
        // Entries of earlier versions say nothing of settings.
        let text = fs::read_to_string(&list).expect("read");
        let (before, _) = text.split_once(",\"settings\"").expect("it is recorded");
        fs::write(&list, format!("{before}}}\n")).expect("written");
        fs::write(store.join(CONFIG), "y").expect("edited");
        assert_eq!(standing(), Standing::Trusted);
    }

    #[test]
    fn a_list_that_others_could_write_is_not_believed() {
        let folder = folder();
        let list = folder.path().join("list");
        TrustedStores::add(&list, folder.path()).expect("added");
        fs::set_permissions(&list, fs::Permissions::from_mode(0o666)).expect("loosened");
        assert!(matches!(TrustedStores::read(&list), Err(Error::TrustList { .. })));
    }

    #[test]
    fn a_damaged_list_trusts_nothing_and_says_which_line() {
        let folder = folder();
        let list = folder.path().join("list");
        fs::write(&list, "\n{\"path\": \"/x\"}\n").expect("written");
        fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).expect("tightened");
        let error = TrustedStores::read(&list).expect_err("damaged");
        assert!(error.to_string().ends_with("line 2"), "{error}");
    }

    #[test]
    fn stores_that_are_trusted_at_the_same_time_are_all_kept() {
        let folder = folder();
        let list = folder.path().join("list");
        std::thread::scope(|scope| {
            for name in 0..8 {
                let (list, store) = (list.clone(), folder.path().join(name.to_string()));
                fs::create_dir(&store).expect("a folder");
                scope.spawn(move || TrustedStores::add(list, &store).expect("added"));
            }
        });
        assert_eq!(TrustedStores::read(&list).expect("read").stores().len(), 8);
    }
}
