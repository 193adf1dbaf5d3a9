//! What is said not to hold: "not failed", "without failures", "neither failed nor cancelled", "all but release_prep".
//!
//! Looks to the left of a phrase for the word that denies it. Knows no phrase's meaning.

use super::amounts::{phrase, w};
use super::scan::Word;

/// Words that deny what follows.
const WORDS: &[&str] = &[
    "not",
    "never",
    "no",
    "zero",
    "without",
    "except",
    "excepting",
    "excluding",
    "exclude",
    "excludes",
    "besides",
    "neither",
    "nor",
    "non",
    "lacking",
    "lacks",
    "minus",
    "ignoring",
    "ignore",
    "omitting",
    "omit",
    "skipping",
    "skip",
    "outside",
    "cannot",
    "barring",
    "sans",
    "didnt",
    "dont",
    "doesnt",
    "wasnt",
    "werent",
    "isnt",
    "arent",
    "hasnt",
    "havent",
    "hadnt",
    "aint",
    "cant",
    "wont",
    "couldnt",
    "hide",
    "hiding",
];
/// Phrases that do.
const PHRASES: &[&str] = &[
    "other than",
    "apart from",
    "aside from",
    "rather than",
    "instead of",
    "free of",
    "devoid of",
    "all but",
    "everything but",
    "anything but",
    "any but",
    "leaving out",
    "leave out",
    "filter out",
    "filtering out",
];
/// Words between a denial and what it denies, after which it is no longer clear what holds: "not only failed", "not all failed".
const UNCLEAR: &[&str] = &[
    "only",
    "just",
    "merely",
    "solely",
    "simply",
    "necessarily",
    "always",
    "all",
    "every",
    "both",
    "exclusively",
    "sure",
    "clear",
];
/// Words between a denial and what it denies.
const BETWEEN: &[&str] = &[
    "the",
    "a",
    "an",
    "any",
    "of",
    "in",
    "at",
    "on",
    "from",
    "with",
    "using",
    "use",
    "used",
    "via",
    "by",
    "for",
    "through",
    "to",
    "been",
    "be",
    "being",
    "have",
    "had",
    "has",
    "having",
    "ever",
    "even",
    "yet",
    "also",
    "still",
    "really",
    "actually",
    "get",
    "got",
    "were",
    "was",
    "are",
    "is",
    "do",
    "does",
    "did",
    "run",
    "ran",
    "it",
    "they",
    "we",
    "i",
    "you",
    "single",
    "ones",
    "either",
    "end",
    "ended",
    "counting",
    "including",
    "include",
    "those",
    "made",
    "template",
    "need",
    "needed",
    "reach",
    "show",
    "list",
    "display",
    "want",
    "see",
    "me",
];
/// Those of them that begin a new statement: behind one, nothing is taken over from what stands before "and" or "or".
const AUXILIARIES: &[&str] = &["were", "was", "are", "is", "have", "had", "has", "did", "do", "does", "it", "they", "that"];

/// Whether something is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is not.
    Plain,
    /// It is, by the words from this one on.
    Not(usize),
    /// It is neither said to hold nor not to.
    Unclear,
}

/// Returns the place where the denial begins that ends before `at`.
pub fn ends_at(words: &[Word], at: usize) -> Option<usize> {
    let last = at.checked_sub(1)?;
    let word = w(words, last);
    if WORDS.contains(&word) || word.ends_with("n't") {
        return Some(last);
    }
    PHRASES.iter().find_map(|text| {
        let from = at.checked_sub(text.split(' ').count())?;
        (phrase(words, from, text) == Some(at)).then_some(from)
    })
}

/// Tells whether the word at `at` belongs to a denial.
pub fn is_part(words: &[Word], at: usize) -> bool {
    (at + 1..=at + 3).any(|end| ends_at(words, end).is_some_and(|from| (from..end).contains(&at)))
}

/// Tells whether what stands at `from` to `to` is denied. `subject_ending` returns where a subject begins that ends there, `phrase_ending`
/// where a phrase begins that ends there, and whether it and this one are alternatives of the same kind.
pub fn of(
    words: &[Word],
    (from, to): (usize, usize),
    subject_ending: &dyn Fn(usize) -> Option<usize>,
    phrase_ending: &dyn Fn(usize) -> Option<(usize, bool)>,
) -> Said {
    let mut at = from;
    let mut unclear = false;
    let mut auxiliary = false;
    for _ in 0..24 {
        if let Some(begin) = ends_at(words, at) {
            return if unclear { Said::Unclear } else { Said::Not(begin) };
        }
        let Some(last) = at.checked_sub(1) else { return Said::Plain };
        let word = w(words, last);
        if let Some(subject) = subject_ending(at) {
            // "not all runs failed", "no run failed"
            let lead = subject - usize::from(subject > 0 && matches!(w(words, subject - 1), "all" | "every" | "each"));
            let denied = lead < subject && ends_at(words, lead).is_some();
            let none = subject > 0 && w(words, subject - 1) == "no";
            return if denied || none { Said::Unclear } else { Said::Plain };
        }
        if words.get(last).is_some_and(|word| word.stop) {
            // A list: "not failed, cancelled or interrupted".
            match phrase_ending(at) {
                Some((begin, true)) if !auxiliary => at = begin,
                _ => return Said::Plain,
            }
        } else if word == "but" {
            // "all runs but failed ones"
            return if matches!(w(words, to), "ones" | "one") { Said::Not(last) } else { Said::Plain };
        } else if matches!(word, "or" | "and" | "&" | "/") {
            match phrase_ending(last) {
                Some((begin, alike)) if !auxiliary && (alike || word == "or") => at = begin,
                _ => return Said::Plain,
            }
        } else if UNCLEAR.contains(&word) {
            unclear = true;
            at = last;
        } else if BETWEEN.contains(&word) {
            auxiliary |= AUXILIARIES.contains(&word);
            at = last;
        } else {
            return Said::Plain;
        }
    }
    Said::Plain
}
