//! BM25: what a word counts that a document holds, as numbers alone.
//!
//! Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the constants of Lucene and tantivy.

/// How soon more of the same word stops counting.
const K1: f32 = 1.2;
/// How much the length of a document counts against it.
const B: f32 = 0.75;

/// A word that no document holds is searched with one letter changed, from this length on and with this weight.
pub const FUZZY_CHARS_MIN: usize = 5;
pub const FUZZY_WEIGHT: f32 = 0.5;
/// What a word in a title counts beside the same word in the body.
pub const TITLE_WEIGHT: f32 = 0.4;
/// What an identifier counts that a document holds exactly as it is written.
pub const EXACT_WEIGHT: f32 = 2.0;
/// An identifier is rare when at most one in so many documents holds it.
pub const RARE_SHARE: u64 = 200;

/// The most that [`saturation`] can be: what a document of that one word only would come to.
pub const SATURATION_MAX: f32 = K1 + 1.0;

/// Returns how rare a word is that `holding` of `documents` hold (inverse document frequency, in nats).
pub fn idf(documents: u64, holding: u64) -> f32 {
    let others = documents.saturating_sub(holding) as f32;
    (1.0 + (others + 0.5) / (holding as f32 + 0.5)).ln()
}

/// Returns what `occurrences` of a word count in a text of `length` words, where texts have `mean` words on average.
pub fn saturation(occurrences: u32, length: u32, mean: f32) -> f32 {
    let occurrences = occurrences as f32;
    let relative = if mean > 0.0 { length as f32 / mean } else { 1.0 };
    occurrences * SATURATION_MAX / (occurrences + K1 * (1.0 - B + B * relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_in_short_texts_count_most_and_nothing_counts_more_than_the_most() {
        assert!(idf(1000, 1) > idf(1000, 10) && idf(1000, 10) > idf(1000, 1000) && idf(1000, 1000) > 0.0);
        assert!(idf(0, 0) > 0.0 && idf(1, 5) > 0.0, "statistics of two moments may not fit each other");
        assert!(saturation(2, 50, 50.0) > saturation(1, 50, 50.0) && saturation(1, 10, 50.0) > saturation(1, 90, 50.0));
        assert!((saturation(1, 50, 50.0) - 1.0).abs() < 1e-6);
        assert!(saturation(1_000_000, 1, 50.0) <= SATURATION_MAX && saturation(3, 3, 0.0) <= SATURATION_MAX);
    }
}
