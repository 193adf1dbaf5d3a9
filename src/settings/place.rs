//! Which store, and which files of the user: pure decisions over a few facts, and the thin shell that gathers them.
//!
//! How a store was found decides whether it is believed and whether it may be created; see [`How`].

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::error::Error;
use super::variables::Variables;

/// The folder that marks a project's store.
pub const FOLDER: &str = ".meno";
/// The file of settings, in a store and in the user's configuration folder.
pub const CONFIG: &str = "config.toml";
/// The list of trusted stores, in the user's configuration folder.
pub const TRUSTED: &str = "trusted-stores";

/// How a store was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By `--store` or MENO_STORE: trusted, and created at the first write if its parent exists.
    Named,
    /// By walking up from the current folder: trusted only if the user's list has it, and it exists already.
    Found,
    /// The user's own: trusted, and created with its missing parents at the first write.
    Users,
}

/// A store's folder and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePlace {
    /// The folder, absolute.
    pub path: PathBuf,
    /// How it was found.
    pub how: How,
}

/// The places that everything else follows from; all paths absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The current folder.
    pub current: PathBuf,
    /// The user's data folder for Meno, `$XDG_DATA_HOME/meno`.
    pub data: PathBuf,
    /// The user's configuration folder for Meno, `$XDG_CONFIG_HOME/meno`.
    pub config: PathBuf,
    /// The user's cache folder for Meno, `$XDG_CACHE_HOME/meno`: what can be made again.
    pub cache: PathBuf,
    /// MENO_STORE.
    pub store_variable: Option<PathBuf>,
    /// MENO_CONFIG.
    pub config_variable: Option<PathBuf>,
}

impl Places {
    /// Gathers the places of this process, as `variables` name them.
    ///
    /// # Errors
    /// [`Error::NoHome`] without a home folder, [`Error::Io`] without a current one.
    pub fn of_process(variables: &Variables) -> Result<Self, Error> {
        let user = etcetera::choose_base_strategy().map_err(|_| Error::NoHome)?;
        Ok(Self {
            current: env::current_dir().map_err(Error::io("."))?,
            data: user.data_dir().join("meno"),
            config: user.config_dir().join("meno"),
            cache: user.cache_dir().join("meno"),
            store_variable: variables.path("MENO_STORE"),
            config_variable: variables.path("MENO_CONFIG"),
        })
    }

    /// Decides which store is meant: `--store`, else MENO_STORE, else the nearest `.meno/` upward, else the user's own.
    pub fn store(&self, flag: Option<&Path>, is_folder: impl Fn(&Path) -> bool) -> StorePlace {
        if let Some(named) = flag.or(self.store_variable.as_deref()) {
            return StorePlace { path: self.current.join(named), how: How::Named };
        }
        let above = self.current.ancestors().map(|folder| folder.join(FOLDER)).find(|folder| is_folder(folder));
        match above {
            Some(path) => StorePlace { path, how: How::Found },
            None => StorePlace { path: self.data.clone(), how: How::Users },
        }
    }

    /// Decides which file has the user's settings: `--config`, else MENO_CONFIG, else the one in the configuration folder.
    ///
    /// The second value tells whether it was named, and so has to be there.
    pub fn user_config(&self, flag: Option<&Path>) -> (PathBuf, bool) {
        match flag.or(self.config_variable.as_deref()) {
            Some(named) => (self.current.join(named), true),
            None => (self.config.join(CONFIG), false),
        }
    }

    /// Returns the list of trusted stores. It stays in the configuration folder whatever file has the settings.
    pub fn trusted_stores(&self) -> PathBuf {
        self.config.join(TRUSTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(store_variable: Option<&str>) -> Places {
        Places {
            current: "/home/u/work/deep".into(),
            data: "/home/u/.local/share/meno".into(),
            config: "/home/u/.config/meno".into(),
            cache: "/home/u/.cache/meno".into(),
            store_variable: store_variable.map(PathBuf::from),
            config_variable: None,
        }
    }

    #[track_caller]
    fn check(places: &Places, flag: Option<&str>, folders: &[&str], path: &str, how: How) {
        let place = places.store(flag.map(Path::new), |folder| folders.iter().any(|known| Path::new(known) == folder));
        assert_eq!(place, StorePlace { path: path.into(), how });
    }

    #[test]
    fn the_flag_wins_then_the_variable_then_the_nearest_folder_then_the_users_own() {
        let folders = ["/home/u/.meno", "/home/u/work/.meno"];
        check(&places(Some("/v")), Some("/f"), &folders, "/f", How::Named);
        check(&places(Some("/v")), None, &folders, "/v", How::Named);
        check(&places(None), None, &folders, "/home/u/work/.meno", How::Found);
        check(&places(None), None, &folders[..1], "/home/u/.meno", How::Found);
        check(&places(None), None, &[], "/home/u/.local/share/meno", How::Users);
    }

    #[test]
    fn relative_names_start_at_the_current_folder() {
        check(&places(Some("x")), None, &[], "/home/u/work/deep/x", How::Named);
        assert_eq!(places(None).user_config(Some(Path::new("c.toml"))), ("/home/u/work/deep/c.toml".into(), true));
        assert_eq!(places(None).user_config(None), ("/home/u/.config/meno/config.toml".into(), false));
    }
}
