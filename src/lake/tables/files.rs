//! The files of a lake, in a folder or in a shared place: which are there, and how one gets its name only when it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buffer::Buffer;
use super::names::{Covered, DONE, FileFormat, Stretch, folder, partition, version_of};
use super::{Table, VERSION, parquet, plain};
use crate::lake::remote::{Remote, RemoteError};
use crate::store::files::{Files, OsFiles};
use crate::store::lock;

/// A lake.
#[derive(Clone)]
pub struct Lake<'a> {
    /// The folder; in a shared place, its address.
    pub dir: PathBuf,
    /// The shared place, when it is no folder of this machine.
    pub remote: Option<&'a Remote>,
    /// How its files are written.
    pub format: FileFormat,
}

/// Why a lake cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The shared place does not do what it is asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A table has files of a version that this program does not write.
    #[error("{}: this table is of version {found}, and this version of Meno writes version {VERSION}", path.display())]
    OtherVersion {
        /// The folder.
        path: PathBuf,
        /// The version.
        found: u32,
    },
}

/// A file that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Where it stands until it is published; nothing in a shared place, where it has its name already.
    partial: Option<PathBuf>,
    path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// How the name of a file ends that is not published.
const PARTIAL: &str = ".part";

fn failed(path: &Path) -> impl FnOnce(io::Error) -> LakeError {
    let path = path.to_owned();
    move |source| LakeError::Io { path, source }
}

