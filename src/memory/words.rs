//! Words as the index sees them: which ones say nothing, and which are no plain words but names of things.

use std::ops::Range;

/// Different words of one question that are searched: more only cost time.
pub const MAX: usize = 64;

/// English words that say nothing about what is sought, the words of questions among them.
pub const STOP: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does", "for",
    "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or",
    "our", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "we", "were", "what", "when",
    "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// A name of a thing within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// Where it is.
    pub range: Range<usize>,
    /// The name, in lower case.
    pub text: String,
}

/// Returns what is no plain word: what has digits, or joins words with `_ . / : @ # +`, or mixes cases within a word.
pub fn identifiers(text: &str) -> Vec<Identifier> {
    let mut found = Vec::new();
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '#' | '+' | '\\');
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, inside(c)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                start = None;
                let word = &text[from..at];
                let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
                let from = from + (word.len() - word.trim_start_matches(|c: char| !c.is_alphanumeric()).len());
                if is_name(trimmed) {
                    found.push(Identifier { range: from..from + trimmed.len(), text: trimmed.to_lowercase() });
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns whether an identifier tells one thing from others: a bare number does not, unless it is long.
pub fn is_telling(identifier: &str) -> bool {
    /// Digits of a number that nobody writes by chance.
    const DIGITS_MIN: usize = 5;
    let letters = identifier.chars().any(char::is_alphabetic);
    let digits = identifier.chars().filter(char::is_ascii_digit).count();
    (letters && identifier.chars().count() >= 3) || digits >= DIGITS_MIN
}

fn is_name(word: &str) -> bool {
    /// Longer ones are data, not names.
    const CHARS_MAX: usize = 100;
    let mixed = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    // Hyphens alone join plain words: `well-known`.
    let marked = word.contains(|c: char| (!c.is_alphanumeric() && c != '-') || c.is_ascii_digit());
    (2..=CHARS_MAX).contains(&word.len()) && (mixed || marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_things_are_told_from_plain_words() {
        let names = |text| identifiers(text).into_iter().map(|name| name.text).collect::<Vec<_>>();
        assert_eq!(names("Did release_prep fail in src/main.rs with E0502?"), ["release_prep", "src/main.rs", "e0502"]);
        assert_eq!(names("version v1.2.3. Then: (PR #42), parseConfig"), ["v1.2.3", "42", "parseconfig"]);
        assert_eq!(names("plain words, nothing else."), [] as [&str; 0]);
        let text = "ünï /releases/2026-10/ ü";
        assert!(identifiers(text).iter().all(|name| text[name.range.clone()].to_lowercase() == name.text));
    }
}
