//! One event as a line of JSON: what `events --json` and `run --json` print.

use std::convert::Infallible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::event::{BodyReader, BodyWriter, Envelope, Event, KINDS, Recorded};
use crate::domain::ids::Hash;

/// How an event of a kind that this version does not know is called.
pub const UNKNOWN: &str = "unknown";

/// An event as programs read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// Position in the store's log.
    pub seq: u64,
    /// The run's id; null for events of the store itself.
    pub run_id: Option<String>,
    /// Position in the run's stream; 0 without a run.
    pub version: u64,
    /// When it was recorded, RFC 3339 in UTC.
    pub at: String,
    /// When it happened, for imports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    /// Position of the event that it follows from; absent for what came in from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
    /// The kind's name.
    pub kind: String,
    /// The body: public and private fields together.
    pub data: Map<String, Value>,
    /// The private fields are gone from the store, so `data` is without them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    /// The chain's hash at this event.
    pub hash: String,
}

/// Writes a part of a body as a JSON object.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl BodyWriter for Fields {
    type Error = serde_json::Error;

    fn write<T: Serialize>(&mut self, part: &T) -> Result<(), Self::Error> {
        if let Value::Object(fields) = serde_json::to_value(part)? {
            self.0.extend(fields);
        }
        Ok(())
    }
}

/// Takes a part and keeps nothing of it: the way to ask whether there is one.
struct Probe;

impl BodyWriter for Probe {
    type Error = Infallible;

    fn write<T: Serialize>(&mut self, _: &T) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Tells whether the private part of `event` is gone.
pub fn is_forgotten(event: &Event) -> bool {
    match event.write_private(&mut Probe) {
        Ok(there) => !there,
        Err(never) => match never {},
    }
}

impl EventLine {
    /// Writes `recorded` as programs read it.
    ///
    /// # Errors
    /// When a body cannot be said in JSON, which no kind of event allows (there are no maps with keys that are not texts).
    pub fn of(recorded: &Recorded) -> Result<Self, serde_json::Error> {
        let mut fields = Fields::default();
        recorded.event.write_public(&mut fields)?;
        let there = recorded.event.write_private(&mut fields)?;
        if matches!(recorded.event, Event::StoreCreated(_)) {
            // Whoever has the salt can guess the users behind the hashes: it does not leave the store by this way.
            fields.0.remove("user_salt");
        }
        let envelope = &recorded.envelope;
        Ok(Self {
            seq: envelope.seq,
            run_id: envelope.run.map(|run| run.to_string()),
            version: envelope.version,
            at: super::utc(envelope.at),
            occurred_at: envelope.occurred_at.map(super::utc),
            cause: envelope.cause,
            kind: recorded.event.name().to_owned(),
            data: fields.0,
            forgotten: !there,
            hash: recorded.hash.to_string(),
        })
    }

    /// Writes `recorded` as programs read it, without its private part: no prompt, answer or output.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn without_texts(recorded: &Recorded) -> Result<Self, serde_json::Error> {
        let mut public = Fields::default();
        recorded.event.write_public(&mut public)?;
        Ok(Self { data: public.0, ..Self::of(recorded)? })
    }

    /// Writes an event of a kind (number and version) that this version does not know: where it stands, and nothing of what it says.
    pub fn unknown(envelope: &Envelope, (kind, kind_version): (u16, u16), forgotten: bool, hash: &Hash) -> Self {
        let data = [("kind_number", kind), ("kind_version", kind_version)];
        Self {
            seq: envelope.seq,
            run_id: envelope.run.map(|run| run.to_string()),
            version: envelope.version,
            at: super::utc(envelope.at),
            occurred_at: envelope.occurred_at.map(super::utc),
            cause: envelope.cause,
            kind: UNKNOWN.to_owned(),
            data: data.into_iter().map(|(name, number)| (name.to_owned(), Value::from(number))).collect(),
            forgotten,
            hash: hash.to_string(),
        }
    }
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    /// Its kind is not known to this version.
    #[error("its kind `{0}` is not known")]
    Kind(String),
    /// Its body is not one of its kind.
    #[error("its data is no {kind}: {why}")]
    Body {
        /// The kind.
        kind: String,
        /// Why.
        why: serde_json::Error,
    },
    /// It does not say where it stands.
    #[error("its {0} cannot be read")]
    Envelope(&'static str),
}

/// Reads a part of a body from the JSON object that has all of its fields.
struct FromFields<'a>(&'a Map<String, Value>);

