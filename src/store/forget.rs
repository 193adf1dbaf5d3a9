//! Removes the private parts that the log says are forgotten, from every file of the store that holds them.
//!
//! That something is forgotten is an event like any other; [`mark`] leaves a file beside the journal before it is appended, and whoever
//! opens the store's files next carries out what the log says ([`carry_out`]) before anything else is done. Each step can be done
//! again, and the mark goes last, so a crash at any instant only means that the next opening does it. Segments are rewritten beside
//! and swapped: hashes and commitments stay, so the chain verifies as before. Indexes keep old bytes and are deleted; they are made
//! again from the journal. The search index is not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::codec::record::Record;
use super::codec::{self, Decoded};
use super::files::{Files, write_whole};
use super::identity;
use super::journal::folder;
use super::journal::frame::{Footer, Frame, NewFrame};
use super::journal::segment::{self, Item, Segment};
use super::log::{Head, Stored};
use super::payloads::{Payloads, is_being_written};
use super::session::spool;
use crate::domain::event::{Event, ForgottenParts};
use crate::domain::ids::{Hash, NodeId, RunId};

/// Where logs from elsewhere are made before they are moved beside the store's own, in the journal's folder.
pub const STAGING: &str = "importing";
/// The mark, in the journal's folder.
const MARK: &str = "forgetting";
/// The kind of the events that say that something is forgotten; why is kept.
pub const FORGOTTEN: u16 = 82;

/// The kind of the events that begin a run, and of advice from past runs to later ones, which belongs to no run.
const STARTED: u16 = 1;
const ADVICE: u16 = 71;

/// Kinds whose private parts hold answers and inputs, or what was made of them: tasks, prompts, criteria, conditions.
const ANSWERS: &[u16] = &[3, 4, 6, 10, 11, 12, 20, 21, 32, 33, 50, 55];
/// Kinds whose private parts hold what models and tools wrote, or what was made of that: prompts of later agents, evidence, reports.
const OUTPUTS: &[u16] = &[21, 22, 23, 24, 28, 29, 31, 32, 33, 50, 55, 60, 62, 68];

/// What carrying out did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events whose private part was removed.
    pub events: u64,
    /// Payload files deleted.
    pub payloads: u64,
}

/// Returns whether forgetting `which` parts of a run removes the private part of its events of this kind. Kinds of later releases count
/// as holding everything.
pub fn concerns(which: ForgottenParts, kind: u16) -> bool {
    let known = crate::domain::event::KINDS.iter().any(|(number, ..)| *number == kind);
    kind != FORGOTTEN
        && match which {
            ForgottenParts::All => true,
            ForgottenParts::Answers => !known || ANSWERS.contains(&kind),
            ForgottenParts::Outputs => !known || OUTPUTS.contains(&kind),
        }
}

/// Sees to it that the next opening carries out what the log says is forgotten.
///
/// # Errors
/// [`Error::Io`].
pub fn mark(files: &dyn Files, store: &Path) -> Result<(), Error> {
    let path = marked(store);
    write_whole(files, &path, b"private parts are being removed\n").map_err(Error::io(&path))
}

/// Returns whether there may be something to carry out.
pub fn is_marked(files: &dyn Files, store: &Path) -> bool {
    files.exists(&marked(store))
}

fn marked(store: &Path) -> PathBuf {
    store.join("journal").join(MARK)
}

/// Removes everything that the log of the store in `store` says is forgotten; `own` is the store's node. Nobody else may have the files
/// open, and the journal must be whole without its index, which is deleted.
///
/// # Errors
/// [`Error::Damaged`] when a journal is not whole: then nothing is removed and the mark stays. [`Error::Io`].
pub fn carry_out(files: &dyn Files, store: &Path, own: NodeId, payloads: &Payloads) -> Result<Removed, Error> {
    let journals = journals(files, store)?;
    let mut plan = Plan::new(own);
    for node in &journals {
        each_record(files, store, *node, &mut |stored, _| plan.learn(*node, stored))?;
    }
    for node in &journals {
        each_record(files, store, *node, &mut |stored, private| plan.sort_out(*node, stored, private))?;
    }
    plan.kept.extend(spool::payloads(store)?);
    let removed = Removed { events: plan.events, payloads: plan.delete_payloads(files, store, payloads)? };
    for node in &journals {
        let dir = folder(store, *node);
        for first in segment::list(files, &dir)? {
            let segment = Segment::load(files, &dir, *node, first)?;
            if let Some(bytes) = plan.without_forgotten(&segment)? {
                write_whole(files, &segment.path, &bytes).map_err(Error::io(&segment.path))?;
            }
        }
        delete_copies(files, &dir)?;
    }
    delete_folder(&store.join("journal").join(STAGING))?;
    delete_indexes(&store.join("log"))?;
    for run in plan.runs() {
        spool::delete_kept(store, run)?;
    }
    let path = marked(store);
    files.remove(&path).and_then(|()| files.sync_dir(&store.join("journal"))).map_err(Error::io(&path))?;
    Ok(removed)
}

