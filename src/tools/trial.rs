//! Trying what an answer proposes: a copy of the workspace, to which its diffs are applied, and where a command runs. The workspace
//! itself stays as it is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::apply_patch::ApplyPatch;
use super::child::{Ended, TempFolder};
use super::root::{Folder, Kind, Root, RootPath};
use super::{Tool, ToolContext, ToolError};
use crate::domain::event::NotRun;
use crate::domain::judge;

/// Files and bytes of a copy, at most.
const FILES_MAX: u64 = 200_000;
const BYTES_MAX: u64 = 2 << 30;
/// What marks a folder whose content can be made again (<https://bford.info/cachedir/>): `target` of Cargo is one.
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// A copy of the workspace with what an answer proposes; it is removed with the value.
pub(super) struct Trial {
    place: ToolContext,
    has_diff: bool,
    _folder: TempFolder,
}

impl Trial {
    /// Makes a copy of the workspace of `place` and applies the diffs of `answer` to it.
    ///
    /// # Errors
    /// Why there is none, or why the diffs cannot be applied, in words.
    pub(super) fn of(place: &ToolContext, answer: &str, stop: &CancellationToken) -> Result<Self, (NotRun, String)> {
        let no_copy = |why: String| (NotRun::NoCopy, format!("the workspace cannot be copied: {why}"));
        let folder = TempFolder::new(&place.environment).map_err(|error| no_copy(error.to_string()))?;
        let to = folder.path.join("copy");
        let from = place.root.folder(&RootPath::default()).map_err(|error| no_copy(error.message))?;
        Copying { files: 0, bytes: 0, stop }.folder(&from, &to).map_err(no_copy)?;
        let root = Root::open(&to, &[], &[]).map_err(|error| no_copy(error.to_string()))?;
        let copy = ToolContext {
            root,
            commands: place.commands.clone(),
            effects: place.effects.clone(),
            allow_write: true,
            origins: Vec::new(),
            memory: None,
            environment: place.environment.clone(),
            confinement: place.confinement.clone().in_copy(&to),
            store: None,
            programs: place.programs.clone(),
            redactor: Arc::clone(&place.redactor),
        };
        let diffs = judge::diffs_of(answer);
        if !diffs.trim().is_empty() {
            let planned = ApplyPatch.plan(&json!({ "patch": diffs }), &copy, None);
            let fails = |why: String| (NotRun::PatchFails, why.trim_end_matches('.').to_owned());
            let write = planned.transpose().map_err(|error| fails(error.message))?;
            if let Some(outcome) =
                write.map(|write| write.perform(&copy.root, Instant::now())).filter(|done| done.fault.is_some())
            {
                return Err(fails(outcome.text));
            }
        }
        Ok(Self { place: copy, has_diff: !diffs.trim().is_empty(), _folder: folder })
    }

    /// Runs a program there.
    ///
    /// # Errors
    /// As [`ToolContext::command`].
    pub(super) fn command(
        &self,
        program: &str,
        arguments: &[String],
        limit: Duration,
        stop: &CancellationToken,
    ) -> Result<Ended, ToolError> {
        let mut ended = self.place.command(program, arguments, limit, stop)?;
        if !self.has_diff {
            let said = "meno: the answer has no fenced diff, so this ran in a copy of the workspace as it is\n";
            ended.output.insert_str(0, said);
            ended.bytes += said.len() as u64;
        }
        Ok(ended)
    }
}

/// A copy on its way.
struct Copying<'a> {
    files: u64,
    bytes: u64,
    stop: &'a CancellationToken,
}

impl Copying<'_> {
    /// Copies what tools may read of a folder: files with their modes, links as they are, and nothing that can be made again. Like every
    /// tool it follows no link, whatever becomes of a name meanwhile.
    fn folder(&mut self, from: &Folder<'_>, to: &Path) -> Result<(), String> {
        let failed = |target: &Path, error: io::Error| format!("{}: {error}", target.display());
        fs::create_dir(to).map_err(|error| failed(to, error))?;
        for (name, kind) in from.entries().map_err(|error| error.message)? {
            if self.stop.is_cancelled() {
                return Err("it was ended".to_owned());
            }
            let target = to.join(&name);
            self.files += 1;
            match kind {
                // A store and what is gone by now have no place in the copy.
                Kind::Folder => match from.folder(&name) {
                    Ok(folder) if !is_cache(&folder) => self.folder(&folder, &target)?,
                    _ => {}
                },
                Kind::File => {
                    let Ok((mut file, bytes)) = from.file(&name) else { continue };
                    self.bytes += bytes;
                    if self.bytes <= BYTES_MAX {
                        copy(&mut file, &target).map_err(|error| failed(&target, error))?;
                    }
                }
                // One that leads nowhere was exchanged for something else since it was listed.
                Kind::Link(leads) if leads.is_empty() => {}
                Kind::Link(leads) => symlink(leads, &target).map_err(|error| failed(&target, error))?,
                Kind::Other => {}
            }
            if self.files > FILES_MAX || self.bytes > BYTES_MAX {
                return Err(format!("it has more than {FILES_MAX} files or {} GiB", BYTES_MAX >> 30));
            }
        }
        Ok(())
    }
}

fn copy(file: &mut File, target: &Path) -> io::Result<()> {
    let mut copy = File::create_new(target)?;
    io::copy(file, &mut copy)?;
    copy.set_permissions(file.metadata()?.permissions())
}

