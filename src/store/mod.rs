//! The event log and everything that keeps it: journal, chain, sled, payloads, owner and clients.
//!
//! The store treats event bodies as opaque bytes with kind and version; it never knows providers or people.

pub mod error;
pub mod log;

pub use error::Error;
