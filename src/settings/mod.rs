//! Settings: what the user chose, from flags, environment, the store's and the user's `config.toml`, and defaults.
//!
//! The resolved settings are [`crate::domain::settings`], because a run records them and decides by them.

pub use crate::domain::settings as types;
pub use crate::domain::settings::*;
