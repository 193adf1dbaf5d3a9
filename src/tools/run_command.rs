//! `run_command`: a program of the allow-list, without a shell.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::child::{self, Ended};
use super::planted::Watched;
use super::{Output, Tool, ToolContext, ToolError, arguments};
use crate::domain::event::ToolFault;
use crate::domain::tool::{RUN_COMMAND, ToolEffect, ToolSpec};

/// Seconds that a program gets, unless asked otherwise, and at most.
const LIMIT_S_DEFAULT: u64 = 300;
const LIMIT_S_MAX: u64 = 3600;

pub(super) struct RunCommand;

#[derive(Deserialize)]
struct Arguments {
    program: String,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    timeout_s: Option<u64>,
}

impl Tool for RunCommand {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: RUN_COMMAND.to_owned(),
            description:
                "Runs a program in the workspace, without a shell: no pipes, no wildcards, no `&&`. Gives its output and its \
                          exit code."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "program": {"type": "string", "minLength": 1, "description": "The program."},
                    "arguments": {"type": "array", "items": {"type": "string"}, "maxItems": 200, "description": "Its arguments, one by one."},
                    "timeout_s": {"type": "integer", "minimum": 1, "maximum": LIMIT_S_MAX, "description": "Seconds until it is ended. Default 300."},
                },
                "required": ["program"],
                "additionalProperties": false,
            }),
            effect: ToolEffect::Writes,
        }
    }

    fn run(&self, value: &Value, place: &ToolContext, stop: &CancellationToken) -> Result<Output, ToolError> {
        let Arguments { program, arguments, timeout_s } = arguments(value)?;
        let limit = Duration::from_secs(timeout_s.unwrap_or(LIMIT_S_DEFAULT).min(LIMIT_S_MAX));
        let ended = place.command(&program, &arguments, limit, stop)?;
        let text = said(&ended);
        if ended.timed_out {
            let message = format!("`{program}` was ended after {} s.\n{text}", limit.as_secs());
            return Err(ToolError { fault: ToolFault::TimedOut, message });
        }
        // What was written and not kept was there all the same.
        let left_out = ended.bytes.saturating_sub(ended.output.len() as u64);
        Ok(Output { bytes: text.len() as u64 + left_out, text })
    }
}

/// What a program wrote, and how it ended.
fn said(ended: &Ended) -> String {
    let mut text = ended.output.clone();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let seconds = ended.took.as_secs_f64();
    let _ = match ended.exit {
        Some(code) => writeln!(text, "(exit code {code}, {seconds:.1} s)"),
        None => writeln!(text, "(ended by a signal, {seconds:.1} s)"),
    };
    text
}

/// The exit code by which shells say that a program is there and cannot be run.
const NOT_EXECUTABLE: i32 = 126;

/// What is added to the output of a program that seems to have lacked a network.
const NO_NETWORK: &str = "\n[meno: programs have no network here (TCP is closed to them), and this one seems to need it: `network = true` \
                          under [tools] opens it]\n";

/// How programs say that they cannot reach a server: resolvers, cargo, pip, npm, go, curl, git. In lower case.
const UNREACHED: [&str; 13] = [
    "could not resolve host",
    "couldn't resolve host",
    "couldn't connect to server",
    "could not connect to server",
    "temporary failure in name resolution",
    "network is unreachable",
    "spurious network error",
    "newconnectionerror",
    "failed to establish a new connection",
    "connect eacces",
    "getaddrinfo enotfound",
    "getaddrinfo eai_again",
    "dial tcp",
];

/// Tells whether the end of what a program wrote says that it could not reach a server.
fn lacks_network(output: &str) -> bool {
    const LOOKED_AT: usize = 64 << 10;
    let end = output[output.ceil_char_boundary(output.len().saturating_sub(LOOKED_AT))..].to_lowercase();
    UNREACHED.iter().any(|words| end.contains(words))
}

