//! Days, weeks and months by the names that reports give them, with those between that have no row.

use jiff::ToSpan as _;
use jiff::civil::{Date, ISOWeekDate, Weekday};

/// What one bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A day: `2026-10-01`.
    Day,
    /// An ISO week: `2026-W40`.
    Week,
    /// A month: `2026-10`.
    Month,
}

impl Period {
    /// Returns the period that a dimension of costs is; `None` when it is no time.
    pub fn of(dimension: &str) -> Option<Self> {
        match dimension {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// Returns the first day of a period by its name; `None` when it is no such name.
    pub fn first_day(self, name: &str) -> Option<Date> {
        match self {
            Self::Day => name.parse().ok(),
            Self::Week => {
                let (year, week) = name.split_once("-W")?;
                ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok().map(ISOWeekDate::date)
            }
            Self::Month => {
                let (year, month) = name.rsplit_once('-')?;
                Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
            }
        }
    }

    /// Returns the last day of a period by its name.
    pub fn last_day(self, name: &str) -> Option<Date> {
        let first = self.first_day(name)?;
        let next = match self {
            Self::Day => return Some(first),
            Self::Week => return first.checked_add(6.days()).ok(),
            Self::Month => first.checked_add(1.month()).ok()?,
        };
        next.yesterday().ok()
    }

    /// Returns the name of the period that a day lies in.
    pub fn name(self, day: Date) -> String {
        match self {
            Self::Day => day.to_string(),
            Self::Week => {
                let week = day.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Self::Month => format!("{:04}-{:02}", day.year(), day.month()),
        }
    }

    fn before(self, day: Date) -> Option<Date> {
        match self {
            Self::Day => day.yesterday().ok(),
            Self::Week => day.checked_sub(7.days()).ok(),
            Self::Month => day.checked_sub(1.month()).ok(),
        }
    }

    /// Returns the names of all periods from the first to the last of `names`, without gaps, the newest `max` of them; and whether earlier
    /// ones were left out.
    pub fn filled<'a>(self, names: impl Iterator<Item = &'a str>, max: usize) -> (Vec<String>, bool) {
        let (mut first, mut last): (Option<Date>, Option<Date>) = (None, None);
        for day in names.filter_map(|name| self.first_day(name)) {
            first = Some(first.map_or(day, |first| first.min(day)));
            last = Some(last.map_or(day, |last| last.max(day)));
        }
        let (Some(first), Some(last)) = (first, last) else { return (Vec::new(), false) };
        let mut days = vec![last];
        let mut day = last;
        while let Some(before) = self.before(day).filter(|before| *before >= first && days.len() < max) {
            days.push(before);
            day = before;
        }
        (days.iter().rev().map(|day| self.name(*day)).collect(), day > first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_without_a_row_stand_between_the_others() {
        let filled = |period: Period, names: [&str; 2], max| period.filled(names.into_iter(), max);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            filled(Period::Day, ["2026-03-01", "2026-02-27"], 9),
            (names(&["2026-02-27", "2026-02-28", "2026-03-01"]), false)
        );
        assert_eq!(filled(Period::Week, ["2026-W52", "2027-W01"], 9), (names(&["2026-W52", "2026-W53", "2027-W01"]), false));
        assert_eq!(filled(Period::Month, ["2025-11", "2026-02"], 3), (names(&["2025-12", "2026-01", "2026-02"]), true));
        assert_eq!(filled(Period::Month, ["x", "2026-13"], 3), (Vec::new(), false));
        assert_eq!(Period::Month.last_day("2028-02"), Some(Date::constant(2028, 2, 29)));
        assert_eq!(Period::Week.last_day("2026-W53"), Some(Date::constant(2027, 1, 3)));
    }
}
