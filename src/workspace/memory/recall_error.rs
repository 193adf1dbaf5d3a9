//! What keeps the past from being recalled, named for what the caller can do.

use crate::memory::{embed, index, lexical};
use crate::store::{self, Unwritable};

/// Why nothing could be recalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecallError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The index cannot be brought up to the log.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// The index cannot be read.
    #[error(transparent)]
    Lexical(#[from] lexical::Error),
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] embed::Error),
    /// Another process is indexing.
    #[error("another process is changing the index")]
    Busy,
}

impl RecallError {
    /// Returns why nothing can be written to the index, when that is what went wrong.
    pub fn unwritable(&self) -> Option<Unwritable> {
        match self {
            Self::Index(error) => error.unwritable(),
            Self::Lexical(lexical::Error::Unwritable(why)) => Some(*why),
            _ => None,
        }
    }
}
