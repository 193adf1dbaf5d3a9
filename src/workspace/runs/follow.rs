//! The log as a sequence: an iterator over what is there, and a stream that goes on with what comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Runs;
use crate::domain::event::Recorded;
use crate::executor::read_texts;
use crate::store::codec::{self, Decoded};
use crate::store::log::Log;
use crate::store::payloads::Payloads;
use crate::store::{self};

/// Events read from the log at once.
const PAGE: u32 = 2000;
/// Events that wait for a reader of the stream, at most.
const AHEAD: usize = 256;
/// How long one look for more takes, at most: so long a stream that was dropped still holds its thread.
const PATIENCE: Duration = Duration::from_millis(500);

/// The events of the log, from a position to where the log ends when it is read.
pub struct Events {
    reader: Reader,
    ready: VecDeque<Recorded>,
    is_over: bool,
}

/// The events of the log, from a position on and without an end. Works on every executor; dropping it ends it.
pub struct Follow(Receiver<Result<Recorded, store::Error>>);

/// Reads on in the log. Events of kinds that this version does not know are left out.
struct Reader {
    log: Arc<dyn Log>,
    payloads: Arc<Payloads>,
    next: u64,
}

impl Runs<'_> {
    /// Returns the events of the log from position `from` on (1 is the first), with their texts, to the log's end.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let workspace = meno::Workspace::at(std::path::Path::new("store"), None)?;
    /// for event in workspace.runs().events(1) {
    ///     println!("{}", event?.event.name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self, from: u64) -> Events {
        Events { reader: self.reader(from), ready: VecDeque::new(), is_over: false }
    }

    /// Returns the events of the log from position `from` on, and goes on with those that come, whoever appends them. A store that
    /// cannot be read is one error and the end of the stream.
    pub fn follow(&self, from: u64) -> Follow {
        let (sender, receiver) = channel(AHEAD);
        let (reader, told) = (self.reader(from), sender.clone());
        let started = std::thread::Builder::new().name("meno-follow".to_owned()).spawn(move || follow(reader, &sender));
        if let Err(why) = started {
            // The channel is empty: there is room for one.
            let _ = told.try_send(Err(store::Error::Disconnected(format!("no thread to follow the log with: {why}"))));
        }
        Follow(receiver)
    }

    fn reader(&self, from: u64) -> Reader {
        Reader { log: Arc::clone(&self.0.log), payloads: Arc::clone(&self.0.payloads), next: from.max(1) }
    }
}

impl Reader {
    /// Reads the next page; `None` at the log's end.
    fn page(&mut self) -> Result<Option<VecDeque<Recorded>>, store::Error> {
        let stored = self.log.read(self.next, PAGE)?;
        let Some(last) = stored.last() else { return Ok(None) };
        // In a damaged log positions may not go up: that is no reason to read for ever.
        self.next = last.envelope.seq.max(self.next).saturating_add(1);
        let mut events = VecDeque::with_capacity(stored.len());
        for stored in &stored {
            if let Decoded::Known(recorded) = codec::decode(stored)? {
                events.push_back(read_texts(&self.payloads, recorded)?);
            }
        }
        Ok(Some(events))
    }
}

impl Iterator for Events {
    type Item = Result<Recorded, store::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.is_over {
                return None;
            }
            match self.reader.page() {
                Ok(Some(events)) => self.ready = events,
                Ok(None) => self.is_over = true,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Stream for Follow {
    type Item = Result<Recorded, store::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Sends what is in the log and what comes, until nobody takes it or the store cannot be read.
fn follow(mut reader: Reader, sender: &Sender<Result<Recorded, store::Error>>) {
    while !sender.is_closed() {
        let read = match reader.page() {
            Ok(Some(events)) => Ok(events),
            Ok(None) => reader.log.wait(reader.next - 1, PATIENCE).map(|_| VecDeque::new()),
            Err(error) => Err(error),
        };
        match read {
            Ok(events) => {
                for event in events {
                    if sender.blocking_send(Ok(event)).is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                // Whoever took the stream away does not want to know.
                let _ = sender.blocking_send(Err(error));
                return;
            }
        }
    }
}
