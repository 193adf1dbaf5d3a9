//! What a backup promises: nothing but a whole one is taken for one, and what comes back is what was there, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ulid::Ulid;

use super::*;
use crate::domain::event::{ForgottenParts, NoteAdded, NoteAddedPrivate, PrivatePartsForgotten, PrivatePartsForgottenPrivate};
use crate::domain::ids::{BatchId, RunId};
use crate::domain::text::Text;
use crate::store::codec::offer;
use crate::store::files::OsFiles;
use crate::store::log::{Batch, Log};
use crate::store::owned::{Options, OwnedLog};
use crate::store::payloads::Payloads;

/// Makes a store of `notes` notes in small segments, some of them beside the log; returns its head.
fn store(dir: &Path, notes: u128) -> Head {
    let (log, _) = OwnedLog::open(dir, Options { segment_bytes: 2000, ..Options::system() }).unwrap();
    let payloads = Payloads::new(Arc::new(OsFiles), dir);
    for number in 0..notes {
        let words = format!("note {number} ").repeat(20);
        let names = if number % 3 == 0 { payloads.write(&[words.as_bytes()]).unwrap() } else { Vec::new() };
        let text = match names.first() {
            Some(hash) => Text::Payload { hash: *hash, bytes: words.len() as u64 },
            None => Text::Inline(words),
        };
        let private = Some(NoteAddedPrivate { text, tags: vec![] });
        let note = NoteAdded { rating: None, private }.into();
        let events = vec![offer(&note, [number as u8; 16], Some(RunId(Ulid(1))), None, None).unwrap()];
        let id = BatchId(Ulid(number + 1));
        log.append(&Batch { id, expected_version: None, events, payloads: names, day_limit: None }).unwrap();
    }
    log.head().unwrap()
}

/// Makes another entry of one, or none.
type Change<'a> = &'a dyn Fn(&str, Vec<u8>) -> Option<(String, Vec<u8>)>;

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn backup(root: &Path, notes: u128) -> (Head, PathBuf) {
    let head = store(&root.join("store"), notes);
    let file = root.join("backup.tar.zst");
    let contents = pack(&root.join("store"), head, &file, "2026-11-23T00:00:00Z".to_owned()).unwrap();
    assert_eq!((contents.events, contents.manifest.log), (head.seq, head.into()));
    assert_eq!((contents.payloads, contents.missing_payloads.len()), (notes.div_ceil(3) as u64, 0));
    (head, file)
}

#[test]
fn what_is_restored_is_what_was_there() {
    let root = tempfile::tempdir().unwrap();
    let (head, file) = backup(root.path(), 20);
    fs::create_dir(root.path().join("store/templates")).unwrap();
    let to = root.path().join("deep/again");
    let restored = unpack(&file, &to).unwrap();
    assert_eq!((restored.contents.events, restored.before), (21, None));
    for part in ["journal", "payloads"] {
        let strip = |dir: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
            let files = files(&dir.join(part)).into_iter();
            // Zeros that were written ahead are no part of the log.
            let trim = |bytes: Vec<u8>| bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)].to_vec();
            files.map(|(path, bytes)| (path.strip_prefix(dir).unwrap().to_owned(), trim(bytes))).collect()
        };
        assert_eq!(strip(&root.path().join("store")), strip(&to), "{part}");
    }
    let (log, report) = OwnedLog::open(&to, Options::system()).unwrap();
    assert_eq!((log.head().unwrap(), report.damage), (head, vec![]));
    assert_eq!(log.read(1, 100).unwrap().len(), 21);
}

#[test]
fn later_events_and_whoever_is_at_work_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let head = store(&root.path().join("store"), 9);
    let file = root.path().join("backup");
    // The head of some moments ago, as when others have appended since.
    let (log, _) = OwnedLog::open(&root.path().join("store"), Options::system()).unwrap();
    let fifth = log.read(5, 1).unwrap().remove(0);
    let earlier = Head { seq: 5, hash: fifth.hash, ..head };
    assert_eq!(pack(&root.path().join("store"), earlier, &file, String::new()).unwrap().events, 5);
    assert!(matches!(pack(&root.path().join("store"), head, &file, String::new()), Err(Error::Exists(_))));
    assert_eq!(log.head().unwrap(), head);
    // A head that is not this log's makes no backup.
    let wrong = Head { hash: Hash::default(), ..head };
    let other = root.path().join("other");
    assert!(matches!(pack(&root.path().join("store"), wrong, &other, String::new()), Err(Error::NotWhole { .. })));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "nothing is left of what failed");
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (_, file) = backup(root.path(), 4);
    let sound = fs::read(&file).unwrap();
    let (bad, to) = (root.path().join("bad"), root.path().join("to"));
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).unwrap();
        let why = unpack(&bad, &to).expect_err(what);
        assert!(matches!(why, Error::Unsound { .. }), "{what}: {why}");
        assert!(!to.exists() && !with_end(&to, ".restoring").exists(), "{what}");
    };
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        refused(&bytes, &format!("byte {at}"));
    }
    for cut in (0..sound.len()).step_by(7) {
        refused(&sound[..cut], &format!("cut at {cut}"));
    }
    refused(&[&sound[..], b"x"].concat(), "a byte more");
}

