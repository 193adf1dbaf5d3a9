//! Faults: power cuts, kills, and damage to journal and index, in memory and on disk.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::store::identity::NodeFile;
use crate::store::journal::segment::{file_name, list};
use crate::store::ordered::on_sled::SledShelf;

const EVENTS: &str = "/store/log/events";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_acknowledged_survives_a_power_cut_whatever_the_index_kept(
        calls in 8u64..160, seed in any::<u64>(), index_crashes in any::<bool>(), index_lost in any::<bool>(), index_cut in any::<bool>(),
    ) {
        let world = World::default();
        world.files.die_after(calls);
        let mut acknowledged = Vec::new();
        if let Ok((log, _)) = OwnedLog::open(Path::new("/store"), world.options()) {
            for id in 1..40 {
                let Ok(appended) = log.append(&some(id)) else { break };
                acknowledged.push((id, appended));
            }
        }
        if index_crashes {
            world.shelf.crash();
        }
        if index_cut {
            world.shelf.power_cut(seed);
        }
        let shelf = if index_lost { MemoryShelf::default() } else { world.shelf.clone() };
        let after = World { files: world.files.power_cut(seed), shelf, ..world.clone() };
        let (log, report) = after.open();
        prop_assert!(report.damage.iter().all(|damage| damage.restored), "{:?}", report);
        let events = check_log(&log);
        for (id, appended) in &acknowledged {
            for (envelope, hash) in &appended.events {
                let event = &events[envelope.seq as usize - 1];
                prop_assert_eq!((event.envelope, event.hash), (*envelope, *hash));
            }
            let again = log.append(&some(*id)).unwrap();
            prop_assert!(again.repeated);
            prop_assert_eq!(&again.events, &appended.events);
        }
        log.append(&some(1000)).unwrap();
        check_log(&log);
    }
}

#[test]
fn an_index_that_fails_at_any_call_is_made_again_and_nobody_notices() {
    for calls in 0..120 {
        let world = World::default();
        let log = world.log();
        log.append(&some(1)).unwrap();
        world.shelf.fail_after(Path::new(EVENTS), calls);
        for id in 2..8 {
            log.append(&some(id)).unwrap();
            log.append(&some(id)).unwrap();
        }
        check_log(&log);
        drop(log);
        check_log(&world.log());
    }
}

#[test]
fn an_index_that_is_deleted_spoilt_or_cut_short_is_filled_again() {
    let world = World::default();
    let log = world.log();
    (1..30).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let events = check_log(&log);
    drop(log);
    let gone = World { shelf: MemoryShelf::default(), ..world.clone() };
    assert_eq!(check_log(&gone.log()), events);
    assert_eq!(lock(&gone.progress).last(), Some(&Progress { done: events.len() as u64, total: events.len() as u64 }));
    for rows in (0..170).step_by(7) {
        world.shelf.truncate(Path::new(EVENTS), rows);
        assert_eq!(check_log(&world.log()), events, "{rows} rows");
    }
    world.shelf.spoil(Path::new(EVENTS));
    let log = world.log();
    assert_eq!(check_log(&log), events);
    assert!(log.report().notices[0].contains("was set aside as /store/log/events.broken-1"), "{:?}", log.report());
}

#[test]
fn an_index_of_another_log_is_not_taken() {
    let (world, other) = (World::default(), World::default());
    other.random.store(99, Ordering::Relaxed);
    let log = world.log();
    (1..5).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let events = check_log(&log);
    drop(log);
    for length in [2, 5, 9] {
        let log = World { files: SimFiles::default(), shelf: MemoryShelf::default(), ..other.clone() };
        let foreign = log.log();
        (1..length).for_each(|id| drop(foreign.append(&some(id)).unwrap()));
        check_log(&foreign);
        drop(foreign);
        let mixed = World { shelf: log.shelf, ..world.clone() };
        assert_eq!(check_log(&mixed.log()), events);
    }
}

