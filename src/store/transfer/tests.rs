//! What a hand-over promises: the same chain comes out, with or without private parts, and nothing that was changed is taken.

use std::path::Path;
use std::sync::Arc;

use ulid::Ulid;

use super::read::{Contents, TransferItem};
use super::source::Source;
use super::stage::Stage;
use super::write::Wanted;
use super::*;
use crate::domain::event::{NoteAdded, NoteAddedPrivate};
use crate::domain::text::Text;
use crate::store::chain;
use crate::store::codec::offer;
use crate::store::files::OsFiles;
use crate::store::journal::folder;
use crate::store::journal::segment::{Item, segments};
use crate::store::log::{Batch, Head, Log, NewEvent};
use crate::store::owned::{Options, OwnedLog};
use crate::store::payloads::Payloads;

fn note(words: &str, payload: Option<Hash>, run: u128) -> NewEvent {
    let text = match payload {
        Some(hash) => Text::Payload { hash, bytes: words.len() as u64 },
        None => Text::Inline(words.to_owned()),
    };
    let private = Some(NoteAddedPrivate { text, tags: vec![] });
    offer(&NoteAdded { rating: Some(3), private }.into(), [9; 16], Some(RunId(Ulid(run))), None, None).unwrap()
}

/// Makes a store of some batches of one to three events; returns its head.
fn store(dir: &Path) -> Head {
    let (log, _) = OwnedLog::open(dir, Options { segment_bytes: 1500, ..Options::system() }).unwrap();
    let payloads = Payloads::new(Arc::new(OsFiles), dir);
    for number in 0..8u128 {
        let words = format!("words {number} ").repeat(9);
        let names = if number % 2 == 0 { payloads.write(&[words.as_bytes()]).unwrap() } else { Vec::new() };
        let events = (0..=number % 3).map(|more| note(&words, names.first().copied(), 1 + more)).collect();
        let id = BatchId(Ulid(number + 1));
        log.append(&Batch { id, expected_version: None, events, payloads: names, day_limit: None }).unwrap();
    }
    log.head().unwrap()
}

fn written(dir: &Path, from: u64, head: Head, private: bool) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let payloads = Payloads::new(Arc::new(OsFiles), dir);
    write::write(&OsFiles, dir, &payloads, Wanted { from, head, private }, &mut out).map(|_| out)
}

fn read(bytes: &[u8]) -> Result<Contents, Error> {
    read::read(&mut &*bytes, &mut |_| Ok(()))
}

/// An event's head and private part.
type Bytes = (Vec<u8>, Option<Vec<u8>>);

/// Returns batch, head and private part of every event of a log.
fn frames(dir: &Path, node: NodeId) -> Vec<(BatchId, u64, Vec<Bytes>)> {
    let mut found = Vec::new();
    for segment in segments(&OsFiles, &folder(dir, node), node, 1).unwrap() {
        for item in segment.unwrap().items() {
            if let Item::Frame(_, frame) = item {
                let records = frame.records().map(|record| record.unwrap());
                let records = records.map(|record| (record.head.to_vec(), record.private.map(<[u8]>::to_vec)));
                found.push((frame.batch, frame.first, records.collect()));
            }
        }
    }
    found
}

#[test]
fn what_is_taken_in_is_the_same_log_batch_by_batch_and_byte_by_byte() {
    let root = tempfile::tempdir().unwrap();
    let (from, to, file) = (root.path().join("from"), root.path().join("to"), root.path().join("events"));
    let head = store(&from);
    std::fs::write(&file, written(&from, 1, head, true).unwrap()).unwrap();
    let mut stage = Stage::begin(&to, Head { seq: 0, hash: chain::genesis(head.node), ..head }, Arc::default()).unwrap();
    stage.file(&Source::lines(file.clone()), &|_| false).unwrap();
    assert_eq!(stage.head(), head);
    stage.finish().unwrap();
    assert_eq!(frames(&to, head.node), frames(&from, head.node));
    std::fs::write(to.join("journal/node"), format!("{}\n", head.node)).unwrap();
    let (log, report) = OwnedLog::open(&to, Options::system()).unwrap();
    assert_eq!((log.head().unwrap(), report.damage), (head, vec![]));
    for event in log.read(1, 100).unwrap() {
        assert!(event.private.is_some_and(|private| chain::commitment(&private) == event.commitment));
    }
    let again = written(&to, 1, head, true).unwrap();
    assert_eq!(again, std::fs::read(&file).unwrap());
}

#[test]
fn without_private_parts_the_head_is_the_same_and_no_text_is_in_it() {
    let root = tempfile::tempdir().unwrap();
    let head = store(root.path());
    let public = written(root.path(), 1, head, false).unwrap();
    let contents = read(&public).unwrap();
    assert_eq!((contents.head(), contents.without_private, contents.end.payloads), (head, head.seq, 0));
    let decoded: Vec<u8> = String::from_utf8(public)
        .unwrap()
        .lines()
        .flat_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            data_encoding::BASE64.decode(line["head"].as_str().unwrap_or_default().as_bytes()).unwrap_or_default()
        })
        .collect();
    assert!(!decoded.windows(5).any(|window| window == b"words"));
}

