//! The bytes of a segment: a header, one frame per append batch, and a footer once it is sealed.
//!
//! ```text
//! header: "menolog\0" · format u32 · node 16 · first seq u64 · hash before it 32 · crc u32
//! frame:  "MFRM" · length u32 · crc u32 · synced to u64 · batch id 16 · first seq u64 · count u32 · hash after it 32 · events
//! event:  head length u32 · private length u32 (0 once forgotten) · head · private
//! footer: "MSEA" · crc u32 · first seq u64 · last seq u64 · frames u32 · end of frames u64 · hash after it 32
//! ```
//! Numbers are little-endian. Checksums are CRC32C over the node's id and everything but magic and checksum: with the id in front,
//! bytes that somebody put into a text cannot pass for a frame of this log without knowing its node.
//! This file reads and writes these bytes; where they lie and what follows from bad ones is decided elsewhere.

use crate::domain::ids::{BatchId, Hash, NodeId, TimeNs};
use crate::store::codec::record::Record;
use crate::store::log::Head;
use crate::store::{Error, chain};

/// The format of segments that this release writes.
pub const FORMAT: u32 = 1;
/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 72;
/// Bytes of a frame before its events.
pub const FRAME_BYTES: usize = 80;
/// Length of what stands before an event: how long its head is, and its private part.
const LENGTHS_BYTES: usize = 8;
/// Bytes of a segment's footer.
pub const FOOTER_BYTES: usize = 68;
/// The longest frame in bytes: an import's batch is one frame, texts are payloads.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

const SEGMENT_MAGIC: [u8; 8] = *b"menolog\0";
const FRAME_MAGIC: [u8; 4] = *b"MFRM";
const FOOTER_MAGIC: [u8; 4] = *b"MSEA";

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Position of the segment's first event.
    pub first: u64,
    /// The chain's hash before it.
    pub previous: Hash,
}

impl Header {
    /// Returns the header's bytes.
    pub fn to_bytes(self, node: NodeId) -> Vec<u8> {
        let mut bytes = SEGMENT_MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(node.to_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.previous.0);
        bytes.extend(checksum(node, &[&bytes[8..]]).to_le_bytes());
        bytes
    }

    /// Returns whose log a segment with this header belongs to; `None` when the bytes are none.
    pub fn node(bytes: &[u8]) -> Option<NodeId> {
        let (body, crc) = bytes.get(..HEADER_BYTES)?.split_at(HEADER_BYTES - 4);
        let node = NodeId::from_bytes(body[12..28].try_into().ok()?);
        (body[..8] == SEGMENT_MAGIC && checksum(node, &[&body[8..]]) == u32_at(crc, 0)).then_some(node)
    }

    /// Reads a header of `node`'s log; `None` when the bytes are none.
    ///
    /// # Errors
    /// [`Error::Newer`] when a later release wrote it.
    pub fn read(bytes: &[u8], node: NodeId) -> Result<Option<Self>, Error> {
        let Some(bytes) = bytes.get(..HEADER_BYTES) else { return Ok(None) };
        let (body, crc) = bytes.split_at(HEADER_BYTES - 4);
        if body[..8] != SEGMENT_MAGIC || checksum(node, &[&body[8..]]) != u32_at(crc, 0) {
            return Ok(None);
        }
        match u32_at(body, 8) {
            FORMAT => Ok(Some(Self { first: u64_at(body, 28), previous: hash_at(body, 36) })),
            found => Err(Error::Newer { found, known: FORMAT }),
        }
    }
}

/// What a sealed segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Position of the first event.
    pub first: u64,
    /// Position of the last event.
    pub last: u64,
    /// How many frames there are.
    pub frames: u32,
    /// Where the footer stands.
    pub end: u64,
    /// The chain's hash at the last event.
    pub hash: Hash,
}

