//! Whether the record is whole and unchanged: audit, replay and seals.

use super::Workspace;

pub(crate) mod audit;
pub(crate) mod audit_document;
#[cfg(feature = "signing")]
mod keys;
pub(crate) mod last_audit;
#[cfg(not(feature = "signing"))]
mod no_keys;
pub(crate) mod replay;
pub(crate) mod seal;
#[cfg(any(test, feature = "signing"))]
pub(crate) mod signers;
pub mod signing;
#[cfg(test)]
pub(crate) mod simulator;

#[cfg(not(feature = "signing"))]
use no_keys as keys;

/// The part of a [`Workspace`] that [`Workspace::proof`] gives.
#[derive(Clone, Copy)]
pub struct Proof<'w>(pub(crate) &'w Workspace);
