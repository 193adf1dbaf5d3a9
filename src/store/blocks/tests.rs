//! Blocks against a plain map, whatever is asked of both.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::store::ordered::IndexFactory;
use crate::store::ordered::memory::MemoryShelf;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

const TREE: &str = "tree";

fn blocks(shelf: &MemoryShelf) -> Blocks {
    Blocks::new(shelf.open(Path::new("index"), 0).unwrap())
}

/// Keys are few, so that rows are changed and removed again; some rows are long.
fn changes() -> impl Strategy<Value = Changes> {
    let key = (0u16..700, any::<bool>()).prop_map(|(number, is_long)| {
        let mut key = number.to_be_bytes().to_vec();
        key.extend(is_long.then_some([7; 20]).into_iter().flatten());
        key
    });
    let row = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(Some),
        1 => (0usize..900, any::<u8>()).prop_map(|(count, byte)| Some(vec![byte; count])),
        2 => Just(None),
    ];
    proptest::collection::btree_map(key, row, 0..120)
}

/// Rows in rising or falling order, as most come.
fn stretch() -> impl Strategy<Value = Changes> {
    (0u16..600, 1u16..200).prop_map(|(from, count)| {
        (from..from + count).map(|number| (number.to_be_bytes().to_vec(), Some(number.to_le_bytes().repeat(30)))).collect()
    })
}

fn bound() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of((0u16..720).prop_map(|number| number.to_be_bytes().to_vec()))
}

fn found(blocks: &Blocks, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut each = |key: &[u8], row: &[u8]| {
        rows.push((key.to_vec(), row.to_vec()));
        rows.len() < limit
    };
    blocks.scan(TREE, from, to, reverse, &mut each).unwrap();
    rows
}

fn expected(map: &Map, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: usize) -> Vec<Row> {
    let inside = |(key, _): &(&Vec<u8>, &Vec<u8>)| key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to);
    let mut rows: Vec<Row> = map.iter().filter(inside).map(|(key, row)| (key.clone(), row.clone())).collect();
    if reverse {
        rows.reverse();
    }
    rows.truncate(limit);
    rows
}

