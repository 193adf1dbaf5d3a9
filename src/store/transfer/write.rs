//! Writes a log as lines, straight from the journal's files: whoever appends meanwhile is not disturbed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use data_encoding::BASE64;

use super::{Begin, End, Error, EventRow, FORMAT, Line, kind_name};
use crate::domain::ids::Hash;
use crate::store::codec::record::Record;
use crate::store::files::Files;
use crate::store::journal::folder;
use crate::store::journal::segment::{Item, segments};
use crate::store::log::Head;
use crate::store::payloads::Payloads;
use crate::store::verify::ChainWalk;
use crate::store::{self, chain};
use crate::views;

/// What is written of a log.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The first position, which begins a batch.
    pub from: u64,
    /// Where the log ends, as far as it is wanted.
    pub head: Head,
    /// With private parts and payloads.
    pub private: bool,
}

/// What was written of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The last line.
    pub end: End,
    /// Payloads that the events name and that were left out, as they are missing or damaged.
    pub left_out: u64,
}

/// Writes the events of the store in `store` that are `wanted` to `out`.
///
/// # Errors
/// [`Error::Store`] when the log is damaged or `wanted.head` is not one of its moments, [`Error::Io`] from `out`.
pub fn write(
    files: &dyn Files,
    store: &Path,
    payloads: &Payloads,
    wanted: Wanted,
    out: &mut dyn Write,
) -> Result<Written, Error> {
    let Wanted { from, head, private } = wanted;
    let dir = folder(store, head.node);
    let damaged = |path: &Path, why: String| store::Error::Damaged(format!("{}: {why}", path.display()));
    let mut lines = Lines { out, hasher: blake3::Hasher::new() };
    let mut written: BTreeSet<Hash> = BTreeSet::new();
    let mut left_out: BTreeSet<Hash> = BTreeSet::new();
    let mut walk: Option<ChainWalk> = None;
    let begin = |previous: Hash| Begin {
        format: FORMAT,
        meno: env!("CARGO_PKG_VERSION").to_owned(),
        node: head.node,
        from,
        previous,
        private,
    };
    let mut previous = if from == 1 { Some(chain::genesis(head.node)) } else { None };
    'log: for segment in segments(files, &dir, head.node, from)? {
        let segment = segment?;
        if let Some(header) = segment.header.filter(|header| header.first <= from) {
            previous = Some(header.previous);
        }
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) if frame.last() > head.seq => break 'log,
                Item::Frame(_, frame) if frame.last() < from => previous = Some(frame.hash),
                Item::Frame(_, frame) => {
                    let walk = match &mut walk {
                        Some(walk) => walk,
                        none => {
                            let previous =
                                previous.ok_or_else(|| damaged(&segment.path, "its beginning is missing".to_owned()))?;
                            lines.write(&Line::MenoEvents(begin(previous)))?;
                            none.insert(ChainWalk::after(Head { seq: from - 1, hash: previous, ..head }))
                        }
                    };
                    for record in frame.records() {
                        let record = record?;
                        let stored = walk.record(record).map_err(|why| damaged(&segment.path, why))?;
                        let kept = record.private.filter(|_| private);
                        for name in std::mem::take(&mut walk.payloads) {
                            if !private || written.contains(&name) || left_out.contains(&name) {
                                continue;
                            }
                            match text_of(payloads, name)? {
                                Some(text) => {
                                    lines.write(&Line::Payload { hash: name, text })?;
                                    written.insert(name);
                                }
                                None => {
                                    left_out.insert(name);
                                }
                            }
                        }
                        let Record { head: bytes, .. } = record;
                        lines.write(&Line::Event(EventRow {
                            seq: stored.envelope.seq,
                            run_id: stored.envelope.run,
                            version: stored.envelope.version,
                            at: views::utc(stored.envelope.at),
                            kind: kind_name(stored.kind).to_owned(),
                            batch: frame.batch,
                            head: BASE64.encode(bytes),
                            private: kept.map(|bytes| BASE64.encode(bytes)),
                            hash: stored.hash,
                        }))?;
                    }
                    if walk.head.hash != frame.hash {
                        return Err(damaged(&segment.path, format!("event {} does not follow the chain", frame.last())).into());
                    }
                }
                Item::Gap(gap) if gap.expected > head.seq => break 'log,
                Item::Gap(gap) if gap.expected < from => {}
                Item::Gap(gap) => {
                    let why = format!("bytes {} to {} are damaged", gap.from, gap.to);
                    return Err(damaged(&segment.path, why).into());
                }
                Item::Footer(_) => {}
            }
        }
    }
    let walk = match walk {
        Some(walk) => walk,
        None => {
            let previous = previous.ok_or_else(|| damaged(&dir, format!("event {from} is missing")))?;
            lines.write(&Line::MenoEvents(begin(previous)))?;
            ChainWalk::after(Head { seq: from - 1, hash: previous, ..head })
        }
    };
    if walk.head != head {
        return Err(
            damaged(&dir, format!("it reaches event {}, not event {} as it was acknowledged", walk.head.seq, head.seq)).into()
        );
    }
    let digest = Hash(*lines.hasher.finalize().as_bytes());
    let end = End { to: head.seq, head: head.hash, events: walk.events, payloads: written.len() as u64, digest };
    lines.write(&Line::End(end.clone()))?;
    lines.out.flush()?;
    Ok(Written { end, left_out: left_out.len() as u64 })
}

/// Returns a payload's text; `None` for one that is gone or damaged, as the event that names it still proves what it was.
fn text_of(payloads: &Payloads, name: Hash) -> Result<Option<String>, Error> {
    match payloads.read(name) {
        Ok(text) => Ok(String::from_utf8(text).ok()),
        Err(store::Error::MissingPayloads(_) | store::Error::Damaged(_)) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
}

impl Lines<'_> {
    fn write(&mut self, line: &Line) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec(line).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
        self.hasher.update(&bytes);
        Ok(self.out.write_all(&bytes)?)
    }
}
