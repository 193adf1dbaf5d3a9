//! Every way to change a small store, at every place: the audit finds it, or opening the store says what it put right. Nothing panics.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::audit::sample::{World, lone, team};
use crate::audit::seal::Seal;
use crate::domain::event::{
    CheckpointSealed, CheckpointSealedPrivate, Escalate, ForgottenParts, PrivatePartsForgotten, PrivatePartsForgottenPrivate,
};
use crate::domain::ids::BatchId;
use crate::domain::run::Causes;
use crate::domain::text::Text;
use crate::store::codec::record::Record;
use crate::store::journal::folder;
use crate::store::journal::frame::{HEADER_BYTES, NewFrame};
use crate::store::journal::segment::{Item, Segment, list};
use crate::store::journal::sim::SimFiles;
use crate::store::log::{Batch, Cause};
use crate::store::ordered::memory::MemoryShelf;
use crate::store::owned::{Options, OwnedLog, RecoveryReport};
use crate::views::{self, costs, runs};

const STORE: &str = "/store";
/// So small that the log has several segments, sealed ones too.
const SEGMENT_BYTES: u64 = 3000;

/// The files and indexes of a store that nobody has open.
struct Shut {
    files: SimFiles,
    shelf: MemoryShelf,
}

impl Shut {
    fn copy(&self) -> Self {
        // Everything was synced, so that a cut of the power changes nothing.
        Self { files: self.files.power_cut(0), shelf: self.shelf.copy() }
    }

    fn open(&self) -> Result<(OwnedLog, RecoveryReport), Error> {
        let (clock, random) = (AtomicU64::new(1), AtomicU64::new(1));
        let options = Options {
            clock: Box::new(move || 1_700_000_000_000_000_000 + clock.fetch_add(1, Ordering::Relaxed) as i64),
            random: Box::new(move |bytes| bytes.fill(random.fetch_add(1, Ordering::Relaxed) as u8)),
            projections: views::projections(),
            segment_bytes: SEGMENT_BYTES,
            files: Arc::new(self.files.clone()),
            shelf: Arc::new(self.shelf.clone()),
            ..Options::system()
        };
        OwnedLog::open(Path::new(STORE), options)
    }

    fn payloads(&self) -> Payloads {
        Payloads::new(Arc::new(self.files.clone()), Path::new(STORE))
    }

    fn audit_with(&self, log: &OwnedLog, request: &AuditRequest) -> AuditDocument {
        let payloads = self.payloads();
        let material = Material { log, files: &self.files, store: Path::new(STORE), payloads: &payloads };
        audit(&material, request, &mut |_| {}).expect("damage is a violation, not an error")
    }

    /// Returns the files of the journal, in order.
    fn segments(&self, head: Head) -> Vec<PathBuf> {
        let dir = folder(Path::new(STORE), head.node);
        let firsts = list(&self.files, &dir).expect("a journal");
        firsts.into_iter().map(|first| Segment::load(&self.files, &dir, head.node, first).expect("a segment").path).collect()
    }
}

fn append(log: &OwnedLog, payloads: &Payloads, id: u128, run: Option<RunId>, events: impl IntoIterator<Item = Event>) {
    append_caused(log, payloads, id, run, events.into_iter().map(|event| (event, None)));
}

fn append_caused(
    log: &OwnedLog,
    payloads: &Payloads,
    id: u128,
    run: Option<RunId>,
    events: impl IntoIterator<Item = (Event, Option<Cause>)>,
) {
    let mut names = Vec::new();
    let events = events.into_iter().map(|(mut event, cause)| {
        event.each_text_mut(&mut |text| {
            if let Text::Inline(inline) = text
                && inline.len() > 600
            {
                let name = payloads.write(&[inline.as_bytes()]).expect("written")[0];
                names.push(name);
                *text = Text::Payload { hash: name, bytes: inline.len() as u64 };
            }
        });
        codec::offer(&event, [id as u8; 16], run, cause, None).expect("encodable")
    });
    let events = events.collect();
    let id = BatchId(ulid::Ulid(id));
    log.append(&Batch { id, expected_version: None, events, payloads: names, day_limit: None }).expect("appended");
}

