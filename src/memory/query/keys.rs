//! Reads `key:value`: which keys there are and what their values mean.
//!
//! A pair that cannot be read is no error: [`read`] says why in a few words, and the caller keeps it as text.

use std::ops::Bound;

use crate::domain::event::Mode;
use crate::domain::tier::Tier;
use crate::views::status::RunStatus;

use super::amounts::{Cmp, duration_word, money_word};
use super::filter::{Bounds, FilterTest, Kind, Outcome, mode_name};
use super::period::Calendar;
use super::scan::{Pair, Piece, Word, scan};
use super::vocabulary::{Term, Vocabulary};
use crate::domain::money::NanoUsd;

/// The key of words that are searched and never read.
pub const TEXT: &str = "text";
/// The key of an order.
pub const SORT: &str = "sort";

/// The keys that are filters.
pub const KEYS: &[&str] = &[
    "status",
    "verified",
    "since",
    "until",
    "on",
    "cost",
    "duration",
    "tier",
    "only",
    "escalated",
    "escalations",
    "attempts",
    "agents",
    "template",
    "role",
    "model",
    "provider",
    "tag",
    "label",
    "mode",
    "rating",
    "kind",
    "run",
];

/// Reads a pair. `None` when there is no such key; otherwise the test, or why the value cannot be read.
pub fn read(pair: &Pair, calendar: &Calendar<'_>, vocabulary: &Vocabulary) -> Option<Result<FilterTest, String>> {
    let key = match pair.key.as_str() {
        SORT if !pair.negated => {
            let wanted = "the name of an order such as newest or cheapest, with a number for how many: sort:cheapest,5";
            return Some(Err(format!("`{}` is searched as text: give {wanted}", pair.raw.trim())));
        }
        "from" | "after" => "since",
        "before" => "until",
        "date" | "when" => "on",
        "took" => "duration",
        "is" | "outcome" => "status",
        key if key.starts_with("label.") => "label",
        "project" if vocabulary.has_label_key("project") => "label",
        key => KEYS.iter().copied().find(|known| *known == key)?,
    };
    let wanted = match key {
        "status" => "failed, succeeded, cancelled, running, awaiting_input, suspended, interrupted, verified or unverified",
        "verified" | "escalated" => "yes or no",
        "since" | "until" | "on" => "a date such as 2026-10-01, 7d, yesterday or \"last month\"",
        "cost" => "an amount of dollars such as >1, <0.20, 20c or 1..2",
        "duration" => "a duration such as >5m, <90s or 1m..1h",
        "tier" | "only" => "cheap, capable or premium",
        "mode" => "real, simulated or imported",
        "kind" => "run, agent or note",
        "run" => "a run's id, at least four characters of its beginning or end, last or last~N",
        _ => "a number such as 3, >2 or 1..4",
    };
    let read = value(key, &pair.key, pair, calendar, vocabulary);
    Some(read.ok_or_else(|| format!("`{}` is searched as text: give {wanted}", pair.raw.trim())))
}

fn value(key: &str, typed: &str, pair: &Pair, calendar: &Calendar<'_>, vocabulary: &Vocabulary) -> Option<FilterTest> {
    let values = pair.values.as_slice();
    Some(match key {
        "status" => FilterTest::Status(each(values, |text| outcome(&text.to_lowercase().replace([' ', '-'], "_")))?),
        "verified" => FilterTest::Status(vec![if yes(values)? { Outcome::Verified } else { Outcome::Unverified }]),
        "escalated" => FilterTest::Escalated(yes(values)?),
        "since" | "until" | "on" => FilterTest::Time(time(key, typed, values, calendar).filter(|bounds| !bounds.is_empty())?),
        "cost" => FilterTest::Cost(range(values, cost)?),
        "duration" => FilterTest::DurationMs(range(values, duration)?),
        "escalations" => FilterTest::Escalations(range(values, |text| text.parse().ok())?),
        "attempts" => FilterTest::Attempts(range(values, |text| text.parse().ok())?),
        "agents" => FilterTest::Agents(range(values, |text| text.parse().ok())?),
        "rating" => FilterTest::Rating(range(values, |text| text.parse().ok().filter(|n| (1..=5).contains(n)))?),
        "tier" => FilterTest::Tier { tiers: tiers(values)?, only: false },
        "only" => FilterTest::Tier { tiers: tiers(values)?, only: true },
        "mode" => FilterTest::Mode(each(values, |text| {
            [Mode::Real, Mode::Simulated, Mode::Imported].into_iter().find(|mode| mode_name(*mode).eq_ignore_ascii_case(text))
        })?),
        "kind" => FilterTest::Kind(each(values, |text| {
            let text = text.to_lowercase();
            Kind::ALL.into_iter().find(|kind| kind.name() == text || text.strip_suffix('s') == Some(kind.name()))
        })?),
        "run" => FilterTest::Run(each(values, run)?),
        "label" if typed != "label" => {
            let key = typed.strip_prefix("label.").unwrap_or(typed);
            FilterTest::Label(each(values, |text| (!key.is_empty()).then(|| (key.to_owned(), Some(text.trim().to_owned()))))?)
        }
        "label" => FilterTest::Label(each(values, |text| {
            let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value.trim().to_owned())));
            (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value))
        })?),
        "model" => {
            let known = |text: &String| {
                let models = vocabulary.models_like(text);
                if models.is_empty() { vec![text.clone()] } else { models }
            };
            let mut models: Vec<String> = names(values)?.iter().flat_map(known).collect();
            models.dedup();
            FilterTest::Model(models)
        }
        "template" => FilterTest::Template(resolved(values, vocabulary, |term| match term {
            Term::Template(id) => Some(id),
            _ => None,
        })?),
        "role" => FilterTest::Role(resolved(values, vocabulary, |term| match term {
            Term::Role(role) => Some(role),
            _ => None,
        })?),
        "provider" => FilterTest::Provider(resolved(values, vocabulary, |term| match term {
            Term::Provider(provider) => Some(provider),
            _ => None,
        })?),
        "tag" => FilterTest::Tag(resolved(values, vocabulary, |term| match term {
            Term::Tag(tag) => Some(tag),
            _ => None,
        })?),
        _ => return None,
    })
}

