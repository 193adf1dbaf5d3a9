//! Sealing a log: what it is at this moment, noted in the log itself and written down to be kept elsewhere.

use super::Proof;
use crate::audit::seal::{FORMAT, Seal};
use crate::domain::event::{CheckpointSealed, CheckpointSealedPrivate};
use crate::store;
use crate::views::utc;

impl Proof<'_> {
    /// Seals the log: appends that it was sealed, and returns a seal that covers everything up to and with that event.
    ///
    /// # Errors
    /// When the store is not there or cannot take the event.
    pub fn seal(&self) -> Result<Seal, store::Error> {
        self.0.place()?;
        let head = self.0.log.head()?;
        let sealed = CheckpointSealed { position: head.seq, head: head.hash, private: Some(CheckpointSealedPrivate {}) };
        let (envelope, hash) = self.0.runs().append_one(sealed.into(), None)?;
        Ok(Seal { meno_seal: FORMAT, node: head.node, position: envelope.seq, head: hash, at: utc(envelope.at) })
    }
}
