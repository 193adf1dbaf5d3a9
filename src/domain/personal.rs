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

/// With a country's prefix, with the area in brackets, with a leading zero and groups, or in groups of 3, 3 and 4: with hyphens or dots,
/// and by the North American Numbering Plan also with spaces, a leading 1 and an extension.
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        r"\b(?:1[ .-])?(?:\([2-9][0-8]\d\) ?|[2-9][0-8]\d[ ./-])[2-9]\d{2}[ .-]\d{4}(?:,? ?(?:x|ext\.?) ?\d{1,5})?\b",
        r"(?:\+|\b00)[1-9][0-9]{0,2}[ /-]?(?:\(0?\d{1,5}\)[ /-]?)?\d{1,5}(?:[ /-]?\d{2,5}){1,4}\b",
        r"\(0?\d{2,5}\)[ ./-]?\d{2,5}(?:[ ./-]\d{2,5}){1,3}\b",
        r"\b0\d{1,4}[ /-]\d{2,5}(?:[ -]?\d{2,5}){1,3}\b",
        r"\b\d{3}(?:-\d{3}-|\.\d{3}\.)\d{4}\b",
        // The exchange of made-up numbers; of others a number without its area cannot be told from a range.
        r"\b555-\d{4}\b",
    ];
    Regex::new(&forms.map(|form| format!("(?:{form})")).join("|")).ok()
});

/// Numbers that only the words before them show to be telephones: any number behind what such things are called, a number without its
/// area behind what people say of theirs.
static SPOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        concat!(
            r"(?:(?:(?:tele)?phone|telefon|téléphone|teléfono|tel|tél|fax)(?: ?(?:number|num|no|nr))?(?: is)?[.:]{0,2}|(?:mobile?|handy|cell)[.:]{1,2})",
            r"[ \t]{0,3}\+?\(?\d(?:[ ./()-]{0,2}\d){5,14}",
        ),
        r"(?:call|ring|dial|reach|text)(?: (?:me|us|him|her|them|on|at)){1,2} [2-9]\d{2}[ .-]\d{4}",
        r"(?:my|his|her|our|their|your) number(?: is|:)? [2-9]\d{2}[ .-]\d{4}",
    ];
    Regex::new(&format!(r"(?i)\b(?:{})\b", forms.join("|"))).ok()
});

/// What could be a generated secret: long, without anything that words, paths and names of branches have between them.
static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+]{20,}={0,2}").ok());

/// How much of the entropy that its length and alphabet allow a token has at least when it counts as random.
const RANDOM_SHARE: f64 = 0.75;
/// Shorter hexadecimal numbers are abbreviated hashes and addresses.
const HEX_MIN: usize = 32;

/// Digits that a telephone has.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// What is removed on request, made ready once for many texts.
#[derive(Debug)]
pub struct Rules {
    settings: RedactionSettings,
    names: Option<Regex>,
}

impl Rules {
    /// Makes the rules of these settings ready.
    pub fn new(settings: &RedactionSettings) -> Self {
        Self { settings: settings.clone(), names: names(&settings.names) }
    }

    /// Removes what the settings ask for; borrowed when there was nothing.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        redact(&self.settings, self.names.as_ref(), text)
    }
}

/// Says which part of a match is meant, if any is.
type Meant<'a> = &'a dyn Fn(&str, usize, usize) -> Option<(usize, usize)>;

fn redact<'a>(rules: &RedactionSettings, names: Option<&Regex>, text: &'a str) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    let mut pass = |regex: Option<&Regex>, kind: &'static str, meant_of: Meant<'_>| {
        let Some(regex) = regex else { return };
        let meant = |text: &str| {
            let found =
                replace(text, regex, |found| meant_of(text, found.start(), found.end()).map(|(start, end)| (start, end, kind)));
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
        pass(EMAIL.as_ref(), "email", &|text, start, end| is_email(text, start, end).then_some((start, end)));
    }
    if rules.phones {
        pass(SPOKEN.as_ref(), "phone", &spoken);
        pass(PHONE.as_ref(), "phone", &|text, start, end| is_phone(text, start, end).then_some((start, end)));
    }
    pass(names, "name", &|_, start, end| Some((start, end)));
    if rules.entropy {
        pass(TOKEN.as_ref(), "random", &|text, start, end| is_random(&text[start..end]).then_some((start, end)));
    }
    text
}

