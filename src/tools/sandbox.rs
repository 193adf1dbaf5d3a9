//! What keeps a program to the workspace: Landlock, where the kernel has it.
//!
//! Landlock only allows, and only adds: what is granted with a folder is granted with all that lies in it. So reading is granted by list
//! (system, toolchains, package caches, the workspace), never the home folder as a whole, and what lies inside the workspace (`.env`, a
//! store, `.git`) cannot be kept from a program by it. It holds for one thread and what that starts: a thread of its own confines
//! itself, starts the program, and ends.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::domain::settings::{Sandbox, ToolSettings};

/// Folders and files of the system that programs read.
const SYSTEM: [&str; 16] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix/store",
    "/run/current-system",
    "/proc",
    "/sys",
    "/var/lib/dpkg",
    "/var/cache/fontconfig",
    "/dev/random",
    "/dev/urandom",
];

/// Files that programs read and write.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];

/// Toolchains and package caches in the home folder: those that hold no keys.
const HOME: [&str; 31] = [
    ".cargo/bin",
    ".cargo/registry",
    ".cargo/git",
    ".cargo/config.toml",
    ".cargo/env",
    ".rustup",
    ".local/bin",
    ".local/lib",
    ".local/share/uv",
    ".local/share/pnpm",
    ".local/share/mise",
    ".local/pipx",
    ".pyenv",
    ".nvm",
    ".volta",
    ".asdf",
    ".sdkman",
    ".rbenv",
    ".bun/bin",
    ".deno/bin",
    ".npm/_cacache",
    ".cache/pip",
    ".cache/uv",
    ".cache/go-build",
    ".cache/ms-playwright",
    ".m2/repository",
    ".gradle/caches",
    "go",
    ".gitconfig",
    ".config/git",
    ".nuget/packages",
];

/// What a program may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    level: Sandbox,
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    network: bool,
}

/// How much of it this system enforces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// All of it.
    pub is_full: bool,
    /// What is not, in words.
    pub missing: Vec<&'static str>,
}

impl Confinement {
    /// Returns what programs may touch that begin in `workspace`. `home` is the home folder, `path` the folders where programs lie.
    pub fn new(settings: &ToolSettings, workspace: &Path, home: Option<&Path>, path: &[PathBuf]) -> Self {
        let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        readable.extend(home.into_iter().flat_map(|home| HOME.map(|part| home.join(part))));
        // A folder of programs that is the home folder itself, or lies above it, grants nothing.
        let is_narrow = |folder: &&PathBuf| home.is_none_or(|home| !home.starts_with(folder)) && folder.components().count() > 1;
        readable.extend(path.iter().filter(is_narrow).cloned());
        readable.extend(settings.readable.iter().map(|folder| expanded(folder, home)));
        // The repository that the workspace lies in is read by its tools.
        readable.extend(workspace.ancestors().skip(1).map(|above| above.join(".git")).find(|dot| dot.exists()));
        Self { level: settings.sandbox, readable, writable: vec![workspace.to_owned()], network: settings.network }
    }

    /// Returns the same, with a further folder that may be written.
    #[must_use]
    pub fn with_writable(mut self, folder: &Path) -> Self {
        self.writable.push(folder.to_owned());
        self
    }

    /// Returns the same, without any folder that may be written.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.readable.append(&mut self.writable);
        self
    }

    /// Returns how much of it is enforced here; `None` when nothing was asked for.
    pub fn enforced(&self) -> Option<Enforced> {
        (self.level != Sandbox::Off).then(|| enforced(self))
    }

    /// Returns what keeps programs from running: everything must be enforced, and is not.
    pub fn refusal(&self) -> Option<String> {
        let enforced = self.enforced().filter(|enforced| self.level == Sandbox::Require && !enforced.is_full)?;
        Some(format!(
            "programs must be confined (`sandbox = \"require\"`), and this system does not enforce {}",
            enforced.missing.join(", ")
        ))
    }

    /// Starts a program under it.
    ///
    /// # Errors
    /// When it cannot be started, or not be confined.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        if self.level == Sandbox::Off {
            return command.spawn();
        }
        let started = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(self)?;
                command.spawn()
            });
            thread.join()
        });
        started.unwrap_or_else(|_| Err(io::Error::other("the thread that confines it broke off")))
    }
}

fn expanded(folder: &str, home: Option<&Path>) -> PathBuf {
    match (folder.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(folder),
    }
}

#[cfg(target_os = "linux")]
mod system {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
        RulesetStatus, Scope, path_beneath_rules,
    };

    use super::*;

    /// The newest rules that are asked for; an older kernel enforces those that it knows.
    const RULES: ABI = ABI::V6;

    fn restrict(confinement: &Confinement) -> Result<RestrictionStatus, RulesetError> {
        let mut rules = Ruleset::default().handle_access(AccessFs::from_all(RULES))?;
        if !confinement.network {
            rules = rules.handle_access(AccessNet::from_all(RULES))?;
        }
        let devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        rules
            .scope(Scope::from_all(RULES))?
            .create()?
            .add_rules(path_beneath_rules(&confinement.readable, AccessFs::from_read(RULES)))?
            .add_rules(path_beneath_rules(&confinement.writable, AccessFs::from_all(RULES)))?
            .add_rules(path_beneath_rules(DEVICES, devices))?
            .restrict_self()
    }

    /// Confines the thread that calls it, for good, and all that it starts.
    pub(super) fn enter(confinement: &Confinement) -> io::Result<()> {
        restrict(confinement).map(drop).map_err(|error| io::Error::other(format!("it cannot be confined: {error}")))
    }

    /// Finds out by trying, in a thread that ends then.
    pub(super) fn enforced(confinement: &Confinement) -> Enforced {
        let tried = std::thread::scope(|scope| scope.spawn(|| restrict(confinement).map(|status| status.ruleset)).join());
        match tried {
            Ok(Ok(RulesetStatus::FullyEnforced)) => Enforced { is_full: true, missing: Vec::new() },
            Ok(Ok(RulesetStatus::PartiallyEnforced)) => {
                let missing = if confinement.network {
                    "signals to other programs"
                } else {
                    "the ban on TCP, or on signals to other programs"
                };
                Enforced { is_full: false, missing: vec![missing] }
            }
            _ => Enforced { is_full: false, missing: vec!["what programs may read, write and connect to (no Landlock here)"] },
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::*;

    pub(super) fn enter(_: &Confinement) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn enforced(_: &Confinement) -> Enforced {
        Enforced { is_full: false, missing: vec!["what programs may read, write and connect to (no Landlock here)"] }
    }
}

use system::{enforced, enter};
