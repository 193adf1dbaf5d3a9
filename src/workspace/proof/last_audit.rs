//! When the whole store was audited last, and what was found: a small file beside the log, `audit.json`.
//!
//! It is a note and proves nothing: whoever can change the log can change it, and deleting it loses nothing else. It names the event up to
//! which the log was audited, so that it is never taken for a note of another log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Proof;
use crate::store;
use crate::store::files::{OsFiles, write_whole};
use crate::views;
use crate::workspace::AuditDocument;

/// The file, in the store's folder.
const FILE: &str = "audit.json";
/// The version of its layout.
const VERSION: u32 = 1;

/// What is noted of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditNote {
    /// The version of this layout.
    pub v: u32,
    /// When it ended.
    pub at: String,
    /// The store's identity.
    pub node: String,
    /// The last position that was audited.
    pub position: u64,
    /// The chain's hash there.
    pub head: String,
    /// Violations found.
    pub violations: u64,
}

/// What a store notes of its last audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastAudit {
    /// Nothing.
    Never,
    /// When it was, and what it found.
    Noted(AuditNote),
    /// The event up to which the log was audited is not in it: it was rewritten, cut, or another one lies here.
    OfAnotherLog(AuditNote),
}

impl Proof<'_> {
    /// Notes what an audit of the whole store found.
    pub(super) fn note_audit(&self, document: &AuditDocument) -> std::io::Result<()> {
        let note = AuditNote {
            v: VERSION,
            at: views::utc(self.0.world.now()),
            node: document.node.clone(),
            position: document.position,
            head: document.head.clone(),
            violations: document.violations_total,
        };
        let mut bytes = serde_json::to_vec(&note)?;
        bytes.push(b'\n');
        let path = self.0.store.path.join(FILE);
        // What a full disk let begin does not stay.
        write_whole(&OsFiles, &path, &bytes).inspect_err(|_| drop(std::fs::remove_file(path.with_extension("tmp"))))
    }

    /// Returns what the store notes of its last audit. A file that cannot be read notes nothing.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn last_audit(&self) -> Result<LastAudit, store::Error> {
        let read = std::fs::read(self.0.store.path.join(FILE)).ok();
        let note = read.and_then(|bytes| serde_json::from_slice::<AuditNote>(&bytes).ok()).filter(|note| note.v == VERSION);
        let Some(note) = note else { return Ok(LastAudit::Never) };
        let node = self.0.log.head()?.node.to_string();
        let there = self.0.log.read(note.position, 1)?.into_iter().find(|stored| stored.envelope.seq == note.position);
        let is_of_this = note.node == node && there.is_some_and(|stored| stored.hash.to_string() == note.head);
        Ok(if is_of_this { LastAudit::Noted(note) } else { LastAudit::OfAnotherLog(note) })
    }
}
