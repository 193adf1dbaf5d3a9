//! Keeps projections up to the log: rows and the position they have reached change together, or not at all.
//!
//! Each version of a projection has a tree of its own. A new version is built beside the tree of the old one, which is dropped once the
//! new one has caught up: a crash in between leaves both, and the building goes on where it was. Whoever reads waits for the version
//! that they can read, and for no other projection. A tree that has seen another log is made anew. An event that a projection cannot
//! take is kept by position and reason, never skipped silently. What projections mean is not known here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::blocks::Blocks;
use super::codec::{self, Decoded};
use super::guard::guarded;
use super::log::{Head, Stored, ViewRows};
use super::ordered::{Change, IndexFactory, Row, open_or_set_aside};
use super::{Error, Unwritable, lock};
use crate::domain::event::Recorded;
use crate::domain::ids::Hash;
use crate::views::{Projection, Rows};

/// Keys of what lies beside the rows: the checkpoint, and what could not be taken.
const CHECKPOINT: &[u8] = &[0];
const REFUSED: u8 = 2;
/// How rows lie in a tree: in blocks, with changes that have checksums. In layout 2 they had none; the one before, a row for each row, has no
/// number.
const LAYOUT: u32 = 3;
/// Events taken in before rows and checkpoint are written.
const CHUNK_EVENTS: u32 = 2000;
/// Memory that the index of views may take, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// The projections of one store.
pub struct Projector {
    shelf: Arc<dyn IndexFactory>,
    path: PathBuf,
    projections: Vec<Arc<dyn Projection>>,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    open: RwLock<Option<Arc<Blocks>>>,
    /// Held by whoever changes rows or swaps the index, for one chunk at a time.
    folding: Mutex<()>,
    /// Projections beside which no tree of another version is left.
    alone: Mutex<BTreeSet<&'static str>>,
    /// The furthest position that was taken in here: a projection that is beyond somebody's head but not beyond this has seen the same
    /// log, only more of it.
    furthest: AtomicU64,
}

/// Reads events in order: from a position on, at most so many.
pub type Source<'a> = &'a dyn Fn(u64, u32) -> Result<Vec<Stored>, Error>;

/// How far a projection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The version of its rows.
    pub version: u32,
    /// The last position that it has seen.
    pub seq: u64,
    /// The chain's hash there.
    pub hash: Hash,
}

impl Projector {
    /// Keeps `projections` in the index at `path`; `tell` hears, in words for people, when they are broken or of an older layout, and made again.
    pub fn new(
        shelf: Arc<dyn IndexFactory>,
        path: PathBuf,
        projections: Vec<Arc<dyn Projection>>,
        tell: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        Self {
            shelf,
            path,
            projections,
            tell,
            open: RwLock::default(),
            folding: Mutex::default(),
            alone: Mutex::default(),
            furthest: AtomicU64::new(0),
        }
    }

