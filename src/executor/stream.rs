//! One run's events on their way into the log: decided, encoded, appended, folded.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::capture::{self, Levels};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{BatchId, Hash, RunId};
use crate::domain::run::{Basis, Causes, Command, Refusal, Run, decide};
use crate::domain::text::{INLINE_BYTES_MAX, Text};
use crate::executor::World;
use crate::executor::starts::Starts;
use crate::store::codec::{self, Decoded};
use crate::store::log::{Batch, Cause, DayLimit, Log, NewEvent, Stored};
use crate::store::payloads::Payloads;
use crate::store::session::{StoreDir, spool};
use crate::store::unretained::Withheld;
use crate::store::{self};

/// Events read from the log at once.
const PAGE: u32 = 4096;

/// Parts of [`Event::RunStarted`] above this size become payloads, because every run of a template repeats them.
const REPEATED_BYTES_MAX: usize = 512;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Is told of an acknowledged event.
type Observe = Box<dyn FnMut(&Recorded) + Send>;

/// A run's stream: what is known of the run, and the way to append to it.
pub struct Stream {
    id: RunId,
    run: Run,
    causes: Causes<Cause>,
    log: Arc<dyn Log>,
    payloads: Arc<Payloads>,
    world: Arc<World>,
    place: StoreDir,
    /// Told of every acknowledged event, in order.
    observe: Observe,
    /// Told in words when the store cannot be reached and a paid reply waits.
    notice: Box<dyn FnMut(&str) + Send>,
}

