//! The one way in which the command line fails: a kind, a message, causes, a hint that can be typed, and an exit code.
//!
//! Rooms below have errors of their own, named for what a caller can do; here each becomes a [`CliError`]. What a report
//! says is shown as `error: … / hint: …` to people and as one JSON object to programs, always on stderr.

use std::fmt;
use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::output::sanitize;
use crate::domain::redact::Redactor;
use crate::settings::variables;
use crate::store::{self, Unwritable};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// Something that the user can mend: not found, invalid, refused.
    Mendable = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// The run ended and did not succeed.
    Unsuccessful = 3,
    /// A verification found a violation.
    Violation = 4,
    /// The store cannot be reached.
    Unreachable = 5,
    /// A fault of Meno's own.
    Fault = 70,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// What kind of failure, for programs: snake_case, never renamed.
    pub kind: &'static str,
    /// What failed, on which thing: lower case, no full stop.
    pub message: String,
    /// What led to it, nearest first.
    pub causes: Vec<String>,
    /// What to do about it; commands in backticks.
    pub hint: Option<String>,
    /// How the program ends.
    pub exit: Exit,
}

/// A command's result.
pub type Result<T, E = CliError> = std::result::Result<T, E>;

/// The kind of the report that is never shown: nobody reads stdout any more.
const BROKEN_PIPE: &str = "broken_pipe";

impl CliError {
    /// Makes a report of `kind`.
    pub fn new(kind: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None, exit }
    }

    /// Something that the user named is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("not_found", Exit::Mendable, message)
    }

    /// Something that the user gave is not valid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid_input", Exit::Mendable, message)
    }

    /// The rules forbid what the user asked for.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new("refused", Exit::Mendable, message)
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Exit::Usage, message)
    }

    /// Meno itself is wrong.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::new("internal", Exit::Fault, message).hint(REPORT_HINT)
    }

    /// Nothing can be written to the store, though it can be read.
    pub fn unwritable(message: impl Into<String>, why: Unwritable) -> Self {
        let then = match why {
            Unwritable::ReadOnly => "mount it for writing, or restore a backup elsewhere",
            Unwritable::NotPermitted => "check who owns the store and may write there",
            Unwritable::Full => "make room, then try again",
        };
        let hint = format!("{why}; {then}; until then reading, searching, `meno audit` and `meno backup FILE` elsewhere work");
        Self::new("store_io", Exit::Unreachable, message).hint(hint)
    }

    /// A file that the user named cannot be written.
    pub fn cannot_write(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
        let (why, hint) = match (error.kind(), folder) {
            (io::ErrorKind::NotFound, Some(folder)) => {
                let folder = folder.display();
                (format!("there is no folder {folder}"), format!("make it with `mkdir -p {folder}`, or name a file elsewhere"))
            }
            (io::ErrorKind::NotADirectory, Some(folder)) => {
                (format!("{} is no folder", folder.display()), "name a file in a folder that is there".to_owned())
            }
            (io::ErrorKind::IsADirectory, _) => ("it is a folder".to_owned(), "name a file in it".to_owned()),
            (io::ErrorKind::AlreadyExists, _) => {
                ("it is there already".to_owned(), "name another file, or remove that one first".to_owned())
            }
            _ => match Unwritable::of(error) {
                Some(Unwritable::Full) => ("the disk is full".to_owned(), "make room, or name a file elsewhere".to_owned()),
                Some(why) => (why.to_string(), "name a file in a folder that you may write to".to_owned()),
                None => (error.to_string(), "name a file elsewhere".to_owned()),
            },
        };
        Self::new("io", Exit::Mendable, format!("cannot write {shown}: {why}")).hint(hint)
    }

    /// The user pressed Ctrl-C.
    pub fn interrupted() -> Self {
        Self::new("interrupted", Exit::Interrupted, "interrupted")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what the failure is about into the hint, where a word in capitals stands for it: RUN, TEMPLATE.
    #[must_use]
    pub fn about(mut self, word: &str, thing: impl fmt::Display) -> Self {
        let thing = thing.to_string();
        let is_plain = thing.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        let typed = if is_plain { thing } else { format!("'{}'", thing.replace('\'', "'\\''")) };
        self.hint = self.hint.map(|hint| hint.replace(&format!(" {word}"), &format!(" {typed}")));
        self
    }

    /// Adds what led to it.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds the error that led to it, with all that led to that one.
    #[must_use]
    pub fn source(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |error| error.source());
        for cause in chain {
            let words = cause.to_string();
            // Many errors repeat their source in their own words; once is enough.
            if !self.message.contains(&words) && !self.causes.iter().any(|known| known.contains(&words)) {
                self.causes.push(words);
            }
        }
        self
    }

    /// Adds `did you mean` when something in `known` is near to `typed`; `otherwise` is the rest of the hint.
    #[must_use]
    pub fn suggest<'a>(self, typed: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> Self {
        match nearest(typed, known) {
            Some(near) if otherwise.is_empty() => self.hint(format!("did you mean `{near}`?")),
            Some(near) => self.hint(format!("did you mean `{near}`? {otherwise}")),
            None if otherwise.is_empty() => self,
            None => self.hint(otherwise),
        }
    }

    /// Tells whether the report is shown at all: a closed pipe is no error.
    pub fn is_silent(&self) -> bool {
        self.kind == BROKEN_PIPE
    }

    /// Writes the report for people, without colour; several lines, the last one without a line break.
    pub fn to_text(&self) -> String {
        let mut text = format!("error: {}", sanitize::text(&self.message).replace('\n', "\n  "));
        for cause in &self.causes {
            text.push_str("\n  ");
            text.push_str(&sanitize::text(cause).replace('\n', "\n  "));
        }
        if let Some(hint) = &self.hint {
            text.push_str("\nhint: ");
            text.push_str(&sanitize::text(hint).replace('\n', "\n  "));
        }
        text
    }

    /// Returns the report as programs read it.
    pub fn to_json(&self) -> ErrorDocument {
        ErrorDocument {
            error: ErrorJson {
                kind: self.kind.to_owned(),
                message: self.message.clone(),
                causes: self.causes.clone(),
                hint: self.hint.clone(),
                exit_code: self.exit as u8,
            },
        }
    }
}

