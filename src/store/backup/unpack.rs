//! Reads a backup: checks every byte of it, and puts it into a folder that becomes a store only when all of it is there and sound.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Contents, Error, FORMAT, LogEnd, MANIFEST, Manifest, SEAL_BYTES, SEAL_HEAD, sync_parent, with_end};
use crate::domain::ids::{Hash, NodeId};
use crate::store;
use crate::store::cipher;
use crate::store::files::{Files, OsFiles, exchange, make_dirs};
use crate::store::identity::{self, NodeFile};
use crate::store::journal::frame::{FRAME_BYTES_MAX, Header};
use crate::store::journal::segment::{self, Item, Segment, file_name};
use crate::store::verify::ChainWalk;

/// What a single entry may hold at most, in bytes: a segment of one longest frame, and room to spare.
const ENTRY_BYTES_MAX: u64 = 2 * FRAME_BYTES_MAX as u64;

/// Reads a backup through and checks all that can be checked.
///
/// # Errors
/// [`Error::Unsound`] with what is wrong, [`Error::Newer`], [`Error::Io`].
pub fn verify(file: &Path) -> Result<Contents, Error> {
    read(file, &mut |_, _| Ok(()))
}

/// What came of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What was put back.
    pub contents: Contents,
    /// Where the settings and templates are that were in the folder before.
    pub before: Option<PathBuf>,
}

/// Makes the store in the folder `store` out of a backup. The folder may be missing, or hold a store in which nothing has happened
/// yet; nobody else may use it meanwhile, which is for the caller to see to.
///
/// # Errors
/// An [`Error`]; then the folder is as it was.
pub fn unpack(file: &Path, store: &Path) -> Result<Restored, Error> {
    let (contents, before) = make_store(store, |beside| fill(file, beside))?;
    Ok(Restored { contents, before })
}

/// Makes the store in the folder `store` by filling a folder beside, which takes its place when `fill` has returned well. Returns what
/// that gave, and where settings and templates are that were there before and are not any more.
///
/// # Errors
/// What `fill` says, or why the folder cannot be put in place; then it is as it was.
pub fn make_store<T, E: From<Error>>(store: &Path, fill: impl FnOnce(&Path) -> Result<T, E>) -> Result<(T, Option<PathBuf>), E> {
    refuse_full(store)?;
    let beside = with_end(store, ".restoring");
    let _lock = begin(&beside, store)?;
    let made = fill(&beside).inspect_err(|_| {
        // What cannot be removed has a name that no store has, and is begun anew by the next restore.
        let _ = fs::remove_dir_all(&beside);
    })?;
    Ok((made, put_in_place(&beside, store)?))
}

/// Makes the folder beside, empty, and holds it; what a killed restore left in it is removed.
fn begin(beside: &Path, store: &Path) -> Result<File, Error> {
    if let Some(parent) = beside.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_dirs(&OsFiles, parent).map_err(Error::io(parent))?;
    }
    OsFiles.make_dir(beside).map_err(Error::io(beside))?;
    let lock = File::open(beside).map_err(Error::io(beside))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(Error::Busy(store.to_owned())),
        Err(fs::TryLockError::Error(why)) => return Err(Error::io(beside)(why)),
    }
    for entry in fs::read_dir(beside).map_err(Error::io(beside))? {
        let path = entry.map_err(Error::io(beside))?.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::io(&path))?;
    }
    Ok(lock)
}

fn fill(file: &Path, beside: &Path) -> Result<Contents, Error> {
    let mut written = Vec::new();
    let contents = read(file, &mut |name, bytes| {
        let path = beside.join(name);
        if let Some(parent) = path.parent() {
            make_dirs(&OsFiles, parent).map_err(Error::io(parent))?;
        }
        if name == "journal/node" {
            // A backup has it as the first release wrote it, so that every release can read it.
            let node = NodeFile::read(bytes).node().ok_or_else(|| store::Error::Damaged(name.to_owned()))?;
            return Ok(identity::remember(&OsFiles, beside, node)?);
        }
        let out = OsFiles.create(&path).map_err(Error::io(&path))?;
        out.write_at(bytes, 0).map_err(Error::io(&path))?;
        written.push(path);
        Ok(())
    })?;
    if contents.forgets {
        // What the log says is forgotten may still be in this copy: the first opening carries it out.
        store::forget::mark(&OsFiles, beside)?;
    }
    if !OsFiles.sync_all(beside).map_err(Error::io(beside))? {
        let mut folders = BTreeSet::new();
        for path in written {
            File::open(&path).and_then(|file| file.sync_all()).map_err(Error::io(&path))?;
            folders.extend(path.ancestors().skip(1).take_while(|dir| dir.starts_with(beside)).map(Path::to_owned));
        }
        folders.iter().try_for_each(|dir| OsFiles.sync_dir(dir).map_err(Error::io(dir)))?;
    }
    Ok(contents)
}

