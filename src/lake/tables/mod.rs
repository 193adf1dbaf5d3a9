//! The log as tables that every engine reads: which tables there are, which columns they have, and which rows an event makes.
//!
//! Everything but [`files`] is pure. [`columns`] is the schema, published in `schemas/lake/`. [`facts`] makes rows of single events:
//! they never change. [`states`] makes rows of what a run is by now: a later one with a higher `as_of` takes the place of an earlier one.
//! [`extract`] reads events in order and says which rows are new. [`buffer`] holds rows by column until a file is written, [`parquet`]
//! and [`plain`] write one, [`names`] knows what a lake's file names say, and [`files`] puts whole files in their place.

pub mod buffer;
pub mod columns;
pub mod extract;
pub mod facts;
pub mod files;
pub mod names;
pub mod parquet;
pub mod plain;
mod private;
pub mod states;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::ids::TimeNs;
use crate::domain::named::named_enums;
pub use columns::{Column, Kind};

/// The version of the tables' columns: the folder `v=1` below each table. A change of a column's name, type or meaning makes a new one.
pub const VERSION: u32 = 1;

named_enums! {
    /// A table of the lake.
    Table {
        /// One row per run; later rows take the place of earlier ones.
        Runs = "runs",
        /// One row per attempt; later rows take the place of earlier ones.
        Attempts = "attempts",
        /// One row per model call; later rows take the place of earlier ones.
        Calls = "calls",
        /// One row per verdict on a criterion.
        Verdicts = "verdicts",
        /// One row per charge.
        Costs = "costs",
        /// One row per answer given, changed or taken back.
        Answers = "answers",
        /// One row per use of a tool that ended.
        Tools = "tools",
        /// One row per event, with its public part.
        Events = "events",
        /// One row per text by a person, a model or a tool: the only table with private parts.
        Texts = "texts",
    }
}

impl Table {
    /// Returns whether it has texts by people, models or tools.
    pub fn is_private(self) -> bool {
        self == Self::Texts
    }

    /// Returns whether later rows take the place of earlier ones with the same key.
    #[cfg(test)]
    pub fn is_state(self) -> bool {
        matches!(self, Self::Runs | Self::Attempts | Self::Calls)
    }
}

/// A value in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cell<'a> {
    /// Not known, or not there.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number, by its bits.
    Float(u64),
    /// A text.
    Text(Cow<'a, str>),
    /// A moment in microseconds since the epoch, UTC.
    Time(i64),
    /// US dollars in units of 10⁻⁹.
    Usd(i64),
}

/// A row: its table, the UTC day (days since the epoch) under which it is filed, and its cells in the order of the columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row<'a> {
    /// The table.
    pub table: Table,
    /// Days since the epoch.
    pub day: i32,
    /// The cells.
    pub cells: Vec<Cell<'a>>,
}

impl<'a> Cell<'a> {
    /// Returns a number; `Null` when it is larger than a signed 64-bit integer holds.
    pub fn number(number: impl TryInto<i64>) -> Self {
        number.try_into().map_or(Self::Null, Self::Int)
    }

    /// Returns a number that may not be known.
    pub fn known(number: Option<impl TryInto<i64>>) -> Self {
        number.map_or(Self::Null, Self::number)
    }

    /// Returns a text; `Null` when it is empty.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Null } else { Self::Text(text) }
    }

    /// Returns a text that may not be known.
    pub fn known_text(text: Option<impl Into<Cow<'a, str>>>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// Returns a moment, rounded down to a microsecond.
    pub fn time(at: TimeNs) -> Self {
        Self::Time(at.div_euclid(1_000))
    }

    /// Returns a moment that may not be known.
    pub fn known_time(at: Option<TimeNs>) -> Self {
        at.map_or(Self::Null, Self::time)
    }

    /// Returns an amount twice: in nUSD, and in US dollars. Not known is `Null`, as is what a decimal(18,9) does not hold.
    pub fn money(nusd: Option<u64>) -> [Self; 2] {
        const USD_DIGITS_END: i64 = 1_000_000_000_000_000_000;
        let usd = nusd.and_then(|nusd| i64::try_from(nusd).ok()).filter(|nusd| *nusd < USD_DIGITS_END);
        [Self::known(nusd), usd.map_or(Self::Null, Self::Usd)]
    }

    /// Returns the cell with a text of its own.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(value) => Cell::Bool(value),
            Self::Int(value) => Cell::Int(value),
            Self::Float(bits) => Cell::Float(bits),
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Time(micros) => Cell::Time(micros),
            Self::Usd(nano) => Cell::Usd(nano),
        }
    }
}

impl Row<'_> {
    /// Returns the row with texts of its own.
    pub fn into_owned(self) -> Row<'static> {
        Row { table: self.table, day: self.day, cells: self.cells.into_iter().map(Cell::into_owned).collect() }
    }
}

/// Returns the UTC day of a moment (ns since the epoch), in days since the epoch.
pub fn day_of(at: TimeNs) -> i32 {
    const DAY_NS: i64 = 86_400_000_000_000;
    i32::try_from(at.div_euclid(DAY_NS)).unwrap_or(0)
}