/// What programs read on stderr when a command with `--json` fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "An error, as every command with `--json` prints it on stderr")]
pub struct ErrorDocument {
    /// The error.
    pub error: ErrorJson,
}

/// An error as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorJson {
    /// What kind of failure: snake_case, never renamed.
    pub kind: String,
    /// What failed, on which thing.
    pub message: String,
    /// What led to it, nearest first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// How the program ends.
    pub exit_code: u8,
}

/// Where a fault goes.
const REPORT_HINT: &str =
    "this is a fault of meno itself; please report it with the lines above and the output of `meno --version`";

/// Returns the one of `known` that `typed` was probably meant to be.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &name.to_lowercase()), strsim::jaro_winkler(&typed, name), name))
        // Close enough: about a third of the letters, or the same beginning. Farther away a suggestion only distracts.
        .filter(|(edits, likeness, name)| *edits <= name.chars().count().max(3) / 3 || *likeness > 0.88)
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))
        .map(|(_, _, name)| name)
}

impl From<io::Error> for CliError {
    /// For writing to stdout: a closed pipe ends quietly.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(BROKEN_PIPE, Exit::Done, "nobody reads the output any more");
        }
        Self::new("io", Exit::Mendable, format!("cannot write the output: {error}"))
    }
}

fn source_kind(error: &store::Error) -> Option<io::ErrorKind> {
    match error {
        store::Error::Io { source, .. } => Some(source.kind()),
        _ => None,
    }
}