/// A store with one run whose first answer was poor.
fn small(rules: &serde_json::Value) -> (Shut, Head) {
    let world = World::start(rules, None, Escalate::Auto)
        .carried_to_end(|step, _| if step == 0 { "bad".into() } else { "ok, good".into() });
    store_of(world.log.into_iter().map(|recorded| recorded.event).collect())
}

fn store_of(events: Vec<Event>) -> (Shut, Head) {
    let shut = Shut { files: SimFiles::default(), shelf: MemoryShelf::default() };
    let (log, _) = shut.open().expect("a new store");
    let run = RunId::from_bytes([7; 16]);
    let mut causes = Causes::default();
    for (batch, events) in (1..).zip(events.chunks(4)) {
        // The store's own beginning stands before the run's.
        let mut within = causes.clone();
        let (first, mut caused) = (2 + (batch as u64 - 1) * 4, Vec::new());
        for ((event, place), seq) in events.iter().zip(0..).zip(first..) {
            caused.push((event.clone(), within.of(event)));
            within.take(Cause::InBatch(place), event);
            causes.take(Cause::At(seq), event);
        }
        append_caused(&log, &shut.payloads(), batch, Some(run), caused);
    }
    // Views are kept up to the log before anything is changed.
    log.view(runs::NAME, &[], None, false, 1).expect("the views");
    log.view(costs::NAME, &[], None, false, 1).expect("the views");
    let head = log.head().expect("a head");
    drop(log);
    (shut, head)
}

/// Returns why a change is known: by the audit of whoever had the store open, or by opening it afterwards.
fn how_it_is_found(base: &OwnedLog, changed: &Shut) -> Option<String> {
    let live = changed.audit_with(base, &AuditRequest::default());
    let (log, report) = match changed.open() {
        Ok(opened) => opened,
        Err(why) => return Some(why.to_string()),
    };
    // Whatever was put right, what is there then can be audited.
    let later = changed.audit_with(&log, &AuditRequest::default());
    let live = live.violations.first().map(ToString::to_string).or(live.notes.into_iter().next());
    let told = report.notices.into_iter().next().or(report.damage.first().map(ToString::to_string));
    live.or(told).or(later.violations.first().map(ToString::to_string)).or(later.notes.into_iter().next())
}

/// Where the frames of the last segment end; behind it there are zeros that nobody wrote yet.
fn end_of_frames(shut: &Shut, head: Head, path: &Path) -> usize {
    let first = path.file_stem().and_then(|name| name.to_str()?.parse().ok()).expect("a segment's name");
    let segment = Segment::load(&shut.files, &folder(Path::new(STORE), head.node), head.node, first).expect("a segment");
    let ends = segment.items().map(|item| match item {
        Item::Frame(at, frame) => at as usize + frame.bytes.len(),
        Item::Footer(_) => segment.bytes.len(),
        Item::Gap(gap) => panic!("{gap:?}"),
    });
    ends.max().unwrap_or(HEADER_BYTES)
}

#[test]
fn a_store_as_it_was_written_is_sound() {
    let (shut, head) = small(&team());
    let (log, report) = shut.open().expect("opens");
    let document = shut.audit_with(&log, &AuditRequest::default());
    assert_eq!((document.violations, document.notes), (Vec::new(), Vec::new()));
    assert_eq!((document.events, document.runs, report.damage.len()), (head.seq, 1, 0));
    assert!(shut.segments(head).len() > 2, "sealed segments are looked at too");
}

