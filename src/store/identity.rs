//! Who is this store? Every segment's header and the first event of its chain say so; `journal/node` only repeats it, with a check sum.
//!
//! [`look`] gathers what is there, [`judge`] is pure and says whose log is the store's own, what disagrees with that and how it is put
//! right, or why nobody can tell. [`repair`] puts it right. An opening that may not write uses the first two. The own log is told from
//! imported ones by what is proved: an imported log is only ever moved in whole, so its last segment is sealed, and the log that took it
//! in says so (SegmentImported). What cannot be proved is never guessed: a store that has anything at all is not taken for a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::codec::{self, Decoded};
use super::files::{Files, write_whole};
use super::forget::STAGING;
use super::imported;
use super::journal::frame::{HEADER_BYTES, Header};
use super::journal::segment::{self, Item, Segment, file_name};
use crate::domain::event::Event;
use crate::domain::ids::{Hash, NodeId};

/// Repeats the node, in the journal's folder.
const NODE_FILE: &str = "node";
/// The kind of the events that say that another log was taken in.
pub const IMPORTED: u16 = 83;
/// A log of no more events holds nothing but that it was made.
const BARE_EVENTS: u64 = 1;
/// What is set aside gets this end to its name.
pub const ASIDE: &str = "set-aside";
/// What is read of a segment to find a frame in it, in bytes, before all of it is.
const BEGINNING_BYTES: usize = 64 * 1024;
/// A store's very first write, its segment's header and the event that says that it was made, is no longer than this, in bytes: a kill
/// or a power cut leaves any part of it.
const FIRST_WRITE_BYTES_MAX: usize = 4096;

/// What `journal/node` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeFile {
    /// It is not there.
    Missing,
    /// It names no node, or its check sum is wrong.
    Damaged,
    /// It names a node, as earlier releases wrote it: without a check sum.
    Plain(NodeId),
    /// It names a node, and its check sum agrees.
    Checked(NodeId),
}

impl NodeFile {
    /// Returns the bytes of the file for `node`.
    pub fn bytes(node: NodeId) -> Vec<u8> {
        format!("{node} {:08x}\n", crc32c::crc32c(&node.to_bytes())).into_bytes()
    }

    /// Reads the file's bytes.
    pub fn read(bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Damaged };
        match text.trim_end().parse() {
            Ok(node) => Self::Plain(node),
            Err(_) => {
                let node = text.split_once(' ').and_then(|(node, _)| node.parse().ok());
                node.filter(|node| Self::bytes(*node) == bytes).map_or(Self::Damaged, Self::Checked)
            }
        }
    }

    /// Returns the node that it names.
    pub fn node(self) -> Option<NodeId> {
        match self {
            Self::Plain(node) | Self::Checked(node) => Some(node),
            Self::Missing | Self::Damaged => None,
        }
    }
}

/// A folder with segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFacts {
    /// Its name in the journal's folder.
    pub folder: String,
    /// Whose log it is, as headers or frames prove.
    pub node: Option<NodeId>,
    /// It has at least one sound frame.
    pub has_events: bool,
    /// Its files hold no more than part of the very first write.
    pub is_blank: bool,
    /// Its last segment is not sealed: this store has appended to it.
    pub is_open: bool,
    /// Segments with a sound header of another log, by first position.
    pub foreign: Vec<(u64, NodeId)>,
}

/// What is there, found without reading a log through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What `journal/node` says.
    pub node_file: NodeFile,
    /// The folders with segments.
    pub logs: Vec<LogFacts>,
    /// What else a store without events does not have.
    pub traces: Vec<&'static str>,
}

/// What takes longer to find out, and is only asked for when [`Facts`] do not suffice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoreFacts {
    /// Whose log the index is of.
    pub index: Option<NodeId>,
    /// By log: its last position, and which other logs it says it has taken in.
    pub contents: BTreeMap<NodeId, (u64, BTreeSet<NodeId>)>,
}

/// Who the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot be told without [`MoreFacts`].
    Undecided,
    /// Nothing was ever recorded here; the node is that of a beginning that was never finished.
    New(Option<NodeId>),
    /// The log of this node is the store's own.
    Own {
        /// The node.
        node: NodeId,
        /// The name of its folder in the journal's, as long as nothing is put right.
        folder: String,
        /// What disagrees, and how it is put right.
        repairs: Vec<Repair>,
    },
    /// Nobody can tell; why, in words.
    Refused(String),
}

