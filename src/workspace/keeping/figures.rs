//! The store in a few numbers that can be had at once: sizes, how far the index has come, when the log was sealed last.
//!
//! Nothing is verified here: that reads every file, and is [`crate::Workspace::inspect`] and [`crate::Proof::audit`].

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Keeping;
use crate::store::{self, lock};
use crate::views::utc;
use crate::workspace::LastAudit;
use crate::workspace::memory::recall_error::RecallError;

/// Events that are looked through for the last seal, the newest.
const SEAL_EVENTS_MAX: u64 = 20_000;
/// Events read at once.
const PAGE: u32 = 2_000;
/// The kind of the event that notes a seal.
const SEALED: u16 = 81;
/// Folders below which nothing is looked at: the store's own are two deep.
const DEPTH_MAX: usize = 6;

/// What is known of a store at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoreFigures {
    /// The last position of the log.
    pub log_head: u64,
    /// What lies in the store's folder, the largest first.
    pub parts: Vec<StorePart>,
    /// How far the search index has come; null when there is none yet.
    pub index: Option<IndexProgress>,
    /// The last seal; null when none is among the events that were looked through.
    pub last_seal: Option<SealFound>,
    /// How many events were looked through for it, the newest.
    pub looked_through: u64,
    /// When the whole store was audited last, as it notes.
    pub last_audit: LastAudit,
}

/// A part of the store's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StorePart {
    /// Its name in the store's folder.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// How far the search index has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexProgress {
    /// The last position of the log that it has seen.
    pub indexed_to: u64,
    /// Passages of texts that can be found.
    pub passages: u64,
    /// Of them, those that can be found by their words alone so far.
    pub without_vector: u64,
}

/// A seal that the log notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SealFound {
    /// The event's position.
    pub seq: u64,
    /// When it was made.
    pub at: String,
}

/// How far the log was looked through for its last seal.
#[derive(Clone, Debug, Default)]
pub(in crate::workspace) struct SealSought {
    /// Behind this position.
    from: u64,
    /// Up to this one.
    to: u64,
    found: Option<SealFound>,
}

impl Keeping<'_> {
    /// Returns what is known of the store at a glance.
    ///
    /// # Errors
    /// A [`RecallError`] when log or index cannot be read.
    pub(crate) fn figures(&self) -> Result<StoreFigures, RecallError> {
        let log_head = self.0.log.head()?.seq;
        let (last_seal, looked_through) = self.last_seal(log_head)?;
        let mut parts: Vec<StorePart> = Vec::new();
        // A store that is not there has no parts; a file that goes away meanwhile is not counted.
        for entry in std::fs::read_dir(&self.0.store.path).into_iter().flatten().flatten() {
            let (files, bytes) = size(&entry.path(), 0);
            parts.push(StorePart { name: entry.file_name().to_string_lossy().into_owned(), files, bytes });
        }
        parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let (index, last_audit) = (self.0.memory().index_progress()?, self.0.proof().last_audit()?);
        Ok(StoreFigures { log_head, parts, index, last_seal, looked_through, last_audit })
    }

    /// Looks for the last seal among the newest events; what was looked through before is not read again.
    fn last_seal(&self, head: u64) -> Result<(Option<SealFound>, u64), store::Error> {
        let mut sought = lock(&self.0.memory.seal);
        if sought.to > head {
            *sought = SealSought::default();
        }
        let oldest = head.saturating_sub(SEAL_EVENTS_MAX);
        // Events between what is known and the newest ones are looked through too, as far as that goes.
        let stop = sought.to.max(oldest);
        let mut end = head;
        let mut found = None;
        while end > stop && found.is_none() {
            let from = end.saturating_sub(u64::from(PAGE)).max(stop) + 1;
            let page = self.0.log.read(from, u32::try_from(end - from + 1).unwrap_or(PAGE))?;
            let seal = page.iter().rev().find(|stored| stored.kind == SEALED && stored.envelope.seq <= end);
            found = seal.map(|seal| SealFound { seq: seal.envelope.seq, at: utc(seal.envelope.at) });
            end = from - 1;
        }
        let from = if stop > sought.to || sought.to == 0 { oldest } else { sought.from };
        *sought = SealSought { from, to: head, found: found.or_else(|| sought.found.take()) };
        let looked_through = sought.found.as_ref().map_or(head - sought.from, |found| head - found.seq + 1);
        Ok((sought.found.clone(), looked_through))
    }
}

/// Counts files and bytes; links are not followed.
pub(in crate::workspace) fn size(path: &Path, depth: usize) -> (u64, u64) {
    let Ok(found) = std::fs::symlink_metadata(path) else { return (0, 0) };
    if !found.is_dir() {
        return (1, found.len());
    }
    if depth >= DEPTH_MAX {
        return (0, 0);
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path(), depth + 1)).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
}
