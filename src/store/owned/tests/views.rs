//! Projections beside the log: up to date when they are read, made anew when they must be, and never silently short of an event.

use super::*;
use crate::domain::event::Recorded;
use crate::store::log::ViewRows;
use crate::store::ordered::last;
use crate::views::Rows;

const VIEWS: &str = "/store/log/views";

/// Counts events by run; refuses kind 70 and panics at kind 60 when told to.
struct Counts {
    version: u32,
    picky: bool,
}

impl Projection for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        let key = event.envelope.run.map_or(b"none".to_vec(), |run| run.to_bytes().to_vec());
        let count = rows.get(&key).map_or(0, |row| u64::from_be_bytes(row.try_into().expect("eight bytes")));
        rows.put(&key, (count + 1).to_be_bytes().to_vec());
        rows.put(b"last", event.envelope.seq.to_be_bytes().to_vec());
        if event.envelope.seq.is_multiple_of(10) {
            rows.remove(b"last");
        }
        match event.event.kind().0 {
            70 if self.picky => Err("it does not like notes".to_owned()),
            60 if self.picky => panic!("it fears reports"),
            _ => Ok(()),
        }
    }
}

pub(super) fn world(version: u32, picky: bool, of: World) -> World {
    World { projections: vec![Arc::new(Counts { version, picky })], ..of }
}

fn view(log: &OwnedLog) -> ViewRows {
    log.view("counts", b"", None, false, u32::MAX).unwrap()
}

#[track_caller]
pub(super) fn check_view(log: &OwnedLog) {
    let mut rows: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for event in all(log) {
        *rows.entry(event.envelope.run.map_or(b"none".to_vec(), |run| run.to_bytes().to_vec())).or_default() += 1;
        rows.insert(b"last".to_vec(), event.envelope.seq);
        if event.envelope.seq.is_multiple_of(10) {
            rows.remove(&b"last"[..]);
        }
    }
    let ViewRows { rows: found, seen } = view(log);
    assert_eq!(found, rows.into_iter().map(|(key, row)| (key, row.to_be_bytes().to_vec())).collect::<Vec<_>>());
    assert_eq!(seen, log.head().unwrap().seq);
}

