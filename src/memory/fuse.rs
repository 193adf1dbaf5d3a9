//! One order out of two: what the words say and what the meaning says.
//!
//! The rule is kept as data, with the measurements that chose it in `benches/README.md`.

use std::collections::HashMap;
use std::hash::Hash;

/// How two scores become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What the words count beside the meaning: the score is cosine + weight × BM25 / the highest BM25.
    pub words: f32,
}

/// The rule in use. Reciprocal rank fusion loses wherever one side is much better than the other; a mix of scores does not.
pub const RULE: Rule = Rule { words: 0.25 };

/// What is known of one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused<T> {
    /// The candidate.
    pub item: T,
    /// The score that orders: higher is better.
    pub score: f32,
    /// Its place among the words' side, from 1.
    pub lexical_rank: Option<u32>,
    /// Its place among the meanings' side, from 1.
    pub semantic_rank: Option<u32>,
    /// Its BM25 score.
    pub bm25: Option<f32>,
    /// Its cosine.
    pub cosine: Option<f32>,
}

/// Makes one order, best first. `lexical` and `semantic` are ordered, best first; `cosines` are those of candidates that only the
/// words' side found, as far as they are known. A candidate without one is taken to be as near as the last of `semantic`.
/// Candidates of equal score keep the order in which they were found, words first.
pub fn fuse<T: Copy + Eq + Hash>(
    rule: Rule,
    lexical: &[(T, f32)],
    semantic: &[(T, f32)],
    cosines: &HashMap<T, f32>,
) -> Vec<Fused<T>> {
    let best = lexical.first().map_or(0.0, |(_, score)| *score);
    let unknown = semantic.last().map_or(0.0, |(_, cosine)| *cosine);
    let mut places: HashMap<T, usize> = HashMap::new();
    let mut fused: Vec<Fused<T>> = Vec::new();
    for (rank, (item, bm25)) in (1..).zip(lexical) {
        places.insert(*item, fused.len());
        let cosine = cosines.get(item).copied();
        fused.push(Fused { item: *item, score: 0.0, lexical_rank: Some(rank), semantic_rank: None, bm25: Some(*bm25), cosine });
    }
    for (rank, (item, cosine)) in (1..).zip(semantic) {
        let place = *places.entry(*item).or_insert_with(|| {
            fused.push(Fused { item: *item, score: 0.0, lexical_rank: None, semantic_rank: None, bm25: None, cosine: None });
            fused.len() - 1
        });
        (fused[place].semantic_rank, fused[place].cosine) = (Some(rank), Some(*cosine));
    }
    for one in &mut fused {
        let words = if best > 0.0 { one.bm25.unwrap_or(0.0) / best } else { 0.0 };
        one.score = if semantic.is_empty() { words } else { one.cosine.unwrap_or(unknown) + rule.words * words };
    }
    fused.sort_by(|a, b| b.score.total_cmp(&a.score));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_sides_like_comes_first_and_ranks_are_kept() {
        let fused = fuse(RULE, &[("a", 8.0), ("b", 4.0)], &[("b", 0.6), ("c", 0.5)], &HashMap::from([("a", 0.3)]));
        let order: Vec<&str> = fused.iter().map(|one| one.item).collect();
        assert_eq!(order, ["b", "a", "c"]);
        assert_eq!((fused[0].lexical_rank, fused[0].semantic_rank), (Some(2), Some(1)));
        assert!((fused[0].score - (0.6 + 0.25 * 0.5)).abs() < 1e-6);
    }

    #[test]
    fn one_side_alone_keeps_its_order() {
        let words = [("a", 8.0), ("b", 4.0), ("c", 4.0)];
        let items = |fused: Vec<Fused<&'static str>>| fused.iter().map(|one| one.item).collect::<Vec<_>>();
        assert_eq!(items(fuse(RULE, &words, &[], &HashMap::new())), ["a", "b", "c"]);
        assert_eq!(items(fuse(RULE, &[], &[("x", 0.4), ("y", 0.1)], &HashMap::new())), ["x", "y"]);
        assert!(fuse::<u32>(RULE, &[], &[], &HashMap::new()).is_empty());
    }

    #[test]
    fn a_candidate_without_a_vector_is_taken_to_be_as_near_as_the_last() {
        let fused = fuse(RULE, &[("a", 8.0)], &[("b", 0.6), ("c", 0.5)], &HashMap::new());
        assert!((fused.iter().find(|one| one.item == "a").unwrap().score - 0.75).abs() < 1e-6);
    }
}
