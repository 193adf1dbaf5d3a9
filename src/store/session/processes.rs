//! The laws of one owner and many clients, tried with real processes, signals and hostile bytes.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::protocol::{AGREED, Greeting, HAND_OVER, Request, Response, decode, encode, read_message};
use super::testing::{FileLog, Process, batch_of, eventually, noticed, opener, options, place, run_of, session};
use super::{Notice, Options, Role, Session, spool};
use crate::store::Error;
use crate::store::log::{Log, NewEvent};

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("meno").tempdir().unwrap()
}

fn impatient() -> Options {
    options(Duration::from_millis(400))
}

/// How often each id stands in the log, read from the file itself.
fn counted(dir: &Path) -> HashMap<u64, usize> {
    let log = FileLog::open(dir).unwrap();
    let mut counts = HashMap::new();
    for event in log.read(1, u32::MAX).unwrap() {
        *counts.entry(u64::from_be_bytes(event.public.try_into().unwrap())).or_default() += 1;
    }
    counts
}

fn acknowledged(process: &Process) -> Vec<u64> {
    std::iter::from_fn(|| process.line()).map(|line| line.parse().unwrap()).collect()
}

#[test]
fn killing_owners_loses_no_acknowledged_batch_and_doubles_none() {
    let root = folder();
    let dir = root.path();
    let mut owner = Process::start(dir, "own");
    assert_eq!(owner.line().unwrap(), "owner");
    let mut clients: Vec<Process> = (1..=4).map(|seed| Process::start(dir, &format!("append {seed} 150"))).collect();
    let mut acked: Vec<u64> = Vec::new();
    for client in &clients {
        acked.extend((0..10).map(|_| client.line().unwrap().parse::<u64>().unwrap()));
    }
    owner.child.kill().unwrap();
    // One of the clients is owner next, and is killed too once the others go on.
    let watcher = Session::open(place(dir), opener(), Options { may_own: false, ..options(Duration::from_secs(20)) }).unwrap();
    let second = watcher.status().unwrap().pid;
    assert_ne!(second, owner.pid());
    for client in &clients {
        acked.extend((0..10).map_while(|_| client.line()).map(|line| line.parse::<u64>().unwrap()));
    }
    if let Some(client) = clients.iter_mut().find(|client| client.pid() == second) {
        client.child.kill().unwrap();
    }
    for client in &mut clients {
        acked.extend(acknowledged(client));
        let ended = client.child.wait().unwrap();
        assert!(ended.success() || client.pid() == second);
    }
    drop(watcher);
    let counts = counted(dir);
    assert!(acked.len() >= 3 * 150);
    assert!(acked.iter().all(|id| counts.get(id) == Some(&1)), "an acknowledged batch is lost");
    assert!(counts.values().all(|count| *count == 1), "a batch is doubled");
}

#[test]
fn eight_processes_at_once_have_everything_appended() {
    let root = folder();
    let processes: Vec<Process> = (1..=8).map(|seed| Process::start(root.path(), &format!("append {seed} 20"))).collect();
    let acked: Vec<u64> = processes.iter().flat_map(acknowledged).collect();
    processes.into_iter().for_each(Process::end);
    assert_eq!(acked.len(), 160);
    let counts = counted(root.path());
    assert!(acked.iter().all(|id| counts[id] == 1));
    assert_eq!(counts.len(), 160);
}

#[test]
fn a_frozen_owner_is_named_within_the_patience_and_all_goes_on_once_it_thaws() {
    let root = folder();
    let owner = Process::start(root.path(), "own");
    assert_eq!(owner.line().unwrap(), "owner");
    let client = Session::open(place(root.path()), opener(), impatient()).unwrap();
    client.head().unwrap();
    owner.signal(Signal::STOP);
    let batch = batch_of(1, run_of(1), Some(0));
    for _ in 0..2 {
        let answer = client.append(&batch);
        assert!(matches!(answer, Err(Error::Unreachable { pid }) if pid == Some(owner.pid())), "{answer:?}");
    }
    let late = Session::open(place(root.path()), opener(), impatient());
    assert!(matches!(late.err(), Some(Error::Unreachable { pid }) if pid == Some(owner.pid())));
    owner.signal(Signal::CONT);
    eventually("the owner answers again", || client.append(&batch).is_ok());
    assert_eq!(client.read(1, 10).unwrap().len(), 1, "what was sent to the frozen owner counts once");
    owner.end();
}

