//! The log of the process that owns the files: [`OwnedLog`] puts journal, index, payloads and projections together.
//!
//! An append is checked, numbered and chained (`append`), made durable by the journal, and then followed by the index and the
//! projections on a thread of their own, a little later. A read first sees to it that the index has what was acknowledged before it was
//! asked, and does that work itself when nobody is at it. Opening reads the journal's end only: the index opens when somebody needs it. Whoever makes an [`OwnedLog`] holds the store's lock; sockets, clients
//! and locks are not known here.

mod append;
mod index;
mod layout;
mod page;
mod rows;
mod setup;
mod waiting;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ulid::Ulid;

use self::append::AppendState;
use self::index::Index;
use self::rows::EventIndex;
use super::codec::{SALT_BYTES, offer};
use super::files::{Files, OsFiles, ReadOnlyFiles};
use super::identity::{self, Verdict};
use super::journal::recover::{Damage, Kept};
use super::journal::{self, Journal, JournalDir, SEGMENT_BYTES, Ticket};
use super::log::{Appended, Batch, Head, Log, Stored, ViewRows};
use super::ordered::IndexFactory;
use super::ordered::copied::CopyShelf;
use super::ordered::memory::PlainShelf;
use super::ordered::on_sled::SledShelf;
use super::payloads::Payloads;
use super::projector::Projector;
use super::{Error, Unwritable, lock};
use crate::domain::event::{Event, StoreCreated, StoreCreatedPrivate};
use crate::domain::ids::{BatchId, NodeId, RunId, TimeNs};
use crate::domain::money::NanoUsd;
use crate::views::Projection;

/// The index is flushed whenever it has taken in this many bytes.
const FLUSH_BYTES: u64 = 64 * 1024 * 1024;

/// Fills bytes with randomness.
pub type Random = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// What a log is given from outside.
pub struct Options {
    /// Tells the time in nanoseconds since the Unix epoch, UTC.
    pub clock: Box<dyn Fn() -> TimeNs + Send + Sync>,
    /// For salts and ids.
    pub random: Random,
    /// Knows what days have spent; without it batches with a day's limit are refused.
    pub ledger: Option<Box<dyn Ledger>>,
    /// The projections to keep.
    pub projections: Vec<Arc<dyn Projection>>,
    /// Hears how far the filling of the index has come.
    pub progress: Box<dyn Fn(Progress) + Send + Sync>,
    /// Told what was not as it must be, in words for people, when it is found: much is only looked at when somebody needs it.
    pub notice: Arc<dyn Fn(&str) + Send + Sync>,
    /// How large a journal segment gets, in bytes.
    pub segment_bytes: u64,
    /// Reads the whole journal at opening, and restores from the index what is damaged in it; opening then takes a second per GB or so.
    pub thorough: bool,
    /// Why the store cannot be written to, when it is only to be read: then nothing in its folder is changed, nothing can be appended,
    /// and index and views are read from copies or made in memory.
    pub read_only: Option<Unwritable>,
    /// The file system of journal and payloads.
    pub files: Arc<dyn Files>,
    /// Opens the indexes.
    pub shelf: Arc<dyn IndexFactory>,
}

impl Options {
    /// The system's clock, files and randomness, sled, and nothing to account or project.
    pub fn system() -> Self {
        let now = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0, |now| TimeNs::try_from(now.as_nanos()).unwrap_or(TimeNs::MAX))
        };
        let random = |bytes: &mut [u8]| {
            getrandom::fill(bytes).expect("the operating system gives random bytes once it has started");
        };
        Self {
            clock: Box::new(now),
            random: Box::new(random),
            ledger: None,
            projections: Vec::new(),
            progress: Box::new(|_| {}),
            notice: Arc::new(|_| {}),
            segment_bytes: SEGMENT_BYTES,
            thorough: false,
            read_only: None,
            files: Arc::new(OsFiles),
            shelf: Arc::new(SledShelf::system()),
        }
    }

    /// The same, for a store that cannot be written to. Its indexes are read from copies, unless a living process changes them.
    pub fn read_only(self, why: Unwritable, is_held: bool) -> Self {
        let shelf: Arc<dyn IndexFactory> = if is_held { Arc::new(PlainShelf::default()) } else { Arc::new(CopyShelf::default()) };
        Self { read_only: Some(why), files: Arc::new(ReadOnlyFiles), shelf, ..self }
    }
}

/// Keeps account of what UTC days have spent and reserved, by folding over events.
pub trait Ledger: Send {
    /// Forgets everything.
    fn reset(&mut self);

    /// Takes in one event; they come in order.
    fn apply(&mut self, event: &Stored);

