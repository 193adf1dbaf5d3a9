//! Money, tokens, ids and values in words. Unknown is said to be unknown, never shown as zero.

use std::path::Path;

use serde_json::Value;

use super::sanitize;
use crate::domain::event::{Mode, OmissionRule};
use crate::domain::money::{self, NanoUsd};
use crate::domain::omission;

/// Shows an amount that may not be known.
pub fn amount(amount: Option<u64>) -> String {
    amount.map_or_else(|| "unknown".to_owned(), |nano| NanoUsd(nano).to_string())
}

/// Shows what is known of a cost: `$0.02`, `at least $0.02`, `unknown`, and what kind of money it is when it is not real.
pub fn cost(known: u64, complete: bool, mode: Mode) -> String {
    let words = match (complete, known) {
        (true, _) => NanoUsd(known).to_string(),
        (false, 0) => "unknown".to_owned(),
        (false, _) => format!("at least {}", NanoUsd(known)),
    };
    match mode {
        Mode::Real => words,
        Mode::Simulated => format!("{words} simulated"),
        Mode::Imported => format!("{words} imported"),
    }
}

/// Shows what is known of a run's cost in a list: of one that goes on nothing may be known yet, which is not unknown for good.
pub fn cost_listed(known: u64, complete: bool, goes_on: bool) -> String {
    if goes_on && !complete && known == 0 { "none yet".to_owned() } else { cost(known, complete, Mode::Real) }
}

/// Says what prompt caches saved, in nUSD, an estimate; `None` where nothing was read from one at known prices.
pub fn cache_saved(saved: Option<i64>, complete: bool, mode: Mode) -> Option<String> {
    let saved = saved?;
    let amount = cost(saved.unsigned_abs(), true, mode);
    Some(match (saved < 0, complete) {
        (true, _) => format!("the prompt cache cost about {amount} more than it saved (estimate)"),
        (false, true) => format!("the prompt cache saved about {amount} (estimate)"),
        (false, false) => format!("the prompt cache saved at least {amount} (estimate)"),
    })
}

/// Writes a path as a shell takes it for one argument.
pub fn argument(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Shows a number with its thousands apart: `1,234,567`.
pub fn count(number: u64) -> String {
    money::grouped(number)
}

/// Shows how many tokens are known, of calls some of which (`untold`) told none: `unknown` where nothing is known, which is never zero.
pub fn tokens(known: u64, untold: u64) -> String {
    match (known, untold) {
        (0, 1..) => "unknown".to_owned(),
        (known, 0) => count(known),
        (known, untold) => format!("{} (of {} unknown)", count(known), plural(untold, "call")),
    }
}

/// Shows `1 agent`, `2 agents`.
pub fn plural(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {one}s", count(number)) }
}

/// Says what was taken of an input, and by rule what was left out of it, with the first names.
pub fn input<'n>(
    id: &str,
    (files, bytes): (u64, u64),
    omitted: &[(OmissionRule, u32)],
    names: impl Iterator<Item = (OmissionRule, &'n str)> + Clone,
) -> String {
    let left_out = omission::in_words(omitted, names, 3);
    let left_out = if left_out.is_empty() { left_out } else { format!("; left out: {left_out}") };
    let line = format!("input {id}: {}, {}{left_out}", plural(files, "file"), plural(bytes, "byte"));
    sanitize::line(&line).into_owned()
}

/// Shows a JSON value on one line: texts without quotes, lists with commas.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => sanitize::line(text).into_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(", "),
        other => sanitize::line(&other.to_string()).into_owned(),
    }
}

/// Returns the end of a node's id, which is enough to name it.
pub fn id_end(id: &str) -> &str {
    /// Characters that are shown.
    const END: usize = 6;
    id.len().checked_sub(END).and_then(|from| id.get(from..)).unwrap_or(id)
}

/// Characters at the end of an id that are shown at least.
const SUFFIX_MIN: usize = 4;