#[test]
fn an_owner_that_ends_or_releases_leaves_the_store_to_its_clients() {
    let root = folder();
    let mut owner = Process::start(root.path(), "own");
    assert_eq!(owner.line().unwrap(), "owner");
    let client = session(root.path());
    client.append(&batch_of(1, run_of(1), Some(0))).unwrap();
    assert_eq!(client.role(), Role::Client);
    owner.say("release");
    assert_eq!(owner.line().unwrap(), "Client");
    client.append(&batch_of(2, run_of(1), Some(1))).unwrap();
    assert_eq!(client.role(), Role::Owner);
    owner.say("head");
    assert_eq!(owner.line().unwrap(), "Client", "it goes on as a client");
    drop(client);
    assert!(!root.path().join("owner.sock").exists());
    owner.say("head");
    assert_eq!(owner.line().unwrap(), "Owner");
    owner.end();
}

#[test]
fn whoever_needs_the_files_is_handed_the_store() {
    let root = folder();
    let (opts, told) = noticed(options(Duration::from_secs(20)));
    let first = Session::open(place(root.path()), opener(), opts).unwrap();
    let second = session(root.path());
    first.append(&batch_of(1, run_of(1), None)).unwrap();
    assert_eq!((first.role(), second.role()), (Role::Owner, Role::Client));
    second.own().unwrap();
    assert_eq!(second.role(), Role::Owner);
    second.own().unwrap();
    assert_eq!(first.head().unwrap().seq, 1);
    assert_eq!(first.role(), Role::Client);
    assert!(told.iter().any(|notice| notice == Notice::HandedOver));
}

#[test]
fn one_who_stays_takes_over_when_the_owner_goes() {
    let root = folder();
    let owner = session(root.path());
    let staying = Session::open(place(root.path()), opener(), Options { stay: true, ..impatient() }).unwrap();
    assert_eq!(staying.role(), Role::Client);
    drop(owner);
    eventually("it becomes owner unasked", || staying.role() == Role::Owner);
    let other = session(root.path());
    other.own().unwrap();
    assert_eq!((staying.role(), other.role()), (Role::Client, Role::Owner));
    drop(other);
    eventually("it becomes owner again", || staying.role() == Role::Owner);
}

#[test]
fn every_request_gives_the_client_what_the_owner_has() {
    let root = folder();
    let owner = session(root.path());
    let client = session(root.path());
    let run = run_of(1);
    let batch = batch_of(1, run, Some(0));
    let appended = client.append(&batch).unwrap();
    assert!(!appended.repeated);
    assert_eq!(owner.append(&batch).unwrap().events, appended.events);
    assert_eq!(client.head().unwrap(), owner.head().unwrap());
    assert_eq!(client.read(1, 9).unwrap(), owner.read(1, 9).unwrap());
    assert_eq!(client.read_run(run, 1, 9).unwrap(), owner.read(1, 9).unwrap());
    assert_eq!(client.view("runs", b"a", Some(b"b"), true, 3).unwrap(), owner.view("runs", b"a", Some(b"b"), true, 3).unwrap());
    assert_eq!(client.status().unwrap(), owner.status().unwrap());
    let error = client.append(&batch_of(2, run, Some(0))).unwrap_err();
    assert!(matches!(error, Error::Conflict { run: of, expected: 0, actual: 1 } if of == run));
    let other = NewEvent { kind: 8, ..batch.events[0].clone() };
    assert!(matches!(client.append(&crate::store::log::Batch { events: vec![other], ..batch }), Err(Error::BatchReused(_))));
}

#[test]
fn a_batch_of_many_frames_goes_through() {
    let root = folder();
    let _owner = session(root.path());
    let client = session(root.path());
    let mut batch = batch_of(1, run_of(1), Some(0));
    batch.events[0].private = vec![7; 17 << 20];
    client.append(&batch).unwrap();
    assert_eq!(client.read(1, 1).unwrap()[0].private.as_ref().unwrap().len(), 17 << 20);
}

#[test]
fn a_wait_ends_with_the_next_event_and_outlives_its_owner() {
    let root = folder();
    let owner = session(root.path());
    let client = session(root.path());
    assert_eq!(client.wait(0, Duration::from_millis(20)).unwrap(), 0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.wait(0, Duration::from_secs(60)));
        owner.append(&batch_of(1, run_of(1), None)).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 1);
        let waiting = scope.spawn(|| client.wait(1, Duration::from_secs(60)));
        owner.release().unwrap();
        owner.append(&batch_of(2, run_of(1), None)).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 2);
    });
}

