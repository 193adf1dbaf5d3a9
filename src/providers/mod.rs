//! The models: what speaks to a provider.

pub mod simulated;
