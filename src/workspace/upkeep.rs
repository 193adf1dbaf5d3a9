//! Looking after a store: is everything as it was written, and making anew what can be made anew.
//!
//! Looking changes nothing and works beside an owner; what only the owner knows is then left open. Mending is the owner's work, so this
//! process asks for the store first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::Workspace;
use super::keeping::figures::size;
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::store::check::{self, Digest, Scan};
use crate::store::files::{OsFiles, remove_all};
use crate::store::log::{Appended, Batch, Head, Log, Stored, ViewRows};
use crate::store::ordered::ASIDE;
use crate::store::owned::{OwnedLog, RecoveryReport};
use crate::store::session::{Notice, Probe, Role, RunLock, Status, StoreLock};
use crate::store::{self, Error, Unwritable, identity, lock};
use crate::tools::root::left_in;
use crate::views;
use crate::views::status::RunStatus;

/// The indexes in the folder `log`, and what ends the name of one that a rebuild replaces.
const INDEXES: [&str; 2] = ["events", "views"];
const BEFORE: &str = ".before";

/// What is to be done to the store's files when this process comes to own them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upkeep {
    /// What every opening does: the journal's end is looked at.
    #[default]
    Usual,
    /// Every file of the journal is read, and what is damaged is restored where the index still has it.
    Thorough,
    /// The indexes are set aside and made anew.
    Rebuild,
}

/// What the opening of the files leaves behind for whoever asks.
#[derive(Default)]
pub(super) struct OpenState {
    pub report: Mutex<Option<RecoveryReport>>,
    /// Weak, so that a session that ends really closes the files.
    pub log: Mutex<Weak<OwnedLog>>,
    /// Indexes that a rebuild set aside.
    pub aside: Mutex<Vec<PathBuf>>,
    /// Why what is forgotten could not be removed, when the files were opened last.
    pub unforgotten: Mutex<Option<String>>,
    /// What was heard of long work last.
    pub heard: Mutex<Option<Heard>>,
    /// What answers the questions of other processes, in a process that stays with the store.
    pub answerer: OnceLock<Answerer>,
}

/// What a question to the store waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    /// This process makes views from the log.
    Views {
        /// What the view has that is furthest behind.
        reached: u64,
        /// The end of the log.
        head: u64,
    },
    /// This process opens the files.
    Opening {
        /// What it does.
        words: String,
        /// How much of it is done.
        percent: u8,
    },
    /// Another process has the store.
    Elsewhere {
        /// Which.
        pid: u32,
        /// What it does, and how many per cent of that are done, where it says so.
        doing: Option<(String, u8)>,
    },
}

/// What a session said last about the store, when, and of which other process.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    at: Instant,
    pid: Option<u32>,
    words: String,
    percent: u8,
}

impl Heard {
    /// Returns what a notice says of long work, if it does.
    pub fn of(notice: &Notice) -> Option<Self> {
        let (pid, doing) = match notice {
            Notice::OwnerBusy { pid, doing } => (Some(*pid), doing),
            Notice::Opening(doing) => (None, doing),
            _ => return None,
        };
        Some(Self { at: Instant::now(), pid, words: doing.words.clone(), percent: doing.percent })
    }
}

impl Making {
    /// What is heard of long work is heard again while it goes on: what is older than this is over.
    const FRESH: Duration = Duration::from_secs(10);

    fn of(views: Option<(u64, u64)>, heard: Option<Heard>, holder: Option<u32>) -> Option<Self> {
        if let Some((reached, head)) = views {
            return Some(Self::Views { reached, head });
        }
        let heard = heard.filter(|heard| heard.percent < 100 && heard.at.elapsed() < Self::FRESH);
        match (holder, heard) {
            (None, Some(Heard { pid: None, words, percent, .. })) => Some(Self::Opening { words, percent }),
            (None, _) => None,
            (Some(pid), heard) => {
                let said = heard.filter(|heard| heard.pid == Some(pid));
                Some(Self::Elsewhere { pid, doing: said.map(|heard| (heard.words, heard.percent)) })
            }
        }
    }
}

