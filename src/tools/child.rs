//! Runs a program to its end or its limit: no shell, a scrubbed environment, a process group of its own that is killed whole.
//!
//! A program that makes itself a session of its own leaves the group. What else it may touch, [`super::sandbox`] says.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process, waitid};
use tokio_util::sync::CancellationToken;

use super::programs::Programs;
use super::sandbox::Confinement;

/// Bytes of output that are kept from its beginning, and as many from its end.
const KEPT_BYTES: usize = 2 << 20;
/// How often a child that says nothing is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long output is awaited after the end of whoever was started: something that left the group may hold the pipe for ever.
const GRACE: Duration = Duration::from_millis(500);

/// The variables that a child has, and where its program is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
    path: Vec<PathBuf>,
}

/// Variables that children have, where they are set.
const PASSED: [&str; 9] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "SHELL"];

impl Environment {
    /// Reads the variables that a child may have, and those of `more`, but for those that `is_secret` knows. Relative folders of PATH
    /// are left out: they would let a workspace bring its own programs.
    pub fn new(read: impl Fn(&str) -> Option<String>, more: &[String], is_secret: impl Fn(&str) -> bool) -> Self {
        let names = PASSED.iter().copied().chain(more.iter().map(String::as_str)).filter(|name| !is_secret(name));
        let mut variables: Vec<(String, String)> = names.filter_map(|name| Some((name.to_owned(), read(name)?))).collect();
        let mut path = Vec::new();
        for (_, value) in variables.iter_mut().filter(|(name, _)| name == "PATH") {
            path = value.split(':').filter(|folder| folder.starts_with('/')).map(PathBuf::from).collect();
            *value = path.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":");
        }
        // Nobody sees colours, and nobody answers questions.
        for (name, value) in [("TERM", "dumb"), ("NO_COLOR", "1"), ("CI", "1"), ("GIT_TERMINAL_PROMPT", "0")] {
            variables.push((name.to_owned(), value.to_owned()));
        }
        Self { variables, path }
    }

    /// Returns the environment with more variables; what stands there under their names is replaced.
    #[must_use]
    pub fn with<N: Into<String>, V: Into<String>>(&self, more: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut environment = self.clone();
        for (name, value) in more {
            let name = name.into();
            environment.variables.retain(|(known, _)| *known != name);
            environment.variables.push((name, value.into()));
        }
        environment
    }

    /// Returns the variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of a variable that programs have.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the folders in which programs are looked for.
    pub fn path(&self) -> &[PathBuf] {
        &self.path
    }

    /// Returns where a program lies: a name is looked for in the folders of PATH, an absolute path is itself.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let is_program = |path: &Path| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
        if program.contains('/') {
            let path = PathBuf::from(program);
            return (path.is_absolute() && is_program(&path)).then_some(path);
        }
        self.path.iter().map(|folder| folder.join(program)).find(|path| is_program(path))
    }
}

/// What came of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub exit: Option<i32>,
    /// Its time was up.
    pub timed_out: bool,
    /// What it wrote on both of its outputs, in order: the whole, or its head and its tail.
    pub output: String,
    /// Bytes that it wrote.
    pub bytes: u64,
    /// How long it ran.
    pub took: Duration,
}

/// The process groups of all programs that run.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Ends every program that runs for a tool or a criterion: for a process that leaves at once.
pub fn end_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.iter().filter_map(|group| Pid::from_raw(*group)).for_each(kill);
    let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    folders.iter().for_each(|folder| remove(folder));
}

/// The folders for what programs of this process write beside the workspace.
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A process group, listed while it runs.
struct Listed(i32);

impl Listed {
    fn new(group: Pid) -> Self {
        let raw = group.as_raw_nonzero().get();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(raw);
        Self(raw)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// A folder of its own for what a program writes beside the workspace; it goes when the program has ended.
pub(super) struct TempFolder {
    pub(super) path: PathBuf,
    /// Locked for as long as it is used, so that nobody takes it for left over: a number of a process says less where they are counted
    /// apart, as in containers.
    _held: Option<File>,
}

/// Where such folders lie.
fn temporary(environment: &Environment) -> &Path {
    Path::new(environment.get("TMPDIR").filter(|folder| folder.starts_with('/')).unwrap_or("/tmp"))
}

/// Removes the folders that processes of this user left which have ended without doing it.
pub fn remove_left_folders(environment: &Environment) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(temporary(environment)).into_iter().flatten().filter_map(Result::ok) {
        let Some(process) = entry.file_name().to_str().and_then(maker_of) else { continue };
        let path = entry.path();
        let is_own = path.symlink_metadata().is_ok_and(|about| about.is_dir() && about.uid() == own);
        let is_gone = is_own && test_kill_process(process) == Err(Errno::SRCH);
        if is_gone && File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            remove(&path);
        }
    }
}

/// Returns the process whose folder has this name.
fn maker_of(name: &str) -> Option<Pid> {
    let (process, number) = name.strip_prefix("meno-")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    Pid::from_raw(process.parse().ok().filter(|process| *process > 0)?)
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::debug!("cannot remove {}: {error}", folder.display());
    }
}

