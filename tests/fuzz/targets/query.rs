//! Any text is understood: without end in sight, without a panic, and every filter of it can be typed as a key again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use meno::memory::query::{Filter, Known, Vocabulary, understand};

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Vocabulary::new(Known {
        templates: vec![("release_prep".to_owned(), "Release preparation".to_owned())],
        roles: names(&["type_checker", "security auditor"]),
        models: names(&["claude-sonnet-4-5", "gpt-5"]),
        providers: names(&["anthropic", "openai"]),
        tags: names(&["flaky"]),
        labels: vec![("team".to_owned(), "core".to_owned())],
    })
});

fuzz_target!(|query: &str| {
    let Ok(now) = "2026-11-22T12:00:00+01:00[+01:00]".parse() else { return };
    let understood = understand(query, &VOCABULARY, &now);
    assert!(!understood.line().is_empty() && !understood.text.contains(char::is_control));
    drop(understood.report());
    let typed: Vec<String> = understood.filters.iter().map(Filter::to_key_value).collect();
    for (filter, typed) in understood.filters.iter().zip(typed) {
        let again = understand(&typed, &VOCABULARY, &now);
        assert!(again.filters.iter().any(|other| other.key() == filter.key()), "{typed}");
    }
});
