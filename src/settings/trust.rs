//! The stores that the user trusts: a list in the user's configuration folder, one JSON object per line.
//!
//! A store is known by its path together with its folder's inode and time of birth: a stranger's folder put at the path of a trusted
//! one, after that was deleted, is not trusted, though it could copy everything that lies inside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::write;

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
}

impl TrustedStore {
    fn of(store: &Path) -> Result<Self, Error> {
        let path = fs::canonicalize(store).map_err(Error::io(store))?;
        let metadata = fs::metadata(&path).map_err(Error::io(store))?;
        if !metadata.is_dir() {
            return Err(Error::TrustList { path, message: "is not a folder".to_owned(), hint: None });
        }
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self { path, inode: metadata.ino(), born_ns: born.and_then(|born| u64::try_from(born.as_nanos()).ok()) })
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

    /// Returns whether the folder `store` is on the list, and is still the folder that was put there.
    pub fn has(&self, store: &Path) -> bool {
        TrustedStore::of(store).is_ok_and(|store| self.stores.contains(&store))
    }

    /// Returns the stores on the list, in the order in which they were put there.
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

    /// Takes a path off the list; returns whether it stood there.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn remove(file: impl Into<PathBuf>, store: &Path) -> Result<bool, Error> {
        let path = fs::canonicalize(store).unwrap_or_else(|_| store.to_owned());
        let mut removed = false;
        Self::change(file.into(), |stores| {
            let before = stores.len();
            stores.retain(|known| known.path != path);
            removed = stores.len() < before;
        })?;
        Ok(removed)
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
        assert!(TrustedStores::remove(&list, &store).expect("removed"));
        assert!(!TrustedStores::remove(&list, &store).expect("nothing to remove"));
        assert!(!TrustedStores::read(&list).expect("read").has(&store));
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
