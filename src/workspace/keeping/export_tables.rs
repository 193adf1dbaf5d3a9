//! The log as tables in a lake: what is new since the last export, stretch by stretch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Keeping;
use crate::domain::event::Recorded;
use crate::domain::ids::{RunId, TimeNs};
use crate::executor::read_texts;
use crate::lake::remote::RemoteError;
use crate::lake::tables::buffer::Buffer;
use crate::lake::tables::extract::{self, Extract};
use crate::lake::tables::facts::Line;
use crate::lake::tables::files::{Lake, LakeError};
use crate::lake::tables::names::{FileFormat, Stretch};
use crate::lake::tables::{Row, Table, day_of};
use crate::store::codec::{self, Decoded};
use crate::store::log::{Head, Stored};
use crate::store::{self};

/// Bytes of rows that are held before their stretch ends and they are written.
const HELD_BYTES_MAX: usize = 96 << 20;

/// What of the log is wanted as tables.
#[derive(Clone, Debug)]
pub struct TablesRequest {
    /// The folder of the lake, or the address of a shared place.
    pub dir: PathBuf,
    /// How files are written.
    pub format: FileFormat,
    /// Which tables.
    pub tables: Vec<Table>,
    /// Only what was recorded at this moment or later (ns since the epoch).
    pub since: Option<TimeNs>,
    /// Only what was recorded before this moment.
    pub until: Option<TimeNs>,
}

impl TablesRequest {
    /// Returns the address of a shared place; `None` for a folder of this machine.
    pub fn address(&self) -> Option<&str> {
        self.dir.to_str().filter(|address| address.contains("://"))
    }
}

/// What was written of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableExported {
    /// The table.
    pub table: Table,
    /// Rows that are new.
    pub rows: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablesExported {
    /// Where the log ends.
    pub head: Head,
    /// The positions that were asked for; nothing when no event was recorded then.
    pub span: Option<Stretch>,
    /// Events that were read because they were new to at least one table.
    pub events: u64,
    /// What was written, by table.
    pub tables: Vec<TableExported>,
}

/// Why tables cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The folder cannot be read or written, or is of another version.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Another process exports this store into the folder.
    #[error("{}: another process exports this store into it", .0.display())]
    Busy(PathBuf),
    /// The lake has more of this store's log than the store itself.
    #[error("{}: it has events up to {end} of this store, whose log ends at {head}", dir.display())]
    Behind {
        /// The lake.
        dir: PathBuf,
        /// The last position there.
        end: u64,
        /// The last position here.
        head: u64,
    },
    /// The shared place cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A row cannot be made.
    #[error("{0}")]
    Rows(String),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<extract::Error<store::Error>> for TablesError {
    fn from(error: extract::Error<store::Error>) -> Self {
        match error {
            extract::Error::Source(error) => Self::Store(error),
            error @ extract::Error::Fold(_) => Self::Rows(error.to_string()),
        }
    }
}

/// Rows that wait for their files, by table and day.
type Held = BTreeMap<(Table, i32), Buffer>;

