//! A store with everything around it, opened for use: the use cases, one method each.
//!
//! Whether this process owns the store or speaks to the one that does is not known here, nor who asks: words and JSON are
//! made at the doors. Start with [`Workspace::open`], then [`Workspace::runs`] for runs, [`Workspace::memory`] for what they teach,
//! [`Workspace::proof`] for whether the record is whole and [`Workspace::keeping`] for what becomes of the data.

use tokio::runtime::Handle;

pub mod library;
pub mod setup;

pub mod keeping;
pub mod memory;
pub(crate) mod models;
mod open;
pub mod proof;
mod request;
pub mod runs;
mod upkeep;

pub use keeping::Keeping;
pub use keeping::backup::check_backup;
pub use keeping::beside::LogsError;
pub use keeping::export_tables::{TableExported, TablesError, TablesExported, TablesRequest};
pub use keeping::figures::StoreFigures;
pub use keeping::forget::{ForgetError, Forgotten};
pub use keeping::import::{ImportError, ImportProgress, Imported};
pub use keeping::intake::HistoryImported;
pub use keeping::rekey::RekeyError;
pub use keeping::sync::{Pulled, SyncError, SyncProgress};
pub use keeping::transcripts::{FoundTranscripts, ImportedTranscripts, SeenTranscripts, transcript_sources};
pub use keeping::transfer::{Exported, HandOverError, TakenAs, TakenIn};
pub use memory::Recall;
pub use memory::alike::InputLikeness;
pub use memory::analysis::AnalyticsQuestion;
pub use memory::bench::BenchError;
pub use memory::recall_error::RecallError;
pub use memory::recommend::{Forecast, RecommendRequest, Recommendation};
pub use memory::response::{FilterDocument, HitDocument, SearchResponse, UnderstoodDocument};
pub use memory::suggest::{Suggested, SuggestedTemplate};
pub use models::FetchError;
pub use open::{Access, Error, Options, Workspace};
pub use proof::Proof;
pub use proof::audit_document::{AuditDocument, AuditRequest};
pub use proof::last_audit::LastAudit;
pub use proof::replay::ReplayDocument;
pub use request::{GivenAnswer, OpenRequest, ResumeRequest, RunRequest, SearchRequest};
pub use runs::Runs;
pub use runs::advised_starts::StartOffer;
pub use runs::family::Relative;
pub use runs::follow::{Events, Follow};
pub use runs::fork::{ForkError, ForkPoint, ForkRequest};
pub use runs::history::FindError;
pub use runs::mcp::McpError;
pub use runs::note::{NOTE_BYTES_MAX, NoteError};
pub use runs::preview::{InputPreview, Preview};
pub use runs::running::{ModelsError, RunError};
pub use runs::shortage::MoneyStop;
pub use runs::start::{ActiveRun, ResumeError, StartError, mode, redacted};
pub use runs::story::Story;
pub use runs::tools::{NoWriting, NoWritingWhy};
pub use runs::undo::{FileUndone, UndoError, Undone, UndoneFile};
pub(crate) use upkeep::Making;
pub use upkeep::{Inspection, Upkeep};

/// Does `work`, which makes and waits for a runtime of its own, on a thread where that may be done: within a runtime of the caller it
/// would panic.
pub(crate) fn outside_runtimes<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if Handle::try_current().is_err() {
        return work();
    }
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Workspace {
    /// Runs: prepare, start, resume, cancel and fork them; list, read and follow them.
    #[must_use]
    pub fn runs(&self) -> Runs<'_> {
        Runs(self)
    }

    /// What past runs teach: search, analysis, costs, patterns and advice.
    #[must_use]
    pub fn memory(&self) -> Recall<'_> {
        Recall(self)
    }

    /// Whether the record is whole and unchanged: audit, replay and seals.
    #[must_use]
    pub fn proof(&self) -> Proof<'_> {
        Proof(self)
    }

    /// What becomes of the data: backup, transfer, import, forgetting and keys.
    #[must_use]
    pub fn keeping(&self) -> Keeping<'_> {
        Keeping(self)
    }
}
