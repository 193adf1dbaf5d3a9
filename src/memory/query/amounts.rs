//! Numbers, money, durations and comparisons in words: "more than a dollar", "under 20 cents", "half an hour".
//!
//! Every reader takes the words and a place, and returns what stands there and the place behind it.

use std::ops::Bound;

use crate::domain::money::NanoUsd;

use super::filter::Bounds;
use super::scan::Word;

/// Returns the word at `at`, or an empty one behind the end.
pub fn w(words: &[Word], at: usize) -> &str {
    words.get(at).map_or("", |word| word.text.as_str())
}

/// Returns the place behind `phrase` when it stands at `at`.
pub fn phrase(words: &[Word], at: usize, phrase: &str) -> Option<usize> {
    let mut place = at;
    for part in phrase.split(' ') {
        if w(words, place) != part {
            return None;
        }
        place += 1;
    }
    Some(place)
}

/// Returns the place behind the first of `phrases` that stands at `at`.
pub fn any_phrase(words: &[Word], at: usize, phrases: &[&str]) -> Option<usize> {
    phrases.iter().find_map(|one| phrase(words, at, one))
}

/// How an amount is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    /// Greater.
    More,
    /// Greater or equal.
    Least,
    /// Less.
    Less,
    /// Less or equal.
    Most,
    /// Equal.
    Equal,
}

impl Cmp {
    /// Returns the range of the values that compare so to `value`.
    pub fn bounds<T: Copy + Ord>(self, value: T) -> Bounds<T> {
        match self {
            Self::More => Bounds::new(Bound::Excluded(value), Bound::Unbounded),
            Self::Least => Bounds::new(Bound::Included(value), Bound::Unbounded),
            Self::Less => Bounds::new(Bound::Unbounded, Bound::Excluded(value)),
            Self::Most => Bounds::new(Bound::Unbounded, Bound::Included(value)),
            Self::Equal => Bounds::exactly(value),
        }
    }
}

const COMPARISONS: &[(&str, Cmp)] = &[
    ("no more than", Cmp::Most),
    ("not more than", Cmp::Most),
    ("no less than", Cmp::Least),
    ("not less than", Cmp::Least),
    ("no fewer than", Cmp::Least),
    ("not over", Cmp::Most),
    ("not under", Cmp::Least),
    ("more expensive than", Cmp::More),
    ("in excess of", Cmp::More),
    ("more than", Cmp::More),
    ("greater than", Cmp::More),
    ("higher than", Cmp::More),
    ("bigger than", Cmp::More),
    ("larger than", Cmp::More),
    ("dearer than", Cmp::More),
    ("costlier than", Cmp::More),
    ("pricier than", Cmp::More),
    ("longer than", Cmp::More),
    ("slower than", Cmp::More),
    ("upwards of", Cmp::Least),
    ("at least", Cmp::Least),
    ("a minimum of", Cmp::Least),
    ("minimum", Cmp::Least),
    ("less than", Cmp::Less),
    ("lower than", Cmp::Less),
    ("fewer than", Cmp::Less),
    ("smaller than", Cmp::Less),
    ("cheaper than", Cmp::Less),
    ("shorter than", Cmp::Less),
    ("faster than", Cmp::Less),
    ("quicker than", Cmp::Less),
    ("at most", Cmp::Most),
    ("up to", Cmp::Most),
    ("a maximum of", Cmp::Most),
    ("maximum", Cmp::Most),
    ("over", Cmp::More),
    ("above", Cmp::More),
    ("beyond", Cmp::More),
    ("exceeding", Cmp::More),
    ("exceeded", Cmp::More),
    ("exceeds", Cmp::More),
    ("exceed", Cmp::More),
    ("under", Cmp::Less),
    ("below", Cmp::Less),
    ("exactly", Cmp::Equal),
    (">", Cmp::More),
    (">=", Cmp::Least),
    ("<", Cmp::Less),
    ("<=", Cmp::Most),
    ("=", Cmp::Equal),
];

/// Reads a comparison.
pub fn comparison(words: &[Word], at: usize) -> Option<(usize, Cmp)> {
    COMPARISONS.iter().find_map(|(text, cmp)| phrase(words, at, text).map(|next| (next, *cmp)))
}

