//! One order out of two: what the words say and what the meaning says.
//!
//! The rule is kept as data, with the measurements that chose it in `benches/README.md`.

/// How two scores become one: nearness + `words` × share^`power`.
///
/// The share is BM25 divided by the most that the question could score, so that it means the same for every question: the best hit of a
/// paraphrase is often one accidental word. The power makes a small share count less than in proportion, and a large one more: words
/// that many others of the question accompany are seldom there by accident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What the words count beside the meaning.
    pub words: f32,
    /// By what power of it the share counts.
    pub power: f32,
    /// How much of the mean vector of the best runs is added to the question's own before nearness is measured (pseudo-relevance
    /// feedback: Rocchio 1971), so that candidates are compared with what was found too.
    pub feedback: f32,
    /// How many runs that mean is of.
    pub feedback_runs: usize,
    /// What one fact counts that the question would rather have.
    pub soft: f32,
}

/// The rule in use.
pub const RULE: Rule = Rule { words: 2.5, power: 2.0, feedback: 0.3, feedback_runs: 3, soft: 0.02 };

/// Nearness below which texts have nothing to do with each other, for one embedding model: measured on pairs of such texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unrelated {
    /// The mean of their cosines.
    pub mean: f32,
    /// The standard deviation of their cosines.
    pub deviation: f32,
}

impl Unrelated {
    /// Returns the cosine that one in some two thousand unrelated pairs exceeds: what is not as near is no hit.
    pub fn floor(self) -> f32 {
        self.mean + 3.3 * self.deviation
    }

    /// Returns the cosine that the nearest of many unrelated texts seldom exceeds: an answer whose best hit is not as near has none.
    pub fn floor_of_best(self) -> f32 {
        self.mean + 3.75 * self.deviation
    }
}

/// From this share on words alone make a document a hit.
pub const SHARE_MIN: f32 = 0.15;

/// What is known of one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused<T> {
    /// The candidate.
    pub item: T,
    /// The score that orders: higher is better.
    pub score: f32,
    /// Its place among what the words' side put forward, from 1.
    pub lexical_rank: Option<u32>,
    /// Its place among what the meanings' side put forward, from 1.
    pub semantic_rank: Option<u32>,
    /// Its BM25 score.
    pub bm25: Option<f32>,
    /// BM25 divided by the most that the question could score: 0 to 1, and a little more where titles and identifiers add to it.
    pub share: f32,
    /// Its cosine with the question.
    pub cosine: Option<f32>,
    /// Its cosine with the question and the best runs together.
    pub nearness: Option<f32>,
    /// What else adds to its score: facts that the question would rather have, identifiers of the question.
    pub bonus: f32,
    /// It holds a rare identifier of the question exactly as it is written.
    pub is_named: bool,
}

impl<T> Fused<T> {
    /// Returns a candidate of which nothing is known yet.
    pub fn new(item: T) -> Self {
        Self {
            item,
            score: 0.0,
            lexical_rank: None,
            semantic_rank: None,
            bm25: None,
            share: 0.0,
            cosine: None,
            nearness: None,
            bonus: 0.0,
            is_named: false,
        }
    }
}

/// Scores `candidates` and puts the best first. A candidate whose nearness is not known is taken to be as near as the farthest of the
/// others when it shares nothing with the question, and nearer the more it shares: from [`SHARE_MIN`] on as near as the nearest, so that
/// what the words alone make a hit never comes after what shares none of them. Candidates of equal score keep their order.
pub fn fuse<T>(rule: Rule, candidates: &mut [Fused<T>]) {
    let near = |one: &Fused<T>| one.nearness.or(one.cosine);
    let farthest = candidates.iter().filter_map(near).reduce(f32::min).unwrap_or(0.0);
    let nearest = candidates.iter().filter_map(near).reduce(f32::max).unwrap_or(0.0);
    let assumed = |one: &Fused<T>| farthest + (nearest - farthest) * (one.share / SHARE_MIN).clamp(0.0, 1.0);
    for one in candidates.iter_mut() {
        one.score = near(one).unwrap_or_else(|| assumed(one)) + rule.words * one.share.max(0.0).powf(rule.power) + one.bonus;
    }
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Returns the question's vector moved towards the mean of `best`, of unit length.
pub fn fed_back(rule: Rule, question: &[f32], best: &[Vec<f32>]) -> Vec<f32> {
    let share = rule.feedback / best.len().max(1) as f32;
    let mut moved = question.to_vec();
    for (at, number) in moved.iter_mut().enumerate() {
        *number += share * best.iter().filter_map(|vector| vector.get(at)).sum::<f32>();
    }
    let length = moved.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        moved.iter_mut().for_each(|number| *number /= length);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(item: &'static str, share: f32, cosine: Option<f32>) -> Fused<&'static str> {
        Fused { share, cosine, ..Fused::new(item) }
    }

    fn order(mut candidates: Vec<Fused<&'static str>>) -> Vec<&'static str> {
        fuse(RULE, &mut candidates);
        candidates.iter().map(|one| one.item).collect()
    }

    #[test]
    fn an_accidental_word_does_not_outweigh_the_meaning_and_most_of_the_words_do() {
        let (accident, meant) = (candidate("accident", 0.12, Some(0.35)), candidate("meant", 0.0, Some(0.42)));
        assert_eq!(order(vec![accident, meant]), ["meant", "accident"]);
        let (literal, near) = (candidate("literal", 0.5, Some(0.2)), candidate("near", 0.0, Some(0.6)));
        assert_eq!(order(vec![near, literal]), ["literal", "near"]);
    }

    #[test]
    fn one_side_alone_keeps_its_order() {
        let words = vec![candidate("b", 0.2, None), candidate("a", 0.6, None), candidate("c", 0.2, None)];
        assert_eq!(order(words), ["a", "b", "c"]);
        assert_eq!(order(vec![candidate("y", 0.0, Some(0.1)), candidate("x", 0.0, Some(0.4))]), ["x", "y"]);
        assert!(order(Vec::new()).is_empty());
    }

    #[test]
    fn a_candidate_without_a_vector_is_judged_by_what_it_shares() {
        let others = [candidate("b", 0.0, Some(0.58)), candidate("c", 0.0, Some(0.2))];
        let with = |share| order([candidate("unknown", share, None)].into_iter().chain(others).collect());
        assert_eq!(with(SHARE_MIN), ["unknown", "b", "c"]);
        assert_eq!(with(0.3), ["unknown", "b", "c"]);
        assert_eq!(with(0.05), ["b", "unknown", "c"], "an accidental word");
        let mut none = [candidate("b", 0.0, Some(0.58)), candidate("unknown", 0.0, None), candidate("c", 0.0, Some(0.2))];
        fuse(RULE, &mut none);
        assert!((none[1].score - 0.2).abs() < 1e-6, "as near as the farthest");
    }

    #[test]
    fn feedback_moves_the_question_towards_what_was_found() {
        let moved = fed_back(RULE, &[1.0, 0.0], &[vec![0.0, 1.0]]);
        assert!(moved[0] > 0.9 && moved[1] > 0.2 && (moved.iter().map(|n| n * n).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(fed_back(RULE, &[0.6, 0.8], &[]), [0.6, 0.8]);
    }
}
