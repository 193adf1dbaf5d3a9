//! Places batches at the log's end: checks them, numbers their events, and chains them.
//!
//! Placing happens under one lock and touches no disk but the index; making durable what was placed happens outside of it, so that many
//! appenders share one sync.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::rows::{self, EventIndex};
use super::{Inner, Ledger};
use crate::domain::event::{ClockMovedBack, ClockMovedBackPrivate, Envelope, Event};
use crate::domain::ids::{BatchId, Hash, RunId, TimeNs};
use crate::store::codec::record::{Record, is_what_was_sent, write_head};
use crate::store::codec::{PART_BYTES_MAX, SALT_BYTES, offer};
use crate::store::journal::Ticket;
use crate::store::journal::frame::NewFrame;
use crate::store::journal::recover::Kept;
use crate::store::log::{Appended, Batch, Cause, DayLimit, Head, NewEvent, Stored};
use crate::store::{Error, chain, lock};

/// Kinds that only the log itself writes: StoreCreated and ClockMovedBack.
const OWN_KINDS: [u16; 2] = [80, 84];
/// Runs whose versions are kept in memory, and batches that the index may not have yet, before both are thinned out.
const REMEMBERED_MAX: usize = 100_000;
const RECENT_MAX: usize = 1024;
/// How long the index is waited for before looking whether the journal was closed meanwhile.
const CLOSED_AFTER: Duration = Duration::from_millis(50);
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// The log's end including what is not durable yet.
pub(super) struct AppendState {
    pub head: Head,
    pub last_at: Option<TimeNs>,
    /// The versions of runs that were asked for or appended to, and where they were last appended to.
    versions: HashMap<RunId, (u64, u64)>,
    /// How many of them there may be before they are thinned out.
    versions_max: usize,
    /// Batches placed lately; those that the index has too may be forgotten.
    recent: HashMap<BatchId, Recent>,
    /// How many of them there may be before they are thinned out.
    recent_max: usize,
    ledger: Option<Box<dyn Ledger>>,
    /// The ledger has seen what counts for this day, and everything after.
    ledger_since: Option<u32>,
    /// Something was appended since the log was opened.
    has_appended: bool,
}

#[derive(Clone, Copy)]
struct Recent {
    ticket: Ticket,
    first: u64,
    count: u32,
}

/// Where a batch was placed.
enum Placed {
    Now(Ticket, Vec<(Envelope, Hash)>),
    Before { ticket: Option<Ticket>, first: u64, count: u32 },
}

impl AppendState {
    pub fn new(head: Head, last_at: Option<TimeNs>, ledger: Option<Box<dyn Ledger>>) -> Self {
        Self {
            head,
            last_at,
            versions: HashMap::new(),
            versions_max: REMEMBERED_MAX,
            recent: HashMap::new(),
            recent_max: RECENT_MAX,
            ledger,
            ledger_since: None,
            has_appended: false,
        }
    }

    /// Whether a batch may still be taken on a disk that is full: it belongs to a run that was under way when that happened. The journal
    /// has room ahead, and what was paid for goes there as long as that lasts; nothing new is begun.
    fn goes_on(&self, batch: &Batch) -> bool {
        self.has_appended && batch.expected_version.is_some_and(|(_, version)| version > 0)
    }
}

/// Appends a batch and returns once it is durable.
pub(super) fn append(inner: &Arc<Inner>, batch: &Batch) -> Result<Appended, Error> {
    check(batch)?;
    let mut broken = false;
    let placed = loop {
        let index = inner.index()?;
        if let Some(why) = inner.index.given_up().filter(|_| !lock(&inner.state).goes_on(batch)) {
            return Err(Error::io(&inner.journal.place().dir)(why.into()));
        }
        match place(inner, &index, batch) {
            Err(why) if !broken && breaks(&why) => {
                broken = true;
                inner.index.rebuild(&index, why, &inner.journal)?;
            }
            outcome => break outcome?,
        }
    };
    match placed {
        Placed::Now(ticket, events) => {
            inner.commit(ticket)?;
            Ok(Appended { events, repeated: false })
        }
        Placed::Before { ticket, first, count } => {
            match ticket {
                Some(ticket) => inner.commit(ticket)?,
                // A process before this one wrote it, and may have died before it synced it.
                None => inner.journal.settle()?,
            }
            repeated(inner, batch, first, count)
        }
    }
}

/// Whether an error of the index means that it has to be replaced.
pub(super) fn breaks(error: &Error) -> bool {
    matches!(error, Error::Index(_)) || error.unwritable().is_some()
}

/// Appends events of the log's own, without asking the index.
pub(super) fn append_own(inner: &Arc<Inner>, events: &[NewEvent]) -> Result<(), Error> {
    let mut state = lock(&inner.state);
    let now = inner.now();
    let (ticket, _) = number(inner, &mut state, inner.batch_id(now), events, now, None)?;
    drop(state);
    inner.commit(ticket)
}

