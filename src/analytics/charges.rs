//! Which sums of the costs answer a question, and the charges that were read from them.
//!
//! Sums are kept of UTC days, weeks and months. A question about years reads those of months, and only what lies within the month at either
//! end from days and quarter hours. The months of a zone are those of UTC less and more what lies between both beginnings, which is read
//! by quarter hour and counted where it belongs. So every number is exact.

use std::collections::HashMap;
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::spending::{CostQuestion, Dimension, day_of};
use crate::views::costs::rollup::{Stretch, Sums};
use crate::views::costs::{CostKey, CostRow, quarter_begin, quarter_end, quarter_of};

/// Quarter hours around the beginning of a stretch that may be in another one in some zone: none is further from UTC than 26 hours.
const AROUND: i64 = 26 * 4;

/// Sums that are to be read: of these stretches, without the end; without a bound where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The sums.
    pub sums: Sums,
    /// The first stretch.
    pub from: Option<i64>,
    /// The first stretch behind them.
    pub to: Option<i64>,
}

/// What of the calendar a question tells charges apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grain {
    /// Nothing.
    None,
    /// Days.
    Day,
    /// ISO weeks.
    Week,
    /// Months.
    Month,
}

impl CostQuestion {
    fn dimensions(&self) -> impl Iterator<Item = &Dimension> {
        self.by.iter().chain(self.only.iter().map(|only| &only.dimension))
    }

    /// Returns what of the calendar it tells charges apart by.
    fn grain(&self) -> Grain {
        let asks = |wanted: &Dimension| self.dimensions().any(|dimension| dimension == wanted);
        match (asks(&Dimension::Day), asks(&Dimension::Week), asks(&Dimension::Month)) {
            // A week may be of two months.
            (true, _, _) | (_, true, true) => Grain::Day,
            (_, true, _) => Grain::Week,
            (_, _, true) => Grain::Month,
            _ => Grain::None,
        }
    }

    /// Returns the sums of quarter hours that tell apart what it asks for.
    fn quarters(&self) -> Sums {
        if self.dimensions().all(|asked| asked.is_time() || *asked == Dimension::Mode) { Sums::TIMES } else { Sums::QUARTERS }
    }

    /// Returns the sums that it can be answered from, those of the longest stretches first.
    fn sums(&self) -> Vec<Sums> {
        let is_detail = |asked: &Dimension| matches!(asked, Dimension::Workspace | Dimension::Label | Dimension::LabelOf(_));
        let longer: &[Sums] = match (self.grain(), self.dimensions().any(is_detail)) {
            (Grain::Day, true) => &[],
            (Grain::Week, true) => &[Sums::DETAILED_WEEKS],
            (Grain::None | Grain::Month, true) => &[Sums::DETAILED_MONTHS],
            // There are at most as many quarter hours as parts of a day, and they need no correction.
            (Grain::Day, false) if self.quarters() == Sums::TIMES => &[],
            (Grain::Day, false) => &[Sums::DAYS],
            (Grain::Week, false) => &[Sums::WEEKS, Sums::DAYS],
            (Grain::None | Grain::Month, false) => &[Sums::MONTHS, Sums::DAYS],
        };
        longer.iter().copied().chain([self.quarters()]).collect()
    }

    /// Returns what is to be read for the quarter hours `[from, to)`: the longest stretches that lie in it, and shorter ones at its ends.
    fn parts(&self, from: Option<i64>, to: Option<i64>) -> Vec<Part> {
        let mut parts = Vec::new();
        add_parts(&self.sums(), from, to, &mut parts);
        parts
    }
}