#[test]
fn an_export_goes_on_where_the_last_one_ended() {
    let root = tempfile::tempdir().unwrap();
    let head = store(root.path());
    for (_, first, _) in frames(root.path(), head.node) {
        let contents = read(&written(root.path(), first, head, true).unwrap()).unwrap();
        assert_eq!((contents.begin.from, contents.head()), (first, head));
    }
    assert_eq!(read(&written(root.path(), head.seq + 1, head, true).unwrap()).unwrap().end.events, 0);
    // A head that the log never had is not handed over.
    assert!(written(root.path(), 1, Head { hash: Hash::default(), ..head }, true).is_err());
}

#[test]
fn every_flipped_byte_every_cut_and_every_line_less_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let head = store(root.path());
    let sound = written(root.path(), 1, head, true).unwrap();
    assert!(read(&sound).is_ok());
    for at in 0..sound.len() {
        for bit in [0, 5] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << bit;
            assert!(read(&bytes).is_err(), "byte {at}, bit {bit}");
        }
    }
    for cut in (0..sound.len()).step_by(11) {
        assert!(read(&sound[..cut]).is_err(), "cut at {cut}");
    }
    let lines: Vec<&[u8]> = sound.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..lines.len() {
        let less: Vec<u8> =
            lines.iter().enumerate().filter(|(line, _)| *line != at).flat_map(|(_, line)| line.to_vec()).collect();
        assert!(read(&less).is_err(), "without line {at}");
        let twice: Vec<u8> = lines.iter().enumerate().flat_map(|(line, text)| text.repeat(1 + usize::from(line == at))).collect();
        assert!(read(&twice).is_err(), "line {at} twice");
    }
}

#[test]
fn what_is_forgotten_is_not_taken_in_and_neither_are_payloads_that_only_it_names() {
    let root = tempfile::tempdir().unwrap();
    let (from, to, file) = (root.path().join("from"), root.path().join("to"), root.path().join("events"));
    let head = store(&from);
    std::fs::write(&file, written(&from, 1, head, true).unwrap()).unwrap();
    let mut stage = Stage::begin(&to, Head { seq: 0, hash: chain::genesis(head.node), ..head }, Arc::default()).unwrap();
    stage.file(&Source::lines(file.clone()), &|stored| stored.envelope.run == Some(RunId(Ulid(1)))).unwrap();
    stage.finish().unwrap();
    let (mut kept, mut gone) = (0, 0);
    for (_, _, records) in frames(&to, head.node) {
        for (head, private) in records {
            let record = crate::store::codec::record::Record { head: &head, private: None };
            let run = record.head().unwrap().envelope.run;
            assert_eq!(private.is_none(), run == Some(RunId(Ulid(1))));
            if private.is_none() { gone += 1 } else { kept += 1 }
        }
    }
    assert!(kept > 0 && gone > 0);
    // Batches 0 and 6 have one event each, of run 1 alone.
    let payloads = Payloads::new(Arc::new(OsFiles), &to);
    let name = |number: u32| Hash::of(format!("words {number} ").repeat(9).as_bytes());
    assert_eq!([0, 2, 4, 6].map(|number| payloads.has(name(number))), [false, true, true, false]);
}

#[test]
fn an_event_that_was_changed_is_named_by_its_line() {
    let root = tempfile::tempdir().unwrap();
    let head = store(root.path());
    let text = String::from_utf8(written(root.path(), 1, head, true).unwrap()).unwrap();
    let changed = text.replacen("\"kind\":\"NoteAdded\"", "\"kind\":\"RunFailed\"", 1);
    let why = read(changed.as_bytes()).unwrap_err().to_string();
    assert!(why.starts_with("line 4: its kind"), "{why}");
    let mut seen = 0;
    let counted = read::read(&mut text.as_bytes(), &mut |found| {
        seen += u64::from(matches!(found, TransferItem::Event(..)));
        Ok(())
    });
    assert_eq!(counted.unwrap().end.events, seen);
}

#[test]
fn a_damaged_text_is_left_out_like_a_missing_one_and_the_events_all_come() {
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("store");
    let head = store(&from);
    let payloads = Payloads::new(Arc::new(OsFiles), &from);
    let names: Vec<Hash> =
        [0, 2, 4, 6].map(|number| Hash::of(format!("words {number} ").repeat(9).as_bytes())).into_iter().collect();
    std::fs::write(payloads.path(names[0]), "x").unwrap();
    std::fs::remove_file(payloads.path(names[1])).unwrap();
    let mut out = Vec::new();
    let written = write::write(&OsFiles, &from, &payloads, Wanted { from: 1, head, private: true }, &mut out).unwrap();
    assert_eq!((written.end.payloads, written.left_out), (2, 2));
    let contents = read(&out).unwrap();
    assert_eq!((contents.end.head, contents.missing_payloads), (head.hash, 2));
}