/// Says that the system denied running a program, or the interpreter that its first line names.
fn denied(program: &str, path: &Path, error: &std::io::Error) -> String {
    let by = interpreter(path).map_or_else(String::new, |by| format!(", which is run by {by}"));
    format!(
        "meno: `{program}` was not started: {error}: {}{by}. In the sandbox programs read and run only what lies in the workspace, the \
         system and known toolchains: add the folder of what is denied to `readable` under [tools].\n",
        path.display()
    )
}

/// Returns the program that the first line of a script names.
fn interpreter(path: &Path) -> Option<String> {
    const LINE_BYTES: u64 = 256;
    let mut start = Vec::new();
    std::fs::File::open(path).ok()?.take(LINE_BYTES).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
}

impl ToolContext {
    /// Returns where a program lies that may run.
    ///
    /// # Errors
    /// When it is not on the list, not there, or could not be confined.
    pub(super) fn may_run(&self, program: &str) -> Result<PathBuf, ToolError> {
        if !self.commands.iter().any(|allowed| allowed == program) {
            return Err(ToolError::not_allowed(format!("`{program}` is not on the list of programs that the settings allow.")));
        }
        let Some(path) = self.environment.find(program) else {
            return Err(ToolError::failed(format!("`{program}` is not on this machine.")));
        };
        match self.confinement.refusal() {
            Some(refusal) => Err(ToolError::not_allowed(format!("`{program}` is not run: {refusal}."))),
            None => Ok(path),
        }
    }