#[test]
fn threads_of_one_process_share_the_session_through_every_change_of_owner() {
    let root = folder();
    let (first, second) = (session(root.path()), session(root.path()));
    thread::scope(|scope| {
        for seed in 1..=4_u64 {
            let session = if seed % 2 == 0 { &first } else { &second };
            scope.spawn(move || {
                for number in 0..30 {
                    session.append(&batch_of(seed << 32 | number, run_of(seed as u8), Some(number))).unwrap();
                }
            });
        }
        for _ in 0..3 {
            first.own().unwrap();
            second.own().unwrap();
        }
    });
    drop((first, second));
    let counts = counted(root.path());
    assert!(counts.len() == 120 && counts.values().all(|count| *count == 1));
}

#[test]
fn clients_of_an_owner_that_is_still_opening_learn_what_it_does_and_wait() {
    let root = folder();
    let (go, wait_for_go) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let (wait_for_go, tell) = (std::sync::Mutex::new(wait_for_go), std::sync::Mutex::new(tell));
    let slow: super::Opener = Arc::new(move |dir, progress| {
        progress("rebuilding", 40);
        tell.lock().unwrap().send(()).unwrap();
        wait_for_go.lock().unwrap().recv().unwrap();
        Ok(Arc::new(FileLog::open(dir)?))
    });
    thread::scope(|scope| {
        // Dropped when an assertion fails, so that the owner's thread ends too.
        let go = go;
        let owner = scope.spawn(|| Session::open(place(root.path()), slow, options(Duration::ZERO)).unwrap());
        told.recv().unwrap();
        let (opts, notices) = noticed(impatient());
        let client = Session::open(place(root.path()), opener(), opts).unwrap();
        let error = client.head().unwrap_err();
        let pid = std::process::id();
        assert!(matches!(&error, Error::Busy { pid: of, words, percent: 40 } if *of == pid && words == "rebuilding"), "{error}");
        assert!(notices.try_iter().any(|notice| matches!(notice, Notice::OwnerBusy { .. })));
        assert_eq!(client.status().unwrap().doing.map(|doing| doing.percent), Some(40));
        let patient = session(root.path());
        let waiting = scope.spawn(move || patient.head());
        go.send(()).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().seq, 0);
        drop(owner.join().unwrap());
    });
}