/// Returns for each id the shortest end of it, of at least four characters, that no other id of `all` ends with.
pub fn unique_suffixes<'a>(shown: &[&'a str], all: &[&str]) -> Vec<&'a str> {
    // Sorted by their reverse, the ids that share the most characters with one stand beside it.
    let mut reversed: Vec<String> = all.iter().chain(shown).map(|id| id.chars().rev().collect()).collect();
    reversed.sort_unstable();
    reversed.dedup();
    let shared = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    shown
        .iter()
        .map(|id| {
            let own: String = id.chars().rev().collect();
            let place = reversed.partition_point(|other| *other < own);
            let before = place.checked_sub(1).and_then(|before| reversed.get(before)).map_or(0, |other| shared(&own, other));
            let after = reversed.get(place + 1).map_or(0, |other| shared(&own, other));
            let length = (before.max(after) + 1).max(SUFFIX_MIN);
            let skip = id.chars().count().saturating_sub(length);
            id.char_indices().nth(skip).map_or(*id, |(start, _)| &id[start..])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_that_nobody_told_are_unknown_and_not_zero() {
        assert_eq!([tokens(0, 0), tokens(0, 2), tokens(1200, 0)], ["0", "unknown", "1,200"]);
        assert_eq!(tokens(1200, 1), "1,200 (of 1 call unknown)");
    }

    #[test]
    fn an_unknown_cost_is_never_zero() {
        assert_eq!(amount(None), "unknown");
        assert_eq!(cost(0, true, Mode::Real), "$0.00");
        assert_eq!(cost(0, false, Mode::Real), "unknown");
        assert_eq!(cost(20_000_000, false, Mode::Real), "at least $0.0200");
        assert_eq!(cost(20_000_000, true, Mode::Simulated), "$0.0200 simulated");
        assert_eq!([cost_listed(0, false, true), cost_listed(0, false, false)], ["none yet", "unknown"]);
        assert_eq!([cost_listed(0, true, true), cost_listed(20_000_000, false, true)], ["$0.00", "at least $0.0200"]);
    }

    #[test]
    fn what_a_cache_saved_is_an_estimate_and_said_only_where_there_was_one() {
        let said = |saved, complete| cache_saved(saved, complete, Mode::Real);
        assert_eq!((said(None, true), said(None, false)), (None, None));
        assert_eq!(said(Some(20_000_000), true).as_deref(), Some("the prompt cache saved about $0.0200 (estimate)"));
        assert_eq!(said(Some(20_000_000), false).as_deref(), Some("the prompt cache saved at least $0.0200 (estimate)"));
        let more = "the prompt cache cost about $0.0200 more than it saved (estimate)";
        assert_eq!(said(Some(-20_000_000), true).as_deref(), Some(more));
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        assert_eq!(value(&json!(["Linting (ruff)", "a\u{1b}b"])), "Linting (ruff), a␛b");
        assert_eq!(value(&json!(true)), "yes");
        assert_eq!(value(&json!(null)), "-");
        assert_eq!(value(&json!(4.5)), "4.5");
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "agent"), "1 agent");
    }

    #[test]
    fn ids_are_shortened_to_ends_that_tell_them_apart() {
        let all = ["01KAAAAB", "01KBAAAB", "01KCXXXX"];
        assert_eq!(unique_suffixes(&all, &all), ["AAAAB", "BAAAB", "XXXX"]);
        assert_eq!(unique_suffixes(&["abc"], &["abc"]), ["abc"]);
    }

    proptest! {
        #[test]
        fn a_shortened_id_belongs_to_one_id_only(ids in proptest::collection::btree_set("[0-9A-C]{8}", 1..30)) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            for (id, short) in ids.iter().zip(unique_suffixes(&ids, &ids)) {
                prop_assert!(short.len() >= 4);
                let fitting: Vec<_> = ids.iter().filter(|other| other.ends_with(short)).collect();
                prop_assert_eq!(fitting, vec![id]);
            }
        }
    }
}
