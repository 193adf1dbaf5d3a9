//! What an import does not take: each file or line with its reason.

use std::path::{Path, PathBuf};

/// Files and lines that are named; further ones are counted.
const NAMED_MAX: usize = 200;

/// A file or line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The file or folder.
    pub path: PathBuf,
    /// The line or document, from 1; 0 for the file as a whole.
    pub line: u64,
    /// Why, in words that follow the name.
    pub why: String,
}

/// Everything that was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The first of them.
    pub named: Vec<Skip>,
    /// How many there are.
    pub total: u64,
}

impl Skipped {
    /// Adds a file or line.
    pub fn skip(&mut self, why: impl Into<String>, path: &Path, line: u64) {
        self.total += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(Skip { path: path.to_owned(), line, why: why.into() });
        }
    }
}