    /// Returns whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.projections.is_empty()
    }

    /// Returns why the projections are kept in memory, when they had to leave their disk.
    pub fn given_up(&self) -> Option<Unwritable> {
        self.shelf.given_up(&self.path)
    }

    /// Returns how far the projection `name` has come; `None` when it must be made anew.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such projection, [`Error::Index`].
    pub fn checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, Error> {
        let projection = self.find(name)?;
        self.with(|index| checkpoint(index, projection))
    }

    /// Returns how far the projection has come that is furthest behind: 0 for one that must be made anew.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn reached(&self) -> Result<u64, Error> {
        self.with(|index| {
            let mut least = u64::MAX;
            for projection in &self.projections {
                least = least.min(checkpoint(index, &**projection)?.map_or(0, |reached| reached.seq));
            }
            Ok(least)
        })
    }

    /// Brings the projection `name`, or every one, up to `head`, reading events from `source`. Others may fold in between.
    ///
    /// # Errors
    /// [`Error::Index`], or what `source` says.
    pub fn reach(&self, name: Option<&str>, head: Head, source: Source<'_>) -> Result<(), Error> {
        let wanted = |projection: &&Arc<dyn Projection>| name.is_none_or(|name| projection.name() == name);
        let wanted: Vec<&dyn Projection> = self.projections.iter().filter(wanted).map(|projection| &**projection).collect();
        self.with(|index| {
            {
                let _folding = lock(&self.folding);
                wanted.iter().try_for_each(|projection| self.keep_or_clear(index, *projection, head, source))?;
            }
            loop {
                // One chunk at a time: whoever waits for a projection that is nearly there need not wait for one that is built anew.
                let _folding = lock(&self.folding);
                if self.fold(index, &wanted, head, source)? {
                    return wanted.iter().try_for_each(|projection| self.drop_others(index, *projection));
                }
            }
        })
    }

    /// Returns rows as [`Log::view`](super::log::Log::view) does, as far as the projection has come.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such projection, [`Error::Index`].
    pub fn rows(&self, name: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, Error> {
        let projection = self.find(name)?;
        self.with(|index| {
            let seen = checkpoint(index, projection)?.map_or(0, |checkpoint| checkpoint.seq);
            let mut rows: Vec<Row> = Vec::new();
            if limit > 0 {
                index.scan(&tree(projection), from, to, reverse, &mut |key, row| {
                    rows.push((key.to_vec(), row.to_vec()));
                    rows.len() < limit as usize
                })?;
            }
            Ok(ViewRows { rows, seen })
        })
    }

    /// Returns positions and reasons of the events that the projection could not take, in order.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub fn refused(&self, name: &str) -> Result<Vec<(u64, String)>, Error> {
        let tree = tree(self.find(name)?);
        self.with(|index| {
            let mut refused = Vec::new();
            index.index.scan(&tree, &[REFUSED], Some(&[REFUSED + 1]), false, &mut |key, why| {
                let seq = key.get(1..9).and_then(|seq| seq.try_into().ok()).map_or(0, u64::from_be_bytes);
                refused.push((seq, String::from_utf8_lossy(why).into_owned()));
                true
            })?;
            Ok(refused)
        })
    }

    /// Writes out what is in memory.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn flush(&self) -> Result<(), Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        open.map_or(Ok(()), |index| index.index.flush())
    }

    fn find(&self, name: &str) -> Result<&dyn Projection, Error> {
        let found = self.projections.iter().find(|projection| projection.name() == name);
        found.map(|projection| &**projection).ok_or_else(|| Error::Refused(format!("there is no view `{name}`")))
    }

    /// Calls `run` with the index; one that breaks is set aside, and `run` is called again with an empty one: in memory when it broke
    /// because its disk cannot be written to.
    fn with<T>(&self, run: impl Fn(&Blocks) -> Result<T, Error>) -> Result<T, Error> {
        let index = self.index()?;
        match run(&index) {
            Err(Error::Index(why)) => {
                self.replace(&index, &why)?;
                run(&*self.index()?)
            }
            Err(error) => match error.unwritable() {
                Some(why) if self.give_up(&index, why) => run(&*self.index()?),
                _ => Err(error),
            },
            outcome => outcome,
        }
    }

    /// Goes on in memory in place of `full`; false where that is not possible.
    fn give_up(&self, full: &Arc<Blocks>, why: Unwritable) -> bool {
        let _folding = lock(&self.folding);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some(index) if Arc::ptr_eq(index, full) => {
                let given_up = self.shelf.give_up(&self.path, why);
                if given_up {
                    *open = None;
                }
                given_up
            }
            // Somebody else has done so already.
            _ => true,
        }
    }

    fn index(&self) -> Result<Arc<Blocks>, Error> {
        if let Some(index) = &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(index));
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*open {
            return Ok(Arc::clone(index));
        }
        let told = |why: &str, aside: &Path| self.broke(why, aside);
        if self.shelf.is_doubtful(&self.path) {
            tracing::info!("the views may lack what was not written when the machine went down; they are made again");
            self.discard()?;
        }
        let open_it = || open_or_set_aside(&*self.shelf, &self.path, CACHE_BYTES, &told);
        let mut index = open_it()?;
        let trees = match index.trees() {
            Err(Error::Index(why)) => {
                self.set_aside(&why)?;
                index = open_it()?;
                Vec::new()
            }
            trees => trees?,
        };
        if trees.iter().any(|tree| is_of_older_layout(tree)) {
            // Its folder is free when nobody has it open any more.
            drop(index);
            self.discard()?;
            let older = "the views have an older layout; they are made again from the log";
            tracing::info!("{older}");
            (self.tell)(older);
            index = open_it()?;
        }
        let index = Arc::new(Blocks::new(index));
        *open = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Makes room for new views; in memory where the disk cannot be written to.
    fn discard(&self) -> Result<(), Error> {
        self.shelf.discard(&self.path).or_else(|error| match error.unwritable() {
            Some(why) if self.shelf.give_up(&self.path, why) => Ok(()),
            _ => Err(error),
        })
    }

    fn replace(&self, broken: &Arc<Blocks>, why: &str) -> Result<(), Error> {
        let _folding = lock(&self.folding);
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|index| Arc::ptr_eq(index, broken)) {
            *open = None;
            self.set_aside(why)?;
        }
        Ok(())
    }

    fn set_aside(&self, why: &str) -> Result<(), Error> {
        let aside = self.shelf.set_aside(&self.path)?;
        self.broke(why, &aside);
        Ok(())
    }

    /// Says that the views were of no use. Of what was set aside before nobody needs anything: the index of events has it all.
    fn broke(&self, why: &str, aside: &Path) {
        let done = match aside == self.path {
            true => "made again in memory".to_owned(),
            false => format!("set aside as {} and made again", aside.display()),
        };
        let told = format!("the views are broken ({why}); they are {done} from the log");
        tracing::warn!("{told}");
        (self.tell)(&told);
        self.shelf.drop_older(&self.path, aside);
    }

    /// Begins a tree anew that has seen another log, or more of this one than there is.
    fn keep_or_clear(&self, index: &Blocks, projection: &dyn Projection, head: Head, source: Source<'_>) -> Result<(), Error> {
        match checkpoint(index, projection)? {
            Some(reached) if reached.seq > head.seq && reached.seq <= self.furthest.load(Ordering::Acquire) => Ok(()),
            Some(reached) if reached.seq <= head.seq && is_of_this_log(reached, head, source)? => Ok(()),
            _ => index.clear(&tree(projection)),
        }
    }

    /// Takes one chunk into those of `wanted` that are furthest behind; returns whether all have reached `head`.
    fn fold(&self, index: &Blocks, wanted: &[&dyn Projection], head: Head, source: Source<'_>) -> Result<bool, Error> {
        let mut behind = Vec::new();
        for projection in wanted {
            let reached = checkpoint(index, *projection)?.map_or(0, |reached| reached.seq);
            if reached < head.seq {
                behind.push((reached, *projection));
            }
        }
        let Some(from) = behind.iter().map(|(reached, _)| *reached).min() else { return Ok(true) };
        let events = source(from + 1, CHUNK_EVENTS)?;
        let Some(last) = events.last() else { return Ok(true) };
        let last = Head { seq: last.envelope.seq, hash: last.hash, ..head };
        let events: Vec<_> = events.iter().map(|stored| (stored, codec::decode(stored))).collect();
        for (reached, projection) in behind.into_iter().filter(|(reached, _)| *reached < last.seq) {
            take(index, projection, reached, &events, last)?;
        }
        self.furthest.fetch_max(last.seq, Ordering::AcqRel);
        Ok(false)
    }

    /// Drops what other versions of a projection left, once this one has caught up.
    fn drop_others(&self, index: &Blocks, projection: &dyn Projection) -> Result<(), Error> {
        let name = projection.name();
        if lock(&self.alone).contains(name) {
            return Ok(());
        }
        let own = tree(projection);
        let is_other = |tree: &String| {
            let version = tree.strip_prefix(name);
            *tree != own && version.is_some_and(|version| version.is_empty() || version.starts_with('@'))
        };
        index.index.trees()?.iter().filter(|tree| is_other(tree)).try_for_each(|tree| index.clear(tree))?;
        lock(&self.alone).insert(name);
        Ok(())
    }
}

