//! Days of one month as a range: "between 24 and 25 January", "Jan 24-25", "from the 3rd to the 5th of May 2026".

use super::amounts::w;
use super::calendar_words::{ambiguous, day_number, month, year};
use super::period::{Calendar, Period, Point, Stretch};
use super::scan::Word;

/// Two days of a month, and the place behind them.
struct Days {
    to: usize,
    first: i8,
    last: i8,
}

impl Calendar<'_> {
    /// Reads a range of days, with or without the preposition before it.
    pub fn days(&self, words: &[Word], at: usize) -> Option<(usize, Period)> {
        let lead = w(words, at);
        let is_range = matches!(lead, "between" | "from");
        let is_led = is_range || matches!(lead, "on" | "in" | "during" | "within" | "over");
        let start = at + usize::from(is_led);
        let (days, month_at, behind) = match two_days(words, start, is_range) {
            Some(days) => {
                let of = days.to + usize::from(w(words, days.to) == "of");
                (days, of, of + 1)
            }
            None => {
                let the = start + 1 + usize::from(w(words, start + 1) == "the");
                let days = two_days(words, the, is_range)?;
                let behind = days.to;
                (days, start, behind)
            }
        };
        let month = month(w(words, month_at))?;
        if ambiguous(words, month_at) && !(is_led && month_at > start) {
            return None;
        }
        let year = year(w(words, behind));
        // A first day that has begun decides on the year of both.
        let point = |day, year| Some(Point { stretch: self.dated(day, month, year)?, vague: false, yearless: false });
        let low = point(days.first, year)?;
        let Stretch::Days(begun, _) = low.stretch else { return None };
        let high = point(days.last, Some(begun.year()))?;
        self.ordered(behind + usize::from(year.is_some()), low, high)
    }
}

/// Reads "24 and 25", "24th to the 25th", "24-25". Days that do not follow each other are no range of "and" alone.
fn two_days(words: &[Word], at: usize, is_range: bool) -> Option<Days> {
    let the = at + usize::from(w(words, at) == "the");
    if let Some((first, last)) = w(words, the).split_once('-') {
        return Some(Days { to: the + 1, first: day_number(first)?, last: day_number(last)? });
    }
    let first = day_number(w(words, the))?;
    let glue = w(words, the + 1);
    let next = the + 2 + usize::from(w(words, the + 2) == "the");
    let last = day_number(w(words, next))?;
    let joins = matches!(glue, "to" | "until" | "till" | "through" | "–" | "-" | "..")
        || (matches!(glue, "and" | "or" | "&") && (is_range || last == first + 1));
    joins.then_some(Days { to: next + 1, first, last })
}
