//! Time, ids and randomness: everything that differs between two runs of the same history comes in through here.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ulid::Ulid;

use crate::domain::ids::TimeNs;

/// The clock and the source of randomness.
#[derive(Debug)]
pub struct World(Kind);

#[derive(Debug)]
enum Kind {
    Real,
    Fixed { next_ns: AtomicI64, seed: u64, drawn: AtomicU64 },
}

/// How far a fixed clock moves with each look at it: one millisecond.
const TICK_NS: i64 = 1_000_000;

impl World {
    /// The clock of this machine and the randomness of its system.
    pub fn real() -> Self {
        Self(Kind::Real)
    }

    /// A clock that starts at `start_ns` and moves a millisecond with each look, and randomness derived from `seed`.
    pub fn fixed(start_ns: TimeNs, seed: u64) -> Self {
        Self(Kind::Fixed { next_ns: AtomicI64::new(start_ns), seed, drawn: AtomicU64::new(0) })
    }

    /// Returns the time now, in nanoseconds since the Unix epoch, UTC.
    pub fn now(&self) -> TimeNs {
        match &self.0 {
            Kind::Real => i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX),
            Kind::Fixed { next_ns, .. } => next_ns.fetch_add(TICK_NS, Ordering::Relaxed),
        }
    }

    /// Returns 16 random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing that needs ids can go on then.
    pub fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        match &self.0 {
            Kind::Real => getrandom::fill(&mut bytes).expect("the operating system always has randomness after boot"),
            Kind::Fixed { seed, drawn, .. } => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&seed.to_le_bytes()).update(&drawn.fetch_add(1, Ordering::Relaxed).to_le_bytes());
                bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
            }
        }
        bytes
    }

    /// Returns a new ULID of this moment, or of the millisecond after `after` when the clock is not past it: ids stay ordered
    /// even when the clock goes back.
    pub fn ulid(&self, after: Option<Ulid>) -> Ulid {
        let now_ms = u64::try_from(self.now() / 1_000_000).unwrap_or_default();
        let ms =
            after.map_or(now_ms, |last| now_ms.max(last.timestamp_ms().saturating_add(u64::from(last.timestamp_ms() >= now_ms))));
        Ulid::from_parts(ms, u128::from_le_bytes(self.random()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_world_repeats_itself() {
        let (one, two) = (World::fixed(1_000_000_000, 7), World::fixed(1_000_000_000, 7));
        assert_eq!((one.now(), one.random(), one.ulid(None)), (two.now(), two.random(), two.ulid(None)));
        assert_ne!(one.random(), one.random());
        assert_ne!(World::fixed(0, 1).random(), World::fixed(0, 2).random());
    }

    #[test]
    fn ids_stay_ordered_when_the_clock_goes_back() {
        let later = World::fixed(2_000_000_000_000, 1).ulid(None);
        let earlier = World::fixed(1_000_000_000_000, 2).ulid(Some(later));
        assert!(earlier > later);
    }
}