impl TempFolder {
    pub(super) fn new(environment: &Environment) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let above = temporary(environment);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = above.join(format!("meno-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.clone());
                    let held = File::open(&folder).ok().filter(|folder| folder.try_lock().is_ok());
                    return Ok(Self { path: folder, _held: held });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        remove(&self.path);
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

/// Runs `program` with `arguments` in `folder`, under `confinement`, noted among `programs`; `None` when `stop` was cancelled meanwhile.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    (program, arguments): (&Path, &[String]),
    folder: &Path,
    environment: &Environment,
    (confinement, programs): (&Confinement, Option<&Programs>),
    limit: Duration,
    stop: &CancellationToken,
) -> io::Result<Option<Ended>> {
    let start = Instant::now();
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    let temp = TempFolder::new(environment)?;
    command.args(arguments).current_dir(folder).env_clear().envs(environment.variables.iter().cloned()).env("TMPDIR", &temp.path);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = confinement.clone().with_writable(&temp.path).spawn(&mut command)?;
    // The command holds the writing end, which must close with the child.
    drop(command);
    let group = Pid::from_child(&child);
    let listed = (Listed::new(group), programs.and_then(|programs| programs.note(group, program)));
    let mut output = Kept::default();
    let mut reader = Some(reader);
    let (mut timed_out, mut stopped, mut ended_at) = (false, false, None);
    loop {
        match &mut reader {
            Some(pipe) => {
                // A pipe that breaks has nothing more to say.
                let is_over = match read_some(pipe, &mut output) {
                    Ok(is_over) => is_over,
                    Err(error) => error.kind() != io::ErrorKind::Interrupted,
                };
                reader = reader.filter(|_| !is_over);
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
        let out_of_time = start.elapsed() >= limit;
        if ended_at.is_none() && (out_of_time || stop.is_cancelled()) {
            stopped = stop.is_cancelled();
            timed_out = !stopped;
            kill(group);
        }
        // The child stays a zombie until it is waited for below, so its number stays its own while the group is killed.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // What cannot be waited for is ended, so that nothing is left running.
        if ended_at.is_none() && waitid(WaitId::Pid(group), options).map_or(true, |ended| ended.is_some()) {
            kill(group);
            ended_at = Some(Instant::now());
        }
        if ended_at.is_some_and(|ended| reader.is_none() || ended.elapsed() > GRACE) {
            break;
        }
    }
    // Once it is waited for, its number may be another's.
    drop(listed);
    let status = child.wait()?;
    // What had ended by itself has a result, whatever was asked meanwhile.
    if stopped {
        return Ok(None);
    }
    let bytes = output.bytes;
    Ok(Some(Ended {
        exit: if timed_out { None } else { status.code() },
        timed_out,
        output: output.text(),
        bytes,
        took: start.elapsed(),
    }))
}

/// Ends every process of a group. One that has none left is no mistake.
fn kill(group: Pid) {
    if let Err(error) = kill_process_group(group, Signal::KILL) {
        tracing::debug!("cannot end the process group: {error}");
    }
}

/// Reads what is there, waiting a little for it; returns whether nothing more will come.
fn read_some(pipe: &mut io::PipeReader, output: &mut Kept) -> io::Result<bool> {
    let wait = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY.subsec_nanos().into() };
    let ready = {
        let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&wait))?
    };
    if ready == 0 {
        return Ok(false);
    }
    let mut buffer = [0; 1 << 16];
    match pipe.read(&mut buffer)? {
        0 => Ok(true),
        count => {
            output.add(&buffer[..count]);
            Ok(false)
        }
    }
}

/// The head and the tail of what a program wrote.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    bytes: u64,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = KEPT_BYTES - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(KEPT_BYTES);
        self.tail.drain(..over);
    }

    fn text(self) -> String {
        let Self { head, tail, bytes, .. } = self;
        let kept = (head.len() + tail.len()) as u64;
        let mut text = String::from_utf8_lossy(&head).into_owned();
        if kept < bytes {
            text += &format!("\n[… {} bytes were not kept …]\n", bytes - kept);
        }
        let tail: Vec<u8> = tail.into();
        text + &String::from_utf8_lossy(&tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_processes_that_are_gone_are_removed_and_no_others() {
        // No system counts its processes so far.
        const GONE: i32 = i32::MAX;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: String| dir.path().join(name);
        let above = dir.path().display().to_string();
        let environment = Environment::default().with([("TMPDIR", above.as_str())]);
        let used = TempFolder::new(&environment).unwrap();
        let (left, held) = (path(format!("meno-{GONE}-0")), path(format!("meno-{GONE}-1")));
        let others = ["meno-x-1".to_owned(), format!("meno-{GONE}"), format!("meno-{GONE}-a"), "meno--1-1".to_owned()].map(path);
        for folder in others.iter().chain([&left, &held]) {
            fs::create_dir_all(folder.join("sub")).unwrap();
        }
        fs::write(left.join("sub/file"), "x").unwrap();
        let holder = File::open(&held).unwrap();
        holder.try_lock().unwrap();
        std::os::unix::fs::symlink(&others[0], path(format!("meno-{GONE}-2"))).unwrap();
        remove_left_folders(&environment);
        assert!(!left.exists() && held.exists() && used.path.exists());
        assert!(others.iter().all(|folder| folder.join("sub").exists()));
        let own = used.path.clone();
        drop(used);
        assert!(!own.exists());
    }
}