#[test]
fn what_the_journal_lost_at_its_end_comes_back_from_the_index() {
    let world = World::default();
    let log = world.log();
    (1..4).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let events = check_log(&log);
    let dir = log.inner.journal.place().dir.clone();
    drop(log);
    let path = dir.join(file_name(1));
    let last = crate::store::journal::segment::Segment::load(&world.files, &dir, world.log().node(), 1).unwrap();
    let frames: Vec<_> =
        last.items().filter_map(|item| if let Item::Frame(at, _) = item { Some(at as usize) } else { None }).collect();
    for (keep, is_doubtful) in [(1, false), (2, true), (3, false), (3, true)] {
        // Cut cleanly between two frames, as a disk that lied about a sync would.
        world.files.tamper(&path, |bytes| bytes.truncate(frames[keep]));
        if is_doubtful {
            world.shelf.doubt(Path::new(EVENTS));
        }
        let log = world.log();
        assert_eq!(check_log(&log), events, "{keep} frames kept");
        assert!(log.report().damage[0].restored);
        assert!(log.append(&some(2)).unwrap().repeated);
    }
    // The whole journal.
    for first in list(&world.files, &dir).unwrap() {
        world.files.remove(&dir.join(file_name(first))).unwrap();
    }
    world.files.remove(Path::new("/store/journal/node")).unwrap();
    let log = world.log();
    assert_eq!(check_log(&log), events);
}

