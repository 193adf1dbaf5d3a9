//! Programs that may outlive the process that started them: each is noted in a folder of the store for as long as it runs, so that whoever
//! goes on after a crash can end it first. A program that still writes beside its own repetition would be worse than either.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// How long an ended group may take to vanish.
const PATIENCE: Duration = Duration::from_secs(2);

/// The folder of the notes.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

/// A program that runs, or ran when its starter died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// The process of meno that started it, and when that began.
    by: Moment,
    /// The first process of its group, whose number is the group's.
    leader: Moment,
    /// Which start of the machine this was.
    boot: String,
    /// The program.
    program: String,
}

/// A process, so that no later one with its number is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    pid: i32,
    /// In ticks since the machine started.
    started: u64,
}

/// The note of a program that runs; it goes with this.
#[derive(Debug)]
pub(super) struct Note(PathBuf);

impl Programs {
    /// Takes `folder`, which is there and is nobody else's, for the notes.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Notes the group of a program. Without a note nothing is worse than without this: what cannot be noted is not.
    pub(super) fn note(&self, group: Pid, program: &Path) -> Option<Note> {
        let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let group = group.as_raw_nonzero().get();
        let by = Moment::of(i32::try_from(std::process::id()).ok()?)?;
        let line = Line { by, leader: Moment::of(group)?, boot: boot(), program };
        let file = self.0.join(format!("{group}-{}.json", line.leader.started));
        let write = |line: Vec<u8>| {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(&file)?.write_all(&line)
        };
        match serde_json::to_vec(&line).map_err(Into::into).and_then(write) {
            Ok(()) => Some(Note(file)),
            Err(error) => {
                tracing::debug!("a program is not noted: {error}");
                None
            }
        }
    }

    /// Ends the programs whose starter died; returns their names.
    pub fn end_left(&self) -> Vec<String> {
        let mut ended = Vec::new();
        for file in fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()) {
            let line = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Line>(&bytes).ok());
            if let Some(line) = &line {
                let is_now = line.boot == boot();
                if is_now && line.by.is_alive() {
                    continue;
                }
                if is_now && end(line) {
                    ended.push(line.program.clone());
                }
            }
            if let Err(error) = fs::remove_file(&file) {
                tracing::debug!("a note stays: {error}");
            }
        }
        ended
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!("a note stays: {error}");
        }
    }
}

impl Moment {
    fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: Stat::of(pid)?.started })
    }

    fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != "Z")
    }
}

/// What the system says of a process; `None` where it says nothing, or there is none.
struct Stat {
    state: String,
    group: i32,
    started: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name of a program may have blanks and parentheses in it: what follows the last one has not.
    fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let state = (*fields.first()?).to_owned();
        Some(Self { state, group: fields.get(2)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
    }
}

/// Tells whether somebody of a group is left. While one is, the group's number is nobody else's, also when its first process has ended.
fn is_left(line: &Line) -> bool {
    let leader = Stat::of(line.leader.pid);
    if leader.is_some_and(|stat| stat.started != line.leader.started) {
        return false;
    }
    let pids = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.any(|pid| {
        Stat::of(pid)
            .is_some_and(|stat| stat.group == line.leader.pid && stat.started >= line.leader.started && stat.state != "Z")
    })
}

/// Ends a group; returns whether there was one to end.
fn end(line: &Line) -> bool {
    let Some(group) = Pid::from_raw(line.leader.pid).filter(|_| is_left(line)) else { return false };
    if let Err(error) = kill_process_group(group, Signal::KILL) {
        tracing::debug!("a program that was left cannot be ended: {error}");
        return false;
    }
    let until = Instant::now() + PATIENCE;
    while is_left(line) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_whose_starter_died_is_ended_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let programs = Programs::new(dir.path().to_owned());
        let (mut left, mut mine) = (sleeper(), sleeper());
        let note = programs.note(Pid::from_child(&left), Path::new("/bin/sleep")).unwrap();
        let mut line: Line = serde_json::from_slice(&fs::read(&note.0).unwrap()).unwrap();
        let of_mine = programs.note(Pid::from_child(&mine), Path::new("sleep")).unwrap();
        // Whoever started the first has died: another process has its number now.
        line.by.started += 1;
        fs::write(&note.0, serde_json::to_vec(&line).unwrap()).unwrap();
        assert_eq!(programs.end_left(), ["sleep"]);
        assert!(!left.wait().unwrap().success() && mine.try_wait().unwrap().is_none());
        assert!(!note.0.exists() && of_mine.0.exists());
        // A number that is another's by now is left alone.
        let mut other: Line = serde_json::from_slice(&fs::read(&of_mine.0).unwrap()).unwrap();
        other.by.started += 1;
        other.leader.started -= 1;
        fs::write(&of_mine.0, serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(programs.end_left(), Vec::<String>::new());
        assert!(mine.try_wait().unwrap().is_none());
        mine.kill().unwrap();
        mine.wait().unwrap();
    }

    #[test]
    fn a_process_is_read_whatever_its_program_is_called() {
        let text = "7 (a) b) S 1 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 9876 2 3 18446744073709551615 1";
        let stat = Stat::read(text).unwrap();
        assert_eq!((stat.state.as_str(), stat.group, stat.started), ("S", 42, 9876));
        assert!(Stat::read("").is_none());
    }
}
