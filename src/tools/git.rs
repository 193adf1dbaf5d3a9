//! `git`: the history of the workspace, read-only.
//!
//! Its arguments are structured and never a line for a shell. A repository may be a stranger's, with a configuration of its own that
//! names programs: the repository is named instead of looked for, every key that could start a program is overridden, hooks, pagers,
//! external diffs, filters and fetches are off, and files that other tools do not read are left out of what is shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::child::{self, Ended, Environment};
use super::sandbox::Confinement;
use super::secrets;
use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::event::ToolFault;
use crate::domain::tool::{ToolEffect, ToolSpec};

/// How commits are shown: a format that the repository names may have their signatures checked by a program of its own.
const COMMITS: [&str; 6] =
    ["--no-color", "--date=iso-strict", "--format=medium", "--no-show-signature", "--no-ext-diff", "--no-textconv"];
/// How long git may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Git;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    Log,
    Diff,
    Status,
    Blame,
    Show,
}

#[derive(Deserialize)]
struct Arguments {
    command: Command,
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    max_commits: Option<u32>,
    #[serde(default)]
    first_line: Option<u64>,
    #[serde(default)]
    last_line: Option<u64>,
}

impl Tool for Git {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "git".to_owned(),
            description:
                "Reads the history of the workspace: `status`; `diff` of the working tree, or of a revision or range; `log`; \
                          `show` of a commit; `blame` of a file."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "command": {"enum": ["log", "diff", "status", "blame", "show"]},
                    "revision": {"type": "string", "minLength": 1, "maxLength": 200, "description": "A commit, branch, tag or range: `HEAD~3`, `main..HEAD`."},
                    "path": {"type": "string", "minLength": 1, "description": "Only this file or folder, relative to the workspace. `blame` needs a file."},
                    "max_commits": {"type": "integer", "minimum": 1, "maximum": 500, "description": "Commits of `log`, at most. Default 30."},
                    "first_line": {"type": "integer", "minimum": 1, "description": "The first line to `blame`."},
                    "last_line": {"type": "integer", "minimum": 1, "description": "The last line to `blame`."},
                },
                "required": ["command"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Reads,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let asked: Arguments = arguments(value)?;
        let Some(program) = place.environment.find("git") else {
            return Err(ToolError::failed("git is not on this machine."));
        };
        let repository = Repository::of(place.root.folder_path())?;
        let mut words = repository.words();
        words.extend(asked.words(place)?);
        let environment = repository.environment(&program, place, stop)?;
        let confinement = repository.confinement(place);
        let ended = child::run(
            (&program, &words),
            place.root.folder_path(),
            &environment,
            (&confinement, place.programs.as_ref()),
            LIMIT,
            stop,
        );
        match ended {
            Ok(Some(Ended { exit: Some(0), output, .. })) if output.is_empty() => Ok("(nothing)\n".to_owned().into()),
            Ok(Some(Ended { exit: Some(0), output, bytes, .. })) => Ok(Output { text: output, bytes }),
            Ok(Some(Ended { timed_out: true, .. })) => {
                Err(ToolError { fault: ToolFault::TimedOut, message: format!("git was ended after {} s.", LIMIT.as_secs()) })
            }
            Ok(Some(Ended { output, .. })) => Err(ToolError::failed(format!("git says: {}", output.trim()))),
            Ok(None) => Err(ToolError::failed("stopped")),
            Err(error) => Err(ToolError::failed(format!("git cannot be started: {error}."))),
        }
    }
}

