//! Meno.
pub mod domain;
pub mod providers;
pub mod settings;
pub mod store;
