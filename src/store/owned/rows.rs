//! How events lie in the index `log/events`: keys, rows, and the reads that the log needs.
//!
//! ```text
//! events  node u16 ‖ seq u64          → hash 32 · head length u32 · private length u32 · head · private
//! by_run  run 16 ‖ version u64        → node u16 · seq u64
//! ids     batch id 16                 → node u16 · first seq u64 · count u32
//! ```
//! Keys are big-endian, so they sort as numbers do; the store's own node is number 0. Rows are only ever inserted. `events` is filled last:
//! what it holds is in the other two as well, so its last key is the position that the index has reached.

use crate::domain::event::Event;
use crate::domain::ids::{BatchId, Hash, NodeId, RunId};
use crate::store::codec::record::Record;
use crate::store::codec::{self, Decoded};
use crate::store::journal::frame::{Frame, join_record, split_record};
use crate::store::journal::recover::Kept;
use crate::store::log::{Head, Stored};
use crate::store::ordered::{Ordered, Row, last};
use crate::store::{Error, chain};

const EVENTS: &str = "events";
const BY_RUN: &str = "by_run";
const IDS: &str = "ids";
/// The store's own node among those whose logs are here.
const OWN: u16 = 0;
/// How many of the last events are looked up in `by_run` when an index is opened.
const CHECKED_EVENTS: u64 = 256;
/// A read stops after this many bytes, so that an answer fits into one message.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Rows that wait to be written.
#[derive(Debug)]
pub(super) struct Fill {
    events: Vec<Row>,
    by_run: Vec<Row>,
    ids: Vec<Row>,
    /// The log's end after them.
    pub head: Head,
}

impl Fill {
    /// Begins after `head`.
    pub fn after(head: Head) -> Self {
        Self { events: Vec::new(), by_run: Vec::new(), ids: Vec::new(), head }
    }

    /// Returns how many events wait.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Adds a frame whose first event follows the hash `previous`, when that is known. Returns whether its events are those of the chain;
    /// they are added in any case. Hashes that cannot be told are zero.
    pub fn add(&mut self, frame: &Frame<'_>, previous: Option<Hash>) -> Result<bool, Error> {
        let mut hash = previous;
        self.ids.push((frame.batch.to_bytes().to_vec(), [&place(frame.first)[..], &frame.count.to_be_bytes()].concat()));
        for (record, seq) in frame.records().zip(frame.first..) {
            let record = record?;
            hash = hash.map(|hash| chain::next(&hash, record.head));
            let known = if seq == frame.last() { frame.hash } else { hash.unwrap_or_default() };
            let mut row = Vec::with_capacity(40 + record.head.len() + record.private.map_or(0, <[u8]>::len));
            row.extend(known.0);
            join_record(&mut row, record);
            let envelope = record.head()?.envelope;
            if let Some(run) = envelope.run {
                self.by_run.push((run_key(run, envelope.version), place(seq).to_vec()));
            }
            self.events.push((place(seq).to_vec(), row));
        }
        self.head = Head { seq: frame.last(), hash: frame.hash, ..self.head };
        Ok(hash.is_none_or(|hash| hash == frame.hash))
    }

    /// Writes everything.
    pub fn write(self, index: &dyn Ordered) -> Result<(), Error> {
        index.fill(BY_RUN, self.by_run)?;
        index.fill(IDS, self.ids)?;
        index.fill(EVENTS, self.events)
    }
}

/// Returns the position that the index has reached, and the hash there; 0 when it is empty.
pub(super) fn reached(index: &dyn Ordered) -> Result<Option<(u64, Hash)>, Error> {
    let mut found = None;
    index.scan(EVENTS, &place(0), Some(&end_of_own()), true, &mut |key, row| {
        found = Some((key.to_vec(), row.to_vec()));
        false
    })?;
    found.map(|(key, row)| Ok((seq_of(&key).ok_or_else(malformed)?, hash_of(&row).ok_or_else(malformed)?))).transpose()
}

