//! Batches that were paid for and could not be appended, because the owner does not answer: kept on disk until it, or the next
//! owner, takes them in.
//!
//! `spool/<run>/<number>-<batch id>.batch` holds one batch with its checksum and hash, durable before [`write()`] returns. Appends are
//! idempotent by batch id, so a batch may be offered by its executor and taken in here at the same time. A file that cannot be
//! used is set aside under another name, never deleted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::Error;
use super::store_dir::{StoreDir, make_folder, sync_folder};
use crate::domain::ids::{BatchId, Hash, RunId};
use crate::store::log::{Batch, Log};

const MAGIC: [u8; 8] = *b"menospl1";
/// Magic, length of the body, CRC32C, BLAKE3.
const HEADER: usize = 8 + 8 + 4 + 32;
/// How often a batch is renumbered when its run moves on meanwhile.
const RENUMBERED_MAX: u32 = 8;

/// What came of taking the spool in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Batches that are in the log now.
    pub appended: usize,
    /// Files that are not, each with the reason in words.
    pub kept: Vec<(PathBuf, String)>,
}

/// Keeps a batch of a run; returns once it is durable. A batch that is kept already is kept once.
///
/// # Errors
/// [`Error::Io`], [`Error::BadBatch`] when it cannot be encoded.
pub fn write(place: &StoreDir, run: RunId, batch: &Batch) -> Result<(), Error> {
    let bytes = encode(batch)?;
    let spool = place.folder("spool")?;
    let folder = spool.join(run.to_string());
    let mut tries = 0;
    loop {
        make_folder(&folder, false)?;
        match write_in(&folder, batch.id, &bytes) {
            // An owner that has just emptied the folder removes it.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && tries < 3 => tries += 1,
            outcome => return outcome,
        }
    }
}

fn write_in(folder: &Path, id: BatchId, bytes: &[u8]) -> Result<(), Error> {
    let files = batches(folder)?;
    let kept = files.iter().find(|file| file.id == id);
    let number = kept.map_or_else(|| files.last().map_or(1, |last| last.number + 1), |kept| kept.number);
    let path = folder.join(format!("{number:08}-{id}.batch"));
    let unfinished = path.with_extension("tmp");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished).map_err(Error::io(&unfinished))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io(&unfinished))?;
    fs::rename(&unfinished, &path).map_err(Error::io(&path))?;
    sync_folder(folder)
}

/// Forgets a batch that its executor could append after all.
///
/// # Errors
/// [`Error::Io`].
pub fn remove(place: &StoreDir, run: RunId, id: BatchId) -> Result<(), Error> {
    let folder = place.dir().join("spool").join(run.to_string());
    for file in batches(&folder)?.into_iter().filter(|file| file.id == id) {
        delete(&file.path)?;
    }
    // Fails while other batches wait, as it should.
    let _ = fs::remove_dir(&folder);
    Ok(())
}

/// Appends what the spool holds, of one run or of all, in the order in which it was kept. When a run has moved on, `renumber` is
/// asked for the batch to append instead, with the run's version now; `None` sets the batch aside.
///
/// # Errors
/// Why the log takes nothing at all ([`Error::Closed`], [`Error::Index`], [`Error::Unreachable`], …), or [`Error::Io`]; what was not
/// appended stays.
pub fn take_in(
    place: &StoreDir,
    only: Option<RunId>,
    log: &dyn Log,
    renumber: &dyn Fn(&Batch, u64) -> Option<Batch>,
) -> Result<Taken, Error> {
    let spool = place.dir().join("spool");
    let mut folders: Vec<PathBuf> = match only {
        Some(run) => vec![spool.join(run.to_string())],
        None => entries(&spool)?.into_iter().filter(|path| path.is_dir()).collect(),
    };
    folders.sort();
    let mut taken = Taken::default();
    for folder in folders {
        if only.is_none() {
            sweep(&folder)?;
        }
        for file in batches(&folder)? {
            let Some(read) = read(&file.path)? else { continue };
            let Ok(batch) = read else {
                let aside = set_aside(&file.path, "torn")?;
                taken.kept.push((aside, "it is not what was written".to_owned()));
                continue;
            };
            match offer(log, batch, renumber) {
                Ok(()) => {
                    delete(&file.path)?;
                    taken.appended += 1;
                }
                Err(error @ (Error::Conflict { .. } | Error::BatchReused(_) | Error::BadBatch(_))) => {
                    let aside = set_aside(&file.path, "refused")?;
                    taken.kept.push((aside, error.to_string()));
                }
                // Another day, or once the payloads are there again, it may pass.
                Err(error @ (Error::DayLimit { .. } | Error::MissingPayloads(_))) => {
                    taken.kept.push((file.path, error.to_string()))
                }
                Err(error) => return Err(error),
            }
        }
        let _ = fs::remove_dir(&folder);
    }
    Ok(taken)
}