/// Answers what another process asks; `None` when it does not understand.
pub(super) type Answerer = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// A log whose owner answers questions beside it.
pub(super) struct Attended {
    pub log: Arc<OwnedLog>,
    pub opened: Arc<OpenState>,
}

impl Log for Attended {
    fn append(&self, batch: &Batch) -> Result<Appended, Error> {
        self.log.append(batch)
    }

    fn head(&self) -> Result<Head, Error> {
        self.log.head()
    }

    fn read(&self, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        self.log.read(from, limit)
    }

    fn read_run(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        self.log.read_run(run, from, limit)
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        self.log.wait(seen, patience)
    }

    fn view(&self, view: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, Error> {
        self.log.view(view, from, to, reverse, limit)
    }

    fn ask(&self, question: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.opened.answerer.get().and_then(|answer| answer(question)))
    }
}

/// What `rebuild` made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Events in the index.
    pub events: u64,
    /// Runs in the list of runs.
    pub runs: u64,
}

/// What a look at the store found.
#[derive(Debug)]
pub struct Inspection {
    /// The owner.
    pub owner: Status,
    /// What opening the files found; `None` when another process did.
    pub report: Option<RecoveryReport>,
    /// What in the journal's folder disagrees with who the store is.
    pub identity: Vec<String>,
    /// The journal.
    pub journal: Scan,
    /// The logs of other stores that were taken in beside, by node; `None` for one that is not here.
    pub imported: Vec<(NodeId, Option<Scan>)>,
    /// Whether the index has the same events as the journal.
    pub index_agrees: bool,
    /// How far the view that is furthest behind the log is behind it, in events.
    pub views_behind: u64,
    /// Events that a view could not take, with its name and why; `None` when another process owns the store.
    pub refused: Option<Vec<(u64, String)>>,
    /// Payload files that are what their names say.
    pub payloads: u64,
    /// Payload files that are not.
    pub payloads_damaged: Vec<String>,
    /// Payload files that could not be looked into, because their key is not at hand.
    pub payloads_locked: u64,
    /// Why the key that the settings name cannot be had, when they name one that cannot.
    pub key_away: Option<String>,
    /// Payload files that are under another key than the settings name, or in clear though they name one; `None` when that cannot be had.
    pub payloads_to_rekey: Option<u64>,
    /// Payloads that events name and that are not there.
    pub payloads_missing: Vec<Hash>,
    /// Paid replies that wait for being taken in.
    pub spool_waiting: Vec<PathBuf>,
    /// Paid replies that could not be taken in and were kept.
    pub spool_kept: Vec<PathBuf>,
    /// Why index and views were made in memory, when nothing can be written.
    pub in_memory: Option<Unwritable>,
    /// Runs that processes execute at this moment.
    pub executed: Vec<RunId>,
    /// Runs that their processes left.
    pub interrupted: Vec<RunId>,
    /// Lock files of runs that have ended.
    pub locks_left: usize,
    /// What was set aside of index and views, or left by a rebuild that was killed, with its bytes.
    pub set_aside: Vec<(PathBuf, u64)>,
    /// Temporary files in the folders where agents of recorded runs wrote, left by processes that were killed meanwhile.
    pub left_writes: Vec<PathBuf>,
}

/// The folders in which agents wrote files.
#[derive(Default)]
struct WrittenFolders {
    workspaces: BTreeMap<RunId, PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl WrittenFolders {
    fn learn(&mut self, recorded: &Recorded) {
        let Some(run) = recorded.envelope.run else { return };
        match &recorded.event {
            Event::RunStarted(body) => {
                let folder = body.private.as_ref().map(|private| PathBuf::from(&private.workspace));
                self.workspaces.extend(folder.filter(|folder| folder.is_absolute()).map(|folder| (run, folder)));
            }
            Event::WritePrepared(body) => {
                let Some(workspace) = self.workspaces.get(&run) else { return };
                let files = body.private.iter().flat_map(|private| &private.files);
                self.folders.extend(files.filter_map(|file| workspace.join(&file.path).parent().map(Path::to_path_buf)));
            }
            _ => {}
        }
    }
}

impl Workspace {
    /// Makes this process the owner of the store, asking the present one to hand over.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with the owner's process id when it does not hand over, [`Error::NotFound`].
    pub(crate) fn own(&self) -> Result<(), Error> {
        self.session().ok_or_else(|| Error::NotFound(self.store.path.clone()))?.own()
    }