/// Exchanges the new folder for what is at `store`; returns where that went if it holds something of the user's.
fn put_in_place(beside: &Path, store: &Path) -> Result<Option<PathBuf>, Error> {
    if fs::symlink_metadata(store).is_err() {
        fs::rename(beside, store).map_err(Error::io(store))?;
        sync_parent(store)?;
        return Ok(None);
    }
    let aside = (1..).map(|number| with_end(store, &format!(".before-{number}"))).find(|path| !path.exists());
    // There are more numbers than a folder can have names.
    let aside = aside.unwrap_or_else(|| with_end(store, ".before"));
    exchange(beside, store, &aside)?;
    sync_parent(store)?;
    let mut kept = false;
    for name in ["config.toml", "templates"] {
        let (before, now) = (aside.join(name), store.join(name));
        if before.exists() && !now.exists() {
            fs::rename(&before, &now).map_err(Error::io(&now))?;
        }
        kept |= before.exists();
    }
    if kept {
        return Ok(Some(aside));
    }
    fs::remove_dir_all(&aside).map_err(Error::io(&aside))?;
    Ok(None)
}

/// Refuses a folder in which something has happened.
///
/// # Errors
/// [`Error::NotEmpty`], or [`Error::Io`].
pub fn refuse_full(store: &Path) -> Result<(), Error> {
    let full = |what: String| Err(Error::NotEmpty { folder: store.to_owned(), what });
    let known = [
        ".gitignore",
        ".lock",
        "audit.json",
        "config.toml",
        "index",
        "journal",
        "log",
        "owner.sock",
        "payloads",
        "programs",
        "runs",
        "spool",
        "store.lock",
        "templates",
    ];
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(Error::io(store)(why)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io(store))?.file_name();
        if !known.iter().any(|known| name == *known) {
            return full(format!("`{}`, which is not a store's", name.to_string_lossy()));
        }
    }
    if fs::read_dir(store.join("spool")).is_ok_and(|mut waiting| waiting.next().is_some()) {
        return full("paid replies in its spool".to_owned());
    }
    let (mut events, facts) = (0, identity::look(&OsFiles, store)?);
    for node in fs::read_dir(store.join("journal")).into_iter().flatten().flatten() {
        let Some(id) = node.file_name().to_str().and_then(|name| name.parse::<NodeId>().ok()) else { continue };
        let mut last = 0;
        for segment in segment::segments(&OsFiles, &node.path(), id, 1)? {
            for item in segment?.items() {
                match item {
                    Item::Frame(_, frame) => last = frame.last(),
                    Item::Gap(_) => return full("a journal with damage".to_owned()),
                    Item::Footer(_) => {}
                }
            }
        }
        // A store's first event says that it was made.
        if last > 1 {
            return full(format!("{last} events"));
        }
        events += last;
    }
    if let (0, Some(trace)) = (events, facts.traces.first()) {
        return full(format!("{trace}, but no journal"));
    }
    if facts.logs.iter().any(|log| log.has_events && log.folder.parse::<NodeId>().is_err()) {
        return full("a log under another name than its own".to_owned());
    }
    Ok(())
}

/// Takes an entry: its name and its bytes.
type Each<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), Error>;

/// Reads a backup and gives each sound entry but the manifest to `each`.
fn read(path: &Path, each: Each<'_>) -> Result<Contents, Error> {
    let unsound = |why: String| Error::Unsound { file: path.to_owned(), why };
    let mut file = File::options().read(true).open(path).map_err(Error::io(path))?;
    let bytes = sealed(path, &mut file)?;
    file.seek(SeekFrom::Start(0)).map_err(Error::io(path))?;
    let body = BufReader::with_capacity(1 << 20, file.take(bytes - SEAL_BYTES as u64));
    let broken = |why: io::Error| unsound(why.to_string());
    let mut tar = tar::Archive::new(zstd::Decoder::with_buffer(body).map_err(broken)?);
    let mut checking: Option<Checking> = None;
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_str().map(str::to_owned);
        let name = name.ok_or_else(|| unsound("an entry has no proper name".to_owned()))?;
        if entry.size() > ENTRY_BYTES_MAX {
            return Err(unsound(format!("{name}: {} bytes are too many", entry.size())));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        let Some(checking) = &mut checking else {
            let manifest = manifest(&name, &content).map_err(unsound)?;
            if manifest.format > FORMAT {
                return Err(Error::Newer { file: path.to_owned(), found: manifest.format });
            }
            checking = Some(Checking::new(manifest));
            continue;
        };
        checking.take(&name, &content).map_err(|why| match why {
            store::Error::Damaged(why) => unsound(format!("{name}: {why}")),
            why => why.into(),
        })?;
        each(&name, &content)?;
    }
    let checking = checking.ok_or_else(|| unsound("it is empty".to_owned()))?;
    checking.end(bytes).map_err(unsound)
}

