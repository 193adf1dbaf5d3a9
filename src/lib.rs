//! Meno.
pub mod domain;
pub mod settings;
pub mod store;