impl Lake<'_> {
    /// Makes the folder and the folders of `tables`, and looks whether they can be written and are of this version.
    ///
    /// # Errors
    /// A [`LakeError`].
    pub fn prepare(&self, tables: &[Table]) -> Result<(), LakeError> {
        for table in tables {
            let of_table = self.dir.join(table.name());
            for name in self.names(Path::new(table.name()))? {
                if let Some(found) = version_of(&name).filter(|found| *found > VERSION) {
                    return Err(LakeError::OtherVersion { path: of_table.join(name), found });
                }
            }
            if self.remote.is_some() {
                continue;
            }
            let done = self.dir.join(folder(*table)).join(DONE);
            fs::create_dir_all(&done).map_err(failed(&done))?;
        }
        if self.remote.is_some() {
            return Ok(());
        }
        let probe = self.dir.join(".meno-probe.part");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(failed(&self.dir))
    }

    /// Returns the names in a folder of the lake, in order; none when it is not there.
    fn names(&self, folder: &Path) -> Result<Vec<String>, LakeError> {
        let Some(remote) = self.remote else { return names(&self.dir.join(folder)) };
        let folder = address(folder);
        let below = |name: &String| name.strip_prefix(&folder)?.strip_prefix('/')?.split('/').next().map(str::to_owned);
        let mut names: Vec<String> = remote.list(&folder)?.iter().filter_map(below).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Returns a lock that exports of one store into this folder hold; `None` while another process has it. In a shared place there is
    /// none: what two exports write under one name is the same.
    ///
    /// # Errors
    /// [`LakeError::Io`].
    pub fn lock(&self, node: &str) -> Result<Option<Option<File>>, LakeError> {
        if self.remote.is_some() {
            return Ok(Some(None));
        }
        let path = self.dir.join(format!(".{node}.lock"));
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Some(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(failed(&path)(error)),
        }
    }

    /// Returns what of the log of `node` a table has, for whoever holds the lock: files that were never published go.
    ///
    /// # Errors
    /// [`LakeError::Io`].
    pub fn covered(&self, table: Table, node: &str) -> Result<Covered, LakeError> {
        let of_table = PathBuf::from(folder(table));
        let extension = format!(".{}", self.format.name());
        let marked = format!("{extension}.done");
        let read = |names: Vec<String>, end: &str| -> Vec<Stretch> {
            names.iter().filter_map(|name| Stretch::read(name.strip_suffix(end)?, node)).collect()
        };
        let done = read(self.names(&of_table.join(DONE))?, &marked);
        let mut begun: Vec<Stretch> = Vec::new();
        for day in self.names(&of_table)?.iter().filter(|name| name.starts_with("date=")) {
            let names = self.names(&of_table.join(day))?;
            if self.remote.is_none() {
                // An export that was cut off left these; this one may end its files elsewhere in the log.
                for name in names.iter().filter(|name| name.starts_with(&format!(".{node}-")) && name.ends_with(PARTIAL)) {
                    let path = self.dir.join(&of_table).join(day).join(name);
                    fs::remove_file(&path).map_err(failed(&path))?;
                }
            }
            begun.extend(read(names, &extension));
        }
        begun.sort_unstable();
        begun.dedup();
        begun.retain(|stretch| !done.contains(stretch));
        Ok(Covered { done, begun })
    }

    /// Writes the rows of a stretch, each day of a table as a file of its own, and publishes all of them; returns them in the same order.
    /// Several are written at once: a shared place is waited for, and compression takes more than one processor.
    ///
    /// # Errors
    /// A [`LakeError`]. What is not published then is removed.
    pub fn write_all(&self, held: &[(i32, &Buffer)], node: &str, stretch: Stretch) -> Result<Vec<Written>, LakeError> {
        /// Files that a shared place is sent at once.
        const REMOTE_THREADS: usize = 8;
        let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = if self.remote.is_some() { REMOTE_THREADS } else { processors() }.min(held.len());
        let (next, fault) = (AtomicUsize::new(0), Mutex::new(None));
        let written = Mutex::new(BTreeMap::new());
        let write_some = || {
            while lock(&fault).is_none() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((day, buffer)) = held.get(number) else { break };
                match self.write(buffer, *day, node, stretch) {
                    Ok(file) => {
                        lock(&written).insert(number, file);
                    }
                    Err(why) => {
                        lock(&fault).get_or_insert(why);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| {
                scope.spawn(write_some);
            });
            write_some();
        });
        let written: Vec<Written> = std::mem::take(&mut *lock(&written)).into_values().collect();
        match lock(&fault).take().map_or_else(|| self.publish(&written), Err) {
            Ok(()) => Ok(written),
            Err(why) => {
                self.discard(&written);
                Err(why)
            }
        }
    }

    /// Writes the rows of one day of a stretch as a file, which is there once it is published.
    ///
    /// # Errors
    /// [`LakeError::Io`].
    fn write(&self, buffer: &Buffer, day: i32, node: &str, stretch: Stretch) -> Result<Written, LakeError> {
        let name = format!("{}.{}", stretch.name(node), self.format.name());
        let within = PathBuf::from(folder(buffer.table)).join(partition(day));
        let of_day = self.dir.join(&within);
        if let Some(remote) = self.remote {
            let path = of_day.join(&name);
            let mut content = Vec::new();
            self.encode(buffer, &mut content).map_err(failed(&path))?;
            let bytes = content.len() as u64;
            // One that is there has the same bytes.
            remote.create(&address(&within.join(&name)), content)?;
            return Ok(Written { partial: None, path, bytes });
        }
        fs::create_dir_all(&of_day).map_err(failed(&of_day))?;
        let (partial, path) = (of_day.join(format!(".{name}{PARTIAL}")), of_day.join(&name));
        let write = || -> io::Result<u64> {
            let mut out = BufWriter::with_capacity(64 << 10, private(&partial)?);
            self.encode(buffer, &mut out)?;
            Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?.metadata()?.len())
        };
        let bytes = write().map_err(|source| {
            // What cannot be removed goes with the next export.
            let _ = fs::remove_file(&partial);
            LakeError::Io { path: path.clone(), source }
        })?;
        Ok(Written { partial: Some(partial), path, bytes })
    }

    /// Makes files durable and then gives them their names. Many are made durable together: two waits for each would take minutes.
    ///
    /// # Errors
    /// [`LakeError::Io`].
    fn publish(&self, files: &[Written]) -> Result<(), LakeError> {
        const FEW: usize = 8;
        let partials = || files.iter().filter_map(|file| Some((file.partial.as_ref()?, &file.path)));
        let together = |count: usize| -> Result<bool, LakeError> {
            Ok(count > FEW && OsFiles.sync_all(&self.dir).map_err(failed(&self.dir))?)
        };
        if !together(partials().count())? {
            for (partial, path) in partials() {
                File::open(partial).and_then(|file| file.sync_all()).map_err(failed(path))?;
            }
        }
        for (partial, path) in partials() {
            fs::rename(partial, path).map_err(failed(path))?;
        }
        let dirs: BTreeSet<&Path> = partials().filter_map(|(_, path)| path.parent()).collect();
        if !together(dirs.len())? {
            dirs.into_iter().try_for_each(sync)?;
        }
        Ok(())
    }

    /// Removes what was written and is not published: an export that failed leaves a full disk no fuller.
    fn discard(&self, files: &[Written]) {
        for partial in files.iter().filter_map(|file| file.partial.as_ref()) {
            // One that was published has another name; what cannot be removed goes with the next export.
            let _ = fs::remove_file(partial);
        }
    }

    fn encode(&self, buffer: &Buffer, out: &mut (impl Write + Send)) -> io::Result<()> {
        match self.format {
            FileFormat::Parquet => parquet::write(buffer, out),
            FileFormat::Csv => plain::write_csv(buffer, out),
            FileFormat::Jsonl => plain::write_jsonl(buffer, out),
        }
    }

    /// Says that all files of a stretch are there.
    ///
    /// # Errors
    /// [`LakeError::Io`].
    pub fn mark(&self, table: Table, node: &str, stretch: Stretch) -> Result<(), LakeError> {
        if let Some(remote) = self.remote {
            let name = format!("{}.{}.done", stretch.name(node), self.format.name());
            remote.create(&address(&PathBuf::from(folder(table)).join(DONE).join(name)), Vec::new())?;
            return Ok(());
        }
        let of_table = self.dir.join(folder(table));
        sync(&of_table)?;
        let done = of_table.join(DONE);
        let path = done.join(format!("{}.{}.done", stretch.name(node), self.format.name()));
        private(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
        sync(&done)
    }
}