const NUMBERS: &[(&str, &str)] = &[
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("ninety", "90"),
    ("hundred", "100"),
    ("thousand", "1000"),
];

/// Returns a decimal number without separators of thousands; `None` when `text` is none.
fn decimal(text: &str) -> Option<String> {
    let (text, factor) = match text.strip_suffix('k') {
        Some(thousands) => (thousands, "000"),
        None => (text, ""),
    };
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped =
        groups.len() == 1 || groups.iter().enumerate().all(|(n, group)| group.len() == 3 || (n == 0 && group.len() < 3));
    if !grouped || !groups.iter().all(|group| digits(group)) || !digits(rest) || text.trim_matches(['.', ',']).is_empty() {
        return None;
    }
    if !factor.is_empty() && !rest.is_empty() {
        return None;
    }
    let whole = groups.concat();
    let whole = if whole.is_empty() { "0" } else { &whole };
    Some(if rest.is_empty() { format!("{whole}{factor}") } else { format!("{whole}.{rest}") })
}

/// Reads a number in digits or words; "a" and "an" count as one.
fn number(words: &[Word], at: usize) -> Option<(usize, String)> {
    let word = w(words, at);
    if let Some(next) = any_phrase(words, at, &["half a", "half an"]) {
        return Some((next, "0.5".to_owned()));
    }
    if matches!(word, "a" | "an") {
        return match w(words, at + 1) {
            "hundred" => Some((at + 2, "100".to_owned())),
            "thousand" => Some((at + 2, "1000".to_owned())),
            "couple" if w(words, at + 2) == "of" => Some((at + 3, "2".to_owned())),
            _ => Some((at + 1, "1".to_owned())),
        };
    }
    if word == "couple" && w(words, at + 1) == "of" {
        return Some((at + 2, "2".to_owned()));
    }
    if let Some((_, value)) = NUMBERS.iter().find(|(name, _)| *name == word) {
        return Some((at + 1, (*value).to_owned()));
    }
    word.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| decimal(word)).flatten().map(|value| (at + 1, value))
}

/// Reads a whole number in digits or words.
pub fn count(words: &[Word], at: usize) -> Option<(usize, u64)> {
    let (next, value) = number(words, at)?;
    Some((next, value.parse().ok()?))
}

fn cents(value: &str) -> Option<NanoUsd> {
    let amount = NanoUsd::from_decimal(value)?;
    (amount.0.is_multiple_of(100)).then_some(NanoUsd(amount.0 / 100))
}

/// Reads an amount in one word: `$1.50`, `1.50$`, `20c`, `5usd`.
pub fn money_word(text: &str) -> Option<NanoUsd> {
    let dollars = |text: &str| decimal(text.trim()).and_then(|value| NanoUsd::from_decimal(&value));
    for prefix in ["us$", "$", "usd"] {
        if let Some(value) = text.strip_prefix(prefix) {
            return dollars(value);
        }
    }
    for suffix in ["$", "usd", "dollars", "dollar"] {
        if let Some(value) = text.strip_suffix(suffix) {
            return dollars(value);
        }
    }
    for suffix in ["¢", "cents", "cent", "cts", "ct", "c"] {
        if let Some(value) = text.strip_suffix(suffix) {
            return decimal(value.trim()).and_then(|value| cents(&value));
        }
    }
    None
}

fn is_dollars(word: &str) -> bool {
    matches!(word, "dollar" | "dollars" | "usd" | "buck" | "bucks" | "$")
}

fn is_cents(word: &str) -> bool {
    matches!(word, "cent" | "cents" | "ct" | "cts" | "¢")
}

/// Reads an amount of dollars with its unit; not a price per something.
pub fn money(words: &[Word], at: usize) -> Option<(usize, NanoUsd)> {
    let (next, amount) = money_at(words, at)?;
    let rate = matches!(w(words, next), "per" | "each" | "apiece" | "/")
        || (matches!(w(words, next), "a" | "an" | "every")
            && matches!(
                w(words, next + 1),
                "day" | "week" | "month" | "year" | "hour" | "piece" | "seat" | "user" | "person" | "head"
            ));
    (!rate).then_some((next, amount))
}

