//! Makes a backup of a store, beside whoever writes to it: what was acknowledged before it began is in it, what comes later is not.
//!
//! The file is written under another name, read back whole and checked, made durable, and only then gets its own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Contents, Error, FORMAT, MANIFEST, Manifest, SEAL_HEAD, sync_parent, unpack, with_end};
use crate::domain::ids::Hash;
use crate::store;
use crate::store::files::OsFiles;
use crate::store::imported;
use crate::store::journal::folder;
use crate::store::journal::segment::{self, Item, Segment, file_name};
use crate::store::log::Head;

/// The zstd level: logs shrink to a fraction at some hundred MB/s.
const LEVEL: i32 = 3;
/// What the name of a backup ends with until it is whole.
const PARTIAL: &str = ".partial";

/// Writes everything that the store in `store` holds up to `head` into `file`, which must not exist; `made_at` is now, RFC 3339.
/// Payloads that are damaged are left out, as those are that are missing.
///
/// # Errors
/// An [`Error`]; then `file` is not there.
pub fn pack(store: &Path, head: Head, file: &Path, made_at: String) -> Result<Contents, Error> {
    // Nobody asked for the file by the name that it has until it is whole.
    let named = |why| match why {
        Error::Unsound { why, .. } => Error::NotWhole { file: file.to_owned(), why },
        Error::Io { path, source } if path == with_end(file, PARTIAL) => Error::Write { path: file.to_owned(), source },
        why => why,
    };
    let partial = Partial::open(file).map_err(named)?;
    let written = write(store, head, &partial, made_at).and_then(|()| unpack::verify(&partial.path)).map_err(named);
    match written {
        Ok(contents) => {
            partial.publish(file).map_err(named)?;
            Ok(contents)
        }
        Err(why) => {
            // What cannot be removed either has a name by which nobody takes it for a backup.
            let _ = fs::remove_file(&partial.path);
            Err(why)
        }
    }
}

/// The backup under the name that it has until it is whole. Held by one process; what a killed one left is begun anew.
struct Partial {
    file: File,
    path: PathBuf,
}

impl Partial {
    fn open(file: &Path) -> Result<Self, Error> {
        if fs::symlink_metadata(file).is_ok() {
            return Err(Error::Exists(file.to_owned()));
        }
        let path = with_end(file, PARTIAL);
        let opened = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io(&path))?;
        match opened.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Busy(file.to_owned())),
            // A place without locks is fit for a backup all the same.
            Err(fs::TryLockError::Error(_)) => {}
        }
        let ours = opened.metadata().map_err(Error::io(&path))?;
        // Whoever held it may just have made a backup of it.
        if !fs::symlink_metadata(&path).is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
            return Err(Error::Busy(file.to_owned()));
        }
        opened.set_len(0).map_err(Error::io(&path))?;
        Ok(Self { file: opened, path })
    }

    fn publish(self, file: &Path) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io(&self.path))?;
        if fs::symlink_metadata(file).is_ok() {
            let _ = fs::remove_file(&self.path);
            return Err(Error::Exists(file.to_owned()));
        }
        fs::rename(&self.path, file).map_err(Error::io(file))?;
        sync_parent(file)
    }
}

