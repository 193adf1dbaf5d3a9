//! Which folder holds the store, and is it fit to: ours, closed to others, on a file system with locks and sockets.
//!
//! It does not know what lies in the folder, and reads no environment: its callers say what flags and variables said.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::{Error, Unwritable};

/// What [`StoreDir::open`] may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// Nothing: a missing folder is an error.
    Never,
    /// The folder, in a parent that exists.
    Folder,
    /// The folder and its missing parents.
    WithParents,
}

/// A folder that is fit to hold a store: it exists, is ours, and is closed to other users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir {
    dir: PathBuf,
    loose: Option<u32>,
}

impl StoreDir {
    /// Checks the folder, creating what `create` allows; loose permissions are tightened where anything can be written.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is missing and may not be created, [`Error::Refused`] when it is another user's,
    /// [`Error::Unsuited`] when its file system is one that several machines write to, [`Error::Io`].
    pub fn open(dir: &Path, create: Create) -> Result<Self, Error> {
        Self::refuse_files(dir)?;
        match fs::metadata(dir) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => match create {
                Create::Never => return Err(Error::NotFound(dir.to_owned())),
                Create::Folder => make_folder(dir, false)?,
                Create::WithParents => make_folder(dir, true)?,
            },
            Err(error) => return Err(Error::io(dir)(error)),
        }
        let dir = fs::canonicalize(dir).map_err(Error::io(dir))?;
        let found = fs::metadata(&dir).map_err(Error::io(&dir))?;
        refuse_strangers(&dir, &found)?;
        let mut loose = None;
        if found.permissions().mode() & 0o077 != 0
            && let Err(error) = fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))
        {
            // On a medium that cannot be written to it can only be said.
            Unwritable::of(&error).ok_or(error).map_err(Error::io(&dir))?;
            loose = Some(found.permissions().mode() & 0o777);
        }
        refuse_networks(&dir)?;
        if create != Create::Never {
            ignore_everything(&dir)?;
        }
        Ok(Self { dir, loose })
    }

    /// Refuses a path at which there is something else than a folder, or can be none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn refuse_files(dir: &Path) -> Result<(), Error> {
        let is_file = match fs::metadata(dir) {
            Ok(found) => !found.is_dir(),
            Err(error) => error.kind() == io::ErrorKind::NotADirectory,
        };
        let why = || io::Error::new(io::ErrorKind::NotADirectory, "it is no store: a store is a folder");
        if is_file { Err(Error::io(dir)(why())) } else { Ok(()) }
    }

    /// The folder, absolute and free of symbolic links.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the permissions that leave the folder open to others, when they could not be tightened.
    pub fn loose(&self) -> Option<u32> {
        self.loose
    }

    /// Returns the path of a folder inside, which is created with mode 0700 if it is not there, durably.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        make_folder(&path, false)?;
        Ok(path)
    }
}

/// Creates a folder (0700) if it is not there; folders above it too when `parents`. What was made is durable.
pub(super) fn make_folder(path: &Path, parents: bool) -> Result<(), Error> {
    let mut missing = vec![path];
    if parents {
        missing.extend(path.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()));
    }
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => folder.parent().map_or(Ok(()), sync_folder)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(Error::io(folder)(error)),
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io(path))
}

/// Refuses what belongs to another user id: whoever owns it could change it under us, or read what we write.
pub(super) fn refuse_strangers(path: &Path, found: &Metadata) -> Result<(), Error> {
    let own = rustix::process::geteuid().as_raw();
    if found.uid() == own {
        return Ok(());
    }
    Err(Error::Refused(format!("{} belongs to user id {}, not to {own}", path.display(), found.uid())))
}

/// The store's own `.gitignore`, so that a project's store never gets into its repository by accident.
fn ignore_everything(dir: &Path) -> Result<(), Error> {
    let path = dir.join(".gitignore");
    match File::options().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => file.write_all(b"*\n").map_err(Error::io(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// Says that the file system of `path` cannot do `what`.
pub(super) fn unsuited(path: &Path, what: &str) -> Error {
    Error::Unsuited(format!(
        "{} lies on a file system {what}; a store needs a local one, the archive made by `meno export DIR` may lie anywhere",
        path.display()
    ))
}

/// Network file systems by the number that statfs(2) gives. Locks on them may hold across machines while sockets never do, so two
/// machines would each wait for an owner that they cannot reach; and their sync promises less. FUSE and 9p are not listed: most of
/// them are local, and where they lack locks or sockets the first attempt says so.
#[cfg(target_os = "linux")]
const NETWORKS: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
    (0x00c3_6400, "Ceph"),
    (0x4750_4653, "GPFS"),
];

#[cfg(target_os = "linux")]
fn refuse_networks(dir: &Path) -> Result<(), Error> {
    let found = rustix::fs::statfs(dir).map_err(|error| Error::io(dir)(error.into()))?;
    // The field is signed on some machines; only its low 32 bits are the number.
    match network(found.f_type as u64 & 0xffff_ffff) {
        Some(name) => Err(unsuited(dir, &format!("of the network ({name})"))),
        None => Ok(()),
    }
}

/// Elsewhere the first lock or socket that fails says it.
#[cfg(not(target_os = "linux"))]
fn refuse_networks(_dir: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn network(number: u64) -> Option<&'static str> {
    NETWORKS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_missing_folder_is_created_only_as_far_as_allowed_and_closed_to_others() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/store");
        assert!(matches!(StoreDir::open(&deep, Create::Never), Err(Error::NotFound(_))));
        assert!(matches!(StoreDir::open(&deep, Create::Folder), Err(Error::Io { .. })));
        let place = StoreDir::open(&deep, Create::WithParents).unwrap();
        assert_eq!((mode(&deep), mode(&root.path().join("a"))), (0o700, 0o700));
        assert_eq!(fs::read_to_string(place.dir().join(".gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn loose_permissions_are_tightened_and_an_own_gitignore_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("store");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.join(".gitignore"), "log\n").unwrap();
        StoreDir::open(&dir, Create::Folder).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(fs::read_to_string(dir.join(".gitignore")).unwrap(), "log\n");
    }

    #[test]
    fn another_users_folder_is_refused_by_name_and_user_id() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("theirs");
        fs::create_dir(&dir).unwrap();
        // Only root can give a folder away; elsewhere `/` is another user's already.
        let theirs = match std::os::unix::fs::chown(&dir, Some(4242), None) {
            Ok(()) => dir,
            Err(_) => PathBuf::from("/"),
        };
        let uid = fs::metadata(&theirs).unwrap().uid();
        let error = StoreDir::open(&theirs, Create::Never).unwrap_err();
        assert!(
            matches!(&error, Error::Refused(words) if words.contains(&format!("{} belongs to user id {uid}", theirs.display()))),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_not_a_store() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(StoreDir::open(file.path(), Create::Folder), Err(Error::Io { .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known_by_number_and_local_ones_pass() {
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0xff53_4d42), Some("CIFS"));
        assert_eq!(network(0xef53), None, "ext4");
        assert_eq!(network(0x0102_1994), None, "tmpfs");
    }
}
