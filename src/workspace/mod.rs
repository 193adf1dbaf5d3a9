//! A store with everything around it, opened for use: the use cases, one method each.
//!
//! Whether this process owns the store or speaks to the one that does is not known here, nor who asks: words and JSON are
//! made at the doors. Start with [`Workspace::open`], then [`Workspace::start`] for a run and [`Workspace::runs`] for the past.

pub mod inputs;
pub mod library;
pub mod setup;

mod analysis;
mod empty;
mod history;
mod ledger;
mod open;
pub mod patterns;
mod preview;
mod running;
mod spending;
mod start;
mod upkeep;

pub use analysis::AnalyticsQuestion;
pub use history::FindError;
pub use open::{Access, Error, Options, Workspace};
pub use preview::{AgentPreview, Preview};
pub use running::{ModelsError, RunError};
pub use start::{Answering, Begun, NewRun, ResumeError, StartError, mode};
pub use upkeep::{Inspection, Rebuilt, Upkeep};
