//! Many runs in one append: their events encoded, their large texts set apart as payloads.
//!
//! A run is in one batch as a whole, so that a crash leaves whole runs only. The batch is full long before a journal frame is.

use crate::domain::event::Event;
use crate::domain::ids::{BatchId, Hash, RunId, TimeNs};
use crate::domain::text::{INLINE_BYTES_MAX, Text};
use crate::store::Error;
use crate::store::codec;
use crate::store::log::{Batch, NewEvent};

use super::convert::Converted;

/// A batch with so many events is full: enough that the sync of each costs little.
const EVENTS_FULL: usize = 4096;
/// A batch with so many bytes of events is full; payloads do not count.
const BYTES_FULL: usize = 4 * 1024 * 1024;
/// Payloads of a batch in bytes, that memory stays small.
const PAYLOAD_BYTES_FULL: usize = 16 * 1024 * 1024;
/// Bytes of one run's events, at most: well below what one frame of the journal holds.
const RUN_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an event costs besides its two parts, in bytes.
const EVENT_BYTES: usize = 160;

/// Runs on their way into one append.
#[derive(Debug, Default)]
pub struct EventBatch {
    events: Vec<NewEvent>,
    payloads: Vec<String>,
    names: Vec<Hash>,
    bytes: usize,
    payload_bytes: usize,
    runs: u64,
}

/// Why a run cannot be gathered.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Its events do not fit into one append.
    #[error("is too large: {0} bytes of events")]
    TooLarge(usize),
    /// An event cannot be encoded.
    #[error("cannot be kept: {0}")]
    Unsayable(#[from] Error),
}

impl EventBatch {
    /// Takes a run in; `salt` gives 16 random bytes each time. Nothing of it is taken when it is refused.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn add(&mut self, run: Converted, salt: &dyn Fn() -> [u8; 16]) -> Result<(), Refused> {
        let Converted { id, events, .. } = run;
        self.add_part(id, events, salt)?;
        self.runs += 1;
        Ok(())
    }

    /// Takes in some events of a run, which are appended together; `salt` gives 16 random bytes each time. Nothing is taken when they are
    /// refused.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn add_part(
        &mut self,
        id: RunId,
        events: Vec<(Event, Option<TimeNs>)>,
        salt: &dyn Fn() -> [u8; 16],
    ) -> Result<(), Refused> {
        let mut encoded = Vec::with_capacity(events.len());
        let (mut large, mut bytes) = (Vec::new(), 0);
        for (mut event, occurred_at) in events {
            event.each_text_mut(&mut |text| set_apart(text, &mut large));
            let event = codec::offer(&event, salt(), Some(id), None, occurred_at)?;
            bytes += event.public.len() + event.private.len() + EVENT_BYTES;
            encoded.push(event);
        }
        if bytes > RUN_BYTES_MAX {
            return Err(Refused::TooLarge(bytes));
        }
        self.events.append(&mut encoded);
        self.bytes += bytes;
        for (name, text) in large {
            self.payload_bytes += text.len();
            self.names.push(name);
            self.payloads.push(text);
        }
        Ok(())
    }

    /// Tells whether it is time to append.
    pub fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_FULL || self.bytes >= BYTES_FULL || self.payload_bytes >= PAYLOAD_BYTES_FULL
    }

    /// Returns how many runs were taken in.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Empties it into an append, with the texts that must be written beside the log before; `None` when there is nothing.
    pub fn take(&mut self, id: BatchId) -> Option<(Batch, Vec<String>)> {
        let Self { events, payloads: texts, mut names, .. } = std::mem::take(self);
        names.sort_unstable();
        names.dedup();
        let batch = Batch { id, expected_version: None, events, payloads: names, day_limit: None };
        (!batch.events.is_empty()).then_some((batch, texts))
    }
}

fn set_apart(text: &mut Text, large: &mut Vec<(Hash, String)>) {
    if let Text::Inline(inline) = text
        && inline.len() > INLINE_BYTES_MAX
    {
        let inline = std::mem::take(inline);
        let (hash, bytes) = (Hash::of(inline.as_bytes()), inline.len() as u64);
        *text = Text::Payload { hash, bytes };
        large.push((hash, inline));
    }
}
