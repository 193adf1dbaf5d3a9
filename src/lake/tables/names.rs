//! What the names in a lake say: which stretches of which store's log are there.
//!
//! A file is `TABLE/v=1/date=YYYY-MM-DD/NODE-FIRST-LAST.parquet`: rows of the positions FIRST to LAST of the log of NODE whose day that is. A
//! stretch has a file for each day that has rows, so when all of them are there an empty file
//! `TABLE/v=1/_done/NODE-FIRST-LAST.parquet.done` says so. A file without it is of an export that was cut off: the next one makes that
//! very stretch again, with the same bytes under the same names.

use serde::{Deserialize, Serialize};

use super::{Table, VERSION};

/// The folder of the names of stretches that are whole, below a table's version. Engines pass over names that begin like this.
pub const DONE: &str = "_done";

/// How files of a lake are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Parquet.
    Parquet,
    /// A table with a line of names.
    Csv,
    /// One JSON object per line.
    Jsonl,
}

impl FileFormat {
    /// Returns the name used in files and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Positions of a log, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Stretch {
    /// Returns the name, without extension, of files that hold this stretch of the log of `node`.
    pub fn name(&self, node: &str) -> String {
        // Names sort as positions do.
        format!("{node}-{:012}-{:012}", self.first, self.last)
    }

    /// Reads a name, without extension, of a file that holds a stretch of the log of `node`.
    pub fn read(name: &str, node: &str) -> Option<Self> {
        let (first, last) = name.strip_prefix(node)?.strip_prefix('-')?.split_once('-')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let stretch = Self { first: number(first)?, last: number(last)? };
        (stretch.first > 0 && stretch.first <= stretch.last && stretch.name(node) == name).then_some(stretch)
    }
}

/// Returns the folder of a table's files, relative to the lake.
pub fn folder(table: Table) -> String {
    format!("{}/v={VERSION}", table.name())
}

/// Returns the version that a folder below a table's is of.
pub fn version_of(name: &str) -> Option<u32> {
    name.strip_prefix("v=")?.parse().ok()
}

/// Returns the name of a day's folder; `day` in days since the epoch.
pub fn partition(day: i32) -> String {
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day));
    format!("date={}", date.unwrap_or_else(|_| jiff::civil::date(1970, 1, 1)))
}

/// What of one store's log a table has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Stretches that are whole.
    pub done: Vec<Stretch>,
    /// Stretches that files name and that are not whole.
    pub begun: Vec<Stretch>,
}

impl Covered {
    /// Returns the last position that any name says.
    pub fn end(&self) -> u64 {
        self.done.iter().chain(&self.begun).map(|stretch| stretch.last).max().unwrap_or(0)
    }

    /// Returns the next stretch from `from` on that is not whole, up to `to` at most: one that was begun is made as it was begun.
    pub fn next(&self, from: u64, to: u64) -> Option<Stretch> {
        let mut first = from;
        let mut done: Vec<&Stretch> = self.done.iter().collect();
        done.sort_unstable();
        for stretch in &done {
            if stretch.first <= first {
                first = first.max(stretch.last + 1);
            }
        }
        if first > to {
            return None;
        }
        let before = done.iter().map(|stretch| stretch.first).filter(|start| *start > first).min();
        let last = before.map_or(to, |start| to.min(start - 1));
        // The longest of those that begin here: an export that another one overtook.
        let begun = self.begun.iter().filter(|stretch| stretch.first == first && stretch.last <= last).max();
        Some(begun.copied().unwrap_or(Stretch { first, last }))
    }

    /// Tells whether `stretch` was begun and not ended, so that it must have the very end that its name says.
    pub fn is_begun(&self, stretch: Stretch) -> bool {
        self.begun.contains(&stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "01KAPXZ8T0M3N5Q7R9S1V3W5X7";

    fn stretch(first: u64, last: u64) -> Stretch {
        Stretch { first, last }
    }

    #[test]
    fn a_name_says_its_stretch_and_others_say_none() {
        let name = stretch(1, 1_000_000).name(NODE);
        assert_eq!(name, format!("{NODE}-000000000001-000001000000"));
        assert_eq!(Stretch::read(&name, NODE), Some(stretch(1, 1_000_000)));
        for other in [
            format!("{NODE}-1-2"),
            format!("{NODE}-000000000000-000000000001"),
            format!("{NODE}-000000000009-000000000001"),
            format!("{NODE}-00000000000a-00000000000b"),
            format!("X{name}"),
            "part-0".to_owned(),
        ] {
            assert_eq!(Stretch::read(&other, NODE), None, "{other}");
        }
        assert_eq!(partition(20_786), "date=2026-11-29");
        assert_eq!((version_of("v=2"), version_of("v=x"), version_of("date=2026-11-29")), (Some(2), None, None));
    }

    #[test]
    fn an_export_goes_on_where_names_end_and_fills_what_is_missing() {
        let mut covered = Covered::default();
        assert_eq!(covered.next(1, 10), Some(stretch(1, 10)));
        covered.done = vec![stretch(1, 10)];
        assert_eq!(covered.next(1, 10), None);
        assert_eq!(covered.next(1, 25), Some(stretch(11, 25)));
        covered.done.push(stretch(21, 25));
        assert_eq!(covered.next(1, 25), Some(stretch(11, 20)));
        assert_eq!(covered.next(15, 25), Some(stretch(15, 20)));
        // What was begun is made as its name says, although the log has gone on.
        covered.begun = vec![stretch(11, 14), stretch(26, 30)];
        assert_eq!(covered.next(1, 40), Some(stretch(11, 14)));
        covered.done.push(stretch(11, 20));
        assert_eq!(covered.next(1, 40), Some(stretch(26, 30)));
        assert!(covered.is_begun(stretch(26, 30)) && covered.end() == 30);
    }
}
