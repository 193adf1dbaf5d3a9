//! Opens a log after anything: a kill, a loss of power, flipped, cut or foreign bytes.
//!
//! Bad bytes are **torn** when nobody was ever told that they are there: only then are they cut. They are **damage** when a later frame
//! says that they had been synced, when their segment is sealed or has a successor, or when the index holds an event of theirs: then the
//! index gives back what it has, the damaged file is kept beside, and whatever is lost is named. Nothing is ever cut silently.
//!
//! A log that is only read is left as it lies: what is torn is left out, what is damaged is named, and nothing is put right.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use super::JournalDir;
use super::frame::{FOOTER_BYTES, Footer, Frame, HEADER_BYTES, Header, NewFrame};
use super::segment::{self, Gap, Item, Segment, SoundEnd, file_name};
use super::writer::OpenSegment;
use crate::domain::ids::{BatchId, Hash, TimeNs};
use crate::store::codec::record::Record;
use crate::store::files::{make_dirs_inside, write_whole};
use crate::store::log::Head;
use crate::store::{Error, chain};

/// Who else remembers events.
pub trait Replica {
    /// Returns the last position that it holds; 0 for none.
    ///
    /// # Errors
    /// Why it cannot say.
    fn last(&self) -> Result<u64, Error>;

    /// Returns the batches with positions from `from` up to and including `to`, as far as it has them without a hole.
    ///
    /// # Errors
    /// Why it cannot say.
    fn batches(&self, from: u64, to: u64) -> Result<Vec<Kept>, Error>;
}

/// A batch that a witness kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The batch's id.
    pub batch: BatchId,
    /// Head and private part of each event.
    pub records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The chain's hash at its last event.
    pub hash: Hash,
}

/// What opening a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// What was put right, in words for people.
    pub notices: Vec<String>,
    /// What was not as it was written.
    pub damage: Vec<Damage>,
}

/// A damaged stretch of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// First bad byte.
    pub from: u64,
    /// The byte after the last bad one; 0 when bytes are missing or nobody knows which.
    pub to: u64,
    /// First position concerned.
    pub first: u64,
    /// The position after the last one concerned; `first` when no event was hit.
    pub until: u64,
    /// The index still had every event, and they were put back.
    pub restored: bool,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, from, to, first, until, restored } = self;
        match to {
            0 => write!(f, "{}: bytes are missing, ", file.display()),
            _ => write!(f, "{}: bytes {from} to {to} are damaged, ", file.display()),
        }?;
        match until.saturating_sub(*first) {
            0 => write!(f, "no event is concerned"),
            1 => write!(f, "event {first} is concerned"),
            _ => write!(f, "events {first} to {} are concerned", until - 1),
        }?;
        write!(
            f,
            "{}",
            if *restored {
                "; all is restored"
            } else if first == until {
                ""
            } else {
                " and lost"
            }
        )
    }
}

pub(super) struct OpenedJournal {
    pub head: Head,
    pub last_at: Option<TimeNs>,
    pub open: Option<OpenSegment>,
    pub recovery: Recovery,
}

/// A sound frame, without its bytes.
#[derive(Clone, Copy)]
struct Sound {
    at: u64,
    end: u64,
    first: u64,
    until: u64,
    synced_to: u64,
    hash: Hash,
}

