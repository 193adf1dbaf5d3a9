//! Changing files below a root: each file at once or not at all, with its permissions as they were, through the same handles as reading.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, fchmod, flock, fstat, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::{Folder, Kind, Root, RootPath, failure};
use crate::domain::ids::Hash;
use crate::tools::ToolError;

/// Bytes of a file that tools change, at most.
pub const WRITTEN_BYTES_MAX: u64 = 4 << 20;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its content.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// It has other names too, here or elsewhere.
    pub has_other_names: bool,
}

impl Found {
    /// Refuses a file that has several names: what is written takes the place of one of them, and the others would keep what was there.
    ///
    /// # Errors
    /// When it has other names.
    pub fn may_be_replaced(&self, path: &RootPath) -> Result<(), ToolError> {
        if self.has_other_names {
            return Err(ToolError::failed(format!(
                "`{}` has several names (hard links): changing it here would part it from the others, so tools do not change it. \
                 Whoever wants that makes a copy in its place first.",
                path.text()
            )));
        }
        Ok(())
    }
}

/// Which permission bits a file has when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// These.
    Bits(u32),
    /// Those that new files have here.
    OfNewFiles,
    /// Those that new files have here which may be executed.
    OfNewPrograms,
}

impl From<Option<u32>> for Permissions {
    fn from(bits: Option<u32>) -> Self {
        bits.map_or(Self::OfNewFiles, Self::Bits)
    }
}

/// How long somebody may keep others from changing files below a root.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nobody else who asks for it changes files below a root while this lives.
#[must_use]
pub struct Alone<'a> {
    _here: MutexGuard<'a, ()>,
    /// The folder, locked; `None` where its file system knows no locks.
    _folder: Option<OwnedFd>,
}

impl Root {
    /// Waits until nobody else changes files below this root: neither a thread of this process nor another process. Whoever looks at a file
    /// to change it holds this from the look to the change, else what somebody else writes in between is lost.
    ///
    /// # Errors
    /// When somebody holds the folder for long.
    pub fn alone(&self) -> Result<Alone<'static>, ToolError> {
        static HERE: Mutex<()> = Mutex::new(());
        let here = HERE.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&self.handle, ".", flags, Mode::empty()).map_err(|errno| failure(&RootPath::default(), errno))?;
        let since = Instant::now();
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Alone { _here: here, _folder: Some(folder) }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if since.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    return Err(ToolError::failed("Another process holds the workspace locked. Try again later."));
                }
                Err(_) => return Ok(Alone { _here: here, _folder: None }),
            }
        }
    }

    /// Reads a whole file that a tool is to change; `None` when it is not there, nor perhaps the folder that it would lie in.
    ///
    /// # Errors
    /// When it is something else than a file, too large, or not to be touched.
    pub fn found(&self, path: &RootPath) -> Result<Option<Found>, ToolError> {
        self.may_name(path)?;
        let Some((above, name)) = path.split() else { return Err(ToolError::failed("The workspace is a folder.")) };
        if self.missing_folders(&above)? > 0 {
            return Ok(None);
        }
        let folder = self.folder(&above)?;
        if folder.kind(OsStr::new(name)).is_none() {
            return Ok(None);
        }
        let (file, bytes) = folder.file(name)?;
        let too_large = || {
            let text = path.text();
            ToolError::failed(format!(
                "`{text}` has {bytes} bytes, and files above {WRITTEN_BYTES_MAX} are not changed by tools."
            ))
        };
        if bytes > WRITTEN_BYTES_MAX {
            return Err(too_large());
        }
        let stat = fstat(&file).map_err(|errno| failure(path, errno))?;
        let (mode, has_other_names) = (stat.st_mode & 0o7777, stat.st_nlink > 1);
        let mut content = Vec::new();
        let read = file.take(WRITTEN_BYTES_MAX + 1).read_to_end(&mut content);
        read.map_err(|error| ToolError::failed(format!("`{}` cannot be read: {error}.", path.text())))?;
        if content.len() as u64 > WRITTEN_BYTES_MAX {
            Err(too_large())
        } else {
            Ok(Some(Found { content, mode, has_other_names }))
        }
    }

    /// Returns how many folders of `path` are not there, from its end.
    ///
    /// # Errors
    /// When one of them is something else than a folder, or not to be entered.
    pub fn missing_folders(&self, path: &RootPath) -> Result<u32, ToolError> {
        let mut folder = self.folder(&RootPath::default())?;
        for (depth, name) in path.0.iter().enumerate() {
            if folder.kind(OsStr::new(name)).is_none() {
                return Ok(u32::try_from(path.depth() - depth).unwrap_or(u32::MAX));
            }
            folder = folder.folder(name)?;
        }
        Ok(0)
    }

    /// Gives a file this content: all of it or, when anything fails, nothing. Folders that are not there are made. It is on the
    /// disk when this returns.
    ///
    /// # Errors
    /// When something else is there, or it cannot be written.
    pub fn put(&self, path: &RootPath, content: &[u8], mode: Permissions) -> Result<(), ToolError> {
        self.may_name(path)?;
        let Some((above, name)) = path.split() else { return Err(ToolError::failed("The workspace is a folder.")) };
        let mut folder = self.folder(&RootPath::default())?;
        for name in &above.0 {
            folder = folder.folder_or_new(name)?;
        }
        folder.put(name, content, mode)
    }

    /// Removes what processes left beside a file that were killed while they wrote it.
    pub fn sweep_beside(&self, path: &RootPath) {
        if let Some((above, name)) = path.split()
            && let Ok(folder) = self.folder(&above)
        {
            folder.sweep(&beginning(name));
        }
    }

    /// Deletes a file, if it is there, and the `folders` folders above it that were made for it, as far as they are empty.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn delete(&self, path: &RootPath, folders: u32) -> Result<(), ToolError> {
        self.may_name(path)?;
        let Some((mut above, name)) = path.split() else { return Err(ToolError::failed("The workspace is a folder.")) };
        // Whoever made the file and its folders may have been cut off at any of them.
        let mut folders = folders;
        while folders > 0 && self.missing_folders(&above)? > 0 {
            let Some((next, _)) = above.split() else { break };
            (above, folders) = (next, folders - 1);
        }
        if self.missing_folders(&above)? > 0 {
            return Ok(());
        }
        let folder = self.folder(&above)?;
        match folder.kind(OsStr::new(name)) {
            None => {}
            Some(Kind::File) => {
                unlinkat(&folder.handle, name, AtFlags::empty()).map_err(|errno| cannot_write(path, errno))?;
                fsync(&folder.handle).map_err(|errno| cannot_write(path, errno))?;
            }
            Some(_) => return Err(ToolError::failed(format!("`{}` is not a file.", path.text()))),
        }
        for _ in 0..folders {
            let Some((next, name)) = above.split() else { break };
            // A folder that has something else in it by now stays.
            if unlinkat(&self.folder(&next)?.handle, name, AtFlags::REMOVEDIR).is_err() {
                break;
            }
            above = next;
        }
        Ok(())
    }
}

