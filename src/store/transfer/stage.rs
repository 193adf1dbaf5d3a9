//! Makes a journal out of lines of events, in a folder beside: what is there at the end can be moved into a store as it is.
//!
//! Files of one log are taken in one after the other; what an earlier one had already is compared and left out. Private parts that are
//! forgotten are never written, nor payloads that only they name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::read::{TransferItem, read};
use super::source::Source;
use crate::domain::ids::{BatchId, Hash, NodeId};
use crate::store::cipher::Keyring;
use crate::store::codec::record::Record;
use crate::store::codec::{self, Decoded};
use crate::store::files::{Files, OsFiles, make_dirs};
use crate::store::journal::frame::{FRAME_BYTES_MAX, Footer, Header, NewFrame};
use crate::store::journal::recover::Kept;
use crate::store::journal::segment::{self, Item, file_name};
use crate::store::journal::{SEGMENT_BYTES, folder};
use crate::store::log::{Head, Stored};
use crate::store::payloads::Payloads;
use crate::store::{self};

/// Payloads written at once.
const PAYLOADS_AT_ONCE: usize = 64;
const PAYLOAD_BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

/// A journal in the making.
pub struct Stage {
    into: PathBuf,
    segments: SegmentWriter,
    payloads: Payloads,
    waiting: Vec<String>,
    waiting_bytes: usize,
    written: BTreeSet<Hash>,
    needed: BTreeSet<Hash>,
}

impl Stage {
    /// Begins after `head`, in the folder `into`, which is emptied or made; payloads are encrypted as `keyring` wants it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(into: &Path, head: Head, keyring: Arc<Keyring>) -> Result<Self, Error> {
        match fs::remove_dir_all(into) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => return Err(why.into()),
            _ => {}
        }
        let dir = folder(into, head.node);
        make_dirs(&OsFiles, &dir)?;
        Ok(Self {
            into: into.to_owned(),
            segments: SegmentWriter::after(dir, head),
            payloads: Payloads::with_keys(Arc::new(OsFiles), into, keyring),
            waiting: Vec::new(),
            waiting_bytes: 0,
            written: BTreeSet::new(),
            needed: BTreeSet::new(),
        })
    }

    /// Returns where the log ends so far.
    pub fn head(&self) -> Head {
        self.segments.end()
    }

    /// Takes in one file, which was read through before and found sound; `forgotten` says whose private parts are not to be kept.
    ///
    /// # Errors
    /// [`Error::OtherChain`], and as [`read`].
    pub fn file(&mut self, source: &Source, forgotten: &dyn Fn(&Stored) -> bool) -> Result<(), Error> {
        let before = self.head();
        let mut file = source.open()?;
        read(&mut file, &mut |found| match found {
            TransferItem::Payload(hash, text) => {
                if self.written.insert(hash) {
                    self.waiting_bytes += text.len();
                    self.waiting.push(text.to_owned());
                    if self.waiting.len() >= PAYLOADS_AT_ONCE || self.waiting_bytes >= PAYLOAD_BYTES_AT_ONCE {
                        self.write_payloads()?;
                    }
                }
                Ok(())
            }
            TransferItem::Event(_, _, stored) if stored.envelope.seq < before.seq => Ok(()),
            TransferItem::Event(_, _, stored) if stored.envelope.seq == before.seq => {
                if stored.hash == before.hash {
                    Ok(())
                } else {
                    Err(Error::OtherChain(before.seq))
                }
            }
            TransferItem::Event(batch, record, stored) => {
                let goes = record.private.is_some() && forgotten(stored);
                if !goes && let Ok(Decoded::Known(mut recorded)) = codec::decode(stored) {
                    recorded.event.each_text_mut(&mut |text| self.needed.extend(text.payload()));
                }
                self.segments.push(batch, Record { private: record.private.filter(|_| !goes), ..record }, stored.hash)
            }
        })?;
        Ok(())
    }

    /// Writes what is not written yet; then the folder holds a journal and its payloads, durable.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<(), Error> {
        self.write_payloads()?;
        for name in self.written.difference(&self.needed) {
            fs::remove_file(self.payloads.path(*name))?;
        }
        self.segments.close()?;
        if !OsFiles.sync_all(&self.into)? {
            OsFiles.sync_dir(&self.into)?;
        }
        Ok(())
    }

    fn write_payloads(&mut self) -> Result<(), Error> {
        let texts: Vec<&[u8]> = self.waiting.iter().map(String::as_bytes).collect();
        self.payloads.write(&texts)?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }
}