pub(super) fn open(place: &JournalDir, witness: &dyn Replica) -> Result<OpenedJournal, Error> {
    let files = &*place.files;
    if !place.read_only {
        // The writer syncs the folders before it acknowledges anything.
        let journal = place.dir.parent().unwrap_or(&place.dir);
        make_dirs_inside(files, [journal, &place.dir]).map_err(Error::io(&place.dir))?;
    }
    let mut firsts = segment::list(files, &place.dir)?;
    let mut recovery = Recovery::default();
    let mut head = Head { node: place.node, seq: 0, hash: chain::genesis(place.node) };
    let held = Held { witness, last: OnceCell::new() };
    drop_unborn(place, &mut firsts, &held, &mut recovery)?;
    for (index, first) in firsts.iter().enumerate() {
        let successor = firsts.get(index + 1).copied();
        if *first != head.seq + 1 {
            // A whole segment is missing: it is damage without a file, and the next one says where the chain stands.
            missing(place, head, *first, &held, &mut recovery)?;
            head.seq = first - 1;
        }
        let trusted = if place.thorough { None } else { successor.and_then(|next| sealed(place, *first, next)) };
        if let Some(footer) = trusted {
            head = Head { seq: footer.last, hash: footer.hash, ..head };
            continue;
        }
        if !place.thorough && successor.is_none() {
            let path = place.dir.join(file_name(*first));
            if let Some(sound) = segment::sound_end(files, &path, place.node, *first) {
                let SoundEnd { last, hash, last_at, frames, end, synced_to } = sound;
                let open = if place.read_only { None } else { Some(reopen(place, *first, end, frames, synced_to)?) };
                return Ok(OpenedJournal { head: Head { seq: last, hash, ..head }, last_at, open, recovery });
            }
        }
        let segment = Segment::load(files, &place.dir, place.node, *first)?;
        let settled = settle(place, segment, head, successor, &held, &mut recovery)?;
        head = settled.head;
        if successor.is_none() {
            let mut last_at = settled.last_at;
            if last_at.is_none() && index > 0 {
                // The last segment was made and got no frame.
                last_at = last_time(&Segment::load(files, &place.dir, place.node, firsts[index - 1])?, None);
            }
            let open = match settled.sealed {
                _ if place.read_only => None,
                false => Some(reopen(place, *first, settled.end, settled.frames, settled.synced_to)?),
                true => {
                    // Whoever sealed it died before the next one was made, and perhaps before the footer was synced.
                    let path = &settled.segment.path;
                    files.open(path).and_then(|file| file.sync_data()).map_err(Error::io(path))?;
                    None
                }
            };
            return Ok(OpenedJournal { head, last_at, open, recovery });
        }
    }
    Ok(OpenedJournal { head, last_at: None, open: None, recovery })
}

/// The witness's last position, asked for once and only when it is needed.
struct Held<'a> {
    witness: &'a dyn Replica,
    last: OnceCell<u64>,
}

impl Held<'_> {
    fn last(&self) -> Result<u64, Error> {
        match self.last.get() {
            Some(last) => Ok(*last),
            None => self.witness.last().map(|last| *self.last.get_or_init(|| last)),
        }
    }
}

/// Removes a last segment that was made but never got a frame: its header may not have reached the disk.
fn drop_unborn(place: &JournalDir, firsts: &mut Vec<u64>, held: &Held<'_>, recovery: &mut Recovery) -> Result<(), Error> {
    let Some(first) = firsts.last().copied() else { return Ok(()) };
    if header(place, first)?.is_some() {
        return Ok(());
    }
    let segment = Segment::load(&*place.files, &place.dir, place.node, first)?;
    let unborn = segment.items().all(|item| matches!(item, Item::Gap(_)));
    if !unborn || held.last()? >= first {
        return Ok(());
    }
    firsts.pop();
    if place.read_only {
        return Ok(());
    }
    let remove = || {
        place.files.remove(&segment.path)?;
        place.files.sync_dir(&place.dir)
    };
    remove().map_err(Error::io(&segment.path))?;
    notice(recovery, format!("{}: a file that was never written to was removed", segment.path.display()));
    Ok(())
}

/// Reads a segment's header alone; `None` when it is not sound or not of this segment.
fn header(place: &JournalDir, first: u64) -> Result<Option<Header>, Error> {
    let path = place.dir.join(file_name(first));
    let file = place.files.open_read(&path).map_err(Error::io(&path))?;
    let mut bytes = [0; HEADER_BYTES];
    if file.length().map_err(Error::io(&path))? < HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.read_at(&mut bytes, 0).map_err(Error::io(&path))?;
    Ok(Header::read(&bytes, place.node)?.filter(|header| header.first == first))
}

