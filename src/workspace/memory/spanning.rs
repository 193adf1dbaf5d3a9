//! Views over the store's own log and the logs that lie beside it: the rows of the own view, with the events of the others folded in.
//!
//! A view is a fold, so what the other logs add is folded on top of the own rows, in memory: nothing of it is written, and the own view stays
//! what it is. Only views that are sums over runs span logs; lists of runs know the logs by themselves.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Mutex;

use crate::domain::event::Event;
use crate::domain::ids::{CallNo, RunId};
use crate::store::codec::{self, Decoded};
use crate::store::files::OsFiles;
use crate::store::imported::{self, Spans};
use crate::store::log::{Head, Log, ViewRows};
use crate::store::{Error, lock};
use crate::views::run_list::LogFilter;
use crate::views::transcripts::{self, Key, Seen};
use crate::views::{Projection, Rows, costs, stats};

/// What the other logs change in a view: rows by key, `None` where one is gone.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rows with their keys, in order.
type KeyedRows = Vec<(Vec<u8>, Vec<u8>)>;

/// Rows of a view, as they are wanted.
#[derive(Clone, Copy)]
pub(in crate::workspace) struct Page<'a> {
    pub view: &'a str,
    pub from: &'a [u8],
    pub to: Option<&'a [u8]>,
    pub reverse: bool,
    pub limit: u32,
}

/// Views that span logs, as far as they were asked for.
#[derive(Default)]
pub(in crate::workspace) struct Spanning {
    filter: Mutex<LogFilter>,
    folded: Mutex<Vec<Folded>>,
}

/// What the other logs add to one view.
struct Folded {
    view: String,
    filter: LogFilter,
    /// The position of the own view below it.
    seen: u64,
    ends: Vec<Head>,
    changes: std::sync::Arc<Changes>,
}

fn projection(view: &str) -> Option<&'static dyn Projection> {
    match view {
        costs::NAME => Some(&costs::Costs),
        stats::NAME => Some(&stats::Memory),
        _ => None,
    }
}

impl Spanning {
    /// Returns which logs count.
    pub fn chosen(&self) -> LogFilter {
        lock(&self.filter).clone()
    }

    /// Tells whether a view spans logs.
    pub fn knows(view: &str) -> bool {
        projection(view).is_some()
    }

    /// Says which logs count from now on.
    pub fn choose(&self, filter: LogFilter) {
        *lock(&self.filter) = filter;
    }

    /// Returns rows of a view over the logs that count; `None` when these are the own log alone, or the view knows no others.
    pub fn rows(&self, log: &dyn Log, store: &Path, spans: Option<&Spans>, page: Page<'_>) -> Result<Option<ViewRows>, Error> {
        let filter = lock(&self.filter).clone();
        let Some(projection) = projection(page.view) else { return Ok(None) };
        let ends: Vec<Head> =
            spans.map_or(&[][..], Spans::ends).iter().filter(|end| filter.takes(Some(end.node))).copied().collect();
        let own_counts = filter.takes(None);
        if own_counts && (ends.is_empty() || filter == LogFilter::Own) {
            return Ok(None);
        }
        let seen = log.view(page.view, &[], None, false, 0)?.seen;
        let changes = match spans {
            Some(spans) => self.changes(log, store, spans, projection, &filter, ends, seen)?,
            None => std::sync::Arc::default(),
        };
        let own = |from: &[u8], to: Option<&[u8]>, limit| -> Result<KeyedRows, Error> {
            if own_counts { Ok(log.view(page.view, from, to, page.reverse, limit)?.rows) } else { Ok(Vec::new()) }
        };
        Ok(Some(ViewRows { rows: merged(&changes, page, &own)?, seen }))
    }