#[test]
fn the_stores_name_is_found_again() {
    let world = World::default();
    let node = world.log().node();
    let other = NodeId(Ulid(7));
    let sound = NodeFile::bytes(node);
    let foreign = [b"".to_vec(), b"x".to_vec(), vec![0xff; 40], NodeFile::bytes(other), format!("{other}\n").into_bytes()];
    let cut = (0..sound.len()).map(|length| sound[..length].to_vec());
    let flipped = (0..sound.len() * 8).map(|bit| {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    for damage in foreign.into_iter().chain(cut).chain(flipped) {
        world.files.tamper(Path::new("/store/journal/node"), |bytes| bytes.clone_from(&damage));
        let (log, report) = World { shelf: MemoryShelf::default(), ..world.clone() }.open();
        let said = report.notices.iter().filter(|notice| notice.contains("the segments are of log")).count();
        // What names the same node in other letters or without its check sum needs no words.
        let is_named = NodeFile::read(&damage).node() == Some(node);
        assert_eq!((log.node(), said), (node, usize::from(!is_named)), "{}", String::from_utf8_lossy(&damage));
        assert!(!report.created);
        assert_eq!(world.files.read(Path::new("/store/journal/node")).unwrap(), sound);
    }
}

#[test]
fn a_store_whose_journal_is_gone_is_taken_back_from_its_index_or_refused_and_never_new() {
    let world = World::default();
    let log = world.log();
    (1..9).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let events = check_log(&log);
    let dir = log.inner.journal.place().dir.clone();
    drop(log);
    for first in list(&world.files, &dir).unwrap() {
        world.files.remove(&dir.join(file_name(first))).unwrap();
    }
    let refused = World { shelf: MemoryShelf::default(), ..world.clone() };
    let why = OwnedLog::open(Path::new("/store"), refused.options()).err().unwrap().to_string();
    assert!(why.contains("the store has the name of a log: it is not a new one"), "{why}");
    // Of another log, the index says nothing.
    let foreign = World::default();
    foreign.random.store(99, Ordering::Relaxed);
    drop(foreign.log().append(&some(1)).unwrap());
    let other = World { shelf: foreign.shelf, ..world.clone() };
    let why = OwnedLog::open(Path::new("/store"), other.options()).err().unwrap().to_string();
    assert!(why.contains("there are no segments of either"), "{why}");
    let (log, report) = world.open();
    assert!(report.damage[0].restored && !report.created, "{report:?}");
    assert_eq!(check_log(&log), events);
}

#[test]
fn an_index_of_another_log_bears_no_witness() {
    let (world, other) = (World::default(), World::default());
    other.random.store(99, Ordering::Relaxed);
    let log = world.log();
    (1..5).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let events = check_log(&log);
    let dir = log.inner.journal.place().dir.clone();
    let end = log.inner.journal.head().seq;
    drop(log);
    let foreign = other.log();
    (1..30).for_each(|id| drop(foreign.append(&some(id)).unwrap()));
    check_log(&foreign);
    drop(foreign);
    // A torn end is no damage because another store's index is longer.
    let last = list(&world.files, &dir).unwrap().pop().unwrap();
    world.files.tamper(&dir.join(file_name(last)), |bytes| bytes.extend(b"MFRMxxxx"));
    let (log, report) = World { shelf: other.shelf, ..world.clone() }.open();
    assert_eq!((check_log(&log), log.head().unwrap().seq), (events, end));
    assert!(report.notices.iter().any(|notice| notice.contains("never acknowledged")), "{report:?}");
}

#[test]
fn a_batch_that_a_killed_process_wrote_is_durable_before_it_is_acknowledged_again() {
    for seed in 0..40 {
        let world = World::default();
        world.log().append(&some(1)).unwrap();
        let log = world.log();
        // The write goes through, and the process dies before it has synced.
        world.files.die_after(1);
        log.append(&some(2)).unwrap_err();
        drop(log);
        world.files.go_on();
        let appended = world.log().append(&some(2)).unwrap();
        assert!(appended.repeated);
        let after = World { files: world.files.power_cut(seed), shelf: MemoryShelf::default(), ..world.clone() };
        let events = check_log(&after.log());
        for (envelope, hash) in appended.events {
            assert_eq!(events.get(envelope.seq as usize - 1).map(|event| event.hash), Some(hash), "seed {seed}");
        }
    }
}

#[test]
fn a_full_disk_refuses_appends_and_goes_on_reading() {
    let world = World::default();
    let log = world.log();
    log.append(&some(1)).unwrap();
    world.files.die_after(0);
    assert!(matches!(log.append(&some(2)), Err(Error::Closed(why)) if why.contains("the machine is dead")));
    assert!(matches!(log.append(&some(3)), Err(Error::Closed(_))));
    check_log(&log);
    assert!(log.append(&some(1)).is_err(), "even what was acknowledged is not repeated by a log that is closed");
    assert!(log.closed().is_some());
}

/// A store on disk, on sled.
struct OnDisk(TempDir);

impl OnDisk {
    fn filled(batches: u128) -> (Self, Vec<Stored>) {
        let disk = Self(tempfile::tempdir().unwrap());
        let log = disk.log();
        (1..=batches).for_each(|id| drop(log.append(&some(id)).unwrap()));
        let events = check_log(&log);
        (disk, events)
    }

    fn options() -> Options {
        Options {
            clock: Box::new(|| 1_000_000_000),
            files: Arc::new(OsFiles),
            shelf: Arc::new(SledShelf::system()),
            segment_bytes: 20_000,
            ..World::default().options()
        }
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn log(&self) -> OwnedLog {
        OwnedLog::open(&self.store(), Self::options()).unwrap().0
    }

    /// The store's files as they are now, elsewhere: what a kill leaves.
    fn copy(&self) -> Self {
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let to = to.join(entry.file_name());
                if entry.path().is_dir() { copy(&entry.path(), &to) } else { fs::copy(entry.path(), to).map(|_| ()).unwrap() }
            }
        }
        let copied = Self(tempfile::tempdir().unwrap());
        copy(self.0.path(), copied.0.path());
        copied
    }
}

#[test]
fn a_killed_owner_leaves_everything_it_acknowledged() {
    let disk = OnDisk(tempfile::tempdir().unwrap());
    let log = disk.log();
    for id in 1..40 {
        log.append(&some(id)).unwrap();
        if id % 13 == 0 {
            let killed = disk.copy();
            let again = killed.log();
            let events = check_log(&again);
            assert_eq!(events.len() as u64, log.head().unwrap().seq);
        }
    }
}

#[test]
fn sleds_folder_can_be_deleted() {
    let (disk, events) = OnDisk::filled(60);
    fs::remove_dir_all(disk.store().join("log")).unwrap();
    assert_eq!(check_log(&disk.log()), events);
}

#[test]
fn a_damaged_or_shortened_sled_gives_the_same_reads() {
    let (disk, events) = OnDisk::filled(60);
    let length = fs::read(disk.store().join("log/events/db")).unwrap().len();
    for step in 0..14 {
        let copy = disk.copy();
        let db = copy.store().join("log/events/db");
        let mut bytes = fs::read(&db).unwrap();
        match step {
            0..8 => {
                let at = length * step / 9;
                bytes[at..(at + 40).min(length)].iter_mut().for_each(|byte| *byte ^= 0x55);
            }
            _ => bytes.truncate(length * (step - 8) / 6),
        }
        fs::write(&db, bytes).unwrap();
        let log = copy.log();
        assert_eq!(check_log(&log), events, "step {step}");
        log.append(&some(500)).unwrap();
        check_log(&log);
    }
}

#[test]
fn a_damaged_journal_is_restored_from_sled_and_reported_without_it() {
    let (disk, events) = OnDisk::filled(12);
    let dir = disk.store().join("journal").join(disk.log().node().to_string());
    let relative = dir.strip_prefix(disk.0.path()).unwrap().join(file_name(1));
    let flip = |disk: &OnDisk| {
        let path = disk.0.path().join(&relative);
        let mut bytes = fs::read(&path).unwrap();
        bytes[900] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let with = disk.copy();
    flip(&with);
    let (log, report) = OwnedLog::open(&with.store(), OnDisk::options()).unwrap();
    assert!(report.damage.len() == 1 && report.damage[0].restored, "{report:?}");
    assert_eq!(check_log(&log), events);

    let without = disk.copy();
    flip(&without);
    fs::remove_dir_all(without.store().join("log")).unwrap();
    let (log, report) = OwnedLog::open(&without.store(), OnDisk::options()).unwrap();
    let [damage] = &report.damage[..] else { panic!("{report:?}") };
    assert!(!damage.restored);
    let lost = damage.first..damage.until;
    let sound: Vec<_> = events.iter().filter(|event| !lost.contains(&event.envelope.seq)).map(|event| event.envelope).collect();
    assert_eq!(all(&log).iter().map(|event| event.envelope).collect::<Vec<_>>(), sound);
    let appended = log.append(&some(700)).unwrap();
    assert_eq!(appended.events[0].0.seq, events.len() as u64 + 1);
}

#[test]
fn damage_in_an_older_segment_is_reported_when_it_is_met_and_restored_by_a_thorough_opening() {
    let world = World::default();
    let log = world.log();
    (1..60).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let events = check_log(&log);
    let dir = log.inner.journal.place().dir.clone();
    drop(log);
    let firsts = list(&world.files, &dir).unwrap();
    assert!(firsts.len() > 3);
    world.files.tamper(&dir.join(file_name(firsts[1])), |bytes| bytes[200] ^= 1);

    let (log, report) = world.open();
    assert_eq!((all(&log), report), (events.clone(), RecoveryReport::default()), "the index has everything");
    drop(log);
    let alone = World { files: world.files.power_cut(0), shelf: MemoryShelf::default(), ..world.clone() };
    let log = alone.log();
    let read = all(&log);
    let report = log.report();
    let [damage] = &report.damage[..] else { panic!("{report:?}") };
    assert_eq!((damage.first, damage.restored), (firsts[1], false));
    assert_eq!(read.len() as u64, events.len() as u64 - (damage.until - damage.first));
    // How many events its segment has depends on how well random bytes pack.
    let (said, begin) = (damage.to_string(), format!("{}: bytes are missing, event", damage.file.display()));
    assert!(said.starts_with(&begin) && said.ends_with("concerned and lost"), "{said}");

    // An index that has to be made again is asked before it goes.
    let doubtful = World { files: world.files.power_cut(0), shelf: world.shelf.copy(), ..world.clone() };
    doubtful.shelf.doubt(Path::new(EVENTS));
    for thorough in [Options { thorough: true, ..world.options() }, doubtful.options()] {
        let (log, report) = OwnedLog::open(Path::new("/store"), thorough).unwrap();
        assert!(report.damage.len() == 1 && report.damage[0].restored, "{report:?}");
        assert_eq!(check_log(&log), events);
    }
}

#[cfg(unix)]
#[test]
fn a_store_is_closed_to_others_and_ignored_by_git() {
    use std::os::unix::fs::PermissionsExt;
    let (disk, _) = OnDisk::filled(5);
    assert_eq!(fs::read_to_string(disk.store().join(".gitignore")).unwrap(), "*\n");
    let mut folders = vec![disk.store()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let (path, mode) = entry.map(|entry| (entry.path(), entry.metadata().unwrap().permissions().mode())).unwrap();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}
