//! A store with everything around it, opened for use: the use cases, one method each.
//!
//! Whether this process owns the store or speaks to the one that does is not known here, nor who asks: words and JSON are
//! made at the doors. Start with [`Workspace::open`], then [`Workspace::start`] for a run and [`Workspace::runs`] for the past.

pub mod inputs;
pub mod library;
pub mod setup;

mod alike;
mod analysis;
mod attend;
mod audit;
pub mod backtest;
mod backup;
mod bench;
pub mod bench_route;
mod beside;
mod diff;
mod empty;
mod every_run;
mod family;
mod follow;
mod forget;
mod fork;
mod found;
mod hand_over;
mod history;
mod import;
mod keys;
mod ledger;
mod logged;
mod models;
mod open;
mod origins;
pub mod patterns;
mod preview;
pub mod ready;
mod recall;
mod recall_error;
mod recent;
mod recommend;
pub mod recommend_tasks;
mod rekey;
mod replay;
mod request;
mod running;
pub mod saved;
mod seal;
mod signers;
pub mod signing;
#[cfg(test)]
mod simulator;
mod spending;
mod start;
mod starts;
mod suggest;
mod upkeep;

pub use alike::InputLikeness;
pub use analysis::AnalyticsQuestion;
pub use audit::{AuditDocument, AuditRequest};
pub use backup::check_backup;
pub use bench::BenchError;
pub use family::Relative;
pub use follow::{Events, Follow};
pub use forget::{ForgetError, Forgotten, Purgeable};
pub use fork::{ForkError, ForkPoint, ForkRequest};
pub use found::{FilterDocument, Found, HitDocument, UnderstoodDocument};
pub use hand_over::{Exported, HandOverError, TakenAs, TakenIn};
pub use history::FindError;
pub use import::{Changed, ImportError, ImportProgress, Imported, LineProblem};
pub use models::{FetchError, ModelLine, ModelList};
pub use open::{Access, Error, Options, Workspace};
pub use preview::{AgentPreview, Preview};
pub use recall::{Indexed, Memory};
pub use recall_error::RecallError;
pub use recommend::{Forecast, RecommendRequest, Recommendation};
pub use rekey::{RekeyError, Rekeyed};
pub use replay::ReplayDocument;
pub use request::{GivenAnswer, RunRequest, SearchRequest, Settled};
pub use running::{ModelsError, RunError};
pub use start::{ActiveRun, ResumeError, StartError, mode, redacted};
pub use starts::StartOffer;
pub use suggest::{Suggested, SuggestedTemplate};
pub use upkeep::{Inspection, Rebuilt, Upkeep};
