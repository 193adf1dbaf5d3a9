//! Dates in words: "last month", "since May", "3rd of November 2026", "in the past 10 days".
//!
//! Knows English and the calendar, in the zone of the moment it is told. A month without a year is the latest one that has
//! begun; so is a day without one. A date that may be read in two ways is none.

use std::ops::Bound;

use jiff::civil::Date;
use jiff::{Span, ToSpan, Zoned};

use crate::domain::ids::TimeNs;
use crate::domain::when::When;

use super::amounts::{Cmp, any_phrase, comparison, count, phrase, w};
use super::calendar_words::{ambiguous, clock_ms, compact, day_number, month, quarter, unit, weekday, year};
use super::filter::Bounds;
use super::scan::Word;

/// A stretch of days, both ends included, or of moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    Days(Date, Date),
    Moments(TimeNs, TimeNs),
}

/// A date that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) stretch: Stretch,
    /// The word may mean something else and needs a preposition: a bare month, year or weekday.
    pub(super) vague: bool,
    /// The month was given without a year, which may be moved back.
    pub(super) yearless: bool,
}

/// A stretch of time that was read.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// From when to when; the high end is excluded.
    pub bounds: Bounds<TimeNs>,
    /// It is a bare month, year or weekday without a preposition: only good directly before its noun.
    pub vague: bool,
}

fn month_of(year: i16, month: i8) -> Option<Stretch> {
    let first = Date::new(year, month, 1).ok()?;
    Some(Stretch::Days(first, first.last_of_month()))
}

fn quarter_of(year: i16, quarter: i8) -> Option<Stretch> {
    let first = Date::new(year, quarter * 3 - 2, 1).ok()?;
    Some(Stretch::Days(first, Date::new(year, quarter * 3, 1).ok()?.last_of_month()))
}

fn year_of(year: i16) -> Option<Stretch> {
    Some(Stretch::Days(Date::new(year, 1, 1).ok()?, Date::new(year, 12, 31).ok()?))
}

fn week_of(day: Date) -> Stretch {
    let first = day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days());
    Stretch::Days(first, first.saturating_add(6.days()))
}

/// Reads dates against one moment and its zone.
pub struct Calendar<'a> {
    now: &'a Zoned,
    today: Date,
}

impl<'a> Calendar<'a> {
    /// A calendar that stands at `now`.
    pub fn new(now: &'a Zoned) -> Self {
        Self { now, today: now.date() }
    }

    fn start(&self, stretch: Stretch) -> TimeNs {
        match stretch {
            Stretch::Days(first, _) => When::Day(first).since(self.now.timestamp(), self.now.time_zone()),
            Stretch::Moments(from, _) => from,
        }
    }

    fn end(&self, stretch: Stretch) -> TimeNs {
        match stretch {
            Stretch::Days(_, last) => When::Day(last).until(self.now.timestamp(), self.now.time_zone()),
            Stretch::Moments(_, to) => to,
        }
    }

    /// Returns the moments between which a stretch lies.
    pub(super) fn ends(&self, stretch: Stretch) -> (TimeNs, TimeNs) {
        (self.start(stretch), self.end(stretch))
    }

    /// Returns the first and the last day of a month: without a year, of the latest one that has begun.
    pub(super) fn month(&self, month: i8, year: Option<i16>) -> Option<(Date, Date)> {
        match year.map_or_else(|| self.latest_month(month), |year| month_of(year, month))? {
            Stretch::Days(first, last) => Some((first, last)),
            Stretch::Moments(..) => None,
        }
    }

    fn now_ns(&self) -> TimeNs {
        When::At(self.now.timestamp()).since(self.now.timestamp(), self.now.time_zone())
    }

    fn day(&self, day: Date) -> Stretch {
        Stretch::Days(day, day)
    }

    /// The latest month `month` that has begun.
    fn latest_month(&self, month: i8) -> Option<Stretch> {
        let year = self.today.year() - i16::from(month > self.today.month());
        month_of(year, month)
    }

    pub(super) fn dated(&self, day: i8, month: i8, year: Option<i16>) -> Option<Stretch> {
        let date = match year {
            Some(year) => Date::new(year, month, day).ok()?,
            // The latest one: 29 February may lie some years back.
            None => {
                (0..8).filter_map(|back| Date::new(self.today.year() - back, month, day).ok()).find(|date| *date <= self.today)?
            }
        };
        Some(self.day(date))
    }

