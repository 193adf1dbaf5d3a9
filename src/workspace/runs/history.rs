//! The past: which runs there are, and what happened in one.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Runs;
use crate::domain::event::{Envelope, Event, Recorded};
use crate::domain::ids::{BatchId, Hash, NodeId, RunId};
use crate::domain::text::Text;
use crate::executor::read_texts;
use crate::store::codec::{self, Decoded};
use crate::store::log::{Appended, Batch, Stored};
use crate::store::session::{Probe, RunLock};
use crate::store::{self};
use crate::views::run_detail::{Fold, RunDetail, WholeResult, whole_results};
use crate::views::run_list::{LogFilter, RunFilter, RunList, RunRow, SortBy};
use crate::views::runs;
use crate::views::status::RunStatus;

/// Rows or events read from the store at once.
const PAGE: u32 = 2000;

/// Letters of a run's id that are enough to name it, when they are unique.
pub const REFERENCE_CHARS_MIN: usize = 4;

/// Why a word names no run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is no such run.
    #[error("there is no run `{0}`")]
    NotFound(String),
    /// There are not so many runs.
    #[error("there is no run `{reference}`: {}", counted(*own, *others))]
    TooFew {
        /// The word.
        reference: String,
        /// How many runs of its own the store has.
        own: u64,
        /// How many there are of pulled and imported logs.
        others: u64,
    },
    /// There are several.
    #[error("`{reference}` names {} runs: {}", candidates.len(), candidates.join(", "))]
    Ambiguous {
        /// The word.
        reference: String,
        /// The runs, at most a handful.
        candidates: Vec<String>,
    },
    /// It is of an imported log, which is never changed.
    #[error("run {run} is of the imported log {node}, which can be read and not changed")]
    Imported {
        /// The run.
        run: RunId,
        /// The log's node.
        node: NodeId,
    },
    /// It is no name of a run.
    #[error("`{0}` names no run: use an id, at least {REFERENCE_CHARS_MIN} letters of its start or end, `last` or `last~N`")]
    Malformed(String),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Says how many runs there are among which `last` counts.
fn counted(own: u64, others: u64) -> String {
    match (own, others) {
        (0, 0) => "there is none yet".to_owned(),
        (0, others) => {
            format!("`last` counts the store's own runs, and all that there are ({others}) are of pulled or imported logs")
        }
        (1, _) => "the store has one run of its own".to_owned(),
        (own, _) => format!("the store has {own} runs of its own"),
    }
}