/// A log that makes its index again when it is first read, and says so, until it is told to be done.
struct Rebuilding {
    log: FileLog,
    tell: super::Tell,
    begun: std::sync::Mutex<mpsc::Sender<()>>,
    go: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Log for Rebuilding {
    fn append(&self, batch: &crate::store::log::Batch) -> Result<crate::store::log::Appended, Error> {
        self.log.append(batch)
    }

    fn head(&self) -> Result<crate::store::log::Head, Error> {
        self.log.head()
    }

    fn read(&self, from: u64, limit: u32) -> Result<Vec<crate::store::log::Stored>, Error> {
        (self.tell)("rebuilding", 40);
        self.begun.lock().unwrap().send(()).unwrap();
        // Whoever drops the other end wants it to be done as well.
        let _ = self.go.lock().unwrap().recv();
        (self.tell)("rebuilding", 100);
        self.log.read(from, limit)
    }

    fn read_run(&self, run: crate::domain::ids::RunId, from: u64, limit: u32) -> Result<Vec<crate::store::log::Stored>, Error> {
        self.log.read_run(run, from, limit)
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        self.log.wait(seen, patience)
    }

    fn view(
        &self,
        view: &str,
        from: &[u8],
        to: Option<&[u8]>,
        reverse: bool,
        limit: u32,
    ) -> Result<crate::store::log::ViewRows, Error> {
        self.log.view(view, from, to, reverse, limit)
    }
}

#[test]
fn clients_of_an_owner_that_rebuilds_in_the_middle_are_told_how_far_it_is() {
    let root = folder();
    let (go, wait_for_go) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let parts = std::sync::Mutex::new(Some((begun, wait_for_go)));
    let slow: super::Opener = Arc::new(move |dir, tell| {
        let (begun, go) = parts.lock().unwrap().take().unwrap();
        let (begun, go) = (std::sync::Mutex::new(begun), std::sync::Mutex::new(go));
        Ok(Arc::new(Rebuilding { log: FileLog::open(dir)?, tell: Arc::clone(tell), begun, go }))
    });
    let owner = Session::open(place(root.path()), slow, options(Duration::from_secs(20))).unwrap();
    owner.head().unwrap();
    thread::scope(|scope| {
        // Dropped when an assertion fails, so that the reader's thread ends too.
        let go = go;
        // The one whose question began it, and one who comes later and asks for something else.
        let (opts, first_told) = noticed(impatient());
        let first = Session::open(place(root.path()), opener(), opts).unwrap();
        let reading = scope.spawn(move || first.read(1, 10).unwrap_err());
        has_begun.recv().unwrap();
        let (opts, later_told) = noticed(impatient());
        let later = Session::open(place(root.path()), opener(), opts).unwrap();
        for (error, told) in [(later.head().unwrap_err(), later_told), (reading.join().unwrap(), first_told)] {
            assert!(matches!(&error, Error::Busy { words, percent: 40, .. } if words == "rebuilding"), "{error}");
            assert!(told.try_iter().any(|notice| matches!(notice, Notice::OwnerBusy { .. })));
        }
        go.send(()).unwrap();
        eventually("it is done", || later.head().is_ok());
    });
    drop(owner);
}

#[test]
fn an_opener_that_fails_or_panics_leaves_the_store_free() {
    let root = folder();
    let failing: super::Opener = Arc::new(|_, _| Err(Error::Damaged("at 7".into())));
    assert!(matches!(Session::open(place(root.path()), failing, impatient()).err(), Some(Error::Damaged(_))));
    let panicking: super::Opener = Arc::new(|_, _| panic!("a test's panic"));
    let panicked =
        thread::scope(|scope| scope.spawn(|| Session::open(place(root.path()), panicking, impatient()).map(drop)).join());
    assert!(panicked.is_err());
    assert!(!root.path().join("owner.sock").exists());
    assert_eq!(session(root.path()).role(), Role::Owner);
}

#[test]
fn a_socket_left_by_a_dead_owner_and_a_deep_store_are_no_obstacle() {
    let root = folder();
    let dir = root.path().join("d".repeat(110)).join("e".repeat(110)).join("store");
    let mut owner = Process::start(&dir, "own");
    assert_eq!(owner.line().unwrap(), "owner");
    let client = session(&dir);
    client.append(&batch_of(1, run_of(1), None)).unwrap();
    owner.child.kill().unwrap();
    owner.child.wait().unwrap();
    assert!(dir.join("owner.sock").exists(), "a killed owner leaves its socket");
    client.append(&batch_of(2, run_of(1), None)).unwrap();
    assert_eq!(client.role(), Role::Owner);
    assert_eq!(session(&dir).head().unwrap().seq, 2);
}

#[test]
fn the_spool_is_taken_in_before_the_first_request_is_answered() {
    let root = folder();
    let run = run_of(1);
    let first = session(root.path());
    first.append(&batch_of(1, run, Some(0))).unwrap();
    drop(first);
    spool::write(&place(root.path()), run, &batch_of(2, run, Some(0))).unwrap();
    let (opts, told) = noticed(impatient());
    let next = Session::open(place(root.path()), opener(), opts).unwrap();
    assert_eq!(next.head().unwrap().seq, 2);
    assert!(told.try_iter().any(|notice| matches!(notice, Notice::SpoolTaken(taken) if taken.appended == 1)));
    let repeated = next.append(&batch_of(2, run, Some(0))).unwrap();
    assert!(repeated.repeated, "its executor offers it again and learns that it is in");
}

#[test]
fn who_may_not_own_does_not() {
    let root = folder();
    let outcome = Session::open(place(root.path()), opener(), Options { may_own: false, ..impatient() });
    assert!(matches!(outcome.err(), Some(Error::Unreachable { pid: None })));
}

fn greeted(stream: &mut UnixStream, greeting: &Greeting) -> Greeting {
    greeting.write(stream).unwrap();
    Greeting::read(stream).unwrap()
}

#[test]
fn hostile_bytes_end_their_connection_and_nothing_else() {
    let root = folder();
    let owner = session(root.path());
    let socket = root.path().join("owner.sock");
    let ends = |stream: &mut UnixStream| {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut rest = Vec::new();
        // The server may close with bytes of ours unread, which shows as a reset.
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        rest
    };
    let mut stranger = UnixStream::connect(&socket).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(ends(&mut stranger).is_empty());
    for hostile in [vec![0xff; 4], vec![0, 0, 0, 0x80], [vec![4, 0, 0, 0], vec![0xff; 4]].concat(), vec![2, 0, 0, 0, 1, 1]] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        greeted(&mut stream, &Greeting::own("0.1.0"));
        stream.write_all(&hostile).unwrap();
        let rest = ends(&mut stream);
        if hostile.len() > 4 {
            let answer: Response = decode(&read_message(&mut rest.as_slice()).unwrap().unwrap()).unwrap();
            assert!(matches!(answer, Response::Malformed(_)));
        }
    }
    // Half a frame, and silence: its connection waits, others do not.
    let mut half = UnixStream::connect(&socket).unwrap();
    greeted(&mut half, &Greeting::own("0.1.0"));
    half.write_all(&[200, 0, 0, 0, 1]).unwrap();
    assert_eq!(session(root.path()).head().unwrap().seq, 0);
    drop(owner);
    assert!(ends(&mut half).is_empty());
}

