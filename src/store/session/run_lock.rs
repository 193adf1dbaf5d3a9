//! Is a run being executed by a living process? The executor holds `runs/<run>.lock` for life; whoever lets go of it removes the file, so
//! that only a process that was killed leaves one.
//!
//! Whether a run is interrupted is the one part of its status that is not in the log: the fold says running, and nobody holds the
//! lock. This file does not know the fold.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::super::Error;
use super::lock::{Flock, holder};
use super::store_dir::StoreDir;
use crate::domain::ids::RunId;

/// Somebody who looks holds the lock shared for an instant, and a killed executor may take a moment to vanish.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(1);
const ACQUIRE_PAUSE: Duration = Duration::from_millis(20);

/// What a look at a run's lock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Nobody executes the run.
    Free,
    /// A living process does.
    Held {
        /// Its process id, when the lock's text says it.
        pid: Option<u32>,
    },
}

/// The right to execute one run, held by this process until dropped. Its file goes with it, however the use of it came out.
#[derive(Debug)]
pub struct RunLock {
    /// `None` only while dropping.
    lock: Option<Flock>,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take()
            && let Err(why) = lock.delete()
        {
            // The lock is free all the same, and `meno doctor` names the file.
            tracing::debug!("a lock file stays: {why}");
        }
    }
}

impl RunLock {
    /// Takes the run's lock, trying for a second.
    ///
    /// # Errors
    /// [`Error::RunHeld`] with the holder's process id, [`Error::Io`], [`Error::Unsuited`].
    pub fn acquire(place: &StoreDir, run: RunId) -> Result<Self, Error> {
        Self::acquire_within(place, run, ACQUIRE_PATIENCE)
    }

    /// Takes the run's lock, trying as long as `patience` says, and a second at least.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub fn acquire_within(place: &StoreDir, run: RunId, patience: Duration) -> Result<Self, Error> {
        let folder = place.folder("runs")?;
        let path = file(&folder, run);
        // A patience beyond all clocks is one without an end.
        let deadline = Instant::now().checked_add(patience.max(ACQUIRE_PATIENCE));
        loop {
            if let Some(lock) = Flock::exclusive(&path)? {
                // The text only helps messages.
                let _ = lock.say("");
                return Ok(Self { lock: Some(lock) });
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::RunHeld { run, pid: holder(&path) });
            }
            thread::sleep(ACQUIRE_PAUSE);
        }
    }

    /// Looks whether a living process executes the run; creates nothing.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Unsuited`], [`Error::Refused`].
    pub fn probe(place: &StoreDir, run: RunId) -> Result<Probe, Error> {
        let path = file(&place.dir().join("runs"), run);
        Ok(if Flock::is_free(&path)? { Probe::Free } else { Probe::Held { pid: holder(&path) } })
    }

    /// Returns the runs that living processes execute, or are about to.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Unsuited`], [`Error::Refused`].
    pub fn held(place: &StoreDir) -> Result<Vec<RunId>, Error> {
        let mut held = Vec::new();
        for (path, run) in lock_files(place)? {
            if !Flock::is_free(&path)? {
                held.push(run);
            }
        }
        Ok(held)
    }

    /// Lets go of the run, and says when its lock file cannot be deleted.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be deleted; the lock is free all the same.
    pub fn end(mut self) -> Result<(), Error> {
        self.lock.take().map_or(Ok(()), Flock::delete)
    }

    /// Deletes lock files that killed executors left behind, of the runs that `ended` knows to be over; returns how many.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Unsuited`], [`Error::Refused`].
    pub fn sweep(place: &StoreDir, ended: &dyn Fn(RunId) -> bool) -> Result<usize, Error> {
        let mut swept = 0;
        for (path, run) in lock_files(place)? {
            if ended(run)
                && let Some(lock) = Flock::exclusive(&path)?
            {
                lock.delete()?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn lock_files(place: &StoreDir) -> Result<Vec<(PathBuf, RunId)>, Error> {
    let folder = place.dir().join("runs");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io(&folder))?.path();
        let run = path.extension().is_some_and(|e| e == "lock").then(|| path.file_stem()?.to_str()?.parse().ok()).flatten();
        files.extend(run.map(|run| (path, run)));
    }
    Ok(files)
}

fn file(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("{run}.lock"))
}

