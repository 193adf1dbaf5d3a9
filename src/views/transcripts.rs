//! The projection that knows which replies and prompts of other agents' sessions are here already, by the keys under which an
//! import took them in.
//!
//! One reply stands in several files when a session is resumed, forked or told again by a subagent, and in one file several times
//! while it streams. Its key is what its provider called it, so it is taken in once, whatever file it comes from. The key travels in
//! the private part of the event that names it. When that is forgotten, a hash of it with the store's salt is retained
//! ([`ImportKeysRetained`](crate::domain::event::ImportKeysRetained)): what other sessions repeat of a forgotten one does not come back.

use std::collections::HashMap;

use super::imports::Origin;

use super::projection::{Projection, Rows};
use crate::domain::event::{AttemptStarted, CallStarted, Event, Recorded};
use crate::domain::ids::RunId;

/// The projection's name, by which its rows are asked for.
pub const NAME: &str = "transcripts";

/// Separates these hashes from every other use of BLAKE3.
const CONTEXT: &str = "meno 2026-11 key of what a transcript tells";
/// The same for what is retained of them.
const RETAINED: &str = "meno 2026-11 retained key of what a transcript told";
/// Marks the row of a retained key, behind it.
const IS_RETAINED: u8 = 1;
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
        let key = Self::of(&["reply", source, message]);
        request.map_or(key, |request| key.with_request(request))
    }

    /// Tells it apart from others of the same name: two that both have a request are one when it is the same.
    #[must_use]
    pub fn with_request(mut self, request: &str) -> Self {
        let rest = Self::of(&["request", request]);
        self.0[NAME_BYTES..].iter_mut().zip(rest.0).for_each(|(to, from)| *to = from.max(1));
        self
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

    /// Names a session as a whole, by where it comes from.
    pub fn of_origin(origin: &Origin) -> Self {
        let mut key = [0; KEY_BYTES];
        key.iter_mut().zip(origin.key).for_each(|(to, from)| *to = from);
        Self(key)
    }

    /// Returns what is retained of the key when what it names is forgotten: without `salt`, the store's own, nobody can tell what that
    /// was. What is one key stays one, and a key without a request stays one.
    pub fn retained(self, salt: &[u8; 16]) -> Self {
        let keyed = blake3::derive_key(RETAINED, salt);
        let (name, request) = self.parts();
        let mut key = [0; KEY_BYTES];
        key[..NAME_BYTES].iter_mut().zip(blake3::keyed_hash(&keyed, &name).as_bytes()).for_each(|(to, from)| *to = *from);
        if request != [0; KEY_BYTES - NAME_BYTES] {
            let hash = blake3::keyed_hash(&keyed, &self.0);
            key[NAME_BYTES..].iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = (*from).max(1));
        }
        Self(key)
    }

    fn parts(self) -> ([u8; NAME_BYTES], [u8; KEY_BYTES - NAME_BYTES]) {
        let (mut name, mut request) = ([0; NAME_BYTES], [0; KEY_BYTES - NAME_BYTES]);
        name.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        request.iter_mut().zip(&self.0[NAME_BYTES..]).for_each(|(to, from)| *to = *from);
        (name, request)
    }
}

/// Values by key. Two requests that both have a name are two; one without is any of its message.
#[derive(Clone, Debug)]
pub struct Keyed<V>(HashMap<[u8; NAME_BYTES], Vec<([u8; KEY_BYTES - NAME_BYTES], V)>>);

impl<V> Default for Keyed<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V: Copy> Keyed<V> {
    /// Returns what was kept for what `key` names.
    pub fn get(&self, key: Key) -> Option<V> {
        let (name, request) = key.parts();
        let unnamed = [0; KEY_BYTES - NAME_BYTES];
        let is_same = |known: &&([u8; KEY_BYTES - NAME_BYTES], V)| known.0 == request || known.0 == unnamed || request == unnamed;
        self.0.get(&name)?.iter().find(is_same).map(|(_, value)| *value)
    }

    /// Returns the same where it can be of one thing alone: of requests whose message is meant, only one is known.
    pub fn get_only(&self, key: Key) -> Option<V> {
        let (name, request) = key.parts();
        let known = self.0.get(&name)?;
        match known.iter().find(|(other, _)| *other == request) {
            Some((_, value)) => Some(*value),
            None if known.len() == 1 => self.get(key),
            None => None,
        }
    }

