use jiff::Zoned;

use super::filter::Outcome;
use super::keys::KEYS;
use super::phrasings::{FOREIGN, NEGATIONS, ORDERS, RANGES, WORDS};
use super::table::{FILTERS, NOW, TEXT, known};
use super::*;

fn now() -> Zoned {
    NOW.parse().unwrap()
}

fn read(query: &str) -> Understood {
    understand(query, &Vocabulary::new(known()), &now())
}

fn said(query: &str) -> String {
    read(query).filters.iter().map(|filter| filter.words.clone()).collect::<Vec<_>>().join(" · ")
}

#[test]
fn phrasings_mean_what_the_table_says() {
    let mut wrong = Vec::new();
    for (query, meaning) in FILTERS {
        // The order of what is said is that of the query; of what is meant there is none.
        let sorted = |text: &str| {
            let mut parts: Vec<String> = text.split(" · ").map(str::to_owned).collect();
            parts.sort();
            parts
        };
        let found = said(query);
        if sorted(&found) != sorted(meaning) {
            wrong.push(format!("{query}\n    wanted {meaning}\n    found  {found}"));
        }
    }
    for query in TEXT {
        let found = said(query);
        if !found.is_empty() {
            wrong.push(format!("{query}\n    is text\n    found  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} phrasings:\n{}", wrong.len(), FILTERS.len() + TEXT.len(), wrong.join("\n"));
}

#[test]
fn negations_ranges_and_superlatives_mean_what_the_table_says() {
    let sorted = |text: &str| {
        let mut parts: Vec<&str> = text.split(" · ").collect();
        parts.sort_unstable();
        parts.join(" · ")
    };
    let mut wrong = Vec::new();
    for (query, meaning) in [NEGATIONS, RANGES, ORDERS].concat() {
        let found = read(query);
        let order = found.order.map(|order| order.to_string());
        let parts: Vec<String> = found.filters.iter().map(|filter| filter.words.clone()).chain(order).collect();
        let (parts, is_all) = (parts.join(" · "), meaning.ends_with(" !"));
        if sorted(&parts) != sorted(meaning.trim_end_matches(" !")) || found.is_all_filters != is_all {
            wrong.push(format!("{query}\n    wanted {meaning}\n    found  {parts}, rest `{}`", found.rest));
        }
    }
    for query in WORDS {
        let found = read(query);
        if !found.filters.is_empty() || found.order.is_some() || found.is_all_filters {
            wrong.push(format!("{query}\n    is text\n    found  {}", found.line()));
        }
    }
    assert!(wrong.is_empty(), "{} phrasings:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn questions_in_other_languages_are_no_filters_and_say_what_comes_first() {
    let mut wrong = Vec::new();
    for (query, meaning) in FOREIGN {
        let found = read(query);
        let first: Vec<String> =
            found.first.iter().map(|test| Filter::new(test.clone(), false, Origin::Words, &now()).words).collect();
        let first = first.join(" · ");
        if !found.filters.is_empty() || found.order.is_some() || first != *meaning {
            wrong.push(format!("{query}\n    wanted {meaning}\n    found  {}, first {first}", found.line()));
        }
        // Keys mean the same in every language.
        let keyed = read(&format!("status:failed {query}"));
        assert_eq!(keyed.filters.iter().map(|filter| filter.words.as_str()).collect::<Vec<_>>(), ["failed"], "{query}");
    }
    assert!(wrong.is_empty(), "{} questions:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_tables_are_large_and_name_no_query_twice() {
    let pairs = [FILTERS, NEGATIONS, RANGES, ORDERS, FOREIGN].concat();
    let all: Vec<&str> = pairs.iter().map(|(query, _)| *query).chain([TEXT, WORDS].concat()).collect();
    let distinct: std::collections::BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(distinct.len(), all.len());
    assert!(all.len() >= 600 && TEXT.len() + WORDS.len() >= 150 && FOREIGN.len() >= 40);
}

#[test]
fn words_where_scripts_meet_are_found_in_a_language_without_spaces() {
    let found = read("1月に失敗したrelease_prepの実行「接続」");
    assert_eq!(found.text, "1 月に失敗した release_prep の実行 接続");
    assert_eq!(found.phrases, ["接続"]);
    assert!(found.ids.contains(&Id::Name("release_prep".to_owned())), "{:?}", found.ids);
}

#[test]
fn a_phrase_alone_is_all_that_is_asked_and_one_of_many_words_is_not() {
    assert!(read("\"type errors\"").phrases_alone && read("status:failed \"type errors\" -draft").phrases_alone);
    assert!(!read("runs with \"type errors\"").phrases_alone);
}

#[test]
fn every_order_can_be_typed() {
    for sort in Sort::ALL {
        assert_eq!(sort.name().parse::<Sort>(), Ok(sort));
        assert_eq!(serde_json::to_value(sort).unwrap(), sort.name());
    }
    assert!("sideways".parse::<Sort>().unwrap_err().contains("most-expensive"));
}

#[test]
fn words_that_are_filters_stay_in_the_text_and_keys_do_not() {
    let query = "failed runs about \"type errors\" cost:>1 -draft";
    let found = read(query);
    assert_eq!(found.text, "failed runs about type errors");
    assert_eq!(found.phrases, ["type errors"]);
    assert_eq!(found.without, ["draft"]);
    let origins: Vec<Origin> = found.filters.iter().map(|filter| filter.origin).collect();
    assert_eq!(origins, [Origin::Hard, Origin::Words]);
}

#[test]
fn the_line_says_what_was_understood() {
    let line = |query: &str| read(query).line();
    assert_eq!(
        line("releases that failed on type errors last month and cost more than a dollar"),
        "understood: failed · since 1 Oct until 31 Oct · cost > $1 · text \"type errors\""
    );
    assert_eq!(line("why does the flow fail"), "understood: text \"why does the flow fail\"");
    let command = read("ran python3 -m unittest -q");
    assert!(command.without.is_empty() && command.text.contains("-m"), "{command:?}");
    assert_eq!(line("status:failed -draft \"a b\""), "understood: failed · exactly \"a b\" · without \"draft\"");
    assert_eq!(line(""), "understood: everything");
}

#[test]
fn keys_that_were_meant_as_alternatives_are_said_to_be_none() {
    for (query, said) in [
        ("tier:premium OR tier:cheap", "`or` between them is not read"),
        ("cost:>1 or escalated:yes", "`or` between them is not read"),
        ("status:failed status:succeeded", "`status:failed,succeeded` finds either"),
    ] {
        let found = read(query);
        assert_eq!((found.filters.len(), found.notes.len()), (2, 1), "{query}: {:?}", found.notes);
        assert!(found.notes[0].contains(said), "{query}: {:?}", found.notes);
    }
    for query in
        ["tier:premium tier:cheap", "status:failed,cancelled", "tests or docs status:failed", "status:failed -status:running"]
    {
        assert_eq!(read(query).notes, Vec::<String>::new(), "{query}");
    }
}

#[test]
fn what_is_typed_like_a_key_and_cannot_be_read_is_text_with_a_note() {
    let found = read("colour:red cost:unknown https://example.org/a?b=1 std::fs 12:30");
    assert_eq!(found.filters, []);
    assert_eq!(found.text, "colour:red cost:unknown https://example.org/a?b=1 std::fs 12:30");
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    assert!(found.notes[0].contains("no key `colour`") && found.notes[1].contains("amount of dollars"), "{:?}", found.notes);
}

#[test]
fn ids_and_names_in_code_are_found() {
    let ids = |query: &str| read(query).ids;
    assert_eq!(ids("what happened in 01kapxz8t0m3n5q7r9s1v3w5x7?")[0], Id::Run("01KAPXZ8T0M3N5Q7R9S1V3W5X7".to_owned()));
    assert!(ids("9s1v3w5x7").contains(&Id::Run("9S1V3W5X7".to_owned())));
    for name in ["parse_date", "http::Error", "src/lib.rs", "HashMap2", "E0308", "#123"] {
        assert!(ids(name).contains(&Id::Name(name.to_owned())), "{name}: {:?}", ids(name));
    }
    assert_eq!(ids("a word, and others than that"), []);
}

#[test]
fn what_is_not_clear_is_a_hint() {
    let boosts = |query: &str| read(query).boosts;
    assert_eq!(boosts("failed logins"), [FilterTest::Status(vec![Outcome::Is(crate::views::status::RunStatus::Failed)])]);
    assert_eq!(boosts("security audit"), [FilterTest::Template(vec!["security_audit".to_owned()])]);
    assert_eq!(boosts("failed runs"), []);
}

#[test]
fn a_filter_for_programs_names_its_ends_and_their_unit() {
    let report = serde_json::to_value(read("runs since May over $1.50").report()).unwrap();
    assert_eq!(report["filters"][0]["since"], "2026-04-30T23:00:00Z");
    assert_eq!(report["filters"][1]["more_than"], 1_500_000_000u64);
    assert_eq!(report["filters"][1]["unit"], "nUSD");
    assert_eq!(report["text"], "runs since May over $1.50");
}

#[test]
fn every_key_is_explained() {
    for key in KEYS {
        assert!(SYNTAX.contains(&format!("{key}:")) || *key == "verified", "{key}");
    }
    assert!(SYNTAX.lines().all(|line| line.chars().count() <= 80));
}
