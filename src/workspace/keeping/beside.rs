//! The store's own log with the logs that lie beside it: runs of imported logs are read like the store's own, and never changed.
//!
//! A run that the own log has is read there. Views of sums span all logs that count. All else is the own log alone: positions, appends.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Keeping;
use crate::domain::ids::{NodeId, RunId};
use crate::store::codec::{self, Decoded};
use crate::store::files::OsFiles;
use crate::store::imported::{self, Spans};
use crate::store::log::{Appended, Batch, Head, Log, Stored, ViewRows};
use crate::store::{Error, lock};
use crate::views::run_list::{LogFilter, RunRow};
use crate::workspace::memory::spanning::{Page, Spanning};

/// Why logs cannot be chosen.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// No log is of such a node.
    #[error("no log of a node `{part}` is here")]
    Unknown {
        /// As it was named.
        part: String,
        /// The nodes whose logs lie beside the own one.
        known: Vec<String>,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A log, and what lies beside it in the store's folder.
pub(in crate::workspace) struct Beside {
    log: Arc<dyn Log>,
    store: PathBuf,
    spans: Mutex<Option<Arc<Spans>>>,
    /// The imported run that was read last: it is read page by page.
    recent: Mutex<Option<(RunId, Arc<Vec<Stored>>)>>,
    spanning: Spanning,
}

impl Beside {
    /// Returns the log of the store in the folder `store`, with what lies beside it.
    pub fn new(log: Arc<dyn Log>, store: PathBuf) -> Self {
        Self { log, store, spans: Mutex::default(), recent: Mutex::default(), spanning: Spanning::default() }
    }

    /// Returns which runs the imported logs have; `None` when there are no such logs.
    pub fn imported(&self) -> Result<Option<Arc<Spans>>, Error> {
        let ends = imported::ends(&OsFiles, &self.store, self.log.head()?.node)?;
        if ends.is_empty() {
            return Ok(None);
        }
        let mut spans = lock(&self.spans);
        if let Some(known) = spans.as_ref().filter(|known| known.ends() == ends) {
            return Ok(Some(Arc::clone(known)));
        }
        let found = Arc::new(Spans::of(&OsFiles, &self.store, ends)?);
        *lock(&self.recent) = None;
        Ok(Some(Arc::clone(spans.insert(found))))
    }

    /// Returns all events of a run that an imported log has, unless the own log has it.
    fn run(&self, run: RunId) -> Result<Option<Arc<Vec<Stored>>>, Error> {
        if let Some((_, events)) = lock(&self.recent).as_ref().filter(|(recent, _)| *recent == run) {
            return Ok(Some(Arc::clone(events)));
        }
        let Some(spans) = self.imported()?.filter(|spans| spans.node_of(run).is_some()) else { return Ok(None) };
        if !self.log.read_run(run, 1, 1)?.is_empty() {
            return Ok(None);
        }
        let events = Arc::new(spans.events_of(&OsFiles, &self.store, run)?);
        *lock(&self.recent) = Some((run, Arc::clone(&events)));
        Ok(Some(events))
    }
}

impl Log for Beside {
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
        let own = self.log.read_run(run, from, limit)?;
        if !own.is_empty() || limit == 0 {
            return Ok(own);
        }
        let Some(events) = self.run(run)? else { return Ok(own) };
        let from = events.partition_point(|stored| stored.envelope.version < from);
        Ok(events[from..].iter().take(limit as usize).cloned().collect())
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        self.log.wait(seen, patience)
    }

    fn view(&self, view: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, Error> {
        let page = Page { view, from, to, reverse, limit };
        if !Spanning::knows(view) {
            return self.log.view(view, from, to, reverse, limit);
        }
        match self.spanning.rows(&*self.log, &self.store, self.imported()?.as_deref(), page)? {
            Some(rows) => Ok(rows),
            None => self.log.view(view, from, to, reverse, limit),
        }
    }

    fn ask(&self, question: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.log.ask(question)
    }
}

impl Keeping<'_> {
    /// Says which logs count in costs, statistics and advice from now on: all of them unless this is called.
    ///
    /// # Errors
    /// [`LogsError::Unknown`] when they name a node whose log is not here.
    pub(crate) fn count_logs(&self, logs: LogFilter) -> Result<(), LogsError> {
        let logs = self.known_logs(logs)?;
        if let Some(beside) = &self.0.beside {
            beside.spanning.choose(logs);
        }
        Ok(())
    }

    /// Returns which logs are meant: the own one too may be named by its node.
    ///
    /// # Errors
    /// [`LogsError::Unknown`] when a node is named whose log is not here.
    pub(crate) fn known_logs(&self, logs: LogFilter) -> Result<LogFilter, LogsError> {
        let LogFilter::Node(part) = &logs else { return Ok(logs) };
        let ends = self.imported_runs()?.map(|spans| spans.ends().to_vec()).unwrap_or_default();
        if ends.iter().any(|end| logs.takes(Some(end.node))) {
            return Ok(logs);
        }
        let own = self.0.log.head().map(|head| head.node).ok();
        if own.is_some_and(|own| logs.takes(Some(own))) {
            return Ok(LogFilter::Own);
        }
        let known = ends.iter().map(|end| end.node.to_string()).collect();
        Err(LogsError::Unknown { part: part.clone(), known })
    }

    /// Returns the node whose imported log has a run; `None` for a run of the store's own log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn node_of(&self, run: RunId) -> Result<Option<NodeId>, Error> {
        let Some(beside) = &self.0.beside else { return Ok(None) };
        let node = beside.imported()?.and_then(|spans| spans.node_of(run));
        Ok(if node.is_some() && beside.log.read_run(run, 1, 1)?.is_empty() { node } else { None })
    }

    /// Calls `run` while the own log alone counts in views.
    pub(in crate::workspace) fn over_own_log<T>(&self, run: impl FnOnce() -> T) -> T {
        let Some(beside) = &self.0.beside else { return run() };
        let counted = beside.spanning.chosen();
        beside.spanning.choose(LogFilter::Own);
        let outcome = run();
        beside.spanning.choose(counted);
        outcome
    }

    /// Asks the same of each log that counts, one after the other: with its node, `None` for the own one.
    pub(in crate::workspace) fn each_log<T>(
        &self,
        ask: &dyn Fn() -> Result<T, Error>,
    ) -> Result<Vec<(Option<NodeId>, T)>, Error> {
        let Some(beside) = &self.0.beside else { return Ok(vec![(None, ask()?)]) };
        let counted = beside.spanning.chosen();
        let ends = beside.imported()?.map(|spans| spans.ends().to_vec()).unwrap_or_default();
        let nodes = std::iter::once(None).chain(ends.into_iter().map(|end| Some(end.node)));
        let mut answers = Vec::new();
        for node in nodes.filter(|node| counted.takes(*node)) {
            beside.spanning.choose(node.map_or(LogFilter::Own, |node| LogFilter::Node(node.to_string())));
            answers.push(ask().map(|answer| (node, answer)));
        }
        beside.spanning.choose(counted);
        answers.into_iter().collect()
    }

    /// Returns which runs imported logs have; `None` when there are no such logs.
    pub(in crate::workspace) fn imported_runs(&self) -> Result<Option<Arc<Spans>>, Error> {
        self.0.beside.as_ref().map_or(Ok(None), |beside| beside.imported())
    }

    /// Returns what a list of runs has of the runs of imported logs, with their nodes.
    pub(in crate::workspace) fn imported_rows(&self) -> Result<Vec<(NodeId, RunRow)>, Error> {
        let Some(spans) = self.imported_runs()? else { return Ok(Vec::new()) };
        let mut rows = std::collections::BTreeMap::new();
        for end in spans.ends() {
            imported::read(&OsFiles, &self.0.store.path, *end, 1, &mut |stored| {
                let Some(run) = stored.envelope.run.filter(|run| spans.node_of(*run) == Some(end.node)) else { return Ok(()) };
                if let Ok(Decoded::Known(recorded)) = codec::decode(&stored) {
                    let (_, row): &mut (NodeId, RunRow) = rows.entry(run).or_insert_with(|| (end.node, RunRow::new(run)));
                    *row = std::mem::replace(row, RunRow::new(run)).apply(&recorded);
                }
                Ok(())
            })?;
        }
        Ok(rows.into_values().collect())
    }
}
