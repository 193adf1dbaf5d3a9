//! A page of the index `log/events`: consecutive events in one row, as they are in the journal.
//!
//! ```text
//! row:   crc u32 · flags u8 · body length u32 · first seq u64 · count u32 · hash before 32 · hash after 32 · body
//! body:  batches u32 · batches · records · [hash 32 per event]                     (compressed when that makes it shorter)
//! batch: id 16 · first seq u64 · count u32        (of the whole batch, which may begin before the page and end behind it)
//! ```
//! Numbers are little-endian. A page proves itself: the checksum covers every byte, and the heads of its events must lead from the hash
//! before it to the hash after it. Pages whose events do not do so in the journal either list their hashes. A row stays so short that sled
//! keeps a whole node of rows in its log: what is longer goes to files of its own, which sled never syncs.

use crate::domain::ids::{BatchId, Hash};
use crate::store::codec::record::Record;
use crate::store::journal::frame::{FRAME_BYTES_MAX, join_record, split_record};
use crate::store::log::Stored;
use crate::store::{Error, chain, packing};

/// Bytes of a row before its body.
const HEADER_BYTES: usize = 85;
/// Bytes of a batch in the body.
const BATCH_BYTES: usize = 28;
/// Records that a page has at most and at least, in bytes, unless one alone is longer.
const PAGE_BYTES_MAX: usize = 24 * 1024;
const PAGE_BYTES_MIN: usize = 4 * 1024;
/// The longest row of more than one event. sled rewrites up to 17 rows together, and keeps no more than 128 KiB in one piece.
const ROW_BYTES_MAX: usize = 7 * 1024;
/// Bodies that are shorter are not compressed.
const COMPRESSED_BYTES_MIN: usize = 400;

const COMPRESSED: u8 = 1;
const LISTED: u8 = 2;
const AFTER_HOLE: u8 = 4;

/// A batch that has events in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchSpan {
    pub id: BatchId,
    /// Position of its first event.
    pub first: u64,
    /// How many events it has.
    pub count: u32,
}

impl BatchSpan {
    fn last(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count)).saturating_sub(1)
    }
}

/// A page, unpacked and found to be as it was written.
#[derive(Debug)]
pub(super) struct Page {
    pub first: u64,
    /// The chain's hash before its first event, if that is known, and at its last.
    pub before: Hash,
    pub after: Hash,
    /// Events before it are lost in the journal.
    pub is_after_hole: bool,
    pub batches: Vec<BatchSpan>,
    body: Vec<u8>,
    /// Where each record begins in `body`.
    records: Vec<usize>,
    hashes: Vec<Hash>,
}

