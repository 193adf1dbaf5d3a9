//! The program as its users meet it: every test gets a home of its own, an environment without keys, and a deadline that only a
//! hang can miss. What the store's files hold is read with the library, past the program under test.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use meno::event::{Event, Hash, NodeId, Recorded, RunId};
use meno::internals::complaint;
use meno::internals::settings::{Flags, Places, Variables};
use meno::internals::store::codec::{self, Decoded};
use meno::internals::store::journal::{self, Item};
use meno::internals::store::{OsFiles, Payloads, chain};
use meno::internals::workspace::{self, Options, Upkeep, World};
use meno::{Access, Workspace};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far beyond what anything here takes, also on a busy machine: only a hang gets there.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A user's home with a store that is not there yet.
pub struct House {
    dir: tempfile::TempDir,
}

impl House {
    /// Makes an empty home.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for folder in ["home", "config/meno", "data", "work"] {
            fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        }
        Self { dir }
    }

    /// Makes an empty home whose simulated models take so long per call.
    pub fn with_delay(delay_ms: u64) -> Self {
        let house = Self::new();
        house.configure(&format!("preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\ndelay_ms = {delay_ms}\n"));
        house
    }

    /// Returns a path inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the store's folder, which the first write makes.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes the user's settings.
    pub fn configure(&self, text: &str) {
        fs::write(self.path("config/meno/config.toml"), text).expect("the settings are written");
    }

    /// Puts a template into the store.
    pub fn template(&self, id: &str, template: &Value) {
        let file = self.path(&format!("{id}.json"));
        fs::write(&file, template.to_string()).expect("the template is written");
        self.meno(["template", "add", file.to_str().expect("a text")]).exits(0);
    }

    /// Returns the program in this home, with nothing else in its environment.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meno"));
        command.args(args).env_clear().current_dir(self.path("work"));
        command.env("HOME", self.path("home")).env("MENO_STORE", self.store());
        command
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn meno<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        finish(self.command(args))
    }

    /// Starts the program.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        Running::start(self.command(args))
    }

    /// Returns the journal as its files have it; see [`read_journal`].
    #[track_caller]
    pub fn journal(&self) -> Vec<Recorded> {
        read_journal(&self.store())
    }

    /// Opens the store with the library, and owns it for as long as the result lives when `stay`.
    pub fn workspace(&self, access: Access, stay: bool) -> Workspace {
        self.workspace_with(access, stay, Variables::through(|_| None))
    }

    /// Like [`House::workspace`], with the environment that `variables` reads.
    pub fn workspace_with(&self, access: Access, stay: bool, variables: Variables) -> Workspace {
        let places = Places {
            current: self.path("work"),
            data: self.path("data/meno"),
            config: self.path("config/meno"),
            cache: self.path("cache/meno"),
            store_variable: None,
            config_variable: None,
        };
        workspace::open(Options {
            places,
            store: Some(&self.store()),
            config: None,
            prices: None,
            flags: &Flags::default(),
            fallback: None,
            variables,
            access,
            wait: DEADLINE,
            stay,
            upkeep: Upkeep::default(),
            world: World::real(),
            notice: Arc::new(|_| {}),
        })
        .expect("the store opens")
    }
}

/// What a finished process left.
#[derive(Debug)]
pub struct Done {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// Its words.
    pub stderr: String,
}

impl Done {
    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stderr:\n{}\nstdout ends:\n{}", self.stderr, tail(&self.stdout));
        self
    }

    /// Checks that it ended on its own account, whether the run succeeded or not.
    #[track_caller]
    pub fn ends(self) -> Self {
        assert!(matches!(self.code, Some(0 | 3)), "{:?}, stderr:\n{}", self.code, self.stderr);
        self
    }

    /// Checks that a killed run went on to its end; one that had ended before the kill reached it has nothing to go on with.
    #[track_caller]
    pub fn went_on(self) -> Self {
        if self.code == Some(1) && self.stderr.contains("the run has ended") { self } else { self.ends() }
    }

    /// Returns stdout as JSON Lines.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
    }

    /// Returns the events among the lines.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["type"] == "event").collect()
    }

    /// Returns the run that the last line tells of.
    #[track_caller]
    pub fn run(&self) -> Value {
        let last = self.lines().pop().expect("a last line");
        assert_eq!(last["type"], "run", "{last}");
        last
    }
}

fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(2000);
    (from..=text.len()).find_map(|from| text.get(from..)).unwrap_or_default()
}

/// Runs `command` to its end, without a terminal.
#[track_caller]
pub fn finish(command: Command) -> Done {
    Running::start(command).end()
}

