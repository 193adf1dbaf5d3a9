//! For tests: a log in one file that notices a second writer, sessions on it, and this test binary run as another process.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::open::{Role, Session};
use super::options::{Notice, Opener, Options};
use super::protocol::{decode, encode, read_message};
use super::store_dir::{Create, StoreDir};
use crate::domain::event::Envelope;
use crate::domain::ids::{BatchId, Hash, NodeId, RunId};
use crate::store::Error;
use crate::store::log::{Appended, Batch, Cause, Head, Log, NewEvent, Stored, ViewRows};

/// A log of plain frames in one file, durable after each append. Opening it while it is open elsewhere is an error.
pub(super) struct FileLog {
    inside: Mutex<Inside>,
    grown: Condvar,
}

struct Inside {
    file: File,
    events: Vec<Stored>,
    versions: HashMap<RunId, u64>,
    batches: HashMap<BatchId, (Vec<NewEvent>, std::ops::Range<usize>)>,
}

impl FileLog {
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("journal.test");
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        file.try_lock().map_err(|_| Error::Damaged("two writers".into()))?;
        let mut inside =
            Inside { file: file.try_clone().unwrap(), events: vec![], versions: HashMap::new(), batches: HashMap::new() };
        let mut whole = 0;
        while let Ok(Some(message)) = read_message(&mut file) {
            inside.take(&decode(&message).unwrap());
            whole = file.stream_position().unwrap();
        }
        file.set_len(whole).unwrap();
        inside.file.seek(std::io::SeekFrom::End(0)).unwrap();
        Ok(Self { inside: Mutex::new(inside), grown: Condvar::new() })
    }
}

impl Inside {
    fn take(&mut self, batch: &Batch) {
        let first = self.events.len();
        for event in &batch.events {
            let version = event.run.map_or(0, |run| {
                let version = self.versions.entry(run).or_default();
                *version += 1;
                *version
            });
            let seq = self.events.len() as u64 + 1;
            let cause = event.cause.map(|cause| match cause {
                Cause::At(seq) => seq,
                Cause::InBatch(index) => first as u64 + 1 + u64::from(index),
            });
            self.events.push(Stored {
                envelope: Envelope { seq, run: event.run, version, at: 0, occurred_at: event.occurred_at, cause },
                kind: event.kind,
                kind_version: event.kind_version,
                public: event.public.clone(),
                commitment: event.commitment,
                private: Some(event.private.clone()),
                hash: Hash::of(&seq.to_le_bytes()),
            });
        }
        self.batches.insert(batch.id, (batch.events.clone(), first..self.events.len()));
    }

    fn outcome(&self, range: std::ops::Range<usize>, repeated: bool) -> Appended {
        Appended { events: self.events[range].iter().map(|event| (event.envelope, event.hash)).collect(), repeated }
    }
}

impl Log for FileLog {
    fn append(&self, batch: &Batch) -> Result<Appended, Error> {
        let mut inside = self.inside.lock().unwrap();
        if let Some((events, range)) = inside.batches.get(&batch.id) {
            // As the spec says: sameness is judged on the events, whatever version was expected.
            return if *events == batch.events {
                Ok(inside.outcome(range.clone(), true))
            } else {
                Err(Error::BatchReused(batch.id))
            };
        }
        if let Some((run, expected)) = batch.expected_version {
            let actual = inside.versions.get(&run).copied().unwrap_or(0);
            if actual != expected {
                return Err(Error::Conflict { run, expected, actual });
            }
        }
        let bytes = encode(batch).unwrap();
        inside.file.write_all(&bytes).unwrap();
        inside.file.sync_data().unwrap();
        let first = inside.events.len();
        inside.take(batch);
        self.grown.notify_all();
        Ok(inside.outcome(first..first + batch.events.len(), false))
    }

    fn head(&self) -> Result<Head, Error> {
        let inside = self.inside.lock().unwrap();
        Ok(Head { node: NodeId::from_bytes([1; 16]), seq: inside.events.len() as u64, hash: Hash::default() })
    }

    fn read(&self, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        let inside = self.inside.lock().unwrap();
        Ok(inside.events.iter().skip(from.saturating_sub(1) as usize).take(limit as usize).cloned().collect())
    }