impl Arguments {
    /// Returns the words of the command line behind those that name the repository.
    fn words(&self, place: &ToolContext) -> Result<Vec<String>, ToolError> {
        let mut words: Vec<&str> = match self.command {
            Command::Status => vec!["status", "--short", "--branch", "--ignore-submodules=all"],
            Command::Diff => vec!["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all"],
            Command::Log => {
                let mut words = vec!["log", "--stat=100"];
                words.extend(COMMITS);
                words
            }
            Command::Show => {
                let mut words = vec!["show"];
                words.extend(COMMITS);
                words
            }
            Command::Blame => vec!["blame", "--no-textconv", "--date=short"],
        };
        let most = format!("--max-count={}", self.max_commits.unwrap_or(30));
        if self.command == Command::Log {
            words.push(&most);
        }
        let lines =
            format!("-L{},{}", self.first_line.unwrap_or(1), self.last_line.map_or_else(String::new, |line| line.to_string()));
        if self.command == Command::Blame && (self.first_line.is_some() || self.last_line.is_some()) {
            words.push(&lines);
        }
        let revision = self.revision.as_deref().map(commits_of);
        if let (Some(revision), Some(named)) = (&self.revision, &revision) {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./~^@{}-+".contains(c);
            if self.command == Command::Status || revision.starts_with('-') || !revision.chars().all(is_plain) {
                let message =
                    format!("`{revision}` is not a revision that `git` takes here: name a commit, a branch or a range.");
                return Err(ToolError::bad_arguments(message));
            }
            words.push(named);
        }
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        words.push("--".to_owned());
        let path = place.root.path(self.path.as_deref().unwrap_or("."))?;
        place.root.may_name(&path)?;
        match (self.command, &self.path) {
            (Command::Blame, None) => return Err(ToolError::bad_arguments("`blame` needs the `path` of a file.")),
            (Command::Blame, Some(_)) => words.push(path.text()),
            (Command::Status, _) => words.push(format!(":(literal){}", path.text())),
            _ => {
                words.push(format!(":(literal){}", path.text()));
                words.extend(secrets::patterns().map(|pattern| format!(":(exclude,icase,glob){pattern}")));
                words.extend(place.root.deny().pathspecs());
            }
        }
        Ok(words)
    }
}

/// Has the ends of a revision or range be commits: a file's or a folder's own object is shown whatever paths are left out.
fn commits_of(revision: &str) -> String {
    let dots = if revision.contains("...") { "..." } else { ".." };
    let end = |end: &str| if end.is_empty() { String::new() } else { format!("{end}^{{commit}}") };
    revision.split(dots).map(end).collect::<Vec<_>>().join(dots)
}

/// A repository, found without asking git, and where its working tree begins.
#[derive(Debug, PartialEq, Eq)]
struct Repository {
    folder: PathBuf,
    tree: PathBuf,
}