/// Returns the footer of a segment that is whole by its header, its footer and its successor; its frames are not read.
fn sealed(place: &JournalDir, first: u64, next: u64) -> Option<Footer> {
    let file = place.files.open_read(&place.dir.join(file_name(first))).ok()?;
    let length = file.length().ok()?;
    let header = header(place, first).ok()??;
    let end = length.checked_sub(FOOTER_BYTES as u64)?;
    let mut footer = [0; FOOTER_BYTES];
    file.read_at(&mut footer, end).ok()?;
    let footer = Footer::read(&footer, place.node)?;
    (header.first == footer.first && footer.last + 1 == next && footer.end == end).then_some(footer)
}

fn missing(place: &JournalDir, head: Head, next: u64, held: &Held<'_>, recovery: &mut Recovery) -> Result<(), Error> {
    let first = head.seq + 1;
    let path = place.dir.join(file_name(first));
    let mut damage = Damage { file: path.clone(), from: 0, to: 0, first, until: next, restored: false };
    if next > first
        && !place.read_only
        && let Some(frames) = kept(held.witness, head, first, next)?
    {
        let bytes = rebuild(&path, Header { first, previous: head.hash }, &frames, true, place)?;
        write_whole(&*place.files, &path, &bytes).map_err(Error::io(&path))?;
        damage.restored = true;
    }
    report(recovery, damage);
    Ok(())
}

struct Settled {
    segment: Segment,
    head: Head,
    sealed: bool,
    /// Where the next frame goes.
    end: u64,
    frames: u32,
    /// Up to where the last frame says that the segment was synced when that frame was written.
    synced_to: u64,
    last_at: Option<TimeNs>,
}