/// A process at work, whose lines arrive as it writes them. Killed when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts `command`.
    #[track_caller]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("piped");
        let errors = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // What a kill cut in the middle is no line: it has no end, and so is not taken for one.
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) && line.ends_with(b"\n") {
                line.pop();
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        let errors = std::thread::spawn(move || read_all(errors));
        Self { child, lines, seen: Vec::new(), errors: Some(errors) }
    }

    /// Waits for the next line; `None` at the end.
    #[track_caller]
    pub fn line(&mut self) -> Option<&str> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.seen.push(line);
                self.seen.last().map(String::as_str)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came for {DEADLINE:?}"),
        }
    }

    /// Returns the next line if it comes so soon.
    pub fn line_within(&mut self, patience: Duration) -> Option<String> {
        let line = self.lines.recv_timeout(patience).ok()?;
        self.seen.push(line.clone());
        Some(line)
    }

    /// Waits for the event of this kind; panics when the process ends without it.
    #[track_caller]
    pub fn until(&mut self, kind: &str) -> Value {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("it ended without {kind}"));
            let line: Value = serde_json::from_str(line).expect("JSON");
            if line["kind"] == kind {
                return line;
            }
        }
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is ours and not waited for yet");
    }

    /// Ends it as `kill -9` does, and returns what it had written.
    #[track_caller]
    pub fn kill(self) -> Done {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Waits for the end.
    #[track_caller]
    pub fn end(mut self) -> Done {
        let until = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            assert!(Instant::now() < until, "it hangs; so far it said:\n{}", tail(&self.seen.join("\n")));
            std::thread::sleep(Duration::from_millis(3));
        };
        while self.line().is_some() {}
        let stderr = self.errors.take().map(|thread| thread.join().expect("no panic")).unwrap_or_default();
        let stdout: String = self.seen.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        check_hints(&stdout);
        check_hints(&stderr);
        Done { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that has ended is no error.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns what stands between backticks in `text` and begins with the program's name: lines of a shell that it prints.
pub fn hints(text: &str) -> Vec<String> {
    let begin = text.match_indices("`meno ");
    let line = |(at, _): (usize, &str)| {
        let rest = &text[at + 1..];
        let end = rest.find('`').filter(|end| !rest[..*end].contains('\n'))?;
        // Within JSON quotes are escaped.
        Some(rest[..end].replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    begin.filter_map(line).collect()
}

/// Splits a line of a shell into words, up to a redirection or a pipe.
pub fn words_of(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_begun) = (Vec::new(), String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => (quote, is_begun) = (Some(c), true),
            ('\\', None) => word.extend(chars.next()),
            ('>' | '|' | '&' | ';', None) => break,
            (c, None) if c.is_whitespace() => {
                if is_begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_begun = false;
            }
            (c, None) => word.push(c),
        }
    }
    if is_begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Says why a line of a shell that is printed cannot be typed; `None` when it can.
pub fn cannot_be_typed(line: &str) -> Option<String> {
    // The one word that stands for any command.
    if line.starts_with("meno COMMAND") {
        return None;
    }
    complaint(words_of(line).into_iter().map(std::ffi::OsString::from))
}

/// Checks that every line of a shell that was printed can be typed as it stands.
#[track_caller]
fn check_hints(text: &str) {
    for line in hints(text) {
        if let Some(error) = cannot_be_typed(&line) {
            panic!("`{line}` is printed, and cannot be typed: {error}\nin: {}", tail(text));
        }
    }
}

fn read_all(mut stream: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the first segment of a store of one node, and the byte behind its last frame: zeros are written ahead, and a frame may end with
/// one.
#[track_caller]
pub fn journal_end(store: &Path) -> (PathBuf, usize) {
    let (dir, node) = journal_dir(store);
    let segment = journal::segments(&OsFiles, &dir, node, 1).expect("a folder").next().expect("a segment").expect("read");
    let frames = segment.items().filter_map(|item| match item {
        Item::Frame(at, frame) => Some(at as usize + frame.bytes.len()),
        _ => None,
    });
    let end = frames.last().expect("a frame");
    (segment.path.clone(), end)
}

fn journal_dir(store: &Path) -> (PathBuf, NodeId) {
    let entries = fs::read_dir(store.join("journal")).expect("a journal").map(|entry| entry.expect("an entry").path());
    let nodes: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    let [dir] = nodes.as_slice() else { panic!("one node, not {nodes:?}") };
    let node: NodeId = dir.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok()).expect("a node's name");
    (dir.clone(), node)
}

/// Reads the journal from its files and checks all that it promises: no damage, positions and versions without gaps, every hash
/// following from the one before, every private part the one that was committed to.
#[track_caller]
pub fn read_journal(store: &Path) -> Vec<Recorded> {
    let (dir, node) = journal_dir(store);
    let mut events = Vec::new();
    let mut head = chain::genesis(node);
    let mut versions: BTreeMap<RunId, u64> = BTreeMap::new();
    for segment in journal::segments(&OsFiles, &dir, node, 1).expect("a folder") {
        let segment = segment.expect("a segment");
        for item in segment.items() {
            let Item::Frame(_, frame) = item else {
                assert!(matches!(item, Item::Footer(_)), "{item:?} in {}", segment.path.display());
                continue;
            };
            let previous = head;
            let each = |record: codec::Record<'_>, hash: Hash| {
                let stored = record.to_stored(hash)?;
                assert_eq!(stored.envelope.seq, events.len() as u64 + 1);
                if let Some(run) = stored.envelope.run {
                    let version = versions.entry(run).or_default();
                    *version += 1;
                    assert_eq!(stored.envelope.version, *version, "run {run}");
                }
                assert_eq!(stored.private.as_deref().map(chain::commitment), Some(stored.commitment));
                match codec::decode(&stored)? {
                    Decoded::Known(recorded) => events.push(recorded),
                    unknown => panic!("{unknown:?}"),
                }
                Ok(())
            };
            frame.chained(previous, each).expect("the chain holds");
            head = frame.hash;
        }
    }
    events
}

/// Says that this machine lacks what a check needs; fails where `.ci/run` has found that it is there.
#[track_caller]
pub fn cannot_check(what: &str, why: &str) {
    let must = std::env::var("MENO_MUST_CHECK").unwrap_or_default();
    assert!(!must.split_whitespace().any(|name| name == what), "{what} could be checked on this machine, and was not: {why}");
    eprintln!("{what} is not checked here: {why}");
}

/// Checks that every printed event stands in the journal, at its position and with its hash.
#[track_caller]
pub fn assert_kept(printed: &[Value], journal: &[Recorded]) {
    for line in printed {
        let seq = line["seq"].as_u64().expect("a position") as usize;
        let kept = journal.get(seq - 1).unwrap_or_else(|| panic!("event {seq} was printed and is not there: {line}"));
        assert_eq!(line["hash"], kept.hash.to_string(), "event {seq}");
        assert_eq!(line["kind"], kept.event.name(), "event {seq}");
    }
}

/// Checks that nothing was done again after it had succeeded, and that no call of a passed attempt was made twice.
#[track_caller]
pub fn assert_nothing_repeated(journal: &[Recorded]) {
    let mut ended = std::collections::BTreeSet::new();
    let mut succeeded = std::collections::BTreeSet::new();
    for recorded in journal {
        let Some(run) = recorded.envelope.run else { continue };
        match &recorded.event {
            Event::AttemptStarted(body) => {
                assert!(!succeeded.contains(&(run, body.agent)), "agent {} of {run} tries again after its success", body.agent);
                assert!(!ended.contains(&(run, body.agent, body.attempt)), "an ended attempt starts again");
            }
            Event::CallStarted(body) => {
                assert!(!ended.contains(&(run, body.agent, body.attempt)), "an ended attempt calls again: {body:?}");
            }
            Event::AttemptEnded(body) => {
                assert!(ended.insert((run, body.agent, body.attempt)), "an attempt ends twice: {body:?}");
            }
            Event::AgentSucceeded(body) => {
                assert!(succeeded.insert((run, body.agent)), "an agent succeeds twice: {body:?}");
            }
            _ => {}
        }
    }
}

/// Copies the files below `from`.
pub fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let to = to.join(file.strip_prefix(from).expect("inside"));
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(&file, to).expect("copied");
    }
}

/// Returns the files below `dir`.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let below = |entry: fs::DirEntry| match entry.file_type().expect("a type") {
        kind if kind.is_dir() => files(&entry.path()),
        kind if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    };
    entries.flat_map(below).collect()
}

/// Returns the files of the store in which `needle` stands, payloads unpacked.
pub fn files_with(store: &Path, needle: &str) -> Vec<PathBuf> {
    let payloads = Payloads::new(Arc::new(OsFiles), store);
    let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let holds = |path: &PathBuf| {
        let name: Option<Hash> = path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
        let unpacked = name.and_then(|name| payloads.read(name).ok());
        has(&fs::read(path).expect("a file")) || unpacked.is_some_and(|text| has(&text))
    };
    files(store).into_iter().filter(holds).collect()
}