/// Something that disagrees with who the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What is wrong; nothing is when a file is only written in a newer form.
    pub finding: Option<String>,
    /// What puts it right.
    pub action: Action,
}

/// What puts an identity right. All paths lie in the journal's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `node` is written again.
    WriteNode(NodeId),
    /// A file or folder gets another name.
    Rename(PathBuf, PathBuf),
}

/// Gathers what is there. Changes nothing.
///
/// # Errors
/// [`Error::Io`].
pub fn look(files: &dyn Files, store: &Path) -> Result<Facts, Error> {
    let journal = store.join("journal");
    let file = journal.join(NODE_FILE);
    let node_file = match files.exists(&file) {
        // What is no plain file says nothing.
        true => files.read(&file).map_or(NodeFile::Damaged, |bytes| NodeFile::read(&bytes)),
        false => NodeFile::Missing,
    };
    let mut logs = Vec::new();
    let mut names = list(files, &journal)?;
    names.sort_unstable();
    // A folder of another name is looked into as well: it may be one that was renamed.
    for name in names.into_iter().filter(|name| name != NODE_FILE && name != STAGING && !name.contains(ASIDE)) {
        let firsts = match segment::list(files, &journal.join(&name)) {
            Ok(firsts) => firsts,
            Err(why) if name.parse::<NodeId>().is_ok() => return Err(why),
            // A plain file.
            Err(_) => continue,
        };
        if !firsts.is_empty() {
            logs.push(log_facts(files, &journal, name, &firsts)?);
        }
    }
    let mut traces = Vec::new();
    for (path, what) in [("log/events", "an index"), ("log/views", "views"), ("index", "a search index")] {
        let path = store.join(path);
        match list(files, &path) {
            // Whoever opens the store sets it aside.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotADirectory => {}
            names => traces.extend((!names?.is_empty()).then_some(what)),
        }
    }
    let payloads = store.join("payloads");
    for folder in list(files, &payloads)?.iter().filter(|name| name.len() == 2) {
        if !list(files, &payloads.join(folder))?.is_empty() {
            traces.push("payloads");
            break;
        }
    }
    Ok(Facts { node_file, logs, traces })
}

fn list(files: &dyn Files, dir: &Path) -> Result<Vec<String>, Error> {
    if !files.exists(dir) {
        return Ok(Vec::new());
    }
    files.list(dir).map_err(Error::io(dir))
}

fn log_facts(files: &dyn Files, journal: &Path, folder: String, firsts: &[u64]) -> Result<LogFacts, Error> {
    let dir = journal.join(&folder);
    let mut headers = Vec::new();
    for first in firsts {
        let path = dir.join(file_name(*first));
        let (bytes, _) = segment::both_ends(files, &path, HEADER_BYTES, 0).map_err(Error::io(&path))?;
        headers.push((*first, Header::node(&bytes)));
    }
    let named: Option<NodeId> = folder.parse().ok();
    let mut votes: BTreeMap<NodeId, usize> = BTreeMap::new();
    headers.iter().filter_map(|(_, node)| *node).for_each(|node| *votes.entry(node).or_default() += 1);
    let most = votes.iter().max_by_key(|(_, count)| **count).map(|(node, _)| *node);
    let mut node = named.filter(|node| votes.contains_key(node)).or(most);
    let foreign: Vec<(u64, NodeId)> =
        headers.iter().filter_map(|(first, of)| of.filter(|of| Some(*of) != node).map(|of| (*first, of))).collect();
    let own: Vec<u64> = firsts.iter().copied().filter(|first| foreign.iter().all(|(foreign, _)| foreign != first)).collect();
    let (mut has_events, mut is_blank) = (false, true);
    for first in &own {
        let path = dir.join(file_name(*first));
        let (bytes, _) = segment::both_ends(files, &path, BEGINNING_BYTES, 0).map_err(Error::io(&path))?;
        has_events = node.or(named).is_some_and(|node| has_frame(files, &path, node, *first, bytes));
        if has_events {
            node = node.or(named);
            break;
        }
        let bytes = files.read(&path).map_err(Error::io(&path))?;
        is_blank &= bytes.iter().skip(FIRST_WRITE_BYTES_MAX).all(|byte| *byte == 0);
    }
    let is_open = match (node, own.last()) {
        (Some(node), Some(last)) if has_events => imported::footer(files, &dir.join(file_name(*last)), node)?.is_none(),
        _ => false,
    };
    Ok(LogFacts { folder, node, has_events, is_blank, is_open, foreign })
}