fn money_at(words: &[Word], at: usize) -> Option<(usize, NanoUsd)> {
    if let Some(amount) = money_word(w(words, at)).filter(|_| w(words, at).contains(|c: char| c.is_ascii_digit())) {
        let unit = is_dollars(w(words, at + 1)) && w(words, at).starts_with('$');
        return Some((at + 1 + usize::from(unit), amount));
    }
    if w(words, at) == "usd" {
        let (next, value) = number(words, at + 1)?;
        return NanoUsd::from_decimal(&value).map(|amount| (next, amount));
    }
    let (next, value) = number(words, at)?;
    let us = usize::from(w(words, next) == "us");
    if is_dollars(w(words, next + us)) {
        let amount = NanoUsd::from_decimal(&value)?;
        let mut next = next + us + 1;
        let and = next + usize::from(w(words, next) == "and");
        if let Some((after, rest)) = number(words, and)
            && is_cents(w(words, after))
        {
            return cents(&rest).map(|rest| (after + 1, amount.plus(rest)));
        }
        if matches!(value.as_str(), "0.5" | "1") && any_phrase(words, next, &["and a half"]).is_some() {
            next += 3;
            return Some((next, amount.plus(NanoUsd(NanoUsd::PER_USD / 2))));
        }
        return Some((next, amount));
    }
    if is_cents(w(words, next)) {
        return cents(&value).map(|amount| (next + 1, amount));
    }
    None
}

/// Reads an amount without a unit, in digits only: dollars where costs are spoken of.
pub fn bare_money(words: &[Word], at: usize) -> Option<(usize, NanoUsd)> {
    let word = w(words, at);
    if !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    decimal(word).and_then(|value| NanoUsd::from_decimal(&value)).map(|amount| (at + 1, amount))
}

/// Returns the milliseconds of a unit of time; `short` ones stand only behind digits.
fn unit_ms(unit: &str, short: bool) -> Option<u64> {
    Some(match unit {
        "ms" | "millisecond" | "milliseconds" => 1,
        "second" | "seconds" | "sec" | "secs" => 1_000,
        "minute" | "minutes" | "min" | "mins" => 60_000,
        "hour" | "hours" | "hr" | "hrs" => 3_600_000,
        "day" | "days" => 86_400_000,
        "week" | "weeks" => 604_800_000,
        "s" if short => 1_000,
        "m" if short => 60_000,
        "h" if short => 3_600_000,
        "d" if short => 86_400_000,
        "w" if short => 604_800_000,
        _ => return None,
    })
}

/// Returns `value` units in ms, rounded down.
fn scaled(value: &str, unit_ms: u64) -> Option<u64> {
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    if rest.is_empty() {
        return Some(whole);
    }
    let rest: f64 = format!("0.{rest}").parse().ok()?;
    whole.checked_add((rest * unit_ms as f64) as u64)
}

/// Reads a duration in one word, in ms: `5m`, `1h30m`, `90s`, `500ms`.
pub fn duration_word(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_alphabetic()).filter(|at| *at > 0)?;
        let (value, tail) = rest.split_at(unit_at);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        sum = sum.checked_add(scaled(&decimal(value.trim())?, unit_ms(unit, true)?)?)?;
        rest = tail.trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

/// Reads a duration, in ms: "5 minutes", "an hour and a half", "1h 30m".
pub fn duration(words: &[Word], at: usize) -> Option<(usize, u64)> {
    let (mut next, mut sum) = one_duration(words, at)?;
    if let Some(after) = phrase(words, next, "and a half") {
        let unit = unit_ms(w(words, next.saturating_sub(1)), true).unwrap_or(0);
        return Some((after, sum.saturating_add(unit / 2)));
    }
    for _ in 0..3 {
        let and = next + usize::from(w(words, next) == "and");
        match one_duration(words, and) {
            Some((after, more)) if more < sum => (next, sum) = (after, sum.checked_add(more)?),
            _ => break,
        }
    }
    Some((next, sum))
}

fn one_duration(words: &[Word], at: usize) -> Option<(usize, u64)> {
    let word = w(words, at);
    if word.starts_with(|c: char| c.is_ascii_digit())
        && let Some(ms) = duration_word(word)
    {
        return Some((at + 1, ms));
    }
    let (next, value) = number(words, at)?;
    let digits = word.starts_with(|c: char| c.is_ascii_digit());
    Some((next + 1, scaled(&value, unit_ms(w(words, next), digits)?)?))
}

