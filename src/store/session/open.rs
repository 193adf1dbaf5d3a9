//! The session: how everybody in this process appends and reads, whoever owns the store.
//!
//! It reaches for the owner, becomes owner when there is none, and starts over with the same request when the owner goes. Appends
//! are idempotent by batch id, so repeating one is safe. It does not know what the log does with a request, nor what the socket's
//! bytes look like.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{self, ConnectOutcome, Connection, ConnectionError};
use super::gate::{Entry, Gate, GatePass};
use super::lock::StoreLock;
use super::options::{Notice, Opener, Options, Tell};
use super::owner::Owner;
use super::protocol::{Activity, Greeting, Request, Response, Status, encode};
use super::store_dir::StoreDir;
use super::{server, spool};
use crate::store::{Error, Unwritable};

/// How long an owner may take to say what it does, while another question waits for its answer.
const DOING_PATIENCE: Duration = Duration::from_millis(500);
/// However short the patience, a living owner gets this long to answer.
const ANSWER_MIN: Duration = Duration::from_millis(250);
/// Whoever gives the store up leaves it alone for this long, so that another can have it, or the process can be stopped.
const GRACE: Duration = Duration::from_secs(1);
/// After this long without an owner that answers, one line says so.
const SILENCE: Duration = Duration::from_secs(1);
/// Pauses between attempts grow from the one to the other, and up to as much again is added at random.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(40);
/// How often one who stays looks whether the store is free.
const STAY_PAUSE: Duration = Duration::from_millis(200);
/// Connections kept for the next requests; one per thread that asks at the same time is of use.
const IDLE_MAX: usize = 4;

/// What this process is to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It holds the lock and the files.
    Owner,
    /// It asks the owner, or will decide at the next request.
    Client,
    /// It reads the store as it lies, because nobody serves it and it cannot be written to.
    Reader(Unwritable),
}

/// One process's way to a store. Threads share it by reference; dropping it gives an ownership up.
pub struct Session {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    place: StoreDir,
    opener: Opener,
    options: Options,
    greeting: Greeting,
    state: Mutex<SessionState>,
    changed: Condvar,
    idle: Mutex<Vec<Connection>>,
    /// For what runs on threads of its own.
    me: Weak<Inner>,
}

struct SessionState {
    phase: Phase,
    /// Until then this process leaves the lock to others.
    not_before: Option<Instant>,
}

enum Phase {
    /// Not the owner; connections may be open.
    Free,
    /// One thread is becoming owner, or giving it up.
    Changing,
    Owner(Arc<Owner>),
    Reader(Arc<Reading>),
    /// The session was dropped.
    Ended,
}

/// The log as it lies, for this process alone.
struct Reading {
    gate: Gate,
    why: Unwritable,
}

enum Turn {
    Owner(Arc<Owner>),
    Reader(Arc<Reading>),
    Client(Connection),
}

impl Session {
    /// Reaches the owner or becomes it; reads the store as it lies when nobody serves it, it cannot be written to and
    /// [`Options::reader`] is there.
    ///
    /// # Errors
    /// Within about `wait`: [`Error::Unreachable`] when another process holds the store and does not answer, [`Error::Version`] when
    /// they cannot speak with each other; and whatever the opener says.
    pub fn open(place: StoreDir, opener: Opener, options: Options) -> Result<Self, Error> {
        let inner = Arc::new_cyclic(|me| Inner {
            place,
            opener,
            greeting: Greeting::own(&options.version),
            options,
            state: Mutex::new(SessionState { phase: Phase::Free, not_before: None }),
            changed: Condvar::new(),
            idle: Mutex::default(),
            me: Weak::clone(me),
        });
        let session = Self { inner };
        let inner = &session.inner;
        if let Turn::Client(connection) = inner.turn(after(inner.patience()))? {
            inner.keep(connection);
        }
        if inner.options.stay {
            let me = Weak::clone(&inner.me);
            thread::Builder::new().name("meno-stay".to_owned()).spawn(move || stay(&me)).map_err(Error::io(inner.place.dir()))?;
        }
        Ok(session)
    }