impl Stream {
    /// Opens the stream of run `id`, which may have no events yet, and folds what is there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(
        id: RunId,
        log: Arc<dyn Log>,
        payloads: Arc<Payloads>,
        world: Arc<World>,
        place: StoreDir,
    ) -> Result<Self, store::Error> {
        let mut stream = Self {
            id,
            run: Run::default(),
            causes: Causes::default(),
            log,
            payloads,
            world,
            place,
            observe: Box::new(|_| {}),
            notice: Box::new(|_| {}),
        };
        stream.catch_up()?;
        Ok(stream)
    }

    /// Tells `observe` of every event from now on, once it is durable.
    pub fn observe(&mut self, observe: impl FnMut(&Recorded) + Send + 'static) {
        self.observe = Box::new(observe);
    }

    /// Tells `notice` what the user should know while a reply waits for the store.
    pub fn on_notice(&mut self, notice: impl FnMut(&str) + Send + 'static) {
        self.notice = Box::new(notice);
    }

    /// Returns the run as it is known now.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Returns the run's id.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Folds what others appended to the run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn catch_up(&mut self) -> Result<(), store::Error> {
        loop {
            let page = self.log.read_run(self.id, self.run.version + 1, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            for stored in &self.with_withheld(page)? {
                let recorded = match codec::decode(stored)? {
                    Decoded::Known(recorded) => self.with_texts(recorded)?,
                    Decoded::Unknown { .. } => {
                        // An event of a newer version: it counts as a step of the stream, and says nothing that this one knows.
                        self.run.version = stored.envelope.version;
                        self.run.head = stored.hash;
                        continue;
                    }
                };
                self.fold(&recorded);
            }
        }
    }

    fn fold(&mut self, recorded: &Recorded) {
        self.run.apply(recorded);
        self.causes.take(Cause::At(recorded.envelope.seq), &recorded.event);
        (self.observe)(recorded);
    }

    /// Decides `commands` one after the other and appends all their events in one batch.
    ///
    /// # Errors
    /// [`StreamError::Refused`] when the rules forbid one of them: nothing is appended then. [`StreamError::Store`] when the log
    /// cannot take them.
    pub fn perform(&mut self, basis: &Basis, commands: &[Command]) -> Result<(), StreamError> {
        self.perform_within(basis, commands, None)
    }

    /// Like [`Stream::perform`], but the append is refused when the day's budget would not hold it.
    ///
    /// # Errors
    /// As [`Stream::perform`], and [`store::Error::DayLimit`].
    pub fn perform_within(
        &mut self,
        basis: &Basis,
        commands: &[Command],
        day: Option<crate::domain::money::NanoUsd>,
    ) -> Result<(), StreamError> {
        self.perform_drafted(basis, |stream| stream.draft(basis, commands, day, None))
    }

    /// Appends what of `starts` may start now, in one batch.
    ///
    /// # Errors
    /// [`StreamError::Store`] when the log cannot take it.
    pub(super) fn start(&mut self, basis: &Basis, starts: &Starts) -> Result<(), StreamError> {
        if starts.next(&self.run, &[]).is_none() {
            return Ok(());
        }
        self.perform_drafted(basis, |stream| stream.draft(basis, &[], None, Some(starts)))
    }

    fn perform_drafted(
        &mut self,
        basis: &Basis,
        draft: impl Fn(&Self) -> Result<(Vec<Event>, Batch), StreamError>,
    ) -> Result<(), StreamError> {
        loop {
            let (mut events, batch) = draft(self)?;
            if events.is_empty() {
                return Ok(());
            }
            match self.append(&batch, &mut events, Levels::of(basis)) {
                Err(store::Error::Conflict { .. }) => self.catch_up()?,
                other => return Ok(other?),
            }
        }
    }

    /// Like [`Stream::perform`] for what has been paid for: it is never dropped. While the store cannot be reached the batch
    /// lies synced in the spool, and this waits.
    ///
    /// What of `starts` may start after it stands in the same batch, unless the store is out of reach: what lies in the spool may be
    /// taken in when nobody is there to carry out what it starts.
    ///
    /// # Errors
    /// As [`Stream::perform`], but never for a store that is only out of reach.
    pub(super) fn perform_paid(
        &mut self,
        basis: &Basis,
        commands: &[Command],
        mut starts: Option<&Starts>,
    ) -> Result<(), StreamError> {
        let mut may_be_there = false;
        loop {
            let (mut events, batch) = match self.draft(basis, commands, None, starts) {
                // The owner took the batch in, from the spool or before it went away: what was paid for is recorded.
                Err(StreamError::Refused(Refusal::CallNotOpen(_) | Refusal::ToolNotOpen(..))) if may_be_there => return Ok(()),
                drafted => drafted?,
            };
            if events.is_empty() {
                return Ok(());
            }
            let mut spooled = false;
            loop {
                match self.append(&batch, &mut events, Levels::of(basis)) {
                    Err(store::Error::Conflict { .. }) => {
                        may_be_there |= spooled;
                        if spooled {
                            spool::remove(&self.place, self.id, batch.id)?;
                        }
                        self.catch_up()?;
                        break;
                    }
                    Err(store::Error::Unreachable { .. } | store::Error::Disconnected(_)) if starts.take().is_some() => {
                        may_be_there = true;
                        break;
                    }
                    Err(error @ (store::Error::Unreachable { .. } | store::Error::Disconnected(_))) => {
                        if !spooled {
                            spool::write(&self.place, self.id, &batch)?;
                            spooled = true;
                            (self.notice)(&format!("{error}; the reply is kept in the spool, waiting for the store"));
                        }
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    other => {
                        other?;
                        if spooled {
                            spool::remove(&self.place, self.id, batch.id)?;
                        }
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Returns the run as it would be after `commands`; nothing is appended.
    ///
    /// # Errors
    /// A [`Refusal`] when the rules forbid one of them.
    pub fn foresee(&self, basis: &Basis, commands: &[Command]) -> Result<Run, StreamError> {
        Ok(self.decide(basis, commands, None, self.world.now())?.1)
    }

    /// Returns the events that `commands` cause one after the other, with what of `starts` may start then, and the run after them.
    fn decide(
        &self,
        basis: &Basis,
        commands: &[Command],
        starts: Option<&Starts>,
        now: i64,
    ) -> Result<(Vec<Event>, Run), Refusal> {
        let mut events = Vec::new();
        let mut run = self.run.clone();
        for command in commands {
            let decided;
            (decided, run) = decide(run, basis, command.clone(), now)?;
            run.id = Some(self.id);
            events.extend(decided);
        }
        if let Some(starts) = starts {
            let started;
            (started, run) = starts.decide(run, now);
            events.extend(started);
        }
        Ok((events, run))
    }

    fn draft(
        &self,
        basis: &Basis,
        commands: &[Command],
        day: Option<crate::domain::money::NanoUsd>,
        starts: Option<&Starts>,
    ) -> Result<(Vec<Event>, Batch), StreamError> {
        let (events, _) = self.decide(basis, commands, starts, self.world.now())?;
        let (encoded, payloads) = self.encode(&events, Levels::of(basis))?;
        let reserved = events.iter().find_map(|event| match event {
            Event::CallStarted(call) => Some((call.day, call.reserved?)),
            _ => None,
        });
        let day_limit = day.zip(reserved).map(|(limit, (day, reserve))| DayLimit { day, reserve, limit });
        let batch = Batch {
            id: BatchId(self.world.ulid(None)),
            expected_version: Some((self.id, self.run.version)),
            events: encoded,
            payloads,
            day_limit,
        };
        Ok((events, batch))
    }

    /// Appends the batch of `events`, and folds them once they are acknowledged: none of their texts is copied, so they are gone then.
    ///
    /// The run that was decided on is not taken over instead: the store says when each event happened, and the run has to be what its log
    /// says.
    fn append(&mut self, batch: &Batch, events: &mut Vec<Event>, levels: Levels) -> Result<(), store::Error> {
        let appended = match self.log.append(batch) {
            Err(store::Error::MissingPayloads(_)) => {
                self.encode(events, levels)?;
                self.log.append(batch)?
            }
            other => other?,
        };
        if appended.events.first().is_none_or(|(envelope, _)| envelope.version != self.run.version + 1) {
            // A repeated batch may stand behind events that are not folded yet.
            return self.catch_up();
        }
        let has_ended = events.iter().any(is_end);
        for (event, (envelope, hash)) in events.drain(..).zip(appended.events) {
            self.fold(&Recorded { envelope, hash, event });
        }
        if has_ended {
            // What was only there for the run to go on has no use any more.
            self.withheld().end()?;
        }
        Ok(())
    }

    /// The texts of this run that are not kept.
    fn withheld(&self) -> Withheld {
        Withheld::of(&self.place, self.id)
    }

    /// Gives stored events the private parts that they had before texts were withheld, while these are there.
    fn with_withheld(&self, mut page: Vec<Stored>) -> Result<Vec<Stored>, store::Error> {
        let withheld = self.withheld();
        if withheld.exists() {
            for stored in page.iter_mut().filter(|stored| stored.private.is_some()) {
                if let Some(whole) = withheld.read(stored.commitment)? {
                    stored.private = Some(whole);
                }
            }
        }
        Ok(page)
    }

    /// Encodes events; texts that are large go to payload files, and those that may not be kept to the run's own folder. Both are
    /// durable when this returns.
    fn encode(&self, events: &[Event], levels: Levels) -> Result<(Vec<NewEvent>, Vec<Hash>), store::Error> {
        let withheld = self.withheld();
        if levels.withhold() && !events.is_empty() {
            withheld.begin()?;
        }
        let mut large: Vec<String> = Vec::new();
        let mut names = Vec::new();
        let mut moved = Vec::with_capacity(events.len());
        for event in events {
            let most = if matches!(event, Event::RunStarted(_)) { REPEATED_BYTES_MAX } else { INLINE_BYTES_MAX };
            let salt = self.world.random();
            let hash = |text: &str| Hash(*blake3::Hasher::new().update(&salt).update(text.as_bytes()).finalize().as_bytes());
            let kept = if levels.withhold() { capture::withheld(event, levels, &hash) } else { None };
            let whole = kept.is_some().then_some(event);
            let mut event = kept.unwrap_or_else(|| event.clone());
            event.each_text_mut(&mut |text| {
                if let Text::Inline(inline) = text
                    && inline.len() > most
                {
                    let inline = std::mem::take(inline);
                    let (hash, bytes) = (Hash::of(inline.as_bytes()), inline.len() as u64);
                    *text = Text::Payload { hash, bytes };
                    names.push(hash);
                    large.push(inline);
                }
            });
            moved.push((event, whole, salt));
        }
        names.sort_unstable();
        names.dedup();
        self.payloads.write(&large.iter().map(String::as_bytes).collect::<Vec<_>>())?;
        let mut encoded = Vec::with_capacity(moved.len());
        let mut causes = self.causes.clone();
        for (place, (event, whole, salt)) in (0..).zip(moved) {
            let cause = causes.of(&event);
            causes.take(Cause::InBatch(place), &event);
            let offered = codec::offer(&event, salt, Some(self.id), cause, None)?;
            if let Some(whole) = whole {
                withheld.write(offered.commitment, &codec::encode(whole, salt)?.private)?;
            }
            encoded.push(offered);
        }
        Ok((encoded, names))
    }

    /// Reads large texts back in. A payload that is gone or damaged counts as forgotten.
    fn with_texts(&self, recorded: Recorded) -> Result<Recorded, store::Error> {
        read_texts(&self.payloads, recorded)
    }
}

/// Replaces the names of payloads in an event by their texts. A payload that is gone or damaged, or whose key is not at hand, stays a
/// name: one lost text takes none of the others with it, and `meno doctor` and `meno audit` say which it is.
///
/// # Errors
/// When a payload is there and cannot be read.
pub fn read_texts(payloads: &Payloads, mut recorded: Recorded) -> Result<Recorded, store::Error> {
    let mut failure = None;
    recorded.event.each_text_mut(&mut |text| {
        if let Some(hash) = text.payload() {
            match payloads.read(hash) {
                Ok(bytes) => *text = Text::Inline(String::from_utf8_lossy(&bytes).into_owned()),
                Err(store::Error::MissingPayloads(_) | store::Error::Damaged(_) | store::Error::Locked(_)) => {}
                Err(error) => failure = Some(error),
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(recorded),
    }
}

/// Whether a run has ended for good, or until somebody lets failed agents start again.
fn is_end(event: &Event) -> bool {
    matches!(event, Event::RunSucceeded(_) | Event::RunFailed(_) | Event::RunCancelled(_))
}
