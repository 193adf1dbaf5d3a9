//! What the rows of the views mean: statistics with their uncertainty, and reports that claim nothing under a minimum sample.
//!
//! Pure: rows, a moment and a zone come in, documents go out. Nothing here knows how rows are kept, or a terminal. Start with
//! [`build`] for how a template does, [`spending`] for money, [`charges`] for which sums it is read from; [`stats`] holds the formulas with their sources.

pub mod build;
pub mod charges;
pub mod findings;
pub mod material;
pub mod report;
pub mod spending;
pub mod stats;
pub mod telemetry;

#[cfg(test)]
mod tests;
