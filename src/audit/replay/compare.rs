//! Two events, field by field: the recorded one and the one that follows from the inputs.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::audit::finding::shown;
use crate::domain::event::{BodyWriter, Event};

/// Fields that the clock fills in: an input like any other, so they are taken as recorded.
const OF_THE_CLOCK: [(&str, &str); 2] = [("AttemptEnded", "duration_ms"), ("CallStarted", "day")];

/// Two events are alike, as far as can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Events of which a part is gone.
    pub gone: u64,
}

/// The first field in which two events differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unlike {
    /// The field; `kind` when the events are of different kinds.
    pub field: String,
    /// What is recorded.
    pub recorded: String,
    /// What follows.
    pub derived: String,
}

/// Compares two events; what is gone from the recorded one is counted.
pub(super) fn compare(recorded: &Event, derived: &Event) -> Result<Comparison, Unlike> {
    if recorded.kind() != derived.kind() {
        let (recorded, derived) = (recorded.name().to_owned(), derived.name().to_owned());
        return Err(Unlike { field: "kind".to_owned(), recorded, derived });
    }
    let name = recorded.name();
    let (public, private) = parts(recorded);
    let (derived_public, derived_private) = parts(derived);
    let mut gone = same(name, &public, &derived_public)?;
    match (private, derived_private) {
        (Some(private), Some(derived)) => gone |= same(name, &private, &derived)?,
        _ => gone = true,
    }
    Ok(Comparison { gone: u64::from(gone) })
}

/// Compares the fields of one part; returns whether a text is gone.
fn same(name: &str, recorded: &Map<String, Value>, derived: &Map<String, Value>) -> Result<bool, Unlike> {
    let mut gone = false;
    for (field, derived) in derived {
        if OF_THE_CLOCK.contains(&(name, field)) {
            continue;
        }
        let recorded = recorded.get(field).unwrap_or(&Value::Null);
        if recorded == derived {
            continue;
        }
        if is_gone(recorded) && derived.get("inline").is_some() {
            gone = true;
            continue;
        }
        let text = |value: &Value| value.get("inline").map_or_else(|| shown(value), shown);
        return Err(Unlike { field: field.clone(), recorded: text(recorded), derived: text(derived) });
    }
    Ok(gone)
}

/// A text of which only a name, a hash or nothing was kept.
fn is_gone(text: &Value) -> bool {
    text == "withheld" || text.get("payload").is_some() || text.get("hashed").is_some()
}

/// Returns the public fields of an event and its private ones, unless those are gone.
fn parts(event: &Event) -> (Map<String, Value>, Option<Map<String, Value>>) {
    let (mut public, mut private) = (Fields::default(), Fields::default());
    // Bodies have text keys and no value that JSON lacks, or they could not have been appended.
    let _ = event.write_public(&mut public);
    let there = event.write_private(&mut private).unwrap_or(false);
    (public.0, there.then_some(private.0))
}

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
