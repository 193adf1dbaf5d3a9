//! Taking back what the tools of a run wrote: newest first, and only where a file still is what the run left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::Runs;
use crate::domain::event::{Event, FileChange, Recorded, ToolEnded, WriteUndone, WriteUndonePrivate};
use crate::domain::ids::{CallNo, RunId};
use crate::domain::text::Text;
use crate::domain::tool::may_have_changed;
use crate::store;
use crate::store::session::RunLock;
use crate::tools::change::{self, Standing};
use crate::tools::root::{Root, RootError};

/// Why nothing was taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// A process executes the run.
    #[error("run {0} is going on")]
    Live(RunId),
    /// Nothing says any more where the run worked, or what it wrote.
    #[error("run {0} cannot be undone: what it wrote is no longer retained")]
    Forgotten(RunId),
    /// No agent has the role.
    #[error("run {run} has no agent `{role}`")]
    NoSuchAgent {
        /// The run.
        run: RunId,
        /// The role.
        role: String,
    },
    /// Its folder cannot be opened.
    #[error("{0}")]
    Folder(#[from] RootError),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What became of a file that a run wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileUndone {
    /// It has its former content again.
    Restored,
    /// It is deleted, because it was not there before.
    Deleted,
    /// It is as it was before already.
    AsBefore,
    /// It was changed since by somebody else, and stays so.
    ChangedSince,
    /// It could not be put back, and stays so.
    Failed,
}

/// A file that a tool of a run wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UndoneFile {
    /// The file, relative to the folder.
    pub path: String,
    /// What became of it.
    pub outcome: FileUndone,
    /// The agent whose tool wrote it.
    pub agent: String,
    /// The number of that tool in the run.
    pub tool: u32,
    /// Why it could not be put back.
    pub message: Option<String>,
}

/// What `undo` did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "What was taken back of a run, as `meno undo --json` prints it")]
pub struct Undone {
    /// The run.
    pub run_id: String,
    /// The folder in which it worked.
    pub folder: String,
    /// Nothing was changed: this is what would be.
    pub dry_run: bool,
    /// The files, newest write first.
    pub files: Vec<UndoneFile>,
    /// Programs ran that may have changed files: nothing of that is known, and none of it is taken back.
    pub programs_ran: bool,
}

/// What one tool call was about to write.
struct Written {
    call: CallNo,
    tool_call: u32,
    agent: String,
    number: u32,
    files: Vec<FileChange>,
}

/// What is recorded of a run's writes.
#[derive(Default)]
struct Writes {
    folder: Option<PathBuf>,
    written: Vec<Written>,
    undone: BTreeSet<(CallNo, u32, String)>,
    agents: Vec<String>,
    programs_ran: bool,
    is_gone: bool,
}

impl Writes {
    fn of(events: &[Recorded]) -> Self {
        let mut writes = Self::default();
        let (mut calls, mut tools, mut started) = (BTreeMap::new(), BTreeMap::new(), 0);
        let mut resolved = BTreeSet::new();
        for recorded in events {
            match &recorded.event {
                Event::RunStarted(body) => {
                    writes.folder = body.private.as_ref().map(|private| PathBuf::from(&private.workspace));
                }
                Event::AgentPlanned(body) => {
                    let item = body.private.as_ref().and_then(|private| private.item.as_deref());
                    writes.agents.push(item.map_or_else(|| body.role.clone(), |item| format!("{}[{item}]", body.role)));
                }
                Event::CallStarted(body) => drop(calls.insert(body.call, body.agent)),
                Event::ToolStarted(body) => {
                    started += 1;
                    tools.insert((body.call, body.tool_call), started);
                    writes.programs_ran |= body.writes && !crate::domain::tool::changes_files(&body.tool);
                }
                Event::WritePrepared(body) => {
                    let key = (body.call, body.tool_call);
                    let Some(private) = &body.private else {
                        writes.is_gone = true;
                        continue;
                    };
                    let agent = calls.get(&body.call).and_then(|agent| writes.agents.get(*agent as usize)).cloned();
                    // What was prepared once more counts as it was prepared last.
                    writes.written.retain(|written| (written.call, written.tool_call) != key);
                    writes.written.push(Written {
                        call: body.call,
                        tool_call: body.tool_call,
                        agent: agent.unwrap_or_default(),
                        number: tools.get(&key).copied().unwrap_or_default(),
                        files: private.files.clone(),
                    });
                }
                Event::ToolResolved(body) => drop(resolved.insert((body.call, body.tool_call))),
                // What a process that died had written before is not known by how another one failed: the files are looked at.
                Event::ToolEnded(body) if !resolved.contains(&(body.call, body.tool_call)) => writes.ended(body),
                Event::WriteUndone(body) => {
                    let paths = body.private.iter().flat_map(|private| &private.paths);
                    writes.undone.extend(paths.map(|path| (body.call, body.tool_call, path.clone())));
                }
                _ => {}
            }
        }
        writes
    }

