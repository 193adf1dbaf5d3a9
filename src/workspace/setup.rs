//! What is set up before anything runs: a project's store, trust in one, the user's own price table.
//!
//! Nothing here opens a log: a store whose log is broken or busy can still be trusted, and a broken price table replaced.

use std::path::{Path, PathBuf};

use super::open::Error;
use crate::domain::prices::PriceFile;
use crate::settings::place::{CONFIG, FOLDER};
use crate::settings::{self, Places, TrustedStores, edit, write};
use crate::store::session::{Create, StoreDir};

/// What [`init`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The store's folder, free of links.
    pub store: PathBuf,
    /// The folder was made, rather than there already.
    pub created: bool,
    /// A commented `config.toml` was written.
    pub config_written: bool,
    /// The user trusts it.
    pub trusted: bool,
}

/// Makes a store's folder at `store` with a commented `config.toml`, and trusts it if it was not there before: what others made is
/// not trusted by asking for something new.
///
/// # Errors
/// When the folder, the file or the list of trusted stores cannot be written.
pub fn init(places: &Places, store: &Path) -> Result<Made, Error> {
    let created = std::fs::symlink_metadata(store).is_err();
    let place = StoreDir::open(store, Create::Folder)?;
    let store = place.dir().to_owned();
    let config_written = edit::write_starter(&store.join(CONFIG))?;
    let list = places.trusted_stores();
    let trusted = if created {
        TrustedStores::add(list, &store)?;
        true
    } else {
        TrustedStores::read(list)?.has(&store)
    };
    Ok(Made { store, created, config_written, trusted })
}

/// Returns the store meant by `dir`: the store itself, or the one in the project folder `dir`; `None` when it is neither.
pub fn store_of(dir: &Path) -> Option<PathBuf> {
    let inner = dir.join(FOLDER);
    if inner.is_dir() {
        return Some(inner);
    }
    let is_store = dir.is_dir() && (dir.canonicalize().is_ok_and(|dir| dir.ends_with(FOLDER)) || dir.join(CONFIG).is_file());
    is_store.then(|| dir.to_owned())
}

/// Trusts a store; returns its folder, free of links, and whether it was trusted already.
///
/// # Errors
/// When the list of trusted stores cannot be read, relied on or written.
pub fn trust(places: &Places, store: &Path) -> Result<(PathBuf, bool), Error> {
    let already = TrustedStores::read(places.trusted_stores())?.has(store);
    let entry = TrustedStores::add(places.trusted_stores(), store)?;
    Ok((entry.path, already))
}

/// Checks the price table `file` and makes it the user's own; returns where it is now and what it says.
///
/// # Errors
/// When it cannot be read or is not a price table, and when the user's own cannot be written. The user's own is then as it was.
pub fn update_prices(places: &Places, file: &Path) -> Result<(PathBuf, PriceFile), Error> {
    let text = write::read(file)?.ok_or_else(|| settings::Error::NotFound(file.to_owned()))?;
    let table = PriceFile::parse(&text).map_err(|source| Error::Prices { path: file.to_owned(), source })?;
    let own = places.config.join("prices.json");
    write::make_folder(&places.config)?;
    let _lock = write::lock(&places.config)?;
    write::replace(&own, &text)?;
    Ok((own, table))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn places(home: &Path) -> Places {
        Places {
            current: home.into(),
            data: home.join("data"),
            config: home.join("config"),
            cache: home.join("cache"),
            store_variable: None,
            config_variable: None,
        }
    }

    #[test]
    fn a_store_that_is_made_is_private_and_trusted_and_making_it_again_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (places, store) = (places(home.path()), home.path().join(FOLDER));
        let made = init(&places, &store).unwrap();
        assert!(made.created && made.config_written && made.trusted);
        assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(store.join(".gitignore")).unwrap().trim(), "*");
        let again = init(&places, &store).unwrap();
        assert_eq!((again.created, again.config_written, again.trusted), (false, false, true));
    }

    #[test]
    fn a_store_that_came_with_the_project_is_not_trusted_by_init() {
        let home = tempfile::tempdir().unwrap();
        let (places, store) = (places(home.path()), home.path().join(FOLDER));
        fs::create_dir(&store).unwrap();
        fs::write(store.join(CONFIG), "[tools]\ncommands = [\"sh\"]\n").unwrap();
        let made = init(&places, &store).unwrap();
        assert!(!made.created && !made.config_written && !made.trusted);
        assert!(!trust(&places, &store).unwrap().1);
        assert!(init(&places, &store).unwrap().trusted);
    }

    #[test]
    fn a_project_and_its_store_mean_the_same_and_another_folder_means_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(store_of(home.path()), None);
        let store = home.path().join(FOLDER);
        fs::create_dir(&store).unwrap();
        assert_eq!(store_of(home.path()), Some(store.clone()));
        assert_eq!(store_of(&store), Some(store));
    }

    #[test]
    fn a_wrong_price_table_leaves_the_users_own() {
        let home = tempfile::tempdir().unwrap();
        let (places, file) = (places(home.path()), home.path().join("new.json"));
        fs::write(&file, r#"{"as_of": "2026-11-22", "rows": []}"#).unwrap();
        let (own, _) = update_prices(&places, &file).unwrap();
        fs::write(&file, r#"{"as_of": "someday", "rows": []}"#).unwrap();
        assert!(matches!(update_prices(&places, &file), Err(Error::Prices { .. })));
        assert!(fs::read_to_string(own).unwrap().contains("2026-11-22"));
    }
}
