//! What owner and client say to each other, byte by byte: a greeting that every version understands, then framed messages.
//!
//! The greeting and the plea to hand over are laid out by hand and stay as they are for ever. Requests and responses are bincode
//! of the enums below, which **grow only at their end**: protocol N serves N−1. Event bodies pass through as opaque bytes.
//!
//! Everything read here comes from another process: nothing panics on it, and memory grows only with bytes that really arrived.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::wire_error::WireError;
use crate::domain::event::KINDS;
use crate::domain::ids::RunId;
use crate::store::log::{Appended, Batch, Head, Stored, ViewRows};

/// The protocol's number. A change that an older peer would misread gets the next one.
pub const PROTOCOL: u16 = 1;
/// The oldest protocol still spoken.
const OLDEST: u16 = 1;
/// The longest frame; a longer message is sent in several.
const FRAME_MAX: usize = 16 << 20;
/// The longest message: room for one imported run of 100,000 events.
const MESSAGE_MAX: usize = 128 << 20;
/// Set in a frame's length when the message goes on in the next frame.
const GOES_ON: u32 = 1 << 31;

const MAGIC: [u8; 8] = *b"menosock";
/// Room for later fields of the greeting, which older versions skip.
const GREETING_MAX: usize = 512;
const VERSION_MAX: usize = 64;

/// The plea to hand over, and the two answers to it, between peers that have no protocol in common.
pub(super) const HAND_OVER: [u8; 8] = *b"handover";
pub(super) const AGREED: [u8; 8] = *b"agreed__";

/// What each side says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// The newest protocol spoken.
    pub(super) protocol: u16,
    /// The oldest.
    pub(super) oldest: u16,
    /// The highest number of a kind of event known.
    pub(super) newest_kind: u16,
    /// The process.
    pub(super) pid: u32,
    /// Meno's version.
    pub(super) version: String,
}

impl Greeting {
    /// This process's greeting; of a version that is too long, the beginning.
    pub(super) fn own(version: &str) -> Self {
        let end =
            version.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= VERSION_MAX).last().unwrap_or(0);
        Self {
            protocol: PROTOCOL,
            oldest: OLDEST,
            newest_kind: KINDS.iter().map(|(number, ..)| *number).max().unwrap_or(0),
            pid: std::process::id(),
            version: version[..end].to_owned(),
        }
    }

    /// Whether there is a protocol that both speak.
    pub(super) fn speaks_with(&self, other: &Self) -> bool {
        self.protocol.min(other.protocol) >= self.oldest.max(other.oldest)
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut fields = Vec::with_capacity(11 + self.version.len());
        for number in [self.protocol, self.oldest, self.newest_kind] {
            fields.extend(number.to_le_bytes());
        }
        fields.extend(self.pid.to_le_bytes());
        // Versions are at most VERSION_MAX bytes long, ours by construction and others' by `parse`.
        fields.push(self.version.len() as u8);
        fields.extend(self.version.as_bytes());
        let mut bytes = MAGIC.to_vec();
        bytes.extend((fields.len() as u16).to_le_bytes());
        bytes.extend(fields);
        out.write_all(&bytes)
    }

    pub(super) fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut start = [0; 10];
        input.read_exact(&mut start)?;
        let length = usize::from(u16::from_le_bytes([start[8], start[9]]));
        if start[..8] != MAGIC || length > GREETING_MAX {
            return Err(strange("no greeting of meno"));
        }
        let mut fields = vec![0; length];
        input.read_exact(&mut fields)?;
        Self::parse(&fields).ok_or_else(|| strange("a broken greeting"))
    }

    fn parse(fields: &[u8]) -> Option<Self> {
        let (numbers, rest) = fields.split_first_chunk::<6>()?;
        let (pid, rest) = rest.split_first_chunk::<4>()?;
        let (&length, rest) = rest.split_first()?;
        let version = std::str::from_utf8(rest.get(..usize::from(length))?).ok()?;
        if version.len() > VERSION_MAX || version.chars().any(char::is_control) {
            return None;
        }
        let [a, b, c, d, e, f] = *numbers;
        Some(Self {
            protocol: u16::from_le_bytes([a, b]),
            oldest: u16::from_le_bytes([c, d]),
            newest_kind: u16::from_le_bytes([e, f]),
            pid: u32::from_le_bytes(*pid),
            version: version.to_owned(),
        })
    }
}

