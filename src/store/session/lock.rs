//! Locks that die with their process: flock(2) on a file whose text says who holds it.
//!
//! A lock file may be deleted at any time, by us (a run that ended) or by somebody else. So after locking, the inode is compared
//! with what the path names now: a lock on a deleted file protects nothing. The kernel frees a lock when its last descriptor is
//! closed; a child between fork and exec holds a copy, so locks are freed by name, not only by closing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::{Error, Unwritable};
use super::store_dir::{StoreDir, refuse_strangers, unsuited};

/// How often a lock file may be replaced under us before we give up.
const REPLACED_MAX: u32 = 16;

/// The store's lock, held by its owner: on `store.lock`, and on the folder itself, which nobody can delete by mistake. Whoever
/// deletes `store.lock` of a living owner still meets the second lock, so there is never a second writer.
#[derive(Debug)]
pub struct StoreLock {
    file: Flock,
    folder: File,
}

impl StoreLock {
    /// Takes the lock if nobody holds it, and writes the own process id and `version` into it; `None` when it is held.
    ///
    /// # Errors
    /// [`Error::Io`], also when nothing can be written there any more; [`Error::Unsuited`], [`Error::Refused`].
    pub fn take(place: &StoreDir, version: &str) -> Result<Option<Self>, Error> {
        let Some(file) = Flock::exclusive(&place.dir().join("store.lock"))? else { return Ok(None) };
        let folder = File::open(place.dir()).map_err(Error::io(place.dir()))?;
        if !locked(place.dir(), folder.try_lock())? {
            return Ok(None);
        }
        let said = file.say(version);
        let lock = Self { file, folder };
        match said {
            // Whoever cannot leave a line there is not to begin what needs more.
            Err(error) if Unwritable::of(&error).is_some() => Err(Error::io(&lock.file.path)(error)),
            // The text only helps messages.
            _ => Ok(Some(lock)),
        }
    }

    /// Whether a living process holds the lock of the store in `dir`; takes nothing and changes nothing.
    pub fn is_held(dir: &Path) -> bool {
        Flock::is_free(&dir.join("store.lock")).is_ok_and(|is_free| !is_free)
    }

    /// Who holds the lock, as its text says; only a hint, since the text outlives a killed owner.
    pub fn holder(place: &StoreDir) -> Option<u32> {
        holder(&place.dir().join("store.lock"))
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // The folder first: whoever takes the file next must find the folder free. An error leaves the freeing to the close.
        let _ = self.folder.unlock();
        self.file.clear();
    }
}

/// An exclusive lock on one file, freed when dropped.
#[derive(Debug)]
pub(super) struct Flock {
    file: File,
    path: PathBuf,
}

impl Flock {
    /// Locks the file at `path`, created if need be; `None` when somebody else holds it, exclusively or shared.
    pub(super) fn exclusive(path: &Path) -> Result<Option<Self>, Error> {
        for _ in 0..REPLACED_MAX {
            let file = open(path)?;
            if !locked(path, file.try_lock())? {
                return Ok(None);
            }
            if is_current(&file, path)? {
                return Ok(Some(Self { file, path: path.to_owned() }));
            }
        }
        Err(Error::io(path)(io::Error::other("the lock file is replaced all the time")))
    }

    /// Whether nobody holds the file at `path` exclusively; a missing file is free. Takes the lock shared for an instant.
    pub(super) fn is_free(path: &Path) -> Result<bool, Error> {
        // A look writes nothing, so it works on a medium that cannot be written to.
        match open_with(path, File::options().read(true)) {
            Ok(file) => {
                let free = locked(path, file.try_lock_shared())?;
                let _ = file.unlock();
                Ok(free)
            }
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Writes process id and `words` into the file.
    pub(super) fn say(&self, words: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all_at(format!("{}\n{words}\n", std::process::id()).as_bytes(), 0)
    }

    fn clear(&self) {
        let _ = self.file.set_len(0);
    }

    /// Deletes the file, then frees the lock. Whoever opened the file before finds out by comparing inodes.
    pub(super) fn delete(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&self.path)(error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Flock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The process id in a lock file, if it has one.
pub(super) fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.lines().next()?.parse().ok()
}

fn open(path: &Path) -> Result<File, Error> {
    open_with(path, File::options().read(true).write(true).create(true).mode(0o600))
}

fn open_with(path: &Path, options: &mut OpenOptions) -> Result<File, Error> {
    // A symbolic link in place of the lock would let us lock, and write our text into, a file elsewhere.
    let file = options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path).map_err(Error::io(path))?;
    refuse_strangers(path, &file.metadata().map_err(Error::io(path))?)?;
    Ok(file)
}

/// Sorts a lock's outcome: got it, held by somebody, or not possible here.
fn locked(path: &Path, outcome: Result<(), TryLockError>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => match Errno::from_io_error(&error) {
            Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(unsuited(path, "without file locks")),
            _ => Err(Error::io(path)(error)),
        },
    }
}

fn is_current(file: &File, path: &Path) -> Result<bool, Error> {
    let ours = file.metadata().map_err(Error::io(path))?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::store_dir::Create;
    use super::*;

    fn place() -> (tempfile::TempDir, StoreDir) {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(&root.path().join("store"), Create::Folder).unwrap();
        (root, place)
    }

    #[test]
    fn only_one_holds_the_store_and_its_process_id_can_be_read() {
        let (_root, place) = place();
        let lock = StoreLock::take(&place, "1.2.3").unwrap().unwrap();
        assert!(StoreLock::take(&place, "1.2.3").unwrap().is_none());
        assert_eq!(StoreLock::holder(&place), Some(std::process::id()));
        drop(lock);
        assert_eq!(StoreLock::holder(&place), None);
        assert!(StoreLock::take(&place, "1.2.3").unwrap().is_some());
    }

    #[test]
    fn deleting_the_lock_file_of_a_living_owner_lets_nobody_in() {
        let (_root, place) = place();
        let lock = StoreLock::take(&place, "1").unwrap().unwrap();
        fs::remove_file(place.dir().join("store.lock")).unwrap();
        assert!(StoreLock::take(&place, "1").unwrap().is_none());
        drop(lock);
        assert!(StoreLock::take(&place, "1").unwrap().is_some());
    }

    #[test]
    fn a_lock_on_a_deleted_file_is_not_taken_for_the_lock() {
        let (_root, place) = place();
        let path = place.dir().join("x.lock");
        let old = open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!is_current(&old, &path).unwrap());
        let new = Flock::exclusive(&path).unwrap().unwrap();
        assert!(!is_current(&old, &path).unwrap());
        assert!(is_current(&new.file, &path).unwrap());
    }

    #[test]
    fn a_symbolic_link_in_place_of_the_lock_is_refused() {
        let (root, place) = place();
        let target = root.path().join("precious");
        fs::write(&target, "text").unwrap();
        std::os::unix::fs::symlink(&target, place.dir().join("store.lock")).unwrap();
        assert!(StoreLock::take(&place, "1").is_err());
        assert_eq!(fs::read_to_string(target).unwrap(), "text");
    }
}