/// Appends batches of this very log that were recorded in a copy of it, which has gone on: as they were recorded, at their positions.
pub(super) fn extend(inner: &Arc<Inner>, batches: &[Kept]) -> Result<(), Error> {
    let mut state = lock(&inner.state);
    let (mut frames, mut versions, mut head, mut last_at) = (Vec::new(), Vec::new(), state.head, state.last_at);
    for Kept { batch, records, hash } in batches {
        let mut frame = NewFrame::begin(*batch, head);
        for (head, private) in records {
            let record = Record { head, private: private.as_deref() };
            let envelope = record.head()?.envelope;
            last_at = last_at.max(Some(envelope.at));
            versions.extend(envelope.run.map(|run| (run, (envelope.version, envelope.seq))));
            frame.push(record);
        }
        if frame.head.hash != *hash {
            return Err(Error::BadBatch(format!("what is to follow event {} does not follow it", head.seq)));
        }
        head = frame.head;
        frames.push(frame);
    }
    let mut ticket = None;
    for frame in frames {
        ticket = Some(inner.journal.push(frame)?);
    }
    (state.head, state.last_at) = (head, last_at);
    state.versions.extend(versions);
    // What is remembered of days is of before.
    state.ledger_since = None;
    drop(state);
    ticket.map_or(Ok(()), |ticket| inner.commit(ticket))
}

/// Checks what can be told without knowing the log.
fn check(batch: &Batch) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::BadBatch(why));
    if batch.events.is_empty() {
        return refuse("it has no events".to_owned());
    }
    for (index, event) in batch.events.iter().enumerate() {
        if OWN_KINDS.contains(&event.kind) {
            return refuse(format!("event {index} is of a kind that only the log writes"));
        }
        if event.public.len().max(event.private.len()) > PART_BYTES_MAX {
            return refuse(format!("event {index} has a part of more than {PART_BYTES_MAX} bytes"));
        }
        if event.private.len() < SALT_BYTES || chain::commitment(&event.private) != event.commitment {
            return refuse(format!("event {index} does not keep its commitment"));
        }
        if matches!(event.cause, Some(Cause::InBatch(cause)) if cause as usize >= index) {
            return refuse(format!("event {index} is caused by one that does not come before it"));
        }
    }
    Ok(())
}

fn place(inner: &Arc<Inner>, index: &EventIndex, batch: &Batch) -> Result<Placed, Error> {
    let mut state = lock(&inner.state);
    if let Some(reason) = inner.journal.closed() {
        return Err(Error::Closed(reason));
    }
    if let Some(Recent { ticket, first, count }) = state.recent.get(&batch.id).copied() {
        return Ok(Placed::Before { ticket: Some(ticket), first, count });
    }
    if let Some((first, count)) = rows::batch(&*index.trees, batch.id)?.filter(|(first, _)| *first <= state.head.seq) {
        return Ok(Placed::Before { ticket: None, first, count });
    }
    if let Some((run, expected)) = batch.expected_version {
        let actual = version(inner, &mut state, index, run)?;
        if actual != expected {
            return Err(Error::Conflict { run, expected, actual });
        }
    }
    let late = batch.events.iter().any(|event| matches!(event.cause, Some(Cause::At(seq)) if seq == 0 || seq > state.head.seq));
    if late {
        return Err(Error::BadBatch("an event is caused by a position that is not in the log".to_owned()));
    }
    let missing = inner.payloads.missing(&batch.payloads);
    if !missing.is_empty() {
        return Err(Error::MissingPayloads(missing));
    }
    if let Some(limit) = batch.day_limit {
        check_day(inner, &mut state, index, limit)?;
    }
    // Every version is looked up before anything is placed, so that a broken index changes nothing.
    for run in batch.events.iter().filter_map(|event| event.run) {
        version(inner, &mut state, index, run)?;
    }
    let now = inner.now();
    if let Some(last) = state.last_at.filter(|last| now < *last) {
        let event: Event = ClockMovedBack { by_ns: last.abs_diff(now), last, private: Some(ClockMovedBackPrivate {}) }.into();
        let event = offer(&event, inner.salt(), None, None, None)?;
        number(inner, &mut state, inner.batch_id(now), &[event], now, None)?;
    }
    let (ticket, events) = number(inner, &mut state, batch.id, &batch.events, now, Some(index))?;
    Ok(Placed::Now(ticket, events))
}

