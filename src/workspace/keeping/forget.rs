//! Forgetting what was said in a run: from the journal, the indexes, the payloads and the search index, and for good.
//!
//! That it is forgotten is recorded first. The files are then changed by whoever opens them next, which is this process as soon as it
//! has given the store up once: so there is one way, whether the command lives to see it or not.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Keeping;
use crate::domain::event::{
    Event, ForgottenParts, ImportKeysRetained, ImportKeysRetainedPrivate, PrivatePartsForgotten, PrivatePartsForgottenPrivate,
};
use crate::domain::ids::{BatchId, RunId, TimeNs};
use crate::memory::index;
use crate::store::codec::Decoded;
use crate::store::files::{OsFiles, write_whole};
use crate::store::log::{Batch, Log, NewEvent};
use crate::store::owned::{OwnedLog, RecoveryReport};
use crate::store::payloads::Payloads;
use crate::store::session::{Create, Role, RunLock, StoreDir};
use crate::store::unretained::Withheld;
use crate::store::{Error, Unwritable, check, codec, forget, lock};
use crate::views;
use crate::views::imports::Origin;
use crate::views::run_list::RunRow;
use crate::views::transcripts::{self, Key};
use crate::workspace::keeping::import::IMPORT_LOCK;
use crate::workspace::keeping::transfer::STAGING_LOCK;
use crate::workspace::memory::recall_error::RecallError;
use crate::workspace::upkeep::OpenState;

/// Says on which UTC day old runs were looked for, in the journal's folder.
const RETENTION: &str = "retention";
/// Keys that one event retains: 24 KiB.
const KEYS_PER_EVENT: usize = 1000;
const DAY_NS: TimeNs = 86_400 * 1_000_000_000;
/// Between two looks whether something is free or done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why nothing was forgotten, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// The run can still go on, and would miss what it is to forget.
    #[error("run {0} has not ended")]
    Open(RunId),
    /// Another process changes the store's files.
    #[error("process {} is changing this store", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    Busy {
        /// Its id, when known.
        pid: Option<u32>,
    },
    /// It is recorded, and the files could not be changed yet.
    #[error("that it is forgotten is recorded, and not carried out yet: {0}")]
    NotYet(String),
    /// It is gone from the log, and the search index could not be cleared yet.
    #[error("the texts are gone from the log, and the search index could not be cleared yet: {0}")]
    Index(#[source] RecallError),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Events whose texts are gone now.
    pub events: u64,
    /// Runs that were forked from these and hold copies of what they took over.
    pub children: Vec<RunId>,
}

/// What a purge is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Purgeable {
    /// Runs that ended before the moment and have texts still, the oldest first.
    pub runs: Vec<RunRow>,
    /// How many began before and have not ended: they are left alone.
    pub open: u64,
}