/// Builds the pattern of names: whole words, whatever their case and the spaces between them.
fn names(names: &[String]) -> Option<Regex> {
    let mut names: Vec<&str> = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    // The longest first, so that a full name goes as a whole.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let words = |name: &&str| {
        let words = name.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+");
        let edge = |char: Option<char>| if char.is_some_and(|char| char.is_alphanumeric() || char == '_') { r"\b" } else { "" };
        format!("{}{words}{}", edge(name.chars().next()), edge(name.chars().next_back()))
    };
    let parts: Vec<String> = names.iter().map(words).collect();
    if parts.is_empty() {
        return None;
    }
    RegexBuilder::new(&parts.join("|")).case_insensitive(true).size_limit(64 << 20).build().ok()
}

/// Where a repository lies, and pictures for fine screens (`icon@2x.png`), are no addresses of people.
fn is_email(text: &str, start: usize, end: usize) -> bool {
    let mut after = text[end..].chars();
    let is_remote =
        after.next() == Some(':') && after.next().is_some_and(|char| char.is_alphanumeric() || matches!(char, '/' | '~'));
    let host = text[start..end].rsplit('@').next().unwrap_or_default();
    let is_scale = host.strip_prefix(|char: char| char.is_ascii_digit()).is_some_and(|rest| rest.starts_with("x."));
    !is_remote && !is_scale
}

/// Returns the number behind the words that say what it is.
fn spoken(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let number = start + text[start..end].find(|char: char| char.is_ascii_digit() || matches!(char, '+' | '('))?;
    let goes_on = text[end..].starts_with(['.', '-', '/', ':', '=', '_'])
        && text[end..].chars().nth(1).is_some_and(|char| char.is_ascii_alphanumeric());
    (!goes_on && !is_date(&text[number..end])).then_some((number, end))
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
    // Sums of money and numbers with leading zeros.
    let is_plain = found.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
    let is_sum = is_plain && (digits < 10 || found.starts_with('0'));
    PHONE_DIGITS.contains(&digits) && !is_date(found) && !is_sum && !joins(before) && !joins(after) && !continues && !continued
}

/// Days, months and years in any order, with or without a sign before them.
fn is_date(found: &str) -> bool {
    let parts: Vec<&str> = found.trim_start_matches('+').split([' ', '-', '/']).collect();
    let is_day = |part: &str| part.len() == 2 && part.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day));
    let is_year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    matches!(parts[..], [a, b, c] if is_day(b) && (is_day(a) && is_year(c) || is_year(a) && is_day(c)))
        || parts.iter().all(|part| is_year(part))
        || found
            .strip_prefix('(')
            .is_some_and(|rest| rest.get(..5).is_some_and(|part| part.ends_with(')') && is_year(&part[..4])))
}

