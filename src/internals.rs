//! What the program, the tests and the benches of this package need beyond the door. No interface: anything may change on any day.
//!
//! It names single things, not rooms, so that the compiler sees what nobody uses.

use std::process::ExitCode;

pub use crate::cli::complaint;

/// The program, whole. No panic of a dependency is expected in it: rooms that turn panics into errors say so themselves.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    crate::cli::allocator::give_back(&words);
    crate::tools::sandbox::hide_from_others();
    crate::cli::run(words, |_| false).into()
}

pub mod domain {
    pub use crate::domain::call::{CallContext, CallFailure, CallReply, CallRequest};
    pub use crate::domain::ids::BatchId;
    pub use crate::domain::redact::Redactor;
    pub use crate::domain::run::Causes;
    pub use crate::domain::settings::{AuthScheme, ProviderKind, ProviderSettings, ToolSettings};
    pub use crate::domain::template::{BaseAgent, Context, Template, parse_agent_bytes, parse_bytes};
}

pub mod lake {
    pub use crate::lake::lines::{Line, Lines};
    pub use crate::lake::read;
}

pub mod memory {
    pub use crate::memory::advice::chance::Chance;
    pub use crate::memory::collection::Collection;
    pub use crate::memory::document::{Document, Facts, Kind};
    pub use crate::memory::embed::Embedder;
    pub use crate::memory::index::IndexDir;
    pub use crate::memory::lexical::{DocumentTest, NumberFact, Seen, WordFact};
    pub use crate::memory::passages;
    pub use crate::memory::query::{Filter, KnownTerms, Vocabulary, understand};
    pub use crate::memory::search::{OpenIndex, Question, Sides};
    pub use crate::memory::vectors::Appender;
}

pub mod providers {
    pub use crate::providers::wire::Decoder;
    pub use crate::providers::{CallOutcome, CallUpdate, Providers};
}

pub mod settings {
    pub use crate::settings::{Flags, Places, Variables};
}

pub mod store {
    pub use crate::store::cipher::{KEY_BYTES, Key, Keyring, Keys};
    pub use crate::store::files::OsFiles;
    pub use crate::store::identity::NodeFile;
    pub use crate::store::log::{Batch, Cause, Log, NewEvent, Stored};
    pub use crate::store::owned::{Options, OwnedLog};
    pub use crate::store::payloads::Payloads;
    pub use crate::store::session::{Create, Opener, Options as SessionOptions, Role, Session, StoreDir};

    pub mod chain {
        pub use crate::store::chain::{commitment, genesis};
    }

    pub mod codec {
        pub use crate::store::codec::record::Record;
        pub use crate::store::codec::{Decoded, SALT_BYTES, decode, offer};
    }

    pub mod journal {
        pub use crate::store::journal::folder;
        pub use crate::store::journal::frame::Frame;
        pub use crate::store::journal::segment::{Item, segments};
    }
}

pub mod tools {
    pub use crate::tools::{Environment, Toolbox};
}

pub mod views {
    pub use crate::views::projections;
    pub use crate::views::run_list::RunRow;
}

pub mod workspace {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::domain::ids::RunId;
    use crate::executor;
    use crate::memory::collection::Quality;
    use crate::memory::index::GoOn;
    use crate::store::log::Log;
    use crate::store::session::Role;
    use crate::workspace::library::Entry;
    use crate::workspace::memory::patterns::DefaultAnswer;
    use crate::workspace::{
        BenchError, Error, ImportError, RecallError, RunRequest, SearchRequest, SearchResponse, StartError, Workspace,
    };
    use crate::{store, workspace};

    pub use executor::World;
    pub use workspace::{Options, Upkeep};

    pub fn open(options: Options<'_>) -> Result<Workspace, Error> {
        Workspace::open(options)
    }

    pub fn log(workspace: &Workspace) -> &Arc<dyn Log> {
        workspace.log()
    }

    /// Returns how this process uses the store; `None` for one that is not there.
    pub fn role(workspace: &Workspace) -> Option<Role> {
        workspace.session().map(|session| session.role())
    }

    /// Starts a run and lets go of it.
    pub fn begin(workspace: &Workspace, entry: &Entry, request: RunRequest) -> Result<RunId, StartError> {
        Ok(workspace.runs().start(entry, request)?.id)
    }

    /// Starts a run whose form stays open, and lets go of it.
    pub fn begin_open(workspace: &Workspace, entry: &Entry, request: RunRequest) -> Result<RunId, StartError> {
        begin(workspace, entry, request.leave_open())
    }

    pub fn default_answers(
        workspace: &Workspace,
        template: &str,
        sensitive: &[&str],
    ) -> Result<Vec<DefaultAnswer>, store::Error> {
        workspace.memory().default_answers(template, sensitive)
    }

    /// Takes in runs as JSON Lines.
    pub fn import_runs(workspace: &Workspace, lines: &str) -> Result<(), ImportError> {
        workspace.keeping().import_runs(lines.as_bytes(), "collection", &mut |_| ()).map(drop)
    }

    /// Brings the index up to the log.
    pub fn reindex(workspace: &Workspace, patience: Duration) -> Result<(), RecallError> {
        workspace.memory().reindex(false, patience, &|_, _| true, &|_, _| true).map(drop)
    }

    pub fn search_here(workspace: &Workspace, search: &SearchRequest) -> Result<SearchResponse, RecallError> {
        workspace.memory().search_here(search)
    }

    pub fn bench_search(workspace: &Workspace, dir: &Path, progress: GoOn<'_>) -> Result<Quality, BenchError> {
        workspace.memory().bench_search(dir, progress)
    }
}
