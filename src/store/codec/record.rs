//! The bytes of one event, the same in journal and index.
//!
//! ```text
//! head:    codec u8 · envelope version u8 · kind u16 · kind version u16 · envelope · public part · commitment 32
//! private: salt 16 · private part                                           (absent once forgotten)
//! envelope: flags u8 · seq u64 · at i64 · [run 16 · version u64] · [occurred at i64] · [cause u64]
//! ```
//! Numbers are little-endian. The envelope says by its flags which of its fields follow, so the public part is what lies between it
//! and the commitment. The chain covers the head and nothing else.

use crate::domain::event::Envelope;
use crate::domain::ids::{Hash, RunId};
use crate::store::Error;
use crate::store::log::{Cause, NewEvent, Stored};

/// Bodies in bincode 2, `standard()`.
const CODEC: u8 = 1;
const ENVELOPE_VERSION: u8 = 1;
const COMMITMENT_BYTES: usize = 32;

const HAS_RUN: u8 = 1;
const HAS_OCCURRED_AT: u8 = 2;
const HAS_CAUSE: u8 = 4;

/// An event's bytes where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Everything before the salt.
    pub head: &'a [u8],
    /// Salt and private part; `None` once forgotten.
    pub private: Option<&'a [u8]>,
}

/// A head taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Where and when.
    pub envelope: Envelope,
    /// The kind's number.
    pub kind: u16,
    /// The kind's version.
    pub kind_version: u16,
    /// The public part.
    pub public: &'a [u8],
    /// BLAKE3 of salt and private part.
    pub commitment: [u8; 32],
}

impl<'a> Record<'a> {
    /// Takes the head apart.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is none, [`Error::Newer`] when a later release wrote it in another layout.
    pub fn head(&self) -> Result<Head<'a>, Error> {
        let mut bytes = Bytes(self.head);
        let layout = [bytes.u8()?, bytes.u8()?];
        if layout != [CODEC, ENVELOPE_VERSION] {
            return Err(Error::Newer {
                found: u32::from(layout[0].max(layout[1])),
                known: u32::from(CODEC.max(ENVELOPE_VERSION)),
            });
        }
        let (kind, kind_version) = (bytes.u16()?, bytes.u16()?);
        let flags = bytes.u8()?;
        if flags & !(HAS_RUN | HAS_OCCURRED_AT | HAS_CAUSE) != 0 {
            return Err(Error::Damaged(format!("an envelope has unknown flags {flags:#x}")));
        }
        let (seq, at) = (bytes.u64()?, bytes.i64()?);
        let (run, version) =
            if flags & HAS_RUN == 0 { (None, 0) } else { (Some(RunId::from_bytes(bytes.array()?)), bytes.u64()?) };
        let occurred_at = if flags & HAS_OCCURRED_AT == 0 { None } else { Some(bytes.i64()?) };
        let cause = if flags & HAS_CAUSE == 0 { None } else { Some(bytes.u64()?) };
        let envelope = Envelope { seq, run, version, at, occurred_at, cause };
        let (public, commitment) = bytes.0.split_last_chunk::<COMMITMENT_BYTES>().ok_or_else(cut_short)?;
        Ok(Head { envelope, kind, kind_version, public, commitment: *commitment })
    }

    /// Copies the record into an event as readers get it; `hash` is the chain's at this event.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn to_stored(&self, hash: Hash) -> Result<Stored, Error> {
        let Head { envelope, kind, kind_version, public, commitment } = self.head()?;
        let private = self.private.map(<[u8]>::to_vec);
        Ok(Stored { envelope, kind, kind_version, public: public.to_vec(), commitment, private, hash })
    }
}

/// Writes the head of `event` at its place `envelope`.
pub fn write_head(out: &mut Vec<u8>, envelope: &Envelope, kind: u16, kind_version: u16, public: &[u8], commitment: &[u8; 32]) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.extend([CODEC, ENVELOPE_VERSION]);
    out.extend(kind.to_le_bytes());
    out.extend(kind_version.to_le_bytes());
    out.push(
        flag(envelope.run.is_some(), HAS_RUN)
            | flag(envelope.occurred_at.is_some(), HAS_OCCURRED_AT)
            | flag(envelope.cause.is_some(), HAS_CAUSE),
    );
    out.extend(envelope.seq.to_le_bytes());
    out.extend(envelope.at.to_le_bytes());
    if let Some(run) = envelope.run {
        out.extend(run.to_bytes());
        out.extend(envelope.version.to_le_bytes());
    }
    if let Some(occurred_at) = envelope.occurred_at {
        out.extend(occurred_at.to_le_bytes());
    }
    if let Some(cause) = envelope.cause {
        out.extend(cause.to_le_bytes());
    }
    out.extend(public);
    out.extend(commitment);
}

/// Returns whether `stored` is what came of `sent` as part of a batch whose first event stands at `first`.
///
/// Judged on what was sent, up to and including the commitment: salts may differ only together with it, and a forgotten private part
/// changes nothing.
pub fn is_what_was_sent(stored: &Stored, sent: &NewEvent, first: u64) -> bool {
    let cause = match sent.cause {
        Some(Cause::At(seq)) => Some(seq),
        Some(Cause::InBatch(index)) => Some(first.saturating_add(u64::from(index))),
        None => None,
    };
    (stored.kind, stored.kind_version) == (sent.kind, sent.kind_version)
        && (stored.envelope.run, stored.envelope.occurred_at, stored.envelope.cause) == (sent.run, sent.occurred_at, cause)
        && stored.public == sent.public
        && stored.commitment == sent.commitment
}

fn cut_short() -> Error {
    Error::Damaged("an event is cut short".to_owned())
}

/// Numbers read off the front of some bytes.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_reads_back_as_it_was(
            seq in any::<u64>(), at in any::<i64>(), run in proptest::option::of((any::<[u8; 16]>(), any::<u64>())),
            occurred_at in any::<Option<i64>>(), cause in any::<Option<u64>>(), kind in any::<u16>(), kind_version in any::<u16>(),
            public in proptest::collection::vec(any::<u8>(), 0..100), commitment in any::<[u8; 32]>(),
        ) {
            let version = run.map_or(0, |(_, version)| version);
            let run = run.map(|(run, _)| RunId::from_bytes(run));
            let envelope = Envelope { seq, run, version, at, occurred_at, cause };
            let mut head = Vec::new();
            write_head(&mut head, &envelope, kind, kind_version, &public, &commitment);
            let record = Record { head: &head, private: None };
            prop_assert_eq!(record.head().unwrap(), Head { envelope, kind, kind_version, public: &public, commitment });
        }

        #[test]
        fn no_bytes_make_the_reader_panic(head in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Record { head: &head, private: None }.head();
        }
    }

    #[test]
    fn a_layout_of_a_later_release_is_named_as_such() {
        let head = [1, 2, 0, 0];
        assert!(matches!(Record { head: &head, private: None }.head(), Err(Error::Newer { found: 2, known: 1 })));
    }
}