/// Checks the seal; returns the file's length.
fn sealed(path: &Path, file: &mut File) -> Result<u64, Error> {
    let unsound = |why: &str| Error::Unsound { file: path.to_owned(), why: why.to_owned() };
    let about = file.metadata().map_err(Error::io(path))?;
    if !about.is_file() {
        return Err(unsound("it is no plain file"));
    }
    let bytes = about.len();
    let end = bytes.checked_sub(SEAL_BYTES as u64).ok_or_else(|| unsound("it is too short"))?;
    let mut seal = [0; SEAL_BYTES];
    file.read_exact_at(&mut seal, end).map_err(Error::io(path))?;
    if seal[..SEAL_HEAD.len()] != SEAL_HEAD {
        return Err(unsound("its end is missing, or it is none of ours"));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(end)).map_err(Error::io(path))?;
    if seal[SEAL_HEAD.len()..] != hasher.finalize().as_bytes()[..] {
        return Err(unsound("its bytes are not those that were written"));
    }
    Ok(bytes)
}

fn manifest(name: &str, content: &[u8]) -> Result<Manifest, String> {
    if name != MANIFEST {
        return Err(format!("it begins with `{name}`, not with `{MANIFEST}`"));
    }
    serde_json::from_slice(content).map_err(|why| format!("{MANIFEST}: {why}"))
}

/// Returns whether the file of payload `name` with these bytes is encrypted: then no more can be told of it without the key.
///
/// # Errors
/// [`store::Error::Damaged`] when it is not what its name says.
pub(super) fn payload_is_encrypted(name: Hash, content: &[u8]) -> Result<bool, store::Error> {
    if cipher::key_of(content)?.is_some() {
        return Ok(true);
    }
    let mut hasher = blake3::Hasher::new();
    let text = zstd::Decoder::new(content).and_then(|text| hasher.update_reader(text).map(|hasher| hasher.finalize()));
    if !text.is_ok_and(|found| Hash(*found.as_bytes()) == name) {
        return Err(store::Error::Damaged("its text does not have this hash".to_owned()));
    }
    Ok(false)
}

/// What was seen of a backup so far.
struct Checking {
    manifest: Manifest,
    node_named: bool,
    walks: BTreeMap<NodeId, ChainWalk>,
    payloads: BTreeSet<Hash>,
    encrypted: u64,
    files: u64,
}

impl Checking {
    fn new(manifest: Manifest) -> Self {
        let logs = std::iter::once(&manifest.log).chain(&manifest.others);
        let walks = logs.map(|log| (log.node, ChainWalk::begin(log.node))).collect();
        Self { manifest, node_named: false, walks, payloads: BTreeSet::new(), encrypted: 0, files: 0 }
    }

    /// Checks one entry by what its name says it is. Names of any other form are refused, so that no backup writes elsewhere.
    fn take(&mut self, name: &str, content: &[u8]) -> Result<(), store::Error> {
        let refuse = |why: &str| Err(store::Error::Damaged(why.to_owned()));
        match name.split('/').collect::<Vec<_>>()[..] {
            ["journal", "node"] if content == format!("{}\n", self.manifest.log.node).as_bytes() => self.node_named = true,
            ["journal", node, segment] => {
                let walk = node.parse().ok().and_then(|node| self.walks.get_mut(&node));
                let first = segment.strip_suffix(".seg").and_then(|first| first.parse().ok());
                let (Some(walk), Some(first)) = (walk, first.filter(|first| file_name(*first) == segment)) else {
                    return refuse("it belongs to no log of this backup");
                };
                let (node, bytes) = (walk.head.node, content.to_vec());
                let header = Header::read(&bytes, node)?.filter(|header| header.first == first);
                let segment = Segment { path: PathBuf::from(name), node, first, header, bytes };
                walk.segment(&segment).map_err(store::Error::Damaged)?;
            }
            ["config.toml"] => self.files += 1,
            ["templates", file] if file.ends_with(".json") && !file.starts_with('.') => self.files += 1,
            ["payloads", folder, file] if file.starts_with(folder) && folder.len() == 2 => {
                let Ok(hash) = file.parse::<Hash>() else { return refuse("its name is no hash") };
                if file != hash.to_string() {
                    return refuse("its name is not written as hashes are");
                }
                self.encrypted += u64::from(payload_is_encrypted(hash, content)?);
                self.payloads.insert(hash);
            }
            _ => return refuse("no backup has such an entry"),
        }
        Ok(())
    }

    fn end(self, bytes: u64) -> Result<Contents, String> {
        if !self.node_named {
            return Err("`journal/node` is missing".to_owned());
        }
        for end in std::iter::once(&self.manifest.log).chain(&self.manifest.others) {
            let reached = self.walks.get(&end.node).map(|walk| LogEnd::from(walk.head));
            if reached.as_ref() != Some(end) {
                return Err(format!("the log of {} does not end at event {} as it should", end.node, end.seq));
            }
        }
        let sum = |of: fn(&ChainWalk) -> u64| self.walks.values().map(of).sum();
        let named: BTreeSet<Hash> = self.walks.values().flat_map(|walk| walk.payloads.iter().copied()).collect();
        Ok(Contents {
            events: sum(|walk| walk.events),
            without_private: sum(|walk| walk.without_private),
            payloads: self.payloads.len() as u64,
            encrypted_payloads: self.encrypted,
            missing_payloads: named.difference(&self.payloads).copied().collect(),
            files: self.files,
            forgets: sum(|walk| walk.forgets) > 0,
            bytes,
            manifest: self.manifest,
        })
    }
}
