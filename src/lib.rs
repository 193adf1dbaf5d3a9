//! Meno runs teams of LLM agents from JSON templates and remembers every run as immutable events.
//!
//! The library's door is [`Workspace`]: open a store, run a template, read and follow what happened. What it takes and gives stands
//! beside it: requests, made one thing at a time, and in modules [`event`], what is recorded, [`run`], what is known of runs, [`report`],
//! what they teach, [`proof`], whether the record is whole, and [`error`]. Everything else is private.
//!
//! # Example
//!
//! Runs a template against the simulated models and reads what happened; `examples/library.rs` shows more:
//!
//! ```
//! use meno::{Preset, RunRequest, Workspace};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path().join("store");
//! let workspace = Workspace::at(&dir, Some(Preset::Simulated))?;
//! let template = workspace.runs().template("python_package_publish")?;
//! // What is not answered takes the template's default.
//! let request = RunRequest::new().answer("package_name", "demo").answer("has_tests", true).seed(7);
//! let run = workspace.runs().run_to_end(&template, request)?;
//! println!("{}: {} agents, {} nUSD", run.status.name(), run.agents.len(), run.cost_nusd);
//!
//! // The log itself, from its first event; `follow` is a stream that goes on.
//! for event in workspace.runs().events(1) {
//!     let event = event?;
//!     println!("{} {}", event.envelope.seq, event.event.name());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Threads and async
//!
//! [`Workspace`] is `Send` and `Sync`: one may be shared by any number of threads. Its methods block, some for as long as a run takes. They
//! may be called within an async runtime (what needs a runtime of its own runs on a thread of its own), but they hold the thread that
//! calls: a program that does anything else on it calls them in `spawn_blocking` or the like. [`Follow`] is a stream and never blocks.
//!
//! ```
//! # async fn in_a_runtime(dir: std::path::PathBuf) -> Result<(), Box<dyn std::error::Error>> {
//! use meno::{RunRequest, Workspace};
//!
//! let run = tokio::task::spawn_blocking(move || {
//!     let workspace = Workspace::at(&dir, None).map_err(|error| error.to_string())?;
//!     let template = workspace.runs().template("release_prep").map_err(|error| error.to_string())?;
//!     workspace.runs().run_to_end(&template, RunRequest::new()).map_err(|error| error.to_string())
//! });
//! println!("{}", run.await??.status.name());
//! # Ok(())
//! # }
//! ```
//!
//! # The map of the code
//!
//! For those who change it; `cargo doc --no-deps --document-private-items` has every room. A line should know its room.
//!
//! ```text
//! people, scripts, other programs
//!         │
//!     cli · ui · mcp               arguments and requests in, words, JSON and pages out
//!         │
//!     workspace                    open a store (own it or reach its owner); use cases: runs · memory · proof · keeping
//!         │
//!     executor                     performs what the pure core asks for
//!         ├──────────── providers  the models: four wire formats and a simulation
//!         ├──────────── tools      what agents may do in the world, and what keeps them inside it
//!         ├──────────── memory     recall and advice: embeddings, index, search, chances
//!         ├──────────── lake       histories of other systems come in, tables for other engines go out
//!         │
//!       store                      log · codec · chain · journal · sled · payloads · projections · owner and clients
//!         │
//!       views                      pure folds: read models
//!         │
//!       domain                     pure rules: template · form · team · judge · prices · run (decide · evolve · pending)
//! ```
//!
//! - [`domain`] is where every decision is made, without I/O, clock or randomness. Begin with [`domain::event`], what can
//!   happen, and [`domain::run`], what follows from it.
//! - [`views`] folds events into what is shown: [`views::run_list`] and [`views::run_detail`].
//! - [`analytics`] says what those rows mean: reports with their uncertainty, over [`views::stats`] and [`views::costs`].
//! - [`charts`] draws those reports, as SVG for pages and as text for terminals.
//! - [`audit`] proves what happened: every rule looked at again, every decision made again, over one run's events.
//! - [`store`] keeps the promise: [`store::journal`] acknowledges, [`store::ordered`] is the index in sled that can always
//!   be rebuilt, [`store::owned`] puts them together, [`store::session`] is how any number of processes share them.
//! - [`providers`] speak to models and know nothing of runs; [`settings`] say which, and where each value comes from.
//! - [`tools`] read files and run allowed programs for agents; [`tools::root`] is the wall around what is read.
//! - [`executor`] starts the calls and tools that [`domain::run::pending`] asks for and feeds their outcome back as commands.
//! - [`memory`] finds past runs by words and by meaning ([`memory::search`]) and learns from outcomes ([`memory::advice`]); all
//!   of it is derived from the log and can be deleted.
//! - [`lake`] reads what other systems and coding agents wrote down and makes events of it, and makes tables and traces of events.
//! - [`workspace`] is what stands behind [`Workspace`]: the use cases.
//! - [`cli`] is the program's door, [`ui`] that of a browser on the same machine, and [`mcp`] the one for coding agents, over the
//!   Model Context Protocol.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the map links to rooms, which are documented with `--document-private-items`"
)]

