//! A folder that tools cannot leave.
//!
//! It is opened once and held. Every path below it is walked component by component from that handle, each opened without following
//! links, so whatever happens to the tree between a check and its use (a folder swapped for a link, a rename) cannot lead outside:
//! no link is ever followed, no `..` is ever given to the system, and what was checked is what was opened. Links are shown with
//! where they lead, and whoever wants what is there names that path.

mod write;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::ToolError;
use super::deny::Deny;
use super::secrets;

pub use write::{Found, Permissions, WRITTEN_BYTES_MAX, left_in};

/// Folders within folders are followed so deep.
const DEPTH_MAX: usize = 128;

/// A folder that tools may read.
#[derive(Debug)]
pub struct Root {
    handle: OwnedFd,
    path: PathBuf,
    /// Device and inode of folders that are not read wherever they lie.
    never: Vec<(u64, u64)>,
    deny: Deny,
}

/// Why a folder cannot be the root of anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// It cannot be opened.
    #[error("the workspace {} cannot be opened: {why}", path.display())]
    Closed {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What settings deny cannot be read.
    #[error("`{pattern}` under `deny` of [tools] {why}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// Why.
        why: String,
    },
}

/// Returns a name or path in one line: what would break it, or say something to a terminal, is written as an escape. One name is one entry.
pub fn one_line(name: &str) -> Cow<'_, str> {
    if name.contains(char::is_control) { Cow::Owned(name.escape_debug().to_string()) } else { Cow::Borrowed(name) }
}

/// A path below the root: its components, none of them special.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootPath(Vec<String>);

impl RootPath {
    /// Returns the path of `name` below this one.
    pub fn join(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    /// Returns how many folders deep it is.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Returns the path as text; `.` for the root itself.
    pub fn text(&self) -> String {
        if self.0.is_empty() { ".".to_owned() } else { self.0.join("/") }
    }
}

impl RootPath {
    /// Returns the path of the folder that it lies in and its name there; `None` for the root itself.
    pub fn split(&self) -> Option<(Self, &str)> {
        let (name, above) = self.0.split_last()?;
        Some((Self(above.to_vec()), name))
    }
}

/// What a name in a folder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, and where it says that it leads.
    Link(String),
    /// A socket, a pipe, a device.
    Other,
}

/// A folder below the root, held open.
#[derive(Debug)]
pub struct Folder<'a> {
    root: &'a Root,
    handle: OwnedFd,
    path: RootPath,
}

