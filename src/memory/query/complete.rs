//! What the last word of a query may become: keys of filters, and the values that the store knows.

use super::filter::{Kind, mode_name};
use super::keys::{KEYS, SORT, TEXT};
use super::order::Sort;
use super::vocabulary::KnownTerms;
use crate::domain::event::Mode;
use crate::domain::tier::Tier;
use crate::views::status::RunStatus;

/// Letters of a word without a key that it is completed from.
const LETTERS_MIN: usize = 2;

/// Keys that are no filters.
const OTHERS: [&str; 2] = [SORT, TEXT];

/// What a query may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The whole query, with the last word completed.
    pub query: String,
    /// What was completed, in words: `template`.
    pub kind: &'static str,
}

/// Returns what the last word of `query` may become, at most `limit`, the likeliest first: those that begin with it before those that
/// have it inside.
pub fn complete(query: &str, known: &KnownTerms, limit: usize) -> Vec<Completion> {
    let (before, word) = split(query);
    let (sign, word) = word.strip_prefix('-').map_or(("", word), |word| ("-", word));
    let mut found: Vec<(bool, Completion)> = Vec::new();
    let mut add = |key: &'static str, value: &str, typed: &str| {
        let (value_lower, typed) = (value.to_lowercase(), typed.to_lowercase());
        if value_lower.contains(&typed) && value_lower != typed {
            let query = format!("{before}{sign}{key}:{}", quoted(value));
            found.push((!value_lower.starts_with(&typed), Completion { query, kind: key }));
        }
    };
    match word.split_once(':') {
        Some((key, typed)) => {
            let mut keys = KEYS.iter().chain(&OTHERS).copied();
            let Some(key) = keys.find(|known| known.eq_ignore_ascii_case(key)) else { return Vec::new() };
            // Of several values the last is completed.
            let (first, typed) = typed.rsplit_once(',').map_or(("", typed), |(first, typed)| (first, typed));
            if first.is_empty() {
                let typed = typed.trim_start_matches('"');
                values(key, known).iter().for_each(|value| add(key, value, typed));
            } else {
                let (first, typed) = (format!("{first},"), typed.trim_start_matches('"').to_lowercase());
                for value in values(key, known).iter().filter(|value| value.to_lowercase().starts_with(&typed)) {
                    let query = format!("{before}{sign}{key}:{first}{}", quoted(value));
                    found.push((false, Completion { query, kind: key }));
                }
            }
        }
        None => {
            let lower = word.to_lowercase();
            let keys = KEYS.iter().chain(&OTHERS).copied().filter(|key| key.starts_with(&lower));
            let mut completed: Vec<_> =
                keys.map(|key| (false, Completion { query: format!("{before}{sign}{key}:"), kind: "filter" })).collect();
            if word.chars().count() >= LETTERS_MIN {
                for key in ["status", "template", "role", "model", "provider", "tag", "label", "tier", "mode"] {
                    values(key, known).iter().for_each(|value| add(key, value, word));
                }
            }
            completed.append(&mut found);
            found = completed;
        }
    }
    found.sort_by_key(|(inside, _)| *inside);
    found.into_iter().take(limit).map(|(_, completion)| completion).collect()
}

/// Parts a query before its last word; a word in quotes may have spaces.
fn split(query: &str) -> (&str, &str) {
    let mut start = 0;
    let mut is_quoted = false;
    for (place, c) in query.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => start = place + c.len_utf8(),
            _ => {}
        }
    }
    query.split_at(start)
}

fn quoted(value: &str) -> String {
    let is_plain = !value.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | ':'));
    if is_plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "")) }
}

/// Returns the values of a key that can be named: all of them where there are few, and some as examples where there are many.
fn values(key: &str, known: &KnownTerms) -> Vec<String> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match key {
        "status" => {
            RunStatus::ALL.iter().map(|status| status.name()).chain(["verified", "unverified"]).map(str::to_owned).collect()
        }
        "verified" | "escalated" => owned(&["yes", "no"]),
        "since" | "until" => owned(&["today", "yesterday", "7d", "30d", "last week", "last month"]),
        "on" => owned(&["today", "yesterday", "last week", "last month"]),
        "cost" => owned(&[">0.10", ">1", "<0.01", "1..2"]),
        "duration" => owned(&[">5m", "<90s", "1m..1h"]),
        "tier" | "only" => Tier::ALL.iter().map(|tier| tier.name().to_owned()).collect(),
        "escalations" => owned(&[">0", ">1"]),
        "attempts" | "agents" => owned(&[">1", ">3"]),
        "rating" => owned(&[">3", "<3", "5"]),
        "mode" => Mode::ALL.iter().map(|mode| mode_name(*mode).to_owned()).collect(),
        "kind" => Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect(),
        "run" => owned(&["last"]),
        SORT => Sort::ALL.iter().map(|sort| sort.name().to_owned()).collect(),
        "template" => known.templates.iter().map(|(id, _)| id.clone()).collect(),
        "role" => known.roles.clone(),
        "model" => known.models.clone(),
        "provider" => known.providers.clone(),
        "tag" => known.tags.clone(),
        "label" => known.labels.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Vocabulary, table, understand};
    use super::*;

    fn completed(query: &str) -> Vec<String> {
        complete(query, &table::known(), 8).into_iter().map(|found| found.query).collect()
    }

    #[test]
    fn the_last_word_becomes_keys_and_what_the_store_knows() {
        assert_eq!(completed("flaky sta")[..2], ["flaky status:", "flaky label:env=staging"]);
        assert_eq!(completed("status:fa"), ["status:failed"]);
        assert_eq!(completed("tests -template:release"), ["tests -template:release_prep", "tests -template:rust_crate_release"]);
        assert_eq!(completed("status:failed,canc"), ["status:failed,cancelled"]);
        assert_eq!(completed("role:\"report w"), ["role:\"report writer\""]);
        assert!(completed("sonnet").contains(&"model:claude-sonnet-4-5".to_owned()));
        assert_eq!(completed("label:team"), ["label:team=core"]);
        assert_eq!(completed("status:failed"), Vec::<String>::new(), "nothing is left to say");
        assert_eq!(completed("nothing:x"), Vec::<String>::new());
        assert_eq!(
            (completed("sort:most-e"), completed("tex")[..1].to_vec()),
            (vec!["sort:most-expensive".to_owned(), "sort:most-escalations".to_owned()], vec!["text:".to_owned()],)
        );
        assert_eq!(completed("").len(), 8);
    }

    #[test]
    fn what_is_offered_is_understood_as_a_filter() {
        let now = table::NOW.parse().unwrap();
        let vocabulary = Vocabulary::new(table::known());
        for key in KEYS {
            let offered = complete(&format!("{key}:"), &table::known(), usize::MAX);
            assert!(!offered.is_empty(), "{key}");
            for completion in offered {
                let understood = understand(&completion.query, &vocabulary, &now);
                assert_eq!((understood.filters.len(), understood.text.as_str()), (1, ""), "{}", completion.query);
            }
        }
    }
}
