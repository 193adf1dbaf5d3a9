//! Runs of other systems on their way into the log: each once, many in one append.

use std::collections::HashMap;

use super::Keeping;
use crate::domain::ids::{BatchId, RunId};
use crate::domain::money::NanoUsd;
use crate::lake::batch::{EventBatch, Refused};
use crate::lake::calls::Sums;
use crate::lake::convert::Converted;
use crate::lake::skipped::Skipped;
use crate::store;
use crate::store::session::RunLock;
use crate::views::imports::{self, KnownRun};
use crate::workspace::Workspace;
use crate::workspace::keeping::import::{IMPORT_LOCK, ImportError};

/// What became of a run that was offered.
#[derive(Debug)]
pub(in crate::workspace) enum Offered {
    /// It is new here.
    New,
    /// It is here, with the same words.
    AlreadyThere,
    /// It is here, with other words: nothing was taken.
    Changed(RunId),
    /// It cannot be kept.
    Refused(Refused),
}

/// What came of an import of files of another system.
#[derive(Clone, Debug, Default)]
pub struct HistoryImported {
    /// Runs that are new here.
    pub runs: u64,
    /// Of them, runs whose results were made up.
    pub simulated: u64,
    /// Runs that were here already.
    pub already_there: u64,
    /// Runs that were here already and say something else now: nothing was taken of them.
    pub changed: u64,
    /// Agents of the new runs.
    pub agents: u64,
    /// What is known of the new runs' calls and their cost; the cost of those that were made up is not in it.
    pub sums: Sums,
    /// What the runs whose results were made up would have cost.
    pub simulated_cost: NanoUsd,
    /// Attempts of the new runs whose cost is not known.
    pub costless: u64,
    /// What was taken but not as it stands, and how often.
    pub notices: std::collections::BTreeMap<String, u64>,
    /// What was not taken.
    pub skipped: Skipped,
    /// Templates that lie there: they are not taken in.
    pub templates: Vec<std::path::PathBuf>,
}

impl HistoryImported {
    /// Counts what became of a run that was offered; returns whether it is new.
    pub(in crate::workspace) fn count(&mut self, offered: Offered, file: &std::path::Path, line: u64) -> bool {
        match offered {
            Offered::New => {
                self.runs += 1;
                return true;
            }
            Offered::AlreadyThere => self.already_there += 1,
            Offered::Changed(run) => {
                self.changed += 1;
                self.notices
                    .entry(format!("run {run} is here already and says something else now; nothing was taken"))
                    .or_insert(1);
            }
            Offered::Refused(refused) => self.skipped.skip(refused.to_string(), file, line),
        }
        false
    }
}

/// Takes runs in.
pub(in crate::workspace) struct Intake<'a> {
    workspace: &'a Workspace,
    /// Nothing is appended: only what would come of it is found out.
    trial: bool,
    gathered: EventBatch,
    /// The runs of the batch that is being gathered, which the store does not know yet.
    waiting: HashMap<[u8; 16], KnownRun>,
    appended: u64,
}

impl<'a> Intake<'a> {
    pub(in crate::workspace) fn new(workspace: &'a Workspace, trial: bool) -> Self {
        Self { workspace, trial, gathered: EventBatch::default(), waiting: HashMap::new(), appended: 0 }
    }

    /// Returns how many runs are durable in the store.
    pub(in crate::workspace) fn appended(&self) -> u64 {
        self.appended
    }

    /// Takes a run in, unless it is here already.
    pub(in crate::workspace) fn offer(&mut self, converted: Converted) -> Result<Offered, ImportError> {
        if let Some(known) = self.known(&converted)? {
            let same = known.line == converted.origin.line;
            return Ok(if same { Offered::AlreadyThere } else { Offered::Changed(known.run) });
        }
        let (origin, known) = (converted.origin, KnownRun { run: converted.id, line: converted.origin.line });
        let world = &self.workspace.world;
        if let Err(refused) = self.gathered.add(converted, &|| world.random()) {
            return Ok(Offered::Refused(refused));
        }
        self.waiting.insert(origin.key, known);
        Ok(Offered::New)
    }

    /// Returns the run that this one is here already, in the store or in what waits for it.
    fn known(&self, run: &Converted) -> Result<Option<KnownRun>, ImportError> {
        let key = run.origin.key;
        if let Some(known) = self.waiting.get(&key) {
            return Ok(Some(*known));
        }
        let after = [&key[..], &[0]].concat();
        let rows = self.workspace.log.view(imports::NAME, &key, Some(&after), false, 1)?;
        let row = rows.rows.first().map(|(_, row)| imports::read_row(row).map_err(store::Error::Views));
        if let Some(row) = row.transpose()? {
            return Ok(Some(row));
        }
        // What it said may have been forgotten since; its id follows from where it comes from, and it must not come back.
        let is_here = !self.workspace.log.read_run(run.id, 1, 1)?.is_empty();
        Ok(is_here.then_some(KnownRun { run: run.id, line: run.origin.line }))
    }

    pub(in crate::workspace) fn append_when_full(&mut self) -> Result<(), ImportError> {
        if self.gathered.is_full() { self.append() } else { Ok(()) }
    }

    pub(in crate::workspace) fn append(&mut self) -> Result<(), ImportError> {
        let runs = self.gathered.runs();
        let Workspace { payloads, world, .. } = self.workspace;
        let Some((batch, texts)) = self.gathered.take(BatchId(world.ulid(None))) else { return Ok(()) };
        if self.trial {
            // What is checked is not kept, but for which runs there are: a file may name one twice.
            return Ok(());
        }
        let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        payloads.write(&texts)?;
        self.workspace.runs().append_with(&batch, &texts)?;
        self.waiting.clear();
        self.appended += runs;
        Ok(())
    }
}

impl Keeping<'_> {
    /// Holds off other imports. One that is at work is waited for, as long as whoever opened the store said.
    ///
    /// # Errors
    /// [`store::Error::RunHeld`] when it is at work still.
    pub(in crate::workspace) fn import_lock(&self) -> Result<RunLock, store::Error> {
        RunLock::acquire_within(self.0.place()?, RunId::from_bytes(IMPORT_LOCK), self.0.patience)
    }

    /// Does `work` while no other import looks for what is here.
    pub(in crate::workspace) fn importing<T>(&self, work: impl FnOnce() -> Result<T, ImportError>) -> Result<T, ImportError> {
        // Two imports at once would both find that a run is not here.
        let lock = self.import_lock().map_err(|error| match error {
            store::Error::RunHeld { pid, .. } => ImportError::Busy { pid },
            error => error.into(),
        })?;
        let done = work();
        lock.end()?;
        done
    }
}