    /// Reads a date that one word holds: ISO, with slashes or dots, a quarter.
    fn in_one_word(&self, word: &str) -> Option<Stretch> {
        let iso = word.replace('/', "-");
        let parts: Vec<&str> = iso.split('-').collect();
        let number = |text: &str| (text.len() <= 4).then(|| text.parse::<i16>().ok()).flatten();
        match parts.as_slice() {
            [y, m, d] if y.len() == 4 => {
                return Some(self.day(Date::new(year(y)?, number(m)?.try_into().ok()?, number(d)?.try_into().ok()?).ok()?));
            }
            // A day goes before a month here, and both may: that is read below.
            [_, _, y] if y.len() == 4 => {}
            [y, m] if y.len() == 4 && m.len() == 2 => return month_of(year(y)?, number(m)?.try_into().ok()?),
            [m, y] if y.len() == 4 && m.len() <= 2 && word.contains('/') => {
                return month_of(year(y)?, number(m)?.try_into().ok()?);
            }
            [y, q] | [q, y] if q.starts_with('q') && y.len() == 4 => return quarter_of(year(y)?, quarter(q)?),
            _ => {}
        }
        if word.len() > 10
            && let Ok(When::At(moment)) = word.to_uppercase().parse::<When>()
        {
            let at = When::At(moment).since(self.now.timestamp(), self.now.time_zone());
            return Some(Stretch::Moments(at, at));
        }
        if word.len() > 10
            && let Ok(local) = word.to_uppercase().parse::<jiff::civil::DateTime>()
            && let Ok(zoned) = local.to_zoned(self.now.time_zone().clone())
        {
            let at = When::At(zoned.timestamp()).since(self.now.timestamp(), self.now.time_zone());
            return Some(Stretch::Moments(at, at));
        }
        let dotted = word.contains('.');
        let parts: Vec<&str> = word.split(['/', '.', '-']).collect();
        let [a, b, y] = parts.as_slice() else { return None };
        let (a, b, y) = (day_number(a)?, day_number(b)?, year(y)?);
        let (british, american) = (Date::new(y, b, a).ok(), Date::new(y, a, b).ok());
        match (british, american) {
            (Some(date), _) if dotted => Some(self.day(date)),
            (Some(date), None) | (None, Some(date)) => Some(self.day(date)),
            (Some(one), Some(other)) if one == other => Some(self.day(one)),
            // Of two readings, the one that has happened; when both have, nobody knows.
            (Some(one), Some(other)) => match (one <= self.today, other <= self.today) {
                (true, false) => Some(self.day(one)),
                (false, true) => Some(self.day(other)),
                _ => None,
            },
            (None, None) => None,
        }
    }

    fn back(&self, n: i64, unit: &str) -> Option<Date> {
        let span: Span = match unit {
            "day" => Span::new().try_days(n).ok()?,
            "week" => Span::new().try_weeks(n).ok()?,
            "month" => Span::new().try_months(n).ok()?,
            "quarter" => Span::new().try_months(n.checked_mul(3)?).ok()?,
            "year" => Span::new().try_years(n).ok()?,
            _ => return None,
        };
        self.today.checked_sub(span).ok()
    }

    /// The calendar's day, week, month, quarter or year in which `day` lies.
    fn around(&self, day: Date, unit: &str) -> Option<Stretch> {
        match unit {
            "day" => Some(self.day(day)),
            "week" => Some(week_of(day)),
            "month" => month_of(day.year(), day.month()),
            "quarter" => quarter_of(day.year(), (day.month() + 2) / 3),
            "year" => year_of(day.year()),
            _ => None,
        }
    }