    /// Makes index and views anew; the workspace must have been opened with [`Upkeep::Rebuild`].
    ///
    /// # Errors
    /// [`Error::Damaged`] when the journal is not whole: then the indexes stay, as they may have what it lost.
    pub(crate) fn rebuild(&self) -> Result<Rebuilt, Error> {
        self.own()?;
        let head = self.log.head()?;
        let (events, _) = self.read_index(head.seq)?;
        self.bring_up_views()?;
        let runs = self.runs().run_ids()?.len() as u64;
        if events != head.seq {
            return Err(Error::Index(format!("it has {events} of {} events", head.seq)));
        }
        for folder in std::mem::take(&mut *lock(&self.opened.aside)) {
            remove_all(&folder).map_err(Error::io(&folder))?;
        }
        Ok(Rebuilt { events, runs })
    }

    /// Deletes the lock files of runs that have ended; returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or a file not deleted.
    pub(crate) fn sweep_locks(&self) -> Result<usize, Error> {
        let states = self.run_states()?;
        RunLock::sweep(self.place()?, &|run| states.get(&run).is_some_and(|status| status.ended()))
    }

    /// Removes what was set aside of index and views, unless the journal has lost something that it may still have; returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or something not removed.
    pub(crate) fn clear_set_aside(&self) -> Result<usize, Error> {
        // Whatever is broken now is set aside before.
        self.bring_up_views()?;
        let dir = self.place()?.dir();
        let found = set_aside(dir)?;
        if found.is_empty() || !check::scan(&OsFiles, dir, self.log.head()?, &mut |_| {})?.findings.is_empty() {
            return Ok(0);
        }
        found.iter().try_for_each(|path| remove_all(path).map_err(Error::io(path)))?;
        Ok(found.len())
    }

    /// Looks at everything; changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub(crate) fn inspect(&self) -> Result<Inspection, Error> {
        let session = self.session().ok_or_else(|| Error::NotFound(self.store.path.clone()))?;
        let dir = self.place()?.dir();
        let owner = session.status()?;
        let head = self.log.head()?;
        // Reading through the index first: whatever it puts back belongs to the log that is then looked at.
        let (_, digest) = self.read_index(head.seq)?;
        let (mut named, mut written) = (BTreeSet::new(), WrittenFolders::default());
        let journal = check::scan(&OsFiles, dir, head, &mut |mut recorded| {
            written.learn(&recorded);
            recorded.event.each_text_mut(&mut |text| named.extend(text.payload()));
        })?;
        let imported = self.keeping().imported_logs()?.into_iter();
        let imported = imported.map(|end| {
            let is_here = store::journal::folder(dir, end.node).exists();
            let scan = is_here.then(|| check::scan(&OsFiles, dir, end, &mut |_| {})).transpose()?;
            Ok((end.node, scan))
        });
        let imported = imported.collect::<Result<_, Error>>()?;
        let seen = self.bring_up_views()?;
        let log = lock(&self.opened.log).upgrade();
        let refused = log.as_ref().map(|log| refused_by_views(log)).transpose()?;
        let in_memory = log.as_ref().and_then(|log| log.in_memory());
        drop(log);
        let (payloads, payloads_locked, payloads_damaged) = self.read_payloads(&dir.join("payloads"))?;
        let (key, key_away) = match self.payloads.keyring().current() {
            Ok(key) => (Some(key.map(crate::store::cipher::Key::id)), None),
            Err(Error::Locked(why)) => (None, Some(why)),
            Err(why) => return Err(why),
        };
        let counts = self.payloads.by_key()?;
        let others = |key: &Option<_>| counts.iter().filter(|(of, _)| *of != key).map(|(_, count)| count).sum();
        let payloads_missing = self.payloads.missing(&named.into_iter().collect::<Vec<_>>());
        let (mut executed, mut interrupted, mut locks_left) = (Vec::new(), Vec::new(), 0);
        for row in self.runs().all_rows()? {
            let run = &row.run_id;
            let lock_file = dir.join("runs").join(format!("{run}.lock"));
            match row.status {
                RunStatus::Running if matches!(RunLock::probe(self.place()?, *run)?, Probe::Held { .. }) => executed.push(*run),
                // A session of another agent that stopped half-way is nothing that could go on here.
                RunStatus::Running if row.imported => {}
                RunStatus::Running => interrupted.push(*run),
                status if status.ended() && lock_file.exists() => locks_left += 1,
                _ => {}
            }
        }
        let mut spooled = Vec::new();
        for folder in entries(&dir.join("spool"))? {
            spooled.extend(if folder.is_dir() { entries(&folder)? } else { Vec::new() });
        }
        let (spool_waiting, spool_kept) =
            spooled.into_iter().partition(|path| path.extension().is_some_and(|extension| extension == "batch"));
        Ok(Inspection {
            owner,
            report: lock(&self.opened.report).clone(),
            index_agrees: digest == journal.digest || !journal.findings.is_empty(),
            journal,
            identity: identity::disagreements(&OsFiles, dir, head.node)?,
            imported,
            views_behind: head.seq.saturating_sub(seen),
            refused,
            payloads,
            payloads_damaged,
            payloads_locked,
            key_away,
            payloads_to_rekey: key.as_ref().map(others),
            payloads_missing,
            spool_waiting,
            spool_kept,
            in_memory,
            executed,
            interrupted,
            locks_left,
            set_aside: set_aside(dir)?.into_iter().map(|path| (path.clone(), size(&path, 0).1)).collect(),
            left_writes: written.folders.iter().flat_map(|folder| left_in(folder)).collect(),
        })
    }

