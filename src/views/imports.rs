//! The projection that knows which runs of other systems are here already: by source and foreign id, or by what the line said.
//!
//! A row stands under the [`Origin`]'s key and holds the run's id and the beginning of the line's hash. Whoever imports asks here,
//! so that a second import adds nothing and a changed line is noticed. The line's hash travels in the private part of
//! [`RunStarted`], as the one setting of an imported run; it goes when that is forgotten.

use serde::{Deserialize, Serialize};

use super::projection::{Projection, Rows};
use crate::domain::event::{Event, Recorded, RunStarted};
use crate::domain::ids::{Hash, RunId};
use crate::domain::text::Text;

/// The projection's name, by which its rows are asked for.
pub const NAME: &str = "imports";

/// Separates the hash of origins from every other use of BLAKE3.
const CONTEXT: &str = "meno 2026-11 origin of an imported run";

/// Where an imported run comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The same for the same source and foreign id; without an id, for the same line.
    pub key: [u8; 16],
    /// The beginning of the line's hash.
    pub line: [u8; 16],
}

/// A run that is here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRun {
    /// Its id here.
    pub run: RunId,
    /// The beginning of its line's hash.
    pub line: [u8; 16],
}

impl Origin {
    /// Names the run `foreign` of `source`, whose line has the hash `digest`.
    pub fn new(source: &str, foreign: Option<&str>, digest: Hash) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&(source.len() as u64).to_le_bytes()).update(source.as_bytes());
        match foreign {
            Some(id) => hasher.update(b"id").update(id.as_bytes()),
            None => hasher.update(b"line").update(&digest.0),
        };
        Self { key: first(hasher.finalize().as_bytes()), line: first(&digest.0) }
    }

    /// Returns where a run comes from; `None` when it was not imported line by line, or when that is forgotten.
    pub fn of(body: &RunStarted) -> Option<Self> {
        let (Some(source), Some(private)) = (&body.source, &body.private) else { return None };
        let Text::Inline(settings) = &private.settings else { return None };
        // A run that was imported in another way than by lines says nothing about one.
        let ImportSettings { import } = serde_json::from_str::<ImportSettings>(settings).ok()?;
        Some(Self::new(source, private.foreign_run_id.as_deref(), import.line_blake3))
    }
}

/// What an imported run's settings say.
#[derive(Serialize, Deserialize)]
struct ImportSettings {
    import: Import,
}

#[derive(Serialize, Deserialize)]
struct Import {
    line_blake3: Hash,
    /// The first session of a family of forks.
    #[serde(default)]
    family: Option<String>,
}

/// Returns the settings of an imported run as JSON: the hash of its line.
pub fn settings(digest: &Hash) -> String {
    format!(r#"{{"import":{{"line_blake3":"{digest}"}}}}"#)
}

/// Returns the settings of a run that was imported from a session, with the first session of its family where it is another one.
pub fn settings_of_family(digest: &Hash, family: Option<&str>) -> String {
    let family = family.map_or_else(String::new, |family| format!(r#","family":{}"#, serde_json::Value::from(family)));
    format!(r#"{{"import":{{"line_blake3":"{digest}"{family}}}}}"#)
}

/// Returns the first session of a run's family, as it was known when the run was imported.
pub fn family(body: &RunStarted) -> Option<String> {
    let Text::Inline(settings) = &body.private.as_ref()?.settings else { return None };
    serde_json::from_str::<ImportSettings>(settings).ok()?.import.family
}

/// Reads a row.
///
/// # Errors
/// Why the bytes are no row.
pub fn read_row(bytes: &[u8]) -> Result<KnownRun, String> {
    let row: &[u8; 32] = bytes.try_into().map_err(|_| "a row of the imported runs has another length".to_owned())?;
    Ok(KnownRun { run: RunId::from_bytes(first(row)), line: first(&row[16..]) })
}

fn first(bytes: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    first
}

/// Keeps which foreign runs are here.
#[derive(Debug, Default)]
pub struct Imports;

impl Projection for Imports {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        let Some(run) = event.envelope.run else { return Ok(()) };
        let Event::RunStarted(body) = &event.event else { return Ok(()) };
        let Some(origin) = Origin::of(body) else { return Ok(()) };
        rows.put(&origin.key, [run.to_bytes(), origin.line].concat());
        Ok(())
    }
}