/// Reads every value, or none.
fn each<T: PartialEq>(values: &[String], read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for value in values {
        let value = read(value)?;
        // Twice the same says nothing more; a short look back keeps a long list linear.
        if !all.iter().rev().take(32).any(|seen| *seen == value) {
            all.push(value);
        }
    }
    (!all.is_empty()).then_some(all)
}

fn names(values: &[String]) -> Option<Vec<String>> {
    each(values, |text| (!text.is_empty()).then(|| text.to_owned()))
}

/// Takes known names as the store writes them, and unknown ones as they were typed.
fn resolved(values: &[String], vocabulary: &Vocabulary, pick: impl Fn(&Term) -> Option<&String>) -> Option<Vec<String>> {
    let name = |text: &String| -> Vec<String> {
        let known: Vec<String> = vocabulary.find(text).iter().filter_map(&pick).cloned().collect();
        let exact: Vec<String> = known.iter().filter(|name| *name == text).cloned().collect();
        match (exact.is_empty(), known.is_empty()) {
            (false, _) => exact,
            (true, false) => known,
            (true, true) => vec![text.clone()],
        }
    };
    let mut all: Vec<String> = names(values)?.iter().flat_map(name).collect();
    all.dedup();
    Some(all)
}

/// Reads a run's state or whether it is verified, by the words people use for it.
pub fn outcome(text: &str) -> Option<Outcome> {
    let status = match text {
        "verified" => return Some(Outcome::Verified),
        "unverified" => return Some(Outcome::Unverified),
        "fail" | "failure" | "unsuccessful" => RunStatus::Failed,
        "success" | "successful" | "ok" | "passed" | "succeed" => RunStatus::Succeeded,
        "canceled" | "aborted" => RunStatus::Cancelled,
        "paused" => RunStatus::Suspended,
        "waiting" | "awaiting" => RunStatus::AwaitingInput,
        name => RunStatus::ALL.iter().copied().find(|status| status.name() == name)?,
    };
    Some(Outcome::Is(status))
}

