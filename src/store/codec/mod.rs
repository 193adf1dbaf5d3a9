//! Turns events into bytes and back: bodies in bincode, and the record that journal and index keep of each.
//!
//! Kind and version stand outside the bodies, so kinds of later releases are carried along unread and older versions
//! are lifted by [`upcast`](mod@super::upcast). [`offer`] reads back what it wrote before anybody may append it, because some serde
//! attributes encode and cannot be decoded. The codec knows neither files nor the chain's order.

pub mod record;

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod sample;

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bincode::error::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize};
#[cfg(test)]
use serde_json::{Map, Value};

use super::log::{Cause, NewEvent, Stored};
use super::upcast::{self, Parts, Step};
use super::{Error, chain};
use crate::domain::event::{BodyReader, BodyWriter, Event, KINDS, Recorded};
use crate::domain::ids::{RunId, TimeNs};

/// The longest part of a body in bytes; larger texts are payloads.
pub const PART_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The salt in front of each private part, in bytes.
pub const SALT_BYTES: usize = 16;

const BINCODE: Configuration<LittleEndian, Varint, Limit<PART_BYTES_MAX>> = config::standard().with_limit::<PART_BYTES_MAX>();

/// What a stored event turned out to be.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is known, and boxing would allocate for each")]
pub enum Decoded {
    /// An event that this release understands.
    Known(Recorded),
    /// An event of a later release: kept, carried along, not understood.
    Unknown {
        /// The kind's number.
        kind: u16,
        /// The kind's version.
        kind_version: u16,
    },
}

/// An event's body as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The kind's number.
    pub kind: u16,
    /// The kind's version.
    pub kind_version: u16,
    /// The public part.
    pub public: Vec<u8>,
    /// BLAKE3 of salt and private part.
    pub commitment: [u8; 32],
    /// Salt and private part.
    pub private: Vec<u8>,
}

/// Encodes `event` with `salt` in front of its private part.
///
/// # Errors
/// [`Error::BadBatch`] when the private part is gone, or a part cannot be written or is too long.
pub fn encode(event: &Event, salt: [u8; SALT_BYTES]) -> Result<Body, Error> {
    let refuse = |why: String| Error::BadBatch(format!("{}: {why}", event.name()));
    let (kind, kind_version) = event.kind();
    let mut public = Vec::new();
    event.write_public(&mut BinaryWriter(&mut public)).map_err(|why| refuse(why.to_string()))?;
    let mut private = salt.to_vec();
    if !event.write_private(&mut BinaryWriter(&mut private)).map_err(|why| refuse(why.to_string()))? {
        return Err(refuse("its private part is gone".to_owned()));
    }
    if public.len().max(private.len()) > PART_BYTES_MAX {
        return Err(refuse(format!("a part is longer than {PART_BYTES_MAX} bytes")));
    }
    Ok(Body { kind, kind_version, public, commitment: chain::commitment(&private), private })
}

/// Encodes `event` for appending and makes sure that exactly it will be read back.
///
/// # Errors
/// [`Error::BadBatch`] when it cannot be encoded, or would read back as something else (a number that is not a number, say).
pub fn offer(
    event: &Event,
    salt: [u8; SALT_BYTES],
    run: Option<RunId>,
    cause: Option<Cause>,
    occurred_at: Option<TimeNs>,
) -> Result<NewEvent, Error> {
    let Body { kind, kind_version, public, commitment, private } = encode(event, salt)?;
    let back = Event::read(kind, BinaryReader(&public), Some(BinaryReader(&private[SALT_BYTES..])));
    match back {
        Some(Ok(back)) if back == *event => {
            Ok(NewEvent { kind, kind_version, run, occurred_at, cause, public, commitment, private })
        }
        Some(Err(why)) => Err(Error::BadBatch(format!("{} cannot be read back: {why}", event.name()))),
        _ => Err(Error::BadBatch(format!("{} reads back as something else", event.name()))),
    }
}

/// Decodes a stored event.
///
/// # Errors
/// [`Error::Damaged`] when the bytes are not a body of its kind and version.
pub fn decode(stored: &Stored) -> Result<Decoded, Error> {
    decode_by(stored, KINDS, upcast::STEPS)
}