impl Keeping<'_> {
    /// Forgets the private parts of ended runs that `which` says, with `why` in the log. When this returns well, no file of the store
    /// holds them any more; backups, exports and copies elsewhere are not known here. `patience` is for processes in the way.
    ///
    /// # Errors
    /// A [`ForgetError`]; what was recorded is carried out by the next opening of the store.
    pub(crate) fn forget(
        &self,
        runs: &[RunId],
        which: ForgottenParts,
        why: &str,
        patience: Duration,
    ) -> Result<Forgotten, ForgetError> {
        let place = self.0.place()?;
        let busy = |error| match error {
            Error::RunHeld { pid, .. } => ForgetError::Busy { pid },
            error => error.into(),
        };
        let held = RunLock::acquire(place, RunId::from_bytes(IMPORT_LOCK)).map_err(busy)?;
        let (wanted, rows) = (runs.iter().copied().collect::<BTreeSet<_>>(), self.0.runs().all_rows()?);
        if let Some(open) = rows.iter().find(|row| wanted.contains(&row.run_id) && !row.status.ended()) {
            return Err(ForgetError::Open(open.run_id));
        }
        let children = rows.iter().filter(|row| row.parent.is_some_and(|parent| wanted.contains(&parent)));
        let mut forgotten = Forgotten { events: 0, children: children.map(|row| row.run_id).collect() };
        for run in &wanted {
            Withheld::of(place, *run).end()?;
            self.0.take_in_spool(*run)?;
            forgotten.events += self.texts_of(*run, which)?;
        }
        if forgotten.events > 0 {
            let damage = check::scan(&OsFiles, place.dir(), self.0.log.head()?, &mut |_| {})?;
            if let Some(finding) = damage.findings.first() {
                return Err(Error::Damaged(finding.to_string()).into());
            }
            self.record_forgotten(&wanted, which, why)?;
            self.see_it_done(Instant::now() + patience)?;
            for run in &wanted {
                if self.texts_of(*run, which)? > 0 {
                    return Err(ForgetError::NotYet("texts are there still".to_owned()));
                }
            }
        }
        self.clear_index(Instant::now() + patience).map_err(ForgetError::Index)?;
        held.end()?;
        Ok(forgotten)
    }

    /// Returns the runs that ended before `moment` and whose texts are there still; one that came in without its end counts by its start,
    /// the last that is known of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn purgeable(&self, moment: TimeNs) -> Result<Purgeable, Error> {
        let mut found = Purgeable { runs: Vec::new(), open: 0 };
        for row in self.0.runs().all_rows()? {
            if !row.status.ended() {
                found.open += u64::from(row.started_at < moment);
            } else if row.ended_at.unwrap_or(row.started_at) < moment && self.texts_of(row.run_id, ForgottenParts::All)? > 0 {
                found.runs.push(row);
            }
        }
        found.runs.reverse();
        Ok(found)
    }

    /// Forgets runs that ended more than `retention.days` ago, when the settings say so: in the process that owns the store, at most once
    /// a UTC day. Returns how many runs these were.
    ///
    /// # Errors
    /// A [`ForgetError`]; the next opening tries again.
    pub(crate) fn enforce_retention(&self, patience: Duration) -> Result<u64, ForgetError> {
        let days = i64::from(self.0.resolved.settings.retention_days);
        if days == 0 || self.0.session().is_none_or(|session| session.role() != Role::Owner) {
            return Ok(0);
        }
        let (now, path) = (self.0.world.now(), self.0.place()?.dir().join("journal").join(RETENTION));
        let today = views::utc(now).chars().take(10).collect::<String>();
        if std::fs::read_to_string(&path).is_ok_and(|day| day.trim() == today) {
            return Ok(0);
        }
        let runs: Vec<RunId> =
            self.purgeable(now.saturating_sub(days.saturating_mul(DAY_NS)))?.runs.iter().map(|row| row.run_id).collect();
        if !runs.is_empty() {
            self.forget(&runs, ForgottenParts::All, &format!("retention.days = {days}"), patience)?;
        }
        // Only what is done is done for the day.
        write_whole(&OsFiles, &path, format!("{today}\n").as_bytes()).map_err(Error::io(&path))?;
        Ok(runs.len() as u64)
    }

    /// Deletes the texts that were only there for runs to go on, of runs that have ended: their process may have been killed before it
    /// could. Does nothing in a process that does not own the store.
    ///
    /// # Errors
    /// When the store cannot be read or a file not deleted.
    pub(crate) fn sweep_withheld(&self) -> Result<(), Error> {
        if self.0.session().is_none_or(|session| session.role() != Role::Owner) {
            return Ok(());
        }
        let runs = Withheld::runs(self.0.place()?)?;
        if runs.is_empty() {
            return Ok(());
        }
        let rows = self.0.runs().all_rows()?;
        for run in runs {
            let ended = rows.iter().any(|row| row.run_id == run && row.status.ended());
            if ended && !self.0.runs().probe(run) {
                Withheld::of(self.0.place()?, run).end()?;
            }
        }
        Ok(())
    }

    /// Returns how many events of a run have private parts that forgetting `which` removes.
    fn texts_of(&self, run: RunId, which: ForgottenParts) -> Result<u64, Error> {
        let (mut count, mut next) = (0, 1);
        loop {
            let page = self.0.runs().run_page(run, next)?;
            let Some(last) = page.last() else { return Ok(count) };
            next = last.envelope.version + 1;
            count += page.iter().filter(|event| event.private.is_some() && forget::concerns(which, event.kind)).count() as u64;
        }
    }

    fn record_forgotten(&self, runs: &BTreeSet<RunId>, which: ForgottenParts, why: &str) -> Result<(), Error> {
        let (dir, why) = (self.0.place()?.dir(), self.0.redactor.redact(why).into_owned());
        let event = |run: &RunId| {
            let private = Some(PrivatePartsForgottenPrivate { why: why.clone() });
            let body = Event::from(PrivatePartsForgotten { run: *run, which, private });
            codec::offer(&body, self.0.world.random(), Some(*run), None, None)
        };
        let mut events = self.retained_keys(runs)?;
        events.extend(runs.iter().map(event).collect::<Result<Vec<_>, _>>()?);
        forget::mark(&OsFiles, dir)?;
        let id = BatchId(self.0.world.ulid(None));
        self.0.log.append(&Batch { id, expected_version: None, events, payloads: Vec::new(), day_limit: None })?;
        // Somebody may have opened the store in between, found nothing to do, and taken the mark away.
        forget::mark(&OsFiles, dir)
    }

    /// Returns the events that retain, of each run that was imported from transcripts, by what its parts are known again.
    fn retained_keys(&self, runs: &BTreeSet<RunId>) -> Result<Vec<NewEvent>, Error> {
        let salt = self.0.salt()?;
        let mut events = Vec::new();
        for run in runs {
            let (mut keys, mut next, mut are_retained) = (Vec::new(), 1, false);
            loop {
                let page = self.0.runs().run_page(*run, next)?;
                let Some(last) = page.last() else { break };
                next = last.envelope.version + 1;
                for stored in &page {
                    let Decoded::Known(recorded) = codec::decode(stored)? else { continue };
                    match &recorded.event {
                        Event::RunStarted(body) => keys.extend(Origin::of(body).map(|origin| Key::of_origin(&origin))),
                        Event::ImportKeysRetained(_) => are_retained = true,
                        event => keys.extend(transcripts::key_of(event)),
                    }
                }
            }
            if are_retained || keys.len() < 2 {
                // A run of lines has its origin alone, and its id follows from that.
                continue;
            }
            for keys in keys.chunks(KEYS_PER_EVENT) {
                let keys = keys.iter().map(|key| key.retained(&salt).0).collect();
                let body = Event::from(ImportKeysRetained { run: *run, keys, private: Some(ImportKeysRetainedPrivate {}) });
                events.push(codec::offer(&body, self.0.world.random(), Some(*run), None, None)?);
            }
        }
        Ok(events)
    }

    /// Removes what logs that came in say is forgotten. What cannot be removed now goes when the store is opened next, which says why.
    pub(in crate::workspace) fn forget_what_came(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let _ = self.see_it_done(Instant::now() + PATIENCE);
    }

    /// Has the store opened anew, which carries out what is recorded.
    fn see_it_done(&self, deadline: Instant) -> Result<(), ForgetError> {
        let session = self.0.session().ok_or_else(|| Error::NotFound(self.0.store.path.clone()))?;
        let dir = self.0.place()?.dir();
        while forget::is_marked(&OsFiles, dir) {
            let given = match session.role() {
                Role::Owner => session.release(),
                Role::Client | Role::Reader(_) => session.own(),
            };
            // Whoever comes first opens the files.
            given.and_then(|()| self.0.log.head()).map_err(|why| ForgetError::NotYet(why.to_string()))?;
            if let Some(why) = lock(&self.0.opened.unforgotten).take() {
                return Err(ForgetError::NotYet(why));
            }
            if forget::is_marked(&OsFiles, dir) && Instant::now() >= deadline {
                return Err(ForgetError::NotYet("other processes kept the store".to_owned()));
            }
        }
        Ok(())
    }

    /// Makes the search index anew without what is forgotten.
    fn clear_index(&self, deadline: Instant) -> Result<(), RecallError> {
        let place = self.0.memory().index_place();
        loop {
            // Holding it clears what is stale.
            match place.hold()? {
                Some(hold) => drop(hold),
                None if Instant::now() >= deadline => return Err(RecallError::Busy),
                None => {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
            }
            if let Some(done) = self.0.memory().catch_up(&|_, _| true)?
                && done.whole
            {
                return Ok(());
            }
        }
    }
}