/// Returns the payloads that batches in the spool of the store in `store` name.
///
/// # Errors
/// [`Error::Io`].
pub fn payloads(store: &Path) -> Result<Vec<Hash>, Error> {
    let mut named = Vec::new();
    for folder in entries(&store.join("spool"))?.into_iter().filter(|path| path.is_dir()) {
        for file in batches(&folder)? {
            if let Some(Ok(batch)) = read(&file.path)? {
                named.extend(batch.payloads);
            }
        }
    }
    Ok(named)
}

/// Deletes what was set aside of a run's batches: files that could not be appended and are no use any more.
///
/// # Errors
/// [`Error::Io`].
pub fn delete_kept(store: &Path, run: RunId) -> Result<(), Error> {
    let folder = store.join("spool").join(run.to_string());
    for path in entries(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end != "batch")) {
        delete(&path)?;
    }
    // Fails while batches wait, as it should.
    let _ = fs::remove_dir(&folder);
    Ok(())
}

/// Deletes what crashes left half written in a folder. A living executor whose file is among them writes it again: it finds the
/// name gone, as when its folder was emptied.
fn sweep(folder: &Path) -> Result<(), Error> {
    let unfinished = entries(folder)?.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "tmp"));
    unfinished.into_iter().try_for_each(|path| delete(&path))
}

/// The renumbering that an owner does: what was paid for is appended behind whatever the run has become.
pub fn at_current_version(batch: &Batch, actual: u64) -> Option<Batch> {
    let expected_version = batch.expected_version.map(|(run, _)| (run, actual));
    Some(Batch { expected_version, ..batch.clone() })
}