/// Returns a place within a lake as a shared place names it.
fn address(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Histories are private: only their owner may read what is exported, until they say otherwise.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn sync(dir: &Path) -> Result<(), LakeError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}

/// Returns the names in a folder, in order; none when it is not there.
fn names(dir: &Path) -> Result<Vec<String>, LakeError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed(dir))?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "01KAPXZ8T0M3N5Q7R9S1V3W5X7";

    #[test]
    fn files_that_cannot_all_be_published_leave_no_part() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake { dir: dir.path().to_owned(), remote: None, format: FileFormat::Parquet };
        let stretch = Stretch { first: 1, last: 9 };
        let written: Vec<Written> =
            (0..12).map(|day| lake.write(&Buffer::new(Table::Costs), day, NODE, stretch).unwrap()).collect();
        let names = || -> Vec<String> {
            let days = (0..12).flat_map(|day| names(&dir.path().join(folder(Table::Costs)).join(partition(day))).unwrap());
            days.collect()
        };
        assert!(names().len() == 12 && names().iter().all(|name| name.ends_with(PARTIAL)), "nothing has its name yet");
        fs::create_dir(&written[7].path).unwrap();
        lake.publish(&written).unwrap_err();
        lake.discard(&written);
        assert!(!names().iter().any(|name| name.ends_with(PARTIAL)), "{:?}", names());
        fs::remove_dir(&written[7].path).unwrap();
        assert_eq!(names().len(), 7, "what was published stays");
    }

    #[test]
    fn all_files_are_written_in_their_order_or_what_is_not_published_goes() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake { dir: dir.path().to_owned(), remote: None, format: FileFormat::Csv };
        let stretch = Stretch { first: 1, last: 9 };
        let buffer = Buffer::new(Table::Costs);
        let days: Vec<(i32, &Buffer)> = (0..40).map(|day| (day, &buffer)).collect();
        let written = lake.write_all(&days, NODE, stretch).unwrap();
        let folder = dir.path().join(folder(Table::Costs));
        let is_of_day = |(file, day): (&Written, i32)| file.path.parent() == Some(folder.join(partition(day)).as_path());
        assert!(written.len() == 40 && written.iter().zip(0..).all(is_of_day), "{written:?}");
        assert!(written.iter().all(|file| file.path.is_file()));

        // A day whose folder cannot be made.
        fs::remove_dir_all(folder.join(partition(20))).unwrap();
        fs::write(folder.join(partition(20)), "").unwrap();
        lake.write_all(&days, NODE, Stretch { first: 10, last: 19 }).unwrap_err();
        let of_day = |day| fs::read_dir(folder.join(partition(day))).unwrap().count();
        assert!((0..40).filter(|day| *day != 20).all(|day| of_day(day) == 1), "only what was there is there");
    }
}