pub(crate) mod analytics;
pub(crate) mod audit;
pub(crate) mod charts;
pub(crate) mod cli;
pub(crate) mod domain;
pub(crate) mod executor;
#[doc(hidden)]
pub mod internals;
pub(crate) mod lake;
pub(crate) mod mcp;
pub(crate) mod memory;
pub(crate) mod providers;
pub(crate) mod settings;
pub(crate) mod store;
pub(crate) mod tools;
pub(crate) mod ui;
pub(crate) mod views;
pub(crate) mod workspace;

pub use settings::Preset;
pub use workspace::library::{Entry, Origin};
pub use workspace::{
    Access, AnalyticsQuestion, AuditRequest, Events, Follow, Keeping, OpenRequest, Proof, Recall, RecommendRequest,
    ResumeRequest, RunRequest, Runs, SearchRequest, Workspace,
};

/// What is recorded: every kind of event, and what events are made of.
pub mod event {
    pub use crate::domain::event::*;
    pub use crate::domain::ids::{AgentNo, AttemptNo, BadHash, BatchId, CallNo, ExecutorId, Hash, NodeId, RunId, TimeNs};
    pub use crate::domain::money::{NanoUsd, TokenUsage, UnitPrices, UsageSource};
    pub use crate::domain::text::Text;
    pub use crate::domain::tier::{Strategy, Tier};
}

/// What is known of runs: one line each, everything about one, and how two differ.
pub mod run {
    pub use crate::audit::diff::{AgentDiff, AgentSide, AnswerDiff, AttemptSide, RunDiff, Side};
    pub use crate::views::run_detail::{
        AgentDetail, AgentFailure, Approval, AttemptDetail, CallDetail, CallError, CallPrompt, CallTokens, CriterionDetail,
        Escalation, InputDetail, Lineage, Note, RetryDetail, RunDetail, RunFailureDetail, SkippedRule, StartTier, Switch,
        TierCost, Tokens, ToolDetail,
    };
    pub use crate::views::run_list::{LogFilter, RunFilter, RunLine, RunList, SortBy};
    pub use crate::views::status::{AgentStatus, AttemptStatus, CallStatus, RunStatus};
}

/// What runs teach: what was found, what was spent, how templates do, and advice.
pub mod report {
    pub use crate::analytics::report::{
        Advice, AgentFailures, Analytics, Anomaly, AnswerFinding, Answers, CriterionLine, DayLine, Dominated, Drift, Escalation,
        EscalationCost, Failures, Forecast, Lengths, Money, Move, Next, Share, Side, TemplateLine, TemplateReport, TierLine,
        ToolLine, WeekLine,
    };
    pub use crate::analytics::spending::{CostLine, CostQuestion, CostReport, CostTotal, Dimension, Only, TokenSum, ToolTotal};
    pub use crate::analytics::stats::Estimate;
    pub use crate::memory::advice::identified::Bounds;
    pub use crate::memory::advice::outlook::{Chance, Spread};
    pub use crate::memory::advice::team::{Basis, TierAdvice};
    pub use crate::memory::document::Kind;
    pub use crate::memory::query::Sort;
    pub use crate::workspace::memory::recommend::{AgentAdvice, AnswerAdvice, NextAdvice, Recommendation};
    pub use crate::workspace::memory::response::{
        FilterDocument, HitDocument, OrderDocument, SearchResponse, UnderstoodDocument,
    };
    pub use crate::workspace::{InputLikeness, Suggested, SuggestedTemplate};
}

/// Whether the record is whole, and what was put out of the store.
pub mod proof {
    pub use crate::audit::finding::{Check, Location, Tally, Violation};
    pub use crate::audit::replay::{Cause, Difference, Verification};
    pub use crate::audit::seal::{Seal, Signed};
    pub use crate::store::backup::{Contents, LogEnd, Manifest};
    pub use crate::store::log::Head;
    pub use crate::workspace::{AuditDocument, Exported, ReplayDocument};
}

/// What can go wrong, by what can be done about it.
pub mod error {
    pub use crate::audit::seal::BadSeal;
    pub use crate::domain::form::AnswerProblem;
    pub use crate::domain::json_fault::JsonFault;
    pub use crate::domain::prices::PriceError;
    pub use crate::domain::run::Refusal;
    pub use crate::domain::template::{Problem, Severity};
    pub use crate::domain::tool::{ToolEffect, ToolSpec};
    pub use crate::memory::embed::Error as EmbedError;
    pub use crate::memory::index::Error as IndexError;
    pub use crate::memory::lexical::Error as LexicalError;
    pub use crate::providers::simulated::ScriptError;
    pub use crate::settings::file::BadPreset;
    pub use crate::settings::{Error as SettingsError, Problem as SettingsProblem};
    pub use crate::store::backup::Error as BackupError;
    pub use crate::store::transfer::Error as TransferError;
    pub use crate::store::{Error as StoreError, Unwritable};
    pub use crate::tools::mcp::{McpTool, ServerFault};
    pub use crate::workspace::runs::inputs::InputError;
    pub use crate::workspace::runs::ready::ModelNotReady;
    pub use crate::workspace::{
        Error as OpenError, FindError, HandOverError, McpError, ModelsError, RecallError, ResumeError, RunError, StartError,
    };
}
