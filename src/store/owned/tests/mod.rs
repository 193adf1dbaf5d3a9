//! What the owner's log promises: numbering and idempotence here, faults in [`faults`], full disks in [`full`], the rows of the index in [`pages`],
//! projections in [`views`].

mod faults;
mod full;
mod pages;
mod views;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::*;
use crate::domain::event::KINDS;
use crate::domain::ids::Hash;
use crate::store::chain;
use crate::store::codec::sample::sample;
use crate::store::codec::{Decoded, decode};
use crate::store::journal::segment::{Item, segments};
use crate::store::journal::sim::SimFiles;
use crate::store::log::{Cause, DayLimit, NewEvent};
use crate::store::ordered::memory::MemoryShelf;

/// A store whose world can be opened again and again.
#[derive(Clone, Default)]
struct World {
    files: SimFiles,
    shelf: MemoryShelf,
    clock: Arc<AtomicI64>,
    random: Arc<AtomicU64>,
    projections: Vec<Arc<dyn Projection>>,
    progress: Arc<Mutex<Vec<Progress>>>,
}

impl World {
    fn options(&self) -> Options {
        let (clock, random, progress) = (Arc::clone(&self.clock), Arc::clone(&self.random), Arc::clone(&self.progress));
        Options {
            clock: Box::new(move || 1_000_000_000 + clock.fetch_add(1, Ordering::Relaxed)),
            random: Box::new(move |bytes| {
                for chunk in bytes.chunks_mut(8) {
                    let number = random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_le_bytes();
                    chunk.copy_from_slice(&number[..chunk.len()]);
                }
            }),
            ledger: Some(Box::new(Days::default())),
            projections: self.projections.clone(),
            progress: Box::new(move |step| lock(&progress).push(step)),
            notice: Arc::new(|_| {}),
            segment_bytes: 4000,
            thorough: false,
            read_only: None,
            files: Arc::new(self.files.clone()),
            shelf: Arc::new(self.shelf.clone()),
        }
    }

    fn open(&self) -> (OwnedLog, RecoveryReport) {
        OwnedLog::open(Path::new("/store"), self.options()).unwrap()
    }

    fn log(&self) -> OwnedLog {
        self.open().0
    }
}

/// Sums what CallStarted reserves, by day.
#[derive(Default)]
struct Days(BTreeMap<u32, NanoUsd>);

impl Ledger for Days {
    fn reset(&mut self) {
        self.0.clear();
    }

    fn apply(&mut self, event: &Stored) {
        if let Ok(Decoded::Known(recorded)) = decode(event)
            && let Event::CallStarted(call) = recorded.event
        {
            let day = self.0.entry(call.day).or_default();
            *day = day.plus(call.reserved.unwrap_or_default());
        }
    }

    fn used(&self, day: u32) -> NanoUsd {
        self.0.get(&day).copied().unwrap_or_default()
    }
}

fn run(number: u128) -> RunId {
    RunId(Ulid(number))
}

/// An event that appenders may send; `seed` chooses kind and content.
fn event(run: Option<RunId>, seed: u64) -> NewEvent {
    let kinds: Vec<u16> = KINDS.iter().map(|(kind, ..)| *kind).filter(|kind| !matches!(kind, 80 | 84)).collect();
    let event = sample(kinds[seed as usize % kinds.len()], seed);
    offer(&event, [seed as u8; 16], run, None, None).unwrap()
}

fn batch(id: u128, events: Vec<NewEvent>) -> Batch {
    Batch { id: BatchId(Ulid(id)), expected_version: None, events, payloads: Vec::new(), day_limit: None }
}

/// Batch `id`: one to three events of runs 1 to 3 and of none.
fn some(id: u128) -> Batch {
    let owner = |index: u128| match (id + index) % 4 {
        0 => None,
        number => Some(run(number)),
    };
    batch(id, (0..1 + id % 3).map(|index| event(owner(index), (id * 10 + index) as u64)).collect())
}

fn all(log: &OwnedLog) -> Vec<Stored> {
    let mut events: Vec<Stored> = Vec::new();
    loop {
        let more = log.read(events.last().map_or(1, |event| event.envelope.seq + 1), 7).unwrap();
        if more.is_empty() {
            return events;
        }
        events.extend(more);
    }
}

