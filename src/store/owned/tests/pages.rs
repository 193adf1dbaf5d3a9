//! The rows of the index: pages that are cut, lost, foreign or of another layout are found, named and filled again.

use super::*;
use crate::store::codec::record::write_head;
use crate::store::journal::segment::{Segment, file_name, list};
use crate::store::ordered::Row;

const EVENTS: &str = "/store/log/events";

/// A log of several pages, with batches that are longer than a page.
fn filled(world: &World) -> Vec<Stored> {
    let log = world.log();
    (1..60).for_each(|id| drop(log.append(&some(id)).unwrap()));
    let long = (0..300).map(|number| event(Some(run(1 + number / 100)), number as u64)).collect();
    log.append(&batch(100, long)).unwrap();
    (101..160).for_each(|id| drop(log.append(&some(id)).unwrap()));
    check_log(&log)
}

fn rows(world: &World, tree: &str) -> Vec<Row> {
    let (index, mut rows) = (world.shelf.open(Path::new(EVENTS), 0).unwrap(), Vec::new());
    let mut each = |key: &[u8], row: &[u8]| {
        rows.push((key.to_vec(), row.to_vec()));
        true
    };
    index.scan(tree, &[], None, false, &mut each).unwrap();
    rows
}

/// The same store, whose index has another row in place of one.
fn with_row(world: &World, tree: &str, key: &[u8], row: Option<Vec<u8>>) -> World {
    let world = World { shelf: world.shelf.copy(), ..world.clone() };
    world.shelf.open(Path::new(EVENTS), 0).unwrap().apply(tree, vec![(key.to_vec(), row)]).unwrap();
    world
}

#[track_caller]
fn is_filled_again(world: &World, events: &[Stored], why: &str) {
    let log = world.log();
    assert!(check_log(&log) == events, "{why}");
    let said = log.report().notices;
    assert!(
        said.iter().any(|said| said.contains("was set aside as /store/log/events.broken-1") && said.contains(why)),
        "{said:?}"
    );
    drop(log);
    let (log, report) = world.open();
    assert_eq!((check_log(&log), report), (events.to_vec(), RecoveryReport::default()));
}

#[test]
fn an_index_that_may_lack_what_was_not_written_is_made_again_without_a_word() {
    let world = World::default();
    let events = filled(&world);
    // Whatever is missing or broken in it.
    let pages = rows(&world, "events");
    let (key, row) = &pages[2];
    for row in [Some(row.clone()), Some(row[..50].to_vec()), None] {
        for last in [false, true] {
            let world = with_row(&world, "events", if last { &pages[pages.len() - 1].0 } else { key }, row.clone());
            world.shelf.doubt(Path::new(EVENTS));
            lock(&world.progress).clear();
            let log = world.log();
            assert!(check_log(&log) == events);
            assert_eq!(log.report(), RecoveryReport::default());
            assert_eq!(lock(&world.progress)[0], Progress { done: 0, total: events.len() as u64 });
            drop(log);
            assert!(!world.shelf.exists(Path::new("/store/log/events.broken-1")));
            assert!(check_log(&world.log()) == events);
        }
    }
}

#[test]
fn a_page_that_is_cut_lost_or_changed_is_named_and_the_index_is_filled_again() {
    let world = World::default();
    let events = filled(&world);
    let pages = rows(&world, "events");
    assert!(pages.len() > 4, "{} pages", pages.len());
    assert!(pages.len() * 4 < events.len(), "{} pages for {} events", pages.len(), events.len());
    for (number, (key, row)) in pages.iter().enumerate() {
        for cut in [0, 1, 4, 30, 84, 85, row.len() / 2, row.len() - 1] {
            is_filled_again(&with_row(&world, "events", key, Some(row[..cut].to_vec())), &events, "not as it was written");
        }
        let mut flipped = row.clone();
        flipped[row.len() * number / pages.len()] ^= 8;
        is_filled_again(&with_row(&world, "events", key, Some(flipped)), &events, "");
        // Without its last page an index is only behind.
        if number + 1 < pages.len() {
            is_filled_again(&with_row(&world, "events", key, None), &events, if number == 0 { "" } else { "does not follow" });
        }
    }
}

#[test]
fn a_page_of_another_history_of_the_same_log_is_not_believed() {
    let world = World::default();
    drop(world.log());
    let other = World { files: world.files.power_cut(0), shelf: world.shelf.copy(), ..world.clone() };
    let events = filled(&world);
    let log = other.log();
    log.append(&batch(900, vec![event(None, 5)])).unwrap();
    drop(log);
    filled(&other);
    let own = rows(&world, "events");
    let mut tried = 0;
    for (key, row) in rows(&other, "events") {
        if own.iter().any(|(known, own)| *known == key && *own != row) {
            tried += 1;
            is_filled_again(&with_row(&world, "events", &key, Some(row)), &events, "follow");
        }
    }
    assert!(tried > 0, "some page stands at the same place in both");
}

#[test]
fn rows_by_run_and_by_batch_are_put_back_from_the_pages() {
    let world = World::default();
    let events = filled(&world);
    for tree in ["by_run", "ids"] {
        let rows = rows(&world, tree);
        for (key, _) in rows.iter().step_by(1 + rows.len() / 12).chain(rows.last()) {
            let world = World { files: world.files.power_cut(0), ..with_row(&world, tree, key, None) };
            let log = world.log();
            assert!(check_log(&log) == events, "{tree}");
            log.append(&some(500)).unwrap();
            assert!(log.append(&some(159)).unwrap().repeated);
            assert_eq!(check_log(&log).len(), events.len() + 3, "{tree}");
        }
    }
}

