//! Texts of users, models and tools as events hold them: inline when small, by name when large.

use serde::{Deserialize, Serialize};

use super::ids::Hash;

/// Texts longer than this many bytes are kept beside the log, named by their BLAKE3.
pub const INLINE_BYTES_MAX: usize = 8 * 1024;

/// A text in the private part of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// The text itself.
    Inline(String),
    /// A payload file.
    Payload {
        /// BLAKE3 of the text: the payload's name.
        hash: Hash,
        /// Length of the text in bytes.
        bytes: u64,
    },
    /// Only the salted hash was kept, because the capture level said so.
    Hashed {
        /// BLAKE3 of the event's salt and the text.
        hash: Hash,
        /// Length of the text in bytes.
        bytes: u64,
    },
    /// Nothing was kept, because the capture level said so.
    Withheld,
}

impl Text {
    /// The empty text.
    pub const EMPTY: Self = Self::Inline(String::new());

    /// Returns the payload's name when the text is one.
    pub fn payload(&self) -> Option<Hash> {
        match self {
            Self::Payload { hash, .. } => Some(*hash),
            _ => None,
        }
    }
}
