//! Texts of a run that may not be kept, while it goes on: in a folder of its own, which goes when the run has ended.
//!
//! `runs/<run>.private/<commitment>` holds the private part, with its salt, of the event whose stored private part has this commitment.
//! It is durable before the event is appended. Nothing of it is ever in the journal, the index, the payloads or a backup.

use std::path::PathBuf;

use super::Error;
use super::files::{Files, OsFiles, make_dirs, write_whole};
use super::session::StoreDir;
use crate::domain::ids::{Hash, RunId};

/// What the folder of a run adds to its id.
const FOLDER: &str = ".private";

/// The texts of one run that are not kept.
#[derive(Clone, Debug)]
pub struct Withheld(PathBuf);

impl Withheld {
    /// Those of `run`; makes nothing.
    pub fn of(place: &StoreDir, run: RunId) -> Self {
        Self(place.dir().join("runs").join(format!("{run}{FOLDER}")))
    }

    /// Returns whether there are any, or there could be.
    pub fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Makes the folder: from now on the run has texts that are not kept.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&self) -> Result<(), Error> {
        make_dirs(&OsFiles, &self.0).map_err(Error::io(&self.0))
    }

    /// Keeps the private part of the event whose stored one has this commitment; durable when this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, commitment: [u8; 32], private: &[u8]) -> Result<(), Error> {
        let path = self.path(commitment);
        write_whole(&OsFiles, &path, private).map_err(Error::io(&path))
    }

    /// Returns the private part of the event whose stored one has this commitment, if it has one that is not kept.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, commitment: [u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(commitment);
        match OsFiles.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(Error::io(path)(why)),
        }
    }

    /// Deletes them all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn end(&self) -> Result<(), Error> {
        match std::fs::remove_dir_all(&self.0) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&self.0)(why)),
            _ => Ok(()),
        }
    }

    /// Returns the runs that have such texts in the store at `place`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn runs(place: &StoreDir) -> Result<Vec<RunId>, Error> {
        let dir = place.dir().join("runs");
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let names = OsFiles.list(&dir).map_err(Error::io(&dir))?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(FOLDER)?.parse().ok()).collect())
    }

    fn path(&self, commitment: [u8; 32]) -> PathBuf {
        self.0.join(Hash(commitment).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::session::Create;

    #[test]
    fn what_is_withheld_is_there_until_the_run_ends() {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(&root.path().join("store"), Create::Folder).unwrap();
        let run = RunId::from_bytes([3; 16]);
        let withheld = Withheld::of(&place, run);
        assert!(!withheld.exists() && withheld.read([1; 32]).unwrap().is_none());
        assert_eq!(Withheld::runs(&place).unwrap(), []);
        withheld.begin().unwrap();
        withheld.write([1; 32], b"words").unwrap();
        assert_eq!((withheld.read([1; 32]).unwrap(), withheld.read([2; 32]).unwrap()), (Some(b"words".to_vec()), None));
        assert_eq!(Withheld::runs(&place).unwrap(), [run]);
        withheld.end().unwrap();
        withheld.end().unwrap();
        assert!(!withheld.exists());
    }
}
