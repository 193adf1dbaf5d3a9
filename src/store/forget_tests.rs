//! What forgetting promises: the text is in no file, the chain is as it was, and a failure at any step leaves nothing but more to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ulid::Ulid;

use super::*;
use crate::domain::event::{
    KINDS, NoteAdded, NoteAddedPrivate, PrivatePartsForgotten, PrivatePartsForgottenPrivate, RecommendationShown,
    RecommendationShownPrivate, RunStarted,
};
use crate::domain::ids::BatchId;
use crate::domain::text::Text;
use crate::store::check;
use crate::store::codec::offer;
use crate::store::codec::sample::sample;
use crate::store::files::{DataFile, OsFiles};
use crate::store::log::{Batch, Log, NewEvent};
use crate::store::owned::{Options, OwnedLog};

const CANARY: &str = "quokka";

/// The system's files, until so many changes were made.
struct Failing(AtomicU64);

impl Failing {
    fn step(&self) -> io::Result<()> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
    }
}

impl Files for Failing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        self.step().and_then(|()| OsFiles.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DataFile>> {
        OsFiles.open(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsFiles.read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        OsFiles.exists(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsFiles.list(dir)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.make_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.sync_dir(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| OsFiles.remove(path))
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        self.step().and_then(|()| OsFiles.sync_all(dir))
    }
}

fn run(number: u128) -> RunId {
    RunId(Ulid(number))
}

fn note(of: u128, text: Text) -> NewEvent {
    let private = Some(NoteAddedPrivate { text, tags: vec![] });
    offer(&NoteAdded { rating: None, private }.into(), [of as u8; 16], Some(run(of)), None, None).unwrap()
}

fn append(log: &OwnedLog, id: u128, events: Vec<NewEvent>, payloads: Vec<Hash>) {
    let id = BatchId(Ulid(id));
    log.append(&Batch { id, expected_version: None, events, payloads, day_limit: None }).unwrap();
}

/// Makes a store in which run 1 says the canary and shares a text with run 2; returns its head and the three payloads.
fn store(dir: &Path) -> (Head, [Hash; 3]) {
    let (log, _) = OwnedLog::open(dir, Options { segment_bytes: 900, ..Options::system() }).unwrap();
    let payloads = Payloads::new(Arc::new(OsFiles), dir);
    let texts = [format!("{CANARY} alone"), "said by both".to_owned(), "said by nobody".to_owned()];
    let names = payloads.write(&texts.each_ref().map(String::as_bytes)).unwrap();
    let names: [Hash; 3] = names.try_into().unwrap();
    let beside = |at: usize| Text::Payload { hash: names[at], bytes: texts[at].len() as u64 };
    for number in 0..12u128 {
        let said = if number % 2 == 0 { format!("{CANARY} {number}") } else { format!("harmless {number}") };
        append(&log, 10 + number, vec![note(1 + number % 2, Text::Inline(said)), note(2, beside(1))], vec![names[1]]);
    }
    append(&log, 50, vec![note(1, beside(0)), note(1, beside(1))], vec![names[0], names[1]]);
    let private = Some(PrivatePartsForgottenPrivate { why: "asked for".to_owned() });
    let forgotten = PrivatePartsForgotten { run: run(1), which: ForgottenParts::All, private };
    append(&log, 51, vec![offer(&forgotten.into(), [7; 16], Some(run(1)), None, None).unwrap()], vec![]);
    append(&log, 52, vec![note(1, Text::Inline("said afterwards".to_owned()))], vec![]);
    (log.head().unwrap(), names)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn files_with(dir: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files_with(&entry, word));
        } else if fs::read(&entry).unwrap().windows(word.len()).any(|part| part == word.as_bytes()) {
            found.push(entry);
        }
    }
    found
}

#[track_caller]
fn check_gone(dir: &Path, head: Head, names: [Hash; 3]) {
    assert!(!is_marked(&OsFiles, dir));
    assert_eq!(files_with(dir, CANARY), Vec::<PathBuf>::new());
    let scan = check::scan(&OsFiles, dir, head, &mut |_| {}).unwrap();
    assert_eq!((scan.findings, scan.events, scan.forgotten), (vec![], head.seq, 8));
    let payloads = Payloads::new(Arc::new(OsFiles), dir);
    assert_eq!(names.map(|name| payloads.has(name)), [false, true, false], "what nobody names goes too");
    let (log, report) = OwnedLog::open(dir, Options { thorough: true, ..Options::system() }).unwrap();
    assert_eq!((log.head().unwrap(), report.damage), (head, vec![]));
    for event in log.read(1, 1000).unwrap() {
        let gone = event.envelope.run == Some(run(1)) && event.envelope.seq < head.seq - 1;
        assert_eq!(event.private.is_none(), gone, "event {}", event.envelope.seq);
    }
}

