//! `meno note`: what a person says about a run, remembered with it.

use std::io::Read;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::NoteArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::{form_fill, open};
use crate::workspace::{Access, NOTE_BYTES_MAX, NoteError};

/// What `note --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Where a note came to stand, as `meno note --json` prints it")]
pub struct Noted {
    /// The run's id.
    pub run_id: String,
    /// Position of the note's event in the store's log.
    pub seq: u64,
    /// Position in the run's stream.
    pub version: u64,
    /// The chain's hash at this event.
    pub hash: String,
}

/// Adds a note to a run; `-` reads it from stdin.
///
/// # Errors
/// When there is no such run, nothing to say, or the store cannot take it.
pub fn run(context: &mut Context, args: &NoteArgs) -> Result<Exit> {
    let text = if args.text == "-" { from_stdin(&mut std::io::stdin().lock())? } else { args.text.clone() };
    let text = text.trim_end();
    if text.trim().is_empty() && args.rating.is_none() && args.tags.is_empty() {
        return Err(CliError::invalid("the note is empty").hint("say something, or give `--rating 1..5`"));
    }
    // A store that is not there has no run that could be noted, and is not made for it.
    let workspace = open::store(context, Access::Change)?;
    let id = workspace.runs().find_own_run(&args.run.to_string())?;
    let redactor = form_fill::redactor_about(&workspace, id);
    let tags = args.tags.iter().map(|tag| redactor.redact_answer(tag).into_owned()).collect();
    let (envelope, hash) = workspace.runs().note(id, &redactor.redact_answer(text), args.rating, tags)?;
    if context.out.json() {
        let noted = Noted { run_id: id.to_string(), seq: envelope.seq, version: envelope.version, hash: hash.to_string() };
        context.out.document(&noted)?;
    } else {
        context.out.say(format!("noted with run {id}"));
    }
    Ok(Exit::Done)
}

fn from_stdin(stdin: &mut impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    let limit = NOTE_BYTES_MAX as u64 + 1;
    stdin
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::new("io", Exit::Mendable, format!("cannot read stdin: {error}")))?;
    if bytes.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong.into());
    }
    String::from_utf8(bytes).map_err(|_| CliError::invalid("the note is not UTF-8 text").hint("convert it to UTF-8 first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_from_stdin_is_text_and_not_endless() {
        assert_eq!(from_stdin(&mut &b"good\nwork"[..]), Ok("good\nwork".to_owned()));
        assert!(from_stdin(&mut &[0xff][..]).unwrap_err().message.contains("not UTF-8"));
        assert!(from_stdin(&mut std::io::repeat(b'x')).unwrap_err().message.contains("longer"));
    }
}
