//! What a journal promises, tried against power cuts at every instant, flipped bits, and a witness that remembers or does not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::recover::Kept;
use super::segment::{Gap, Item, Segment, list, segments};
use super::sim::SimFiles;
use super::*;
use crate::domain::event::Envelope;
use crate::domain::ids::{BatchId, Hash};
use crate::store::chain;
use crate::store::codec::record::{Record, write_head};

const NODE: NodeId = NodeId(ulid::Ulid(77));

fn place(files: &SimFiles, segment_bytes: u64) -> JournalDir {
    JournalDir {
        files: Arc::new(files.clone()),
        dir: folder(Path::new("/store"), NODE),
        node: NODE,
        segment_bytes,
        thorough: false,
        read_only: false,
    }
}

struct Nobody;

impl Replica for Nobody {
    fn last(&self) -> Result<u64, Error> {
        Ok(0)
    }

    fn batches(&self, _: u64, _: u64) -> Result<Vec<Kept>, Error> {
        Ok(Vec::new())
    }
}

/// Remembers every batch, as an index that is not behind does.
#[derive(Clone, Default)]
struct Everybody(BTreeMap<u64, Kept>);

impl Replica for Everybody {
    fn last(&self) -> Result<u64, Error> {
        Ok(self.0.last_key_value().map_or(0, |(first, kept)| first + kept.records.len() as u64 - 1))
    }

    fn batches(&self, from: u64, to: u64) -> Result<Vec<Kept>, Error> {
        Ok(self.0.range(from..=to).map(|(_, kept)| kept.clone()).collect())
    }
}

fn open(files: &SimFiles, segment_bytes: u64, witness: &dyn Replica) -> Result<(Journal, Recovery), Error> {
    Journal::open(place(files, segment_bytes), witness).map(|(journal, recovery, _)| (journal, recovery))
}

/// A batch of `count` events whose texts tell them apart.
fn frame(head: Head, id: u64, count: usize, size: usize) -> (NewFrame, Kept) {
    let batch = BatchId(ulid::Ulid(u128::from(id)));
    let mut frame = NewFrame::begin(batch, head);
    let mut kept = Kept { batch, records: Vec::new(), hash: head.hash };
    for index in 0..count {
        let seq = frame.head.seq + 1;
        let envelope = Envelope { seq, run: None, version: 0, at: seq as i64, occurred_at: None, cause: None };
        let private = vec![(seq % 251) as u8; size];
        let mut bytes = Vec::new();
        write_head(&mut bytes, &envelope, 70, 1, &[index as u8], &chain::commitment(&private));
        kept.hash = frame.push(Record { head: &bytes, private: Some(&private) });
        kept.records.push((bytes, Some(private)));
    }
    (frame, kept)
}

/// Appends batches until the machine dies; returns what was acknowledged.
fn append(journal: &Journal, sizes: &[(usize, usize)]) -> (Head, Everybody) {
    let mut memory = Everybody::default();
    let mut head = journal.head();
    for (id, (count, size)) in sizes.iter().enumerate() {
        let (frame, kept) = frame(head, 1000 + id as u64, *count, *size);
        let (first, end) = (frame.first, frame.head);
        let Ok(ticket) = journal.push(frame) else { break };
        if journal.commit(ticket, &|_| {}).is_err() {
            break;
        }
        memory.0.insert(first, kept);
        head = end;
    }
    (head, memory)
}

/// Reads the log from the first event on; returns its end, and panics at anything that is not sound.
#[track_caller]
fn verify(files: &SimFiles) -> Head {
    let place = place(files, 0);
    let mut head = Head { node: NODE, seq: 0, hash: chain::genesis(NODE) };
    for segment in segments(files, &place.dir, NODE, 0).unwrap() {
        let segment = segment.unwrap();
        assert_eq!(segment.header.map(|header| header.previous), Some(head.hash));
        for item in segment.items() {
            match item {
                Item::Frame(_, frame) => {
                    assert_eq!(frame.first, head.seq + 1);
                    frame.chained(head.hash, |_, _| Ok(())).unwrap();
                    head = Head { seq: frame.last(), hash: frame.hash, ..head };
                }
                Item::Footer(footer) => assert_eq!((footer.last, footer.hash), (head.seq, head.hash)),
                Item::Gap(gap) => panic!("{}: {gap:?}", segment.path.display()),
            }
        }
    }
    head
}

