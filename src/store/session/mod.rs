//! Who may touch the store's files: one process owns them and serves the others through a socket in the store's folder.
//!
//! [`StoreDir`] is a folder that may hold a store. [`Session`] is the way everybody appends and reads: it owns the store when nobody
//! else does, is a client of the owner otherwise, and changes roles when the owner goes. [`RunLock`] tells an interrupted run from
//! a live one, [`spool`] keeps what could not be appended yet.
//!
//! This room treats events as opaque bytes, and knows neither journal nor index: the log itself comes through [`Opener`].
//!
//! ```text
//! requests ──▶ roles ──▶ client ──socket──▶ server ──▶ gate ──▶ the log
//!                ├──▶ owner (lock, socket, server, gate, spool)
//!                └──▶ reader (gate; where nothing can be written)
//! ```

mod client;
mod gate;
mod lock;
mod open;
mod options;
mod owner;
mod protocol;
mod requests;
mod run_lock;
mod server;
mod socket;
pub mod spool;
mod store_dir;
mod wire_error;

#[cfg(test)]
mod processes;
#[cfg(test)]
mod testing;

pub use lock::StoreLock;
pub use open::{Role, Session};
pub use options::{Notice, Opener, Options, Reader, Tell};
pub use protocol::Status;
pub use run_lock::{Probe, RunLock};
pub use store_dir::{Create, StoreDir};
