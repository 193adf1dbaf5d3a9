//! Answers other processes through the socket, one thread per connection, for as long as the gate lets it.
//!
//! It knows requests and the gate, not who holds which lock. Nothing that a client sends, or stops reading, hurts the others:
//! connections, frames and greetings are limited, and no thread here ever writes to stdout.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::gate::{Entry, Gate, GatePass};
use super::protocol::{AGREED, Activity, Greeting, HAND_OVER, Request, Response, Status, decode, encode, read_message};
use super::socket;
use super::store_dir::StoreDir;
use crate::store::Error;

/// Connections at once; more are closed at once and come again.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may take to say who it is.
const GREETING_PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may leave an answer unread.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the ending owner waits for answers to be taken.
const FAREWELL: Duration = Duration::from_secs(2);
/// The longest wait in one request; clients ask again.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After a failed accept (too many open files, say), so that the thread does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Decides whether the owner hands over, and begins to if so; told whether it could go on as a client of the one who asks.
pub(super) type HandOver = Box<dyn Fn(bool) -> bool + Send + Sync>;

/// The threads that serve one ownership.
pub(super) struct Server {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    listener: UnixListener,
    place: StoreDir,
    gate: Arc<Gate>,
    greeting: Greeting,
    hand_over: HandOver,
    stopping: AtomicBool,
    connections: Mutex<Connections>,
    ended: Condvar,
}

#[derive(Default)]
struct Connections {
    next: u64,
    live: HashMap<u64, Arc<UnixStream>>,
}

impl Server {
    /// Serves on `listener`, which is bound in `place`.
    pub(super) fn start(
        listener: UnixListener,
        place: StoreDir,
        gate: Arc<Gate>,
        greeting: Greeting,
        hand_over: HandOver,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            listener,
            place,
            gate,
            greeting,
            hand_over,
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            ended: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("meno-accept".to_owned())
            .spawn(move || accept(&accepting))
            .map_err(Error::io(shared.place.dir()))?;
        Ok(Self { shared, acceptor: Some(acceptor) })
    }

    /// Stops accepting, lets every connection have the answers to what it sent, and returns when no thread serves any more.
    pub(super) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        // On Linux this wakes the acceptor; elsewhere a connection does. One of the two may fail.
        let _ = rustix::net::shutdown(&self.shared.listener, rustix::net::Shutdown::Both);
        drop(socket::connect(&self.shared.place));
        // A panic in the acceptor has ended it as well.
        let _ = acceptor.join();
        let mut connections = self.shared.lock();
        for stream in connections.live.values() {
            // What was sent before is still read and answered; then the connection's thread sees its end.
            let _ = stream.shutdown(Shutdown::Read);
        }
        let some_live = |connections: &mut Connections| !connections.live.is_empty();
        (connections, _) =
            self.shared.ended.wait_timeout_while(connections, FAREWELL, some_live).unwrap_or_else(PoisonError::into_inner);
        for stream in connections.live.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(self.shared.ended.wait_while(connections, some_live).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(shared: &Arc<Shared>) {
    loop {
        let accepted = shared.listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok((stream, _)) => admit(shared, stream),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Starts a thread for a connection. Where that is not possible, the connection is closed: its client comes again.
fn admit(shared: &Arc<Shared>, stream: UnixStream) {
    let stream = Arc::new(stream);
    let mut connections = shared.lock();
    if connections.live.len() >= CONNECTIONS_MAX {
        return;
    }
    let id = connections.next;
    connections.next += 1;
    connections.live.insert(id, Arc::clone(&stream));
    drop(connections);
    let listed = Listed { shared: Arc::clone(shared), id };
    // When no thread can be started, the closure is dropped, and with it the connection and its entry in the list.
    let _ = thread::Builder::new().name("meno-serve".to_owned()).spawn(move || {
        // A connection that broke needs no words: its client notices and comes again.
        let _ = converse(&listed.shared, &stream);
        drop(listed);
    });
}

/// Keeps a connection in the list; takes it out even when its thread panics.
struct Listed {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut connections = self.shared.lock();
        connections.live.remove(&self.id);
        self.shared.ended.notify_all();
    }
}

fn converse(shared: &Shared, mut stream: &UnixStream) -> io::Result<()> {
    socket::refuse_strange_peer(stream, shared.place.dir()).map_err(io::Error::other)?;
    stream.set_read_timeout(Some(GREETING_PATIENCE))?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let theirs = Greeting::read(&mut stream)?;
    shared.greeting.write(&mut stream)?;
    if !shared.greeting.speaks_with(&theirs) {
        return hear_plea(shared, stream);
    }
    stream.set_read_timeout(None)?;
    while let Some(message) = read_message(&mut stream)? {
        let response = match decode(&message) {
            Ok(request) => answer(shared, request),
            Err(error) => {
                let response = Response::Malformed(error.to_string());
                return stream.write_all(&encode(&response).map_err(io::Error::other)?);
            }
        };
        let bytes = encode(&response).or_else(|words| encode(&Response::Failed(Error::BadBatch(words).into())));
        stream.write_all(&bytes.map_err(io::Error::other)?)?;
    }
    Ok(())
}

/// A client with no protocol in common can only ask to hand over. Whoever hands over to it could not be its client afterwards.
fn hear_plea(shared: &Shared, mut stream: &UnixStream) -> io::Result<()> {
    let mut plea = HAND_OVER;
    stream.read_exact(&mut plea)?;
    if plea == HAND_OVER && (shared.hand_over)(false) {
        stream.write_all(&AGREED)?;
    }
    Ok(())
}

fn answer(shared: &Shared, request: Request<'_>) -> Response {
    match request {
        Request::HandOver => return Response::HandingOver((shared.hand_over)(true)),
        Request::Status => return Response::Status(status(&shared.greeting, shared.gate.doing())),
        _ => {}
    }
    if let Some(doing) = shared.gate.doing() {
        return Response::Busy(doing);
    }
    match shared.gate.enter() {
        Entry::Open(log) => ask(&log, request).unwrap_or_else(|error| Response::Failed(error.into())),
        Entry::Busy(doing) => Response::Busy(doing),
        Entry::Closed => Response::Closing,
    }
}

fn ask(log: &GatePass<'_>, request: Request<'_>) -> Result<Response, Error> {
    Ok(match request {
        Request::Append(batch) => Response::Appended(log.append(&batch)?),
        Request::Head => Response::Head(log.head()?),
        Request::Read { from, limit } => Response::Events(log.read(from, limit)?),
        Request::ReadRun { run, from, limit } => Response::Events(log.read_run(run, from, limit)?),
        Request::Wait { seen, patience_ms } => {
            Response::Passed(log.wait(seen, Duration::from_millis(patience_ms).min(WAIT_MAX))?)
        }
        Request::View { view, from, to, reverse, limit } => {
            Response::Rows(log.view(&view, &from, to.as_deref(), reverse, limit)?)
        }
        Request::Ask(question) => Response::Said(log.ask(&question)?),
        Request::HandOver | Request::Status => Response::Malformed("the log is not asked this".to_owned()),
    })
}

/// What an owner says of itself.
pub(super) fn status(greeting: &Greeting, doing: Option<Activity>) -> Status {
    Status { pid: greeting.pid, version: greeting.version.clone(), newest_kind: greeting.newest_kind, doing }
}