/// Returns the hash at `seq`, by reading the log.
fn hash_at(files: &SimFiles, seq: u64) -> Option<Hash> {
    let mut hash = (seq == 0).then(|| chain::genesis(NODE));
    for segment in segments(files, &place(files, 0).dir, NODE, 0).unwrap() {
        for item in segment.unwrap().items() {
            if let Item::Frame(_, frame) = item
                && frame.last() == seq
            {
                hash = Some(frame.hash);
            }
        }
    }
    hash
}

const SIZES: [(usize, usize); 6] = [(1, 30), (3, 200), (1, 900), (2, 10), (1, 10), (4, 100)];

#[test]
fn an_acknowledged_batch_survives_a_power_cut_at_every_instant() {
    let whole = SimFiles::default();
    append(&open(&whole, 1500, &Nobody).unwrap().0, &SIZES);
    assert!(list(&whole, &place(&whole, 0).dir).unwrap().len() > 2, "the log must span segments");
    for calls in 0..=whole.calls() {
        for seed in 0..12 {
            let files = SimFiles::default();
            files.die_after(calls);
            let acknowledged = open(&files, 1500, &Nobody).map(|(journal, _)| append(&journal, &SIZES).0);
            let files = files.power_cut(seed * 7919 + calls);
            let (journal, recovery) = open(&files, 1500, &Nobody).unwrap();
            assert_eq!(recovery.damage, [], "calls {calls}, seed {seed}: nothing acknowledged is bad");
            if let Ok(acknowledged) = acknowledged {
                assert!(journal.head().seq >= acknowledged.seq, "calls {calls}, seed {seed}");
                assert_eq!(hash_at(&files, acknowledged.seq), Some(acknowledged.hash), "calls {calls}, seed {seed}");
            }
            assert_eq!(verify(&files), journal.head());
            // It goes on, and a second power cut finds both parts.
            let (end, _) = append(&journal, &SIZES);
            let files = files.power_cut(seed);
            assert_eq!(open(&files, 1500, &Nobody).unwrap().0.head(), end, "calls {calls}, seed {seed}");
            assert_eq!(verify(&files), end);
        }
    }
}

#[test]
fn what_a_killed_process_left_unsynced_never_harms_what_the_next_one_acknowledges() {
    let whole = SimFiles::with_store();
    append(&open(&whole, 1500, &Nobody).unwrap().0, &SIZES);
    for calls in 0..=whole.calls() {
        for seed in 0..6 {
            let files = SimFiles::with_store();
            files.die_after(calls);
            let _ = open(&files, 1500, &Nobody).map(|(journal, _)| append(&journal, &SIZES));
            files.go_on();
            let (journal, _) = open(&files, 1500, &Nobody).unwrap();
            let end = append(&journal, &SIZES[..2]).0;
            files.die_after(seed);
            let _ = append(&journal, &SIZES[2..]);
            let files = files.power_cut(seed * 7919 + calls);
            let (journal, recovery) = open(&files, 1500, &Nobody).unwrap();
            assert_eq!(recovery.damage, [], "calls {calls}, seed {seed}: nothing acknowledged is bad");
            assert_eq!(hash_at(&files, end.seq), Some(end.hash), "calls {calls}, seed {seed}");
            assert_eq!(verify(&files), journal.head());
        }
    }
}