/// Reads `between A and B`, `from A to B`, `A to B`, `A - B`; `read` reads one end, `bare` one without its unit.
pub fn between<T: Copy + Ord>(
    words: &[Word],
    at: usize,
    read: impl Fn(usize) -> Option<(usize, T)>,
    like: impl Fn(usize, usize) -> Option<(usize, T)>,
) -> Option<(usize, Bounds<T>)> {
    let lead = matches!(w(words, at), "between" | "from");
    let start = at + usize::from(lead);
    // "between 5 and 10 minutes": the first end takes its unit from the second.
    let (next, low) = read(start).or_else(|| {
        let to = start + 1;
        let (after, _) = read(to + 1)?;
        matches!(w(words, to), "and" | "to" | "–" | "-").then(|| like(start, after.saturating_sub(1))).flatten()
    })?;
    let glue = w(words, next);
    let joins = (lead && matches!(glue, "and" | "to")) || matches!(glue, "to" | "–" | "-" | "..");
    if !joins {
        return None;
    }
    // "between $1 and 2": the second end takes its unit from the first.
    let (after, high) = read(next + 1).or_else(|| lead.then(|| like(next + 1, next.saturating_sub(1))).flatten())?;
    let bounds = Bounds::new(Bound::Included(low.min(high)), Bound::Included(low.max(high)));
    Some((after, bounds))
}

/// Splits `1-2` and `$1-$2`, whose sides are numbers, at the dash.
fn dashed(words: &[Word], at: usize) -> Option<(&str, &str)> {
    let (low, high) = w(words, at).split_once('-').or_else(|| w(words, at).split_once(".."))?;
    let number = |text: &str| decimal(text.trim_start_matches('$').trim_end_matches('$')).is_some();
    (number(low) && number(high)).then_some((low, high))
}

/// Reads `$1-$2` and "1-2 dollars".
pub fn dashed_money(words: &[Word], at: usize) -> Option<(usize, Bounds<NanoUsd>)> {
    let (low, high) = dashed(words, at)?;
    let unit = w(words, at + 1);
    let read = |text: &str| {
        let value = decimal(text.trim_start_matches('$').trim_end_matches('$'))?;
        if is_cents(unit) { cents(&value) } else { NanoUsd::from_decimal(&value) }
    };
    let (low_amount, high_amount) = (read(low)?, read(high)?);
    let named = is_dollars(unit) || is_cents(unit);
    (named || low.contains('$') || high.contains('$'))
        .then_some((at + 1 + usize::from(named), Bounds::new(Bound::Included(low_amount), Bound::Included(high_amount))))
}

/// Reads "5-10 minutes", in ms.
pub fn dashed_duration(words: &[Word], at: usize) -> Option<(usize, Bounds<u64>)> {
    let (low, high) = dashed(words, at)?;
    let unit = unit_ms(w(words, at + 1), true)?;
    let read = |text: &str| scaled(&decimal(text)?, unit);
    Some((at + 2, Bounds::new(Bound::Included(read(low)?), Bound::Included(read(high)?))))
}

/// Reads "2-4".
pub fn dashed_count(words: &[Word], at: usize) -> Option<(usize, Bounds<u64>)> {
    let (low, high) = w(words, at).split_once('-')?;
    Some((at + 1, Bounds::new(Bound::Included(low.parse().ok()?), Bound::Included(high.parse().ok()?))))
}

/// Reads the number at `at` with the unit that stands at `unit`: dollars or cents.
pub fn money_with_unit(words: &[Word], at: usize, unit: usize) -> Option<(usize, NanoUsd)> {
    let (next, value) = number(words, at)?;
    let amount = if is_cents(w(words, unit)) { cents(&value)? } else { NanoUsd::from_decimal(&value)? };
    Some((next, amount))
}

/// Reads the number at `at` with the unit of time that stands at `unit`, in ms.
pub fn duration_with_unit(words: &[Word], at: usize, unit: usize) -> Option<(usize, u64)> {
    let (next, value) = number(words, at)?;
    Some((next, scaled(&value, unit_ms(w(words, unit), true)?)?))
}