    /// What this process is to the store at this moment.
    pub fn role(&self) -> Role {
        match &self.inner.lock().phase {
            Phase::Owner(_) => Role::Owner,
            Phase::Reader(reading) => Role::Reader(reading.why),
            _ => Role::Client,
        }
    }

    /// Who owns the store and what it is doing; an owner that is still opening the store answers too.
    ///
    /// # Errors
    /// As for any request.
    pub fn status(&self) -> Result<Status, Error> {
        match self.inner.ask_owner(&Request::Status)? {
            None => Ok(server::status(&self.inner.greeting, None)),
            Some(Response::Status(status)) => Ok(status),
            Some(_) => Err(off_topic()),
        }
    }

    /// Makes this process the owner, asking the present one to hand over: for work that needs the files themselves.
    ///
    /// # Errors
    /// As for any request; [`Error::Unreachable`] with the owner's process id when it does not hand over in time, [`Error::Io`] when the
    /// store cannot be written to.
    pub fn own(&self) -> Result<(), Error> {
        let deadline = after(self.inner.patience());
        for attempt in 0.. {
            let pid = match self.inner.ask_owner(&Request::HandOver) {
                Ok(None) => {
                    let Role::Reader(why) = self.role() else { return Ok(()) };
                    return Err(Error::io(self.inner.place.dir())(why.into()));
                }
                Ok(Some(Response::HandingOver(_))) | Err(Error::Disconnected(_)) => StoreLock::holder(&self.inner.place),
                Ok(Some(_)) => return Err(off_topic()),
                Err(error) => return Err(error),
            };
            if Instant::now() >= deadline {
                return Err(Error::Unreachable { pid });
            }
            pause(attempt);
        }
        Ok(())
    }

    /// Gives an ownership up now, as before this process is stopped. The session goes on: for a second it leaves the store to
    /// others, then the next request finds the owner or becomes it.
    ///
    /// # Errors
    /// [`Error::Busy`] when the store is still being opened, [`Error::Closed`] when somebody in this process kept the log.
    pub fn release(&self) -> Result<(), Error> {
        self.inner.release().map(drop)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.end();
    }
}

fn off_topic() -> Error {
    Error::Disconnected("it answered another question".to_owned())
}

