//! The way to `owner.sock`, however deep the store lies: binding, connecting, and who is at the other end.
//!
//! A socket's path has room for about 104 bytes. A longer one is reached through a short name for the store's folder: on Linux
//! the number of an open descriptor in `/proc`, elsewhere a symbolic link in a private temporary folder. Nothing here changes the
//! current folder, which belongs to the whole process.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::super::Error;
use super::store_dir::{StoreDir, refuse_strangers, unsuited};

const NAME: &str = "owner.sock";
/// The longest path that every platform takes, with the zero at its end: macOS has 104 bytes, Linux 108.
const PATH_MAX: usize = 103;

/// A path short enough for a socket, valid while this value lives.
struct Address {
    path: PathBuf,
    _by: By,
}

/// What keeps a short path valid: an open descriptor's number in `/proc` stays the folder's, a link stays where it is.
#[allow(dead_code, reason = "held until dropped, not read")]
enum By {
    Itself,
    #[cfg(target_os = "linux")]
    Descriptor(File),
    Link(Link),
}

/// A private folder with a link to the store's folder; removed when dropped.
struct Link {
    folder: PathBuf,
}

impl Address {
    fn of(place: &StoreDir) -> Result<Self, Error> {
        let path = place.dir().join(NAME);
        if path.as_os_str().as_bytes().len() <= PATH_MAX {
            return Ok(Self { path, _by: By::Itself });
        }
        #[cfg(target_os = "linux")]
        if let Some(address) = Self::through_descriptor(place)? {
            return Ok(address);
        }
        Self::through_link(place, &std::env::temp_dir())
    }

    /// `None` where `/proc` is not mounted.
    #[cfg(target_os = "linux")]
    fn through_descriptor(place: &StoreDir) -> Result<Option<Self>, Error> {
        use std::os::fd::AsRawFd;

        let folder = File::open(place.dir()).map_err(Error::io(place.dir()))?;
        let folder_path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        let reaches = folder_path.is_dir();
        Ok(reaches.then(|| Self { path: folder_path.join(NAME), _by: By::Descriptor(folder) }))
    }