impl From<store::Error> for CliError {
    fn from(error: store::Error) -> Self {
        use store::Error;
        let message = error.to_string();
        let report = match &error {
            Error::Conflict { .. } => {
                Self::new("conflict", Exit::Mendable, message).hint("somebody else changed the run at the same moment; try again")
            }
            Error::BatchReused(_) | Error::MissingPayloads(_) | Error::BadBatch(_) => Self::fault(message),
            Error::DayLimit { .. } => Self::new("day_budget", Exit::Mendable, message)
                .hint("raise it with `meno config budget.per_day_usd=USD`, or wait until midnight UTC"),
            Error::NotFound(_) => {
                Self::new("store_not_found", Exit::Mendable, message).hint("`meno init` makes one in the current folder")
            }
            Error::Refused(_) => {
                Self::new("store_refused", Exit::Mendable, message).hint("use a store of your own: `--store DIR` or `meno init`")
            }
            Error::Unsuited(_) => Self::new("store_unsuited", Exit::Mendable, message)
                .hint("keep the store on a local file system: `--store DIR` or MENO_STORE"),
            Error::Unreachable { pid } => {
                let hint = pid.map_or_else(
                    || "`meno doctor` looks for the process that holds it".to_owned(),
                    |pid| format!("wait longer with `--wait SECONDS`, or end process {pid}"),
                );
                Self::new("store_unreachable", Exit::Unreachable, message).hint(hint)
            }
            Error::Busy { .. } => Self::new("store_busy", Exit::Unreachable, message).hint("wait longer with `--wait SECONDS`"),
            Error::RunHeld { run, .. } => Self::new("run_held", Exit::Mendable, message)
                .hint(format!("another process executes it: `meno events {run} --follow` watches, `meno cancel {run}` ends it")),
            Error::Version { pid, .. } => Self::new("store_version", Exit::Unreachable, message)
                .hint(format!("end process {pid}, or use the same version of meno")),
            Error::Damaged(_) => Self::new("store_damaged", Exit::Violation, message)
                .hint("`meno doctor` says what is lost and what can be restored"),
            Error::Unidentified(_) => Self::new("store_unidentified", Exit::Unreachable, message).hint(
                "nothing was changed; put the journal's folder right, or restore a backup: `meno restore FILE --store DIR`",
            ),
            Error::Locked(_) => Self::new("store_locked", Exit::Mendable, message)
                .hint("`meno doctor` shows where the key is looked for; all but the encrypted texts works without it"),
            Error::Newer { .. } => {
                Self::new("store_newer", Exit::Mendable, message).hint("use the version of meno that wrote it, or a newer one")
            }
            Error::Closed(_) => Self::new("store_closed", Exit::Unreachable, message)
                .hint("what was acknowledged is safe; check disk space and permissions, then try again"),
            Error::Io { .. } => match error.unwritable() {
                Some(why) => Self::unwritable(message, why),
                None if source_kind(&error) == Some(io::ErrorKind::NotADirectory) => {
                    Self::new("store_io", Exit::Unreachable, message).hint("name the folder of a store: `--store DIR`")
                }
                None => Self::new("store_io", Exit::Unreachable, message),
            },
            Error::Index(_) => {
                Self::new("store_index", Exit::Unreachable, message).hint("nothing is lost; `meno rebuild` rebuilds the index")
            }
            Error::Views(_) => {
                Self::new("store_views", Exit::Unreachable, message).hint("nothing is lost; `meno rebuild` rebuilds them")
            }
            Error::Disconnected(_) => Self::new("store_unreachable", Exit::Unreachable, message)
                .hint("the process that held the store ended; try again"),
        };
        report.source(&error)
    }
}

/// What a panic says may quote anything: takes out what looks like a key, and the values of variables whose names say that they are secret.
fn clean(words: &str, values: impl Fn(fn(&str) -> bool) -> Vec<String>) -> String {
    let is_secret =
        |name: &str| ["KEY", "TOKEN", "SECRET", "PASSWORD"].iter().any(|part| name.to_ascii_uppercase().contains(part));
    Redactor::new(values(is_secret)).redact(words).into_owned()
}

