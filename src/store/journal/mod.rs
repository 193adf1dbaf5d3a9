//! The journal: the append-only files that make the promise. What it has acknowledged is there after any crash.
//!
//! One folder per node, segments named by their first position, one frame per batch ([`frame`]). Whoever appends first writes and
//! syncs for all who wait ([`Journal::commit`]), so a lone append costs one write and one fdatasync and no change of thread.
//! [`recover`] opens a log after anything; [`segment`] reads one. The journal knows neither runs nor what events mean.

pub mod frame;
pub mod recover;
pub mod segment;
pub mod writer;

#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use self::frame::{FRAME_BYTES_MAX, NewFrame};
use self::recover::{Recovery, Replica};
use self::writer::{Group, Writer};
use super::files::Files;
use super::log::Head;
use super::{Error, lock};
use crate::domain::ids::{NodeId, TimeNs};

/// How large a segment gets by default, in bytes: small enough that opening a log, which reads the last one, is quick.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// What one write and sync takes together, at most.
const GROUP_EVENTS_MAX: u32 = 512;
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Where a journal lies and how it is kept.
#[derive(Clone)]
pub struct JournalDir {
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The node's folder.
    pub dir: PathBuf,
    /// The log's node.
    pub node: NodeId,
    /// How large a segment gets, in bytes; one batch may exceed it.
    pub segment_bytes: u64,
    /// Every segment is read through at opening, not only the last one, and what is damaged is restored.
    pub thorough: bool,
    /// Nothing is changed: what is torn or damaged is reported and left as it is.
    pub read_only: bool,
}

/// The journal of one node, open for appending.
pub struct Journal {
    place: JournalDir,
    queue: Mutex<Queue>,
    /// Told whenever the queue's writer changes or the log grows.
    turned: Condvar,
    writer: Mutex<Writer>,
}

/// Number of a frame in the queue; [`Journal::commit`] waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Invariants: `durable` is never ahead of what was synced; `waiting` holds the frames after `done` tickets, in order;
/// after `closed` is set neither changes again.
struct Queue {
    waiting: VecDeque<NewFrame>,
    given: u64,
    done: u64,
    /// Somebody writes a group.
    writing: bool,
    /// The log's end including what waits.
    next: Head,
    /// The log's end as acknowledged.
    durable: Head,
    closed: Option<String>,
}

impl Journal {
    /// Opens the journal at `place` after whatever happened to it; `witness` is asked only when bytes are bad.
    ///
    /// Returns with it what was found, and when the last event was recorded.
    ///
    /// # Errors
    /// [`Error::Damaged`] when its end cannot be told, [`Error::Newer`], [`Error::Io`].
    pub fn open(place: JournalDir, witness: &dyn Replica) -> Result<(Self, Recovery, Option<TimeNs>), Error> {
        let recover::OpenedJournal { head, last_at, open, recovery } = recover::open(&place, witness)?;
        let writer = Writer::new(Arc::clone(&place.files), place.dir.clone(), place.segment_bytes, head, open);
        let queue =
            Queue { waiting: VecDeque::new(), given: 0, done: 0, writing: false, next: head, durable: head, closed: None };
        let journal = Self { place, queue: Mutex::new(queue), turned: Condvar::new(), writer: Mutex::new(writer) };
        Ok((journal, recovery, last_at))
    }

    /// Returns where the journal lies.
    pub fn place(&self) -> &JournalDir {
        &self.place
    }

    /// Returns the log's end as acknowledged.
    pub fn head(&self) -> Head {
        lock(&self.queue).durable
    }

    /// Returns why nothing more is taken, once a write or sync has failed.
    pub fn closed(&self) -> Option<String> {
        lock(&self.queue).closed.clone()
    }

    /// Queues a frame that was made for the end of the queue.
    ///
    /// # Errors
    /// [`Error::Closed`] after a failure, [`Error::BadBatch`] when the frame is too long or does not belong at the end.
    pub fn push(&self, frame: NewFrame) -> Result<Ticket, Error> {
        if frame.length() > FRAME_BYTES_MAX {
            return Err(Error::BadBatch(format!("it takes {} bytes, {FRAME_BYTES_MAX} are possible", frame.length())));
        }
        let mut queue = lock(&self.queue);
        if let Some(reason) = &queue.closed {
            return Err(Error::Closed(reason.clone()));
        }
        if frame.count == 0 || frame.first != queue.next.seq + 1 {
            return Err(Error::BadBatch(format!("position {} does not follow {}", frame.first, queue.next.seq)));
        }
        queue.next = frame.head;
        queue.given += 1;
        queue.waiting.push_back(frame);
        Ok(Ticket(queue.given))
    }

    /// Returns once the frame of `ticket` is durable. Whoever finds nobody writing writes for all; `sink` gets each group that this call
    /// wrote, in the log's order, and may block to slow appenders down.
    ///
    /// # Errors
    /// [`Error::Closed`] when a write or sync failed: whether the frame is in the log shows at the next open.
    pub fn commit(&self, ticket: Ticket, sink: &dyn Fn(Group)) -> Result<(), Error> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.done >= ticket.0 {
                return Ok(());
            }
            if let Some(reason) = &queue.closed {
                return Err(Error::Closed(reason.clone()));
            }
            if queue.writing {
                queue = self.turned.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            }
            queue.writing = true;
            let frames = queue.take_group();
            drop(queue);
            let count = frames.len() as u64;
            let written = lock(&self.writer).write(frames);
            queue = lock(&self.queue);
            match written {
                Ok(group) => {
                    queue.done += count;
                    queue.durable = group.head;
                    // Those whose frames these were go on at once; only the next group waits for the sink.
                    self.turned.notify_all();
                    drop(queue);
                    sink(group);
                    queue = lock(&self.queue);
                }
                Err(why) => {
                    tracing::error!("the log takes no more events: {why}");
                    queue.closed = Some(why.to_string());
                }
            }
            queue.writing = false;
            self.turned.notify_all();
        }
    }

    /// Makes durable what processes before this one wrote and may not have synced: it is in the log, and was perhaps never acknowledged.
    ///
    /// # Errors
    /// [`Error::Closed`] after a failure, and when this fails.
    pub fn settle(&self) -> Result<(), Error> {
        if let Some(reason) = self.closed() {
            return Err(Error::Closed(reason));
        }
        let settled = lock(&self.writer).settle();
        settled.inspect_err(|why| lock(&self.queue).closed = Some(why.to_string()))
    }

    /// Waits until the acknowledged end has passed `seen` or `patience` is over; returns the end's position.
    pub fn wait(&self, seen: u64, patience: Duration) -> u64 {
        let until = Instant::now().checked_add(patience);
        let mut queue = lock(&self.queue);
        while queue.durable.seq <= seen {
            let left = until.map_or(patience, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            queue = self.turned.wait_timeout(queue, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        queue.durable.seq
    }
}

impl Queue {
    /// Takes what is written next: at least one frame, and never more than a group may have.
    fn take_group(&mut self) -> Vec<NewFrame> {
        let (mut events, mut bytes, mut frames) = (0, 0, 0);
        for frame in &self.waiting {
            events += frame.count;
            bytes += frame.length();
            if frames > 0 && (events > GROUP_EVENTS_MAX || bytes > GROUP_BYTES_MAX) {
                break;
            }
            frames += 1;
        }
        self.waiting.drain(..frames).collect()
    }
}

/// Returns the folder of `node`'s log in a store.
pub fn folder(store: &Path, node: NodeId) -> PathBuf {
    store.join("journal").join(node.to_string())
}