    /// Runs a program of the allow-list in the workspace.
    ///
    /// # Errors
    /// When it is not on the list, not there, cannot be started, or is stopped.
    pub(super) fn command(
        &self,
        program: &str,
        arguments: &[String],
        limit: Duration,
        stop: &CancellationToken,
    ) -> Result<Ended, ToolError> {
        let path = self.may_run(program)?;
        if arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(ToolError::bad_arguments("An argument has no NUL in it."));
        }
        let before = Watched::of(self.root.folder_path(), self.store.as_deref());
        let confinement = self.confinement.clone().running(&path, self.environment.get("HOME").map(Path::new));
        let keeping = (&confinement, self.programs.as_ref());
        let ended = child::run((&path, arguments), self.root.folder_path(), &self.environment, keeping, limit, stop);
        match ended {
            Ok(Some(mut ended)) => {
                let changed = before.changed(&Watched::of(self.root.folder_path(), self.store.as_deref()));
                if !changed.is_empty() {
                    let files: Vec<String> = changed.iter().map(|file| file.display().to_string()).collect();
                    let files = files.join(", ");
                    ended.output +=
                        &format!("\n[meno: {files} changed while this ran: what stands there is run or believed later]\n");
                }
                if ended.exit != Some(0) && lacks_network(&ended.output) && self.confinement.closes_tcp() {
                    ended.output += NO_NETWORK;
                }
                Ok(ended)
            }
            // As a shell says it: the program is there, and may not be run.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && self.confinement.confines() => {
                let output = denied(program, &path, &error);
                let bytes = output.len() as u64;
                Ok(Ended { exit: Some(NOT_EXECUTABLE), timed_out: false, output, bytes, took: Duration::ZERO })
            }
            Ok(None) => Err(ToolError::failed("stopped")),
            Err(error) => Err(ToolError::failed(format!("`{program}` cannot be started: {error}."))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::event::Fact;
    use crate::domain::judge::CommandAsked;
    use crate::domain::settings::ToolSettings;
    use crate::domain::text::Text;
    use crate::tools::sandbox::Confinement;
    use crate::tools::{Environment, Toolbox};

    #[test]
    fn what_programs_write_that_reach_no_server_is_known() {
        let reached_none = [
            "warning: spurious network error (3 tries remaining): [7] Couldn't connect to server (Failed to connect to index.crates.io)",
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('<pip._vendor...>: [Errno 13]')': /simple/x/",
            "npm error code EACCES\nnpm error syscall connect\nnpm error FetchError: reason: connect EACCES 104.16.0.1:443",
            "go: github.com/x/y: dial tcp 140.82.121.3:443: connect: permission denied",
            "fatal: unable to access 'https://x/': Could not resolve host: x",
        ];
        for output in reached_none {
            assert!(lacks_network(output), "{output}");
        }
        for output in
            ["", "test result: FAILED. 1 passed; 1 failed", "Permission denied (os error 13)", "connection refused by policy"]
        {
            assert!(!lacks_network(output), "{output}");
        }
        let long = format!("Could not resolve host\n{}", "ä".repeat(100_000));
        assert!(!lacks_network(&long), "what was got over long ago is no reason");
    }

    /// A workspace, with the tools that work there and may run these programs, which lie in `bin` or where programs usually do.
    fn toolbox(dir: &Path, commands: &[&str]) -> (Toolbox, Confinement) {
        let [work, bin] = ["w", "bin"].map(|name| dir.join(name));
        [&work, &bin].into_iter().for_each(|folder| std::fs::create_dir_all(folder).unwrap());
        let commands = commands.iter().map(|name| (*name).to_owned()).collect();
        let settings = ToolSettings { commands, ..ToolSettings::default() };
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let environment = Environment::new(|name| (name == "PATH").then(|| path.clone()), &[], |_| false);
        let confinement = Confinement::new(&settings, &work, None, environment.path());
        (Toolbox::new(&work, &[], &settings, environment), confinement)
    }

    #[test]
    fn a_program_that_reached_no_server_is_told_that_there_is_no_network() {
        let dir = tempfile::tempdir().unwrap();
        let (toolbox, confinement) = toolbox(dir.path(), &["sh"]);
        let run = |line: &str| {
            let arguments = json!({"program": "sh", "arguments": ["-c", line]});
            toolbox.run(RUN_COMMAND, &arguments, &CancellationToken::new()).unwrap().text
        };
        let failed = run("echo 'curl: (6) Could not resolve host: x'; exit 6");
        assert_eq!(failed.contains("`network = true` under [tools]"), confinement.closes_tcp(), "{failed}");
        assert!(!run("echo 'Could not resolve host: x'").contains("network = true"), "what ended well lacked nothing");
        assert!(!run("echo 'one test failed'; exit 1").contains("network = true"));
    }

    #[test]
    fn a_script_whose_interpreter_is_denied_is_not_said_to_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (toolbox, confinement) = toolbox(dir.path(), &["odd"]);
        let elsewhere = dir.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::copy("/bin/sh", elsewhere.join("sh")).unwrap();
        let script = dir.path().join("bin/odd");
        std::fs::write(&script, format!("#!{}\nexit 0\n", elsewhere.join("sh").display())).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        if confinement.enforced().is_some_and(|enforced| enforced.missing.iter().any(|missing| missing.contains("no Landlock"))) {
            return;
        }
        let run = ["odd".to_owned()];
        let observe =
            || toolbox.observe(CommandAsked { run: &run, timeout_s: 60, patched: false }, "", &CancellationToken::new()).unwrap();
        // A file that was written a moment ago may still be open in a child of another test.
        let seen =
            (0..100).map(|_| observe()).find(|seen| !matches!(seen.fact, Fact::CommandNotRun { .. })).expect("it is there");
        assert!(matches!(seen.fact, Fact::Command { exit: Some(NOT_EXECUTABLE), .. }), "{seen:?}");
        let Some(Text::Inline(said)) = &seen.private.output else { panic!("{seen:?}") };
        assert!(said.contains("elsewhere/sh") && said.contains("`readable` under [tools]"), "{said}");
    }

    #[test]
    fn who_runs_a_script_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pytest");
        std::fs::write(&path, "#! /opt/venv/bin/python -u\nimport x\n").unwrap();
        assert_eq!(interpreter(&path).as_deref(), Some("/opt/venv/bin/python"));
        let said = denied("pytest", &path, &std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        assert!(said.contains("which is run by /opt/venv/bin/python") && said.contains("`readable` under [tools]"), "{said}");
        std::fs::write(&path, [0x7f, b'E', b'L', b'F']).unwrap();
        assert_eq!(interpreter(&path), None);
    }
}