/// Whether a segment has a sound frame of `node`'s log: its first bytes say so, or all of them.
fn has_frame(files: &dyn Files, path: &Path, node: NodeId, first: u64, beginning: Vec<u8>) -> bool {
    let has = |bytes: Vec<u8>| {
        let header = Header::read(&bytes, node).ok().flatten();
        let segment = Segment { path: path.to_owned(), node, first, header, bytes };
        segment.items().any(|item| matches!(item, Item::Frame(..)))
    };
    has(beginning) || files.read(path).is_ok_and(has)
}

/// Reads the logs of `facts` through for what [`judge`] needs besides; `index` is whose log the index is of.
///
/// # Errors
/// [`Error::Io`], [`Error::Newer`].
pub fn look_closer(files: &dyn Files, store: &Path, facts: &Facts, index: Option<NodeId>) -> Result<MoreFacts, Error> {
    let mut more = MoreFacts { index, contents: BTreeMap::new() };
    for log in facts.logs.iter().filter(|log| log.has_events) {
        let Some(node) = log.node else { continue };
        let (last, imports) = more.contents.entry(node).or_default();
        for segment in segment::segments(files, &store.join("journal").join(&log.folder), node, 1)? {
            for item in segment?.items() {
                let Item::Frame(_, frame) = item else { continue };
                *last = frame.last().max(*last);
                for record in frame.records().flatten() {
                    let is_import = record.head().is_ok_and(|head| head.kind == IMPORTED);
                    if let (true, Ok(stored)) = (is_import, record.to_stored(Hash::default()))
                        && let Ok(Decoded::Known(known)) = codec::decode(&stored)
                        && let Event::SegmentImported(body) = known.event
                    {
                        imports.insert(body.node);
                    }
                }
            }
        }
    }
    Ok(more)
}

/// Says who the store is, from what is there alone.
pub fn judge(facts: &Facts, more: Option<&MoreFacts>) -> Verdict {
    let mut logs: BTreeMap<NodeId, &LogFacts> = BTreeMap::new();
    let mut repairs = Vec::new();
    for log in facts.logs.iter().filter(|log| log.has_events) {
        let Some(node) = log.node else { continue };
        let Some(other) = logs.insert(node, log) else { continue };
        // Of two folders with the same log, the one that has its name counts.
        let (right, wrong) = match (log.folder == node.to_string(), other.folder == node.to_string()) {
            (true, false) => (log, other),
            (false, true) => (other, log),
            _ => return Verdict::Refused(format!("journal/{} and journal/{} are the same log", other.folder, log.folder)),
        };
        logs.insert(node, right);
        if wrong.folder.parse::<NodeId>().is_ok() {
            let finding = format!("journal/{} has the segments of log {node}", wrong.folder);
            repairs.push(aside(finding, wrong.folder.as_ref()));
        }
    }
    let chosen = match (choose(facts.node_file, &logs), more) {
        (Some(own), _) => Ok((own, Vec::new())),
        (None, None) => return Verdict::Undecided,
        (None, Some(more)) if logs.is_empty() => return without_log(facts, more),
        (None, Some(more)) => choose_knowing(facts.node_file, &logs, more),
    };
    let (own, bare) = match chosen {
        Ok(chosen) => chosen,
        Err(why) => return Verdict::Refused(why),
    };
    for node in &bare {
        let finding = format!("log {node}, in which nothing happened, lay beside log {own}, which has the runs");
        repairs.push(aside(finding, logs[node].folder.as_ref()));
    }
    repairs.extend(write_node(facts.node_file, own));
    for (node, log) in logs.iter().filter(|(node, _)| !bare.contains(*node)) {
        if log.folder != node.to_string() {
            let finding = Some(format!("journal/{} is the folder of log {node}", log.folder));
            // Whatever has the name has no events, or it would be the folder that counts.
            if facts.logs.iter().any(|other| other.folder == node.to_string()) {
                repairs.push(aside(format!("journal/{node} has no segments of log {node}"), node.to_string().as_ref()));
            }
            repairs.push(Repair { finding, action: Action::Rename(log.folder.clone().into(), node.to_string().into()) });
        }
        for (first, of) in &log.foreign {
            let path = Path::new(&node.to_string()).join(file_name(*first));
            repairs.push(aside(format!("journal/{} is a segment of log {of}", path.display()), &path));
        }
    }
    let folder = logs.get(&own).map_or_else(|| own.to_string(), |log| log.folder.clone());
    Verdict::Own { node: own, folder, repairs }
}