/// Checks positions, versions and the chain, and that journal and index say the same.
#[track_caller]
fn check_log(log: &OwnedLog) -> Vec<Stored> {
    let events = all(log);
    let head = log.head().unwrap();
    let mut hash = chain::genesis(head.node);
    let mut versions = BTreeMap::new();
    let place = log.inner.journal.place();
    let mut journal = Vec::new();
    for segment in segments(&*place.files, &place.dir, place.node, 1).unwrap() {
        for item in segment.unwrap().items() {
            match item {
                Item::Frame(_, frame) if frame.first <= head.seq => frame
                    .chained(hash, |record, now| {
                        hash = now;
                        journal.push(record.to_stored(now)?);
                        Ok(())
                    })
                    .unwrap(),
                Item::Frame(..) | Item::Footer(_) => {}
                Item::Gap(gap) => panic!("{gap:?}"),
            }
        }
    }
    assert_eq!(hash, head.hash);
    assert_eq!(events, journal);
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!(event.envelope.seq, seq);
        if let Some(run) = event.envelope.run {
            let version: &mut u64 = versions.entry(run).or_default();
            *version += 1;
            assert_eq!(event.envelope.version, *version);
        }
    }
    assert_eq!(events.len() as u64, head.seq);
    for (run, version) in versions {
        let own: Vec<_> = events.iter().filter(|event| event.envelope.run == Some(run)).cloned().collect();
        assert_eq!(log.read_run(run, 1, u32::MAX).unwrap(), own);
        assert_eq!(log.read_run(run, version, 5).unwrap(), own[own.len() - 1..]);
    }
    events
}

#[test]
fn a_new_store_begins_with_its_own_name() {
    let world = World::default();
    let (log, report) = world.open();
    assert!(report.created);
    let events = check_log(&log);
    let Decoded::Known(first) = decode(&events[0]).unwrap() else { panic!("unknown") };
    let Event::StoreCreated(created) = first.event else { panic!("not the first event") };
    assert_eq!(created.node, log.node());
    assert_ne!(created.private.unwrap().user_salt, [0; 16]);
    drop(log);
    let (log, report) = world.open();
    assert_eq!((log.node(), report), (created.node, RecoveryReport::default()));
    assert_eq!(check_log(&log), events);
}

#[test]
fn events_are_numbered_timed_and_chained_in_the_order_of_their_appends() {
    let world = World::default();
    let log = world.log();
    let mut sent = batch(9, vec![event(Some(run(1)), 3), event(None, 4), event(Some(run(1)), 5)]);
    sent.events[1].cause = Some(Cause::InBatch(0));
    sent.events[2].cause = Some(Cause::At(1));
    sent.events[2].occurred_at = Some(-5);
    let appended = log.append(&sent).unwrap();
    let shown: Vec<_> = appended.events.iter().map(|(at, _)| (at.seq, at.run, at.version, at.occurred_at, at.cause)).collect();
    let one = Some(run(1));
    assert_eq!(shown, [(2, one, 1, None, None), (3, None, 0, None, Some(2)), (4, one, 2, Some(-5), Some(1))]);
    let events = check_log(&log);
    assert_eq!(events[3].public, sent.events[2].public);
    assert_eq!(events[3].private.as_ref(), Some(&sent.events[2].private));
    assert_eq!(Some(events[3].hash), appended.events.last().map(|(_, hash)| *hash));
    assert!(appended.events.iter().all(|(at, _)| at.at == events[3].envelope.at));
}

#[test]
fn an_append_that_has_not_seen_the_runs_last_event_is_refused() {
    let world = World::default();
    let log = world.log();
    let mut sent = batch(1, vec![event(Some(run(1)), 1), event(Some(run(1)), 2)]);
    sent.expected_version = Some((run(1), 0));
    log.append(&sent).unwrap();
    for (id, expected) in [(2, 0), (3, 1), (4, 3)] {
        sent = Batch { id: BatchId(Ulid(id)), expected_version: Some((run(1), expected)), ..sent };
        assert!(matches!(log.append(&sent), Err(Error::Conflict { actual: 2, .. })));
    }
    drop(log);
    sent.expected_version = Some((run(1), 2));
    let log = world.log();
    assert_eq!(log.append(&sent).unwrap().events[0].0.version, 3);
    check_log(&log);
}

#[test]
fn a_repeated_batch_gives_its_first_outcome_and_changes_nothing() {
    let world = World::default();
    let log = world.log();
    let mut sent = batch(1, vec![event(Some(run(1)), 1), event(None, 2)]);
    sent.expected_version = Some((run(1), 0));
    sent.events[1].cause = Some(Cause::InBatch(0));
    let first = log.append(&sent).unwrap();
    let again = |log: &OwnedLog| {
        let again = log.append(&sent).unwrap();
        assert!(again.repeated && !first.repeated);
        assert_eq!(again.events, first.events);
        assert_eq!(log.head().unwrap().seq, 3);
        for change in [
            |batch: &mut Batch| batch.events[0] = event(Some(run(1)), 3),
            |batch: &mut Batch| batch.events[0].run = Some(run(2)),
            |batch: &mut Batch| batch.events[1].cause = None,
            |batch: &mut Batch| drop(batch.events.pop()),
        ] {
            let mut other = sent.clone();
            change(&mut other);
            assert!(matches!(log.append(&other), Err(Error::BatchReused(id)) if id == sent.id));
        }
    };
    again(&log);
    drop(log);
    again(&world.log());
    // The journal alone knows the batch as well.
    again(&World { shelf: MemoryShelf::default(), ..world.clone() }.log());
}