    fn read_run(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Stored>, Error> {
        let inside = self.inside.lock().unwrap();
        let of_run = inside.events.iter().filter(|event| event.envelope.run == Some(run) && event.envelope.version >= from);
        Ok(of_run.take(limit as usize).cloned().collect())
    }

    fn wait(&self, seen: u64, patience: Duration) -> Result<u64, Error> {
        let inside = self.inside.lock().unwrap();
        let (inside, _) = self.grown.wait_timeout_while(inside, patience, |inside| inside.events.len() as u64 <= seen).unwrap();
        Ok(inside.events.len() as u64)
    }

    fn view(&self, view: &str, from: &[u8], to: Option<&[u8]>, reverse: bool, limit: u32) -> Result<ViewRows, Error> {
        let row = format!("{view} {from:?} {to:?} {reverse} {limit}").into_bytes();
        Ok(ViewRows { rows: vec![(from.to_vec(), row)], seen: self.head()?.seq })
    }
}

pub(super) fn run_of(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

/// A batch of one event of `run`, whose public part is `id`.
pub(super) fn batch_of(id: u64, run: RunId, expected: Option<u64>) -> Batch {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&id.to_be_bytes());
    Batch {
        id: BatchId::from_bytes(bytes),
        expected_version: expected.map(|version| (run, version)),
        events: vec![NewEvent {
            kind: 7,
            kind_version: 1,
            run: Some(run),
            occurred_at: None,
            cause: None,
            public: id.to_be_bytes().to_vec(),
            commitment: [3; 32],
            private: b"private".to_vec(),
        }],
        payloads: vec![],
        day_limit: None,
    }
}

pub(super) fn opener() -> Opener {
    Arc::new(|dir, progress| {
        progress("replaying", 50);
        Ok(Arc::new(FileLog::open(dir)?))
    })
}

pub(super) fn options(wait: Duration) -> Options {
    Options { wait, stay: false, may_own: true, reader: None, version: "0.1.0".into(), on_notice: Arc::new(|_| {}) }
}

pub(super) fn place(dir: &Path) -> StoreDir {
    StoreDir::open(dir, Create::WithParents).unwrap()
}

pub(super) fn session(dir: &Path) -> Session {
    Session::open(place(dir), opener(), options(Duration::from_secs(20))).unwrap()
}

/// Options whose notices can be read.
pub(super) fn noticed(options: Options) -> (Options, mpsc::Receiver<Notice>) {
    let (tell, told) = mpsc::channel();
    let on_notice: Arc<dyn Fn(&Notice) + Send + Sync> = Arc::new(move |notice| drop(tell.send(notice.clone())));
    (Options { on_notice, ..options }, told)
}

/// Waits until something is so; the limit is only for tests that fail.
pub(super) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Another process with a session on the store in `dir`; killed when dropped.
pub(super) struct Process {
    pub(super) child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts one that does `task`, one of those in [`child_process`].
    pub(super) fn start(dir: &Path, task: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::session::testing::child_process", "--exact", "--nocapture", "--test-threads=1"])
            .env("MENO_TEST_TASK", task)
            .env("MENO_TEST_STORE", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("> ") {
                    let _ = tell.send(said.to_owned());
                }
            }
        });
        Self { stdin: child.stdin.take(), child, lines }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line; `None` when it has ended.
    pub(super) fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("process {} says nothing", self.pid()),
        }
    }

    pub(super) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends a signal. A stop is waited for: until every thread stands still, the process may answer one more request.
    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        if signal == Signal::STOP {
            waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).unwrap();
        }
    }

    /// Lets it end by itself.
    pub(super) fn end(mut self) {
        self.stdin = None;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: what [`Process`] runs. Tasks: `append <seed> <count>` appends and says each acknowledged id; `own` owns the store
/// and obeys `release` and `head`, until stdin ends.
#[test]
fn child_process() {
    let (Ok(task), Some(dir)) = (std::env::var("MENO_TEST_TASK"), std::env::var_os("MENO_TEST_STORE")) else { return };
    println!();
    let session = session(Path::new(&dir));
    let words: Vec<&str> = task.split(' ').collect();
    match words[..] {
        ["append", seed, count] => {
            let seed: u64 = seed.parse().unwrap();
            for number in 0..count.parse().unwrap() {
                let id = seed << 32 | number;
                session.append(&batch_of(id, run_of(seed as u8), Some(number))).unwrap();
                println!("> {id}");
            }
        }
        ["own"] => {
            assert_eq!(session.role(), Role::Owner);
            println!("> owner");
            for line in std::io::stdin().lines() {
                match line.unwrap().as_str() {
                    "release" => session.release().unwrap(),
                    "head" => drop(session.head().unwrap()),
                    other => panic!("what is {other}"),
                }
                println!("> {:?}", session.role());
            }
        }
        _ => panic!("what is {task}"),
    }
}