#[test]
fn a_view_has_seen_what_was_acknowledged_before_it_was_asked() {
    let world = world(1, false, World::default());
    let log = world.log();
    check_view(&log);
    for id in 1..40 {
        log.append(&some(id)).unwrap();
        check_view(&log);
    }
    let rows = |from: &[u8], to: Option<&[u8]>, reverse, limit| {
        let rows = log.view("counts", from, to, reverse, limit).unwrap().rows;
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let key = |number: u128| run(number).to_bytes().to_vec();
    assert_eq!(rows(&key(2), Some(&key(3)), false, 9), [key(2)]);
    assert_eq!(rows(&key(1), Some(b"a"), true, 2), [key(3), key(2)]);
    assert!(rows(b"", None, false, 0).is_empty());
    assert!(matches!(log.view("nothing", b"", None, false, 1), Err(Error::Refused(_))));
}

#[test]
fn how_far_the_views_have_come_is_known_without_bringing_them_further() {
    let first = world(1, false, World::default());
    let log = first.log();
    (1..10).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    assert_eq!(log.views_reached().unwrap(), log.head().unwrap().seq);
    drop(log);
    // As after an upgrade: the tables have another version, and none of it is made.
    let next = world(2, false, first);
    let log = next.log();
    assert_eq!((log.views_reached().unwrap(), log.views_reached().unwrap()), (0, 0));
    check_view(&log);
    assert_eq!(log.views_reached().unwrap(), log.head().unwrap().seq);
}

#[test]
fn a_view_that_is_up_to_date_is_read_without_the_events() {
    let world = world(1, false, World::default());
    let log = world.log();
    (1..10).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let seen = view(&log);
    drop(log);
    world.shelf.fail_after(Path::new("/store/log/events"), 0);
    let (log, report) = world.open();
    assert_eq!(view(&log), seen);
    assert_eq!((report, log.inner.index.current().is_none()), (RecoveryReport::default(), true));
}

#[test]
fn views_that_were_deleted_broken_behind_or_of_another_version_are_made_anew() {
    let first = world(1, false, World::default());
    let log = first.log();
    (1..30).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    drop(log);
    let next = world(2, false, first.clone());
    check_view(&next.log());
    check_view(&first.log());
    first.shelf.spoil(Path::new(VIEWS));
    check_view(&first.log());
    for calls in 0..60 {
        let log = first.log();
        check_view(&log);
        first.shelf.fail_after(Path::new(VIEWS), calls);
        log.append(&some(100 + u128::from(calls as u32))).unwrap();
        check_view(&log);
    }
    let log = first.log();
    log.append(&some(500)).unwrap();
    first.shelf.crash();
    drop(log);
    check_view(&first.log());
}

#[test]
fn a_new_version_is_built_beside_the_old_one_which_goes_when_it_has_caught_up() {
    for writes in (0..120).step_by(7) {
        let first = world(1, false, World::default());
        let log = first.log();
        (1..30).for_each(|id| drop(log.append(&some(id)).unwrap()));
        check_view(&log);
        drop(log);
        let trees = || first.shelf.open(Path::new(VIEWS), 0).unwrap().trees().unwrap();
        assert_eq!(trees(), ["counts@1.3"]);
        let next = world(2, false, first.clone());
        drop(next.open());
        assert_eq!(trees(), ["counts@1.3"], "nobody has asked for the new one yet");
        check_view(&next.log());
        assert_eq!(trees(), ["counts@2.3"]);
        // Whatever a crash leaves of it, the building goes on.
        first.shelf.truncate(Path::new(VIEWS), writes);
        check_view(&next.log());
        assert_eq!(trees(), ["counts@2.3"]);
    }
}

#[test]
fn views_of_an_older_layout_are_made_again_with_one_line() {
    let world = world(1, false, World::default());
    let log = world.log();
    (1..30).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    drop(log);
    // As they lay before blocks: a row for each row, here of something else.
    let views = world.shelf.open(Path::new(VIEWS), 0).unwrap();
    let checkpoint = views.get("counts@1.3", &[0]).unwrap();
    views.clear("counts@1.3").unwrap();
    views.apply("counts@1", vec![(vec![0], checkpoint), (vec![1, 7], Some(vec![9; 8]))]).unwrap();
    let log = world.log();
    check_view(&log);
    let said = log.report().notices;
    assert!(said.len() == 1 && said[0].contains("the views have an older layout"), "{said:?}");
    drop(log);
    assert_eq!(world.shelf.open(Path::new(VIEWS), 0).unwrap().trees().unwrap(), ["counts@1.3"]);
    assert!(!world.shelf.exists(Path::new("/store/log/views.broken-1")));
    let log = world.log();
    check_view(&log);
    assert_eq!(log.report(), RecoveryReport::default());
}

#[test]
fn views_that_may_lack_rows_are_made_again_without_a_word() {
    let world = world(1, false, World::default());
    let log = world.log();
    (1..30).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    drop(log);
    // A row is missing, which nobody can tell.
    let views = world.shelf.open(Path::new(VIEWS), 0).unwrap();
    views.apply("counts@1.3", vec![([&[1][..], &run(1).to_bytes()].concat(), None)]).unwrap();
    world.shelf.doubt(Path::new(VIEWS));
    let log = world.log();
    check_view(&log);
    assert_eq!(log.report(), RecoveryReport::default());
    assert!(!world.shelf.exists(Path::new("/store/log/views.broken-1")));
}

#[test]
fn a_block_of_a_view_that_is_cut_or_changed_anywhere_is_found_and_the_views_are_made_again() {
    let world = world(1, false, World::default());
    let log = world.log();
    (1..120).for_each(|id| drop(log.append(&batch(id, vec![event(Some(run(id)), 1)])).unwrap()));
    check_view(&log);
    drop(log);
    let views = world.shelf.open(Path::new(VIEWS), 0).unwrap();
    let (key, block) = last(&*views, "counts@1.3").unwrap().unwrap();
    assert_eq!(key.first(), Some(&3), "the rows have become a block");
    let mut flipped = block.clone();
    let spoilt = (0..block.len()).step_by(block.len() / 20).flat_map(|at| {
        flipped.clone_from(&block);
        flipped[at] ^= 1 << (at % 8);
        [flipped.clone(), block[..at].to_vec()]
    });
    for (number, spoilt) in spoilt.enumerate() {
        let spoilt_world = World { shelf: world.shelf.copy(), ..world.clone() };
        let views = spoilt_world.shelf.open(Path::new(VIEWS), 0).unwrap();
        views.apply("counts@1.3", vec![(key.clone(), Some(spoilt))]).unwrap();
        drop(views);
        check_view(&spoilt_world.log());
        assert!(spoilt_world.shelf.exists(Path::new("/store/log/views.broken-1")), "spoilt in way {number}");
    }
}

#[test]
fn a_change_beside_a_block_that_is_cut_changed_or_moved_is_found_and_the_views_are_made_again() {
    let world = world(1, false, World::default());
    let log = world.log();
    (1..5).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    drop(log);
    let views = world.shelf.open(Path::new(VIEWS), 0).unwrap();
    let key = [&[1][..], &run(1).to_bytes()].concat();
    let change = views.get("counts@1.3", &key).unwrap().expect("it lies beside a block");
    let flipped = (0..change.len()).map(|at| {
        let mut flipped = change.clone();
        flipped[at] ^= 1 << (at % 8);
        (key.clone(), flipped)
    });
    let cut = (0..change.len()).map(|at| (key.clone(), change[..at].to_vec()));
    let moved = ([&[1][..], &run(77).to_bytes()].concat(), change.clone());
    for (number, (at, spoilt)) in flipped.chain(cut).chain([moved]).enumerate() {
        let spoilt_world = World { shelf: world.shelf.copy(), ..world.clone() };
        let views = spoilt_world.shelf.open(Path::new(VIEWS), 0).unwrap();
        views.apply("counts@1.3", vec![(key.clone(), None), (at, Some(spoilt))]).unwrap();
        drop(views);
        let log = spoilt_world.log();
        check_view(&log);
        let said = log.report().notices;
        assert!(said.len() == 1 && said[0].starts_with("the views are broken"), "spoilt in way {number}: {said:?}");
    }
}

/// Another view.
struct Last;

impl Projection for Last {
    fn name(&self) -> &'static str {
        "last"
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        rows.put(b"seen", event.envelope.seq.to_be_bytes().to_vec());
        Ok(())
    }
}

