//! Lists of runs page by page: however many there are, only those that are shown are read, and as many as a filter has to pass over.

use super::Runs;
use crate::domain::ids::{NodeId, RunId};
use crate::store;
use crate::views::run_list::{LogFilter, RunFilter, RunLine, RunRow};
use crate::views::runs;

/// Rows read from the store at once, at most; a filter that lets little through reads more and more of them.
const ROWS: u32 = 1000;

/// Rows that one page looks at, at most: a filter that lets little through continues on the next page.
const LOOKED_AT_MAX: usize = 5_000;
/// The same while nothing was found: an empty page helps nobody.
const LOOKED_FOR_MAX: usize = 50_000;

const NS_PER_MS: i64 = 1_000_000;
/// How much later than its beginning a run may have got its id: that of a session is of its first exchange that was whole.
const LATE_MS: i64 = 2 * 86_400_000;

/// A page of runs, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunLine>,
    /// Runs before this one are on the next page; `None` on the last page.
    pub next: Option<RunId>,
    /// How many runs were looked at.
    pub looked_at: usize,
}

impl Runs<'_> {
    /// Returns the newest runs that `filter` lets through, those before run `before` when given, at most `limit`. Runs are in the order
    /// of their ids, which is that of their beginning.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn runs_page(&self, filter: &RunFilter, before: Option<RunId>, limit: usize) -> Result<RunPage, store::Error> {
        let mut beside = match filter.log {
            LogFilter::Own => Vec::new(),
            LogFilter::All | LogFilter::Node(_) => self.0.keeping().imported_rows()?,
        };
        beside.retain(|(node, row)| filter.log.takes(Some(*node)) && before.is_none_or(|before| row.run_id < before));
        beside.sort_by_key(|(_, row)| row.run_id);
        let has_own = filter.log.takes(None);
        // Ids begin with the time of a run's beginning, so that those that are too young are passed over at once.
        let until = [filter.until, filter.under_way.map(|(_, until)| until)].into_iter().flatten().min();
        let young = until.and_then(|until| first_id(until / NS_PER_MS + LATE_MS));
        let before = before.into_iter().chain(young).min();
        beside.retain(|(_, row)| before.is_none_or(|before| row.run_id < before));
        let oldest = filter.since.and_then(|since| first_id(since / NS_PER_MS));
        let (mut page, mut last) = (RunPage::default(), before);
        let mut size = u32::try_from(limit + 1).unwrap_or(ROWS).min(ROWS);
        loop {
            let own = if has_own { self.rows(last, size)? } else { Vec::new() };
            let is_end = own.len() < size as usize;
            let reached = own.last().map(|row| row.run_id).filter(|_| !is_end);
            let mut rows: Vec<(Option<NodeId>, RunRow)> = Vec::new();
            for row in own {
                take_newer(&mut beside, Some(row.run_id), &mut rows);
                rows.push((None, row));
            }
            if reached.is_none() {
                take_newer(&mut beside, None, &mut rows);
            }
            for (node, row) in rows {
                if oldest.is_some_and(|oldest| row.run_id < oldest) {
                    return Ok(page);
                }
                let most = if page.runs.is_empty() { LOOKED_FOR_MAX } else { LOOKED_AT_MAX };
                if page.runs.len() == limit || page.looked_at >= most {
                    page.next = last;
                    return Ok(page);
                }
                let is_executed = node.is_none() && self.is_executed(&row);
                page.looked_at += 1;
                last = Some(row.run_id);
                if filter.matches(&row, is_executed) {
                    page.runs.push(RunLine { node: node.map(|node| node.to_string()), ..row.line(is_executed) });
                }
            }
            if reached.is_none() {
                return Ok(page);
            }
            size = size.saturating_mul(3).min(ROWS);
        }
    }

    /// Returns the newest runs of the store's own log that may wait for a person, those before run `before` when given, at most `limit`: they
    /// are neither imported nor ended well or for good. However many others there are, these alone are read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn waiting_page(&self, before: Option<RunId>, limit: usize) -> Result<RunPage, store::Error> {
        let found = self.waiting_ids(before, limit + 1)?;
        let mut page = RunPage { looked_at: found.len().min(limit), ..RunPage::default() };
        for id in found.iter().take(limit) {
            page.runs.extend(self.run_line(*id)?);
        }
        page.next = found.get(limit.saturating_sub(1)).copied().filter(|_| found.len() > limit);
        Ok(page)
    }

    /// Returns the rows of the newest such runs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::workspace) fn waiting_rows(&self, limit: usize) -> Result<Vec<RunRow>, store::Error> {
        let rows = self.waiting_ids(None, limit)?.into_iter().map(|id| self.row(id));
        rows.filter_map(Result::transpose).collect()
    }

    fn waiting_ids(&self, before: Option<RunId>, limit: usize) -> Result<Vec<RunId>, store::Error> {
        let from = runs::waiting(RunId::from_bytes([0; 16]));
        let to =
            before.map_or_else(|| runs::after(&runs::waiting(RunId::from_bytes([0xff; 16]))), |run| runs::waiting(run).to_vec());
        let keys = self.0.log.view(runs::NAME, &from, Some(&to), true, u32::try_from(limit).unwrap_or(ROWS).min(ROWS))?;
        Ok(keys.rows.iter().filter_map(|(key, _)| runs::read_waiting(key)).collect())
    }

    /// Returns how many runs the store's own log has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn run_count(&self) -> Result<u64, store::Error> {
        self.count_runs()
    }

    /// Returns what a list of runs shows of a run; `None` when the store's own log does not have it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn run_line(&self, id: RunId) -> Result<Option<RunLine>, store::Error> {
        Ok(self.row(id)?.map(|row| row.line(self.is_executed(&row))))
    }
}

/// Returns the first id of a run that begins at this moment (ms since the epoch); `None` before the epoch and beyond the times of ids.
fn first_id(ms: i64) -> Option<RunId> {
    let mut bytes = [0; 16];
    let ms = u64::try_from(ms).ok().filter(|ms| *ms < 1 << 48)?;
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    Some(RunId::from_bytes(bytes))
}

/// Takes the rows from the end of `beside` that are newer than `than`: all of them when there is none. The run itself is left out: what the
/// own log has too is its own.
fn take_newer(beside: &mut Vec<(NodeId, RunRow)>, than: Option<RunId>, rows: &mut Vec<(Option<NodeId>, RunRow)>) {
    while let Some((node, row)) = beside.pop_if(|(_, row)| than.is_none_or(|than| row.run_id >= than)) {
        if than != Some(row.run_id) {
            rows.push((Some(node), row));
        }
    }
}
