//! Runs that were saved in files, to be held against what this version of Meno decides: regression tests out of real runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::audit::replay::{Verification, verify};
use crate::domain::event::Recorded;
use crate::domain::ids::{Hash, RunId};
use crate::domain::text::Text;
use crate::store::codec::{self, Decoded};
use crate::store::transfer::read::{TransferItem, read};
use crate::views::event_line::EventLine;
use crate::workspace::proof::replay::ReplayDocument;

/// Why saved runs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no export of events, or not whole.
    #[error("{}: {why}", path.display())]
    Export {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A line is no event.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// A later release wrote an event.
    #[error("{}: event {seq} is of a kind that this version does not know", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// Its position.
        seq: u64,
    },
    /// There is no run in the files.
    #[error("there is no run in {}", .0.display())]
    NoRuns(PathBuf),
    /// The texts that decisions were made from are in none of the files.
    #[error("there is nothing to verify in {}: the texts that decisions were made from are not in it", .0.display())]
    NoTexts(PathBuf),
    /// A run is not there from its beginning, or has gaps.
    #[error("run {run} is not there whole: event {expected} of it is missing")]
    Partial {
        /// The run.
        run: RunId,
        /// The version that is missing.
        expected: u64,
    },
}

/// Makes every decision anew of the runs in `files`, each the lines of `meno export` or of `meno events --json`, or a folder of such;
/// `tell` hears of each run. No store is needed.
///
/// # Errors
/// A [`SavedError`].
pub fn verify_saved(files: &[PathBuf], tell: &mut dyn FnMut(&Verification)) -> Result<ReplayDocument, SavedError> {
    let mut runs: BTreeMap<RunId, Vec<Recorded>> = BTreeMap::new();
    let (mut texts, mut open_ended) = (HashMap::new(), BTreeMap::new());
    for path in files.iter().flat_map(|path| inside(path)) {
        let failed = |source| SavedError::Io { path: path.clone(), source };
        let mut file = BufReader::with_capacity(1 << 20, File::open(&path).map_err(failed)?);
        let is_export = file.fill_buf().map_err(failed)?.starts_with(b"{\"type\":\"meno_events\"");
        let mut take = |recorded: Recorded| {
            if let Some(run) = recorded.envelope.run {
                runs.entry(run).or_default().push(recorded);
            }
        };
        if is_export {
            of_export(&path, &mut file, &mut texts, &mut take)?;
        } else {
            // Lines have no end that says that it is one: a run that goes on behind them may have been cut there.
            let mut seen = BTreeSet::new();
            let is_cut = of_lines(&path, file, &mut |recorded| {
                seen.extend(recorded.envelope.run);
                take(recorded);
            })?;
            open_ended.extend(seen.into_iter().map(|run| (run, is_cut)));
        }
    }
    if runs.is_empty() {
        return Err(SavedError::NoRuns(files.first().cloned().unwrap_or_default()));
    }
    let mut document = ReplayDocument { sound: true, ..ReplayDocument::default() };
    for (run, mut events) in runs {
        events.sort_by_key(|recorded| recorded.envelope.version);
        events.dedup_by_key(|recorded| recorded.envelope.version);
        if let Some((expected, _)) = (1..).zip(&events).find(|(expected, recorded)| recorded.envelope.version != *expected) {
            return Err(SavedError::Partial { run, expected });
        }
        for recorded in &mut events {
            recorded.event.each_text_mut(&mut |text| {
                if let Some(known) = text.payload().and_then(|name| texts.get(&name)) {
                    *text = Text::Inline(known.clone());
                }
            });
        }
        let mut verification = verify(&events, env!("CARGO_PKG_VERSION"));
        verification.incomplete |= open_ended.get(&run).is_some_and(|is_cut| *is_cut || verification.goes_on);
        document.add(&verification);
        tell(&verification);
    }
    // A regression test that holds nothing against anything must not pass.
    if document.verified == 0 && document.sound && document.incomplete == 0 {
        return Err(SavedError::NoTexts(files.first().cloned().unwrap_or_default()));
    }
    Ok(document)
}

/// A folder stands for the files of lines in it.
fn inside(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

fn of_export(
    path: &Path,
    file: &mut dyn BufRead,
    texts: &mut HashMap<Hash, String>,
    take: &mut dyn FnMut(Recorded),
) -> Result<(), SavedError> {
    let mut unknown = None;
    let read = read(file, &mut |found| {
        match found {
            TransferItem::Payload(name, text) => drop(texts.insert(name, text.to_owned())),
            TransferItem::Event(_, _, stored) => match codec::decode(stored)? {
                Decoded::Known(recorded) => take(recorded),
                Decoded::Unknown { .. } => unknown = unknown.or(stored.envelope.run.map(|_| stored.envelope.seq)),
            },
        }
        Ok(())
    });
    read.map_err(|why| SavedError::Export { path: path.to_owned(), why: why.to_string() })?;
    unknown.map_or(Ok(()), |seq| Err(SavedError::UnknownKind { path: path.to_owned(), seq }))
}

/// Reads lines of events; returns whether the file ends in the middle of one.
fn of_lines(path: &Path, mut file: impl BufRead, take: &mut dyn FnMut(Recorded)) -> Result<bool, SavedError> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        file.read_until(b'\n', &mut line).map_err(|source| SavedError::Io { path: path.to_owned(), source })?;
        if line.is_empty() {
            break;
        }
        let failed = |why: String| SavedError::Line { path: path.to_owned(), line: number, why };
        let value: serde_json::Value = match serde_json::from_slice(&line) {
            Ok(value) => value,
            Err(why) if why.is_eof() && !line.ends_with(b"\n") => return Ok(true),
            Err(why) => return Err(failed(why.to_string())),
        };
        // What `meno run --json` says at the end sums up; events of the store itself belong to no run.
        if value["type"] == "run" || value["run_id"].is_null() {
            continue;
        }
        let line: EventLine = serde_json::from_value(value).map_err(|why| failed(why.to_string()))?;
        take(line.recorded().map_err(|why| failed(why.to_string()))?);
    }
    Ok(false)
}
