//! The file system as the store's promises need it: every write, sync and rename goes through here, so that a test can keep
//! exactly what was synced and show what a power cut leaves.
//!
//! Files are made 0600 and folders 0700, whatever the umask. This file knows nothing of what is written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::Error;

/// A file system.
pub trait Files: Send + Sync {
    /// Creates the file, which must not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DataFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DataFile>>;
    /// Opens an existing file for reading alone.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        self.open(path)
    }
    /// Returns a file's bytes.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Returns whether a file or folder is there.
    fn exists(&self, path: &Path) -> bool;
    /// Returns the names in a folder, unsorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a folder unless it is there; its parent must be. Durable once the parent is synced.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames within one file system, over what is there. Durable once the folder is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable once the folder is synced.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes everything on the file system of `dir` durable; false when the platform cannot do that.
    fn sync_all(&self, dir: &Path) -> io::Result<bool>;
    /// Returns whether [`DataFile::mark_durable`] was called for this very file.
    fn is_marked_durable(&self, _: &Path) -> bool {
        false
    }
}

/// An open file.
pub trait DataFile: Send + Sync {
    /// Writes all bytes at the offset, growing the file when needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Fills `bytes` from the offset.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable, the length included.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or grows the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Returns the length.
    fn length(&self) -> io::Result<u64>;
    /// Notes on the file that its bytes, its name and its folders are durable, for later processes. Where that is not possible they sync
    /// again.
    fn mark_durable(&self) {}
}

/// The attribute of files that are durable. It names the very file, so a copy that took the attribute along is not taken for it.
#[cfg(any(target_os = "linux", target_os = "macos"))]
const DURABLE: &str = "user.meno.durable";

/// What the attribute of a file says: its own number.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn mark_of(about: &std::fs::Metadata) -> [u8; 8] {
    std::os::unix::fs::MetadataExt::ino(about).to_le_bytes()
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

impl Files for OsFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        restrict(path, 0o600)?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(OsFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(OsFile(File::open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            Err(why) => Err(why),
            Ok(()) => restrict(dir, 0o700),
        }
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// Folders cannot be opened as files there; NTFS journals its names itself.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(target_os = "linux")]
    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        rustix::fs::syncfs(File::open(dir)?)?;
        Ok(true)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_all(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    fn is_marked_durable(&self, path: &Path) -> bool {
        let mut mark = [0; 8];
        let is_there = rustix::fs::getxattr(path, DURABLE, &mut mark[..]).is_ok_and(|length| length == mark.len());
        is_there && std::fs::metadata(path).is_ok_and(|about| mark == mark_of(&about))
    }
}

/// The operating system's file system, of which nothing is changed: whoever tries meets an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnlyFiles;

impl Files for ReadOnlyFiles {
    fn create(&self, _: &Path) -> io::Result<Box<dyn DataFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, _: &Path) -> io::Result<Box<dyn DataFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        OsFiles.open_read(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsFiles.read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        OsFiles.exists(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsFiles.list(dir)
    }

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_all(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }
}

struct OsFile(File);

#[cfg(unix)]
impl DataFile for OsFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        // On macOS the standard library makes this F_FULLFSYNC.
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    fn mark_durable(&self) {
        if let Ok(about) = self.0.metadata() {
            let _ = rustix::fs::fsetxattr(&self.0, DURABLE, &mark_of(&about), rustix::fs::XattrFlags::empty());
        }
    }
}

#[cfg(windows)]
impl DataFile for OsFile {
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.0, bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            (bytes, offset) = (&bytes[written..], offset + written as u64);
        }
        Ok(())
    }

    fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.0, bytes, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (bytes, offset) = (&mut bytes[read..], offset + read as u64);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Sets the permissions of a file or folder, because the umask has already had its say.
#[cfg(unix)]
pub fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// Permissions are inherited from the folder on platforms without modes.
#[cfg(not(unix))]
pub fn restrict(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// Removes a file, or a folder with everything in it.
///
/// # Errors
/// What the system says.
pub fn remove_all(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Puts `new` in the place of `old`, which goes to `aside`: at once where the system can do that.
///
/// # Errors
/// What the system says, and where; nothing has changed then.
pub fn exchange(new: &Path, old: &Path, aside: &Path) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
            return fs::rename(new, aside).map_err(Error::io(new));
        }
    }
    fs::rename(old, aside).map_err(Error::io(old))?;
    if let Err(why) = fs::rename(new, old) {
        // Nothing has changed when the old one is back.
        fs::rename(aside, old).map_err(Error::io(aside))?;
        return Err(Error::io(old)(why));
    }
    Ok(())
}

/// Makes the folder with its missing parents, each durable in its own parent.
///
/// # Errors
/// What the file system says.
pub fn make_dirs(files: &dyn Files, dir: &Path) -> io::Result<()> {
    if files.exists(dir) {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_dirs(files, parent)?;
        files.make_dir(dir)?;
        return files.sync_dir(parent);
    }
    files.make_dir(dir)
}

/// Makes the folders `dirs`, each inside the one before it, in a folder that is made durable when it is missing. Their own names are durable
/// once the folders that hold them are synced, which is left to the caller: once for all that is in them.
///
/// # Errors
/// What the file system says.
pub fn make_dirs_inside(files: &dyn Files, dirs: [&Path; 2]) -> io::Result<()> {
    if let Some(parent) = dirs[0].parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_dirs(files, parent)?;
    }
    dirs.into_iter().filter(|dir| !files.exists(dir)).try_for_each(|dir| files.make_dir(dir))
}

/// Writes a file that is either whole or not there at all: beside it first, synced, then renamed; durable when this returns.
///
/// # Errors
/// What the file system says; the file is then as it was.
pub fn write_whole(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    if files.exists(&beside) {
        files.remove(&beside)?;
    }
    let file = files.create(&beside)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    drop(file);
    files.rename(&beside, path)?;
    path.parent().map_or(Ok(()), |dir| files.sync_dir(dir))
}