#[cfg(test)]
mod tests {
    use super::super::store_dir::Create;
    use super::*;

    fn place() -> (tempfile::TempDir, StoreDir) {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(&root.path().join("store"), Create::Folder).unwrap();
        (root, place)
    }

    fn run(number: u8) -> RunId {
        RunId::from_bytes([number; 16])
    }

    /// Leaves the lock file of an executor that was killed.
    fn left(place: &StoreDir, run: RunId) -> PathBuf {
        let path = file(&place.folder("runs").unwrap(), run);
        fs::write(&path, "1\n\n").unwrap();
        path
    }

    #[test]
    fn whoever_lets_go_of_a_run_leaves_no_file_however_it_came_out() {
        let (_root, place) = place();
        let path = file(&place.dir().join("runs"), run(1));
        for is_said in [true, false] {
            let lock = RunLock::acquire(&place, run(1)).unwrap();
            assert!(path.exists());
            if is_said {
                lock.end().unwrap()
            } else {
                drop(lock)
            }
            assert!(!path.exists());
        }
        // What a killed executor left goes with whoever takes the run over.
        left(&place, run(1));
        drop(RunLock::acquire(&place, run(1)).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_held_run_is_seen_as_held_and_a_second_executor_is_refused_with_the_process_id() {
        let (_root, place) = place();
        assert_eq!(RunLock::probe(&place, run(1)).unwrap(), Probe::Free);
        assert!(!place.dir().join("runs").exists(), "a look creates nothing");
        let lock = RunLock::acquire(&place, run(1)).unwrap();
        let own = Some(std::process::id());
        assert_eq!(RunLock::probe(&place, run(1)).unwrap(), Probe::Held { pid: own });
        assert_eq!(RunLock::probe(&place, run(2)).unwrap(), Probe::Free);
        assert!(matches!(RunLock::acquire(&place, run(1)), Err(Error::RunHeld { pid, .. }) if pid == own));
        drop(lock);
        assert_eq!(RunLock::probe(&place, run(1)).unwrap(), Probe::Free);
    }

    #[test]
    fn an_instant_of_probing_does_not_refuse_a_resume() {
        let (_root, place) = place();
        let path = left(&place, run(1));
        let looking = fs::File::open(&path).unwrap();
        looking.try_lock_shared().unwrap();
        assert!(Flock::exclusive(&path).unwrap().is_none(), "the look is in the way");
        let resume = thread::spawn({
            let place = place.clone();
            move || RunLock::acquire(&place, run(1))
        });
        thread::sleep(ACQUIRE_PAUSE * 2);
        drop(looking);
        resume.join().unwrap().unwrap();
    }

    #[test]
    fn whoever_has_the_patience_gets_what_is_held_for_long() {
        let (_root, place) = place();
        let held = RunLock::acquire(&place, run(1)).unwrap();
        let patient = thread::spawn({
            let place = place.clone();
            move || RunLock::acquire_within(&place, run(1), Duration::from_secs(600))
        });
        assert!(matches!(RunLock::acquire(&place, run(1)), Err(Error::RunHeld { .. })), "who does not say so waits a moment");
        held.end().unwrap();
        patient.join().unwrap().unwrap();
    }

    #[test]
    fn lock_files_of_ended_runs_go_and_those_of_living_or_unfinished_ones_stay() {
        let (_root, place) = place();
        RunLock::acquire(&place, run(1)).unwrap().end().unwrap();
        assert!(!file(&place.dir().join("runs"), run(1)).exists());
        let _living = RunLock::acquire(&place, run(2)).unwrap();
        left(&place, run(3));
        left(&place, run(4));
        assert_eq!(RunLock::sweep(&place, &|seen| seen != run(3)).unwrap(), 1);
        let left: Vec<bool> = (2..=4).map(|number| file(&place.dir().join("runs"), run(number)).exists()).collect();
        assert_eq!(left, [true, true, false]);
    }
}
