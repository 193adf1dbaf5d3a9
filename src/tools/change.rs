//! Changes of files in two steps: what is to become of which file is known and recorded before the first one is touched, so that after a
//! crash the files themselves say how far it came, and every change can be taken back.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use similar::TextDiff;

use super::root::{Found, Permissions, Root, RootPath, one_line};
use super::{REMOVED, ToolContext, ToolError};
use crate::domain::event::FileChange;
use crate::domain::ids::Hash;
use crate::domain::text::Text;
use crate::domain::tool::{ToolOutcome, changed_before};

pub use super::root::WRITTEN_BYTES_MAX;

/// How long the comparison of two texts may take: afterwards it says less exactly what changed.
const DIFF_TIME_MAX: Duration = Duration::from_millis(500);

/// Files that a tool is about to change, and into what.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    files: Vec<Planned>,
    /// A process that died may have begun it: what is there already may be its work.
    goes_on: bool,
    /// What is said when it is done.
    text: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Planned {
    path: RootPath,
    change: FileChange,
    /// What it is to hold; `None`: it is deleted.
    content: Option<String>,
    /// It is new and to be a program; one that is there keeps its mode.
    is_executable: bool,
    /// What that changes, as a unified diff.
    diff: String,
}

/// How a file stands to a recorded change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it was to become.
    After,
    /// As it was before.
    Before,
    /// Neither: somebody else changed it.
    Other,
}

/// Gathers the changes of one tool call.
pub(super) struct Planner<'a> {
    place: &'a ToolContext,
    /// How the files were when the same call was planned by a process that died.
    recorded: Option<&'a [FileChange]>,
    files: Vec<Planned>,
}

impl<'a> Planner<'a> {
    /// Begins. Where `recorded` has a file, it is taken as it was before that change.
    pub(super) fn new(place: &'a ToolContext, recorded: Option<&'a [FileChange]>) -> Self {
        Self { place, recorded, files: Vec::new() }
    }

    /// Returns the text of a file as this call has left it so far; `None` when it is not there.
    ///
    /// # Errors
    /// When it is no text, holds secrets, or is not to be touched.
    pub(super) fn read(&mut self, path: &str) -> Result<Option<String>, ToolError> {
        let place = self.find(path)?;
        Ok(self.files[place].content.clone())
    }

    /// Says what a file is to hold; `None`: it is deleted.
    ///
    /// # Errors
    /// As [`Self::read`], and when the content is too long or holds the place of a secret that was removed.
    pub(super) fn write(&mut self, path: &str, content: Option<String>) -> Result<(), ToolError> {
        let place = self.find(path)?;
        if let Some(content) = &content {
            let name = &self.files[place].change.path;
            if content.len() as u64 > WRITTEN_BYTES_MAX {
                let bytes = content.len();
                let message = format!("`{name}` would have {bytes} bytes, and tools write {WRITTEN_BYTES_MAX} at most.");
                return Err(ToolError::failed(message));
            }
            let before = self.files[place].content.as_deref().unwrap_or_default();
            if content.matches(REMOVED).count() > before.matches(REMOVED).count() {
                let message = format!(
                    "`{name}` would hold `{REMOVED}…]`, where a key was removed from what you wrote: leave keys out of files, and \
                     name the variable that holds one instead."
                );
                return Err(ToolError::not_allowed(message));
            }
            if !self.place.is_clean(content) {
                return Err(ToolError::not_allowed(format!("`{name}` would hold a key: leave keys out of files.")));
            }
        }
        self.files[place].content = content;
        Ok(())
    }

