//! A block of sorted rows in one row of an index.
//!
//! ```text
//! row:   crc u32 · flags u8 · body length u32 · last key length u32 · last key · body
//! body:  count u32 · (shared u32 · rest u32 · row u32) per row · the rests of all keys · all rows      (compressed when that is shorter)
//! ```
//! Numbers are little-endian. `shared` says how many bytes a key has in common with the one before it. The checksum covers everything
//! behind it. A block stays so short that sled keeps a whole node of them in its log, as pages of events do.

use super::Row;
use crate::store::packing;

/// Bytes of keys and rows that a block has at most, unless one row alone has more.
const BLOCK_BYTES_MAX: usize = 24 * 1024;
/// The longest block of more than one row, packed.
const PACKED_BYTES_MAX: usize = 7 * 1024;
/// Bytes of a block before the last key.
const HEADER_BYTES: usize = 13;
/// Bytes that say how long a key and its row are.
const ENTRY_BYTES: usize = 12;
/// The longest body that is believed, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

const COMPRESSED: u8 = 1;

/// A block, unpacked.
#[derive(Debug, Default)]
pub(super) struct Block {
    keys: Vec<u8>,
    rows: Vec<u8>,
    /// Where each key ends in `keys`, and each row in `rows`.
    ends: Vec<(usize, usize)>,
}

impl Block {
    /// Reads a block; `None` when the bytes are none, or not as they were written.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(rest) {
            return None;
        }
        let (flags, rest) = rest.split_first()?;
        let (length, rest) = number(rest)?;
        let (last, rest) = number(rest)?;
        let (_, body) = rest.split_at_checked(last)?;
        if length > BODY_BYTES_MAX {
            return None;
        }
        if flags & COMPRESSED == 0 {
            return Self::unpacked(body).filter(|_| body.len() == length);
        }
        let body = packing::unpacked(body, length)?;
        Self::unpacked(&body)
    }

    fn unpacked(body: &[u8]) -> Option<Self> {
        let (count, rest) = number(body)?;
        let (entries, rest) = rest.split_at_checked(count.checked_mul(ENTRY_BYTES)?)?;
        let (mut block, mut begin, mut rests) = (Self { ends: Vec::with_capacity(count), ..Self::default() }, 0, 0);
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            rests += number(&entry[4..])?.0;
        }
        let (mut suffixes, rows) = rest.split_at_checked(rests)?;
        let mut row_end = 0;
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let ((shared, entry), key_begin) = (number(entry)?, block.keys.len());
            let (rest, entry) = number(entry)?;
            let (suffix, after) = suffixes.split_at_checked(rest)?;
            suffixes = after;
            let shared = begin..(begin + shared).min(key_begin);
            block.keys.extend_from_within(shared);
            block.keys.extend(suffix);
            row_end += number(entry)?.0;
            block.ends.push((block.keys.len(), row_end));
            begin = key_begin;
        }
        block.rows = rows.to_vec();
        (block.rows.len() == row_end).then_some(block)
    }

    /// Returns the last key of a block that is not unpacked; `None` when it is not as it was written.
    pub fn last_key(bytes: &[u8]) -> Option<&[u8]> {
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        let (length, keys) = number(rest.get(5..)?)?;
        keys.get(..length).filter(|_| u32::from_le_bytes(*crc) == crc32c::crc32c(rest))
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns how much memory it takes, about.
    pub fn bytes(&self) -> usize {
        self.keys.len() + self.rows.len() + self.ends.len() * 16
    }

    /// Returns a key and its row; both are empty behind the last.
    pub fn at(&self, index: usize) -> (&[u8], &[u8]) {
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(index).copied().unwrap_or(before);
        (&self.keys[before.0..end.0], &self.rows[before.1..end.1])
    }

    /// Returns the index of the first row whose key is not below `key`.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            if self.at(middle).0 < key { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// Returns the row at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let index = self.lower_bound(key);
        let (found, row) = self.at(index);
        (index < self.len() && found == key).then_some(row)
    }
}