/// Returns the tree of a projection's version.
fn tree(projection: &dyn Projection) -> String {
    format!("{}@{}.{LAYOUT}", projection.name(), projection.version())
}

/// Tells a tree that was made when rows did not lie in blocks.
fn is_of_older_layout(tree: &str) -> bool {
    tree.split_once('@').is_some_and(|(_, version)| !version.contains('.'))
}

/// A checkpoint of another log, or of a log that was rolled back and written anew, has another hash.
fn is_of_this_log(reached: Checkpoint, head: Head, source: Source<'_>) -> Result<bool, Error> {
    if reached.seq == head.seq {
        return Ok(reached.hash == head.hash);
    }
    let event = source(reached.seq, 1)?;
    Ok(event.first().is_some_and(|event| event.envelope.seq == reached.seq && event.hash == reached.hash))
}

/// Folds `events` into the projection's rows and writes them together with the checkpoint.
fn take(
    index: &Blocks,
    projection: &dyn Projection,
    reached: u64,
    events: &[(&Stored, Result<Decoded, Error>)],
    last: Head,
) -> Result<(), Error> {
    let tree = tree(projection);
    let mut rows = Overlay {
        index,
        tree: &tree,
        chunk: BTreeMap::new(),
        refused: Vec::new(),
        event: BTreeMap::new(),
        failed: RefCell::new(None),
    };
    for (stored, decoded) in events.iter().filter(|(stored, _)| stored.envelope.seq > reached) {
        let outcome = match decoded {
            Ok(Decoded::Known(recorded)) => apply(projection, &mut rows, recorded),
            Ok(Decoded::Unknown { .. }) => Ok(()),
            Err(why) => Err(why.to_string()),
        };
        if let Some(why) = rows.failed.take() {
            return Err(why);
        }
        let event = std::mem::take(&mut rows.event);
        match outcome {
            Ok(()) => rows.chunk.extend(event),
            Err(why) => {
                tracing::error!("the view `{}` cannot take event {}: {why}", projection.name(), stored.envelope.seq);
                let key = [&[REFUSED][..], &stored.envelope.seq.to_be_bytes()].concat();
                rows.refused.push((key, Some(why.into_bytes())));
            }
        }
    }
    let checkpoint = [&projection.version().to_be_bytes()[..], &last.seq.to_be_bytes(), &last.hash.0].concat();
    let Overlay { chunk, refused: mut beside, .. } = rows;
    beside.push((CHECKPOINT.to_vec(), Some(checkpoint)));
    index.apply(&tree, chunk, beside)
}