impl Inner {
    /// Has a request answered: by the log itself when this process owns it, else by the owner, whoever that comes to be.
    pub(super) fn call<T>(
        &self,
        request: &Request<'_>,
        takes: Duration,
        local: impl Fn(&GatePass<'_>) -> Result<T, Error>,
        remote: impl Fn(Response) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = after(takes.saturating_add(self.patience()));
        let (mut bytes, mut last) = (None, None);
        for attempt in 0.. {
            let connection = match self.turn(deadline)? {
                Turn::Owner(owner) => match owner.gate.enter() {
                    Entry::Open(pass) => return local(&pass),
                    // It has just ended; the next turn waits until that is done.
                    Entry::Busy(_) | Entry::Closed => continue,
                },
                Turn::Reader(reading) => match reading.gate.enter() {
                    Entry::Open(pass) => return local(&pass),
                    Entry::Busy(_) | Entry::Closed => continue,
                },
                Turn::Client(connection) => connection,
            };
            let bytes = match &mut bytes {
                Some(bytes) => bytes,
                none => none.insert(encode(request).map_err(Error::BadBatch)?),
            };
            let pid = connection.owner.pid;
            let mut busy = None;
            let answer = connection.ask(bytes, deadline, &mut || {
                // The answer is late: perhaps the question itself made the owner begin something long.
                if let Some(doing) = self.doing(pid, deadline) {
                    self.tell(&Notice::OwnerBusy { pid, doing: doing.clone() });
                    busy = Some(Error::Busy { pid, words: doing.words, percent: doing.percent });
                }
            });
            last = busy.or(last);
            match answer {
                Ok(Response::Failed(error)) => {
                    self.keep(connection);
                    return Err(error.into());
                }
                Ok(Response::Malformed(words)) => return Err(Error::Disconnected(words)),
                Ok(Response::Busy(doing)) => {
                    self.keep(connection);
                    self.tell(&Notice::OwnerBusy { pid, doing: doing.clone() });
                    last = Some(Error::Busy { pid, words: doing.words, percent: doing.percent });
                }
                Ok(Response::Closing) => last = Some(Error::Unreachable { pid: Some(pid) }),
                Ok(response) => {
                    let answer = remote(response).ok_or_else(off_topic)?;
                    self.keep(connection);
                    return Ok(answer);
                }
                Err(ConnectionError::Late) => {
                    // An owner that said why it makes us wait is not a frozen one.
                    let busy = last.filter(|error| matches!(error, Error::Busy { .. }));
                    return Err(busy.unwrap_or(Error::Unreachable { pid: Some(pid) }));
                }
                Err(ConnectionError::Broken(words)) => {
                    // The others led to the same process.
                    self.idle().clear();
                    last = Some(Error::Disconnected(words));
                }
            }
            if Instant::now() >= deadline
                && let Some(error) = last.take()
            {
                return Err(error);
            }
            pause(attempt);
        }
        Err(Error::Unreachable { pid: None })
    }

    /// Whether an owner that comes now can be asked from now on, instead of reading what lay there when this process began.
    pub(super) fn looks_for_owner(&self) -> bool {
        if !matches!(self.lock().phase, Phase::Reader(_)) {
            return false;
        }
        let deadline = Instant::now() + DOING_PATIENCE;
        if let Ok(ConnectOutcome::Connected(connection)) = client::reach(&self.place, &self.greeting, deadline) {
            self.keep(connection);
            let mut state = self.lock();
            if matches!(state.phase, Phase::Reader(_)) {
                state.phase = Phase::Free;
            }
            return false;
        }
        true
    }

    /// Asks the owner something about itself; `None` when there is none but this process.
    fn ask_owner(&self, request: &Request<'_>) -> Result<Option<Response>, Error> {
        let deadline = after(self.patience());
        let bytes = encode(request).map_err(Error::BadBatch)?;
        loop {
            let Turn::Client(connection) = self.turn(deadline)? else { return Ok(None) };
            match connection.ask(&bytes, deadline, &mut || {}) {
                Ok(response) => {
                    self.keep(connection);
                    return Ok(Some(response));
                }
                Err(ConnectionError::Late) => return Err(Error::Unreachable { pid: Some(connection.owner.pid) }),
                Err(ConnectionError::Broken(words)) if Instant::now() >= deadline => return Err(Error::Disconnected(words)),
                Err(ConnectionError::Broken(_)) => {
                    self.idle().clear();
                    pause(0);
                }
            }
        }
    }

    /// Asks the owner on another connection what it does that takes long; `None` when it does not say at once.
    fn doing(&self, pid: u32, deadline: Instant) -> Option<Activity> {
        let deadline = deadline.min(Instant::now() + DOING_PATIENCE);
        let Ok(ConnectOutcome::Connected(connection)) = client::reach(&self.place, &self.greeting, deadline) else { return None };
        let request = encode(&Request::Status).ok()?;
        match connection.ask(&request, deadline, &mut || {}) {
            Ok(Response::Status(status)) if status.pid == pid => status.doing,
            _ => None,
        }
    }

    /// Finds out how the next request is answered, becoming owner if that is the way.
    fn turn(&self, deadline: Instant) -> Result<Turn, Error> {
        let started = Instant::now();
        let mut told = false;
        for attempt in 0.. {
            if let Some(turn) = self.settled()? {
                return Ok(turn);
            }
            if let Some(connection) = self.idle().pop() {
                return Ok(Turn::Client(connection));
            }
            let mut apart = None;
            match client::reach(&self.place, &self.greeting, deadline)? {
                ConnectOutcome::Connected(connection) => return Ok(Turn::Client(connection)),
                ConnectOutcome::Nobody => {
                    if self.try_to_own()? {
                        continue;
                    }
                }
                ConnectOutcome::Silent => {}
                ConnectOutcome::Apart { owner, leaving } => {
                    let error = Error::Version { pid: owner.pid, owner: owner.version, own: self.options.version.clone() };
                    if !leaving {
                        return Err(error);
                    }
                    apart = Some(error);
                }
            }
            let pid = StoreLock::holder(&self.place);
            // In the second after giving the store up, nobody may be there although nothing is wrong.
            if Instant::now() >= deadline && !self.in_grace() {
                return Err(apart.unwrap_or(Error::Unreachable { pid }));
            }
            if !told && started.elapsed() >= SILENCE && !self.in_grace() {
                told = true;
                self.tell(&Notice::Waiting { pid });
            }
            pause(attempt);
        }
        Err(Error::Unreachable { pid: None })
    }

    /// Waits until this process has the log, or has not, and no change is under way.
    fn settled(&self) -> Result<Option<Turn>, Error> {
        let mut state = self.lock();
        loop {
            match &state.phase {
                Phase::Owner(owner) => return Ok(Some(Turn::Owner(Arc::clone(owner)))),
                Phase::Reader(reading) => return Ok(Some(Turn::Reader(Arc::clone(reading)))),
                Phase::Free => return Ok(None),
                Phase::Ended => return Err(Error::Closed("the session has ended".to_owned())),
                Phase::Changing => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Becomes owner if nobody else is, or reader when nobody can be; `false` when somebody is, or this process is not to.
    fn try_to_own(&self) -> Result<bool, Error> {
        if !self.options.may_own || self.in_grace() {
            return Ok(false);
        }
        let mut change = {
            let mut state = self.lock();
            if !matches!(state.phase, Phase::Free) {
                return Ok(!matches!(state.phase, Phase::Ended));
            }
            state.phase = Phase::Changing;
            Change { inner: self, to: Phase::Free }
        };
        match self.begin_owning() {
            Ok(Some(owner)) => {
                self.idle().clear();
                change.to = Phase::Owner(Arc::new(owner));
                drop(change);
                self.tell(&Notice::Owning);
            }
            Ok(None) => return Ok(false),
            Err(error) => {
                let (Some(why), Some(reader)) = (error.unwritable(), &self.options.reader) else { return Err(error) };
                let log = reader(self.place.dir(), why)?;
                let gate = Gate::opening();
                gate.open(log);
                change.to = Phase::Reader(Arc::new(Reading { gate, why }));
                drop(change);
                self.tell(&Notice::Reading { why, loose: self.place.loose() });
            }
        }
        Ok(true)
    }

    /// Takes the lock, opens the log and serves it; `None` while another process has the lock.
    fn begin_owning(&self) -> Result<Option<Owner>, Error> {
        let Some(lock) = StoreLock::take(&self.place, &self.options.version)? else { return Ok(None) };
        let me = Weak::clone(&self.me);
        let hand_over = move |could_go_on| me.upgrade().is_some_and(|inner| inner.hand_over(could_go_on));
        let owner = Owner::start(&self.place, lock, self.greeting.clone(), Box::new(hand_over))?;
        let (gate, on_notice) = (Arc::downgrade(&owner.gate), Arc::clone(&self.options.on_notice));
        // The log keeps this as long as it lives, and the gate keeps the log.
        let tell: Tell = Arc::new(move |words, percent| {
            let doing = Activity { words: words.to_owned(), percent };
            if let Some(gate) = gate.upgrade() {
                gate.report(doing.clone());
            }
            on_notice(&Notice::Opening(doing));
        });
        let log = (self.opener)(self.place.dir(), &tell)?;
        // A log that can be read but not appended to is worth serving.
        match spool::take_in(&self.place, None, &*log, &spool::at_current_version) {
            Ok(taken) if taken == spool::Taken::default() => {}
            Ok(taken) => self.tell(&Notice::SpoolTaken(taken)),
            Err(error) => self.tell(&Notice::SpoolLeft(error.to_string())),
        }
        owner.gate.open(log);
        Ok(Some(owner))
    }

    /// Decides about another process's plea for the store; told whether this one could be its client afterwards. If not, only
    /// one that does nothing but serve agrees: others have a run to finish.
    fn hand_over(&self, could_go_on: bool) -> bool {
        let agreed = (could_go_on || self.options.stay) && matches!(self.lock().phase, Phase::Owner(_));
        let Some(me) = self.me.upgrade().filter(|_| agreed) else { return false };
        // Giving up waits for all connections, and this may be one's thread.
        let leaving = thread::Builder::new().name("meno-hand-over".to_owned()).spawn(move || {
            if matches!(me.release(), Ok(true)) {
                me.tell(&Notice::HandedOver);
            }
        });
        leaving.is_ok()
    }

    /// Gives an ownership up; `false` when there was none.
    fn release(&self) -> Result<bool, Error> {
        let deadline = after(self.patience());
        let mut state = self.lock();
        while matches!(state.phase, Phase::Changing) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Busy { pid: self.greeting.pid, words: "opening the store".to_owned(), percent: 0 });
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        let Phase::Owner(owner) = &state.phase else {
            state.not_before = Some(after(GRACE));
            return Ok(false);
        };
        let owner = Arc::clone(owner);
        state.phase = Phase::Changing;
        drop(state);
        let _change = Change { inner: self, to: Phase::Free };
        let closed = owner.close();
        self.lock().not_before = Some(after(GRACE));
        closed.map(|()| true)
    }

    fn end(&self) {
        let mut state = self.lock();
        while matches!(state.phase, Phase::Changing) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let phase = std::mem::replace(&mut state.phase, Phase::Ended);
        drop(state);
        if let Phase::Owner(owner) = phase {
            // There is nobody left to tell; a socket left behind is removed by the next owner.
            let _ = owner.close();
        }
    }

    fn in_grace(&self) -> bool {
        self.lock().not_before.is_some_and(|moment| moment > Instant::now())
    }

    fn patience(&self) -> Duration {
        self.options.wait.max(ANSWER_MIN)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    fn tell(&self, notice: &Notice) {
        (self.options.on_notice)(notice);
    }

    fn lock(&self) -> MutexGuard<'_, SessionState> {
        // Changes under this lock are single assignments, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of phase under way; settled when dropped, by a panic too.
struct Change<'a> {
    inner: &'a Inner,
    to: Phase,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.inner.lock().phase = std::mem::replace(&mut self.to, Phase::Free);
        self.inner.changed.notify_all();
    }
}

/// Takes the store over whenever it is free, as long as the session lives.
fn stay(session: &Weak<Inner>) {
    let mut failed: Option<String> = None;
    while let Some(inner) = session.upgrade() {
        let phase_is = |wanted: fn(&Phase) -> bool| wanted(&inner.lock().phase);
        if phase_is(|phase| matches!(phase, Phase::Ended)) {
            return;
        }
        if phase_is(|phase| matches!(phase, Phase::Free))
            && let Err(error) = inner.try_to_own()
        {
            // Said once, not five times a second.
            let words = error.to_string();
            if failed.as_ref() != Some(&words) {
                inner.tell(&Notice::CannotOwn(words.clone()));
                failed = Some(words);
            }
        }
        drop(inner);
        thread::sleep(STAY_PAUSE + jitter(STAY_PAUSE));
    }
}

fn after(patience: Duration) -> Instant {
    // A year is for ever, and cannot overflow.
    Instant::now() + patience.min(Duration::from_secs(365 * 24 * 3600))
}

fn pause(attempt: u32) {
    let base = PAUSE_MIN.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
    thread::sleep(base + jitter(base));
}

/// Between nothing and `most`; processes that lost the same owner should not all come at once.
fn jitter(most: Duration) -> Duration {
    most.mul_f64(f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX))
}