    /// Keeps a value; what was kept first stays.
    pub fn insert(&mut self, key: Key, value: V) {
        let (name, request) = key.parts();
        let known = self.0.entry(name).or_default();
        if !known.iter().any(|(other, _)| *other == request) {
            known.push((request, value));
        }
    }
}

/// What is here already, and in which run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    runs: Keyed<RunId>,
    retained: Keyed<RunId>,
    salt: [u8; 16],
}

impl Seen {
    /// Nothing yet, in a store with this salt.
    pub fn new(salt: [u8; 16]) -> Self {
        Self { salt, ..Self::default() }
    }

    /// Returns the run that has what `key` names. Two requests that both have a name are two; one without is any of its message.
    pub fn run_of(&self, key: Key) -> Option<RunId> {
        self.runs.get(key).or_else(|| self.forgotten_run_of(key))
    }

    /// Returns the run that had what `key` names and whose texts were forgotten.
    pub fn forgotten_run_of(&self, key: Key) -> Option<RunId> {
        (!self.retained.0.is_empty()).then(|| self.retained.get(key.retained(&self.salt))).flatten()
    }

    /// Takes in that `run` has what `key` names; whoever had it first keeps it.
    pub fn add(&mut self, key: Key, run: RunId) {
        self.runs.insert(key, run);
    }

    /// Takes in a row of the projection.
    ///
    /// # Errors
    /// Why the bytes are no row.
    pub fn add_row(&mut self, key: &[u8], row: &[u8]) -> Result<(), String> {
        let odd = || "a row of the transcripts has another length".to_owned();
        let run = RunId::from_bytes(row.try_into().map_err(|_| odd())?);
        let (key, rest) = key.split_first_chunk::<KEY_BYTES>().ok_or_else(odd)?;
        match rest {
            [] => self.runs.insert(Key(*key), run),
            [IS_RETAINED] => self.retained.insert(Key(*key), run),
            _ => return Err(odd()),
        }
        Ok(())
    }

    /// Takes in what came into the log since: an event of the store's own log.
    pub fn apply(&mut self, event: &Recorded) {
        match (&event.event, event.envelope.run) {
            (Event::ImportKeysRetained(body), _) => {
                body.keys.iter().for_each(|key| self.retained.insert(Key(*key), body.run));
            }
            (event, Some(run)) => {
                if let Some(key) = key_of(event) {
                    self.add(key, run);
                }
            }
            _ => {}
        }
    }
}

/// Returns the key under which an event was imported, if it was.
pub fn key_of(event: &Event) -> Option<Key> {
    match event {
        Event::CallStarted(body) => Key::of_call(body),
        Event::AttemptStarted(body) => Key::of_attempt(body),
        _ => None,
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
        2
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        if let Event::ImportKeysRetained(body) = &event.event {
            for key in &body.keys {
                rows.put(&[&key[..], &[IS_RETAINED]].concat(), body.run.to_bytes().to_vec());
            }
        }
        let Some(run) = event.envelope.run else { return Ok(()) };
        if let Some(key) = key_of(&event.event)
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
    fn what_is_retained_of_a_key_finds_it_again_and_says_nothing_without_the_salt() {
        let run = RunId::from_bytes([1; 16]);
        let salt = [9; 16];
        let key = Key::reply("claude-code", "msg_1", Some("req_1"));
        let mut seen = Seen::new(salt);
        let row = |key: Key| [&key.0[..], &[IS_RETAINED]].concat();
        seen.add_row(&row(key.retained(&salt)), &run.to_bytes()).unwrap();
        assert_eq!(seen.run_of(key), Some(run));
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_1", Some("req_2"))), None);
        assert_eq!(seen.run_of(Key::reply("claude-code", "msg_1", None)), Some(run), "any request of its message");
        assert_ne!(key.retained(&salt), key.retained(&[8; 16]));
        assert_eq!(seen.forgotten_run_of(Key::reply("claude-code", "msg_2", None)), None);
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let key = Key::reply("claude-code", "msg_1", Some("req_1"));
        assert_eq!(Key::from_hex(&key.to_hex()), Some(key));
        assert_eq!(key.to_parameters(), format!("{{\"import_key\":\"{}\"}}", key.to_hex()));
        assert_eq!(Key::from_hex("0g"), None);
    }
}
