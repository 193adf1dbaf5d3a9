//! Owning the store, from the lock to the lock's release, in the one order that never lets two processes write.
//!
//! Begin: lock, socket, log, spool, gate open. End: no new connections, answers, gate closed, log closed, socket unlinked, lock
//! freed. The socket exists only under the lock, so whoever holds the lock may remove any socket that it finds.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::Error;
use super::gate::Gate;
use super::lock::StoreLock;
use super::protocol::Greeting;
use super::server::{HandOver, Server};
use super::socket;
use super::store_dir::StoreDir;

/// One ownership; ended by [`Self::close`] or by dropping it.
pub(super) struct Owner {
    pub(super) gate: Arc<Gate>,
    place: StoreDir,
    parts: Mutex<Option<(Server, StoreLock)>>,
}

impl Owner {
    /// Begins to serve, with the gate still shut: clients learn that they have to wait.
    pub(super) fn start(place: &StoreDir, lock: StoreLock, greeting: Greeting, hand_over: HandOver) -> Result<Self, Error> {
        let gate = Arc::new(Gate::opening());
        let listener = socket::bind(place)?;
        let server = Server::start(listener, place.clone(), Arc::clone(&gate), greeting, hand_over)?;
        Ok(Self { gate, place: place.clone(), parts: Mutex::new(Some((server, lock))) })
    }

    /// Gives the ownership up. When this returns an error because the log is still in use, the lock is kept until this process
    /// ends: better nobody writes than two.
    pub(super) fn close(&self) -> Result<(), Error> {
        let Some((mut server, lock)) = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        self.gate.end();
        server.stop();
        drop(server);
        let closed = self.gate.close();
        let unlinked = socket::unlink(&self.place);
        if closed.is_err() {
            std::mem::forget(lock);
        }
        closed.and(unlinked)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A socket that could not be removed is removed by the next owner.
        let _ = self.close();
    }
}