/// Returns the nodes whose logs are here.
fn journals(files: &dyn Files, store: &Path) -> Result<Vec<NodeId>, Error> {
    let dir = store.join("journal");
    let names = files.list(&dir).map_err(Error::io(&dir))?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Calls `each` with every event of a log, and whether its private part is there.
fn each_record(files: &dyn Files, store: &Path, node: NodeId, each: &mut dyn FnMut(&Stored, bool)) -> Result<(), Error> {
    let dir = folder(store, node);
    for segment in segment::segments(files, &dir, node, 1)? {
        let segment = segment?;
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) => {
                    for record in frame.records() {
                        // Where the chain stands does not matter here: what the frame's checksum covers is what was written.
                        let stored = record?.to_stored(Hash::default())?;
                        let is_there = stored.private.is_some();
                        each(&stored, is_there);
                    }
                }
                Item::Footer(_) => {}
                Item::Gap(gap) => {
                    let path = segment.path.display();
                    return Err(Error::Damaged(format!("{path}: bytes {} to {} are damaged", gap.from, gap.to)));
                }
            }
        }
    }
    Ok(())
}

/// What is forgotten, and what of the payloads is still needed.
struct Plan {
    own: NodeId,
    /// By run: which parts of the events before which position of whose log.
    forgotten: BTreeMap<RunId, Vec<(NodeId, ForgottenParts, u64)>>,
    /// By template: between which positions of whose log advice may quote answers that are forgotten.
    advised: BTreeMap<String, Vec<(NodeId, u64, u64)>>,
    events: u64,
    /// Payloads named by what is removed, and by what stays.
    doomed: BTreeSet<Hash>,
    kept: BTreeSet<Hash>,
    /// Something stays whose payloads cannot be told.
    opaque: bool,
}

impl Plan {
    fn new(own: NodeId) -> Self {
        let (forgotten, advised, doomed, kept) = Default::default();
        Self { own, forgotten, advised, events: 0, doomed, kept, opaque: false }
    }

    fn learn(&mut self, node: NodeId, stored: &Stored) {
        if stored.kind != FORGOTTEN {
            return;
        }
        if let Ok(Decoded::Known(recorded)) = codec::decode(stored)
            && let Event::PrivatePartsForgotten(body) = recorded.event
        {
            self.forgotten.entry(body.run).or_default().push((node, body.which, stored.envelope.seq));
        }
    }

    /// Learns where advice may quote the answers of a run that begins here: advice names its evidence, but not all of it.
    fn learn_start(&mut self, node: NodeId, stored: &Stored) {
        let Some(said) = stored.envelope.run.and_then(|run| self.forgotten.get(&run)) else { return };
        let answers = said.iter().filter(|(_, which, _)| *which != ForgottenParts::Outputs);
        let until = answers.filter_map(|(by, _, seq)| match *by {
            by if by == node => Some(*seq),
            by if by == self.own => Some(u64::MAX),
            _ => None,
        });
        if let (Some(until), Ok(Decoded::Known(recorded))) = (until.max(), codec::decode(stored))
            && let Event::RunStarted(body) = recorded.event
        {
            self.advised.entry(body.template_id).or_default().push((node, stored.envelope.seq, until));
        }
    }

    /// Whether an event is advice that may quote answers that are forgotten.
    fn is_advice_by_forgotten(&self, node: NodeId, stored: &Stored) -> bool {
        let Ok(Decoded::Known(recorded)) = codec::decode(stored) else { return false };
        let Event::RecommendationShown(body) = recorded.event else { return false };
        let within = |(of, from, to): &(NodeId, u64, u64)| *of == node && (*from..*to).contains(&stored.envelope.seq);
        self.advised.get(&body.template_id).is_some_and(|spans| spans.iter().any(within))
    }

    /// Whether the private part of an event is to go. What this store's own log forgets is forgotten in every log here; what another
    /// log forgets, only there.
    fn is_forgotten(&self, node: NodeId, stored: &Stored) -> bool {
        if stored.kind == ADVICE && self.is_advice_by_forgotten(node, stored) {
            return true;
        }
        let Some(said) = stored.envelope.run.and_then(|run| self.forgotten.get(&run)) else { return false };
        said.iter().any(|(by, which, seq)| {
            let before = if *by == node { stored.envelope.seq < *seq } else { *by == self.own };
            before && concerns(*which, stored.kind)
        })
    }

    fn sort_out(&mut self, node: NodeId, stored: &Stored, is_there: bool) {
        if stored.kind == STARTED {
            self.learn_start(node, stored);
        }
        if !is_there {
            return;
        }
        let goes = self.is_forgotten(node, stored);
        self.events += u64::from(goes);
        match codec::decode(stored) {
            Ok(Decoded::Known(mut recorded)) => {
                let names = if goes { &mut self.doomed } else { &mut self.kept };
                recorded.event.each_text_mut(&mut |text| names.extend(text.payload()));
            }
            Ok(Decoded::Unknown { .. }) | Err(_) => self.opaque |= !goes,
        }
    }