    /// Leaves out what did not happen, by how the write ended.
    fn ended(&mut self, body: &ToolEnded) {
        let key = (body.call, body.tool_call);
        let Some(written) = self.written.iter_mut().find(|written| (written.call, written.tool_call) == key) else { return };
        let told = body.private.as_ref().and_then(|private| match private.whole.as_ref().unwrap_or(&private.result) {
            Text::Inline(told) => Some(told.as_str()),
            _ => None,
        });
        let paths: Vec<&str> = written.files.iter().map(|file| file.path.as_str()).collect();
        let happened = may_have_changed(body.ok, body.fault, told, &paths);
        written.files.truncate(happened);
        self.written.retain(|written| !written.files.is_empty());
    }
}

impl Runs<'_> {
    /// Returns how many files' contents are kept as they were before tools of a run changed them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn originals_of(&self, id: RunId) -> Result<u64, store::Error> {
        let kept = |recorded: &Recorded| match &recorded.event {
            Event::WritePrepared(body) => {
                let files = body.private.iter().flat_map(|private| &private.files);
                files.filter(|file| file.original.is_some()).count() as u64
            }
            _ => 0,
        };
        Ok(self.events_of(id, 1, u32::MAX)?.iter().map(kept).sum())
    }

    /// Takes back what the tools of a run wrote, or those of one agent: newest first, each file where it still is what the run left. With
    /// `dry_run` nothing is changed.
    ///
    /// # Errors
    /// [`UndoError`]; what was taken back before is recorded.
    pub(crate) fn undo(&self, id: RunId, role: Option<&str>, dry_run: bool) -> Result<Undone, UndoError> {
        let _lock = match RunLock::acquire(self.0.place()?, id) {
            Ok(lock) => lock,
            Err(store::Error::RunHeld { .. }) => return Err(UndoError::Live(id)),
            Err(error) => return Err(error.into()),
        };
        if !dry_run {
            self.end_left_programs();
        }
        let writes = Writes::of(&self.events_of(id, 1, u32::MAX)?);
        if let Some(role) = role.filter(|role| !writes.agents.iter().any(|agent| is_of(agent, role))) {
            return Err(UndoError::NoSuchAgent { run: id, role: role.to_owned() });
        }
        let Some(folder) = writes.folder.filter(|_| !writes.is_gone) else { return Err(UndoError::Forgotten(id)) };
        let store = self.0.place().map(|place| place.dir().to_owned()).ok();
        let never: Vec<&std::path::Path> = store.iter().map(PathBuf::as_path).collect();
        let folder_name = folder.display().to_string();
        let mut undone =
            Undone { run_id: id.to_string(), folder: folder_name, dry_run, files: Vec::new(), programs_ran: writes.programs_ran };
        if writes.written.is_empty() {
            return Ok(undone);
        }
        let concerned = || writes.written.iter().filter(|written| role.is_none_or(|role| is_of(&written.agent, role)));
        // What is locked would stay as the run left it while the rest goes back: then nothing does.
        let key_of = |written: &Written, file: &FileChange| (written.call, written.tool_call, file.path.clone());
        let open = concerned().flat_map(|written| written.files.iter().map(move |file| (written, file)));
        let open = open.filter(|(written, file)| !writes.undone.contains(&key_of(written, file)));
        for name in open.filter_map(|(_, file)| file.original.as_ref()?.payload()) {
            if let Err(locked @ store::Error::Locked(_)) = self.0.payloads.read(name) {
                return Err(locked.into());
            }
        }
        let root = Root::open(&folder, &never, &[])?;
        // In a preview nothing changes, so what was already looked at stands for what would be there.
        let mut foreseen: BTreeMap<String, Option<crate::domain::ids::Hash>> = BTreeMap::new();
        for written in concerned().rev() {
            let mut back = Vec::new();
            for file in written.files.iter().rev() {
                if writes.undone.contains(&key_of(written, file)) {
                    continue;
                }
                let known = foreseen.get(&file.path).copied();
                let standing = match known {
                    Some(hash) if hash == file.after => change::take_back(&root, file, true).map(|_| Standing::After),
                    Some(_) => Ok(Standing::Other),
                    None => change::take_back(&root, file, dry_run),
                };
                let (outcome, message) = match standing {
                    Ok(Standing::After) if file.before.is_none() => (FileUndone::Deleted, None),
                    Ok(Standing::After) => (FileUndone::Restored, None),
                    Ok(Standing::Before) => (FileUndone::AsBefore, None),
                    Ok(Standing::Other) => (FileUndone::ChangedSince, None),
                    Err(error) => (FileUndone::Failed, Some(error.message)),
                };
                if matches!(outcome, FileUndone::Restored | FileUndone::Deleted | FileUndone::AsBefore) {
                    back.push(file.path.clone());
                    if dry_run {
                        foreseen.insert(file.path.clone(), file.before);
                    }
                }
                let (path, agent) = (file.path.clone(), written.agent.clone());
                undone.files.push(UndoneFile { path, outcome, agent, tool: written.number, message });
            }
            if !dry_run && !back.is_empty() {
                let private = Some(WriteUndonePrivate { paths: back });
                let event = WriteUndone { call: written.call, tool_call: written.tool_call, private };
                self.append_one(Event::from(event), Some(id))?;
            }
        }
        Ok(undone)
    }
}

