//! Is the whole log still what was written? Reads every acknowledged byte of the journal and follows the chain through it.
//!
//! It changes nothing and needs no lock: what was acknowledged before it began never moves, and what comes later it leaves alone. What
//! to do about a finding is decided elsewhere.

use std::path::{Path, PathBuf};

use super::codec::{self, Decoded};
use super::files::Files;
use super::journal::folder;
use super::journal::frame::Frame;
use super::journal::segment::{self, Item, Segment};
use super::log::{Head, Stored};
use super::{Error, chain};
use crate::domain::event::Recorded;
use crate::domain::ids::Hash;

/// What a look through the journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Sound events.
    pub events: u64,
    /// Events whose private part is gone, as `forget` leaves them.
    pub forgotten: u64,
    /// Events of kinds that this release does not know.
    pub unknown: u64,
    /// Files read.
    pub segments: u64,
    /// BLAKE3 over the hashes of all events in order: the same for every copy of the same log.
    pub digest: Hash,
    /// What is not as it was written.
    pub findings: Vec<Finding>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The event concerned, or the first of them, where that can be told.
    pub seq: Option<u64>,
    /// What is wrong there, in words.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

/// Folds the hashes of events into the digest of a log.
#[derive(Clone, Debug, Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    /// Takes in the next event's hash.
    pub fn add(&mut self, hash: &Hash) {
        self.0.update(&hash.0);
    }

    /// Returns the digest.
    pub fn finish(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

/// Reads the journal of the store in `store` up to `head`, and shows every event that can be read to `visit`.
///
/// # Errors
/// [`Error::Io`] when the folder or a file cannot be read, [`Error::Newer`].
pub fn scan(files: &dyn Files, store: &Path, head: Head, visit: &mut dyn FnMut(Recorded)) -> Result<Scan, Error> {
    scan_stored(files, store, head, &mut |_, known| known.map_or((), &mut *visit))
}

/// Like [`scan`], but shows every event also as it is stored, those of kinds that this release does not know included.
///
/// # Errors
/// As [`scan`].
pub fn scan_stored(files: &dyn Files, store: &Path, head: Head, visit: Visit<'_>) -> Result<Scan, Error> {
    let dir = folder(store, head.node);
    let start = Head { seq: 0, hash: chain::genesis(head.node), ..head };
    let mut walk = Walk { scan: Scan::default(), digest: Digest::default(), at: start, known: true, end: head, visit };
    for segment in segment::segments(files, &dir, head.node, 1)? {
        if walk.at.seq >= head.seq {
            break;
        }
        walk.segment(&segment?);
    }
    if walk.at.seq < head.seq {
        let what = format!("events {} to {} are missing at the end", walk.at.seq + 1, head.seq);
        walk.find(&dir, Some(walk.at.seq + 1), what, format!("an end at event {}", head.seq), walk.at.seq);
    } else if walk.known && walk.at.seq == head.seq && walk.at.hash != head.hash {
        let what = format!("event {} is not the one that was acknowledged", head.seq);
        walk.find(&dir, Some(head.seq), what, head.hash, walk.at.hash);
    }
    walk.scan.digest = walk.digest.finish();
    Ok(walk.scan)
}

/// Is shown an event as it is stored, and as it is understood where it is.
pub type Visit<'a> = &'a mut dyn FnMut(&Stored, Option<Recorded>);

struct Walk<'a> {
    scan: Scan,
    digest: Digest,
    /// The last event read.
    at: Head,
    /// Whether the hash there is known: behind a hole it is not.
    known: bool,
    end: Head,
    visit: Visit<'a>,
}

impl Walk<'_> {
    fn find(&mut self, file: &Path, seq: Option<u64>, what: String, expected: impl ToString, found: impl ToString) {
        let (file, expected, found) = (file.to_owned(), expected.to_string(), found.to_string());
        self.scan.findings.push(Finding { file, seq, what, expected, found });
    }

    fn segment(&mut self, segment: &Segment) {
        self.scan.segments += 1;
        if segment.first > self.at.seq + 1 {
            let what = format!("events {} to {} before it are missing", self.at.seq + 1, segment.first - 1);
            self.find(&segment.path, Some(self.at.seq + 1), what, self.at.seq + 1, segment.first);
            self.at.seq = segment.first - 1;
            self.known = false;
        }
        if let Some(header) = segment.header
            && self.known
            && header.previous != self.at.hash
        {
            let what = "it does not follow the chain of the file before it".to_owned();
            self.find(&segment.path, Some(segment.first), what, self.at.hash, header.previous);
        }
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) if frame.first <= self.end.seq => self.frame(segment, &frame),
                // An append under way, not acknowledged yet.
                Item::Frame(..) => {}
                // Behind the end everything may be half written.
                Item::Gap(gap) if gap.expected > self.end.seq => {}
                Item::Gap(gap) => {
                    let what = format!("bytes {} to {} are damaged, at event {}", gap.from, gap.to, gap.expected);
                    self.find(&segment.path, Some(gap.expected), what, "a sound frame", "bytes that are none");
                    self.known = false;
                }
                Item::Footer(footer) => {
                    if self.known && (footer.last, footer.hash) != (self.at.seq, self.at.hash) {
                        let what = "its seal is not that of its events".to_owned();
                        self.find(&segment.path, Some(self.at.seq), what, self.at.hash, footer.hash);
                    }
                }
            }
        }
    }

    fn frame(&mut self, segment: &Segment, frame: &Frame<'_>) {
        let mut previous = self.at.hash;
        for (seq, record) in (frame.first..).zip(frame.records()) {
            let stored = record.and_then(|record| {
                previous = chain::next(&previous, record.head);
                record.to_stored(previous)
            });
            match stored {
                Ok(stored) => {
                    self.digest.add(&stored.hash);
                    self.scan.events += 1;
                    if stored.envelope.seq != seq {
                        let what = format!("event {} stands at position {seq}", stored.envelope.seq);
                        self.find(&segment.path, Some(seq), what, seq, stored.envelope.seq);
                    }
                    match &stored.private {
                        Some(private) if chain::commitment(private) != stored.commitment => {
                            let what = format!("the texts of event {seq} are not those that were written");
                            let (expected, found) = (Hash(stored.commitment), Hash(chain::commitment(private)));
                            self.find(&segment.path, Some(seq), what, expected, found);
                        }
                        Some(_) => {}
                        None => self.scan.forgotten += 1,
                    }
                    match codec::decode(&stored) {
                        Ok(Decoded::Known(recorded)) => (self.visit)(&stored, Some(recorded)),
                        Ok(Decoded::Unknown { .. }) => {
                            self.scan.unknown += 1;
                            (self.visit)(&stored, None);
                        }
                        Err(why) => self.unreadable(segment, seq, &why),
                    }
                }
                Err(why) => self.unreadable(segment, seq, &why),
            }
        }
        if self.known && previous != frame.hash {
            let what = format!("events {} to {} do not follow the chain", frame.first, frame.last());
            self.find(&segment.path, Some(frame.first), what, frame.hash, previous);
        }
        self.at = Head { seq: frame.last(), hash: frame.hash, ..self.at };
        self.known = true;
    }
    fn unreadable(&mut self, segment: &Segment, seq: u64, why: &Error) {
        self.find(
            &segment.path,
            Some(seq),
            format!("event {seq} cannot be read: {why}"),
            "a body of its kind",
            "bytes that are none",
        );
    }
}