    /// Says that a file which is new may be executed.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn make_executable(&mut self, path: &str) -> Result<(), ToolError> {
        let place = self.find(path)?;
        self.files[place].is_executable = true;
        Ok(())
    }

    fn find(&mut self, text: &str) -> Result<usize, ToolError> {
        let root = &self.place.root;
        let path = root.path(text)?;
        if let Some(place) = self.files.iter().position(|file| file.path == path) {
            return Ok(place);
        }
        root.may_name(&path)?;
        let name = path.text();
        if name.contains(char::is_control) {
            let message = format!("`{}` has a character in it that is no part of a file's name here.", name.escape_debug());
            return Err(ToolError::not_allowed(message));
        }
        let recorded = self.recorded.and_then(|files| files.iter().find(|file| file.path == name));
        let (change, content) = match recorded {
            Some(change) => {
                let original = match &change.original {
                    None => None,
                    Some(Text::Inline(text)) => Some(text.clone()),
                    Some(_) => return Err(ToolError::failed(format!("What `{name}` held before is no longer kept."))),
                };
                (change.clone(), original)
            }
            None => self.found(&path)?,
        };
        self.files.push(Planned { path, change, content, is_executable: false, diff: String::new() });
        Ok(self.files.len() - 1)
    }

    fn found(&self, path: &RootPath) -> Result<(FileChange, Option<String>), ToolError> {
        let (root, name) = (&self.place.root, path.text());
        let Some(found) = root.found(path)? else {
            let folders = path.split().map_or(Ok(0), |(above, _)| root.missing_folders(&above))?;
            let change = FileChange { path: name, original: None, before: None, after: None, mode: None, folders };
            return Ok((change, None));
        };
        found.may_be_replaced(path)?;
        let before = Some(Hash::of(&found.content));
        let Ok(text) = String::from_utf8(found.content) else {
            return Err(ToolError::failed(format!("`{name}` is not a text in UTF-8, and tools change nothing else.")));
        };
        // What cannot be kept cannot be put back.
        if !self.place.is_clean(&text) {
            let message = format!(
                "`{name}` holds a key or something else that is never recorded, so it could not be put back: it is not changed by tools."
            );
            return Err(ToolError::not_allowed(message));
        }
        let original = Some(Text::Inline(text.clone()));
        Ok((FileChange { path: name, original, before, after: None, mode: Some(found.mode), folders: 0 }, Some(text)))
    }

    /// Returns what is to be done; files that stay as they are fall away.
    pub(super) fn finish(self) -> Write {
        let (mut files, goes_on) = (Vec::new(), self.recorded.is_some());
        let mut text = String::new();
        for mut file in self.files {
            file.change.after = file.content.as_ref().map(|content| Hash::of(content.as_bytes()));
            if file.change.after == file.change.before {
                continue;
            }
            let name = &file.change.path;
            let before = original(&file.change).unwrap_or_default();
            let after = file.content.as_deref().unwrap_or_default();
            file.diff = difference(name, (before, file.change.before.is_none()), (after, file.content.is_none()));
            let _ = match (&file.content, file.change.before) {
                (None, _) => writeln!(text, "`{name}` is deleted."),
                (Some(content), None) => {
                    let executable = if file.is_executable { ", executable" } else { "" };
                    writeln!(text, "`{name}` is new: {} lines{executable}.", content.lines().count())
                }
                (Some(content), Some(_)) => {
                    writeln!(text, "`{name}` is changed: {} lines, {} before.", content.lines().count(), before.lines().count())
                }
            };
            files.push(file);
        }
        if files.is_empty() {
            text = "Nothing changes: that is what stands there already.".to_owned();
        }
        Write { files, goes_on, text }
    }
}

fn original(change: &FileChange) -> Option<&str> {
    match &change.original {
        Some(Text::Inline(text)) => Some(text),
        _ => None,
    }
}

/// Returns a unified diff, as git writes it. Each side has its text, and whether the file is not there.
fn difference(name: &str, (before, is_new): (&str, bool), (after, is_deleted): (&str, bool)) -> String {
    // A name that breaks its line would be read as lines of the diff.
    let name = one_line(name);
    let from = if is_new { "/dev/null".to_owned() } else { format!("a/{name}") };
    let to = if is_deleted { "/dev/null".to_owned() } else { format!("b/{name}") };
    let diff = TextDiff::configure().timeout(DIFF_TIME_MAX).diff_lines(before, after);
    let text = diff.unified_diff().context_radius(3).header(&from, &to).to_string();
    // Files without a line have no hunk, and are said all the same.
    if text.is_empty() { format!("--- {from}\n+++ {to}\n") } else { text }
}

impl Planned {
    fn mode(&self) -> Permissions {
        match self.change.mode {
            None if self.is_executable => Permissions::OfNewPrograms,
            mode => mode.into(),
        }
    }
}

impl Write {
    /// Returns what is to become of each file, to be recorded before it is performed.
    pub fn changes(&self) -> Vec<FileChange> {
        self.files.iter().map(|file| file.change.clone()).collect()
    }

