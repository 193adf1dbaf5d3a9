//! The pages, one file each: a function from a request to an answer that calls use cases and draws what they return.
//!
//! A new page is a file here, a line in [`ROUTES`], and where people should find it one in [`NAVIGATION`].

pub mod api;
pub mod compare;
pub mod costs;
mod filter_form;
pub mod memory;
pub mod needs;
pub mod new;
pub mod run;
pub mod runs;
pub mod store;
pub mod templates;

use super::{Answer, Request, Ui};
use crate::cli::error::Result;

/// A path and what answers there; `{name}` is a part that [`Request::part`] returns.
pub struct Route {
    /// The path.
    pub path: &'static str,
    /// What answers.
    pub handle: Handle,
}

/// What answers to a path.
#[derive(Clone, Copy)]
pub enum Handle {
    /// It shows something.
    Get(fn(&Ui, &Request) -> Result<Answer>),
    /// It changes something; only forms of this server come here.
    Post(fn(&Ui, &Request) -> Result<Answer>),
}

const fn shows(path: &'static str, answer: fn(&Ui, &Request) -> Result<Answer>) -> Route {
    Route { path, handle: Handle::Get(answer) }
}

const fn changes(path: &'static str, answer: fn(&Ui, &Request) -> Result<Answer>) -> Route {
    Route { path, handle: Handle::Post(answer) }
}

/// Everything that can be asked for.
pub const ROUTES: &[Route] = &[
    shows("/", runs::page),
    shows("/api/analytics", templates::document),
    shows("/api/compare", compare::document),
    shows("/api/complete", api::complete),
    shows("/api/costs", costs::document),
    shows("/api/doctor", store::document),
    shows("/api/runs", api::runs),
    shows("/api/runs/{run}", api::run),
    shows("/api/search", api::search),
    shows("/compare", compare::page),
    shows("/costs", costs::page),
    shows("/memory", memory::page),
    shows("/needs", needs::page),
    shows("/new", new::choose),
    shows("/new/{template}", new::form),
    changes("/new/{template}", new::sent),
    shows("/runs/{run}", run::page),
    shows("/runs/{run}/events", run::events),
    shows("/runs/{run}/text", run::text),
    shows("/runs/{run}/form", new::open),
    changes("/runs/{run}/form", new::completed),
    changes("/runs/{run}/note", run::note),
    changes("/runs/{run}/approve", run::approve),
    changes("/runs/{run}/resolve", run::resolve),
    changes("/runs/{run}/resume", run::resume),
    changes("/runs/{run}/cancel", run::cancel),
    shows("/store", store::page),
    shows("/templates", templates::list),
    shows("/templates/{id}", templates::page),
];

/// What the navigation shows: path and name.
pub const NAVIGATION: &[(&str, &str)] = &[
    ("/", "Runs"),
    ("/needs", "Needs you"),
    ("/new", "New run"),
    ("/costs", "Costs"),
    ("/templates", "Templates"),
    ("/compare", "Compare"),
    ("/memory", "Memory"),
    ("/store", "Store"),
];