    #[expect(clippy::too_many_arguments, reason = "each is another thing, and it is called once")]
    fn changes(
        &self,
        log: &dyn Log,
        store: &Path,
        spans: &Spans,
        projection: &dyn Projection,
        filter: &LogFilter,
        ends: Vec<Head>,
        seen: u64,
    ) -> Result<std::sync::Arc<Changes>, Error> {
        let view = projection.name();
        let is_it = |folded: &Folded| folded.view == view && folded.filter == *filter;
        let mut held = lock(&self.folded);
        if let Some(folded) = held.iter().find(|folded| is_it(folded) && folded.seen == seen && folded.ends == ends) {
            return Ok(std::sync::Arc::clone(&folded.changes));
        }
        held.retain(|folded| !is_it(folded));
        let base = filter.takes(None).then_some(log);
        let mut rows = Overlay { base, view, changes: Changes::new(), failed: RefCell::new(None) };
        // A run that two logs have counts once: in the own one, else in the first. So does a call of a session that two stores have in runs of
        // their own, because each took in what the other had not.
        let mut counted: HashMap<RunId, bool> = HashMap::new();
        let mut told = ToldCalls::new(base);
        for end in &ends {
            imported::read(&OsFiles, store, *end, 1, &mut |stored| {
                let Some(run) = stored.envelope.run.filter(|run| spans.node_of(*run) == Some(end.node)) else { return Ok(()) };
                let counts = match counted.get(&run) {
                    Some(counts) => *counts,
                    None => *counted.entry(run).or_insert(log.read_run(run, 1, 1)?.is_empty()),
                };
                if counts
                    && let Decoded::Known(recorded) = codec::decode(&stored)?
                    && !told.is_elsewhere(run, &recorded.event)?
                {
                    // What a fold cannot take of another log it leaves out, as it does with the own one.
                    if let Err(why) = projection.apply(&mut rows, &recorded) {
                        tracing::warn!("event {} of log {} does not count: {why}", stored.envelope.seq, end.node);
                    }
                }
                rows.failed.take().map_or(Ok(()), Err)
            })?;
        }
        let changes = std::sync::Arc::new(rows.changes);
        let (view, filter) = (view.to_owned(), filter.clone());
        held.push(Folded { view, filter, seen, ends, changes: std::sync::Arc::clone(&changes) });
        Ok(changes)
    }
}

/// The calls that sessions of other agents told, over the logs that count.
struct ToldCalls<'a> {
    /// The own log, while its calls are not read and where it counts.
    own: Option<&'a dyn Log>,
    seen: Seen,
    /// Calls of runs that other runs have.
    elsewhere: HashSet<(RunId, CallNo)>,
}

impl<'a> ToldCalls<'a> {
    fn new(own: Option<&'a dyn Log>) -> Self {
        Self { own, seen: Seen::default(), elsewhere: HashSet::new() }
    }

    /// Takes in the next event of a run; tells whether it is of a call that counts in another run.
    fn is_elsewhere(&mut self, run: RunId, event: &Event) -> Result<bool, Error> {
        if let Event::CallStarted(body) = event
            && let Some(key) = Key::of_call(body)
        {
            self.read_own()?;
            if self.seen.run_of(key).is_some_and(|first| first != run) {
                self.elsewhere.insert((run, body.call));
            }
            self.seen.add(key, run);
        }
        Ok(!self.elsewhere.is_empty() && call_of(event).is_some_and(|call| self.elsewhere.contains(&(run, call))))
    }
}