    /// Reads a date: a day, a month, "last week", "3 days ago".
    fn point(&self, words: &[Word], at: usize) -> Option<(usize, Point)> {
        let sure = |next: usize, stretch: Stretch| Some((next, Point { stretch, vague: false, yearless: false }));
        let the = at + usize::from(w(words, at) == "the");
        let word = w(words, the);
        match word {
            "today" => return sure(the + 1, self.day(self.today)),
            "tonight" => return sure(the + 1, self.day(self.today)),
            "yesterday" => return sure(the + 1, self.day(self.back(1, "day")?)),
            _ => {}
        }
        if let Some(next) = phrase(words, the, "day before yesterday") {
            return sure(next, self.day(self.back(2, "day")?));
        }
        if let Some(next) = any_phrase(words, the, &["this morning", "this afternoon", "this evening"]) {
            return sure(next, self.day(self.today));
        }
        if let Some(next) = any_phrase(words, the, &["last night"]) {
            return sure(next, self.day(self.back(1, "day")?));
        }
        if let Some(next) = any_phrase(words, the, &["last weekend", "past weekend", "weekend"]) {
            let Stretch::Days(first, _) = week_of(self.today) else { return None };
            // On a Sunday the weekend is this one, unless it is the last.
            let this = first.saturating_add(5.days());
            let over = this <= self.today && word == "weekend";
            let saturday = if over { this } else { this.saturating_sub(7.days()) };
            let stretch = Stretch::Days(saturday, saturday.saturating_add(1.days()));
            return Some((next, Point { stretch, vague: word == "weekend", yearless: false }));
        }
        if let Some(next) = any_phrase(words, the, &["beginning of", "start of", "end of"]) {
            let next = next + usize::from(w(words, next) == "the");
            let whole = unit(w(words, next), true).filter(|(_, single)| *single);
            let (next, stretch) = match whole {
                Some((unit, _)) => (next + 1, self.around(self.today, unit)?),
                None => self.point(words, next).map(|(next, point)| (next, point.stretch))?,
            };
            let Stretch::Days(first, last) = stretch else { return None };
            return sure(next, self.day(if word == "end" { last } else { first }));
        }
        if let Some(next) = any_phrase(words, the, &["last fortnight", "past fortnight"]) {
            return sure(next, Stretch::Days(self.back(14, "day")?, self.today));
        }
        if let Some(found) = self.relative(words, the, the > at) {
            return Some(found);
        }
        if let Some((next, n)) = count(words, the)
            && let Some((unit, _)) = unit(w(words, next), false)
            && w(words, next + 1) == "ago"
        {
            let n = i64::try_from(n).ok()?;
            if let Some(ms) = clock_ms(unit) {
                let at = self.now_ns().checked_sub(n.checked_mul(ms)?.checked_mul(1_000_000)?)?;
                return sure(next + 2, Stretch::Moments(at, at));
            }
            return sure(next + 2, self.day(self.back(n, unit)?));
        }
        if let Some((next, stretch, yearless)) = self.calendar_date(words, the) {
            return Some((next, Point { stretch, vague: false, yearless }));
        }
        if let Some(stretch) = self.in_one_word(word) {
            // "2026-10-01 14:00" is the day: the hour is too fine to filter by.
            return sure(the + 1, stretch);
        }
        let named_quarter = quarter(word).map(|q| (the + 1, q)).or_else(|| {
            let n = ["first", "second", "third", "fourth"].iter().position(|name| *name == word)?;
            (w(words, the + 1) == "quarter").then_some((the + 2, i8::try_from(n + 1).ok()?))
        });
        if let Some((next, q)) = named_quarter {
            let of = next + usize::from(w(words, next) == "of");
            if let Some(y) = year(w(words, of)) {
                return sure(of + 1, quarter_of(y, q)?);
            }
            let started = Date::new(self.today.year(), q * 3 - 2, 1).ok()? <= self.today;
            let stretch = quarter_of(self.today.year() - i16::from(!started), q)?;
            return Some((next, Point { stretch, vague: true, yearless: true }));
        }
        if let Some(m) = month(word) {
            return Some((the + 1, Point { stretch: self.latest_month(m)?, vague: true, yearless: true }));
        }
        if let (Some(y), Some(q)) = (year(word), quarter(w(words, the + 1))) {
            return sure(the + 2, quarter_of(y, q)?);
        }
        if let Some(y) = year(word) {
            return Some((the + 1, Point { stretch: year_of(y)?, vague: true, yearless: false }));
        }
        if let Some(day) = weekday(word) {
            let back = i64::from(self.today.weekday().since(day));
            return Some((the + 1, Point { stretch: self.day(self.back(back, "day")?), vague: true, yearless: false }));
        }
        None
    }