fn decode_by(stored: &Stored, kinds: &[(u16, u16, &str)], steps: &[Step]) -> Result<Decoded, Error> {
    let Stored { kind, kind_version, .. } = *stored;
    let unknown = Decoded::Unknown { kind, kind_version };
    let Some((_, current, name)) = kinds.iter().find(|(number, ..)| *number == kind) else { return Ok(unknown) };
    if kind_version > *current {
        return Ok(unknown);
    }
    let at = |why: String| Error::Damaged(format!("event {} ({name}): {why}", stored.envelope.seq));
    let private = match &stored.private {
        Some(bytes) => Some(bytes.get(SALT_BYTES..).ok_or_else(|| at("the salt is cut short".to_owned()))?),
        None => None,
    };
    let read = if kind_version == *current {
        Event::read(kind, BinaryReader(&stored.public), private.map(BinaryReader))
    } else {
        let parts = Parts { public: stored.public.clone(), private: private.map(<[u8]>::to_vec) };
        let parts = upcast::upcast(steps, kind, kind_version, *current, parts)?;
        Event::read(kind, BinaryReader(&parts.public), parts.private.as_deref().map(BinaryReader))
    };
    match read {
        Some(Ok(event)) => Ok(Decoded::Known(Recorded { envelope: stored.envelope, hash: stored.hash, event })),
        Some(Err(why)) => Err(at(why.to_string())),
        None => Ok(unknown),
    }
}

/// Returns the event as one JSON object of its public and private fields; `"private": "forgotten"` stands for private ones that are
/// gone.
#[cfg(test)]
fn to_json(event: &Event) -> Value {
    let mut fields = JsonWriter(Map::new());
    // Bodies have text keys and no value that JSON lacks; a body that broke this would have failed its golden test.
    let written = event.write_public(&mut fields).and_then(|()| event.write_private(&mut fields));
    match written {
        Ok(true) => {}
        Ok(false) => {
            fields.0.insert("private".to_owned(), Value::from("forgotten"));
        }
        Err(why) => {
            fields.0.insert("error".to_owned(), Value::from(why.to_string()));
        }
    }
    Value::Object(fields.0)
}

struct BinaryWriter<'a>(&'a mut Vec<u8>);

impl BodyWriter for BinaryWriter<'_> {
    type Error = EncodeError;

    fn write<T: Serialize>(&mut self, part: &T) -> Result<(), EncodeError> {
        bincode::serde::encode_into_std_write(part, self.0, BINCODE).map(|_| ())
    }
}

struct BinaryReader<'a>(&'a [u8]);

/// Why a part of a body cannot be read.
#[derive(Debug, thiserror::Error)]
enum PartError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0} bytes are left over")]
    LeftOver(usize),
}

impl BodyReader for BinaryReader<'_> {
    type Error = PartError;

    fn read<T: for<'de> Deserialize<'de>>(self) -> Result<T, PartError> {
        let (part, used) = bincode::serde::decode_from_slice(self.0, BINCODE)?;
        match self.0.len() - used {
            0 => Ok(part),
            left => Err(PartError::LeftOver(left)),
        }
    }
}

/// Reads a part of a body of an older version.
pub(super) fn read_part<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, String> {
    BinaryReader(bytes).read().map_err(|why| why.to_string())
}

