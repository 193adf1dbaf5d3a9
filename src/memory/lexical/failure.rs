//! What keeps the words' side from being written, found out where it happens: of a full disk tantivy often says no more than that a thread
//! of its own has ended.

use std::io;
use std::sync::{Arc, Mutex};

use super::{Error, TantivyError, Unwritable};
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
    /// Forgets what failed until now.
    pub(super) fn forget(&self) {
        *lock(&self.0) = None;
    }

    /// Returns what came of something; when that is an error, and a write failed, why it did.
    pub(super) fn told<T>(&self, outcome: Result<T, impl Into<Error>>) -> Result<T, Error> {
        outcome.map_err(|error| lock(&self.0).map_or_else(|| error.into(), Error::Unwritable))
    }

    /// Notes that a write failed.
    pub(super) fn note(&self, error: &io::Error) {
        if let Some(why) = Unwritable::of(error) {
            *lock(&self.0) = Some(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::{Document, Folder, Kind, Lexical, LockError, Seen};
    use super::*;
    use crate::memory::document::Facts;

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
            let disk = Folder::with_room(dir.path(), room);
            let index = Lexical::of(disk.clone(), disk.failure()).unwrap();
            let written = write(&index);
            assert!(matches!(written, Err(Error::Unwritable(Unwritable::Full))), "{room}: {written:?}");
            // What tantivy says of it from then on.
            let killed = || Err::<(), _>(TantivyError::ErrorInThread("An index writer was killed.".to_owned()));
            assert!(matches!(index.failure.told(killed()), Err(Error::Unwritable(Unwritable::Full))), "{room}");
            disk.room.store(1_000_000, Ordering::SeqCst);
            let index = Lexical::of(disk.clone(), disk.failure()).unwrap();
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