#[test]
fn an_index_that_ends_within_a_batch_goes_on_there() {
    let world = World::default();
    let events = filled(&world);
    let again = World { shelf: MemoryShelf::default(), ..world.clone() };
    check_log(&again.log());
    let pages = rows(&again, "events");
    for (key, _) in &pages {
        let cut = World { shelf: again.shelf.copy(), ..again.clone() };
        let index = cut.shelf.open(Path::new(EVENTS), 0).unwrap();
        index
            .apply("events", pages.iter().filter(|(page, _)| page > key).map(|(page, _)| (page.clone(), None)).collect())
            .unwrap();
        let (log, report) = cut.open();
        assert_eq!((check_log(&log), report), (events.clone(), RecoveryReport::default()));
        assert!(log.append(&some(100 + 40)).unwrap().repeated);
    }
}

/// Makes the index of the store one with a row for each event, as it was before pages.
fn make_older(world: &World, events: &[Stored]) {
    let index = world.shelf.open(Path::new(EVENTS), 0).unwrap();
    for tree in ["layout", "events", "by_run"] {
        index.clear(tree).unwrap();
    }
    for Stored { envelope, kind, kind_version, public, commitment, private, hash } in events {
        let place = [&[0, 0][..], &envelope.seq.to_be_bytes()].concat();
        let mut head = Vec::new();
        write_head(&mut head, envelope, *kind, *kind_version, public, commitment);
        let private = private.clone().unwrap_or_default();
        let lengths = [(head.len() as u32).to_le_bytes(), (private.len() as u32).to_le_bytes()].concat();
        let row = [&hash.0[..], &lengths, &head, &private].concat();
        if let Some(run) = envelope.run {
            let key = [&run.to_bytes()[..], &envelope.version.to_be_bytes()].concat();
            index.fill("by_run", vec![(key, place.clone())]).unwrap();
        }
        index.fill("events", vec![(place, row)]).unwrap();
    }
}

#[test]
fn an_index_of_an_older_or_newer_layout_is_set_aside_and_filled_again() {
    let world = World::default();
    let events = filled(&world);
    let older = World { shelf: world.shelf.copy(), ..world.clone() };
    make_older(&older, &events);
    lock(&world.progress).clear();
    is_filled_again(&older, &events, "the index of the log has an older layout");
    assert_eq!(lock(&world.progress)[0], Progress { done: 0, total: events.len() as u64 });
    let newer = with_row(&world, "layout", b"layout", Some(vec![0, 0, 0, 99]));
    is_filled_again(&newer, &events, "the index of the log has the layout of another release");
}

#[test]
fn an_older_index_still_gives_back_what_the_journal_lost() {
    let world = World::default();
    let events = filled(&world);
    make_older(&world, &events);
    let (log, _) =
        OwnedLog::open(Path::new("/store"), Options { shelf: Arc::new(MemoryShelf::default()), ..world.options() }).unwrap();
    let (dir, node) = (log.inner.journal.place().dir.clone(), log.node());
    drop(log);
    let last = list(&world.files, &dir).unwrap().pop().unwrap();
    let segment = Segment::load(&world.files, &dir, node, last).unwrap();
    let second = segment.items().filter_map(|item| if let Item::Frame(at, _) = item { Some(at) } else { None }).nth(1);
    world.files.tamper(&dir.join(file_name(last)), |bytes| bytes.truncate(second.unwrap() as usize));
    let log = world.log();
    assert_eq!(check_log(&log), events);
    let report = log.report();
    assert!(report.damage[0].restored && report.notices.iter().any(|said| said.contains("has an older layout")), "{report:?}");
}

#[test]
fn a_store_that_is_only_read_does_without_an_index_that_it_cannot_use() {
    let world = World::default();
    let events = filled(&world);
    make_older(&world, &events);
    let before = rows(&world, "events");
    let options = world.options();
    let read_only = Options {
        read_only: Some(Unwritable::ReadOnly),
        shelf: Arc::new(ReadOnly(world.shelf.clone(), PlainShelf::default())),
        ..options
    };
    let (log, _) = OwnedLog::open(Path::new("/store"), read_only).unwrap();
    assert_eq!(check_log(&log), events);
    drop(log);
    assert_eq!(rows(&world, "events"), before);
}

/// Indexes that are read where they lie until they are given up.
struct ReadOnly(MemoryShelf, PlainShelf);

impl IndexFactory for ReadOnly {
    fn open(
        &self,
        path: &Path,
        cache_bytes: u64,
    ) -> Result<Arc<dyn crate::store::ordered::OrderedIndex>, crate::store::ordered::OpenError> {
        if self.1.exists(path) { self.1.open(path, cache_bytes) } else { self.0.open(path, cache_bytes) }
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }

    fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        panic!("{} is not to be changed", path.display())
    }

    fn give_up(&self, path: &Path, _: Unwritable) -> bool {
        !self.1.exists(path) && self.1.open(path, 0).is_ok()
    }
}
