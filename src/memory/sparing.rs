//! Vectors of a past that is too long to be embedded while somebody waits: those of the texts that are nearest by words.
//!
//! What was embedded once is kept, so that each question finds more of the past embedded than the last one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::bm25;
use super::collection::{embed_once, not_embedded};
use super::embed::Embedder;
use super::index;
use super::words;

/// Vectors of a past and of what is asked about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meanings {
    /// Per text of the past; empty for one that was left out.
    pub past: Vec<Vec<f32>>,
    /// Per text that is asked about.
    pub asked: Vec<Vec<f32>>,
    /// Texts of the past that were left out.
    pub left_out: usize,
}

/// Embeds the texts `asked`, and those of `past` that have no vector in the folder `cache` yet: at most `limit`, the nearest to `asked` by
/// words first, and of equally near ones those at the front. `progress` is told how many of how many are embedded.
///
/// # Errors
/// An [`index::Error`].
pub fn embed_nearest(
    embedder: &Embedder,
    cache: &Path,
    (past, asked): (&[&str], &[&str]),
    limit: usize,
    progress: index::GoOn<'_>,
) -> Result<Meanings, index::Error> {
    let missing = not_embedded(embedder, cache, past)?;
    let skipped: HashSet<&str> =
        by_words(&missing, asked).into_iter().skip(limit).filter_map(|at| missing.get(at).copied()).collect();
    let is_taken = |text: &&&str| !skipped.contains(**text);
    let texts: Vec<&str> = past.iter().filter(is_taken).chain(asked).copied().collect();
    let mut vectors = embed_once(embedder, cache, &texts, progress)?.into_iter();
    let past: Vec<Vec<f32>> =
        past.iter().map(|text| if skipped.contains(text) { Vec::new() } else { vectors.next().unwrap_or_default() }).collect();
    let left_out = past.iter().filter(|vector| vector.is_empty()).count();
    Ok(Meanings { past, asked: vectors.collect(), left_out })
}

/// Returns the places of `texts`, those first that hold most of the words of `asked`: rare words count more, and long texts hold many.
fn by_words(texts: &[&str], asked: &[&str]) -> Vec<usize> {
    let words_of = |text: &str| -> BTreeSet<String> {
        let words = words::spans(text).filter_map(|range| text.get(range)).map(str::to_lowercase);
        words.filter(|word| !words::STOP.contains(&word.as_str())).collect()
    };
    let asked: BTreeSet<String> = asked.iter().flat_map(|text| words_of(text)).collect();
    let mut holding: HashMap<String, u64> = HashMap::new();
    let mut shared: Vec<(Vec<String>, usize)> = Vec::with_capacity(texts.len());
    for text in texts {
        let words = words_of(text);
        let common: Vec<String> = words.intersection(&asked).cloned().collect();
        common.iter().for_each(|word| *holding.entry(word.clone()).or_default() += 1);
        shared.push((common, words.len()));
    }
    let count = |word: &String| bm25::idf(texts.len() as u64, holding.get(word).copied().unwrap_or_default());
    let near = |(common, length): &(Vec<String>, usize)| common.iter().map(count).sum::<f32>() / (*length.max(&1) as f32).sqrt();
    let mut order: Vec<(f32, usize)> = shared.iter().map(near).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAST: [&str; 5] = [
        "Write a poem about the moon",
        "Prove the conjecture about primes",
        "List kinds of cheese",
        "Prove the conjecture about primes",
        "List the files of a folder",
    ];

    #[test]
    fn what_shares_rare_words_with_the_question_comes_first_and_then_what_stands_in_front() {
        assert_eq!(by_words(&PAST, &["list seven kinds of cheese"]), [2, 4, 0, 1, 3]);
        assert_eq!(by_words(&PAST, &["a poem", "a proof about primes"]), [0, 1, 3, 2, 4]);
        assert_eq!(by_words(&PAST, &["", "zzz of the"]), [0, 1, 2, 3, 4]);
        assert_eq!(by_words(&[], &["list"]), [] as [usize; 0]);
    }

    #[test]
    #[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
    fn of_a_long_past_so_many_are_embedded_at_a_time_and_what_is_left_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let embedder = Embedder::builtin().with_workers(1);
        let embed = |limit| {
            let asked = ["list seven kinds of cheese"];
            let found = embed_nearest(&embedder, dir.path(), (&PAST, &asked), limit, &|_, _| true).unwrap();
            assert!(found.asked.len() == 1 && !found.asked[0].is_empty());
            let has: Vec<bool> = found.past.iter().map(|vector| !vector.is_empty()).collect();
            (has, found.left_out)
        };
        assert_eq!(embed(1), (vec![false, false, true, false, false], 4));
        assert_eq!(embed(2), (vec![true, false, true, false, true], 2));
        assert_eq!(embed(0), (vec![true, false, true, false, true], 2));
        assert_eq!(embed(1), (vec![true; 5], 0), "a text that is there twice is embedded once");
    }
}