fn write(store: &Path, head: Head, partial: &Partial, made_at: String) -> Result<(), Error> {
    let failed = |source| Error::Io { path: partial.path.clone(), source };
    let others = imported::ends(&OsFiles, store, head.node)?;
    let manifest = Manifest {
        format: FORMAT,
        meno: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        log: head.into(),
        others: others.iter().copied().map(Into::into).collect(),
    };
    let hashing = Hashing { out: BufWriter::with_capacity(1 << 20, &partial.file), hasher: blake3::Hasher::new() };
    let mut encoder = zstd::Encoder::new(hashing, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    let mut tar = Tar { tar: tar::Builder::new(encoder), partial };
    let manifest = serde_json::to_string_pretty(&manifest).map_err(|why| failed(why.into()))?;
    tar.add(MANIFEST, manifest.as_bytes())?;
    tar.add("journal/node", format!("{}\n", head.node).as_bytes())?;
    for log in std::iter::once(head).chain(others) {
        write_log(store, log, &mut tar)?;
    }
    for file in settings_and_templates(store)? {
        // A file that went away meanwhile was taken out by its user.
        if let (Some(bytes), Some(name)) = (read(&file)?, inside(store, &file)) {
            tar.add(&name, &bytes)?;
        }
    }
    let payloads = store.join("payloads");
    for folder in sorted(&payloads)? {
        for file in if folder.is_dir() { sorted(&folder)? } else { Vec::new() } {
            let hash = file.file_name().and_then(|name| name.to_str()?.parse::<Hash>().ok());
            let (Some(hash), Some(name)) = (hash, inside(store, &file)) else { continue };
            let Some(bytes) = read(&file)? else { continue };
            match unpack::payload_is_encrypted(hash, &bytes) {
                Ok(_) => tar.add(&name, &bytes)?,
                // A damaged text is as good as a missing one, and what is made of the backup says so: the rest is kept.
                Err(store::Error::Damaged(_)) => {}
                Err(why) => return Err(why.into()),
            }
        }
    }
    let encoder = tar.tar.into_inner().map_err(failed)?;
    let Hashing { mut out, hasher } = encoder.finish().map_err(failed)?;
    out.write_all(&SEAL_HEAD).and_then(|()| out.write_all(hasher.finalize().as_bytes())).map_err(failed)?;
    out.flush().map_err(failed)
}

/// Writes the segments of a log up to `head`.
fn write_log(store: &Path, head: Head, tar: &mut Tar<'_, impl Write>) -> Result<(), Error> {
    let dir = folder(store, head.node);
    let mut reached = 0;
    for segment in segment::segments(&OsFiles, &dir, head.node, 1)? {
        let segment = segment?;
        if reached >= head.seq {
            break;
        }
        let (last, end) = until(&segment, head.seq)?;
        if last.is_none() && segment.first <= head.seq {
            return Err(damaged(&segment.path, format!("event {} is not there", segment.first)));
        }
        reached = last.unwrap_or(reached);
        tar.add(&format!("journal/{}/{}", head.node, file_name(segment.first)), &segment.bytes[..end])?;
    }
    if reached != head.seq {
        return Err(damaged(&dir, format!("it ends at event {reached}, not at {}", head.seq)));
    }
    Ok(())
}

/// Returns the last position up to `to` that the segment has, and the byte behind what belongs to that.
fn until(segment: &Segment, to: u64) -> Result<(Option<u64>, usize), Error> {
    let (mut last, mut end) = (None, 0);
    for item in segment.items() {
        match item {
            Item::Frame(at, frame) if frame.last() <= to => (last, end) = (Some(frame.last()), at as usize + frame.bytes.len()),
            Item::Footer(footer) if footer.last <= to => end = segment.bytes.len(),
            // Behind the end an append may be under way.
            Item::Frame(..) | Item::Footer(_) => break,
            Item::Gap(gap) if gap.expected > to => break,
            Item::Gap(gap) => return Err(damaged(&segment.path, format!("bytes {} to {} are damaged", gap.from, gap.to))),
        }
    }
    Ok((last, end))
}

fn damaged(path: &Path, why: String) -> Error {
    store::Error::Damaged(format!("{}: {why}", path.display())).into()
}

fn settings_and_templates(store: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = vec![store.join("config.toml")];
    files.extend(sorted(&store.join("templates"))?.into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".json") && !name.starts_with('.')
    }));
    files.retain(|path| path.is_file());
    Ok(files)
}

/// Returns what a folder holds, sorted; nothing when it is not there.
fn sorted(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = match fs::read_dir(dir) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(Error::io(dir))?
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(why) => return Err(Error::io(dir)(why)),
    };
    paths.sort_unstable();
    Ok(paths)
}

/// Reads a plain file; `None` when it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(Error::io(path)(why)),
    }
}

/// Returns the name of `file` within the store, with `/` between its parts.
fn inside(store: &Path, file: &Path) -> Option<String> {
    file.strip_prefix(store).ok()?.to_str().map(str::to_owned)
}

struct Tar<'a, W: Write> {
    tar: tar::Builder<W>,
    partial: &'a Partial,
}

impl<W: Write> Tar<'_, W> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        self.tar.append_data(&mut header, name, bytes).map_err(Error::io(&self.partial.path))
    }
}

/// Hashes what passes through.
struct Hashing<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