impl Root {
    /// Opens `path`.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn open(path: &Path, never: &[&Path], deny: &[String]) -> Result<Self, RootError> {
        let closed = |error: io::Error| RootError::Closed { path: path.to_owned(), why: error.to_string() };
        let handle = openat(rustix::fs::CWD, path, FOLDER & !OFlags::NOFOLLOW, Mode::empty()).map_err(|e| closed(e.into()))?;
        let never = never.iter().filter_map(|folder| {
            let stat = rustix::fs::stat(*folder).ok()?;
            Some((stat.st_dev as u64, stat.st_ino as u64))
        });
        let path = path.canonicalize().map_err(closed)?;
        let bad = |(pattern, why)| RootError::BadPattern { pattern, why };
        let deny = Deny::new(deny, &path.to_string_lossy()).map_err(bad)?;
        Ok(Self { handle, path, never: never.collect(), deny })
    }

    /// Returns the folder itself, for programs to begin in.
    pub fn folder_path(&self) -> &Path {
        &self.path
    }

    /// Reads a path as a model writes it: relative to the root, or absolute and inside it. `..` is taken by its text, which is exact
    /// where no link is followed.
    ///
    /// # Errors
    /// When it leads outside.
    pub fn path(&self, text: &str) -> Result<RootPath, ToolError> {
        let outside = || ToolError::not_allowed(format!("`{text}` is outside of the workspace. Paths are relative to it."));
        let path = Path::new(text);
        let relative = if path.is_absolute() { path.strip_prefix(&self.path).map_err(|_| outside())? } else { path };
        let mut parts: Vec<String> = Vec::new();
        for part in relative.to_str().unwrap_or_default().split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop().ok_or_else(outside)?),
                part if part.contains('\0') => return Err(ToolError::bad_arguments("A path has no NUL in it.")),
                part => parts.push(part.to_owned()),
            }
        }
        if parts.len() > DEPTH_MAX {
            return Err(ToolError::bad_arguments(format!("`{text}` is deeper than {DEPTH_MAX} folders.")));
        }
        Ok(RootPath(parts))
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// When it is not there, not a folder, or not to be read.
    pub fn folder(&self, path: &RootPath) -> Result<Folder<'_>, ToolError> {
        let handle = self.handle.try_clone().map_err(|error| ToolError::failed(format!("The workspace is gone: {error}")))?;
        let mut folder = Folder { root: self, handle, path: RootPath::default() };
        self.may_enter(&folder)?;
        for name in &path.0 {
            folder = folder.folder(name)?;
        }
        Ok(folder)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it is not there, not a file, or not to be read.
    pub fn file(&self, path: &RootPath) -> Result<(File, u64), ToolError> {
        let Some((name, above)) = path.0.split_last() else { return Err(ToolError::failed("The workspace is a folder.")) };
        self.folder(&RootPath(above.to_vec()))?.file(name)
    }

    /// Returns what a path stands for; `None` when nothing is there.
    ///
    /// # Errors
    /// When it is not to be read.
    pub fn kind(&self, path: &RootPath) -> Result<Option<Kind>, ToolError> {
        let Some((name, above)) = path.0.split_last() else { return Ok(Some(Kind::Folder)) };
        let folder = self.folder(&RootPath(above.to_vec()))?;
        self.may_read(path, name, true)?;
        Ok(folder.kind(OsStr::new(name)))
    }

    /// Refuses a path on the way to which something holds secrets, whether it is there or not.
    ///
    /// # Errors
    /// When it is not to be read.
    pub fn may_name(&self, path: &RootPath) -> Result<(), ToolError> {
        let mut so_far = RootPath::default();
        path.0.iter().try_for_each(|name| {
            so_far = so_far.join(name);
            self.may_read(&so_far, name, true)
        })
    }

    /// Returns what settings deny of it.
    pub fn deny(&self) -> &Deny {
        &self.deny
    }

    /// Refuses what holds secrets, by its name or by what settings deny.
    fn may_read(&self, path: &RootPath, name: &str, is_folder: bool) -> Result<(), ToolError> {
        if let Some(why) = secrets::reason(name) {
            return Err(ToolError::not_allowed(format!("`{}` is not read by tools: {why}.", path.text())));
        }
        if self.deny.matches(&path.text(), is_folder) {
            return Err(ToolError::not_allowed(format!("`{}` is not read by tools: the settings deny it.", path.text())));
        }
        Ok(())
    }

    fn may_enter(&self, folder: &Folder<'_>) -> Result<(), ToolError> {
        let stat = fstat(&folder.handle).map_err(|errno| failure(&folder.path, errno))?;
        if self.never.contains(&(stat.st_dev as u64, stat.st_ino as u64)) {
            return Err(ToolError::not_allowed(format!("`{}` is not read by tools: it is a store of meno.", folder.path.text())));
        }
        Ok(())
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A pipe must not hold up whoever opens it.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl<'a> Folder<'a> {
    /// Returns its path.
    pub fn path(&self) -> &RootPath {
        &self.path
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// When it is not there, not a folder, or not to be read.
    pub fn folder(&self, name: &str) -> Result<Folder<'a>, ToolError> {
        let path = self.path.join(name);
        self.root.may_read(&path, name, true)?;
        let handle = openat(&self.handle, name, FOLDER, Mode::empty()).map_err(|errno| self.why_not(name, errno))?;
        let folder = Folder { root: self.root, handle, path };
        self.root.may_enter(&folder)?;
        Ok(folder)
    }

    /// Opens a file in it; returns its length too.
    ///
    /// # Errors
    /// When it is not there, not a file, or not to be read.
    pub fn file(&self, name: &str) -> Result<(File, u64), ToolError> {
        let path = self.path.join(name);
        self.root.may_read(&path, name, false)?;
        let file = openat(&self.handle, name, FILE, Mode::empty()).map_err(|errno| self.why_not(name, errno))?;
        let stat = fstat(&file).map_err(|errno| failure(&path, errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((File::from(file), u64::try_from(stat.st_size).unwrap_or_default())),
            FileType::Directory => Err(ToolError::failed(format!("`{}` is a folder.", path.text()))),
            _ => Err(ToolError::failed(format!("`{}` is neither a file nor a folder.", path.text()))),
        }
    }

    /// Returns the names in it that tools may read, with what they stand for, in no order. Names that are not Unicode are left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> Result<Vec<(String, Kind)>, ToolError> {
        let broken = |errno| failure(&self.path, errno);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.handle).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Some(Kind::File),
                FileType::Directory => Some(Kind::Folder),
                _ => self.kind(OsStr::new(name)),
            };
            let Some(kind) = kind else { continue };
            if self.root.may_read(&self.path.join(name), name, kind == Kind::Folder).is_ok() {
                entries.push((name.to_owned(), kind));
            }
        }
        Ok(entries)
    }

    fn kind(&self, name: &OsStr) -> Option<Kind> {
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link(link(self.handle.as_fd(), name)),
            _ => Kind::Other,
        })
    }

    fn why_not(&self, name: &str, errno: Errno) -> ToolError {
        let path = self.path.join(name);
        match self.kind(OsStr::new(name)) {
            Some(Kind::Link(target)) => ToolError::not_allowed(format!(
                "`{}` is a link to `{target}`, and links are not followed. Name the path itself if it is in the workspace.",
                path.text()
            )),
            Some(Kind::File) if errno == Errno::NOTDIR => {
                ToolError::failed(format!("`{}` is a file, not a folder.", path.text()))
            }
            _ => failure(&path, errno),
        }
    }
}

fn link(folder: BorrowedFd<'_>, name: &OsStr) -> String {
    let target = readlinkat(folder, name, Vec::new()).map(|target| target.into_bytes()).unwrap_or_default();
    OsStr::from_bytes(&target).to_string_lossy().into_owned()
}

fn failure(path: &RootPath, errno: Errno) -> ToolError {
    match errno {
        Errno::NOENT => {
            ToolError::failed(format!("There is no `{}`. `find_files` and `list_files` say what there is.", path.text()))
        }
        errno => ToolError::failed(format!("`{}` cannot be read: {}.", path.text(), io::Error::from(errno))),
    }
}
