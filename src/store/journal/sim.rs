//! A file system that remembers what was synced: it dies on command and shows what a power cut may leave.
//!
//! What was written and not synced survives sector by sector or not, as a seed says; names in folders that were not synced may be there
//! or not; a file whose folder is gone is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::store::files::{DataFile, Files};
use crate::store::lock;

const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct SimFiles(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    files: Vec<Inode>,
    /// Names as programs see them, and as a power cut leaves them; `None` is a folder.
    live: BTreeMap<PathBuf, Option<usize>>,
    durable: BTreeMap<PathBuf, Option<usize>>,
    /// Calls that change something, until the machine is dead.
    calls_left: Option<u64>,
    calls: u64,
    syncs: u64,
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// It is said to be durable: what a power cut may leave of that is never less than what was durable when it was said.
    is_marked: bool,
}

#[derive(Clone)]
enum Pending {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl SimFiles {
    /// Returns a file system with the durable folder `/store`.
    pub(crate) fn with_store() -> Self {
        let files = Self::default();
        let made = files.make_dir(Path::new("/store")).and_then(|()| files.sync_dir(Path::new("/")));
        made.expect("the machine lives");
        files
    }

    /// Makes every changing call fail after `calls` more.
    pub(crate) fn die_after(&self, calls: u64) {
        lock(&self.0).calls_left = Some(calls);
    }

    /// Returns how many changing calls there were.
    pub(crate) fn calls(&self) -> u64 {
        lock(&self.0).calls
    }

    /// Returns how many files and folders were synced.
    pub(crate) fn syncs(&self) -> u64 {
        lock(&self.0).syncs
    }

    /// Lets another process go on after the one that died: the machine lives, and what was written is there, synced or not.
    pub(crate) fn go_on(&self) {
        lock(&self.0).calls_left = None;
    }

    /// Returns what is there after the power was cut now; `seed` chooses what of the rest survived.
    pub(crate) fn power_cut(&self, seed: u64) -> Self {
        let state = lock(&self.0).clone();
        let mut random = seed;
        let mut coin = move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 62 & 1 == 1
        };
        let mut names = BTreeMap::new();
        let all: BTreeSet<&PathBuf> = state.live.keys().chain(state.durable.keys()).collect();
        for path in all {
            let (live, durable) = (state.live.get(path), state.durable.get(path));
            let kept = if live == durable || coin() { live } else { durable };
            let parent_there = path.parent().is_none_or(|parent| parent == Path::new("/") || names.contains_key(parent));
            if let Some(kept) = kept.filter(|_| parent_there) {
                names.insert(path.clone(), *kept);
            }
        }
        let files = state.files.into_iter().map(|inode| {
            let mut bytes = inode.durable;
            for pending in inode.pending {
                match pending {
                    Pending::Length(length) if coin() => bytes.resize(length as usize, 0),
                    Pending::Length(_) => {}
                    Pending::Write(offset, data) => {
                        let (mut at, mut data) = (offset as usize, &data[..]);
                        while !data.is_empty() {
                            let (sector, rest) = data.split_at(data.len().min(SECTOR - at % SECTOR));
                            if coin() {
                                write(&mut bytes, at, sector);
                            }
                            (at, data) = (at + sector.len(), rest);
                        }
                    }
                }
            }
            Inode { live: bytes.clone(), durable: bytes, pending: Vec::new(), is_marked: inode.is_marked && coin() }
        });
        let files = files.collect();
        Self(Arc::new(Mutex::new(State { files, live: names.clone(), durable: names, calls_left: None, calls: 0, syncs: 0 })))
    }

    /// Changes a file's bytes behind everybody's back.
    pub(crate) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = lock(&self.0);
        let number = state.live[path].expect("a file");
        let inode = &mut state.files[number];
        change(&mut inode.live);
        (inode.durable, inode.pending) = (inode.live.clone(), Vec::new());
    }

    fn change<T>(&self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = lock(&self.0);
        if let Some(left) = state.calls_left {
            let left = left.checked_sub(1).ok_or_else(|| io::Error::other("the machine is dead"))?;
            state.calls_left = Some(left);
        }
        state.calls += 1;
        run(&mut state)
    }
}

fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    fn file(&self, path: &Path) -> io::Result<usize> {
        self.live.get(path).copied().flatten().ok_or_else(not_found)
    }

    fn needs_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().ok_or_else(not_found)?;
        if parent == Path::new("/") || self.live.get(parent) == Some(&None) { Ok(()) } else { Err(not_found()) }
    }
}

impl Files for SimFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        self.change(|state| {
            state.needs_parent(path)?;
            if state.live.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.files.push(Inode::default());
            let number = state.files.len() - 1;
            state.live.insert(path.to_owned(), Some(number));
            Ok(())
        })?;
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        let number = lock(&self.0).file(path)?;
        Ok(Box::new(SimFile(self.clone(), number)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = lock(&self.0);
        Ok(state.files[state.file(path)?].live.clone())
    }

    fn exists(&self, path: &Path) -> bool {
        path == Path::new("/") || lock(&self.0).live.contains_key(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = lock(&self.0);
        let children = state.live.keys().filter(|path| path.parent() == Some(dir));
        Ok(children.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|state| {
            state.needs_parent(dir)?;
            state.live.entry(dir.to_owned()).or_insert(None);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|state| {
            state.syncs += 1;
            state.durable.retain(|path, _| path.parent() != Some(dir));
            let names: Vec<_> = state
                .live
                .iter()
                .filter(|(path, _)| path.parent() == Some(dir))
                .map(|(path, file)| (path.clone(), *file))
                .collect();
            state.durable.extend(names);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let file = state.live.remove(from).ok_or_else(not_found)?;
            state.live.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| state.live.remove(path).map(|_| ()).ok_or_else(not_found))
    }

    fn sync_all(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }

    fn is_marked_durable(&self, path: &Path) -> bool {
        let state = lock(&self.0);
        state.file(path).is_ok_and(|number| state.files[number].is_marked)
    }
}

struct SimFile(SimFiles, usize);

impl DataFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.change(|state| {
            let inode = &mut state.files[self.1];
            write(&mut inode.live, offset as usize, bytes);
            inode.pending.push(Pending::Write(offset, bytes.to_vec()));
            Ok(())
        })
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let state = lock(&self.0.0);
        let from = state.files[self.1].live.get(offset as usize..offset as usize + bytes.len());
        bytes.copy_from_slice(from.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.change(|state| {
            state.syncs += 1;
            let inode = &mut state.files[self.1];
            (inode.durable, inode.pending) = (inode.live.clone(), Vec::new());
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.change(|state| {
            let inode = &mut state.files[self.1];
            inode.live.resize(len as usize, 0);
            inode.pending.push(Pending::Length(len));
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(lock(&self.0.0).files[self.1].live.len() as u64)
    }

    fn mark_durable(&self) {
        // Like any call of a dead machine's, it does nothing then.
        let _ = self.0.change(|state| {
            state.files[self.1].is_marked = true;
            Ok(())
        });
    }
}
