//! What past runs teach: search, analysis, costs, patterns and advice.

use super::Workspace;

pub(crate) mod alike;
pub(crate) mod analysis;
mod asked;
pub(crate) mod attend;
pub mod backtest;
pub(crate) mod bench;
pub mod bench_route;
pub(crate) mod ledger;
pub(crate) mod logged;
pub mod patterns;
pub(crate) mod recall;
pub(crate) mod recall_error;
pub(crate) mod recent;
pub(crate) mod recommend;
pub mod recommend_tasks;
pub(crate) mod response;
pub(crate) mod spanning;
pub(crate) mod spending;
pub(crate) mod suggest;

/// The part of a [`Workspace`] that [`Workspace::memory`] gives.
#[derive(Clone, Copy)]
pub struct Recall<'w>(pub(crate) &'w Workspace);