/// Gives the events their positions, and queues them.
fn number(
    inner: &Inner,
    state: &mut AppendState,
    id: BatchId,
    events: &[NewEvent],
    now: TimeNs,
    index: Option<&EventIndex>,
) -> Result<(Ticket, Vec<(Envelope, Hash)>), Error> {
    let mut frame = NewFrame::begin(id, state.head);
    let first = frame.first;
    let mut versions: HashMap<RunId, u64> = HashMap::new();
    let mut placed = Vec::with_capacity(events.len());
    let mut stored = Vec::new();
    let mut head = Vec::new();
    for event in events {
        let version = match event.run {
            Some(run) => {
                let version = versions.entry(run).or_insert_with(|| state.versions.get(&run).map_or(0, |(version, _)| *version));
                *version += 1;
                *version
            }
            None => 0,
        };
        let cause = event.cause.map(|cause| match cause {
            Cause::At(seq) => seq,
            Cause::InBatch(index) => first + u64::from(index),
        });
        let NewEvent { kind, kind_version, run, occurred_at, commitment, .. } = *event;
        let envelope = Envelope { seq: frame.head.seq + 1, run, version, at: now, occurred_at, cause };
        head.clear();
        write_head(&mut head, &envelope, kind, kind_version, &event.public, &commitment);
        let record = Record { head: &head, private: Some(&event.private) };
        let hash = frame.push(record);
        placed.push((envelope, hash));
        if state.ledger_since.is_some() {
            stored.push(record.to_stored(hash)?);
        }
    }
    let (head, count) = (frame.head, frame.count);
    let ticket = inner.journal.push(frame)?;
    // From here on nothing can fail: the state changes as a whole.
    (state.head, state.last_at) = (head, Some(now));
    state.versions.extend(versions.into_iter().map(|(run, version)| (run, (version, head.seq))));
    if let Some(ledger) = &mut state.ledger {
        stored.iter().for_each(|event| ledger.apply(event));
    }
    if index.is_some() {
        state.has_appended = true;
        state.recent.insert(id, Recent { ticket, first, count });
        thin_out(inner, state);
    }
    Ok((ticket, placed))
}

/// Forgets what the index knows as well.
fn thin_out(inner: &Inner, state: &mut AppendState) {
    let reached = inner.index.reached().seq;
    if state.recent.len() > state.recent_max {
        state.recent.retain(|_, recent| recent.first + u64::from(recent.count) > reached + 1);
        state.recent_max = RECENT_MAX.max(2 * state.recent.len());
    }
    if state.versions.len() > state.versions_max {
        state.versions.retain(|_, (_, last)| *last > reached);
        state.versions_max = REMEMBERED_MAX.max(2 * state.versions.len());
    }
}

/// Returns a run's version, what waits included.
fn version(inner: &Inner, state: &mut MutexGuard<'_, AppendState>, index: &EventIndex, run: RunId) -> Result<u64, Error> {
    if let Some((version, _)) = state.versions.get(&run) {
        return Ok(*version);
    }
    // A run that was appended to behind what the index has is in `versions`; the index has the others.
    let version = rows::run_version(index, run, inner.index.reached().seq)?;
    state.versions.insert(run, (version, 0));
    Ok(version)
}

/// Refuses when the day's budget does not hold what the batch reserves.
fn check_day(inner: &Inner, state: &mut MutexGuard<'_, AppendState>, index: &EventIndex, limit: DayLimit) -> Result<(), Error> {
    let DayLimit { day, reserve, limit } = limit;
    if state.ledger.is_none() {
        return Err(Error::BadBatch("this log keeps no account of days".to_owned()));
    }
    if state.ledger_since.is_none_or(|since| day < since) {
        let events = since(inner, state.head.seq, index, day)?;
        if let Some(ledger) = &mut state.ledger {
            ledger.reset();
            events.iter().rev().for_each(|event| ledger.apply(event));
        }
        state.ledger_since = Some(day);
    }
    let used = state.ledger.as_ref().map_or(limit, |ledger| ledger.used(day));
    if used.plus(reserve) > limit {
        return Err(Error::DayLimit { used, wanted: reserve, limit });
    }
    Ok(())
}

/// Returns the events that may count for `day`, the last first: back to the first one that was recorded a day before it began.
fn since(inner: &Inner, head: u64, index: &EventIndex, day: u32) -> Result<Vec<Stored>, Error> {
    // What was placed becomes durable without the lock that is held here, and then the index can get it.
    loop {
        match inner.index.wait_for(head, &inner.journal, CLOSED_AFTER) {
            Some(true) => break,
            Some(false) => return Err(Error::Index("it is being made again".to_owned())),
            None => inner.journal.closed().map_or(Ok(()), |reason| Err(Error::Closed(reason)))?,
        }
    }
    let begin = (i64::from(day) - 1).saturating_mul(DAY_NS);
    let mut events = Vec::new();
    rows::backwards(index, head, &mut |event| {
        let counts = event.envelope.at >= begin;
        if counts {
            events.push(event);
        }
        counts
    })?;
    Ok(events)
}

/// Returns the first outcome of a batch that was appended before.
fn repeated(inner: &Arc<Inner>, batch: &Batch, first: u64, count: u32) -> Result<Appended, Error> {
    let mut events = Vec::with_capacity(count as usize);
    let until = first + u64::from(count);
    while first + (events.len() as u64) < until {
        let from = first + events.len() as u64;
        let read = inner.with_index(until - 1, |index| rows::read(index, from, until - 1, u32::MAX))?;
        if read.is_empty() {
            return Err(Error::Damaged(format!("event {from} is gone")));
        }
        events.extend(read);
    }
    let same = events.len() == batch.events.len()
        && events.iter().zip(&batch.events).all(|(stored, sent)| is_what_was_sent(stored, sent, first));
    if !same {
        return Err(Error::BatchReused(batch.id));
    }
    Ok(Appended { events: events.iter().map(|event| (event.envelope, event.hash)).collect(), repeated: true })
}
