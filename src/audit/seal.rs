//! A seal: what the log was at one moment, to be kept elsewhere. A log that was cut before it, or rewritten, no longer has that hash at
//! that position. This file knows the seal's text and what its signature covers, not how it is signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Check, Findings, Location};
use crate::domain::ids::{Hash, NodeId};

/// The format of seals that this release writes.
pub const FORMAT: u32 = 1;

/// A checkpoint of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "A seal, as `meno seal` writes it")]
pub struct Seal {
    /// The format.
    pub meno_seal: u32,
    /// The store's identity.
    #[schemars(with = "String")]
    pub node: NodeId,
    /// The last position that it covers.
    pub position: u64,
    /// The chain's hash there: it covers every event up to it.
    #[schemars(with = "String")]
    pub head: Hash,
    /// When it was made, RFC 3339 in UTC, as the clock of the store's machine said.
    pub at: String,
}

/// What the signature of a seal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The fingerprint of the key that signed.
    pub by: String,
    /// It is that key's, over this very seal.
    pub holds: bool,
    /// The fingerprints of the keys that may sign, when that was said.
    pub allowed: Option<Vec<String>>,
    /// Why the key that signed is not among them, though it is named beside them.
    pub refused: Option<String>,
}

impl Signed {
    /// Tells whether the signature counts: it holds, and is by somebody who may sign.
    pub fn counts(&self) -> bool {
        self.holds && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&self.by))
    }

    /// Looks at the signature.
    pub(crate) fn look(&self, at: Location, book: &mut Findings<'_>) {
        book.holds(Check::Seals, at, self.holds, || {
            let (what, expected) = ("the signature of the seal".into(), format!("one by {} over this seal", self.by));
            [what, expected, "one over something else".into()]
        });
        if let Some(allowed) = &self.allowed {
            book.holds(Check::Seals, at, allowed.contains(&self.by), || {
                let expected = if allowed.is_empty() { "somebody who may sign".to_owned() } else { allowed.join(" or ") };
                let why = self.refused.as_ref().map_or_else(String::new, |why| format!(", but {why}"));
                ["who signed the seal".into(), expected, format!("{}{why}", self.by)]
            });
        }
    }
}

/// Why a text is no seal.
#[derive(Debug, thiserror::Error)]
pub enum BadSeal {
    /// It is no JSON of this shape.
    #[error("it is no seal: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A later release wrote it.
    #[error("it is of format {found}, newer than this version knows ({FORMAT})")]
    Newer {
        /// The format.
        found: u32,
    },
}

impl Seal {
    /// Reads a seal.
    ///
    /// # Errors
    /// [`BadSeal`].
    pub fn parse(text: &str) -> Result<Self, BadSeal> {
        /// The format alone, which every release can read.
        #[derive(Deserialize)]
        struct Format {
            meno_seal: u32,
        }
        let Format { meno_seal: found } = serde_json::from_str(text)?;
        if found > FORMAT {
            return Err(BadSeal::Newer { found });
        }
        Ok(serde_json::from_str(text)?)
    }
}