#[test]
fn a_process_that_goes_on_syncs_once_for_each_group_and_no_folder() {
    let files = SimFiles::default();
    append(&open(&files, 100_000, &Nobody).unwrap().0, &SIZES);
    let before = files.syncs();
    append(&open(&files, 100_000, &Nobody).unwrap().0, &SIZES);
    assert_eq!(files.syncs() - before, SIZES.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_batches_and_any_power_cut_keep_what_was_acknowledged(
        sizes in proptest::collection::vec((1usize..5, 0usize..700), 1..12), segment_bytes in 300u64..4000,
        calls in 0u64..80, seed in any::<u64>(),
    ) {
        let files = SimFiles::default();
        files.die_after(calls);
        let acknowledged = open(&files, segment_bytes, &Nobody).map(|(journal, _)| append(&journal, &sizes).0);
        let files = files.power_cut(seed);
        let (journal, recovery) = open(&files, segment_bytes, &Nobody).unwrap();
        prop_assert_eq!(recovery.damage, vec![]);
        if let Ok(acknowledged) = acknowledged {
            prop_assert_eq!(hash_at(&files, acknowledged.seq), Some(acknowledged.hash));
        }
        prop_assert_eq!(verify(&files), journal.head());
    }

    #[test]
    fn a_flipped_bit_is_restored_by_a_witness_and_named_without_one(
        sizes in proptest::collection::vec((1usize..4, 0usize..300), 2..10), segment_bytes in 400u64..3000,
        segment in any::<proptest::sample::Index>(), at in any::<proptest::sample::Index>(), bit in 0u8..8,
    ) {
        let files = SimFiles::default();
        let (end, memory) = append(&open(&files, segment_bytes, &Nobody).unwrap().0, &sizes);
        let dir = place(&files, 0).dir;
        let firsts = list(&files, &dir).unwrap();
        let first = firsts[segment.index(firsts.len())];
        let path = dir.join(segment::file_name(first));
        let whole = Segment::load(&files, &dir, NODE, first).unwrap();
        let written = whole.items().fold(72, |end, item| match item {
            Item::Frame(at, frame) => at as usize + frame.bytes.len(),
            Item::Footer(_) => whole.bytes.len(),
            Item::Gap(_) => end,
        });
        let at = at.index(written);
        files.tamper(&path, |bytes| bytes[at] ^= 1 << bit);

        // Only a reading of the segment finds bytes in the middle of an older one: opening need not.
        let bad = Segment::load(&files, &dir, NODE, first).unwrap().items().any(|item| matches!(item, Item::Gap(_)));
        prop_assert!(bad);
        let forgetful = files.power_cut(0);
        let (journal, recovery) = open(&files, segment_bytes, &memory).unwrap();
        prop_assert_eq!(journal.head(), end);
        if first == firsts[firsts.len() - 1] {
            prop_assert!(recovery.damage.iter().all(|damage| damage.restored) && !recovery.damage.is_empty(), "{:?}", recovery);
            prop_assert_eq!(verify(&files), end);
            let kept = files.list(&dir).unwrap().iter().filter(|name| name.contains(".damaged-")).count();
            prop_assert_eq!(kept, 1);
        }
        // A thorough opening finds and restores them wherever they are.
        let thorough = JournalDir { thorough: true, ..place(&files, segment_bytes) };
        let (journal, recovery, _) = Journal::open(thorough, &memory).unwrap();
        prop_assert!(recovery.damage.iter().all(|damage| damage.restored), "{:?}", recovery);
        prop_assert_eq!((journal.head(), verify(&files)), (end, end));
        // Without a witness nothing sound is lost, and nothing is cut but what no later frame vouches for.
        let (journal, recovery) = open(&forgetful, segment_bytes, &Nobody).unwrap();
        prop_assert!(journal.head() == end || !recovery.notices.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_segment_read_in_parts_ends_where_the_walk_through_all_of_it_does(
        sizes in proptest::collection::vec((1usize..4, prop_oneof![0usize..200, 30_000usize..150_000]), 1..6),
        zeros in 0usize..200_000,
        flip in proptest::option::of((any::<usize>(), 0u8..8)),
        cut in proptest::option::of(any::<usize>()),
    ) {
        let files = SimFiles::default();
        append(&open(&files, 1 << 30, &Nobody).unwrap().0, &sizes);
        let (dir, path) = (place(&files, 0).dir, place(&files, 0).dir.join(segment::file_name(1)));
        files.tamper(&path, |bytes| {
            let length = bytes.len();
            bytes.resize(length + zeros, 0);
            if let Some((at, bit)) = flip {
                bytes[at % length] ^= 1 << bit;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut % length);
            }
        });
        let found = segment::sound_end(&files, &path, NODE, 1);
        let whole = Segment::load(&files, &dir, NODE, 1).unwrap();
        let (mut frames, mut end, mut sound) = (Vec::new(), 0, true);
        for item in whole.items() {
            match item {
                Item::Frame(at, frame) => {
                    frames.push(frame);
                    end = at + frame.bytes.len() as u64;
                }
                Item::Gap(_) | Item::Footer(_) => sound = false,
            }
        }
        let walked = frames.last().filter(|_| sound).map(|last| segment::SoundEnd {
            last: last.last(),
            hash: last.hash,
            last_at: Some(last.last() as i64),
            frames: frames.len() as u32,
            end,
            synced_to: last.synced_to,
        });
        prop_assert_eq!(found, walked);
    }
}

fn three_batches() -> (SimFiles, PathBuf, Head, Everybody) {
    let files = SimFiles::default();
    let (end, memory) = append(&open(&files, 1 << 20, &Nobody).unwrap().0, &[(1, 50), (2, 50), (1, 50)]);
    let path = place(&files, 0).dir.join(segment::file_name(1));
    (files, path, end, memory)
}

fn offsets(files: &SimFiles) -> Vec<usize> {
    let segment = Segment::load(files, &place(files, 0).dir, NODE, 1).unwrap();
    segment.items().filter_map(|item| if let Item::Frame(at, _) = item { Some(at as usize) } else { None }).collect()
}

#[test]
fn bad_bytes_below_what_was_synced_are_damage_and_the_rest_stays_readable() {
    let (files, path, end, _) = three_batches();
    let second = offsets(&files)[1];
    files.tamper(&path, |bytes| bytes[second + 90] ^= 1);
    let (journal, recovery) = open(&files, 1 << 20, &Nobody).unwrap();
    assert_eq!(journal.head(), end);
    let damage = &recovery.damage[..];
    assert!(matches!(damage, [damage] if (damage.first, damage.until, damage.restored) == (2, 4, false)), "{damage:?}");
    assert!(damage[0].to_string().ends_with("events 2 to 3 are concerned and lost"), "{}", damage[0]);
    let before = files.read(&path).unwrap();
    append(&journal, &[(1, 5)]);
    assert_eq!(files.read(&path).unwrap()[..offsets(&files)[1]], before[..offsets(&files)[1]], "nothing was cut");
}

#[test]
fn a_torn_end_is_cut_with_one_notice() {
    let (files, path, _, _) = three_batches();
    let third = offsets(&files)[2];
    files.tamper(&path, |bytes| bytes[third + 60] ^= 1);
    let (journal, recovery) = open(&files, 1 << 20, &Nobody).unwrap();
    assert_eq!(journal.head().seq, 3);
    assert_eq!((recovery.damage.len(), recovery.notices.len()), (0, 1));
    assert!(recovery.notices[0].ends_with("were never acknowledged and were cut, after event 3"), "{}", recovery.notices[0]);
    assert_eq!(verify(&files).seq, 3);
    append(&journal, &[(1, 5)]);
    assert_eq!(verify(&files).seq, 4);
}

#[test]
fn an_end_that_the_index_holds_is_restored_and_never_cut() {
    let (files, path, end, memory) = three_batches();
    let third = offsets(&files)[2];
    files.tamper(&path, |bytes| bytes[third + 60] ^= 1);
    let (journal, recovery) = open(&files, 1 << 20, &memory).unwrap();
    assert_eq!((journal.head(), verify(&files)), (end, end));
    assert!(recovery.damage.len() == 1 && recovery.damage[0].restored);
}

#[test]
fn an_end_that_cannot_be_restored_is_not_opened_over() {
    let (files, path, _, memory) = three_batches();
    struct Forgetful(Everybody);
    impl Replica for Forgetful {
        fn last(&self) -> Result<u64, Error> {
            self.0.last()
        }
        fn batches(&self, _: u64, _: u64) -> Result<Vec<Kept>, Error> {
            Ok(Vec::new())
        }
    }
    let third = offsets(&files)[2];
    files.tamper(&path, |bytes| bytes[third + 60] ^= 1);
    let before = files.read(&path).unwrap();
    let Err(Error::Damaged(why)) = open(&files, 1 << 20, &Forgetful(memory)).map(|_| ()) else { panic!("it opened") };
    assert!(why.ends_with("events 4 to 4 cannot be restored"), "{why}");
    assert_eq!(files.read(&path).unwrap(), before);
}

#[test]
fn frames_taken_out_doubled_or_swapped_are_found() {
    let (files, path, _, _) = three_batches();
    let (at, sound) = (offsets(&files), files.read(&path).unwrap());
    let gaps = |bytes: Vec<u8>| -> Vec<Gap> {
        files.tamper(&path, |file| *file = bytes);
        let segment = Segment::load(&files, &place(&files, 0).dir, NODE, 1).unwrap();
        segment.items().filter_map(|item| if let Item::Gap(gap) = item { Some(gap) } else { None }).collect()
    };
    let (head, first, second, rest) = (&sound[..at[0]], &sound[at[0]..at[1]], &sound[at[1]..at[2]], &sound[at[2]..]);
    assert_eq!(gaps([head, first, rest].concat()), [Gap { from: at[1] as u64, to: at[1] as u64, expected: 2 }]);
    assert_eq!(gaps([head, first, second, second, rest].concat()).len(), 1);
    assert!(!gaps([head, second, first, rest].concat()).is_empty());
    assert!(!gaps([head, first, b"x", second, rest].concat()).is_empty());
    assert_eq!(gaps(sound.clone()), []);
}

#[test]
fn a_missing_segment_comes_back_from_the_index() {
    let files = SimFiles::default();
    let (end, memory) = append(&open(&files, 600, &Nobody).unwrap().0, &[(2, 200), (2, 200), (2, 200)]);
    let dir = place(&files, 0).dir;
    let firsts = list(&files, &dir).unwrap();
    assert_eq!(firsts, [1, 3, 5]);
    files.remove(&dir.join(segment::file_name(3))).unwrap();
    let alone = files.power_cut(1);
    alone.remove(&dir.join(segment::file_name(3))).ok();
    let (journal, recovery) = open(&alone, 600, &Nobody).unwrap();
    assert_eq!(journal.head(), end);
    assert!(matches!(&recovery.damage[..], [damage] if (damage.first, damage.until, damage.restored) == (3, 5, false)));
    let (journal, recovery) = open(&files, 600, &memory).unwrap();
    assert!(recovery.damage[0].restored);
    assert_eq!((journal.head(), verify(&files)), (end, end));
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_log_is_opened_again() {
    let files = SimFiles::default();
    let (journal, _) = open(&files, 1 << 20, &Nobody).unwrap();
    let (head, _) = append(&journal, &[(1, 10)]);
    files.die_after(1);
    let (second, _) = frame(head, 1, 1, 10);
    let (third, _) = frame(second.head, 2, 1, 10);
    let ticket = journal.push(second).unwrap();
    let later = journal.push(third.clone()).unwrap();
    for ticket in [ticket, later] {
        assert!(matches!(journal.commit(ticket, &|_| {}), Err(Error::Closed(_))));
    }
    assert!(matches!(journal.push(third), Err(Error::Closed(why)) if why.contains("the machine is dead")));
    assert_eq!(journal.head(), head);
    assert!(journal.closed().is_some());
}

#[test]
fn threads_share_groups_and_every_frame_reaches_the_sink_once_in_order() {
    let files = SimFiles::default();
    let (journal, _) = open(&files, 10_000, &Nobody).unwrap();
    let tail = Mutex::new(journal.head());
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (journal, tail, seen) = (&journal, &tail, &seen);
            scope.spawn(move || {
                for number in 0..50 {
                    let ticket = {
                        let mut tail = lock(tail);
                        let (frame, _) = frame(*tail, thread * 1000 + number, 1 + number as usize % 3, 40);
                        *tail = frame.head;
                        journal.push(frame).unwrap()
                    };
                    journal.commit(ticket, &|group| lock(seen).push(group.head.seq)).unwrap();
                }
            });
        }
    });
    let seen = lock(&seen);
    assert!(seen.is_sorted() && seen.last() == Some(&journal.head().seq));
    assert_eq!(verify(&files), *lock(&tail));
    assert!(seen.len() <= 400);
}

#[test]
fn waiting_ends_when_the_log_grows_and_when_patience_is_over() {
    let files = SimFiles::default();
    let (journal, _) = open(&files, 10_000, &Nobody).unwrap();
    assert_eq!(journal.wait(0, Duration::ZERO), 0);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| journal.wait(0, Duration::from_secs(3600)));
        append(&journal, &[(1, 1)]);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

#[test]
fn a_segment_of_a_later_release_is_named_as_such() {
    let (files, path, _, _) = three_batches();
    files.tamper(&path, |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&NODE.to_bytes()), &bytes[8..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
    });
    assert!(matches!(open(&files, 1 << 20, &Nobody).map(|_| ()), Err(Error::Newer { found: 2, known: 1 })));
}