/// A role stands for all agents that `foreach` made of it.
fn is_of(agent: &str, role: &str) -> bool {
    agent == role || agent.split_once('[').is_some_and(|(base, _)| base == role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Resolution, ResolvedBy, ToolFault, ToolResolved, ToolResolvedPrivate};
    use crate::views::sample;

    fn written(events: Vec<Event>) -> Vec<(u32, Vec<String>)> {
        let files = |written: &Written| (written.number, written.files.iter().map(|file| file.path.clone()).collect());
        Writes::of(&sample::stream(events)).written.iter().map(files).collect()
    }

    #[test]
    fn what_ended_without_a_change_is_no_write() {
        let failed = Some(ToolFault::Failed);
        let lost = "`log.txt` was changed by somebody else meanwhile: read it again.";
        let events = [
            sample::write(1, 0, &["log.txt"], Some((None, "`log.txt` is changed."))),
            sample::write(1, 1, &["log.txt"], Some((failed, lost))),
            // How it ended is not recorded, or not known: the files say it.
            sample::write(2, 0, &["log.txt"], None),
            sample::write(2, 1, &["log.txt"], Some((Some(ToolFault::Interrupted), "Meno stopped while this ran."))),
            // A patch that failed on the way says how far it came.
            sample::write(3, 0, &["a", "b", "c"], Some((failed, &format!("{lost} Changed before that: `a`.")))),
        ];
        let one = |path: &str| vec![path.to_owned()];
        let expected = [(1, one("log.txt")), (3, one("log.txt")), (4, one("log.txt")), (5, one("a"))];
        assert_eq!(written(events.concat()), expected);
    }

    #[test]
    fn a_failure_says_nothing_of_what_a_process_that_died_had_written() {
        let private = Some(ToolResolvedPrivate {});
        let (resolution, by) = (Resolution::NotDone, ResolvedBy::Person);
        let mut events = sample::write(1, 0, &["a", "b"], None);
        events.push(ToolResolved { call: 1, tool_call: 0, resolution, by, private }.into());
        events.push(sample::tool_ended(1, 0, Some(ToolFault::Failed), "`a` was changed by somebody else meanwhile."));
        assert_eq!(written(events), [(1, vec!["a".to_owned(), "b".to_owned()])]);
    }
}