/// Carries out what the log of the store in `dir` says is forgotten, if that may not be done yet; `open` opens the files thoroughly. What
/// cannot be done is said in words: the store can be used all the same.
pub(in crate::workspace) fn carry_out(
    dir: &Path,
    opened: &OpenState,
    tell: &dyn Fn(),
    open: &dyn Fn() -> Result<(OwnedLog, RecoveryReport), Error>,
) -> Result<Option<String>, Error> {
    let place = index::IndexDir::new(dir.join("index"));
    if !forget::is_marked(&OsFiles, dir) {
        if place.is_stale() {
            clear(&place);
        }
        return Ok(None);
    }
    tell();
    let store = StoreDir::open(dir, Create::Never)?;
    let staging = match RunLock::acquire(&store, RunId::from_bytes(STAGING_LOCK)) {
        Ok(staging) => staging,
        // What comes in is not sorted out yet, and its texts would be taken for nobody's.
        Err(Error::RunHeld { .. }) => return Ok(Some(postponed(opened, "another process takes a log in".to_owned()))),
        Err(why) => return Err(why),
    };
    let (log, _) = open()?;
    // What only the index has is put back into the journal before the index goes.
    log.read(1, 1)?;
    let node = log.node();
    drop(log);
    let index = |source| Error::Io { path: dir.join("index"), source };
    place.mark_stale().map_err(index)?;
    let payloads = Payloads::new(Arc::new(OsFiles), dir);
    match forget::carry_out(&OsFiles, dir, node, &payloads) {
        Ok(removed) => tracing::info!("{} private parts and {} payloads were removed", removed.events, removed.payloads),
        Err(Error::Damaged(why)) => return Ok(Some(postponed(opened, format!("the journal is damaged: {why}")))),
        Err(why) => return Err(why),
    }
    staging.end()?;
    clear(&place);
    Ok(None)
}

/// Clears a search index with forgotten texts. While another process is changing it, it is left to the next one that does or that opens
/// the store.
fn clear(place: &index::IndexDir) {
    match place.hold() {
        Ok(hold) => drop(hold),
        Err(why) => tracing::warn!("the search index cannot be cleared yet: {why}"),
    }
}

/// Says that what is forgotten stays in a store that cannot be written to, when anything is.
pub(in crate::workspace) fn is_postponed(dir: &Path, opened: &OpenState, why: Unwritable) -> Option<String> {
    forget::is_marked(&OsFiles, dir).then(|| postponed(opened, why.to_string()))
}

/// Says why what is forgotten is there still; the store can be used all the same.
fn postponed(opened: &OpenState, why: String) -> String {
    let words = format!("what was forgotten cannot be removed yet: {why}");
    tracing::warn!("{words}");
    *lock(&opened.unforgotten) = Some(why);
    words
}