    /// Returns what is being done that a question to the store waits for, as far as it is known; `None` when nothing is. Nothing is waited for.
    pub(crate) fn making(&self) -> Option<Making> {
        let views = lock(&self.opened.log).upgrade().and_then(|log| {
            let (head, reached) = (log.head().ok()?.seq, log.views_reached().ok()?);
            (reached < head).then_some((reached, head))
        });
        let is_client = self.session().is_some_and(|session| session.role() == Role::Client);
        let place = self.place().ok().filter(|place| is_client && StoreLock::is_held(place.dir()));
        let holder = place.and_then(StoreLock::holder);
        let heard = lock(&self.opened.heard).clone();
        Making::of(views, heard, holder.filter(|pid| *pid != std::process::id()))
    }

    /// Brings every view up to the log; returns how far the last of them has come.
    fn bring_up_views(&self) -> Result<u64, Error> {
        let mut seen = u64::MAX;
        for view in views::projections() {
            seen = seen.min(self.log.view(view.name(), &[], None, false, 1)?.seen);
        }
        Ok(seen)
    }

    fn run_states(&self) -> Result<BTreeMap<RunId, RunStatus>, Error> {
        Ok(self.runs().all_rows()?.into_iter().map(|row| (row.run_id, row.status)).collect())
    }

    /// Reads the whole log from the index up to position `to`: how many events there are, and their digest.
    fn read_index(&self, to: u64) -> Result<(u64, Hash), Error> {
        let (mut count, mut next, mut digest) = (0, 1, Digest::default());
        while next <= to {
            let page = self.runs().log_page(next)?;
            let Some(last) = page.last() else { break };
            next = last.envelope.seq.max(next).saturating_add(1);
            for stored in page.iter().filter(|stored| stored.envelope.seq <= to) {
                digest.add(&stored.hash);
                count += 1;
            }
        }
        Ok((count, digest.finish()))
    }

    /// Reads every payload: how many are sound, how many locked, and what is wrong with the others.
    fn read_payloads(&self, dir: &Path) -> Result<(u64, u64, Vec<String>), Error> {
        let (mut sound, mut locked, mut damaged) = (0, 0, Vec::new());
        for folder in entries(dir)? {
            for path in if folder.is_dir() { entries(&folder)? } else { Vec::new() } {
                // Whatever has no hash for a name is a write that was cut short, and named by nobody.
                let Some(name) = path.file_name().and_then(|name| name.to_str()?.parse::<Hash>().ok()) else { continue };
                match self.payloads.read(name) {
                    Ok(_) => sound += 1,
                    Err(Error::MissingPayloads(_)) => {}
                    Err(Error::Locked(_)) => locked += 1,
                    Err(why) => damaged.push(why.to_string()),
                }
            }
        }
        Ok((sound, locked, damaged))
    }
}

