//! The session as a log: each question becomes a request, which is answered here or by the owner.
//!
//! It does not know who owns the store; [`open`](super::open) finds out at each request.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::open::Session;
use super::protocol::{Request, Response};
use crate::domain::ids::RunId;
use crate::store::Error;
use crate::store::log::{Appended, Batch, Head, Log, Stored, ViewRows};

/// The longest wait in one request; the session asks again until its caller's patience is over.
const WAIT_SLICE: Duration = Duration::from_secs(30);
/// How often somebody who waits for events of a store that cannot be written to looks whether an owner has come.
const LOOK_SLICE: Duration = Duration::from_secs(1);

impl Log for Session {
    fn append(&self, batch: &Batch) -> Result<Appended, Error> {
        let request = Request::Append(Cow::Borrowed(batch));
        self.inner.call(
            &request,
            Duration::ZERO,
            |log| log.append(batch),
            |response| match response {
                Response::Appended(appended) => Some(appended),
                _ => None,
            },
        )
    }

    fn head(&self) -> Result<Head, Error> {
        self.inner.call(
            &Request::Head,
            Duration::ZERO,
            |log| log.head(),
            |response| match response {
                Response::Head(head) => Some(head),
                _ => None,
            },
        )
    }

    fn read(&self, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        self.inner.call(&Request::Read { from, limit }, Duration::ZERO, |log| log.read(from, limit), events)
    }

    fn read_run(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        self.inner.call(&Request::ReadRun { run, from, limit }, Duration::ZERO, |log| log.read_run(run, from, limit), events)
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        let started = Instant::now();
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let slice = left.min(if self.inner.looks_for_owner() { LOOK_SLICE } else { WAIT_SLICE });
            let request = Request::Wait { seen, patience_ms: u64::try_from(slice.as_millis()).unwrap_or(u64::MAX) };
            let at = self.inner.call(
                &request,
                slice,
                |log| log.wait(seen, slice),
                |response| match response {
                    Response::Passed(at) => Some(at),
                    _ => None,
                },
            )?;
            // An owner that ends answers early; the next one is asked for the rest.
            if at > seen || started.elapsed() >= patience {
                return Ok(at);
            }
        }
    }

    fn view(&self, view: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, Error> {
        let request =
            Request::View { view: Cow::Borrowed(view), from: Cow::Borrowed(from), to: to.map(Cow::Borrowed), reverse, limit };
        self.inner.call(
            &request,
            Duration::ZERO,
            |log| log.view(view, from, to, reverse, limit),
            |response| match response {
                Response::Rows(rows) => Some(rows),
                _ => None,
            },
        )
    }

    fn ask(&self, question: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.call(
            &Request::Ask(Cow::Borrowed(question)),
            Duration::ZERO,
            |log| log.ask(question),
            |response| match response {
                Response::Said(answer) => Some(answer),
                _ => None,
            },
        )
    }
}

fn events(response: Response) -> Option<Vec<Stored>> {
    match response {
        Response::Events(events) => Some(events),
        _ => None,
    }
}