    /// Reads "last month", "this week", "past year", "last 10 days", "last Monday", "last October".
    ///
    /// "last week" is the calendar's, "the last week" and "the past week" end now.
    fn relative(&self, words: &[Word], at: usize, the: bool) -> Option<(usize, Point)> {
        let sure = |next: usize, stretch: Stretch| Some((next, Point { stretch, vague: false, yearless: false }));
        let at = any_phrase(words, at, &["earlier this", "later this", "so far this", "this past"]).map_or(at, |end| end - 1);
        let which = w(words, at);
        let rolling = which == "past" || (the && which == "last");
        if !matches!(which, "last" | "past" | "previous" | "this" | "current" | "preceding") {
            return None;
        }
        let this = matches!(which, "this" | "current");
        let next = w(words, at + 1);
        if let Some(day) = weekday(next).filter(|_| next.len() > 4) {
            let back = i64::from(self.today.weekday().since(day));
            let back = if back == 0 && !this { 7 } else { back };
            return sure(at + 2, self.day(self.back(back, "day")?));
        }
        if let Some(m) = month(next).filter(|_| next.len() > 3 || next != "may") {
            let Stretch::Days(first, _) = self.latest_month(m)? else { return None };
            let running = (first.year(), first.month()) == (self.today.year(), self.today.month());
            let year = first.year() - i16::from(running && !this);
            return sure(at + 2, month_of(year, m)?);
        }
        if this {
            let (unit, _) = unit(next, false)?;
            return sure(at + 2, self.around(self.today, unit)?);
        }
        if let Some((unit, single)) = unit(next, true) {
            if !single {
                return None;
            }
            if let Some(ms) = clock_ms(unit) {
                let now = self.now_ns();
                return sure(at + 2, Stretch::Moments(now.checked_sub(ms.checked_mul(1_000_000)?)?, now));
            }
            if rolling || unit == "day" {
                return sure(at + 2, Stretch::Days(self.back(1, unit)?, self.today));
            }
            let day = self.back(1, unit)?;
            return sure(at + 2, self.around(day, unit)?);
        }
        // "last 10 days", "past 24h", "last couple of weeks".
        let start = at + 1;
        let (after, n, unit) = match compact(w(words, start)) {
            Some((n, unit)) => (start + 1, n, unit),
            None => {
                let (after, n) = count(words, start)?;
                let (unit, _) = unit(w(words, after), false)?;
                (after + 1, i64::try_from(n).ok()?, unit)
            }
        };
        if let Some(ms) = clock_ms(unit) {
            let now = self.now_ns();
            let from = now.checked_sub(n.checked_mul(ms)?.checked_mul(1_000_000)?)?;
            return sure(after, Stretch::Moments(from, now));
        }
        sure(after, Stretch::Days(self.back(n, unit)?, self.today))
    }

    /// Reads "3 Nov 2026", "3rd of November", "Nov 3, 2026", "November 2026".
    fn calendar_date(&self, words: &[Word], at: usize) -> Option<(usize, Stretch, bool)> {
        let mut at = at;
        if weekday(w(words, at)).is_some() && (month(w(words, at + 1)).is_some() || day_number(w(words, at + 1)).is_some()) {
            at += 1;
        }
        if let Some(day) = day_number(w(words, at)) {
            let of = at + 1 + usize::from(w(words, at + 1) == "of");
            let m = month(w(words, of))?;
            let y = year(w(words, of + 1));
            return Some((of + 1 + usize::from(y.is_some()), self.dated(day, m, y)?, y.is_none()));
        }
        let m = month(w(words, at))?;
        let the = at + 1 + usize::from(w(words, at + 1) == "the");
        // "May 3 runs" is no date of three runs; "may 3" is none at all, "May 3" is one.
        if let Some(day) = day_number(w(words, the)).filter(|_| !ambiguous(words, at)) {
            let y = year(w(words, the + 1));
            return Some((the + 1 + usize::from(y.is_some()), self.dated(day, m, y)?, y.is_none()));
        }
        let of = at + 1 + usize::from(w(words, at + 1) == "of");
        let y = year(w(words, of))?;
        Some((of + 1, month_of(y, m)?, false))
    }