#[test]
fn events_wait_for_their_payloads() {
    let world = World::default();
    let log = world.log();
    let (here, absent) = (Hash::of(b"here"), Hash::of(b"absent"));
    log.payloads().write(&[b"here"]).unwrap();
    let sent = Batch { payloads: vec![here, absent], ..some(1) };
    assert!(matches!(log.append(&sent), Err(Error::MissingPayloads(names)) if names == [absent]));
    log.payloads().write(&[b"absent"]).unwrap();
    log.append(&sent).unwrap();
    check_log(&log);
}

fn call(day: u32, reserved: u64, id: u128, limit: u64) -> Batch {
    let Event::CallStarted(call) = sample(21, 7) else { panic!("kind 21") };
    let call = crate::domain::event::CallStarted { day, reserved: Some(NanoUsd(reserved)), ..call };
    let event = offer(&call.into(), [1; 16], Some(run(1)), None, None).unwrap();
    Batch { day_limit: Some(DayLimit { day, reserve: NanoUsd(reserved), limit: NanoUsd(limit) }), ..batch(id, vec![event]) }
}

#[test]
fn a_days_budget_is_a_wall_for_all_appenders_and_across_openings() {
    let world = World::default();
    let log = world.log();
    log.append(&call(0, 40, 1, 100)).unwrap();
    log.append(&Batch { day_limit: None, ..call(0, 50, 2, 0) }).unwrap();
    let refused = |log: &OwnedLog| match log.append(&call(0, 11, 3, 100)) {
        Err(Error::DayLimit { used, wanted, limit }) => assert_eq!((used.0, wanted.0, limit.0), (90, 11, 100)),
        other => panic!("{other:?}"),
    };
    refused(&log);
    drop(log);
    let log = world.log();
    refused(&log);
    log.append(&call(0, 10, 4, 100)).unwrap();
    log.append(&call(1, 100, 5, 100)).unwrap();
    check_log(&log);
    drop(log);
    let log = OwnedLog::open(Path::new("/store"), Options { ledger: None, ..world.options() }).unwrap().0;
    assert!(matches!(log.append(&call(0, 1, 6, 100)), Err(Error::BadBatch(_))));
}

#[test]
fn a_clock_that_goes_back_is_noted_and_positions_go_on() {
    let world = World::default();
    let log = world.log();
    log.append(&some(1)).unwrap();
    drop(log);
    world.clock.fetch_sub(500, Ordering::Relaxed);
    let log = world.log();
    log.append(&some(4)).unwrap();
    log.append(&some(7)).unwrap();
    let events = check_log(&log);
    let moved: Vec<_> = events.iter().filter(|event| event.kind == 84).collect();
    assert_eq!(moved.len(), 1);
    let Decoded::Known(recorded) = decode(moved[0]).unwrap() else { panic!("unknown") };
    let Event::ClockMovedBack(back) = recorded.event else { panic!("kind 84") };
    let before = &events[moved[0].envelope.seq as usize - 2];
    assert_eq!(back.last, before.envelope.at);
    assert_eq!(back.by_ns as i64, before.envelope.at - moved[0].envelope.at);
    assert!(back.by_ns > 400);
}

#[test]
fn batches_that_break_a_rule_are_refused() {
    let world = World::default();
    let log = world.log();
    let broken = |change: fn(&mut Batch)| {
        let mut sent = batch(1, vec![event(Some(run(1)), 1), event(None, 2)]);
        change(&mut sent);
        assert!(matches!(log.append(&sent), Err(Error::BadBatch(_))), "{sent:?}");
    };
    broken(|batch| batch.events.clear());
    broken(|batch| batch.events[0].kind = 80);
    broken(|batch| batch.events[1].kind = 84);
    broken(|batch| batch.events[0].commitment[0] ^= 1);
    broken(|batch| batch.events[0].private.truncate(15));
    broken(|batch| batch.events[0].cause = Some(Cause::InBatch(0)));
    broken(|batch| batch.events[1].cause = Some(Cause::InBatch(1)));
    broken(|batch| batch.events[0].cause = Some(Cause::At(0)));
    broken(|batch| batch.events[0].cause = Some(Cause::At(2)));
    assert_eq!(log.head().unwrap().seq, 1);
}

#[test]
fn many_threads_append_and_read_and_lose_nothing() {
    let world = World::default();
    let log = world.log();
    std::thread::scope(|scope| {
        for thread in 0..8u128 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..30 {
                    let appended = log.append(&some(1 + thread * 100 + number)).unwrap();
                    let (last, hash) = appended.events[appended.events.len() - 1];
                    let read = log.read(last.seq, 1).unwrap();
                    assert_eq!((read[0].envelope, read[0].hash), (last, hash));
                }
            });
        }
    });
    check_log(&log);
    drop(log);
    check_log(&world.log());
}

#[test]
fn followers_hear_of_what_was_appended() {
    let world = World::default();
    let log = world.log();
    assert_eq!(log.wait(0, Duration::ZERO).unwrap(), 1);
    assert_eq!(log.wait(1, Duration::ZERO).unwrap(), 1);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| log.wait(1, Duration::from_secs(3600)).unwrap());
        log.append(&batch(1, vec![event(None, 1)])).unwrap();
        assert_eq!(waiter.join().unwrap(), 2);
    });
}
