//! Settings: what the user chose, from flags, environment, the store's and the user's `config.toml`, and defaults.
//!
//! The room answers: which value counts, where it comes from, and whom it may be believed from. [`resolve`](resolve::resolve) is pure: the
//! environment and the files come in as values, and every value that goes out names its [`Source`]. [`load()`] is the thin shell
//! that reads them. No secret is ever held here: a key is a variable's name, and whether it may go to a provider's address is
//! decided by [`ProviderSettings::key_bound`].
//!
//! The room does not know stores, providers or the command line. Start with [`mod@file`] (what may stand in a `config.toml`) and
//! [`resolve`](resolve::resolve) (what follows from it).

mod build;
mod commands;
pub mod edit;
pub mod environment;
mod error;
pub mod file;
mod fit;
mod keys;
mod layers;
mod load;
pub mod mcp_tools;
mod meaning;
mod origin;
pub mod place;
mod recorded;
pub mod resolve;
mod stack;
pub mod trust;
pub mod variables;
pub use crate::domain::settings as types;
pub(crate) mod write;

pub use environment::Environment;
pub use error::{Error, Problem};
pub use file::Preset;
pub use layers::{SettingValue, Source};
pub use load::{Request, is_trusted, load, load_forgiving};
pub use place::{How, Places, StorePlace};
pub use recorded::under;
pub use resolve::{Choice, DetectedKeys, Flags, Resolved};
pub use trust::TrustedStores;
pub use types::*;
pub use variables::Variables;
