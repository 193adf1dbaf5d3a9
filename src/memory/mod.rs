//! What can be recalled: sentences as vectors, past runs by search.
//!
//! Everything here is derived from the log and can be deleted; nothing here appends. [`document`] says what of a run is
//! searched, [`lexical`] and [`vectors`] are the two sides of the index, [`index`] keeps them up to the log, [`query`] reads what
//! is asked for, [`fuse`] makes one order of two, [`search`] puts it together, [`collection`] measures it. [`embed`] turns
//! sentences into vectors. [`advice`] says from past outcomes which tier a task needs.

pub mod advice;
mod asked;
mod bm25;
pub mod collection;
pub mod document;
pub mod embed;
pub mod fuse;
pub mod index;
pub mod lexical;
mod ordering;
pub mod passages;
pub mod query;
pub mod question;
pub mod search;
pub mod sparing;
mod uses;
pub mod vectors;
pub mod words;
