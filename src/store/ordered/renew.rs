//! Writing an index of sled anew.
//!
//! sled 0.34.7 writes what is free in its file full of zeros whenever it opens it, waits for the disk, and keeps it. Views are rewritten
//! with every event: after an import most of their file is free or rewritten since, and most of the time that a command takes goes into
//! opening it. So whoever has written to an index, and finds that much of it is free, copies its rows into a new one when it closes it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::on_sled::{Kept, SledIndex};
use super::{OpenError, OrderedIndex};
use crate::store::Error;
use crate::store::files::exchange;

/// sled's file is made of segments, each with a header of zeros where the segment is free.
const SEGMENT_BYTES: u64 = 512 * 1024;
const SEGMENT_HEADER_BYTES: usize = 20;
/// An index is written anew that has so many free segments, and one in so many.
const FREE_SEGMENTS_MIN: u64 = 6;
const FREE_ONE_IN: u64 = 8;
/// Segments that became free since an index was opened do not show before it is opened again: that is looked at after so many bytes.
const WRITTEN_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Memory for writing an index anew, and bytes of rows at a time, in bytes.
const RENEWAL_CACHE_BYTES: u64 = 16 * 1024 * 1024;
const RENEWAL_ROWS_BYTES: usize = 1024 * 1024;
/// What the name of an index ends with that is being written anew, and of the one whose place it took.
const FRESH: &str = ".fresh";
const WORN: &str = ".worn";

/// Writes the index in the folder `path` anew if much of it is free, after `written` bytes of rows; returns whether it did. Nobody else
/// may have it open. What takes its place is synced.
pub(super) fn renew(path: &Path, written: u64) -> Result<bool, Error> {
    // Whoever only reads waits for nothing.
    if written == 0 || (written < WRITTEN_BYTES_MIN && !is_worn(path)?) {
        return Ok(false);
    }
    let open = |path: &Path, was_there| {
        SledIndex::open(path, RENEWAL_CACHE_BYTES, was_there, Kept::default()).map_err(OpenError::into_error)
    };
    let old = open(path, true)?;
    if !is_worn(path)? {
        return Ok(false);
    }
    let (fresh, worn) = (with_end(path, FRESH), with_end(path, WORN));
    let new = open(&fresh, false)?;
    for tree in old.trees()? {
        let (mut rows, mut bytes, mut outcome) = (Vec::new(), 0, Ok(()));
        old.scan(&tree, &[], None, false, &mut |key, row| {
            rows.push((key.to_vec(), row.to_vec()));
            bytes += key.len() + row.len();
            if bytes >= RENEWAL_ROWS_BYTES {
                (outcome, bytes) = (new.fill(&tree, std::mem::take(&mut rows)), 0);
            }
            outcome.is_ok()
        })?;
        outcome?;
        new.fill(&tree, rows)?;
    }
    new.flush()?;
    drop(new);
    // sled ends its last segment when it closes.
    File::open(fresh.join("db")).and_then(|file| file.sync_all()).map_err(Error::io(&fresh))?;
    drop(old);
    exchange(&fresh, path, &worn)?;
    if let Some(parent) = path.parent() {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(Error::io(parent))?;
    }
    remove_if_there(&worn);
    Ok(true)
}

/// Tells whether so much of an index is free that it is worth writing it anew.
fn is_worn(path: &Path) -> Result<bool, Error> {
    let count = || {
        let file = File::open(path.join("db"))?;
        let segments = file.metadata()?.len().div_ceil(SEGMENT_BYTES);
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let mut free = 0;
        for segment in 0..segments {
            file.read_exact_at(&mut header, segment * SEGMENT_BYTES)?;
            free += u64::from(header == [0; SEGMENT_HEADER_BYTES]);
        }
        io::Result::Ok((free, segments))
    };
    let (free, segments) = count().map_err(Error::io(path))?;
    Ok(free >= FREE_SEGMENTS_MIN && free * FREE_ONE_IN >= segments)
}

/// Removes what a renewal of the index in the folder `path` leaves that was killed: what it was writing, or what it had replaced.
pub(super) fn tidy(path: &Path) {
    [FRESH, WORN].iter().for_each(|end| remove_if_there(&with_end(path, end)));
}

/// Returns a path with more at the end of its name.
fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Removes a folder of an index that nobody needs; one that cannot be removed is in nobody's way.
fn remove_if_there(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => tracing::debug!("{} stays: {why}", path.display()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::on_sled::{SledShelf, is_mark};
    use super::super::{IndexFactory, Row};
    use super::*;

    fn all(index: &dyn OrderedIndex) -> Vec<(String, Row)> {
        let mut rows = Vec::new();
        for tree in index.trees().unwrap() {
            index
                .scan(&tree, &[], None, false, &mut |key, row| {
                    rows.push((tree.clone(), (key.to_vec(), row.to_vec())));
                    true
                })
                .unwrap();
        }
        rows
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path.join("db")).unwrap().ino()
    }

    /// Makes an index of which much is free; returns its rows and the bytes of its file.
    fn worn(path: &Path) -> (Vec<(String, Row)>, u64) {
        let row = |number: u32, byte: u8| (number.to_be_bytes().to_vec(), vec![byte; 8192]);
        let index = SledIndex::open(path, 1 << 20, false, Kept::default()).unwrap();
        for byte in 0..12 {
            index.fill("large", (0..300).map(|number| row(number, byte)).collect()).unwrap();
        }
        index.fill("small", vec![(Vec::new(), Vec::new()), (b"k".to_vec(), b"v".to_vec())]).unwrap();
        index.apply("large", (3..300u32).map(|number| (number.to_be_bytes().to_vec(), None)).collect()).unwrap();
        index.flush().unwrap();
        let rows = all(&index);
        drop(index);
        (rows, fs::metadata(path.join("db")).unwrap().len())
    }

    #[test]
    fn whoever_only_looks_does_not_write_a_worn_index_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let (rows, _) = worn(&path);
        let first = inode(&path);
        assert_eq!(all(&*SledShelf::system().open(&path, 1 << 20).unwrap()), rows);
        assert_eq!(inode(&path), first);
    }

    #[test]
    fn an_index_of_which_much_is_free_is_written_anew_when_whoever_wrote_closes_it() {
        // sled may cut free segments off its end by itself, so that nothing is left to be written anew.
        let is_renewed = (0..20).any(|_| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("index");
            let (_, bytes) = worn(&path);
            let first = inode(&path);
            // A renewal was killed in between.
            fs::create_dir_all(dir.path().join("index.fresh/blobs")).unwrap();
            fs::create_dir_all(dir.path().join("index.worn")).unwrap();
            let shelf = SledShelf::system();
            let index = shelf.open(&path, 1 << 20).unwrap();
            index.fill("small", vec![(b"l".to_vec(), b"w".to_vec())]).unwrap();
            index.flush().unwrap();
            let rows = all(&*index);
            drop(index);
            let length = fs::metadata(path.join("db")).unwrap().len();
            assert!(!is_worn(&path).unwrap() && length * 2 < bytes, "{length} of {bytes}");
            let is_renewed = inode(&path) != first;
            if is_renewed {
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
                let is_marked = fs::read_dir(&path).unwrap().any(|entry| is_mark(&entry.unwrap().file_name().to_string_lossy()));
                assert!(!is_marked, "it is synced");
            }
            assert_eq!(all(&*shelf.open(&path, 1 << 20).unwrap()), rows);
            is_renewed
        });
        assert!(is_renewed, "sled cut each of twenty by itself");
    }
}
