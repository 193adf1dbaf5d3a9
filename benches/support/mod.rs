//! What the benches share: runs to append, stores to measure, and numbers to print.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod data;
pub mod numbers;
pub mod stores;

/// Whatever goes wrong ends the bench.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