impl Page {
    /// Reads the page that stands at position `at`; `None` when the row is none, or not as it was written.
    pub fn read(at: u64, row: &[u8]) -> Option<Self> {
        let (crc, rest) = row.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(rest) {
            return None;
        }
        let (flags, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (before, rest) = rest.split_first_chunk::<32>()?;
        let (after, rest) = rest.split_first_chunk::<32>()?;
        let (length, first, count) = (u32::from_le_bytes(*length), u64::from_le_bytes(*first), u32::from_le_bytes(*count));
        let length = length as usize;
        if first != at || count == 0 || first.checked_add(u64::from(count)).is_none() || length > 2 * FRAME_BYTES_MAX {
            return None;
        }
        let body = if flags & COMPRESSED == 0 { rest.to_vec() } else { packing::unpacked(rest, length)? };
        if body.len() != length {
            return None;
        }
        let (before, after) = (Hash(*before), Hash(*after));
        let page = Self {
            first,
            before,
            after,
            is_after_hole: flags & AFTER_HOLE != 0,
            batches: Vec::new(),
            body,
            records: Vec::with_capacity(count as usize),
            hashes: Vec::with_capacity(count as usize),
        };
        page.taken_apart(count as usize, flags & LISTED != 0)
    }

    fn taken_apart(mut self, count: usize, is_listed: bool) -> Option<Self> {
        let (batches, mut rest) = self.body.split_first_chunk::<4>()?;
        let batches = u32::from_le_bytes(*batches) as usize;
        if batches > count {
            return None;
        }
        for _ in 0..batches {
            let (id, after) = rest.split_first_chunk::<16>()?;
            let (first, after) = after.split_first_chunk::<8>()?;
            let (count, after) = after.split_first_chunk::<4>()?;
            let (first, count) = (u64::from_le_bytes(*first), u32::from_le_bytes(*count));
            self.batches.push(BatchSpan { id: BatchId::from_bytes(*id), first, count });
            rest = after;
        }
        let mut hash = self.before;
        for _ in 0..count {
            self.records.push(self.body.len() - rest.len());
            let (record, after) = split_record(rest)?;
            rest = after;
            if !is_listed {
                hash = chain::next(&hash, record.head);
                self.hashes.push(hash);
            }
        }
        if is_listed {
            for _ in 0..count {
                let (hash, after) = rest.split_first_chunk::<32>()?;
                self.hashes.push(Hash(*hash));
                rest = after;
            }
        }
        (rest.is_empty() && self.hashes.last() == Some(&self.after)).then_some(self)
    }

    /// Returns what a row says of the page before its own: the hash there, and whether events between are lost.
    pub fn link(at: u64, row: &[u8]) -> Option<(Hash, bool)> {
        let header = row.get(..HEADER_BYTES)?;
        let first = u64::from_le_bytes(header.get(9..17)?.try_into().ok()?);
        (first == at).then_some((Hash(header.get(21..53)?.try_into().ok()?), header[4] & AFTER_HOLE != 0))
    }

    /// Checks that `next` is the page that follows.
    pub fn check_follows(&self, next: &Self) -> Result<(), Error> {
        self.check_link(next.first, next.before, next.is_after_hole)
    }

    /// Checks that a page that begins at `first` after the hash `before` is the one that follows.
    pub fn check_link(&self, first: u64, before: Hash, is_after_hole: bool) -> Result<(), Error> {
        if is_after_hole || (first == self.last() + 1 && before == self.after) {
            return Ok(());
        }
        Err(Error::Index(format!("the page of event {first} does not follow event {}", self.last())))
    }

    /// Returns the position of the last event.
    pub fn last(&self) -> u64 {
        self.first + self.records.len() as u64 - 1
    }

    /// Returns whether the event at `seq` is in the page.
    pub fn has(&self, seq: u64) -> bool {
        (self.first..=self.last()).contains(&seq)
    }

    /// Returns how much memory the page takes, about.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.records.len() * 40
    }

    /// Returns an event as its bytes lie in the page, and the chain's hash there.
    pub fn record(&self, seq: u64) -> Option<(Record<'_>, Hash)> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        let (record, _) = split_record(self.body.get(*self.records.get(index)?..)?)?;
        Some((record, *self.hashes.get(index)?))
    }

    /// Returns an event as readers get it. One that stands at a position that is not its own is not given out: whoever goes on behind
    /// the last event that was read must get further each time.
    pub fn event(&self, seq: u64) -> Result<Stored, Error> {
        let (record, hash) = self.record(seq).ok_or_else(|| Error::Index(format!("its page has no event {seq}")))?;
        let stored = record.to_stored(hash)?;
        match stored.envelope.seq {
            found if found == seq => Ok(stored),
            found => Err(Error::Index(format!("event {found} stands at position {seq}"))),
        }
    }
}

/// Makes rows of pages, and learns how many bytes of events make a row of the right length.
pub(super) struct Packer {
    page_bytes: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self { page_bytes: PAGE_BYTES_MAX }
    }
}

/// Events that are going to be a page.
#[derive(Debug)]
pub(super) struct PageBuilder {
    first: u64,
    before: Hash,
    is_listed: bool,
    is_after_hole: bool,
    batches: Vec<BatchSpan>,
    records: Vec<u8>,
    /// Where each record ends in `records`.
    ends: Vec<usize>,
    hashes: Vec<Hash>,
}

