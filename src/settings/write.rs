//! Files that are replaced whole: written beside, synced, renamed; readers see the old text or the new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::Error;

/// Larger files are no settings.
const BYTES_MAX: u64 = 1 << 20;

/// Reads a small text file; `None` when it is not there.
///
/// Refuses what is not a plain file: a pipe planted in a stranger's folder would never end.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path)(error)),
    };
    if !metadata.is_file() {
        return Err(Error::io(path)(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file")));
    }
    if metadata.len() > BYTES_MAX {
        return Err(Error::io(path)(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB, too large for settings")));
    }
    fs::read_to_string(path).map(Some).map_err(Error::io(path))
}

/// Makes `folder` and its missing parents, readable for their owner only.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::write(folder))
}

/// The file in a folder that is locked while its files change. Not the folder itself: a store's owner holds a lock on that for as long as it
/// lives, and its settings can be changed all the same.
pub(crate) const LOCK: &str = ".lock";

/// Holds off other processes that change files in `folder`, until the result is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(Error::write(&path))?;
    file.lock().map_err(Error::write(&path))?;
    Ok(file)
}

/// Replaces the text of `path`. The caller holds the folder's [`lock`].
///
/// A link is followed, so that files kept elsewhere stay there; an existing file keeps its permissions, a new one has 0600.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(Error::write(path)(error)),
    };
    let mode = fs::metadata(&target).map_or(0o600, |metadata| metadata.permissions().mode() & 0o777);
    let beside = beside(&target);
    let result = write(&beside, &target, text, mode).map_err(Error::write(&target));
    if result.is_err() {
        // Nothing more can be done about a leftover than to try; the fault that matters is the first one.
        drop(fs::remove_file(&beside));
    }
    result
}

/// Names the file beside `target`; the process's id keeps folders that are locked on other machines apart.
fn beside(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    target.with_file_name(name)
}

fn write(beside: &Path, target: &Path, text: &str, mode: u32) -> io::Result<()> {
    // A leftover of a process that was killed, or a link that somebody planted: neither is written through.
    drop(fs::remove_file(beside));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, target)?;
    File::open(target.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_told_from_what_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "words").unwrap();
        let inside = file.join("folder");
        assert!(matches!(make_folder(&inside), Err(Error::Write { .. })));
        assert!(matches!(lock(&file), Err(Error::Write { .. })));
        assert!(matches!(replace(&inside, "text"), Err(Error::Write { .. })));
        assert!(matches!(read(&inside), Err(Error::Io { .. })));
    }
}
