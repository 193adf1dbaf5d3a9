//! Sums of longer stretches than a quarter hour, so that a question about years reads few rows: of UTC days, ISO weeks and months, once as
//! detailed as the charges are, and once without the folder and the labels, of which there may be as many as runs.

use super::{CostKey, KIND, KIND_TIME, QUARTERS_OF_DAY, month_begin, month_middle, month_of};
use crate::views::rows::Key;

/// A stretch of UTC time that a sum is about. Each is counted since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stretch {
    /// A quarter hour.
    Quarter,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
}

/// Days from the Monday of the week of the epoch to the epoch.
const EPOCH_IN_WEEK: i64 = 3;
const QUARTERS_OF_WEEK: i64 = 7 * QUARTERS_OF_DAY;

impl Stretch {
    /// Returns the one in which a quarter hour lies.
    pub fn of(self, quarter: i64) -> i64 {
        match self {
            Self::Quarter => quarter,
            Self::Day => quarter.div_euclid(QUARTERS_OF_DAY),
            Self::Week => (quarter + EPOCH_IN_WEEK * QUARTERS_OF_DAY).div_euclid(QUARTERS_OF_WEEK),
            Self::Month => month_of(quarter),
        }
    }

    /// Returns its first quarter hour.
    pub fn begin(self, number: i64) -> i64 {
        match self {
            Self::Quarter => number,
            Self::Day => number * QUARTERS_OF_DAY,
            Self::Week => number * QUARTERS_OF_WEEK - EPOCH_IN_WEEK * QUARTERS_OF_DAY,
            Self::Month => month_begin(number),
        }
    }

    /// Returns a quarter hour in the middle of it, which stands for all of it.
    pub fn middle(self, number: i64) -> i64 {
        match self {
            Self::Quarter => number,
            Self::Day => self.begin(number) + QUARTERS_OF_DAY / 2,
            Self::Week => self.begin(number) + QUARTERS_OF_WEEK / 2,
            Self::Month => month_middle(number),
        }
    }
}

/// Sums that are kept: of which stretches, and how detailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sums {
    /// First byte of their keys.
    pub kind: u8,
    /// What each of them is about.
    pub stretch: Stretch,
    /// They are told apart by folder and labels too.
    detailed: bool,
}

impl Sums {
    /// Of quarter hours: the charges as they are kept.
    pub const QUARTERS: Self = Self { kind: KIND, stretch: Stretch::Quarter, detailed: true };
    /// Of quarter hours, whatever was called.
    pub const TIMES: Self = Self { kind: KIND_TIME, stretch: Stretch::Quarter, detailed: false };
    /// Of days, without folder and labels.
    pub const DAYS: Self = Self { kind: b'd', stretch: Stretch::Day, detailed: false };
    /// Of weeks, without folder and labels.
    pub const WEEKS: Self = Self { kind: b'w', stretch: Stretch::Week, detailed: false };
    /// Of months, without folder and labels.
    pub const MONTHS: Self = Self { kind: b'n', stretch: Stretch::Month, detailed: false };
    /// Of weeks.
    pub const DETAILED_WEEKS: Self = Self { kind: b'W', stretch: Stretch::Week, detailed: true };
    /// Of months.
    pub const DETAILED_MONTHS: Self = Self { kind: b'm', stretch: Stretch::Month, detailed: true };

    /// All of them: every charge is in exactly one row of each.
    pub const ALL: [Self; 7] =
        [Self::QUARTERS, Self::TIMES, Self::DAYS, Self::WEEKS, Self::MONTHS, Self::DETAILED_WEEKS, Self::DETAILED_MONTHS];

    /// Returns the beginning of the keys of one stretch.
    pub fn from(self, number: i64) -> Key {
        Key::new(self.kind).signed(number)
    }

    /// Returns the bytes of the key of the sum that a charge belongs to.
    pub fn key(self, charge: &CostKey) -> Vec<u8> {
        let begin = self.from(self.stretch.of(charge.quarter)).byte(charge.mode as u8);
        if self.kind == KIND_TIME {
            return begin.finish();
        }
        let (workspace, labels) = if self.detailed { (charge.workspace.as_str(), charge.labels.as_str()) } else { ("", "") };
        begin
            .text(&charge.provider)
            .text(&charge.model)
            .byte(charge.tier as u8)
            .text(&charge.template)
            .text(&charge.role)
            .byte(charge.purpose as u8)
            .text(workspace)
            .text(labels)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_follow_on_each_other_and_weeks_begin_on_monday() {
        for stretch in [Stretch::Quarter, Stretch::Day, Stretch::Week, Stretch::Month] {
            for number in -900..900 {
                let (begin, next) = (stretch.begin(number), stretch.begin(number + 1));
                assert!(begin < next && (begin..next).contains(&stretch.middle(number)), "{stretch:?} {number}");
                assert_eq!((stretch.of(begin), stretch.of(next - 1)), (number, number), "{stretch:?}");
            }
        }
        let monday = jiff::civil::date(2026, 9, 28);
        let days = i64::from((monday - jiff::civil::date(1970, 1, 1)).get_days());
        let week = Stretch::Week.of(days * QUARTERS_OF_DAY);
        assert_eq!((Stretch::Week.begin(week), monday.weekday()), (days * QUARTERS_OF_DAY, jiff::civil::Weekday::Monday));
    }
}
