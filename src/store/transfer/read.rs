//! Reads lines of events: every byte is checked, the chain followed, each private part held against its commitment.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};

use data_encoding::BASE64;

use super::{Begin, End, Error, EventRow, FORMAT, Line, kind_name};
use crate::domain::event::{Event, ForgottenParts};
use crate::domain::ids::{BatchId, Hash, RunId};
use crate::store::codec::record::Record;
use crate::store::codec::{self, Decoded};
use crate::store::log::{Head, Stored};
use crate::store::verify::ChainWalk;
use crate::views;

/// The longest line, in bytes: a payload of a size that no model writes.
const LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a file holds, all of it sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Whose log it is, and from where on.
    pub begin: Begin,
    /// Where it ends.
    pub end: End,
    /// Events without their private part.
    pub without_private: u64,
    /// Payloads that private parts name and that are not in it.
    pub missing_payloads: u64,
    /// What the log itself says is forgotten: run, parts, position.
    pub forgets: Vec<(RunId, ForgottenParts, u64)>,
}

impl Contents {
    /// Returns where the log ends.
    pub fn head(&self) -> Head {
        Head { node: self.begin.node, seq: self.end.to, hash: self.end.head }
    }
}

/// One thing that was read and is sound.
#[derive(Debug)]
pub enum TransferItem<'a> {
    /// An event: its batch, its bytes, and what they say.
    Event(BatchId, Record<'a>, &'a Stored),
    /// A payload's text.
    Payload(Hash, &'a str),
}

/// Reads one file to its end and gives everything to `each`. What was given counts only when this returns well.
///
/// # Errors
/// [`Error::Unsound`] with the line, [`Error::Newer`], [`Error::Io`], and what `each` says.
pub fn read(file: &mut dyn BufRead, each: &mut dyn FnMut(TransferItem<'_>) -> Result<(), Error>) -> Result<Contents, Error> {
    let mut lines = Lines { file, number: 0, text: Vec::new() };
    let Some(Line::MenoEvents(begin)) = lines.next()? else { return lines.unsound("it does not begin as events do") };
    if begin.format > FORMAT {
        return Err(Error::Newer(begin.format));
    }
    if begin.from == 0 {
        return lines.unsound("positions begin with 1");
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&lines.text);
    let mut walk = ChainWalk::after(Head { node: begin.node, seq: begin.from - 1, hash: begin.previous });
    let (mut payloads, mut forgets) = (BTreeSet::new(), Vec::new());
    loop {
        let Some(line) = lines.next()? else { return lines.unsound("the end is missing") };
        match line {
            Line::Event(row) => event(&mut lines, &mut walk, &mut forgets, row, each)?,
            Line::Payload { hash, text } => {
                if Hash::of(text.as_bytes()) != hash {
                    return lines.unsound("the text does not have this hash");
                }
                each(TransferItem::Payload(hash, &text))?;
                payloads.insert(hash);
            }
            Line::End(end) => {
                let digest = Hash(*hasher.finalize().as_bytes());
                let found =
                    End { to: walk.head.seq, head: walk.head.hash, events: walk.events, payloads: payloads.len() as u64, digest };
                let as_written = serde_json::to_vec(&Line::End(found.clone())).map_err(std::io::Error::from)?;
                if end != found || lines.text.strip_suffix(b"\n") != Some(&as_written[..]) {
                    return lines.unsound("what is before is not what was written");
                }
                if lines.next()?.is_some() {
                    return lines.unsound("it goes on behind its end");
                }
                let missing_payloads = walk.payloads.difference(&payloads).count() as u64;
                return Ok(Contents { begin, end, without_private: walk.without_private, missing_payloads, forgets });
            }
            Line::MenoEvents(_) => return lines.unsound("it begins twice"),
        }
        hasher.update(&lines.text);
    }
}

fn event(
    lines: &mut Lines<'_>,
    walk: &mut ChainWalk,
    forgets: &mut Vec<(RunId, ForgottenParts, u64)>,
    row: EventRow,
    each: &mut dyn FnMut(TransferItem<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let decode = |text: &str| BASE64.decode(text.as_bytes());
    let (Ok(head), Ok(private)) = (decode(&row.head), row.private.as_deref().map(decode).transpose()) else {
        return lines.unsound("its bytes are not base64");
    };
    if private.as_ref().is_some_and(Vec::is_empty) {
        return lines.unsound("a private part is never empty");
    }
    let record = Record { head: &head, private: private.as_deref() };
    let stored = match walk.record(record) {
        Ok(stored) => stored,
        Err(why) => return lines.unsound(&why),
    };
    let envelope = &stored.envelope;
    let said = (row.seq, row.run_id, row.version, row.at.as_str(), row.hash);
    if said != (envelope.seq, envelope.run, envelope.version, &views::utc(envelope.at), stored.hash) {
        return lines.unsound("what it says is not what its bytes say");
    }
    // A kind that the writer did not know may be known here.
    if row.kind != kind_name(stored.kind) && row.kind != kind_name(0) {
        return lines.unsound("its kind is not what its bytes say");
    }
    if let Ok(Decoded::Known(recorded)) = codec::decode(&stored)
        && let Event::PrivatePartsForgotten(body) = recorded.event
    {
        forgets.push((body.run, body.which, stored.envelope.seq));
    }
    each(TransferItem::Event(row.batch, record, &stored))
}

struct Lines<'a> {
    file: &'a mut dyn BufRead,
    number: u64,
    /// The line, with its end.
    text: Vec<u8>,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<Line>, Error> {
        self.text.clear();
        let read = (&mut *self.file).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.text.last() != Some(&b'\n') {
            return self.unsound("it is cut short, or longer than a line can be");
        }
        match serde_json::from_slice(&self.text) {
            Ok(line) => Ok(Some(line)),
            Err(why) => self.unsound(&why.to_string()),
        }
    }

    fn unsound<T>(&self, why: &str) -> Result<T, Error> {
        Err(Error::Unsound { line: self.number, why: why.to_owned() })
    }
}