    /// Deletes the payloads that nothing needs any more, and what was never finished. A process that has just written one and not yet
    /// named it is told that it is missing, and writes it again.
    fn delete_payloads(&self, files: &dyn Files, store: &Path, payloads: &Payloads) -> Result<u64, Error> {
        let mut deleted = 0;
        let mut delete = |path: &Path| match files.remove(path) {
            Ok(()) => {
                deleted += 1;
                Ok(())
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(why) => Err(Error::io(path)(why)),
        };
        if self.opaque {
            for name in self.doomed.difference(&self.kept) {
                delete(&payloads.path(*name))?;
            }
            return Ok(deleted);
        }
        let dir = store.join("payloads");
        // Beside the folders, which are named after a byte, lies what says by which key the payloads are kept.
        for folder in names(files, &dir)?.iter().filter(|name| name.len() == 2) {
            let folder = dir.join(folder);
            for name in names(files, &folder)? {
                let goes = match name.parse::<Hash>() {
                    Ok(hash) => !self.kept.contains(&hash),
                    Err(_) => name.ends_with(".tmp") && !is_being_written(Path::new(&name)),
                };
                if goes {
                    delete(&folder.join(&name))?;
                }
            }
            files.sync_dir(&folder).map_err(Error::io(&folder))?;
        }
        Ok(deleted)
    }

    /// Returns the segment's bytes without what is forgotten; `None` when none of that is in it.
    fn without_forgotten(&self, segment: &Segment) -> Result<Option<Vec<u8>>, Error> {
        let mut found = false;
        let header = segment.header.ok_or_else(|| Error::Damaged(format!("{}: it has no header", segment.path.display())))?;
        let mut head = Head { node: segment.node, seq: header.first - 1, hash: header.previous };
        let mut bytes = header.to_bytes(segment.node);
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) => {
                    let (again, changed) = self.frame(segment.node, &frame, head)?;
                    found |= changed;
                    if (again.first, again.head.hash) != (frame.first, frame.hash) {
                        return Err(Error::Damaged(format!("{}: the chain breaks", segment.path.display())));
                    }
                    head = again.head;
                    let synced_to = bytes.len() as u64;
                    bytes.extend(again.seal(synced_to));
                }
                Item::Footer(footer) => bytes.extend(Footer { end: bytes.len() as u64, ..footer }.to_bytes(segment.node)),
                Item::Gap(_) => return Err(Error::Damaged(format!("{}: it is not whole", segment.path.display()))),
            }
        }
        Ok(found.then_some(bytes))
    }

    fn frame(&self, node: NodeId, frame: &Frame<'_>, head: Head) -> Result<(NewFrame, bool), Error> {
        let (mut again, mut changed) = (NewFrame::begin(frame.batch, head), false);
        for record in frame.records() {
            let record = record?;
            let goes = record.private.is_some() && self.is_forgotten(node, &record.to_stored(Hash::default())?);
            changed |= goes;
            again.push(Record { private: record.private.filter(|_| !goes), ..record });
        }
        Ok((again, changed))
    }

    fn runs(&self) -> impl Iterator<Item = RunId> {
        self.forgotten.keys().copied()
    }
}

/// Returns the names in a folder; none when it is not there.
fn names(files: &dyn Files, dir: &Path) -> Result<Vec<String>, Error> {
    if !files.exists(dir) {
        return Ok(Vec::new());
    }
    files.list(dir).map_err(Error::io(dir))
}

/// Deletes what opening kept of damaged and misplaced segments, and segments that were never finished.
fn delete_copies(files: &dyn Files, dir: &Path) -> Result<(), Error> {
    for name in names(files, dir)? {
        if name.contains(".damaged-") || name.contains(identity::ASIDE) || name.ends_with(".tmp") {
            let path = dir.join(&name);
            files.remove(&path).map_err(Error::io(&path))?;
        }
    }
    files.sync_dir(dir).map_err(Error::io(dir))
}

fn delete_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(why)),
        _ => Ok(()),
    }
}

/// Deletes index and views, and those that were set aside. They may be folders of the index's own making, so this is done past
/// [`Files`].
fn delete_indexes(log: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(log) {
        Ok(entries) => entries,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(Error::io(log)(why)),
    };
    for entry in entries {
        let path = entry.map_err(Error::io(log))?.path();
        // Half of an index must not pass for one.
        let doomed = path.with_file_name(format!("{}.forgotten", path.file_name().unwrap_or_default().to_string_lossy()));
        fs::rename(&path, &doomed).map_err(Error::io(&path))?;
        let deleted = if doomed.is_dir() { fs::remove_dir_all(&doomed) } else { fs::remove_file(&doomed) };
        deleted.map_err(Error::io(&doomed))?;
    }
    fs::File::open(log).and_then(|dir| dir.sync_all()).map_err(Error::io(log))
}

#[cfg(test)]
#[path = "forget_tests.rs"]
mod tests;
