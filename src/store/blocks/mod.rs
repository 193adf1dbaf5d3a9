//! Many small rows in few large ones: the trees of projections, whose rows are kept in sorted, compressed blocks.
//!
//! ```text
//! 1 ‖ key         → crc u32 · 1 ‖ row, or crc u32 · 0 when the row is removed: what changed since the block around it was made
//! 3 ‖ first key   → a block of consecutive rows (block.rs)
//! ```
//! The checksum of a change covers its key and what stands behind it, that of a block its own bytes, whose first key is the one that it
//! stands at: so no row is handed out that is not as it was written. A block reaches as far as the next one begins. Changes lie beside it until they are many or long; then both become blocks anew. All of
//! that, and the checkpoint of whoever writes, is one batch, so a crash leaves the tree as it was before or after. sled takes 5 to 10 µs
//! for a row whatever its length, and rewrites a node of rows after ten changes: few rows cost less time and less room.

mod block;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use self::block::Block;
use super::ordered::{Change, OrderedIndex, Row};
use super::{Error, lock};

/// First byte of the keys of changes, and of the first key behind them.
const CHANGE: u8 = 1;
const CHANGE_END: u8 = 2;
/// First byte of the keys of blocks, and of the first key behind them.
const BLOCK: u8 = 3;
const BLOCK_END: u8 = 4;
/// Changes that lie beside a block, and their bytes, before both become blocks anew.
const CHANGES_MAX: usize = 48;
const CHANGES_BYTES_MAX: usize = 8 * 1024;
/// Memory for blocks that were unpacked lately, in bytes.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The trees of an index, in blocks. Keys given here are those of rows; what else a tree holds is reached through [`Self::index`].
pub(super) struct Blocks {
    /// The index below.
    pub index: Arc<dyn OrderedIndex>,
    /// Held by readers while they put a block and its changes together, and by the writer while it changes them.
    whole: RwLock<()>,
    unpacked: Mutex<Unpacked>,
}

/// Blocks that were unpacked lately, by tree and first key.
#[derive(Default)]
struct Unpacked {
    trees: HashMap<String, HashMap<Vec<u8>, Arc<Block>>>,
    bytes: usize,
}

/// A block and the key that it stands at.
type Keyed = (Vec<u8>, Arc<Block>);

/// Where a block ends and what belongs to it.
struct Region {
    /// The key that the block stands at, if there is a block.
    key: Option<Vec<u8>>,
    block: Arc<Block>,
    /// Changes up to where the next block begins, in order; `None` removes.
    changes: Vec<Change>,
}

impl Blocks {
    pub fn new(index: Arc<dyn OrderedIndex>) -> Self {
        Self { index, whole: RwLock::default(), unpacked: Mutex::default() }
    }

