//! How alike the material of two runs is: the files that are the same, and the words that they share.
//!
//! Word sets are compared by a bottom-k sketch (Broder 1997, "On the resemblance and containment of documents"): of the smallest hashes of
//! both, the share that both have estimates the Jaccard index of the whole sets, whatever their sizes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Hashes kept of an input's words: the estimate's standard error is at most 0.5 / √k, 0.03.
const SKETCH: usize = 256;
/// Bytes of one input that are looked at.
const BYTES_MAX: usize = 256 * 1024;
/// Bytes of its beginning that are embedded.
const BEGINNING_BYTES: usize = 1_000;
/// Two inputs that share so much of their words are alike: versions of one text do, different texts of one trade do not.
pub const ALIKE: f64 = 0.5;

/// What is compared of one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputProfile {
    /// The input's id.
    pub input: String,
    /// Files and bytes taken.
    pub size: (u32, u64),
    /// Names and contents, as one hash; `None` when the texts were not retained.
    contents: Option<u64>,
    /// The smallest hashes of its words.
    words: BTreeSet<u64>,
    /// How its text begins: what is embedded. Empty when the texts were not retained.
    pub beginning: String,
}

impl InputProfile {
    /// Makes a profile of an input's files: name and text, `None` for a text that was not retained.
    pub fn new<'t>(input: &str, size: (u32, u64), texts: impl Iterator<Item = (&'t str, Option<&'t str>)>) -> Self {
        let mut profile =
            Self { input: input.to_owned(), size, contents: None, words: BTreeSet::new(), beginning: String::new() };
        let mut whole = DefaultHasher::new();
        let mut is_whole = true;
        let mut left = BYTES_MAX;
        for (name, text) in texts {
            let Some(text) = text else {
                is_whole = false;
                continue;
            };
            (name, text).hash(&mut whole);
            let head = text.get(..text.floor_char_boundary(left)).unwrap_or_default();
            left -= head.len();
            profile.add_words(head);
            let room = BEGINNING_BYTES.saturating_sub(profile.beginning.len());
            profile.beginning.push_str(head.get(..head.floor_char_boundary(room)).unwrap_or_default());
        }
        profile.contents = (is_whole && size.0 > 0).then(|| whole.finish());
        profile
    }

    /// Adds words, in scripts without spaces pairs of letters.
    fn add_words(&mut self, text: &str) {
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            if word.is_ascii() || word.chars().count() < 3 {
                self.add(&word.to_lowercase());
                continue;
            }
            let letters: Vec<char> = word.to_lowercase().chars().collect();
            letters.windows(2).for_each(|pair| self.add(&String::from_iter(pair)));
        }
    }

    fn add(&mut self, word: &str) {
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        let hash = hasher.finish();
        if self.words.len() < SKETCH || self.words.last().is_some_and(|last| hash < *last) {
            self.words.insert(hash);
            if self.words.len() > SKETCH {
                self.words.pop_last();
            }
        }
    }

    /// Tells whether both are the same files; of texts that were not retained, whether their sizes are the same.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.contents, other.contents) {
            (Some(one), Some(other)) => one == other,
            _ => self.size == other.size && self.size.1 > 0,
        }
    }

    /// Returns the share of words that both have, of those that either has: 0 to 1.
    pub fn overlap(&self, other: &Self) -> f64 {
        let smallest: Vec<&u64> = self.words.union(&other.words).take(SKETCH).collect();
        if smallest.is_empty() {
            return 0.0;
        }
        let shared = smallest.iter().filter(|hash| self.words.contains(hash) && other.words.contains(hash)).count();
        shared as f64 / smallest.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> InputProfile {
        InputProfile::new("source", (1, text.len() as u64), [("a.txt", Some(text))].into_iter())
    }

    #[test]
    fn versions_of_a_text_are_alike_and_other_texts_are_not() {
        let first = "Parse the date before the time zone, then the offset; reject what is neither, with the line it was on.";
        let second = "Parse the date before the time zone, then its offset; reject what is neither, with the column it was on.";
        let other = "Poems about rivers and the moon, collected by a sailor who never learned to swim in any of them.";
        assert!(of(first).is_same(&of(first)) && !of(first).is_same(&of(second)));
        assert!(of(first).overlap(&of(second)) > ALIKE, "{}", of(first).overlap(&of(second)));
        assert!(of(first).overlap(&of(other)) < 0.2, "{}", of(first).overlap(&of(other)));
        assert!(of("接続が切れたときは再接続する").overlap(&of("接続が切れたときに再接続する")) > ALIKE);
        assert_eq!(of("").overlap(&of("")), 0.0);
    }

    #[test]
    fn of_texts_that_were_not_retained_their_size_is_known() {
        let lost = |bytes| InputProfile::new("source", (1, bytes), [("a.txt", None)].into_iter());
        assert!(lost(10).is_same(&lost(10)) && !lost(10).is_same(&lost(11)));
        assert!(lost(3).is_same(&of("abc")) && lost(3).overlap(&of("abc")) == 0.0);
    }

    proptest! {
        #[test]
        fn the_sketch_estimates_the_share_of_common_words(shared in 0usize..2_000, one in 0usize..2_000, other in 0usize..2_000) {
            let words = |from: usize, n: usize| (from..from + n).map(|n| format!("w{n} ")).collect::<String>();
            let common = words(0, shared);
            let (a, b) = (of(&(common.clone() + &words(10_000, one))), of(&(common + &words(20_000, other))));
            let exact = if shared + one + other == 0 { 0.0 } else { shared as f64 / (shared + one + other) as f64 };
            // Five standard errors.
            prop_assert!((a.overlap(&b) - exact).abs() < 0.16, "{} for {exact}", a.overlap(&b));
            prop_assert_eq!(a.overlap(&b), b.overlap(&a));
        }
    }
}