impl Footer {
    /// Returns the footer's bytes.
    pub fn to_bytes(self, node: NodeId) -> Vec<u8> {
        let mut bytes = FOOTER_MAGIC.to_vec();
        bytes.extend([0; 4]);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.last.to_le_bytes());
        bytes.extend(self.frames.to_le_bytes());
        bytes.extend(self.end.to_le_bytes());
        bytes.extend(self.hash.0);
        let crc = checksum(node, &[&bytes[8..]]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a footer at the start of `bytes`; `None` when there is none.
    pub fn read(bytes: &[u8], node: NodeId) -> Option<Self> {
        let bytes = bytes.get(..FOOTER_BYTES)?;
        if bytes[..4] != FOOTER_MAGIC || checksum(node, &[&bytes[8..]]) != u32_at(bytes, 4) {
            return None;
        }
        let (first, last) = (u64_at(bytes, 8), u64_at(bytes, 16));
        Some(Self { first, last, frames: u32_at(bytes, 24), end: u64_at(bytes, 28), hash: hash_at(bytes, 36) })
    }
}

/// One append batch where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// All of its bytes.
    pub bytes: &'a [u8],
    /// Up to where its segment was synced when its group began.
    pub synced_to: u64,
    /// The batch's id.
    pub batch: BatchId,
    /// Position of its first event.
    pub first: u64,
    /// How many events it has.
    pub count: u32,
    /// The chain's hash at its last event.
    pub hash: Hash,
}

impl<'a> Frame<'a> {
    /// Returns how long the frame at the start of `bytes` says it is; `None` when none begins there.
    pub fn length(bytes: &[u8]) -> Option<usize> {
        let start = bytes.get(..FRAME_BYTES).filter(|start| start[..4] == FRAME_MAGIC)?;
        Some(u32_at(start, 4) as usize).filter(|length| (FRAME_BYTES..=FRAME_BYTES_MAX).contains(length))
    }

    /// Reads a frame at the start of `bytes`; `None` when there is none, whole and sound.
    pub fn read(bytes: &'a [u8], node: NodeId) -> Option<Self> {
        let bytes = bytes.get(..Self::length(bytes)?)?;
        let sound = checksum(node, &[&bytes[4..8], &bytes[12..]]) == u32_at(bytes, 8);
        sound.then(|| Self::trusted(bytes)).filter(Self::makes_sense)
    }

    fn makes_sense(&self) -> bool {
        self.count > 0 && self.first > 0 && self.first.checked_add(u64::from(self.count)).is_some()
    }

    fn trusted(bytes: &'a [u8]) -> Self {
        let mut batch = [0; 16];
        batch.copy_from_slice(&bytes[20..36]);
        Self {
            bytes,
            synced_to: u64_at(bytes, 12),
            batch: BatchId::from_bytes(batch),
            first: u64_at(bytes, 36),
            count: u32_at(bytes, 44),
            hash: hash_at(bytes, 48),
        }
    }

    /// Returns the position of the last event.
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    /// Returns when the last event was recorded; `None` when that cannot be read.
    pub fn last_at(&self) -> Option<TimeNs> {
        Some(self.records().last()?.ok()?.head().ok()?.envelope.at)
    }

    /// Returns the events in order.
    pub fn records(&self) -> Records<'a> {
        Records { rest: &self.bytes[FRAME_BYTES..], left: self.count }
    }

    /// Calls `each` with every event and its hash, after the event of hash `previous`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the events are not those that the frame's hash stands for, and what `each` says.
    pub fn chained(&self, mut previous: Hash, mut each: impl FnMut(Record<'a>, Hash) -> Result<(), Error>) -> Result<(), Error> {
        for record in self.records() {
            let record = record?;
            previous = chain::next(&previous, record.head);
            each(record, previous)?;
        }
        if previous != self.hash {
            return Err(Error::Damaged(format!("events {} to {} do not follow the chain", self.first, self.last())));
        }
        Ok(())
    }
}

/// The events of a frame.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let left_over = !std::mem::take(&mut self.rest).is_empty();
            return left_over.then(|| Err(Error::Damaged("a frame has more than its events".to_owned())));
        }
        self.left -= 1;
        let record = split_record(self.rest);
        match record {
            Some((record, rest)) => {
                self.rest = rest;
                Some(Ok(record))
            }
            None => {
                (self.rest, self.left) = (&[], 0);
                Some(Err(Error::Damaged("an event reaches beyond its frame".to_owned())))
            }
        }
    }
}