/// Makes panics say what they are: a fault of Meno's own, on one line, in the form that was asked for.
///
/// `known` says which panics are expected and turned into errors elsewhere; those go to the trace only.
pub fn install_panic_hook(json: bool, known: fn(&std::panic::PanicHookInfo<'_>) -> bool) {
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let words = payload.downcast_ref::<&str>().map(|words| (*words).to_owned());
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned());
        let words = clean(&words, |is_secret| variables::values_of_process(is_secret));
        let place = info.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        tracing::error!(panic = %words, place = %place, "panic");
        if !known(info) {
            let report = CliError::fault(format!("meno came to a state that it should never be in{place}")).cause(words);
            let shown = if json { serde_json::to_string(&report.to_json()).unwrap_or_default() } else { report.to_text() };
            // Stderr may be closed; there is nobody left to tell.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{shown}\n").as_bytes());
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_quotes_no_secret() {
        let variables = [("WIRE_TOKEN", "plain-words-that-are-secret"), ("HOME", "/home/ada")];
        let values = |is_meant: fn(&str) -> bool| {
            variables.iter().filter(|(name, _)| is_meant(name)).map(|(_, value)| (*value).to_owned()).collect()
        };
        let said = clean("index 3 of sk-ant-api03-AbCdEf123456 at plain-words-that-are-secret in /home/ada", values);
        assert_eq!(said, "index 3 of [redacted:anthropic-key] at [redacted:known-secret] in /home/ada");
    }

    #[test]
    fn a_report_is_shown_with_causes_and_a_hint_that_can_be_typed() {
        let report = CliError::not_found("template `relese_prep` is not known")
            .cause("looked in: the store's templates, the built-in ones")
            .suggest("relese_prep", ["security_audit", "release_prep"], "`meno list-templates` shows all");
        insta::assert_snapshot!(report.to_text(), @r"
        error: template `relese_prep` is not known
          looked in: the store's templates, the built-in ones
        hint: did you mean `release_prep`? `meno list-templates` shows all
        ");
        insta::assert_json_snapshot!(report.to_json(), @r#"
        {
          "error": {
            "kind": "not_found",
            "message": "template `relese_prep` is not known",
            "causes": [
              "looked in: the store's templates, the built-in ones"
            ],
            "hint": "did you mean `release_prep`? `meno list-templates` shows all",
            "exit_code": 1
          }
        }
        "#);
    }

    #[test]
    fn the_schema_of_an_error_is_that_of_its_type() {
        crate::views::schema_test::check::<ErrorDocument>("error.json");
    }

    #[test]
    fn stored_text_in_an_error_cannot_speak_to_the_terminal() {
        assert_eq!(CliError::invalid("bad \u{1b}[2Jvalue").to_text(), "error: bad ␛[2Jvalue");
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["release_prep", "security_audit", "code_refactoring"];
        assert_eq!(nearest("Security-audit", known), Some("security_audit"));
        assert_eq!(nearest("refactoring", ["code_review"]), None);
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn settings_of_a_store_that_cannot_be_written_end_as_every_writing_does() {
        let write = |kind: io::ErrorKind| {
            CliError::from(crate::settings::Error::Write { path: "/store/config.toml".into(), source: kind.into() })
        };
        for kind in [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
            let report = write(kind);
            assert_eq!((report.exit, report.kind), (Exit::Unreachable, "store_io"), "{kind}");
        }
        assert_eq!(write(io::ErrorKind::IsADirectory).exit, Exit::Mendable);
        let read = crate::settings::Error::Io { path: "/config.toml".into(), source: io::ErrorKind::PermissionDenied.into() };
        assert_eq!(CliError::from(read).exit, Exit::Mendable);
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_other_write_errors_are() {
        let pipe = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(pipe.is_silent() && pipe.exit == Exit::Done);
        let full = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(!full.is_silent() && full.exit == Exit::Mendable);
    }

    #[test]
    fn a_store_that_cannot_be_reached_ends_with_5_and_names_the_process() {
        let report = CliError::from(store::Error::Unreachable { pid: Some(4711) });
        assert_eq!(report.exit, Exit::Unreachable);
        insta::assert_snapshot!(report.to_text(), @r"
        error: the store is held by process 4711 which does not answer
        hint: wait longer with `--wait SECONDS`, or end process 4711
        ");
        let damaged = CliError::from(store::Error::Damaged("segment 3".into()));
        assert_eq!((damaged.exit, damaged.kind), (Exit::Violation, "store_damaged"));
    }

    #[test]
    fn causes_are_not_said_twice() {
        let error = store::Error::io("/x/journal")(io::Error::other("disk on fire"));
        assert_eq!(CliError::from(error).causes, Vec::<String>::new());
    }
}
