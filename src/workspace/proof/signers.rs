//! Who may sign seals: the keys of a `.pub` file, or of OpenSSH's `allowed_signers`.
//!
//! A line of `allowed_signers` is `NAMES [OPTIONS] KEYTYPE KEY`. The options are evaluated as `ssh-keygen -Y verify` does (ssh-keygen(1),
//! "ALLOWED SIGNERS"): for which namespaces the key may sign, and from when until when. What may not sign is reported with the reason,
//! so that an expired key is not mistaken for an unknown one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// The keys of a file, by fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::workspace) struct Signers {
    /// Those that may sign now.
    pub allowed: Vec<String>,
    /// Those that may not, and why.
    pub refused: BTreeMap<String, String>,
}

impl Signers {
    /// Reads the lines of a file: who may sign in `namespace` at the moment `now`. `fingerprint` gives that of the key in two words, type and
    /// bytes, if they are a key that can sign seals.
    pub fn read(text: &str, namespace: &str, now: Timestamp, fingerprint: &dyn Fn(&[&str]) -> Option<String>) -> Self {
        let mut signers = Self::default();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut keys = words.windows(2).enumerate().filter_map(|(at, words)| Some((at, fingerprint(words)?)));
            let Some((at, fingerprint)) = keys.next() else { continue };
            let options = words.get(1..at).unwrap_or_default().join(" ");
            match options_of(&options).into_iter().find_map(|option| refusal(&option, namespace, now)) {
                None => signers.allowed.push(fingerprint),
                Some(why) => drop(signers.refused.insert(fingerprint, why)),
            }
        }
        // One line that allows a key is enough.
        signers.refused.retain(|key, _| !signers.allowed.contains(key));
        signers
    }
}

/// Splits options at commas outside of quotation marks.
fn options_of(text: &str) -> Vec<String> {
    let (mut options, mut is_quoted) = (vec![String::new()], false);
    for char in text.chars() {
        is_quoted ^= char == '"';
        match options.last_mut() {
            Some(option) if char != ',' || is_quoted => option.push(char),
            _ => options.push(String::new()),
        }
    }
    options.retain(|option| !option.trim().is_empty());
    options
}

/// Returns why a line with this option allows nothing, if it does not.
fn refusal(option: &str, namespace: &str, now: Timestamp) -> Option<String> {
    let (name, value) = option.trim().split_once('=').unwrap_or((option.trim(), ""));
    let value = value.trim_matches('"');
    match name.to_ascii_lowercase().as_str() {
        "namespaces" if value.split(',').any(|pattern| matches(pattern.trim(), namespace)) => None,
        "namespaces" => Some(format!("it may sign for `{value}` only, not for `{namespace}`")),
        "valid-after" | "valid-before" => match moment(value) {
            None => Some(format!("`{option}` is no time")),
            Some(after) if name.eq_ignore_ascii_case("valid-after") => {
                (now < after).then(|| format!("it is not valid before {after}"))
            }
            Some(before) => (now >= before).then(|| format!("it expired on {before}")),
        },
        "cert-authority" => Some("it is of a certificate authority, which is not supported".to_owned()),
        _ => Some(format!("its option `{option}` is not supported")),
    }
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, end) => end.is_none(),
        (Some('*'), _) => {
            let rest = &pattern[1..];
            text.char_indices().any(|(at, _)| matches(rest, &text[at..])) || matches(rest, "")
        }
        (Some(first), Some(char)) if first == '?' || first == char => {
            matches(&pattern[first.len_utf8()..], &text[char.len_utf8()..])
        }
        _ => false,
    }
}

/// Reads `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]`; without `Z` it is local time.
fn moment(text: &str) -> Option<Timestamp> {
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    let at = match digits.len() {
        8 => Date::strptime("%Y%m%d", digits).ok()?.to_datetime(jiff::civil::Time::midnight()),
        12 => DateTime::strptime("%Y%m%d%H%M", digits).ok()?,
        14 => DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?,
        _ => return None,
    };
    Some(at.to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAA";

    fn fingerprint(words: &[&str]) -> Option<String> {
        (words == ["ssh-ed25519", "AAAA"]).then(|| "print".to_owned())
    }

    /// Returns why the key of a line with `options` may not sign; `None` when it may.
    #[track_caller]
    fn why(options: &str) -> Option<String> {
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let signers = Signers::read(&format!("# x\nann@example.org {options} {KEY} note\n"), "meno-seal", now, &fingerprint);
        assert_eq!(signers.allowed.len() + signers.refused.len(), 1);
        signers.refused.into_values().next()
    }

    #[test]
    fn options_say_what_a_key_may_sign_and_when() {
        for options in [
            "",
            "namespaces=\"meno-seal\"",
            "NAMESPACES=\"file, meno-*\"",
            "valid-after=\"20260101Z\",valid-before=\"20270101\"",
            "valid-before=\"202611291201Z\",namespaces=\"*\"",
        ] {
            assert_eq!(why(options), None, "{options}");
        }
        for (options, said) in [
            ("valid-before=\"20260101Z\"", "it expired on 2026-01-01T00:00:00Z"),
            ("namespaces=\"meno-seal\",valid-before=\"20261129120000Z\"", "it expired on 2026-11-29T12:00:00Z"),
            ("valid-after=\"20270101Z\"", "it is not valid before 2027-01-01T00:00:00Z"),
            ("namespaces=\"git\"", "it may sign for `git` only, not for `meno-seal`"),
            ("valid-before=\"soon\"", "`valid-before=\"soon\"` is no time"),
            ("cert-authority", "it is of a certificate authority, which is not supported"),
            ("no-touch-required", "its option `no-touch-required` is not supported"),
        ] {
            assert_eq!(why(options).as_deref(), Some(said), "{options}");
        }
    }

    #[test]
    fn one_line_that_allows_a_key_is_enough_and_a_pub_file_is_such_a_line() {
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let both =
            Signers::read(&format!("ann namespaces=\"git\" {KEY}\n{KEY} ann@example.org\n"), "meno-seal", now, &fingerprint);
        assert_eq!((both.allowed.len(), both.refused.len()), (1, 0));
        assert_eq!(Signers::read("nothing here\nssh-ed25519\n\n", "meno-seal", now, &fingerprint), Signers::default());
    }
}
