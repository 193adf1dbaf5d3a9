//! What we believe: pure folds over events, kept as rows of bytes under keys of bytes.
//!
//! A [`Projection`] sees every event once, in order, and changes its rows; who keeps them where, and how far they have come, is the
//! store's business. Here is no I/O, no clock and no randomness.

use crate::domain::event::Recorded;

/// A fold over the log. After a change of what it makes, its version must change too: then it is made anew.
pub trait Projection: Send + Sync {
    /// Returns its name, by which it is asked for: `runs`.
    fn name(&self) -> &'static str;

    /// Returns the version of its rows.
    fn version(&self) -> u32;

    /// Takes in one event.
    ///
    /// # Errors
    /// Why it cannot: its rows then stay as they were before this event, and the event's position is kept and shown.
    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String>;
}

/// The rows of one projection.
pub trait Rows {
    /// Returns the row at `key`, with all changes so far.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Sets the row at `key`.
    fn put(&mut self, key: &[u8], row: Vec<u8>);

    /// Removes the row at `key`.
    fn remove(&mut self, key: &[u8]);
}
