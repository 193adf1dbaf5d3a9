//! The projection that knows which replies and prompts of other agents' sessions are here already, by the keys under which an
//! import took them in.
//!
//! One reply stands in several files when a session is resumed, forked or told again by a subagent, and in one file several times
//! while it streams. Its key is what its provider called it, so it is taken in once, whatever file it comes from. The key travels in
//! the private part of the event that tells of it; it goes when that is forgotten.

use std::collections::HashMap;

use super::projection::{Projection, Rows};
use crate::domain::event::{AttemptStarted, CallStarted, Event, Recorded};
use crate::domain::ids::RunId;

/// The projection's name, by which its rows are asked for.
pub const NAME: &str = "transcripts";

/// Separates these hashes from every other use of BLAKE3.
const CONTEXT: &str = "meno 2026-11 key of what a transcript tells";
/// Bytes of what names the thing; the rest tells requests apart.
const NAME_BYTES: usize = 16;
/// Bytes of a key.
pub const KEY_BYTES: usize = 24;
/// How the parameters of an imported call begin.
const PARAMETERS: &str = r#"{"import_key":""#;

/// By which something of a transcript is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; KEY_BYTES]);

impl Key {
    /// Names a model's reply: by its message, and by the request where the source tells of one.
    pub fn reply(source: &str, message: &str, request: Option<&str>) -> Self {
        let mut key = Self::of(&["reply", source, message]);
        if let Some(request) = request {
            let rest = Self::of(&["request", request]);
            key.0[NAME_BYTES..].iter_mut().zip(rest.0).for_each(|(to, from)| *to = from.max(1));
        }
        key
    }

    /// Names whatever the parts name together.
    pub fn of(parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let mut key = [0; KEY_BYTES];
        key[..NAME_BYTES].iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
        Self(key)
    }

    /// Writes the key as the events have it.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a key; `None` when the text is none.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; KEY_BYTES];
        if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
            return None;
        }
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(key))
    }

    /// Returns the parameters of an imported call.
    pub fn to_parameters(self) -> String {
        format!("{PARAMETERS}{}\"}}", self.to_hex())
    }

    /// Returns the key of a call that was imported.
    pub fn of_call(call: &CallStarted) -> Option<Self> {
        let parameters = &call.private.as_ref()?.parameters;
        Self::from_hex(parameters.strip_prefix(PARAMETERS)?.strip_suffix("\"}")?)
    }

    /// Returns the key of an attempt that was imported.
    pub fn of_attempt(attempt: &AttemptStarted) -> Option<Self> {
        Self::from_hex(attempt.private.as_ref()?.import_key.as_deref()?)
    }

    fn parts(self) -> ([u8; NAME_BYTES], [u8; KEY_BYTES - NAME_BYTES]) {
        let (mut name, mut request) = ([0; NAME_BYTES], [0; KEY_BYTES - NAME_BYTES]);
        name.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        request.iter_mut().zip(&self.0[NAME_BYTES..]).for_each(|(to, from)| *to = *from);
        (name, request)
    }
}

/// What is here already, and in which run.
#[derive(Clone, Debug, Default)]
pub struct Seen(HashMap<[u8; NAME_BYTES], Vec<([u8; KEY_BYTES - NAME_BYTES], RunId)>>);

impl Seen {
    /// Returns the run that has what `key` names. Two requests that both have a name are two; one without is any of its message.
    pub fn run_of(&self, key: Key) -> Option<RunId> {
        let (name, request) = key.parts();
        let unnamed = [0; KEY_BYTES - NAME_BYTES];
        let is_same = |known: &&([u8; 8], RunId)| known.0 == request || known.0 == unnamed || request == unnamed;
        self.0.get(&name)?.iter().find(is_same).map(|(_, run)| *run)
    }

    /// Takes in that `run` has what `key` names; whoever had it first keeps it.
    pub fn add(&mut self, key: Key, run: RunId) {
        let (name, request) = key.parts();
        let known = self.0.entry(name).or_default();
        if !known.iter().any(|(other, _)| *other == request) {
            known.push((request, run));
        }
    }

    /// Takes in a row of the projection.
    ///
    /// # Errors
    /// Why the bytes are no row.
    pub fn add_row(&mut self, key: &[u8], row: &[u8]) -> Result<(), String> {
        let odd = |_| "a row of the transcripts has another length".to_owned();
        let (key, run) = (key.try_into().map_err(odd)?, row.try_into().map_err(odd)?);
        self.add(Key(key), RunId::from_bytes(run));
        Ok(())
    }
}

/// Keeps what of transcripts is here.
#[derive(Debug, Default)]
pub struct Transcripts;

impl Projection for Transcripts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        let Some(run) = event.envelope.run else { return Ok(()) };
        let key = match &event.event {
            Event::CallStarted(body) => Key::of_call(body),
            Event::AttemptStarted(body) => Key::of_attempt(body),
            _ => None,
        };
        if let Some(key) = key
            && rows.get(&key.0).is_none()
        {
            rows.put(&key.0, run.to_bytes().to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_one_whatever_tells_of_it_unless_two_requests_are_named() {
        let (one, two) = (RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16]));
        let mut seen = Seen::default();
        seen.add(Key::reply("claude-code", "msg_1", Some("req_1")), one);
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_1", Some("req_1"))), Some(one));
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_1", None)), Some(one));
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_1", Some("req_2"))), None);
        assert_eq!(seen.run_of(Key::reply("codex", "msg_1", Some("req_1"))), None);
        seen.add(Key::reply("claude-code", "msg_1", Some("req_1")), two);
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_1", Some("req_1"))), Some(one), "the first keeps it");
        seen.add(Key::reply("claude-code", "msg_2", None), two);
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_2", Some("req_9"))), Some(two));
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let key = Key::reply("claude-code", "msg_1", Some("req_1"));
        assert_eq!(Key::from_hex(&key.to_hex()), Some(key));
        assert_eq!(key.to_parameters(), format!("{{\"import_key\":\"{}\"}}", key.to_hex()));
        assert_eq!(Key::from_hex("0g"), None);
    }
}