impl PageBuilder {
    /// Begins a page at `first`, after the hash `before`.
    pub fn begin(first: u64, before: Hash, is_listed: bool, is_after_hole: bool) -> Self {
        let (batches, records, ends, hashes) = Default::default();
        Self { first, before, is_listed, is_after_hole, batches, records, ends, hashes }
    }

    /// Returns whether another record would make it too long.
    pub fn is_full(&self, record: Record<'_>, packer: &Packer) -> bool {
        let length = 8 + record.head.len() + record.private.map_or(0, <[u8]>::len);
        !self.ends.is_empty() && self.records.len() + length > packer.page_bytes
    }

    /// Adds the next event, which belongs to `batch`.
    pub fn push(&mut self, batch: BatchSpan, record: Record<'_>, hash: Hash) {
        if self.batches.last() != Some(&batch) {
            self.batches.push(batch);
        }
        join_record(&mut self.records, record);
        self.ends.push(self.records.len());
        self.hashes.push(hash);
    }

    /// Returns the page's first position and row; it becomes several when it does not compress well.
    pub fn rows(&self, packer: &mut Packer) -> Vec<(u64, Vec<u8>)> {
        let mut rows = Vec::with_capacity(1);
        self.pack(0, self.ends.len(), packer, &mut rows);
        if let [(_, row)] = &rows[..]
            && row.len() < ROW_BYTES_MAX / 2
        {
            packer.page_bytes = (packer.page_bytes * 5 / 4).min(PAGE_BYTES_MAX);
        }
        rows
    }

    fn pack(&self, from: usize, to: usize, packer: &mut Packer, rows: &mut Vec<(u64, Vec<u8>)>) {
        let (Some(records), Some(hashes)) = (self.records.get(self.end(from)..self.end(to)), self.hashes.get(from..to)) else {
            return;
        };
        let Some(after) = hashes.last() else { return };
        let (first, last) = (self.first + from as u64, self.first + to as u64 - 1);
        let batches = self.batches.iter().filter(|batch| batch.first <= last && batch.last() >= first);
        let mut body = Vec::with_capacity(4 + self.batches.len() * BATCH_BYTES + records.len());
        // A page has fewer than 2³² events, and not more batches.
        body.extend((batches.clone().count() as u32).to_le_bytes());
        for batch in batches {
            body.extend(batch.id.to_bytes());
            body.extend(batch.first.to_le_bytes());
            body.extend(batch.count.to_le_bytes());
        }
        body.extend(records);
        if self.is_listed {
            hashes.iter().for_each(|hash| body.extend(hash.0));
        }
        let packed = if body.len() < COMPRESSED_BYTES_MIN { None } else { packing::packed(&body) };
        if packed.as_ref().unwrap_or(&body).len() + HEADER_BYTES > ROW_BYTES_MAX && to - from > 1 {
            packer.page_bytes = (packer.page_bytes * 3 / 4).max(PAGE_BYTES_MIN);
            let middle = from + (to - from) / 2;
            self.pack(from, middle, packer, rows);
            self.pack(middle, to, packer, rows);
            return;
        }
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags =
            flag(packed.is_some(), COMPRESSED) | flag(self.is_listed, LISTED) | flag(self.is_after_hole && from == 0, AFTER_HOLE);
        let before = if from == 0 { self.before } else { self.hashes[from - 1] };
        let content = packed.as_ref().unwrap_or(&body);
        let mut row = Vec::with_capacity(HEADER_BYTES + content.len());
        row.extend([0; 4]);
        row.push(flags);
        row.extend((body.len() as u32).to_le_bytes());
        row.extend(first.to_le_bytes());
        row.extend(((to - from) as u32).to_le_bytes());
        row.extend(before.0);
        row.extend(after.0);
        row.extend(content);
        let crc = crc32c::crc32c(&row[4..]);
        row[..4].copy_from_slice(&crc.to_le_bytes());
        rows.push((first, row));
    }