/// Returns the events that views could not take.
pub(super) fn refused_by_views(log: &OwnedLog) -> Result<Vec<(u64, String)>, Error> {
    let mut refused = Vec::new();
    for view in views::projections() {
        let name = view.name();
        refused.extend(log.refused(name)?.into_iter().map(|(seq, why)| (seq, format!("{name}: {why}"))));
    }
    refused.sort();
    Ok(refused)
}

/// Moves the indexes of the store in `dir` out of the way, once the journal is known to have everything; `open` opens the files.
///
/// # Errors
/// [`Error::Damaged`] when the journal is not whole.
pub(super) fn set_indexes_aside(
    dir: &Path,
    open: &dyn Fn() -> Result<(OwnedLog, RecoveryReport), Error>,
) -> Result<Vec<PathBuf>, Error> {
    let (log, _) = open()?;
    // What only the index has is put back into the journal before the index goes.
    log.read(1, 1)?;
    let head = log.head()?;
    drop(log);
    let scan = check::scan(&OsFiles, dir, head, &mut |_| {})?;
    if let Some(finding) = scan.findings.first() {
        return Err(Error::Damaged(finding.to_string()));
    }
    let mut aside = Vec::new();
    for name in INDEXES {
        let (from, to) = (dir.join("log").join(name), dir.join("log").join(format!("{name}{BEFORE}")));
        if to.exists() {
            remove_all(&to).map_err(Error::io(&to))?;
        }
        match fs::rename(&from, &to) {
            Ok(()) => aside.push(to),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(from)(error)),
        }
    }
    Ok(aside)
}

/// Tells others what was found when the files were opened.
pub(super) fn remember(opened: &OpenState, log: &Arc<OwnedLog>, report: RecoveryReport) {
    for notice in &report.notices {
        tracing::warn!("{notice}");
    }
    *lock(&opened.log) = Arc::downgrade(log);
    *lock(&opened.report) = Some(report);
}

/// Returns what was set aside of what can be made again, and what a rebuild moved away that was killed.
fn set_aside(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_aside = |path: &Path, of: &[&str]| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_left = |rest: &str| rest.starts_with(ASIDE) || rest == BEFORE;
        of.iter().any(|of| name.strip_prefix(of).is_some_and(is_left))
    };
    let log = dir.join("log");
    let mut found: Vec<PathBuf> = entries(dir)?.into_iter().filter(|path| is_aside(path, &["log", "index"])).collect();
    let inside = if log.is_dir() { entries(&log)? } else { Vec::new() };
    found.extend(inside.into_iter().filter(|path| is_aside(path, &INDEXES)));
    found.sort();
    Ok(found)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, store::Error> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(Error::io(dir)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(dir)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_who_works_and_how_far_it_is_as_long_as_that_is_heard() {
        let heard = |pid, percent| Some(Heard { at: Instant::now(), pid, words: "rebuilding".to_owned(), percent });
        let views = Some((3, 9));
        assert_eq!(Making::of(views, heard(Some(7), 40), Some(7)), Some(Making::Views { reached: 3, head: 9 }));
        let doing = Some(("rebuilding".to_owned(), 40));
        assert_eq!(Making::of(None, heard(Some(7), 40), Some(7)), Some(Making::Elsewhere { pid: 7, doing }));
        assert_eq!(Making::of(None, heard(Some(8), 40), Some(7)), Some(Making::Elsewhere { pid: 7, doing: None }), "of another");
        assert_eq!(Making::of(None, heard(Some(7), 100), Some(7)), Some(Making::Elsewhere { pid: 7, doing: None }), "over");
        let words = "rebuilding".to_owned();
        assert_eq!(Making::of(None, heard(None, 40), None), Some(Making::Opening { words, percent: 40 }));
        assert_eq!((Making::of(None, heard(Some(7), 40), None), Making::of(None, None, None)), (None, None));
    }
}