/// Ids of runs are made to be shown.
fn is_random(token: &str) -> bool {
    if token.parse::<RunId>().is_ok() {
        return false;
    }
    let has = |of: fn(&u8) -> bool| token.bytes().any(|byte| of(&byte));
    if !(has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)) {
        return false;
    }
    let alphabet = match token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true if token.len() < HEX_MIN => return false,
        true => 16.0,
        false => 62.0,
    };
    bits_per_char(token) >= RANDOM_SHARE * f64::min(alphabet, token.len() as f64).log2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> RedactionSettings {
        RedactionSettings {
            emails: true,
            phones: true,
            names: vec!["Ada Lovelace".into(), "Ada".into(), "Müller".into(), "ACME Inc.".into(), "Yahoo!".into()],
            entropy: true,
        }
    }

    #[test]
    fn the_patterns_compile() {
        assert!(EMAIL.is_some() && PHONE.is_some() && SPOKEN.is_some() && TOKEN.is_some());
    }

    #[test]
    fn what_was_asked_for_is_removed_and_marked() {
        for (text, expected) in [
            ("write to ada.lovelace+x@example.co.uk.", "write to [redacted:email]."),
            ("call +49 30 1234567 or (030) 123 4567", "call [redacted:phone] or [redacted:phone]"),
            ("+1 (415) 555-2671, 415-555-2671, 0049 30 123456", "[redacted:phone], [redacted:phone], [redacted:phone]"),
            ("tel. 0221/12 34 56", "tel. [redacted:phone]"),
            ("1-415-555-2671, 1 (415) 555-2671, 415 555 2671", "[redacted:phone], [redacted:phone], [redacted:phone]"),
            ("415.555.2671, 415/555-2671, 415 555-2671 x12", "[redacted:phone], [redacted:phone], [redacted:phone]"),
            ("call me at 234-2671 or 555-0123", "call me at [redacted:phone] or [redacted:phone]"),
            (
                "Tel.: 4155552671, phone 234-2671; fax 2342671",
                "Tel.: [redacted:phone], phone [redacted:phone]; fax [redacted:phone]",
            ),
            ("my number is 234-2671", "my number is [redacted:phone]"),
            ("+491701234567\n+14155552671", "[redacted:phone]\n[redacted:phone]"),
            ("ada\n  LOVELACE met müller and Adam", "[redacted:name] met [redacted:name] and Adam"),
            ("for ACME Inc. and Yahoo!", "for [redacted:name] and [redacted:name]"),
            ("key 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "key [redacted:random]"),
            ("key q7x2m9k4w8z1c5v3b6n0", "key [redacted:random]"),
            ("token Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg9X here", "token [redacted:random] here"),
        ] {
            assert_eq!(Rules::new(&all()).redact(text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "on 2026-11-27 at 10:00:00, version 1.2.3-rc.4, 192.168.100.200, 0.5-0.75, 100 200 3000",
            "run 01M8FPSRDQYHKBHBAZ6E2GCHKG took 1234567 ns and cost 26986500 nUSD, line 0123456789",
            "chapter 3.14.1592, 2026/11/27, port 127.0.0.1:8080, isbn=978-3-16-148410-0",
            "(2024) 2025-2026, (2019) 123-456, git@github.com:foo/bar.git, sizes@2x.png",
            "due 05-12-2026, 01 02 2026, +2026-11-27, rate (2024) 2025 2026",
            "\n+1500000 EUR\n+1.234.567\n+192.168.100.200, x +1000000; id 0012345678, 00123456 nUSD",
            "/usr/lib/python3/dist-packages/requests docs/adr/0012-use-event-sourcing feature/JIRA-1234-add-login-form",
            "runs/01M8FPSRDQYHKBHBAZ6E2GCHKG.lock, commit 9f86d081884c7d65, test_that_3_things_are_4",
            "300-1200 tokens, lines 210-1340, 234-2671, call 200-1000 times, number 2342671, CVE-2021-1234, 2026-11-29 1200",
            "@@ -415,7 +555,2671 @@ index 4155552..5552671 100644\n--- a/src/415/555-2671/x\n+++ b/415-555-2671.rs",
            "total 1 234 567, 215 300, 1,415,555.26 EUR, $415.55, 415 555 267, phone 2026-11-29, telephone 12-34",
            "an @mention, a decorator @app.route, user@localhost",
            "the quick brown fox jumps over the lazy dog, internationalization_of_everything",
            "",
        ] {
            assert!(matches!(Rules::new(&all()).redact(text), Cow::Borrowed(_)), "{}", Rules::new(&all()).redact(text));
        }
        let none = RedactionSettings::default();
        assert_eq!(Rules::new(&none).redact("ada@example.org +49 30 1234567"), "ada@example.org +49 30 1234567");
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(text in "[ -~äé\n]{0,80}(ada@example\\.org|\\+49 30 1234567|Ada)?[ -~]{0,40}") {
            let once = Rules::new(&all()).redact(&text).into_owned();
            prop_assert_eq!(Rules::new(&all()).redact(&once), once.as_str());
        }
    }
}
