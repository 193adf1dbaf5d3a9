//! The thin shell around [`resolve`]: reads the files that count, and whether the store is trusted.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::Error;
use super::file::{self, Preset};
use super::place::{CONFIG, How, Places, StorePlace};
use super::resolve::{ConfigFile, Flags, Inputs, Resolved, resolve};
use super::trust::{Standing, TrustedStores};
use super::write;

/// What to load settings for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where things are.
    pub places: &'a Places,
    /// The store.
    pub store: &'a StorePlace,
    /// `--config FILE`.
    pub config: Option<&'a Path>,
    /// The rest of the command line.
    pub flags: &'a Flags,
    /// The providers' variables.
    pub environment: &'a Environment,
    /// The preset to use when nobody chose.
    pub fallback: Option<Preset>,
}

/// Reads the user's and the store's `config.toml` and decides what counts.
///
/// # Errors
/// [`Error::File`] when one of them has faults, [`Error::NotFound`] when a named one is missing, [`Error::Io`] and
/// [`Error::TrustList`] when a file cannot be read or relied on.
pub fn load(request: &Request<'_>) -> Result<Resolved, Error> {
    load_with(request, read)
}

/// Like [`load`], but a file with faults counts as if it were not there, and `faults` gets what is wrong with it.
///
/// # Errors
/// As [`load`], but for [`Error::File`].
pub fn load_forgiving(request: &Request<'_>, faults: &mut Vec<Error>) -> Result<Resolved, Error> {
    load_with(request, |path| match read(path) {
        Err(fault @ Error::File { .. }) => {
            faults.push(fault);
            Ok(None)
        }
        outcome => outcome,
    })
}

fn load_with(request: &Request<'_>, mut read: impl FnMut(&Path) -> Result<Option<ConfigFile>, Error>) -> Result<Resolved, Error> {
    let (user_path, named) = request.places.user_config(request.config);
    let user = read(&user_path)?;
    if named && user.is_none() && !user_path.exists() {
        return Err(Error::NotFound(user_path));
    }
    let store = read(&request.store.path.join(CONFIG))?;
    let standing = match (&store, standing(request.places, request.store)) {
        (None, _) => Standing::Strange,
        (Some(_), standing) => standing?,
    };
    let store_trusted = standing == Standing::Trusted;
    let mut resolved = resolve(&Inputs {
        flags: request.flags,
        environment: request.environment,
        store: store.as_ref(),
        store_trusted,
        user: user.as_ref(),
        fallback: request.fallback,
    })?;
    if standing == Standing::Changed {
        let folder = request.store.path.display();
        resolved.notices.push(format!(
            "the settings of {folder} are not those that were trusted: look at its config.toml, then `meno trust {folder}`"
        ));
    }
    Ok(resolved)
}

/// Returns whether the user trusts a store: it was named, is the user's own, or stands on the list.
///
/// # Errors
/// [`Error::TrustList`] and [`Error::Io`] when the list cannot be relied on or read.
pub fn is_trusted(places: &Places, store: &StorePlace) -> Result<bool, Error> {
    Ok(standing(places, store)? == Standing::Trusted)
}

fn standing(places: &Places, store: &StorePlace) -> Result<Standing, Error> {
    match store.how {
        How::Named | How::Users => Ok(Standing::Trusted),
        How::Found => Ok(TrustedStores::read(places.trusted_stores())?.standing(&store.path)),
    }
}

fn read(path: &Path) -> Result<Option<ConfigFile>, Error> {
    let Some(text) = write::read(path)? else { return Ok(None) };
    let fault = |problems| Error::File { path: PathBuf::from(path), problems };
    let config = file::parse(&text).map_err(fault)?;
    Ok(Some(ConfigFile { path: path.to_owned(), config }))
}
