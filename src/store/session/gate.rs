//! The owner's log between opening and closing: who may use it now, and when is the last one done.
//!
//! Closing must be certain: nobody may touch the files once the lock is free. So every use holds a [`GatePass`], and closing waits
//! until the last pass is back and the log itself is gone. The gate knows neither sockets nor locks.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::protocol::Activity;
use crate::store::Error;
use crate::store::log::Log;

/// How long a wait for new events may last before it looks whether the gate is closing.
const WAIT_SLICE: Duration = Duration::from_millis(100);
/// How long closing waits for somebody who kept the log itself, beyond its passes.
const KEPT_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
}

struct Inside {
    phase: Phase,
    passes: usize,
    /// What the open log is at, when that takes long: whoever comes now would wait for it.
    doing: Option<Activity>,
}

enum Phase {
    Opening(Activity),
    Open(Arc<dyn Log>),
    /// Waits are to end early; everything else is still answered.
    Ending(Arc<dyn Log>),
    Closed,
}

/// What the gate says to somebody who wants in.
pub(super) enum Entry<'a> {
    Open(GatePass<'a>),
    Busy(Activity),
    Closed,
}

impl Gate {
    /// A gate before a log that is being opened.
    pub(super) fn opening() -> Self {
        let doing = Activity { words: "opening the store".to_owned(), percent: 0 };
        Self { inside: Mutex::new(Inside { phase: Phase::Opening(doing), passes: 0, doing: None }), changed: Condvar::new() }
    }

    /// Says how far the opening is, or long work of the log once it is open.
    pub(super) fn report(&self, doing: Activity) {
        let mut inside = self.lock();
        if matches!(inside.phase, Phase::Opening(_)) {
            inside.phase = Phase::Opening(doing);
        } else {
            inside.doing = Some(doing).filter(|doing| doing.percent < 100);
        }
    }

    /// Opens the gate, unless it was closed meanwhile.
    pub(super) fn open(&self, log: Arc<dyn Log>) {
        let mut inside = self.lock();
        if matches!(inside.phase, Phase::Opening(_)) {
            inside.phase = Phase::Open(log);
        }
    }

    pub(super) fn enter(&self) -> Entry<'_> {
        let mut inside = self.lock();
        let log = match &inside.phase {
            Phase::Opening(doing) => return Entry::Busy(doing.clone()),
            Phase::Open(log) | Phase::Ending(log) => Arc::clone(log),
            Phase::Closed => return Entry::Closed,
        };
        inside.passes += 1;
        Entry::Open(GatePass { log, counted: Counted(self) })
    }

    /// What keeps the gate shut, if it will open, or makes everybody inside wait.
    pub(super) fn doing(&self) -> Option<Activity> {
        let inside = self.lock();
        match &inside.phase {
            Phase::Opening(doing) => Some(doing.clone()),
            _ => inside.doing.clone(),
        }
    }

    /// Makes waits end early.
    pub(super) fn end(&self) {
        let mut inside = self.lock();
        inside.phase = match std::mem::replace(&mut inside.phase, Phase::Closed) {
            Phase::Open(log) => Phase::Ending(log),
            other => other,
        };
    }

    /// Lets nobody in any more, waits for everybody to come out, and closes the log.
    ///
    /// # Errors
    /// [`Error::Closed`] when somebody in this process kept the log: then it cannot be known when its files are left alone.
    pub(super) fn close(&self) -> Result<(), Error> {
        let mut inside = self.lock();
        let log = match std::mem::replace(&mut inside.phase, Phase::Closed) {
            Phase::Open(log) | Phase::Ending(log) => log,
            Phase::Opening(_) | Phase::Closed => return Ok(()),
        };
        while inside.passes > 0 {
            inside = self.changed.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        drop(inside);
        let deadline = Instant::now() + KEPT_PATIENCE;
        while Arc::strong_count(&log) > 1 {
            if Instant::now() >= deadline {
                return Err(Error::Closed("the log is still in use by this process".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(log);
        Ok(())
    }

    fn is_ending(&self) -> bool {
        !matches!(self.lock().phase, Phase::Open(_))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Every change under this lock is one assignment, so a panic elsewhere leaves nothing half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use the log until dropped.
pub(super) struct GatePass<'a> {
    // Dropped in this order: when the count is back to zero, the gate's own reference to the log must be the last.
    log: Arc<dyn Log>,
    counted: Counted<'a>,
}

struct Counted<'a>(&'a Gate);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        inside.passes -= 1;
        if inside.passes == 0 {
            self.0.changed.notify_all();
        }
    }
}

impl GatePass<'_> {
    /// [`Log::wait`], but ends early, with the position then, when the owner is ending.
    pub(super) fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        let started = Instant::now();
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let at = self.log.wait(seen, left.min(WAIT_SLICE))?;
            if at > seen || left <= WAIT_SLICE || self.counted.0.is_ending() {
                return Ok(at);
            }
        }
    }
}

impl Deref for GatePass<'_> {
    type Target = dyn Log;

    fn deref(&self) -> &Self::Target {
        &*self.log
    }
}