/// Reads a segment through, cuts what is torn, and restores or reports what is damaged.
fn settle(
    place: &JournalDir,
    mut segment: Segment,
    before: Head,
    successor: Option<u64>,
    held: &Held<'_>,
    recovery: &mut Recovery,
) -> Result<Settled, Error> {
    // What lies before may be lost; then the segment itself says where the chain stood.
    let before = Head { hash: segment.header.map_or(before.hash, |header| header.previous), ..before };
    let (mut frames, mut gaps, mut footer) = (Vec::new(), Vec::new(), None);
    for item in segment.items() {
        match item {
            Item::Frame(at, frame) => frames.push(Sound {
                at,
                end: at + frame.bytes.len() as u64,
                first: frame.first,
                until: frame.last() + 1,
                synced_to: frame.synced_to,
                hash: frame.hash,
            }),
            Item::Gap(gap) => gaps.push(gap),
            Item::Footer(found) => footer = Some(found),
        }
    }
    let after = |frames: &[Sound]| frames.last().map_or(segment.first, |frame| frame.until);
    let end = segment.bytes.len() as u64;
    let told = successor.or(footer.map(|footer| footer.last + 1));
    if told.is_some_and(|until| until > after(&frames)) && gaps.last().is_none_or(|gap| gap.expected != after(&frames)) {
        gaps.push(Gap { from: end, to: end, expected: after(&frames) });
    }
    if successor.is_some() && footer.is_none() && gaps.is_empty() {
        gaps.push(Gap { from: end, to: end, expected: after(&frames) });
    }

    let mut damages = Vec::new();
    let mut cut = None;
    for gap in gaps {
        let synced = frames.iter().any(|frame| frame.at >= gap.to && frame.synced_to > gap.from);
        if told.is_some() || synced || held.last()? >= gap.expected {
            let next = frames.iter().find(|frame| frame.at >= gap.to && frame.first >= gap.expected).map(|frame| frame.first);
            let until = match next.or(told) {
                Some(until) => until,
                None => held.last()? + 1,
            };
            damages.push((gap, until.max(gap.expected)));
        } else {
            frames.retain(|frame| frame.end <= gap.from);
            cut = Some(gap.from);
            break;
        }
    }

    if let Some(cut) = cut {
        let path = &segment.path;
        let shorten = || {
            let file = place.files.open(path)?;
            file.set_len(cut)?;
            file.sync_data()
        };
        let what = if place.read_only {
            "are no whole events and are left out"
        } else {
            shorten().map_err(Error::io(path))?;
            "were never acknowledged and were cut"
        };
        let (rest, last) = (segment.bytes.len() as u64 - cut, after(&frames) - 1);
        notice(recovery, format!("{}: the last {rest} bytes {what}, after event {last}", path.display()));
        segment.bytes.truncate(cut as usize);
    }
    if !damages.is_empty() {
        let restored = if place.read_only { None } else { restore(place, &segment, before, &damages, told, held)? };
        for (gap, until) in &damages {
            report(
                recovery,
                Damage {
                    file: segment.path.clone(),
                    from: gap.from,
                    to: gap.to,
                    first: gap.expected,
                    until: *until,
                    restored: restored.is_some(),
                },
            );
        }
        if let Some(bytes) = restored {
            set_aside(place, &segment)?;
            write_whole(&*place.files, &segment.path, &bytes).map_err(Error::io(&segment.path))?;
            let whole = Segment::load(&*place.files, &place.dir, place.node, segment.first)?;
            return settle(place, whole, before, successor, held, recovery);
        }
        if told.is_none() && !place.read_only && damages.last().is_some_and(|(_, until)| *until > after(&frames)) {
            let (gap, until) = damages[damages.len() - 1];
            return Err(Error::Damaged(format!(
                "{}: bytes from {} on are bad, and events {} to {} cannot be restored",
                segment.path.display(),
                gap.from,
                gap.expected,
                until - 1
            )));
        }
    }
    let hash = match (frames.last(), footer) {
        (_, Some(footer)) => footer.hash,
        (Some(frame), None) => frame.hash,
        (None, None) => before.hash,
    };
    // Where nothing can be restored, lost events at the very end count as there, so that an audit misses them.
    let lost = damages.last().map_or(0, |(_, until)| *until);
    let head = Head { seq: told.unwrap_or(after(&frames).max(lost)) - 1, hash, ..before };
    let end = frames.last().map_or(HEADER_BYTES as u64, |frame| frame.end).max(damages.last().map_or(0, |(gap, _)| gap.to));
    let last_at = last_time(&segment, frames.last().map(|frame| frame.at));
    let synced_to = frames.last().map_or(0, |frame| frame.synced_to);
    Ok(Settled { segment, head, sealed: footer.is_some(), end, frames: frames.len() as u32, synced_to, last_at })
}

/// Returns the segment's bytes with everything put back, or `None` when the witness lacks something or the chain does not close.
fn restore(
    place: &JournalDir,
    segment: &Segment,
    before: Head,
    damages: &[(Gap, u64)],
    told: Option<u64>,
    held: &Held<'_>,
) -> Result<Option<Vec<u8>>, Error> {
    let mut head = Head { seq: segment.first - 1, ..before };
    let mut frames: Vec<NewFrame> = Vec::new();
    let mut lost = damages.iter().filter(|(gap, until)| *until > gap.expected).peekable();
    for item in segment.items() {
        let Item::Frame(_, frame) = item else { continue };
        while let Some((gap, until)) = lost.next_if(|(gap, _)| gap.expected < frame.first) {
            let Some(kept) = kept(held.witness, head, gap.expected, *until)? else { return Ok(None) };
            head = kept.last().map_or(head, |frame| frame.head);
            frames.extend(kept);
        }
        let Some(again) = copy(&frame, head) else { return Ok(None) };
        head = again.head;
        frames.push(again);
    }
    for (gap, until) in lost {
        let Some(kept) = kept(held.witness, head, gap.expected, *until)? else { return Ok(None) };
        head = kept.last().map_or(head, |frame| frame.head);
        frames.extend(kept);
    }
    let sealed = told.is_some();
    if told.is_some_and(|until| head.seq + 1 != until) {
        return Ok(None);
    }
    rebuild(&segment.path, Header { first: segment.first, previous: before.hash }, &frames, sealed, place).map(Some)
}

