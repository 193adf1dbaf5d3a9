use proptest::prelude::*;

use super::filter::Bounds;
use super::phrasings::{NEGATIONS, ORDERS, RANGES};
use super::table::{FILTERS, NOW, TEXT, known};
use super::*;

fn read(query: &str) -> Understood {
    let now: jiff::Zoned = NOW.parse().unwrap();
    understand(query, &Vocabulary::new(known()), &now)
}

/// Pieces that mean something, so that random queries come near the grammar's edges.
fn piece() -> impl Strategy<Value = String> {
    let queries = [FILTERS, NEGATIONS, RANGES, ORDERS].concat();
    let pieces = queries.iter().map(|(query, _)| *query).chain(TEXT.iter().copied()).flat_map(str::split_whitespace);
    let mut pieces: Vec<String> = pieces.map(str::to_owned).collect();
    for more in [
        "\"",
        "-",
        "..",
        ">",
        "<=",
        ":",
        "since:",
        "cost:>",
        "-\"",
        "(",
        "\u{201c}",
        "99999999999999999999",
        "\u{0}",
        "31",
        "29",
        "Feb",
    ] {
        pieces.push(more.to_owned());
    }
    pieces.sort();
    pieces.dedup();
    proptest::sample::select(pieces)
}

/// The `key:value` form of any filter.
fn typed() -> impl Strategy<Value = String> {
    let time = "20(1[0-9]|2[0-6])-0[1-9]-(1[0-9]|2[0-8])";
    prop_oneof![
        "-?status:(failed|succeeded|cancelled|running|verified)(,(suspended|unverified))?",
        "-?cost:(>|>=|<|<=|)[0-9]{1,6}(\\.[0-9]{1,9})?",
        "cost:[0-9]\\.\\.[1-9][0-9]",
        "duration:(>|>=|<|<=|)[0-9]{1,6}(ms|s|m|h)",
        time.prop_map(|day| format!("since:{day}")),
        time.prop_map(|day| format!("until:{day}")),
        (time, time).prop_map(|(a, b)| if a <= b { format!("on:{a}..{b}") } else { format!("on:{b}..{a}") }),
        "-?(tier|only):(cheap|capable|premium)(,premium)?",
        "(template|role|provider|tag):\"[a-z_]{1,8}( [a-z]{1,6}){0,2}\"",
        "label:[a-z]{1,5}(=[a-zA-Z0-9]{1,5})?",
        "-?(attempts|escalations|agents):(>|>=|<|<=|)[0-9]{1,4}",
        "rating:(>|<=|)[1-5]",
        "(mode:simulated|kind:run,note|run:last~3|run:[0-9A-H]{4,26}|escalated:(yes|no))",
    ]
}

proptest! {
    #[test]
    fn any_text_is_understood(query in any::<String>()) {
        let found = read(&query);
        prop_assert!(!found.line().is_empty());
        prop_assert!(found.text.len() <= 3 * query.len());
    }

    #[test]
    fn any_mixture_of_meaningful_pieces_is_understood(pieces in prop::collection::vec(piece(), 0..40)) {
        let query = pieces.join(" ");
        let found = read(&query);
        prop_assert_eq!(&found, &read(&query));
        for filter in &found.filters {
            prop_assert!(found.line().contains(&filter.words));
            prop_assert!(!filter.words.is_empty());
        }
        serde_json::to_string(&found.report()).unwrap();
    }

    #[test]
    fn a_typed_filter_is_reported_and_means_the_same_when_its_typed_form_is_read(query in typed()) {
        let found = read(&query);
        prop_assert_eq!(found.filters.len(), 1, "{}", query);
        prop_assert!(found.notes.is_empty());
        prop_assert_eq!(found.text.as_str(), "");
        let filter = &found.filters[0];
        prop_assert_eq!(filter.origin, Origin::Hard);
        let again = read(&filter.to_key_value());
        prop_assert_eq!(&again.filters, &found.filters, "{} as {}", query, filter.to_key_value());
    }

    #[test]
    fn every_typed_filter_holds_whatever_stands_around_it(
        before in prop::collection::vec("[a-z]{1,8}", 0..5),
        typed in prop::collection::vec(typed(), 1..5),
        after in prop::collection::vec("[a-z]{1,8}", 0..5),
    ) {
        let query = [before, typed.clone(), after].concat().join(" ");
        let found = read(&query);
        for typed in typed {
            let wanted = &read(&typed).filters[0];
            prop_assert!(found.filters.contains(wanted), "{} in {}", typed, query);
        }
    }

    #[test]
    fn filters_from_words_can_be_typed_as_keys(at in 0..FILTERS.len() + NEGATIONS.len() + RANGES.len() + ORDERS.len()) {
        let found = read([FILTERS, NEGATIONS, RANGES, ORDERS].concat()[at].0);
        let typed: Vec<String> = found.filters.iter().map(Filter::to_key_value).collect();
        let again = read(&typed.join(" "));
        let tests = |found: &Understood| found.filters.iter().map(|filter| (filter.test.clone(), filter.negated)).collect::<Vec<_>>();
        prop_assert_eq!(tests(&again), tests(&found), "{:?}", typed);
    }

    #[test]
    fn bounds_hold_what_both_hold(a in 0u64..9, b in 0u64..9, c in 0u64..9, d in 0u64..9, value in 0u64..10, kinds in 0u32..81) {
        use std::ops::Bound;
        let bound = |n: u64, kind: u32| match kind % 3 {
            0 => Bound::Included(n),
            1 => Bound::Excluded(n),
            _ => Bound::Unbounded,
        };
        let one = Bounds::new(bound(a, kinds), bound(b, kinds / 3));
        let other = Bounds::new(bound(c, kinds / 9), bound(d, kinds / 27));
        prop_assert_eq!(one.and(other).contains(value), one.contains(value) && other.contains(value));
        prop_assert!(!(one.is_empty() && one.contains(value)));
    }
}

#[test]
fn hostile_queries_are_cut_and_understood() {
    let long = [
        "\"".repeat(20_000),
        "\u{201c}a ".repeat(10_000),
        "-".repeat(20_000),
        "a:".repeat(10_000),
        "cost:>".repeat(5_000),
        format!("tag:{}", "a,".repeat(10_000)),
        "since May ".repeat(3_000),
        "failed and ".repeat(3_000),
        "1 hour and ".repeat(3_000),
        "premium or ".repeat(3_000),
        "(((((".repeat(5_000),
        "\u{0}\u{7}\u{1b}[31m".repeat(4_000),
        "é\u{301}🦀".repeat(4_000),
        "9".repeat(20_000),
        "2026-".repeat(5_000),
        "status:failed ".repeat(2_000),
        "cost:> cost:> ".repeat(2_000),
        "tag:\"".repeat(4_000),
        "not failed or ".repeat(2_000),
        "most expensive first ".repeat(2_000),
        "失敗a".repeat(3_000),
        "läufe the ".repeat(2_000),
    ];
    for query in long {
        let found = read(&query);
        // Where scripts meet, there is a space more.
        assert!(found.text.len() <= 2 * QUERY_BYTES_MAX, "{}", found.text.len());
        assert!(!found.text.contains(char::is_control));
        assert!(found.filters.len() < 3_000 && found.notes.len() <= 9);
        assert!(found.notes[0].contains("bytes"));
    }
}
