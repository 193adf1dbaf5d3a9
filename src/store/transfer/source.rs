//! Where lines of events are read from: a file of them, or one that is packed as stores push it, compressed and perhaps encrypted.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{End, Error};
use crate::domain::ids::Hash;
use crate::store::cipher::{KeyId, Keyring};
use crate::store::files::Files;
use crate::store::log::Head;
use crate::store::payloads::Payloads;

use super::write::{Wanted, write};

/// How much is compressed: fast, and still several times smaller.
const LEVEL: i32 = 3;

/// A file of events.
#[derive(Clone)]
pub struct Source {
    /// The file, by which it is named to people.
    pub path: PathBuf,
    /// What a packed file is bound to, and the keys that may open it.
    packed: Option<(Hash, Arc<Keyring>)>,
}

impl Source {
    /// A file of lines.
    pub fn lines(path: PathBuf) -> Self {
        Self { path, packed: None }
    }

    /// A packed file that is bound to `place`.
    pub fn packed(path: PathBuf, place: Hash, keyring: Arc<Keyring>) -> Self {
        Self { path, packed: Some((place, keyring)) }
    }

    /// Opens it from its beginning.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Store`] when it is locked or is not what was packed.
    pub fn open(&self) -> Result<Box<dyn BufRead>, Error> {
        const BUFFER: usize = 1 << 20;
        let Some((place, keyring)) = &self.packed else {
            return Ok(Box::new(BufReader::with_capacity(BUFFER, File::open(&self.path)?)));
        };
        let bytes = keyring.open(*place, fs::read(&self.path)?)?;
        Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::new(Cursor::new(bytes))?)))
    }
}

/// Events, packed.
pub struct Packed {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The key under which they are encrypted.
    pub key: Option<KeyId>,
    /// What is in them.
    pub end: End,
}

/// Packs the events of the store in `store` that are `wanted`, bound to `place` and encrypted with the store's key when it has one and
/// `encrypt`.
///
/// # Errors
/// As [`write()`]; [`Error::Store`] when the key cannot be had.
pub fn pack(
    files: &dyn Files,
    store: &Path,
    payloads: &Payloads,
    wanted: Wanted,
    place: Hash,
    encrypt: bool,
) -> Result<Packed, Error> {
    let mut out = zstd::Encoder::new(Vec::new(), LEVEL)?;
    let end = write(files, store, payloads, wanted, &mut out)?.end;
    out.flush()?;
    let bytes = out.finish()?;
    match payloads.keyring().current()?.filter(|_| encrypt) {
        Some(key) => Ok(Packed { bytes: key.encrypt(place, &bytes), key: Some(key.id()), end }),
        None => Ok(Packed { bytes, key: None, end }),
    }
}

/// Returns the heads at which a log after position `from` - 1 is best cut up to `head`, the last of them `head` itself: each part has at
/// most so many events and bytes, unless one batch has more.
///
/// # Errors
/// [`Error::Store`].
pub fn cuts(
    files: &dyn Files,
    store: &Path,
    from: u64,
    head: Head,
    events_max: u64,
    bytes_max: usize,
) -> Result<Vec<Head>, Error> {
    use crate::store::journal::folder;
    use crate::store::journal::segment::{Item, segments};
    let (mut cuts, mut first, mut bytes) = (Vec::new(), from, 0);
    let mut last: Option<Head> = None;
    for segment in segments(files, &folder(store, head.node), head.node, from)? {
        let segment = segment?;
        for item in segment.items() {
            let Item::Frame(_, frame) = item else { continue };
            if frame.last() < from || frame.last() > head.seq {
                continue;
            }
            let length: usize = frame
                .records()
                .map(|record| record.map(|record| record.head.len() + record.private.map_or(0, <[u8]>::len)))
                .sum::<Result<usize, _>>()?;
            if let Some(end) = last.filter(|_| frame.last() + 1 - first > events_max || bytes + length > bytes_max) {
                cuts.push(end);
                (first, bytes) = (end.seq + 1, 0);
            }
            bytes += length;
            last = Some(Head { node: head.node, seq: frame.last(), hash: frame.hash });
        }
    }
    cuts.extend(last);
    Ok(cuts)
}
