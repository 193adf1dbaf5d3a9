//! What can be wrong with settings, named for what the user can mend.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One fault in a `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The dotted key; empty when the text is not TOML at all.
    pub key: String,
    /// What is wrong. Never holds the value, which may be a key pasted into the wrong place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}` {}", self.key, self.message) }
    }
}

/// Why settings could not be read, understood or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A `config.toml` has faults: mend them there.
    #[error("{} is not valid: {}", path.display(), listed(problems))]
    File {
        /// The file.
        path: PathBuf,
        /// Its faults, in the order of the text; at least one.
        problems: Vec<Problem>,
    },
    /// Settings that are fine one by one do not go together, or something is missing: set `key`.
    #[error("`{key}` {message}")]
    Setting {
        /// The dotted key.
        key: String,
        /// What is wrong.
        message: String,
        /// A command or an edit that mends it.
        hint: Option<String>,
    },
    /// There is no such key.
    #[error("there is no setting `{key}`")]
    UnknownKey {
        /// What was asked for.
        key: String,
        /// The nearest key that there is.
        nearest: Option<String>,
    },
    /// A file that was named is not there.
    #[error("{} is not there", .0.display())]
    NotFound(PathBuf),
    /// A file could not be written, or a folder not made for it.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list of trusted stores cannot be relied on.
    #[error("{} {message}", path.display())]
    TrustList {
        /// The list, or the store that should go on it.
        path: PathBuf,
        /// Why.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// There is no home folder, so the user's own store and settings have no place.
    #[error("the home folder is not known")]
    NoHome,
}

impl Error {
    /// Returns what the user can type or edit to go on.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { problems, .. } => problems.iter().find_map(|problem| problem.hint.clone()),
            Self::Setting { hint, .. } | Self::TrustList { hint, .. } => hint.clone(),
            Self::UnknownKey { nearest, .. } => Some(match nearest {
                Some(nearest) => format!("did you mean `{nearest}`? `meno config` shows all"),
                None => "`meno config` shows all".to_owned(),
            }),
            Self::NotFound(_) => None,
            Self::Io { .. } | Self::Write { .. } => None,
            Self::NoHome => Some("set HOME, or name a store with `--store DIR`".to_owned()),
        }
    }

    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    pub(super) fn setting(key: impl Into<String>, message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Setting { key: key.into(), message: message.into(), hint: hint.into() }
    }
}

/// One fault stands on the same line, several on lines of their own.
fn listed(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => many.iter().map(|problem| format!("\n  {problem}")).collect(),
    }
}
