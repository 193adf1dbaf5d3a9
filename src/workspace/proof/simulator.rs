//! Whole stores driven by a flaky world drawn from a seed: runs side by side with a day's budget between them, executors that are killed, power
//! that goes, indexes that are lost. Log, index, projections, ledger and streams are the real ones; files, index and models are in
//! memory. After every life the laws are checked against what the log holds.
//!
//! That the checks see something is shown by planting faults: each is switched on in a test that must fail to keep its law.
//! `MENO_SEEDS` sets how many seeds are tried: a thousand by default, ten thousand in CI, more when there is a night for it.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use crate::domain::event::{AttemptOutcome, ErrorClass, Event, Purpose, Recorded, StopReason};
use crate::domain::ids::{CallNo, ExecutorId, Hash, RunId};
use crate::domain::money::NanoUsd;
use crate::domain::run::tests::{Dice, answer, basis, begin, failure, reply, team};
use crate::domain::run::{self, Basis, Command, DayRefusal, Effect, NewLimits, Phase, Refusal, Run, decide, pending};
use crate::executor::{Stream, StreamError, World};
use crate::store::codec::{Decoded, decode};
use crate::store::files::{DataFile, Files};
use crate::store::journal::sim::SimFiles;
use crate::store::log::{Log, Stored};
use crate::store::ordered::memory::MemoryShelf;
use crate::store::owned::{Ledger, Options, OwnedLog};
use crate::store::session::{Create, StoreDir};
use crate::store::{self, lock};
use crate::views::rows::MapRows;
use crate::views::stats::Memory;
use crate::views::{Projection, Rows};
use crate::workspace::memory::ledger::DayLedger;

/// Seeds of an ordinary round.
const SEEDS: u64 = 1_000;
/// Steps after which a life should have ended long ago.
const STEPS_MAX: u32 = 4_000;
const STORE: &str = "/store";
/// Where paid replies would wait for a store out of reach: no life comes to that, and no stream goes without.
static SPOOL: LazyLock<(tempfile::TempDir, StoreDir)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let place = StoreDir::open(dir.path(), Create::Folder).expect("a place for a store");
    (dir, place)
});
const START_NS: i64 = 1_760_000_000_000_000_000;

/// A fault in the program or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// An append is acknowledged before the disk has it.
    AckBeforeSync,
    /// A run is resumed while somebody executes it.
    DoubleResume,
    /// Room in the day's budget is looked for before the append and not in it.
    BudgetRace,
    /// A projection leaves an event out.
    SkippedEvent,
}

/// A disk that says that it has synced, and may not have.
#[derive(Clone)]
struct Disk {
    files: SimFiles,
    lies: bool,
}

struct DiskFile {
    file: Box<dyn DataFile>,
    lies: bool,
}

