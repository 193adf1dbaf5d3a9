//! What keeps a program to the workspace: Landlock, where the kernel has it.
//!
//! Landlock only allows, and only adds: what is granted with a folder is granted with all that lies in it. So reading is granted by list
//! (system, toolchains, package caches, the workspace), never the home folder as a whole, and what lies inside the workspace (`.env`, a
//! store, `.git`) cannot be kept from a program by it. It holds for one thread and what that starts: a thread of its own confines
//! itself, starts the program, and ends.
//!
//! Root may look into every process, whatever Landlock says, by capabilities that it gets anew with each program. So these are taken
//! away for good from whoever is started: see `without_insight`.

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

/// What stays open to a program under all of it: no rule of Landlock is about it.
pub const OPEN: &str = "UDP, and Unix sockets that lie elsewhere (such as a Docker socket)";

impl Confinement {
    /// Returns what programs may touch that begin in `workspace`. `home` is the home folder, `path` the folders where programs lie.
    pub fn new(settings: &ToolSettings, workspace: &Path, home: Option<&Path>, path: &[PathBuf]) -> Self {
        let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        readable.extend(home.into_iter().flat_map(|home| HOME.map(|part| home.join(part))));
        // A folder of programs that is the home folder itself, or lies above it, grants nothing.
        let is_narrow = |folder: &&PathBuf| home.is_none_or(|home| !home.starts_with(folder)) && folder.components().count() > 1;
        readable.extend(path.iter().filter(is_narrow).cloned());
        readable.extend(settings.readable.iter().map(|folder| expanded(folder, home)));
        // A program reads what was installed with it, beside the folder that it lies in.
        readable.extend(path.iter().filter_map(|folder| prefix(folder, home)));
        readable.extend(repository(workspace));
        Self { level: settings.sandbox, readable, writable: vec![workspace.to_owned()], network: settings.network }
    }

    /// Returns the same, with a further folder that may be written.
    #[must_use]
    pub fn with_writable(mut self, folder: &Path) -> Self {
        self.writable.push(folder.to_owned());
        self
    }

    /// Returns the same for a copy of the workspace: programs read the workspace, and write the copy alone.
    #[must_use]
    pub fn in_copy(mut self, copy: &Path) -> Self {
        self.readable.append(&mut self.writable);
        self.writable.push(copy.to_owned());
        self
    }

    /// Returns the same, where what was installed with `program` can be read too, wherever the links to it lead.
    #[must_use]
    pub fn running(mut self, program: &Path, home: Option<&Path>) -> Self {
        if let Ok(program) = program.canonicalize() {
            let folder = program.parent().unwrap_or(Path::new("/"));
            self.readable.extend(prefix(folder, home));
            self.readable.push(program);
        }
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

    /// Tells whether programs under it can open no TCP connection: the settings do not let them, and this system sees to it.
    pub fn closes_tcp(&self) -> bool {
        self.level != Sandbox::Off && !self.network && knows_tcp()
    }

    /// Tells whether programs are confined at all.
    pub fn confines(&self) -> bool {
        self.level != Sandbox::Off
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
        apart(|| {
            enter(self)?;
            without_insight();
            command.spawn()
        })
    }
}

/// Starts a program that nothing confines, and that cannot look into other processes all the same, not even as root.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_without_insight(command: &mut Command) -> io::Result<Child> {
    apart(|| {
        without_insight();
        command.spawn()
    })
}

/// Does something in a thread of its own, to which everything sticks that it does to itself.
fn apart(work: impl FnOnce() -> io::Result<Child> + Send) -> io::Result<Child> {
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|_| Err(io::Error::other("the thread that starts it broke off")))
}

/// Has this process keep its memory and its variables from all others that are not root's: keys stand there. It leaves no core either.
pub fn hide_from_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::debug!("other processes may read the variables of this one: {error}");
    }
}

/// Returns what was installed with the programs of a folder: the folder above a `bin`, when it looks like such a place and is narrow.
fn prefix(folder: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let above = folder.parent().filter(|_| folder.ends_with("bin"))?;
    // The home folder, what lies above it, and what lies in it directly (`~/.local`, a project with a `bin`) hold more than programs.
    let holds_more = home.is_some_and(|home| home.starts_with(above) || above.parent() == Some(home));
    let is_installed = ["lib", "lib64", "libexec", "pyvenv.cfg"].iter().any(|name| above.join(name).exists());
    let is_checkout = above.join(".git").exists();
    (above.components().count() > 1 && !holds_more && is_installed && !is_checkout).then(|| above.to_owned())
}

