//! What becomes of the data: backup, transfer, import, forgetting and keys.

use super::Workspace;

pub(crate) mod backup;
pub(crate) mod beside;
pub(crate) mod empty;
pub(crate) mod export_tables;
pub(crate) mod figures;
pub(crate) mod forget;
pub(crate) mod import;
pub(crate) mod import_otel;
pub(crate) mod import_peer;
pub(crate) mod intake;
pub(crate) mod keys;
pub(crate) mod rekey;
pub(crate) mod sync;
mod transcript_stamps;
pub(crate) mod transcripts;
pub(crate) mod transfer;

/// The part of a [`Workspace`] that [`Workspace::keeping`] gives.
#[derive(Clone, Copy)]
pub struct Keeping<'w>(pub(crate) &'w Workspace);