    /// Returns what `day` (days since the epoch) has spent and reserved, in nUSD.
    fn used(&self, day: u32) -> NanoUsd;
}

/// How far the filling of the index has come, in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Filled in.
    pub done: u64,
    /// To be filled in altogether.
    pub total: u64,
}

/// What was found and put right, at opening and since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The store was made just now.
    pub created: bool,
    /// What was put right, in words for people.
    pub notices: Vec<String>,
    /// What was not as it was written.
    pub damage: Vec<Damage>,
}

/// The log of the process that owns the store's files. Dropping it brings index and projections up to the journal and flushes them.
pub struct OwnedLog {
    inner: Arc<Inner>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    journal: Journal,
    index: Index,
    projector: Projector,
    payloads: Payloads,
    state: Mutex<AppendState>,
    report: Arc<Mutex<RecoveryReport>>,
    clock: Box<dyn Fn() -> TimeNs + Send + Sync>,
    random: Random,
    /// The store's folder, and why it cannot be written to.
    read_only: Option<(PathBuf, Unwritable)>,
    /// A view was brought up to the log for somebody who reads.
    has_projected: AtomicBool,
}

impl OwnedLog {
    /// Opens the store in the folder `store`, making it when it is not there.
    ///
    /// # Errors
    /// [`Error::Unidentified`] when it cannot be told whose log is the store's own, [`Error::Damaged`] when the log's end cannot be told,
    /// [`Error::Newer`], [`Error::Io`].
    pub fn open(store: &Path, options: Options) -> Result<(Self, RecoveryReport), Error> {
        let Options { clock, random, ledger, projections, progress, notice, segment_bytes, thorough, read_only, files, shelf } =
            options;
        let is_read_only = read_only.is_some();
        // Before anything is made: a store that cannot be told from another is left as it is.
        let (node, folder, is_new, repairs) = match setup::who(&*files, &*shelf, store)? {
            Verdict::Own { node, folder, repairs } => (node, Some(folder), false, repairs),
            Verdict::New(begun) if is_read_only => (begun.unwrap_or(NodeId::from_bytes([0; 16])), None, true, Vec::new()),
            Verdict::New(begun) => (begun.unwrap_or_else(|| NodeId(ulid(clock(), &*random))), None, true, Vec::new()),
            Verdict::Refused(why) => return Err(Error::Unidentified(why)),
            Verdict::Undecided => return Err(Error::Unidentified("nothing in it says so".to_owned())),
        };
        let repaired = if is_read_only {
            let left = |finding: String| format!("{finding}; it is left as it is, since nothing can be written");
            repairs.into_iter().filter_map(|repair| repair.finding).map(left).collect()
        } else {
            let notices = setup::prepare(&*files, store)?;
            [notices, identity::repair(&*files, store, &repairs)?].concat()
        };
        let dir = match folder.filter(|_| is_read_only) {
            Some(folder) => store.join("journal").join(folder),
            None => journal::folder(store, node),
        };
        let log: PathBuf = store.join("log");
        // An index that has to be made again is asked first for whatever the journal may have lost.
        let thorough = thorough || shelf.is_doubtful(&log.join("events"));
        let place = JournalDir { files: Arc::clone(&files), dir, node, segment_bytes, thorough, read_only: is_read_only };
        let report = Arc::new(Mutex::new(RecoveryReport::default()));
        let index =
            Index::new(Arc::clone(&shelf), log.join("events"), place.clone(), progress, Arc::clone(&notice), Arc::clone(&report));
        let (journal, recovery, last_at) = Journal::open(place, &index)?;
        repaired.iter().chain(&recovery.notices).for_each(|what| notice(what));
        recovery.damage.iter().for_each(|damage| notice(&damage.to_string()));
        {
            let mut report = lock(&report);
            report.notices.extend(repaired);
            report.notices.extend(recovery.notices);
            report.damage.extend(recovery.damage);
        }
        let head = journal.head();
        let told = Arc::clone(&report);
        let tell = Arc::new(move |text: &str| {
            lock(&told).notices.push(text.to_owned());
            notice(text);
        });
        let inner = Arc::new(Inner {
            journal,
            index,
            projector: Projector::new(Arc::clone(&shelf), log.join("views"), projections, tell),
            payloads: Payloads::new(Arc::clone(&files), store),
            state: Mutex::new(AppendState::new(head, last_at, ledger)),
            report,
            clock,
            random,
            read_only: read_only.map(|why| (store.to_owned(), why)),
            has_projected: AtomicBool::new(false),
        });
        let log = Self { inner, follower: Mutex::default() };
        if !is_read_only {
            let follower = std::thread::Builder::new().name("meno-index".to_owned()).spawn({
                let inner = Arc::clone(&log.inner);
                move || inner.follow()
            });
            *lock(&log.follower) = Some(follower.map_err(Error::io(store))?);
        }
        if head.seq == 0 && is_new && !is_read_only {
            log.begin(node)?;
            // Last, so that whoever finds it knows that there were events.
            identity::remember(&*files, store, node)?;
        } else if head.seq == 0 && !is_new {
            log.take_back()?;
        }
        let report = lock(&log.inner.report).clone();
        Ok((log, report))
    }

