//! Histories that come in from elsewhere, and tables that go out: what another system wrote down becomes events of this store.
//!
//! [`form`] is the documented shape of one line of JSON, [`read`] makes it of text and names everything that is wrong with it,
//! [`convert`] says which events it is: all three are pure. [`lines`] reads files of any length line by line, [`batch`] gathers
//! many runs into one append. [`transcripts`], [`peer`] and [`otel`] read the files of other systems, each in its own folder; [`calls`] makes
//! events of runs whose model calls are known one by one, `resold` knows whose prices they have. The other way, [`tables`] makes rows of
//! events, and [`otel::write`] spans. Nothing here knows a store, a person or a command: what is there already is asked and answered in
//! `workspace`.

pub mod batch;
mod call_events;
pub mod calls;
pub mod convert;
pub mod form;
pub mod lines;
pub mod otel;
pub mod peer;
pub mod read;
pub mod remote;
mod resold;
pub mod skipped;
pub mod tables;
pub mod transcripts;

#[cfg(test)]
mod tests;