/// Returns what of the repository that a folder lies in is read by its tools and lies elsewhere: above it, or, for a linked worktree or a
/// submodule, where the file `.git` says.
fn repository(workspace: &Path) -> Vec<PathBuf> {
    let Some(dot) = workspace.ancestors().map(|folder| folder.join(".git")).find(|dot| dot.exists()) else { return Vec::new() };
    let mut places = vec![dot.clone()];
    let text = if dot.is_file() { std::fs::read_to_string(&dot).unwrap_or_default() } else { String::new() };
    if let (Some(named), Some(above)) = (text.trim().strip_prefix("gitdir:"), dot.parent()) {
        let own = above.join(named.trim());
        // A stranger's file may name any folder: that of a worktree names the file in turn, that of a submodule lies in a repository above.
        let same =
            |one: &Path, other: &Path| one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other));
        let knows = std::fs::read_to_string(own.join("gitdir")).is_ok_and(|named| same(Path::new(named.trim()), &dot));
        let lies_above = |own: PathBuf| above.ancestors().any(|folder| own.starts_with(folder.join(".git/modules")));
        if knows || own.canonicalize().is_ok_and(lies_above) {
            let common = std::fs::read_to_string(own.join("commondir")).ok().map(|common| own.join(common.trim()));
            places.extend(common.filter(|common| common.join("HEAD").is_file()));
            places.push(own);
        }
    }
    places
}

pub fn expanded(folder: &str, home: Option<&Path>) -> PathBuf {
    match (
        folder.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')).map(|rest| rest.trim_start_matches('/')),
        home,
    ) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(folder),
    }
}

#[cfg(target_os = "linux")]
mod system {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };

    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

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

    /// Takes from the thread that calls it, for good, and from all that it starts what lets root look into every process: capabilities
    /// that come back with each program otherwise. Whoever is not root may not do it and does not need to.
    pub(super) fn without_insight() {
        for capability in [CapabilitySet::SYS_PTRACE, CapabilitySet::PERFMON, CapabilitySet::SYS_ADMIN] {
            if let Err(error) = remove_capability_from_bounding_set(capability) {
                tracing::trace!("a capability stays: {error}");
            }
        }
    }

    /// Tells whether this system can keep programs from TCP.
    pub(super) fn knows_tcp() -> bool {
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        rules.handle_access(AccessNet::ConnectTcp).and_then(|rules| rules.create()).is_ok()
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

    pub(super) fn without_insight() {}

    pub(super) fn knows_tcp() -> bool {
        false
    }

    pub(super) fn enforced(_: &Confinement) -> Enforced {
        Enforced { is_full: false, missing: vec!["what programs may read, write and connect to (no Landlock here)"] }
    }
}

use system::{enforced, enter, knows_tcp, without_insight};

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(path: &Path) {
        fs::create_dir_all(path).unwrap();
    }

    #[test]
    fn what_was_installed_with_a_program_is_read_and_no_home_or_checkout() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        for installed in ["sdk/python/bin", "sdk/python/lib", "tool/bin", "tool/lib", "src/checkout/bin", "src/checkout/lib"] {
            folder(&home.join(installed));
        }
        folder(&home.join("bin"));
        folder(&home.join("src/checkout/.git"));
        folder(&home.join("src/plain/bin"));
        let found = |path: &str| prefix(&home.join(path), Some(&home));
        assert_eq!(found("sdk/python/bin"), Some(home.join("sdk/python")));
        for other in ["bin", "tool/bin", "src/checkout/bin", "src/plain/bin", "sdk/python/lib"] {
            assert_eq!(found(other), None, "{other}");
        }
        let confinement =
            Confinement::new(&ToolSettings::default(), &home.join("w"), Some(&home), &[home.join("sdk/python/bin")]);
        assert!(confinement.readable.contains(&home.join("sdk/python")));
    }

    #[test]
    fn a_linked_worktree_is_read_with_the_repository_that_it_is_of_and_no_file_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (main, tree) = (dir.path().join("main"), dir.path().join("tree"));
        let own = main.join(".git/worktrees/tree");
        folder(&own);
        folder(&tree.join("sub"));
        for (file, text) in [("gitdir", format!("{}\n", tree.join(".git").display())), ("commondir", "../..\n".to_owned())] {
            fs::write(own.join(file), text).unwrap();
        }
        fs::write(main.join(".git/HEAD"), "x").unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        let found = repository(&tree.join("sub"));
        assert!(found.contains(&own) && found.contains(&own.join("../..")), "{found:?}");
        // A file that a stranger planted names what is no repository's.
        fs::write(tree.join(".git"), format!("gitdir: {}\n", dir.path().display())).unwrap();
        assert_eq!(repository(&tree), [tree.join(".git")]);
    }
}