fn aside(finding: String, path: &Path) -> Repair {
    let to = path.with_file_name(format!("{}.{ASIDE}", path.file_name().unwrap_or_default().to_string_lossy()));
    Repair { finding: Some(finding), action: Action::Rename(path.to_owned(), to) }
}

/// Writes the node file again unless it says what it must.
fn write_node(node_file: NodeFile, own: NodeId) -> Option<Repair> {
    let finding = match node_file {
        NodeFile::Checked(node) if node == own => return None,
        NodeFile::Plain(node) if node == own => None,
        NodeFile::Missing => Some(format!("journal/{NODE_FILE} was missing: the segments are of log {own}")),
        NodeFile::Damaged => Some(format!("journal/{NODE_FILE} was damaged: the segments are of log {own}")),
        NodeFile::Plain(other) | NodeFile::Checked(other) => {
            Some(format!("journal/{NODE_FILE} named log {other}: the segments are of log {own}"))
        }
    };
    Some(Repair { finding, action: Action::WriteNode(own) })
}

/// Returns the own log where that is plain.
fn choose(node_file: NodeFile, logs: &BTreeMap<NodeId, &LogFacts>) -> Option<NodeId> {
    let only = if logs.len() == 1 { logs.keys().next().copied() } else { None };
    match node_file.node().filter(|node| logs.contains_key(node)) {
        Some(named) if only.is_some() => Some(named),
        // Imported logs are sealed; a log that is not is one that this store appends to.
        Some(named) => logs.iter().all(|(node, log)| log.is_open == (*node == named)).then_some(named),
        None if matches!(node_file, NodeFile::Checked(_)) => None,
        None => only.filter(|only| logs[only].is_open),
    }
}

/// Returns the own log of several, or of one that may have been imported, and logs in which nothing happened; or why nobody can tell.
fn choose_knowing(
    node_file: NodeFile,
    logs: &BTreeMap<NodeId, &LogFacts>,
    more: &MoreFacts,
) -> Result<(NodeId, Vec<NodeId>), String> {
    let took_in = |by: NodeId, what: NodeId| more.contents.get(&by).is_some_and(|(_, imports)| imports.contains(&what));
    let is_imported = |what: NodeId| logs.keys().any(|by| *by != what && took_in(*by, what) && !took_in(what, *by));
    let roots: Vec<NodeId> = logs.keys().copied().filter(|node| !is_imported(*node)).collect();
    let events = |node: &NodeId| more.contents.get(node).map_or(0, |(last, _)| *last);
    let named = node_file.node().filter(|node| roots.contains(node));
    let open: Vec<NodeId> = roots.iter().copied().filter(|node| logs[node].is_open).collect();
    let two = |a: &NodeId, b: &NodeId| {
        Err(format!(
            "journal has two logs of this store, {a} with {} events and {b} with {}, and neither says that it took the other in; \
             move the folder of one of them elsewhere, and write the name of the other into journal/{NODE_FILE}",
            events(a),
            events(b)
        ))
    };
    match &open[..] {
        [own] => match (named, node_file) {
            (Some(named), _) if named != *own && !took_in(*own, named) => two(own, &named),
            (None, NodeFile::Checked(other)) if more.index == Some(other) => Err(format!(
                "journal/{NODE_FILE} and the index are of log {other}, of which there are no segments; the segments are of log {own}"
            )),
            _ => Ok((*own, Vec::new())),
        },
        [] => {
            let claimed = more.index.filter(|index| node_file.node().is_none_or(|named| named == *index));
            let own = match (named, more.index.filter(|index| roots.contains(index)), &roots[..]) {
                (Some(named), None, _) => Some(named),
                (None, Some(index), _) => Some(index),
                (Some(named), Some(index), _) if named == index => Some(named),
                (Some(_), Some(index), _) if matches!(node_file, NodeFile::Plain(_)) => Some(index),
                // A log that took others in is no import itself.
                (None, None, [root]) if logs.len() > 1 => Some(*root),
                // The segments of the own log are gone; the index has what they had.
                (None, None, _) => claimed,
                _ => None,
            };
            own.map(|own| (own, Vec::new())).ok_or_else(|| {
                let names: Vec<String> = roots.iter().map(ToString::to_string).collect();
                format!(
                    "journal has the segments of {}, which may have been imported, and neither journal/{NODE_FILE} nor the index says \
                     which log is this store's own; write its name into journal/{NODE_FILE}",
                    names.join(", ")
                )
            })
        }
        [first, rest @ ..] => {
            let lived: Vec<NodeId> = open.iter().copied().filter(|node| events(node) > BARE_EVENTS).collect();
            let own = match (&lived[..], named.filter(|named| open.contains(named))) {
                ([own], _) => *own,
                ([], Some(named)) => named,
                ([], None) => return two(first, rest.first().unwrap_or(first)),
                ([a, b, ..], _) => return two(a, b),
            };
            Ok((own, open.into_iter().filter(|node| *node != own).collect()))
        }
    }
}