fn apply(projection: &dyn Projection, rows: &mut Overlay<'_>, event: &Recorded) -> Result<(), String> {
    guarded(|| projection.apply(rows, event)).unwrap_or_else(|panic| Err(format!("panicked: {panic}")))
}

fn checkpoint(index: &Blocks, projection: &dyn Projection) -> Result<Option<Checkpoint>, Error> {
    let Some(row) = index.index.get(&tree(projection), CHECKPOINT)? else { return Ok(None) };
    let found = (|| {
        let (version, rest) = row.split_first_chunk::<4>()?;
        let (seq, hash) = rest.split_first_chunk::<8>()?;
        let hash = Hash(hash.try_into().ok()?);
        Some(Checkpoint { version: u32::from_be_bytes(*version), seq: u64::from_be_bytes(*seq), hash })
    })();
    Ok(found.filter(|found| found.version == projection.version()))
}

/// The rows of a projection with changes that are not written yet.
struct Overlay<'a> {
    index: &'a Blocks,
    tree: &'a str,
    /// Changes of the events taken so far, by key.
    chunk: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The events that were refused.
    refused: Vec<Change>,
    /// Changes of the event that is being taken: dropped when it is refused.
    event: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    failed: RefCell<Option<Error>>,
}

impl Rows for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(changed) = self.event.get(key).or_else(|| self.chunk.get(key)) {
            return changed.clone();
        }
        self.index.get(self.tree, key).unwrap_or_else(|why| {
            // The projection is pure and cannot be told; its work is thrown away when it returns.
            *self.failed.borrow_mut() = Some(why);
            None
        })
    }

    fn put(&mut self, key: &[u8], row: Vec<u8>) {
        self.event.insert(key.to_vec(), Some(row));
    }

    fn remove(&mut self, key: &[u8]) {
        self.event.insert(key.to_vec(), None);
    }
}