/// Tells whether a folder says that its content can be made again.
fn is_cache(folder: &Folder<'_>) -> bool {
    let mut tag = Vec::new();
    let Ok((file, _)) = folder.file(CACHE_TAG) else { return false };
    file.take(CACHE_SIGNATURE.len() as u64).read_to_end(&mut tag).is_ok() && tag == CACHE_SIGNATURE
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::{Environment, Toolbox};
    use super::*;
    use crate::domain::event::Fact;
    use crate::domain::judge::CommandAsked;
    use crate::domain::run::Observation;
    use crate::domain::settings::ToolSettings;

    /// A folder with a file, a cache, a store and a link, and what a command in its copy was seen to do.
    fn seen(command: &str, answer: &str) -> (tempfile::TempDir, Observation) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("work");
        for (name, text) in [
            ("price.txt", "135\n"),
            ("run.sh", "cat price.txt\n"),
            ("target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"),
            (".git/config", ""),
            ("store/log", "x"),
            (".env", "KEY=SECRET\n"),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink("price.txt", root.join("link")).unwrap();
        let settings = ToolSettings { commands: vec!["sh".to_owned()], ..ToolSettings::default() };
        let path = |name: &str| (name == "PATH").then(|| "/usr/bin:/bin".to_owned());
        let environment = Environment::new(path, &[], |_| false);
        let toolbox = Toolbox::new(&root, &[&root.join("store")], &settings, environment);
        let run = ["sh", "-c", command].map(str::to_owned);
        let asked = CommandAsked { run: &run, timeout_s: 60, patched: true };
        (dir, toolbox.observe(asked, answer, &CancellationToken::new()).unwrap())
    }

    fn said(seen: &Observation) -> String {
        serde_json::to_string(&seen.private.output).unwrap()
    }

    #[test]
    fn a_proposal_is_tried_in_a_copy_and_the_workspace_stays_as_it_is() {
        let answer = "So:\n```diff\n--- a/price.txt\n+++ b/price.txt\n@@ -1 +1 @@\n-135\n+165\n```\n";
        let (dir, seen) = seen("ls -A; sh run.sh; cat link; echo 1 > price.txt; touch more", answer);
        assert!(matches!(seen.fact, Fact::Command { exit: Some(0), .. }), "{seen:?}");
        assert!(said(&seen).contains("link\\nprice.txt\\nrun.sh\\n165\\n165\\n"), "{}", said(&seen));
        assert_eq!(
            seen.private.subject,
            r#"{"patched":["sh","-c","ls -A; sh run.sh; cat link; echo 1 > price.txt; touch more"]}"#
        );
        let work = dir.path().join("work");
        assert!(fs::read_to_string(work.join("price.txt")).unwrap() == "135\n" && !work.join("more").exists());
    }

    /// A program that was left running may swap a folder for a link to one outside while the copy is made.
    #[test]
    fn a_folder_that_is_swapped_for_a_link_ten_thousand_times_brings_nothing_into_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (work, outside) = (dir.path().join("work"), dir.path().join("outside"));
        fs::create_dir_all(work.join("d")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(work.join("d/f.txt"), "inside").unwrap();
        fs::write(outside.join("f.txt"), "SECRET").unwrap();
        symlink(&outside, work.join("l")).unwrap();
        let (d, l, is_over) = (work.join("d"), work.join("l"), AtomicBool::new(false));
        let root = Root::open(&work, &[], &[]).unwrap();
        let mut copies = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..10_000).for_each(|_| super::super::tests::swap(&d, &l));
                is_over.store(true, Ordering::Relaxed);
            });
            while !is_over.load(Ordering::Relaxed) || copies == 0 {
                let (to, stop) = (dir.path().join("copy"), CancellationToken::new());
                let from = root.folder(&RootPath::default()).unwrap();
                Copying { files: 0, bytes: 0, stop: &stop }.folder(&from, &to).unwrap();
                for name in ["d", "l"].map(|name| to.join(name)) {
                    // What is copied as a link leads outside as it does in the workspace, and programs are confined there too.
                    let is_folder = fs::symlink_metadata(&name).is_ok_and(|found| found.is_dir());
                    if is_folder && let Ok(text) = fs::read_to_string(name.join("f.txt")) {
                        assert_eq!(text, "inside");
                        copies += 1;
                    }
                }
                fs::remove_dir_all(to).unwrap();
            }
        });
        assert!(copies > 0);
    }

    #[test]
    fn a_diff_that_does_not_apply_is_said_and_an_answer_without_one_changes_nothing() {
        let (_dir, seen) = seen("true", "```diff\n--- a/price.txt\n+++ b/price.txt\n@@ -1 +1 @@\n-136\n+165\n```\n");
        assert_eq!(seen.fact, Fact::CommandNotRun { why: NotRun::PatchFails });
        assert!(said(&seen).contains("The patch is not applied: ") && said(&seen).contains("price.txt"), "{}", said(&seen));
        let (_dir, seen) = self::seen("cat price.txt", "No change.");
        assert!(matches!(seen.fact, Fact::Command { exit: Some(0), .. }), "{seen:?}");
        assert!(said(&seen).contains("has no fenced diff") && said(&seen).contains("135"), "{}", said(&seen));
        let (dir, seen) = self::seen("true", "```diff\n--- a/../../x\n+++ b/../../x\n@@ -0,0 +1 @@\n+165\n```\n");
        assert_eq!(seen.fact, Fact::CommandNotRun { why: NotRun::PatchFails });
        assert!(!dir.path().join("x").exists());
    }
}
