//! How events lie in the index `log/events`: keys, rows, and the reads that the log needs.
//!
//! ```text
//! events  node u16 ‖ first seq u64     → a page of consecutive events (page.rs)
//! by_run  run 16 ‖ first version u64   → node u16 · first seq u64 · count u32          (of consecutive events of the run)
//! ids     batch id 16                  → node u16 · first seq u64 · count u32
//! layout  "layout", "holes"            → what this index is, and whether it leaves out events that the journal has lost
//! ```
//! Keys are big-endian, so they sort as numbers do; the store's own node is number 0. Rows are only ever inserted. An event is in the page
//! with the greatest key that is not above its position. `events` is filled last: what it holds is in the other two as well, so the end of
//! its last page is the position that the index has reached.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::layout::{self, Layout};
use super::page::{BatchSpan, Packer, Page, PageBuilder};
use crate::domain::event::Event;
use crate::domain::ids::{BatchId, Hash, NodeId, RunId};
use crate::store::codec::record::Record;
use crate::store::codec::{self, Decoded};
use crate::store::journal::frame::Frame;
use crate::store::journal::recover::Kept;
use crate::store::log::{Head, Stored};
use crate::store::ordered::{OrderedIndex, Row};
use crate::store::{Error, chain, lock};

pub(super) const EVENTS: &str = "events";
const BY_RUN: &str = "by_run";
const IDS: &str = "ids";
/// The store's own node among those whose logs are here.
const OWN: u16 = 0;
/// How many of the last events are looked up in the other trees when an index is opened.
const CHECKED_EVENTS: u64 = 256;
/// A read stops after this many bytes, so that an answer fits into one message.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pages that are kept in memory, and how much of it they may take.
const RECENT_PAGES_MAX: usize = 128;
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The index of events, with the pages that were read lately: rows never change.
pub(super) struct EventIndex {
    pub trees: Arc<dyn OrderedIndex>,
    recent: Mutex<VecDeque<Arc<Page>>>,
}

impl EventIndex {
    pub fn new(trees: Arc<dyn OrderedIndex>) -> Self {
        Self { trees, recent: Mutex::default() }
    }

    /// Returns the page with the event at `seq`, or else the next one behind it, when the events between are lost. `previous` is the page
    /// that was read just before.
    ///
    /// # Errors
    /// [`Error::Index`] when pages are missing, or do not follow one another.
    fn page_from(&self, seq: u64, previous: Option<&Page>) -> Result<Option<Arc<Page>>, Error> {
        let page = match self.page_to(seq)? {
            Some(page) if page.last() >= seq => page,
            before => match self.next_key(seq)? {
                None => return Ok(None),
                Some(first) => {
                    let page = self.page_to(first)?.ok_or_else(malformed)?;
                    // Nothing lies between: whatever is missing must be missing in the journal.
                    if !page.is_after_hole {
                        let missing = before.map_or(1, |before| before.last() + 1);
                        return Err(Error::Index(format!("events {missing} to {} are missing", first - 1)));
                    }
                    page
                }
            },
        };
        if let Some(previous) = previous {
            previous.check_follows(&page)?;
        }
        Ok(Some(page))
    }

    /// Returns the page with the greatest key that is not above `seq`.
    fn page_to(&self, seq: u64) -> Result<Option<Arc<Page>>, Error> {
        if let Some(page) = self.recent(|page| page.has(seq)) {
            return Ok(Some(page));
        }
        let Some(end) = seq.checked_add(1) else { return Ok(None) };
        let mut found = None;
        self.trees.scan(EVENTS, &place(0), Some(&place(end)), true, &mut |key, row| {
            let first = seq_of(key);
            // The last page is looked for by positions that are behind it.
            let known = self.recent(|page| Some(page.first) == first);
            let read = || first.and_then(|first| Page::read(first, row)).map(|page| (Arc::new(page), false));
            found = Some((first, known.map(|page| (page, true)).or_else(read)));
            false
        })?;
        match found {
            None => Ok(None),
            Some((_, Some((page, is_known)))) => {
                self.check_next(&page)?;
                if !is_known {
                    self.keep(&page);
                }
                Ok(Some(page))
            }
            Some((first, None)) => {
                Err(Error::Index(format!("the page of event {} is not as it was written", first.unwrap_or_default())))
            }
        }
    }

