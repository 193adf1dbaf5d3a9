//! Stores to measure, on the disk that holds the build: never in memory, where a sync costs nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meno::internals::store::{Create, Log, Opener, Options, OwnedLog, Session, SessionOptions, StoreDir};
use meno::internals::views;

use super::Result;
use super::data::{EVENTS_PER_RUN, Events};
use super::numbers::timed;

/// Events of the large store, as the bars name it.
pub const MILLION: usize = 1_000_000;
/// Events per batch when a large store is made: as many as one group of the journal has.
pub const FILL_BATCH: usize = 512;

/// A folder that is removed in the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder; what an earlier bench that was interrupted left there goes.
    pub fn new(name: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}"));
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Returns the path of `name` inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(why) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {why}", self.0.display());
        }
    }
}

/// Opens a store as the program does, with its projections.
pub fn open(dir: &Path) -> Result<OwnedLog> {
    let (log, _) = OwnedLog::open(dir, Options { projections: views::projections(), ..Options::system() })?;
    Ok(log)
}

/// Waits until index and views have everything that was acknowledged.
pub fn drain(log: &dyn Log) -> Result<()> {
    log.read(log.head()?.seq, 1)?;
    views::projections().iter().try_for_each(|view| log.view(view.name(), &[], None, false, 1).map(drop))?;
    Ok(())
}

/// Adds `events` events to the store, in whole runs and at most `per_batch` at once, and makes it when it is not there; returns how many
/// it took per second, index and views included.
pub fn fill(dir: &Path, maker: u64, events: usize, per_batch: usize) -> Result<f64> {
    let mut source = Events::new(maker)?;
    let (seconds, outcome) = timed(|| -> Result<()> {
        let log = open(dir)?;
        let mut left = events - events % EVENTS_PER_RUN;
        while left > 0 {
            let batch = source.batch(left.min(per_batch));
            left -= batch.events.len();
            log.append(&batch)?;
        }
        drain(&log)
    });
    outcome?;
    Ok(events as f64 / seconds)
}

/// Opens a session on the store in `dir`, which is made when `owns`.
pub fn session(dir: &Path, owns: bool) -> Result<Session> {
    let opener: Opener = Arc::new(|dir, _| {
        let (log, _) = OwnedLog::open(dir, Options { projections: views::projections(), ..Options::system() })?;
        Ok(Arc::new(log) as Arc<dyn Log>)
    });
    let place = StoreDir::open(dir, if owns { Create::WithParents } else { Create::Never })?;
    let options = SessionOptions {
        wait: Duration::from_secs(60),
        stay: owns,
        may_own: owns,
        reader: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        on_notice: Arc::new(|_| {}),
    };
    Ok(Session::open(place, opener, options)?)
}

/// Returns the memory that a process has, in bytes; `None` where the system does not tell.
pub fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
