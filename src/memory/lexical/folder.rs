//! The folder of the words' side. Writing there waits for no disk, because everything in it can be made again from the log: what is
//! spoilt by a power cut only has to be noticed.
//!
//! Small files are not synced when they are written, and their sums are checked when the index is opened. Large ones, which take long to
//! check, are synced. A file that is missing stops tantivy itself.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use super::failure::Failure;
use super::{
    AntiCallToken, DeleteError, Directory, DirectoryLock, Error, FileHandle, Index, Lock, LockError, MmapDirectory,
    OpenReadError, OpenWriteError, TantivyError, TantivyResult, TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
};

/// Files from this size on are synced when they are written, and not checked when they are opened. Segments are merged by eights, so
/// there are a few dozen smaller ones at most.
const SYNCED_FROM: u64 = 256 * 1024;

/// A folder of tantivy's that syncs large files alone, and notes why the last write failed.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    files: MmapDirectory,
    path: PathBuf,
    failure: Failure,
    /// The bytes that a test's disk has room for.
    #[cfg(test)]
    pub(super) room: Arc<AtomicUsize>,
}

impl Folder {
    /// Opens the folder `path`, which must be there.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let files = MmapDirectory::open(path).map_err(TantivyError::from)?;
        Ok(Self {
            files,
            path: path.to_owned(),
            failure: Failure::default(),
            #[cfg(test)]
            room: Arc::new(AtomicUsize::new(usize::MAX)),
        })
    }

    /// Opens the folder `path` on a disk that has room for so many bytes.
    #[cfg(test)]
    pub(super) fn with_room(path: &Path, room: usize) -> Self {
        Self { room: Arc::new(AtomicUsize::new(room)), ..Self::open(path).unwrap() }
    }

    /// Returns where it is noted why the last write failed.
    pub(super) fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

/// Checks the files that were not synced when they were written.
pub(super) fn check(index: &Index) -> Result<(), Error> {
    let folder = index.directory();
    for file in index.load_metas()?.list_segment_files() {
        match folder.get_file_handle(&file) {
            Ok(handle) if handle.len() as u64 >= SYNCED_FROM => {}
            // Not every segment has every file.
            Err(OpenReadError::FileDoesNotExist(_)) => {}
            Ok(_) => match folder.validate_checksum(&file) {
                Ok(true) | Err(OpenReadError::FileDoesNotExist(_)) => {}
                Ok(false) => return Err(Error::Broken(format!("{} is not as it was written", file.display()))),
                Err(error) => return Err(Error::Broken(error.to_string())),
            },
            Err(error) => return Err(Error::Broken(error.to_string())),
        }
    }
    Ok(())
}

struct Writing {
    file: File,
    length: u64,
    folder: Folder,
}

impl Writing {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        {
            let taken = self.folder.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(bytes.len()));
            taken.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
        }
        self.file.write(bytes)
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.put(bytes).inspect_err(|error| self.folder.failure.note(error))?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Writing {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let synced = if self.length >= SYNCED_FROM { self.file.sync_data() } else { Ok(()) };
        synced.inspect_err(|error| self.folder.failure.note(error))
    }
}

impl Directory for Folder {
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
        match File::options().write(true).create_new(true).open(self.path.join(path)) {
            Ok(file) => Ok(BufWriter::new(Box::new(Writing { file, length: 0, folder: self.clone() }))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(OpenWriteError::FileAlreadyExists(path.to_owned())),
            Err(error) => {
                self.failure.note(&error);
                Err(OpenWriteError::wrap_io_error(error, path.to_owned()))
            }
        }
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        /// Tells the temporary files of threads apart.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let beside = self.path.join(format!(".{}-{number}.tmp", std::process::id()));
        let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, self.path.join(path)));
        written.inspect_err(|error| {
            self.failure.note(error);
            drop(fs::remove_file(&beside));
        })
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.files.acquire_lock(lock).inspect_err(|error| {
            if let LockError::IoError(error) = error {
                self.failure.note(error);
            }
        })
    }

    fn watch(&self, callback: WatchCallback) -> TantivyResult<WatchHandle> {
        self.files.watch(callback)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Kind, Lexical, Seen};
    use super::*;
    use crate::memory::document::Facts;

    fn write(dir: &Path) {
        let mut writer = Lexical::open(dir).unwrap().writer().unwrap();
        let facts = Facts { run_id: "a".to_owned(), ..Facts::default() };
        let document = Document { kind: Kind::Run, title: "fault".to_owned(), body: "the disk was full".to_owned(), facts };
        writer.add(&document).unwrap();
        writer.commit(&Seen { form: 1, node: "n".to_owned(), seq: 7, ..Seen::default() }).unwrap();
        writer.finish().unwrap();
    }

    /// What a power cut leaves of a file that was not synced: its name alone, a part of it, or zeros in the place of a part.
    fn spoil(bytes: &[u8], how: usize) -> Vec<u8> {
        let half = bytes.len() / 2;
        match how {
            0 => Vec::new(),
            1 => bytes[..half].to_vec(),
            2 => [&vec![0; half], &bytes[half..]].concat(),
            _ => [&bytes[..half], &vec![0; bytes.len() - half]].concat(),
        }
    }

    #[test]
    fn an_index_that_did_not_reach_the_disk_is_broken_and_never_read() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        assert_eq!(Lexical::open(dir.path()).unwrap().seen().unwrap().map(|seen| seen.seq), Some(7));
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let segments: Vec<PathBuf> = names.filter(|path| !path.to_string_lossy().ends_with(".lock")).collect();
        assert!(segments.len() >= 8, "{segments:?}");
        for file in segments {
            let sound = fs::read(&file).unwrap();
            for how in 0..4 {
                let spoilt = spoil(&sound, how);
                // Which files are to be removed one day changes no answer.
                if spoilt == sound || (file.ends_with(".managed.json") && how != 0) {
                    continue;
                }
                fs::write(&file, spoilt).unwrap();
                assert!(Lexical::open(dir.path()).is_err(), "{} spoilt in way {how}", file.display());
            }
            fs::write(&file, sound).unwrap();
        }
        assert!(Lexical::open(dir.path()).is_ok());
    }
}