    /// Returns the row at `key`.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn get(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let _whole = self.whole.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(change) = self.index.get(tree, &prefixed(CHANGE, key))? {
            return row_of(key, &change);
        }
        let Some((_, block)) = self.block_to(tree, key, Some(key))? else { return Ok(None) };
        Ok(block.get(key).map(<[u8]>::to_vec))
    }

    /// Calls `each` with the rows whose keys lie in `[from, to)`, from the largest down when `reverse`, until it returns false.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn scan(
        &self,
        tree: &str,
        from: &[u8],
        to: Option<&[u8]>,
        reverse: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let (mut from, mut to) = (from.to_vec(), to.map(<[u8]>::to_vec));
        while to.as_ref().is_none_or(|to| *to > from) {
            let region = {
                let _whole = self.whole.read().unwrap_or_else(PoisonError::into_inner);
                if reverse {
                    let end = to.as_ref().map_or_else(|| vec![BLOCK_END], |to| prefixed(BLOCK, to));
                    let block = self.find_block(tree, &[BLOCK], &end, true, None)?;
                    let (key, block) = block.map_or_else(Default::default, |(key, block)| (Some(key), block));
                    let begin = key.clone().filter(|key| *key > from).unwrap_or_else(|| from.clone());
                    let changes = self.changes(tree, &begin, to.as_deref())?;
                    (Region { key, block, changes }, begin, to.take())
                } else {
                    let (key, block) =
                        self.block_to(tree, &from, None)?.map_or_else(Default::default, |(key, block)| (Some(key), block));
                    let end = self.next_block(tree, &from)?;
                    let end = if to.is_none() || end.as_ref().is_some_and(|end| to.as_ref().is_some_and(|to| end < to)) {
                        end
                    } else {
                        to.clone()
                    };
                    let changes = self.changes(tree, &from, end.as_deref())?;
                    (Region { key, block, changes }, std::mem::take(&mut from), end)
                }
            };
            let (region, begin, end) = region;
            if !region.each(&begin, end.as_deref(), reverse, each) {
                return Ok(());
            }
            match (reverse, end) {
                (true, _) if region.key.as_ref().is_none_or(|key| *key <= from) => return Ok(()),
                (true, _) => to = Some(begin),
                (false, None) => return Ok(()),
                (false, Some(end)) => from = end,
            }
        }
        Ok(())
    }

    /// Makes all changes at once, and those of `beside` to the tree as it lies below; after a crash all of them are there or none.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn apply(&self, tree: &str, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>, beside: Vec<Change>) -> Result<(), Error> {
        let _whole = self.whole.write().unwrap_or_else(PoisonError::into_inner);
        let mut below = beside;
        let mut changes = changes.into_iter().peekable();
        while let Some((first, _)) = changes.peek() {
            // What comes before every block belongs to the first one: so rows that come in falling order fill blocks as well.
            let found = match self.block_to(tree, first, None)? {
                Some((key, block)) => Some((key.clone(), key, block)),
                None => self.first_block(tree)?.map(|(key, block)| (Vec::new(), key, block)),
            };
            let (begin, key, block) = found.map_or_else(Default::default, |(begin, key, block)| (begin, Some(key), block));
            let end = self.next_block(tree, key.as_ref().unwrap_or(&begin))?;
            let known = self.changes(tree, &begin, end.as_deref())?;
            let mut new = Vec::new();
            while let Some(change) = changes.next_if(|(key, _)| end.as_ref().is_none_or(|end| key < end)) {
                new.push(change);
            }
            Region { key, block, changes: known }.apply(new, &mut below);
        }
        self.forget(tree, &below);
        self.index.apply(tree, below)
    }

    /// Removes a tree.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn clear(&self, tree: &str) -> Result<(), Error> {
        let _whole = self.whole.write().unwrap_or_else(PoisonError::into_inner);
        *lock(&self.unpacked) = Unpacked::default();
        self.index.clear(tree)
    }

    /// Returns the block with the greatest key that is not above `key`, unless that block ends before `wanted`.
    fn block_to(&self, tree: &str, key: &[u8], wanted: Option<&[u8]>) -> Result<Option<Keyed>, Error> {
        let mut end = prefixed(BLOCK, key);
        end.push(0);
        self.find_block(tree, &[BLOCK], &end, true, wanted)
    }

    fn first_block(&self, tree: &str) -> Result<Option<Keyed>, Error> {
        self.find_block(tree, &[BLOCK], &[BLOCK_END], false, None)
    }

    fn find_block(
        &self,
        tree: &str,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        wanted: Option<&[u8]>,
    ) -> Result<Option<Keyed>, Error> {
        let mut found = Ok(None);
        self.index.scan(tree, from, Some(to), reverse, &mut |key, row| {
            let ends_before = wanted.is_some_and(|wanted| Block::last_key(row).is_some_and(|last| last < wanted));
            if !ends_before {
                found = self.unpacked(tree, &key[1..], row).map(|block| Some((key[1..].to_vec(), block)));
            }
            false
        })?;
        found
    }

    /// Returns where the next block behind `key` begins.
    fn next_block(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut from = prefixed(BLOCK, key);
        from.push(0);
        let mut next = None;
        self.index.scan(tree, &from, Some(&[BLOCK_END]), false, &mut |key, _| {
            next = Some(key[1..].to_vec());
            false
        })?;
        Ok(next)
    }

    fn changes(&self, tree: &str, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Change>, Error> {
        let to = to.map_or_else(|| vec![CHANGE_END], |to| prefixed(CHANGE, to));
        let (mut changes, mut outcome) = (Vec::new(), Ok(()));
        self.index.scan(tree, &prefixed(CHANGE, from), Some(&to), false, &mut |key, change| {
            match row_of(&key[1..], change) {
                Ok(row) => changes.push((key[1..].to_vec(), row)),
                Err(why) => outcome = Err(why),
            }
            outcome.is_ok()
        })?;
        outcome.map(|()| changes)
    }

    fn unpacked(&self, tree: &str, key: &[u8], row: &[u8]) -> Result<Arc<Block>, Error> {
        if let Some(block) = lock(&self.unpacked).trees.get(tree).and_then(|blocks| blocks.get(key)) {
            return Ok(Arc::clone(block));
        }
        let block = Block::read(row).filter(|block| block.at(0).0 == key);
        let block = Arc::new(block.ok_or_else(|| Error::Index("a block of rows is not as it was written".to_owned()))?);
        let mut unpacked = lock(&self.unpacked);
        if unpacked.bytes > CACHE_BYTES {
            *unpacked = Unpacked::default();
        }
        unpacked.bytes += block.bytes();
        let known = unpacked.trees.entry(tree.to_owned()).or_default().insert(key.to_vec(), Arc::clone(&block));
        unpacked.bytes -= known.map_or(0, |known| known.bytes());
        Ok(block)
    }

    /// Forgets the blocks that are going to change.
    fn forget(&self, tree: &str, changes: &[Change]) {
        let mut unpacked = lock(&self.unpacked);
        let Unpacked { trees, bytes } = &mut *unpacked;
        let Some(blocks) = trees.get_mut(tree) else { return };
        for (key, _) in changes.iter().filter(|(key, _)| key.first() == Some(&BLOCK)) {
            *bytes -= blocks.remove(&key[1..]).map_or(0, |block| block.bytes());
        }
    }
}