/// Writes a part of a body that was lifted from an older version.
pub(super) fn write_part<T: Serialize>(part: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    BinaryWriter(&mut bytes).write(part).map_err(|why| why.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
struct JsonWriter(Map<String, Value>);

#[cfg(test)]
impl BodyWriter for JsonWriter {
    type Error = serde_json::Error;

    fn write<T: Serialize>(&mut self, part: &T) -> Result<(), serde_json::Error> {
        if let Value::Object(fields) = serde_json::to_value(part)? {
            self.0.extend(fields);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sample::sample;
    use super::*;
    use crate::domain::event::{CriterionJudged, Envelope, NoteAdded, NoteAddedPrivate};
    use crate::domain::ids::Hash;
    use crate::domain::text::Text;

    fn stored(body: Body) -> Stored {
        let envelope = Envelope { seq: 7, run: None, version: 0, at: 1, occurred_at: None, cause: None };
        let Body { kind, kind_version, public, commitment, private } = body;
        Stored { envelope, kind, kind_version, public, commitment, private: Some(private), hash: Hash::default() }
    }

    fn note() -> Event {
        let private = NoteAddedPrivate { text: Text::Inline("good".to_owned()), tags: vec!["a".to_owned()] };
        NoteAdded { rating: Some(4), private: Some(private) }.into()
    }

    proptest! {
        #[test]
        fn every_event_reads_back_as_it_was(kind in 0..KINDS.len(), seed in any::<u64>(), salt in any::<[u8; 16]>()) {
            let event = sample(KINDS[kind].0, seed);
            let offered = offer(&event, salt, None, None, None).unwrap();
            let body = encode(&event, salt).unwrap();
            prop_assert_eq!(&offered.public, &body.public);
            let Decoded::Known(back) = decode(&stored(body)).unwrap() else { panic!("not known") };
            prop_assert_eq!(back.event, event);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(
            kind in 0..KINDS.len(), public in proptest::collection::vec(any::<u8>(), 0..300),
            private in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
        ) {
            let mut event = stored(encode(&note(), [0; 16]).unwrap());
            (event.kind, event.public, event.private) = (KINDS[kind].0, public, private);
            let _ = decode(&event);
        }
    }

    #[test]
    fn a_forgotten_private_part_leaves_the_public_one_readable() {
        let mut event = stored(encode(&note(), [0; 16]).unwrap());
        event.private = None;
        let Decoded::Known(back) = decode(&event).unwrap() else { panic!("not known") };
        assert_eq!(back.event, NoteAdded { rating: Some(4), private: None }.into());
        assert_eq!(to_json(&back.event), serde_json::json!({"rating": 4, "private": "forgotten"}));
    }

    #[test]
    fn json_shows_public_and_private_fields_as_one_object() {
        assert_eq!(to_json(&note()), serde_json::json!({"rating": 4, "text": {"inline": "good"}, "tags": ["a"]}));
    }

    #[test]
    fn events_of_later_releases_are_carried_along_unread() {
        let mut event = stored(encode(&note(), [0; 16]).unwrap());
        event.kind_version = 2;
        assert_eq!(decode(&event).unwrap(), Decoded::Unknown { kind: event.kind, kind_version: 2 });
        event.kind = 65_000;
        assert_eq!(decode(&event).unwrap(), Decoded::Unknown { kind: 65_000, kind_version: 2 });
    }

    #[test]
    fn bytes_left_over_are_damage() {
        let mut event = stored(encode(&note(), [0; 16]).unwrap());
        event.public.push(0);
        assert_eq!(decode(&event).unwrap_err().to_string(), "the log is damaged: event 7 (NoteAdded): 1 bytes are left over");
    }

    #[test]
    fn what_would_not_read_back_is_refused() {
        let Event::CriterionJudged(judged) = sample(50, 1) else { panic!("kind 50") };
        let nan: Event = CriterionJudged { score: Some(f64::NAN), ..judged }.into();
        assert!(matches!(offer(&nan, [0; 16], None, None, None), Err(Error::BadBatch(_))));
        let gone: Event = NoteAdded { rating: None, private: None }.into();
        assert!(matches!(offer(&gone, [0; 16], None, None, None), Err(Error::BadBatch(_))));
    }

    #[test]
    fn an_older_version_is_lifted_before_it_is_read() {
        // As if notes were in their third version and a first one had no rating.
        let kinds = [(70, 3, "NoteAdded")];
        let steps = [
            Step { kind: 70, from: 1, lift: |parts| Ok(Parts { public: vec![1], ..parts }) },
            Step {
                kind: 70,
                from: 2,
                lift: |mut parts| {
                    parts.public.push(5);
                    Ok(parts)
                },
            },
        ];
        let mut event = stored(encode(&note(), [0; 16]).unwrap());
        event.public.clear();
        let Decoded::Known(back) = decode_by(&event, &kinds, &steps).unwrap() else { panic!("not known") };
        let Event::NoteAdded(back) = back.event else { panic!("not a note") };
        assert_eq!(back.rating, Some(5));
        assert!(back.private.is_some());
    }
}
