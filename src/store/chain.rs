//! The hash chain: what makes a change of any stored event visible, even after private parts were dropped.
//!
//! An event's hash covers the hash before it and everything of the event up to and including the commitment to its
//! private part, but not the private part itself. This file knows bytes only, neither kinds nor files.

use crate::domain::ids::{Hash, NodeId};

/// Keeps hashes of the chain apart from BLAKE3 hashes of the same bytes made for other ends.
const EVENT_DOMAIN: &[u8] = b"meno event chain v1\0";
/// The context of the first hash; never to be changed, or every stored chain breaks.
const GENESIS_CONTEXT: &str = "meno 2026-11 event chain genesis v1";

/// Returns the hash that the first event of `node` follows: logs of two stores cannot be spliced.
pub fn genesis(node: NodeId) -> Hash {
    Hash(blake3::derive_key(GENESIS_CONTEXT, &node.to_bytes()))
}

/// Returns the hash of an event whose bytes before the salt are `head`, after the event of hash `previous`.
///
/// `head` is the only part of variable length and stands last, so two different events never give the same input.
pub fn next(previous: &Hash, head: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(EVENT_DOMAIN);
    hasher.update(&previous.0);
    hasher.update(head);
    Hash(*hasher.finalize().as_bytes())
}

/// Returns the commitment to a private part, given with its salt in front.
pub fn commitment(private: &[u8]) -> [u8; 32] {
    *blake3::hash(private).as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stores_begin_with_different_hashes() {
        assert_ne!(genesis(NodeId::from_bytes([1; 16])), genesis(NodeId::from_bytes([2; 16])));
    }

    #[test]
    fn the_genesis_of_a_store_never_changes() {
        let first = next(&genesis(NodeId::from_bytes([7; 16])), b"head");
        assert_eq!(first.to_string(), "6a25357f404ad5b54d27b694f8c2001281408d196518dd8e963351357a246f63");
    }

    proptest! {
        #[test]
        fn every_bit_of_an_event_and_its_past_counts(
            previous in any::<[u8; 32]>(), head in proptest::collection::vec(any::<u8>(), 1..200), at in any::<usize>(), bit in 0u8..8,
        ) {
            let hash = next(&Hash(previous), &head);
            let mut changed = head.clone();
            changed[at % head.len()] ^= 1 << bit;
            prop_assert_ne!(next(&Hash(previous), &changed), hash);
            let mut before = previous;
            before[at % 32] ^= 1 << bit;
            prop_assert_ne!(next(&Hash(before), &head), hash);
        }
    }
}
