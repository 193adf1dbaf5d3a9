//! Meno.
pub mod domain;
pub mod settings;
