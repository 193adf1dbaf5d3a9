//! Stored bytes of any kind are decoded or refused, and never end the program.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meno::domain::event::{Envelope, KINDS};
use meno::domain::ids::{Hash, NodeId};
use meno::store::codec::decode;
use meno::store::journal::frame::Frame;
use meno::store::log::Stored;

fuzz_target!(|bytes: &[u8]| {
    if let Some(frame) = Frame::read(bytes, NodeId::from_bytes([0; 16])) {
        frame.records().for_each(drop);
    }
    let (kind, kind_version, _) = KINDS[bytes.first().map_or(0, |byte| usize::from(*byte)) % KINDS.len()];
    let (public, private) = bytes.split_at(bytes.len() / 2);
    let envelope = Envelope { seq: 1, run: None, version: 0, at: 0, occurred_at: None, cause: None };
    let stored = Stored {
        envelope,
        kind,
        kind_version,
        public: public.to_vec(),
        commitment: [0; 32],
        private: Some(private.to_vec()),
        hash: Hash::default(),
    };
    drop(decode(&stored));
});