    /// Changes the files. Those that are changed already, by a process that died on the way, stay as they are; one that is neither as it was
    /// nor as it is to become ends this.
    pub(super) fn perform(&self, root: &Root, start: Instant) -> ToolOutcome {
        let mut done = 0;
        let result = self.files.iter().try_for_each(|file| {
            let _alone = root.alone()?;
            let found = root.found(&file.path)?;
            match standing_of(found.as_ref(), &file.change) {
                Standing::After if self.goes_on => {}
                Standing::Before => {
                    found.map_or(Ok(()), |found| found.may_be_replaced(&file.path))?;
                    match &file.content {
                        Some(content) => root.put(&file.path, content.as_bytes(), file.mode())?,
                        None => root.delete(&file.path, 0)?,
                    }
                }
                // Who made the same of it made a change of their own.
                Standing::After | Standing::Other => {
                    let message = format!("`{}` was changed by somebody else meanwhile: read it again.", file.change.path);
                    return Err(ToolError::failed(message));
                }
            }
            done += 1;
            Ok(())
        });
        let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(()) => ToolOutcome { latency_ms, ..self.done() },
            Err(error) => {
                let changed = &self.files[..done];
                let rest = changed_before(changed.iter().map(|file| file.change.path.as_str()));
                let diff = diff_of(changed);
                ToolOutcome { latency_ms, diff, ..ToolOutcome::refused(error.fault, error.message + &rest) }
            }
        }
    }

    /// Returns whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns what is said of it when it is done.
    pub fn done(&self) -> ToolOutcome {
        ToolOutcome { diff: diff_of(&self.files), ..ToolOutcome::done(self.text.clone()) }
    }
}

/// Returns what changes in files, one after the other; `None` when nothing does.
fn diff_of(files: &[Planned]) -> Option<String> {
    (!files.is_empty()).then(|| files.iter().map(|file| file.diff.as_str()).collect())
}

/// Says how a file stands to a change of it.
///
/// # Errors
/// When it cannot be looked at.
pub fn standing(root: &Root, change: &FileChange) -> Result<Standing, ToolError> {
    Ok(standing_of(root.found(&root.path(&change.path)?)?.as_ref(), change))
}

fn standing_of(found: Option<&Found>, change: &FileChange) -> Standing {
    match found.map(|found| Hash::of(&found.content)) {
        hash if hash == change.after => Standing::After,
        hash if hash == change.before => Standing::Before,
        _ => Standing::Other,
    }
}

/// Takes a change of a file back, or only says whether it could be; returns how it stood.
///
/// # Errors
/// When what it held is no longer kept, or it cannot be written.
pub fn take_back(root: &Root, change: &FileChange, dry_run: bool) -> Result<Standing, ToolError> {
    let path = root.path(&change.path)?;
    let _alone = if dry_run { None } else { Some(root.alone()?) };
    if !dry_run {
        root.sweep_beside(&path);
    }
    // Every change has at least one side; where texts are not captured, their hashes are not either.
    if change.before.is_none() && change.after.is_none() {
        let message = format!("What the run made of `{}` was not kept, because `capture.outputs` said so.", change.path);
        return Err(ToolError::failed(message));
    }
    let found = root.found(&path)?;
    let standing = standing_of(found.as_ref(), change);
    let content = match (&change.original, change.before) {
        (None, None) => None,
        (Some(Text::Inline(text)), Some(hash)) if Hash::of(text.as_bytes()) == hash => Some(text),
        // As it was before already: nothing has to be kept for that.
        _ if standing == Standing::Before && change.before != change.after => return Ok(standing),
        _ => return Err(ToolError::failed(format!("What `{}` held before is no longer kept.", change.path))),
    };
    if let (Some(found), Standing::After, Some(_)) = (&found, standing, content) {
        found.may_be_replaced(&path)?;
    }
    if dry_run {
        return Ok(standing);
    }
    match (standing, content) {
        // Who may read it is somebody's own decision, perhaps taken since.
        (Standing::After, Some(content)) => {
            root.put(&path, content.as_bytes(), found.map(|found| found.mode).or(change.mode).into())?;
        }
        // A write that was cut off may have made the folders.
        (Standing::After | Standing::Before, None) => root.delete(&path, change.folders)?,
        _ => {}
    }
    Ok(standing)
}