    /// Checks that the page behind one that is read follows it.
    fn check_next(&self, page: &Page) -> Result<(), Error> {
        let mut next = None;
        self.trees.scan(EVENTS, &place(page.last() + 1), Some(&end_of_own()), false, &mut |key, row| {
            next = seq_of(key).map(|first| (first, Page::link(first, row)));
            false
        })?;
        match next {
            None => Ok(()),
            Some((first, Some((before, is_after_hole)))) => page.check_link(first, before, is_after_hole),
            Some((first, None)) => Err(Error::Index(format!("the page of event {first} is not as it was written"))),
        }
    }

    fn next_key(&self, seq: u64) -> Result<Option<u64>, Error> {
        let mut next = None;
        self.trees.scan(EVENTS, &place(seq), Some(&end_of_own()), false, &mut |key, _| {
            next = seq_of(key);
            false
        })?;
        Ok(next)
    }

    fn recent(&self, is_wanted: impl Fn(&Page) -> bool) -> Option<Arc<Page>> {
        let mut recent = lock(&self.recent);
        let at = recent.iter().position(|page| is_wanted(page))?;
        let page = recent.remove(at)?;
        recent.push_front(Arc::clone(&page));
        Some(page)
    }

    fn keep(&self, page: &Arc<Page>) {
        let mut recent = lock(&self.recent);
        // Somebody else may have read it at the same time.
        recent.retain(|known| known.first != page.first);
        recent.push_front(Arc::clone(page));
        let mut bytes = 0;
        let fits = |page: &&Arc<Page>| {
            bytes += page.bytes();
            bytes <= RECENT_BYTES_MAX
        };
        let kept = recent.iter().take(RECENT_PAGES_MAX).take_while(fits).count();
        recent.truncate(kept.max(1));
    }

    /// Returns the last page.
    fn last(&self) -> Result<Option<Arc<Page>>, Error> {
        self.page_to(u64::MAX - 1)
    }
}

/// Rows that wait to be written.
#[derive(Debug)]
pub(super) struct Fill {
    events: Vec<Row>,
    by_run: Vec<Row>,
    ids: Vec<Row>,
    page: Option<PageBuilder>,
    /// The last events of one run, as many as follow one another.
    stretch: Option<Stretch>,
    count: usize,
    has_holes: bool,
    /// The log's end after them.
    pub head: Head,
}

/// Consecutive events of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    run: RunId,
    version: u64,
    seq: u64,
    count: u32,
}

impl Stretch {
    /// Returns where the run's event of `version` stands, if that is one of these.
    fn seq_of(&self, version: u64) -> Option<u64> {
        let index = version.checked_sub(self.version).filter(|index| *index < u64::from(self.count))?;
        self.seq.checked_add(index)
    }
}

impl Fill {
    /// Begins after `head`.
    pub fn after(head: Head) -> Self {
        let (events, by_run, ids) = Default::default();
        Self { events, by_run, ids, page: None, stretch: None, count: 0, has_holes: false, head }
    }

    /// Returns how many events wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Adds the events of a frame that come after [`Self::head`], whose hash is zero when the event there is lost. Returns whether they
    /// are those of the chain; they are added in any case. Hashes that cannot be told are zero.
    pub fn add(&mut self, frame: &Frame<'_>, packer: &mut Packer) -> Result<bool, Error> {
        let from = frame.first.max(self.head.seq + 1);
        let is_after_hole = frame.first > self.head.seq + 1 || self.head.hash == Hash::default();
        let previous = if is_after_hole {
            // The hash before the first event of all is known whatever is lost.
            (from == 1).then(|| chain::genesis(self.head.node))
        } else {
            Some(self.head.hash)
        };
        let mut records = Vec::with_capacity(frame.count as usize);
        let (mut hash, mut hashes) = (previous, Vec::with_capacity(frame.count as usize));
        for (record, seq) in frame.records().zip(frame.first..) {
            let record = record?;
            if seq < from {
                continue;
            }
            hash = hash.map(|hash| chain::next(&hash, record.head));
            hashes.push(if seq == frame.last() { frame.hash } else { hash.unwrap_or_default() });
            records.push(record);
        }
        let is_chained = hash == Some(frame.hash);
        if is_after_hole || !is_chained {
            self.end_page(packer);
        }
        let batch = BatchSpan { id: frame.batch, first: frame.first, count: frame.count };
        self.ids.push((frame.batch.to_bytes().to_vec(), span(frame.first, frame.count)));
        let mut before = previous.unwrap_or_default();
        for ((record, hash), seq) in records.into_iter().zip(hashes).zip(from..) {
            let envelope = record.head()?.envelope;
            match envelope.run {
                Some(run) => self.add_to_run(run, envelope.version, seq),
                None => self.end_stretch(),
            }
            if self.page.as_ref().is_some_and(|page| page.is_full(record, packer)) {
                self.end_page(packer);
            }
            let begin = || PageBuilder::begin(seq, before, !is_chained, is_after_hole && seq == from);
            self.page.get_or_insert_with(begin).push(batch, record, hash);
            before = hash;
            self.count += 1;
        }
        if !is_chained {
            self.end_page(packer);
        }
        self.has_holes |= is_after_hole;
        self.head = Head { seq: frame.last(), hash: frame.hash, ..self.head };
        Ok(hash.is_none_or(|hash| hash == frame.hash))
    }