    /// Returns the payloads beside the log.
    #[cfg(test)]
    pub fn payloads(&self) -> &Payloads {
        &self.inner.payloads
    }

    /// Appends batches of this very log that were recorded in a copy of it, which has gone on: as they were recorded, at their positions.
    /// Their payloads must be there.
    ///
    /// # Errors
    /// [`Error::BadBatch`] when they do not follow the log's end: then nothing is appended. [`Error::Closed`].
    pub fn extend(&self, batches: &[Kept]) -> Result<(), Error> {
        // With the index open, it follows at once; the versions of runs are looked up there.
        self.inner.index()?;
        append::extend(&self.inner, batches)?;
        self.inner.with_index(self.inner.journal.head().seq, |_| Ok(()))
    }

    /// Returns what was found and put right, at opening and since.
    #[cfg(test)]
    pub fn report(&self) -> RecoveryReport {
        lock(&self.inner.report).clone()
    }

    /// Returns the log's node.
    pub fn node(&self) -> NodeId {
        self.inner.journal.place().node
    }

    /// Returns why nothing more is taken, once a write or sync has failed.
    #[cfg(test)]
    pub fn closed(&self) -> Option<String> {
        self.inner.journal.closed()
    }

    /// Returns why index or views are in memory instead of on the disk, when they are.
    pub fn in_memory(&self) -> Option<Unwritable> {
        let read_only = self.inner.read_only.as_ref().map(|(_, why)| *why);
        read_only.or_else(|| self.inner.index.given_up()).or_else(|| self.inner.projector.given_up())
    }

    /// Returns how far the view has come that is furthest behind, without bringing it further.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn views_reached(&self) -> Result<u64, Error> {
        self.inner.projector.reached()
    }

    /// Returns positions and reasons of the events that a projection could not take.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such projection, [`Error::Index`].
    pub fn refused(&self, view: &str) -> Result<Vec<(u64, String)>, Error> {
        self.inner.projector.refused(view)
    }

    /// Takes back from the index the log of a store whose segments are gone.
    fn take_back(&self) -> Result<(), Error> {
        self.inner.index()?;
        match self.inner.journal.head().seq {
            0 => Err(Error::Unidentified("the journal is gone, and the index does not have its events".to_owned())),
            _ => Ok(()),
        }
    }

    /// Writes the first event.
    fn begin(&self, node: NodeId) -> Result<(), Error> {
        let mut user_salt = [0; 16];
        (self.inner.random)(&mut user_salt);
        let private = Some(StoreCreatedPrivate { user_salt });
        let created: Event = StoreCreated { node, meno_version: env!("CARGO_PKG_VERSION").to_owned(), private }.into();
        let created = offer(&created, self.inner.salt(), None, None, None)?;
        append::append_own(&self.inner, &[created])?;
        lock(&self.inner.report).created = true;
        Ok(())
    }

    /// Stops the follower once it has taken in and flushed everything.
    fn close(&self) {
        self.inner.index.close();
        if let Some(follower) = lock(&self.follower).take()
            && follower.join().is_err()
        {
            tracing::error!("the thread that keeps the index has panicked");
        }
    }
}

impl Drop for OwnedLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Log for OwnedLog {
    fn append(&self, batch: &Batch) -> Result<Appended, Error> {
        if let Some((store, why)) = &self.inner.read_only {
            return Err(Error::io(store)((*why).into()));
        }
        append::append(&self.inner, batch)
    }

    fn head(&self) -> Result<Head, Error> {
        Ok(self.inner.journal.head())
    }

    fn read(&self, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        let to = self.inner.journal.head().seq;
        self.inner.with_index(to, |index| rows::read(index, from, to, limit))
    }

    fn read_run(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        let to = self.inner.journal.head().seq;
        self.inner.with_index(to, |index| rows::read_run(index, run, from, to, limit))
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        Ok(self.inner.journal.wait(seen, patience))
    }