#[test]
fn connections_beyond_the_limit_are_closed_and_room_is_made_when_others_go() {
    let root = folder();
    let _owner = session(root.path());
    let mut held = Vec::new();
    for _ in 0..400 {
        let mut stream = UnixStream::connect(root.path().join("owner.sock")).unwrap();
        let greeted = Greeting::own("0.1.0").write(&mut stream).and_then(|()| Greeting::read(&mut stream));
        if greeted.is_err() {
            break;
        }
        held.push(stream);
    }
    assert_eq!(held.len(), 256);
    assert!(Session::open(place(root.path()), opener(), impatient()).is_err());
    held.clear();
    assert_eq!(session(root.path()).head().unwrap().seq, 0);
}

#[test]
fn a_newer_client_gets_the_store_only_from_an_owner_that_does_nothing_but_serve() {
    let newer = Greeting { protocol: 9, oldest: 8, ..Greeting::own("9.0.0") };
    for stay in [false, true] {
        let root = folder();
        let owner = Session::open(place(root.path()), opener(), Options { stay, ..impatient() }).unwrap();
        let mut stream = UnixStream::connect(root.path().join("owner.sock")).unwrap();
        assert_eq!(greeted(&mut stream, &newer).pid, std::process::id());
        stream.write_all(&HAND_OVER).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer == AGREED, stay);
        if stay {
            eventually("the owner goes", || owner.role() == Role::Client);
        } else {
            assert_eq!(owner.role(), Role::Owner);
        }
    }
}

/// An owner of another version: greets, and answers the plea as told.
fn foreign_owner(dir: &Path, greeting: Greeting, agrees: bool) -> (thread::JoinHandle<()>, Arc<AtomicBool>) {
    let listener = UnixListener::bind(dir.join("owner.sock")).unwrap();
    let pleaded = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&pleaded);
    let dir = dir.to_owned();
    let serving = thread::spawn(move || {
        let lock = super::lock::StoreLock::take(&place(&dir), "9").unwrap().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        Greeting::read(&mut stream).unwrap();
        greeting.write(&mut stream).unwrap();
        let mut plea = [0; 8];
        if stream.read_exact(&mut plea).is_ok() && plea == HAND_OVER {
            seen.store(true, Ordering::SeqCst);
            if agrees {
                stream.write_all(&AGREED).unwrap();
            }
        }
        drop((stream, listener, lock));
    });
    (serving, pleaded)
}

#[test]
fn an_owner_that_cannot_be_spoken_with_is_named_with_both_versions_or_hands_over() {
    let own = Greeting::own("0.1.0");
    let older = Greeting { protocol: 0, oldest: 0, pid: 77, version: "0.0.9".into(), ..own.clone() };
    let newer = Greeting { protocol: 9, oldest: 9, pid: 77, version: "9.0.0".into(), ..own };
    for (greeting, agrees, asked) in [(older.clone(), false, true), (newer, false, false), (older, true, true)] {
        let root = folder();
        let version = greeting.version.clone();
        let (serving, pleaded) = foreign_owner(root.path(), greeting, agrees);
        let opened = Session::open(place(root.path()), opener(), options(Duration::from_secs(20)));
        serving.join().unwrap();
        assert_eq!(pleaded.load(Ordering::SeqCst), asked);
        match opened {
            Ok(session) => assert!(agrees && session.role() == Role::Owner),
            Err(Error::Version { pid: 77, owner, own }) => assert!(!agrees && owner == version && own == "0.1.0"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn requests_on_the_wire_are_answered_in_turn() {
    let root = folder();
    let _owner = session(root.path());
    let mut stream = UnixStream::connect(root.path().join("owner.sock")).unwrap();
    greeted(&mut stream, &Greeting::own("0.1.0"));
    let requests = [encode(&Request::Head).unwrap(), encode(&Request::Wait { seen: 0, patience_ms: 1 }).unwrap()].concat();
    stream.write_all(&requests).unwrap();
    let mut next = || decode::<Response>(&read_message(&mut stream).unwrap().unwrap()).unwrap();
    assert!(matches!(next(), Response::Head(head) if head.seq == 0));
    assert_eq!(next(), Response::Passed(0));
}
