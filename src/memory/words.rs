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

/// Returns whether a character is of a script that is written without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
/// Vowel signs and tone marks belong to them, digits and punctuation do not.
pub fn is_spaceless(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' // Thai
        | '\u{e81}'..='\u{ece}' | '\u{edc}'..='\u{edf}' // Lao
        | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}' | '\u{109a}'..='\u{109d}' | '\u{aa60}'..='\u{aa76}' | '\u{aa7a}'..='\u{aa7f}' // Burmese
        | '\u{1780}'..='\u{17d3}' | '\u{17d7}' | '\u{17dc}'..='\u{17dd}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' // Han
        | '\u{3041}'..='\u{3096}' | '\u{3099}'..='\u{309a}' | '\u{309d}'..='\u{309f}' // Hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' | '\u{1b000}'..='\u{1b16f}' // Katakana
    )
}

/// Returns where the words of `text` are, in order. In scripts without spaces every two characters that stand together are one, so that a
/// word is found wherever in a sentence it is; a character that stands alone is one too.
pub fn spans(text: &str) -> Spans<'_> {
    Spans { text, at: 0, pair: None }
}

/// The words of a text, one by one.
#[derive(Clone, Debug)]
pub struct Spans<'a> {
    text: &'a str,
    /// Where to go on.
    at: usize,
    /// Where the second character of the last pair begins, which the next one may begin with.
    pair: Option<usize>,
}

impl Iterator for Spans<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let text = self.text;
        let char_at = |at: usize| text.get(at..).and_then(|rest| rest.chars().next());
        let spaceless_at = |at: usize| char_at(at).filter(|c| is_spaceless(*c));
        if let Some(second) = self.pair.take()
            && let Some(third) = spaceless_at(self.at)
        {
            self.pair = Some(self.at);
            self.at += third.len_utf8();
            return Some(second..self.at);
        }
        let is_inside = |c: char| c.is_alphanumeric() || is_spaceless(c);
        let start = self.at + text.get(self.at..)?.find(is_inside)?;
        if let Some(first) = spaceless_at(start) {
            self.at = start + first.len_utf8();
            if let Some(second) = spaceless_at(self.at) {
                self.pair = Some(self.at);
                self.at += second.len_utf8();
            }
            return Some(start..self.at);
        }
        let rest = text.get(start..)?;
        self.at = start + rest.find(|c: char| !c.is_alphanumeric() || is_spaceless(c)).unwrap_or(rest.len());
        Some(start..self.at)
    }
}

/// A name of a thing within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// Where it is.
    pub range: Range<usize>,
    /// The name, in lower case.
    pub text: String,
}

/// Returns what is no plain word: what has digits, or joins words with `_ . / : @ # +`, or mixes cases within a word. A script without spaces
/// ends it: nothing else parts a name from the sentence that it stands in.
pub fn identifiers(text: &str) -> Vec<Identifier> {
    let mut found = Vec::new();
    let inside =
        |c: char| c.is_alphanumeric() && !is_spaceless(c) || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '#' | '+' | '\\');
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

    #[test]
    fn scripts_without_spaces_are_read_by_twos() {
        let words = |text: &'static str| spans(text).map(|span| &text[span]).collect::<Vec<_>>();
        assert_eq!(words("the disk, was_full 2x"), ["the", "disk", "was", "full", "2x"]);
        assert_eq!(words("不安定なテスト。"), ["不安", "安定", "定な", "なテ", "テス", "スト"]);
        assert_eq!(words("APIキーを3回、猫"), ["API", "キー", "ーを", "3", "回", "猫"]);
        assert_eq!(words("ที่นี่ ປະ"), ["ที", "ี่", "่น", "นี", "ี่", "ປະ"], "marks are part of a word");
        assert_eq!(words("한국어 тест ünï"), ["한국어", "тест", "ünï"], "scripts with spaces are as they were");
        assert_eq!(words(" 。"), [] as [&str; 0]);
    }

    #[test]
    fn a_name_within_a_sentence_without_spaces_is_found() {
        let names = |text| identifiers(text).into_iter().map(|name| name.text).collect::<Vec<_>>();
        assert_eq!(names("src/main.rsを直す、E0502が出た"), ["src/main.rs", "e0502"]);
    }

    proptest::proptest! {
        #[test]
        fn words_cover_every_letter(text in "([a-zü ]|[ไทยกข่]|[テスト安定。]|[0-9_]){0,60}") {
            let mut covered = vec![false; text.len()];
            let mut last = 0;
            for span in spans(&text) {
                proptest::prop_assert!(span.start >= last && !text[span.clone()].is_empty());
                last = span.start;
                covered[span].iter_mut().for_each(|byte| *byte = true);
            }
            for (at, c) in text.char_indices() {
                proptest::prop_assert_eq!(covered[at], c.is_alphanumeric() || is_spaceless(c));
            }
        }
    }
}