    fn add_to_run(&mut self, run: RunId, version: u64, seq: u64) {
        if let Some(stretch) = &mut self.stretch
            && (stretch.run, stretch.version + u64::from(stretch.count), stretch.seq + u64::from(stretch.count))
                == (run, version, seq)
        {
            stretch.count += 1;
            return;
        }
        self.end_stretch();
        self.stretch = Some(Stretch { run, version, seq, count: 1 });
    }

    fn end_stretch(&mut self) {
        if let Some(Stretch { run, version, seq, count }) = self.stretch.take() {
            self.by_run.push((run_key(run, version), span(seq, count)));
        }
    }

    fn end_page(&mut self, packer: &mut Packer) {
        if let Some(page) = self.page.take() {
            self.events.extend(page.rows(packer).into_iter().map(|(first, row)| (place(first).to_vec(), row)));
        }
    }

    /// Writes everything.
    pub fn write(mut self, index: &EventIndex, packer: &mut Packer) -> Result<(), Error> {
        self.end_stretch();
        self.end_page(packer);
        // In the order of their keys they go into few nodes each.
        self.by_run.sort_unstable();
        self.ids.sort_unstable();
        if self.has_holes {
            layout::mark_holes(&*index.trees)?;
        }
        index.trees.fill(BY_RUN, self.by_run)?;
        index.trees.fill(IDS, self.ids)?;
        index.trees.fill(EVENTS, self.events)
    }
}

/// Returns the position that the index has reached, and the hash there; `None` when it is empty.
pub(super) fn reached(index: &EventIndex) -> Result<Option<(u64, Hash)>, Error> {
    match layout::of(&*index.trees)? {
        Layout::Current => Ok(index.last()?.map(|page| (page.last(), page.after))),
        Layout::Older => layout::reached_before_pages(&*index.trees),
        Layout::Empty | Layout::Unknown => Ok(None),
    }
}

/// Looks up the last events up to `to` in the trees that are filled before them, and puts back what lacks there.
///
/// # Errors
/// [`Error::Index`] when so much lacks that more may lack further back.
pub(super) fn repair(index: &EventIndex, to: u64) -> Result<(), Error> {
    let from = to.saturating_sub(CHECKED_EVENTS - 1).max(1);
    let (mut by_run, mut ids) = (Vec::new(), Vec::new());
    let (mut known, mut has_known_batch) = (None, false);
    let missing = || Error::Index("rows are missing".to_owned());
    for Stored { envelope, .. } in read(index, from, to, u32::MAX)? {
        let Some(run) = envelope.run else { continue };
        let is_there = |known: &Stretch| known.run == run && known.seq_of(envelope.version) == Some(envelope.seq);
        if known.as_ref().is_some_and(is_there) {
            continue;
        }
        match stretch_with(index, run, envelope.version)?.filter(is_there) {
            Some(stretch) => known = Some(stretch),
            None if known.is_none() => return Err(missing()),
            None => by_run.push((run_key(run, envelope.version), span(envelope.seq, 1))),
        }
    }
    let mut seq = from;
    while let Some(page) = index.page_from(seq, None)? {
        for found in page.batches.iter().filter(|found| found.first >= from) {
            match batch(&*index.trees, found.id)? {
                Some(span) if span == (found.first, found.count) => has_known_batch = true,
                _ if !has_known_batch => return Err(missing()),
                _ => ids.push((found.id.to_bytes().to_vec(), span(found.first, found.count))),
            }
        }
        seq = page.last() + 1;
    }
    if by_run.is_empty() && ids.is_empty() {
        return Ok(());
    }
    tracing::warn!("the index of the log lacked {} rows of its last events", by_run.len() + ids.len());
    index.trees.fill(BY_RUN, by_run)?;
    index.trees.fill(IDS, ids)
}

