//! Keys and rows of projections: composite keys that can be read by their beginning, and rows in bincode.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Rows;

/// A key made of parts. Each text stands behind its length, so keys that share their first parts stand together and no
/// part can run into the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// Begins a key with what kind of row it belongs to.
    pub fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    /// Adds a text; what is longer than 65,535 bytes counts as far as that.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(&bytes[..usize::from(length)]);
        self
    }

    /// Adds a small number.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// Adds bytes of a fixed length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Adds a number whose order is that of the key, negative ones first.
    #[must_use]
    pub fn signed(self, number: i64) -> Self {
        self.bytes(&order_of(number))
    }

    /// Returns the key.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Returns the smallest key that does not begin with this one; `None` when there is none.
    pub fn end(&self) -> Option<Vec<u8>> {
        let last = self.0.iter().rposition(|byte| *byte != u8::MAX)?;
        let mut end = self.0[..=last].to_vec();
        end[last] += 1;
        Some(end)
    }
}

/// Returns eight bytes whose order is that of the numbers.
pub fn order_of(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// Reads the parts of a key from its beginning.
#[derive(Clone, Debug)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Reads `key` behind its kind.
    pub fn new(key: &'a [u8]) -> Self {
        Self(key.get(1..).unwrap_or_default())
    }

    /// Reads a text; `None` when the key is not of that form.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.bytes(2)?.try_into().ok()?);
        std::str::from_utf8(self.bytes(usize::from(length))?).ok()
    }

    /// Reads a small number.
    pub fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    /// Reads so many bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Reads a number that [`Key::signed`] added.
    pub fn signed(&mut self) -> Option<i64> {
        let bytes = u64::from_be_bytes(self.bytes(8)?.try_into().ok()?);
        Some((bytes ^ (1 << 63)).cast_signed())
    }
}

/// Rows in memory, for a fold over a part of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapRows(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows for MapRows {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }

    fn put(&mut self, key: &[u8], row: Vec<u8>) {
        self.0.insert(key.to_vec(), row);
    }

    fn remove(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

/// Reads a row.
///
/// # Errors
/// Why the bytes are no such row.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let read = bincode::serde::decode_from_slice(bytes, bincode::config::standard());
    read.map(|(row, _)| row).map_err(|_| "a row cannot be read".to_owned())
}

/// Writes a row.
///
/// # Errors
/// Why it cannot be said in bincode.
pub fn write<T: Serialize>(row: &T) -> Result<Vec<u8>, String> {
    bincode::serde::encode_to_vec(row, bincode::config::standard()).map_err(|error| format!("a row cannot be written: {error}"))
}

/// Changes the row at `key`, one with nothing in it if there is none; a row with nothing in it any more is removed.
///
/// # Errors
/// Why the row cannot be read or written.
pub fn change<T>(rows: &mut dyn Rows, key: &[u8], change: impl FnOnce(&mut T)) -> Result<(), String>
where
    T: Serialize + DeserializeOwned + Default + PartialEq,
{
    let before = rows.get(key);
    let mut row = before.as_deref().map(read).transpose()?.unwrap_or_default();
    change(&mut row);
    if row != T::default() {
        rows.put(key, write(&row)?);
    } else if before.is_some() {
        rows.remove(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_are_read_back_and_stand_between_their_beginning_and_its_end(
            first in ".{0,20}", second in ".{0,20}", number in any::<i64>(), byte in any::<u8>(),
        ) {
            let begin = Key::new(7).text(&first);
            let key = begin.clone().text(&second).signed(number).byte(byte).finish();
            let mut reader = KeyReader::new(&key);
            prop_assert_eq!(reader.text(), Some(first.as_str()));
            prop_assert_eq!(reader.text(), Some(second.as_str()));
            prop_assert_eq!((reader.signed(), reader.byte(), reader.byte()), (Some(number), Some(byte), None));
            prop_assert!(key >= begin.clone().finish() && key < begin.end().unwrap());
            let other = Key::new(7).text(&format!("{first}x")).text(&second).finish();
            prop_assert!(!(other >= begin.clone().finish() && other < begin.end().unwrap()));
        }

        #[test]
        fn signed_numbers_keep_their_order(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(order_of(a).cmp(&order_of(b)), a.cmp(&b));
        }
    }
}
