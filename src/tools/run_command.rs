//! `run_command`: a program of the allow-list, without a shell.

use std::fmt::Write as _;
use std::path::Path;
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

impl ToolContext {
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
        if !self.commands.iter().any(|allowed| allowed == program) {
            return Err(ToolError::not_allowed(format!("`{program}` is not on the list of programs that the settings allow.")));
        }
        let Some(path) = self.environment.find(program) else {
            return Err(ToolError::failed(format!("`{program}` is not on this machine.")));
        };
        if let Some(refusal) = self.confinement.refusal() {
            return Err(ToolError::not_allowed(format!("`{program}` is not run: {refusal}.")));
        }
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
                Ok(ended)
            }
            Ok(None) => Err(ToolError::failed("stopped")),
            Err(error) => Err(ToolError::failed(format!("`{program}` cannot be started: {error}."))),
        }
    }
}
