//! A connection to the process that owns the store: reaching it, asking it, and noticing that it does not answer.
//!
//! A connection carries one request at a time, and is thrown away when an answer is late: the late answer would be taken for the
//! next one's.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::super::Error;
use super::protocol::{AGREED, Greeting, HAND_OVER, Response, decode, read_message};
use super::socket::{self, Connecting};
use super::store_dir::StoreDir;

/// An answer that takes longer than this is late: whoever waits looks why.
const LATE: Duration = Duration::from_millis(300);

/// A connection on which greetings were exchanged.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    /// Who is at the other end.
    pub(super) owner: Greeting,
}

/// What an attempt to reach the owner came to.
pub(super) enum ConnectOutcome {
    Connected(Connection),
    /// Nobody serves, for now.
    Nobody,
    /// Somebody listens, and did not answer in time.
    Silent,
    /// The owner speaks no protocol of ours.
    Apart {
        owner: Greeting,
        /// It agreed to hand over.
        leaving: bool,
    },
}

/// Why an answer did not come.
#[derive(Debug)]
pub(super) enum ConnectionError {
    /// The connection broke: find the next owner and repeat.
    Broken(String),
    /// The owner did not answer in time.
    Late,
}

/// Reaches for the owner; waits for its greeting until `deadline`.
pub(super) fn reach(place: &StoreDir, own: &Greeting, deadline: Instant) -> Result<ConnectOutcome, Error> {
    let stream = match socket::connect(place)? {
        Connecting::Connected(stream) => stream,
        Connecting::Nobody => return Ok(ConnectOutcome::Nobody),
        Connecting::Full => return Ok(ConnectOutcome::Silent),
    };
    match greet(stream, own, deadline) {
        Ok(reach) => Ok(reach),
        Err(error) if is_late(&error) => Ok(ConnectOutcome::Silent),
        // What listens there says no greeting of ours: not an owner that time would change.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Disconnected(error.to_string())),
        // An owner that ends closes connections that it has not greeted.
        Err(_) => Ok(ConnectOutcome::Nobody),
    }
}

fn greet(stream: UnixStream, own: &Greeting, deadline: Instant) -> io::Result<ConnectOutcome> {
    let mut timed = Timed { stream: &stream, deadline };
    own.write(&mut timed)?;
    let owner = Greeting::read(&mut timed)?;
    if own.speaks_with(&owner) {
        return Ok(ConnectOutcome::Connected(Connection { stream, owner }));
    }
    let mut leaving = false;
    if own.protocol > owner.protocol {
        timed.write_all(&HAND_OVER)?;
        let mut answer = [0; 8];
        // An owner that will not just closes.
        leaving = timed.read_exact(&mut answer).is_ok() && answer == AGREED;
    }
    Ok(ConnectOutcome::Apart { owner, leaving })
}

impl Connection {
    /// Sends an encoded request and waits for the answer until `deadline`; every [`LATE`] without one `late` is called.
    pub(super) fn ask(&self, request: &[u8], deadline: Instant, late: &mut dyn FnMut()) -> Result<Response, ConnectionError> {
        let mut timed = Timed { stream: &self.stream, deadline };
        let answer = timed.write_all(request).and_then(|()| {
            let first = timed.first(late)?;
            read_message(&mut first.as_slice().chain(&mut timed))
        });
        let answer = answer.and_then(|message| match message {
            Some(message) => decode(&message),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        });
        answer.map_err(|error| if is_late(&error) { ConnectionError::Late } else { ConnectionError::Broken(error.to_string()) })
    }
}

/// The two kinds that a socket's timeout shows as, depending on the system.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A stream on which everything together must be done by the deadline, however slowly bytes trickle.
struct Timed<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Timed<'_> {
    /// Waits for the first byte; none at the end of the stream. Nothing else has come before it, so waiting in pieces loses nothing.
    fn first(&mut self, late: &mut dyn FnMut()) -> io::Result<Vec<u8>> {
        loop {
            let left = self.left()?;
            self.stream.set_read_timeout(left.map(|left| left.min(LATE)))?;
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(had) => return Ok(byte[..had].to_vec()),
                Err(error) if is_late(&error) => late(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
