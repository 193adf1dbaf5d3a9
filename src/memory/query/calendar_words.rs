//! The words of the calendar: months, weekdays, years, quarters and units of time. Knows no date.

use jiff::civil::Weekday;

use super::amounts::w;
use super::scan::Word;

const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// Reads the name of a month, whole or in three letters: 1 to 12.
pub fn month(word: &str) -> Option<i8> {
    let word = if word == "sept" { "sep" } else { word };
    let at = MONTHS.iter().position(|name| *name == word || (word.len() == 3 && name.starts_with(word)))?;
    i8::try_from(at + 1).ok()
}

/// Reads the name of a day, whole or abbreviated.
pub fn weekday(word: &str) -> Option<Weekday> {
    let word = match word {
        "tues" => "tuesday",
        "thur" | "thurs" => "thursday",
        other => other,
    };
    let word = word.strip_suffix('s').filter(|stem| stem.ends_with("day")).unwrap_or(word);
    DAYS.iter().find(|(name, _)| *name == word || (word.len() == 3 && name.starts_with(word))).map(|(_, day)| *day)
}

/// Reads `2026` and `'26`.
pub fn year(word: &str) -> Option<i16> {
    if let Some(short) = word.strip_prefix('\'').filter(|short| short.len() == 2) {
        return short.parse::<i16>().ok().filter(|year| *year >= 0).map(|year| 2000 + year);
    }
    (word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| word.parse().ok())
        .flatten()
        .filter(|year| (1990..=2099).contains(year))
}

/// Reads `3`, `3rd`, `31st`.
pub fn day_number(word: &str) -> Option<i8> {
    let digits = ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().filter(|day| (1..=31).contains(day))
}

/// Reads `q3`.
pub fn quarter(word: &str) -> Option<i8> {
    match word {
        "q1" => Some(1),
        "q2" => Some(2),
        "q3" => Some(3),
        "q4" => Some(4),
        _ => None,
    }
}

/// Returns the name of a unit of time and whether it is singular; `bare` leaves out those that are ordinals too.
pub fn unit(word: &str, bare: bool) -> Option<(&'static str, bool)> {
    const UNITS: [&str; 8] = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];
    let long = match word {
        "min" | "mins" => "minutes",
        "hr" | "hrs" => "hours",
        "sec" | "secs" => "seconds",
        other => other,
    };
    let name = UNITS.iter().find(|name| **name == long || long.strip_suffix('s') == Some(**name))?;
    if bare && (*name == "second" || *name == "minute") {
        return None;
    }
    Some((name, *name == long))
}

/// Reads `24h`, `7d`, `2w`.
pub fn compact(word: &str) -> Option<(i64, &'static str)> {
    let at = word.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
    let (n, unit) = word.split_at(at);
    let unit = match unit {
        "h" | "hr" | "hrs" => "hour",
        "d" => "day",
        "w" => "week",
        "min" | "m" => "minute",
        "y" => "year",
        _ => return None,
    };
    Some((n.parse().ok()?, unit))
}

/// Returns the milliseconds of units that are counted by the clock; the others are counted by the calendar.
pub fn clock_ms(unit: &str) -> Option<i64> {
    match unit {
        "second" => Some(1_000),
        "minute" => Some(60_000),
        "hour" => Some(3_600_000),
        _ => None,
    }
}

/// "may" and "march" are verbs too, unless they are written like names.
pub fn ambiguous(words: &[Word], at: usize) -> bool {
    let word = words.get(at);
    let short = w(words, at);
    if matches!(short, "jan" | "dec" | "mar") && day_number(w(words, at + 1)).is_some() {
        return false;
    }
    matches!(short, "may" | "march" | "mar" | "sat" | "sun" | "dec" | "jan" | "wed" | "second")
        && word.is_none_or(|word| !word.capital || matches!(short, "may" | "march") && at == 0)
}
