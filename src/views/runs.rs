//! The projection behind run lists: one row per run, and how many runs there are.
//!
//! Rows stand under `r` and the run's id, whose order is the order of creation; the number of runs stands under `n`. Under `c`, a run's
//! id and another one's stands that the second was forked from the first. Under `w` and a run's id stands that it may wait for a person: it
//! is of this store's own and has not ended well, nor for good.

use super::projection::{Projection, Rows};
use super::run_list::RunRow;
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::RunId;

/// The projection's name, by which its rows are asked for.
pub const NAME: &str = "runs";

/// The key of the number of runs.
pub const COUNT: &[u8] = b"n";

const PREFIX: u8 = b'r';
const CHILD: u8 = b'c';
const WAITING: u8 = b'w';

/// Returns the key of a run's row.
pub fn key(run: RunId) -> [u8; 17] {
    let mut key = [PREFIX; 17];
    key[1..].copy_from_slice(&run.to_bytes());
    key
}

/// Returns the key under which it stands that a run may wait for a person.
pub fn waiting(run: RunId) -> [u8; 17] {
    let mut key = key(run);
    key[0] = WAITING;
    key
}

/// Reads such a key.
pub fn read_waiting(key: &[u8]) -> Option<RunId> {
    Some(RunId::from_bytes(*key.strip_prefix(&[WAITING])?.first_chunk::<16>()?))
}

/// Returns the bounds of the keys of the runs that were forked from `parent`: the first, and the first after them.
pub fn children(parent: RunId) -> (Vec<u8>, Vec<u8>) {
    let from = [&[CHILD], &parent.to_bytes()[..]].concat();
    let to = [&from[..], &[0xff; 17]].concat();
    (from, to)
}

/// Reads such a row: the run that was forked, and the parent's version where that was.
pub fn read_child(key: &[u8], row: &[u8]) -> Option<(RunId, u64)> {
    Some((RunId::from_bytes(key.last_chunk::<16>().copied()?), u64::from_be_bytes(row.try_into().ok()?)))
}

/// Returns the smallest key after `key`.
pub fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Reads a row.
///
/// # Errors
/// Why the bytes are no row.
pub fn read_row(bytes: &[u8]) -> Result<RunRow, String> {
    let read = bincode::serde::decode_from_slice(bytes, bincode::config::standard());
    read.map(|(row, _)| row).map_err(|_| "a row of the list of runs cannot be read".to_owned())
}

/// Reads the number of runs; 0 when the bytes are none.
pub fn read_count(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// Keeps the rows of run lists.
#[derive(Debug, Default)]
pub struct Runs;

impl Projection for Runs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        8
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        let Some(run) = event.envelope.run else { return Ok(()) };
        let key = key(run);
        let row = match rows.get(&key) {
            Some(bytes) => read_row(&bytes)?,
            None => {
                let count = rows.get(COUNT).map_or(0, |bytes| read_count(&bytes));
                rows.put(COUNT, (count + 1).to_be_bytes().to_vec());
                RunRow::new(run)
            }
        };
        if let Event::RunForked(body) = &event.event {
            let (parent, _) = children(body.parent);
            rows.put(&[&parent[..], &run.to_bytes()].concat(), body.version.to_be_bytes().to_vec());
        }
        let did_wait = row.version > 0 && row.may_wait();
        let row = row.apply(event);
        match (did_wait, row.may_wait()) {
            (false, true) => rows.put(&waiting(run), Vec::new()),
            (true, false) => rows.remove(&waiting(run)),
            _ => {}
        }
        let row = bincode::serde::encode_to_vec(row, bincode::config::standard());
        rows.put(&key, row.map_err(|error| format!("a row of the run list cannot be written: {error}"))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::SuspendReason;
    use crate::views::rows::MapRows;
    use crate::views::sample;

    fn waiting_after(events: &[Recorded]) -> Vec<RunId> {
        let mut held = MapRows::default();
        events.iter().for_each(|event| Runs.apply(&mut held, event).unwrap());
        held.0.keys().filter_map(|key| read_waiting(key)).collect()
    }

    #[test]
    fn runs_that_may_wait_for_a_person_are_found_without_the_others() {
        let story = sample::story();
        assert_eq!(waiting_after(&story[..10]), [sample::run_id()], "it goes on, or was interrupted");
        assert_eq!(waiting_after(&story), [], "it succeeded");
        let paused = [&story[..10], &[sample::recorded(11, sample::suspended(SuspendReason::Form))]].concat();
        assert_eq!(waiting_after(&paused), [sample::run_id()]);
        let mut imported = story[..10].to_vec();
        if let Event::RunStarted(body) = &mut imported[0].event {
            body.source = Some("elsewhere".into());
        }
        assert_eq!(waiting_after(&imported), [], "nothing of another system's run can be carried on");
    }
}