impl<'a> Folder<'a> {
    fn folder_or_new(&self, name: &str) -> Result<Folder<'a>, ToolError> {
        let path = self.path.join(name);
        self.root.may_read(&path, name, true)?;
        match mkdirat(&self.handle, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => fsync(&self.handle).map_err(|errno| cannot_write(&path, errno))?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(cannot_write(&path, errno)),
        }
        self.folder(name)
    }

    fn put(&self, name: &str, content: &[u8], mode: Permissions) -> Result<(), ToolError> {
        let path = self.path.join(name);
        let wrong = |errno: Errno| cannot_write(&path, errno);
        match self.kind(OsStr::new(name)) {
            None | Some(Kind::File) => {}
            // Opening says what it is.
            Some(_) => drop(self.file(name)?),
        }
        let beside = self.name_beside(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let asked = if mode == Permissions::OfNewPrograms { 0o777 } else { 0o666 };
        let file = openat(&self.handle, &beside, flags, Mode::from_raw_mode(asked)).map_err(wrong)?;
        let written = (|| {
            let mut file = File::from(file);
            file.write_all(content)?;
            if let Permissions::Bits(bits) = mode {
                fchmod(&file, Mode::from_raw_mode(bits))?;
            }
            file.sync_all()?;
            renameat(&self.handle, &beside, &self.handle, name)?;
            fsync(&self.handle)?;
            Ok::<(), io::Error>(())
        })();
        written.map_err(|error| {
            let _ = unlinkat(&self.handle, &beside, AtFlags::empty());
            ToolError::failed(format!("`{}` cannot be written: {error}.", path.text()))
        })
    }
}

impl Folder<'_> {
    /// Returns a name for a new file beside `name` that nobody has, and removes what processes left that were killed while they wrote it.
    fn name_beside(&self, name: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let start = beginning(name);
        self.sweep(&start);
        format!("{start}{}-{}.meno", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes files whose names begin so and whose writers are no more.
    fn sweep(&self, start: &str) {
        let entries = Dir::read_from(&self.handle).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            let left = entry.file_name().to_str().ok().and_then(|left| left.strip_prefix(start)?.strip_suffix(".meno"));
            let pid = left.and_then(|left| left.split_once('-')?.0.parse().ok()).and_then(Pid::from_raw);
            if pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
                let _ = unlinkat(&self.handle, entry.file_name(), AtFlags::empty());
            }
        }
    }
}

/// Returns the files in `folder` that processes left which were killed while they wrote.
pub fn left_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_left)).map(|entry| entry.path()).collect()
}

/// Whether a name is one under which a file is written until it is whole, by a process that is no more.
fn is_left(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.strip_suffix(".meno")?.split_once('.'));
    let Some((hash, (pid, count))) = parts.and_then(|(hash, rest)| Some((hash, rest.split_once('-')?))) else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = hash.len() == HASH_CHARS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number(count);
    let pid = if is_ours { pid.parse().ok().and_then(Pid::from_raw) } else { None };
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Characters of the hash of a file's name in the name under which it is written.
const HASH_CHARS: usize = 12;

/// Returns how the names begin under which a file is written until it is whole.
fn beginning(name: &str) -> String {
    format!(".{}.", &Hash::of(name.as_bytes()).to_string()[..HASH_CHARS])
}

fn cannot_write(path: &RootPath, errno: Errno) -> ToolError {
    ToolError::failed(format!("`{}` cannot be written: {}.", path.text(), io::Error::from(errno)))
}
