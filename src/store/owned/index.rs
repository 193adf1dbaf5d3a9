//! The index of events beside the journal: opened when somebody needs it, filled from the journal, made again when it breaks.
//!
//! One thread at a time changes it; readers hold it open by themselves. It is never ahead of what was acknowledged, and readers see that it
//! is not behind either: what waits for it ([`waiting`](super::waiting)) is taken in by a thread of its own when it is due, by a reader who
//! needs it before, or by an appender when too much waits.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use super::layout::{self, Layout};
use super::page::Packer;
use super::rows::{self, EventIndex, Fill};
use super::waiting::{Due, Waiting};
use super::{Progress, RecoveryReport};
use crate::domain::ids::Hash;
use crate::store::journal::frame::{Frame, NewFrame};
use crate::store::journal::recover::{Damage, Kept, Replica, kept};
use crate::store::journal::segment::{Item, segments};
use crate::store::journal::writer::Group;
use crate::store::journal::{Journal, JournalDir};
use crate::store::log::Head;
use crate::store::ordered::{IndexFactory, open_or_set_aside};
use crate::store::{Error, Unwritable, chain, lock};

/// Memory that the index may take, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Events written to the index in one go.
const FILL_EVENTS: usize = 4096;
/// How long somebody waits before looking whether the index was closed meanwhile.
const LOOK_AFTER: Duration = Duration::from_millis(100);

pub(super) struct Index {
    shelf: Arc<dyn IndexFactory>,
    path: PathBuf,
    place: JournalDir,
    progress: Box<dyn Fn(Progress) + Send + Sync>,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    report: Arc<Mutex<RecoveryReport>>,
    open: RwLock<Option<Arc<EventIndex>>>,
    /// Opened to bear witness, before the journal was: not filled yet.
    unfilled: Mutex<Option<Arc<EventIndex>>>,
    /// Held by whoever changes rows or swaps the index.
    writing: Mutex<Packer>,
    /// Where the index stands, and what it still has to take in.
    waiting: Mutex<Waiting>,
    /// What was set aside last, while another index is being filled.
    aside: Mutex<Option<PathBuf>>,
    /// Told when the index has moved, something waits for it, or somebody stops writing.
    moved: Condvar,
    /// Told when the thread that keeps the index has something to do.
    due: Condvar,
}

/// The right to change rows; whoever waits for it hears of it when it is given back.
struct Writing<'a> {
    index: &'a Index,
    packer: Option<MutexGuard<'a, Packer>>,
}

impl Writing<'_> {
    fn packer(&mut self) -> &mut Packer {
        self.packer.as_mut().expect("it is held until it is dropped")
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.packer = None;
        // Whoever has just found it taken holds this until they wait.
        drop(lock(&self.index.waiting));
        self.index.moved.notify_all();
    }
}

impl Index {
    pub fn new(
        shelf: Arc<dyn IndexFactory>,
        path: PathBuf,
        place: JournalDir,
        progress: Box<dyn Fn(Progress) + Send + Sync>,
        tell: Arc<dyn Fn(&str) + Send + Sync>,
        report: Arc<Mutex<RecoveryReport>>,
    ) -> Self {
        let start = Head { node: place.node, seq: 0, hash: chain::genesis(place.node) };
        Self {
            shelf,
            path,
            place,
            progress,
            tell,
            report,
            open: RwLock::default(),
            unfilled: Mutex::default(),
            writing: Mutex::default(),
            waiting: Mutex::new(Waiting::after(start)),
            aside: Mutex::default(),
            moved: Condvar::new(),
            due: Condvar::new(),
        }
    }

    /// Returns the index if it is open.
    pub fn current(&self) -> Option<Arc<EventIndex>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the log's end as the index has it.
    pub fn reached(&self) -> Head {
        lock(&self.waiting).reached
    }

