//! What all sources do with files: look for them in folders, and read them line by line.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::tally::Tally;
use super::{Item, SessionFile, Take};
use crate::domain::ids::TimeNs;
use crate::lake::lines::{LINE_BYTES_MAX, Line, Lines};

/// Folders within folders that are looked through.
const DEPTH_MAX: usize = 6;

/// Makes items of the lines of one file.
pub(super) trait LineReader {
    /// Takes in a line, the `number`th of its file.
    fn line(&mut self, text: &[u8], number: u64, tally: &mut Tally);

    /// Takes in that there are no more.
    fn end(&mut self);

    /// What can be handed over.
    fn out(&mut self) -> &mut Vec<Item>;
}

impl SessionFile {
    /// Describes the file at `path` as it is now; `None`, with the reason in `tally`, when it cannot be looked at.
    pub(super) fn at(path: &Path, thread: Option<String>, family: Vec<String>, tally: &mut Tally) -> Option<Self> {
        let about = match fs::metadata(path) {
            Ok(about) => about,
            Err(why) => {
                tally.skip(format!("cannot be looked at: {why}"), path, 0);
                return None;
            }
        };
        let modified = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = modified.and_then(|at| TimeNs::try_from(at.as_nanos()).ok()).unwrap_or(0);
        Some(Self { path: path.to_owned(), thread, family, bytes: about.len(), modified, is_live: false })
    }
}

/// Reads a moment as RFC 3339 has it.
pub(super) fn time(text: &str) -> Option<TimeNs> {
    let at: jiff::Timestamp = text.parse().ok()?;
    TimeNs::try_from(at.as_nanosecond()).ok()
}

/// Returns the files below `folder` that are `wanted`; what cannot be looked at is said in `tally`.
pub(super) fn find(folder: &Path, wanted: &dyn Fn(&Path) -> bool, tally: &mut Tally) -> Vec<PathBuf> {
    let mut looked = Looked::default();
    look(folder, 0, wanted, &mut looked, tally);
    looked.found
}

/// What was found, and everything that was looked at, by which a link that leads back, or to what is there already, is known.
#[derive(Default)]
struct Looked {
    found: Vec<PathBuf>,
    known: HashSet<(u64, u64)>,
}

fn look(folder: &Path, depth: usize, wanted: &dyn Fn(&Path) -> bool, looked: &mut Looked, tally: &mut Tally) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) => return tally.skip(format!("cannot be looked into: {why}"), folder, 0),
    };
    if let Ok(about) = fs::metadata(folder) {
        looked.known.insert((about.dev(), about.ino()));
    }
    // What lies here comes before what links lead to, always in one order: it keeps its name.
    let is_link = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let mut entries: Vec<(bool, PathBuf)> = entries.flatten().map(|entry| (is_link(&entry), entry.path())).collect();
    entries.sort_unstable();
    for (_, path) in entries {
        // Links are followed: people move such folders to other disks.
        match fs::metadata(&path) {
            Ok(about) if !looked.known.insert((about.dev(), about.ino())) => {}
            Ok(about) if about.is_dir() && depth < DEPTH_MAX => look(&path, depth + 1, wanted, looked, tally),
            Ok(about) if about.is_file() && wanted(&path) => looked.found.push(path),
            Ok(_) => {}
            Err(why) => tally.skip(format!("cannot be looked at: {why}"), &path, 0),
        }
    }
}

/// Reads the lines of `file` from `source` and hands over what `reader` makes of them; `before` are the bytes of the files before it.
///
/// # Errors
/// When `source` cannot be read.
pub(super) fn read(
    file: &SessionFile,
    source: impl BufRead,
    before: u64,
    reader: &mut dyn LineReader,
    tally: &mut Tally,
    take: &mut Take<'_>,
) -> io::Result<ControlFlow<()>> {
    let mut lines = Lines::new(source);
    while let Some((number, line)) = lines.next_line()? {
        tally.lines += 1;
        match line {
            Line::Text(text) => reader.line(text, number, tally),
            Line::TooLong => tally.skip(format!("a line is longer than {LINE_BYTES_MAX} bytes"), &file.path, number),
        }
        // Of a packed file more bytes come out than lie on the disk.
        let read = Item::Read(before + lines.bytes().min(file.bytes));
        if reader.out().drain(..).chain([read]).try_for_each(&mut *take).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    reader.end();
    Ok(reader.out().drain(..).try_for_each(take))
}
