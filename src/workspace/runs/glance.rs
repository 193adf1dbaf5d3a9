//! What a store's files say at a glance, for completions: read as they lie, without a lock, a repair or a word with another process.
//!
//! Nothing here writes, waits or fails: what cannot be read is left out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::domain::event::Event;
use crate::domain::ids::{Hash, RunId};
use crate::domain::template::template_id;
use crate::store::codec::Decoded;
use crate::store::files::{Files, OsFiles};
use crate::store::identity::NodeFile;
use crate::store::journal::segment::{self, Item, Segment};
use crate::store::{codec, journal};
use crate::workspace::library::{TEMPLATES, read_text, user_files};

/// Bytes of the journal's end that are looked through, at most.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A run, as its first event has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentRun {
    /// The run.
    pub id: RunId,
    /// Its template.
    pub template: String,
}

/// Something of a template that can be given a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blank {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub about: String,
    /// The values that it takes, where these are few.
    pub values: Vec<String>,
}

/// Returns the newest runs of the store in `dir`, the newest first, at most `limit`.
pub fn recent_runs(dir: &Path, limit: usize) -> Vec<RecentRun> {
    let files = OsFiles;
    let named = files.read(&dir.join("journal").join("node")).map(|bytes| NodeFile::read(&bytes).node());
    let Ok(Some(node)) = named else { return Vec::new() };
    let folder = journal::folder(dir, node);
    let mut room = BYTES_MAX;
    let (mut runs, mut seen) = (Vec::new(), HashSet::new());
    for first in segment::list(&files, &folder).unwrap_or_default().into_iter().rev() {
        let length = std::fs::metadata(folder.join(segment::file_name(first))).map_or(u64::MAX, |metadata| metadata.len());
        let Some(left) = room.checked_sub(length) else { break };
        room = left;
        let Ok(segment) = Segment::load(&files, &folder, node, first) else { continue };
        let mut begun = begun_in(&segment);
        begun.reverse();
        runs.extend(begun.into_iter().filter(|run| seen.insert(run.id)));
        if runs.len() >= limit {
            break;
        }
    }
    runs.truncate(limit);
    runs
}

/// Runs that begin in a segment, in their order.
fn begun_in(segment: &Segment) -> Vec<RecentRun> {
    let frames = segment.items().filter_map(|item| match item {
        Item::Frame(_, frame) => Some(frame),
        Item::Gap(_) | Item::Footer(_) => None,
    });
    let records = frames.flat_map(|frame| frame.records()).filter_map(Result::ok);
    let runs = records.filter_map(|record| {
        let head = record.head().ok()?;
        // A run's first event, or the second of a fork.
        let id = head.envelope.run.filter(|_| head.envelope.version <= 2)?;
        let stored = record.to_stored(Hash::default()).ok()?;
        match codec::decode(&stored).ok()? {
            Decoded::Known(recorded) => match recorded.event {
                Event::RunStarted(body) => Some(RecentRun { id, template: body.template_id }),
                _ => None,
            },
            Decoded::Unknown { .. } => None,
        }
    });
    runs.collect()
}

/// Returns the ids of all templates with their names: those of the store in `dir`, and the built-in ones.
pub fn templates(dir: &Path) -> Vec<(String, String)> {
    let name = |text: &str| text_of(&parsed(text), "name");
    let own = user_files(&dir.join("templates")).into_iter().filter_map(|path| {
        let id = path.file_stem()?.to_str().filter(|id| template_id(id).is_ok())?.to_owned();
        Some((id, name(&read_text(&path).unwrap_or_default())))
    });
    let mut all: Vec<(String, String)> = own.collect();
    let built_in: Vec<(String, String)> = TEMPLATES
        .iter()
        .filter(|(id, _)| all.iter().all(|(own, _)| own != id))
        .map(|(id, text)| ((*id).to_owned(), name(text)))
        .collect();
    all.extend(built_in);
    all.sort();
    all
}

/// Returns the questions of a template, by its id or the path of its file.
pub fn questions(dir: &Path, template: &str) -> Vec<Blank> {
    let template = template_of(dir, template);
    blanks(&template["form_schema"]["questions"], |question| {
        let options = question["options"].as_array().into_iter().flatten().filter_map(|option| Some(option.as_str()?.to_owned()));
        match question["type"].as_str() {
            Some("boolean") => vec!["Yes".to_owned(), "No".to_owned()],
            _ => options.collect(),
        }
    })
}

/// Returns the inputs of a template, by its id or the path of its file.
pub fn inputs(dir: &Path, template: &str) -> Vec<Blank> {
    blanks(&template_of(dir, template)["inputs"], |_| Vec::new())
}

fn blanks(list: &Value, values: impl Fn(&Value) -> Vec<String>) -> Vec<Blank> {
    let items = list.as_array().into_iter().flatten();
    let read = |item: &Value| {
        let id = item["id"].as_str()?.to_owned();
        let about = [text_of(item, "text"), text_of(item, "description")].into_iter().find(|text| !text.is_empty());
        Some(Blank { id, about: about.unwrap_or_default(), values: values(item) })
    };
    items.filter_map(read).collect()
}

fn template_of(dir: &Path, template: &str) -> Value {
    let file = match template_id(template) {
        Ok(id) => dir.join("templates").join(format!("{id}.json")),
        Err(_) => PathBuf::from(template),
    };
    let built_in = || TEMPLATES.iter().find(|(id, _)| *id == template).map(|(_, text)| (*text).to_owned());
    parsed(&read_text(&file).ok().or_else(built_in).unwrap_or_default())
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default()
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