impl Keeping<'_> {
    /// Writes what tables in a lake do not have yet of the store's own log. A file is there only when it is whole, an export that was cut
    /// off is ended by the next one, and the same stretch of the log always gives the same bytes. `tell` hears the position reached and the
    /// last one.
    ///
    /// # Errors
    /// A [`TablesError`]. What was written until then stays and counts.
    pub(crate) fn export_tables(
        &self,
        request: &TablesRequest,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<TablesExported, TablesError> {
        let remote = request.address().map(|address| self.remote(address, true)).transpose()?;
        let head = self.0.log.head()?;
        let lake = Lake { dir: request.dir.clone(), remote: remote.as_ref(), format: request.format };
        lake.prepare(&request.tables)?;
        let node = head.node.to_string();
        let _lock = lake.lock(&node)?.ok_or_else(|| TablesError::Busy(request.dir.clone()))?;
        let span = self.span(head, request.since, request.until)?;
        let empty = |table: &Table| TableExported { table: *table, rows: 0, files: 0, bytes: 0 };
        let mut exported = TablesExported { head, span, events: 0, tables: request.tables.iter().map(empty).collect() };
        let Some(span) = span else { return Ok(exported) };
        let mut next = Vec::new();
        for table in &request.tables {
            next.push((*table, lake.covered(*table, &node)?));
        }
        if let Some(end) = next.iter().map(|(_, covered)| covered.end()).max().filter(|end| *end > head.seq) {
            return Err(TablesError::Behind { dir: request.dir.clone(), end, head: head.seq });
        }
        loop {
            // Tables that want the same stretch are made in one go.
            let wanted: Vec<_> = next
                .iter()
                .filter_map(|(table, covered)| {
                    let stretch = covered.next(span.first, span.last)?;
                    Some((*table, stretch, covered.is_begun(stretch)))
                })
                .collect();
            let Some((_, stretch, begun)) = wanted.iter().min_by_key(|(_, stretch, _)| *stretch).copied() else { break };
            let tables: Vec<Table> =
                wanted.iter().filter(|other| (other.1, other.2) == (stretch, begun)).map(|(table, ..)| *table).collect();
            let (done, held) = self.rows_of(&node, stretch, begun, &tables, &mut |seq| tell(seq, span.last))?;
            exported.events += done.last - done.first + 1;
            self.write_rows(&lake, &node, done, &held, &mut exported)?;
            for (table, covered) in next.iter_mut().filter(|(table, _)| tables.contains(table)) {
                lake.mark(*table, &node, done)?;
                covered.begun.retain(|other| *other != done);
                covered.done.push(done);
            }
        }
        Ok(exported)
    }

    fn write_rows(
        &self,
        lake: &Lake<'_>,
        node: &str,
        stretch: Stretch,
        held: &Held,
        exported: &mut TablesExported,
    ) -> Result<(), TablesError> {
        let files: Vec<(i32, &Buffer)> = held.iter().map(|((_, day), buffer)| (*day, buffer)).collect();
        let written = lake.write_all(&files, node, stretch)?;
        for (((table, _), buffer), file) in held.iter().zip(&written) {
            for of_table in exported.tables.iter_mut().filter(|other| other.table == *table) {
                of_table.rows += buffer.rows() as u64;
                of_table.files += 1;
                of_table.bytes += file.bytes;
            }
        }
        Ok(())
    }

    /// Returns the rows of a stretch of the log: of all of it when it was `begun` already, else of as much as can be held.
    fn rows_of(
        &self,
        node: &str,
        stretch: Stretch,
        begun: bool,
        tables: &[Table],
        tell: &mut dyn FnMut(u64),
    ) -> Result<(Stretch, Held), TablesError> {
        let mut extract = Extract::new(node.to_owned(), tables.to_vec());
        let (mut held, mut bytes, mut fault) = (Held::new(), 0, None);
        let mut hold = |row: Row<'_>| {
            let buffer = held.entry((row.table, row.day)).or_insert_with(|| Buffer::new(row.table));
            match buffer.push(&row.cells) {
                Ok(more) => bytes += more,
                Err(column) => fault = Some(format!("a value does not fit the column {column} of {}", buffer.table)),
            }
            bytes
        };
        let (mut last, mut from, mut day) = (stretch.first, stretch.first, 0);
        'all: while from <= stretch.last {
            let page = self.0.runs().log_page(from)?;
            let Some(end) = page.last().map(|stored| stored.envelope.seq) else { break };
            from = end + 1;
            for stored in page.into_iter().take_while(|stored| stored.envelope.seq <= stretch.last) {
                (last, day) = (stored.envelope.seq, day_of(stored.envelope.at));
                let mut size = 0;
                self.rows_of_event(node, stored, tables, &mut extract, &mut |row| size = hold(row))?;
                if size > HELD_BYTES_MAX && !begun {
                    break 'all;
                }
            }
            tell(last);
        }
        extract.finish(&mut |row| {
            hold(row);
        });
        if stretch.first == 1 {
            // Engines learn a table's columns from its files: one without rows says them too.
            for table in tables {
                if !held.keys().any(|(known, _)| known == table) {
                    held.insert((*table, day), Buffer::new(*table));
                }
            }
        }
        match fault {
            Some(fault) => Err(TablesError::Rows(fault)),
            None => Ok((Stretch { last, ..stretch }, held)),
        }
    }

    fn rows_of_event(
        &self,
        node: &str,
        mut stored: Stored,
        tables: &[Table],
        extract: &mut Extract,
        hold: &mut dyn FnMut(Row<'_>),
    ) -> Result<(), TablesError> {
        // Nothing but the table of texts ever sees a private part.
        let private = stored.private.take();
        let (kind, hash) = ((stored.kind, stored.kind_version), stored.hash);
        let decoded = codec::decode(&stored)?;
        let (envelope, event) = match &decoded {
            Decoded::Known(recorded) => (recorded.envelope, Some(&recorded.event)),
            Decoded::Unknown { .. } => (stored.envelope, None),
        };
        if tables.contains(&Table::Events) {
            hold(Line { envelope: &envelope, kind, hash: &hash, event }.row(node));
        }
        let (Some(run), Decoded::Known(recorded)) = (envelope.run, &decoded) else { return Ok(()) };
        if !extract.wants_runs() {
            return Ok(());
        }
        let mut whole = None;
        if extract.wants_texts() && private.is_some() {
            stored.private = private;
            if let Decoded::Known(recorded) = codec::decode(&stored)? {
                whole = Some(read_texts(&self.0.payloads, recorded)?);
            }
        }
        let earlier = || self.public_events(run, envelope.version);
        Ok(extract.apply(run, recorded, whole.as_ref(), earlier, hold)?)
    }

    /// Returns the public parts of a run's events before `version`.
    pub(in crate::workspace) fn public_events(&self, run: RunId, version: u64) -> Result<Vec<Recorded>, store::Error> {
        let (mut events, mut from) = (Vec::new(), 1);
        while from < version {
            let page = self.0.runs().run_page(run, from)?;
            let Some(last) = page.last().map(|stored| stored.envelope.version) else { break };
            from = last + 1;
            for mut stored in page.into_iter().take_while(|stored| stored.envelope.version < version) {
                stored.private = None;
                if let Decoded::Known(recorded) = codec::decode(&stored)? {
                    events.push(recorded);
                }
            }
        }
        Ok(events)
    }

    /// Returns the positions that were recorded in `[since, until)`; nothing when there is none.
    fn span(&self, head: Head, since: Option<TimeNs>, until: Option<TimeNs>) -> Result<Option<Stretch>, store::Error> {
        let first = since.map_or(Ok(1), |since| self.first_at(head, since))?;
        let after = until.map_or(Ok(head.seq + 1), |until| self.first_at(head, until))?;
        Ok((first < after).then(|| Stretch { first, last: after - 1 }))
    }

    /// Returns the first position that was recorded at `at` or later; one after the end when none was.
    fn first_at(&self, head: Head, at: TimeNs) -> Result<u64, store::Error> {
        let (mut low, mut high) = (1, head.seq + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_before = self.0.log.read(middle, 1)?.first().is_some_and(|stored| stored.envelope.at < at);
            if is_before { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

impl TablesRequest {
    /// Returns a request for everything that is not private, as Parquet.
    pub fn new(dir: &Path) -> Self {
        let tables = Table::ALL.iter().copied().filter(|table| !table.is_private()).collect();
        Self { dir: dir.to_owned(), format: FileFormat::Parquet, tables, since: None, until: None }
    }
}