/// Writes sealed segments.
struct SegmentWriter {
    dir: PathBuf,
    /// The end of the frames that are written or wait.
    head: Head,
    header: Header,
    bytes: Vec<u8>,
    frames: u32,
    /// The batch whose events come in.
    open: Option<(BatchId, NewFrame)>,
}

impl SegmentWriter {
    fn after(dir: PathBuf, head: Head) -> Self {
        let header = Header { first: head.seq + 1, previous: head.hash };
        Self { dir, head, header, bytes: Vec::new(), frames: 0, open: None }
    }

    fn end(&self) -> Head {
        self.open.as_ref().map_or(self.head, |(_, frame)| frame.head)
    }

    fn push(&mut self, batch: BatchId, record: Record<'_>, hash: Hash) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|(open, _)| *open != batch) {
            self.close_frame()?;
        }
        let (_, frame) = self.open.get_or_insert_with(|| (batch, NewFrame::begin(batch, self.head)));
        if frame.push(record) != hash {
            return Err(Error::OtherChain(self.head.seq));
        }
        if frame.length() > FRAME_BYTES_MAX {
            return Err(store::Error::BadBatch("a batch is longer than one can be".to_owned()).into());
        }
        Ok(())
    }

    fn close_frame(&mut self) -> Result<(), Error> {
        let Some((_, frame)) = self.open.take() else { return Ok(()) };
        if self.bytes.is_empty() {
            self.bytes = self.header.to_bytes(self.head.node);
        }
        self.head = frame.head;
        let synced_to = self.bytes.len() as u64;
        self.bytes.extend(frame.seal(synced_to));
        self.frames += 1;
        if self.bytes.len() as u64 >= SEGMENT_BYTES { self.close_segment() } else { Ok(()) }
    }

    fn close_segment(&mut self) -> Result<(), Error> {
        if self.frames == 0 {
            return Ok(());
        }
        let end = self.bytes.len() as u64;
        let footer = Footer { first: self.header.first, last: self.head.seq, frames: self.frames, end, hash: self.head.hash };
        self.bytes.extend(footer.to_bytes(self.head.node));
        let file = OsFiles.create(&self.dir.join(file_name(self.header.first)))?;
        file.write_at(&self.bytes, 0)?;
        file.sync_data()?;
        OsFiles.sync_dir(&self.dir)?;
        *self = Self::after(std::mem::take(&mut self.dir), self.head);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.close_frame()?;
        self.close_segment()
    }
}

/// Moves what was staged in `from` into the store in `store`, beside its own log: payloads first, then segments in their order, so that
/// whatever is there after a crash is a beginning of the log with all its texts.
///
/// # Errors
/// [`Error::Io`].
pub fn publish(from: &Path, store: &Path, head: Head) -> Result<(), Error> {
    publish_payloads(from, store)?;
    let (staged, to) = (folder(from, head.node), folder(store, head.node));
    make_dirs(&OsFiles, &to)?;
    for first in segment::list(&OsFiles, &staged)? {
        fs::rename(staged.join(file_name(first)), to.join(file_name(first)))?;
        OsFiles.sync_dir(&to)?;
    }
    Ok(fs::remove_dir_all(from)?)
}

/// Moves the payloads of what was staged in `from` into the store in `store`.
///
/// # Errors
/// [`Error::Io`].
pub fn publish_payloads(from: &Path, store: &Path) -> Result<(), Error> {
    let payloads = from.join("payloads");
    for folder in fs::read_dir(&payloads).into_iter().flatten() {
        let folder = folder?;
        let to = store.join("payloads").join(folder.file_name());
        make_dirs(&OsFiles, &to)?;
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            fs::rename(file.path(), to.join(file.file_name()))?;
        }
        OsFiles.sync_dir(&to)?;
    }
    Ok(())
}

/// Gives the batches of what was staged in `from` to `each`, segment by segment.
///
/// # Errors
/// [`Error::Store`].
pub fn staged(from: &Path, node: NodeId, each: &mut dyn FnMut(&[Kept]) -> Result<(), Error>) -> Result<(), Error> {
    for segment in segment::segments(&OsFiles, &folder(from, node), node, 1)? {
        let mut batches = Vec::new();
        for item in segment?.items() {
            let Item::Frame(_, frame) = item else { continue };
            let records =
                frame.records().map(|record| record.map(|record| (record.head.to_vec(), record.private.map(<[u8]>::to_vec))));
            batches.push(Kept { batch: frame.batch, records: records.collect::<Result<_, _>>()?, hash: frame.hash });
        }
        each(&batches)?;
    }
    Ok(())
}
