//! Settings: what the user chose, from flags, environment, the store's and the user's `config.toml`, and defaults.

pub mod types;

pub use types::*;