/// Returns the stretch of a run that has `version`, if there is one: the last that does not begin behind it.
fn stretch_with(index: &EventIndex, run: RunId, version: u64) -> Result<Option<Stretch>, Error> {
    let mut found = None;
    index.trees.scan(BY_RUN, &run_key(run, 0), Some(&run_key(run, version.saturating_add(1))), true, &mut |key, row| {
        found = stretch(key, row);
        false
    })?;
    Ok(found)
}

/// Returns events from position `from` on, at most `limit` and up to position `to`.
pub(super) fn read(index: &EventIndex, from: u64, to: u64, limit: u32) -> Result<Vec<Stored>, Error> {
    let (mut events, mut bytes, mut next) = (Vec::new(), 0, from.max(1));
    let mut previous: Option<Arc<Page>> = None;
    while next <= to && events.len() < limit as usize && bytes < READ_BYTES_MAX {
        let Some(page) = index.page_from(next, previous.as_deref())? else { break };
        for seq in next.max(page.first)..=page.last().min(to) {
            if events.len() >= limit as usize || bytes >= READ_BYTES_MAX {
                break;
            }
            let event = page.event(seq)?;
            bytes += size(&event);
            events.push(event);
        }
        next = page.last() + 1;
        previous = Some(page);
    }
    Ok(events)
}

/// Returns events of a run from version `from` on, at most `limit` and up to position `to`.
pub(super) fn read_run(index: &EventIndex, run: RunId, from: u64, to: u64, limit: u32) -> Result<Vec<Stored>, Error> {
    let (mut events, mut bytes, mut next) = (Vec::new(), 0, from.max(1));
    let mut page: Option<Arc<Page>> = None;
    for found in stretches(index, run, next, limit)? {
        if found.version > next && found.seq <= to && !layout::has_holes(&*index.trees)? {
            return Err(Error::Index(format!("run {run} lacks its version {next}")));
        }
        // Where an index was cut short and filled again, stretches may overlap.
        while let Some(seq) = found.seq_of(next.max(found.version)) {
            if seq > to || events.len() >= limit as usize || bytes >= READ_BYTES_MAX {
                return Ok(events);
            }
            let of = match page.take().filter(|page| page.has(seq)) {
                Some(page) => page,
                None => index.page_to(seq)?.ok_or_else(malformed)?,
            };
            let event = of.event(seq)?;
            page = Some(of);
            if (event.envelope.run, event.envelope.version) != (Some(run), next.max(found.version)) {
                return Err(Error::Index(format!("event {seq} is not of run {run}")));
            }
            next = event.envelope.version + 1;
            bytes += size(&event);
            events.push(event);
        }
    }
    Ok(events)
}

/// Returns the stretches of a run with versions from `from` on, as many as it takes for `limit` events.
fn stretches(index: &EventIndex, run: RunId, from: u64, limit: u32) -> Result<Vec<Stretch>, Error> {
    let begin = run_key(run, stretch_with(index, run, from)?.map_or(from, |stretch| stretch.version));
    let (mut found, mut is_sound) = (Vec::new(), true);
    index.trees.scan(BY_RUN, &begin, Some(&end_of(run)), false, &mut |key, row| match stretch(key, row) {
        Some(stretch) => {
            found.push(stretch);
            stretch.version.saturating_sub(from) < u64::from(limit)
        }
        None => {
            is_sound = false;
            false
        }
    })?;
    if is_sound { Ok(found) } else { Err(malformed()) }
}

/// Returns the version that a run has reached by position `to`; 0 for a run without events.
pub(super) fn run_version(index: &EventIndex, run: RunId, to: u64) -> Result<u64, Error> {
    let (mut version, mut is_sound) = (0, true);
    index.trees.scan(BY_RUN, &run_key(run, 0), Some(&end_of(run)), true, &mut |key, row| {
        let Some(stretch) = stretch(key, row) else {
            is_sound = false;
            return false;
        };
        // Rows whose events never came are left behind when an index is cut short; they do not count.
        if stretch.seq <= to {
            version = stretch.version + (to - stretch.seq).min(u64::from(stretch.count.saturating_sub(1)));
        }
        version == 0
    })?;
    if is_sound { Ok(version) } else { Err(malformed()) }
}

/// Returns the first position and the number of events of a batch appended before.
pub(super) fn batch(index: &dyn OrderedIndex, id: BatchId) -> Result<Option<(u64, u32)>, Error> {
    let row = index.get(IDS, &id.to_bytes())?;
    row.map(|row| read_span(&row).ok_or_else(malformed)).transpose()
}