/// Says who a store without any sound event in its journal is.
fn without_log(facts: &Facts, more: &MoreFacts) -> Verdict {
    match (more.index, facts.node_file) {
        (Some(index), NodeFile::Checked(named)) if index != named => Verdict::Refused(format!(
            "journal/{NODE_FILE} names log {named}, the index is of log {index}, and there are no segments of either"
        )),
        (Some(index), _) => {
            let repairs = write_node(facts.node_file, index).into_iter().collect();
            Verdict::Own { node: index, folder: index.to_string(), repairs }
        }
        (None, node_file) => {
            let begun = facts.logs.first().and_then(|log| log.folder.parse().ok());
            let is_blank = facts.logs.iter().all(|log| log.is_blank) && facts.logs.len() <= 1;
            let mut found = facts.traces.clone();
            match node_file {
                // Whoever wrote the check sum had written the first event before.
                NodeFile::Checked(_) => found.push("the name of a log"),
                NodeFile::Damaged => found.push("a damaged file with the name of a log"),
                NodeFile::Missing | NodeFile::Plain(_) => {}
            }
            if !is_blank {
                found.push("segments in which nothing is sound");
            }
            if found.is_empty() {
                return Verdict::New(node_file.node().or(begun));
            }
            Verdict::Refused(format!(
                "journal has no events, but the store has {}: it is not a new one; put the journal back from a backup",
                found.join(", ")
            ))
        }
    }
}

/// Puts right what disagrees; returns what was wrong and what was done, in words.
///
/// # Errors
/// [`Error::Io`].
pub fn repair(files: &dyn Files, store: &Path, repairs: &[Repair]) -> Result<Vec<String>, Error> {
    let journal = store.join("journal");
    let mut done = Vec::new();
    for Repair { finding, action } in repairs {
        let how = match action {
            Action::WriteNode(node) => {
                remember(files, store, *node)?;
                "it was written again".to_owned()
            }
            Action::Rename(from, to) => {
                let free = |number: &u32| *number == 0 || !files.exists(&journal.join(numbered(to, *number)));
                let to = match files.exists(&journal.join(to)) {
                    true => numbered(to, (1..u32::MAX).find(free).unwrap_or(u32::MAX)),
                    false => to.clone(),
                };
                let (from, to) = (journal.join(from), journal.join(to));
                let dir = to.parent().unwrap_or(&journal);
                files.rename(&from, &to).and_then(|()| files.sync_dir(dir)).map_err(Error::io(&from))?;
                format!("it was renamed to {}", to.display())
            }
        };
        if let Some(finding) = finding {
            tracing::warn!("{finding}; {how}");
            done.push(format!("{finding}; {how}"));
        }
    }
    Ok(done)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    path.with_file_name(format!("{}-{number}", path.file_name().unwrap_or_default().to_string_lossy()))
}

/// Writes down the store's node.
///
/// # Errors
/// [`Error::Io`].
pub fn remember(files: &dyn Files, store: &Path, node: NodeId) -> Result<(), Error> {
    let file = store.join("journal").join(NODE_FILE);
    write_whole(files, &file, &NodeFile::bytes(node)).map_err(Error::io(&file))
}

/// Returns what in the journal's folder disagrees with `own` being the store's own log, for those who look and change nothing.
///
/// # Errors
/// [`Error::Io`].
pub fn disagreements(files: &dyn Files, store: &Path, own: NodeId) -> Result<Vec<String>, Error> {
    let facts = look(files, store)?;
    let mut found: Vec<String> = write_node(facts.node_file, own).and_then(|repair| repair.finding).into_iter().collect();
    for log in &facts.logs {
        match log.node {
            Some(node) if log.folder.parse() != Ok(node) => {
                found.push(format!("journal/{} has the segments of log {node}", log.folder));
            }
            Some(_) => {}
            None if log.folder.parse::<NodeId>().is_ok() => found.push(format!("nothing in journal/{} is sound", log.folder)),
            None => {}
        }
        found
            .extend(log.foreign.iter().map(|(first, of)| format!("journal/{}/{} is of log {of}", log.folder, file_name(*first))));
    }
    Ok(found)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
