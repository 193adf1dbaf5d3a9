//! From events in the order of the log to the rows that are new.
//!
//! Rows of facts come with their event. Rows of states come when a run is let go of: some time after it ended, or at the end of the
//! stretch of log; of these only the ones that differ from what the stretch before had said. All of it depends on the events alone, so the
//! same stretch gives the same rows, always.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::facts::{Facts, texts};
use super::states::RunState;
use super::{Cell, Row, Table};
use crate::domain::event::Recorded;
use crate::domain::ids::RunId;

/// Runs held at once; then those that ended are let go of, or all of them.
const RUNS_MAX: usize = 2_000;

/// Why rows cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    /// Earlier events cannot be read.
    #[error(transparent)]
    Source(E),
    /// A fold cannot take an event.
    #[error("the rows of a run cannot be made: {0}")]
    Fold(String),
}

/// A run that is held, and the rows that were true before.
#[derive(Debug)]
struct Held {
    state: RunState,
    before: HashSet<Row<'static>>,
}

/// Makes rows of one store's events.
#[derive(Debug)]
pub struct Extract {
    node: String,
    tables: Vec<Table>,
    /// Boxed, because they are large and the map moves them.
    held: IndexMap<RunId, Box<Held>>,
}

impl Extract {
    /// Begins with a stretch of the log of `node`; only rows of `tables` are made.
    pub fn new(node: String, tables: Vec<Table>) -> Self {
        Self { node, tables, held: IndexMap::new() }
    }

    fn wants(&self, table: Table) -> bool {
        self.tables.contains(&table)
    }

    /// Tells whether private parts are read.
    pub fn wants_texts(&self) -> bool {
        self.wants(Table::Texts)
    }

    /// Tells whether any table but those of events alone is wanted.
    pub fn wants_runs(&self) -> bool {
        self.tables.iter().any(|table| *table != Table::Events)
    }

    /// Takes in the next event of a run, `recorded`, without its private part; gives the rows that follow to `each`. `whole` is the same
    /// event with its private part, for the table of texts. `earlier` reads the run's events before this one, which is asked for when the
    /// run is not held.
    ///
    /// # Errors
    /// An [`Error`].
    pub fn apply<E>(
        &mut self,
        run: RunId,
        recorded: &Recorded,
        whole: Option<&Recorded>,
        earlier: impl FnOnce() -> Result<Vec<Recorded>, E>,
        each: &mut dyn FnMut(Row<'_>),
    ) -> Result<(), Error<E>> {
        if !self.held.contains_key(&run) {
            if self.held.len() >= RUNS_MAX {
                self.let_go(each);
            }
            let mut state = RunState::new(run, &|table| self.wants(table));
            let mut before = HashSet::new();
            if recorded.envelope.version > 1 {
                for recorded in earlier().map_err(Error::Source)? {
                    state.apply(&recorded).map_err(Error::Fold)?;
                }
                let mut keep = |row: Row<'_>| before.extend([timeless(row).into_owned()]);
                state.clone().rows(&self.node, &|table| self.wants(table), &mut keep);
            }
            self.held.insert(run, Box::new(Held { state, before }));
        }
        let (node, tables) = (&self.node, &self.tables);
        let Some(held) = self.held.get_mut(&run) else { return Ok(()) };
        held.state.apply(recorded).map_err(Error::Fold)?;
        let facts = Facts { node, context: &held.state.context };
        if let Some(row) = facts.row(recorded, &|table| tables.contains(&table)) {
            each(row);
        }
        if let Some(whole) = whole {
            texts(node, whole, &held.state.context, each);
        }
        Ok(())
    }

    /// Gives the rows of runs that ended to `each` and forgets them; when that is too few, of all.
    fn let_go(&mut self, each: &mut dyn FnMut(Row<'_>)) {
        let mut kept = IndexMap::new();
        for (run, held) in std::mem::take(&mut self.held) {
            if held.state.ended {
                self.give(*held, each);
            } else {
                kept.insert(run, held);
            }
        }
        self.held = kept;
        if self.held.len() > RUNS_MAX / 2 {
            self.finish(each);
        }
    }

    /// Ends the stretch: gives the rows of all runs that were touched and are new.
    pub fn finish(&mut self, each: &mut dyn FnMut(Row<'_>)) {
        for (_, held) in std::mem::take(&mut self.held) {
            self.give(*held, each);
        }
    }

    fn give(&self, held: Held, each: &mut dyn FnMut(Row<'_>)) {
        let Held { state, before } = held;
        let mut give = |row: Row<'_>| {
            if before.is_empty() || !before.contains(&timeless(row.clone())) {
                each(row);
            }
        };
        state.rows(&self.node, &|table| self.wants(table), &mut give);
    }
}

/// Takes from a row how far it has seen, so that rows can be compared by what they say.
fn timeless(mut row: Row<'_>) -> Row<'_> {
    let place = row.table.columns().iter().position(|column| column.name == "as_of");
    if let Some(cell) = place.and_then(|place| row.cells.get_mut(place)) {
        *cell = Cell::Null;
    }
    row
}
