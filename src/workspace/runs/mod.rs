//! Runs: prepare, start, resume, cancel and fork them; list, read and follow them.

use super::Workspace;

pub(crate) mod advised_starts;
pub(crate) mod diff;
pub(crate) mod every_run;
pub(crate) mod family;
pub(crate) mod follow;
pub(crate) mod fork;
pub mod glance;
pub(crate) mod history;
pub mod inputs;
pub(crate) mod material;
pub(crate) mod mcp;
pub(crate) mod note;
pub(crate) mod origins;
pub(crate) mod preview;
pub mod ready;
pub(crate) mod resolve;
pub(crate) mod running;
pub(crate) mod runs_page;
pub mod saved;
pub(crate) mod shortage;
pub(crate) mod start;
pub(crate) mod story;
pub(crate) mod tools;
pub(crate) mod undo;
pub(crate) mod windows;

/// The part of a [`Workspace`] that [`Workspace::runs`] gives.
#[derive(Clone, Copy)]
pub struct Runs<'w>(pub(crate) &'w Workspace);
