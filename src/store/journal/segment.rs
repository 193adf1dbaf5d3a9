//! Walks through the bytes of one segment: sound frames, and the stretches that are none.
//!
//! Whether bad bytes are damage or only a write that never finished is decided by [`recover`](super::recover); here they are found,
//! and the walk goes on behind them.

use std::path::{Path, PathBuf};

use super::frame::{FOOTER_BYTES, FRAME_BYTES, Footer, Frame, HEADER_BYTES, Header, Walk};
use crate::domain::ids::{Hash, NodeId, TimeNs};
use crate::store::Error;
use crate::store::files::{DataFile, Files};

/// A segment read into memory.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// The log's node.
    pub node: NodeId,
    /// Position of the first event, from the file's name.
    pub first: u64,
    /// The header, when it is sound and agrees with the name.
    pub header: Option<Header>,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// Bytes that are no frame, or positions that no frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First bad byte.
    pub from: u64,
    /// The byte after the last bad one; `from` when bytes were taken out.
    pub to: u64,
    /// The position that should have followed.
    pub expected: u64,
}

/// One thing met on the walk.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A sound frame and its offset.
    Frame(u64, Frame<'a>),
    /// Something is wrong here.
    Gap(Gap),
    /// The segment is sealed.
    Footer(Footer),
}

impl Segment {
    /// Reads the segment that begins with position `first`.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Newer`] when a later release wrote it.
    pub fn load(files: &dyn Files, dir: &Path, node: NodeId, first: u64) -> Result<Self, Error> {
        let path = dir.join(file_name(first));
        let bytes = files.read(&path).map_err(Error::io(&path))?;
        let header = Header::read(&bytes, node)?.filter(|header| header.first == first);
        Ok(Self { path, node, first, header, bytes })
    }

    /// Walks through the segment.
    pub fn items(&self) -> Items<'_> {
        Items { segment: self, at: 0, expected: self.first, frames: 0, begun: false, done: false, after_gap: false, bad: false }
    }
}

/// The walk through a segment.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    segment: &'a Segment,
    at: usize,
    expected: u64,
    frames: u32,
    begun: bool,
    done: bool,
    after_gap: bool,
    bad: bool,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let bytes = &self.segment.bytes;
        if !self.begun {
            self.begun = true;
            self.at = HEADER_BYTES.min(bytes.len());
            if self.segment.header.is_none() {
                return Some(self.gap(0, self.at));
            }
        }
        if self.done {
            return None;
        }
        let at = self.at;
        let rest = &bytes[at..];
        if let Some(frame) = Frame::read(rest, self.segment.node) {
            if frame.first > self.expected && !self.after_gap {
                // Positions are missing though no byte is bad: frames were taken out.
                self.after_gap = true;
                return Some(self.gap(at, at));
            }
            self.at = at + frame.bytes.len();
            if frame.first < self.expected {
                // A frame that stands here for the second time, or was moved.
                return Some(self.gap(at, self.at));
            }
            self.after_gap = false;
            self.expected = frame.last() + 1;
            self.frames += 1;
            return Some(Item::Frame(at as u64, frame));
        }
        if let Some(footer) = Footer::read(rest, self.segment.node) {
            // Once frames are known to be gone, their number says nothing any more.
            let frames = if self.bad { footer.frames } else { self.frames };
            let agrees = (footer.first, footer.last + 1, footer.frames) == (self.segment.first, self.expected, frames);
            if !agrees && !self.after_gap {
                self.after_gap = true;
                return Some(self.gap(at, at));
            }
            self.at = at + FOOTER_BYTES;
            self.done = self.at == bytes.len();
            self.after_gap = true;
            return Some(Item::Footer(footer));
        }
        self.done = true;
        if rest.iter().all(|byte| *byte == 0) {
            return None;
        }
        // Scan on: what is sound behind the bad bytes says whether they had been synced.
        let magic = |found: &[u8]| found == b"MFRM" || found == b"MSEA";
        let next = (at + 1..bytes.len().saturating_sub(FRAME_BYTES.min(FOOTER_BYTES))).find(|next| {
            let rest = &bytes[*next..];
            magic(&rest[..4])
                && (Frame::read(rest, self.segment.node).is_some_and(|frame| frame.first >= self.expected)
                    || Footer::read(rest, self.segment.node).is_some())
        });
        self.at = next.unwrap_or(bytes.len());
        (self.done, self.after_gap) = (next.is_none(), true);
        Some(self.gap(at, self.at))
    }
}

impl<'a> Items<'a> {
    fn gap(&mut self, from: usize, to: usize) -> Item<'a> {
        self.bad = true;
        Item::Gap(Gap { from: from as u64, to: to as u64, expected: self.expected })
    }
}

/// The end of a segment of which every byte is as it was written: sound frames, each after the one before, and zeros behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundEnd {
    /// Position of the last event.
    pub last: u64,
    /// The chain's hash at it.
    pub hash: Hash,
    /// When it was recorded.
    pub last_at: Option<TimeNs>,
    /// How many frames there are, one at least.
    pub frames: u32,
    /// Where the last one ends.
    pub end: u64,
    /// Up to where it says that the segment was synced when it was written.
    pub synced_to: u64,
}