fn offer(log: &dyn Log, mut batch: Batch, renumber: &dyn Fn(&Batch, u64) -> Option<Batch>) -> Result<(), Error> {
    let mut renumbered = 0;
    loop {
        match log.append(&batch) {
            Ok(_) => return Ok(()),
            // A run that this log does not have was another store's.
            Err(Error::Conflict { run, expected, actual }) if renumbered < RENUMBERED_MAX && actual > 0 => {
                match renumber(&batch, actual) {
                    Some(next) => {
                        batch = next;
                        renumbered += 1;
                    }
                    None => return Err(Error::Conflict { run, expected, actual }),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

struct Waiting {
    number: u32,
    id: BatchId,
    path: PathBuf,
}

/// The batches kept in a folder, in order; a missing folder holds none.
fn batches(folder: &Path) -> Result<Vec<Waiting>, Error> {
    let mut found: Vec<Waiting> = entries(folder)?.into_iter().filter_map(named).collect();
    found.sort_by_key(|file| (file.number, file.id));
    Ok(found)
}

fn named(path: PathBuf) -> Option<Waiting> {
    let (number, id) = path.file_name()?.to_str()?.strip_suffix(".batch")?.split_once('-')?;
    Some(Waiting { number: number.parse().ok()?, id: id.parse().ok()?, path })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(Error::io(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(folder)(error)),
    }
}

fn encode(batch: &Batch) -> Result<Vec<u8>, Error> {
    let body =
        bincode::serde::encode_to_vec(batch, bincode::config::standard()).map_err(|error| Error::BadBatch(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(MAGIC);
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(Hash::of(&body).0);
    bytes.extend(body);
    Ok(bytes)
}

/// Why a spool file is of no use.
struct Torn;

fn decode(bytes: &[u8]) -> Result<Batch, Torn> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(Torn)?;
    let (magic, header) = header.split_at(8);
    let (length, header) = header.split_at(8);
    let (crc, hash) = header.split_at(4);
    // The checksum is cheap and finds accidents; the hash finds everything else.
    let whole = magic == MAGIC
        && length == (body.len() as u64).to_le_bytes()
        && crc == crc32c::crc32c(body).to_le_bytes()
        && hash == Hash::of(body).0;
    if !whole {
        return Err(Torn);
    }
    match bincode::serde::decode_from_slice(body, bincode::config::standard()) {
        Ok((batch, used)) if used == body.len() => Ok(batch),
        _ => Err(Torn),
    }
}

/// `None` when the file is gone: its executor or another owner was faster.
fn read(path: &Path) -> Result<Option<Result<Batch, Torn>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(decode(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

fn set_aside(path: &Path, why: &str) -> Result<PathBuf, Error> {
    let aside = path.with_extension(why);
    match fs::rename(path, &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(aside),
    }
}

fn delete(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::store_dir::Create;
    use super::super::testing::{FileLog, batch_of, run_of};
    use super::*;

    fn place() -> (tempfile::TempDir, StoreDir) {
        let root = tempfile::tempdir().unwrap();
        let place = StoreDir::open(&root.path().join("store"), Create::Folder).unwrap();
        (root, place)
    }

    fn versions(log: &FileLog, run: RunId) -> Vec<u64> {
        log.read_run(run, 1, 100).unwrap().iter().map(|event| event.envelope.version).collect()
    }

    #[test]
    fn what_was_kept_is_taken_in_once_in_order_and_then_gone() {
        let (_root, place) = place();
        let log = FileLog::open(place.dir()).unwrap();
        let run = run_of(1);
        // The later batch has the smaller id: the order of keeping counts.
        for (id, expected) in [(9, 0), (3, 1)] {
            write(&place, run, &batch_of(id, run, Some(expected))).unwrap();
            write(&place, run, &batch_of(id, run, Some(expected))).unwrap();
        }
        let taken = take_in(&place, None, &log, &|_, _| None).unwrap();
        assert_eq!(taken, Taken { appended: 2, kept: vec![] });
        assert_eq!(versions(&log, run), [1, 2]);
        assert_eq!(take_in(&place, Some(run), &log, &|_, _| None).unwrap(), Taken::default());
        assert!(!place.dir().join("spool").join(run.to_string()).exists());
    }

    #[test]
    fn a_run_that_moved_on_gets_the_batch_at_its_version_of_now_or_the_batch_is_set_aside() {
        let (_root, place) = place();
        let log = FileLog::open(place.dir()).unwrap();
        let run = run_of(1);
        log.append(&batch_of(1, run, Some(0))).unwrap();
        write(&place, run, &batch_of(2, run, Some(0))).unwrap();
        write(&place, run, &batch_of(3, run, Some(0))).unwrap();
        let only_two =
            |batch: &Batch, actual| (batch.id == batch_of(2, run, None).id).then(|| at_current_version(batch, actual)).flatten();
        let taken = take_in(&place, None, &log, &only_two).unwrap();
        assert_eq!((taken.appended, taken.kept.len()), (1, 1));
        assert!(taken.kept[0].0.ends_with(format!("00000002-{}.refused", batch_of(3, run, None).id)) && taken.kept[0].0.exists());
        assert_eq!(versions(&log, run), [1, 2]);
    }

    #[test]
    fn a_batch_that_was_appended_before_its_file_was_removed_is_not_doubled() {
        let (_root, place) = place();
        let log = FileLog::open(place.dir()).unwrap();
        let run = run_of(1);
        log.append(&batch_of(1, run, Some(0))).unwrap();
        log.append(&batch_of(2, run, Some(1))).unwrap();
        write(&place, run, &batch_of(1, run, Some(0))).unwrap();
        assert_eq!(take_in(&place, None, &log, &at_current_version).unwrap().appended, 1);
        assert_eq!(versions(&log, run), [1, 2]);
    }

    #[test]
    fn a_torn_file_is_set_aside_and_the_others_are_taken_in() {
        let (_root, place) = place();
        let log = FileLog::open(place.dir()).unwrap();
        let run = run_of(1);
        write(&place, run, &batch_of(1, run, None)).unwrap();
        write(&place, run, &batch_of(2, run, None)).unwrap();
        let first = batches(&place.dir().join("spool").join(run.to_string())).unwrap().remove(0).path;
        let bytes = fs::read(&first).unwrap();
        fs::write(&first, &bytes[..bytes.len() - 1]).unwrap();
        let taken = take_in(&place, None, &log, &at_current_version).unwrap();
        assert_eq!((taken.appended, taken.kept.len()), (1, 1));
        assert_eq!(fs::read(&taken.kept[0].0).unwrap(), &bytes[..bytes.len() - 1]);
    }

    #[test]
    fn what_a_crash_left_half_written_is_swept_by_the_next_owner() {
        let (_root, place) = place();
        let log = FileLog::open(place.dir()).unwrap();
        let run = run_of(1);
        write(&place, run, &batch_of(1, run, Some(0))).unwrap();
        let folder = place.dir().join("spool").join(run.to_string());
        fs::write(folder.join("00000002-half.tmp"), b"menospl1 and no more").unwrap();
        // Who resumes one run sweeps nothing: the run's own executor may be writing.
        assert_eq!(take_in(&place, Some(run), &log, &at_current_version).unwrap().appended, 1);
        assert!(folder.exists());
        assert_eq!(take_in(&place, None, &log, &at_current_version).unwrap(), Taken::default());
        assert!(!folder.exists());
    }

    #[test]
    fn an_executor_that_could_append_after_all_removes_its_batch() {
        let (_root, place) = place();
        let run = run_of(1);
        write(&place, run, &batch_of(1, run, None)).unwrap();
        write(&place, run, &batch_of(2, run, None)).unwrap();
        remove(&place, run, batch_of(1, run, None).id).unwrap();
        let left = batches(&place.dir().join("spool").join(run.to_string())).unwrap();
        assert_eq!(left.iter().map(|file| file.id).collect::<Vec<_>>(), [batch_of(2, run, None).id]);
        remove(&place, run_of(7), batch_of(1, run, None).id).unwrap();
    }

    #[test]
    fn every_flipped_byte_of_a_file_is_found() {
        let bytes = encode(&batch_of(1, run_of(1), Some(4))).unwrap();
        assert!(decode(&bytes).is_ok_and(|batch| batch == batch_of(1, run_of(1), Some(4))));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_never_panics(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
