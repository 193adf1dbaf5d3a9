//! A store in one file and back: backup beside whoever writes, restore where nothing is yet.

use std::path::Path;

use super::Keeping;
use crate::store::backup::unpack::{Restored, refuse_full};
use crate::store::backup::{self, Contents, Error};
use crate::store::session::{Create, StoreDir, StoreLock};
use crate::store::{self};
use crate::views;

impl Keeping<'_> {
    /// Writes everything that was acknowledged so far into `file`, which must not exist; others may write meanwhile. The file is read
    /// back and verified before it gets its name.
    ///
    /// # Errors
    /// An [`Error`]; then there is no such file.
    pub fn back_up(&self, file: &Path) -> Result<Contents, Error> {
        let head = self.0.log.head()?;
        backup::pack(self.0.place()?.dir(), head, file, views::utc(self.0.world.now()))
    }

    /// Makes the store out of a backup; the folder may be missing, or hold a store in which nothing has happened yet. The workspace
    /// must not have opened it.
    ///
    /// # Errors
    /// An [`Error`]; then the folder is as it was.
    pub(crate) fn restore(&self, file: &Path) -> Result<Restored, Error> {
        let folder = &self.0.store.path;
        refuse_full(folder)?;
        let lock = if folder.is_dir() {
            let place = StoreDir::open(folder, Create::Never)?;
            let lock = StoreLock::take(&place, env!("CARGO_PKG_VERSION"))?;
            Some(lock.ok_or_else(|| store::Error::Unreachable { pid: StoreLock::holder(&place) })?)
        } else {
            None
        };
        let restored = backup::unpack::unpack(file, folder);
        drop(lock);
        restored
    }
}

/// Reads a backup through and checks all that can be checked.
///
/// # Errors
/// [`Error::Unsound`] with what is wrong, [`Error::Newer`], [`Error::Io`].
pub fn check_backup(file: &Path) -> Result<Contents, Error> {
    backup::verify(file)
}