/// Makes the frame again at the same place; `None` when it does not follow `head` in the chain.
fn copy(frame: &Frame<'_>, head: Head) -> Option<NewFrame> {
    let mut again = NewFrame::begin(frame.batch, head);
    for record in frame.records() {
        again.push(record.ok()?);
    }
    (again.first == frame.first && again.head.hash == frame.hash).then_some(again)
}

/// Returns what the witness kept of `first..until`, when it is all there and follows `head` in the chain.
///
/// # Errors
/// Why the witness cannot say.
pub fn kept(witness: &dyn Replica, mut head: Head, first: u64, until: u64) -> Result<Option<Vec<NewFrame>>, Error> {
    let mut frames = Vec::new();
    for Kept { batch, records, hash } in witness.batches(first, until - 1)? {
        let mut frame = NewFrame::begin(batch, head);
        for (head, private) in &records {
            frame.push(Record { head, private: private.as_deref() });
        }
        if frame.head.hash != hash {
            return Ok(None);
        }
        head = frame.head;
        frames.push(frame);
    }
    Ok((head.seq + 1 == until).then_some(frames))
}

/// Returns the bytes of a segment of `frames`.
fn rebuild(path: &Path, header: Header, frames: &[NewFrame], sealed: bool, place: &JournalDir) -> Result<Vec<u8>, Error> {
    let mut bytes = header.to_bytes(place.node);
    for frame in frames {
        let synced_to = bytes.len() as u64;
        bytes.extend(frame.clone().seal(synced_to));
    }
    if sealed {
        let last = frames.last().ok_or_else(|| Error::Damaged(format!("{}: no frame is left", path.display())))?;
        let (frames, end) = (frames.len() as u32, bytes.len() as u64);
        let footer = Footer { first: header.first, last: last.head.seq, frames, end, hash: last.head.hash };
        bytes.extend(footer.to_bytes(place.node));
    }
    Ok(bytes)
}

/// Keeps a copy of a damaged file beside it, before it is replaced.
fn set_aside(place: &JournalDir, segment: &Segment) -> Result<(), Error> {
    let name = file_name(segment.first);
    let beside = (1..).map(|number| place.dir.join(format!("{name}.damaged-{number}"))).find(|path| !place.files.exists(path));
    let Some(beside) = beside else { return Ok(()) };
    let keep = || {
        let file = place.files.create(&beside)?;
        file.write_at(&segment.bytes, 0)?;
        file.sync_data()
    };
    keep().map_err(Error::io(&beside))
}

fn reopen(place: &JournalDir, first: u64, end: u64, frames: u32, synced_to: u64) -> Result<OpenSegment, Error> {
    let path = place.dir.join(file_name(first));
    let file = place.files.open(&path).map_err(Error::io(&path))?;
    let zeroed_to = file.length().map_err(Error::io(&path))?;
    Ok(OpenSegment { file, first, end, zeroed_to, frames, synced_to })
}

/// Returns when the segment's last event was recorded; `at` is where its last frame stands, when that is known.
fn last_time(segment: &Segment, at: Option<u64>) -> Option<TimeNs> {
    let frame = match at {
        Some(at) => Frame::read(&segment.bytes[at as usize..], segment.node)?,
        None => segment.items().filter_map(|item| if let Item::Frame(_, frame) = item { Some(frame) } else { None }).last()?,
    };
    frame.last_at()
}

fn notice(recovery: &mut Recovery, text: String) {
    tracing::warn!("{text}");
    recovery.notices.push(text);
}

fn report(recovery: &mut Recovery, damage: Damage) {
    tracing::warn!("{damage}");
    recovery.damage.push(damage);
}