#[test]
fn a_failure_at_any_step_leaves_the_rest_to_the_next_opening() {
    let root = tempfile::tempdir().unwrap();
    let (head, names) = store(&root.path().join("store"));
    assert!(files_with(&root.path().join("store"), CANARY).len() > 3);
    for steps in 0.. {
        let dir = root.path().join(steps.to_string());
        copy(&root.path().join("store"), &dir);
        mark(&OsFiles, &dir).unwrap();
        let payloads = Payloads::new(Arc::new(OsFiles), &dir);
        if carry_out(&Failing(AtomicU64::new(steps)), &dir, head.node, &payloads).is_ok() {
            assert!(steps > 20, "{steps} steps are too few to have failed at");
            return check_gone(&dir, head, names);
        }
        // The last step makes it durable that the mark is gone: without that, it is done again for nothing.
        if is_marked(&OsFiles, &dir) {
            carry_out(&OsFiles, &dir, head.node, &payloads).unwrap();
        }
        check_gone(&dir, head, names);
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn copies_that_were_set_aside_and_what_was_never_finished_go_too() {
    let root = tempfile::tempdir().unwrap();
    let (head, names) = store(root.path());
    let journal = folder(root.path(), head.node);
    let payloads = root.path().join("payloads").join("ab");
    fs::create_dir_all(&payloads).unwrap();
    // No process has this number.
    for path in [journal.join("1.seg.damaged-1"), journal.join("1.tmp"), payloads.join("abc.2147483646-1.tmp")] {
        fs::write(path, CANARY).unwrap();
    }
    for folder in ["log/events.broken-1", "log/views.before", "journal/importing/journal", "spool/1"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
        fs::write(root.path().join(folder).join("file"), if folder.starts_with("spool") { "other" } else { CANARY }).unwrap();
    }
    let refused = root.path().join("spool").join(run(1).to_string());
    fs::create_dir_all(&refused).unwrap();
    fs::write(refused.join("1.refused"), CANARY).unwrap();
    let alive = payloads.join(format!("abd.{}-1.tmp", std::process::id()));
    fs::write(&alive, "being written").unwrap();
    mark(&OsFiles, root.path()).unwrap();
    carry_out(&OsFiles, root.path(), head.node, &Payloads::new(Arc::new(OsFiles), root.path())).unwrap();
    assert!(alive.exists(), "a process that is at it is left alone");
    check_gone(root.path(), head, names);
}

#[test]
fn advice_that_may_quote_a_forgotten_answer_goes_with_it_and_other_advice_stays() {
    let root = tempfile::tempdir().unwrap();
    let (log, _) = OwnedLog::open(root.path(), Options::system()).unwrap();
    let started = |of: u128, template: &str| {
        let Event::RunStarted(body) = sample(STARTED, of as u64) else { panic!("kind 1") };
        let body = RunStarted { template_id: template.to_owned(), ..body };
        offer(&body.into(), [1; 16], Some(run(of)), None, None).unwrap()
    };
    let advice = |template: &str, words: &str| {
        let private = Some(RecommendationShownPrivate { advice: Text::Inline(words.to_owned()) });
        let shown = RecommendationShown { template_id: template.to_owned(), evidence: vec![], private };
        offer(&shown.into(), [2; 16], None, None, None).unwrap()
    };
    let forgotten = |of: u128, which: ForgottenParts| {
        let private = Some(PrivatePartsForgottenPrivate { why: String::new() });
        let body = PrivatePartsForgotten { run: run(of), which, private };
        offer(&body.into(), [3; 16], Some(run(of)), None, None).unwrap()
    };
    append(&log, 1, vec![advice("review", "before it"), started(1, "review"), started(2, "release")], vec![]);
    append(&log, 2, vec![advice("review", CANARY), advice("release", "of another")], vec![]);
    append(&log, 3, vec![forgotten(1, ForgottenParts::Answers), forgotten(2, ForgottenParts::Outputs)], vec![]);
    append(&log, 4, vec![advice("review", "afterwards")], vec![]);
    let node = log.node();
    drop(log);
    mark(&OsFiles, root.path()).unwrap();
    carry_out(&OsFiles, root.path(), node, &Payloads::new(Arc::new(OsFiles), root.path())).unwrap();
    assert_eq!(files_with(root.path(), CANARY), Vec::<PathBuf>::new());
    for kept in ["before it", "of another", "afterwards"] {
        assert_eq!(files_with(root.path(), kept).len(), 1, "{kept}");
    }
}

#[test]
fn a_damaged_journal_is_left_as_it_is_and_stays_marked() {
    let root = tempfile::tempdir().unwrap();
    let (head, _) = store(root.path());
    let segment = folder(root.path(), head.node).join(segment::file_name(1));
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    mark(&OsFiles, root.path()).unwrap();
    let before = files_with(root.path(), CANARY);
    let why = carry_out(&OsFiles, root.path(), head.node, &Payloads::new(Arc::new(OsFiles), root.path())).unwrap_err();
    assert!(matches!(why, Error::Damaged(_)) && is_marked(&OsFiles, root.path()));
    assert_eq!(files_with(root.path(), CANARY), before);
}

#[test]
fn kinds_of_later_releases_count_as_holding_everything_and_why_is_kept() {
    for which in [ForgottenParts::Answers, ForgottenParts::Outputs, ForgottenParts::All] {
        assert!(concerns(which, 9999) && !concerns(which, FORGOTTEN));
        // Prompts quote both.
        assert!(concerns(which, 21));
    }
    assert!(concerns(ForgottenParts::Answers, 3) && !concerns(ForgottenParts::Outputs, 3));
    assert!(concerns(ForgottenParts::Outputs, 23) && !concerns(ForgottenParts::Answers, 23));
    assert!(KINDS.iter().all(|(kind, ..)| *kind == FORGOTTEN || concerns(ForgottenParts::All, *kind)));
}