/// Reads an open segment through, a part at a time, as [`Segment::items`] does with all of it in memory; `None` for anything but a sound
/// one, which is for [`recover`](super::recover) to look at as a whole.
pub fn sound_end(files: &dyn Files, path: &Path, node: NodeId, first: u64) -> Option<SoundEnd> {
    let file = files.open_read(path).ok()?;
    let mut window = Window { length: file.length().ok()?, file: &*file, from: 0, bytes: Vec::new() };
    Header::read(window.part(0, HEADER_BYTES)?, node).ok()?.filter(|header| header.first == first)?;
    let (mut at, mut next, mut sound) = (HEADER_BYTES as u64, first, None);
    while let Some(length) = window.part(at, FRAME_BYTES).and_then(Frame::length) {
        let walk = window.walk(at, length, node)?;
        let (frame, last_at) = walk.end().filter(|(frame, _)| frame.first == next)?;
        let frames = sound.map_or(0, |sound: SoundEnd| sound.frames) + 1;
        (at, next) = (at + length as u64, frame.last() + 1);
        sound = Some(SoundEnd { last: frame.last(), hash: frame.hash, last_at, frames, end: at, synced_to: frame.synced_to });
    }
    while at < window.length {
        let part = window.part(at, WINDOW_BYTES.min(usize::try_from(window.length - at).ok()?))?;
        if part.iter().any(|byte| *byte != 0) {
            return None;
        }
        at += part.len() as u64;
    }
    sound
}

/// What is read of a file at once. It is little on purpose, and so is what is held: glibc takes a large piece that is freed as a sign to keep
/// such pieces, and fills with zeros then what sled asks for empty, half a megabyte forty times.
const WINDOW_BYTES: usize = 64 * 1024;

/// A part of a file that moves on.
struct Window<'a> {
    file: &'a dyn DataFile,
    length: u64,
    from: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Returns `length` bytes at `at`, which is never before an earlier one; `None` when there are fewer, or they cannot be read.
    fn part(&mut self, at: u64, length: usize) -> Option<&[u8]> {
        let left = usize::try_from(self.length.checked_sub(at)?).ok().filter(|left| *left >= length)?;
        let mut begin = usize::try_from(at - self.from).ok()?;
        if self.bytes.len() < begin + length {
            self.bytes.drain(..begin.min(self.bytes.len()));
            self.from = at;
            begin = 0;
            let had = self.bytes.len();
            self.bytes.resize(length.max(WINDOW_BYTES).min(left), 0);
            self.file.read_at(self.bytes.get_mut(had..)?, at + had as u64).ok()?;
        }
        self.bytes.get(begin..begin + length)
    }

    /// Reads the frame of `length` bytes at `at` through.
    fn walk(&mut self, at: u64, length: usize, node: NodeId) -> Option<Walk> {
        let mut walk = Walk::begin(self.part(at, FRAME_BYTES)?.try_into().ok()?, node);
        let mut done = FRAME_BYTES;
        while done < length {
            let part = self.part(at + done as u64, walk.wants(length - done, WINDOW_BYTES))?;
            walk.take(part);
            done += part.len();
        }
        Some(walk)
    }
}

/// Returns the name of the segment whose first event has position `first`; names sort as positions do.
pub fn file_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// Returns at most so many of the first and of the last bytes of a file, without reading the rest where the file can be opened for that.
///
/// # Errors
/// What the file system says.
pub fn both_ends(files: &dyn Files, path: &Path, first: usize, last: usize) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let Ok(file) = files.open_read(path) else {
        // Where nothing can be written, files can be read all the same.
        let bytes = files.read(path)?;
        let (first, last) = (first.min(bytes.len()), bytes.len().saturating_sub(last));
        return Ok((bytes[..first].to_vec(), bytes[last..].to_vec()));
    };
    let length = file.length()?;
    let part = |bytes: usize| vec![0; usize::try_from(length).map_or(bytes, |length| bytes.min(length))];
    let (mut first, mut last) = (part(first), part(last));
    file.read_at(&mut first, 0)?;
    let from = length - last.len() as u64;
    file.read_at(&mut last, from)?;
    Ok((first, last))
}

/// Returns the first positions of the segments in `dir`, in order; none when the folder is not there.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read.
pub fn list(files: &dyn Files, dir: &Path) -> Result<Vec<u64>, Error> {
    if !files.exists(dir) {
        return Ok(Vec::new());
    }
    let names = files.list(dir).map_err(Error::io(dir))?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".seg")?.parse().ok()).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Reads the segments of `dir` one after the other, beginning with the one that holds position `from`.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be read; each segment may fail for itself.
pub fn segments<'a>(
    files: &'a dyn Files,
    dir: &'a Path,
    node: NodeId,
    from: u64,
) -> Result<impl Iterator<Item = Result<Segment, Error>> + 'a, Error> {
    let mut firsts = list(files, dir)?;
    let begin = firsts.partition_point(|first| *first <= from).saturating_sub(1);
    firsts.drain(..begin);
    Ok(firsts.into_iter().map(move |first| Segment::load(files, dir, node, first)))
}