/// A frame that is read through a part at a time, so that none of it need be in memory: an import writes frames of a megabyte.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Its start alone.
    start: [u8; FRAME_BYTES],
    crc: u32,
    /// Events that were not begun.
    left: u32,
    /// Bytes of the event that was begun last that are still to come.
    inside: usize,
    /// Of these, those of the head of the last event, which is taken whole.
    last_head: usize,
    last_at: Option<TimeNs>,
    /// The events are not as long as they say.
    is_odd: bool,
}

impl Walk {
    /// Begins with the first [`FRAME_BYTES`] of a frame.
    pub fn begin(start: [u8; FRAME_BYTES], node: NodeId) -> Self {
        let crc = checksum(node, &[&start[4..8], &start[12..]]);
        let left = Frame::trusted(&start).count;
        Self { start, crc, left, inside: 0, last_head: 0, last_at: None, is_odd: false }
    }

    /// Returns how many bytes to give it next, of `rest` that the frame has left: more than `most` only where they stand together.
    pub fn wants(&self, rest: usize, most: usize) -> usize {
        let wanted = match self {
            Self { is_odd: false, last_head: 1.., .. } => self.last_head,
            Self { is_odd: false, inside: 1.., .. } => self.inside.min(most),
            Self { is_odd: false, left: 1.., .. } => LENGTHS_BYTES,
            _ => most,
        };
        wanted.min(rest)
    }

    /// Takes in what it wanted.
    pub fn take(&mut self, part: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, part);
        match self {
            Self { is_odd: true, .. } => {}
            Self { inside: 1.., .. } => {
                if self.last_head > 0 {
                    let record = Record { head: part, private: None };
                    self.last_at = record.head().ok().filter(|_| part.len() == self.last_head).map(|head| head.envelope.at);
                    self.last_head = 0;
                }
                self.inside = self.inside.saturating_sub(part.len());
            }
            Self { left: 1.., .. } if part.len() == LENGTHS_BYTES => {
                let (head, private) = (u32_at(part, 0) as usize, u32_at(part, 4) as usize);
                self.left -= 1;
                self.inside = head.saturating_add(private);
                self.last_head = if self.left == 0 { head } else { 0 };
            }
            _ => self.is_odd = true,
        }
    }

    /// Ends with the frame; returns what its start says, and when its last event was recorded where that can be read. `None` when it is
    /// not sound.
    pub fn end(&self) -> Option<(Frame<'_>, Option<TimeNs>)> {
        let is_whole = !self.is_odd && self.left == 0 && self.inside == 0;
        (u32_at(&self.start, 8) == self.crc)
            .then(|| Frame::trusted(&self.start))
            .filter(Frame::makes_sense)
            .map(|frame| (frame, self.last_at.filter(|_| is_whole)))
    }
}

/// Reads the event at the start of `bytes`, and returns what follows it.
pub fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (lengths, rest) = bytes.split_at_checked(LENGTHS_BYTES)?;
    let (head, rest) = rest.split_at_checked(u32_at(lengths, 0) as usize)?;
    let (private, rest) = rest.split_at_checked(u32_at(lengths, 4) as usize)?;
    Some((Record { head, private: (!private.is_empty()).then_some(private) }, rest))
}

/// Writes an event as [`split_record`] reads it.
pub fn join_record(out: &mut Vec<u8>, record: Record<'_>) {
    let private = record.private.unwrap_or_default();
    // Both are below FRAME_BYTES_MAX, or the frame is refused when it is finished.
    out.extend((record.head.len() as u32).to_le_bytes());
    out.extend((private.len() as u32).to_le_bytes());
    out.extend(record.head);
    out.extend(private);
}

/// A frame that waits to be written.
#[derive(Clone, Debug)]
pub struct NewFrame {
    bytes: Vec<u8>,
    /// Position of its first event.
    pub first: u64,
    /// How many events it has.
    pub count: u32,
    /// The log's end after it.
    pub head: Head,
}

impl NewFrame {
    /// Begins the frame of `batch`, to stand after `head`.
    pub fn begin(batch: BatchId, head: Head) -> Self {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend(FRAME_MAGIC);
        bytes.extend([0; 16]);
        bytes.extend(batch.to_bytes());
        bytes.extend((head.seq + 1).to_le_bytes());
        bytes.extend([0; 36]);
        Self { bytes, first: head.seq + 1, count: 0, head }
    }

