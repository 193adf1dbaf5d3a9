//! Logs of other stores that lie beside this one's own: read straight from their segments, without index and lock. They only ever grow by
//! whole imports.

use std::collections::HashMap;
use std::path::Path;

use super::files::Files;
use super::journal::folder;
use super::journal::frame::{FOOTER_BYTES, Footer};
use super::journal::segment::{self, Item, Segment, file_name};
use super::log::{Head, Stored};
use super::{Error, chain};
use crate::domain::ids::{Hash, NodeId, RunId};

/// Where the events of runs lie in imported logs.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// The ends of the logs that were looked through.
    ends: Vec<Head>,
    /// By run: the log, and its first and last position there.
    runs: HashMap<RunId, (NodeId, u64, u64)>,
}

/// Returns where the logs end that lie beside the log of `own`, by node.
///
/// # Errors
/// [`Error::Io`], [`Error::Newer`].
pub fn ends(files: &dyn Files, store: &Path, own: NodeId) -> Result<Vec<Head>, Error> {
    let journal = store.join("journal");
    if !files.exists(&journal) {
        return Ok(Vec::new());
    }
    let mut heads = Vec::new();
    for name in files.list(&journal).map_err(Error::io(&journal))? {
        let Some(node) = name.parse::<NodeId>().ok().filter(|node| *node != own && node.to_string() == name) else { continue };
        let dir = folder(store, node);
        let Some(last) = segment::list(files, &dir)?.pop() else { continue };
        heads.extend(end(files, &dir, node, last)?);
    }
    heads.sort_unstable_by_key(|head| head.node);
    Ok(heads)
}

/// Returns where a log ends whose last segment begins at `last`: its footer says so, or else its last frame.
fn end(files: &dyn Files, dir: &Path, node: NodeId, last: u64) -> Result<Option<Head>, Error> {
    let path = dir.join(file_name(last));
    if let Some(footer) = footer(files, &path, node)? {
        return Ok(Some(Head { node, seq: footer.last, hash: footer.hash }));
    }
    let mut head = None;
    for item in Segment::load(files, dir, node, last)?.items() {
        if let Item::Frame(_, frame) = item {
            head = Some(Head { node, seq: frame.last(), hash: frame.hash });
        }
    }
    Ok(head)
}

/// Returns the footer of a segment of `node`'s log; `None` when it is not sealed.
///
/// # Errors
/// [`Error::Io`].
pub fn footer(files: &dyn Files, path: &Path, node: NodeId) -> Result<Option<Footer>, Error> {
    let (_, last) = segment::both_ends(files, path, 0, FOOTER_BYTES).map_err(Error::io(path))?;
    Ok(Footer::read(&last, node))
}

/// Gives the events of a log from position `from` up to its `end` to `each`, in order. What is damaged is left out: an audit says so.
///
/// # Errors
/// [`Error::Io`], [`Error::Newer`], and what `each` says.
pub fn read(
    files: &dyn Files,
    store: &Path,
    end: Head,
    from: u64,
    each: &mut dyn FnMut(Stored) -> Result<(), Error>,
) -> Result<(), Error> {
    for segment in segment::segments(files, &folder(store, end.node), end.node, from)? {
        let segment = segment?;
        if segment.first > end.seq {
            break;
        }
        let mut previous = match segment.header {
            Some(header) => header.previous,
            None if segment.first == 1 => chain::genesis(end.node),
            None => Hash::default(),
        };
        for item in segment.items() {
            let Item::Frame(_, frame) = item else { continue };
            if frame.first > end.seq {
                break;
            }
            for record in frame.records() {
                let record = record?;
                previous = chain::next(&previous, record.head);
                let stored = record.to_stored(previous)?;
                if stored.envelope.seq >= from {
                    each(stored)?;
                }
            }
            previous = frame.hash;
        }
    }
    Ok(())
}

impl Spans {
    /// Looks the logs with these `ends` through.
    ///
    /// # Errors
    /// As [`read`].
    pub fn of(files: &dyn Files, store: &Path, ends: Vec<Head>) -> Result<Self, Error> {
        // By run: how many events the log has that tells it.
        let mut told: HashMap<RunId, u64> = HashMap::new();
        let mut runs = HashMap::new();
        for end in &ends {
            let mut here: HashMap<RunId, (u64, u64, u64)> = HashMap::new();
            read(files, store, *end, 1, &mut |stored| {
                if let Some(run) = stored.envelope.run {
                    let seq = stored.envelope.seq;
                    let (_, last, count) = here.entry(run).or_insert((seq, seq, 0));
                    (*last, *count) = (seq, *count + 1);
                }
                Ok(())
            })?;
            for (run, (first, last, count)) in here {
                // A run that two logs have is told by the one that has more of it.
                if told.get(&run).is_none_or(|known| *known < count) {
                    told.insert(run, count);
                    runs.insert(run, (end.node, first, last));
                }
            }
        }
        Ok(Self { ends, runs })
    }

    /// Returns the ends of the logs that were looked through.
    pub fn ends(&self) -> &[Head] {
        &self.ends
    }

    /// Returns the log that has a run.
    pub fn node_of(&self, run: RunId) -> Option<NodeId> {
        self.runs.get(&run).map(|(node, ..)| *node)
    }

    /// Returns all runs.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        self.runs.keys().copied()
    }

    /// Returns the runs of the log of `node` that have events from position `from` up to `to`.
    pub fn runs_between(&self, node: NodeId, from: u64, to: u64) -> impl Iterator<Item = RunId> {
        let within = move |(of, first, last): &(NodeId, u64, u64)| *of == node && *first <= to && *last >= from;
        self.runs.iter().filter(move |(_, span)| within(span)).map(|(run, _)| *run)
    }

    /// Returns all events of a run; none when no imported log has it.
    ///
    /// # Errors
    /// As [`read`].
    pub fn events_of(&self, files: &dyn Files, store: &Path, run: RunId) -> Result<Vec<Stored>, Error> {
        let mut events = Vec::new();
        let Some((node, first, last)) = self.runs.get(&run) else { return Ok(events) };
        let Some(end) = self.ends.iter().find(|end| end.node == *node) else { return Ok(events) };
        let end = Head { seq: (*last).min(end.seq), ..*end };
        read(files, store, end, *first, &mut |stored| {
            if stored.envelope.run == Some(run) {
                events.push(stored);
            }
            Ok(())
        })?;
        Ok(events)
    }
}