impl Region {
    /// Calls `each` with the rows in `[from, to)` until it returns false; then it returns false as well.
    fn each(&self, from: &[u8], to: Option<&[u8]>, reverse: bool, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        let mut rows = self.block.lower_bound(from)..to.map_or(self.block.len(), |to| self.block.lower_bound(to));
        let mut changes = 0..self.changes.len();
        loop {
            let row = if reverse { rows.clone().next_back() } else { rows.clone().next() };
            let change = if reverse { changes.clone().next_back() } else { changes.clone().next() };
            let order = match (row, change) {
                (None, None) => return true,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(row), Some(change)) if reverse => self.changes[change].0.as_slice().cmp(self.block.at(row).0),
                (Some(row), Some(change)) => self.block.at(row).0.cmp(self.changes[change].0.as_slice()),
            };
            let mut take_row = || if reverse { rows.next_back() } else { rows.next() };
            let mut take_change = || if reverse { changes.next_back() } else { changes.next() };
            let goes_on = if order.is_lt() {
                take_row().is_none_or(|row| {
                    let (key, row) = self.block.at(row);
                    each(key, row)
                })
            } else {
                if order.is_eq() {
                    // The change says what the row is now.
                    take_row();
                }
                match take_change().and_then(|change| self.changes.get(change)) {
                    Some((key, Some(row))) => each(key, row),
                    _ => true,
                }
            };
            if !goes_on {
                return false;
            }
        }
    }

    /// Adds `new` changes, in order, to those that are known; what that changes `below` comes out.
    fn apply(self, new: Vec<Change>, below: &mut Vec<Change>) {
        let Self { key, block, changes } = self;
        let size = |change: &Change| change.0.len() + change.1.as_ref().map_or(0, Vec::len);
        let known: BTreeMap<Vec<u8>, Option<Vec<u8>>> = changes.into_iter().collect();
        let others = known.iter().filter(|(key, _)| new.binary_search_by(|(new, _)| new.cmp(key)).is_err());
        let (count, bytes) = others
            .fold((new.len(), new.iter().map(size).sum()), |(count, bytes): (usize, usize), (key, row)| {
                (count + 1, bytes + key.len() + row.as_ref().map_or(0, Vec::len))
            });
        // Of a block that has lost all its rows nothing is to be left.
        let removed = known.iter().chain(new.iter().map(|(key, row)| (key, row))).filter(|(_, row)| row.is_none()).count();
        let may_be_empty = block.len() > 0 && removed >= block.len();
        if count <= CHANGES_MAX && bytes <= CHANGES_BYTES_MAX && !may_be_empty {
            for (key, row) in new {
                // A row that no block has needs no word of its end.
                let change = match row {
                    Some(row) => Some(change_of(&key, Some(&row))),
                    None => block.get(&key).map(|_| change_of(&key, None)),
                };
                if change.is_some() || known.contains_key(&key) {
                    below.push((prefixed(CHANGE, &key), change));
                }
            }
            return;
        }
        below.extend(known.keys().map(|key| (prefixed(CHANGE, key), None)));
        let mut all = known;
        all.extend(new);
        let last = block.len().checked_sub(1).map(|last| block.at(last).0.to_vec());
        let is_appended = last.is_none_or(|last| all.keys().next().is_none_or(|first| *first >= last));
        let mut rows: Vec<Row> = Vec::with_capacity(block.len() + all.len());
        Self { key: None, changes: all.into_iter().collect(), block: Arc::clone(&block) }.each(
            &[],
            None,
            false,
            &mut |key, row| {
                rows.push((key.to_vec(), row.to_vec()));
                true
            },
        );
        let blocks = block::cut(&rows, is_appended);
        if let Some(key) = key.filter(|key| blocks.iter().all(|(first, _)| first != key)) {
            below.push((prefixed(BLOCK, &key), None));
        }
        below.extend(blocks.into_iter().map(|(first, block)| (prefixed(BLOCK, &first), Some(block))));
    }
}

/// Writes a change: what the row at `key` is now, or that it is removed.
fn change_of(key: &[u8], row: Option<&[u8]>) -> Vec<u8> {
    let mut change = vec![0; 4];
    change.push(u8::from(row.is_some()));
    change.extend(row.unwrap_or_default());
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &change[4..]);
    change[..4].copy_from_slice(&crc.to_le_bytes());
    change
}

/// Reads the change at `key`: the row, or `None` when it is removed.
fn row_of(key: &[u8], change: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let is_whole =
        |(crc, rest): &(&[u8; 4], &[u8])| u32::from_le_bytes(**crc) == crc32c::crc32c_append(crc32c::crc32c(key), rest);
    match change.split_first_chunk::<4>().filter(is_whole).and_then(|(_, rest)| rest.split_first()) {
        Some((1, row)) => Ok(Some(row.to_vec())),
        Some((0, [])) => Ok(None),
        _ => Err(Error::Index("a change of a row is not as it was written".to_owned())),
    }
}

fn prefixed(first: u8, key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(key.len() + 2);
    prefixed.push(first);
    prefixed.extend(key);
    prefixed
}