    /// Returns the index, opened and filled up to the journal's end. `ahead` appends batches that the index kept and the journal lost.
    pub fn ensure(
        &self,
        journal: &Journal,
        ahead: &dyn Fn(Vec<NewFrame>) -> Result<(), Error>,
    ) -> Result<Arc<EventIndex>, Error> {
        if let Some(index) = self.current() {
            return Ok(index);
        }
        let mut writing = self.writing();
        let packer = writing.packer();
        if let Some(index) = self.current() {
            return Ok(index);
        }
        let index = self.unfilled()?;
        lock(&self.unfilled).take();
        let is_doubtful = self.shelf.is_doubtful(&self.path);
        let filled = self.link(&index, journal, ahead).and_then(|link| match link {
            Link::At(_) if is_doubtful => Ok(Some(DOUBTFUL)),
            Link::At(from) if self.catch_up(&index, from, journal.head().seq, packer)? => Ok(None),
            Link::At(_) => Ok(Some(FOREIGN)),
            Link::Unusable(why) => Ok(Some(why)),
        });
        match filled {
            Ok(None) => {
                self.publish(Arc::clone(&index));
                Ok(index)
            }
            Ok(Some(why)) => {
                // Its folder is renamed, and its lock is free again, when nobody has it open any more.
                drop(index);
                self.anew(why, journal, packer)
            }
            Err(Error::Index(why)) => self.anew(&broken(&why), journal, packer),
            Err(why) => self.replace(why, journal, packer),
        }
    }

    /// Replaces `broken` by an index filled from the journal, unless somebody else did so already: in memory when it broke because its
    /// disk cannot be written to.
    ///
    /// # Errors
    /// `why`, when another index would fare no better.
    pub fn rebuild(&self, broken: &Arc<EventIndex>, why: Error, journal: &Journal) -> Result<(), Error> {
        let mut writing = self.writing();
        if self.current().is_none_or(|index| !Arc::ptr_eq(&index, broken)) {
            return Ok(());
        }
        self.replace(why, journal, writing.packer()).map(|_| ())
    }

    /// Returns why the index is kept in memory, when it had to leave its disk.
    pub fn given_up(&self) -> Option<Unwritable> {
        self.shelf.given_up(&self.path)
    }

    fn replace(&self, why: Error, journal: &Journal, packer: &mut Packer) -> Result<Arc<EventIndex>, Error> {
        match (&why, why.unwritable()) {
            (Error::Index(words), _) => self.anew(&broken(words), journal, packer),
            (_, Some(unwritable)) if self.shelf.give_up(&self.path, unwritable) => self.fill_anew(journal, packer),
            _ => Err(why),
        }
    }

    /// Takes note of a group that was just acknowledged. While too much waits for the index, the caller waits, or takes it in.
    pub fn push(&self, group: Group, journal: &Journal) {
        let mut waiting = lock(&self.waiting);
        if waiting.push(group, Instant::now()) {
            self.due.notify_one();
        }
        self.moved.notify_all();
        while waiting.is_full() && !waiting.is_closing {
            waiting = self.help(waiting, journal, LOOK_AFTER);
        }
    }