impl Runs<'_> {
    /// Returns the runs that `filter` lets through, sorted, at most `limit`, with their number before the limit.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, filter: &RunFilter, sort: SortBy, limit: Option<usize>) -> Result<RunList, store::Error> {
        let imported = match filter.log {
            LogFilter::Own => Vec::new(),
            LogFilter::All | LogFilter::Node(_) => self.0.keeping().imported_rows()?,
        };
        if !imported.is_empty() || !filter.log.takes(None) {
            return self.runs_of_all(imported, filter, sort, limit);
        }
        let limit_of_rows = limit.and_then(|limit| u32::try_from(limit).ok());
        if let Some(limit) = limit_of_rows
            && filter.is_empty()
            && sort == SortBy::Newest
        {
            // The usual question reads only the rows that it shows.
            let total = self.count_runs()?;
            let lines = self.rows(None, limit)?.into_iter().map(|row| row.line(self.is_executed(&row)));
            return Ok(RunList { runs: lines.collect(), total });
        }
        let rows = self.all_rows()?.into_iter().map(|row| {
            let executed = self.is_executed(&row);
            (row, executed)
        });
        Ok(filter.choose(rows, sort, limit))
    }

    /// Like [`Self::list`], with the rows of imported logs.
    fn runs_of_all(
        &self,
        imported: Vec<(NodeId, RunRow)>,
        filter: &RunFilter,
        sort: SortBy,
        limit: Option<usize>,
    ) -> Result<RunList, store::Error> {
        let own = self.all_rows()?;
        let known: HashSet<RunId> = own.iter().map(|row| row.run_id).collect();
        // What the own log has too is its own.
        let imported = imported.into_iter().filter(|(_, row)| !known.contains(&row.run_id));
        let (mut nodes, mut rows) = (HashMap::new(), Vec::new());
        for (node, row) in imported.filter(|(node, _)| filter.log.takes(Some(*node))) {
            nodes.insert(row.run_id.to_string(), node.to_string());
            rows.push((row, false));
        }
        if filter.log.takes(None) {
            rows.extend(own.into_iter().map(|row| {
                let executed = self.is_executed(&row);
                (row, executed)
            }));
        }
        let mut list = filter.choose(rows.into_iter(), sort, limit);
        for line in &mut list.runs {
            line.node = nodes.remove(&line.run_id);
        }
        Ok(list)
    }

    /// Returns the run that a person means, as [`Self::find_run`] does, if it is one of the store's own.
    ///
    /// # Errors
    /// A [`FindError`].
    pub(crate) fn find_own_run(&self, reference: &str) -> Result<RunId, FindError> {
        let run = self.find_run(reference)?;
        self.0.keeping().node_of(run)?.map_or(Ok(run), |node| Err(FindError::Imported { run, node }))
    }

    /// Returns the run that a person means: an id, a unique start or end of one, `last` or `last~N`. `last` is of the store's own runs.
    ///
    /// # Errors
    /// A [`FindError`] that names the candidates when there are several.
    pub fn find_run(&self, reference: &str) -> Result<RunId, FindError> {
        let not_found = || FindError::NotFound(reference.to_owned());
        if let Some(back) = reference.strip_prefix("last") {
            let back: u32 = match back.strip_prefix('~') {
                Some(number) => number.parse().map_err(|_| FindError::Malformed(reference.to_owned()))?,
                None if back.is_empty() => 0,
                None => return Err(FindError::Malformed(reference.to_owned())),
            };
            let rows = self.rows(None, back.saturating_add(1))?;
            if let Some(row) = rows.get(back as usize) {
                return Ok(row.run_id);
            }
            let others = self.0.keeping().imported_runs()?.iter().map(|spans| spans.runs().count() as u64).sum();
            return Err(FindError::TooFew { reference: reference.to_owned(), own: self.count_runs()?, others });
        }
        let wanted = reference.to_ascii_uppercase();
        if let Ok(id) = wanted.parse::<RunId>() {
            return if self.0.log.read_run(id, 1, 1)?.is_empty() { Err(not_found()) } else { Ok(id) };
        }
        let is_part = wanted.len() >= REFERENCE_CHARS_MIN && wanted.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_part {
            return Err(FindError::Malformed(reference.to_owned()));
        }
        let mut ids: BTreeSet<RunId> = self.all_rows()?.into_iter().map(|row| row.run_id).collect();
        ids.extend(self.0.keeping().imported_runs()?.iter().flat_map(|spans| spans.runs()));
        let found: Vec<RunId> = ids
            .into_iter()
            .filter(|id| {
                let id = id.to_string();
                id.starts_with(&wanted) || id.ends_with(&wanted)
            })
            .collect();
        match found.as_slice() {
            [] => Err(not_found()),
            [id] => Ok(*id),
            many => Err(FindError::Ambiguous {
                reference: reference.to_owned(),
                candidates: many.iter().take(5).map(ToString::to_string).collect(),
            }),
        }
    }

    /// Returns everything that is known of a run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn detail(&self, id: RunId) -> Result<RunDetail, store::Error> {
        self.detail_of(id, &self.events_of(id, 1, u32::MAX)?)
    }

    /// Returns everything about a run, with what its models were told.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn detail_with_prompts(&self, id: RunId) -> Result<RunDetail, store::Error> {
        let events = self.events_of(id, 1, u32::MAX)?;
        Ok(self.detail_of(id, &events)?.with_prompts(events.iter(), &inline))
    }

    /// Returns what tools of a run found, whole, where models were told less of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn whole_results(&self, id: RunId) -> Result<Vec<WholeResult>, store::Error> {
        Ok(whole_results(self.events_of(id, 1, u32::MAX)?.iter()))
    }

    /// Returns everything that these events of a run say.
    pub(in crate::workspace) fn detail_of(&self, id: RunId, events: &[Recorded]) -> Result<RunDetail, store::Error> {
        let mut fold = Fold::default();
        self.fold_in(&mut fold, events);
        self.detail_from(id, fold)
    }

    /// Folds more events of a run, whose texts were read.
    pub(in crate::workspace) fn fold_in(&self, fold: &mut Fold, events: &[Recorded]) {
        events.iter().for_each(|recorded| fold.apply(recorded, &inline));
    }

    /// Returns everything that the folded events of a run say.
    pub(in crate::workspace) fn detail_from(&self, id: RunId, fold: Fold) -> Result<RunDetail, store::Error> {
        let mut detail = fold.finish();
        detail.status = detail.status.seen(detail.status == RunStatus::Running && self.probe(id));
        if let Some(lineage) = &mut detail.lineage
            && let Ok(parent) = lineage.parent.parse()
        {
            lineage.position = self.position(parent, lineage.at)?;
        }
        detail.node = self.0.keeping().node_of(id)?.map(|node| node.to_string());
        detail.forks = self.children(id)?.iter().map(|(child, _)| child.to_string()).collect();
        Ok(detail)
    }

    /// Returns the position in the log of a run's event with this version; `None` when it is not in this store.
    pub(in crate::workspace) fn position(&self, run: RunId, version: u64) -> Result<Option<u64>, store::Error> {
        let found = self.0.log.read_run(run, version, 1)?.first().map(|stored| stored.envelope);
        Ok(found.filter(|found| found.version == version).map(|found| found.seq))
    }

    /// Returns the events of a run from version `from` on, at most `limit`, with their texts. Events of kinds that this
    /// version does not know are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events_of(&self, id: RunId, from: u64, limit: u32) -> Result<Vec<Recorded>, store::Error> {
        self.events_without(id, from, limit, &|_| {})
    }

    /// Returns the events of a run as [`Runs::events_of`] does, without the texts that `leave_out` takes from them before they are read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::workspace) fn events_without(
        &self,
        id: RunId,
        from: u64,
        limit: u32,
        leave_out: &dyn Fn(&mut Event),
    ) -> Result<Vec<Recorded>, store::Error> {
        let mut events = Vec::new();
        let mut next = from;
        while (events.len() as u64) < u64::from(limit) {
            let page = self.0.log.read_run(id, next, limit.saturating_sub(events.len() as u32).min(PAGE))?;
            let Some(last) = page.last() else { break };
            // In a damaged log versions may not go up: that is for an audit to say, and no reason to read for ever.
            next = last.envelope.version.max(next).saturating_add(1);
            for stored in &page {
                if let Decoded::Known(mut recorded) = codec::decode(stored)? {
                    leave_out(&mut recorded.event);
                    events.push(read_texts(&self.0.payloads, recorded)?);
                }
            }
        }
        Ok(events)
    }

    /// Returns the log's events from position `from` on, at most a page, as stored: a follower decodes what it shows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn log_page(&self, from: u64) -> Result<Vec<Stored>, store::Error> {
        self.0.log.read(from, PAGE)
    }

    /// Returns a run's events from version `from` on, at most a page, as stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn run_page(&self, id: RunId, from: u64) -> Result<Vec<Stored>, store::Error> {
        self.0.log.read_run(id, from, PAGE)
    }

    /// Returns the ids of all runs: the store's own, newest first, then those of imported logs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn run_ids(&self) -> Result<Vec<String>, store::Error> {
        let own = self.all_rows()?.into_iter().map(|row| row.run_id);
        let imported = self.0.keeping().imported_runs()?;
        Ok(own.chain(imported.iter().flat_map(|spans| spans.runs())).map(|run| run.to_string()).collect())
    }

    /// Decodes a stored event and reads its texts; `None` for a kind that this version does not know.
    ///
    /// # Errors
    /// When its bytes are damaged, or a payload cannot be read.
    pub(crate) fn decode(&self, stored: &Stored) -> Result<Option<Recorded>, store::Error> {
        match codec::decode(stored)? {
            Decoded::Known(recorded) => read_texts(&self.0.payloads, recorded).map(Some),
            Decoded::Unknown { .. } => Ok(None),
        }
    }

    /// Appends one event, of a run or of none; returns where it came to stand.
    pub(in crate::workspace) fn append_one(
        &self,
        mut event: Event,
        run: Option<RunId>,
    ) -> Result<(Envelope, Hash), store::Error> {
        let mut large = Vec::new();
        event.each_text_mut(&mut |text| {
            if let Text::Inline(inline) = text
                && inline.len() > crate::domain::text::INLINE_BYTES_MAX
            {
                let (hash, bytes) = (Hash::of(inline.as_bytes()), inline.len() as u64);
                large.push(std::mem::take(inline));
                *text = Text::Payload { hash, bytes };
            }
        });
        let large: Vec<&[u8]> = large.iter().map(String::as_bytes).collect();
        let batch = Batch {
            id: BatchId(self.0.world.ulid(None)),
            expected_version: None,
            events: vec![codec::offer(&event, self.0.world.random(), run, None, None)?],
            payloads: self.0.payloads.write(&large)?,
            day_limit: None,
        };
        let first = self.append_with(&batch, &large)?.events.first().copied();
        first.ok_or_else(|| store::Error::Disconnected("the owner did not say where the event is".to_owned()))
    }

    /// Appends a batch whose `texts` are payloads already.
    pub(in crate::workspace) fn append_with(&self, batch: &Batch, texts: &[&[u8]]) -> Result<Appended, store::Error> {
        match self.0.log.append(batch) {
            Err(store::Error::MissingPayloads(_)) => {
                // Somebody removed them between the two: once more.
                self.0.payloads.write(texts)?;
                self.0.log.append(batch)
            }
            appended => appended,
        }
    }

    /// Returns whether a process executes the run.
    pub(crate) fn probe(&self, id: RunId) -> bool {
        self.0.place().is_ok_and(|place| matches!(RunLock::probe(place, id), Ok(Probe::Held { .. })))
    }

    /// Only a run that looks as if it were going on is asked for its lock.
    pub(in crate::workspace) fn is_executed(&self, row: &RunRow) -> bool {
        row.status == RunStatus::Running && self.probe(row.run_id)
    }

    /// Returns the newest run.
    pub(in crate::workspace) fn newest_run(&self) -> Result<Option<RunRow>, store::Error> {
        Ok(self.rows(None, 1)?.pop())
    }

    /// Returns what the list of runs has of a run.
    pub(in crate::workspace) fn row(&self, id: RunId) -> Result<Option<RunRow>, store::Error> {
        let key = runs::key(id);
        let rows = self.0.log.view(runs::NAME, &key, Some(&runs::after(&key)), false, 1)?;
        rows.rows.first().map(|(_, row)| runs::read_row(row).map_err(store::Error::Views)).transpose()
    }

    pub(in crate::workspace) fn count_runs(&self) -> Result<u64, store::Error> {
        let rows = self.0.log.view(runs::NAME, runs::COUNT, Some(&runs::after(runs::COUNT)), false, 1)?;
        Ok(rows.rows.first().map_or(0, |(_, row)| runs::read_count(row)))
    }

    /// Returns the newest rows, those before run `before` when given, newest first.
    pub(in crate::workspace) fn rows(&self, before: Option<RunId>, limit: u32) -> Result<Vec<RunRow>, store::Error> {
        let from = runs::key(RunId::from_bytes([0; 16]));
        let to = before.map_or_else(|| runs::after(&runs::key(RunId::from_bytes([0xff; 16]))), |run| runs::key(run).to_vec());
        let rows = self.0.log.view(runs::NAME, &from, Some(&to), true, limit)?;
        rows.rows.iter().map(|(_, row)| runs::read_row(row).map_err(store::Error::Views)).collect()
    }

    pub(in crate::workspace) fn all_rows(&self) -> Result<Vec<RunRow>, store::Error> {
        let mut rows: Vec<RunRow> = Vec::new();
        loop {
            let page = self.rows(rows.last().map(|row| row.run_id), PAGE)?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }
}

/// Returns a text that was read in with its event.
fn inline(text: &Text) -> Option<String> {
    match text {
        Text::Inline(text) => Some(text.clone()),
        _ => None,
    }
}
