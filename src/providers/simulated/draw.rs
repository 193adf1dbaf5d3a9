//! Chance without chance: numbers that follow from who asks, and from nothing else.

use crate::domain::call::CallContext;

/// A source of numbers for one call.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    key: [u8; 32],
}

impl Draw {
    pub(super) fn new(context: &CallContext) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"meno simulated 1");
        hasher.update(&context.seed.to_le_bytes());
        hasher.update(&context.agent.to_le_bytes());
        hasher.update(&context.attempt.to_le_bytes());
        hasher.update(context.purpose.name().as_bytes());
        hasher.update(context.role.as_bytes());
        Self { key: *hasher.finalize().as_bytes() }
    }

    /// Returns the number that belongs to `label` and `index`.
    pub(super) fn number(&self, label: &str, index: u64) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&index.to_le_bytes());
        hasher.update(label.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }

    /// Returns a number in [0, 1).
    pub(super) fn unit(&self, label: &str, index: u64) -> f64 {
        // 53 bits: what a float holds exactly.
        (self.number(label, index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns one of `items`; `None` when there are none.
    pub(super) fn pick<'a, T>(&self, label: &str, index: u64, items: &'a [T]) -> Option<&'a T> {
        let count = items.len() as u64;
        (count > 0).then(|| &items[(self.number(label, index) % count) as usize])
    }
}