    fn end(&self, record: usize) -> usize {
        record.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(events: &[(Vec<u8>, Vec<u8>)], is_listed: bool, is_after_hole: bool) -> Vec<(u64, Vec<u8>)> {
        let mut draft = PageBuilder::begin(7, Hash([1; 32]), is_listed, is_after_hole);
        let mut hash = Hash([1; 32]);
        for ((head, private), number) in events.iter().zip(0..) {
            hash = chain::next(&hash, head);
            draft.push(batch(number), Record { head, private: (!private.is_empty()).then_some(private) }, hash);
        }
        draft.rows(&mut Packer::default())
    }

    /// Batches of three events; the first one begins two events before the page.
    fn batch(number: u64) -> BatchSpan {
        let first = 5 + number.div_ceil(3) * 3;
        BatchSpan { id: BatchId::from_bytes([first as u8; 16]), first, count: 3 }
    }

    fn events(bytes: usize, count: usize) -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let part = move || proptest::collection::vec(any::<u8>(), 0..bytes);
        proptest::collection::vec((part(), part()), 1..count)
    }

    proptest! {
        #[test]
        fn pages_read_back_as_they_were(events in events(900, 60), is_listed in any::<bool>(), is_after_hole in any::<bool>()) {
            let (mut next, mut hash) = (7, Hash([1; 32]));
            for (first, row) in rows(&events, is_listed, is_after_hole) {
                let page = Page::read(first, &row).unwrap();
                prop_assert_eq!((page.first, page.before, page.is_after_hole), (next, hash, is_after_hole && next == 7));
                prop_assert!(row.len() <= ROW_BYTES_MAX || page.first == page.last(), "{} bytes", row.len());
                for seq in page.first..=page.last() {
                    let (head, private) = &events[seq as usize - 7];
                    hash = chain::next(&hash, head);
                    let private = (!private.is_empty()).then_some(&private[..]);
                    prop_assert_eq!(page.record(seq), Some((Record { head, private }, hash)));
                    prop_assert!(page.batches.contains(&batch(seq - 7)));
                }
                prop_assert_eq!(page.after, hash);
                prop_assert!(!page.has(page.last() + 1) && page.record(page.last() + 1).is_none());
                next = page.last() + 1;
            }
            prop_assert_eq!(next, 7 + events.len() as u64);
        }

        #[test]
        fn no_flipped_bit_and_no_cut_goes_unseen(events in events(60, 20), at in any::<usize>(), bit in 0u8..8) {
            let (first, mut row) = rows(&events, false, false).remove(0);
            prop_assert!(Page::read(first + 1, &row).is_none());
            prop_assert!(Page::read(first, &row[..at % row.len()]).is_none());
            let at = at % row.len();
            row[at] ^= 1 << bit;
            prop_assert!(Page::read(first, &row).is_none());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut row in proptest::collection::vec(any::<u8>(), 0..300), flags in 0u8..8) {
            if row.len() > 4 {
                row[4] = flags;
                let crc = crc32c::crc32c(&row[4..]);
                row[..4].copy_from_slice(&crc.to_le_bytes());
            }
            let first = row.get(9..17).map_or(0, |first| u64::from_le_bytes(first.try_into().unwrap()));
            let _ = Page::read(first, &row);
        }
    }

    #[test]
    fn events_that_do_not_lead_to_the_hash_after_them_are_no_page() {
        let events = [(b"head".to_vec(), b"private".to_vec()), (b"other".to_vec(), Vec::new())];
        let (first, mut row) = rows(&events, false, false).remove(0);
        // Well packed, but with another head than the one that was chained.
        let at = row.windows(4).position(|bytes| bytes == b"head").unwrap();
        row[at..at + 4].copy_from_slice(b"lead");
        let crc = crc32c::crc32c(&row[4..]);
        row[..4].copy_from_slice(&crc.to_le_bytes());
        assert!(Page::read(first, &row).is_none());
    }
}
