//! The event log and everything that keeps it: journal, chain, sled, payloads, owner and clients.
//!
//! The store treats event bodies as opaque bytes with kind and version; it never knows providers or people.

pub mod backup;
mod blocks;
pub mod boot;
pub mod chain;
pub mod check;
pub mod cipher;
pub mod codec;
pub mod error;
pub mod files;
pub mod forget;
pub(crate) mod guard;
pub mod identity;
pub mod imported;
pub mod journal;
pub mod log;
pub mod ordered;
pub mod owned;
mod packing;
pub mod payloads;
pub mod projector;
pub mod session;
pub mod transfer;
pub mod unretained;
pub mod upcast;
pub mod verify;

pub use error::{Error, Unwritable};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever a panic elsewhere did: every change under the store's locks is whole at each step or thrown away with its log.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