/// What a client asks. Grows only at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request<'a> {
    Append(Cow<'a, Batch>),
    Head,
    Read { from: u64, limit: u32 },
    ReadRun { run: RunId, from: u64, limit: u32 },
    Wait { seen: u64, patience_ms: u64 },
    View { view: Cow<'a, str>, from: Cow<'a, [u8]>, to: Option<Cow<'a, [u8]>>, reverse: bool, limit: u32 },
    HandOver,
    Status,
    Ask(Cow<'a, [u8]>),
}

/// What the owner answers. Grows only at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Response {
    Appended(Appended),
    Head(Head),
    Events(Vec<Stored>),
    Passed(u64),
    Rows(ViewRows),
    /// The log said no.
    Failed(WireError),
    /// The log is not open yet: ask again.
    Busy(Activity),
    /// The owner is about to go: find the next one and repeat.
    Closing,
    /// Whether it hands over.
    HandingOver(bool),
    Status(Status),
    /// The request made no sense; the connection ends.
    Malformed(String),
    /// What it knows; nothing when it does not answer such questions.
    Said(Option<Vec<u8>>),
}

/// What an owner is busy with before it can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// In words, as in `it is rebuilding`.
    pub words: String,
    /// How far it is, 0 to 100.
    pub percent: u8,
}

/// Who owns the store, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The owner's process id.
    pub pid: u32,
    /// Its version of Meno.
    pub version: String,
    /// The highest number of a kind of event that it knows; newer kinds it keeps, but leaves out of its views.
    pub newest_kind: u16,
    /// What keeps it from serving now.
    pub doing: Option<Activity>,
}

/// Encodes a message, in as many frames as it takes.
///
/// # Errors
/// In words, when it is longer than a message may be.
pub(super) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, String> {
    // The first frame's length is filled in afterwards: nearly every message is one frame, and is not copied.
    let mut bytes = vec![0; 4];
    bincode::serde::encode_into_std_write(message, &mut bytes, bincode::config::standard()).map_err(|error| error.to_string())?;
    let length = bytes.len() - 4;
    if length > MESSAGE_MAX {
        return Err(format!("a message of {} MiB is too long, {} MiB are the most", length >> 20, MESSAGE_MAX >> 20));
    }
    if length <= FRAME_MAX {
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        return Ok(bytes);
    }
    let mut frames = Vec::with_capacity(length + 4 * (length / FRAME_MAX + 1));
    let mut rest = &bytes[4..];
    while !rest.is_empty() {
        let (frame, after) = rest.split_at(rest.len().min(FRAME_MAX));
        let more = if after.is_empty() { 0 } else { GOES_ON };
        frames.extend((frame.len() as u32 | more).to_le_bytes());
        frames.extend(frame);
        rest = after;
    }
    Ok(frames)
}

/// Reads one message's bytes; `None` when the other side closed the connection between messages.
pub(super) fn read_message(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; 4];
        if message.is_empty() {
            // An end right here is a farewell; anywhere later something is missing.
            match input.read(&mut header) {
                Ok(0) => return Ok(None),
                Ok(had) => input.read_exact(&mut header[had..])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
        } else {
            input.read_exact(&mut header)?;
        }
        let header = u32::from_le_bytes(header);
        let length = (header & !GOES_ON) as usize;
        // A frame that goes on is full; so a message has an end, however its frames are cut.
        if length > FRAME_MAX || message.len() + length > MESSAGE_MAX || (header & GOES_ON != 0 && length != FRAME_MAX) {
            return Err(strange("a frame of impossible length"));
        }
        let had = message.len();
        input.take(length as u64).read_to_end(&mut message)?;
        if message.len() - had < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if header & GOES_ON == 0 {
            return Ok(Some(message));
        }
    }
}

/// Decodes a message; all bytes must be consumed.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let config = bincode::config::standard().with_limit::<MESSAGE_MAX>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((message, used)) if used == bytes.len() => Ok(message),
        Ok(_) => Err(strange("a message with bytes left over")),
        Err(error) => Err(strange(&format!("a message that cannot be decoded ({error})"))),
    }
}

