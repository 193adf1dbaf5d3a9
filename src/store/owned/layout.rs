//! Which layout an index of events has, and what can still be read of the one before pages.
//!
//! An index of another layout is set aside and filled again from the journal. Until then the older one bears witness to what the journal
//! may have lost: it has a row for each event, `hash 32 · head length u32 · private length u32 · head · private`, and no mark.

use super::rows::{EVENTS, end_of_own, malformed, place, seq_of};
use crate::domain::ids::Hash;
use crate::store::Error;
use crate::store::codec::record::Record;
use crate::store::journal::frame::split_record;
use crate::store::ordered::{OrderedIndex, last};

const LAYOUT: &str = "layout";
const NUMBER: &[u8] = b"layout";
const HOLES: &[u8] = b"holes";
/// Pages. The layout before it has no number.
const CURRENT: u32 = 2;

/// What an index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Nothing yet.
    Empty,
    Current,
    /// A row for each event.
    Older,
    /// Something that a later release wrote.
    Unknown,
}

/// Returns the layout of an index.
pub(super) fn of(index: &dyn OrderedIndex) -> Result<Layout, Error> {
    Ok(match index.get(LAYOUT, NUMBER)? {
        Some(number) if number == CURRENT.to_be_bytes() => Layout::Current,
        Some(_) => Layout::Unknown,
        None if last(index, EVENTS)?.is_some() => Layout::Older,
        None => Layout::Empty,
    })
}

/// Marks an index that is empty.
pub(super) fn mark(index: &dyn OrderedIndex) -> Result<(), Error> {
    index.fill(LAYOUT, vec![(NUMBER.to_vec(), CURRENT.to_be_bytes().to_vec())])
}

/// Notes that the journal has lost events before some page.
pub(super) fn mark_holes(index: &dyn OrderedIndex) -> Result<(), Error> {
    index.fill(LAYOUT, vec![(HOLES.to_vec(), vec![1])])
}

/// Returns whether the journal has lost events before some page.
pub(super) fn has_holes(index: &dyn OrderedIndex) -> Result<bool, Error> {
    Ok(index.get(LAYOUT, HOLES)?.is_some())
}

/// Returns the position that an older index has reached, and the hash there.
pub(super) fn reached_before_pages(index: &dyn OrderedIndex) -> Result<Option<(u64, Hash)>, Error> {
    let mut found = None;
    index.scan(EVENTS, &place(0), Some(&end_of_own()), true, &mut |key, row| {
        found = Some(seq_of(key).zip(record_before_pages(row).map(|(_, hash)| hash)));
        false
    })?;
    found.map(|found| found.ok_or_else(malformed)).transpose()
}

/// Reads the row of an event in an older index.
pub(super) fn record_before_pages(row: &[u8]) -> Option<(Record<'_>, Hash)> {
    let (hash, rest) = row.split_first_chunk::<32>()?;
    let (record, rest) = split_record(rest)?;
    rest.is_empty().then_some((record, Hash(*hash)))
}