    fn view(&self, view: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, Error> {
        let inner = &self.inner;
        let head = inner.journal.head();
        // Views that break while they are read are empty afterwards, and are made again once.
        for _ in 0..2 {
            let reached = inner.projector.checkpoint(view)?;
            if reached.is_none_or(|reached| (reached.seq, reached.hash) != (head.seq, head.hash)) {
                // Where all is made in memory, whoever reads several views is spared a pass over the log for each.
                let is_again = inner.read_only.is_some() && inner.has_projected.swap(true, Ordering::Relaxed);
                inner.project(Some(view).filter(|_| !is_again), head)?;
            }
            let rows = inner.projector.rows(view, from, to, reverse, limit)?;
            if rows.seen >= head.seq {
                return Ok(rows);
            }
        }
        if inner.read_only.is_some() {
            // Damage at the very end of a log that is only read is put right nowhere: its views end where the index does.
            let last = inner.with_index(0, rows::reached)?.map_or(0, |(seq, _)| seq);
            let rows = inner.projector.rows(view, from, to, reverse, limit)?;
            if rows.seen >= last {
                return Ok(rows);
            }
        }
        Err(Error::Views(format!("`{view}` broke again and again")))
    }
}

impl Inner {
    fn now(&self) -> TimeNs {
        (self.clock)()
    }

    fn salt(&self) -> [u8; SALT_BYTES] {
        let mut salt = [0; SALT_BYTES];
        (self.random)(&mut salt);
        salt
    }

    fn batch_id(&self, now: TimeNs) -> BatchId {
        BatchId(ulid(now, &*self.random))
    }

    /// Makes durable what was placed, and hands what this call wrote to the follower.
    fn commit(&self, ticket: Ticket) -> Result<(), Error> {
        self.journal.commit(ticket, &|group| self.index.push(group, &self.journal))
    }

    /// Returns the index, filled up to what the journal had when it was opened.
    fn index(&self) -> Result<Arc<EventIndex>, Error> {
        self.index.ensure(&self.journal, &|frames| {
            let mut state = lock(&self.state);
            for frame in frames {
                let head = frame.head;
                let ticket = self.journal.push(frame)?;
                self.journal.commit(ticket, &|_| {})?;
                state.head = head;
            }
            Ok(())
        })
    }

    /// Calls `run` with the index once it has reached position `to`; one that breaks is made again, and `run` is called once more.
    fn with_index<T>(&self, to: u64, run: impl Fn(&EventIndex) -> Result<T, Error>) -> Result<T, Error> {
        let mut broken = false;
        loop {
            let index = self.index()?;
            if !self.index.wait(to, &self.journal) {
                if broken {
                    return Err(Error::Index("it cannot be made again".to_owned()));
                }
                broken = true;
                continue;
            }
            if self.index.current().is_some_and(|now| !Arc::ptr_eq(&now, &index)) {
                // It was replaced while it was waited for.
                continue;
            }
            match run(&index) {
                Err(why) if !broken && append::breaks(&why) => {
                    broken = true;
                    self.index.rebuild(&index, why, &self.journal)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Brings the projection `view`, or every one, up to `head`.
    fn project(&self, view: Option<&str>, head: Head) -> Result<(), Error> {
        // The index is waited for here and not while folding: the thread that fills it may be waiting to fold.
        self.with_index(head.seq, |_| Ok(()))?;
        // Opening the index may have put back what the journal had lost; then the log is longer than it was.
        let reached = self.index.reached();
        let head = if reached.seq > head.seq { reached } else { head };
        self.projector
            .reach(view, head, &|from, limit| self.with_index(head.seq, |index| rows::read(index, from, head.seq, limit)))
    }

    /// Keeps index and projections up to the journal until the log is closed.
    fn follow(&self) {
        let mut unflushed = 0;
        while let Some(bytes) = self.index.wait_until_due() {
            self.index.take(&self.journal);
            unflushed += bytes;
            if unflushed >= FLUSH_BYTES {
                unflushed = 0;
                self.flush();
            }
            self.keep_projections();
        }
        self.index.take(&self.journal);
        self.keep_projections();
        self.flush();
    }

    fn keep_projections(&self) {
        if self.projector.is_empty() || self.index.current().is_none() {
            return;
        }
        if let Err(why) = self.project(None, self.index.reached()) {
            tracing::error!("the views cannot be kept up: {why}");
        }
    }

    fn flush(&self) {
        let index = self.index.current().map_or(Ok(()), |index| index.trees.flush());
        if let Err(why) = index.and_then(|()| self.projector.flush()) {
            tracing::warn!("{why}");
        }
    }
}

fn ulid(now: TimeNs, random: &(dyn Fn(&mut [u8]) + Send + Sync)) -> Ulid {
    let mut bytes = [0; 16];
    random(&mut bytes);
    let millis = u64::try_from(now / 1_000_000).unwrap_or(0);
    Ulid::from_parts(millis, u128::from_be_bytes(bytes) >> 48)
}