impl ToldCalls<'_> {
    fn read_own(&mut self) -> Result<(), Error> {
        const PAGE: u32 = 5_000;
        let Some(own) = self.own.take() else { return Ok(()) };
        let mut from = Vec::new();
        loop {
            let rows = own.view(transcripts::NAME, &from, None, false, PAGE)?.rows;
            rows.iter().try_for_each(|(key, row)| self.seen.add_row(key, row)).map_err(Error::Index)?;
            match rows.last() {
                Some((last, _)) if rows.len() == PAGE as usize => from = [&last[..], &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }
}

/// Returns the call that an event is of.
fn call_of(event: &Event) -> Option<CallNo> {
    match event {
        Event::CallStarted(body) => Some(body.call),
        Event::CallReplied(body) => Some(body.call),
        Event::CallFailed(body) => Some(body.call),
        Event::CallCancelled(body) => Some(body.call),
        Event::CallLost(body) => Some(body.call),
        Event::CostIncurred(body) => body.call,
        Event::ToolStarted(body) => Some(body.call),
        Event::ToolEnded(body) => Some(body.call),
        _ => None,
    }
}

/// The own rows of a view, from and to a key, at most so many.
type OwnRows<'a> = &'a dyn Fn(&[u8], Option<&[u8]>, u32) -> Result<KeyedRows, Error>;

/// Lays changes over own rows, until the page is full or there are no more.
fn merged(changes: &Changes, page: Page<'_>, own: OwnRows<'_>) -> Result<KeyedRows, Error> {
    let limit = page.limit as usize;
    let mut rows = KeyedRows::new();
    let (mut from, mut to) = (page.from.to_vec(), page.to.map(<[u8]>::to_vec));
    while rows.len() < limit {
        let own_rows = own(&from, to.as_deref(), page.limit)?;
        let is_last = own_rows.len() < limit;
        // Own rows beyond the page are not known yet, and neither is what lies between them.
        let (mut next_from, mut next_to) = (from.clone(), to.clone());
        if let Some((last, _)) = own_rows.last().filter(|_| !is_last) {
            if page.reverse { next_to = Some(last.clone()) } else { next_from = [&last[..], &[0]].concat() }
        }
        let (low, high) = match (is_last, page.reverse) {
            (true, _) => (from.clone(), to.clone()),
            (false, false) => (from.clone(), Some(next_from.clone())),
            (false, true) => (next_to.clone().unwrap_or_default(), to.clone()),
        };
        let mut stretch: BTreeMap<Vec<u8>, Vec<u8>> = own_rows.into_iter().collect();
        if high.as_ref().is_none_or(|high| low < *high) {
            let high = high.map_or(Bound::Unbounded, Bound::Excluded);
            for (key, change) in changes.range((Bound::Included(low), high)) {
                match change {
                    Some(row) => drop(stretch.insert(key.clone(), row.clone())),
                    None => drop(stretch.remove(key)),
                }
            }
        }
        if page.reverse {
            rows.extend(stretch.into_iter().rev())
        } else {
            rows.extend(stretch)
        }
        if is_last {
            break;
        }
        (from, to) = (next_from, next_to);
    }
    rows.truncate(limit);
    Ok(rows)
}

/// The own rows of a view, and what changes in them.
struct Overlay<'a> {
    base: Option<&'a dyn Log>,
    view: &'a str,
    changes: Changes,
    failed: RefCell<Option<Error>>,
}

impl Rows for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(change) = self.changes.get(key) {
            return change.clone();
        }
        let after = [key, &[0]].concat();
        match self.base?.view(self.view, key, Some(&after), false, 1) {
            Ok(found) => found.rows.into_iter().next().map(|(_, row)| row),
            Err(why) => {
                *self.failed.borrow_mut() = Some(why);
                None
            }
        }
    }

    fn put(&mut self, key: &[u8], row: Vec<u8>) {
        self.changes.insert(key.to_vec(), Some(row));
    }

    fn remove(&mut self, key: &[u8]) {
        self.changes.insert(key.to_vec(), None);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_of_merged_rows_are_the_pages_of_what_they_come_to(
            own in proptest::collection::btree_map(0u8..40, any::<u8>(), 0..30),
            changed in proptest::collection::btree_map(0u8..40, proptest::option::of(any::<u8>()), 0..30),
            from in 0u8..40, to in proptest::option::of(0u8..45), reverse in any::<bool>(), limit in 1u32..12,
        ) {
            let bytes = |map: &BTreeMap<u8, u8>| map.iter().map(|(key, row)| (vec![*key], vec![*row])).collect::<BTreeMap<_, _>>();
            let (base, changes) = (bytes(&own), changed.iter().map(|(key, row)| (vec![*key], row.map(|row| vec![row]))).collect::<Changes>());
            let mut whole = base.clone();
            for (key, change) in &changes {
                match change {
                    Some(row) => drop(whole.insert(key.clone(), row.clone())),
                    None => drop(whole.remove(key)),
                }
            }
            let cut = |map: &BTreeMap<Vec<u8>, Vec<u8>>, from: &[u8], to: Option<&[u8]>, limit: u32| {
                let within = map.iter().filter(|(key, _)| key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to));
                let mut rows: Vec<(Vec<u8>, Vec<u8>)> = within.map(|(key, row)| (key.clone(), row.clone())).collect();
                if reverse { rows.reverse(); }
                rows.truncate(limit as usize);
                rows
            };
            let to = to.map(|to| vec![to]);
            let page = Page { view: "x", from: &[from], to: to.as_deref(), reverse, limit };
            let found = merged(&changes, page, &|from, to, limit| Ok(cut(&base, from, to, limit))).unwrap();
            prop_assert_eq!(found, cut(&whole, &[from], to.as_deref(), limit));
        }
    }
}