impl DataFile for DiskFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.lies { Ok(()) } else { self.file.sync_data() }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn mark_durable(&self) {
        self.file.mark_durable();
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(DiskFile { file: self.files.create(path)?, lies: self.lies }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        Ok(Box::new(DiskFile { file: self.files.open(path)?, lies: self.lies }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.exists(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.files.list(dir)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.make_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        self.files.sync_all(dir)
    }

    fn is_marked_durable(&self, path: &Path) -> bool {
        self.files.is_marked_durable(path)
    }
}

/// The projection of experience, which may leave an event out.
#[derive(Debug)]
struct Forgetful {
    skips: bool,
}

impl Projection for Forgetful {
    fn name(&self) -> &'static str {
        Memory.name()
    }

    fn version(&self) -> u32 {
        Memory.version()
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        if self.skips && matches!(event.event, Event::AttemptEnded(_)) && event.envelope.seq.is_multiple_of(3) {
            return Ok(());
        }
        Memory.apply(rows, event)
    }
}

/// A day's budget and what of it is used, as the log says.
struct DayBudget {
    limit: NanoUsd,
    ledger: DayLedger,
}

/// Somebody who carries a run on.
struct Executor {
    id: ExecutorId,
    run: usize,
    stream: Stream,
    /// A call that found room in the day's budget when it was looked for.
    found_room: Option<(u32, Purpose)>,
}

/// A store and everybody who works with it.
struct Life {
    planted: Planted,
    dice: Dice,
    disk: Disk,
    shelf: MemoryShelf,
    world: Arc<World>,
    salt: Arc<AtomicU64>,
    basis: Basis,
    limit: Option<NanoUsd>,
    log: Arc<OwnedLog>,
    runs: Vec<RunId>,
    executors: Vec<Executor>,
    executors_made: u8,
    /// Every event that somebody was told is durable: position and hash.
    told: Arc<std::sync::Mutex<BTreeMap<u64, Hash>>>,
}

impl Life {
    fn begin(seed: u64, planted: Planted) -> Result<Self, String> {
        let mut dice = Dice(seed);
        let limit = (planted == Planted::BudgetRace || dice.roll(2) == 0).then(|| NanoUsd(60_000_000 + dice.roll(200_000_000)));
        let disk = Disk { files: SimFiles::default(), lies: planted == Planted::AckBeforeSync };
        let (shelf, salt) = (MemoryShelf::default(), Arc::new(AtomicU64::new(seed)));
        let world = Arc::new(World::fixed(START_NS, seed));
        let log = open(&disk, &shelf, &world, &salt, planted)?;
        let mut basis = basis(team());
        basis.settings.per_day_budget = limit;
        let mut life = Self {
            planted,
            dice,
            disk,
            shelf,
            world,
            salt,
            basis,
            limit,
            log,
            runs: Vec::new(),
            executors: Vec::new(),
            executors_made: 0,
            told: Arc::default(),
        };
        for number in 0..2 {
            life.runs.push(RunId(life.world.ulid(life.runs.last().map(|run: &RunId| run.0))));
            life.execute(number)?;
            let commands = [begin(None), answer(), Command::CompleteForm(Vec::new())];
            let executor = life.executors.last_mut().ok_or("somebody executes it")?;
            executor.stream.perform(&life.basis, &commands).map_err(|error| error.to_string())?;
        }
        Ok(life)
    }

    /// Lets somebody new execute a run.
    fn execute(&mut self, run: usize) -> Result<(), String> {
        self.executors_made += 1;
        let id = ExecutorId::from_bytes([self.executors_made; 16]);
        let (log, payloads) = (Arc::clone(&self.log), Arc::new(self.log.payloads().clone()));
        let stream = Stream::open(self.runs[run], log, payloads, Arc::clone(&self.world), SPOOL.1.clone());
        let mut stream = stream.map_err(|error| error.to_string())?;
        let told = Arc::clone(&self.told);
        stream.observe(move |recorded| {
            lock(&told).insert(recorded.envelope.seq, recorded.hash);
        });
        self.executors.push(Executor { id, run, stream, found_room: None });
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.executors.iter().all(|executor| executor.stream.run().is_ended())
    }

    fn step(&mut self) -> Result<(), String> {
        if self.dice.roll(70) == 0 {
            return self.crash();
        }
        if self.planted == Planted::DoubleResume && self.dice.roll(30) == 0 && self.executors.len() < 4 {
            let run = self.dice.roll(self.runs.len() as u64) as usize;
            return self.resume(run);
        }
        let which = self.dice.roll(self.executors.len() as u64) as usize;
        if self.executors[which].stream.run().is_ended() {
            return Ok(());
        }
        self.act(which)
    }

    /// The machine loses its power, or the processes die: what nobody synced may be gone, and so may the index.
    fn crash(&mut self) -> Result<(), String> {
        let cut = (self.dice.roll(2) != 0).then(|| self.dice.roll(u64::MAX));
        let files = cut.map_or_else(|| self.disk.files.clone(), |seed| self.disk.files.power_cut(seed));
        // What the dying do still is done to a disk that nobody sees again.
        let lies = self.disk.lies;
        let dying = std::mem::replace(&mut self.disk, Disk { files, lies });
        if cut.is_some() {
            dying.files.die_after(0);
        }
        self.executors.clear();
        let (disk, shelf) = (self.disk.clone(), if self.dice.roll(3) == 0 { MemoryShelf::default() } else { self.shelf.clone() });
        let empty = Disk { files: SimFiles::default(), lies: false };
        let nobody = open(&empty, &MemoryShelf::default(), &self.world, &self.salt, Planted::Nothing)?;
        drop(std::mem::replace(&mut self.log, nobody));
        self.shelf = shelf;
        if let Some(seed) = cut {
            self.shelf.power_cut(seed);
        }
        self.log = open(&disk, &self.shelf, &self.world, &self.salt, self.planted)?;
        self.check()?;
        (0..self.runs.len()).try_for_each(|run| self.resume(run))
    }

    fn resume(&mut self, run: usize) -> Result<(), String> {
        self.execute(run)?;
        let Some(executor) = self.executors.last_mut() else { return Ok(()) };
        if executor.stream.run().is_ended() {
            return Ok(());
        }
        let limits = NewLimits::default();
        let resume = Command::Resume { executor: executor.id, retry_failed: false, meno_version: String::new(), limits };
        match executor.stream.perform(&self.basis, &[resume]) {
            // It was suspended by nobody and had nothing open: it simply goes on.
            Ok(()) | Err(StreamError::Refused(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn act(&mut self, which: usize) -> Result<(), String> {
        let run = self.executors[which].stream.run();
        let open: Vec<(CallNo, Purpose)> = run.open_calls().map(|call| (call.number, call.purpose)).collect();
        let effects = pending(run);
        if let Some((agent, purpose)) = self.executors[which].found_room.take() {
            return self.start(which, agent, purpose, None);
        }
        if open.is_empty() || (!effects.is_empty() && self.dice.roll(2) == 0) {
            let effect = effects.get(self.dice.roll(effects.len().max(1) as u64) as usize).cloned();
            return match effect {
                Some(Effect::StartCall { agent, purpose }) if self.planted == Planted::BudgetRace => {
                    self.look_for_room(which, agent, purpose)
                }
                Some(Effect::StartCall { agent, purpose }) => self.start(which, agent, purpose, self.limit),
                Some(Effect::AskApproval { agent, .. }) => {
                    let granted = self.dice.roll(3) != 0;
                    self.perform(which, Command::Approve { agent, granted }).map(drop)
                }
                // A run with nothing open and nothing owed must have ended; others may have taken it on.
                None if open.is_empty() => self.executors[which].stream.catch_up().map_err(|error| error.to_string()),
                _ => Ok(()),
            };
        }
        let (call, purpose) = open[self.dice.roll(open.len() as u64) as usize];
        let command = match (self.dice.roll(10), purpose) {
            (0, _) => failure(call, ErrorClass::Server),
            (1, _) => failure(call, [ErrorClass::Auth, ErrorClass::Context, ErrorClass::Quota][self.dice.roll(3) as usize]),
            (2, _) => Command::RecordCancelled { call, usage: None },
            (3..=5, Purpose::Work) => reply(call, "bad", StopReason::End),
            (_, Purpose::Work) => reply(call, "ok, this is good", StopReason::End),
            (score, Purpose::Judge) => {
                let score = if score < 6 { "0.1" } else { "0.9" };
                reply(
                    call,
                    &format!("{{\"scores\": [{{\"criterion\": 1, \"score\": {score}, \"reason\": \"so\"}}]}}"),
                    StopReason::End,
                )
            }
        };
        match self.perform(which, command)? {
            // Nobody else may end the calls of somebody who lives: what they answer is paid for.
            Some(Refusal::CallNotOpen(call)) => {
                Err(format!("nothing is paid twice: the answer to call {call} was paid and is lost"))
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, which: usize, agent: u32, purpose: Purpose, limit: Option<NanoUsd>) -> Result<(), String> {
        let executor = &mut self.executors[which];
        match executor.stream.perform_within(&self.basis, &[Command::StartCall { agent, purpose }], limit) {
            Ok(()) | Err(StreamError::Refused(_)) => Ok(()),
            Err(StreamError::Store(store::Error::DayLimit { used, wanted, limit })) => {
                let because = DayRefusal::Seen(run::DayBudget { limit, used, wanted });
                self.perform(which, Command::RefuseForDayBudget { agent, purpose, because }).map(drop)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The planted fault: looks for room now, and starts the call when it is this executor's turn again.
    fn look_for_room(&mut self, which: usize, agent: u32, purpose: Purpose) -> Result<(), String> {
        let run = self.executors[which].stream.run();
        let command = Command::StartCall { agent, purpose };
        let Ok((events, _)) = decide(run.clone(), &self.basis, command, START_NS) else { return Ok(()) };
        let reserved = events.iter().find_map(|event| match event {
            Event::CallStarted(call) => Some((call.day, call.reserved.unwrap_or_default())),
            _ => None,
        });
        let Some((day, reserved)) = reserved else { return self.start(which, agent, purpose, None) };
        let mut ledger = DayLedger::default();
        all(&*self.log)?.iter().for_each(|stored| ledger.apply(stored));
        if self.limit.is_some_and(|limit| ledger.used(day).plus(reserved) > limit) {
            return self.start(which, agent, purpose, self.limit);
        }
        self.executors[which].found_room = Some((agent, purpose));
        Ok(())
    }

    fn perform(&mut self, which: usize, command: Command) -> Result<Option<Refusal>, String> {
        match self.executors[which].stream.perform(&self.basis, &[command]) {
            Ok(()) => Ok(None),
            Err(StreamError::Refused(refusal)) => Ok(Some(refusal)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Checks the laws against what the log holds now.
    fn check(&self) -> Result<(), String> {
        let stored = all(&*self.log)?;
        for (seq, hash) in lock(&self.told).iter() {
            if stored.get(*seq as usize - 1).is_none_or(|event| event.hash != *hash) {
                return Err(format!("an acknowledged append survives: event {seq} was told and is not there"));
            }
        }
        let mut events = Vec::new();
        let mut day = self.limit.map(|limit| DayBudget { limit, ledger: DayLedger::default() });
        for one in &stored {
            if let Some(day) = &mut day {
                day.ledger.apply(one);
            }
            if let Decoded::Known(recorded) = decode(one).map_err(|error| error.to_string())? {
                if let (Some(day), Event::CallStarted(call)) = (&day, &recorded.event)
                    && day.ledger.used(call.day) > day.limit
                {
                    return Err(format!("a budget is a wall: {} of {} a day", day.ledger.used(call.day), day.limit));
                }
                events.push(recorded);
            }
        }
        self.runs.iter().try_for_each(|run| check_run(*run, &events))?;
        self.check_view(&events)
    }

    /// What a view holds is what the events say.
    fn check_view(&self, events: &[Recorded]) -> Result<(), String> {
        let mut folded = MapRows::default();
        events.iter().try_for_each(|event| Memory.apply(&mut folded, event))?;
        let held = self.log.view(Memory.name(), &[], None, false, u32::MAX).map_err(|error| error.to_string())?;
        let held: BTreeMap<Vec<u8>, Vec<u8>> = held.rows.into_iter().collect();
        if held == folded.0 { Ok(()) } else { Err("the log is the truth: a view differs from what its events say".to_owned()) }
    }
}

/// Checks what holds for every run.
fn check_run(id: RunId, events: &[Recorded]) -> Result<(), String> {
    let own = || events.iter().filter(|recorded| recorded.envelope.run == Some(id));
    let run = own().fold(Run::default(), |run, recorded| run.evolve(recorded));
    let costs = own().filter_map(|recorded| match &recorded.event {
        Event::CostIncurred(cost) => cost.amount,
        _ => None,
    });
    if costs.sum::<NanoUsd>() != run.spent {
        return Err("money adds up: a run's costs are not their sum".to_owned());
    }
    for agent in &run.agents {
        let passed = agent.attempts.iter().filter(|attempt| attempt.outcome == Some(AttemptOutcome::Passed)).count();
        if passed > 1 {
            return Err(format!("nothing is paid twice: {} passed {passed} times", agent.label));
        }
    }
    let mut calls = HashSet::new();
    for recorded in own() {
        if let Event::CallStarted(call) = &recorded.event
            && !calls.insert(call.call)
        {
            return Err(format!("two processes are as safe as one: call {} began twice", call.call));
        }
    }
    Ok(())
}

fn open(
    disk: &Disk,
    shelf: &MemoryShelf,
    world: &Arc<World>,
    salt: &Arc<AtomicU64>,
    planted: Planted,
) -> Result<Arc<OwnedLog>, String> {
    let (clock, salt) = (Arc::clone(world), Arc::clone(salt));
    let options = Options {
        clock: Box::new(move || clock.now()),
        random: Box::new(move |bytes| {
            let number = salt.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_le_bytes();
            bytes.iter_mut().zip(number.iter().cycle()).for_each(|(byte, drawn)| *byte = *drawn);
        }),
        ledger: Some(Box::new(DayLedger::default())),
        projections: vec![Arc::new(Forgetful { skips: planted == Planted::SkippedEvent })],
        progress: Box::new(|_| {}),
        notice: Arc::new(|_| {}),
        segment_bytes: 16_000,
        thorough: false,
        read_only: None,
        files: Arc::new(disk.clone()),
        shelf: Arc::new(shelf.clone()),
    };
    let opened = OwnedLog::open(&PathBuf::from(STORE), options);
    opened.map(|(log, _)| Arc::new(log)).map_err(|error| format!("an acknowledged append survives: {error}"))
}

fn all(log: &dyn Log) -> Result<Vec<Stored>, String> {
    log.read(1, u32::MAX).map_err(|error| error.to_string())
}

/// Lives one life; returns which law was broken.
fn live(seed: u64, planted: Planted) -> Result<(), String> {
    let mut life = Life::begin(seed, planted)?;
    for _ in 0..STEPS_MAX {
        if life.is_over() {
            life.check()?;
            for executor in &life.executors {
                let run = executor.stream.run();
                if !matches!(run.phase, Phase::Succeeded { .. } | Phase::Failed) {
                    return Err(format!("run {} ended as {:?}", executor.run, run.phase));
                }
            }
            return Ok(());
        }
        life.step()?;
    }
    Err("the runs do not end".to_owned())
}

/// Lives many lives on all processors; returns the first seed that broke a law, and which.
fn lives(seeds: u64, planted: Planted) -> Option<(u64, String)> {
    let (next, broken) = (AtomicU64::new(0), std::sync::Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || lock(&broken).is_some() {
                        return;
                    }
                    if let Err(law) = live(seed, planted) {
                        lock(&broken).get_or_insert((seed, law));
                    }
                }
            });
        }
    });
    broken.into_inner().unwrap_or_default()
}

#[test]
fn every_life_keeps_the_laws() {
    let seeds = std::env::var("MENO_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    assert_eq!(lives(seeds, Planted::Nothing), None);
}

#[track_caller]
fn is_caught(planted: Planted, law: &str) {
    let (seed, broken) = lives(500, planted).unwrap_or_else(|| panic!("{planted:?} goes unseen"));
    assert!(broken.starts_with(law), "seed {seed}: {broken}");
}

#[test]
fn an_acknowledgement_before_the_sync_is_caught() {
    is_caught(Planted::AckBeforeSync, "an acknowledged append survives");
}

#[test]
fn a_resume_of_a_run_that_is_executed_is_caught() {
    is_caught(Planted::DoubleResume, "nothing is paid twice");
}

#[test]
fn a_race_for_the_budget_is_caught() {
    is_caught(Planted::BudgetRace, "a budget is a wall");
}

#[test]
fn a_projection_that_leaves_an_event_out_is_caught() {
    is_caught(Planted::SkippedEvent, "the log is the truth");
}