#[test]
fn reading_one_view_brings_up_no_other() {
    let alone = world(1, false, World::default());
    (1..30).for_each(|id| drop(alone.log().append(&some(id)).unwrap()));
    let both = World { projections: vec![Arc::new(Counts { version: 1, picky: false }), Arc::new(Last)], ..alone.clone() };
    let log = both.log();
    check_view(&log);
    assert_eq!(log.inner.projector.checkpoint("last").unwrap(), None);
    assert_eq!(log.view("last", b"", None, false, 1).unwrap().seen, log.head().unwrap().seq);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_batches_rows_are_those_of_a_rebuild(batches in proptest::collection::vec((0u64..60, 1usize..6), 1..30)) {
        let projections: Vec<Arc<dyn Projection>> = crate::views::projections();
        let world = World { projections, ..World::default() };
        let log = world.log();
        let mut id = 0;
        for (seed, count) in &batches {
            id += 1;
            let events = (0..*count as u64).map(|number| event(Some(run(1 + u128::from(seed % 3))), seed + number)).collect();
            log.append(&batch(id, events)).unwrap();
            if seed % 2 == 0 {
                let _ = log.view("memory", b"", None, false, 1).unwrap();
            }
        }
        let rows = |log: &OwnedLog| {
            ["runs", "memory", "costs"].map(|view| log.view(view, b"", None, false, u32::MAX).unwrap())
        };
        let kept = rows(&log);
        drop(log);
        let _ = world.shelf.set_aside(Path::new(VIEWS)).unwrap();
        proptest::prop_assert_eq!(rows(&world.log()), kept);
    }
}

#[test]
fn views_of_a_log_that_was_rolled_back_are_made_anew() {
    let world = world(1, false, World::default());
    let log = world.log();
    (1..6).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    let earlier = world.files.power_cut(0);
    (6..9).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
    drop(log);
    // An older copy of the journal, without its index: it goes on in another way than before.
    let shelf = MemoryShelf::default();
    let back = World { files: earlier, shelf: shelf.clone(), ..world.clone() };
    let log = back.log();
    (20..29).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_view(&log);
}

#[test]
fn an_event_that_a_projection_cannot_take_is_named_and_changes_none_of_its_rows() {
    let world = world(1, true, World::default());
    let log = world.log();
    let kinds: Vec<u16> = KINDS.iter().map(|(kind, ..)| *kind).filter(|kind| !matches!(kind, 80 | 84)).collect();
    let seed = |kind: u16| kinds.iter().position(|known| *known == kind).unwrap() as u64;
    let sent = [event(None, seed(1)), event(Some(run(1)), seed(70)), event(Some(run(1)), seed(60)), event(None, seed(2))];
    log.append(&batch(1, sent.to_vec())).unwrap();
    let ViewRows { rows, seen } = view(&log);
    assert_eq!(seen, 5);
    assert_eq!(rows, [(b"last".to_vec(), 5u64.to_be_bytes().to_vec()), (b"none".to_vec(), 3u64.to_be_bytes().to_vec())]);
    let refused = log.refused("counts").unwrap();
    assert_eq!(refused, [(3, "it does not like notes".to_owned()), (4, "panicked: it fears reports".to_owned())]);
}
