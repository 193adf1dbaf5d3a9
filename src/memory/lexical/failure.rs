//! What keeps the words' side from being written, found out where it happens: of a full disk tantivy often says no more than that a thread
//! of its own has ended.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{
    AntiCallToken, DeleteError, Directory, DirectoryLock, Error, FileHandle, Lock, LockError, OpenReadError, OpenWriteError,
    TantivyError, TantivyResult, TerminatingWrite, Unwritable, WatchCallback, WatchHandle, WritePtr,
};
use crate::store::lock;

impl From<TantivyError> for Error {
    fn from(error: TantivyError) -> Self {
        match (named(&format!("{error:?}")), error) {
            (Some(why), _) => Self::Unwritable(why),
            (None, TantivyError::LockFailure(..)) => Self::Busy,
            (None, error) => Self::Broken(error.to_string()),
        }
    }
}

/// Returns why nothing can be written, when words that hold a system's error say so: by its number, as `Display` and `Debug` write it,
/// or by its kind.
fn named(words: &str) -> Option<Unwritable> {
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i32>().ok();
    let mut numbers = ["os error ", "code: "].into_iter().flat_map(|mark| words.split(mark).skip(1)).filter_map(number);
    numbers.find_map(|code| Unwritable::of(&io::Error::from_raw_os_error(code))).or_else(|| {
        let kinds = [
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::PermissionDenied,
        ];
        kinds
            .into_iter()
            .find(|kind| words.contains(&format!("{kind:?}")))
            .and_then(|kind| Unwritable::of(&io::Error::from(kind)))
    })
}

/// Why the last write failed, as far as it says that nothing can be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Unwritable>>>);

impl Failure {
    /// Returns `directory`, of which failed writes are noted here.
    pub(super) fn watch<D>(&self, directory: D) -> Watched<D> {
        Watched { directory, failure: self.clone() }
    }

    /// Forgets what failed until now.
    pub(super) fn forget(&self) {
        *lock(&self.0) = None;
    }

    /// Returns what came of something; when that is an error, and a write failed, why it did.
    pub(super) fn told<T>(&self, outcome: Result<T, impl Into<Error>>) -> Result<T, Error> {
        outcome.map_err(|error| lock(&self.0).map_or_else(|| error.into(), Error::Unwritable))
    }

    fn note(&self, error: &io::Error) {
        if let Some(why) = Unwritable::of(error) {
            *lock(&self.0) = Some(why);
        }
    }
}

/// A folder of tantivy's, of which failed writes are noted.
#[derive(Clone, Debug)]
pub(super) struct Watched<D> {
    directory: D,
    failure: Failure,
}

struct Writing {
    file: WritePtr,
    failure: Failure,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).inspect_err(|error| self.failure.note(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().inspect_err(|error| self.failure.note(error))
    }
}

impl TerminatingWrite for Writing {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.file.terminate_ref(token).inspect_err(|error| self.failure.note(error))
    }
}

impl<D: Directory + Clone> Directory for Watched<D> {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.directory.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.directory.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.directory.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self.directory.open_write(path).inspect_err(|error| {
            if let OpenWriteError::IoError { io_error, .. } = error {
                self.failure.note(io_error);
            }
        })?;
        Ok(BufWriter::new(Box::new(Writing { file, failure: self.failure.clone() })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.directory.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.directory.atomic_write(path, bytes).inspect_err(|error| self.failure.note(error))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.directory.sync_directory().inspect_err(|error| self.failure.note(error))
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.directory.acquire_lock(lock).inspect_err(|error| {
            if let LockError::IoError(error) = error {
                self.failure.note(error);
            }
        })
    }

    fn watch(&self, callback: WatchCallback) -> TantivyResult<WatchHandle> {
        self.directory.watch(callback)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::{Document, Folder, Kind, Lexical, Seen};
    use super::*;
    use crate::memory::document::Facts;

    /// A disk that has room for so many bytes.
    #[derive(Clone, Debug)]
    struct Disk {
        files: Folder,
        room: Arc<AtomicUsize>,
    }

    struct Filling(WritePtr, Arc<AtomicUsize>);

    impl Write for Filling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(bytes.len()));
            taken.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
            self.0.write_all(bytes).map(|()| bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    impl TerminatingWrite for Filling {
        fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
            self.0.terminate_ref(token)
        }
    }

    impl Directory for Disk {
        fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
            self.files.get_file_handle(path)
        }

        fn delete(&self, path: &Path) -> Result<(), DeleteError> {
            self.files.delete(path)
        }

        fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
            self.files.exists(path)
        }

        fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
            Ok(BufWriter::new(Box::new(Filling(self.files.open_write(path)?, Arc::clone(&self.room)))))
        }

        fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
            self.files.atomic_read(path)
        }

        fn atomic_write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            self.files.atomic_write(path, bytes)
        }

        fn sync_directory(&self) -> io::Result<()> {
            Ok(())
        }

        fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
            self.files.acquire_lock(lock)
        }

        fn watch(&self, callback: WatchCallback) -> TantivyResult<WatchHandle> {
            self.files.watch(callback)
        }
    }

    fn write(index: &Lexical) -> Result<(), Error> {
        let mut writer = index.writer()?;
        let facts = Facts { run_id: "a".to_owned(), ..Facts::default() };
        writer.add(&Document { kind: Kind::Run, title: "fault".to_owned(), body: "the disk was full".to_owned(), facts })?;
        writer.commit(&Seen::default())?;
        writer.finish()
    }

    #[test]
    fn a_disk_that_is_full_is_full_whatever_is_said_of_the_thread_that_wrote() {
        for room in [0, 100, 400] {
            let dir = tempfile::tempdir().unwrap();
            let disk = Disk { files: Folder::open(dir.path()).unwrap(), room: Arc::new(AtomicUsize::new(room)) };
            let index = Lexical::of(disk.clone()).unwrap();
            let written = write(&index);
            assert!(matches!(written, Err(Error::Unwritable(Unwritable::Full))), "{room}: {written:?}");
            // What tantivy says of it from then on.
            let killed = || Err::<(), _>(TantivyError::ErrorInThread("An index writer was killed.".to_owned()));
            assert!(matches!(index.failure.told(killed()), Err(Error::Unwritable(Unwritable::Full))), "{room}");
            disk.room.store(1_000_000, Ordering::SeqCst);
            let index = Lexical::of(disk).unwrap();
            write(&index).unwrap();
            assert!(matches!(index.failure.told(killed()), Err(Error::Broken(_))), "{room}: nothing failed here");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_known_in_every_form_in_which_a_systems_error_is_told() {
        let full = || io::Error::from_raw_os_error(28);
        for error in [
            TantivyError::InternalError(full().to_string()),
            TantivyError::ErrorInThread(format!("{:?}", full())),
            TantivyError::SystemError(format!("{:?}", io::Error::from(io::ErrorKind::QuotaExceeded))),
            TantivyError::from(LockError::wrap_io_error(full())),
            TantivyError::from(full()),
        ] {
            assert!(matches!(Error::from(error.clone()), Error::Unwritable(Unwritable::Full)), "{error:?}");
        }
        assert!(matches!(Error::from(TantivyError::from(LockError::LockBusy)), Error::Busy));
        let other = TantivyError::InternalError("(os error 5), code: 2, of 28 files".to_owned());
        assert!(matches!(Error::from(other), Error::Broken(_)));
    }
}