fn change(map: &mut Map, changes: &Changes) {
    for (key, row) in changes {
        match row {
            Some(row) => map.insert(key.clone(), row.clone()),
            None => map.remove(key),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_are_those_of_a_plain_map(
        batches in proptest::collection::vec(prop_oneof![changes(), stretch()], 1..24),
        asked in proptest::collection::vec((bound(), bound(), any::<bool>(), 1usize..900), 1..6),
    ) {
        let shelf = MemoryShelf::default();
        let (kept, mut map) = (blocks(&shelf), Map::new());
        for (number, batch) in batches.iter().enumerate() {
            kept.apply(TREE, batch.clone(), vec![(vec![0], Some(number.to_be_bytes().to_vec()))]).unwrap();
            change(&mut map, batch);
            for (from, to, reverse, limit) in &asked {
                let from = from.clone().unwrap_or_default();
                prop_assert_eq!(
                    found(&kept, &from, to.as_deref(), *reverse, *limit),
                    expected(&map, &from, to.as_deref(), *reverse, *limit)
                );
            }
            for key in batch.keys() {
                prop_assert_eq!(kept.get(TREE, key).unwrap(), map.get(key).cloned());
            }
        }
        // What is read with nothing in memory is the same, forwards and backwards.
        let again = blocks(&shelf);
        prop_assert_eq!(found(&again, b"", None, false, usize::MAX), expected(&map, b"", None, false, usize::MAX));
        prop_assert_eq!(found(&again, b"", None, true, usize::MAX), expected(&map, b"", None, true, usize::MAX));
        for number in 0u16..720 {
            let key = number.to_be_bytes();
            prop_assert_eq!(again.get(TREE, &key).unwrap(), map.get(&key[..]).cloned());
        }
    }

    #[test]
    fn after_a_crash_rows_and_what_lies_beside_them_are_of_the_same_moment(
        batches in proptest::collection::vec(prop_oneof![changes(), stretch()], 1..10), writes in 0usize..10,
    ) {
        let shelf = MemoryShelf::default();
        let kept = blocks(&shelf);
        for (number, batch) in batches.iter().enumerate() {
            kept.apply(TREE, batch.clone(), vec![(vec![0], Some(vec![number as u8 + 1]))]).unwrap();
        }
        shelf.truncate(Path::new("index"), writes);
        let (left, mut map) = (blocks(&shelf), Map::new());
        let moment = left.index.get(TREE, &[0]).unwrap().map_or(0, |moment| usize::from(moment[0]));
        prop_assert_eq!(moment, writes.min(batches.len()));
        batches[..moment].iter().for_each(|batch| change(&mut map, batch));
        prop_assert_eq!(found(&left, b"", None, false, usize::MAX), expected(&map, b"", None, false, usize::MAX));
    }
}

/// Rows as they lie in the index below: (changes, blocks).
fn below(shelf: &MemoryShelf) -> (usize, usize) {
    let index = shelf.open(Path::new("index"), 0).unwrap();
    let count = |from: u8| {
        let mut count = 0;
        let mut each = |_: &[u8], _: &[u8]| {
            count += 1;
            true
        };
        index.scan(TREE, &[from], Some(&[from + 1]), false, &mut each).unwrap();
        count
    };
    (count(CHANGE), count(BLOCK))
}

#[test]
fn many_rows_become_few_in_whatever_order_they_come() {
    // A step through all numbers that looks like chance.
    let orders: [fn(u32) -> u32; 3] = [|number| number, |number| 19_999 - number, |number| number * 7919 % 20_000];
    for order in orders {
        let shelf = MemoryShelf::default();
        let kept = blocks(&shelf);
        for from in (0u32..20_000).step_by(40) {
            let row = |number: u32| (order(number).to_be_bytes().to_vec(), Some(vec![1; 60]));
            kept.apply(TREE, (from..from + 40).map(row).collect(), Vec::new()).unwrap();
        }
        let (changes, blocks) = below(&shelf);
        // 64 bytes a row: 52 blocks when all are full, twice as many and some when rows came by chance.
        assert!(blocks <= 150 && changes <= blocks * CHANGES_MAX, "{changes} changes beside {blocks} blocks");
        assert_eq!(found(&kept, b"", None, false, usize::MAX).len(), 20_000);
        let all = (0u32..20_000).map(|number| (number.to_be_bytes().to_vec(), None)).collect();
        kept.apply(TREE, all, Vec::new()).unwrap();
        assert_eq!(
            (below(&shelf), found(&kept, b"", None, true, 1)),
            ((0, 0), Vec::new()),
            "nothing is left of rows that are removed"
        );
    }
}

#[test]
fn a_block_that_is_not_as_it_was_written_is_an_error() {
    let shelf = MemoryShelf::default();
    let kept = blocks(&shelf);
    let row = |number: u32| (number.to_be_bytes().to_vec(), Some(vec![1; 60]));
    kept.apply(TREE, (0..1000).map(row).collect(), Vec::new()).unwrap();
    let (index, mut rows) = (shelf.open(Path::new("index"), 0).unwrap(), Vec::new());
    index
        .scan(TREE, &[BLOCK], None, false, &mut |key, row| {
            rows.push((key.to_vec(), row.to_vec()));
            true
        })
        .unwrap();
    let (key, mut row) = rows.pop().unwrap();
    // Of its last key, which is looked at without the rest.
    row[14] ^= 1;
    index.apply(TREE, vec![(key, Some(row))]).unwrap();
    let again = blocks(&shelf);
    assert!(matches!(again.get(TREE, &1_000_000u32.to_be_bytes()), Err(Error::Index(_))));
    assert!(matches!(again.scan(TREE, b"", None, false, &mut |_, _| true), Err(Error::Index(_))));
}