/// Returns whether `by_run` knows the last events up to `to`, as it must: what lacks them has lost rows, and versions could not be told.
pub(super) fn is_whole(index: &dyn Ordered, to: u64) -> Result<bool, Error> {
    let events = read(index, to.saturating_sub(CHECKED_EVENTS - 1).max(1), to, u32::MAX)?;
    for Stored { envelope, .. } in events {
        let Some(run) = envelope.run else { continue };
        if index.get(BY_RUN, &run_key(run, envelope.version))?.as_deref() != Some(&place(envelope.seq)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the chain's hash at `seq`, if the event is there.
pub(super) fn hash_at(index: &dyn Ordered, seq: u64) -> Result<Option<Hash>, Error> {
    index.get(EVENTS, &place(seq))?.map(|row| hash_of(&row).ok_or_else(malformed)).transpose()
}

/// Returns events from position `from` on, at most `limit` and up to position `to`.
pub(super) fn read(index: &dyn Ordered, from: u64, to: u64, limit: u32) -> Result<Vec<Stored>, Error> {
    let (mut events, mut bytes, mut failed) = (Vec::new(), 0, None);
    if limit == 0 || to == u64::MAX {
        return Ok(events);
    }
    index.scan(EVENTS, &place(from), Some(&place(to + 1)), false, &mut |key, row| {
        bytes += row.len();
        match stored_at(key, row) {
            Ok(event) => events.push(event),
            Err(why) => failed = Some(why),
        }
        failed.is_none() && events.len() < limit as usize && bytes < READ_BYTES_MAX
    })?;
    failed.map_or(Ok(events), Err)
}

/// Returns events of a run from version `from` on, at most `limit` and up to position `to`.
pub(super) fn read_run(index: &dyn Ordered, run: RunId, from: u64, to: u64, limit: u32) -> Result<Vec<Stored>, Error> {
    let (mut places, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
    if limit == 0 {
        return Ok(events);
    }
    index.scan(BY_RUN, &run_key(run, from), Some(&end_of(run)), false, &mut |_, row| {
        places.push(row.to_vec());
        places.len() < limit as usize
    })?;
    for key in places {
        if seq_of(&key).is_none_or(|seq| seq > to) {
            break;
        }
        let row = index.get(EVENTS, &key)?.ok_or_else(malformed)?;
        bytes += row.len();
        events.push(stored_at(&key, &row)?);
        if bytes >= READ_BYTES_MAX {
            break;
        }
    }
    Ok(events)
}

/// Returns the version that a run has reached by position `to`; 0 for a run without events.
pub(super) fn run_version(index: &dyn Ordered, run: RunId, to: u64) -> Result<u64, Error> {
    let mut version = 0;
    index.scan(BY_RUN, &run_key(run, 0), Some(&end_of(run)), true, &mut |key, row| {
        // Rows whose events never came are left behind when an index is cut short; they do not count.
        if seq_of(row).is_some_and(|seq| seq <= to) {
            version = key.get(16..24).and_then(|version| version.try_into().ok()).map_or(0, u64::from_be_bytes);
        }
        version == 0
    })?;
    Ok(version)
}

/// Returns the first position and the number of events of a batch appended before.
pub(super) fn batch(index: &dyn Ordered, id: BatchId) -> Result<Option<(u64, u32)>, Error> {
    let row = index.get(IDS, &id.to_bytes())?;
    row.map(|row| batch_row(&row).ok_or_else(malformed)).transpose()
}

/// Returns the positions of events, from the last one up to `to` downwards, until `each` returns false.
pub(super) fn backwards(index: &dyn Ordered, to: u64, each: &mut dyn FnMut(Stored) -> bool) -> Result<(), Error> {
    let mut failed = None;
    index.scan(EVENTS, &place(0), Some(&place(to.saturating_add(1))), true, &mut |_, row| match stored(row) {
        Ok(event) => each(event),
        Err(why) => {
            failed = Some(why);
            false
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Returns the batches from position `from` up to and including `to`, as far as they are there without a hole.
pub(super) fn batches(index: &dyn Ordered, from: u64, to: u64) -> Result<Vec<Kept>, Error> {
    let mut ids = Vec::new();
    index.scan(IDS, &[], None, false, &mut |key, row| {
        if let (Ok(key), Some((first, count))) = (key.try_into(), batch_row(row))
            && (from..=to).contains(&first)
        {
            ids.push((first, count, BatchId::from_bytes(key)));
        }
        true
    })?;
    ids.sort_unstable();
    let (mut batches, mut expected) = (Vec::new(), from);
    for (first, count, batch) in ids {
        if first != expected {
            break;
        }
        let mut kept = Kept { batch, records: Vec::new(), hash: Hash::default() };
        for seq in first..first.saturating_add(u64::from(count)) {
            let Some(row) = index.get(EVENTS, &place(seq))? else { return Ok(batches) };
            let (record, hash) = parse(&row).ok_or_else(malformed)?;
            kept.records.push((record.head.to_vec(), record.private.map(<[u8]>::to_vec)));
            kept.hash = hash;
        }
        expected = first + u64::from(count);
        batches.push(kept);
    }
    Ok(batches)
}

/// Returns whose log the index is of, when its first event proves that.
pub(super) fn owner(index: &dyn Ordered) -> Result<Option<NodeId>, Error> {
    if last(index, EVENTS)?.is_none() {
        return Ok(None);
    }
    let Some(row) = index.get(EVENTS, &place(1))? else { return Ok(None) };
    let (record, hash) = parse(&row).ok_or_else(malformed)?;
    let Ok(Decoded::Known(first)) = codec::decode(&record.to_stored(hash)?) else { return Ok(None) };
    let Event::StoreCreated(created) = first.event else { return Ok(None) };
    Ok((chain::next(&chain::genesis(created.node), record.head) == hash).then_some(created.node))
}

fn place(seq: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&OWN.to_be_bytes());
    key[2..].copy_from_slice(&seq.to_be_bytes());
    key
}

fn end_of_own() -> [u8; 2] {
    (OWN + 1).to_be_bytes()
}

fn run_key(run: RunId, version: u64) -> Vec<u8> {
    [&run.to_bytes()[..], &version.to_be_bytes()].concat()
}

/// A key behind every version that a run can have.
fn end_of(run: RunId) -> Vec<u8> {
    run_key(run, u64::MAX)
}

fn seq_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(2..10)?.try_into().ok()?))
}

fn batch_row(row: &[u8]) -> Option<(u64, u32)> {
    Some((seq_of(row)?, u32::from_be_bytes(row.get(10..14)?.try_into().ok()?)))
}

fn hash_of(row: &[u8]) -> Option<Hash> {
    Some(Hash(row.get(..32)?.try_into().ok()?))
}

fn parse(row: &[u8]) -> Option<(Record<'_>, Hash)> {
    let (record, rest) = split_record(row.get(32..)?)?;
    rest.is_empty().then_some((record, hash_of(row)?))
}

fn stored(row: &[u8]) -> Result<Stored, Error> {
    let (record, hash) = parse(row).ok_or_else(malformed)?;
    record.to_stored(hash)
}

/// Reads the event at `key`. Whoever goes on behind the last event that was read must get further each time, so one that stands at a
/// place that is not its own is not given out.
fn stored_at(key: &[u8], row: &[u8]) -> Result<Stored, Error> {
    let stored = stored(row)?;
    match seq_of(key) {
        Some(seq) if seq == stored.envelope.seq => Ok(stored),
        place => Err(Error::Index(format!("event {} stands at position {}", stored.envelope.seq, place.unwrap_or_default()))),
    }
}

/// A row that is not as we write it means the same as a panic: the index is not to be trusted.
fn malformed() -> Error {
    Error::Index("a row of the index is malformed".to_owned())
}