impl Repository {
    /// Returns the repository that the workspace lies in. A file in the place of `.git`, as linked working trees have it, counts only
    /// when the repository that it names knows of this tree: else it could name anybody's.
    fn of(workspace: &Path) -> Result<Self, ToolError> {
        let none = || ToolError::failed("The workspace is in no repository of git.");
        let tree = workspace.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()).ok_or_else(none)?;
        let dot = tree.join(".git");
        let kind = dot.symlink_metadata().map_err(|_| none())?;
        if kind.is_dir() {
            if !is_whole(&dot) {
                return Err(ToolError::not_allowed("`.git` has parts that lie elsewhere, which are not read."));
            }
            return Ok(Self { folder: dot, tree: tree.to_owned() });
        }
        let stranger =
            || ToolError::not_allowed("`.git` names a repository that does not know of this folder, which is not read.");
        let text = if kind.is_file() { fs::read_to_string(&dot).unwrap_or_default() } else { return Err(stranger()) };
        let named = text.strip_prefix("gitdir:").map(str::trim).ok_or_else(stranger)?;
        let folder = tree.join(named).canonicalize().map_err(|_| stranger())?;
        let back = fs::read_to_string(folder.join("gitdir")).unwrap_or_default();
        let is_own = Path::new(back.trim()).canonicalize().ok() == dot.canonicalize().ok() && !back.trim().is_empty();
        if is_own { Ok(Self { folder, tree: tree.to_owned() }) } else { Err(stranger()) }
    }

    /// It only reads: whatever a key of the configuration started would do so too.
    fn confinement(&self, place: &ToolContext) -> Confinement {
        let confinement = place.confinement.clone().with_writable(&self.folder).with_writable(&self.tree);
        // A linked working tree has its objects in the repository that it was linked from.
        let common = fs::read_to_string(self.folder.join("commondir")).ok().map(|common| self.folder.join(common.trim()));
        match common.and_then(|common| common.canonicalize().ok()) {
            Some(common) => confinement.with_writable(&common).read_only(),
            None => confinement.read_only(),
        }
    }

    fn words(&self) -> Vec<String> {
        let (folder, tree) = (self.folder.display(), self.tree.display());
        let words = [format!("--git-dir={folder}"), format!("--work-tree={tree}")];
        words.into_iter().chain(["--no-pager", "--no-optional-locks", "--no-replace-objects"].map(str::to_owned)).collect()
    }

    /// Returns the environment in which no key of the repository's configuration can start a program or read a file.
    fn environment(&self, program: &Path, place: &ToolContext, stop: &CancellationToken) -> Result<Environment, ToolError> {
        let quiet = place.environment.with([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_ALLOW_PROTOCOL", ""),
            ("GIT_EDITOR", "false"),
            ("GIT_PAGER", "cat"),
        ]);
        let mut keys: Vec<(String, &str)> = [
            ("core.fsmonitor", "false"),
            ("core.hooksPath", "/dev/null"),
            ("core.pager", "cat"),
            ("core.attributesFile", "/dev/null"),
            ("core.excludesFile", "/dev/null"),
            ("core.askPass", ""),
            ("core.sshCommand", "false"),
            ("diff.external", ""),
            ("diff.submodule", "short"),
            ("log.showSignature", "false"),
            ("log.mailmap", "false"),
            ("format.pretty", "medium"),
            ("gpg.program", "false"),
            ("gpg.openpgp.program", "false"),
            ("gpg.x509.program", "false"),
            ("gpg.ssh.program", "false"),
            ("gpg.ssh.defaultKeyCommand", "false"),
            ("core.alternateRefsCommand", "false"),
            ("blame.ignoreRevsFile", ""),
            ("status.submoduleSummary", "false"),
            ("submodule.recurse", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        // Filters have names of their own: each that the repository knows is switched off.
        let ask = ["config", "--null", "--name-only", "--get-regexp", r"^filter\."].map(str::to_owned);
        let words: Vec<String> = self.words().into_iter().chain(ask).collect();
        let keeping = (&self.confinement(place), place.programs.as_ref());
        let listed = child::run((program, &words), place.root.folder_path(), &quiet, keeping, LIMIT, stop);
        let listed = listed.map_err(|error| ToolError::failed(format!("git cannot be started: {error}.")))?;
        // 1 means that there are none. A list that is not whole, or has a name that is no text, leaves a filter on.
        let is_answered = |ended: &Ended| matches!(ended.exit, Some(0 | 1));
        let is_whole = |ended: &Ended| is_answered(ended) && ended.bytes == ended.output.len() as u64;
        if let Some(ended) = listed.as_ref().filter(|ended| !is_answered(ended) && !ended.output.trim().is_empty()) {
            return Err(ToolError::failed(format!("git says: {}", ended.output.trim())));
        }
        let Some(listed) = listed.filter(is_whole) else {
            return Err(ToolError::not_allowed("The filters that the repository names cannot be switched off."));
        };
        let name = |key| Some(str::strip_prefix(key, "filter.")?.rsplit_once('.')?.0).filter(|name| !name.contains('\u{fffd}'));
        let names: Option<Vec<&str>> = listed.output.split('\0').filter(|key| !key.is_empty()).map(name).collect();
        let Some(mut filters) = names else {
            return Err(ToolError::not_allowed("The repository names a filter that cannot be switched off."));
        };
        filters.sort_unstable();
        filters.dedup();
        for filter in filters {
            for (part, value) in [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")] {
                keys.push((format!("filter.{filter}.{part}"), value));
            }
        }
        let count = keys.len().to_string();
        let numbered = keys.into_iter().enumerate().flat_map(|(n, (key, value))| {
            [(format!("GIT_CONFIG_KEY_{n}"), key), (format!("GIT_CONFIG_VALUE_{n}"), value.to_owned())]
        });
        Ok(quiet.with([("GIT_CONFIG_COUNT", count.as_str())]).with(numbered))
    }
}

/// Tells whether a repository is all in its folder: what it borrows from elsewhere may be anybody's.
fn is_whole(folder: &Path) -> bool {
    let about = |name: &str| folder.join(name).symlink_metadata();
    let has = |names: &[&str], is_right: &dyn Fn(&fs::Metadata) -> bool| {
        names.iter().all(|name| about(name).map_or(true, |about| is_right(&about)))
    };
    let borrows = ["commondir", "objects/info/alternates", "objects/info/http-alternates"];
    borrows.iter().all(|name| about(name).is_err())
        && has(
            &["objects", "objects/pack", "objects/info", "refs", "refs/heads", "refs/tags", "refs/remotes"],
            &fs::Metadata::is_dir,
        )
        && has(&["HEAD", "config", "packed-refs", "index"], &fs::Metadata::is_file)
}