#[test]
fn a_sealed_file_with_other_contents_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (_, file) = backup(root.path(), 4);
    let sealed = |change: Change<'_>| {
        let bytes = fs::read(&file).unwrap();
        let mut tar = tar::Archive::new(zstd::Decoder::new(&bytes[..bytes.len() - SEAL_BYTES]).unwrap());
        let mut again = tar::Builder::new(Vec::new());
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (name, mut content) = (entry.path().unwrap().to_str().unwrap().to_owned(), Vec::new());
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            if let Some((name, content)) = change(&name, content) {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                again.append_data(&mut header, name, &content[..]).unwrap();
            }
        }
        let mut bytes = zstd::encode_all(&again.into_inner().unwrap()[..], 1).unwrap();
        let hash = blake3::hash(&bytes);
        bytes.extend(SEAL_HEAD);
        bytes.extend(hash.as_bytes());
        fs::write(root.path().join("made"), bytes).unwrap();
        verify(&root.path().join("made"))
    };
    assert!(sealed(&|name, content| Some((name.to_owned(), content))).is_ok());
    let is_segment = |name: &str| name.ends_with(".seg");
    let cases: [(&str, Change<'_>); 6] = [
        ("a segment less", &|name, content| (!is_segment(name)).then(|| (name.to_owned(), content))),
        ("a payload changed", &|name, content| {
            let changed = if name.starts_with("payloads") { zstd::encode_all(&b"other"[..], 1).unwrap() } else { content };
            Some((name.to_owned(), changed))
        }),
        ("an entry that leads elsewhere", &|name, content| {
            Some((if name == "journal/node" { "templates/a/b.json".to_owned() } else { name.to_owned() }, content))
        }),
        ("another node", &|name, content| {
            Some((name.to_owned(), if name == "journal/node" { b"01ARZ3NDEKTSV4RRFFQ69G5FAV\n".to_vec() } else { content }))
        }),
        ("no manifest", &|name, content| (name != MANIFEST).then(|| (name.to_owned(), content))),
        ("half a segment", &|name, content| {
            let half = content.len() / 2;
            Some((name.to_owned(), if is_segment(name) { content[..half].to_vec() } else { content }))
        }),
    ];
    for (what, change) in cases {
        assert!(matches!(sealed(change), Err(Error::Unsound { .. })), "{what}");
    }
}

#[test]
fn only_an_empty_store_is_replaced_and_its_settings_are_kept_beside() {
    let root = tempfile::tempdir().unwrap();
    let (_, file) = backup(root.path(), 4);
    let full = root.path().join("full");
    store(&full, 1);
    let before = files(&full);
    assert!(matches!(unpack(&file, &full), Err(Error::NotEmpty { .. })));
    assert_eq!(files(&full), before);
    let empty = root.path().join("empty");
    store(&empty, 0);
    fs::write(empty.join("config.toml"), "# mine\n").unwrap();
    // What the backup has not got stays; what it has got is put in place, and the other is kept beside.
    assert_eq!(unpack(&file, &empty).unwrap().before, None);
    assert_eq!(fs::read_to_string(empty.join("config.toml")).unwrap(), "# mine\n");
    let (log, _) = OwnedLog::open(&empty, Options::system()).unwrap();
    assert_eq!(log.head().unwrap().seq, 5);
    let (with_settings, third) = (root.path().join("with-settings"), root.path().join("third"));
    pack(&empty, log.head().unwrap(), &with_settings, String::new()).unwrap();
    store(&third, 0);
    fs::write(third.join("config.toml"), "# third\n").unwrap();
    let restored = unpack(&with_settings, &third).unwrap();
    assert_eq!(fs::read_to_string(third.join("config.toml")).unwrap(), "# mine\n");
    assert_eq!(fs::read_to_string(restored.before.unwrap().join("config.toml")).unwrap(), "# third\n");
}

#[test]
fn what_the_log_says_is_forgotten_is_carried_out_by_the_first_opening_of_what_is_restored() {
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("store");
    store(&from, 3);
    let (log, _) = OwnedLog::open(&from, Options::system()).unwrap();
    let private = Some(PrivatePartsForgottenPrivate { why: String::new() });
    let forgotten = PrivatePartsForgotten { run: RunId(Ulid(1)), which: ForgottenParts::All, private };
    let events = vec![offer(&forgotten.into(), [1; 16], Some(RunId(Ulid(1))), None, None).unwrap()];
    let id = BatchId(Ulid(99));
    log.append(&Batch { id, expected_version: None, events, payloads: vec![], day_limit: None }).unwrap();
    let (file, to) = (root.path().join("backup"), root.path().join("to"));
    pack(&from, log.head().unwrap(), &file, String::new()).unwrap();
    unpack(&file, &to).unwrap();
    assert!(crate::store::forget::is_marked(&OsFiles, &to) && !crate::store::forget::is_marked(&OsFiles, &from));
}

#[test]
fn a_segment_that_is_damaged_makes_no_backup() {
    let root = tempfile::tempdir().unwrap();
    let head = store(&root.path().join("store"), 9);
    let journal = crate::store::journal::folder(&root.path().join("store"), head.node);
    let segment = fs::read_dir(journal).unwrap().flatten().map(|entry| entry.path()).min().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let file = root.path().join("backup");
    let why = pack(&root.path().join("store"), head, &file, String::new()).unwrap_err();
    assert!(why.to_string().contains("damaged") && !file.exists(), "{why}");
}

#[test]
fn a_damaged_text_is_left_out_and_everything_else_is_in_the_backup() {
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("store");
    let head = store(&from, 9);
    let payloads = files(&from.join("payloads"));
    let (damaged, missing) = (payloads.keys().next().unwrap(), payloads.keys().next_back().unwrap());
    fs::write(damaged, "x").unwrap();
    fs::remove_file(missing).unwrap();
    let (file, to) = (root.path().join("backup"), root.path().join("to"));
    let contents = pack(&from, head, &file, String::new()).unwrap();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().parse::<Hash>().unwrap();
    let mut left_out = contents.missing_payloads;
    left_out.sort_unstable();
    assert_eq!((left_out, contents.payloads), (vec![name(damaged), name(missing)], 1));
    unpack(&file, &to).unwrap();
    assert_eq!(files(&to.join("payloads")).len(), 1);
}
