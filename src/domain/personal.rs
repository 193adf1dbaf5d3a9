//! What is removed from texts on request, at the capture level `redacted`: addresses, telephones, names, and whatever looks random.
//!
//! It is done before anything is judged, forwarded or recorded, so that judging, resuming and replaying see one text; what to look for is
//! recorded nowhere, since names are among it. Matches become `[redacted:KIND]`, and redacting twice changes nothing more. Dates, versions,
//! addresses of machines, run ids and plain numbers are no telephones.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::ids::RunId;
use super::redact::{bits_per_char, replace};
use super::settings::RedactionSettings;

/// RFC 5322 allows more than people have; this is what they write.
static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)[a-z0-9][a-z0-9._%+-]{0,63}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.[a-z]{2,24}\b").ok());

/// With a country's prefix, with the area in brackets, with a leading zero and groups, or in groups of 3, 3 and 4.
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        r"(?:\+|\b00)[1-9][0-9]{0,2}[ ./-]?(?:\(0?\d{1,5}\)[ ./-]?)?\d{1,5}(?:[ ./-]?\d{2,5}){1,4}\b",
        r"\(0?\d{2,5}\)[ ./-]?\d{2,5}(?:[ ./-]\d{2,5}){1,3}\b",
        r"\b0\d{1,4}[ /-]\d{2,5}(?:[ -]?\d{2,5}){1,3}\b",
        r"\b\d{3}(?:-\d{3}-|\.\d{3}\.)\d{4}\b",
    ];
    Regex::new(&forms.map(|form| format!("(?:{form})")).join("|")).ok()
});

/// What could be a generated secret: long, without anything that words have between them.
static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{20,}={0,2}").ok());

/// Bits per character from which a token counts as random; words of any language lie well below.
const RANDOM_BITS: f64 = 4.0;

/// Digits that a telephone has.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Removes what the settings ask for; borrowed when there was nothing.
pub fn redact<'a>(rules: &RedactionSettings, text: &'a str) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    let mut pass = |regex: Option<&Regex>, kind: &'static str, is_meant: &dyn Fn(&str, usize, usize) -> bool| {
        let Some(regex) = regex else { return };
        let meant = |text: &str| {
            let found = replace(text, regex, |found| {
                is_meant(text, found.start(), found.end()).then_some((found.start(), found.end(), kind))
            });
            match found {
                Cow::Borrowed(_) => None,
                Cow::Owned(text) => Some(text),
            }
        };
        if let Some(changed) = meant(&text) {
            text = Cow::Owned(changed);
        }
    };
    if rules.emails {
        pass(EMAIL.as_ref(), "email", &|_, _, _| true);
    }
    if rules.phones {
        pass(PHONE.as_ref(), "phone", &is_phone);
    }
    if !rules.names.is_empty() {
        pass(names(&rules.names).as_ref(), "name", &|_, _, _| true);
    }
    if rules.entropy {
        pass(TOKEN.as_ref(), "random", &|text, start, end| is_random(&text[start..end]));
    }
    text
}

/// Builds the pattern of names: whole words, whatever their case and the spaces between them.
fn names(names: &[String]) -> Option<Regex> {
    let mut names: Vec<&str> = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    // The longest first, so that a full name goes as a whole.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let words = |name: &&str| name.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+");
    let parts: Vec<String> = names.iter().map(words).collect();
    if parts.is_empty() {
        return None;
    }
    RegexBuilder::new(&format!(r"\b(?:{})\b", parts.join("|"))).case_insensitive(true).build().ok()
}

/// A match that is part of a longer word or number, or a date, is no telephone.
fn is_phone(text: &str, start: usize, end: usize) -> bool {
    let found = &text[start..end];
    let digits = found.bytes().filter(u8::is_ascii_digit).count();
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    let joins = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || matches!(char, '_' | ':' | '@' | '='));
    let goes_on = |char: Option<char>| matches!(char, Some('.' | '-' | '/'));
    let continues = goes_on(after) && text[end..].chars().nth(1).is_some_and(|char| char.is_ascii_digit());
    let continued = goes_on(before) && text[..start].chars().rev().nth(1).is_some_and(|char| char.is_ascii_alphanumeric());
    PHONE_DIGITS.contains(&digits) && !joins(before) && !joins(after) && !continues && !continued
}

/// Ids of runs are made to be shown.
fn is_random(token: &str) -> bool {
    if token.parse::<RunId>().is_ok() {
        return false;
    }
    let has = |of: fn(&u8) -> bool| token.bytes().any(|byte| of(&byte));
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && bits_per_char(token) >= RANDOM_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> RedactionSettings {
        RedactionSettings {
            emails: true,
            phones: true,
            names: vec!["Ada Lovelace".into(), "Ada".into(), "Müller".into()],
            entropy: true,
        }
    }

    #[test]
    fn the_patterns_compile() {
        assert!(EMAIL.is_some() && PHONE.is_some() && TOKEN.is_some());
    }

    #[test]
    fn what_was_asked_for_is_removed_and_marked() {
        for (text, expected) in [
            ("write to ada.lovelace+x@example.co.uk.", "write to [redacted:email]."),
            ("call +49 30 1234567 or (030) 123 4567", "call [redacted:phone] or [redacted:phone]"),
            ("+1 (415) 555-2671, 415-555-2671, 0049 30 123456", "[redacted:phone], [redacted:phone], [redacted:phone]"),
            ("tel. 0221/12 34 56", "tel. [redacted:phone]"),
            ("ada\n  LOVELACE met müller and Adam", "[redacted:name] met [redacted:name] and Adam"),
            ("token Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg9X here", "token [redacted:random] here"),
        ] {
            assert_eq!(redact(&all(), text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "on 2026-11-27 at 10:00:00, version 1.2.3-rc.4, 192.168.100.200, 0.5-0.75, 100 200 3000",
            "run 01M8FPSRDQYHKBHBAZ6E2GCHKG took 1234567 ns and cost 26986500 nUSD, line 0123456789",
            "chapter 3.14.1592, 2026/11/27, port 127.0.0.1:8080, isbn=978-3-16-148410-0",
            "an @mention, a decorator @app.route, user@localhost",
            "the quick brown fox jumps over the lazy dog, internationalization_of_everything",
            "",
        ] {
            assert!(matches!(redact(&all(), text), Cow::Borrowed(_)), "{}", redact(&all(), text));
        }
        let none = RedactionSettings::default();
        assert_eq!(redact(&none, "ada@example.org +49 30 1234567"), "ada@example.org +49 30 1234567");
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(text in "[ -~äé\n]{0,80}(ada@example\\.org|\\+49 30 1234567|Ada)?[ -~]{0,40}") {
            let once = redact(&all(), &text).into_owned();
            prop_assert_eq!(redact(&all(), &once), once.as_str());
        }
    }
}