    /// Reads a stretch of time with its preposition: "since May", "before 3 Nov", "between … and …", "last month".
    pub fn period(&self, words: &[Word], at: usize) -> Option<(usize, Period)> {
        let found = |next: usize, low: Option<TimeNs>, high: Option<TimeNs>| {
            let bounds =
                Bounds::new(low.map_or(Bound::Unbounded, Bound::Included), high.map_or(Bound::Unbounded, Bound::Excluded));
            Some((next, Period { bounds, vague: false }))
        };
        if let Some(days) = self.days(words, at) {
            return Some(days);
        }
        if let Some(next) = any_phrase(words, at, &["between", "from"]) {
            let and: &[&str] =
                if w(words, at) == "between" { &["and"] } else { &["to", "until", "till", "through", "up to", "–", "-"] };
            if let Some((next, low)) = self.point(words, next)
                && let Some(next) = any_phrase(words, next, and)
                && let Some((next, high)) = self.point(words, next)
            {
                return self.ordered(next, low, high);
            }
        }
        // "more than 3 days ago", "older than 2 weeks", "newer than a week".
        if let Some((next, cmp)) = comparison(words, at)
            && let Some((next, point)) = self.point(words, next)
            && w(words, next.saturating_sub(1)) == "ago"
        {
            return match cmp {
                Cmp::More | Cmp::Least => found(next, None, Some(self.start(point.stretch))),
                Cmp::Less | Cmp::Most => found(next, Some(self.start(point.stretch)), None),
                Cmp::Equal => None,
            };
        }
        if let Some((next, cmp)) = comparison(words, at)
            && let Some((next, from)) = self.age(words, next)
            && w(words, next) == "old"
        {
            return match cmp {
                Cmp::More | Cmp::Least => found(next + 1, None, Some(from)),
                Cmp::Less | Cmp::Most => found(next + 1, Some(from), None),
                Cmp::Equal => None,
            };
        }
        if let Some(next) = any_phrase(words, at, &["older than", "newer than", "younger than"]) {
            let (next, from) = self.age(words, next)?;
            return if w(words, at) == "older" { found(next, None, Some(from)) } else { found(next, Some(from), None) };
        }
        let since: &[&str] = &[
            "since the end of",
            "ever since",
            "on or after",
            "on and after",
            "no earlier than",
            "not earlier than",
            "since",
            "starting from",
            "starting on",
            "starting in",
            "starting",
            "as of",
            "not before",
            "from",
        ];
        if let Some(next) = any_phrase(words, at, since) {
            let Some((next, point)) = self.point(words, next) else {
                // "since 2 days"
                let (next, from) = self.age(words, next).filter(|_| w(words, at) == "since")?;
                return found(next, Some(from), None);
            };
            if let Stretch::Moments(from, to) = point.stretch
                && from == to
            {
                return found(next, Some(from), None);
            }
            if w(words, at) == "from" && !point.vague && !open_end(point.stretch, self.today) {
                // "from yesterday" is that day, "from October 1" is a beginning.
                let relative =
                    !point.yearless && !matches!(point.stretch, Stretch::Days(a, b) if a == b && digits(words, at, next));
                if relative {
                    return found(next, Some(self.start(point.stretch)), Some(self.end(point.stretch)));
                }
            }
            if w(words, at) == "from" && point.vague {
                return found(next, Some(self.start(point.stretch)), Some(self.end(point.stretch)));
            }
            let next =
                next + usize::from(w(words, at) == "from" && any_phrase(words, next, &["on", "onwards", "onward"]).is_some());
            return found(next, Some(self.start(point.stretch)), None);
        }
        if let Some(next) = any_phrase(words, at, &["later than", "after"]) {
            let (next, point) = self.point(words, next)?;
            return found(next, Some(self.end(point.stretch)), None);
        }
        if let Some(next) = any_phrase(words, at, &["before", "prior to", "earlier than"]) {
            let (next, point) = self.point(words, next)?;
            return found(next, None, Some(self.start(point.stretch)));
        }
        if let Some(next) = any_phrase(
            words,
            at,
            &["until", "till", "up to", "up until", "through", "no later than", "not later than", "not after", "on or before"],
        ) {
            let (next, point) = self.point(words, next)?;
            return found(next, None, Some(self.end(point.stretch)));
        }
        // "the cheapest run of the month"
        if let Some(next) = any_phrase(words, at, &["of the"])
            && let Some((unit, true)) = unit(w(words, next), true)
            && let Some(stretch) = self.around(self.today, unit)
        {
            let (low, high) = self.ends(stretch);
            return Some((next + 1, Period { bounds: Bounds::new(Bound::Included(low), Bound::Excluded(high)), vague: true }));
        }
        let inside: &[&str] = &["in", "during", "on", "within", "over", "throughout", "for", "of", "at"];
        let led = any_phrase(words, at, inside);
        let (next, low) = self.point(words, led.unwrap_or(at))?;
        if led.is_none() && ambiguous(words, at) && next == at + 1 {
            return None;
        }
        if let Some(after) = any_phrase(words, next, &["to", "until", "till", "through", "–", "-", ".."])
            && let Some((after, high)) = self.point(words, after)
        {
            return self.ordered(after, low, high);
        }
        // "in January or February": all from the first to the last.
        if led.is_some()
            && low.vague
            && let Some(after) = any_phrase(words, next, &["and", "or"])
            && let Some((after, high)) = self.point(words, after).filter(|(_, high)| high.vague)
        {
            return self.ordered(after, low, high);
        }
        let vague = low.vague && led.is_none_or(|_| matches!(w(words, at), "for" | "of" | "at" | "within"));
        if matches!(low.stretch, Stretch::Moments(from, to) if from == to) {
            return None;
        }
        let bounds = Bounds::new(Bound::Included(self.start(low.stretch)), Bound::Excluded(self.end(low.stretch)));
        Some((next, Period { bounds, vague }))
    }