/// Reads sums: calls its second argument with each stretch's number, its key's bytes and its sum, in the order of time.
pub type ReadSums<'a, E> = &'a dyn Fn(Part, &mut EachSum<'_>) -> Result<(), E>;

/// Takes in one sum: where its stretch begins, what it is of, and the sum.
pub type EachSum<'a> = dyn FnMut(i64, &[u8], CostRow) -> Result<(), String> + 'a;

/// Reads the charges that a question is about, with the days of `zone`.
///
/// # Errors
/// What `sums` says.
pub fn read<E>(question: &CostQuestion, zone: &TimeZone, sums: ReadSums<'_, E>) -> Result<Charges, E> {
    let from = question.since.map(quarter_of);
    // The quarter hour in which the last moment lies is the last one.
    let to = question.until.map(|until| quarter_of(until.saturating_sub(1)).saturating_add(1));
    if let Some(charges) = read_long(question, (from, to), zone, sums)? {
        return Ok(charges);
    }
    let mut charges = Charges::default();
    let quarters = Part { sums: question.quarters(), from, to };
    sums(quarters, &mut |quarter, key, row| charges.add(key, quarter, row))?;
    Ok(charges)
}

/// As [`read`], from sums of long stretches; `None` where a day, week or month of the zone begins within a quarter hour.
fn read_long<E>(
    question: &CostQuestion,
    span: (Option<i64>, Option<i64>),
    zone: &TimeZone,
    sums: ReadSums<'_, E>,
) -> Result<Option<Charges>, E> {
    let mut charges = Charges::default();
    for part in question.parts(span.0, span.1) {
        let stretch = part.sums.stretch;
        let mut numbers: Vec<i64> = Vec::new();
        sums(part, &mut |number, key, row| {
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
            charges.add(key, stretch.middle(number), row)
        })?;
        for number in numbers {
            let Some(others) = in_others(stretch, number, question.grain(), zone) else { return Ok(None) };
            for moved in others {
                let quarters = Part { sums: question.quarters(), from: Some(moved.start), to: Some(moved.end) };
                sums(quarters, &mut |quarter, key, row| charges.count_at(key, stretch.middle(number), quarter, row))?;
            }
        }
    }
    Ok(Some(charges))
}

fn add_parts(sums: &[Sums], from: Option<i64>, to: Option<i64>, parts: &mut Vec<Part>) {
    let [longest, shorter @ ..] = sums else { return };
    let stretch = longest.stretch;
    // The first that begins at `from` or later, and the first that ends later than `to`.
    let first = from.map(|from| stretch.of(from.saturating_sub(1)).saturating_add(1));
    let end = to.map(|to| stretch.of(to));
    if let (Some(first), Some(end)) = (first, end)
        && first >= end
    {
        return add_parts(shorter, from, to, parts);
    }
    if let Some(first) = first.filter(|first| from < Some(stretch.begin(*first))) {
        add_parts(shorter, from, Some(stretch.begin(first)), parts);
    }
    parts.push(Part { sums: *longest, from: first, to: end });
    if let Some(end) = end.filter(|end| to > Some(stretch.begin(*end))) {
        add_parts(shorter, Some(stretch.begin(end)), to, parts);
    }
}

/// Returns the quarter hours of a UTC stretch that `zone` has in another day, week or month than the middle of it; `None` where one of
/// them is in two days.
fn in_others(stretch: Stretch, number: i64, grain: Grain, zone: &TimeZone) -> Option<Vec<Range<i64>>> {
    let is_utc = *zone == TimeZone::UTC || matches!(zone.iana_name(), Some("UTC" | "Etc/UTC"));
    if grain == Grain::None || stretch == Stretch::Quarter || is_utc {
        return Some(Vec::new());
    }
    let (begin, end) = (stretch.begin(number), stretch.begin(number + 1));
    let own = name(day_of(quarter_begin(stretch.middle(number)), zone)?, grain);
    let mut moved: Vec<Range<i64>> = Vec::new();
    let head = (begin + AROUND).min(end);
    for quarter in (begin..head).chain((end - AROUND).max(head)..end) {
        let (day, day_at_end) = (day_of(quarter_begin(quarter), zone)?, day_of(quarter_end(quarter), zone)?);
        if day != day_at_end {
            return None;
        }
        if name(day, grain) == own {
            continue;
        }
        match moved.last_mut() {
            Some(last) if last.end == quarter => last.end = quarter + 1,
            _ => moved.push(quarter..quarter + 1),
        }
    }
    Some(moved)
}

/// Returns numbers that are the same for the days of one day, week or month, and of no other.
fn name(day: Date, grain: Grain) -> (i16, i8, i8) {
    match grain {
        Grain::None => (0, 0, 0),
        Grain::Day => (day.year(), day.month(), day.day()),
        Grain::Week => {
            let week = day.iso_week_date();
            (week.year(), week.week(), 0)
        }
        Grain::Month => (day.year(), day.month(), 0),
    }
}

/// A sum of charges of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Charge {
    /// When, as the quarter hour that stands for it.
    pub quarter: i64,
    /// Which of the keys.
    pub key: usize,
    /// How much.
    pub row: CostRow,
    /// It is in another sum as well, and to be taken out of the one that it stands for.
    pub is_taken_out: bool,
}

/// Charges as they were read. What they are about stands here once, however often it was charged.
#[derive(Clone, Debug, Default)]
pub struct Charges {
    /// What they are about, without when.
    pub(super) keys: Vec<CostKey>,
    pub(super) rows: Vec<Charge>,
    places: HashMap<Vec<u8>, usize>,
}

/// Bytes of a key before those that say what it is about: its kind and its number.
const TIME_BYTES: usize = 9;

impl Charges {
    /// Tells whether anything was taken out of a sum: if the log grew meanwhile, it was of another moment.
    pub fn has_moved(&self) -> bool {
        self.rows.iter().any(|charge| charge.is_taken_out)
    }

    /// Adds a sum by its key's bytes, which counts at `quarter`.
    ///
    /// # Errors
    /// Why the key cannot be read.
    pub(super) fn add(&mut self, key: &[u8], quarter: i64, row: CostRow) -> Result<(), String> {
        self.push(key, quarter, row, false)
    }

    /// Takes a sum out of what counts at `quarter`, and adds it where it belongs.
    ///
    /// # Errors
    /// Why the key cannot be read.
    fn count_at(&mut self, key: &[u8], quarter: i64, own: i64, row: CostRow) -> Result<(), String> {
        self.push(key, quarter, row, true)?;
        self.push(key, own, row, false)
    }

    fn push(&mut self, key: &[u8], quarter: i64, row: CostRow, is_taken_out: bool) -> Result<(), String> {
        let about = key.get(TIME_BYTES..).unwrap_or_default();
        let key = match self.places.get(about) {
            Some(place) => *place,
            None => {
                let read = CostKey::read(key).ok_or("a key of the costs is malformed")?;
                self.keys.push(CostKey { quarter: 0, ..read });
                self.places.insert(about.to_vec(), self.keys.len() - 1);
                self.keys.len() - 1
            }
        };
        self.rows.push(Charge { quarter, key, row, is_taken_out });
        Ok(())
    }
}

#[cfg(test)]
#[path = "charges_tests.rs"]
mod tests;
