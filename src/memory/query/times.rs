//! How often something happened to a run, said beside the verb: "escalated more than twice", "attempted at least three times".
//!
//! Beside a noun the same is said with a number alone ("more than 2 escalations"), which [`super::phrase`] reads.

use std::ops::Bound;

use super::amounts::{Cmp, any_phrase, between, comparison, count, dashed_count, w};
use super::filter::{Bounds, FilterTest};
use super::negation;
use super::phrase::{Need, PhraseMatch, Reader, or_more};
use super::scan::Word;

impl Reader<'_> {
    /// Reads a verb and how often it was so, in either order.
    pub fn often(&self, at: usize) -> Option<PhraseMatch> {
        let words = self.words;
        let (verb_at, to, bounds) = match verb(words, at) {
            Some(_) => self.times(at + 1).map(|(to, bounds)| (at, to, bounds))?,
            // "once escalated" says when, not how often.
            None => self.times(at).filter(|_| w(words, at) != "once").map(|(verb_at, bounds)| (verb_at, verb_at + 1, bounds))?,
        };
        let test = verb(words, verb_at)?(bounds)?;
        // The opposite of the least is not the most.
        let is_least = w(words, verb_at) == "retried";
        let need = if is_least && self.is_denied(at) { Need::Never } else { Need::Context };
        Some(PhraseMatch::new(at, to, test, need))
    }

    /// Reads how often, behind a tier that was escalated to. Which of a run's escalations led to that tier is not recorded: so many there
    /// were at least.
    pub fn often_to(&self, at: usize, before: Option<&PhraseMatch>) -> Option<PhraseMatch> {
        before.filter(|found| found.to == at && found.need != Need::Never && self.escalates(found))?;
        let (to, bounds) = self.times(at)?;
        let bounds = Bounds::new(bounds.low, Bound::Unbounded);
        Some(PhraseMatch::new(at, to, FilterTest::Escalations(bounds), Need::Context))
    }

    /// Returns a phrase of a tier as it is to be taken where it is said how often it was escalated to. No filter can say that it was so no
    /// more than so often.
    pub fn numbered(&self, found: PhraseMatch) -> PhraseMatch {
        let Some((_, bounds)) = self.times(found.to).filter(|_| self.escalates(&found)) else { return found };
        let need = if self.is_denied(found.from) || bounds.low == Bound::Unbounded { Need::Never } else { Need::Context };
        PhraseMatch { need, ..found }
    }

    fn is_denied(&self, at: usize) -> bool {
        (0..=1).filter_map(|back| at.checked_sub(back)).any(|at| negation::ends_at(self.words, at).is_some())
    }

    fn escalates(&self, found: &PhraseMatch) -> bool {
        matches!(w(self.words, found.from), "escalated" | "escalating" | "climbed")
            && matches!(found.test(), Some(FilterTest::Tier { .. }))
    }

    /// Reads "more than twice", "three times", "once or twice", "between two and four times", "several times".
    fn times(&self, at: usize) -> Option<(usize, Bounds<u64>)> {
        let words = self.words;
        let at = at + usize::from(matches!(w(words, at), "only" | "just"));
        let (to, bounds) = range(words, at).or_else(|| compared(words, at))?;
        // "three times a day" and "twice as often" are another matter; so is "once the tests had failed".
        let is_rate = matches!(w(words, to), "a" | "an" | "per" | "each" | "every" | "as");
        let is_conjunction = to == at + 1 && w(words, at) == "once" && !self.may_follow_once(to);
        (!is_rate && !is_conjunction).then_some((to, bounds))
    }

    /// Tells whether "once", which ends before `at`, is a number there.
    fn may_follow_once(&self, at: usize) -> bool {
        let is_stopped = at.checked_sub(1).and_then(|last| self.words.get(last)).is_some_and(|word| word.stop);
        let next = w(self.words, at);
        is_stopped
            || next.is_empty()
            || verb(self.words, at).is_some()
            || self.calendar.period(self.words, at).is_some()
            || matches!(next, "and" | "or" | "but" | "then" | "before" | "after" | "with" | "without" | "at" | "that" | "which")
    }
}

/// What is asked of a run, if a filter can say it.
type Asked = fn(Bounds<u64>) -> Option<FilterTest>;

/// Returns what is asked of a run of which a verb was so as often as the bounds say.
fn verb(words: &[Word], at: usize) -> Option<Asked> {
    match w(words, at) {
        "escalated" | "escalate" | "escalates" | "escalating" | "climbed" => Some(|bounds| Some(FilterTest::Escalations(bounds))),
        "attempted" | "tried" => Some(|bounds| Some(FilterTest::Attempts(bounds))),
        "retried" => Some(retried),
        _ => None,
    }
}

/// An attempt more than it was retried there must be at least: whose attempts were the first ones of their agents is not indexed.
fn retried(bounds: Bounds<u64>) -> Option<FilterTest> {
    let low = match bounds.low {
        Bound::Included(0) | Bound::Unbounded => return None,
        Bound::Included(low) => Bound::Included(low.saturating_add(1)),
        Bound::Excluded(low) => Bound::Excluded(low.saturating_add(1)),
    };
    Some(FilterTest::Attempts(Bounds::new(low, Bound::Unbounded)))
}

/// Reads "twice" and "three times".
fn amount(words: &[Word], at: usize) -> Option<(usize, u64)> {
    match w(words, at) {
        "once" => Some((at + 1, 1)),
        "twice" => Some((at + 1, 2)),
        "thrice" => Some((at + 1, 3)),
        _ => {
            let (next, n) = count(words, at)?;
            let unit = w(words, next);
            (unit == "times" || (unit == "time" && !matches!(w(words, at), "a" | "an"))).then_some((next + 1, n))
        }
    }
}

fn range(words: &[Word], at: usize) -> Option<(usize, Bounds<u64>)> {
    let of = |low: u64, high: u64| Bounds::new(Bound::Included(low), Bound::Included(high));
    let alternative = || {
        let (or, low) = amount(words, at).or_else(|| count(words, at))?;
        let (to, high) = amount(words, or + 1).filter(|(_, high)| w(words, or) == "or" && *high > low)?;
        Some((to, of(low, high)))
    };
    let dashed = || dashed_count(words, at).filter(|(to, _)| w(words, *to) == "times").map(|(to, bounds)| (to + 1, bounds));
    between(words, at, |at| amount(words, at), |at, _| count(words, at)).or_else(alternative).or_else(dashed)
}

fn compared(words: &[Word], at: usize) -> Option<(usize, Bounds<u64>)> {
    if let Some(to) = any_phrase(words, at, &["several times", "multiple times", "many times", "repeatedly"]) {
        return Some((to, Cmp::More.bounds(1)));
    }
    if let Some((next, cmp)) = comparison(words, at) {
        return amount(words, next).map(|(to, n)| (to, cmp.bounds(n)));
    }
    let (to, n) = amount(words, at)?;
    Some(or_more(words, to).map_or((to, Bounds::exactly(n)), |(to, cmp)| (to, cmp.bounds(n))))
}