    /// Adds an event, which must be written for position `self.head.seq + 1`; returns its hash.
    pub fn push(&mut self, record: Record<'_>) -> Hash {
        join_record(&mut self.bytes, record);
        self.count += 1;
        self.head.seq += 1;
        self.head.hash = chain::next(&self.head.hash, record.head);
        self.head.hash
    }

    /// Returns how long it is in bytes.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the frame's bytes, with the offset up to which its segment is synced.
    pub fn seal(mut self, synced_to: u64) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        self.bytes[12..20].copy_from_slice(&synced_to.to_le_bytes());
        self.bytes[44..48].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[48..80].copy_from_slice(&self.head.hash.0);
        let crc = checksum(self.head.node, &[&self.bytes[4..8], &self.bytes[12..]]);
        self.bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

fn checksum(node: NodeId, parts: &[&[u8]]) -> u32 {
    parts.iter().fold(crc32c::crc32c(&node.to_bytes()), |crc, part| crc32c::crc32c_append(crc, part))
}

// Callers have checked the length of `bytes`.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn hash_at(bytes: &[u8], at: usize) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(&bytes[at..at + 32]);
    Hash(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: NodeId = NodeId(ulid::Ulid(5));

    fn frame(events: &[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, Hash) {
        let mut frame = NewFrame::begin(BatchId::from_bytes([8; 16]), Head { node: NODE, seq: 41, hash: Hash([1; 32]) });
        for (head, private) in events {
            frame.push(Record { head, private: (!private.is_empty()).then_some(private) });
        }
        let hash = frame.head.hash;
        (frame.seal(72), hash)
    }

    fn events() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
        proptest::collection::vec((bytes(), bytes()), 1..6)
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_as_it_was(events in events()) {
            let (bytes, hash) = frame(&events);
            let read = Frame::read(&bytes, NODE).unwrap();
            prop_assert_eq!((read.first, read.last(), read.hash, read.synced_to), (42, 41 + events.len() as u64, hash, 72));
            let records: Vec<_> = read.records().map(|record| record.unwrap()).map(|record| {
                (record.head.to_vec(), record.private.unwrap_or_default().to_vec())
            }).collect();
            prop_assert_eq!(records, events);
            prop_assert!(read.chained(Hash([1; 32]), |_, _| Ok(())).is_ok());
            prop_assert!(read.chained(Hash([2; 32]), |_, _| Ok(())).is_err());
        }

        #[test]
        fn no_flipped_bit_goes_unseen(events in events(), at in any::<usize>(), bit in 0u8..8) {
            let (mut bytes, _) = frame(&events);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(Frame::read(&bytes, NODE).is_none());
        }
    }

    #[test]
    fn a_frame_of_another_log_is_not_taken() {
        let (bytes, _) = frame(&[(vec![1], vec![])]);
        assert!(Frame::read(&bytes, NodeId(ulid::Ulid(6))).is_none());
    }

    #[test]
    fn header_and_footer_read_back_and_notice_every_flipped_byte() {
        let header = Header { first: 9, previous: Hash([3; 32]) };
        let footer = Footer { first: 9, last: 12, frames: 2, end: 400, hash: Hash([4; 32]) };
        let (header_bytes, footer_bytes) = (header.to_bytes(NODE), footer.to_bytes(NODE));
        assert_eq!(Header::read(&header_bytes, NODE).unwrap(), Some(header));
        assert_eq!(Footer::read(&footer_bytes, NODE), Some(footer));
        assert_eq!((header_bytes.len(), footer_bytes.len()), (HEADER_BYTES, FOOTER_BYTES));
        for at in 0..HEADER_BYTES {
            let mut bytes = header_bytes.clone();
            bytes[at] ^= 4;
            assert_eq!(Header::read(&bytes, NODE).unwrap(), None, "byte {at}");
        }
        for at in 0..FOOTER_BYTES {
            let mut bytes = footer_bytes.clone();
            bytes[at] ^= 4;
            assert_eq!(Footer::read(&bytes, NODE), None, "byte {at}");
        }
    }
}