#[test]
fn every_changed_byte_of_the_journal_is_found() {
    let (shut, head) = small(&lone());
    let (base, _) = shut.copy().open().expect("opens");
    for path in shut.segments(head) {
        let length = shut.files.read(&path).expect("a segment").len();
        for at in 0..length {
            let changed = shut.copy();
            changed.files.tamper(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            let found = how_it_is_found(&base, &changed);
            assert!(found.is_some(), "byte {at} of {}", path.display());
        }
    }
}

#[test]
fn every_byte_put_into_or_taken_out_of_the_journal_is_found() {
    let (shut, head) = small(&lone());
    let (base, _) = shut.copy().open().expect("opens");
    // The audit's reading of the journal is enough to find nearly all of these.
    let found = |changed: &Shut| {
        let scan = check::scan(&changed.files, Path::new(STORE), head, &mut |_| {}).expect("a finding, not an error");
        !scan.findings.is_empty()
    };
    for path in shut.segments(head) {
        for at in 0..end_of_frames(&shut, head, &path) {
            let without = shut.copy();
            without.files.tamper(&path, |bytes| {
                bytes.remove(at);
            });
            assert!(found(&without), "without byte {at} of {}", path.display());
            let with = shut.copy();
            with.files.tamper(&path, |bytes| bytes.insert(at, b'M'));
            assert!(found(&with), "with a byte before {at} of {}", path.display());
            let cut = shut.copy();
            cut.files.tamper(&path, |bytes| bytes.truncate(at));
            assert!(found(&cut) || how_it_is_found(&base, &cut).is_some(), "cut at {at} of {}", path.display());
        }
    }
}

#[test]
fn every_frame_dropped_doubled_swapped_or_moved_is_found() {
    let (shut, head) = small(&team());
    let (base, _) = shut.copy().open().expect("opens");
    let dir = folder(Path::new(STORE), head.node);
    let check = |changed: &Shut, what: &str| {
        assert!(how_it_is_found(&base, changed).is_some(), "{what}");
    };
    for first in list(&shut.files, &dir).expect("a journal") {
        let segment = Segment::load(&shut.files, &dir, head.node, first).expect("a segment");
        let frames: Vec<(usize, Vec<u8>)> = segment
            .items()
            .filter_map(|item| match item {
                Item::Frame(at, frame) => Some((at as usize, frame.bytes.to_vec())),
                _ => None,
            })
            .collect();
        let rewrite = |order: &[usize]| {
            let changed = shut.copy();
            changed.files.tamper(&segment.path, |bytes| {
                let begin = frames.first().map_or(HEADER_BYTES, |(at, _)| *at);
                let end = frames.last().map_or(HEADER_BYTES, |(at, frame)| at + frame.len());
                let rest = bytes.split_off(end);
                bytes.truncate(begin);
                order.iter().for_each(|place| bytes.extend(&frames[*place].1));
                bytes.extend(rest);
            });
            changed
        };
        let all: Vec<usize> = (0..frames.len()).collect();
        for place in 0..frames.len() {
            let mut dropped = all.clone();
            dropped.remove(place);
            check(&rewrite(&dropped), &format!("frame {place} of {first} dropped"));
            for to in 0..=frames.len() {
                let mut doubled = all.clone();
                doubled.insert(to, place);
                check(&rewrite(&doubled), &format!("frame {place} of {first} once more at {to}"));
            }
            for other in place + 1..frames.len() {
                let mut swapped = all.clone();
                swapped.swap(place, other);
                check(&rewrite(&swapped), &format!("frames {place} and {other} of {first} swapped"));
            }
        }
        let without = shut.copy();
        without.files.remove(&segment.path).expect("a segment");
        check(&without, &format!("segment {first} dropped"));
    }
}

#[test]
fn events_rewritten_within_a_sound_frame_are_found() {
    let (shut, head) = small(&lone());
    let (base, _) = shut.copy().open().expect("opens");
    let dir = folder(Path::new(STORE), head.node);
    for first in list(&shut.files, &dir).expect("a journal") {
        let segment = Segment::load(&shut.files, &dir, head.node, first).expect("a segment");
        let mut before = Head { seq: first - 1, hash: segment.header.expect("a header").previous, ..head };
        for item in segment.items() {
            let Item::Frame(at, frame) = item else { continue };
            let records: Vec<Record<'_>> = frame.records().map(|record| record.expect("sound")).collect();
            let orders = (0..records.len()).flat_map(|place| {
                let without = (0..records.len()).filter(|other| *other != place).collect::<Vec<_>>();
                let doubled = (0..=place).chain(place..records.len()).collect::<Vec<_>>();
                let mut swapped = (0..records.len()).collect::<Vec<_>>();
                swapped.swap(place, (place + 1) % records.len());
                [without, doubled, swapped]
            });
            let same: Vec<usize> = (0..records.len()).collect();
            for order in orders.filter(|order| !order.is_empty() && *order != same) {
                // As somebody would who knows the format: checksums and hashes are made anew.
                let mut forged = NewFrame::begin(frame.batch, before);
                for place in &order {
                    forged.push(records[*place]);
                }
                let forged = forged.seal(frame.synced_to);
                let changed = shut.copy();
                let at = at as usize;
                changed.files.tamper(&segment.path, |bytes| drop(bytes.splice(at..at + frame.bytes.len(), forged)));
                let document = changed.audit_with(&base, &AuditRequest::default());
                assert!(!document.sound, "frame at {at} of {first} as {order:?}");
                let found = how_it_is_found(&base, &changed);
                assert!(found.is_some(), "frame at {at} of {first} as {order:?}, opened");
            }
            before = Head { seq: frame.last(), hash: frame.hash, ..head };
        }
    }
}

#[test]
fn every_changed_missing_or_swapped_payload_is_found() {
    let (shut, _) = small(&lone());
    let (base, _) = shut.copy().open().expect("opens");
    let mut names = Vec::new();
    for stored in base.read(1, 1000).expect("events") {
        if let Ok(Decoded::Known(mut recorded)) = codec::decode(&stored) {
            recorded.event.each_text_mut(&mut |text| names.extend(text.payload()));
        }
    }
    assert!(names.len() >= 2, "{names:?}");
    let paths: Vec<PathBuf> = names.iter().map(|name| shut.payloads().path(*name)).collect();
    let audit = |changed: &Shut| changed.audit_with(&base, &AuditRequest::default());
    for (name, path) in names.iter().zip(&paths) {
        let (bytes, text) = (shut.files.read(path).expect("a payload"), shut.payloads().read(*name).expect("a payload"));
        for at in 0..bytes.len() {
            let flipped = shut.copy();
            flipped.files.tamper(path, |bytes| bytes[at] ^= 1 << (at % 8));
            let document = audit(&flipped);
            // A bit that means nothing leaves the text as it was: that is told too.
            let is_same_text = flipped.payloads().read(*name).is_ok_and(|found| found == text);
            assert!(!document.sound || (is_same_text && !document.notes.is_empty()), "byte {at} of {name}");
            let cut = shut.copy();
            cut.files.tamper(path, |bytes| bytes.truncate(at));
            assert!(!audit(&cut).sound, "{name} cut at {at}");
        }
        let missing = shut.copy();
        missing.files.remove(path).expect("there");
        let document = audit(&missing);
        assert_eq!(document.violations.iter().map(|violation| violation.check).collect::<Vec<_>>(), [Check::Payloads], "{name}");
    }
    let swapped = shut.copy();
    let (one, two) = (shut.files.read(&paths[0]).expect("there"), shut.files.read(&paths[1]).expect("there"));
    swapped.files.tamper(&paths[0], |bytes| *bytes = two);
    swapped.files.tamper(&paths[1], |bytes| *bytes = one);
    assert_eq!(audit(&swapped).violations_total, 2);
}

#[test]
fn a_log_that_was_cut_or_rewritten_is_found_against_a_seal() {
    let (shut, head) = small(&lone());
    let seal = |position, hash| Some(Seal { meno_seal: 1, node: head.node, position, head: hash, at: String::new() });
    let (log, _) = shut.open().expect("opens");
    let sealed = shut.audit_with(&log, &AuditRequest { run: None, against: seal(head.seq, head.hash), signed: None });
    assert!(sealed.sound, "{:?}", sealed.violations);

    // A shorter history, and one in which the first answer was good, are whole in themselves.
    let events = |poor: bool| {
        let answer = move |step: usize, _| if poor && step == 0 { "bad".to_owned() } else { "ok, good".to_owned() };
        World::start(&lone(), None, Escalate::Auto)
            .carried_to_end(answer)
            .log
            .into_iter()
            .map(|recorded| recorded.event)
            .collect::<Vec<_>>()
    };
    let mut cut = events(true);
    cut.truncate(cut.len() - 3);
    for (what, events) in [("cut", cut), ("rewritten", events(false))] {
        let (other, other_head) = store_of(events);
        assert_eq!(other_head.node, head.node, "a copy of the same store");
        let (log, _) = other.open().expect("opens");
        assert!(other.audit_with(&log, &AuditRequest::default()).sound, "{what}");
        let request = AuditRequest { run: None, against: seal(head.seq, head.hash), signed: None };
        let checks: Vec<Check> = other.audit_with(&log, &request).violations.iter().map(|violation| violation.check).collect();
        assert_eq!(checks, [Check::Seals], "{what}");
    }
    let request = AuditRequest { run: None, against: seal(5, Hash::of(b"another")), signed: None };
    let [violation] = &shut.audit_with(&log, &request).violations[..] else { panic!("one violation") };
    assert_eq!((violation.check, violation.seq), (Check::Seals, Some(5)));
}

#[test]
fn a_checkpoint_in_the_log_that_says_another_head_is_found() {
    let (shut, head) = small(&lone());
    let (log, _) = shut.open().expect("opens");
    let sealed = |position, head| Event::from(CheckpointSealed { position, head, private: Some(CheckpointSealedPrivate {}) });
    append(&log, &shut.payloads(), 1000, None, [sealed(head.seq, head.hash), sealed(head.seq, head.hash)]);
    assert!(shut.audit_with(&log, &AuditRequest::default()).sound);
    append(&log, &shut.payloads(), 1001, None, [sealed(head.seq, Hash::of(b"another")), sealed(900, head.hash)]);
    let document = shut.audit_with(&log, &AuditRequest::default());
    let found: Vec<_> = document.violations.iter().map(|violation| (violation.check, violation.seq)).collect();
    let end = log.head().expect("a head").seq;
    assert_eq!(found, [(Check::Seals, Some(end - 1)), (Check::Seals, Some(end))]);
}

#[test]
fn payloads_that_were_forgotten_are_counted_and_no_damage() {
    let (shut, _) = small(&lone());
    let (log, _) = shut.open().expect("opens");
    let run = RunId::from_bytes([7; 16]);
    let private = Some(PrivatePartsForgottenPrivate { why: String::new() });
    append(&log, &shut.payloads(), 1000, None, [PrivatePartsForgotten { run, which: ForgottenParts::All, private }.into()]);
    for stored in log.read_run(run, 1, 1).expect("the run's start") {
        let Ok(Decoded::Known(mut recorded)) = codec::decode(&stored) else { panic!("known") };
        recorded.event.each_text_mut(&mut |text| {
            if let Some(name) = text.payload() {
                shut.files.remove(&shut.payloads().path(name)).expect("there");
            }
        });
    }
    // What is forgotten and not removed is seen, unless the next opening is to remove it.
    let document = shut.audit_with(&log, &AuditRequest::default());
    assert!(document.violations.iter().any(|violation| violation.what == "texts are there that were forgotten"));
    crate::store::forget::mark(&shut.files, Path::new(STORE)).expect("marked");
    let document = shut.audit_with(&log, &AuditRequest::default());
    assert_eq!(document.violations, []);
    let payloads = document.checks.iter().find(|tally| tally.check == Check::Payloads).expect("looked at");
    assert!(payloads.not_verifiable > 0);
}

#[test]
fn views_that_say_something_else_are_found() {
    let (shut, _) = small(&lone());
    let (log, _) = shut.open().expect("opens");
    let spoil = |change: &dyn Fn(&mut Vec<u8>)| {
        let views = crate::store::ordered::IndexFactory::open(&shut.shelf, &Path::new(STORE).join("log").join("views"), 0)
            .expect("views");
        for tree in views.trees().expect("trees") {
            let mut rows = Vec::new();
            let mut keep = |key: &[u8], row: &[u8]| {
                rows.push((key.to_vec(), row.to_vec()));
                true
            };
            views.scan(&tree, &[], None, false, &mut keep).expect("rows");
            for (key, mut row) in rows.into_iter().filter(|(key, _)| key.first() == Some(&1)) {
                change(&mut row);
                // Whoever forges a row can write its checksum too.
                let crc = crc32c::crc32c_append(crc32c::crc32c(&key[1..]), &row[4..]);
                row[..4].copy_from_slice(&crc.to_le_bytes());
                views.apply(&tree, vec![(key, Some(row))]).expect("written");
            }
        }
    };
    assert!(shut.audit_with(&log, &AuditRequest::default()).sound);
    spoil(&|row| {
        if let Some(last) = row.last_mut() {
            *last ^= 1;
        }
    });
    let document = shut.audit_with(&log, &AuditRequest::default());
    assert!(document.violations.iter().any(|violation| violation.check == Check::Views), "{:?}", document.violations);
    assert!(document.violations.iter().all(|violation| violation.check == Check::Views), "{:?}", document.violations);
}

#[test]
fn the_events_of_a_run_in_the_index_are_compared_with_the_journal() {
    let (shut, _) = small(&lone());
    let (log, _) = shut.open().expect("opens");
    log.read(1, 1000).expect("the index");
    let path = Path::new(STORE).join("log").join("events");
    let index = crate::store::ordered::IndexFactory::open(&shut.shelf, &path, 0).expect("the index");
    let mut rows = Vec::new();
    let mut keep = |key: &[u8], row: &[u8]| {
        rows.push((key.to_vec(), row.to_vec()));
        true
    };
    index.scan("by_run", &[], None, false, &mut keep).expect("rows");
    assert!(!rows.is_empty());
    for (key, row) in rows {
        // As after a flipped bit of the key: the run's events are those of another.
        let mut other = key.clone();
        other[0] ^= 1;
        index.apply("by_run", vec![(key, None), (other, Some(row))]).expect("written");
    }
    assert!(log.read_run(RunId::from_bytes([7; 16]), 1, 10).expect("an answer").is_empty());
    let document = shut.audit_with(&log, &AuditRequest::default());
    let found: Vec<_> = document.violations.iter().map(|found| (found.check, found.what.as_str(), found.cure())).collect();
    assert_eq!(found, [(Check::Index, "events of the run in the index", Some("`meno rebuild`"))]);
}

#[test]
fn cost_rows_are_compared_whole() {
    type Change = fn(&mut CostRow);
    let (shut, _) = small(&lone());
    let (log, _) = shut.open().expect("opens");
    let views = crate::store::ordered::IndexFactory::open(&shut.shelf, &Path::new(STORE).join("log").join("views"), 0);
    let views = views.expect("views");
    let tree = views.trees().expect("trees").into_iter().find(|tree| tree.starts_with("costs@")).expect("the costs");
    let mut sums = Vec::new();
    let mut keep = |key: &[u8], row: &[u8]| {
        if key.first() == Some(&1) && Sums::ALL.iter().any(|sums| key.get(1) == Some(&sums.kind)) {
            sums.push((key.to_vec(), row.to_vec()));
        }
        true
    };
    views.scan(&tree, &[], None, false, &mut keep).expect("rows");
    assert!(sums.len() >= Sums::ALL.len());
    let changes: [(&str, Change); 3] =
        [("calls", |row| row.calls += 1), ("unknown", |row| row.unknown += 1), ("usage", |row| row.usage.output += 1)];
    let put = |key: &[u8], row: &[u8]| views.apply(&tree, vec![(key.to_vec(), Some(row.to_vec()))]).expect("written");
    for (key, row) in sums {
        for (field, change) in changes {
            let mut sum: CostRow = rows::read(&row[5..]).expect("a row");
            change(&mut sum);
            // As a change beside a block lies, with the checksum that it then has.
            let rest = [&[1][..], &rows::write(&sum).expect("a row")].concat();
            let crc = crc32c::crc32c_append(crc32c::crc32c(&key[1..]), &rest);
            put(&key, &[&crc.to_le_bytes()[..], &rest].concat());
            let document = shut.audit_with(&log, &AuditRequest::default());
            let found: Vec<_> = document.violations.iter().map(|found| (found.check, found.what.clone())).collect();
            assert!(found.len() == 1 && found[0].0 == Check::Views, "{found:?}");
            assert!(found[0].1.starts_with(&format!("`{field}` of all ")), "{found:?}");
            put(&key, &row);
        }
    }
    assert!(shut.audit_with(&log, &AuditRequest::default()).sound);
}
