//! Follows a chain event by event and refuses the first thing that is not as it was written.
//!
//! For copies of a log (backups, exports), where [`check`](super::check) is for the log itself: a copy that is not whole is of no use,
//! so there is nothing to count and go on behind. It reads bytes that it is given and knows no files.

use std::collections::BTreeSet;

use super::chain;
use super::codec::record::Record;
use super::codec::{self, Decoded};
use super::journal::frame::Frame;
use super::journal::segment::{Item, Segment};
use super::log::{Head, Stored};
use crate::domain::event::Event;
use crate::domain::ids::{Hash, NodeId};

/// A walk along one chain, from its beginning or from a place whose hash is known.
#[derive(Clone, Debug)]
pub struct ChainWalk {
    /// The last event seen.
    pub head: Head,
    /// Events seen.
    pub events: u64,
    /// Of them, events whose private part is gone.
    pub without_private: u64,
    /// Of them, events of kinds that this release does not know.
    pub unknown: u64,
    /// Of them, events that say that private parts are to be forgotten.
    pub forgets: u64,
    /// Payloads that the private parts name.
    pub payloads: BTreeSet<Hash>,
}

impl ChainWalk {
    /// Begins before the first event of `node`.
    pub fn begin(node: NodeId) -> Self {
        Self::after(Head { node, seq: 0, hash: chain::genesis(node) })
    }

    /// Begins after `head`.
    pub fn after(head: Head) -> Self {
        Self { head, events: 0, without_private: 0, unknown: 0, forgets: 0, payloads: BTreeSet::new() }
    }

    /// Takes in the next segment, which must follow the last and hold nothing but whole frames.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn segment(&mut self, segment: &Segment) -> Result<(), String> {
        let Some(header) = segment.header else { return Err("it has no header".to_owned()) };
        if header.first != self.head.seq + 1 || header.previous != self.head.hash {
            return Err(format!("it does not follow event {}", self.head.seq));
        }
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) => self.frame(&frame)?,
                Item::Gap(gap) => return Err(format!("bytes {} to {} are no events", gap.from, gap.to)),
                Item::Footer(footer) if (footer.last, footer.hash) == (self.head.seq, self.head.hash) => {}
                Item::Footer(_) => return Err("its seal is not that of its events".to_owned()),
            }
        }
        Ok(())
    }

    /// Takes in the next frame.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn frame(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        if frame.first != self.head.seq + 1 {
            return Err(format!("event {} does not follow event {}", frame.first, self.head.seq));
        }
        for record in frame.records() {
            self.record(record.map_err(|why| why.to_string())?)?;
        }
        if self.head.hash != frame.hash {
            return Err(format!("events {} to {} do not follow the chain", frame.first, frame.last()));
        }
        Ok(())
    }

    /// Takes in the next event; returns it as readers get it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn record(&mut self, record: Record<'_>) -> Result<Stored, String> {
        let seq = self.head.seq + 1;
        let hash = chain::next(&self.head.hash, record.head);
        let stored = record.to_stored(hash).map_err(|why| format!("event {seq}: {why}"))?;
        if stored.envelope.seq != seq {
            return Err(format!("event {} stands at position {seq}", stored.envelope.seq));
        }
        match &stored.private {
            Some(private) if chain::commitment(private) != stored.commitment => {
                return Err(format!("the private part of event {seq} is not the one that was written"));
            }
            Some(_) => {}
            None => self.without_private += 1,
        }
        match codec::decode(&stored).map_err(|why| why.to_string())? {
            Decoded::Known(mut recorded) => {
                self.forgets += u64::from(matches!(recorded.event, Event::PrivatePartsForgotten(_)));
                recorded.event.each_text_mut(&mut |text| self.payloads.extend(text.payload()));
            }
            Decoded::Unknown { .. } => self.unknown += 1,
        }
        self.events += 1;
        self.head = Head { seq, hash, ..self.head };
        Ok(stored)
    }
}