    fn through_link(place: &StoreDir, temporary: &Path) -> Result<Self, Error> {
        let random = getrandom::u64().map_err(|error| Error::io(temporary)(io::Error::other(error.to_string())))?;
        let folder = temporary.join(format!("meno-{random:016x}"));
        // Creation fails if the name is taken, so nobody else can have put anything inside.
        DirBuilder::new().mode(0o700).create(&folder).map_err(Error::io(&folder))?;
        let link = Link { folder };
        let short = link.folder.join("s");
        std::os::unix::fs::symlink(place.dir(), &short).map_err(Error::io(&short))?;
        let path = short.join(NAME);
        if path.as_os_str().as_bytes().len() > PATH_MAX {
            return Err(Error::Unsuited(format!(
                "{} lies too deep for a socket, and so does the temporary folder {}",
                place.dir().display(),
                temporary.display()
            )));
        }
        Ok(Self { path, _by: By::Link(link) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // What cannot be removed is an empty folder or a link in the temporary folder, of no harm.
        let _ = fs::remove_file(self.folder.join("s"));
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Binds the socket, in place of one that a dead owner left. Only the holder of the store's lock may call this.
pub(super) fn bind(place: &StoreDir) -> Result<UnixListener, Error> {
    unlink(place)?;
    let address = Address::of(place)?;
    let named = place.dir().join(NAME);
    let listener = UnixListener::bind(&address.path).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::AFNOSUPPORT) => unsuited(place.dir(), "without sockets"),
        _ => Error::io(&named)(error),
    })?;
    // Until here the folder's 0700 kept others out.
    fs::set_permissions(&named, fs::Permissions::from_mode(0o600)).map_err(Error::io(&named))?;
    Ok(listener)
}

/// Removes the socket. Only the holder of the store's lock may call this.
///
/// # Errors
/// [`Error::Refused`] when something else than a socket of ours bears its name: it is left alone.
pub(super) fn unlink(place: &StoreDir) -> Result<(), Error> {
    let path = place.dir().join(NAME);
    match fs::symlink_metadata(&path) {
        Ok(found) => {
            refuse_strangers(&path, &found)?;
            if !found.file_type().is_socket() {
                return Err(Error::Refused(format!("{} is in the way: it is not a socket", path.display())));
            }
            fs::remove_file(&path).map_err(Error::io(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// How an attempt to connect ended.
pub(super) enum Connecting {
    Connected(UnixStream),
    /// Nobody listens.
    Nobody,
    /// Somebody listens but takes no connections for now.
    Full,
}

/// Connects to the owner, without waiting.
pub(super) fn connect(place: &StoreDir) -> Result<Connecting, Error> {
    let named = place.dir().join(NAME);
    match fs::symlink_metadata(&named) {
        Ok(found) => refuse_strangers(&named, &found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Connecting::Nobody),
        Err(error) => return Err(Error::io(named)(error)),
    }
    match stream(&Address::of(place)?.path) {
        Ok(stream) => {
            refuse_strange_peer(&stream, &named)?;
            Ok(Connecting::Connected(stream))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Ok(Connecting::Nobody),
            io::ErrorKind::WouldBlock => Ok(Connecting::Full),
            _ => Err(Error::io(named)(error)),
        },
    }
}

/// The queue of a frozen owner fills up, and on Linux a blocking connect would then wait for ever.
#[cfg(target_os = "linux")]
fn stream(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Elsewhere a full queue refuses at once.
#[cfg(not(target_os = "linux"))]
fn stream(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path)
}

/// Refuses a peer of another user id, where the system tells; elsewhere the folder's mode keeps others out.
#[cfg(target_os = "linux")]
pub(super) fn refuse_strange_peer(stream: &UnixStream, path: &Path) -> Result<(), Error> {
    let peer = rustix::net::sockopt::socket_peercred(stream).map_err(|error| Error::io(path)(error.into()))?;
    let own = rustix::process::geteuid();
    if peer.uid == own {
        return Ok(());
    }
    Err(Error::Refused(format!("the other end of {} belongs to user id {}, not to {}", path.display(), peer.uid, own)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn refuse_strange_peer(_stream: &UnixStream, _path: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::store_dir::Create;
    use super::*;

    fn deep() -> (tempfile::TempDir, StoreDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a".repeat(120)).join("b".repeat(120)).join("store");
        let place = StoreDir::open(&dir, Create::WithParents).unwrap();
        (root, place)
    }

    fn talks(listener: &UnixListener, stream: UnixStream) {
        use std::io::{Read, Write};
        let (mut accepted, _) = listener.accept().unwrap();
        (&stream).write_all(b"hi").unwrap();
        let mut heard = [0; 2];
        accepted.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hi");
    }

    #[test]
    fn a_deep_store_is_bound_and_reached_and_its_socket_lies_in_its_folder() {
        let (_root, place) = deep();
        let listener = bind(&place).unwrap();
        let found = fs::symlink_metadata(place.dir().join(NAME)).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        let Connecting::Connected(stream) = connect(&place).unwrap() else { panic!("not connected") };
        talks(&listener, stream);
    }

    #[test]
    fn a_link_reaches_a_deep_store_too_and_is_gone_afterwards() {
        let (root, place) = deep();
        let listener = bind(&place).unwrap();
        let temporary = tempfile::Builder::new().prefix("t").tempdir().unwrap();
        let address = Address::through_link(&place, temporary.path()).unwrap();
        talks(&listener, stream(&address.path).unwrap());
        drop(address);
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
        assert!(matches!(Address::through_link(&place, &root.path().join("a".repeat(120))), Err(Error::Unsuited(_))));
    }

    #[test]
    fn a_socket_left_behind_is_nobody_and_makes_room_for_the_next_owner() {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(root.path(), Create::Folder).unwrap();
        assert!(matches!(connect(&place).unwrap(), Connecting::Nobody));
        drop(bind(&place).unwrap());
        assert!(place.dir().join(NAME).exists(), "closing a listener leaves its name");
        assert!(matches!(connect(&place).unwrap(), Connecting::Nobody));
        bind(&place).unwrap();
        unlink(&place).unwrap();
        assert!(!place.dir().join(NAME).exists());
    }

    #[test]
    fn a_file_in_place_of_the_socket_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(root.path(), Create::Folder).unwrap();
        fs::write(place.dir().join(NAME), "mine").unwrap();
        assert!(matches!(bind(&place), Err(Error::Refused(_))));
        assert_eq!(fs::read_to_string(place.dir().join(NAME)).unwrap(), "mine");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_queue_does_not_block() {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(root.path(), Create::Folder).unwrap();
        let listener = bind(&place).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let mut waiting = Vec::new();
        let full = (0..100).any(|_| match connect(&place) {
            Ok(Connecting::Connected(stream)) => {
                waiting.push(stream);
                false
            }
            Ok(Connecting::Full) => true,
            _ => panic!("neither connected nor full after {}", waiting.len()),
        });
        assert!(full);
    }
}