fn yes(values: &[String]) -> Option<bool> {
    match values {
        [one] => match one.to_lowercase().as_str() {
            "yes" | "true" | "y" | "1" => Some(true),
            "no" | "false" | "n" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn tiers(values: &[String]) -> Option<Vec<Tier>> {
    let mut all = Vec::new();
    for value in values {
        let (cmp, name) = compared(value);
        let name = name.to_lowercase();
        let tier = Tier::ALL.into_iter().find(|tier| tier.name() == name)?;
        let bounds = cmp.unwrap_or(Cmp::Equal).bounds(tier);
        all.extend(Tier::ALL.into_iter().filter(|tier| bounds.contains(*tier)));
    }
    all.sort();
    all.dedup();
    (!all.is_empty()).then_some(all)
}

/// Splits an operator from what it compares with.
fn compared(text: &str) -> (Option<Cmp>, &str) {
    const OPERATORS: [(&str, Cmp); 9] = [
        (">=", Cmp::Least),
        ("=>", Cmp::Least),
        ("≥", Cmp::Least),
        ("<=", Cmp::Most),
        ("=<", Cmp::Most),
        ("≤", Cmp::Most),
        (">", Cmp::More),
        ("<", Cmp::Less),
        ("=", Cmp::Equal),
    ];
    let found = OPERATORS.iter().find_map(|(sign, cmp)| text.strip_prefix(sign).map(|rest| (Some(*cmp), rest.trim())));
    found.unwrap_or((None, text.trim()))
}

/// Reads comparisons and ranges; several of them must all hold.
fn range<T: Copy + Ord>(values: &[String], read: impl Fn(&str) -> Option<T>) -> Option<Bounds<T>> {
    let mut bounds = Bounds::new(Bound::Unbounded, Bound::Unbounded);
    for value in values {
        let next = match value.split_once("..") {
            Some((low, high)) => {
                let end = |text: &str| if text.trim().is_empty() { Some(None) } else { read(text.trim()).map(Some) };
                let (low, high) = (end(low)?, end(high)?);
                if low.is_none() && high.is_none() {
                    return None;
                }
                Bounds::new(low.map_or(Bound::Unbounded, Bound::Included), high.map_or(Bound::Unbounded, Bound::Included))
            }
            None => {
                let (cmp, rest) = compared(value);
                cmp.unwrap_or(Cmp::Equal).bounds(read(rest)?)
            }
        };
        bounds = bounds.and(next);
    }
    // `cost:1,000` and `cost:5..1` cannot be meant.
    (!bounds.is_empty()).then_some(bounds)
}

fn cost(text: &str) -> Option<NanoUsd> {
    let text = text.to_lowercase();
    if matches!(text.as_str(), "free" | "nothing") {
        return Some(NanoUsd(0));
    }
    NanoUsd::from_decimal(&text).or_else(|| money_word(&text))
}

fn duration(text: &str) -> Option<u64> {
    let text = text.to_lowercase();
    duration_word(&text).or_else(|| {
        // A number alone is of seconds.
        text.starts_with(|c: char| c.is_ascii_digit()).then(|| duration_word(&format!("{text}s"))).flatten()
    })
}

fn words(text: &str) -> Vec<Word> {
    let word = |piece| match piece {
        Piece::Word(word) => Some(word),
        _ => None,
    };
    scan(text).into_iter().filter_map(word).collect()
}

/// Reads a moment or a stretch of time: from when to when.
pub fn span(text: &str, calendar: &Calendar<'_>) -> Option<(i64, i64)> {
    // `since:last-week` spares the quotes.
    let spaced = || text.replace(['-', '_'], " ");
    calendar.value(text.trim(), &words(text)).or_else(|| calendar.value("", &words(&spaced())))
}

fn time(key: &str, typed: &str, values: &[String], calendar: &Calendar<'_>) -> Option<Bounds<i64>> {
    let read = |text: &str| span(text, calendar);
    let [value] = values else { return None };
    let low = |at| Bounds::new(Bound::Included(at), Bound::Unbounded);
    let high = |at| Bounds::new(Bound::Unbounded, Bound::Excluded(at));
    if key == "on" {
        if let Some((first, last)) = value.split_once("..") {
            return match (first.trim().is_empty(), last.trim().is_empty()) {
                (true, true) => None,
                (true, false) => Some(high(read(last)?.1)),
                (false, true) => Some(low(read(first)?.0)),
                (false, false) => Some(low(read(first)?.0).and(high(read(last)?.1))),
            };
        }
        let (cmp, text) = compared(value);
        let (from, to) = read(text)?;
        return Some(match cmp {
            None | Some(Cmp::Equal) => Bounds::new(Bound::Included(from), Bound::Excluded(to)),
            Some(Cmp::More) => low(to),
            Some(Cmp::Least) => low(from),
            Some(Cmp::Less) => high(from),
            Some(Cmp::Most) => high(to),
        });
    }
    let (from, to) = read(value)?;
    Some(match typed {
        "after" => low(to),
        "before" => high(from),
        _ if key == "since" => low(from),
        _ => high(to),
    })
}

fn run(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if lower == "last" || lower.strip_prefix("last~").is_some_and(|back| back.parse::<u32>().is_ok()) {
        return Some(lower);
    }
    let upper = text.to_ascii_uppercase();
    ((4..=26).contains(&upper.len()) && upper.chars().all(is_ulid_digit)).then_some(upper)
}

/// Tells whether `c` is a digit of a ULID: Crockford's alphabet has no I, L, O, U.
pub fn is_ulid_digit(c: char) -> bool {
    c.is_ascii_digit() || (c.is_ascii_uppercase() && !matches!(c, 'I' | 'L' | 'O' | 'U'))
}
