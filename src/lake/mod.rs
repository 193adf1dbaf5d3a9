//! Histories that come in from elsewhere: what another system wrote down becomes events of this store.
//!
//! [`form`] is the documented shape of one line of JSON, [`read`] makes it of text and names everything that is wrong with it,
//! [`convert`] says which events it is: all three are pure. [`lines`] reads files of any length line by line, [`batch`] gathers
//! many runs into one append. Nothing here knows a store, a person or a command: what is there already is asked and answered in
//! `workspace`.

pub mod batch;
pub mod convert;
pub mod form;
pub mod lines;
pub mod read;
pub mod remote;
pub mod transcripts;

#[cfg(test)]
mod tests;