impl BodyReader for FromFields<'_> {
    type Error = serde_json::Error;

    fn read<T: for<'de> Deserialize<'de>>(self) -> Result<T, Self::Error> {
        serde_json::from_value(Value::Object(self.0.clone()))
    }
}

impl EventLine {
    /// Reads back what [`EventLine::of`] wrote. What did not leave the store with it is not there.
    ///
    /// # Errors
    /// [`NotAnEvent`].
    pub fn recorded(&self) -> Result<Recorded, NotAnEvent> {
        let number = KINDS.iter().find(|(_, _, name)| *name == self.kind).map(|(number, ..)| *number);
        let unknown = || NotAnEvent::Kind(self.kind.clone());
        let private = (!self.forgotten).then_some(FromFields(&self.data));
        let event = Event::read(number.ok_or_else(unknown)?, FromFields(&self.data), private).ok_or_else(unknown)?;
        let time = |text: &str, what| {
            let at = text.parse::<jiff::Timestamp>().ok().and_then(|at| i64::try_from(at.as_nanosecond()).ok());
            at.ok_or(NotAnEvent::Envelope(what))
        };
        Ok(Recorded {
            envelope: Envelope {
                seq: self.seq,
                run: self.run_id.as_ref().map(|run| run.parse().map_err(|_| NotAnEvent::Envelope("run_id"))).transpose()?,
                version: self.version,
                at: time(&self.at, "at")?,
                occurred_at: self.occurred_at.as_ref().map(|at| time(at, "occurred_at")).transpose()?,
                cause: self.cause,
            },
            hash: self.hash.parse().map_err(|_| NotAnEvent::Envelope("hash"))?,
            event: event.map_err(|why| NotAnEvent::Body { kind: self.kind.clone(), why })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample;

    #[test]
    fn a_line_has_public_and_private_fields_together_until_they_are_forgotten() {
        let mut recorded = sample::recorded(1, sample::answer("package_name", "\"demo\""));
        let line = EventLine::of(&recorded).unwrap();
        assert_eq!(line.data["question"], "package_name");
        assert_eq!(line.data["value"], "\"demo\"");
        assert!(!line.forgotten);

        sample::forget(&mut recorded.event);
        let line = EventLine::of(&recorded).unwrap();
        assert_eq!(line.data.get("value"), None);
        assert!(line.forgotten && is_forgotten(&recorded.event));
        assert_eq!(serde_json::to_value(&line).unwrap()["forgotten"], true);
    }

    #[test]
    fn a_line_reads_back_as_the_event_that_it_was_written_from() {
        for mut recorded in sample::story() {
            recorded.envelope.cause = None;
            let text = serde_json::to_string(&EventLine::of(&recorded).unwrap()).unwrap();
            let line: EventLine = serde_json::from_str(&text).unwrap();
            assert_eq!(line.recorded().unwrap(), recorded);
            sample::forget(&mut recorded.event);
            assert_eq!(EventLine::of(&recorded).unwrap().recorded().unwrap(), recorded);
        }
        let mut line = EventLine::of(&sample::story()[0]).unwrap();
        line.data.remove("seed");
        assert!(line.recorded().unwrap_err().to_string().contains("seed"));
        line.kind = "Nonsense".to_owned();
        assert!(matches!(line.recorded(), Err(NotAnEvent::Kind(_))));
    }
}