/// Makes blocks of sorted rows: each with its first key. `is_appended` tells that rows come in the order of their keys, so that blocks
/// which are full need no room for more.
pub(super) fn cut(rows: &[Row], is_appended: bool) -> Vec<Row> {
    let size = |(key, row): &Row| key.len() + row.len();
    let total: usize = rows.iter().map(size).sum();
    let most = match is_appended {
        true => BLOCK_BYTES_MAX,
        false => total / total.div_ceil(BLOCK_BYTES_MAX).max(1) + BLOCK_BYTES_MAX / 8,
    };
    let (mut blocks, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (index, row) in rows.iter().enumerate() {
        if bytes + size(row) > most && index > begin {
            pack_into(&rows[begin..index], &mut blocks);
            (begin, bytes) = (index, 0);
        }
        bytes += size(row);
    }
    pack_into(&rows[begin..], &mut blocks);
    blocks
}

fn pack_into(rows: &[Row], blocks: &mut Vec<Row>) {
    let Some((first, _)) = rows.first() else { return };
    let packed = pack(rows);
    if packed.len() > PACKED_BYTES_MAX && rows.len() > 1 {
        let (left, right) = rows.split_at(rows.len() / 2);
        pack_into(left, blocks);
        pack_into(right, blocks);
    } else {
        blocks.push((first.clone(), packed));
    }
}

fn pack(rows: &[Row]) -> Vec<u8> {
    let (mut entries, mut rests) = (Vec::with_capacity(rows.len() * ENTRY_BYTES), Vec::<u8>::new());
    let mut previous: &[u8] = &[];
    for (key, row) in rows {
        let shared = previous.iter().zip(key).take_while(|(a, b)| a == b).count();
        for number in [shared, key.len() - shared, row.len()] {
            // No row comes near 4 GiB: an event that could make one does not fit into a batch.
            entries.extend((number as u32).to_le_bytes());
        }
        rests.extend(&key[shared..]);
        previous = key;
    }
    let mut body = Vec::with_capacity(4 + entries.len() + rests.len());
    body.extend((rows.len() as u32).to_le_bytes());
    body.extend(entries);
    body.extend(rests);
    rows.iter().for_each(|(_, row)| body.extend(row));
    let packed = packing::packed(&body);
    let content = packed.as_ref().unwrap_or(&body);
    let mut block = Vec::with_capacity(HEADER_BYTES + previous.len() + content.len());
    block.extend([0; 4]);
    block.push(if packed.is_some() { COMPRESSED } else { 0 });
    block.extend((body.len() as u32).to_le_bytes());
    block.extend((previous.len() as u32).to_le_bytes());
    block.extend(previous);
    block.extend(content);
    let crc = crc32c::crc32c(&block[4..]);
    block[..4].copy_from_slice(&crc.to_le_bytes());
    block
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(count: usize) -> impl Strategy<Value = Vec<Row>> {
        let part = |bytes| proptest::collection::vec(any::<u8>(), 0..bytes);
        proptest::collection::btree_map(part(30), part(1500), 1..count).prop_map(|rows| rows.into_iter().collect())
    }

    proptest! {
        #[test]
        fn blocks_read_back_as_they_were(rows in rows(80), is_appended in any::<bool>()) {
            let mut found = Vec::new();
            for (first, packed) in cut(&rows, is_appended) {
                let block = Block::read(&packed).unwrap();
                prop_assert!(packed.len() <= PACKED_BYTES_MAX || block.len() == 1, "{} bytes", packed.len());
                prop_assert_eq!(block.at(0).0, &first[..]);
                prop_assert_eq!(Block::last_key(&packed), Some(block.at(block.len() - 1).0));
                for index in 0..block.len() {
                    let (key, row) = block.at(index);
                    prop_assert_eq!(block.get(key), Some(row));
                    prop_assert_eq!(block.get(&[key, &[0]].concat()).is_some(), rows.iter().any(|(other, _)| *other == [key, &[0]].concat()) && index + 1 < block.len());
                    found.push((key.to_vec(), row.to_vec()));
                }
            }
            prop_assert_eq!(found, rows);
        }

        #[test]
        fn no_flipped_bit_and_no_cut_goes_unseen(rows in rows(20), at in any::<usize>(), bit in 0u8..8) {
            let mut packed = pack(&rows);
            prop_assert!(Block::read(&packed[..at % packed.len()]).is_none());
            let at = at % packed.len();
            packed[at] ^= 1 << bit;
            prop_assert!(Block::read(&packed).is_none());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), small in any::<bool>()) {
            if bytes.len() > 20 {
                // A body that is not compressed and has few rows, so that the reader gets as far as their lengths.
                (bytes[4], bytes[13]) = (0, if small { 2 } else { bytes[13] });
                let body = (bytes.len() - HEADER_BYTES) as u32;
                bytes[5..9].copy_from_slice(&body.to_le_bytes());
                bytes[9..13].fill(0);
                bytes[14..17].fill(0);
                let crc = crc32c::crc32c(&bytes[4..]);
                bytes[..4].copy_from_slice(&crc.to_le_bytes());
            }
            let _ = (Block::read(&bytes), Block::last_key(&bytes));
        }
    }
}