    /// Waits until the index has reached position `seq`, and takes in what waits unless somebody else is at it; false when it is not
    /// open any more, and `None` when `patience` is over.
    pub fn wait_for(&self, seq: u64, journal: &Journal, patience: Duration) -> Option<bool> {
        let begin = Instant::now();
        let mut waiting = lock(&self.waiting);
        while waiting.reached.seq < seq {
            if self.current().is_none() {
                return Some(false);
            }
            let left = patience.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return None;
            }
            waiting = self.help(waiting, journal, left.min(LOOK_AFTER));
        }
        Some(true)
    }

    /// Waits until the index has reached position `seq`, as [`Self::wait_for`] does; false when it is not open any more.
    pub fn wait(&self, seq: u64, journal: &Journal) -> bool {
        loop {
            if let Some(is_there) = self.wait_for(seq, journal, Duration::MAX) {
                return is_there;
            }
        }
    }

    /// Takes in everything that waits.
    pub fn take(&self, journal: &Journal) {
        let mut writing = self.writing();
        self.take_in(journal, writing.packer());
    }

    /// Waits until the thread that keeps the index has something to do; returns how many bytes have come since the last time, and `None`
    /// when the log is closing.
    pub fn wait_until_due(&self) -> Option<u64> {
        let mut waiting = lock(&self.waiting);
        loop {
            waiting = match waiting.due(Instant::now()) {
                Due::Now => return Some(waiting.follow()),
                Due::Closing => return None,
                Due::In(left) => self.due.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0,
                Due::Never => self.due.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Sends the thread that keeps the index to its end.
    pub fn close(&self) {
        lock(&self.waiting).is_closing = true;
        self.due.notify_all();
        self.moved.notify_all();
    }

    fn writing(&self) -> Writing<'_> {
        Writing { index: self, packer: Some(lock(&self.writing)) }
    }

    /// Takes in what waits, or lets others do so for a while.
    fn help<'a>(&'a self, waiting: MutexGuard<'a, Waiting>, journal: &Journal, patience: Duration) -> MutexGuard<'a, Waiting> {
        let packer = match self.writing.try_lock() {
            Ok(packer) if !waiting.is_empty() => Some(packer),
            Err(TryLockError::Poisoned(poisoned)) if !waiting.is_empty() => Some(poisoned.into_inner()),
            _ => None,
        };
        let Some(packer) = packer else {
            return self.moved.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(waiting);
        let mut writing = Writing { index: self, packer: Some(packer) };
        self.take_in(journal, writing.packer());
        drop(writing);
        lock(&self.waiting)
    }

    /// Takes in everything that waits. What cannot be taken in now is caught up when the index is next needed.
    fn take_in(&self, journal: &Journal, packer: &mut Packer) {
        let groups = lock(&self.waiting).take();
        self.moved.notify_all();
        let Some(index) = self.current().filter(|_| !groups.is_empty()) else { return };
        let outcome = self.fill(&index, &groups, journal, packer);
        let outcome = outcome.or_else(|why| match why.unwritable() {
            Some(_) => self.replace(why, journal, packer).map(drop),
            None => self.anew(&broken(&why.to_string()), journal, packer).map(drop),
        });
        if let Err(why) = outcome {
            tracing::error!("the index of the log cannot be made again: {why}");
            *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
            self.moved.notify_all();
        }
    }

    fn fill(&self, index: &EventIndex, groups: &[Group], journal: &Journal, packer: &mut Packer) -> Result<(), Error> {
        let mut fill = Fill::after(self.reached());
        for group in groups {
            let mut rest = &group.bytes[..];
            while let Some(frame) = Frame::read(rest, self.place.node) {
                rest = &rest[frame.bytes.len()..];
                if frame.first > fill.head.seq + 1 {
                    self.write(index, fill, packer)?;
                    let from = self.reached();
                    self.catch_up(index, from, journal.head().seq, packer)?;
                    return Ok(());
                }
                if frame.first == fill.head.seq + 1 {
                    fill.add(&frame, packer)?;
                }
                if fill.len() >= FILL_EVENTS {
                    let head = fill.head;
                    self.write(index, std::mem::replace(&mut fill, Fill::after(head)), packer)?;
                }
            }
        }
        self.write(index, fill, packer)
    }

    fn write(&self, index: &EventIndex, fill: Fill, packer: &mut Packer) -> Result<(), Error> {
        let head = fill.head;
        fill.write(index, packer)?;
        lock(&self.waiting).reached = head;
        self.moved.notify_all();
        Ok(())
    }

    /// Says that an index was set aside.
    fn replaced(&self, why: &str, aside: &Path) {
        self.notice(format!(
            "the index of the log {why}; it was set aside as {} and is made again from the journal",
            aside.display()
        ));
        *lock(&self.aside) = Some(aside.to_owned());
    }

    fn publish(&self, index: Arc<EventIndex>) {
        // What was set aside before is of use only where the journal has lost something.
        if let Some(aside) = lock(&self.aside).take()
            && lock(&self.report).damage.is_empty()
        {
            self.shelf.drop_older(&self.path, &aside);
        }
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
        self.moved.notify_all();
    }

    fn unfilled(&self) -> Result<Arc<EventIndex>, Error> {
        let mut unfilled = lock(&self.unfilled);
        if let Some(index) = &*unfilled {
            return Ok(Arc::clone(index));
        }
        let index = open_or_set_aside(&*self.shelf, &self.path, CACHE_BYTES, &|why, aside| self.replaced(&broken(why), aside))?;
        Ok(Arc::clone(unfilled.insert(Arc::new(EventIndex::new(index)))))
    }

    /// Finds where the index and the journal meet. What only the index has is put back, even if the index cannot be used any further.
    fn link(
        &self,
        index: &EventIndex,
        journal: &Journal,
        ahead: &dyn Fn(Vec<NewFrame>) -> Result<(), Error>,
    ) -> Result<Link, Error> {
        let head = journal.head();
        let start = Head { seq: 0, hash: chain::genesis(head.node), ..head };
        let foreign = Link::Unusable(FOREIGN);
        let layout = layout::of(&*index.trees)?;
        if layout == Layout::Unknown {
            return Ok(Link::Unusable("has the layout of another release"));
        }
        let Some((seq, hash)) = rows::reached(index)? else { return Ok(Link::At(start)) };
        let reached = Head { seq, hash, ..head };
        let link = match layout {
            Layout::Older => Link::Unusable("has an older layout"),
            _ => {
                rows::repair(index, seq)?;
                Link::At(reached)
            }
        };
        if seq == head.seq {
            return Ok(if hash == head.hash { link } else { foreign });
        }
        if seq > head.seq && self.place.read_only {
            // Nothing is restored here; what the journal has can be read.
            self.lost(&self.place.dir, head.seq + 1, seq + 1);
        } else if seq > head.seq {
            let witness = Lent(index);
            let Some(frames) = kept(&witness, head, head.seq + 1, seq + 1)? else { return Ok(foreign) };
            self.notice(format!(
                "events {} to {seq} were missing at the journal's end; the index had them, and they are restored",
                head.seq + 1
            ));
            lock(&self.report).damage.push(Damage {
                file: self.place.dir.clone(),
                from: 0,
                to: 0,
                first: head.seq + 1,
                until: seq + 1,
                restored: true,
            });
            ahead(frames)?;
        }
        Ok(link)
    }

    /// Sets the index aside and fills a new one; `why` says what the index is, has or does.
    fn anew(&self, why: &str, journal: &Journal, packer: &mut Packer) -> Result<Arc<EventIndex>, Error> {
        if self.place.read_only {
            tracing::warn!("the index of the log {why}; it is made in memory");
            self.shelf.give_up(&self.path, Unwritable::ReadOnly);
            return self.fill_anew(journal, packer);
        }
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
        // What went with the machine is nobody's fault and nobody's loss, unless it is of another log.
        let is_doubtful = self.shelf.is_doubtful(&self.path) && why != FOREIGN;
        let aside = self.shelf.set_aside(&self.path)?;
        if is_doubtful {
            tracing::info!("the index of the log {why}; it is made again from the journal");
        } else {
            self.replaced(why, &aside);
        }
        let index = self.fill_anew(journal, packer)?;
        let is_of_no_use = is_doubtful && self.given_up().is_none() && lock(&self.report).damage.is_empty();
        if is_of_no_use && let Err(why) = self.shelf.discard(&aside) {
            tracing::warn!("{} stays: {why}", aside.display());
        }
        Ok(index)
    }

    fn fill_anew(&self, journal: &Journal, packer: &mut Packer) -> Result<Arc<EventIndex>, Error> {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
        let index = open_or_set_aside(&*self.shelf, &self.path, CACHE_BYTES, &|why, aside| self.replaced(&broken(why), aside))?;
        let index = Arc::new(EventIndex::new(index));
        let head = journal.head();
        let start = Head { seq: 0, hash: chain::genesis(head.node), ..head };
        lock(&self.waiting).reached = start;
        match self.catch_up(&index, start, head.seq, packer) {
            Ok(_) => {}
            // The disk became full over it.
            Err(why) if why.unwritable().is_some() => return self.replace(why, journal, packer),
            Err(why) => return Err(why),
        }
        self.publish(Arc::clone(&index));
        Ok(index)
    }

    /// Fills the index from the journal, after `from` and up to position `to`. Returns false when `from` is not in the journal's chain.
    fn catch_up(&self, index: &EventIndex, from: Head, to: u64, packer: &mut Packer) -> Result<bool, Error> {
        let total = to.saturating_sub(from.seq);
        (self.progress)(Progress { done: 0, total });
        let outcome = self.fill_from(index, from, to, packer);
        // It is over, well or not: nobody must be told to wait for it any more.
        (self.progress)(Progress { done: total, total });
        outcome
    }

    fn fill_from(&self, index: &EventIndex, from: Head, to: u64, packer: &mut Packer) -> Result<bool, Error> {
        lock(&self.waiting).reached = from;
        if from.seq == 0 {
            layout::mark(&*index.trees)?;
        }
        let mut fill = Fill::after(from);
        let mut linked = from.seq == 0;
        let total = to.saturating_sub(from.seq);
        let log = segments(&*self.place.files, &self.place.dir, self.place.node, from.seq + 1)?;
        for segment in log {
            if fill.head.seq >= to {
                break;
            }
            let segment = segment?;
            for item in segment.items() {
                let Item::Frame(_, frame) = item else { continue };
                if frame.last() <= from.seq {
                    continue;
                }
                if frame.first > to {
                    break;
                }
                if frame.first > fill.head.seq + 1 {
                    self.lost(&segment.path, fill.head.seq + 1, frame.first);
                }
                let follows = fill.add(&frame, packer)?;
                if !follows && !linked {
                    return Ok(false);
                }
                if !follows {
                    self.notice(format!("events {} to {} do not follow the chain", frame.first, frame.last()));
                }
                linked = true;
                if fill.len() >= FILL_EVENTS {
                    let head = fill.head;
                    self.write(index, std::mem::replace(&mut fill, Fill::after(head)), packer)?;
                    (self.progress)(Progress { done: head.seq - from.seq, total });
                }
            }
        }
        if fill.head.seq < to {
            // Events that are lost at the end must not keep readers waiting.
            self.lost(&self.place.dir, fill.head.seq + 1, to + 1);
            fill.head = Head { seq: to, hash: Hash::default(), ..fill.head };
        }
        self.write(index, fill, packer)?;
        Ok(true)
    }

    /// Reports events that the journal does not have any more, unless that is known already.
    fn lost(&self, file: &Path, first: u64, until: u64) {
        let mut report = lock(&self.report);
        if report.damage.iter().all(|known| known.restored || first < known.first || until > known.until) {
            let damage = Damage { file: file.to_owned(), from: 0, to: 0, first, until, restored: false };
            tracing::error!("{damage}");
            (self.tell)(&damage.to_string());
            report.damage.push(damage);
        }
    }

    fn is_of_this_log(&self, index: &EventIndex) -> bool {
        rows::owner(index).ok().flatten().is_none_or(|owner| owner == self.place.node)
    }

    fn notice(&self, text: String) {
        tracing::warn!("{text}");
        (self.tell)(&text);
        lock(&self.report).notices.push(text);
    }
}

/// What may be said of an index that has to be replaced.
const FOREIGN: &str = "does not belong to this log";
const DOUBTFUL: &str = "may lack what was not written when the machine went down";

/// Where an index stands beside the journal.
enum Link {
    /// It has everything up to here.
    At(Head),
    /// It has to be replaced: what it is, has or does.
    Unusable(&'static str),
}

fn broken(why: &str) -> String {
    format!("is broken ({why})")
}

/// What the index knows counts even before the journal is open; an index that is not there knows nothing.
impl Replica for Index {
    fn last(&self) -> Result<u64, Error> {
        if !self.shelf.exists(&self.path) {
            return Ok(0);
        }
        let index = self.unfilled()?;
        // An index that breaks on being asked, or is of another log, bears no witness; it is made again when it is needed.
        if !self.is_of_this_log(&index) {
            return Ok(0);
        }
        Ok(rows::reached(&index).ok().flatten().map_or(0, |(seq, _)| seq))
    }

    fn batches(&self, from: u64, to: u64) -> Result<Vec<Kept>, Error> {
        if !self.shelf.exists(&self.path) {
            return Ok(Vec::new());
        }
        let index = self.unfilled()?;
        if !self.is_of_this_log(&index) {
            return Ok(Vec::new());
        }
        Ok(rows::batches(&index, from, to).unwrap_or_default())
    }
}

struct Lent<'a>(&'a EventIndex);

impl Replica for Lent<'_> {
    fn last(&self) -> Result<u64, Error> {
        Ok(rows::reached(self.0)?.map_or(0, |(seq, _)| seq))
    }

    fn batches(&self, from: u64, to: u64) -> Result<Vec<Kept>, Error> {
        rows::batches(self.0, from, to)
    }
}