fn strange(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("got {words}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::{BatchId, Hash};
    use crate::store::log::{Cause, NewEvent};

    fn round_trip<T: Serialize + DeserializeOwned>(message: &T) -> T {
        let bytes = encode(message).unwrap();
        let mut input = bytes.as_slice();
        let message = decode(&read_message(&mut input).unwrap().unwrap()).unwrap();
        assert!(input.is_empty());
        message
    }

    fn event() -> impl Strategy<Value = NewEvent> {
        (
            (any::<u16>(), any::<u16>(), any::<Option<[u8; 16]>>(), any::<Option<i64>>()),
            prop_oneof![
                Just(None),
                any::<u64>().prop_map(|at| Some(Cause::At(at))),
                any::<u32>().prop_map(|at| Some(Cause::InBatch(at)))
            ],
            (any::<Vec<u8>>(), any::<[u8; 32]>(), any::<Vec<u8>>()),
        )
            .prop_map(|((kind, kind_version, run, occurred_at), cause, (public, commitment, private))| NewEvent {
                kind,
                kind_version,
                run: run.map(RunId::from_bytes),
                occurred_at,
                cause,
                public,
                commitment,
                private,
            })
    }

    fn batch() -> impl Strategy<Value = Batch> {
        (any::<[u8; 16]>(), any::<Option<([u8; 16], u64)>>(), prop::collection::vec(event(), 0..4), any::<Vec<[u8; 32]>>())
            .prop_map(|(id, expected, events, payloads)| Batch {
                id: BatchId::from_bytes(id),
                expected_version: expected.map(|(run, version)| (RunId::from_bytes(run), version)),
                events,
                payloads: payloads.into_iter().map(Hash).collect(),
                day_limit: None,
            })
    }

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_never_panics(bytes in any::<Vec<u8>>()) {
            let _ = decode::<Request<'_>>(&bytes);
            let _ = decode::<Response>(&bytes);
            let _ = read_message(&mut bytes.as_slice());
            let _ = Greeting::read(&mut bytes.as_slice());
            let _ = Greeting::parse(&bytes);
        }

        #[test]
        fn damaged_messages_never_panic(batch in batch(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = encode(&Request::Append(Cow::Owned(batch))).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(Some(message)) = read_message(&mut bytes.as_slice()) {
                let _ = decode::<Request<'_>>(&message);
            }
        }

        #[test]
        fn requests_come_back_as_they_were(batch in batch(), numbers in any::<(u64, u32)>(), view in any::<String>(), from in any::<Vec<u8>>(), to in any::<Option<Vec<u8>>>()) {
            let (from_seq, limit) = numbers;
            let requests = [
                Request::Append(Cow::Owned(batch)),
                Request::Read { from: from_seq, limit },
                Request::Wait { seen: from_seq, patience_ms: u64::from(limit) },
                Request::View { view: Cow::Owned(view), from: Cow::Owned(from), to: to.map(Cow::Owned), reverse: limit % 2 == 0, limit },
            ];
            for request in requests {
                prop_assert_eq!(round_trip(&request), request);
            }
        }

        #[test]
        fn greetings_come_back_whatever_later_versions_add(protocol in any::<u16>(), pid in any::<u32>(), version in "[0-9a-z.+-]{0,64}", added in prop::collection::vec(any::<u8>(), 0..100)) {
            let greeting = Greeting { protocol, oldest: protocol / 2, newest_kind: 9, pid, version };
            let mut bytes = Vec::new();
            greeting.write(&mut bytes).unwrap();
            bytes.extend(&added);
            let length = u16::from_le_bytes([bytes[8], bytes[9]]) + added.len() as u16;
            bytes[8..10].copy_from_slice(&length.to_le_bytes());
            prop_assert_eq!(Greeting::read(&mut bytes.as_slice()).unwrap(), greeting);
        }
    }

    #[test]
    fn the_words_on_the_wire_stay_as_they_were_released() {
        let mut bytes = Vec::new();
        Greeting { protocol: 1, oldest: 1, newest_kind: 0x102, pid: 7, version: "0.1.0".into() }.write(&mut bytes).unwrap();
        assert_eq!(bytes, b"menosock\x10\0\x01\0\x01\0\x02\x01\x07\0\0\0\x050.1.0");
        assert_eq!(encode(&Request::Head).unwrap(), [1, 0, 0, 0, 1]);
        assert_eq!(encode(&Request::Read { from: 5, limit: 6 }).unwrap(), [3, 0, 0, 0, 2, 5, 6]);
        assert_eq!(encode(&Request::HandOver).unwrap(), [1, 0, 0, 0, 6]);
        assert_eq!(encode(&Request::Status).unwrap(), [1, 0, 0, 0, 7]);
        assert_eq!(encode(&Response::Passed(3)).unwrap(), [2, 0, 0, 0, 3, 3]);
        assert_eq!(encode(&Response::Closing).unwrap(), [1, 0, 0, 0, 7]);
    }

    #[test]
    fn peers_speak_when_the_ranges_of_their_protocols_meet() {
        let of = |oldest, protocol| Greeting { protocol, oldest, ..Greeting::own("1") };
        assert!(of(1, 2).speaks_with(&of(2, 3)));
        assert!(!of(1, 2).speaks_with(&of(3, 4)));
        assert!(!of(3, 4).speaks_with(&of(1, 2)));
    }

    #[test]
    fn a_message_longer_than_a_frame_is_sent_in_several() {
        let long = Response::Malformed("x".repeat(2 * FRAME_MAX + 5));
        assert!(round_trip(&long) == long);
        assert!(encode(&"x".repeat(MESSAGE_MAX)).unwrap_err().contains("too long"));
    }

    #[test]
    fn a_length_that_nothing_follows_takes_no_memory_and_is_an_error() {
        let header = (FRAME_MAX as u32).to_le_bytes();
        assert_eq!(read_message(&mut header.as_slice()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        for impossible in [FRAME_MAX as u32 + 1, u32::MAX, GOES_ON, GOES_ON | 7] {
            assert_eq!(read_message(&mut impossible.to_le_bytes().as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        assert!(read_message(&mut [].as_slice()).unwrap().is_none());
        assert_eq!(read_message(&mut [1].as_slice()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_overlong_version_is_cut_at_a_character() {
        assert_eq!(Greeting::own(&"é".repeat(60)).version.len(), 64);
        assert_eq!(Greeting::own("0.1.0").version, "0.1.0");
    }
}
