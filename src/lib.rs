//! Meno.
pub mod cli;
pub mod domain;
pub mod executor;
pub mod providers;
pub mod settings;
pub mod store;
pub mod views;
pub mod workspace;