/// Returns events from the last one up to `to` downwards, until `each` returns false.
pub(super) fn backwards(index: &EventIndex, to: u64, each: &mut dyn FnMut(Stored) -> bool) -> Result<(), Error> {
    let mut end = to;
    while end > 0
        && let Some(page) = index.page_to(end)?
    {
        for seq in (page.first..=page.last().min(end)).rev() {
            if !each(page.event(seq)?) {
                return Ok(());
            }
        }
        end = page.first - 1;
    }
    Ok(())
}

/// Returns the batches from position `from` up to and including `to`, as far as they are there without a hole.
pub(super) fn batches(index: &EventIndex, from: u64, to: u64) -> Result<Vec<Kept>, Error> {
    let layout = layout::of(&*index.trees)?;
    let mut ids = Vec::new();
    index.trees.scan(IDS, &[], None, false, &mut |key, row| {
        if let (Ok(key), Some((first, count))) = (key.try_into(), read_span(row))
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
        let mut add = |record: Record<'_>, hash: Hash| {
            kept.records.push((record.head.to_vec(), record.private.map(<[u8]>::to_vec)));
            kept.hash = hash;
        };
        for seq in first..first.saturating_add(u64::from(count)) {
            if matches!(layout, Layout::Older) {
                let Some(row) = index.trees.get(EVENTS, &place(seq))? else { return Ok(batches) };
                let (record, hash) = layout::record_before_pages(&row).ok_or_else(malformed)?;
                add(record, hash);
            } else {
                let Some(page) = index.page_to(seq)?.filter(|page| page.has(seq)) else { return Ok(batches) };
                let (record, hash) = page.record(seq).ok_or_else(malformed)?;
                add(record, hash);
            }
        }
        expected = first + u64::from(count);
        batches.push(kept);
    }
    Ok(batches)
}

/// Returns whose log the index is of, when its first event proves that.
pub(super) fn owner(index: &EventIndex) -> Result<Option<NodeId>, Error> {
    let proved = |record: Record<'_>, hash: Hash| -> Result<Option<NodeId>, Error> {
        let Ok(Decoded::Known(first)) = codec::decode(&record.to_stored(hash)?) else { return Ok(None) };
        let Event::StoreCreated(created) = first.event else { return Ok(None) };
        Ok((chain::next(&chain::genesis(created.node), record.head) == hash).then_some(created.node))
    };
    match layout::of(&*index.trees)? {
        Layout::Current => {
            let Some(page) = index.page_to(1)? else { return Ok(None) };
            page.record(1).map_or(Ok(None), |(record, hash)| proved(record, hash))
        }
        Layout::Older => {
            let Some(row) = index.trees.get(EVENTS, &place(1))? else { return Ok(None) };
            let (record, hash) = layout::record_before_pages(&row).ok_or_else(malformed)?;
            proved(record, hash)
        }
        Layout::Empty | Layout::Unknown => Ok(None),
    }
}

pub(super) fn place(seq: u64) -> [u8; 10] {
    let mut key = [0; 10];
    key[..2].copy_from_slice(&OWN.to_be_bytes());
    key[2..].copy_from_slice(&seq.to_be_bytes());
    key
}

pub(super) fn end_of_own() -> [u8; 2] {
    (OWN + 1).to_be_bytes()
}

fn run_key(run: RunId, version: u64) -> Vec<u8> {
    [&run.to_bytes()[..], &version.to_be_bytes()].concat()
}

/// A key behind every version that a run can have.
fn end_of(run: RunId) -> Vec<u8> {
    run_key(run, u64::MAX)
}

pub(super) fn seq_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(2..10)?.try_into().ok()?))
}

fn span(first: u64, count: u32) -> Vec<u8> {
    [&place(first)[..], &count.to_be_bytes()].concat()
}

fn read_span(row: &[u8]) -> Option<(u64, u32)> {
    Some((seq_of(row)?, u32::from_be_bytes(row.get(10..14)?.try_into().ok()?)))
}

fn stretch(key: &[u8], row: &[u8]) -> Option<Stretch> {
    let (run, version) = key.split_first_chunk::<16>()?;
    let (seq, count) = read_span(row)?;
    let version = u64::from_be_bytes(version.try_into().ok()?);
    Some(Stretch { run: RunId::from_bytes(*run), version, seq, count })
}

fn size(event: &Stored) -> usize {
    event.public.len() + event.private.as_ref().map_or(0, Vec::len) + 80
}

/// A row that is not as we write it means the same as a panic: the index is not to be trusted.
pub(super) fn malformed() -> Error {
    Error::Index("a row of the index is malformed".to_owned())
}