    /// Puts two dates in order; a first one without a year may lie in the year before the second.
    pub(super) fn ordered(&self, next: usize, low: Point, high: Point) -> Option<(usize, Period)> {
        let mut low = low;
        if low.yearless
            && let (Stretch::Days(first, last), Stretch::Days(_, end)) = (low.stretch, high.stretch)
        {
            let mut stretch = (first, last);
            // "Oct 1 to Nov 3, 2025": the first date takes the second one's year.
            if !high.yearless && stretch.0.year() != end.year() {
                let shift = Span::new().try_years(i64::from(first.year() - end.year())).ok()?;
                stretch = (first.checked_sub(shift).ok()?, last.checked_sub(shift).ok()?);
            }
            if stretch.0 > end {
                stretch = (stretch.0.checked_sub(1.year()).ok()?, stretch.1.checked_sub(1.year()).ok()?);
            }
            low.stretch = Stretch::Days(stretch.0, stretch.1);
        }
        // "from Thursday to Monday": the Thursday before that Monday.
        if low.vague
            && high.vague
            && let (Stretch::Days(first, last), Stretch::Days(_, end)) = (low.stretch, high.stretch)
            && first == last
            && first > end
        {
            let first = first.checked_sub(7.days()).ok()?;
            low.stretch = Stretch::Days(first, first);
        }
        let bounds = Bounds::new(Bound::Included(self.start(low.stretch)), Bound::Excluded(self.end(high.stretch)));
        (!bounds.is_empty()).then_some((next, Period { bounds, vague: false }))
    }

    /// Reads "3 days", "a week", "2h" and returns the moment so long before now.
    fn age(&self, words: &[Word], at: usize) -> Option<(usize, TimeNs)> {
        let (after, n, unit) = match compact(w(words, at)) {
            Some((n, unit)) => (at + 1, n, unit),
            None => {
                let (after, n) = count(words, at)?;
                let (unit, _) = unit(w(words, after), false)?;
                (after + 1, i64::try_from(n).ok()?, unit)
            }
        };
        if let Some(ms) = clock_ms(unit) {
            return Some((after, self.now_ns().checked_sub(n.checked_mul(ms)?.checked_mul(1_000_000)?)?));
        }
        Some((after, self.start(self.day(self.back(n, unit)?))))
    }

    /// Reads the value of `since:`, `until:` or `on:`, as `--since` reads it and in words besides.
    pub fn value(&self, text: &str, words: &[Word]) -> Option<(TimeNs, TimeNs)> {
        if let Ok(when) = text.parse::<When>() {
            let (now, zone) = (self.now.timestamp(), self.now.time_zone());
            return Some((when.since(now, zone), when.until(now, zone)));
        }
        let (next, point) = self.point(words, 0)?;
        (next == words.len()).then(|| (self.start(point.stretch), self.end(point.stretch)))
    }
}

/// Tells whether the stretch reaches to today: "from this week" has no other end.
fn open_end(stretch: Stretch, today: Date) -> bool {
    matches!(stretch, Stretch::Days(_, last) if last >= today)
}

fn digits(words: &[Word], from: usize, to: usize) -> bool {
    let dated = (from..to).any(|at| w(words, at).contains(|c: char| c.is_ascii_digit()));
    dated && w(words, to.saturating_sub(1)) != "ago"
}
