//! Appends groups of frames to the last segment, and seals it when it is full.
//!
//! Zeros are written ahead of the data, so that most appends overwrite blocks that the file system has already given and the sync
//! need not wait for its own bookkeeping. The writer decides nothing about order or grouping.

use std::path::PathBuf;
use std::sync::Arc;

use super::frame::{FOOTER_BYTES, Footer, HEADER_BYTES, Header, NewFrame};
use super::segment::file_name;
use crate::store::files::{DataFile, Files};
use crate::store::log::Head;
use crate::store::{Error, Unwritable};

/// The shortest and longest stretch of zeros written ahead, in bytes.
const AHEAD_MIN: u64 = 64 * 1024;
const AHEAD_MAX: u64 = 1024 * 1024;

/// The end of a log that is being written.
pub struct Writer {
    files: Arc<dyn Files>,
    dir: PathBuf,
    segment_bytes: u64,
    /// The log's end, as far as it is written.
    head: Head,
    open: Option<OpenSegment>,
    /// The folders above have been synced, by this writer or one before it.
    folders_synced: bool,
}

/// The segment that takes the next frames.
pub struct OpenSegment {
    /// The file.
    pub file: Box<dyn DataFile>,
    /// Position of its first event.
    pub first: u64,
    /// Where the next frame goes.
    pub end: u64,
    /// Up to where it holds data or zeros.
    pub zeroed_to: u64,
    /// How many frames it has.
    pub frames: u32,
    /// Up to where it is known to be synced: where an earlier process wrote it, what lies behind may be synced too.
    pub synced_to: u64,
}

/// Frames that became durable together.
#[derive(Clone, Debug)]
pub struct Group {
    /// The frames' bytes, one after the other.
    pub bytes: Vec<u8>,
    /// How many events they have.
    pub events: u64,
    /// The log's end after them.
    pub head: Head,
}

impl Writer {
    /// Goes on after `head`, in the segment `open` unless that is sealed.
    pub fn new(files: Arc<dyn Files>, dir: PathBuf, segment_bytes: u64, head: Head, open: Option<OpenSegment>) -> Self {
        // Whoever wrote a frame had synced the folders and the segment's name before.
        let folders_synced = open.as_ref().is_some_and(|open| open.frames > 0);
        Self { files, dir, segment_bytes, head, open, folders_synced }
    }

    /// Makes durable what earlier processes wrote.
    ///
    /// # Errors
    /// [`Error::Io`]: the writer must not be used again.
    pub fn settle(&mut self) -> Result<(), Error> {
        match &mut self.open {
            Some(open) if open.synced_to < open.end => {
                open.file.sync_data().map_err(Error::io(self.dir.join(file_name(open.first))))?;
                open.synced_to = open.end;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes `frames` and returns once they are durable.
    ///
    /// # Errors
    /// [`Error::Io`]: how much was written is unknown, and the writer must not be used again.
    pub fn write(&mut self, frames: Vec<NewFrame>) -> Result<Group, Error> {
        let length = frames.iter().map(NewFrame::length).sum::<usize>() as u64;
        let full = |open: &OpenSegment| open.frames > 0 && open.end + length + FOOTER_BYTES as u64 > self.segment_bytes;
        if self.open.as_ref().is_some_and(full) {
            self.seal()?;
        }
        if !self.folders_synced {
            // A process before this one may have made folders and died before it synced them.
            for dir in self.dir.ancestors().take(3).filter(|dir| !dir.as_os_str().is_empty()) {
                self.files.sync_dir(dir).map_err(Error::io(dir))?;
            }
            self.folders_synced = true;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let failed = Error::io(self.dir.join(file_name(open.first)));
        let (count, events) = (frames.len() as u32, frames.iter().map(|frame| u64::from(frame.count)).sum());
        let head = frames.last().map_or(self.head, |frame| frame.head);
        let mut bytes = Vec::with_capacity(length as usize);
        for frame in frames {
            bytes.extend(frame.seal(open.synced_to));
        }
        let end = open.end + length;
        if end > open.zeroed_to {
            let ahead = end.clamp(AHEAD_MIN, AHEAD_MAX);
            open.zeroed_to = (end + ahead).min(self.segment_bytes.max(end));
            bytes.resize((open.zeroed_to - open.end) as usize, 0);
        }
        let mut written = open.file.write_at(&bytes, open.end);
        if bytes.len() as u64 > length && written.as_ref().is_err_and(|why| Unwritable::of(why) == Some(Unwritable::Full)) {
            // There is no room for what would be ahead, and perhaps for what is to be kept; nothing was synced or acknowledged yet.
            bytes.truncate(length as usize);
            open.zeroed_to = end;
            written = open.file.write_at(&bytes, open.end);
        }
        if let Err(why) = written.and_then(|()| open.file.sync_data()) {
            return Err(failed(why));
        }
        bytes.truncate(length as usize);
        self.open = Some(OpenSegment { end, synced_to: end, frames: open.frames + count, ..open });
        self.head = head;
        Ok(Group { bytes, events, head })
    }

    fn create(&self) -> Result<OpenSegment, Error> {
        let first = self.head.seq + 1;
        let path = self.dir.join(file_name(first));
        let file = create_segment(&*self.files, &self.dir, Header { first, previous: self.head.hash }, self.head)
            .map_err(Error::io(path))?;
        let header = HEADER_BYTES as u64;
        Ok(OpenSegment { file, first, end: header, zeroed_to: header, frames: 0, synced_to: header })
    }

    fn seal(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let OpenSegment { file, first, end, frames, .. } = open;
        let footer = Footer { first, last: self.head.seq, frames, end, hash: self.head.hash };
        file.write_at(&footer.to_bytes(self.head.node), end)
            .and_then(|()| file.set_len(end + FOOTER_BYTES as u64))
            .and_then(|()| file.sync_data())
            .map_err(Error::io(self.dir.join(file_name(first))))
    }
}

fn create_segment(files: &dyn Files, dir: &std::path::Path, header: Header, head: Head) -> std::io::Result<Box<dyn DataFile>> {
    let file = files.create(&dir.join(file_name(header.first)))?;
    file.write_at(&header.to_bytes(head.node), 0)?;
    file.sync_data()?;
    files.sync_dir(dir)?;
    Ok(file)
}
